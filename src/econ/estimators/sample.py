"""From a table and a formula to arrays: what is estimated, on which rows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econ.errors import BadInputError, EstimationError, UsageError
from econ.frames import codes, numeric, offenders, refuse_duplicates, require_columns

if TYPE_CHECKING:
    from formulaic import Formula
    from formulaic.formula import SimpleFormula


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows and columns of one regression.

    Parameters
    ----------
    formula : str
        As it was given.
    dependent : str
        Name of y.
    names : tuple of str, (k,)
        Names of the columns of X, without the constant.
    y : (n,) float64
    X : (n, k) float64
    keys : dict of str to Index
        Entity and time, in this order: column -> its levels.
    entity, time : (n,) int
        Codes into those levels.
    cluster : (n,) int or None
        Codes of the clusters.
    cluster_name : str or None
        Their column.
    notes : tuple of str
        What was left out.
    """

    formula: str
    dependent: str
    names: tuple[str, ...]
    y: np.ndarray
    X: np.ndarray
    keys: dict[str, pd.Index]
    entity: np.ndarray
    time: np.ndarray
    cluster: np.ndarray | None
    cluster_name: str | None
    notes: tuple[str, ...]

    @property
    def entity_name(self) -> str:
        return next(iter(self.keys))

    @property
    def time_name(self) -> str:
        return list(self.keys)[1]

    def rows(self, keep: np.ndarray, note: str) -> Sample:
        """The sample cut to a mask of rows, with a note that says why; codes stay dense."""
        entity, entities = _dense(self.entity[keep], self.keys[self.entity_name])
        time, times = _dense(self.time[keep], self.keys[self.time_name])
        return replace(
            self,
            y=self.y[keep],
            X=self.X[keep],
            keys={self.entity_name: entities, self.time_name: times},
            entity=entity,
            time=time,
            cluster=None if self.cluster is None else np.unique(self.cluster[keep], return_inverse=True)[1],
            notes=(*self.notes, note),
        )

    def columns(self, keep: list[int], notes: tuple[str, ...]) -> Sample:
        """The sample cut to some columns of X, with notes that say why."""
        return replace(self, names=tuple(self.names[j] for j in keep), X=self.X[:, keep], notes=(*self.notes, *notes))


def _dense(code: np.ndarray, levels: pd.Index) -> tuple[np.ndarray, pd.Index]:
    present, dense = np.unique(code, return_inverse=True)
    return dense, levels[present]


FUNCTIONS = {
    "ln": np.log,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
}
# formulaic knows these itself
BUILT_IN = ("I", "C")


def draw_sample(df: pd.DataFrame, formula: str, entity: str, time: str, cluster: str | None = None) -> Sample:
    """Evaluate `formula` on the rows of `df` that have all it needs; see `econ.fit` for what is refused."""
    parsed = parse(formula)
    variables = dict(_variables(parsed.lhs)) | dict(_variables(parsed.rhs))
    if entity == time:
        raise UsageError(f"entity and time are both {entity!r}: name two columns.")
    require_columns(df, dict.fromkeys([entity, time, *([cluster] if cluster else []), *variables]), "the panel")
    if df.empty:
        raise BadInputError("the panel has no rows: expected one for each entity and time.")
    for key in (entity, time):
        codes(df, key)
    refuse_duplicates(df, (entity, time), "the panel")

    data = pd.DataFrame(
        {
            name: df[name] if categorical else numeric(df, name, (entity, time))
            for name, categorical in variables.items()
        },
        index=df.index,
    )
    needed = data if cluster is None else data.assign(**{cluster: df[cluster]})
    empty = needed.isna()
    complete = ~empty.any(axis=1).to_numpy()
    notes: tuple[str, ...] = ()
    if not complete.all():
        counts = ", ".join(f"{name} ({count:,})" for name, count in empty.sum().items() if count)
        notes = (f"{(~complete).sum():,} of {len(df):,} rows left out, values missing: {counts}",)
        if not complete.any():
            raise EstimationError(
                f"no row has all the variables ({counts} of {len(df):,} missing): fill them in first."
            )
    data, keys = data[complete], df.loc[complete, list(dict.fromkeys([entity, time, cluster or entity]))]
    left, right = _evaluate(parsed, data, keys, (entity, time))
    entity_code, entities = codes(keys, entity)
    time_code, times = codes(keys, time)
    return Sample(
        formula=formula,
        dependent=left.columns[0],
        names=tuple(right.columns),
        y=left.to_numpy(float)[:, 0],
        X=right.to_numpy(float),
        keys={entity: entities, time: times},
        entity=entity_code,
        time=time_code,
        cluster=None if cluster is None else codes(keys, cluster)[0],
        cluster_name=cluster,
        notes=notes,
    )


# --- formula ------------------------------------------------------------------------------------------------------


