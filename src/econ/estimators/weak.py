"""How strong instruments are, and inference that holds however weak they are; arrays as in `instruments.py`.

Everything is computed on columns net of X1: Y = X2 net of X1 with orthonormal basis Qy (n, k2), and an orthonormal
basis Qz (n, l2) of Z2 net of X1, so that Theta = Qz'Qy holds the reduced form in units of standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real

import numpy as np
import pandas as pd
from scipy import linalg, optimize, special, stats

from econ.errors import EstimationError, UsageError
from econ.estimators.estimate import Test
from econ.estimators.instruments import Errors, _net, partial_out, quadratic, reduced_form
from econ.estimators.stock_yogo import LEVELS, cell, critical_value

# --- first stages -----------------------------------------------------------------------------------------------------

# ivreg2's names of what `first_stages` reports
IVREG2_NAMES = {
    "rmse": "rmse",
    "Shea partial R2": "sheapr2",
    "partial R2": "pr2",
    "F": "F",
    "F df1": "df",
    "F df2": "df_r",
    "F p": "pvalue",
    "SW F": "SWF",
    "SW F df1": "SWFdf1",
    "SW F df2": "SWFdf2",
    "SW F p": "SWFp",
    "SW chi2": "SWchi2",
    "SW chi2 p": "SWchi2p",
    "SW partial R2": "SWr2",
    "AP F": "APF",
    "AP F df1": "APFdf1",
    "AP F df2": "APFdf2",
    "AP F p": "APFp",
    "AP chi2": "APchi2",
    "AP chi2 p": "APchi2p",
    "AP partial R2": "APr2",
}


def _wald(x: np.ndarray, Qz: np.ndarray, errors: Errors) -> float:
    """Chi2 of the excluded instruments in the least squares of x (n,), net of X1, on them."""
    c = Qz.T @ x
    return _chi2(c, Qz, x - Qz @ c, errors)


def _chi2(g: np.ndarray, Q: np.ndarray, e: np.ndarray, errors: Errors) -> float:
    """g' Cov(Q'e)^-1 g, NaN where the covariance is singular."""
    return quadratic(g, _moments(Q, e, errors))


def _moments(Q: np.ndarray, e: np.ndarray, errors: Errors) -> np.ndarray:
    """Covariance of Q'e, NaN where sums over clusters or periods cancel to what rounding leaves."""
    Omega = errors.moments(Q, e)
    # a sum of n products is off by sqrt(n) eps times their size, which taking means out multiplies by a few
    rounding = len(e) * (10 * np.finfo(float).eps) ** 2 * float(((Q * e[:, None]) ** 2).sum())
    return Omega if np.trace(Omega) > rounding else np.full_like(Omega, np.nan)


def _f(chi2: float, q: int, n: int, count: int, errors: Errors, null: str) -> Test:
    """The F test with small-sample counts of an equation with `count` coefficients."""
    return Test(chi2 / q / errors.factor(n, count), (q, errors.df(n, count)), null)


