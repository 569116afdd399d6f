"""The columns of a study through `econ.fit`: R's numbers on a simulated panel, tests, interactions, instruments."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import econ

R = 1e-8  # coefficients and standard errors of R's fixest and plm: their own rounding
R_TEST = 1e-6  # test statistics: ratios of sums of squares lose digits
CONTROLS = "open + fdi + cap + gov + hc + lnint + lninfra + fin"


@pytest.fixture
def study(golden):
    found = golden("pipeline_simulated_20211")

    def fit(right, **options):
        return econ.fit(found.data, f"gini ~ {right}", **{"entity": "id", **options})

    return fit, found.expected, found.data


def equal(est, expected, rename=lambda name: name):
    names = {name: rename(name) for name in expected["coef"]}
    for series, key in ((est.params, "coef"), (est.std_errors, "se")):
        assert_allclose([series[names[name]] for name in names], [expected[key][name] for name in names], rtol=R)
    p = expected["p"]
    wanted = [p[name] for name in names] if isinstance(p, dict) else p
    # a p-value of 1e-19 has lost digits that its t of nine significant ones still has
    assert_allclose([est.pvalues[names[name]] for name in names], wanted, rtol=R_TEST)


@pytest.mark.parametrize("model", ["m1", "m2", "m3", "m4", "m5", "m6"])
def test_two_way_clusters(study, model):
    fit, expected, _ = study
    right = {"1": "fw", "3": "bw", "5": "fw + bw"}[str(int(model[1]) - 1 + int(model[1]) % 2)]
    right += "" if model in ("m1", "m3", "m5") else f" + {CONTROLS}"
    equal(fit(right, cov="cluster", cluster=["id", "year"], ssc="fixest"), expected[model]["twoway"])


def test_likelihood_ratios(study):
    fit, expected, _ = study
    models = {"m1": "fw", "m2": f"fw + {CONTROLS}", "m3": "bw", "m4": f"bw + {CONTROLS}", "m5": "fw + bw"}
    big = fit(f"fw + bw + {CONTROLS}")
    for name, right in models.items():
        test = econ.lr(big, fit(right))
        assert_allclose(test.stat, expected[f"lr_{name}_in_m6"], rtol=R_TEST)
        assert test.df == (big.params.size - fit(right).params.size,)


@pytest.mark.parametrize(("cov", "name"), [("classical", "iid"), ("cluster", "cluster")])
def test_lagged_linkages(study, cov, name):
    """Lags of a panel whose outcome is missing for four units: by unit and year before rows are left out."""
    fit, expected, _ = study
    est = fit(f"L.fw + L.bw + {CONTROLS}", cov=cov, cluster="id" if cov == "cluster" else None)
    assert est.nobs == expected["lag"]["nobs"] == 338
    equal(est, expected["lag"][name], lambda term: term.replace("L_", "L1."))


@pytest.mark.parametrize("model", ["m1", "m6"])
def test_hausman_with_year_dummies(study, model):
    fit, expected, _ = study
    right = "fw + C(year)" if model == "m1" else f"fw + bw + {CONTROLS} + C(year)"
    fixed, random = fit(right, effects="entity"), fit(right, estimator="re")
    test = econ.hausman(fixed, random)
    wanted = expected[model]["hausman_stata_allvars"]
    # both statistics are near 0, differences of nearly equal estimates: four to eight digits of them are left
    # plm, whose number this is, prints the absolute value; Stata the negative one of m6
    assert_allclose(abs(test.stat), wanted["stat"], rtol=1e-4)
    assert (test.stat < 0) == (model == "m6") == np.isnan(test.pvalue)
    assert test.df == (wanted["df"],)
    keys = ["fw"] if model == "m1" else ["fw", "bw", *CONTROLS.split(" + ")]
    restricted = econ.hausman(fixed, random, coefficients=keys)
    assert_allclose(restricted.stat, expected[model]["hausman_keyvars"]["stat"], rtol=1e-4)
    assert np.isnan(restricted.pvalue) == (restricted.stat < 0)


@pytest.mark.parametrize("region", ["east", "central", "west"])
@pytest.mark.parametrize(("cov", "name"), [("classical", "iid"), ("cluster", "cluster")])
def test_sub_samples(study, region, cov, name):
    _, expected, data = study
    part = data[data["region"] == region]
    formula = f"gini ~ fw + bw + {CONTROLS}"
    est = econ.fit(part, formula, entity="id", cov=cov, cluster="id" if cov == "cluster" else None)
    wanted = expected[f"sub_{region}"]
    assert est.nobs == wanted["nobs"]
    assert est.groups.loc["id", "groups"] == wanted["G"]
    equal(est, wanted[name])


@pytest.mark.parametrize(
    ("name", "right", "rename"),
    [
        (
            "A_minmax_components_then_product_main_raw",
            "fw + bw + mkt + minmax(fw):minmax(mkt) + minmax(bw):minmax(mkt)",
            {"fxm": "minmax(fw):minmax(mkt)", "bxm": "minmax(bw):minmax(mkt)"},
        ),
        (
            "B_all_minmax",
            "minmax(fw)*minmax(mkt) + minmax(bw)*minmax(mkt)",
            {
                "fwm": "minmax(fw)",
                "bwm": "minmax(bw)",
                "mktm": "minmax(mkt)",
                "fxm": "minmax(fw):minmax(mkt)",
                "bxm": "minmax(bw):minmax(mkt)",
            },
        ),
        ("C_raw_product", "fw*mkt + bw*mkt", {"I(fw * mkt)": "fw:mkt", "I(bw * mkt)": "bw:mkt"}),
        (
            "D_minmax_of_product",
            "fw + bw + mkt + minmax(fw * mkt) + minmax(bw * mkt)",
            {"fxm_prod": "minmax(fw * mkt)", "bxm_prod": "minmax(bw * mkt)"},
        ),
    ],
)
def test_interactions(study, name, right, rename):
    fit, expected, _ = study
    est = fit(f"{right} + {CONTROLS}")
    # formulaic may turn a product round: minmax(mkt):minmax(bw)
    names = {frozenset(term.split(":")): term for term in est.params.index}
    wanted = expected["inter"][name]
    equal(est, wanted, lambda term: names[frozenset(rename.get(term, term).split(":"))])


def test_interaction_t_does_not_depend_on_the_scale(study):
    """econometrics.md 4.5: the t of the interaction is the same in all four, that of the components is not."""
    fit, _, _ = study
    found = [
        fit(f"{right} + {CONTROLS}").tvalues.filter(regex=r"fw.*mkt|mkt.*fw").iloc[0]
        for right in (
            "fw + bw + mkt + minmax(fw):minmax(mkt) + minmax(bw):minmax(mkt)",
            "minmax(fw)*minmax(mkt) + minmax(bw)*minmax(mkt)",
            "fw*mkt + bw*mkt",
            "fw + bw + mkt + minmax(fw * mkt) + minmax(bw * mkt)",
        )
    ]
    # products of collinear columns: eight digits are left
    assert_allclose(found[1:], found[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("cov", "name", "kp"),
    [
        ("classical", "iid", "iid_absorbed39"),
        ("hc1", "hetero", "robust_absorbed39"),
        ("cluster", "cluster", "cluster_id_absorbed39"),
    ],
)
def test_instruments_with_two_way_effects(study, cov, name, kp):
    fit, expected, _ = study
    right = f"{CONTROLS} + [fw + bw ~ iv1 + iv2]"
    est = fit(right, estimator="iv", effects="twoway", cov=cov, cluster="id" if cov == "cluster" else None)
    equal(est, expected["iv"][name], lambda term: term.replace("fit_", ""))
    rank = expected["kp"][kp]
    found = [est.tests[test].stat for test in ("kp_lm", "kp_wald", "kp_f", "cragg_donald")]
    wanted = [rank[key] for key in ("rk_lm", "rk_wald", "rk_F", "cd_F")]
    assert_allclose(found, wanted, rtol=R_TEST)
    assert est.tests["kp_lm"].df == (rank["rk_lm_df"],)
    assert_allclose(est.tests["kp_lm"].pvalue, rank["rk_lm_p"], rtol=R_TEST)
    assert "sargan" not in est.tests  # exactly identified: nothing to test


CASES = {
    "static_grunfeld": ("inv ~ value + capital", "firm"),
    "static_fatalities": ("frate ~ beertax + unemp + income", "state"),
}


@pytest.fixture(params=CASES)
def static(request, golden):
    formula, entity = CASES[request.param]
    found = golden(request.param)

    def fit(right=None, **options):
        text = formula if right is None else f"{formula.split(' ~ ')[0]} ~ {right}"
        return econ.fit(found.data, text, entity=entity, time=found.data.columns[1], **options)

    return fit, found.expected["computed"], formula.split(" ~ ")[1].split(" + "), entity


def test_specification_tests(static):
    fit, computed, _, _ = static
    pairs = [
        (econ.hausman(fit(effects="entity"), fit(estimator="re")), "hausman_oneway"),
        (econ.hausman(fit(), fit(estimator="re", effects="twoway")), "hausman_twoway"),
        (econ.hausman(fit(effects="entity"), fit(estimator="re"), method="auxiliary"), "hausman_aux"),
        (
            econ.hausman(fit(effects="entity"), fit(estimator="re"), method="auxiliary", cov="cluster"),
            "hausman_aux_cluster",
        ),
        (econ.breusch_pagan(fit(estimator="pooled")), "bp_lm"),
        (econ.breusch_pagan(fit(estimator="pooled"), effects="twoway"), "bp_lm_twoways"),
    ]
    for test, name in pairs:
        assert_allclose(test.stat, computed[name]["stat"], rtol=R_TEST)
        if "df" in computed[name]:
            assert test.df == (computed[name]["df"],)
        # econometrics.md 7: 1e-8; p-values below 1e-100 of statistics of several hundred by their first digits too
        assert_allclose(test.pvalue, computed[name]["p"], rtol=1e-4, atol=0)
        assert_allclose(test.pvalue, computed[name]["p"], rtol=0, atol=1e-8)


def test_likelihood_ratio_and_information(static):
    fit, computed, names, _ = static
    big = fit()
    wanted = computed["lr_drop_last"]
    test = econ.lr(big, fit(" + ".join(names[:-1])))
    assert_allclose(test.stat, wanted["lr"], rtol=R_TEST)
    assert test.df == (wanted["df"],)
    lsdv = computed["lsdv"]
    assert_allclose([big.aic, big.bic], [lsdv["aic"], lsdv["bic"]], rtol=R)
    assert_allclose(big.rsquareds["lsdv"], lsdv["r2"], rtol=R)


@pytest.mark.parametrize(
    ("options", "block", "name"),
    [
        ({"cov": "hc0"}, "lsdv", "se_HC0"),
        ({"cov": "hc1"}, "lsdv", "se_HC1"),
        ({"cov": "hc2"}, "lsdv", "se_HC2"),
        ({"cov": "hc3"}, "lsdv", "se_HC3"),
        ({"cov": "cr2", "cluster": "entity"}, "lsdv", "se_CR2"),
        ({"cov": "cluster", "cluster": "entity", "ssc": "plm"}, "plm_vcov_se", "fe2_arellano_HC0"),
        ({"cov": "cluster", "cluster": "time", "ssc": "plm"}, "plm_vcov_se", "fe2_arellano_time_HC0"),
        ({"cov": "cluster", "cluster": "entity", "effects": "entity", "ssc": "plm"}, "plm_vcov_se", "fe_arellano_HC0"),
        ({"cov": "cluster", "cluster": "both", "ssc": "plm"}, "plm_vcov_se", "fe2_DC_HC0"),
        ({"cov": "hc0", "ssc": "plm"}, "plm_vcov_se", "fe2_white1_HC0"),
        *(
            (
                {"cov": "driscoll-kraay", "lags": lags, "ssc": "plm", "effects": effects},
                "plm_vcov_se",
                f"{name}_L{lags}",
            )
            for lags in (1, 2, 3)
            for effects, name in (("entity", "fe_SCC_HC0"), ("twoway", "fe2_SCC_HC0"))
        ),
        ({"cov": "cluster", "cluster": "both", "ssc": "fixest"}, "fixest", "fe2_twowaycluster_default"),
        ({"cov": "driscoll-kraay", "lags": 2, "ssc": "fixest"}, "fixest", "fe2_DK2"),
    ],
)
def test_covariances_of_other_programs(static, options, block, name):
    fit, computed, names, entity = static
    time = "year"
    cluster = {"entity": entity, "time": time, "both": [entity, time], None: None}[options.get("cluster")]
    est = fit(**{**options, "cluster": cluster})
    wanted = computed[block][name]
    wanted = wanted.get("se", wanted)
    # clubSandwich's own digits end at 1e-7, and its CR3 of entity dummies is rounding (see test_covariance.py)
    rtol = 1e-6 if options["cov"] == "cr2" else R
    assert_allclose(est.std_errors[names], [wanted[term] for term in names], rtol=rtol)


def test_wild_bootstrap(golden):
    found = golden("wcb_grunfeld")
    for effects, key in (("twoway", "fe2"), (None, "pooled")):
        options = {"estimator": "fe" if effects else "pooled", "entity": "firm", "cov": "wild", "cluster": "firm"}
        est = econ.fit(found.data, "inv ~ value + capital", effects=effects, **options)
        for name in ("value", "capital"):
            wanted = found.expected[f"grunfeld_{key}_{name}_WCR"]
            result = est.bootstrap[name]
            assert est.pvalues[name] == result.pvalue == wanted["p_weak"]
            assert result.pvalue_strict == wanted["p_strict"]
            assert_allclose(result.t, est.tvalues[name], rtol=0)
            assert (result.draws, result.enumerated) == (wanted["draws"], True)


CARD = "lwage ~ exper + expersq + black + south + [educ ~ {}]"
# ivreg2's numbers come from Stata's file, our input from one that is rounded to eight digits
STATA = 1e-6


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize(
    ("instruments", "kind", "cov"),
    [
        ("overid", "_gmm2s", "iid"),
        *(
            (instruments, kind, cov)
            for cov in ("iid", "hc1")
            for instruments, kind in (
                ("just_id", ""),
                ("just_id", "_dofminus"),
                ("just_id", "_weighted"),
                ("overid", ""),
                ("overid", "_dofminus"),
            )
        ),
    ],
)
def test_ivreg2_on_card(golden, instruments, kind, cov, small):
    """The fixtures of dofminus have dofminus(1) and sdofminus(1): their degrees of freedom say so."""
    found = golden("iv_card_ivreg2")
    stem = f"card_{instruments}{kind}_{{}}_{cov}{'_small' if small else ''}.csv"
    est = econ.fit(
        found.data,
        CARD.format("nearc4" if instruments == "just_id" else "nearc2 + nearc4"),
        "gmm-iv" if kind == "_gmm2s" else "iv",
        entity="id",
        time=None,
        cov={"iid": "classical", "hc1": "hc1"}[cov],
        small=small,
        weights="weight" if kind == "_weighted" else None,
        **({"dofminus": 1, "sdofminus": 1} if kind == "_dofminus" else {}),
    )
    coefs = found.table(stem.format("coef")).set_index("term").rename({"_cons": "Intercept"})
    assert_allclose(est.params[coefs.index], coefs["estimate"], rtol=STATA)
    assert_allclose(est.std_errors[coefs.index], coefs["std_error"], rtol=STATA)
    V = found.table(stem.format("vcov")).select_dtypes("number").to_numpy()
    assert_allclose(est.cov.loc[coefs.index, coefs.index], V, rtol=STATA)
    told = found.table(stem.format("diagnostics")).iloc[0]
    if kind == "_gmm2s":
        named = {"sargan": "overid_stat", "kp_lm": "underid_stat", "cragg_donald": "weak_id_cd_f", "f_model": "model_f"}
    else:
        named = {
            "kp_lm": "idstat",
            "cragg_donald": "cdf",
            "kp_f": "widstat",
            "anderson_rubin": "arf",
            "anderson_rubin_chi2": "archi2",
            "endogeneity": "estat",
            "stock_wright": "sstat",
            "f_model": "F_stat",
        }
        named |= {} if instruments == "just_id" else {"sargan": "sargan"} if cov == "iid" else {"hansen": "j"}
        assert_allclose([est.rsquared, est.rsquared_adj], told[["r2", "r2_a"]].astype(float), rtol=STATA)
    for ours, theirs in named.items():
        assert_allclose(est.tests[ours].stat, float(told[theirs]), rtol=STATA, err_msg=ours)
    if not (found.path / stem.format("firststage")).exists():
        return
    first = found.table(stem.format("firststage")).set_index("statistic")["educ"].astype(float)
    names = {"F": "F", "F df2": "df_r", "partial R2": "pr2", "Shea partial R2": "sheapr2", "SW F": "SWF"}
    names |= {"SW chi2": "SWchi2", "AP F": "APF", "AP chi2 p": "APchi2p", "rmse": "rmse"}
    for ours, theirs in names.items():
        assert_allclose(est.first_stages.loc["educ", ours], first[theirs], rtol=STATA, err_msg=ours)


@pytest.mark.parametrize(
    ("case", "instruments", "lags", "kernel"),
    [
        ("bar3_justid", "educ", 2, "bartlett"),
        ("bar3_overid", "educ + black", 2, "bartlett"),
        ("bar3_overid_small", "educ + black", 2, "bartlett"),
        ("par4_overid", "educ + black", 3, "parzen"),
        ("tru2_overid", "educ + black", 2, "truncated"),
    ],
)
def test_ivreg2_with_driscoll_kraay(golden, case, instruments, lags, kernel):
    """dkraay(bw): Bartlett's and Parzen's weights end before bw, the truncated kernel's at bw."""
    found = golden("iv_wagepan_dk_ivreg2")
    est = econ.fit(
        found.data,
        f"lwage ~ exper + expersq + married + union + [hours ~ {instruments}]",
        "iv",
        entity="nr",
        time="year",
        cov="driscoll-kraay",
        lags=lags,
        kernel=kernel,
        ssc="ivreg2",
        small=case.endswith("small"),
    )
    coefs = found.table(f"wp_dk_coef_{case}.csv").set_index("term").rename({"_cons": "Intercept"})
    assert_allclose(est.params[coefs.index], coefs["estimate"], rtol=STATA)
    assert_allclose(est.std_errors[coefs.index], coefs["std_error"], rtol=STATA)
    told = found.table(f"wp_dk_diagnostics_{case}.csv").iloc[0]
    named = {"kp_lm": "underid_stat", "cragg_donald": "weak_id_cd_f", "kp_f": "weak_id_kp_f"}
    named |= {} if case.endswith("justid") or kernel == "truncated" else {"hansen": "overid_stat"}
    for ours, theirs in named.items():
        assert_allclose(est.tests[ours].stat, told[theirs], rtol=STATA, err_msg=ours)
    if kernel == "truncated":  # the covariance of the moments is not positive definite: ivreg2 prints nothing
        assert np.isnan(est.tests["hansen"].stat)


def test_ivreghdfe_with_a_degenerate_first_stage(golden):
    found = golden("fe2sls_two_endog_ftest")
    est = econ.fit(found.data, "Y ~ [X1 + X2 ~ Z1 + Z2]", "iv", "id", "obs", effects="entity", cov="hc1")
    # twelve digits in print, of which the last is off: the same program's arithmetic has other roundings
    assert_allclose(est.tests["kp_f"].stat, found.expected["published"]["F_kp"], rtol=1e-11)
    assert_allclose(est.params[["X1", "X2"]], found.expected["computed"]["b"], rtol=R)
    assert_allclose(est.tests["kp_lm"].stat, found.expected["computed"]["rk_lm"], rtol=R_TEST)
    assert_allclose(est.tests["cragg_donald"].stat, found.expected["computed"]["cd_F"], rtol=R_TEST)
