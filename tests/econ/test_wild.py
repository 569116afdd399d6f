"""The wild cluster bootstrap against enumerations by hand, with dummies written out and every draw estimated anew."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators import wild
from econ.estimators.covariance import cluster_factor
from econ.estimators.wild import WEIGHTS, wild_bootstrap, wild_bootstrap_iv

PVALUES = ("pvalue", "pvalue_strict", "pvalue_ties_half", "pvalue_equal_tail")
properties = settings(deadline=None, max_examples=15)


# --- golden ---------------------------------------------------------------------------------------------------------

GRUNFELD = [
    *((effects, name, kind) for effects in ("pooled", "fe2") for name in ("value", "capital") for kind in ["WCR"]),
    *(("fe2", name, "WCU") for name in ("value", "capital")),
]


@pytest.mark.parametrize(("effects", "name", "kind"), GRUNFELD)
def test_grunfeld(golden, effects, name, kind):
    """All 2^10 sign vectors of the ten firms, by brute force; p-values are counts, so they agree exactly."""
    case = golden("wcb_grunfeld")
    expected = case.expected[f"grunfeld_{effects}_{name}_{kind}"]
    firm, year = (pd.factorize(case.data[key])[0] for key in ("firm", "year"))
    X, codes, K = case.data[["value", "capital"]].to_numpy(), {}, 3
    if effects == "fe2":
        codes, K = {"entity": firm, "time": year}, 2 + 10 + 20 - 1
    j, restricted = ["value", "capital"].index(name), kind == "WCR"
    for ending, factor in (("noss", 1.0), ("stata", cluster_factor(200, 10, K))):
        found = wild_bootstrap(case.data["inv"], X, firm, j, restricted=restricted, factor=factor, **codes)
        # rtol: both sides are sums of 200 products in double precision
        assert_allclose(found.estimate, expected["b"], rtol=1e-12)
        assert_allclose(found.std_error, expected[f"se_{ending}"], rtol=1e-12)
        assert_allclose(found.t, expected[f"t_{ending}"], rtol=1e-12)
        counted = [expected[p] for p in ("p_weak", "p_strict", "p_sym_ties_half", "p_equal_tail")]
        assert [getattr(found, p) for p in PVALUES] == counted
        assert (found.clusters, found.draws, found.enumerated) == (expected["G"], expected["draws"], True)


def test_wildboottest_lies_between_strict_and_weak(golden):
    case = golden("wcb_grunfeld")
    firm, year = (pd.factorize(case.data[key])[0] for key in ("firm", "year"))
    X = case.data[["value", "capital"]].to_numpy()
    for effects, codes in (("pooled", {}), ("fe2", {"entity": firm, "time": year})):
        for j, name in enumerate(("value", "capital")):
            found = wild_bootstrap(case.data["inv"], X, firm, j, **codes)
            printed = case.expected["wildboottest_0_3_2"][f"{effects}_{name}"]
            # six decimals in print
            assert found.pvalue_strict - 5e-7 <= printed <= found.pvalue + 5e-7


# --- by hand --------------------------------------------------------------------------------------------------------


def small_panel(seed, entities=6, periods=5, keep=0.8, groups=5):
    """Rows of an unbalanced panel; clusters are groups of entities, `mixed` ones are not."""
    rng = np.random.default_rng(seed)
    entity, time = (axis.ravel() for axis in np.meshgrid(np.arange(entities), np.arange(periods), indexing="ij"))
    stays = rng.random(entity.size) < keep
    entity, time = (np.unique(code[stays], return_inverse=True)[1] for code in (entity, time))
    n = entity.size
    X = rng.normal(size=(n, 2)) + 0.5 * rng.normal(size=6)[entity][:, None]
    y = X @ [0.3, -0.2] + rng.normal(size=6)[entity] + rng.normal(size=5)[time] + rng.normal(size=n)
    Z = rng.normal(size=(n, 3))
    return {
        "y": y,
        "X": X,
        "Z": Z,
        "entity": entity,
        "time": time,
        "mixed": np.unique(rng.integers(0, groups, n), return_inverse=True)[1],
        "region": entity // 2,
        "noise": rng.normal(size=n),
    }


def dummies(panel, effects):
    blocks = [np.ones((panel["y"].size, 1))]
    return np.column_stack(blocks + [np.eye(panel[key].max() + 1)[panel[key]] for key in effects])


def signs(groups):
    return np.array(np.meshgrid(*[[1.0, -1.0]] * groups)).reshape(groups, -1).T


def sums(values, code):
    return np.array([values[code == g].sum(axis=0) for g in range(code.max() + 1)])


def statistic(coefs, null, R, rows, e, cluster):
    """t of one restriction, Wald of several; rows (q, n) are those of R (W'W)^-1 W'."""
    scores = sums((rows * e).T, cluster)
    V = scores.T @ scores
    if len(R) == 1:
        # 1e-24: a variance that is zero but for rounding, where all numbers are near one
        return (R @ coefs - null)[0] / np.sqrt(V[0, 0]) if V[0, 0] > 1e-24 else np.inf
    return (R @ coefs - null) @ np.linalg.solve(V, R @ coefs - null)


def by_hand(panel, effects, cluster, group, R, null, w, restricted):
    """The statistic and its draws: least squares on dummies written out for every row of w."""
    X, y, D = panel["X"], panel["y"], dummies(panel, effects)
    R, null = np.atleast_2d(R), np.atleast_1d(null)
    W = np.column_stack([X, D])
    inverse = np.linalg.pinv(W)
    pick = np.column_stack([R, np.zeros((len(R), D.shape[1]))])
    coefs = inverse @ y
    t = statistic(coefs, null, pick, pick @ inverse, y - W @ coefs, cluster)
    center = coefs
    if restricted:  # the multiplier of least squares under R beta = r
        bread = inverse @ inverse.T
        center = coefs - bread @ pick.T @ np.linalg.solve(pick @ bread @ pick.T, pick @ coefs - null)
    fitted = W @ center
    stars = []
    for weight in w:
        y_star = fitted + weight[group] * (y - fitted)
        coefs = inverse @ y_star
        stars.append(statistic(coefs, pick @ center, pick, pick @ inverse, y_star - W @ coefs, cluster))
    return t, np.array(stars)


def counted(t, stars, tie=1e-7):
    """p-values by the definition; exact ties are a thousand times closer than `tie`, other draws farther off."""
    weak, strict = (np.mean(np.abs(stars) >= abs(t) * (1 - tie)), np.mean(np.abs(stars) > abs(t) * (1 + tie)))
    tails = np.mean(stars >= t - tie * abs(t)), np.mean(stars <= t + tie * abs(t))
    return [weak, strict, (weak + strict) / 2, min(1, 2 * min(tails))]


EFFECTS = st.sampled_from([(), ("entity",), ("time",), ("entity", "time")])


@properties
@given(
    seed=st.integers(0, 10_000),
    effects=EFFECTS,
    by=st.sampled_from(["mixed", "region"]),
    finer=st.booleans(),
    restricted=st.booleans(),
    null=st.sampled_from([0.0, 0.3]),
)
def test_every_draw_by_hand(seed, effects, by, finer, restricted, null):
    panel = small_panel(seed)
    cluster = panel[by]
    assume(cluster.max() > 0)
    group = panel["entity"] if finer else cluster
    found = wild_bootstrap(
        panel["y"],
        panel["X"],
        cluster,
        0,
        null,
        draw_by=group if finer else None,
        restricted=restricted,
        **{key: panel[key] for key in effects},
    )
    t, stars = by_hand(panel, effects, cluster, group, [1, 0], null, signs(group.max() + 1), restricted)
    assert_allclose(found.t, t, rtol=1e-9)  # pseudo-inverses of dummies against projections
    assert [getattr(found, p) for p in PVALUES] == counted(t, stars)
    assert found.draws == len(stars)


@properties
@given(seed=st.integers(0, 10_000), effects=EFFECTS, restricted=st.booleans())
def test_interval_holds_what_is_not_rejected(seed, effects, restricted):
    """p of the nulls just inside both ends is above 1 - level, just outside it is not."""
    panel = small_panel(seed, groups=6)
    cluster, level = panel["mixed"], 0.8
    codes = {key: panel[key] for key in effects}
    found = wild_bootstrap(panel["y"], panel["X"], cluster, 0, restricted=restricted, level=level, **codes)
    w = signs(cluster.max() + 1)
    assert found.interval[0] < found.estimate < found.interval[1]
    for end in found.interval:
        if np.isinf(end):
            continue
        # 1e-6 of the distance: far above the bisection's 1e-12 and what TIE adds, far below the spacing of the draws
        for inside in (True, False):
            null = end + (found.estimate - end) * 1e-6 * (1 if inside else -1)
            t, stars = by_hand(panel, effects, cluster, cluster, [1, 0], null, w, restricted)
            assert (counted(t, stars, tie=1e-10)[0] > 1 - level) == inside


@properties
@given(seed=st.integers(0, 10_000), effects=EFFECTS, restricted=st.booleans(), scale=st.sampled_from([1.0, 1e6]))
def test_joint_test_by_hand(seed, effects, restricted, scale):
    panel = small_panel(seed, groups=6)
    cluster = panel["mixed"]
    R, null = np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([0.2, 0.1])
    units = np.array([1.0, scale])
    found = wild_bootstrap(
        panel["y"],
        panel["X"] * units,
        cluster,
        R * units,
        null,
        restricted=restricted,
        factor=2.0,
        **{key: panel[key] for key in effects},
    )
    wald, stars = by_hand(panel, effects, cluster, cluster, R, null, signs(cluster.max() + 1), restricted)
    assert_allclose(found.wald, wald / 2, rtol=1e-8)  # covariances of 2 x 2 inverted on both sides
    assert [getattr(found, p) for p in PVALUES[:3]] == counted(wald, stars)[:3]
    assert (found.t, found.interval, found.pvalue_equal_tail) == (None, None, None)


def test_joint_test_of_one_restriction_is_the_square_of_t():
    panel = small_panel(3)
    one = wild_bootstrap(panel["y"], panel["X"], panel["mixed"], [0.0, 1.0], 0.1)
    assert_allclose(one.wald, one.t**2, rtol=1e-14)  # one rounding


@pytest.mark.parametrize("weights", WEIGHTS)
def test_random_draws_by_hand(weights):
    panel = small_panel(11, groups=4)
    cluster, rows = panel["mixed"], np.arange(panel["y"].size)
    codes = {"entity": panel["entity"], "time": panel["time"]}
    for group in (cluster, rows) if weights != "rademacher" else (rows,):
        found = wild_bootstrap(
            panel["y"], panel["X"], cluster, 1, draw_by=group, weights=weights, draws=300, seed=5, **codes
        )
        w = next(wild._Plan(group, weights, 300, 5, False).blocks(300))
        t, stars = by_hand(panel, tuple(codes), cluster, group, [0, 1], 0.0, w, True)
        assert [getattr(found, p) for p in PVALUES] == counted(t, stars)
        assert (found.enumerated, found.draws, found.weights) == (False, 300, weights)
        assert found.note.startswith(f"300 draws of {weights} weights for {group.max() + 1} groups, seed 5")


# --- instruments ----------------------------------------------------------------------------------------------------


def instrumented(seed, endogenous):
    panel = small_panel(seed, keep=0.9)
    rng = np.random.default_rng(seed + 1)
    panel["Y"] = panel["Z"] @ rng.normal(size=(3, endogenous)) + panel["noise"][:, None] + panel["X"][:, :1]
    panel["y"] = panel["y"] + panel["Y"] @ np.full(endogenous, 0.4) + panel["noise"]
    return panel


def iv_by_hand(panel, effects, cluster, null, w):
    """Davidson and MacKinnon (2010), sec. 3: 2SLS with exogenous regressors and dummies written out."""
    y, Y, X, Z = (panel[key] for key in "yYXZ")
    exogenous = np.column_stack([X, dummies(panel, effects)])
    instruments = np.column_stack([Z, exogenous])
    P = instruments @ np.linalg.pinv(instruments)

    def tsls(y, Y):
        W = np.column_stack([Y, exogenous])
        inverse = np.linalg.pinv(P @ W)
        coefs = inverse @ y
        return coefs, inverse, y - W @ coefs

    def t_of(y, Y):
        coefs, inverse, e = tsls(y, Y)
        return (coefs[0] - null) / np.linalg.norm(sums(inverse[0] * e, cluster))

    rest, _, u = tsls(y - null * Y[:, 0], Y[:, 1:])
    W = np.column_stack([instruments, u])
    coefs = np.linalg.pinv(W) @ Y
    U = Y - instruments @ coefs[:-1]
    stars = []
    for weight in w:
        Y_star = Y - U + weight[cluster][:, None] * U
        # what exogenous columns add to y is fitted exactly, so it may be left out
        y_star = null * Y_star[:, 0] + Y_star[:, 1:] @ rest[: Y.shape[1] - 1] + weight[cluster] * u
        stars.append(t_of(y_star, Y_star))
    return t_of(y, Y), np.array(stars)


@properties
@given(
    seed=st.integers(0, 10_000),
    endogenous=st.sampled_from([1, 2]),
    effects=EFFECTS,
    null=st.sampled_from([0.0, 0.4]),
)
def test_instruments_by_hand(seed, endogenous, effects, null):
    panel = instrumented(seed, endogenous)
    cluster = panel["mixed"]
    found = wild_bootstrap_iv(
        *(panel[key] for key in "yYXZ"), cluster, 0, null, factor=4.0, **{key: panel[key] for key in effects}
    )
    t, stars = iv_by_hand(panel, effects, cluster, null, signs(cluster.max() + 1))
    assert_allclose(found.t, t / 2, rtol=1e-8)  # projections on dummies lose digits where instruments are weak
    assert [getattr(found, p) for p in PVALUES] == counted(t, stars, tie=1e-6)
    assert found.interval is None
    assert f"p cannot be below 1/{found.draws:,}" in found.note


def test_regressors_as_their_own_instruments_give_least_squares():
    panel = small_panel(2)
    codes = {"entity": panel["entity"]}
    args = panel["X"][:, :0], panel["X"], panel["mixed"], 1
    iv = wild_bootstrap_iv(panel["y"], panel["X"], *args, **codes)
    ls = wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 1, **codes)
    assert_allclose([iv.estimate, iv.std_error, iv.t], [ls.estimate, ls.std_error, ls.t], rtol=1e-10)  # rounding


# --- what holds for any panel ---------------------------------------------------------------------------------------


@properties
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-6, -1e5]))
def test_rows_labels_and_units_do_not_matter(seed, scale):
    panel = small_panel(seed)
    order = np.random.default_rng(seed).permutation(panel["y"].size)
    one = wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0, entity=panel["entity"], time=panel["time"])
    two = wild_bootstrap(
        scale * panel["y"][order],
        panel["X"][order] * [-1e4, 1e-4],
        np.array(["e", "b", "a", "d", "c"])[panel["mixed"]][order],
        0,
        entity=panel["entity"].max() - panel["entity"][order],
        time=panel["time"][order],
    )
    assert [getattr(one, p) for p in PVALUES[:3]] == [getattr(two, p) for p in PVALUES[:3]]
    assert one.pvalue_equal_tail == two.pvalue_equal_tail  # tails change places, the smaller one stays
    factor = scale / -1e4
    assert_allclose(two.estimate, one.estimate * factor, rtol=1e-8)  # columns of 1e4 and 1e-4 side by side
    assert_allclose(sorted(two.interval), sorted(end * factor for end in one.interval), rtol=1e-8)


def test_draws_depend_on_the_seed_alone(monkeypatch):
    panel = small_panel(1)
    rows = np.arange(panel["y"].size)

    def run(seed=7):
        return wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0, draw_by=rows, draws=500, seed=seed)

    one = run()
    assert run() == one
    assert run(seed=8).pvalue != one.pvalue
    # blocks of one draw, of a few, and of all at once
    for cells in (1, 1000, 1 << 30):
        monkeypatch.setattr(wild, "CELLS", cells)
        other = run()
        assert [getattr(other, p) for p in PVALUES] == [getattr(one, p) for p in PVALUES]
        assert_allclose(other.interval, one.interval, rtol=1e-9)  # products of matrices of other shapes round otherwise


@pytest.mark.parametrize(("weights", "third", "fourth"), [("rademacher", 0, 1), ("webb", 0, 7 / 6), ("mammen", 1, 2)])
def test_moments_of_the_weights(weights, third, fourth):
    """Webb (2023), table 1: mean 0, variance 1; the third moment is one for Mammen's."""
    points, chances = (np.array(column) for column in WEIGHTS[weights])
    # rounding
    assert_allclose([chances @ points**k for k in range(5)], [1, 0, 1, third, fourth], atol=1e-14)
    drawn = next(wild._Plan(np.arange(20), weights, 10_000, 3, False).blocks(10_000))
    assert set(np.unique(drawn)) == set(points.astype(float))
    for point, chance in zip(points, chances, strict=True):
        # five standard deviations of a share of 200,000 draws
        assert abs((drawn == point).mean() - chance) < 5 * np.sqrt(chance * (1 - chance) / drawn.size)


def test_size_with_few_clusters():
    """Eight unequal clusters and a regressor of clusters; p <= 0.1 means at most 24 of 256 draws, 9.4 % of them.

    The normal law rejects far too often here, which is what the bootstrap is for.
    """
    rng = np.random.default_rng(20)
    cluster = np.repeat(np.arange(8), [4, 5, 6, 7, 8, 9, 10, 11])
    panels, wilds, normals = 400, 0, 0
    for _ in range(panels):
        x = rng.normal(size=8)[cluster] + 0.5 * rng.normal(size=cluster.size)
        y = rng.normal(size=8)[cluster] + rng.normal(size=cluster.size)
        found = wild_bootstrap(y, x[:, None], cluster, 0, factor=8 / 7)
        wilds += found.pvalue <= 0.1
        normals += abs(found.t) > 1.645
    band = 4 * np.sqrt(0.094 * 0.906 / panels)  # four standard deviations of a share of 400
    assert abs(wilds / panels - 0.094) < band
    assert normals / panels > 0.094 + band


def test_a_false_null_is_rejected():
    panel = small_panel(6, entities=6, periods=5, keep=1, groups=12)
    panel["y"] = panel["y"] + 5 * panel["X"][:, 0]
    found = wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0, entity=panel["entity"])
    assert found.pvalue < 0.01


