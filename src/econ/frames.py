"""Tables as they come from outside: read, checked column by column, written whole or not at all."""

from __future__ import annotations

import codecs
import csv
import errno
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from econ.errors import BadInputError, DuplicateError, MissingColumnError, ResourceError, UsageError

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
            if str(name) in there:
                raise MissingColumnError(
                    f"column {name} of {table_name} is not named by text: rename the columns, as with "
                    f"table.rename(columns=str)."
                )
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
            kind = "text" if isinstance(first, str) else "what is no number"
            raise BadInputError(
                f"column {column!r} holds {kind} in {text.sum():,} of {len(series):,} rows, first {first!r} "
                f"({offenders(table, text, keys)}): expected numbers; correct them or leave the cells empty."
            )
        series = parsed
    if pd.api.types.is_complex_dtype(series):
        raise BadInputError(f"column {column!r} holds complex numbers, expected real ones: convert it first.")
    values = series.to_numpy(dtype=float, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        raise BadInputError(
            f"column {column!r} is infinite in {infinite.sum():,} of {len(values):,} rows "
            f"({offenders(table, infinite, keys)}): expected finite numbers; correct them or leave the cells empty."
        )
    return values


def whole_years(table: pd.DataFrame, column: str, table_name: str = "the table") -> np.ndarray:
    """(n,) int64 of a column of years; text, empty cells and parts of years are refused."""
    years = numeric(table, column)
    broken = np.isnan(years) | (years != np.floor(years))
    if broken.any():
        raise BadInputError(
            f"column {column!r} of {table_name} holds no whole year in {broken.sum():,} of {len(years):,} rows "
            f"({offenders(table, broken)}): expected one in every row."
        )
    return years.astype(np.int64)


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
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iu":
        code, levels = ranked(series.to_numpy())
    else:
        code, levels = pd.factorize(series, sort=True)
        _refuse_lookalikes(levels, column)
    return code, pd.Index(levels)


def _refuse_lookalikes(levels: Iterable[object], column: str) -> None:
    """Two names that differ in spaces, width (Ａ and A) or characters without a sign only are one name, mistyped."""
    names = [name for name in levels if isinstance(name, str)]
    odd = [name for name in names if not (name.isascii() and name.isprintable() and name == name.strip())]
    if not odd:
        return
    known = dict.fromkeys(names)
    for name in odd:
        plain = "".join(sign for sign in unicodedata.normalize("NFKC", name) if sign.isprintable()).strip()
        if plain != name and known.setdefault(plain, name) != name:
            raise BadInputError(
                f"column {column!r} holds {name!r} and {known[plain] or plain!r}, which look alike: expected one "
                f"spelling of one name; write them alike, or so that they can be told apart."
            )


def moments(table: pd.DataFrame, column: str) -> tuple[np.ndarray, pd.Index]:
    """As `codes`, of a column of periods: either all of them are numbers, or none is."""
    code, levels = codes(table, column)
    if len(levels) and isinstance(levels[0], str):
        text = pd.to_numeric(levels, errors="coerce").isna()
        if 0 < text.sum() < text.size:
            raise BadInputError(
                f"column {column!r} holds {levels[text][0]!r} beside numbers such as {levels[~text][0]!r}: expected "
                f"periods of one kind; correct it."
            )
    return code, levels


def refuse_negative(table: pd.DataFrame, column: str | None, numbers: np.ndarray, keys: Sequence[str]) -> None:
    """Raise BadInputError where `numbers`, which are those of `column`, are below zero; `keys` say where."""
    below = numbers < 0
    if below.any():
        raise BadInputError(
            f"column {column!r} is negative in {below.sum():,} of {below.size:,} rows "
            f"({offenders(table, below, keys)}): expected numbers >= 0; correct them."
        )


def refuse_taken(keys: Sequence[str], made: Sequence[str]) -> None:
    """Raise UsageError where two key columns of a result, or one and a column that is made, have one name."""
    taken = [key for place, key in enumerate(keys) if key in made or key in keys[:place]]
    if taken:
        raise UsageError(
            f"the result would have two columns {taken[0]!r}: expected names of keys that differ from each other and "
            f"from {', '.join(made)}; name another column, or rename that one."
        )


def ranked(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) places of integers among their sorted levels, and these; by a table of the range where that is short."""
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, -1)
    if high - low >= 4 * numbers.size or high > np.iinfo(np.int64).max:
        code, levels = pd.factorize(numbers, sort=True)
        return code, np.asarray(levels)
    offset = numbers.astype(np.int64, copy=False)  # differences of short integers may not fit them
    offset = offset if low == 0 else offset - low
    there = np.zeros(high - low + 1, bool)
    there[offset] = True
    code = offset if there.all() else (np.cumsum(there) - 1)[offset]
    return code, (np.flatnonzero(there) + low).astype(numbers.dtype)


def refuse_duplicates(table: pd.DataFrame, keys: Sequence[str], table_name: str = "the table") -> None:
    """Raise DuplicateError where two rows of `table` share all `keys`: the first in words, all of them as a table."""
    repeated = table.duplicated(list(keys)).to_numpy()
    if repeated.any():
        raise DuplicateError(
            f"({', '.join(keys)}) occurs more than once in {table_name} for {repeated.sum():,} rows "
            f"({offenders(table, repeated, keys)}): expected one row each; drop or aggregate the others.",
            duplicates(table, keys),
        )


def duplicates(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """All rows of `table` that share their `keys` with another, beside each other; `row` counts rows from 1."""
    shared = table.duplicated(list(keys), keep=False).to_numpy()
    found = table.loc[shared].assign(row=np.flatnonzero(shared) + 1)
    front = ["row", *keys]
    return found[[*front, *(column for column in table.columns if column not in front)]].sort_values(
        [*keys, "row"], ignore_index=True
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


def read_table(path: Path, names: Sequence[str | None] = (), encoding: str | None = None) -> pd.DataFrame:
    """Read .csv or .parquet; columns in `names` are text, so that a code "007" keeps its zeros.

    A .csv is UTF-8 unless `encoding` says otherwise.  Text that `write_table` guarded loses its guard.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise BadInputError(f"{path} does not end in {' or '.join(READERS)}: convert it, or rename it if it is one.")
    check_file(path, encoding)
    if encoding and suffix == ".parquet":
        raise UsageError(f"encoding={encoding!r} has no meaning for {path}, whose text is UTF-8: leave it out.")
    try:
        table = pd.read_parquet(path) if suffix == ".parquet" else _read_csv(path, names, encoding or "utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(_wrong_encoding(path, encoding)) from None
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parsing errors are ValueErrors
        raise cannot_read(path, error) from None
    if table.empty:
        raise BadInputError(f"{path} holds no rows: expected a header and one row for each observation.")
    return table


def check_file(path: Path, encoding: str | None = None) -> None:
    """Raise unless `path` is a file and `encoding` is one that Python knows."""
    if path.is_dir():
        raise BadInputError(f"{path} is a folder, expected a file: name one in it.")
    if not path.is_file():
        raise BadInputError(f"there is no file {path}: check the path.")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise UsageError(f"there is no encoding {encoding!r}: expected utf-8, gb18030, big5 or the like.") from None


def cannot_read(path: Path, error: Exception) -> BadInputError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return BadInputError(f"{path} cannot be read as {path.suffix.lower()[1:]} ({reason}): write it anew.")


def _read_csv(path: Path, names: Sequence[str | None], encoding: str) -> pd.DataFrame:
    header = list(pd.read_csv(path, nrows=0, encoding=encoding).columns)
    _refuse_header(path, encoding)
    text = [unguarded(column) for column in header]
    table = pd.read_csv(
        path,
        encoding=encoding,
        keep_default_na=False,
        na_values={column: [""] if name in names else MISSING_MARKS for column, name in zip(header, text, strict=True)},
        dtype={column: str for column, name in zip(header, text, strict=True) if name in names},
    )
    if not isinstance(table.index, pd.RangeIndex):  # pandas would take the first column for row labels
        raise BadInputError(
            f"{path} has {table.index.nlevels + len(header):,} cells in its rows and {len(header):,} names in its "
            f"header: expected as many; take away the commas at the ends of rows, or name every column."
        )
    return unguard(table)


def _refuse_header(path: Path, encoding: str) -> None:
    """A header that is separated by other signs than commas, or that names two columns alike: pandas renames these."""
    names = pd.read_csv(path, nrows=1, header=None, dtype=str, keep_default_na=False, encoding=encoding).iloc[0]
    names = [name.strip() for name in names]
    if len(names) == 1:
        for sign, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if sign in names[0]:
                raise BadInputError(f"{path} is separated by {called}, expected commas: save it as CSV with commas.")
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise BadInputError(f"column {repeated[0]!r} stands more than once in {path}: rename or drop one of them.")


def _wrong_encoding(path: Path, encoding: str | None) -> str:
    """The sentence about a file that does not decode, with what it looks like in the encoding that fits best."""
    content = path.read_bytes()
    claimed = encoding or "UTF-8"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and encoding != "utf-16":
        return f"{path} is not {claimed} but UTF-16: read it with encoding='utf-16' (--encoding utf-16)."
    found = guess_encoding(content)
    if found is None or found[0] == encoding:
        return f"{path} is not {claimed}, nor any encoding that is known here: save it as UTF-8 and try again."
    name, word = found
    return (
        f"{path} is not {claimed}; as {name} its first word that is not plain ASCII reads {word!r}: if that is right, "
        f"read it with encoding={name!r} (--encoding {name}), else save it as UTF-8."
    )


def guess_encoding(content: bytes) -> tuple[str, str] | None:
    """(encoding, first word that is not ASCII) of the encoding in which most such characters are common ones."""
    best = (-1.0, "", "")
    for name, common in COMMON_IN.items():
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        unusual = [character for character in text if ord(character) > 127]
        if not unusual or any(not character.isprintable() for character in unusual if not character.isspace()):
            continue
        share = sum(common(character) for character in unusual) / len(unusual)
        if share > best[0]:
            best = (share, name, re.search(r"\w*[^\x00-\x7f]\w*", text)[0])
    return best[1:] if best[0] > 0.5 else None


def _encodes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


# Encodings of tables in practice, the likelier first, and which of their characters are in daily use: the simplified
# characters of GB2312, the first level of Big5, Latin letters.  Wrong decodings are made of the rare ones.
COMMON_IN: dict[str, Callable[[str], bool]] = {
    "utf-8-sig": lambda character: True,
    "gb18030": lambda character: _encodes(character, "gb2312"),
    "big5": lambda character: _encodes(character, "big5") and character.encode("big5") < b"\xc9\x40",
    "cp1252": lambda character: character.isalpha() and ord(character) < 0x180,
    "utf-16": lambda character: _encodes(character, "gb2312") or _encodes(character, "big5"),
}


# --- text that a spreadsheet would take for a formula -------------------------------------------------------------

# OWASP, "CSV injection": spreadsheets run cells that begin with one of these.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\**")


def guarded(text: object) -> object:
    """A text that a spreadsheet would run gets an apostrophe in front; numbers, with stars or without, stay."""
    risky = isinstance(text, str) and FORMULA.match(text) and not PLAIN_NUMBER.fullmatch(text)
    return f"'{text}" if risky else text


def unguarded(text: object) -> object:
    """Undo `guarded`: one apostrophe less in front of what begins like a formula."""
    return text[1:] if isinstance(text, str) and text.startswith("'") and FORMULA.match(text) else text


def guard(table: pd.DataFrame) -> pd.DataFrame:
    """A copy for .csv and .xlsx in which every text, header included, is `guarded`; columns of numbers stay."""
    return _texts(table, guarded)


def unguard(table: pd.DataFrame) -> pd.DataFrame:
    """A copy with the texts that `guard` was given."""
    return _texts(table, unguarded)


def _texts(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    changed = table.copy()
    for place, kind in enumerate(table.dtypes):
        column = table.iloc[:, place]
        if isinstance(kind, pd.CategoricalDtype):
            changed.isetitem(place, column.cat.rename_categories([change(name) for name in column.cat.categories]))
        elif pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype):
            changed.isetitem(place, column.map(change, na_action="ignore"))
    return changed.set_axis([change(name) for name in table.columns], axis=1)


def csv_text(table: pd.DataFrame) -> str:
    """`table` as CSV, without its index, text guarded."""
    guarded_table = guard(table)
    text = guarded_table.to_csv(index=False)
    # a carriage return may stand there unquoted, and readers would take it for the end of a row
    return guarded_table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC) if "\r" in text else text


def read_crosswalk(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """Read a .csv of units and where they belong; every column is text."""
    table = read_table(path, encoding=encoding)
    return read_table(path, list(table.columns), encoding) if path.suffix.lower() == ".csv" else table.astype(str)


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
    """Write .csv (UTF-8, text guarded) or .parquet by the ending of `path`; it appears whole or not at all."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        write_bytes(csv_text(table).encode(), path)
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
