"""Bounds and areas of the global grid, windows, offsets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from nightcore.errors import BadInputError
from nightcore.grid import DMSP_GLOBAL, Grid, ellipsoid_area_to, snap


def test_bounds_of_the_version_4_grid():
    """GRASS and GEE state these edges for the 43201 x 16801 grid."""
    # 1e-11 degrees: the last digit in print
    assert_allclose(
        DMSP_GLOBAL.bounds, (-180.00416666665, -65.00416610665, 180.00416522665, 75.00416666665), atol=1e-11
    )


def test_the_whole_ellipsoid():
    """Surface of WGS84 is 510,065,621.724 km2 (H. Moritz 1980, "Geodetic Reference System 1980", for GRS80; the two
    differ in the tenth digit)."""
    whole = (ellipsoid_area_to(90) - ellipsoid_area_to(-90)) * 2 * np.pi
    assert_allclose(whole, 510_065_621.724, rtol=1e-9)  # nine digits are common to both ellipsoids


def test_one_meridian_is_there_twice():
    """43200 columns go once around the globe; the 43201st would count a meridian again."""
    rows = DMSP_GLOBAL.cell_area()
    _, south, _, north = DMSP_GLOBAL.bounds
    band = (ellipsoid_area_to(north) - ellipsoid_area_to(south)) * 2 * np.pi
    assert_allclose(rows.sum() * 43200, band, rtol=1e-8)  # the pixel has ten digits: 43200 of them are 360 - 1.4e-6
    assert abs(rows.sum() * 43201 / band - 1) > 2e-5


def test_cell_area_against_a_geodesic_polygon():
    from pyproj import Geod

    grid = DMSP_GLOBAL.part(4213, 23000, 3, 1)
    # edges along a parallel are not geodesics: 2000 points a side bring the difference below 1e-9
    lon = np.linspace(grid.left, grid.right, 2000)
    for row, area in enumerate(grid.cell_area()):
        top, bottom = grid.top - row * grid.dy, grid.top - (row + 1) * grid.dy
        ring = np.r_[lon, lon[::-1]], np.r_[np.full(2000, top), np.full(2000, bottom)]
        measured, _ = Geod(ellps="WGS84").polygon_area_perimeter(*ring)
        assert_allclose(area, abs(measured) / 1e6, rtol=1e-9)


@given(st.integers(0, 800), st.integers(0, 600), st.integers(1, 200), st.integers(1, 200))
def test_window_finds_the_cells_it_was_made_of(row, column, height, width):
    grid = DMSP_GLOBAL.part(4000, 24000, 1000, 800)
    assert grid.window(grid.part(row, column, height, width).bounds) == (row, column, height, width)


def test_a_tiny_box_touches_the_cell_it_lies_in():
    grid = DMSP_GLOBAL.part(4000, 24000, 10, 10)
    x, y = grid.left + 5.999 * grid.dx, grid.top - 3.001 * grid.dy
    assert grid.window((x, y, x + 1e-5, y + 1e-5))[2:] == (1, 1)


def test_a_box_off_the_grid_is_refused():
    with pytest.raises(BadInputError, match="holds no cell"):
        DMSP_GLOBAL.window((10, 80, 11, 81))


def test_a_south_up_grid_is_refused():
    with pytest.raises(BadInputError, match="north-up"):
        Grid(0, 0, 0.1, -0.1, 10, 10)


@pytest.mark.parametrize(
    ("offset", "whole", "rest"),
    [
        (0, 0, 0),
        (1, 1, 0),
        (-3, -3, 0),
        (0.5, 0, 0.5),
        (-0.5, 0, -0.5),
        (0.509, 0, 0.509),
        (0.52, 1, -0.48),
        (2.4, 2, 0.4),
    ],
)
def test_snap(offset, whole, rest):
    """Nearest cell; halves, with the rounding of a file's header, go towards zero."""
    assert snap(offset) == (whole, pytest.approx(rest))
