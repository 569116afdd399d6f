"""The commands of `econ.commands`: each prints what the function gives, and says what is wrong in one sentence."""

import io

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import econ
from econ.cli import main

EXACT = 1e-12  # a table read back has all its digits; sums may be in another order, since names are text


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def same(out, expected):
    read = pd.read_csv(io.StringIO(out))
    if "reason" in read:
        read["reason"] = read["reason"].astype(object).where(read["reason"].notna(), "")
    assert_frame_equal(read, expected.reset_index(drop=True), check_dtype=False, rtol=EXACT)


@pytest.fixture
def city():
    rows = [
        (f"z{z:02d}", year, f"P{z % 3}", (z * 7 + year) % 11, z + 1.0, z, 1 + z % 4, 1 + z * 3 % 5)
        for z in range(12)
        for year in (2000, 2001)
    ]
    columns = ["zone", "year", "province", "mean", "people", "cells", "farms", "industry"]
    return pd.DataFrame(rows, columns=columns).astype({"mean": float})


@pytest.fixture
def csv(tmp_path):
    def write(table, name="table.csv", encoding="utf-8"):
        table.to_csv(tmp_path / name, index=False, encoding=encoding)
        return tmp_path / name

    return write


def test_sensitivity(capsys, city, csv):
    path = csv(city.assign(held=city["mean"] + 1))
    choices = ("--weights", "none", "people", "--size", "cells", "--least", "0", "3", "--zeros", "keep", "0.5")
    code, out, err = run(capsys, "sensitivity", path, "--value", "mean", "--value", "held", *choices)
    assert code == 0
    expected = econ.sensitivity(
        city.assign(held=city["mean"] + 1),
        value=["mean", "held"],
        weights=[None, "people"],
        size="cells",
        least=[0, 3],
        zeros=["keep", 0.5],
    )
    same(out, expected.assign(weights=expected["weights"].fillna("none"), zeros=expected["zeros"].astype(str)))
    assert "econ: 16 combinations, mean gini " in err


def test_one_combination_is_the_baseline(capsys, city, csv):
    code, out, _ = run(capsys, "sensitivity", csv(city))
    assert code == 0
    assert out.splitlines()[1].startswith("mean,none,0.0,keep,6,24,")


@pytest.mark.parametrize("options", [{}, {"rank": "people", "weights": "cells"}])
def test_curves(capsys, city, csv, options):
    given = [part for name, column in options.items() for part in (f"--{name}", column)]
    code, out, err = run(capsys, "curves", csv(city), *given)
    assert code == 0
    same(out, econ.regional_curves(city, **options))
    assert "econ: 6 curves, 0 missing" in err


def test_sources(capsys, city, csv):
    code, out, err = run(capsys, "sources", csv(city), "--source", "farms", "--source", "industry", "--index", "theil")
    assert code == 0
    same(out, econ.shapley_sources(city, ["farms", "industry"], "theil", by="province"))
    assert "econ: theil, mean share: farms " in err


def test_crosswalk(capsys, city, csv):
    units = pd.DataFrame(
        {
            "unit": sorted(city["zone"].unique()),
            "year_from": None,
            "year_to": None,
            "stable": [f"S{z % 6}" for z in range(12)],
        }
    )
    args = (csv(city), csv(units, "units.csv"), "--sums", "people", "--means", "mean=cells", "--keep", "province")
    code, out, err = run(capsys, "crosswalk", *args)
    assert code == 0
    same(out, econ.apply_crosswalk(city, units, ["people"], {"mean": "cells"}, ["province"]))
    assert "24 rows of 12 units, 6 of them stable" in err
    code, out, err = run(capsys, "crosswalk", *args[:2], "--means", "mean")
    assert (code, out) == (2, "")
    assert "cannot read --means 'mean': expected COLUMN=WEIGHT" in err


def test_provinces(capsys, tmp_path, csv):
    code, out, _ = run(capsys, "provinces")
    assert code == 0
    table = pd.read_csv(io.StringIO(out), dtype=str)
    assert table["english"].tolist() == econ.province_table()["english"].tolist()
    assert table.set_index("english").at["Hong Kong", "neighbours"] == "44"
    yearbook = pd.DataFrame({"地区": ["陕西", "北　京"], "x": [1, 2]})
    path = csv(yearbook, encoding="gb18030")
    code, out, err = run(capsys, "provinces", path, "--column", "地区")
    assert (code, out) == (3, "")
    assert "--encoding gb18030" in err
    code, out, err = run(capsys, "provinces", path, "--column", "地区", "--encoding", "gb18030")
    assert (code, out) == (0, "地区,x\nShaanxi,1\nBeijing,2\n")
    assert "2 provinces, 2 spellings changed to english" in err
    csv(pd.DataFrame({"province": ["陕西", "Nowhere"]}))
    code, out, err = run(capsys, "provinces", path)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "'Nowhere'" in err


