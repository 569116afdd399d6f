"""The fused run: from a store to a table of zones and years, one tile at a time; lights are never written.

Weights, areas and lights are integers, so that sums of products are exact and tables do not depend on tiling, threads
or the order of tiles, not by one bit (docs/decisions/0002-fixed-point.md).
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nightcore import __version__
from nightcore.errors import BadInputError, UsageError
from nightcore.files import whole_file
from nightcore.grid import ROUNDING, Grid, ellipsoid_area_to
from nightcore.lights import Recipe, make_recipe
from nightcore.sensors import Sensor
from nightcore.store import TILE, Store, Tile, as_store, tiles_of
from nightcore.threads import thread_count
from nightcore.zones import Coverage, grid_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from nightcore.calibration import Calibration
    from nightcore.kernels.zonal import Scratch, Window, ZoneSums

Progress = Callable[[int, int], None]
Result = TypeVar("Result")

# [DN] thresholds of saturation below the sensor's ceiling, and the columns that tell how often they are reached
NEAR_CEILING = {"saturated55_share": 55, "saturated60_share": 60}
# [bytes] of a lazy stack that are kept from the search for its largest value until they are summed
KEPT = 2**28


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
        [DN], lit_share, saturated55_share, saturated60_share, saturated_share (stores only), missing_share, min, max
        [DN]; and reason where a zone covers no cell. `attrs["provenance"]` tells how it was made.

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
    saturated: np.ndarray  # (threshold, zone, layer) S w where the brightest raw DN of the year is at or above it
    missing: np.ndarray  # S w over unobserved cells
    low: np.ndarray  # smallest observed v, NaN where there is none
    high: np.ndarray  # largest observed v


class Tally:
    """Exact sums of all zones, to which those of tiles are added in any order.

    Limbs are kept where sums need them; weights and areas, at most 2**30 a cell, fit an int64 on any grid of fewer than
    2**33 cells.
    """

    def __init__(self, shape: tuple[int, int], n_threshold: int, low: float, high: float, dtype: type):
        """`shape` is (zone, layer), `low` and `high` what the extremes of nothing are."""
        from nightcore.kernels.fixed import ExactSum

        self.total, self.total_area = ExactSum(shape), ExactSum(shape)
        self.weight, self.area = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.int64)
        self.lit, self.missing, self.missing_area = (np.zeros(shape, np.int64) for _ in range(3))
        self.saturated = np.zeros((n_threshold, *shape), np.int64)
        self.low, self.high = np.full(shape, low, dtype), np.full(shape, high, dtype)

    def add(self, zones: np.ndarray, sums: ZoneSums) -> None:
        """Add the sums of one tile to the rows `zones` (k,)."""
        self.total.add(zones, *sums.total)
        self.total_area.add(zones, *sums.total_area)
        for name in ("weight", "area", "lit", "missing", "missing_area"):
            getattr(self, name)[zones] += getattr(sums, name)
        self.saturated[:, zones] += sums.saturated
        self.low[zones] = np.minimum(self.low[zones], sums.low)
        self.high[zones] = np.maximum(self.high[zones], sums.high)

    def totals(self, bits: int, area_bits: int, unit: float) -> Totals:
        """The sums as floats, each rounded once, and dropped here; light is in steps of 2**-bits, area in steps of
        2**-area_bits km2, extremes count `unit`."""
        from nightcore.kernels.cover import WEIGHT_BITS

        def drop(name: str) -> Any:
            return self.__dict__.pop(name)

        missing = drop("missing")
        low, high = drop("low"), drop("high")
        nothing = low > high
        return Totals(
            total=drop("total").value(bits + WEIGHT_BITS),
            total_area=drop("total_area").value(bits + area_bits),
            cells=np.ldexp(drop("weight")[:, None] - missing, -WEIGHT_BITS),
            area=np.ldexp(drop("area")[:, None] - drop("missing_area"), -area_bits),
            lit=np.ldexp(drop("lit"), -WEIGHT_BITS),
            saturated=np.ldexp(drop("saturated"), -WEIGHT_BITS),
            missing=np.ldexp(missing, -WEIGHT_BITS),
            low=np.where(nothing, np.nan, low * unit),
            high=np.where(nothing, np.nan, high * unit),
        )


def store_totals(store: Store, coverage: Coverage, recipe: Recipe, threads: int, progress: Progress | None) -> Totals:
    """Sums over all tiles of a store that a zone touches."""
    from nightcore.kernels.fixed import MERGED_BITS
    from nightcore.kernels.zonal import Window, dark_sums, zone_sums

    area, area_bits = area_units(store.grid)
    limits = thresholds(store.sensor)
    chain = (recipe.curves, recipe.year_start, recipe.merge_code, recipe.continuity_code)
    scratch = scratch_by_thread()

    def sums(tile: Tile) -> tuple[np.ndarray, ZoneSums]:
        cover, of_rows, own = coverage.block(tile), area[tile.row : tile.row + tile.height], scratch()
        if store.is_dark(tile):
            return cover.zones, dark_sums(*chain, cover, of_rows, limits)
        room = own.take("chunk", (len(store.composites), TILE, TILE), np.dtype(store.sensor.dtype))
        window = Window(0, TILE, tile.height, tile.width)
        dn = store.read_chunk(tile, room)
        return cover.zones, zone_sums(dn, recipe.selected, window, *chain, cover, of_rows, limits, own)

    shape = (len(coverage), len(recipe.year_start) - 1)
    touched = [tile for tile in store.tiles() if coverage.touches(tile)]
    return dn_totals(each(sums, touched, threads, progress), shape, len(limits), MERGED_BITS, area_bits)


def dn_totals(
    parts: Iterable[tuple[np.ndarray, ZoneSums]], shape: tuple[int, int], n_threshold: int, bits: int, area_bits: int
) -> Totals:
    """Totals of the sums of tiles, (zones, sums) each, from DN."""
    from nightcore.kernels.fixed import MISSING
    from nightcore.kernels.zonal import NOTHING

    tally = Tally(shape, n_threshold, NOTHING, MISSING, np.int32)
    for zones, sums in parts:
        tally.add(zones, sums)
    return tally.totals(bits, area_bits, 2.0**-bits)


def thresholds(sensor: Sensor) -> np.ndarray:
    """(3,) int64 raw DN that count as saturated, the ceiling last; none for a sensor without a ceiling."""
    return np.array([] if sensor.ceiling is None else [*NEAR_CEILING.values(), sensor.ceiling], np.int64)


def area_units(grid: Grid) -> tuple[np.ndarray, int]:
    """(row,) int32 area of a cell in each row [2**-bits km2], and bits: the same for all grids with these cells."""
    from nightcore.kernels.fixed import area_bits, quantise_area

    north = ellipsoid_area_to(np.array(min(grid.dy / 2, 90.0)))
    bits = area_bits(float(2 * north * np.deg2rad(grid.dx)))
    return quantise_area(grid.cell_area(), bits), bits


def scratch_by_thread() -> Callable[[], Scratch]:
    """A function that gives every thread its own Scratch."""
    from nightcore.kernels.zonal import Scratch

    own = threading.local()

    def scratch() -> Scratch:
        if not hasattr(own, "scratch"):
            own.scratch = Scratch()
        return own.scratch

    return scratch


def each(
    work: Callable[[Tile], Result], tiles: Sequence[Tile], threads: int, progress: Progress | None
) -> Iterator[Result]:
    """`work` of every tile, in the order of the tiles; kernels let go of the GIL, so threads run beside each other.

    At most a few results wait, however long one tile takes.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        following = iter(tiles)
        try:
            for done in range(1, len(tiles) + 1):
                while len(waiting) < 2 * threads and (tile := next(following, None)) is not None:
                    waiting.append(pool.submit(work, tile))
                yield waiting.popleft().result()
                if progress:
                    progress(done, len(tiles))
        finally:
            for left in waiting:
                left.cancel()


