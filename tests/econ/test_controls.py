"""Market segmentation, schooling, ratios, splices and standardisation."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import econ
from econ.cli import main
from econ.errors import BadInputError, MissingColumnError, UsageError

# --- market segmentation ------------------------------------------------------------------------------------------


def long(price, provinces, first=2000):
    """(province, year, good) array -> long table."""
    p, t, g = (axis.ravel() for axis in np.indices(price.shape))
    return pd.DataFrame(
        {
            "province": np.asarray(provinces, dtype=object)[p],
            "year": first + t,
            "good": [f"good {k}" for k in g],
            "price": price.ravel(),
        }
    )


def planted(sigma, seed=0, years=3, goods=400, provinces=("Hebei", "Beijing", "Tianjin", "Shanxi")):
    """Chained indices whose logs are independent N(0.02, sigma**2) with a shock of each good and year in common."""
    rng = np.random.default_rng(seed)
    shock = rng.normal(0.02, 0.1, (years, goods))
    return long(100 * np.exp(shock + rng.normal(0, sigma, (len(provinces), years, goods))), provinces)


@pytest.fixture(scope="module")
def prices():
    return planted(0.04, goods=5, years=4)


def by_hand(prices, pairs, ddof=1):
    """The definition, in loops: province -> year -> mean variance."""
    change = {(r.province, r.year, r.good): np.log(r.price) for r in prices.itertuples()}
    years, goods = sorted(prices["year"].unique()), sorted(prices["good"].unique())
    out = {}
    for t in years:
        absolute = {(a, b, k): abs(change[a, t, k] - change[b, t, k]) for a, b in pairs for k in goods}
        mean = {k: np.mean([absolute[a, b, k] for a, b in pairs]) for k in goods}
        variance = {(a, b): np.var([absolute[a, b, k] - mean[k] for k in goods], ddof=ddof) for a, b in pairs}
        for p in prices["province"].unique():
            out[p, t] = np.mean([v for pair, v in variance.items() if p in pair])
    return out


def test_planted_variance_is_recovered_at_the_size_of_the_paper():
    """Table 1 prints a mean of 27.94307 for sqrt(1 / Var), a variance of .00128.

    |dQ| of two independent changes of sd s is half-normal, with variance 2 s**2 (1 - 2 / pi); with a neighbour pair
    alone there is nothing to take the mean over, so pairs that share no province are used here, n of them, and the mean
    over them takes 1/n of the variance.
    """
    variance = 27.94307**-2
    assert variance == pytest.approx(0.00128, abs=5e-6)  # the five decimals of the paper check
    n, sigma = 10, np.sqrt(variance / (2 * (1 - 2 / np.pi)))
    names = [f"p{i:02d}" for i in range(2 * n)]
    pairs = pd.DataFrame({"a": names[::2], "b": names[1::2]})
    found = econ.segmentation(planted(sigma, goods=5000, provinces=names), "chained", pairs)
    # 30 variances of 5,000 goods each: the mean of variances is known to 0.5 %, so 2 % is four standard errors
    assert found.provinces["segmentation"].mean() == pytest.approx(variance * (1 - 1 / n), rel=0.02)
    assert found.provinces["integration"].mean() == pytest.approx(27.94307 / np.sqrt(1 - 1 / n), rel=0.01)


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_definition_in_loops(prices, ddof):
    pairs = [("Beijing", "Tianjin"), ("Beijing", "Hebei"), ("Tianjin", "Hebei"), ("Hebei", "Shanxi")]
    found = econ.segmentation(prices, "chained", ddof=ddof).provinces
    expected = by_hand(prices, pairs, ddof)
    for row in found.itertuples():
        assert row.segmentation == pytest.approx(expected[row.province, row.year], rel=1e-12)  # sums in another order
        assert row.integration == pytest.approx(expected[row.province, row.year] ** -0.5, rel=1e-12)
    assert found["reason"].eq("").all()
    assert found.query("year == 2000")[["province", "n_pairs"]].to_numpy().tolist() == [
        ["Beijing", 2],
        ["Hebei", 3],
        ["Shanxi", 1],
        ["Tianjin", 2],
    ]


def test_every_step_is_there(prices):
    found = econ.segmentation(prices, "chained")
    steps = found.changes
    assert list(steps.columns) == ["a", "b", "year", "good", "dq", "abs_dq", "mean_abs_dq", "q"]
    assert len(steps) == 4 * 4 * 5
    one = steps.query("a == 'Beijing' and b == 'Hebei' and year == 2002 and good == 'good 3'").iloc[0]
    price = prices.set_index(["province", "year", "good"])["price"]
    dq = np.log(price["Beijing", 2002, "good 3"]) - np.log(price["Hebei", 2002, "good 3"])
    assert one["dq"] == pytest.approx(dq, rel=1e-12)
    mean = steps.query("year == 2002 and good == 'good 3'")["abs_dq"].mean()
    assert one[["abs_dq", "mean_abs_dq"]].tolist() == pytest.approx([abs(dq), mean], rel=1e-12)
    assert one["q"] == pytest.approx(abs(dq) - mean, rel=1e-12)
    # what is demeaned has no mean left, but rounding
    assert_allclose(steps.groupby(["year", "good"])["q"].mean(), 0, atol=1e-16)
    variance = steps.groupby(["a", "b", "year"])["q"].var(ddof=1)
    assert_allclose(found.pairs.set_index(["a", "b", "year"])["variance"].sort_index(), variance, rtol=1e-10)


def test_levels_are_chained_by_year_and_not_by_row(prices):
    """An index on a fixed base says the same as the chained index from the second year on; a gap has no change."""
    ordered = prices.sort_values("year")
    fixed = ordered.assign(price=(ordered["price"] / 100).groupby([ordered["province"], ordered["good"]]).cumprod() * 7)
    by_level = econ.segmentation(fixed, "level").provinces
    chained = econ.segmentation(prices.query("year > 2000"), "chained").provinces
    pd.testing.assert_frame_equal(by_level, chained, rtol=1e-9)  # logs of products for products of logs
    gap = econ.segmentation(fixed.query("year != 2001"), "level").provinces
    assert gap["year"].unique().tolist() == [2003]
    pd.testing.assert_frame_equal(gap, by_level.query("year == 2003").reset_index(drop=True))
    with pytest.raises(BadInputError, match="two years that follow each other"):
        econ.segmentation(fixed.query("year == 2000 or year == 2002"), "level")


def test_the_base_of_chained_indices_does_not_matter(prices):
    a, b = (econ.segmentation(prices.assign(price=prices["price"] / base), "chained").provinces for base in (1, 100))
    pd.testing.assert_frame_equal(a, b, rtol=1e-9)  # differences of logs of other numbers


def test_two_bases_in_one_table_are_refused(prices):
    mixed = prices.assign(price=prices["price"].where(prices["province"] != "Hebei", prices["price"] / 100))
    with pytest.raises(
        BadInputError, match=r"chained indices of 'good 0' in 2000 are .* in Hebei and .* expected one base"
    ):
        econ.segmentation(mixed, "chained")


def test_missing_goods_are_counted(prices):
    """One price less: its good is out of the pairs of that province and year, and out of nothing else."""
    hole = prices.copy()
    hole.loc[(hole["province"] == "Shanxi") & (hole["year"] == 2001) & (hole["good"] == "good 2"), "price"] = np.nan
    found = econ.segmentation(hole, "chained")
    counts = found.pairs.set_index(["a", "b", "year"])["n_goods"]
    assert counts["Hebei", "Shanxi", 2001] == 4
    assert counts.drop(("Hebei", "Shanxi", 2001)).eq(5).all()
    few = found.provinces.set_index(["province", "year"])["fewest_goods"]
    assert [few["Shanxi", 2001], few["Hebei", 2001], few["Beijing", 2001]] == [4, 4, 5]
    dropped = econ.segmentation(hole.dropna(), "chained")
    pd.testing.assert_frame_equal(found.provinces, dropped.provinces)

    strict = econ.segmentation(hole, "chained", min_goods=5)
    reasons = strict.provinces.set_index(["province", "year"])
    assert reasons.loc[("Shanxi", 2001), "reason"] == "no pair with 5 goods"
    assert np.isnan(reasons.loc[("Shanxi", 2001), "integration"])
    assert reasons.loc[("Hebei", 2001), "reason"] == "1 of 3 pairs have fewer than 5 goods"
    assert "1 provinces and years: no pair with 5 goods" in strict.report()


def test_provinces_without_a_pair():
    table = planted(0.04, goods=5, provinces=("海南", "河北", "北京"))
    found = econ.segmentation(table, "chained")
    assert found.provinces.query("province == '海南'")["reason"].eq("no pair").all()
    assert len(found.left_out) == 64  # the 65 pairs of the sample but Beijing and Hebei
    assert "64 pairs left out, a province has no prices: Beijing, Tianjin" in found.report()
    mainland = planted(0.04, goods=5, provinces=("海南", "广东", "广西"))
    assert econ.segmentation(mainland, "chained", "land").provinces.query("province == '海南'")["n_pairs"].eq(0).all()
    assert econ.segmentation(mainland, "chained").provinces.query("province == '海南'")["n_pairs"].eq(1).all()


def test_all_pairs_and_given_pairs(prices):
    every = econ.segmentation(prices, "chained", "all")
    assert len(every.pairs.query("year == 2000")) == 6
    for seed in range(3):  # neither the order of pairs nor of the two in each shows, in no bit
        table = every.pairs.query("year == 2000")[["b", "a"]].sample(frac=1, random_state=seed)
        given = econ.segmentation(prices.sample(frac=1, random_state=seed), "chained", table)
        pd.testing.assert_frame_equal(every.provinces, given.provinces, check_exact=True)
    some = econ.segmentation(prices, "chained", pd.DataFrame({"x": ["Hebei", "Hebei"], "y": ["Shanxi", "Henan"]}))
    assert some.left_out.to_numpy().tolist() == [["Hebei", "Henan"]]
    assert some.provinces.query("province == 'Beijing'")["reason"].eq("no pair").all()


def test_prices_that_move_together_are_one_market(prices):
    alike = prices.assign(price=prices.groupby(["year", "good"])["price"].transform("first"))
    found = econ.segmentation(alike, "chained").provinces
    assert found["segmentation"].eq(0).all()
    assert found["integration"].isna().all()
    assert found["reason"].eq("all goods alike in all pairs, integration without bound").all()


@given(st.integers(0, 1000), st.floats(0.01, 50))
@settings(deadline=None, max_examples=15)
def test_what_all_provinces_share_does_not_matter(seed, factor):
    """A price change common to all provinces (inflation, or a shock to one good), and the order of the rows."""
    table = planted(0.05, seed, goods=4)
    common = table.groupby(["year", "good"])["price"].transform("size").to_numpy() * 0 + factor
    common = np.where(table["good"] == "good 1", common, 1.0)
    changed = table.assign(price=table["price"] * common).sample(frac=1, random_state=seed)
    one, other = (econ.segmentation(t, "chained").provinces for t in (table, changed))
    pd.testing.assert_frame_equal(one, other, rtol=1e-8)  # logs of other numbers, then differences


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        ({}, {"form": "index"}, UsageError, "no form 'index'"),
        ({}, {"pairs": "friends"}, UsageError, "pairs='friends'"),
        ({}, {"ddof": 2}, UsageError, "ddof 0 or 1"),
        ({}, {"min_goods": 1}, UsageError, "min_goods of 2"),
        ({}, {"price": "cpi"}, MissingColumnError, "no column 'cpi' in the table of prices"),
        ({"price": 0.0}, {}, BadInputError, "'price' is not positive in 80 of 80 rows.*not growth in percent"),
        ({"price": "dear"}, {}, BadInputError, "'price' holds text in 80 of 80"),
        ({"price": np.nan}, {}, BadInputError, "no change of price is known"),
        ({"good": "grain"}, {}, BadInputError, "more than once in the table of prices"),
        ({"year": np.nan}, {}, BadInputError, "no whole year|more than once"),
        ({"province": "Nowhere"}, {}, BadInputError, "more than once"),
        ({}, {"pairs": pd.DataFrame({"a": ["Hebei"], "b": ["Hebei"]})}, BadInputError, "'Hebei' with itself"),
        (
            {},
            {"pairs": pd.DataFrame({"a": ["Hebei", "Shanxi"], "b": ["Shanxi", "Hebei"]})},
            BadInputError,
            "'Shanxi' and 'Hebei' twice",
        ),
        ({}, {"pairs": pd.DataFrame({"a": ["河北"], "b": ["山西"]})}, BadInputError, "no pair has prices for both"),
        ({}, {"pairs": pd.DataFrame({"a": ["Hebei"]})}, BadInputError, "needs two columns"),
    ],
)
def test_bad_prices(prices, change, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.segmentation(prices.assign(**change), **{"form": "chained", **options})
    assert "\n" not in str(caught.value)


def test_bad_names_of_provinces(prices):
    for names, says in (
        ({"Hebei": "Nowhere"}, "'Nowhere' is no province"),
        ({"Hebei": "北京"}, "spells one province in two ways: 'Beijing' and '北京'"),
    ):
        with pytest.raises(BadInputError, match=says):
            econ.segmentation(prices.replace({"province": names}), "chained")
    with pytest.raises(BadInputError, match="one province, 'Hebei'"):
        econ.segmentation(prices.query("province == 'Hebei'"), "chained", "all")
    apart = prices.assign(good=prices["province"] + prices["good"])
    with pytest.raises(BadInputError, match="no two provinces of a pair have the price"):
        econ.segmentation(apart, "chained")


# --- schooling ----------------------------------------------------------------------------------------------------

LEVELS = pd.DataFrame(
    {
        "province": ["A", "B"],
        "none": [10, 0],
        "primary": [30, 0],
        "junior": [35, 0],
        "senior": [15, 0],
        "college": [6, 0],
        "bachelor": [3, 50],
        "graduate": [1, 50],
    }
)


def test_both_conventions_by_hand():
    """A: 6*.30 + 9*.35 + 12*.15 = 6.75, and 16*.10 = 1.6, or 15*.06 + 16*.03 + 19*.01 = 1.57."""
    for kind, table in (("counts", LEVELS), ("percent", LEVELS)):
        assert econ.schooling(table, kind)["schooling"].tolist() == pytest.approx([8.35, 16], rel=1e-14)
        found = econ.schooling(table, kind, "college15", keys=["province"])
        assert found["schooling"].tolist() == pytest.approx([8.32, 17.5], rel=1e-14)
        assert list(found.columns) == ["province", "schooling", "total", "reason"]
    one = LEVELS.assign(tertiary=[10, 100]).drop(columns=["college", "bachelor", "graduate"])
    assert econ.schooling(one, "percent")["schooling"].tolist() == pytest.approx([8.35, 16], rel=1e-14)
    renamed = one.rename(columns={"tertiary": "大专以上", "none": "未上学"})
    columns = {"tertiary": "大专以上", "none": "未上学"}
    assert econ.schooling(renamed, "percent", columns=columns)["schooling"].tolist() == pytest.approx([8.35, 16])


def test_what_is_missing_has_a_reason():
    table = LEVELS.assign(none=[np.nan, 0.0], bachelor=[np.nan, 0], graduate=[1, 0])
    found = econ.schooling(table, "counts")
    assert found["schooling"].isna().all()
    assert found["reason"].tolist() == ["none, bachelor missing", "no people"]


@given(st.lists(st.integers(0, 10_000), min_size=7, max_size=7).filter(any), st.floats(0.01, 100))
@settings(deadline=None, max_examples=50)
def test_schooling_is_a_mean(people, factor):
    """Between 0 and the longest level, the same for any unit of counts, and for the shares that they make."""
    table = pd.DataFrame([people], columns=LEVELS.columns[1:]).astype(float)
    for convention, longest in (("tertiary16", 16), ("college15", 19)):
        years = econ.schooling(table, "counts", convention)["schooling"][0]
        assert 0 <= years <= longest * (1 + 1e-15)
        # a few roundings of sums of seven terms
        assert econ.schooling(table * factor, "counts", convention)["schooling"][0] == pytest.approx(years, rel=1e-13)
        shares = table / sum(people)
        assert econ.schooling(shares, "shares", convention)["schooling"][0] == pytest.approx(years, rel=1e-13)


def test_shares_rounded_in_print_are_accepted_within_the_tolerance():
    off = LEVELS.assign(none=[10.4, 0])
    assert econ.schooling(off, "percent")["schooling"][0] == pytest.approx(835 / 100.4, rel=1e-14)
    with pytest.raises(BadInputError, match=r"percent of levels do not sum to 100 within 0.1 in 1 of 2 rows \(row 1\)"):
        econ.schooling(off, "percent", tolerance=0.001)


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        ({}, {"kind": "people"}, UsageError, "no kind 'people'"),
        ({}, {"convention": "13"}, UsageError, "no convention '13'"),
        ({}, {"columns": {"phd": "graduate"}}, UsageError, "no level 'phd'"),
        ({}, {"columns": {"tertiary": "college", "college": "college"}}, UsageError, "includes 'college'"),
        ({}, {"columns": {"tertiary": "college"}, "convention": "college15"}, UsageError, "needs college, bachelor"),
        ({}, {"columns": {"none": "no"}}, MissingColumnError, "no column 'no'"),
        (
            {},
            {"kind": "shares"},
            BadInputError,
            r"shares .* sum to 1 within 0.005 in 2 of 2 rows \(province A; .*to 100",
        ),
        ({"none": 9}, {}, BadInputError, "percent of levels do not sum to 100"),
        ({"none": -1}, {"kind": "counts"}, BadInputError, "negative in 2 of 2"),
        ({"none": "few"}, {}, BadInputError, "'none' holds text"),
    ],
)
def test_bad_levels(change, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.schooling(LEVELS.assign(**change), **{"kind": "percent", "keys": ["province"], **options})
    assert "\n" not in str(caught.value)


def test_a_level_without_a_column():
    for level in ("none", "junior", "bachelor"):
        with pytest.raises(BadInputError, match=f"the level '{level}' has no column"):
            econ.schooling(LEVELS.drop(columns=level), "counts")


def test_the_paper_s_human_capital_cannot_be_years():
    """Table 1: mean .2959, maximum 2.4835; people who all finished primary school have 6 years."""
    least = LEVELS.assign(none=0, primary=100, junior=0, senior=0, college=0, bachelor=0, graduate=0)
    assert econ.schooling(least, "percent")["schooling"].min() == 6 > 2.4835


# --- ratios and densities -----------------------------------------------------------------------------------------

YEARBOOK = pd.DataFrame(
    {
        "province": ["A", "B", "C", "D"],
        "road": [3.0, 1.0, 2.0, np.nan],
        "rail": [0.5, 0.0, 1.0, 1.0],
        "area": [10.0, 0.0, np.nan, 5.0],
        "trade": [100.0, 50.0, 10.0, 0.0],
        "gdp": [1000.0, 0.0, 500.0, 100.0],
        "yuan_per_usd": [8.0, 8.0, np.nan, 8.0],
    }
)


def test_a_density_in_units():
    """3.5 x 10^4 km on 10 x 10^4 km2 are 35 km per 100 km2."""
    out = econ.density(YEARBOOK, ["road", "rail"], "area", "transport", "10000 km", "10000 km2", keys=["province"])
    assert list(out.columns) == ["province", "transport", "reason"]
    assert out["transport"].tolist() == pytest.approx([35, np.nan, np.nan, np.nan], nan_ok=True)
    assert out["reason"].tolist() == ["", "area is 0", "area missing", "road missing"]
    assert out.attrs["unit"] == "km per 100 km2"
    people = econ.density(YEARBOOK, "trade", "area", unit="10000 persons", area_unit="1000 ha", per=1)
    assert people["density"][0] == pytest.approx(100 * 1e4 / 100)  # 10 x 1,000 ha are 100 km2
    assert people.attrs["unit"] == "persons per km2"
    metres = econ.density(YEARBOOK, "road", "area", unit="m", area_unit="1e6 m2")
    assert metres["density"][0] == pytest.approx(3 * 1e-3 * 100 / 10)
    assert metres.attrs["unit"] == "km per 100 km2"


def test_a_ratio_in_units():
    plain = econ.ratio(YEARBOOK, "trade", "gdp", "openness")
    assert plain["openness"].tolist() == pytest.approx([0.1, np.nan, 0.02, 0.0], nan_ok=True)
    assert plain["reason"].tolist() == ["", "gdp is 0", "", ""]
    assert plain.attrs["unit"] == ""
    # 100 million USD at 8 yuan on 1000 x 100 million yuan
    units = {"unit": "1000000 USD", "per": "100000000 yuan"}
    in_yuan = econ.ratio(YEARBOOK, "trade", "gdp", **units, rate="yuan_per_usd")
    assert in_yuan["ratio"][0] == pytest.approx(0.008, rel=1e-14)
    assert in_yuan.attrs["unit"] == "1"
    assert in_yuan["reason"][2] == "yuan_per_usd missing"
    assert econ.ratio(YEARBOOK, "trade", "gdp", **units).attrs["unit"] == "USD per yuan"
    same = econ.ratio(YEARBOOK, ["trade", "rail"], "gdp", unit="10000 yuan", per="100000000 yuan")
    assert same.attrs["unit"] == "1"
    assert same["ratio"][0] == pytest.approx(100.5 * 1e4 / (1000 * 1e8), rel=1e-14)
    huge = econ.ratio(pd.DataFrame({"a": [1e308, 1e-308], "b": [1e-10, 1e-308]}), "a", "b")
    assert huge["ratio"].tolist() == pytest.approx([np.nan, 1], nan_ok=True)
    assert huge["reason"].tolist() == ["beyond the range of numbers", ""]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda t: econ.ratio(t, "trade", "gdp", unit="USD"), UsageError, "give both"),
        (
            lambda t: econ.ratio(t, "trade", "gdp", unit="12 USD", per="yuan"),
            UsageError,
            "cannot read the unit '12 USD'",
        ),
        (
            lambda t: econ.ratio(t, "trade", "gdp", unit="yuan", per="yuan", rate="yuan_per_usd"),
            UsageError,
            "both in yuan",
        ),
        (lambda t: econ.ratio(t, "trade", "gnp"), MissingColumnError, "no column 'gnp'"),
        (lambda t: econ.ratio(t.assign(gdp=-1), "trade", "gdp"), BadInputError, "'gdp' is negative in 4 of 4"),
        (lambda t: econ.ratio(t.assign(gdp="x"), "trade", "gdp"), BadInputError, "'gdp' holds text"),
        (lambda t: econ.ratio(t, "trade", "gdp", "province", keys=["province"]), UsageError, "another column of it"),
        (lambda t: econ.density(t, "road", "area", area_unit="km"), UsageError, "'km' is no area"),
        (lambda t: econ.density(t, "road", "area", per=0), UsageError, "positive area"),
        (lambda t: econ.density(t.assign(road=-1), "road", "area"), BadInputError, "'road' is negative in 4 of 4"),
    ],
)
def test_bad_ratios(call, error, says):
    with pytest.raises(error, match=says) as caught:
        call(YEARBOOK)
    assert "\n" not in str(caught.value)


# --- splicing -----------------------------------------------------------------------------------------------------


def index(values, first, provinces=("A", "B")):
    rows = [(p, first + t, v) for p, series in zip(provinces, values, strict=True) for t, v in enumerate(series)]
    return pd.DataFrame(rows, columns=["province", "year", "index"])


OLD = index([[2, 4, 6, 8], [10, 10, 14, 20]], 2005)  # 2005-2008
NEW = index([[9, 12, 13], [7, 10, 12]], 2007)  # 2007-2009


@pytest.mark.parametrize(
    ("method", "a", "b", "slope"),
    [
        # 2007, 2008: A 6, 8 -> 9, 12; B 14, 20 -> 7, 10
        ("ratio", [3, 6], [5, 5], [1.5, 0.5]),
        ("difference", [5.5, 7.5], [1.5, 1.5], [1, 1]),
    ],
)
def test_splices_by_hand(method, a, b, slope):
    found = econ.splice(NEW, OLD, method, overlap=[2007, 2008])
    values = found.data.set_index(["province", "year"])
    assert values.loc["A", "index"].tolist() == pytest.approx([*a, 9, 12, 13], rel=1e-14)
    assert values.loc["B", "index"].tolist() == pytest.approx([*b, 7, 10, 12], rel=1e-14)
    assert values["source"].tolist() == ["converted", "converted", "base", "base", "base"] * 2
    assert found.factors["slope"].tolist() == pytest.approx(slope, rel=1e-14)
    assert f"spliced by {method} over 2007, 2008, factors by entity: 6 rows as given, 4 converted" in found.report()


def test_a_splice_with_one_factor_for_all():
    found = econ.splice(NEW, OLD, "ratio", [2007, 2008], scope="common")
    assert found.factors[["province", "n", "slope"]].to_numpy().tolist() == [["all", 4, 38 / 48]]
    assert found.factors["max_gap"][0] == pytest.approx(20 * 38 / 48 - 10)
    x, y = np.array([6, 8, 14, 20]), np.array([9, 12, 7, 10])
    line = econ.splice(NEW, OLD, "regression", [2007, 2008], scope="common").factors.iloc[0]
    assert [line["slope"], line["intercept"]] == pytest.approx(np.polyfit(x, y, 1), rel=1e-10)  # by QR there


@given(st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_planted_change_of_base_is_undone(slope, intercept, seed):
    truth = np.random.default_rng(seed).uniform(2, 9, (3, 10))
    base, other = index(truth[:, 4:], 2004, "ABC"), index(slope * truth[:, :8] + intercept, 2000, "ABC")
    for scope in ("entity", "common"):
        line = econ.splice(base, other, "regression", range(2004, 2008), scope)
        # four points a line with a condition of some 10
        assert_allclose(line.data["index"], truth.ravel(), rtol=1e-8, atol=1e-8)
    pure = index(slope * truth[:, :8], 2000, "ABC"), index(truth[:, :8] + intercept, 2000, "ABC")
    for other, method in zip(pure, ("ratio", "difference"), strict=True):
        for overlap in ([2005], [2004, 2007]):
            found = econ.splice(base, other, method, overlap)
            assert_allclose(found.data["index"], truth.ravel(), rtol=1e-12)


def test_entities_of_one_series_are_named():
    found = econ.splice(NEW, index([[1, 1, 1, 1], [1, 2, 3, 4]], 2005, "AC"), "ratio", [2007])
    assert found.unspliced == ("B", "C")
    assert set(found.data["province"]) == {"A", "B"}
    assert "2 in one series only, not spliced: B, C" in found.report()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"method": "guess"}, UsageError, "no method 'guess'"),
        ({"scope": "region"}, UsageError, "no scope 'region'"),
        ({"overlap": []}, UsageError, "no overlap was given"),
        ({"method": "regression"}, UsageError, "a line by entity needs 3 years, found 2"),
        ({"value": "score"}, MissingColumnError, "no column 'score' in the series 'base'"),
        ({"overlap": [2006, 2007]}, BadInputError, "overlap 2006, 2007 is not complete, missing are A 2006 in base"),
        ({"other": OLD.assign(index=-1)}, BadInputError, "a ratio needs positive means, found 10.5 / -1 for A"),
        ({"other": OLD.assign(province="Z").iloc[:4]}, BadInputError, "no province is in both series"),
        ({"other": pd.concat([OLD, OLD])}, BadInputError, "more than once in the series 'other'"),
        ({"other": OLD.assign(index="x")}, BadInputError, "'index' holds text"),
        (
            {"method": "regression", "scope": "common", "other": OLD.assign(index=3)},
            BadInputError,
            "does not vary in the years in common",
        ),
    ],
)
def test_bad_splices(options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.splice(**{"base": NEW, "other": OLD, "method": "ratio", "overlap": [2007, 2008], **options})
    assert "\n" not in str(caught.value)


# --- standardisation ----------------------------------------------------------------------------------------------


def test_minmax_over_the_sample_and_given_bounds():
    table = pd.DataFrame({"x": [2.0, 4.0, np.nan, 10.0]}, index=[5, 6, 7, 8])
    x = econ.minmax(table, "x")
    assert x.tolist() == pytest.approx([0, 0.25, np.nan, 1], nan_ok=True)
    assert x.attrs["bounds"] == (2, 10)
    assert x.index.tolist() == [5, 6, 7, 8]
    assert econ.minmax(table, "x", (0, 5)).tolist() == pytest.approx([0.4, 0.8, np.nan, 2], nan_ok=True)
    # the range of the first is beyond the largest number, that of the second the smallest there is
    assert econ.minmax(pd.DataFrame({"x": [-1.5e308, 0, 1.5e308]}), "x").tolist() == [0, 0.5, 1]
    assert econ.minmax(pd.DataFrame({"x": [0, 5e-324]}), "x").tolist() == [0, 1]


def test_interactions_by_hand():
    table = pd.DataFrame({"f": [1.0, 2.0, 3.0], "m": [10.0, 30.0, 20.0]})
    assert econ.interaction(table, "f", "m", "none").tolist() == [10, 60, 60]
    assert econ.interaction(table, "f", "m", "components").tolist() == [0, 0.5, 0.5]
    product = econ.interaction(table, "f", "m", "product")
    assert product.tolist() == [0, 1, 1]
    assert product.attrs["bounds"] == {"f:m": (10, 60)}
    given = econ.interaction(table, "f", "m", "components", {"m": (0, 40)})
    assert given.tolist() == [0, 0.375, 0.5]
    assert given.attrs["bounds"] == {"f": (1, 3), "m": (0, 40)}
    assert econ.interaction(table, "f", "m", "product", {"product": (0, 120)}).tolist() == [10 / 120, 0.5, 0.5]


def test_the_t_of_an_interaction_does_not_depend_on_its_scale(panel):
    """econometrics of the paper's six models: only coefficients and main effects change."""
    t, main = {}, {}
    for how in ("none", "components", "product"):
        table = panel.assign(both=econ.interaction(panel, "forward", "backward", how).to_numpy())
        if how == "components":
            table = table.assign(**{c: econ.minmax(panel, c) for c in ("forward", "backward")})
        found = econ.fit(table, "gini ~ forward + backward + both")
        t[how], main[how] = (found.params / found.std_errors)[["both", "forward"]]
    # the design is the same up to a linear map; QR rounds by its condition of some 100
    assert t["components"] == pytest.approx(t["none"], rel=1e-8)
    assert t["product"] == pytest.approx(t["none"], rel=1e-8)
    assert main["product"] == pytest.approx(main["none"], rel=1e-8)
    assert abs(main["components"] - main["none"]) > 0.01


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda t: econ.minmax(t, "constant"), BadInputError, "'constant' is 1 in every row"),
        (lambda t: econ.minmax(t, "empty"), BadInputError, "'empty' is empty"),
        (lambda t: econ.minmax(t, "x", (3, 3)), UsageError, "expected a minimum below a maximum"),
        (lambda t: econ.minmax(t, "X"), MissingColumnError, "no column 'X'"),
        (lambda t: econ.minmax(t.assign(x="a"), "x"), BadInputError, "'x' holds text"),
        (lambda t: econ.interaction(t, "x", "y", "both"), UsageError, "standardise='both'"),
        (lambda t: econ.interaction(t, "x", "y", "product", {"x": (0, 1)}), UsageError, "does not standardise 'x'"),
    ],
)
def test_bad_scales(call, error, says):
    table = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 1.0], "constant": 1.0, "empty": np.nan})
    with pytest.raises(error, match=says):
        call(table)


