"""Instrumental variables against Stata's ivreg2, against formulas written out, and against a planted truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from econ.errors import EstimationError, UsageError
from econ.estimators.estimate import Test
from econ.estimators.instruments import (
    Errors,
    Names,
    check,
    covariance,
    endogeneity,
    gmm,
    k_class,
    liml,
    liml_kappa,
    liml_overidentification,
    orthogonality,
    overidentification,
    quadratic,
    reduced_form,
    two_stage,
)
from econ.estimators.stock_yogo import LEVELS, cell, critical_value
from econ.estimators.weak import (
    IVREG2_NAMES,
    ConfidenceSet,
    advice,
    anderson_rubin,
    anderson_rubin_set,
    effective_critical_value,
    first_stages,
    rank_tests,
    redundancy,
    stock_wright,
)
from econ.estimators.within import absorb, absorbed_rank

STATA = 1e-6  # ivreg2's output; the data are printed to 8 digits and move it by up to 1e-7
R = 1e-8  # coefficients and standard errors computed in R
R_TEST = 1e-6  # test statistics: ratios of sums of squares lose digits
ROUNDING = 1e-9  # the same number by another formula

properties = settings(deadline=None, max_examples=25)


# --- covariances of scores, by the definition -----------------------------------------------------------------------


def white(S):
    return S.T @ S


def clustered(*codes):
    """One way or two: A + B - AB, C. Cameron, J. Gelbach, D. Miller (2011)."""

    def meat(S):
        def sums(code):
            h = np.zeros((code.max() + 1, S.shape[1]))
            np.add.at(h, code, S)
            return h.T @ h

        total = sum(sums(code) for code in codes)
        return total - sums(codes[0] * (codes[1].max() + 1) + codes[1]) if len(codes) == 2 else total

    return meat


KERNELS = {
    "bar": lambda x: 1 - x,
    "par": lambda x: 1 - 6 * x**2 + 6 * x**3 if x <= 0.5 else 2 * (1 - x) ** 3,
    "tru": lambda x: 1.0,
}


def driscoll_kraay(tick, bandwidth, kernel="bar"):
    """J. Driscoll, A. Kraay (1998), with ivreg2's kernel of lag over bandwidth."""

    def meat(S):
        h = np.zeros((tick.max() + 1, S.shape[1]))
        np.add.at(h, tick, S)
        total = h.T @ h
        for lag in range(1, bandwidth + 1):
            product = h[lag:].T @ h[:-lag]
            total = total + KERNELS[kernel](lag / bandwidth) * (product + product.T)
        return total

    return meat


# --- what ivreg2 prints beside coefficients and tests ---------------------------------------------------------------


def wald_f(fit, V, tested, errors):
    """F test that the coefficients `tested` are zero; always with small-sample counts."""
    n, k = fit.Xhat.shape
    index = list(tested)
    chi2 = quadratic(fit.coefs[index], V[np.ix_(index, index)])
    stat = chi2 / len(index) / (1 if errors.small else errors.factor(n, k))
    return Test(stat, (len(index), errors.df(n, k)), "all these coefficients are zero")


def goodness(y, fit, errors, constant=None):
    """rss, sigma2, rmse, r2, r2_adj, r2_uncentred as ivreg2 counts; `constant` (n,) is the column of the constant."""
    n, k = fit.Xhat.shape
    rss = float(fit.residuals @ fit.residuals)
    total = y if constant is None else y - constant * (constant @ y) / (constant @ constant)
    df = n - k - errors.absorbed - errors.dofminus
    sigma2 = rss / (df if errors.small else n - errors.dofminus)
    r2 = 1 - rss / float(total @ total)
    return {
        "rss": rss,
        "sigma2": sigma2,
        "rmse": sigma2**0.5,
        "r2": r2,
        "r2_adj": 1 - (1 - r2) * (n - (constant is not None)) / df,
        "r2_uncentred": 1 - rss / float(y @ y),
    }


# --- Stata: D. Card's returns to schooling ----------------------------------------------------------------------------

CARD = "iv_card_ivreg2"
EXOGENOUS = ["exper", "expersq", "black", "south"]


@pytest.fixture(scope="module")
def stata(data_dir):
    """stata(case, name) -> a table of ivreg2's output."""
    return lambda case, name: pd.read_csv(data_dir / "goldens" / case / f"{name}.csv")


def card(golden, excluded, weighted=False):
    """y, X1, X2, Z2 and the constant's column."""
    data = golden(CARD).data
    w = data["weight"].to_numpy(float) if weighted else np.ones(len(data))
    root = np.sqrt(w / w.mean())
    y, X2, Z2 = data["lwage"].to_numpy(), data[["educ"]].to_numpy(float), data[excluded].to_numpy(float)
    X1 = np.column_stack([data[EXOGENOUS], np.ones(len(data))])
    return (y * root, *(A * root[:, None] for A in (X1, X2, Z2))), root


EXCLUDED = {"just_id": ["nearc4"], "overid": ["nearc2", "nearc4"]}
VARIANTS = [
    (model, variant, cov, small)
    for model, variant in [
        ("just_id", ""),
        ("just_id", "_dofminus"),
        ("just_id", "_weighted"),
        ("overid", ""),
        ("overid", "_dofminus"),
    ]
    for cov in ("iid", "hc1")
    for small in ("", "_small")
]


@pytest.fixture(params=VARIANTS, ids=lambda param: "".join(param))
def card_case(request, golden):
    model, variant, cov, small = request.param
    arrays, constant = card(golden, EXCLUDED[model], variant == "_weighted")
    # the fixtures have dofminus(1) sdofminus(1): rss / sigma2 = 3009, F has 3010 - 6 - 2 degrees of freedom
    one = int(variant == "_dofminus")
    errors = Errors(white if cov == "hc1" else None, absorbed=one, dofminus=one, small=bool(small))
    return arrays, constant, errors, f"card_{model}{variant}", f"{cov}{small}"


