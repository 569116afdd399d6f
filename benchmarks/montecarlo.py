"""How often intervals cover and tests reject where the truth is planted; `estimators.py` writes the page.

An experiment is a function of (rng, panel, ...) to what one replication found: name -> True or False (an interval held
the truth, a true null was rejected), a number to take the mean of, or NaN where the method refuses.  Replications go in
batches, each with a seed of its own, so that the counts do not depend on the number of processes.

Columns are net of two-way effects (`within.absorb`); the functions of arrays behind `econ.fit` and the tests of
`econ.diagnostics` do the rest, as a fit a replication would take ten times as long.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from zlib import crc32

import numpy as np
import pandas as pd
from scipy import special

import econ
from econ.estimators import covariance, weak
from econ.estimators import instruments as arrays
from econ.estimators.design import Design, Rows
from econ.estimators.estimate import Estimate
from econ.estimators.inference import CovarianceOptions, Inference, covariance_of
from econ.estimators.random import quasi_demean, swamy_arora
from econ.estimators.regression import effects_tests, gaussian_loglik, least_squares, take_effects
from econ.estimators.sample import Block, Sample
from econ.estimators.wild import wild_bootstrap
from econ.estimators.within import absorb, absorbed_rank

SEED = 20211
LEVEL = 0.05
BATCH = 125  # replications with one seed
PERSISTENCE = 0.7  # of regressors always, of errors where they are AR(1)
ERRORS = ("iid", "heteroskedastic", "AR(1)", "common shocks")
TRUTH = 1.0  # coefficient of the first regressor; the others have 0.5
DRAWS = 399  # of the bootstrap: 0.05 x 400 is whole, so that the test can be exact
CONTROLS = 8  # regressors without effect, for tests of many restrictions

Found = Mapping[str, float]


@dataclass(frozen=True)
class Panel:
    """A balanced panel."""

    entities: int
    periods: int

    def __str__(self) -> str:
        return f"{self.entities} x {self.periods}"

    @property
    def n(self) -> int:
        return self.entities * self.periods


PANELS = (Panel(26, 14), Panel(8, 14), Panel(10, 14), Panel(50, 10))
IV_PANELS = (Panel(26, 14), Panel(10, 14), Panel(50, 10))


@cache
def rows_of(panel: Panel, clusters: tuple[str, ...] = (), absorbed: tuple[str, ...] = ("entity", "time")) -> Rows:
    """The rows of a panel, entity by entity, as `econ.fit` describes them."""
    entity = np.repeat(np.arange(panel.entities), panel.periods)
    time = np.tile(np.arange(panel.periods), panel.entities)
    codes = {"entity": entity, "time": time}
    return Rows(
        names=("entity", "time"),
        entity=entity,
        time=time,
        tick=time,
        absorbed=absorbed,
        rank=absorbed_rank(*(codes[name] if name in absorbed else None for name in codes)),
        clusters=tuple((name, codes[name]) for name in clusters),
    )


# --- what is drawn --------------------------------------------------------------------------------------------------


def persistent(rng: np.random.Generator, panel: Panel, columns: int, rho: float = PERSISTENCE) -> np.ndarray:
    """(n, columns) stationary AR(1) by entity, variance 1."""
    shocks = rng.standard_normal((panel.periods, panel.entities, columns))
    values = np.empty_like(shocks)
    values[0] = shocks[0]
    for t in range(1, panel.periods):
        values[t] = rho * values[t - 1] + (1 - rho**2) ** 0.5 * shocks[t]
    return values.transpose(1, 0, 2).reshape(panel.n, columns)


def draw(rng: np.random.Generator, panel: Panel, errors: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """X (n, k) and errors (n,) independent of it in mean, both of variance 1.

    heteroskedastic: the variance is (1 + 2 x^2) / 3 of the first regressor x.  common shocks: half the variance of the
    first regressor and of the errors are shocks of a period times the exposure of the entity, the same exposure for
    both, so that two-way effects do not take them out and products of x and e are correlated within a period.
    """
    X = persistent(rng, panel, k)
    e = rng.standard_normal(panel.n)
    if errors == "heteroskedastic":
        e = e * np.sqrt((1 + 2 * X[:, 0] ** 2) / 3)
    if errors == "AR(1)":
        e = persistent(rng, panel, 1)[:, 0]
    if errors == "common shocks":
        exposure = rng.standard_normal(panel.entities)[:, None]
        of_x, of_e = ((exposure * rng.standard_normal(panel.periods)).ravel() for _ in range(2))
        X[:, 0] = (X[:, 0] + of_x) / 2**0.5
        e = (e + of_e) / 2**0.5
    return X, e


def truth(k: int) -> np.ndarray:
    """(k,) planted coefficients."""
    return np.r_[TRUTH, np.full(k - 1, 0.5)]


# --- intervals of two-way fixed effects -----------------------------------------------------------------------------

CHEAP = {  # name -> covariance, clusters
    "classical": ("classical", ()),
    "hc1": ("hc1", ()),
    "hc3": ("hc3", ()),
    "cluster by entity (CR1)": ("cluster", ("entity",)),
    "two-way cluster": ("cluster", ("entity", "time")),
    "driscoll-kraay": ("driscoll-kraay", ()),
    "newey-west": ("newey-west", ()),
}
CR2_PRINTED, CR2, CR3, WILD = "cr2, t(G - 1)", "cr2, Satterthwaite", "cr3, t(G - 1)", "wild (WCR)"
SLOW = (CR2_PRINTED, CR2, CR3, WILD)


def holds(b: float, variance: float, df: float | None, value: float = TRUTH) -> float:
    """Whether the 95 % interval holds the value; NaN without a variance."""
    if not variance > 0:
        return np.nan
    reach = special.ndtri(1 - LEVEL / 2) if df is None else special.stdtrit(df, 1 - LEVEL / 2)
    return float(abs(b - value) <= reach * variance**0.5)


def coverage(rng: np.random.Generator, panel: Panel, errors: str, slow: bool) -> Found:
    """Do 95 % intervals of the first of two slopes hold it?  `slow`: CR2, CR3 and the bootstrap, else the others."""
    X, e = draw(rng, panel, errors, 2)
    y = X @ truth(2) + e
    rows = rows_of(panel, ("entity",))
    W, y_net = absorb(X, rows.entity, rows.time), absorb(y, rows.entity, rows.time)
    b = least_squares(W, y_net)
    left = y_net - W @ b

    def inference(cov: str, clusters: tuple[str, ...]) -> Inference:
        return covariance_of(W, left, rows_of(panel, clusters), CovarianceOptions(cov), ("x0", "x1"))

    if not slow:
        found = {name: inference(*how) for name, how in CHEAP.items()}
        return {name: holds(b[0], each.V[0, 0], each.df_resid) for name, each in found.items()}
    cr2, cr3 = inference("cr2", ("entity",)), inference("cr3", ("entity",))
    wild = wild_bootstrap(
        y, X, rows.entity, 0, entity=rows.entity, time=rows.time, draws=DRAWS, seed=int(rng.integers(2**31))
    )
    return {
        CR2_PRINTED: holds(b[0], cr2.V[0, 0], cr2.df_resid),
        CR2: holds(b[0], cr2.V[0, 0], cr2.df_coef[0]),
        CR3: holds(b[0], cr3.V[0, 0], cr3.df_resid),
        WILD: float(wild.interval[0] <= TRUTH <= wild.interval[1]),
    }


# --- tests of a panel -----------------------------------------------------------------------------------------------

# (test, errors under which its null does not hold)
PANEL_TESTS = {
    "hausman, contrast": (),
    "hausman, sigmamore": (),
    "hausman, auxiliary": (),
    "hausman, auxiliary clustered": (),
    "F of both effects": ("common shocks",),
    "F of entity effects": ("common shocks",),
    "breusch_pagan": (),
    "breusch_pagan, honda": (),
    "pesaran_cd, entity effects": ("common shocks",),
    "pesaran_cd, two-way effects": ("common shocks",),
    "wooldridge_serial": ("AR(1)",),
    "modified_wald": ("heteroskedastic", "common shocks"),
    "lr, 8 slopes": (),
    "wald, 8 slopes, classical": (),
    "wald, 2 slopes, CR1": (),
    "wald, 8 slopes, CR1": (),
}
NEGATIVE = "hausman, contrast: statistic < 0"


def rejects(test: econ.Test | Callable[[], econ.Test]) -> float:
    """Whether the test rejects at 5 %; NaN where it refuses.  Without a p-value nobody rejects."""
    try:
        found = test() if callable(test) else test
    except econ.EstimationError:
        return np.nan
    return float(found.pvalue <= LEVEL)


def estimate(
    panel: Panel,
    y: np.ndarray,
    X: np.ndarray,
    left: np.ndarray,
    effects: tuple[str, ...] = (),
    b: np.ndarray | None = None,
    V: np.ndarray | None = None,
    **more: object,
) -> Estimate:
    """What `econ.fit` would return, as far as the tests look at it."""
    names, params, cov = blank(X.shape[1])
    rows = rows_of(panel, ("entity",), effects)
    return Estimate(
        model="estimate",
        formula=f"y ~ {' + '.join(names)}",
        dependent="y",
        params=params if b is None else pd.Series(b, params.index),
        cov=cov if V is None else pd.DataFrame(V, params.index, params.index),
        cov_type="classical",
        nobs=panel.n,
        effects=effects,
        design=Design(y, X, names, left, rows, {}),
        **more,
    )


@cache
def blank(k: int) -> tuple[tuple[str, ...], pd.Series, pd.DataFrame]:
    """Names, coefficients and covariance where a test looks at none; made once, as pandas is slower than the test."""
    names = [f"x{j}" for j in range(k)]
    return tuple(names), pd.Series(0.0, names), pd.DataFrame(0.0, names, names)


def net_fit(y: np.ndarray, X: np.ndarray, *codes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes (k,), net columns (n, k) and residuals (n,) beside effects of the codes."""
    W, y_net = absorb(X, *codes), absorb(y, *codes)
    b = least_squares(W, y_net)
    return b, W, y_net - W @ b


