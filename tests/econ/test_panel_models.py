"""Between, first differences, random effects and Mundlak's regression, through `econ.fit`."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import econ
from econ.errors import EstimationError, UsageError

R = 1e-8  # coefficients and standard errors of R's plm: its own rounding

CASES = {
    "static_grunfeld": ("inv ~ value + capital", "firm"),
    "static_fatalities": ("frate ~ beertax + unemp + income", "state"),
}


@pytest.fixture(params=CASES)
def case(request, golden):
    formula, entity = CASES[request.param]
    found = golden(request.param)

    def fit(**options):
        return econ.fit(found.data, formula, entity=entity, time=found.data.columns[1], **options)

    return fit, found.expected["computed"]


def close(series, expected, rtol=R):
    found = series.rename({"Intercept": "(Intercept)"})
    assert_allclose([found[name] for name in expected], list(expected.values()), rtol=rtol)


def test_between(case):
    fit, computed = case
    est, expected = fit(estimator="between"), computed["bt"]
    close(est.params, expected["coef"])
    close(est.std_errors, expected["se"])
    assert (est.nobs, est.df_resid) == (expected["nobs"], expected["df_resid"])
    assert_allclose(est.rsquared, expected["r2"], rtol=R)
    assert_allclose(est.rsquared_adj, expected["adjr2"], rtol=R)


def test_random_effects(case):
    fit, computed = case
    est, expected = fit(estimator="re"), computed["re"]
    close(est.params, expected["coef"])
    close(est.std_errors, expected["se"])
    assert est.nobs == expected["nobs"]
    assert est.df_resid is None  # z, as Stata and plm
    assert_allclose([est.rsquared, est.rsquared_adj], [expected["r2"], expected["adjr2"]], rtol=R)
    components = expected["ercomp"]
    assert_allclose(est.components["sigma_e"] ** 2, components["sigma2_idios"], rtol=R)
    assert_allclose(est.components["sigma_u"] ** 2, components["sigma2_id"], rtol=R)
    assert_allclose(est.components["theta"], components["theta"], rtol=R)


def test_two_way_random_effects(case):
    fit, computed = case
    est, expected = fit(estimator="re", effects="twoway"), computed["re2"]
    close(est.params, expected["coef"])
    close(est.std_errors, expected["se"])
    # plm's shares, an absolute error: one of them is exactly 0
    found = [est.components[f"theta_{part}"] for part in ("entity", "time", "total")]
    assert_allclose(found, [expected["theta"][part] for part in ("id", "time", "total")], atol=1e-9)


@pytest.mark.parametrize("model", ["m1", "m6"])
def test_random_effects_with_period_dummies(golden, model):
    found = golden("pipeline_simulated_20211")
    right = {"m1": "fw", "m6": "fw + bw + open + fdi + cap + gov + hc + lnint + lninfra + fin"}[model]
    est = econ.fit(found.data, f"gini ~ {right} + C(year)", "re", entity="id")
    expected = found.expected[model]["re"]
    close(est.params, expected["coef"])
    close(est.std_errors, expected["se"])
    assert_allclose(est.components["theta"], expected["theta"], rtol=R)


def test_stata_prints_these_random_effects(golden):
    """Baltagi (2013), table 2.1, GLS of Swamy and Arora, two and three significant digits of errors in print."""
    est = econ.fit(golden("static_grunfeld").data, "inv ~ value + capital", "re", entity="firm")
    assert_allclose(est.params[["value", "capital"]], [0.1098, 0.3081], atol=5e-5)
    assert_allclose(est.std_errors[["value", "capital"]], [0.0105, 0.0172], atol=5e-5)


def test_mundlak_has_the_within_slopes(panel):
    """Mundlak (1978): random effects with means give within estimates, and the means' test is Hausman's question."""
    fixed = econ.fit(panel, "gini ~ forward + backward", effects="entity")
    est = econ.fit(panel, "gini ~ forward + backward", "mundlak")
    assert_allclose(est.params[["forward", "backward"]], fixed.params[["forward", "backward"]], rtol=1e-9)
    assert list(est.params.index[3:]) == ["mean(forward)", "mean(backward)"]
    assert est.tests["mundlak"].df == (2,)


def test_first_differences_are_least_squares_on_changes(panel):
    gap = panel[~((panel["province"] == "P03") & (panel["year"] == 2003))].sample(frac=1, random_state=1)
    est = econ.fit(gap, "gini ~ forward + backward", "fd", cov="cluster", cluster="province")
    by_hand = econ.fit(gap, "D.gini ~ D.forward + D.backward", "pooled")
    assert est.nobs == by_hand.nobs == 96 - 12 - 2  # a gap costs two changes
    frame = gap.sort_values(["province", "year"])
    d = frame.groupby("province")[["gini", "forward", "backward", "year"]].diff()
    d = d[d["year"] == 1]
    b = np.linalg.lstsq(d[["forward", "backward"]].to_numpy(), d["gini"].to_numpy(), rcond=None)[0]
    assert_allclose(est.params, b, rtol=1e-10)
    assert list(est.params.index) == ["forward", "backward"]


def test_residuals_and_effects_add_up(panel):
    est = econ.fit(panel, "gini ~ forward + backward")
    keyed = panel.set_index(["province", "year"])
    assert_allclose(est.fitted + est.residuals, keyed["gini"], rtol=1e-12)
    effects = est.effect_values
    rebuilt = (
        est.params["Intercept"]
        + keyed[["forward", "backward"]] @ est.params[["forward", "backward"]]
        + effects["province"].reindex(keyed.index.get_level_values("province")).to_numpy()
        + effects["year"].reindex(keyed.index.get_level_values("year")).to_numpy()
    )
    assert_allclose(est.fitted, rebuilt, rtol=1e-10)  # sums of four terms of about 0.2


def test_weights_count_rows(panel):
    """Whole weights are rows repeated: coefficients agree; analytic weights are scaled, so errors differ by n."""
    rng = np.random.default_rng(5)
    weighted = panel.assign(w=rng.integers(1, 4, len(panel)))
    for options in ({"estimator": "pooled"}, {"effects": "entity"}, {"effects": "twoway"}):
        est = econ.fit(weighted, "gini ~ forward + backward", weights="w", **options)
        long = weighted.loc[weighted.index.repeat(weighted["w"])]
        dummies = pd.get_dummies(long["province"], dtype=float), pd.get_dummies(long["year"], dtype=float)
        columns = [long[["forward", "backward"]].to_numpy(), np.ones((len(long), 1))]
        columns += [] if "estimator" in options else [dummies[0].to_numpy()]
        columns += [dummies[1].to_numpy()] if options.get("effects") == "twoway" else []
        b = np.linalg.lstsq(np.hstack(columns), long["gini"].to_numpy(), rcond=None)[0]
        assert_allclose(est.params[["forward", "backward"]], b[:2], rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"estimator": "between", "cov": "cluster", "cluster": "province"}, UsageError, "one row an entity"),
        ({"estimator": "re", "effects": "time"}, UsageError, "no random effects 'time'"),
        ({"estimator": "re", "weights": "year"}, UsageError, "takes no weights"),
        ({"estimator": "re", "entity": None}, UsageError, "needs a panel"),
        ({"estimator": "re", "variant": "amemiya"}, UsageError, "no variant 'amemiya'"),
        ({"estimator": "fd", "effects": "entity"}, UsageError, "has no effects"),
        ({"estimator": "fe", "fuller": 1}, UsageError, "no option 'fuller': it has effects"),
        ({"estimator": "re", "cov": "wild", "cluster": "province"}, UsageError, "no wild bootstrap"),
    ],
)
def test_options_that_do_not_fit(panel, options, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.fit(panel, "gini ~ forward", **options)
    assert "\n" not in str(caught.value)


def test_panels_that_cannot_carry_it(panel):
    with pytest.raises(EstimationError, match="none of the 12 rows follows"):
        econ.fit(panel[panel["year"] == 2003], "gini ~ forward", "fd")
    with pytest.raises(EstimationError, match=r"no regressor is left \(fixed dropped: it never changes"):
        econ.fit(panel.assign(fixed=panel["province"].str[1:].astype(float)), "gini ~ fixed", "fd")
    with pytest.raises(EstimationError, match="cannot carry"):
        econ.fit(panel[panel["province"] < "P03"], "gini ~ forward + backward", "between")


ML = 1e-6  # maximum likelihood: what optimisers leave


def test_maximum_likelihood_is_that_of_lme4(golden):
    found = golden("pipeline_simulated_20211")
    expected = found.expected["retobit_equals_RE_ML"]
    right = "fw + bw + open + fdi + cap + gov + hc + lnint + lninfra + fin"
    est = econ.fit(found.data, f"gini ~ {right} + C(year)", "re", variant="ml", entity="id")
    assert_allclose(est.loglik, expected["ll"], rtol=1e-9)  # flat at its top: twice the digits of the parameters
    names = {name: "Intercept" if name == "_cons" else name for name in expected["coef"]}
    known = [name for name in names if names[name] in est.params]
    assert len(known) >= 11
    assert_allclose([est.params[names[name]] for name in known], [expected["coef"][name] for name in known], rtol=ML)
    sigmas = ["sigma_u", "sigma_e"]
    assert_allclose([est.components[name] for name in sigmas], [expected[name] for name in sigmas], rtol=ML)


def test_likelihood_ratio_of_random_effects(panel):
    est = econ.fit(panel, "gini ~ forward", "re", variant="ml")
    pooled = econ.fit(panel, "gini ~ forward", "pooled")
    test = est.tests["lr_pooled"]
    assert_allclose(test.stat, 2 * (est.loglik - pooled.loglik), rtol=1e-9)
    assert_allclose(test.pvalue, econ.Test(test.stat, (1,), "").pvalue / 2, rtol=1e-12)
    assert econ.Test(0.0, (1,), "sigma_u = 0", law="chibar2").pvalue == 1  # on the edge nothing is less extreme
    assert_allclose(est.aic, -2 * est.loglik + 2 * 4, rtol=1e-12)  # two coefficients, sigma_u, sigma_e
    with pytest.raises(UsageError, match="maximum likelihood with one kind of effects and classical errors"):
        econ.fit(panel, "gini ~ forward", "re", variant="ml", cov="hc1")


def test_predicted_effects_shrink_to_zero(panel):
    """u_i = sigma_u^2 1' V_i^-1 e_i (Goldberger 1962), the matrix written out."""
    gap = panel[~((panel["province"] == "P03") & (panel["year"] > 2003))]
    for variant in ("stata", "ml"):
        est = econ.fit(gap, "gini ~ forward", "re", variant=variant)
        u2, e2 = est.components["sigma_u"] ** 2, est.components["sigma_e"] ** 2
        for province, e in est.residuals.groupby("province"):
            V = e2 * np.eye(e.size) + u2
            assert_allclose(est.effect_values["province"][province], u2 * np.linalg.solve(V, e).sum(), rtol=1e-8)