def close(found, expected, rtol=STATA):
    """Where ivreg2 has no number there has to be none."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert_allclose(found, expected, rtol=rtol)


def same(test, row, names):
    """Statistic, p-value and degrees of freedom; p-values reach 1e-85, where only their logarithm has six digits."""
    stat, p, *df = row[list(names)]
    close([test.stat, np.log(test.pvalue), *test.df], [stat, np.log(p), *df])


def test_card_coefficients_and_covariance(card_case, stata):
    arrays, _, errors, case, cov = card_case
    fit = two_stage(*arrays)
    V = covariance(fit, errors)
    table = stata(CARD, f"{case}_coef_{cov}")
    assert list(table["term"]) == ["educ", *EXOGENOUS, "_cons"]
    close(fit.coefs, table["estimate"])
    close(np.sqrt(np.diag(V)), table["std_error"])
    close(V, stata(CARD, f"{case}_vcov_{cov}").select_dtypes("number"))


def test_card_diagnostics(card_case, stata):
    arrays, constant, errors, case, cov = card_case
    expected = stata(CARD, f"{case}_diagnostics_{cov}").iloc[0]
    y, X1, X2, Z2 = arrays
    fit = two_stage(*arrays)
    fits = goodness(y, fit, errors, constant)
    names = {"rss": "rss", "sigma2": "sigmasq", "rmse": "rmse", "r2": "r2c", "r2_adj": "r2_a", "r2_uncentred": "r2u"}
    close([fits[ours] for ours in names], expected[list(names.values())])
    uncentred = goodness(y, fit, errors)
    df = len(y) - 6 - errors.absorbed - errors.dofminus
    close([uncentred["r2"], uncentred["r2_adj"]], [expected["r2u"], 1 - (1 - expected["r2u"]) * len(y) / df])

    f = wald_f(fit, covariance(fit, errors), range(5), errors)
    same(f, expected, ["F_stat", "F_p", "F_df1", "F_df2"])
    ranks = rank_tests(X1, X2, Z2, errors)
    same(ranks.lm, expected, ["idstat", "idp", "iddf"])
    close([ranks.cragg_donald, ranks.f], expected[["cdf", "widstat"]])
    f, chi2 = anderson_rubin(*arrays, errors)
    same(f, expected, ["arf", "arfp", "ardf", "ardf_r"])
    same(chi2, expected, ["archi2", "archi2p", "ardf"])
    for test, name in ((stock_wright(*arrays, errors), "sstat"), (endogeneity(*arrays, errors), "estat")):
        same(test, expected, [name, f"{name}p", f"{name}df"])
    test = overidentification(*arrays, errors)
    if expected["jdf"] == 0:
        assert test is None
    else:
        same(test, expected, ["j", "jp", "jdf"])


def test_card_first_stages(card_case, stata):
    arrays, _, errors, case, cov = card_case
    table = first_stages(*arrays[1:], errors, ["educ"])
    expected = stata(CARD, f"{case}_firststage_{cov}").set_index("statistic")["educ"]
    assert set(IVREG2_NAMES.values()) == set(expected.index)
    close(table["educ"], expected[[IVREG2_NAMES[name] for name in table.index]])


@pytest.mark.parametrize(
    ("model", "variant"), [("just_id", ""), ("just_id", "_weighted"), ("overid", "")], ids=lambda part: part or "plain"
)
@pytest.mark.parametrize("cov", ["iid", "iid_small", "hc1", "hc1_small"])
def test_card_reduced_forms(golden, stata, model, variant, cov):
    (y, X1, X2, Z2), _ = card(golden, EXCLUDED[model], variant == "_weighted")
    errors = Errors(white if "hc1" in cov else None, small="small" in cov)
    one, both = (reduced_form(Y, X1, Z2, errors) for Y in (y[:, None], np.column_stack([y, X2])))
    expected = stata(CARD, f"card_{model}{variant}_rf_{cov}")
    close(one.coefs[:, 0], expected["estimate"])
    close(np.sqrt(np.diag(one.cov)), expected["std_error"])
    close(one.rmse[0], expected["rmse"][0])
    f = one.excluded[0]
    same(f, expected.loc[0], ["rf_f", "rf_f_p", "rf_f_df1", "rf_f_df2"])
    expected = stata(CARD, f"card_{model}{variant}_system_{cov}")
    close(both.coefs.T.ravel(), expected["estimate"])
    close(np.sqrt(np.diag(both.cov)), expected["std_error"])


@pytest.mark.parametrize("small", ["", "_small"])
def test_card_gmm(golden, stata, small):
    """With errors of one variance two-step GMM is 2SLS, and so is Hansen's J Sargan's."""
    arrays, constant = card(golden, EXCLUDED["overid"])
    errors = Errors(small=bool(small))
    fit = gmm(*arrays, errors)
    table, expected = (stata(CARD, f"card_overid_gmm2s_{part}_iid{small}") for part in ("coef", "diagnostics"))
    V = covariance(fit, errors)
    close(fit.coefs, table["estimate"])
    close(np.sqrt(np.diag(V)), table["std_error"])
    close(V, stata(CARD, f"card_overid_gmm2s_vcov_iid{small}").select_dtypes("number"))
    expected = expected.iloc[0]
    test = overidentification(*arrays, errors, fit)
    same(test, expected, ["overid_stat", "overid_p", "overid_df"])
    f = wald_f(fit, V, range(5), errors)
    same(f, expected, ["model_f", "model_f_p", "model_f_df1", "model_f_df2"])
    fits = goodness(arrays[0], fit, errors, constant)
    close([fits["rmse"], fits["rss"], fits["r2"]], expected[["sigma", "rss", "r2"]])
    ranks = rank_tests(*arrays[1:], errors)
    close([ranks.lm.stat, ranks.cragg_donald, ranks.f], expected[["underid_stat", "weak_id_cd_f", "weak_id_kp_f"]])


# --- Stata: Driscoll-Kraay --------------------------------------------------------------------------------------------

WAGEPAN = "iv_wagepan_dk_ivreg2"


@pytest.mark.parametrize("case", ["bar3_justid", "bar3_overid", "bar3_overid_small", "par4_overid", "tru2_overid"])
def test_driscoll_kraay(golden, stata, case):
    data = golden(WAGEPAN).data
    tick = (data["year"] - data["year"].min()).to_numpy()
    X1 = np.column_stack([data[["exper", "expersq", "married", "union"]], np.ones(len(data))])
    y, X2 = data["lwage"].to_numpy(), data[["hours"]].to_numpy(float)
    Z2 = data[["educ", "black"] if "overid" in case else ["educ"]].to_numpy(float)
    bandwidth = int(case[3])
    errors = Errors(
        driscoll_kraay(tick, bandwidth, case[:3]),
        clusters=8,
        small="small" in case,
        rank_meat=driscoll_kraay(tick, bandwidth, "bar"),  # ivreg2's rank tests know no other kernel
    )
    fit = two_stage(y, X1, X2, Z2)
    V = covariance(fit, errors)
    table, expected = stata(WAGEPAN, f"wp_dk_coef_{case}"), stata(WAGEPAN, f"wp_dk_diagnostics_{case}").iloc[0]
    close(fit.coefs, table["estimate"])
    close(np.sqrt(np.diag(V)), table["std_error"])
    close(V, stata(WAGEPAN, f"wp_dk_vcov_{case}").select_dtypes("number"))
    ranks = rank_tests(X1, X2, Z2, errors)
    same(ranks.lm, expected, ["underid_stat", "underid_p", "underid_df"])
    close([ranks.cragg_donald, ranks.f], expected[["weak_id_cd_f", "weak_id_kp_f"]])
    test = overidentification(y, X1, X2, Z2, errors)
    if "overid" in case:
        same(test, expected, ["overid_stat", "overid_p", "overid_df"])
    f = wald_f(fit, V, range(5), errors)
    assert list(f.df) == list(expected[["model_f_df1", "model_f_df2"]])
    if case.startswith("tru"):
        # the covariance of the slopes has negative eigenvalues: ivreg2 inverts what it can, we give no number
        assert np.isnan(f.stat)
        assert np.isnan(test.stat)
    else:
        same(f, expected, ["model_f", "model_f_p", "model_f_df1", "model_f_df2"])


# --- several endogenous regressors ------------------------------------------------------------------------------------


def test_two_endogenous_regressors_where_a_block_is_singular(golden):
    """ivreghdfe Y (X1 X2 = Z1 Z2), absorb(id) robust: 14.5348449357 in FixedEffectModels' tests."""
    found = golden("fe2sls_two_endog_ftest")
    entity = pd.factorize(found.data["id"])[0]
    y, X2, Z2 = (
        absorb(found.data[columns].to_numpy(float), entity, None) for columns in ("Y", ["X1", "X2"], ["Z1", "Z2"])
    )
    X1 = np.empty((len(y), 0))
    errors, expected = Errors(white, absorbed=absorbed_rank(entity, None)), found.expected["computed"]
    ranks = rank_tests(X1, X2, Z2, errors)
    assert_allclose(ranks.f, found.expected["published"]["F_kp"], rtol=1e-10)  # half a unit of the last digit
    assert_allclose(two_stage(y, X1, X2, Z2).coefs, expected["b"], rtol=R)
    check_ranks(ranks, expected)


