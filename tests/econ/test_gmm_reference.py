"""The reference of difference and system GMM gives the published and the computed numbers of the golden cases."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.econ.gmm_reference import Array, p_value, reference, transforms

COMPUTED = 1e-8  # other programs in double precision; S has a condition number of 1e8 in the worst of these cases
TESTS = 1e-6  # statistics: quadratic forms in the inverse of S lose twice the digits
# plm takes its own logs of data with three to four decimals, these are single-precision logs of the same data:
# 6e-8 of a log of up to 5 is 3e-7, and the second step magnifies it
OTHER_LOGS = 1e-5
SOURCES = {
    "diff": "dpd_abdata_diff",
    "system": "dpd_abdata_system",
    "fod": "dpd_abdata_fod",
    "hnr": "granger_hnr_abdata",
}


@pytest.fixture
def cases(golden):
    return {name: golden(case).expected for name, case in SOURCES.items()}


@pytest.fixture
def uk(golden):
    """Variables of Arellano and Bond's firms, (firm, year), and year dummies."""
    table = golden("dpd_abdata_diff").data
    calendar = np.arange(table["year"].min(), table["year"].max() + 1)
    grids = {
        name: table.pivot(index="id", columns="year", values=name).reindex(columns=calendar).to_numpy()
        for name in ("n", "w", "k", "ys")
    }
    shape = grids["n"].shape

    def years(first: int, last: int) -> list[Array]:
        return [np.broadcast_to((calendar == year) * 1.0, shape) for year in range(first, last + 1)]

    return SimpleNamespace(**grids, years=years)


def lag(values: Array, periods: int = 1) -> Array:
    """The value `periods` ago, NaN at the beginning (periods = 0: the values)."""
    found = np.full(values.shape, np.nan)
    found[:, periods:] = values[:, : values.shape[1] - periods]
    return found


def together(variables: list[Array]) -> Array:
    return np.stack(variables, axis=2)


def half_a_unit(found, printed):
    """Equal as far as it is printed; each number of `printed` has the digits of its text."""
    for value, text in zip(found, printed, strict=True):
        decimals = len(repr(text).partition(".")[2])
        # a little more than half: the printed number is itself the nearest decimal to a double
        assert abs(value - text) <= 0.5001 * 10.0**-decimals, (value, text)


def equals_computed(found, wanted, names):
    assert_allclose(found["b"], [wanted["b"][name] for name in names], rtol=COMPUTED)
    assert_allclose(found["se"], [wanted["se"][name] for name in names], rtol=COMPUTED)
    assert len(wanted["b"]) == len(names)
    counts = ("n", "groups", "instruments", "rank_s", "sargan_df", "hansen_df")
    keys = ("n", "ng", "ninst", "rankS", "sargan_df", "sargan_df")
    assert [found[name] for name in counts] == [wanted[key] for key in keys]
    for test in ("sargan", "hansen"):
        assert_allclose(found[test], wanted[test], rtol=TESTS)
        # a p-value of 1e-20 moves by as many per cent as the statistic, 190, by units
        assert_allclose(p_value(found[test], found[f"{test}_df"]), wanted[f"{test}_p"], rtol=1e-5)
    for order in (1, 2):
        assert_allclose(found["ar"][order], wanted["ar"][str(order)][0], rtol=TESTS)


def equals_difference(found, wanted):
    assert (found["excl_df"], found["diff_df"]) == (wanted["excl_df"], wanted["diff_df"])
    assert_allclose([found["excl"], found["diff"]], [wanted["excl"], wanted["diff"]], rtol=TESTS)


# ---------------------------------------------------------------------------------------------- difference GMM
AB91 = ["L1.n", "L2.n", "w", "L1.w", "k", "L1.k", "L2.k", "ys", "L1.ys", "L2.ys"]
AB91 += [f"yr{year}" for year in range(1978, 1984)]


