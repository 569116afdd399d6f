"""Tobit and random-effects Tobit: R's numbers, likelihoods written out anew, and what holds for any data."""

import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, optimize, stats

import econ
from econ.cli import main
from econ.errors import EconError, EstimationError, UsageError
from econ.estimators import tobit as arrays
from econ.estimators.covariance import clustered, driscoll_kraay
from econ.estimators.tobit import in_log_sigma, likelihood_covariance, re_tobit, tobit

from .test_other_programs import balanced_panel

ML = 1e-6  # econometrics.md 7, of maximum likelihood by another program
# Ours on the same data in another order or unit: Newton's method stops within 1e-9 standard errors of the maximum.
SAME = 1e-7
CROSS = {"estimator": "tobit", "entity": None, "time": None}


# --- golden cases -------------------------------------------------------------------------------------------------


def equal(est, coef, scale=None, loglik=None, se=None, rtol=ML):
    names = {name: {"(Intercept)": "Intercept", "_cons": "Intercept"}.get(name, name) for name in coef}
    assert_allclose([est.params[name] for name in names.values()], list(coef.values()), rtol=rtol)
    if scale is not None:
        assert_allclose(est.components["sigma"], scale, rtol=rtol)
    if loglik is not None:
        assert_allclose(est.loglik, loglik, rtol=rtol)
    if se is not None:
        found = [est.std_errors[names[name]] for name in names if name in se]
        assert_allclose(found, [se[name] for name in names if name in se], rtol=rtol)
        if "Log(scale)" in se:
            assert_allclose(est.component_errors["sigma"] / est.components["sigma"], se["Log(scale)"], rtol=rtol)


AFFAIRS = "affairs ~ age + yearsmarried + religiousness + occupation + rating"


@pytest.mark.parametrize(
    ("case", "limits", "counts"),
    [("left0", {"lower": 0}, (451, 150, 0)), ("left0_right4", {"lower": 0, "upper": 4}, (451, 70, 80))],
)
def test_affairs(golden, case, limits, counts):
    """AER's tobit; R. C. Fair (1978); W. H. Greene (2003), table 22.3."""
    found = golden("tobit_affairs")
    est = econ.fit(found.data, AFFAIRS, **CROSS, **limits)
    wanted = found.expected[case]
    equal(est, wanted["coef"], wanted["scale"], wanted["logLik"], wanted["se"])
    assert est.valid
    assert sum(est.limited.counts) == est.nobs == wanted["nobs"]
    assert est.limited.counts == counts
    printed = dict(found.expected["published"]["Greene (2003) T22.3 / AER ?Affairs"][case.split("_")[-1]])
    sigma, loglik = printed.pop("sigma"), printed.pop("ll", None)
    # half a unit in the last place in print
    assert_allclose([est.params[n.replace("_cons", "Intercept")] for n in printed], list(printed.values()), atol=5e-4)
    assert_allclose(est.components["sigma"], sigma, atol=5e-4)
    if loglik is not None:
        assert_allclose(est.loglik, loglik, atol=5e-3)


def test_fractions_with_a_mass_at_one(golden):
    found = golden("tobit_k401k")
    wanted = found.expected["computed"]
    est = econ.fit(found.data, "y ~ mrate + ltotemp + age + agesq + sole", **CROSS, lower=0, upper=1)
    equal(est, wanted["coef"], wanted["scale"], wanted["logLik"], wanted["se"])
    assert est.limited.counts == (wanted["ncens"]["left"], 852, wanted["ncens"]["right"])
    assert est.nobs == wanted["nobs"]


@pytest.fixture
def simulated(golden):
    found = golden("retobit_sim")

    def fit(right="x1 + x2", estimator="retobit", **options):
        return econ.fit(found.data, f"y ~ {right}", estimator, "id", "year", **{"lower": 0, "upper": 1, **options})

    return fit, found.expected


@pytest.mark.parametrize("points", [8, 12, 25])
def test_random_effects(simulated, points):
    fit, expected = simulated
    wanted = expected["exact_adaptive"]
    est = fit(points=points)
    # six or seven digits in print: half a unit in the last of them
    assert_allclose(est.params, list(wanted["b"].values()), rtol=0, atol=5e-7)
    assert_allclose(est.std_errors, [wanted["se"][name] for name in wanted["b"]], rtol=0, atol=5e-7)
    assert_allclose(est.loglik, wanted["ll"], rtol=0, atol=5e-7)
    for name in ("sigma_u", "sigma_e"):
        assert_allclose(est.components[name], wanted[name], rtol=0, atol=5e-7)
        assert_allclose(est.component_errors[name], wanted["se"][name], rtol=0, atol=5e-7)
    assert est.limited.counts == (expected["ncens"]["left"], 306, expected["ncens"]["right"])
    # plain quadrature, censReg's, is wrong by two points of log-likelihood
    assert abs(est.loglik - expected["plain_gh_censReg"]["re_ghq12"]["ll"]) > 2


def test_pooled_and_dummies(simulated):
    fit, expected = simulated
    wanted = expected["pooled"]
    pooled = fit(estimator="tobit")
    equal(pooled, wanted["coef"], wanted["scale"], wanted["logLik"], wanted["se"])
    wanted = expected["fe_dummies"]
    dummies = fit("x1 + x2 + C(id) + C(year)", "tobit")
    equal(dummies, wanted["coef"], wanted["scale"], wanted["ll"], wanted["se"])
    with_effects = fit()
    test = with_effects.tests["lr_pooled"]
    assert test.law == "chibar2"
    assert_allclose(test.stat, 2 * (expected["exact_adaptive"]["ll"] - wanted_ll(expected)), rtol=ML)
    assert_allclose(test.pvalue, stats.chi2(1).sf(test.stat) / 2)
    assert_allclose(econ.lr(with_effects, pooled).stat, test.stat)


def wanted_ll(expected):
    return expected["pooled"]["logLik"]


@pytest.mark.parametrize("limits", [{}, {"lower": 0, "upper": 1}, {"upper": 5}])
def test_without_censoring_it_is_maximum_likelihood(golden, limits):
    """lme4's lmer(REML = FALSE)."""
    found = golden("pipeline_simulated_20211")
    controls = "fw + bw + open + fdi + cap + gov + hc + lnint + lninfra + fin + C(year)"
    est = econ.fit(found.data, f"gini ~ {controls}", "retobit", "id", "year", **limits)
    wanted = found.expected["retobit_equals_RE_ML"]
    equal(est, wanted["coef"], None, wanted["ll"], wanted["se"])
    assert_allclose([est.components[name] for name in ("sigma_u", "sigma_e")], [wanted["sigma_u"], wanted["sigma_e"]],
                    rtol=ML)  # fmt: skip
    assert_allclose(est.loglik, wanted["ll"], rtol=1e-10)
    assert arrays.NOTHING_CENSORED in est.notes
    linear = econ.fit(found.data, f"gini ~ {controls}", "re", "id", "year", variant="ml")
    assert_allclose(est.params, linear.params, rtol=SAME)
    assert_allclose(est.std_errors, linear.std_errors, rtol=SAME)
    assert_allclose(est.aic, linear.aic)
    assert_allclose(est.tests["lr_pooled"].stat, linear.tests["lr_pooled"].stat, rtol=SAME)
    assert_allclose(est.effect_values["id"], linear.effect_values["id"], rtol=1e-6)  # the share is known to 1e-7


