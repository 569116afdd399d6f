"""Indices of samples, and of the cities of provinces."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

import econ
from econ.errors import BadInputError, MissingColumnError, UsageError

properties = settings(deadline=None, max_examples=60)

INDEX = {
    "gini": econ.gini,
    "theil_T": econ.theil,
    "theil_L": econ.theil_l,
    "atkinson_0.5": lambda x, weights=None: econ.atkinson(x, 0.5, weights),
    "atkinson_1": lambda x, weights=None: econ.atkinson(x, 1, weights),
    "atkinson_2": lambda x, weights=None: econ.atkinson(x, 2, weights),
}
every_index = pytest.mark.parametrize("index", INDEX.values(), ids=INDEX)

R = 1e-13  # every digit: R printed fourteen or fifteen, and the last of ours is rounding


# --- published and computed elsewhere -------------------------------------------------------------------------------


def test_gini_of_one_to_five_by_hand():
    """S |x_i - x_j| = 40 over all pairs, n = 5, mu = 3: 40 / (2 25 3) = 4/15, and 1/3 with n / (n - 1)."""
    assert_allclose(econ.gini([1, 2, 3, 4, 5]), 4 / 15, rtol=1e-15)  # last digit
    assert_allclose(econ.gini([1, 2, 3, 4, 5], correct=True), 1 / 3, rtol=1e-15)


@pytest.mark.parametrize("province", ["all", "Ilocos Norte", "Ilocos Sur", "La Union", "Pangasinan"])
def test_incomes_of_ilocos(golden, province):
    """R package ineq 0.2-13 on ineq::Ilocos; its Theil(parameter=0) is Theil's T."""
    case = golden("ineq_ilocos")
    expected = case.expected[f"ilocos_{province}"]
    income = case.data["income"] if province == "all" else case.data.query("province == @province")["income"]
    for name, index in INDEX.items():
        assert_allclose(index(income), expected[name], rtol=R, err_msg=name)
    assert_allclose(econ.gini(income, correct=True), expected["gini_unbiased"], rtol=R)


@pytest.mark.parametrize("vector", ["ineq_help_vector", "v12345"])
def test_vectors_of_the_help_pages_of_ineq(golden, vector):
    expected = golden("ineq_ilocos").expected[vector]
    for name, index in INDEX.items():
        assert_allclose(index(expected["x"]), expected[name], rtol=R, err_msg=name)


def test_regions_equal_samples(golden):
    case = golden("ineq_ilocos")
    city = case.data.assign(year=1998, zone=range(len(case.data)))
    table = econ.regional_inequality(city, value="income").set_index("province")
    for province, row in table.iterrows():
        expected = case.expected[f"ilocos_{province}"]
        assert row["n"] == expected["n"]
        for name, R_name in zip(econ.INDICES, ("gini", "theil_T", "theil_L", "atkinson_0.5"), strict=True):
            assert_allclose(row[name], expected[R_name], rtol=R, err_msg=name)
    assert table.attrs["epsilon"] == 0.5


def test_zeros():
    """0 ln 0 = 0 in T; L is infinite, so NaN; Atkinson at epsilon >= 1 is 1, its limit."""
    x = [0, 1, 1, 2, 6]
    assert_allclose(econ.gini(x), 0.52, rtol=1e-15)  # last digit
    assert_allclose(econ.theil(x), (0.5 * np.log(0.5) * 2 + np.log(1) + 3 * np.log(3)) / 5, rtol=1e-14)  # rounding
    assert np.isnan(econ.theil_l(x))
    assert econ.atkinson(x, 1) == 1
    assert econ.atkinson(x, 2) == 1
    assert_allclose(econ.atkinson(x, 0.5), 1 - np.mean(np.sqrt(np.array(x) / 2)) ** 2, rtol=1e-14)  # rounding


# --- what holds for any sample --------------------------------------------------------------------------------------

samples = arrays(float, st.integers(2, 30), elements=st.floats(0.01, 1e4))
NOISE = 1e-12  # rounding of sums of at most a hundred terms


@every_index
@properties
@given(x=samples, factor=st.floats(1e-6, 1e6))
def test_units_do_not_matter(index, x, factor):
    assert_allclose(index(factor * x), index(x), 1e-9, NOISE)  # rtol: the ratios x / mu are rounded anew


@every_index
@properties
@given(x=samples, times=st.integers(2, 4))
def test_replication_does_not_matter(index, x, times):
    assert_allclose(index(np.repeat(x, times)), index(x), 1e-9, NOISE)  # rtol: sums in another order


@every_index
@properties
@given(data=st.data(), x=samples)
def test_order_does_not_matter(index, data, x):
    assert_allclose(index(data.draw(st.permutations(list(x)))), index(x), 1e-9, NOISE)  # rtol: sums in another order


