"""The whole line on generated worlds, as a user runs it."""

import json
import re

import pandas as pd
import pytest

from nightcore.cli import main
from nightcore.demo import in_words, recovered

FILES = (
    *("report.html", "city_lights.csv", "city_lights.csv.provenance.json", "coefficients.csv", "compare.csv"),
    *("inequality.csv", "panel.csv", "regression.txt", "regression.tex", "regression.html", "regression.json"),
)


@pytest.fixture(scope="module", params=[7, 8, 9])
def run(request, tmp_path_factory):
    """(folder, what --json printed) of the demo for one seed."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("demo") / "out"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["demo", "--out", str(folder), "--seed", str(request.param), "--json"]) == 0
    return folder, json.loads(out.getvalue())


def test_planted_coefficients_lie_in_their_intervals(run):
    _, summary = run
    assert [row["name"] for row in summary["coefficients"]] == ["forward", "backward", "openness"]
    for row in summary["coefficients"]:
        assert row["low"] <= row["planted"] <= row["high"], row
    assert summary["recovered"] is True


def test_calibration_brings_satellites_together(run):
    _, summary = run
    # the raw world is made to differ as the real series does (0.10); what is left are 6-bit steps and noise
    assert summary["ndi"]["raw"] > 0.05
    assert summary["ndi"]["cao2015"] < 0.01


def test_every_file_is_there_and_tells_the_same(run):
    folder, summary = run
    assert all((folder / name).stat().st_size for name in FILES)
    inequality = pd.read_csv(folder / "inequality.csv")
    alone = inequality[inequality["gini"].isna()]
    assert alone["province"].nunique() == 4
    assert (alone["reason"] == "one unit").all()
    assert len(pd.read_csv(folder / "panel.csv")) == 16 * 22
    page = (folder / "report.html").read_text(encoding="utf-8")
    for row in summary["coefficients"]:
        assert f"{row['estimate']:+.3f}" in page
        assert f"{row['planted']:+.3f}" in page
    estimate = json.loads((folder / "regression.json").read_text(encoding="utf-8"))[0]
    assert estimate["nobs"] == 12 * 22


def test_the_report_is_self_contained(run):
    page = (run[0] / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'src="data:image/png;base64,', page)) == 5
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<img ") == page.count(' alt="')  # every picture says what it shows
    assert "nightcore" in page
    provenance = json.loads((run[0] / "city_lights.csv.provenance.json").read_text(encoding="utf-8"))
    for key in (provenance["store_sha256"], provenance["coverage"]["sha256"]):
        assert key in page


def test_a_miss_is_said():
    """A coefficient outside its interval is neither hidden nor called recovered."""
    estimate = {"coefficients": {"forward": {"coef": 1.0, "se": 0.1, "lower": 0.8, "upper": 1.2}}}
    (row,) = recovered(estimate, {"forward": 0.5})
    assert row["inside"] is False
    text = in_words({"coefficients": [row], "recovered": False, "ndi": {}, "seconds": 1, "report": "r.html"}, "")
    assert "OUTSIDE the interval" in text
    assert "not every planted coefficient" in text


@pytest.mark.parametrize("run", [7], indirect=True)
def test_the_demo_runs_again_in_its_own_folder(run, capsys):
    folder, first = run
    before = (folder / "city_lights.csv").read_bytes()
    assert main(["demo", "--out", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["coefficients"] == first["coefficients"]
    assert (folder / "city_lights.csv").read_bytes() == before