# --- other data, other programs -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def balanced():
    return balanced_panel()


KEYS = {"entity": "country", "time": "year"}
PLAIN = "y ~ x + w + q"
SURVREG = {"x": 1.191953358709, "w": -0.871152944014, "q": 0.034589461580, "_cons": 1.038596508134}


@pytest.mark.parametrize(
    ("options", "se"),
    [
        ({}, [0.154918193701, 0.118013509790, 0.138384566198, 0.215114445510, 0.105858336650]),
        # survreg(..., cluster(country)) and robust = TRUE, without small-sample factors
        (
            {"cov": "cluster", "cluster": "country", "small": False},
            [0.158784485642, 0.147093317539, 0.101674930906, 0.402241621835, 0.116847411468],
        ),
        ({"cov": "hc0"}, [0.149367496666, 0.125211029042, 0.152583803718, 0.253371177250, 0.110359877576]),
    ],
)
def test_survreg(balanced, options, se):
    """R's AER::tobit(left = 0, right = 3) and survival::survreg(dist = "gaussian")."""
    est = econ.fit(balanced, PLAIN, "tobit", **KEYS, lower=0, upper=3, **options)
    equal(est, SURVREG, 1.43328454124, -139.257114928, dict(zip([*SURVREG, "Log(scale)"], se, strict=True)))
    assert est.limited.counts == (41, 56, 29)


def test_survreg_at_one_limit(balanced):
    """AER::tobit(left = -Inf, right = 2)."""
    est = econ.fit(balanced, PLAIN, "tobit", **KEYS, upper=2)
    coef = {"x": 1.281880331592, "w": -1.047072628603, "q": 0.159261657356, "_cons": 1.000331830081}
    se = [0.1337032443400, 0.1238365629478, 0.1547585243345, 0.2385736644318, 0.0834356284172]
    equal(est, coef, 1.65280581065, -169.181252121, dict(zip([*coef, "Log(scale)"], se, strict=True)))


def test_survreg_with_weights(balanced):
    """survreg with weights of mean 1."""
    est = econ.fit(balanced, PLAIN, "tobit", **KEYS, lower=0, upper=3, weights="weight")
    coef = {"x": 1.1579097726983, "w": -0.8762696973690, "q": 0.0104339738629, "_cons": 1.0674919311335}
    se = [0.151381387375, 0.120323692505, 0.136623910707, 0.212160986237, 0.105031770138]
    equal(est, coef, 1.42054598389, -141.131008185, dict(zip([*coef, "Log(scale)"], se, strict=True)))


def test_lmer(balanced):
    """lmer(y ~ x + w + q + (1 | country), REML = FALSE): no limits."""
    est = econ.fit(balanced, PLAIN, "retobit", **KEYS)
    coef = {"x": 1.1767867560125, "w": -0.8379684095027, "q": 0.0673600166353, "_cons": 0.8690099129558}
    equal(est, coef, loglik=-216.052049866, rtol=1e-5)  # lmer's optimiser stops near 1e-6 of its theta
    assert_allclose(est.components["sigma_u"], 0.906434484332, rtol=1e-5)
    assert_allclose(est.components["sigma_e"], 1.216861920851, rtol=1e-5)


# --- likelihoods written out --------------------------------------------------------------------------------------


def drawn(seed, n=60, k=2, groups=0, sigma_u=0.8, censor=(0.0, 1.5)):
    """(y, X, entity): y* = X b + effects + noise, y between the limits."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, k))])
    entity = np.sort(rng.integers(0, groups, n)) if groups else np.arange(n)
    entity = np.unique(entity, return_inverse=True)[1]
    effect = sigma_u * rng.normal(size=n)[entity] if groups else 0
    y = X @ np.linspace(0.5, -0.5, k + 1) + effect + rng.normal(size=n)
    low, high = censor
    return np.clip(y, low, high), X, entity


def log_density(y, m, sigma, lower, upper):
    """Log-likelihood of rows by SciPy's normal law."""
    lower, upper = -np.inf if lower is None else lower, np.inf if upper is None else upper
    return np.where(
        y <= lower,
        stats.norm.logcdf((lower - m) / sigma),
        np.where(y >= upper, stats.norm.logsf((upper - m) / sigma), stats.norm.logpdf(y, m, sigma)),
    )


def re_loglik(p, y, X, entity, lower, upper, points=1201):
    """By a fine grid over the effects: the trapezoid is exact to rounding for integrands that vanish at its ends."""
    grid = np.linspace(-9, 9, points)
    b, sigma_u, sigma_e = p[:-2], p[-2], p[-1]
    rows = log_density(y[:, None], (X @ b)[:, None] + sigma_u * grid, sigma_e, lower, upper)
    terms = np.zeros((entity.max() + 1, grid.size))
    np.add.at(terms, entity, rows)
    terms += stats.norm.logpdf(grid)
    peak = terms.max(axis=1, keepdims=True)
    return float(np.sum(peak[:, 0] + np.log(np.exp(terms - peak).sum(axis=1) * (grid[1] - grid[0]))))


def ends(limits):
    """The limits, infinite where there is none."""
    lower, upper = limits
    return -np.inf if lower is None else lower, np.inf if upper is None else upper


LIMITS = [(0.0, None), (None, 1.5), (0.0, 1.5), (None, None)]
properties = settings(max_examples=25, deadline=None)


def climbed(f, start):
    """The maximum of f by SciPy."""
    found = optimize.minimize(lambda p: -f(p), start, method="BFGS", options={"gtol": 1e-7})
    return found.x, -found.fun


