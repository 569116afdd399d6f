"""Instrumental variables on arrays: estimators, their covariance, and tests of the instruments' validity.

The equation is y = X2 b2 + X1 b1 + e with X1 (n, k1) exogenous, the constant among them where there is one, X2 (n, k2)
endogenous and Z2 (n, l2) excluded instruments.  All are net of absorbed effects and, with weights, multiplied by their
square roots.  Coefficients come as ivreg2 lists them: b2 first, then b1.

Small-sample counts are those of ivreg2: C. Baum, M. Schaffer, S. Stillman (2007), "Enhanced routines for instrumental
variables/generalized method of moments estimation and testing", Stata J. 7, 465-506.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import optimize

from econ.errors import EstimationError, UsageError
from econ.estimators.estimate import Test
from econ.estimators.within import COLLINEAR

# A covariance of moments is singular where an eigenvalue of its correlations is below this share of the largest:
# missing ranks leave rounding, 1e-16 to 1e-14, and what is below 1e-12 has no digits to invert.
SINGULAR = 1e-12


@dataclass(frozen=True, eq=False)
class Errors:
    """What is allowed of the errors, and what the small-sample counts have to know.

    Parameters
    ----------
    meat : function of (n, q) scores to (q, q), optional
        Sum of the products of scores over all pairs of rows that may be correlated; None for errors independent of
        each other and of one variance.
    clusters : int, optional
        Number of clusters, the smaller one where there are two ways, periods for Driscoll-Kraay; None without.
    absorbed : int
        Coefficients of absorbed effects, counted in small-sample factors only (ivreg2's sdofminus).
    dofminus : int
        Coefficients that large-sample variances leave out of n too (ivreg2's dofminus).
    small : bool
        Does the covariance of the coefficients get the small-sample factor?  First stages and weak-instrument
        statistics always have it.
    rank_meat : function, optional
        For the rank tests in place of `meat`: ivreg2 gives them the Bartlett kernel whatever the kernel is.
    """

    meat: Callable[[np.ndarray], np.ndarray] | None = None
    clusters: int | None = None
    absorbed: int = 0
    dofminus: int = 0
    small: bool = False
    rank_meat: Callable[[np.ndarray], np.ndarray] | None = None

    def df(self, n: int, count: int) -> int:
        """Degrees of freedom of the F tests of an equation with `count` coefficients beside the absorbed ones."""
        return n - count - self.absorbed - self.dofminus if self.clusters is None else self.clusters - 1

    def factor(self, n: int, count: int) -> float:
        """From a large-sample covariance to that of small samples, for an equation with `count` coefficients."""
        if self.clusters is None:
            return (n - self.dofminus) / self.df(n, count)
        return (n - 1) / (n - count - self.absorbed) * self.clusters / (self.clusters - 1)

    def moments(self, Q: np.ndarray, e: np.ndarray) -> np.ndarray:
        """(q, q) large-sample covariance of Q'e; Q (n, q), e (n,)."""
        n = e.size
        if self.meat is None:
            return Q.T @ Q * (e @ e) / (n - self.dofminus)
        S = self.meat(Q * e[:, None])
        return (S + S.T) / 2 * (n / (n - self.dofminus) if self.clusters is None else 1)


IID = Errors()


class Names(NamedTuple):
    """Names of the columns, for messages and tables."""

    exogenous: tuple[str, ...]
    endogenous: tuple[str, ...]
    instruments: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted equation.

    The covariance of the coefficients is bread times the meat of Xhat * residuals times bread; where `weight` is
    given, it is `bread` itself.

    Parameters
    ----------
    coefs : (k2 + k1,)
        Endogenous regressors first.
    residuals : (n,)
        y - X b, with the regressors as they are.
    Xhat : (n, k2 + k1)
        Regressors as the instruments explain them; for GMM what takes their place.
    bread : (k2 + k1, k2 + k1)
        Inverse of X'(I - kappa M_Z)X; for GMM of X'Z S^-1 Z'X.
    kappa : float or None
        Of the k-class: 1 for 2SLS.
    weight : (l2 + k1, l2 + k1) or None
        For GMM: inverse of S, the covariance of Z'e, in the order Z2, X1.
    j : float
        For GMM: the minimum of the criterion; else NaN.
    """

    coefs: np.ndarray
    residuals: np.ndarray
    Xhat: np.ndarray
    bread: np.ndarray
    kappa: float | None = None
    weight: np.ndarray | None = None
    j: float = float("nan")

    @property
    def W(self) -> np.ndarray:
        """(n, k) with (W'W)^-1 W' = bread Xhat', so that any least-squares sandwich of W and the residuals serves."""
        q, r, length = _qr(self.Xhat)
        return q @ np.linalg.solve(r.T, np.linalg.inv(self.bread) / length[:, None])


# --- linear algebra ---------------------------------------------------------------------------------------------------


def _qr(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q (n, m), r (m, m) and the lengths (m,) of the columns, A = q r diag(lengths)."""
    length = np.linalg.norm(A, axis=0)
    q, r = np.linalg.qr(A / length)
    return q, r, length


def _net(A: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """A less its projection on the orthonormal columns of Q; twice, for the second pass removes rounding."""
    for _ in range(2):
        A = A - Q @ (Q.T @ A)
    return A


def _half(S: np.ndarray) -> np.ndarray | None:
    """H (q, q) with H'H = S^-1, None where S is not positive definite; by correlations, so that units do not matter."""
    spread = np.sqrt(np.maximum(np.diag(S), 0))
    if not (spread > 0).all():
        return None
    values, vectors = np.linalg.eigh(S / np.outer(spread, spread))
    if values[0] <= SINGULAR * values[-1]:
        return None
    return (vectors / np.sqrt(values)).T / spread


def quadratic(g: np.ndarray, S: np.ndarray) -> float:
    """g' S^-1 g, NaN where S (q, q) is not positive definite."""
    half = _half(S)
    return float("nan") if half is None else float(((half @ g) ** 2).sum())


@dataclass(frozen=True, eq=False)
class Partial:
    """y (n,) and X2 (n, k2) net of X1, and orthonormal bases Q1 (n, k1) of X1 and Qz (n, l2) of Z2 net of X1."""

    y: np.ndarray
    X2: np.ndarray
    Q1: np.ndarray
    Qz: np.ndarray

    @property
    def Q(self) -> np.ndarray:
        """(n, l2 + k1) orthonormal basis of all instruments."""
        return np.column_stack([self.Qz, self.Q1])

    def correlations(self) -> tuple[np.ndarray, np.ndarray]:
        """Orthonormal basis Qy (n, k2) of X2 net of X1, and Qz'Qy, whose singular values are the correlations."""
        Qy = _qr(self.X2)[0]
        return Qy, self.Qz.T @ Qy


def partial_out(y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray) -> Partial:
    """Take the exogenous regressors out of all others."""
    Q1 = _qr(X1)[0]
    return Partial(_net(y, Q1), _net(X2, Q1), Q1, _qr(_net(Z2, Q1))[0])


# --- bad input --------------------------------------------------------------------------------------------------------


def check(X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, names: Names | None = None, errors: Errors = IID) -> None:
    """Refuse what cannot be estimated: too few instruments or rows, columns that add nothing, no identification.

    The functions below take for granted that this has passed.
    """
    n, k1, k2, l2 = len(X2), X1.shape[1], X2.shape[1], Z2.shape[1]
    if names is None:
        counts = {"X1": k1, "X2": k2, "Z2": l2}
        names = Names(*(tuple(f"{letter}[{j}]" for j in range(m)) for letter, m in counts.items()))
    if l2 < k2:
        raise EstimationError(
            f"{l2} excluded instruments ({', '.join(names.instruments) or 'none'}) cannot identify {k2} endogenous "
            f"regressors ({', '.join(names.endogenous)}): expected at least as many; add instruments."
        )
    count = k1 + l2 + errors.absorbed + errors.dofminus
    if n <= count:
        raise EstimationError(
            f"{n:,} rows cannot carry first stages of {count:,} coefficients: expected more rows than coefficients; "
            f"use fewer instruments, regressors or effects."
        )
    _refuse_collinear("exogenous regressors", X1, np.empty((n, 0)), names.exogenous)
    Q1 = _qr(X1)[0]
    _refuse_collinear("instruments", Z2, Q1, names.instruments)
    _refuse_collinear("endogenous regressors", X2, Q1, names.endogenous)
    net, Qz = _net(X2, Q1), _qr(_net(Z2, Q1))[0]
    left = np.linalg.norm(_net(net, Qz), axis=0) / np.linalg.norm(net, axis=0)
    if (left <= COLLINEAR).any():
        name = names.endogenous[int(np.argmin(left))]
        raise EstimationError(
            f"instruments and exogenous regressors reproduce {name!r} exactly, so it has no endogenous part: "
            f"move it to the exogenous regressors, or take out the instrument that is {name!r} under another name."
        )
    strength = np.linalg.svd(Qz.T @ _qr(net)[0], compute_uv=False)
    if strength[-1] <= COLLINEAR:
        raise EstimationError(
            f"the instruments ({', '.join(names.instruments)}) move the endogenous regressors "
            f"({', '.join(names.endogenous)}) in {int((strength > COLLINEAR).sum())} of {k2} directions: "
            f"expected all; add instruments that tell them apart."
        )


def _refuse_collinear(kind: str, A: np.ndarray, Q: np.ndarray, names: Sequence[str]) -> None:
    redundant = []
    for j, column in enumerate(A.T):
        length = np.linalg.norm(column)
        rest = _net(column, Q)
        left = np.linalg.norm(rest)
        if left <= COLLINEAR * length:
            redundant.append(repr(names[j]))
        else:
            Q = np.column_stack([Q, rest / left])
    if redundant:
        raise EstimationError(
            f"among the {kind} {', '.join(redundant)} follow from the exogenous regressors and the columns before "
            f"them: expected columns that add something; leave them out."
        )


# --- estimators -------------------------------------------------------------------------------------------------------


def k_class(y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, kappa: float) -> Fit:
    """b = [X'(I - kappa M_Z)X]^-1 X'(I - kappa M_Z)y.

    H. Theil (1961), "Economic Forecasts and Policy", 2nd ed., sec. 6.2: 0 is least squares, 1 is 2SLS.  Sandwiches
    have the scores of 2SLS between breads of the k-class, as ivreg2's do.
    """
    part = partial_out(y, X1, X2, Z2)
    length = np.linalg.norm(part.X2, axis=0)
    C = part.Qz.T @ part.X2 / length
    q, r = np.linalg.qr(C)
    E = np.linalg.solve(r.T, (part.X2 / length - part.Qz @ C).T).T
    c = part.Qz.T @ part.y
    inner = np.eye(length.size) + (1 - kappa) * (E.T @ E)
    root = np.linalg.inv(r) / length[:, None]
    b2 = root @ np.linalg.solve(inner, q.T @ c + (1 - kappa) * (E.T @ (part.y - part.Qz @ c)))
    H = root @ np.linalg.solve(inner, root.T)
    Q1, r1, length1 = _qr(X1)
    root1 = np.linalg.inv(r1) / length1[:, None]
    b1, D = root1 @ (Q1.T @ (y - X2 @ b2)), root1 @ (Q1.T @ X2)
    return Fit(
        coefs=np.concatenate([b2, b1]),
        residuals=y - X2 @ b2 - X1 @ b1,
        Xhat=np.column_stack([X2 - _net(part.X2, part.Qz), X1]),
        bread=np.block([[H, -H @ D.T], [-D @ H, root1 @ root1.T + D @ H @ D.T]]),
        kappa=kappa,
    )


def two_stage(y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray) -> Fit:
    """Two-stage least squares."""
    return k_class(y, X1, X2, Z2, 1.0)


def liml_kappa(y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray) -> float:
    """Smallest root of |Y'M_1 Y - kappa Y'M_Z Y| = 0 with Y = (y, X2); 1 where l2 = k2.

    T. Anderson, H. Rubin (1949), Ann. Math. Stat. 20, 46-63.  With orthonormal columns in place of M_1 Y it is
    1 / (1 - r^2), r the smallest correlation of (y, X2) with the instruments.
    """
    part = partial_out(y, X1, np.column_stack([y, X2]), Z2)
    _, Theta = part.correlations()
    if Theta.shape[0] < Theta.shape[1]:
        return 1.0
    return float(1 / (1 - np.linalg.svd(Theta, compute_uv=False)[-1] ** 2))


def liml(y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, fuller: float = 0, absorbed: int = 0) -> Fit:
    """Limited-information maximum likelihood, or with `fuller` > 0 the k-class of kappa - fuller / (n - l - absorbed).

    W. Fuller (1977), Econometrica 45, 939-953: 1 is nearly unbiased, 4 has the smaller mean squared error.
    """
    kappa = liml_kappa(y, X1, X2, Z2)
    return k_class(y, X1, X2, Z2, kappa - fuller / (y.size - X1.shape[1] - Z2.shape[1] - absorbed))


def gmm(y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, steps: int | str = 2) -> Fit:
    """Efficient GMM: in two steps from 2SLS, or with steps="cue" continuously updated.

    L. Hansen (1982), Econometrica 50, 1029-1054; L. Hansen, J. Heaton, A. Yaron (1996), J. Bus. Econ. Stat. 14,
    262-280.  For errors of one variance the second is LIML, the first 2SLS.
    """
    if steps not in (2, "cue"):
        raise UsageError(f"GMM has no steps={steps!r}: choose 2 or 'cue'.")
    X, Z = np.column_stack([X2, X1]), np.column_stack([Z2, X1])
    Q, r, length = _qr(Z)
    first = two_stage(y, X1, X2, Z2)
    fit = _efficient(y, X, Q, errors.moments(Q, first.residuals))
    if steps == "cue" and Z.shape[1] > X.shape[1]:
        if errors.meat is None:
            b = liml(y, X1, X2, Z2).coefs
        else:
            b = _minimise(lambda b: _criterion(y - X @ b, Q, errors), fit)
        e = y - X @ b
        S = errors.moments(Q, e)
        fit = replace(_efficient(y, X, Q, S), coefs=b, residuals=e, j=quadratic(Q.T @ e, S))
    root = np.linalg.inv(r) / length[:, None]
    return replace(fit, weight=root @ fit.weight @ root.T)


def _efficient(y: np.ndarray, X: np.ndarray, Q: np.ndarray, S: np.ndarray) -> Fit:
    """GMM with the weight S^-1, S the covariance of Q'e; `weight` is in terms of Q."""
    half = _half(S)
    if half is None:
        raise EstimationError(
            f"the covariance of {len(S)} moments is singular or not positive: expected full rank for an efficient "
            f"weight; use fewer instruments, more clusters or another kernel."
        )
    length = np.linalg.norm(X, axis=0)
    q, r = np.linalg.qr(half @ (Q.T @ (X / length)))
    g = half @ (Q.T @ y)
    root = np.linalg.inv(r) / length[:, None]
    b = root @ (q.T @ g)
    return Fit(
        coefs=b,
        residuals=y - X @ b,
        Xhat=Q @ (half.T @ (half @ (Q.T @ X))),
        bread=root @ root.T,
        weight=half.T @ half,
        j=float(((g - q @ (q.T @ g)) ** 2).sum()),
    )


def _criterion(e: np.ndarray, Q: np.ndarray, errors: Errors) -> float:
    value = quadratic(Q.T @ e, errors.moments(Q, e))
    return np.inf if np.isnan(value) else value


def _minimise(criterion: Callable[[np.ndarray], float], start: Fit) -> np.ndarray:
    """Coefficients at the minimum, searched in units of the standard errors of the start."""
    spread = np.linalg.cholesky(start.bread)
    found = optimize.minimize(
        lambda t: criterion(start.coefs + spread @ t), np.zeros(start.coefs.size), jac="3-point", options={"gtol": 1e-8}
    )
    # the criterion's curvature is near 2 in these units, so this is a thousandth of a standard error
    if not np.linalg.norm(found.jac) < 2e-3:
        raise EstimationError(
            "the continuously updated criterion has no minimum near the two-step estimates: expected one, as strong "
            "instruments give; use two steps or LIML."
        )
    return start.coefs + spread @ found.x


# --- covariance, and statistics of the fit ----------------------------------------------------------------------------


def covariance(fit: Fit, errors: Errors) -> np.ndarray:
    """(k, k) covariance of the coefficients, as ivreg2 reports it."""
    n, k = fit.Xhat.shape
    if fit.weight is not None:
        V = fit.bread
    elif errors.meat is None:
        V = fit.bread * (fit.residuals @ fit.residuals) / (n - errors.dofminus)
    else:
        V = fit.bread @ errors.moments(fit.Xhat, fit.residuals) @ fit.bread
    return V * errors.factor(n, k) if errors.small else V


@dataclass(frozen=True, eq=False)
class ReducedForm:
    """Least squares of m columns on all instruments.

    Parameters
    ----------
    coefs : (l2 + k1, m)
        Excluded instruments first.
    cov : (m (l2 + k1), m (l2 + k1))
        Their covariance, equation after equation, with the small-sample factor.
    rmse : (m,)
    excluded : tuple of Test, (m,)
        F of the excluded instruments in every equation.
    """

    coefs: np.ndarray
    cov: np.ndarray
    rmse: np.ndarray
    excluded: tuple[Test, ...]


def reduced_form(Y: np.ndarray, X1: np.ndarray, Z2: np.ndarray, errors: Errors) -> ReducedForm:
    """Reduced form of y, first stages of X2, or both stacked; Y (n, m)."""
    n, m = Y.shape
    Q, r, length = _qr(np.column_stack([Z2, X1]))
    count, l2 = Q.shape[1], Z2.shape[1]
    E = _net(Y, Q)
    root = np.linalg.inv(r) / length[:, None]
    coefs = root @ (Q.T @ Y)
    if errors.meat is None:
        S = np.kron(E.T @ E / (n - errors.dofminus), np.eye(count))
    else:
        # one column of scores for every equation and instrument; ones in place of residuals, which they hold
        S = errors.moments(np.column_stack([Q * e[:, None] for e in E.T]), np.ones(n))
    bread = np.kron(np.eye(m), root)
    V = bread @ S @ bread.T * errors.factor(n, count)
    tests = tuple(
        Test(
            quadratic(coefs[:l2, j], V[j * count : j * count + l2, j * count : j * count + l2]) / l2,
            (l2, errors.df(n, count)),
            "the excluded instruments have no effect",
        )
        for j in range(m)
    )
    rmse = np.sqrt((E**2).sum(axis=0) / (n - count - errors.absorbed - errors.dofminus))
    return ReducedForm(coefs, V, rmse, tests)


# --- validity of instruments ------------------------------------------------------------------------------------------


def _minimum(y: np.ndarray, X: np.ndarray, Q: np.ndarray, S: np.ndarray) -> float:
    """Smallest value of the GMM criterion over all b with the covariance S of Q'e; NaN where S is singular."""
    try:
        return _efficient(y, X, Q, S).j
    except EstimationError:
        return float("nan")


def overidentification(
    y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, fit: Fit | None = None
) -> Test | None:
    """Are the instruments uncorrelated with the errors?  Sargan's test, or Hansen's J where errors.meat is given.

    J. Sargan (1958), Econometrica 26, 393-415; L. Hansen (1982), Econometrica 50, 1029-1054.  Chi2(l2 - k2) on the
    residuals of `fit`, by default of 2SLS.  None where l2 = k2, for then there is nothing to test; NaN where the
    covariance of the moments is singular.
    """
    df = Z2.shape[1] - X2.shape[1]
    if df == 0:
        return None
    null = "the instruments are uncorrelated with the errors"
    fit = two_stage(y, X1, X2, Z2) if fit is None else fit
    if fit.weight is not None:
        return Test(fit.j, (df,), null)
    Q = partial_out(y, X1, X2, Z2).Q
    S = errors.moments(Q, fit.residuals)
    if errors.meat is None:
        return Test(quadratic(Q.T @ fit.residuals, S), (df,), null)
    return Test(_minimum(y, np.column_stack([X2, X1]), Q, S), (df,), null)


def liml_overidentification(kappa: float, n: int, df: int, errors: Errors) -> dict[str, Test]:
    """The likelihood-ratio test of Anderson and Rubin (1949) at LIML's kappa, and its linear form; chi2(l2 - k2)."""
    null = "the instruments are uncorrelated with the errors, which are iid"
    return {
        "lr": Test((n - errors.dofminus) * float(np.log(kappa)), (df,), null),
        "linear": Test((n - errors.dofminus) * (kappa - 1), (df,), null),
    }


def orthogonality(
    y: np.ndarray,
    X1: np.ndarray,
    X2: np.ndarray,
    Z2: np.ndarray,
    errors: Errors,
    tested: Sequence[int],
    fit: Fit | None = None,
) -> Test:
    """Are some instruments valid, given the others?  The C statistic, ivreg2's orthog().

    F. Hayashi (2000), "Econometrics", p. 220: the minimum of the criterion with all instruments less that without
    `tested`, both with the covariance of the moments of the equation with all, so that it is not negative.  `tested`
    are columns of (Z2, X1); `fit` gives the residuals of that covariance, by default 2SLS, the first step of GMM.
    """
    Z, X = np.column_stack([Z2, X1]), np.column_stack([X2, X1])
    kept = [j for j in range(Z.shape[1]) if j not in set(tested)]
    if len(kept) < X.shape[1]:
        raise EstimationError(
            f"without the {len(set(tested))} instruments tested {len(kept)} are left for {X.shape[1]} coefficients: "
            f"expected at least as many; test fewer at a time."
        )
    e = (two_stage(y, X1, X2, Z2) if fit is None else fit).residuals
    return Test(
        _difference(y, X, Z, Z[:, kept], e, errors), (Z.shape[1] - len(kept),), "the tested instruments are valid"
    )


def endogeneity(
    y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, tested: Sequence[int] | None = None
) -> Test:
    """Can some endogenous regressors be treated as exogenous?  ivreg2's endog(), robust where errors.meat is given.

    The C statistic of `tested`, columns of X2 (by default all), as instruments beside the others; residuals are those
    of the equation that has them as instruments.  For iid errors a form of the Durbin-Wu-Hausman test.
    """
    tested = list(range(X2.shape[1])) if tested is None else list(tested)
    Z, X = np.column_stack([Z2, X1]), np.column_stack([X2, X1])
    wide = np.column_stack([Z, X2[:, tested]])
    Q = _qr(wide)[0]
    b = np.linalg.lstsq(Q.T @ (X / np.linalg.norm(X, axis=0)), Q.T @ y, rcond=None)[0]
    e = y - X / np.linalg.norm(X, axis=0) @ b
    return Test(_difference(y, X, wide, Z, e, errors), (len(tested),), "the tested regressors are exogenous")


def _difference(
    y: np.ndarray, X: np.ndarray, wide: np.ndarray, narrow: np.ndarray, e: np.ndarray, errors: Errors
) -> float:
    """Minimum of the criterion with the instruments `wide` less that with `narrow`, a part of them."""
    Q = _qr(wide)[0]
    S = errors.moments(Q, e)
    within = _qr(Q.T @ narrow)[0]
    return _minimum(y, X, Q, S) - _minimum(y, X, Q @ within, within.T @ S @ within)
