"""Coverages in files: what comes back is what went in, and never something else's."""

import json
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from shapely.geometry import box

from nightcore.coverage_file import EDGES, RUNS, load_coverage
from nightcore.errors import BadInputError, IntegrityError, UsageError
from nightcore.grid import DMSP_GLOBAL
from nightcore.zones import Coverage, coverage

GRID = DMSP_GLOBAL.part(4000, 24000, 40, 60)


def cells(row, column, height, width, shift=0.3):
    part = GRID.part(row, column, height, width)
    west, south, east, north = part.bounds
    return box(west + shift * GRID.dx, south, east + shift * GRID.dx, north)


def frame(**columns):
    shapes = [cells(2, 3, 10, 20), cells(20, 50, 10, 20), cells(100, 100, 1, 1)]
    kept = {"code": ["a", "b", "far"], "province": ["Ash", None, "Élan"], "people": [3, 4, 5], **columns}
    return gpd.GeoDataFrame(kept, geometry=shapes, crs=4326)


def made(rule="exact", **options) -> Coverage:
    return coverage(frame(), GRID, id="code", rule=rule, keep=["province", "people"], **options)


def same(found: Coverage, expected: Coverage) -> None:
    for name in ("ids", "grid", "rule", "hashes", "hash", "reasons", "warnings"):
        assert getattr(found, name) == getattr(expected, name)
    for part, names in (("runs", RUNS), ("edges", EDGES)):
        for name in names:
            mine, theirs = getattr(getattr(found, part), name), getattr(getattr(expected, part), name)
            assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    assert_array_equal(found.outside, expected.outside)
    pd.testing.assert_frame_equal(found.attributes, expected.attributes)


# --- there and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["exact", "centre"])
def test_what_is_loaded_is_what_was_saved(rule, tmp_path):
    cov = made(rule)
    assert cov.warnings
    assert cov.reasons == {"far": "off the grid"}
    assert cov.cut() == ("b", "far")
    cov.save(tmp_path / "cov.npz")
    same(load_coverage(tmp_path / "cov.npz"), cov)


def test_numbers_as_ids(tmp_path):
    cov = coverage(frame(), GRID)
    cov.save(tmp_path / "cov.npz")
    found = load_coverage(tmp_path / "cov.npz")
    assert found.ids == (0, 1, 2)
    assert found.reasons == {2: "off the grid"}
    same(found, cov)


def test_integers_of_a_column_as_ids(tmp_path):
    cov = coverage(frame(), GRID, id="people")
    cov.save(tmp_path / "cov.npz")
    assert load_coverage(tmp_path / "cov.npz").ids == (3, 4, 5)


