"""Panels in files: what was written is read, in the four formats, and what does not fit is said."""

import builtins
import datetime as dt
import io
import json
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import econ
from econ import panel_files
from econ.cli import main
from econ.errors import BadInputError, DuplicateError, MissingColumnError, ResourceError, UsageError
from econ.panel_files import labels_beside, read_labels, stata_names

ENDINGS = ["parquet", "csv", "xlsx", "dta"]

PANEL = pd.DataFrame(
    {
        "province": ["内蒙古", "内蒙古", "陕西", "陕西"],
        "year": [2000, 2001, 2000, 2001],
        "gini": [0.1 + 0.2, np.nan, 1.0, 1 / 3],
        "L1.gini": [np.nan, 0.1 + 0.2, np.nan, 1.0],
        "open:market": [1e-300, 2.5e200, -7.0, np.nan],
        "region": ["西部", None, "=西部", "-x"],
    }
)
LABELS = {"gini": "城市灯光基尼系数", "L1.gini": "滞后一期", "province": "省份", "region": "=1+1"}


def assert_same(found, table, **kinds):
    """The same columns and values; where no other kind is given, of the same kind."""
    assert list(found.columns) == list(table.columns)
    for column in table.columns:
        expected = table[column].astype(kinds[column]) if column in kinds else table[column]
        pd.testing.assert_series_equal(found[column], expected, check_exact=True, obj=column)


# --- read back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_written_is_read(tmp_path, ending):
    """All digits, Chinese text, gaps, names that Stata does not take, and labels."""
    path = tmp_path / f"面板.{ending}"
    notes = econ.write_panel(PANEL, path, labels=LABELS)
    panel = econ.read_panel(path)
    assert_same(panel.data, PANEL)
    assert panel.labels == LABELS
    assert (panel.entity, panel.time, panel.gaps, panel.unmatched) == ("province", "year", {}, {})
    assert len(notes) == (2 if ending == "dta" else 0)
    assert not list(tmp_path.glob(".*"))  # no draft is left


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_panel_keeps_its_labels_through_files(tmp_path, ending):
    path = tmp_path / f"one.{ending}"
    econ.write_panel(PANEL, path, LABELS)
    panel = econ.read_panel(str(path))
    again = tmp_path / f"two.{ending}"
    econ.write_panel(panel, again)
    assert econ.read_panel(again).labels == LABELS
    assert_same(econ.read_panel(again).data, PANEL)
    assert econ.describe(panel)["label"]["gini"] == LABELS["gini"]
    assert panel.report().splitlines()[0] == "4 rows: 2 x province, 2 x year"
    assert panel.only_inequality.empty


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_are_sorted_and_files_replaced(tmp_path, ending):
    path = tmp_path / f"panel.{ending}"
    econ.write_panel(PANEL.iloc[:1], path)
    econ.write_panel(PANEL.iloc[::-1], path)
    assert_same(econ.read_panel(path).data, PANEL)


KINDS = pd.DataFrame(
    {
        "province": list("ABCD"),
        "year": [2000, 2001, 2002, 2003],
        "holed": pd.array([1, None, 3, 2_000_000_000], dtype="Int64"),
        "small": np.array([1, 2, 3, 100], dtype=np.int8),
        "flag": [True, False, True, False],
        "maybe": pd.array([True, None, False, True], dtype="boolean"),
        "single": np.array([0.1, np.nan, 3, 4], dtype=np.float32),
        "day": pd.to_datetime(["2000-02-29", None, "1999-12-31", "2020-01-01"]),
        "moment": pd.to_datetime(["2000-02-29 12:34:56", None, "1999-12-31 00:00:01", "2020-01-01 23:59:59"]),
        "zone": pd.Categorical(["东部", None, "西部", "东部"], categories=["西部", "中部", "东部"]),
        "rank": pd.Categorical([2, None, 1, 2]),
        "date": pd.Series([dt.date(2000, 1, 2), None, dt.date(2001, 1, 1), dt.date(2002, 1, 1)], dtype=object),
        "nothing": pd.Series([None] * 4, dtype=object),
    }
)


