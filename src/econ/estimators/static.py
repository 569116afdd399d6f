"""Pooled least squares and fixed effects.

linearmodels fits the coefficients.  What follows from them is ours, because programs differ in it: degrees of
freedom, covariances, the R2s and the constant.  The constant is the mean of y less that of X b, that is the mean of
all effects over the rows, as `xtreg, fe` and reghdfe report it; `xtreg y x i.year, fe` reports that of its base year.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import compress

import numpy as np
import pandas as pd

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators import covariance
from econ.estimators.estimate import Estimate, Test
from econ.estimators.sample import Sample
from econ.estimators.within import (
    COLLINEAR,
    absorb,
    absorbed_rank,
    demean,
    group_means,
    nested,
    singletons,
    split_columns,
    time_effects,
)

EFFECTS = {  # name -> (entity effects?, time effects?), heading
    "entity": (True, False, "Entity fixed effects"),
    "time": (False, True, "Time fixed effects"),
    "twoway": (True, True, "Two-way fixed effects"),
}


def pooled(sample: Sample, cov: str = "classical", ssc: str = "stata") -> Estimate:
    """Least squares with a constant; Stata's `regress`."""
    return _least_squares(sample, False, False, "Pooled OLS", cov, ssc)


def fe(sample: Sample, effects: str = "twoway", cov: str = "classical", ssc: str = "stata") -> Estimate:
    """Least squares with entity effects, time effects or both; Stata's `xtreg, fe`.  The panel may be unbalanced."""
    if effects not in EFFECTS:
        raise UsageError(f"there are no effects {effects!r}: choose among {', '.join(EFFECTS)}.")
    by_entity, by_time, model = EFFECTS[effects]
    sample = _singletons(sample, by_entity, by_time, ssc)
    for name, wanted in zip(sample.keys, (by_entity, by_time), strict=True):
        if wanted and len(sample.keys[name]) < 2:
            raise EstimationError(
                f"there is one {name} ({sample.keys[name][0]}) in the {sample.y.size:,} rows used: "
                f"effects={effects!r} needs at least two; use other effects or add data."
            )
    return _least_squares(sample, by_entity, by_time, model, cov, ssc)


def _singletons(sample: Sample, by_entity: bool, by_time: bool, ssc: str) -> Sample:
    """Drop rows alone in their entity or period where the preset does; say so in either case."""
    alone = singletons(sample.entity if by_entity else None, sample.time if by_time else None)
    if not alone.any():
        return sample
    if not covariance.PRESETS[ssc].drops_singletons:
        note = f"{alone.sum():,} singleton rows kept, as {ssc!r} does: their effects fit them exactly"
        return replace(sample, notes=(*sample.notes, note))
    if alone.all():
        raise EstimationError(
            f"each of the {alone.size:,} rows is alone in its {' or '.join(sample.keys)}, and ssc='reghdfe' drops "
            f"such rows: add periods, or use fewer effects."
        )
    return sample.rows(~alone, f"{alone.sum():,} singleton rows dropped, as reghdfe does")


def _least_squares(sample: Sample, by_entity: bool, by_time: bool, model: str, cov: str, ssc: str) -> Estimate:
    entity = sample.entity if by_entity else None
    time = sample.time if by_time else None
    effects = tuple(compress(sample.keys, (by_entity, by_time)))
    sample = _drop_columns(sample, entity, time, effects)
    y, X = sample.y, sample.X
    n, k = X.shape
    rank = absorbed_rank(entity, time)
    if n - rank - k <= 0:
        raise EstimationError(
            f"{n:,} rows cannot carry {k + rank:,} coefficients, {rank:,} of them effects and constant: "
            f"expected more rows than coefficients; drop regressors or effects."
        )
    y_net, X_net = absorb(y, entity, time), absorb(X, entity, time)
    if np.linalg.norm(y_net) <= COLLINEAR * np.linalg.norm(y):
        out = f" once the effects of {' and '.join(effects)} are out" if effects else ""
        raise EstimationError(
            f"{sample.dependent!r} does not vary{out}: there is nothing to explain; check the column."
        )
    b = _coefficients(sample, X_net, by_entity, by_time)
    e = y_net - X_net @ b
    if np.linalg.norm(e) <= COLLINEAR * np.linalg.norm(y_net):
        raise EstimationError(
            f"the regressors reproduce {sample.dependent!r} exactly, so there are no errors to judge them by: "
            f"take out what is {sample.dependent!r} under another name."
        )
    rss = float(e @ e)
    # in this basis constant and slopes are uncorrelated under classical errors; the last step restores the origin
    W = np.column_stack([np.ones(n), X_net])
    V, cov_type, df_resid, cov_notes = _covariance(sample, W, e, rank, effects, cov, ssc)
    V[0, :] -= X.mean(axis=0) @ V[1:, :]
    V[:, 0] -= V[:, 1:] @ X.mean(axis=0)
    names = ["Intercept", *sample.names]
    tests, test_notes = _tests(sample, b, V[1:, 1:], rss, rank, df_resid, by_entity, by_time)
    return Estimate(
        model=model,
        formula=sample.formula,
        dependent=sample.dependent,
        params=pd.Series([y.mean() - X.mean(axis=0) @ b, *b], names),
        cov=pd.DataFrame(V, names, names),
        cov_type=cov_type,
        nobs=n,
        df_resid=df_resid,
        n_coefs=k + rank,
        loglik=-n / 2 * (np.log(2 * np.pi) + np.log(rss / n) + 1),
        rsquareds=_rsquareds(sample, b, e, y_net, by_entity, by_time),
        tests=tests,
        effects=effects,
        groups=_groups(sample),
        notes=(*sample.notes, *cov_notes, *test_notes),
    )


