"""The same work as nightcore's, as it is done without nightcore: NumPy, dask, exactextract, rasterio, zarr-python.

They are written to be fast, not to look slow: curves as float32 tables, whole tiles at a time, float32 lights. Weights
come from nightcore's coverage where a row says that the coverage is given.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import xarray as xr
import zarr
from affine import Affine
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from rasterio.features import rasterize
from zarr.codecs import ZstdCodec

from nightcore import calibration
from nightcore.grid import Grid
from nightcore.kernels.cover import WEIGHT_BITS
from nightcore.store import TILE, ZSTD_LEVEL, Store, Tile, encode_chunk
from nightcore.zones import Coverage

# --- the chain ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chain:
    """Curves (34, 256) float32 [DN], NaN missing; composites year_start[i]:year_start[i + 1] are those of year i."""

    curves: np.ndarray
    year_start: np.ndarray

    @classmethod
    def of(cls, store: Store, method: str) -> Chain:
        """The chain of a published calibration."""
        curves = calibration(method).curves(store.composites).astype(np.float32)
        _, first = np.unique(store.years, return_index=True)
        return cls(curves, np.r_[first, len(store.years)])

    @property
    def n_year(self) -> int:
        return len(self.year_start) - 1

    def annual(self, dn: np.ndarray) -> np.ndarray:
        """(composite, ...) uint8 -> (year, ...) float32 [DN]: curve, mean of two satellites, sequential continuity."""
        lights = np.empty((self.n_year, *dn.shape[1:]), np.float32)
        for year in range(self.n_year):
            first, last = self.year_start[year], self.year_start[year + 1] - 1
            lights[year] = self.curves[first][dn[first]]
            if first < last:
                mean_of_observed(lights[year], self.curves[last][dn[last]])
        hold(lights)
        return lights


def mean_of_observed(one: np.ndarray, other: np.ndarray) -> None:
    """Mean of two satellites in place of `one`; where one of them saw nothing, the other."""
    unseen = np.isnan(one) | np.isnan(other)
    alone = np.fmax(one[unseen], other[unseen])
    one += other
    one *= np.float32(0.5)
    one[unseen] = alone


def hold(lights: np.ndarray) -> None:
    """Sequential continuity of (year, ...) in place: 0 before a dark year, else not below the year before; years that
    were not observed are passed over."""
    dark_next = np.zeros(lights.shape[1:], bool)
    to_zero = np.empty(lights.shape, bool)
    for year in range(len(lights) - 1, -1, -1):
        to_zero[year] = dark_next
        dark_next = np.where(np.isnan(lights[year]), dark_next, lights[year] <= 0)
    before = np.full(lights.shape[1:], -np.inf, np.float32)
    for now, zero in zip(lights, to_zero, strict=True):
        seen = ~np.isnan(now)
        np.maximum(now, before, out=now)
        now[zero & seen] = 0
        np.copyto(before, now, where=seen)


def weighted_sums(
    lights: np.ndarray, pixel: np.ndarray, zone: np.ndarray, weight: np.ndarray, n_zones: int
) -> np.ndarray:
    """(year, cell) lights at the entries -> (zone, year) sums; missing counts nothing."""
    return np.stack(
        [np.bincount(zone, weight * np.nan_to_num(year[pixel]), minlength=n_zones) for year in lights], axis=1
    )


def tile_sums(chain: Chain, coverage: Coverage, array: zarr.Array, lit_only: bool, tile: Tile) -> np.ndarray:
    """(zone, year) sums of one tile; `lit_only` leaves out the cells that are 0 in all composites."""
    rows, columns = slice(tile.row, tile.row + tile.height), slice(tile.column, tile.column + tile.width)
    dn = array[:, rows, columns].reshape(array.shape[0], -1)
    cover = coverage.block(tile)
    row, column, local, units = cover.entries()
    pixel, zone, weight = row.astype(np.int64) * tile.width + column, cover.zones[local], units * 2.0**-WEIGHT_BITS
    if lit_only:
        lit = dn.any(axis=0)
        chosen = lit[pixel]
        pixel, zone, weight = (np.cumsum(lit) - 1)[pixel[chosen]], zone[chosen], weight[chosen]
        dn = dn[:, lit]
    return weighted_sums(chain.annual(dn), pixel, zone, weight, len(coverage))


def numpy_tiles(store: Store, coverage: Coverage, chain: Chain, threads: int, lit_only: bool = False) -> np.ndarray:
    """(zone, year) sums of a store, tile by tile on a pool of threads, chunks read through zarr-python."""
    array = zarr.open_array(store.path / store.sensor.variable, mode="r")
    total = np.zeros((len(coverage), chain.n_year))
    with ThreadPoolExecutor(threads) as pool:
        for sums in pool.map(partial(tile_sums, chain, coverage, array, lit_only), store.tiles()):
            total += sums
    return total


def dask_blocks(store: Store, coverage: Coverage, chain: Chain, threads: int) -> np.ndarray:
    """(zone, year) sums: one `map_blocks` over the store opened by xarray, then bincount of the computed cube."""
    raw = xr.open_zarr(store.path, mask_and_scale=False)[store.sensor.variable].data
    chunks = ((chain.n_year,), *raw.chunks[1:])
    lights = raw.map_blocks(chain.annual, dtype=np.float32, chunks=chunks, meta=np.empty((0, 0, 0), np.float32))
    cube = lights.compute(scheduler="threads", num_workers=threads).reshape(chain.n_year, -1)
    pixel = coverage.row.astype(np.int64) * coverage.grid.width + coverage.column
    weight = np.rint(coverage.weight * 2.0**WEIGHT_BITS) * 2.0**-WEIGHT_BITS  # as tiles hold them
    return weighted_sums(cube, pixel, coverage.zone, weight, len(coverage))


# --- zones --------------------------------------------------------------------------------------------------------


def sums_by_exactextract(layers: np.ndarray, grid: Grid, zones: gpd.GeoDataFrame, operations: Sequence[str]):
    """DataFrame, one row a zone, columns layer000_sum ...; (layer, y, x) float32, NaN missing."""
    sources = [NumPyRasterSource(layer, *grid.bounds, name=f"layer{i:03d}") for i, layer in enumerate(layers)]
    return exact_extract(sources, zones, list(operations), output="pandas")


def cells_by_exactextract(grid: Grid, zones: gpd.GeoDataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cell, zone, weight) of every covered cell, zone by zone."""
    raster = NumPyRasterSource(np.broadcast_to(np.zeros(1, np.uint8), grid.shape), *grid.bounds)
    found = exact_extract(raster, zones, ["cell_id", "coverage"], output="pandas")
    zone = np.repeat(np.arange(len(found)), [len(cells) for cells in found["cell_id"]])
    return np.concatenate(list(found["cell_id"])), zone, np.concatenate(list(found["coverage"]))


