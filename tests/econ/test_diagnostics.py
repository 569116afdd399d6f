"""Specification tests against R, against Stata's output in print, and against double loops and planted truth."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import special

import econ
from econ import diagnostics
from econ.errors import EstimationError, UsageError
from econ.estimators.covariance import classical
from econ.estimators.design import Design, Rows
from econ.estimators.estimate import Estimate, Test
from econ.estimators.random import quasi_demean, quasi_demean_twoway, swamy_arora, swamy_arora_twoway
from econ.estimators.within import absorb, absorbed_rank, demean

R_TEST = 1e-6  # statistics of R: ratios of sums of squares lose digits


# --- stand-ins for what econ.fit returns ----------------------------------------------------------------------------


def rows_of(entity, time, names=("firm", "year"), tick=None):
    return Rows(names=names, entity=entity, time=time, tick=time if tick is None else tick)


def fitted(model, y, X, names, rows, W, star, labels, absorbed=0, effects=(), cov_type="classical", components=None):
    """Least squares of `star` on W, labelled; `absorbed` coefficients more than W has."""
    b, e = diagnostics._least_squares(star, W)
    K = W.shape[1] + absorbed
    return Estimate(
        model=model,
        formula="y ~ x",
        dependent="y",
        params=pd.Series(b, labels),
        cov=pd.DataFrame(classical(W, e, y.size - K), labels, labels),
        cov_type=cov_type,
        nobs=y.size,
        df_resid=y.size - K,
        n_coefs=K,
        loglik=-y.size / 2 * (np.log(2 * np.pi * (e @ e) / y.size) + 1),
        effects=effects,
        components=components or {},
        error_variance=e @ e / (y.size - K),
        design=Design(y, X, tuple(names), e, rows, keys=dict.fromkeys(rows.names, ())),
    )


def pooled(y, X, names, rows, **options):
    W = np.column_stack([np.ones(y.size), X])
    return fitted("Pooled OLS", y, X, names, rows, W, y, ["Intercept", *names], **options)


def within(y, X, names, rows, effects=("firm",), **options):
    entity = rows.entity if "firm" in effects else None
    time = rows.time if "year" in effects else None
    W, star = absorb(X, entity, time), absorb(y, entity, time)
    rank = absorbed_rank(entity, time)
    return fitted("Fixed effects", y, X, names, rows, W, star, list(names), rank, effects, **options)


def random(y, X, names, rows, effects=("firm",)):
    W = np.column_stack([np.ones(y.size), X])
    if effects == ("firm", "year"):
        two = swamy_arora_twoway(y, X, rows.entity, rows.time)
        theta = two.theta
        components = dict(zip(("theta_entity", "theta_time", "theta_total"), theta, strict=True))
        components["sigma_u"] = two.sigma2_entity**0.5
        star, W = (quasi_demean_twoway(values, theta, rows.entity, rows.time) for values in (y, W))
    else:
        code = rows.entity if effects == ("firm",) else rows.time
        one = swamy_arora(y, X, code)
        theta, components = one.theta, {"sigma_u": one.sigma2_u**0.5, "sigma_e": one.sigma2_e**0.5}
        star, W = (quasi_demean(values, theta, code) for values in (y, W))
    labels = ["Intercept", *names]
    return fitted("Random effects", y, X, names, rows, W, star, labels, effects=effects, components=components)


CASES = {
    "static_grunfeld": ("inv", ["value", "capital"]),
    "static_fatalities": ("frate", ["beertax", "unemp", "income"]),
}


def parts(data, dependent, names):
    entity, time = (data.iloc[:, j].factorize(sort=True)[0] for j in (0, 1))
    tick = (data.iloc[:, 1] - data.iloc[:, 1].min()).to_numpy()
    return data[dependent].to_numpy(float), data[names].to_numpy(float), names, rows_of(entity, time, tick=tick)


@pytest.fixture(params=CASES)
def case(request, golden):
    found = golden(request.param)
    return parts(found.data, *CASES[request.param]), found.expected["computed"]


@pytest.fixture
def thinned(golden):
    """232 of the 336 rows of the traffic deaths, 4 to 6 a state, by a rule that R can repeat."""
    data = golden("static_fatalities").data
    return parts(data[np.arange(len(data)) * 37 % 101 < 70], *CASES["static_fatalities"])


# --- R ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("effects", "name"), [(("firm",), "hausman_oneway"), (("firm", "year"), "hausman_twoway")])
def test_hausman_of_plm(case, effects, name):
    (y, X, names, rows), computed = case
    test = diagnostics.hausman(within(y, X, names, rows, effects), random(y, X, names, rows, effects))
    expected = computed[name]
    assert_allclose(abs(test.stat), expected["stat"], rtol=R_TEST)  # phtest() takes the absolute value
    assert test.df == (expected["df"],)
    assert_allclose(test.pvalue, expected["p"], rtol=1e-5)  # p-values reach 1e-24


@pytest.mark.parametrize(("cov", "name"), [("classical", "hausman_aux"), ("cluster", "hausman_aux_cluster")])
def test_auxiliary_hausman_of_plm(case, cov, name):
    """phtest(method = "aux"), without and with vcov = vcovHC, Arellano's HC0."""
    (y, X, names, rows), computed = case
    fe, re = within(y, X, names, rows), random(y, X, names, rows)
    test = diagnostics.hausman(fe, re, method="auxiliary", cov=cov)
    assert_allclose(test.stat, computed[name]["stat"], rtol=R_TEST)
    assert test.df == (computed[name]["df"],)
    assert_allclose(test.pvalue, computed[name]["p"], rtol=1e-5)  # p-values reach 1e-8


def test_breusch_pagan_of_plm(case):
    (y, X, names, rows), computed = case
    est = pooled(y, X, names, rows)
    for effects, name in (("entity", "bp_lm"), ("twoway", "bp_lm_twoways")):
        test = diagnostics.breusch_pagan(est, effects)
        assert_allclose(test.stat, computed[name]["stat"], rtol=R_TEST)
        assert_allclose(np.log(test.pvalue), np.log(computed[name]["p"]), rtol=R_TEST)  # p-values reach 1e-175


