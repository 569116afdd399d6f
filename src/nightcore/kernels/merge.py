"""Two satellites of one year become one value.

The formula of the paper that nightcore follows is lost in print; its symbols, two satellites and one result of the
same year, admit only an average.  Liu et al. (2012), doi:10.1016/j.landurbplan.2012.02.013, also make a pixel dark that
either satellite sees dark (`either_zero`).  No paper says what happens to a pixel that one satellite never observed:
here it takes the other's value, and one that none observed stays missing (docs/notation.md).

A rule is a function of one pixel and serves fixed point and floats: `none` is the mark of a missing value, an integer
for integers and NaN for floats.  A value of 0 or below is dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.errors import BadInputError, UsageError
from nightcore.kernels import kernel
from nightcore.kernels.blocks import along_first, is_labelled, require_dimension, require_stack, without_fill

if TYPE_CHECKING:
    import xarray as xr

MEAN, EITHER_ZERO, MEAN_OF_LIT, NEWER, OLDER = range(5)

MERGE_RULES = {
    "mean": MEAN,
    "either_zero": EITHER_ZERO,
    "mean_of_lit": MEAN_OF_LIT,
    "newer": NEWER,
    "older": OLDER,
}


# --- one pixel ----------------------------------------------------------------------------------------------------


@kernel
def is_missing(value, none):
    """True for the mark `none`, be it an integer or NaN."""
    return value == none or value != value


@kernel
def settle(mean, none):
    """A float as it is stored: rounded half to even where values are integers."""
    return mean if none != none else np.rint(mean)


@kernel
def mean(values, first, stop, none):
    """Mean of the observed values[first:stop]; in fixed point exact for two, nearest for more."""
    total, n = 0.0, 0
    for i in range(first, stop):
        if not is_missing(values[i], none):
            total += values[i]
            n += 1
    return settle(total / n, none) if n else np.float64(none)


@kernel
def either_zero(values, first, stop, none):
    """0 where any observed value is dark, the mean elsewhere."""
    for i in range(first, stop):
        if not is_missing(values[i], none) and values[i] <= 0:
            return 0.0
    return mean(values, first, stop, none)


@kernel
def mean_of_lit(values, first, stop, none):
    """Mean of the observed values above 0; 0 where all observed ones are dark."""
    total, n_lit, n = 0.0, 0, 0
    for i in range(first, stop):
        if not is_missing(values[i], none):
            n += 1
            if values[i] > 0:
                total += values[i]
                n_lit += 1
    if n_lit:
        return settle(total / n_lit, none)
    return 0.0 if n else np.float64(none)


@kernel
def newer(values, first, stop, none):
    """The observed value of the last satellite; satellites are numbered in the order of their launch."""
    for i in range(stop - 1, first - 1, -1):
        if not is_missing(values[i], none):
            return np.float64(values[i])
    return np.float64(none)


@kernel
def older(values, first, stop, none):
    """The observed value of the first satellite."""
    for i in range(first, stop):
        if not is_missing(values[i], none):
            return np.float64(values[i])
    return np.float64(none)


@kernel
def merge_pixel(values, first, stop, rule, none):
    """values[first:stop], one year's composites by ascending satellite, as one float64; `none` if none observed."""
    if rule == MEAN:
        return mean(values, first, stop, none)
    if rule == EITHER_ZERO:
        return either_zero(values, first, stop, none)
    if rule == MEAN_OF_LIT:
        return mean_of_lit(values, first, stop, none)
    if rule == NEWER:
        return newer(values, first, stop, none)
    return older(values, first, stop, none)


# --- stacks -------------------------------------------------------------------------------------------------------


@kernel
def merge_stack(stack, year_start, rule):
    """(composite, cell) float [DN], years apart by `year_start` (year + 1,) -> (year, cell) of the same dtype."""
    n_composite, n_cell = stack.shape
    n_year = len(year_start) - 1
    merged = np.empty((n_year, n_cell), stack.dtype)
    values = np.empty(n_composite, stack.dtype)
    for cell in range(n_cell):
        for i in range(n_composite):
            values[i] = stack[i, cell]
        for year in range(n_year):
            merged[year, cell] = merge_pixel(values, year_start[year], year_start[year + 1], rule, np.nan)
    return merged