def check_ranks(ranks, expected):
    assert_allclose(ranks.lm.stat, expected["rk_lm"], rtol=R_TEST)
    assert_allclose(ranks.lm.pvalue, expected["rk_lm_p"], rtol=R_TEST)
    assert ranks.lm.df == (expected["rk_lm_df"],)
    assert_allclose(ranks.wald.stat, expected["rk_wald"], rtol=R_TEST)
    assert_allclose([ranks.f, ranks.cragg_donald], [expected["rk_F"], expected["cd_F"]], rtol=R_TEST)
    assert_allclose(ranks.correlations, expected["cc"], rtol=R_TEST)


@pytest.fixture(scope="module")
def pipeline(golden):
    """y, X1, X2, Z2 net of both effects, the codes of the entities, and what R expects."""
    found = golden("pipeline_simulated_20211")
    data = found.data.dropna(subset="gini")
    entity, time = pd.factorize(data["id"])[0], pd.factorize(data["year"])[0]
    controls = ["open", "fdi", "cap", "gov", "hc", "lnint", "lninfra", "fin"]
    columns = ("gini", controls, ["fw", "bw"], ["iv1", "iv2"])
    arrays = tuple(absorb(data[part].to_numpy(float), entity, time) for part in columns)
    return arrays, entity, time, found.expected


@pytest.mark.parametrize("absorbed", [0, 39])
@pytest.mark.parametrize("cov", ["iid", "robust", "cluster_id"])
def test_rank_tests_of_the_simulated_panel(pipeline, cov, absorbed):
    (_, *arrays), entity, time, expected = pipeline
    assert absorbed in (0, absorbed_rank(entity, time))
    errors = {
        "iid": Errors(absorbed=absorbed),
        "robust": Errors(white, absorbed=absorbed),
        "cluster_id": Errors(clustered(entity), clusters=26, absorbed=absorbed),
    }[cov]
    check_ranks(rank_tests(*arrays, errors), expected["kp"][f"{cov}_absorbed{absorbed}"])


@pytest.mark.parametrize("cov", ["iid", "hetero", "cluster"])
def test_estimates_of_the_simulated_panel(pipeline, cov):
    """fixest's counts: all effects, but with clusters by entity only the constant and 13 years."""
    (y, X1, X2, Z2), entity, _, expected = pipeline
    errors = {
        "iid": Errors(absorbed=39, small=True),
        "hetero": Errors(white, absorbed=39, small=True),
        "cluster": Errors(clustered(entity), clusters=26, absorbed=14, small=True),
    }[cov]
    fit = two_stage(y, X1, X2, Z2)
    assert_allclose(fit.coefs, list(expected["iv"][cov]["coef"].values()), rtol=R)
    assert_allclose(np.sqrt(np.diag(covariance(fit, errors))), list(expected["iv"][cov]["se"].values()), rtol=R)
    if cov == "cluster":
        first = reduced_form(X2, X1, Z2, errors)
        for j, name in enumerate(("fw", "bw")):
            assert_allclose(first.coefs[:, j], list(expected["iv"]["first"][name]["coef"].values()), rtol=R)
            se = np.sqrt(np.diag(first.cov))[j * 10 : (j + 1) * 10]
            assert_allclose(se, list(expected["iv"]["first"][name]["se"].values()), rtol=R)


# --- made data, and linearmodels --------------------------------------------------------------------------------------


def planted(seed, n=200, k2=2, l2=4, strength=1.0, groups=25, slope=0.5):
    """y, X1, X2, Z2, two ways of grouping: endogenous X2, errors that grow with an instrument, slopes `slope`."""
    rng = np.random.default_rng(seed)
    one, two = rng.integers(0, groups, n), rng.integers(0, groups, n)
    Z2 = rng.normal(size=(n, l2)) + rng.normal(size=(groups, l2))[one]
    X1 = np.column_stack([rng.normal(2, 1, (n, 1)), np.ones(n)])
    u = rng.normal(size=n) * (0.5 + np.abs(Z2[:, 0])) + rng.normal(size=groups)[one] * 0.5
    slopes = strength * (np.eye(l2, k2) + 0.3)
    X2 = Z2 @ slopes + X1 @ rng.normal(size=(2, k2)) + rng.normal(size=(n, k2)) + 0.5 * u[:, None]
    y = X2 @ np.full(k2, slope) + X1 @ [1.0, -1.0] + u
    return (y, X1, X2, Z2), one, two


def kinds(one, two, **counts):
    """Every kind of errors, by name."""
    groups = min(np.unique(one).size, np.unique(two).size)
    return {
        "iid": Errors(**counts),
        "robust": Errors(white, **counts),
        "cluster": Errors(clustered(one), clusters=np.unique(one).size, **counts),
        "twoway": Errors(clustered(one, two), clusters=groups, **counts),
    }


KINDS = ["iid", "robust", "cluster", "twoway"]


def linear(model, arrays, **options):
    y, X1, X2, Z2 = arrays
    return model(y, X1, X2, Z2, **options)


def ordered(result, k1):
    """linearmodels lists the exogenous regressors first."""
    order = np.r_[k1 : len(result.params), :k1]
    return result.params.to_numpy()[order], result.cov.to_numpy()[np.ix_(order, order)]


