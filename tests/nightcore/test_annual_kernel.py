"""Fixed point and the fused chain, curve -> merge -> continuity."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import nightcore.kernels
from nightcore.calibration import calibration
from nightcore.errors import BadInputError
from nightcore.kernels import kernel
from nightcore.kernels.annual import annual_block, annual_block_reference
from nightcore.kernels.continuity import CONTINUITY_RULES, continuity
from nightcore.kernels.fixed import CURVE_BITS, LARGEST, MERGED_BITS, MISSING, quantise, to_float
from nightcore.kernels.merge import MERGE_RULES, merge
from nightcore.sensors import DMSP_OLS

NAMES = sorted(DMSP_OLS.composites, key=lambda name: (name[3:], name))
YEARS = np.array([int(name[3:]) for name in NAMES])
YEAR_START = np.r_[np.unique(YEARS, return_index=True)[1], len(YEARS)].astype(np.int64)


@st.composite
def blocks(draw):
    """(dn, curves, year_start): random composites, curves and groups of years, three to a year at most."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, height, width = sum(sizes), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    dn = rng.choice(np.r_[np.zeros(30), 255, 255, np.arange(1, 64)], (n, height, width)).astype(np.uint8)
    dn[:, rng.random((height, width)) < 0.3] = 0
    curves = np.full((n, 256), np.nan)
    curves[:, :64] = rng.random((n, 64)) * draw(st.sampled_from([1.0, 63.0, 1023.0]))
    if draw(st.booleans()):
        curves[:, 0] = 0
    return dn, quantise(curves), np.r_[0, np.cumsum(sizes)]


@given(blocks(), st.sampled_from(sorted(MERGE_RULES)), st.sampled_from(sorted(CONTINUITY_RULES)))
@settings(deadline=None, max_examples=60)
def test_kernel_equals_reference(block, rule, held):
    dn, curves, year_start = block
    codes = MERGE_RULES[rule], CONTINUITY_RULES[held]
    assert_array_equal(
        annual_block(dn, curves, year_start, *codes), annual_block_reference(dn, curves, year_start, *codes)
    )


@pytest.mark.parametrize("rule", sorted(MERGE_RULES))
@pytest.mark.parametrize("held", sorted(CONTINUITY_RULES))
def test_chain_is_the_public_functions_one_after_the_other(rule, held):
    """Within the documented bound: a curve is rounded to 2**-20 DN, everything after it is exact or rounded once."""
    dn = np.random.default_rng(4).choice(np.r_[np.zeros(40), 255, np.arange(64)], (34, 6, 7)).astype(np.uint8)
    curves = calibration("elvidge2014").curves(NAMES)
    floats = np.stack([curve[layer] for curve, layer in zip(curves, dn, strict=True)])
    expected = continuity(merge(floats, rule, YEARS), held)
    found = annual_block(dn, quantise(curves), YEAR_START, MERGE_RULES[rule], CONTINUITY_RULES[held])
    # 2**-21 of the curve, 2**-22 of the isotonic mean, and float32 of values below 64: 2**-19
    assert_allclose(found, expected, rtol=0, atol=2.0**-21 + 2.0**-22 + 2.0**-19)


def test_mean_of_two_satellites_is_exact():
    curves = np.full((2, 256), np.nan)
    curves[0, 1], curves[1, 1] = 1.0, 1.0 + 2.0**-CURVE_BITS
    found = annual_block(np.ones((2, 1, 1), np.uint8), quantise(curves), np.array([0, 2]), 0, 0)
    assert found.item() == 1.0 + 2.0**-MERGED_BITS


@pytest.mark.parametrize("rule", sorted(MERGE_RULES))
@pytest.mark.parametrize("held", sorted(CONTINUITY_RULES))
def test_dark_stays_dark_and_255_stays_missing(rule, held):
    dn = np.zeros((34, 2, 2), np.uint8)
    dn[:, 0, 1] = 255
    curves = quantise(calibration("elvidge2014").curves(NAMES))
    lights = annual_block(dn, curves, YEAR_START, MERGE_RULES[rule], CONTINUITY_RULES[held])
    assert np.isnan(lights[:, 0, 1]).all()
    assert (lights[:, 1] == 0).all()
    assert (lights[:, 0, 0] == 0).all()


# --- fixed point --------------------------------------------------------------------------------------------------


