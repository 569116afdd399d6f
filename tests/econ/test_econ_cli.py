"""The command `econ`: results on stdout, words on stderr, exit codes."""

import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import econ
from econ.cli import main

CITY = """zone,year,province,mean
01,2000,NA,3.5
02,2000,NA,10.25
03,2000,NA,0.5
04,2000,007,4
"""


@pytest.fixture
def city(tmp_path):
    path = tmp_path / "city.csv"
    path.write_text(CITY, encoding="utf-8")
    return path


@pytest.fixture
def panel_csv(tmp_path, panel):
    path = tmp_path / "panel.csv"
    panel.to_csv(path, index=False)
    return path


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_inequality_prints_csv(capsys, city):
    """Naples is a province, and 007 keeps its zeros."""
    code, out, err = run(capsys, "inequality", city)
    table = pd.read_csv(io.StringIO(out), dtype={"province": str}, keep_default_na=False)
    assert code == 0
    assert table[["province", "n", "reason"]].to_numpy().tolist() == [["007", 1, "one unit"], ["NA", 3, ""]]
    assert float(table["gini"][1]) == econ.gini([3.5, 10.25, 0.5])
    assert "2 regions and periods, 1 without a Gini; Atkinson epsilon 0.5" in err
    assert "1 without a Gini: one unit" in err


def test_inequality_prints_json(capsys, city):
    code, out, _ = run(capsys, "inequality", city, "--json", "--epsilon", "2")
    rows = json.loads(out)
    assert code == 0
    assert rows[0]["gini"] is None
    np.testing.assert_allclose(rows[1]["atkinson"], econ.atkinson([3.5, 10.25, 0.5], 2), rtol=1e-14)  # 15 decimals


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_inequality_writes_files_and_reads_parquet(capsys, tmp_path, city, ending):
    source, out = tmp_path / "city.parquet", tmp_path / f"table.{ending}"
    pd.read_csv(city, dtype={"zone": str, "province": str}, keep_default_na=False).to_parquet(source)
    code, stdout, err = run(capsys, "inequality", source, "--out", out)
    assert (code, stdout) == (0, "")
    assert f"wrote 2 rows to {out}" in err
    assert list(tmp_path.glob(".*")) == []  # no draft is left
    table = pd.read_csv(out, keep_default_na=False) if ending == "csv" else pd.read_parquet(out)
    assert table["n"].tolist() == [1, 3]


def test_regress_prints_the_table_of_the_library(capsys, panel_csv, panel):
    estimate = econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster="province")
    table = econ.regression_table([estimate])
    common = ("regress", panel_csv, "gini ~ forward + backward", "--cov", "cluster", "--cluster", "province")
    for form in ("text", "latex", "html", "markdown", "csv"):
        code, out, err = run(capsys, *common, "--format", form)
        assert code == 0
        assert out == getattr(econ, f"to_{form}")(table)
        assert "12 clusters in province" in err
    code, out, _ = run(capsys, *common, "--format", "summary")
    assert out == estimate.summary() + "\n"
    code, out, _ = run(capsys, *common, "--json")
    assert json.loads(out)[0]["coefficients"]["forward"]["se"] == estimate.std_errors["forward"]


def test_regress_writes_files_by_their_endings(capsys, panel_csv, panel, tmp_path):
    names = ("table.txt", "table.tex", "table.html", "table.md", "table.csv", "table.json")
    common = ["regress", panel_csv, "gini ~ forward", "--cov", "classical", "cluster", "--cluster", "province"]
    code, stdout, err = run(capsys, *common, "--out", *(tmp_path / name for name in names))
    assert (code, stdout) == (0, "")
    estimates = [
        econ.fit(panel, "gini ~ forward", cov="classical"),
        econ.fit(panel, "gini ~ forward", cov="cluster", cluster="province"),
    ]
    table = econ.regression_table(estimates)
    forms = (econ.to_text, econ.to_latex, econ.to_html, econ.to_markdown, econ.to_csv)
    for name, form in zip(names[:-1], forms, strict=True):
        assert (tmp_path / name).read_text(encoding="utf-8") == form(table)
        assert f"wrote {tmp_path / name}" in err
    found = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert [one["coefficients"]["forward"]["se"] for one in found] == [e.std_errors["forward"] for e in estimates]


def test_panel_joins_and_says_what_did_not_match(capsys, tmp_path):
    (tmp_path / "inequality.csv").write_text("province,year,gini\nAsh,2000,0.1\nAsh,2001,0.2\nElm,2000,0.3\n")
    (tmp_path / "controls.csv").write_text("province,year,open\nAsh,2000,1\nAsh,2001,2\nFir,2000,3\n")
    out = tmp_path / "panel.csv"
    code, _, err = run(capsys, "panel", tmp_path / "inequality.csv", tmp_path / "controls.csv", "--out", out)
    assert code == 0
    assert out.read_text() == "province,year,gini,open\nAsh,2000,0.1,1\nAsh,2001,0.2,2\n"
    assert "1 rows only in inequality, left out: Elm, 2000" in err
    assert "1 rows only in controls, left out: Fir, 2000" in err