def test_inputs_are_left_alone():
    panel = instrumented(4, 1)
    before = {key: value.copy() for key, value in panel.items()}
    codes = {"entity": panel["entity"], "time": panel["time"]}
    wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0, **codes)
    wild_bootstrap_iv(*(panel[key] for key in "yYXZ"), panel["mixed"], 0, **codes)
    for key, value in panel.items():
        assert np.array_equal(value, before[key])


# --- few clusters, and what the note says ---------------------------------------------------------------------------


def test_five_clusters_cannot_reject_at_five_percent():
    """2/32 is the least p that there is, so no null is rejected at 5 % and every one is in the interval."""
    panel = small_panel(8)
    wide = wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0)
    assert wide.interval == (-np.inf, np.inf)
    assert wide.note == "2^5 = 32 sign vectors enumerated; p cannot be below 2/32; 5 groups give p few values"
    assert np.isfinite(wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0, level=0.9).interval).all()
    free = wild_bootstrap(panel["y"], panel["X"], panel["mixed"], 0, restricted=False)
    assert "cannot" not in free.note


def test_a_null_with_p_of_one_minus_level_is_rejected():
    """Of ten draws that do not depend on the null, p > 0.1 up to the second largest |t*|; 1 - 0.9 is not quite 0.1."""
    panel = small_panel(8)
    cluster = panel["mixed"]
    found = wild_bootstrap(panel["y"], panel["X"], cluster, 0, restricted=False, weights="webb", draws=10, level=0.9)
    w = next(wild._Plan(cluster, "webb", 10, 0, False).blocks(10))
    _, stars = by_hand(panel, (), cluster, cluster, [1, 0], 0.0, w, False)
    reach = np.sort(np.abs(stars))[-2] * found.std_error
    # rtol: TIE widens what counts as equal by 1e-9
    assert_allclose(found.interval, [found.estimate - reach, found.estimate + reach], rtol=1e-7)


