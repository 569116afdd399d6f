"""Standard errors of indices: the jackknife against its definition, the bootstrap against planted truth."""

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

import econ
from econ.errors import UsageError
from econ.indices import index_named
from econ.resampling import Resampling, estimate

properties = settings(deadline=None, max_examples=40)
SMOOTH = (
    *("gini", "gini_unbiased", "theil", "theil_l", "atkinson(0.5)", "atkinson(1)", "atkinson(2)", "ge(-1)", "ge(0.3)"),
    *("ge(2)", "cv", "hoover"),
)
Z = NormalDist().inv_cdf(0.975)
# The cv of nearly equal units is the root of rounding noise.
ROOT_OF_NOISE = 1e-7


def brute(x, name, w=None):
    """The definition: every unit left out, one after the other."""
    n = len(x)
    without = [econ.inequality_of(np.delete(x, k), name, None if w is None else np.delete(w, k)) for k in range(n)]
    return np.sqrt((n - 1) / n * np.sum((without - np.mean(without)) ** 2))


def test_jackknife_by_hand():
    """x = 1, 2, 3: without one unit the Ginis are 1/10, 1/4 and 1/6, their mean 31/180."""
    without = np.array([1 / 10, 1 / 4, 1 / 6])
    expected = np.sqrt(2 / 3 * np.sum((without - 31 / 180) ** 2))
    found = econ.standard_error([3, 1, 2])
    assert_allclose(found.se, expected, rtol=1e-13)  # rounding of a few terms
    assert_allclose([found.value, found.low, found.high], 2 / 9 + Z * found.se * np.array([0, -1, 1]), rtol=1e-13)


@pytest.mark.parametrize("name", SMOOTH)
@properties
@given(x=arrays(float, st.integers(3, 25), elements=st.floats(0.1, 1e3)))
def test_jackknife_is_brute_force(name, x):
    assert_allclose(econ.standard_error(x, name).se, brute(x, name), rtol=1e-6, atol=ROOT_OF_NOISE)


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != "gini_unbiased"])
@properties
@given(data=st.data(), n=st.integers(3, 15))
def test_weighted_jackknife_is_brute_force(name, data, n):
    x = data.draw(arrays(float, n, elements=st.floats(0.1, 1e3)))
    w = data.draw(arrays(float, n, elements=st.floats(0.1, 10)))
    assert_allclose(econ.standard_error(x, name, w).se, brute(x, name, w), rtol=1e-6, atol=ROOT_OF_NOISE)


@pytest.mark.parametrize("name", ["gini", "theil", "atkinson(0.5)", "ge(2)", "cv", "hoover"])
def test_jackknife_with_zeros(name):
    x = np.array([0, 0, 1, 2.5, 4, 9])
    assert_allclose(econ.standard_error(x, name).se, brute(x, name), rtol=1e-12)  # rounding of a few terms


def test_bootstrap_is_the_definition():
    """Resampled by hand with the same draws: counts as weights equal the values drawn."""
    x = np.array([1.0, 2, 4, 9])
    picked = np.random.default_rng(5).integers(0, 4, (1, 200, 4))[0]
    replications = [econ.gini(x[row]) for row in picked]
    found = econ.standard_error(x, se="bootstrap", replications=200, rng=5, interval="percentile")
    assert_allclose(found.se, np.std(replications, ddof=1), rtol=1e-12)  # sums in another order
    assert_allclose([found.low, found.high], np.quantile(replications, [0.025, 0.975]), rtol=1e-12)
    normal = econ.standard_error(x, se="bootstrap", replications=200, rng=5)
    assert_allclose([normal.low, normal.high], econ.gini(x) + Z * found.se * np.array([-1, 1]), rtol=1e-12)


@pytest.mark.parametrize(
    ("se", "interval"), [("jackknife", "normal"), ("bootstrap", "normal"), ("bootstrap", "percentile")]
)
def test_intervals_cover_planted_inequality(se, interval):
    """400 lognormal samples of 80 units: the Gini is 2 Phi(s / sqrt 2) - 1, the Theil s**2 / 2."""
    sigma, groups, n = 0.5, 400, 80
    x = np.random.default_rng(11).lognormal(0, sigma, groups * n)
    how = Resampling(se, replications=199, interval=interval, rng=3)
    found = estimate([index_named("gini"), index_named("theil")], x, None, np.repeat(np.arange(groups), n), groups, how)
    for name, truth in (("gini", 2 * NormalDist().cdf(sigma / np.sqrt(2)) - 1), ("theil", sigma**2 / 2)):
        at = found[name]
        covered = np.mean((at.low <= truth) & (truth <= at.high))
        assert 0.85 < covered < 0.98, name  # 0.95 less what skewness takes at n = 80; 1.1 points of sampling error
        assert_allclose(at.se.mean(), at.value.std(), rtol=0.15)  # 400 groups give the spread within 4 %, n = 80 bias


