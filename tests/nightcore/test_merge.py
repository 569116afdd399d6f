"""Merging the satellites of one year."""

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from nightcore.errors import BadInputError, UsageError
from nightcore.kernels.merge import MERGE_RULES, merge, merge_stack, merge_stack_reference

NAN = np.nan

# whole DN: sums of a few are exact, so equality is exact whatever the order of additions
DN = st.one_of(st.just(NAN), st.just(0.0), st.integers(1, 63).map(float))
SMALL = settings(deadline=None, max_examples=40)


def column(*values):
    return np.array(values, float).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("rule", "both_lit", "one_dark", "both_dark", "one_missing", "both_missing"),
    [
        ("mean", 7.0, 5.0, 0.0, 4.0, NAN),
        ("either_zero", 7.0, 0.0, 0.0, 4.0, NAN),
        ("mean_of_lit", 7.0, 10.0, 0.0, 4.0, NAN),
        ("newer", 10.0, 10.0, 0.0, 4.0, NAN),
        ("older", 4.0, 0.0, 0.0, 4.0, NAN),
    ],
)
def test_each_rule_by_hand(rule, both_lit, one_dark, both_dark, one_missing, both_missing):
    pairs = [(4.0, 10.0), (0.0, 10.0), (0.0, 0.0), (4.0, NAN), (NAN, NAN)]
    expected = [both_lit, one_dark, both_dark, one_missing, both_missing]
    for pair, value in zip(pairs, expected, strict=True):
        assert_array_equal(merge(column(*pair), rule).ravel(), [value])


def test_a_cell_that_only_the_older_satellite_saw_takes_it_under_newer():
    assert merge(column(4.0, NAN), "newer").item() == 4.0
    assert merge(column(NAN, 10.0), "older").item() == 10.0


def test_mean_of_three_observed_and_one_missing():
    assert merge(column(1.0, NAN, 2.0, 6.0)).item() == 3.0


def test_the_rule_as_printed_is_the_plain_mean():
    """0 where both are 0, else the mean: algebraically that is the mean."""
    a, b = np.meshgrid(np.arange(64.0), np.arange(64.0))
    printed = np.where((a == 0) & (b == 0), 0, (a + b) / 2)
    assert_array_equal(merge(np.stack([a, b]))[0], printed)


def test_years_group_composites_and_come_out_ascending():
    stack = np.array([10.0, 20.0, 1.0, 3.0]).reshape(-1, 1, 1)
    assert_array_equal(merge(stack, years=[1995, 1996, 1994, 1994]).ravel(), [2.0, 10.0, 20.0])


def test_integers_hold_255_for_missing_and_give_half_dn():
    out = merge(np.array([[[3, 255, 255]], [[4, 9, 255]]], np.uint8))
    assert out.dtype == np.float32
    assert_array_equal(out, [[[3.5, 9.0, NAN]]])


def test_float64_stays_float64_and_is_not_rounded():
    third = 1 / 3
    assert merge(column(third, third)).item() == third
    assert merge(column(third, third)).dtype == np.float64


@given(arrays(float, (5, 2, 3), elements=DN), st.sampled_from(sorted(MERGE_RULES)))
@SMALL
def test_kernel_equals_reference(stack, rule):
    year_start = np.array([0, 1, 3, 5])
    cells = stack.reshape(5, -1)
    assert_array_equal(
        merge_stack(cells, year_start, MERGE_RULES[rule]), merge_stack_reference(cells, year_start, MERGE_RULES[rule])
    )


@given(arrays(float, (2, 2, 3), elements=DN))
@SMALL
def test_algebra(stack):
    """Means commute; merging a composite with itself changes nothing; either_zero <= mean <= the brighter."""
    for rule in ("mean", "either_zero", "mean_of_lit"):
        assert_array_equal(merge(stack, rule), merge(stack[::-1], rule))
        assert_array_equal(merge(stack[[0, 0]], rule), stack[:1])
    plain = merge(stack)
    with np.errstate(invalid="ignore"):
        assert not (merge(stack, "either_zero") > plain).any()
        assert not (plain > np.fmax(*stack)).any()
        assert not (plain > merge(stack, "mean_of_lit")).any()
    assert_array_equal(np.isnan(plain[0]), np.isnan(stack).all(axis=0))


