"""Tobit and random-effects Tobit of a sample: `tobit.py`'s arrays, estimated and described; marginal effects.

Independent parts of the likelihood are rows, with random effects entities, with cov="cluster" clusters: G of them.

=========  ======================================================  ============  =================================
cov        what                                                    factor        Stata
=========  ======================================================  ============  =================================
classical  inverse of the observed information                     none          vce(oim)
opg        inverse of the sum of outer products of scores          none          vce(opg)
hc0        sandwich of the observed information by rows, entities  none
hc1        the same                                                G / (G - 1)   vce(robust)
cluster    the same by clusters                                    G / (G - 1)   vce(cluster)
=========  ======================================================  ============  =================================

With small=False no factor is taken.  The law is normal throughout (Stata's `tobit` takes t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real

import numpy as np
import pandas as pd
from scipy import special

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators import covariance
from econ.estimators import tobit as arrays
from econ.estimators.design import Design
from econ.estimators.estimate import Estimate, Test
from econ.estimators.inference import FEW, CovarianceOptions
from econ.estimators.regression import NO_MODEL_TEST, Net, group_sizes, model_name, model_test, take_effects
from econ.estimators.sample import Sample
from econ.estimators.tobit import EFFECTS, ReTobitFit, TobitFit
from econ.estimators.within import nested

TWO_WAYS = "Tobit takes one column of clusters, found {}: pass one."
COVARIANCES = ("classical", "opg", "hc0", "hc1", "cluster")


@dataclass(frozen=True, eq=False)
class Limited:
    """What a Tobit estimate has beside its coefficients.

    Parameters
    ----------
    lower, upper : float or None
    counts : (int, int, int)
        Rows that are censored at the lower limit, not censored, censored at the upper limit.
    V : (p, p) float
        Covariance of the coefficients and of sigma, or of sigma_u and sigma_e.
    points : int or None
        Of the quadrature.
    """

    lower: float | None
    upper: float | None
    counts: tuple[int, int, int]
    V: np.ndarray
    points: int | None = None

    @property
    def censored(self) -> int:
        """Rows that are censored at either limit."""
        return self.counts[0] + self.counts[2]

    def named_counts(self) -> dict[str, int]:
        """The counts by what Stata calls them."""
        left, between, right = self.counts
        return {"Uncensored": between, "Left-censored": left, "Right-censored": right}

    @property
    def limits(self) -> str:
        """In words."""
        lower, upper = ("none" if limit is None else f"{limit:g}" for limit in (self.lower, self.upper))
        return f"lower {lower}, upper {upper}"

    def lines(self) -> list[str]:
        """Limits and points, as `summary` prints them."""
        points = [] if self.points is None else [f"Integration: adaptive Gauss-Hermite, {self.points} points"]
        return [f"Limits: {self.limits}", *points]

    def to_dict(self) -> dict:
        """Plain numbers, without the covariance."""
        return {
            "lower": self.lower,
            "upper": self.upper,
            "left_censored": self.counts[0],
            "uncensored": self.counts[1],
            "right_censored": self.counts[2],
            "points": self.points,
        }


def tobit(
    sample: Sample, options: CovarianceOptions, *, lower: float | None = None, upper: float | None = None
) -> Estimate:
    """Tobit regression; values at a limit or beyond it are censored there.  Stata's `tobit`."""
    limits = _limit("lower", lower), _limit("upper", upper)
    net = take_effects(sample, "none", options.ssc)
    sample = net.sample
    X, names = _columns(sample)
    found = arrays.tobit(sample.y, X, *limits, weight=sample.weight, names=names)
    parts = None if options.cov != "cluster" else sample.clusters
    V, cov_type, notes = _covariance(found, options, parts, "observations")
    tests = {}
    if options.cov == "classical":
        alone = arrays.tobit(sample.y, X[:, :1], *limits, weight=sample.weight, names=names[:1])
        if alone.converged:
            tests["lr_model"] = Test(
                2 * max(found.loglik - alone.loglik, 0.0),
                (len(names) - 1,),
                "all slopes 0",
                note=f"pseudo R2 = 1 - LL/LL0 = {1 - found.loglik / alone.loglik:.4f}, LL0 = {alone.loglik:.4f}",
            )
    return _estimate(
        net, "Tobit regression", found, limits, V, cov_type, notes, {"sigma": (found.sigma, _se(V, -1))}, tests
    )


