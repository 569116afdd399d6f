"""Checks inside one column: stars, t, standard errors, p-values, and the tests printed below the coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from econ.reports.findings import Bench
from econ.reports.form import Cell, Column, Printed, Report
from econ.reports.intervals import Interval, b_of, chi2_p, p_of_chi2, p_of_t

# (endogenous, instruments) -> critical value for 10 % maximal size of a 5 % test, valid for homoskedastic errors: Stock
# and Yogo (2005), table 5.2.
STOCK_YOGO = {
    (1, 1): 16.38,
    (1, 2): 19.93,
    (1, 3): 22.30,
    (1, 4): 24.58,
    (2, 2): 7.03,
    (2, 3): 13.43,
    (2, 4): 16.87,
}
FEW_CLUSTERS = 50  # "few" begins between 20 and 50: Cameron and Miller (2015), section VI
SMALL_UNIT_SHARE = 1e-3  # a copy is told from chance only where a unit of the last place is so small a part


def check_cells(report: Report, bench: Bench) -> None:
    """Stars, b = t se, sign, p of every coefficient."""
    if not report.levels and any(cell.stars for column in report.columns for cell in column.terms):
        bench.find(
            "stars-rule",
            "note",
            "report",
            "there are stars but no levels for them, so they are not checked: state [stars] levels.",
        )
    for column in report.columns:
        for cell in column.terms:
            where = f"{column.id}, {cell.name}"
            check_triple(cell, where, bench)
            if cell.p and cell.t_range:
                check_p(cell, column, report, where, bench)
            if report.levels and cell.stars is not None:
                check_stars(cell, column, report, where, bench)


def check_triple(cell: Cell, where: str, bench: Bench) -> None:
    if cell.b and cell.t:
        bench.compare("sign")
        opposite = (cell.b.range.low > 0 and cell.t.range.high < 0) or (cell.b.range.high < 0 and cell.t.range.low > 0)
        if opposite:
            bench.find(
                "sign",
                "contradiction",
                where,
                f"the coefficient {cell.b} and its t {cell.t} have opposite signs, though t = b / se and se > 0; a "
                f"minus sign may have been lost.",
                f"b in {cell.b.range}, t in {cell.t.range}",
            )
            return
    if cell.b and cell.t and cell.se:
        bench.compare("b-se-t")
        product = b_of(cell.t.range, cell.se.range)
        if not product.meets(cell.b.range):
            bench.find(
                "b-se-t",
                "contradiction",
                where,
                f"b = {cell.b}, se = {cell.se} and t = {cell.t} do not belong together: t se is from {product}, "
                f"b from {cell.b.range}.",
                f"t se = {cell.t.value * cell.se.value:.6g} beside b = {cell.b}",
                product=cell.t.value * cell.se.value,
            )


def degrees(column: Column, law: str | None) -> tuple[float, float, bool]:
    """(lowest, highest, known) degrees of freedom that t may have; infinite is the normal law.

    Without a stated law the normal counts too, and so do t with the residual df by any way to count the effects, and
    with clusters - 1.
    """
    # programs give z for all but least squares, whatever the note under the table says
    open_law = law is None or column.estimator in ("re", "tobit", "iv", "gmm", "other")
    if law == "normal":
        return math.inf, math.inf, True
    if column.df:
        return column.df, math.inf if open_law else column.df, True
    found, known = [], True
    if column.n:
        found.append(column.n - column.slopes - 1)
        if column.groups and column.effects != "none" and column.effects != "time":
            found += [column.n - column.groups - column.slopes]
            found += [column.n - column.groups - column.slopes - (column.periods or 1) + 1]
        if column.periods and column.effects == "time":
            found.append(column.n - column.periods - column.slopes)
        known = column.effects == "none" or bool(column.groups or (column.effects == "time" and column.periods))
    else:
        known = False
    clusters = column.clusters or column.groups
    if clusters and column.se not in ("classical", "robust"):
        found.append(clusters - 1)
    if column.se in ("cluster", None) and not clusters:
        known = False
    found = [df for df in found if df >= 1]
    if not found:
        return math.inf, math.inf, False
    return min(found), math.inf if open_law else max(found), known


def check_p(cell: Cell, column: Column, report: Report, where: str, bench: Bench) -> None:
    low, high, known = degrees(column, report.law)
    implied = p_of_t(cell.t_range, low, high)
    bench.compare("p-t")
    if not implied.meets(cell.p.range):
        bench.find(
            "p-t",
            "contradiction" if known else "doubtful",
            where,
            f"p = {cell.p} does not belong to {t_words(cell)}: its p is between {implied.low:.3g} and "
            f"{implied.high:.3g} under {law_words(low, high)}.",
            f"p = 2 P(T > |t|), |t| in {abs(cell.t_range)}",
            p_low=implied.low,
            p_high=implied.high,
        )


def check_stars(cell: Cell, column: Column, report: Report, where: str, bench: Bench) -> None:
    marks = [mark for _, mark in report.levels]
    if cell.stars and cell.stars not in marks:
        bench.find(
            "stars-rule",
            "contradiction",
            where,
            f"the mark {cell.stars!r} has no level: the table knows {', '.join(marks)}.",
        )
        return
    low, high, known = degrees(column, report.law)
    if cell.t_range:
        p, words = p_of_t(cell.t_range, low, high), f"{t_words(cell)}, under {law_words(low, high)},"
    elif cell.p:
        p, words, known = cell.p.range, f"p = {cell.p}", True
    else:
        return
    bench.compare("stars")
    say_stars(cell.stars, p, words, "stars", where, report, bench, known)


def say_stars(
    stars: str, p: Interval, words: str, code: str, where: str, report: Report, bench: Bench, known: bool = True
) -> None:
    """The finding where the printed stars are none that a p in this interval can have."""
    marks = ["", *(mark for _, mark in report.levels)]
    fewest, most = (rank(value, report) for value in (p.high, p.low))
    given = marks.index(stars)
    if fewest <= given <= most:
        return
    fewer = given < fewest
    due = marks[fewest if fewer else most] or "none"
    # the highest and the lowest rank leave nothing to be beyond
    bound = "" if fewest == most else "at least " if fewer else "at most "
    shown = f"{stars!r}" if stars else "no stars"
    severity = "contradiction" if known and not (fewer and report.extracted) else "doubtful"
    doubt = (
        " Extraction of text often loses asterisks, so look at the printed page before believing it."
        if fewer and report.extracted
        else ""
    )
    bench.find(
        code,
        severity,
        where,
        f"{shown} printed, but {words} has p between {p.low:.3g} and {p.high:.3g}, which is "
        f"{bound}{due} under the stated levels.{doubt}",
        f"levels {', '.join(f'{mark} p < {level:g}' for level, mark in report.levels)}",
        p_low=p.low,
        p_high=p.high,
        printed=stars,
        due=due,
    )


def rank(p: float, report: Report) -> int:
    """How many levels p is below."""
    return sum(p < level for level, _ in report.levels)


def t_words(cell: Cell) -> str:
    if cell.t:
        return f"t = {cell.t}"
    return f"b / se = {cell.b} / {cell.se}"


def law_words(low: float, high: float) -> str:
    if math.isinf(low):
        return "the normal law"
    if low == high:
        return f"t({low:g})"
    return f"t({low:g}) or any law from there to {'the normal' if math.isinf(high) else f't({high:g})'}"


# --- tests printed below ------------------------------------------------------------------------------------------


def check_hausman(report: Report, bench: Bench) -> None:
    """Sign, p-value and stars of Hausman statistics, and the df under which the stars are right."""
    rules: dict[str, list[bool]] = {}
    asked = []
    for column in report.columns:
        test = column.hausman
        if not test:
            continue
        bench.compare("hausman")
        if test.range.high < 0:
            bench.find(
                "hausman",
                "note",
                column.id,
                f"the Hausman statistic {test} is negative: the difference of covariances is not positive definite, "
                f"and it has no chi-squared p-value.",
            )
            continue
        if column.hausman_p and column.hausman_df:
            check_chi2_p(test, column.hausman_p, column.hausman_df, "hausman-p", column, bench)
        marks = [mark for _, mark in report.levels]
        if not test.marks or test.marks not in marks:
            continue
        given = marks.index(test.marks) + 1
        if column.hausman_df:
            p = p_of_chi2(test.range, column.hausman_df)
            say_stars(test.marks, p, f"Hausman {test} with {column.hausman_df} df", "hausman", column.id, report, bench)
            continue
        most = max(column.slopes, 1) + (column.periods or 1) + 50
        agree = [df for df in range(1, most) if agrees(test, df, given, report)]
        expected = {"k": column.slopes} | (
            {"k + T - 1": column.slopes + column.periods - 1} if column.periods and column.effects == "twoway" else {}
        )
        for name, df in expected.items():
            rules.setdefault(name, []).append(df in agree)
        asked.append(column.id)
        counts = ", ".join(f"{name} = {df} (p = {chi2_p(test.value, df):.3g})" for name, df in expected.items() if df)
        fits = any(df in agree for df in expected.values())
        span = f"between {agree[0]} and {agree[-1]}" if len(agree) > 1 else f"{agree[0]}" if agree else "none"
        bench.find(
            "hausman",
            "note" if fits else "doubtful",
            column.id,
            f"the stars of Hausman {test}{test.marks} are right where its df are {span}; df are not printed, and the "
            f"usual ones are {counts}.{'' if fits else lost(report)}",
            "p = P(chi2(df) > Hausman)",
            df=agree,
        )
    if len(asked) > 1 and not any(len(fits) == len(asked) and all(fits) for fits in rules.values()):
        bench.find(
            "hausman",
            "doubtful",
            tuple(asked),
            f"no one rule for the df ({' or '.join(rules)}) makes the stars of all {len(asked)} Hausman statistics "
            f"right.{lost(report)}",
        )


def agrees(test: Printed, df: int, given: int, report: Report) -> bool:
    p = p_of_chi2(test.range, df)
    return rank(p.high, report) <= given <= rank(p.low, report)


def lost(report: Report) -> str:
    return " Extraction may have lost an asterisk." if report.extracted else ""


def check_chi2_p(test: Printed, p: Printed, df: int, code: str, column: Column, bench: Bench) -> None:
    bench.compare(code)
    implied = p_of_chi2(test.range, df)
    if not implied.meets(p.range):
        bench.find(
            code,
            "contradiction",
            column.id,
            f"p = {p} does not belong to {test} with {df} df: its p is between {implied.low:.3g} and "
            f"{implied.high:.3g}.",
            f"P(chi2({df}) > {test}) = {chi2_p(test.value, df):.3g}",
            p=chi2_p(test.value, df),
        )


def check_copies(report: Report, bench: Bench) -> None:
    """Two statistics of one column that differ by at most one unit of the last place."""
    for column in report.columns:
        tests = [(name, getattr(column, name)) for name in ("lr", "hausman", "kp_f", "sargan", "hansen")]
        for (name, one), (other_name, other) in combinations([(n, t) for n, t in tests if t], 2):
            bench.compare("copy")
            unit = max(one.unit, other.unit)
            if unit > SMALL_UNIT_SHARE * abs(one.value) or abs(one.value - other.value) > unit * (1 + 1e-9):
                continue
            bench.find(
                "copy",
                "doubtful",
                column.id,
                f"{WORDS[name]} {one} and {WORDS[other_name]} {other} are the same to a unit of the last place, though "
                f"nothing ties them: one is likely a copy of the other.",
                f"|{one} - {other}| = {abs(one.value - other.value):.6g}",
            )


WORDS = {"lr": "LR", "hausman": "Hausman", "kp_f": "Kleibergen-Paap F", "sargan": "Sargan", "hansen": "Hansen"}


def check_instruments(report: Report, bench: Bench) -> None:
    """Kleibergen-Paap, identification, instruments against groups, clusters."""
    for column in report.columns:
        if column.kp_f and (column.kp_p or column.kp_f.marks):
            bench.compare("kp-p")
            cell = STOCK_YOGO.get((column.endogenous, column.instruments))
            value = f"here {cell:g} for 10 % maximal size, iid errors" if cell else "none is tabulated here"
            bench.find(
                "kp-p",
                "doubtful",
                column.id,
                f"the Kleibergen-Paap F {column.kp_f} comes with "
                f"{f'p {column.kp_p}' if column.kp_p else f'the stars {column.kp_f.marks}'}, but it is compared with "
                f"the critical values of Stock and Yogo ({value}) and has no p-value; the rk LM statistic has one.",
                critical=cell,
            )
        check_identification(column, bench)
        clusters = column.clusters or (column.groups if column.se == "cluster" else None)
        if clusters and column.se == "cluster":
            bench.compare("clusters")
            if clusters < FEW_CLUSTERS:
                rank_note = (
                    f", and a covariance of {column.slopes} slopes has rank {clusters - 1} at most"
                    if column.slopes >= clusters
                    else ""
                )
                bench.find(
                    "clusters",
                    "doubtful" if rank_note else "note",
                    column.id,
                    f"{clusters} clusters are few for clustered standard errors{rank_note}: a wild cluster bootstrap "
                    f"is safer.",
                )


def check_identification(column: Column, bench: Bench) -> None:
    tests = [name for name in ("sargan", "hansen") if getattr(column, name) or getattr(column, f"{name}_p")]
    if column.instruments and column.endogenous and column.estimator == "iv":
        bench.compare("identified")
        if column.instruments < column.endogenous:
            bench.find(
                "identified",
                "contradiction",
                column.id,
                f"{column.instruments} instruments cannot identify {column.endogenous} endogenous regressors.",
            )
        elif column.instruments == column.endogenous and tests:
            bench.find(
                "identified",
                "contradiction",
                column.id,
                f"{WORDS[tests[0]]} is printed, but with as many instruments as endogenous regressors "
                f"({column.endogenous}) the model is exactly identified and nothing is left to test.",
            )
    if column.instruments and column.groups and column.estimator == "gmm":
        bench.compare("instruments")
        if column.instruments > column.groups:
            bench.find(
                "instruments",
                "doubtful",
                column.id,
                f"{column.instruments} instruments for {column.groups} groups: the two-step weighting matrix is "
                f"singular, and results depend on the generalised inverse.",
            )
    if column.hansen_p and column.hansen_p.unit and column.hansen_p.range.high >= 1:
        bench.compare("instruments")
        bench.find(
            "instruments",
            "doubtful",
            column.id,
            f"the Hansen test has p = {column.hansen_p}: so high a p tells of too many instruments, Roodman (2009).",
        )


CHECKS: Sequence = (check_cells, check_hausman, check_copies, check_instruments)
