"""What a user does wrong: one clear sentence that names the variable, or the right number, and no warning."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import econ
from econ.cli import main
from econ.errors import BadInputError, EconError, EstimationError, MissingColumnError, UsageError

LEAST_SQUARES = ("pooled", "between", "fd", "fe", "re", "mundlak")
WITH_INSTRUMENTS = ("iv", "liml", "gmm-iv")
ESTIMATORS = (*LEAST_SQUARES, *WITH_INSTRUMENTS)
PLAIN, BRACKET = "y ~ x + v", "y ~ x + [w + u ~ z1 + z2 + z3]"


def simulated(entities=10, periods=8, seed=0, keep=0.9):
    """y from x, v, w and u with effects of both keys; w and u endogenous, z1 to z3 their instruments."""
    rng = np.random.default_rng(seed)
    i, t = (axis.ravel() for axis in np.meshgrid(np.arange(entities), np.arange(periods), indexing="ij"))
    n = i.size
    a, d, e, z = rng.normal(size=entities), rng.normal(size=periods), rng.normal(size=n), rng.normal(size=(3, n))
    x, v = rng.normal(size=n) + a[i], rng.normal(size=n)
    w = z[0] + z[1] / 2 + e / 2 + rng.normal(size=n) / 2
    u = z[2] + z[1] / 3 + e / 3 + rng.normal(size=n) / 2
    table = pd.DataFrame(
        {
            "province": [f"P{code:02d}" for code in i],
            "year": 2000 + t,
            "y": 1 + x / 2 - v / 3 + w - u / 2 + a[i] + d[t] + e,
            "x": x,
            "v": v,
            "w": w,
            "u": u,
            "z1": z[0],
            "z2": z[1],
            "z3": z[2],
            "weight": rng.uniform(0.5, 2, n),
            "group": i // 2,
            "half": np.where(i % 2, "a", "b"),
        }
    )
    return table[rng.random(n) < keep].reset_index(drop=True)


@pytest.fixture(scope="module")
def data():
    return simulated()


def formula_of(estimator):
    return BRACKET if estimator in WITH_INSTRUMENTS else PLAIN


def refused(error, says, call):
    with pytest.raises(error, match=says) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert "\x1b" not in message
    assert message.endswith((".", "?"))
    assert len(message) < 600  # one sentence, whatever was put in


# --- every estimator ------------------------------------------------------------------------------------------------


def first(column, value):
    return lambda d: d.assign(**{column: [value, *d[column].iloc[1:]]})


TABLES = [
    (lambda d: d.head(0), BadInputError, "no rows"),
    (lambda d: pd.DataFrame(), MissingColumnError, "there is no column 'province'"),
    (lambda d: d.drop(columns="x"), MissingColumnError, "there is no column 'x'"),
    (lambda d: pd.concat([d, d.head(1)]), BadInputError, r"\(province, year\) occurs more than once"),
    (lambda d: pd.concat([d, d[["x"]]], axis=1), BadInputError, "column 'x' stands more than once"),
    (lambda d: d.set_index(["province", "year"]), BadInputError, r"'province' and 'year' stand in the index.*reset_i"),
    (lambda d: d.set_index("year"), BadInputError, "'year' stands in the index"),
    (first("province", None), BadInputError, "'province' is empty in 1 of"),
    (first("year", np.nan), BadInputError, "'year' is empty in 1 of"),
    (first("y", np.inf), BadInputError, "'y' is infinite in 1 of.*province P00, year 2000"),
    (first("x", -np.inf), BadInputError, "'x' is infinite in 1 of"),
    (first("x", "1,5"), BadInputError, "'x' holds text in 1 of .*'1,5'.*province P00, year 2000"),
    (lambda d: d.assign(x=pd.Timestamp("2000-01-01")), BadInputError, "'x' holds dates"),
    (lambda d: d.assign(x=pd.Timedelta("1D")), BadInputError, "'x' holds what is no number"),
    (lambda d: d.assign(x=1j), BadInputError, "'x' holds complex numbers"),
    (lambda d: d.assign(x=pd.Categorical(d["half"])), BadInputError, "'x' holds text"),
    (lambda d: d.assign(y=d["y"] * 1e300), BadInputError, "'y' has .*e.300 as its largest size .*change its unit"),
    (lambda d: d.assign(x=d["x"] * 1e-300), BadInputError, "'x' has .*e-300 as its largest size"),
    (lambda d: d.assign(x=2**1000), BadInputError, "'x' has 1.07e.301"),
]


# refused before or by each estimator in its own way
ALIKE = [
    (lambda d: d.assign(y=3.0), EstimationError, "'y' does not vary"),
    (lambda d: d.assign(y=2 * d["x"] - 1), EstimationError, "exactly"),
    (lambda d: d.head(2), EstimationError, "carry|there is one province|needs at least two|no .* left"),
    (lambda d: d.head(1), EstimationError, "no regressor is left|there is one province"),
    (lambda d: d.assign(x=1.0, v=2.0, w=3.0, u=4.0), EstimationError, "no regressor is left .x dropped"),
]


@pytest.mark.parametrize(
    ("spoil", "error", "says", "estimator"),
    [
        *((*case, estimator) for case in TABLES for estimator in ("fe", "iv")),
        *((*case, estimator) for case in ALIKE for estimator in ESTIMATORS),
    ],
)
def test_tables_that_no_estimator_takes(data, spoil, error, says, estimator):
    refused(error, says, lambda: econ.fit(spoil(data), formula_of(estimator), estimator))


@pytest.mark.parametrize("what", [None, {"y": [1]}, [1], "panel.csv"])
def test_what_is_no_table(what):
    refused(UsageError, "expected a pandas DataFrame", lambda: econ.fit(what, PLAIN))


OPTIONS = [
    ({"estimator": ["fe"]}, "no estimator"),
    ({"estimator": "FE"}, "no estimator 'FE'"),
    ({"cov": "robust"}, "has no covariance 'robust': choose among classical"),
    ({"cov": ["hc1"]}, "no covariance"),
    ({"cov": "cluster", "cluster": 5}, "cluster is 5"),
    ({"cov": "cluster", "cluster": [5]}, r"cluster is \[5\]"),
    ({"cov": "cluster", "cluster": []}, "pass cluster='province'"),
    ({"cov": "cluster", "cluster": ["province", "province"]}, "names 'province' twice"),
    ({"cov": "cluster", "cluster": ["province", "year", "group"]}, "takes 2 columns of clusters"),
    ({"cov": "cr2", "cluster": ["province", "year"]}, "takes 1 column of clusters"),
    ({"cov": "driscoll-kraay", "lags": -1}, "lags=-1 is no number of periods"),
    ({"cov": "driscoll-kraay", "lags": 1.0}, "lags=1.0 is no number"),
    ({"cov": "newey-west", "kernel": "tukey"}, "no kernel 'tukey'"),
    ({"lags": 1}, "no meaning with cov='classical'"),
    ({"ssc": ["stata"]}, "no ssc"),
    ({"small": "no"}, "small is 'no'"),
    ({"entity": 0}, "entity is 0"),
    ({"entity": ["province"]}, "entity is"),
    ({"time": "province"}, "both 'province'"),
    ({"weights": [1, 2]}, "weights is|takes no weights"),
    ({"step": 0}, "step is 0"),
    ({"step": 1.5}, "step is 1.5"),
    ({"step": "a"}, "step is 'a'"),
    ({"fullr": 1}, "no option 'fullr'"),
    ({"draws": 99}, "no option 'draws'"),
]


@pytest.mark.parametrize("estimator", ["re", "iv"])
@pytest.mark.parametrize(("options", "says"), OPTIONS)
def test_options_of_the_wrong_kind(data, estimator, options, says):
    refused(UsageError, says, lambda: econ.fit(data, formula_of(estimator), **{"estimator": estimator, **options}))


@pytest.mark.parametrize(
    ("estimator", "options", "says"),
    [
        ("fe", {"effects": "twowy"}, "no effects 'twowy'"),
        ("fe", {"effects": ["entity"]}, "no effects"),
        ("fe", {"effects": "none"}, "use estimator='pooled'"),
        ("re", {"effects": "time"}, "no random effects 'time'"),
        ("pooled", {"effects": "entity"}, "has no effects"),
        ("iv", {"effects": "both"}, "no effects 'both'"),
        ("re", {"variant": "amemiya"}, "no variant 'amemiya'"),
        ("mundlak", {"variant": 5}, "no variant 5"),
        ("between", {"wls": "no"}, "wls is 'no'"),
        ("between", {"cov": "cluster", "cluster": "province"}, "one row an entity"),
        ("liml", {"fuller": -1}, "fuller is -1"),
        ("liml", {"fuller": "one"}, "fuller is 'one'"),
        ("liml", {"fuller": math.nan}, "fuller is nan"),
        ("liml", {"fuller": None}, "fuller is None"),
        ("liml", {"fuller": 1e6}, "degrees of freedom"),
        ("gmm-iv", {"steps": 3}, "steps is 3"),
        ("gmm-iv", {"steps": True}, "steps is True"),
        ("gmm-iv", {"cov": "hc3"}, "no meaning for estimator='gmm-iv'"),
        ("gmm-iv", {"cov": "cr2", "cluster": "province"}, "no meaning for estimator='gmm-iv'"),
        ("iv", {"orthogonality": "zz"}, "'zz', which is no instrument"),
        ("iv", {"orthogonality": 3}, "3, which is no instrument"),
        ("iv", {"dofminus": -1}, "dofminus is -1"),
        ("iv", {"dofminus": 500}, "dofminus=500 and sdofminus=0 leave no degree of freedom"),
        ("gmm-iv", {"sdofminus": 500}, "sdofminus=500 leave no degree of freedom"),
        ("fe", {"cov": "wild", "cluster": "province", "draws": 0}, "draws is 0"),
        ("fe", {"cov": "wild", "cluster": "province", "draws": "many"}, "draws is 'many'"),
        ("fe", {"cov": "wild", "cluster": "province", "seed": -1}, "seed is -1"),
        ("fe", {"cov": "wild", "cluster": "province", "draw_weights": "norm"}, "no draws 'norm'"),
        ("fe", {"cov": "wild", "cluster": "province", "impose_null": "no"}, "impose_null is 'no'"),
        ("fe", {"cov": "wild", "cluster": "province", "weights": "weight"}, "takes no weights"),
        ("fe", {"cov": "wild", "cluster": ["province", "year"]}, "takes 1 column"),
        ("re", {"cov": "wild", "cluster": "province"}, "no wild bootstrap"),
        ("re", {"weights": "weight"}, "takes no weights"),
        ("fd", {"entity": None}, "needs a panel"),
    ],
)
def test_options_of_one_estimator(data, estimator, options, says):
    refused(UsageError, says, lambda: econ.fit(data, formula_of(estimator), estimator, **options))


# --- clusters, weights, periods -------------------------------------------------------------------------------------


def test_clusters(data):
    def fit(estimator="fe", column="c", cov="cluster", **columns):
        return econ.fit(data.assign(**columns), formula_of(estimator), estimator, cov=cov, cluster=column)

    for estimator in ("pooled", "fe", "fd", "re", "iv"):
        refused(EstimationError, "one cluster in 'c'", lambda e=estimator: fit(e, c=1))
        refused(EstimationError, r"no row has all the variables \(c \(clusters\)", lambda e=estimator: fit(e, c=None))
    refused(MissingColumnError, "no column 'zz'", lambda: fit(column="zz"))
    refused(BadInputError, "several clusters of 'c', which ssc='stata'", lambda: fit(c=np.arange(len(data)) % 3))
    one_missing = fit(c=[np.nan, *data["group"].iloc[1:]])
    assert one_missing.nobs == len(data) - 1
    assert f"1 of {len(data)} rows left out, values missing: c (clusters) (1)" in one_missing.notes
    expected = econ.fit(data.iloc[1:], PLAIN, cov="cluster", cluster="group")
    assert_allclose(one_missing.cov, expected.cov, rtol=1e-9)  # sums of other blocks of rows
    as_category = fit(c=pd.Categorical(data["group"], categories=range(99)))
    assert_allclose(as_category.std_errors, fit(column="group").std_errors, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["pooled", "fe", "iv", "liml", "gmm-iv"])
def test_weights(data, estimator):
    def fit(weights):
        return econ.fit(data.assign(weight=weights), formula_of(estimator), estimator, weights="weight", cov="hc1")

    negative = r"'weight' is negative in 1 of \d+ rows \(province P00, year 2000\)"
    refused(BadInputError, negative, lambda: fit([-1.0, *data["weight"].iloc[1:]]))
    refused(BadInputError, "'weight' has no weight above 0", lambda: fit(0.0))
    refused(BadInputError, "'weight' has no weight above 0", lambda: fit(np.nan))
    refused(BadInputError, "'weight' holds text", lambda: fit("heavy"))
    refused(BadInputError, "'weight' has .*e-311 as its largest size", lambda: fit(1e-311))
    refused(EstimationError, "carry|there is one province", lambda: fit([1.0] * 3 + [0.0] * (len(data) - 3)))
    without = fit([0.0, *data["weight"].iloc[1:]])
    assert "values missing: weight (weight 0 or missing) (1)" in without.notes[0]
    expected = econ.fit(data.iloc[1:], formula_of(estimator), estimator, weights="weight", cov="hc1")
    assert_allclose(without.params, expected.params, rtol=1e-10)  # weights are scaled by another sum


def test_one_entity_and_one_period(data):
    alone, cross = data[data["province"] == "P00"], data[data["year"] == 2000]
    for frame, says in ((alone, r"there is one province \(P00\)"), (cross, r"there is one year \(2000\)")):
        refused(EstimationError, says, lambda f=frame: econ.fit(f, PLAIN))
        refused(EstimationError, says, lambda f=frame: econ.fit(f, "y ~ [w ~ z1]", "iv", effects="twoway"))
    for estimator, says in (
        ("re", "1 groups cannot carry a between regression"),
        ("mundlak", "no regressor varies both inside province and between them"),
        ("between", "1 province cannot carry 3 coefficients"),
    ):
        refused(EstimationError, says, lambda e=estimator: econ.fit(alone, PLAIN, e))
    refused(EstimationError, "none of the .* first differences need consecutive", lambda: econ.fit(cross, PLAIN, "fd"))
    refused(EstimationError, "expected more rows a group", lambda: econ.fit(cross, PLAIN, "re"))
    refused(
        EstimationError,
        "which spans 1 periods",
        lambda: econ.fit(cross, PLAIN, "pooled", cov="driscoll-kraay"),
    )
    # what is left is least squares on one entity, or on one period
    assert_allclose(
        econ.fit(cross, PLAIN, "between").params, econ.fit(cross, PLAIN, "pooled").params, rtol=1e-10
    )  # rounding


def test_what_is_constant_within_entities(data):
    flat = data.assign(x=data["group"] + 0.1, y_flat=data["group"])
    est = econ.fit(flat, PLAIN)
    assert "x dropped: absorbed by the effects of province and year" in est.notes
    assert list(est.params.index) == ["Intercept", "v"]
    assert "x dropped: it never changes between consecutive periods" in econ.fit(flat, PLAIN, "fd").notes
    assert "x" in econ.fit(flat, PLAIN, "re").params
    flat_y = "y_flat ~ v + x"
    refused(EstimationError, "'y_flat' does not vary once the effects", lambda: econ.fit(flat, flat_y))
    refused(EstimationError, "'y_flat' never changes between", lambda: econ.fit(flat, "y_flat ~ v", "fd"))
    refused(EstimationError, "exactly", lambda: econ.fit(flat, "y_flat ~ v", "re"))


@pytest.mark.parametrize(
    "options", [{"cov": "driscoll-kraay", "lags": 0}, {"cov": "cluster", "cluster": "year", "ssc": "fixest"}]
)
def test_standard_errors_that_cancel_are_not_given(options):
    """With two periods and both effects the scores of each period sum to zero: nothing is left to judge by."""
    est = econ.fit(simulated(6, 2, seed=3, keep=1.0), PLAIN, **options)
    assert est.std_errors[["x", "v"]].isna().all()
    assert any(note.startswith("no standard error of x: its scores sum to zero in every") for note in est.notes)
    assert np.isfinite(est.params).all()


def test_a_cross_section_in_clusters_has_no_time(data):
    """Rows of one entity without a time column are no duplicates."""
    one = econ.fit(data, PLAIN, "pooled", time=None, cov="cluster", cluster="province")
    two = econ.fit(data, PLAIN, "pooled", cov="cluster", cluster="province")
    assert one.cov.equals(two.cov)
    assert econ.fit(data, PLAIN, "pooled", entity=None, time=None).nobs == len(data)
    refused(UsageError, "needs a panel", lambda: econ.fit(data, PLAIN, time=None))
    refused(UsageError, "L1.x goes by time", lambda: econ.fit(data, "y ~ L.x", "pooled", time=None))


def test_times_that_are_no_numbers(data):
    dates = data.assign(year=pd.to_datetime(data["year"].astype(str)))
    text = data.assign(year="y" + data["year"].astype(str))
    periods = data.assign(year=pd.PeriodIndex(data["year"].astype(str), freq="Y"))
    halves = data.assign(year=data["year"] / 2)
    wanted = econ.fit(data, PLAIN, cov="cluster", cluster=["province", "year"])
    for table in (dates, text, periods, halves):
        est = econ.fit(table, PLAIN, cov="cluster", cluster=["province", "year"])
        assert_allclose(est.cov, wanted.cov, rtol=1e-12)
        # gaps do not show in them, which matters here only
        for call in ({"estimator": "fd"}, {"cov": "newey-west"}, {"cov": "driscoll-kraay"}):
            assert any("gaps between them are not seen" in note for note in econ.fit(table, PLAIN, **call).notes)
    assert not any("not seen" in note for note in econ.fit(data, PLAIN, "fd").notes)
    refused(BadInputError, "'year' holds dates", lambda: econ.fit(dates, "y ~ L.x"))
    refused(BadInputError, "'year' holds text .*'y2000'", lambda: econ.fit(text, "y ~ L.x"))
    refused(BadInputError, "'year' holds what is no number", lambda: econ.fit(periods, "y ~ L.x"))
    refused(BadInputError, "'year' has 1000.5", lambda: econ.fit(halves, "y ~ L.x"))
    refused(BadInputError, "not whole steps of 5 after 2000", lambda: econ.fit(data, "y ~ L.x", step=5))
    refused(BadInputError, "not whole steps of 5 after 2000", lambda: econ.fit(data, PLAIN, "fd", step=5))


@pytest.mark.parametrize(
    ("formula", "error", "says"),
    [
        ("y ~ L20.x", EstimationError, "the panel has 8 periods of year, and order 20 takes at least 21"),
        ("y ~ L(1/30).x", EstimationError, "L8.x has no value in any row"),
        ("y ~ L101.x", UsageError, "at most 100 periods"),
        ("y ~ L(1/b).x", UsageError, "expected whole numbers, such as"),
        ("y ~ L.(x + v)", UsageError, "write it before every variable"),
        ("y ~ L.half", BadInputError, "'half' holds text"),
        ("y ~ L.nope", MissingColumnError, "no column 'nope'"),
        ("y ~ L.C(half)", UsageError, "write the function around the lag"),
        ("y ~ L.ln(x)", BadInputError, "L1.ln.x. is not a finite number .*a logarithm needs values > 0"),
        ("y ~ ln(x)", BadInputError, r"a logarithm needs values > 0\."),
        ("y ~ sqrt(x)", BadInputError, r"a root needs values >= 0\."),
        ("y ~ exp(1000 * x)", BadInputError, r"an exponential needs values below 700\."),
        ("y ~ minmax(I(x * 0))", BadInputError, "minmax needs values that differ"),
        ("y ~ I(x / (v - v))", BadInputError, r"a ratio needs a divisor other than 0\."),
        ("y ~ ln(x, v)", UsageError, "expected ln of one expression"),
        ("y ~ ln(x=x)", UsageError, "expected ln of one expression"),
        ("y ~ ln()", UsageError, "expected ln of one expression"),
        ("y ~ C(half, contr.sum)", UsageError, "expected C of one expression"),
        ("y ~ I('a')", UsageError, "holds 'a'.*expected numbers and columns"),
        ("y ~ I(f'{x}')", UsageError, "expected numbers and columns"),
        ("y ~ I(x.__class__)", UsageError, "uses x.__class__"),
        ("y ~ I((lambda: 1)())", UsageError, "uses lambda"),
        ("y ~ .", UsageError, "has a '.' by itself"),
        ("y - v ~ x", UsageError, "'-' on its left side.*I.y - x."),
        ("y ~ x - v", UsageError, "leaves out a term with '-' that is not there"),
        ("y ~ -x", UsageError, "leaves out a term|no regressor"),
        ("y ~ x:x", UsageError, "crosses a variable with itself"),
        ("y ~ x*x", UsageError, "crosses a variable with itself"),
        ("y ~ ln(v):ln(v)", UsageError, "crosses a variable with itself"),
        ("y ~ 5:x", UsageError, "the number 5 outside a function"),
        ("y ~ 5*x", UsageError, "cannot be read"),
        ("y ~ x ~ v", UsageError, "cannot be read"),
        ("y ~ x; v", UsageError, "cannot be read"),
        ("y \uff5e x", UsageError, "expected 'dependent ~"),
        ("1 ~ x", UsageError, "left side of the formula gives 0 columns"),
        ("y ~ I(" + "+".join(["x"] * 2000) + ")", UsageError, "cannot be read"),
        ("y ~ " + "+".join(f"nothing{j}" for j in range(300)), MissingColumnError, "no column 'nothing0'"),
        (None, UsageError, "the formula is None"),
        (b"y ~ x", UsageError, "expected 'dependent ~"),
        ("", UsageError, "the formula is ''"),
        ("y ~ x + [w ~ z1", UsageError, "brackets that cannot be read"),
        ("y ~ [w ~ z1] + [u ~ z2]", UsageError, "brackets that cannot be read"),
        ("y ~ x + [~]", UsageError, "brackets that cannot be read"),
        ("y ~ x*[w ~ z1]", UsageError, "cannot be read"),
    ],
)
def test_formulas(data, formula, error, says):
    refused(error, says, lambda: econ.fit(data, formula))


def test_a_long_formula_is_right(data):
    """Terms that are given again count once."""
    assert econ.fit(data, "y ~ " + "+".join(["x", "v"] * 500)).params.equals(econ.fit(data, PLAIN).params)


def test_more_coefficients_than_rows(data):
    rng = np.random.default_rng(1)
    names = [f"v{j}" for j in range(120)]
    wide = pd.concat([data, pd.DataFrame(rng.normal(size=(len(data), 120)), columns=names)], axis=1)
    for estimator, formula, says in (
        ("pooled", f"y ~ {' + '.join(names)}", r"\d+ rows cannot carry \d+ coefficients"),
        ("fe", f"y ~ {' + '.join(names)}", r"\d+ rows cannot carry \d+ coefficients, 17 of them effects"),
        ("re", f"y ~ {' + '.join(names[:30])}", "10 groups cannot carry a between regression"),
        ("fd", f"y ~ {' + '.join(names[:60])}", r"\d+ differences cannot carry"),
        ("between", f"y ~ {' + '.join(names[:30])}", "10 province cannot carry 31 coefficients"),
        ("iv", f"y ~ [w ~ {' + '.join(names)}]", "cannot carry first stages of"),
    ):
        refused(EstimationError, says, lambda f=formula, e=estimator: econ.fit(wide, f, e))


# --- instruments ----------------------------------------------------------------------------------------------------


def orthogonal_to(data, *names):
    """A column without any correlation with those named, nor a mean."""
    W = np.column_stack([np.ones(len(data)), *(data[name] for name in names)])
    noise = np.random.default_rng(1).normal(size=len(data))
    return noise - W @ np.linalg.lstsq(W, noise, rcond=None)[0]


@pytest.mark.parametrize("estimator", WITH_INSTRUMENTS)
@pytest.mark.parametrize(
    ("columns", "formula", "options", "error", "says"),
    [
        ({}, "y ~ x + [w + u ~ z1]", {}, EstimationError, r"2 endogenous variables \(w, u\) have 1 instruments \(z1\)"),
        ({"z2": lambda d: 2 * d["z1"]}, "y ~ x + [w + u ~ z1 + z2]", {}, EstimationError, "z2 dropped: collinear"),
        ({"z1": lambda d: d["group"]}, "y ~ x + [w ~ z1]", {"effects": "entity"}, EstimationError,
         "instrument z1 dropped: absorbed by the effects of province"),
        ({"w": lambda d: d["group"]}, "y ~ x + [w ~ z1]", {"effects": "entity"}, EstimationError,
         "no endogenous variable is left .w dropped: absorbed"),
        ({"w": lambda d: d["x"]}, "y ~ x + [w ~ z1]", {}, EstimationError, "no endogenous variable is left .w dropped"),
        ({}, "y ~ x + [w ~ x]", {}, UsageError, "'x' stands in two places"),
        ({}, "y ~ x + [w ~ w]", {}, UsageError, "'w' stands in two places"),
        ({}, "y ~ w + [w ~ z1]", {}, UsageError, "'w' stands in two places"),
        ({"z1": lambda d: 2 * d["x"] + 1}, "y ~ x + [w ~ z1]", {}, EstimationError, "instrument z1 dropped: collinear"),
        ({"z1": lambda d: d["w"]}, "y ~ x + [w ~ z1]", {}, EstimationError, "reproduce 'w' exactly"),
        ({"z1": lambda d: orthogonal_to(d, "x", "w")}, "y ~ x + [w ~ z1]", {}, EstimationError,
         "move the endogenous regressors .w. in 0 of 1 directions"),
        ({}, PLAIN, {}, UsageError, "has no instruments"),
    ],
)  # fmt: skip
def test_instruments_that_identify_nothing(data, estimator, columns, formula, options, error, says):
    spoiled = data.assign(**columns)
    refused(error, says, lambda: econ.fit(spoiled, formula, estimator, **options))


@pytest.mark.parametrize("estimator", WITH_INSTRUMENTS)
def test_what_is_redundant_is_dropped_and_named(data, estimator):
    copies = data.assign(z2=2 * data["z1"], u=3 * data["w"])
    est = econ.fit(copies, "y ~ x + [w + u ~ z1 + z2]", estimator)
    for what in ("u", "instrument z2"):
        assert f"{what} dropped: collinear with regressors before it" in est.notes
    assert_allclose(est.params, econ.fit(data, "y ~ x + [w ~ z1]", estimator).params, rtol=1e-10)  # same columns


def test_gmm_with_fewer_clusters_than_moments(data):
    refused(
        EstimationError,
        "the covariance of 5 moments is singular",
        lambda: econ.fit(data, BRACKET, "gmm-iv", cov="cluster", cluster="half"),
    )


# --- columns of any type, with any name -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["fe", "iv"])
def test_types_of_columns(data, estimator):
    formula = formula_of(estimator)
    wanted = econ.fit(data, formula, estimator).to_frame()
    mixed = data.assign(x=data["x"].astype(object), v=data["v"].astype(str), z1=data["z1"].astype("Float64"))
    for table in (
        data.convert_dtypes(),
        data.convert_dtypes(dtype_backend="pyarrow"),
        mixed,
        data.assign(province=pd.Categorical(data["province"]), year=data["year"].astype("uint16")),
        data.set_index(pd.Index(["same"] * len(data))),
        data.rename(columns={"group": 7, "half": ("a", "b")}),
    ):
        # the same numbers, of another type
        assert_allclose(econ.fit(table, formula, estimator).to_frame(), wanted, rtol=1e-12)


def test_missing_values_of_any_kind(data):
    holes = [None, *data["x"].iloc[1:]]
    wanted = econ.fit(data.iloc[1:], PLAIN).params
    for column in (
        pd.Series(holes, dtype="Float64"),
        pd.Series(holes, dtype=object),
        pd.Series(holes, dtype="double[pyarrow]"),
        pd.Series(["", *map(repr, data["x"].iloc[1:])]).replace("", None),
    ):
        est = econ.fit(data.assign(x=column), PLAIN)
        assert f"1 of {len(data)} rows left out, values missing: x (1)" in est.notes
        assert_allclose(est.params, wanted, rtol=1e-12)  # text keeps all digits


def test_booleans_and_categories(data):
    table = data.assign(
        positive=data["x"] > 0,
        kind=pd.Categorical(data["half"], categories=["unused", "b", "a"]),
        number=data["group"].astype("category"),
    )
    as_numbers = table.assign(positive=table["positive"].astype(int))
    assert econ.fit(table, "y ~ positive + v").params.equals(econ.fit(as_numbers, "y ~ positive + v").params)
    kinds = econ.fit(table, "y ~ C(kind) + x", "pooled")
    assert list(kinds.params.index) == ["Intercept", "C(kind)[T.a]", "x"]
    assert not kinds.notes
    assert econ.fit(table, "y ~ C(number) + x", "pooled").params.size == 6  # five groups
    missing = econ.fit(table.assign(half=[None, *table["half"].iloc[1:]]), "y ~ C(half) + x", "pooled")
    assert missing.nobs == len(data) - 1


NAMES = ["开放度", "x y", "x'y", 'say "x"', "a~b", "a+b", "x[1]", "x:1", "L.x", "L1.x", "ln(x)", "C(x)", "1x", "x%",
         "a\\b", "{x}", "a,b", "class", "True", "nan", "0", " x", "π"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_in_backquotes(data, name):
    renamed = data.rename(columns={"x": name, "z1": f"{name} z"})
    terms = f"`{name}` + L.`{name}` + `{name}`:v"
    est = econ.fit(renamed, f"y ~ {terms} + [v ~ `{name} z`]", "iv", effects="entity")
    wanted = econ.fit(data, "y ~ x + L.x + x:v + [v ~ z1]", "iv", effects="entity")
    assert_allclose(est.to_frame(), wanted.to_frame(), rtol=1e-12)
    assert list(est.params.index) == ["Intercept", name, f"L1.{name}", f"{name}:v", "v"]
    assert f"{name} | " in est.summary()
    assert name in json.loads(json.dumps(est.to_dict()))["coefficients"]


def test_names_that_cannot_be(data):
    for name in ("Intercept", "1"):
        renamed = data.rename(columns={"x": name})
        says = f"called '{name}', the name of the constant"
        refused(UsageError, says, lambda r=renamed, n=name: econ.fit(r, f"y ~ `{n}` + v"))
    numbered = data.rename(columns={"x": 5})
    refused(MissingColumnError, "column 5 of the panel is not named by text", lambda: econ.fit(numbered, "y ~ `5`"))
    refused(MissingColumnError, "'province'", lambda: econ.fit(pd.concat({"a": data}, axis=1), PLAIN))


# --- tests between estimates ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(data):
    return econ.fit(data, PLAIN, effects="entity"), econ.fit(data, PLAIN, "re")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda fe, re, d: (None, re), "expected an estimate"),
        (lambda fe, re, d: (fe, econ.fit(d.head(60), PLAIN, "re")), "not the same ones"),
        (lambda fe, re, d: (fe, econ.fit(d, "x ~ v", "re")), "not the same ones"),
        (lambda fe, re, d: (fe, econ.fit(d, PLAIN, "between")), "not the same ones"),
        (lambda fe, re, d: (econ.fit(d, PLAIN, effects="entity", weights="weight"), re), "with the same weights"),
        (lambda fe, re, d: (fe, econ.fit(d, "y ~ w", "re")), "no slope in common"),
        (lambda fe, re, d: (econ.fit(d, PLAIN, cov="hc1"), re), "right for classical errors only"),
    ],
)
def test_hausman_compares_two_estimates_of_one_sample(data, pair, change, says):
    refused(UsageError, says, lambda: econ.hausman(*change(*pair, data)))


def test_hausman_of_odd_contrasts(data, pair):
    fe, re = pair
    refused(UsageError, "expected each slope once", lambda: econ.hausman(fe, re, coefficients=["x", "x"]))
    refused(EstimationError, "the same covariance", lambda: econ.hausman(fe, fe))
    assert econ.hausman(fe, re, coefficients="x") == econ.hausman(fe, re, coefficients=["x"])
    shuffled = econ.fit(data.sample(frac=1, random_state=1), PLAIN, "re")
    assert_allclose(econ.hausman(fe, shuffled).stat, econ.hausman(fe, re).stat, rtol=1e-8)  # sums in another order
    turned = econ.hausman(re, fe)
    assert turned.stat == pytest.approx(-econ.hausman(fe, re).stat, rel=1e-9)
    assert math.isnan(turned.pvalue) == (turned.stat < 0)


@pytest.mark.parametrize(
    ("big", "small", "says"),
    [
        (("y ~ x", {}), (PLAIN, {}), "pass the larger model first"),
        ((PLAIN, {}), (PLAIN, {}), "against"),
        ((PLAIN, {}), ("y ~ w", {}), "'w' is in the smaller model only"),
        ((PLAIN, {}), ("y ~ w", {"estimator": "pooled"}), "'w' is in the smaller model only"),
        ((PLAIN, {"effects": "entity"}), ("y ~ x", {"effects": "time"}), "the effect of year is in the smaller"),
        ((PLAIN, {"weights": "weight"}), ("y ~ x", {}), "with the same weights"),
        ((PLAIN, {}), ("y ~ x", {"estimator": "re"}), "has no likelihood"),
        ((PLAIN, {}), ("ln(I(y + 99)) ~ x", {}), "not the same rows"),
        ((PLAIN, {}), ("y ~ L.x", {}), "not the same rows"),
    ],
)
def test_likelihood_ratios_want_nested_models(data, big, small, says):
    def both():
        return econ.lr(*(econ.fit(data, formula, **options) for formula, options in (big, small)))

    refused(UsageError, says, both)


def test_nested_by_what_the_columns_span(data):
    """Dummies hide in effects, and the order of rows or of terms does not matter."""
    big = econ.fit(data, "y ~ x", effects="entity")
    groups = econ.fit(data.sample(frac=1, random_state=2), "y ~ C(half) + x", "pooled")
    assert econ.lr(big, groups).df == (8,)
    years = econ.fit(data, "y ~ x + C(year)", effects="entity")
    assert econ.lr(years, econ.fit(data, "y ~ x", effects="time")).df == (9,)
    other_basis = econ.fit(data.assign(sum=data["x"] + data["v"]), "y ~ sum")
    assert econ.lr(econ.fit(data, PLAIN), other_basis).df == (1,)


def test_restrictions_with_odd_names(data):
    odd = {"x": "a+b", "v": "a", "w": "2*a", "u": "a = b", "z1": "e", "z2": "1e5", "z3": "-x"}
    est = econ.fit(data.rename(columns=odd), "y ~ " + " + ".join(f"`{name}`" for name in odd.values()))
    t = est.tvalues
    for text, name in (
        *zip(odd.values(), odd.values(), strict=True),
        ("a = b=0", "a = b"),
        ("3*e", "e"),
        ("--x", "-x"),
    ):
        assert_allclose(econ.wald(est, text).stat, t[name] ** 2, rtol=1e-9)
    both = econ.wald(est, "a + a+b")
    R = [[name in ("a", "a+b") for name in est.params.index]]
    assert_allclose(econ.wald(est, np.array(R, int)).stat, both.stat, rtol=1e-9)
    for given, says in (
        ("nope", "cannot be read at 'nope'"),
        ("a==1", "cannot be read"),
        ("a*2", "cannot be read"),
        ("1=1", "holds no coefficient"),
        ("a = 1e400", "not finite"),
        ("1e400*a", "not finite"),
        (["a", "a"], "repeat or contradict"),
        (["a = 1", "a = 2"], "repeat or contradict"),
        ([], "no restriction"),
        (None, "the restrictions are None"),
        (3, "the restrictions are 3"),
        (["a", 3], "mix words and numbers"),
        (np.full((1, 8), np.nan), "not finite"),
        (np.ones((1, 3)), "R has the shape"),
    ):
        refused(UsageError, says, lambda g=given: econ.wald(est, g))


@pytest.mark.parametrize("test", [econ.breusch_pagan, econ.pesaran_cd, econ.wooldridge_serial, econ.modified_wald])
def test_tests_of_residuals(data, test):
    refused(UsageError, "expected an estimate", lambda: test("est"))
    refused(UsageError, "is weighted", lambda: test(econ.fit(data, PLAIN, weights="weight")))
    cross = econ.fit(data, PLAIN, "pooled", entity=None, time=None)
    refused(EconError, "row", lambda: test(cross))
    if test is econ.modified_wald:
        refused(UsageError, "has random effects of province", lambda: test(econ.fit(data, PLAIN, "re")))
    for estimator in LEAST_SQUARES if test is not econ.modified_wald else ("fe",):
        est = econ.fit(data, PLAIN, estimator)
        if estimator == "between" or (estimator == "fd" and test is not econ.pesaran_cd):
            refused(UsageError, "one row an entity|keeps changes or means", lambda est=est: test(est))
        else:
            assert 0 <= test(est).pvalue <= 1
    if test in (econ.breusch_pagan, econ.wooldridge_serial):
        refused(UsageError, "has instruments", lambda: test(econ.fit(data, BRACKET, "iv", effects="entity")))


def test_anderson_rubin_of_what_is_no_number(data):
    one, two = econ.fit(data, "y ~ [w ~ z1 + z2]", "iv"), econ.fit(data, BRACKET, "iv")
    for level in (0, 1, 2, "a", math.nan):
        refused(UsageError, "between 0 and 1", lambda v=level: econ.anderson_rubin_set(one, v))
        refused(UsageError, "between 0 and 1", lambda v=level: one.conf_int(v))
    for values, says in (([0.5], "one number each"), ("a", "expected one number"), ([math.nan, 0], "finite")):
        refused(UsageError, says, lambda v=values: econ.anderson_rubin(two, v))
    refused(UsageError, "2 endogenous regressors", lambda: econ.anderson_rubin_set(two))
    refused(UsageError, "has no instruments", lambda: econ.anderson_rubin_set(econ.fit(data, PLAIN)))
    refused(UsageError, "expected an estimate", lambda: econ.anderson_rubin(None))


# --- how results read -----------------------------------------------------------------------------------------------

COVARIANCES = [
    {},
    {"cov": "hc3"},
    {"small": False},
    {"cov": "cluster", "cluster": "province"},
    {"cov": "cluster", "cluster": ["province", "year"], "ssc": "fixest"},
    {"cov": "cr2", "cluster": "province"},
    {"cov": "driscoll-kraay", "small": False},
    {"cov": "wild", "cluster": "province"},
]


def fits(data, estimator):
    """An estimate by every covariance that the estimator takes."""
    for options in COVARIANCES:
        try:
            yield econ.fit(data, formula_of(estimator), estimator, **options)
        except (UsageError, EstimationError):  # between has no clusters, GMM no leverage, some no bootstrap
            continue


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_results_read_well_and_go_through_json(data, estimator):
    found = list(fits(data, estimator))
    assert len(found) >= 2
    for est in found:
        lines = est.summary(0.9).splitlines()
        assert max(map(len, lines)) <= 86  # of the table of the longest name, "Intercept"
        text = " ".join(" ".join(lines).split())
        for note in est.notes:
            assert f"Note: {note}" in text
        for name, test in est.tests.items():
            assert name in ("f_model", "chi2_model") or f"{name}: {test}" in text
        model = est.tests.get("f_model") or est.tests.get("chi2_model")
        assert ("Wald chi2(" in text) == (model is not None and model.law == "chi2")
        satterthwaite = [note for note in est.notes if "Satterthwaite" in note]
        assert all((est.coefficient_df is None) == ("p-values here take" in note) for note in satterthwaite)
        for name, value in est.components.items():
            assert f"{name} | {value:.5g}" in text
        back = json.loads(json.dumps(est.to_dict(), allow_nan=False))
        assert back["coefficients"]["x"]["coef"] == est.params["x"]
        assert set(back["tests"]) == set(est.tests)
        assert all(back["tests"][name]["note"] == test.note for name, test in est.tests.items())
        assert back["components"] == est.components
        assert set(back["bootstrap"]) == set(est.bootstrap)
        if estimator in WITH_INSTRUMENTS:
            assert "First stages" in lines
            F = est.first_stages.loc["w", "F"]
            assert back["first_stages"]["w"]["F"] == (F if np.isfinite(F) else None)


def test_infinite_ends_are_none_in_json(data):
    """Two clusters can reject nothing, so that the bootstrap's interval is the whole line."""
    est = econ.fit(data, "y ~ x", cov="wild", cluster="half")
    assert np.isinf(est.conf_int().loc["x"]).all()
    assert est.to_dict()["coefficients"]["x"]["lower"] is None
    json.dumps(est.to_dict(), allow_nan=False)


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def regress(data, tmp_path, capsys):
    path = tmp_path / "panel.csv"
    data.to_csv(path, index=False)

    def run(*args):
        code = main(["regress", str(path), *args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def no_constant(text):
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("cov", [(), ("hc1",), ("cluster", "--cluster", "province")])
def test_json_of_every_estimator(regress, estimator, cov):
    if estimator == "between" and "cluster" in cov:
        return
    code, out, _ = regress(formula_of(estimator), "--estimator", estimator, "--json", *(("--cov", *cov) if cov else ()))
    assert code == 0
    (found,) = json.loads(out, parse_constant=no_constant)
    assert found["nobs"] > 0


@pytest.mark.parametrize(
    ("args", "call"),
    [
        ((PLAIN, "--effects", "entity", "--ssc", "fixest", "--cov", "cluster", "--cluster", "province", "year"),
         {"effects": "entity", "ssc": "fixest", "cov": "cluster", "cluster": ["province", "year"]}),
        ((PLAIN, "--large"), {"small": False}),
        ((PLAIN, "--cov", "newey-west", "--lags", "2", "--kernel", "parzen"),
         {"cov": "newey-west", "lags": 2, "kernel": "parzen"}),
        ((PLAIN, "--weights", "weight"), {"weights": "weight"}),
        (("y ~ L(1/2).x + D.v + F.v",), {}),
        ((PLAIN, "--estimator", "re", "--option", "variant=plm"), {"estimator": "re", "variant": "plm"}),
        ((PLAIN, "--estimator", "between", "--option", "wls=true"), {"estimator": "between", "wls": True}),
        ((BRACKET, "--estimator", "liml", "--option", "fuller=1"), {"estimator": "liml", "fuller": 1}),
        ((BRACKET, "--estimator", "gmm-iv", "--option", "steps=cue", "--cov", "hc1"),
         {"estimator": "gmm-iv", "steps": "cue", "cov": "hc1"}),
        ((BRACKET, "--estimator", "iv", "--option", "orthogonality=z1"), {"estimator": "iv", "orthogonality": ["z1"]}),
        (("y ~ x + [w ~ z1 + z2 + z3]", "--estimator", "iv", "--option", "orthogonality=z1,z2"),
         {"estimator": "iv", "orthogonality": ["z1", "z2"]}),
        ((PLAIN, "--cov", "wild", "--cluster", "province", "--option", "draw_weights=webb", "--option", "draws=99"),
         {"cov": "wild", "cluster": "province", "draw_weights": "webb", "draws": 99}),
    ],
)  # fmt: skip
def test_options_of_the_command_are_those_of_the_library(regress, data, args, call):
    code, out, _ = regress(*args, "--format", "summary")
    assert code == 0
    assert out == econ.fit(data, args[0], **call).summary() + "\n"


def test_hausman_of_the_command(regress, data):
    code, _, err = regress(PLAIN, "--estimator", "fe", "re", "--effects", "entity", "--hausman")
    assert code == 0
    test = econ.hausman(econ.fit(data, PLAIN, effects="entity"), econ.fit(data, PLAIN, "re"))
    assert f"econ: hausman: {test}\n" in err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ((PLAIN, "--option", "effects=entity"), 2, "--option names 'effects'"),
        ((PLAIN, "--option", "cov=hc1"), 2, "--option names 'cov'"),
        ((PLAIN, "--option", "df=1"), 2, "--option names 'df'"),
        ((PLAIN, "--option", "=1"), 2, "expected NAME=VALUE"),
        ((PLAIN, "--option", "fuller=1"), 2, "estimator='fe' has no option 'fuller'"),
        ((PLAIN, "--lags", "1"), 2, "no meaning with cov='classical'"),
        ((PLAIN, "--estimator", "fe", "re", "--hausman", "--cov", "hc1"), 2, "right for classical errors only"),
        ((PLAIN, "--estimator", "fe", "between", "--hausman"), 2, "not the same ones"),
        ((PLAIN, "--estimator", "re", "--weights", "weight"), 2, "takes no weights"),
        (("y ~ L.x", "--step", "0"), 2, "step is 0"),
        (("y ~ L.x", "--step", "5"), 3, "not whole steps of 5"),
        (("y ~ L40.x",), 3, "L40.x has no value in any row"),
        ((PLAIN, "--time", "yaer"), 3, "did you mean 'year'"),
        (("y - v ~ x",), 2, "'-' on its left side"),
        ((BRACKET,), 2, "has instruments in brackets"),
        (("y ~ x + [w + u ~ z1]", "--estimator", "iv"), 3, "have 1 instruments"),
    ],
)
def test_mistakes_on_the_command_line(regress, args, code, says):
    found, out, err = regress(*args)
    assert (found, out) == (code, "")
    assert err.startswith("econ: ")
    assert says in err
    assert err.count("\n") == 1


