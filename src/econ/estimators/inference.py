"""From an option to a covariance: which formula, whose small-sample factor, how many degrees of freedom.

G clusters, the fewer of two ways; T periods that occur; n rows; K = slopes + rank of all effects with the constant;
k = columns of the transformed regression; K_c and K_t leave out effects as the program does (`covariance.PRESETS`).

==============  ===============================  =======================  ==========================================
cov             factor                           df of t                  programs that differ
==============  ===============================  =======================  ==========================================
classical       e'e / (n - K)                    n - K
hc0, hc2, hc3   none                             n - K
hc1             n / (n - K)                      n - K                    plm: n / (n - k)
cluster (CR1)   G/(G-1) (n-1)/(n - K_c)          G - 1                    plm: none, df n - K
cr2, cr3        none                             G - 1; CR2: Satterthwaite's
driscoll-kraay  T/(T-1) (n-1)/(n - K_t)          T - 1                    plm: none, df n - K
newey-west      n / (n - K)                      n - K                    fixest: as driscoll-kraay; plm: none
pcse            none                             n - K
==============  ===============================  =======================  ==========================================

K_c: stata counts periods but not entities, the others whatever is not nested in a way of clustering.  With two ways
stata counts as reghdfe, and what is not positive semidefinite is mended by stata, reghdfe and fixest.  K_t: stata
does as xtscc, which counts periods but not entities; fixest, ivreg2 and reghdfe count all effects.  With small=False
nothing has a factor, e'e is divided by n, and the law is normal, which is what ivreg2 does unless told `small`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import compress

import numpy as np

from econ.errors import BadInputError, EstimationError, UsageError
from econ.estimators import covariance
from econ.estimators.covariance import CONVENTIONS, KERNELS, cluster_factor
from econ.estimators.design import Rows
from econ.estimators.within import COLLINEAR, SINGULAR, nested

KINDS = {
    "classical": "classical",
    "hc0": "robust to heteroskedasticity (HC0)",
    "hc1": "robust to heteroskedasticity (HC1)",
    "hc2": "robust to heteroskedasticity (HC2)",
    "hc3": "robust to heteroskedasticity (HC3)",
    "cluster": "CR1",
    "cr2": "CR2",
    "cr3": "CR3",
    "driscoll-kraay": "Driscoll-Kraay",
    "newey-west": "Newey-West",
    "pcse": "panel-corrected (Beck-Katz)",
}
# Of likelihoods only: `limited` has its own.
OF_LIKELIHOODS = {"opg": "outer product of gradients"}
# Of difference and system GMM only.
OF_MOMENTS = {"robust": "robust, clustered by unit"}
OF_CLUSTERS = ("cluster", "cr2", "cr3")
OF_LAGS = ("driscoll-kraay", "newey-west")

FEW = 30  # clusters; few is "20 to 50" to A. C. Cameron, D. L. Miller (2015), J. Hum. Resour. 50, 317-372, sec. VI
FEW_PERIODS = 20  # for Driscoll-Kraay, what fixest's manual asks for at least

Meat = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CovarianceOptions:
    """What is asked for.

    Parameters
    ----------
    cov : str
        One of `KINDS`, `OF_LIKELIHOODS` or `OF_MOMENTS`.
    ssc : str
        Whose small-sample convention, one of `covariance.CONVENTIONS`.
    lags : int or None
        Whole periods that errors are correlated over, for "driscoll-kraay" and "newey-west"; None as the program.
    kernel : str
        One of `covariance.KERNELS`; Bartlett's weights are 1 - lag / (lags + 1).
    small : bool
        Small-sample factor and t; False for neither, and the normal law.
    """

    cov: str = "classical"
    ssc: str = "stata"
    lags: int | None = None
    kernel: str = "bartlett"
    small: bool = True

    def __post_init__(self) -> None:
        for what, choice, known in (
            ("covariance", self.cov, {**KINDS, **OF_LIKELIHOODS, **OF_MOMENTS}),
            ("ssc", self.ssc, CONVENTIONS),
            ("kernel", self.kernel, KERNELS),
        ):
            if choice not in tuple(known):
                raise UsageError(f"there is no {what} {choice!r}: choose among {', '.join(known)}.")
        if not isinstance(self.small, bool | np.bool_):
            raise UsageError(f"small is {self.small!r}: expected True or False.")
        whole = isinstance(self.lags, int | np.integer) and not isinstance(self.lags, bool)
        if self.lags is not None and (not whole or self.lags < 0):
            raise UsageError(f"lags={self.lags!r} is no number of periods: expected 0, 1, 2, ..., or None.")
        if self.cov not in OF_LAGS and (self.lags is not None or self.kernel != "bartlett"):
            raise UsageError(
                f"lags and kernel have no meaning with cov={self.cov!r}: leave them out, or pass cov='driscoll-kraay'."
            )


@dataclass(frozen=True, eq=False)
class Inference:
    """A covariance, and what it takes to test with it.

    Parameters
    ----------
    V : (p, p) float
        Covariance of the coefficients of W; NaN where it is not estimated.
    cov_type : str
        What kind, in words.
    df_resid : int or None
        Degrees of freedom of t; None for the normal law.
    notes : tuple of str
        The factor with its numbers, few clusters, what is singular.
    meat : function of (n, q) scores to (q, q), or None
        The same dependence for other scores, without factor or leverage; None for classical and panel-corrected.
    factor : float
        What the sandwich was multiplied by.
    clusters : int or None
        The smallest number of clusters.
    df_coef : (p,) float or None
        Satterthwaite degrees of freedom of each coefficient of W, for CR2.
    variance : float or None
        What a classical V is a multiple of: e'e over n - K, or over n.
    """

    V: np.ndarray
    cov_type: str
    df_resid: int | None
    notes: tuple[str, ...]
    meat: Meat | None
    factor: float
    clusters: int | None = None
    df_coef: np.ndarray | None = None
    variance: float | None = None


def covariance_of(
    W: np.ndarray, e: np.ndarray, rows: Rows, options: CovarianceOptions, slope_names: tuple[str, ...]
) -> Inference:
    """The covariance that `options` ask for.

    Parameters
    ----------
    W : (n, p) float
        Columns of the regression as in `covariance`, the constant first where there is one.
    e : (n,) float
        Residuals.
    rows : Rows
        Who stands where, effects, weights and clusters.
    options : CovarianceOptions
        What is asked for.
    slope_names : tuple of str, (p,) or (p - 1,)
        Names of the columns of W but for the constant.
    """
    if options.cov in OF_CLUSTERS:
        return _of_clusters(W, e, rows, options, slope_names)
    if options.cov in OF_LAGS:
        return _of_lags(W, e, rows, options, slope_names)
    return _of_rows(W, e, rows, options, len(slope_names))


def _of_rows(W: np.ndarray, e: np.ndarray, rows: Rows, options: CovarianceOptions, k: int) -> Inference:
    """Classical, robust to heteroskedasticity, and panel-corrected."""
    n, cov = rows.n, options.cov
    df = n - rows.rank - k
    factor, notes, variance = 1.0, (), None
    if cov == "hc1" and options.small:
        by_plm = options.ssc in ("plm", "plm-sss")
        left = n - CONVENTIONS[options.ssc].count(k, rows.rank, _levels(rows), {}) if by_plm else df
        factor = n / left
        notes = (f"small-sample factor N/(N - K) = {n}/{left} = {factor:.6g}",)
    elif cov == "hc1":
        notes = ("without the small-sample factor HC1 is HC0",)
    if cov == "classical":
        factor = n / df if options.small else 1.0
        variance = float(e @ e) / (df if options.small else n)
        V = variance * covariance.bread(W)
    elif cov == "pcse":
        V = covariance.beck_katz(W, e, rows.entity, rows.time)
    elif cov in ("hc2", "hc3"):
        V = covariance.hc(W, e, rows, 1 if cov == "hc2" else 2)
    else:
        V = factor * covariance.sandwich(W, covariance.white(W * e[:, None]))
    meat = None if cov in ("classical", "pcse") else covariance.white
    return Inference(V, KINDS[cov], df if options.small else None, notes, meat, factor, variance=variance)


def _of_clusters(
    W: np.ndarray, e: np.ndarray, rows: Rows, options: CovarianceOptions, slope_names: tuple[str, ...]
) -> Inference:
    """CR1 by one or two ways, CR2 and CR3 by one."""
    cov, preset, k = options.cov, CONVENTIONS[options.ssc], len(slope_names)
    _check_clusters(rows, options)
    codes = [code for _, code in rows.clusters]
    counts = [int(code.max()) + 1 for code in codes]
    groups = min(counts)
    clusters = " and ".join(
        f"{count} clusters in {name}" for count, (name, _) in zip(counts, rows.clusters, strict=True)
    )
    meat = partial(covariance.clustered, code=codes[0])
    if len(codes) == 2:
        meat = partial(covariance.two_way, first=codes[0], second=codes[1])
    factor, df_coef, notes = 1.0, None, []
    if cov == "cluster":
        factor, note = _cluster_factor(rows, options, k, groups)
        notes.append(f"{clusters}; {note}")
        V = factor * covariance.sandwich(W, meat(W * e[:, None]))
        if len(codes) == 2:
            V, repair = _repaired(V, W, rows, preset.repairs, k)
            notes += repair
        if groups < FEW:
            notes.append(
                f"{groups} clusters are few, and CR1 standard errors then tend to be too small: "
                f"compare cov='cr2' or the wild cluster bootstrap (cov='wild')"
            )
    else:
        V = covariance.bell_mccaffrey(W, e, rows, codes[0], 0.5 if cov == "cr2" else 1)
        notes.append(f"{clusters}; residuals adjusted by leverage, no small-sample factor")
        if cov == "cr2" and options.small:
            df_coef = covariance.satterthwaite(W, rows, codes[0])
            listed = ", ".join(f"{name} {df:.3g}" for name, df in zip(slope_names, df_coef[-k:], strict=True))
            notes.append(f"{SATTERTHWAITE}: {listed}")
    df = groups - 1 if preset.df_of_clusters or cov != "cluster" else rows.n - rows.rank - k
    V, unfit = _without_lost(V, W, e, codes, slope_names, "cluster")
    return Inference(
        V=V,
        cov_type=f"{KINDS[cov]}, {clusters}",
        df_resid=df if options.small else None,
        notes=(*notes, *unfit),
        meat=meat,
        factor=factor,
        clusters=groups,
        df_coef=df_coef,
    )


def _check_clusters(rows: Rows, options: CovarianceOptions) -> None:
    """Refuse clusters that the formula or the program cannot take."""
    names = [name for name, _ in rows.clusters]
    ways = 1 if options.cov in ("cr2", "cr3") or options.ssc == "plm-sss" else 2
    if not names:
        raise UsageError(f"cov={options.cov!r} needs the column of the clusters: name it.")
    if len(names) > ways:
        raise UsageError(
            f"there are {len(names)} ways of clustering ({', '.join(names)}): expected {'one' if ways == 1 else 'two'} "
            f"at most with cov={options.cov!r} and ssc={options.ssc!r}; leave out the others."
        )
    for name, code in rows.clusters:
        if code.max() < 1:
            raise EstimationError(f"there is one cluster in {name!r}: expected at least two, better thirty.")
    needs_nesting = options.cov == "cluster" and options.small and CONVENTIONS[options.ssc].needs_nesting
    if needs_nesting and len(names) == 1 and not _nested(rows).get("entity", True):
        raise BadInputError(
            f"rows of one {rows.names[0]} lie in several clusters of {names[0]!r}, which ssc={options.ssc!r} "
            f"(xtreg) refuses: cluster by {rows.names[0]!r}, or pass ssc='reghdfe'."
        )


def _cluster_factor(rows: Rows, options: CovarianceOptions, k: int, groups: int) -> tuple[float, str]:
    """Factor of CR1, and how it comes about."""
    preset = CONVENTIONS[options.ssc]
    if not (options.small and preset.corrects):
        return 1.0, "no small-sample factor"
    count = preset.count if len(rows.clusters) == 1 else preset.count_two_way or preset.count
    K = count(k, rows.rank, _levels(rows), _nested(rows))
    factor = cluster_factor(rows.n, groups, K)
    return factor, (
        f"small-sample factor G/(G - 1) (N - 1)/(N - K) = {groups}/{groups - 1} x {rows.n - 1}/{rows.n - K} = "
        f"{factor:.6g} with K = {K} (ssc={options.ssc!r}, {preset.meaning})"
    )


def effects_beside_instruments(rows: Rows, options: CovarianceOptions) -> int:
    """Coefficients of effects that first stages and tests of instruments count: all, as xtivreg2.

    ivreghdfe, and so ssc="reghdfe", leaves out effects that are nested in the clusters.
    """
    if options.ssc != "reghdfe" or not rows.clusters:
        return rows.rank
    return CONVENTIONS[options.ssc].count(0, rows.rank, _levels(rows), _nested(rows))


SATTERTHWAITE = "degrees of freedom of t by Satterthwaite"


def with_other_law(notes: tuple[str, ...], law: str) -> tuple[str, ...]:
    """Notes of an estimate whose p-values do not take Satterthwaite's degrees of freedom, but `law`."""
    return tuple(f"{note}; p-values here take {law}" if note.startswith(SATTERTHWAITE) else note for note in notes)


