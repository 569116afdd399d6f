"""Covariances against R, Stata's ivreg2 and definitions written out: dummies, double loops, deleted clusters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import stdtr

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators.covariance import (
    KERNELS,
    beck_katz,
    bell_mccaffrey,
    bread,
    clustered,
    driscoll_kraay,
    hc,
    leverage,
    newey_west,
    sandwich,
    satterthwaite,
    semidefinite,
    two_way,
    white,
)
from econ.estimators.design import Rows
from econ.estimators.inference import KINDS, CovarianceOptions, covariance_of
from econ.estimators.within import absorb, absorbed_rank

R = 1e-8  # standard errors of R's plm, fixest, sandwich: their own rounding
R_TEST = 1e-6  # p-values, and what R computes by normal equations
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}  # the same sums in another order, on numbers near 1

CASES = {
    "static_grunfeld": ("firm", "year", "inv", ("value", "capital")),
    "static_fatalities": ("state", "year", "frate", ("beertax", "unemp", "income")),
}
EFFECTS = {"pool": (), "fe": ("entity",), "fet": ("time",), "fe2": ("entity", "time")}


def regression(data, entity, time, y, slopes, effects, clusters=()):
    """W with a constant, e and Rows of least squares on a table."""
    data = data.dropna(subset=[y, *slopes])
    codes = {"entity": pd.factorize(data[entity], sort=True)[0], "time": pd.factorize(data[time], sort=True)[0]}
    taken = [codes[effect] if effect in effects else None for effect in codes]
    X = absorb(data[list(slopes)].to_numpy(float), *taken)
    y_net = absorb(data[y].to_numpy(float), *taken)
    W = np.column_stack([np.ones(len(data)), X])
    e = y_net - X @ np.linalg.lstsq(X, y_net, rcond=None)[0]
    rows = Rows(
        names=(entity, time),
        **codes,
        tick=(data[time] - data[time].min()).to_numpy(),
        absorbed=effects,
        rank=absorbed_rank(*taken),
        clusters=tuple((name, pd.factorize(data[name])[0]) for name in clusters),
    )
    return W, e, rows


def se(found, slopes):
    return dict(zip(slopes, np.sqrt(np.diag(found.V))[-len(slopes) :], strict=True))


def close(found, expected, rtol):
    assert_allclose([found[name] for name in expected], list(expected.values()), rtol=rtol)


@pytest.fixture(params=CASES)
def case(request, golden):
    entity, time, y, slopes = CASES[request.param]
    found = golden(request.param)
    ways = {"i": (entity,), "t": (time,), "it": (entity, time), "": ()}

    def infer(effects, clusters="", **options):
        W, e, rows = regression(found.data, entity, time, y, slopes, EFFECTS[effects], ways[clusters])
        return covariance_of(W, e, rows, CovarianceOptions(**options), slopes)

    return infer, slopes, found.expected["computed"]


# --- R --------------------------------------------------------------------------------------------------------------

PLM = {
    "fe2_arellano_HC0": ("fe2", "i", {"cov": "cluster"}),
    "fe2_arellano_time_HC0": ("fe2", "t", {"cov": "cluster"}),
    "fe_arellano_HC0": ("fe", "i", {"cov": "cluster"}),
    "fe_arellano_sss": ("fe", "i", {"cov": "cluster", "ssc": "plm-sss"}),
    "fe2_white1_HC0": ("fe2", "", {"cov": "hc0"}),
    "fe2_white1_HC1": ("fe2", "", {"cov": "hc1"}),
    **{
        f"{effects}_SCC_HC0_L{lags}": (effects, "", {"cov": "driscoll-kraay", "lags": lags})
        for effects in ("fe", "fe2")
        for lags in (1, 2, 3)
    },
    "fe2_DC_HC0": ("fe2", "it", {"cov": "cluster"}),
}


@pytest.mark.parametrize("name", PLM)
def test_plm(case, name):
    infer, slopes, computed = case
    effects, clusters, options = PLM[name]
    found = infer(effects, clusters, **{"ssc": "plm", **options})
    close(se(found, slopes), computed["plm_vcov_se"][name], R)
    assert found.df_resid == computed[effects]["df_resid"]


def test_beck_katz_of_plm(golden):
    """plm's default takes entities for the independent ones, the reverse of Beck and Katz."""
    for name, (entity, time, y, slopes) in CASES.items():
        found = golden(name)
        W, e, rows = regression(found.data, entity, time, y, slopes, EFFECTS["fe2"])
        V = beck_katz(W, e, rows.time, rows.entity)
        expected = found.expected["computed"]["plm_vcov_se"]["fe2_BK_HC0"]
        assert_allclose(np.sqrt(np.diag(V)[1:]), list(expected.values()), rtol=R)


FIXEST = {
    "fe_iid": ("fe", "", {}),
    "fe2_iid": ("fe2", "", {}),
    "fe2_hetero": ("fe2", "", {"cov": "hc1"}),
    "fe_cluster_nestedFE_default": ("fe", "i", {"cov": "cluster"}),
    "fe2_cluster_default": ("fe2", "i", {"cov": "cluster"}),
    "fe2_twowaycluster_default": ("fe2", "it", {"cov": "cluster"}),
    "fe2_DK2": ("fe2", "", {"cov": "driscoll-kraay", "lags": 2}),
}


