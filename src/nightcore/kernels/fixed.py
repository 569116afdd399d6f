"""Fixed-point DN: integers add up to the same bits in any order, on any number of threads.

A curve is rounded once to multiples of 2**-20 DN; everything after it (merge, continuity, minimum, maximum) works on
integers in half steps, 2**-21 DN, so that the mean of two satellites is exact.  The rounding moves a calibrated DN by
at most 2**-21 DN (4.8e-7).
"""

from __future__ import annotations

import numpy as np

from nightcore.errors import BadInputError

# 2**-16 DN would be the usual 16.16 format; int32 has room for four more bits at 1023 DN, and with them the rounding
# of a curve (4.8e-7 DN) is below that of the float32 cube at 63 DN (1.9e-6), so bright lights lose nothing by it
CURVE_BITS = 20
MERGED_BITS = CURVE_BITS + 1  # one more, for the half of a mean of two
MISSING = -1  # calibrated DN are never negative
LARGEST = 1023  # [DN] 1023 * 2**21 is the last whole DN below 2**31


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
