"""Steps that the linear estimators share: effects taken out, columns that cannot be estimated left out, R2s, tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import pandas as pd

from econ.errors import EstimationError, UsageError
from econ.estimators import covariance
from econ.estimators.design import Rows
from econ.estimators.estimate import Test
from econ.estimators.inference import Inference
from econ.estimators.sample import Block, Sample
from econ.estimators.within import (
    COLLINEAR,
    TwoWay,
    absorb,
    absorbed_rank,
    absorber,
    demean,
    group_means,
    mean,
    singletons,
    split_columns,
)

EFFECTS = {  # name -> (entity effects?, time effects?), heading
    "none": (False, False, ""),
    "entity": (True, False, "Entity fixed effects"),
    "time": (False, True, "Time fixed effects"),
    "twoway": (True, True, "Two-way fixed effects"),
}


@dataclass(frozen=True, eq=False)
class Net:
    """A sample whose effects are taken out.

    Parameters
    ----------
    sample : Sample
        Without the columns that cannot be estimated.
    entity, time : (n,) int or None
        Codes of the effects that are absorbed, None where they are not.
    both : TwoWay or None
        The two kinds of effects where both are absorbed.
    rank : int
        Coefficients that the effects take up, the constant included.
    root : (n,) float
        Square roots of the weights, 1 without weights: the columns below are multiplied by it.
    y : (n,) float
    exogenous, endogenous, instruments : (n, k) float
        Columns net of the effects, or of their means where there are none.
    """

    sample: Sample
    entity: np.ndarray | None
    time: np.ndarray | None
    both: TwoWay | None
    rank: int
    root: np.ndarray
    y: np.ndarray
    exogenous: np.ndarray
    endogenous: np.ndarray
    instruments: np.ndarray

    @property
    def effects(self) -> tuple[str, ...]:
        """Columns whose effects are absorbed."""
        return tuple(compress(self.sample.keys, (self.entity is not None, self.time is not None)))

    @property
    def rows(self) -> Rows:
        absorbed = tuple(compress(("entity", "time"), (self.entity is not None, self.time is not None)))
        return self.sample.described(absorbed, self.rank)

    @property
    def regressors(self) -> Block:
        """Exogenous and endogenous columns as they stand in the table."""
        exogenous, endogenous = self.sample.exogenous, self.sample.endogenous
        return Block((*exogenous.names, *endogenous.names), np.column_stack([exogenous.values, endogenous.values]))

    def residuals(self, b: np.ndarray) -> np.ndarray:
        """(n,) unweighted residuals of slopes b (k,)."""
        return (self.y - np.column_stack([self.exogenous, self.endogenous]) @ b) / self.root


def take_effects(sample: Sample, effects: str, ssc: str) -> Net:
    """Absorb effects; singletons are dropped where the preset does, columns without own variation always."""
    if effects not in tuple(EFFECTS):
        raise UsageError(f"there are no effects {effects!r}: choose among {', '.join(list(EFFECTS)[1:])}.")
    by_entity, by_time, _ = EFFECTS[effects]
    if by_entity or by_time:
        sample = _singletons(sample, by_entity, by_time, ssc)
    for name, wanted in zip(sample.keys, (by_entity, by_time), strict=True):
        if wanted and len(sample.keys[name]) < 2:
            raise EstimationError(
                f"there is one {name} ({sample.keys[name][0]}) in the {sample.n:,} rows used: "
                f"effects={effects!r} needs at least two; use other effects or add data."
            )
    entity, time = sample.entity if by_entity else None, sample.time if by_time else None
    root = np.ones(sample.n) if sample.weight is None else np.sqrt(sample.weight)
    named = tuple(compress(sample.keys, (by_entity, by_time)))

    both = None if entity is None or time is None else TwoWay(entity, time, sample.weight)
    out_of = absorber(entity, time, sample.weight) if both is None else both.absorb

    def net(values: np.ndarray) -> np.ndarray:
        rest = out_of(values)
        return rest * (root if values.ndim == 1 else root[:, None])

    sample, blocks = _estimable(sample, net, root, named)
    rank = absorbed_rank(entity, time) if both is None else both.rank
    k = sum(block.shape[1] for block in blocks[:2])
    if sample.n - rank - k <= 0:
        raise EstimationError(
            f"{sample.n:,} rows cannot carry {k + rank:,} coefficients, {rank:,} of them effects and constant: "
            f"expected more rows than coefficients; drop regressors or effects."
        )
    y = net(sample.y)
    if np.linalg.norm(y) <= COLLINEAR * np.linalg.norm(root * sample.y):
        out = f" once the effects of {' and '.join(named)} are out" if named else ""
        raise EstimationError(
            f"{sample.dependent!r} does not vary{out}: there is nothing to explain; check the column."
        )
    return Net(sample, entity, time, both, rank, root, y, *blocks)


def _singletons(sample: Sample, by_entity: bool, by_time: bool, ssc: str) -> Sample:
    """Drop rows alone in their entity or period where the preset does; say so in either case."""
    alone = singletons(sample.entity if by_entity else None, sample.time if by_time else None)
    if not alone.any():
        return sample
    if not covariance.CONVENTIONS[ssc].drops_singletons:
        return sample.noted(f"{alone.sum():,} singleton rows kept, as {ssc!r} does: their effects fit them exactly")
    if alone.all():
        raise EstimationError(
            f"each of the {alone.size:,} rows is alone in its {' or '.join(sample.keys)}, and ssc={ssc!r} drops "
            f"such rows: add periods, or use fewer effects."
        )
    return sample.rows(~alone, f"{alone.sum():,} singleton rows dropped, as {ssc} does")


def _estimable(sample: Sample, net, root: np.ndarray, effects: tuple[str, ...]) -> tuple[Sample, list[np.ndarray]]:
    """The sample without columns that are absorbed or redundant, each named in a note, and the net columns left.

    Exogenous regressors have precedence over endogenous ones, and both over instruments, as in ivreg2.
    """
    sides = (sample.exogenous, sample.endogenous, sample.instruments)
    exogenous, endogenous, instruments = sides
    values = [net(side.values) for side in sides]
    own = [root[:, None] * side.values for side in sides]
    notes: list[str] = []
    kept_regressors = _kept(
        np.column_stack(own[:2]), np.column_stack(values[:2]), (*exogenous.names, *endogenous.names), effects, notes
    )
    kept = [
        [j for j in kept_regressors if j < len(exogenous)],
        [j - len(exogenous) for j in kept_regressors if j >= len(exogenous)],
        list(range(len(instruments))),
    ]
    if not kept[0] and not kept[1]:
        raise EstimationError(f"no regressor is left ({'; '.join(notes)}): use other regressors or fewer effects.")
    if len(endogenous) and not kept[1]:
        raise EstimationError(
            f"no endogenous variable is left ({'; '.join(notes)}): take out what they repeat, or use an estimator "
            f"without instruments."
        )
    if len(instruments):
        first = len(kept[0])
        both = _kept(
            np.column_stack([own[0][:, kept[0]], own[2]]),
            np.column_stack([values[0][:, kept[0]], values[2]]),
            (*(exogenous.names[j] for j in kept[0]), *instruments.names),
            effects,
            notes,
            "instrument ",
        )
        kept[2] = [j - first for j in both if j >= first]
        if len(kept[2]) < len(kept[1]):
            left = ", ".join(instruments.names[j] for j in kept[2]) or "none"
            said = f" ({'; '.join(notes)})" if notes else ""
            raise EstimationError(
                f"{len(kept[1])} endogenous variables ({', '.join(endogenous.names[j] for j in kept[1])}) have "
                f"{len(kept[2])} instruments ({left}){said}: expected at least as many; add instruments."
            )
    blocks = [side.columns(columns) for side, columns in zip(sides, kept, strict=True)]
    sample = replace(
        sample, exogenous=blocks[0], endogenous=blocks[1], instruments=blocks[2], notes=(*sample.notes, *notes)
    )
    return sample, [side[:, columns] for side, columns in zip(values, kept, strict=True)]


def _kept(
    own: np.ndarray, net: np.ndarray, names: Sequence[str], effects: tuple[str, ...], notes: list[str], kind: str = ""
) -> list[int]:
    """Places of the columns to keep; why the others go is added to `notes`."""
    kept, absorbed, collinear = split_columns(own, net)
    why_absorbed = f"absorbed by the effects of {' and '.join(effects)}" if effects else "constant, as the intercept is"
    for columns, why in ((absorbed, why_absorbed), (collinear, "collinear with regressors before it")):
        notes += [f"{kind}{names[j]} dropped: {why}" for j in columns]
    return kept


def refuse_exact_fit(dependent: str, e: np.ndarray, y: np.ndarray) -> None:
    """Raise EstimationError where nothing is left of the dependent variable."""
    if np.linalg.norm(e) <= COLLINEAR * np.linalg.norm(y):
        raise EstimationError(
            f"the regressors reproduce {dependent!r} exactly, so there are no errors to judge them by: "
            f"take out what is {dependent!r} under another name."
        )


def least_squares(W: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(p,) coefficients of y (n,) on W (n, p) of full rank, columns scaled so that units cannot cost digits."""
    length = np.linalg.norm(W, axis=0)
    return np.linalg.lstsq(W / length, y, rcond=None)[0] / length


