"""Continuity between years: light that lasts does not fade.

Z. Liu et al. (2012), "Extracting the dynamics of urban expansion in China using DMSP-OLS nighttime light data from
1992 to 2008", Landsc. Urban Plan. 106, 62-72, doi:10.1016/j.landurbplan.2012.02.013, relate a year to its neighbours:

    DN[t] = 0        if DN[t+1] = 0
            DN[t-1]  if DN[t+1] > 0 and DN[t-1] > DN[t]
            DN[t]    otherwise

The paper leaves open whether DN[t-1] is the corrected one and how far the zero reaches, so each reading has a name:

none          nothing
simultaneous  the rule as printed, all three values before correction; beyond the ends -inf and +inf
sequential    t ascending with the corrected DN[t-1]; the last year is only compared with the one before it
fixpoint      dark up to the last dark year, non-decreasing after it: what the rule, repeated, comes to rest at
cummax        never below an earlier year; no zero rule
cummin_back   never above a later year: earlier years are lowered instead of later ones raised
isotonic      the non-decreasing series nearest in least squares; keeps the mean

All but `none` and `isotonic` turn noise into growth or decline (docs/decisions/0003-continuity.md).  Years that were
never observed are passed over: neighbours are the nearest observed years, and missing stays missing.  A value of 0 or
below is dark.  One function of one pixel serves fixed point and floats: `none` is the mark of a missing value, an
integer for integers and NaN for floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightcore.errors import BadInputError, UsageError
from nightcore.kernels import kernel
from nightcore.kernels.blocks import along_first, is_labelled, require_dimension, require_stack, without_fill
from nightcore.kernels.merge import is_missing, settle

if TYPE_CHECKING:
    import xarray as xr

NONE, SIMULTANEOUS, SEQUENTIAL, FIXPOINT, CUMMAX, CUMMIN_BACK, ISOTONIC = range(7)

CONTINUITY_RULES = {
    "none": NONE,
    "simultaneous": SIMULTANEOUS,
    "sequential": SEQUENTIAL,
    "fixpoint": FIXPOINT,
    "cummax": CUMMAX,
    "cummin_back": CUMMIN_BACK,
    "isotonic": ISOTONIC,
}


# --- rules: v[:n] are the observed years of one pixel, changed in place --------------------------------------------


@kernel
def simultaneous(v, n):
    before = v[0]
    for t in range(n):
        now = v[t]
        if t + 1 < n and v[t + 1] <= 0:
            v[t] = 0
        elif t > 0 and before > now:
            v[t] = before
        before = now


@kernel
def sequential(v, n):
    for t in range(n):
        if t + 1 < n and v[t + 1] <= 0:
            v[t] = 0
        elif t > 0 and v[t - 1] > v[t]:
            v[t] = v[t - 1]


@kernel
def fixpoint(v, n):
    last_dark = -1
    for t in range(n):
        if v[t] <= 0:
            last_dark = t
    for t in range(last_dark + 1):
        v[t] = 0
    cummax(v, n)


@kernel
def cummax(v, n):
    for t in range(1, n):
        if v[t - 1] > v[t]:
            v[t] = v[t - 1]


@kernel
def cummin_back(v, n):
    for t in range(n - 2, -1, -1):
        if v[t] > v[t + 1]:
            v[t] = v[t + 1]


@kernel
def isotonic(v, n, none, total, size):
    """Pool adjacent violators; `total` (year,) float64 and `size` (year,) int64 are scratch.

    In fixed point this is the exact solution rounded once: sums of int32 are exact in float64, and two different
    means of n values lie at least 1/n**2 apart, far more than a quotient's rounding for any n below a thousand.
    """
    pools = 0
    for t in range(n):
        total[pools], size[pools] = v[t], 1
        pools += 1
        while pools > 1 and total[pools - 2] / size[pools - 2] > total[pools - 1] / size[pools - 1]:
            total[pools - 2] += total[pools - 1]
            size[pools - 2] += size[pools - 1]
            pools -= 1
    t = 0
    for pool in range(pools):
        level = settle(total[pool] / size[pool], none)
        for _ in range(size[pool]):
            v[t] = level
            t += 1


@kernel
def hold_pixel(series, rule, none, seen, total, size):
    """Apply a rule to one pixel's years in place; `seen`, as `series`, `total` and `size` (year,) are scratch."""
    if rule == NONE:
        return
    n = 0
    for t in range(len(series)):
        if not is_missing(series[t], none):
            seen[n] = series[t]
            n += 1
    if rule == SIMULTANEOUS:
        simultaneous(seen, n)
    elif rule == SEQUENTIAL:
        sequential(seen, n)
    elif rule == FIXPOINT:
        fixpoint(seen, n)
    elif rule == CUMMAX:
        cummax(seen, n)
    elif rule == CUMMIN_BACK:
        cummin_back(seen, n)
    else:
        isotonic(seen, n, none, total, size)
    n = 0
    for t in range(len(series)):
        if not is_missing(series[t], none):
            series[t] = seen[n]
            n += 1


