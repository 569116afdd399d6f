"""Panel Granger tests: R's plm, formulas written out, permutations, planted causality and size."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import econ
from econ.errors import EstimationError, MissingColumnError, UsageError
from econ.estimators.granger import half_panel_jackknife, lagged, resampled, unit_walds, zbar, zbar_tilde

R = 1e-10  # plm's own rounding; least squares of twenty rows
seeds = st.integers(0, 10_000)
KEYS = {"entity": "id", "time": "year"}


def simulated(seed, entities=20, periods=14, beta=0.0, shared=0.0):
    """y on its lag and beta times the lag of x, which follows y's errors; `shared` shocks of all units."""
    rng = np.random.default_rng(seed)
    burn = 30
    shape = (entities, burn + periods)
    v = rng.normal(size=shape[1]) * shared
    e, u, a = rng.normal(size=shape) + v, rng.normal(size=shape), rng.normal(size=entities)
    y, x = np.zeros(shape), np.zeros(shape)
    for t in range(1, shape[1]):
        y[:, t] = 0.5 * y[:, t - 1] + beta * x[:, t - 1] + a + e[:, t]
        x[:, t] = 0.5 * x[:, t - 1] + u[:, t] + 0.5 * e[:, t]
    return y[:, burn:], x[:, burn:]


def frame(y, x, names=None):
    i, t = (axis.ravel() for axis in np.indices(y.shape))
    return pd.DataFrame({"id": [f"u{j:02d}" for j in i], "year": 2000 + t, "y": y.ravel(), "x": x.ravel()})


# --- published and computed -------------------------------------------------------------------------------------------


def test_plm_on_grunfelds_firms(golden):
    found = golden("granger_dh_grunfeld")
    for name, expected in found.expected["computed"].items():
        formula, _, lags = name.partition("_lag")
        test = econ.granger(found.data, formula, int(lags), entity="firm")
        assert_allclose(test.tests["wbar"].stat, expected["Wbar"]["stat"], rtol=R)
        for ours, theirs in (("zbar", "Zbar"), ("zbar_tilde", "Ztilde")):
            assert_allclose(test.tests[ours].stat, expected[theirs]["stat"], rtol=R)
            assert_allclose(test.tests[ours].pvalue, expected[theirs]["p"], atol=1e-8)
        units = pd.DataFrame(expected["indiv"]).set_index("firm")
        found_units = test.units.set_axis(test.units.index.astype(str))
        assert_allclose(found_units["wald"], units.loc[found_units.index, "Chisq"], rtol=R)
        assert_allclose(found_units["p"], units.loc[found_units.index, "p-value"], atol=1e-8)


def test_plm_on_the_simulated_panel(golden):
    found = golden("pipeline_simulated_20211")
    data = found.data.dropna(subset="gini")
    for name, expected in found.expected["dh"].items():
        cause, _, rest = name.partition("->")
        effect, _, lags = rest.partition("_lag")
        test = econ.granger(data, f"{effect} ~ {cause}", int(lags), entity="id")
        assert_allclose(test.tests["zbar_tilde"].stat, expected["ztilde"], rtol=R)
        assert_allclose(test.tests["zbar"].stat, expected["zbar"], rtol=R)
        assert_allclose(test.tests["zbar_tilde"].pvalue, expected["p"], atol=1e-8)
        assert test.pvalue == test.tests["zbar_tilde"].pvalue


# --- formulas written out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lags", [1, 2])
@settings(deadline=None, max_examples=15)
@given(seed=seeds)
def test_unit_walds_are_those_of_regressions(lags, seed):
    """Unit by unit with gaps: b' V^-1 b of the lags of x, V = s2 (X'X)^-1."""
    rng = np.random.default_rng(seed)
    y, x = simulated(seed, entities=6, periods=20)
    y[rng.random(y.shape) < 0.05] = np.nan
    walds, rows = unit_walds(y, x, lags)
    for i in range(len(y)):
        at = [t for t in range(lags, 20) if np.isfinite(y[i, t - lags : t + 1]).all()]
        X = np.array([[1, *y[i, t - lags : t][::-1], *x[i, t - lags : t][::-1]] for t in at])
        b, rss, *_ = np.linalg.lstsq(X, y[i, at], rcond=None)
        V = np.linalg.inv(X.T @ X) * rss / (len(at) - 2 * lags - 1)
        tested = slice(lags + 1, None)
        assert rows[i] == len(at)
        if len(at) > 2 * lags + 1:
            assert_allclose(walds[i], b[tested] @ np.linalg.solve(V[tested, tested], b[tested]), rtol=1e-8)


