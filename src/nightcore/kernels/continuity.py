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
below is dark.  The same functions serve fixed point and floats: `none` is the mark of a missing value, an integer below
all others for integers and NaN for floats.
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

BLOCK = 512  # cells that go through a rule together

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


# --- rules: years v[:n, :n_cell] of which all were observed -> out, of the same shape -----------------------------
#
# Each is a recurrence in time of one pixel.  The loop over cells is the inner one and has no branches, so that it
# becomes one over vectors of cells; `past` (cell,) is scratch for what a pixel remembers of the other years.
# Descending years come from an array, because with a descending `range` the compiler does not see that `v` and `out`
# lie apart.


@kernel
def compare_neighbours(v, n, n_cell, corrected, past, out):
    """The printed rule; a year is compared with the one before it as it was observed, or as it was corrected."""
    for cell in range(n_cell):
        past[cell] = v[0, cell]
    lit = np.ones_like(past)
    for t in range(n):
        now, following, held = v[t], v[t + 1] if t + 1 < n else lit, out[t]
        for cell in range(n_cell):
            brighter = max(past[cell], now[cell])
            held[cell] = 0 * brighter if following[cell] <= 0 else brighter
            past[cell] = held[cell] if corrected else now[cell]


@kernel
def fixpoint(v, n, n_cell, past, out):
    for cell in range(n_cell):
        past[cell] = v[n - 1, cell]
    for t in np.arange(n - 1, -1, -1):
        now, held = v[t], out[t]
        for cell in range(n_cell):
            least = min(past[cell], now[cell])
            held[cell] = 0 * least if least <= 0 else now[cell]
            past[cell] = least
    for cell in range(n_cell):
        past[cell] = out[0, cell]
    for t in range(n):
        held = out[t]
        for cell in range(n_cell):
            brightest = max(past[cell], held[cell])
            held[cell] = brightest
            past[cell] = brightest


@kernel
def cummax(v, n, n_cell, past, out):
    for cell in range(n_cell):
        past[cell] = v[0, cell]
    for t in range(n):
        now, held = v[t], out[t]
        for cell in range(n_cell):
            brightest = max(past[cell], now[cell])
            held[cell] = brightest
            past[cell] = brightest


@kernel
def cummin_back(v, n, n_cell, past, out):
    for cell in range(n_cell):
        past[cell] = v[n - 1, cell]
    for t in np.arange(n - 1, -1, -1):
        now, held = v[t], out[t]
        for cell in range(n_cell):
            least = min(past[cell], now[cell])
            held[cell] = least
            past[cell] = least


@kernel
def isotonic(v, n, cell, none, total, size, out):
    """Pool adjacent violators of one cell; `total` (year,) float64 and `size` (year,) int64 are scratch.

    In fixed point this is the exact solution rounded once: sums of int32 are exact in float64, and two different
    means of n values lie at least 1/n**2 apart, far more than a quotient's rounding for any n below a thousand.
    """
    pools = 0
    for t in range(n):
        total[pools], size[pools] = v[t, cell], 1
        pools += 1
        while pools > 1 and total[pools - 2] / size[pools - 2] > total[pools - 1] / size[pools - 1]:
            total[pools - 2] += total[pools - 1]
            size[pools - 2] += size[pools - 1]
            pools -= 1
    t = 0
    for pool in range(pools):
        level = settle(total[pool] / size[pool], none)
        for _ in range(size[pool]):
            out[t, cell] = level
            t += 1


@kernel
def apply_rule(v, n, n_cell, rule, none, out):
    """One rule on v[:n, :n_cell]."""
    past = np.empty(n_cell, v.dtype)
    if rule in (SIMULTANEOUS, SEQUENTIAL):
        compare_neighbours(v, n, n_cell, rule == SEQUENTIAL, past, out)
    elif rule == FIXPOINT:
        fixpoint(v, n, n_cell, past, out)
    elif rule == CUMMAX:
        cummax(v, n, n_cell, past, out)
    elif rule == CUMMIN_BACK:
        cummin_back(v, n, n_cell, past, out)
    else:
        total, size = np.empty(n, np.float64), np.empty(n, np.int64)
        for cell in range(n_cell):
            isotonic(v, n, cell, none, total, size, out)


# --- years that were not observed are passed over -----------------------------------------------------------------


@kernel
def hold_cells(v, n_cell, rule, none, out):
    """Apply a rule other than `none` to v[:, :n_cell] (year, cell) -> out, of the same shape."""
    n_year = len(v)
    gaps = np.zeros(n_cell, np.int32)
    for t in range(n_year):
        for cell in range(n_cell):
            gaps[cell] += is_missing(v[t, cell], none)
    apply_rule(v, n_year, n_cell, rule, none, out)
    # the few pixels with gaps once more, by the years that were observed
    seen, held = np.empty((n_year, 1), v.dtype), np.empty((n_year, 1), v.dtype)
    for cell in range(n_cell):
        if gaps[cell]:
            n = n_year - gaps[cell]
            place = 0
            for t in range(n_year):
                if not is_missing(v[t, cell], none):
                    seen[place, 0] = v[t, cell]
                    place += 1
            if n:
                apply_rule(seen, n, seen.shape[1], rule, none, held)
            place = 0
            for t in range(n_year):
                out[t, cell] = none
                if not is_missing(v[t, cell], none):
                    out[t, cell] = held[place, 0]
                    place += 1


# --- stacks -------------------------------------------------------------------------------------------------------


@kernel
def hold_stack(stack, rule):
    """(year, cell) float [DN], years ascending -> a new array of the same kind; NaN stays NaN."""
    out = stack.copy()
    if rule != NONE:
        # a few hundred cells at a time, so that all their years stay in the cache of the processor
        v, held = np.empty((len(stack), BLOCK), stack.dtype), np.empty((len(stack), BLOCK), stack.dtype)
        for first in range(0, stack.shape[1], BLOCK):
            n = min(BLOCK, stack.shape[1] - first)
            v[:, :n] = stack[:, first : first + n]
            hold_cells(v, n, rule, np.nan, held)
            out[:, first : first + n] = held[:, :n]
    return out


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
