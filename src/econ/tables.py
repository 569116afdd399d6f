"""Regression tables: estimates side by side, in one DataFrame of text that every format prints as it stands.

Numbers are turned into text once, by `regression_table`; the formats add brackets, markup and escapes, never digits.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from unicodedata import east_asian_width

import numpy as np
import pandas as pd

from econ.errors import UsageError
from econ.estimators.estimate import Estimate

STARS = ((0.1, "*"), (0.05, "**"), (0.01, "***"))

STATS: dict[str, tuple[str, Callable[[Estimate], str]]] = {
    "effects": ("Effects", lambda est: ", ".join(est.effects) + " (random)" * est.random or "none"),
    "cov": ("Std. errors", lambda est: est.cov_type),
    "nobs": ("N", lambda est: str(est.nobs)),
    "rsquared": ("R2 within", lambda est: fixed(est.rsquareds.get("within"), 4)),
    "rsquared_adj": (
        "R2 within, adjusted",
        lambda est: fixed(est.rsquared_adj if est.effects and not est.random else None, 4),
    ),
    "rsquared_overall": ("R2 overall", lambda est: fixed(est.rsquareds.get("overall"), 4)),
    "rsquared_lsdv": ("R2 with effects (LSDV)", lambda est: fixed(est.rsquareds.get("lsdv"), 4)),
    "rsquared_between": ("R2 between", lambda est: fixed(est.rsquareds.get("between"), 4)),
    "instruments": ("Instruments", lambda est: str(est.counts.get("instruments", ""))),
    "loglik": ("Log likelihood", lambda est: fixed(est.loglik, 3)),
    "aic": ("AIC", lambda est: fixed(est.aic, 3)),
    "bic": ("BIC", lambda est: fixed(est.bic, 3)),
    "groups": (
        "Groups",
        lambda est: ", ".join(f"{int(count)} {name}" for name, count in est.groups.get("groups", pd.Series()).items()),
    ),
}

TESTS = {
    "kp_lm": "Kleibergen-Paap rk LM",
    "kp_f": "Kleibergen-Paap rk Wald F",
    "cragg_donald": "Cragg-Donald F",
    "ar1": "AR(1)",
    "ar2": "AR(2)",
    "sargan": "Sargan",
    "hansen": "Hansen J",
    "endogeneity": "Endogeneity",
    "anderson_rubin": "Anderson-Rubin",
    "f_effects": "F of effects",
    "f_model": "F of slopes",
    "hausman": "Hausman",
    "mundlak": "Mundlak",
}


def _statistic(name: str) -> tuple[str, Callable[[Estimate], str]]:
    """Label and cell of a line: one of `STATS`, or a test by its name, with its p-value in brackets."""
    if name in STATS:
        return STATS[name]

    def cell(est: Estimate) -> str:
        if name not in est.tests:
            return ""
        test = est.tests[name]
        return fixed(test.stat, 3) + ("" if np.isnan(test.pvalue) else f" [{test.pvalue:.3f}]")

    return f"{TESTS.get(name, name)}{' [p]' if name not in ('kp_f', 'cragg_donald') else ''}", cell


# What stands under the coefficients by default; lines that no column has are left out.
LINES = (
    *("effects", "cov", "nobs", "rsquared", "rsquared_adj", "rsquared_overall", "loglik"),
    *("instruments", "ar1", "ar2", "hansen"),
)

# What a column says that is not to be used; its notes say why.
NOT_VALID = "NOT VALID"

# What stands under a coefficient, and its brackets.
BELOW = {"se": ("std_errors", "standard errors"), "t": ("tvalues", "t values")}


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals; empty where there is none."""
    return "" if value is None or np.isnan(value) else f"{value:.{decimals}f}"


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits, without an exponent where it has fewer than six leading zeros."""
    if np.isnan(value):
        return ""
    text = f"{value:.{digits - 1}e}"
    return format(Decimal(text), "f") if value == 0 or 1e-6 <= abs(value) < 1e9 else text


def regression_table(
    estimates: Sequence[Estimate],
    stats: Sequence[str] = LINES,
    stars: Sequence[tuple[float, str]] = STARS,
    below: str = "se",
    digits: int = 4,
) -> pd.DataFrame:
    """Set estimates side by side.

    Parameters
    ----------
    estimates : sequence of Estimate
        One column each.
    stats : sequence of str
        Lines under the coefficients: of `STATS`, or names of tests such as "kp_f" and "hansen", printed with their
        p-values; a line that is empty for all estimates is left out.
    stars : sequence of (p, mark)
        A coefficient gets the mark of the least p that its p-value is below; the levels are stated in the notes.
    below : str
        What stands under a coefficient: "se" or "t".
    digits : int
        Significant digits of coefficients and of what stands below them.

    Returns
    -------
    DataFrame of str
        index (term, line) with line "head", "coef", `below` or "stat"; columns "(1)", "(2)", ...; notes in
        `.attrs["notes"]`.  Brackets are left to the formats.
    """
    _check(estimates, stats, below, digits)
    numbers = [f"({i})" for i in range(1, len(estimates) + 1)]
    rows: dict[tuple[str, str], list[str]] = {
        ("Dependent variable", "head"): [est.dependent for est in estimates],
        ("Model", "head"): [est.model for est in estimates],
    }
    if not all(est.valid for est in estimates):
        rows["Valid", "head"] = ["yes" if est.valid else NOT_VALID for est in estimates]
    terms = list(dict.fromkeys(term for est in estimates for term in est.params.index))
    for term in sorted(terms, key=lambda name: name == "Intercept"):  # last, as journals print it
        there = [term in est.params.index for est in estimates]
        rows[term, "coef"] = [
            significant(est.params[term], digits) + _mark(est.pvalues[term], stars) if has else ""
            for est, has in zip(estimates, there, strict=True)
        ]
        rows[term, below] = [
            significant(getattr(est, BELOW[below][0])[term], digits) if has else ""
            for est, has in zip(estimates, there, strict=True)
        ]
    for name in stats:
        label, value = _statistic(name)
        cells = [value(est) for est in estimates]
        if any(cells):
            rows[label, "stat"] = cells
    table = pd.DataFrame.from_dict(rows, orient="index", columns=numbers)
    table.index = pd.MultiIndex.from_tuples(rows, names=["term", "line"])
    notes = [f"{BELOW[below][1]} in brackets"]
    if stars:
        notes[0] += "; " + ", ".join(f"{mark} p < {p:g}" for p, mark in sorted(stars, reverse=True))
    shared: dict[str, list[str]] = {}
    for number, est in zip(numbers, estimates, strict=True):
        for note in est.notes:
            shared.setdefault(note, []).append(number)
    table.attrs["notes"] = notes + [f"{', '.join(columns)}: {note}" for note, columns in shared.items()]
    return table


def _check(estimates: Sequence[Estimate], stats: Sequence[str], below: str, digits: int) -> None:
    if isinstance(estimates, Estimate) or not estimates:
        raise UsageError("regression_table takes a list of estimates, at least one: pass [estimate].")
    tests = dict.fromkeys(name for est in estimates for name in est.tests)
    unknown = [name for name in stats if name not in STATS and name not in TESTS and name not in tests]
    if unknown:
        known = ", ".join(dict.fromkeys([*STATS, *tests]))
        raise UsageError(f"there is no statistic {unknown[0]!r}: choose among {known}.")
    if below not in BELOW:
        raise UsageError(f"below is {below!r}: choose among {', '.join(BELOW)}.")
    if digits < 1:
        raise UsageError(f"digits is {digits}: expected at least one significant digit.")


def _mark(pvalue: float, stars: Sequence[tuple[float, str]]) -> str:
    return next((mark for p, mark in sorted(stars) if pvalue < p), "")


def description_table(table: pd.DataFrame, digits: int = 4) -> pd.DataFrame:
    """The numbers of `describe` or `within_between` as text that every format prints, each with so many digits.

    A line is called by its label where there is one.  index (term, "stat"), columns "N", "Mean", "Std. dev.", ...;
    errors: UsageError for digits below 1.
    """
    if digits < 1:
        raise UsageError(f"digits is {digits}: expected at least one significant digit.")
    parts = table.index.nlevels > 1
    names = table.index.get_level_values(0)
    terms = [label or name for label, name in zip(table.get("label", names), names, strict=True)]
    counted = ("n", "observations")
    cells = {
        HEADINGS[column]: [
            f"{value:.0f}" if column in counted and value == round(value) else significant(value, digits)
            for value in table[column].fillna(np.nan)
        ]
        for column in table.columns
        if column in HEADINGS
    }
    notes = []
    if parts:
        kinds = list(table.index.get_level_values(1))
        terms = [term if kind == "overall" else "" for term, kind in zip(terms, kinds, strict=True)]
        cells = {"Variation": kinds, **cells}
        notes = ["Observations: values, entities, values per entity"]
    found = pd.DataFrame(cells, dtype=object)
    found.index = pd.MultiIndex.from_tuples([(term, "stat") for term in terms], names=["term", "line"])
    found.attrs["notes"] = notes
    return found


HEADINGS = {
    "n": "N",
    "mean": "Mean",
    "sd": "Std. dev.",
    "min": "Min",
    "max": "Max",
    "observations": "Observations",
}


# --- formats ------------------------------------------------------------------------------------------------------


def _lines(table: pd.DataFrame) -> Iterator[tuple[str, str, list[str]]]:
    """(kind, label, cells) of every row, with brackets and without repeated labels."""
    for (term, line), cells in zip(table.index, table.to_numpy(), strict=True):
        if line in BELOW:
            yield line, "", [f"({cell})" if cell else "" for cell in cells]
        else:
            yield line, term, list(cells)


def _sections(table: pd.DataFrame) -> Iterator[tuple[bool, str, str, list[str]]]:
    """`_lines`, with True in front of the first line of coefficients and of statistics."""
    section = "head"
    for line, label, cells in _lines(table):
        now = line if line in ("head", "stat") else "coef"
        yield now != section, line, label, cells
        section = now


def _notes(table: pd.DataFrame) -> list[str]:
    return list(table.attrs.get("notes", ()))


def to_text(table: pd.DataFrame) -> str:
    """Aligned plain text."""
    grid = [(False, "", list(table.columns)), *((new, label, cells) for new, _, label, cells in _sections(table))]
    label_width = max(_width(label) for _, label, _ in grid)
    widths = [max(_width(cells[j]) for _, _, cells in grid) for j in range(len(table.columns))]
    rule = "-" * (label_width + sum(width + 2 for width in widths))
    lines = [rule]
    for new, label, cells in grid:
        if new:
            lines.append(rule)
        text = label + " " * (label_width - _width(label))
        text += "".join("  " + " " * (width - _width(cell)) + cell for cell, width in zip(cells, widths, strict=True))
        lines.append(text.rstrip())
    return "\n".join([*lines, rule, *_notes(table)]) + "\n"


def _width(text: str) -> int:
    """Columns of a terminal that a text takes; Chinese characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # at the start of a row, "[" and "*" would be read as options of the line break before it
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
    }
)

