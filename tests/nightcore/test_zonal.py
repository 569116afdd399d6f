"""Zonal tables: against brute force, the same to the bit for any threads and tiles, and of any raster stack."""

import dask.array
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from shapely.geometry import Polygon, box

import nightcore as nc
from nightcore.errors import BadInputError, IntegrityError, MissingCoefficientsError, UsageError
from nightcore.grid import DMSP_GLOBAL
from nightcore.zonal import composite_totals, each
from nightcore.zones import RESERVED
from tests.nightcore.rasters import SMALL, write_composites


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    write_composites(folder, SMALL, seed=5)
    return nc.ingest(folder, tmp_path_factory.mktemp("store") / "s.zarr")


@pytest.fixture(scope="module")
def zones():
    """Slanted zones across tile borders, one inside another, one without any cell."""
    west, south, east, north = SMALL.bounds
    middle = (south + north) / 2
    shapes = [
        Polygon(
            [(west + 0.1, south + 0.2), (east - 0.3, south + 0.1), (east - 1.0, north - 0.2), (west + 0.5, middle)]
        ),
        Polygon([(west + 3, middle), (west + 4, middle + 0.7), (west + 5, middle), (west + 4, middle - 0.9)]),
        box(east + 1, south, east + 2, north),
    ]
    return gpd.GeoDataFrame({"code": ["big", "small", "off"], "province": ["A", "A", "B"]}, geometry=shapes, crs=4326)


@pytest.fixture(scope="module")
def cov(zones, store):
    return nc.coverage(zones, store, id="code", keep=["province"])


def brute_force(store, cov, method, years):
    """Sum, cells, area sum and area of each zone and year in plain floats, from the lights cube."""
    lights = nc.annual_lights(store, method).values.astype(float)
    area = store.grid.cell_area()
    rows = []
    for place, zone in enumerate(cov.ids):
        own = cov.zone == place
        v, w = lights[:, cov.row[own], cov.column[own]], cov.weight[own]
        a = area[cov.row[own]]
        seen = ~np.isnan(v)
        v = np.nan_to_num(v)
        for t, year in enumerate(years):
            rows.append(
                {
                    "zone": zone,
                    "year": year,
                    "sum": (w * v[t]).sum(),
                    "cells": (w * seen[t]).sum(),
                    "sum_area": (w * a * v[t]).sum(),
                    "area_km2": (w * a * seen[t]).sum(),
                    "lit_share": (w * (v[t] > 0)).sum() / (w * seen[t]).sum() if own.any() else np.nan,
                }
            )
    table = pd.DataFrame(rows)
    table.loc[table["cells"] == 0, ["sum", "sum_area"]] = np.nan  # nothing seen is not darkness
    return table


@pytest.mark.parametrize("method", ["raw", "elvidge2014"])
def test_against_brute_force(store, cov, method):
    table = nc.zonal(store, cov, method)
    expected = brute_force(store, cov, method, range(1992, 2014))
    for column in expected:
        if expected[column].dtype == float:
            # the cube is float32: 2e-6 DN at 63, relative 4e-8
            assert_allclose(table[column], expected[column], rtol=1e-7, err_msg=column)
        else:
            assert list(table[column]) == list(expected[column])
    assert_allclose(table["mean"], table["sum"] / table["cells"])
    assert_allclose(table["mean_area"], table["sum_area"] / table["area_km2"])


def test_columns(store, cov):
    table = nc.zonal(store, cov, "raw")
    assert list(table.columns) == [
        *("zone", "province", "year", "sum", "cells", "mean", "sum_area", "area_km2", "mean_area"),
        *("lit_share", "saturated55_share", "saturated60_share", "saturated_share", "missing_share", "min", "max"),
        "reason",
    ]
    # a column kept from the polygons must hide none of them
    assert set(table.columns) - set(cov.attributes) == set(RESERVED)
    assert len(table) == 3 * 22
    off = table[table["zone"] == "off"]
    assert off["reason"].str.len().gt(0).all()
    assert table[table["zone"] != "off"]["reason"].eq("").all()
    assert off["cells"].eq(0).all()
    assert off["sum"].isna().all()
    assert off["missing_share"].eq(1).all()
    assert cov.cut() == ("off",)
    assert off["mean"].isna().all()  # no cell is not darkness


