"""Extremes and traps: the range of numbers, the order of rows, keys that collide, arrays that are not plain."""

import warnings
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import econ
from econ.errors import BadInputError, UsageError

EVERY = (
    *("gini", "theil", "theil_l", "atkinson(0.5)", "atkinson(1)", "atkinson(2)", "ge(-1)", "ge(0.3)", "ge(2)", "cv"),
    *("hoover", "ratio(0.9, 0.1)"),
)
SMOOTH = EVERY[:-1]


# --- the range of numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-1074, -1060, -600, 600, 1019])
def test_no_magnitude_leaves_the_range_of_numbers(exponent):
    """A power of two is exact, down to the least subnormal and up to where the sum of the units is beyond 1.8e308."""
    x = np.array([1.0, 2, 3, 10])
    wild = np.ldexp(x, exponent)
    for name in EVERY:
        assert econ.inequality_of(wild, name) == econ.inequality_of(x, name), name
        assert econ.inequality_of(x, name, wild) == econ.inequality_of(x, name, x), name
    for name in SMOOTH:
        assert econ.standard_error(wild, name) == econ.standard_error(x, name), name
        assert econ.standard_error(x, name, wild) == econ.standard_error(x, name, x), name
    assert econ.weighted_quantile(np.array([1e308, 1.2e308]), 0.5) == 1.1e308
    assert_frame_equal(econ.lorenz_curve(wild, wild), econ.lorenz_curve(x, x))
    city = pd.DataFrame({"zone": range(4), "province": list("ppqq"), "mean": x, "wild": wild, "other": wild[::-1]})
    for index in ("theil", "gini"):
        expected = econ.decompose(city, period=None, index=index)
        found = econ.decompose(city, period=None, index=index, value="wild", weights=None)
        assert_frame_equal(found.components, expected.components)
        assert_frame_equal(found.pairs, expected.pairs)
        assert econ.maximal_between(wild, list("ppqq"), index) == econ.maximal_between(x, list("ppqq"), index)
    plain = econ.shapley_sources(city.assign(wild=x, other=x[::-1]), ["wild", "other"], period=None)
    assert_frame_equal(econ.shapley_sources(city, ["wild", "other"], period=None), plain)


def test_a_power_out_of_range_is_not_the_limit():
    """1 - (S r**(1 - e) / n)**(1 / (1 - e)), e = 2000: r = 2/3 to the power -1999 is 1e352."""
    assert_allclose(econ.atkinson([1, 2], 2000), 1 - 2 / 3 * 0.5 ** (-1 / 1999), rtol=1e-12)  # a power of 2000
    assert econ.atkinson([0, 1, 2], 2000) == 1
    assert np.isnan([econ.ge([1, 2], 5000), econ.ge([1, 2], -5000), econ.quantile_ratio([1e-300, 1, 1e300])]).all()
    city = pd.DataFrame({"zone": range(2), "year": 1, "province": "p", "mean": [1.0, 2]})
    assert (
        econ.regional_inequality(city, indices=["ge(5000)"])["reason"].item() == "ge(5000) beyond the range of numbers"
    )