def test_weights_by_the_number_of_groups():
    panel = small_panel(9, groups=60)
    twelve, many = panel["mixed"] % 12, panel["mixed"] % 13
    assert asdict(wild_bootstrap(panel["y"], panel["X"], twelve, 0, draws=5))["draws"] == 4096
    drawn = wild_bootstrap(panel["y"], panel["X"], many, 0, draws=5)
    assert (drawn.draws, drawn.weights, drawn.enumerated) == (5, "webb", False)


def test_a_draw_without_standard_error_counts_as_extreme():
    """Two clusters share one regressor: where their weights differ, every score of the draw is zero."""
    x = np.tile([-1.0, 0.0, 1.0], 2)
    y = np.array([0.0, 2.0, 1.0, 3.0, 1.0, 9.0])
    cluster = np.repeat([0, 1], 3)
    found = wild_bootstrap(y, x[:, None], cluster, 0, entity=cluster, restricted=False)
    assert found.pvalue == found.pvalue_strict == 0.5
    assert "2 draws without a standard error count as extreme" in found.note


# --- bad input ------------------------------------------------------------------------------------------------------

BAD = [
    ({"cluster": np.zeros(6, int)}, EstimationError, "all 6 rows are in one group of cluster"),
    ({"draw_by": np.zeros(6, int)}, EstimationError, "all 6 rows are in one group of draw_by"),
    ({"cluster": np.arange(5)}, UsageError, r"cluster has the shape \(5,\): expected one label for each of 6 rows"),
    ({"weights": "gauss"}, UsageError, "no weights 'gauss': choose among rademacher, webb, mammen"),
    ({"draws": 0}, UsageError, "draws is 0: expected a whole number >= 1"),
    ({"draws": 9.5}, UsageError, "draws is 9.5"),
    ({"seed": -1}, UsageError, "seed is -1"),
    ({"level": 95}, UsageError, "level is 95: expected a number between 0 and 1"),
    ({"R": 2}, UsageError, "coefficient 2 of 2: expected 0 to 1"),
    ({"R": [1.0, 0.0, 0.0]}, UsageError, r"shapes \(1, 3\) and \(1,\): expected \(q, 2\)"),
    ({"R": np.eye(2), "null": [0.0] * 3}, UsageError, r"shapes \(2, 2\) and \(3,\)"),
    ({"R": [[1.0, 2.0], [2.0, 4.0]]}, UsageError, "R has 2 rows that are not independent"),
    ({"R": [0.0, 0.0]}, UsageError, "R has 1 rows that are not independent"),
    ({"R": np.eye(2), "cluster": np.arange(6) % 2}, EstimationError, "of 2 restrictions is singular with 2 clusters"),
    ({"y": np.arange(6) * np.nan}, BadInputError, "y has values that are not finite"),
    ({"y": np.ones(6)}, EstimationError, "reproduce y exactly"),
    ({"X": np.ones((6, 2))}, EstimationError, r"columns \[0, 1\] of the regressors are collinear"),
    ({"X": np.eye(6)[:, :2] + np.eye(6)[:, :1]}, EstimationError, "varies in one cluster only"),
]


@pytest.mark.parametrize(("change", "error", "says"), BAD)
def test_bad_input_is_one_sentence(change, error, says):
    rng = np.random.default_rng(0)
    call = {"y": rng.normal(size=6), "X": rng.normal(size=(6, 2)), "cluster": np.arange(6) % 3, "R": 0}
    if "varies" in says:
        call["entity"] = call["cluster"]
    with pytest.raises(error, match=says) as caught:
        wild_bootstrap(**{**call, **change})
    assert "\n" not in str(caught.value)


def test_bad_instruments_are_one_sentence():
    panel = instrumented(5, 2)
    y, Y, X, Z = (panel[key] for key in "yYXZ")
    with pytest.raises(EstimationError, match="1 instruments do not identify 2 endogenous"):
        wild_bootstrap_iv(y, Y, X, Z[:, :1], panel["mixed"], 0)
    with pytest.raises(EstimationError, match="of the instruments are collinear"):
        wild_bootstrap_iv(y, Y, X, np.ones_like(Z), panel["mixed"], 0)
    with pytest.raises(UsageError, match="endogenous regressor 2 of 2"):
        wild_bootstrap_iv(y, Y, X, Z, panel["mixed"], 2)