@given(arrays(float, (2, 2, 3), elements=DN))
@SMALL
def test_newer_of_a_stack_is_older_of_the_stack_reversed(stack):
    assert_array_equal(merge(stack, "newer"), merge(stack[::-1], "older"))


def test_input_is_not_changed():
    stack = column(4.0, NAN, 0.0)
    before = stack.copy()
    merge(stack, "either_zero")
    assert_array_equal(stack, before)


# --- labels -------------------------------------------------------------------------------------------------------


def labelled(lazy=False):
    values = np.arange(4 * 3 * 5, dtype=float).reshape(4, 3, 5)
    return xr.DataArray(
        dask.array.from_array(values, chunks=(1, 2, 2)) if lazy else values,
        dims=("composite", "y", "x"),
        coords={
            "year": ("composite", [1994, 1994, 1992, 1993]),
            "satellite": ("composite", ["F12", "F10", "F10", "F10"]),
            "y": [3.0, 2.0, 1.0],
            "x": np.arange(5.0),
        },
        name="lights",
        attrs={"units": "1"},
    )


def test_labels_and_attributes_travel():
    out = merge(labelled())
    assert out.dims == ("year", "y", "x")
    assert_array_equal(out.year, [1992, 1993, 1994])
    assert_array_equal(out.y, [3.0, 2.0, 1.0])
    assert out.name == "lights"
    assert out.attrs == {"units": "1"}
    assert_array_equal(out.sel(year=1994), labelled().values[:2].mean(axis=0))


def test_satellites_are_put_in_order_before_newer_is_chosen():
    stack = labelled()
    assert_array_equal(merge(stack, "newer").sel(year=1994), stack.values[0])  # F12 stands before F10
    assert_array_equal(merge(stack, "older").sel(year=1994), stack.values[1])


def test_dask_stays_lazy_and_gives_the_same_bits():
    out = merge(labelled(lazy=True), "mean_of_lit")
    assert isinstance(out.data, dask.array.Array)
    xr.testing.assert_identical(out.compute(), merge(labelled(), "mean_of_lit"))


def test_a_transposed_array_keeps_its_order_of_dimensions():
    stack = labelled().transpose("y", "x", "composite")
    out = merge(stack)
    assert out.dims == ("y", "x", "year")
    assert_array_equal(out.transpose("year", "y", "x"), merge(labelled()))


# --- what is refused ----------------------------------------------------------------------------------------------


def test_unknown_rule():
    with pytest.raises(UsageError, match=r"no merge rule 'median'.*mean, either_zero"):
        merge(column(1.0), "median")


def test_years_of_another_length():
    with pytest.raises(BadInputError, match="2 years for 3 composites"):
        merge(column(1.0, 2.0, 3.0), years=[1992, 1993])


def test_years_with_labels():
    with pytest.raises(UsageError, match="leave years out"):
        merge(labelled(), years=[1, 2, 3, 4])


def test_labels_without_years():
    with pytest.raises(BadInputError, match="no coordinate 'year' along composite"):
        merge(labelled().drop_vars("year"))
    with pytest.raises(BadInputError, match="expected composite among them"):
        merge(labelled().rename(composite="band"))


@pytest.mark.parametrize("stack", [np.array(["a", "b"]), np.array([True, False]), np.array([1j])])
def test_not_numbers(stack):
    with pytest.raises(BadInputError, match="expected floats"):
        merge(stack)


def test_an_empty_stack():
    with pytest.raises(BadInputError, match="at least one composite"):
        merge(np.empty((0, 2, 2)))
