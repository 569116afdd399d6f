"""A sensor is a value: what its numbers mean, which are valid, and how its files are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from nightcore.grid import DMSP_GLOBAL, Grid


@dataclass(frozen=True)
class Sensor:
    """Everything that ingest and the engine need to know about one kind of annual composite.

    Parameters
    ----------
    name : str
        Name written into stores and tables.
    variable : str
        Name of the array in a store.
    dtype : str
        NumPy dtype of the stored array.
    nodata : int or float
        Value of a cell that was never observed.
    valid : (low, high)
        Range of observed values, ends included.
    ceiling : int or None
        Value at which the sensor saturates.
    units : str
        Unit of an observed value.
    grid : Grid
        Canonical global grid; files are windows of it.
    composites : tuple of str
        Names of all composites of the series, e.g. "F101992".
    pattern : re.Pattern
        Finds (satellite, year, rest) in a file's name; `products` tells from `rest` which product it is.
    products : mapping of product to re.Pattern
        First match wins.
    """

    name: str
    variable: str
    dtype: str
    nodata: float
    valid: tuple[float, float]
    ceiling: float | None
    units: str
    grid: Grid
    composites: tuple[str, ...]
    pattern: re.Pattern = field(repr=False)
    products: Mapping[str, re.Pattern] = field(repr=False)

    def identify(self, path: str | PurePath) -> ProductName | None:
        """What the name of a file says about it, or None where it does not look like one of this sensor's."""
        name = PurePath(path).name
        found = self.pattern.match(name)
        if found is None:
            return None
        rest = name[found.end() :]
        for product, pattern in self.products.items():
            if pattern.search(rest):
                return ProductName(found["satellite"], int(found["year"]), product)
        return None


@dataclass(frozen=True)
class ProductName:
    """One annual composite as its file name tells it."""

    satellite: str
    year: int
    product: str

    @property
    def composite(self) -> str:
        return f"{self.satellite}{self.year}"


def _span(satellite: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{satellite}{year}" for year in range(first, last + 1))


# [DN] 6-bit ceiling of the OLS
SATURATED = 63

DMSP_OLS = Sensor(
    name="DMSP-OLS",
    variable="stable_lights",
    dtype="uint8",
    nodata=255,
    valid=(0, SATURATED),
    ceiling=SATURATED,
    units="1",
    grid=DMSP_GLOBAL,
    composites=(
        *_span("F10", 1992, 1994),
        *_span("F12", 1994, 1999),
        *_span("F14", 1997, 2003),
        *_span("F15", 2000, 2007),
        *_span("F16", 2004, 2009),
        *_span("F18", 2010, 2013),
    ),
    # F101992.v4b_web.stable_lights.avg_vis.tif, F101992.v4b.global.cf_cvg.tif.gz, F101992_stable_lights.tif,
    # F101992.v4.tar; the forms seen in the wild are in the tests
    pattern=re.compile(r"(?P<satellite>F1[0-9])(?P<year>(?:19|20)\d\d)(?=[._])"),
    products={
        "intercalibrated": re.compile(r"intercal", re.I),
        "avg_lights_x_pct": re.compile(r"avg_lights_x_pct", re.I),
        "cf_cvg": re.compile(r"cf_cvg", re.I),
        "pct": re.compile(r"[._]pct[._]", re.I),
        "stable_lights": re.compile(r"stable_lights", re.I),
        "avg_vis": re.compile(r"avg_vis", re.I),
        "archive": re.compile(r"^\.v4[a-d]?\.(tar|tgz|tar\.gz)$", re.I),
    },
)

SENSORS: dict[str, Sensor] = {DMSP_OLS.name: DMSP_OLS}
