"""From a table and a formula to arrays: what is estimated, on which rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators import formula as formulas
from econ.estimators.design import Rows
from econ.estimators.formula import FUNCTIONS, Equation, Shift
from econ.frames import codes, numeric, offenders, refuse_duplicates, refuse_negative, require_columns

# What to say of a time column without whole numbers, where consecutive periods matter.
ORDER_OF_TIMES = "{} holds no whole numbers: its values count as consecutive periods, gaps between them are not seen"


@dataclass(frozen=True, eq=False)
class Block:
    """Some columns of a regression with their names: (n, k) float64."""

    names: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, keep: np.ndarray) -> Block:
        return Block(self.names, self.values[keep])

    def columns(self, keep: Sequence[int]) -> Block:
        return Block(tuple(self.names[j] for j in keep), self.values[:, list(keep)])


@dataclass(frozen=True, eq=False)
class Aside:
    """Variables on all m rows of the panel, complete or not, for instruments that are lags.

    Parameters
    ----------
    blocks : mapping of expression to Block
        (m, k) columns each, NaN where a value is missing.
    entity, tick : (m,) int
        Codes of the entities of the panel, whole periods since its first one.
    rows : (n,) int
        Which of these rows are the sample's, in its order.
    entities : Index
        Levels of the entities' codes.
    """

    blocks: Mapping[str, Block]
    entity: np.ndarray
    tick: np.ndarray
    rows: np.ndarray
    entities: pd.Index


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows and columns of one regression.

    Parameters
    ----------
    formula : str
        As it was given.
    dependent : str
        Name of y.
    y : (n,) float64
    exogenous : Block
        Regressors without the constant; all of them where nothing is endogenous.
    endogenous, instruments : Block
        The two sides of the bracket, instruments without the exogenous regressors; no columns without a bracket.
    keys : dict of str to Index
        Entity and time, in this order: column -> its levels.
    entity, time : (n,) int
        Codes into those levels.
    tick : (n,) int
        Whole periods since the first one, gaps kept; the codes of the times where these are no whole numbers.
    calendar : bool
        Whether `tick` are whole periods; where it is False gaps do not show.
    aside : Aside, optional
        Variables on all rows of the panel, where they were asked for.
    clusters : tuple of (str, (n,) int)
        Columns of clusters and their codes.
    weight : (n,) float or None
        Analytic weights with sum n.
    index : Index, (n,)
        Labels of the rows of the table.
    notes : tuple of str
        What was left out.
    """

    formula: str
    dependent: str
    y: np.ndarray
    exogenous: Block
    endogenous: Block
    instruments: Block
    keys: dict[str, pd.Index]
    entity: np.ndarray
    time: np.ndarray
    tick: np.ndarray
    clusters: tuple[tuple[str, np.ndarray], ...]
    weight: np.ndarray | None
    index: pd.Index
    notes: tuple[str, ...] = field(default=())
    calendar: bool = True
    aside: Aside | None = None

    @property
    def n(self) -> int:
        return self.y.size

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
            exogenous=self.exogenous.rows(keep),
            endogenous=self.endogenous.rows(keep),
            instruments=self.instruments.rows(keep),
            keys={self.entity_name: entities, self.time_name: times},
            entity=entity,
            time=time,
            tick=self.tick[keep],
            clusters=tuple((name, np.unique(code[keep], return_inverse=True)[1]) for name, code in self.clusters),
            weight=None if self.weight is None else _scaled(self.weight[keep]),
            index=self.index[keep],
            notes=(*self.notes, note),
            aside=None if self.aside is None else replace(self.aside, rows=self.aside.rows[keep]),
        )

    def noted(self, *notes: str) -> Sample:
        """The sample with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def described(self, absorbed: tuple[str, ...], rank: int) -> Rows:
        """What covariances have to know, `absorbed` effects taking up `rank` coefficients."""
        return Rows(
            names=(self.entity_name, self.time_name),
            entity=self.entity,
            time=self.time,
            tick=self.tick,
            absorbed=absorbed,
            rank=rank,
            weight=self.weight,
            clusters=self.clusters,
        )


def _dense(code: np.ndarray, levels: pd.Index) -> tuple[np.ndarray, pd.Index]:
    present, dense = np.unique(code, return_inverse=True)
    return dense, levels[present]


def _scaled(weight: np.ndarray) -> np.ndarray:
    return weight * (weight.size / weight.sum())


def draw_sample(
    df: pd.DataFrame,
    formula: str,
    entity: str | None,
    time: str | None,
    clusters: Sequence[str] = (),
    weights: str | None = None,
    step: int = 1,
    aside: Sequence[str] = (),
) -> Sample:
    """Evaluate `formula` on the rows of `df` that have all it needs; see `econ.fit` for what is refused.

    `aside` are expressions that are evaluated on all rows, and leave none out.
    """
    if not isinstance(df, pd.DataFrame):
        raise UsageError(
            f"the panel is a {type(df).__name__}: expected a pandas DataFrame, one row an entity and time."
        )
    for what, name in (("entity", entity), ("time", time), ("weights", weights), *(("cluster", c) for c in clusters)):
        if name is not None and not isinstance(name, str):
            raise UsageError(f"{what} is {name!r:.60}, no text: expected the name of a column, such as 'province'.")
    equation = formulas.read(formula, [str(name) for name in df.columns])
    if entity is not None and entity == time:
        raise UsageError(f"entity and time are both {entity!r}: name two columns.")
    _refuse_index(df, [key for key in (entity, time) if key is not None])
    if not _is_whole(step) or step < 1:
        raise UsageError(f"step is {step!r}: expected the whole number of time units between two periods, such as 1.")
    shifted = {shift.name for shift in equation.shifts}
    variables: dict[str, bool] = {}
    for side in equation.sides:
        variables |= {name: category for name, category in formulas.variables(side) if name not in shifted}
    keys = [key for key in (entity, time) if key is not None]
    made_from = [name for shift in equation.shifts for name in _inputs(shift, df, shifted)]
    others = [*clusters, *([weights] if weights is not None else [])]
    require_columns(df, dict.fromkeys([*keys, *others, *variables, *made_from]), "the panel")
    if df.empty:
        raise BadInputError("the panel has no rows: expected one for each entity and time.")
    for key in keys:
        codes(df, key)
    if len(keys) == 2:
        refuse_duplicates(df, keys, "the panel")
    columns = {name: df[name] if category else numeric(df, name, keys) for name, category in variables.items()}
    columns |= _shifts(df, equation, entity, time, step)
    data = pd.DataFrame(columns, index=df.index)
    needed = columns | {f"{name} (clusters)": df[name] for name in clusters}
    if weights is not None:
        weight = numeric(df, weights, keys)
        refuse_negative(df, weights, weight, keys)
        _refuse_extreme(df, {weights: weight}, keys)
        if not (weight > 0).any():
            raise BadInputError(f"column {weights!r} has no weight above 0: expected one in every row that counts.")
        zeros = "weight 0 or missing" if (weight == 0).any() else "weight"
        needed[f"{weights} ({zeros})"] = np.where(weight > 0, weight, np.nan)
    _refuse_long_lags(df, equation, columns, time, step)
    complete, notes = _complete(pd.DataFrame(needed, index=df.index))
    data, present = data[complete], df[complete]
    for name, category in variables.items():
        if category and isinstance(data[name].dtype, pd.CategoricalDtype):
            data = data.assign(**{name: data[name].cat.remove_unused_categories()})
    blocks = _evaluate(equation, data, present[keys], keys)
    left = blocks[0]
    n = len(present)
    entity_code, entities = (np.arange(n), pd.RangeIndex(n)) if entity is None else codes(present, entity)
    time_code, times = (np.zeros(n, int), pd.RangeIndex(1)) if time is None else codes(present, time)
    tick, calendar = _ticks(present, time, time_code, step)
    empty = Block((), np.empty((n, 0)))
    return Sample(
        formula=formula,
        dependent=left.names[0],
        y=left.values[:, 0],
        exogenous=blocks[1],
        endogenous=blocks[2] if len(blocks) > 2 else empty,
        instruments=blocks[3] if len(blocks) > 2 else empty,
        keys={"row" if entity is None else entity: entities, "time" if time is None else time: times},
        entity=entity_code,
        time=time_code,
        tick=tick,
        calendar=calendar,
        clusters=tuple((name, codes(present, name)[0]) for name in clusters),
        weight=None if weights is None else _scaled(weight[complete]),
        index=present.index,
        notes=notes,
        aside=_aside(df, aside, entity, time, step, complete) if aside else None,
    )


def _aside(
    df: pd.DataFrame, expressions: Sequence[str], entity: str | None, time: str | None, step: int, complete: np.ndarray
) -> Aside:
    """Each expression on all rows of the panel."""
    if entity is None or time is None:
        raise UsageError("instruments that are lags go by time: name the columns of entity and time.")
    keys, blocks = [entity, time], {}
    for expression in expressions:
        name = expression.strip("`") if isinstance(expression, str) else expression
        if isinstance(name, str) and name in df.columns:  # most are plain columns, which need no formula
            values = numeric(df, name, keys)
            _refuse_extreme(df, {name: values}, keys)
            blocks[expression] = Block((name,), values[:, None])
            continue
        equation = formulas.read_one(expression, [str(name) for name in df.columns])
        shifted = {shift.name for shift in equation.shifts}
        wanted = {name: kind for name, kind in formulas.variables(equation.exogenous) if name not in shifted}
        made_from = [name for shift in equation.shifts for name in _inputs(shift, df, shifted)]
        require_columns(df, dict.fromkeys([*wanted, *made_from]), "the panel")
        columns = {name: df[name] if category else numeric(df, name, keys) for name, category in wanted.items()}
        columns |= _shifts(df, equation, entity, time, step)
        matrix = _matrix(equation.exogenous, pd.DataFrame(columns, df.index)).drop(columns="Intercept", errors="ignore")
        values = {term.replace("`", ""): column.to_numpy(float) for term, column in matrix.items()}
        for term, column in values.items():
            if np.isinf(column).any():
                raise BadInputError(
                    f"{term} is not a finite number in {np.isinf(column).sum():,} of {column.size:,} rows "
                    f"({offenders(df, np.isinf(column), keys)}): {_why_undefined(term)}."
                )
        _refuse_extreme(df, values, keys)
        blocks[expression] = Block(tuple(values), np.column_stack(list(values.values())))
    tick, _calendar = _ticks(df, time, codes(df, time)[0], step)
    code, entities = codes(df, entity)
    return Aside(blocks, code, tick, np.flatnonzero(complete), entities)


def _refuse_long_lags(
    df: pd.DataFrame, equation: Equation, columns: Mapping[str, np.ndarray], time: str | None, step: int
) -> None:
    """Raise EstimationError where a lag has no value in any row, and say how many periods it would take."""
    for shift in equation.shifts:
        if shift.of not in df.columns or not np.isnan(np.asarray(columns[shift.name], float)).all():
            continue
        if df[shift.of].isna().all():
            continue
        when = np.unique(df[time].dropna())
        gaps = np.unique(np.diff(when))
        apart = f"; they are {gaps[0]:g} apart, pass step={gaps[0]:g}" if gaps.size == 1 and gaps[0] != step else ""
        raise EstimationError(
            f"{shift.name} has no value in any row: the panel has {when.size} periods of {time}, and order "
            f"{shift.order} takes at least {shift.order + 1} without gaps{apart}; use a lower order or a longer panel."
        )


def _complete(needed: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """(rows that have everything, what to say of the others)."""
    empty = needed.isna()
    complete = ~empty.any(axis=1).to_numpy()
    if complete.all():
        return complete, ()
    counts = ", ".join(f"{name} ({count:,})" for name, count in empty.sum().items() if count)
    if not complete.any():
        raise EstimationError(
            f"no row has all the variables ({counts} of {len(needed):,} missing): fill them in first."
        )
    return complete, (f"{(~complete).sum():,} of {len(needed):,} rows left out, values missing: {counts}",)


def _ticks(present: pd.DataFrame, time: str | None, code: np.ndarray, step: int) -> tuple[np.ndarray, bool]:
    """(n,) periods since the first, and whether they are the calendar's; else the codes, where gaps do not show."""
    if time is None or not pd.api.types.is_numeric_dtype(present[time]):
        return code, False
    when = present[time].to_numpy(float)
    since = when - when.min()
    whole = since / step
    if (whole == np.floor(whole)).all():
        return whole.astype(np.int64), True
    if step != 1:
        raise BadInputError(
            f"column {time!r} has times that are not whole steps of {step} after {when.min():g}: give the step that "
            f"the panel is kept in."
        )
    return code, False


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def _refuse_index(df: pd.DataFrame, keys: Sequence[str]) -> None:
    """Keys that are levels of the index, not columns."""
    hidden = [key for key in keys if key in df.index.names and key not in df.columns]
    if hidden:
        raise BadInputError(
            f"{' and '.join(map(repr, hidden))} stand{'s' * (len(hidden) == 1)} in the index of the panel, expected "
            f"columns: pass df.reset_index()."
        )


