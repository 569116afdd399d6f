"""Random effects against R, linearmodels and the whole covariance matrix; between, differences, Mundlak, likelihood."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from econ.errors import EstimationError, UsageError
from econ.estimators.covariance import classical
from econ.estimators.random import (
    between,
    consecutive,
    first_differences,
    maximum_likelihood,
    mundlak,
    quasi_demean,
    quasi_demean_twoway,
    r_squareds,
    swamy_arora,
    swamy_arora_twoway,
)
from econ.estimators.within import demean

R = 1e-8  # what R prints of linear models
R_ML = 1e-6  # lme4's optimiser stops there

CASES = {
    "static_grunfeld": ("inv", ["value", "capital"]),
    "static_fatalities": ("frate", ["beertax", "unemp", "income"]),
}


def with_constant(X):
    return np.column_stack([np.ones(len(X)), X])


def least_squares(y, W):
    """Coefficients and classical standard errors."""
    length = np.linalg.norm(W, axis=0)
    b = np.linalg.lstsq(W / length, y, rcond=None)[0] / length
    return b, np.sqrt(np.diag(classical(W, y - W @ b, y.size - W.shape[1])))


def arrays(data, dependent, names):
    entity, time = (data.iloc[:, j].factorize(sort=True)[0] for j in (0, 1))
    return data[dependent].to_numpy(float), data[names].to_numpy(float), entity, time


@pytest.fixture(params=CASES)
def case(request, golden):
    found = golden(request.param)
    return *arrays(found.data, *CASES[request.param]), found.expected["computed"]


@pytest.fixture
def thinned(golden):
    """232 of the 336 rows of the traffic deaths, 4 to 6 a state, by a rule that R can repeat."""
    data = golden("static_fatalities").data
    return arrays(data[np.arange(len(data)) * 37 % 101 < 70], *CASES["static_fatalities"])


@pytest.fixture
def provinces(golden):
    """y, X with year dummies, entity, and what R has of the simulated provinces, model m6."""
    found = golden("pipeline_simulated_20211")
    data = found.data.dropna(subset="gini")
    names = ["fw", "bw", "open", "fdi", "cap", "gov", "hc", "lnint", "lninfra", "fin"]
    dummies = pd.get_dummies(data["year"], drop_first=True, dtype=float)
    X = np.column_stack([data[names], dummies])
    return data["gini"].to_numpy(), X, data["id"].factorize()[0], found.expected


# --- R and linearmodels ---------------------------------------------------------------------------------------------


def test_one_way(case):
    y, X, entity, _, computed = case
    expected = computed["re"]
    found = swamy_arora(y, X, entity)
    b, se = least_squares(quasi_demean(y, found.theta, entity), quasi_demean(with_constant(X), found.theta, entity))
    assert_allclose(found.theta, expected["ercomp"]["theta"], rtol=R)
    assert_allclose(found.sigma2_e, expected["ercomp"]["sigma2_idios"], rtol=R)
    assert_allclose(found.sigma2_u, expected["ercomp"]["sigma2_id"], rtol=R)
    assert_allclose(b, list(expected["coef"].values()), rtol=R)
    assert_allclose(se, list(expected["se"].values()), rtol=R)
    assert found.notes == ()


def test_two_way(case):
    y, X, entity, time, computed = case
    expected = computed["re2"]
    found = swamy_arora_twoway(y, X, entity, time)
    star, W = (quasi_demean_twoway(values, found.theta, entity, time) for values in (y, with_constant(X)))
    b, se = least_squares(star, W)
    # atol: Grunfeld's time component is negative, so that its zeros are exact in R and rounding here
    assert_allclose(found.theta, list(expected["theta"].values()), rtol=R, atol=1e-14)
    sigma2 = [found.sigma2_e, found.sigma2_entity, found.sigma2_time]
    assert_allclose(sigma2, list(expected["sigma2"].values()), rtol=R)
    assert_allclose(b, list(expected["coef"].values()), rtol=R)
    assert_allclose(se, list(expected["se"].values()), rtol=R)
    negative = expected["sigma2"]["time"] == 0
    assert [note.startswith("variance component of the periods") for note in found.notes] == [True] * negative


def test_between(case):
    y, X, entity, _, computed = case
    b, se = least_squares(*between(y, X, entity))
    assert_allclose(b, list(computed["bt"]["coef"].values()), rtol=R)
    assert_allclose(se, list(computed["bt"]["se"].values()), rtol=R)


def test_unbalanced_as_plm_has_it(thinned):
    """plm 2.6-2 on the thinned panel: ercomp(), coef() and vcov() of plm(model = "random"), and of "between"."""
    y, X, entity, _ = thinned
    found = swamy_arora(y, X, entity, "plm")
    assert_allclose([found.sigma2_e, found.sigma2_u], [0.037610149382464, 0.194957156632080], rtol=R)
    star, W = (quasi_demean(values, found.theta, entity) for values in (y, with_constant(X)))
    b, se = least_squares(star, W)
    assert_allclose(
        b, [2.76424067494933e00, 1.86119573118428e-01, -4.40076895700505e-02, -3.61630563763269e-05], rtol=R
    )
    assert_allclose(
        se, [4.34147574346906e-01, 1.31135684529529e-01, 1.25613038478142e-02, 2.38809213398865e-05], rtol=R
    )
    b, se = least_squares(*between(y, X, entity))
    assert_allclose(
        b, [3.722432119490036051, 0.133946582731302111, 0.009663804492697017, -0.000131566065144855], rtol=R
    )
    assert_allclose(
        se, [8.10420923330001e-01, 1.55011875216074e-01, 4.10742493550378e-02, 4.06994255862495e-05], rtol=R
    )


def test_unbalanced_as_stata_has_it(thinned):
    """linearmodels' `small_sample=False` is Stata's default; its covariance has the same s2."""
    from linearmodels.panel import RandomEffects

    y, X, entity, time = thinned
    found = swamy_arora(y, X, entity)
    index = pd.MultiIndex.from_arrays([entity, time])
    with warnings.catch_warnings():  # pandas' deprecations inside linearmodels
        warnings.simplefilter("ignore")
        fitted = RandomEffects(pd.Series(y, index), pd.DataFrame(with_constant(X), index)).fit(small_sample=False)
    star, W = (quasi_demean(values, found.theta, entity) for values in (y, with_constant(X)))
    b, se = least_squares(star, W)
    # its normal equations, in units as they are, lose half the digits
    assert_allclose([found.sigma2_u, found.sigma2_e], fitted.variance_decomposition.iloc[:2], rtol=R)
    assert_allclose(b, fitted.params, rtol=R)
    assert_allclose(se, fitted.std_errors, rtol=R)
    # the two conventions are not the same thing
    assert abs(found.sigma2_u / swamy_arora(y, X, entity, "sa").sigma2_u - 1) > 1e-3


def test_year_dummies_have_no_between_variation(provinces):
    """plm's theta, with 13 dummies that the between regression cannot use."""
    y, X, entity, expected = provinces
    found = swamy_arora(y, X, entity)
    star, W = (quasi_demean(values, found.theta, entity) for values in (y, with_constant(X)))
    b, se = least_squares(star, W)
    assert_allclose(found.theta, expected["m6"]["re"]["theta"], rtol=R)
    assert_allclose(b[:11], list(expected["m6"]["re"]["coef"].values()), rtol=R)
    assert_allclose(se[:11], list(expected["m6"]["re"]["se"].values()), rtol=R)


