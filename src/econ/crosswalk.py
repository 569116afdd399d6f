"""Units that stay the same over time: cities that were dissolved, merged, split or renamed.

China dissolves and renames prefectures every few years (Chaohu was divided among Hefei, Wuhu and Ma'anshan in 2011,
Xiangfan became Xiangyang in 2010), so a table by city and year is a panel only after each unit of each year has been
given to a unit that lasts.  Which goes where is the user's table; nothing here is guessed from names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import NAMED, codes, numeric, refuse_duplicates, require_columns, whole_years

# Shares of one unit in one year must sum to 1 this closely; they are divided by their sum, so totals are kept.
SHARE_TOLERANCE = 1e-9


def apply_crosswalk(
    city: pd.DataFrame,
    crosswalk: pd.DataFrame,
    sums: Sequence[str] = (),
    means: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    unit: str = "zone",
    time: str = "year",
) -> pd.DataFrame:
    """City table in stable units, those that a crosswalk makes of the units of each year.

    A unit is found by its name or code as text, exactly.  Sums are added up with one rounding (`math.fsum`), so the
    order of the rows does not matter.

    Parameters
    ----------
    city : DataFrame
        One row a (unit, time).
    crosswalk : DataFrame
        Columns unit, year_from, year_to, stable and, where units are split, share.  Both years are included; an empty
        one means without end.  `share` is the part of the unit that goes to `stable`; without the column it is 1.
    sums : sequence of str
        Columns of totals, such as the sum of light, area or population.
    means : mapping of str to str
        Columns of means, each with the column of its weights (cells, population); the weights are summed as well.
        The mean of a split unit is taken to be the same in all its parts.
    keep : sequence of str
        Columns that are the same for all units of a stable unit, such as the province.
    unit, time : str
        Key columns of `city`.

    Returns
    -------
    DataFrame
        stable, `time`, `keep`, `sums` with the weights, `means`, n_units; sorted.  NaN where a unit has no value, since
        a total of some of the parts is not the total; a mean whose unit has weight 0 does not matter.

    Raises
    ------
    MissingColumnError, BadInputError
        A crosswalk that contradicts itself (a year that ends before it begins, a unit that is in two places at once,
        shares that do not sum to 1); units or years of `city` that it does not cover; a stable unit that in some year
        has some of its units in `city` and not the others; a (unit, time) given twice; text in numbers.
    UsageError
        Neither `sums` nor `means`.
    """
    means = dict(means or {})
    totals = list(dict.fromkeys([*sums, *means.values()]))
    if not totals:
        raise UsageError(
            "there is nothing to aggregate: name columns in sums= (--sums), or means= (--means) with their weights."
        )
    require_columns(city, [unit, time, *totals, *means, *keep], "the city table")
    refuse_duplicates(city, [unit, time], "the city table")
    codes(city, unit)
    years = whole_years(city, time, "the city table")
    numbers = {column: numeric(city, column, [unit, time]) for column in (*totals, *means)}
    for column in dict.fromkeys(means.values()):
        if (numbers[column] < 0).any():
            raise BadInputError(f"column {column!r} holds negative weights: expected 0 or more.")

    parts = _checked(crosswalk)
    rows = pd.DataFrame({"unit": city[unit].astype(str).to_numpy(), "year": years, "row": np.arange(len(city))})
    joined = rows.merge(parts, on="unit", how="left")
    joined = joined[(joined["year_from"] <= joined["year"]) & (joined["year"] <= joined["year_to"])]
    _refuse_uncovered(rows, joined, parts)
    _refuse_incomplete(rows, parts, set(joined["stable"]))

    at = joined["row"].to_numpy()
    share = (joined["share"] / joined.groupby("row")["share"].transform("sum")).to_numpy()
    parts_of = {column: numbers[column][at] * share for column in totals}
    for column, weight in means.items():
        products = numbers[column][at] * parts_of[weight]
        # a unit that was never observed has no mean and weight 0
        parts_of[f"mean of {column}"] = np.where(parts_of[weight] == 0, 0, products)
    groups = joined.assign(**{key: city[key].to_numpy()[at] for key in keep}, **parts_of).groupby(["stable", "year"])
    out = groups.size().rename("n_units").reset_index()
    for key in keep:
        several = groups[key].nunique(dropna=False).to_numpy() > 1
        if several.any():
            where = out[several].iloc[0]
            raise BadInputError(
                f"column {key!r} differs within {several.sum():,} stable units and years, first {where['stable']} in "
                f"{where['year']}: keep= is for what their units have in common; correct it or leave it out."
            )
        out[key] = groups[key].first().to_numpy()
    for column in totals:
        out[column] = groups[column].agg(math.fsum).to_numpy()
    for column, weight in means.items():
        sums_of = groups[f"mean of {column}"].agg(math.fsum).to_numpy()
        with np.errstate(invalid="ignore"):  # 0/0 is a stable unit without weight, NaN as meant
            out[column] = sums_of / out[weight].to_numpy()
    return out[["stable", "year", *keep, *totals, *means, "n_units"]].rename(columns={"year": time})


def _checked(crosswalk: pd.DataFrame) -> pd.DataFrame:
    """unit, stable, year_from, year_to (open ends infinite), share; what contradicts itself is refused."""
    named = "the crosswalk"
    require_columns(crosswalk, ["unit", "year_from", "year_to", "stable"], named)
    if crosswalk.empty:
        raise BadInputError("the crosswalk has no rows: expected one for each unit and span of years.")
    for column in ("unit", "stable"):
        codes(crosswalk, column)
    begin, end = (numeric(crosswalk, column, ["unit"]) for column in ("year_from", "year_to"))
    parts = pd.DataFrame(
        {
            "unit": crosswalk["unit"].astype(str).to_numpy(),
            "stable": crosswalk["stable"].astype(str).to_numpy(),
            "year_from": np.where(np.isnan(begin), -np.inf, begin),
            "year_to": np.where(np.isnan(end), np.inf, end),
            "share": 1.0,
        }
    )
    if "share" in crosswalk:
        share = numeric(crosswalk, "share", ["unit"])
        share = np.where(np.isnan(share), 1.0, share)  # a unit that was not split
        outside = ~((share > 0) & (share <= 1))
        if outside.any():
            raise BadInputError(
                f"shares of the crosswalk are outside (0, 1] in {_listed(parts['unit'][outside])}: "
                f"expected a part of the unit; leave a part of 0 out."
            )
        parts["share"] = share
    backwards = (parts["year_from"] > parts["year_to"]).to_numpy()
    if backwards.any():
        raise BadInputError(f"spans of the crosswalk end before they begin: {_listed(parts['unit'][backwards])}.")

    clashes, unequal = [], []
    for name, spans in parts.groupby("unit"):
        # what holds of a unit can change only where a span begins or the year after one ends
        turns = {*spans["year_from"], *(spans["year_to"] + 1)} - {np.inf}
        for turn in sorted(turns):
            now = spans[(spans["year_from"] <= turn) & (turn <= spans["year_to"])]
            when = f"{name} in {turn:.0f}" if np.isfinite(turn) else name
            if now["stable"].duplicated().any() or ("share" not in crosswalk and len(now) > 1):
                clashes.append(f"{when} ({', '.join(now['stable'])})")
            elif len(now) and abs(now["share"].sum() - 1) > SHARE_TOLERANCE:
                unequal.append(f"{when} ({now['share'].sum():g})")
    if clashes:
        raise BadInputError(
            f"the crosswalk puts units in two places at once: {_listed(clashes)}; end one span before the next begins, "
            f"or say in a column share how the unit is split."
        )
    if unequal:
        raise BadInputError(f"shares of the crosswalk do not sum to 1: {_listed(unequal)}; name all parts of a unit.")
    return parts


def _refuse_uncovered(rows: pd.DataFrame, joined: pd.DataFrame, parts: pd.DataFrame) -> None:
    uncovered = rows[~rows["row"].isin(joined["row"])]
    unknown = uncovered.loc[~uncovered["unit"].isin(parts["unit"]), "unit"].unique()
    if unknown.size:
        raise BadInputError(
            f"the crosswalk does not name {unknown.size:,} units of the table: {_listed(unknown)}; add them, under "
            f"their own name if nothing happened to them."
        )
    if len(uncovered):
        gaps = [f"{name} in {year}" for name, year in uncovered[["unit", "year"]].itertuples(index=False)]
        raise BadInputError(f"the crosswalk has gaps where the table has rows: {_listed(gaps)}; widen its spans.")


def _refuse_incomplete(rows: pd.DataFrame, parts: pd.DataFrame, wanted: set[str]) -> None:
    """A stable unit that lacks a unit in some year would lose light without a word."""
    there = set(zip(rows["unit"], rows["year"], strict=True))
    parts = parts[parts["stable"].isin(wanted)]
    years = rows.loc[rows["unit"].isin(parts["unit"]), "year"].unique()
    absent = [
        f"{part.unit} in {year} (part of {part.stable})"
        for part in parts.itertuples()
        for year in sorted(years)
        if part.year_from <= year <= part.year_to and (part.unit, year) not in there
    ]
    if absent:
        raise BadInputError(
            f"the table lacks units that the crosswalk counts in: {_listed(absent)}; add their rows, or end their span."
        )


def _listed(items: Iterable[object]) -> str:
    items = list(dict.fromkeys(str(item) for item in items))
    return ", ".join(items[:NAMED]) + (f" and {len(items) - NAMED:,} more" if len(items) > NAMED else "")