def zone_image(grid: Grid, zones: gpd.GeoDataFrame) -> np.ndarray:
    """(y, x) int32 index of the zone that holds a cell's centre, all zones in one call; -1 where none."""
    shapes = list(zip(zones.geometry, range(len(zones)), strict=True))
    return rasterize(shapes, grid.shape, fill=-1, transform=Affine(*grid.transform), dtype="int32")


# --- ingest -------------------------------------------------------------------------------------------------------


def inflate_and_encode(files: Sequence[Path], stack: np.ndarray, tiles: Sequence[Tile], threads: int) -> list[bytes]:
    """What no ingest can do without: gunzip every file, compress every chunk; no decoding, checks, hashes or files."""

    def encode(tile: Tile) -> bytes:
        block = stack[:, tile.row : tile.row + tile.height, tile.column : tile.column + tile.width]
        return encode_chunk(block, 255)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(inflated_size, files))
        return list(pool.map(encode, tiles))


def inflated_size(file: Path) -> int:
    return len(gzip.decompress(file.read_bytes()))


def ingest_by_zarr(files: Sequence[Path], target: Path, grid: Grid, threads: int) -> zarr.Array:
    """The same files to an array of the same chunks and codec by rasterio and zarr-python; nothing is checked."""
    stack = np.empty((len(files), *grid.shape), np.uint8)

    def read(i: int) -> None:
        with rasterio.MemoryFile(gzip.decompress(files[i].read_bytes())) as memory, memory.open() as dataset:
            dataset.read(1, out=stack[i])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, range(len(files))))
    array = zarr.create_array(
        target,
        shape=stack.shape,
        chunks=(len(files), TILE, TILE),
        dtype="uint8",
        fill_value=255,
        compressors=ZstdCodec(level=ZSTD_LEVEL, checksum=True),
        overwrite=True,
    )
    array[...] = stack
    return array
