"""Names, forms and grids that are understood; everything else is one sentence."""

import csv
import gzip
import io
import tarfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from nightcore.errors import BadInputError, IntegrityError, MissingCompositesError, UsageError
from nightcore.grid import Grid
from nightcore.ingest import check_values, ingest
from nightcore.sensors import DMSP_OLS
from tests.nightcore.rasters import SMALL, ngdc_name, random_dn, write_composites, write_raster

TINY = SMALL.part(0, 0, 40, 60)


@pytest.fixture
def dn():
    return random_dn(np.random.default_rng(3), TINY.shape)


def only(store):
    """The single composite of a store."""
    return store.read(store.tiles()[0])[0]


# --- names --------------------------------------------------------------------------------------------------------


def test_every_name_seen_in_the_wild(data_dir):
    """products_34.csv lists the 34 products with every form of file name seen."""
    with (data_dir / "coefficients" / "products_34.csv").open() as file:
        products = list(csv.DictReader(file))
    assert [row["satellite"] + row["year"] for row in products] == list(DMSP_OLS.composites)
    expected = {
        "stable_lights": "stable_lights",
        "eog_rearranged_name": "stable_lights",
        "avg_vis": "avg_vis",
        "cf_cvg": "cf_cvg",
        "ngdc_tar": "archive",
        "avg_lights_x_pct_tgz": "avg_lights_x_pct",
    }
    for row in products:
        for column, product in expected.items():
            told = DMSP_OLS.identify(row[column])
            assert (told.satellite, str(told.year), told.product) == (row["satellite"], row["year"], product)


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("F101992_stable_lights.tif", "stable_lights"),
        ("F121998.v4b_web.stable_lights.tif", "stable_lights"),
        ("F101992.v4b.global.stable_lights.avg_vis.tif.gz", "stable_lights"),
        ("F101992.v4b.global.intercal.stable_lights.avg_vis.tif", "intercalibrated"),
        ("F101992.v4b.intercal.stable_lights.avg_vis.tif", "intercalibrated"),
        ("F182013.v4c.avg_lights_x_pct.tif", "avg_lights_x_pct"),
        ("F101992.v4b.global.avg_vis.tif", "avg_vis"),
    ],
)
def test_other_names(name, product):
    assert DMSP_OLS.identify(name).product == product


@pytest.mark.parametrize("name", ["lights_1992.tif", "VNL_v21_npp_2013_global.tif", "F1019.tif", "readme.txt"])
def test_names_that_say_nothing(name):
    assert DMSP_OLS.identify(name) is None


# --- forms --------------------------------------------------------------------------------------------------------


def test_tif_gz_tar_tgz_and_catalogue_give_the_same_pixels(tmp_path, dn):
    name = ngdc_name("F101992")
    plain = write_raster(tmp_path / name, dn, TINY)
    (tmp_path / "gz").mkdir()
    zipped = write_raster(tmp_path / "gz" / f"{name}.gz", dn, TINY)
    with tarfile.open(tmp_path / "F101992.v4.tar", "w") as tar:
        tar.add(zipped, "F101992.v4/" + zipped.name)
        tar.add(write_raster(tmp_path / ngdc_name("F101992", "cf_cvg"), dn // 2, TINY), ngdc_name("F101992", "cf_cvg"))
        tar.addfile(tarfile.TarInfo("../../evil.tif"), io.BytesIO())
    with tarfile.open(tmp_path / "F101992.tgz", "w:gz") as tar:
        tar.add(plain, plain.name)
    write_raster(tmp_path / "odd name.tif", dn, TINY)
    (tmp_path / "catalogue.csv").write_text("path,satellite,year\nodd name.tif,F10,1992\n")
    stores = [
        ingest(source, tmp_path / f"{i}.zarr", allow_missing=True)
        for i, source in enumerate([plain, zipped, tmp_path / "F101992.v4.tar", tmp_path / "F101992.tgz"])
    ]
    stores.append(ingest([], tmp_path / "c.zarr", catalog=tmp_path / "catalogue.csv", allow_missing=True))
    for store in stores:
        assert_array_equal(only(store), dn)
    assert stores[2].details[0].source == f"F101992.v4.tar!F101992.v4/{zipped.name}"


def test_a_folder_of_34(tmp_path):
    said = []
    written = write_composites(tmp_path / "in", TINY)
    write_raster(tmp_path / "in" / ngdc_name("F101992", "cf_cvg"), written["F101992"], TINY)
    store = ingest(tmp_path / "in", tmp_path / "s.zarr", say=said.append)
    assert set(store.composites) == set(DMSP_OLS.composites)
    for place, name in enumerate(store.composites):
        assert_array_equal(store.read(store.tiles()[0])[place], written[name])
    assert said == [
        f"passed over 1 files in {tmp_path / 'in'} that are not stable_lights: " + ngdc_name("F101992", "cf_cvg")
    ]


def test_float_files_with_whole_numbers_are_accepted(tmp_path, dn):
    """The Greek and Sao Tome files hold DN as floats, with a nodata tag no observation can have."""
    values = np.where(dn == 255, -1.7e308, dn.astype(float))
    write_raster(tmp_path / ngdc_name("F101992"), values, TINY, nodata=-1.7e308)
    assert_array_equal(only(ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)), dn)


def test_a_nodata_tag_of_zero_does_not_make_darkness_missing(tmp_path, dn):
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY, nodata=0)
    assert_array_equal(only(ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)), dn)


