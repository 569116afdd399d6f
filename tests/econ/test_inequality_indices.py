"""Every index by name: numbers by hand and from R, limits, and what holds for any sample."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

import econ
from econ.errors import BadInputError, UsageError
from econ.indices import FAMILIES, index_named, of_groups

properties = settings(deadline=None, max_examples=50)

NAMES = (
    *("gini", "gini_unbiased", "theil", "theil_l", "atkinson(0.5)", "atkinson(1)", "atkinson(2)", "ge(-1)", "ge(0.3)"),
    *("ge(2)", "ge(3)", "cv", "hoover", "ratio(0.9, 0.1)"),
)
every_index = pytest.mark.parametrize("name", NAMES)
RELATIVE = [name for name in NAMES if name != "gini_unbiased"]  # which do not know how many units there are

R = 1e-13  # every digit: R printed fourteen or fifteen, and the last of ours is rounding
EXACT = 1e-14  # rounding of a handful of terms
NOISE = 1e-12  # rounding of sums of at most a hundred terms


# --- by hand --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # x = 1..5: mean 3, S |x_i - x_j| = 40, S |x - 3| = 6, S (x - 3)**2 = 10, product 120, S 1/x = 137/60
        ("gini", 40 / (2 * 25 * 3)),
        ("gini_unbiased", 1 / 3),  # 4/15 5/4
        ("hoover", 6 / (2 * 5 * 3)),
        ("cv", np.sqrt(10 / 5) / 3),
        ("ge(2)", (10 / 5 / 9) / 2),  # cv**2 / 2
        ("ge(-1)", (137 / 60 / 5 * 3 - 1) / 2),  # (mean of 3 / x, less 1) / (-1 -2)
        ("ge(3)", ((1 + 8 + 27 + 64 + 125) / 5 / 27 - 1) / 6),
        ("theil_l", np.log(3) - np.log(120) / 5),
        ("theil", sum(x / 3 * np.log(x / 3) for x in range(1, 6)) / 5),
        ("atkinson(0)", 0),
        ("atkinson(1)", 1 - 120**0.2 / 3),  # geometric mean
        ("atkinson(2)", 1 - 5 / (137 / 60) / 3),  # harmonic mean
        ("ratio(0.8, 0.2)", 4.5 / 1.5),  # exactly 4 and 1 units below: halfway to the next
        ("ratio(0.9, 0.1)", 5),
        ("ratio(0.5, 0.3)", 3 / 2),
    ],
)
def test_one_to_five(name, expected):
    assert_allclose(econ.inequality_of([4, 2, 5, 1, 3], name), expected, rtol=EXACT, atol=1e-16)


def test_functions_are_the_indices_by_name():
    x, w = [1.0, 2, 4, 9], [1, 2, 3, 1]
    assert econ.ge(x, 2, w) == econ.inequality_of(x, "ge(2)", w)
    assert econ.cv(x, w) == econ.inequality_of(x, "cv", w)
    assert econ.hoover(x, w) == econ.inequality_of(x, "hoover", w)
    assert econ.quantile_ratio(x, 0.8, 0.3, w) == econ.inequality_of(x, "ratio(0.8, 0.3)", w)
    assert econ.gini(x, correct=True) == econ.inequality_of(x, "gini_unbiased")
    assert econ.ge(x, 1) == econ.theil(x)
    assert econ.ge(x, 0) == econ.theil_l(x)


@pytest.mark.parametrize(("p", "expected"), [(0.1, 1), (0.2, 1.5), (0.25, 2), (0.5, 3), (0.6, 3.5), (0.99, 5)])
def test_quantiles_of_one_to_five(p, expected):
    """Definition 2 of Hyndman and Fan (1996), as R's quantile(1:5, p, type = 2)."""
    assert econ.weighted_quantile([3, 1, 5, 2, 4], p) == expected


def test_quantiles_of_weights():
    """A weight of a half twice over is the median's border, whatever the sum of the weights."""
    for scale in (1, 0.37, 1e6):
        assert econ.weighted_quantile([1, 2, 10], 0.5, np.array([0.2, 0.3, 0.5]) * scale) == 6
        assert econ.weighted_quantile([1, 2, 10], 0.49, np.array([0.2, 0.3, 0.5]) * scale) == 2