def arellano_bond(uk, **options):
    exogenous = [uk.w, lag(uk.w), uk.k, lag(uk.k), lag(uk.k, 2), uk.ys, lag(uk.ys), lag(uk.ys, 2)]
    exogenous += uk.years(1978, 1983)
    X = together([lag(uk.n), lag(uk.n, 2), *exogenous])
    gmm = [(lag(uk.n), 1, None, False, "both")]
    return reference(uk.n, X, gmm, [(together(exogenous), "both", False)], system=False, **options)


def test_arellano_bond_one_step(uk, cases):
    case = cases["diff"]["ab91_onestep_robust"]
    found, published = arellano_bond(uk), case["published"]
    equals_computed(found, case["computed"], AB91)
    equals_difference(found["difference_in_hansen"]["iv 0"], case["computed"]["diff_in_hansen"]["iv"])
    half_a_unit(found["b"][:10], [published["b"][name] for name in AB91[:10]])
    half_a_unit(found["se"][:10], [published["se"][name] for name in AB91[:10]])
    half_a_unit([found["sargan"], found["hansen"]], [published["sargan"], published["hansen"]])
    half_a_unit(found["ar"].values(), [published["ar1"], published["ar2"]])
    half_a_unit(
        [found["difference_in_hansen"]["iv 0"][key] for key in ("excl", "diff")],
        [published["diff_in_hansen"][key] for key in ("excl", "diff")],
    )
    counts = [found[name] for name in ("n", "groups", "instruments", "hansen_df")]
    assert counts == [published[name] for name in ("n", "groups", "instruments", "df")]
    # nothing is left to test 41 instruments with when 27 of 16 coefficients go
    assert found["difference_in_hansen"]["gmm 0"]["excl_df"] == 14 - 16
    assert np.isnan(found["difference_in_hansen"]["gmm 0"]["diff"])


def test_arellano_bond_not_robust(uk, cases):
    """Stata's xtabond divides sigma2 by N - k, xtabond2 by N; the manual of xtabond prints -3.9394 and -0.54239."""
    case = cases["diff"]["ab91_onestep_nonrobust"]
    found = arellano_bond(uk, robust=False)
    assert_allclose(found["se"], [case["computed_se"][name] for name in AB91], rtol=COMPUTED)
    published = case["published"]["se"]
    stata = arellano_bond(uk, robust=False, small="new")
    half_a_unit([stata["se"][AB91.index(name)] for name in published], published.values())
    factor = np.sqrt((found["n"] - len(AB91)) / found["n"])
    half_a_unit([factor * found["ar"][1], factor * found["ar"][2]], [-3.9394, -0.54239])


def test_arellano_bond_two_steps(uk, cases):
    case = cases["diff"]["ab91_twostep_windmeijer"]
    found = arellano_bond(uk, steps=2)
    equals_computed(found, case["computed"], AB91)
    half_a_unit([found["b"][0], found["se"][0]], [case["published"][key]["L1.n"] for key in ("b", "se")])


def test_arellano_bond_two_steps_uncorrected(uk, cases):
    case = cases["diff"]["ab91_twostep_uncorrected"]
    found = arellano_bond(uk, steps=2, robust=False)
    equals_computed(found, case["computed"], AB91)
    plm = case["plm_a2"]
    assert_allclose(found["b"][:10], list(plm["coef"].values()), rtol=OTHER_LOGS)
    assert_allclose(found["se"][:10], list(plm["se"].values()), rtol=OTHER_LOGS)
    assert_allclose(found["hansen"], plm["sargan"]["stat"], rtol=OTHER_LOGS)
    assert found["hansen_df"] == plm["sargan"]["df"]
    assert_allclose(list(found["ar"].values()), [plm["m1"], plm["m2"]], rtol=OTHER_LOGS)
    b, V = found["b"][:10], found["V"][:10, :10]
    assert_allclose(b @ np.linalg.solve(V, b), plm["wald"], rtol=OTHER_LOGS)