# --- tables -------------------------------------------------------------------------------------------------------


def tidy(
    totals: Totals, coverage: Coverage, layer: tuple[str, np.ndarray] | None, provenance: dict[str, Any]
) -> pd.DataFrame:
    """One row a zone and layer; shares and means of nothing are NaN.

    The arrays of `totals` become columns, because those of all zones are large: nobody else may need them.
    """
    import pandas as pd

    n_zone, n_layer = totals.cells.shape
    columns: dict[str, Any] = {"zone": pd.Series(coverage.ids, dtype=object).infer_objects().repeat(n_layer).array}
    columns |= {name: coverage.attributes[name].repeat(n_layer).array for name in coverage.attributes}
    if layer is not None:
        columns[layer[0]] = np.tile(layer[1], n_zone)
    shares = [*NEAR_CEILING, "saturated_share"] if len(totals.saturated) else []
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is the NaN that is wanted
        mean, mean_area = totals.total / totals.cells, totals.total_area / totals.area
        for light in (totals.total, totals.total_area):
            light[totals.cells == 0] = np.nan  # nothing seen is not darkness
        for part in (totals.lit, *totals.saturated):
            part /= totals.cells
        missing = totals.missing
        missing += coverage.outside[:, None]
        missing /= totals.cells + missing
    numbers = {
        "sum": totals.total,
        "cells": totals.cells,
        "mean": mean,
        "sum_area": totals.total_area,
        "area_km2": totals.area,
        "mean_area": mean_area,
        "lit_share": totals.lit,
        **dict(zip(shares, totals.saturated, strict=True)),
        "missing_share": missing,
        "min": totals.low,
        "max": totals.high,
    }
    columns |= {name: values.ravel() for name, values in numbers.items()}
    if coverage.reasons:
        columns["reason"] = pd.Series([coverage.reasons.get(id, "") for id in coverage.ids]).repeat(n_layer).array
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs["provenance"] = provenance
    return frame


