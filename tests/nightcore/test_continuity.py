"""Continuity between years: the behaviour table and the growth that the rules manufacture."""

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import isotonic_regression

from nightcore.errors import BadInputError, UsageError
from nightcore.kernels.annual import annual_block
from nightcore.kernels.continuity import CONTINUITY_RULES, continuity, hold_stack, hold_stack_reference
from nightcore.kernels.fixed import quantise

NAN = np.nan
SMALL = settings(deadline=None, max_examples=40)
RULES = sorted(CONTINUITY_RULES)
# rules whose result never falls; the others are shown to do so below
MONOTONE = ("fixpoint", "cummax", "cummin_back", "isotonic")

TABLE = {
    (5, 3, 2, 4): {
        "simultaneous": (5, 5, 3, 4),
        "sequential": (5, 5, 5, 5),
        "fixpoint": (5, 5, 5, 5),
        "cummax": (5, 5, 5, 5),
        "cummin_back": (2, 2, 2, 4),
        "isotonic": (10 / 3, 10 / 3, 10 / 3, 4),
    },
    (5, 0, 4, 6): {
        "simultaneous": (0, 5, 4, 6),
        "sequential": (0, 0, 4, 6),
        "fixpoint": (0, 0, 4, 6),
        "cummax": (5, 5, 5, 6),
        "cummin_back": (0, 0, 4, 6),
        "isotonic": (2.5, 2.5, 4, 6),
    },
    (5, 5, 0, 4): {
        "simultaneous": (5, 0, 5, 4),
        "sequential": (5, 0, 0, 4),
        "fixpoint": (0, 0, 0, 4),
        "cummax": (5, 5, 5, 5),
        "cummin_back": (0, 0, 0, 4),
        "isotonic": (10 / 3, 10 / 3, 10 / 3, 4),
    },
    (4, 6, 5, 7, 0): {
        "simultaneous": (4, 6, 6, 0, 7),
        "sequential": (4, 6, 6, 0, 0),
        "fixpoint": (0, 0, 0, 0, 0),
        "cummax": (4, 6, 6, 7, 7),
        "cummin_back": (0, 0, 0, 0, 0),
        "isotonic": (4, 4.5, 4.5, 4.5, 4.5),
    },
    (0, 3, 0, 0, 2, 5): {
        "simultaneous": (0, 0, 0, 0, 2, 5),
        "sequential": (0, 0, 0, 0, 2, 5),
        "fixpoint": (0, 0, 0, 0, 2, 5),
        "cummax": (0, 3, 3, 3, 3, 5),
        "cummin_back": (0, 0, 0, 0, 2, 5),
        "isotonic": (0, 1, 1, 1, 2, 5),
    },
}
CASES = [(series, rule, held) for series, by_rule in TABLE.items() for rule, held in by_rule.items()]


@pytest.mark.parametrize(("series", "rule", "held"), CASES)
def test_behaviour_table(series, rule, held):
    """The table of the readings of Liu et al. (2012), eq. 3, worked by hand."""
    assert_array_equal(continuity(np.array(series, float).reshape(-1, 1, 1), rule).ravel(), held)


@pytest.mark.parametrize(("series", "rule", "held"), CASES)
def test_behaviour_table_in_fixed_point(series, rule, held):
    """The same through the fused kernel; isotonic is the exact solution rounded once, to 2**-21 DN."""
    n = len(series)
    dn = np.array(series, np.uint8).reshape(-1, 1, 1)
    raw = quantise(np.tile(np.r_[np.arange(64.0), np.full(192, NAN)], (n, 1)))
    found = annual_block(dn, raw, np.arange(n + 1), 0, CONTINUITY_RULES[rule]).ravel()
    assert_array_equal(found, (np.rint(np.array(held) * 2.0**21) / 2.0**21).astype(np.float32))


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        ("none", 20.0, 20.0),
        ("simultaneous", 20.0, 21.1),
        ("sequential", 20.0, 23.8),
        ("fixpoint", 20.0, 23.8),
        ("cummax", 20.0, 23.8),
        ("cummin_back", 16.2, 20.0),
        ("isotonic", 18.8, 21.2),
    ],
)
def test_rules_turn_flat_noise_into_growth(rule, first, last):
    """Truth 20 DN, noise sd 2, 22 years: means of the first and the last year, known to one decimal."""
    noisy = np.random.default_rng(1).normal(20, 2, (22, 20_000))
    held = continuity(noisy, rule).mean(axis=1)
    # 0.05 is the rounding of the printed figures, 0.02 is two standard errors of a mean of 20,000 cells
    assert_allclose(held[[0, -1]], [first, last], atol=0.07)


def test_growth_in_percent_of_the_running_maximum_and_none_of_isotonic():
    noisy = np.random.default_rng(2).normal(20, 2, (22, 20_000))
    for rule in ("sequential", "fixpoint", "cummax"):
        held = continuity(noisy, rule).mean(axis=1)
        assert abs(100 * (held[-1] / held[0] - 1) - 19.0) < 0.3  # per cent: one decimal, and noise
        assert abs(100 * (held.mean() / noisy.mean() - 1) - 14.5) < 0.3
    # pooled means are the same numbers added in another order
    assert_allclose(continuity(noisy, "isotonic").mean(), noisy.mean(), rtol=1e-12)


# --- what holds for any series ------------------------------------------------------------------------------------

