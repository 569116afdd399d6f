"""Tobit regressions: y* = X b + e, and y = y* between two limits, of which one is seen where y* is beyond it.

J. Tobin (1958), "Estimation of relationships for limited dependent variables", Econometrica 26, 24-36; T. Amemiya
(1973), "Regression analysis when the dependent variable is truncated normal", Econometrica 41, 997-1016.  Newton's
method runs in the parameters of R. Olsen (1978), "Note on the uniqueness of the maximum likelihood estimator for the
Tobit model", Econometrica 46, 1211-1215: gamma = b / sigma and theta = 1 / sigma, in which the log-likelihood is
concave.  With random effects, y* = X b + sigma_u a_i + e, the normal a_i are integrated out by Gauss-Hermite
quadrature about the mode of each group: J. Naylor, A. Smith (1982), Appl. Stat. 31, 214-225; Q. Liu, D. Pierce (1994),
"A note on Gauss-Hermite quadrature", Biometrika 81, 624-629.  In groups without any uncensored row no normal density
is like what is integrated: they are cut into panels of Gauss-Legendre points instead.

Arrays in, arrays out.  y (n,), X (n, k) of full rank with the constant among its columns, limits that are numbers,
(n,) arrays or None.  Every row has one index z = theta c - x gamma, c being y or the limit it is censored at, and adds
g(z) to the log-likelihood: -z^2/2 + log theta where it is not censored, log Phi(z) at the lower limit, log Phi(-z) at
the upper one.  Derivatives in z are written g1 and g2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy import optimize
from scipy.special import erfcx, log_ndtr

from econ.errors import EstimationError, UsageError
from econ.estimators import covariance
from econ.estimators.within import COLLINEAR, REDUNDANT, demean, group_means

Limit = float | np.ndarray | None
Meat = Callable[[np.ndarray], np.ndarray]

LOG_2PI = float(np.log(2 * np.pi))

# Newton's method ends where the maximum is nearer than this, in standard errors.  Rounding leaves about 1e-13.
NEAR = 1e-9
STALLED = 10
ITERATIONS = 100  # from least squares fewer than ten are usual

# Largest relative change with twice the points that is no concern, and the one from which on results cannot be
# trusted: rules of thumb of Stata's manual, [XT] quadchk.
CHANGE, LARGE_CHANGE = 1e-4, 1e-2
MOST_POINTS = 128  # twice as many have weights that floating-point numbers still hold

NOTHING_CENSORED = "nothing is censored: equals Gaussian maximum likelihood"


# --- what fits return -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TobitFit:
    """A Tobit; the order of parameters is b, sigma.

    Parameters
    ----------
    b : (k,) float
    sigma : float
    loglik : float
    inverse : (k + 1, k + 1) float
        Inverse of the observed information.
    scores : (n, k + 1) float
        Derivatives of each row's log-likelihood.
    counts : (int, int, int)
        Rows that are censored at the lower limit, not censored, censored at the upper limit.
    converged : bool
    iterations : int
    notes : tuple of str
    """

    b: np.ndarray
    sigma: float
    loglik: float
    inverse: np.ndarray
    scores: np.ndarray
    counts: tuple[int, int, int]
    converged: bool
    iterations: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ReTobitFit:
    """A Tobit with random effects of groups; the order of parameters is b, sigma_u, sigma_e.

    Parameters
    ----------
    b : (k,) float
    sigma_u, sigma_e : float
    loglik, loglik_pooled : float
        With the effects, and of the Tobit without them.
    inverse : (k + 2, k + 2) float
        Inverse of the observed information; zeros for sigma_u where that is 0.
    scores : (groups, k + 2) float
        Derivatives of each group's log-likelihood.
    effects : (groups,) float
        Means of sigma_u a_i given the data.
    counts : (int, int, int)
        Rows that are censored at the lower limit, not censored, censored at the upper limit.
    points : int
        Of the quadrature.
    change : float
        Largest relative change of a parameter or the log-likelihood with twice the points; see `_change`.
    converged : bool
    iterations : int
    notes : tuple of str
    """

    b: np.ndarray
    sigma_u: float
    sigma_e: float
    loglik: float
    loglik_pooled: float
    inverse: np.ndarray
    scores: np.ndarray
    effects: np.ndarray
    counts: tuple[int, int, int]
    points: int
    change: float
    converged: bool
    iterations: int
    notes: tuple[str, ...] = field(default=())

    @property
    def rho(self) -> float:
        """Share of sigma_u^2 in sigma_u^2 + sigma_e^2."""
        return self.sigma_u**2 / (self.sigma_u**2 + self.sigma_e**2)

    def rho_error(self, V: np.ndarray) -> float:
        """Standard error of rho by the delta method, V (k + 2, k + 2)."""
        slope = 2 * self.sigma_u * self.sigma_e / (self.sigma_u**2 + self.sigma_e**2) ** 2
        d = np.array([slope * self.sigma_e, -slope * self.sigma_u])
        return float(np.sqrt(d @ V[-2:, -2:] @ d))


# --- covariances ----------------------------------------------------------------------------------------------------


def likelihood_covariance(
    inverse: np.ndarray,
    scores: np.ndarray,
    kind: Literal["observed", "opg", "sandwich"] = "observed",
    meat: Meat = covariance.white,
    factor: float = 1.0,
) -> np.ndarray:
    """(p, p) covariance of maximum-likelihood estimates.

    Parameters
    ----------
    inverse : (p, p) float
        Inverse of the observed information.
    scores : (m, p) float
        Derivatives of the log-likelihood of independent parts.
    kind : str
        "observed" information; "opg", the inverse of the scores' outer products (E. Berndt, B. Hall, R. Hall,
        J. Hausman (1974), Ann. Econ. Soc. Meas. 3, 653-665); "sandwich" of both (P. J. Huber (1967), Proc. 5th
        Berkeley Symp. 1, 221-233).
    meat : function of (m, p) scores to (p, p)
        Of the sandwich: how the parts depend on each other, as in `covariance`.
    factor : float
        What the sandwich is multiplied by.
    """
    if kind == "observed":
        return inverse
    if kind == "sandwich":
        return factor * inverse @ meat(scores) @ inverse
    size = np.linalg.norm(scores, axis=0)
    size[size == 0] = 1.0  # of sigma_u on the edge of its range
    used = np.any(scores != 0, axis=0)
    scaled = scores[:, used] / size[used]
    if np.linalg.matrix_rank(scaled, tol=REDUNDANT) < used.sum():
        raise EstimationError(
            f"the scores of {len(scores):,} independent parts have no outer product of full rank for {used.sum()} "
            f"parameters: expected more parts than parameters; use cov='classical'."
        )
    V = np.zeros_like(inverse)
    V[np.ix_(used, used)] = np.linalg.inv(scaled.T @ scaled) / np.outer(size[used], size[used])
    return V


def in_log_sigma(V: np.ndarray, sigma: float) -> np.ndarray:
    """(k + 1, k + 1) covariance of (b, log sigma) from that of (b, sigma), by the delta method."""
    to_log = np.ones(len(V))
    to_log[-1] = 1 / sigma
    return V * np.outer(to_log, to_log)


# --- the log-likelihood of a row ------------------------------------------------------------------------------------


def censored(y: np.ndarray, lower: Limit, upper: Limit) -> tuple[np.ndarray, np.ndarray]:
    """(c, side): y within the limits (n,), and -1, 0, 1 (n,) where it is at the lower one, between, at the upper."""
    low = np.broadcast_to(-np.inf if lower is None else np.asarray(lower, float), y.shape)
    high = np.broadcast_to(np.inf if upper is None else np.asarray(upper, float), y.shape)
    if np.isnan(low).any() or np.isnan(high).any():
        raise UsageError("a limit is not a number: expected numbers, or None where there is no limit.")
    if not (low < high).all():
        j = int(np.argmin(low < high))
        raise UsageError(f"the lower limit {low[j]:g} is not below the upper limit {high[j]:g}: exchange or mend them.")
    return np.clip(y, low, high), np.where(y <= low, -1, np.where(y >= high, 1, 0))


def mills(t: np.ndarray) -> np.ndarray:
    """phi(t) / Phi(t), to full precision for any t."""
    return np.sqrt(2 / np.pi) / erfcx(-t / np.sqrt(2))


# Where t + phi/Phi cancels to fewer than eleven digits; there the series in 1/t^2 has twelve.
FAR = -200.0


def mills_slope(t: np.ndarray) -> np.ndarray:
    """m (t + m) for m = phi(t) / Phi(t): minus the derivative of m, between 0 and 1."""
    m = mills(t)
    far = 1 / np.minimum(t, FAR) ** 2
    return np.where(t < FAR, 1 - far + 6 * far**2, m * (t + m))


def _terms(z: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(g, g1, g2) of indices z (n,) or (n, points), without log theta; side (n,)."""
    g, g1, g2 = -(z**2) / 2 - LOG_2PI / 2, -z, np.full_like(z, -1.0)
    at = side != 0
    sign = -side[at] if z.ndim == 1 else -side[at][:, None]
    t = sign * z[at]
    g[at], g1[at], g2[at] = log_ndtr(t), sign * mills(t), -mills_slope(t)
    return g, g1, g2