def test_unbalanced_panel_in_r(thinned):
    """plm 2.6-2: phtest(), plmtest(), pcdtest(); xtserial by lm() and sandwich::vcovCL(type = "HC1")."""
    y, X, names, rows = thinned
    fe, po = within(*thinned), pooled(*thinned)
    theta = swamy_arora(y, X, rows.entity, "plm").theta
    star, W = (quasi_demean(values, theta, rows.entity) for values in (y, np.column_stack([np.ones(y.size), X])))
    re = fitted("Random effects", y, X, names, rows, W, star, ["Intercept", *names], effects=("firm",))
    assert_allclose(abs(diagnostics.hausman(fe, re).stat), 12.3458762828316, rtol=R_TEST)
    plmtest = {
        "entity": (2.64756260754807e02, 1.62713324824615e01, 7.88442908286306e-60),
        "time": (0.0295471753514064, 0.1718929182700858, 0.4317608570610590),
        "twoway": (2.64785807930159e02, 1.16271161854362e01, 1.50032090426566e-31),
    }
    for effects, (bp, honda, p) in plmtest.items():
        assert_allclose(diagnostics.breusch_pagan(po, effects).stat, bp, rtol=R_TEST)
        test = diagnostics.breusch_pagan(po, effects, "honda")
        assert_allclose(test.stat, honda, rtol=R_TEST)
        assert test.note.endswith(f"p = {p:.4g}")
    assert_allclose(diagnostics.pesaran_cd(fe).stat, 5.95512681231111, rtol=R_TEST)
    assert_allclose(diagnostics.pesaran_cd(po).stat, 13.3311740004925, rtol=R_TEST)
    serial = diagnostics.wooldridge_serial(fe)
    assert_allclose(serial.stat, 0.0854982672212778, rtol=R_TEST)
    assert serial.df == (1, 16)
    assert "slope -0.5648 against -0.5, 28 pairs" in serial.note


def test_dependence_in_r(golden):
    """pcdtest() of plm(model = "within" | "pooling" | "random") and of two-way effects, the balanced traffic deaths."""
    panel = parts(golden("static_fatalities").data, *CASES["static_fatalities"])
    found = [within(*panel), pooled(*panel), random(*panel), within(*panel, effects=("firm", "year"))]
    expected = [8.91349741088082, 19.0803354737889, 8.85547544907049, -1.62464444736445]
    assert_allclose([diagnostics.pesaran_cd(est).stat for est in found], expected, rtol=R_TEST)


CONTROLS = ["open", "fdi", "cap", "gov", "hc", "lnint", "lninfra", "fin"]
MODELS = {
    "m1": ["fw"],
    "m2": ["fw", *CONTROLS],
    "m3": ["bw"],
    "m4": ["bw", *CONTROLS],
    "m5": ["fw", "bw"],
    "m6": ["fw", "bw", *CONTROLS],
}


@pytest.mark.parametrize("model", MODELS)
def test_hausman_with_year_dummies(golden, model):
    """Stata's `hausman fe re` after `xtreg ... i.year`, and the same for the named regressors alone."""
    found = golden("pipeline_simulated_20211")
    data = found.data.dropna(subset="gini")
    dummies = pd.get_dummies(data["year"], prefix="year", drop_first=True, dtype=float)
    names = MODELS[model] + list(dummies)
    y, X = data["gini"].to_numpy(), np.column_stack([data[MODELS[model]], dummies])
    rows = rows_of(data["id"].factorize()[0], data["year"].factorize()[0])
    fe, re, expected = within(y, X, names, rows), random(y, X, names, rows), found.expected[model]
    every, key = diagnostics.hausman(fe, re), diagnostics.hausman(fe, re, coefficients=MODELS[model])
    assert_allclose(abs(every.stat), expected["hausman_stata_allvars"]["stat"], rtol=R_TEST)  # as phtest() has it
    assert_allclose(key.stat, expected["hausman_keyvars"]["stat"], rtol=R_TEST)
    assert every.df == (expected["hausman_stata_allvars"]["df"],)
    assert key.df == (expected["hausman_keyvars"]["df"],)
    # in a balanced panel period dummies say nothing of their own, which one error variance brings to light
    more = diagnostics.hausman(fe, re, sigmamore=True)
    assert more.df == key.df
    assert f"its rank is {len(MODELS[model])} of {len(names)}, Moore-Penrose inverse used" in more.note
    assert "positive semidefinite" in more.note
    auxiliary = diagnostics.hausman(fe, re, method="auxiliary")
    assert auxiliary.df == key.df
    assert "13 of " in auxiliary.note
    for test in (every, key):
        if test.stat < 0:
            assert np.isnan(test.pvalue)
            assert "a negative statistic has no p-value" in test.note
        else:
            assert test.pvalue == special.chdtrc(test.df[0], test.stat)


def test_negative_statistic_is_in_the_goldens(golden):
    """So that the branch above is not idle."""
    expected = golden("pipeline_simulated_20211").expected["m6"]
    assert expected["hausman_keyvars"]["stat"] < 0


def test_likelihood_ratios_of_the_goldens(golden):
    found = golden("pipeline_simulated_20211")
    data = found.data.dropna(subset="gini")
    fits = {m: econ.fit(data, f"gini ~ {' + '.join(names)}", entity="id") for m, names in MODELS.items()}
    pairs = [name for name in found.expected if name.startswith("lr_")]
    assert len(pairs) == 7
    for name in pairs:
        small, big = name.removeprefix("lr_").split("_in_")
        test = diagnostics.lr(fits[big], fits[small])
        assert_allclose(test.stat, found.expected[name], rtol=R_TEST)
        assert test.df == (len(MODELS[big]) - len(MODELS[small]),)


def test_likelihood_ratio_and_wald_of_grunfeld(golden):
    found = golden("static_grunfeld")
    big, small = (econ.fit(found.data, f"inv ~ {x}", entity="firm") for x in ("value + capital", "value"))
    expected = found.expected["computed"]["lr_drop_last"]
    test = diagnostics.lr(big, small)
    assert_allclose(test.stat, expected["lr"], rtol=R_TEST)
    assert test.df == (expected["df"],)
    # the F test of the effects is a likelihood ratio too: n log(RSS0 / RSS1)
    one = econ.fit(found.data, "inv ~ value + capital", entity="firm", estimator="pooled")
    f = big.tests["f_effects"]
    assert_allclose(diagnostics.lr(big, one).stat, 200 * np.log1p(f.stat * f.df[0] / f.df[1]), rtol=1e-9)  # rounding
    both = diagnostics.wald(big, ["value", "capital"])
    assert_allclose(both.stat, big.tests["f_model"].stat, rtol=1e-9)  # rounding
    assert both.df == big.tests["f_model"].df