def test_parquet_keeps_every_kind(tmp_path):
    """Save categories that are numbers: they come back as these numbers."""
    econ.write_panel(KINDS, tmp_path / "panel.parquet")
    found = econ.read_panel(tmp_path / "panel.parquet").data
    assert_same(found.drop(columns=["day", "moment"]), KINDS.drop(columns=["day", "moment"]), rank=float)
    assert (found["moment"].dropna() == KINDS["moment"].dropna()).all()


def test_stata_keeps_these_kinds(tmp_path):
    """Whole numbers, with gaps or without, single precision, days, moments and categories; booleans are 0 and 1."""
    econ.write_panel(KINDS, tmp_path / "panel.dta")
    found = econ.read_panel(tmp_path / "panel.dta").data
    assert_same(
        found,
        KINDS.assign(date=pd.to_datetime(KINDS["date"])),
        small="int64",
        flag="int64",
        maybe="Int64",
        day="datetime64[s]",
        moment="datetime64[ms]",
        rank="Int64" if found["rank"].dtype == "Int64" else float,
        date="datetime64[s]",
        nothing=float,
    )
    with pd.read_stata(tmp_path / "panel.dta", iterator=True) as reader:
        assert reader.value_labels() == {"zone": {0: "西部", 1: "中部", 2: "东部"}}


def test_xlsx_keeps_these_kinds(tmp_path):
    """Booleans, whole numbers, dates; no single precision and no categories."""
    econ.write_panel(KINDS, tmp_path / "panel.xlsx")
    found = econ.read_panel(tmp_path / "panel.xlsx").data
    expected = KINDS.assign(
        date=pd.to_datetime(KINDS["date"]), zone=KINDS["zone"].astype(str).where(KINDS.zone.notna())
    )
    assert_same(
        found,
        expected,
        small="int64",
        single=float,
        day=found["day"].dtype,
        moment=found["moment"].dtype,
        date=found["date"].dtype,
        zone=found["zone"].dtype,
        rank="Int64",
        nothing=float,
    )
    assert found["zone"].dropna().tolist() == ["东部", "西部", "东部"]


def test_csv_keeps_values(tmp_path):
    """Dates and categories come back as text, whole numbers with gaps as floats."""
    econ.write_panel(KINDS, tmp_path / "panel.csv")
    found = econ.read_panel(tmp_path / "panel.csv").data
    assert found["holed"].dropna().tolist() == [1, 3, 2_000_000_000]
    assert found["maybe"].dtype == "boolean"
    assert found["flag"].dtype == bool
    assert found["zone"].dropna().tolist() == ["东部", "西部", "东部"]
    assert pd.to_datetime(found["day"]).dropna().tolist() == KINDS["day"].dropna().tolist()


@pytest.mark.parametrize("ending", ENDINGS)
def test_codes_of_provinces_stay_text(tmp_path, ending):
    path = tmp_path / f"panel.{ending}"
    table = pd.DataFrame({"province": ["007", "NA", "11"], "year": 2000, "x": [1, 2, 3]}).sort_values("province")
    econ.write_panel(table, path)
    assert_same(econ.read_panel(path).data, table.reset_index(drop=True))


# Text that every format holds: a letter first, so that a .csv does not take it for a number or a mark of nothing.
letters = st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"])
words = st.one_of(
    st.none(),
    st.builds("语{}".format, st.text(letters, max_size=20)),
    st.sampled_from(["=1+1", "'=1", "+x", "-x", "@x", "\tx", "_x000D_", "a\r\nb", " lead", "trail ", "a,b", '"', "''"]),
)
numbers = st.one_of(st.just(np.nan), st.floats(-8e307, 8e307, allow_nan=False))


@st.composite
def tables(draw):
    n = draw(st.integers(1, 5))
    column = draw(st.builds("v{}".format, st.text(letters, max_size=40)))
    return pd.DataFrame(
        {
            "province": [f"省{i}" for i in range(n)],
            "year": 2000,
            column: draw(st.lists(numbers, min_size=n, max_size=n)),
            "text": pd.Series(draw(st.lists(words, min_size=n, max_size=n)), dtype=object),
            "whole": draw(st.lists(st.integers(-(2**31) + 100, 2**31 - 100), min_size=n, max_size=n)),
        }
    )