@properties
@given(st.integers(0, 10_000), st.sampled_from(LIMITS), st.integers(1, 3))
def test_tobit_is_the_maximum_of_its_likelihood(seed, limits, k):
    y, X, _ = drawn(seed, k=k, censor=ends(limits))
    fit = tobit(y, X, *limits)

    def loglik(p):
        return log_density(y, X @ p[:-1], np.exp(p[-1]), *limits).sum()

    at = np.r_[fit.b, np.log(fit.sigma)]
    assert_allclose(fit.loglik, loglik(at), rtol=1e-12)  # the same sum in other units
    start = np.r_[np.linalg.lstsq(X, y, rcond=None)[0], np.log(y.std())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy's, of line searches that end in rounding
        best, top = climbed(loglik, start)
    assert fit.loglik >= top - 1e-9 * abs(top)
    # BFGS stops where the slope is 1e-7 to 1e-5, which is 1e-5 of a standard error here
    assert_allclose(best, at, atol=1e-4)
    assert_allclose(np.linalg.inv(fit.inverse), -curvature(loglik, at, fit), rtol=1e-4, atol=1e-4 * y.size)


def curvature(loglik, at, fit):
    """Hessian in (b, sigma) by central differences, steps of a hundredth of a standard error: errors 1e-4, rounding
    1e-16 n / 1e-4."""
    at = np.r_[at[:-1], np.exp(at[-1])]
    h = 1e-2 * np.sqrt(np.diag(fit.inverse))
    d = np.diag(h)

    def f(p):
        return loglik(np.r_[p[:-1], np.log(p[-1])])

    return np.array(
        [
            [
                (f(at + u + v) - f(at + u - v) - f(at - u + v) + f(at - u - v)) / (4 * h[i] * h[j])
                for j, v in enumerate(d)
            ]
            for i, u in enumerate(d)
        ]
    )


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(LIMITS))
def test_random_effects_are_the_maximum_of_their_likelihood(seed, limits):
    y, X, entity = drawn(seed, n=70, groups=12, censor=ends(limits))
    fit = re_tobit(y, X, entity, *limits, points=16)
    at = np.r_[fit.b, fit.sigma_u, fit.sigma_e]

    def loglik(p):
        return re_loglik(p, y, X, entity, *limits)

    # quadrature of 16 points or more, checked to 1e-4 of standard errors: below 1e-6 of the log-likelihood
    assert_allclose(fit.loglik, loglik(at), rtol=1e-7)
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(12, at.size)) * np.r_[np.sqrt(np.diag(fit.inverse)[:-2]), 0.1, 0.1]
    nearby = at + steps * rng.choice([0.01, 0.1, 1, 3], (12, 1))
    nearby[:, -2:] = np.abs(nearby[:, -2:])
    assert max(loglik(p) for p in nearby) <= fit.loglik + 1e-7 * abs(fit.loglik)
    if fit.sigma_u > 0.1 * fit.sigma_e:  # else the maximum is too flat or on the edge for BFGS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            best, top = climbed(lambda p: loglik(np.r_[p[:-2], np.exp(p[-2:])]),
                                np.r_[at[:-2] + 0.1, np.log(at[-2:]) + 0.1])  # fmt: skip
        assert top <= fit.loglik + 1e-7 * abs(fit.loglik)
        # flat in sigma_u: 1e-7 of the log-likelihood is 1e-3 of a standard error
        assert_allclose(np.r_[best[:-2], np.exp(best[-2:])], at, rtol=2e-3, atol=2e-3)


def differences(f, p, h=1e-5):
    """Derivatives by central differences: error h^2 = 1e-10, rounding 1e-16 / h = 1e-11, times the size of f."""
    return np.stack([(f(p + step) - f(p - step)) / (2 * h) for step in h * np.eye(p.size)], axis=-1)


@properties
@given(st.integers(0, 10_000), st.sampled_from(LIMITS), st.floats(0.3, 3.0))
def test_derivatives_of_a_row(seed, limits, theta):
    y, X, _ = drawn(seed, n=15)
    c, side = arrays.censored(y, *limits)
    columns, weight = np.column_stack([-X, c]), np.linspace(0.5, 1.5, c.size)
    p = np.r_[np.random.default_rng(seed).normal(size=3), theta]

    def f(p, part):
        return arrays.likelihood(p, columns, side, weight)[part]

    _, scores, hessian = arrays.likelihood(p, columns, side, weight)
    size = np.abs(hessian).max()
    assert_allclose(scores.sum(axis=0), differences(lambda p: f(p, 0), p), rtol=1e-6, atol=1e-8 * size)
    assert_allclose(hessian, differences(lambda p: f(p, 1).sum(axis=0), p), rtol=1e-6, atol=1e-8 * size)


@properties
@given(st.integers(0, 10_000), st.sampled_from(LIMITS), st.floats(0.3, 3.0), st.floats(-2.5, 2.5))
def test_derivatives_of_a_group(seed, limits, theta, delta):
    y, X, entity = drawn(seed, n=20, groups=4)
    c, side = arrays.censored(y, *limits)
    (groups,) = arrays._blocks(np.column_stack([-X, c]), side, entity, 64)
    p = np.r_[np.random.default_rng(seed).normal(size=3), theta, delta]

    def f(p):
        start = np.zeros(groups.starts.size)
        return arrays.group_likelihood(p, groups, arrays.Rule(64), start)

    loglik, scores, hessian, _, means = f(p)
    rows = re_loglik(np.r_[p[:3] / theta, abs(delta) / theta, 1 / theta], y, X, entity, *limits)
    assert_allclose(loglik.sum(), rows, rtol=1e-9)  # 64 points
    size = np.abs(hessian).max()
    # 64 points leave less than the differences do
    assert_allclose(scores, differences(lambda p: f(p)[0], p), rtol=1e-5, atol=1e-7 * size)
    assert_allclose(hessian, differences(lambda p: f(p)[1].sum(axis=0), p), rtol=1e-5, atol=1e-7 * size)
    assert means.shape == loglik.shape


def test_tails():
    """phi / Phi where it is about -t, and its slope on both sides of where the series begins."""
    t = np.array([-1e8, -1e4, -300.0, -201.0, -199.0, -30.0, 0.0, 5.0, 40.0, 1e6])
    with np.errstate(all="raise", under="ignore"):
        m, slope = arrays.mills(t), arrays.mills_slope(t)
    near = (t > -37) & (t < 37)
    assert_allclose(m[near], np.exp(stats.norm.logpdf(t[near]) - stats.norm.logcdf(t[near])), rtol=1e-12)
    u = -t[:5]
    # R. Mills (1926): the ratio is t + 1/t - 2/t^3 + ...; the rest is below 10 / t^5
    assert_allclose(m[:5], u + 1 / u - 2 / u**3, rtol=1e-10)
    assert_allclose(slope[:5], 1 - 1 / u**2 + 6 / u**4, rtol=1e-10)
    assert ((slope >= 0) & (slope <= 1)).all()
    assert m[-1] == slope[-1] == 0


# --- marginal effects ---------------------------------------------------------------------------------------------