def likelihood(
    p: np.ndarray, columns: np.ndarray, side: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """(log-likelihood, (n, k + 1) scores, (k + 1, k + 1) Hessian) of Olsen's p = (gamma, theta).

    columns (n, k + 1) are -X and c, so that z = columns @ p.
    """
    g, g1, g2 = _terms(columns @ p, side)
    theta, free = p[-1], weight * (side == 0)
    scores = (weight * g1)[:, None] * columns
    scores[:, -1] += free / theta
    hessian = columns.T @ ((weight * g2)[:, None] * columns)
    hessian[-1, -1] -= free.sum() / theta**2
    return float(weight @ g + free.sum() * np.log(theta)), scores, hessian


# --- Newton's method ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Top:
    """Where Newton's method ended: parameters, log-likelihood, scores, Hessian, and whether that is a maximum."""

    p: np.ndarray
    loglik: float
    scores: np.ndarray
    hessian: np.ndarray
    converged: bool
    iterations: int


Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]


def _maximise(evaluate: Evaluate, start: np.ndarray, theta: int) -> _Top:
    """Newton's method with step halving; p[theta] stays above 0, negative curvature is turned round."""
    p, stalled = start, 0
    loglik, scores, hessian = evaluate(p)
    for iteration in range(ITERATIONS):
        gradient = scores.sum(axis=0)
        curvature, axes = np.linalg.eigh(-hessian)
        # floor: a direction with less curvature than rounding leaves of the largest has none
        step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(curvature), 1e-12 * np.abs(curvature).max()))
        gain = gradient @ step  # twice what a quadratic gains: the squared distance in standard errors
        if gain <= NEAR**2:
            return _Top(p, loglik, scores, hessian, bool(curvature[0] > 0), iteration)
        share = 1.0
        # a loss within rounding, or within the error of the quadrature, is none
        slack = 1e-9 * (1 + abs(loglik))
        while share > 1e-10:
            tried = p + share * step
            if tried[theta] > 0:
                found = evaluate(tried)
                if np.isfinite(found[0]) and found[0] >= loglik - slack:
                    break
            share /= 2
        else:
            return _Top(p, loglik, scores, hessian, False, iteration)
        # Newton's last steps are few: more without a gain go round in the error of the quadrature
        stalled = stalled + 1 if found[0] <= loglik + slack else 0
        p, (loglik, scores, hessian) = tried, found
        if stalled == STALLED:
            return _Top(p, loglik, scores, hessian, False, iteration + 1)
    return _Top(p, loglik, scores, hessian, False, ITERATIONS)


