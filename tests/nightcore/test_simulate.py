"""The generated world is what it says, to the last digit where a truth is planted."""

import errno
import gzip
import hashlib
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from rasterio.features import rasterize

from nightcore.errors import BadInputError, ResourceError, UsageError
from nightcore.sensors import DMSP_OLS
from nightcore.simulate import (
    GRID,
    NORTH_MISSING,
    NORTH_ROWS,
    ONE_CITY,
    PATCHED,
    PROVINCES,
    SHIFTED,
    YEARS,
    blur,
    city_means,
    disturb,
    lay_out,
    quantise,
    respond,
    scene,
    simulate,
    spacing,
    write,
)

few = settings(deadline=None, max_examples=10)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate(seed=7, directory=tmp_path_factory.mktemp("simulate") / "world")


@pytest.fixture(scope="module")
def composites(world):
    """Composite -> (DN, profile) as rasterio reads the files."""
    return {name: read(path) for name, path in world.composites.items()}


@pytest.fixture(scope="module")
def zones(world):
    return gpd.read_file(world.zones)


def read(path: Path):
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    with rasterio.MemoryFile(content) as memory, memory.open() as dataset:
        return dataset.read(1), dataset.profile


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def gini(x) -> float:
    """sum |x_i - x_j| / (2 n^2 mean), the form of the study."""
    x = np.asarray(x)
    return np.abs(x[:, None] - x).sum() / (2 * len(x) ** 2 * x.mean())


def inside(polygons) -> np.ndarray:
    """(height, width) index of the polygon around each cell's centre, -1 outside all, by GDAL's rasteriser."""
    shapes = [(polygon, index) for index, polygon in enumerate(polygons)]
    return rasterize(shapes, GRID.shape, transform=Affine(*GRID.transform), fill=-1, dtype="int32")


# --- the planted truth --------------------------------------------------------------------------------------------


def test_gini_true_is_the_gini_of_the_cities(world, zones):
    several = world.city_truth.merge(zones[["code", "province"]], left_on="zone", right_on="code")
    several = several[~several.province.isin(ONE_CITY)]
    found = several.groupby(["province", "year"])["mean_true"].agg(gini)
    planted = world.panel.set_index(["province", "year"])["gini_true"].dropna()

    assert len(planted) == 12 * 22
    # rounding of some ten additions in numbers near 1
    assert_allclose(found.reindex(planted.index), planted, rtol=0, atol=1e-12)


def test_gini_true_is_the_planted_equation(world):
    panel = world.panel[~world.panel.province.isin(ONE_CITY)]
    equation = panel.province.map(world.province_effects) + panel.year.map(world.year_effects) + panel.shock
    for name, coefficient in world.coefficients.items():
        equation = equation + coefficient * panel[name]

    assert_allclose(panel.gini_true, equation, rtol=0, atol=1e-15)  # the same sum in another order
    assert world.coefficients == {"forward": -0.08, "backward": 0.70, "openness": 0.03}


def test_a_province_with_one_city_has_no_gini(world):
    missing = world.panel[world.panel.gini_true.isna()]

    assert sorted(missing.province.unique()) == sorted(ONE_CITY)
    assert len(missing) == len(ONE_CITY) * len(YEARS)
    assert not set(ONE_CITY) & set(world.province_effects)


def test_files_hold_what_the_world_returns(world):
    truth = json.loads((world.directory / "truth.json").read_text())
    panel = pd.read_csv(world.directory / "panel.csv")
    cities = pd.read_csv(world.directory / "city_truth.csv")

    # the last bit may depend on how a version of pandas reads decimals
    pd.testing.assert_frame_equal(panel, world.panel, rtol=1e-15, atol=0, check_dtype=False)
    pd.testing.assert_frame_equal(cities, world.city_truth, rtol=1e-15, atol=0, check_dtype=False)
    assert truth["coefficients"] == world.coefficients
    assert truth["province_effects"] == world.province_effects
    assert {name: (curve["a"], curve["b"]) for name, curve in truth["curves"].items()} == {
        row.composite: (row.a, row.b) for row in world.curves.itertuples()
    }


