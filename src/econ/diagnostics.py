"""Specification tests: what an `Estimate` has to stand up to, and which of two to believe.

Each test is a function of arrays that returns a `Test`, and a public function that takes what `econ.fit` returns and
reads `Estimate.design`: y (n,), X (n, k) in levels without a constant, names, rows (`estimators.design.Rows`) and
residuals (n,) of the least-squares regression that gave the coefficients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from econ.errors import EstimationError, UsageError
from econ.estimators import covariance
from econ.estimators.estimate import Estimate, Test
from econ.estimators.random import (
    consecutive,
    first_differences,
    quasi_demean,
    quasi_demean_twoway,
)
from econ.estimators.regression import DF_OF_CLUSTERS
from econ.estimators.within import absorb, demean, mean, split_columns

# Share of the variance of the consistent estimator below which the variance of a contrast is rounding.
CONTRAST = 1e-9

# Share of the largest eigenvalue of a correlation matrix below which a direction has no variance of its own.
SINGULAR = 1e-10

# A. Juodis, S. Reese (2022), J. Bus. Econ. Stat. 40, 1191-1203; benchmarks/estimators.md has its size.
CD_BESIDE_PERIODS = (
    "effects of time make the residuals of a period sum to 0, which moves the statistic below 0 and lets it reject "
    "without dependence: test the model without them"
)

# Share of the length of dummies that is left where the regressors hold them: rounding of a regression.
SPANNED = 1e-8

# Share of a sum of squares below which a variance about the mean is what rounding left.
CONSTANT = 1e-12


# --- Hausman --------------------------------------------------------------------------------------------------------


def hausman(
    fe: Estimate,
    re: Estimate,
    sigmamore: bool = False,
    sigmaless: bool = False,
    coefficients: Sequence[str] | None = None,
    method: str = "contrast",
    cov: str = "classical",
) -> Test:
    """Do random effects estimate the same slopes as fixed effects?

    Parameters
    ----------
    fe, re : Estimate
        The consistent and the efficient estimate, on the same rows, with effects of the same columns or dummies of
        them (`C(year)`).
    sigmamore, sigmaless : bool
        Let both covariances have the error variance of `re` (sigmamore) or of `fe` (sigmaless), so that their
        difference is positive semidefinite, as Stata's options do.
    coefficients : sequence of str, optional
        Slopes to compare; by default all that both have, period dummies included, as Stata does.
    method : str
        "contrast" compares the coefficients (J. Hausman (1978), "Specification tests in econometrics", Econometrica
        46, 1251-1271, eq. 2.11), "auxiliary" adds the within columns to the random-effects regression and tests them
        (eq. 2.17), which is not negative and allows any covariance.
    cov : str
        For "auxiliary": "classical", or "cluster" by entity without a small-sample factor (M. Arellano (1993), "On
        the testing of correlated effects with panel data", J. Econom. 59, 87-97).

    Returns
    -------
    Test
        chi2 with the rank of the contrast; its note says how definite that was.  A negative statistic is returned as
        it is, with p = NaN.
    """
    for what, choice, known in (
        ("method", method, ("contrast", "auxiliary")),
        ("covariance", cov, ("classical", "cluster")),
    ):
        if choice not in known:
            raise UsageError(f"there is no {what} {choice!r} of a Hausman test: choose among {', '.join(known)}.")
    _refuse_others(fe, re)
    if fe.nobs != re.nobs or fe.dependent != re.dependent or not _same_rows(fe, re):
        raise UsageError(
            f"{fe.model} explains {fe.dependent!r} in {fe.nobs:,} rows and {re.model} {re.dependent!r} in {re.nobs:,}, "
            f"not the same ones with the same weights: a Hausman test compares two estimates of one sample; fit both "
            f"on the same rows."
        )
    names = _common(fe, re, coefficients)
    if method == "auxiliary":
        if sigmamore or sigmaless:
            raise UsageError("sigmamore and sigmaless are for method='contrast': leave them out of 'auxiliary'.")
        _refuse_other_effects(fe, re)
        return _auxiliary(re, names, cov == "cluster")
    if cov != "classical":
        raise UsageError(f"cov={cov!r} needs method='auxiliary': the contrast is right for classical errors only.")
    if sigmamore and sigmaless:
        raise UsageError("sigmamore and sigmaless are both asked for: one error variance can be used, choose one.")
    for est in (fe, re):
        if not est.cov_type.startswith("classical"):
            raise UsageError(
                f"the covariance of {est.model} is {est.cov_type}, and a contrast is right for classical errors "
                f"only: fit with cov='classical', or pass method='auxiliary', cov='cluster'."
            )
        if (sigmamore or sigmaless) and est.error_variance is None:
            raise UsageError(
                f"the covariance of {est.model} is no multiple of one error variance, which sigmamore and sigmaless "
                f"exchange: leave them out, or fit by least squares or two-stage least squares."
            )
    _refuse_other_effects(fe, re)
    V_b, V_B = fe.cov.loc[names, names].to_numpy(), re.cov.loc[names, names].to_numpy()
    if sigmamore:
        V_b = V_b * (re.error_variance / fe.error_variance)
    if sigmaless:
        V_B = V_B * (fe.error_variance / re.error_variance)
    return hausman_contrast(fe.params[names].to_numpy(), V_b, re.params[names].to_numpy(), V_B)


def hausman_contrast(b: np.ndarray, V_b: np.ndarray, B: np.ndarray, V_B: np.ndarray) -> Test:
    """(b - B)' (V_b - V_B)^- (b - B) for b (k,) consistent and B (k,) efficient under the null.

    The inverse is Moore and Penrose's after b was rotated to unit covariance, so that neither units nor other bases
    matter; directions whose variance is below 1e-9 of that of b are left out, and df counts the others.
    """
    root = np.linalg.cholesky(_correlation(V_b))
    scale = np.sqrt(np.diag(V_b))
    d = np.linalg.solve(root, (b - B) / scale)
    half = np.linalg.solve(root, (V_b - V_B) / np.outer(scale, scale))
    values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
    used = np.abs(values) > CONTRAST
    rank, negative = int(used.sum()), int((values[used] < 0).sum())
    if rank == 0:
        raise EstimationError(
            "both estimates have the same covariance, so that nothing tells them apart: compare fixed effects with an "
            "estimate that uses the variation between groups."
        )
    stat = float(np.sum((vectors[:, used].T @ d) ** 2 / values[used]))
    notes = ["V(b) - V(B) is positive definite"]
    if negative:
        notes = [f"V(b) - V(B) is not positive definite, {negative} of {rank} eigenvalues < 0"]
    elif rank < b.size:
        notes = ["V(b) - V(B) is positive semidefinite"]
    if rank < b.size:
        notes.append(f"its rank is {rank} of {b.size}, Moore-Penrose inverse used")
    if stat < 0:
        notes.append("a negative statistic has no p-value: use sigmamore=True or method='auxiliary'")
    elif negative:
        notes.append("the p-value is doubtful: compare sigmamore=True or method='auxiliary'")
    return Test(stat, (rank,), "slopes do not differ systematically", "none" if stat < 0 else "chi2", "; ".join(notes))


def hausman_auxiliary(
    y: np.ndarray, W: np.ndarray, X_net: np.ndarray, tested: Sequence[int], code: np.ndarray | None
) -> Test:
    """Wald test of within columns X_net (n, k) beside the quasi-demeaned y (n,) and W (n, k + 1), constant first.

    `tested` are the columns of X_net that the null sets to 0; those that do not vary inside the effects, or that W
    makes redundant, are left out.  `code` (n,) clusters the covariance, without a small-sample factor.
    """
    both = np.column_stack([W, X_net])
    kept = split_columns(np.column_stack([W, W[:, 1:]]), both)[0]
    columns = both[:, kept]
    b, e = _least_squares(y, columns)
    if code is None:
        V = covariance.classical(columns, e, y.size - len(kept))
    else:
        V = covariance.sandwich(columns, covariance.clustered(columns * e[:, None], code))
    picked = [place for place, j in enumerate(kept) if j - W.shape[1] in set(tested)]
    if not picked:
        raise EstimationError(
            "no within column is left to test, each is determined by the random-effects regressors: compare "
            "regressors that vary inside and between entities."
        )
    stat, rank = _quadratic(b[picked], V[np.ix_(picked, picked)])
    notes = ["auxiliary regression", "classical errors" if code is None else "clustered, no small-sample factor"]
    if len(picked) < len(tested):
        notes.append(f"{len(tested) - len(picked)} of {len(tested)} within columns left out as redundant")
    if rank < len(picked):
        notes.append(f"too few clusters for {len(picked)} columns, Moore-Penrose inverse of rank {rank} used")
    return Test(stat, (rank,), "effects not correlated with the regressors", "chi2", "; ".join(notes))


def _common(fe: Estimate, re: Estimate, coefficients: Sequence[str] | None) -> list[str]:
    both = [name for name in fe.params.index if name in re.params.index and name != "Intercept"]
    if coefficients is not None:
        coefficients = [coefficients] if isinstance(coefficients, str) else list(coefficients)
        if len(set(coefficients)) < len(coefficients):
            raise UsageError(f"coefficients are {coefficients}: expected each slope once.")
        unknown = [name for name in coefficients if name not in both]
        if unknown:
            raise UsageError(f"{unknown[0]!r} is not a slope of both estimates: choose among {', '.join(both)}.")
        both = coefficients
    if not both:
        raise UsageError(f"{fe.model} and {re.model} have no slope in common: fit both with the same regressors.")
    return both


def _refuse_other_effects(fe: Estimate, re: Estimate) -> None:
    """Raise UsageError where one has effects that the other knows nothing of; no effects may be compared with any."""
    if not re.effects or not fe.effects:
        return
    for one, other in ((fe, re), (re, fe)):
        for name in one.effects:
            if name in other.effects or _spans(other, name):
                continue
            raise UsageError(
                f"{one.model} has effects of {name} and {other.model} has none, so that their slopes differ whether or "
                f"not effects are correlated with the regressors: fit both with the same effects, or with dummies "
                f"(C({name})) in the other."
            )


def _spans(est: Estimate, effect: str) -> bool:
    """Whether the regressors hold dummies of a column of keys, such as C(year)."""
    design = est.design
    if design is None:
        return True
    code = dict(zip(design.rows.names, (design.rows.entity, design.rows.time), strict=True))[effect]
    levels = int(code.max()) + 1
    if levels - 1 > design.X.shape[1]:
        return False
    dummies = np.eye(levels)[code]
    columns = np.column_stack([np.ones(code.size), design.X])
    columns /= np.linalg.norm(columns, axis=0)
    left = dummies - columns @ np.linalg.lstsq(columns, dummies)[0]
    return bool(np.linalg.norm(left) < SPANNED * np.linalg.norm(dummies))


def _auxiliary(re: Estimate, names: list[str], clustered: bool) -> Test:
    design = _design(re)
    y, X, rows = design.y, design.X, design.rows
    columns = np.column_stack([np.ones(y.size), X])
    by_entity, by_time = (name in re.effects and re.random for name in rows.names)
    if by_entity and by_time:
        theta = tuple(re.components[f"theta_{part}"] for part in ("entity", "time", "total"))
        y_star, W = (quasi_demean_twoway(values, theta, rows.entity, rows.time) for values in (y, columns))
    elif by_entity or by_time:
        code = rows.entity if by_entity else rows.time
        u2, e2 = re.components["sigma_u"] ** 2, re.components["sigma_e"] ** 2
        theta = 1 - np.sqrt(e2 / (np.bincount(code) * u2 + e2))
        y_star, W = (quasi_demean(values, theta, code) for values in (y, columns))
    else:
        raise UsageError(
            f"{re.model} has no random effects of {' or '.join(rows.names)}: pass the random-effects estimate second."
        )
    X_net = absorb(X, rows.entity if by_entity else None, rows.time if by_time else None)
    tested = [list(design.names).index(name) for name in names]
    return hausman_auxiliary(y_star, W, X_net, tested, rows.entity if clustered else None)


# --- nested models --------------------------------------------------------------------------------------------------


def lr(big: Estimate, small: Estimate) -> Test:
    """Likelihood ratio 2 (ll_big - ll_small), chi2 with as many degrees of freedom as `big` has more coefficients."""
    _refuse_others(big, small)
    for est in (big, small):
        if est.loglik is None or est.n_coefs is None:
            raise UsageError(f"{est.model} has no likelihood: compare estimates that have one.")
    one, other = _censoring(big), _censoring(small)
    if one != other:
        raise UsageError(
            f"the limits of {big.model} are {one}, those of {small.model} {other}, so that their likelihoods are of "
            f"different data: fit both with the same limits."
        )
    if big.nobs != small.nobs or big.dependent != small.dependent or not _same_rows(big, small):
        raise UsageError(
            f"the models explain {big.dependent!r} in {big.nobs:,} rows and {small.dependent!r} in {small.nobs:,}, not "
            f"the same rows with the same weights: a likelihood ratio needs one sample; fit both on the rows that the "
            f"larger model uses."
        )
    q = big.n_coefs - small.n_coefs
    added = _not_nested(big, small) if q > 0 else None
    if q <= 0 or added is not None:
        why = f"it has {small.n_coefs:,} coefficients against {big.n_coefs:,}"
        if added is not None:
            why = f"{added} is in the smaller model only"
        raise UsageError(
            f"{small.model} ({small.formula}) is not nested in {big.model} ({big.formula}), {why}: pass the larger "
            f"model first."
        )
    stat = 2 * (big.loglik - small.loglik)
    if stat < -1e-8 * abs(big.loglik):  # what rounding can do
        raise UsageError(
            f"the larger model has the lower log-likelihood ({big.loglik:.6g} < {small.loglik:.6g}), so that the other "
            f"cannot be nested in it: compare models fitted by the same likelihood."
        )
    return Test(max(stat, 0.0), (q,), f"{small.formula} suffices", "chi2")


def _censoring(est: Estimate) -> str:
    """The limits in words, none where no row is beyond them: then the likelihood is Gaussian."""
    limited = getattr(est, "limited", None)
    return "lower none, upper none" if limited is None or not limited.censored else limited.limits


def wald(est: Estimate, restrictions: str | Sequence[str] | np.ndarray | tuple[np.ndarray, np.ndarray]) -> Test:
    """Linear restrictions R b = q on the coefficients, with the covariance of the estimate.

    Parameters
    ----------
    est : Estimate
        F(rows of R, df_resid), or chi2 where df_resid is None; one row beside CR2 has Satterthwaite's degrees of
        freedom.
    restrictions : str, list of str, array, or pair of arrays
        Such as "fw = bw", ["fw + 2*bw = 1", "gov"], R (r, k), or R and q (r,).  Without "=" the expression is 0.
    """
    _refuse_others(est)
    names = list(est.params.index)
    R, q, null = _restrictions(restrictions, names)
    if not (np.isfinite(R).all() and np.isfinite(q).all()):
        raise UsageError(f"the restrictions {null!r} hold numbers that are not finite: expected finite ones.")
    if R.ndim != 2 or R.shape[1] != len(names) or q.shape != (R.shape[0],):
        raise UsageError(
            f"R has the shape {R.shape} and q {q.shape}: expected (r, {len(names)}) and (r,), a column a coefficient."
        )
    V = est.cov.to_numpy()
    used = (R != 0).any(axis=0)
    if not np.isfinite(V[np.ix_(used, used)]).all():
        raise EstimationError(
            f"a coefficient in {null!r} has no standard error: leave it out, or use another covariance."
        )
    # units of the coefficients must not decide what is singular
    scaled = R[:, used] * np.sqrt(np.diag(V)[used])
    scaled = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), np.finfo(float).tiny)
    if np.linalg.matrix_rank(scaled) < len(R):
        raise UsageError(f"the restrictions {null!r} repeat or contradict each other: leave out what others imply.")
    stat, rank = _quadratic(R @ est.params.to_numpy() - q, R[:, used] @ V[np.ix_(used, used)] @ R[:, used].T)
    if rank < len(R):
        raise EstimationError(
            f"{len(R)} restrictions have a covariance of rank {rank}, as with fewer clusters than restrictions: test "
            f"fewer at a time, or use classical errors."
        )
    if est.df_resid is None:
        return Test(stat, (rank,), null, "chi2")
    if est.coefficient_df is None:
        return Test(stat / rank, (rank, est.df_resid), null, "F")
    if rank > 1:
        return Test(stat / rank, (rank, est.df_resid), null, "F", DF_OF_CLUSTERS)
    return Test(stat, (1, _satterthwaite(est, R[0])), null, "F")


def _satterthwaite(est: Estimate, contrast: np.ndarray) -> float:
    """Degrees of freedom of one contrast (k,) of the coefficients beside CR2."""
    alone = np.flatnonzero(contrast)
    if alone.size == 1:
        return float(est.coefficient_df.iloc[alone[0]])
    design = _design(est, weighted=True)
    X, rows = design.X, design.rows
    root = np.ones(rows.n) if rows.weight is None else np.sqrt(rows.weight)
    if est.params.index[0] == "Intercept":
        slopes = contrast[1:]
        if rows.absorbed:  # there the constant stands for the regressors' means
            slopes = slopes - contrast[0] * mean(X, rows.weight)
            X = absorb(X, *_absorbed(rows), rows.weight)
        X, contrast = np.column_stack([np.ones(rows.n), X]), np.concatenate([contrast[:1], slopes])
    return float(covariance.satterthwaite(root[:, None] * X, rows, rows.clusters[0][1], contrast[None, :])[0])


def _absorbed(rows: Any, but: Iterable[str] = ()) -> list[np.ndarray | None]:
    """Codes of entity and time, None for those that are not absorbed or are among `but`."""
    absorbed = set(rows.absorbed) - set(but)
    codes = (("entity", rows.entity), ("time", rows.time))
    return [code if effect in absorbed else None for effect, code in codes]


def _restrictions(given: Any, names: list[str]) -> tuple[np.ndarray, np.ndarray, str]:
    """R (r, k), q (r,) and the null in words."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, np.ndarray) and given.dtype.kind in "iuf":
        R = np.atleast_2d(given.astype(float))
        return R, np.zeros(len(R)), f"{len(R)} linear restrictions"
    if not isinstance(given, Iterable):
        raise UsageError(f"the restrictions are {given!r}: expected such as 'fw = bw', or a matrix R.")
    given = list(given)
    if not given:
        raise UsageError("there is no restriction: expected one or more, such as 'fw = bw'.")
    if not all(isinstance(part, str) for part in given):
        if len(given) != 2:
            raise UsageError(f"expected restrictions in words, R, or the pair (R, q), found {len(given)} arrays.")
        try:
            R, q = np.atleast_2d(np.asarray(given[0], float)), np.atleast_1d(np.asarray(given[1], float))
        except (TypeError, ValueError):
            raise UsageError("the restrictions mix words and numbers: expected words, R, or the pair (R, q).") from None
        return R, q, f"{len(R)} linear restrictions"
    parsed = [_restriction(text, names) for text in given]
    return np.array([row for row, _ in parsed]), np.array([value for _, value in parsed]), ", ".join(given)


def _restriction(text: str, names: list[str]) -> tuple[np.ndarray, float]:
    """(k,) and q of "2*a + b = 1"; names may hold any sign, so that the longest one that fits is taken."""
    number = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    term = re.compile(
        rf"\s*(?P<sign>[+-]?)\s*(?:(?P<alone>{known})|(?:(?P<factor>{number})\s*\*\s*)(?P<name>{known})"
        rf"|(?P<number>{number}))\s*(?=$|[=+-])"
    )
    row, value = np.zeros(len(names)), 0.0
    side, place, first = 1, 0, True
    while place < len(text) or first:
        found = term.match(text, place)
        if found is None or (not first and not found["sign"]):
            raise UsageError(
                f"the restriction {text!r} cannot be read at {text[place:].strip()!r}: expected terms such as 'a', "
                f"'2*a' or '1', joined by + and - with one '=', of {', '.join(names)}."
            )
        sign = side * (-1 if found["sign"] == "-" else 1)
        name = found["alone"] or found["name"]
        if name is None:
            value -= sign * float(found["number"])
        else:
            row[names.index(name)] += sign * float(found["factor"] or 1)
        place, first = found.end(), False
        if side == 1 and text[place : place + 1] == "=":
            side, place, first = -1, place + 1, True
    if not row.any():
        raise UsageError(f"the restriction {text!r} holds no coefficient: name one of {', '.join(names)}.")
    return row, value


# --- variance components --------------------------------------------------------------------------------------------


def breusch_pagan(est: Estimate, effects: str = "entity", variant: str = "lm") -> Test:
    """Are there random effects?  Lagrange multipliers of the pooled regression; the panel may be unbalanced.

    Parameters
    ----------
    est : Estimate
        Any estimate of the equation without instruments, in levels; the residuals of least squares are computed from
        its design, net of the fixed effects it has beside those asked about.
    effects : str
        "entity", "time" or "twoway" (both variances are 0).
    variant : str
        "lm", T. Breusch, A. Pagan (1980), "The Lagrange multiplier test and its applications to model specification
        in econometrics", Rev. Econ. Stud. 47, 239-253; or "honda", its square root with sign (Y. Honda (1985),
        "Testing the error components model with non-normal disturbances", Rev. Econ. Stud. 52, 681-690), which rejects
        for large values only: the one-sided p-value is in the note.
    """
    if effects not in ("entity", "time", "twoway"):
        raise UsageError(f"there are no effects {effects!r}: choose among entity, time, twoway.")
    if variant not in ("lm", "honda"):
        raise UsageError(f"there is no variant {variant!r} of the Breusch-Pagan test: choose lm or honda.")
    design = _levels(est)
    columns = np.column_stack([design.y, design.X])
    chosen = ["entity", "time"] if effects == "twoway" else [effects]
    # effects that are fixed in the model and not asked about stay out
    net = absorb(columns, *_absorbed(design.rows, but=chosen))
    kept = split_columns(columns[:, 1:], net[:, 1:])[0]
    _, e = _least_squares(net[:, 0], net[:, [j + 1 for j in kept]])
    codes = dict(zip(("entity", "time"), (design.rows.entity, design.rows.time), strict=True))
    shown = dict(zip(codes, design.rows.names, strict=True))
    roots = []
    for name in chosen:
        if np.bincount(codes[name]).max() == 1:
            raise EstimationError(
                f"each {shown[name]} has one row, which cannot show effects of {shown[name]}: test other effects."
            )
        roots.append(signed_multiplier(e, codes[name]))
    null = f"no random effects of {' or '.join(shown[name] for name in chosen)}"
    if variant == "lm":
        return Test(float(np.sum(np.square(roots))), (len(roots),), null, "chi2", "of least squares without them")
    stat = float(np.sum(roots) / np.sqrt(len(roots)))
    return Test(stat, (), null, "normal", f"one-sided, for variances are positive: p = {special.ndtr(-stat):.4g}")


def signed_multiplier(e: np.ndarray, code: np.ndarray) -> float:
    """n / sqrt(2 (S T_i^2 - n)) (S_i (S_t e_it)^2 / S e^2 - 1), e (n,) of the pooled regression.

    B. Baltagi, Q. Li (1990), "A Lagrange multiplier test for the error components model with incomplete panels",
    Econom. Rev. 9, 103-107; its square is Stata's `xttest0`.
    """
    rows = np.bincount(code)
    sums = np.bincount(code, e)
    return float(e.size / np.sqrt(2 * (rows @ rows - e.size)) * (sums @ sums / (e @ e) - 1))


# --- errors ---------------------------------------------------------------------------------------------------------


def pesaran_cd(est: Estimate) -> Test:
    """Are the residuals of different entities correlated?  See `cross_section_dependence`."""
    design = _design(est)
    if len(design.keys) == 1:
        raise UsageError(
            f"{est.model} has one row an entity, and dependence shows over periods: pass another estimate."
        )
    test = cross_section_dependence(design.residuals, design.rows.entity, design.rows.time, design.rows.names)
    if "time" in design.rows.absorbed or _spans(est, design.rows.names[1]):
        test = replace(test, note=f"{test.note}; {CD_BESIDE_PERIODS}")
    return test


def cross_section_dependence(
    e: np.ndarray, entity: np.ndarray, time: np.ndarray, names: tuple[str, str] = ("entity", "time")
) -> Test:
    """CD = sqrt(2 / (N (N - 1))) S_i<j sqrt(T_ij) r_ij, standard normal.

    M. H. Pesaran (2004), "General diagnostic tests for cross section dependence in panels", CESifo Working Paper
    1229, eqs. 7 and 50: r_ij is the correlation over the T_ij periods that both entities have, deviations from the
    means of those periods.  Pairs with fewer than two such periods, or without variation in them, do not count.
    """
    groups, periods = int(entity.max()) + 1, int(time.max()) + 1
    E, P = np.zeros((groups, periods)), np.zeros((groups, periods))
    E[entity, time], P[entity, time] = e, 1
    T = P @ P.T
    sums, squares = E @ P.T, E**2 @ P.T  # [i, j]: of i over the periods that it shares with j
    with np.errstate(invalid="ignore", divide="ignore"):  # pairs without common periods are left out below
        variance = squares - sums**2 / T
        r = (E @ E.T - sums * sums.T / T) / np.sqrt(variance * variance.T)
    varies = (T >= 2) & (variance > CONSTANT * squares)
    pair = np.triu(varies & varies.T, k=1)
    counted, total = int(pair.sum()), groups * (groups - 1) // 2
    if counted == 0:
        raise EstimationError(
            f"no two of the {groups:,} values of {names[0]!r} share two values of {names[1]!r} with residuals that "
            f"vary: a test of dependence needs overlapping histories; use a longer panel."
        )
    stat = float(np.sum(np.sqrt(T[pair]) * r[pair]) / np.sqrt(counted))
    note = f"mean correlation {r[pair].mean():.4f}, mean absolute {np.abs(r[pair]).mean():.4f}"
    if counted < total:
        note += f"; {total - counted:,} of {total:,} pairs without two common periods left out"
    return Test(stat, (), f"residuals of different {names[0]} are not correlated", "normal", note)


def wooldridge_serial(est: Estimate) -> Test:
    """Are the errors correlated over time?  See `serial_correlation`; effects of time are taken out of the changes."""
    design = _levels(est)
    time = design.rows.time if design.rows.names[1] in est.effects else None
    return serial_correlation(design.y, design.X, design.rows.entity, design.rows.tick, time)


def serial_correlation(
    y: np.ndarray, X: np.ndarray, entity: np.ndarray, tick: np.ndarray, time: np.ndarray | None = None
) -> Test:
    """F(1, N - 1) of -1/2 as slope of the residuals of first differences on those one period before.

    J. Wooldridge (2010), "Econometric Analysis of Cross Section and Panel Data", 2nd ed., section 10.6.3; clustered by
    entity as in D. Drukker (2003), "Testing for serial correlation in linear panel-data models", Stata J. 3, 168-177
    (`xtserial`).  Errors that are not correlated in levels have -1/2 in differences.  `time` (n,) codes are effects of
    the model in levels, as regressors they would be dummies.
    """
    dy, dX, now, _ = first_differences(y, X, entity, tick)
    if time is not None:  # a dummy of each period spans the changes of those in levels
        period = np.unique(time[now], return_inverse=True)[1]
        dy, dX = demean(dy, period), demean(dX, period)
    _, e = _least_squares(dy, dX[:, split_columns(X[now], dX)[0]])
    later, before = consecutive(entity[now], tick[now])
    groups, code = np.unique(entity[now][later], return_inverse=True)
    if groups.size < 2:
        raise EstimationError(
            f"{groups.size:,} entities have three consecutive periods: a test of serial correlation needs at least two "
            f"of them; use a longer panel."
        )
    lagged = e[before][:, None]
    slope, left = _least_squares(e[later], lagged)
    factor = covariance.cluster_factor(later.size, groups.size, 1)
    V = factor * covariance.sandwich(lagged, covariance.clustered(lagged * left[:, None], code))
    stat = float((slope[0] + 0.5) ** 2 / V[0, 0])
    note = f"slope {slope[0]:.4f} against -0.5, {later.size:,} pairs of residuals"
    return Test(stat, (1, groups.size - 1), "no first-order serial correlation", "F", note)


def modified_wald(est: Estimate) -> Test:
    """Do entities have the same error variance?  See `groupwise_heteroskedasticity`."""
    design = _design(est)
    if "entity" not in design.rows.absorbed:
        entity = design.rows.names[0]
        has = "random effects" if entity in est.effects else "no effects"
        raise UsageError(
            f"{est.model} has {has} of {entity}, and the modified Wald test is for fixed effects: fit with "
            f"effects='entity' or 'twoway'."
        )
    return groupwise_heteroskedasticity(design.residuals, design.rows.entity, design.rows.names[0])


def groupwise_heteroskedasticity(e: np.ndarray, entity: np.ndarray, name: str = "entity") -> Test:
    """S_i (s_i^2 - s^2)^2 / V_i, chi2(N), from the residuals e (n,) of fixed effects.

    W. Greene (2000), "Econometric Analysis", 4th ed., section 15.2.3, as in C. Baum (2001), "Residual diagnostics for
    cross-section time series regression models", Stata J. 1, 101-104 (`xttest3`): s_i^2 = S_t e_it^2 / T_i,
    V_i = S_t (e_it^2 - s_i^2)^2 / (T_i (T_i - 1)), s^2 = S e^2 / n.  Normal errors are not assumed, but T_i must be
    large: with short panels the test rejects far too often.
    """
    rows = np.bincount(entity)
    if rows.min() < 3:
        raise EstimationError(
            f"{(rows < 3).sum():,} of {rows.size:,} values of {name!r} have fewer than 3 rows, too few for a variance "
            f"of their squared residuals: leave them out of the estimate."
        )
    s2 = np.bincount(entity, e**2) / rows
    V = np.bincount(entity, (e**2 - s2[entity]) ** 2) / (rows * (rows - 1))
    alike = np.sqrt(V) <= CONSTANT * s2
    if alike.any():
        raise EstimationError(
            f"the residuals of {alike.sum():,} of {rows.size:,} values of {name!r} are all of one size, so that their "
            f"spread cannot be judged: leave them out of the estimate."
        )
    stat = float(np.sum((s2 - e @ e / e.size) ** 2 / V))
    return Test(stat, (rows.size,), f"the error variance is the same for each {name}", "chi2")


# --- shared ---------------------------------------------------------------------------------------------------------


def _levels(est: Estimate) -> Any:
    """The design of an equation in levels that least squares can estimate."""
    design = _design(est)
    if not design.levels:
        raise UsageError(
            f"{est.model} keeps changes or means, and this test starts from the rows of the table: pass the estimate "
            f"by fixed effects, or pooled."
        )
    if design.Z is not None:
        raise UsageError(
            f"{est.model} has instruments, and this test is for least squares, whose residuals it computes anew: fit "
            f"without instruments."
        )
    return design


def _design(est: Estimate, weighted: bool = False) -> Any:
    _refuse_others(est)
    design = getattr(est, "design", None)
    if design is None:
        raise UsageError(f"{est.model} does not keep its rows, which this test needs: pass what econ.fit returns.")
    if getattr(est, "limited", None) is not None:
        raise UsageError(
            f"{est.model} is fitted by the likelihood of censored data, and this test is for least squares: pass a "
            f"linear estimate, or use econ.lr or econ.wald."
        )
    if design.rows.weight is not None and not weighted:
        raise UsageError(f"{est.model} is weighted, and this test is for equal weights: fit without them.")
    return design


def _refuse_others(*given: Any) -> None:
    """Raise UsageError for what is no estimate; stand-ins with the attributes of one pass."""
    for est in given:
        if not hasattr(est, "params"):
            raise UsageError(f"found {est!r:.60}: expected an estimate, what econ.fit returns.")


def _same_rows(a: Estimate, b: Estimate) -> bool:
    """False where both keep their rows and these differ, in whatever order, or have other weights."""
    one, other = getattr(a, "design", None), getattr(b, "design", None)
    if one is None or other is None:
        return True
    keys = [getattr(design, "keys", {}) for design in (one, other)]  # without them codes are compared alone
    same_keys = all(list(x) == list(y) for x, y in zip(*(each.values() for each in keys), strict=True))
    return (
        one.y.size == other.y.size
        and same_keys
        and all(np.array_equal(x, y) for x, y in zip(_sorted(one), _sorted(other), strict=True))
    )


def _sorted(design: Any) -> tuple[np.ndarray, ...]:
    """Codes, y and weights of the rows, by entity and time."""
    rows = design.rows
    order = np.lexsort((rows.time, rows.entity))
    weight = np.ones(rows.n) if rows.weight is None else rows.weight
    return rows.entity[order], rows.time[order], design.y[order], weight[order]


def _not_nested(big: Estimate, small: Estimate) -> str | None:
    """What the smaller model has and the columns of the larger one do not span, its effects included; else None."""
    a, b = getattr(big, "design", None), getattr(small, "design", None)
    if a is None or b is None:
        added = [name for name in small.params.index if name not in big.params.index]
        return repr(added[0]) if added and set(big.effects) <= set(small.effects) else None
    rows, order = a.rows, np.lexsort((b.rows.time, b.rows.entity))
    back = np.empty_like(order)
    back[np.lexsort((rows.time, rows.entity))] = order  # rows of the smaller model in the order of the larger
    more = [effect for effect in b.rows.absorbed if effect not in rows.absorbed]
    dummies = [np.eye(code.max() + 1)[code] for code in ({"entity": rows.entity, "time": rows.time}[e] for e in more)]
    shown = dict(zip(("entity", "time"), rows.names, strict=True))
    names = [*map(repr, b.names)]
    for effect, block in zip(more, dummies, strict=True):
        names += [f"the effect of {shown[effect]}"] * block.shape[1]
    X = np.column_stack([a.X, b.X[back], *dummies])
    root = 1.0 if rows.weight is None else np.sqrt(rows.weight)[:, None]
    kept = split_columns(root * X, root * absorb(X, *_absorbed(rows), rows.weight))[0]
    return next((names[j - a.X.shape[1]] for j in kept if j >= a.X.shape[1]), None)


def _least_squares(y: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p,) coefficients and (n,) residuals, on columns of unit length so that units do not matter."""
    length = np.linalg.norm(W, axis=0)
    b = np.linalg.lstsq(W / length, y, rcond=None)[0] / length
    return b, y - W @ b


def _correlation(V: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.diag(V))
    return V / np.outer(scale, scale)


def _quadratic(d: np.ndarray, V: np.ndarray) -> tuple[float, int]:
    """d' V^- d and the rank of V (q, q), by the eigenvalues of its correlations."""
    values, vectors = np.linalg.eigh(_correlation(V))
    used = values > SINGULAR * values.max()
    projected = vectors[:, used].T @ (d / np.sqrt(np.diag(V)))
    return float(np.sum(projected**2 / values[used])), int(used.sum())
