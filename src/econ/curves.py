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
from econ.frames import codes, moments, numeric, refuse_duplicates, refuse_negative, refuse_taken, require_columns
from econ.indices import tamed
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
    order = order[positive]
    rows = np.lexsort((w, values, order))  # so that no order of rows shows through in a sum
    values, w = tamed(values[rows]), tamed(w[rows])
    _, place = np.unique(order[rows], return_inverse=True)
    weight, amount = np.bincount(place, w), np.bincount(place, w * values)
    with np.errstate(invalid="ignore"):  # 0/0 without light, as meant
        curves = [np.concatenate([[0], np.cumsum(part)]) / part.sum() for part in (weight, amount)]
    return pd.DataFrame(dict(zip(("share_of_weight", "share_of_total"), curves, strict=True)))


def regional_curves(
    city: pd.DataFrame,
    by: str = "province",
    value: str = "mean",
    period: str = "year",
    unit: str = "zone",
    rank: str | None = None,
    weights: str | None = None,
) -> pd.DataFrame:
    """Lorenz curves, or concentration curves, of the units of every region and period.

    Parameters
    ----------
    city, by, value, period, unit
        As in `regional_inequality`; one value.
    rank : str, optional
        Column that orders the units, for concentration curves; None: the value itself, for Lorenz curves.
    weights : str, optional
        Column of weights >= 0; a unit of weight 0 is left out.

    Returns
    -------
    DataFrame
        `by`, `period`, share_of_weight, share_of_total, reason: the corners of each curve, sorted.  A region and period
        without a curve has one row of NaN; `reason` says why, and which units do not count.

    Raises
    ------
    MissingColumnError, BadInputError, UsageError
        As in `regional_inequality`.
    """
    refuse_taken((by, period), ("share_of_weight", "share_of_total", "reason"))
    keys = (unit, period)
    require_columns(city, [by, *keys, value, *(column for column in (rank, weights) if column)], "the table of cities")
    if city.empty:
        raise BadInputError("the table of cities has no rows: expected one for each unit and period.")
    region, regions = codes(city, by)
    moment, times = moments(city, period)
    codes(city, unit)
    refuse_duplicates(city, keys, "the table of cities")
    x = numeric(city, value, keys)
    w = np.ones(x.size) if weights is None else numeric(city, weights, keys)
    for column, numbers in ((value, x), (weights, w)):
        refuse_negative(city, column, numbers, keys)
    order = x if rank is None else numeric(city, rank, keys)
    known = ~(np.isnan(x) | np.isnan(w) | np.isnan(order))
    group, pairs = pd.factorize(region * len(times) + moment, sort=True)
    tables = []
    rows_of = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    for here, pair in zip(rows_of, pairs, strict=True):
        used = here[known[here] & (w[here] > 0)]
        lost = here.size - used.size
        curve = concentration_curve(x[used], order[used], w[used])
        reason = "" if x[used].any() else "all units are dark" if used.size else "no unit left"
        if reason:
            curve = curve.iloc[:1].assign(share_of_weight=np.nan, share_of_total=np.nan)
        if lost:
            reason += f"{'; ' if reason else ''}{lost:,} of {here.size:,} units missing or without weight"
        at = divmod(int(pair), len(times))
        tables.append(curve.assign(**{by: regions[at[0]], period: times[at[1]], "reason": reason}))
    return pd.concat(tables, ignore_index=True)[[by, period, "share_of_weight", "share_of_total", "reason"]]


def concentration_index(x: ArrayLike, rank: ArrayLike, weights: ArrayLike | None = None) -> float:
    """1 - 2 area below `concentration_curve`: -1 (all with the lowest) to 1; NaN for n < 2 or a mean of zero."""
    curve = concentration_curve(x, rank, weights)
    values, _ = checked_sample(x, weights)
    if values.size < 2:
        return float("nan")
    p, total = curve.to_numpy().T
    return float(1 - np.sum(np.diff(p) * (total[1:] + total[:-1])))
