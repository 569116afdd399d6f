"""Shares of cells inside polygons: worked by hand, against a reference, shapely, exactextract and GDAL."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from shapely.geometry import MultiPolygon, Polygon, box

from nightcore.grid import DMSP_GLOBAL, Grid
from nightcore.kernels.coverage import area_cover, area_cover_reference, centre_cover_reference, rings_of
from nightcore.kernels.tiling import in_tiles, in_tiles_reference
from nightcore.store import TILE, Tile
from nightcore.zones import Coverage, cover, coverage

MANY = settings(deadline=None, max_examples=150)
# [cells] numbers of cells are counted from the corner in float64, where a cell of the small grids below is at most 32:
# a dozen operations at 32 * 2.2e-16 for each edge, and some ten edges in a cell
EXACT = 1e-12

UNIT = Grid(0.0, 6.0, 1.0, 1.0, 8, 6)  # column = x, row = 6 - y
DYADIC = Grid(-2.0, 3.0, 0.125, 0.125, 40, 40)
TINY = DMSP_GLOBAL.part(4000, 24000, 40, 60)


def laid(*shapes, grid=UNIT, rule="exact", threads=1, **options) -> Coverage:
    frame = gpd.GeoDataFrame(geometry=list(shapes), crs=4326)
    return coverage(frame, grid, rule=rule, threads=threads, **options)


def dense(shape, grid=UNIT, rule="exact") -> np.ndarray:
    """(height, width) weights of one polygon; works off the grid too."""
    runs, edges = cover(rings_of([shape]), grid, rule, 1)
    found = np.zeros(grid.shape)
    for row, start, stop in zip(runs.row, runs.start, runs.stop, strict=True):
        assert (found[row, start:stop] == 0).all()
        found[row, start:stop] = 1
    assert (found[edges.row, edges.column] == 0).all()
    found[edges.row, edges.column] = edges.weight
    return found


def total(cov: Coverage) -> np.ndarray:
    """(height, width) sum of the weights of all zones."""
    found = np.zeros(cov.grid.shape)
    np.add.at(found, (cov.row, cov.column), cov.weight)
    return found


def by_shapely(shape, grid: Grid) -> np.ndarray:
    """Share of each cell inside, from intersections of polygons."""
    west = grid.left + np.arange(grid.width) * grid.dx
    north = grid.top - np.arange(grid.height)[:, None] * grid.dy
    boxes = shapely.box(west, north - grid.dy, west + grid.dx, north)
    return shapely.area(shapely.intersection(shape, boxes)) / (grid.dx * grid.dy)


def rings_in_cells(shape, grid: Grid):
    """Rings as `area_cover_reference` takes them."""
    for part in shapely.get_parts(shape):
        for ring, shell in ((part.exterior, True), *((hole, False) for hole in part.interiors)):
            xy = shapely.get_coordinates(ring)
            yield np.c_[(xy[:, 0] - grid.left) / grid.dx, (grid.top - xy[:, 1]) / grid.dy], shell


def star(rng, centre, radius, n=9) -> Polygon:
    """A polygon around `centre`, whose vertices lie between a fifth of `radius` and all of it."""
    # one vertex in each sector, so that the centre is inside and rings never cross
    angle = (np.arange(n) + rng.uniform(0.05, 0.95, n)) * 2 * np.pi / n
    distance = radius * rng.uniform(0.2, 1, n)
    return Polygon(np.c_[centre[0] + distance * np.cos(angle), centre[1] + distance * np.sin(angle)])


def with_hole(rng, shape: Polygon, centre) -> Polygon:
    """The same with a hole, its outline turned towards the centre."""
    xy = shapely.get_coordinates(shape)
    inner = centre + (xy - centre) * rng.uniform(0.1, 0.8)
    return Polygon(xy, [inner])


@st.composite
def stars(draw, grid=DYADIC):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    west, south, east, north = grid.bounds
    centre = np.array([rng.uniform(west, east), rng.uniform(south, north)])
    shape = star(rng, centre, (east - west) * rng.uniform(0.002, 0.5), draw(st.integers(4, 12)))
    if draw(st.booleans()):  # vertices on lines and corners of cells, edges along them
        xy = shapely.get_coordinates(shape)
        shape = Polygon(np.round(xy / grid.dx * 2) * grid.dx / 2)
        assume(shape.is_valid and shape.area > 0)
        return shape
    return with_hole(rng, shape, centre) if draw(st.booleans()) else shape


# --- worked by hand -----------------------------------------------------------------------------------------------

HAND = {
    "one cell": (box(2, 3, 3, 4), {(2, 2): 1}),
    "six cells": (box(2, 2, 5, 4), {(r, c): 1 for r in (2, 3) for c in (2, 3, 4)}),
    "half a cell": (box(2, 3, 2.5, 4), {(2, 2): 0.5}),
    "over a corner": (box(2.5, 2.5, 3.5, 3.5), {(r, c): 0.25 for r in (2, 3) for c in (2, 3)}),
    "not in halves": (box(2.25, 3.5, 3, 4), {(2, 2): 0.375}),
    "half by its diagonal": (Polygon([(2, 3), (3, 3), (2, 4)]), {(2, 2): 0.5}),
    # x + y = 4: cells below the diagonal whole, those on it by half
    "a triangle": (
        Polygon([(0, 0), (4, 0), (0, 4)]),
        {(5 - y, x): 1 if x + y < 3 else 0.5 for x in range(4) for y in range(4) if x + y < 4},
    ),
    # below y = x / 2: a quarter of the first cell, three quarters of the second
    "a flat triangle": (Polygon([(0, 0), (2, 0), (2, 1)]), {(5, 0): 0.25, (5, 1): 0.75}),
    "a diamond": (Polygon([(3, 2), (4, 3), (3, 4), (2, 3)]), {(r, c): 0.5 for r in (2, 3) for c in (2, 3)}),
    "tiny, inside a cell": (box(2.25, 3.25, 2.375, 3.375), {(2, 2): 1 / 64}),
    "a hole of one cell": (
        Polygon([(1, 1), (4, 1), (4, 4), (1, 4)], [[(2, 2), (3, 2), (3, 3), (2, 3)]]),
        {(r, c): 1 for r in (2, 3, 4) for c in (1, 2, 3) if (r, c) != (3, 2)},
    ),
    "a hole in a cell": (
        Polygon([(2, 3), (3, 3), (3, 4), (2, 4)], [[(2.25, 3.25), (2.75, 3.25), (2.75, 3.75), (2.25, 3.75)]]),
        {(2, 2): 0.75},
    ),
    "two parts in one cell": (MultiPolygon([box(2, 3, 2.25, 4), box(2.5, 3, 2.75, 4)]), {(2, 2): 0.5}),
    "two parts apart": (MultiPolygon([box(0, 0, 1, 1), box(6, 4, 7.5, 5)]), {(5, 0): 1, (1, 6): 1, (1, 7): 0.5}),
    "an island in a hole": (
        MultiPolygon([Polygon(box(0, 0, 5, 5).exterior, [box(1, 1, 4, 4).exterior]), box(2, 2, 3, 3)]),
        {(5 - y, x): 1 for x in range(5) for y in range(5) if x in (0, 4) or y in (0, 4) or x == y == 2},
    ),
    "all of the grid": (box(0, 0, 8, 6), {(r, c): 1 for r in range(6) for c in range(8)}),
    "more than the grid": (box(-9, -9, 19, 9), {(r, c): 1 for r in range(6) for c in range(8)}),
    "over the western edge": (box(-3, 0, 0.5, 1), {(5, 0): 0.5}),
    "over the eastern edge": (box(7.5, 0, 12, 1), {(5, 7): 0.5}),
    "over the northern edge": (box(0, 5.25, 1, 9), {(0, 0): 0.75}),
    "over the southern edge": (box(0, -4, 1, 0.25), {(5, 0): 0.25}),
    "an edge that leaves and comes back": (Polygon([(-2, 1), (2, 3), (-2, 5)]), {
        (2, 0): 0.75, (2, 1): 0.25, (3, 0): 0.75, (3, 1): 0.25,
    }),
    "beside the grid": (box(-2, 1, 0, 2), {}),
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True], ids=["as is", "turned round"])
@pytest.mark.parametrize("case", HAND)
def test_worked_by_hand(case, turned):
    shape, expected = HAND[case]
    if turned:
        shape = shapely.reverse(shape)
    found = dense(shape)
    cells = {(int(r), int(c)): found[r, c] for r, c in np.argwhere(found)}
    assert cells == expected  # all these numbers are exact in binary


@pytest.mark.parametrize("case", HAND)
def test_hand_worked_cells_start_anywhere(case):
    """The same polygons written from another vertex."""
    shape, expected = HAND[case]
    if shape.geom_type == "Polygon" and not shape.interiors:
        xy = shapely.get_coordinates(shape)[:-1]
        for first in range(len(xy)):
            found = dense(Polygon(np.roll(xy, first, axis=0)))
            assert {(int(r), int(c)): found[r, c] for r, c in np.argwhere(found)} == expected


def test_runs_are_whole_cells_and_edges_are_not():
    runs, edges = cover(rings_of([box(1.5, 2, 5, 4)]), UNIT, "exact", 1)
    assert np.c_[runs.row, runs.start, runs.stop].tolist() == [[2, 2, 5], [3, 2, 5]]
    assert np.c_[edges.row, edges.column, edges.weight].tolist() == [[2, 1, 0.5], [3, 1, 0.5]]


# --- against the reference and shapely ----------------------------------------------------------------------------


@MANY
@given(stars())
def test_the_kernel_is_its_reference(shape):
    clipped = shape.intersection(box(*DYADIC.bounds))  # the reference takes nothing west of the grid
    assume(clipped.geom_type in ("Polygon", "MultiPolygon") and clipped.area > 0)
    expected = area_cover_reference(list(rings_in_cells(clipped, DYADIC)), DYADIC.shape)
    assert_allclose(dense(clipped, DYADIC), expected, rtol=0, atol=EXACT)


@MANY
@given(stars())
def test_shares_are_shapelys(shape):
    # shapely works in degrees up to 3, where half of the last bit is 2.2e-16 and a cell 0.016 square degrees
    assert_allclose(dense(shape, DYADIC), by_shapely(shape, DYADIC), rtol=0, atol=EXACT)


@pytest.mark.parametrize("seed", range(4))
def test_areas_are_shapelys_on_the_grid_of_the_composites(seed):
    rng = np.random.default_rng(seed)
    west, south, east, north = TINY.bounds
    for _ in range(50):
        radius = rng.uniform(8, 18) * TINY.dx
        centre = np.array([rng.uniform(west + radius, east - radius), rng.uniform(south + radius, north - radius)])
        shape = with_hole(rng, star(rng, centre, radius, 40), centre)
        # shapely's own sum is over coordinates moved to the first vertex, and so are ours, moved to the grid's corner;
        # what is left is the rounding of hundreds of cells
        assert dense(shape, TINY).sum() * TINY.dx * TINY.dy == pytest.approx(shape.area, rel=1e-12)


def test_multipolygons_are_their_parts():
    rng = np.random.default_rng(5)
    west, south, _, _ = DYADIC.bounds
    for _ in range(30):
        parts = [star(rng, (west + 0.6 + 1.2 * (i % 4), south + 0.6 + 1.2 * (i // 4)), 0.59) for i in range(16)]
        expected = sum(dense(part, DYADIC) for part in parts)
        # parts are added in another order
        assert_allclose(dense(MultiPolygon(parts), DYADIC), expected, rtol=0, atol=EXACT)


def test_either_way_round_is_the_same_area():
    rng = np.random.default_rng(6)
    for _ in range(50):
        centre = np.array([0.5, 0.5])
        shape = with_hole(rng, star(rng, centre, 2, 12), centre)
        # edges are added in another order
        assert_allclose(dense(shape.reverse(), DYADIC), dense(shape, DYADIC), rtol=0, atol=EXACT)


@pytest.mark.parametrize("grid", [TINY, DYADIC], ids=["composites", "dyadic"])
@pytest.mark.parametrize("seed", range(4))
def test_a_partition_sums_to_one(grid, seed):
    """Neighbours share edges, so their weights sum to 1 in every cell."""
    rng = np.random.default_rng(seed)
    west, south, east, north = grid.bounds
    whole = box(*grid.part(2, 2, 30, 35).bounds)
    points = shapely.MultiPoint(np.c_[rng.uniform(west, east, 60), rng.uniform(south, north, 60)])
    parts = [part.intersection(whole) for part in shapely.voronoi_polygons(points, extend_to=whole).geoms]
    # intersections put new vertices into one neighbour's edges only: bring them into all
    parts = shapely.get_parts(shapely.polygonize([shapely.unary_union([part.boundary for part in parts])]))
    expected = np.zeros(grid.shape)
    expected[2:32, 2:37] = 1
    assert len(parts) > 20
    assert_allclose(total(laid(*parts, grid=grid)), expected, rtol=0, atol=EXACT)


def test_exactextract_agrees():
    """exactextract's weights are float32: 1.2e-7 of a cell for each of a handful of pieces that it adds up."""
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    rng = np.random.default_rng(8)
    west, south, east, north = DYADIC.bounds
    shapes = [star(rng, (rng.uniform(-1, 2), rng.uniform(-1, 2)), rng.uniform(0.05, 1), 15) for _ in range(30)]
    frame = gpd.GeoDataFrame(geometry=shapes, crs=4326)
    raster = NumPyRasterSource(
        np.zeros(DYADIC.shape), xmin=west, ymin=south, xmax=east, ymax=north, srs_wkt=frame.crs.to_wkt()
    )
    found = exact_extract(raster, frame, ["cell_id", "coverage"], output="pandas")
    for shape, cell, weight in zip(shapes, found["cell_id"], found["coverage"], strict=True):
        expected = np.zeros(DYADIC.shape)
        expected.flat[np.asarray(cell, np.int64)] = weight
        assert_allclose(dense(shape, DYADIC), expected, rtol=0, atol=1e-6)


