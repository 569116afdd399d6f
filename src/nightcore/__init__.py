"""nightcore: night-time lights from annual composites to city means, right to the last bit.

Names are loaded on first use, so that `import nightcore` costs nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nightcore.calibration import METHODS, Calibration, Method, calibration, fit_calibration
    from nightcore.compare import compare
    from nightcore.coverage_file import load_coverage
    from nightcore.errors import NightcoreError
    from nightcore.grid import DMSP_GLOBAL, Grid
    from nightcore.histograms import histogram_sums, zone_histograms
    from nightcore.ingest import ingest
    from nightcore.kernels.continuity import continuity
    from nightcore.kernels.merge import merge
    from nightcore.lights import annual_lights
    from nightcore.nesting import check_nesting
    from nightcore.sensors import DMSP_OLS, Sensor
    from nightcore.simulate import simulate
    from nightcore.store import Store, open_store
    from nightcore.zonal import write_table, zonal
    from nightcore.zones import Coverage, coverage

_HOME = {
    "nightcore.calibration": ("METHODS", "Calibration", "Method", "calibration", "fit_calibration"),
    "nightcore.compare": ("compare",),
    "nightcore.coverage_file": ("load_coverage",),
    "nightcore.errors": ("NightcoreError",),
    "nightcore.grid": ("DMSP_GLOBAL", "Grid"),
    "nightcore.histograms": ("histogram_sums", "zone_histograms"),
    "nightcore.ingest": ("ingest",),
    "nightcore.kernels.continuity": ("continuity",),
    "nightcore.kernels.merge": ("merge",),
    "nightcore.lights": ("annual_lights",),
    "nightcore.nesting": ("check_nesting",),
    "nightcore.sensors": ("DMSP_OLS", "Sensor"),
    "nightcore.simulate": ("simulate",),
    "nightcore.store": ("Store", "open_store"),
    "nightcore.zonal": ("write_table", "zonal"),
    "nightcore.zones": ("Coverage", "coverage"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022 - spelt out for readers and type checkers, in the order of the modules
    "METHODS",
    "Calibration",
    "Method",
    "calibration",
    "fit_calibration",
    "compare",
    "load_coverage",
    "NightcoreError",
    "DMSP_GLOBAL",
    "Grid",
    "histogram_sums",
    "zone_histograms",
    "ingest",
    "continuity",
    "merge",
    "annual_lights",
    "check_nesting",
    "DMSP_OLS",
    "Sensor",
    "simulate",
    "Store",
    "open_store",
    "write_table",
    "zonal",
    "Coverage",
    "coverage",
]


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nightcore' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """A package whose public functions keep their names: importing nightcore/ingest.py would otherwise bind the module
    to `nightcore.ingest`, in place of the function that users call."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
