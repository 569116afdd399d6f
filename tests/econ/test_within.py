"""Effects taken out of columns: against dummies, in panels with gaps, parts that do not meet, and many levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from econ.estimators import within
from econ.estimators.covariance import KERNELS, driscoll_kraay, newey_west
from econ.estimators.within import TwoWay, absorb, absorbed_rank

properties = settings(deadline=None, max_examples=25)
ROUNDING = 1e-9  # of sums of some hundred terms of size 1, by another decomposition


def unbalanced(seed, entities, periods, keep):
    """Codes of a panel with gaps, every level there, and two columns and weights."""
    rng = np.random.default_rng(seed)
    i, t = (axis.ravel() for axis in np.indices((entities, periods)))
    kept = rng.random(i.size) < keep
    kept[np.unique(i, return_index=True)[1]] = kept[np.unique(t, return_index=True)[1]] = True
    i, t = i[kept], t[kept]
    return i, t, rng.normal(size=(i.size, 2)), rng.uniform(0.2, 3, i.size)


def residuals_of_dummies(values, i, t, weight):
    root = np.ones(i.size) if weight is None else np.sqrt(weight)
    D = root[:, None] * np.column_stack([np.eye(i.max() + 1)[i], np.eye(t.max() + 1)[t]])
    b = np.linalg.lstsq(D, root[:, None] * values, rcond=None)[0]
    return values - (D / root[:, None]) @ b, np.linalg.matrix_rank(D)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(9, 5), (5, 9)])
@properties
@given(seed=st.integers(0, 10_000), keep=st.floats(0.05, 0.9))
def test_two_way_effects_are_dummies(shape, weighted, seed, keep):
    i, t, values, weight = unbalanced(seed, *shape, keep)
    weight = weight if weighted else None
    wanted, rank = residuals_of_dummies(values, i, t, weight)
    assert_allclose(absorb(values, i, t, weight), wanted, atol=ROUNDING)
    assert absorbed_rank(i, t) == rank
    assert_allclose(absorb(values, t, i, weight), wanted, atol=ROUNDING)


def test_parts_that_do_not_meet():
    """Entities 0 and 1 are there in periods 0 and 1, entity 2 in period 2: each part has a free level of its own."""
    i, t = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2])
    both = TwoWay(i, t)
    assert both.rank == 3 + 3 - 2
    y = np.array([1.0, 2.0, 4.0, 8.0, 5.0])
    assert_allclose(both.absorb(y), [0.75, -0.75, -0.75, 0.75, 0], atol=1e-15)
    assert_allclose(both.time_effects(y), [-1.25, 1.25, 0], atol=1e-15)  # of mean 0 in each part


def test_sparse_and_dense_systems_agree(monkeypatch):
    i, t, values, weight = unbalanced(4, 60, 40, 0.1)
    dense = absorb(values, i, t, weight)
    monkeypatch.setattr(within, "DENSE", 1)
    assert_allclose(absorb(values, i, t, weight), dense, atol=ROUNDING)


def test_a_chain_of_periods_keeps_its_digits():
    """Two thousand periods, each met by the next in one entity only: errors of the sums must not pile up."""
    n = 2000
    i = np.concatenate([np.arange(n), np.arange(n - 1)])
    t = np.concatenate([np.arange(n), np.arange(1, n)])
    rng = np.random.default_rng(0)
    a, d = rng.normal(size=n), np.cumsum(rng.normal(size=n))
    y = a[i] + d[t]
    assert_allclose(absorb(y, i, t), 0, atol=1e-11 * np.abs(y).max())  # the condition of a chain grows with n^2


def by_pairs(S, unit, tick, lags, kernel):
    """Sum over all pairs of rows of one unit, by the definition."""
    lag = np.abs(tick[:, None] - tick)
    weight = np.where(lag == 0, 1.0, 0.0)
    weight[lag > 0] = KERNELS[kernel](lag[lag > 0] / (lags + 1))
    return S.T @ (weight * (unit[:, None] == unit)) @ S


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("stretch", [1, 3, 1_000_003])
@properties
@given(seed=st.integers(0, 10_000))
def test_lags_go_by_the_calendar(kernel, stretch, seed):
    """Periods far apart, with gaps: every pair of rows counts by its distance, and the span costs nothing."""
    i, t, S, _ = unbalanced(seed, 5, 8, 0.7)
    tick = t * stretch
    lags = 2 * stretch if stretch < 10 else 2
    one = np.zeros_like(i)
    assert_allclose(driscoll_kraay(S, tick, lags, kernel), by_pairs(S, one, tick, lags, kernel), atol=ROUNDING)
    assert_allclose(newey_west(S, i, tick, lags, kernel), by_pairs(S, i, tick, lags, kernel), atol=ROUNDING)
