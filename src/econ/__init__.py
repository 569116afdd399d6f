"""Regional inequality and panel estimators: from a table of lights by city and year to a regression table.

Names are loaded on first use, so that `import econ` costs nothing; linearmodels is imported by the first fit only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from econ.errors import BadInputError, EconError, EstimationError, MissingColumnError, ResourceError, UsageError
    from econ.estimators import ESTIMATORS, Estimate, Test, fit
    from econ.inequality import INDICES, atkinson, gini, regional_inequality, theil, theil_l
    from econ.panel import Panel, join_panel
    from econ.tables import regression_table, to_csv, to_html, to_latex, to_markdown, to_text

_HOME = {
    "errors": ("BadInputError", "EconError", "EstimationError", "MissingColumnError", "ResourceError", "UsageError"),
    "estimators": ("ESTIMATORS", "Estimate", "Test", "fit"),
    "inequality": ("INDICES", "atkinson", "gini", "regional_inequality", "theil", "theil_l"),
    "panel": ("Panel", "join_panel"),
    "tables": ("regression_table", "to_csv", "to_html", "to_latex", "to_markdown", "to_text"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022 - spelt out for readers and type checkers, in the order of the modules
    "BadInputError",
    "EconError",
    "EstimationError",
    "MissingColumnError",
    "ResourceError",
    "UsageError",
    "ESTIMATORS",
    "Estimate",
    "Test",
    "fit",
    "INDICES",
    "atkinson",
    "gini",
    "regional_inequality",
    "theil",
    "theil_l",
    "Panel",
    "join_panel",
    "regression_table",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "to_text",
]


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'econ' has no attribute {name!r}")
    return getattr(import_module(f"econ.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