@pytest.mark.parametrize("ending", ENDINGS)
@given(tables(), st.text(letters, max_size=30))
@settings(max_examples=60)
def test_any_table_is_read_back(tmp_path_factory, ending, table, label):
    path = tmp_path_factory.mktemp("panel") / f"panel.{ending}"
    column = table.columns[2]
    econ.write_panel(table, path, {column: label})
    panel = econ.read_panel(path)
    assert list(panel.data.columns) == list(table.columns)
    assert_array_equal(panel.data[column].to_numpy(float), table[column].to_numpy(float))
    assert_array_equal(panel.data["whole"], table["whole"])
    found = [None if pd.isna(text) else text for text in panel.data["text"]]
    assert found == table["text"].tolist()
    if ending != "dta":
        assert panel.labels == ({column: label} if label else {})
    elif len(label) + len(column) + 3 <= 80:
        assert panel.labels.get(column, "") == label


# --- Stata --------------------------------------------------------------------------------------------------------


def test_the_bytes_are_those_of_release_118(tmp_path):
    econ.write_panel(PANEL, tmp_path / "panel.dta", LABELS)
    content = (tmp_path / "panel.dta").read_bytes()
    assert content.startswith(b"<stata_dta><header><release>118</release><byteorder>")
    assert "城市灯光基尼系数".encode() in content
    with pd.read_stata(tmp_path / "panel.dta", iterator=True) as reader:
        labels = reader.variable_labels()
    assert labels["gini"] == LABELS["gini"]
    assert labels["L1_gini"] == "[L1.gini] 滞后一期"
    assert labels["open_market"] == "[open:market]"
    assert labels["year"] == ""


def test_names_that_stata_takes():
    names = stata_names(
        ["L1.x", "L1_x", "x:z", "2000", "if", "str12", "strL", "开放度", "a" * 40, "a" * 33, "µ", "a b"]
    )
    assert names == {
        "L1.x": "L1_x_2",
        "L1_x": "L1_x",  # legal names stay, whatever their place
        "x:z": "x_z",
        "2000": "_2000",
        "if": "_if",
        "str12": "_str12",
        "strL": "_strL",
        "开放度": "开放度",
        "a" * 40: "a" * 32,
        "a" * 33: "a" * 30 + "_2",
        "µ": "_",
        "a b": "a_b",
    }


@given(st.lists(st.text(letters, min_size=1, max_size=40), unique=True, min_size=1, max_size=12))
def test_names_for_stata_are_legal_and_different(columns):
    names = stata_names(columns)
    assert list(names) == columns
    assert len(set(names.values())) == len(columns)
    for column, name in names.items():
        assert 1 <= len(name) <= 32
        assert stata_names([name]) == {name: name}
        assert stata_names([column])[column] in (column, name) or name.rpartition("_")[2].isdecimal()


def test_many_names_that_become_one(tmp_path):
    """And every word that Stata reserves."""
    reserved = panel_files.STATA_RESERVED.pattern.replace("[0-9]*", "5").split("|")
    columns = [*(f"x{sign}y" for sign in ".:-+*/ "), *(f"{'x' * 40}{i}" for i in range(12)), *reserved]
    table = PANEL[["province", "year"]].assign(**{column: float(i) for i, column in enumerate(columns)})
    econ.write_panel(table, tmp_path / "panel.dta", {"x.y": "one"})
    panel = econ.read_panel(tmp_path / "panel.dta")
    assert_same(panel.data, table)
    assert panel.labels == {"x.y": "one"}


def test_labels_are_cut_at_80_characters(tmp_path):
    label = "开" * 100
    notes = econ.write_panel(PANEL, tmp_path / "panel.dta", {"gini": label, "L1.gini": label})
    labels = econ.read_panel(tmp_path / "panel.dta").labels
    assert labels["gini"] == "开" * 79 + "…"
    assert labels["L1.gini"] == "开" * (79 - len("[L1.gini] ")) + "…"
    assert len(notes) == 4
    assert notes[0].startswith("the label of column 'gini' has 100 characters, Stata keeps 80: 开")
    assert notes[1] == "column 'L1.gini' is called L1_gini in Stata; its own name stands in its label."