# --- the grid's edge and the globe --------------------------------------------------------------------------------


@MANY
@given(stars())
def test_the_grids_edge_cuts_and_changes_nothing_else(shape):
    part = DYADIC.part(10, 8, 15, 20)
    # a window counts columns from its own corner, exactly on a dyadic grid; sums along a row begin elsewhere
    assert_allclose(dense(shape, part), dense(shape, DYADIC)[10:25, 8:28], rtol=0, atol=EXACT)


GLOBE = Grid(-180.0, 90.0, 0.5, 0.5, 720, 360)


def test_the_antimeridian_is_no_edge():
    crossing = box(170.25, 10, 190.25, 20)
    apart = MultiPolygon([box(170.25, 10, 180, 20), box(-180, 10, -169.75, 20)])
    assert_array_equal(dense(crossing, GLOBE), dense(apart, GLOBE))
    assert dense(crossing, GLOBE).sum() == 40 * 20
    westward = box(-189.75, 10, -169.75, 20)
    assert_array_equal(dense(westward, GLOBE), dense(crossing, GLOBE))


@pytest.mark.parametrize("rule", ["exact", "centre"])
def test_longitudes_from_0_to_360(rule):
    east = star(np.random.default_rng(3), (200.0, 20.0), 15.0, 30)
    west = shapely.transform(east, lambda xy: xy - (360.0, 0.0))
    # subtracting 360 rounds longitudes of 200 by half of their last bit, 1.4e-14 degrees
    assert_allclose(dense(east, GLOBE, rule), dense(west, GLOBE, rule), rtol=0, atol=EXACT)
    pacific = Grid(0.0, 90.0, 0.5, 0.5, 720, 360)
    assert_allclose(dense(west, pacific, rule), np.roll(dense(west, GLOBE, rule), 360, axis=1), rtol=0, atol=EXACT)


