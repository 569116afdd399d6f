"""Checks of samples and variables: N, descriptive statistics, units, Tobit limits, effect sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from econ.reports.findings import Bench
from econ.reports.form import Column, Report, Variable
from econ.reports.intervals import Interval, implied_epsilon, lognormal_gini, sd_ceiling, sd_floor

# kind -> bounds that every value keeps, bounds that the mean usually keeps, and the source of these
KIND_BOUNDS: dict[str, tuple[float, float]] = {
    "gini": (0, 1),
    "atkinson": (0, 1),
    "theil": (0, math.inf),
    "share": (0, 1),
    "percent": (0, 100),
    "positive": (0, math.inf),
    "years of schooling": (0, 30),
}
USUAL_MEANS: dict[str, tuple[float, float, str]] = {
    # goalposts of the index of education; no country of Barro and Lee (2013) had a mean below 1 year in 2000 or later
    "years of schooling": (1, 15, "mean years of schooling in the Human Development Index and in Barro and Lee 2013"),
}
EPSILON_FACTOR = 1.5  # how far the lognormal epsilon may be from the stated one: the law is an approximation


# --- N ------------------------------------------------------------------------------------------------------------


def check_n(report: Report, bench: Bench) -> None:
    """N against groups, periods and lags; parameters; the text; sub-samples."""
    for column in report.columns:
        if column.n and column.groups and column.periods:
            check_panel(column, bench)
        if column.n and column.gaussian:
            bench.compare("n-df")
            name, df = next(iter(all_df(column)))
            if df < 1:
                bench.find(
                    "n-df",
                    "contradiction",
                    column.id,
                    f"N = {column.n} leaves {df} residual degrees of freedom ({name}): expected at least 1.",
                )
    check_claims(report, bench)
    for one in report.subsamples:
        whole, parts = report.column(one.whole), [report.column(id) for id in one.parts]
        for what in ("n", "groups"):
            counts = [getattr(column, what) for column in parts]
            total = getattr(whole, what)
            if total is None or None in counts:
                continue
            bench.compare("n-sum")
            if sum(counts) != total:
                name = "N" if what == "n" else what
                bench.find(
                    "n-sum",
                    "contradiction",
                    (whole.id, *(column.id for column in parts)),
                    f"the sub-samples have {name} {' + '.join(map(str, counts))} = {sum(counts)}, the whole has "
                    f"{total}.",
                    f"{sum(counts)} - {total} = {sum(counts) - total}",
                )


def all_df(column: Column) -> Iterator[tuple[str, int]]:
    n, g, t, k = column.n, column.groups, column.periods, column.slopes
    if column.effects == "twoway" and g and t:
        yield "N-n-(T-1)-k", n - g - (t - 1) - k
    if column.effects in ("twoway", "entity") and g:
        yield "N-n-k", n - g - k
    yield "N-k-1", n - k - 1


def check_panel(column: Column, bench: Bench) -> None:
    n, groups, periods, lags = column.n, column.groups, column.periods, column.lags
    most, expected = groups * periods, groups * (periods - lags)
    bench.compare("n-panel")
    words = f"{groups} groups x {periods} periods"
    if n > most:
        bench.find(
            "n-panel",
            "contradiction",
            column.id,
            f"N = {n} is more than {words} = {most}.",
            f"{groups} x {periods} = {most}",
        )
        return
    if lags and n > expected:
        bench.find(
            "n-panel",
            "note",
            column.id,
            f"N = {n} with {lags} lags is more than {groups} x {periods - lags} = {expected}: it needs data from "
            f"before the first of the {periods} periods.",
        )
        return
    if n < expected:
        after = f" less {lags} lag{'s' if lags > 1 else ''}" if lags else ""
        made = factorizations(n, groups, periods)
        ways = " or ".join(f"{g} x {t}" for g, t in made)
        bench.find(
            "n-panel",
            "contradiction" if column.balanced else "doubtful" if lags or made else "note",
            column.id,
            f"N = {n}, but {words}{after} are {expected}"
            + (f"; {n} is {ways}." if made else "; the panel has gaps, or one of the numbers is wrong."),
            f"{groups} x ({periods} - {lags}) = {expected}",
            expected=expected,
            factorizations=made,
        )


def factorizations(n: int, groups: int, periods: int) -> list[tuple[int, int]]:
    """(groups, periods) of balanced panels with n rows, neither more nor less than half of what is stated."""
    return [
        (g, n // g) for g in range(groups, groups // 2, -1) if n % g == 0 and periods // 2 < n // g <= periods
    ]  # fmt: skip


def check_claims(report: Report, bench: Bench) -> None:
    for what in ("n", "groups", "periods"):
        claim = getattr(report.claims, what)
        counts = [getattr(column, what) for column in report.columns if getattr(column, what) is not None]
        if claim is None or not counts:
            continue
        bench.compare("n-claim")
        if claim not in counts:
            name = "N" if what == "n" else what
            used = ", ".join(map(str, sorted(set(counts))))
            bench.find(
                "n-claim",
                "doubtful",
                tuple(dict.fromkeys(c.table for c in report.columns if getattr(c, what) is not None)),
                f"the text speaks of {name} = {claim}, the estimations use {used}: say which units drop out and why.",
            )


# --- descriptive statistics ---------------------------------------------------------------------------------------


def check_variables(report: Report, bench: Bench) -> None:
    """min <= mean <= max, the bounds of the sd, and what the variable is said to be."""
    for variable in report.variables:
        check_moments(variable, bench)
        check_units(variable, bench)


def check_moments(variable: Variable, bench: Bench) -> None:
    low, high, mean, sd, n = variable.min, variable.max, variable.mean, variable.sd, variable.n
    order = [(name, value) for name, value in (("min", low), ("mean", mean), ("max", high)) if value]
    for (name, one), (other_name, other) in pairwise(order):
        bench.compare("mean-range")
        if other.range.below(one.range):
            bench.find(
                "mean-range",
                "contradiction",
                variable.name,
                f"the {other_name} {other} of {variable.name} is below its {name} {one}.",
            )
            return
    if sd:
        bench.compare("sd-range")
        if sd.range.high < 0:
            bench.find(
                "sd-range", "contradiction", variable.name, f"the sd of {variable.name} is {sd}, expected none below 0."
            )
        elif low and high and mean and n and n > 1:
            check_sd(variable, bench)


def check_sd(variable: Variable, bench: Bench) -> None:
    low, high, sd, n = variable.min.range, variable.max.range, variable.sd, variable.n
    middle = (low.low + high.high) / 2
    means = variable.mean.range
    # the ceiling is a parabola in the mean, highest in the middle; the ends widest apart allow most
    best = min(max(means.low, middle), means.high)
    ceiling = sd_ceiling(low.low, high.high, best, n)
    half_range = (high.high - low.low) / 2 * math.sqrt(n / (n - 1))
    if Interval(ceiling, ceiling).below(sd.range):
        loose = Interval(half_range, half_range).below(sd.range)
        bench.find(
            "sd-range",
            "contradiction",
            variable.name,
            f"the sd {sd} of {variable.name} is more than {ceiling:.6g}, the most that {n} numbers from {variable.min} "
            f"to {variable.max} with mean {variable.mean} can have"
            + (f" (and than {half_range:.6g}, the most with any mean)." if loose else "."),
            "sqrt((max - mean)(mean - min) n / (n - 1))",
            ceiling=ceiling,
            half_range=half_range,
        )
        return
    if low.high > high.low:
        return
    inner = (low.high + high.low) / 2
    floor = sd_floor(low.high, high.low, min(max(means.low, inner), means.high), n)
    if Interval(floor, floor).above(sd.range.high):
        bench.find(
            "sd-range",
            "contradiction",
            variable.name,
            f"the sd {sd} of {variable.name} is less than {floor:.6g}, the least that {n} numbers can have of which "
            f"one is {variable.min} and one {variable.max}.",
            "sqrt(((max - mean)^2 + (mean - min)^2 + (max + min - 2 mean)^2 / (n - 2)) / n)",
            floor=floor,
        )


def check_units(variable: Variable, bench: Bench) -> None:
    bounds = KIND_BOUNDS.get(variable.kind)
    if bounds:
        kept = Interval(*map(float, bounds))
        for name in ("min", "mean", "max"):
            value = getattr(variable, name)
            if not value:
                continue
            bench.compare("units")
            if not value.range.meets(kept):
                bench.find(
                    "units",
                    "contradiction",
                    variable.name,
                    f"the {name} {value} of {variable.name} is outside {bounds[0]:g} to {bounds[1]:g}, the range of "
                    f"{variable.kind}.",
                )
    low, high, source = (
        (*variable.usual, variable.usual_source) if variable.usual else USUAL_MEANS.get(variable.kind, (0, 0, ""))
    )
    if variable.mean and low < high:
        bench.compare("units")
        if not variable.mean.range.meets(Interval(low, high)):
            what = variable.kind if not variable.usual else variable.unit or "what it is said to be"
            bench.find(
                "units",
                "doubtful",
                variable.name,
                f"{variable.name} has mean {variable.mean}, but means of {what} lie between {low:g} and {high:g}"
                f"{f' ({source})' if source else ''}: the unit is another, or the number is wrong.",
                low=low,
                high=high,
            )


def check_index_moments(report: Report, bench: Bench) -> None:
    """Epsilon and Gini that Theil and Atkinson of one thing imply under a lognormal law, from mean, min and max."""
    for theil in report.variables:
        if theil.kind != "theil":
            continue
        for other in report.variables:
            if other.kind == "atkinson" and other.of == theil.of:
                check_epsilon(theil, other, report, bench)


def check_epsilon(theil: Variable, atkinson: Variable, report: Report, bench: Bench) -> None:
    found = {
        name: implied_epsilon(getattr(atkinson, name).value, getattr(theil, name).value)
        for name in ("mean", "min", "max")
        if getattr(atkinson, name)
        and getattr(theil, name)
        and getattr(theil, name).range.low > 0
        and 0 < getattr(atkinson, name).value < 1
    }
    if not found:
        return
    bench.compare("index-moments")
    gini = next((one for one in report.variables if one.kind == "gini" and one.of == theil.of and one.mean), None)
    beside = (
        f"; the Gini of that Theil would be {lognormal_gini(theil.mean.value):.3f}, printed is {gini.mean}"
        if gini and "mean" in found
        else ""
    )
    listed = ", ".join(f"{value:.2f} by the {name}" for name, value in found.items())
    stated = atkinson.epsilon
    bench.find(
        "index-moments",
        "note",
        (theil.name, atkinson.name),
        f"under a lognormal law Theil and Atkinson imply an epsilon of {listed}"
        f"{'' if stated else '; epsilon is not stated'}{beside}.",
        "epsilon = -ln(1 - A) / T, as T = s^2 / 2 and A = 1 - exp(-epsilon s^2 / 2)",
        epsilon=found,
        gini=lognormal_gini(theil.mean.value) if "mean" in found else None,
    )
    if stated:
        bench.compare("index-epsilon")
        ratios = [value / stated.value for value in found.values()] if stated.value > 0 else [math.inf]
        if all(ratio > EPSILON_FACTOR for ratio in ratios) or all(ratio < 1 / EPSILON_FACTOR for ratio in ratios):
            bench.find(
                "index-epsilon",
                "doubtful",
                atkinson.name,
                f"epsilon is stated as {stated}, but Theil and Atkinson of {theil.of or 'these data'} imply {listed} "
                f"under a lognormal law.",
                epsilon=found,
            )


# --- Tobit and effect sizes ---------------------------------------------------------------------------------------


def check_tobit(report: Report, bench: Bench) -> None:
    """Whether anything is censored; if nothing is, the Tobit is Gaussian maximum likelihood and comparable with FE."""
    for column in report.columns:
        outcome = report.variable(column.dependent)
        if column.estimator != "tobit" or not outcome or not (column.lower or column.upper):
            continue
        checks = []
        if column.lower and outcome.min:
            checks.append((outcome.min.range.low > column.lower.value, f"min {outcome.min} > {column.lower}"))
        if column.upper and outcome.max:
            checks.append((outcome.max.range.high < column.upper.value, f"max {outcome.max} < {column.upper}"))
        if len(checks) < bool(column.lower) + bool(column.upper):
            continue
        bench.compare("tobit")
        if not all(free for free, _ in checks):
            continue
        shown = " and ".join(words for _, words in checks)
        bench.find(
            "tobit",
            "doubtful",
            column.id,
            f"no observation of {outcome.name} is censored ({shown}): this Tobit is Gaussian maximum likelihood, and "
            f"no check of robustness to censoring.",
            shown,
        )
        for other in report.columns:
            if twins(column, other):
                compare_tobit(column, other, bench)


def twins(tobit: Column, other: Column) -> bool:
    """Least squares with effects of the same outcome, rows and regressors, as far as the report says."""
    return bool(
        other.gaussian
        and other.effects in ("entity", "twoway")
        and other.loglik
        and tobit.loglik
        and tobit.n == other.n
        and (tobit.dependent, tobit.sample, tobit.lags) == (other.dependent, other.sample, other.lags)
        and tobit.regressors == other.regressors
        and tobit.slopes == other.slopes == len(other.regressors)
    )


def compare_tobit(tobit: Column, fixed: Column, bench: Bench) -> None:
    bench.compare("tobit-effects")
    if tobit.loglik.range.meets(fixed.loglik.range):
        return
    claimed = tobit.effects == fixed.effects
    bench.find(
        "tobit-effects",
        "contradiction" if claimed else "note",
        (tobit.id, fixed.id),
        f"without censoring a Tobit with the effects of {fixed.id} has its log-likelihood {fixed.loglik}, printed is "
        f"{tobit.loglik}: it has "
        + (
            "no fixed effects of entities, as of random effects"
            if tobit.loglik.range.below(fixed.loglik.range)
            else "other effects"
        )
        + (f", though {fixed.effects} effects are stated." if claimed else "."),
        f"{tobit.loglik} - {fixed.loglik} = {tobit.loglik.value - fixed.loglik.value:.6g}",
        difference=tobit.loglik.value - fixed.loglik.value,
    )


def check_effects(report: Report, bench: Bench) -> None:
    """b sd(x), as a share of sd(y), for every term whose name is that of a variable."""
    groups: dict[tuple[str, str, str], list[tuple[Column, float]]] = {}
    for column in report.columns:
        for cell in column.terms:
            if cell.b:
                groups.setdefault((column.table, column.dependent, cell.name), []).append((column, cell.b.value))
    for (table, dependent, term), found in groups.items():
        outcome, variable = report.variable(dependent), report.variable(term)
        if not outcome or not outcome.sd or outcome.sd.value <= 0 or not variable or not variable.sd:
            continue
        bench.compare("effect-size")
        effects = [b * variable.sd.value for _, b in found]
        shares = [abs(effect) / outcome.sd.value for effect in effects]
        bench.find(
            "effect-size",
            "note",
            f"{table}, {term}",
            f"one sd of {term} more is {span(effects, '+.4g')} of {outcome.name}, {span(shares, '.0%')} of its sd, in "
            f"{', '.join(column.name for column, _ in found)}.",
            f"b x {variable.sd}; / {outcome.sd}",
            effects=effects,
            shares=shares,
        )


def span(numbers: list[float], form: str) -> str:
    low, high = format(min(numbers), form), format(max(numbers), form)
    return low if low == high else f"{low} to {high}"


CHECKS: Sequence = (check_n, check_variables, check_index_moments, check_tobit, check_effects)
