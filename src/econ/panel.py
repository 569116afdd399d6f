"""The (province, year) table: inequality joined with what explains it, what did not match, its lags, its description.

Every operation follows the time that is written in a row, never the place of the row: a year without a row is a gap,
and what reaches into a gap is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import NAMED, codes, numeric, refuse_duplicates, require_columns


@dataclass(frozen=True, eq=False)
class Panel:
    """A checked panel and the account of how it was made.

    Parameters
    ----------
    data : DataFrame
        One row an (entity, time) that all tables have, sorted by them.
    entity, time : str
        The key columns.
    unmatched : dict of name to DataFrame
        For every table the keys that another table lacks; the column `missing_in` names those tables.
    gaps : dict of entity to tuple of times
        Times inside the span of the panel in which an entity has no row.
    labels : dict of column to str
        What the columns mean, in words, for those that have a label.
    """

    data: pd.DataFrame
    entity: str
    time: str
    unmatched: dict[str, pd.DataFrame]
    gaps: dict[object, tuple]
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def only_inequality(self) -> pd.DataFrame:
        """Keys of the first table that another lacks."""
        return self._only(0)

    @property
    def only_controls(self) -> pd.DataFrame:
        """Keys of the second table that another lacks."""
        return self._only(1)

    def _only(self, position: int) -> pd.DataFrame:
        tables = list(self.unmatched.values())
        if len(tables) <= position:  # a panel that was read, not joined
            return self.data.iloc[:0][[self.entity, self.time]]
        return tables[position][[self.entity, self.time]]

    def report(self) -> str:
        """What matched, what did not, where the gaps are, and how many rows each incomplete column leaves."""
        n_entity, n_time = self.data[self.entity].nunique(), self.data[self.time].nunique()
        rows = "rows matched" if self.unmatched else "rows"
        lines = [f"{len(self.data):,} {rows}: {n_entity:,} x {self.entity}, {n_time:,} x {self.time}"]
        for name, keys in self.unmatched.items():
            if len(keys):
                first = "; ".join(f"{a}, {b}" for a, b, _ in keys.head(NAMED).itertuples(index=False))
                others = list(dict.fromkeys(other for cell in keys["missing_in"] for other in cell.split(", ")))
                where = f"only in {name}" if len(self.unmatched) == 2 else f"of {name} are not in {', '.join(others)}"
                lines.append(f"{len(keys):,} rows {where}, left out: {first}{' ...' * (len(keys) > NAMED)}")
        for entity, times in self.gaps.items():
            lines.append(f"{entity} has no row in {', '.join(map(str, times))}")
        return "\n".join([*lines, *self._incomplete()])

    def _incomplete(self) -> Iterator[str]:
        """A line for every column of numbers that is missing somewhere, and one for the rows that are complete."""
        data, entity, time = self.data, self.entity, self.time
        columns = [c for c in data.columns if c not in (entity, time) and pd.api.types.is_numeric_dtype(data[c])]
        lacking = [column for column in columns if data[column].isna().any()]
        for column in lacking:
            missing = data[column].isna()
            yield f"{column}: {_share(data, ~missing, entity, time)}; {missing.sum():,} missing{self._why(missing)}"
        if len(lacking) > 1:
            yield f"complete in all columns: {_share(data, data[columns].notna().all(axis=1), entity, time)}"

    def _why(self, missing: pd.Series) -> str:
        """Counts of what the column `reason` of a table of inequality says of these rows, with their entities."""
        if "reason" not in self.data.columns:
            return ""
        rows = self.data.loc[missing & self.data["reason"].fillna("").astype(str).ne("")]
        parts = []
        for reason, group in rows.groupby("reason", sort=False, observed=True):
            names = list(dict.fromkeys(map(str, group[self.entity])))
            dots = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
            parts.append(f"{len(group):,} {reason} ({', '.join(names[:NAMED])}{dots})")
        return ": " + "; ".join(parts) if parts else ""


def _share(data: pd.DataFrame, there: pd.Series, entity: str, time: str) -> str:
    """Such as "364 of 420 rows, 26 of 30 x province, 14 of 14 x year"."""
    counts = (f"{data.loc[there, key].nunique():,} of {data[key].nunique():,} x {key}" for key in (entity, time))
    return f"{there.sum():,} of {len(data):,} rows, {', '.join(counts)}"


def join_panel(
    inequality: pd.DataFrame,
    controls: pd.DataFrame,
    *more: pd.DataFrame,
    entity: str = "province",
    time: str = "year",
    names: Sequence[str] | None = None,
) -> Panel:
    """Join two or more tables on (`entity`, `time`) and keep the rows that all of them have.

    Parameters
    ----------
    inequality, controls, *more : DataFrame
        One row an (entity, time) each.
    entity, time : str
        The key columns; names are compared as they are, never by likeness.
    names : sequence of str, optional
        What messages call the tables; by default inequality, controls, table 3, ...

    Raises
    ------
    UsageError
        Something that is not a table among the tables; not one name a table.
    MissingColumnError, BadInputError
        A key column that is not there or empty in a row; another column that two tables have; tables that share no
        key at all, with the nearest names.
    DuplicateError
        A key given twice; its `offenders` are the rows.
    """
    given = (inequality, controls, *more)
    if not all(isinstance(table, pd.DataFrame) for table in given):
        raise UsageError("join_panel takes tables, then entity= and time= by name: pass entity='province', say.")
    called = (
        list(names) if names is not None else ["inequality", "controls", *(f"table {i + 3}" for i in range(len(more)))]
    )
    if len(called) != len(given) or len(set(called)) < len(called):
        raise UsageError(f"names are {called} for {len(given)} tables: expected one for each, all different.")
    keys = [entity, time]
    tables = dict(zip(called, given, strict=True))
    for name, table in tables.items():
        long_name = f"the table of {name}" if names is None and name in ("inequality", "controls") else name
        require_columns(table, keys, long_name)
        if table.empty:
            raise BadInputError(f"{long_name} has no rows: expected one for each ({entity}, {time}).")
        for key in keys:
            codes(table, key)
        refuse_duplicates(table, keys, long_name)
    _refuse_shared_columns(tables, keys)

    index = {name: pd.MultiIndex.from_frame(table[keys]) for name, table in tables.items()}
    data = inequality
    first, *others = tables
    for name in others:
        if not pd.MultiIndex.from_frame(data[keys]).isin(index[name]).any():
            raise BadInputError(_nothing_shared(data, tables[name], keys, first, name))
        data = data.merge(tables[name], on=keys, how="inner", validate="1:1")
    data = data.sort_values(keys, ignore_index=True)
    return Panel(
        data=data,
        entity=entity,
        time=time,
        unmatched={name: _unmatched(tables, index, name, keys) for name in tables},
        gaps=_gaps(data, entity, time),
    )


def as_panel(
    table: pd.DataFrame, entity: str, time: str, table_name: str = "the table", labels: Mapping[str, str] | None = None
) -> Panel:
    """A `Panel` of one table, sorted by its keys, which are checked as in `join_panel`."""
    require_columns(table, [entity, time], table_name)
    for key in (entity, time):
        codes(table, key)
    refuse_duplicates(table, [entity, time], table_name)
    data = table.sort_values([entity, time], ignore_index=True)
    return Panel(data, entity, time, {}, _gaps(data, entity, time), dict(labels or {}))


def _refuse_shared_columns(tables: dict[str, pd.DataFrame], keys: Sequence[str]) -> None:
    seen: dict[object, str] = {}
    for name, table in tables.items():
        shared = [column for column in table.columns if column in seen and column not in keys]
        if shared:
            owners = "both tables have" if len(tables) == 2 else f"{seen[shared[0]]} and {name} both have"
            raise BadInputError(
                f"{owners} the column {', '.join(map(repr, shared))}: rename or drop it in one of them first."
            )
        seen |= dict.fromkeys(table.columns, name)


def _unmatched(
    tables: dict[str, pd.DataFrame], index: dict[str, pd.MultiIndex], name: str, keys: Sequence[str]
) -> pd.DataFrame:
    """The keys of one table that others lack, and which of them."""
    absent = {other: ~index[name].isin(there) for other, there in index.items() if other != name}
    lost = np.logical_or.reduce(list(absent.values()))
    found = tables[name].loc[lost, list(keys)].reset_index(drop=True)
    rows = np.flatnonzero(lost)
    return found.assign(missing_in=[", ".join(other for other, mask in absent.items() if mask[row]) for row in rows])


def _gaps(data: pd.DataFrame, entity: str, time: str) -> dict[object, tuple]:
    """Times of the panel in which an entity has no row, for the entities that have any."""
    times = sorted(data[time].unique())
    there = data.groupby(entity, observed=True)[time].agg(set)
    missing = {name: tuple(t for t in times if t not in seen) for name, seen in there.items()}
    return {name: absent for name, absent in missing.items() if absent}


def _nothing_shared(
    left: pd.DataFrame, right: pd.DataFrame, keys: Sequence[str], left_name: str, right_name: str
) -> str:
    for key in keys:
        ours, theirs = left[key].unique(), right[key].unique()
        if not set(ours) & set(theirs):
            near = get_close_matches(str(ours[0]), [str(name) for name in theirs], n=1, cutoff=0.0)
            return (
                f"no {key} is in both tables: {ours[0]!r} in {left_name}, nearest {near[0]!r} in {right_name}; "
                f"expected the same names of the same type; bring them to one spelling."
            )
    return f"no ({', '.join(keys)}) is in both tables although each key is: check that they cover the same periods."


# --- time ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimeKeys:
    """Rows of a panel by entity and by time in steps."""

    data: pd.DataFrame
    entity: str
    time: str
    code: np.ndarray  # (n,) of the entity
    names: pd.Index  # of the entities
    tick: np.ndarray  # (n,) int64, time / step up to a constant

    def rows_at(self, shift: int) -> np.ndarray:
        """(n,) row of the same entity `shift` steps later, -1 where there is none."""
        here = pd.MultiIndex.from_arrays([self.code, self.tick])
        return here.get_indexer(pd.MultiIndex.from_arrays([self.code, self.tick + shift]))


def time_keys(panel: Panel | pd.DataFrame, entity: str | None, time: str | None, step: int) -> TimeKeys:
    """The checked keys of a panel; those of a `Panel` are its own unless others are named."""
    own = isinstance(panel, Panel)
    data = panel.data if own else panel
    entity = entity or (panel.entity if own else "province")
    time = time or (panel.time if own else "year")
    require_columns(data, [entity, time], "the panel")
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 1:
        raise UsageError(f"step is {step!r}: expected the whole number of time units between two periods, such as 1.")
    code, names = codes(data, entity)
    codes(data, time)  # no empty times
    refuse_duplicates(data, [entity, time], "the panel")
    when = numeric(data, time, [entity])
    broken = when != np.floor(when)
    if broken.any():
        raise BadInputError(
            f"column {time!r} has {when[broken][0]:g}: lags count in whole periods, "
            f"expected whole numbers such as years."
        )
    since = (when - when.min()).astype(np.int64) if when.size else when.astype(np.int64)
    if (since % step).any():
        raise BadInputError(
            f"column {time!r} has times that are not whole steps of {step} after {when.min():g}: "
            f"give the step that the panel is kept in."
        )
    return TimeKeys(data, entity, time, code, names, since // int(step))


def lag(
    panel: Panel | pd.DataFrame,
    column: str,
    k: int = 1,
    *,
    entity: str | None = None,
    time: str | None = None,
    step: int = 1,
) -> pd.Series:
    """The value of `column` `k` periods before, by time and not by row (Stata's L1.x).

    Parameters
    ----------
    panel : Panel or DataFrame, (n,)
        One row an (entity, time), in any order.
    column : str
        A column of numbers.
    k : int
        Periods back, at least 1.
    entity, time : str, optional
        Key columns; those of the `Panel`, else "province" and "year".  Times are whole numbers.
    step : int
        Time units in one period, e.g. 5 for a panel of every fifth year (Stata's delta).

    Returns
    -------
    Series of float, (n,)
        Named "L1.column", in the rows of `panel`; NaN where the entity has no row at that time.

    Raises
    ------
    UsageError
        k or step below 1.
    BadInputError
        A column that is not there, text in numbers, times that are no whole steps, a key given twice.
    """
    return _shifted(panel, column, k, -1, "L", entity, time, step)


def lead(
    panel: Panel | pd.DataFrame,
    column: str,
    k: int = 1,
    *,
    entity: str | None = None,
    time: str | None = None,
    step: int = 1,
) -> pd.Series:
    """The value of `column` `k` periods later, named "F1.column"; all else as in `lag`."""
    return _shifted(panel, column, k, 1, "F", entity, time, step)


def difference(
    panel: Panel | pd.DataFrame,
    column: str,
    k: int = 1,
    *,
    entity: str | None = None,
    time: str | None = None,
    step: int = 1,
) -> pd.Series:
    """The difference of order `k`, named "D1.column"; all else as in `lag`.

    D1.x = x_t - x_(t-1) and D2.x = x_t - 2 x_(t-1) + x_(t-2), as in Stata; NaN where any of the periods is missing.
    """
    _check_order(k)
    keys = time_keys(panel, entity, time, step)
    require_columns(keys.data, [column], "the panel")
    now = numeric(keys.data, column, [keys.entity, keys.time])
    before = keys.rows_at(-1)
    for _ in range(k):
        now = now - np.where(before >= 0, now[before], np.nan)
    return pd.Series(now, keys.data.index, name=f"D{k}.{column}")


def _shifted(panel, column, k, sign, letter, entity, time, step) -> pd.Series:
    _check_order(k)
    keys = time_keys(panel, entity, time, step)
    require_columns(keys.data, [column], "the panel")
    values = numeric(keys.data, column, [keys.entity, keys.time])
    rows = keys.rows_at(sign * k)
    return pd.Series(np.where(rows >= 0, values[rows], np.nan), keys.data.index, name=f"{letter}{k}.{column}")


def _check_order(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise UsageError(f"k is {k!r}: expected a whole number of periods, at least 1; lag and lead go either way.")


@dataclass(frozen=True, eq=False)
class Balance:
    """Which entity has a row when.

    Parameters
    ----------
    table : DataFrame
        index = entity; rows, first, last; spells (runs of rows without a gap), gaps (periods without a row between
        the first and the last), absent (periods of the whole panel without a row).
    entity, time : str
        The key columns.
    periods : int
        Periods from the first to the last of the panel, those without any row included.
    """

    table: pd.DataFrame
    entity: str
    time: str
    periods: int

    @property
    def balanced(self) -> bool:
        """Whether every entity has a row in every period."""
        return not self.table["absent"].any()

    def report(self) -> str:
        rows, n = int(self.table["rows"].sum()), len(self.table)
        lines = [
            f"{'balanced' if self.balanced else 'not balanced'}: {rows:,} rows of {n:,} x {self.entity}, "
            f"{self.periods:,} periods of {self.time}, {n * self.periods - rows:,} absent"
        ]
        for name, row in self.table.loc[self.table["absent"] > 0].iterrows():
            lines.append(
                f"{name}: {row['rows']:,} rows from {row['first']} to {row['last']} in {row['spells']:,} "
                f"spell{'s' if row['spells'] > 1 else ''}, {row['gaps']:,} missing in between"
            )
        return "\n".join(lines)


def balance(
    panel: Panel | pd.DataFrame, *, entity: str | None = None, time: str | None = None, step: int = 1
) -> Balance:
    """Rows, spells and gaps of every entity; options and errors as in `lag`."""
    keys = time_keys(panel, entity, time, step)
    order = np.lexsort((keys.tick, keys.code))
    code, tick = keys.code[order], keys.tick[order]
    when = keys.data[keys.time].to_numpy()[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])[: len(keys.names)]
    ends = np.r_[starts[1:], len(code)] - 1
    breaks = np.r_[True, (code[1:] != code[:-1]) | (tick[1:] != tick[:-1] + 1)][: len(code)]
    rows = ends - starts + 1
    periods = int(tick.max() - tick.min() + 1) if tick.size else 0
    table = pd.DataFrame(
        {
            "rows": rows,
            "first": when[starts],
            "last": when[ends],
            "spells": np.add.reduceat(breaks.astype(int), starts) if starts.size else np.empty(0, int),
            "gaps": tick[ends] - tick[starts] + 1 - rows,
            "absent": periods - rows,
        },
        index=pd.Index(keys.names, name=keys.entity),
    )
    return Balance(table, keys.entity, keys.time, periods)


# --- description --------------------------------------------------------------------------------------------------


def describe(
    panel: Panel | pd.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    entity: str | None = None,
    time: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Number of values, mean, standard deviation, smallest and largest value of columns: the usual table 1.

    Parameters
    ----------
    panel : Panel or DataFrame, (n,)
        Rows in any order; the result does not depend on it, by one bit.
    columns : sequence of str, optional
        Columns of numbers, in the order wanted; by default all of them but the keys.
    entity, time : str, optional
        Key columns; those of the `Panel`, else "province" and "year".
    labels : mapping of column to str, optional
        What the columns mean; those of the `Panel` by default.  Where there are any, a column `label` stands first.

    Returns
    -------
    DataFrame, one row a column
        index = variable; n (values that are not missing), mean, sd (divisor n - 1), min, max, each in the unit of the
        variable.  A constant has an sd of exactly 0, one value alone has none (NaN), and without values all are NaN.

    Raises
    ------
    UsageError
        No column; a column named twice.
    MissingColumnError, BadInputError
        A column that is not there, or that holds text, dates or infinity.
    """
    data, columns, _, labels = _described(panel, columns, entity, time, labels)
    rows = [_moments(values[~np.isnan(values)]) for values in (numeric(data, column) for column in columns)]
    table = pd.DataFrame(rows, index=pd.Index(columns, name="variable", dtype=object), columns=MOMENTS)
    return _labelled(table, labels, columns)


def within_between(
    panel: Panel | pd.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    entity: str | None = None,
    time: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """`describe` split into variation between and within entities, as Stata's xtsum; options and errors as there.

    overall: x_it; between: the means x_i of the entities, each counting once; within: x_it - x_i + x, with the grand
    mean x of all values added back, and N - 1 as divisor of its variance.  Source: StataCorp, "Longitudinal-Data/
    Panel-Data Reference Manual", xtsum.

    Returns
    -------
    DataFrame, three rows a column
        index = (variable, part) with part "overall", "between", "within"; mean (of the part overall only), sd, min,
        max; observations: the number of values N, of entities n that have any, and N / n (T-bar).
    """
    data, columns, entity, labels = _described(panel, columns, entity, time, labels)
    require_columns(data, [entity], "the panel")
    code, _ = codes(data, entity)
    rows = {}
    for column in columns:
        values = numeric(data, column)
        there = ~np.isnan(values)
        overall, between, within = _variation(values[there], code[there])
        n, entities = overall[0], between[0]
        rows[column, "overall"] = (*overall[1:], n)
        rows[column, "between"] = (np.nan, *between[2:], entities)
        rows[column, "within"] = (np.nan, *within[2:], n / entities if entities else np.nan)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[*MOMENTS[1:], "observations"], dtype=float)
    table.index = pd.MultiIndex.from_tuples(rows, names=["variable", "part"])
    return _labelled(table, labels, [column for column, _ in rows])


MOMENTS = ["n", "mean", "sd", "min", "max"]


def _described(
    panel: Panel | pd.DataFrame,
    columns: Sequence[str] | None,
    entity: str | None,
    time: str | None,
    labels: Mapping[str, str] | None,
) -> tuple[pd.DataFrame, list[str], str, Mapping[str, str]]:
    """The table, the columns to describe, the entity and the labels."""
    own = isinstance(panel, Panel)
    data = panel.data if own else panel
    keys = [entity or (panel.entity if own else "province"), time or (panel.time if own else "year")]
    if isinstance(columns, str):
        columns = [columns]
    if columns is None:
        columns = [
            column
            for place, column in enumerate(data.columns)
            if column not in keys and pd.api.types.is_numeric_dtype(data.dtypes.iloc[place])
        ]
    columns = list(columns)
    if not columns:
        raise UsageError("there is no column to describe: expected one of numbers beside the keys; name it.")
    twice = [column for place, column in enumerate(columns) if column in columns[:place]]
    if twice:
        raise UsageError(f"column {twice[0]!r} is named twice: expected each once; leave the second out.")
    require_columns(data, columns, "the panel")
    return data, columns, keys[0], labels if labels is not None else (panel.labels if own else {})


def _labelled(table: pd.DataFrame, labels: Mapping[str, str], columns: Sequence[str]) -> pd.DataFrame:
    if any(column in labels for column in columns):
        table.insert(0, "label", [labels.get(column, "") for column in columns])
    return table


def _moments(x: np.ndarray) -> tuple[int, float, float, float, float]:
    """n, mean, sd, min, max of (n,) finite numbers."""
    if not x.size:
        return (0, *[np.nan] * 4)
    low, high = float(x.min()), float(x.max())
    scaled, power = _scaled(x)
    mean = _mean(scaled)
    sd = math.sqrt(math.fsum((scaled - mean) ** 2) / (x.size - 1)) if x.size > 1 else np.nan
    return x.size, _unscaled(mean, power), _unscaled(sd, power), low, high


def _scaled(x: np.ndarray) -> tuple[np.ndarray, int]:
    """x / 2**power, within -1..1, so that no square is too large or too small for a float."""
    power = int(np.frexp(np.abs(x).max())[1])
    return np.ldexp(x, -power), power


def _unscaled(value: float, power: int) -> float:
    with np.errstate(over="ignore"):  # the sd of the largest floats is beyond them: inf
        return float(np.ldexp(value, power))


def _mean(x: np.ndarray) -> float:
    """Mean with one rounding of the sum, whatever the order, and never outside of the values: exact for constants."""
    return min(max(math.fsum(x) / x.size, float(x.min())), float(x.max()))


def _variation(x: np.ndarray, code: np.ndarray) -> tuple[tuple, tuple, tuple]:
    """`_moments` of (n,) finite numbers, of the means of their entities and of x - entity mean + mean."""
    if not x.size:
        return (_moments(x),) * 3
    overall = _moments(x)
    x, power = _scaled(x)
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    means = np.array([_mean(group) for group in np.split(x[order], starts[1:])])
    entity = np.searchsorted(code[order][starts], code)
    within = x - means[entity] + _mean(x)
    between, within = (
        (n, *(_unscaled(value, power) for value in rest)) for n, *rest in (_moments(means), _moments(within))
    )
    return overall, between, within
