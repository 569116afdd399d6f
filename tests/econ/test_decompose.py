"""Decompositions: numbers from R, by hand, and what adds up."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import econ
from econ.decomposition import shapley
from econ.errors import BadInputError, MissingColumnError, UsageError

properties = settings(deadline=None, max_examples=50)
R = 1e-13  # every digit: R printed fourteen or fifteen, and the last of ours is rounding
ADD_UP = 1e-12

EVERY = [
    ("theil", "additive"),
    ("theil_l", "additive"),
    *((f"ge({alpha})", "additive") for alpha in (-1, 0.5, 0.999999, 2)),
    ("gini", "dagum"),
    ("gini", "classical"),
    ("atkinson(0.5)", "factorial"),
    ("atkinson(1)", "factorial"),
    ("gini", "shapley"),
    ("theil", "shapley"),
    ("hoover", "shapley"),
    ("cv", "shapley"),
]
every_method = pytest.mark.parametrize(("index", "method"), EVERY)


def table(x, groups, w=None, **more):
    return pd.DataFrame({"zone": range(len(x)), "mean": x, "province": groups, "w": 1.0 if w is None else w, **more})


def parts_of(found):
    return dict(zip(found.components["component"], found.components["contribution"], strict=True))


@pytest.fixture(scope="module")
def ilocos(golden):
    case = golden("ineq_ilocos")
    city = case.data.reset_index(names="zone").rename(columns={"income": "mean"})
    return city, case.expected["decomposition_unweighted"]


# --- computed elsewhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "method", "key"),
    [
        ("theil_l", "additive", "decomp_ge0"),
        ("theil", "additive", "decomp_ge1"),
        ("ge(2)", "additive", "decomp_ge2"),
        ("gini", "dagum", "decomp_gini"),
        ("gini", "classical", "decomp_gini"),
    ],
)
def test_ilocos_by_province(ilocos, index, method, key):
    """R package IC2 1.0-1: decompGEI, decompSGini."""
    city, expected = ilocos
    parts = parts_of(econ.decompose(city, period=None, index=index, method=method))
    for component, name in (("within", "within province"), ("between", "between province"), ("overlap", "overlap")):
        if component in expected[key]:
            assert_allclose(parts[name], expected[key][component][0], rtol=R)


def test_atkinson_of_ilocos(ilocos):
    """R package IC2 1.0-1: decompAtkinson; its cross term is what has to be taken away."""
    city, expected = ilocos
    parts = parts_of(econ.decompose(city, period=None, index="atkinson(1)"))
    cross = expected["decomp_atk1"]["cross"][0]
    assert_allclose(parts["within province"], expected["decomp_atk1"]["within"][0], rtol=R)
    assert_allclose(parts["between province"], expected["decomp_atk1"]["between"][0], rtol=R)
    assert_allclose(parts["interaction"], -cross, rtol=R)


@pytest.mark.parametrize(
    ("index", "key"),
    [("theil_l", "ge0"), ("theil", "ge1"), ("ge(2)", "ge2"), ("gini", "gini"), ("atkinson(1)", "atk1")],
)
def test_largest_between_of_ilocos(ilocos, index, key):
    """R package IC2 1.0-1: betweenELMO, after Elbers et al. (2008)."""
    city, expected = ilocos
    found = econ.maximal_between(city["mean"], city["province"], index)
    assert_allclose(found, expected[f"decomp_{key}"]["betweenELMO"][0], rtol=R)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_dagum_by_hand():
    """Groups {1, 3} and {2, 6}: means 2 and 4; pairs 2-1, 6-1, 6-3 are gains of the richer, 3-2 of the poorer."""
    found = econ.decompose(table([1.0, 3, 2, 6], list("aabb")), period=None, index="gini")
    pair = found.pairs.iloc[0]
    d, q = Fraction(1 + 5 + 3, 4), Fraction(1, 4)  # D is measured over the four pairs
    gross = (d + q) / (2 + 4) * (Fraction(1, 2) * Fraction(2, 3) + Fraction(1, 2) * Fraction(1, 3))
    affluence = (d - q) / (d + q)
    assert (pair["g"], pair["h"]) == ("a", "b")
    assert_allclose(pair["gini"], float((d + q) / 6), rtol=1e-15)  # last digit
    assert_allclose(pair["affluence"], float(affluence), rtol=1e-15)
    parts = parts_of(found)
    assert_allclose(parts["between province"], float(gross * affluence), rtol=1e-15)
    assert_allclose(parts["overlap"], float(gross * (1 - affluence)), rtol=1e-14)  # a difference
    # both groups have a Gini of 1/4
    within = Fraction(1, 4) * Fraction(1, 2) * (Fraction(1, 3) + Fraction(2, 3))
    assert_allclose(parts["within province"], float(within), rtol=1e-15)
    assert_allclose(sum(parts.values()), econ.gini([1, 3, 2, 6]), rtol=1e-15)


def test_theil_by_hand():
    """Groups {1, 3} and {2, 6}: T = (1/3) T(1,3) + (2/3) T(2,6) + T(2,4), and T(2,6) = T(1,3)."""
    found = econ.decompose(table([1.0, 3, 2, 6], list("aabb")), period=None)
    inside = (0.5 * math.log(0.5) + 1.5 * math.log(1.5)) / 2
    between = (2 / 3 * math.log(2 / 3) + 4 / 3 * math.log(4 / 3)) / 2
    assert_allclose(list(parts_of(found).values()), [inside, between], rtol=1e-13)  # rounding of a few terms
    assert_allclose(found.groups["value_share"], [1 / 3, 2 / 3])
    assert_allclose(found.groups["weight_share"], [1 / 2, 1 / 2])
    assert_allclose(found.groups["index"], inside, rtol=1e-13)


def test_shapley_within_between_by_hand():
    """Groups {1, 3} and {2, 6}: means 2, 4; scaled to the mean 3 they are {1.5, 4.5} twice."""
    found = parts_of(econ.decompose(table([1.0, 3, 2, 6], list("aabb")), period=None, index="gini", method="shapley"))
    total, means, scaled = econ.gini([1, 3, 2, 6]), econ.gini([2, 2, 4, 4]), econ.gini([1.5, 4.5, 1.5, 4.5])
    assert_allclose(found["within province"], (total - means + scaled) / 2, rtol=1e-14)  # rounding of a few terms
    assert_allclose(found["between province"], (means + total - scaled) / 2, rtol=1e-14)


def test_shapley_value_of_the_gloves():
    """L. S. Shapley, M. Shubik (1969): one left glove and two right ones; a pair is worth 1: 4/6, 1/6, 1/6."""
    worth = {(): 0, (0,): 0, (1,): 0, (2,): 0, (0, 1): 1, (0, 2): 1, (1, 2): 0, (0, 1, 2): 1}
    assert_allclose(shapley(3, lambda coalition: np.array(float(worth[coalition]))), [4 / 6, 1 / 6, 1 / 6], rtol=1e-14)


def test_shapley_sources_by_hand():
    """Two sources, mean elimination: half of (alone) plus half of (what is lost without it)."""
    city = table([0.0] * 3, ["p"] * 3, a=[1.0, 2, 6], b=[4.0, 1, 1])
    found = econ.shapley_sources(city, ["a", "b"], period=None).set_index("source")["contribution"]
    total, a, b = econ.gini([5, 3, 7]), econ.gini([3, 4, 8]), econ.gini([7, 4, 4])
    assert_allclose(found["a"], (a + total - b) / 2, rtol=1e-13)  # rounding of a few terms
    assert_allclose(found["b"], (b + total - a) / 2, rtol=1e-13)
    gone = econ.shapley_sources(city, ["a", "b"], period=None, elimination="zero").set_index("source")["contribution"]
    a, b = econ.gini([1, 2, 6]), econ.gini([4, 1, 1])
    assert_allclose(gone["a"], (a + total - b) / 2, rtol=1e-13)


# --- what adds up ---------------------------------------------------------------------------------------------------


@st.composite
def grouped(draw, zeros=False):
    """A table of units with weights in at least two groups."""
    n = draw(st.integers(3, 25))
    elements = st.floats(0.05, 1e3)
    x = draw(arrays(float, n, elements=st.one_of(st.just(0.0), elements) if zeros else elements))
    groups = draw(arrays(int, n, elements=st.integers(0, 4)))
    assume(x.sum() > 0)
    return table(x, groups, draw(arrays(float, n, elements=st.floats(0.1, 10))))


@every_method
@properties
@given(city=grouped())
def test_parts_add_up(index, method, city):
    found = econ.decompose(city, period=None, index=index, method=method, weights="w").components
    expected = econ.inequality_of(city["mean"], index, city["w"])
    assert_allclose(found["total"], expected, rtol=1e-9, atol=ADD_UP)  # rtol: the rows are in another order
    scale = max(1.0, expected)
    assert abs(found["contribution"].sum() - found["total"].iloc[0]) < ADD_UP * scale
    if expected > 1e-3:
        assert abs(found["share"].sum() - 1) < ADD_UP * scale / expected
    assert (found["reason"] == "").all()


@pytest.mark.parametrize(("index", "method"), EVERY[:10])
@properties
@given(city=grouped())
def test_no_part_is_negative(index, method, city):
    """Neither within nor between nor overlap; only Atkinson's interaction is taken away."""
    parts = parts_of(econ.decompose(city, period=None, index=index, method=method, weights="w"))
    for name, part in parts.items():
        assert part <= ADD_UP if name == "interaction" else part >= -ADD_UP


