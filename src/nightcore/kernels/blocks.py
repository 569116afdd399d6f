"""How the public functions of arrays meet labels and laziness: one function of a NumPy block, applied to any array."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr

NODATA = 255  # [DN] of integer composites


def as_lights(values: np.ndarray) -> np.ndarray:
    """Floats as they are, integer DN as float32 with NaN for 255 (float32 holds every DN and half DN exactly)."""
    if np.issubdtype(values.dtype, np.integer):
        return np.where(values == NODATA, np.float32(np.nan), values.astype(np.float32))
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)


def lights_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype that `as_lights` gives; anything but numbers is refused."""
    if np.issubdtype(dtype, np.integer) or np.issubdtype(dtype, np.floating):
        return as_lights(np.empty(0, dtype)).dtype
    raise BadInputError(f"the stack holds {dtype}: expected floats (NaN missing) or integer DN (255 missing).")


def is_labelled(stack: Any) -> bool:
    """True for an xarray.DataArray; who has one has imported xarray already."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(stack, xarray.DataArray)


def along_first(data: Any, function: Callable[[np.ndarray], np.ndarray], length: int) -> Any:
    """Apply `function` of (n, cell) -> (length, cell) floats to a NumPy or dask array (n, ...), lazily for dask."""
    dtype = lights_dtype(data.dtype)

    def block(part: np.ndarray) -> np.ndarray:
        lights = as_lights(np.asarray(part))
        cells = np.ascontiguousarray(lights.reshape(len(lights), -1))
        return function(cells).reshape(length, *part.shape[1:])

    if not hasattr(data, "dask"):
        return block(data)
    whole = data.rechunk({0: -1})
    return whole.map_blocks(
        block, dtype=dtype, chunks=((length,), *whole.chunks[1:]), meta=np.empty((0,) * data.ndim, dtype)
    )


def without_fill(stack: xr.DataArray) -> xr.DataArray:
    """Lights with NaN where the attributes `_FillValue` or `missing_value` say that nothing was observed.

    These attributes, and what nightcore wrote of how the stack was made, are untrue of what comes out and are left out.
    """
    fills = [stack.attrs[name] for name in ("_FillValue", "missing_value") if name in stack.attrs]
    kept = {n: v for n, v in stack.attrs.items() if n not in ("_FillValue", "missing_value", "nightcore")}
    for fill in fills:
        if not np.isnan(fill):
            lights = stack.astype(lights_dtype(stack.dtype))
            # as the file holds it: -999.9 of a float32 raster is not -999.9 of a float64 attribute
            stack = lights.where(stack != np.asarray(fill).astype(stack.dtype))
    return stack.assign_attrs() if stack.attrs == kept else stack.drop_attrs().assign_attrs(kept)


def require_dimension(stack: xr.DataArray, name: str) -> None:
    """Refuse an array without the dimension `name`, or without `year` along it."""
    if name not in stack.dims:
        raise BadInputError(
            f"the array has dimensions {', '.join(map(str, stack.dims))}: expected {name} among them; rename its own."
        )
    if "year" not in stack.coords or stack.coords["year"].dims != (name,):
        raise BadInputError(f"the array has no coordinate 'year' along {name}: assign one.")


def require_stack(stack: np.ndarray, first: str) -> None:
    """Refuse an array without a first axis of some length."""
    if stack.ndim == 0 or not len(stack):
        raise BadInputError(f"the stack has shape {stack.shape}: expected ({first}, y, x) with at least one {first}.")