@pytest.mark.parametrize("label", ["[x.y] z", "[gini]", "[gini] z", "[a", "] [gini] z", "[L1.gini] z"])
def test_a_label_that_looks_like_a_name_is_a_label(tmp_path, label):
    table = PANEL.drop(columns="L1.gini").assign(L1_gini=1.0)
    econ.write_panel(table, tmp_path / "panel.dta", {"gini": label, "L1_gini": label})
    panel = econ.read_panel(tmp_path / "panel.dta")
    assert list(panel.data.columns) == list(table.columns)
    assert panel.labels == {"gini": label, "L1_gini": label}


def test_labels_of_others_rename_nothing(tmp_path):
    table = PANEL[["province", "year"]].assign(gdp_pc=1.0, x_y=1.0)
    labels = {"gdp_pc": "gdp pc: real", "x_y": "[per head] x y"}
    table.to_stata(tmp_path / "other.dta", version=118, write_index=False, variable_labels=labels)
    panel = econ.read_panel(tmp_path / "other.dta")
    assert list(panel.data.columns) == list(table.columns)
    assert panel.labels == labels


@pytest.mark.parametrize("text", ["a" * 2045, "a" * 2046, "汉" * 681, "汉" * 682, "汉" * 3000])
def test_long_text_is_a_strl(tmp_path, text):
    """2,045 bytes is the longest str#; a Chinese character takes three."""
    table = PANEL[["province", "year"]].assign(text=[text, None, "短", text])
    econ.write_panel(table, tmp_path / "panel.dta")
    assert_same(econ.read_panel(tmp_path / "panel.dta").data, table)
    assert (b"GSO" in (tmp_path / "panel.dta").read_bytes()) == (len(text.encode()) > 2045)


def test_numbers_at_the_limits_of_stata(tmp_path):
    table = PANEL[["province", "year"]].assign(
        byte=np.array([100, 101, -127, -128], dtype=np.int8),
        long=[2_147_483_620, -2_147_483_647, 0, 1],
        wide=[2_147_483_621, 2**53, -(2**53), 1],
        small=[5e-324, -5e-324, 1e-308, 0.0],
        float=np.array([3e38, -3e38, 1, np.nan], dtype=np.float32),
        double=[8.98e307, -8.98e307, 1.0, np.nan],
    )
    econ.write_panel(table, tmp_path / "panel.dta")
    found = econ.read_panel(tmp_path / "panel.dta").data
    assert_same(found, table, byte="int64", wide=float, float=float)


def test_years_in_the_format_of_years_are_whole_numbers(tmp_path):
    """`format year %ty`, which pandas reads as dates; a date that is 1 January stays one."""
    table = PANEL[["province"]].assign(year=pd.to_datetime(PANEL["year"].astype(str)), day=pd.Timestamp("1999-01-01"))
    table.to_stata(tmp_path / "other.dta", version=118, write_index=False, convert_dates={"year": "ty", "day": "td"})
    found = econ.read_panel(tmp_path / "other.dta").data
    assert found["year"].tolist() == [2000, 2001, 2000, 2001]
    assert found["year"].dtype == "int64"
    assert found["day"].tolist() == [pd.Timestamp("1999-01-01")] * 4


def test_older_releases_are_read(tmp_path):
    table = pd.DataFrame({"province": ["A", "B"], "year": [2000, 2000], "x": [1.5, np.nan]})
    table.to_stata(tmp_path / "old.dta", version=114, write_index=False, variable_labels={"x": "old"})
    panel = econ.read_panel(tmp_path / "old.dta")
    assert_same(panel.data, table)
    assert panel.labels == {"x": "old"}


# --- spreadsheets -------------------------------------------------------------------------------------------------


