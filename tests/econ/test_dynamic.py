"""Difference and system GMM through `econ.fit`: xtabond2's published output, R's plm and panelvar, and properties."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import econ
from econ.cli import main
from econ.errors import BadInputError, EstimationError, MissingColumnError, UsageError
from econ.estimators import dynamic
from econ.estimators.dynamic_moments import (
    GmmStyle,
    build,
    first_differences,
    one_step_weights,
    orthogonal_deviations,
    transformation,
)
from econ.estimators.gmm import Instruments
from tests.econ.gmm_reference import reference

COMPUTED = 1e-8  # a reference implementation and R, on weights whose condition is up to 1e6
STATISTIC = 1e-6  # econometrics.md 7
YEARS = [f"yr{year}" for year in range(1976, 1985)]
KEYS = {"entity": "id", "time": "year"}

REGRESSORS = " + ".join(["L(1/2).n", "w", "L.w", "L(0/2).k", "L(0/2).ys", *YEARS])
STANDARD = ["w", "L.w", "L(0/2).k", "L(0/2).ys", *YEARS]
ROODMAN = {
    "formula": " + ".join(["n ~ L.n", "L(0/1).w", "L(0/1).k", *YEARS]),
    "gmm": {("L.n", "L.w", "L.k"): (1, None)},
    "iv": [(tuple(YEARS), "level")],
    "steps": 1,
    "small": True,
}
BENCHMARK = {"formula": "n ~ L(1/2).n + w + k", "gmm": {"n": (2, 4), "w": (1, 3)}, "iv": ["k"]}
DIFFERENCE = {"formula": f"n ~ {REGRESSORS}", "gmm": {"n": (2, None)}, "iv": STANDARD, "system": False}
FOD = {"formula": "n ~ L.n + w + k", "gmm": {"n": (2, 5), "w": (1, 3)}, "iv": ["k"], "collapse": True} | {
    "transform": "fod"
}
CASES = [
    ("dpd_abdata_diff", "ab91_onestep_robust", {**DIFFERENCE, "steps": 1}),
    ("dpd_abdata_diff", "ab91_twostep_windmeijer", DIFFERENCE),
    ("dpd_abdata_diff", "ab91_twostep_uncorrected", {**DIFFERENCE, "windmeijer": False}),
    (
        "dpd_abdata_diff",
        "roodman_endog_small",
        {
            **DIFFERENCE,
            "gmm": {("L.n", "L.w", "L.k"): (1, None)},
            "iv": ["L(0/2).ys", *YEARS],
            "steps": 1,
            "small": True,
        },
    ),
    ("dpd_abdata_system", "roodman_system_onestep_small", ROODMAN),
    ("dpd_abdata_system", "pydynpd_benchmark_system_twostep", BENCHMARK),
    ("dpd_abdata_system", "pydynpd_benchmark_diff_twostep", {**BENCHMARK, "system": False}),
    ("dpd_abdata_system", "system_twostep_collapse", {**BENCHMARK, "collapse": True}),
    ("dpd_abdata_fod", "system", FOD),
    ("dpd_abdata_fod", "difference", {**FOD, "system": False}),
]
LABELS = {"gmm_levels": "gmm_levels", "gmm_n": "gmm_n", "gmm_w": "gmm_w", "iv": "iv", "iv_k": "iv"}


def term(name):
    return "Intercept" if name == "_cons" else name


def with_years(data):
    return data.assign(**{f"yr{year}": (data["year"] == year).astype(float) for year in range(1976, 1985)})


def fit(data, formula, **options):
    return econ.fit(data, formula, "gmm", **KEYS, **options)


@pytest.mark.parametrize(("case", "name", "options"), CASES, ids=[f"{case}-{name}" for case, name, _ in CASES])
def test_xtabond2(golden, case, name, options):
    found = golden(case)
    expected = found.expected[name]
    expected = expected.get("computed", expected)
    est = fit(with_years(found.data), **options)
    assert [*expected["b"]] == [*(n for n in expected["b"] if term(n) in est.params.index)]
    assert len(est.params) == len(expected["b"])
    for series, key in ((est.params, "b"), (est.std_errors, "se")):
        assert_allclose([series[term(n)] for n in expected[key]], [*expected[key].values()], rtol=COMPUTED)
    assert est.nobs == expected["n"]
    assert est.groups.loc["id", "groups"] == expected["ng"]
    assert est.counts["instruments"] == expected["ninst"]
    for test in ("sargan", "hansen"):
        assert_allclose(est.tests[test].stat, expected[test], rtol=STATISTIC)
        assert est.tests[test].df == (expected["sargan_df"],)
        assert_allclose(est.tests[test].pvalue, expected[f"{test}_p"], atol=1e-8)
    for order, (z, p) in expected["ar"].items():
        assert_allclose(est.tests[f"ar{order}"].stat, z, rtol=STATISTIC)
        assert_allclose(est.tests[f"ar{order}"].pvalue, p, atol=1e-8)
    for label, wanted in expected.get("diff_in_hansen", {}).items():
        without, difference = (est.tests[f"hansen_{what}_{LABELS[label]}"] for what in ("without", "difference"))
        assert_allclose([without.stat, difference.stat], [wanted["excl"], wanted["diff"]], rtol=STATISTIC)
        assert (without.df, difference.df) == ((wanted["excl_df"],), (wanted["diff_df"],))


@pytest.mark.parametrize(
    ("case", "name", "options"),
    [
        ("dpd_abdata_diff", "ab91_onestep_robust", {**DIFFERENCE, "steps": 1}),
        ("dpd_abdata_diff", "ab91_twostep_windmeijer", DIFFERENCE),
        ("dpd_abdata_system", "roodman_system_onestep_small", {**ROODMAN, "factor": "old", "sargan": "level"}),
        ("dpd_abdata_system", "pydynpd_benchmark_system_twostep", BENCHMARK),
    ],
)
def test_published_digits(golden, case, name, options):
    """Roodman (2009) and Stata's manual, to half a unit of the seventh decimal; the old factor and Sargan by option."""
    found = golden(case)
    published = found.expected[name]["published"]
    est = fit(with_years(found.data), **options)
    half = 5.1e-8
    for n, value in published["b"].items():
        assert_allclose(est.params[term(n)], value, rtol=0, atol=half)
    for n, value in (published.get("se") or published.get("se_old_small_factor")).items():
        digits = len(f"{value}".partition(".")[2])
        assert_allclose(est.std_errors[term(n)], value, rtol=0, atol=0.51 * 10.0 ** -max(digits, 6))
    if "sargan_old" in published:
        assert_allclose(est.tests["sargan"].stat, published["sargan_old"], atol=0.005)
    if "hansen" in published:
        assert_allclose(est.tests["hansen"].stat, published["hansen"], atol=0.0051)
        assert_allclose(
            [est.tests["ar1"].stat, est.tests["ar2"].stat], [published["ar1"], published["ar2"]], atol=0.0051
        )


