"""Do children make up their parents: planted overlaps and gaps are found, to the square kilometre and the cell."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from numpy.testing import assert_array_equal
from shapely.geometry import box

from nightcore import nesting
from nightcore.errors import BadInputError, UsageError
from nightcore.grid import DMSP_GLOBAL
from nightcore.nesting import check_nesting
from nightcore.zones import coverage

GRID = DMSP_GLOBAL.part(4000, 24000, 60, 80)
AREA = GRID.cell_area()
TOLERANCE = 1e-6  # [cells] the default of the command


def cells(row, column, height, width):
    """A box counted in cells, which need not be whole."""
    west, north = GRID.left + column * GRID.dx, GRID.top - row * GRID.dy
    return box(west, north - height * GRID.dy, west + width * GRID.dx, north)


def layer(shapes, rule="exact", **columns):
    frame = gpd.GeoDataFrame({"id": list(shapes), **columns}, geometry=list(shapes.values()), crs=4326)
    return coverage(frame, GRID, id="id", keep=list(columns), rule=rule)


PARENTS = {"Ash": cells(5, 5, 20, 30), "Elm": cells(5, 35, 20, 30)}
CITIES = {
    "a": cells(5, 5, 20, 12.25),
    "b": cells(5, 17.25, 20, 17.75),
    "c": cells(5, 35, 10.25, 30),
    "d": cells(15.25, 35, 9.75, 30),
}
PROVINCE = ["Ash", "Ash", "Elm", "Elm"]


def nested(tolerance=None, rule="exact", **changed):
    return check_nesting(
        layer(CITIES | changed, rule, province=PROVINCE), layer(PARENTS, rule), "province", tolerance
    ).set_index("parent")


@pytest.mark.parametrize("rule", ["exact", "centre"])
def test_clean_nesting_passes(rule):
    table = nested(TOLERANCE, rule)
    assert table.index.tolist() == ["Ash", "Elm"]
    assert table["children"].tolist() == [2, 2]
    # nothing at all: differences below NOISE are 0
    assert (table[["overlap_km2", "gap_km2", "worst"]] == 0).all(axis=None)
    assert table[["x", "y"]].isna().all(axis=None)
    # whole cells, but for corners that are rounded to the last bits of a degree
    assert table["area_km2"].tolist() == pytest.approx([AREA[5:25].sum() * 30] * 2, rel=1e-12)


def test_a_planted_overlap():
    # c reaches a quarter of a cell into d, along 12 of its 30 columns
    reaching = shapely.unary_union([CITIES["c"], cells(15.25, 40, 0.25, 12)])
    table = nested(c=reaching)
    # corners are degrees in float64: 1e-14 of 0.008 is 1e-12 of a cell
    assert table.loc["Elm", "overlap_km2"] == pytest.approx(12 * 0.25 * AREA[15], rel=1e-10)
    assert table.loc["Elm", "worst"] == pytest.approx(0.25, abs=1e-10)
    assert table.loc["Elm", "y"] == GRID.y[15]
    assert table.loc["Elm", "x"] in GRID.x[40:52]
    assert table.loc["Elm", "gap_km2"] == 0
    assert table.loc["Ash", "worst"] == 0


def test_a_planted_gap():
    table = nested(a=cells(5, 5, 20, 12))  # b begins a quarter of a cell further east
    assert table.loc["Ash", "gap_km2"] == pytest.approx(20 * 0.25 * AREA[5:25].mean(), rel=1e-10)
    assert table.loc["Ash", "worst"] == pytest.approx(0.25, abs=1e-10)
    assert table.loc["Ash", "x"] == GRID.x[17]
    assert table.loc["Ash", "overlap_km2"] == 0
    assert table.loc["Elm", "worst"] == 0


def test_an_overlap_and_a_gap_of_one_parent():
    table = nested(c=cells(5, 35, 10.75, 30), d=cells(15.5, 35, 9.5, 29))
    assert table.loc["Elm", "overlap_km2"] == pytest.approx(29 * 0.25 * AREA[15], rel=1e-10)
    # in row 15 the overlap of a quarter beside the missing column leaves a gap of a quarter
    assert table.loc["Elm", "gap_km2"] == pytest.approx(0.25 * AREA[15] + AREA[16:25].sum(), rel=1e-10)
    assert table.loc["Elm", "worst"] == pytest.approx(1, abs=1e-10)
    assert table.loc["Elm", "x"] == GRID.x[64]


def test_children_that_reach_beyond_their_parent_overlap_it():
    table = nested(b=cells(5, 17.25, 20, 18.75))
    assert table.loc["Ash", "overlap_km2"] == pytest.approx(AREA[5:25].sum(), rel=1e-10)
    assert table.loc["Ash", "x"] == GRID.x[35]
    assert table.loc["Elm", "worst"] == 0  # they are compared with their own parent


def test_a_parent_without_children_is_a_gap():
    table = check_nesting(layer({"a": PARENTS["Ash"]}, province=["Ash"]), layer(PARENTS), "province")
    assert table["children"].tolist() == [1, 0]
    assert table["gap_km2"].tolist() == [0, pytest.approx(table["area_km2"][1])]
    assert table["worst"].tolist() == [0, 1]


def test_bands_of_rows_change_nothing(monkeypatch):
    changed = {"c": cells(5, 35, 10.75, 30), "d": cells(15.5, 35, 9.5, 29)}
    whole = nested(**changed)
    monkeypatch.setattr(nesting, "ROWS", 7)
    bands = nested(**changed)
    assert_array_equal(bands[["children", "x", "y"]], whole[["children", "x", "y"]])
    # running sums begin elsewhere, and sums over rows are added in another order
    for column in ("overlap_km2", "gap_km2", "worst"):
        assert bands[column].tolist() == pytest.approx(whole[column].tolist(), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_voronoi_cells_make_up_their_whole(seed):
    rng = np.random.default_rng(seed)
    whole = PARENTS["Ash"]
    west, south, east, north = whole.bounds
    points = shapely.MultiPoint(np.c_[rng.uniform(west, east, 30), rng.uniform(south, north, 30)])
    parts = [part.intersection(whole) for part in shapely.voronoi_polygons(points, extend_to=whole).geoms]
    children = layer(dict(enumerate(parts)), province=["Ash"] * len(parts))
    table = check_nesting(children, layer({"Ash": whole}), "province", TOLERANCE)
    # vertices that cut a side of the whole are rounded to degrees near 42: 7e-15 of 0.008, 1e-12 of a cell
    assert table["worst"][0] < 1e-10
    assert table["children"].tolist() == [len(parts)]


# --- refused ------------------------------------------------------------------------------------------------------


def test_regions_of_greece_are_their_units(data_dir):
    """The 13 regions and Mount Athos, dissolved from their 75 units, are the sum of these in every cell."""
    regions = pd.read_csv(data_dir / "greece34" / "regions.csv", dtype=str)
    units = gpd.read_file(data_dir / "greece34" / "regional_units")
    units = units.merge(regions, left_on="CODE", right_on="regional_unit_code", validate="1:1")
    grid = DMSP_GLOBAL.part(3800, 23800, 1200, 1400)
    children = coverage(units, grid, id="CODE", keep=["region"])
    parents = coverage(units.dissolve("region").reset_index(), grid, id="region")
    # units of Attica overlap by 0.2 m2, which their union counts once
    table = check_nesting(children, parents, "region", TOLERANCE)
    assert table["children"].sum() == 75
    assert table["gap_km2"].max() == 0
    # ten thousands of cells along a coast, in another order
    own = np.bincount(children.zone, children.weight, 75) * grid.dx * grid.dy
    assert own == pytest.approx(shapely.area(units.geometry.to_numpy()), rel=1e-12)


def test_more_than_the_tolerance_is_refused():
    sentence = (
        r"1 of 2 parents are not the sum of their children, by up to 0\.25 of a cell \(parent Ash at 20\.\d{4} E, "
        r"41\.\d{4} N: overlap 0 km2, gap 3\.\d+ km2\), allowed is 0\.1: repair the polygons or allow more\."
    )
    with pytest.raises(BadInputError, match=sentence):
        nested(0.1, a=cells(5, 5, 20, 12))
    assert nested(0.3, a=cells(5, 5, 20, 12)).loc["Ash", "worst"] == pytest.approx(0.25, abs=1e-10)


def test_an_unknown_parent_is_named():
    children = layer(CITIES, province=["Ash", "Ash", "Elm", "Oak"])
    with pytest.raises(BadInputError, match=r"1 children name parents .*zone d: 'Oak'.*such as 'Ash'"):
        check_nesting(children, layer(PARENTS), "province")


def test_an_absent_column():
    with pytest.raises(UsageError, match=r"carry no column 'province': .*keep=\['province'\]"):
        check_nesting(layer(CITIES), layer(PARENTS), "province")


def test_another_rule_or_grid():
    children = layer(CITIES, province=PROVINCE)
    with pytest.raises(BadInputError, match="make both coverages alike"):
        check_nesting(children, layer(PARENTS, "centre"), "province")
    frame = gpd.GeoDataFrame({"id": list(PARENTS)}, geometry=list(PARENTS.values()), crs=4326)
    with pytest.raises(BadInputError, match="make both coverages alike"):
        check_nesting(children, coverage(frame, GRID.part(0, 0, 50, 80), id="id"), "province")