def test_shares_of_one_cell(tmp_path):
    """Two satellites, four cells: every share worked out by hand."""
    from tests.nightcore.rasters import ngdc_name, write_raster

    grid = DMSP_GLOBAL.part(4000, 24000, 2, 2)
    for name, dn in (("F101994", [[0, 63], [255, 10]]), ("F121994", [[4, 60], [255, 255]])):
        write_raster(tmp_path / ngdc_name(name), np.array(dn, np.uint8), grid)
    store = nc.ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    whole = gpd.GeoDataFrame(geometry=[box(*grid.bounds)], crs=4326)
    cov = nc.coverage(whole, store, rule="centre")
    row = nc.zonal(store, cov, "raw").iloc[0]
    assert row["sum"] == 2 + 61.5 + 10
    assert row["cells"] == 3
    assert row["lit_share"] == 1
    assert row["saturated_share"] == pytest.approx(1 / 3, rel=1e-15)  # one division
    assert row["saturated60_share"] == row["saturated55_share"] == row["saturated_share"]
    assert row["missing_share"] == 0.25
    assert (row["min"], row["max"]) == (2, 61.5)
    lit = nc.zonal(store, cov, "raw", merge="either_zero").iloc[0]
    assert lit["sum"] == 61.5 + 10
    assert lit["lit_share"] == pytest.approx(2 / 3, rel=1e-15)


@pytest.mark.parametrize("continuity", ["none", "sequential", "fixpoint"])
def test_any_number_of_threads_gives_the_same_bits(store, cov, continuity):
    one, four = (nc.zonal(store, cov, "elvidge2014", continuity=continuity, threads=n) for n in (1, 4))
    pd.testing.assert_frame_equal(one, four, check_exact=True)


def test_any_tiling_gives_the_same_bits(tmp_path, store, zones, cov):
    """The same pixels in stores that are cut at other places: windows of different origin."""
    folder = tmp_path / "in"
    write_composites(folder, SMALL, seed=5)
    part = zones[zones["code"] == "small"]
    west, south, east, north = part.total_bounds
    tables = []
    for margin in (0.2, 0.9):
        box_ = (west - margin, south - margin, east + margin, north + margin)
        other = nc.ingest(folder, tmp_path / f"{margin}.zarr", bbox=box_)
        # whole cells weigh the same on every window; parts of cells depend on the grid's origin in their last bits
        near = nc.coverage(part, other, id="code", rule="centre")
        tables.append(nc.zonal(other, near, "elvidge2014", continuity="fixpoint"))
    tables.append(
        nc.zonal(store, nc.coverage(part, store, id="code", rule="centre"), "elvidge2014", continuity="fixpoint")
    )
    columns = ["sum", "cells", "lit_share", "saturated55_share", "saturated_share", "missing_share", "min", "max"]
    sums = [table[columns] for table in tables]
    pd.testing.assert_frame_equal(sums[0], sums[2], check_exact=True)
    pd.testing.assert_frame_equal(sums[1], sums[2], check_exact=True)
    # row areas come from edges computed from another origin: rounding of degrees, 1e-14 of 40
    assert_allclose(tables[0]["sum_area"], tables[2]["sum_area"], rtol=1e-9)


def test_lights_and_zonal_agree(store, cov):
    """Rasters and tables come from the same kernels: summing the cube gives the table."""
    cube = nc.annual_lights(store, "wu2013", merge="mean_of_lit", continuity="fixpoint", missing="drop")
    assert cube.dtype == np.float32
    table = nc.zonal(store, cov, "wu2013", merge="mean_of_lit", continuity="fixpoint", missing="drop")
    own = cov.zone == 0
    v = cube.values[:, cov.row[own], cov.column[own]].astype(float)
    # float32 rounding of the cube, averaged over many cells
    assert_allclose(np.nansum(v * cov.weight[own], axis=1), table[table.zone == "big"]["sum"], rtol=1e-7)


