"""Fitting a power law in a region against a reference image."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import curve_fit
from shapely.geometry import box

from nightcore.calibration import calibration, fit_calibration
from nightcore.calibration.fit import fit_power_loglog, fit_power_nls, moments, r_squared
from nightcore.errors import BadInputError, UsageError
from nightcore.grid import Grid
from nightcore.ingest import ingest

from .rasters import SMALL, ngdc_name, write_raster

NAMES = ("F101992", "F101994", "F121994")
PLANTED = {"F101992": (0.9, 1.05), "F101994": (1.3, 0.95), "F121994": (0.4, 1.3)}
# 60 x 80 cells of the canonical grid; the region below is its middle
GRID = SMALL.part(480, 480, 60, 80)
ESTIMATORS = {"loglog": fit_power_loglog, "nls": fit_power_nls}


def inner(grid=GRID, rows=(10, 50), columns=(10, 70)):
    west, east = grid.left + columns[0] * grid.dx, grid.left + columns[1] * grid.dx
    north, south = grid.top - rows[0] * grid.dy, grid.top - rows[1] * grid.dy
    return gpd.GeoDataFrame(geometry=[box(west, south, east, north)], crs=4326)


# --- functions of moments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", ESTIMATORS.values(), ids=ESTIMATORS)
@given(a=st.floats(0.1, 5), b=st.floats(0.3, 2), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_a_planted_power_without_noise_comes_back(fit, a, b, seed):
    dn = np.random.default_rng(seed).integers(1, 64, 200).astype(np.uint8)
    found = fit(moments(dn, a * dn.astype(float) ** b))
    assert_allclose(found, (a, b), rtol=1e-9)  # far above rounding (1e-14), far below any misfit
    assert_allclose(r_squared(moments(dn, a * dn.astype(float) ** b), *found), 1.0, atol=1e-12)


def noisy(n=20_000, s=0.3, seed=5):
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 63, n).astype(np.uint8)
    return dn, 1.2 * dn.astype(float) ** 0.9 * np.exp(rng.normal(0, s, n))


def test_fits_from_moments_equal_fits_from_cells():
    dn, y = noisy()
    of = moments(dn, y)
    x = dn.astype(float)
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    assert_allclose(fit_power_loglog(of), (np.exp(intercept), slope), rtol=1e-10)
    nls, _ = curve_fit(lambda x, a, b: a * x**b, x, y, p0=(1, 1), ftol=1e-15, xtol=1e-15, gtol=1e-15)
    assert_allclose(fit_power_nls(of), nls, rtol=1e-7)  # curve_fit steps with finite differences
    a, b = fit_power_nls(of)
    plain = 1 - ((y - a * x**b) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert_allclose(r_squared(of, a, b), plain, rtol=1e-10)


def test_nls_fits_better_in_original_units_and_loglog_is_biased_low():
    """Multiplicative noise of sd s: the log-log line runs exp(s^2 / 2) below the mean."""
    dn, y = noisy(200_000, s=0.4)
    of = moments(dn, y)
    log, nls = fit_power_loglog(of), fit_power_nls(of)
    assert r_squared(of, *nls) > r_squared(of, *log)
    assert_allclose(log, (1.2, 0.9), rtol=0.01)  # 3 standard errors of a, 0.4 / sqrt(200,000) times 4 of the design
    ratio = nls[0] * 30 ** nls[1] / (log[0] * 30 ** log[1])
    assert_allclose(ratio, np.exp(0.4**2 / 2), rtol=0.01)


def test_cells_are_left_out_by_rule_and_counted():
    dn = np.array([0, 0, 255, 7, 7, 9, 11, 63], np.uint8)
    y = np.array([5.0, np.nan, 3.0, np.nan, 2.0, 0.0, -1.0, 80.0])
    of = moments(dn, y)
    assert (of.n_zero, of.n_missing, of.n_dark) == (1, 3, 2)
    assert_array_equal(np.flatnonzero(of.n), [7, 63])
    assert of.without(63).n.sum() == 1
    assert of.n[63] == 1


@given(st.permutations(range(40)))
@settings(deadline=None, max_examples=20)
def test_moments_are_sums(order):
    dn, y = noisy(40)
    one, other = moments(dn, y), moments(dn[order], y[order])
    for name in ("n", "sum_y", "sum_ln", "spread"):
        # sums of at most 40 numbers in another order
        assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-13, atol=1e-13)


# --- from a store -------------------------------------------------------------------------------------------------


def write_world(folder, grid=GRID):
    """A reference light and three composites whose DN are the planted power's inverse, rounded to whole DN."""
    rng = np.random.default_rng(6)
    light = np.exp(rng.uniform(np.log(2), np.log(90), grid.shape))
    light[rng.random(grid.shape) < 0.2] = 0
    files = []
    for name, (a, b) in PLANTED.items():
        dn = np.where(light > 0, np.clip(np.rint((np.maximum(light, 1e-9) / a) ** (1 / b)), 1, 63), 0)
        dn[rng.random(grid.shape) < 0.05] = 255
        files.append(write_raster(folder / ngdc_name(name), dn.astype(np.uint8), grid))
    return files, light


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    files, light = write_world(folder)
    store = ingest(files, folder / "lights.zarr", allow_missing=True)
    reference = write_raster(folder / "radcal.tif", light.astype(np.float32), GRID)
    return store, reference, light


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_planted_coefficients_are_recovered(world, estimator):
    store, reference, _ = world
    cal = fit_calibration("cao2015", store, inner(), reference, estimator=estimator)
    assert cal.composites == NAMES
    for name, (a, b) in PLANTED.items():
        curve = cal.curve(name)
        dn = np.arange(8, 60)
        # DN are rounded to whole numbers and cut at 1, which bends the dim end: 3 % from DN 8 up
        assert_allclose(curve[dn], a * dn**b, rtol=0.03)
        assert curve[0] == 0
    assert (cal.report["r2"] > 0.99).all()
    assert cal.report["monotone"].all()