def mean_of(kind, m, s, lower, upper):
    """The mean or probability of `kind` for y* of mean m and deviation s, by integration."""
    lower, upper = -np.inf if lower is None else lower, np.inf if upper is None else upper
    if kind == "latent":
        return m
    law = stats.norm(m, s)
    p = law.cdf(upper) - law.cdf(lower)
    if kind == "probability":
        return p
    ends = max(lower, m - 12 * s), min(upper, m + 12 * s)
    inside = integrate.quad(lambda y: y * law.pdf(y), *ends, epsabs=1e-13, epsrel=1e-13)[0]
    if kind == "uncensored":
        return inside / p
    return inside + sum(
        limit * share for limit, share in ((lower, law.cdf(lower)), (upper, law.sf(upper))) if np.isfinite(limit)
    )


@pytest.mark.parametrize("kind", arrays.EFFECTS)
@pytest.mark.parametrize("limits", LIMITS)
def test_effects_are_derivatives(kind, limits):
    b, s = np.array([0.3, -0.8]), 1.3
    X = np.array([[1.0, 0.4], [1.0, -2.0], [1.0, 2.5]])
    effects, J = arrays.marginal_effects(kind, b, s, X, *limits)
    h = 1e-4  # errors h^2 = 1e-8, those of the integrals 1e-13 / h
    slopes = [(mean_of(kind, m + h, s, *limits) - mean_of(kind, m - h, s, *limits)) / (2 * h) for m in X @ b]
    assert_allclose(effects, b * np.mean(slopes), rtol=1e-6, atol=1e-9)
    numeric = differences(lambda p: arrays.marginal_effects(kind, p[:2], p[2], X, *limits)[0], np.r_[b, s])
    assert_allclose(J, numeric, rtol=1e-6, atol=1e-9)


def test_effects_far_from_the_limits_are_finite():
    for kind in arrays.EFFECTS:
        for m in (-30.0, 30.0, 300.0):
            effects, J = arrays.marginal_effects(kind, np.array([m]), 1.0, np.ones((1, 1)), 0.0, 1.0)
            assert np.isfinite(effects).all()
            assert np.isfinite(J).all()


@pytest.mark.parametrize("at", ["average", "means"])
@pytest.mark.parametrize("kind", arrays.EFFECTS)
@pytest.mark.parametrize("estimator", ["tobit", "retobit"])
def test_marginal_effects(balanced, estimator, kind, at):
    est = econ.fit(balanced, PLAIN, estimator, **KEYS, lower=0, upper=3)
    found = econ.marginal_effects(est, kind, at)
    assert list(found.index) == ["x", "w", "q"]
    if kind == "latent":
        assert_allclose(found["effect"], est.params.iloc[1:])
        assert_allclose(found["se"], est.std_errors.iloc[1:])
        assert_allclose(found["z"], est.tvalues.iloc[1:])
        assert_allclose(found["p"], est.pvalues.iloc[1:])
        assert_allclose(found[["lower", "upper"]], est.conf_int().iloc[1:])
        return
    values = np.array([value for name, value in est.components.items() if name.startswith("sigma")])
    X = np.column_stack([np.ones(est.nobs), balanced[["x", "w", "q"]]])
    X = X.mean(axis=0, keepdims=True) if at == "means" else X

    def effects(p):
        b, s = p[:4], np.sqrt(np.sum(p[4:] ** 2))
        h = 1e-4
        slopes = [(mean_of(kind, m + h, s, 0, 3) - mean_of(kind, m - h, s, 0, 3)) / (2 * h) for m in X @ b]
        return b[1:] * np.mean(slopes)

    p = np.r_[est.params, values]
    assert_allclose(found["effect"], effects(p), rtol=1e-6)
    J = differences(effects, p, 1e-3)  # of numeric slopes: 1e-6 of truncation, 1e-9 / h of rounding
    assert_allclose(found["se"], np.sqrt(np.diag(J @ est.limited.V @ J.T)), rtol=1e-4)


def test_effects_on_what_is_censored_add_up(golden):
    """J. McDonald, R. Moffitt (1980), eq. 6: dE(y) = P dE(y | y > 0) + E(y | y > 0) dP, at any point."""
    est = econ.fit(golden("tobit_affairs").data, AFFAIRS, **CROSS, lower=0)
    censored, uncensored, probability = (
        econ.marginal_effects(est, kind, "means")["effect"] for kind in ("censored", "uncensored", "probability")
    )
    m = est.params.iloc[0] + est.design.X.mean(axis=0) @ est.params.iloc[1:]
    s = est.components["sigma"]
    p = stats.norm.cdf(m / s)
    above = m + s * stats.norm.pdf(m / s) / p
    assert_allclose(censored, p * uncensored + above * probability, rtol=1e-10)


# --- covariances --------------------------------------------------------------------------------------------------


def test_covariances_by_definition(balanced):
    def fit(estimator, **options):
        return econ.fit(balanced, PLAIN, estimator, **KEYS, lower=0, upper=3, **options)

    c, X = balanced["y"].to_numpy(), np.column_stack([np.ones(126), balanced[["x", "w", "q"]]])
    code = np.unique(balanced["country"], return_inverse=True)[1]
    plain, random = tobit(c, X, 0, 3), re_tobit(c, X, code, 0, 3)
    step = 1e-5

    def rows(p):
        return log_density(c, X @ p[:-1], p[-1], 0, 3)

    scores = differences(rows, np.r_[plain.b, plain.sigma], step)
    assert_allclose(plain.scores, scores, rtol=1e-6, atol=1e-8)
    A = plain.inverse
    assert_allclose(fit("tobit", cov="opg").limited.V, np.linalg.inv(scores.T @ scores), rtol=1e-6)
    white = A @ scores.T @ scores @ A
    assert_allclose(fit("tobit", cov="hc0").limited.V, white, rtol=1e-6)
    assert_allclose(fit("tobit", cov="hc1").limited.V, white * 126 / 125, rtol=1e-6)
    assert_allclose(fit("tobit", cov="hc1", small=False).limited.V, white, rtol=1e-6)
    by_country = A @ clustered(scores, code) @ A * 14 / 13
    assert_allclose(fit("tobit", cov="cluster", cluster="country").limited.V, by_country, rtol=1e-6)
    kraay = likelihood_covariance(A, plain.scores, "sandwich", lambda S: driscoll_kraay(S, balanced["year"] - 1990, 1))
    assert_allclose(kraay, A @ driscoll_kraay(scores, balanced["year"] - 1990, 1) @ A, rtol=1e-6)

    def groups(p):
        return np.array([re_loglik(p, c[code == g], X[code == g], code[code == g] * 0, 0, 3) for g in range(14)])

    scores = differences(groups, np.r_[random.b, random.sigma_u, random.sigma_e], step)
    assert_allclose(random.scores, scores, rtol=1e-5, atol=1e-5)  # 12 points
    outer = random.scores.T @ random.scores
    assert_allclose(fit("retobit", cov="opg").limited.V, np.linalg.inv(outer), rtol=1e-8)
    sandwich = random.inverse @ outer @ random.inverse
    assert_allclose(fit("retobit", cov="hc0").limited.V, sandwich, rtol=1e-8)
    assert_allclose(fit("retobit", cov="hc1").limited.V, sandwich * 14 / 13, rtol=1e-8)
    assert_allclose(
        fit("retobit", cov="cluster", cluster="country").limited.V, fit("retobit", cov="hc1").limited.V, rtol=1e-10
    )