# --- Hausman --------------------------------------------------------------------------------------------------------


def simulated(rng, groups=40, periods=5, correlated=0.0, k=2):
    entity, time = (axis.ravel() for axis in np.indices((groups, periods)))
    u = rng.normal(size=groups)
    X = rng.normal(size=(entity.size, k)) + rng.normal(size=(groups, k))[entity] + correlated * u[entity, None]
    y = X @ np.ones(k) + u[entity] + rng.normal(size=entity.size)
    return y, X, [f"x{j}" for j in range(k)], rows_of(entity, time)


TESTS = {
    "contrast": {},
    "sigmamore": {"sigmamore": True},
    "sigmaless": {"sigmaless": True},
    "auxiliary": {"method": "auxiliary"},
    "cluster": {"method": "auxiliary", "cov": "cluster"},
}


@pytest.mark.parametrize("options", TESTS.values(), ids=TESTS)
def test_planted_correlation_is_found(options):
    """Means of x_j have variance 2.2 and covariances 1, with u too: slopes of u of 1 / 3.2, twelve standard errors."""
    panel = simulated(np.random.default_rng(7), groups=300, correlated=1.0)
    assert diagnostics.hausman(within(*panel), random(*panel), **options).pvalue < 1e-4


def test_without_correlation_the_law_is_chi2():
    """400 panels: at 5 % 20 rejections are expected, with a standard deviation of 4.4; the band is three of them."""
    rng = np.random.default_rng(8)
    stats = {name: [] for name in ("sigmamore", "sigmaless", "cluster")}
    for _ in range(400):
        panel = simulated(rng)
        fe, re = within(*panel), random(*panel)
        for name in stats:
            stats[name].append(diagnostics.hausman(fe, re, **TESTS[name]).stat)
    for name in ("sigmamore", "sigmaless"):
        assert 7 <= np.sum(np.array(stats[name]) > special.chdtri(2, 0.05)) <= 33
        assert abs(np.mean(stats[name]) - 2) < 3 * 2 / 20  # chi2(2) has the standard deviation 2
    # without a small-sample factor 40 clusters reject too often, by (1 + 3 / 40) of the statistic and more
    assert 7 <= np.sum(np.array(stats["cluster"]) > special.chdtri(2, 0.05)) <= 50


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_contrast_does_not_depend_on_basis_or_units(seed):
    rng = np.random.default_rng(seed)
    k = rng.integers(1, 5)
    A, B = rng.normal(size=(2, k, k + 3))
    V_B = A @ A.T
    V_b, b, other = V_B + B @ B.T, rng.normal(size=k), rng.normal(size=k)
    test = diagnostics.hausman_contrast(b, V_b, other, V_B)
    assert_allclose(test.stat, (b - other) @ np.linalg.solve(V_b - V_B, b - other), rtol=1e-6)  # inverts B B'
    T = np.diag(10.0 ** rng.integers(-6, 7, k)) @ (np.eye(k) + np.triu(rng.normal(size=(k, k)), 1))
    turned = diagnostics.hausman_contrast(T @ b, T @ V_b @ T.T, T @ other, T @ V_B @ T.T)
    assert_allclose(turned.stat, test.stat, rtol=1e-6)  # rounding, times the condition of T
    assert turned.df == test.df == (k,)
    assert test.note == "V(b) - V(B) is positive definite"


def test_indefinite_contrast_is_reported():
    test = diagnostics.hausman_contrast(np.array([1.0, 1.0]), np.eye(2), np.zeros(2), np.diag([0.5, 1.5]))
    assert (test.stat, test.df) == (0.0, (2,))  # 1 / 0.5 - 1 / 0.5
    assert "not positive definite, 1 of 2 eigenvalues < 0" in test.note
    assert "p-value is doubtful" in test.note
    with pytest.raises(EstimationError, match="same covariance"):
        diagnostics.hausman_contrast(np.ones(2), np.eye(2), np.zeros(2), np.eye(2))


def test_one_error_variance_is_that_of_the_estimate_named(thinned):
    """With the variance of `fe` in both, V_b - V_B is s2 ((X'QX)^-1 - (X*'X*)^-1); sigmamore differs by a factor."""
    y, X, _, rows = thinned
    fe, re = within(*thinned), random(*thinned)
    less, more = (diagnostics.hausman(fe, re, **{name: True}) for name in ("sigmaless", "sigmamore"))
    theta = swamy_arora(y, X, rows.entity).theta
    W = quasi_demean(np.column_stack([np.ones(y.size), X]), theta, rows.entity)
    net = demean(X, rows.entity)
    D = np.linalg.inv(net.T @ net) - np.linalg.inv(W.T @ W)[1:, 1:]
    d = fe.params.to_numpy() - re.params.to_numpy()[1:]
    e = fe.design.residuals
    s2 = e @ e / (232 - 48 - 3)
    assert_allclose(less.stat, d @ np.linalg.solve(D, d) / s2, rtol=1e-6)  # normal equations in raw units
    e = re.design.residuals
    assert_allclose(more.stat, less.stat * s2 / (e @ e / (232 - 4)), rtol=1e-9)  # rounding


def test_auxiliary_test_is_the_test_of_mundlaks_means(thinned):
    """Quasi-demeaned means span what within columns add to the regression, also where theta differs by entity."""
    y, X, _, rows = thinned
    test = diagnostics.hausman(within(*thinned), random(*thinned), method="auxiliary")
    theta = swamy_arora(y, X, rows.entity).theta
    W = np.column_stack([np.ones(y.size), X, X - demean(X, rows.entity)])
    star, W = (quasi_demean(values, theta, rows.entity) for values in (y, W))
    b, e = diagnostics._least_squares(star, W)
    V = classical(W, e, y.size - W.shape[1])[4:, 4:]
    assert_allclose(test.stat, b[4:] @ np.linalg.solve(V, b[4:]), rtol=1e-8)  # rounding
    assert test.df == (3,)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_balanced_auxiliary_test_is_the_contrast_with_the_variance_of_fe(seed):
    """Both judge the same distance by the residuals that within and between columns leave."""
    panel = simulated(np.random.default_rng(seed))
    fe, re = within(*panel), random(*panel)
    auxiliary = diagnostics.hausman(fe, re, method="auxiliary").stat
    assert_allclose(auxiliary, diagnostics.hausman(fe, re, sigmaless=True).stat, rtol=1e-8)  # rounding


