"""Regional inequality and panel estimators: from a table of lights by city and year to a regression table.

Names are loaded on first use, so that `import econ` costs nothing; linearmodels is imported by the first fit only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from econ.controls import CONVENTIONS, density, interaction, minmax, ratio, schooling
    from econ.crosswalk import apply_crosswalk
    from econ.curves import concentration_curve, concentration_index, lorenz_curve, regional_curves
    from econ.decomposition import Decomposition, decompose, maximal_between, shapley_sources
    from econ.diagnostics import breusch_pagan, hausman, lr, modified_wald, pesaran_cd, wald, wooldridge_serial
    from econ.errors import BadInputError, EconError, EstimationError, MissingColumnError, ResourceError, UsageError
    from econ.estimators import (
        ESTIMATORS,
        Estimate,
        Test,
        anderson_rubin,
        anderson_rubin_set,
        fit,
        marginal_effects,
    )
    from econ.estimators.gmm import Instruments
    from econ.estimators.granger import Granger, granger, granger_table
    from econ.inequality import (
        INDICES,
        IndexEstimate,
        atkinson,
        cv,
        ge,
        gini,
        hoover,
        inequality_of,
        quantile_ratio,
        regional_inequality,
        sensitivity,
        standard_error,
        theil,
        theil_l,
        weighted_quantile,
    )
    from econ.markets import Segmentation, segmentation
    from econ.panel import Balance, Panel, balance, describe, difference, join_panel, lag, lead, within_between
    from econ.panel_files import read_panel, write_panel
    from econ.provinces import Province, boundaries, neighbour_pairs, province, province_table, standardise
    from econ.reports import Finding, ReportCheck, check_report
    from econ.splicing import Splice, splice
    from econ.tables import description_table, regression_table, to_csv, to_html, to_latex, to_markdown, to_text
    from econ.vector_autoregression import PanelVar, panel_var

_HOME = {
    "errors": ("BadInputError", "EconError", "EstimationError", "MissingColumnError", "ResourceError", "UsageError"),
    "estimators": (
        "ESTIMATORS",
        "Estimate",
        "Test",
        "anderson_rubin",
        "anderson_rubin_set",
        "fit",
        "marginal_effects",
    ),
    "estimators.gmm": ("Instruments",),
    "estimators.granger": ("Granger", "granger", "granger_table"),
    "vector_autoregression": ("PanelVar", "panel_var"),
    "diagnostics": (
        "breusch_pagan",
        "hausman",
        "lr",
        "modified_wald",
        "pesaran_cd",
        "wald",
        "wooldridge_serial",
    ),
    "inequality": (
        "INDICES",
        "IndexEstimate",
        "atkinson",
        "cv",
        "ge",
        "gini",
        "hoover",
        "inequality_of",
        "quantile_ratio",
        "regional_inequality",
        "sensitivity",
        "standard_error",
        "theil",
        "theil_l",
        "weighted_quantile",
    ),
    "decomposition": ("Decomposition", "decompose", "maximal_between", "shapley_sources"),
    "curves": ("concentration_curve", "concentration_index", "lorenz_curve", "regional_curves"),
    "provinces": ("Province", "boundaries", "neighbour_pairs", "province", "province_table", "standardise"),
    "crosswalk": ("apply_crosswalk",),
    "controls": ("CONVENTIONS", "density", "interaction", "minmax", "ratio", "schooling"),
    "markets": ("Segmentation", "segmentation"),
    "splicing": ("Splice", "splice"),
    "panel": (
        "Balance",
        "Panel",
        "balance",
        "describe",
        "difference",
        "join_panel",
        "lag",
        "lead",
        "within_between",
    ),
    "panel_files": ("read_panel", "write_panel"),
    "reports": ("Finding", "ReportCheck", "check_report"),
    "tables": ("description_table", "regression_table", "to_csv", "to_html", "to_latex", "to_markdown", "to_text"),
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
    "anderson_rubin",
    "anderson_rubin_set",
    "fit",
    "marginal_effects",
    "Instruments",
    "Granger",
    "granger",
    "granger_table",
    "PanelVar",
    "panel_var",
    "breusch_pagan",
    "hausman",
    "lr",
    "modified_wald",
    "pesaran_cd",
    "wald",
    "wooldridge_serial",
    "INDICES",
    "IndexEstimate",
    "atkinson",
    "cv",
    "ge",
    "gini",
    "hoover",
    "inequality_of",
    "quantile_ratio",
    "regional_inequality",
    "sensitivity",
    "standard_error",
    "theil",
    "theil_l",
    "weighted_quantile",
    "Decomposition",
    "decompose",
    "maximal_between",
    "shapley_sources",
    "concentration_curve",
    "concentration_index",
    "lorenz_curve",
    "regional_curves",
    "Province",
    "boundaries",
    "neighbour_pairs",
    "province",
    "province_table",
    "standardise",
    "apply_crosswalk",
    "CONVENTIONS",
    "density",
    "interaction",
    "minmax",
    "ratio",
    "schooling",
    "Segmentation",
    "segmentation",
    "Splice",
    "splice",
    "Balance",
    "Panel",
    "balance",
    "describe",
    "difference",
    "join_panel",
    "lag",
    "lead",
    "within_between",
    "read_panel",
    "write_panel",
    "Finding",
    "ReportCheck",
    "check_report",
    "description_table",
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