def endogenous(uk, **options):
    strict = [uk.ys, lag(uk.ys), lag(uk.ys, 2), *uk.years(1978, 1983)]
    X = together([lag(uk.n), lag(uk.n, 2), uk.w, lag(uk.w), uk.k, lag(uk.k), lag(uk.k, 2), *strict])
    gmm = [(together([lag(uk.n), lag(uk.w), lag(uk.k)]), 1, None, False, "both")]
    return reference(uk.n, X, gmm, [(together(strict), "both", False)], system=False, **options)


def test_endogenous_regressors(uk, cases):
    case = cases["diff"]["roodman_endog_small"]
    found, published = endogenous(uk, small="new"), case["published"]
    equals_computed(found, case["computed"], AB91)
    equals_difference(found["difference_in_hansen"]["iv 0"], case["computed"]["diff_in_hansen"]["iv"])
    half_a_unit(found["b"][:4], published["b"].values())
    half_a_unit(endogenous(uk, small="old")["se"][:4], published["se_old_small_factor"].values())
    half_a_unit([found["sargan"], found["hansen"]], [published["sargan"], published["hansen"]])
    half_a_unit(found["ar"].values(), [published["ar1"], published["ar2"]])
    half_a_unit(
        [found["difference_in_hansen"]["iv 0"][key] for key in ("excl", "diff")],
        [published["diff_in_hansen"][key] for key in ("excl", "diff")],
    )
    assert (found["instruments"], found["hansen_df"]) == (published["instruments"], published["df"])


BENCHMARK = ["L1.n", "L2.n", "w", "k", "_cons"]


def benchmark(uk, collapse=False, **options):
    X = together([lag(uk.n), lag(uk.n, 2), uk.w, uk.k])
    gmm = [(uk.n, 2, 4, collapse, "both"), (uk.w, 1, 3, collapse, "both")]
    return reference(uk.n, X, gmm, [(uk.k, "both", False)], steps=2, **options)


def test_benchmark_of_differences(uk, cases):
    case = cases["system"]["pydynpd_benchmark_diff_twostep"]
    found, published = benchmark(uk, system=False), case["published"]
    equals_computed(found, case["computed"], BENCHMARK[:4])
    half_a_unit(found["b"], published["b"].values())
    half_a_unit(found["se"], published["se"].values())
    half_a_unit([found["sargan"], found["hansen"]], [published["sargan"], published["hansen"]])
    half_a_unit(found["ar"].values(), [published["ar1"], published["ar2"]])
    for name, key in {"gmm 0": "gmm_n", "gmm 1": "gmm_w", "iv 0": "iv_k"}.items():
        test = found["difference_in_hansen"][name]
        equals_difference(test, case["computed"]["diff_in_hansen"][key])
        half_a_unit([test["excl"], test["diff"]], [published["diff_in_hansen"][key][what] for what in ("excl", "diff")])


# -------------------------------------------------------------------------------------------------- system GMM
def system(uk, **options):
    years = uk.years(1977, 1983)
    X = together([lag(uk.n), uk.w, lag(uk.w), uk.k, lag(uk.k), *years])
    gmm = [(together([lag(uk.n), lag(uk.w), lag(uk.k)]), 1, None, False, "both")]
    return reference(uk.n, X, gmm, [(together(years), "level", False)], system=True, constant=True, **options)


def test_system_one_step(uk, cases):
    case = cases["system"]["roodman_system_onestep_small"]
    names = ["L1.n", "w", "L1.w", "k", "L1.k", *(f"yr{year}" for year in range(1977, 1984)), "_cons"]
    found, published = system(uk, small="new"), case["published"]
    equals_computed(found, case["computed"], names)
    half_a_unit([found["b"][names.index(name)] for name in published["b"]], published["b"].values())
    old, printed = system(uk, small="old"), published["se_old_small_factor"]
    half_a_unit([old["se"][names.index(name)] for name in printed], printed.values())
    # the paper prints 186.90 and 110.70, two decimals
    assert_allclose([found["sargan_old"], found["hansen"]], [186.90, 110.70], rtol=0, atol=0.005)
    half_a_unit(found["ar"].values(), [published["ar1"], published["ar2"]])
    counts = [found[name] for name in ("n", "groups", "instruments", "hansen_df")]
    assert counts == [published[name] for name in ("n", "groups", "instruments", "df")]
    for name, key, label in (("levels", "gmm_levels", "levels"), ("iv 0", "iv", "iv")):
        test = found["difference_in_hansen"][name]
        equals_difference(test, case["computed"]["diff_in_hansen"][key])
        printed = published[f"diff_in_hansen_{label}"]
        half_a_unit([test["excl"], test["diff"]], [printed["excl"], printed["diff"]])