def first_stages(
    X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Statistics of the first stages; rows as the keys of `IVREG2_NAMES`, one column an endogenous regressor.

    Shea: J. Shea (1997), Rev. Econ. Stat. 79, 348-352, partial R2 of what tells the regressor from the others.
    SW: E. Sanderson, F. Windmeijer (2016), J. Econom. 190, 212-221, sec. 3, F of the excluded instruments for the
    regressor less the others times their 2SLS slopes.  AP: J. Angrist, J.-S. Pischke (2009), "Mostly Harmless
    Econometrics", p. 217-218, the same less the others as they are fitted.  Both have l2 - k2 + 1 degrees of freedom,
    and are F where k2 = 1.
    """
    n, k2, l2 = len(X2), X2.shape[1], Z2.shape[1]
    count = X1.shape[1] + l2
    part = partial_out(np.zeros(n), X1, X2, Z2)
    X = part.X2 / np.linalg.norm(part.X2, axis=0)
    fitted = part.Qz @ (part.Qz.T @ X)
    shea = _diagonal_of_inverse(X) / _diagonal_of_inverse(fitted)
    rmse = reduced_form(X2, X1, Z2, errors).rmse
    columns = {}
    for j, name in enumerate(names or [f"X2[{j}]" for j in range(k2)]):
        others = np.delete(np.arange(k2), j)
        slopes = np.linalg.lstsq(fitted[:, others], X[:, j], rcond=None)[0]
        column = {"rmse": rmse[j], "Shea partial R2": shea[j], "partial R2": _r2(X[:, j], part.Qz)}
        column |= _row("F", _f(_wald(X[:, j], part.Qz, errors), l2, n, count, errors, "the instruments are irrelevant"))
        for label, taken_out in (("SW", X[:, others]), ("AP", fitted[:, others])):
            rest = X[:, j] - taken_out @ slopes
            wald, q, null = _wald(rest, part.Qz, errors), l2 - k2 + 1, f"{name} is not identified"
            column |= _row(f"{label} F", _f(wald, q, n, count, errors, null))
            column |= {f"{label} chi2": wald, f"{label} chi2 p": Test(wald, (q,), null).pvalue}
            column[f"{label} partial R2"] = _r2(rest, part.Qz)
        columns[name] = column
    return pd.DataFrame(columns).loc[list(IVREG2_NAMES)]


def _row(label: str, test: Test) -> dict[str, float]:
    return {label: test.stat, f"{label} df1": test.df[0], f"{label} df2": test.df[1], f"{label} p": test.pvalue}


def _r2(x: np.ndarray, Qz: np.ndarray) -> float:
    return float(((Qz.T @ x) ** 2).sum() / (x @ x))


def _diagonal_of_inverse(A: np.ndarray) -> np.ndarray:
    """Diagonal of (A'A)^-1."""
    return (np.linalg.inv(np.linalg.qr(A, mode="r")) ** 2).sum(axis=1)


# --- rank tests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RankTests:
    """Do the instruments identify all endogenous regressors?

    Parameters
    ----------
    lm : Test
        Underidentification, chi2(l2 - k2 + 1): Kleibergen-Paap rk LM, for iid errors Anderson's.
    wald : Test
        The same as a Wald test: rk Wald, for iid errors Cragg-Donald.
    f : float
        rk Wald F: the Wald statistic over l2, with small-sample counts.
    cragg_donald : float
        The same for iid errors, whatever `errors` are: what Stock and Yogo tabulate.
    effective_f, effective_critical : float or None
        Of Montiel Olea and Pflueger, where there is one endogenous regressor; the critical value is for a bias of at
        most 10 % of the worst case at the level of 5 %.
    correlations : (k2,)
        Canonical correlations of endogenous regressors and instruments, net of X1.
    iid : bool
    """

    lm: Test
    wald: Test
    f: float
    cragg_donald: float
    effective_f: float | None
    effective_critical: float | None
    correlations: tuple[float, ...]
    iid: bool


def rank_tests(X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors) -> RankTests:
    """Tests that the rank of the reduced form is k2 - 1, against k2.

    F. Kleibergen, R. Paap (2006), J. Econom. 133, 97-126.  With Theta = U S V' and A, b the last singular vectors,
    beyond the first k2 - 1, the test is that Lambda = A'Theta b is zero.  A and b are taken as they come:
    the statistic does not depend on their rotation, and the paper's normalisation by the inverse of a block of U
    fails where that block is singular.  The LM form has the scores under the null, Qz (Qy b), the Wald form those of
    the residuals.  For iid errors: T. Anderson (1951), Ann. Math. Stat. 22, 327-351; J. Cragg, S. Donald (1993),
    Econom. Theory 9, 222-240.
    """
    n, k2, l2 = len(X2), X2.shape[1], Z2.shape[1]
    count = X1.shape[1] + l2
    part = partial_out(np.zeros(n), X1, X2, Z2)
    Qy, Theta = part.correlations()
    U, singular, Vt = np.linalg.svd(Theta)
    A, b = part.Qz @ U[:, k2 - 1 :], Vt[-1]
    y = Qy @ b
    e = _net(Qy, part.Qz) @ b
    Lambda = U[:, k2 - 1 :].T @ Theta @ b
    null = "the instruments are irrelevant" if k2 == 1 else f"the instruments identify fewer than {k2} regressors"
    df = (l2 - k2 + 1,)
    effective = _effective(part.X2[:, 0], part.Qz, n, count, errors) if k2 == 1 else (None, None)
    iid = replace(errors, meat=None, clusters=None)
    errors = replace(errors, meat=errors.rank_meat or errors.meat)
    lm, wald = (Test(_chi2(Lambda, A, v, errors), df, null) for v in (y, e))
    cragg_donald = quadratic(Lambda, iid.moments(A, e))
    return RankTests(
        lm=lm,
        wald=wald,
        f=_f(wald.stat, l2, n, count, errors, null).stat,
        cragg_donald=_f(cragg_donald, l2, n, count, iid, null).stat,
        effective_f=effective[0],
        effective_critical=effective[1],
        correlations=tuple(map(float, singular)),
        iid=errors.meat is None,
    )


def _effective(x: np.ndarray, Qz: np.ndarray, n: int, count: int, errors: Errors) -> tuple[float, float]:
    """Effective F for 2SLS, with small-sample counts, and its critical value.

    J. Montiel Olea, C. Pflueger (2013), J. Bus. Econ. Stat. 31, 358-369: x'P_Z x / tr(W2) with W2 the covariance of
    the reduced form in orthonormal instruments.
    """
    c = Qz.T @ x
    W2 = _moments(Qz, x - Qz @ c, errors)
    if np.isnan(W2).any():
        return float("nan"), float("nan")
    return float(c @ c / np.trace(W2) / errors.factor(n, count)), effective_critical_value(W2)


def effective_critical_value(W2: np.ndarray, tau: float = 0.1, level: float = 0.05) -> float:
    """Value that the effective F exceeds with probability `level` where the bias is `tau` of the worst case.

    Montiel Olea and Pflueger (2013), the simplified procedure for 2SLS: a noncentral chi2 of as many degrees of
    freedom as W2 (l2, l2) is worth (P. Patnaik (1949), Biometrika 36, 202-232).
    """
    values = np.linalg.eigvalsh(W2)
    trace, x = values.sum(), 1 / tau
    df = trace**2 * (1 + 2 * x) / ((values**2).sum() + 2 * x * trace * values[-1])
    return float(stats.ncx2.ppf(1 - level, df, x * df) / df)


def redundancy(X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, tested: Sequence[int]) -> Test:
    """Do some excluded instruments add nothing to the first stages?  LM test that their coefficients are all zero.

    ivreg2's redundant(); chi2(k2 times the number of `tested`, columns of Z2).
    """
    kept = np.delete(np.arange(Z2.shape[1]), list(tested))
    part = partial_out(np.zeros(len(X2)), np.column_stack([X1, Z2[:, kept]]), X2, Z2[:, list(tested)])
    Qy, Theta = part.correlations()
    null = "the tested instruments add nothing to the first stages"
    df = (Theta.size,)
    n = len(X2)
    if errors.meat is None:
        return Test((n - errors.dofminus) * float((Theta**2).sum()), df, null)
    scores = np.column_stack([part.Qz * y[:, None] for y in Qy.T])
    return Test(quadratic(Theta.T.ravel(), errors.moments(scores, np.ones(n))), df, null)


# --- tests that hold however weak the instruments are -----------------------------------------------------------------


def anderson_rubin(
    y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, beta: np.ndarray | float = 0.0
) -> tuple[Test, Test]:
    """F and chi2 test of b2 = beta, (k2,) or one number for all.

    T. Anderson, H. Rubin (1949), Ann. Math. Stat. 20, 46-63: the excluded instruments explain nothing of y - X2 beta.
    """
    n, l2 = Z2.shape
    part = partial_out(y, X1, X2, Z2)
    chi2 = _wald(part.y - part.X2 @ np.broadcast_to(beta, X2.shape[1]), part.Qz, errors)
    null = "the coefficients of the endogenous regressors are those given, and the instruments are valid"
    return _f(chi2, l2, n, X1.shape[1] + l2, errors, null), Test(chi2, (l2,), null)


def stock_wright(
    y: np.ndarray, X1: np.ndarray, X2: np.ndarray, Z2: np.ndarray, errors: Errors, beta: np.ndarray | float = 0.0
) -> Test:
    """Chi2(l2) test of b2 = beta, by the GMM criterion at that point.

    J. Stock, J. Wright (2000), Econometrica 68, 1055-1096, with b1 by least squares, as ivreg2 reports it.
    """
    part = partial_out(y, X1, X2, Z2)
    e = part.y - part.X2 @ np.broadcast_to(beta, X2.shape[1])
    null = "the coefficients of the endogenous regressors are those given, and the instruments are valid"
    return Test(_chi2(part.Q.T @ e, part.Q, e, errors), (Z2.shape[1],), null)


@dataclass(frozen=True)
class ConfidenceSet:
    """Points that a test does not reject: intervals in ascending order, ends may be infinite."""

    level: float
    intervals: tuple[tuple[float, float], ...]

    @property
    def kind(self) -> str:
        """ "empty", "whole line", "interval", "ray", "two rays", or "several intervals"."""
        if not self.intervals:
            return "empty"
        infinite = np.isinf(self.intervals).sum()
        if len(self.intervals) == 1:
            return ("interval", "ray", "whole line")[infinite]
        return "two rays" if len(self.intervals) == 2 and infinite == 2 else "several intervals"

    def __str__(self) -> str:
        if not self.intervals:
            return "empty"
        return " and ".join(
            f"{'(' if np.isinf(lower) else '['}{lower:.5g}, {upper:.5g}{')' if np.isinf(upper) else ']'}"
            for lower, upper in self.intervals
        )

    def __contains__(self, point: float) -> bool:
        return any(lower <= point <= upper for lower, upper in self.intervals)


def anderson_rubin_set(
    y: np.ndarray,
    X1: np.ndarray,
    X2: np.ndarray,
    Z2: np.ndarray,
    errors: Errors,
    level: float = 0.95,
    chi2: bool = False,
) -> ConfidenceSet:
    """All values of the one endogenous regressor's coefficient that `anderson_rubin` does not reject at 1 - level.

    With a(b) the products of instruments and y - x b, and Omega(b) their covariance, the set is a' Omega^-1 a <= c.
    Omega is quadratic in b, so that the ends are real roots of |Omega(b) - a(b) a(b)'/c| = 0, a quadratic eigenvalue
    problem; for iid errors they are those of a quadratic equation (J.-M. Dufour, M. Taamouti (2005), Econometrica 73,
    1351-1365).  Between roots one point decides.  `chi2` takes the critical value of chi2(l2), not of F.
    """
    if X2.shape[1] != 1:
        raise UsageError(
            f"there are {X2.shape[1]} endogenous regressors: the set is computed for one; test points of several with "
            f"anderson_rubin."
        )
    if not (isinstance(level, Real) and 0 < level < 1):
        raise UsageError(f"the confidence level is {level}: expected a number between 0 and 1, such as 0.95.")
    n, l2 = Z2.shape
    count = X1.shape[1] + l2
    part = partial_out(y, X1, X2, Z2)
    if chi2:
        c = float(special.chdtri(l2, 1 - level))
    else:
        c = float(special.fdtri(l2, errors.df(n, count), level)) * l2 * errors.factor(n, count)
    # in t = (b - centre) / scale the projections on the instruments have similar sizes, so units do not matter
    x = part.X2[:, 0]
    centre = float((part.Qz.T @ x) @ (part.Qz.T @ part.y) / ((part.Qz.T @ x) @ (part.Qz.T @ x)))
    e = part.y - centre * x
    scale = float(np.linalg.norm(_net(e, part.Qz)) / np.linalg.norm(part.Qz.T @ x))
    x = x * scale
    Omega, a = _polynomials(e, x, part.Qz, errors)

    def excess(t: float) -> float:
        return quadratic(a(t), Omega[0] + t * Omega[1] + t**2 * Omega[2]) - c

    roots = _roots(e, x, part.Qz, errors, Omega, c)
    # one point between every two roots, and one beyond the outermost on either side
    reach = 1 + np.abs(roots).max(initial=0)
    points = np.concatenate([[-2 * reach], (roots[1:] + roots[:-1]) / 2, [2 * reach]])
    values = np.array([excess(t) for t in points])
    if np.isnan(values).any():
        raise EstimationError(
            "the covariance of the instruments' products with the errors is singular or not positive: expected full "
            "rank; use fewer instruments, more clusters or another kernel."
        )
    inside = values <= 0
    ends = [
        float(optimize.brentq(excess, points[i], points[i + 1], xtol=1e-14, rtol=1e-14))
        for i in np.flatnonzero(inside[1:] != inside[:-1])
    ]
    bounds = [-np.inf, *(centre + scale * t for t in ends), np.inf]
    pieces = list(pairwise(bounds))
    return ConfidenceSet(level, tuple(pieces[0 if inside[0] else 1 :: 2]))


def _polynomials(
    e: np.ndarray, x: np.ndarray, Qz: np.ndarray, errors: Errors
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Callable[[float], np.ndarray]]:
    """Coefficients of Omega(t) in 1, t and t^2, and a(t), for the residuals e - x t."""
    u, v = _net(e, Qz), _net(x, Qz)
    constant, square = errors.moments(Qz, u), errors.moments(Qz, v)
    # polarisation: the covariance is a quadratic form of the residuals
    mixed = (errors.moments(Qz, u - v) - errors.moments(Qz, u + v)) / 2
    return (constant, mixed, square), lambda t: Qz.T @ (e - x * t)


def _roots(
    e: np.ndarray,
    x: np.ndarray,
    Qz: np.ndarray,
    errors: Errors,
    Omega: tuple[np.ndarray, np.ndarray, np.ndarray],
    c: float,
) -> np.ndarray:
    """Candidates for the ends of the set, ascending; a few too many do no harm."""
    g, h = Qz.T @ e, Qz.T @ x
    if errors.meat is None:
        coefficients = [
            h @ h - c * Omega[2][0, 0],
            -2 * (h @ g) - c * Omega[1][0, 0],
            g @ g - c * Omega[0][0, 0],
        ]
        found = np.roots(coefficients)
    else:
        N0, N2 = Omega[0] - np.outer(g, g) / c, Omega[2] - np.outer(h, h) / c
        N1 = Omega[1] + (np.outer(g, h) + np.outer(h, g)) / c
        zero, one = np.zeros_like(N0), np.eye(len(N0))
        alpha, beta = linalg.eig(
            np.block([[zero, one], [-N0, -N1]]),
            np.block([[one, zero], [zero, N2]]),
            right=False,
            homogeneous_eigvals=True,
        )
        found = (alpha / beta)[np.abs(beta) > 1e-12 * np.abs(alpha)]
    # a double root comes out as a pair with imaginary parts near the root of the machine precision
    real = np.abs(found.imag) <= 1e-6 * (1 + np.abs(found))
    return np.unique(found.real[real])


# D. Staiger, J. Stock (1997), Econometrica 65, 557-586: below it normal intervals are not to be trusted.
RULE_OF_THUMB = 10.0
WEAK = "the F of the instruments is {:.2f}, below 10: report Anderson-Rubin tests and sets instead of these intervals"

# --- in words ---------------------------------------------------------------------------------------------------------


def advice(tests: RankTests, k2: int, l2: int, method: str = "2sls") -> tuple[str, ...]:
    """What the rank tests say, in sentences; `method` is "2sls", "liml", "fuller" or "gmm".

    Strong is what the effective F says where errors are not iid and there is one endogenous regressor, and what Stock
    and Yogo's values say elsewhere.
    """
    name = "Cragg-Donald F" if tests.iid else "Kleibergen-Paap rk Wald F"
    found = [
        f"Underidentification: {'Anderson' if tests.iid else 'Kleibergen-Paap rk'} LM, {tests.lm}; "
        + ("not rejected: the equation may not be identified." if tests.lm.pvalue > 0.05 else "rejected at 5 %.")
    ]
    if np.isnan(tests.f):
        return (
            *found,
            f"{name} is not computed: the covariance of the products of instruments and errors is singular.",
        )
    text, strong = _stock_yogo(tests, k2, l2, method)
    found.append(f"{name} = {tests.f:.2f}; {text}")
    if not tests.iid:
        found.append(
            "Stock and Yogo's values hold for iid errors only; beside robust or clustered errors they are a guide."
        )
    if tests.effective_f is not None:
        above = tests.effective_f > tests.effective_critical
        strong = strong if tests.iid else above
        found.append(
            f"Effective F of Montiel Olea and Pflueger (2013), valid for these errors, = {tests.effective_f:.2f}; "
            f"{'above' if above else 'not above'} {tests.effective_critical:.2f}, the critical value for a bias of "
            f"10 % of the worst case."
        )
    elif not tests.iid:
        found.append(
            "With several endogenous regressors and errors that are not iid no critical value of the rk F is "
            "established here: D. Lewis and K. Mertens (2022) derive one for the bias."
        )
    if not strong:
        found.append(
            "The instruments are not shown to be strong: report Anderson-Rubin tests and sets, which hold anyway."
        )
    return tuple(found)


def _stock_yogo(tests: RankTests, k2: int, l2: int, method: str) -> tuple[str, bool]:
    """What Stock and Yogo's values say of the F, by the first table that has any, and whether it is above one."""
    tables = {"2sls": ("size", "bias"), "gmm": ("size", "bias"), "liml": ("liml_size",), "fuller": ("fuller_bias",)}
    for table in tables[method]:
        values = {level: critical_value(k2, l2, table, level) for level in LEVELS[table]}
        known = {level: value for level, value in values.items() if value is not None}
        if known:
            break
    else:
        table = tables[method][0]
        return f"Stock and Yogo (2005), {_tolerated(table)}: {cell(k2, l2, table, LEVELS[table][0])}.", False
    what = _tolerated(table)
    kept = [level for level, value in known.items() if tests.f > value]
    listed = ", ".join(f"{level:.0%}: {value:.2f}" for level, value in known.items())
    is_ = "is" if tests.iid else "would be, for iid errors,"
    said = (
        f"the {what} {is_} at most {min(kept):.0%}." if kept else f"below all: the {what} may exceed {max(known):.0%}."
    )
    return f"Stock and Yogo (2005) critical values, {what}: {listed}; {said}", bool(kept)


def _tolerated(table: str) -> str:
    return "relative bias" if "bias" in table else "size of a 5 % test"
