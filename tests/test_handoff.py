"""What passes between the two packages is one table in a file: 34 real composites to inequality within regions."""

import pandas as pd
import pytest
from numpy.testing import assert_allclose

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