def test_maximum_likelihood_of_lme4(provinces):
    y, X, entity, expected = provinces
    found, lme4 = maximum_likelihood(y, X, entity), expected["lmer_ML"]
    assert_allclose(found.loglik, lme4["ll"], rtol=R_ML)
    assert_allclose([found.sigma_u, found.sigma_e], [lme4["sigma_u"], lme4["sigma_e"]], rtol=R_ML)
    assert_allclose(found.b, list(lme4["coef"].values()), rtol=R_ML)
    # random-effects Tobit without a censored row is the same likelihood, its errors those of the observed information
    tobit = expected["retobit_equals_RE_ML"]
    assert_allclose(np.sqrt(np.diag(found.cov))[:11], list(tobit["se"].values()), rtol=R_ML)


def test_maximum_likelihood_of_an_unbalanced_panel(thinned):
    """lme4 1.1-31, lmer(REML = FALSE, optimizer = "bobyqa") with income in units of 10,000."""
    y, X, entity, _ = thinned
    found = maximum_likelihood(y, X * [1, 1, 1e-4], entity)
    assert_allclose(
        found.b, [2.6258059000549907, 0.1748257771391709, -0.0413138976125263, -0.2719054462010743], rtol=R_ML
    )
    assert_allclose([found.sigma_u, found.sigma_e], [0.505874566369287, 0.195661067201335], rtol=R_ML)
    assert_allclose(found.loglik, -34.6853314928526, rtol=1e-9)  # flat at its top, so exact there


