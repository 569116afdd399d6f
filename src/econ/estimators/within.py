"""Fixed effects as a projection: values net of entity effects, of time effects, or of both.

All functions take (n,) or (n, k) float values and (n,) dense integer codes 0.., and return new arrays.  With both
effects the panel may be unbalanced: the effects of one kind that remain after the means of the other are taken out are
solved for exactly (D. Wansbeek, A. Kapteyn (1989), "Estimation of the error-components model with incomplete panels",
J. Econom. 41, 341-361, eq. 2.9), not iterated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import sparse
from scipy.linalg import lu_factor, lu_solve
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg, splu

# Share of the largest eigenvalue below which a direction is not there: zero comes out near 1e-15.
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


# Where both kinds of effects have more levels than this the system is factored as a sparse matrix.
DENSE = 2000

# Steps of conjugate gradients that a panel of many links does not need.
CG_STEPS = 300


class TwoWay:
    """Effects of entity and time together: codes (n,) of both, and weights (n,) if any; factored once.

    The kind with more levels is taken out by its means, the other is solved for.  Its cross product is a weighted
    Laplacian of the graph in which an entity and a time are joined by their row, so that one level of every connected
    part is free, and is set to zero.
    """

    def __init__(self, entity: np.ndarray, time: np.ndarray, weight: np.ndarray | None = None) -> None:
        self.entity, self.time, self.weight = entity, time, weight
        n, t = int(entity.max()) + 1, int(time.max()) + 1
        joined = sparse.coo_matrix((np.ones(entity.size), (entity, n + time)), (n + t, n + t))
        parts, part = connected_components(joined, directed=False)
        self.rank = n + t - parts
        self._part_of_time = part[n:]
        self._many, self._few = (entity, time) if t <= n else (time, entity)
        part_of_few = part[n:] if t <= n else part[:n]
        self._solved = np.ones(part_of_few.size, bool)
        self._solved[np.unique(part_of_few, return_index=True)[1]] = False
        self._solve = self._factored() if self._solved.any() else None

    def _factored(self) -> Callable[[np.ndarray], np.ndarray]:
        """Solver of the system of the levels that are not set to zero."""
        ones = np.ones(self._many.size) if self.weight is None else self.weight
        crossing = sparse.csr_matrix((ones, (self._many, self._few)))
        share = sparse.diags(1 / np.asarray(crossing.sum(axis=1)).ravel())
        total = sparse.diags(np.asarray(crossing.sum(axis=0)).ravel())
        system = (total - crossing.T @ share @ crossing).tocsr()[self._solved][:, self._solved]
        if system.shape[0] > DENSE:
            return _Sparse(system).solve
        return partial(lu_solve, lu_factor(system.toarray()))

    def _few_effects(self, values: np.ndarray) -> np.ndarray:
        """(levels,) or (levels, k) effects of the kind with fewer levels, the other's being free."""
        net = demean(values, self._many, self.weight)
        count = np.bincount(self._few, self.weight)
        sums = group_means(net, self._few, self.weight) * (count[:, None] if values.ndim == 2 else count)
        effects = np.zeros_like(sums)
        if self._solve is not None:
            effects[self._solved] = self._solve(sums[self._solved])
        return effects

    def time_effects(self, values: np.ndarray) -> np.ndarray:
        """(t,) or (t, k) least-squares time effects beside free entity effects, summing to zero in connected parts."""
        effects = self._few_effects(values)
        # panels that overlap by little lose digits, which a second pass over what is left brings back
        effects += self._few_effects(values - effects[self._few])
        if self._few is self.entity:
            effects = group_means(values - effects[self.entity], self.time, self.weight)
        return demean(effects, self._part_of_time)

    def absorb(self, values: np.ndarray) -> np.ndarray:
        """Values net of both effects; weights only say how they are found."""
        return demean(values - self.time_effects(values)[self.time], self.entity, self.weight)


class _Sparse:
    """A large system: conjugate gradients, which panels of many links need few of, else a sparse factor."""

    def __init__(self, system: sparse.csr_matrix) -> None:
        self._system, self._scale = system, 1 / np.sqrt(system.diagonal())
        self._scaled = sparse.diags(self._scale) @ system @ sparse.diags(self._scale)
        self._factor = None

    def solve(self, right: np.ndarray) -> np.ndarray:
        """(s,) or (s, k) solutions."""
        columns = right.reshape(len(right), -1)
        return np.column_stack([self._one(column) for column in columns.T]).reshape(right.shape)

    def _one(self, right: np.ndarray) -> np.ndarray:
        if self._factor is None:
            found, failed = cg(self._scaled, self._scale * right, rtol=1e-12, maxiter=CG_STEPS)
            if not failed:
                return self._scale * found
            self._factor = splu(self._system.tocsc())  # long chains, whose factor is sparse
        return self._factor.solve(right)


def time_effects(
    values: np.ndarray, entity: np.ndarray, time: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """`TwoWay.time_effects`, once."""
    return TwoWay(entity, time, weight).time_effects(values)


def absorb(
    values: np.ndarray, entity: np.ndarray | None, time: np.ndarray | None, weight: np.ndarray | None = None
) -> np.ndarray:
    """Values net of the effects whose codes are given, or of the overall mean where neither is.

    With `weight` (n,) the effects are those of weighted least squares; the values come back unweighted.
    """
    return absorber(entity, time, weight)(values)


def absorber(
    entity: np.ndarray | None, time: np.ndarray | None, weight: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """`absorb` for many columns: what takes time is done once."""
    if entity is not None and time is not None:
        return TwoWay(entity, time, weight).absorb
    if entity is None and time is None:
        return lambda values: values - mean(values, weight)
    return partial(demean, code=time if entity is None else entity, weight=weight)


def absorbed_rank(entity: np.ndarray | None, time: np.ndarray | None) -> int:
    """Number of coefficients that `absorb` estimates, the constant included; n + t - 1 in a connected panel."""
    if entity is None and time is None:
        return 1
    if entity is None or time is None:
        return int((time if entity is None else entity).max()) + 1
    return TwoWay(entity, time).rank


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
