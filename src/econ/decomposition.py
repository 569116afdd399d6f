"""Inequality split into parts: within and between groups, nested or not, by overlap, by Shapley value, by source.

p_g = W_g / W is the share of group g in the weight, s_g = p_g mu_g / mu its share in what is distributed.

* additive    GE(a) = S_g p_g (mu_g / mu)**a GE_g + GE of the group means; F. Bourguignon (1979), Econometrica 47,
              901-920; A. F. Shorrocks (1980), ibid. 48, 613-625.  Over nested groups the sum is applied again to the
              groups of every coarser level.
* dagum       G = S_g G_gg p_g s_g  (within)  +  net between  +  overlap; C. Dagum (1997), Empir. Econ. 22, 515-531.
              For two groups with mu_g >= mu_h, d = E(x_g - x_h)+ and q = E(x_h - x_g)+ are the mean gains of the richer
              and, by transvariation, of the poorer group, D = (d - q) / (d + q) their relative economic affluence and
              G_gh = (d + q) / (mu_g + mu_h).  The pair adds G_gh (p_g s_h + p_h s_g), of which the share D is net
              between and the rest overlap.
* classical   G = within + Gini of the group means + residual; N. Bhattacharya, B. Mahalanobis (1967), J. Am. Stat.
              Assoc. 62, 143-161; G. Pyatt (1976), Econ. J. 86, 243-255.  Dagum's net between equals this between, so
              the residual equals his overlap.
* factorial   1 - A = (1 - A_within) (1 - A_between), A_between the Atkinson index of the group means; C. Lasso de la
              Vega, A. Urrutia (2003), Econ. Bull. 4(29), 1-12.  The interaction is - A_within A_between.
* shapley     any index; A. F. Shorrocks (2013), J. Econ. Inequal. 11, 99-126.  Within and between are removed in both
              orders, by group means and by scaling every group to the mean of all, and the two results averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from econ.errors import BadInputError, UsageError
from econ.frames import codes, moments, numeric, refuse_duplicates, refuse_negative, refuse_taken, require_columns
from econ.indices import Index, index_named, of_groups, quiet, tamed
from econ.inequality import checked_sample

METHODS = ("additive", "dagum", "classical", "factorial", "shapley")
ELIMINATIONS = ("mean", "zero")

# Columns of the tables of a Decomposition beside the period.
TABLED = (
    *("component", "contribution", "share", "total", "reason", "level", "group", "n", "weight_share", "value_share"),
    *("index", "g", "h", "gini", "affluence", "between", "overlap"),
)

# 2**12 evaluations of the index; beyond, the sum over all subsets takes too long.
MOST_SOURCES = 12


# --- numbers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Groups:
    """Weight and mean of the groups (code 0..) of (n,) units."""

    weight: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray, code: np.ndarray) -> Groups:
        weight = np.bincount(code, w)
        return cls(weight, np.bincount(code, w * x) / weight)


def parent_of(code: np.ndarray, coarser: np.ndarray) -> np.ndarray:
    """(group,) the coarser code of every group; each group has one."""
    parent = np.empty(code.max() + 1, np.intp)
    parent[code] = coarser
    return parent


def additive_terms(
    index: Index, x: np.ndarray, w: np.ndarray, code: np.ndarray, whole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of every group, its index, 0 for one unit, and what it adds to the index of its whole; both (group,)."""
    group = Groups.of(x, w, code)
    inside = of_groups(index, x, w, code, group.mean.size, alone=0.0)
    top = Groups.of(group.mean, group.weight, whole)
    with quiet():
        factor = group.weight / top.weight[whole] * (group.mean / top.mean[whole]) ** index.alpha
        # a dark group has no index, and adds nothing where its factor is 0
        added = np.where((group.mean == 0) & (index.alpha > 0), 0.0, factor * inside)
    return inside, added


def dagum_pairs(x: np.ndarray, w: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, Groups]:
    """(group, group) E(x_g - x_h)+ over all pairs of a unit of g and a unit of h, and the groups."""
    order = np.lexsort((x, code))
    x, w, code = x[order], w[order], code[order]
    group = Groups.of(x, w, code)
    k = group.mean.size
    first = np.searchsorted(code, np.arange(k + 1))
    gain = np.empty((k, k))
    for h in range(k):
        here = slice(first[h], first[h + 1])
        weight = np.concatenate([[0], np.cumsum(w[here])])
        amount = np.concatenate([[0], np.cumsum(w[here] * x[here])])
        below = np.searchsorted(x[here], x)
        gain[:, h] = np.bincount(code, w * (x * weight[below] - amount[below])) / group.weight / group.weight[h]
    return gain, group