def test_constant_regressors_are_not_tested(thinned):
    """Latitude, say: the estimate has it, its within column is rounding, and the null says nothing of it."""
    y, X, names, rows = thinned
    latitude = np.random.default_rng(17).normal(size=48)[rows.entity]
    fe = within(*thinned)
    re = random(y, np.column_stack([latitude, X]), ["latitude", *names], rows)
    test = diagnostics.hausman(fe, re, method="auxiliary")
    assert test.df == diagnostics.hausman(fe, re).df == (3,)
    theta = swamy_arora(y, re.design.X, rows.entity).theta
    W = quasi_demean(np.column_stack([np.ones(y.size), re.design.X]), theta, rows.entity)
    W = np.column_stack([W, demean(X, rows.entity)])
    b, e = diagnostics._least_squares(quasi_demean(y, theta, rows.entity), W)
    expected = b[5:] @ np.linalg.solve(classical(W, e, y.size - 8)[5:, 5:], b[5:])
    assert_allclose(test.stat, expected, rtol=1e-8)  # rounding


def test_two_way_auxiliary_test_of_plm(golden):
    """phtest(method = "aux", effect = "twoways") is a test of two-way within columns; here by its definition."""
    y, X, names, rows = parts(golden("static_fatalities").data, *CASES["static_fatalities"])
    effects = ("firm", "year")
    fe, re = within(y, X, names, rows, effects), random(y, X, names, rows, effects)
    test = diagnostics.hausman(fe, re, method="auxiliary")
    theta = swamy_arora_twoway(y, X, rows.entity, rows.time).theta
    W = np.column_stack([np.ones(y.size), X])
    star, W = (quasi_demean_twoway(values, theta, rows.entity, rows.time) for values in (y, W))
    W = np.column_stack([W, absorb(X, rows.entity, rows.time)])
    b, e = diagnostics._least_squares(star, W)
    expected = b[4:] @ np.linalg.solve(classical(W, e, y.size - 7)[4:, 4:], b[4:])
    assert_allclose(test.stat, expected, rtol=1e-8)  # rounding


def test_time_effects_have_their_own_auxiliary_test():
    rng = np.random.default_rng(9)
    y, X, names, rows = simulated(rng, groups=6, periods=300)
    v = rng.normal(size=300)
    y, X = y + 2 * v[rows.time], X + v[rows.time, None]
    fe = within(y, X, names, rows, ("year",))
    assert diagnostics.hausman(fe, random(y, X, names, rows, ("year",)), method="auxiliary").pvalue < 1e-4
    po = pooled(y, X, names, rows)
    with pytest.raises(UsageError, match="has no random effects of firm or year"):
        diagnostics.hausman(fe, po, method="auxiliary")


def test_too_few_clusters_for_the_auxiliary_test():
    y, X, _, rows = simulated(np.random.default_rng(10), groups=9, periods=12, k=3)
    few = (rows.entity % 2).astype(int)
    theta = swamy_arora(y, X, rows.entity).theta
    star, W = (quasi_demean(values, theta, rows.entity) for values in (y, np.column_stack([np.ones(y.size), X])))
    test = diagnostics.hausman_auxiliary(star, W, demean(X, rows.entity), range(3), few)
    assert test.df[0] < 3
    assert "too few clusters for 3 columns" in test.note
    with pytest.raises(EstimationError, match="no within column is left"):
        diagnostics.hausman_auxiliary(star, W, W[:, 1:], range(3), None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "mundlak"}, "no method 'mundlak'"),
        ({"method": "auxiliary", "cov": "hc1"}, "no covariance 'hc1'"),
        ({"cov": "cluster"}, "cov='cluster' needs method='auxiliary'"),
        ({"sigmamore": True, "sigmaless": True}, "choose one"),
        ({"method": "auxiliary", "sigmamore": True}, "leave them out of 'auxiliary'"),
        ({"coefficients": ["x0", "x9"]}, "'x9' is not a slope of both estimates: choose among x0, x1"),
        ({"coefficients": []}, "no slope in common"),
    ],
)
def test_refusals_of_hausman(options, says):
    panel = simulated(np.random.default_rng(11))
    with pytest.raises(UsageError, match=says) as caught:
        diagnostics.hausman(within(*panel), random(*panel), **options)
    assert "\n" not in str(caught.value)


def test_hausman_wants_one_sample_and_classical_errors():
    y, X, names, rows = simulated(np.random.default_rng(12))
    fe = within(y, X, names, rows)
    few = simulated(np.random.default_rng(12), groups=30)
    with pytest.raises(UsageError, match="'y' in 200 rows and Random effects 'y' in 150, not the"):
        diagnostics.hausman(fe, random(*few))
    with pytest.raises(UsageError, match="in 200, not the same ones"):
        diagnostics.hausman(fe, random(y + 1, X, names, rows))
    with pytest.raises(UsageError, match="covariance of Fixed effects is CR1, 40 clusters"):
        diagnostics.hausman(within(y, X, names, rows, cov_type="CR1, 40 clusters in firm"), random(y, X, names, rows))
    bare = Estimate(**{f.name: getattr(fe, f.name) for f in fields(Estimate) if f.name != "design"})
    with pytest.raises(UsageError, match="does not keep its rows"):
        diagnostics.pesaran_cd(bare)
    weighted = Rows(rows.names, rows.entity, rows.time, rows.tick, weight=np.ones(200))
    with pytest.raises(UsageError, match="is weighted"):
        diagnostics.pesaran_cd(within(y, X, names, weighted))


# --- likelihood ratio and Wald --------------------------------------------------------------------------------------