# --- Tobit ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scaled:
    """The same problem in units of its own: y less X b0 over s, and orthogonal columns of X.

    X / length = basis @ triangle; b = b0 + s * triangle^-1 gamma / theta / length.
    """

    columns: np.ndarray
    b0: np.ndarray
    s: float
    back: np.ndarray

    def parameters(self, p: np.ndarray) -> np.ndarray:
        """b of Olsen's (gamma, theta)."""
        k = len(self.b0)
        return self.b0 + self.s * self.back @ p[:k] / p[k]

    def jacobian(self, p: np.ndarray) -> np.ndarray:
        """(k + 1, k + 1) derivatives of (b, sigma) in (gamma, theta)."""
        k, theta = len(self.b0), p[len(self.b0)]
        J = np.zeros((k + 1, k + 1))
        J[:k, :k] = self.s * self.back / theta
        J[:k, k] = -self.s * self.back @ p[:k] / theta**2
        J[k, k] = -self.s / theta**2
        return J


def _scaled(c: np.ndarray, X: np.ndarray, b0: np.ndarray, s: float) -> _Scaled:
    length = np.linalg.norm(X, axis=0)
    root = np.sqrt(len(X))
    basis, triangle = np.linalg.qr(X / length)
    back = np.linalg.inv(triangle) / length[:, None] * root
    return _Scaled(np.column_stack([-root * basis, (c - X @ b0) / s]), b0, s, back)


