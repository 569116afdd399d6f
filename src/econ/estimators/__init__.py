"""Estimators: each takes a `Sample` and returns an `Estimate`.  `fit` is the door to all of them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from econ.errors import UsageError
from econ.estimators.covariance import COVARIANCES, PRESETS
from econ.estimators.estimate import Estimate, Test
from econ.estimators.sample import draw_sample
from econ.estimators.static import fe, pooled

__all__ = ["COVARIANCES", "ESTIMATORS", "PRESETS", "Estimate", "Test", "fit"]

ESTIMATORS: dict[str, Callable[..., Estimate]] = {"pooled": pooled, "fe": fe}


def fit(
    df: pd.DataFrame,
    formula: str,
    estimator: str = "fe",
    entity: str = "province",
    time: str = "year",
    effects: str | None = None,
    cov: str = "classical",
    cluster: str | None = None,
    ssc: str = "stata",
) -> Estimate:
    """Fit one equation on a panel.

    Parameters
    ----------
    df : DataFrame
        One row an (entity, time); left as it is.
    formula : str
        Such as "gini ~ forward + ln(openness) + forward:market + C(region)"; functions: ln, log, log10, exp, sqrt,
        I for arithmetic, C for categories.
    estimator : str
        "fe" (fixed effects) or "pooled" (least squares).
    entity, time : str
        Key columns, names of any type.
    effects : str, optional
        For "fe": "twoway" (default), "entity" or "time".
    cov : str
        "classical", "hc1" (White, times N / (N - K)) or "cluster" (CR1).
    cluster : str, optional
        Column of the clusters, for cov="cluster".
    ssc : str
        Whose small-sample convention: "stata" (xtreg), "reghdfe" or "fixest"; see `covariance.PRESETS`.

    Returns
    -------
    Estimate
        Rows left out, variables dropped, singletons, clusters and the small-sample factor are in its notes.

    Raises
    ------
    UsageError
        An unknown option, options that contradict each other, or a formula that cannot be read.
    BadInputError
        A column that is not there, text in numbers, a key given twice, a model that the rows cannot carry.
    """
    for what, choice, known in (
        ("estimator", estimator, ESTIMATORS),
        ("covariance", cov, COVARIANCES),
        ("ssc", ssc, PRESETS),
    ):
        if choice not in known:
            raise UsageError(f"there is no {what} {choice!r}: choose among {', '.join(known)}.")
    if cov == "cluster" and cluster is None:
        raise UsageError(f"cov='cluster' needs the column of the clusters: pass cluster={entity!r}, say.")
    if cov != "cluster" and cluster is not None:
        raise UsageError(f"cluster={cluster!r} has no meaning with cov={cov!r}: pass cov='cluster' or leave it out.")
    if estimator == "pooled" and effects is not None:
        raise UsageError(f"estimator='pooled' has no effects, found effects={effects!r}: use estimator='fe'.")
    sample = draw_sample(df, formula, entity, time, cluster)
    options = {} if estimator == "pooled" else {"effects": effects or "twoway"}
    return ESTIMATORS[estimator](sample, cov=cov, ssc=ssc, **options)