@pytest.mark.parametrize("province", ["all", "Ilocos Norte", "Ilocos Sur", "La Union", "Pangasinan"])
def test_incomes_of_ilocos(golden, province):
    """R package ineq 0.2-13: RS, var.coeff and entropy of ineq::Ilocos; its cv2 is GE(2)."""
    case = golden("ineq_ilocos")
    expected = case.expected[f"ilocos_{province}"]
    income = case.data["income"] if province == "all" else case.data.query("province == @province")["income"]
    for name, theirs in (("hoover", "rs"), ("cv", "varcoef"), ("ge(2)", "cv2"), ("gini_unbiased", "gini_unbiased")):
        assert_allclose(econ.inequality_of(income, name), expected[theirs], rtol=R, err_msg=name)


@pytest.mark.parametrize("vector", ["ineq_help_vector", "v12345"])
def test_vectors_of_the_help_pages_of_ineq(golden, vector):
    expected = golden("ineq_ilocos").expected[vector]
    for name, theirs in (("hoover", "rs"), ("cv", "varcoef"), ("ge(2)", "cv2"), ("gini_unbiased", "gini_unbiased")):
        assert_allclose(econ.inequality_of(expected["x"], name), expected[theirs], rtol=R, err_msg=name)


def test_zeros_of_the_golden_case(golden):
    """R's Theil drops zeros without a word; zeros="drop" does the same and says so."""
    expected = golden("ineq_ilocos").expected["with_zero"]
    assert_allclose(econ.gini(expected["x"]), expected["gini"], rtol=R)
    assert_allclose(econ.theil(expected["x"]), expected["theil_T_correct"], rtol=R)
    assert_allclose(econ.theil([x for x in expected["x"] if x]), expected["theil_T_R_ineq"], rtol=R)


def test_zeros():
    x = [0, 1, 3]
    assert np.isnan([econ.ge(x, 0), econ.ge(x, -1), econ.quantile_ratio(x)]).all()
    assert_allclose(econ.ge(x, 0.5), (np.mean(np.sqrt(np.array(x) * 3 / 4)) - 1) / -0.25, rtol=EXACT)
    assert_allclose(econ.ge(x, 2), econ.cv(x) ** 2 / 2, rtol=EXACT)
    assert_allclose(econ.hoover(x), (4 / 3 + 1 / 3 + 5 / 3) / (2 * 4), rtol=EXACT)


# --- what holds for any sample --------------------------------------------------------------------------------------

samples = arrays(float, st.integers(2, 30), elements=st.floats(0.01, 1e4))


@every_index
@properties
@given(x=samples, factor=st.floats(1e-3, 1e3))
def test_units_do_not_matter(name, x, factor):
    assert_allclose(econ.inequality_of(factor * x, name), econ.inequality_of(x, name), 1e-9, NOISE)  # rounded anew


@pytest.mark.parametrize("name", RELATIVE)
@properties
@given(data=st.data(), x=samples)
def test_weights_are_repetition(name, data, x):
    times = data.draw(arrays(int, x.size, elements=st.integers(0, 4)))
    assume((times > 0).sum() >= 2)
    expected = econ.inequality_of(np.repeat(x, times), name)
    assert_allclose(econ.inequality_of(x, name, times), expected, 1e-9, NOISE)  # sums in another order
    assert_allclose(econ.inequality_of(x, name, times * 0.37), expected, 1e-9, NOISE)


@every_index
@properties
@given(data=st.data(), x=samples)
def test_order_does_not_matter(name, data, x):
    shuffled = data.draw(st.permutations(list(x)))
    assert_allclose(econ.inequality_of(shuffled, name), econ.inequality_of(x, name), 1e-9, NOISE)  # other sums


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ratio(0.9, 0.1)"])
@properties
@given(x=samples, share=st.floats(0.05, 0.45))
def test_giving_to_the_poorest_lowers_inequality(name, x, share):
    """Pigou-Dalton; Hoover's index falls too as the two are on either side of the mean."""
    x = np.sort(x)
    assume(x[-1] > 1.01 * x[0])
    after = x.copy()
    after[[0, -1]] += np.array([1, -1]) * share * (x[-1] - x[0])
    assert econ.inequality_of(after, name) < econ.inequality_of(x, name)


@every_index
@properties
@given(x=st.floats(1e-3, 1e6), n=st.integers(2, 20))
def test_equal_units_have_none(name, x, n):
    none = 1 if name.startswith("ratio") else 0
    assert_allclose(econ.inequality_of(np.full(n, x), name), none, atol=1e-15)  # last digit of the mean