def test_no_cell_is_a_formula_or_an_error(tmp_path):
    import openpyxl

    table = PANEL[["province", "year"]].assign(**{"=cmd": ["=1+1", "#N/A", "#DIV/0!", "@x"]})
    path = tmp_path / "panel.xlsx"
    econ.write_panel(table, path, {"year": "=HYPERLINK()"})
    book = openpyxl.load_workbook(path)
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert kinds == {"s", "n"}
    assert [row[2].value for row in book["panel"].iter_rows()] == ["'=cmd", "'=1+1", "#N/A", "#DIV/0!", "'@x"]
    assert book.sheetnames == ["panel", "labels"]
    panel = econ.read_panel(path)
    assert_same(panel.data, table)
    assert panel.labels == {"year": "=HYPERLINK()"}
    econ.write_panel(table, tmp_path / "panel.csv")
    assert "'=cmd" in (tmp_path / "panel.csv").read_text(encoding="utf-8")
    assert_same(econ.read_panel(tmp_path / "panel.csv").data.iloc[[0, 3]], table.iloc[[0, 3]])


def workbook(path, *rows, **others):
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, lines in others.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return path


def test_a_sheet_of_someone_else(tmp_path):
    """Blank rows and columns, mixtures, numbers as headings, other sheets, a lone cell among the labels."""
    path = workbook(
        tmp_path / "other.xlsx",
        ["province", "year", None, 2001, "mixed", "absent"],
        [],
        ["A", 2000, None, 1, "a", "#N/A"],
        ["B", 2000, None, 2.5, 3, "#N/A"],
        notes=[["something"]],
        labels=[["variable", "label"], ["2001", "a year"], ["alone"], ["mixed", None]],
    )
    panel = econ.read_panel(path)
    assert list(panel.data.columns) == ["province", "year", "2001", "mixed", "absent"]
    assert panel.data["absent"].isna().all()
    assert panel.data["2001"].tolist() == [1, 2.5]
    assert panel.data["mixed"].tolist() == ["a", 3]
    assert panel.labels == {"2001": "a year"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [["province", "year", "x"], ["A", 2000, "#DIV/0!"]],
            "cell C2 of .* holds the error #DIV/0!: mend its formula",
        ),
        ([["province", "year"], ["A", 2000, 1]], "column 3 of .* has no name: expected one in its first row"),
        ([["province", "year", "x", "x"], ["A", 2000, 1, 2]], "column 'x' stands more than once in"),
        ([["province", "year"]], "holds no rows"),
        ([], "holds no rows"),
    ],
)
def test_bad_sheets(tmp_path, rows, says):
    with pytest.raises(BadInputError, match=says) as caught:
        econ.read_panel(workbook(tmp_path / "bad.xlsx", *rows))
    assert "\n" not in str(caught.value)


def test_a_sheet_that_is_too_small():
    """1,048,576 rows, the header included; the limit is looked at before anything is written."""
    table = pd.DataFrame({"x": np.zeros(1_048_576, dtype=np.int8)})
    with pytest.raises(
        BadInputError, match=r"has 1,048,576 rows and 1 columns: a sheet of .xlsx holds 1,048,575 below"
    ):
        econ.write_panel(table, "never.xlsx")
    wide = pd.DataFrame(np.zeros((1, 16_385)), columns=[f"x{i}" for i in range(16_385)])
    with pytest.raises(BadInputError, match="16,385 columns"):
        econ.write_panel(wide, "never.xlsx")


