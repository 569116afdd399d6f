"""Inequality joined with controls; lags, balance and description of the panel."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import econ
from econ.errors import BadInputError, DuplicateError, MissingColumnError, UsageError

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


# --- time ---------------------------------------------------------------------------------------------------------

GAPS = pd.DataFrame(
    {
        "province": ["B", "A", "A", "A", "B", "A"],
        "year": [2001, 2004, 2000, 2001, 2000, 2002],
        "x": [20.0, 5.0, 1.0, 2.0, 10.0, np.nan],
    },
    index=[9, 8, 7, 6, 5, 4],
)


def test_lags_follow_the_year_and_not_the_row():
    """A has no 2003, and no value in 2002."""
    nan = np.nan
    found = pd.DataFrame({"L1": econ.lag(GAPS, "x"), "L2": econ.lag(GAPS, "x", 2), "F1": econ.lead(GAPS, "x")})
    assert list(found.index) == list(GAPS.index)
    assert_array_equal(found["L1"], [10, nan, nan, 1, nan, 2])
    assert_array_equal(found["L2"], [nan, nan, nan, nan, nan, 1])
    assert_array_equal(found["F1"], [nan, nan, 2, nan, 20, nan])
    assert_array_equal(econ.lag(GAPS, "x", 4), [nan, 1, nan, nan, nan, nan])
    assert econ.lag(GAPS, "x", 2).name == "L2.x"
    assert econ.lead(GAPS, "x").name == "F1.x"


def test_differences_of_any_order():
    squares = pd.DataFrame({"province": "A", "year": range(2000, 2005), "x": [0.0, 1.0, 4.0, 9.0, 16.0]})
    assert_array_equal(econ.difference(squares, "x"), [np.nan, 1, 3, 5, 7])
    assert_array_equal(econ.difference(squares, "x", 2), [np.nan, np.nan, 2, 2, 2])
    assert econ.difference(squares, "x", 2).name == "D2.x"
    holed = squares.drop(index=2)
    assert_array_equal(econ.difference(holed, "x"), [np.nan, 1, np.nan, 7])
    assert econ.difference(holed, "x", 2).isna().all()


def test_a_step_is_a_period_of_several_years():
    table = pd.DataFrame({"province": "A", "year": [2000, 2005, 2015], "x": [1.0, 2.0, 4.0]})
    assert econ.lag(table, "x").isna().all()
    assert_array_equal(econ.lag(table, "x", step=5), [np.nan, 1, np.nan])
    assert_array_equal(econ.lag(table, "x", 2, step=5), [np.nan, np.nan, 2])
    assert econ.balance(table, step=5).periods == 4
    with pytest.raises(BadInputError, match="times that are not whole steps of 5 after 2000"):
        econ.lag(table.assign(year=[2000, 2005, 2011]), "x", step=5)


def test_a_panel_brings_its_own_keys():
    renamed = GAPS.rename(columns={"province": "firm", "year": "t"})
    joined = econ.join_panel(renamed, renamed[["firm", "t"]].assign(z=1), entity="firm", time="t")
    assert_array_equal(econ.lag(joined, "x"), [np.nan, 1, 2, np.nan, np.nan, 10])
    assert_array_equal(econ.lag(renamed, "x", entity="firm", time="t"), econ.lag(GAPS, "x"))
    whole_numbers = GAPS.assign(x=pd.array([1, 2, 3, 4, 5, None], dtype="Int64"), year=GAPS["year"].astype(float))
    assert_array_equal(econ.lag(whole_numbers, "x"), [5, np.nan, np.nan, 3, np.nan, 4])


@st.composite
def panels(draw):
    """Up to four entities with rows in some of six years, in any order, and values that may be missing."""
    keys = draw(st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(2000, 2005)), min_size=1, unique=True))
    values = st.one_of(st.just(np.nan), st.integers(-1000, 1000).map(float))
    x = draw(st.lists(values, min_size=len(keys), max_size=len(keys)))
    return pd.DataFrame(keys, columns=["province", "year"]).assign(x=x)


def reindexed(table, shift):
    """The value `shift` years later, by a full grid of years in pandas."""
    grid = table.pivot(index="province", columns="year", values="x")
    grid = grid.reindex(columns=range(2000 - 6, 2006 + 6)).shift(-shift, axis=1)
    return np.array([grid.loc[p, t] for p, t in zip(table["province"], table["year"], strict=True)])


@given(panels(), st.integers(1, 5))
def test_lags_and_leads_are_those_of_a_full_grid_of_years(table, k):
    assert_array_equal(econ.lag(table, "x", k), reindexed(table, -k))
    assert_array_equal(econ.lead(table, "x", k), reindexed(table, k))
    assert_array_equal(econ.difference(table, "x"), table["x"] - reindexed(table, -1))
    assert_array_equal(
        econ.difference(table, "x", 2), table["x"] - 2 * reindexed(table, -1) + reindexed(table, -2)
    )  # whole numbers: exact


@given(panels(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(table, random):
    order = list(range(len(table)))
    random.shuffle(order)
    shuffled = table.iloc[order]
    for shifted in (econ.lag, econ.lead, econ.difference):
        assert_array_equal(shifted(shuffled, "x").loc[table.index], shifted(table, "x"))
    pd.testing.assert_frame_equal(econ.balance(shuffled).table, econ.balance(table).table)
    thirds = table.assign(x=table["x"] / 3)
    pd.testing.assert_frame_equal(econ.describe(thirds.iloc[order]), econ.describe(thirds), check_exact=True)
    pd.testing.assert_frame_equal(
        econ.within_between(thirds.iloc[order]), econ.within_between(thirds), check_exact=True
    )


@given(panels())
def test_balance_counts_rows_spells_and_gaps(table):
    found = econ.balance(table)
    first, last = table["year"].min(), table["year"].max()
    assert found.periods == last - first + 1
    for name, row in found.table.iterrows():
        years = sorted(table.loc[table["province"] == name, "year"])
        there = "".join("x" if year in years else " " for year in range(first, last + 1))
        assert (row["rows"], row["first"], row["last"]) == (len(years), years[0], years[-1])
        assert row["spells"] == len(there.split())
        assert row["gaps"] == there.strip().count(" ")
        assert row["absent"] == there.count(" ")
    assert found.balanced == (len(table) == table["province"].nunique() * found.periods)


def test_balance_says_who_is_not_there():
    found = econ.balance(GAPS)
    assert isinstance(found, econ.Balance)
    assert found.report().split("\n") == [
        "not balanced: 6 rows of 2 x province, 5 periods of year, 4 absent",
        "A: 4 rows from 2000 to 2004 in 2 spells, 1 missing in between",
        "B: 2 rows from 2000 to 2001 in 1 spell, 0 missing in between",
    ]
    square = GAPS[GAPS["year"] < 2002]
    assert econ.balance(square).balanced
    assert econ.balance(square).report() == "balanced: 4 rows of 2 x province, 2 periods of year, 0 absent"


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        ({}, {"k": 0}, UsageError, "k is 0: expected a whole number of periods, at least 1"),
        ({}, {"k": 1.5}, UsageError, "k is 1.5"),
        ({}, {"k": True}, UsageError, "k is True"),
        ({}, {"step": 0}, UsageError, "step is 0: expected the whole number of time units"),
        ({}, {"step": "two"}, UsageError, "step is 'two'"),
        ({}, {"column": "z"}, MissingColumnError, "no column 'z' in the panel"),
        ({}, {"entity": "city"}, MissingColumnError, "no column 'city' in the panel"),
        ({"year": 2000}, {}, DuplicateError, r"\(province, year\) occurs more than once in the panel for 4 rows"),
        ({"year": GAPS["year"] + 0.5}, {}, BadInputError, "column 'year' has 2001.5: lags count in whole periods"),
        ({"year": [None, *range(5)]}, {}, BadInputError, "column 'year' is empty in 1 of 6 rows"),
        ({"year": list("abcdef")}, {}, BadInputError, "column 'year' holds text"),
        ({"province": None}, {}, BadInputError, "column 'province' is empty in 6 of 6 rows"),
        ({"x": list("abcdef")}, {}, BadInputError, "column 'x' holds text in 6 of 6 rows, first 'a'"),
        ({"x": np.inf}, {}, BadInputError, "column 'x' is infinite in 6 of 6 rows"),
    ],
)
def test_bad_lags(change, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.lag(GAPS.assign(**change), **{"column": "x", **options})
    assert "\n" not in str(caught.value)


# --- description --------------------------------------------------------------------------------------------------


def test_xtsum_of_three_students():
    """S. R. Porter, "Understanding xtsum output" (handout for ED 795), table 1: Stata prints these lines."""
    table = pd.DataFrame({"id": [1, 1, 2, 2, 3, 3], "score": [70, 70, 60, 80, 90, 50]})
    found = econ.within_between(table, ["score"], entity="id")
    assert_array_equal(found.loc[("score", "overall")].round(5), [70, 14.14214, 50, 90, 6])
    assert_array_equal(found.loc[("score", "between")].round(5), [np.nan, 0, 70, 70, 3])
    assert_array_equal(found.loc[("score", "within")].round(5), [np.nan, 14.14214, 50, 90, 2])


def test_xtsum_is_its_formulas(golden):
    """[XT] xtsum: x_it into x_i and x_it - x_i + x; 140 firms, 1,031 firm-years, T-bar = 1031 / 140."""
    table = golden("dpd_abdata_diff").data
    found = econ.within_between(table, ["n", "w"], entity="id")
    for column in ("n", "w"):
        x, mean = table[column], table.groupby("id")[column].mean()
        within = x - table["id"].map(mean) + x.mean()
        parts = {"overall": x, "between": mean, "within": within}
        for part, values in parts.items():
            # 1e-12: pandas adds in another order
            assert_allclose(
                found.loc[(column, part), ["sd", "min", "max"]].astype(float),
                [values.std(), values.min(), values.max()],
                rtol=1e-12,
            )
    assert_array_equal(found["observations"], [1031, 140, 1031 / 140] * 2)


def test_describe_is_table_1():
    """n, mean, sd (n - 1), min, max, in the order asked for; missing values do not count."""
    table = GAPS.assign(flag=GAPS["x"] > 4, name="text", code="1", empty=np.nan)
    found = econ.describe(table, ["flag", "x"])
    assert list(found.columns) == ["n", "mean", "sd", "min", "max"]
    assert list(found.index) == ["flag", "x"]
    x = [20.0, 5.0, 1.0, 2.0, 10.0]
    assert_allclose(found.loc["x"], [5, np.mean(x), np.std(x, ddof=1), 1, 20], rtol=1e-15)
    assert list(econ.describe(table).index) == ["x", "flag", "empty"]  # not the keys, not text
    assert econ.describe(table, ["code"]).loc["code", "mean"] == 1  # numbers as text are numbers
    assert_array_equal(econ.describe(table, ["empty"]), [[0, np.nan, np.nan, np.nan, np.nan]])
    empty = econ.within_between(table, ["empty"])
    assert_array_equal(empty["observations"], [0, 0, np.nan])
    assert empty[["mean", "sd", "min", "max"]].isna().all(axis=None)


def test_labels_stand_in_front():
    found = econ.describe(GAPS, "x", labels={"x": "开放度", "other": "nothing"})
    assert found["label"].to_dict() == {"x": "开放度"}
    assert "label" not in econ.describe(GAPS, labels={"other": "nothing"})
    panel = replace(econ.join_panel(INEQUALITY, CONTROLS), labels={"open": "openness"})
    assert list(econ.describe(panel)["label"]) == ["", "openness"]
    assert list(econ.within_between(panel, ["open"])["label"]) == ["openness"] * 3


@given(st.floats(-1e300, 1e300), st.integers(2, 7))
def test_a_constant_does_not_vary_at_all(value, n):
    """0.1 added up is not n times 0.1, yet its deviation is 0 and not 1e-17."""
    table = pd.DataFrame({"province": [f"P{i % 2}" for i in range(n)], "year": range(n), "x": value})
    assert_array_equal(econ.describe(table), [[n, value, 0, value, value]])
    assert_array_equal(econ.within_between(table)["sd"], [0, 0, 0])


@given(panels())
def test_a_constant_of_each_entity_does_not_vary_within(table):
    own = {name: i / 7 for i, name in enumerate("ABCD")}
    found = econ.within_between(table.assign(x=table["province"].map(own)))
    assert len(table) == 1 or found.loc[("x", "within"), "sd"] == 0
    assert found.loc[("x", "between"), "observations"] == table["province"].nunique()


@given(panels())
def test_variances_within_and_between_add_up(table):
    """(N - 1) s^2 = (N - 1) s_within^2 + S T_i (x_i - x)^2."""
    table = table.dropna()
    if len(table) < 2:
        return
    sd = econ.within_between(table)["sd"]
    means = table.groupby("province")["x"].transform("mean")
    between = ((means - table["x"].mean()) ** 2).sum()
    total = (len(table) - 1) * sd["x", "overall"] ** 2
    assert_allclose((len(table) - 1) * sd["x", "within"] ** 2 + between, total, rtol=1e-9, atol=1e-9 * 1000**2)


def test_numbers_of_any_size():
    """Their squares are beyond floats."""
    table = pd.DataFrame({"province": list("AABB"), "year": [1, 2, 1, 2], "x": [1.0, 2.0, 4.0, 8.0]})
    plain = econ.within_between(table).to_numpy()[:, :4]
    for size in (2.0**1000, 2.0**-1000):
        assert_array_equal(econ.within_between(table.assign(x=table["x"] * size)).to_numpy()[:, :4], plain * size)
    assert econ.describe(table.assign(x=[1e308, -1e308, 1e308, 1e308])).loc["x", "mean"] == 0.5e308


@pytest.mark.parametrize("function", [econ.describe, econ.within_between])
@pytest.mark.parametrize(
    ("change", "columns", "error", "says"),
    [
        ({"x": list("abcdef")}, ["x"], BadInputError, "'x' holds text in 6 of 6 rows, first 'a'.*expected numbers"),
        ({"x": pd.Timestamp("2000-01-01")}, ["x"], BadInputError, "column 'x' holds dates, expected numbers"),
        ({"x": np.inf}, ["x"], BadInputError, "column 'x' is infinite"),
        ({}, ["z"], MissingColumnError, "no column 'z' in the panel"),
        ({}, ["x", "x"], UsageError, "column 'x' is named twice"),
        ({}, [], UsageError, "there is no column to describe"),
        ({"x": "text"}, None, UsageError, "there is no column to describe"),
    ],
)
def test_bad_descriptions(function, change, columns, error, says):
    with pytest.raises(error, match=says) as caught:
        function(GAPS.assign(**change), columns)
    assert "\n" not in str(caught.value)


def test_variation_needs_the_entities():
    with pytest.raises(MissingColumnError, match="no column 'city'"):
        econ.within_between(GAPS, ["x"], entity="city")
    assert econ.describe(GAPS[["x"]]).loc["x", "n"] == 5


def test_a_description_is_printed_in_every_format():
    labels = {"x": "50% & more"}
    shown = econ.description_table(econ.describe(GAPS, labels=labels), digits=3)
    assert shown.to_numpy().tolist() == [["5", "7.60", "7.77", "1.00", "20.0"]]
    assert r"50\% \& more & 5 & 7.60 & 7.77 & 1.00 & 20.0 \\" in econ.to_latex(shown)
    assert "| 50% \\& more | 5 | 7.60 |" in econ.to_markdown(shown)
    assert "50% &amp; more" in econ.to_html(shown)
    both = econ.description_table(econ.within_between(GAPS))
    assert both.index.get_level_values("term").tolist() == ["x", "", ""]
    assert both["Variation"].tolist() == ["overall", "between", "within"]
    assert both["Observations"].tolist() == ["5", "2", "2.500"]
    assert both["Mean"].tolist() == ["7.600", "", ""]
    assert "Observations: values, entities, values per entity" in econ.to_text(both)
    with pytest.raises(UsageError, match="digits is 0"):
        econ.description_table(econ.describe(GAPS), 0)