@pytest.mark.parametrize("near", [0.0, 1.0])
@pytest.mark.parametrize("off", [-1e-7, 1e-7, -1e-12, 1e-12])
@properties
@given(x=samples)
def test_entropy_is_continuous_at_the_two_theils(near, off, x):
    limit = econ.theil(x) if near else econ.theil_l(x)
    assert_allclose(econ.ge(x, near + off), limit, rtol=3e-5, atol=NOISE)  # a log ratio of up to 14, squared, times off


@pytest.mark.parametrize("off", [-1e-7, 1e-7, -1e-12, 1e-12])
@properties
@given(x=samples)
def test_atkinson_is_continuous_at_one(off, x):
    assert_allclose(econ.atkinson(x, 1 + off), econ.atkinson(x, 1), rtol=3e-5, atol=NOISE)  # as above


@properties
@given(x=samples, epsilon=st.floats(0.01, 3))
def test_atkinson_is_a_function_of_entropy(x, epsilon):
    """A = 1 - (1 + a (a - 1) GE(a))**(1 / a), a = 1 - epsilon; Shorrocks (1980)."""
    assume(abs(epsilon - 1) > 1e-2)
    a = 1 - epsilon
    entropy = a * (a - 1) * econ.ge(x, a)
    assert_allclose(econ.atkinson(x, epsilon), -np.expm1(np.log1p(entropy) / a), 1e-7, 1e-10)  # a is 0.01 at least


@properties
@given(x=samples)
def test_bounds(x):
    n = x.size
    assert 0 <= econ.hoover(x) <= econ.gini(x) + NOISE  # the longest chord of the Lorenz curve is below twice its area
    assert econ.gini(x) <= 1 - 1 / n + NOISE
    assert econ.cv(x) <= np.sqrt(n - 1) + NOISE
    assert econ.quantile_ratio(x) >= 1


@properties
@given(
    data=st.data(),
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=12),
    name=st.sampled_from(RELATIVE),
    weighted=st.booleans(),
)
def test_many_groups_are_one_by_one(data, sizes, name, weighted):
    """Groups of any sizes and in any order of rows, and groups without a unit."""
    group = np.array(data.draw(st.permutations(np.repeat(np.arange(len(sizes)), sizes).tolist())), int)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = rng.lognormal(size=group.size), rng.uniform(0.1, 3, group.size) if weighted else None
    found = of_groups(index_named(name), x, w, group, len(sizes))
    for g in range(len(sizes)):
        own = group == g
        expected = econ.inequality_of(x[own], name, None if w is None else w[own])
        assert_allclose(found[g], expected, 1e-12, NOISE)  # sums of another length


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: econ.inequality_of([1, 2], "gin"), UsageError, r"no index 'gin': choose among gini, .*ge\(alpha\)"),
        (lambda: econ.inequality_of([1, 2], "ge"), UsageError, r"'ge' is no index: expected ge\(alpha\)"),
        (lambda: econ.inequality_of([1, 2], "gini(1)"), UsageError, "expected gini with"),
        (lambda: econ.inequality_of([1, 2], "ratio(0.9)"), UsageError, r"expected ratio\(upper, lower\)"),
        (lambda: econ.inequality_of([1, 2], "ge(x)"), UsageError, "with numbers in the brackets"),
        (lambda: econ.inequality_of([1, 2], ""), UsageError, "no index ''"),
        (lambda: econ.quantile_ratio([1, 2], 0.1, 0.9), UsageError, "1 > upper > lower > 0"),
        (lambda: econ.ge([1, 2], np.inf), UsageError, "alpha is inf"),
        (lambda: econ.weighted_quantile([1, 2], 1), UsageError, "p is 1"),
        (lambda: econ.inequality_of([1, 2], "gini_unbiased", [1, 1]), UsageError, "number of units"),
        (lambda: econ.hoover([1, -1]), BadInputError, "negative values, the least is -1"),
        (lambda: econ.cv([1, np.nan]), BadInputError, "1 missing"),
    ],
)
def test_bad_calls(call, error, says):
    with pytest.raises(error, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


@every_index
def test_fewer_than_two_units(name):
    for x in ([], [3.0], [0.0, 0.0]):
        assert np.isnan(econ.inequality_of(x, name))
    assert np.isnan(econ.weighted_quantile([], 0.5))


def test_every_family_is_tested():
    assert {name.split("(")[0] for name in NAMES} == set(FAMILIES)