@pytest.mark.parametrize("seed", range(3))
def test_estimators_against_linearmodels(seed):
    from linearmodels.iv import IV2SLS, IVGMM, IVGMMCUE, IVLIML

    arrays, one, two = planted(seed)
    errors = kinds(one, two)
    b, V = ordered(linear(IV2SLS, arrays).fit(cov_type="unadjusted"), 2)
    assert_allclose(two_stage(*arrays).coefs, b, rtol=ROUNDING)
    assert_allclose(covariance(two_stage(*arrays), errors["iid"]), V, rtol=ROUNDING)
    both = {"clusters": np.column_stack([one, two])}
    for name, kind, options in (
        ("robust", "robust", {}),
        ("cluster", "clustered", {"clusters": one}),
        ("twoway", "clustered", both),
    ):
        _, V = ordered(linear(IV2SLS, arrays).fit(cov_type=kind, **options), 2)
        assert_allclose(covariance(two_stage(*arrays), errors[name]), V, rtol=ROUNDING)
        if name == "twoway":  # linearmodels has no two-way weights
            continue
        kind = {"weight_type": kind, **options}
        result = linear(IVGMM, arrays, **kind).fit(iter_limit=2, cov_type="unadjusted")
        fit = gmm(*arrays, errors[name])
        assert_allclose(fit.coefs, ordered(result, 2)[0], rtol=ROUNDING)
        assert_allclose(overidentification(*arrays, errors[name], fit).stat, result.j_stat.stat, rtol=ROUNDING)
        assert_allclose(overidentification(*arrays, errors[name]).stat, result.j_stat.stat, rtol=ROUNDING)

    for fuller in (0, 1):
        result = linear(IVLIML, arrays, fuller=fuller).fit(cov_type="unadjusted")
        fit = liml(*arrays, fuller)
        assert_allclose(fit.kappa, result.kappa, rtol=ROUNDING)
        assert_allclose(fit.coefs, ordered(result, 2)[0], rtol=ROUNDING)
        assert_allclose(covariance(fit, errors["iid"]), ordered(result, 2)[1], rtol=ROUNDING)

    result = linear(IVGMMCUE, arrays, weight_type="robust").fit(display=False)
    fit = gmm(*arrays, errors["robust"], "cue")
    # linearmodels' minimiser stops at a gradient of 1e-5
    assert_allclose(fit.coefs, ordered(result, 2)[0], rtol=1e-4)
    # its J has the covariance of the moments about their mean, S - gg'/n; the minimum is at the same place
    assert_allclose(fit.j / (1 - fit.j / 200), result.j_stat.stat, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_tests_against_linearmodels(seed):
    from linearmodels.iv import IV2SLS

    arrays, *_ = planted(seed, k2=1)
    result = linear(IV2SLS, arrays).fit(cov_type="unadjusted")
    iid = Errors()
    assert_allclose(overidentification(*arrays, iid).stat, result.sargan.stat, rtol=ROUNDING)
    assert_allclose(endogeneity(*arrays, iid).stat, result.durbin().stat, rtol=ROUNDING)
    table = first_stages(*arrays[1:], iid)["X2[0]"]
    diagnostics = result.first_stage.diagnostics.iloc[0]
    assert_allclose(
        [table["partial R2"], table["Shea partial R2"]],
        diagnostics[["partial.rsquared", "shea.rsquared"]].astype(float),
        rtol=ROUNDING,
    )


# --- identities and brute force ---------------------------------------------------------------------------------------


@properties
@given(seed=st.integers(0, 10_000), k2=st.integers(1, 3), kind=st.sampled_from(KINDS))
def test_just_identified_estimators_are_one(seed, k2, kind):
    arrays, one, two = planted(seed, k2=k2, l2=k2, strength=2)
    errors = kinds(one, two)[kind]
    b = two_stage(*arrays).coefs
    assert liml_kappa(*arrays) == 1
    others = [liml(*arrays)]
    if kind != "twoway":  # the two-way covariance of a few moments need not be positive
        others += [gmm(*arrays, errors), gmm(*arrays, errors, "cue")]
    for fit in others:
        assert_allclose(fit.coefs, b, rtol=1e-7, atol=1e-9)  # a weight between, of any condition
    V = covariance(two_stage(*arrays), errors)
    assert_allclose(covariance(others[-1], errors), V, rtol=1e-6, atol=1e-9 * np.abs(V).max())


@properties
@given(seed=st.integers(0, 10_000), kappa=st.floats(0, 1.1))
def test_k_class_from_its_definition(seed, kappa):
    y, X1, X2, Z2 = planted(seed)[0]
    X, Z = np.column_stack([X2, X1]), np.column_stack([Z2, X1])
    M = np.eye(len(y)) - Z @ np.linalg.solve(Z.T @ Z, Z.T)
    H = X.T @ (np.eye(len(y)) - kappa * M) @ X
    fit = k_class(y, X1, X2, Z2, kappa)
    b = np.linalg.solve(H, X.T @ (np.eye(len(y)) - kappa * M) @ y)
    assert_allclose(fit.coefs, b, rtol=1e-8, atol=1e-10)  # normal equations
    assert_allclose(fit.bread, np.linalg.inv(H), rtol=1e-8, atol=1e-10)
    assert_allclose(fit.residuals, y - X @ b, atol=1e-9)
    Y = np.column_stack([y, X2])
    M1 = np.eye(len(y)) - X1 @ np.linalg.solve(X1.T @ X1, X1.T)
    roots = np.linalg.eigvals(np.linalg.solve(Y.T @ M @ Y, Y.T @ M1 @ Y)).real
    assert_allclose(liml_kappa(y, X1, X2, Z2), roots.min(), rtol=ROUNDING)


@properties
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS))
def test_w_gives_the_sandwich(seed, kind):
    arrays, one, two = planted(seed)
    errors = kinds(one, two)[kind]
    for fit in (two_stage(*arrays), liml(*arrays), gmm(*arrays, Errors(white))):
        W = fit.W
        bread = np.linalg.inv(W.T @ W)
        ours = fit.bread @ errors.moments(fit.Xhat, fit.residuals) @ fit.bread
        theirs = bread @ errors.moments(W, fit.residuals) @ bread
        if errors.meat is not None:  # with errors of one variance LIML's covariance is no sandwich
            assert_allclose(theirs, ours, rtol=1e-7, atol=1e-9 * np.abs(ours).max())  # two inverses


def unbalanced(seed, k2):
    arrays, *_ = planted(seed, n=160, k2=k2, strength=2)
    rng = np.random.default_rng(seed)
    entity = np.unique(rng.integers(0, 15, 160), return_inverse=True)[1]
    time = np.unique(rng.integers(0, 9, 160), return_inverse=True)[1]
    return arrays, entity, time


@properties
@given(seed=st.integers(0, 10_000), k2=st.integers(1, 2), kind=st.sampled_from(KINDS))
def test_absorbed_effects_are_dummies(seed, k2, kind):
    """On an unbalanced panel; entities and years are the clusters."""
    (y, X1, X2, Z2), entity, time = unbalanced(seed, k2)
    dummies = np.column_stack([np.eye(entity.max() + 1)[entity], np.eye(time.max() + 1)[time][:, 1:]])
    wide = (y, np.column_stack([X1[:, :1], dummies]), X2, Z2)
    net = tuple(absorb(A, entity, time) for A in (y, X1[:, :1], X2, Z2))
    rank = absorbed_rank(entity, time)
    assert rank == dummies.shape[1]
    long, short = (kinds(entity, time, absorbed=a, small=True)[kind] for a in (0, rank))
    k = k2 + 1
    loose = {"rtol": 1e-7}  # dummies cost digits
    for estimate in (two_stage, liml):
        a, b = estimate(*wide), estimate(*net)
        assert_allclose(a.coefs[:k], b.coefs, **loose)
        assert_allclose(a.residuals, b.residuals, atol=1e-9)
        assert_allclose(covariance(a, long)[:k, :k], covariance(b, short), rtol=1e-6, atol=1e-10)
    assert_allclose(first_stages(*wide[1:], long), first_stages(*net[1:], short), **loose)
    a, b = rank_tests(*wide[1:], long), rank_tests(*net[1:], short)
    assert_allclose(
        [a.lm.stat, a.wald.stat, a.f, a.cragg_donald], [b.lm.stat, b.wald.stat, b.f, b.cragg_donald], **loose
    )
    assert_allclose(
        [t.stat for t in anderson_rubin(*wide, long)], [t.stat for t in anderson_rubin(*net, short)], **loose
    )
    assert_allclose(liml(*wide, 1).coefs[:k], liml(*net, 1, absorbed=rank).coefs, **loose)