def parse(formula: str) -> Formula:
    """A formulaic formula with one left side and a constant; anything else is a UsageError of one sentence."""
    from formulaic import Formula
    from formulaic.formula import SimpleFormula

    if not isinstance(formula, str) or formula.count("~") == 0:
        raise UsageError(f"the formula is {formula!r}: expected 'dependent ~ regressor + regressor'.")
    if re.search(r"\[[^\]]*~", formula):
        raise UsageError(f"the formula {formula!r} has instruments in brackets: least squares takes none; drop them.")
    _refuse_powers(formula)
    try:
        parsed = Formula(formula)
    except Exception as error:  # formulaic raises its own and Python's errors alike for what it cannot parse
        raise UsageError(f"the formula {formula!r} cannot be read ({_first_line(error)}): check its signs.") from None
    left, right = getattr(parsed, "lhs", None), getattr(parsed, "rhs", None)
    if not (isinstance(left, SimpleFormula) and isinstance(right, SimpleFormula) and len(left) == 1):
        raise UsageError(f"the formula {formula!r} is not one equation: expected 'dependent ~ regressor + regressor'.")
    terms = [str(term) for term in right]
    if "1" not in terms:
        raise UsageError(f"the formula {formula!r} removes the constant: every model here has one; leave out 0 or -1.")
    if terms == ["1"]:
        raise UsageError(f"the formula {formula!r} has no regressor: name at least one.")
    return parsed


def _refuse_powers(formula: str) -> None:
    """Refuse `x**2`, `x^2` and `x/y` outside a function: formulas read them as crossings, x**2 as x itself."""
    plain = re.sub("`[^`]*`", "name", formula)  # names in backquotes may hold any sign
    called: list[bool] = []  # for every open bracket, whether it belongs to a function
    for place, sign in enumerate(plain):
        if sign == "(":
            called.append(place > 0 and (plain[place - 1].isalnum() or plain[place - 1] == "_"))
        elif sign == ")" and called:
            called.pop()
        elif not any(called) and (sign in "^/" or plain.startswith("**", place)):
            operator = "**" if sign == "*" else sign
            raise UsageError(
                f"the formula {formula!r} has {operator!r} outside a function, where it would cross variables, not "
                f"compute: write I(x**2), I(x / y), or x:z for a product."
            )


def _variables(side: SimpleFormula) -> Iterator[tuple[str, bool]]:
    """(column, is it a category) of every variable of one side of a formula."""
    for term in side:
        for factor in term.factors:
            method = factor.eval_method.value
            if method == "lookup":
                yield factor.expr, False
            elif method == "python":
                yield from _variables_of_call(factor.expr)


def _variables_of_call(expression: str) -> Iterator[tuple[str, bool]]:
    quoted = re.findall(r"`([^`]*)`", expression)
    plain = re.sub(r"`([^`]*)`", "0", expression)
    calls, names = set(), set()
    try:
        tree = ast.parse(plain.strip(), mode="eval")
    except SyntaxError:
        raise UsageError(f"the formula holds {expression!r}, which cannot be read: check its signs.") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            calls.add(ast.unparse(node.func))
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript | ast.Lambda):
            calls.add(ast.unparse(node))
    unknown = sorted(calls - set(FUNCTIONS) - set(BUILT_IN))
    if unknown:
        raise UsageError(
            f"the formula uses {unknown[0]} in {expression!r}: it knows {', '.join((*FUNCTIONS, *BUILT_IN))}; "
            f"build anything else, lags included, as a column of the panel first."
        )
    for name in (*quoted, *sorted(names - calls)):
        yield name, plain.startswith("C(")


def _evaluate(
    parsed: Formula, data: pd.DataFrame, keys: pd.DataFrame, shown: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both sides of the formula as DataFrames without the constant; every value finite."""
    try:
        # a logarithm of zero is found below, with its row; numpy's warning would not name it
        with np.errstate(all="ignore"):
            both = parsed.get_model_matrix(data, context=FUNCTIONS, na_action="ignore", output="pandas")
        left, right = pd.DataFrame(both.lhs), pd.DataFrame(both.rhs).drop(columns="Intercept")
    except Exception as error:  # whatever the user's expression raises
        raise UsageError(f"the formula cannot be evaluated ({_first_line(error)}): check its terms.") from None
    if left.shape[1] != 1:
        raise UsageError(f"the left side of the formula gives {left.shape[1]} columns: expected one number a row.")
    for term, values in (*left.items(), *right.items()):
        undefined = ~np.isfinite(values.to_numpy(float))
        if undefined.any():
            raise BadInputError(
                f"{term} is not a finite number in {undefined.sum():,} of {undefined.size:,} rows "
                f"({offenders(keys, undefined, shown)}): a logarithm needs values > 0, a ratio a divisor other than 0."
            )
    return left, right


def _first_line(error: Exception) -> str:
    """The first line of a message without the colours and marks that formulaic puts into it."""
    text = re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]|\[1;31m|\[0m", "", str(error)).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