def merge_stack_reference(stack: np.ndarray, year_start: np.ndarray, rule: int) -> np.ndarray:
    """`merge_stack` in NumPy, to read and to test against."""
    merged = np.empty((len(year_start) - 1, stack.shape[1]), stack.dtype)
    for year, (first, stop) in enumerate(pairwise(year_start)):
        values = stack[first:stop].astype(np.float64)
        seen = ~np.isnan(values)
        any_seen = seen.any(axis=0)
        used = seen & (values > 0) if rule == MEAN_OF_LIT else seen
        if rule in (NEWER, OLDER):
            order = slice(None, None, -1) if rule == NEWER else slice(None)
            place = seen[order].argmax(axis=0)
            result = np.take_along_axis(values[order], place[None], axis=0)[0]
        else:
            total, n = values.sum(axis=0, where=used), used.sum(axis=0)
            result = np.divide(total, n, out=np.zeros(total.shape), where=n > 0)
        if rule == EITHER_ZERO:
            result = np.where((seen & (values <= 0)).any(axis=0), 0.0, result)
        merged[year] = np.where(any_seen, result, np.nan)
    return merged


def merge(
    stack: np.ndarray | xr.DataArray, rule: str = "mean", years: Sequence[int] | None = None
) -> np.ndarray | xr.DataArray:
    """One layer a year from the composites of one or more satellites.

    Parameters
    ----------
    stack : (composite, y, x) array or DataArray
        Floats [DN], NaN missing; or integer DN, 255 missing. Within a year composites stand by ascending satellite.
        A DataArray has a coordinate `year` along `composite`, and is put in order by its coordinate `satellite` where
        it has one; a dask array stays lazy.
    rule : {"mean", "either_zero", "mean_of_lit", "newer", "older"}
        What becomes of two observed values; a cell that one satellite observed takes that value under every rule.
    years : sequence of int, optional
        Year of each composite of an array without labels; by default all belong to one year.

    Returns
    -------
    (year, y, x) array or DataArray
        Years ascending; float64 stays float64, anything else becomes float32 (exact for DN and half DN); NaN where no
        satellite observed.

    Raises
    ------
    UsageError
        An unknown rule, or `years` with a DataArray.
    BadInputError
        No coordinate or dimension to tell years by, or not one year for each composite.
    """
    if rule not in MERGE_RULES:
        raise UsageError(f"there is no merge rule '{rule}': expected one of {', '.join(MERGE_RULES)}.")
    if is_labelled(stack):
        if years is not None:
            raise UsageError("years were given with a DataArray: its coordinate 'year' tells them, leave years out.")
        return merge_labelled(stack, rule)
    stack = np.asarray(stack) if not hasattr(stack, "dask") else stack
    require_stack(stack, "composite")
    years = np.zeros(len(stack), np.int64) if years is None else np.asarray(years)
    if years.shape != (len(stack),):
        raise BadInputError(f"{years.size} years for {len(stack)} composites: expected one for each.")
    order = np.argsort(years, kind="stable")
    return merge_ordered(stack, rule, order, years[order])


def merge_labelled(stack: xr.DataArray, rule: str) -> xr.DataArray:
    """`merge` of a DataArray; coordinates along y, x and without a dimension are kept."""
    stack = without_fill(stack)
    require_dimension(stack, "composite")
    first = stack.transpose("composite", ...)
    require_stack(first, "composite")
    years = first.coords["year"].values
    satellite = first.coords.get("satellite")
    satellites = np.zeros(len(years)) if satellite is None else satellite.values.astype(str)
    order = np.lexsort((satellites, years))  # lexsort is stable
    merged = merge_ordered(first.data, rule, order, years[order])
    kept = {name: c for name, c in first.coords.items() if "composite" not in c.dims}
    labelled = type(stack)(
        merged,
        dims=("year", *first.dims[1:]),
        coords={"year": np.unique(years), **kept},
        name=stack.name,
        attrs=stack.attrs,
    )
    return labelled.transpose(*("year" if name == "composite" else name for name in stack.dims))


def merge_ordered(data: Any, rule: str, order: np.ndarray, years: np.ndarray) -> Any:
    """`merge` of data[order], whose ascending `years` are known."""
    distinct, first = np.unique(years, return_index=True)
    year_start = np.r_[first, len(years)].astype(np.int64)
    code = MERGE_RULES[rule]
    return along_first(data, lambda cells: merge_stack(cells[order], year_start, code), len(distinct))