# Squares of products of two numbers of this size, and sums of a million of them, are still within 1e-300 to 1e300.
LARGEST, SMALLEST = 1e60, 1e-60


def _refuse_extreme(shown: pd.DataFrame, columns: Mapping[str, np.ndarray], keys: Sequence[str]) -> None:
    """Raise BadInputError for columns whose squares floating-point numbers cannot hold."""
    for name, values in columns.items():
        size = np.abs(values)
        size[np.isnan(size)] = 0
        largest = size.max(initial=0)
        if largest > LARGEST or 0 < largest < SMALLEST:
            where = offenders(shown, size == largest, keys)
            raise BadInputError(
                f"{name!r} has {largest:.3g} as its largest size ({where}), whose square is out of the range of "
                f"numbers: expected sizes between {SMALLEST:g} and {LARGEST:g}; change its unit."
            )


# --- lags, leads and differences ----------------------------------------------------------------------------------


def _inputs(shift: Shift, df: pd.DataFrame, shifted: set[str]) -> list[str]:
    """Columns of the panel that a shift is made from."""
    if shift.of in shifted:
        return []
    if shift.of in df.columns or shift.of.isidentifier():
        return [shift.of]
    return [name for name, _ in formulas.variables_of(shift.of) if name not in shifted]


def _shifts(
    df: pd.DataFrame, equation: Equation, entity: str | None, time: str | None, step: int
) -> dict[str, np.ndarray]:
    """Columns of lags, leads and differences by name, (n,) each; NaN where the entity has no row then."""
    if not equation.shifts:
        return {}
    from econ.panel import time_keys

    if entity is None or time is None:
        raise UsageError(f"{equation.shifts[0].name} goes by time: name the columns of entity and time.")
    keys = time_keys(df, entity, time, step)
    made: dict[str, np.ndarray] = {}
    for shift in equation.shifts:
        values = made[shift.of] if shift.of in made else _operand(df, shift, made, [entity, time])
        if shift.letter == "D":
            before = keys.rows_at(-1)
            for _ in range(shift.order):
                values = values - np.where(before >= 0, values[before], np.nan)
        else:
            rows = keys.rows_at(-shift.order if shift.letter == "L" else shift.order)
            values = np.where(rows >= 0, values[rows], np.nan)
        made[shift.name] = values
    return made


