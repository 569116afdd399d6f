"""Pooled and fixed-effects estimates against R, against dummies written out, and against a planted truth."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import econ
from econ.errors import BadInputError, EstimationError, MissingColumnError, UsageError
from econ.estimators import static
from econ.estimators.covariance import PRESETS
from econ.estimators.within import absorb, absorbed_rank, singletons, split_columns

R = 1e-8  # coefficients and standard errors of R's fixest and plm: their own rounding
R_TEST = 1e-6  # F statistics and p-values: a ratio of sums of squares loses digits

CASES = {
    "static_grunfeld": ("inv ~ value + capital", "firm"),
    "static_fatalities": ("frate ~ beertax + unemp + income", "state"),
}


def close(series, expected, rtol):
    assert_allclose([series[name] for name in expected], list(expected.values()), rtol=rtol)


# --- R, and the books it agrees with --------------------------------------------------------------------------------


def test_grunfeld_in_print(golden):
    """B. Baltagi (2013), "Econometric Analysis of Panel Data", 5th ed., table 2.1, one-way fixed effects."""
    est = econ.fit(golden("static_grunfeld").data, "inv ~ value + capital", entity="firm", effects="entity")
    assert_allclose(est.params[["value", "capital"]], [0.1101, 0.3101], atol=5e-5)  # four decimals in print
    assert_allclose(est.std_errors[["value", "capital"]], [0.0119, 0.0174], atol=5e-5)


def test_fatalities_in_print(golden):
    """J. Stock, M. Watson, "Introduction to Econometrics", table 10.1, column 4."""
    est = econ.fit(golden("static_fatalities").data, "frate ~ beertax", entity="state", cov="cluster", cluster="state")
    assert_allclose(est.params["beertax"], -0.64, atol=5e-3)  # two decimals in print
    assert_allclose(est.std_errors["beertax"], 0.36, atol=5e-3)


@pytest.fixture(params=CASES)
def case(request, golden):
    formula, entity = CASES[request.param]
    found = golden(request.param)

    def fit(**options):
        return econ.fit(found.data, formula, entity=entity, **{"time": found.data.columns[1], **options})

    return fit, entity, found.expected["computed"]


@pytest.mark.parametrize(("effects", "name"), [("entity", "fe"), ("time", "fet"), ("twoway", "fe2")])
def test_effects(case, effects, name):
    fit, _, computed = case
    est, expected = fit(effects=effects), computed[name]
    close(est.params, expected["coef"], R)
    close(est.std_errors, expected["se"], R)
    assert est.df_resid == expected["df_resid"]
    assert est.nobs == expected["nobs"]
    # plm's R2 is net of all effects, ours of the entity effects alone where there are both, as Stata's
    assert_allclose(est.rsquareds["net" if effects == "twoway" else "within"], expected["r2"], rtol=R)
    if effects != "twoway":
        assert_allclose(est.rsquared_adj, expected["adjr2"], rtol=R)


def test_pooled(case):
    fit, _, computed = case
    est, expected = fit(estimator="pooled"), computed["pool"]
    close(est.params.rename({"Intercept": "(Intercept)"}), expected["coef"], R)
    close(est.std_errors.rename({"Intercept": "(Intercept)"}), expected["se"], R)
    assert_allclose([est.rsquared, est.rsquared_adj], [expected["r2"], expected["adjr2"]], rtol=R)
    assert est.df_resid == expected["df_resid"]


@pytest.mark.parametrize(
    ("effects", "cov", "ssc", "name"),
    [
        ("entity", "classical", "stata", "fe_iid"),
        ("twoway", "classical", "stata", "fe2_iid"),
        ("twoway", "hc1", "stata", "fe2_hetero"),
        *(("entity", "cluster", ssc, "fe_cluster_nestedFE_default") for ssc in PRESETS),
        *(("twoway", "cluster", ssc, "fe2_cluster_default") for ssc in PRESETS),
    ],
)
def test_covariances(case, effects, cov, ssc, name):
    """fixest's default for clusters is what xtreg and reghdfe report on a connected panel without singletons."""
    fit, entity, computed = case
    est = fit(effects=effects, cov=cov, ssc=ssc, cluster=entity if cov == "cluster" else None)
    close(est.std_errors, computed["fixest"][name]["se"], R)
    close(est.tvalues, computed["fixest"][name]["t"], R)
    close(est.pvalues, computed["fixest"][name]["p"], R_TEST)