def test_tests_of_instruments_with_sums_that_cancel_are_nan():
    # net of the entities, the products of two periods add to zero but for rounding
    rng = np.random.default_rng(0)
    z, e = rng.normal(size=(2, 80)), rng.normal(size=(2, 80))
    x = z.sum(axis=0) + e[0]
    df = pd.DataFrame({"i": np.repeat(np.arange(40), 2), "t": np.tile([0, 1], 40), "x": x, "y": x + e.sum(axis=0)})
    df["z1"], df["z2"] = z
    est = econ.fit(
        df, "y ~ [x ~ z1 + z2]", "iv", effects="entity", entity="i", time="t", cov="cluster", cluster="t", ssc="reghdfe"
    )
    for name in ("kp_wald", "kp_f", "effective_f", "anderson_rubin", "anderson_rubin_chi2", "stock_wright"):
        assert np.isnan(est.tests[name].stat), name
    assert any("rk Wald F is not computed" in note for note in est.notes)


def test_panel_corrected_errors_are_refused_beside_instruments(data):
    call = lambda: econ.fit(data, BRACKET, "iv", effects="entity", cov="pcse")  # noqa: E731
    refused(UsageError, "cov='pcse' has no meaning beside instruments", call)


def test_hc1_without_its_factor_says_that_it_is_hc0(data):
    one, zero = (econ.fit(data, PLAIN, cov=cov, small=False) for cov in ("hc1", "hc0"))
    assert_allclose(one.cov, zero.cov, rtol=1e-15)
    assert any("HC1 is HC0" in note for note in one.notes)