@properties
@given(seed=st.integers(0, 10_000), k2=st.integers(1, 3), kind=st.sampled_from(KINDS))
def test_rank_tests_from_the_paper(seed, k2, kind):
    """Kleibergen and Paap's own normalisation, with Kronecker products; any number of endogenous regressors."""
    (_, X1, X2, Z2), one, two = planted(seed, k2=k2)
    errors = kinds(one, two)[kind]
    n, l2 = Z2.shape
    M1 = np.eye(n) - X1 @ np.linalg.solve(X1.T @ X1, X1.T)
    Y, Z = M1 @ X2, M1 @ Z2
    Pi = np.linalg.solve(Z.T @ Z, Z.T @ Y)
    G, F = np.linalg.cholesky(Z.T @ Z).T, np.linalg.inv(np.linalg.cholesky(Y.T @ Y).T)
    Theta = G @ Pi @ F
    U, _, Vt = np.linalg.svd(Theta)
    V, q = Vt.T, k2 - 1
    u22, v22 = U[q:, q:], V[q:, q:]

    def root(A):
        values, vectors = np.linalg.eigh(A)
        return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    A = U[:, q:] @ np.linalg.inv(u22) @ root(u22 @ u22.T)
    B = root(v22 @ v22.T) @ np.linalg.inv(v22.T) @ V[:, q:].T
    K = np.kron(B, A.T)
    found = rank_tests(X1, X2, Z2, errors)
    for test, E in ((found.lm, Y), (found.wald, Y - Z @ Pi)):
        if errors.meat is None:
            S = np.kron(E.T @ E / n, Z.T @ Z)
        else:
            S = errors.meat(np.column_stack([Z * e[:, None] for e in E.T]))
        C = np.kron(F.T, np.linalg.inv(G).T)
        Omega = K @ C @ S @ C.T @ K.T
        Lambda = K @ Theta.T.ravel()
        if np.linalg.eigvalsh(Omega)[0] > 0:
            assert_allclose(test.stat, Lambda @ np.linalg.solve(Omega, Lambda), rtol=1e-6)  # u22 may be near singular
        else:
            assert np.isnan(test.stat)
        assert test.df == (l2 - k2 + 1,)
    if kind == "iid":
        r2 = found.correlations[-1] ** 2
        assert_allclose(found.lm.stat, n * r2, rtol=ROUNDING)
        assert_allclose(found.cragg_donald, r2 / (1 - r2) * (n - 2 - l2) / l2, rtol=ROUNDING)
        assert_allclose(found.f, found.cragg_donald, rtol=ROUNDING)


def least_squares(y, X):
    return np.linalg.lstsq(X, y, rcond=None)[0]


@properties
@given(seed=st.integers(0, 10_000), k2=st.integers(2, 3), kind=st.sampled_from(KINDS), dofminus=st.integers(0, 3))
def test_first_stages_from_their_regressions(seed, k2, kind, dofminus):
    """Sanderson-Windmeijer and Angrist-Pischke by the regressions that define them."""
    (_, X1, X2, Z2), one, two = planted(seed, k2=k2)
    errors = kinds(one, two, absorbed=2, dofminus=dofminus)[kind]
    n, l2 = Z2.shape
    Z = np.column_stack([Z2, X1])
    bread = np.linalg.inv(Z.T @ Z)
    fitted = Z @ least_squares(X2, Z)
    table = first_stages(X1, X2, Z2, errors)

    def wald_and_r2(x):
        c = least_squares(x, Z)
        e = x - Z @ c
        V = bread * (e @ e) / (n - dofminus)
        classical = c[:l2] @ np.linalg.solve(V[:l2, :l2], c[:l2]) / (n - dofminus)
        if errors.meat is not None:
            V = bread @ errors.meat(Z * e[:, None]) @ bread * (1 if errors.clusters else n / (n - dofminus))
        return c[:l2] @ np.linalg.solve(V[:l2, :l2], c[:l2]), classical / (1 + classical)

    for j in range(k2):
        rest = np.delete(np.arange(k2), j)
        b = least_squares(X2[:, j], np.column_stack([fitted[:, rest], X1]))
        column = table[f"X2[{j}]"]
        variants = {
            "F": (X2[:, j], l2),
            "SW F": (X2[:, j] - np.column_stack([X2[:, rest], X1]) @ b, l2 - k2 + 1),
            "AP F": (X2[:, j] - np.column_stack([fitted[:, rest], X1]) @ b, l2 - k2 + 1),
        }
        for label, (x, q) in variants.items():
            wald, r2 = wald_and_r2(x)
            if errors.clusters is None:
                f = wald / (n - dofminus) * (n - l2 - 2 - 2 - dofminus) / q
            else:
                f = wald / (n - 1) * (n - l2 - 2 - 2) * (errors.clusters - 1) / errors.clusters / q
            if not np.isnan(column[label]):  # the two-way covariance may not be positive
                assert_allclose(column[label], f, rtol=1e-7)  # normal equations
            assert_allclose(column[f"{label[:-2]} partial R2" if q < l2 else "partial R2"], r2, rtol=1e-7)
            assert column[f"{label} df1"] == q
        # Shea: what is left of the regressor beside the others, and of its fit beside their fits
        own = X2[:, j] - np.column_stack([X2[:, rest], X1]) @ least_squares(
            X2[:, j], np.column_stack([X2[:, rest], X1])
        )
        fit = fitted[:, j] - np.column_stack([fitted[:, rest], X1]) @ least_squares(
            fitted[:, j], np.column_stack([fitted[:, rest], X1])
        )
        assert_allclose(column["Shea partial R2"], (fit @ fit) / (own @ own), rtol=1e-7)
    if kind != "twoway":
        assert table.notna().all(axis=None)