def test_lr_checks_that_models_are_nested(panel):
    forward, backward, both = (econ.fit(panel, f"gini ~ {x}") for x in ("forward", "backward", "forward + backward"))
    pool = econ.fit(panel, "gini ~ forward + backward", estimator="pooled")
    assert diagnostics.lr(both, pool).df == (18,)  # 11 + 7 dummies
    for big, small, says in (
        (forward, both, "21 coefficients against 20"),
        (forward, backward, "20 coefficients against 20"),
        (both, econ.fit(panel.head(90), "gini ~ forward"), "96 rows and 'gini' in 90, not the same rows"),
        (both, econ.fit(panel, "backward ~ forward"), "not the same rows"),
    ):
        with pytest.raises(UsageError, match=says):
            diagnostics.lr(big, small)
    other = panel.assign(extra=panel["forward"] ** 2)
    with pytest.raises(UsageError, match="'extra' is in the smaller model only"):
        diagnostics.lr(both, econ.fit(other, "gini ~ extra"))
    y, X, names, rows = simulated(np.random.default_rng(13))
    shuffled = pooled(y[::-1], X, names, rows)
    with pytest.raises(UsageError, match="not the same rows"):
        diagnostics.lr(within(y, X, names, rows), shuffled)
    parts = {f.name: getattr(forward, f.name) for f in fields(Estimate)}
    with pytest.raises(UsageError, match="has no likelihood"):
        diagnostics.lr(both, Estimate(**parts | {"loglik": None}))
    with pytest.raises(UsageError, match="larger model has the lower log-likelihood"):
        diagnostics.lr(both, Estimate(**parts | {"loglik": both.loglik + 1}))


@pytest.fixture
def five():
    """Coefficients whose names hold signs, with any covariance."""
    names = ["Intercept", "fw", "fw2", "fw:bw", "I(x - 1)", "C(year)[T.2001]"]
    rng = np.random.default_rng(14)
    A = rng.normal(size=(6, 9))
    return Estimate(
        model="m",
        formula="y ~ fw",
        dependent="y",
        params=pd.Series(rng.normal(size=6), names),
        cov=pd.DataFrame(A @ A.T, names, names),
        cov_type="classical",
        nobs=50,
        df_resid=44,
    )


@pytest.mark.parametrize(
    ("text", "R", "q"),
    [
        ("fw", [0, 1, 0, 0, 0, 0], 0),
        ("fw = fw2", [0, 1, -1, 0, 0, 0], 0),
        ("fw2 + 2*fw = 1", [0, 2, 1, 0, 0, 0], 1),
        (" - fw +.5 * fw:bw=-1e-3 ", [0, -1, 0, 0.5, 0, 0], -1e-3),
        ("I(x - 1) - C(year)[T.2001] - 2 = 1 + Intercept", [-1, 0, 0, 0, 1, -1], 3),
        ("2*fw - fw2 = fw2 - fw", [0, 3, -2, 0, 0, 0], 0),
    ],
)
def test_restrictions_in_words(five, text, R, q):
    R = np.array(R, float)
    d = R @ five.params - q
    expected = d**2 / (R @ five.cov.to_numpy() @ R)
    for given_as in (text, [text], (R, q), (R[None], np.array([q]))):
        test = diagnostics.wald(five, given_as)
        assert_allclose(test.stat, expected, rtol=1e-10)  # rounding
        assert test.df == (1, 44)


def test_wald_of_several_restrictions(five):
    R = np.array([[0, 1, -1, 0, 0, 0], [0, 0, 0, 1, 0, 2.0]])
    d = R @ five.params.to_numpy() - [0, 1]
    expected = d @ np.linalg.solve(R @ five.cov.to_numpy() @ R.T, d)
    test = diagnostics.wald(five, ["fw = fw2", "fw:bw + 2*C(year)[T.2001] = 1"])
    assert_allclose(test.stat, expected / 2, rtol=1e-10)  # rounding
    assert (test.df, test.null) == ((2, 44), "fw = fw2, fw:bw + 2*C(year)[T.2001] = 1")
    large = Estimate(**{f.name: getattr(five, f.name) for f in fields(Estimate)} | {"df_resid": None})
    chi2 = diagnostics.wald(large, (R, [0, 1]))
    assert_allclose(chi2.stat, expected, rtol=1e-10)  # rounding
    assert chi2.df == (2,)
    assert_allclose(diagnostics.wald(five, R[0]).stat, diagnostics.wald(five, "fw = fw2").stat, rtol=1e-12)  # same


@pytest.mark.parametrize(
    ("given_as", "error", "says"),
    [
        ("fwx", UsageError, "cannot be read at 'fwx'"),
        ("fw fw2", UsageError, "cannot be read at 'fw fw2'"),
        ("fw = fw2 = 0", UsageError, "cannot be read at '= 0'"),
        ("fw / 2", UsageError, "cannot be read"),
        ("fw + ", UsageError, "cannot be read"),
        ("fw =", UsageError, "cannot be read"),
        ("", UsageError, "cannot be read"),
        ("1 = 1", UsageError, "holds no coefficient"),
        ("fw = fw", UsageError, "holds no coefficient"),
        ([], UsageError, "there is no restriction"),
        (["fw = fw2", "2*fw = 2*fw2"], UsageError, "repeat or contradict each other"),
        (np.eye(5), UsageError, r"R has the shape \(5, 5\)"),
        ((np.eye(6), np.zeros(5)), UsageError, r"q \(5,\)"),
        ((np.eye(6),), UsageError, "found 1 arrays"),
        (np.zeros((1, 6)), UsageError, "repeat or contradict"),
    ],
)
def test_refusals_of_wald(five, given_as, error, says):
    with pytest.raises(error, match=says) as caught:
        diagnostics.wald(five, given_as)
    assert "\n" not in str(caught.value)


def test_wald_needs_a_covariance_of_full_rank(five):
    parts = {f.name: getattr(five, f.name) for f in fields(Estimate)}
    unknown = five.cov.copy()
    unknown.loc["fw", :] = unknown.loc[:, "fw"] = np.nan
    part = Estimate(**parts | {"cov": unknown})
    with pytest.raises(EstimationError, match="has no standard error"):
        diagnostics.wald(part, "fw = fw2")
    assert diagnostics.wald(part, "fw2").stat == diagnostics.wald(five, "fw2").stat
    a = np.arange(1.0, 7)
    thin = Estimate(**parts | {"cov": pd.DataFrame(np.outer(a, a), five.cov.index, five.cov.index)})
    with pytest.raises(EstimationError, match="2 restrictions have a covariance of rank 1"):
        diagnostics.wald(thin, ["fw", "fw2"])


# --- components and errors: definitions on random panels ------------------------------------------------------------