BASE = pd.DataFrame({"province": list("AAABB"), "year": [2008, 2009, 2010, 2008, 2009], "index": [5.0, 6, 7, 3, 4]})
OTHER = pd.DataFrame({"province": list("AAABBB"), "year": [2007, 2008, 2009] * 2, "index": [10.0, 11, 12, 6, 7, 9]})


def test_splice(capsys, tmp_path, csv):
    paths = (csv(BASE, "base.csv"), csv(OTHER, "other.csv"))
    factors = tmp_path / "factors.csv"
    args = ("--method", "ratio", "--overlap", "2008", "2009", "--factors", factors)
    code, out, err = run(capsys, "controls", "splice", *paths, *args)
    assert code == 0
    expected = econ.splice(BASE, OTHER, "ratio", [2008, 2009])
    same(out, expected.data)
    same(factors.read_text(), expected.factors)
    assert "spliced by ratio over 2008, 2009, factors by entity: 5 rows as given, 2 converted" in err
    code, out, err = run(capsys, "controls", "splice", *paths, "--method", "ratio", "--overlap", "2010")
    assert (code, out) == (3, "")
    assert "the overlap 2010 is not complete" in err


RAW = pd.DataFrame({"province": ["A", "B"], "year": 2000, "road": [1.0, 4], "rail": [2, None], "area": [3.0, 6]})


def test_ratio_and_density(capsys, csv):
    path = csv(RAW.assign(gdp=[0, 2.0]))
    code, out, err = run(
        capsys, "controls", "ratio", path, "--numerator", "road", "--denominator", "gdp", "--name", "r"
    )
    assert (code, out) == (0, "province,year,r,reason\nA,2000,,gdp is 0\nB,2000,2.0,\n")
    assert "econ: unit: as given; 1 of 2 missing\necon: 1 missing: gdp is 0\n" in err
    units = ("--unit", "10000 km", "--area-unit", "10000 km2")
    code, out, err = run(capsys, "controls", "density", path, "--quantity", "road", "rail", "--area", "area", *units)
    assert (code, out) == (0, "province,year,density,reason\nA,2000,100.0,\nB,2000,,rail missing\n")
    assert "econ: unit: km per 100 km2; 1 of 2 missing" in err


def test_minmax_and_interactions(capsys, csv):
    path = csv(RAW)
    code, out, err = run(capsys, "controls", "minmax", path, "--column", "road")
    assert (code, out) == (0, "province,year,road\nA,2000,0.0\nB,2000,1.0\n")
    assert "road: 1 to 4 become 0 to 1" in err
    code, out, _ = run(capsys, "controls", "minmax", path, "--column", "road", "--bounds", "0", "4")
    assert (code, out) == (0, "province,year,road\nA,2000,0.25\nB,2000,1.0\n")
    for how in ("components", "product", "none"):
        code, out, _ = run(
            capsys, "controls", "minmax", path, "--column", "road", "--with", "area", "--standardise", how
        )
        assert code == 0
        product = econ.interaction(RAW, "road", "area", how)
        assert pd.read_csv(io.StringIO(out))["road:area"].tolist() == product.tolist()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["sensitivity", "{path}", "--least", "3"], 2, "size does not name their column"),
        (["sensitivity", "{path}", "--weights", "peopl"], 3, "did you mean 'people'"),
        (["sensitivity", "{path}", "--zeros", "ignore"], 2, "zeros is 'ignore'"),
        (["curves", "{path}", "--rank", "province"], 3, "'province' holds text"),
        (["curves", "{path}", "--by", "year"], 2, "two columns 'year'"),
        (["sources", "{path}", "--source", "farms"], 2, "the sources are farms: expected 2 to 12"),
        (["provinces", "{path}", "--to", "klingon"], 2, "no spelling 'klingon'"),
        (["controls", "ratio", "{path}", "--numerator", "farms", "--denominator", "gdp"], 3, "no column 'gdp'"),
        (
            ["controls", "density", "{path}", "--quantity", "farms", "--area", "cells", "--per", "-1"],
            2,
            "positive area",
        ),
        (["controls", "minmax", "{path}", "--column", "farms", "--with", "cells"], 2, "give both"),
        (["controls", "minmax", "{path}", "--column", "year"], 2, "'year' is a key"),
        (["controls", "minmax", "{path}", "--column", "farms", "--key", "nope"], 3, "no column 'nope'"),
        (["inequality", "{path}", "--se", "bootstrap", "--seed", "-1"], 2, "rng is -1"),
        (["inequality", "{path}", "--encoding", "klingon"], 2, "no encoding 'klingon'"),
        (["inequality", "{folder}"], 3, "is a folder"),
        (["curves", "nowhere.csv"], 3, "there is no file"),
    ],
)
def test_mistakes_are_one_sentence_and_a_code(capsys, city, csv, tmp_path, args, code, says):
    (tmp_path / "folder.csv").mkdir()
    paths = {"path": csv(city), "folder": tmp_path / "folder.csv"}
    found, out, err = run(capsys, *(arg.format(**paths) for arg in args))
    assert (found, out) == (code, "")
    assert says in err
    assert err.startswith("econ: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        *("sensitivity", "curves", "sources", "crosswalk", "provinces"),
        *("controls splice", "controls ratio", "controls density", "controls minmax"),
    ],
)
def test_help_shows_an_example(capsys, command):
    with pytest.raises(SystemExit) as done:
        main([*command.split(), "--help"])
    assert done.value.code == 0
    assert f"example:\n  econ {command} " in capsys.readouterr().out