def test_classical_errors_of_one_step(golden):
    found = golden("dpd_abdata_diff")
    expected = found.expected["ab91_onestep_nonrobust"]
    est = fit(with_years(found.data), **DIFFERENCE, steps=1, cov="classical")
    wanted = expected["computed_se"]
    assert_allclose([est.std_errors[n] for n in wanted], [*wanted.values()], rtol=COMPUTED)
    # Stata's xtabond divides by n - k = 611 - 16; its own instruments are the same
    small = fit(with_years(found.data), **DIFFERENCE, steps=1, cov="classical", small=True)
    published = expected["published"]["se"]
    assert_allclose([small.std_errors[n] for n in published], [*published.values()], atol=5.1e-8)
    assert small.df_resid == 611 - 16


@pytest.mark.parametrize("twoways", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
def test_plm_on_two_lags_of_each(golden, steps, twoways):
    found = golden("granger_hnr_abdata")
    name = f"{'onestep' if steps == 1 else 'twosteps'} {'twoways' if twoways else 'individual'}"
    expected = found.expected["plm_2_6_6"][name]
    est = fit(
        found.data,
        "n ~ L(1/2).n + L(1/2).w",
        gmm={"n": (2, 4), "w": (2, 4)},
        system=False,
        steps=steps,
        time_effects=twoways,
    )
    names = ["L1.n", "L2.n", "L1.w", "L2.w"]
    assert_allclose(est.params[names], [*expected["coef"].values()], rtol=COMPUTED)
    assert_allclose(est.std_errors[names], [*expected["se"].values()], rtol=COMPUTED)
    assert_allclose([est.tests["ar1"].stat, est.tests["ar2"].stat], [expected["m1"], expected["m2"]], rtol=STATISTIC)
    assert_allclose(econ.wald(est, ["L1.w", "L2.w"]).stat, expected["wald_w"], rtol=STATISTIC)
    if steps == 2:  # plm's Sargan of one step is another statistic (PROVENANCE)
        assert_allclose(est.tests["hansen"].stat, expected["sargan"], rtol=STATISTIC)
    else:
        assert_allclose(est.tests["sargan"].stat, 55.620 if twoways else 68.968, atol=0.00051)


@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_panel_var_of_panelvar(golden, transform):
    found = golden("pvar_abdata")
    expected = found.expected[f"pvar_nw_{transform}"]
    joint = econ.panel_var(found.data, ["n", "w"], lags=1, instruments=(2, 4), transform=transform, **KEYS)
    assert_allclose(joint.first, np.array(expected["first"]), rtol=COMPUTED)
    assert_allclose(joint.params.to_numpy(), np.array(expected["second"]), rtol=COMPUTED)
    assert_allclose(joint.std_errors.to_numpy(), np.array(expected["se"]), rtol=COMPUTED)
    assert_allclose(joint.tests["hansen"].stat, expected["hansen"]["stat"], rtol=STATISTIC)
    assert joint.tests["hansen"].df == (expected["hansen"]["df"],)
    assert (joint.instruments, joint.nobs) == (expected["ninst"], expected["n"])


# --- the parts --------------------------------------------------------------------------------------------------------


def test_orthogonal_deviations_are_orthogonal():
    """Rows of unit length, orthogonal, and to a constant; with gaps over what is there."""
    F = transformation(7, "fod")
    assert_allclose(F[1:] @ F[1:].T, np.eye(6), atol=1e-15)
    assert_allclose(F @ np.ones(7), 0, atol=1e-15)
    x = np.arange(7.0)[None] ** 2
    values, there = orthogonal_deviations(x, np.ones((1, 7), bool))
    assert_allclose(values[0], F @ x[0], atol=1e-12)
    assert there.tolist() == [[False, *[True] * 6]]
    used = np.array([[True, True, False, True, False, True, True]])
    values, there = orthogonal_deviations(x, used)
    assert there.tolist() == [[False, True, True, False, True, False, True]]
    assert_allclose(values[0, 1], np.sqrt(4 / 5) * (0 - (1 + 9 + 25 + 36) / 4))
    assert_allclose(values[0, 4], np.sqrt(2 / 3) * (9 - (25 + 36) / 2))


def test_differences_break_at_gaps():
    used = np.array([[True, True, False, True, True]])
    values, there = first_differences(np.array([[1.0, 3, 5, 8, 9]]), used)
    assert values.tolist() == [[0, 2, 0, 0, 1]]
    assert there.tolist() == [[False, True, False, False, True]]


def test_weights_of_one_step():
    assert one_step_weights(3, "fd", False, 3).tolist() == [[0, 0, 0], [0, 2, -1], [0, -1, 2]]
    H = one_step_weights(3, "fd", True, 3)
    assert H[:3, 3:].tolist() == transformation(3, "fd").tolist()
    assert one_step_weights(3, "fd", True, 2)[:3, 3:].any() == np.False_
    assert_allclose(one_step_weights(3, "fod", True, 1), np.eye(6))


def test_columns_of_instruments():
    """Four periods, lags 2 on: y1 for t = 3, y1 and y2 for t = 4; the difference before for the levels."""
    y = np.array([[1.0, 2, 4, 8], [1, 3, 9, 27]])
    X = np.stack([np.hstack([np.full((2, 1), np.nan), y[:, :-1]])], axis=2)
    moments = build(y, X, ["L1.y"], [GmmStyle("y", y, 2, None)], [], system=True, constant="one")
    assert moments.labels == ("L2.y at 2", "L2.y at 3", "L3.y at 3", "L1.D.y at 2", "L1.D.y at 3", "one")
    first = moments.Z[0]
    assert first[:4, :3].tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 2, 1]]
    assert first[4:, 3:].tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 1], [0, 2, 1]]
    collapsed = build(y, X, ["L1.y"], [GmmStyle("y", y, 2, None, collapse=True)], [], system=False)
    assert collapsed.labels == ("L2.y", "L3.y")
    assert collapsed.Z[0].tolist() == [[0, 0], [0, 0], [1, 0], [2, 1]]
    level = build(y, X, ["L1.y"], [GmmStyle("y", y, 1, 2, equation="level")], [], system=True)
    assert {label.split(" ")[0] for label in level.labels} == {"L1.D.y", "L2.D.y"}  # all lags, none is redundant
    strict = build(y, X, ["L1.y"], [GmmStyle("y", y, 0, None)], [], system=True)
    assert "D.y at 3" in strict.labels
    assert "L1.D.y at 3" not in strict.labels