def exact(name, x):
    """An index of unweighted values in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        values = [Decimal(float(v)) for v in x]
        n, mu = len(values), sum(values) / len(values)
        r = [v / mu for v in values]
        if name == "gini":
            return sum(abs(a - b) for a in r for b in r) / (2 * n * n)
        if name == "theil":
            return sum(v * v.ln() for v in r) / n
        if name == "theil_l":
            return -sum(v.ln() for v in r) / n
        if name == "cv":
            return (sum((v - 1) ** 2 for v in r) / n).sqrt()
        if name == "hoover":
            return sum(abs(v - 1) for v in r) / (2 * n)
        number = Decimal(float(name.partition("(")[2][:-1]))
        if name.startswith("ge"):
            return (sum((number * v.ln()).exp() for v in r) / n - 1) / (number * (number - 1))
        if number == 1:
            return 1 - (sum(v.ln() for v in r) / n).exp()
        return 1 - ((sum(((1 - number) * v.ln()).exp() for v in r) / n).ln() / (1 - number)).exp()


@pytest.mark.parametrize("name", [*SMOOTH, "atkinson(0.9999999)", "ge(1.0000001)", "ge(0.0000001)"])
def test_sixty_digits_of_units_that_are_nearly_alike(name):
    """Spread of one millionth: an index of the order 1e-13, as of a year in which nothing differs but noise."""
    for seed in range(20):
        x = 1 + 1e-6 * np.random.default_rng(seed).normal(size=6)
        # the digits of r - 1 are off by 1e-16 / 1e-6 and their squares by twice that; the smallest spread is a fifth
        assert_allclose(econ.inequality_of(x, name), float(exact(name, x)), rtol=1e-8)
        y = np.random.default_rng(seed).lognormal(sigma=3, size=6)
        assert_allclose(econ.inequality_of(y, name), float(exact(name, y)), rtol=1e-12)  # rounding of six terms


# --- the order of rows ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tied():
    """Many units of equal values and different weights, whose sums depend on their order in the last digit."""
    rng = np.random.default_rng(0)
    zone = np.arange(600)
    return pd.DataFrame(
        {
            "zone": zone,
            "year": rng.integers(0, 2, zone.size),
            "province": zone % 6,
            "region": zone % 6 // 3,
            "mean": rng.integers(0, 9, zone.size) * 0.1,
            "people": rng.uniform(0.1, 9, zone.size),
            "farms": rng.integers(1, 5, zone.size) * 0.1,
            "industry": rng.random(zone.size),
        }
    )


ORDERLESS = {
    "indices": lambda t: econ.regional_inequality(t, indices=EVERY, weights="people"),
    "jackknife": lambda t: econ.regional_inequality(t, indices=("gini", "cv"), weights="people", se="jackknife"),
    "bootstrap": lambda t: econ.regional_inequality(t, weights="people", se="bootstrap", replications=20),
    "nested": lambda t: econ.decompose(t, ["province", "region"], weights="people").components,
    "groups": lambda t: econ.decompose(t, ["province", "region"], weights="people").groups,
    "dagum": lambda t: econ.decompose(t, index="gini", weights="people").components,
    "pairs": lambda t: econ.decompose(t, index="gini", weights="people").pairs,
    "classical": lambda t: econ.decompose(t, index="gini", method="classical", weights="people").components,
    "factorial": lambda t: econ.decompose(t, index="atkinson", weights="people").components,
    "shapley": lambda t: econ.decompose(t, index="hoover", weights="people").components,
    "sources": lambda t: econ.shapley_sources(t, ["farms", "industry"], by="province", weights="people"),
    "curves": lambda t: econ.regional_curves(t, rank="farms", weights="people"),
    "lorenz": lambda t: econ.lorenz_curve(t["mean"], t["people"]),
    "sample": lambda t: pd.DataFrame({"x": [econ.gini(t["mean"], t["people"])]}),
    "largest": lambda t: pd.DataFrame({"x": [econ.maximal_between(t["mean"], t["province"], "gini", t["people"])]}),
}


@pytest.mark.parametrize("table_of", ORDERLESS.values(), ids=ORDERLESS)
def test_the_order_of_rows_does_not_change_a_bit(tied, table_of):
    expected = table_of(tied)
    for seed in range(4):
        assert_frame_equal(table_of(tied.sample(frac=1, random_state=seed)), expected, check_exact=True)


def test_groups_of_one_mean_are_dealt_by_size_and_not_by_appearance():
    x, groups = np.array([1.0, 3, 2, 2, 2]), np.array(list("aabbb"))
    found = econ.maximal_between(x, groups, "gini")
    assert econ.maximal_between(x[::-1], groups[::-1], "gini") == found
    assert econ.maximal_between(x, np.where(groups == "a", "z", "b"), "gini") == found


# --- keys and names -------------------------------------------------------------------------------------------------

GOOD = pd.DataFrame(
    {"zone": list("abcdef"), "year": 2000, "province": list("pppqqq"), "mean": [1.0, 2, 4, 1, 5, 9], "w": 1.0}
)


@pytest.mark.parametrize("key", ["province", "year"])
@pytest.mark.parametrize("name", ["n", "reason", "gini", "gini_se", "gini_low"])
def test_keys_that_are_columns_of_the_result_are_refused(key, name):
    options = {"by": name} if key == "province" else {"period": name}
    with pytest.raises(UsageError, match=f"two columns '{name}'"):
        econ.regional_inequality(GOOD.rename(columns={key: name}), indices=["gini"], se="jackknife", **options)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: econ.regional_inequality(GOOD, by="year"), UsageError, "two columns 'year'"),
        (lambda: econ.regional_inequality(GOOD, unit="year"), UsageError, "unit and period are both 'year'"),
        (lambda: econ.regional_inequality(GOOD, indices=["gini", " gini "]), UsageError, "expected each once"),
        (lambda: econ.decompose(GOOD.rename(columns={"year": "share"}), period="share"), UsageError, "columns 'share'"),
        (
            lambda: econ.shapley_sources(GOOD.rename(columns={"year": "total"}), ["mean", "w"], period="total"),
            UsageError,
            "two columns 'total'",
        ),
        (lambda: econ.regional_curves(GOOD, by="year"), UsageError, "two columns 'year'"),
        (lambda: econ.regional_curves(GOOD.iloc[:0]), BadInputError, "no rows"),
        (lambda: econ.regional_curves(GOOD.assign(w=-1.0), weights="w"), BadInputError, "'w' is negative in 6 of 6"),
        (lambda: econ.regional_inequality(GOOD.assign(mean=GOOD["mean"] + 1j)), BadInputError, "complex numbers"),
        (
            lambda: econ.regional_inequality(GOOD.assign(year=list("123456") * 1).replace("6", "x")),
            BadInputError,
            "'x'",
        ),
        (lambda: econ.regional_inequality(GOOD.assign(province=[*"pppqq", "q "])), BadInputError, "look alike"),
        (lambda: econ.decompose(GOOD.assign(province=[*"pppqq", "ｑ"])), BadInputError, "look alike"),
        (lambda: econ.gini(np.array([1 + 2j, 3])), BadInputError, "not a number"),
        (lambda: econ.gini(np.ma.array([1.0, 2, 99], mask=[0, 0, 1])), BadInputError, "1 missing"),
        (lambda: econ.atkinson([1, 2], "a"), UsageError, "epsilon is a"),
        (lambda: econ.weighted_quantile([1, 2], None), UsageError, "p is None"),
        (lambda: econ.standard_error([1, 2, 3], level="a"), UsageError, "level is a"),
        (lambda: econ.standard_error([1, 2, 3], se="bootstrap", replications=10.5), UsageError, "replications is 10.5"),
        (lambda: econ.standard_error([1, 2, 3], se="bootstrap", rng="a"), UsageError, "rng is 'a'"),
    ],
)
def test_traps_are_refused_in_one_sentence(call, error, says):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=says) as caught:
            call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": np.float32([1, 2, 4, 1, 5, 9])},
        {"mean": np.uint8([1, 2, 4, 1, 5, 9])},
        {"mean": pd.array([1, 2, 4, 1, 5, 9], dtype="Int64")},
        {"mean": pd.array([1, 2, 4, 1, 5, 9], dtype="double[pyarrow]")},
        {"mean": [Decimal(k) for k in (1, 2, 4, 1, 5, 9)]},
        {"zone": pd.Categorical(list("abcdef")), "year": pd.Categorical([2000] * 6)},
        {"province": pd.Categorical(list("pppqqq"), categories=["r", "p", "q"])},
        {"province": pd.array(list("pppqqq"), dtype="string"), "year": pd.array([2000] * 6, dtype="Int32")},
    ],
)
def test_every_kind_of_column_gives_the_same_numbers(changed):
    found = econ.regional_inequality(GOOD.assign(**changed))
    expected = econ.regional_inequality(GOOD)
    for column in found:
        assert found[column].tolist() == expected[column].tolist()


def test_one_index_and_numbers_of_numpy_are_taken():
    assert_frame_equal(econ.regional_inequality(GOOD, indices="gini"), econ.regional_inequality(GOOD, indices=["gini"]))
    dark = GOOD.assign(mean=[0.0, 2, 4, 1, 5, 9])
    assert_frame_equal(econ.regional_inequality(dark, zeros=np.float64(0.5)), econ.regional_inequality(dark, zeros=0.5))


def test_curves_of_provinces():
    city = pd.concat([GOOD, GOOD.assign(year=2001, mean=[0, 0, 0, np.nan, 2, 6])], ignore_index=True)
    table = econ.regional_curves(city).set_index(["province", "year"])
    for key, part in table.groupby(level=[0, 1]):
        x = city.set_index(["province", "year"]).loc[[key], "mean"].dropna()
        if x.any():
            curve = econ.lorenz_curve(x)
            assert_allclose(part[["share_of_weight", "share_of_total"]], curve, rtol=1e-15)
    reasons = table.reset_index().groupby(["province", "year"])["reason"].unique().map(list).to_dict()
    assert reasons == {
        ("p", 2000): [""],
        ("p", 2001): ["all units are dark"],
        ("q", 2000): [""],
        ("q", 2001): ["1 of 3 units missing or without weight"],
    }
