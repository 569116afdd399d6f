"""regional_inequality with weights, policies and several values; sensitivity; the commands."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

import econ
from econ.cli import main
from econ.errors import BadInputError, MissingColumnError, UsageError
from econ.frames import ranked

NAMES = ("gini", "theil", "theil_l", "atkinson(2)", "ge(2)", "cv", "hoover", "ratio(0.8, 0.2)")


def lights(values, **more):
    return pd.DataFrame(
        {"zone": [f"z{k}" for k in range(len(values))], "year": 2000, "province": "p", "mean": values, **more}
    )


def one(city, indices=("gini",), **options):
    return econ.regional_inequality(city, indices=indices, **options).iloc[0]


# --- weights --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000))
def test_weighted_table_equals_the_functions(seed):
    rng = np.random.default_rng(seed)
    city = pd.DataFrame({"zone": range(40), "year": 2000, "province": rng.integers(0, 6, 40)})
    city = city.assign(mean=rng.lognormal(size=40), population=rng.uniform(0.1, 9, 40))
    table = econ.regional_inequality(city, indices=NAMES, weights="population")
    assert table.attrs["weights"] == "population"
    for row in table.to_dict("records"):
        part = city[city["province"] == row["province"]]
        for name in NAMES:
            expected = econ.inequality_of(part["mean"], name, part["population"])
            assert_allclose(row[name], expected, rtol=1e-12, atol=1e-14)  # sums of another block


def test_units_without_weight_do_not_count():
    row = one(lights([1.0, 3, 9, 27], population=[2, np.nan, 0, 1]), weights="population")
    assert row["n"] == 2
    assert row["gini"] == econ.gini([1, 27], [2, 1])
    assert row["reason"] == "1 of 4 units missing; 1 of 4 units weigh nothing"


# --- zeros and negatives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "n", "theil_l", "reason"),
    [
        ({}, 4, None, "theil_l undefined, 1 of 4 units are dark"),
        ({"zeros": "drop"}, 3, [1, 2, 5], "1 of 4 units zero, left out"),
        ({"zeros": 0.5}, 4, [0.5, 1, 2, 5], "1 of 4 units zero, set to 0.5"),
    ],
)
def test_zeros(options, n, theil_l, reason):
    table = econ.regional_inequality(lights([0.0, 1, 2, 5]), **options)
    row = table.iloc[0]
    assert (row["n"], row["reason"]) == (n, reason)
    assert_array_equal(row["theil_l"], np.nan if theil_l is None else econ.theil_l(theil_l))
    assert table.attrs["zeros"] == options.get("zeros", "keep")


def test_negatives():
    """VIIRS radiances are below zero at times."""
    city = lights([-0.5, 1, 2, 5])
    row = one(city, negatives="drop")
    assert (row["gini"], row["reason"]) == (econ.gini([1, 2, 5]), "1 of 4 units negative, left out")
    row = one(city, negatives="zero")
    assert (row["gini"], row["reason"]) == (econ.gini([0, 1, 2, 5]), "1 of 4 units negative, set to zero")
    row = one(city, indices=("gini", "cv", "theil"), negatives="keep")
    x = np.array([-0.5, 1, 2, 5])
    assert_allclose(row["gini"], np.abs(np.subtract.outer(x, x)).sum() / (2 * 16 * x.mean()), rtol=1e-14)  # last digits
    assert_allclose(row["cv"], x.std() / x.mean(), rtol=1e-14)
    assert np.isnan(row["theil"])
    assert row["reason"] == "1 of 4 units negative, kept; theil undefined with negative values"
    row = one(lights([-5.0, 1, 2]), negatives="keep")
    assert np.isnan(row["gini"])
    assert row["reason"] == "1 of 3 units negative, kept; negative values, or a mean that is not positive"


def test_policies_together_and_nothing_left():
    row = one(lights([-1.0, 0, 7]), negatives="zero", zeros="drop")
    assert row["reason"] == "one unit left, 1 of 3 units negative, set to zero, 2 of 3 units zero, left out"
    row = one(lights([-1.0, -2, np.nan]), negatives="drop")
    assert (row["n"], row["reason"]) == (0, "no unit left, 1 of 3 units missing, 2 of 3 units negative, left out")


# --- several values -------------------------------------------------------------------------------------------------


def test_several_values_are_the_tables_of_each():
    city = pd.concat([lights([1.0, 2, 5], gdp=[3.0, np.nan, 4]).assign(year=year) for year in (1, 2)])
    both = econ.regional_inequality(city, value=["mean", "gdp"])
    assert list(both.columns[:4]) == ["province", "year", "value", "n"]
    for value in ("mean", "gdp"):
        alone = econ.regional_inequality(city, value=value)
        part = both[both["value"] == value].drop(columns="value").reset_index(drop=True)
        assert_frame_equal(part, alone)


def test_names_with_numbers_are_columns():
    table = econ.regional_inequality(lights([1.0, 2, 5]), indices=["ge(2)", "atkinson(1)", "atkinson"], epsilon=2)
    assert list(table.columns) == ["province", "year", "n", "ge(2)", "atkinson(1)", "atkinson", "reason"]
    row = table.iloc[0]
    assert (row["atkinson(1)"], row["atkinson"]) == (econ.atkinson([1, 2, 5], 1), econ.atkinson([1, 2, 5], 2))


# --- sensitivity ----------------------------------------------------------------------------------------------------


def choices():
    rng = np.random.default_rng(8)
    years = [
        pd.DataFrame(
            {
                "zone": range(30),
                "year": year,
                "province": np.arange(30) % 4,
                "mean": rng.lognormal(size=30),
                "population": rng.uniform(1, 9, 30),
                "cells": np.arange(30),
            }
        )
        for year in (2000, 2001)
    ]
    city = pd.concat(years, ignore_index=True)
    return city.assign(held=city["mean"] * (1 + city["zone"] / 30))


def test_sensitivity_is_what_regional_inequality_says():
    city = choices()
    table = econ.sensitivity(
        city, value=["mean", "held"], weights=[None, "population"], size="cells", least=[0, 10], zeros=["keep", "drop"]
    )
    assert len(table) == 16
    base = table.iloc[0]
    assert (base["correlation"], base["mean_change"], base["largest_change"]) == (pytest.approx(1), 0, 0)
    first = econ.regional_inequality(city)["gini"]
    row = table.query("value == 'held' and weights == 'population' and least == 10 and zeros == 'keep'").iloc[0]
    other = econ.regional_inequality(city[city["cells"] >= 10], value="held", weights="population")["gini"]
    assert_allclose(row["mean"], other.mean())
    assert_allclose(row["correlation"], np.corrcoef(first, other)[0, 1])
    assert_allclose(row["rank_correlation"], first.corr(other, method="spearman"))
    assert_allclose(row["largest_change"], (other - first).abs().max())
    assert (row["groups"], row["units"]) == (8, 40)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"least": [0, 5]}, UsageError, "size does not name their column"),
        ({"size": "cells", "least": [99]}, BadInputError, "'cells' of at least 99, the largest is 29"),
        ({"size": "cell"}, MissingColumnError, "'cells'"),
        ({"weights": []}, UsageError, "no variants"),
        ({"index": "gin"}, UsageError, "no index 'gin'"),
    ],
)
def test_bad_sensitivity(options, error, says):
    with pytest.raises(error, match=says):
        econ.sensitivity(choices(), **options)


# --- bad input ------------------------------------------------------------------------------------------------------

GOOD = lights([1.0, 2, 5], population=[1.0, 2, 3])


@pytest.mark.parametrize(
    ("city", "options", "error", "says"),
    [
        (GOOD, {"weights": "people"}, MissingColumnError, "no column 'people'"),
        (GOOD.assign(population=[1, -2, 3]), {"weights": "population"}, BadInputError, "'population' is negative in 1"),
        (GOOD.assign(population=list("abc")), {"weights": "population"}, BadInputError, "holds text in 3"),
        (GOOD, {"weights": "population", "indices": ["gini_unbiased"]}, UsageError, "number of units"),
        (GOOD, {"zeros": "ignore"}, UsageError, "zeros is 'ignore'"),
        (GOOD, {"zeros": -1.0}, UsageError, "zeros is -1.0"),
        (GOOD, {"negatives": "abs"}, UsageError, "negatives is 'abs'"),
        (GOOD, {"indices": []}, UsageError, "no index is named"),
        (GOOD, {"value": []}, UsageError, "expected one or several"),
        (GOOD, {"value": ["mean", "mean"]}, UsageError, "each once"),
        (GOOD.rename(columns={"province": "value"}), {"by": "value", "value": ["mean"]}, UsageError, "rename"),
        (GOOD, {"se": "bootstrap", "level": 1.5}, UsageError, "level is 1.5"),
        (GOOD, {"se": "jackknife", "indices": ["ratio(0.9, 0.1)"]}, UsageError, "choose the bootstrap"),
    ],
)
def test_bad_tables(city, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.regional_inequality(city, **options)
    assert "\n" not in str(caught.value)


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.fixture
def city_csv(tmp_path):
    path = tmp_path / "city.csv"
    choices().assign(region=lambda city: city["province"] // 2).to_csv(path, index=False)
    return path


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_inequality_with_every_option(capsys, city_csv):
    code, out, err = run(
        capsys,
        *("inequality", city_csv, "--value", "mean", "--value", "held", "--weights", "population"),
        *("--indices", "gini", "ge(2)", "ratio(0.9, 0.1)", "--se", "bootstrap", "--replications", "30", "--seed", "4"),
        *("--interval", "percentile", "--level", "0.9", "--zeros", "0.01", "--negatives", "zero"),
    )
    assert code == 0
    expected = econ.regional_inequality(
        choices(),
        value=["mean", "held"],
        indices=["gini", "ge(2)", "ratio(0.9, 0.1)"],
        weights="population",
        zeros=0.01,
        negatives="zero",
        se="bootstrap",
        replications=30,
        interval="percentile",
        level=0.9,
        rng=4,
    )
    found = pd.read_csv(io.StringIO(out), dtype={"province": int}, keep_default_na=False)
    assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)
    assert "16 regions and periods, 0 without a Gini" in err
    assert "bootstrap standard errors, percentile intervals of 90%, 30 replications, seed 4" in err


@pytest.mark.parametrize("show", ["components", "groups"])
def test_decompose_prints_its_tables(capsys, city_csv, tmp_path, show):
    args = ("decompose", city_csv, "--by", "province", "region", "--index", "ge(2)", "--weights", "population")
    code, out, err = run(capsys, *args, "--show", show)
    assert code == 0
    city = choices().assign(
        region=lambda city: (city["province"] // 2).astype(str), zone=lambda c: c["zone"].astype(str)
    )
    city["province"] = city["province"].astype(str)
    expected = econ.decompose(city, ["province", "region"], index="ge(2)", weights="population")
    found = pd.read_csv(io.StringIO(out), dtype={"group": str}, keep_default_na=False)
    assert_frame_equal(found, getattr(expected, show), check_dtype=False, rtol=1e-12)
    assert "ge(2), additive, mean share, 2 x year: within province" in err
    path = tmp_path / "parts.parquet"
    assert run(capsys, *args, "--show", show, "--out", path)[:2] == (0, "")
    assert len(pd.read_parquet(path)) == len(found)


def test_decompose_says_what_is_wrong(capsys, city_csv):
    code, out, err = run(capsys, "decompose", city_csv, "--by", "region", "province")
    assert (code, out) == (3, "")
    assert "expected nested groups, the finest first" in err
    code, out, err = run(capsys, "decompose", city_csv, "--index", "theil", "--show", "pairs")
    assert (code, out) == (2, "")
    assert "additive decomposition has no table of pairs" in err


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int64", "uint64"])
def test_keys_of_any_integers(kind):
    """The ends of short integers lie further apart than these integers reach."""
    ends = np.array([np.iinfo(kind).min, np.iinfo(kind).max, np.iinfo(kind).min], kind)
    many = np.repeat(ends, 40)
    code, levels = ranked(many)
    assert levels.tolist() == [np.iinfo(kind).min, np.iinfo(kind).max]
    assert levels.dtype == kind
    assert_array_equal(levels[code], many)