def test_changes_and_means_have_residuals_and_a_likelihood(panel):
    """What is estimated is least squares: residuals have the variance and the likelihood of that regression."""
    rows = {"fd": 84, "between": 12}
    for estimator, n in rows.items():
        est = econ.fit(panel, "gini ~ forward + backward", estimator)
        e = est.residuals
        assert est.nobs == e.size == n
        assert list(e.index.names) == (["province"] if estimator == "between" else ["province", "year"])
        assert_allclose(est.loglik, -n / 2 * (np.log(2 * np.pi * (e @ e) / n) + 1), rtol=1e-12)
        assert abs(est.fitted @ e) < 1e-10 * (e @ e + est.fitted @ est.fitted)  # orthogonal, but for rounding
    fd = econ.fit(panel, "gini ~ forward + backward", "fd")
    assert_allclose(fd.rsquared_adj, 1 - (1 - fd.rsquared) * 84 / 82, rtol=1e-12)  # no constant: n, not n - 1


def test_tables_tell_random_effects_from_fixed(panel):
    table = econ.regression_table(
        [econ.fit(panel, "gini ~ forward", effects="entity"), econ.fit(panel, "gini ~ forward", "re")]
    )
    assert list(table.loc[("Effects", "stat")]) == ["province", "province (random)"]
    assert table.loc[("R2 within, adjusted", "stat")].iloc[1] == ""