def test_twice_the_same_bytes(tmp_path):
    made().save(tmp_path / "one.npz")
    made(threads=2).save(tmp_path / "two.npz")
    load_coverage(tmp_path / "one.npz").save(tmp_path / "three.npz")
    one, two, three = ((tmp_path / f"{name}.npz").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one == three


# --- reuse --------------------------------------------------------------------------------------------------------


def test_a_cache_is_read_when_it_is_there(tmp_path, monkeypatch):
    path = tmp_path / "cov.npz"
    cov = made(cache=path)
    before = path.read_bytes()

    def never(*arguments):
        raise AssertionError("the coverage was made again")

    monkeypatch.setattr("nightcore.zones.cover", never)
    same(made(cache=path), cov)
    assert path.read_bytes() == before


def test_a_cache_carries_the_columns_asked_for_now(tmp_path):
    made(cache=tmp_path / "cov.npz")
    found = coverage(frame(), GRID, id="code", keep=["people"], cache=tmp_path / "cov.npz")
    assert list(found.attributes) == ["people"]


MOVED = frame().set_geometry([cells(2, 3, 10, 20, 0.4), *frame().geometry[1:]])


@pytest.mark.parametrize(
    ("zones", "grid", "options", "what"),
    [
        (MOVED, GRID, {}, "polygons"),
        (frame(code=["a", "b", "c"]), GRID, {}, "ids"),
        (frame(), GRID.part(0, 0, 40, 59), {}, "grid"),
        (frame(), GRID, {"rule": "centre"}, "rule"),
        (MOVED, GRID, {"rule": "centre"}, "rule and polygons"),
        (frame()[:2], GRID, {}, "ids and polygons"),
    ],
)
def test_a_stale_cache_is_refused(zones, grid, options, what, tmp_path):
    path = tmp_path / "cov.npz"
    coverage(frame(), GRID, id="code", cache=path)
    before = path.read_bytes()
    with pytest.raises(BadInputError, match=rf"cov\.npz was made for other {what}: pass refresh=True") as error:
        coverage(zones, grid, id="code", cache=path, **options)
    assert str(error.value).count(". ") == 0  # one sentence
    assert path.read_bytes() == before
    fresh = coverage(zones, grid, id="code", cache=path, refresh=True, **options)
    same(load_coverage(path), fresh)
    same(coverage(zones, grid, id="code", cache=path, **options), fresh)


# --- bad files ----------------------------------------------------------------------------------------------------


def rewritten(path, **changes):
    """The file with some of its arrays replaced; None drops one."""
    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    held |= changes
    np.savez(path, **{name: array for name, array in held.items() if array is not None})


def about(path, **changes) -> np.ndarray:
    with np.load(path) as file:
        found = json.loads(file["about"].tobytes())
    return np.frombuffer(json.dumps(found | changes).encode(), np.uint8)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "cov.npz"
    made().save(path)
    return path


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.99])
def test_a_file_cut_short_is_damaged(saved, at):
    held = saved.read_bytes()
    saved.write_bytes(held[: int(at * len(held))])
    with pytest.raises(IntegrityError, match=r"cov\.npz cannot be read as a coverage"):
        load_coverage(saved)


def test_a_flipped_bit_is_damage(saved):
    held = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as file:
        entry = file.getinfo("edges_weight.npy")
    held[entry.header_offset + 30 + len(entry.filename) + entry.file_size - 3] ^= 4
    saved.write_bytes(held)
    with pytest.raises(IntegrityError, match="make it again"):
        load_coverage(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"runs_row": None},
        {"about": None},
        {"attributes": np.zeros(9, np.uint8)},
        {"outside": np.zeros(2)},
        {"edges_weight": np.full(40, 1.5)},
        {"runs_row": np.full(10, 40, np.int32)},
        {"runs_zone": np.full(10, 3, np.int32)},
        {"runs_row": np.zeros(10)},
    ],
    ids=lambda changes: "-".join(f"{name}-{getattr(array, 'dtype', 'dropped')}" for name, array in changes.items()),
)
def test_arrays_that_fit_nothing_are_refused(saved, changes):
    rewritten(saved, **changes)
    with pytest.raises(IntegrityError, match="make it again"):
        load_coverage(saved)


def test_a_damaged_cache_is_said_and_can_be_made_again(saved):
    saved.write_bytes(b"not a zip")
    with pytest.raises(IntegrityError):
        made(cache=saved)
    same(made(cache=saved, refresh=True), load_coverage(saved))


def test_another_format_is_refused(saved):
    rewritten(saved, about=about(saved, format=2))
    with pytest.raises(BadInputError, match="has coverage format 2, expected 1"):
        load_coverage(saved)


def test_no_file(tmp_path):
    with pytest.raises(BadInputError, match="does not exist: make it with"):
        load_coverage(tmp_path / "cov.npz")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"ends in '\.zip': coverages are kept in \.npz"):
        made().save(tmp_path / "cov.zip")
    with pytest.raises(UsageError, match=r"kept in \.npz"):
        load_coverage(tmp_path / "cov.parquet")
    with pytest.raises(UsageError, match=r"kept in \.npz"):
        made(cache=tmp_path / "cov")
    assert list(tmp_path.iterdir()) == []


def test_ids_that_no_file_can_hold(tmp_path):
    dates = frame(code=pd.date_range("1992-01-01", periods=3))
    with pytest.raises(BadInputError, match=r"cannot hold the zone id .* of type Timestamp"):
        coverage(dates, GRID, id="code").save(tmp_path / "cov.npz")
    assert list(tmp_path.iterdir()) == []
