"""Inequality of a sample, and of the cities of every province and year.

The indices are those of `econ.indices`, by name: gini, theil, theil_l, atkinson, and gini_unbiased, ge(alpha),
atkinson(epsilon), cv, hoover, ratio(upper, lower).  Every index but the ratio (1) is 0 for equal units, and none
changes when all values, or all weights, are multiplied by a constant.

Zeros are kept: 0 ln 0 = 0 in Theil T; Theil L and GE(alpha <= 0) have no finite value with a zero and are NaN; Atkinson
with epsilon >= 1 is 1, its limit; the ratio is NaN where its lower quantile is 0.  Negative values are refused.  The
options `zeros` and `negatives` of `regional_inequality` name the other habits of the literature
(docs/decisions/0010-zeros-and-negatives.md).  Fewer than two units of positive weight, or a mean that is not positive,
give NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from econ.errors import BadInputError, UsageError
from econ.frames import (
    codes,
    moments,
    numeric,
    ranked,
    refuse_duplicates,
    refuse_negative,
    refuse_taken,
    require_columns,
)
from econ.indices import Index, Sample, ascending, index_named, is_number, of_groups, tamed
from econ.indices import weighted_quantile as quantile_of_samples
from econ.resampling import Resampling, estimate

# The indices of the paper, in the order of its tables; `econ.indices.FAMILIES` has all.
INDICES = ("gini", "theil", "theil_l", "atkinson")

ZEROS = ("keep", "drop")
NEGATIVES = ("refuse", "drop", "zero", "keep")


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
    return inequality_of(x, "gini_unbiased" if correct else "gini", weights)


def theil(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Theil's T, or GE(1), of (n,) values >= 0, in nats; 0 ln 0 = 0; bad input as in `gini`."""
    return inequality_of(x, "theil", weights)