def test_a_crosswalk_says_where_units_belong(capsys, tmp_path):
    (tmp_path / "city.csv").write_text("zone,year,mean\n01,2000,1\n02,2000,3\n10,2000,5\n")
    (tmp_path / "regions.csv").write_text("code,region\n01,North\n02,North\n10,South\n")
    common = ["inequality", tmp_path / "city.csv", "--by", "region", "--crosswalk", tmp_path / "regions.csv"]
    code, out, _ = run(capsys, *common, "--json")
    assert code == 0
    # two units of 1 and 3: |1 - 3| * 2 / (2 * 4 * 2) = 0.25
    assert [(row["region"], row["n"], row["gini"]) for row in json.loads(out)] == [
        ("North", 2, 0.25),
        ("South", 1, None),
    ]
    for text, says in (
        ("code,region\n01,North\n02,North\n", "does not name 1 of the 3 units, first '10'"),
        ("code,region\n01,North\n01,South\n", "occurs more than once in the crosswalk"),
        ("code,year\n01,1\n", "has the column 'year' already"),
        ("code\n01\n", "has one column only"),
    ):
        (tmp_path / "regions.csv").write_text(text)
        code, _, err = run(capsys, *common)
        assert code == 3
        assert says in err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["inequality", "{city}", "--by", "provnce"], 3, "did you mean 'province'"),
        (["inequality", "{city}", "--value", "zone2"], 3, "no column 'zone2'"),
        (["inequality", "nowhere.csv"], 3, "there is no file nowhere.csv"),
        (["inequality", "table.xlsx"], 3, "does not end in .csv or .parquet"),
        (["inequality", "{city}", "--epsilon", "-1"], 2, "epsilon is -1"),
        (["inequality", "{city}", "--out", "table.xlsx"], 2, "cannot write table.xlsx"),
        (["inequality", "{city}", "--out", "no/such/folder/table.csv"], 3, "check that the folder is there"),
        (["inequality", "{city}", "--json", "--out", "x.csv"], 2, "choose one of them"),
        (["inequality", "{latin}"], 3, "is not UTF-8"),
        (["inequality", "{empty}"], 3, "cannot be read as csv"),
        (["inequality", "{header}"], 3, "holds no rows"),
        (["inequality", "{fake}"], 3, "cannot be read as parquet"),
        (["regress", "{panel}", "gini ~ forwrd"], 3, "did you mean 'forward'"),
        (["regress", "{panel}", "gini ~ forward", "--cov", "cluster"], 2, "pass cluster='province'"),
        (["regress", "{panel}", "gini ~ forward", "--format", "docx"], 2, "no format 'docx'"),
        (["regress", "{panel}", "gini ~ forward", "--out", "x.docx"], 2, "cannot write x.docx"),
        (["regress", "{panel}", "gini ~ forward", "--estimator", "olss"], 2, "no estimator 'olss'"),
        (["regress", "{panel}", "gini ~ forward", "--estimator", "iv"], 2, "has no instruments"),
        (["regress", "{panel}", "gini ~ forward", "--option", "fuller"], 2, "expected NAME=VALUE"),
        (["regress", "{panel}", "gini ~ forward", "--hausman"], 2, "pass --estimator fe re"),
    ],
)
def test_mistakes_are_one_sentence_and_a_code(capsys, tmp_path, city, panel_csv, args, code, says):
    files = {
        "latin": "zone,year,province,mean\n1,2000,Attikí,1\n".encode("latin-1"),
        "empty": b"",
        "header": b"zone,year,province,mean\n",
        "fake": b"zone,year\n",
    }
    paths = {"city": city, "panel": panel_csv}
    for name, content in files.items():
        paths[name] = tmp_path / f"{name}.{'parquet' if name == 'fake' else 'csv'}"
        paths[name].write_bytes(content)
    found, out, err = run(capsys, *(arg.format(**paths) for arg in args))
    assert (found, out) == (code, "")
    assert says in err
    assert err.startswith("econ: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "args", [[], ["inequality"], ["regress", "x.csv"], ["inequality", "x.csv", "--wrong"], ["fly"]]
)
def test_usage_mistakes_exit_2(capsys, args):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2


@pytest.mark.parametrize("args", [["--help"], ["inequality", "--help"], ["panel", "--help"], ["regress", "--help"]])
def test_help_has_an_example(capsys, args):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 0
    assert "example:\n  econ " in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from econ.cli import parser; parser().format_help(); "
        "print(sorted({'numpy', 'pandas', 'scipy', 'linearmodels'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("raised", "code", "says"), [(KeyboardInterrupt, 7, "interrupted"), (MemoryError, 5, "memory")]
)
def test_interruption_and_memory(capsys, monkeypatch, city, raised, code, says):
    def stop(*_):
        raise raised

    monkeypatch.setattr("econ.frames.read_table", stop)
    found, _, err = run(capsys, "inequality", city)
    assert found == code
    assert says in err


def test_full_disk(capsys, monkeypatch, city, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    code, _, err = run(capsys, "inequality", city, "--out", tmp_path / "x.csv")
    assert code == 5
    assert "free some space" in err


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    """A pipe holds 64 KiB; `true` reads none of the table."""
    city = tmp_path / "city.csv"
    rows = "".join(f"{zone},{year},p{zone % 97},{zone * 7 % 31}\n" for zone in range(970) for year in range(20))
    city.write_text("zone,year,province,mean\n" + rows, encoding="utf-8")
    command = f"set -o pipefail; {sys.executable} -m econ.cli inequality {city} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Error" not in done.stderr
