"""The fused run: from a store to a table of zones and years, one tile at a time; lights are never written.

Every contribution of a cell is rounded once to an integer and added exactly, so tables do not depend on tiling,
threads or the order of tiles, not by one bit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore import __version__
from nightcore.errors import BadInputError, UsageError
from nightcore.grid import ROUNDING, Grid
from nightcore.lights import Recipe, make_recipe
from nightcore.store import Store, Tile, as_store, tiles_of
from nightcore.zones import Coverage, grid_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from nightcore.calibration import Calibration

Progress = Callable[[int, int], None]


def zonal(
    data: Store | str | Path | xr.Dataset | xr.DataArray,
    coverage: Coverage,
    calibration: Calibration | str | Path | None = None,
    merge: str = "mean",
    continuity: str = "none",
    missing: str = "raise",
    threads: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Light of every zone in every year, one row each; columns are documented in docs/notation.md.

    Parameters
    ----------
    data : store (path, Store, Dataset of `open_store`) or DataArray
        A DataArray is any raster stack (layer, y, x) or image (y, x) on the coverage's grid; NaN and its attribute
        `_FillValue` are missing. Calibration, merge and continuity belong to stores only.
    coverage : Coverage
        From `coverage(zones, grid)`.
    calibration : Calibration, name of a method ("raw" for none), or file of a fitted one
    merge, continuity, missing : str
        As in `annual_lights`.
    threads : int, optional
        Default: all processors; the table is the same for any number.
    progress : callable, optional
        Called with (tiles done, tiles in all).

    Returns
    -------
    DataFrame
        zone, columns kept by the coverage, year, sum [DN], cells, mean [DN], sum_area [DN km2], area_km2, mean_area
        [DN], lit_share, saturated_share (stores only), missing_share, min, max [DN]. `attrs["provenance"]` tells how
        it was made.

    Raises
    ------
    BadInputError
        The coverage belongs to another grid.
    MissingCoefficientsError
        As in `annual_lights`.
    """
    import xarray as xr

    if isinstance(data, xr.DataArray):
        if calibration is not None or merge != "mean" or continuity != "none":
            raise UsageError(
                "calibration, merge and continuity apply to a store, found a DataArray: pass the store, or the array alone."
            )
        return zonal_of_array(data, coverage, threads, progress)
    store = as_store(data)
    refuse_other_grid(coverage, store.grid)
    recipe = make_recipe(store, calibration, merge, continuity, missing)
    totals = store_totals(store, coverage, recipe, threads, progress)
    provenance = recipe.provenance(store) | {"coverage": provenance_of(coverage)}
    return tidy(totals, coverage, ("year", recipe.years), provenance)


def composite_totals(
    store: Store, coverage: Coverage, calibration: Calibration | str | Path, missing: str = "drop"
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the composites that the calibration knows and their (zone, composite) sums of calibrated DN."""
    recipe = make_recipe(store, calibration, "mean", "none", missing)
    # every composite stands for a year of its own, so nothing is merged
    alone = Recipe(**(vars(recipe) | {"year_start": np.arange(len(recipe.composites) + 1, dtype=np.int64)}))
    return recipe.composites, store_totals(store, coverage, alone, None, None).total


# --- sums of tiles ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Totals:
    """(zone, layer) float64 sums over cells, w the coverage weight and a the cell's area [km2]."""

    total: np.ndarray  # S w v
    cells: np.ndarray  # S w over observed cells
    total_area: np.ndarray  # S w a v
    area: np.ndarray  # S w a over observed cells
    lit: np.ndarray  # S w where v > 0
    saturated: np.ndarray | None  # S w where a raw DN of the year is at the ceiling
    missing: np.ndarray  # S w over unobserved cells
    low: np.ndarray  # smallest observed v
    high: np.ndarray  # largest observed v


def store_totals(
    store: Store, coverage: Coverage, recipe: Recipe, threads: int | None, progress: Progress | None
) -> Totals:
    """Sums over all tiles of a store that a zone touches."""
    from nightcore.kernels.fixed import MERGED_BITS
    from nightcore.kernels.zonal import sum_bits, zone_sums

    cell_area = store.grid.cell_area()
    bits = sum_bits(recipe.curves)
    ceiling = int(store.sensor.ceiling)

    def sums(tile: Tile):
        entries = coverage.block(tile)
        zones, local = np.unique(entries.zone, return_inverse=True)
        dn = store.read(tile)[recipe.selected]
        area = cell_area[tile.row : tile.row + tile.height]
        found = zone_sums(
            np.ascontiguousarray(dn),
            recipe.curves,
            recipe.year_start,
            recipe.merge_code,
            recipe.continuity_code,
            entries.pixel,
            local.astype(np.int32),
            entries.weight,
            area,
            len(zones),
            ceiling,
            bits,
        )
        return zones, found

    touched = [tile for tile in store.tiles() if coverage.touches(tile)]
    shape = (len(coverage), len(recipe.year_start) - 1)
    return add_up(each(sums, touched, threads, progress), shape, bits, 2.0**-MERGED_BITS)
