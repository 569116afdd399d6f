"""Wild cluster bootstrap of t and Wald statistics, with fixed effects taken out anew in every draw.

A draw multiplies the residuals of each cluster by one random weight, fits the model to the y that results, and looks at
the statistic of the null with its clustered standard error:

* A. C. Cameron, J. B. Gelbach, D. L. Miller (2008), "Bootstrap-based improvements for inference with clustered errors",
  Rev. Econ. Stat. 90, 414-427: residuals under the null (WCR, the default) or of the unrestricted model (WCU).
* Weights: Rademacher's signs, all 2^G of them where there are few clusters; six points by M. D. Webb (2023), "Reworking
  wild bootstrap-based inference for clustered errors", Can. J. Econ. 56, 839-858; two by E. Mammen (1993), Ann. Stat.
  21, 255-285.
* The effort of a draw does not depend on n: D. Roodman, M. O. Nielsen, J. G. MacKinnon, M. D. Webb (2019), "Fast and
  wild: bootstrap inference in Stata using boottest", Stata J. 19, 4-60, sec. 5.  Estimates and cluster scores of a draw
  are linear in its weights, and the matrices of these maps are made once.
* Instruments: R. Davidson, J. G. MacKinnon (2010), "Wild bootstrap tests for IV regression", J. Bus. Econ. Stat. 28,
  128-144, the restricted efficient bootstrap (WRE), with one weight a cluster.

Letters: n rows, G clusters of the standard error, H groups that share a weight (the clusters, unless told otherwise),
B draws, q restrictions R beta = r, w (B, H) weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.linalg import solve_triangular

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators.within import COLLINEAR, absorber, split_columns

# Points and probabilities; mean 0 and variance 1.
WEIGHTS = {
    "rademacher": ((1, -1), (1 / 2, 1 / 2)),
    "webb": tuple(zip(*((s * m**0.5, 1 / 6) for s in (1, -1) for m in (1 / 2, 1, 3 / 2)), strict=True)),
    "mammen": (((1 - 5**0.5) / 2, (1 + 5**0.5) / 2), ((1 + 5**-0.5) / 2, (1 - 5**-0.5) / 2)),
}

ENUMERATED = 12  # groups up to which all sign vectors are used: 4,096 of them, fewer than are drawn otherwise
CELLS = 1 << 20  # numbers made at a time, beside the (G, H) maps and a few numbers a draw

# A drawn statistic that equals the sample's but for rounding agrees to 1e-13 or so; other draws differ by far more.
TIE = 1e-9

# Share of its largest possible size below which a standard error is rounding.
NOTHING = 1e-10

# In standard errors: the search for an end of the interval begins here, grows by a fourth, and stops here.
FIRST, FAR = 0.1, 1e3
HALVINGS = 40  # of a bracket no wider than its distance, hence to 1e-12 of it


@dataclass(frozen=True)
class WildResult:
    """A bootstrap test of R beta = r.

    Parameters
    ----------
    estimate, std_error, t : float or None
        Of R beta, and (estimate - r) / std_error; None for several restrictions.
    wald : float
        t squared, or the Wald statistic of several restrictions, not divided by their number.
    pvalue : float
        Share of draws with |t*| >= |t|, ties counted; the sample itself is a tie where all draws are enumerated.
    pvalue_strict, pvalue_ties_half : float
        The same without ties, and with half of them.
    pvalue_equal_tail : float or None
        Twice the smaller share of t* <= t and t* >= t, at most 1.
    interval : (lower, upper) or None
        The nulls around the estimate that are not rejected, p > 1 - level; infinite where none is rejected within
        1,000 standard errors.
    draws : int
        B.
    enumerated : bool
        Are these all the sign vectors there are?
    clusters : int
        G.
    weights : str
        Name in `WEIGHTS`.
    note : str
        What was drawn, and what limits p.
    """

    estimate: float | None
    std_error: float | None
    t: float | None
    wald: float
    pvalue: float
    pvalue_strict: float
    pvalue_ties_half: float
    pvalue_equal_tail: float | None
    interval: tuple[float, float] | None
    draws: int
    enumerated: bool
    clusters: int
    weights: str
    note: str


def wild_bootstrap(
    y: np.ndarray,
    X: np.ndarray,
    cluster: np.ndarray,
    R: int | np.ndarray,
    null: float | np.ndarray = 0.0,
    *,
    entity: np.ndarray | None = None,
    time: np.ndarray | None = None,
    draw_by: np.ndarray | None = None,
    restricted: bool = True,
    weights: str | None = None,
    draws: int = 9_999,
    seed: int = 0,
    level: float = 0.95,
    factor: float = 1.0,
) -> WildResult:
    """Wild cluster bootstrap-t of a coefficient, or of a Wald test where R has several rows.

    y (n,), X (n, k) of full column rank, without the constant, net of the effects or not; cluster (n,) labels.

    Parameters
    ----------
    R : int, or (k,) or (q, k) float
        Which coefficient, or the restrictions.
    null : float or (q,)
        r.
    entity, time : (n,) int, optional
        Codes of the effects, which need not lie inside the clusters.  A constant is taken out where there are none.
    draw_by : (n,) labels, optional
        Rows that share a weight: subclusters, or `np.arange(n)` for the plain wild bootstrap.  The clusters by default.
    restricted : bool
        Residuals under the null (WCR) or of the whole model (WCU).
    weights : str, optional
        A name in `WEIGHTS`.  By default signs where 12 groups or fewer share a weight, else Webb's; signs of 12 groups
        or fewer are enumerated, whatever `draws` says.
    draws, seed : int
        B and the seed of random draws.
    level : float
        Intended coverage of the interval.
    factor : float
        Of the clustered covariance, see `covariance.cluster_factor`; it enters t and the standard error, not p.
    """
    cluster, plan = _plan(len(y), cluster, draw_by, weights, draws, seed, level)
    out_of = absorber(entity, time)
    y, X = out_of(_finite(y, "y")), _finite(X, "the regressors")
    Q, T, length = _orthonormal(X, out_of(X), "the regressors")
    R, null = _restrictions(R, null, X.shape[1])
    A = Q @ solve_triangular(T, (R / length).T, trans="T")  # X (X'X)^-1 R'
    size = np.linalg.norm(A, axis=0)
    A = A / np.where(size > 0, size, 1)  # restrictions of one size, so that their units do not matter
    q = len(R)
    if np.linalg.matrix_rank(A) < q:
        raise UsageError(f"R has {q} rows that are not independent restrictions: leave out what others imply.")
    u = y - Q @ (Q.T @ y)
    if np.linalg.norm(u) <= COLLINEAR * np.linalg.norm(y):
        raise EstimationError("regressors and effects reproduce y exactly: there are no residuals to draw; check y.")
    estimate = R @ (solve_triangular(T, Q.T @ y) / length)
    delta = (estimate - null) / size
    S = _sums(A * u[:, None], cluster).T  # (q, G)

    def maps(U: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _maps(A, U, cluster, plan.group, lambda values: _net(values, Q, out_of))

    if q > 1:
        c, C = maps((u + A @ np.linalg.solve(A.T @ A, delta) if restricted else u)[:, None])
        wald = float(_wald(delta[:, None], S[:, :, None])[0])
        if not np.isfinite(wald):
            raise EstimationError(
                f"the clustered covariance of {q} restrictions is singular with {S.shape[1]} clusters: expected one "
                f"cluster more than restrictions at least; test fewer at a time."
            )
        stars = np.concatenate([_wald(b, s) for b, s in plan.apply(c[:, 0], C[:, 0])])
        p = _pvalues(wald**0.5, stars**0.5)[:3]  # roots, for ties are judged on the scale of t
        return WildResult(None, None, None, wald / factor, *p, None, None, **plan.facts(cluster, stars, 2 * restricted))

    # a, the one column of A, has length one; residuals under a null are u + delta a, so their maps are linear in delta
    c, C = maps(np.column_stack([u, A * restricted]))
    se = float(np.linalg.norm(S))
    _refuse_nothing(se, float(np.linalg.norm(u)))
    pairs = [(b, np.einsum("igb,jgb->ijb", s, s)) for b, s in plan.apply(c[0], C[0])]
    b, V = (np.concatenate(blocks, axis=-1) for blocks in zip(*pairs, strict=True))
    rounding = NOTHING**2 * (np.abs(C[0]).sum(axis=2) ** 2).sum(axis=1)  # (2,)

    def stars_at(delta: float) -> np.ndarray:
        square = V[0, 0] + 2 * delta * V[0, 1] + delta**2 * V[1, 1]
        return _ratio(b[0] + delta * b[1], square, rounding @ [1, delta**2])

    t, stars = float(delta[0] / se), stars_at(delta[0])
    lower, upper = (
        float(estimate[0] - _end(lambda z: _weak(z, stars_at(z * se)), side, level) * se * size[0]) for side in (1, -1)
    )
    return WildResult(
        float(estimate[0]),
        float(se * size[0] * factor**0.5),
        t / factor**0.5,
        t**2 / factor,
        *_pvalues(t, stars),
        (lower, upper),
        **plan.facts(cluster, stars, 2 * restricted),
    )


def wild_bootstrap_iv(
    y: np.ndarray,
    Y: np.ndarray,
    X: np.ndarray,
    Z: np.ndarray,
    cluster: np.ndarray,
    j: int,
    null: float = 0.0,
    *,
    entity: np.ndarray | None = None,
    time: np.ndarray | None = None,
    draw_by: np.ndarray | None = None,
    weights: str | None = None,
    draws: int = 9_999,
    seed: int = 0,
    factor: float = 1.0,
) -> WildResult:
    """Restricted efficient bootstrap-t of coefficient j of the endogenous Y in two-stage least squares.

    y (n,), Y (n, m) endogenous and X (n, k) exogenous regressors, Z (n, L) excluded instruments, L >= m; the rest is as
    in `wild_bootstrap`.  There is no interval: with weak instruments the nulls that are not rejected need not be one.
    """
    cluster, plan = _plan(len(y), cluster, draw_by, weights, draws, seed, 0.95)
    y, Y, X, Z = (_finite(v, name) for v, name in ((y, "y"), (Y, "Y"), (X, "X"), (Z, "Z")))
    out_of = absorber(entity, time)
    QX = _orthonormal(X, out_of(X), "the regressors")[0]
    y, Y, Z_net = (_net(v, QX, out_of) for v in (y, Y, Z))
    Q = _orthonormal(Z, Z_net, "the instruments")[0]
    m, L = Y.shape[1], Q.shape[1]
    if not (isinstance(j, Integral) and 0 <= j < m):
        raise UsageError(f"j asks for endogenous regressor {j!r} of {m}: expected 0 to {m - 1}.")
    size = np.linalg.norm(Y, axis=0)
    Y = Y / np.where(size > 0, size, 1)
    if np.linalg.matrix_rank(Q.T @ Y, tol=COLLINEAR) < m:
        raise EstimationError(
            f"{L} instruments do not identify {m} endogenous regressors: expected one at least that moves each of "
            f"them alone; add instruments."
        )
    inverse = np.linalg.pinv(Q.T @ Y)  # (m, L), with Q its product is the projected Y (Y'PY)^-1
    beta = inverse @ Q.T @ y
    se = float(np.linalg.norm(_sums((Q @ inverse[j] * (y - Y @ beta))[:, None], cluster)))
    _refuse_nothing(se, float(np.linalg.norm(inverse[j]) * np.linalg.norm(y - Y @ beta)))

    # the null imposed on the equation, and reduced forms of Y made efficient by its residuals u
    v = y - null * size[j] * Y[:, j]
    rest = np.delete(Y, j, axis=1)
    u = v - rest @ (np.linalg.pinv(Q.T @ rest) @ Q.T @ v)
    P = np.linalg.lstsq(np.column_stack([Q, u]), Y)[0][:L]  # (L, m)
    U = np.column_stack([u, Y - Q @ P])
    c, C = _maps(Q, U, cluster, plan.group, lambda values: _net(values, QX, out_of))
    fixed = np.stack([_sums(q[:, None] * (Q @ P), cluster).T for q in Q.T])[..., None]  # (L, m, G, 1)

    stars = []
    for cw, Cw in plan.apply(c, C):
        first = np.moveaxis(P[:, :, None] + cw[:, 1:], 2, 0)  # (b, L, m), Q'Y of a draw
        inverse = np.linalg.pinv(first)
        distance = np.einsum("bml,lb->bm", inverse, cw[:, 0])
        e = Cw[:, 0] - np.einsum("lmgb,bm->lgb", fixed + Cw[:, 1:], distance)
        scores = np.einsum("bl,lgb->gb", inverse[:, j], e)
        stars.append(_ratio(distance[:, j], (scores**2).sum(axis=0), (NOTHING * se) ** 2))
    t = float((beta[j] - null * size[j]) / se)
    return WildResult(
        float(beta[j] / size[j]),
        float(se / size[j] * factor**0.5),
        t / factor**0.5,
        t**2 / factor,
        *_pvalues(t, np.concatenate(stars)),
        None,
        **plan.facts(cluster, np.concatenate(stars), 1),
    )


# --- draws ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is drawn: group (n,) int codes of the rows that share a weight, and from which law."""

    group: np.ndarray
    weights: str
    draws: int
    seed: int
    enumerated: bool

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """(rows, H) weights at a time, the last ones fewer; the same numbers whatever `rows` is."""
        H = self.groups
        points, chances = (np.array(column) for column in WEIGHTS[self.weights])
        rng = np.random.default_rng(self.seed)
        for first in range(0, self.draws, rows):
            count = min(rows, self.draws - first)
            if self.enumerated:
                yield 1.0 - 2 * (np.arange(first, first + count)[:, None] >> np.arange(H) & 1)
            else:
                yield points[np.searchsorted(chances.cumsum()[:-1], rng.random((count, H)), side="right")]

    def apply(self, c: np.ndarray, C: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Maps c (..., H) and C (..., G, H) of the weights of some draws at a time: (..., b) and (..., G, b)."""
        for w in self.blocks(max(1, CELLS // (c[..., 0].size + C[..., 0].size + c.shape[-1]))):
            yield c @ w.T, C @ w.T

    def facts(self, cluster: np.ndarray, stars: np.ndarray, ties: int) -> dict:
        """Last fields of the result; `ties` of the enumerated draws always equal the sample."""
        H = self.groups
        note = f"{self.draws:,} draws of {self.weights} weights for {H:,} groups, seed {self.seed}"
        if self.enumerated:
            note = f"2^{H} = {self.draws:,} sign vectors enumerated"
            note += f"; p cannot be below {ties}/{self.draws:,}" if ties else ""
        if H <= 5 and self.weights != "webb":
            note += f"; {H} groups give p few values"
        undefined = int(np.isinf(stars).sum())
        if undefined:
            note += f"; {undefined:,} draws without a standard error count as extreme"
        return {
            "draws": self.draws,
            "enumerated": self.enumerated,
            "clusters": int(cluster.max()) + 1,
            "weights": self.weights,
            "note": note,
        }


def _plan(
    n: int,
    cluster: np.ndarray,
    draw_by: np.ndarray | None,
    weights: str | None,
    draws: int,
    seed: int,
    level: float,
) -> tuple[np.ndarray, _Plan]:
    """Dense codes of the clusters, and what is drawn; refuses options that make no sense."""
    if weights is not None and weights not in WEIGHTS:
        raise UsageError(f"there are no weights {weights!r}: choose among {', '.join(WEIGHTS)}.")
    if not isinstance(draws, Integral) or draws < 1:
        raise UsageError(f"draws is {draws!r}: expected a whole number >= 1, usually 9999.")
    if not isinstance(seed, Integral) or seed < 0:
        raise UsageError(f"seed is {seed!r}: expected a whole number >= 0.")
    if not 0 < level < 1:
        raise UsageError(f"the confidence level is {level}: expected a number between 0 and 1, such as 0.95.")
    cluster = _codes(cluster, n, "cluster")
    group = cluster if draw_by is None else _codes(draw_by, n, "draw_by")
    few = group.max() < ENUMERATED
    weights = weights or ("rademacher" if few else "webb")
    enumerated = bool(few and weights == "rademacher")
    return cluster, _Plan(group, weights, 2 ** int(group.max() + 1) if enumerated else int(draws), seed, enumerated)


def _codes(labels: np.ndarray, n: int, name: str) -> np.ndarray:
    """(n,) dense codes of at least two labels."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise UsageError(f"{name} has the shape {labels.shape}: expected one label for each of {n:,} rows.")
    found, code = np.unique(labels, return_inverse=True)
    if found.size < 2:
        raise EstimationError(f"all {n:,} rows are in one group of {name}: expected two at least; use a finer column.")
    return code


# --- maps from the weights of a draw to its estimates and scores ------------------------------------------------------


def _maps(
    A: np.ndarray, U: np.ndarray, cluster: np.ndarray, group: np.ndarray, net: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """c (q, m, H) and C (q, m, G, H): c w = A'(w o u), and C w = sums of A o M(w o u) over the rows of each cluster.

    A (n, q) net of effects and regressors that M, the function `net`, takes out; U (n, m) residuals u, and o the
    product of each row with the weight of its group.  M is symmetric, so it acts on A once, not on every draw.
    """
    (n, q), m = A.shape, U.shape[1]
    G, H = int(cluster.max()) + 1, int(group.max()) + 1
    c, C = np.empty((q, m, H)), np.empty((q, m, G, H))
    at_once = max(1, CELLS // n)
    for i, a in enumerate(A.T):
        c[i] = _sums(a[:, None] * U, group).T
        for first in range(0, G, at_once):
            some = np.arange(first, min(first + at_once, G))
            projected = net(np.where(cluster[:, None] == some, a[:, None], 0.0))
            for j, u in enumerate(U.T):
                C[i, j, some] = _sums(projected * u[:, None], group).T
    return c, C


def _net(values: np.ndarray, Q: np.ndarray, out_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(n, p) values net of the effects, by `out_of`, and of the regressors that the orthonormal Q (n, k) spans."""
    values = out_of(values)
    return values - Q @ (Q.T @ values)


def _sums(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    """(groups, p) sums of the (n, p) values over the rows of each code."""
    return np.column_stack([np.bincount(code, column) for column in values.T])


def _orthonormal(X: np.ndarray, net: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, T and lengths of the columns of `net` = Q T diag(length), which are X without effects and full in rank."""
    _, absorbed, collinear = split_columns(X, net)
    if absorbed or collinear:
        raise EstimationError(
            f"columns {sorted(absorbed + collinear)} of {name} are collinear with others, effects or the constant: "
            f"leave them out."
        )
    length = np.linalg.norm(net, axis=0)
    return *np.linalg.qr(net / length), length


def _restrictions(R: int | np.ndarray, null: float | np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """R (q, k) and r (q,)."""
    if isinstance(R, Integral):
        if not 0 <= R < k:
            raise UsageError(f"R asks for coefficient {R} of {k}: expected 0 to {k - 1}.")
        R = np.eye(k)[R]
    R = np.atleast_2d(_finite(R, "R"))
    r = np.atleast_1d(_finite(null, "null"))
    if R.ndim != 2 or R.shape[1] != k or r.shape not in ((1,), (len(R),)):
        raise UsageError(
            f"R and null have the shapes {R.shape} and {r.shape}: expected (q, {k}) and (q,), a row a restriction."
        )
    return R, np.broadcast_to(r, len(R))


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise BadInputError(f"{name} has values that are not finite numbers: leave these rows out first.")
    return values


# --- statistics and what they say -------------------------------------------------------------------------------------


def _refuse_nothing(se: float, most: float) -> None:
    if se <= NOTHING * most:
        raise EstimationError(
            "the coefficient has no clustered standard error, since what is left of its regressor varies in one "
            "cluster only: use other clusters, or test another coefficient."
        )


def _ratio(b: np.ndarray, square: np.ndarray, rounding: float) -> np.ndarray:
    """(B,) b over the root of its variance; infinite where the variance is rounding, so that the draw counts."""
    known = square > rounding
    return np.where(known, b / np.sqrt(np.where(known, square, 1)), np.copysign(np.inf, b))


def _wald(b: np.ndarray, S: np.ndarray) -> np.ndarray:
    """(B,) b'(SS')^-1 b of b (q, B) and scores S (q, G, B); infinite where SS' is singular."""
    square, axes = np.linalg.eigh(np.einsum("pgb,qgb->bpq", S, S))
    along = np.einsum("bpq,pb->bq", axes, b)
    known = square > NOTHING * square[:, -1:]
    terms = np.where(known, along**2 / np.where(known, square, 1), np.inf)
    return terms.sum(axis=1)


def _pvalues(t: float, stars: np.ndarray) -> tuple[float, float, float, float]:
    """Symmetric p with ties, without and with half of them, and equal-tailed p, of t among the (B,) t*."""
    tie = TIE * abs(t)
    weak = _weak(t, stars)
    strict = float((np.abs(stars) > abs(t) + tie).mean())
    tail = float(min((stars >= t - tie).mean(), (stars <= t + tie).mean()))
    return weak, strict, (weak + strict) / 2, min(1.0, 2 * tail)


def _weak(t: float, stars: np.ndarray) -> float:
    return float((np.abs(stars) >= abs(t) * (1 - TIE)).mean())


def _end(pvalue: Callable[[float], float], side: int, level: float) -> float:
    """Distance from the estimate, in standard errors, to the first null on one side with p <= 1 - level."""

    def kept(z: float) -> bool:
        return pvalue(z) - (1 - level) > TIE  # 1 - 0.9 is not 0.1

    inside, outside = 0.0, side * FIRST
    while kept(outside):
        inside, outside = outside, 1.25 * outside
        if abs(outside) > FAR:
            return side * np.inf
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return inside
