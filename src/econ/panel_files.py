"""Panels in files, .parquet, .csv, .xlsx and .dta, with the labels of their columns.

Nothing changes a value without saying so: what a format cannot hold is either refused in one sentence or one of the
losses listed in docs/decisions/0026-panel-files.md.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from struct import error as struct_error
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import (
    cannot_read,
    check_file,
    csv_text,
    guarded,
    offenders,
    read_table,
    refuse_duplicates,
    require_columns,
    unguarded,
    write_bytes,
)
from econ.panel import Panel, as_panel

# Beyond this a float, which is all that .xlsx and .dta have for them, does not hold every whole number.
EXACT = 2**53

# Microsoft, "Excel specifications and limits".
SHEET_ROWS = 1_048_576  # the header included
SHEET_COLUMNS = 16_384
CELL_TEXT = 32_767  # [characters]
FIRST_DAY = pd.Timestamp("1900-03-01")  # before it, spreadsheets count a 29 February 1900 that never was

# StataCorp, "Description of .dta file format 118" and help limits.
STATA_COLUMNS = 32_767
STATA_NAME = 32  # [characters]
STATA_LABEL = 80  # [characters]
STATA_TEXT = 2_045  # [bytes] of a str#; longer text is a strL
STATA_LEAST_LONG, STATA_LONG = -2_147_483_647, 2_147_483_620  # beyond them a double
STATA_FLOAT = 1.70141173319e38  # the largest float; above it a double
STATA_DOUBLE = 8.9884656743115785e307  # the largest double that is no code of a missing value
STATA_VALUE_LABEL = 32_000  # [bytes]
STATA_VALUE_LABELS = 65_536

# Reserved by Stata ([U] 11.3) and by Mata.
STATA_RESERVED = re.compile(
    "_all|_b|_coef|_cons|_n|_N|_pi|_pred|_rc|_skip|byte|double|float|if|in|int|long|str[0-9]*|strL|using|with|"
    "aggregate|array|boolean|break|case|catch|class|colvector|complex|const|continue|default|delegate|delete|do|else|"
    "eltypedef|end|enum|explicit|export|external|for|friend|function|global|goto|local|NULL|pragma|protected|quad|"
    "rowvector|short|typedef|typename|virtual"
)


def write_panel(panel: Panel | pd.DataFrame, path: str | Path, labels: Mapping[str, str] | None = None) -> list[str]:
    """Write a panel as .parquet, .csv, .xlsx or .dta (Stata 14 and later), by the ending; whole or not at all.

    Parameters
    ----------
    panel : Panel or DataFrame, (n,)
        Columns of numbers, text, booleans, dates or categories; its index is not written.
    path : str or Path
        The file; one that is there is replaced.
    labels : mapping of column to str, optional
        What the columns mean; those of the `Panel` by default.  Labels of other columns are left out.  They become
        metadata of the columns (.parquet), the sheet "labels" (.xlsx), variable labels (.dta), or a second file
        beside the first, NAME.labels.csv (.csv).

    Returns
    -------
    list of str
        What had to be changed to fit, a sentence each: new names and shortened labels in .dta.

    Raises
    ------
    UsageError
        Another ending; labels that are not text; .xlsx without openpyxl.
    BadInputError
        No rows; columns without a name of text of their own; values that the format has no place for, or a path that
        cannot be written.
    ResourceError
        No space is left.
    """
    path = Path(path)
    own = isinstance(panel, Panel)
    data = panel.data if own else panel
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"cannot write {path}: give a name that ends in {ENDINGS}.")
    labels = labels if labels is not None else (panel.labels if own else {})
    _check_columns(data)
    labels = {column: labels[column] for column in data.columns if labels.get(column)}
    for column, label in labels.items():
        if not isinstance(label, str):
            raise UsageError(f"the label of column {column!r} is {label!r}: expected text.")
        _check_text(pd.Series([label]), f"the label of column {column!r}", path)
    return FORMATS[path.suffix.lower()][0](data, path, labels)


def read_panel(path: str | Path, entity: str = "province", time: str = "year", encoding: str | None = None) -> Panel:
    """Read what `write_panel` wrote, or any such table, as a checked panel sorted by (`entity`, `time`).

    Parameters
    ----------
    path : str or Path
        A .parquet, .csv, .xlsx (its first sheet) or .dta (any version that pandas reads).
    entity, time : str
        The key columns.  In a .csv the entity is text, so that a code "007" keeps its zeros.
    encoding : str, optional
        Of a .csv that is not UTF-8, such as "gb18030".

    Returns
    -------
    Panel
        With the labels of the columns in `.labels`; empty text is missing, save in .parquet.

    Raises
    ------
    UsageError
        .xlsx without openpyxl; an encoding that is unknown.
    MissingColumnError, BadInputError
        A file that is not there or not what its ending says; a key column that is not there or empty in a row.
    DuplicateError
        A key given twice.
    """
    table, labels = read_labelled(path, (entity,), encoding)
    return as_panel(table, entity, time, str(path), labels)


def read_labelled(
    path: str | Path, names: Sequence[str | None] = (), encoding: str | None = None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table of any of the four formats and the labels of its columns.

    In a .csv, columns in `names` are text, and `encoding` says what it is written in if not UTF-8.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BadInputError(f"{path} does not end in {ENDINGS}: convert it, or rename it if it is one.")
    check_file(path, encoding)
    table, labels = FORMATS[suffix][1](path, names, encoding)
    if table.empty:
        raise BadInputError(f"{path} holds no rows: expected a header and one row for each observation.")
    return table, {column: label for column, label in labels.items() if label and column in table.columns}


def read_labels(path: str | Path, encoding: str | None = None) -> dict[str, str]:
    """Labels from a .csv or .parquet of the columns variable and label, one row a variable."""
    path = Path(path)
    table = read_table(path, ("variable", "label"), encoding if path.suffix.lower() == ".csv" else None)
    require_columns(table, ["variable", "label"], str(path))
    refuse_duplicates(table, ["variable"], str(path))
    table = table.dropna(subset=["variable", "label"])
    return dict(zip(table["variable"].astype(str), table["label"].astype(str), strict=True))


# --- what a column holds ------------------------------------------------------------------------------------------


def _check_columns(data: pd.DataFrame) -> None:
    if not len(data) or not len(data.columns):
        raise BadInputError("the panel has no rows: expected one for each (entity, time).")
    for place, column in enumerate(data.columns, start=1):
        if not isinstance(column, str) or not column:
            raise BadInputError(f"column {place:,} is called {column!r}: expected a name of text; rename it.")
    _check_text(pd.Series(data.columns, dtype=object), "a name of a column", None)
    if not data.columns.is_unique:
        require_columns(data, data.columns, "the panel")


def _plain(data: pd.DataFrame, path: Path, largest: int | None = None) -> dict[str, pd.Series]:
    """Columns as int64 or Int64, float32 or float64, bool or boolean, datetime64, category or object of text and None.

    Whole numbers beyond `largest`, and then infinity as well, are refused.
    """
    return {column: _plain_column(data[column], column, path, largest) for column in data.columns}


def _plain_column(series: pd.Series, column: str, path: Path, largest: int | None) -> pd.Series:
    kind = series.dtype
    types = pd.api.types
    if isinstance(kind, pd.CategoricalDtype):
        if all(isinstance(category, str) for category in kind.categories):
            _check_text(pd.Series(kind.categories, dtype=object), f"column {column!r}", path)
            return series
        series = series.astype(object)
    if types.is_object_dtype(series.dtype):
        series = _settled(series, column, path)
    if types.is_bool_dtype(series.dtype):
        return series.astype("boolean" if series.isna().any() else bool)
    if types.is_integer_dtype(series.dtype):
        if largest is not None:
            beyond = (series > largest) | (series < -largest)
            _refuse(beyond, series, column, path, f"whole numbers beyond {largest:,}")
            return series.astype("Int64" if series.isna().any() else "int64")
        return series
    if types.is_float_dtype(series.dtype):
        narrow = series.dtype in (np.float16, np.float32)
        values = series.to_numpy(dtype=np.float32 if narrow else float, na_value=np.nan)
        plain = pd.Series(values, series.index, name=series.name)
        if largest is not None:
            _refuse(np.isinf(plain), series, column, path, "infinite numbers")
        return plain
    if types.is_datetime64_dtype(series.dtype):
        return series
    if isinstance(series.dtype, pd.StringDtype) or types.is_object_dtype(series.dtype):
        _check_text(series, f"column {column!r}", path)
        return series.astype(object).where(series.notna(), None)
    raise BadInputError(_unknown(column, str(series.dtype), path))


def _settled(series: pd.Series, column: str, path: Path) -> pd.Series:
    """A column of objects as what they all are; objects of text stay."""
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in ("empty", "floating", "mixed-integer-float"):
        return pd.to_numeric(series).astype(float)
    if inferred in ("integer", "boolean"):
        return series.astype("Int64" if inferred == "integer" else "boolean")
    if inferred in ("date", "datetime", "datetime64"):
        dates = pd.to_datetime(series)
        if pd.api.types.is_datetime64_dtype(dates.dtype):
            return dates
    if inferred != "string":
        raise BadInputError(_unknown(column, " and ".join(sorted({type(x).__name__ for x in series.dropna()})), path))
    return series


def _unknown(column: str, found: str, path: Path) -> str:
    return (
        f"cannot write {path}: column {column!r} holds {found}; expected numbers, text, booleans, dates without a "
        f"time zone or categories; convert it."
    )


def _refuse(mask: pd.Series, series: pd.Series, column: str, path: Path, what: str) -> None:
    rows = mask.fillna(False).to_numpy(dtype=bool)
    if rows.any():
        raise BadInputError(
            f"column {column!r} holds {what} in {rows.sum():,} of {len(series):,} rows "
            f"({offenders(series.to_frame(), rows)}): {path.suffix.lower()} has no place for them; "
            f"correct them, write them as text, or write .parquet."
        )


def _check_text(series: pd.Series, where: str, path: Path | None) -> None:
    """Refuse text that is no Unicode and, outside of .parquet, text with a zero byte, which would end it."""
    for text in series.dropna().unique():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInputError(f"{where} holds {text!r}, which is no text of Unicode: correct it.") from None
        if "\0" in text and (path is None or path.suffix.lower() != ".parquet"):
            raise BadInputError(f"{where} holds {text!r} with a zero byte in it: expected text; correct it.")


def _whole_days(series: pd.Series) -> bool:
    there = series.dropna()
    return bool((there == there.dt.normalize()).all())


def _booleans(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of True, False and nothing as boolean; pandas leaves them as objects."""
    for column in table.columns:
        if table[column].dtype == object and pd.api.types.infer_dtype(table[column], skipna=True) == "boolean":
            table[column] = table[column].astype("boolean")
    return table