@every_method
@properties
@given(city=grouped())
def test_one_group_has_no_between_and_groups_of_one_no_within(index, method, city):
    alone = econ.decompose(city.assign(province="p"), period=None, index=index, method=method, weights="w")
    assert_allclose(parts_of(alone)["between province"], 0, atol=ADD_UP)
    single = econ.decompose(city.assign(province=city["zone"]), period=None, index=index, method=method, weights="w")
    assert_allclose(parts_of(single)["within province"], 0, atol=1e-11)  # a difference of two Ginis, or 1 - (1 - x)


@properties
@given(city=grouped())
def test_dagum_equals_the_classical_split(city):
    """Net between is the Gini of the means, transvariation the residual; found pair by pair and by difference."""
    dagum, classical = (
        parts_of(econ.decompose(city, period=None, index="gini", method=method, weights="w"))
        for method in ("dagum", "classical")
    )
    for name in dagum:
        assert_allclose(dagum[name], classical[name], rtol=1e-9, atol=ADD_UP)  # rtol: other sums


def test_groups_that_do_not_overlap():
    found = parts_of(econ.decompose(table([1.0, 2, 5, 9], list("aabb")), period=None, index="gini"))
    assert found["overlap"] == 0


@properties
@given(city=grouped(), alpha=st.sampled_from([0, 0.5, 1, 2]))
def test_nested_levels_add_up(city, alpha):
    """City < province < region < nation: the levels sum to the whole, and to the split by the coarsest alone."""
    city = city.assign(region=city["province"] // 2, half=city["province"] // 4)
    index = f"ge({alpha})"
    nested = parts_of(econ.decompose(city, ["province", "region", "half"], period=None, index=index, weights="w"))
    assert list(nested) == ["within province", "between province", "between region", "between half"]
    total = econ.inequality_of(city["mean"], index, city["w"])
    assert abs(sum(nested.values()) - total) < ADD_UP * max(1, total)
    coarse = parts_of(econ.decompose(city, "half", period=None, index=index, weights="w"))
    assert_allclose(nested["between half"], coarse["between half"], rtol=1e-9, atol=ADD_UP)  # rtol: other sums
    fine = parts_of(econ.decompose(city, "province", period=None, index=index, weights="w"))
    assert_allclose(nested["within province"], fine["within province"], rtol=1e-9, atol=ADD_UP)


@properties
@given(city=grouped(zeros=True), index=st.sampled_from(["theil", "ge(0.5)", "ge(2)", "gini", "atkinson(0.5)"]))
def test_dark_units_and_dark_groups_add_up(city, index):
    found = econ.decompose(city, period=None, index=index, weights="w").components
    assert abs(found["contribution"].sum() - found["total"].iloc[0]) < ADD_UP * max(1, found["total"].iloc[0])


@pytest.mark.parametrize("index", ["theil", "theil_l", "gini", "atkinson(1)"])
@properties
@given(city=grouped())
def test_largest_between_is_largest(index, city):
    """At least the actual between, at most the index; the index itself where every unit is a group."""
    found = econ.maximal_between(city["mean"], city["province"], index, city["w"])
    between = parts_of(econ.decompose(city, period=None, index=index, weights="w"))["between province"]
    total = econ.inequality_of(city["mean"], index, city["w"])
    if city["province"].nunique() > 1:
        assert between - 1e-9 <= found <= total + 1e-9  # the borders are sums in another order
        assert_allclose(econ.maximal_between(city["mean"], city["zone"], index, city["w"]), total, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("elimination", ["mean", "zero"])
@properties
@given(
    data=st.data(),
    n=st.integers(2, 12),
    k=st.integers(2, 5),
    index=st.sampled_from(["gini", "theil", "hoover", "atkinson(0.5)"]),
)
def test_sources_add_up(elimination, data, n, k, index):
    y = data.draw(arrays(float, (n, k), elements=st.floats(0.1, 100)))
    names = [f"s{j}" for j in range(k)]
    city = pd.DataFrame(y, columns=names).assign(zone=range(n))
    found = econ.shapley_sources(city, names, index, period=None, elimination=elimination)
    total = econ.inequality_of(y.sum(1), index)
    assert_allclose(found["contribution"].sum(), total, rtol=0, atol=ADD_UP)
    assert_allclose(found["value_share"].sum(), 1, rtol=ADD_UP)
    assert_allclose(found["total"], total, rtol=1e-9, atol=ADD_UP)  # rtol: other sums
    # the same source twice has the same share, whatever its name
    twin = econ.shapley_sources(city.assign(twin=city["s0"]), [*names, "twin"], index, period=None)
    twin = twin.set_index("source")["contribution"]
    assert_allclose(twin["twin"], twin["s0"], rtol=0, atol=ADD_UP)


# --- tables ---------------------------------------------------------------------------------------------------------


def panel():
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        [
            (f"{p}{k}", year, f"P{p}", "east" if p < 2 else "west", rng.lognormal(), rng.uniform(1, 5))
            for year in (2000, 2001)
            for p, size in enumerate((1, 3, 4, 2))
            for k in range(size)
        ],
        columns=["zone", "year", "province", "region", "mean", "population"],
    )


@every_method
def test_periods_are_split_one_by_one(index, method):
    city = panel()
    together = econ.decompose(city.sample(frac=1, random_state=1), index=index, method=method, weights="population")
    for year in (2000, 2001):
        part = city[city["year"] == year]
        alone = econ.decompose(part, index=index, method=method, weights="population")
        here = together.components.query("year == @year").reset_index(drop=True)
        assert_frame_equal(here, alone.components, rtol=1e-9)


def test_groups_of_nested_levels():
    found = econ.decompose(panel(), ["province", "region"], index="theil_l", weights="population")
    groups = found.groups
    assert list(groups.columns[:4]) == ["level", "group", "year", "n"]
    for _, part in groups.groupby(["year", "level"]):
        assert_allclose(part["weight_share"].sum(), 1)
        assert_allclose(part["value_share"].sum(), 1)
        assert part["n"].sum() == 10
    inside = groups.groupby(["year", "level"])["contribution"].sum()
    parts = found.components.set_index(["year", "component"])["contribution"]
    assert_allclose(inside[2000, "province"], parts[2000, "within province"])
    assert_allclose(inside[2000, "region"], parts[2000, "between province"])


def test_reasons_and_notes():
    city = pd.DataFrame(
        [
            *[("a", 1, "p", 0.0), ("b", 1, "p", 0.0)],
            *[("a", 2, "p", 3.0), ("b", 2, "p", np.nan)],
            *[("a", 3, "p", 0.0), ("b", 3, "q", 2.0), ("c", 3, "q", 4.0)],
        ],
        columns=["zone", "year", "province", "mean"],
    )
    found = econ.decompose(city, index="theil_l")
    reasons = found.components.groupby("year")["reason"].first().tolist()
    assert reasons == ["all units are dark", "one unit", "undefined, 1 of 3 units are dark"]
    assert found.components["contribution"].isna().all()
    assert found.notes == ("1 of 7 rows have no mean or no weight and do not count",)
    shapley_of_3 = econ.decompose(city, index="gini", method="shapley").components.query("year == 3")
    assert set(shapley_of_3["reason"]) == {"a group is dark"}


def test_sources_by_province_and_year():
    city = panel().assign(industry=lambda t: t["mean"], farms=lambda t: 2 / (1 + t["mean"]))
    found = econ.shapley_sources(city, ["industry", "farms"], by="province")
    assert list(found.columns[:3]) == ["province", "year", "source"]
    assert set(found.loc[found["province"] == "P0", "reason"]) == {"one unit"}
    known = found[found["province"] != "P0"].groupby(["province", "year"])
    assert_allclose(known["share"].sum(), 1)
    one = city.query("province == 'P2' and year == 2001")
    assert_allclose(
        found.query("province == 'P2' and year == 2001")["contribution"],
        econ.shapley_sources(one, ["industry", "farms"], period=None)["contribution"],
    )


GOOD = panel()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"by": "provinc"}, MissingColumnError, "mean 'province'"),
        ({"by": ["region", "province"]}, BadInputError, "region 'east' lies in 2 groups of 'province', 'P0' and 'P1'"),
        ({"by": ["province", "region"], "index": "gini"}, UsageError, "dagum takes one grouping and by names 2"),
        ({"by": []}, UsageError, r"by names the columns \[\]"),
        ({"index": "gini", "method": "additive"}, UsageError, "gini has no additive decomposition: choose among dagum"),
        ({"method": "oaxaca"}, UsageError, "no method 'oaxaca'"),
        ({"index": "gini_unbiased"}, UsageError, "choose gini"),
        ({"index": "gi"}, UsageError, "no index 'gi'"),
        ({"value": "region"}, BadInputError, "'region' holds text"),
    ],
)
def test_bad_calls(options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.decompose(GOOD, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: econ.decompose(GOOD.iloc[:0]), BadInputError, "no rows"),
        (lambda: econ.decompose(GOOD.assign(mean=-1.0)), BadInputError, "'mean' is negative in 20 of 20"),
        (lambda: econ.decompose(GOOD.assign(mean=np.nan)), BadInputError, "nothing to split"),
        (lambda: econ.decompose(pd.concat([GOOD, GOOD])), BadInputError, "occurs more than once"),
        (lambda: econ.shapley_sources(GOOD, ["mean"]), UsageError, "the sources are mean: expected 2 to 12"),
        (
            lambda: econ.shapley_sources(GOOD, ["mean", "mean"]),
            UsageError,
            "the sources are mean, mean: expected 2 to 12",
        ),
        (lambda: econ.shapley_sources(GOOD, ["mean", "population"], elimination="no"), UsageError, "'no'"),
        (lambda: econ.shapley_sources(GOOD, ["mean", "populaton"]), MissingColumnError, "'population'"),
        (
            lambda: econ.shapley_sources(GOOD.assign(mean=-GOOD["mean"]), ["mean", "population"]),
            BadInputError,
            "negative in 20",
        ),
        (lambda: econ.maximal_between([1, 2], ["a"]), BadInputError, "1 groups for 2 values"),
    ],
)
def test_bad_tables(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_sources_without_inequality_say_so():
    city = pd.DataFrame({"zone": ["a", "b"], "province": "P", "year": 2000, "mean": [0.0, 0.0], "gdp": [1.0, 1.0]})
    table = econ.shapley_sources(city, ["mean", "gdp"])
    assert table["share"].isna().all()
    assert set(table["reason"]) == {"no inequality to share"}