def retobit(
    sample: Sample,
    options: CovarianceOptions,
    *,
    lower: float | None = None,
    upper: float | None = None,
    points: int = 12,
) -> Estimate:
    """Tobit regression with normal random effects of the entities, by adaptive quadrature.  Stata's `xttobit`."""
    limits = _limit("lower", lower), _limit("upper", upper)
    net = take_effects(sample, "none", options.ssc)
    sample = net.sample
    X, names = _columns(sample)
    found = arrays.re_tobit(sample.y, X, sample.entity, *limits, points=points, names=names)
    parts = None
    if options.cov == "cluster":
        _refuse_crossing(sample)
        first = np.unique(sample.entity, return_index=True)[1]
        parts = tuple((name, code[first]) for name, code in sample.clusters)
    V, cov_type, notes = _covariance(found, options, parts, f"groups of {sample.entity_name}")
    effects = pd.Index(sample.keys[sample.entity_name], name=sample.entity_name)
    without = Test(2 * max(found.loglik - found.loglik_pooled, 0.0), (1,), "sigma_u = 0", law="chibar2")
    return _estimate(
        net,
        "Random-effects Tobit regression",
        found,
        limits,
        V,
        cov_type,
        notes,
        {
            "sigma_u": (found.sigma_u, _se(V, -2)),
            "sigma_e": (found.sigma_e, _se(V, -1)),
            "rho": (found.rho, found.rho_error(V) if found.sigma_u else float("nan")),
        },
        {"lr_pooled": without},
        effect_values={sample.entity_name: pd.Series(found.effects, effects, name="effect")},
    )


def marginal_effects(est: Estimate, kind: str = "latent", at: str = "average", level: float = 0.95) -> pd.DataFrame:
    """Effects of a small change of each regressor in a Tobit model, with standard errors by the delta method.

    Parameters
    ----------
    est : Estimate
        By "tobit" or "retobit".  With random effects these are integrated out: y* varies about X b with variance
        sigma_u^2 + sigma_e^2.
    kind : str
        "latent" (on E(y*), the coefficients), "uncensored" (on E(y | between the limits)), "censored" (on E(y), y being
        a limit where it is censored), or "probability" (on Pr(between the limits)).
    at : str
        "average" over the rows, or at the "means" of the regressors.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame, (k, 6)
        effect, se, z, p, lower, upper of every slope.  A regressor that the formula uses twice, as in x + I(x**2) or
        x:z, has an effect for each term.

    Raises
    ------
    UsageError
        An estimate that is no Tobit, or an unknown kind.
    """
    limited = getattr(est, "limited", None)
    if limited is None or est.design is None:
        what = getattr(est, "model", f"{est!r:.60}")
        raise UsageError(
            f"found {what}: marginal effects are those of a Tobit, fit with estimator='tobit' or 'retobit'."
        )
    for what, choice, known in (("kind", kind, EFFECTS), ("place", at, ("average", "means"))):
        if choice not in tuple(known):
            raise UsageError(f"there is no {what} {choice!r} of marginal effects: choose among {', '.join(known)}.")
    if not (isinstance(level, Real) and 0 < level < 1):
        raise UsageError(f"the confidence level is {level}: expected a number between 0 and 1, such as 0.95.")
    k = est.params.size
    sigmas = np.array([est.components[name] for name in ("sigma", "sigma_u", "sigma_e") if name in est.components])
    s = float(np.sqrt(sigmas @ sigmas))
    X, weight = np.column_stack([np.ones(est.nobs), est.design.X]), est.design.rows.weight
    if at == "means":
        X, weight = np.average(X, axis=0, weights=weight)[None, :], None
    effects, J = arrays.marginal_effects(kind, est.params.to_numpy(), s, X, limited.lower, limited.upper, weight)
    J = np.column_stack([J[:, :k], np.outer(J[:, k], sigmas / s)])[1:]
    se = np.sqrt(np.einsum("ij,jl,il->i", J, limited.V, J))
    effects = effects[1:]
    reach = special.ndtri((1 + level) / 2) * se
    z = effects / se
    return pd.DataFrame(
        {
            "effect": effects,
            "se": se,
            "z": z,
            "p": 2 * special.ndtr(-np.abs(z)),
            "lower": effects - reach,
            "upper": effects + reach,
        },
        pd.Index(est.params.index[1:], name=f"d {EFFECTS[kind]}"),
    )


# --- shared ---------------------------------------------------------------------------------------------------------