# --- .parquet -----------------------------------------------------------------------------------------------------


def _write_parquet(data: pd.DataFrame, path: Path, labels: Mapping[str, str]) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _plain(data, path)
    table = pa.Table.from_pandas(data, preserve_index=False)
    fields = [
        found.with_metadata({"label": labels[found.name]}) if found.name in labels else found for found in table.schema
    ]
    sink = BytesIO()
    pq.write_table(table.cast(pa.schema(fields, metadata=table.schema.metadata)), sink)
    write_bytes(sink.getvalue(), path)
    return []


def _read_parquet(path: Path, names: Sequence[str | None], encoding: str | None) -> tuple[pd.DataFrame, dict[str, str]]:
    import pyarrow.parquet as pq

    table = read_table(path)
    labels = {found.name: (found.metadata or {}).get(b"label", b"").decode() for found in pq.read_schema(path)}
    return table, labels


# --- .csv ---------------------------------------------------------------------------------------------------------


def labels_beside(path: Path) -> Path:
    """Where the labels of a .csv are: panel.labels.csv beside panel.csv."""
    return path.with_name(f"{path.stem}.labels.csv")


def _write_csv(data: pd.DataFrame, path: Path, labels: Mapping[str, str]) -> list[str]:
    content = csv_text(pd.DataFrame(_plain(data, path))).encode()
    if labels:
        listed = pd.DataFrame({"variable": list(labels), "label": list(labels.values())})
        write_bytes(csv_text(listed).encode(), labels_beside(path))
    write_bytes(content, path)
    return []


