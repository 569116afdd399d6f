"""The fused run: from a store to a table of zones and years, one tile at a time; lights are never written.

Every contribution of a cell is rounded once to an integer and added exactly, so tables do not depend on tiling,
threads or the order of tiles, not by one bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore import __version__
from nightcore.errors import BadInputError, UsageError
from nightcore.files import whole_file
from nightcore.grid import ROUNDING, Grid
from nightcore.lights import Recipe, make_recipe
from nightcore.store import Store, Tile, as_store, tiles_of
from nightcore.threads import thread_count
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

    if not isinstance(coverage, Coverage):
        raise UsageError(
            f"the zones are a {type(coverage).__name__}: expected a Coverage; make one with coverage(zones, data)."
        )
    threads = thread_count(threads)
    if isinstance(data, xr.DataArray):
        if calibration is not None or merge != "mean" or continuity != "none":
            raise UsageError(
                "calibration, merge and continuity apply to a store, found a DataArray: "
                "pass the store, or the array alone."
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
    places = np.arange(len(recipe.composites) + 1, dtype=np.int64)
    alone = replace(recipe, years=places[:-1], year_start=places)
    return recipe.composites, store_totals(store, coverage, alone, thread_count(None), None).total


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


def store_totals(store: Store, coverage: Coverage, recipe: Recipe, threads: int, progress: Progress | None) -> Totals:
    """Sums over all tiles of a store that a zone touches."""
    from nightcore.kernels.fixed import MERGED_BITS
    from nightcore.kernels.zonal import sum_bits, zone_sums

    cell_area = store.grid.cell_area()
    bits = sum_bits(recipe.curves, cell_area.max())
    ceiling = int(store.sensor.ceiling)

    def sums(tile: Tile):
        zones, pixel, local, weight = cells_of(coverage, tile)
        dn = store.read(tile)[recipe.selected]
        area = cell_area[tile.row : tile.row + tile.height]
        found = zone_sums(
            np.ascontiguousarray(dn),
            recipe.curves,
            recipe.year_start,
            recipe.merge_code,
            recipe.continuity_code,
            pixel,
            local,
            weight,
            area,
            len(zones),
            ceiling,
            bits,
        )
        return zones, found

    touched = [tile for tile in store.tiles() if coverage.touches(tile)]
    shape = (len(coverage), len(recipe.year_start) - 1)
    return add_up(each(sums, touched, threads, progress), shape, bits, 2.0**-MERGED_BITS)


def array_totals(values: np.ndarray, coverage: Coverage, grid: Grid, threads: int, progress: Progress | None) -> Totals:
    """Sums over all tiles of a (layer, y, x) float stack that a zone touches; `values` may be a dask array."""
    from nightcore.kernels.zonal import largest_magnitude, value_bits, zone_sums_values

    cell_area = grid.cell_area()
    touched = [tile for tile in tiles_of(grid) if coverage.touches(tile)]

    def block(tile: Tile) -> np.ndarray:
        part = np.asarray(values[:, tile.row : tile.row + tile.height, tile.column : tile.column + tile.width])
        return np.ascontiguousarray(part, part.dtype if part.dtype == np.float32 else np.float64)

    def largest(tile: Tile) -> float:
        return largest_magnitude(block(tile).reshape(len(values), -1), cells_of(coverage, tile)[1])

    # Values are brought to at most 1 by a power of two, which is exact, so that sums are as good in W as in nW. The
    # power follows from the largest value under any zone: it knows nothing of tiles.
    unit = power_above(max(each(largest, touched, threads, None), default=0.0))
    bits = value_bits(1.0, cell_area.max())

    def sums(tile: Tile):
        zones, pixel, local, weight = cells_of(coverage, tile)
        area = cell_area[tile.row : tile.row + tile.height]
        scaled = block(tile).astype(np.float64) / unit
        return zones, zone_sums_values(scaled, pixel, local, weight, area, len(zones), bits)

    found = add_up(each(sums, touched, threads, progress), (len(coverage), len(values)), bits, unit)
    return replace(found, total=found.total * unit, total_area=found.total_area * unit)


def cells_of(coverage: Coverage, tile: Tile) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(zones, pixel, local, weight): the zones of a tile, (k,) places in `ids`, and its covered cells by flat index,
    (n,) int64, int32 which of the zones, and float64 share in (0, 1]."""
    from nightcore.kernels.cover import WEIGHT_BITS

    cover = coverage.block(tile)
    row, column, local, units = cover.entries()
    pixel = row.astype(np.int64) * tile.width + column
    order = np.argsort(pixel, kind="stable")  # the chain runs once for cells that follow each other
    return cover.zones, pixel[order], local[order].astype(np.int32), units[order] * 2.0**-WEIGHT_BITS