def _limit(name: str, value: object) -> float | None:
    """A finite number, or None where there is no limit."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or np.isnan(value):
        raise UsageError(f"{name} is {value!r:.60}: expected a number, the limit, or None where there is none.")
    return float(value) if np.isfinite(value) else _infinite(name, float(value))


def _infinite(name: str, value: float) -> None:
    if (value < 0) != (name == "lower"):
        raise UsageError(f"{name} is {value:g}, beyond which there is nothing: expected a number, or None.")


def _columns(sample: Sample) -> tuple[np.ndarray, tuple[str, ...]]:
    X = np.column_stack([np.ones(sample.n), sample.exogenous.values])
    return X, ("Intercept", *sample.exogenous.names)


def _se(V: np.ndarray, place: int) -> float:
    """NaN for sigma_u on the edge of its range."""
    return float(np.sqrt(V[place, place])) if V[place, place] > 0 else float("nan")


def _refuse_crossing(sample: Sample) -> None:
    if len(sample.clusters) > 1:
        raise UsageError(TWO_WAYS.format(len(sample.clusters)))
    for name, code in sample.clusters:
        if not nested(sample.entity, code):
            raise BadInputError(
                f"rows of one {sample.entity_name} lie in several clusters of {name!r}, which random effects join: "
                f"cluster by {sample.entity_name!r}, or by what it lies in."
            )


def _covariance(
    found: TobitFit | ReTobitFit,
    options: CovarianceOptions,
    clusters: tuple[tuple[str, np.ndarray], ...] | None,
    parts: str,
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """(V, what it is in words, notes); clusters of the rows of scores where these are asked for."""
    if options.cov not in COVARIANCES:
        raise UsageError(f"Tobit has no covariance {options.cov!r}: choose among {', '.join(COVARIANCES)}.")
    if options.cov == "classical":
        return found.inverse, "observed information", ()
    if options.cov == "opg":
        return arrays.likelihood_covariance(found.inverse, found.scores, "opg"), "outer product of gradients", ()
    if clusters is None:
        factored = options.cov == "hc1" and options.small
        count, meat, cov_type, notes = len(found.scores), covariance.white, f"robust, {len(found.scores)} {parts}", []
    else:
        if len(clusters) != 1:
            raise UsageError(TWO_WAYS.format(len(clusters)))
        name, code = clusters[0]
        count, meat, factored = int(code.max()) + 1, partial(covariance.clustered, code=code), options.small
        cov_type, notes = f"robust, {count} clusters in {name}", []
        if count < 2:
            raise EstimationError(f"there is one cluster in {name!r}: expected at least two, better thirty.")
        if count < FEW:
            notes.append(f"{count} clusters are few, and clustered standard errors then tend to be too small")
    factor = count / (count - 1) if factored else 1.0
    notes.insert(0, f"small-sample factor G/(G - 1) = {factor:.6g}" if factored else "no small-sample factor")
    V = arrays.likelihood_covariance(found.inverse, found.scores, "sandwich", meat, factor)
    return V, cov_type, tuple(notes)


def _estimate(
    net: Net,
    model: str,
    found: TobitFit | ReTobitFit,
    limits: tuple[float | None, float | None],
    V: np.ndarray,
    cov_type: str,
    notes: tuple[str, ...],
    components: Mapping[str, tuple[float, float]],
    tests: Mapping[str, Test],
    effect_values: Mapping[str, pd.Series] | None = None,
) -> Estimate:
    """`components` are values and standard errors."""
    sample = net.sample
    X, names = sample.exogenous.values, ("Intercept", *sample.exogenous.names)
    k = len(names)
    overall = model_test(found.b[1:], V[1:k, 1:k], None)
    random = effect_values is not None
    return Estimate(
        model=model,
        formula=sample.formula,
        dependent=sample.dependent,
        params=pd.Series(found.b, names),
        cov=pd.DataFrame(V[:k, :k], names, names),
        cov_type=cov_type,
        nobs=sample.n,
        n_coefs=k + random,  # sigma_u is one more
        loglik=found.loglik,
        tests={**({} if overall is None else {model_name(overall): overall}), **tests},
        effects=(sample.entity_name,) if random else (),
        groups=group_sizes(sample),
        notes=(
            *sample.notes,
            *_of_limits(sample, limits, found),
            *notes,
            *([NO_MODEL_TEST] if overall is None else []),
        ),
        effect_values=effect_values or {},
        components={name: value for name, (value, _) in components.items()},
        component_errors={name: se for name, (_, se) in components.items()},
        limited=Limited(*limits, found.counts, V, getattr(found, "points", None)),
        valid=found.converged,
        design=Design(sample.y, X, names[1:], sample.y - found.b[0] - X @ found.b[1:], net.rows, sample.keys),
    )


def _of_limits(
    sample: Sample, limits: tuple[float | None, float | None], found: TobitFit | ReTobitFit
) -> tuple[str, ...]:
    """How many rows are censored, beyond the limits, and what the fit says."""
    left, between, right = found.counts
    lower, upper = limits
    said = [f"{between:,} uncensored"]
    if lower is not None:
        said.insert(0, f"{left:,} left-censored at {sample.dependent} <= {lower:g}")
    if upper is not None:
        said.append(f"{right:,} right-censored at {sample.dependent} >= {upper:g}")
    notes = [f"observations: {', '.join(said)}"]
    beyond = 0 if lower is None else int((sample.y < lower).sum())
    beyond += 0 if upper is None else int((sample.y > upper).sum())
    if beyond:
        notes.append(f"{beyond:,} values lie beyond a limit, not at it, and count as at it")
    if sample.weight is not None:
        notes.append("weights, of mean 1, multiply the log-likelihoods of the observations")
    return (*notes, *found.notes)