def test_moments_of_the_paper():
    """Balanced, Z-bar tilde is eq. 33 of Dumitrescu and Hurlin (2012) with T less the lags."""
    y, x = simulated(3)
    walds, rows = unit_walds(y, x, 1)
    N, T, K = 20, 13, 1
    scale = np.sqrt(N / (2 * K) * (T - 2 * K - 5) / (T - K - 3))
    wanted = scale * ((T - 2 * K - 3) / (T - 2 * K - 1) * walds.mean() - K)
    assert_allclose(zbar_tilde(walds, rows, K), wanted, rtol=1e-12)
    assert_allclose(zbar(walds, K), np.sqrt(N / 2) * (walds.mean() - 1), rtol=1e-12)


@pytest.mark.parametrize("periods", [14, 15])
def test_half_panel_jackknife_with_loops(periods):
    """Each unit's constant and own lag by dummies; halves of the periods, both ways where they are odd."""
    y, x = simulated(5, periods=periods, beta=0.3)
    N, T = y.shape

    def pooled(ticks):
        rows, target = [], []
        for i in range(N):
            for t in ticks:
                row = np.zeros(1 + 2 * N)
                row[0], row[1 + i], row[1 + N + i] = x[i, t - 1], 1, y[i, t - 1]
                rows.append(row)
                target.append(y[i, t])
        X, v = np.array(rows), np.array(target)
        b = np.linalg.lstsq(X, v, rcond=None)[0]
        return b[0], v - X @ b, X

    ticks = list(range(1, T))
    whole, e, X = pooled(ticks)
    cuts = {len(ticks) // 2, (len(ticks) + 1) // 2}
    halves = [pooled(part)[0] for cut in cuts for part in (ticks[:cut], ticks[cut:])]
    found = half_panel_jackknife(y, x[:, :, None], 1)
    assert_allclose(found.before, [whole], rtol=1e-9)
    assert_allclose(found.b, [2 * whole - np.mean(halves)], rtol=1e-9)
    net = X[:, 0] - X[:, 1:] @ np.linalg.lstsq(X[:, 1:], X[:, 0], rcond=None)[0]
    free = len(ticks) * N - 2 * N
    assert_allclose(found.V[0, 0], (net**2 @ e**2) / (net @ net) ** 2 * free / (free - 1), rtol=1e-9)
    homoskedastic = half_panel_jackknife(y, x[:, :, None], 1, "homoskedastic")
    assert_allclose(homoskedastic.V[0, 0], e @ e / (free - 1) / (net @ net), rtol=1e-9)


def test_lags_by_criterion_are_those_of_units_regressions():
    y, x = simulated(6, periods=30, beta=0.4)
    test = econ.granger(frame(y, x), "y ~ x", "bic", max_lags=3, **KEYS)

    def mean_bic(K):
        values = []
        for i in range(len(y)):
            X = np.array([[1, *y[i, t - K : t], *x[i, t - K : t]] for t in range(3, 30)])
            rss = np.linalg.lstsq(X, y[i, 3:], rcond=None)[1][0]
            values.append(np.log(rss / 27) + X.shape[1] * np.log(27) / 27)
        return np.mean(values)

    assert test.lags == min((1, 2, 3), key=mean_bic)
    assert f"1: {mean_bic(1):.4f}" in " ".join(test.notes)


def test_gmm_methods_are_those_of_their_estimators():
    y, x = simulated(7, entities=60, periods=8, beta=0.3)
    data = frame(y, x)
    test = econ.granger(data, "y ~ x", 1, "hnr", instruments=(2, 4), **KEYS)
    est = econ.fit(data, "y ~ L.y + L.x", "gmm", gmm={"y": (2, 4), "x": (2, 4)}, system=False, collapse=True, **KEYS)
    assert_allclose(test.tests["wald"].stat, econ.wald(est, ["L1.x"]).stat, rtol=1e-10)
    assert test.tests["hansen"] == est.tests["hansen"]
    joint = econ.panel_var(data, ["y", "x"], instruments=(2, 4), **KEYS)
    pvar = econ.granger(data, "y ~ x", 1, "pvar", instruments=(2, 4), **KEYS)
    wanted = (joint.params.loc["y", "L1.x"] / joint.std_errors.loc["y", "L1.x"]) ** 2
    assert_allclose(pvar.tests["wald"].stat, wanted, rtol=1e-9)
    table = joint.causality()
    assert list(zip(table["cause"], table["effect"], strict=True)) == [("x", "y"), ("y", "x")]
    assert "Granger causality" in joint.summary()


# --- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dumitrescu-hurlin", "juodis"])
@settings(deadline=None, max_examples=10)
@given(seed=seeds)
def test_names_order_and_units_do_not_matter(method, seed):
    y, x = simulated(seed)
    test = econ.granger(frame(y, x), "y ~ x", 1, method, **KEYS)
    order = np.random.default_rng(seed).permutation(len(y))
    turned = frame(3 + 1e4 * y[order], 1e-6 * x[order] - 1).sample(frac=1, random_state=seed)
    other = econ.granger(turned, "y ~ x", 1, method, **KEYS)
    for name in test.tests:
        assert_allclose(other.tests[name].stat, test.tests[name].stat, rtol=1e-6, atol=1e-9)


def rejections(method, replications, beta=0.0, **options):
    count = 0
    for seed in range(replications):
        y, x = simulated(seed, entities=26, beta=beta)
        count += econ.granger(frame(y, x), "y ~ x", 1, method, **options, **KEYS).pvalue < 0.05
    return count / replications


def test_planted_causality_is_found():
    for method in ("dumitrescu-hurlin", "juodis"):
        assert rejections(method, 20, beta=0.5) == 1


def test_size_of_the_jackknife_with_resampled_units():
    """100 true nulls at 26 x 14: above 13 rejections of a 5 % test have a probability of 0.05 %; measured: 7 %."""
    assert rejections("juodis", 100, bootstrap=200) <= 0.13
    # and the covariance of long panels is too small here, which the note says
    y, x = simulated(1)
    assert any("periods are few" in note for note in econ.granger(frame(y, x), "y ~ x", 1, "juodis", **KEYS).notes)


def test_bootstrap_keeps_the_dependence_of_units():
    """With shocks that all share Z-bar tilde spreads far more than a normal, and draws under the null do too."""
    y, x = simulated(2, entities=20, periods=20, shared=3.0)
    plain, tilde = resampled(y, x, 1, 300, seed=1)
    assert tilde.std() > 1.5
    independent = resampled(*simulated(2, entities=20, periods=20), 1, 300, seed=1)[1]
    assert tilde.std() > 1.3 * independent.std()
    test = econ.granger(frame(y, x), "y ~ x", 1, bootstrap=300, seed=1, **KEYS)
    wanted = (1 + np.sum(np.abs(tilde) >= abs(test.tests["zbar_tilde"].stat))) / 301
    assert test.bootstrap["zbar_tilde"] == test.pvalue == wanted
    again = econ.granger(frame(y, x), "y ~ x", 1, bootstrap=300, seed=1, **KEYS)
    assert again.bootstrap == test.bootstrap
    assert plain.shape == (300,)


def test_lags_are_by_the_calendar():
    values = np.array([[1.0, 2, 3, 4]])
    assert_allclose(lagged(values, 2)[0], [[np.nan, np.nan], [1, np.nan], [2, 1], [3, 2]])
    y, x = simulated(8)
    data = frame(y, x)
    gap = data[~((data["id"] == "u03") & (data["year"] == 2006))]
    test = econ.granger(gap, "y ~ x", 1, **KEYS)
    assert test.units.loc["u03", "nobs"] == 13 - 2
    assert "11 to 13 rows" in " ".join(test.notes)


def test_table_of_all_directions():
    y, x = simulated(9, beta=0.4)
    data = frame(y, x).assign(w=np.random.default_rng(1).normal(size=y.size))
    table = econ.granger_table(data, ["y", "x", "w"], 1, **KEYS)
    assert len(table) == 2 * 6
    row = table[(table["cause"] == "x") & (table["effect"] == "y") & (table["method"] == "juodis")].iloc[0]
    test = econ.granger(data, "y ~ x", 1, "juodis", **KEYS)
    assert (row["stat"], row["p"], row["nobs"]) == (test.tests["wald_hpj"].stat, test.pvalue, test.nobs)
    short = econ.granger_table(data[data["year"] < 2008], ["y", "x"], 1, "dumitrescu-hurlin", **KEYS)
    assert not short["valid"].any()
    assert short["note"].str.contains("T > 5").all()
    text = test.summary()
    assert "x does not Granger-cause y" in text
    assert "wald_hpj: chi2(1)" in text
    assert list(test.to_frame().columns) == ["stat", "law", "p", "bootstrap_p"]


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "lags", "options", "error", "says"),
    [
        ("y ~ x", 3, {}, EstimationError, "T > 5 [+] 3K = 14 periods"),
        ("y ~ x", 0, {}, UsageError, "lags is 0"),
        ("y ~ x", "sic", {}, UsageError, "lags is 'sic'"),
        ("y ~ x", 1, {"max_lags": 2}, UsageError, "goes with a criterion"),
        ("y ~ x", "aic", {"max_lags": 0}, UsageError, "max_lags is 0"),
        ("y ~ x", 1, {"method": "dh"}, UsageError, "no method 'dh'"),
        ("y ~ x", 1, {"draws": 9}, UsageError, "no option 'draws'"),
        ("y ~ x", 1, {"bootstrap": -1}, UsageError, "bootstrap is -1"),
        ("y ~ x", 1, {"method": "juodis", "errors": "iid"}, UsageError, "errors is 'iid'"),
        ("y ~ x", 8, {"method": "juodis"}, EstimationError, "more than its constant and lags"),
        ("y ~ nope", 1, {}, MissingColumnError, "no column 'nope'"),
        ("y ~ x + w", 1, {}, UsageError, "takes one cause"),
        ("y ~ x + w2", 1, {"method": "juodis"}, EstimationError, "vary independently"),
        ("y ~ flat", 1, {}, EstimationError, "does not vary in 1 of 20 values of 'id', first u04"),
        ("y ~ x", 1, {"method": "hnr", "gmm": {}}, UsageError, "made from instruments"),
    ],
)
def test_mistakes(formula, lags, options, error, says):
    y, x = simulated(1)
    data = frame(y, x)
    data["w"] = np.random.default_rng(0).normal(size=len(data))
    data["w2"] = 2 * data["x"]
    data["flat"] = data["x"].where(data["id"] != "u04", 1.0)
    with pytest.raises(error, match=says) as caught:
        econ.granger(data, formula, lags, **options, **KEYS)
    assert "\n" not in str(caught.value)