@st.composite
def residuals(draw):
    """e, entity, time, tick of an unbalanced panel in any order, 4 to 7 entities, with a hole in the calendar."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups, periods = draw(st.integers(4, 7)), draw(st.integers(5, 8))
    entity, time = (axis.ravel() for axis in np.indices((groups, periods)))
    kept = (rng.random(entity.size) < 0.7) | (time < 2)
    order = rng.permutation(kept.sum())
    entity, time = entity[kept][order], np.unique(time[kept][order], return_inverse=True)[1]
    return rng.normal(size=entity.size) + rng.normal(size=groups)[entity], entity, time, time + (time > 3)


@given(residuals())
@settings(max_examples=40)
def test_multiplier_is_score_and_information(panel):
    """Breusch and Pagan (1980): D' I^-1 D at sigma_u = 0, with the derivatives of the n x n covariance written out."""
    e, entity, time, _ = panel
    for code in (entity, time):
        same = (code[:, None] == code).astype(float)
        s2 = e @ e / e.size
        derivatives = [np.eye(e.size), same]
        score = np.array([(e @ A @ e / s2**2 - np.trace(A) / s2) / 2 for A in derivatives])
        information = np.array([[np.trace(A @ B) for B in derivatives] for A in derivatives]) / (2 * s2**2)
        expected = score @ np.linalg.solve(information, score)
        root = diagnostics.signed_multiplier(e, code)
        assert_allclose(root**2, expected, rtol=1e-8, atol=1e-12)  # rounding; atol: the score may be near zero
        assert np.sign(root) == np.sign(score[1])


@given(residuals())
@settings(max_examples=40)
def test_dependence_by_a_double_loop(panel):
    """Pesaran (2004), eq. 50, by correlations over common periods; series by pandas."""
    e, entity, time, _ = panel
    table = pd.DataFrame({"e": e, "i": entity, "t": time}).pivot(index="t", columns="i", values="e")
    terms = []
    for i in range(table.shape[1]):
        for j in range(i + 1, table.shape[1]):
            common = table[[i, j]].dropna().to_numpy()
            terms.append(np.sqrt(len(common)) * np.corrcoef(common.T)[0, 1])
    test = diagnostics.cross_section_dependence(e, entity, time)
    assert_allclose(test.stat, np.sum(terms) / np.sqrt(len(terms)), rtol=1e-8, atol=1e-10)  # rounding of a sum
    assert_allclose(test.pvalue, 2 * special.ndtr(-abs(test.stat)), rtol=1e-12)  # the same function


def test_pairs_without_common_periods_are_left_out_and_counted():
    entity, time = np.repeat([0, 1, 2], 3), np.array([0, 1, 2, 0, 1, 2, 2, 3, 4])
    e = np.array([1.0, -2, 1, 2, 1, -3, 1, 1, 2])
    test = diagnostics.cross_section_dependence(e, entity, time, ("firm", "year"))
    assert "2 of 3 pairs without two common periods left out" in test.note
    assert_allclose(test.stat, np.sqrt(3) * np.corrcoef(e[:3], e[3:6])[0, 1], rtol=1e-12)  # one pair
    with pytest.raises(EstimationError, match="no two of the 2 values of 'firm' share two values of 'year'"):
        diagnostics.cross_section_dependence(e[3:], entity[3:] - 1, time[3:], ("firm", "year"))