def test_without_openpyxl(tmp_path, monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "openpyxl":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    (tmp_path / "panel.xlsx").write_bytes(b"")
    monkeypatch.setattr(builtins, "__import__", without)
    for call in (
        lambda: econ.write_panel(PANEL, tmp_path / "new.xlsx"),
        lambda: econ.read_panel(tmp_path / "panel.xlsx"),
    ):
        with pytest.raises(UsageError, match=r"openpyxl, which is not installed: pip install 'nightcore\[excel\]'"):
            call()


# --- labels -------------------------------------------------------------------------------------------------------


def test_labels_of_a_csv_stand_beside_it(tmp_path):
    path = tmp_path / "panel.csv"
    econ.write_panel(PANEL, path, LABELS | {"other": "not here"})
    assert labels_beside(path) == tmp_path / "panel.labels.csv"
    assert read_labels(labels_beside(path)) == LABELS
    econ.write_panel(PANEL, path)  # leaves them alone
    assert econ.read_panel(path).labels == LABELS


def test_parquet_has_labels_where_others_find_them(tmp_path):
    import pyarrow.parquet as pq

    econ.write_panel(PANEL, tmp_path / "panel.parquet", LABELS)
    schema = pq.read_schema(tmp_path / "panel.parquet")
    assert schema.field("gini").metadata[b"label"].decode() == LABELS["gini"]
    assert_same(pd.read_parquet(tmp_path / "panel.parquet"), PANEL)


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endings", "change", "says"),
    [
        (
            ["xlsx", "dta"],
            {"x": [2**53 + 1, 0, 0, 0]},
            "column 'x' holds whole numbers beyond 9,007,199,254,740,992 in 1",
        ),
        (["xlsx", "dta"], {"x": [-(2**63), 0, 0, 0]}, "whole numbers beyond"),
        (["xlsx", "dta"], {"x": [np.inf, 0, 0, -np.inf]}, r"holds infinite numbers in 2 of 4 rows \(row 1; row 4\)"),
        (["dta"], {"x": [9e307, 0, 0, 0]}, r"holds numbers beyond 9e\+307 in 1 of 4 rows"),
        (["xlsx"], {"x": pd.Timestamp("1899-12-31")}, "holds dates before 1900-03-01 in 4 of 4 rows"),
        (["xlsx"], {"x": "a" * 32_768}, "holds a text of 32,768 characters: a cell of .xlsx holds 32,767"),
        (["csv", "xlsx", "dta"], {"x": "a\0b"}, "with a zero byte in it"),
        (ENDINGS, {"x": pd.Series(["\ud800"] * 4, dtype=object)}, "which is no text of Unicode"),
        (ENDINGS, {"x": [1, "a", 2, 3]}, "column 'x' holds int and str; expected numbers, text"),
        (ENDINGS, {"x": [[1], [2], [3], [4]]}, "column 'x' holds list"),
        (ENDINGS, {"x": 1j}, "column 'x' holds complex128"),
        (ENDINGS, {"x": pd.Timestamp("2000-01-01", tz="UTC")}, "without a time zone"),
        (ENDINGS, {"x": pd.Timedelta(1, "D")}, "column 'x' holds timedelta64"),
        (["dta"], {"x" * 79: 1}, "has 79 characters: a .dta keeps 78 of them"),
        (["dta"], {"x": pd.Categorical(["a" * 32_001] * 4)}, "a category of column 'x' has 32,001 bytes"),
        (["csv", "xlsx", "dta"], {"a\0b": 1}, "a name of a column holds"),
    ],
)
def test_what_has_no_place(tmp_path, endings, change, says):
    for ending in endings:
        with pytest.raises(BadInputError, match=says) as caught:
            econ.write_panel(PANEL.assign(**change), tmp_path / f"panel.{ending}")
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_bad_panels(tmp_path, ending):
    path = tmp_path / f"panel.{ending}"
    for table, says in [
        (PANEL.iloc[:0], "the panel has no rows"),
        (PANEL[[]], "the panel has no rows"),
        (PANEL.rename(columns={"gini": 2000}), "column 3 is called 2000: expected a name of text"),
        (PANEL.rename(columns={"gini": ""}), "column 3 is called ''"),
        (PANEL.rename(columns={"gini": "year"}), "column 'year' stands more than once in the panel"),
    ]:
        with pytest.raises(BadInputError, match=says):
            econ.write_panel(table, path)
    with pytest.raises(UsageError, match="the label of column 'gini' is 5: expected text"):
        econ.write_panel(PANEL, path, {"gini": 5})
    with pytest.raises(BadInputError, match=r"cannot write .*folder"):
        econ.write_panel(PANEL, tmp_path / "nowhere" / path.name)
    econ.write_panel(PANEL.assign(year=2000), path)
    with pytest.raises(DuplicateError, match=r"occurs more than once in .*panel"):
        econ.read_panel(path)
    with pytest.raises(MissingColumnError, match=r"no column 'city' in .*panel"):
        econ.read_panel(path, entity="city")
    econ.write_panel(PANEL.assign(province=["A", None, "B", "C"]), path)
    with pytest.raises(BadInputError, match="column 'province' is empty in 1 of 4 rows"):
        econ.read_panel(path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"\x93\xff\x00\x01" * 50, b"<stata_dta><header><release>118</release>"])