# --- what holds for any panel ---------------------------------------------------------------------------------------


@st.composite
def panels(draw, balanced=False):
    """Unbalanced: 8 to 14 entities with 1 to 7 rows each, in any order, two regressors with effects in them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups, periods = draw(st.integers(8, 14)), draw(st.integers(4, 7))
    entity, time = (axis.ravel() for axis in np.indices((groups, periods)))
    if not balanced:
        kept = (rng.random(entity.size) < 0.7) | (time == entity % periods)
        entity, time = entity[kept], time[kept]
        order = rng.permutation(entity.size)
        entity, time = entity[order], np.unique(time[order], return_inverse=True)[1]
    u = rng.normal(0, draw(st.sampled_from([0.0, 0.5, 3.0])), groups)
    X = rng.normal(size=(entity.size, 2)) + rng.normal(size=(groups, 2))[entity]
    y = 1 + X @ [0.5, -2] + u[entity] + rng.normal(size=entity.size)
    return y, X, entity, time


def same_group(code):
    return (code[:, None] == code).astype(float)


@given(panels(), st.sampled_from(["stata", "sa"]))
@settings(max_examples=40)
def test_quasi_demeaning_is_generalised_least_squares(panel, variant):
    y, X, entity, _ = panel
    found = swamy_arora(y, X, entity, variant)
    omega = found.sigma2_e * np.eye(y.size) + found.sigma2_u * same_group(entity)
    W = with_constant(X)
    inverse = np.linalg.inv(omega)
    V = np.linalg.inv(W.T @ inverse @ W)
    star, W_star = (quasi_demean(values, found.theta, entity) for values in (y, W))
    # rounding of two ways through well-conditioned matrices
    assert_allclose(least_squares(star, W_star)[0], V @ W.T @ inverse @ y, rtol=1e-8, atol=1e-10)
    assert_allclose(np.linalg.inv(W_star.T @ W_star) * found.sigma2_e, V, rtol=1e-8, atol=1e-12)


@given(panels())
@settings(max_examples=40)
def test_components_of_baltagi_and_chang_by_their_matrices(panel):
    """Baltagi and Chang (1994), eq. 16, with P, Z and Z Z' written out."""
    y, X, entity, _ = panel
    W = with_constant(X)
    Z = np.eye(entity.max() + 1)[entity]
    P = Z @ np.linalg.inv(Z.T @ Z) @ Z.T
    Q, n, groups, k = np.eye(y.size) - P, y.size, Z.shape[1], W.shape[1]
    b_w = np.linalg.solve(X.T @ Q @ X, X.T @ Q @ y)
    e_w = Q @ (y - X @ b_w)
    sigma2_e = e_w @ e_w / (n - groups - k + 1)
    e_b = P @ (y - W @ np.linalg.solve(W.T @ P @ W, W.T @ P @ y))
    trace = np.trace(np.linalg.solve(W.T @ P @ W, W.T @ Z @ Z.T @ W))
    sigma2_u = (e_b @ e_b - (groups - k) * sigma2_e) / (n - trace)
    found = swamy_arora(y, X, entity, "sa")
    assert_allclose(found.sigma2_e, sigma2_e, rtol=1e-8)  # normal equations of a well-conditioned panel
    assert_allclose(found.sigma2_u, max(sigma2_u, 0), rtol=1e-7, atol=1e-10)
    assert bool(found.notes) == (sigma2_u < 0)


@given(panels(balanced=True))
@settings(max_examples=40)
def test_balanced_panels_know_one_convention(panel):
    y, X, entity, time = panel
    one, other = swamy_arora(y, X, entity), swamy_arora(y, X, entity, "plm")
    assert_allclose(one.sigma2_u, other.sigma2_u, rtol=1e-9, atol=1e-12)  # atol: both differences of larger numbers
    assume(time.max() >= 3)
    both = swamy_arora_twoway(y, X, entity, time)
    omega = both.sigma2_e * np.eye(y.size) + both.sigma2_entity * same_group(entity)
    omega += both.sigma2_time * same_group(time)
    W = with_constant(X)
    star, W_star = (quasi_demean_twoway(values, both.theta, entity, time) for values in (y, W))
    inverse = np.linalg.inv(omega)
    b = np.linalg.solve(W.T @ inverse @ W, W.T @ inverse @ y)
    assert_allclose(least_squares(star, W_star)[0], b, rtol=1e-8, atol=1e-10)  # rounding of two ways