def test_all_around_the_globe():
    cov = laid(box(-180, -90, 180, 90), grid=GLOBE)
    assert (total(cov) == 1).all()
    # Moritz (2000), "Geodetic Reference System 1980": the ellipsoid has 510 065 621.7 km2; that of WGS84 has 0.1 more
    assert cov.area()[0] == pytest.approx(510_065_621.7, abs=1)
    assert cov.cut() == ()


@pytest.mark.parametrize("rule", ["exact", "centre"])
def test_a_repeated_column_counts_once(rule):
    again = Grid(-180.25, 90.0, 0.5, 0.5, 721, 360)  # columns 0 and 720 are the same meridian
    assert again.repeated_columns == 1
    cov = laid(box(-180, -10, 180, 10), grid=again, rule=rule)
    assert (total(cov)[160:200, :720] == 1).all()
    assert (total(cov)[:, 720] == 0).all()
    assert cov.cut() == ()
    narrow = laid(box(179, 0, 181, 1), grid=again, rule=rule)
    assert total(narrow).sum() == 4 * 2
    assert narrow.cut() == ()


def test_the_global_grid_of_the_composites_repeats_one_column():
    assert DMSP_GLOBAL.repeated_columns == 1
    strip = Grid(DMSP_GLOBAL.left, 1.0, DMSP_GLOBAL.dx, DMSP_GLOBAL.dy, DMSP_GLOBAL.width, 30)
    wide = total(laid(box(-180, 0.8, 180, 0.9), grid=strip))
    assert (wide[:, -1] == 0).all()
    # ten digits of the cell's size make 43200 columns 1.44e-6 degrees, 1.7e-4 of a cell, short of the globe
    assert wide.sum() * strip.dx * strip.dy == pytest.approx(43200 * strip.dx * 0.1, rel=1e-12)


