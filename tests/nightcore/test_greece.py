"""The line on real input: 34 composites over Greece, and what others published from them."""

import csv

import numpy as np
import pyproj
import pytest
import rasterio
from numpy.testing import assert_array_equal

from nightcore.compare import compare
from nightcore.errors import MissingCoefficientsError
from nightcore.ingest import ingest
from nightcore.kernels.merge import merge
from nightcore.sensors import DMSP_OLS
from nightcore.store import open_store
from nightcore.zonal import zonal
from nightcore.zones import coverage

YEARS = range(1992, 2014)
UNITS = "greece34/regional_units/RegionalUnits2021_gcs.shp"


@pytest.fixture(scope="module")
def greece(data_dir, tmp_path_factory):
    return ingest(data_dir / "greece34" / "composites", tmp_path_factory.mktemp("greece") / "greece.zarr")


@pytest.fixture(scope="module")
def units(data_dir, greece):
    return coverage(data_dir / UNITS, greece, id="RegUnits")


def test_all_34_are_there(greece):
    assert set(greece.composites) == set(DMSP_OLS.composites)
    assert greece.verify() == []


# --- Magnesia -----------------------------------------------------------------------------------------------------

# the published rasters' grid lies on the old Greek datum as it was tied to WGS84 then
OLD_GREEK = (
    "+proj=pipeline +step +inv +proj=tmerc +lat_0=0 +lon_0=24 +k=0.9996 +x_0=500000 +y_0=0 +ellps=GRS80 "
    "+step +proj=cart +ellps=GRS80 +step +proj=helmert +x=-199.87 +y=74.79 +z=246.62 "
    "+step +inv +proj=cart +ellps=WGS84 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
)
NOISE_FLOOR = 6  # [DN] dropped up to here


@pytest.fixture(scope="module")
def magnesia(data_dir, tmp_path_factory):
    """The published window, widened by one cell on every side, merged by year."""
    window = DMSP_OLS.grid.window((22.4875, 38.97083, 23.35417, 39.60417))
    row, column, height, width = window
    box = DMSP_OLS.grid.part(row - 1, column - 1, height + 2, width + 2).bounds
    store = ingest(data_dir / "greece34" / "composites", tmp_path_factory.mktemp("m") / "m.zarr", bbox=box)
    return merge(open_store(store).stable_lights, "mean").compute()


def published_cells(lights, dataset):
    """Values of `lights` (y, x) at the cell centres of a published raster, nearest neighbour; NaN beyond the window."""
    transform = dataset.transform
    x, y = np.meshgrid(
        transform.c + transform.a * (np.arange(dataset.width) + 0.5),
        transform.f + transform.e * (np.arange(dataset.height) + 0.5),
    )
    longitude, latitude = pyproj.Transformer.from_pipeline(OLD_GREEK).transform(x, y)[:2]
    dx, dy = float(lights.x[1] - lights.x[0]), float(lights.y[0] - lights.y[1])
    column = np.floor((longitude - float(lights.x[0])) / dx + 0.5).astype(int)
    row = np.floor((float(lights.y[0]) - latitude) / dy + 0.5).astype(int)
    inside = (column >= 0) & (column < lights.sizes["x"]) & (row >= 0) & (row < lights.sizes["y"])
    out = np.full(x.shape, np.nan)
    out[inside] = lights.values[row[inside], column[inside]]
    return out


@pytest.mark.parametrize("year", YEARS)
def test_magnesia_cell_by_cell(data_dir, magnesia, year):
    folder = data_dir / "greece34" / "magnesia_published"
    with rasterio.open(folder / f"{year}.tif") as dataset:
        published = dataset.read(1)
        lights = published_cells(magnesia.sel(year=year), dataset)
    bright = np.where(lights > NOISE_FLOOR, lights, np.nan)
    ours = np.where(np.isnan(bright), 255, np.rint(bright)).astype(np.uint8)  # rint: half to even, as published
    assert_array_equal(ours, published)
    with (folder / "SoL.csv").open() as file:
        sums = {int(line["Year"]): float(line["SoL"]) for line in csv.DictReader(file)}
    assert np.nansum(bright) == sums[year]


# --- calibration --------------------------------------------------------------------------------------------------


METHODS = ("raw", "elvidge2014", "wu2013", "liu2012", "elvidge2009")


def test_ndi_of_published_methods(greece):
    """All observed cells of the window; figures computed before by an independent script."""
    board = compare(greece, METHODS).set_index("method")
    expected = {"raw": 0.1015, "elvidge2014": 0.0194, "wu2013": 0.0262, "liu2012": 0.0483, "elvidge2009": 0.0322}
    assert board["ndi"].round(4).to_dict() == expected
    assert board["pairs"].to_dict() == {"raw": 12, "elvidge2014": 12, "wu2013": 12, "liu2012": 12, "elvidge2009": 11}


def test_ndi_over_units(data_dir, greece):
    """Over the 75 units, whole cells by centre: elvidge2014 has about 0.039 by zone."""
    cov = coverage(data_dir / UNITS, greece, id="RegUnits", rule="centre")
    board = compare(greece, ["raw", "elvidge2014"], cov).set_index("method")
    assert board.loc["elvidge2014", "ndi_zone"] == pytest.approx(0.039, abs=5e-4)  # three decimals are stated
    assert board.loc["elvidge2014", "ndi"] < 0.021 < 0.1 < board.loc["raw", "ndi"]


def test_wu2013_does_not_know_the_last_three(greece, units):
    with pytest.raises(MissingCoefficientsError, match="F182011, F182012, F182013") as error:
        zonal(greece, units, "wu2013")
    assert error.value.exit_code == 3
    table = zonal(greece, units, "wu2013", missing="drop")
    assert sorted(table["year"].unique()) == list(range(1992, 2011))
    assert table.attrs["provenance"]["dropped"] == ["F182011", "F182012", "F182013"]


def test_75_units_in_22_years(greece, units):
    table = zonal(greece, units, "elvidge2014")
    assert len(table) == 75 * 22
    assert table["mean"].notna().all()
    assert (table["missing_share"] == 0).all()
    assert table["max"].max() <= 63