def test_report_counts_every_cell(world):
    store, reference, light = world
    report = fit_calibration("cao2015", store, inner(), reference).report.set_index("composite")
    inside = light[10:50, 10:70]
    counted = report[["n", "n_zero", "n_saturated", "n_missing", "n_dark"]].sum(axis=1)
    assert (counted == inside.size).all()
    assert (report["n_saturated"] > 0).any()
    assert (report["dn_max"] < 63).all()
    kept = fit_calibration("cao2015", store, inner(), reference, saturated="keep").report.set_index("composite")
    assert_array_equal(kept["n"], report["n"] + report["n_saturated"])
    assert (report["f0"] == 0).all()
    assert_allclose(report["f63"], report["a"] * 63 ** report["b"], rtol=1e-12)  # the same formula, another order


def test_a_fitted_calibration_is_saved_with_its_report(world, tmp_path):
    store, reference, _ = world
    cal = fit_calibration("cao2015", store, inner(), reference, composites=["F121994", "F101992"], clip=(0, 500))
    assert cal.composites == ("F121994", "F101992")
    cal.save(tmp_path / "coefficients.csv")
    again = calibration(tmp_path / "coefficients.csv")
    assert again == cal
    assert_array_equal(again.report[cal.report.columns], cal.report)
    assert again.provenance()["fitted"]["reference"] == "radcal.tif"
    assert again.provenance()["fitted"]["estimator"] == "loglog"
    assert again.clip == (0, 500)


def test_overlapping_polygons_count_a_cell_once(world):
    store, reference, _ = world
    twice = gpd.GeoDataFrame(geometry=[*inner().geometry, *inner(rows=(20, 40)).geometry], crs=4326)
    one, other = (fit_calibration("cao2015", store, region, reference) for region in (inner(), twice))
    assert one.coefficients == other.coefficients


def test_a_larger_reference_is_laid_on_the_grid_by_whole_cells(world, tmp_path):
    store, reference, light = world
    wide = GRID.part(-3, -7, 70, 95)
    values = np.full(wide.shape, 999.0, np.float32)
    values[3:63, 7:87] = light
    shifted = write_raster(tmp_path / "wide.tif", values, wide)
    plain = fit_calibration("cao2015", store, inner(), reference)
    assert fit_calibration("cao2015", store, inner(), shifted).coefficients == plain.coefficients