# --- centres ------------------------------------------------------------------------------------------------------


def by_gdal(shape, grid: Grid) -> np.ndarray:
    from rasterio.features import rasterize

    return rasterize([shape], grid.shape, transform=Affine(*grid.transform), dtype="uint8")


@pytest.mark.parametrize("snapped", [0, 1, 2, 4], ids=["anywhere", "cells", "half cells", "quarters"])
@pytest.mark.parametrize("grid", [DYADIC, TINY], ids=["dyadic", "composites"])
def test_centres_are_gdals(grid, snapped):
    """1,200 polygons, vertices anywhere or on fractions of cells, where centres lie on edges."""
    rng = np.random.default_rng(snapped)
    west, south, east, north = grid.bounds
    seen = 0
    while seen < 150:
        centre = np.array([rng.uniform(west, east), rng.uniform(south, north)])
        shape = star(rng, centre, (east - west) * rng.uniform(0.02, 0.6), int(rng.integers(4, 14)))
        if rng.random() < 0.3:
            shape = with_hole(rng, shape, centre)
        if snapped:
            corner, step = np.array([grid.left, grid.top]), np.array([grid.dx, grid.dy]) / snapped
            shape = shapely.transform(shape, lambda xy, c=corner, s=step: c + np.round((xy - c) / s) * s)
            if not shape.is_valid or shape.area == 0:
                continue
        seen += 1
        assert_array_equal(dense(shape, grid, "centre"), by_gdal(shape, grid))