def test_log_sigma(balanced):
    fit = tobit(balanced["y"].to_numpy(), np.ones((126, 1)), 0)
    V = in_log_sigma(fit.inverse, fit.sigma)
    assert_allclose(V[1, 1], fit.inverse[1, 1] / fit.sigma**2)
    assert_allclose(V[0, 1], fit.inverse[0, 1] / fit.sigma)
    assert V[0, 0] == fit.inverse[0, 0]


# --- what does not matter -----------------------------------------------------------------------------------------


def moved(limit, a, b):
    return None if limit is None else a + b * limit


@properties
@given(
    st.integers(0, 10_000),
    st.sampled_from(LIMITS[:3]),
    st.floats(-100, 100),
    st.sampled_from([1e-8, 0.01, 1, 1e5, 1e12, -1, -1e-3]),
    st.booleans(),
)
def test_units_and_origin_of_y(seed, limits, a, b, random):
    y, X, entity = drawn(seed, groups=12)

    def fit(y, limits):
        return re_tobit(y, X, entity, *limits) if random else tobit(y, X, *limits)

    one = fit(y, limits)
    other_limits = [moved(limit, a * abs(b), b) for limit in limits]
    other = fit(a * abs(b) + b * y, other_limits[:: 1 if b > 0 else -1])
    scale = np.sqrt(np.diag(one.inverse)[: one.b.size])
    # 100 units of y cost two digits, standard errors are about 0.2
    assert_allclose((other.b - a * abs(b) * np.eye(one.b.size)[0]) / b, one.b, atol=1e-6 * scale.max())
    assert_allclose(other.loglik, one.loglik - one.counts[1] * np.log(abs(b)), rtol=1e-8)
    sigma = ("sigma_u", "sigma_e") if random else ("sigma",)
    for name in sigma:
        assert_allclose(getattr(other, name), abs(b) * getattr(one, name), rtol=1e-6, atol=1e-6 * abs(b))
    assert_allclose(np.diag(other.inverse) / b**2, np.diag(one.inverse), rtol=1e-5, atol=1e-9)


@properties
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([1e-9, 1e-3, 1e6]))
def test_units_of_regressors_order_of_rows_and_names_of_groups(seed, random, unit):
    y, X, entity = drawn(seed, groups=12)
    rng = np.random.default_rng(seed)

    def fit(y, X, entity):
        return re_tobit(y, X, entity, 0, 1.5) if random else tobit(y, X, 0, 1.5)

    one = fit(y, X, entity)
    order = rng.permutation(y.size)
    names = rng.permutation(entity.max() + 1)
    scale = np.array([1.0, unit, 1.0])
    other = fit(y[order], X[order] * scale, names[entity][order])
    assert_allclose(other.b * scale, one.b, rtol=1e-6, atol=1e-8)
    assert_allclose(other.loglik, one.loglik, rtol=1e-10)
    assert_allclose(np.diag(other.inverse)[:3] * scale**2, np.diag(one.inverse)[:3], rtol=1e-6)


def test_columns_may_be_combined(balanced):
    one = econ.fit(balanced, "y ~ x + w", "tobit", **KEYS, lower=0)
    other = econ.fit(balanced.assign(z=balanced["x"] + 1e4 * balanced["w"]), "y ~ x + z", "tobit", **KEYS, lower=0)
    assert_allclose(other.loglik, one.loglik, rtol=1e-12)
    # z is x to four digits of eight
    assert_allclose(other.params["z"] * 1e4, one.params["w"], rtol=1e-6)


def test_limits_that_nothing_reaches_are_none(balanced):
    far = econ.fit(balanced, PLAIN, "tobit", **KEYS, lower=-1e6, upper=1e6)
    none = econ.fit(balanced, PLAIN, "tobit", **KEYS)
    least = econ.fit(balanced, PLAIN, "pooled", **KEYS)
    for est in (far, none):
        assert_allclose(est.params, least.params, rtol=1e-9)
        assert_allclose(est.loglik, least.loglik, rtol=1e-12)
        assert_allclose(est.std_errors, least.std_errors * np.sqrt(122 / 126), rtol=1e-9)
        assert_allclose([est.aic, est.bic], [least.aic, least.bic], rtol=1e-12)
        assert arrays.NOTHING_CENSORED in est.notes
    assert_allclose(econ.lr(least, econ.fit(balanced, "y ~ x", "tobit", **KEYS)).stat,
                    econ.lr(least, econ.fit(balanced, "y ~ x", "pooled", **KEYS)).stat, rtol=1e-9)  # fmt: skip


def test_values_beyond_a_limit_count_as_at_it(balanced):
    beyond = econ.fit(balanced, PLAIN, "tobit", **KEYS, lower=0)
    at = econ.fit(balanced.assign(y=balanced["y"].clip(lower=0)), PLAIN, "tobit", **KEYS, lower=0)
    assert_allclose(beyond.params, at.params, rtol=1e-12)
    assert "41 values lie beyond a limit, not at it, and count as at it" in beyond.notes
    assert not any("beyond" in note for note in at.notes)


def test_limits_of_rows(balanced):
    """Arrays of limits that are all alike are the limit; rows with a limit far away are never censored."""
    y, X = balanced["y"].to_numpy(), np.column_stack([np.ones(126), balanced["x"]])
    assert_allclose(tobit(y, X, np.zeros(126), np.full(126, 3.0)).b, tobit(y, X, 0, 3).b, rtol=1e-12)
    low = np.where(np.arange(126) < 60, 0.0, -np.inf)
    part = tobit(y, X, low)
    assert part.counts[0] == (y[:60] <= 0).sum()
    assert_allclose(part.loglik, log_density(y, X @ part.b, part.sigma, low, np.inf).sum(), rtol=1e-12)


# --- planted truth ------------------------------------------------------------------------------------------------