def _levels(rows: Rows) -> dict[str, int]:
    """Levels of each absorbed effect."""
    return {effect: int(_code(rows, effect).max()) + 1 for effect in rows.absorbed}


def _nested(rows: Rows) -> dict[str, bool]:
    """Whether each absorbed effect is nested in a way of clustering."""
    return {effect: any(nested(_code(rows, effect), code) for _, code in rows.clusters) for effect in rows.absorbed}


def _code(rows: Rows, effect: str) -> np.ndarray:
    return rows.entity if effect == "entity" else rows.time


def _repaired(V: np.ndarray, W: np.ndarray, rows: Rows, repairs: bool, k: int) -> tuple[np.ndarray, list[str]]:
    """The two-way covariance made positive semidefinite where the program does so, and what was done.

    Beside absorbed effects a constant has no part in it: its scores sum to zero in every cluster, and what is left is
    minus the variance by rows.
    """
    start = W.shape[1] - k if rows.absorbed else 0
    block = V[start:, start:]
    positive, indefinite = covariance.semidefinite(block, W[:, start:])
    if not indefinite:
        return V, []
    found = "the two-way clustered covariance is not positive semidefinite"
    if not repairs:
        return V, [f"{found}: tests of several coefficients may fail; ssc='reghdfe' mends it"]
    V = V.copy()
    V[start:, start:] = positive
    return V, [f"{found}: its negative eigenvalues are set to 0, those of the units the columns have"]