# --- any raster stack ---------------------------------------------------------------------------------------------


@dataclass
class Stack:
    """A (layer, y, x) NumPy or dask array of any numbers, as blocks that kernels take.

    Attributes
    ----------
    values : array
    fills : tuple
        Values that stand for missing, of the dtype of `values`.
    """

    values: Any
    fills: tuple[Any, ...]
    kept: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    kept_bytes: int = 0

    @property
    def is_dn(self) -> bool:
        return self.values.dtype == np.uint8

    def block(self, tile: Tile, keep: bool = False) -> tuple[np.ndarray, Window]:
        """An array in one piece, uint8, float32 or float64 with NaN, and where in it the tile lies.

        An array in memory is not copied where kernels can take it as it is; of others, blocks are kept where `keep` and
        as long as they are few.
        """
        from nightcore.kernels.zonal import Window

        values, plain = self.values, self.values.dtype in (np.uint8, np.float32, np.float64)
        if isinstance(values, np.ndarray) and values.flags.c_contiguous and plain and (self.is_dn or not self.fills):
            return values, Window(tile.row * values.shape[2] + tile.column, values.shape[2], tile.height, tile.width)
        part = self.kept.get(tile.index)
        if part is None:
            part = np.asarray(values[:, tile.row : tile.row + tile.height, tile.column : tile.column + tile.width])
            missing = np.isin(part, self.fills) if self.fills and not self.is_dn else None
            part = np.ascontiguousarray(part, part.dtype if plain else np.float64)
            if missing is not None:
                part = np.where(missing, part.dtype.type(np.nan), part)
            if keep and not isinstance(values, np.ndarray) and self.kept_bytes + part.nbytes <= KEPT:
                self.kept[tile.index] = part
                self.kept_bytes += part.nbytes
        return part, Window(0, tile.width, tile.height, tile.width)


