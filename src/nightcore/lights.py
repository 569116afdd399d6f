"""Store + calibration + merge + continuity -> a lazy (year, y, x) cube of annual lights."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore import __version__
from nightcore.calibration import Calibration, calibration
from nightcore.errors import BadInputError, MissingCoefficientsError, UsageError
from nightcore.files import beside
from nightcore.store import TILE, Store, as_store, spatial_ref, write_cube

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Recipe:
    """Everything that turns the composites of one pixel into its annual series.

    Attributes
    ----------
    calibration : Calibration
    composites : tuple of str
        Those used, ordered by year, then satellite.
    selected : (n,) int
        Their places in the store.
    years : (year,) int
    year_start : (year + 1,) int64
        Composites year_start[i]:year_start[i + 1] are those of years[i].
    curves : (n, 256) int32
        Calibrated DN in fixed point (kernels/fixed.py).
    merge, continuity : str
    dropped : tuple of str
        Composites left out because the calibration does not know them.
    """

    calibration: Calibration
    composites: tuple[str, ...]
    selected: np.ndarray
    years: np.ndarray
    year_start: np.ndarray
    curves: np.ndarray
    merge: str
    continuity: str
    dropped: tuple[str, ...]

    @property
    def merge_code(self) -> int:
        from nightcore.kernels.merge import MERGE_RULES

        return MERGE_RULES[self.merge]

    @property
    def continuity_code(self) -> int:
        from nightcore.kernels.continuity import CONTINUITY_RULES

        return CONTINUITY_RULES[self.continuity]

    def provenance(self, store: Store) -> dict[str, Any]:
        """What has to be known to repeat the work: versions, inputs' hashes, options."""
        return {
            "nightcore": __version__,
            "store": str(store.path.name),
            "store_sha256": store.hash,
            "sensor": store.sensor.name,
            "calibration": self.calibration.provenance(),
            "merge": self.merge,
            "continuity": self.continuity,
            "composites": list(self.composites),
            "dropped": list(self.dropped),
            "shifted": {c.name: [c.dx, c.dy] for c in store.details if c.dx or c.dy},
        }


def as_calibration(method: Calibration | str | Path | None) -> Calibration:
    """A Calibration from itself, a method's name, or a file written by `Calibration.save`."""
    if isinstance(method, Calibration):
        return method
    if method is None:
        raise UsageError("no calibration given: pass a method such as 'elvidge2014', or 'raw' to use DN as they are.")
    return calibration(method)


def make_recipe(
    store: Store, method: Calibration | str | Path | None, merge: str, continuity: str, missing: str
) -> Recipe:
    """Look everything up once, so that kernels see arrays only."""
    from nightcore.kernels.continuity import CONTINUITY_RULES
    from nightcore.kernels.fixed import quantise
    from nightcore.kernels.merge import MERGE_RULES

    cal = as_calibration(method)
    for rule, rules, what in ((merge, MERGE_RULES, "merge"), (continuity, CONTINUITY_RULES, "continuity")):
        if rule not in rules:
            raise UsageError(f"there is no {what} rule '{rule}': expected one of {', '.join(rules)}.")
    selected, dropped = usable(store.composites, cal, missing)
    years, year_start = group_years([store.years[i] for i in selected])
    names = tuple(store.composites[i] for i in selected)
    return Recipe(cal, names, selected, years, year_start, quantise(cal.curves(names)), merge, continuity, dropped)


