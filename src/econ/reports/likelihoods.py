"""Checks across columns: log-likelihoods, LR, R2, and what t and LR say of the standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

from econ.reports.cells import check_chi2_p, say_stars
from econ.reports.findings import Bench
from econ.reports.form import Column, Report
from econ.reports.intervals import (
    Interval,
    common,
    exp,
    implied_df,
    implied_total_ss,
    likelihood_ratio,
    log_residual_ss,
    p_of_chi2,
)

UNADJUSTED = ("unadjusted", "within", "overall", "lsdv")
TELLING = 0.1  # an interval of df wider than this part of it tells no rule from another


def lr_range(one: Column, other: Column) -> Interval:
    """|LR| of two columns, as wide as their printed log-likelihoods leave it; never below 0."""
    return abs((one.loglik.range - other.loglik.range) * 2)


def lr_value(one: Column, other: Column) -> float:
    return abs(float(likelihood_ratio(one.loglik.value, other.loglik.value)))


def tables(report: Report) -> Iterator[list[Column]]:
    """Columns of each table."""
    for name in dict.fromkeys(column.table for column in report.columns):
        yield [column for column in report.columns if column.table == name]


def check_lr(report: Report, bench: Bench) -> None:
    """Which pairs of log-likelihoods of a table give its LR statistics."""
    for columns in tables(report):
        fitted = [column for column in columns if column.loglik]
        printed = [column for column in columns if column.lr]
        if not printed:
            continue
        against = common_partner(fitted, printed)
        for column in printed:
            pairs = matches(column, fitted)
            if len(fitted) > 1:
                bench.compare("lr-unmatched")
            if column.lr_against and column.loglik:
                check_lr_claim(column, fitted, bench)
            if not pairs and len(fitted) > 1:
                say_unmatched(column, fitted, against, bench)
            partner = (against if against in partners(column, pairs) else None) or next(
                iter(partners(column, pairs)), None
            )
            if partner:
                check_lr_rounding(column, partner, bench)
            check_lr_test(column, partner, report, bench)
        if against:
            say_against(against, fitted, printed, bench)


def matches(column: Column, fitted: list[Column]) -> list[tuple[Column, Column]]:
    """Pairs whose log-likelihoods give the LR of `column`; its own pairs first."""
    pairs = [
        pair for pair in combinations(fitted, 2) if pair[0].n == pair[1].n and lr_range(*pair).meets(column.lr.range)
    ]
    return sorted(pairs, key=lambda pair: column not in pair)


def partners(column: Column, pairs: list[tuple[Column, Column]]) -> list[Column]:
    return [one if other is column else other for one, other in pairs if column in (one, other)]


def common_partner(fitted: list[Column], printed: list[Column]) -> Column | None:
    """The column against which every printed LR but its own stands, where there are at least two."""
    for partner in reversed(fitted):
        others = [column for column in printed if column is not partner]
        if len(others) > 1 and all(partner in partners(column, matches(column, fitted)) for column in others):
            return partner
    return None


def say_against(against: Column, fitted: list[Column], printed: list[Column], bench: Bench) -> None:
    others = [column for column in printed if column is not against and column.loglik]
    values = [None if column is against else round(lr_value(column, against), 6) for column in printed]
    bench.find(
        "lr-against",
        "note",
        tuple(column.id for column in others),
        f"every LR but its own is that of its column against {against.name}: "
        f"{', '.join(f'{column.name} {lr_value(column, against):.6g} (printed {column.lr})' for column in others)}.",
        f"LR = 2 (LL{against.name} - LL)",
        lr=values,
        against=against.id,
    )


def say_unmatched(column: Column, fitted: list[Column], against: Column | None, bench: Bench) -> None:
    count = len(list(combinations(fitted, 2)))
    needed = f"{column.loglik.value - column.lr.value / 2:.3f}" if column.loglik else None
    bench.find(
        "lr-unmatched",
        "doubtful",
        column.id,
        f"LR {column.lr} is given by none of the {count} pairs of log-likelihoods in {column.table}"
        + (f"; it would need a smaller model with log-likelihood {needed}, which is not printed" if needed else "")
        + (f", while all other LR are against {against.name}." if against and column is not against else "."),
        f"LL - LR / 2 = {column.loglik} - {column.lr} / 2 = {needed}" if needed else "",
        loglik_needed=float(needed) if needed else None,
    )


def check_lr_claim(column: Column, fitted: list[Column], bench: Bench) -> None:
    partner = next((one for one in fitted if one.name == column.lr_against and one is not column), None)
    if partner is None:
        return
    bench.compare("lr-claim")
    if not lr_range(column, partner).meets(column.lr.range):
        value = lr_value(column, partner)
        bench.find(
            "lr-claim",
            "contradiction",
            (column.id, partner.id),
            f"LR of {column.name} against {partner.name} is {value:.6g} by their log-likelihoods, printed "
            f"is {column.lr}.",
            f"2 |{column.loglik} - {partner.loglik}| = {value:.6g}",
            lr=value,
        )


def check_lr_rounding(column: Column, partner: Column, bench: Bench) -> None:
    """A note, no more: log-likelihoods before rounding may give the printed digit, or else it would not be a match."""
    bench.compare("lr-rounding")
    value = lr_value(column, partner)
    if abs(value - column.lr.value) > column.lr.unit / 2 * (1 + 1e-6):
        decimals = max(0, -round(math.log10(column.lr.unit)))
        bench.find(
            "lr-rounding",
            "note",
            (column.id, partner.id),
            f"the printed log-likelihoods of {column.name} and {partner.name} give LR {value:.6g}, which prints as "
            f"{value:.{decimals}f}, not {column.lr}; only the last places that rounding cut off can make it right.",
            f"2 |{column.loglik} - {partner.loglik}| = {value:.6g}, from {lr_range(column, partner)}",
            lr=value,
        )


def check_lr_test(column: Column, partner: Column | None, report: Report, bench: Bench) -> None:
    """p and stars of an LR, with the df as printed or as the number of regressors between the two models."""
    df, said = column.lr_df, ""
    if not df and partner and (column.nested_in(partner) or partner.nested_in(column)):
        df = abs(column.slopes - partner.slopes)
        said = f" against {partner.name}"
    if not df:
        return
    if column.lr_p:
        check_chi2_p(column.lr, column.lr_p, df, "lr-p", column, bench)
    if column.lr.marks and column.lr.marks in [mark for _, mark in report.levels]:
        bench.compare("lr-stars")
        p = p_of_chi2(column.lr.range, df)
        say_stars(column.lr.marks, p, f"LR {column.lr}{said} with {df} df", "lr-stars", column.id, report, bench)


# --- nested models ------------------------------------------------------------------------------------------------


def check_nested(report: Report, bench: Bench) -> None:
    """A larger model fits at least as well; t of the one regressor added, LR and residual df belong together."""
    for small in report.columns:
        for big in report.columns:
            if small is big or not small.nested_in(big):
                continue
            if small.loglik and big.loglik:
                bench.compare("ll-nested")
                if big.loglik.range.below(small.loglik.range):
                    bench.find(
                        "ll-nested",
                        "contradiction",
                        (small.id, big.id),
                        f"{big.name} has all regressors of {small.name} and more, yet its log-likelihood {big.loglik} "
                        f"is below {small.loglik}: the rows differ, or one of them is wrong.",
                    )
                elif len(big.regressors - small.regressors) == 1:
                    check_df(small, big, bench)
            plain = small.r2_label in UNADJUSTED and small.r2_label == big.r2_label
            if plain and small.r2 and big.r2:
                bench.compare("r2-nested")
                if big.r2.range.below(small.r2.range):
                    bench.find(
                        "r2-nested",
                        "contradiction",
                        (small.id, big.id),
                        f"{big.name} has all regressors of {small.name} and more, yet its R2 {big.r2}, said to be "
                        f"{big.r2_label}, is below {small.r2}.",
                    )


def residual_df(column: Column) -> dict[str, int]:
    """Residual df of least squares by the ways to count the effects."""
    n, g, t, k = column.n, column.groups, column.periods, column.slopes
    found = {}
    if column.effects == "twoway" and g and t:
        found = {"N-n-(T-1)-k": n - g - (t - 1) - k, "N-n-k": n - g - k}
    elif column.effects == "entity" and g:
        found = {"N-n-k": n - g - k}
    elif column.effects == "time" and t:
        found = {"N-T-k": n - t - k}
    return {name: df for name, df in (found | {"N-k-1": n - k - 1, "N-k": n - k, "N": n}).items() if df > 0}


def check_df(small: Column, big: Column, bench: Bench) -> None:
    """df = t^2 / (exp(LR / N) - 1) for the one regressor that `big` adds to `small`."""
    (added,) = big.regressors - small.regressors
    cell = next((cell for cell in big.terms if cell.name == added), None)
    lr = (big.loglik.range - small.loglik.range) * 2
    if cell is None or cell.t_range is None or lr.low <= 0:
        return
    size = abs(cell.t_range)
    if not math.isfinite(size.high):
        return
    found = Interval(float(implied_df(size.low, lr.high, big.n)), float(implied_df(size.high, lr.low, big.n)))
    t = cell.t.value if cell.t else cell.b.value / cell.se.value
    value = float(implied_df(t, likelihood_ratio(big.loglik.value, small.loglik.value), big.n))
    bench.compare("se-kind")
    rules = residual_df(big)
    fits = [f"{name} = {df}" for name, df in rules.items() if df in found]
    where = (big.id, small.id)
    arithmetic = (
        f"t^2 / (exp(LR / N) - 1) = {abs(t):.6g}^2 / (exp({lr_value(big, small):.6g} / {big.n}) - 1) = {value:.2f}"
    )
    numbers = {"df": value, "low": found.low, "high": found.high, "fits": fits}
    step = f"t of {added} in {big.name} and LR against {small.name} imply {value:.2f} residual df ({found})"
    least = min(rules.values()) - 1
    possible = Interval(min(least, rules["N"]), rules["N"])
    if not found.meets(possible):
        claimed = big.se == "classical"
        bench.find(
            "se-claim" if claimed else "se-kind",
            "contradiction"
            if claimed and big.effects and big.groups and big.periods
            else "doubtful"
            if claimed
            else "note",
            where,
            f"{step}, which no count of parameters gives: the standard errors are robust or clustered"
            + (", not classical as stated." if claimed else "."),
            arithmetic,
            **numbers,
        )
    elif found.high - found.low > TELLING * value:
        return
    elif fits:
        claimed = big.se in ("cluster", "robust")
        bench.find(
            "se-claim" if claimed else "se-kind",
            "doubtful" if claimed else "note",
            where,
            f"{step}, and {' and '.join(fits)}: the standard errors are homoskedastic"
            + (f", not {'clustered' if big.se == 'cluster' else big.se} as stated." if claimed else "."),
            arithmetic,
            **numbers,
        )
    elif big.se == "classical":
        usual = ", ".join(f"{name} = {df}" for name, df in rules.items())
        bench.find("se-claim", "doubtful", where, f"{step}, none of the usual {usual}.", arithmetic, **numbers)


# --- R2 -----------------------------------------------------------------------------------------------------------


def check_r2(report: Report, bench: Bench) -> None:
    """Range of R2, and the reading under which all like columns share one total sum of squares."""
    for column in report.columns:
        if not column.r2:
            continue
        bench.compare("r2-range")
        if column.r2.range.low > 1 or (column.r2.range.high < 0 and column.r2_label in UNADJUSTED and column.gaussian):
            bench.find(
                "r2-range", "contradiction", column.id, f"R2 is {column.r2}, expected {column.r2_label} R2 from 0 to 1."
            )
    seen: list[Column] = []
    usable = [
        column for column in report.columns if column.gaussian and column.n and column.r2 and column.loglik
        and column.r2.range.high < 1 and column.r2_label not in ("between", "pseudo")
    ]  # fmt: skip
    for first in usable:
        if first not in seen:
            alike = [column for column in usable if column.like(first) and column.r2_label == first.r2_label]
            seen += alike
            check_reading(alike, report, bench)


def log_total(column: Column, df_residual: float | None = None) -> Interval:
    """ln TSS, up to a constant where adjusted: on this scale no log-likelihood overflows."""
    rss = column.loglik.range.falling(lambda value: float(log_residual_ss(value, column.n)))
    shift = Interval(-math.log1p(-column.r2.range.low), -math.log1p(-column.r2.range.high))
    df = math.log(df_residual) if df_residual else 0.0
    return Interval(rss.low + shift.low - df, rss.high + shift.high - df)


def adjusted_fits(columns: list[Column]) -> list[int]:
    """All c for which df_residual = c - k gives one total sum of squares; the df of the total only scale it."""
    n, g, t = columns[0].n, columns[0].groups or 0, columns[0].periods or 0
    most = max(column.slopes for column in columns)
    lowest = n - 1 if columns[0].effects == "none" else n - g - t if g else most + 1
    return [
        c for c in range(max(lowest, most + 1), n + 1)
        if common([log_total(column, c - column.slopes) for column in columns])
    ]  # fmt: skip


def check_reading(columns: list[Column], report: Report, bench: Bench) -> None:
    label = columns[0].r2_label
    where = tuple(column.id for column in columns)
    totals = [float(implied_total_ss(c.loglik.value, c.n, c.r2.value)) for c in columns]
    constant = common([log_total(column) for column in columns])
    if len(columns) > 1:
        bench.compare("r2-reading")
        adjusted = adjusted_fits(columns)
        shown = ", ".join(f"{total:.4g}" for total in totals)
        arithmetic = f"TSS = N exp(-2 LL / N - 1 - ln 2 pi) / (1 - R2) = {shown}"
        if constant and not adjusted:
            bench.find(
                "r2-reading",
                "note",
                where,
                f"read as unadjusted, the R2 of all {len(columns)} columns share one total sum of squares within "
                f"rounding ({shown}); read as adjusted, by no count of degrees of freedom.",
                arithmetic,
                tss=totals,
                reading="unadjusted",
            )
            if label == "adjusted":
                bench.find(
                    "r2-label",
                    "contradiction",
                    where,
                    f"the R2 is labelled adjusted, but only unadjusted R2 agree with the log-likelihoods "
                    f"(TSS {shown} within rounding, with none of the adjustments).",
                    arithmetic,
                    tss=totals,
                )
        elif adjusted and not constant:
            names = adjustments(columns[0], adjusted)
            bench.find(
                "r2-reading",
                "note",
                where,
                f"read as adjusted with {names} residual df, the R2 of all {len(columns)} columns share one total sum "
                f"of squares; read as unadjusted they do not ({shown}).",
                arithmetic,
                tss=totals,
                reading="adjusted",
                c=adjusted,
            )
            if label in UNADJUSTED:
                bench.find(
                    "r2-label",
                    "contradiction",
                    where,
                    f"the R2 is labelled {label}, but only adjusted R2 ({names} residual df) agree with the "
                    f"log-likelihoods.",
                    arithmetic,
                    tss=totals,
                )
        elif not constant:
            bench.find(
                "r2-reading",
                "contradiction" if label in UNADJUSTED else "doubtful",
                where,
                f"R2 and log-likelihoods of these columns, which are said to share outcome and rows, imply no one "
                f"total sum of squares ({shown}), neither unadjusted nor adjusted: a number is wrong, or rows differ.",
                arithmetic,
                tss=totals,
            )
    if constant:
        check_total(columns, totals, report, bench)


def adjustments(column: Column, found: list[int]) -> str:
    named = {df + column.slopes: name for name, df in residual_df(column).items()}
    return " or ".join(named.get(c, f"{c}-k") for c in found[:3])


def check_total(columns: list[Column], totals: list[float], report: Report, bench: Bench) -> None:
    """Unadjusted TSS against (N - 1) sd^2 of the outcome: smaller within, equal for overall and LSDV, never larger."""
    first, label = columns[0], columns[0].r2_label
    outcome = report.variable(first.dependent)
    if label == "adjusted" and len(columns) < 2:
        return
    if (
        not outcome
        or not outcome.sd
        or first.n < 2
        or outcome.n != first.n
        or first.sample
        or outcome.sd.range.low <= 0
    ):
        return
    bench.compare("r2-total")
    # sd with divisor n or n - 1: nobody says which
    whole = Interval((first.n - 1) * outcome.sd.range.low**2, first.n * outcome.sd.range.high**2)
    ranges = [log_total(column).rising(exp) for column in columns]
    share = totals[0] / ((first.n - 1) * outcome.sd.value**2)
    arithmetic = f"(N - 1) sd^2 = {first.n - 1} x {outcome.sd}^2 = {(first.n - 1) * outcome.sd.value**2:.4g}"
    where = tuple(column.id for column in columns)
    if any(whole.below(total) for total in ranges):
        bench.find(
            "r2-total",
            "contradiction" if label in UNADJUSTED else "doubtful",
            where,
            f"R2 and log-likelihood imply a total sum of squares of {max(totals):.4g}, more than the {whole} that the "
            f"sd {outcome.sd} of {outcome.name} allows.",
            arithmetic,
            share=share,
        )
    elif any(total.below(whole) for total in ranges):
        wrong = label in ("overall", "lsdv")
        bench.find(
            "r2-total",
            "contradiction" if wrong else "note",
            where,
            f"the total sum of squares behind the R2 is {share:.1%} of that of {outcome.name} about its mean: it is a "
            f"within R2{f', not {label} as labelled' if wrong else ''}.",
            arithmetic,
            share=share,
        )


CHECKS: Sequence = (check_lr, check_nested, check_r2)