def _read_csv(path: Path, names: Sequence[str | None], encoding: str | None) -> tuple[pd.DataFrame, dict[str, str]]:
    beside = labels_beside(path)
    return _booleans(read_table(path, names, encoding)), read_labels(beside) if beside.is_file() else {}


# --- .xlsx --------------------------------------------------------------------------------------------------------

# ECMA-376 part 1, 22.9.2.19 (ST_Xstring): _xHHHH_ stands for a character that XML has no place for or would change.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _openpyxl():
    try:
        import openpyxl
    except ImportError:
        raise UsageError(
            ".xlsx needs openpyxl, which is not installed: pip install 'nightcore[excel]', or use .csv."
        ) from None
    return openpyxl


def _write_xlsx(data: pd.DataFrame, path: Path, labels: Mapping[str, str]) -> list[str]:
    openpyxl = _openpyxl()
    if len(data) >= SHEET_ROWS or len(data.columns) > SHEET_COLUMNS:
        raise BadInputError(
            f"the panel has {len(data):,} rows and {len(data.columns):,} columns: a sheet of .xlsx holds "
            f"{SHEET_ROWS - 1:,} below its header and {SHEET_COLUMNS:,}; write .parquet or .dta."
        )
    plain = _plain(data, path, EXACT)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("panel")
    text = _text_cell(sheet, path)
    # all cells are made before a sheet begins, so that what is refused leaves no open sheet behind
    rows = [
        [text(column, "a name of a column") for column in plain],
        *zip(*(_cells(column, series, sheet, path) for column, series in plain.items()), strict=True),
    ]
    listed = []
    if labels:
        second = book.create_sheet("labels")
        text = _text_cell(second, path)
        listed = [[text(cell, "a label") for cell in row] for row in [("variable", "label"), *labels.items()]]
    for row in rows:
        sheet.append(row)
    for row in listed:
        second.append(row)
    sink = BytesIO()
    book.save(sink)
    write_bytes(sink.getvalue(), path)
    return []