DN = st.one_of(st.just(NAN), st.just(0.0), st.integers(1, 63).map(float))
SERIES = arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=DN)
SEEN = arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 63).map(float))


@given(SERIES, st.sampled_from(RULES))
@SMALL
def test_kernel_equals_reference(stack, rule):
    assert_array_equal(hold_stack(stack, CONTINUITY_RULES[rule]), hold_stack_reference(stack, CONTINUITY_RULES[rule]))


@given(SERIES, st.sampled_from(RULES))
@SMALL
def test_missing_stays_missing_and_is_passed_over(stack, rule):
    held = continuity(stack, rule)
    assert_array_equal(np.isnan(held), np.isnan(stack))
    for before, after in zip(stack.T, held.T, strict=True):
        seen = ~np.isnan(before)
        if seen.any():
            assert_array_equal(after[seen], continuity(before[seen, None], rule)[:, 0])


@given(SERIES, st.sampled_from(["none", *MONOTONE]))
@SMALL
def test_correcting_a_corrected_series_changes_nothing(stack, rule):
    once = continuity(stack, rule)
    assert_array_equal(continuity(once, rule), once)


@given(SEEN, st.sampled_from(MONOTONE))
@SMALL
def test_lights_do_not_fade(stack, rule):
    assert (np.diff(continuity(stack, rule), axis=0) >= 0).all()


@given(arrays(float, (9, 3), elements=st.floats(0, 1023)))
@SMALL
def test_isotonic_is_the_least_squares_solution(stack):
    held = continuity(stack, "isotonic")
    best = np.column_stack([isotonic_regression(series).x for series in stack.T])
    assert_allclose(held, best, rtol=1e-12, atol=1e-12)  # sums of the same numbers in another order


@given(SEEN)
@SMALL
def test_what_is_never_raised_or_lowered(stack):
    assert (continuity(stack, "cummax") >= stack).all()
    assert (continuity(stack, "cummin_back") <= stack).all()
    held = continuity(stack, "fixpoint")
    assert ((held >= stack) | (held == 0)).all()


@given(SEEN)
@SMALL
def test_fixpoint_is_where_the_printed_rule_comes_to_rest(stack):
    """Applied until nothing changes, on series that are lit at the end, `sequential` gives `fixpoint`."""
    lit = np.vstack([stack, np.full((1, stack.shape[1]), 63.0)])
    held = lit
    for _ in range(len(lit) + 1):
        held = continuity(held, "sequential")
    assert_array_equal(held, continuity(lit, "fixpoint"))


def test_simultaneous_is_not_monotone():
    assert (np.diff(continuity(np.array([[5.0], [3.0], [2.0], [4.0]]), "simultaneous"), axis=0) < 0).any()


def test_a_last_year_that_was_not_observed_does_not_erase_a_city():
    series = np.array([[4.0], [6.0], [5.0], [7.0], [NAN]])
    assert_array_equal(continuity(series, "fixpoint").ravel(), [4, 6, 6, 7, NAN])


@pytest.mark.parametrize("rule", RULES)
def test_one_year_and_no_observed_year(rule):
    assert_array_equal(continuity(np.array([[3.0, 0.0, NAN]]), rule), [[3.0, 0.0, NAN]])
    assert_array_equal(continuity(np.full((3, 1), NAN), rule), np.full((3, 1), NAN))


# --- kinds of arrays ----------------------------------------------------------------------------------------------


def test_integers_hold_255_for_missing():
    out = continuity(np.array([5, 3, 255, 4], np.uint8).reshape(-1, 1, 1), "cummax")
    assert out.dtype == np.float32
    assert_array_equal(out.ravel(), [5, 5, NAN, 5])


def test_floats_are_not_rounded_and_input_is_not_changed():
    stack = np.array([[1 / 3], [0.1], [1 / 7]])
    before = stack.copy()
    assert_array_equal(continuity(stack, "cummax"), np.full((3, 1), 1 / 3))
    assert_array_equal(stack, before)


def cube(lazy=False):
    values = np.random.default_rng(3).integers(0, 9, (6, 4, 5)).astype(np.float32)
    return xr.DataArray(
        dask.array.from_array(values, chunks=(2, 2, 3)) if lazy else values,
        dims=("year", "y", "x"),
        coords={"year": np.arange(1992, 1998)},
        name="lights",
    )


def test_labels_travel_and_dask_stays_lazy():
    plain, lazy = continuity(cube()), continuity(cube(lazy=True))
    assert isinstance(lazy.data, dask.array.Array)
    xr.testing.assert_identical(lazy.compute(), plain)
    assert_array_equal(plain.values, continuity(cube().values))
    assert plain.dtype == np.float32
    assert continuity(cube().transpose("y", "x", "year")).dims == ("y", "x", "year")


def test_unknown_rule():
    with pytest.raises(UsageError, match=r"no continuity rule 'smooth'.*none, simultaneous"):
        continuity(np.zeros((2, 1)), "smooth")


def test_years_out_of_order():
    with pytest.raises(BadInputError, match="do not ascend"):
        continuity(cube()[::-1])


def test_no_years():
    with pytest.raises(BadInputError, match="expected year among them"):
        continuity(cube().rename(year="time"))
    with pytest.raises(BadInputError, match="no coordinate 'year'"):
        continuity(cube().drop_vars("year"))