def test_r2_and_likelihood(case):
    fit, _, computed = case
    one, two, stats = fit(effects="entity"), fit(), computed["fixest"]["stats"]
    assert_allclose([one.loglik, two.loglik], [stats["fe_ll"], stats["fe2_ll"]], rtol=R)
    assert_allclose([one.rsquareds["lsdv"], two.rsquareds["lsdv"]], [stats["fe_r2"], stats["fe2_r2"]], rtol=R)
    assert_allclose([one.rsquareds["within"], two.rsquareds["net"]], [stats["fe_wr2"], stats["fe2_wr2"]], rtol=R)


def test_f_of_the_effects(case):
    fit, _, computed = case
    pairs = [
        (fit(effects="entity").tests["f_effects"], computed["F_fe_vs_pool"]),
        (fit().tests["f_effects"], computed["F_fe2_vs_pool"]),
        (fit().tests["f_time"], computed["F_fe2_vs_fe"]),
    ]
    for test, expected in pairs:
        assert_allclose(test.stat, expected["stat"], rtol=R_TEST)
        assert list(test.df) == expected["df"]
        # p-values reach 1e-119, where the last digits of F count for a hundred times as much
        assert_allclose(test.pvalue, expected["p"], rtol=1e-5)


MODELS = {
    "m1": "fw",
    "m2": "fw + {ctl}",
    "m3": "bw",
    "m4": "bw + {ctl}",
    "m5": "fw + bw",
    "m6": "fw + bw + {ctl}",
}
CONTROLS = "open + fdi + cap + gov + hc + lnint + lninfra + fin"


@pytest.mark.parametrize("model", MODELS)
def test_columns_of_table_2_on_a_simulated_panel(golden, model):
    """Six fixed-effects columns of R's fixest on the 26 provinces that have a Gini."""
    found = golden("pipeline_simulated_20211")
    expected, formula = found.expected[model], f"gini ~ {MODELS[model].format(ctl=CONTROLS)}"
    for cov, ours in (("iid", "classical"), ("hetero", "hc1"), ("cluster", "cluster")):
        est = econ.fit(found.data, formula, entity="id", cov=ours, cluster="id" if cov == "cluster" else None)
        close(est.params, expected[cov]["coef"], R)
        close(est.std_errors, expected[cov]["se"], R)
        p = expected[cov]["p"]
        close(est.pvalues, p if isinstance(p, dict) else dict(zip(expected[cov]["coef"], p, strict=True)), R_TEST)
    assert est.nobs == expected["nobs"] == 364
    assert_allclose(est.loglik, expected["ll"], rtol=R)
    assert_allclose(est.rsquareds["lsdv"], expected["r2_lsdv"], rtol=R)
    assert_allclose(est.rsquared, expected["r2_within_oneway_stata"], rtol=R)
    assert_allclose(est.rsquareds["net"], expected["r2_within_twoway"], rtol=R)
    assert "56 of 420 rows left out, values missing: gini (56)" in est.notes


# --- dummies written out: an unbalanced panel in two unconnected parts, by the definition ---------------------------