# --- stacks -------------------------------------------------------------------------------------------------------


@kernel
def hold_stack(stack, rule):
    """(year, cell) float [DN], years ascending -> a new array of the same kind; NaN stays NaN."""
    n_year, n_cell = stack.shape
    held = np.empty_like(stack)
    series, seen = np.empty(n_year, stack.dtype), np.empty(n_year, stack.dtype)
    total, size = np.empty(n_year, np.float64), np.empty(n_year, np.int64)
    for cell in range(n_cell):
        for t in range(n_year):
            series[t] = stack[t, cell]
        hold_pixel(series, rule, np.nan, seen, total, size)
        for t in range(n_year):
            held[t, cell] = series[t]
    return held


def hold_stack_reference(stack: np.ndarray, rule: int) -> np.ndarray:
    """`hold_stack` in NumPy, to read and to test against."""
    held = stack.copy()
    for series in held.T:
        seen = ~np.isnan(series)
        if seen.any():
            series[seen] = hold_reference(series[seen], rule)
    return held


def hold_reference(v: np.ndarray, rule: int) -> np.ndarray:
    """One rule on the observed years (n,) of one pixel."""
    after = np.r_[v[1:], np.inf]
    if rule == SIMULTANEOUS:
        return np.where(after <= 0, 0, np.fmax(np.r_[-np.inf, v[:-1]], v))
    if rule == SEQUENTIAL:
        held = np.array([-np.inf])
        for now, then in zip(v, after, strict=True):
            held = np.r_[held, 0 if then <= 0 else max(held[-1], now)]
        return held[1:]
    if rule == FIXPOINT:
        dark_now_or_later = np.logical_or.accumulate((v <= 0)[::-1])[::-1]
        return np.maximum.accumulate(np.where(dark_now_or_later, 0, v))
    if rule == CUMMAX:
        return np.maximum.accumulate(v)
    if rule == CUMMIN_BACK:
        return np.minimum.accumulate(v[::-1])[::-1]
    if rule == ISOTONIC:
        # max over starts of min over ends of the means between them: R. E. Barlow et al. (1972), "Statistical
        # Inference under Order Restrictions", section 1.4
        n = len(v)
        means = np.array(
            [[v[a : b + 1].mean(dtype=np.float64) if a <= b else np.inf for b in range(n)] for a in range(n)]
        )
        return np.array([max(means[a, t:].min() for a in range(t + 1)) for t in range(n)])
    return v


def continuity(stack: np.ndarray | xr.DataArray, rule: str = "fixpoint") -> np.ndarray | xr.DataArray:
    """Make annual lights consistent between years.

    Parameters
    ----------
    stack : (year, y, x) array or DataArray
        Floats [DN], NaN missing; or integer DN, 255 missing; years ascending. A DataArray has the coordinate `year`;
        a dask array stays lazy.
    rule : {"none", "simultaneous", "sequential", "fixpoint", "cummax", "cummin_back", "isotonic"}
        See nightcore/kernels/continuity.py; the paper's study uses "sequential".

    Returns
    -------
    (year, y, x) array or DataArray
        float64 stays float64, anything else becomes float32; missing is NaN and stays where it was.

    Raises
    ------
    UsageError
        An unknown rule.
    BadInputError
        No dimension `year`, or years that do not ascend.
    """
    if rule not in CONTINUITY_RULES:
        raise UsageError(f"there is no continuity rule '{rule}': expected one of {', '.join(CONTINUITY_RULES)}.")
    code = CONTINUITY_RULES[rule]
    if not is_labelled(stack):
        stack = np.asarray(stack) if not hasattr(stack, "dask") else stack
        require_stack(stack, "year")
        return along_first(stack, lambda cells: hold_stack(cells, code), len(stack))
    stack = without_fill(stack)
    require_dimension(stack, "year")
    years = stack.coords["year"].values
    if (np.diff(years) <= 0).any():
        raise BadInputError("the years of the array do not ascend: sort them with sortby('year'), one layer a year.")
    first = stack.transpose("year", ...)
    require_stack(first, "year")
    held = along_first(first.data, lambda cells: hold_stack(cells, code), len(years))
    return first.copy(data=held).transpose(*stack.dims)