@every_index
@properties
@given(data=st.data(), x=samples)
def test_weights_are_repetition(index, data, x):
    times = data.draw(arrays(int, x.size, elements=st.integers(0, 4)))
    assume((times > 0).sum() >= 2)
    assert_allclose(index(x, weights=times), index(np.repeat(x, times)), 1e-9, NOISE)  # rtol: sums in another order
    assert_allclose(index(x, weights=times * 0.37), index(x, weights=times), 1e-9, NOISE)


@every_index
@properties
@given(x=samples, share=st.floats(0.05, 0.45))
def test_giving_to_the_poorest_lowers_inequality(index, x, share):
    """Pigou-Dalton: a transfer from the richest to the poorest that does not swap them."""
    x = np.sort(x)
    assume(x[-1] > 1.01 * x[0])
    given_away = share * (x[-1] - x[0])
    after = x.copy()
    after[0] += given_away
    after[-1] -= given_away
    assert index(after) < index(x)


@every_index
@properties
@given(x=st.floats(1e-3, 1e6), n=st.integers(2, 20))
def test_equal_units_have_none(index, x, n):
    assert_allclose(index(np.full(n, x)), 0, atol=1e-15)  # the mean of equal numbers is off by a digit at times


@properties
@given(x=arrays(float, st.integers(2, 30), elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e4))))
def test_bounds(x):
    assume(x.sum() > 0)
    assert 0 <= econ.gini(x) <= 1 - 1 / x.size + NOISE
    assert 0 <= econ.theil(x) <= np.log(x.size) + NOISE
    for epsilon in (0, 0.5, 1, 1.5):
        assert 0 <= econ.atkinson(x, epsilon) <= 1


@properties
@given(x=samples, w=st.data())
def test_gini_is_the_mean_difference(x, w):
    """The definition, pair by pair."""
    weight = w.draw(arrays(float, x.size, elements=st.floats(0.1, 10)))
    pairs = np.abs(np.subtract.outer(x, x)) * np.outer(weight, weight)
    mean = np.average(x, weights=weight)
    assert_allclose(econ.gini(x, weight), pairs.sum() / (2 * weight.sum() ** 2 * mean), 1e-9, NOISE)  # other sums


@properties
@given(x=samples)
def test_atkinson_is_continuous_at_one(x):
    assert_allclose(econ.atkinson(x, 1 + 1e-9), econ.atkinson(x, 1), rtol=1e-6, atol=1e-12)  # it moves by about 1e-8


@properties
@given(data=st.data(), zones=st.integers(2, 12), years=st.integers(1, 3))
def test_table_equals_the_functions(data, zones, years):
    provinces = data.draw(arrays(int, zones, elements=st.integers(0, 3)))
    light = data.draw(arrays(float, (years, zones), elements=st.one_of(st.just(np.nan), st.floats(0, 63, width=16))))
    city = pd.DataFrame(
        {
            "zone": np.tile(np.arange(zones), years),
            "year": np.repeat(np.arange(years), zones),
            "province": np.tile(provinces, years),
            "mean": light.ravel(),
        }
    ).sample(frac=1, random_state=0)
    table = econ.regional_inequality(city)
    assert len(table) == years * np.unique(provinces).size
    for row in table.itertuples():
        x = light[row.year, (provinces == row.province) & ~np.isnan(light[row.year])]
        assert row.n == x.size
        expected = [econ.gini(x), econ.theil(x), econ.theil_l(x), econ.atkinson(x)]
        assert_allclose([row.gini, row.theil, row.theil_l, row.atkinson], expected, 1e-9, NOISE)  # sums of all groups
        assert (row.reason == "") == (row.n == (provinces == row.province).sum() and not np.isnan(expected).any())


# --- undefined, and said so -----------------------------------------------------------------------------------------


@every_index
@pytest.mark.parametrize("x", [[], [3.0], [0.0, 0.0]])
def test_undefined_is_nan(index, x):
    assert np.isnan(index(x))


def lights(rows):
    return pd.DataFrame(rows, columns=["zone", "year", "province", "mean"])


