"""Wild cluster bootstrap of a fitted equation: p-values and intervals that stand in place of those of t."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from econ.errors import UsageError
from econ.estimators.estimate import Estimate
from econ.estimators.wild import WEIGHTS, WildResult, wild_bootstrap, wild_bootstrap_iv

LEVEL = 0.95


def bootstrapped(
    estimate: Estimate,
    draws: int = 9_999,
    seed: int = 0,
    draw_weights: str | None = None,
    impose_null: bool = True,
    level: float = LEVEL,
) -> Estimate:
    """The estimate with a bootstrapped p-value of every slope, and an interval where there are no instruments.

    Parameters
    ----------
    estimate : Estimate
        With one way of clustering, CR1.
    draws, seed : int
        Of random draws; signs of 12 clusters or fewer are enumerated instead.
    draw_weights : str, optional
        "rademacher", "webb" or "mammen"; by default signs up to 12 clusters, else Webb's six points.
    impose_null : bool
        Residuals under the null (the restricted bootstrap, to be preferred) or of the whole equation.
    level : float
        Of the intervals.
    """
    if estimate.design is None or len(estimate.design.rows.clusters) != 1:
        raise UsageError(
            "the wild bootstrap goes by clusters: fit with cov='cluster' and one column of clusters first."
        )
    if not isinstance(impose_null, bool):
        raise UsageError(f"impose_null is {impose_null!r}: expected True or False.")
    design = estimate.design
    rows = design.rows
    if rows.weight is not None:
        raise UsageError("the wild bootstrap takes no weights: leave them out, or use cov='cluster'.")
    if draw_weights is not None and draw_weights not in WEIGHTS:
        raise UsageError(f"there are no draws {draw_weights!r}: choose among {', '.join(WEIGHTS)}.")
    cluster = rows.clusters[0][1]
    common = {
        "entity": rows.entity if "entity" in rows.absorbed else None,
        "time": rows.time if "time" in rows.absorbed else None,
        "weights": draw_weights,
        "draws": draws,
        "seed": seed,
    }
    results: dict[str, WildResult] = {}
    if design.Z is None:
        for j, name in enumerate(design.names):
            results[name] = wild_bootstrap(
                design.y, design.X, cluster, j, restricted=impose_null, level=level, **common
            )
        kind = "WCR" if impose_null else "WCU"
    else:
        if not impose_null:
            raise UsageError("the bootstrap with instruments imposes the null: leave out impose_null=False.")
        first = design.X.shape[1] - design.endogenous
        exogenous, endogenous = np.split(design.X, [first], axis=1)
        for j, name in enumerate(design.names[first:]):
            results[name] = wild_bootstrap_iv(design.y, endogenous, exogenous, design.Z, cluster, j, **common)
        kind = "WRE, of the endogenous variables"
    for name, result in results.items():  # the sample's own t with the small-sample factor, which p does not need
        t = float(estimate.tvalues[name])
        results[name] = replace(result, t=t, std_error=float(estimate.std_errors[name]), wald=t**2)
    one = next(iter(results.values()))
    if estimate.bootstrap:  # drawn anew for another level: all but the intervals stays
        return replace(estimate, bootstrap=results)
    return replace(
        estimate,
        bootstrap_options={
            "draws": draws,
            "seed": seed,
            "draw_weights": draw_weights,
            "impose_null": impose_null,
        },
        cov_type=f"{estimate.cov_type}; p-values of the wild cluster bootstrap ({kind})",
        bootstrap=results,
        notes=(*estimate.notes, f"wild cluster bootstrap: {one.note}"),
    )
