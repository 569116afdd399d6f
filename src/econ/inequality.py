"""Inequality indices of a sample, and of the cities of every province and year.

Symbols: x_i >= 0 the value of unit i, w_i its weight, W = S w_i, mu = S w_i x_i / W.

* Gini        G = S_i S_j w_i w_j |x_i - x_j| / (2 W**2 mu), the n**2 form; C. Gini (1912), in the form of
              A. Sen (1973), "On Economic Inequality", ch. 2.
* Theil T     T = S w (x / mu) ln(x / mu) / W, generalised entropy GE(1); H. Theil (1967), "Economics and
              Information Theory", ch. 4.
* Theil L     L = S w ln(mu / x) / W, GE(0), the mean logarithmic deviation; same source.
* Atkinson    A = 1 - (S w (x / mu)**(1 - e) / W)**(1 / (1 - e)), and 1 - exp(-L) at e = 1; A. B. Atkinson (1970),
              "On the measurement of inequality", J. Econ. Theory 2, 244-263.

Every index is 0 for equal units, and does not change when all x, or all w, are multiplied by a constant.  Zeros are
kept: 0 ln 0 = 0 in Theil T; Theil L has no finite value with a zero and is NaN; Atkinson with e >= 1 is 1, its limit.
Negative values are refused.  Fewer than two units of positive weight, or a mean of zero, give NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from econ.errors import BadInputError, UsageError
from econ.frames import codes, numeric, offenders, refuse_duplicates, require_columns

# --- many groups at once: x ascending inside each group, which begins at start; all return (group,) -----------------


def _mean(x: np.ndarray, w: np.ndarray, start: np.ndarray) -> np.ndarray:
    return np.add.reduceat(w * x, start) / np.add.reduceat(w, start)


def _spread(per_group: np.ndarray, start: np.ndarray, n: int) -> np.ndarray:
    """(n,) the value of its group for every unit."""
    return np.repeat(per_group, np.diff(start, append=n))


def _ratio(x: np.ndarray, w: np.ndarray, start: np.ndarray) -> np.ndarray:
    return x / _spread(_mean(x, w, start), start, x.size)


def _gini(x: np.ndarray, w: np.ndarray, start: np.ndarray) -> np.ndarray:
    poorer = np.cumsum(w) - w
    poorer = poorer - _spread(poorer[start], start, x.size)
    rank = (2 * poorer + w) / _spread(np.add.reduceat(w, start), start, x.size) - 1
    # the ranks sum to zero, so x - mu may stand for x: equal units then give 0, not rounding noise
    deviation = _ratio(x, w, start) - 1
    return np.maximum(_mean(deviation * rank, w, start), 0)


def _theil(x: np.ndarray, w: np.ndarray, start: np.ndarray) -> np.ndarray:
    r = _ratio(x, w, start)
    # S w (r - 1) = 0, so 1 - r may be added: no term is negative then, and equal units give 0
    return np.maximum(_mean(r * np.log(np.where(r > 0, r, 1)) + 1 - r, w, start), 0)


def _mean_log_deviation(x: np.ndarray, w: np.ndarray, start: np.ndarray) -> np.ndarray:
    r = _ratio(x, w, start)
    return np.maximum(_mean(np.where(w > 0, r - 1 - np.log(r), 0), w, start), 0)  # inf with a zero of any weight


def _theil_l(x: np.ndarray, w: np.ndarray, start: np.ndarray) -> np.ndarray:
    value = _mean_log_deviation(x, w, start)
    return np.where(np.isinf(value), np.nan, value)


def _atkinson(x: np.ndarray, w: np.ndarray, start: np.ndarray, epsilon: float) -> np.ndarray:
    if epsilon == 1:
        return -np.expm1(-_mean_log_deviation(x, w, start))
    # (x / mu)**(1 - e) - 1 by expm1, so that e close to 1 loses no digits; a zero gives -1, or inf where e > 1
    power = np.expm1((1 - epsilon) * np.log(_ratio(x, w, start)))
    mean_power = _mean(np.where(w > 0, power, 0), w, start)
    return np.clip(-np.expm1(np.log1p(mean_power) / (1 - epsilon)), 0, 1)


INDICES: dict[str, Callable[..., np.ndarray]] = {
    "gini": _gini,
    "theil": _theil,
    "theil_l": _theil_l,
    "atkinson": _atkinson,
}


def _grouped(name: str, x: np.ndarray, w: np.ndarray, start: np.ndarray, epsilon: float) -> np.ndarray:
    """One index of every group; NaN for fewer than two units or a mean of zero."""
    options = {"epsilon": epsilon} if name == "atkinson" else {}
    # 0/0 is a dark group, log 0 a dark unit, overflow a negative power of a very small share: all meant
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = INDICES[name](x, w, start, **options)
    enough = np.add.reduceat((w > 0).astype(int), start) >= 2
    lit = np.add.reduceat(w * x, start) > 0
    return np.where(enough & lit, value, np.nan)


# --- one sample ---------------------------------------------------------------------------------------------------


def gini(x: ArrayLike, weights: ArrayLike | None = None, correct: bool = False) -> float:
    """Gini index of one sample.

    Parameters
    ----------
    x : (n,) array
        Values >= 0, in any unit.
    weights : (n,) array, optional
        Weights >= 0; a weight of 2 counts as two units.
    correct : bool
        Multiply by n / (n - 1), so that the largest value is 1 (one unit has all) and not 1 - 1/n.

    Returns
    -------
    float
        0 (equal) to 1 - 1/n, or to 1 if corrected; NaN for n < 2 or a mean of zero.

    Raises
    ------
    BadInputError
        Negative, missing or infinite values or weights; text; more than one dimension.
    UsageError
        `correct` together with `weights`, which need not be counts.
    """
    if correct and weights is not None:
        raise UsageError(
            "gini(correct=True) needs a number of units, which weights do not give: leave one of them out."
        )
    value = _index("gini", x, weights)
    n = np.size(x)
    return value * n / (n - 1) if correct and n > 1 else value


def theil(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Theil's T, or GE(1), of (n,) values >= 0, in nats; 0 ln 0 = 0; bad input as in `gini`."""
    return _index("theil", x, weights)