@given(st.floats(0, LARGEST))
@settings(deadline=None)
def test_rounding_of_a_curve_is_bounded(value):
    curves = np.full((1, 256), value)
    fixed = quantise(curves)
    assert fixed.dtype == np.int32
    assert abs(to_float(2 * fixed[0, 0]) - value) <= 2.0**-21


def test_missing_is_kept():
    curves = np.full((1, 256), np.nan)
    assert (quantise(curves) == MISSING).all()
    assert_array_equal(to_float(np.array([MISSING, 0, 2**21])), [np.nan, 0.0, 1.0])


def test_the_largest_curve_still_fits():
    fixed = quantise(np.full((1, 256), float(LARGEST)))
    assert 2 * fixed.astype(np.int64).max() < 2**31


@pytest.mark.parametrize(
    ("value", "said"), [(1023.5, "reaches 1023.5 DN"), (-0.25, "reaches -0.25 DN"), (np.inf, "inf")]
)
def test_curves_out_of_range(value, said):
    curves = np.zeros((2, 256))
    curves[1, 7] = value
    with pytest.raises(BadInputError, match=said):
        quantise(curves)


def test_curves_of_another_shape():
    with pytest.raises(BadInputError, match=r"shape \(2, 64\)"):
        quantise(np.zeros((2, 64)))


# --- compilation --------------------------------------------------------------------------------------------------


def test_a_kernel_works_where_no_cache_folder_can_be_written():
    """numba refuses to cache a function that has no file; the kernel is then compiled in memory."""
    namespace = {}
    exec("def twice(x):\n    return 2 * x", namespace)
    assert kernel(namespace["twice"])(21) == 42


def run_program(program, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    return done.stdout


def test_kernels_run_without_the_compiler():
    """NUMBA_DISABLE_JIT=1, as coverage tools set it, gives the same bits."""
    program = """
        import numpy as np
        from nightcore.kernels.annual import annual_block, annual_block_reference
        from nightcore.kernels.fixed import quantise
        dn = np.array([[[0, 9, 255]], [[5, 0, 255]], [[4, 8, 3]]], np.uint8)
        curves = quantise(np.tile(np.arange(256.0), (3, 1)) * 1.1)
        curves[:, 255] = -1
        for held in range(7):
            args = dn, curves, np.array([0, 2, 3]), 0, held
            np.testing.assert_array_equal(annual_block(*args), annual_block_reference(*args))
        from nightcore.kernels import zonal
        from nightcore.kernels.cover import tile_cover
        from nightcore.kernels.fixed import quantise_area
        place, window = np.arange(3), zonal.Window.of(dn.shape)
        cover = tile_cover(0 * place, place, place % 2, np.array([1.0, 0.25, 1.0]))
        area = quantise_area(np.array([0.5]), 30)
        args = dn, np.arange(3), window, curves, np.array([0, 2, 3]), 0, 3, cover, area, np.array([5, 9])
        one, other = zonal.zone_sums(*args), zonal.zone_sums_reference(*args)
        for name in vars(one):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        values = np.array([[[1.5, np.nan, -2.0]]], np.float32)
        args = values, window, zonal.value_bits(2.0), cover, area
        one, other = zonal.zone_sums_values(*args), zonal.zone_sums_values_reference(*args)
        for name in vars(one):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    """
    run_program(program, NUMBA_DISABLE_JIT="1")


def test_an_edit_of_one_kernel_reaches_those_that_have_it_inlined(tmp_path):
    """numba alone would go on with machine code on disk, because the file of the outer kernel did not change."""
    package = tmp_path / "nightcore"
    shutil.copytree(Path(nightcore.kernels.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    program = """
        import numpy as np
        from nightcore.kernels.annual import annual_block
        curves = np.tile(np.arange(256, dtype=np.int32) << 20, (2, 1))
        dn = np.array([[[1]], [[2]]], np.uint8)
        print(annual_block(dn, curves, np.array([0, 2]), 0, 0).item())
    """
    where = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run_program(program, **where) == "1.5\n"
    merge_file = package / "kernels" / "merge.py"  # annual_block comes from annual.py, which stays as it is
    text = merge_file.read_text()
    assert text.count("half if used == 2") == 1
    merge_file.write_text(text.replace("half if used == 2", "2 * half if used == 2"))
    assert run_program(program, **where) == "3.0\n"