def _drop_columns(
    sample: Sample, entity: np.ndarray | None, time: np.ndarray | None, effects: tuple[str, ...]
) -> Sample:
    """Leave out regressors that the effects absorb or that others make redundant, and name them."""
    kept, absorbed, collinear = split_columns(sample.X, absorb(sample.X, entity, time))
    why_absorbed = f"absorbed by the effects of {' and '.join(effects)}" if effects else "constant, as the intercept is"
    dropped = [(absorbed, why_absorbed), (collinear, "collinear with regressors before it")]
    notes = tuple(f"{sample.names[j]} dropped: {why}" for columns, why in dropped for j in columns)
    if not kept:
        raise EstimationError(f"no regressor is left ({'; '.join(notes)}): use other regressors or fewer effects.")
    return sample.columns(kept, notes) if notes else sample


def _coefficients(sample: Sample, X_net: np.ndarray, by_entity: bool, by_time: bool) -> np.ndarray:
    """(k,) slopes by linearmodels, on columns centred and scaled so that units cannot cost digits."""
    from linearmodels.panel import PanelOLS, PooledOLS

    scale = np.linalg.norm(X_net, axis=0)
    index = pd.MultiIndex.from_arrays([sample.entity, sample.time], names=["entity", "time"])
    y = pd.DataFrame({"y": sample.y - sample.y.mean()}, index)
    X = pd.DataFrame((sample.X - sample.X.mean(axis=0)) / scale, index)
    X.columns = [f"x{j}" for j in range(X.shape[1])]
    with warnings.catch_warnings():
        # pandas' deprecations inside linearmodels are not the user's to mend
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        if by_entity or by_time:
            result = PanelOLS(y, X, entity_effects=by_entity, time_effects=by_time).fit()
        else:
            result = PooledOLS(y, X.assign(constant=1.0)).fit()
    return result.params[X.columns].to_numpy() / scale


def _covariance(
    sample: Sample, W: np.ndarray, e: np.ndarray, rank: int, effects: tuple[str, ...], cov: str, ssc: str
) -> tuple[np.ndarray, str, int, tuple[str, ...]]:
    """Covariance of (constant, slopes), its name, degrees of freedom of t, and notes."""
    n, k = e.size, W.shape[1] - 1
    df = n - rank - k
    kind = covariance.COVARIANCES[cov]
    if cov == "classical":
        return covariance.classical(W, e, rank + k), kind, df, ()
    if cov == "hc1":
        note = f"small-sample factor N/(N - K) = {n}/{df} = {n / df:.6g}"
        return covariance.hc1(W, e, rank + k), kind, df, (note,)
    groups = int(sample.cluster.max()) + 1
    if groups < 2:
        raise EstimationError(f"there is one cluster in {sample.cluster_name!r}: expected at least two, better thirty.")
    preset = covariance.PRESETS[ssc]
    code = {"entity": sample.entity, "time": sample.time}
    absorbed = [effect for effect, name in zip(code, sample.keys, strict=True) if name in effects]
    inside = {effect: nested(code[effect], sample.cluster) for effect in absorbed}
    if preset.needs_nesting and not inside.get("entity", True):
        raise BadInputError(
            f"rows of one {sample.entity_name} lie in several clusters of {sample.cluster_name!r}, which ssc={ssc!r} "
            f"(xtreg) refuses: cluster by {sample.entity_name!r}, or pass ssc='reghdfe'."
        )
    K = preset.count(k, rank, {effect: int(code[effect].max()) + 1 for effect in absorbed}, inside)
    factor = covariance.cluster_factor(n, groups, K)
    note = (
        f"{groups} clusters in {sample.cluster_name}; small-sample factor G/(G - 1) (N - 1)/(N - K) = "
        f"{groups}/{groups - 1} x {n - 1}/{n - K} = {factor:.6g} with K = {K} (ssc={ssc!r}, {preset.meaning})"
    )
    V = covariance.cluster(W, e, sample.cluster, factor)
    lost = _in_one_cluster(W, sample.cluster)
    V[lost, :] = V[:, lost] = np.nan
    notes = [
        f"no clustered standard error of {name}: it varies in one cluster only"
        for name in compress(sample.names, lost[1:])
    ]
    return V, f"CR1, {groups} clusters in {sample.cluster_name}", groups - 1, (note, *notes)


