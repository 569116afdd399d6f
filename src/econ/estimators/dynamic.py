"""Difference and system GMM on arrays: estimates in one step, two steps or continuously updated, and their tests.

Letters as in D. Roodman (2009), Stata J. 9, 86-136: e = y - X b, A the weights of the moments Z'e, S the sum of
Z_i'e_i e_i'Z_i over the units.  Columns of Z come in units of their lengths, so that what is singular does not depend
on units of measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize
from scipy.linalg import lapack

from econ.errors import EstimationError
from econ.estimators.dynamic_moments import Moments, transformation
from econ.estimators.estimate import Test

# Share of the largest eigenvalue below which a direction of the moments has no variance of its own.
SINGULAR = 1e-12

# The set of all GMM-style instruments of the level equation.
LEVELS = "gmm_levels"

# A continuously updated estimate this many standard errors away from two steps has found another minimum.
STRAYED = 4.0

# Where the continuously updated criterion is flat: gradient in units of standard errors.
FLAT = 1e-6


@dataclass(frozen=True)
class Options:
    """How to estimate.

    Parameters
    ----------
    steps : 1, 2 or "cue"
    robust : bool
        One step: sandwich of S, else the covariance of independent errors of one variance.
    windmeijer : bool
        Two steps: F. Windmeijer (2005), J. Econom. 126, 25-51, eq. 3.6.
    small : False, "new" or "old"
        Factor of the covariance: (n - 1)/(n - k) N/(N - 1), before 2006 n/(n - k + 1) N/(N - 1); without robust
        errors n/(n - k).
    orders : int
        Highest order of the tests of serial correlation.
    sargan : "transformed" or "level"
        Which rows sigma^2 of Sargan's test counts in system GMM: those of the transformed equation as its residuals,
        or those in levels as xtabond2 before 2.8.3 and the paper of 2009.
    """

    steps: int | str = 1
    robust: bool = True
    windmeijer: bool = True
    small: str | bool = False
    orders: int = 2
    sargan: str = "transformed"


@dataclass(frozen=True, eq=False)
class DynamicFit:
    """An estimate.

    Parameters
    ----------
    b : (k,), V : (k, k)
        Coefficients and the covariance that the options ask for.
    first, first_V : the same of one step, its covariance robust.
    e : (N, R)
        Residuals of both equations.
    n, groups : int
        Observations and units, as xtabond2 counts them.
    sizes : (groups,) int
        Observations of each unit.
    rank_moments, rank_weights : int
        Rank of Z'HZ and of S.
    sargan, hansen : Test
    differences : dict of label to (Test without the set, Test of the set)
    serial : dict of order to Test
    doubt : str
        Why a continuously updated estimate is not to be used.
    """

    b: np.ndarray
    V: np.ndarray
    first: np.ndarray
    first_V: np.ndarray
    e: np.ndarray
    n: int
    groups: int
    sizes: np.ndarray
    instruments: int
    rank_moments: int
    rank_weights: int
    sargan: Test
    hansen: Test
    differences: dict[str, tuple[Test, Test]]
    serial: dict[int, Test]
    doubt: str = ""


def pseudo_inverse(S: np.ndarray) -> tuple[np.ndarray, int]:
    """Moore-Penrose inverse and rank of S (q, q), by the eigenvalues of its correlations where it may be singular."""
    scale = np.sqrt(np.diag(S))
    scale[scale == 0] = 1
    correlation = S / np.outer(scale, scale)
    root, failed = lapack.dpotrf(correlation, lower=1)
    if not failed:
        inverse = lapack.dpotri(root, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        # the least eigenvalue is above 1 / trace of the inverse, the largest below the trace
        if np.trace(inverse) * np.trace(correlation) * SINGULAR * len(S) < 1:
            return inverse / np.outer(scale, scale), len(S)
    values, vectors = np.linalg.eigh(correlation)
    used = values > SINGULAR * max(values[-1], 0) * len(S)
    inverse = (vectors[:, used] / values[used]) @ vectors[:, used].T
    return inverse / np.outer(scale, scale), int(used.sum())


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over all units, and by unit, of products with the instruments."""

    Zy: np.ndarray
    ZX: np.ndarray
    Zy_i: np.ndarray
    ZX_i: np.ndarray

    @classmethod
    def of(cls, moments: Moments) -> _Sums:
        Zt = moments.Z.transpose(0, 2, 1)
        Zy_i, ZX_i = (Zt @ moments.y[:, :, None])[:, :, 0], Zt @ moments.X
        return cls(Zy_i.sum(axis=0), ZX_i.sum(axis=0), Zy_i, ZX_i)

    def scores(self, b: np.ndarray) -> np.ndarray:
        """(N, m) Z_i'e_i."""
        return self.Zy_i - self.ZX_i @ b

    def estimate(self, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """b and (X'Z A Z'X)^-1."""
        inverse = _inverse(self.ZX.T @ A @ self.ZX)
        return inverse @ (self.ZX.T @ (A @ self.Zy)), inverse

    def part(self, kept: np.ndarray) -> _Sums:
        return _Sums(self.Zy[kept], self.ZX[kept], self.Zy_i[:, kept], self.ZX_i[:, kept])


def _inverse(M: np.ndarray) -> np.ndarray:
    """Inverse of a positive definite matrix, whatever its units."""
    scale = np.sqrt(np.diag(M))
    return np.linalg.inv(M / np.outer(scale, scale)) / np.outer(scale, scale)


def fit(moments: Moments, options: Options) -> DynamicFit:
    """Estimate; EstimationError where the instruments do not identify the coefficients."""
    moments = _in_units(moments)
    k, m = moments.X.shape[2], moments.Z.shape[2]
    sums = _Sums.of(moments)
    _refuse_unidentified(sums.ZX, moments)
    ZHZ = _weights(moments)
    A1, rank = pseudo_inverse(ZHZ)
    first, inverse = sums.estimate(A1)
    scores = sums.scores(first)
    S = scores.T @ scores
    bread = inverse @ sums.ZX.T @ A1
    first_V = bread @ S @ bread.T
    e1 = moments.y - moments.X @ first
    n, groups, sizes = _counts(moments)
    sigma2 = _variance(moments, e1, options.sargan)
    sargan = _overidentification(float(scores.sum(axis=0) @ A1 @ scores.sum(axis=0)) / sigma2, rank - k, "iid errors")
    A2, rank_weights = pseudo_inverse(S)
    second, second_inverse = sums.estimate(A2)
    g = sums.scores(second).sum(axis=0)
    hansen = _overidentification(float(g @ A2 @ g), rank - k, "any errors of a unit")
    doubt = ""
    if options.steps == 1:
        b, A, scores = first, A1, scores
        V = first_V if options.robust else _variance(moments, e1, "transformed") * inverse
    else:
        b, A = second, A2
        V = _windmeijer(sums, first, second, A2, second_inverse, first_V) if options.windmeijer else second_inverse
        if options.steps == "cue":
            windmeijer = _windmeijer(sums, first, second, A2, second_inverse, first_V)
            updated = _updated(sums, (second, first), windmeijer)
            b, V, A, doubt = updated.b, updated.V, updated.A, updated.doubt
            g = sums.scores(b).sum(axis=0)
            hansen = replace(hansen, stat=float(g @ A @ g))
            S = sums.scores(b).T @ sums.scores(b)
        scores = sums.scores(b)
    e = moments.y - moments.X @ b
    return DynamicFit(
        b=b,
        V=V * _factor(options, n, groups, k),
        first=first,
        first_V=first_V,
        e=np.where(moments.rows, e, np.nan),
        n=n,
        groups=groups,
        sizes=sizes,
        instruments=m,
        rank_moments=rank,
        rank_weights=rank_weights,
        sargan=sargan,
        hansen=hansen,
        differences=_differences(moments, sums, S, ZHZ, hansen, rank_weights),
        serial=_serial(moments, sums, b, V, A, scores, options),
        doubt=doubt,
    )


def _in_units(moments: Moments) -> Moments:
    length = np.sqrt((moments.Z**2).sum(axis=(0, 1)))
    return replace(moments, Z=moments.Z / np.where(length > 0, length, 1))


def _weights(moments: Moments) -> np.ndarray:
    """(m, m) sum of Z_i'H Z_i."""
    m = moments.Z.shape[2]
    ZHZ = moments.Z.reshape(-1, m).T @ (moments.H @ moments.Z).reshape(-1, m)
    return (ZHZ + ZHZ.T) / 2


def _refuse_unidentified(ZX: np.ndarray, moments: Moments) -> None:
    m, k = ZX.shape
    if m < k:
        raise EstimationError(
            f"there are {m} instruments for {k} coefficients ({', '.join(moments.names)}): expected at least as many; "
            f"add lags to gmm= or variables to iv=."
        )
    length = np.linalg.norm(ZX, axis=0)
    if (length == 0).any():
        name = moments.names[int(np.argmin(length))]
        raise EstimationError(f"no instrument moves with {name}: expected one that does; add lags of it to gmm=.")
    if np.linalg.matrix_rank(ZX / length, tol=1e-10) < k:
        raise EstimationError(
            f"the {m} instruments identify fewer than {k} coefficients ({', '.join(moments.names)}): expected as many "
            f"that move independently; add lags to gmm=, or drop regressors."
        )


def _counts(moments: Moments) -> tuple[int, int, np.ndarray]:
    by_unit = moments.counted.sum(axis=1)
    sizes = by_unit[by_unit > 0]
    return int(sizes.sum()), int(sizes.size), sizes


def _variance(moments: Moments, e: np.ndarray, which: str) -> float:
    """sigma^2 of the errors in levels; that of differences is twice it."""
    T = moments.periods
    rows = moments.transformed
    counted = moments.counted if which == "level" else rows
    # H has the variance that the weights take a transformed error to have: twice sigma^2 for differences
    return float((e[:, :T][rows] ** 2).sum() / counted.sum() / moments.H[1, 1])


def _factor(options: Options, n: int, groups: int, k: int) -> float:
    if not options.small:
        return 1.0
    if options.steps == 1 and not options.robust:
        return n / (n - k)
    if groups < 2:
        raise EstimationError("there is one group: small-sample factors need two; pass small=False or add groups.")
    counted = n / (n - k + 1) if options.small == "old" else (n - 1) / (n - k)
    return counted * groups / (groups - 1)


def _overidentification(stat: float, df: int, errors: str) -> Test:
    null = f"all instruments are valid, {errors}"
    if df <= 0:
        return Test(float("nan"), (0,), null, "none", "exactly identified: nothing to test")
    return Test(max(stat, 0.0), (df,), null)


def _windmeijer(
    sums: _Sums, first: np.ndarray, second: np.ndarray, A: np.ndarray, inverse: np.ndarray, first_V: np.ndarray
) -> np.ndarray:
    """Covariance of two steps with what the weights owe to the first: F. Windmeijer (2005), eq. 3.6."""
    v = A @ sums.scores(second).sum(axis=0)
    G = sums.scores(first)
    # column j is dS/db_j v, S at the first step
    slopes = -(np.einsum("nmk,n->mk", sums.ZX_i, G @ v) + G.T @ np.einsum("nmk,m->nk", sums.ZX_i, v))
    D = -inverse @ sums.ZX.T @ A @ slopes
    return inverse + D @ inverse + inverse @ D.T + D @ first_V @ D.T


@dataclass(frozen=True, eq=False)
class _Updated:
    """Continuously updated estimate: b, V, its weights, and why it is not to be used, if so."""

    b: np.ndarray
    V: np.ndarray
    A: np.ndarray
    doubt: str = ""


def _updated(sums: _Sums, starts: Sequence[np.ndarray], V: np.ndarray) -> _Updated:
    """Continuously updated: least g'S(b)^-1 g, L. Hansen, J. Heaton, A. Yaron (1996), JBES 14, 262-280.

    V (k, k) is that of two steps, starts[0] its estimate.  The covariance is that of W. Newey, F. Windmeijer (2009),
    Econometrica 77, 687-719, which holds with many weak instruments: the Hessian, and the Jacobian net of its
    projection on the moments.
    """
    scale = np.sqrt(np.diag(V))
    origin = starts[0]

    def slopes(step: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Criterion, half its gradient in units of `scale`, D (m, k) and the weights."""
        G = sums.scores(origin + scale * step)
        A, _ = pseudo_inverse(G.T @ G)
        v = A @ G.sum(axis=0)
        D = (np.einsum("n,nmk->mk", G @ v, sums.ZX_i) - sums.ZX) * scale
        return float(G.sum(axis=0) @ v), D.T @ v, D, A

    def criterion(step: np.ndarray) -> tuple[float, np.ndarray]:
        value, half, _, _ = slopes(step)
        return value, 2 * half

    found = [
        optimize.minimize(criterion, (start - origin) / scale, jac=True, method="BFGS", options={"gtol": FLAT})
        for start in starts
    ]
    best = min(found, key=lambda each: each.fun)
    _, half, D, A = slopes(best.x)
    h = 1e-4  # in standard errors of two steps: half the digits of a gradient that is smooth over one of them
    unit = np.eye(scale.size)
    H = np.array([(slopes(best.x + h * u)[1] - slopes(best.x - h * u)[1]) / (2 * h) for u in unit])
    H = (H + H.T) / 2
    doubts = []
    if np.abs(half).max() > 1e-3 or np.linalg.eigvalsh(H)[0] <= 0:
        doubts.append("the continuously updated criterion has not converged to a minimum")
    apart = np.max([np.abs(each.x - best.x).max() for each in found])
    if apart > 1:
        doubts.append(f"the continuously updated criterion has minima {apart:.1f} two-step standard errors apart")
    far = float(np.abs(best.x).max())
    if far > STRAYED:
        doubts.append(f"the continuously updated estimate is {far:.1f} standard errors away from that of two steps")
    inverse = np.linalg.pinv(H)
    cov = inverse @ D.T @ A @ D @ inverse * np.outer(scale, scale)
    return _Updated(origin + scale * best.x, cov, A, "; ".join(doubts))


def _differences(
    moments: Moments, sums: _Sums, S: np.ndarray, ZHZ: np.ndarray, hansen: Test, rank: int
) -> dict[str, tuple[Test, Test]]:
    """Difference-in-Hansen tests of every set of instruments, by blocks of S (section 4.1 and 4.3)."""
    k = sums.ZX.shape[1]
    groups = np.array(moments.groups)
    # the constant is no set of its own
    sets = {group: groups == group for group in dict.fromkeys(moments.groups) if group}
    if moments.levels.any() and not moments.levels.all():
        sets = {LEVELS: moments.levels, **sets}
    found = {}
    for label, tested in sets.items():
        kept = ~tested
        if kept.sum() < k or np.linalg.matrix_rank(sums.ZX[kept] / np.linalg.norm(sums.ZX, axis=0), tol=1e-10) < k:
            continue
        part = sums.part(kept)
        A, _ = pseudo_inverse(S[np.ix_(kept, kept)])
        b, _ = part.estimate(A)
        g = part.scores(b).sum(axis=0)
        df = pseudo_inverse(ZHZ[np.ix_(kept, kept)])[1] - k
        without = float(g @ A @ g) if df > 0 else 0.0
        q = int(hansen.df[0]) - df
        if q <= 0:
            continue
        # without overidentification left the whole test is that of the set
        excluded = Test(without, (df,), f"instruments other than {label} are valid") if df > 0 else None
        difference = Test(hansen.stat - without, (q,), f"{label} are valid, given the others")
        if rank < len(S):
            difference = replace(difference, law="none", note="no test beside singular weights")
        found[label] = (excluded or Test(0.0, (0,), "exactly identified without them", "none"), difference)
    return found


def _serial(
    moments: Moments,
    sums: _Sums,
    b: np.ndarray,
    V: np.ndarray,
    A: np.ndarray,
    scores: np.ndarray,
    options: Options,
) -> dict[int, Test]:
    """M. Arellano, S. Bond (1991), Rev. Econ. Stud. 58, 277-297, eq. 8, on first differences; standard normal.

    V is the covariance that is reported, before the factor of small samples.
    """
    there = moments.differenced
    e = np.where(there, moments.dy - moments.dX @ b, 0.0)
    bread = _inverse(sums.ZX.T @ A @ sums.ZX) @ sums.ZX.T @ A
    nonrobust = options.steps == 1 and not options.robust
    found = {}
    for order in range(1, options.orders + 1):
        null = f"no serial correlation of order {order} in first differences"
        lagged = np.zeros_like(e)
        if order < e.shape[1]:
            lagged[:, order:] = e[:, :-order]
        w = np.where(there, lagged, 0.0)  # zero where there is no lagged residual
        pairs = np.zeros_like(there)
        pairs[:, order:] = there[:, order:] & there[:, :-order]
        if not pairs.any():
            found[order] = Test(float("nan"), (), null, "none", f"no unit has differences {order} periods apart")
            continue
        products = (w * e).sum(axis=1)
        Xw = np.einsum("ntk,nt->k", moments.dX, w)
        if nonrobust:
            sigma2 = _variance(moments, moments.y - moments.X @ b, "transformed")
            differences, with_rows = _of_differences(moments)
            own = sigma2 * float(np.sum((w @ differences) * w))
            cross = sigma2 * np.einsum("nrm,nr->m", moments.Z, w @ with_rows.T)
        else:
            own = float(products @ products)
            cross = scores.T @ products
        variance = own - 2 * Xw @ bread @ cross + Xw @ V @ Xw
        stat = float(products.sum() / np.sqrt(variance)) if variance > 0 else float("nan")
        found[order] = Test(stat, (), null, "normal" if variance > 0 else "none")
    return found


def _of_differences(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """(T, T) covariance of the errors in first differences, and (R, T) that of both equations' with them.

    As the weights of one step take it to be, errors of variance 1: with h = 1 all are independent, with h = 2 the two
    equations are.
    """
    T = moments.periods
    D, M = transformation(T, "fd"), transformation(T, moments.transform)
    own, transformed, level = (np.eye(T), np.eye(T), 0 * D) if moments.h == 1 else (D @ D.T, M @ D.T, D.T)
    if moments.h == 2:
        level = 0 * D
    return own, np.vstack([transformed, level]) if moments.system else transformed


# --- several equations ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class JointFit:
    """Equations with the same regressors and instruments, weighted together.

    Parameters
    ----------
    first, b : (q, k)
        Coefficients of one and of two steps, a row an equation.
    V : (q k, q k)
        Covariance of `b`, equation after equation, corrected as F. Windmeijer (2005).
    hansen : Test
    rank_weights : int
        Rank of S, (q m, q m).
    """

    first: np.ndarray
    b: np.ndarray
    V: np.ndarray
    hansen: Test
    rank_weights: int


def joint(equations: Sequence[Moments]) -> JointFit:
    """Two-step GMM of a panel vector autoregression, D. Holtz-Eakin, W. Newey, H. Rosen (1988), Econometrica 56.

    The equations differ in y only; one step weighs each by itself, two steps by the covariance of all moments.
    """
    equations = [_in_units(moments) for moments in equations]
    alone = [fit(moments, Options(steps=1)) for moments in equations]
    q, (n, _, k), m = len(equations), equations[0].X.shape, equations[0].Z.shape[2]
    parts = [_Sums.of(moments) for moments in equations]
    ZX_i = np.zeros((n, q * m, q * k))
    for j, part in enumerate(parts):
        ZX_i[:, j * m : (j + 1) * m, j * k : (j + 1) * k] = part.ZX_i
    Zy_i = np.hstack([part.Zy_i for part in parts])
    sums = _Sums(Zy_i.sum(axis=0), ZX_i.sum(axis=0), Zy_i, ZX_i)
    first = np.concatenate([each.first for each in alone])
    G = sums.scores(first)
    A, rank = pseudo_inverse(G.T @ G)
    b, inverse = sums.estimate(A)
    ZHZ = _weights(equations[0])
    one = np.kron(np.eye(q), pseudo_inverse(ZHZ)[0])
    bread = _inverse(sums.ZX.T @ one @ sums.ZX) @ sums.ZX.T @ one
    V = _windmeijer(sums, first, b, A, inverse, bread @ (G.T @ G) @ bread.T)
    g = sums.scores(b).sum(axis=0)
    df = q * (alone[0].rank_moments - k)
    return JointFit(
        first.reshape(q, k), b.reshape(q, k), V, _overidentification(float(g @ A @ g), df, "any errors of a unit"), rank
    )
