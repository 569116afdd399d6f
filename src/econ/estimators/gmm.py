"""Difference and system GMM through `econ.fit`: `dynamic.py` on the cubes of a panel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from econ.errors import EstimationError, UsageError
from econ.estimators import dynamic
from econ.estimators.design import Design
from econ.estimators.dynamic_moments import EQUATIONS, TRANSFORMS, GmmStyle, IvStyle, Moments, build, without_redundant
from econ.estimators.estimate import Estimate, Test
from econ.estimators.inference import CovarianceOptions
from econ.estimators.regression import group_sizes, least_squares, model_name, model_test
from econ.estimators.sample import Aside, Sample
from econ.estimators.within import demean

COVARIANCES = ("robust", "classical")

CONSTANT = "Intercept"

# At this level a test of serial correlation or of all instruments says that the estimate is not to be used.
REJECTED = 0.05

# A p-value of Hansen's test above this is a sign of too many instruments, not of good ones (Roodman 2009, Oxford Bull.
# Econ. Stat. 71, 135-158).
SUSPICIOUS = 0.99


@dataclass(frozen=True)
class Instruments:
    """Some variables that instrument by their lags, for `gmm=`, where a pair (first, last) of lags does not do.

    Parameters
    ----------
    first, last : int, int or None
        Lags counted from the variable itself; None takes all there are.
    collapse : bool, optional
        One column a lag; by default as the option of `econ.fit`.
    equation : str
        "both", "transformed" or "level".
    """

    first: int
    last: int | None = None
    collapse: bool | None = None
    equation: str = "both"


def asides(gmm: object = None, iv: object = (), **_: object) -> tuple[str, ...]:
    """Variables that are needed on all rows of the panel, beside those of the formula."""
    wanted = [name for names, *_ in _sets(gmm) for name in names]
    wanted += [name for names, *_ in _standard(iv) for name in names]
    return tuple(dict.fromkeys(wanted))


def gmm(
    sample: Sample,
    options: CovarianceOptions,
    *,
    gmm: Mapping[str | tuple[str, ...], tuple[int, int | None] | Instruments],
    iv: Sequence[str | tuple] = (),
    system: bool = True,
    steps: int | str = 2,
    transform: str = "fd",
    collapse: bool = False,
    time_effects: bool = False,
    windmeijer: bool = True,
    h: int = 3,
    orders: int = 2,
    factor: str = "new",
    sargan: str = "transformed",
) -> Estimate:
    """Arellano and Bond's difference GMM, or Blundell and Bond's system GMM; xtabond2 point by point.

    Parameters
    ----------
    gmm : mapping of variable, or tuple of variables, to (first, last) lag or `Instruments`
        Variables that instrument by their lags, counted from the variable itself: {"n": (2, None)} for an endogenous
        one, (1, ...) for a predetermined one.  Each entry is a set that is tested by itself.
    iv : sequence of str or of (variables, equation)
        Variables that instrument by themselves, one set; a pair such as (("k", "ys"), "level") is a set of its own
        for one equation.
    system : bool
        With the equation in levels, and its constant.
    steps : 1, 2 or "cue"
    transform : "fd" or "fod"
        First differences, or forward orthogonal deviations.
    collapse : bool
        One column of instruments a lag, not one for each period and lag.
    time_effects : bool
        Dummies of the periods, instruments of themselves in the level equation (system) or the transformed one.
    windmeijer : bool
        Correct the standard errors of two steps.
    h : 1, 2 or 3
        Weights of one step.
    orders : int
        Highest order of the tests of serial correlation.
    factor : "new" or "old"
        With `small`: of xtabond2 since 2006, or before.
    sargan : "transformed" or "level"
        Rows that sigma^2 of Sargan's test counts; "level" as in the paper of 2009.
    """
    if options.cov == "classical" and steps != 1:
        raise UsageError(
            f"cov='classical' is for one step, found steps={steps!r}: leave it out, and pass windmeijer=False for the "
            f"uncorrected errors of two steps."
        )
    _check(system, steps, transform, h, orders, factor, sargan, collapse, time_effects, windmeijer)
    cube = Cube.of(sample)
    names = list(sample.exogenous.names)
    X = cube.of_sample(sample.exogenous.values)
    y = cube.of_sample(sample.y)
    styles = list(_gmm_styles(gmm, cube, collapse))
    standard = list(_iv_styles(iv, cube))
    labels: list[str] = []
    if time_effects:
        dummies, labels = cube.periods(sample)
        X, names = np.concatenate([X, dummies], axis=2), [*names, *labels]
        where = "level" if system else "transformed"
        standard += [IvStyle(label, dummies[:, :, j], where, group="time_effects") for j, label in enumerate(labels)]
    moments = build(
        y, X, names, styles, standard, system=system, transform=transform, h=h, constant=CONSTANT if system else None
    )
    refuse_empty(moments, sample, transform)
    moments, dropped, idle = without_redundant(moments)
    settings = dynamic.Options(
        steps=steps,
        robust=options.cov != "classical",
        windmeijer=windmeijer,
        small=factor if options.small else False,
        orders=orders,
        sargan=sargan,
    )
    found = dynamic.fit(moments, settings)
    order = _needed_order(gmm, sample.dependent)
    return _estimate(sample, moments, found, settings, dropped, idle, labels, order)


# --- from the options -------------------------------------------------------------------------------------------------


def _check(system, steps, transform, h, orders, factor, sargan, *switches) -> None:
    """Raise UsageError for options that are none."""
    for what, choice, known in (
        ("steps", steps, (1, 2, "cue")),
        ("transform", transform, TRANSFORMS),
        ("h", h, (1, 2, 3)),
        ("factor", factor, ("new", "old")),
        ("sargan", sargan, ("transformed", "level")),
    ):
        if isinstance(choice, bool) or choice not in known:
            raise UsageError(f"{what} is {choice!r}: expected {', '.join(map(repr, known[:-1]))} or {known[-1]!r}.")
    for name, switch in zip(("system", "collapse", "time_effects", "windmeijer"), (system, *switches), strict=True):
        if not isinstance(switch, bool):
            raise UsageError(f"{name} is {switch!r}: expected True or False.")
    if isinstance(orders, bool) or not isinstance(orders, int) or orders < 1:
        raise UsageError(f"orders is {orders!r}: expected the highest order of serial correlation to test, such as 2.")


def _sets(gmm: object) -> list[tuple[tuple[str, ...], Instruments, str]]:
    """(variables, lags, name of the set) of each entry of `gmm`; a list of lags makes a set of each."""
    if not isinstance(gmm, Mapping) or not gmm:
        raise UsageError(
            f"gmm is {gmm!r:.60}: expected the lags that instrument, by variable, such as gmm={{'y': (2, None)}}."
        )
    found = []
    for key, given in gmm.items():
        names = (key,) if isinstance(key, str) else tuple(key)
        several = isinstance(given, list) and any(isinstance(each, Instruments | tuple) for each in given)
        for number, lags in enumerate(given if several else [given], 1):
            style = lag_limits(lags, f"gmm[{key!r}]")
            found.append((names, style, f"gmm_{' '.join(names)}" + (f"_{number}" if number > 1 else "")))
    return found


def lag_limits(lags: object, what: str) -> Instruments:
    """Checked lags: `Instruments`, a pair (first, last), or one lag."""
    if isinstance(lags, Instruments):
        style = lags
    else:
        pair = (lags, lags) if _whole(lags) else lags
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise UsageError(
                f"{what} is {lags!r:.60}: expected the first and the last lag, such as (2, 4) or (2, None)."
            )
        style = Instruments(*pair)
    for lag in (style.first, style.last):
        if not (_whole(lag) or (lag is None and style.first is not None)):
            raise UsageError(f"{what} has the lag {lag!r}: expected a whole number, or None as the last.")
    if style.last is not None and style.last < style.first:
        raise UsageError(f"{what} has lags {style.first} to {style.last}: expected the smaller one first.")
    if not (style.collapse is None or isinstance(style.collapse, bool)):
        raise UsageError(f"{what} has collapse={style.collapse!r}: expected True, False or None.")
    if style.equation not in EQUATIONS:
        raise UsageError(f"{what} has the equation {style.equation!r}: choose among {', '.join(EQUATIONS)}.")
    return style


def _whole(lag: object) -> bool:
    return isinstance(lag, int | np.integer) and not isinstance(lag, bool)


def _needed_order(gmm: object, dependent: str) -> int | None:
    """Order of serial correlation in differences that the lags of the dependent variable meet; None without any."""
    orders = []
    for names, lags, _ in _sets(gmm):
        for name in names:
            found = re.fullmatch(rf"(?:L(\d*)\.)?`?{re.escape(dependent)}`?", name)
            if found and lags.equation != "level":
                orders.append(
                    int(lags.first) + (int(found[1] or 1) if name.startswith("L") and found[1] is not None else 0)
                )
    return min(orders, default=None)


def _standard(iv: object) -> list[tuple[tuple[str, ...], str, str]]:
    """(variables, equation, set) of each set of `iv`: plain names make one."""
    given = [iv] if isinstance(iv, str) else list(iv or ())
    plain = tuple(each for each in given if isinstance(each, str))
    sets = [(plain, "both")] if plain else []
    for each in given:
        if isinstance(each, str):
            continue
        if not isinstance(each, tuple | list) or len(each) != 2 or each[1] not in EQUATIONS:
            raise UsageError(
                f"iv has {each!r:.60}: expected names, or pairs of names and an equation such as (('k', 'ys'), "
                f"'level')."
            )
        sets.append(((each[0],) if isinstance(each[0], str) else tuple(each[0]), each[1]))
    if len(sets) == 1:
        return [(*sets[0], "iv")]
    groups: list[str] = []
    for names, equation in sets:
        group = f"iv_{' '.join(names)}" + ("" if equation == "both" else f"_{equation}")
        groups.append(group if group not in groups else f"{group}_{len(groups)}")
    return [(names, equation, group) for (names, equation), group in zip(sets, groups, strict=True)]


@dataclass(frozen=True, eq=False)
class Cube:
    """Where the rows of a sample and of the whole panel stand among N units and T periods."""

    shape: tuple[int, int]
    unit: np.ndarray
    tick: np.ndarray
    aside: Aside
    known: np.ndarray
    units: pd.Index

    @classmethod
    def of(cls, sample: Sample, every: bool = False) -> Cube:
        """The places of a sample that was drawn with variables aside; `every` entity and period, used or not."""
        aside = sample.aside
        if aside is None:
            raise UsageError("lags of instruments need the whole panel: call econ.fit(..., estimator='gmm').")
        if not sample.calendar:
            raise UsageError(
                f"{sample.time_name} holds no whole numbers, and lags of instruments go by the calendar: give it as "
                f"whole years or periods."
            )
        if every:
            span = int(np.ptp(aside.tick)) + 1
            units = aside.entities
            tick = aside.tick - int(aside.tick.min())
            return cls((len(units), span), aside.entity, tick, aside, np.ones(tick.size, bool), units)
        start, stop = int(aside.tick.min()), int(aside.tick[aside.rows].max())
        # periods after the last row that is used instrument nothing
        unit = np.full(int(aside.entity.max()) + 1, -1)
        unit[aside.entity[aside.rows]] = sample.entity
        known = (unit[aside.entity] >= 0) & (aside.tick <= stop)
        return cls(
            (len(sample.keys[sample.entity_name]), stop - start + 1),
            unit[aside.entity],
            aside.tick - start,
            aside,
            known,
            sample.keys[sample.entity_name],
        )

    def of_sample(self, values: np.ndarray) -> np.ndarray:
        """(N, T[, k]) of (n[, k]) values of the sample, NaN elsewhere."""
        rows = self.aside.rows
        cube = np.full((*self.shape, *values.shape[1:]), np.nan)
        cube[self.unit[rows], self.tick[rows]] = values
        return cube

    def of_all(self, values: np.ndarray) -> np.ndarray:
        cube = np.full(self.shape, np.nan)
        cube[self.unit[self.known], self.tick[self.known]] = values[self.known]
        return cube

    def columns(self, expression: str) -> Iterator[tuple[str, np.ndarray]]:
        block = self.aside.blocks[expression]
        for name, values in zip(block.names, block.values.T, strict=True):
            yield name, self.of_all(values)

    def periods(self, sample: Sample) -> tuple[np.ndarray, list[str]]:
        """(N, T, q) dummies of all periods but the first, and their names."""
        levels = sample.keys[sample.time_name]
        dummies = np.eye(len(levels))[sample.time][:, 1:]
        return self.of_sample(dummies), [f"{sample.time_name}[{level}]" for level in levels[1:]]


def _gmm_styles(gmm: Mapping, cube: Cube, collapse: bool) -> Iterator[GmmStyle]:
    for names, lags, group in _sets(gmm):
        together = collapse if lags.collapse is None else lags.collapse
        for expression in names:
            for name, values in cube.columns(expression):
                yield GmmStyle(name, values, lags.first, lags.last, together, lags.equation, group)


def _iv_styles(iv: object, cube: Cube) -> Iterator[IvStyle]:
    for names, equation, group in _standard(iv):
        for expression in names:
            for name, values in cube.columns(expression):
                yield IvStyle(name, values, equation, group=group)


def refuse_empty(moments: Moments, sample: Sample, transform: str) -> None:
    if not moments.transformed.any():
        known = np.unique(sample.aside.tick).size
        most = int(np.bincount(sample.entity).max())
        what = "two consecutive periods" if transform == "fd" else "two periods"
        raise EstimationError(
            f"no {sample.entity_name} has {what} with all variables: the panel has {known} periods, and lags and gaps "
            f"leave {most} at most; expected at least {max(known - most, 0) + 2} periods without gaps, or fewer lags."
        )
    if moments.Z.shape[2] == 0 or not moments.Z.any():
        raise EstimationError("all instruments are zero in every row that is used: give other lags or variables.")


# --- to the estimate --------------------------------------------------------------------------------------------------


def _estimate(
    sample: Sample,
    moments: Moments,
    found: dynamic.DynamicFit,
    settings: dynamic.Options,
    dropped: tuple[str, ...],
    idle: tuple[str, ...],
    periods: Sequence[str],
    order: int | None,
) -> Estimate:
    names = list(moments.names)
    places = sorted(range(len(names)), key=lambda j: names[j] != CONSTANT)  # the constant first
    labels = [names[j] for j in places]
    params = pd.Series(found.b[places], labels)
    V = pd.DataFrame(found.V[np.ix_(places, places)], labels, labels)
    robust = settings.robust or settings.steps != 1
    df = None
    if settings.small:
        df = found.groups - 1 if robust else found.n - len(names)
    slopes = [name for name in labels if name != CONSTANT]
    overall = model_test(params[slopes].to_numpy(), V.loc[slopes, slopes].to_numpy(), df)
    tests: dict[str, Test] = {} if overall is None else {model_name(overall): overall}
    tests |= {f"ar{lag}": test for lag, test in found.serial.items()}
    tests |= {"sargan": found.sargan, "hansen": found.hansen}
    for label, (without, difference) in found.differences.items():
        tests |= {f"hansen_without_{label}": without, f"hansen_difference_{label}": difference}
    reasons, remarks = _judged(found, settings, order)
    sizes = group_sizes(sample)
    sizes.loc[sample.entity_name] = [found.groups, found.sizes.min(), found.sizes.mean(), found.sizes.max()]
    slopes_of_sample = [name for name in sample.exogenous.names if name in params.index]
    columns = [sample.exogenous.names.index(name) for name in slopes_of_sample]
    fitted = sample.exogenous.values[:, columns] @ params[slopes_of_sample].to_numpy()
    fitted = fitted + (params.get(CONSTANT, 0.0))
    for level, name in enumerate(periods, 1):
        fitted = fitted + np.where(sample.time == level, params.get(name, 0.0), 0.0)
    steps = {1: "one step", 2: "two steps"}.get(settings.steps, "continuously updated")
    return Estimate(
        model=f"{'System' if moments.system else 'Difference'} GMM, {steps}",
        formula=sample.formula,
        dependent=sample.dependent,
        params=params,
        cov=V,
        cov_type=_covariance(settings, sample.entity_name),
        nobs=found.n,
        df_resid=df,
        n_coefs=len(names),
        tests=tests,
        groups=sizes,
        counts={"groups": found.groups, "instruments": found.instruments},
        notes=(
            *sample.notes,
            *_dropped(dropped),
            *_listed(moments),
            *([f"instrument {', '.join(idle)} dropped: collinear with those before"] if idle else []),
            *_bounds(sample, params, bool(periods)),
            *remarks,
            *(f"not valid: {reason}" for reason in reasons),
        ),
        valid=not reasons,
        design=Design(
            y=sample.y,
            X=sample.exogenous.values,
            names=sample.exogenous.names,
            residuals=sample.y - fitted,
            rows=sample.described((), 1),
            keys=sample.keys,
            levels=False,
        ),
    )


def _dropped(names: Sequence[str]) -> list[str]:
    why = "nothing is left once transformed, or beside regressors before"
    return [f"{', '.join(names)} dropped: {why}"] if names else []


def _covariance(settings: dynamic.Options, entity: str) -> str:
    if settings.steps == 1:
        text = f"robust, clustered by {entity}" if settings.robust else "classical"
    elif settings.steps == "cue":
        text = "of the efficient weights"
    else:
        text = "corrected (Windmeijer 2005)" if settings.windmeijer else "of two steps, not corrected"
    return f"{text}, {settings.small} small-sample factor" if settings.small else text


def _judged(found: dynamic.DynamicFit, settings: dynamic.Options, order: int | None) -> tuple[list[str], list[str]]:
    """Why the estimate is not to be used, and what else a reader has to know."""
    reasons, remarks = [], []
    if found.doubt:
        reasons.append(found.doubt)
    if found.instruments > found.groups:
        remarks.append(
            f"{found.instruments} instruments outnumber {found.groups} groups, which weakens Hansen's test and makes "
            f"the weights of two steps singular: limit the lags, or pass collapse=True"
        )
    if found.rank_weights < found.instruments:
        said = (
            f"the weights of two steps are singular, of rank {found.rank_weights} for {found.instruments} instruments, "
            f"and the results depend on the generalised inverse (here Moore and Penrose's)"
        )
        (remarks if settings.steps == 1 else reasons).append(said)
    if found.hansen.pvalue > SUSPICIOUS:
        remarks.append(
            f"Hansen's p-value of {found.hansen.pvalue:.3f} is implausibly near 1, a sign of too many instruments: it "
            f"does not speak for them"
        )
    elif found.hansen.pvalue < REJECTED:
        reasons.append(f"Hansen's test rejects the instruments, {found.hansen}")
    for lag, test in found.serial.items():
        if lag < 2 or not test.pvalue < REJECTED:
            continue
        if order is not None and lag >= order:
            reasons.append(f"errors are serially correlated, so that lag {order} is no instrument: {test}")
        else:
            remarks.append(
                f"errors are serially correlated: {test}; lags up to {lag} of what they move are no instruments"
            )
    if settings.steps == 2 and not settings.windmeijer:
        remarks.append("standard errors of two steps without Windmeijer's correction are far too small in short panels")
    return reasons, remarks


def _listed(moments: Moments) -> list[str]:
    """The instruments of each equation, as xtabond2 lists them."""
    lags: dict[tuple[bool, str], list[int]] = {}
    plain = []
    for label, gmm, level in zip(moments.labels, moments.gmm, moments.levels, strict=True):
        if not gmm:
            plain.append(label)
            continue
        found = re.fullmatch(r"(?:L(-?\d+)\.)?((?:D\.)?.*?)(?: at \d+)?", label)
        key = (bool(level), found[2]) if found[1] or level else (bool(level), label.split(" at ")[0])
        lags.setdefault(key, [])
        lag = int(found[1] or 0)
        if lag not in lags[key]:
            lags[key].append(lag)
    texts = []
    for level, what in ((False, "transformed"), (True, "level")):
        named = [f"{_range(each)}{name}" for (which, name), each in lags.items() if which == level]
        texts += [f"instruments of the {what} equation by lags: {', '.join(named)}"] if named else []
    return [*texts, *([f"standard instruments: {', '.join(plain)}"] if plain else [])]


def _range(lags: list[int]) -> str:
    if lags == [0]:
        return ""
    return f"L{lags[0]}." if len(lags) == 1 else f"L({min(lags)}/{max(lags)})."


def _bounds(sample: Sample, params: pd.Series, periods: bool) -> list[str]:
    """Whether the lagged dependent variable's coefficient lies between those of fixed effects and least squares.

    S. Bond (2002), Portuguese Econ. J. 1, 141-162: the first is biased downwards, the second upwards.
    """
    name = f"L1.{sample.dependent}"
    if name not in params.index or name not in sample.exogenous.names:
        return []
    j = sample.exogenous.names.index(name)
    kept = [at for at, each in enumerate(sample.exogenous.names) if each in params.index]
    j, X = kept.index(j), sample.exogenous.values[:, kept]
    dummies = np.eye(len(sample.keys[sample.time_name]))[sample.time][:, 1:] if periods else None
    columns = X if dummies is None else np.column_stack([X, dummies])
    pooled = least_squares(np.column_stack([columns, np.ones(len(X))]), sample.y)[j]
    fixed = least_squares(demean(columns, sample.entity), demean(sample.y, sample.entity))[j]
    low, high = min(fixed, pooled), max(fixed, pooled)
    where = "inside" if low <= params[name] <= high else "OUTSIDE"
    return [
        f"{name} = {params[name]:.4f} lies {where} the range from fixed effects, {fixed:.4f}, to least squares, "
        f"{pooled:.4f}, which are biased downwards and upwards (Bond 2002)"
    ]