def test_bootstrap_wants_a_balanced_panel():
    y, x = simulated(1)
    with pytest.raises(EstimationError, match="expected a balanced panel"):
        econ.granger(frame(y, x).iloc[1:], "y ~ x", 1, bootstrap=9, **KEYS)
    with pytest.raises(EstimationError, match="there is one id"):
        econ.granger(frame(y[:1], x[:1]), "y ~ x", 1, **KEYS)
    for variables in (["y"], ["y", "y"]):
        with pytest.raises(UsageError, match="two or more columns"):
            econ.granger_table(frame(y, x), variables, **KEYS)
        with pytest.raises(UsageError, match="two or more columns"):
            econ.panel_var(frame(y, x), variables, **KEYS)
    with pytest.raises(UsageError, match="no method here has the option"):
        econ.granger_table(frame(y, x), ["y", "x"], draws=3, **KEYS)
    with pytest.raises(UsageError, match="transform is 'x'"):
        econ.panel_var(frame(y, x), ["y", "x"], transform="x", **KEYS)
    with pytest.raises(UsageError, match="lags is 0"):
        econ.panel_var(frame(y, x), ["y", "x"], lags=0, **KEYS)


def test_the_cause_is_needed_in_its_lags_only():
    """x missing in the last year costs no row: its lags are there."""
    y, x = simulated(11)
    x[:, -1] = np.nan
    for method in ("dumitrescu-hurlin", "juodis"):
        assert econ.granger(frame(y, x), "y ~ x", 1, method, **KEYS).nobs == 20 * 13