# --- properties -------------------------------------------------------------------------------------------------------


def simulated(seed, entities=60, periods=7, rho=0.5, keep=1.0, beta=1.0):
    """y = rho L.y + beta x + effect + error, x predetermined; ids are text, years of any calendar."""
    rng = np.random.default_rng(seed)
    burn = 30
    a = rng.normal(size=entities)
    y, x = np.zeros((entities, burn + periods)), np.zeros((entities, burn + periods))
    e = rng.normal(size=y.shape)
    for t in range(1, burn + periods):
        x[:, t] = 0.5 * x[:, t - 1] + 0.3 * e[:, t - 1] + rng.normal(size=entities) + 0.3 * a
        y[:, t] = rho * y[:, t - 1] + beta * x[:, t] + a + e[:, t]
    i, t = (axis.ravel() for axis in np.indices((entities, periods)))
    frame = pd.DataFrame({"id": [f"u{j:03d}" for j in i], "year": 1990 + t, "y": y[:, burn:].ravel()})
    frame["x"], frame["z"] = x[:, burn:].ravel(), rng.normal(size=i.size)
    return frame[rng.random(len(frame)) < keep].reset_index(drop=True)


SYSTEM = {"gmm": {"y": (2, None), "x": (1, None)}, "iv": ["z"], "collapse": True}
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("options", [SYSTEM, {**SYSTEM, "system": False}, {**SYSTEM, "transform": "fod", "steps": 1}])
@settings(deadline=None, max_examples=8)
@given(seed=seeds)
def test_names_order_and_units_do_not_matter(options, seed):
    data = simulated(seed, keep=0.9)
    est = fit(data, "y ~ L.y + x + z", **options)
    names = {name: 1000 - j for j, name in enumerate(data["id"].unique())}
    turned = data.assign(id=data["id"].map(names), year=data["year"] - 1700).sample(frac=1, random_state=seed)
    other = fit(turned, "y ~ L.y + x + z", **options)
    assert_allclose(other.params, est.params, rtol=1e-9)
    assert_allclose(other.std_errors, est.std_errors, rtol=1e-9)
    scale = pd.Series({"Intercept": 1e3, "L1.y": 1.0, "x": 1e8, "z": 1e3})[est.params.index]
    scaled = fit(data.assign(y=1e3 * data["y"], x=1e-5 * data["x"]), "y ~ L.y + x + z", **options)
    assert_allclose(scaled.params, est.params * scale, rtol=1e-7)
    for name, test in est.tests.items():
        assert_allclose(scaled.tests[name].stat, test.stat, rtol=1e-6, atol=1e-8, err_msg=name)
        assert_allclose(other.tests[name].stat, test.stat, rtol=1e-7, atol=1e-8, err_msg=name)