def dummies(panel, by_entity, by_time):
    """(n, ...) constant and dummies of full column rank, and the weights that turn them into the mean effect."""
    blocks = [np.ones((len(panel), 1))]
    blocks += [pd.get_dummies(panel["province"], dtype=float).to_numpy()] if by_entity else []
    blocks += [pd.get_dummies(panel["year"], dtype=float).to_numpy()] if by_time else []
    D = np.column_stack(blocks)
    kept = []
    for j in range(D.shape[1]):
        if np.linalg.matrix_rank(D[:, [*kept, j]]) == len(kept) + 1:
            kept.append(j)
    return D[:, kept]


def unconnected(make_panel):
    """Provinces P00-P05 in the first years, the others in the last; no province links the two."""
    panel = make_panel(keep=0.8)
    early = panel["year"] < 2004
    return panel[early == (panel["province"] < "P06")].reset_index(drop=True)


def chain(make_panel):
    """Every province is there in three years only, so that the first and the last year hang together by a thread."""
    panel = make_panel(provinces=40, years=42)
    since = panel["year"] - 2000 - panel["province"].str[1:].astype(int)
    return panel[since.between(0, 2)].reset_index(drop=True)


@pytest.mark.parametrize(
    ("effects", "by_entity", "by_time"), [("entity", 1, 0), ("time", 0, 1), ("twoway", 1, 1), (None, 0, 0)]
)
@pytest.mark.parametrize("kind", ["balanced", "unbalanced", "unconnected", "chain"])
def test_everything_equals_the_regression_on_dummies(make_panel, effects, by_entity, by_time, kind):
    panel = {
        "balanced": make_panel,
        "unbalanced": lambda: make_panel(keep=0.7),
        "unconnected": lambda: unconnected(make_panel),
        "chain": lambda: chain(make_panel),
    }[kind]()
    options = {"estimator": "fe" if effects else "pooled", "effects": effects}
    X, y = panel[["forward", "backward"]].to_numpy(), panel["gini"].to_numpy()
    D = dummies(panel, by_entity, by_time)
    W = np.column_stack([X, D])
    bread = np.linalg.inv(W.T @ W)
    coefs = bread @ W.T @ y
    e = y - W @ coefs
    n, p = W.shape
    # the constant is the mean over rows of what the dummies add
    pick = np.zeros((3, p))
    pick[0, 2:] = D.mean(axis=0)
    pick[1, 0] = pick[2, 1] = 1
    names = ["Intercept", "forward", "backward"]
    exact = {"rtol": 1e-8}  # normal equations of dummies lose half the digits at worst

    est = econ.fit(panel, "gini ~ forward + backward", **options)
    assert_allclose(est.params[names], pick @ coefs, **exact)
    assert_allclose(est.cov.loc[names, names], pick @ bread @ pick.T * (e @ e) / (n - p), **exact)
    assert est.df_resid == n - p
    assert_allclose(est.loglik, -n / 2 * (np.log(2 * np.pi * (e @ e) / n) + 1), **exact)
    assert_allclose(est.rsquareds["lsdv" if effects else "overall"], 1 - e @ e / ((y - y.mean()) ** 2).sum(), **exact)

    meat = (W * e[:, None]).T @ (W * e[:, None])
    robust = econ.fit(panel, "gini ~ forward + backward", cov="hc1", **options)
    assert_allclose(robust.cov.loc[names, names], pick @ bread @ meat @ bread @ pick.T * n / (n - p), **exact)

    scores = pd.DataFrame(W * e[:, None]).groupby(panel["province"]).sum().to_numpy()
    groups = len(scores)
    K = p - (groups - 1) * by_entity  # xtreg: the nested entity effects are not counted
    factor = groups / (groups - 1) * (n - 1) / (n - K)
    clustered = econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster="province", **options)
    V = pick @ bread @ scores.T @ scores @ bread @ pick.T
    assert_allclose(clustered.cov.loc[names, names], factor * V, **exact)
    assert clustered.df_resid == groups - 1


