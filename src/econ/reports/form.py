"""The form of a report: a published table written down as TOML, or the equal dict, every number as it was printed.

docs/report-checker.md describes the form for those who fill it in.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from econ.errors import BadInputError
from econ.reports.intervals import Interval, t_of
from econ.reports.values import (
    Printed,
    bounds,
    count,
    flag,
    known,
    names,
    one_of,
    plain_marks,
    positive,
    printed,
    probability,
    section,
    sections,
    text,
)

CONSTANT = frozenset({"const", "constant", "_cons", "intercept"})

ESTIMATORS = ("ols", "fe", "re", "tobit", "iv", "gmm", "other")
EFFECTS = ("none", "entity", "time", "twoway")
ERRORS = ("classical", "robust", "cluster")
R2_LABELS = ("unadjusted", "within", "overall", "lsdv", "adjusted", "between", "pseudo", "other")
LAWS = ("t", "normal")
KINDS = ("gini", "theil", "atkinson", "share", "percent", "positive", "years of schooling", "other")


@dataclass(frozen=True)
class Cell:
    """A coefficient and what stands around it; `stars` is None where nobody knows them."""

    name: str
    b: Printed | None = None
    t: Printed | None = None
    se: Printed | None = None
    p: Printed | None = None
    stars: str | None = None

    @property
    def t_range(self) -> Interval | None:
        """t as printed, or else b / se."""
        if self.t:
            return self.t.range
        return t_of(self.b.range, self.se.range) if self.b and self.se else None


@dataclass(frozen=True)
class Column:
    """One estimated equation."""

    table: str
    name: str
    dependent: str = "outcome"
    sample: str = ""
    estimator: str | None = None
    effects: str | None = None
    se: str | None = None
    n: int | None = None
    groups: int | None = None
    periods: int | None = None
    lags: int = 0
    balanced: bool = False
    clusters: int | None = None
    df: int | None = None
    k: int | None = None
    controls: tuple[str, ...] = ()
    terms: tuple[Cell, ...] = ()
    r2: Printed | None = None
    r2_label: str = "other"
    loglik: Printed | None = None
    lr: Printed | None = None
    lr_df: int | None = None
    lr_p: Printed | None = None
    lr_against: str | None = None
    hausman: Printed | None = None
    hausman_df: int | None = None
    hausman_p: Printed | None = None
    instruments: int | None = None
    endogenous: int | None = None
    kp_f: Printed | None = None
    kp_p: Printed | None = None
    sargan: Printed | None = None
    sargan_p: Printed | None = None
    hansen: Printed | None = None
    hansen_p: Printed | None = None
    lower: Printed | None = None
    upper: Printed | None = None

    @property
    def id(self) -> str:
        return f"{self.table} {self.name}"

    @property
    def regressors(self) -> frozenset[str]:
        """Printed terms and named controls, without the constant."""
        return frozenset([cell.name for cell in self.terms if cell.name.casefold() not in CONSTANT] + [*self.controls])

    @property
    def slopes(self) -> int:
        """Slopes without constant and effects: as stated, else as many as are named."""
        return self.k if self.k is not None else len(self.regressors)

    @property
    def gaussian(self) -> bool:
        """Whether its log-likelihood is that of least squares."""
        return self.estimator in ("ols", "fe")

    def like(self, other: Column) -> bool:
        """Whether both are least squares of one outcome on the same rows, as far as the report says."""
        return (
            self.gaussian
            and other.gaussian
            and self.n is not None
            and (self.dependent, self.n, self.sample, self.effects or "none", self.groups, self.periods, self.lags)
            == (
                other.dependent,
                other.n,
                other.sample,
                other.effects or "none",
                other.groups,
                other.periods,
                other.lags,
            )
        )

    def nested_in(self, other: Column) -> bool:
        """Whether `other` has all regressors of this column and more, and every one of them is named."""
        named = all(len(column.regressors) == column.slopes for column in (self, other))
        return named and self.like(other) and self.regressors < other.regressors


@dataclass(frozen=True)
class Variable:
    """Descriptive statistics of a variable, and what it is said to be."""

    name: str
    n: int | None = None
    mean: Printed | None = None
    sd: Printed | None = None
    min: Printed | None = None
    max: Printed | None = None
    kind: str = "other"
    of: str = ""
    epsilon: Printed | None = None
    unit: str = ""
    usual: tuple[float, float] | None = None
    usual_source: str = ""


@dataclass(frozen=True)
class Claims:
    """What the text says of the sample as a whole."""

    n: int | None = None
    groups: int | None = None
    periods: int | None = None


@dataclass(frozen=True)
class Subsamples:
    """Columns whose samples make up the sample of another."""

    whole: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """All that was written down of a publication."""

    columns: tuple[Column, ...]
    variables: tuple[Variable, ...] = ()
    subsamples: tuple[Subsamples, ...] = ()
    claims: Claims = field(default_factory=Claims)
    levels: tuple[tuple[float, str], ...] = ()  # the largest p first
    law: str | None = None
    extracted: bool = True
    title: str = ""
    source: str = ""

    def column(self, id: str) -> Column:
        return next(column for column in self.columns if column.id == id)

    def variable(self, name: str) -> Variable | None:
        return next((variable for variable in self.variables if variable.name == name), None)


# --- keys of the form ---------------------------------------------------------------------------------------------

SHARED = {  # a table says them for all its columns, a column for itself
    "dependent": text,
    "sample": text,
    "estimator": one_of(*ESTIMATORS),
    "effects": one_of(*EFFECTS),
    "se": one_of(*ERRORS),
    "n": positive,
    "groups": positive,
    "periods": positive,
    "lags": count,
    "balanced": flag,
    "clusters": positive,
    "df": positive,
    "k": count,
    "controls": names,
    "r2_label": one_of(*R2_LABELS),
    "lr_against": text,
    "lower": printed,
    "upper": printed,
    "below": one_of("t", "se", "p"),
}
COLUMN = SHARED | {
    "name": text,
    "terms": section,
    "r2": printed,
    "loglik": printed,
    "lr": printed,
    "lr_df": positive,
    "lr_p": probability,
    "hausman": printed,
    "hausman_df": positive,
    "hausman_p": probability,
    "instruments": positive,
    "endogenous": positive,
    "kp_f": printed,
    "kp_p": probability,
    "sargan": printed,
    "sargan_p": probability,
    "hansen": printed,
    "hansen_p": probability,
}
TABLE = SHARED | {"name": text, "column": sections}
VARIABLE = {
    "name": text,
    "n": positive,
    "mean": printed,
    "sd": printed,
    "min": printed,
    "max": printed,
    "kind": one_of(*KINDS),
    "of": text,
    "epsilon": printed,
    "unit": text,
    "usual": bounds,
    "usual_source": text,
}
CLAIMS = {"n": positive, "groups": positive, "periods": positive}
SUBSAMPLES = {"whole": text, "parts": names}
STARS = {"levels": section, "law": one_of(*LAWS), "complete": flag}
REPORT = {
    "title": text,
    "source": text,
    "extracted": flag,
    "stars": section,
    "claims": section,
    "table": sections,
    "variable": sections,
    "subsamples": sections,
}
CELL = ("b", "t", "se", "p", "stars", "decimals")


def read(given: Mapping[str, Any], keys: Mapping[str, Callable], where: str) -> dict[str, Any]:
    """All values of a section, each by the reader of its key."""
    known(given, keys, where)
    return {
        key: keys[key](value, f"{key} of {where}" if where != "the report" else key) for key, value in given.items()
    }


def read_report(source: Mapping[str, Any] | str | os.PathLike) -> Report:
    """The report of a .toml file or of a dict of the same form.

    Raises
    ------
    BadInputError
        A file that is not there or no TOML; a key that the form does not have; a value that is not what its key wants;
        a name that occurs twice or that nothing has.
    """
    given = read(source if isinstance(source, Mapping) else load(Path(source)), REPORT, "the report")
    stars = read(given.get("stars", {}), STARS, "stars")
    levels = read_levels(stars.get("levels", {}))
    complete = stars.get("complete", True) and bool(levels)
    columns = tuple(
        column for i, table in enumerate(given.get("table", ()), 1) for column in read_table(table, i, complete)
    )
    variables = tuple(
        Variable(**read(one, VARIABLE, f"variable {one.get('name', i)!r}"))
        if "name" in one
        else refuse_nameless(f"variable {i}")
        for i, one in enumerate(given.get("variable", ()), 1)
    )
    if not columns and not variables:
        raise BadInputError("the report holds no column and no variable: expected at least one [[table.column]].")
    refuse_twins([column.id for column in columns], "column")
    refuse_twins([variable.name for variable in variables], "variable")
    parts = tuple(read_subsamples(one, i, columns) for i, one in enumerate(given.get("subsamples", ()), 1))
    claims = Claims(**read(given.get("claims", {}), CLAIMS, "claims"))
    plain = {key: given[key] for key in ("title", "source", "extracted") if key in given}
    return Report(columns, variables, parts, claims, levels, stars.get("law"), **plain)


def load(path: Path) -> dict[str, Any]:
    """A .toml file as a dict."""
    if not path.is_file():
        raise BadInputError(f"there is no file {path}: check the path.")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadInputError(f"{path} is not UTF-8, which TOML is: save it as UTF-8 and try again.") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path} is no valid TOML ({error}): mend that line; numbers go in quotes.") from None


def read_levels(given: Mapping[str, Any]) -> tuple[tuple[float, str], ...]:
    levels = []
    for mark, level in given.items():
        if isinstance(level, str):
            level = printed(level, f"level of {mark!r}").value
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
            raise BadInputError(
                f"the level of {mark!r} is {level!r}: expected a p-value between 0 and 1, such as 0.05."
            )
        levels.append((float(level), plain_marks(mark)))
    if len({level for level, _ in levels}) < len(levels):
        raise BadInputError(f"two marks share a level in {dict(given)!r}: expected one level for each mark.")
    return tuple(sorted(levels, reverse=True))


def read_table(given: Mapping[str, Any], place: int, complete: bool) -> list[Column]:
    name = given.get("name", f"Table {place}")
    table = read(given, TABLE, str(name))
    shared = {key: value for key, value in table.items() if key in SHARED}
    columns = []
    for i, one in enumerate(table.get("column", ()), 1):
        label = one.get("name", f"({i})")
        where = f"{name} {label}"
        column = shared | {"name": label} | read(one, COLUMN, where)
        below = column.pop("below", None)
        cells = column.pop("terms", {})
        terms = tuple(read_cell(term, cell, where, below, complete) for term, cell in cells.items())
        columns.append(Column(table=table.get("name", str(name)), terms=terms, **column))
    labels = [column.name for column in columns]
    for column in columns:
        if column.lr_against is not None and column.lr_against not in labels:
            raise BadInputError(
                f"lr_against of {column.id} is {column.lr_against!r}: expected one of {', '.join(labels)}."
            )
        if column.k is not None and column.k < len(column.regressors):
            raise BadInputError(
                f"k of {column.id} is {column.k}, but {len(column.regressors)} regressors are named: count the slopes "
                f"without constant and effects."
            )
    return columns


def read_cell(name: str, given: Any, where: str, below: str | None, complete: bool) -> Cell:
    place = f"{name!r} in {where}"
    if isinstance(given, list | tuple):
        if not 1 <= len(given) <= 2:
            raise BadInputError(
                f"{place} holds {len(given)} numbers: expected the coefficient and what stands below it."
            )
        if len(given) == 2 and below is None:
            raise BadInputError(f'{place} has a number below it: say what it is with below = "t", "se" or "p".')
        given = dict(zip(("b", below), given, strict=False))
    elif not isinstance(given, Mapping) or "value" in given:
        given = {"b": given}
    known(given, CELL, place)
    decimals = count(given["decimals"], f"decimals of {place}") if "decimals" in given else None
    numbers = {
        key: probability(given[key], f"{key} of {place}")
        if key == "p" and not isinstance(given[key], float)
        else printed(given[key], f"{key} of {place}", decimals)
        for key in ("b", "t", "se", "p")
        if key in given
    }
    if not numbers:
        raise BadInputError(f"{place} holds no number: expected at least one of b, t, se, p.")
    if "se" in numbers and numbers["se"].range.high <= 0:
        raise BadInputError(f"the standard error of {place} is {numbers['se']}: expected one that is not negative.")
    marks = next((number.marks for number in numbers.values() if number.marks), "")
    if "stars" in given:
        if not isinstance(given["stars"], str):
            raise BadInputError(f'stars of {place} is {given["stars"]!r}: expected text such as "**", or "" for none.')
        marks = plain_marks(given["stars"])
    return Cell(name, **numbers, stars=marks if marks or complete or "stars" in given else None)


def read_subsamples(given: Mapping[str, Any], place: int, columns: tuple[Column, ...]) -> Subsamples:
    where = f"subsamples {place}"
    found = read(given, SUBSAMPLES, where)
    there = [column.id for column in columns]
    for key in ("whole", "parts"):
        if not found.get(key):
            raise BadInputError(
                f'{where} has no {key}: expected whole = "Table 2 (6)" and parts, a list of such names.'
            )
    for id in (found["whole"], *found["parts"]):
        if id not in there:
            near = get_close_matches(id, there, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(there)}."
            raise BadInputError(f"{where} names {id!r}, which no column of the report is: {hint}")
    return Subsamples(**found)


def refuse_nameless(where: str):
    raise BadInputError(f'{where} has no name: expected name = "...".')


def refuse_twins(ids: list[str], what: str) -> None:
    twins = sorted({id for id in ids if ids.count(id) > 1})
    if twins:
        raise BadInputError(f"the {what} {twins[0]!r} is there more than once: give every {what} a name of its own.")
