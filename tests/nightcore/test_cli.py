"""Commands: results on stdout, one sentence on stderr for what is wrong, exit codes of docs/exit-codes.md."""

import gzip
import json
import subprocess
import sys

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import Polygon, box

from nightcore.cli import main
from nightcore.grid import DMSP_GLOBAL
from nightcore.sensors import DMSP_OLS
from tests.nightcore.rasters import ngdc_name, write_composites, write_raster

GRID = DMSP_GLOBAL.part(4000, 24000, 30, 40)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    write_composites(folder, GRID)
    return folder


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    path = tmp_path_factory.mktemp("zones") / "zones.gpkg"
    shapes = [box(*GRID.part(row, 5, 10, 20).bounds) for row in (2, 14)]
    gpd.GeoDataFrame({"code": ["a", "b"], "province": ["Ash", "Ash"]}, geometry=shapes, crs=4326).to_file(path)
    return path


@pytest.fixture(scope="module")
def store(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    assert main(["ingest", str(sources), str(path)]) == 0
    return path


def run(capsys, *arguments):
    """(exit code, stdout, stderr) of a command."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def refused(capsys, code, *arguments):
    """stderr of a command that has to end with `code` and one sentence."""
    found, out, err = run(capsys, *arguments)
    assert found == code
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert lines[-1].startswith("nightcore: ")
    assert "Traceback" not in err
    return lines[-1]


# --- what works ---------------------------------------------------------------------------------------------------


def test_info_and_verify(capsys, store):
    code, out, _ = run(capsys, "info", store)
    assert code == 0
    assert all(name in out for name in DMSP_OLS.composites)
    code, out, _ = run(capsys, "info", store, "--json")
    assert len(json.loads(out)["composites"]) == 34
    assert run(capsys, "verify", store)[0] == 0
    assert run(capsys, "verify", store, "--fast")[0] == 0


def test_zonal_to_csv_and_parquet_are_the_same_table(capsys, store, zones, tmp_path):
    for name in ("city.csv", "city.parquet"):
        arguments = ["zonal", store, "--zones", zones, "--id", "code", "--keep", "province"]
        code, out, err = run(capsys, *arguments, "--calibration", "elvidge2014", "--out", tmp_path / name)
        assert (code, err) == (0, "")
        assert "2 zones x 22 years (1992-2013)" in out
    csv, parquet = pd.read_csv(tmp_path / "city.csv"), pd.read_parquet(tmp_path / "city.parquet")
    pd.testing.assert_frame_equal(csv, parquet, check_exact=True, check_dtype=False)
    provenance = json.loads((tmp_path / "city.csv.provenance.json").read_text())
    assert provenance["calibration"]["name"] == "elvidge2014"
    import pyarrow.parquet as pq

    assert json.loads(pq.read_schema(tmp_path / "city.parquet").metadata[b"nightcore"]) == provenance


def test_zonal_prints_csv(capsys, store, zones):
    code, out, _ = run(capsys, "zonal", store, "--zones", zones, "--id", "code", "--calibration", "raw")
    assert code == 0
    assert out.splitlines()[0].startswith("zone,year,sum,cells,mean")
    assert len(out.splitlines()) == 1 + 44


def test_dropped_composites_are_said(capsys, store, zones):
    arguments = ["zonal", store, "--zones", zones, "--calibration", "wu2013"]
    code, _, err = run(capsys, *arguments, "--missing", "drop")
    assert code == 0
    assert "left out, because wu2013 has no coefficients for them: F182011, F182012, F182013" in err


def test_compare_and_methods(capsys, store, zones):
    code, out, _ = run(capsys, "compare", store, "--zones", zones, "--methods", "raw", "elvidge2014", "--json")
    assert code == 0
    assert [row["pairs"] for row in json.loads(out)] == [12, 12]
    code, out, _ = run(capsys, "methods")
    assert code == 0
    assert "elvidge2014" in out
    assert "doi" in out


def test_lights_as_zarr_and_as_tif(capsys, store, tmp_path):
    import rasterio
    import xarray as xr

    arguments = ["lights", store, "--calibration", "elvidge2014", "--out"]
    assert run(capsys, *arguments, tmp_path / "a.zarr")[0] == 0
    assert run(capsys, *arguments, tmp_path / "tifs")[0] == 0
    cube = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
    assert cube.lights.dims == ("year", "y", "x")
    with rasterio.open(tmp_path / "tifs" / "lights_1999.tif") as file:
        xr.testing.assert_equal(
            cube.lights.sel(year=1999).drop_vars(["year", "spatial_ref"]).reset_coords(drop=True).compute(),
            xr.DataArray(file.read(1), dims=("y", "x"), coords={"y": cube.y, "x": cube.x}),
        )
        assert file.crs.to_epsg() == 4326


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "ingest", "info", "verify", "methods", "calibrate", "lights"),
        *("coverage", "nesting", "zonal", "compare"),
    ],
)
def test_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"example: nightcore {command}" in " ".join(capsys.readouterr().out.split())


def test_a_box_west_of_greenwich(capsys, tmp_path):
    """argparse alone would take -74.3,... for an option."""
    grid = DMSP_GLOBAL.part(4000, 12690, 30, 40)
    write_composites(tmp_path / "in", grid)
    west, south, east, north = grid.part(5, 6, 10, 20).bounds
    arguments = ["ingest", tmp_path / "in", tmp_path / "s.zarr", "--bbox", f"{west},{south},{east},{north}"]
    assert run(capsys, *arguments)[0] == 0
    assert "20 x 10 cells" in run(capsys, "info", tmp_path / "s.zarr")[1]


@pytest.mark.parametrize("box", ["24,38,23,39", "nan,38,24,39", "1,2,3", "a,b,c,d"])
def test_boxes_that_are_none(capsys, store, tmp_path, box):
    arguments = ["lights", store, "--calibration", "raw", "--out", tmp_path / "x.zarr", "--bbox", box]
    assert "expected west,south,east,north" in refused(capsys, 2, *arguments)


def test_lights_appear_whole_or_not_at_all(capsys, monkeypatch, store, tmp_path):
    import nightcore.lights  # noqa: F401

    lights = __import__("sys").modules["nightcore.lights"]

    def stop(*_, **__):
        raise KeyboardInterrupt

    for target, writer in ((tmp_path / "tifs", "write_geotiffs"), (tmp_path / "x.zarr", "write_cube")):
        arguments = ["lights", store, "--calibration", "raw", "--out", target]
        with monkeypatch.context() as patch:
            real = getattr(lights, writer)
            patch.setattr(lights, writer, lambda cube, path, real=real: (real(cube, path), stop()))
            assert run(capsys, *arguments)[0] == 7
        assert list(tmp_path.glob(".*")) == []
        assert not target.exists()
        assert run(capsys, *arguments)[0] == 0  # the same command works
        assert target.exists()


def test_zones_that_the_grid_cuts_are_said(capsys, store, tmp_path):
    west, south, east, north = GRID.bounds
    path = tmp_path / "z.gpkg"
    gpd.GeoDataFrame({"code": ["x"]}, geometry=[box(west - 1, south, east, north)], crs=4326).to_file(path)
    code, _, err = run(capsys, "zonal", store, "--zones", path, "--id", "code", "--calibration", "raw")
    assert code == 0
    assert "cuts 1 zones (x)" in err


def test_zonal_of_a_saved_coverage(capsys, store, zones, tmp_path):
    saved, options = tmp_path / "cov.npz", ["--id", "code", "--keep", "province"]
    code, out, err = run(capsys, "coverage", zones, store, *options, "--out", saved)
    assert (code, err) == (0, "")
    assert "2 zones by rule exact, 400 whole cells" in out
    before = saved.read_bytes()
    code, out, _ = run(capsys, "coverage", zones, store, *options, "--out", saved, "--json")
    result = json.loads(out)
    assert (code, result["zones"], result["rule"], result["empty"]) == (0, 2, "exact", {})
    assert saved.read_bytes() == before
    direct = run(capsys, "zonal", store, "--zones", zones, *options, "--calibration", "raw")
    assert run(capsys, "zonal", store, "--zones", saved, "--calibration", "raw") == direct
    assert direct[0] == 0
    compared = ["compare", store, "--methods", "raw", "--zones"]
    assert run(capsys, *compared, saved) == run(capsys, *compared, zones)


def test_coverages_that_are_refused(capsys, store, zones, tmp_path):
    saved = tmp_path / "cov.npz"
    arguments = ["coverage", zones, store, "--out", saved]
    assert "kept in .npz" in refused(capsys, 2, *arguments[:-1], tmp_path / "cov.csv")
    assert "expected one of exact, centre" in refused(capsys, 2, *arguments, "--rule", "all")
    assert run(capsys, *arguments)[0] == 0
    assert "made for other rule: pass" in refused(capsys, 3, *arguments, "--rule", "centre")
    assert run(capsys, *arguments, "--rule", "centre", "--refresh")[0] == 0
    zonal = ["zonal", store, "--calibration", "raw", "--zones", saved]
    assert "give --id and --keep to `nightcore coverage`" in refused(capsys, 2, *zonal, "--id", "code", "--keep", "a")
    saved.write_bytes(b"nothing")
    assert "cannot be read as a coverage" in refused(capsys, 4, *zonal)
    saved.unlink()
    assert "does not exist: make it" in refused(capsys, 3, *zonal)


def test_zones_are_repaired_on_request(capsys, store, tmp_path):
    west, south, east, north = GRID.bounds
    bow = Polygon([(west, south), (east, north), (east, south), (west, north)])
    path = tmp_path / "z.gpkg"
    gpd.GeoDataFrame({"code": ["bow"]}, geometry=[bow], crs=4326).to_file(path)
    arguments = ["coverage", path, store, "--id", "code", "--out", tmp_path / "cov.npz"]
    assert "zone bow" in refused(capsys, 3, *arguments)
    code, out, err = run(capsys, *arguments, "--make-valid")
    assert code == 0
    assert "1 zones" in out
    assert "nightcore: zone bow was repaired: +" in err


def test_nesting(capsys, store, zones, tmp_path):
    boxes = [box(*GRID.part(row, 5, 10, 20).bounds) for row in (2, 14)]
    for name, shape in (("clean", boxes[0].union(boxes[1])), ("gap", box(*GRID.part(2, 5, 22, 20).bounds))):
        path = tmp_path / f"{name}.gpkg"
        gpd.GeoDataFrame({"province": ["Ash"]}, geometry=[shape], crs=4326).to_file(path)
        arguments = [path, store, "--id", "province", "--out", path.with_suffix(".npz")]
        assert run(capsys, "coverage", *arguments)[0] == 0
    children = tmp_path / "cities.npz"
    assert run(capsys, "coverage", zones, store, "--id", "code", "--keep", "province", "--out", children)[0] == 0
    code, out, err = run(capsys, "nesting", children, tmp_path / "clean.npz", "--parent", "province", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert (row["parent"], row["children"]) == ("Ash", 2)
    assert (row["overlap_km2"], row["gap_km2"], row["worst"], row["x"], row["y"]) == (0, 0, 0, None, None)
    code, out, err = run(capsys, "nesting", children, tmp_path / "gap.npz", "--parent", "province")
    assert code == 3
    assert "gap_km2" in out
    assert "1 of 1 parents are not the sum of their children, by up to 1 of a cell" in err
    polygons = ["nesting", zones, tmp_path / "gap.gpkg", "--parent", "province", "--id", "code"]
    assert run(capsys, *polygons, "--grid", store, "--tolerance", "1.5")[0] == 0
    assert "with --grid" in refused(capsys, 2, *polygons)
    assert "carry no column 'land'" in refused(capsys, 2, "nesting", children, children, "--parent", "land")


def test_calibrate_checks_its_output_first(capsys, store, zones, tmp_path):
    arguments = ["calibrate", store, "--region", zones, "--reference", tmp_path / "absent.tif", "--out"]
    assert "does not exist" in refused(capsys, 3, *arguments, tmp_path / "nowhere" / "c.csv")
    assert "written as .csv" in refused(capsys, 2, *arguments, tmp_path / "c.parquet")
    assert "absent.tif" in refused(capsys, 3, *arguments, tmp_path / "c.csv")


def test_the_installed_command(store):
    done = subprocess.run(
        [sys.executable, "-m", "nightcore.cli", "info", store], capture_output=True, text=True, check=True
    )
    assert "34" in done.stdout


# --- what a user gets wrong ---------------------------------------------------------------------------------------


def test_33_of_34(capsys, tmp_path):
    write_composites(tmp_path, GRID, names=DMSP_OLS.composites[:-1])
    message = refused(capsys, 3, "ingest", tmp_path, tmp_path / "s.zarr")
    assert "1 of the 34 composites of DMSP-OLS are absent: F182013" in message


def test_a_cf_cvg_file(capsys, tmp_path, sources):
    path = write_raster(tmp_path / ngdc_name("F101992", "cf_cvg"), *one_raster(sources))
    assert "cf_cvg file of F101992" in refused(capsys, 3, "ingest", path, tmp_path / "s.zarr")


def one_raster(sources):
    import rasterio

    with rasterio.open(sources / ngdc_name("F101992")) as file:
        return file.read(1), GRID


def test_a_truncated_gz(capsys, tmp_path, sources):
    packed = gzip.compress((sources / ngdc_name("F101992")).read_bytes())
    (tmp_path / (ngdc_name("F101992") + ".gz")).write_bytes(packed[:200])
    message = refused(capsys, 4, "ingest", tmp_path, tmp_path / "s.zarr", "--allow-missing")
    assert "F101992" in message
    assert "truncated or damaged" in message


def test_polygons_in_another_crs(capsys, tmp_path, store, zones):
    other = tmp_path / "metres.gpkg"
    gpd.read_file(zones).to_crs(3857).to_file(other)
    arguments = ["zonal", store, "--zones", other, "--calibration", "raw"]
    assert "EPSG:3857" in refused(capsys, 3, *arguments)
    assert run(capsys, *arguments, "--reproject")[0] == 0


def test_a_column_that_is_not_there(capsys, store, zones):
    arguments = ["zonal", store, "--zones", zones, "--id", "code", "--keep", "provinz", "--calibration", "raw"]
    assert "no column 'provinz': found code, province; did you mean 'province'" in refused(capsys, 3, *arguments)


def test_an_unknown_method_and_rule(capsys, store, zones):
    assert "elvidge2014" in refused(capsys, 2, "zonal", store, "--zones", zones, "--calibration", "elvidge2015")
    message = refused(capsys, 2, "zonal", store, "--zones", zones, "--calibration", "raw", "--merge", "average")
    assert "expected one of mean" in message


def test_a_damaged_store(capsys, tmp_path, sources, zones):
    path = tmp_path / "s.zarr"
    assert run(capsys, "ingest", sources, path)[0] == 0
    (path / "stable_lights/c/0/0/0").write_bytes(b"")
    assert "tile 0,0" in refused(capsys, 4, "zonal", path, "--zones", zones, "--calibration", "raw")
    code, out, err = run(capsys, "verify", path)
    assert code == 4
    assert "stable_lights/c/0/0/0: 0 bytes instead of" in out
    assert "1 of" in err


def test_no_store_and_no_sources(capsys, tmp_path, zones):
    assert "does not exist" in refused(capsys, 3, "info", tmp_path / "none.zarr")
    assert "expected sources" in refused(capsys, 2, "ingest", tmp_path / "only.zarr")
    assert "does not exist" in refused(capsys, 3, "ingest", tmp_path / "nothing", tmp_path / "s.zarr")


def test_the_demo_leaves_other_folders_alone(capsys, tmp_path):
    (tmp_path / "mine").write_text("precious")
    assert "not written by this demo" in refused(capsys, 3, "demo", "--out", tmp_path)
    assert "expected 0 or more" in refused(capsys, 2, "demo", "--out", tmp_path / "d", "--seed", "-1")
    assert "threads is -1" in refused(capsys, 2, "ingest", tmp_path, tmp_path / "s.zarr", "--threads", "-1")
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_folder_that_cannot_be_written(capsys, store, zones, tmp_path):
    arguments = ["zonal", store, "--zones", zones, "--calibration", "raw"]
    assert "absent of city.csv does not exist" in refused(
        capsys, 3, *arguments, "--out", tmp_path / "absent" / "city.csv"
    )
    assert "written as .csv or .parquet" in refused(capsys, 2, *arguments, "--out", tmp_path / "city.xls")


def test_usage_errors_are_2():
    with pytest.raises(SystemExit) as stop:
        main(["zonal"])
    assert stop.value.code == 2