def panel_tests(rng: np.random.Generator, panel: Panel, errors: str) -> Found:
    """Which tests reject a null that holds; where it does not hold it is power, which the page leaves out."""
    rows = rows_of(panel, ("entity",))
    entity, time = rows.entity, rows.time
    X, e = draw(rng, panel, errors, 2)
    y = X @ truth(2) + e
    effect = rng.standard_normal(panel.entities)[entity]
    found: dict[str, float] = {}

    # no effects in the truth
    pooled = estimate(panel, y, X, net_fit(y, X, None, None)[2])
    found["breusch_pagan"] = rejects(econ.breusch_pagan(pooled))
    honda = econ.breusch_pagan(pooled, variant="honda")
    found["breusch_pagan, honda"] = float(special.ndtr(-honda.stat) <= LEVEL)  # one-sided, as its note says
    empty = Block((), np.empty((panel.n, 0)))
    sample = Sample(
        formula="y ~ x0 + x1",
        dependent="y",
        y=y,
        exogenous=Block(("x0", "x1"), X),
        endogenous=empty,
        instruments=empty,
        keys={"entity": pd.RangeIndex(panel.entities), "time": pd.RangeIndex(panel.periods)},
        entity=entity,
        time=time,
        tick=time,
        clusters=(),
        weight=None,
        index=pd.RangeIndex(panel.n),
    )
    net = take_effects(sample, "twoway", "stata")
    left = net_fit(y, X, entity, time)[2]
    effects = effects_tests(net, left @ left)
    found["F of both effects"] = rejects(effects["f_effects"])
    found["F of entity effects"] = rejects(effects["f_entity"])

    # random effects of the entities that the regressors know nothing of
    found |= hausman_tests(y + effect, X, entity)

    # residuals of fixed effects
    by_entity = net_fit(y, X, entity, None)[2]
    for name, residuals, absorbed in (("entity", by_entity, ("entity",)), ("two-way", left, ("entity", "time"))):
        found[f"pesaran_cd, {name} effects"] = rejects(econ.pesaran_cd(estimate(panel, y, X, residuals, absorbed)))
    found["wooldridge_serial"] = rejects(partial(econ.wooldridge_serial, pooled))
    found["modified_wald"] = rejects(econ.modified_wald(estimate(panel, y, X, left, ("entity", "time"))))
    return found | many_slopes(rng, panel, y, X, left)