def test_radcal_has_the_city_means_of_2006(world, zones):
    radcal, profile = read(world.radcal)
    planted = world.city_truth[world.city_truth.year == 2006].set_index("zone").mean_true[zones.code]
    city = inside(zones.geometry)
    mean = city_means(radcal.astype(float), city)

    assert profile["dtype"] == "float32"
    assert radcal.max() > 63  # not saturated
    # blur carries some light over the border of a city, never 2 % of it as towns keep away from borders
    assert_allclose(mean, planted, rtol=0.02)
    # but within the grid light is neither lost nor made; towns cut by the rim are repeated beyond it, hence 1e-3
    assert_allclose(radcal.sum(dtype=float), (planted * np.bincount(city.ravel())).sum(), rtol=1e-3)


def test_log_log_fit_in_the_site_finds_the_curves(world, composites):
    """Without noise and rounding the law is exact; with them it is found within the error that they make."""
    radcal, _ = read(world.radcal)
    site = inside(gpd.read_file(world.site).geometry) == 0
    for row in world.curves.itertuples():
        exact = respond(radcal[site].astype(float), row.a, row.b)
        b, log_a = np.polyfit(np.log(exact), np.log(radcal[site].astype(float)), 1)
        assert_allclose([np.exp(log_a), b], [row.a, row.b], rtol=1e-9)  # two inverse functions, and least squares

        dn, _ = composites[row.composite]
        used = site & (dn > 0) & (dn < 63)
        b, log_a = np.polyfit(np.log(dn[used].astype(float)), np.log(radcal[used].astype(float)), 1)
        shown = np.array([5.0, 20.0, 50.0])
        # noise and rounding of DN flatten a fit on DN: by 1 % at most where light is bright, 0.4 % scatter
        assert_allclose(np.exp(log_a) * shown**b, row.a * shown**row.b, rtol=0.025)


# --- polygons -----------------------------------------------------------------------------------------------------


def test_provinces_and_cities_are_counted(world, zones):
    cities = zones.groupby("province").size()

    assert zones.crs.to_epsg() == 4326
    assert list(zones.columns) == ["code", "city", "province", "geometry"]
    assert zones.code.is_unique
    assert zones.city.is_unique
    assert set(cities.index) == set(PROVINCES)
    assert (cities[list(ONE_CITY)] == 1).all()
    assert cities.drop(list(ONE_CITY)).between(5, 9).all()
    assert set(world.city_truth.zone) == set(zones.code)
    assert world.grid == GRID
    assert DMSP_OLS.grid.offset_of(GRID) == pytest.approx((33600, 4200), abs=1e-6)  # whole cells: rounding of degrees


def test_polygons_partition_the_grid(world, zones):
    provinces = gpd.read_file(world.provinces)
    polygons = zones.geometry.to_numpy()
    area = shapely.area(polygons)
    west, south, east, north = GRID.bounds

    assert shapely.coverage_is_valid(polygons)  # shared edges have the same vertices; no gap, no overlap
    # sums of about a hundred areas
    assert_allclose(area.sum(), shapely.area(shapely.union_all(polygons)), rtol=1e-9)
    assert_allclose(area.sum(), (east - west) * (north - south), rtol=1e-9)
    for name, province in zip(provinces.province, provinces.geometry, strict=True):
        assert province.geom_type == "Polygon"
        assert_allclose(province.area, area[zones.province == name].sum(), rtol=1e-9)
    assert (inside(polygons) >= 0).all()


@few
@given(st.integers(0, 2**32))
def test_any_layout_is_a_partition_without_slivers(seed):
    cities = lay_out(np.random.default_rng(seed))
    polygons = np.array([shapely.Polygon(ring) for ring in cities.rings])
    compactness = 4 * np.pi * shapely.area(polygons) / shapely.length(polygons) ** 2

    assert shapely.coverage_is_valid(polygons)
    assert all(shapely.is_ccw(shapely.LinearRing(ring)) for ring in cities.rings)
    assert compactness.min() > 0.4  # a square has 0.79, a rectangle of 4 to 1 has 0.50
    assert shapely.area(polygons).min() > 500 * GRID.dx * GRID.dy  # 23 x 23 cells


def test_the_site_lies_well_inside_its_province(world):
    site = gpd.read_file(world.site).geometry.item()
    provinces = gpd.read_file(world.provinces).set_index("province").geometry

    assert provinces["Linden"].contains(site)
    assert site.distance(provinces["Linden"].boundary) > 5 * GRID.dx


