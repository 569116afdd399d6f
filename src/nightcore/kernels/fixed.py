"""Fixed point: integers add up to the same bits in any order, on any number of threads.

A curve is rounded once to multiples of 2**-20 DN; everything after it (merge, continuity, minimum, maximum) works on
integers in half steps, 2**-21 DN, so that the mean of two satellites is exact.  The rounding moves a calibrated DN by
at most 2**-21 DN (4.8e-7).  Weights are multiples of 2**-30 of a cell (kernels/cover.py), areas of a cell have 30
binary digits at the equator, and their products with light are added in two limbs, high * 2**32 + low.
"""

from __future__ import annotations

import math

import numpy as np

from nightcore.errors import BadInputError
from nightcore.kernels.cover import WEIGHT_BITS

# 2**-16 DN would be the usual 16.16 format; int32 has room for four more bits at 1023 DN, and with them the rounding
# of a curve (4.8e-7 DN) is below that of the float32 cube at 63 DN (1.9e-6), so bright lights lose nothing by it
CURVE_BITS = 20
MERGED_BITS = CURVE_BITS + 1  # one more, for the half of a mean of two
MISSING = -1  # calibrated DN are never negative
LARGEST = 1023  # [DN] 1023 * 2**21 is the last whole DN below 2**31
LIMB = 32


def quantise(curves: np.ndarray) -> np.ndarray:
    """Curves in fixed point.

    (composite, 256) float64 [DN], NaN where a DN means nothing -> int32 [2**-20 DN], MISSING there.

    Raises
    ------
    BadInputError
        A curve is negative or exceeds 1023 DN.
    """
    curves = np.asarray(curves, np.float64)
    if curves.ndim != 2 or curves.shape[1] != 256:
        raise BadInputError(f"curves have shape {curves.shape}: expected (composite, 256), one value for every DN.")
    known = ~np.isnan(curves)
    low, high = np.min(curves, initial=0.0, where=known), np.max(curves, initial=0.0, where=known)
    if low < 0 or high > LARGEST:
        found = low if low < 0 else high
        raise BadInputError(
            f"a calibration curve reaches {found:g} DN, expected 0..{LARGEST} DN: check its coefficients, or limit it "
            f"with clip=(0, {LARGEST})."
        )
    return np.where(known, np.rint(np.where(known, curves, 0.0) * 2.0**CURVE_BITS), MISSING).astype(np.int32)


def to_float(merged: np.ndarray, dtype: np.typing.DTypeLike = np.float64) -> np.ndarray:
    """Merged values, int32 [2**-21 DN] with MISSING, as floats [DN] with NaN."""
    return np.where(merged == MISSING, np.nan, merged * 2.0**-MERGED_BITS).astype(dtype)


def area_bits(largest: float) -> int:
    """Binary places of areas of which the largest is `largest` [km2]: it lies in 2**29..2**30 units."""
    return WEIGHT_BITS - math.frexp(largest)[1]


def quantise_area(area: np.ndarray, bits: int) -> np.ndarray:
    """(row,) float64 areas [km2] -> int32 [2**-bits km2].

    Raises
    ------
    ValueError
        One exceeds 2**30 units.
    """
    units = np.rint(np.ldexp(area, bits))
    if units.size and not 0 <= units.min() <= units.max() <= 2**WEIGHT_BITS:
        raise ValueError(
            f"cells of {area.min():g}..{area.max():g} km2 do not fit 30 bits at 2**-{bits} km2: take the scale from "
            f"area_bits of the largest cell."
        )
    return units.astype(np.int32)


class ExactSum:
    """Sum of blocks in two limbs, high * 2**32 + low, without overflow and without rounding.

    `shape` is (zone, layer); all start at 0.
    """

    def __init__(self, shape: tuple[int, int]):
        self.high = np.zeros(shape, np.int64)
        self.low = np.zeros(shape, np.int64)  # in [0, 2**32)

    def add(self, zones: np.ndarray, high: np.ndarray, low: np.ndarray) -> None:
        """Add high * 2**32 + low, both (k, layer) int64, to the rows `zones` (k,), each of which is named once."""
        carried = self.low[zones] + (low & (2**LIMB - 1))
        self.low[zones] = carried & (2**LIMB - 1)
        self.high[zones] += high + (low >> LIMB) + (carried >> LIMB)

    def value(self, bits: int) -> np.ndarray:
        """The sums times 2**-bits as float64, rounded once."""
        top = self.high.astype(np.float64)
        # what the conversion rounded away is small and exact, so that only the last addition rounds
        rest = (self.high - top.astype(np.int64)) * 2.0**LIMB + self.low
        return np.ldexp(top * 2.0**LIMB + rest, -bits)