@settings(deadline=None, max_examples=8)
@given(seed=seeds)
def test_exact_identification_needs_no_weights(seed):
    data = simulated(seed)
    options = {"gmm": {"y": (2, 2)}, "iv": ["x"], "collapse": True, "system": False}
    fits = [fit(data, "y ~ L.y + x", **options, steps=steps, h=h) for steps, h in ((1, 1), (1, 3), (2, 3), ("cue", 3))]
    for other in fits[1:]:
        assert_allclose(other.params, fits[0].params, rtol=1e-8)
    assert fits[2].tests["hansen"].law == "none"
    robust, corrected = fits[1].std_errors, fits[2].std_errors
    assert_allclose(corrected, robust, rtol=1e-6)  # the weights have nothing to add


@settings(deadline=None, max_examples=8)
@given(seed=seeds)
def test_deviations_are_differences_where_all_lags_instrument(seed):
    """M. Arellano, O. Bover (1995): balanced, all lags, optimal weights of one step: any transformation is as good."""
    data = simulated(seed, periods=6)
    options = {"gmm": {"y": (2, None), "x": (1, None)}, "system": False, "steps": 1}
    fd, fod = (fit(data, "y ~ L.y + x", **options, transform=transform) for transform in ("fd", "fod"))
    assert_allclose(fod.params, fd.params, rtol=1e-7)
    assert_allclose(fod.std_errors, fd.std_errors, rtol=1e-7)
    assert_allclose(fod.tests["sargan"].df, fd.tests["sargan"].df)


def test_planted_coefficients_are_found():
    """2,000 units: two coefficients in ten designs of each estimator, within 4.5 standard errors (1e-4 together)."""
    for seed in range(3):
        data = simulated(seed, entities=2000, periods=6)
        for options in ({}, {"system": False}, {"transform": "fod"}, {"steps": 1}, {"steps": "cue", "collapse": True}):
            est = fit(data, "y ~ L.y + x", gmm={"y": (2, 3), "x": (1, 2)}, **options)
            z = (est.params[["L1.y", "x"]] - [0.5, 1.0]) / est.std_errors[["L1.y", "x"]]
            assert (z.abs() < 4.5).all(), (seed, options, z)


def test_windmeijer_corrects_what_two_steps_understate():
    """120 panels of 40 units, 13 instruments a lag: the mean standard error is that of the estimates, or far below."""
    estimates, naive, corrected = [], [], []
    for seed in range(120):
        data = simulated(seed, entities=40, periods=6)
        options = {"gmm": {"y": (2, 3), "x": (1, 2)}, "system": False}
        est = fit(data, "y ~ L.y + x", **options)
        estimates.append(est.params["x"])
        corrected.append(est.std_errors["x"])
        naive.append(fit(data, "y ~ L.y + x", **options, windmeijer=False).std_errors["x"])
    spread = np.std(estimates)  # known to 1 / sqrt(240) = 6.5 %
    assert np.mean(naive) < 0.85 * spread
    assert 0.8 * spread < np.mean(corrected) < 1.2 * spread