# --- files as they come from outside: faults 60 to 63 --------------------------------------------------------------

HEADER = "zone,year,province,mean\n"
ROWS = "a,2000,p,1\nb,2000,p,3\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("zone,year,province,mean,mean\na,2000,p,1,9\n", "'mean' stands more than once"),
        (HEADER + ROWS.replace("\n", ",\n"), "has 5 cells in its rows and 4 names in its header"),
        (HEADER + "a,2000,p,1\nb,2000,p,3,\n", "cannot be read as csv"),
        ("# lights\n" + HEADER + ROWS, "has 4 cells in its rows and 1 names"),
        ((HEADER + ROWS).replace(",", ";"), "is separated by semicolons, expected commas"),
        ((HEADER + ROWS).replace(",", "\t"), "is separated by tabs"),
        ((HEADER + ROWS).encode("utf-16"), "is not UTF-8 but UTF-16: read it with encoding='utf-16'"),
        (HEADER + "a,2000,p,1\nb,20x0,p,3\n", "'year' holds '20x0' beside numbers such as '2000'"),
        (HEADER + "a,2000,p,1\nb,2000,p ,3\n", "holds 'p ' and 'p', which look alike"),
        (HEADER + "a,2000,p,1\nb,2000,ｐ,3\n", "holds 'ｐ' and 'p', which look alike"),
        (HEADER + "a,2000,p\0,1\nb,2000,p,3\n", "which look alike"),
        (HEADER + 'a,2000,p,"1,5"\nb,2000,p,3\n', "'mean' holds text in 1 of 2 rows, first '1,5'"),
        (HEADER + "a,2000,p,=1+1\nb,2000,p,3\n", "'mean' holds text in 1 of 2 rows, first '=1+1'"),
        (HEADER + "a,2000,p,-1\nb,2000,p,3\n", "'mean' is negative in 1 of 2 rows (zone a, year 2000)"),
        (HEADER + "a,2000,p,1\na,2000,p,3\n", "(zone, year) occurs more than once"),
        (HEADER + "a,2000,p,1e400\nb,2000,p,3\n", "'mean' is infinite"),
        ("", "cannot be read as csv"),
        ("<html>404</html>", "holds no rows"),
    ],
)
@pytest.mark.parametrize("command", ["inequality", "decompose", "curves"])
def test_files_that_would_be_misread_are_refused(capsys, tmp_path, command, content, says):
    path = tmp_path / "city.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run(capsys, command, path)
    assert (code, out) == (3, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + "a,2000,p,1\n", "one unit"),
        (HEADER + "a,2000,p,0\nb,2000,p,0\n", "all units are dark"),
        (HEADER + "a,2000,p,\nb,2000,p,\n", "all units missing"),
    ],
)
def test_what_is_undefined_is_counted_by_reason(capsys, tmp_path, content, reason):
    """Fault 63."""
    (tmp_path / "city.csv").write_text(content)
    code, out, err = run(capsys, "inequality", tmp_path / "city.csv", "--indices", "gini")
    assert code == 0
    assert out.endswith(f",,{reason}\n")
    assert f"1 regions and periods, 1 without a Gini; Atkinson epsilon 0.5\necon: 1 without a Gini: {reason}\n" in err


@pytest.mark.parametrize("sink", ["stdout", "out"])
def test_cells_that_a_spreadsheet_would_run_are_guarded(capsys, tmp_path, sink):
    """Fault 61: on stdout as well, which ends in a file as often."""
    path = tmp_path / "city.csv"
    path.write_text(HEADER + "a,2000,=cmd(),1\nb,2000,=cmd(),3\n")
    out = tmp_path / "out.csv"
    code, printed, _ = run(capsys, "inequality", path, *(("--out", out) if sink == "out" else ()))
    assert code == 0
    assert "\n'=cmd(),2000,2,0.25," in (printed or out.read_text())
