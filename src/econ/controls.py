"""Control variables of a regional regression: schooling, ratios, densities, min-max standardisation.

Market segmentation is in `econ.markets`, the splicing of index series in `econ.splicing`.  What the papers leave
open is an argument; docs/decisions/0022-schooling.md and 0024-minmax.md say what stands as its default and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import numeric, offenders, require_columns

# Years of schooling of each level.  "tertiary16": 16 for college, bachelor and graduate alike; "college15": 15 for
# three-year colleges (大专), 16 for bachelors, 19 for graduates.  Both: none 0, primary 6, junior 9, senior 12.
CONVENTIONS: dict[str, dict[str, float]] = {
    "tertiary16": {"none": 0, "primary": 6, "junior": 9, "senior": 12, "college": 16, "bachelor": 16, "graduate": 16},
    "college15": {"none": 0, "primary": 6, "junior": 9, "senior": 12, "college": 15, "bachelor": 16, "graduate": 19},
}
TERTIARY = ("college", "bachelor", "graduate")

# What a row sums to, by what it holds.  Seven percentages rounded to one decimal sum to 100 within 0.35.
TOTALS = {"shares": 1.0, "percent": 100.0, "counts": None}
SHARE_TOLERANCE = 0.005

# Units that are the same but for a factor: [km], [km2].
LENGTHS = {"km": 1.0, "m": 1e-3}
AREAS = {"km2": 1.0, "ha": 1e-2, "m2": 1e-6}


# --- schooling ----------------------------------------------------------------------------------------------------


def schooling(
    table: pd.DataFrame,
    kind: str,
    convention: str = "tertiary16",
    columns: Mapping[str, str] | None = None,
    keys: Sequence[str] = (),
    tolerance: float = SHARE_TOLERANCE,
) -> pd.DataFrame:
    """Mean years of schooling of the people counted (the study: aged 6 and over).

    Parameters
    ----------
    table : DataFrame
        Shares or numbers of people by level of education, one row e.g. a province and year.
    kind : "shares", "percent" or "counts"
        Shares must sum to 1, percentages to 100, within `tolerance` of the whole; numbers of people are not checked.
    convention : str
        One of `CONVENTIONS`: "tertiary16" counts 16 years for all tertiary education, "college15" 15 for college, 16
        for bachelor and 19 for graduate studies; both 0 for none, 6 primary, 9 junior, 12 senior.
    columns : mapping of str to str
        Level -> column of `table`, for columns that are not named as their level.  Under "tertiary16" one level
        "tertiary" may stand for college, bachelor and graduate.
    keys : sequence of str
        Columns that say in messages which row is meant, and that are returned with the result.
    tolerance : float
        Largest |sum of shares - 1|; the mean is taken over their sum.

    Returns
    -------
    DataFrame
        `keys`, schooling [years], total (sum of the levels, as in the table), reason (empty, or why NaN).

    Raises
    ------
    UsageError
        An unknown kind, convention or level; "tertiary" beside its parts, or under "college15", which has to split it.
    MissingColumnError, BadInputError
        A column that is not there; text or negative numbers; shares that do not sum to the whole, with their sums.
    """
    if kind not in TOTALS:
        raise UsageError(f"there is no kind {kind!r}: say {', '.join(TOTALS)}.")
    if convention not in CONVENTIONS:
        raise UsageError(f"there is no convention {convention!r}: choose among {', '.join(CONVENTIONS)}.")
    years_of = dict(CONVENTIONS[convention])
    if convention == "tertiary16":
        years_of["tertiary"] = years_of["bachelor"]
    columns = _levels(table, years_of, columns or {})
    require_columns(table, [*columns.values(), *keys])
    people = np.stack([numeric(table, column, keys) for column in columns.values()], axis=1)
    negative = (people < 0).any(axis=1)
    if negative.any():
        raise BadInputError(
            f"numbers of people are negative in {negative.sum():,} of {len(table):,} rows "
            f"({offenders(table, negative, keys)}): expected 0 or more."
        )
    total = people.sum(axis=1)
    whole = TOTALS[kind]
    if whole is not None:
        off = np.abs(total - whole) > tolerance * whole  # False for NaN: a missing level is a reason, not an error
        if off.any():
            raise BadInputError(
                f"{kind} of levels do not sum to {whole:g} within {tolerance * whole:g} in {off.sum():,} of "
                f"{len(table):,} rows ({offenders(table, off, keys)}), the first to {total[off][0]:.6g}: "
                f"name all levels, or say which kind they are."
            )
    with np.errstate(invalid="ignore"):  # 0/0 is a row without people, NaN as meant
        mean = people @ np.array([years_of[level] for level in columns]) / total
    missing = np.isnan(people)
    named = np.array(list(columns))
    reasons = [
        f"{', '.join(named[gone])} missing" if gone.any() else "" if there else "no people"
        for gone, there in zip(missing, total > 0, strict=True)
    ]
    return table[list(keys)].assign(schooling=mean, total=total, reason=reasons)


def _levels(table: pd.DataFrame, years_of: Mapping[str, float], given: Mapping[str, str]) -> dict[str, str]:
    """Level -> column: those given, and columns that are named as a level; every person counted once."""
    unknown = [level for level in given if level not in (*years_of, "tertiary")]
    if unknown:
        raise UsageError(f"there is no level {unknown[0]!r}: choose among {', '.join(years_of)}.")
    parts = [level for level in TERTIARY if level in given]
    if "tertiary" in given and parts:
        raise UsageError(f"'tertiary' includes {parts[0]!r}: name the one or its parts, or people count twice.")
    by_name = {level: level for level in (*years_of, "tertiary") if level in table.columns}
    one_column = "tertiary" in given or ("tertiary" in by_name and not parts and not set(TERTIARY) & set(by_name))
    if one_column and "tertiary" not in years_of:
        raise UsageError("convention 'college15' needs college, bachelor and graduate apart: 'tertiary' is their sum.")
    wanted = ("none", "primary", "junior", "senior", *(("tertiary",) if one_column else TERTIARY))
    columns = {level: given.get(level, by_name.get(level)) for level in wanted}
    absent = [level for level, column in columns.items() if column is None]
    if absent:
        raise BadInputError(
            f"the level {absent[0]!r} has no column: expected none, primary, junior, senior and either tertiary or "
            f"college, bachelor and graduate, named so or in columns=; give zeros where there are no such people."
        )
    return columns


# --- ratios and densities -----------------------------------------------------------------------------------------


def ratio(
    table: pd.DataFrame,
    numerator: str | Sequence[str],
    denominator: str,
    name: str = "ratio",
    unit: str = "",
    per: str = "",
    rate: str | None = None,
    keys: Sequence[str] = (),
) -> pd.DataFrame:
    """A ratio of two columns, with its unit, and why it is missing where it is.

    Parameters
    ----------
    numerator : str or sequence of str
        Column or columns, which are added: deposits and loans.
    denominator : str
        Column, >= 0.
    name : str
        Column of the result.
    unit, per : str
        Units of numerator and denominator, a power of ten and a name: "10000 USD", "100000000 yuan".  Give both or
        none; factors are taken out, so that the result is in USD per yuan, or a pure number where the names are equal.
    rate : str
        Column that converts the numerator, in units of the denominator per unit of the numerator (yuan per USD).
    keys : sequence of str
        Columns that say in messages which row is meant, and that are returned with the result.

    Returns
    -------
    DataFrame
        `keys`, `name`, reason; indexed as `table`.  `.attrs["unit"]` is the unit of the result, "1" for a pure number,
        empty where none was given.

    Raises
    ------
    UsageError
        One unit without the other; a unit that cannot be read; a rate between equal units.
    MissingColumnError, BadInputError
        A column that is not there; text; a negative denominator or rate.
    """
    if bool(unit) != bool(per):
        raise UsageError("the unit of one side alone says nothing: give both unit= and per=, or none.")
    factor, result_unit = 1.0, ""
    if unit:
        (above, unit_above), (below, unit_below) = _unit(unit), _unit(per)
        if rate and unit_above == unit_below:
            raise UsageError(f"numerator and denominator are both in {unit_above}: leave rate= out.")
        factor = above / below
        result_unit = "1" if rate or unit_above == unit_below else f"{unit_above} per {unit_below}"
    out = _quotient(table, numerator, denominator, name, factor, rate, keys)
    out.attrs["unit"] = result_unit
    return out


def density(
    table: pd.DataFrame,
    quantity: str | Sequence[str],
    area: str,
    name: str = "density",
    unit: str = "km",
    area_unit: str = "km2",
    per: float = 100,
    keys: Sequence[str] = (),
) -> pd.DataFrame:
    """A quantity per area: km of road and rail per 100 km2.

    Parameters
    ----------
    quantity : str or sequence of str
        Column or columns of one unit, >= 0, which are added: roads and rails.
    area : str
        Column of the area.
    name : str
        Column of the result.
    unit, area_unit : str
        Units of the columns, a power of ten and a name: "10000 km" (万公里), "10000 km2" (万平方公里).  Lengths in m
        become km; areas may be in km2, ha or m2.
    per : float
        Area of the result [km2].
    keys : sequence of str
        Columns that say in messages which row is meant, and that are returned with the result.

    Returns
    -------
    DataFrame
        `keys`, `name`, reason; indexed as `table`.  `.attrs["unit"]` is e.g. "km per 100 km2".

    Raises
    ------
    UsageError
        A unit that cannot be read, or is no area; `per` that is not positive.
    MissingColumnError, BadInputError
        A column that is not there; text; negative numbers.
    """
    if not per > 0:
        raise UsageError(f"expected a positive area in per=, found {per:g}.")
    (above, unit_above), (below, unit_below) = _unit(unit), _unit(area_unit)
    if unit_below not in AREAS:
        raise UsageError(f"{area_unit!r} is no area: expected {', '.join(AREAS)}, or a power of ten of one of them.")
    if unit_above in LENGTHS:
        above, unit_above = above * LENGTHS[unit_above], "km"
    quantities = [quantity] if isinstance(quantity, str) else list(quantity)
    require_columns(table, [*quantities, *keys])
    for column in quantities:
        negative = numeric(table, column, keys) < 0
        if negative.any():
            raise BadInputError(
                f"column {column!r} is negative in {negative.sum():,} of {len(table):,} rows "
                f"({offenders(table, negative, keys)}): expected 0 or more."
            )
    out = _quotient(table, quantities, area, name, above * per / (below * AREAS[unit_below]), None, keys)
    out.attrs["unit"] = f"{unit_above} per {'' if per == 1 else f'{per:g} '}km2"
    return out


def _quotient(
    table: pd.DataFrame,
    numerator: str | Sequence[str],
    denominator: str,
    name: str,
    factor: float,
    rate: str | None,
    keys: Sequence[str],
) -> pd.DataFrame:
    above = [numerator] if isinstance(numerator, str) else list(numerator)
    used = [*above, denominator, *([rate] if rate else [])]
    require_columns(table, [*used, *keys])
    if name in (*keys, "reason"):
        raise UsageError(f"the result cannot be called {name!r}, which is another column of it: name it otherwise.")
    values = {column: numeric(table, column, keys) for column in used}
    for column in used[len(above) :]:
        negative = values[column] < 0
        if negative.any():
            raise BadInputError(
                f"column {column!r} is negative in {negative.sum():,} of {len(table):,} rows "
                f"({offenders(table, negative, keys)}): expected a positive denominator."
            )
    zero = values[denominator] == 0
    with np.errstate(over="ignore"):  # too large for a number: NaN with the reason, below
        top = factor * sum(values[column] for column in above) * (values[rate] if rate else 1)
        result = np.divide(top, values[denominator], out=np.full(len(table), np.nan), where=~zero)
    beyond = np.isinf(result)
    result[beyond] = np.nan
    reasons = []
    for row in range(len(table)):
        says = [f"{column} missing" for column in dict.fromkeys(used) if np.isnan(values[column][row])]
        says += [f"{denominator} is 0"] * bool(zero[row]) + ["beyond the range of numbers"] * bool(beyond[row])
        reasons.append("; ".join(says))
    return table[list(keys)].assign(**{name: result, "reason": reasons})


def _unit(text: str) -> tuple[float, str]:
    """ "10000 km" -> (1e4, "km")."""
    found = re.fullmatch(r"\s*(?:(10*(?:\.0*)?|1e\d{1,2})\s+)?(\S.*?)\s*", text)
    if not found or found[2][0].isdigit():
        raise UsageError(f"cannot read the unit {text!r}: expected a name, after a power of ten if any: '10000 km'.")
    return float(found[1] or 1), found[2]


# --- standardisation ----------------------------------------------------------------------------------------------


def minmax(table: pd.DataFrame, column: str, bounds: tuple[float, float] | None = None) -> pd.Series:
    """(x - min) / (max - min) of one column, indexed as `table`; missing stays missing.

    Parameters
    ----------
    bounds : (min, max), optional
        Given bounds, such as those of the whole sample for a part of it; values outside them are below 0 or above 1.
        The default is those of the column.  `.attrs["bounds"]` tells which were used.

    Raises
    ------
    MissingColumnError, BadInputError
        No such column; text; a column that does not vary or is empty.
    UsageError
        Bounds that are not finite and ascending.
    """
    require_columns(table, [column])
    return _minmax(numeric(table, column), bounds, column, table.index)


def interaction(
    table: pd.DataFrame,
    first: str,
    second: str,
    standardise: str,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> pd.Series:
    """The product of two columns, min-max standardised in its components or as a whole.

    As long as both components and a constant (or fixed effects) are in the equation, all three choices span the same
    space: the t statistic of the interaction is the same to the last digit, its coefficient is not, and standardised
    components change the main effects and their t as well, which then hold at the minimum of the other component.

    Parameters
    ----------
    first, second : str
        Columns of `table`.
    standardise : "components", "product" or "none"
        Whether each column is taken to [0, 1] before they are multiplied, or the product is, or nothing.
    bounds : mapping of str to (min, max), optional
        By column, or under "product", the bounds of the product; see `minmax`.

    Returns
    -------
    Series
        Indexed as `table`, named first:second; `.attrs["bounds"]` tells the bounds used, by name.

    Raises
    ------
    UsageError, MissingColumnError, BadInputError
        An unknown `standardise`; bounds of a name that is not standardised; as in `minmax`.
    """
    name = f"{first}:{second}"
    standardised = {"components": (first, second), "product": (name, "product"), "none": ()}
    if standardise not in standardised:
        raise UsageError(f"standardise={standardise!r} is unknown: say 'components', 'product' or 'none'.")
    bounds = dict(bounds or {})
    stray = [key for key in bounds if key not in standardised[standardise]]
    if stray:
        raise UsageError(f"standardise={standardise!r} does not standardise {stray[0]!r}: leave its bounds out.")
    require_columns(table, [first, second])
    x, y = (pd.Series(numeric(table, column), table.index) for column in (first, second))
    used = {}
    if standardise == "components":
        x, y = (_minmax(c.to_numpy(), bounds.get(n), n, table.index) for c, n in ((x, first), (y, second)))
        used = {first: x.attrs["bounds"], second: y.attrs["bounds"]}
    product = pd.Series((x * y).to_numpy(), table.index, name=name)
    if standardise == "product":
        given = bounds.get("product", bounds.get(name))
        product = _minmax(product.to_numpy(), given, name, table.index)
        used = {name: product.attrs["bounds"]}
    product.attrs = {"bounds": used}
    return product


def _minmax(values: np.ndarray, bounds: tuple[float, float] | None, name: str, index: pd.Index) -> pd.Series:
    if bounds is None:
        if np.isnan(values).all():
            raise BadInputError(f"column {name!r} is empty: there is nothing to standardise.")
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low == high:
            raise BadInputError(f"column {name!r} is {low:g} in every row: a constant has no min-max scale.")
    else:
        low, high = (float(bound) for bound in bounds)
        if not (np.isfinite([low, high]).all() and low < high):
            raise UsageError(f"bounds of {name!r} are {low:g} and {high:g}: expected a minimum below a maximum.")
    half = 1.0 if np.isfinite(high - low) else 0.5  # a range may be beyond the range of numbers
    out = pd.Series((values * half - low * half) / (high * half - low * half), index, name=name)
    out.attrs["bounds"] = (low, high)
    return out
