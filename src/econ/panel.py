"""The (province, year) table: inequality joined with what explains it, and what did not match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from econ.errors import BadInputError
from econ.frames import NAMED, codes, refuse_duplicates, require_columns


@dataclass(frozen=True, eq=False)
class Panel:
    """A checked panel and the account of how it was made.

    Parameters
    ----------
    data : DataFrame
        One row an (entity, time) that both tables have, sorted by them.
    entity, time : str
        The key columns.
    only_inequality, only_controls : DataFrame
        Keys that one of the two tables has and the other has not.
    gaps : dict of entity to tuple of times
        Times inside the span of the panel in which an entity has no row.
    """

    data: pd.DataFrame
    entity: str
    time: str
    only_inequality: pd.DataFrame
    only_controls: pd.DataFrame
    gaps: dict[object, tuple]

    def report(self) -> str:
        """What matched, what did not, and where the gaps are, in a few lines."""
        n_entity, n_time = self.data[self.entity].nunique(), self.data[self.time].nunique()
        lines = [f"{len(self.data):,} rows matched: {n_entity:,} x {self.entity}, {n_time:,} x {self.time}"]
        for name, keys in (("inequality", self.only_inequality), ("controls", self.only_controls)):
            if len(keys):
                first = "; ".join(f"{a}, {b}" for a, b in keys.head(NAMED).itertuples(index=False))
                lines.append(f"{len(keys):,} rows only in {name}, left out: {first}{' ...' * (len(keys) > NAMED)}")
        for entity, times in self.gaps.items():
            lines.append(f"{entity} has no row in {', '.join(map(str, times))}")
        return "\n".join(lines)


def join_panel(inequality: pd.DataFrame, controls: pd.DataFrame, entity: str = "province", time: str = "year") -> Panel:
    """Join two tables on (`entity`, `time`) and keep the rows that both have.

    Raises
    ------
    MissingColumnError, BadInputError
        A key column that is not there or empty in a row; a key given twice; another column that both tables have;
        tables that share no key at all, with the nearest names.
    """
    keys = [entity, time]
    tables = {"the table of inequality": inequality, "the table of controls": controls}
    for name, table in tables.items():
        require_columns(table, keys, name)
        if table.empty:
            raise BadInputError(f"{name} has no rows: expected one for each ({entity}, {time}).")
        for key in keys:
            codes(table, key)
        refuse_duplicates(table, keys, name)
    shared = [column for column in inequality.columns if column in controls.columns and column not in keys]
    if shared:
        raise BadInputError(
            f"both tables have the column {', '.join(map(repr, shared))}: rename or drop it in one of them first."
        )
    left, right = (pd.MultiIndex.from_frame(table[keys]) for table in tables.values())
    if not left.isin(right).any():
        raise BadInputError(_nothing_shared(inequality, controls, keys))
    data = inequality.merge(controls, on=keys, how="inner", validate="1:1").sort_values(keys, ignore_index=True)
    return Panel(
        data=data,
        entity=entity,
        time=time,
        only_inequality=inequality.loc[~left.isin(right), keys].reset_index(drop=True),
        only_controls=controls.loc[~right.isin(left), keys].reset_index(drop=True),
        gaps=_gaps(data, entity, time),
    )


def _gaps(data: pd.DataFrame, entity: str, time: str) -> dict[object, tuple]:
    """Times of the panel in which an entity has no row, for the entities that have any."""
    times = sorted(data[time].unique())
    there = data.groupby(entity, observed=True)[time].agg(set)
    missing = {name: tuple(t for t in times if t not in seen) for name, seen in there.items()}
    return {name: absent for name, absent in missing.items() if absent}


def _nothing_shared(inequality: pd.DataFrame, controls: pd.DataFrame, keys: Sequence[str]) -> str:
    for key in keys:
        ours, theirs = inequality[key].unique(), controls[key].unique()
        if not set(ours) & set(theirs):
            near = get_close_matches(str(ours[0]), [str(name) for name in theirs], n=1, cutoff=0.0)
            return (
                f"no {key} is in both tables: {ours[0]!r} in inequality, nearest {near[0]!r} in controls; "
                f"expected the same names of the same type; bring them to one spelling."
            )
    return f"no ({', '.join(keys)}) is in both tables although each key is: check that they cover the same periods."