def dagum(x: np.ndarray, w: np.ndarray, code: np.ndarray) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Within, between and overlap of one sample, and the Gini, affluence and contribution of every pair g < h."""
    gain, group = dagum_pairs(x, w, code)
    p = group.weight / group.weight.sum()
    mu = p @ group.mean
    s = p * group.mean / mu
    distance = gain + gain.T
    with quiet():
        G = np.where(distance > 0, distance / np.add.outer(group.mean, group.mean), 0.0)
        affluence = np.where(distance > 0, np.abs(gain - gain.T) / distance, 0.0)
    share = np.outer(p, s)
    g, h = np.triu_indices(p.size, 1)
    gross = (G * (share + share.T))[g, h]
    net = gross * affluence[g, h]
    parts = {"within": float(np.sum(G.diagonal() * p * s)), "between": net.sum(), "overlap": (gross - net).sum()}
    pairs = {"g": g, "h": h, "gini": G[g, h], "affluence": affluence[g, h], "between": net, "overlap": gross - net}
    return parts, pairs


def shapley_within_between(
    index: Index, x: np.ndarray, w: np.ndarray, code: np.ndarray, whole: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of every whole, and its Shapley parts within and between the groups `code`; all (whole,)."""
    group, top = Groups.of(x, w, code), Groups.of(x, w, whole)
    n = top.mean.size
    with quiet():
        of_means = of_groups(index, group.mean[code], w, whole, n)
        scaled = x * (top.mean[whole] / group.mean[code])
        inside = of_groups(index, np.where(group.mean[code] == 0, np.nan, scaled), w, whole, n)
    total = of_groups(index, x, w, whole, n)
    return total, (total - of_means + inside) / 2, (total - inside + of_means) / 2


def maximal_between(x: ArrayLike, groups: ArrayLike, index: str = "theil", weights: ArrayLike | None = None) -> float:
    """The largest index between groups of the given sizes, which keep the order of their means.

    The units are dealt out anew, the poorest to the group with the lowest mean and so on, a unit at a border being
    split; C. Elbers, P. Lanjouw, J. Mistiaen, B. Oezler (2008), J. Econ. Inequal. 6, 231-245.

    Parameters
    ----------
    x : (n,) array of values >= 0
    groups : (n,) array of names
    index : str
        As in `econ.indices`.
    weights : (n,) array, optional
    """
    chosen = index_named(index)
    names = np.asarray(groups)
    if names.shape != np.shape(x):
        raise BadInputError(f"there are {names.size:,} groups for {np.size(x):,} values: expected one for each.")
    w_all = np.ones(np.size(x)) if weights is None else np.asarray(weights, float)
    values, w = checked_sample(x, weights)
    code = pd.factorize(names[w_all > 0])[0]
    if (code < 0).any():
        raise BadInputError("groups holds missing names: leave these units out first.")
    if not values.size:
        return float("nan")
    # sorted by value and weight, and groups of one mean by size: neither order of rows nor names show through
    order = np.lexsort((w, values))
    values, w, code = tamed(values[order]), tamed(w[order]), code[order]
    group = Groups.of(values, w, code)
    size = group.weight[np.lexsort((group.weight, group.mean))]
    dealt = np.concatenate([[0], np.cumsum(w)])
    amount = np.concatenate([[0], np.cumsum(w * values)])
    means = np.diff(np.interp(np.concatenate([[0], np.cumsum(size)]), dealt, amount)) / size
    # the borders are sums of weights in another order
    return float(of_groups(chosen, np.maximum(means, 0), size, np.zeros(size.size, int), 1)[0])