def test_the_site_is_constant(world, zones):
    code = zones.code[zones.province == "Linden"].item()
    assert world.city_truth[world.city_truth.zone == code].mean_true.nunique() == 1


# --- composites ---------------------------------------------------------------------------------------------------


def test_names_are_those_of_ngdc(world):
    told = [DMSP_OLS.identify(path) for path in world.composites.values()]
    versions = {name: path.name.split(".")[1] for name, path in world.composites.items()}

    assert tuple(world.composites) == DMSP_OLS.composites
    assert [name.composite for name in told] == list(DMSP_OLS.composites)
    assert {name.product for name in told} == {"stable_lights"}
    assert {path.suffix for path in world.composites.values()} == {".tif", ".gz"}
    assert versions.pop("F182010") == "v4d_web"
    assert [versions.pop(f"F18{year}") for year in (2011, 2012, 2013)] == ["v4c_web"] * 3
    assert set(versions.values()) == {"v4b_web"}
    assert DMSP_OLS.identify(world.radcal) is None


def test_composites_are_like_the_real_ones(composites):
    for name, (dn, profile) in composites.items():
        assert dn.dtype == np.uint8
        assert dn.shape == GRID.shape
        assert profile["crs"].to_epsg() == 4326
        assert profile["nodata"] is None
        assert profile["transform"].a == -profile["transform"].e == 0.0083333333
        assert np.isin(dn, [*range(64), 255]).all()
        shift = 0.5 if name == SHIFTED else 0.0
        column, row = (profile["transform"].c - GRID.left) / GRID.dx, (GRID.top - profile["transform"].f) / GRID.dy
        assert (column, row) == pytest.approx((shift, shift), abs=1e-6)  # rounding of degrees


def test_few_bright_cores_saturate(composites):
    lit = np.array([np.count_nonzero((dn > 0) & (dn <= 63)) for dn, _ in composites.values()])
    saturated = np.array([np.count_nonzero(dn == 63) for dn, _ in composites.values()])

    assert 0.003 < saturated.sum() / lit.sum() < 0.02
    assert saturated.max() > 0.005 * lit[saturated.argmax()]
    assert (lit / np.prod(GRID.shape) > 0.2).all()
    assert (lit / np.prod(GRID.shape) < 0.5).all()


def test_255_is_where_it_was_promised(composites):
    hidden = {name: dn == 255 for name, (dn, _) in composites.items()}

    assert {name for name, cells in hidden.items() if cells.any()} == {*NORTH_MISSING, *PATCHED}
    for name in NORTH_MISSING:
        assert hidden[name][:NORTH_ROWS].all()
        assert not hidden[name][NORTH_ROWS:].any()
    for name in PATCHED:
        assert 0 < hidden[name].sum() < 0.01 * hidden[name].size


def test_the_site_holds_nearly_every_dn(world, composites):
    site = inside(gpd.read_file(world.site).geometry) == 0
    present = [len(np.intersect1d(dn[site], np.arange(1, 63))) for dn, _ in composites.values()]
    saturated = [np.mean(dn[site] == 63) for dn, _ in composites.values()]

    assert np.median(present) == 62
    assert min(present) > 50
    assert max(saturated) < 0.05


def test_satellites_of_one_year_differ_until_the_curves_are_used(world, composites):
    """Mean NDI of totals, raw and with the planted curves; on real data it falls from 0.10 to 0.02."""
    curves = world.curves.set_index("composite")
    observed = ~np.any([dn == 255 for dn, _ in composites.values()], axis=0)
    years = {year: [name for name in composites if name.endswith(str(year))] for year in YEARS}
    pairs = [names for names in years.values() if len(names) == 2]

    def ndi(total):
        return np.mean([abs(total[a] - total[b]) / (total[a] + total[b]) for a, b in pairs])

    raw = {name: dn[observed].sum(dtype=float) for name, (dn, _) in composites.items()}
    calibrated = {
        name: (curves.a[name] * dn[observed].astype(float) ** curves.b[name]).sum()
        for name, (dn, _) in composites.items()
    }

    assert len(pairs) == 12
    assert 0.07 < ndi(raw) < 0.13
    assert ndi(calibrated) < 0.01


# --- the same and not the same ------------------------------------------------------------------------------------