def hausman_tests(y: np.ndarray, X: np.ndarray, entity: np.ndarray) -> Found:
    """All versions of Hausman's test of two slopes, through the functions of arrays behind `econ.hausman`."""
    n, k = X.shape
    groups = int(entity.max()) + 1
    b, W, left = net_fit(y, X, entity, None)
    V = covariance.classical(W, left, n - groups - k)
    theta = swamy_arora(y, X, entity).theta
    y_star = quasi_demean(y, theta, entity)
    W_star = quasi_demean(np.column_stack([np.ones(n), X]), theta, entity)
    B = least_squares(W_star, y_star)
    left_star = y_star - W_star @ B
    V_star = covariance.classical(W_star, left_star, n - k - 1)
    more = (left_star @ left_star / (n - k - 1)) / (left @ left / (n - groups - k))
    contrast = econ.diagnostics.hausman_contrast
    plain = contrast(b, V, B[1:], V_star[1:, 1:])
    auxiliary = partial(econ.diagnostics.hausman_auxiliary, y_star, W_star, W, range(k))
    return {
        "hausman, contrast": rejects(plain),
        NEGATIVE: float(plain.stat < 0),
        "hausman, sigmamore": rejects(contrast(b, V * more, B[1:], V_star[1:, 1:])),
        "hausman, auxiliary": rejects(auxiliary(None)),
        "hausman, auxiliary clustered": rejects(auxiliary(entity)),
    }