def theil_l(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Theil's L, GE(0) or mean log deviation, of (n,) values >= 0, in nats; NaN with a zero; bad input as in `gini`."""
    return _index("theil_l", x, weights)


def atkinson(x: ArrayLike, epsilon: float = 0.5, weights: ArrayLike | None = None) -> float:
    """Atkinson's index of (n,) values >= 0 with inequality aversion `epsilon` >= 0; bad input as in `gini`.

    With a zero among the values and epsilon >= 1 it is 1, the limit for ever smaller values.
    """
    return _index("atkinson", x, weights, epsilon)


def _index(name: str, x: ArrayLike, weights: ArrayLike | None, epsilon: float = 0.0) -> float:
    _check_epsilon(epsilon)
    values = _vector(x, "x")
    w = np.ones(values.size) if weights is None else _vector(weights, "weights")
    if w.size != values.size:
        raise BadInputError(f"there are {w.size:,} weights for {values.size:,} values: expected one for each.")
    if values.size == 0:
        return float("nan")
    order = np.argsort(values, kind="stable")
    return float(_grouped(name, values[order], w[order], np.array([0]), epsilon)[0])


def _vector(x: ArrayLike, name: str) -> np.ndarray:
    try:
        values = np.asarray(x, float)
    except (TypeError, ValueError):
        raise BadInputError(f"{name} holds something that is not a number: expected a sequence of numbers.") from None
    if values.ndim != 1:
        raise BadInputError(f"{name} has {values.ndim} dimensions: expected one; pass one sample at a time.")
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise BadInputError(f"{name} holds {count:,} missing or infinite values: leave these units out first.")
    if (values < 0).any():
        raise BadInputError(f"{name} holds negative values, the least is {values.min():g}: expected numbers >= 0.")
    return values


def _check_epsilon(epsilon: float) -> None:
    if not (np.isfinite(epsilon) and epsilon >= 0):
        raise UsageError(f"epsilon is {epsilon}: expected a finite inequality aversion >= 0, such as 0.5.")


# --- cities of provinces ------------------------------------------------------------------------------------------


def regional_inequality(
    city: pd.DataFrame,
    by: str = "province",
    value: str = "mean",
    period: str = "year",
    unit: str = "zone",
    indices: Sequence[str] = tuple(INDICES),
    epsilon: float = 0.5,
) -> pd.DataFrame:
    """Inequality between the units of every region in every period.

    Parameters
    ----------
    city : DataFrame
        One row a unit and period, with the columns that the next four parameters name.
    by, period, unit : str
        Columns of the region, the period and the unit (city).
    value : str
        Column of what is compared, >= 0, e.g. mean light [DN]; a missing value leaves its unit out, with a reason.
    indices : sequence of str
        Which of `INDICES`, in this order.
    epsilon : float
        Inequality aversion of the Atkinson index; kept in `.attrs["epsilon"]`.

    Returns
    -------
    DataFrame
        `by`, `period`, n (units with a value), one column an index, reason; sorted.  `reason` is empty, or says in
        plain words why an index is NaN or how many units are missing.  A unit counts as missing in a period when it
        has no value, or no row although it belongs to the region in another period.

    Raises
    ------
    MissingColumnError, BadInputError
        A column that is not there; text, infinite or negative values; an empty key; a (unit, period) given twice.
    UsageError
        An unknown index or a negative epsilon.
    """
    unknown = [name for name in indices if name not in INDICES]
    if unknown:
        raise UsageError(f"there is no index {unknown[0]!r}: choose among {', '.join(INDICES)}.")
    _check_epsilon(epsilon)
    require_columns(city, (by, period, unit, value), "the table of cities")
    if city.empty:
        raise BadInputError("the table of cities has no rows: expected one for each unit and period.")
    region, regions = codes(city, by)
    moment, moments = codes(city, period)
    codes(city, unit)
    refuse_duplicates(city, (unit, period), "the table of cities")
    x = numeric(city, value, (unit, period))
    negative = x < 0
    if negative.any():
        raise BadInputError(
            f"column {value!r} is negative in {negative.sum():,} of {x.size:,} rows "
            f"({offenders(city, negative, (unit, period))}): inequality needs values >= 0; correct them."
        )

    group = region * len(moments) + moment
    order = np.lexsort((x, group))
    group, x = group[order], x[order]
    start = np.flatnonzero(np.diff(group, prepend=-1))
    # a unit without a value weighs nothing
    w = np.where(np.isnan(x), 0.0, 1.0)
    x = np.where(np.isnan(x), 0.0, x)
    observed = np.add.reduceat(w, start).astype(int)
    region_of, moment_of = np.divmod(group[start], len(moments))
    with np.errstate(invalid="ignore"):  # 0/0 in a group without any value is NaN, as meant
        values = {name: _grouped(name, x, w, start, epsilon) for name in indices}
    expected = city[[by, unit]].drop_duplicates().groupby(by, observed=True)[unit].size().reindex(regions).to_numpy()
    reasons = [
        _reason(int(seen), int(missing), int(dark), "theil_l" in indices)
        for seen, missing, dark in zip(
            observed, expected[region_of] - observed, np.add.reduceat(w * (x == 0), start), strict=True
        )
    ]
    table = pd.DataFrame(
        {by: regions[region_of], period: moments[moment_of], "n": observed, **values, "reason": reasons}
    )
    table.attrs["epsilon"] = epsilon
    return table


def _reason(seen: int, missing: int, dark: int, with_theil_l: bool) -> str:
    """Why an index is NaN, or rests on fewer units than the region has; empty if neither."""
    absent = f"{missing} of {seen + missing} units missing" if missing else ""
    if seen == 0:
        return "all units missing" if missing > 1 else "the one unit is missing"
    if seen == 1:
        return f"one unit left, {absent}" if missing else "one unit"
    if dark == seen:
        return "; ".join(filter(None, ("all units are dark", absent)))
    no_l = f"theil_l undefined, {dark} of {seen} units are dark" if dark and with_theil_l else ""
    return "; ".join(filter(None, (absent, no_l)))