def test_planted_truth():
    rng = np.random.default_rng(5)
    N, T = 800, 6
    entity = np.repeat(np.arange(N), T)
    X = np.column_stack([np.ones(N * T), rng.normal(size=(N * T, 2))])
    b, sigma_u, sigma_e = np.array([0.5, 1.0, -0.7]), 0.9, 0.6
    y = np.clip(X @ b + sigma_u * rng.normal(size=N)[entity] + sigma_e * rng.normal(size=N * T), 0, 1.5)
    fit = re_tobit(y, X, entity, 0, 1.5)
    truth, found = np.r_[b, sigma_u, sigma_e], np.r_[fit.b, fit.sigma_u, fit.sigma_e]
    # four standard errors: less than one sample in a thousand, and the seed is fixed
    assert (np.abs(found - truth) < 4 * np.sqrt(np.diag(fit.inverse))).all()
    assert np.sqrt(np.diag(fit.inverse)).max() < 0.05
    pooled = tobit(y, X, 0, 1.5)
    assert_allclose(pooled.sigma, np.hypot(sigma_u, sigma_e), rtol=0.05)
    assert fit.converged
    assert fit.change < 1e-4


def test_no_effects():
    """Effects that cancel inside groups: sigma_u is 0, and all else is the Tobit without."""
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(120), rng.normal(size=120)])
    e = rng.normal(size=(30, 4))
    y = X @ [0.5, 1.0] + (e - e.mean(axis=1, keepdims=True)).ravel()
    table = pd.DataFrame({"y": y, "x": X[:, 1], "id": np.repeat(np.arange(30), 4), "t": np.tile(np.arange(4), 30)})
    est = econ.fit(table, "y ~ x", "retobit", "id", "t", lower=0)
    plain = econ.fit(table, "y ~ x", "tobit", "id", "t", lower=0)
    assert est.components["sigma_u"] == est.components["rho"] == 0
    assert est.tests["lr_pooled"].stat == 0
    assert est.tests["lr_pooled"].pvalue == 1
    assert_allclose(est.params, plain.params, rtol=1e-10)
    assert_allclose(est.std_errors, plain.std_errors, rtol=1e-10)
    assert np.isnan(est.component_errors["sigma_u"])
    assert "sigma_u is estimated at 0" in est.summary()
    for cov in ("opg", "hc1"):
        spread = econ.fit(table, "y ~ x", "retobit", "id", "t", lower=0, cov=cov).std_errors
        assert (spread > 0).all()
    assert_allclose(econ.marginal_effects(est, "censored"), econ.marginal_effects(plain, "censored"), rtol=1e-8)
    grid = [re_loglik(np.r_[est.params, s, est.components["sigma_e"]], y, X, table["id"], 0, None)
            for s in (0.05, 0.2, 0.5)]  # fmt: skip
    assert max(grid) < est.loglik


@pytest.mark.parametrize(("sigma_u", "sigma_e"), [(3, 0.03), (3, 0.3), (3, 1)])
def test_effects_that_are_nearly_all(sigma_u, sigma_e):
    """sigma_u up to a hundred times sigma_e, two thirds of the groups censored altogether: what is integrated has an
    edge that Gauss-Hermite points miss."""
    rng = np.random.default_rng(9)
    entity = np.repeat(np.arange(60), 8)
    X = np.column_stack([np.ones(480), rng.normal(size=480)])
    y = np.maximum(X @ [-1.0, 0.2] + sigma_u * rng.normal(size=60)[entity] + sigma_e * rng.normal(size=480), 0)
    assert 0.3 < np.mean(np.bincount(entity, y > 0) == 0) < 0.8
    fit = re_tobit(y, X, entity, 0)
    assert fit.converged
    assert fit.points == 12
    assert_allclose(fit.b[1], 0.2, atol=4 * np.sqrt(fit.inverse[1, 1]))
    at = np.r_[fit.b, fit.sigma_u, fit.sigma_e]
    by_grid = re_loglik(at, y, X, entity, 0, None, 18 * int(40 * max(sigma_u / sigma_e, 10)))
    assert_allclose(fit.loglik, by_grid, rtol=1e-6)  # 12 points in groups that are not censored altogether
    many = re_tobit(y, X, entity, 0, points=64)
    assert_allclose(many.b, fit.b, rtol=1e-4)
    assert_allclose(many.loglik, fit.loglik, rtol=1e-6)


def test_panels_hold_the_integral():
    """Groups at one limit or at both, at any distance from it, against a fine grid."""
    for delta in (-2.0, 1e-9, 0.3, 1.0, 5.0, 40.0):
        for middle in (-20.0, -3.0, 0.0, 2.0, 50.0):
            for sides in ([-1], [1], [-1] * 30, [-1, 1, -1, -1], [1, 1, 1]):
                side = np.array(sides)
                z = middle * -side[0] + np.linspace(0, 1.5, side.size)
                rows = np.zeros(side.size, int)
                groups = arrays._Groups(z[:, None], side, np.array([0]), rows, np.zeros(1), True)
                p = np.array([1.0, 1.0, delta])
                wide = arrays._Groups(np.column_stack([z, rows]), side, groups.starts, rows, groups.free, True)
                found = arrays.group_likelihood(p, wide, arrays.Rule(16), np.zeros(1))[0][0]

                def height(a):
                    falls = stats.norm.logcdf(-side[:, None] * (z[:, None] - delta * a))  # noqa: B023
                    return falls.sum(axis=0) + stats.norm.logpdf(a)

                coarse = np.linspace(-70, 70, 2001)
                # steps of 1/100 of the sharpest edge; at a distance of 11 the logarithm is lower by 60
                a = coarse[np.argmax(height(coarse))] + np.linspace(-11, 11, 88_001)
                terms = height(a)
                peak = terms.max()
                wanted = peak + np.log(np.exp(terms - peak).sum() * (a[1] - a[0]))
                assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


# --- points of the quadrature ---------------------------------------------------------------------------------------


def test_points_are_raised_until_nothing_changes():
    rng = np.random.default_rng(1)
    entity = np.repeat(np.arange(60), 3)
    X = np.column_stack([np.ones(180), rng.normal(size=180)])
    y = np.maximum(X @ [-0.5, 1.0] + 2.5 * rng.normal(size=60)[entity] + rng.normal(size=180), 0)
    few, many = re_tobit(y, X, entity, 0, points=2), re_tobit(y, X, entity, 0, points=64)
    assert few.points > 2
    assert few.change < 1e-4
    assert any("points of quadrature instead of 2" in note for note in few.notes)
    assert many.points == 64
    assert not many.notes
    # a relative change below 1e-4 once more is what the rule promises; ten times as much is seen as a failure
    assert_allclose(few.b, many.b, rtol=1e-3)
    assert_allclose([few.sigma_u, few.sigma_e, few.loglik], [many.sigma_u, many.sigma_e, many.loglik], rtol=1e-3)