def _of_lags(
    W: np.ndarray, e: np.ndarray, rows: Rows, options: CovarianceOptions, slope_names: tuple[str, ...]
) -> Inference:
    """Driscoll-Kraay and Newey-West."""
    k, preset = len(slope_names), CONVENTIONS[options.ssc]
    periods, span = np.unique(rows.tick).size, int(rows.tick.max()) + 1
    lags = min(preset.default_lags(periods), span - 1) if options.lags is None else int(options.lags)
    if periods < 2 or lags >= span:
        raise EstimationError(
            f"lags={lags} of {rows.names[1]}, which spans {span} periods: expected fewer lags than periods; "
            f"pass fewer lags, or use another covariance."
        )
    if options.cov == "driscoll-kraay":
        meat = partial(covariance.driscoll_kraay, tick=rows.tick, lags=lags, kernel=options.kernel)
    else:
        meat = partial(covariance.newey_west, entity=rows.entity, tick=rows.tick, lags=lags, kernel=options.kernel)
    factor, note, df = _lag_factor(rows, options, k, periods)
    notes = [note]
    V = factor * covariance.sandwich(W, meat(W * e[:, None]))
    if options.cov == "driscoll-kraay" and periods < FEW_PERIODS:
        notes.append(f"{periods} periods are few for Driscoll-Kraay, which relies on many: compare cov='cluster'")
    periods_of = [rows.time] if options.cov == "driscoll-kraay" else []
    V, unfit = _without_lost(V, W, e, periods_of, slope_names, rows.names[1])
    return Inference(
        V=V,
        cov_type=f"{KINDS[options.cov]}, {options.kernel} kernel, lags 0..{lags} of {rows.names[1]}",
        df_resid=df if options.small else None,
        notes=(*notes, *unfit),
        meat=meat,
        factor=factor,
        clusters=periods if options.cov == "driscoll-kraay" else None,
    )


