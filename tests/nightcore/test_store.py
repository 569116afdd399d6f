"""A store is plain Zarr to others, and never returns a wrong pixel to us."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_array_equal

from nightcore.errors import BadInputError, IntegrityError
from nightcore.ingest import ingest
from nightcore.store import MANIFEST, Store, StoreWriter, Tile, as_store, decode_chunk, encode_chunk, open_store
from tests.nightcore.rasters import SMALL, write_composites

NAMES = ("F101992", "F121994", "F101994")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return folder, write_composites(folder, names=NAMES)


@pytest.fixture(scope="module")
def store(written, tmp_path_factory):
    return ingest(written[0], tmp_path_factory.mktemp("stores") / "small.zarr", allow_missing=True)


@pytest.fixture
def copy(store, tmp_path):
    """A store to damage."""
    return shutil.copytree(store.path, tmp_path / "copy.zarr")


def test_composites_are_ordered_by_year_then_satellite(store):
    assert store.composites == ("F101992", "F101994", "F121994")
    assert store.years == (1992, 1994, 1994)


def test_open_store_returns_what_was_written(store, written):
    ds = open_store(store)
    assert ds.stable_lights.dtype == np.uint8
    assert ds.stable_lights.data.chunksize == (3, 512, 512)
    assert list(ds.year.values) == [1992, 1994, 1994]
    assert list(ds.satellite.values) == ["F10", "F10", "F12"]
    for name, dn in written[1].items():
        assert_array_equal(ds.stable_lights.sel(composite=name), dn)


def test_plain_xarray_reads_the_same_with_missing_as_nan(store):
    plain = xr.open_zarr(store.path)
    ours = open_store(store, masked=True)
    assert ours.stable_lights.dtype == plain.stable_lights.dtype == np.float32
    assert_array_equal(plain.stable_lights, ours.stable_lights)
    assert "WGS 84" in plain.spatial_ref.attrs["crs_wkt"]


def test_the_crs_reaches_rioxarray(store):
    import rioxarray  # noqa: F401  (registers the accessor)

    for ds in (xr.open_zarr(store.path), open_store(store)):
        assert ds.rio.crs.to_epsg() == 4326
        assert ds.stable_lights.rio.bounds() == pytest.approx(SMALL.bounds, abs=1e-9)  # 1e-9 degrees is 0.1 mm


def test_a_lazy_slice_reads_across_tiles(store, written):
    part = open_store(store).stable_lights[1, 500:530, 300:900]
    assert_array_equal(part, written[1]["F101994"][500:530, 300:900])


def test_chunks_are_zarrs_own(store):
    """What we encode zarr decodes, and the other way round."""
    import zarr

    array = zarr.open_array(store.path / "stable_lights", mode="r")
    tile = Tile(512, 512, 108, 512)
    assert_array_equal(array[:, 512:620, 512:1024], store.read(tile))
    again = zarr.create_array(
        {}, shape=array.shape, chunks=array.chunks, dtype="uint8", fill_value=255, compressors=array.compressors
    )
    again[:, 512:620, 512:1024] = store.read(tile)
    packed = again.store_path.store._store_dict["c/0/1/1"].to_bytes()
    assert_array_equal(decode_chunk(packed, 3, "uint8")[:, :108], store.read(tile))


def test_encoding_is_lossless_at_the_edge():
    block = np.arange(2 * 5 * 7, dtype=np.uint8).reshape(2, 5, 7)
    whole = decode_chunk(encode_chunk(block, 255), 2, "uint8")
    assert_array_equal(whole[:, :5, :7], block)
    assert (whole[:, 5:] == 255).all()
    assert (whole[:, :, 7:] == 255).all()


def chunk(path, row=0, column=1):
    return path / "stable_lights" / "c" / "0" / str(row) / str(column)


def delete(path):
    chunk(path).unlink()


def empty(path):
    chunk(path).write_bytes(b"")


def truncate(path):
    chunk(path).write_bytes(chunk(path).read_bytes()[:-7])


def flip(path):
    packed = bytearray(chunk(path).read_bytes())
    packed[len(packed) // 2] ^= 4
    chunk(path).write_bytes(packed)


def swap(path):
    one, other = chunk(path).read_bytes(), chunk(path, 1, 1).read_bytes()
    chunk(path).write_bytes(other)
    chunk(path, 1, 1).write_bytes(one)


@pytest.mark.parametrize("damage", [delete, empty, truncate, flip, swap])
def test_a_damaged_chunk_is_an_error_that_names_the_tile(copy, damage):
    damage(copy)
    store = Store(copy)
    assert store.read(Tile(0, 0, 512, 512)).shape == (3, 512, 512)  # others are still readable
    with pytest.raises(IntegrityError, match="tile 0,1") as error:
        store.read(Tile(0, 512, 512, 512))
    assert error.value.exit_code == 4
    with pytest.raises(IntegrityError, match="tile 0,1"):
        open_store(copy).stable_lights[:, :512].mean().compute()
    assert any("stable_lights/c/0/0/1" in line for line in store.verify())


def test_verify_finds_nothing_in_a_sound_store(store):
    assert store.verify() == []
    assert store.verify(full=False) == []


def test_edited_metadata_is_an_error(copy):
    file = copy / "stable_lights" / "zarr.json"
    file.write_text(file.read_text().replace("255", "0", 1))
    with pytest.raises(IntegrityError, match="metadata"):
        Store(copy)


def test_an_edited_manifest_is_an_error(copy):
    content = json.loads((copy / MANIFEST).read_text())
    content["grid"]["left"] += 1
    (copy / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="edited"):
        Store(copy)


def test_a_newer_format_is_refused_with_versions(copy):
    content = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(BadInputError, match="format 99"):
        Store(copy)


def test_other_folders_are_not_stores(tmp_path):
    with pytest.raises(BadInputError, match="does not exist"):
        Store(tmp_path / "nowhere")
    with pytest.raises(BadInputError, match="not a nightcore store"):
        Store(tmp_path)
    with pytest.raises(BadInputError, match="expected a store's path"):
        as_store(xr.Dataset())


def test_nothing_is_published_when_writing_fails(store, tmp_path):
    target = tmp_path / "new.zarr"

    def fail():
        with StoreWriter(target, store.sensor, store.grid, store.details) as writer:
            writer.write(Tile(0, 0, 512, 512), store.read(Tile(0, 0, 512, 512)))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_behind_is_replaced(written, tmp_path):
    (tmp_path / ".s.zarr.nightcore-partial" / "rubbish").mkdir(parents=True)
    store = ingest(written[0], tmp_path / "s.zarr", allow_missing=True)
    assert store.verify() == []
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_a_second_writer_is_refused(written, store, tmp_path):
    target = tmp_path / "s.zarr"
    with (
        StoreWriter(target, store.sensor, store.grid, store.details),
        pytest.raises(BadInputError, match=f"written by process {os.getpid()} "),
    ):
        ingest(written[0], target, allow_missing=True)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_is_taken_over(written, tmp_path):
    (tmp_path / ".s.zarr.nightcore-lock").write_text("process 1 on another machine")
    assert ingest(written[0], tmp_path / "s.zarr", allow_missing=True).verify() == []
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_a_killed_ingest_publishes_nothing_and_the_same_command_works(written, tmp_path):
    """kill -9 at a random moment, six times; then the command runs through and the bytes are those of a calm run."""
    target = tmp_path / "s.zarr"
    command = [sys.executable, "-m", "nightcore.cli", "ingest", str(written[0]), str(target), "--allow-missing"]
    rng = np.random.default_rng(0)
    for wait in rng.uniform(0.3, 1.6, 6):
        running = subprocess.Popen([*command, "--overwrite"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(wait)
        running.kill()
        running.wait()
        if target.exists():
            assert Store(target).verify() == []
    subprocess.run([*command, "--overwrite"], check=True, capture_output=True)
    assert Store(target).manifest == ingest(written[0], tmp_path / "calm.zarr", allow_missing=True).manifest


def test_a_kill_between_the_two_renames_is_mended(store, written, tmp_path):
    target = tmp_path / "s.zarr"
    shutil.copytree(store.path, tmp_path / ".s.zarr.nightcore-replaced")
    with pytest.raises(BadInputError, match="finished store already"):
        ingest(written[0], target, allow_missing=True)
    assert Store(target).verify() == []  # the old store is back under its name


def test_folders_of_other_people_are_left_alone(written, tmp_path):
    target = tmp_path / "s.zarr"
    for name in ("s.zarr.old", "s.zarr.partial", "s.zarr.lock"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").touch()
    for _ in range(2):
        ingest(written[0], target, allow_missing=True, overwrite=True)
    assert len(list(tmp_path.glob("*/precious"))) == 3


INDEXERS = (
    {"y": slice(None, None, 4), "x": slice(None, None, 3)},
    {"y": 7, "x": 513},
    {"y": [5, 600, 511], "composite": [2, 0]},
    {"y": slice(510, 515), "x": slice(None, 400, -1)},
    {"composite": 1, "y": slice(3, None, 100)},
)


@pytest.mark.parametrize("indexer", INDEXERS)
def test_every_kind_of_index_reads_the_right_pixels(store, indexer):
    lazy = open_store(store).stable_lights
    whole = lazy.copy(data=store.read_window(0, 0, *store.grid.shape))
    assert_array_equal(lazy.isel(indexer), whole.isel(indexer))
    assert lazy.isel(indexer).mean().compute() == whole.isel(indexer).mean()


def test_a_changed_dataset_is_not_taken_for_its_store(store):
    ds = open_store(store)
    assert as_store(ds).path == store.path
    assert as_store(open_store(store, masked=True)).path == store.path
    for changed in (ds * 0, ds.isel(y=slice(0, 50)), ds.isel(composite=slice(0, 2)), ds.drop_vars("stable_lights")):
        changed.encoding = ds.encoding
        with pytest.raises(BadInputError, match="changed or cut after open_store"):
            as_store(changed)


def test_the_same_sources_give_the_same_bytes(written, store, tmp_path):
    again = ingest(written[0], tmp_path / "again.zarr", allow_missing=True, threads=1)
    assert again.manifest == store.manifest
