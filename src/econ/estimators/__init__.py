"""Estimators: each takes a `Sample` and returns an `Estimate`.  `fit` is the door to all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from econ.errors import UsageError
from econ.estimators import gmm, iv, limited, panel_models, static
from econ.estimators.covariance import PRESETS
from econ.estimators.estimate import Estimate, Test
from econ.estimators.inference import KINDS, OF_CLUSTERS, OF_LAGS, OF_LIKELIHOODS, OF_MOMENTS, CovarianceOptions
from econ.estimators.iv import anderson_rubin, anderson_rubin_set
from econ.estimators.limited import marginal_effects
from econ.estimators.sample import ORDER_OF_TIMES, draw_sample

__all__ = [
    "COVARIANCES",
    "ESTIMATORS",
    "PRESETS",
    "Estimate",
    "Estimator",
    "Test",
    "anderson_rubin",
    "anderson_rubin_set",
    "fit",
    "marginal_effects",
]

COVARIANCES = {**KINDS, **OF_LIKELIHOODS, **OF_MOMENTS}


@dataclass(frozen=True)
class Estimator:
    """An estimator and what it takes.

    Parameters
    ----------
    run : function of (sample, covariance options, own options) to Estimate
    meaning : str
        One line for help texts.
    instruments : bool
        Whether the formula has to have a bracket with instruments; else it must have none.
    weights : bool
        Whether analytic weights are possible.
    panel : bool
        Whether entity and time have to be named.
    bootstrap : bool
        Whether cov="wild" is possible.
    covariances : tuple of str
        The others that are possible.
    cov, small : str, bool
        What is taken where they are not given.
    asides : function of own options to expressions, optional
        Variables that are needed on all rows of the panel.
    """

    run: Callable[..., Estimate]
    meaning: str
    instruments: bool = False
    weights: bool = False
    panel: bool = True
    bootstrap: bool = False
    covariances: tuple[str, ...] = tuple(KINDS)
    cov: str = "classical"
    small: bool = True
    asides: Callable[..., tuple[str, ...]] | None = None


ESTIMATORS = {
    "pooled": Estimator(static.pooled, "least squares with a constant", weights=True, panel=False, bootstrap=True),
    "between": Estimator(panel_models.between, "least squares on the means of the entities"),
    "fd": Estimator(panel_models.fd, "least squares on first differences"),
    "fe": Estimator(static.fe, "fixed effects of entity, time or both", weights=True, bootstrap=True),
    "re": Estimator(panel_models.re, "random effects of the entities (Swamy-Arora)"),
    "mundlak": Estimator(panel_models.mundlak, "random effects with the entities' means as regressors"),
    "iv": Estimator(iv.iv, "two-stage least squares", instruments=True, weights=True, panel=False, bootstrap=True),
    "liml": Estimator(iv.liml, "limited-information maximum likelihood, or Fuller's", True, True, False),
    "gmm-iv": Estimator(
        iv.gmm_iv, "efficient GMM of one equation, in two steps or continuously updated", True, True, False
    ),
    "gmm": Estimator(
        gmm.gmm,
        "difference and system GMM of dynamic panels",
        covariances=gmm.COVARIANCES,
        cov="robust",
        small=False,
        asides=gmm.asides,
    ),
    "tobit": Estimator(
        limited.tobit,
        "Tobit: a dependent variable censored at one limit or two",
        weights=True,
        panel=False,
        covariances=limited.COVARIANCES,
    ),
    "retobit": Estimator(limited.retobit, "Tobit with random effects of the entities", covariances=limited.COVARIANCES),
}


def fit(
    df: pd.DataFrame,
    formula: str,
    estimator: str = "fe",
    entity: str | None = "province",
    time: str | None = "year",
    effects: str | None = None,
    cov: str | None = None,
    cluster: str | Sequence[str] | None = None,
    ssc: str = "stata",
    *,
    small: bool | None = None,
    lags: int | None = None,
    kernel: str = "bartlett",
    weights: str | None = None,
    step: int = 1,
    **options: object,
) -> Estimate:
    """Fit one equation on a panel.

    Parameters
    ----------
    df : DataFrame
        One row an (entity, time); left as it is.
    formula : str
        Such as "gini ~ forward + ln(openness) + forward:market + C(region)"; with instruments
        "gini ~ openness + [forward + backward ~ iv_forward + iv_backward]".  Functions: ln, log, log10, exp, sqrt,
        minmax over the rows used, I for arithmetic, C for categories.  By time: L.x, L2.x, L(1/2).x (lags), F.x
        (leads), D.x (differences), named L1.x, L2.x, F1.x, D1.x.
    estimator : str
        One of `ESTIMATORS`: "pooled", "between", "fd", "fe", "re", "mundlak", "iv", "liml", "gmm-iv", "gmm", "tobit",
        "retobit".
    entity, time : str or None
        Key columns, names of any type; None for a cross-section, where the estimator can do without.
    effects : str, optional
        For "fe": "twoway" (default), "entity" or "time"; for "iv", "liml" and "gmm-iv" the same, by default none; for
        "re" "entity" (default) or "twoway".
    cov : str, optional
        "classical" (default), "hc0" to "hc3", "cluster" (CR1; with two columns two-way), "cr2", "cr3",
        "driscoll-kraay", "newey-west", "wild" (p-values and intervals of the wild cluster bootstrap beside CR1
        errors).  Of "tobit" and "retobit": "classical" (observed information), "opg" (outer products of scores), "hc0",
        "hc1", "cluster".  Of "gmm": "robust" (default; correlated at will inside each unit) or "classical".
    cluster : str or two of them, optional
        Columns of the clusters, for "cluster", "cr2", "cr3" and "wild".
    ssc : str
        Whose small-sample convention: "stata" (xtreg), "reghdfe", "fixest", "plm", "ivreg2"; see
        `covariance.PRESETS`.
    small : bool, optional
        False leaves small-sample factors out and takes the normal law, as ivreg2 without `small`.  True by default,
        but False with estimator="gmm", as xtabond2.
    lags : int, optional
        Of "driscoll-kraay" and "newey-west".
    kernel : str
        Of the same: "bartlett", "parzen", "truncated" or "quadratic-spectral".
    weights : str, optional
        Column of analytic weights.
    step : int
        Time units in one period (Stata's delta), for lags.
    **options
        Of one estimator: `wls` of "between"; `variant` of "re" ("stata", "sa", "plm", or "ml" for maximum
        likelihood) and "mundlak"; `lower` and `upper` of "tobit" and "retobit", `points` of "retobit"; `fuller` of
        "liml", `steps` of "gmm-iv" (2 or "cue"); `orthogonality`, `redundant`, `dofminus` and `sdofminus` of all three
        with instruments; of cov="wild": `draws`, `seed`, `draw_weights`, `impose_null`.  Those of "gmm" are in
        `gmm.gmm` and docs/dynamic-panels.md.

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
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise UsageError(f"there is no estimator {estimator!r}: choose among {', '.join(ESTIMATORS)}.")
    chosen = ESTIMATORS[estimator]
    cov = chosen.cov if cov is None else cov
    small = chosen.small if small is None else small
    wild = cov == "wild"
    bootstrap = _bootstrap_options(estimator, chosen, options) if wild else {}
    if not wild and (not isinstance(cov, str) or cov not in COVARIANCES):
        raise UsageError(f"there is no covariance {cov!r}: choose among {', '.join((*COVARIANCES, 'wild'))}.")
    if not wild and cov not in chosen.covariances:
        raise UsageError(
            f"estimator={estimator!r} has no covariance {cov!r}: choose among {', '.join(chosen.covariances)}."
        )
    inference = CovarianceOptions("cluster" if wild else cov, ssc=ssc, lags=lags, kernel=kernel, small=small)
    own = _own_options(estimator, chosen, {**options, **({} if effects is None else {"effects": effects})})
    clusters = _clusters(cov, cluster, entity)
    if chosen.panel and (entity is None or time is None):
        raise UsageError(f"estimator={estimator!r} needs a panel: name the columns of entity and time.")
    if weights is not None and not chosen.weights:
        can = ", ".join(name for name, each in ESTIMATORS.items() if each.weights)
        raise UsageError(f"estimator={estimator!r} takes no weights: leave them out, or use {can}.")
    aside = () if chosen.asides is None else chosen.asides(**own)
    sample = draw_sample(df, formula, entity, time, clusters, weights, step, aside)
    if cov in OF_LAGS and not sample.calendar:
        sample = sample.noted(ORDER_OF_TIMES.format(sample.time_name))
    if chosen.instruments and not len(sample.instruments):
        raise UsageError(
            f"the formula {formula!r} has no instruments: estimator={estimator!r} expects "
            f"'y ~ exogenous + [endogenous ~ instruments]'."
        )
    if len(sample.instruments) and not chosen.instruments:
        raise UsageError(
            f"the formula {formula!r} has instruments in brackets: estimator={estimator!r} takes none; use iv, liml or "
            f"gmm-iv, or drop them."
        )
    estimate = chosen.run(sample, inference, **own)
    if wild:
        from econ.estimators.bootstrap import bootstrapped

        return bootstrapped(estimate, **bootstrap)
    return estimate


def _clusters(cov: str, cluster: str | Sequence[str] | None, entity: str | None) -> tuple[str, ...]:
    """Columns of the clusters; a UsageError where they and the covariance do not go together."""
    if cluster is None or isinstance(cluster, str):
        columns = () if cluster is None else (cluster,)
    elif isinstance(cluster, Sequence) and all(isinstance(name, str) for name in cluster):
        columns = tuple(cluster)
    else:
        raise UsageError(f"cluster is {cluster!r:.60}: expected the name of a column, or a list of two.")
    takes = cov == "wild" or cov in OF_CLUSTERS
    if columns and not takes:
        named = columns[0] if len(columns) == 1 else list(columns)
        raise UsageError(f"cluster={named!r} has no meaning with cov={cov!r}: pass cov='cluster' or leave it out.")
    if takes and not columns:
        raise UsageError(f"cov={cov!r} needs the column of the clusters: pass cluster={entity or 'region'!r}, say.")
    most = 2 if cov == "cluster" else 1
    if len(columns) > most:
        raise UsageError(f"cov={cov!r} takes {most} column{'s' * (most > 1)} of clusters, found {', '.join(columns)}.")
    if len(set(columns)) < len(columns):
        raise UsageError(f"cluster names {columns[0]!r} twice: name two columns, or one.")
    return columns


BOOTSTRAP_OPTIONS = ("draws", "seed", "draw_weights", "impose_null")


def _bootstrap_options(name: str, chosen: Estimator, options: dict[str, object]) -> dict[str, object]:
    """The options of the bootstrap, taken out of `options`."""
    if not chosen.bootstrap:
        can = ", ".join(known for known, each in ESTIMATORS.items() if each.bootstrap)
        raise UsageError(f"estimator={name!r} has no wild bootstrap: choose another cov, or use {can}.")
    return {option: options.pop(option) for option in BOOTSTRAP_OPTIONS if option in options}


def _own_options(name: str, chosen: Estimator, options: dict[str, object]) -> dict[str, object]:
    """The options that an estimator has of its own; a UsageError for any other."""
    known = [
        parameter.name
        for parameter in inspect.signature(chosen.run).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for option, value in options.items():
        if option == "effects" and "effects" not in known:
            raise UsageError(f"estimator={name!r} has no effects, found effects={value!r}: use estimator='fe'.")
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none of its own"
            raise UsageError(f"estimator={name!r} has no option {option!r}: {has}.")
    return options