def test_same_seed_same_bytes_in_a_folder_of_its_own(world, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    again = simulate(seed=7)

    assert again.directory.parent == tmp_path
    assert hashes(again.directory) == hashes(world.directory)
    assert len(hashes(again.directory)) == 34 + 7  # radcal, three of polygons, two tables, truth.json


def test_another_seed_is_another_world(world, tmp_path):
    other = hashes(simulate(seed=8, directory=tmp_path).directory)
    first = hashes(world.directory)

    assert other.keys() == first.keys()
    assert not set(other.values()) & set(first.values())


# --- the numbers --------------------------------------------------------------------------------------------------


@few
@given(count=st.integers(5, 9), g=st.floats(0.0, 0.4), level=st.floats(0.1, 100), seed=st.integers(0, 2**32))
def test_spacing_gives_any_gini(count, g, level, seed):
    means = level * (1 + g * spacing(count, np.random.default_rng(seed)))

    assert means.min() > 0
    assert_allclose(means.mean(), level, rtol=1e-12)  # rounding
    assert_allclose(gini(means), g, rtol=0, atol=1e-12)  # rounding


@few
@given(st.lists(st.floats(0.1, 20), min_size=3, max_size=3), st.integers(0, 2**32))
def test_a_scene_has_the_planted_means(planted, seed):
    rng = np.random.default_rng(seed)
    city = np.concatenate([[0, 1, 2], rng.integers(0, 3, 27)]).reshape(5, 6)
    light = rng.uniform(0.1, 1.0, city.shape)

    seen = scene(light, city, np.array(planted) / city_means(light, city))

    assert_allclose(city_means(seen, city), planted, rtol=1e-12)  # rounding


def test_quantise_by_hand():
    dn = np.array([-0.3, 0.4, 1.6, 2.4, 2.6, 62.4, 62.6, 200.0])

    assert_array_equal(quantise(dn), [0, 0, 2, 2, 3, 62, 63, 63])
    assert_array_equal(quantise(dn, detection=2.5), [0, 0, 0, 0, 3, 62, 63, 63])
    assert quantise(dn).dtype == np.uint8


def test_respond_is_the_inverse_of_the_curve():
    dn = np.arange(64.0)
    assert_allclose(respond(0.8 * dn**1.2, 0.8, 1.2), dn, rtol=1e-12)  # two powers in float64


def test_blur_spreads_and_keeps_light():
    point = np.zeros((41, 41))
    point[20, 20] = 100.0
    seen = blur(point, sigma=1.5)

    assert_allclose(seen.sum(), 100.0, rtol=1e-12)  # the kernel sums to one, far from the rim
    # the peak of a Gaussian, 1 / (2 pi sigma^2); normalising over whole cells moves it by less than 1e-3
    assert_allclose(seen.max(), 100 / (2 * np.pi * 1.5**2), rtol=1e-3)


def test_noise_is_unbiased_and_grows_with_light():
    rng = np.random.default_rng(0)
    dim, bright = disturb(np.full(100_000, 0.0), rng), disturb(np.full(100_000, 50.0), rng)

    assert_allclose([dim.mean(), bright.mean()], [0, 50], atol=0.03)  # five standard errors of the brighter mean
    # 1 % is four standard errors of a standard deviation from 100,000 numbers
    assert_allclose([dim.std(), bright.std()], [0.25, np.hypot(0.03 * 50, 0.25)], rtol=0.01)


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None, True])
def test_a_seed_must_be_a_whole_number(seed, tmp_path):
    with pytest.raises(UsageError, match="expected a whole number >= 0") as caught:
        simulate(seed=seed, directory=tmp_path)

    assert caught.value.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("the only copy")

    with pytest.raises(BadInputError, match=r"is not empty \(it holds thesis\.txt\)"):
        simulate(directory=tmp_path)


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInputError, match="cannot be used as a folder"):
        simulate(directory=tmp_path / "file")


@pytest.mark.parametrize(
    ("number", "error", "sentence"),
    [(errno.ENOSPC, ResourceError, "no space is left"), (errno.EACCES, BadInputError, "cannot be written")],
)
def test_a_folder_that_cannot_be_filled_is_named(monkeypatch, tmp_path, number, error, sentence):
    def refuse(path, content):
        raise OSError(number, "refused")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(error, match=sentence) as caught:
        write(tmp_path / "zones.geojson", b"{}")

    assert "zones.geojson" in str(caught.value)