@properties
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["iid", "robust", "cluster"]))
def test_c_statistics_from_their_definition(seed, kind):
    """Differences of minima with one covariance: not negative, and all there is where nothing is left to test."""
    arrays, one, two = planted(seed)
    y, X1, X2, Z2 = arrays
    errors = kinds(one, two)[kind]
    X, Z = np.column_stack([X2, X1]), np.column_stack([Z2, X1])
    n, e = len(y), two_stage(*arrays).residuals

    def minimum(columns, S):
        Q, T = Z[:, columns], np.linalg.inv(S[np.ix_(columns, columns)])
        b = np.linalg.solve(X.T @ Q @ T @ Q.T @ X, X.T @ Q @ T @ Q.T @ y)
        g = Q.T @ (y - X @ b)
        return g @ T @ g

    S = Z.T @ Z * (e @ e) / n if errors.meat is None else errors.meat(Z * e[:, None])
    full = minimum(range(6), S)
    close = {"rtol": 1e-6, "atol": 1e-7}  # a difference of two numbers of this size
    assert_allclose(overidentification(*arrays, errors).stat, full, **close)
    for tested in ([0], [3], [4], [0, 1]):
        kept = [j for j in range(6) if j not in tested]
        test = orthogonality(*arrays, errors, tested)
        assert test.df == (len(tested),)
        assert test.stat >= -1e-9
        assert_allclose(test.stat, full - minimum(kept, S), **close)
    assert_allclose(orthogonality(*arrays, errors, [1, 2]).stat, full, **close)

    # a regressor that is exogenous is one more instrument
    wide = (y, np.column_stack([X2[:, :1], X1]), X2[:, 1:], Z2)
    e = two_stage(*wide).residuals
    one_more = orthogonality(*wide, errors, [4], two_stage(*wide))
    assert_allclose(endogeneity(*arrays, errors, [0]).stat, one_more.stat, **close)
    assert endogeneity(*arrays, errors).df == (2,)
    assert endogeneity(*arrays, errors).stat >= 0


@properties
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["robust", "cluster"]))
def test_cue_is_a_minimum(seed, kind):
    arrays, one, two = planted(seed)
    y, X1, X2, Z2 = arrays
    errors = kinds(one, two)[kind]
    fit = gmm(*arrays, errors, "cue")
    Z, X = np.column_stack([Z2, X1]), np.column_stack([X2, X1])

    def criterion(b):
        e = y - X @ b
        g = Z.T @ e
        return g @ np.linalg.solve(errors.meat(Z * e[:, None]), g)

    assert_allclose(criterion(fit.coefs), fit.j, rtol=1e-8)
    assert fit.j <= criterion(gmm(*arrays, errors).coefs) + 1e-9
    rng = np.random.default_rng(seed)
    spread = np.linalg.cholesky(fit.bread)
    for _ in range(5):
        assert criterion(fit.coefs + 0.1 * spread @ rng.normal(size=4)) >= fit.j
    assert_allclose(fit.weight, np.linalg.inv(errors.meat(Z * fit.residuals[:, None])), rtol=1e-6, atol=1e-9)


def test_cue_with_one_variance_is_liml():
    arrays, *_ = planted(5)
    fit, other = gmm(*arrays, Errors(), "cue"), liml(*arrays)
    assert_allclose(fit.coefs, other.coefs, rtol=ROUNDING)
    n = len(arrays[0])
    # J = n (1 - 1/kappa): the criterion divides by the restricted variance, Anderson and Rubin by the other
    assert_allclose(fit.j, n * (1 - 1 / other.kappa), rtol=ROUNDING)
    tests = liml_overidentification(other.kappa, n, 2, Errors())
    assert_allclose(tests["linear"].stat, n * (other.kappa - 1), rtol=ROUNDING)
    assert fit.j < tests["lr"].stat < tests["linear"].stat


@properties
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), power=st.integers(-6, 6))
def test_units_do_not_matter(seed, kind, power):
    arrays, one, two = planted(seed)
    errors = kinds(one, two)[kind]
    unit = 10.0**power
    scaled = (arrays[0] / unit, arrays[1] * [unit, 1], arrays[2] * [1, unit], arrays[3] * [unit, 1, 1 / unit, 1])
    factor = np.array([1, 1 / unit, 1 / unit, 1]) / unit
    for estimate in (two_stage, liml):
        a, b = estimate(*arrays), estimate(*scaled)
        assert_allclose(b.coefs, a.coefs * factor, rtol=1e-8)
        V = covariance(a, errors)
        assert_allclose(covariance(b, errors) / np.outer(factor, factor), V, rtol=1e-7, atol=1e-9 * np.abs(V).max())
    a, b = first_stages(*arrays[1:], errors), first_stages(*scaled[1:], errors)
    assert_allclose(b.iloc[1:], a.iloc[1:], rtol=1e-7)
    assert_allclose(b.loc["rmse"], a.loc["rmse"] * [1, unit], rtol=1e-8)
    a, b = rank_tests(*arrays[1:], errors), rank_tests(*scaled[1:], errors)
    assert_allclose([b.lm.stat, b.f], [a.lm.stat, a.f], rtol=1e-7)
    assert_allclose(
        [
            overidentification(*scaled, errors).stat,
            endogeneity(*scaled, errors).stat,
            stock_wright(*scaled, errors).stat,
        ],
        [
            overidentification(*arrays, errors).stat,
            endogeneity(*arrays, errors).stat,
            stock_wright(*arrays, errors).stat,
        ],
        rtol=1e-6,
        atol=1e-9,
    )


@properties
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["iid", "robust", "cluster"]))
def test_redundancy_is_a_score_test(seed, kind):
    """With all instruments tested and one regressor it is the rank test; it finds the one that matters."""
    (_, X1, X2, Z2), one, two = planted(seed, k2=1)
    errors = kinds(one, two, dofminus=1)[kind]
    test = redundancy(X1, X2, Z2, errors, range(4))
    assert_allclose(test.stat, rank_tests(X1, X2, Z2, errors).lm.stat, rtol=1e-7)  # two bases
    rng = np.random.default_rng(seed)
    useless = np.column_stack([Z2, rng.normal(size=len(Z2))])
    assert redundancy(X1, X2, useless, errors, [4]).pvalue > redundancy(X1, X2, useless, errors, [0]).pvalue
    assert redundancy(X1, np.column_stack([X2, X2**2]), Z2, errors, [0, 1]).df == (4,)


# --- inference that holds anyway --------------------------------------------------------------------------------------


@properties
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["iid", "robust", "cluster"]),
    strength=st.sampled_from([0.0, 0.05, 0.1, 0.2, 1.0]),
    l2=st.integers(1, 4),
    invalid=st.booleans(),
    chi2=st.booleans(),
)
def test_anderson_rubin_set_is_what_the_test_leaves(seed, kind, strength, l2, invalid, chi2):
    arrays, one, two = planted(seed, k2=1, l2=l2, strength=strength)
    if invalid:  # an instrument with an effect of its own, so that sets can be empty
        arrays = (arrays[0] + arrays[3][:, -1], *arrays[1:])
    errors = kinds(one, two)[kind]
    found = anderson_rubin_set(*arrays, errors, chi2=chi2)

    def p(beta):
        return anderson_rubin(*arrays, errors, beta)[int(chi2)].pvalue

    for end in np.ravel(found.intervals):
        if np.isfinite(end):
            assert_allclose(p(end), 0.05, rtol=1e-5)  # p is steep where the instruments are strong
    middle = two_stage(*arrays).coefs[0]
    grid = middle + np.concatenate([np.linspace(-3, 3, 41), np.geomspace(5, 1e5, 10), -np.geomspace(5, 1e5, 10)])
    for beta in grid:
        if abs(p(beta) - 0.05) > 1e-6:
            assert (beta in found) == (p(beta) > 0.05)


