"""Coverage: published sums, areas, partitions, and polygons that are not what they should be."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from numpy.testing import assert_allclose, assert_array_equal
from shapely.geometry import LineString, MultiPolygon, Polygon, box

from nightcore.errors import BadInputError, UsageError
from nightcore.grid import DMSP_GLOBAL
from nightcore.ingest import ingest
from nightcore.store import tiles_of
from nightcore.zones import coverage, grid_of
from tests.nightcore.rasters import SMALL

TINY = DMSP_GLOBAL.part(4000, 24000, 40, 60)


def cells(grid, row, column, height, width, **offset):
    """A box of whole cells, moved by a share of a cell."""
    part = grid.part(row, column, height, width)
    west, south, east, north = part.bounds
    dx, dy = offset.get("dx", 0) * grid.dx, offset.get("dy", 0) * grid.dy
    return box(west + dx, south - dy, east + dx, north - dy)


def frame(*shapes, **columns):
    return gpd.GeoDataFrame({"code": list(range(1, len(shapes) + 1)), **columns}, geometry=list(shapes), crs=4326)


def weights(cov, zone=0):
    """(row, column) -> weight of one zone."""
    own = cov.zone == zone
    return dict(zip(zip(cov.row[own], cov.column[own], strict=True), cov.weight[own], strict=True))


# --- published ----------------------------------------------------------------------------------------------------


def test_seven_of_seven_districts_of_sao_tome(data_dir, tmp_path):
    """Rnightlights' table of F10 1992 for the districts of Sao Tome and Principe (pixel-centre rule)."""
    folder = data_dir / "saotome1992"
    published = pd.read_csv(folder / "published_zonal.csv").set_index("district")
    store = ingest(folder / "F101992_stable_lights.tif", tmp_path / "s.zarr", allow_missing=True)
    cov = coverage(folder / "districts.geojson", store, id="NAME_2", rule="centre")
    dn = store.read_window(0, 0, *store.grid.shape)[0]
    for place, district in enumerate(cov.ids):
        own = cov.zone == place
        lights = dn[cov.row[own], cov.column[own]].astype(float)
        lights = lights[lights != 255]
        assert lights.sum() == published.loc[district, "NL_OLS.Y_STABLE_LIGHTS_1992_SUM"]
        # fifteen digits in print
        assert_allclose(lights.mean(), published.loc[district, "NL_OLS.Y_STABLE_LIGHTS_1992_MEAN"], rtol=1e-14)
    assert len(cov) == 7


def test_areas_of_sao_tome(data_dir):
    """The same table's area_sq_km, measured geodesically from the polygons by its authors."""
    folder = data_dir / "saotome1992"
    published = pd.read_csv(folder / "published_zonal.csv").set_index("district")["area_sq_km"]
    cov = coverage(folder / "districts.geojson", folder / "F101992_stable_lights.tif", id="NAME_2")
    own = pd.Series(cov.area(), cov.ids)
    # the coast lies outside the raster's window in three districts; the others agree to what a sphere-ellipsoid
    # difference inside a boundary cell allows
    inside = ["Água Grande", "Cantagalo", "Lobata", "Mé-Zóchi"]
    assert_allclose(own[inside], published[inside], rtol=1e-6)


# --- exact rule ---------------------------------------------------------------------------------------------------


def test_whole_cells_weigh_one():
    cov = coverage(frame(cells(TINY, 3, 4, 2, 3)), TINY, id="code")
    assert weights(cov) == pytest.approx({(r, c): 1.0 for r in (3, 4) for c in (4, 5, 6)}, abs=1e-6)


def test_a_half_covered_cell_weighs_a_half():
    # exactextract's weights are float32 of coordinates near 50 degrees: 1e-5 of a cell is 1e-7 degrees
    cov = coverage(frame(cells(TINY, 3, 4, 1, 1, dx=0.5, dy=0.25)), TINY, id="code")
    expected = {(3, 4): 0.375, (3, 5): 0.375, (4, 4): 0.125, (4, 5): 0.125}
    assert weights(cov) == pytest.approx(expected, abs=1e-5)


def test_holes_and_parts():
    outer, hole, island = cells(TINY, 2, 2, 6, 6), cells(TINY, 4, 4, 2, 2), cells(TINY, 20, 20, 1, 1)
    shape = MultiPolygon([Polygon(outer.exterior, [hole.exterior]), island])
    assert coverage(frame(shape), TINY, id="code").weight.sum() == pytest.approx(36 - 4 + 1, abs=1e-5)


