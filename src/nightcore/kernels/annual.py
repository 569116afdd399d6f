"""The fused chain of a pixel, curve -> merge -> continuity, in fixed point; and whole blocks of it.

A pixel that is 0 in all composites is one class: its series is computed once a block, whatever the curves do to 0.
The others are gathered and go through the chain a few hundred at a time, year by year; rasters and tables take their
lights from there.
"""

from __future__ import annotations

import math

import numpy as np

from nightcore.kernels import kernel
from nightcore.kernels.continuity import NONE, hold_cells, hold_stack_reference
from nightcore.kernels.fixed import MERGED_BITS, MISSING, to_float
from nightcore.kernels.merge import merge_stack_reference, merge_year

LANES = 512  # pixels that go through the chain together: their years fit the L2 cache
UNSEEN = np.int32(MISSING)
HALF = np.int64(1)  # curves are in steps of 2**-20 DN, merged values in half of them


@kernel
def annual_series(dn, composites, cells, curves, year_start, merge_code, continuity_code, series):
    """Annual lights of the pixels `cells` (n,) uint32 -> `series` (year, n) int32 [2**-21 DN].

    `dn` (layer, cell) uint8; `composites` (composite,) int64 are the layers used, by year, then satellite; `curves`
    (composite, 256) int32 [2**-20 DN]; composites year_start[i]:year_start[i + 1] are those of year i.
    """
    n_year = len(year_start) - 1
    most = 1
    for year in range(n_year):
        most = max(most, year_start[year + 1] - year_start[year])
    levels = np.empty((most, LANES), np.int32)
    merged, held = np.empty((n_year, LANES), np.int32), np.empty((n_year, LANES), np.int32)
    for begin in range(0, len(cells), LANES):
        here = cells[begin : begin + LANES]
        n = len(here)
        for year in range(n_year):
            first = year_start[year]
            of_year = year_start[year + 1] - first
            for i in range(of_year):
                layer, curve, level = dn[composites[first + i]], curves[first + i], levels[i]
                for lane in range(n):
                    level[lane] = curve[layer[here[lane]]]
            out = series[year, begin : begin + n] if continuity_code == NONE else merged[year]
            merge_year(levels, of_year, n, merge_code, UNSEEN, HALF, out)
        if continuity_code != NONE:
            hold_cells(merged, n, continuity_code, UNSEEN, held)
            for year in range(n_year):
                out = series[year, begin : begin + n]
                for lane in range(n):
                    out[lane] = held[year, lane]


def dark_series(curves: np.ndarray, year_start: np.ndarray, merge_code: int, continuity_code: int) -> np.ndarray:
    """(year,) int32 [2**-21 DN] annual lights of a pixel that is 0 in all composites."""
    dn, layers, cells = np.zeros((1, 1), np.uint8), np.zeros(len(curves), np.int64), np.zeros(1, np.uint32)
    series = np.empty((len(year_start) - 1, 1), np.int32)
    annual_series(dn, layers, cells, curves, year_start, merge_code, continuity_code, series)
    return series[:, 0]


@kernel
def ever_lit(dn):
    """(composite, pixel) uint8 -> (n,) uint32 the pixels that are not 0 in all composites."""
    n_composite, n_pixel = dn.shape
    cells = np.empty(n_pixel, np.uint32)
    lit = np.empty(LANES, np.uint8)
    n = 0
    for first in range(0, n_pixel, LANES):
        width = min(LANES, n_pixel - first)
        lit[:] = 0
        for i in range(n_composite):
            layer = dn[i, first : first + width]
            for place in range(width):
                lit[place] |= layer[place]
        for place in range(width):
            if lit[place]:
                cells[n] = first + place
                n += 1
    return cells[:n]


@kernel
def spread(series, cells, out):
    """Write `series` (year, n) int32 to the pixels `cells` (n,) of `out` (year, pixel) float32 [DN], NaN missing."""
    step = np.float64(2.0**-MERGED_BITS)
    for year in range(len(out)):
        for place in range(len(cells)):
            level = series[year, place]
            out[year, cells[place]] = np.float32(np.nan) if level == MISSING else np.float32(level * step)


def annual_block(
    dn: np.ndarray, curves: np.ndarray, year_start: np.ndarray, merge_code: int, continuity_code: int
) -> np.ndarray:
    """Annual lights of a block.

    Parameters
    ----------
    dn : (composite, height, width) uint8
        By year, then satellite; 255 missing.
    curves : (composite, 256) int32
        From `kernels.fixed.quantise`.
    year_start : (year + 1,) int64
        Composites year_start[i]:year_start[i + 1] are those of year i.
    merge_code, continuity_code : int
        From MERGE_RULES and CONTINUITY_RULES.

    Returns
    -------
    (year, height, width) float32 [DN]
        NaN missing.
    """
    flat = np.ascontiguousarray(dn).reshape(len(dn), math.prod(dn.shape[1:]))
    chain = (curves, year_start, merge_code, continuity_code)
    dark = to_float(dark_series(*chain), np.float32)
    lights = np.repeat(dark[:, None], flat.shape[1], axis=1)
    cells = ever_lit(flat)
    series = np.empty((len(dark), len(cells)), np.int32)
    annual_series(flat, np.arange(len(flat)), cells, *chain, series)
    spread(series, cells, lights)
    return lights.reshape(len(lights), *dn.shape[1:])


def annual_steps_reference(
    dn: np.ndarray, curves: np.ndarray, year_start: np.ndarray, merge_code: int, continuity_code: int
) -> np.ndarray:
    """(composite, pixel) uint8 -> (year, pixel) int32 [2**-21 DN], from the references of merge and continuity."""
    levels = np.take_along_axis(curves, dn.astype(np.intp), axis=1)
    values = np.where(levels == MISSING, np.nan, 2.0 * levels)
    merged = np.rint(merge_stack_reference(values, year_start, merge_code))
    held = np.rint(hold_stack_reference(merged, continuity_code))
    return np.where(np.isnan(held), MISSING, held).astype(np.int32)


def annual_block_reference(
    dn: np.ndarray, curves: np.ndarray, year_start: np.ndarray, merge_code: int, continuity_code: int
) -> np.ndarray:
    """`annual_block` in NumPy, to read and to test against."""
    steps = annual_steps_reference(
        dn.reshape(len(dn), math.prod(dn.shape[1:])), curves, year_start, merge_code, continuity_code
    )
    return to_float(steps, np.float32).reshape(len(steps), *dn.shape[1:])
