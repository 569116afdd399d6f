"""Lorenz and concentration curves, and the concentration index.

The Lorenz curve L(p) is the share of the total that the poorest share p has; M. O. Lorenz (1905), Publ. Am. Stat.
Assoc. 9, 209-219.  A concentration curve orders the units by another variable; its index is C = 1 - 2 area below the
curve, the Gini if that variable orders the units as their values do; N. C. Kakwani (1977), Econ. J. 87, 719-728.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from econ.errors import BadInputError
from econ.inequality import checked_sample


def lorenz_curve(x: ArrayLike, weights: ArrayLike | None = None) -> pd.DataFrame:
    """Lorenz curve of (n,) values >= 0: share of the weight, share of the total; from (0, 0) to (1, 1).

    Equal values make one segment.  NaN with a mean of zero; bad input as in `gini`.
    """
    return concentration_curve(x, x, weights)


def concentration_curve(x: ArrayLike, rank: ArrayLike, weights: ArrayLike | None = None) -> pd.DataFrame:
    """Concentration curve of (n,) values >= 0 over units ordered by `rank` (n,), lowest first.

    Parameters
    ----------
    x : (n,) array of values >= 0
    rank : (n,) array of finite numbers, e.g. income where x is light; units of one rank make one segment
    weights : (n,) array >= 0, optional

    Returns
    -------
    DataFrame
        share_of_weight, share_of_total: the corners of the curve, from (0, 0) to (1, 1).

    Raises
    ------
    BadInputError
        As in `gini`; ranks that are missing, or not as many as values.
    """
    order = np.asarray(rank, float)
    if order.shape != np.shape(x):
        raise BadInputError(f"there are {order.size:,} ranks for {np.size(x):,} values: expected one for each.")
    if not np.isfinite(order).all():
        raise BadInputError("rank holds missing or infinite values: leave these units out first.")
    positive = np.ones(order.size, bool) if weights is None else np.asarray(weights, float) > 0
    values, w = checked_sample(x, weights)
    _, place = np.unique(order[positive], return_inverse=True)
    weight, amount = np.bincount(place, w), np.bincount(place, w * values)
    with np.errstate(invalid="ignore"):  # 0/0 without light, as meant
        curves = [np.concatenate([[0], np.cumsum(part)]) / part.sum() for part in (weight, amount)]
    return pd.DataFrame(dict(zip(("share_of_weight", "share_of_total"), curves, strict=True)))


def concentration_index(x: ArrayLike, rank: ArrayLike, weights: ArrayLike | None = None) -> float:
    """1 - 2 area below `concentration_curve`: -1 (all with the lowest) to 1; NaN for n < 2 or a mean of zero."""
    curve = concentration_curve(x, rank, weights)
    values, _ = checked_sample(x, weights)
    if values.size < 2:
        return float("nan")
    p, total = curve.to_numpy().T
    return float(1 - np.sum(np.diff(p) * (total[1:] + total[:-1])))