def _cells(column: str, series: pd.Series, sheet, path: Path) -> list:
    """Cells of one column below its name; None where a value is missing."""
    there = series.notna().to_numpy()
    if pd.api.types.is_bool_dtype(series.dtype):
        return [bool(value) if has else None for value, has in zip(series, there, strict=True)]
    if pd.api.types.is_datetime64_dtype(series.dtype):
        _refuse(series < FIRST_DAY, series, column, path, f"dates before {FIRST_DAY:%Y-%m-%d}")
        days = _whole_days(series)
        stamps = [x.to_pydatetime() if has else None for x, has in zip(series.dt.round("ms"), there, strict=True)]
        return [x.date() if days and x else x for x in stamps]
    if pd.api.types.is_numeric_dtype(series.dtype):
        whole = pd.api.types.is_integer_dtype(series.dtype)
        number = _number_cell(sheet)
        return [number(int(x) if whole else float(x)) if has else None for x, has in zip(series, there, strict=True)]
    text = _text_cell(sheet, path)
    return [text(x, f"column {column!r}") if has else None for x, has in zip(series, there, strict=True)]


def _number_cell(sheet) -> Callable[[float], object]:
    from openpyxl.cell import WriteOnlyCell

    def cell(value: float) -> object:
        # all 17 digits, as text that is marked as a number: openpyxl itself keeps 16
        made = WriteOnlyCell(sheet, repr(value))
        made.data_type = "n"
        return made

    return cell


def _text_cell(sheet, path: Path) -> Callable[[str, str], object]:
    from openpyxl.cell import WriteOnlyCell

    def cell(value: str, where: str) -> object:
        text = UNPRINTABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", guarded(value))
        if len(text) > CELL_TEXT:
            raise BadInputError(
                f"{where} holds a text of {len(text):,} characters: a cell of .xlsx holds {CELL_TEXT:,}; "
                f"shorten it, or write .parquet or .dta."
            )
        made = WriteOnlyCell(sheet, text)
        made.data_type = "s"  # never an error value such as #N/A, nor a formula
        return made

    return cell