def test_anderson_rubin_sets_of_every_kind():
    seen = {}
    for seed in range(60):
        for strength, shift in ((0.0, 0), (0.1, 0), (1.0, 0), (0.1, 1), (1.0, 1)):
            arrays, one, two = planted(seed, k2=1, l2=3, strength=strength)
            arrays = (arrays[0] + shift * arrays[3][:, 1] ** 2 * arrays[3][:, 1], *arrays[1:])
            for errors in (kinds(one, two)["iid"], kinds(one, two)["cluster"]):
                found = anderson_rubin_set(*arrays, errors)
                seen.setdefault(found.kind, found)
    assert {"interval", "two rays", "whole line", "empty"} <= set(seen)
    assert str(seen["whole line"]) == "(-inf, inf)"
    assert str(seen["empty"]) == "empty"
    assert str(seen["two rays"]).count("inf") == 2
    assert " and " in str(seen["two rays"])


def test_kinds_of_sets():
    assert ConfidenceSet(0.95, ((1.0, np.inf),)).kind == "ray"
    assert ConfidenceSet(0.95, ((-np.inf, 0.0), (1.0, 2.0), (3.0, np.inf))).kind == "several intervals"
    assert ConfidenceSet(0.95, ((0.0, 1.0), (2.0, 3.0))).kind == "several intervals"
    assert 2.5 in ConfidenceSet(0.95, ((0.0, 1.0), (2.0, 3.0)))


def test_anderson_rubin_covers_the_truth_however_weak_the_instruments():
    """50 panels, sets of 95 %: fewer than 40 have a probability below 1e-4."""
    covered = {0.05: 0, 1.0: 0}
    for seed in range(50):
        for strength in covered:
            arrays, one, two = planted(seed, n=400, k2=1, l2=3, strength=strength, groups=60)
            covered[strength] += 0.5 in anderson_rubin_set(*arrays, kinds(one, two)["cluster"])
    assert min(covered.values()) >= 40
    assert covered[0.05] < 50 or covered[1.0] < 50  # a set that is always the whole line would cover too


def test_planted_slopes_are_recovered():
    """The mean of 40 estimates, by four estimators, lies within four standard errors of the truth; OLS does not."""
    found = {"2sls": [], "liml": [], "gmm": [], "cue": [], "ols": []}
    for seed in range(40):
        arrays, one, two = planted(seed, n=400)
        errors = kinds(one, two)["robust"]
        for name, fit in (
            ("2sls", two_stage(*arrays)),
            ("liml", liml(*arrays)),
            ("gmm", gmm(*arrays, errors)),
            ("cue", gmm(*arrays, errors, "cue")),
            ("ols", k_class(*arrays, 0)),
        ):
            found[name].append(fit.coefs[:2])
    far = {}
    for name, values in found.items():
        mean, se = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(40)
        far[name] = np.abs(mean - 0.5) / se
    assert all((far[name] < 4).all() for name in ("2sls", "liml", "gmm", "cue"))
    assert (far["ols"] > 4).any()


@properties
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["iid", "robust", "cluster"]))
def test_anderson_rubin_at_any_point_of_several(seed, kind):
    """At the 2SLS slopes of an exactly identified equation nothing is left to explain."""
    arrays, one, two = planted(seed, l2=2, strength=2)
    errors = kinds(one, two)[kind]
    b = two_stage(*arrays).coefs[:2]
    f, chi2 = anderson_rubin(*arrays, errors, b)
    assert_allclose([f.stat, chi2.stat, stock_wright(*arrays, errors, b).stat], 0, atol=1e-9)
    moved = (arrays[0] - arrays[2] @ [0.3, -0.2], *arrays[1:])
    for test in (anderson_rubin, stock_wright):
        one_way, other = test(*arrays, errors, np.array([0.3, -0.2])), test(*moved, errors)
        pairs = zip(one_way, other, strict=True) if test is anderson_rubin else [(one_way, other)]
        for a, b in pairs:
            assert_allclose(a.stat, b.stat, rtol=1e-8)


# --- critical values and advice ---------------------------------------------------------------------------------------

TABLES = {
    "sy_ivbias": "bias",
    "sy_ivsize": "size",
    "sy_limlsize": "liml_size",
    "sy_fullrel": "fuller_bias",
    "sy_fullmax": "fuller_maximum_bias",
}


def test_stock_yogo_tables(stata):
    table = stata("stock_yogo_tables", "stock_yogo")
    known = 0
    for row in table.itertuples():
        name = row.table.rstrip("0123456789")
        level = int(row.table[len(name) :]) / 100
        assert critical_value(row.K_endog, row.L_instruments, TABLES[name], level) == row.value
        known += 1
    every = sum(
        critical_value(k2, l2, name, level) is not None
        for name, levels in LEVELS.items()
        for level in levels
        for k2 in range(1, 5)
        for l2 in range(1, 102)
    )
    assert every == known


def test_stock_yogo_in_print():
    """Stock and Yogo (2005), tables 5.1-5.4."""
    assert [critical_value(2, 2, "size", level) for level in LEVELS["size"]] == [7.03, 4.58, 3.95, 3.63]
    assert [critical_value(1, 1, "size", level) for level in LEVELS["size"]] == [16.38, 8.96, 6.66, 5.53]
    assert [critical_value(1, 3, "bias", level) for level in LEVELS["bias"]] == [13.91, 9.08, 6.46, 5.39]
    assert [critical_value(1, 2, "liml_size", level) for level in LEVELS["liml_size"]] == [8.68, 5.33, 4.42, 3.92]


@pytest.mark.parametrize(
    ("k2", "l2", "table", "says"),
    [
        (2, 2, "size", "7.03"),
        (2, 2, "bias", "none: needs at least 4 instruments for 2 endogenous regressors, here 2"),
        (2, 1, "size", "none: needs at least 2 instruments"),
        (3, 5, "size", "none: tabulated up to 2 endogenous regressors, here 3"),
        (1, 101, "liml_size", "none: tabulated up to 100 instruments"),
    ],
)
def test_cells(k2, l2, table, says):
    assert cell(k2, l2, table, 0.10).startswith(says)


def test_unknown_tables():
    with pytest.raises(UsageError, match=r"no table 'size' at 0.05: choose among bias"):
        critical_value(1, 1, "size", 0.05)
    with pytest.raises(UsageError, match="no table 'sise'"):
        critical_value(1, 1, "sise", 0.1)


def test_effective_critical_values_in_print():
    """Montiel Olea and Pflueger (2013), table 1: one effective degree of freedom; 30 % is 1/3.33 there."""
    printed = {0.05: 37.418, 0.10: 23.109, 0.20: 15.062, 1 / 3.33: 12.039}
    for tau, value in printed.items():
        assert_allclose(effective_critical_value(np.eye(1), tau), value, atol=5e-4)  # three decimals in print


def test_effective_f_with_one_instrument_is_the_rank_f():
    (_, X1, X2, Z2), one, two = planted(3, k2=1, l2=1)
    for errors in kinds(one, two, absorbed=2).values():
        ranks = rank_tests(X1, X2, Z2, errors)
        assert_allclose(ranks.effective_f, ranks.f, rtol=ROUNDING)
    (_, X1, X2, Z2), *_ = planted(3, k2=1, l2=3)
    ranks = rank_tests(X1, X2, Z2, Errors())
    assert_allclose(ranks.effective_f, ranks.f, rtol=ROUNDING)  # one variance: W2 is a multiple of the identity
    assert rank_tests(*planted(3)[0][1:], Errors()).effective_f is None