def test_serial_correlation_is_found():
    """Errors of moving average of order 1 make lags of 2 invalid, which AR(2) shows; lags from 3 on are valid."""
    rng = np.random.default_rng(3)
    n, T = 500, 8
    u = rng.normal(size=(n, T + 21))
    e = u[:, 1:] + 0.8 * u[:, :-1]
    y = np.zeros((n, T + 20))
    for t in range(1, T + 20):
        y[:, t] = 0.5 * y[:, t - 1] + e[:, t]
    i, t = (axis.ravel() for axis in np.indices((n, T)))
    data = pd.DataFrame({"id": i, "year": t, "y": y[:, 20:].ravel()})
    est = fit(data, "y ~ L.y", gmm={"y": (2, 4)}, system=False)
    assert est.tests["ar2"].pvalue < 0.01
    assert not est.valid
    assert any("not valid: errors are serially correlated, so that lag 2" in note for note in est.notes)
    later = fit(data, "y ~ L.y", gmm={"L.y": (2, 4)}, system=False, orders=3)  # lags 3 to 5 of y
    assert later.tests["ar2"].pvalue < 0.01
    assert later.tests["ar3"].pvalue > 0.01
    assert later.valid == (later.tests["hansen"].pvalue >= 0.05)
    assert any(note.startswith("errors are serially correlated") for note in later.notes)


# --- diagnostics ------------------------------------------------------------------------------------------------------


def test_more_instruments_than_groups_are_said_to_be_too_many():
    data = simulated(1, entities=12, periods=9)
    est = fit(data, "y ~ L.y + x", gmm={"y": (2, None), "x": (1, None)})
    assert est.counts["instruments"] > 12
    text = " ".join(est.notes)
    assert "outnumber 12 groups" in text
    assert "collapse=True" in text
    assert "singular" in text
    assert not est.valid
    one = fit(data, "y ~ L.y + x", gmm={"y": (2, None), "x": (1, None)}, steps=1)
    assert "outnumber" in " ".join(one.notes)
    assert not any("singular" in note and note.startswith("not valid") for note in one.notes)


def test_bounds_of_the_lagged_coefficient():
    """Bond (2002): fixed effects below, least squares above."""
    data = simulated(2, entities=300, periods=6)
    est = fit(data, "y ~ L.y + x", gmm={"y": (2, 4), "x": (1, 3)})
    note = next(note for note in est.notes if "biased downwards and upwards" in note)
    assert "inside the range" in note
    rows = data.assign(l=data.groupby("id")["y"].shift()).dropna()
    ols = econ.fit(rows, "y ~ l + x", "pooled", **KEYS).params["l"]
    within = econ.fit(rows, "y ~ l + x", effects="entity", **KEYS).params["l"]
    assert f"{within:.4f}" in note
    assert f"{ols:.4f}" in note
    assert within < 0.5 < ols