def test_a_window_of_lights(store):
    box_ = SMALL.part(500, 480, 30, 60).bounds
    whole, part = nc.annual_lights(store, "raw"), nc.annual_lights(store, "raw", window=box_)
    assert part.shape == (22, 30, 60)
    assert_array_equal(part, whole[:, 500:530, 480:540])
    assert len(part.chunks[0]) == 1


def test_composites_alone(store, cov):
    names, sums = composite_totals(store, cov, "raw")
    assert names == store.composites
    dn = store.read_window(0, 0, *store.grid.shape).astype(float)
    own = cov.zone == 1
    layer = np.where(dn == 255, 0, dn)[:, cov.row[own], cov.column[own]]
    weight = np.rint(cov.weight[own] * 2.0**30) / 2.0**30  # as the engine holds them
    # sums of float64 products: 1e-12 is rounding
    assert_allclose(sums[1], (layer * weight).sum(axis=1), rtol=1e-12)


def test_dark_tiles_are_not_decoded_but_checked(tmp_path, monkeypatch):
    """Four tiles, of which three are 0 in all composites; one of them has only a part of the grid."""
    from nightcore.store import Store, chunk_key
    from tests.nightcore.rasters import ngdc_name, write_raster

    grid = DMSP_GLOBAL.part(4000, 24000, 520, 700)
    dn = np.zeros(grid.shape, np.uint8)
    dn[100, 200] = 40
    for name in ("F101994", "F121994"):
        write_raster(tmp_path / ngdc_name(name), dn, grid)
    store = nc.ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    assert [store.is_dark(tile) for tile in store.tiles()] == [False, True, True, True]
    cov = nc.coverage(gpd.GeoDataFrame(geometry=[box(*grid.bounds)], crs=4326), store, rule="centre")
    decoded = []
    read = Store.read_chunk
    monkeypatch.setattr(Store, "read_chunk", lambda self, tile, out: decoded.append(tile) or read(self, tile, out))
    row = nc.zonal(store, cov, "raw").iloc[0]
    assert len(decoded) == 1
    assert (row["sum"], row["cells"], row["min"], row["max"]) == (40, 520 * 700, 0, 40)
    assert row["lit_share"] == 1 / (520 * 700)
    # rows have one area each, and 700 of them are added in another order
    assert row["area_km2"] == pytest.approx(grid.cell_area().sum() * 700, rel=1e-9)
    file = store.path / chunk_key(store.sensor, store.tiles()[3])
    packed = file.read_bytes()
    file.write_bytes(packed[:-1] + bytes([packed[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=r"tile 1,1 .*its hash differs"):
        nc.zonal(store, cov, "raw")
    file.unlink()
    with pytest.raises(IntegrityError, match=r"tile 1,1 .*is missing"):
        nc.zonal(store, cov, "raw")


def test_an_error_in_one_tile_ends_the_work(store, cov):
    seen = []

    def fail(tile):
        seen.append(tile)
        raise BadInputError("tile")

    with pytest.raises(BadInputError, match="tile"):
        list(each(fail, list(range(1000)), 2, None))
    assert len(seen) < 20


def test_results_come_in_order_and_progress_with_them():
    told = []
    found = list(each(lambda tile: tile, list(range(50)), 3, lambda done, n: told.append((done, n))))
    assert found == list(range(50))
    assert told == [(k + 1, 50) for k in range(50)]


# --- any raster stack ---------------------------------------------------------------------------------------------


@pytest.fixture
def radiance():
    """A float stack like VIIRS: small negatives, gaps as NaN."""
    rng = np.random.default_rng(2)
    values = rng.lognormal(0, 2, (3, *SMALL.shape)) - 0.4
    values[rng.random(values.shape) < 0.05] = np.nan
    coords = {"year": [2012, 2013, 2014], "y": SMALL.y, "x": SMALL.x}
    return xr.DataArray(values, dims=("year", "y", "x"), coords=coords)


def test_a_float_stack(radiance, zones):
    cov = nc.coverage(zones, radiance, id="code")
    table = nc.zonal(radiance, cov)
    assert "saturated_share" not in table
    assert table["year"].tolist() == [2012, 2013, 2014] * 3
    for place in range(2):
        own = cov.zone == place
        v = radiance.values[:, cov.row[own], cov.column[own]]
        w = cov.weight[own]
        part = table[table["zone"] == cov.ids[place]]
        assert_allclose(part["sum"], np.nansum(v * w, axis=1), rtol=1e-10)  # sums of 1e5 floats in another order
        assert_allclose(part["cells"], (w * ~np.isnan(v)).sum(axis=1), rtol=1e-10)
        assert_array_equal(part["min"], np.nanmin(v, axis=1))
        assert_array_equal(part["max"], np.nanmax(v, axis=1))


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**60])
def test_sums_do_not_depend_on_the_unit(radiance, zones, unit):
    """W/cm2/sr are 1e-9 of nW/cm2/sr: sums are as good in either, to the bit for powers of two."""
    cov = nc.coverage(zones, radiance, id="code")
    plain, scaled = nc.zonal(radiance, cov), nc.zonal(radiance * unit, cov)
    for column in ("sum", "mean", "sum_area", "mean_area", "min", "max"):
        assert_array_equal(scaled[column], plain[column] * unit)
    assert_array_equal(scaled["cells"], plain["cells"])


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
def test_a_fill_value_of_another_type_is_missing(radiance, zones, attribute):
    cov = nc.coverage(zones, radiance, id="code")
    filled = radiance.astype("float32").fillna(np.float32(-999.9))
    filled.attrs[attribute] = -999.9  # not what float32 holds
    table = nc.zonal(filled, cov)
    assert_array_equal(table["cells"], nc.zonal(radiance, cov)["cells"])
    assert table["min"].min() > -1


def test_a_zone_cut_by_the_edge_says_how_much_is_missing(store):
    _, south, east, _ = SMALL.bounds
    half = box(east - 10 * SMALL.dx, south + SMALL.dy, east + 10 * SMALL.dx, south + 9 * SMALL.dy)
    frame = gpd.GeoDataFrame(geometry=[half], crs=4326)
    cov = nc.coverage(frame, store)
    assert cov.outside == pytest.approx([80], abs=1e-6)  # degrees of a cell, in float64
    assert (
        nc.zonal(store, cov, "raw")["missing_share"].min() > 0.499
    )  # half lies beyond, and a few cells were not observed


def test_lazy_and_eager_stacks_give_the_same_bits(radiance, zones):
    cov = nc.coverage(zones, radiance, id="code")
    lazy = radiance.copy(data=dask.array.from_array(radiance.values, chunks=(1, 100, 333)))
    pd.testing.assert_frame_equal(nc.zonal(radiance, cov), nc.zonal(lazy, cov, threads=1), check_exact=True)


@pytest.mark.parametrize("fill", [None, 255, 7])
def test_bytes_and_floats_give_the_same_table(zones, fill):
    """Bytes go through the kernels of DN, floats through those of values."""
    values = np.random.default_rng(1).choice(np.r_[np.zeros(600), np.arange(256)], (3, *SMALL.shape)).astype(np.uint8)
    stack = xr.DataArray(values, dims=("layer", "y", "x"), coords={"y": SMALL.y, "x": SMALL.x})
    if fill is not None:
        stack.attrs["_FillValue"] = fill
    cov = nc.coverage(zones, stack, id="code")
    of_bytes, of_floats = nc.zonal(stack, cov), nc.zonal(stack.astype(np.float32).assign_attrs(stack.attrs), cov)
    # whole numbers below 256 are exact in both
    pd.testing.assert_frame_equal(of_bytes, of_floats, check_exact=True)
    lazy = stack.copy(data=dask.array.from_array(values, chunks=(2, 200, 300)))
    pd.testing.assert_frame_equal(of_bytes, nc.zonal(lazy, cov, threads=1), check_exact=True)


@pytest.mark.parametrize("change", ["F", "strided", "big-endian", "float16", "int16"])
def test_arrays_of_any_layout(zones, change):
    values = np.random.default_rng(1).integers(0, 200, (3, *SMALL.shape)).astype(np.float32)
    other = {
        "F": lambda: np.asfortranarray(values),
        "strided": lambda: np.repeat(values, 2, axis=2)[:, :, ::2],
        "big-endian": lambda: values.astype(">f4"),
        "float16": lambda: values.astype(np.float16),
        "int16": lambda: values.astype(np.int16),
    }[change]()
    coords = {"y": SMALL.y, "x": SMALL.x}
    plain, changed = (xr.DataArray(v, dims=("layer", "y", "x"), coords=coords) for v in (values, other))
    cov = nc.coverage(zones, plain, id="code")
    pd.testing.assert_frame_equal(nc.zonal(plain, cov), nc.zonal(changed, cov), check_exact=True)


def test_an_infinite_value_is_refused_only_under_a_zone(radiance, zones):
    cov = nc.coverage(zones, radiance, id="code")
    away = radiance.copy()
    away.values[:, 0, 0] = np.inf  # the north-west cell lies in no zone
    pd.testing.assert_frame_equal(nc.zonal(away, cov), nc.zonal(radiance, cov), check_exact=True)
    away.values[1, cov.row[0], cov.column[0]] = -np.inf
    with pytest.raises(BadInputError, match="holds inf: expected finite"):
        nc.zonal(away, cov)


def test_a_single_image_and_integers_with_a_fill(zones):
    values = np.arange(SMALL.width * SMALL.height).reshape(SMALL.shape) % 200
    image = xr.DataArray(values, dims=("y", "x"), coords={"y": SMALL.y, "x": SMALL.x}, attrs={"_FillValue": 7})
    cov = nc.coverage(zones, image, id="code", rule="centre")
    table = nc.zonal(image, cov)
    assert list(table["zone"]) == ["big", "small", "off"]
    assert "year" not in table
    own = cov.zone == 1
    seen = values[cov.row[own], cov.column[own]]
    assert table["sum"][1] == seen[seen != 7].sum()
    assert table["missing_share"][1] == pytest.approx((seen == 7).mean(), rel=1e-15)


def test_real_radiances_of_burundi(data_dir):
    """Real VIIRS radiances with small negatives: zonal sums equal exactextract's."""
    import rioxarray
    from exactextract import exact_extract

    folder = data_dir / "viirs_burundi"
    image = rioxarray.open_rasterio(folder / "ntl.tif").squeeze("band", drop=True)
    image.attrs.pop("_FillValue")  # the file's tag of 0 would make dark cells missing
    zones = gpd.read_file(folder / "aoi.geojson")
    table = nc.zonal(image, nc.coverage(zones, image, id="NAME_0"))
    bare = image.copy()
    bare.rio.write_nodata(None, inplace=True)
    peer = exact_extract(bare, zones, ["sum", "count"], output="pandas")
    assert_allclose(table["sum"], peer["sum"], rtol=1e-6)  # their weights are float32
    assert_allclose(table["cells"], peer["count"], rtol=1e-6)


# --- bad input ----------------------------------------------------------------------------------------------------


def test_bad_calls(store, cov, zones, radiance):
    with pytest.raises(UsageError, match="'raw' to use DN as they are"):
        nc.zonal(store, cov)
    with pytest.raises(UsageError, match="found a DataArray"):
        nc.zonal(radiance, cov, "raw")
    with pytest.raises(UsageError, match="missing='keep'"):
        nc.zonal(store, cov, "raw", missing="keep")
    with pytest.raises(UsageError, match="no continuity rule 'smooth': expected one of none"):
        nc.annual_lights(store, "raw", continuity="smooth")
    with pytest.raises(MissingCoefficientsError, match="F182011, F182012, F182013"):
        nc.annual_lights(store, "wu2013")
    elsewhere = nc.coverage(zones, DMSP_GLOBAL.part(4001, 24000, 620, 1100), id="code")
    with pytest.raises(BadInputError, match="make it again with"):
        nc.zonal(store, elsewhere, "raw")
    with pytest.raises(BadInputError, match="transpose"):
        nc.zonal(radiance.transpose("y", "x", "year"), cov)