@pytest.mark.parametrize("name", FIXEST)
def test_fixest(case, name):
    infer, slopes, computed = case
    effects, clusters, options = FIXEST[name]
    found = infer(effects, clusters, ssc="fixest", **options)
    close(se(found, slopes), computed["fixest"][name]["se"], R)


def test_two_ways_count_alike_in_every_program_with_a_factor(case):
    """Both effects are nested in one of the ways, so that K is slopes and constant for all."""
    infer, slopes, computed = case
    for ssc in ("stata", "reghdfe", "ivreg2"):
        found = infer("fe2", "it", cov="cluster", ssc=ssc)
        close(se(found, slopes), computed["fixest"]["fe2_twowaycluster_default"]["se"], R)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_regression_on_dummies(case, kind):
    """sandwich on lm with all dummies: the leverage is that of the dummies too."""
    infer, slopes, computed = case
    close(se(infer("fe2", cov=kind.lower()), slopes), computed["lsdv"][f"se_{kind}"], R)


def test_cr2_on_dummies(case):
    """clubSandwich inverts cross products of dummies and raw columns, which costs it digits where units differ.

    Its numbers for Fatalities are 1.4e-7 off those of arithmetic with 50 digits, which ours equal to 1e-12; with
    income divided by 10,000 it agrees.  Its CR3 solves with the singular blocks that entity dummies leave, so that
    rounding decides; `test_cr3_deletes_one_cluster` has the definition instead.
    """
    infer, slopes, computed = case
    close(se(infer("fe2", "i", cov="cr2"), slopes), computed["lsdv"]["se_CR2"], R_TEST)


