"""Formulas: lags, leads and differences by time, instruments in brackets, what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import econ
from econ.errors import BadInputError, MissingColumnError, UsageError
from econ.estimators.formula import read
from econ.estimators.sample import draw_sample


@pytest.mark.parametrize(
    ("formula", "exogenous"),
    [
        ("y ~ L.x + k", ["L1.x", "k"]),
        ("y ~ L2.x", ["L2.x"]),
        ("y ~ L(1/2).x", ["L1.x", "L2.x"]),
        ("y ~ L(0/1).x", ["x", "L1.x"]),
        ("y ~ L(1 3).x", ["L1.x", "L3.x"]),
        ("y ~ L(2, 1).x", ["L2.x", "L1.x"]),
        ("y ~ L(-1/1).x", ["F1.x", "x", "L1.x"]),
        ("y ~ F2.x + D.x + D2.x", ["F2.x", "D1.x", "D2.x"]),
        ("y ~ L.D.x", ["L1.D1.x"]),
        ("y ~ L.ln(x) + ln(L.x)", ["L1.ln(x)", "ln(`L1.x`)"]),
        ("y ~ L(0/1).ln(x)", ["ln(x)", "L1.ln(x)"]),
        ("y ~ L(1/2).x:k", ["L1.x:k", "L2.x:k"]),
        ("y ~ L.`x per head`", ["L1.x per head"]),
        ("y ~ ln(x + L.k)", ["ln(x + `L1.k`)"]),
        ("y ~ [x ~ L(2/3).x]", []),
    ],
)
def test_names_of_terms(formula, exogenous):
    found = [str(term) for term in read(formula).exogenous if str(term) != "1"]
    assert found == exogenous


def test_parts_of_a_bracket():
    equation = read("D.y ~ k + [L.x + w ~ L(2/3).x + z] + C(region)")
    sides = [[str(term) for term in side if str(term) != "1"] for side in equation.sides]
    assert sides == [["D1.y"], ["k", "C(region)"], ["L1.x", "w"], ["L2.x", "L3.x", "z"]]
    assert [shift.name for shift in equation.shifts] == ["D1.y", "L1.x", "L2.x", "L3.x"]


@pytest.fixture
def gappy():
    """Two entities, one without the year 2002, in no order."""
    table = pd.DataFrame(
        {
            "province": ["a"] * 4 + ["b"] * 5,
            "year": [2000, 2001, 2003, 2004, 2000, 2001, 2002, 2003, 2004],
            "x": [1.0, 2, 4, 8, 16, 32, 64, 128, 256],
            "y": np.arange(9.0) ** 2,
        }
    )
    return table.sample(frac=1, random_state=3)


@pytest.mark.parametrize(
    ("term", "values"),
    [
        ("L.x", {("a", 2001): 1, ("a", 2004): 4, ("b", 2001): 16, ("b", 2002): 32, ("b", 2003): 64, ("b", 2004): 128}),
        ("L2.x", {("a", 2003): 2, ("b", 2002): 16, ("b", 2003): 32, ("b", 2004): 64}),
        ("F.x", {("a", 2000): 2, ("a", 2003): 8, ("b", 2000): 32, ("b", 2001): 64, ("b", 2002): 128, ("b", 2003): 256}),
        ("D2.x", {("b", 2002): 16, ("b", 2003): 32, ("b", 2004): 64}),
        ("L.D.x", {("b", 2002): 16, ("b", 2003): 32, ("b", 2004): 64}),
        (
            "L2.ln(x)",
            {k: np.log(v) for k, v in {("a", 2003): 2, ("b", 2002): 16, ("b", 2003): 32, ("b", 2004): 64}.items()},
        ),
    ],
)
def test_gaps_are_gaps(gappy, term, values):
    """Lags go by the year, not by the row, and whatever the order of the rows is."""
    sample = draw_sample(gappy, f"y ~ {term}", "province", "year")
    keys = zip(sample.keys["province"].take(sample.entity), sample.keys["year"].take(sample.time), strict=True)
    assert dict(zip(keys, sample.exogenous.values[:, 0], strict=True)) == values


def test_periods_of_five_years(gappy):
    table = gappy.assign(year=2000 + (gappy["year"] - 2000) * 5)
    assert draw_sample(table, "y ~ L.x", "province", "year", step=5).n == 6
    with pytest.raises(BadInputError, match="not whole steps of 4"):
        econ.fit(table, "y ~ L.x", "pooled", step=4)


def test_a_column_that_is_called_like_a_lag_is_taken_as_it_stands(gappy):
    table = gappy.assign(**{"L1.x": -gappy["x"]})
    sample = draw_sample(table, "y ~ L1.x + L2.x", "province", "year")
    assert sample.exogenous.names == ("L1.x", "L2.x")
    assert (sample.exogenous.values[:, 0] < 0).all()


def test_minmax_is_over_the_rows_used(gappy):
    table = gappy.assign(z=np.where(gappy["x"] == 256, np.nan, 1.0) * gappy["y"])
    sample = draw_sample(table, "y ~ minmax(x) + z", "province", "year")
    assert_array_equal(np.sort(sample.exogenous.values[:, 0])[[0, -1]], [0, 1])


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ ln(L(1/2).x)", r"several lags in one call of a function \(L\(1/2\).x\).*L\(1/2\).ln\(x\)"),
        ("y ~ L(1/2).D(1/2).x", "a list inside"),
        ("y ~ L.(x + k)", "write it before every variable"),
        ("y ~ L(a).x", "lags 'a': expected whole numbers"),
        ("y ~ D(-1).x", "difference of order -1"),
        ("y ~ L999.x", "order 999: expected at most 100"),
        ("y ~ L.ln(x", "bracket is not closed"),
        ("y ~ [x ~ z", "brackets that cannot be read"),
        ("y ~ [x ~ z] + [k ~ w]", "brackets that cannot be read"),
        ("y ~ [x + ~ z]", "cannot be read"),
        ("y ~ [x ~ 1]", "bracket without variables"),
        ("y ~ L.x**2", r"write I\(x\*\*2\)"),
    ],
)
def test_what_cannot_be_read_is_said(formula, says):
    with pytest.raises(UsageError, match=says) as caught:
        read(formula)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "error", "says"),
    [
        ("gini ~ L.forwrd", MissingColumnError, "no column 'forwrd'.*did you mean 'forward'"),
        ("gini ~ L.region", BadInputError, "'region' holds text"),
        ("gini ~ L.minmax(forward)", UsageError, r"minmax\(L.x\)"),
        ("gini ~ L.lag(forward)", UsageError, "uses lag in"),
        ("gini ~ forward + [forward ~ backward]", UsageError, "'forward' stands in two places"),
        ("gini ~ L.ln(forward - 9)", BadInputError, r"L1.ln\(forward - 9\) is not a finite number in 84 of 84 rows"),
    ],
)
def test_what_cannot_be_evaluated_is_said(panel, formula, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.fit(panel, formula, "iv" if "[" in formula else "fe")
    assert "\n" not in str(caught.value)


def test_lags_need_a_panel(panel):
    with pytest.raises(UsageError, match=r"L1.forward goes by time: name the columns"):
        econ.fit(panel, "gini ~ L.forward", "pooled", time=None)