def test_points_that_never_suffice(monkeypatch, simulated):
    monkeypatch.setattr(arrays, "MOST_POINTS", 4)
    monkeypatch.setattr(arrays, "CHANGE", 0.0)
    monkeypatch.setattr(arrays, "LARGE_CHANGE", 0.0)
    fit, _ = simulated
    est = fit(points=4)
    assert not est.valid
    assert any("from 4 to 8 points of quadrature: they cannot be trusted" in note for note in est.notes)


def test_speed():
    """19,000 observations in ten seconds: about two here."""
    rng = np.random.default_rng(0)
    entity = np.repeat(np.arange(1900), 10)
    X = np.column_stack([np.ones(19_000), rng.normal(size=(19_000, 8))])
    y = X @ np.linspace(0.3, -0.3, 9) + rng.normal(size=1900)[entity] + rng.normal(size=19_000)
    start = time.perf_counter()
    fit = re_tobit(y, X, entity, 0)
    assert time.perf_counter() - start < 10
    assert fit.converged


def test_groups_of_a_hundred_periods():
    """The product of a hundred densities is far out of the range of numbers; their logarithms are not."""
    rng = np.random.default_rng(2)
    entity = np.repeat(np.arange(50), 100)
    X = np.column_stack([np.ones(5000), rng.normal(size=5000)])
    y = 1e-3 * (X @ [2.0, 1.0] + rng.normal(size=50)[entity] + 20 * rng.normal(size=5000))
    with np.errstate(all="raise", under="ignore"):
        fit = re_tobit(y, X, entity, 0)
    assert fit.converged
    assert np.isfinite(fit.loglik)
    assert (np.diag(fit.inverse) > 0).all()


# --- bad input ----------------------------------------------------------------------------------------------------


def refused(error, says, call):
    with pytest.raises(error, match=says) as caught:
        call()
    text = str(caught.value)
    assert isinstance(caught.value, EconError)
    assert "\n" not in text
    assert text.endswith((".", ")."))
    assert text.count(". ") == 0


@pytest.mark.parametrize("estimator", ["tobit", "retobit"])
@pytest.mark.parametrize(
    ("spoil", "limits", "says"),
    [
        (lambda d: d, {"lower": 100}, "all 126 observations are censored .126 at the lower limit.*check the limits"),
        (lambda d: d, {"upper": -100}, "all 126 observations are censored .126 at the upper limit"),
        (
            lambda d: d.assign(y=np.where(d["y"] > 0, 1.0, 0.0)),
            {"lower": 0, "upper": 1},
            "censored .* lower limit, .* up",
        ),
        (lambda d: d.assign(y=2.0), {"lower": 0}, "'y' does not vary"),
        (
            lambda d: d.assign(y=(2 * d["x"] - d["w"]).clip(lower=0)),
            {"lower": 0},
            "reproduce the .* exactly|exactly ins",
        ),
        (lambda d: d.assign(x=1.0, w=2.0, q=3.0), {"lower": 0}, "no regressor is left"),
        (lambda d: d.assign(q=(d["y"] <= 0).astype(float)), {"lower": 0}, "^q predicts perfectly .* leave out q"),
        (
            lambda d: d.assign(q=(d["country"] == "c01") * 1.0, y=d["y"].where(d["country"] != "c01", -1)),
            {"lower": 0},
            "q predicts perfectly",
        ),
        (
            lambda d: d.assign(q=(d["country"] == "c01") * 1.0, y=d["y"].where(d["country"] != "c01", 9)),
            {"lower": 0, "upper": 5},
            "q predicts perfectly",
        ),
    ],
)
def test_what_has_no_maximum(balanced, estimator, spoil, limits, says):
    refused(EstimationError, says, lambda: econ.fit(spoil(balanced), PLAIN, estimator, **KEYS, **limits))


def test_a_dummy_of_censored_rows_at_both_limits_is_no_separation(balanced):
    """One country censored below in some years and above in others: its coefficient is finite."""
    table = balanced.assign(q=(balanced["country"] == "c01") * 1.0)
    table.loc[table["q"] == 1, "y"] = np.where(np.arange(9) % 2, -5.0, 5.0)
    est = econ.fit(table, PLAIN, "tobit", **KEYS, lower=0, upper=4)
    assert est.valid
    assert np.isfinite(est.std_errors).all()


def test_an_exact_fit_that_censored_rows_contradict_has_a_maximum():
    """The line through the uncensored rows is above the limit where rows are censored, so that errors must have a
    variance; where it is below, there is none."""
    x = np.array([0.0, 1, 2, 3, 0.5, 1.5])
    X = np.column_stack([np.ones(6), x])
    y = np.array([1.0, 2, 3, 4, 0, 0])
    fit = tobit(y, X, 0)
    assert fit.converged
    assert 0.1 < fit.sigma < 10
    refused(
        EstimationError, "reproduce the 4 uncensored", lambda: tobit(y, np.column_stack([X[:, 0], x - 3 * (y == 0)]), 0)
    )
    entity = np.array([0, 0, 1, 1, 0, 1])
    assert re_tobit(y, X, entity, 0).counts == (2, 4, 0)
    far = np.column_stack([X[:, 0], np.where(y == 0, -9, x)])
    refused(EstimationError, "exactly inside the groups|reproduce the", lambda: re_tobit(y, far, entity, 0))


OPTIONS = [
    ({"lower": "0"}, "lower is '0': expected a number"),
    ({"lower": True}, "lower is True"),
    ({"upper": np.nan}, "upper is nan"),
    ({"lower": np.inf}, "lower is inf"),
    ({"lower": 3, "upper": 0}, "lower limit 3 is not below the upper limit 0"),
    ({"lower": 1, "upper": 1}, "lower limit 1 is not below"),
    ({"lower": 0, "cov": "hc3"}, "no covariance 'hc3': choose among classical, opg, hc0, hc1, cluster"),
    ({"lower": 0, "cov": "driscoll-kraay"}, "no covariance 'driscoll-kraay'"),
    ({"lower": 0, "cov": "wild", "cluster": "country"}, "no wild bootstrap"),
    ({"lower": 0, "cov": "cluster", "cluster": ["country", "year"]}, "one column of clusters"),
    ({"lower": 0, "effects": "entity"}, "has no effects"),
    ({"lower": 0, "limits": 3}, "has no option 'limits'"),
]


@pytest.mark.parametrize("estimator", ["tobit", "retobit"])
@pytest.mark.parametrize(("options", "says"), OPTIONS)
def test_options_that_cannot_be(balanced, estimator, options, says):
    refused(UsageError, says, lambda: econ.fit(balanced, PLAIN, estimator, **KEYS, **options))


