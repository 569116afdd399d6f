"""Generated data of any size for the benchmarks: lights as sparse as the real ones, and zones that share their edges.

Nothing here is planted to be found again, as in nightcore.simulate; only what costs time is like the real product:
the grid, 34 composites in NGDC's names and packing, the share of dark cells, clusters of light, unobserved rows.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine

from nightcore.grid import DMSP_GLOBAL, Grid
from nightcore.sensors import DMSP_OLS, SATURATED

ORIGIN = (4200, 33600)  # row, column of the window's corner in the global grid: 40 N, 100 E
CELLS_A_CITY = 3500  # with RADIUS and PEAK, about 4 to 8 % of cells are lit
RADIUS = (1.0, 0.55)  # [ln cells] mean and standard deviation of a city's radius
PEAK = (3.2, 0.8)  # [ln DN] ... and of the radiance of its core
GROWTH = 0.02  # [1 / year] of all light
GAIN = (0.75, 0.08)  # mean and standard deviation between composites
NOISE = 0.1  # relative, of a cell in a composite
DETECTION = 3  # [DN] darker cells are 0 in stable lights
NORTH_MISSING = ("F121997", "F121998", "F121999")
NORTH_SHARE = 0.02  # of the rows


@dataclass(frozen=True)
class World:
    """What all benchmarks run on.

    Attributes
    ----------
    grid : Grid
    files : tuple of Path
        34 .tif.gz by year, then satellite.
    stack : (34, y, x) uint8
        Their content.
    zones : GeoDataFrame
        Column code; polygons that fill the grid without gap or overlap.
    """

    grid: Grid
    files: tuple[Path, ...]
    stack: np.ndarray
    zones: gpd.GeoDataFrame

    @property
    def dark_share(self) -> tuple[float, float, float]:
        """Share of cells that are 0: in the darkest and the brightest composite, and in all composites at once."""
        each = [float((layer == 0).mean()) for layer in self.stack]
        return max(each), min(each), float((self.stack == 0).all(axis=0).mean())


def make_world(folder: Path, height: int, width: int, n_zones: int, seed: int) -> World:
    """Write 34 composites of height x width cells to `folder`; the same seed gives the same pixels and polygons."""
    grid = DMSP_GLOBAL.part(*ORIGIN, height, width)
    rng = np.random.default_rng(seed)
    names = sorted(DMSP_OLS.composites, key=lambda name: (name[3:], name))
    stack = np.stack(list(composites(names, radiance(grid.shape, rng), rng)))
    files = tuple(folder / f"{name}.v4b_web.stable_lights.avg_vis.tif.gz" for name in names)
    for file, layer in zip(files, stack, strict=True):
        file.write_bytes(gzip.compress(geotiff(layer, grid), mtime=0))
    return World(grid, files, stack, voronoi(grid, n_zones, rng))


def radiance(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(y, x) float64 [DN] cities as Gaussian hills, sizes and peaks log-normal."""
    height, width = shape
    light = np.zeros(shape)
    n = max(3, height * width // CELLS_A_CITY)
    rows, columns = rng.uniform(0, height, n), rng.uniform(0, width, n)
    radii, peaks = rng.lognormal(*RADIUS, n), rng.lognormal(*PEAK, n)
    for row, column, radius, peak in zip(rows, columns, radii, peaks, strict=True):
        reach = int(4 * radius) + 1
        r = np.arange(max(0, int(row) - reach), min(height, int(row) + reach + 1))
        c = np.arange(max(0, int(column) - reach), min(width, int(column) + reach + 1))
        hill = np.exp(-((r - row) ** 2)[:, None] / (2 * radius**2) - (c - column) ** 2 / (2 * radius**2))
        light[r[0] : r[-1] + 1, c[0] : c[-1] + 1] += peak * hill
    return light


def composites(names: list[str], light: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(y, x) uint8 DN of each composite; 255 in the north of some."""
    place = np.flatnonzero(light > 1)
    bright = light.ravel()[place]
    first = int(names[0][3:])
    for name in names:
        gain = rng.normal(*GAIN) * (1 + GROWTH) ** (int(name[3:]) - first)
        dn = np.clip(gain * bright * rng.normal(1, NOISE, bright.size), 0, SATURATED)
        layer = np.zeros(light.shape, np.uint8)
        layer.ravel()[place] = np.where(dn < DETECTION, 0, dn)
        if name in NORTH_MISSING:
            layer[: int(NORTH_SHARE * len(layer))] = DMSP_OLS.nodata
        yield layer


def geotiff(layer: np.ndarray, grid: Grid) -> bytes:
    """An uncompressed single-band GeoTIFF, as NGDC packs into its archives."""
    profile = {"driver": "GTiff", "count": 1, "dtype": layer.dtype, "crs": "EPSG:4326"}
    with rasterio.MemoryFile() as memory:
        with memory.open(width=grid.width, height=grid.height, transform=Affine(*grid.transform), **profile) as file:
            file.write(layer, 1)
        return memory.read()


def voronoi(grid: Grid, n: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """`n` Voronoi cells of random points, cut to the grid's bounds."""
    west, south, east, north = grid.bounds
    points = shapely.MultiPoint(np.c_[rng.uniform(west, east, n), rng.uniform(south, north, n)])
    box = shapely.box(west, south, east, north)
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=box))
    return gpd.GeoDataFrame({"code": np.arange(n)}, geometry=shapely.intersection(cells, box), crs=4326)