def power_above(largest: float) -> float:
    """The power of two at or above `largest`; 1 for 0.

    Raises
    ------
    BadInputError
        A value is infinite.
    """
    if not math.isfinite(largest):
        raise BadInputError(f"the raster holds {largest}: expected finite values, NaN where missing.")
    return math.ldexp(1.0, math.frexp(largest)[1]) if largest else 1.0


def each(work: Callable[[Tile], Any], tiles: Sequence[Tile], threads: int, progress: Progress | None) -> list:
    """`work` of every tile, in the order of the tiles; kernels let go of the GIL, so threads run beside each other."""
    done = []
    with ThreadPoolExecutor(threads) as pool:
        for result in pool.map(work, tiles):
            done.append(result)
            if progress:
                progress(len(done), len(tiles))
    return done


def add_up(parts: Iterable[tuple[np.ndarray, Any]], shape: tuple[int, int], bits: int, unit: float) -> Totals:
    """Exact sums over tiles, turned into floats once at the end.

    Parameters
    ----------
    parts : (zones, sums) per tile
        `zones` (k,) index into the coverage's ids, `sums` of (k, layer) arrays from the kernels.
    shape : (zone, layer)
    bits : int
        Sums are in units of 2**-bits.
    unit : float
        Value of one step of `low` and `high`.
    """
    from nightcore.kernels.zonal import ExactSum

    names = ("total", "cells", "total_area", "area", "lit", "saturated", "missing")
    exact = {name: ExactSum(shape) for name in names}
    low, high = np.full(shape, np.nan), np.full(shape, np.nan)
    for zones, sums in parts:
        for name in names:
            block = getattr(sums, name)
            if block is None:  # values that are not a sensor's DN have no ceiling
                exact[name] = None
            else:
                exact[name].add(zones, block)
        low[zones] = np.fmin(low[zones], sums.low)
        high[zones] = np.fmax(high[zones], sums.high)
    floats = {name: None if found is None else found.value(bits) for name, found in exact.items()}
    return Totals(**floats, low=low * unit, high=high * unit)