def with_constant(net: Net, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(params, columns): the constant before the slopes b (k,); the constant's column before W (n, k), net columns.

    Beside effects the columns stay net, so that the constant is at their means (see `at_origin`); without effects
    their means are given back.
    """
    constant = float(mean(net.sample.y - net.regressors.values @ b, net.sample.weight))
    if not net.effects:
        W = W + net.root[:, None] * mean(net.regressors.values, net.sample.weight)
    return np.concatenate([[constant], b]), np.column_stack([net.root, W])


def at_origin(net: Net, V: np.ndarray) -> np.ndarray:
    """(k + 1, k + 1) covariance with the constant at the origin, from that of the columns of `with_constant`.

    A slope whose errors are not known (NaN) leaves those of the other slopes alone.
    """
    if not net.effects:
        return V
    centre = mean(net.regressors.values, net.sample.weight)
    moved = V.copy()
    moved[0, :] -= centre @ V[1:, :]
    moved[:, 0] -= moved[:, 1:] @ centre
    if moved[0, 0] < 0:  # two ways of clustering, kernels that are not positive definite
        moved[0, :] = moved[:, 0] = np.nan
    return moved


def coefficient_df(net: Net, W: np.ndarray, found: Inference) -> np.ndarray | None:
    """(k + 1,) degrees of freedom of t of the constant at the origin and the slopes, where they differ (CR2)."""
    if found.df_coef is None or not net.effects:
        return found.df_coef
    constant = np.concatenate([[1.0], -mean(net.regressors.values, net.sample.weight)])
    first = covariance.satterthwaite(W, net.rows, net.rows.clusters[0][1], constant[None, :])
    return np.concatenate([first, found.df_coef[1:]])


def gaussian_loglik(e: np.ndarray, root: np.ndarray) -> float:
    """Log-likelihood at e'e / n of (n,) weighted residuals; `root` square roots of weights with sum n."""
    n = e.size
    return float(-n / 2 * (np.log(2 * np.pi) + np.log(e @ e / n) + 1) + np.log(root).sum())


def effect_values(net: Net, b: np.ndarray, constant: float) -> dict[str, pd.Series]:
    """Estimated effects by their column: times with (weighted) mean 0, entities with the rest less the constant."""
    weight = net.sample.weight
    rest = net.sample.y - constant - net.regressors.values @ b
    found: dict[str, np.ndarray] = {}
    if net.time is not None:
        if net.both is None:
            found[net.sample.time_name] = group_means(rest, net.time, weight)
        else:
            values = net.both.time_effects(rest)
            values = values - mean(values[net.time], weight)
            found[net.sample.time_name] = values
            rest = rest - values[net.time]
    if net.entity is not None:
        found = {net.sample.entity_name: group_means(rest, net.entity, weight), **found}
    return {
        name: pd.Series(values, pd.Index(net.sample.keys[name], name=name), name="effect")
        for name, values in found.items()
    }


def rsquareds(net: Net, b: np.ndarray, e: np.ndarray) -> dict[str, float]:
    """R2s by name; formulas in `estimate.R2_FORMULAS`.  Groups are entities, or periods with time effects alone.

    e (n,) are weighted residuals.
    """
    y, weight, rss = net.sample.y, net.sample.weight, e @ e
    deviation = net.root * (y - mean(y, weight))
    lsdv = 1 - rss / (deviation @ deviation)
    if net.entity is None and net.time is None:
        return {"overall": float(lsdv)}
    group = net.time if net.entity is None else net.entity
    fitted = net.regressors.values @ b
    if net.both is not None:
        fitted = fitted + net.both.time_effects(y - fitted)[net.time]
    within = net.root * demean(y, group, weight)
    r2 = {
        "within": 1 - rss / (within @ within),
        "between": squared_correlation(group_means(fitted, group, weight), group_means(y, group, weight)),
        "overall": squared_correlation(fitted, y, weight),
        "lsdv": lsdv,
    }
    if net.both is not None:
        r2["net"] = 1 - rss / (net.y @ net.y)
    return {name: float(value) for name, value in r2.items()}


def squared_correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Squared correlation, NaN where one of them does not vary."""
    root = 1.0 if weight is None else np.sqrt(weight)
    a, b = root * (a - mean(a, weight)), root * (b - mean(b, weight))
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a @ b / length) ** 2) if length > 0 else float("nan")


# Of tests of several coefficients beside CR2.
DF_OF_CLUSTERS = "df of the clusters: Satterthwaite's are for one restriction"


def model_test(
    b: np.ndarray,
    V: np.ndarray,
    df: float | None,
    null: str = "all slopes 0",
    df_coef: np.ndarray | None = None,
) -> Test | None:
    """Wald test that all of b (k,) is 0, V (k, k); F with `df`, chi2 where it is None; None where V is singular.

    `df_coef` (k,) are Satterthwaite's degrees of freedom of single coefficients: a single one's F takes its own.
    """
    k = b.size
    se = np.sqrt(np.diag(V))
    if not (np.isfinite(se).all() and (se > 0).all()):
        return None
    correlation = V / np.outer(se, se)  # on this scale units cannot make V look singular
    if np.linalg.matrix_rank(correlation, hermitian=True, tol=COLLINEAR) < k:
        return None
    t = b / se
    wald = float(t @ np.linalg.solve(correlation, t))
    if df is None:
        return Test(wald, (k,), null)
    if df_coef is None:
        return Test(wald / k, (k, df), null)
    return Test(wald, (1, df_coef[0]), null) if k == 1 else Test(wald / k, (k, df), null, note=DF_OF_CLUSTERS)


def model_name(test: Test) -> str:
    """What the test of all slopes is called among the tests of an estimate."""
    return "f_model" if test.law == "F" else "chi2_model"


NO_MODEL_TEST = "no F test of the slopes: their covariance is singular, clusters are too few or too alike"


def effects_tests(net: Net, rss: float) -> dict[str, Test]:
    """F tests of the absorbed effects under classical errors: f_effects, and with both f_entity and f_time."""
    sample, weight = net.sample, net.sample.weight
    restrictions = {
        "f_effects": (None, None, "no effects, classical errors"),
        "f_entity": (None, net.time, f"no effects of {sample.entity_name}, classical errors"),
        "f_time": (net.entity, None, f"no effects of {sample.time_name}, classical errors"),
    }
    if net.entity is None and net.time is None:
        return {}
    if net.entity is None or net.time is None:
        restrictions = {"f_effects": restrictions["f_effects"]}
    tests = {}
    free = sample.n - net.rank - len(sample.exogenous)
    for name, (entity, time, null) in restrictions.items():
        y = net.root * absorb(sample.y, entity, time, weight)
        X = net.root[:, None] * absorb(sample.exogenous.values, entity, time, weight)
        e = y - X @ least_squares(X, y)
        q = net.rank - absorbed_rank(entity, time)
        if q > 0:
            tests[name] = Test(float((e @ e - rss) / q / (rss / free)), (q, free), null)
    return tests


def group_sizes(sample: Sample) -> pd.DataFrame:
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
