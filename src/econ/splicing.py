"""Two index series with different base years become one, by the years that both have.

The marketisation indices of Chinese provinces, for instance, were published for 1997-2009 and anew, on another base,
for 2008-2014; the study needs 2000-2013 and does not say how it joined them (docs/decisions/0023-splice.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import NAMED, codes, numeric, refuse_duplicates, require_columns, whole_years

SPLICES = ("ratio", "difference", "regression")


@dataclass(frozen=True, eq=False)
class Splice:
    """One series made of two, and how.

    Parameters
    ----------
    data : DataFrame
        entity, time, value, source: "base" as given, "converted" from the other series; sorted.
    factors : DataFrame
        One row an entity (or one for all): n (years in common), slope, intercept of converted = intercept + slope x
        other, and max_gap, the largest |converted - base| in the years in common.
    method, scope : str
        As given.
    overlap : tuple of int
        Years that the factors come from.
    unspliced : tuple
        Entities that one of the two series lacks; their rows of `base` are kept, those of `other` are not in `data`.
    """

    data: pd.DataFrame
    factors: pd.DataFrame
    method: str
    scope: str
    overlap: tuple[int, ...]
    unspliced: tuple[object, ...]

    def report(self) -> str:
        """Method, years in common, factors and the largest gap, in a few lines."""
        count = self.data["source"].value_counts()
        lines = [
            f"spliced by {self.method} over {', '.join(map(str, self.overlap))}, factors by {self.scope}: "
            f"{count.get('base', 0):,} rows as given, {count.get('converted', 0):,} converted",
            "converted = intercept + slope x other: "
            + ", ".join(
                f"{key} {self.factors[key].min():.6g} to {self.factors[key].max():.6g}"
                for key in ("slope", "intercept")
            )
            + f"; largest gap in the years in common {self.factors['max_gap'].max():.4g}",
        ]
        if self.unspliced:
            lines.append(
                f"{len(self.unspliced):,} in one series only, not spliced: "
                + ", ".join(map(str, self.unspliced[:NAMED]))
                + " ..." * (len(self.unspliced) > NAMED)
            )
        return "\n".join(lines)


def splice(
    base: pd.DataFrame,
    other: pd.DataFrame,
    method: str,
    overlap: Sequence[int],
    scope: str = "entity",
    value: str = "index",
    entity: str = "province",
    time: str = "year",
) -> Splice:
    """Bring `other` onto the scale of `base` by the years that both have, and join them; `base` stands where both are.

    Parameters
    ----------
    base, other : DataFrame
        One row an (entity, time) with `value`; e.g. the marketisation indices of 2008-2014 and of 1997-2009.
    method : "ratio", "difference" or "regression"
        converted = other x (mean of base / mean of other); other + (mean of base - mean of other); or the least-squares
        line of base on other.  Means are over `overlap`.
    overlap : sequence of int
        Years that the factors come from; every entity that both series have must have a value in all of them.
    scope : "entity" or "common"
        One factor an entity, or one for all.  A line needs three years for each entity, or scope="common".
    value, entity, time : str
        Columns of both tables.

    Raises
    ------
    UsageError
        An unknown method or scope; no overlap; a line by entity from fewer than three years.
    MissingColumnError, BadInputError
        A column that is not there; text; a key given twice; years of `overlap` that a series lacks; no entity in both;
        a ratio of means that are not positive; a line through equal values.
    """
    if method not in SPLICES:
        raise UsageError(f"there is no method {method!r}: choose among {', '.join(SPLICES)}.")
    if scope not in ("entity", "common"):
        raise UsageError(f"there is no scope {scope!r}: say 'entity' or 'common'.")
    years = tuple(sorted({int(year) for year in overlap}))
    if not years:
        raise UsageError("no overlap was given: name the years in which both series are compared.")
    if method == "regression" and scope == "entity" and len(years) < 3:
        raise UsageError(f"a line by entity needs 3 years, found {len(years)}: name more, or say scope='common'.")
    series = {}
    for name, table in (("base", base), ("other", other)):
        require_columns(table, [entity, time, value], f"the series {name!r}")
        refuse_duplicates(table, [entity, time], f"the series {name!r}")
        codes(table, entity)
        index = pd.MultiIndex.from_arrays(
            [table[entity], whole_years(table, time, f"the series {name!r}")], names=[entity, time]
        )
        series[name] = pd.Series(numeric(table, value, [entity, time]), index).dropna()
    entities = {name: set(one.index.get_level_values(0)) for name, one in series.items()}
    shared = sorted(entities["base"] & entities["other"])
    if not shared:
        raise BadInputError(f"no {entity} is in both series: bring the names to one spelling with `econ.standardise`.")
    common = pd.MultiIndex.from_product([shared, years], names=[entity, time])
    absent = [f"{e} {t} in {name}" for name, one in series.items() for e, t in common.difference(one.index)]
    if absent:
        raise BadInputError(
            f"the overlap {', '.join(map(str, years))} is not complete, missing are {', '.join(absent[:NAMED])}"
            f"{f' and {len(absent) - NAMED:,} more' if len(absent) > NAMED else ''}: name years that both series have."
        )
    x, y = (series[name].loc[common].to_numpy().reshape(len(shared), len(years)) for name in ("other", "base"))
    if scope == "common":
        x, y = x.reshape(1, -1), y.reshape(1, -1)
    slope, intercept = _line(x, y, method, shared if scope == "entity" else ["all"])
    gap = np.abs(intercept[:, None] + slope[:, None] * x - y).max(axis=1)
    factors = pd.DataFrame(
        {
            entity: shared if scope == "entity" else ["all"],
            "n": x.shape[1],
            "slope": slope,
            "intercept": intercept,
            "max_gap": gap,
        }
    )
    rest = series["other"][~series["other"].index.isin(series["base"].index)]
    rest = rest[rest.index.get_level_values(0).isin(shared)]
    at = np.array(
        [shared.index(name) if scope == "entity" else 0 for name in rest.index.get_level_values(0)], dtype=int
    )
    parts = [
        series["base"].rename(value).reset_index().assign(source="base"),
        (intercept[at] + slope[at] * rest).rename(value).reset_index().assign(source="converted"),
    ]
    data = pd.concat([part for part in parts if len(part)]).sort_values([entity, time], ignore_index=True)
    return Splice(data, factors, method, scope, years, tuple(sorted(entities["base"] ^ entities["other"])))


def _line(x: np.ndarray, y: np.ndarray, method: str, names: Sequence[object]) -> tuple[np.ndarray, np.ndarray]:
    """(series, year) values in common -> (series,) slope and intercept of base on other."""
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    if method == "difference":
        return np.ones(len(x)), mean_y - mean_x
    if method == "ratio":
        bad = (mean_x <= 0) | (mean_y <= 0)
        if bad.any():
            raise BadInputError(
                f"a ratio needs positive means, found {mean_y[bad][0]:g} / {mean_x[bad][0]:g} for "
                f"{names[int(np.flatnonzero(bad)[0])]}: use method='difference' or 'regression'."
            )
        return mean_y / mean_x, np.zeros(len(x))
    spread = ((x - mean_x[:, None]) ** 2).sum(axis=1)
    if (spread == 0).any():
        raise BadInputError(
            f"the other series does not vary in the years in common for {names[int(np.flatnonzero(spread == 0)[0])]}: "
            f"no line can be drawn; use method='ratio' or 'difference'."
        )
    slope = ((x - mean_x[:, None]) * (y - mean_y[:, None])).sum(axis=1) / spread
    return slope, mean_y - slope * mean_x