def _operand(df: pd.DataFrame, shift: Shift, made: dict[str, np.ndarray], keys: list[str]) -> np.ndarray:
    """(n,) values of what a shift is made from, on all rows; infinite where a function of present values has none."""
    if shift.of in df.columns:
        return numeric(df, shift.of, keys)
    used = [name for name, _ in formulas.variables_of(shift.of)]
    if any(f"{name}(" in shift.of for name in formulas.OF_THE_SAMPLE):
        raise UsageError(
            f"{shift.name} takes a lag of what depends on the sample: write the function around the lag, as in "
            f"minmax(L.x)."
        )
    data = pd.DataFrame({name: made[name] if name in made else numeric(df, name, keys) for name in used}, df.index)
    values = _matrix(f"{shift.of} - 1", data).to_numpy(float)[:, 0]
    return np.where(np.isnan(values) & data.notna().all(axis=1), np.inf, values)


def _matrix(side, data: pd.DataFrame) -> pd.DataFrame:
    """Columns of one side of a formula, undefined values as NaN or inf."""
    from formulaic import Formula

    try:
        # a logarithm of zero is found later, with its row; numpy's warning would not name it
        with np.errstate(all="ignore"):
            matrix = Formula(side).get_model_matrix(data, context=FUNCTIONS, na_action="ignore", output="pandas")
    except Exception as error:  # whatever the user's expression raises
        raise UsageError(f"the formula cannot be evaluated ({formulas.first_line(error)}): check its terms.") from None
    return pd.DataFrame(matrix)