def _in_one_cluster(W: np.ndarray, code: np.ndarray) -> np.ndarray:
    """(p,) mask of the columns that are zero outside one cluster.

    Their products with the residuals sum to zero there, so that the formula has nothing to estimate an error from.
    """
    squares = np.column_stack([np.bincount(code, column) for column in (W**2).T])
    return squares.sum(axis=0) - squares.max(axis=0) <= COLLINEAR**2 * squares.sum(axis=0)


def _rsquareds(
    sample: Sample, b: np.ndarray, e: np.ndarray, y_net: np.ndarray, by_entity: bool, by_time: bool
) -> dict[str, float]:
    """R2s by name; formulas in `estimate.R2_FORMULAS`.  Groups are entities, or periods with time effects alone."""
    y, rss = sample.y, e @ e
    lsdv = 1 - rss / np.sum((y - y.mean()) ** 2)
    if not (by_entity or by_time):
        return {"overall": float(lsdv)}
    group = sample.entity if by_entity else sample.time
    fitted = sample.X @ b
    if by_entity and by_time:
        fitted = fitted + time_effects(y - fitted, sample.entity, sample.time)[sample.time]
    r2 = {
        "within": 1 - rss / np.sum(demean(y, group) ** 2),
        "between": _squared_correlation(group_means(fitted, group), group_means(y, group)),
        "overall": _squared_correlation(fitted, y),
        "lsdv": lsdv,
    }
    if by_entity and by_time:
        r2["net"] = 1 - rss / (y_net @ y_net)
    return {name: float(value) for name, value in r2.items()}


def _squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Squared correlation, NaN where one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return (a @ b / length) ** 2 if length > 0 else float("nan")


def _tests(
    sample: Sample,
    b: np.ndarray,
    V: np.ndarray,
    rss: float,
    rank: int,
    df_resid: int,
    by_entity: bool,
    by_time: bool,
) -> tuple[dict[str, Test], tuple[str, ...]]:
    """F of the slopes with the covariance at hand; F of the effects under classical errors."""
    tests, notes = {}, ()
    k = b.size
    se = np.sqrt(np.diag(V))
    correlation = V / np.outer(se, se)  # on this scale units cannot make V look singular
    if np.isfinite(se).all() and np.linalg.matrix_rank(correlation, hermitian=True, tol=COLLINEAR) == k:
        t = b / se
        tests["f_model"] = Test(float(t @ np.linalg.solve(correlation, t) / k), (k, df_resid), "all slopes 0")
    else:
        notes = ("no F test of the slopes: their covariance is singular, clusters are too few or too alike",)
    n = sample.y.size
    entity, time = sample.entity, sample.time
    restrictions = {
        "f_effects": (None, None, "no effects, classical errors"),
        "f_entity": (None, time, f"no effects of {sample.entity_name}, classical errors"),
        "f_time": (entity, None, f"no effects of {sample.time_name}, classical errors"),
    }
    if not (by_entity or by_time):
        restrictions = {}
    elif not (by_entity and by_time):
        restrictions = {"f_effects": restrictions["f_effects"]}
    for name, (entity_left, time_left, null) in restrictions.items():
        y_net, X_net = absorb(sample.y, entity_left, time_left), absorb(sample.X, entity_left, time_left)
        scaled = X_net / np.linalg.norm(X_net, axis=0)
        restricted = y_net - scaled @ np.linalg.lstsq(scaled, y_net, rcond=None)[0]
        q = rank - absorbed_rank(entity_left, time_left)
        free = n - rank - k
        if q > 0:
            tests[name] = Test(float((restricted @ restricted - rss) / q / (rss / free)), (q, free), null)
    return tests, notes


def _groups(sample: Sample) -> pd.DataFrame:
    """Number of entities and of periods, and how many rows they have."""
    counts = [np.bincount(code) for code in (sample.entity, sample.time)]
    return pd.DataFrame(
        {
            "groups": [count.size for count in counts],
            "min": [count.min() for count in counts],
            "mean": [count.mean() for count in counts],
            "max": [count.max() for count in counts],
        },
        index=list(sample.keys),
    )