@given(panels())
@settings(max_examples=30)
def test_theta_zero_is_pooled_and_one_is_within(panel):
    y, X, entity, _ = panel
    groups = entity.max() + 1
    assert np.array_equal(quasi_demean(X, np.zeros(groups), entity), X)
    assert np.array_equal(quasi_demean(y, np.ones(groups), entity), demean(y, entity))


@given(panels(), st.floats(0, 0.99))
@settings(max_examples=30)
def test_mundlak_gives_within_estimates_for_any_theta(panel, ratio):
    """Mundlak (1978): with the means, generalised least squares is the within estimator, balanced or not."""
    y, X, entity, _ = panel
    means, names = mundlak(X, ("a", "b"), entity)
    assert names == ("mean(a)", "mean(b)")
    theta = 1 - np.sqrt((1 - ratio) / (1 - ratio + np.bincount(entity) * ratio))
    W = with_constant(np.column_stack([X, means]))
    b = least_squares(quasi_demean(y, theta, entity), quasi_demean(W, theta, entity))[0]
    within = least_squares(demean(y, entity), demean(X, entity))[0]
    assert_allclose(b[1:3], within, rtol=1e-7, atol=1e-9)  # means and regressors are nearly collinear in small groups


def test_mundlak_leaves_out_what_says_nothing():
    entity = np.repeat(np.arange(5), 4)
    rng = np.random.default_rng(0)
    # varies, constant inside entities, a period dummy of a balanced panel
    X = np.column_stack([rng.normal(size=20), rng.normal(size=5)[entity], np.tile([0, 0, 1, 0], 5)])
    means, names = mundlak(X, ("x", "area", "year"), entity)
    assert names == ("mean(x)",)
    assert_allclose(means[:, 0], np.repeat(X[:, 0].reshape(5, 4).mean(axis=1), 4), rtol=1e-14)


@given(panels())
@settings(max_examples=30)
def test_weighted_between_repeats_means_by_rows(panel):
    """`xtreg, be wls`: coefficients of the means given to every row; plain weights sum to the groups."""
    y, X, entity, _ = panel
    y_b, W = between(y, X, entity, wls=True)
    repeated = least_squares(y - demean(y, entity), with_constant(X - demean(X, entity)))[0]
    assert_allclose(least_squares(y_b, W)[0], repeated, rtol=1e-8, atol=1e-10)  # rounding of two ways
    assert_allclose(W[:, 0] @ W[:, 0], entity.max() + 1, rtol=1e-12)


@given(panels(), st.integers(0, 3))
@settings(max_examples=40)
def test_first_differences_by_a_double_loop(panel, hole):
    """A period that nobody has is a gap too: `tick` keeps it."""
    y, X, entity, time = panel
    tick = time + (time > hole)
    pairs = [
        (now, before)
        for now in range(y.size)
        for before in range(y.size)
        if entity[now] == entity[before] and tick[now] == tick[before] + 1
    ]
    if not pairs:
        with pytest.raises(EstimationError, match="follows a row of its entity"):
            first_differences(y, X, entity, tick)
        return
    pairs.sort(key=lambda rows: (entity[rows[0]], tick[rows[0]]))
    dy, dX, now, before = first_differences(y, X, entity, tick)
    assert list(zip(now, before, strict=True)) == pairs
    assert np.array_equal(dy, [y[i] - y[j] for i, j in pairs])
    assert np.array_equal(dX, [X[i] - X[j] for i, j in pairs])
    assert [rows.tolist() for rows in consecutive(entity, tick)] == [now.tolist(), before.tolist()]


