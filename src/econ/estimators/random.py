"""Random effects: variance components, the columns that least squares takes, and the regressions around them.

Letters: y (n,), X (n, k) without a constant, of full column rank beside one; `entity` (n,) dense codes 0.. of groups,
T_i the rows of group i, N the groups; y_it = a + x_it b + u_i + e_it.  Generalised least squares is least squares on
columns less a share theta of their group means (W. Fuller, G. Battese (1974), "Estimation of linear models with
crossed-error structure", J. Econom. 2, 67-78), so that every covariance of `covariance.py` applies to it.

Stata and plm judge the coefficients by the residuals of that regression, s2 = e'e / (n - k - 1), and by the normal
law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from econ.errors import EstimationError, UsageError
from econ.estimators.within import absorb, absorbed_rank, demean, group_means, split_columns

VARIANTS = {
    "stata": "Swamy-Arora from unweighted means (xtreg, re)",
    "sa": "Swamy-Arora from means weighted by their rows, after Baltagi and Chang (xtreg, re sa)",
    "plm": "Swamy-Arora from means weighted by their rows, after Baltagi and Chang (plm)",
}


@dataclass(frozen=True, eq=False)
class Components:
    """Variances of a one-way model, and theta (N,) = 1 - sqrt(sigma2_e / (T_i sigma2_u + sigma2_e)) of each group."""

    sigma2_u: float
    sigma2_e: float
    theta: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TwoWayComponents:
    """Variances of a two-way model, and its three shares: of entity means, of time means, of the overall mean."""

    sigma2_entity: float
    sigma2_time: float
    sigma2_e: float
    theta: tuple[float, float, float]
    notes: tuple[str, ...] = ()


def swamy_arora(y: np.ndarray, X: np.ndarray, entity: np.ndarray, variant: str = "stata") -> Components:
    """Components from the within and the between regression.

    P. Swamy, S. Arora (1972), "The exact finite sample properties of the estimators of coefficients in the error
    components regression models", Econometrica 40, 261-275.  For unbalanced panels `variant` says how the between
    residuals are weighted: "stata" gives each group the same weight and takes the harmonic mean of T_i; "sa", also
    called "plm", weighs by T_i and takes expectations exactly (B. Baltagi, Y. Chang (1994), "Incomplete panels",
    J. Econom. 62, 67-89, eq. 16).  On balanced panels they are the same.
    """
    if variant not in VARIANTS:
        raise UsageError(f"there is no variant {variant!r} of Swamy-Arora: choose among {', '.join(VARIANTS)}.")
    rows = np.bincount(entity)
    n, groups = y.size, rows.size
    sigma2_e = _within_variance(demean(y, entity), X, demean(X, entity), groups)
    weight = np.ones(groups) if variant == "stata" else rows.astype(float)
    y_b, W = _means(y, X, entity, weight)
    Q = _basis(W, W)
    free = groups - Q.shape[1]
    if free <= 0:
        raise EstimationError(
            f"{groups:,} groups cannot carry a between regression of {Q.shape[1]:,} coefficients: expected more "
            f"groups than coefficients; drop regressors, or use fixed effects."
        )
    rss_b = _rss(y_b, Q)
    if variant == "stata":
        sigma2_u = rss_b / free - sigma2_e * np.mean(1 / rows)
    else:
        sigma2_u = (rss_b - free * sigma2_e) / (n - np.sum(rows @ Q**2))
    sigma2_u, notes = _not_negative(sigma2_u, "the groups")
    return Components(sigma2_u, sigma2_e, 1 - np.sqrt(sigma2_e / (rows * sigma2_u + sigma2_e)), notes)


def swamy_arora_twoway(y: np.ndarray, X: np.ndarray, entity: np.ndarray, time: np.ndarray) -> TwoWayComponents:
    """Components of u_i + v_t + e_it in a balanced panel, as plm has them (effect = "twoways").

    B. Baltagi (2013), "Econometric Analysis of Panel Data", 5th ed., section 3.3.1; an unbalanced panel is refused,
    for its covariance matrix is not diagonalised by means.
    """
    groups, periods = int(entity.max()) + 1, int(time.max()) + 1
    if y.size != groups * periods:
        raise EstimationError(
            f"two-way random effects need a balanced panel, and {y.size:,} of {groups:,} x {periods:,} rows are "
            f"there: use one-way random effects with a dummy for each period."
        )
    sigma2_e = _within_variance(absorb(y, entity, time), X, absorb(X, entity, time), absorbed_rank(entity, time))
    sigma2, notes = [], []
    for code, levels, size, name in ((entity, groups, periods, "entities"), (time, periods, groups, "periods")):
        y_b, W = _means(y, X, code, np.ones(levels))
        Q = _basis(W, W)
        if levels <= Q.shape[1]:
            raise EstimationError(
                f"{levels:,} {name} cannot carry a between regression of {Q.shape[1]:,} coefficients: expected more "
                f"{name} than coefficients; drop regressors, or use one-way effects."
            )
        value, note = _not_negative(_rss(y_b, Q) / (levels - Q.shape[1]) - sigma2_e / size, f"the {name}")
        sigma2.append(value)
        notes += note
    share_i, share_t = (
        np.sqrt(sigma2_e / (size * s + sigma2_e)) for size, s in zip((periods, groups), sigma2, strict=True)
    )
    share = np.sqrt(sigma2_e / (periods * sigma2[0] + groups * sigma2[1] + sigma2_e))
    theta = (float(1 - share_i), float(1 - share_t), float(1 - share_i - share_t + share))
    return TwoWayComponents(sigma2[0], sigma2[1], sigma2_e, theta, tuple(notes))


def quasi_demean(values: np.ndarray, theta: np.ndarray, code: np.ndarray) -> np.ndarray:
    """(n,) or (n, k) values less theta (N,) times the means of their groups; a constant becomes 1 - theta."""
    share = theta if values.ndim == 1 else theta[:, None]
    return values - (share * group_means(values, code))[code]


def quasi_demean_twoway(
    values: np.ndarray, theta: tuple[float, float, float], entity: np.ndarray, time: np.ndarray
) -> np.ndarray:
    """(n,) or (n, k) values less shares of their entity and time means, plus a share of the overall mean."""
    by_entity, by_time, overall = theta
    return (
        values
        - by_entity * group_means(values, entity)[entity]
        - by_time * group_means(values, time)[time]
        + overall * values.mean(axis=0)
    )


def r_squareds(y: np.ndarray, X: np.ndarray, b: np.ndarray, entity: np.ndarray) -> dict[str, float]:
    """Squared correlations of y and X b (k slopes): of deviations from group means, of group means, of all rows.

    As Stata's `xtreg, re` and `xtreg, be` report them; NaN where one of the two does not vary.
    """
    fitted = X @ b
    return {
        "within": _squared_correlation(demean(fitted, entity), demean(y, entity)),
        "between": _squared_correlation(group_means(fitted, entity), group_means(y, entity)),
        "overall": _squared_correlation(fitted, y),
    }


def between(y: np.ndarray, X: np.ndarray, entity: np.ndarray, wls: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N, k + 1) means of the groups, the constant first.

    Each group counts once, as in `xtreg, be`; with `wls` it counts by its rows (`xtreg, be wls`), and y and columns
    come multiplied by the square roots of those weights, which sum to N.
    """
    rows = np.bincount(entity)
    return _means(y, X, entity, rows / rows.mean() if wls else np.ones(rows.size))