def _evaluate(equation: Equation, data: pd.DataFrame, shown: pd.DataFrame, keys: Sequence[str]) -> list[Block]:
    """All sides of the equation without the constant; every value finite."""
    blocks = []
    for side in equation.sides:
        matrix = _matrix(side, data).drop(columns="Intercept", errors="ignore")
        if side is equation.left and matrix.shape[1] != 1:
            raise UsageError(
                f"the left side of the formula gives {matrix.shape[1]} columns: expected one number a row."
            )
        values = {term.replace("`", ""): column.to_numpy(float) for term, column in matrix.items()}
        for term, column in values.items():
            undefined = ~np.isfinite(column)
            if undefined.any():
                raise BadInputError(
                    f"{term} is not a finite number in {undefined.sum():,} of {undefined.size:,} rows "
                    f"({offenders(shown, undefined, keys)}): {_why_undefined(term)}."
                )
        _refuse_extreme(shown, values, keys)
        blocks.append(
            Block(tuple(values), np.column_stack(list(values.values())) if values else matrix.to_numpy(float))
        )
    names = [name for block in blocks[1:] for name in block.names]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise UsageError(
            f"{twice!r} stands in two places of the formula: expected it once, on one side of the bracket."
        )
    return blocks


# sign in a term -> what it needs to be a number
NEEDS = {
    "ln(": "a logarithm needs values > 0",
    "log": "a logarithm needs values > 0",
    "sqrt(": "a root needs values >= 0",
    "exp(": "an exponential needs values below 700",
    "minmax(": "minmax needs values that differ",
    "/": "a ratio needs a divisor other than 0",
    "**": "a power must not leave the range of numbers",
}


def _why_undefined(term: str) -> str:
    needs = dict.fromkeys(need for sign, need in NEEDS.items() if sign in term)
    return ", ".join(needs) or "its numbers leave the range that can be held; change their units"
