"""What passes between the two packages is one table in a file: 34 real composites to inequality within regions."""

import pandas as pd
import pytest
import rioxarray
from numpy.testing import assert_allclose

import nightcore as nc
from econ import regional_inequality
from econ.cli import main as econ
from nightcore.cli import main as nightcore

UNITS = "greece34/regional_units/RegionalUnits2021_gcs.shp"


@pytest.fixture(scope="module")
def greek_store(data_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "greece.zarr"
    assert nightcore(["ingest", str(data_dir / "greece34" / "composites"), str(path)]) == 0
    return path


@pytest.mark.parametrize(("method", "last_year"), [("elvidge2014", 2013), ("wu2013", 2010)])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_ginis_of_13_greek_regions(data_dir, greek_store, tmp_path, method, last_year, ending):
    city, out = tmp_path / f"city.{ending}", tmp_path / "inequality.csv"
    zonal = ["zonal", str(greek_store), "--zones", str(data_dir / UNITS), "--id", "RegUnits"]
    assert nightcore([*zonal, "--calibration", method, "--missing", "drop", "--out", str(city)]) == 0
    crosswalk = str(data_dir / "greece34" / "regions.csv")
    assert econ(["inequality", str(city), "--by", "region", "--crosswalk", crosswalk, "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert sorted(table["year"].unique()) == list(range(1992, last_year + 1))
    alone = table[table["gini"].isna()]
    assert set(alone["region"]) == {"Mount Athos"}
    assert set(alone["reason"]) == {"one unit"}
    known = table[table["gini"].notna()]
    assert known["region"].nunique() == 13
    assert known["gini"].between(0, 1).all()
    # the definition, for one region and year: sum of |x_i - x_j| over all pairs / (2 n^2 mean)
    lights = pd.read_csv(city, dtype={"zone": str}) if ending == "csv" else pd.read_parquet(city)
    regions = pd.read_csv(crosswalk, dtype=str).set_index("regional_unit_code")["region"]
    x = lights[(lights["zone"].map(regions) == "Crete") & (lights["year"] == 2000)]["mean"].to_numpy()
    expected = abs(x[:, None] - x).sum() / (2 * len(x) ** 2 * x.mean())
    found = known[(known["region"] == "Crete") & (known["year"] == 2000)]["gini"].item()
    assert_allclose(found, expected, rtol=1e-12)  # the same numbers added in another order


def test_a_province_column_that_is_not_there(greek_store, data_dir, tmp_path, capsys):
    city = tmp_path / "city.csv"
    zonal = ["zonal", str(greek_store), "--zones", str(data_dir / UNITS), "--id", "RegUnits"]
    assert nightcore([*zonal, "--calibration", "raw", "--out", str(city)]) == 0
    capsys.readouterr()
    assert econ(["inequality", str(city), "--by", "province"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "no column 'province'" in err
    assert "zone, year, sum, cells, mean" in err


def test_greek_ginis_with_intervals(data_dir, greek_store, tmp_path):
    """13 regions and Mount Athos in 22 years: every Gini of three units or more lies in an interval of its own."""
    city, out = tmp_path / "city.csv", tmp_path / "inequality.csv"
    zonal = ["zonal", str(greek_store), "--zones", str(data_dir / UNITS), "--id", "RegUnits"]
    assert nightcore([*zonal, "--calibration", "elvidge2014", "--missing", "drop", "--out", str(city)]) == 0
    lights = pd.read_csv(city, dtype={"zone": str})
    assert lights["zone"].nunique() == 75
    where = ["--by", "region", "--crosswalk", str(data_dir / "greece34" / "regions.csv")]
    assert econ(["inequality", str(city), *where, "--se", "jackknife", "--out", str(out)]) == 0
    table = pd.read_csv(out, keep_default_na=False, na_values={"gini": [""], "gini_se": [""], "gini_low": [""]})
    assert len(table) == 14 * 22
    assert set(table.loc[table["gini"].isna(), "region"]) == {"Mount Athos"}
    many = table[table["n"] > 2]
    assert (many["gini_se"] > 0).all()
    assert (many["gini_low"] < many["gini"]).all()
    assert table.loc[table["n"] < 3, "gini_se"].isna().all()
    # within and between regions add up to the inequality of the 75 units
    parts = tmp_path / "parts.csv"
    assert econ(["decompose", str(city), *where, "--out", str(parts)]) == 0
    found = pd.read_csv(parts).groupby("year").agg({"contribution": "sum", "total": "first", "share": "sum"})
    assert_allclose(found["contribution"], found["total"], rtol=1e-12)  # sums in another order
    assert_allclose(found["share"], 1, rtol=1e-12)


def test_ginis_of_china_2008(data_dir):
    """370 units in 34 provinces of Li et al. (2020): about 0.40 on average where the paper prints 0.166."""
    folder = data_dir / "china2008"
    raster = rioxarray.open_rasterio(folder / "harmonised_2008_5arcmin.tif").squeeze("band", drop=True)
    units = pd.read_csv(folder / "prefecture370_list.csv", dtype=str).set_index("adcode")
    coverage = nc.coverage(folder / "prefecture370_simpl0.001deg.gpkg", raster, id="adcode")
    city = nc.zonal(raster, coverage)
    city = city.assign(year=2008, province=city["zone"].map(units["province"]))
    assert len(city) == 370
    assert units["city"][city.loc[city["mean"].isna(), "zone"].item()] == "三沙市"  # south of the raster's last row
    table = regional_inequality(city, se="jackknife").set_index("province")
    assert len(table) == 34
    alone = table[table["gini"].isna()]
    assert set(alone["reason"]) == {"one unit"}
    assert set(alone.index) == {*("北京市", "天津市", "上海市", "重庆市", "台湾省", "香港特别行政区", "澳门特别行政区")}
    assert table.loc["海南省", "reason"] == "1 of 19 units missing"
    known = table[table["gini"].notna()]
    assert len(known) == 27
    assert round(known["gini"].mean(), 2) == 0.40
    assert (known["gini_se"] > 0).all()
    # the paper's mean, 0.1657, is below the Gini of all provinces but one or two, Shandong's and Shanxi's
    assert set(known.index[known["gini"] < 0.17]) == {"山东省", "山西省"}