def test_benchmark_of_systems(uk, cases):
    case = cases["system"]["pydynpd_benchmark_system_twostep"]
    found, published = benchmark(uk, system=True, constant=True), case["published"]
    equals_computed(found, case["computed"], BENCHMARK)
    half_a_unit(found["b"], published["b"].values())
    half_a_unit(found["se"], published["se"].values())
    half_a_unit([found["hansen"], *found["ar"].values()], [published[key] for key in ("hansen", "ar1", "ar2")])
    assert found["hansen_df"] == published["df"]


def test_collapsed_system(uk, cases):
    found = benchmark(uk, collapse=True, system=True, constant=True)
    equals_computed(found, cases["system"]["system_twostep_collapse"]["computed"], BENCHMARK)


# ------------------------------------------------------------------------------ forward orthogonal deviations
@pytest.mark.parametrize(("levels", "name"), [(True, "system"), (False, "difference")])
def test_orthogonal_deviations(uk, cases, levels, name):
    X = together([lag(uk.n), uk.w, uk.k])
    gmm = [(uk.n, 2, 5, True, "both"), (uk.w, 1, 3, True, "both")]
    iv = [(uk.k, "both", False)]
    found = reference(uk.n, X, gmm, iv, system=levels, constant=levels, steps=2, transform="fod")
    equals_computed(found, cases["fod"][name], ["L1.n", "w", "k", "_cons"][: 3 + levels])
    panelvar = cases["fod"]["panelvar_0_5_6"][f"fod_system{str(levels).upper()}"]
    # panelvar's products are of sparse matrices in another order: eight digits
    assert_allclose(found["b_onestep"], panelvar["first"][0], rtol=COMPUTED)
    assert_allclose(found["b"], panelvar["second"][0], rtol=COMPUTED)
    assert_allclose(found["se"], panelvar["se"][0], rtol=COMPUTED)
    assert_allclose(found["hansen"], panelvar["hansen"]["stat"], rtol=TESTS)
    assert (found["hansen_df"], found["instruments"]) == (panelvar["hansen"]["df"], panelvar["ninst"])


# ------------------------------------------------------------------------------------------------ Granger tests
@pytest.mark.parametrize("effects", ["individual", "twoways"])
@pytest.mark.parametrize(("steps", "text"), [(1, "onestep"), (2, "twosteps")])
def test_granger(uk, cases, effects, steps, text):
    """Year effects: any six dummies span the same six columns of differences as plm's own."""
    years = uk.years(1978, 1983) if effects == "twoways" else []
    X = together([lag(uk.n), lag(uk.n, 2), lag(uk.w), lag(uk.w, 2), *years])
    gmm = [(uk.n, 2, 4, False, "both"), (uk.w, 2, 4, False, "both")]
    iv = [(together(years), "both", False)] if years else []
    found = reference(uk.n, X, gmm, iv, system=False, steps=steps)
    wanted = cases["hnr"]["plm_2_6_6"][f"{text} {effects}"]
    assert_allclose(found["b"][:4], list(wanted["coef"].values()), rtol=COMPUTED)
    assert_allclose(found["se"][:4], list(wanted["se"].values()), rtol=COMPUTED)
    assert_allclose(list(found["ar"].values()), [wanted["m1"], wanted["m2"]], rtol=TESTS)
    b, V = found["b"][2:4], found["V"][2:4, 2:4]
    assert_allclose(b @ np.linalg.solve(V, b), wanted["wald_w"], rtol=TESTS)
    assert found["hansen_df"] == wanted["df"]
    if steps == 2:
        assert_allclose(found["hansen"], wanted["sargan"], rtol=TESTS)
    else:  # plm's is another statistic; xtabond2's is known
        half_a_unit([found["sargan"]], [68.968 if effects == "individual" else 55.62])


