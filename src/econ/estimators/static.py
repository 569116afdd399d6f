"""Pooled least squares and fixed effects.

linearmodels fits the coefficients.  What follows from them is ours, because programs differ in it: degrees of
freedom, covariances, the R2s and the constant.  The constant is the mean of y less that of X b, that is the mean of
all effects over the rows, as `xtreg, fe` and reghdfe report it; `xtreg y x i.year, fe` reports that of its base year.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from econ.errors import UsageError
from econ.estimators.design import Design
from econ.estimators.estimate import Estimate
from econ.estimators.inference import CovarianceOptions, covariance_of
from econ.estimators.regression import (
    EFFECTS,
    NO_MODEL_TEST,
    Net,
    at_origin,
    coefficient_df,
    effect_values,
    effects_tests,
    gaussian_loglik,
    group_sizes,
    least_squares,
    model_name,
    model_test,
    refuse_exact_fit,
    rsquareds,
    take_effects,
    with_constant,
)
from econ.estimators.sample import Sample


def pooled(sample: Sample, options: CovarianceOptions) -> Estimate:
    """Least squares with a constant; Stata's `regress`."""
    return _fit(take_effects(sample, "none", options.ssc), "Pooled OLS", options)


def fe(sample: Sample, options: CovarianceOptions, *, effects: str = "twoway") -> Estimate:
    """Least squares with entity effects, time effects or both; Stata's `xtreg, fe`.  The panel may be unbalanced."""
    if effects == "none":
        raise UsageError("effects='none' leaves nothing fixed: use estimator='pooled', or entity, time, twoway.")
    return _fit(take_effects(sample, effects, options.ssc), EFFECTS[effects][2], options)


def _fit(net: Net, model: str, options: CovarianceOptions) -> Estimate:
    sample, rows = net.sample, net.rows
    n, k = net.exogenous.shape
    b = _coefficients(net)
    e = net.y - net.exogenous @ b
    refuse_exact_fit(sample.dependent, e, net.y)
    params, W = with_constant(net, net.exogenous, b)
    found = covariance_of(W, e, rows, options, sample.exogenous.names)
    V = at_origin(net, found.V)
    names = ["Intercept", *sample.exogenous.names]
    tests = effects_tests(net, e @ e)
    df = coefficient_df(net, W, found)
    overall = model_test(b, found.V[1:, 1:], found.df_resid, df_coef=None if df is None else df[1:])
    return Estimate(
        model=model,
        formula=sample.formula,
        dependent=sample.dependent,
        params=pd.Series(params, names),
        cov=pd.DataFrame(V, names, names),
        cov_type=found.cov_type,
        nobs=n,
        df_resid=found.df_resid,
        n_coefs=k + net.rank,
        loglik=gaussian_loglik(e, net.root),
        rsquareds=rsquareds(net, b, e),
        tests=tests if overall is None else {model_name(overall): overall, **tests},
        effects=net.effects,
        groups=group_sizes(sample),
        notes=(*sample.notes, *found.notes, *([NO_MODEL_TEST] if overall is None else [])),
        error_variance=found.variance,
        coefficient_df=None if df is None else pd.Series(df, names),
        effect_values=effect_values(net, b, params[0]),
        design=Design(
            y=sample.y,
            X=sample.exogenous.values,
            names=sample.exogenous.names,
            residuals=e / net.root,
            rows=rows,
            keys=sample.keys,
        ),
    )


# Dummies of two-way effects beyond which linearmodels iterates, with a warning, where least squares is exact
DUMMIES = 2**27


def _coefficients(net: Net) -> np.ndarray:
    """(k,) slopes by linearmodels, where it solves exactly; columns are centred and scaled, so units cost no digits."""
    from linearmodels.panel import PanelOLS, PooledOLS
    from linearmodels.panel.utility import AbsorbingEffectError

    sample = net.sample
    if net.both is not None and sample.n * min(len(levels) for levels in sample.keys.values()) > DUMMIES:
        return least_squares(net.exogenous, net.y)
    scale = np.linalg.norm(net.exogenous, axis=0)
    # without effects who stands where does not matter, and without a time column an entity has many rows of one time
    entity = sample.entity if net.effects else np.arange(sample.n)
    index = pd.MultiIndex.from_arrays([entity, sample.time], names=["entity", "time"])
    y = pd.DataFrame({"y": sample.y - sample.y.mean()}, index)
    values = sample.exogenous.values
    X = pd.DataFrame((values - values.mean(axis=0)) / scale, index)
    X.columns = [f"x{j}" for j in range(X.shape[1])]
    weight = None if sample.weight is None else pd.DataFrame({"weight": sample.weight}, index)
    with warnings.catch_warnings():
        # pandas' deprecations inside linearmodels are not the user's to mend
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        if net.effects:
            by_entity, by_time = net.entity is not None, net.time is not None
            try:
                result = PanelOLS(y, X, weights=weight, entity_effects=by_entity, time_effects=by_time).fit()
            except AbsorbingEffectError:  # it refuses columns of which 1e-5 is left, `split_columns` only exacter ones
                return least_squares(net.exogenous, net.y)
        else:
            result = PooledOLS(y, X.assign(constant=1.0), weights=weight).fit()
    return result.params[X.columns].to_numpy() / scale