def test_r2_of_stata_from_its_definition(make_panel):
    panel = make_panel(keep=0.7)
    est = econ.fit(panel, "gini ~ forward + backward")
    years = pd.get_dummies(panel["year"], dtype=float).iloc[:, 1:]
    X = np.column_stack([panel[["forward", "backward"]], years])

    def demean(values):
        frame = pd.DataFrame(values)
        return (frame - frame.groupby(panel["province"]).transform("mean")).to_numpy()

    b = np.linalg.lstsq(demean(X), demean(panel["gini"])[:, 0], rcond=None)[0]
    fitted = pd.Series(X @ b)
    between = np.corrcoef(fitted.groupby(panel["province"]).mean(), panel.groupby("province")["gini"].mean())[0, 1]
    within = np.corrcoef(demean(fitted)[:, 0], demean(panel["gini"])[:, 0])[0, 1]
    overall = np.corrcoef(fitted, panel["gini"])[0, 1]
    expected = {"within": within**2, "between": between**2, "overall": overall**2}
    close(est.rsquareds, expected, 1e-9)  # rounding of two ways


@pytest.mark.parametrize(
    ("ssc", "cluster", "K"),
    [
        ("stata", "region", 2 + 1 + 7),  # provinces lie in regions: only the 8 years count
        ("reghdfe", "region", 2 + 1 + 7),
        ("reghdfe", "year", 2 + 1 + 11),  # years are nested in themselves: only the 12 provinces count
        ("fixest", "year", 2 + 1 + 11),
        ("reghdfe", "mixed", 2 + 12 + 8 - 1),  # nothing is nested: all count
        ("fixest", "mixed", 2 + 12 + 8 - 1),
    ],
)
def test_what_the_small_sample_factor_counts(panel, ssc, cluster, K):
    panel["mixed"] = np.arange(len(panel)) % 5
    n, groups = len(panel), panel[cluster].nunique()
    est = econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster=cluster, ssc=ssc)
    assert f"with K = {K} " in est.notes[0]
    assert f"= {groups / (groups - 1) * (n - 1) / (n - K):.6g} with" in est.notes[0]


def test_presets_differ_on_unconnected_panels(make_panel):
    panel = unconnected(make_panel)
    panel["mixed"] = np.arange(len(panel)) % 5
    fits = {
        ssc: econ.fit(panel, "gini ~ forward", cov="cluster", cluster="mixed", ssc=ssc) for ssc in ("reghdfe", "fixest")
    }
    assert "with K = 19 " in fits["reghdfe"].notes[0]  # 1 slope and 12 + 8 - 2 effects, for there are two parts
    assert "with K = 20 " in fits["fixest"].notes[0]


# --- singletons, missing rows, redundant columns --------------------------------------------------------------------


def test_singletons_are_kept_or_dropped_by_preset(panel):
    lonely = pd.concat([panel, panel.iloc[[0]].assign(province="alone", gini=9.0)], ignore_index=True)
    kept = econ.fit(lonely, "gini ~ forward", cov="cluster", cluster="province")
    dropped = econ.fit(lonely, "gini ~ forward", cov="cluster", cluster="province", ssc="reghdfe")
    without = econ.fit(panel, "gini ~ forward", cov="cluster", cluster="province")
    assert (kept.nobs, dropped.nobs) == (len(panel) + 1, len(panel))
    assert "1 singleton rows kept, as 'stata' does: their effects fit them exactly" in kept.notes
    assert "1 singleton rows dropped, as reghdfe does" in dropped.notes
    assert_allclose(kept.params["forward"], without.params["forward"], rtol=1e-9)  # rounding: it carries no weight
    assert_allclose(dropped.std_errors, without.std_errors, rtol=1e-12)  # the same rows


def test_singletons_are_found_until_none_is_left():
    """Row 3 is alone once rows 0-2 of other entities are gone."""
    entity, time = np.array([0, 1, 1, 2, 2, 2]), np.array([0, 0, 1, 1, 2, 2])
    assert singletons(entity, None).tolist() == [True, False, False, False, False, False]
    assert singletons(entity, time).tolist() == [True, True, True, True, False, False]