# --------------------------------------------------------------------------------- what no golden case decides
EXACT = 1e-9  # the same numbers by another road, of well-conditioned panels of some hundred rows


def simulated(seed: int, units: int = 60, periods: int = 7, holes: float = 0.0):
    """y with its own lag, and x that follows y's errors; NaN in a share of the cells of both."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=units)
    error = rng.normal(size=(units, periods + 20))
    x, y = np.zeros_like(error), np.zeros_like(error)
    for t in range(1, periods + 20):
        x[:, t] = 0.6 * x[:, t - 1] + 0.3 * error[:, t - 1] + 0.5 * effect + rng.normal(size=units)
        y[:, t] = 0.5 * y[:, t - 1] + x[:, t] + effect + error[:, t]
    y, x = y[:, -periods:].copy(), x[:, -periods:].copy()
    gone = rng.random(y.shape) < holes
    y[gone], x[gone] = np.nan, np.nan
    return y, x


def test_transforms_by_hand():
    """Periods 0 1 2 . 4: the gap costs differences at 3 and 4, and no deviation but its own."""
    there = [True, True, True, False, True]
    assert transforms(there, "fd") == {1: {1: 1.0, 0: -1.0}, 2: {2: 1.0, 1: -1.0}}
    found = transforms(there, "fod")
    wanted = {
        1: {0: np.sqrt(3 / 4), 1: -np.sqrt(3 / 4) / 3, 2: -np.sqrt(3 / 4) / 3, 4: -np.sqrt(3 / 4) / 3},
        2: {1: np.sqrt(2 / 3), 2: -np.sqrt(2 / 3) / 2, 4: -np.sqrt(2 / 3) / 2},
        3: {2: np.sqrt(1 / 2), 4: -np.sqrt(1 / 2)},  # stored in the gap
    }
    assert found.keys() == wanted.keys()
    for t, weights in wanted.items():
        assert found[t].keys() == weights.keys()
        assert_allclose(list(found[t].values()), list(weights.values()), rtol=1e-15)  # one or two operations


def test_rows_and_columns_by_hand():
    """Unit 0 lacks x at 2; unit 1 is whole and unit 2 has one observation; T = 4."""
    rng = np.random.default_rng(3)
    y, x, z = rng.normal(size=(3, 3, 4))
    x[0, 2] = np.nan
    x[2, 1:] = np.nan
    gmm = [(y, 2, None, False, "both")]
    iv = [(x, "both", False), (z, "level", False)]
    found = reference(y, x[:, :, None], gmm, iv, system=True, constant=True)
    assert (found["n"], found["groups"]) == (3 + 4 + 1, 3)
    transformed = [("gmm", 0, 0, "transformed", 2, 2), *(("gmm", 0, 0, "transformed", a, 3) for a in (2, 3))]
    # D.L.y at 2 and 3: y is there in all rows, also in those that are no observations
    levels = [("gmm", 0, 0, "level", 1, 2), ("gmm", 0, 0, "level", 1, 3)]
    assert set(found["columns"]) == {*transformed, *levels, ("iv", 0, 0), ("iv", 1, 0), ("constant",)}
    assert found["instruments"] == len(found["columns"]) == 8

    orthogonal = reference(y, x[:, :, None], gmm, iv, system=True, constant=True, transform="fod")
    assert (orthogonal["n"], set(orthogonal["columns"])) == (8, set(found["columns"]))
    # in differences alone: unit 0 has 1 - 0, unit 1 three, unit 2 none; FOD of unit 0: 0 and 1
    for transform, n in (("fd", 4), ("fod", 5)):
        alone = reference(y, x[:, :, None], gmm, iv[:1], system=False, transform=transform)
        assert (alone["n"], alone["groups"]) == (n, 2)


def test_missing_instruments():
    """Those of a gmm set are 0, those of an iv set cost their observation."""
    y, x = simulated(4)
    z = x.copy()
    z[5, 3] = np.nan
    X = together([lag(y), x])
    base = reference(y, X, [(y, 2, 3, False, "both")], [(x, "both", False)], system=False)
    assert reference(y, X, [(z, 2, 3, False, "both")], [(x, "both", False)], system=False)["n"] == base["n"]
    # the differences at 3 and 4, and the deviation of period 3
    for transform, lost in (("fd", 2), ("fod", 1)):
        found = reference(y, X, [(y, 2, 3, False, "both")], [(z, "both", False)], system=False, transform=transform)
        assert found["n"] == base["n"] - lost


@pytest.mark.parametrize("holes", [0.0, 0.15])
def test_two_stage_least_squares_of_levels(holes):
    """System GMM whose instruments are all of levels is two-stage least squares, clustered by unit."""
    y, x = simulated(1, holes=holes)
    X = together([lag(y), x])
    iv = [(together([lag(x), lag(x, 2), x]), "level", False)]
    found = reference(y, X, [], iv, system=True, constant=True, h=2)
    Z = together([lag(x), lag(x, 2), x])
    keep = ~(np.isnan(y) | np.isnan(X).any(axis=2) | np.isnan(Z).any(axis=2))
    unit = np.nonzero(keep)[0]
    ones = np.ones((unit.size, 1))
    Xs, Zs = np.hstack([X[keep], ones]), np.hstack([Z[keep], ones])
    fitted = Zs @ np.linalg.lstsq(Zs, Xs, rcond=None)[0]
    b = np.linalg.lstsq(fitted, y[keep], rcond=None)[0]
    assert_allclose(found["b"], b, rtol=EXACT)
    scores = fitted * (y[keep] - Xs @ b)[:, None]
    sums = np.array([scores[unit == i].sum(axis=0) for i in np.unique(unit)])
    bread = np.linalg.inv(fitted.T @ fitted)
    assert_allclose(found["V"], bread @ sums.T @ sums @ bread, rtol=EXACT)
    assert (found["n"], found["groups"]) == (keep.sum(), np.unique(unit).size)


@pytest.mark.parametrize("passthru", [False, True])
@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_least_squares_of_transforms(passthru, transform):
    """A regressor that is its own iv: least squares of what is transformed; without holes, FOD gives the within one."""
    y, x = simulated(2)
    found = reference(y, x[:, :, None], [], [(x, "both", passthru)], system=False, h=1, transform=transform)
    if transform == "fd":
        dx, dy = np.diff(x), np.diff(y)
        z = x[:, 1:] if passthru else dx
        assert_allclose(found["b"], [(z * dy).sum() / (z * dx).sum()], rtol=EXACT)
    elif not passthru:
        within_x, within_y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
        assert_allclose(found["b"], [(within_x * within_y).sum() / (within_x**2).sum()], rtol=EXACT)
    else:  # the level of the period of storage, one after the one deviated
        later = [[values[:, t + 1 :].mean(axis=1) for t in range(6)] for values in (x, y)]
        scale = np.sqrt(np.arange(6, 0, -1) / np.arange(7, 1, -1))
        dx, dy = ((values[:, :6] - np.array(m).T) * scale for values, m in zip((x, y), later, strict=True))
        assert_allclose(found["b"], [(x[:, 1:] * dy).sum() / (x[:, 1:] * dx).sum()], rtol=EXACT)


def test_both_transforms_agree_without_holes():
    """Arellano and Bover: all lags as instruments and the optimal one-step weights, then the transform is no matter."""
    y, x = simulated(5)
    X = together([lag(y), x])
    gmm = [(lag(y), 1, None, False, "both"), (x, 1, None, False, "both")]
    one, other = (reference(y, X, gmm, system=False, transform=transform) for transform in ("fd", "fod"))
    assert_allclose(one["b"], other["b"], rtol=EXACT)
    assert_allclose(one["V"], other["V"], rtol=EXACT)
    assert one["n"] == other["n"]


@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_weights_are_no_matter_for_exact_identification(transform):
    y, x = simulated(6, holes=0.1)
    X = together([lag(y), x])
    options = {"gmm": [(y, 2, 2, True, "transformed")], "iv": [(x, "both", False)], "system": False}
    found = [reference(y, X, transform=transform, h=h, steps=steps, **options) for h in (1, 2, 3) for steps in (1, 2)]
    for one in found:
        assert_allclose(one["b"], found[0]["b"], rtol=EXACT)
        assert_allclose(one["V"], found[0]["V"], rtol=EXACT)  # Windmeijer's too: nothing moves with the weights
        assert one["hansen_df"] == 0
        # a quadratic form in moments that are rounding only
        assert_allclose(one["hansen"], 0, atol=1e-15)


@pytest.mark.parametrize("transform", ["fd", "fod"])
@pytest.mark.parametrize("steps", [1, 2])
def test_order_and_units(transform, steps):
    """The order of the firms and the units of y do not matter.  (Its origin does: what is missing is 0.)"""
    y, x = simulated(7, holes=0.1)
    options = {"system": True, "constant": True, "transform": transform, "steps": steps}

    def fit(y, x):
        gmm = [(y, 2, 3, True, "both"), (x, 1, 2, True, "both")]
        return reference(y, together([lag(y), x]), gmm, **options)

    found = fit(y, x)
    order = np.random.default_rng(0).permutation(len(y))
    again, scaled = fit(y[order], x[order]), fit(100 * y, x)
    ratio = np.array([1, 100, 100])
    for other, factor in ((again, 1), (scaled, ratio)):
        assert_allclose(other["b"], factor * found["b"], rtol=EXACT)
        assert_allclose(other["se"], factor * found["se"], rtol=EXACT)
        assert_allclose([other["hansen"], other["sargan"]], [found["hansen"], found["sargan"]], rtol=EXACT)
        assert_allclose(list(other["ar"].values()), list(found["ar"].values()), rtol=EXACT)


def test_fewer_units_than_instruments():
    y, x = simulated(8, units=9)
    found = reference(y, together([lag(y), x]), [(y, 2, None, False, "both")], [(x, "both", False)], system=True)
    assert found["rank_s"] <= found["groups"] == 9 < found["rank"] == found["instruments"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"constant": True}, "constant=False"),
        ({"h": 4}, "h=4"),
        ({"steps": 3}, "steps=3"),
        ({"iv": []}, "Z'X has rank 1 of 2"),
    ],
)
def test_mistakes(options, text):
    y, x = simulated(9)
    wanted = {"gmm": [(y, 2, 2, True, "both")], "iv": [(x, "both", False)], "system": False}
    with pytest.raises(ValueError, match=text):
        reference(y, together([lag(y), x]), **(wanted | options))


def test_a_dummy_too_many(uk):
    """A dummy too many among the instruments: one more column, the same rank and the same numbers."""
    found = system(uk)
    years = uk.years(1977, 1984)
    X = together([lag(uk.n), uk.w, lag(uk.w), uk.k, lag(uk.k), *years[:-1]])
    gmm = [(together([lag(uk.n), lag(uk.w), lag(uk.k)]), 1, None, False, "both")]
    more = reference(uk.n, X, gmm, [(together(years), "level", False)], system=True, constant=True)
    assert (more["instruments"], more["rank"], more["rank_s"]) == (114, 113, 113)
    # generalised inverses of a matrix whose condition number is 1e8
    assert_allclose(more["b"], found["b"], rtol=1e-6)
    assert_allclose([more["sargan"], more["hansen"]], [found["sargan"], found["hansen"]], rtol=TESTS)