def test_a_unit_whose_effect_is_constant_does_not_depend_on_the_constant():
    """The jackknife's projection of such a unit takes its constant out and nothing else."""
    y, x = simulated(12)
    found = []
    for constant in (0.0, 1.3):
        y[3] = constant
        found.append(half_panel_jackknife(y, x[:, :, None], 1))
    assert_allclose(found[1].b, found[0].b, rtol=1e-10)


def test_criteria_compare_the_same_units():
    """Short units that only few lags leave alone do not enter: two lags are chosen, as the long ones say."""
    rng = np.random.default_rng(0)
    y = np.zeros((40, 60))
    for t in range(2, 60):
        y[:, t] = 0.8 * y[:, t - 2] + rng.normal(size=40)
    y, x = y[:, 30:], rng.normal(size=(40, 30))
    long = econ.granger(frame(y[:20], x[:20]), "y ~ x", "bic", max_lags=3, **KEYS).lags
    y[20:, :22] = np.nan
    assert econ.granger(frame(y, x), "y ~ x", "bic", "hnr", max_lags=3, **KEYS).lags == long == 2


def test_causes_in_too_few_units_are_not_resampled():
    y, x = simulated(13)
    x[1:] = 0
    with pytest.raises(EstimationError, match="too few units to resample"):
        econ.granger(frame(y, x), "y ~ x", 1, "juodis", bootstrap=99, **KEYS)
