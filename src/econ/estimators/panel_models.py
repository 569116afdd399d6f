"""Between, first-difference and random-effects regressions: `random.py`'s columns, estimated and described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from econ.errors import EstimationError, UsageError
from econ.estimators import random
from econ.estimators.design import Design, Rows
from econ.estimators.estimate import Estimate, Test
from econ.estimators.inference import CovarianceOptions, covariance_of, with_other_law
from econ.estimators.regression import (
    NO_MODEL_TEST,
    Net,
    gaussian_loglik,
    group_sizes,
    least_squares,
    model_name,
    model_test,
    refuse_exact_fit,
    squared_correlation,
    take_effects,
)
from econ.estimators.sample import ORDER_OF_TIMES, Block, Sample
from econ.estimators.within import COLLINEAR, absorb, group_means, split_columns


def between(sample: Sample, options: CovarianceOptions, *, wls: bool = False) -> Estimate:
    """Least squares on the means of the entities, each counting once; `wls` counts them by their rows (Stata's be)."""
    if options.cov not in ("classical", "hc0", "hc1", "hc2", "hc3"):
        raise UsageError(
            f"cov={options.cov!r} has no meaning for estimator='between', which has one row an entity: choose among "
            f"classical, hc0, hc1, hc2, hc3."
        )
    if not isinstance(wls, bool):
        raise UsageError(f"wls is {wls!r}: expected True or False.")
    net = take_effects(sample, "none", options.ssc)
    sample = net.sample
    y_b, W = random.between(sample.y, sample.exogenous.values, sample.entity, wls)
    entities = np.arange(y_b.size)
    if entities.size <= W.shape[1]:
        raise EstimationError(
            f"{entities.size:,} {sample.entity_name} cannot carry {W.shape[1]:,} coefficients: expected more of them "
            f"than coefficients; drop regressors, or use another estimator."
        )
    sample, W = _varying_between(sample, W)
    names, root = sample.exogenous.names, W[:, 0]
    rows = Rows((sample.entity_name, sample.time_name), entities, np.zeros_like(entities), np.zeros_like(entities))
    b = least_squares(W, y_b)
    r2 = random.r_squareds(sample.y, sample.exogenous.values, b[1:], sample.entity)
    return _estimate(
        replace(net, sample=sample),
        "Between regression" + (", weighted by rows" if wls else ""),
        b,
        W,
        y_b,
        Design(
            y=y_b / root,
            X=W[:, 1:] / root[:, None],
            names=names,
            residuals=(y_b - W @ b) / root,
            rows=rows,
            keys={sample.entity_name: sample.keys[sample.entity_name]},
            levels=False,
        ),
        options,
        ("Intercept", *names),
        rsquareds={name: r2[name] for name in ("between", "within", "overall")},
        root=root,
    )


def _varying_between(sample: Sample, W: np.ndarray) -> tuple[Sample, np.ndarray]:
    """Sample and columns of means W, the constant first, less columns that the means before them explain."""
    constant, names = W[:, 0], sample.exogenous.names
    net_of_constant = W[:, 1:] - np.outer(constant, constant @ W[:, 1:] / (constant @ constant))
    kept, alike, collinear = split_columns(W[:, 1:], net_of_constant)
    notes = [f"{names[j]} dropped: its means are the same for each {sample.entity_name}" for j in alike]
    notes += [f"{names[j]} dropped: its means are collinear with those of variables before it" for j in collinear]
    if not kept:
        raise EstimationError(f"no regressor is left ({'; '.join(notes)}): use other regressors or another estimator.")
    sample = replace(sample, exogenous=sample.exogenous.columns(kept), notes=(*sample.notes, *notes))
    return sample, W[:, [0, *(j + 1 for j in kept)]]


def fd(sample: Sample, options: CovarianceOptions) -> Estimate:
    """Least squares on changes between consecutive periods, without a constant; for one with, write D.y ~ D.x."""
    net = take_effects(sample, "none", options.ssc)
    sample = net.sample
    if not sample.calendar:
        sample = sample.noted(ORDER_OF_TIMES.format(sample.time_name))
    y, X, now, _ = random.first_differences(sample.y, sample.exogenous.values, sample.entity, sample.tick)
    if np.linalg.norm(y) <= COLLINEAR * np.linalg.norm(sample.y[now]):
        raise EstimationError(
            f"{sample.dependent!r} never changes between consecutive periods: there is nothing to explain; check the "
            f"column, or use another estimator."
        )
    kept, still, collinear = split_columns(sample.exogenous.values[now], X)
    names = sample.exogenous.names
    notes = [f"{names[j]} dropped: it never changes between consecutive periods" for j in still]
    notes += [f"{names[j]} dropped: its changes are collinear with those of variables before it" for j in collinear]
    if not kept:
        raise EstimationError(f"no regressor is left ({'; '.join(notes)}): use other regressors or another estimator.")
    sample = replace(sample, exogenous=sample.exogenous.columns(kept), notes=(*sample.notes, *notes))
    X = X[:, kept]
    keep = np.zeros(sample.n, bool)
    keep[now] = True
    used = sample.rows(keep, f"{now.size:,} differences of {sample.n:,} rows")
    order = np.argsort(now)  # `used` keeps the order of the table
    y, X = y[order], X[order]
    if y.size <= X.shape[1]:
        raise EstimationError(
            f"{y.size:,} differences cannot carry {X.shape[1]:,} coefficients: add periods or drop regressors."
        )
    b = least_squares(X, y)
    e = y - X @ b
    return _estimate(
        replace(net, sample=used),
        "First differences",
        b,
        X,
        y,
        Design(y, X, used.exogenous.names, e, used.described((), 0), used.keys, levels=False),
        options,
        used.exogenous.names,
        rsquareds={"differences": 1 - float(e @ e / (y @ y))},
    )


def re(sample: Sample, options: CovarianceOptions, *, effects: str = "entity", variant: str = "stata") -> Estimate:
    """Random effects: generalised least squares with Swamy and Arora's components; z statistics, as Stata and plm.

    `variant` says how the components are found ("stata", "sa", "plm"); "ml" is Gaussian maximum likelihood.
    """
    if effects not in ("entity", "twoway"):
        raise UsageError(f"there are no random effects {effects!r}: choose among entity, twoway.")
    net = take_effects(sample, "none", options.ssc)
    if variant == "ml":
        if effects == "twoway" or options.cov != "classical":
            raise UsageError(
                f"variant='ml' is maximum likelihood with one kind of effects and classical errors, found "
                f"effects={effects!r} and cov={options.cov!r}: leave them out, or choose the variant 'stata'."
            )
        return _likelihood(net)
    return _random(net, options, effects, variant, f"Random effects ({variant} components)")


def mundlak(sample: Sample, options: CovarianceOptions, *, variant: str = "stata") -> Estimate:
    """Random effects with the entities' means among the regressors; its test "mundlak" takes the place of Hausman's."""
    net = take_effects(sample, "none", options.ssc)
    exogenous = net.sample.exogenous
    means, names = random.mundlak(exogenous.values, exogenous.names, net.sample.entity)
    if not names:
        raise EstimationError(
            f"no regressor varies both inside {net.sample.entity_name} and between them: its means add nothing; "
            f"use estimator='re'."
        )
    wider = Block((*exogenous.names, *names), np.column_stack([exogenous.values, means]))
    net = take_effects(replace(net.sample, exogenous=wider), "none", options.ssc)
    estimate = _random(net, options, "entity", variant, f"Mundlak's random effects ({variant} components)")
    kept = [name for name in names if name in estimate.params.index]
    test = model_test(
        estimate.params[kept].to_numpy(),
        estimate.cov.loc[kept, kept].to_numpy(),
        None,
        "effects not correlated with the regressors: their means have no coefficients",
    )
    return estimate if test is None else replace(estimate, tests={**estimate.tests, "mundlak": test})


def _likelihood(net: Net) -> Estimate:
    """Random effects by maximum likelihood, with the likelihood ratio test that there are none."""
    sample = net.sample
    y, X, names = sample.y, sample.exogenous.values, ("Intercept", *sample.exogenous.names)
    found = random.maximum_likelihood(y, X, sample.entity)
    rows = np.bincount(sample.entity)
    residuals = y - found.b[0] - X @ found.b[1:]
    pooled = net.residuals(least_squares(net.exogenous, net.y))
    phi = (found.sigma_u / found.sigma_e) ** 2
    without = Test(
        2 * max(found.loglik - gaussian_loglik(pooled, np.ones(pooled.size)), 0.0),
        (1,),
        "sigma_u = 0",
        law="chibar2",
    )
    overall = model_test(found.b[1:], found.cov[1:, 1:], None)
    return Estimate(
        model="Random effects (maximum likelihood)",
        formula=sample.formula,
        dependent=sample.dependent,
        params=pd.Series(found.b, names),
        cov=pd.DataFrame(found.cov, names, names),
        cov_type="observed information",
        nobs=sample.n,
        n_coefs=len(names) + 1,  # sigma_u is one more
        loglik=found.loglik,
        rsquareds=random.r_squareds(y, X, found.b[1:], sample.entity),
        tests={**({} if overall is None else {model_name(overall): overall}), "lr_pooled": without},
        effects=(sample.entity_name,),
        groups=group_sizes(sample),
        notes=(*sample.notes, *([NO_MODEL_TEST] if overall is None else [])),
        effect_values=_predicted(sample, residuals, rows * phi / (1 + rows * phi)),
        components={"sigma_u": found.sigma_u, "sigma_e": found.sigma_e, "rho": found.rho},
        design=Design(y, X, names[1:], residuals, sample.described((), 1), sample.keys),
    )


def _predicted(sample: Sample, residuals: np.ndarray, share: np.ndarray) -> dict[str, pd.Series]:
    """Best linear predictions of the entities' effects: a `share` (N,) of the means of the residuals (n,).

    A. Goldberger (1962), J. Am. Stat. Assoc. 57, 369-375.
    """
    index = pd.Index(sample.keys[sample.entity_name], name=sample.entity_name)
    return {sample.entity_name: pd.Series(share * group_means(residuals, sample.entity), index, name="effect")}


def _random(net: Net, options: CovarianceOptions, effects: str, variant: str, model: str) -> Estimate:
    sample = net.sample
    y, X = sample.y, sample.exogenous.values
    columns = np.column_stack([np.ones(sample.n), X])
    components: dict[str, float]
    share = None
    if effects == "twoway":
        two = random.swamy_arora_twoway(y, X, sample.entity, sample.time)
        y_star = random.quasi_demean_twoway(y, two.theta, sample.entity, sample.time)
        W = random.quasi_demean_twoway(columns, two.theta, sample.entity, sample.time)
        notes = two.notes
        components = {
            "sigma_u": two.sigma2_entity**0.5,
            "sigma_v": two.sigma2_time**0.5,
            "sigma_e": two.sigma2_e**0.5,
            "theta_entity": two.theta[0],
            "theta_time": two.theta[1],
            "theta_total": two.theta[2],
        }
    else:
        one = random.swamy_arora(y, X, sample.entity, variant)
        y_star = random.quasi_demean(y, one.theta, sample.entity)
        W = random.quasi_demean(columns, one.theta, sample.entity)
        notes, share = one.notes, 1 - (1 - one.theta) ** 2
        low, high = float(one.theta.min()), float(one.theta.max())
        total = one.sigma2_u + one.sigma2_e
        components = {"sigma_u": one.sigma2_u**0.5, "sigma_e": one.sigma2_e**0.5, "rho": one.sigma2_u / total}
        # groups of one size have one theta
        components |= (
            {"theta": low} if np.ptp(np.bincount(sample.entity)) == 0 else {"theta_min": low, "theta_max": high}
        )
    b = least_squares(W, y_star)
    e = y_star - W @ b
    names = ("Intercept", *sample.exogenous.names)
    components["rmse"] = float(np.sqrt(e @ e / (sample.n - W.shape[1])))
    centred = absorb(y_star, None, None)
    transformed = 1 - float(e @ e / (centred @ centred))
    if variant != "stata":
        # quasi-demeaned in groups of different sizes, the constant is none any more, and plm takes the correlation
        transformed = squared_correlation(y_star - e, y_star)
    found = _estimate(
        net,
        model,
        b,
        W,
        y_star,
        Design(y, X, names[1:], y - columns @ b, sample.described((), 1), sample.keys),
        options,
        names,
        rsquareds={
            "transformed": transformed,
            **random.r_squareds(y, X, b[1:], sample.entity),
        },
        normal=True,
        components=components,
        notes=notes,
    )
    if share is None:
        return replace(found, effects=tuple(sample.keys))
    predicted = _predicted(sample, y - columns @ b, share)
    return replace(found, effects=(sample.entity_name,), effect_values=predicted)


def _estimate(
    net: Net,
    model: str,
    b: np.ndarray,
    W: np.ndarray,
    y: np.ndarray,
    design: Design,
    options: CovarianceOptions,
    names: Sequence[str],
    rsquareds: Mapping[str, float],
    root: np.ndarray | None = None,
    normal: bool = False,
    components: Mapping[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> Estimate:
    """What is estimated by least squares of y on W, columns `names`, a constant first where there is one.

    `root` are square roots of weights that W and y hold, of mean 1.
    """
    sample = net.sample
    e = y - W @ b
    refuse_exact_fit(sample.dependent, e, y)
    slopes = [j for j, name in enumerate(names) if name != "Intercept"]
    found = covariance_of(W, e, design.rows, options, [names[j] for j in slopes])
    df = None if normal else found.df_resid
    said = with_other_law(found.notes, "the normal law") if normal else found.notes
    of_slopes = None if normal or found.df_coef is None else found.df_coef[slopes]
    overall = model_test(b[slopes], found.V[np.ix_(slopes, slopes)], df, df_coef=of_slopes)
    tests: dict[str, Test] = {} if overall is None else {model_name(overall): overall}
    return Estimate(
        model=model,
        formula=sample.formula,
        dependent=sample.dependent,
        params=pd.Series(b, list(names)),
        cov=pd.DataFrame(found.V, list(names), list(names)),
        cov_type=found.cov_type,
        nobs=y.size,
        df_resid=df,
        n_coefs=len(names),
        loglik=None if normal else gaussian_loglik(e, np.ones(e.size) if root is None else root),
        rsquareds=rsquareds,
        tests=tests,
        groups=group_sizes(sample),
        notes=(*sample.notes, *notes, *said, *([NO_MODEL_TEST] if overall is None else [])),
        error_variance=found.variance,
        coefficient_df=None if normal or found.df_coef is None else pd.Series(found.df_coef, list(names)),
        components=components or {},
        design=design,
    )
