"""What holds for any panel, through `econ.fit`: names, order and units do not matter, and one estimator is another.

Panels are unbalanced with gaps.  Tolerances of 1e-9 are for sums of some fifty products taken in another order, whose
rounding of 1e-16 is magnified by the condition of the columns, below 1e4 in these panels.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import econ
from econ.estimators.instruments import two_stage
from econ.estimators.random import quasi_demean, swamy_arora
from econ.estimators.within import absorb

SUMS = 1e-9
properties = settings(deadline=None, max_examples=3)
seeds = st.integers(0, 10_000)

LEAST_SQUARES = ("pooled", "between", "fd", "fe", "re", "mundlak")
WITH_INSTRUMENTS = ("iv", "liml", "gmm-iv")
ESTIMATORS = (*LEAST_SQUARES, *WITH_INSTRUMENTS)


def formula_of(estimator):
    return "y ~ x + [w ~ z1 + z2]" if estimator in WITH_INSTRUMENTS else "y ~ x + w"


def simulated(seed, entities=9, periods=7, keep=0.8):
    """y from x and w, which is correlated with its errors, and effects of both keys; z1 to z3 move w."""
    rng = np.random.default_rng(seed)
    i, t = (axis.ravel() for axis in np.meshgrid(np.arange(entities), np.arange(periods), indexing="ij"))
    n = i.size
    a, d, e, z = rng.normal(size=entities), rng.normal(size=periods), rng.normal(size=n), rng.normal(size=(3, n))
    x = rng.normal(size=n) + a[i]
    w = z.sum(axis=0) + e / 2 + rng.normal(size=n)
    table = pd.DataFrame(
        {
            "province": [f"P{code:02d}" for code in i],
            "year": 2000 + t,
            "y": 1 + x / 2 - w / 3 + a[i] + d[t] + e,
            "x": x,
            "w": w,
            "z1": z[0],
            "z2": z[1],
            "z3": z[2],
            "weight": rng.uniform(0.5, 2, n),
            "part": i // 3,
        }
    )
    # the first entity and the first period stay whole, so that the panel is connected
    return table[(rng.random(n) < keep) | (i == 0) | (t == 0)].reset_index(drop=True)


TWO_WAYS = ["province", "year"]
COVARIANCES = [
    {},
    {"cov": "hc3"},
    {"cov": "cluster", "cluster": "province"},
    {"cov": "cluster", "cluster": TWO_WAYS, "ssc": "ivreg2"},
    {"cov": "driscoll-kraay", "lags": 1},
    {"cov": "newey-west", "lags": 2},
]


def fit_for(estimator, options):
    """The options, or others where the estimator cannot take them."""
    if estimator == "between" and options.get("cov") not in (None, "hc3"):
        return {"cov": "hc1"}
    # weights of GMM have no leverage, and need a positive covariance, which two ways need not have
    if estimator == "gmm-iv" and (options.get("cov") == "hc3" or options.get("cluster") == TWO_WAYS):
        return {"cov": "hc1"}
    return options


# --- names, order, units --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(deadline=None, max_examples=4)
@given(seed=seeds, options=st.sampled_from(COVARIANCES))
def test_labels_and_order_of_rows_do_not_matter(estimator, seed, options):
    data = simulated(seed)
    options = fit_for(estimator, options)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(-9, 0))
    other = data.assign(
        province=labels[data["province"].str[1:].astype(int)],
        year=(data["year"] - 3000) * 5,
    ).sample(frac=1, random_state=seed)
    one = econ.fit(data, formula_of(estimator), estimator, **options)
    two = econ.fit(other, formula_of(estimator), estimator, step=5, **options)
    assert_allclose(two.params, one.params, rtol=SUMS)
    assert_allclose(two.std_errors, one.std_errors, rtol=SUMS)  # NaN where NaN
    assert two.nobs == one.nobs
    assert set(two.tests) == set(one.tests)
    for name, test in one.tests.items():
        # weak-instrument tests invert matrices of moments, which costs a few digits more
        assert_allclose(two.tests[name].stat, test.stat, rtol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(deadline=None, max_examples=4)
@given(seed=seeds, a=st.floats(-5, 5), b=st.sampled_from([-1e6, 1e-4, 3.0]), c=st.sampled_from([1e-5, -2.0, 1e8]),
       options=st.sampled_from(COVARIANCES))  # fmt: skip
def test_units_do_not_matter(estimator, seed, a, b, c, options):
    data = simulated(seed)
    options = fit_for(estimator, options)
    other = data.assign(y=a + b * data["y"], x=c * data["x"], z1=data["z1"] / c)
    one = econ.fit(data, formula_of(estimator), estimator, **options)
    two = econ.fit(other, formula_of(estimator), estimator, **options)
    scale = b / np.where(one.params.index.isin(["x", "mean(x)"]), c, 1)
    slopes = one.params.index != "Intercept"
    # rtol: a + 1e-4 y keeps eleven digits of y
    assert_allclose((two.params / scale)[slopes], one.params[slopes], rtol=1e-7)
    assert_allclose((two.std_errors / abs(scale))[slopes], one.std_errors[slopes], rtol=1e-7)
    for model in ("f_model", "chi2_model", "f_effects", "hansen", "sargan", "kp_lm"):
        assert (model in one.tests) == (model in two.tests)
        if model in one.tests:
            assert_allclose(two.tests[model].stat, one.tests[model].stat, rtol=1e-6)
    for name, r2 in one.rsquareds.items():
        if name != "transformed":  # plm's, whose mean of an unbalanced panel is not that of a constant
            # atol: an R2 near 0 is a difference
            assert_allclose(two.rsquareds[name], r2, rtol=1e-6, atol=1e-9)
    if "Intercept" in one.params:
        assert_allclose(two.params["Intercept"], a + b * one.params["Intercept"], rtol=1e-6, atol=1e-9 * abs(b))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(deadline=None, max_examples=2)
@given(seed=seeds)
def test_regressors_that_say_nothing_are_dropped_and_named(estimator, seed):
    data = simulated(seed)
    data = data.assign(one=3.0, copy=2 * data["x"] - 1, place=data["part"] + 0.5)
    formula = formula_of(estimator)
    plain = econ.fit(data, formula, estimator)
    more = econ.fit(data, formula.replace("x + ", "x + one + copy + "), estimator)
    assert_allclose(more.to_frame(), plain.to_frame(), rtol=SUMS)
    for name in ("one", "copy"):
        assert sum(note.startswith(f"{name} dropped: ") for note in more.notes) == 1
    if estimator in ("fe", *WITH_INSTRUMENTS):
        fixed = {"effects": "entity"}
        plain = econ.fit(data, formula, estimator, **fixed)
        more = econ.fit(data, formula.replace("x + ", "x + place + "), estimator, **fixed)
        assert_allclose(more.to_frame(), plain.to_frame(), rtol=SUMS)
        assert "place dropped: absorbed by the effects of province" in more.notes


# --- fixed effects are dummies --------------------------------------------------------------------------------------


def by_dummies(data, weighted):
    """Slopes of x and w, bread, scores without and with leverage, and the pieces of factors, all from dummies."""
    i, t = (pd.factorize(data[key], sort=True)[0] for key in ("province", "year"))
    D = np.column_stack([data[["x", "w"]], np.eye(i.max() + 1)[i], np.eye(t.max() + 1)[t][:, 1:]])
    root = np.sqrt(data["weight"] / data["weight"].mean()) if weighted else np.ones(len(data))
    D, y = D * np.asarray(root)[:, None], data["y"].to_numpy() * np.asarray(root)
    inverse = np.linalg.inv(D.T @ D)
    b = inverse @ D.T @ y
    return b[:2], inverse, D, y - D @ b, i, t


@pytest.mark.parametrize("weighted", [False, True])
@settings(deadline=None, max_examples=2)
@given(seed=seeds)
def test_two_way_effects_are_dummies(weighted, seed):
    data = simulated(seed)
    b, inverse, D, e, i, t = by_dummies(data, weighted)
    n, K = D.shape
    H = D @ inverse @ D.T
    h = np.diag(H)

    def sandwich(scores, *codes):
        meat = np.zeros((K, K))
        for sign, code in codes:
            sums = np.zeros((code.max() + 1, K))
            np.add.at(sums, code, scores)
            meat += sign * sums.T @ sums
        return inverse @ meat @ inverse

    def leverage(code, power):
        """e times (I - H_gg)^-power, by the pseudo-inverse: effects nested in a cluster make the block singular."""
        adjusted = np.empty(n)
        for group in range(code.max() + 1):
            at = code == group
            values, vectors = np.linalg.eigh(np.eye(at.sum()) - H[np.ix_(at, at)])
            gain = np.where(values > 1e-10, np.maximum(values, 1e-10) ** -power, 0)  # zeros come out near 1e-16
            adjusted[at] = vectors @ (gain * (vectors.T @ e[at]))
        return adjusted

    def kraay(lags):
        sums = np.zeros((data["year"].max() - 1999, K))
        np.add.at(sums, data["year"] - 2000, D * e[:, None])
        meat = sums.T @ sums
        for lag in range(1, lags + 1):
            cross = sums[lag:].T @ sums[:-lag]
            meat += (1 - lag / (lags + 1)) * (cross + cross.T)
        return inverse @ meat @ inverse

    rows, S = np.arange(n), D * e[:, None]
    periods, groups = t.max() + 1, i.max() + 1
    both = sandwich(S, (1, i), (1, t), (-1, rows))
    few = min(groups, periods)
    expected = {
        "classical": inverse * (e @ e) / (n - K),
        "hc0": sandwich(S, (1, rows)),
        "hc1": sandwich(S, (1, rows)) * n / (n - K),
        "hc2": sandwich(D * (e / np.sqrt(1 - h))[:, None], (1, rows)),
        "hc3": sandwich(D * (e / (1 - h))[:, None], (1, rows)),
        # entity effects are nested in the clusters and not counted: two slopes, a constant, period dummies
        "cluster": sandwich(S, (1, i)) * groups / (groups - 1) * (n - 1) / (n - 2 - periods),
        "cr2": sandwich(D * leverage(i, 0.5)[:, None], (1, i)),
        "cr3": sandwich(D * leverage(i, 1)[:, None], (1, i)),
        # both are nested in one way or the other
        "twoway": both * few / (few - 1) * (n - 1) / (n - 3),
        "driscoll-kraay": kraay(2) * periods / (periods - 1) * (n - 1) / (n - K),
    }
    for cov, V in expected.items():
        options = {"cov": cov, "ssc": "ivreg2"}
        if cov in ("cluster", "cr2", "cr3", "twoway"):
            options |= {"cov": cov.replace("twoway", "cluster"), "cluster": "province"}
        if cov == "twoway":
            options["cluster"] = ["province", "year"]
        if cov == "driscoll-kraay":
            options["lags"] = 2
        est = econ.fit(data, "y ~ x + w", weights="weight" if weighted else None, **options)
        assert_allclose(est.params[["x", "w"]], b, rtol=SUMS)
        found, wanted = est.cov.loc[["x", "w"], ["x", "w"]], V[:2, :2]
        if (np.diag(wanted) > 0).all():
            size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
            assert_allclose(found / size, wanted / size, atol=SUMS, err_msg=cov)
        else:  # a two-way variance below zero is not given
            assert np.isnan(np.diag(found)[np.diag(wanted) < 0]).all()


# --- one estimator is another ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("effects", [None, "entity", "twoway"])
@properties
@given(seed=seeds)
def test_regressors_as_their_own_instruments_are_least_squares(effects, seed):
    """On arrays: `econ.fit` refuses an instrument that is the endogenous variable, and says so."""
    data = simulated(seed)
    i, t = (pd.factorize(data[key], sort=True)[0] for key in ("province", "year"))
    codes = {None: (None, None), "entity": (i, None), "twoway": (i, t)}[effects]
    y, X = (absorb(data[names].to_numpy(), *codes) for names in ("y", ["x", "w"]))
    fit = two_stage(y, X[:, :1], X[:, 1:], X[:, 1:])
    least_squares = {"estimator": "pooled"} if effects is None else {"effects": effects}
    est = econ.fit(data, "y ~ x + w", **least_squares)
    assert_allclose(fit.coefs, est.params[["w", "x"]], rtol=SUMS)  # endogenous ones first
    variance = fit.residuals @ fit.residuals / est.df_resid
    assert_allclose(np.sqrt(np.diag(fit.bread) * variance), est.std_errors[["w", "x"]], rtol=SUMS)
    with pytest.raises(econ.EstimationError, match="reproduce 'w' exactly"):
        econ.fit(data.assign(same=data["w"]), "y ~ x + [w ~ same]", "iv", effects=effects)


@pytest.mark.parametrize("effects", [None, "entity", "twoway"])
@settings(deadline=None, max_examples=2)
@given(seed=seeds)
def test_just_identified_estimators_are_one(effects, seed):
    """Without overidentification no weight matters: 2SLS, LIML, and GMM by any covariance."""
    data = simulated(seed)
    formula = "y ~ x + [w ~ z1]"
    wanted = econ.fit(data, formula, "iv", effects=effects, cov="hc1")
    liml = econ.fit(data, formula, "liml", effects=effects, cov="hc1")
    # kappa - 1 is the root of an eigenvalue problem, and weak instruments magnify it
    assert_allclose(liml.components["kappa"], 1, rtol=1e-9)
    assert_allclose(liml.params, wanted.params, rtol=1e-6)
    for options in ({}, {"cov": "newey-west", "lags": 1}, {"cov": "cluster", "cluster": "province"}):
        for steps in (2, "cue"):
            gmm = econ.fit(data, formula, "gmm-iv", effects=effects, steps=steps, **options)
            assert_allclose(gmm.params, wanted.params, rtol=1e-6)
            one = econ.fit(data, formula, "iv", effects=effects, **options)
            assert_allclose(gmm.std_errors[["x", "w"]], one.std_errors[["x", "w"]], rtol=1e-6)
            assert not {"hansen", "sargan"} & set(gmm.tests)


@properties
@given(seed=seeds)
def test_random_effects_without_variance_are_pooled(seed):
    """Where entities have the same mean their component is estimated below zero and set to 0, so theta is 0."""
    data = simulated(seed, keep=1.0)
    data["y"] -= data.groupby("province")["y"].transform("mean")
    data["x"] -= data.groupby("province")["x"].transform("mean")
    for variant in ("stata", "sa", "plm"):
        random = econ.fit(data, "y ~ x + w", "re", variant=variant)
        pooled = econ.fit(data, "y ~ x + w", "pooled")
        assert random.components["theta"] == 0
        assert any("< 0 and set to 0" in note for note in random.notes)
        # atol: the constant of means that were taken out is rounding
        assert_allclose(random.params, pooled.params, rtol=SUMS, atol=1e-12)
        assert_allclose(random.std_errors, pooled.std_errors, rtol=SUMS)


@properties
@given(seed=seeds)
def test_two_periods_in_differences_are_entity_effects(seed):
    data = simulated(seed, periods=2, entities=12, keep=0.9)
    pairs = data[data.groupby("province")["year"].transform("size") == 2]
    differences = econ.fit(data, "y ~ x + w", "fd")
    within = econ.fit(pairs, "y ~ x + w", effects="entity")
    assert_allclose(differences.params, within.params[["x", "w"]], rtol=SUMS)
    assert_allclose(differences.std_errors, within.std_errors[["x", "w"]], rtol=SUMS)


@properties
@given(seed=seeds)
def test_between_is_least_squares_on_collapsed_rows(seed):
    data = simulated(seed)
    grouped = data.groupby("province")[["y", "x", "w"]]
    collapsed = grouped.mean().assign(rows=grouped.size()).reset_index()
    for wls, weights in ((False, None), (True, "rows")):
        between = econ.fit(data, "y ~ x + w", "between", wls=wls, cov="hc1")
        pooled = econ.fit(collapsed, "y ~ x + w", "pooled", time=None, weights=weights, cov="hc1")
        assert_allclose(between.to_frame(), pooled.to_frame(), rtol=SUMS)


@pytest.mark.parametrize("estimator", ["pooled", "fe", "iv"])
@properties
@given(seed=seeds, c=st.sampled_from([1e-9, 7.0, 1e12]))
def test_only_the_proportions_of_weights_matter(estimator, seed, c):
    data = simulated(seed)
    one = econ.fit(data, formula_of(estimator), estimator, weights="weight")
    two = econ.fit(data.assign(weight=c * data["weight"]), formula_of(estimator), estimator, weights="weight")
    same = econ.fit(data.assign(weight=c), formula_of(estimator), estimator, weights="weight")
    assert_allclose(two.to_frame(), one.to_frame(), rtol=SUMS)
    assert_allclose(same.to_frame(), econ.fit(data, formula_of(estimator), estimator).to_frame(), rtol=SUMS)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(deadline=None, max_examples=2)
@given(seed=seeds, options=st.sampled_from([each for each in COVARIANCES if each.get("cluster") != TWO_WAYS]))
def test_the_test_of_all_slopes_is_walds(estimator, seed, options):
    data = simulated(seed)
    options = fit_for(estimator, options)
    est = econ.fit(data, formula_of(estimator), estimator, **options)
    slopes = [name for name in est.params.index if name != "Intercept"]
    wald = econ.wald(est, slopes)
    model = est.tests.get("f_model") or est.tests["chi2_model"]
    assert wald.df == model.df
    assert_allclose(wald.stat, model.stat, rtol=1e-7)  # two factorisations of one covariance
    assert_allclose(econ.wald(est, "x").stat, est.tvalues["x"] ** 2, rtol=SUMS)


# --- interactions and lags ------------------------------------------------------------------------------------------


@properties
@given(seed=seeds)
def test_min_max_leaves_t_of_the_interaction(seed):
    data = simulated(seed)
    raw = econ.fit(data, "y ~ x*w", cov="hc1")
    scaled = econ.fit(data, "y ~ minmax(x)*minmax(w)", cov="hc1")
    half = econ.fit(data, "y ~ x + w + minmax(x):w", cov="hc1")
    spread = np.ptp(data[["x", "w"]].to_numpy(), axis=0)
    # products of columns with means are nearly collinear with them, which costs digits
    assert_allclose(scaled.tvalues["minmax(x):minmax(w)"], raw.tvalues["x:w"], rtol=1e-7)
    assert_allclose(half.tvalues["minmax(x):w"], raw.tvalues["x:w"], rtol=1e-7)
    assert_allclose(scaled.params["minmax(x):minmax(w)"], raw.params["x:w"] * spread.prod(), rtol=1e-7)
    assert_allclose(scaled.loglik, raw.loglik, rtol=SUMS)


def at(data, column, periods, step):
    """The column `periods` later, by a merge on entity and time."""
    other = data[["province", "year", column]].assign(year=data["year"] - periods * step)
    return data[["province", "year"]].merge(other, how="left", on=["province", "year"])[column].to_numpy()


@pytest.mark.parametrize("step", [1, 5])
@settings(deadline=None, max_examples=2)
@given(seed=seeds)
def test_lags_are_merges_by_time(step, seed):
    """Gaps are respected, in whatever order rows stand."""
    data = simulated(seed, entities=12, periods=9, keep=0.85).sample(frac=1, random_state=seed, ignore_index=True)
    data["year"] = 2000 + (data["year"] - 2000) * step
    D1 = data["x"] - at(data, "x", -1, step)
    made = data.assign(
        L1=at(data, "x", -1, step),
        L2=at(data, "x", -2, step),
        F1=at(data, "w", 1, step),
        D1=D1,
        D2=D1 - at(data.assign(d=D1), "d", -1, step),
        Lln=at(data.assign(d=np.log(data["weight"])), "d", -1, step),
        LD=at(data.assign(d=D1), "d", -1, step),
    )
    for written, by_hand in (
        ("L.x + w", "L1 + w"),
        ("L(0/2).x", "x + L1 + L2"),
        ("L2.x + F.w", "L2 + F1"),
        ("D.x + L.ln(weight)", "D1 + Lln"),
        ("D2.x + w", "D2 + w"),
        ("L.D.x + L.x:w", "LD + L1:w"),
        ("I(L.x**2) + w", "I(L1**2) + w"),
    ):
        est = econ.fit(data, f"y ~ {written}", effects="entity", step=step)
        wanted = econ.fit(made, f"y ~ {by_hand}", effects="entity")
        assert est.nobs == wanted.nobs
        assert_allclose(est.to_frame(), wanted.to_frame(), rtol=1e-12)  # the same columns


def leverage_adjusted(W, y, code, kind):
    """Covariance by HC2, HC3, CR2 or CR3 with the hat matrix of W (n, p) written out."""
    bread = np.linalg.inv(W.T @ W)
    hat = W @ bread @ W.T
    e = y - W @ (bread @ (W.T @ y))
    if kind in ("hc2", "hc3"):
        code = np.arange(e.size)
    power = {"hc2": -0.5, "cr2": -0.5, "hc3": -1.0, "cr3": -1.0}[kind]
    scores = []
    for group in np.unique(code):
        at = np.flatnonzero(code == group)
        values, vectors = np.linalg.eigh(np.eye(at.size) - hat[np.ix_(at, at)])
        scores.append(W[at].T @ (vectors @ (values**power * (vectors.T @ e[at]))))
    S = np.array(scores)
    return bread @ S.T @ S @ bread


@pytest.mark.parametrize("kind", ["hc2", "hc3", "cr2", "cr3"])
@pytest.mark.parametrize("estimator", ["fd", "re", "mundlak"])
@settings(deadline=None, max_examples=4)
@given(seed=seeds)
def test_leverage_is_that_of_the_transformed_columns(estimator, kind, seed):
    """First differences have no constant, and that of random effects of unbalanced panels is none any more."""
    data = simulated(seed)
    options = {"cov": kind, **({"cluster": "province"} if kind.startswith("cr") else {})}
    est = econ.fit(data, "y ~ x + w", estimator, **options)
    code, years = pd.factorize(data["province"])[0], data["year"].to_numpy()
    y, X = data["y"].to_numpy(), data[["x", "w"]].to_numpy()
    if estimator == "fd":
        order = np.lexsort((years, code))
        follows = (np.diff(code[order]) == 0) & (np.diff(years[order]) == 1)
        now, before = order[1:][follows], order[:-1][follows]
        W, y, code = X[now] - X[before], y[now] - y[before], code[now]
    else:
        means = data.groupby("province")[["x", "w"]].transform("mean").to_numpy()
        X = np.column_stack([np.ones(y.size), X, *([means] if estimator == "mundlak" else [])])
        theta = swamy_arora(y, X[:, 1:], code).theta
        W, y = quasi_demean(X, theta, code), quasi_demean(y, theta, code)
    assert_allclose(est.cov, leverage_adjusted(W, y, code, kind), rtol=1e-8)  # inverts what the other factors


@pytest.mark.parametrize("kind", ["hc2", "hc3"])
def test_leverage_between_groups_weighted_by_rows(kind):
    data = simulated(3)
    est = econ.fit(data, "y ~ x + w", "between", wls=True, cov=kind)
    rows = data.groupby("province")["y"].size().to_numpy()
    means = data.groupby("province")[["y", "x", "w"]].mean().to_numpy()
    root = np.sqrt(rows / rows.mean())
    W = root[:, None] * np.column_stack([np.ones(rows.size), means[:, 1:]])
    assert_allclose(est.cov, leverage_adjusted(W, root * means[:, 0], np.arange(rows.size), kind), rtol=1e-8)


def test_first_stage_is_that_of_ivreghdfe_under_its_convention():
    """Entity effects nested in the clusters do not count: the F of instruments is that of a fit of the first stage."""
    data = simulated(1)
    options = {"effects": "entity", "cov": "cluster", "cluster": "province", "ssc": "reghdfe"}
    est = econ.fit(data, "y ~ x + [w ~ z1 + z2]", "iv", **options)
    first = econ.fit(data, "w ~ x + z1 + z2", **options)
    wanted = econ.wald(first, ["z1", "z2"])
    assert_allclose(est.first_stages.loc["w", "F"], wanted.stat, rtol=SUMS)
    assert est.first_stages.loc["w", "F df2"] == wanted.df[1]
    # xtivreg2 counts them all
    stata = econ.fit(data, "y ~ x + [w ~ z1 + z2]", "iv", **{**options, "ssc": "stata"})
    n, effects = est.nobs, data["province"].nunique()
    assert_allclose(stata.first_stages.loc["w", "F"] / wanted.stat, (n - 3 - effects) / (n - 3 - 1), rtol=SUMS)