def consecutive(entity: np.ndarray, tick: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (m,) whose entity has a row one period before, by entity and period, and those rows (m,).

    `tick` (n,) counts whole periods, so that a gap breaks the chain.
    """
    order = np.lexsort((tick, entity))
    follows = (np.diff(entity[order]) == 0) & (np.diff(tick[order]) == 1)
    return order[1:][follows], order[:-1][follows]


def first_differences(
    y: np.ndarray, X: np.ndarray, entity: np.ndarray, tick: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Changes since the period before, where that is there: y (m,), X (m, k), and the rows (m,) now and before.

    The equation in differences has no constant: one would be a trend in levels (J. Wooldridge (2010), "Econometric
    Analysis of Cross Section and Panel Data", 2nd ed., section 10.6).
    """
    now, before = consecutive(entity, tick)
    if now.size == 0:
        raise EstimationError(
            f"none of the {y.size:,} rows follows a row of its entity one period before: first differences need "
            f"consecutive periods; check the time column."
        )
    return y[now] - y[before], X[now] - X[before], now, before


def mundlak(X: np.ndarray, names: tuple[str, ...], entity: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n, q) group means of the regressors and their names "mean(x)".

    Y. Mundlak (1978), "On the pooling of time series and cross section data", Econometrica 46, 69-85: with them among
    the regressors, random effects give the within estimates of b.  Means are left out where they say nothing new:
    of regressors that do not vary inside groups, and where all means are alike (period dummies of a balanced panel).
    """
    means = group_means(X, entity)[entity]
    inside = split_columns(X, X - means)[1]
    alike = split_columns(X, means - means.mean(axis=0))[1]
    kept = [j for j in range(X.shape[1]) if j not in inside and j not in alike]
    return means[:, kept], tuple(f"mean({names[j]})" for j in kept)


# --- maximum likelihood -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MaximumLikelihood:
    """Gaussian maximum likelihood: b (k + 1,) constant first, its covariance, and the rest.

    `rho` is the share of sigma_u^2 in sigma_u^2 + sigma_e^2.
    """

    b: np.ndarray
    cov: np.ndarray
    sigma_u: float
    sigma_e: float
    loglik: float

    @property
    def rho(self) -> float:
        return self.sigma_u**2 / (self.sigma_u**2 + self.sigma_e**2)


# log of sigma_u^2 / sigma_e^2; below the first T times the ratio is lost beside 1, above the last 1 beside it
RATIOS = np.arange(-14.0, 41.0)


def maximum_likelihood(y: np.ndarray, X: np.ndarray, entity: np.ndarray) -> MaximumLikelihood:
    """Gaussian maximum likelihood of the one-way model, Stata's `xtreg, mle`; the panel may be unbalanced.

    b and sigma_e are concentrated out, which leaves phi = sigma_u^2 / sigma_e^2.  The likelihood of phi may have two
    maxima, one of them phi = 0 (G. Maddala (1971), "The use of variance components models in pooling cross section
    and time series data", Econometrica 39, 341-358), so that every zero of its score is looked at.
    The covariance is the inverse of the observed information of (b, sigma_e^2, phi).
    """
    rows = np.bincount(entity)
    _within_variance(demean(y, entity), X, demean(X, entity), rows.size)  # refuses what has no maximum
    W = np.column_stack([np.ones(y.size), X])
    length = np.linalg.norm(W, axis=0)
    scaled = W / length

    def at(phi: float) -> tuple[np.ndarray, float, float, np.ndarray]:
        """b of the scaled columns, e*'e* / n, log-likelihood, and group sums of e over 1 + T phi."""
        theta = 1 - 1 / np.sqrt(1 + rows * phi)
        stars = quasi_demean(scaled, theta, entity)
        y_star = quasi_demean(y, theta, entity)
        b = np.linalg.lstsq(stars, y_star, rcond=None)[0]
        sigma2 = np.sum((y_star - stars @ b) ** 2) / y.size
        loglik = -(y.size * (np.log(2 * np.pi * sigma2) + 1) + np.sum(np.log1p(rows * phi))) / 2
        return b, sigma2, loglik, np.bincount(entity, y - scaled @ b) / (1 + rows * phi)

    def score(log_phi: float) -> float:
        phi = np.exp(log_phi)
        _, sigma2, _, sums = at(phi)
        return float(sums @ sums / sigma2 - np.sum(rows / (1 + rows * phi)))

    scores = [score(ratio) for ratio in RATIOS]
    if scores[-1] > 0:
        raise EstimationError(
            f"the likelihood still rises where sigma_u is {np.exp(RATIOS[-1] / 2):.0e} times sigma_e: next to nothing "
            f"varies inside the groups that the regressors do not explain; use other regressors."
        )
    tops = [
        np.exp(optimize.brentq(score, RATIOS[j], RATIOS[j + 1], xtol=1e-14, rtol=1e-14))
        for j in range(RATIOS.size - 1)
        if scores[j] > 0 >= scores[j + 1]
    ]
    phi = max([0.0, *tops], key=lambda ratio: at(ratio)[2])
    b, sigma2, loglik, sums = at(phi)

    stars = quasi_demean(scaled, 1 - 1 / np.sqrt(1 + rows * phi), entity)
    information = stars.T @ stars / sigma2
    if phi > 0:
        # information of (sigma_e^2, phi), and of b with phi; that of b with sigma_e^2 is zero at the maximum
        shrink = rows / (1 + rows * phi)
        slope = -(sums @ sums)  # of e*'e* in phi
        ancillary = np.array(
            [
                [y.size / (2 * sigma2**2), -slope / (2 * sigma2**2)],
                [-slope / (2 * sigma2**2), shrink @ sums**2 / sigma2 - shrink @ shrink / 2],
            ]
        )
        column_sums = group_means(scaled, entity) * shrink[:, None]
        cross = np.column_stack([np.zeros(b.size), column_sums.T @ sums / sigma2])
        information -= cross @ np.linalg.solve(ancillary, cross.T)
    return MaximumLikelihood(
        b=b / length,
        cov=np.linalg.inv(information) / np.outer(length, length),
        sigma_u=float(np.sqrt(phi * sigma2)),
        sigma_e=float(np.sqrt(sigma2)),
        loglik=float(loglik),
    )


# --- regressions inside ---------------------------------------------------------------------------------------------


def _means(y: np.ndarray, X: np.ndarray, code: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(groups,) and (groups, k + 1) group means times the square roots of weights, the constant first."""
    root = np.sqrt(weight)
    return root * group_means(y, code), root[:, None] * np.column_stack([np.ones(root.size), group_means(X, code)])


def _basis(X: np.ndarray, net: np.ndarray) -> np.ndarray:
    """(n, rank) orthonormal columns that span `net`, which is X after effects were taken out."""
    kept = net[:, split_columns(X, net)[0]]
    return np.linalg.qr(kept / np.linalg.norm(kept, axis=0))[0]


def _rss(y: np.ndarray, Q: np.ndarray) -> float:
    """Residual sum of squares of y on orthonormal columns."""
    return float(np.sum((y - Q @ (Q.T @ y)) ** 2))


def _within_variance(y_net: np.ndarray, X: np.ndarray, X_net: np.ndarray, absorbed: int) -> float:
    """s2 of the regression net of `absorbed` effects."""
    Q = _basis(X, X_net)
    free = y_net.size - absorbed - Q.shape[1]
    if free <= 0:
        raise EstimationError(
            f"{y_net.size:,} rows leave no degree of freedom inside the effects beside {Q.shape[1]:,} slopes: expected "
            f"more rows a group; add periods or drop regressors."
        )
    sigma2 = _rss(y_net, Q) / free
    if sigma2 <= 1e-24 * np.mean(y_net**2):  # what rounding leaves of an exact fit
        raise EstimationError(
            "the regressors explain the dependent variable exactly inside the effects, so that there is no error "
            "variance to compare with: use other regressors."
        )
    return sigma2


def _not_negative(sigma2: float, whose: str) -> tuple[float, tuple[str, ...]]:
    """The component and a note; a negative one is set to zero, as programs do."""
    if sigma2 < 0:
        return 0.0, (f"variance component of {whose} estimated at {sigma2:.4g} < 0 and set to 0",)
    return float(sigma2), ()


def _squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a @ b / length) ** 2) if length > 0 else float("nan")