# --- command line -------------------------------------------------------------------------------------------------


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_segmentation_from_files(capsys, tmp_path, prices):
    prices.to_csv(tmp_path / "prices.csv", index=False)
    expected = econ.segmentation(prices, "chained")
    call = ("controls", "segmentation", tmp_path / "prices.csv", "--form", "chained")
    code, out, err = run(capsys, *call)
    assert code == 0
    assert "econ: 4 pairs, 4 provinces, 4 years, 5 goods" in err
    read = pd.read_csv(io.StringIO(out), keep_default_na=False)
    pd.testing.assert_frame_equal(read, expected.provinces, check_dtype=False)

    code, out, _ = run(capsys, *call, "--out", tmp_path / "out.csv", "--steps", tmp_path)
    assert (code, out) == (0, "")
    assert len(pd.read_csv(tmp_path / "changes.csv")) == len(expected.changes)
    assert len(pd.read_csv(tmp_path / "pairs.csv")) == len(expected.pairs)

    pd.DataFrame({"a": ["Hebei"], "b": ["Shanxi"]}).to_csv(tmp_path / "given.csv", index=False)
    code, _, err = run(capsys, *call, "--pairs", tmp_path / "given.csv")
    assert code == 0
    assert "econ: 1 pairs" in err
    assert "8 provinces and years: no pair" in err