def test_a_box_keeps_the_cells_that_touch_it(tmp_path, dn):
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY)
    box = TINY.part(5, 7, 20, 30).bounds
    store = ingest(tmp_path, tmp_path / "s.zarr", bbox=box, allow_missing=True)
    assert store.grid.shape == (20, 30)
    assert_array_equal(only(store), dn[5:25, 7:37])


# --- grids --------------------------------------------------------------------------------------------------------


def shifted(grid, columns, rows):
    return Grid(grid.left + columns * grid.dx, grid.top - rows * grid.dy, grid.dx, grid.dy, grid.width, grid.height)


def test_a_shift_by_half_a_cell_is_snapped_kept_and_said(tmp_path, dn):
    said = []
    for name in ("F101992", "F101993"):
        write_raster(tmp_path / ngdc_name(name), dn, TINY)
    write_raster(tmp_path / ngdc_name("F182010"), dn, shifted(TINY, 0.5, 0.5))
    store = ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True, say=said.append)
    assert (store.details[2].dx, store.details[2].dy) == (0.5, 0.5)
    assert_array_equal(store.read(store.tiles()[0])[2], dn)
    assert any("F182010 lies +0.5 cells east and +0.5 cells south" in sentence for sentence in said)


def test_a_whole_cell_is_aligned_exactly_and_the_rim_is_missing(tmp_path, dn):
    for name in ("F101992", "F101993"):
        write_raster(tmp_path / ngdc_name(name), dn, TINY)
    write_raster(tmp_path / ngdc_name("F182010"), dn, shifted(TINY, 1, -2))
    store = ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    aligned = store.read(store.tiles()[0])[2]
    assert (store.details[2].dx, store.details[2].dy) == (0, 0)
    assert_array_equal(aligned[:-2, 1:], dn[2:, :-1])
    assert (aligned[-2:] == 255).all()
    assert (aligned[:, 0] == 255).all()


@pytest.mark.parametrize("shift", [(0.5, 0.5), (-0.5, 0.5), (1.4, -0.3)])
def test_a_box_holds_the_same_pixels_as_the_whole(tmp_path, dn, shift):
    for name in ("F101992", "F101993"):
        write_raster(tmp_path / ngdc_name(name), dn, TINY)
    write_raster(tmp_path / ngdc_name("F182010"), dn, shifted(TINY, *shift))
    whole = ingest(tmp_path, tmp_path / "whole.zarr", allow_missing=True)
    part = ingest(tmp_path, tmp_path / "part.zarr", bbox=TINY.part(5, 7, 20, 30).bounds, allow_missing=True)
    assert_array_equal(part.read_window(0, 0, 20, 30), whole.read_window(5, 7, 20, 30))
    assert [(c.dx, c.dy) for c in part.details] == [(c.dx, c.dy) for c in whole.details]


def test_rounding_in_headers_does_not_outvote_a_grid(tmp_path, dn):
    """Three files that differ in the seventh digit of a cell are one grid; two shifted ones do not win."""
    for place, name in enumerate(("F101992", "F101993", "F101994")):
        write_raster(tmp_path / ngdc_name(name), dn, shifted(TINY, place * 1e-7, 0))
    for name in ("F182010", "F182011"):
        write_raster(tmp_path / ngdc_name(name), dn, shifted(TINY, 0.5, 0.5))
    store = ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    assert {c.name for c in store.details if c.dx} == {"F182010", "F182011"}


