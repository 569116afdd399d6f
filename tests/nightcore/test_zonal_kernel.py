"""Sums over zones: exact, and the same bits in any order, on any tiling."""

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from nightcore.errors import BadInputError
from nightcore.kernels.annual import annual_block
from nightcore.kernels.continuity import CONTINUITY_RULES
from nightcore.kernels.cover import WEIGHT_BITS, TileCover, tile_cover
from nightcore.kernels.fixed import LIMB, MERGED_BITS, ExactSum, area_bits, quantise, quantise_area
from nightcore.kernels.merge import MERGE_RULES
from nightcore.kernels.zonal import (
    MISSING,
    NOTHING,
    VALUE_BITS,
    Scratch,
    Window,
    dark_sums,
    largest_value,
    value_bits,
    zone_sums,
    zone_sums_reference,
    zone_sums_values,
    zone_sums_values_reference,
)

SMALL = settings(deadline=None, max_examples=60)
RAW = quantise(np.r_[np.arange(64.0), np.full(192, np.nan)][None])
THRESHOLDS = np.array([55, 60, 63])
WHOLE = 2**WEIGHT_BITS


@st.composite
def covers(draw, rng, height, width):
    """Zones that overlap, with runs of whole cells and parts."""
    n_zones = draw(st.integers(1, 4))
    cell, zone = np.nonzero(rng.random((height * width, n_zones)) < draw(st.sampled_from([0.1, 0.5, 0.95])))
    weight = np.where(rng.random(len(cell)) < draw(st.sampled_from([0.2, 0.8])), 1.0, 1 - rng.random(len(cell)))
    return tile_cover(cell // width, cell % width, zone * 3, weight)


@st.composite
def worlds(draw):
    """A block within larger planes, curves of any kind, and zones that share cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    n, height, width = sum(sizes), draw(st.integers(1, 7)), draw(st.integers(1, 11))
    top, left = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    planes = (n + draw(st.integers(0, 1)), height + top + 1, width + left + 1)
    dn = rng.choice(np.r_[np.zeros(40), 255, 255, 63, 63, np.arange(1, 64)], planes).astype(np.uint8)
    dn[:, rng.random(planes[1:]) < 0.4] = 0
    gaps = rng.random(planes[1:]) < draw(st.sampled_from([0.0, 0.5]))
    dn[:, gaps] = np.where(rng.random((len(dn), gaps.sum())) < 0.6, 255, 0)
    curves = np.full((n, 256), np.nan)
    curves[:, :64] = rng.random((n, 64)) * draw(st.sampled_from([100, 1023]))
    if draw(st.booleans()):
        curves[:, 0] = 0
    if draw(st.booleans()):
        curves[rng.random(curves.shape) < 0.1] = np.nan
    if draw(st.booleans()):
        curves[:, 255] = 7  # missing is what the curve says
    cells_area = rng.random(height) * 0.86
    return {
        "dn": dn,
        "composites": rng.permutation(len(dn))[:n],
        "window": Window.of(planes, top, left, height, width),
        "curves": quantise(curves),
        "year_start": np.r_[0, np.cumsum(sizes)],
        "merge_code": draw(st.sampled_from(sorted(MERGE_RULES.values()))),
        "continuity_code": draw(st.sampled_from(sorted(CONTINUITY_RULES.values()))),
        "cover": draw(covers(rng, height, width)),
        "area": quantise_area(cells_area, 30),
        "thresholds": draw(st.sampled_from([THRESHOLDS, THRESHOLDS[:0]])),
    }


def assert_same_sums(one, other):
    for field in fields(one):
        assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


@given(worlds())
@SMALL
def test_kernel_equals_reference(world):
    assert_same_sums(zone_sums(**world), zone_sums_reference(**world))


@pytest.mark.parametrize("merge", sorted(MERGE_RULES))
@pytest.mark.parametrize("held", sorted(CONTINUITY_RULES))
def test_every_pair_of_rules_on_more_cells_than_go_through_the_chain_together(merge, held):
    """1,800 cells, most of them lit, years of one, two and three satellites, a few missing."""
    rng = np.random.default_rng(8)
    dn = rng.choice(np.r_[0, 255, np.arange(64)], (6, 30, 60)).astype(np.uint8)
    curves = np.full((6, 256), np.nan)
    curves[:, :64] = np.arange(64) * rng.random((6, 1))
    row, column = np.divmod(np.arange(1800), 60)
    world = {
        "dn": dn,
        "composites": np.arange(6),
        "window": Window.of(dn.shape),
        "curves": quantise(curves),
        "year_start": np.array([0, 1, 3, 6]),
        "merge_code": MERGE_RULES[merge],
        "continuity_code": CONTINUITY_RULES[held],
        "cover": tile_cover(row, column, column // 17, np.where(column % 17, 1.0, 0.3)),
        "area": quantise_area(np.linspace(0.3, 0.8, 30), 30),
        "thresholds": THRESHOLDS,
    }
    assert_same_sums(zone_sums(**world), zone_sums_reference(**world))


@given(worlds())
@SMALL
def test_arrays_that_are_used_again_change_nothing(world):
    scratch = Scratch()
    for _ in range(2):
        assert_same_sums(zone_sums(**world, scratch=scratch), zone_sums(**world))
        scratch.take("place", (10,), np.int32)[:] = 7


@given(worlds(), st.data())
@SMALL
def test_the_tiling_does_not_change_a_bit(world, data):
    """Cut anywhere into four tiles, added tile by tile in any order."""
    whole = zone_sums(**world)
    window, cover = world["window"], world["cover"]
    height, width = window.height, window.width
    r, c = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    tiles = [(a, b) for a in ((0, r), (r, height)) for b in ((0, c), (c, width)) if a[0] < a[1] and b[0] < b[1]]
    totals = {name: ExactSum(whole.lit.shape) for name in ("total", "total_area")}
    plain = {name: np.zeros_like(getattr(whole, name)) for name in ("weight", "area", "lit", "missing", "missing_area")}
    saturated = np.zeros_like(whole.saturated)
    low, high = np.full_like(whole.low, NOTHING), np.full_like(whole.high, MISSING)
    row, column, zone, weight = cover.entries()
    for (r0, r1), (c0, c1) in data.draw(st.permutations(tiles)):
        inside = (row >= r0) & (row < r1) & (column >= c0) & (column < c1)
        part = tile_cover(row[inside] - r0, column[inside] - c0, zone[inside], weight[inside] / WHOLE)
        sums = zone_sums(
            **world
            | {
                "window": Window(window.origin + r0 * window.stride + c0, window.stride, r1 - r0, c1 - c0),
                "cover": part,
                "area": world["area"][r0:r1],
            }
        )
        for name, total in totals.items():
            total.add(part.zones, *getattr(sums, name))
        for name, total in plain.items():
            total[part.zones] += getattr(sums, name)
        saturated[:, part.zones] += sums.saturated
        low[part.zones] = np.minimum(low[part.zones], sums.low)
        high[part.zones] = np.maximum(high[part.zones], sums.high)
    for name, total in totals.items():
        assert_array_equal([total.high, total.low], getattr(whole, name), err_msg=name)
    for name, total in plain.items():
        assert_array_equal(total, getattr(whole, name), err_msg=name)
    assert_array_equal(saturated, whole.saturated)
    assert_array_equal(low, whole.low)
    assert_array_equal(high, whole.high)


def as_float(limbs, bits):
    return np.ldexp(limbs[0] * 2.0**LIMB + limbs[1], -bits)


def as_integers(limbs):
    high, low = limbs.astype(object)
    return (high * 2**LIMB + low).ravel().tolist()


@given(worlds())
@SMALL
def test_sums_are_those_of_the_lights(world):
    """Against plain floating-point sums of the annual lights."""
    sums, cover, window = zone_sums(**world), world["cover"], world["window"]
    row, column, zone, weight = cover.entries()
    block = world["dn"].reshape(len(world["dn"]), -1)[world["composites"]]
    block = block[:, window.origin + row * window.stride + column]
    chain = (world[name] for name in ("curves", "year_start", "merge_code", "continuity_code"))
    lights = annual_block(block[:, None], *chain)[:, 0].astype(float)
    seen, w = ~np.isnan(lights), weight / WHOLE
    a = w * world["area"][row] * 2.0**-30
    for z in range(len(cover.zones)):
        here = zone == z
        light, known = np.where(seen, lights, 0)[:, here], seen[:, here]
        # float32 lights below 1024 are off by 2**-15 at most, in 77 cells
        total, total_area = as_float(sums.total[:, z], 51), as_float(sums.total_area[:, z], 51)
        assert_allclose(total, light @ w[here], atol=77 * 2.0**-15)
        assert_allclose(total_area, light @ a[here], atol=77 * 2.0**-15)
        cells = (sums.weight[z] - sums.missing[z]) / WHOLE
        # float64 sums of 77 weights; areas of parts are rounded to 2**-30
        assert_allclose(cells, known @ w[here], atol=1e-12)
        assert_allclose((sums.area[z] - sums.missing_area[z]) * 2.0**-30, known @ a[here], atol=77 * 2.0**-31)
        assert_allclose(sums.lit[z] / WHOLE, (light > 0) @ w[here], atol=1e-12)


def one_row(dn, weight=None, **options):
    """Sums of one zone over cells in a row of 0.5 km2 each, one year."""
    dn = np.array(dn, np.uint8)[:, None, :]
    n, _, width = dn.shape
    place = np.arange(width)
    given = {
        "dn": dn,
        "composites": np.arange(n),
        "window": Window.of(dn.shape),
        "curves": np.tile(RAW, (n, 1)),
        "year_start": np.array([0, n]),
        "merge_code": 0,
        "continuity_code": 0,
        "cover": tile_cover(0 * place, place, 0 * place, np.ones(width) if weight is None else weight),
        "area": quantise_area(np.array([0.5]), 30),
        "thresholds": THRESHOLDS,
    }
    return zone_sums(**(given | options))


def test_every_column_by_hand():
    sums = one_row([[10, 0, 255, 63, 57], [20, 0, 255, 255, 58]], np.array([1.0, 0.5, 0.25, 0.75, 1.0]))
    assert as_float(sums.total, 51).item() == 15 + 63 * 0.75 + 57.5
    assert as_float(sums.total_area, 51).item() == (15 + 63 * 0.75 + 57.5) * 0.5
    assert sums.weight.item() == 3.5 * WHOLE
    assert sums.area.item() == 1.75 * WHOLE
    assert sums.missing.item() == 0.25 * WHOLE
    assert sums.missing_area.item() == 0.125 * WHOLE
    assert sums.lit.item() == 2.75 * WHOLE
    assert_array_equal(sums.saturated.ravel(), [1.75 * WHOLE, 0.75 * WHOLE, 0.75 * WHOLE])
    assert sums.low.item() == 0
    assert sums.high.item() == 63 * 2**MERGED_BITS


def test_saturation_is_told_by_the_raw_dn_of_any_satellite():
    dimmed = one_row([[63], [1]], merge_code=MERGE_RULES["newer"])
    assert_array_equal(dimmed.saturated.ravel(), dimmed.weight.item())
    assert_array_equal(one_row([[62], [61]]).saturated.ravel(), [WHOLE, WHOLE, 0])
    assert_array_equal(one_row([[54], [255]]).saturated.ravel(), 0)  # 255 is not a saturated DN


def test_a_zone_without_observed_cells_has_no_minimum():
    sums = one_row([[255]])
    assert (sums.low.item(), sums.high.item()) == (NOTHING, MISSING)


def test_cells_that_no_zone_covers_count_nothing():
    two = tile_cover(np.array([0, 0]), np.array([1, 3]), np.array([0, 0]), np.array([1.0, 0.5]))
    sums = one_row([[63, 10, 63, 20, 63]], cover=two)
    assert as_float(sums.total, 51).item() == 20
    assert sums.high.item() == 20 * 2**MERGED_BITS


@pytest.mark.parametrize("at_zero", [0.0, 2.5, np.nan])
def test_dark_cells_are_one_class_whatever_the_curve_does_to_0(at_zero):
    curves = RAW.copy()
    curves[0, 0] = quantise(np.full((1, 256), at_zero))[0, 0]
    sums = one_row([[0, 0, 10]], np.array([1.0, 0.5, 1.0]), curves=curves)
    assert as_float(sums.total, 51).item() == 10 + 1.5 * np.nan_to_num(at_zero)
    assert sums.lit.item() == (2.5 if at_zero > 0 else 1) * WHOLE
    assert sums.missing.item() == (1.5 * WHOLE if np.isnan(at_zero) else 0)
    assert sums.low.item() == (10 if np.isnan(at_zero) else at_zero) * 2**MERGED_BITS


@given(worlds())
@SMALL
def test_a_dark_block_is_told_without_its_pixels(world):
    dark = zone_sums(**world | {"dn": np.zeros_like(world["dn"])})
    names = ("curves", "year_start", "merge_code", "continuity_code", "cover", "area", "thresholds")
    assert_same_sums(dark_sums(*(world[name] for name in names)), dark)


def test_a_zone_that_covers_everything():
    """Every sum of a whole block follows from plain integers."""
    rng = np.random.default_rng(1)
    dn = rng.integers(0, 64, (2, 40, 50)).astype(np.uint8)
    row, column = np.divmod(np.arange(2000), 50)
    cover = tile_cover(row, column, 0 * row, np.ones(2000))
    area = quantise_area(rng.random(40), 30)
    chain = (np.tile(RAW, (2, 1)), np.array([0, 1, 2]), 0, 0)
    sums = zone_sums(dn, np.arange(2), Window.of(dn.shape), *chain, cover, area, THRESHOLDS)
    v = dn.astype(object) * 2**MERGED_BITS
    assert as_integers(sums.total) == (v.sum(axis=(1, 2)) * WHOLE).tolist()
    assert as_integers(sums.total_area) == (v * area.astype(object)[:, None]).sum(axis=(1, 2)).tolist()
    assert sums.lit.ravel().tolist() == ((dn > 0).sum(axis=(1, 2)) * WHOLE).tolist()


def full_block(weight):
    row, column = np.divmod(np.arange(512 * 512), 512)
    return tile_cover(row, column, 0 * row, np.full(512 * 512, weight))


@pytest.mark.parametrize("weight", [1.0, 1 - 2.0**-30])
def test_the_largest_sums_do_not_overflow(weight):
    """512 x 512 cells of 63, which a curve makes 1023 DN, of the largest weight and area."""
    units = round(weight * WHOLE)
    area = np.full(512, WHOLE, np.int32)
    curves = quantise(np.full((1, 256), 1023.0))
    dn = np.full((1, 512, 512), 63, np.uint8)
    chain = (curves, np.array([0, 1]), 0, CONTINUITY_RULES["fixpoint"])
    sums = zone_sums(dn, np.arange(1), Window.of(dn.shape), *chain, full_block(weight), area, THRESHOLDS)
    expected = 2**18 * units * 1023 * 2**MERGED_BITS
    assert as_integers(sums.total) == as_integers(sums.total_area) == [expected]
    assert_array_equal(sums.saturated.ravel(), 2**18 * units)


# --- the cover of a block -----------------------------------------------------------------------------------------


def test_a_cover_by_hand():
    """Two zones on a row of six: a run, a part beside it, an overlap; weights that round to nothing are left out."""
    row = np.array([0, 0, 0, 0, 0, 1])
    column = np.array([2, 1, 3, 3, 5, 0])
    zone = np.array([7, 7, 7, 9, 7, 9])
    cover = tile_cover(row, column, zone, np.array([1.0, 1.0, 0.25, 1.0, 1.0, 1e-12]))
    assert_array_equal(cover.zones, [7, 9])
    runs = zip(cover.run_row, cover.run_start, cover.run_stop, cover.run_zone, strict=True)
    assert list(runs) == [(0, 1, 3, 0), (0, 3, 4, 1), (0, 5, 6, 0)]
    edges = zip(cover.edge_row, cover.edge_column, cover.edge_zone, cover.edge_weight, strict=True)
    assert list(edges) == [(0, 3, 0, WHOLE // 4)]


@given(worlds())
@SMALL
def test_a_cover_holds_its_cells(world):
    row, column, zone, weight = world["cover"].entries()
    again = tile_cover(row, column, world["cover"].zones[zone], weight / WHOLE)
    assert_same_sums(again, world["cover"])


@pytest.mark.parametrize(
    "change",
    [
        {"run_row": [1]},
        {"run_row": [-1]},
        {"run_start": [-1]},
        {"run_start": [3]},
        {"run_stop": [5]},
        {"run_zone": [1]},
        {"edge_row": [1, 0]},
        {"edge_column": [4, 4]},
        {"edge_column": [3, 2]},
        {"edge_zone": [0, -1]},
        {"edge_weight": [0, 5]},
    ],
)
def test_covers_of_another_block(change):
    good = {
        "zones": [0],
        "run_row": [0],
        "run_start": [0],
        "run_stop": [2],
        "run_zone": [0],
        "edge_row": [0, 0],
        "edge_column": [2, 3],
        "edge_zone": [0, 0],
        "edge_weight": [5, 5],
    }
    one_row(np.zeros((1, 4)), cover=TileCover(**{name: np.array(v, np.int32) for name, v in good.items()}))
    bad = TileCover(**{name: np.array(v, np.int32) for name, v in (good | change).items()})
    with pytest.raises(ValueError, match=r"take it from coverage\.block"):
        one_row(np.zeros((1, 4)), cover=bad)


def test_blocks_and_areas_that_do_not_fit():
    with pytest.raises(ValueError, match="cut it into tiles"):
        one_row(np.zeros((1, 4)), window=Window(0, 1024, 512, 513))
    with pytest.raises(ValueError, match="one for each"):
        one_row(np.zeros((1, 4)), area=np.zeros(3, np.int32))


# --- values -------------------------------------------------------------------------------------------------------


@st.composite
def value_worlds(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 40))
    top, left = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    planes = (3, height + top + 1, width + left + 1)
    values = rng.normal(0, draw(st.sampled_from([1e-3, 1.0, 1e4])), planes)
    values[rng.random(planes) < 0.2] = np.nan
    values[rng.random(planes) < 0.2] = 0
    values = values.astype(draw(st.sampled_from([np.float32, np.float64])))
    window, cover = Window.of(planes, top, left, height, width), draw(covers(rng, height, width))
    bits = value_bits(largest_value(values, window, cover))
    area = quantise_area(rng.random(height), 30)
    return {"values": values, "window": window, "bits": bits, "cover": cover, "area": area}


@given(value_worlds())
@SMALL
def test_values_equal_reference(world):
    assert_same_sums(zone_sums_values(**world), zone_sums_values_reference(**world))


@given(value_worlds())
@SMALL
def test_the_largest_value_is_that_of_the_cells_covered(world):
    values, window, cover = world["values"], world["window"], world["cover"]
    row, column, _, _ = cover.entries()
    here = values.reshape(3, -1)[:, window.origin + row * window.stride + column]
    assert largest_value(values, window, cover) == np.abs(np.nan_to_num(here)).max(initial=0)


@given(value_worlds())
@SMALL
def test_values_are_off_by_no_more_than_their_rounding(world):
    found = zone_sums_values(**world)
    row, column, zone, weight = world["cover"].entries()
    values = world["values"].reshape(3, -1)[:, world["window"].origin + row * world["window"].stride + column]
    for z in range(len(world["cover"].zones)):
        v, w = np.nan_to_num(values[:, zone == z].astype(float)), weight[zone == z] / WHOLE
        total = as_float(found.total[:, z], WEIGHT_BITS + world["bits"])
        # half a step a cell, and float64 sums of a few hundred cells
        assert_allclose(total, v @ w, rtol=0, atol=w.sum() * 2.0 ** -(world["bits"] + 1) + 1e-12 * np.abs(v).sum())


def test_negative_values_keep_their_sign():
    """VIIRS radiances around darkness are slightly negative."""
    cover = tile_cover(np.zeros(2, int), np.arange(2), np.zeros(2, int), np.array([1.0, 0.5]))
    values = np.array([[[-0.25, -2.0]], [[-0.25, 2.0]]])
    sums = zone_sums_values(values, Window.of(values.shape), 40, cover, quantise_area(np.array([0.5]), 30))
    assert_array_equal(as_float(sums.total, 70).ravel(), [-1.25, 0.75])
    assert_array_equal(as_float(sums.total_area, 70).ravel(), [-0.625, 0.375])
    assert_array_equal(sums.low.ravel(), [-2.0, -0.25])
    assert_array_equal(sums.high.ravel(), [-0.25, 2.0])
    assert_array_equal(sums.lit.ravel(), [0, WHOLE // 2])


@pytest.mark.parametrize("weight", [1.0, 1 - 2.0**-30])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_full_block_of_the_largest_values_does_not_overflow(weight, sign):
    largest = sign * (1 - 2.0**-24)
    values = np.full((1, 512, 512), largest, np.float32)
    area = np.full(512, WHOLE, np.int32)
    assert value_bits(abs(largest)) == VALUE_BITS
    sums = zone_sums_values(values, Window.of(values.shape), VALUE_BITS, full_block(weight), area)
    expected = 2**18 * round(weight * WHOLE) * int(largest * 2**VALUE_BITS)
    assert as_integers(sums.total) == as_integers(sums.total_area) == [expected]


def test_the_scale_of_values_follows_their_unit():
    assert value_bits(2.0**-40) == value_bits(1.0) + 40
    with pytest.raises(BadInputError, match="NaN where missing"):
        value_bits(np.inf)


def test_infinity_is_seen():
    values = np.array([[[1.0, -np.inf, np.nan]]])
    cover = tile_cover(np.zeros(3, int), np.arange(3), np.zeros(3, int), np.array([1.0, 1.0, 0.5]))
    assert largest_value(values, Window.of(values.shape), cover) == np.inf


# --- scale and exact addition -------------------------------------------------------------------------------------


def test_areas_fill_thirty_bits():
    assert area_bits(0.86) == 30  # 30 arc-seconds at the equator
    assert area_bits(0.215) == 32
    for largest in (0.86, 0.215, 1e-4, 12_000.0):
        assert 2**29 <= quantise_area(np.array([largest]), area_bits(largest)).item() <= 2**30
    with pytest.raises(ValueError, match="do not fit 30 bits"):
        quantise_area(np.array([1.2]), 30)


@given(
    st.lists(st.tuples(st.integers(-(2**50), 2**50), st.integers(-(2**62), 2**62)), min_size=1, max_size=50),
    st.integers(-20, 90),
)
@SMALL
def test_exact_sum_is_that_of_integers_rounded_once(limbs, bits):
    total = ExactSum((1, 1))
    for high, low in limbs:
        total.add(np.array([0]), np.array([[high]], np.int64), np.array([[low]], np.int64))
    exact = sum(high * 2**LIMB + low for high, low in limbs)
    assert total.value(bits).item() == float(Fraction(exact) / Fraction(2) ** bits)


def test_exact_sum_rounds_once_where_its_limbs_do_not_fit_a_float():
    total = ExactSum((1, 1))
    total.add(np.array([0]), np.array([[2**60 + 1]]), np.array([[2**31]]))  # the limb alone is a tie
    assert total.value(0).item() == float((2**60 + 1) * 2**LIMB + 2**31)


def test_exact_sum_adds_rows_by_name():
    total = ExactSum((3, 2))
    total.add(np.array([2, 0]), np.zeros((2, 2), np.int64), np.array([[1, 2], [3, 4]]))
    total.add(np.array([2]), np.zeros((1, 2), np.int64), np.array([[10, 20]]))
    assert_array_equal(total.value(0), [[3, 4], [0, 0], [11, 22]])