# (case, effects, clusters) -> SE by CR2, by CR3, and Satterthwaite degrees of freedom, from clubSandwich 0.5.8 on lm
# with dummies, columns rescaled; CR3 where its blocks are regular
CLUB = {
    ("static_grunfeld", "fe2", "firm"): (
        (0.0208148232743266, 0.100213954231683),
        None,
        (2.38867112030911, 1.84346038045656),
    ),
    ("static_grunfeld", "pool", "firm"): (
        (25.6074037717880536, 0.0162450777800678, 0.1104676209190507),
        (36.6965269118618878, 0.0170024834552215, 0.1553003814530483),
        (6.38609342335452, 2.34261641339276, 2.86348461882975),
    ),
    ("static_grunfeld", "fe", "year"): (
        (0.0184719078894907, 0.0355272003874200),
        (0.0209143834542247, 0.0416499686384942),
        None,
    ),
    ("static_fatalities", "fe2", "state"): (
        (0.349856084216414, 0.0132312703883693, 3.88068020409706e-05),
        None,
        (7.39508137162376, 25.71951437372986, 14.71674951126564),
    ),
    ("static_fatalities", "pool", "state"): (
        (0.118009372723802, 0.0219237249215590, 3.58335734763428e-05),
        (0.122224748629287, 0.0227500081342772, 3.71079169997663e-05),
        (4.81131968616553, 21.46175995780704, 19.51649803282342),
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", CLUB)
def test_club_sandwich(golden, which):
    name, effects, cluster = which
    entity, time, y, slopes = CASES[name]
    W, e, rows = regression(golden(name).data, entity, time, y, slopes, EFFECTS[effects], (cluster,))
    origin = np.eye(W.shape[1])  # from the constant at the mean of X to that at zero
    origin[0, 1:] = -golden(name).data[list(slopes)].mean().to_numpy()
    for expected, power in zip(CLUB[which], (0.5, 1, None), strict=True):
        if expected is None:
            continue
        last = origin[-len(expected) :]
        if power is None:
            found = satterthwaite(W, rows, rows.clusters[0][1], last)
        else:
            V = bell_mccaffrey(W, e, rows, rows.clusters[0][1], power)
            found = np.sqrt(np.diag(last @ V @ last.T))
        assert_allclose(found, expected, rtol=R)


# effects -> vcovNW HC0 with two lags, vcovSCC sss with two lags, vcovBK by time, of plm 2.6-2 on Grunfeld
PLM_MORE = {
    "pool": {
        "newey-west": (15.01964280787205830, 0.00973915501101262, 0.06282334516493519),
        "sss": (12.6783452899517393, 0.0118820123831617, 0.0498836094674857),
        "pcse": (6.78096484746500483, 0.00721243767339782, 0.02788621303522548),
    },
    "fe2": {
        "newey-west": (0.0202167082184834, 0.0573956095805205),
        "pcse": (0.0201005858062256, 0.0335076929078014),
    },
}
PLM_OPTIONS = {
    "newey-west": CovarianceOptions("newey-west", "plm", 2),
    "sss": CovarianceOptions("driscoll-kraay", "plm-sss", 2),
    "pcse": CovarianceOptions("pcse", "plm"),
}


@pytest.mark.parametrize("effects", PLM_MORE)
def test_more_of_plm(golden, effects):
    entity, time, y, slopes = CASES["static_grunfeld"]
    data = golden("static_grunfeld").data
    W, e, rows = regression(data, entity, time, y, slopes, EFFECTS[effects])
    origin = np.eye(3)
    origin[0, 1:] = -data[list(slopes)].mean().to_numpy()
    for name, expected in PLM_MORE[effects].items():
        V = covariance_of(W, e, rows, PLM_OPTIONS[name], slopes).V
        assert_allclose(np.sqrt(np.diag(origin @ V @ origin.T))[-len(expected) :], expected, rtol=R)


def test_beck_katz_of_an_unbalanced_panel(golden):
    """plm 2.6-2, vcovBK by time on Grunfeld without eight rows, entity effects."""
    entity, time, y, slopes = CASES["static_grunfeld"]
    data = golden("static_grunfeld").data.drop(index=[2, 3, 24, 59, 60, 61, 129, 198])
    W, e, rows = regression(data, entity, time, y, slopes, ("entity",))
    V = covariance_of(W, e, rows, CovarianceOptions("pcse"), slopes).V
    assert_allclose(np.sqrt(np.diag(V))[1:], [0.0180514459625918, 0.0246256060278311], rtol=R)


MODELS = {"m1": "fw", "m2": "fw + ctl", "m3": "bw", "m4": "bw + ctl", "m5": "fw + bw", "m6": "fw + bw + ctl"}
CONTROLS = ("open", "fdi", "cap", "gov", "hc", "lnint", "lninfra", "fin")
KINDS_OF_FIXEST = {"iid": ("classical", ()), "hetero": ("hc1", ()), "cluster": ("cluster", ("id",)),
                   "twoway": ("cluster", ("id", "year"))}  # fmt: skip


@pytest.mark.parametrize("ssc", ["stata", "reghdfe", "fixest"])
@pytest.mark.parametrize("model", MODELS)
def test_columns_of_table_2_on_a_simulated_panel(golden, model, ssc):
    found = golden("pipeline_simulated_20211")
    slopes = [name for term in MODELS[model].split(" + ") for name in (CONTROLS if term == "ctl" else (term,))]
    for kind, (cov, clusters) in KINDS_OF_FIXEST.items():
        W, e, rows = regression(found.data, "id", "year", "gini", slopes, EFFECTS["fe2"], clusters)
        ours = covariance_of(W, e, rows, CovarianceOptions(cov, ssc), slopes)
        expected = found.expected[model][kind]
        close(se(ours, slopes), expected["se"], R)
        t = [expected["coef"][name] / error for name, error in se(ours, slopes).items()]
        p = expected["p"] if isinstance(expected["p"], dict) else {slopes[0]: expected["p"]}
        assert_allclose(2 * stdtr(ours.df_resid, -np.abs(t)), np.ravel(list(p.values())), rtol=R_TEST)


# --- Stata's ivreg2 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "instruments", "options"),
    [
        ("bar3_overid", ("educ", "black"), {"lags": 2, "small": False}),
        ("bar3_overid_small", ("educ", "black"), {"lags": 2}),
        ("bar3_justid", ("educ",), {"lags": 2, "small": False}),
        ("par4_overid", ("educ", "black"), {"lags": 3, "kernel": "parzen", "small": False}),
        ("tru2_overid", ("educ", "black"), {"lags": 2, "kernel": "truncated", "small": False}),
    ],
)
def test_dkraay_of_ivreg2(golden, data_dir, suffix, instruments, options):
    """dkraay(3) is lags 0..2 for Bartlett, dkraay(4) lags 0..3 for Parzen, dkraay(2) lags 0..2 for truncated."""
    data = golden("iv_wagepan_dk_ivreg2").data
    folder = data_dir / "goldens" / "iv_wagepan_dk_ivreg2"
    expected = pd.read_csv(folder / f"wp_dk_coef_{suffix}.csv", index_col="term")
    slopes = ("hours", "exper", "expersq", "married", "union")
    X = np.column_stack([np.ones(len(data)), data[list(slopes)]])
    Z = np.column_stack([X[:, :1], X[:, 2:], data[list(instruments)]])
    scale = np.linalg.norm(Z, axis=0)
    W = Z / scale @ np.linalg.lstsq(Z / scale, X, rcond=None)[0]
    b = np.linalg.lstsq(W, data["lwage"].to_numpy(), rcond=None)[0]
    codes = {"entity": pd.factorize(data["nr"])[0], "time": pd.factorize(data["year"], sort=True)[0]}
    rows = Rows(("nr", "year"), **codes, tick=(data["year"] - 1980).to_numpy())
    found = covariance_of(
        W, data["lwage"].to_numpy() - X @ b, rows, CovarianceOptions("driscoll-kraay", "ivreg2", **options), slopes
    )
    order = ["_cons", *slopes]
    # rtol: the data are rounded to 8 digits
    assert_allclose(b, expected.loc[order, "estimate"], rtol=1e-6)
    assert_allclose(np.sqrt(np.diag(found.V)), expected.loc[order, "std_error"], rtol=1e-6)
    assert found.df_resid == (7 if options.get("small", True) else None)
    V = pd.read_csv(folder / f"wp_dk_vcov_{suffix}.csv").to_numpy()[:, [5, 0, 1, 2, 3, 4]][[5, 0, 1, 2, 3, 4]]
    assert_allclose(found.V, V, rtol=1e-6)


# --- by definition, on any unbalanced panel -------------------------------------------------------------------------

properties = settings(deadline=None, max_examples=25)


@st.composite
def panels(draw, weighted=True):
    """An unbalanced panel with two regressors net of effects, errors that are no residuals, weights and clusters."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    n, t = draw(st.integers(6, 9)), draw(st.integers(3, 6))
    entity, time = (axis.ravel() for axis in np.meshgrid(np.arange(n), np.arange(t), indexing="ij"))
    keep = rng.random(n * t) < 0.8
    keep[:t] = keep[:: t + 1] = keep[::t] = True  # connected: one entity is always there, one period has everyone
    order = rng.permutation(np.flatnonzero(keep))
    entity, time = entity[order], time[order]
    gaps = np.cumsum(rng.integers(1, 3, t))
    absorbed = draw(st.sampled_from(list(EFFECTS.values())))
    u = np.ones(order.size)
    weight = None
    if weighted and draw(st.booleans()):
        weight = rng.uniform(0.2, 3, order.size)
        weight *= weight.size / weight.sum()
        u = np.sqrt(weight)
    D = u[:, None] * dummies(entity, time, absorbed)
    X = u[:, None] * rng.normal(size=(order.size, 2)) * [1, 1e-6]
    W = np.column_stack([u, X - D @ np.linalg.lstsq(D, X, rcond=None)[0]])
    rows = Rows(
        names=("province", "year"),
        entity=entity,
        time=time,
        tick=(gaps - gaps[0])[time],
        absorbed=absorbed,
        rank=int(np.linalg.matrix_rank(D)),
        weight=weight,
        clusters=(("region", entity % 3), ("period", time % 2)),
    )
    return W, rng.normal(size=order.size), rows


def dummies(entity, time, absorbed):
    """(n, ...) dummies of the effects, a constant where there are none."""
    blocks = [np.eye(code.max() + 1)[code] for name, code in (("entity", entity), ("time", time)) if name in absorbed]
    return np.column_stack([*blocks, np.ones(entity.size)])


def hat_matrix(W, rows):
    """(n, n) by the definition, from all columns."""
    u = np.ones(rows.n) if rows.weight is None else np.sqrt(rows.weight)
    full = np.column_stack([u[:, None] * dummies(rows.entity, rows.time, rows.absorbed), W])
    full /= np.linalg.norm(full, axis=0)
    return full @ np.linalg.pinv(full, rcond=1e-10)


@properties
@given(panels())
def test_leverage_is_that_of_all_dummies(panel):
    W, _, rows = panel
    assert_allclose(leverage(W, rows), np.diag(hat_matrix(W, rows)), **ROUNDING)


def by_pairs(S, weight):
    """sum over all pairs of rows of weight(i, j) S_i S_j'."""
    n = len(S)
    return sum(weight(i, j) * np.outer(S[i], S[j]) for i in range(n) for j in range(n))


@properties
@given(panels(), st.integers(0, 4), st.sampled_from(sorted(KERNELS)))
def test_meats_by_double_loops(panel, lags, kernel):
    W, e, rows = panel
    S = W / np.linalg.norm(W, axis=0) * e[:, None]
    (_, first), (_, second) = rows.clusters
    entity, tick = rows.entity, rows.tick

    def fade(i, j):
        apart = abs(int(tick[i]) - int(tick[j]))
        return 1.0 if apart == 0 else float(KERNELS[kernel](np.array(apart / (lags + 1))))

    expected = [
        (white(S), lambda i, j: i == j),
        (clustered(S, first), lambda i, j: first[i] == first[j]),
        (two_way(S, first, second), lambda i, j: first[i] == first[j] or second[i] == second[j]),
        (driscoll_kraay(S, tick, lags, kernel), fade),
        (newey_west(S, entity, tick, lags, kernel), lambda i, j: (entity[i] == entity[j]) * fade(i, j)),
    ]
    for meat, weight in expected:
        assert_allclose(meat, by_pairs(S, weight), **ROUNDING)


@properties
@given(panels())
def test_beck_katz_by_double_loops(panel):
    W, e, rows = panel
    W = W / np.linalg.norm(W, axis=0)
    at = {pair: row for row, pair in enumerate(zip(rows.entity, rows.time, strict=True))}

    def weight(i, j):
        if rows.time[i] != rows.time[j]:
            return 0
        both = [(at[rows.entity[i], t], at[rows.entity[j], t]) for t in range(rows.time.max() + 1)
                if (rows.entity[i], t) in at and (rows.entity[j], t) in at]  # fmt: skip
        return np.mean([e[a] * e[b] for a, b in both])

    assert_allclose(beck_katz(W, e, rows.entity, rows.time), sandwich(W, by_pairs(W, weight)), **ROUNDING)


def without(W, rows, code, g):
    """(p - 1,) slopes' columns on the rows outside cluster g, net of effects anew, and those rows."""
    left = code != g
    u = np.ones(rows.n) if rows.weight is None else np.sqrt(rows.weight)
    D = (u[:, None] * dummies(rows.entity, rows.time, rows.absorbed))[left]
    slopes = W[left, 1:] / np.linalg.norm(W[:, 1:], axis=0)
    return slopes - D @ np.linalg.lstsq(D, slopes, rcond=1e-10)[0], left


def identified(W, rows, code):
    """Whether the slopes can be told without any one cluster; else blocks are singular in a direction of slopes."""
    nets = [without(W, rows, code, g)[0] for g in range(code.max() + 1)]
    return all(np.linalg.svd(net, compute_uv=False)[-1] > 0.05 for net in nets)


@properties
@given(panels())
def test_hc2_and_cr2_are_unbiased_under_independent_errors(panel):
    """What they are made for: over errors of variance 1 the mean of the covariance is (W'W)^-1.

    The mean of a quadratic form in e = (I - H) errors is its sum over the columns of I - H.
    """
    W, _, rows = panel
    W = W / np.linalg.norm(W, axis=0)
    residuals = np.eye(rows.n) - hat_matrix(W, rows)
    code = rows.clusters[0][1]
    slopes = slice(1, None)  # beside effects nested in the clusters, the constant has no variance between them
    exact = bread(W)[slopes, slopes]
    assume(identified(W, rows, np.arange(rows.n)) and identified(W, rows, code))
    assert_allclose(sum(hc(W, e, rows, 1) for e in residuals)[slopes, slopes], exact, **ROUNDING)
    assert_allclose(sum(bell_mccaffrey(W, e, rows, code, 0.5) for e in residuals)[slopes, slopes], exact, **ROUNDING)


@properties
@given(panels())
def test_cr3_deletes_one_cluster(panel):
    """The sum of squared changes of the slopes as each cluster is left out: Bell, McCaffrey (2002)."""
    W, y, rows = panel
    W = W / np.linalg.norm(W, axis=0)
    code = rows.clusters[0][1]
    assume(identified(W, rows, code))
    e = y - hat_matrix(W, rows) @ y
    changes = []
    for g in range(code.max() + 1):
        net, left = without(W, rows, code, g)
        changes.append(np.linalg.lstsq(net, e[left], rcond=None)[0])  # of e, so that the whole sample's slopes are 0
    V = bell_mccaffrey(W, e, rows, code, 1)[1:, 1:]
    assert_allclose(V, np.array(changes).T @ changes, rtol=1e-7)  # blocks of condition 400 at worst, squared


@properties
@given(panels())
def test_satterthwaite_from_whole_matrices(panel):
    """Twice the squared mean over the variance of the estimate, a weighted sum of chi2(1): Bell, McCaffrey (2002)."""
    W, _, rows = panel
    code = rows.clusters[0][1]
    residual = np.eye(rows.n) - hat_matrix(W, rows)
    influence = W @ bread(W)
    for j in range(1, W.shape[1]):
        columns = []
        for g in range(code.max() + 1):
            inside = code == g
            value, vector = np.linalg.eigh(residual[np.ix_(inside, inside)])
            found = value > 1e-10
            root = vector[:, found] / np.sqrt(value[found]) @ vector[:, found].T
            columns.append(residual[:, inside] @ root @ influence[inside, j])
        size = np.linalg.norm(columns)
        P = np.array(columns) @ np.array(columns).T / size**2
        assert_allclose(satterthwaite(W, rows, code)[j], np.trace(P) ** 2 / np.trace(P @ P), rtol=1e-7)  # 1 / roots


def same(V, other):
    """Equal but for rounding; entries may cancel to zero, and singular blocks cost half the digits."""
    assert_allclose(V, other, rtol=0, atol=1e-8 * np.nanmax(np.abs(other)))


ALL = [
    CovarianceOptions(cov, ssc, small=small)
    for cov in KINDS
    for ssc in ("reghdfe", "fixest", "plm")
    for small in (True, False)
]


@properties
@given(panels(), st.sampled_from(ALL), st.sampled_from([1e-7, 1e6]))
def test_units_do_not_matter(panel, options, unit):
    W, e, rows = panel
    # two ways where they are not mended, for that depends on units
    rows = replace(rows, clusters=rows.clusters[: 2 if options == CovarianceOptions("cluster", "plm") else 1])
    one = covariance_of(W, e, rows, options, ("a", "b"))
    scale = np.array([1, unit, 1])
    other = covariance_of(W * scale, 3 * e, rows, options, ("a", "b"))
    size = np.sqrt(np.diag(bread(W)))
    same(other.V * np.outer(scale, scale) / 9 / np.outer(size, size), one.V / np.outer(size, size))
    assert (one.df_resid is None) == (not options.small)
    assert one.notes == other.notes or options.cov == "cr2"


@properties
@given(panels(), st.sampled_from(ALL))
def test_order_of_rows_does_not_matter(panel, options):
    W, e, rows = panel
    rows = replace(rows, clusters=rows.clusters[:1])
    order = np.random.default_rng(0).permutation(rows.n)
    turned = replace(
        rows,
        entity=rows.entity[order],
        time=rows.time[order],
        tick=rows.tick[order],
        weight=None if rows.weight is None else rows.weight[order],
        clusters=tuple((name, code[order]) for name, code in rows.clusters),
    )
    size = np.sqrt(np.diag(bread(W)))
    one, two = (covariance_of(*regr, options, ("a", "b")).V for regr in ((W, e, rows), (W[order], e[order], turned)))
    same(two / np.outer(size, size), one / np.outer(size, size))


# --- one way in terms of another ------------------------------------------------------------------------------------


@pytest.fixture
def plain(make_panel):
    """W, e, rows of a panel with 12 provinces and 8 years, two-way effects, clusters by province."""
    return regression(make_panel(), "province", "year", "gini", ("forward", "backward"), EFFECTS["fe2"], ("province",))


SLOPES = ("forward", "backward")


def test_no_lags_are_clusters_of_periods_and_rows(plain):
    W, e, rows = plain
    S = W * e[:, None]
    assert_allclose(driscoll_kraay(S, rows.tick, 0), clustered(S, rows.time), rtol=1e-12)  # the same sums
    assert_allclose(newey_west(S, rows.entity, rows.tick, 0), white(S), rtol=1e-12)
    assert_allclose(newey_west(S, rows.entity, rows.tick, 7, "truncated"), clustered(S, rows.entity), atol=1e-14)


def test_the_meat_makes_the_covariance(plain):
    W, e, rows = plain
    for cov in ("hc1", "cluster", "driscoll-kraay", "newey-west"):
        found = covariance_of(W, e, rows, CovarianceOptions(cov), SLOPES)
        assert_allclose(found.V, found.factor * sandwich(W, found.meat(W * e[:, None])), rtol=1e-12)  # the same sums
    assert covariance_of(W, e, rows, CovarianceOptions(), SLOPES).meat is None


def test_kernels_by_hand():
    """Andrews (1991), sec. 2, at z = 1/3, 2/3 and 1; the spectral one from its series 1 - x^2 / 10 near zero."""
    z = np.array([1, 2, 3]) / 3
    assert_allclose(KERNELS["bartlett"](z), [2 / 3, 1 / 3, 0], atol=1e-15)  # exact in sixteen digits
    assert_allclose(KERNELS["parzen"](z), [1 - 6 / 9 + 6 / 27, 2 / 27, 0], atol=1e-15)
    assert_allclose(KERNELS["truncated"](z), [1, 1, 0])
    x = 6 * np.pi * 0.01 / 5
    # the next term of the series is x^4 / 280
    assert_allclose(KERNELS["quadratic-spectral"](np.array([0.01])), [1 - x**2 / 10 + x**4 / 280], atol=1e-10)


def test_gaps_count_as_periods():
    """Two rows three years apart are correlated with three lags, not with two."""
    S, entity, tick = np.ones((2, 1)), np.array([0, 0]), np.array([0, 3])
    assert newey_west(S, entity, tick, 2) == 2
    assert_allclose(newey_west(S, entity, tick, 3), 2 + 2 * (1 - 3 / 4))
    assert_allclose(driscoll_kraay(S, tick, 3), 2 + 2 * (1 - 3 / 4))
    assert newey_west(S, np.array([0, 1]), tick, 3) == 2


# --- factors and degrees of freedom ---------------------------------------------------------------------------------

N, T, ALL_K = 96, 8, 2 + 12 + 8 - 1  # rows, periods, slopes and effects of `plain`


@pytest.mark.parametrize(
    ("cov", "ssc", "factor", "df"),
    [
        ("classical", "stata", N / (N - ALL_K), N - ALL_K),
        ("hc0", "stata", 1, N - ALL_K),
        ("hc1", "stata", N / (N - ALL_K), N - ALL_K),
        ("hc1", "plm", N / (N - 2), N - ALL_K),
        ("cluster", "stata", 12 / 11 * (N - 1) / (N - 10), 11),
        ("cluster", "ivreg2", 12 / 11 * (N - 1) / (N - 10), 11),
        ("cluster", "plm", 1, N - ALL_K),
        ("cluster", "plm-sss", 12 / 11 * (N - 1) / (N - 2), N - ALL_K),
        ("cr2", "stata", 1, 11),
        ("cr3", "plm", 1, 11),
        ("driscoll-kraay", "stata", T / (T - 1) * (N - 1) / (N - 10), T - 1),  # xtscc: entities not counted
        ("driscoll-kraay", "fixest", T / (T - 1) * (N - 1) / (N - ALL_K), T - 1),
        ("driscoll-kraay", "ivreg2", T / (T - 1) * (N - 1) / (N - ALL_K), T - 1),
        ("driscoll-kraay", "plm", 1, N - ALL_K),
        ("newey-west", "ivreg2", N / (N - ALL_K), N - ALL_K),
        ("newey-west", "fixest", T / (T - 1) * (N - 1) / (N - ALL_K), T - 1),
        ("newey-west", "plm", 1, N - ALL_K),
        ("pcse", "stata", 1, N - ALL_K),
    ],
)
def test_table_of_factors(plain, cov, ssc, factor, df):
    found = covariance_of(*plain, CovarianceOptions(cov, ssc), SLOPES)
    large = covariance_of(*plain, CovarianceOptions(cov, ssc, small=False), SLOPES)
    assert_allclose(found.factor, factor, rtol=1e-14)  # one product in another order
    assert_allclose(found.V, factor * large.V, rtol=1e-12)
    assert (found.df_resid, large.df_resid, large.factor) == (df, None, 1)


@pytest.mark.parametrize(
    ("ssc", "lags"),
    [("stata", 2), ("reghdfe", 2), ("ivreg2", 2), ("fixest", 1), ("plm", 1)],  # int(4 (8/100)^(2/9)), int(8^(1/4))
)
def test_lags_as_the_program(plain, ssc, lags):
    chosen = covariance_of(*plain, CovarianceOptions("driscoll-kraay", ssc), SLOPES)
    named = covariance_of(*plain, CovarianceOptions("driscoll-kraay", ssc, lags), SLOPES)
    assert chosen.cov_type == named.cov_type == f"Driscoll-Kraay, bartlett kernel, lags 0..{lags} of year"
    assert np.array_equal(chosen.V, named.V)


def test_notes_say_what_was_done(plain):
    W, e, rows = plain
    first, few = covariance_of(W, e, rows, CovarianceOptions("cluster"), SLOPES).notes
    assert first.startswith("12 clusters in province; small-sample factor G/(G - 1) (N - 1)/(N - K) = 12/11 x 95/86 = ")
    assert few == (
        "12 clusters are few, and CR1 standard errors then tend to be too small: compare cov='cr2' or the wild cluster "
        "bootstrap (cov='wild')"
    )
    many = replace(rows, absorbed=(), rank=1, clusters=(("pair", np.arange(96) // 3),))
    assert len(covariance_of(W, e, many, CovarianceOptions("cluster"), SLOPES).notes) == 1
    cr2 = covariance_of(W, e, rows, CovarianceOptions("cr2"), SLOPES)
    assert np.isnan(cr2.df_coef).tolist() == [True, False, False]  # the constant has no variance between provinces
    assert f"forward {cr2.df_coef[1]:.3g}, backward {cr2.df_coef[2]:.3g}" in cr2.notes[1]
    dk = covariance_of(W, e, rows, CovarianceOptions("driscoll-kraay", "fixest"), SLOPES)
    assert "T/(T - 1) (N - 1)/(N - K) = 8/7 x 95/75" in dk.notes[0]
    assert dk.notes[1].startswith("8 periods are few for Driscoll-Kraay")
    two = replace(rows, clusters=(*rows.clusters, ("year", rows.time)))
    found = covariance_of(W, e, two, CovarianceOptions("cluster"), SLOPES)
    assert found.cov_type == "CR1, 12 clusters in province and 8 clusters in year"
    assert (found.clusters, found.df_resid) == (8, 7)
    assert "= 8/7 x 95/93 = " in found.notes[0]


def test_fewer_clusters_than_slopes(plain):
    W, e, rows = plain
    rows = replace(rows, clusters=(("half", rows.entity % 2),))
    notes = covariance_of(W, e, rows, CovarianceOptions("cluster"), SLOPES).notes
    assert notes[-1] == "the covariance of the 2 slopes has rank 1: no joint test of more than 1 of them"


@pytest.mark.parametrize("cov", ["cluster", "cr2", "cr3", "driscoll-kraay"])
def test_a_regressor_of_one_cluster_or_period_has_no_error(make_panel, cov):
    panel = make_panel()
    where = panel["year"] == 2003 if cov == "driscoll-kraay" else panel["province"] == "P03"
    panel["shock"] = np.where(where, np.arange(len(panel)) ** 2 % 7, 0.0)
    effects = EFFECTS["fet" if cov == "driscoll-kraay" else "fe"]
    W, e, rows = regression(panel, "province", "year", "gini", ("forward", "shock"), effects, ("province",))
    found = covariance_of(W, e, rows, CovarianceOptions(cov), ("forward", "shock"))
    assert np.isnan(found.V[2]).all()
    assert found.V[1, 1] > 0
    what = "year" if cov == "driscoll-kraay" else "cluster"
    assert f"no clustered standard error of shock: it varies in one {what} only" in found.notes


# --- where the sum of two ways is not a covariance ------------------------------------------------------------------


def indefinite():
    """Errors that cancel in every entity and in every period, so that only the third, negative term is left."""
    entity, time = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 16))
    s = absorb(rng.normal(size=16), entity, time)  # scores of x sum to zero by entity and by time
    W = np.column_stack([x, z])
    clusters = (("province", entity), ("year", time))
    return W, s / x, Rows(("province", "year"), entity, time, time, ("entity", "time"), 7, clusters=clusters)


def test_a_negative_variance_is_said_and_mended_as_the_program_does():
    W, e, rows = indefinite()
    for ssc in ("ivreg2", "plm"):
        found = covariance_of(W, e, rows, CovarianceOptions("cluster", ssc), ("x", "z"))
        assert np.isnan(found.V[0]).all()
        assert "no standard error of x: its variance is estimated below zero" in found.notes
        assert any("not positive semidefinite: tests" in note for note in found.notes)
    for ssc in ("stata", "reghdfe", "fixest"):
        found = covariance_of(W, e, rows, CovarianceOptions("cluster", ssc), ("x", "z"))
        assert np.linalg.eigvalsh(found.V).min() > -1e-12 * np.abs(found.V).max()  # rounding
        assert any("negative eigenvalues are set to 0" in note for note in found.notes)


def test_eigenvalues_below_zero_become_zero():
    V, W = np.array([[1.0, 2.0], [2.0, 1.0]]), np.eye(2)  # eigenvalues 3 and -1
    mended, was = semidefinite(V, W)
    assert_allclose(mended, [[1.5, 1.5], [1.5, 1.5]], rtol=1e-12)  # 3 times the first projector
    assert was
    kept, was = semidefinite(np.eye(2), W)
    assert np.array_equal(kept, np.eye(2))
    assert not was
    unit = np.array([1, 1e-9])  # on this scale the smaller eigenvalue would pass for rounding
    assert semidefinite(V * np.outer(unit, unit), W / unit)[1]


# --- planted truth --------------------------------------------------------------------------------------------------


def test_few_clusters_are_rejected_as_often_as_they_say():
    """A true null with ten clusters of unequal size and one regressor a cluster, at 5 per cent, in 400 draws.

    CR2 with Satterthwaite rejects between 2 and 8 per cent (three standard errors of a share about 5 per cent);
    classical errors reject more than a third.
    """
    rng = np.random.default_rng(3)
    code = np.repeat(np.arange(10), np.arange(4, 24, 2))
    n = code.size
    x = rng.normal(size=10)[code]
    W = np.column_stack([np.ones(n), x - x.mean()])
    rows = Rows(("province", "year"), code, np.arange(n), np.arange(n), clusters=(("province", code),))
    rejected = {"cr2": 0, "classical": 0}
    for _ in range(400):
        y = rng.normal(size=10)[code] + rng.normal(size=n)
        b = np.linalg.lstsq(W, y, rcond=None)[0]
        for cov in rejected:
            found = covariance_of(W, y - W @ b, rows, CovarianceOptions(cov), ("x",))
            df = found.df_resid if found.df_coef is None else found.df_coef[1]
            rejected[cov] += 2 * stdtr(df, -abs(b[1]) / np.sqrt(found.V[1, 1])) < 0.05
    assert 8 <= rejected["cr2"] <= 32
    assert rejected["classical"] > 400 / 3


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cov": "hc9"}, "no covariance 'hc9': choose among classical, hc0, hc1, hc2, hc3, cluster"),
        ({"ssc": "sas"}, "no ssc 'sas': choose among stata, reghdfe, fixest, ivreg2, plm, plm-sss"),
        ({"cov": "newey-west", "kernel": "flat"}, "no kernel 'flat': choose among bartlett, parzen"),
        ({"cov": "newey-west", "lags": -1}, "lags=-1 is no number of periods"),
        ({"cov": "newey-west", "lags": 1.5}, "lags=1.5 is no number of periods"),
        ({"cov": "newey-west", "lags": "two"}, "lags='two' is no number of periods"),
        ({"cov": "cluster", "lags": 1}, "no meaning with cov='cluster'"),
        ({"cov": "hc1", "kernel": "parzen"}, "no meaning with cov='hc1'"),
    ],
)
def test_options_are_checked(options, says):
    with pytest.raises(UsageError, match=says) as caught:
        CovarianceOptions(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "options", "error", "says"),
    [
        ({"clusters": ()}, {"cov": "cr2"}, UsageError, "cov='cr2' needs the column of the clusters"),
        ({"clusters": "it"}, {"cov": "cr3"}, UsageError, r"2 ways of clustering \(province, year\).*one at most"),
        ({"clusters": "it"}, {"cov": "cluster", "ssc": "plm-sss"}, UsageError, "one at most.*ssc='plm-sss'"),
        ({"clusters": "itt"}, {"cov": "cluster"}, UsageError, "3 ways of clustering.*two at most"),
        ({"clusters": "1"}, {"cov": "cr2"}, EstimationError, "one cluster in 'one'"),
        (
            {"clusters": "t"},
            {"cov": "cluster"},
            BadInputError,
            "rows of one province lie in several clusters of 'year'",
        ),
        ({}, {"cov": "newey-west", "lags": 8}, EstimationError, "lags=8 of year, which spans 8 periods"),
        ({"tick": np.zeros(96, int)}, {"cov": "driscoll-kraay"}, EstimationError, "spans 1 periods"),
    ],
)
def test_what_the_rows_cannot_carry_is_refused(plain, changes, options, error, says):
    W, e, rows = plain
    known = {"i": ("province", rows.entity), "t": ("year", rows.time), "1": ("one", np.zeros(96, int))}
    if "clusters" in changes:
        changes = {"clusters": tuple(known[way] for way in changes["clusters"])}
    with pytest.raises(error, match=says) as caught:
        covariance_of(W, e, replace(rows, **changes), CovarianceOptions(**options), SLOPES)
    assert "\n" not in str(caught.value)


def test_input_is_left_alone(plain):
    W, e, rows = plain
    before = W.copy(), e.copy()
    for cov in KINDS:
        covariance_of(W, e, rows, CovarianceOptions(cov), SLOPES)
    assert np.array_equal(W, before[0])
    assert np.array_equal(e, before[1])