def many_slopes(rng: np.random.Generator, panel: Panel, y: np.ndarray, X: np.ndarray, left: np.ndarray) -> Found:
    """Likelihood ratio and Wald tests that eight controls, or two of them, have no effect, beside two-way effects."""
    both = ("entity", "time")
    rows = rows_of(panel, ("entity",))
    wide = np.column_stack([X, persistent(rng, panel, CONTROLS)])
    b, W, rest = net_fit(y, wide, rows.entity, rows.time)
    names = tuple(f"x{j}" for j in range(wide.shape[1]))
    root = np.ones(panel.n)
    small = estimate(panel, y, X, left, both, loglik=gaussian_loglik(left, root), n_coefs=rows.rank + X.shape[1])
    ll = gaussian_loglik(rest, root)

    def of(cov: str) -> Estimate:
        one = covariance_of(W, rest, rows, CovarianceOptions(cov), names)
        return estimate(
            panel, y, wide, rest, both, b, one.V, df_resid=one.df_resid, loglik=ll, n_coefs=rows.rank + len(names)
        )

    classical, clustered = of("classical"), of("cluster")
    eight = np.eye(len(names))[X.shape[1] :]
    return {
        "lr, 8 slopes": rejects(econ.lr(classical, small)),
        "wald, 8 slopes, classical": rejects(econ.wald(classical, eight)),
        "wald, 2 slopes, CR1": rejects(econ.wald(clustered, eight[:2])),
        "wald, 8 slopes, CR1": rejects(partial(econ.wald, clustered, eight)),
    }


# --- instruments ----------------------------------------------------------------------------------------------------

STRENGTH = {"strong": 30.0, "weak": 1.0}  # concentration over the number of instruments, about the first-stage F less 1
CORRELATION = 0.6  # of the errors of the equation and of every first stage
IV_ROWS = {
    "2SLS": "coverage",
    "LIML": "coverage",
    "Fuller(1)": "coverage",
    "anderson_rubin": "size",
    "overidentification": "size",
    "endogeneity": "size",
    "kp_lm": "size",
}
FIRST_STAGE = "first-stage F"


def with_instruments(rng: np.random.Generator, panel: Panel, clustered: bool, strength: str, endogenous: int) -> Found:
    """One equation with `endogenous` regressors, two instruments more than these, a control and two-way effects.

    The first regressor's coefficient is looked at.  The null of kp_lm is drawn anew: the last first stage is empty.
    That of endogeneity too: errors of the equation independent of the first stages.
    """
    count = endogenous + 2
    rho = PERSISTENCE if clustered else 0.0
    rows = rows_of(panel, ("entity",) if clustered else ())
    Z, control = (persistent(rng, panel, k, rho) for k in (count, 1))
    v = persistent(rng, panel, endogenous + 1, rho)
    e = CORRELATION * v[:, :-1].sum(axis=1) + (1 - endogenous * CORRELATION**2) ** 0.5 * v[:, -1]
    free = (panel.entities - 1) * (panel.periods - 1)
    mine = np.arange(count) % endogenous == np.arange(endogenous)[:, None]  # instruments of each first stage
    pi = (mine * np.sqrt(STRENGTH[strength] * count / free / mine.sum(axis=1, keepdims=True))).T
    X2 = Z @ pi + v[:, :-1]
    unidentified = X2.copy()
    unidentified[:, -1] = v[:, -2]
    equation = X2.sum(axis=1) * TRUTH + 0.5 * control[:, 0]
    columns = np.column_stack([equation + e, equation + v[:, -1], control, X2, unidentified, Z])
    net = absorb(columns, rows.entity, rows.time)
    y, y_exogenous = net[:, 0], net[:, 1]
    X1, X2, unidentified, Z = np.split(net[:, 2:], np.cumsum([1, endogenous, endogenous]), axis=1)

    options = CovarianceOptions("cluster" if clustered else "classical")
    errors = arrays.Errors(
        meat=partial(covariance.clustered, code=rows.entity) if clustered else None,
        clusters=panel.entities if clustered else None,
        absorbed=rows.rank,
        small=True,
    )
    names = tuple(f"x{j}" for j in range(endogenous + 1))
    fits = {
        "2SLS": arrays.two_stage(y, X1, X2, Z),
        "LIML": arrays.liml(y, X1, X2, Z, absorbed=rows.rank),
        "Fuller(1)": arrays.liml(y, X1, X2, Z, fuller=1, absorbed=rows.rank),
    }
    found = {}
    for name, fit in fits.items():
        one = covariance_of(fit.W, fit.residuals, rows, options, names)
        V = one.V
        if not clustered and name != "2SLS":  # the metric of the k-class, as `iv.py` has it
            V = fit.bread * (fit.residuals @ fit.residuals) / panel.n * one.factor
        found[name] = holds(fit.coefs[0], V[0, 0], one.df_resid)
    rank = weak.rank_tests(X1, X2, Z, errors)
    return found | {
        "anderson_rubin": rejects(weak.anderson_rubin(y, X1, X2, Z, errors, TRUTH)[0]),
        "overidentification": rejects(arrays.overidentification(y, X1, X2, Z, errors, fits["2SLS"])),
        "endogeneity": rejects(arrays.endogeneity(y_exogenous, X1, X2, Z, errors)),
        "kp_lm": rejects(weak.rank_tests(X1, unidentified, Z, errors).lm),
        FIRST_STAGE: rank.cragg_donald,
    }