def test_missing_rows_are_left_out_and_counted(panel):
    holes = panel.copy()
    holes.loc[[3, 4], "forward"] = np.nan
    holes.loc[[4, 9], "backward"] = np.nan
    est = econ.fit(holes, "gini ~ forward + backward")
    assert est.notes == ("3 of 96 rows left out, values missing: forward (2), backward (2)",)
    assert_allclose(est.params, econ.fit(panel.drop([3, 4, 9]), "gini ~ forward + backward").params, rtol=1e-12)  # same


def test_absorbed_and_collinear_columns_are_dropped_and_named(panel):
    panel["area"] = panel["province"].str[1:].astype(float) ** 2
    panel["trend"] = panel["year"] * 3.0 - 5990
    panel["sum"] = panel["forward"] * 2e6 + panel["backward"]
    est = econ.fit(panel, "gini ~ area + forward + backward + trend + sum")
    assert list(est.params.index) == ["Intercept", "forward", "backward"]
    assert est.notes == (
        "area dropped: absorbed by the effects of province and year",
        "trend dropped: absorbed by the effects of province and year",
        "sum dropped: collinear with regressors before it",
    )
    assert "trend" in econ.fit(panel, "gini ~ trend + forward", effects="entity").params


def test_interactions_functions_and_categories(panel):
    est = econ.fit(panel, "ln(gini + 5) ~ forward*backward + I(forward**2) + C(region):backward + sqrt(backward + 1)")
    panel = panel.assign(
        y=np.log(panel["gini"] + 5),
        fb=panel["forward"] * panel["backward"],
        f2=panel["forward"] ** 2,
        west=panel["backward"] * (panel["region"] == "west"),
        root=np.sqrt(panel["backward"] + 1),
    )
    by_hand = econ.fit(panel, "y ~ forward + backward + f2 + root + fb + west")
    names = ["forward", "backward", "I(forward ** 2)", "sqrt(backward + 1)", "forward:backward"]
    assert_allclose(
        est.params[[*names, "C(region)[T.west]:backward"]],
        by_hand.params[["forward", "backward", "f2", "root", "fb", "west"]],
        rtol=1e-6,  # backward and its root are all but collinear
    )


def test_a_regressor_of_one_cluster_has_no_clustered_error(panel):
    panel["shock"] = ((panel["province"] == "P03") & (panel["year"] > 2004)).astype(float)
    est = econ.fit(panel, "gini ~ forward + shock", effects="entity", cov="cluster", cluster="province")
    assert np.isnan(est.std_errors["shock"])
    assert np.isfinite(est.std_errors["forward"])
    assert "no clustered standard error of shock: it varies in one cluster only" in est.notes
    assert "f_model" not in est.tests
    assert json.loads(json.dumps(est.to_dict(), allow_nan=False))["coefficients"]["shock"]["se"] is None


def test_more_slopes_than_clusters_have_no_f_test(panel):
    est = econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster="region")
    assert "f_model" not in est.tests
    assert est.notes[-1].startswith("no F test of the slopes")


# --- what holds for any panel ---------------------------------------------------------------------------------------

properties = settings(deadline=None, max_examples=15)


@properties
@given(seed=st.integers(0, 10_000), a=st.floats(-5, 5), b=st.sampled_from([-1e6, 1e-5, 3.0]))
def test_units_of_the_dependent(make_panel, seed, a, b):
    panel = make_panel(seed, keep=0.75)
    options = {"cov": "cluster", "cluster": "province"}
    est = econ.fit(panel, "gini ~ forward + backward", **options)
    other = econ.fit(panel.assign(gini=a + b * panel["gini"]), "gini ~ forward + backward", **options)
    slopes = ["forward", "backward"]
    # rtol: y = a + 1e-5 gini keeps eleven digits of gini
    assert_allclose(other.params[slopes], b * est.params[slopes], rtol=1e-6)
    assert_allclose(other.std_errors[slopes], abs(b) * est.std_errors[slopes], rtol=1e-6)
    assert_allclose(other.rsquared, est.rsquared, rtol=1e-6)