@given(panels())
@settings(max_examples=25, deadline=None)
def test_likelihood_is_that_of_the_normal_law_and_at_its_top(panel):
    y, X, entity, _ = panel
    found = maximum_likelihood(y, X, entity)

    def loglik(b, sigma2_e, sigma2_u):
        omega = sigma2_e * np.eye(y.size) + sigma2_u * same_group(entity)
        return stats.multivariate_normal(with_constant(X) @ b, omega).logpdf(y)

    e2, u2 = found.sigma_e**2, found.sigma_u**2
    top = loglik(found.b, e2, u2)
    assert_allclose(found.loglik, top, rtol=1e-10)  # rounding
    assert_allclose(found.rho, u2 / (e2 + u2), rtol=1e-12)  # rounding
    for change in (0.99, 1.01):
        assert loglik(found.b, e2 * change, u2) < top
        # a variance of zero is the top of the likelihood, so a little more of it is worse
        assert loglik(found.b, e2, u2 * change if u2 > 0 else 1e-3 * e2) < top
        assert loglik(found.b * change, e2, u2) < top
    assert loglik(found.b, e2, 100 * e2) < top  # the other mode, where there are two


def test_covariance_of_maximum_likelihood_is_the_inverse_hessian():
    """Second differences of the log-likelihood of (b, sigma_e, log sigma_u); b does not care how variances are put."""
    rng = np.random.default_rng(25)
    rows = rng.integers(2, 9, 7)
    entity = np.repeat(np.arange(7), rows)
    X = rng.normal(size=(entity.size, 1)) + 2 * rng.normal(size=7)[entity, None]
    y = 1 + X[:, 0] + rng.normal(size=7)[entity] + rng.normal(size=entity.size)
    found = maximum_likelihood(y, X, entity)
    sums = same_group(entity)

    def loglik(at):
        omega = at[2] ** 2 * np.eye(y.size) + np.exp(2 * at[3]) * sums
        return stats.multivariate_normal(with_constant(X) @ at[:2], omega).logpdf(y)

    top = np.array([*found.b, found.sigma_e, np.log(found.sigma_u)])
    step = np.diag([2e-3, 2e-3, 1e-3, 5e-3])
    hessian = [
        [
            (loglik(top + a + b) - loglik(top + a - b) - loglik(top - a + b) + loglik(top - a - b))
            / (4 * a.sum() * b.sum())
            for a in step
        ]
        for b in step
    ]
    # differences of steps of a hundredth of a standard error: 1e-4 of truncation, 1e-5 of rounding
    assert_allclose(np.linalg.inv(-np.array(hessian))[:2, :2], found.cov, rtol=1e-3)
    # a panel of 7 entities, so that the information between b and sigma_u counts: it nearly doubles a variance
    omega = found.sigma_e**2 * np.eye(y.size) + found.sigma_u**2 * sums
    alone = np.linalg.inv(with_constant(X).T @ np.linalg.solve(omega, with_constant(X)))
    assert np.max(np.diag(found.cov) / np.diag(alone)) > 1.5


def test_units_do_not_matter(thinned):
    y, X, entity, _ = thinned
    scale = np.array([1e6, 1e-6, 1e3])
    one, other = swamy_arora(y, X, entity), swamy_arora(1e5 * y, X * scale, entity)
    assert_allclose(other.theta, one.theta, rtol=1e-10)  # rounding
    ml, scaled = maximum_likelihood(y, X, entity), maximum_likelihood(1e5 * y, X * scale, entity)
    unit = 1e5 / np.array([1, *scale])
    assert_allclose(scaled.b, ml.b * unit, rtol=1e-8)  # the root of the score is found to 1e-8 or better
    assert_allclose(scaled.cov, ml.cov * np.outer(unit, unit), rtol=1e-6, atol=1e-12 * np.abs(scaled.cov).max())


def test_planted_components_are_found():
    """400 entities with 3 to 9 rows; sigma_u = 2, sigma_e = 1."""
    rng = np.random.default_rng(1)
    entity = np.repeat(np.arange(400), rng.integers(3, 10, 400))
    X = rng.normal(size=(entity.size, 1))
    y = 3 + X[:, 0] + 2 * rng.normal(size=400)[entity] + rng.normal(size=entity.size)
    # variances of 400 and of 2,000 draws have relative errors of sqrt(2 / 400) = 7 % and 3 %; three of them
    for variant in ("stata", "sa"):
        found = swamy_arora(y, X, entity, variant)
        assert_allclose([found.sigma2_u, found.sigma2_e], [4, 1], rtol=0.21)
    ml = maximum_likelihood(y, X, entity)
    assert_allclose([ml.sigma_u, ml.sigma_e], [2, 1], rtol=0.11)
    assert_allclose(ml.b, [3, 1], atol=4 * np.sqrt(np.diag(ml.cov)).max())


