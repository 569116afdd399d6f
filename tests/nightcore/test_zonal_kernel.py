"""Sums over zones: the same bits in any order, on any tiling."""

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from nightcore.errors import BadInputError
from nightcore.kernels.annual import annual_block
from nightcore.kernels.continuity import CONTINUITY_RULES
from nightcore.kernels.fixed import MERGED_BITS, quantise
from nightcore.kernels.merge import MERGE_RULES
from nightcore.kernels.zonal import (
    SUM_BITS,
    ExactSum,
    sum_bits,
    value_bits,
    zone_sums,
    zone_sums_reference,
    zone_sums_values,
    zone_sums_values_reference,
)

SMALL = settings(deadline=None, max_examples=40)
SUMS = ("total", "cells", "total_area", "area", "lit", "saturated", "missing")
RAW = quantise(np.r_[np.arange(64.0), np.full(192, np.nan)][None])


@st.composite
def worlds(draw):
    """A block of DN, curves, and entries sorted by cell in which zones share cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    n, height, width = sum(sizes), draw(st.integers(1, 7)), draw(st.integers(1, 7))
    dn = rng.choice(np.r_[np.zeros(40), 255, 255, 63, 63, np.arange(1, 64)], (n, height, width)).astype(np.uint8)
    dn[:, rng.random((height, width)) < 0.4] = 0
    curves = np.full((n, 256), np.nan)
    curves[:, :64] = rng.random((n, 64)) * 100
    if draw(st.booleans()):
        curves[:, 0] = 0
    curves = quantise(curves)
    n_zones = draw(st.integers(1, 4))
    covered = rng.random((height * width, n_zones)) < 0.5
    pixel, zone = np.nonzero(covered)
    weight = np.where(rng.random(len(pixel)) < 0.3, 1.0, 1 - rng.random(len(pixel)))
    codes = (
        draw(st.sampled_from(sorted(MERGE_RULES.values()))),
        draw(st.sampled_from(sorted(CONTINUITY_RULES.values()))),
    )
    return {
        "dn": dn,
        "curves": curves,
        "year_start": np.r_[0, np.cumsum(sizes)],
        "merge_code": codes[0],
        "continuity_code": codes[1],
        "pixel": pixel,
        "zone": zone.astype(np.int32),
        "weight": weight,
        "area": rng.random(height) * 0.86,
        "n_zones": n_zones,
        "ceiling": 63,
        "bits": sum_bits(curves),
    }


def assert_same_sums(one, other):
    for field in fields(one):
        assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


@given(worlds())
@SMALL
def test_kernel_equals_reference(world):
    assert_same_sums(zone_sums(**world), zone_sums_reference(**world))


@given(worlds(), st.randoms())
@SMALL
def test_the_order_of_entries_does_not_change_a_bit(world, random):
    order = np.array(random.sample(range(len(world["pixel"])), len(world["pixel"])), int)
    shuffled = world | {name: world[name][order] for name in ("pixel", "zone", "weight")}
    assert_same_sums(zone_sums(**world), zone_sums(**shuffled))


@given(worlds(), st.data())
@SMALL
def test_the_tiling_does_not_change_a_bit(world, data):
    """Cut anywhere into four tiles, summed tile by tile in any order."""
    whole = zone_sums(**world)
    _, height, width = world["dn"].shape
    r, c = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    tiles = [(a, b) for a in ((0, r), (r, height)) for b in ((0, c), (c, width)) if a[0] < a[1] and b[0] < b[1]]
    totals = {name: ExactSum(whole.total.shape) for name in SUMS}
    low, high = np.full(whole.low.shape, np.nan), np.full(whole.low.shape, np.nan)
    row, column = np.divmod(world["pixel"], width)
    for (r0, r1), (c0, c1) in data.draw(st.permutations(tiles)):
        inside = (row >= r0) & (row < r1) & (column >= c0) & (column < c1)
        zones, local = np.unique(world["zone"][inside], return_inverse=True)
        part = world | {
            "dn": np.ascontiguousarray(world["dn"][:, r0:r1, c0:c1]),
            "area": world["area"][r0:r1],
            "pixel": (row[inside] - r0) * (c1 - c0) + column[inside] - c0,
            "zone": local.astype(np.int32),
            "weight": world["weight"][inside],
            "n_zones": len(zones),
        }
        sums = zone_sums(**part)
        for name in SUMS:
            totals[name].add(zones, getattr(sums, name))
        low[zones], high[zones] = np.fmin(low[zones], sums.low), np.fmax(high[zones], sums.high)
    bits = world["bits"]
    for name in SUMS:
        assert_array_equal(totals[name].value(bits), getattr(whole, name) * 2.0**-bits, err_msg=name)
    assert_array_equal(low, whole.low)
    assert_array_equal(high, whole.high)


@given(worlds())
@SMALL
def test_sums_are_those_of_the_lights(world):
    """Against plain floating-point sums of the annual lights."""
    sums = zone_sums(**world)
    unit = 2.0 ** -world["bits"]
    chain = (world[name] for name in ("dn", "curves", "year_start", "merge_code", "continuity_code"))
    lights = annual_block(*chain).astype(float)
    lights = lights.reshape(len(lights), -1)[:, world["pixel"]]
    area = np.repeat(world["area"], world["dn"].shape[2])[world["pixel"]]
    seen = ~np.isnan(lights)
    for z in range(world["n_zones"]):
        here = world["zone"] == z
        w = world["weight"][here]
        light, known = np.where(seen, lights, 0)[:, here], seen[:, here]
        # float32 lights below 128 are off by 2**-18 at most, in 49 cells
        assert_allclose(sums.total[z] * unit, light @ w, atol=49 * 2.0**-18)
        assert_allclose(sums.total_area[z] * unit, light @ (w * area[here]), atol=49 * 2.0**-18)
        # rounding of 49 weights to 2**-36
        assert_allclose(sums.cells[z] * unit, known @ w, atol=49 * 2.0**-36)
        assert_allclose(sums.area[z] * unit, known @ (w * area[here]), atol=49 * 2.0**-36)
        assert_allclose(sums.missing[z] * unit, (~known) @ w, atol=49 * 2.0**-36)
        assert_allclose(sums.lit[z] * unit, (light > 0) @ w, atol=49 * 2.0**-36)


def one_pixel(dn, **options):
    """Sums of one zone over cells in a row, all of weight 1, one year."""
    dn = np.array(dn, np.uint8)
    n, width = dn.shape
    given = {
        "dn": dn[:, None, :],
        "curves": np.tile(RAW, (n, 1)),
        "year_start": np.array([0, n]),
        "merge_code": 0,
        "continuity_code": 0,
        "pixel": np.arange(width),
        "zone": np.zeros(width, np.int32),
        "weight": np.ones(width),
        "area": np.array([0.5]),
        "n_zones": 1,
        "ceiling": 63,
        "bits": SUM_BITS,
    }
    return zone_sums(**(given | options))


def test_every_column_by_hand():
    sums = one_pixel([[10, 0, 255, 63], [20, 0, 255, 255]], weight=np.array([1.0, 0.5, 0.25, 0.75]))
    unit = 2.0**SUM_BITS
    assert sums.total.item() == (15 + 63 * 0.75) * unit
    assert sums.cells.item() == (1 + 0.5 + 0.75) * unit
    assert sums.total_area.item() == (15 + 63 * 0.75) * 0.5 * unit
    assert sums.area.item() == 2.25 * 0.5 * unit
    assert sums.lit.item() == 1.75 * unit
    assert sums.saturated.item() == 0.75 * unit
    assert sums.missing.item() == 0.25 * unit
    assert sums.low.item() == 0
    assert sums.high.item() == 63 * 2**MERGED_BITS


def test_saturation_is_told_by_the_raw_dn_of_any_satellite():
    dimmed = one_pixel([[63], [1]], merge_code=MERGE_RULES["newer"])
    assert dimmed.saturated.item() == dimmed.cells.item()
    assert one_pixel([[62], [61]]).saturated.item() == 0
    assert one_pixel([[255], [10]]).saturated.item() == 0  # 255 is not a saturated DN


def test_a_zone_without_cells_has_no_minimum():
    sums = one_pixel([[255]])
    assert np.isnan(sums.low.item())
    assert np.isnan(sums.high.item())


# --- values -------------------------------------------------------------------------------------------------------


@st.composite
def value_worlds(draw):
    world = draw(worlds())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.normal(0, draw(st.sampled_from([1e-3, 1.0, 1e4])), (3, *world["dn"].shape[1:]))
    values[rng.random(values.shape) < 0.2] = np.nan
    largest = np.abs(values[~np.isnan(values)]).max(initial=0)
    entries = {name: world[name] for name in ("pixel", "zone", "weight", "area", "n_zones")}
    return {"values": values, **entries, "bits": value_bits(largest)}


@given(value_worlds())
@SMALL
def test_values_equal_reference(world):
    found = zone_sums_values(**world)
    assert found.saturated is None
    assert_same_sums(replace(found, saturated=0), replace(zone_sums_values_reference(**world), saturated=0))


@given(value_worlds(), st.randoms())
@SMALL
def test_values_in_any_order(world, random):
    order = np.array(random.sample(range(len(world["pixel"])), len(world["pixel"])), int)
    shuffled = world | {name: world[name][order] for name in ("pixel", "zone", "weight")}
    assert_same_sums(
        replace(zone_sums_values(**world), saturated=0), replace(zone_sums_values(**shuffled), saturated=0)
    )


def test_negative_values_keep_their_sign():
    """VIIRS radiances around darkness are slightly negative."""
    entries = {"pixel": np.arange(2), "zone": np.zeros(2, np.int32), "weight": np.ones(2), "area": np.array([0.2])}
    sums = zone_sums_values(np.array([[[-0.25, 2.0]]]), **entries, n_zones=1, bits=30)
    assert sums.total.item() == 1.75 * 2**30
    assert (sums.low.item(), sums.high.item()) == (-0.25, 2.0)
    assert sums.lit.item() == 2**30


# --- scale --------------------------------------------------------------------------------------------------------


def test_ordinary_curves_share_one_scale():
    assert sum_bits(RAW) == SUM_BITS
    assert sum_bits(quantise(np.full((1, 256), 125.2))) == SUM_BITS  # the brightest of wu2013


@given(st.floats(1, 1023), st.floats(0.01, 15_000))
@SMALL
def test_a_full_block_of_the_largest_light_and_cell_fits(light, area):
    """512 x 512 cells, up to those of a degree: exact integers say so."""
    bits = sum_bits(quantise(np.full((1, 256), light)), area)
    contribution = round(Fraction(light) * Fraction(max(area, 1)) * 2**bits) + 1
    assert 2**18 * contribution < 2**63


def test_a_full_block_does_not_overflow():
    n = 512 * 512
    sums = zone_sums_values(
        np.full((1, 512, 512), 1e6),
        np.arange(n),
        np.zeros(n, np.int32),
        np.ones(n),
        np.full(512, 0.86),
        1,
        value_bits(1e6),
    )
    assert sums.total.item() * 2.0 ** -value_bits(1e6) == n * 1e6


def test_a_scale_that_would_overflow_is_refused():
    n = 512 * 512
    with pytest.raises(ValueError, match="do not fit an int64"):
        zone_sums_values(
            np.full((1, 512, 512), 1e6), np.arange(n), np.zeros(n, np.int32), np.ones(n), np.full(512, 0.86), 1, 44
        )


@pytest.mark.parametrize("value", [np.inf, 1e20])
def test_values_that_cannot_be_summed(value):
    with pytest.raises(BadInputError, match="NaN"):
        value_bits(value)


@pytest.mark.parametrize(("pixel", "zone"), [([4], [0]), ([-1], [0]), ([0], [1]), ([0], [-1])])
def test_entries_outside_the_block(pixel, zone):
    with pytest.raises(ValueError, match="take them from"):
        one_pixel(np.zeros((1, 4)), pixel=np.array(pixel), zone=np.array(zone, np.int32), weight=np.ones(1))


# --- exact addition -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50), st.integers(0, 60))
@SMALL
def test_exact_sum_is_that_of_integers_rounded_once(values, bits):
    total = ExactSum((1, 1))
    for value in values:
        total.add(np.array([0]), np.array([[value]], np.int64))
    assert total.value(bits).item() == float(Fraction(sum(values), 2**bits))


def test_exact_sum_adds_rows_by_name():
    total = ExactSum((3, 2))
    total.add(np.array([2, 0]), np.array([[1, 2], [3, 4]]))
    total.add(np.array([2]), np.array([[10, 20]]))
    assert_array_equal(total.value(0), [[3, 4], [0, 0], [11, 22]])