def _read_xlsx(path: Path, names: Sequence[str | None], encoding: str | None) -> tuple[pd.DataFrame, dict[str, str]]:
    openpyxl = _openpyxl()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and validations, which a table does without
            book = openpyxl.load_workbook(BytesIO(path.read_bytes()), read_only=True, data_only=True)
            first, *others = book.worksheets
            rows = _grid(first, path)
            listed = [row for sheet in others if sheet.title == "labels" for row in _grid(sheet, path) if len(row) > 1]
            book.close()
    except BadInputError:
        raise
    except (BadZipFile, KeyError, IndexError, ValueError, TypeError, OSError, SyntaxError) as error:
        raise cannot_read(path, error) from None  # SyntaxError: XML that does not parse
    labels = {}
    if listed and listed[0][:2] == ["variable", "label"]:
        labels = {str(row[0]): str(row[1]) for row in listed[1:] if None not in row[:2]}
    return _sheet_table(rows, path), labels


def _grid(sheet, path: Path) -> list[list]:
    """Values row by row, rows of nothing left out; an error in a cell is refused, save #N/A, which is missing."""
    sheet.reset_dimensions()  # writers other than Excel leave wrong ones
    grid = []
    for row in sheet.iter_rows():
        values = []
        for cell in row:
            value = cell.value
            if cell.data_type == "e":
                if value != "#N/A":
                    raise BadInputError(
                        f"cell {cell.coordinate} of {path} holds the error {value}: mend its formula or empty it."
                    )
                value = None
            elif isinstance(value, str):
                value = unguarded(ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)) or None
            values.append(value)
        if any(value is not None for value in values):
            grid.append(values)
    return grid


def _sheet_table(grid: list[list], path: Path) -> pd.DataFrame:
    header, *rows = grid or [[]]
    width = max((len(row) for row in grid), default=0)
    rows = [[*row, *[None] * (width - len(row))] for row in rows]
    columns = {}
    for place, name in enumerate([*header, *[None] * (width - len(header))]):
        cells = [row[place] for row in rows]
        if name is None:
            if any(cell is not None for cell in cells):
                raise BadInputError(f"column {place + 1:,} of {path} has no name: expected one in its first row.")
            continue
        if str(name) in columns:
            raise BadInputError(f"column {str(name)!r} stands more than once in {path}: rename or drop one of them.")
        columns[str(name)] = _sheet_column(cells)
    return pd.DataFrame(columns)


def _sheet_column(cells: list) -> pd.Series:
    """Cells of one kind as a column of it: whole numbers with gaps are Int64, mixtures stay as they are."""
    kinds = {type(cell) for cell in cells if cell is not None}
    gaps = any(cell is None for cell in cells)
    if not kinds or kinds <= {int, float}:
        if kinds == {int} and max(abs(cell) for cell in cells if cell is not None) < 2**63:
            return pd.Series(cells, dtype="Int64" if gaps else "int64")
        return pd.Series(cells, dtype=float)
    if kinds == {bool}:
        return pd.Series(cells, dtype="boolean" if gaps else bool)
    if kinds == {datetime}:
        return pd.to_datetime(pd.Series(cells))
    return pd.Series(cells) if kinds == {str} else pd.Series(cells, dtype=object)


# --- .dta ---------------------------------------------------------------------------------------------------------


def stata_names(columns: Sequence[str]) -> dict[str, str]:
    """Legal and different Stata names of columns, those that are legal as they are.

    Stata 14 and later: at most 32 characters, letters of any script, digits and _, no digit first, no reserved word.
    Any other character becomes _, a _ goes in front of a digit and of a reserved word, the rest is cut off, and a name
    that is taken gets _2, _3, ...: "L1.x" becomes L1_x, and beside L1_x it becomes L1_x_2.
    """
    kept = {column: column for column in columns if _legal(column) == column}
    names, taken = {}, set(kept)
    for column in columns:
        name = legal = _legal(column)
        if column not in kept:
            number = 1
            while name in taken:
                number += 1
                name = f"{legal[: STATA_NAME - len(f'_{number}')]}_{number}"
            taken.add(name)
        names[column] = name
    return names