def test_reasons():
    table = econ.regional_inequality(
        lights(
            [("a", 1, "one", 5.0)]
            + [("b", 1, "dark", 0.0), ("c", 1, "dark", 0.0)]
            + [(f"d{i}", 1, "gap", [1.0, 2.0, np.nan][i % 3]) for i in range(6)]
            + [("e", 1, "zero", 0.0), ("f", 1, "zero", 4.0)]
            + [("g", 1, "lost", np.nan), ("h", 1, "lost", np.nan)]
            + [("i", 1, "left", 1.0), ("j", 1, "left", np.nan)]
            + [("k", 1, "norow", 1.0), ("l", 1, "norow", 2.0), ("m", 1, "norow", 2.0)]
            + [("k", 2, "norow", 1.0), ("l", 2, "norow", 2.0)]
            + [("n", 1, "fine", 1.0), ("o", 1, "fine", 2.0)]
        )
    ).set_index(["province", "year"])
    assert table["reason"].to_dict() == {
        ("dark", 1): "all units are dark",
        ("fine", 1): "",
        ("gap", 1): "2 of 6 units missing",
        ("left", 1): "one unit left, 1 of 2 units missing",
        ("lost", 1): "all units missing",
        ("norow", 1): "",
        ("norow", 2): "1 of 3 units missing",
        ("one", 1): "one unit",
        ("zero", 1): "theil_l undefined, 1 of 2 units are dark",
    }
    assert table.index[table["gini"].isna()].get_level_values(0).tolist() == ["dark", "left", "lost", "one"]
    assert table.index[table["theil_l"].isna()].get_level_values(0).tolist() == ["dark", "left", "lost", "one", "zero"]


def test_input_is_left_alone_and_row_order_does_not_matter():
    city = lights([(z, y, "AB"[z % 2], float(z + y)) for z in range(6) for y in range(3)])
    before = city.copy()
    shuffled = city.sample(frac=1, random_state=1)
    assert_frame_equal(econ.regional_inequality(city), econ.regional_inequality(shuffled))
    assert_frame_equal(city, before)


def test_chosen_indices():
    city = lights([("a", 1, "p", 1.0), ("b", 1, "p", 3.0)])
    table = econ.regional_inequality(city, indices=("atkinson", "gini"), epsilon=2)
    assert list(table.columns) == ["province", "year", "n", "atkinson", "gini", "reason"]
    assert_array_equal(table["atkinson"], [econ.atkinson([1.0, 3.0], 2)])


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: econ.gini([1, -2, 3]), BadInputError, "negative values, the least is -2"),
        (lambda: econ.theil([1, np.nan]), BadInputError, "1 missing or infinite"),
        (lambda: econ.theil_l([1, np.inf]), BadInputError, "1 missing or infinite"),
        (lambda: econ.atkinson(["a", "b"]), BadInputError, "not a number"),
        (lambda: econ.gini([[1, 2], [3, 4]]), BadInputError, "2 dimensions"),
        (lambda: econ.gini([1, 2], weights=[1]), BadInputError, "1 weights for 2 values"),
        (lambda: econ.gini([1, 2], weights=[1, -1]), BadInputError, "weights holds negative"),
        (lambda: econ.gini([1, 2], weights=[1, 2], correct=True), UsageError, "number of units"),
        (lambda: econ.atkinson([1, 2], epsilon=-1), UsageError, "epsilon is -1"),
    ],
)
def test_bad_samples(call, error, says):
    with pytest.raises(error, match=says):
        call()


GOOD = lights([("a", 2000, "p", 1.0), ("b", 2000, "p", 3.0), ("a", 2001, "p", 1.0), ("b", 2001, "p", 3.0)])


@pytest.mark.parametrize(
    ("city", "options", "error", "says"),
    [
        (
            GOOD,
            {"by": "provnce"},
            MissingColumnError,
            "no column 'provnce'.*zone, year, province, mean.*mean 'province'",
        ),
        (GOOD, {"by": "q"}, MissingColumnError, "no column 'q'"),
        (GOOD.assign(mean=["1", "n/k", "2", "3"]), {}, BadInputError, "'mean' holds text in 1 of 4.*'n/k'.*zone b"),
        (GOOD.assign(mean=[1, -2.5, 3, 4]), {}, BadInputError, "negative in 1 of 4 rows .zone b, year 2000"),
        (GOOD.assign(mean=[1, np.inf, 3, 4]), {}, BadInputError, "infinite in 1 of 4"),
        (GOOD.assign(zone="a"), {}, BadInputError, r"\(zone, year\) occurs more than once.*zone a, year 2000"),
        (GOOD.assign(province=[None, "p", "p", "p"]), {}, BadInputError, "'province' is empty in 1 of 4 rows .row 1"),
        (GOOD.assign(province=[1, "p", "p", "p"]), {}, BadInputError, "mixes int and str"),
        (GOOD.assign(mean=pd.Timestamp("2000-01-01")), {}, BadInputError, "holds dates"),
        (GOOD.iloc[:0], {}, BadInputError, "no rows"),
        (GOOD, {"indices": ("gini", "hover")}, UsageError, "no index 'hover'.*gini, theil, theil_l, atkinson"),
        (GOOD.set_axis(["zone", "year", "province", "province"], axis=1), {}, BadInputError, "more than once"),
    ],
)
def test_bad_tables(city, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.regional_inequality(city, **options)
    assert "\n" not in str(caught.value)


def test_numbers_kept_as_text_are_numbers():
    as_text = GOOD.assign(mean=GOOD["mean"].astype(str))
    assert_frame_equal(econ.regional_inequality(as_text), econ.regional_inequality(GOOD))