def test_the_tiling_of_the_store_does_not_change_a_bit(tmp_path):
    """The same cells in one tile and across four: coefficients to the last bit."""
    coefficients = []
    for corner in ((0, 0), (482, 472)):  # the second crosses the edges of tiles at row and column 512
        folder = tmp_path / str(corner[0])
        (folder / "whole").mkdir(parents=True)
        whole = SMALL.part(0, 0, 560, 560)
        grid = whole.part(*corner, 60, 80)
        files, light = write_world(folder, grid)
        padded = []
        for file in files:
            with rasterio.open(file) as source:
                values = np.zeros(whole.shape, np.uint8)
                values[corner[0] : corner[0] + 60, corner[1] : corner[1] + 80] = source.read(1)
            padded.append(write_raster(folder / "whole" / file.name, values, whole))
        store = ingest(padded, folder / "lights.zarr", allow_missing=True)
        reference = write_raster(folder / "radcal.tif", light.astype(np.float32), grid)
        coefficients.append(fit_calibration("cao2015", store, inner(grid), reference).coefficients)
    assert coefficients[0] == coefficients[1]


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"form": "lu2019"}, "no calibration to fit 'lu2019'"),
        ({"estimator": "ransac"}, "no estimator 'ransac'"),
        ({"saturated": "maybe"}, "no treatment of saturated cells 'maybe'"),
        ({"composites": ["F182013"]}, "no composite F182013"),
        ({"composites": []}, "an empty list"),
        ({"clip": (5, 1)}, "is not possible"),
    ],
)
def test_options_that_do_not_exist(world, options, said):
    store, reference, _ = world
    given = {"form": "cao2015", "store": store, "region": inner(), "reference": reference}
    with pytest.raises(UsageError, match=said):
        fit_calibration(**(given | options))


def test_a_reference_that_is_absent(world, tmp_path):
    store, _, _ = world
    with pytest.raises(BadInputError, match=r"radcal2\.tif does not exist"):
        fit_calibration("cao2015", store, inner(), tmp_path / "radcal2.tif")


def test_a_reference_of_another_pixel_or_crs(world, tmp_path):
    store, _, light = world
    coarse = Grid(GRID.left, GRID.top, GRID.dx * 2, GRID.dy * 2, 40, 30)
    other = write_raster(tmp_path / "coarse.tif", light[::2, ::2].astype(np.float32), coarse)
    with pytest.raises(BadInputError, match="same pixel"):
        fit_calibration("cao2015", store, inner(), other)
    mercator = write_raster(tmp_path / "mercator.tif", light.astype(np.float32), GRID, crs="EPSG:3857")
    with pytest.raises(BadInputError, match="EPSG:3857"):
        fit_calibration("cao2015", store, inner(), mercator)


def test_a_reference_that_does_not_cover_the_region(world, tmp_path):
    store, _, light = world
    part = write_raster(tmp_path / "part.tif", light[:30].astype(np.float32), GRID.part(0, 0, 30, 80))
    with pytest.raises(BadInputError, match="does not cover the region"):
        fit_calibration("cao2015", store, inner(), part)


def test_a_region_that_is_too_small(world):
    store, reference, _ = world
    with pytest.raises(BadInputError, match=r"F101992 has \d+ usable cells at \d+ different DN.*at the ceiling"):
        fit_calibration("cao2015", store, inner(rows=(10, 12), columns=(10, 15)), reference)


def test_a_region_between_cell_centres(world):
    store, reference, _ = world
    with pytest.raises(BadInputError, match="holds no cell's centre"):
        fit_calibration("cao2015", store, inner(rows=(10.6, 10.9), columns=(10.6, 10.9)), reference)


def test_a_region_that_is_dark(world, tmp_path):
    store, _, light = world
    dark = write_raster(tmp_path / "dark.tif", np.zeros_like(light, dtype=np.float32), GRID)
    with pytest.raises(BadInputError, match=r"0 usable cells.*dark in the reference"):
        fit_calibration("cao2015", store, inner(), dark)