def test_schooling_from_a_file(capsys, tmp_path):
    LEVELS.rename(columns={"college": "dazhuan"}).assign(year=2000).to_csv(tmp_path / "people.csv", index=False)
    call = ("controls", "schooling", tmp_path / "people.csv", "--kind", "percent")
    code, out, err = run(capsys, *call, "--level", "college=dazhuan", "--convention", "college15")
    assert code == 0
    assert pd.read_csv(io.StringIO(out))["schooling"].tolist() == pytest.approx([8.32, 17.5])
    assert "mean 12.91 years by college15, 0 missing" in err
    code, out, _ = run(capsys, *call, "--level", "college=dazhuan", "--out", tmp_path / "out.csv")
    assert (code, out) == (0, "")
    code, _, err = run(capsys, *call)
    assert code == 3
    assert "the level 'college' has no column" in err
    code, _, err = run(capsys, *call, "--level", "college")
    assert code == 2
    assert "cannot read --level 'college'" in err


@pytest.mark.parametrize("command", [(), ("segmentation",), ("schooling",)])
def test_help_shows_an_example(capsys, command):
    with pytest.raises(SystemExit) as done:
        main(["controls", *command, "--help"])
    assert done.value.code == 0
    assert f"econ controls {command[0] if command else 'segmentation'} " in capsys.readouterr().out