# --- running --------------------------------------------------------------------------------------------------------

EXPERIMENTS: dict[str, Callable[..., Found]] = {
    "coverage": coverage,
    "panel tests": panel_tests,
    "instruments": with_instruments,
}


@dataclass(frozen=True)
class Job:
    """An experiment under one design, so many replications of it."""

    experiment: str
    panel: Panel
    design: tuple
    replications: int

    def batches(self) -> list[tuple[Job, int, int]]:
        """(job, number of the batch, replications in it)."""
        sizes = [min(BATCH, self.replications - first) for first in range(0, self.replications, BATCH)]
        return [(self, number, size) for number, size in enumerate(sizes)]


@dataclass(frozen=True)
class Share:
    """A mean over replications; `refused` of them had no result."""

    value: float
    replications: int
    refused: int

    def error(self, nominal: float) -> float:
        """Monte Carlo standard error where `nominal` is true."""
        return (nominal * (1 - nominal) / self.replications) ** 0.5


def run_batch(batch: tuple[Job, int, int]) -> tuple[Job, dict[str, list[float]]]:
    """All that the replications of one batch found."""
    job, number, size = batch
    key = crc32(repr((job.experiment, job.panel, job.design)).encode())
    rng = np.random.default_rng([SEED, key, number])
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(size):
        for name, value in EXPERIMENTS[job.experiment](rng, job.panel, *job.design).items():
            found[name].append(value)
    return job, found


def run(jobs: Sequence[Job], processes: int) -> dict[Job, dict[str, Share]]:
    """Shares by job and name."""
    batches = [batch for job in jobs for batch in job.batches()]
    values: dict[Job, dict[str, list[float]]] = {job: defaultdict(list) for job in jobs}
    for job, found in _mapped(batches, processes):
        for name, some in found.items():
            values[job][name] += some
    return {job: {name: share(some) for name, some in names.items()} for job, names in values.items()}


def _mapped(batches: Sequence[tuple[Job, int, int]], processes: int) -> Iterable[tuple[Job, dict[str, list[float]]]]:
    if processes == 1:
        return map(run_batch, batches)
    # matrices are small: threads of the linear algebra would only get in the way; children read this when they start
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(run_batch, batches))


def share(values: list[float]) -> Share:
    """Mean of what is not NaN."""
    known = np.array(values)[~np.isnan(values)]
    mean = float(known.mean()) if known.size else float("nan")
    return Share(mean, known.size, len(values) - known.size)


def jobs(
    replications: int, slow: int, few: int, panels: Sequence[Panel], iv_panels: Sequence[Panel]
) -> dict[str, list[Job]]:
    """All designs; CR2, CR3 and the bootstrap have `slow` replications, tests and instruments `few`."""
    return {
        "coverage": [
            Job("coverage", panel, (errors, is_slow), slow if is_slow else replications)
            for panel in panels
            for errors in ERRORS
            for is_slow in (False, True)
        ],
        "panel tests": [Job("panel tests", panel, (errors,), few) for panel in panels for errors in ERRORS],
        "instruments": [
            Job("instruments", panel, (clustered, strength, endogenous), few)
            for panel in iv_panels
            for clustered in (False, True)
            for strength in STRENGTH
            for endogenous in (1, 2)
        ],
    }