@pytest.mark.parametrize("points", [1, 0, 12.5, True, "12", 129])
def test_points_that_cannot_be(balanced, points):
    refused(UsageError, "points is", lambda: econ.fit(balanced, PLAIN, "retobit", **KEYS, lower=0, points=points))


def test_panels_that_random_effects_cannot_take(balanced):
    one = balanced.groupby("country").head(1)
    refused(
        EstimationError, "14 groups has one observation", lambda: econ.fit(one, "y ~ x", "retobit", **KEYS, lower=0)
    )
    refused(EconError, "needs a panel", lambda: econ.fit(balanced, PLAIN, "retobit", None, None, lower=0))
    refused(EconError, "takes no weights", lambda: econ.fit(balanced, PLAIN, "retobit", **KEYS, weights="weight"))
    refused(
        EconError,
        "several clusters of 'year', which random effects join",
        lambda: econ.fit(balanced, PLAIN, "retobit", **KEYS, lower=0, cov="cluster", cluster="year"),
    )
    few = balanced[balanced["country"].isin(["c00", "c01", "c02"])]
    refused(
        EstimationError,
        "no outer product of full rank for 6 parameters",
        lambda: econ.fit(few, PLAIN, "retobit", **KEYS, lower=0, cov="opg"),
    )
    exact = balanced.assign(y=2 * balanced["x"] + np.unique(balanced["country"], return_inverse=True)[1])
    refused(EstimationError, "exactly inside the groups", lambda: econ.fit(exact, "y ~ x", "retobit", **KEYS, lower=0))


@pytest.mark.parametrize("estimator", ["tobit", "retobit"])
def test_no_convergence_is_said(monkeypatch, balanced, estimator):
    """Fault 65: flagged, with the reason, and no exception."""
    monkeypatch.setattr(arrays, "ITERATIONS", 1)
    est = econ.fit(balanced, PLAIN, estimator, **KEYS, lower=0)
    assert not est.valid
    assert any("did not converge" in note for note in est.notes)
    assert not est.to_dict()["valid"]


def test_other_estimators_have_no_outer_products(balanced):
    refused(UsageError, "no covariance 'opg'", lambda: econ.fit(balanced, PLAIN, "fe", **KEYS, cov="opg"))


def test_tests_of_least_squares_refuse_a_tobit(balanced):
    est = econ.fit(balanced, PLAIN, "retobit", **KEYS, lower=0)
    linear = econ.fit(balanced, PLAIN, "fe", **KEYS, effects="entity")
    for call in (
        lambda: econ.breusch_pagan(est),
        lambda: econ.pesaran_cd(est),
        lambda: econ.wooldridge_serial(est),
        lambda: econ.hausman(linear, est, method="auxiliary"),
    ):
        refused(UsageError, "likelihood of censored data, and this test is for least squares", call)
    refused(UsageError, "covariance of Random-effects Tobit .* observed", lambda: econ.hausman(linear, est))
    other = econ.fit(balanced, "y ~ x", "tobit", **KEYS, lower=-1)
    refused(UsageError, "lower 0, upper none.*lower -1.*same limits", lambda: econ.lr(est, other))
    refused(
        UsageError,
        "those of Pooled OLS lower none",
        lambda: econ.lr(est, econ.fit(balanced, "y ~ x", "pooled", **KEYS)),
    )
    refused(UsageError, "found Pooled OLS", lambda: econ.marginal_effects(econ.fit(balanced, PLAIN, "pooled", **KEYS)))
    refused(UsageError, "no kind 'odds'", lambda: econ.marginal_effects(est, "odds"))
    refused(UsageError, "no place 'median'", lambda: econ.marginal_effects(est, at="median"))
    refused(UsageError, "confidence level is 95", lambda: econ.marginal_effects(est, level=95))
    wald = econ.wald(est, ["x = w"])
    d = est.params["x"] - est.params["w"]
    V = est.cov.loc[["x", "w"], ["x", "w"]].to_numpy()
    assert_allclose(wald.stat, d**2 / (V[0, 0] + V[1, 1] - 2 * V[0, 1]), rtol=1e-8)


# --- what is printed ------------------------------------------------------------------------------------------------


def test_summary(balanced):
    est = econ.fit(balanced, PLAIN, "retobit", **KEYS, lower=0, upper=3)
    text = est.summary()
    for line in (
        "Uncensored",
        "Left-censored",
        "Right-censored",
        "Limits: lower 0, upper 3",
        "12 points",
        "sigma_u",
        "rho",
    ):
        assert line in text
    assert "R-squared" not in text
    assert "observations: 41 left-censored at y <= 0, 56 uncensored, 29 right-censored at y >= 3" in est.notes
    for name, value in est.components.items():
        (row,) = [line for line in text.splitlines() if line.strip().startswith(f"{name} |")]
        numbers = [float(part) for part in row.split("|")[1].split()]
        reach = stats.norm.ppf(0.975) * est.component_errors[name]
        # five significant digits
        assert_allclose(
            numbers, [value, est.component_errors[name], value - reach, value + reach], rtol=1e-4, atol=1e-5
        )
    found = json.loads(json.dumps(est.to_dict()))
    assert found["limited"] == {
        "lower": 0,
        "upper": 3,
        "left_censored": 41,
        "uncensored": 56,
        "right_censored": 29,
        "points": 12,
    }
    plain = econ.fit(balanced, PLAIN, "tobit", **KEYS, lower=0, upper=3)
    alone = econ.fit(balanced, "y ~ x", "tobit", **KEYS, lower=0, upper=3).tests["lr_model"]
    assert plain.tests["lr_model"].df == (3,)
    # one slope more: likelihood ratios add up
    assert_allclose(plain.tests["lr_model"].stat - alone.stat,
                    econ.lr(plain, econ.fit(balanced, "y ~ x", "tobit", **KEYS, lower=0, upper=3)).stat)  # fmt: skip
    assert "pseudo R2" in plain.summary()
    table = econ.to_text(econ.regression_table([plain, est]))
    assert "Tobit regression" in table
    assert "country (random)" in table


def test_command(tmp_path, capsys, balanced):
    path = tmp_path / "panel.csv"
    balanced.to_csv(path, index=False)
    keys = ["--entity", "country", "--time", "year"]
    code = main(["regress", str(path), PLAIN, "--estimator", "tobit", "retobit", *keys, "--option", "lower=0",
                 "--option", "upper=3", "--json"])  # fmt: skip
    assert code == 0
    plain, random = json.loads(capsys.readouterr().out)
    assert_allclose(plain["coefficients"]["x"]["coef"], SURVREG["x"], rtol=ML)
    assert random["components"]["sigma_u"] > 0