# --- tables ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Inequality in parts.

    Parameters
    ----------
    components : DataFrame
        period, component, contribution, share (contributions add up to the index, shares to 1), total (the index,
        computed by itself), reason (why they are NaN).  The components are `within NAME` of the finest grouping, then
        `between NAME` of every level from the finest to the coarsest; and `overlap` or `interaction` where the method
        has one.
    groups : DataFrame
        additive and dagum only: level, its group, period, n, weight_share, value_share, index, contribution (of the
        inequality inside the group).
    pairs : DataFrame
        dagum only: period, g, h, gini, affluence, between, overlap.
    index, method : str
    notes : tuple of str
        Rows that do not count.
    """

    components: pd.DataFrame
    groups: pd.DataFrame
    pairs: pd.DataFrame
    index: str
    method: str
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Nested:
    """Units that count: values, weights, and the codes of the groups of every level, finest first, then the period."""

    x: np.ndarray
    w: np.ndarray
    code: tuple[np.ndarray, ...]  # of every level within a period: 0.. over all periods
    name: tuple[np.ndarray, ...]  # of the group of every code
    whole: np.ndarray  # (unit,) period
    periods: np.ndarray


def decompose(
    city: pd.DataFrame,
    by: str | Sequence[str] = "province",
    value: str = "mean",
    period: str | None = "year",
    unit: str = "zone",
    index: str = "theil",
    method: str | None = None,
    weights: str | None = None,
) -> Decomposition:
    """Split the inequality between all units of a period into parts within and between groups.

    Parameters
    ----------
    city : DataFrame
        One row a unit and period.
    by : str or sequence of str
        Columns of nested groups, the finest first, e.g. ["province", "region"]; the nation is the whole table.
        Methods other than additive take one column.
    value, unit : str
        As in `regional_inequality`; rows without a value or weight do not count, which `notes` tells.
    period : str, optional
        None: the table is one sample.
    index : str
        As in `econ.indices`.
    method : one of `METHODS`, optional
        Default: additive for theil, theil_l and ge, dagum for gini, factorial for atkinson, else shapley.
    weights : str, optional
        Column of weights, e.g. population; 0 leaves a unit out.

    Returns
    -------
    Decomposition

    Raises
    ------
    MissingColumnError, BadInputError
        As in `regional_inequality`; groups that are not nested.
    UsageError
        A method that the index does not have, or that takes one grouping only.
    """
    chosen = index_named(index)
    if period:
        refuse_taken((period,), TABLED)
    levels = [by] if isinstance(by, str) else list(by)
    method = _method_of(chosen, method, levels)
    if not chosen.weights:
        raise UsageError(f"{index} cannot be split: choose gini.")
    units, notes = _nested(city, levels, value, period, unit, weights)
    total = of_groups(chosen, units.x, units.w, units.whole, units.periods.size)
    groups, pairs = pd.DataFrame(), pd.DataFrame()
    key = period or "period"
    if method == "additive":
        parts, groups = _additive(chosen, units, levels, key)
    elif method in ("dagum", "classical"):
        parts, groups, pairs = _gini_parts(units, levels[0], total, method, key)
    elif method == "factorial":
        parts = _factorial(chosen, units, levels[0], total)
    else:
        _, within, between = shapley_within_between(chosen, units.x, units.w, units.code[0], units.whole)
        parts = {f"within {levels[0]}": within, f"between {levels[0]}": between}
    return Decomposition(_components(parts, total, units, key, period), groups, pairs, index, method, notes)


def _method_of(index: Index, method: str | None, levels: Sequence[str]) -> str:
    if index.alpha is not None:
        own = ("additive", "shapley")
    elif index.name == "gini":
        own = ("dagum", "classical", "shapley")
    else:
        own = ("factorial", "shapley") if index.name.startswith("atkinson") else ("shapley",)
    if method is not None and method not in METHODS:
        raise UsageError(f"there is no method {method!r}: choose among {', '.join(METHODS)}.")
    if method is not None and method not in own:
        raise UsageError(f"{index.name} has no {method} decomposition: choose among {', '.join(own)}.")
    if not levels or len(set(levels)) < len(levels):
        raise UsageError(f"by names the columns {list(levels)}: expected one or several, each once.")
    method = method or own[0]
    if len(levels) > 1 and method != "additive":
        raise UsageError(
            f"{method} takes one grouping and by names {len(levels)}: nested groups need theil, theil_l or ge(alpha)."
        )
    return method


def _nested(
    city: pd.DataFrame, levels: Sequence[str], value: str, period: str | None, unit: str, weights: str | None
) -> tuple[Nested, tuple[str, ...]]:
    keys = [unit, *([period] if period else [])]
    require_columns(city, [*levels, *keys, value, *([weights] if weights else [])], "the table of cities")
    if city.empty:
        raise BadInputError("the table of cities has no rows: expected one for each unit and period.")
    for key in keys:
        codes(city, key)
    refuse_duplicates(city, keys, "the table of cities")
    x = numeric(city, value, keys)
    w = np.ones(x.size) if weights is None else numeric(city, weights, keys)
    for column, numbers in ((value, x), (weights, w)):
        refuse_negative(city, column, numbers, keys)
    used = ~np.isnan(x) & (w > 0)
    if not used.any():
        raise BadInputError(f"no row has a {value!r} and a weight: there is nothing to split.")
    when, periods = moments(city, period) if period else (np.zeros(x.size, np.intp), pd.Index(["all"]))
    when_used, present = pd.factorize(when[used], sort=True)
    code, name = [], []
    for finer, level in zip([None, *levels[:-1]], levels, strict=True):
        place, places = codes(city, level)
        pair, found = pd.factorize((when * len(places) + place)[used], sort=True)
        code.append(pair)
        name.append(np.asarray(places)[found % len(places)])
        if finer is not None:
            _refuse_not_nested(city[used], finer, level, code[-2], pair, keys)
    absent = int((~used).sum())
    notes = (f"{absent:,} of {x.size:,} rows have no {value} or no weight and do not count",) if absent else ()
    x, w = x[used], w[used]
    order = np.lexsort((w, x))  # so that no order of rows shows through in a sum
    units = Nested(
        tamed(x[order]),
        tamed(w[order]),
        tuple(part[order] for part in code),
        tuple(name),
        when_used[order],
        np.asarray(periods)[present],
    )
    return units, notes


def _refuse_not_nested(
    city: pd.DataFrame, finer: str, level: str, code: np.ndarray, coarser: np.ndarray, keys: Sequence[str]
) -> None:
    split = parent_of(code, coarser)[code] != coarser
    if split.any():
        group = city[finer].to_numpy()[split][0]
        places = city.loc[(city[finer] == group).to_numpy(), level].unique()
        raise BadInputError(
            f"{finer} {group!r} lies in {len(places):,} groups of {level!r}, {places[0]!r} and {places[1]!r}: "
            f"expected nested groups, the finest first; correct {level!r} or turn the order round."
        )


def _additive(
    index: Index, units: Nested, levels: Sequence[str], key: str
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    n = units.periods.size
    x, w = units.x, units.w
    chain = [*units.code, units.whole]
    parts, tables = {}, []
    whole = units.whole
    size = np.ones(x.size, int)
    total = Groups.of(x, w, whole)
    for depth, level in enumerate(levels):
        code = chain[depth] if depth == 0 else parent_of(chain[depth - 1], chain[depth])
        top = parent_of(code, whole)
        inside, added = additive_terms(index, x, w, code, top)
        parts[f"within {level}" if depth == 0 else f"between {levels[depth - 1]}"] = np.bincount(top, added, n)
        group = Groups.of(x, w, code)
        size = np.bincount(code, size).astype(int)
        weight_share = group.weight / total.weight[top]
        with quiet():
            value_share = weight_share * group.mean / total.mean[top]
        tables.append(
            pd.DataFrame(
                {
                    "level": level,
                    "group": units.name[depth],
                    key: units.periods[top],
                    "n": size,
                    "weight_share": weight_share,
                    "value_share": value_share,
                    "index": inside,
                    "contribution": added,
                }
            )
        )
        x, w, whole = group.mean, group.weight, top
    parts[f"between {levels[-1]}"] = of_groups(index, x, w, whole, n, alone=0.0)
    return parts, pd.concat(tables, ignore_index=True)


def _gini_parts(
    units: Nested, level: str, total: np.ndarray, method: str, key: str
) -> tuple[dict[str, np.ndarray], pd.DataFrame, pd.DataFrame]:
    n = units.periods.size
    code, parent = units.code[0], parent_of(units.code[0], units.whole)
    group, top = Groups.of(units.x, units.w, code), Groups.of(units.x, units.w, units.whole)
    gini = of_groups(index_named("gini"), units.x, units.w, code, parent.size, alone=0.0)
    weight_share = group.weight / top.weight[parent]
    with quiet():
        value_share = weight_share * group.mean / top.mean[parent]
    added = np.where(group.mean == 0, 0.0, weight_share * value_share * gini)
    groups = pd.DataFrame(
        {
            "level": level,
            "group": units.name[0],
            key: units.periods[parent],
            "n": np.bincount(code),
            "weight_share": weight_share,
            "value_share": value_share,
            "index": gini,
            "contribution": added,
        }
    )
    if method == "classical":
        within = np.bincount(parent, added, n)
        between = of_groups(index_named("gini"), group.mean, group.weight, parent, n, alone=0.0)
        return (
            {f"within {level}": within, f"between {level}": between, "overlap": total - within - between},
            groups,
            (pd.DataFrame()),
        )
    parts = {
        f"within {level}": np.full(n, np.nan),
        f"between {level}": np.full(n, np.nan),
        "overlap": np.full(n, np.nan),
    }
    tables = []
    for t in np.flatnonzero(~np.isnan(total)):
        here = units.whole == t
        own, place = np.unique(code[here], return_inverse=True)
        found, pairs = dagum(units.x[here], units.w[here], place)
        for into, part in zip(parts.values(), found.values(), strict=True):
            into[t] = part
        names = units.name[0][own]
        pairs |= {"g": names[pairs["g"]], "h": names[pairs["h"]]}
        tables.append(pd.DataFrame({key: units.periods[t], **pairs}))
    return parts, groups, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _factorial(index: Index, units: Nested, level: str, total: np.ndarray) -> dict[str, np.ndarray]:
    group = Groups.of(units.x, units.w, units.code[0])
    parent = parent_of(units.code[0], units.whole)
    between = of_groups(index, group.mean, group.weight, parent, units.periods.size, alone=0.0)
    with quiet():
        within = np.where(between < 1, 1 - (1 - total) / (1 - between), np.nan)
    return {f"within {level}": within, f"between {level}": between, "interaction": -within * between}


def _components(
    parts: dict[str, np.ndarray], total: np.ndarray, units: Nested, key: str, period: str | None
) -> pd.DataFrame:
    contribution = np.stack(list(parts.values()), axis=1)  # (period, component)
    n, k = contribution.shape
    contribution = np.where(np.isnan(total)[:, None], np.nan, contribution)
    count = np.bincount(units.whole, minlength=n)
    dark = np.bincount(units.whole[units.x == 0], minlength=n)
    reasons = []
    for seen, zero, whole, row in zip(count, dark, total, contribution, strict=True):
        reason = ""
        if seen < 2:
            reason = "one unit"
        elif zero == seen:
            reason = "all units are dark"
        elif np.isnan(whole):
            reason = f"undefined, {zero} of {seen} units are dark"
        elif np.isnan(row).any():
            reason = "a group is dark"
        reasons.append(reason)
    with quiet():
        share = contribution / total[:, None]
    table = pd.DataFrame(
        {
            key: np.repeat(units.periods, k),
            "component": list(parts) * n,
            "contribution": contribution.ravel(),
            "share": share.ravel(),
            "total": np.repeat(total, k),
            "reason": np.repeat(np.array(reasons, object), k),
        }
    )
    return table if period else table.drop(columns=key)


# --- by source ------------------------------------------------------------------------------------------------------


def shapley_sources(
    city: pd.DataFrame,
    sources: Sequence[str],
    index: str = "gini",
    by: str | None = None,
    period: str | None = "year",
    unit: str = "zone",
    weights: str | None = None,
    elimination: str = "mean",
) -> pd.DataFrame:
    """Shapley share of every source (column) in the inequality of their sum; Shorrocks (2013), section 5.

    Every source is removed in every order, and what the index loses is averaged.

    Parameters
    ----------
    city : DataFrame
        One row a unit and period.
    sources : sequence of str
        At most 12 columns >= 0 that add up to what is compared, e.g. the value added of sectors.
    index : str
        As in `econ.indices`.
    by, period : str, optional
        Columns of the region and period that are decomposed each for itself; None: all together.
    unit, weights : str
        As in `decompose`.
    elimination : "mean" or "zero"
        A removed source is spread evenly over the units of its group, so that their mean stays, or is taken away.

    Returns
    -------
    DataFrame
        `by`, `period`, source, contribution, share (of the index), value_share (of the sum), total (the index), reason.
        Rows that lack a source do not count; `.attrs["left_out"]` is their number.

    Raises
    ------
    MissingColumnError, BadInputError, UsageError
        As in `decompose`; fewer than two or too many sources.
    """
    chosen = index_named(index)
    if elimination not in ELIMINATIONS:
        raise UsageError(f"there is no elimination {elimination!r}: choose among {', '.join(ELIMINATIONS)}.")
    if not 2 <= len(sources) <= MOST_SOURCES or len(set(sources)) < len(sources):
        raise UsageError(f"the sources are {', '.join(sources)}: expected 2 to {MOST_SOURCES} columns, each once.")
    if weights is not None and not chosen.weights:
        raise UsageError(f"{index} takes no weights: leave them out.")
    keys = [unit, *([period] if period else [])]
    places = [column for column in (by, period) if column]
    refuse_taken(places, ("source", "contribution", "share", "value_share", "total", "reason"))
    require_columns(city, [*places, unit, *sources, *([weights] if weights else [])], "the table of cities")
    if city.empty:
        raise BadInputError("the table of cities has no rows: expected one for each unit and period.")
    refuse_duplicates(city, keys, "the table of cities")
    y = np.stack([numeric(city, source, keys) for source in sources])
    w = np.ones(y.shape[1]) if weights is None else numeric(city, weights, keys)
    for column, numbers in zip((*sources, weights), (*y, w), strict=True):
        refuse_negative(city, column, numbers, keys)
    used = ~np.isnan(y).any(0) & (w > 0)
    if not used.any():
        raise BadInputError("no row has all the sources and a weight: there is nothing to split.")
    y, w = y[:, used], w[used]
    code, labels = _labels(city[used], places)
    order = np.lexsort((*y[::-1], w))  # so that no order of rows shows through in a sum
    y, w, code = tamed(y[:, order].ravel()).reshape(y.shape), tamed(w[order]), code[order]

    n_group = code.max() + 1
    mean = np.stack([Groups.of(source, w, code).mean for source in y])  # (source, group)
    gone = mean[:, code] if elimination == "mean" else np.zeros_like(y)

    def index_of(kept: tuple[int, ...]) -> np.ndarray:
        if not kept:
            return np.zeros(n_group)  # equal, or nothing to share
        there = np.isin(np.arange(len(sources)), kept)[:, None]
        return of_groups(chosen, np.where(there, y, gone).sum(0), w, code, n_group)

    value = shapley(len(sources), index_of)
    total = index_of(tuple(range(len(sources))))
    with quiet():
        share, value_share = value / total, mean / mean.sum(0)
    value = np.where(np.isnan(total), np.nan, value)
    count = np.bincount(code)
    reason = np.select(
        [count < 2, np.isnan(value).any(0), total == 0],
        ["one unit", f"{index} undefined with some sources left out", "no inequality to share"],
        "",
    )
    k = len(sources)
    table = pd.DataFrame(
        {
            **{column: np.repeat(names, k) for column, names in labels.items()},
            "source": list(sources) * n_group,
            "contribution": value.T.ravel(),
            "share": share.T.ravel(),
            "value_share": value_share.T.ravel(),
            "total": np.repeat(total, k),
            "reason": np.repeat(reason.astype(object), k),
        }
    )
    table.attrs = {"index": index, "elimination": elimination, "weights": weights, "left_out": int((~used).sum())}
    return table


def _labels(city: pd.DataFrame, places: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(row,) code of the group that the columns `places` make, and their labels for every group."""
    code, names = np.zeros(len(city), np.intp), []
    for column in places:
        part, levels = codes(city, column)
        code = code * len(levels) + part
        names.append(levels)
    code, found = pd.factorize(code, sort=True)
    labels = {}
    for column, levels in zip(reversed(places), reversed(names), strict=True):
        found, part = np.divmod(found, len(levels))
        labels[column] = np.asarray(levels)[part]
    return code, dict(reversed(labels.items()))


def shapley(players: int, worth: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
    """(player, ...) Shapley value of a game: worth(coalition) -> (...), the coalition a tuple of players, ascending."""
    known = {coalition: worth(coalition) for coalition in _coalitions(range(players))}
    value = np.zeros((players, *np.shape(known[()])))
    for player in range(players):
        for others in _coalitions([other for other in range(players) if other != player]):
            joined = tuple(sorted((*others, player)))
            orders = math.factorial(len(others)) * math.factorial(players - len(others) - 1)
            value[player] += orders / math.factorial(players) * (known[joined] - known[others])
    return value


def _coalitions(players: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for size in range(len(players) + 1):
        yield from combinations(players, size)