def _lag_factor(rows: Rows, options: CovarianceOptions, k: int, periods: int) -> tuple[float, str, int]:
    """Factor of Driscoll-Kraay or Newey-West, how it comes about, and degrees of freedom."""
    preset, n = CONVENTIONS[options.ssc], rows.n
    df = n - rows.rank - k
    as_periods = options.cov == "driscoll-kraay" or preset.lags_as_periods
    if as_periods and preset.df_of_clusters:
        df = periods - 1
    if not (options.small and preset.corrects):
        return 1.0, "no small-sample factor", df
    K = preset.count_periods(k, rows.rank, _levels(rows), {})
    if as_periods:
        factor = cluster_factor(n, periods, K)
        formula = f"T/(T - 1) (N - 1)/(N - K) = {periods}/{periods - 1} x {n - 1}/{n - K}"
    else:
        factor = n / (n - K)
        formula = f"N/(N - K) = {n}/{n - K}"
    return factor, f"small-sample factor {formula} = {factor:.6g} with K = {K} (ssc={options.ssc!r})", df


# Share of a classical variance below which a clustered one is rounding: that of sums which cancel comes out near 1e-30.
CANCELLED = 1e-20


def _without_lost(
    V: np.ndarray, W: np.ndarray, e: np.ndarray, codes: list[np.ndarray], slope_names: tuple[str, ...], what: str
) -> tuple[np.ndarray, list[str]]:
    """NaN for coefficients that the formula cannot judge, and notes.

    They vary in one cluster or period only, have a negative variance, or scores that sum to zero in every cluster, as
    with two clusters and effects of what is not nested in them.
    """
    names = (*["the constant"] * (W.shape[1] - len(slope_names)), *slope_names)
    V = V.copy()
    own = np.diag(V) * (W**2).sum(axis=0)  # in one unit for all
    zero = (own < 0) & (own >= -SINGULAR * own.max())  # a constant that effects absorb: rounding about zero
    V[zero, :] = V[:, zero] = 0
    lost = np.zeros(len(names), bool)
    for code in codes:
        lost |= covariance.in_one_cluster(W, code)
    negative = ~lost & (np.diag(V) < 0)
    cancelled = ~lost & ~negative & (np.diag(V) <= CANCELLED * np.diag(covariance.classical(W, e, e.size)))
    cancelled[: W.shape[1] - len(slope_names)] = False
    unknown = lost | negative | cancelled
    V[unknown, :] = V[:, unknown] = np.nan
    notes = [f"no clustered standard error of {name}: it varies in one {what} only" for name in compress(names, lost)]
    notes += [
        f"no standard error of {name}: its variance is estimated below zero" for name in compress(names, negative)
    ]
    notes += [
        f"no standard error of {name}: its scores sum to zero in every {what}, which are too few for these effects"
        for name in compress(names, cancelled)
    ]
    block = V[-len(slope_names) :, -len(slope_names) :]
    return V, notes if np.isnan(block).any() else [*notes, *_singular(block)]


def _singular(V: np.ndarray) -> list[str]:
    """A note where the covariance (k, k) of the slopes has less than full rank."""
    se = np.sqrt(np.diag(V))
    if not (se > 0).all():
        return []
    rank = np.linalg.matrix_rank(V / np.outer(se, se), hermitian=True, tol=COLLINEAR)
    if rank == len(V):
        return []
    return [f"the covariance of the {len(V)} slopes has rank {rank}: no joint test of more than {rank} of them"]
