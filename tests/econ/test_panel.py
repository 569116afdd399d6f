"""Inequality joined with controls."""

import pandas as pd
import pytest

import econ
from econ.errors import BadInputError, MissingColumnError

INEQUALITY = pd.DataFrame(
    {"province": ["A", "A", "B", "B", "C"], "year": [2000, 2001, 2000, 2001, 2000], "gini": [0.1, 0.2, 0.3, 0.4, 0.5]}
)
CONTROLS = pd.DataFrame(
    {"province": ["B", "A", "A", "D", "B"], "year": [2001, 2000, 2001, 2000, 2002], "open": [4.0, 1.0, 2.0, 9.0, 5.0]}
)


def test_rows_that_both_have_and_an_account_of_the_others():
    panel = econ.join_panel(INEQUALITY, CONTROLS)
    assert panel.data.to_dict("list") == {
        "province": ["A", "A", "B"],
        "year": [2000, 2001, 2001],
        "gini": [0.1, 0.2, 0.4],
        "open": [1.0, 2.0, 4.0],
    }
    assert list(panel.only_inequality.itertuples(index=False, name=None)) == [("B", 2000), ("C", 2000)]
    assert list(panel.only_controls.itertuples(index=False, name=None)) == [("D", 2000), ("B", 2002)]
    assert panel.gaps == {"B": (2000,)}
    assert panel.report().split("\n") == [
        "3 rows matched: 2 x province, 2 x year",
        "2 rows only in inequality, left out: B, 2000; C, 2000",
        "2 rows only in controls, left out: D, 2000; B, 2002",
        "B has no row in 2000",
    ]


def test_nothing_to_report():
    panel = econ.join_panel(INEQUALITY, INEQUALITY.rename(columns={"gini": "open"}).query("province != 'C'"))
    assert panel.gaps == {}
    assert panel.only_controls.empty


@pytest.mark.parametrize(
    ("controls", "error", "says"),
    [
        (
            CONTROLS.rename(columns={"province": "prov"}),
            MissingColumnError,
            "no column 'province' in the table of contr",
        ),
        (
            CONTROLS.assign(year=2000),
            BadInputError,
            "more than once in the table of controls for 2 rows.*province A, year 2000",
        ),
        (CONTROLS.rename(columns={"open": "gini"}), BadInputError, "both tables have the column 'gini'"),
        (
            CONTROLS.assign(year=CONTROLS["year"].astype(str)),
            BadInputError,
            "no year is in both tables: .*2000.*'2000'",
        ),
        (
            CONTROLS.assign(province="A prov " + CONTROLS["province"]),
            BadInputError,
            "no province is in both tables: 'A'",
        ),
        (CONTROLS.assign(province=None), BadInputError, "'province' is empty in 5 of 5"),
        (CONTROLS.iloc[:0], BadInputError, "the table of controls has no rows"),
        (CONTROLS.query("year == 2002").assign(province="A"), BadInputError, "no year is in both"),
        (
            pd.DataFrame({"province": ["C", "A"], "year": [2001, 2005], "open": 1.0}),
            BadInputError,
            r"no \(province, year\) is in both",
        ),
    ],
)
def test_bad_tables(controls, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.join_panel(INEQUALITY, controls)
    assert "\n" not in str(caught.value)