@st.composite
def half_cell_polygons(draw):
    """Valid polygons of any form with vertices on half cells: many edges run through centres."""
    corners = st.tuples(st.integers(0, 16), st.integers(0, 12))
    points = np.array(draw(st.lists(corners, min_size=3, max_size=9, unique=True))) / 2
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # most orders of nine points make a ring that crosses itself; looked for here, so that few examples are thrown away
    for _ in range(200):
        shape = Polygon(rng.permutation(points))
        if shape.is_valid and shape.area > 0:
            return shape
    return shapely.convex_hull(shapely.MultiPoint(points))


@MANY
@given(half_cell_polygons(), st.booleans())
def test_centres_on_edges_are_gdals(shape, turned):
    assume(shape.area > 0)  # points on one line
    shape = shape.reverse() if turned else shape
    assert_array_equal(dense(shape, UNIT, "centre"), by_gdal(shape, UNIT))


# --- order, threads, tiles ----------------------------------------------------------------------------------------


def many(grid: Grid, n: int, seed: int) -> list:
    rng = np.random.default_rng(seed)
    west, south, east, north = grid.bounds
    return [
        star(rng, (rng.uniform(west, east), rng.uniform(south, north)), rng.uniform(0.2, 20) * grid.dx, 12)
        for _ in range(n)
    ]


