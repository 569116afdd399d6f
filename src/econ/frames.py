"""Tables as they come from outside: read, checked column by column, written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from econ.errors import BadInputError, MissingColumnError, ResourceError, UsageError

# Offenders named in one message; more would hide the sentence that explains them.
NAMED = 3

# What pandas takes for a missing number.  In columns of names only the empty cell is missing: "NA" is Naples.
MISSING_MARKS = ["", "#N/A", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "n/a", "<NA>", "-nan", "-NaN"]

READERS = (".csv", ".parquet")


# --- columns ------------------------------------------------------------------------------------------------------


def require_columns(table: pd.DataFrame, names: Iterable[str], table_name: str = "the table") -> None:
    """Raise MissingColumnError for the first of `names` that `table` lacks, with the nearest name that it has."""
    there = [str(column) for column in table.columns]
    repeated = sorted({column for column in there if there.count(column) > 1})
    for name in names:
        if name in repeated:
            raise BadInputError(f"column {name!r} stands more than once in {table_name}: rename or drop one of them.")
        if name not in table.columns:
            near = get_close_matches(str(name), there, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else "name one of these."
            raise MissingColumnError(
                f"there is no column {name!r} in {table_name}; its columns are {', '.join(there) or 'none'}: {hint}"
            )


def numeric(table: pd.DataFrame, column: str, keys: Sequence[str] = ()) -> np.ndarray:
    """(n,) float64 of one column, missing as NaN; text and infinity are refused, `keys` say where they stand."""
    series = table[column]
    if not (pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)):
        if pd.api.types.is_datetime64_any_dtype(series):
            raise BadInputError(f"column {column!r} holds dates, expected numbers: convert it first.")
        parsed = pd.to_numeric(series.astype(object), errors="coerce")
        text = (parsed.isna() & series.notna()).to_numpy()
        if text.any():
            first = series.to_numpy(dtype=object)[text][0]
            raise BadInputError(
                f"column {column!r} holds text in {text.sum():,} of {len(series):,} rows, first {first!r} "
                f"({offenders(table, text, keys)}): expected numbers; correct them or leave the cells empty."
            )
        series = parsed
    values = series.to_numpy(dtype=float, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        raise BadInputError(
            f"column {column!r} is infinite in {infinite.sum():,} of {len(values):,} rows "
            f"({offenders(table, infinite, keys)}): expected finite numbers; correct them or leave the cells empty."
        )
    return values


def codes(table: pd.DataFrame, column: str) -> tuple[np.ndarray, pd.Index]:
    """(n,) integer codes 0.. of a column of names or dates, and its sorted levels; missing names are refused."""
    series = table[column]
    missing = series.isna().to_numpy()
    if missing.any():
        raise BadInputError(
            f"column {column!r} is empty in {missing.sum():,} of {len(series):,} rows "
            f"({offenders(table, missing)}): every row needs one; fill it in or leave these rows out."
        )
    kinds = sorted({type(value).__name__ for value in series}) if series.dtype == object else []
    if len(kinds) > 1:
        raise BadInputError(
            f"column {column!r} mixes {' and '.join(kinds)}: expected names of one kind, 1 is not '1'; convert it."
        )
    code, levels = pd.factorize(series, sort=True)
    return code, pd.Index(levels)


def refuse_duplicates(table: pd.DataFrame, keys: Sequence[str], table_name: str = "the table") -> None:
    """Raise BadInputError where two rows of `table` share all `keys`, and name the first of them."""
    repeated = table.duplicated(list(keys)).to_numpy()
    if repeated.any():
        raise BadInputError(
            f"({', '.join(keys)}) occurs more than once in {table_name} for {repeated.sum():,} rows "
            f"({offenders(table, repeated, keys)}): expected one row each; drop or aggregate the others."
        )


def offenders(table: pd.DataFrame, mask: np.ndarray, keys: Sequence[str] = ()) -> str:
    """The first rows in `mask`, by their keys where there are any, else by their position from 1."""
    rows = np.flatnonzero(mask)
    shown = rows[:NAMED]
    if keys:
        named = [", ".join(f"{key} {table[key].iloc[row]}" for key in keys) for row in shown]
    else:
        named = [f"row {row + 1:,}" for row in shown]
    return "; ".join(named) + (f" and {rows.size - NAMED:,} more" if rows.size > NAMED else "")


# --- files --------------------------------------------------------------------------------------------------------


def read_table(path: Path, names: Sequence[str | None] = ()) -> pd.DataFrame:
    """Read .csv (UTF-8) or .parquet; columns in `names` are text, so that a code "007" keeps its zeros."""
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise BadInputError(f"{path} does not end in {' or '.join(READERS)}: convert it, or rename it if it is one.")
    if not path.is_file():
        raise BadInputError(f"there is no file {path}: check the path.")
    try:
        table = pd.read_parquet(path) if suffix == ".parquet" else _read_csv(path, names)
    except UnicodeDecodeError:
        raise BadInputError(f"{path} is not UTF-8: save it as UTF-8 and try again.") from None
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parsing errors are ValueErrors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInputError(f"{path} cannot be read as {suffix[1:]} ({reason}): write it anew.") from None
    if table.empty:
        raise BadInputError(f"{path} holds no rows: expected a header and one row for each observation.")
    return table


def _read_csv(path: Path, names: Sequence[str | None]) -> pd.DataFrame:
    header = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns)
    return pd.read_csv(
        path,
        encoding="utf-8-sig",
        keep_default_na=False,
        na_values={column: [""] if column in names else MISSING_MARKS for column in header},
        dtype={column: str for column in header if column in names},
    )


def read_crosswalk(path: Path) -> pd.DataFrame:
    """Read a .csv of units and where they belong; every column is text."""
    table = read_table(path)
    return read_table(path, list(table.columns)) if path.suffix.lower() == ".csv" else table.astype(str)


def add_crosswalk(table: pd.DataFrame, crosswalk: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Add to every row of `table` what `crosswalk` says of its unit.

    The first column of `crosswalk` names the unit and is compared as text with the column `unit`, never by likeness.

    Raises
    ------
    MissingColumnError, BadInputError
        No column `unit`; a unit that the crosswalk names twice or does not name; a column that is there already.
    """
    require_columns(table, [unit])
    key, *added = crosswalk.columns
    refuse_duplicates(crosswalk, [key], "the crosswalk")
    there = [column for column in added if column in table.columns]
    if there or not added:
        what = f"the table has the column {there[0]!r} already" if there else "the crosswalk has one column only"
        raise BadInputError(
            f"{what}: expected a crosswalk of the unit and of columns that are new; rename or drop one."
        )
    units = table[unit].astype(str)
    unknown = ~units.isin(crosswalk[key].astype(str)).to_numpy()
    if unknown.any():
        raise BadInputError(
            f"the crosswalk does not name {units[unknown].nunique():,} of the {units.nunique():,} units, first "
            f"{units[unknown].iloc[0]!r}; it names units like {crosswalk[key].iloc[0]!r} in column {key!r}: add them."
        )
    places = crosswalk.set_index(crosswalk[key].astype(str))[added]
    return pd.concat([table, places.loc[units].set_axis(table.index)], axis=1)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write .csv or .parquet by the ending of `path`; the file appears whole or not at all."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        write_bytes(table.to_csv(index=False).encode(), path)
    elif suffix == ".parquet":
        write_bytes(table.to_parquet(index=False), path)
    else:
        raise UsageError(f"cannot write {path}: give a name that ends in {' or '.join(READERS)}.")


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file that appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        short = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = ResourceError if short else BadInputError
        advice = "free some space" if short else "check that the folder is there and can be written"
        raise kind(f"cannot write {path} ({error.strerror}): {advice}.") from None
    finally:
        draft.unlink(missing_ok=True)