def test_summary_has_what_xtabond2_shows(golden):
    est = fit(with_years(golden("dpd_abdata_system").data), **BENCHMARK)
    text = est.summary()
    for part in (
        "System GMM, two steps",
        "Number of instruments =         51",
        "Number of groups      =        140",
        "corrected (Windmeijer 2005)",
        "ar1: z = -2.35",
        "hansen: chi2(46) = 96.44",
        "hansen_difference_gmm_levels",
    ):
        assert part in text, part
    assert est.to_dict()["counts"] == {"groups": 140, "instruments": 51}
    assert_allclose(
        est.fitted + est.residuals,
        golden("dpd_abdata_system").data.set_index(["id", "year"])["n"].reindex(est.residuals.index),
        rtol=1e-12,
    )


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, UsageError, "expected the lags that instrument"),
        ({"gmm": {}}, UsageError, "expected the lags that instrument"),
        ({"gmm": {"y": "2"}}, UsageError, "expected the first and the last lag"),
        ({"gmm": {"y": (2, 3, 4)}}, UsageError, "expected the first and the last lag"),
        ({"gmm": {"y": (4, 2)}}, UsageError, "expected the smaller one first"),
        ({"gmm": {"y": (None, 2)}}, UsageError, "expected a whole number"),
        ({"gmm": {"nope": (2, 3)}}, MissingColumnError, "no column 'nope'"),
        ({"gmm": {"y": Instruments(2, equation="x")}}, UsageError, "no|equation 'x'"),
        ({"gmm": {"y": (2, 3)}, "iv": ["nope"]}, MissingColumnError, "no column 'nope'"),
        ({"gmm": {"y": (2, 3)}, "iv": [("x", "levels")]}, UsageError, "expected names, or pairs"),
        ({"gmm": {"y": (2, 3)}, "steps": 3}, UsageError, "steps is 3"),
        ({"gmm": {"y": (2, 3)}, "transform": "diff"}, UsageError, "transform is 'diff'"),
        ({"gmm": {"y": (2, 3)}, "h": 4}, UsageError, "h is 4"),
        ({"gmm": {"y": (2, 3)}, "orders": 0}, UsageError, "orders is 0"),
        ({"gmm": {"y": (2, 3)}, "system": 1}, UsageError, "system is 1"),
        ({"gmm": {"y": (2, 3)}, "cov": "hc3"}, UsageError, "has no covariance 'hc3'"),
        ({"gmm": {"y": (2, 3)}, "weights": "z"}, UsageError, "takes no weights"),
        (
            {"gmm": {"y": (2, 2)}, "collapse": True, "system": False},
            EstimationError,
            "1 instruments for 2 coefficients",
        ),
        ({"gmm": {"y": (40, 50)}, "system": False}, EstimationError, "all instruments are zero"),
        ({"gmm": {"zero": (1, 3)}, "system": False}, EstimationError, "all instruments are zero"),
    ],
)
def test_mistakes(options, error, says):
    data = simulated(1).assign(zero=0.0)
    with pytest.raises(error, match=says) as caught:
        fit(data, "y ~ L.y + x", **options)
    assert "\n" not in str(caught.value)


def test_too_short_panels_say_how_many_periods_are_needed():
    data = simulated(1, periods=3)
    with pytest.raises(EstimationError) as caught:
        fit(data, "y ~ L(1/2).y", gmm={"y": (2, None)}, system=False)
    assert "the panel has 3 periods" in str(caught.value)
    assert "at least 4 periods" in str(caught.value)


def test_a_gap_that_removes_every_equation():
    data = simulated(1, periods=6)
    gap = data[data["year"] % 2 == 0]
    with pytest.raises(EstimationError, match="consecutive periods"):
        fit(gap, "y ~ x", gmm={"y": (2, None)}, system=False)


def test_years_that_are_text_are_refused():
    data = simulated(1)
    with pytest.raises(UsageError, match="whole numbers"):
        fit(data.assign(year=data["year"].astype(str)), "y ~ x", gmm={"y": (2, None)})


def test_names_that_repeat_and_text_in_numbers():
    data = simulated(1)
    with pytest.raises(BadInputError):
        fit(pd.concat([data, data.head(1)]), "y ~ L.y", gmm={"y": (2, None)})
    with pytest.raises(BadInputError, match="text"):
        fit(data.assign(z=data["z"].astype(str) + "a"), "y ~ L.y", gmm={"y": (2, None)}, iv=["z"])


def test_pseudo_inverse_counts_rank_whatever_the_units():
    rng = np.random.default_rng(0)
    G = rng.normal(size=(5, 8)) * 10.0 ** np.arange(-4, 4)
    inverse, rank = dynamic.pseudo_inverse(G.T @ G)
    assert rank == 5
    S = G.T @ G
    assert_allclose(S @ inverse @ S, S, rtol=1e-6, atol=1e-9 * S.max())


# --- the formulas with loops ------------------------------------------------------------------------------------------