def test_files_that_are_none(tmp_path, ending, content):
    path = tmp_path / f"panel.{ending}"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        econ.read_panel(path)
    assert str(path) in str(caught.value) or ending == "csv"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["xlsx", "dta", "parquet"])
def test_a_file_cut_short_is_refused(tmp_path, ending):
    path = tmp_path / f"panel.{ending}"
    econ.write_panel(PANEL, path)
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        with pytest.raises(BadInputError):
            econ.read_panel(path)


def test_a_workbook_without_its_sheets(tmp_path):
    with zipfile.ZipFile(tmp_path / "panel.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    with pytest.raises(BadInputError, match="cannot be read as xlsx"):
        econ.read_panel(tmp_path / "panel.xlsx")


def test_endings_and_paths(tmp_path):
    with pytest.raises(UsageError, match=r"ends in .parquet, .csv, .xlsx or .dta"):
        econ.write_panel(PANEL, tmp_path / "panel.xls")
    with pytest.raises(BadInputError, match=r"does not end in .parquet, .csv, .xlsx or .dta"):
        econ.read_panel(tmp_path / "panel.sav")
    with pytest.raises(BadInputError, match="there is no file"):
        econ.read_panel(tmp_path / "panel.dta")
    econ.write_panel(PANEL, tmp_path / "PANEL.DTA")
    assert_same(econ.read_panel(tmp_path / "PANEL.DTA").data, PANEL)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, ending):
    path = tmp_path / f"panel.{ending}"
    econ.write_panel(PANEL, path)
    before = path.read_bytes()

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ResourceError, match="free some space"):
        econ.write_panel(PANEL.iloc[:2], path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_econ_imports_no_spreadsheets():
    assert "openpyxl" not in vars(panel_files)
    assert sys.modules["econ.panel_files"] is panel_files


# --- command line -------------------------------------------------------------------------------------------------


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


@pytest.fixture
def sources(tmp_path):
    """Three tables and labels, in three formats."""
    econ.write_panel(PANEL[["province", "year", "gini"]], tmp_path / "a.csv", {"gini": "基尼系数"})
    econ.write_panel(PANEL[["province", "year", "open:market"]], tmp_path / "b.xlsx")
    other = PANEL[["province", "year"]].assign(forward=[1.0, 2, 3, 4])
    econ.write_panel(other, tmp_path / "c.dta", {"forward": "from Stata"})
    (tmp_path / "labels.csv").write_text("variable,label\nforward,前向联系\nnobody,\nspare,x\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("ending", ENDINGS)
def test_panel_joins_many_tables(capsys, sources, ending):
    out = sources / f"panel.{ending}"
    tables = [sources / name for name in ("a.csv", "b.xlsx", "c.dta")]
    options = ["--lag", "forward", "--lag", "open:market:1", "--lag", "gini:2", "--labels", sources / "labels.csv"]
    code, stdout, err = run(capsys, "panel", *tables, *options, "--out", out)
    assert (code, stdout) == (0, "")
    panel = econ.read_panel(out)
    assert list(panel.data.columns[2:]) == [
        *("gini", "open:market", "forward"),
        *("L1.forward", "L1.open:market", "L2.gini"),
    ]
    assert_array_equal(panel.data["L1.forward"], [np.nan, 1, np.nan, 3])
    assert panel.labels == {
        "gini": "基尼系数",
        "forward": "前向联系",
        "L1.forward": "前向联系 (L1)",
        "L2.gini": "基尼系数 (L2)",
    }
    assert f"econ: wrote 4 rows to {out}" in err
    assert "econ: 4 rows matched: 2 x province, 2 x year" in err
    assert "econ: no column for the label of spare" in err
    assert ("L1_forward in Stata" in err) == (ending == "dta")


def test_panel_prints_csv(capsys, sources):
    code, out, err = run(capsys, "panel", sources / "a.csv", sources / "c.dta")
    assert code == 0
    assert list(pd.read_csv(io.StringIO(out)).columns) == ["province", "year", "gini", "forward"]
    assert "gini: 3 of 4 rows" in err


def test_describe_prints_table_1(capsys, sources):
    code, out, err = run(capsys, "describe", sources / "a.csv")
    assert code == 0
    assert out == econ.to_text(econ.description_table(econ.describe(econ.read_panel(sources / "a.csv"))))
    assert "基尼系数" in out
    assert "econ: 4 rows: 2 x province, 2 x year" in err
    code, out, _ = run(capsys, "describe", sources / "c.dta", "--json", "--labels", sources / "labels.csv")
    assert json.loads(out) == [
        {
            "variable": "forward",
            "label": "前向联系",
            "n": 4,
            "mean": 2.5,
            "sd": 1.290994448735806,
            "min": 1.0,
            "max": 4.0,
        }
    ]


def test_describe_writes_files_by_their_endings(capsys, sources):
    names = ("t.txt", "t.tex", "t.html", "t.md", "t.csv", "t.json", "t.parquet")
    paths = [sources / name for name in names]
    code, out, err = run(
        capsys, "describe", sources / "c.dta", "--by-variation", "--columns", "forward", "--digits", 3, "--out", *paths
    )
    assert (code, out) == (0, "")
    table = econ.within_between(econ.read_panel(sources / "c.dta"), ["forward"])
    shown = econ.description_table(table, 3)
    for path, form in zip(paths, (econ.to_text, econ.to_latex, econ.to_html, econ.to_markdown), strict=False):
        assert path.read_text(encoding="utf-8") == form(shown)
        assert f"econ: wrote {path}" in err
    pd.testing.assert_frame_equal(pd.read_csv(sources / "t.csv"), table.reset_index())
    pd.testing.assert_frame_equal(pd.read_parquet(sources / "t.parquet"), table.reset_index())
    assert [row["part"] for row in json.loads((sources / "t.json").read_text())] == ["overall", "between", "within"]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["panel", "{a}", "{b}", "--lag", "forwrd"], 3, "no column 'forwrd' in the panel"),
        (["panel", "{a}", "{b}", "--lag", "gini", "--lag", "gini:1"], 3, "has the column 'L1.gini' already"),
        (["panel", "{a}", "{b}", "--lag", "gini:0"], 2, "cannot read --lag 'gini:0': expected COLUMN or COLUMN:K"),
        (["panel", "{a}", "{b}", "--lag", ":1"], 2, "cannot read --lag ':1'"),
        (["panel", "{a}", "{b}", "--lag", "gini", "--step", "0"], 2, "step is 0"),
        (["panel", "{a}", "{b}", "--labels", "{a}"], 3, "no column 'variable' in"),
        (["panel", "{a}", "{b}", "--out", "panel.sav"], 2, "cannot write panel.sav"),
        (["panel", "{a}", "{b}", "{a}"], 2, "a.csv is given twice"),
        (["panel", "{a}", "nowhere.dta"], 3, "there is no file nowhere.dta"),
        (["describe", "{a}", "--columns", "gin"], 3, "did you mean 'gini'?"),
        (["describe", "{a}", "--columns", "province"], 3, "column 'province' holds text"),
        (["describe", "{a}", "--entity", "city"], 3, "no column 'city'"),
        (["describe", "{a}", "--digits", "0"], 2, "digits is 0"),
        (["describe", "{a}", "--out", "t.docx"], 2, "cannot write t.docx: give a name that ends in .txt"),
    ],
)
def test_mistakes_are_one_sentence_and_a_code(capsys, sources, args, code, says):
    places = {"{a}": sources / "a.csv", "{b}": sources / "b.xlsx"}
    found, out, err = run(capsys, *(places.get(arg, arg) for arg in args))
    assert (found, out) == (code, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("args", [["panel", "a.csv"], ["describe"], ["describe", "a.csv", "--json", "--out", "b.csv"]])
def test_usage(args, capsys):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2


@pytest.mark.parametrize("command", ["panel", "describe"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"example:\n  econ {command} " in capsys.readouterr().out