def _legal(column: str) -> str:
    name = "".join(character if _in_stata_names(character) else "_" for character in column)
    if name[:1].isdecimal() or STATA_RESERVED.fullmatch(name):
        name = f"_{name}"
    return name[:STATA_NAME]


def _in_stata_names(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character == "_"
    return ord(character) >= 192 and (character.isalpha() or character.isdecimal())  # pandas takes none below


def _original(name: str, label: str) -> tuple[str, str]:
    """What a variable was called before `stata_names`, and its own label, from a label such as "[L1.x] openness"."""
    for end in re.finditer(r"\](?= |$)", label) if label.startswith("[") else ():
        original, rest = label[1 : end.start()], label[end.end() + 1 :]
        number = re.search(r"_[0-9]+$", name)
        numbered = _legal(original)[: STATA_NAME - len(number[0])] + number[0] if number else None
        if original == name or (_legal(original) != original and name in (_legal(original), numbered)):
            return original, rest
    return name, label


def _write_dta(data: pd.DataFrame, path: Path, labels: Mapping[str, str]) -> list[str]:
    if len(data.columns) > STATA_COLUMNS:
        raise BadInputError(
            f"the panel has {len(data.columns):,} columns: a .dta holds {STATA_COLUMNS:,}; write .parquet."
        )
    notes, variable_labels, ready, dates, long_text = [], {}, {}, {}, []
    names = stata_names(data.columns)
    for column, series in _plain(data, path, EXACT).items():
        name = names[column]
        variable_labels[name], note = _stata_label(column, name, labels.get(column, ""))
        notes += note
        ready[name] = _stata_column(series, column, path)
        if pd.api.types.is_datetime64_dtype(series.dtype):
            dates[name] = "td" if _whole_days(series) else "tc"
        if ready[name].dtype == object and ready[name].map(lambda text: len(text.encode())).max() > STATA_TEXT:
            long_text.append(name)
    sink = BytesIO()
    pd.DataFrame(ready).to_stata(
        sink,
        version=118,
        write_index=False,
        convert_dates=dates,
        variable_labels=variable_labels,
        convert_strl=long_text,
    )
    write_bytes(sink.getvalue(), path)
    return notes


def _stata_label(column: str, name: str, label: str) -> tuple[str, list[str]]:
    """The label of a variable, at most 80 characters with the original name in brackets, and what it lost."""
    notes = []
    whole = label
    if name != column or _original(name, label) != (name, label):  # a label that only looks as if it held a name
        whole = f"[{column}] {label}" if label else f"[{column}]"
        if len(f"[{column}]") > STATA_LABEL:
            raise BadInputError(
                f"the column name {column!r} has {len(column):,} characters: a .dta keeps {STATA_LABEL - 2} of them, "
                f"in its label; rename it."
            )
        if name != column:
            notes.append(f"column {column!r} is called {name} in Stata; its own name stands in its label.")
    if len(whole) > STATA_LABEL:
        cut = whole[: STATA_LABEL - 1] + "…"
        notes.append(f"the label of column {column!r} has {len(whole):,} characters, Stata keeps {STATA_LABEL}: {cut}")
        whole = cut
    return whole, notes


def _stata_column(series: pd.Series, column: str, path: Path) -> pd.Series:
    """A column as pandas hands it to Stata without loss and without a warning."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        categories = series.cat.categories
        if 0 < len(categories) <= STATA_VALUE_LABELS:
            longest = max(len(category.encode()) for category in categories)
            if longest > STATA_VALUE_LABEL:
                raise BadInputError(
                    f"a category of column {column!r} has {longest:,} bytes: Stata takes {STATA_VALUE_LABEL:,}; "
                    f"shorten it, or make the column text."
                )
            return series.reset_index(drop=True)
        series = series.astype(object).where(series.notna(), None)
    if series.dtype == object:
        return series.fillna("").astype(object).reset_index(drop=True)
    if pd.api.types.is_bool_dtype(series.dtype):
        series = series.astype("Int8" if series.isna().any() else np.int8)
    elif pd.api.types.is_integer_dtype(series.dtype):
        if series.max() > STATA_LONG or series.min() < STATA_LEAST_LONG:
            series = pd.Series(series.to_numpy(dtype=float, na_value=np.nan))
    elif pd.api.types.is_float_dtype(series.dtype):
        wide = series.astype(float)
        _refuse(wide.abs() > STATA_DOUBLE, series, column, path, f"numbers beyond {STATA_DOUBLE:.2g}")
        series = wide if wide.abs().max() > STATA_FLOAT else series
    return series.reset_index(drop=True)


def _read_dta(path: Path, names: Sequence[str | None], encoding: str | None) -> tuple[pd.DataFrame, dict[str, str]]:
    content = path.read_bytes()
    if content.startswith(b"<stata_dta>") and not content.endswith(b"</stata_dta>"):
        raise cannot_read(path, ValueError("it is cut short"))  # pandas would read it without its value labels
    try:
        with pd.read_stata(BytesIO(content), iterator=True, order_categoricals=False) as reader:
            table = reader.read()
            labels = reader.variable_labels()
            levels = reader.value_labels()
        if table.empty:
            return table, {}
        raw = _raw_stata(table, content)
    except (ValueError, OSError, KeyError, IndexError, OverflowError, struct_error) as error:
        raise cannot_read(path, error) from None
    for column in table.columns:
        table[column] = _from_stata(table[column], raw.get(column), levels.get(column))
    renamed = {column: _original(column, labels.get(column, "")) for column in table.columns}
    if len({original for original, _ in renamed.values()}) < len(renamed):  # labels of someone else
        renamed = {column: (column, labels.get(column, "")) for column in table.columns}
    return table.set_axis([renamed[column][0] for column in table.columns], axis=1), dict(renamed.values())


def _raw_stata(table: pd.DataFrame, content: bytes) -> pd.DataFrame:
    """Columns of floats with gaps and of dates as they are stored, with Stata's own missing values."""
    wanted = [
        column
        for column in table.columns
        if (table[column].dtype == np.float64 and table[column].isna().any())
        or pd.api.types.is_datetime64_dtype(table[column].dtype)
    ]
    if not wanted:
        return pd.DataFrame()
    return pd.read_stata(
        BytesIO(content), columns=wanted, convert_dates=False, convert_categoricals=False, convert_missing=True
    )


def _from_stata(series: pd.Series, raw: pd.Series | None, levels: Mapping[int, str] | None) -> pd.Series:
    """Whole numbers as int64, with gaps as Int64; empty text as missing; %ty, dates to pandas, as years."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        whole = list((levels or {}).values())
        return series.cat.set_categories(whole) if set(series.cat.categories) < set(whole) else series
    if pd.api.types.is_integer_dtype(series.dtype):
        return series.astype("int64")
    if raw is not None and pd.api.types.is_datetime64_dtype(series.dtype):
        there = series.notna()
        years = series.dt.year.where((series.dt.month == 1) & (series.dt.day == 1))
        if there.any() and (raw[there] == years[there]).all():
            return series.dt.year.astype("int64" if there.all() else "Int64")
        return series
    if raw is not None:
        stored = [getattr(value, "value", value) for value in raw]
        return series.astype("Int64") if not any(isinstance(value, float | np.floating) for value in stored) else series
    if pd.api.types.is_object_dtype(series.dtype) or isinstance(series.dtype, pd.StringDtype):
        return series.where(series != "", None).infer_objects()
    return series


# --- formats ------------------------------------------------------------------------------------------------------

FORMATS: dict[str, tuple[Callable, Callable]] = {
    ".parquet": (_write_parquet, _read_parquet),
    ".csv": (_write_csv, _read_csv),
    ".xlsx": (_write_xlsx, _read_xlsx),
    ".dta": (_write_dta, _read_dta),
}
ENDINGS = ", ".join(list(FORMATS)[:-1]) + f" or {list(FORMATS)[-1]}"