def test_advice():
    (_, X1, X2, Z2), one, two = planted(3, k2=1, l2=3)
    errors = kinds(one, two)
    text = " ".join(advice(rank_tests(X1, X2, Z2, errors["iid"]), 1, 3))
    for part in ("Anderson LM", "Cragg-Donald F", "10%: 22.30", "is at most 10%", "Effective F"):
        assert part in text
    assert "iid errors only" not in text
    assert "Anderson-Rubin" not in text
    text = " ".join(advice(rank_tests(X1, X2, Z2, errors["cluster"]), 1, 3, "liml"))
    for part in ("Kleibergen-Paap rk LM", "10%: 6.46", "hold for iid errors only"):
        assert part in text
    (_, X1, X2, Z2), one, two = planted(3, k2=1, l2=3, strength=0.01)
    text = " ".join(advice(rank_tests(X1, X2, Z2, kinds(one, two)["robust"]), 1, 3))
    for part in ("may not be identified", "below all", "not above", "Anderson-Rubin tests and sets"):
        assert part in text
    (_, X1, X2, Z2), one, two = planted(3, k2=3, l2=4)
    text = " ".join(advice(rank_tests(X1, X2, Z2, kinds(one, two)["robust"]), 3, 4, "fuller"))
    for part in ("none: tabulated up to 2", "Lewis and K. Mertens"):
        assert part in text
    # three endogenous regressors have no table of sizes, but one of biases; the effective F decides for other errors
    (_, X1, X2, Z2), one, two = planted(1, k2=3, l2=5, strength=3.0)
    text = " ".join(advice(rank_tests(X1, X2, Z2, kinds(one, two)["iid"]), 3, 5))
    assert "relative bias: 5%" in text
    assert "the relative bias is at most 5%" in text
    assert "not shown to be strong" not in text
    (_, X1, X2, Z2), one, two = planted(2, k2=1, l2=3, strength=0.32)
    ranks = rank_tests(X1, X2, Z2, kinds(one, two)["robust"])
    ranks = replace(ranks, f=50.0)  # above Stock and Yogo's values, which then do not matter
    assert ranks.effective_f < ranks.effective_critical
    text = " ".join(advice(ranks, 1, 3))
    assert "would be, for iid errors, at most 10%" in text
    assert "not shown to be strong" in text


# --- bad input --------------------------------------------------------------------------------------------------------

NAMES = Names(("size", "constant"), ("trade", "price"), ("rain", "wind", "snow", "port"))


def spoil(part, change):
    (_, *arrays), *_ = planted(0)
    arrays[part] = change(*arrays)
    return arrays


BAD = [
    (
        2,
        lambda X1, X2, Z2: Z2[:, :1],
        "1 excluded instruments .rain. cannot identify 2 endogenous regressors .trade, price",
    ),
    (2, lambda X1, X2, Z2: np.c_[Z2[:, :3], Z2[:, 0] - X1[:, 0]], "among the instruments 'port' follow"),
    (2, lambda X1, X2, Z2: np.c_[Z2[:, :3], np.zeros(len(Z2))], "among the instruments 'port' follow"),
    (1, lambda X1, X2, Z2: np.c_[X2[:, 0], X1[:, 0] + 3], "among the endogenous regressors 'price' follow"),
    (1, lambda X1, X2, Z2: np.c_[X2[:, 0], 2 * X2[:, 0]], "among the endogenous regressors 'price' follow"),
    (0, lambda X1, X2, Z2: np.c_[X1[:, 1], X1[:, 1]], "among the exogenous regressors 'constant' follow"),
    (1, lambda X1, X2, Z2: np.c_[X2[:, 0], Z2[:, 1] + X1[:, 0]], "reproduce 'price' exactly"),
]


@pytest.mark.parametrize(("part", "change", "says"), BAD)
def test_bad_input_is_one_sentence(part, change, says):
    arrays = spoil(part, change)
    names = Names(NAMES.exogenous, NAMES.endogenous, NAMES.instruments[: arrays[2].shape[1]])
    with pytest.raises(EstimationError, match=says) as caught:
        check(*arrays, names)
    assert "\n" not in str(caught.value)


def test_not_identified():
    (_, X1, X2, Z2), *_ = planted(0)
    net = X2[:, 1] - np.column_stack([Z2, X1]) @ least_squares(X2[:, 1], np.column_stack([Z2, X1]))
    with pytest.raises(EstimationError, match=r"move the endogenous regressors .trade, price. in 1 of 2 directions"):
        check(X1, np.column_stack([X2[:, 0], net + X1[:, 0]]), Z2, NAMES)


def test_too_few_rows():
    (_, X1, X2, Z2), *_ = planted(0)
    with pytest.raises(EstimationError, match="7 rows cannot carry first stages of 7 coefficients"):
        check(X1[:7], X2[:7], Z2[:7], NAMES, Errors(absorbed=1))
    check(X1[:8], X2[:8], Z2[:8], NAMES, Errors(absorbed=1))


def test_names_are_optional():
    with pytest.raises(EstimationError, match=r"'Z2\[3\]' follow"):
        check(*spoil(2, lambda X1, X2, Z2: np.c_[Z2[:, :3], Z2[:, 0]]))


def test_singular_moments():
    """Three clusters cannot weigh six moments: no efficient weight, no J."""
    arrays, *_ = planted(0, l2=4)
    errors = Errors(clustered(np.arange(200) % 3), clusters=3)
    for steps in (2, "cue"):
        with pytest.raises(EstimationError, match="covariance of 6 moments is singular or not positive"):
            gmm(*arrays, errors, steps)
    assert np.isnan(overidentification(*arrays, errors).stat)
    assert np.isnan(overidentification(*arrays, errors).pvalue)
    arrays, *_ = planted(0, k2=1, l2=4)
    with pytest.raises(EstimationError, match="products with the errors is singular"):
        anderson_rubin_set(*arrays, errors)


def test_bad_options():
    arrays, *_ = planted(0)
    with pytest.raises(UsageError, match="no steps=3: choose 2 or 'cue'"):
        gmm(*arrays, Errors(), 3)
    with pytest.raises(UsageError, match="2 endogenous regressors: the set is computed for one"):
        anderson_rubin_set(*arrays, Errors())
    with pytest.raises(UsageError, match="between 0 and 1"):
        anderson_rubin_set(*planted(0, k2=1)[0], Errors(), level=95)
    with pytest.raises(EstimationError, match="3 are left for 4 coefficients"):
        orthogonality(*arrays, Errors(), [0, 1, 2])


def test_input_is_left_alone():
    arrays, one, two = planted(0, k2=1)
    before = [A.copy() for A in arrays]
    errors = kinds(one, two)["cluster"]
    gmm(*arrays, errors, "cue")
    anderson_rubin_set(*arrays, errors)
    first_stages(*arrays[1:], errors)
    endogeneity(*arrays, errors)
    for a, b in zip(arrays, before, strict=True):
        assert np.array_equal(a, b)