def tidy(
    totals: Totals, coverage: Coverage, layer: tuple[str, np.ndarray] | None, provenance: dict[str, Any]
) -> pd.DataFrame:
    """One row a zone and layer; shares and means of nothing are NaN."""
    import pandas as pd

    n_zone, n_layer = totals.cells.shape
    frame = pd.DataFrame({"zone": np.repeat(np.array(coverage.ids, object), n_layer)}).infer_objects()
    for column in coverage.attributes:
        frame[column] = coverage.attributes[column].repeat(n_layer).to_numpy()
    if layer is not None:
        frame[layer[0]] = np.tile(layer[1], n_zone)
    seen = totals.cells > 0
    missing = totals.missing + coverage.outside[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is the NaN that is wanted
        columns = {
            "sum": np.where(seen, totals.total, np.nan),  # nothing seen is not darkness
            "cells": totals.cells,
            "mean": totals.total / totals.cells,
            "sum_area": np.where(seen, totals.total_area, np.nan),
            "area_km2": totals.area,
            "mean_area": totals.total_area / totals.area,
            "lit_share": totals.lit / totals.cells,
            "saturated_share": None if totals.saturated is None else totals.saturated / totals.cells,
            "missing_share": missing / (totals.cells + missing),
            "min": totals.low,
            "max": totals.high,
        }
    for name, values in columns.items():
        if values is not None:
            frame[name] = values.ravel()
    frame.attrs["provenance"] = provenance
    return frame


def zonal_of_array(array: xr.DataArray, coverage: Coverage, threads: int, progress: Progress | None) -> pd.DataFrame:
    """`zonal` of any raster stack or image."""
    grid = grid_of(array)
    refuse_other_grid(coverage, grid)
    if array.dims[-2:] != ("y", "x") or array.ndim not in (2, 3):
        raise BadInputError(
            f"the array has dimensions {', '.join(map(str, array.dims))}: "
            f"expected (layer, y, x) or (y, x); transpose it."
        )
    layer = None
    if array.ndim == 3:
        name = str(array.dims[0])
        per_layer = [str(c) for c in array.coords if array.coords[c].dims == (name,)]
        column = "year" if "year" in per_layer and array.coords["year"].to_index().is_unique else name
        layer = (column, array.coords[column].values if column in per_layer else np.arange(array.shape[0]))
    array = without_fill(array)
    values = array.data if array.ndim == 3 else array.data[None]
    totals = array_totals(values, coverage, grid, threads, progress)
    provenance = {
        "nightcore": __version__,
        "data": {"name": None if array.name is None else str(array.name), "shape": list(array.shape)},
        "coverage": provenance_of(coverage),
    }
    return tidy(totals, coverage, layer, provenance)


def without_fill(array: xr.DataArray) -> xr.DataArray:
    """The array with NaN where its attributes `_FillValue` or `missing_value` say that nothing was observed."""
    for name in ("_FillValue", "missing_value"):
        fill = array.attrs.get(name)
        if fill is not None and not np.isnan(fill):
            # as the file holds it: -999.9 of a float32 raster is not -999.9 of a float64 attribute
            array = array.where(array != np.asarray(fill).astype(array.dtype))
    return array


def provenance_of(coverage: Coverage) -> dict[str, Any]:
    return {"rule": coverage.rule, "zones": len(coverage), "sha256": coverage.hash}


def refuse_other_grid(coverage: Coverage, grid: Grid) -> None:
    """Weights of one grid mean nothing on another."""
    own = coverage.grid
    column, row = own.offset_of(grid)
    if own.shape != grid.shape or not own.same_pixel(grid) or max(abs(column), abs(row)) > ROUNDING:
        raise BadInputError(
            f"the coverage was made for {own}, the data have {grid}: make it again with coverage(zones, data)."
        )


# --- files --------------------------------------------------------------------------------------------------------


def check_table_path(path: str | Path) -> Path:
    """Refuse, before any work is done, a name under which no table can be written."""
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{path} ends in '{path.suffix}': tables are written as .csv or .parquet.")
    if path.is_dir():
        raise BadInputError(f"{path} is a folder: choose another name for the table.")
    if not path.parent.is_dir():
        raise BadInputError(f"the folder {path.parent} of {path.name} does not exist: make it, or choose another.")
    return path


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV (with `<name>.provenance.json` beside it) or Parquet (provenance inside), by its ending.

    The same table gives the same bytes; numbers in CSV read back to the same bits; a file appears whole or not at all.

    Raises
    ------
    UsageError, BadInputError
        Another ending, or a folder that does not exist.
    """
    path = check_table_path(path)
    provenance = json.dumps(table.attrs.get("provenance", {}), indent=1, sort_keys=True)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        bare = table.copy()
        bare.attrs = {}
        arrow = pa.Table.from_pandas(bare, preserve_index=False)
        arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), b"nightcore": provenance.encode()})
        with whole_file(path) as draft:
            pq.write_table(arrow, draft)
        return
    with whole_file(path) as draft, whole_file(path.with_name(path.name + ".provenance.json")) as beside:
        table.to_csv(draft, index=False, lineterminator="\n")
        beside.write_text(provenance + "\n", encoding="utf-8")