def test_a_zone_smaller_than_a_cell():
    shape = cells(TINY, 5, 5, 1, 1).buffer(-TINY.dx * 0.4)
    cov = coverage(frame(shape), TINY, id="code")
    assert weights(cov) == pytest.approx({(5, 5): 0.04}, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_a_partition_adds_up(seed):
    """Voronoi cells share edges: weights of neighbours sum to 1 in every cell of the whole."""
    rng = np.random.default_rng(seed)
    whole = cells(TINY, 2, 2, 30, 50)
    west, south, east, north = whole.bounds
    seeds = shapely.MultiPoint(np.c_[rng.uniform(west, east, 20), rng.uniform(south, north, 20)])
    parts = [part.intersection(whole) for part in shapely.voronoi_polygons(seeds, extend_to=whole).geoms]
    cov = coverage(frame(*parts), TINY, id="code")
    total = np.zeros(TINY.shape)
    np.add.at(total, (cov.row, cov.column), cov.weight)
    expected = np.zeros(TINY.shape)
    expected[2:32, 2:52] = 1
    assert_allclose(total, expected, atol=2e-6)  # a few float32 weights meet in a cell
    # areas in degrees against shapely, which knows nothing of cells
    own = np.bincount(cov.zone, cov.weight) * TINY.dx * TINY.dy
    assert_allclose(own, [part.area for part in parts], rtol=1e-5)


def test_zones_may_reach_beyond_the_grid():
    cov = coverage(frame(cells(TINY, 38, 50, 10, 20), cells(TINY, 100, 100, 5, 5)), TINY, id="code")
    assert np.bincount(cov.zone, cov.weight, minlength=2) == pytest.approx([20, 0], abs=1e-4)


# --- centre rule --------------------------------------------------------------------------------------------------


def test_the_centre_rule_is_gdals():
    from affine import Affine
    from rasterio.features import rasterize

    rng = np.random.default_rng(1)
    grid = SMALL
    west, south, east, north = grid.bounds
    shapes = []
    for _ in range(8):
        x, y = rng.uniform(west, east), rng.uniform(south, north)
        angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radius = rng.uniform(0.05, 1.5, 9)
        shapes.append(Polygon(np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle)]).buffer(0))
    cov = coverage(frame(*shapes), grid, id="code", rule="centre")
    for place, shape in enumerate(shapes):
        mask = rasterize([shape], grid.shape, transform=Affine(*grid.transform), dtype="uint8")
        own = cov.zone == place
        assert_array_equal(np.c_[cov.row[own], cov.column[own]], np.argwhere(mask))
    assert (cov.weight == 1).all()


# --- blocks -------------------------------------------------------------------------------------------------------


def test_blocks_hold_every_entry_once_and_in_order():
    shapes = [cells(SMALL, 400, 300, 200, 500, dx=0.3), cells(SMALL, 0, 0, 30, 20), cells(SMALL, 500, 500, 50, 50)]
    cov = coverage(frame(*shapes), SMALL, id="code")
    found = np.zeros((3, *SMALL.shape))
    for tile in tiles_of(SMALL):
        block = cov.block(tile)
        assert cov.touches(tile) == (len(block) > 0)
        assert (np.diff(block.pixel) >= 0).all()
        row, column = tile.row + block.pixel // tile.width, tile.column + block.pixel % tile.width
        np.add.at(found, (block.zone, row, column), block.weight)
    expected = np.zeros_like(found)
    expected[cov.zone, cov.row, cov.column] = cov.weight
    assert_array_equal(found, expected)


def test_the_hash_knows_ids_polygons_grid_and_rule():
    base = frame(cells(TINY, 3, 4, 2, 3))
    moved = frame(cells(TINY, 3, 4, 2, 3, dx=0.001))
    hashes = {
        coverage(base, TINY, id="code").hash,
        coverage(moved, TINY, id="code").hash,
        coverage(base, TINY).hash,
        coverage(base, TINY, id="code", rule="centre").hash,
        coverage(base, TINY.part(0, 0, 20, 30), id="code").hash,
    }
    assert len(hashes) == 5
    assert coverage(base, TINY, id="code").hash in hashes