@properties
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-7, 1e-3, 1e9]))
def test_units_of_a_regressor(make_panel, seed, scale):
    panel = make_panel(seed, keep=0.75)
    est = econ.fit(panel, "gini ~ forward + backward", cov="hc1")
    other = econ.fit(panel.assign(forward=scale * panel["forward"]), "gini ~ forward + backward", cov="hc1")
    # rtol: columns are rescaled before anything is computed, so rounding is all
    assert_allclose(other.tvalues, est.tvalues, rtol=1e-9)
    assert_allclose(other.params["forward"] * scale, est.params["forward"], rtol=1e-9)
    assert_allclose(other.tests["f_model"].stat, est.tests["f_model"].stat, rtol=1e-8)


@properties
@given(seed=st.integers(0, 10_000))
def test_names_and_row_order_do_not_matter(make_panel, seed):
    panel = make_panel(seed, keep=0.75)
    renamed = panel.assign(
        province=panel["province"].map(lambda name: int(name[1:]) * -7),
        year=pd.to_datetime(panel["year"].astype(str), format="%Y"),
    ).sample(frac=1, random_state=seed)
    one = econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster="province")
    two = econ.fit(renamed, "gini ~ forward + backward", cov="cluster", cluster="province")
    assert_allclose(two.cov, one.cov, rtol=1e-8)  # sums in another order
    assert_allclose(two.params, one.params, rtol=1e-9)


@properties
@given(seed=st.integers(0, 10_000))
def test_effects_are_projected_out(make_panel, seed):
    """What the effects explain leaves nothing, what they do not is left alone, and twice is once."""
    panel = make_panel(seed, keep=0.75)
    entity, time = (pd.factorize(panel[key])[0] for key in ("province", "year"))
    rng = np.random.default_rng(seed)
    spanned = rng.normal(size=entity.max() + 1)[entity] + rng.normal(size=time.max() + 1)[time]
    free = rng.normal(size=(len(panel), 2))
    once = absorb(free, entity, time)
    assert_allclose(absorb(spanned, entity, time), 0, atol=1e-12)  # rounding
    assert_allclose(absorb(once + spanned[:, None], entity, time), once, atol=1e-12)  # rounding
    D = np.column_stack([np.eye(entity.max() + 1)[entity], np.eye(time.max() + 1)[time]])
    assert absorbed_rank(entity, time) == np.linalg.matrix_rank(D)
    assert split_columns(np.column_stack([free, spanned]), absorb(np.column_stack([free, spanned]), entity, time)) == (
        [0, 1],
        [2],
        [],
    )


def test_planted_slopes_are_recovered(make_panel):
    """Over 40 panels the 95 % interval of each slope covers the truth 32 times at least: p < 0.001 if it did not."""
    covered = np.zeros(2)
    for seed in range(40):
        est = econ.fit(make_panel(seed, keep=0.9), "gini ~ forward + backward")
        interval = est.conf_int().loc[["forward", "backward"]]
        covered += (interval["lower"] < [-0.1, 0.7]) & (interval["upper"] > [-0.1, 0.7])
    assert (covered >= 32).all()


def test_input_is_left_alone(panel):
    before = panel.copy()
    econ.fit(panel, "gini ~ ln(forward + 9) + backward", cov="cluster", cluster="province")
    pd.testing.assert_frame_equal(panel, before)


# --- bad input ------------------------------------------------------------------------------------------------------


def spoiled(panel, **columns):
    return panel.assign(**{name: make(panel) for name, make in columns.items()})