def city(seed=0, years=(2000, 2001), sizes=(1, 2, 5, 9)):
    rng = np.random.default_rng(seed)
    rows = [
        (f"{province}{k}", year, f"P{province}", rng.lognormal())
        for year in years
        for province, size in enumerate(sizes)
        for k in range(size)
    ]
    return pd.DataFrame(rows, columns=["zone", "year", "province", "mean"])


@pytest.mark.parametrize("se", ["jackknife", "bootstrap"])
def test_columns_and_reasons_of_the_table(se):
    table = econ.regional_inequality(city(), indices=("gini", "theil"), se=se, replications=50)
    four = [f"{name}{end}" for name in ("gini", "theil") for end in ("", "_se", "_low", "_high")]
    assert list(table.columns) == ["province", "year", "n", *four, "reason"]
    assert table.attrs["se"] == se
    known = table[table["n"] > 2]
    assert (known[["gini_se", "theil_se"]] > 0).all(axis=None)
    assert (known["gini_low"] < known["gini"]).all()
    assert (known["reason"] == "").all()
    assert table.loc[table["n"] == 1, "reason"].tolist() == ["one unit"] * 2
    assert table.loc[table["n"] == 1, four].isna().all(axis=None)
    two = table[table["n"] == 2]
    assert two["gini"].notna().all()
    if se == "jackknife":
        assert two["gini_se"].isna().all()
        assert two["reason"].tolist() == ["no jackknife of two units"] * 2


def test_jackknife_of_the_table_is_that_of_the_samples():
    lights = city()
    table = econ.regional_inequality(lights.sample(frac=1, random_state=0), se="jackknife")
    for row in table[table["n"] > 2].itertuples():
        x = lights.query("province == @row.province and year == @row.year")["mean"]
        one = econ.standard_error(x)
        assert_allclose([row.gini, row.gini_se, row.gini_low, row.gini_high], [one.value, one.se, one.low, one.high])


def test_bootstrap_is_the_same_for_a_seed():
    again = [econ.regional_inequality(city(), se="bootstrap", replications=40, rng=seed) for seed in (1, 1, 2)]
    assert_frame_equal(again[0], again[1])
    assert (again[0]["gini_se"] != again[2]["gini_se"]).any()
    shuffled = econ.regional_inequality(city().sample(frac=1, random_state=3), se="bootstrap", replications=40, rng=1)
    assert_frame_equal(shuffled, again[0])


def test_chunks_of_the_bootstrap_do_not_lose_groups(monkeypatch):
    """However few cells are drawn at a time, every group gets its replications."""
    import econ.resampling

    monkeypatch.setattr(econ.resampling, "DRAWN", 64)
    table = econ.regional_inequality(city(), se="bootstrap", replications=30)
    assert (table.loc[table["n"] > 1, "gini_se"] > 0).all()


def test_replications_without_light_are_counted():
    lights = pd.DataFrame({"zone": ["a", "b", "c"], "year": 1, "province": "p", "mean": [0.0, 0.0, 5.0]})
    table = econ.regional_inequality(lights, indices=["gini"], se="bootstrap", replications=500)
    says = table["reason"].item()
    assert says.startswith("gini undefined in ")
    count = int(says.split()[3])
    assert_allclose(count / 500, (2 / 3) ** 3, atol=0.07)  # three draws of a dark unit; 3 standard errors
    assert econ.regional_inequality(lights, indices=["gini"], se="jackknife")["reason"].item() == (
        "no jackknife of gini: one unit has all"
    )


def test_intervals_follow_the_level():
    narrow, wide = (econ.standard_error([1, 2, 3, 7], level=level) for level in (0.5, 0.99))
    assert narrow.se == wide.se
    assert wide.low < narrow.low < narrow.high < wide.high


def test_undefined_samples_have_no_error():
    found = econ.standard_error([4.0])
    assert_array_equal([found.value, found.se, found.low, found.high], np.nan)
    found = econ.standard_error([0, 1, 2], "theil_l", se="bootstrap", replications=20)
    assert_array_equal([found.value, found.se, found.low, found.high], np.nan)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"se": "delta"}, "no standard error 'delta': choose among jackknife, bootstrap"),
        ({"se": "bootstrap", "interval": "bca"}, "no interval 'bca'"),
        ({"se": "jackknife", "interval": "percentile"}, "jackknife has no percentile interval"),
        ({"level": 95}, "level is 95"),
        ({"se": "bootstrap", "replications": 1}, "replications is 1"),
        ({"index": "ratio(0.9, 0.1)"}, "not consistent for ratio"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(UsageError, match=says):
        econ.standard_error([1, 2, 3], **options)