def theil_l(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Theil's L, GE(0) or mean log deviation, of (n,) values >= 0, in nats; NaN with a zero; bad input as in `gini`."""
    return inequality_of(x, "theil_l", weights)


def atkinson(x: ArrayLike, epsilon: float = 0.5, weights: ArrayLike | None = None) -> float:
    """Atkinson's index of (n,) values >= 0 with inequality aversion `epsilon` >= 0; bad input as in `gini`.

    With a zero among the values and epsilon >= 1 it is 1, the limit for ever smaller values.
    """
    return _of_sample(index_named("atkinson", epsilon), x, weights)


def ge(x: ArrayLike, alpha: float, weights: ArrayLike | None = None) -> float:
    """Generalised entropy GE(alpha) of (n,) values >= 0; NaN with a zero if alpha <= 0; bad input as in `gini`."""
    return inequality_of(x, f"ge({alpha!r})", weights)


def cv(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Coefficient of variation (divisor n, not n - 1) of (n,) values >= 0; its square is 2 GE(2); see `gini`."""
    return inequality_of(x, "cv", weights)


def hoover(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Hoover's index of (n,) values >= 0, the share to be moved for all to be equal; bad input as in `gini`."""
    return inequality_of(x, "hoover", weights)


def quantile_ratio(x: ArrayLike, upper: float = 0.9, lower: float = 0.1, weights: ArrayLike | None = None) -> float:
    """Ratio of two `weighted_quantile`s of (n,) values >= 0; NaN where the lower one is 0; bad input as in `gini`."""
    return inequality_of(x, f"ratio({upper!r}, {lower!r})", weights)


def inequality_of(x: ArrayLike, index: str = "gini", weights: ArrayLike | None = None) -> float:
    """The index that a name gives, e.g. "ge(2)" or "ratio(0.9, 0.1)", of one sample; bad input as in `gini`."""
    return _of_sample(index_named(index), x, weights)


def weighted_quantile(x: ArrayLike, p: float, weights: ArrayLike | None = None) -> float:
    """The least of (n,) values with a share >= p of the weight at or below it, halfway to the next where it is p.

    Definition 2 of Hyndman and Fan (1996), Stata's `_pctile`.  0 < p < 1; NaN without units of positive weight; bad
    input as in `gini`.
    """
    if not (is_number(p) and 0 < p < 1):
        raise UsageError(f"p is {p}: expected a share between 0 and 1, such as 0.9.")
    values, w = checked_sample(x, weights)
    if not values.size:
        return float("nan")
    return float(quantile_of_samples(Sample(*ascending(values, tamed(w))), p))


@dataclass(frozen=True)
class IndexEstimate:
    """An index of one sample with its standard error and interval; `undefined` replications had no value."""

    value: float
    se: float
    low: float
    high: float
    undefined: int


def standard_error(
    x: ArrayLike,
    index: str = "gini",
    weights: ArrayLike | None = None,
    se: str = "jackknife",
    replications: int = 999,
    interval: str = "normal",
    level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> IndexEstimate:
    """An index of one sample, and how sure it is.

    Parameters
    ----------
    x, weights : as in `gini`
    index : str
        E.g. "gini", "theil", "ge(2)".
    se : "jackknife" (n >= 3, no quantile ratios) or "bootstrap"
    replications, interval, level, rng
        As in `econ.resampling.Resampling`.

    Raises
    ------
    BadInputError, UsageError
        As in `gini`; an option that is not there, or options that exclude each other.
    """
    chosen = index_named(index)
    _refuse_weights(chosen, weights is not None)
    values, w = checked_sample(x, weights)
    how = Resampling(se, replications, interval, level, rng)
    found = estimate([chosen], values, w, np.zeros(values.size, int), 1, how)[chosen.name]
    return IndexEstimate(*(part[0].item() for part in (found.value, found.se, found.low, found.high, found.undefined)))


def _of_sample(index: Index, x: ArrayLike, weights: ArrayLike | None) -> float:
    _refuse_weights(index, weights is not None)
    values, w = checked_sample(x, weights)
    return float(of_groups(index, values, w, np.zeros(values.size, int), 1)[0])


def _refuse_weights(index: Index, weighted: bool) -> None:
    if weighted and not index.weights:
        raise UsageError(f"{index.name} needs a number of units, which weights do not give: leave one of them out.")


def checked_sample(x: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """(n,) values and weights of the units of positive weight."""
    values = _vector(x, "x")
    w = np.ones(values.size) if weights is None else _vector(weights, "weights")
    if w.size != values.size:
        raise BadInputError(f"there are {w.size:,} weights for {values.size:,} values: expected one for each.")
    return values[w > 0], w[w > 0]


def _vector(x: ArrayLike, name: str) -> np.ndarray:
    if np.ma.isMaskedArray(x):
        x = x.astype(float).filled(np.nan)
    try:
        values = np.asarray(x)
        if np.iscomplexobj(values):
            raise TypeError
        values = values.astype(float)
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


# --- cities of provinces ------------------------------------------------------------------------------------------


def regional_inequality(
    city: pd.DataFrame,
    by: str = "province",
    value: str | Sequence[str] = "mean",
    period: str = "year",
    unit: str = "zone",
    indices: Sequence[str] = INDICES,
    epsilon: float = 0.5,
    *,
    weights: str | None = None,
    zeros: str | float = "keep",
    negatives: str = "refuse",
    se: str | None = None,
    replications: int = 999,
    interval: str = "normal",
    level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Inequality between the units of every region in every period.

    Parameters
    ----------
    city : DataFrame
        One row a unit and period, with the columns that the next four parameters name.
    by, period, unit : str
        Columns of the region, the period and the unit (city).
    value : str or sequence of str
        Column of what is compared, >= 0, e.g. mean light [DN]; a missing value leaves its unit out, with a reason.
        Several columns make a longer table with the column `value`, which names them.
    indices : sequence of str
        Names as in `econ.indices`, e.g. "gini", "ge(2)", "atkinson(1)", in this order; they become the columns.
    epsilon : float
        Inequality aversion where an index is just called "atkinson"; kept in `.attrs["epsilon"]`.
    weights : str, optional
        Column of weights >= 0, e.g. population or area; a unit without one is missing, a unit of weight 0 left out.
    zeros : "keep", "drop" or a number > 0
        Zeros as they are, left out, or replaced by this number, each counted in `reason`.
    negatives : "refuse", "drop", "zero" or "keep"
        Refused as an error, left out, set to zero, or kept: gini, cv, hoover and ratio are defined then if the mean is
        positive, and may exceed their usual bounds; the others are NaN.
    se : "jackknife" or "bootstrap", optional
        Adds NAME_se, NAME_low and NAME_high to every index NAME.
    replications, interval, level, rng
        As in `econ.resampling.Resampling`, whose docstring says what these standard errors are worth.

    Returns
    -------
    DataFrame
        `by`, `period`, n (units that count), one column an index, reason; sorted.  `reason` is empty, or says in
        plain words why an index is NaN or which units do not count.  A unit counts as missing in a period when it
        has no value, or no row although it belongs to the region in another period.  All choices are in `.attrs`.

    Raises
    ------
    MissingColumnError, BadInputError
        A column that is not there; text, infinite or negative values; an empty key; a (unit, period) given twice.
    UsageError
        An option that is not there, or options that exclude each other.
    """
    chosen = [index_named(name, epsilon) for name in ([indices] if isinstance(indices, str) else indices)]
    names = [index.name for index in chosen]
    if not names:
        raise UsageError(f"no index is named: choose some, such as {', '.join(INDICES)}.")
    if len(set(names)) < len(names):
        raise UsageError(f"indices names {names}: expected each once; leave the others out.")
    index_named("atkinson", epsilon)
    for index in chosen:
        _refuse_weights(index, weights is not None)
    _check_policies(zeros, negatives)
    how = Resampling(se, replications, interval, level, rng)
    how.check(chosen)
    values = [value] if isinstance(value, str) else list(value)
    if not values or len(set(values)) < len(values):
        raise UsageError(f"value names the columns {values}: expected one or several, each once.")
    longer = not isinstance(value, str)
    ends = ("", "_se", "_low", "_high") if se else ("",)
    made = [*(["value"] if longer else []), "n", *(name + end for name in names for end in ends), "reason"]
    refuse_taken((by, period), made)
    if unit == period:
        raise UsageError(f"unit and period are both {unit!r}: expected two columns, one row a unit and period.")
    keys = _keys(city, by, period, unit, [*values, *([weights] if weights else [])])
    w = None if weights is None else numeric(city, weights, (unit, period))
    if w is not None:
        refuse_negative(city, weights, w, (unit, period))

    tables = []
    for column in values:
        x = numeric(city, column, (unit, period))
        if negatives == "refuse":
            refuse_negative(city, column, x, (unit, period))
        table = _table_of(x, w, keys, chosen, how, zeros, negatives)
        if longer:
            table.insert(2, "value", column)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True) if longer else tables[0]
    table.attrs = {
        "epsilon": epsilon,
        "weights": weights,
        "zeros": zeros,
        "negatives": negatives,
        "se": se,
        **({"interval": interval, "level": level} if se else {}),
        **({"replications": replications, "rng": rng if isinstance(rng, int) else None} if se == "bootstrap" else {}),
    }
    return table


def _check_policies(zeros: str | float, negatives: str) -> None:
    if not (is_number(zeros) and 0 < zeros < np.inf) and zeros not in ZEROS:
        raise UsageError(f"zeros is {zeros!r}: expected {', '.join(ZEROS)} or a number > 0 to put in their place.")
    if negatives not in NEGATIVES:
        raise UsageError(f"negatives is {negatives!r}: expected {', '.join(NEGATIVES)}.")


@dataclass(frozen=True)
class Keys:
    """The group (region and period) of every row, and what a table of all groups needs to be labelled."""

    by: str
    period: str
    group: np.ndarray  # (row,) 0..
    region: np.ndarray  # (group,) labels
    moment: np.ndarray  # (group,) labels
    expected: np.ndarray  # (group,) units that the region has in any period


def _keys(city: pd.DataFrame, by: str, period: str, unit: str, columns: Sequence[str]) -> Keys:
    require_columns(city, (by, period, unit, *columns), "the table of cities")
    if city.empty:
        raise BadInputError("the table of cities has no rows: expected one for each unit and period.")
    region, regions = codes(city, by)
    moment, times = moments(city, period)
    place, places = codes(city, unit)
    if len(ranked(place * len(times) + moment)[1]) < place.size:
        refuse_duplicates(city, (unit, period), "the table of cities")
    home = np.zeros(len(places), region.dtype)  # the region of a unit, the last where it has several
    home[place] = region
    if (home[place] != region).any():
        home = pd.unique(region * len(places) + place) // len(places)
    units = np.bincount(home, minlength=len(regions))
    group, pairs = ranked(region * len(times) + moment)
    region_of, moment_of = np.divmod(pairs, len(times))
    return Keys(by, period, group, regions[region_of], times[moment_of], units[region_of])


def _table_of(
    x: np.ndarray,
    w: np.ndarray | None,
    keys: Keys,
    chosen: Sequence[Index],
    how: Resampling,
    zeros: str | float,
    negatives: str,
) -> pd.DataFrame:
    """The table of one value, sorted by region and period."""
    known = ~np.isnan(x) if w is None else ~(np.isnan(x) | np.isnan(w))
    counted = known if w is None else known & (w > 0)
    negative, zero = counted & (x < 0), counted & (x == 0)
    left_out = np.zeros(x.size, bool)
    if negatives == "drop":
        left_out |= negative
    elif negatives == "zero":
        x, zero = np.where(negative, 0.0, x), zero | negative
    if zeros == "drop":
        left_out |= zero
    elif zeros != "keep":
        x = np.where(zero, float(zeros), x)
    used = counted & ~left_out

    n_group = keys.region.size
    every = used.all()
    x_used, group = (x, keys.group) if every else (x[used], keys.group[used])
    found = estimate(chosen, x_used, None if w is None else w[used], group, n_group, how)

    rows_of = np.bincount(keys.group, minlength=n_group)

    def count(rows: np.ndarray) -> np.ndarray:
        if rows.all():
            return rows_of
        return np.bincount(keys.group[rows], minlength=n_group) if rows.any() else np.zeros(n_group, int)

    n = count(used)
    facts = {
        "n": n,
        "expected": keys.expected,
        "missing": keys.expected - count(known),
        "weightless": count(known & ~counted),
        "negative": count(negative),
        "zero": count(zero),
        "dark": count(used & (x == 0)),
    }
    columns: dict[str, np.ndarray] = {}
    for name, at in found.items():
        columns[name] = at.value
        if how.method:
            columns |= {f"{name}_se": at.se, f"{name}_low": at.low, f"{name}_high": at.high}
    reasons = _reasons(facts, found, how, zeros, negatives)
    return pd.DataFrame({keys.by: keys.region, keys.period: keys.moment, "n": n, **columns, "reason": reasons})


def _reasons(facts, found, how, zeros, negatives) -> np.ndarray:
    """(group,) why an index is NaN, or rests on other units than the region has; empty if neither."""
    to_say = facts["n"] < np.maximum(facts["expected"], 2)
    for at in found.values():
        to_say |= np.isnan(at.value) | (at.undefined > 0)
        if how.method:
            to_say |= np.isnan(at.se)
    to_say |= (facts["negative"] > 0) | ((facts["zero"] > 0) & (zeros != "keep"))
    reasons = np.full(to_say.size, "", object)
    for g in np.flatnonzero(to_say):
        fact = {name: int(numbers[g]) for name, numbers in facts.items()}
        n, of = fact["n"], f"of {fact['expected']} units"
        absent = _absent(fact, of, zeros, negatives)
        if n == 0:
            if fact["missing"] == fact["expected"]:
                absent = []
                first = "all units missing" if fact["missing"] > 1 else "the one unit is missing"
            else:
                first = "no unit left"
        elif n == 1:
            first = "one unit left" if absent else "one unit"
        elif fact["dark"] == n:
            first = "all units are dark"
        else:
            first = ""
        if first:
            reasons[g] = ", ".join([first, *absent]) if n < 2 else "; ".join([first, *absent])
            continue
        reasons[g] = "; ".join([*absent, *_undefined(g, fact, found, how)])
    return reasons


def _absent(fact: dict[str, int], of: str, zeros: str | float, negatives: str) -> list[str]:
    """Which units do not count, or not as they are."""
    says = []
    if fact["missing"]:
        says.append(f"{fact['missing']} {of} missing")
    if fact["weightless"]:
        says.append(f"{fact['weightless']} {of} weigh nothing")
    if fact["negative"]:
        done = {"drop": "left out", "zero": "set to zero", "keep": "kept"}[negatives]
        says.append(f"{fact['negative']} {of} negative, {done}")
    if fact["zero"] and zeros != "keep":
        says.append(f"{fact['zero']} {of} zero, {'left out' if zeros == 'drop' else f'set to {zeros:g}'}")
    return says


def _undefined(g: int, fact: dict[str, int], found, how: Resampling) -> list[str]:
    """Why a group of two units or more, not all of them dark, lacks an index or its standard error."""
    says = []
    lacking = [name for name, at in found.items() if np.isnan(at.value[g])]
    if lacking and len(lacking) == len(found) and fact["negative"]:
        return ["negative values, or a mean that is not positive"]
    if lacking and fact["dark"]:
        says.append(f"{', '.join(lacking)} undefined, {fact['dark']} of {fact['n']} units are dark")
    elif lacking and fact["negative"]:
        says.append(f"{', '.join(lacking)} undefined with negative values")
    elif lacking:
        says.append(f"{', '.join(lacking)} beyond the range of numbers")
    if how.method:
        unsure = [name for name, at in found.items() if np.isnan(at.se[g]) and name not in lacking]
        if unsure and fact["n"] == 2 and how.method == "jackknife":
            says.append("no jackknife of two units")
        elif unsure:
            says.append(f"no {how.method} of {', '.join(unsure)}: one unit has all")
    for name, at in found.items():
        if at.undefined[g]:
            says.append(f"{name} undefined in {at.undefined[g]:,} of {how.replications:,} replications")
    return says


# --- how much rests on choices --------------------------------------------------------------------------------------


def sensitivity(
    city: pd.DataFrame,
    by: str = "province",
    value: str | Sequence[str] = "mean",
    period: str = "year",
    unit: str = "zone",
    index: str = "gini",
    *,
    weights: Sequence[str | None] = (None,),
    size: str | None = None,
    least: Sequence[float] = (0,),
    zeros: Sequence[str | float] = ("keep",),
) -> pd.DataFrame:
    """One index under every combination of choices that are made by rule of thumb.

    Parameters
    ----------
    city, by, period, unit
        As in `regional_inequality`.
    value : str or sequence of str
        Columns of what is compared, e.g. the same light under several continuity rules.
    index : str
        One name of `econ.indices`.
    weights : sequence of column names and None (every unit alike)
    size, least
        Column of the size of a unit, e.g. cells, and the least sizes to try; smaller units, and those of missing size
        if any is asked for, are left out.
    zeros : sequence of policies, as in `regional_inequality`

    Returns
    -------
    DataFrame
        One row a combination, the first of them the baseline: value, weights, least, zeros, groups (region and period
        pairs with an index), units (rows of `city` that count in them), mean, sd, min and max of the index over the
        groups, and against the baseline over the groups that both have: correlation, rank_correlation, mean_change
        and largest_change (of the absolute value).

    Raises
    ------
    MissingColumnError, BadInputError, UsageError
        As in `regional_inequality`; `least` without `size`; a `least` that leaves no unit.
    """
    values = [value] if isinstance(value, str) else list(value)
    for choices in (values, weights, least, zeros):
        if not len(choices):
            raise UsageError("a choice has no variants: give at least one of each, such as weights=(None,).")
    if size is None and any(least):
        raise UsageError("least names sizes, but size does not name their column: give size='cells', for instance.")
    sizes = None
    if size is not None:
        require_columns(city, (unit, period, size), "the table of cities")
        sizes = numeric(city, size, (unit, period))
    rows, baseline = [], None
    for column, weight, smallest, zero in product(values, weights, least, zeros):
        kept = city if sizes is None or not smallest else city[sizes >= smallest]
        if kept.empty:
            raise BadInputError(
                f"no unit has a {size!r} of at least {smallest:g}, the largest is {np.nanmax(sizes):g}: ask for less."
            )
        table = regional_inequality(kept, by, column, period, unit, [index], weights=weight, zeros=zero)
        known = table[table[index].notna()]
        found = known.set_index([by, period])[index]
        baseline = found if baseline is None else baseline
        rows.append(
            {
                "value": column,
                "weights": weight,
                "least": smallest,
                "zeros": zero,
                "groups": len(found),
                "units": int(known["n"].sum()),
                "mean": found.mean(),
                "sd": found.std(),
                "min": found.min(),
                "max": found.max(),
                **_against(found, baseline),
            }
        )
    return pd.DataFrame(rows)


def _against(found: pd.Series, baseline: pd.Series) -> dict[str, float]:
    """Correlations of two indices over the groups that both have, and how far they are apart."""
    both = pd.concat([baseline, found], axis=1, join="inner").to_numpy()
    first, second = both[:, 0], both[:, 1]
    change = np.abs(second - first)

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        varies = len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
        return float(np.corrcoef(a, b)[0, 1]) if varies else float("nan")

    return {
        "correlation": correlation(first, second),
        "rank_correlation": correlation(*(pd.Series(part).rank().to_numpy() for part in (first, second))),
        "mean_change": float((second - first).mean()) if len(both) else float("nan"),
        "largest_change": float(change.max()) if len(both) else float("nan"),
    }