BAD = [
    (
        {"forward": lambda p: ["n/a", *p["forward"].iloc[1:].astype(str)]},
        {},
        BadInputError,
        "'forward' holds text in 1 of 96.*province P00, year 2000",
    ),
    ({"forward": lambda p: "high"}, {}, BadInputError, "'forward' holds text in 96"),
    ({"forward": lambda p: np.inf}, {}, BadInputError, "'forward' is infinite"),
    ({"forward": lambda p: np.nan}, {}, EstimationError, r"no row has all the variables \(forward \(96\)"),
    ({"province": lambda p: "one"}, {}, BadInputError, r"\(province, year\) occurs more than once"),
    ({"province": lambda p: [None, *p["province"].iloc[1:]]}, {}, BadInputError, "'province' is empty in 1 of 96"),
    (
        {"gini": lambda p: p["province"].str[1:].astype(float)},
        {},
        EstimationError,
        "'gini' does not vary once the effects of province and year",
    ),
    ({"gini": lambda p: 2 * p["forward"] + 1}, {}, EstimationError, "reproduce 'gini' exactly"),
    (
        {"forward": lambda p: 1.0, "backward": lambda p: p["year"]},
        {},
        EstimationError,
        "no regressor is left .forward dropped: absorbed.*backward dropped",
    ),
    ({"one": lambda p: 1}, {"cov": "cluster", "cluster": "one"}, EstimationError, "one cluster in 'one'"),
    (
        {"odd": lambda p: p["year"] % 2},
        {"cov": "cluster", "cluster": "odd"},
        BadInputError,
        "several clusters of 'odd'.*ssc='reghdfe'",
    ),
    ({}, {"entity": "provinz"}, MissingColumnError, "no column 'provinz'.*did you mean 'province'"),
    ({}, {"cov": "cluster", "cluster": "county"}, MissingColumnError, "no column 'county'"),
    ({}, {"cov": "cluster"}, UsageError, "pass cluster='province'"),
    ({}, {"cluster": "province"}, UsageError, "has no meaning with cov='classical'"),
    ({}, {"estimator": "olss"}, UsageError, "no estimator 'olss': choose among pooled, between, fd, fe"),
    ({}, {"cov": "hc9"}, UsageError, "no covariance 'hc9': choose among classical, hc0, hc1"),
    ({}, {"ssc": "sas"}, UsageError, "no ssc 'sas': choose among stata, reghdfe, fixest"),
    ({}, {"effects": "both"}, UsageError, "no effects 'both': choose among entity, time, twoway"),
    ({}, {"estimator": "pooled", "effects": "entity"}, UsageError, "has no effects"),
    ({}, {"entity": "year"}, UsageError, "entity and time are both 'year'"),
]