def test_a_composite_of_another_place_is_refused(tmp_path, dn):
    for name in ("F101992", "F101993"):
        write_raster(tmp_path / ngdc_name(name), dn, TINY)
    write_raster(tmp_path / ngdc_name("F182010"), dn, shifted(TINY, 30, 0))
    with pytest.raises(BadInputError, match=r"F182010.*does not cover.*--bbox"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        (TINY, {"crs": "EPSG:3857"}, "EPSG:3857"),
        (TINY, {"crs": None}, "no coordinate system"),
        (Grid(10, 50, 1 / 240, 1 / 240, 60, 40), {}, "0.004166"),
        (Grid(-200, 50, 0.0083333333, 0.0083333333, 60, 40), {}, "reaches beyond"),
    ],
)
def test_other_grids_are_refused(tmp_path, dn, grid, options, message):
    write_raster(tmp_path / ngdc_name("F101992"), dn, grid, **options)
    with pytest.raises(BadInputError, match=message):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


# --- what is refused ----------------------------------------------------------------------------------------------


def test_33_of_34(tmp_path):
    write_composites(tmp_path, TINY, names=tuple(n for n in DMSP_OLS.composites if n != "F152003"))
    with pytest.raises(MissingCompositesError, match=r"1 of the 34 .* absent: F152003; .*--allow-missing") as error:
        ingest(tmp_path, tmp_path / "s.zarr")
    assert error.value.exit_code == 3
    assert not (tmp_path / "s.zarr").exists()


def test_a_file_of_another_product_by_its_name(tmp_path, dn):
    path = write_raster(tmp_path / ngdc_name("F101992", "cf_cvg"), dn, TINY)
    with pytest.raises(BadInputError, match="is a cf_cvg file of F101992, not stable_lights"):
        ingest(path, tmp_path / "s.zarr")