VARIANTS = [
    {"transform": transform, "system": system, **more}
    for transform in ("fd", "fod")
    for system in (True, False)
    for more in ({"steps": 2}, {"steps": 1, "small": "new"}, {"steps": 1, "robust": False, "small": "old", "h": 2})
] + [
    {"transform": "fd", "system": True, "steps": 1, "robust": False, "h": 1},
    {"transform": "fd", "system": True, "steps": 2, "level": True},
    {"transform": "fod", "system": True, "steps": 2, "collapse": True},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
@settings(deadline=None, max_examples=3)
@given(seed=seeds)
def test_loops_give_the_same(variant, seed):
    """`gmm_reference`, on unbalanced panels with gaps: late entry, rows alone, orthogonal deviations over gaps."""
    variant = dict(variant)
    collapse, level = variant.pop("collapse", False), variant.pop("level", False)
    data = simulated(seed, entities=60, periods=7, keep=0.85)
    codes = data["id"].factorize(sort=True)[0]
    y, x, z = (np.full((codes.max() + 1, 7), np.nan) for _ in range(3))
    for cube, name in zip((y, x, z), "yxz", strict=True):
        cube[codes, data["year"] - 1990] = data[name]
    lag = np.hstack([np.full((len(y), 1), np.nan), y[:, :-1]])
    equation = "level" if level else "both"
    wanted = reference(
        y,
        np.stack([lag, x], axis=2),
        [(y, 2, 3, collapse, "both"), (x, 1, 2, collapse, "both"), (z, 1, 2, collapse, equation)],
        [(z, "level" if level else "both", False)],
        constant=variant["system"],
        **variant,
    )
    robust, small = variant.pop("robust", True), variant.pop("small", None)
    est = fit(
        data,
        "y ~ L.y + x",
        gmm={"y": (2, 3), "x": (1, 2), "z": Instruments(1, 2, equation=equation)},
        iv=[(("z",), equation)],
        collapse=collapse,
        cov=None if robust else "classical",
        small=small is not None,
        factor=small or "new",
        **variant,
    )
    names = ["L1.y", "x", *(["Intercept"] if variant["system"] else [])]
    # sums of some thousand products, inverted twice
    assert_allclose(est.params[names], wanted["b"], rtol=1e-6)
    assert_allclose(est.std_errors[names], wanted["se"], rtol=1e-6)
    for name in ("n", "groups", "instruments"):
        assert {"n": est.nobs, **est.counts}[name] == wanted[name]
    for name in ("sargan", "hansen"):
        assert_allclose(est.tests[name].stat, wanted[name], rtol=1e-6)
        assert est.tests[name].df == (wanted[f"{name}_df"],)
    for order in (1, 2):
        assert_allclose(est.tests[f"ar{order}"].stat, wanted["ar"][order], rtol=1e-6, atol=1e-9)
    labels = {"gmm 0": "gmm_y", "gmm 1": "gmm_x", "gmm 2": "gmm_z", "iv 0": "iv", "levels": "gmm_levels"}
    for theirs, found in wanted["difference_in_hansen"].items():
        if f"hansen_difference_{labels[theirs]}" in est.tests:
            ours = est.tests[f"hansen_difference_{labels[theirs]}"]
            # a difference of two statistics that may be alike
            assert_allclose(ours.stat, found["diff"], rtol=1e-5, atol=1e-6)
            assert ours.df == (found["diff_df"],)


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path, capsys):
    path = tmp_path / "panel.csv"
    simulated(1, entities=80).to_csv(path, index=False)

    def run(name, *args):
        code = main([name, str(path), *args, "--entity", "id"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_regress_by_gmm(command):
    args = ("y ~ L.y + x", "--estimator", "gmm", "--gmm", "y:2:4", "x:1", "--iv", "z", "--small")
    code, out, err = command("regress", *args, "--json")
    assert code == 0
    est = fit(simulated(1, entities=80), "y ~ L.y + x", gmm={"y": (2, 4), "x": (1, None)}, iv=["z"], small=True)
    found = json.loads(out)[0]
    assert_allclose(found["coefficients"]["L1.y"]["coef"], est.params["L1.y"], rtol=1e-12)
    assert found["counts"] == est.counts
    assert "instruments of the transformed equation" in err
    code, out, _ = command("regress", *args)
    for part in ("Instruments", "AR(2) [p]", "Hansen J [p]"):
        assert part in out
    code, _, err = command("regress", "y ~ L.y", "--estimator", "gmm", "--gmm", "y")
    assert (code, "expected X:FIRST:LAST" in err) == (2, True)


def test_strict_refuses_what_is_not_valid(command):
    args = ("y ~ L.y + x", "--estimator", "gmm", "--gmm", "z:2:3", "x:1:2", "y:1:2")  # lag 1 of y is no instrument
    code, out, _ = command("regress", *args)
    assert (code, "NOT VALID" in out) == (0, True)
    code, out, err = command("regress", *args, "--strict")
    assert (code, "NOT VALID" in out) == (3, True)
    assert "econ: 1 of 1 estimates: not valid" in err


def test_granger_of_the_command(command, tmp_path):
    code, out, _ = command("granger", "y ~ x", "--method", "juodis")
    assert code == 0
    assert "x does not Granger-cause y" in out
    code, out, _ = command("granger", "y ~ x", "--method", "juodis", "--option", "bootstrap=99", "--json")
    assert json.loads(out)["tests"][0]["test"] == "wald_hpj"
    out_file = tmp_path / "table.csv"
    code, _, _ = command(
        "granger", "--all", "y", "x", "--method", "juodis", "hnr", "--option", "instruments=2,3", "--out", str(out_file)
    )
    assert code == 0
    assert list(pd.read_csv(out_file)["method"]) == ["juodis", "juodis", "hnr", "hnr"]
    for args, says in (
        ((), "expected either a formula"),
        (("y ~ x", "--all", "y", "x"), "expected either a formula"),
        (("y ~ x", "--method", "juodis", "hnr"), "several methods go with --all"),
        (("y ~ x", "--lags", "x"), "lags is 'x'"),
    ):
        code, _, err = command("granger", *args)
        assert (code, says in err) == (2, True), err


# --- what reviews found -----------------------------------------------------------------------------------------------


def test_continuously_updated_errors_are_those_of_its_estimates():
    """60 panels of 60 units: mean error over spread near 1, where the plain covariance of GMM has half (9 % known)."""
    estimates, errors = [], []
    for seed in range(60):
        est = fit(
            simulated(seed, entities=60, periods=7),
            "y ~ L.y + x",
            gmm={"y": (2, 3), "x": (1, 2)},
            collapse=True,
            steps="cue",
        )
        if est.valid:
            estimates.append(est.params["L1.y"])
            errors.append(est.std_errors["L1.y"])
    assert len(estimates) > 45
    assert 0.65 < np.median(errors) / np.std(estimates) < 1.5


def test_a_continuously_updated_estimate_far_away_is_not_valid(golden):
    """On Arellano and Bond's firms the least criterion lies at L1.n = -5."""
    data = golden("dpd_abdata_diff").data
    est = fit(data, **{**BENCHMARK, "system": False}, steps="cue")
    assert not est.valid
    assert any("standard errors a" in note for note in est.notes)


@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_what_does_not_change_is_dropped_once_transformed(transform):
    """In orthogonal deviations 1e-17 is left of it, which is no regressor and no instrument."""
    data = simulated(3, entities=40).assign(fixed=lambda d: d["id"].str[1:].astype(float) / 7)
    options = {"gmm": {"y": (2, 3), "x": (1, 2)}, "system": False, "collapse": True, "transform": transform}
    est = fit(data, "y ~ L.y + x + fixed", iv=["fixed"], **options)
    without = fit(data, "y ~ L.y + x", **options)
    assert any("fixed dropped: nothing is left once transformed" in note for note in est.notes)
    assert_allclose(est.params, without.params, rtol=1e-10)
    assert est.counts == without.counts


@pytest.mark.parametrize("collapse", [True, False])
def test_order_of_variables_does_not_matter_to_a_panel_var(collapse):
    data = simulated(4, entities=80, periods=8)
    rng = np.random.default_rng(0)
    data.loc[(rng.random(len(data)) < 0.06) | (data["year"] == 1997), "x"] = np.nan
    one, two = (
        econ.panel_var(data, names, instruments=(2, 3), collapse=collapse, **KEYS) for names in (["y", "x"], ["x", "y"])
    )
    assert (one.nobs, one.instruments) == (two.nobs, two.instruments)
    assert_allclose(two.params.loc[["y", "x"], one.params.columns], one.params, rtol=1e-8)
    assert_allclose(two.std_errors.loc[["y", "x"], one.params.columns], one.std_errors, rtol=1e-7)


def test_sets_have_names_of_their_own():
    data = simulated(5, entities=60)
    est = fit(
        data,
        "y ~ L.y + x",
        gmm={"y": [(2, 3), Instruments(2, 2, equation="level")], "x": (1, 2)},
        iv=[("z", "level"), ["z", "transformed"]],
        collapse=True,
    )
    names = [name.removeprefix("hansen_difference_") for name in est.tests if name.startswith("hansen_difference_")]
    assert {"gmm_y", "gmm_y_2", "gmm_x", "iv_z_level", "iv_z_transformed"} <= set(names)


def test_more_mistakes():
    data = simulated(1)
    for call, says in (
        (lambda: fit(data, "y ~ L(1/20).y", gmm={"y": (2, 3)}), "takes at least 8|has no value in any row"),
        (lambda: fit(data.assign(year=data["year"] * 5), "y ~ L.y", gmm={"y": (2, 3)}), "pass step=5"),
        (lambda: fit(data, "y ~ x", gmm={"y": (2, 3)}, cov="classical"), "cov='classical' is for one step"),
        (lambda: fit(data, "y ~ x", gmm={"y": Instruments(2, 3, collapse="no")}), "has collapse='no'"),
        (lambda: econ.panel_var(data, ["y", "x"], instruments="2", **KEYS), "instruments is '2'"),
        (lambda: econ.panel_var(data, ["y", "x"], collapse="no", **KEYS), "collapse is 'no'"),
        (lambda: econ.granger(data, "y ~ x", 1, "hnr", instruments=("a", 2), **KEYS), "has the lag 'a'"),
        (lambda: econ.granger(data, "y ~ y", 1, "juodis", **KEYS), "both cause and effect"),
        (lambda: econ.granger(data.assign(x=1.0), "x ~ y", 1, "juodis", **KEYS), "effect does not vary"),
    ):
        with pytest.raises(econ.EconError, match=says) as caught:
            call()
        assert "\n" not in str(caught.value)