@given(residuals(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_serial_correlation_by_its_steps(panel, seed):
    """Differences by merging each row with that of the tick before; one regression, one clustered variance."""
    y, entity, _, tick = panel
    X = np.random.default_rng(seed).normal(size=(y.size, 2))
    frame = pd.DataFrame(np.column_stack([y, X]), columns=["y", "a", "b"]).assign(i=entity, t=tick)
    before = frame.assign(t=frame["t"] + 1)
    merged = frame.merge(before, on=["i", "t"], suffixes=("", "_1"))
    d = merged[["i", "t"]].assign(**{name: merged[name] - merged[f"{name}_1"] for name in "yab"})
    b = np.linalg.lstsq(d[["a", "b"]], d["y"], rcond=None)[0]
    d["e"] = d["y"] - d[["a", "b"]] @ b
    pairs = d.merge(d.assign(t=d["t"] + 1), on=["i", "t"], suffixes=("", "_1"))
    groups = pairs["i"].nunique()
    if groups < 2:
        with pytest.raises(EstimationError, match="three consecutive periods"):
            diagnostics.serial_correlation(y, X, entity, tick)
        return
    slope = pairs["e"] @ pairs["e_1"] / (pairs["e_1"] @ pairs["e_1"])
    scores = ((pairs["e"] - slope * pairs["e_1"]) * pairs["e_1"]).groupby(pairs["i"]).sum()
    variance = groups / (groups - 1) * (scores @ scores) / (pairs["e_1"] @ pairs["e_1"]) ** 2
    test = diagnostics.serial_correlation(y, X, entity, tick)
    assert_allclose(test.stat, (slope + 0.5) ** 2 / variance, rtol=1e-6, atol=1e-10)  # few pairs: tiny variances
    assert test.df == (1, groups - 1)


def test_serial_correlation_knows_white_noise_from_persistence():
    """200 entities, 8 periods; AR(1) of 0.5 has a slope of -1/4 in differences, far from -1/2."""
    rng = np.random.default_rng(15)
    entity, time = (axis.ravel() for axis in np.indices((200, 8)))
    white = rng.normal(size=(200, 8))
    persistent = np.empty_like(white)
    persistent[:, 0] = white[:, 0] / np.sqrt(0.75)
    for t in range(1, 8):
        persistent[:, t] = 0.5 * persistent[:, t - 1] + white[:, t]
    X = rng.normal(size=(1600, 1))
    area = rng.normal(size=200)[entity, None]  # does not vary: left out of the differences
    found = [
        diagnostics.serial_correlation(X[:, 0] + e.ravel(), np.column_stack([X, area]), entity, time)
        for e in (white, persistent)
    ]
    assert found[0].pvalue > 0.01  # a fixed draw: one in a hundred would fail
    assert found[1].pvalue < 1e-10


@given(residuals())
@settings(max_examples=40)
def test_modified_wald_by_a_loop(panel):
    """Baum (2001): the variance of e^2 about its mean, one entity after the other."""
    e, entity, _, _ = panel
    keep = np.bincount(entity)[entity] >= 3
    assume(np.unique(entity[keep]).size > 1)
    e, entity = e[keep], np.unique(entity[keep], return_inverse=True)[1]
    e = demean(e, entity)
    expected = 0.0
    for i in range(entity.max() + 1):
        squares = e[entity == i] ** 2
        expected += (squares.mean() - np.mean(e**2)) ** 2 / (np.var(squares, ddof=1) / squares.size)
    test = diagnostics.groupwise_heteroskedasticity(e, entity)
    assert_allclose(test.stat, expected, rtol=1e-8)  # rounding
    assert test.df == (entity.max() + 1,)


def test_refusals_of_the_residual_tests():
    y, X, names, rows = simulated(np.random.default_rng(16), periods=4)
    with pytest.raises(UsageError, match="has no effects of firm, and the modified Wald test is for fixed effects"):
        diagnostics.modified_wald(pooled(y, X, names, rows))
    for call, says in (
        ({"effects": "firm"}, "no effects 'firm'"),
        ({"variant": "ghm"}, "no variant 'ghm'"),
    ):
        with pytest.raises(UsageError, match=says):
            diagnostics.breusch_pagan(pooled(y, X, names, rows), **call)
    one = rows_of(np.arange(160), rows.time)
    with pytest.raises(EstimationError, match="each firm has one row"):
        diagnostics.breusch_pagan(pooled(y, X, names, one), "twoway")
    entity = np.repeat([0, 1, 2], [2, 3, 3])
    with pytest.raises(EstimationError, match="1 of 3 values of 'firm' have fewer than 3 rows"):
        diagnostics.groupwise_heteroskedasticity(np.arange(8.0), entity, "firm")
    with pytest.raises(EstimationError, match="1 of 2 values of 'entity' are all of one size"):
        diagnostics.groupwise_heteroskedasticity(np.array([1.0, -1, 1, -1, 1, 2, 0, -3]), np.repeat([0, 1], 4))


def test_law_of_a_statistic():
    assert_allclose(Test(1.959963984540054, (), "null", "normal").pvalue, 0.05, rtol=1e-12)  # rounding
    assert np.isnan(Test(-1.0, (2,), "null", "none").pvalue)
    assert str(Test(-1.96, (), "no trend", "normal", "a note")) == "z = -1.96, p = 0.0500 (no trend; a note)"
    assert Test(2.0, (1, 9), "null").pvalue == special.fdtrc(1, 9, 2.0)
    assert Test(2.0, (1,), "null").pvalue == special.chdtrc(1, 2.0)


# --- through econ.fit -------------------------------------------------------------------------------------------------


def panel_of(seed, entities=30, periods=8, shocks=0.0, keep=0.85):
    """y on x with effects of the entities, and `shocks` of the periods that both share."""
    rng = np.random.default_rng(seed)
    i, t = (axis.ravel() for axis in np.indices((entities, periods)))
    v, a, n = rng.normal(size=periods) * shocks, rng.normal(size=entities), i.size
    x = rng.normal(size=n) + v[t]
    frame = pd.DataFrame({"firm": i, "year": 2000 + t, "x": x, "z": rng.normal(size=n)})
    frame["y"] = x + a[i] + v[t] + rng.normal(size=n)
    return frame[(rng.random(n) < keep) | (i == 0) | (t == 0)]


KEYS = {"entity": "firm", "time": "year"}


def test_hausman_wants_the_same_effects():
    """Shocks that y and x share reject any comparison of two-way with one-way effects; dummies or --effects mend it."""
    data = panel_of(1, shocks=1.0)
    twoway, entity = econ.fit(data, "y ~ x", **KEYS), econ.fit(data, "y ~ x", effects="entity", **KEYS)
    one, dummies = econ.fit(data, "y ~ x", "re", **KEYS), econ.fit(data, "y ~ x + C(year)", "re", **KEYS)
    for method in ("contrast", "auxiliary"):
        with pytest.raises(UsageError, match=r"has effects of year and Random effects .* has none"):
            econ.hausman(twoway, one, method=method)
    assert econ.hausman(entity, one).df == (1,)
    assert econ.hausman(twoway, dummies, sigmamore=True).pvalue > 0.01  # one draw of a true null
    # the same as with dummies on both sides
    both = econ.fit(data, "y ~ x + C(year)", effects="entity", **KEYS)
    assert_allclose(
        econ.hausman(twoway, dummies).stat, econ.hausman(both, dummies, coefficients="x").stat, rtol=1e-7
    )  # differences of covariances lose digits
    assert econ.hausman(twoway, econ.fit(data, "y ~ x", "pooled", **KEYS)).df == (1,)


@pytest.mark.parametrize("option", ["sigmamore", "sigmaless"])
def test_one_error_variance_whatever_small_is(option):
    """Without small-sample counts the ratio of variances is that of sums over n, so the contrast keeps its sign."""
    data = panel_of(2)
    tests = []
    for small in (True, False):
        fe = econ.fit(data, "y ~ x + z", effects="entity", small=small, **KEYS)
        re = econ.fit(data, "y ~ x + z", "re", small=small, **KEYS)
        tests.append(econ.hausman(fe, re, **{option: True}))
        base = re if option == "sigmamore" else fe
        tests.append(base.error_variance)
    assert_allclose(tests[0].stat * tests[1], tests[2].stat * tests[3], rtol=1e-8)


@pytest.mark.parametrize(
    "options",
    [{}, {"effects": "entity"}, {"effects": "twoway"}, {"effects": "entity", "weights": "w"}],
    ids=["none", "entity", "twoway", "weights"],
)
def test_sigmamore_beside_instruments_is_the_difference_of_sargans(options):
    """F. Hayashi (2000), "Econometrics", p. 233: one error variance, that of least squares over n, makes them equal."""
    data = panel_of(7)
    rng = np.random.default_rng(7)
    u, q = rng.normal(size=(2, len(data)))
    data = data.assign(y=data["y"] + u, z=q + 0.5 * u + data["z"], q=q, w=rng.uniform(0.5, 2, len(data)))
    iv = econ.fit(data, "y ~ x + [z ~ q]", "iv", small=False, **options, **KEYS)
    ols = econ.fit(data, "y ~ x + z", "fe" if "effects" in options else "pooled", small=False, **options, **KEYS)
    test = econ.hausman(iv, ols, sigmamore=True)
    assert_allclose(test.stat, iv.tests["endogeneity"].stat, rtol=1e-8)  # a difference of covariances loses digits
    assert test.df == (1,)
    liml = econ.fit(data, "y ~ x + [z ~ q]", "liml", small=False, **options, **KEYS)  # one instrument: 2SLS
    assert_allclose(econ.hausman(liml, ols, sigmaless=True).stat, econ.hausman(iv, ols, sigmaless=True).stat, rtol=1e-6)
    gmm = econ.fit(data, "y ~ x + [z ~ q]", "gmm-iv", **options, **KEYS)
    with pytest.raises(UsageError, match="is no multiple of one error variance"):
        econ.hausman(gmm, ols, sigmaless=True)


def test_one_error_variance_counts_dofminus():
    """n - dofminus takes the place of n in the variance of 2SLS, and a contrast with it in both covariances follows."""
    data = panel_of(8).assign(q=lambda frame: frame["z"] + np.random.default_rng(8).normal(size=len(frame)))
    n = len(data)
    fits = [
        econ.fit(data, "y ~ x + [z ~ q]", "iv", effects="entity", small=False, dofminus=more, **KEYS) for more in (0, 9)
    ]
    ols = econ.fit(data, "y ~ x + z", effects="entity", small=False, **KEYS)
    plain, less = (econ.hausman(iv, ols, sigmaless=True).stat for iv in fits)
    assert_allclose(less, plain * (n - 9) / n, rtol=1e-8)  # a difference of covariances loses digits
    more = [econ.hausman(iv, ols, sigmamore=True).stat for iv in fits]
    assert_allclose(more[0], more[1], rtol=1e-8)


@pytest.mark.parametrize("test", [econ.wooldridge_serial, econ.breusch_pagan])
def test_effects_of_periods_are_dummies_to_tests_of_errors(test):
    data = panel_of(3, shocks=1.0)
    absorbed = econ.fit(data, "y ~ x", effects="twoway", **KEYS)
    dummies = econ.fit(data, "y ~ x + C(year)", effects="entity", **KEYS)
    assert_allclose(test(absorbed).stat, test(dummies).stat, rtol=1e-8)
    assert test(absorbed).df == test(dummies).df


def test_size_of_serial_correlation_beside_common_shocks():
    """60 true nulls at 5 %: more than 9 rejections have a probability below 0.1 %."""
    rejected = [
        econ.wooldridge_serial(econ.fit(panel_of(seed, shocks=1.0), "y ~ x", **KEYS)).pvalue < 0.05
        for seed in range(60)
    ]
    assert sum(rejected) <= 9


def test_size_of_breusch_pagan_beside_shocks_of_y():
    """60 true nulls at 5 %: more than 9 rejections have a probability below 0.1 %.

    Shocks that stay in the residuals outweigh errors and cancel in the sums of entities, so that pooled residuals give
    about N / 2 where chi2(1) is the law.
    """
    rejected = {"time": 0, None: 0}
    for seed in range(60):
        data = panel_of(seed, keep=1.0)
        rng = np.random.default_rng(seed)
        shocks = 3 * rng.normal(size=8)
        data = data.assign(y=data["x"] + shocks[data["year"] - 2000] + rng.normal(size=len(data)))
        for effects in rejected:
            est = econ.fit(data, "y ~ x", "fe" if effects else "pooled", effects=effects, **KEYS)
            rejected[effects] += econ.breusch_pagan(est).pvalue < 0.05
    assert rejected["time"] <= 9
    assert rejected[None] > 50


def test_auxiliary_takes_the_components_of_its_estimate():
    """y and columns less theta of their means, theta from the components that the estimate has."""
    data = panel_of(4)
    fe = econ.fit(data, "y ~ x + z", effects="entity", **KEYS)
    stats = {
        variant: econ.hausman(fe, econ.fit(data, "y ~ x + z", "re", variant=variant, **KEYS), method="auxiliary").stat
        for variant in ("stata", "plm", "ml")
    }
    code = data["firm"].factorize(sort=True)[0]
    y, X = data["y"].to_numpy(), data[["x", "z"]].to_numpy()
    for variant in ("stata", "plm"):
        theta = swamy_arora(y, X, code, variant).theta
        W = quasi_demean(np.column_stack([np.ones(y.size), X]), theta, code)
        wanted = diagnostics.hausman_auxiliary(quasi_demean(y, theta, code), W, demean(X, code), range(2), None)
        assert_allclose(stats[variant], wanted.stat, rtol=1e-8)
    assert len(set(stats.values())) == 3


def test_one_restriction_beside_cr2_takes_satterthwaites_degrees_of_freedom():
    data = panel_of(5, entities=8)
    est = econ.fit(data, "y ~ x + z", cov="cr2", cluster="firm", **KEYS)
    test = econ.wald(est, ["x"])
    assert_allclose(test.pvalue, est.pvalues["x"], rtol=1e-9)
    # any other basis of the regressors has the same contrast as a coefficient
    turned = econ.fit(data.assign(s=data["x"] + data["z"]), "y ~ x + s", cov="cr2", cluster="firm", **KEYS)
    contrast = econ.wald(est, ["x = z"])  # y = (x - z) x + z s
    assert_allclose(contrast.pvalue, turned.pvalues["x"], rtol=1e-7)
    several = econ.wald(est, ["x", "z"])
    assert several.df == (2, 7)
    assert "Satterthwaite" in several.note
    assert_allclose(est.tests["f_model"].stat, several.stat, rtol=1e-9)
    single = econ.fit(data, "y ~ x", cov="cr2", cluster="firm", **KEYS)
    assert_allclose(single.tests["f_model"].pvalue, single.pvalues["x"], rtol=1e-9)
    level = econ.wald(est, ["Intercept + x"])
    assert 0 < level.df[1] < 8


def test_dependence_beside_effects_of_time_is_said_to_mislead():
    """Whether they are absorbed or dummies; random ones stay in the residuals."""
    data = panel_of(6, keep=1.0)
    cases = [
        ("y ~ x", {}, True),
        ("y ~ x + C(year)", {"effects": "entity"}, True),
        ("y ~ x + C(year)", {"estimator": "pooled"}, True),
        ("y ~ x", {"effects": "entity"}, False),
        ("y ~ x", {"estimator": "re", "effects": "twoway"}, False),
    ]
    for formula, options, misleads in cases:
        est = econ.fit(data, formula, **options, **KEYS)
        assert ("sum to 0" in econ.pesaran_cd(est).note) == misleads
        sums = est.residuals.groupby("year").sum().abs().max()
        assert (sums < 1e-8) == misleads  # rounding of sums of 30 residuals, which otherwise reach 5