def test_a_file_of_another_product_by_its_values(tmp_path, dn):
    dn[3, 4:8] = 90
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY)
    with pytest.raises(BadInputError, match=r"4 above range.*cf_cvg"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


def test_counts_are_of_the_whole_file(tmp_path):
    values = random_dn(np.random.default_rng(0), SMALL.shape).astype(np.float32)
    values[0, :5] = 7.5
    values[600, :2] = -1
    values[610, 0] = np.nan
    write_raster(tmp_path / ngdc_name("F101992"), values, SMALL)
    with pytest.raises(BadInputError, match="2 below range, 1 not a number, 5 not whole"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


def test_nan_is_missing_only_when_the_file_says_so():
    values = np.array([[1.0, np.nan]])
    assert check_values(values, None, DMSP_OLS)[1] == {"not a number": 1}
    checked, problems = check_values(values, float("nan"), DMSP_OLS)
    assert (checked.tolist(), problems) == ([[1, 255]], {})


@pytest.mark.parametrize("keep", [0.3, 0.97])
def test_a_truncated_gz(tmp_path, dn, keep):
    path = write_raster(tmp_path / (ngdc_name("F101992") + ".gz"), dn, TINY)
    packed = path.read_bytes()
    path.write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(IntegrityError, match=r"F101992.*truncated or damaged.*get the file again") as error:
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    assert error.value.exit_code == 4
    assert not (tmp_path / "s.zarr").exists()


def test_a_truncated_tif(tmp_path):
    path = write_raster(tmp_path / ngdc_name("F101992"), random_dn(np.random.default_rng(0), SMALL.shape), SMALL)
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(IntegrityError, match="F101992"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


def test_a_truncated_tar(tmp_path, dn):
    with tarfile.open(tmp_path / "F101992.v4.tar", "w") as tar:
        tar.add(write_raster(tmp_path / ngdc_name("F101992"), dn, TINY), ngdc_name("F101992"))
    packed = (tmp_path / "F101992.v4.tar").read_bytes()
    (tmp_path / "F101992.v4.tar").write_bytes(packed[:900])
    with pytest.raises(IntegrityError, match=r"truncated or damaged|cannot be read to its end"):
        ingest(tmp_path / "F101992.v4.tar", tmp_path / "s.zarr", allow_missing=True)


def test_a_gzip_bomb(tmp_path):
    small = DMSP_OLS.__class__(**(vars(DMSP_OLS) | {"grid": TINY}))
    path = tmp_path / (ngdc_name("F101992") + ".gz")
    path.write_bytes(gzip.compress(bytes(2**22)))
    with pytest.raises(BadInputError, match="no composite is that large"):
        ingest(path, tmp_path / "s.zarr", allow_missing=True, sensor=small)


def test_text_under_a_raster_name(tmp_path):
    (tmp_path / ngdc_name("F101992")).write_text("<html>login</html>")
    with pytest.raises(IntegrityError, match="cannot be opened as a GeoTIFF"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


def test_the_same_composite_twice(tmp_path, dn):
    (tmp_path / "a").mkdir()
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY)
    write_raster(tmp_path / "a" / (ngdc_name("F101992") + ".gz"), dn, TINY)
    assert_array_equal(only(ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)), dn)
    dn[0, 0] = 5 if dn[0, 0] != 5 else 6
    write_raster(tmp_path / "a" / (ngdc_name("F101992") + ".gz"), dn, TINY)
    with pytest.raises(BadInputError, match="F101992 is there twice with different content"):
        ingest(tmp_path, tmp_path / "t.zarr", allow_missing=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,satellite,year\na.tif,F10,1992\n", "no column path"),
        ("path,satellite,year\na.tif,F10,92b\n", "line 2"),
        ("path,satellite,year\nabsent.tif,F10,1992\n", "does not exist"),
        ("satellite,year,path\nF10,1992\n", "line 2"),
        ("path,satellite,year\na.tif,F10,199²\n", "line 2"),
        ("path,satellite,year\na.tif,F10,92\n", "line 2"),
        ("path,satellite,year\na.tif,../F10,1992\n", "line 2"),
        ("", "no rows"),
    ],
)
def test_a_bad_catalogue(tmp_path, text, message):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(BadInputError, match=message):
        ingest([], tmp_path / "s.zarr", catalog=tmp_path / "c.csv")


def test_a_catalogue_that_names_one_file_twice(tmp_path, dn):
    write_raster(tmp_path / "a.tif", dn, TINY)
    (tmp_path / "c.csv").write_text("path,satellite,year\na.tif,F10,1992\na.tif,F12,1994\n")
    with pytest.raises(BadInputError, match=r"line 3 of the catalogue .* names .*a\.tif again"):
        ingest([], tmp_path / "s.zarr", catalog=tmp_path / "c.csv", allow_missing=True)


def test_a_catalogue_that_expects_another_composite_of_an_archive(tmp_path, dn):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(write_raster(tmp_path / ngdc_name("F101993"), dn, TINY), ngdc_name("F101993"))
    (tmp_path / "c.csv").write_text("path,satellite,year\nx.tar,F12,1994\n")
    with pytest.raises(BadInputError, match="holds no F121994"):
        ingest([], tmp_path / "s.zarr", catalog=tmp_path / "c.csv", allow_missing=True)


def test_somebodys_archive_in_the_folder_is_passed_over(tmp_path, dn):
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY)
    (tmp_path / "notes.tar.gz").write_bytes(b"not a tar")
    said = []
    ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True, say=said.append)
    assert any("notes.tar.gz" in sentence for sentence in said)


def test_a_truncated_copy_beside_a_good_one(tmp_path):
    dn = random_dn(np.random.default_rng(0), SMALL.shape)
    path = write_raster(tmp_path / ngdc_name("F101992"), dn, SMALL)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ngdc_name("F101992")).write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IntegrityError, match="F101992"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)


def test_a_finished_store_is_not_overwritten_unasked(tmp_path, dn):
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY)
    ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    with pytest.raises(BadInputError, match="--overwrite"):
        ingest(tmp_path, tmp_path / "s.zarr", allow_missing=True)
    (tmp_path / "other").mkdir()
    with pytest.raises(BadInputError, match="not a nightcore store"):
        ingest(tmp_path, tmp_path / "other", allow_missing=True, overwrite=True)


def test_bad_calls(tmp_path, dn):
    write_raster(tmp_path / ngdc_name("F101992"), dn, TINY)
    with pytest.raises(UsageError, match="west < east"):
        ingest(tmp_path, tmp_path / "s.zarr", bbox=(3, 1, 2, 2), allow_missing=True)
    with pytest.raises(UsageError, match="finite"):
        ingest(tmp_path, tmp_path / "s.zarr", bbox=(3, 1, float("inf"), 2), allow_missing=True)
    with pytest.raises(UsageError, match="threads"):
        ingest(tmp_path, tmp_path / "s.zarr", threads=-1, allow_missing=True)
    with pytest.raises(BadInputError, match="does not exist"):
        ingest(tmp_path / "nowhere", tmp_path / "s.zarr")
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInputError, match="no stable_lights composite found"):
        ingest(tmp_path / "none", tmp_path / "s.zarr")