def stack_totals(stack: Stack, coverage: Coverage, grid: Grid, threads: int, progress: Progress | None) -> Totals:
    """Sums over all tiles of a stack that a zone touches."""
    area, area_bits = area_units(grid)
    touched = [tile for tile in tiles_of(grid) if coverage.touches(tile)]
    shape = (len(coverage), len(stack.values))
    total = dn_stack_totals if stack.is_dn else value_stack_totals
    return total(stack, coverage, area, area_bits, touched, shape, threads, progress)


def dn_stack_totals(
    stack: Stack,
    coverage: Coverage,
    area: np.ndarray,
    area_bits: int,
    tiles: Sequence[Tile],
    shape: tuple[int, int],
    threads: int,
    progress: Progress | None,
) -> Totals:
    """Bytes go the way of a store's DN, every layer a year of its own and its curve the identity."""
    from nightcore.kernels.continuity import NONE
    from nightcore.kernels.fixed import MERGED_BITS, quantise
    from nightcore.kernels.merge import MEAN
    from nightcore.kernels.zonal import zone_sums

    identity = np.arange(256.0)
    identity[list(stack.fills)] = np.nan
    layers = np.arange(shape[1] + 1, dtype=np.int64)
    chain = (quantise(np.tile(identity, (shape[1], 1))), layers, MEAN, NONE)
    scratch, none = scratch_by_thread(), np.array([], np.int64)

    def sums(tile: Tile) -> tuple[np.ndarray, ZoneSums]:
        cover, (dn, window) = coverage.block(tile), stack.block(tile)
        of_rows = area[tile.row : tile.row + tile.height]
        return cover.zones, zone_sums(dn, layers[:-1], window, *chain, cover, of_rows, none, scratch())

    return dn_totals(each(sums, tiles, threads, progress), shape, 0, MERGED_BITS, area_bits)


def value_stack_totals(
    stack: Stack,
    coverage: Coverage,
    area: np.ndarray,
    area_bits: int,
    tiles: Sequence[Tile],
    shape: tuple[int, int],
    threads: int,
    progress: Progress | None,
) -> Totals:
    """Floats are rounded to 2**-44 of the largest under any zone, so that sums are as good in W as in nW and know
    nothing of tiles; that takes a pass of its own."""
    from nightcore.kernels.zonal import largest_value, value_bits, zone_sums_values

    def largest(tile: Tile) -> float:
        return largest_value(*stack.block(tile, keep=True), coverage.block(tile))

    bits = value_bits(max(each(largest, tiles, threads, None), default=0.0))

    def sums(tile: Tile) -> tuple[np.ndarray, ZoneSums]:
        cover, (values, window) = coverage.block(tile), stack.block(tile)
        return cover.zones, zone_sums_values(values, window, bits, cover, area[tile.row : tile.row + tile.height])

    tally = Tally(shape, 0, np.inf, -np.inf, np.float64)
    for zones, found in each(sums, tiles, threads, progress):
        tally.add(zones, found)
    return tally.totals(bits, area_bits, 1.0)


def fills_of(array: xr.DataArray) -> tuple[Any, ...]:
    """What stands for missing by the attributes `_FillValue` and `missing_value`, as the array holds it: -999.9 of a
    float32 raster is not -999.9 of a float64 attribute."""
    found = []
    for name in ("_FillValue", "missing_value"):
        fill = array.attrs.get(name)
        if fill is None or np.isnan(fill):
            continue
        if np.issubdtype(array.dtype, np.integer):
            limits = np.iinfo(array.dtype)
            if not limits.min <= fill <= limits.max or fill != int(fill):
                continue  # no integer of the array can be that
        found.append(np.asarray(fill).astype(array.dtype)[()])
    return tuple(dict.fromkeys(found))


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
    stack = Stack(array.data if array.ndim == 3 else array.data[None], fills_of(array))
    totals = stack_totals(stack, coverage, grid, threads, progress)
    provenance = {
        "nightcore": __version__,
        "data": {"name": None if array.name is None else str(array.name), "shape": list(array.shape)},
        "coverage": provenance_of(coverage),
    }
    return tidy(totals, coverage, layer, provenance)


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