@given(st.lists(st.tuples(st.integers(-3, 19), st.integers(-3, 15)), min_size=3, max_size=8, unique=True))
@settings(deadline=None)
def test_centres_are_their_reference(points):
    shape = Polygon(np.array(points) / 2)  # halves: many edges run through centres
    assume(shape.area)  # a ring without area has no lower side
    rings = [ring for ring, _ in rings_in_cells(shape, UNIT)]
    assert_array_equal(dense(shape, rule="centre"), centre_cover_reference(rings, UNIT.shape))


def test_a_continent_is_worked_off_in_bands():
    """38,000 x 14,000 cells do not fit the buffer; an outline of a thousand corners, with a hole."""
    rng = np.random.default_rng(4)
    shell = np.array(star(rng, (0, 5), 55, 1000).exterior.coords) * (2.8, 1.0)
    shape = Polygon(shell, [(shell - (0, 5)) * 0.5 + (0, 5)])
    assert shape.is_valid
    exact = cover(rings_of([shape]), DMSP_GLOBAL, "exact", 1)
    cells = (exact[0].stop - exact[0].start).sum(dtype=np.int64) + exact[1].weight.sum()
    assert cells * DMSP_GLOBAL.dx * DMSP_GLOBAL.dy == pytest.approx(shape.area, rel=1e-12)
    for part in exact:
        assert (np.diff(part.row) >= 0).all()
    centre, _ = cover(rings_of([shape]), DMSP_GLOBAL, "centre", 1)
    # a row of centres samples an edge a thousand times: the errors of a million crossings cancel
    assert (centre.stop - centre.start).sum(dtype=np.int64) == pytest.approx(cells, rel=1e-5)


def test_shares_beside_counted_points():
    fine = 64
    shape = Polygon([(0.3, 0.2), (7.1, 1.4), (5.2, 2.9), (7.7, 5.8), (3.1, 3.3), (0.9, 5.6)])
    x, y = (np.arange(8 * fine) + 0.5) / fine, 6 - (np.arange(6 * fine) + 0.5) / fine
    inside = shapely.contains_xy(shape, *np.meshgrid(x, y))
    counted = inside.reshape(6, fine, 8, fine).mean(axis=(1, 3))
    # an edge of up to 1.5 cells misjudges half a point on either side of it
    assert_allclose(dense(shape), counted, rtol=0, atol=1.5 / fine)


@pytest.mark.parametrize("rule", ["exact", "centre"])
def test_threads_change_no_bit(rule):
    rings = rings_of(many(TINY, 80, 2))
    one = cover(rings, TINY, rule, 1)
    for threads in (2, 3, 7):
        other = cover(rings, TINY, rule, threads)
        for mine, theirs in zip(one, other, strict=True):
            for name in vars(mine):
                assert_array_equal(getattr(theirs, name), getattr(mine, name))
                assert getattr(theirs, name).dtype == getattr(mine, name).dtype


