"""Two satellites of one year become one value.

The formula of the paper that nightcore follows is lost in print; its symbols, two satellites and one result of the
same year, admit only an average.  Liu et al. (2012), doi:10.1016/j.landurbplan.2012.02.013, also make a pixel dark that
either satellite sees dark (`either_zero`).  No paper says what happens to a pixel that one satellite never observed:
here it takes the other's value, and one that none observed stays missing (docs/notation.md).

A rule is a function of one pixel and serves fixed point and floats: `none` is the mark of a missing value, an integer
for integers and NaN for floats, and `half` is what a value counts in a mean of two, 0.5 for floats and 1 for integers,
which are in steps of half the size once they are merged.  A value of 0 or below is dark.
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
def mean(values, n, cell, none, half, lit_only, dark_wins):
    """Mean of the observed values[:n, cell], or of those above 0 where `lit_only`; 0 where nothing is left of what was
    observed, and where any of it is dark and `dark_wins`.  In fixed point exact for two, nearest for more."""
    total, used, seen, dark = 0 * half, 0, False, False
    for i in range(n):
        value = values[i, cell]
        observed = not is_missing(value, none)
        counts = observed and (value > 0 or not lit_only)
        # selects instead of branches: the loop over cells becomes one over vectors of them
        total += value if counts else 0 * half
        used += 1 if counts else 0
        seen |= observed
        dark |= observed and value <= 0
    level = total * (half if used == 2 else half + half)
    if used > 2:
        level = values.dtype.type(settle(total * (half + half) / used, none))
    level = 0 * half if dark and dark_wins else level
    return level if seen else none


@kernel
def pick(values, n, cell, none, half, last):
    """The first observed one of values[:n, cell], or the `last`; satellites are numbered as they were launched."""
    chosen = none
    for i in range(n):
        value = values[i, cell]
        better = not is_missing(value, none) and (last or is_missing(chosen, none))
        chosen = value * (half + half) if better else chosen
    return chosen


# --- many pixels --------------------------------------------------------------------------------------------------


@kernel
def merge_year(values, n, n_cell, rule, none, half, out):
    """Merge values[:n, :n_cell], one year's composites by ascending satellite, into out[:n_cell]; `none` if none
    observed."""
    lit_only, dark_wins, last = rule == MEAN_OF_LIT, rule == EITHER_ZERO, rule == NEWER
    # the compiler unrolls what happens to a pixel for the numbers that it knows: years have one or two satellites
    if n == 1:
        for cell in range(n_cell):
            out[cell] = mean(values, 1, cell, none, half, lit_only, dark_wins)
    elif rule in (NEWER, OLDER):
        if n == 2:
            for cell in range(n_cell):
                out[cell] = pick(values, 2, cell, none, half, last)
        else:
            for cell in range(n_cell):
                out[cell] = pick(values, n, cell, none, half, last)
    elif n == 2:
        for cell in range(n_cell):
            out[cell] = mean(values, 2, cell, none, half, lit_only, dark_wins)
    else:
        for cell in range(n_cell):
            out[cell] = mean(values, n, cell, none, half, lit_only, dark_wins)


@kernel
def merge_stack(stack, year_start, rule):
    """(composite, cell) float [DN], years apart by `year_start` (year + 1,) -> (year, cell) of the same dtype."""
    n_year = len(year_start) - 1
    merged = np.empty((n_year, stack.shape[1]), stack.dtype)
    for year in range(n_year):
        first, stop = year_start[year], year_start[year + 1]
        merge_year(stack[first:stop], stop - first, stack.shape[1], rule, np.nan, 0.5, merged[year])
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