@pytest.mark.parametrize(("columns", "options", "error", "says"), BAD)
def test_bad_input_is_one_sentence(panel, columns, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.fit(spoiled(panel, **columns), "gini ~ forward + backward", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "error", "says"),
    [
        ("gini ~ forwrd", MissingColumnError, "no column 'forwrd'.*did you mean 'forward'"),
        ("ginni ~ forward", MissingColumnError, "no column 'ginni'.*did you mean 'gini'"),
        ("gini", UsageError, "expected 'dependent ~"),
        ("~ forward", UsageError, "not one equation"),
        ("gini + forward ~ backward", UsageError, "not one equation"),
        ("gini ~ forward | backward", UsageError, "not one equation"),
        ("gini ~ ", UsageError, "no regressor"),
        ("gini ~ forward - 1", UsageError, "removes the constant"),
        ("gini ~ forward +* backward", UsageError, "cannot be read"),
        ("gini ~ [forward ~ backward]", UsageError, "instruments in brackets"),
        ("gini ~ lag(forward)", UsageError, "uses lag in 'lag.forward.'.*L.x, F.x, D.x by time"),
        ("gini ~ np.log(forward)", UsageError, "uses np.log.*it knows ln, log"),
        ("gini ~ __import__('os').getcwd()", UsageError, "cannot be read"),
        (
            "gini ~ ln(backward - 5)",
            BadInputError,
            "ln.backward - 5. is not a finite number in 96 of 96 rows .province",
        ),
        ("gini ~ region", BadInputError, "'region' holds text"),
        ("C(region) ~ forward", UsageError, "left side of the formula gives 2 columns"),
    ],
)
def test_bad_formula_is_one_sentence(panel, formula, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.fit(panel, formula)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_too_few_rows(panel):
    with pytest.raises(EstimationError, match=r"rows cannot carry \d+ coefficients"):
        econ.fit(panel[panel["year"] < 2002].head(4), "gini ~ forward + backward")
    with pytest.raises(EstimationError, match=r"there is one province \(P00\)"):
        econ.fit(panel[panel["province"] == "P00"], "gini ~ forward")
    with pytest.raises(EstimationError, match="is alone in its"):
        econ.fit(panel[panel["year"] == 2000], "gini ~ forward", effects="entity", ssc="reghdfe")


# --- how it prints, and what it costs -------------------------------------------------------------------------------


def test_summary_shows_what_was_done(panel):
    est = econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster="province")
    text = est.summary(level=0.9)
    for part in ("Two-way fixed effects", "gini ~ forward + backward", "CR1, 12 clusters in province", "within  =",
                 "between =", "overall =", "lsdv    =", "[90% conf. interval]", "F(2, 11)", "f_effects: F(18, 75)",
                 "12/11 x 95/86", "R-squared between: corr(xbar_group b, ybar_group)^2"):  # fmt: skip
        assert part in text
    assert f"{est.params['forward']:.5g}" in text
    lower, upper = est.conf_int(0.9).loc["forward"]
    assert f"{lower:.5g} " in text
    assert f"{upper:.5g}" in text


@pytest.mark.parametrize("level", [0, 1, 95])
def test_confidence_level_is_a_share(panel, level):
    with pytest.raises(UsageError, match="between 0 and 1"):
        econ.fit(panel, "gini ~ forward").conf_int(level)


def test_import_is_light():
    """A child process, for this one has imported everything."""
    code = (
        "import sys, econ; heavy = {'linearmodels', 'matplotlib', 'pandas', 'formulaic', 'nightcore'}; "
        "print(sorted(heavy & set(sys.modules))); econ.gini([1, 2]); econ.fit; econ.regression_table; "
        "print(sorted((heavy - {'pandas'}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_public_names():
    for name in econ.__all__:
        assert getattr(econ, name) is not None
    assert set(econ.__all__) <= set(dir(econ))
    with pytest.raises(AttributeError, match="no attribute 'gimi'"):
        _ = econ.gimi


@pytest.mark.parametrize("formula", ["gini ~ forward**2", "gini ~ forward + forward^2", "gini ~ forward/backward"])
def test_powers_are_not_crossings(panel, formula):
    """A formula would read forward**2 as forward, and say nothing."""
    with pytest.raises(econ.UsageError, match=r"write I\(x\*\*2\)"):
        econ.fit(panel, formula)


def test_powers_inside_i_are_squares(panel):
    squared = econ.fit(panel.assign(square=panel["forward"] ** 2), "gini ~ forward + square")
    inside = econ.fit(panel, "gini ~ forward + I(forward**2)")
    # the same columns, computed by the same float operations
    assert np.array_equal(squared.params.to_numpy(), inside.params.to_numpy())


def test_large_two_way_panels_take_least_squares(panel, monkeypatch):
    """linearmodels iterates there; net of the effects least squares is the same."""
    wanted = econ.fit(panel, "gini ~ forward + backward")
    monkeypatch.setattr(static, "DUMMIES", 0)
    assert_allclose(econ.fit(panel, "gini ~ forward + backward").params, wanted.params, rtol=1e-10)