def test_zones_one_at_a_time_are_all_zones():
    rings = rings_of(many(TINY, 20, 4))
    place = (TINY.left, TINY.top, TINY.dx, TINY.dy, TINY.width, TINY.height)
    whole = area_cover(rings.xy, rings.start, rings.shell, rings.zone_start, 0, 20, *place)
    each = [area_cover(rings.xy, rings.start, rings.shell, rings.zone_start, z, z + 1, *place) for z in range(20)]
    for all_at_once, parts in zip(whole, zip(*each, strict=True), strict=True):
        assert_array_equal(np.concatenate(parts, axis=1), all_at_once)


@given(stars(), st.integers(-20, 20), st.integers(-20, 20))
@MANY
def test_a_shift_by_whole_cells_changes_no_bit(shape, rows, columns):
    """Vertices on multiples of 2**-30 degrees are moved without rounding, and only fractions of cells are computed."""
    shape = shapely.transform(shape, lambda xy: np.round(xy * 2.0**30) / 2.0**30)
    assume(shape.is_valid)
    by = np.array([columns * DYADIC.dx, -rows * DYADIC.dy])
    moved = shapely.transform(shape, lambda xy: xy + by)
    wide = Grid(DYADIC.left - 8, DYADIC.top + 8, DYADIC.dx, DYADIC.dy, 168, 168)
    assert_array_equal(np.roll(dense(shape, wide), (rows, columns), (0, 1)), dense(moved, wide))


def same_cells(found, expected):
    """Equal as cells; a weight that rounds to 1 is a run in one and an edge in the other."""
    assert_array_equal(found.zones, expected.zones)
    mine, theirs = found.entries(), expected.entries()
    orders = [np.lexsort((local, column, row)) for row, column, local, _ in (mine, theirs)]
    for one, other in zip(mine, theirs, strict=True):
        assert_array_equal(one[orders[0]], other[orders[1]])


@pytest.mark.parametrize("rule", ["exact", "centre"])
def test_tiles_are_their_reference(rule):
    # two tiles by two, the last ones not whole
    grid = DMSP_GLOBAL.part(4000, 24000, TILE + 40, TILE + 70)
    west, _, _, north = grid.bounds
    middle = box(west + 500 * grid.dx, north - 530.3 * grid.dy, west + 530.2 * grid.dx, north - 490 * grid.dy)
    cov = laid(*many(grid, 150, 9), middle, grid=grid, rule=rule)
    expected = in_tiles_reference(cov.row, cov.column, cov.zone, cov.weight, grid.shape, TILE)
    found = 0
    for number, cells in enumerate(expected):
        down, across = divmod(number, 2)
        row, column = down * TILE, across * TILE
        tile = Tile(row, column, min(TILE, grid.height - row), min(TILE, grid.width - column))
        block = cov.block(tile)
        same_cells(block, cells)
        assert cov.touches(tile) == (len(cells.zones) > 0)
        found += len(block.entries()[0])
    assert found > 10_000


@settings(deadline=None, max_examples=30)  # the reference looks through all cells for every tile
@given(st.integers(0, 2**32), st.integers(3, 17))
def test_small_tiles_are_their_reference(seed, size):
    rng = np.random.default_rng(seed)
    cov = laid(*many(DYADIC, int(rng.integers(1, 8)), seed), grid=DYADIC) if seed % 2 else laid(box(0, 0, 1, 1.0625))
    runs = (cov.runs.row, cov.runs.start, cov.runs.stop, cov.runs.zone)
    edges = (cov.edges.row, cov.edges.column, cov.edges.zone, cov.edges.weight)
    tiles = in_tiles(runs, edges, cov.grid.shape, size, len(cov))
    expected = in_tiles_reference(cov.row, cov.column, cov.zone, cov.weight, cov.grid.shape, size)
    for number, cells in enumerate(expected):
        same_cells(tiles[number], cells)
        assert tiles.any(number) == (len(cells.zones) > 0)