NUMBER = re.compile(r"(\(?)(-?)([0-9][0-9.]*(?:e[+-]?[0-9]+)?)(\**)(\)?)")


def to_latex(table: pd.DataFrame) -> str:
    r"""A booktabs tabular (needs \usepackage{booktabs}), all text escaped, with its notes as paragraphs below."""
    lines = [
        rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(["", *table.columns]) + r" \\",
    ]
    for new, _, label, cells in _sections(table):
        if new:
            lines.append(r"\midrule")
        lines.append(" & ".join([_latex(label), *map(_latex_cell, cells)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    # below the tabular, where long notes break into lines
    lines += [rf"\par{{\footnotesize {_latex(note)}\par}}" for note in _notes(table)]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return text.translate(LATEX_ESCAPES)


def _latex_cell(cell: str) -> str:
    """A number with a minus sign of mathematics and raised stars; anything else escaped."""
    if cell == NOT_VALID:
        return rf"\textbf{{{cell}}}"
    found = NUMBER.fullmatch(cell)
    if not found:
        return _latex(cell)
    opening, minus, digits, mark, closing = found.groups()
    return opening + ("$-$" if minus else "") + digits + (f"$^{{{mark}}}$" if mark else "") + closing


def to_html(table: pd.DataFrame) -> str:
    """A <table class="regression">, rows of the classes head, coef, se or t, and stat.

    It has no scripts, and one style: what is not valid is red.
    """
    width = len(table.columns) + 1
    lines = ['<table class="regression">', "<thead>"]
    lines.append(_html_row("number", "", list(table.columns), "th"))
    rows = [(line, label, cells) for line, label, cells in _lines(table)]
    lines += [_html_row(line, label, cells, "th") for line, label, cells in rows if line == "head"]
    lines += ["</thead>", "<tbody>"]
    lines += [_html_row(line, label, cells, "td") for line, label, cells in rows if line != "head"]
    lines += ["</tbody>", "<tfoot>"]
    lines += [f'<tr class="note"><td colspan="{width}">{html.escape(note)}</td></tr>' for note in _notes(table)]
    return "\n".join([*lines, "</tfoot>", "</table>"]) + "\n"


def _html_row(kind: str, label: str, cells: list[str], tag: str) -> str:
    opening = f'<{tag} scope="col">' if tag == "th" else f"<{tag}>"
    red = f'{opening[:-1]} class="not-valid" style="color:#b00020">'
    inner = "".join(f"{red if cell == NOT_VALID else opening}{html.escape(cell)}</{tag}>" for cell in cells)
    return f'<tr class="{kind}"><th scope="row">{html.escape(label)}</th>{inner}</tr>'


def to_markdown(table: pd.DataFrame) -> str:
    """A pipe table of GitHub's Markdown, notes below it."""
    lines = [_markdown_row(["", *table.columns]), _markdown_row([":--", *["--:"] * len(table.columns)], escape=False)]
    lines += [_markdown_row([label, *cells]) for _, label, cells in _lines(table)]
    lines += [line for note in _notes(table) for line in ("", _markdown(note))]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", text)


def _markdown_row(cells: list[str], escape: bool = True) -> str:
    return "| " + " | ".join(map(_markdown, cells) if escape else cells) + " |"


def to_csv(table: pd.DataFrame) -> str:
    """Comma-separated, columns term, line, (1), (2), ...; without brackets and without notes."""
    return table.to_csv(lineterminator="\n")


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "text": to_text,
    "latex": to_latex,
    "html": to_html,
    "markdown": to_markdown,
    "csv": to_csv,
}
