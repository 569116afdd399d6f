"""The fused chain of one pixel, curve -> merge -> continuity, in fixed point; and whole blocks of it.

A pixel that is 0 in all composites is one class: its series is computed once a block, whatever the curves do to 0.
"""

from __future__ import annotations

import numpy as np

from nightcore.kernels import kernel
from nightcore.kernels.continuity import hold_pixel, hold_stack_reference
from nightcore.kernels.fixed import MERGED_BITS, MISSING, to_float
from nightcore.kernels.merge import merge_pixel, merge_stack_reference


@kernel
def annual_series(dn, curves, year_start, merge_code, continuity_code, out, values, seen, total, size):
    """Annual lights of one pixel, written to `out` (year,) int32 [2**-21 DN].

    `dn` (composite,) uint8 by year, then satellite; `curves` (composite, 256) int32 [2**-20 DN]; composites
    year_start[i]:year_start[i + 1] are those of year i.  Scratch: `values` (composite,) int32, `seen` (year,) int32,
    `total` (year,) float64, `size` (year,) int64.
    """
    for i in range(len(dn)):
        level = curves[i, dn[i]]
        values[i] = MISSING if level < 0 else 2 * level
    for year in range(len(out)):
        out[year] = merge_pixel(values, year_start[year], year_start[year + 1], merge_code, MISSING)
    hold_pixel(out, continuity_code, MISSING, seen, total, size)


@kernel
def ever_lit(dn):
    """(composite, pixel) uint8 -> (pixel,) uint8, 0 where all composites are 0."""
    n_composite, n_pixel = dn.shape
    lit = np.zeros(n_pixel, np.uint8)
    for i in range(n_composite):
        for pixel in range(n_pixel):
            lit[pixel] |= dn[i, pixel]
    return lit


@kernel
def annual_pixels(dn, curves, year_start, merge_code, continuity_code):
    """(composite, pixel) uint8 -> (year, pixel) float32 [DN], NaN missing."""
    n_composite, n_pixel = dn.shape
    n_year = len(year_start) - 1
    out = np.empty((n_year, n_pixel), np.float32)
    series, seen = np.empty(n_year, np.int32), np.empty(n_year, np.int32)
    total, size = np.empty(n_year, np.float64), np.empty(n_year, np.int64)
    values = np.empty(n_composite, np.int32)
    one = np.zeros(n_composite, np.uint8)
    step = np.float64(2.0**-MERGED_BITS)

    annual_series(one, curves, year_start, merge_code, continuity_code, series, values, seen, total, size)
    for year in range(n_year):
        out[year] = np.float32(np.nan) if series[year] == MISSING else np.float32(series[year] * step)
    lit = ever_lit(dn)
    for pixel in range(n_pixel):
        if lit[pixel]:
            for i in range(n_composite):
                one[i] = dn[i, pixel]
            annual_series(one, curves, year_start, merge_code, continuity_code, series, values, seen, total, size)
            for year in range(n_year):
                out[year, pixel] = np.float32(np.nan) if series[year] == MISSING else np.float32(series[year] * step)
    return out


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
    flat = np.ascontiguousarray(dn.reshape(len(dn), -1))
    lights = annual_pixels(flat, curves, year_start, merge_code, continuity_code)
    return lights.reshape(-1, *dn.shape[1:])


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
    steps = annual_steps_reference(dn.reshape(len(dn), -1), curves, year_start, merge_code, continuity_code)
    return to_float(steps, np.float32).reshape(-1, *dn.shape[1:])