def test_columns_are_kept():
    cov = coverage(frame(cells(TINY, 3, 4, 2, 3), province=["Ash"]), TINY, id="code", keep=["province"])
    assert cov.attributes["province"].tolist() == ["Ash"]


# --- bad input ----------------------------------------------------------------------------------------------------

BOW = Polygon([(20, 40), (21, 41), (21, 40), (20, 41)])


@pytest.mark.parametrize(
    ("zones", "options", "message"),
    [
        (frame(cells(TINY, 3, 4, 2, 3)).to_crs(3857), {}, r"EPSG:3857.*--reproject"),
        (frame(cells(TINY, 3, 4, 2, 3)).set_crs(None, allow_override=True), {}, "no coordinate system"),
        (frame(cells(TINY, 3, 4, 2, 3), provinze=["a"]), {"keep": ["province"]}, "did you mean 'provinze'"),
        (frame(cells(TINY, 3, 4, 2, 3)), {"id": "kode"}, "no column 'kode': found code; did you mean 'code'"),
        (frame(cells(TINY, 1, 1, 2, 2), cells(TINY, 3, 4, 2, 3)).assign(code=5), {}, r"more than once \(5\)"),
        (frame(cells(TINY, 1, 1, 2, 2), BOW), {}, "zone 2 .* crosses itself"),
        (frame(Polygon()), {}, "zone 1 .* has no polygon"),
        (frame(LineString([(0, 0), (1, 1)])), {}, "zone 1 .* is not a polygon"),
        (frame(box(100, 10, 101, 11)), {}, "no zone lies on the grid"),
    ],
)
def test_polygons_that_are_refused(zones, options, message):
    with pytest.raises(BadInputError, match=message) as error:
        coverage(zones, TINY, **{"id": "code", **options})
    assert error.value.exit_code == 3


def test_reprojection_on_request():
    shape = frame(cells(TINY, 3, 4, 2, 3))
    cov = coverage(shape.to_crs(3857), TINY, id="code", reproject=True)
    # corners go to metres and back: 1e-9 degrees, a millionth of a cell, then float32 weights
    assert cov.weight.sum() == pytest.approx(6, abs=1e-4)


@pytest.mark.parametrize("keep", [["zone"], ["mean"], ["province", "province"]])
def test_kept_columns_must_not_hide_results(keep):
    zones = frame(cells(TINY, 3, 4, 2, 3), zone=[1], mean=[2], province=["A"])
    with pytest.raises(UsageError, match="rename it first"):
        coverage(zones, TINY, id="code", keep=keep)


def test_crs84_is_wgs84():
    zones = frame(cells(TINY, 3, 4, 2, 3)).set_crs("OGC:CRS84", allow_override=True)
    assert coverage(zones, TINY, id="code").weight.sum() == pytest.approx(6, abs=1e-4)


def test_a_hair_of_overlap_does_not_fail_the_others():
    edge = cells(TINY, 3, 60, 2, 3, dx=-0.005)
    cov = coverage(frame(cells(TINY, 3, 4, 2, 3), edge), TINY, id="code", rule="centre")
    assert np.bincount(cov.zone, minlength=2).tolist() == [6, 0]


def test_bad_calls(tmp_path):
    with pytest.raises(UsageError, match="expected one of exact, centre"):
        coverage(frame(BOW), TINY, rule="all")
    with pytest.raises(UsageError, match="keep is the text"):
        coverage(frame(BOW), TINY, keep="code")
    with pytest.raises(UsageError, match="the zones are a list"):
        coverage([BOW], TINY)
    with pytest.raises(BadInputError, match="cannot be read"):
        coverage(tmp_path / "nothing.gpkg", TINY)
    with pytest.raises(BadInputError, match="found int"):
        grid_of(3)


def test_the_grid_of_an_xarray_object():
    import xarray as xr

    array = xr.DataArray(np.zeros(TINY.shape), dims=("y", "x"), coords={"y": TINY.y, "x": TINY.x})
    grid = grid_of(array)
    assert grid.shape == TINY.shape
    assert grid.bounds == pytest.approx(TINY.bounds, abs=1e-9)
    with pytest.raises(BadInputError, match="descending"):
        grid_of(array[::-1])
    with pytest.raises(BadInputError, match="not evenly spaced"):
        grid_of(array[:, [0, 1, 5]])