def tobit(
    y: np.ndarray,
    X: np.ndarray,
    lower: Limit = None,
    upper: Limit = None,
    weight: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> TobitFit:
    """Maximum likelihood of the Tobit model; values beyond a limit count as at it.

    Parameters
    ----------
    y : (n,) float
    X : (n, k) float
        Of full rank; a constant is a column like any other.
    lower, upper : float, (n,) float or None
    weight : (n,) float, optional
        What each row's log-likelihood is multiplied by.
    names : sequence of str, optional
        Of the columns, for messages.

    Raises
    ------
    EstimationError
        Where the likelihood has no maximum.
    """
    c, side = censored(y, lower, upper)
    weight = np.ones(y.size) if weight is None else weight
    k = X.shape[1]
    names = [f"column {j}" for j in range(k)] if names is None else names
    refuse_without_maximum(c, X, side, names)
    length = np.linalg.norm(X, axis=0)
    b0 = np.linalg.lstsq(np.sqrt(weight)[:, None] * (X / length), np.sqrt(weight) * c, rcond=None)[0] / length
    e = c - X @ b0
    # censored rows on a line with the others would leave e near 0, and the units with it
    s = float(max(np.sqrt(weight @ e**2 / weight.sum()), COLLINEAR * np.abs(c).max()))
    problem = _scaled(c, X, b0, s)
    start = np.zeros(k + 1)
    start[k] = 1.0
    top = _maximise(lambda p: likelihood(p, problem.columns, side, weight), start, k)
    J = problem.jacobian(top.p)
    counts = _counts(side)
    return TobitFit(
        b=problem.parameters(top.p),
        sigma=float(s / top.p[k]),
        loglik=top.loglik - float(weight @ (side == 0)) * float(np.log(s)),
        inverse=J @ _inverse(-top.hessian) @ J.T,
        scores=np.linalg.solve(J.T, top.scores.T).T,
        counts=counts,
        converged=top.converged,
        iterations=top.iterations,
        notes=_said(counts, top.converged, top.iterations),
    )


def _counts(side: np.ndarray) -> tuple[int, int, int]:
    return int((side < 0).sum()), int((side == 0).sum()), int((side > 0).sum())


def _said(counts: tuple[int, int, int], converged: bool, iterations: int) -> tuple[str, ...]:
    notes = [] if counts[0] or counts[2] else [NOTHING_CENSORED]
    if not converged:
        notes.append(
            f"Newton's method did not converge in {iterations} steps: the likelihood is nearly flat, or rises without "
            f"end; use fewer regressors, or check the limits"
        )
    return tuple(notes)


def _inverse(A: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric matrix, NaN where it has none."""
    try:
        return np.linalg.inv(A)
    except np.linalg.LinAlgError:
        return np.full_like(A, np.nan)


def refuse_without_maximum(c: np.ndarray, X: np.ndarray, side: np.ndarray, names: Sequence[str]) -> None:
    """Raise EstimationError where the Tobit likelihood has no maximum.

    It is concave in (gamma, theta), so that it has one unless there is a direction in which no row's term ever falls.
    With theta as it is, that is a combination of columns that is zero where nothing is censored, and has one sign at
    each limit (separation); with theta rising it is an exact fit that keeps censored rows beyond their limits.
    """
    free = side == 0
    left, between, right = _counts(side)
    if not between:
        parts = [f"{count:,} at the {name} limit" for count, name in ((left, "lower"), (right, "upper")) if count]
        raise EstimationError(
            f"all {side.size:,} observations are censored ({', '.join(parts)}): expected some between the limits; "
            f"check the limits."
        )
    length = np.linalg.norm(X, axis=0)
    basis, triangle = np.linalg.qr(X / length)
    _, sizes, rows = np.linalg.svd(np.linalg.qr(basis[free], mode="r"))
    rank = int((sizes > REDUNDANT).sum())  # columns of the basis have length 1
    null = rows[rank:].T
    outward = side[~free, None] * basis[~free]
    if null.shape[1] and _rises(outward @ null):
        away = _rising(outward @ null)
        moved = np.abs(np.linalg.solve(triangle, null @ away))
        found = [name for name, size in zip(names, moved, strict=True) if size > REDUNDANT * moved.max()]
        raise EstimationError(
            f"{' and '.join(found)} predict{'s' * (len(found) == 1)} perfectly which of the rows are censored that no "
            f"uncensored row is like: a coefficient would be infinite; leave out {found[-1]}, or merge categories."
        )
    b = np.linalg.lstsq(basis[free], c[free], rcond=None)[0]
    if np.linalg.norm(c[free] - basis[free] @ b) > COLLINEAR * np.linalg.norm(c[free]):
        return
    beyond = side[~free] * (basis[~free] @ b - c[~free])
    if _reaches(outward @ null, -beyond, COLLINEAR * np.abs(c).max()):
        raise EstimationError(
            f"the regressors reproduce the {between:,} uncensored observations exactly, so that there are no errors to "
            f"judge them by: expected more uncensored observations, or use fewer regressors."
        )


def _rising(A: np.ndarray) -> np.ndarray:
    """(q,) direction d with A d >= 0 that is longest, none of A d above 1; zeros where there is none."""
    size = np.abs(A).max(axis=1)
    A = A[size > REDUNDANT * max(size.max(initial=0), REDUNDANT)]
    if not len(A):
        return np.zeros(A.shape[1])
    A = A / np.abs(A).max(axis=1, keepdims=True)
    found = optimize.linprog(
        -A.sum(axis=0), np.vstack([A, -A]), np.repeat([1.0, 0.0], len(A)), bounds=(None, None), method="highs"
    )
    return np.zeros(A.shape[1]) if found.x is None else found.x


def _rises(A: np.ndarray) -> bool:
    """Whether some d has A d >= 0, not all zero; 1e-6 is ten times the tolerance of the linear program."""
    return bool(np.abs(A @ _rising(A)).max(initial=0) > 1e-6 * np.abs(A).max(initial=0))


def _reaches(A: np.ndarray, wanted: np.ndarray, slack: float) -> bool:
    """Whether some d has A d >= wanted."""
    if not A.shape[1] or not len(A):
        return bool((wanted <= slack).all())
    found = optimize.linprog(np.zeros(A.shape[1]), -A, slack - wanted, bounds=(None, None), method="highs")
    return found.status == 0


# --- marginal effects ------------------------------------------------------------------------------------------------

EFFECTS = {
    "latent": "E(y*)",
    "uncensored": "E(y | between the limits)",
    "censored": "E(y)",
    "probability": "Pr(between the limits)",
}


def marginal_effects(
    kind: str,
    b: np.ndarray,
    s: float,
    X: np.ndarray,
    lower: Limit = None,
    upper: Limit = None,
    weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of a mean or probability in the columns, averaged over the rows.

    J. McDonald, R. Moffitt (1980), "The uses of Tobit analysis", Rev. Econ. Stat. 62, 318-321, with two limits.  Each
    is b times a factor f of m = X b and s, the standard deviation of y* about it.

    Parameters
    ----------
    kind : str
        One of `EFFECTS`, of what.
    b : (k,) float
    s : float
    X : (n, k) float
    lower, upper : float, (n,) float or None
    weight : (n,) float, optional
        Of the average.

    Returns
    -------
    (k,) effects, and (k, k + 1) their derivatives in (b, s)
    """
    m = X @ b
    share = np.full(m.size, 1 / m.size) if weight is None else weight / weight.sum()
    f, f_m, f_s = _factor(kind, m, s, lower, upper)
    J = np.empty((b.size, b.size + 1))
    J[:, :-1] = share @ f * np.eye(b.size) + np.outer(b, (share * f_m) @ X)
    J[:, -1] = b * (share @ f_s)
    return b * (share @ f), J


def _factor(kind: str, m: np.ndarray, s: float, lower: Limit, upper: Limit) -> tuple[np.ndarray, ...]:
    """(f, its derivatives in m and s), all (n,).

    With alpha, beta the limits less m over s, P = Phi(beta) - Phi(alpha) and r_k = (alpha^k phi(alpha) - beta^k
    phi(beta)) / P: dP/dm = P r_0 / s, dP/ds = P r_1 / s, dr_k/dm = (r_{k+1} - k r_{k-1} - r_k r_0) / s and
    dr_k/ds = (r_{k+2} - k r_k - r_k r_1) / s.
    """
    one, none = np.ones_like(m), np.zeros_like(m)
    if kind == "latent":
        return one, none, none
    alpha = (-np.inf if lower is None else lower - m) / s
    beta = (np.inf if upper is None else upper - m) / s
    alpha, beta = np.broadcast_to(alpha, m.shape), np.broadcast_to(beta, m.shape)
    log_p = _log_between(alpha, beta)
    r = [_edge(alpha, k, log_p) - _edge(beta, k, log_p) for k in range(4)]
    p = np.exp(log_p)
    if kind == "censored":
        return p, p * r[0] / s, p * r[1] / s
    if kind == "probability":
        return p * r[0] / s, p * r[1] / s**2, p * (r[2] - r[0]) / s**2
    return (
        1 + r[1] - r[0] ** 2,
        (r[2] - r[0] - r[1] * r[0] - 2 * r[0] * (r[1] - r[0] ** 2)) / s,
        (r[3] - r[1] - r[1] ** 2 - 2 * r[0] * (r[2] - r[0] * r[1])) / s,
    )


def _log_between(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """log(Phi(beta) - Phi(alpha)), from the tail where both are small."""
    swap = alpha > 0
    low, high = np.where(swap, -beta, alpha), np.where(swap, -alpha, beta)
    return log_ndtr(high) + np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))


def _edge(limit: np.ndarray, k: int, log_p: np.ndarray) -> np.ndarray:
    """limit^k phi(limit) / P, 0 where there is no limit."""
    there = np.isfinite(limit)
    at = np.where(there, limit, 0.0)
    return np.where(there, at**k * np.exp(-(at**2) / 2 - LOG_2PI / 2 - log_p), 0.0)


# --- random effects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Groups:
    """Some groups: their rows in order, where each starts, and which of them every row belongs to.

    `free` (groups,) counts uncensored rows; `cut` says that none of the groups has any, and how they are integrated.
    """

    columns: np.ndarray
    side: np.ndarray
    starts: np.ndarray
    code: np.ndarray
    free: np.ndarray
    cut: bool = False

    def sum(self, rows: np.ndarray) -> np.ndarray:
        """(groups,) or (groups, points) sums of rows."""
        return np.add.reduceat(rows, self.starts)


# Numbers in the largest array, rows times points: few enough for the processor's cache to help.
BLOCK = 2**19


def _blocks(columns: np.ndarray, side: np.ndarray, entity: np.ndarray, points: int, cut: bool = False) -> list[_Groups]:
    """Rows sorted by entity, cut between groups."""
    starts = np.flatnonzero(np.r_[True, np.diff(entity) > 0])
    ends = np.r_[starts[1:], entity.size]
    blocks, first = [], 0
    while first < starts.size:
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + BLOCK // points, side="right")))
        rows = slice(starts[first], ends[last - 1])
        local = starts[first:last] - starts[first]
        code = np.repeat(np.arange(last - first), ends[first:last] - starts[first:last])
        free = np.add.reduceat((side[rows] == 0).astype(float), local)
        blocks.append(_Groups(columns[rows], side[rows], local, code, free, cut))
        first = last
    return blocks


def _modes(z: np.ndarray, delta: float, groups: _Groups, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mode, spread) of h(a) = sum of g(z - delta a) over the group - a^2/2, both (groups,).

    Newton's method inside a bracket: h'' <= -1, so that the root of h' is not farther away than h' is large.
    """
    a = start
    low, high = np.full_like(a, -np.inf), np.full_like(a, np.inf)
    for _ in range(100):
        _, g1, g2 = _terms(z - delta * a[groups.code], groups.side)
        slope = -delta * groups.sum(g1) - a
        curve = 1 - delta**2 * groups.sum(g2)
        low = np.where(slope > 0, a, np.maximum(low, a + slope))
        high = np.where(slope < 0, a, np.minimum(high, a + slope))
        moved = a + slope / curve
        moved = np.where((moved < low) | (moved > high), (low + high) / 2, moved)
        # where the points lie need not be exact, but must not jump from one step of the maximisation to the next
        done = np.abs(moved - a).max() <= 1e-9
        a = moved
        if done:
            break
    return a, 1 / np.sqrt(curve)


class Rule:
    """Points and logarithms of weights: Gauss-Hermite's about the mode, Gauss-Legendre's in panels between edges."""

    def __init__(self, points: int) -> None:
        self.points = points
        x, w = np.polynomial.hermite.hermgauss(points)
        self.hermite = x, np.log(w) + x**2
        x, w = np.polynomial.legendre.leggauss(2 * points)
        self.legendre = x, np.log(w)

    def places(
        self, z: np.ndarray, delta: float, groups: _Groups, mode: np.ndarray, spread: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(a, log weight), both (groups, points), of integrals over a."""
        if not groups.cut:
            x, log_w = self.hermite
            scale = np.sqrt(2) * spread[:, None]
            return mode[:, None] + scale * x, log_w + np.log(scale)
        x, log_w = self.legendre
        edges = _edges(z, delta, groups, mode)
        half = np.diff(edges, axis=1)[:, :, None] / 2
        a = edges[:, :-1, None] + half * (1 + x)
        with np.errstate(divide="ignore"):  # panels of no width have no weight
            log_w = log_w + np.log(half)
        return a.reshape(mode.size, -1), log_w.reshape(mode.size, -1)


DROP = 30.0  # of the logarithm of the integrand, where it may end: exp(-30) = 1e-13

# Indices z between which Phi(z) falls: log Phi is -1e-8 at the first, and after the second it is one smooth tail.
FALL = (5.6, 1.5)


def _edges(z: np.ndarray, delta: float, groups: _Groups, mode: np.ndarray) -> np.ndarray:
    """(groups, edges) ends of the panels for groups without uncensored rows.

    What is integrated is a normal density cut off where the group would leave its limit, which is sharp where delta is
    large: no normal density is like it, however many points it gets.  Panels end where that fall begins, in its
    middle, at the mode, and where nothing is left; each of them holds a smooth function.
    """

    def height(a: np.ndarray) -> np.ndarray:
        return groups.sum(_terms(z - delta * a[groups.code], groups.side)[0]) - a**2 / 2

    floor, ends = height(mode) - DROP, []
    for sign in (-1.0, 1.0):
        # h'' <= -1, so that it is lower by DROP at this distance
        near, far = np.zeros_like(mode), np.full_like(mode, np.sqrt(2 * DROP))
        for _ in range(60):  # halving that often reaches the last digit
            if (far <= 1.5 * near).all():
                break
            between = (near + far) / 2
            above = height(mode + sign * between) > floor
            near, far = np.where(above, between, near), np.where(above, far, between)
        ends.append(mode + sign * far)
    low, high = ends
    edges = [low, high, mode]
    steep = np.copysign(max(abs(delta), 1e-6), delta)  # below that every fall is wider than the range
    for side in (-1, 1):
        at = groups.side == side
        if at.any():
            first = np.minimum.reduceat(np.where(at, -side * z, np.inf), groups.starts)
            edges += [np.clip(-side * (first - fall) / steep, low, high) for fall in FALL]
    return np.sort(np.stack(edges, axis=1), axis=1)


def group_likelihood(
    p: np.ndarray, groups: _Groups, rule: Rule, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Adaptive quadrature of p = (gamma, theta, delta), delta = sigma_u / sigma_e and z = columns (gamma, theta) -
    delta a.

    Returns (groups,) log-likelihoods, (groups, k + 2) scores, (k + 2, k + 2) Hessian, (groups,) modes and (groups,)
    means of a given the data.  Derivatives are those of the integral, means over a given the data, not of the
    quadrature, whose points move with p; both are the same but for the error of the quadrature.  The Hessian is that
    of T. Louis (1982), J. R. Stat. Soc. B 44, 226-233.
    """
    theta, delta, columns, side, code = p[-2], p[-1], groups.columns, groups.side, groups.code
    z0 = columns @ p[:-1]
    mode, spread = _modes(z0, delta, groups, start)
    a, log_weights = rule.places(z0, delta, groups, mode, spread)
    g, g1, g2 = _terms(z0[:, None] - delta * a[code], side)
    terms = groups.sum(g) - a**2 / 2 + log_weights
    peak = terms.max(axis=1, keepdims=True)
    share = np.exp(terms - peak)
    total = share.sum(axis=1, keepdims=True)
    share /= total
    loglik = (peak + np.log(total))[:, 0] - LOG_2PI / 2 + groups.free * np.log(theta)

    at = np.empty((*a.shape, p.size))
    for j, column in enumerate(columns.T):
        at[:, :, j] = groups.sum(g1 * column[:, None])
    at[:, :, -1] = -a * groups.sum(g1)
    scores = np.einsum("nq,nqj->nj", share, at)
    apart = (np.sqrt(share)[:, :, None] * (at - scores[:, None, :])).reshape(-1, p.size)
    hessian = apart.T @ apart
    g2 *= share[code]
    by_row, with_a = g2.sum(axis=1), (g2 * a[code]).sum(axis=1)
    hessian[:-1, :-1] += columns.T @ (by_row[:, None] * columns)
    hessian[:-1, -1] -= columns.T @ with_a
    hessian[-1, :-1] -= columns.T @ with_a
    hessian[-1, -1] += np.sum(groups.sum(g2) * a**2)
    scores[:, -2] += groups.free / theta
    hessian[-2, -2] -= groups.free.sum() / theta**2
    return loglik, scores, hessian, mode, (share * a).sum(axis=1)


class _Quadrature:
    """The log-likelihood of all groups as a function of p; modes are kept from one call to the next."""

    def __init__(self, columns: np.ndarray, side: np.ndarray, entity: np.ndarray, points: int) -> None:
        self.rule, self.points = Rule(points), points
        cut = np.bincount(entity, side == 0) == 0
        self.blocks: list[_Groups] = []
        for kind, size in ((False, points), (True, 8 * points)):
            rows = cut[entity] == kind
            if rows.any():
                self.blocks += _blocks(columns[rows], side[rows], entity[rows], size, kind)
        self.place = np.argsort(np.concatenate([np.flatnonzero(~cut), np.flatnonzero(cut)]))
        self.modes = [np.zeros(block.starts.size) for block in self.blocks]
        self.means = np.zeros(0)

    def __call__(self, p: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        found = [
            group_likelihood(p, block, self.rule, mode) for block, mode in zip(self.blocks, self.modes, strict=True)
        ]
        if all(np.isfinite(part[3]).all() for part in found):
            self.modes = [part[3] for part in found]
        self.means = np.concatenate([part[4] for part in found])[self.place]
        return (
            float(sum(part[0].sum() for part in found)),
            np.concatenate([part[1] for part in found])[self.place],
            sum(part[2] for part in found),
        )


# Shares of the variance that the search may start from.
SHARES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)


def re_tobit(
    y: np.ndarray,
    X: np.ndarray,
    entity: np.ndarray,
    lower: Limit = None,
    upper: Limit = None,
    points: int = 12,
    names: Sequence[str] | None = None,
) -> ReTobitFit:
    """Maximum likelihood of the Tobit model with normal random effects of groups; Stata's `xttobit`.

    Parameters
    ----------
    y : (n,) float
    X : (n, k) float
        Of full rank; a constant is a column like any other.
    entity : (n,) int
        Dense codes 0.. of the groups.
    lower, upper : float, (n,) float or None
    points : int
        Of Gauss-Hermite quadrature; panels of groups without an uncensored row have twice as many each.  The fit is
        repeated with twice as many, and again, until nothing changes by more than `CHANGE`.
    names : sequence of str, optional
        Of the columns, for messages.

    Raises
    ------
    EstimationError
        Where the likelihood has no maximum.
    """
    if isinstance(points, bool) or not isinstance(points, int | np.integer) or not 2 <= points <= MOST_POINTS:
        raise UsageError(f"points is {points!r}: expected a whole number from 2 to {MOST_POINTS}, such as 12.")
    pooled = tobit(y, X, lower, upper, names=names)
    c, side = censored(y, lower, upper)
    _refuse_without_errors(c, X, side, entity)
    order = np.argsort(entity, kind="stable")
    k, s = X.shape[1], pooled.sigma
    problem = _scaled(c, X, pooled.b, s)
    columns, side_of, code = problem.columns[order], side[order], entity[order]
    evaluate = _Quadrature(columns, side_of, code, int(points))
    starts = [_start(k, share) for share in SHARES]
    top = _maximise(evaluate, max(starts, key=lambda p: evaluate(p)[0]), k)
    iterations = top.iterations
    log_s = float((side == 0).sum()) * float(np.log(s))

    def packed(found: _Top, by: _Quadrature) -> ReTobitFit:
        J = _re_jacobian(problem, found.p)
        sign = 1.0 if found.p[-1] >= 0 else -1.0  # the likelihood does not know the sign of delta
        theta, delta = found.p[-2:]
        return ReTobitFit(
            b=problem.parameters(found.p),
            sigma_u=float(abs(delta) / theta * s),
            sigma_e=float(s / theta),
            loglik=found.loglik - log_s,
            loglik_pooled=pooled.loglik,
            inverse=J @ _inverse(-found.hessian) @ J.T,
            scores=np.linalg.solve(J.T, found.scores.T).T,
            effects=sign * by.means * abs(delta) / theta * s,
            counts=pooled.counts,
            points=by.points,
            change=0.0,
            converged=found.converged,
            iterations=iterations,
        )

    def vanish(found: _Top) -> bool:
        """delta = 0 is always a stationary point: whether the likelihood is no higher elsewhere."""
        return pooled.converged and found.loglik - log_s <= pooled.loglik + 1e-9 * (1 + abs(pooled.loglik))

    if top.converged and vanish(top):
        return _without_effects(pooled, entity, int(points))
    fit = packed(top, evaluate)
    notes: list[str] = []
    while True:
        finer = _Quadrature(columns, side_of, code, 2 * evaluate.points)
        again = _maximise(finer, top.p, k)
        iterations += again.iterations
        better = packed(again, finer)
        fit = replace(fit, change=_change(fit, better))
        if fit.change <= CHANGE and fit.converged == better.converged:
            break
        if finer.points > MOST_POINTS:
            notes = [
                f"results change by {fit.change:.1g} from {fit.points} to {finer.points} points of quadrature: "
                f"{'they cannot be trusted' if fit.change > LARGE_CHANGE else 'read them with care'}; groups may "
                f"hold too few uncensored observations for this method"
            ]
            break
        notes = [f"{finer.points} points of quadrature instead of {points}: fewer are not exact enough"]
        fit, top, evaluate = better, again, finer
    if vanish(top):
        return _without_effects(pooled, entity, int(points))
    said = _said(pooled.counts, fit.converged, fit.iterations)
    return replace(fit, notes=(*said, *notes), converged=fit.converged and fit.change <= LARGE_CHANGE)


def _start(k: int, share: float) -> np.ndarray:
    """Olsen's parameters of the pooled Tobit, its variance 1 split between groups and errors."""
    return np.concatenate([np.zeros(k), [1 / np.sqrt(1 - share), np.sqrt(share / (1 - share))]])


def _re_jacobian(problem: _Scaled, p: np.ndarray) -> np.ndarray:
    """(k + 2, k + 2) derivatives of (b, sigma_u, sigma_e) in (gamma, theta, delta)."""
    k, theta, delta, s = len(problem.b0), p[-2], p[-1], problem.s
    J = np.zeros((k + 2, k + 2))
    J[:k, : k + 1] = problem.jacobian(p[:-1])[:k]
    J[k, k] = -s * abs(delta) / theta**2
    J[k, k + 1] = s * np.copysign(1.0, delta) / theta
    J[k + 1, k] = -s / theta**2
    return J


def _change(fit: ReTobitFit, finer: ReTobitFit) -> float:
    """Largest change of a parameter in units of itself or of its standard error, whichever is more; of the
    log-likelihood in units of itself or of 1."""
    one, two = (np.r_[each.b, each.sigma_u, each.sigma_e] for each in (fit, finer))
    variance = np.maximum(np.nan_to_num(np.diag(finer.inverse)), 0.0)  # below 0 away from a maximum
    size = np.maximum(np.abs(two), np.sqrt(variance))
    of_loglik = abs(finer.loglik - fit.loglik) / max(abs(finer.loglik), 1.0)
    return float(max(np.max(np.abs(two - one) / size), of_loglik))


def _without_effects(pooled: TobitFit, entity: np.ndarray, points: int) -> ReTobitFit:
    """The Tobit without effects as one with effects of variance 0."""
    k = pooled.b.size
    places = [*range(k), k + 1]
    inverse = np.zeros((k + 2, k + 2))
    inverse[np.ix_(places, places)] = pooled.inverse
    scores = np.zeros((int(entity.max()) + 1, k + 2))
    for place, column in zip(places, pooled.scores.T, strict=True):
        scores[:, place] = np.bincount(entity, column)
    return ReTobitFit(
        b=pooled.b,
        sigma_u=0.0,
        sigma_e=pooled.sigma,
        loglik=pooled.loglik,
        loglik_pooled=pooled.loglik,
        inverse=inverse,
        scores=scores,
        effects=np.zeros(len(scores)),
        counts=pooled.counts,
        points=points,
        change=0.0,
        converged=pooled.converged,
        iterations=pooled.iterations,
        notes=(*pooled.notes, "sigma_u is estimated at 0: the Tobit without effects"),
    )


def _refuse_without_errors(c: np.ndarray, X: np.ndarray, side: np.ndarray, entity: np.ndarray) -> None:
    """Raise EstimationError where groups have one row each, or the regressors explain all that varies inside them."""
    if np.bincount(entity).max() < 2:
        raise EstimationError(
            f"each of the {entity.size:,} groups has one observation: random effects need groups with several; use "
            f"estimator='tobit'."
        )
    free = side == 0
    groups, code = np.unique(entity[free], return_inverse=True)
    if np.bincount(code).max() < 2:
        return  # what is censored tells the two variances apart, or Newton's method says that nothing does
    scaled = X / np.linalg.norm(X, axis=0)
    net, inside = demean(scaled[free], code), demean(c[free], code)
    _, sizes, axes = np.linalg.svd(np.linalg.qr(net, mode="r"))
    rank = int((sizes > REDUNDANT).sum())
    b = np.linalg.lstsq(net, inside, rcond=REDUNDANT)[0]
    if np.linalg.norm(inside - net @ b) > COLLINEAR * np.linalg.norm(c[free]):
        return
    # each such group's effect is what the exact fit leaves of it; a censored row of the group may contradict that
    rows = ~free & np.isin(entity, groups)
    of = np.searchsorted(groups, entity[rows])
    apart = side[rows, None] * (scaled[rows] - group_means(scaled[free], code)[of])
    wanted = side[rows] * (c[rows] - group_means(c[free], code)[of]) - apart @ b
    if _reaches(apart @ axes[rank:].T, wanted, COLLINEAR * np.abs(c).max()):
        raise EstimationError(
            "the regressors explain the uncensored observations exactly inside the groups, so that there is no error "
            "variance: use other regressors, or fewer."
        )
