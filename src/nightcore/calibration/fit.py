"""Calibrations fitted in a region against a reference image.

DN has few values, so a fit needs only moments of the reference for each of them (`moments`); the fits are functions of
these.  Cells that cannot inform a power law are left out by rule and counted: DN 0 and references of 0 or below have no
logarithm and are dark, not dim; at the ceiling, DN 63, the sensor no longer measures, so these cells are dropped unless
asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.calibration._method import Calibration, check_clip
from nightcore.calibration.cao2015 import METHOD as CAO2015
from nightcore.calibration.cao2015 import power
from nightcore.errors import BadInputError, UsageError
from nightcore.grid import ROUNDING, snap
from nightcore.sensors import SATURATED

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from nightcore.store import Store
    from nightcore.zones import Coverage

MIN_LEVELS = 3  # a power law goes through any two points, so two DN cannot show a misfit
MIN_CELLS = 30  # neighbouring cells are correlated: the sensor's footprint is some 5 by 5 of them


@dataclass(frozen=True)
class Moments:
    """What a fit needs to know about the reference y, for every DN 0..63; arrays are (64,) float64.

    Attributes
    ----------
    n : number of cells
    sum_y, sum_ln : sums of y and ln y
    spread : sum of (y - mean of y at this DN)^2, which a sum of y^2 would lose to rounding
    n_zero, n_missing, n_dark : int
        Cells left out: DN 0; DN 255 or reference missing; reference 0 or below.
    """

    n: np.ndarray
    sum_y: np.ndarray
    sum_ln: np.ndarray
    spread: np.ndarray
    n_zero: int
    n_missing: int
    n_dark: int

    def without(self, dn: int) -> Moments:
        """The same without the cells at one DN."""
        kept = np.arange(SATURATED + 1) != dn
        arrays = {name: np.where(kept, value, 0.0) for name, value in vars(self).items() if np.ndim(value)}
        return Moments(**(vars(self) | arrays))


def moments(dn: np.ndarray, y: np.ndarray) -> Moments:
    """Moments of the reference for every DN.

    Parameters
    ----------
    dn : (n,) uint8
        255 missing.
    y : (n,) float
        Reference in its own unit, NaN missing.
    """
    y = np.asarray(y, np.float64)
    missing = (dn > SATURATED) | ~np.isfinite(y)
    zero = ~missing & (dn == 0)
    dark = ~missing & ~zero & (y <= 0)
    used = ~(missing | zero | dark)
    x, y = dn[used].astype(np.intp), y[used]

    def per_dn(values: np.ndarray | None) -> np.ndarray:
        return np.bincount(x, values, SATURATED + 1).astype(np.float64)

    n, sum_y = per_dn(None), per_dn(y)
    spread = per_dn((y - (sum_y / np.maximum(n, 1))[x]) ** 2)
    return Moments(n, sum_y, per_dn(np.log(y)), spread, int(zero.sum()), int(missing.sum()), int(dark.sum()))


def fit_power_loglog(of: Moments) -> tuple[float, float]:
    """(a, b) of y = a DN^b by least squares of ln y on ln DN, as spreadsheets and SPSS fit a power.

    Biased low by exp(s^2 / 2) where ln y scatters by s around the line.
    """
    level = np.flatnonzero(of.n)
    n, x = of.n[level], np.log(level)
    mean_x, mean_y = (n * x).sum() / n.sum(), of.sum_ln[level].sum() / n.sum()
    b = ((x - mean_x) * (of.sum_ln[level] - n * mean_y)).sum() / (n * (x - mean_x) ** 2).sum()
    return float(np.exp(mean_y - b * mean_x)), float(b)


def fit_power_nls(of: Moments) -> tuple[float, float]:
    """(a, b) of y = a DN^b by least squares of y on DN^b; the scatter at one DN does not depend on a and b, so its
    means, weighted with the number of cells, decide."""
    from scipy.optimize import least_squares

    level = np.flatnonzero(of.n)
    weight, x = np.sqrt(of.n[level]), level.astype(np.float64)
    mean_y = of.sum_y[level] / of.n[level]

    def misfit(p: np.ndarray) -> np.ndarray:
        return weight * (np.exp(p[0]) * x ** p[1] - mean_y)

    def slope(p: np.ndarray) -> np.ndarray:
        value = weight * np.exp(p[0]) * x ** p[1]
        return np.column_stack([value, value * np.log(x)])

    a, b = fit_power_loglog(of)
    # tolerances at the rounding of float64: the answer is the minimum itself, not where a step became small
    found = least_squares(misfit, [np.log(a), b], slope, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return float(np.exp(found.x[0])), float(found.x[1])


def r_squared(of: Moments, a: float, b: float) -> float:
    """Share of the variance of y, in its own unit, that a DN^b explains; may be negative."""
    level = np.flatnonzero(of.n)
    n, mean_y = of.n[level], of.sum_y[level] / of.n[level]
    grand = of.sum_y.sum() / n.sum()
    unexplained = of.spread.sum() + (n * (mean_y - power(level.astype(np.float64), a, b)) ** 2).sum()
    total = of.spread.sum() + (n * (mean_y - grand) ** 2).sum()
    return float(1 - unexplained / total) if total > 0 else float("nan")


ESTIMATORS: dict[str, Callable[[Moments], tuple[float, float]]] = {"loglog": fit_power_loglog, "nls": fit_power_nls}


def fit_one(composite: str, dn: np.ndarray, y: np.ndarray, estimator: str, saturated: str) -> dict[str, Any]:
    """One row of the report: the power law of one composite, its cells and how well it fits.

    Raises
    ------
    BadInputError
        Too few cells or too few different DN are left; says where the others went.
    """
    of = moments(dn, y)
    n_saturated = int(of.n[SATURATED])
    if saturated == "drop":
        of = of.without(SATURATED)
    level = np.flatnonzero(of.n)
    n = int(of.n.sum())
    if n < MIN_CELLS or len(level) < MIN_LEVELS:
        raise BadInputError(
            f"{composite} has {n} usable cells at {len(level)} different DN in the region ({of.n_zero} cells are at DN "
            f"0, {n_saturated} at the ceiling, {of.n_missing} missing, {of.n_dark} dark in the reference): expected "
            f"{MIN_CELLS} cells at {MIN_LEVELS} DN or more; choose a larger region with dim and bright lights."
        )
    a, b = ESTIMATORS[estimator](of)
    if not b > 0:
        raise BadInputError(
            f"{composite} gets darker where the reference gets brighter (DN' = {a:.4g} DN^{b:.4g} from {n} cells): "
            f"expected a rising curve; check that reference and region belong to these composites."
        )
    f0, f63 = power(np.array([0.0, SATURATED]), a, b)
    return {
        "composite": composite,
        "a": a,
        "b": b,
        "n": n,
        "n_zero": of.n_zero,
        "n_saturated": n_saturated,
        "n_missing": of.n_missing,
        "n_dark": of.n_dark,
        "dn_min": int(level[0]),
        "dn_max": int(level[-1]),
        "r2": r_squared(of, a, b),
        "monotone": b >= 0,
        "f0": float(f0),
        "f63": float(f63),
    }


def fit_calibration(
    form: str,
    store: Store | str | Path | xr.Dataset,
    region: gpd.GeoDataFrame | str | Path,
    reference: str | Path,
    composites: Sequence[str] | None = None,
    estimator: str = "loglog",
    saturated: str = "drop",
    clip: tuple[float, float] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Calibration:
    """Coefficients for every composite from the cells of a region.

    Parameters
    ----------
    form : {"cao2015"}
        DN' = a DN^b.
    store : path, Store or Dataset of `open_store`
    region : GeoDataFrame or path
        Polygons of a region whose lights did not change; cells whose centre is inside are used, each once.
    reference : path
        GeoTIFF, radiance-calibrated, with the store's pixel size, that covers the region; it is laid on the store's
        grid by whole cells.
    composites : sequence of str, optional
        Default: all of the store.
    estimator : {"loglog", "nls"}
        Least squares of logarithms (the paper's) or of the values themselves.
    saturated : {"drop", "keep"}
        Cells at DN 63, where the sensor no longer measures.
    clip : (low, high), optional
        Range of calibrated DN; by default open above.
    say : callable, optional
        Called with one sentence for everything a user should know, such as a shifted reference.

    Returns
    -------
    Calibration
        `.report` has one row a composite: composite, a, b, n (cells used), n_zero, n_saturated, n_missing, n_dark,
        dn_min, dn_max (of the cells used), r2 (in the unit of the reference), monotone, f0, f63.

    Raises
    ------
    UsageError
        An unknown form, estimator, treatment or composite, or an impossible clip.
    BadInputError
        The reference cannot be read, has another pixel or does not cover the region; the region is too small, dark or
        saturated; a curve falls.
    """
    import pandas as pd

    from nightcore.store import as_store
    from nightcore.zones import coverage

    for what, given, known in (
        ("calibration to fit", form, (CAO2015.name,)),
        ("estimator", estimator, ESTIMATORS),
        ("treatment of saturated cells", saturated, ("drop", "keep")),
    ):
        if given not in known:
            raise UsageError(f"there is no {what} '{given}': expected one of {', '.join(known)}.")
    if clip is not None:
        check_clip(clip)
    store = as_store(store)
    chosen = store.composites if composites is None else tuple(composites)
    unknown = [name for name in chosen if name not in store.composites]
    if unknown or not chosen:
        raise UsageError(
            f"the store has no composite {', '.join(unknown) or 'of an empty list'}: expected some of "
            f"{', '.join(store.composites)}."
        )
    raster = Reference.open(Path(reference), store)
    if max(abs(raster.dx), abs(raster.dy)) > ROUNDING:
        say(
            f"the reference {raster.path.name} lies {raster.dx:+.3g} cells east and {raster.dy:+.3g} cells south of "
            f"the store's grid: snapped to the nearest cell, not resampled"
        )
    cells = coverage(region, store.grid, rule="centre")
    if cells.cut():
        say(f"the grid's edge cuts {len(cells.cut())} polygons of the region; the cells inside are used")
    dn, y = region_cells(store, cells, raster)
    places = [store.composites.index(name) for name in chosen]
    rows = [fit_one(name, dn[place], y, estimator, saturated) for name, place in zip(chosen, places, strict=True)]
    return Calibration(
        CAO2015,
        {row["composite"]: (row["a"], row["b"]) for row in rows},
        CAO2015.clip if clip is None else clip,
        pd.DataFrame(rows),
        {
            "store_sha256": store.hash,
            "region_sha256": cells.hash,
            "reference": raster.path.name,
            "reference_shift": [raster.dx, raster.dy],
            "reference_sha256": hashlib.sha256(y.tobytes()).hexdigest(),  # of the cells used, in order
            "estimator": estimator,
            "saturated": saturated,
        },
    )


# --- cells of the region ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A reference image laid on a store's grid by whole cells: cell (0, 0) of the store is its cell (row, column).

    A fraction of a cell is snapped as composites are at ingest, and kept.
    """

    path: Path
    row: int
    column: int
    height: int
    width: int
    dx: float  # [cells] its origin lies this far east of the cell it was snapped to
    dy: float  # ... and south

    @classmethod
    def open(cls, path: Path, store: Store) -> Reference:
        """Refuse, before anything is computed, an image that is absent or has another pixel or CRS."""
        from nightcore.zones import raster_file_grid

        if not path.is_file():
            raise BadInputError(
                f"the reference {path} does not exist: expected a radiance-calibrated GeoTIFF that covers the region, "
                f"e.g. F16_20051128-20061224_rad_v4.avg_vis.tif."
            )
        grid = raster_file_grid(path)
        if not store.grid.same_pixel(grid):
            raise BadInputError(
                f"the reference {path} has {grid}, the store has cells of {store.grid.dx:.10g} x {store.grid.dy:.10g} "
                f"degrees: give a reference with the same pixel, it is not resampled."
            )
        (column, dx), (row, dy) = (snap(offset) for offset in grid.offset_of(store.grid))
        return cls(path, row, column, grid.height, grid.width, round(-dx, 6), round(-dy, 6))

    def read(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """(height, width) float64 at a window of the store's grid; NaN where nodata."""
        import rasterio
        from rasterio.windows import Window

        top, left = row + self.row, column + self.column
        if top < 0 or left < 0 or top + height > self.height or left + width > self.width:
            raise BadInputError(
                f"the reference {self.path} does not cover the region: its {self.height} x {self.width} cells end "
                f"before rows {row}..{row + height - 1}, columns {column}..{column + width - 1} of the store; give an "
                f"image that covers the region, or a smaller region."
            )
        try:
            with rasterio.open(self.path, driver="GTiff") as file:
                values = file.read(1, window=Window(left, top, width, height)).astype(np.float64)
                nodata = file.nodata
        except rasterio.errors.RasterioError as error:
            raise BadInputError(f"the reference {self.path} cannot be read ({error}): get the file again.") from error
        # a tag of 0 would make dark cells missing; the product's dark is 0 whatever the tag says
        return values if nodata in (None, 0) else np.where(values == nodata, np.nan, values)


def region_cells(store: Store, cells: Coverage, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """DN (composite, n) and reference (n,) of all covered cells, row by row, each once."""
    numbers, dn, y = [], [], []
    for tile in store.tiles():
        if not cells.touches(tile):
            continue
        row, column, _, _ = cells.block(tile).entries()
        pixel = np.unique(row.astype(np.int64) * tile.width + column)
        r, c = np.divmod(pixel, tile.width)
        top, left = r.min(), c.min()
        window = reference.read(
            tile.row + int(top), tile.column + int(left), int(r.max() - top) + 1, int(c.max() - left) + 1
        )
        numbers.append((tile.row + r) * store.grid.width + tile.column + c)
        dn.append(store.read(tile)[:, r, c])
        y.append(window[r - top, c - left])
    if not numbers:
        raise BadInputError("the region holds no cell's centre: expected polygons larger than a cell of the store.")
    order = np.argsort(np.concatenate(numbers))  # row by row over the grid, so that sums do not depend on the tiling
    return np.concatenate(dn, axis=1)[:, order], np.concatenate(y)[order]
