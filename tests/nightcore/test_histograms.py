"""Histograms of zones, and the sums that follow from them."""

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from numpy.testing import assert_array_equal
from shapely.geometry import box

import nightcore as nc
from nightcore.errors import MissingCoefficientsError, UsageError
from nightcore.kernels.cover import tile_cover
from nightcore.kernels.fixed import quantise_area
from nightcore.kernels.histogram import BINS, zone_bins, zone_bins_reference
from nightcore.kernels.zonal import Window
from nightcore.zonal import composite_totals
from tests.nightcore.rasters import SMALL, write_composites
from tests.nightcore.test_zonal_kernel import SMALL as FEW
from tests.nightcore.test_zonal_kernel import worlds


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    write_composites(folder, SMALL, seed=5)
    return nc.ingest(folder, tmp_path_factory.mktemp("store") / "s.zarr")


@pytest.fixture(scope="module")
def cov(store):
    west, south, east, north = SMALL.bounds
    middle = (west + east) / 2 + 0.001
    shapes = [box(west, south, middle, north), box(middle, south, east, north), box(west, south, west + 0.1, north)]
    return nc.coverage(gpd.GeoDataFrame({"code": ["w", "e", "edge"]}, geometry=shapes, crs=4326), store, id="code")


@given(worlds())
@FEW
def test_kernel_equals_reference(world):
    block = world["dn"], world["window"], world["cover"], world["area"]
    assert_array_equal(zone_bins(*block), zone_bins_reference(*block))


def test_by_hand():
    dn = np.array([[[0, 63, 255, 7]], [[0, 63, 0, 7]]], np.uint8)
    cover = tile_cover(np.zeros(4, int), np.arange(4), np.zeros(4, int), np.array([1.0, 0.5, 0.25, 1.0]))
    counts = zone_bins(dn, Window.of(dn.shape), cover, quantise_area(np.array([0.5]), 30))
    found = [{int(BINS[b]): row[b] * 2.0**-30 for b in np.flatnonzero(row)} for row in counts[0, 0]]
    assert found == [{0: 1.0, 7: 1.0, 63: 0.5, 255: 0.25}, {0: 1.25, 7: 1.0, 63: 0.5}]
    assert_array_equal(counts[1], counts[0] // 2)


def test_a_dn_that_the_sensor_does_not_have():
    dn = np.full((1, 1, 1), 64, np.uint8)
    cover = tile_cover(np.zeros(1, int), np.zeros(1, int), np.zeros(1, int), np.ones(1))
    with pytest.raises(ValueError, match=r"expected 0\.\.63, or 255"):
        zone_bins(dn, Window.of(dn.shape), cover, quantise_area(np.array([0.5]), 30))


@pytest.mark.parametrize("method", ["raw", "elvidge2009", "elvidge2014", "wu2013", "liu2012"])
def test_sums_are_those_of_the_pixels_to_the_bit(store, cov, method):
    """Sufficiency of histograms for calibrations that know a cell by its DN only."""
    names, expected = composite_totals(store, cov, method)
    sums = nc.histogram_sums(nc.zone_histograms(store, cov), method, missing="drop")
    assert tuple(sums.composite.values) == names
    assert_array_equal(sums.values, expected)


def test_all_of_a_zone_is_in_its_histogram(store, cov):
    found = nc.zone_histograms(store, cov, threads=1)
    assert list(found.zone.values) == ["w", "e", "edge"]
    table = nc.zonal(store, cov, "raw")
    # whole multiples of 2**-30 below 2**23, so their sums are exact
    everything = found.cells.sum("dn")
    assert (everything == everything[:, :1]).all()
    zone = table[table["year"] == 1992]
    assert_array_equal(found.cells.sel(composite="F101992", dn=slice(0, 63)).sum("dn"), zone["cells"])
    # 10 digits: float64 sums of multiples of 2**-30 km2
    np.testing.assert_allclose(
        found.area_km2.sel(composite="F101992", dn=slice(0, 63)).sum("dn"), zone["area_km2"], rtol=1e-14
    )
    xr.testing.assert_identical(found, nc.zone_histograms(store, cov, threads=3))


def test_bad_calls(store, cov):
    with pytest.raises(UsageError, match="make one with coverage"):
        nc.zone_histograms(store, "zones.gpkg")
    with pytest.raises(MissingCoefficientsError, match="F182011"):
        nc.histogram_sums(nc.zone_histograms(store, cov), "wu2013")
