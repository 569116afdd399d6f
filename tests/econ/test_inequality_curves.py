"""Lorenz and concentration curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

import econ
from econ.errors import BadInputError

properties = settings(deadline=None, max_examples=50)
samples = arrays(float, st.integers(2, 30), elements=st.floats(0.01, 1e4))


def test_lorenz_curve_of_one_to_five():
    """Sums 1, 3, 6, 10 of 15."""
    curve = econ.lorenz_curve([5, 3, 1, 2, 4])
    assert_allclose(curve["share_of_weight"], np.arange(6) / 5)
    assert_allclose(curve["share_of_total"], np.array([0, 1, 3, 6, 10, 15]) / 15)


def test_concentration_by_hand():
    """Light 1, 3, 2 ordered by income: 1 - 2 (1/18 + 5/18 + 10/18 ... ) by trapezia of 0, 1/6, 4/6, 1."""
    area = (0 + 1 / 6) / 6 + (1 / 6 + 4 / 6) / 6 + (4 / 6 + 1) / 6
    assert_allclose(econ.concentration_index([1, 3, 2], [10, 20, 30]), 1 - 2 * area, rtol=1e-14)  # a few terms
    assert_allclose(econ.concentration_index([1, 3, 2], [-10, -20, -30]), 2 * area - 1, rtol=1e-14)  # turned round


def test_units_of_one_rank_are_one_segment():
    curve = econ.concentration_curve([4, 1, 1], [2, 1, 2])
    assert_allclose(curve.to_numpy(), [[0, 0], [1 / 3, 1 / 6], [1, 1]])


@properties
@given(data=st.data(), x=samples)
def test_gini_is_twice_the_area(data, x):
    w = data.draw(arrays(float, x.size, elements=st.floats(0.1, 10)))
    gini = econ.gini(x, w)
    assert_allclose(econ.concentration_index(x, x, w), gini, rtol=1e-9, atol=1e-12)  # sums in another order
    p, share = econ.lorenz_curve(x, w).to_numpy().T
    assert_allclose(1 - np.sum(np.diff(p) * (share[1:] + share[:-1])), gini, rtol=1e-9, atol=1e-12)
    assert (np.diff(share) / np.diff(p)).tolist() == pytest.approx(sorted(np.diff(share) / np.diff(p)))
    # Hoover's index is the longest distance of the curve from the diagonal
    assert_allclose(np.max(p - share), econ.hoover(x, w), rtol=1e-9, atol=1e-12)


@properties
@given(data=st.data(), x=samples)
def test_concentration_is_a_covariance_and_at_most_the_gini(data, x):
    """C = 2 cov(x, F) / mu, F the mid-rank in the order of the other variable; Kakwani (1980)."""
    rank = np.array(data.draw(st.permutations(range(x.size))))
    found = econ.concentration_index(x, rank)
    middle = (rank + 0.5) / x.size
    assert_allclose(found, 2 * np.mean((x - x.mean()) * middle) / x.mean(), rtol=1e-9, atol=1e-12)  # other sums
    assert abs(found) <= econ.gini(x) + 1e-12


def test_zero_weights_leave_units_out():
    assert econ.concentration_index([1, 3, 99], [1, 2, 3], [1, 1, 0]) == econ.concentration_index([1, 3], [1, 2])


def test_undefined():
    assert np.isnan(econ.concentration_index([1], [1]))
    assert np.isnan(econ.concentration_index([0, 0], [1, 2]))
    assert econ.lorenz_curve([0, 0])["share_of_total"].isna().any()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: econ.concentration_curve([1, 2], [1]), "1 ranks for 2 values"),
        (lambda: econ.concentration_curve([1, 2], [1, np.nan]), "rank holds missing"),
        (lambda: econ.lorenz_curve([1, -2]), "negative"),
    ],
)
def test_bad_samples(call, says):
    with pytest.raises(BadInputError, match=says):
        call()
