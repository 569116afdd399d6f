"""Coverage: published sums, areas, partitions, and polygons that are not what they should be."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from numpy.testing import assert_allclose, assert_array_equal
from pyproj import Geod
from shapely.geometry import LineString, MultiPolygon, Polygon, box

from nightcore.errors import BadInputError, UsageError
from nightcore.grid import DMSP_GLOBAL, Grid
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
    assert weights(cov) == pytest.approx({(r, c): 1.0 for r in (3, 4) for c in (4, 5, 6)}, abs=0)


def test_a_half_covered_cell_weighs_a_half():
    # coordinates near 50 degrees are float64, 7e-15 degrees: 1e-11 of a cell is ten of their last bits
    cov = coverage(frame(cells(TINY, 3, 4, 1, 1, dx=0.5, dy=0.25)), TINY, id="code")
    expected = {(3, 4): 0.375, (3, 5): 0.375, (4, 4): 0.125, (4, 5): 0.125}
    assert weights(cov) == pytest.approx(expected, abs=1e-11)


def test_holes_and_parts():
    outer, hole, island = cells(TINY, 2, 2, 6, 6), cells(TINY, 4, 4, 2, 2), cells(TINY, 20, 20, 1, 1)
    shape = MultiPolygon([Polygon(outer.exterior, [hole.exterior]), island])
    assert coverage(frame(shape), TINY, id="code").weight.sum() == pytest.approx(36 - 4 + 1, abs=1e-9)


def test_a_zone_smaller_than_a_cell():
    shape = cells(TINY, 5, 5, 1, 1).buffer(-TINY.dx * 0.4)
    cov = coverage(frame(shape), TINY, id="code")
    assert weights(cov) == pytest.approx({(5, 5): 0.04}, abs=1e-11)  # as above


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
    # sides of the whole get vertices in one neighbour only, each off its line by 7e-15 of 0.008 degrees
    assert_allclose(total, expected, rtol=0, atol=1e-11)
    # areas in degrees against shapely, which knows nothing of cells
    own = np.bincount(cov.zone, cov.weight) * TINY.dx * TINY.dy
    assert_allclose(own, [part.area for part in parts], rtol=1e-12)


def test_zones_may_reach_beyond_the_grid():
    cov = coverage(frame(cells(TINY, 38, 50, 10, 20), cells(TINY, 100, 100, 5, 5)), TINY, id="code")
    assert np.bincount(cov.zone, cov.weight, minlength=2) == pytest.approx([20, 0], abs=0)


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


def test_blocks_hold_every_cell_once_and_in_order():
    shapes = [cells(SMALL, 400, 300, 200, 500, dx=0.3), cells(SMALL, 0, 0, 30, 20), cells(SMALL, 500, 500, 50, 50)]
    cov = coverage(frame(*shapes), SMALL, id="code")
    found = np.zeros((3, *SMALL.shape))
    for tile in tiles_of(SMALL):
        block = cov.block(tile)
        assert cov.touches(tile) == (len(block.zones) > 0)
        assert (np.diff(block.zones) > 0).all()
        for row, column in ((block.run_row, block.run_start), (block.edge_row, block.edge_column)):
            assert (np.diff(row.astype(np.int64) * tile.width + column) >= 0).all()
        row, column, local, units = block.entries()
        np.add.at(found, (block.zones[local], tile.row + row, tile.column + column), units * 2.0**-30)
    expected = np.zeros_like(found)
    expected[cov.zone, cov.row, cov.column] = cov.weight
    assert_allclose(found, expected, rtol=0, atol=2.0**-31)  # weights of tiles are multiples of 2**-30


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


def test_the_first_of_many_broken_polygons_is_named():
    with pytest.raises(BadInputError, match=r"zone b and 1 more of the zones crosses itself .*Self-intersection"):
        coverage(frame(cells(TINY, 1, 1, 2, 2), BOW, BOW).assign(code=list("abc")), TINY, id="code")


def test_a_repair_tells_the_change_of_area():
    west, south, east, north = cells(TINY, 4, 4, 8, 8).bounds
    middle = (west + east) / 2, (south + north) / 2
    bow = Polygon([(west, south), (east, north), (east, south), (west, north)])
    before = frame(bow)
    cov = coverage(before, TINY, id="code", make_valid=True)
    # two triangles, to the west and to the east of the middle, of 16 cells each
    assert weights(cov)[4 + 3, 4] == pytest.approx(1, abs=1e-10)
    # corners and the crossing are degrees in float64: 7e-15 of 0.008 is 1e-12 of a cell, at some ten cells
    assert cov.weight.sum() == pytest.approx(32, abs=1e-9)
    repaired = [warning for warning in cov.warnings if "was repaired" in warning]
    assert len(repaired) == 1
    # both loops lie on the same parallels and turn opposite ways round, so that their areas cancelled before
    change = float(repaired[0].removeprefix("zone 1 was repaired: ").removesuffix(" km2"))
    geodesic = sum(
        abs(Geod(ellps="WGS84").geometry_area_perimeter(Polygon([middle, *side]))[0]) / 1e6
        for side in (((west, south), (west, north)), ((east, south), (east, north)))
    )
    assert change == pytest.approx(geodesic, rel=1e-5)  # six digits in print
    assert before.geometry.iloc[0].equals_exact(bow)  # the caller's polygons are left as they are


def test_a_repair_that_leaves_no_area():
    line = Polygon([(20, 41), (20.1, 41.1), (20, 41), (20, 41)])
    with pytest.raises(BadInputError, match="zone 1 of the zones has no area left after its repair: remove it"):
        coverage(frame(line), TINY, id="code", make_valid=True)


@pytest.mark.parametrize(
    ("shape", "rule", "reason"),
    [
        (box(100, 10, 101, 11), "exact", "off the grid"),
        (box(100, 10, 101, 11), "centre", "off the grid"),
        (box(20.1, 80, 20.2, 81), "exact", "off the grid"),
        (cells(TINY, 5, 5, 1, 1).buffer(-0.4 * TINY.dx), "exact", None),
        (cells(TINY, 5, 5, 1, 1, dx=0.6).intersection(cells(TINY, 5, 5, 1, 1)), "centre", "no cell's centre inside"),
        (box(20.1, 41.5, np.nextafter(20.1, 21), 41.6), "exact", "too thin to cover a cell"),
    ],
)
def test_zones_without_a_cell_have_a_reason(shape, rule, reason):
    cov = coverage(frame(cells(TINY, 3, 4, 2, 3), shape), TINY, id="code", rule=rule)
    assert cov.reasons == ({} if reason is None else {2: reason})
    assert (1 in cov.zone) == (reason is None)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (box(20, 89, 21, 90.1), "zone 1 .* reaches beyond the globe: expected degrees"),
        (box(20, -91, 21, 41), "zone 1 .* reaches beyond the globe"),
        (box(500, 40, 541, 41), "zone 1 .* reaches beyond the globe"),
        (box(2_000_000, 4_000_000, 2_001_000, 4_001_000), "zone 1 .* set the CRS that its numbers are in"),
        (box(-181, 40, 180, 41), "zone 1 .* is wider than 360 degrees: cut it"),
        (None, "zone 1 .* has no polygon"),
        (MultiPolygon(), "zone 1 .* has no polygon"),
    ],
)
def test_shapes_that_are_not_on_the_globe(shape, message):
    with pytest.raises(BadInputError, match=message):
        coverage(frame(shape), TINY, id="code")


def test_poles_may_be_off_by_rounding():
    polar = Grid(0.0, 90.0, 1.0, 1.0, 4, 4)
    cov = coverage(frame(box(0, 89, 1, 90 + 1e-9)), polar, id="code")
    assert weights(cov) == {(0, 0): 1.0}


def test_small_thin_and_wide_zones_are_warned_of():
    shapes = [
        cells(TINY, 5, 5, 1, 3),
        shapely.affinity.scale(cells(TINY, 10, 2, 1, 50), 1, 0.02),
        box(-170, 41.4, 170, 41.6),
        box(19.9, 41.4, 20.5, 41.6),
    ]
    cov = coverage(frame(*shapes), TINY, id="code")
    said = " / ".join(cov.warnings)
    assert "2 zones are (1, 2) smaller than 4 cells" in said
    assert "1 zone is (3) more than half way around the globe" in said
    thin = coverage(frame(shapely.affinity.scale(cells(TINY, 10, 0, 1, 60), 1, 0.04).buffer(0)), TINY, id="code")
    assert "smaller" in thin.warnings[0]
    sliver = coverage(frame(box(19.9, 41.4, 21, 41.4 + 0.04 * TINY.dy)), TINY, id="code")
    assert "1 zone is (1) thinner than 0.1 cells on average: is it a sliver?" in sliver.warnings


def test_reprojection_on_request():
    shape = frame(cells(TINY, 3, 4, 2, 3))
    cov = coverage(shape.to_crs(3857), TINY, id="code", reproject=True)
    # corners go to metres and back: 1e-9 degrees, a millionth of a cell
    assert cov.weight.sum() == pytest.approx(6, abs=1e-5)


@pytest.mark.parametrize("keep", [["zone"], ["mean"], ["province", "province"]])
def test_kept_columns_must_not_hide_results(keep):
    zones = frame(cells(TINY, 3, 4, 2, 3), zone=[1], mean=[2], province=["A"])
    with pytest.raises(UsageError, match="rename it first"):
        coverage(zones, TINY, id="code", keep=keep)


def test_crs84_is_wgs84():
    zones = frame(cells(TINY, 3, 4, 2, 3)).set_crs("OGC:CRS84", allow_override=True)
    assert coverage(zones, TINY, id="code").weight.sum() == 6


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