def usable(composites: Sequence[str], cal: Calibration, missing: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Places of the composites that the calibration knows; `missing` says what becomes of the others."""
    if missing not in ("raise", "drop"):
        raise UsageError(f"missing='{missing}' is not possible: expected 'raise' or 'drop'.")
    unknown = tuple(name for name in composites if name not in cal)
    if unknown and missing == "raise":
        raise MissingCoefficientsError(
            f"{cal.name} has no coefficients for {', '.join(unknown)}: pass missing='drop' (--missing drop) to leave "
            f"them out, or fit them with fit_calibration; they are never used uncalibrated."
        )
    known = np.array([place for place, name in enumerate(composites) if name in cal], dtype=np.int64)
    if not len(known):
        raise MissingCoefficientsError(f"{cal.name} has coefficients for none of {', '.join(composites)}.")
    return known, unknown


def group_years(years: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ascending years -> (distinct years, where each begins and the last ends)."""
    distinct, first = np.unique(np.asarray(years, np.int64), return_index=True)
    return distinct, np.r_[first, len(years)].astype(np.int64)


def annual_lights(
    store: Store | str | Path | xr.Dataset,
    method: Calibration | str | Path,
    merge: str = "mean",
    continuity: str = "none",
    window: tuple[float, float, float, float] | None = None,
    missing: str = "raise",
) -> xr.DataArray:
    """Calibrated lights of every year, lazily.

    Parameters
    ----------
    store : path, Store or Dataset of `open_store`
    method : Calibration, name of a method, or file of a fitted one
    merge : str
        How two satellites of a year become one: mean, either_zero, mean_of_lit, newer, older (docs/notation.md).
    continuity : str
        Between years: none (default), sequential (the paper's), fixpoint and others; each manufactures growth in
        noisy series, see docs/decisions/0003-continuity.md.
    window : (west, south, east, north), optional
        Only the cells that touch this box [degrees].
    missing : {"raise", "drop"}
        What becomes of composites that the calibration does not know.

    Returns
    -------
    xarray.DataArray
        (year, y, x) float32 [DN], NaN where nothing was observed; one dask task a tile. `attrs["nightcore"]` is JSON
        that tells how it was made.

    Raises
    ------
    MissingCoefficientsError
        Composites without coefficients and missing="raise"; names them.
    """
    import dask.array
    import xarray as xr

    from nightcore.store import open_store

    store = as_store(store)
    recipe = make_recipe(store, method, merge, continuity, missing)
    raw = open_store(store)[store.sensor.variable]

    def annual(block: np.ndarray) -> np.ndarray:
        from nightcore.kernels.annual import annual_block

        chosen = np.ascontiguousarray(block[recipe.selected])
        return annual_block(chosen, recipe.curves, recipe.year_start, recipe.merge_code, recipe.continuity_code)

    lights = dask.array.map_blocks(
        annual,
        raw.data,
        dtype=np.float32,
        chunks=((len(recipe.years),), *raw.data.chunks[1:]),
        meta=np.empty((0, 0, 0), np.float32),
    )
    cube = xr.DataArray(
        lights,
        dims=("year", "y", "x"),
        coords={"year": recipe.years, "y": raw.y, "x": raw.x, "spatial_ref": ((), 0, spatial_ref(store.grid))},
        name="lights",
        attrs={
            "long_name": f"{store.sensor.name} lights, {recipe.calibration.name}, {merge}, {continuity}",
            "units": store.sensor.units,
            "grid_mapping": "spatial_ref",
            "nightcore": json.dumps(recipe.provenance(store)),
        },
    )
    if window is None:
        return cube
    row, column, height, width = store.grid.window(window)
    part = cube[:, row : row + height, column : column + width]
    part.coords["spatial_ref"].attrs = spatial_ref(store.grid.part(row, column, height, width))
    return part


def write_lights(cube: xr.DataArray, path: Path) -> None:
    """Write a cube of lights as Zarr (a folder that ends in .zarr) or as one GeoTIFF a year (any other folder).

    The folder appears whole or not at all.

    Raises
    ------
    BadInputError
        It is there already, or its parent is not.
    """
    if path.exists():
        raise BadInputError(f"{path} exists: choose another name for the lights.")
    if not path.parent.is_dir():
        raise BadInputError(f"the folder {path.parent} of {path.name} does not exist: make it, or choose another.")
    if path.suffix in (".tif", ".tiff"):
        raise BadInputError(f"{path} is the name of one file, lights have one a year: give the name of a folder.")
    write = write_cube if path.suffix == ".zarr" else write_geotiffs
    draft = beside(path, "draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        write(cube, draft)
        os.replace(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_geotiffs(cube: xr.DataArray, folder: Path) -> None:
    """One GeoTIFF a year, float32 with NaN missing; every tile is computed once, for all years."""
    import rasterio
    from affine import Affine
    from rasterio.windows import Window

    from nightcore.zones import grid_of

    grid = grid_of(cube)
    profile = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": "float32",
        "nodata": np.nan,
        "crs": "EPSG:4326",
        "transform": Affine(*grid.transform),
        "compress": "deflate",
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
    }
    folder.mkdir()
    with ExitStack() as stack:
        files = [
            stack.enter_context(rasterio.open(folder / f"lights_{y}.tif", "w", **profile)) for y in cube.year.values
        ]
        for file in files:
            file.update_tags(nightcore=cube.attrs["nightcore"])
        for row in range(0, grid.height, TILE):
            for column in range(0, grid.width, TILE):
                block = cube[:, row : row + TILE, column : column + TILE].values
                window = Window(column, row, block.shape[2], block.shape[1])
                for file, layer in zip(files, block, strict=True):
                    file.write(layer, 1, window=window)