def test_r_squareds_from_their_definition(thinned):
    y, X, entity, _ = thinned
    b = np.array([0.2, -0.04, -4e-5])
    frame = pd.DataFrame({"y": y, "fitted": X @ b, "entity": entity})
    means = frame.groupby("entity").mean()
    within = frame[["y", "fitted"]] - means.loc[entity].to_numpy()
    expected = {"within": within, "between": means, "overall": frame}
    found = r_squareds(y, X, b, entity)
    for name, table in expected.items():
        assert_allclose(found[name], np.corrcoef(table["y"], table["fitted"])[0, 1] ** 2, rtol=1e-9)  # rounding


# --- components at their limits, and refusals -----------------------------------------------------------------------


def test_negative_component_is_zero_and_said():
    """Rows of an entity that repel each other: the means vary less than independent errors would let them."""
    entity = np.repeat(np.arange(6), 4)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(24, 1))
    y = X[:, 0] + demean(rng.normal(size=24), entity)
    found = swamy_arora(y, X, entity)
    assert found.sigma2_u == 0
    assert np.array_equal(found.theta, np.zeros(6))
    assert found.notes[0].startswith("variance component of the groups estimated at -")
    ml = maximum_likelihood(y, X, entity)
    assert ml.sigma_u == 0
    b, se = least_squares(y, with_constant(X))
    assert_allclose(ml.b, b, rtol=1e-9)  # pooled least squares, rounding
    assert_allclose(np.sqrt(np.diag(ml.cov)), se * np.sqrt(22 / 24), rtol=1e-9)  # maximum likelihood divides by n


def test_constant_regressors_are_kept_out_of_the_within_regression(thinned):
    """Latitude, say: no within variation, but a degree of freedom of the between regression."""
    y, X, entity, _ = thinned
    fixed = np.random.default_rng(3).normal(size=entity.max() + 1)[entity]
    one, more = swamy_arora(y, X, entity), swamy_arora(y, np.column_stack([X, fixed]), entity)
    assert_allclose(more.sigma2_e, one.sigma2_e, rtol=1e-12)  # the same regression
    assert more.sigma2_u != one.sigma2_u


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda y, X, entity: (y, X, entity, "nerlove"), UsageError, "no variant 'nerlove'.*stata, sa, plm"),
        (lambda y, X, entity: (y, X, np.arange(24)), EstimationError, "leave no degree of freedom inside"),
        (lambda y, X, entity: (y, X, entity // 3), EstimationError, "2 groups cannot carry a between regression of 2"),
        (lambda y, X, entity: (X[:, 0] + entity, X, entity), EstimationError, "exactly inside the effects"),
    ],
)
def test_refusals(change, error, says):
    entity = np.repeat(np.arange(6), 4)
    rng = np.random.default_rng(4)
    X = rng.normal(size=(24, 1))
    with pytest.raises(error, match=says) as caught:
        swamy_arora(*change(X[:, 0] + rng.normal(size=24), X, entity))
    assert "\n" not in str(caught.value)


def test_two_way_refusals():
    rng = np.random.default_rng(5)
    entity, time = (axis.ravel() for axis in np.indices((8, 3)))
    X = rng.normal(size=(24, 2))
    y = X.sum(axis=1) + rng.normal(size=24)
    with pytest.raises(EstimationError, match="23 of 8 x 3 rows are there"):
        swamy_arora_twoway(y[1:], X[1:], entity[1:], time[1:])
    with pytest.raises(EstimationError, match="3 periods cannot carry a between regression of 3 coefficients"):
        swamy_arora_twoway(y, X, entity, time)


def test_likelihood_without_a_maximum_is_refused():
    entity = np.repeat(np.arange(6), 4)
    rng = np.random.default_rng(6)
    X = rng.normal(size=(24, 1))
    with pytest.raises(EstimationError, match="exactly inside the effects"):
        maximum_likelihood(X[:, 0] + entity**2, X, entity)
    with pytest.raises(EstimationError, match="still rises where sigma_u is 5e"):
        maximum_likelihood(X[:, 0] + 1e3 * entity**2 + 1e-9 * rng.normal(size=24), X, entity)
