"""Fixed effects as a projection: values net of entity effects, of time effects, or of both.

All functions take (n,) or (n, k) float values and (n,) dense integer codes 0.., and return new arrays.  With both
effects the panel may be unbalanced: the time effects that remain after the entity means are taken out are solved for
exactly (D. Wansbeek, A. Kapteyn (1989), "Estimation of the error-components model with incomplete panels",
J. Econom. 41, 341-361, eq. 2.9), not iterated.
"""

from __future__ import annotations

import numpy as np

# Share of the largest eigenvalue below which a direction of the time effects is not identified.  Eigenvalues that
# are zero come out near 1e-15; a chain of a thousand periods that overlap by one entity still has 1e-6.
SINGULAR = 1e-10

# A column is absorbed where this share of its length is left of it.  Rounding leaves 1e-15 to 1e-13; real data with
# less left than this have no digits to estimate from.
COLLINEAR = 1e-9

# The same of what columns before it leave, of a column net of the effects.  Differences of numbers printed with eight
# digits leave 1e-9 to 1e-8 where they should leave nothing; R's lm drops at 1e-7 too.
REDUNDANT = 1e-7


def group_means(values: np.ndarray, code: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """(groups,) or (groups, k) means, weighted by (n,) `weight` where it is given."""
    count = np.bincount(code, weight)
    columns = values.reshape(len(values), -1)
    sums = [np.bincount(code, column if weight is None else weight * column) for column in columns.T]
    means = np.column_stack(sums) / count[:, None] if sums else np.empty((count.size, 0))
    return means.reshape(count.size, *values.shape[1:])


def mean(values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean of (n,) or (n, k) values over the rows."""
    return values.mean(axis=0) if weight is None else weight @ values / weight.sum()


def demean(values: np.ndarray, code: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Values less the mean of their group."""
    return values - group_means(values, code, weight)[code]


def _time_system(entity: np.ndarray, time: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """(t, t) cross product of time dummies after their entity means are taken out."""
    n, t = entity.max() + 1, time.max() + 1
    crossing = np.bincount(entity * t + time, weight, minlength=n * t).reshape(n, t).astype(float)
    return np.diag(crossing.sum(axis=0)) - crossing.T @ (crossing / crossing.sum(axis=1, keepdims=True))


def time_effects(
    values: np.ndarray, entity: np.ndarray, time: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """(t,) or (t, k) least-squares time effects beside free entity effects, summing to zero where connected."""
    net = demean(values, entity, weight)
    count = np.bincount(time, weight)
    sums = group_means(net, time, weight) * (count[:, None] if values.ndim == 2 else count)
    return np.linalg.pinv(_time_system(entity, time, weight), rcond=SINGULAR, hermitian=True) @ sums


def absorb(
    values: np.ndarray, entity: np.ndarray | None, time: np.ndarray | None, weight: np.ndarray | None = None
) -> np.ndarray:
    """Values net of the effects whose codes are given, or of the overall mean where neither is.

    With `weight` (n,) the effects are those of weighted least squares; the values come back unweighted.
    """
    if entity is None and time is None:
        return values - mean(values, weight)
    if entity is None:
        return demean(values, time, weight)
    if time is None:
        return demean(values, entity, weight)
    return demean(values - time_effects(values, entity, time, weight)[time], entity, weight)


def absorbed_rank(entity: np.ndarray | None, time: np.ndarray | None) -> int:
    """Number of coefficients that `absorb` estimates, the constant included; n + t - 1 in a connected panel."""
    if entity is None and time is None:
        return 1
    if entity is None or time is None:
        return int((time if entity is None else entity).max()) + 1
    eigenvalues = np.linalg.eigvalsh(_time_system(entity, time))
    return int(entity.max()) + 1 + int((eigenvalues > SINGULAR * eigenvalues.max()).sum())


def split_columns(X: np.ndarray, net: np.ndarray) -> tuple[list[int], list[int], list[int]]:
    """Indices of the columns to keep, of those absorbed, and of those collinear with kept ones before them.

    X (n, k) as observed, net (n, k) after `absorb`; earlier columns have precedence, as in Stata.
    """
    kept: list[int] = []
    absorbed: list[int] = []
    collinear: list[int] = []
    basis = np.empty((len(X), 0))
    for j, column in enumerate(net.T):
        length = np.linalg.norm(column)
        if length <= COLLINEAR * np.linalg.norm(X[:, j]):
            absorbed.append(j)
            continue
        rest = column / length
        for _ in range(2):  # twice is enough: the second pass removes the rounding of the first
            rest = rest - basis @ (basis.T @ rest)
        left = np.linalg.norm(rest)
        if left <= REDUNDANT:
            collinear.append(j)
        else:
            kept.append(j)
            basis = np.column_stack([basis, rest / left])
    return kept, absorbed, collinear


def singletons(*effects: np.ndarray | None) -> np.ndarray:
    """(n,) mask of rows alone in a group of one of the effects, found until none is left alone.

    S. Correia (2015), "Singletons, cluster-robust standard errors and fixed effects: a bad mix", Duke University.
    """
    used = [code for code in effects if code is not None]
    alone = np.zeros(used[0].size, bool)
    while True:
        before = alone.sum()
        for code in used:
            alone |= np.bincount(code, ~alone)[code] == 1
        if alone.sum() == before:
            return alone


def nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """True where every group of `inner` lies in one group of `outer`."""
    pairs = np.unique(inner * (int(outer.max()) + 1) + outer)
    return pairs.size == np.unique(inner).size
