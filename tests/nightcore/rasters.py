"""Small GeoTIFFs in NGDC's naming, for tests of everything that reads files."""

import gzip
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from nightcore.grid import DMSP_GLOBAL, Grid
from nightcore.sensors import DMSP_OLS

# a window of the global grid that is three tiles by two, so that edges between tiles are exercised
SMALL = DMSP_GLOBAL.part(4000, 24000, 620, 1100)


def random_dn(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """DN like the product's: mostly dark, some lit, a few saturated, a few never observed."""
    kind = rng.random(shape)
    dn = rng.integers(3, 63, shape)
    dn[kind < 0.7] = 0
    dn[kind > 0.98] = 63
    dn[(kind > 0.7) & (kind < 0.72)] = 255
    return dn.astype(np.uint8)


def write_raster(path: Path, values: np.ndarray, grid: Grid, crs: str | None = "EPSG:4326", **options) -> Path:
    """A single-band GeoTIFF; a name that ends in .gz is gzipped."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    profile = {"driver": "GTiff", "count": 1, "dtype": values.dtype, "compress": "lzw", **options}
    with rasterio.open(
        plain, "w", width=grid.width, height=grid.height, crs=crs, transform=Affine(*grid.transform), **profile
    ) as file:
        file.write(values, 1)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes(), 1, mtime=0))
        plain.unlink()
    return path


def ngdc_name(composite: str, product: str = "stable_lights.avg_vis") -> str:
    version = {"F182010": "v4d"}.get(composite, "v4c" if composite.startswith("F18") else "v4b")
    return f"{composite}.{version}_web.{product}.tif"


def write_composites(
    folder: Path, grid: Grid = SMALL, seed: int = 0, names: tuple[str, ...] = DMSP_OLS.composites
) -> dict[str, np.ndarray]:
    """One random GeoTIFF a composite; returns what was written."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    written = {name: random_dn(rng, grid.shape) for name in names}
    for name, dn in written.items():
        write_raster(folder / ngdc_name(name), dn, grid)
    return written
