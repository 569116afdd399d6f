"""Standard errors of inequality indices: delete-one jackknife and bootstrap, of many groups at once.

* Jackknife: se**2 = (n - 1) / n S_k (t_k - t.)**2, t_k the index without unit k, t. their mean; B. Efron,
  R. J. Tibshirani (1993), "An Introduction to the Bootstrap", ch. 11.  For the Gini it takes one sort, as
  E. Karagiannis, M. Kovacevic (2000), Oxf. Bull. Econ. Stat. 62, 119-122, showed.
* Bootstrap: every group is drawn anew from its own units, with replacement, value and weight together; se is the
  standard deviation of the replications (divisor B - 1); ibid., ch. 6 and 13.

Normal intervals are index -+ z se, and may leave the range of the index; percentile intervals are quantiles of the
replications.  Both take the units of a group as a sample of independent draws: for all cities of a province they speak
of the process that made the cities, not of the province as it is.  With a dozen units they are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from statistics import NormalDist

import numpy as np

from econ.errors import UsageError
from econ.indices import Block, Index, Sample, blocks_of, for_each_block, is_number, quiet, total

METHODS = ("jackknife", "bootstrap")
INTERVALS = ("normal", "percentile")

# Cells drawn at a time by the bootstrap.
DRAWN = 1 << 20


@dataclass(frozen=True)
class Resampling:
    """How standard errors and intervals are made.

    Parameters
    ----------
    method : "jackknife" or "bootstrap", or None for no standard errors
    replications : int
        B, of the bootstrap.
    interval : "normal" or "percentile"; the jackknife has normal ones only
    level : float
        Intended coverage of the intervals.
    rng : int or Generator
        Seed of the bootstrap; the same seed and table give the same numbers.
    """

    method: str | None = None
    replications: int = 999
    interval: str = "normal"
    level: float = 0.95
    rng: int | np.random.Generator = 0

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise UsageError(f"there is no standard error {self.method!r}: choose among {', '.join(METHODS)}.")
        if self.interval not in INTERVALS:
            raise UsageError(f"there is no interval {self.interval!r}: choose among {', '.join(INTERVALS)}.")
        if self.method == "jackknife" and self.interval == "percentile":
            raise UsageError("the jackknife has no percentile interval: choose the bootstrap, or interval='normal'.")
        if not (is_number(self.level) and 0 < self.level < 1):
            raise UsageError(f"level is {self.level}: expected a coverage between 0 and 1, such as 0.95.")
        if not isinstance(self.replications, Integral) or self.replications < 2:
            raise UsageError(f"replications is {self.replications}: expected a whole number >= 2, usually 999.")
        if not isinstance(self.rng, np.random.Generator) and not (isinstance(self.rng, Integral) and self.rng >= 0):
            raise UsageError(f"rng is {self.rng!r}: expected a seed, a whole number >= 0, or a NumPy Generator.")

    def check(self, indices: Sequence[Index]) -> None:
        rough = [index.name for index in indices if index.without is None]
        if self.method == "jackknife" and rough:
            raise UsageError(
                f"the jackknife is not consistent for {rough[0]}, which is made of quantiles: choose the bootstrap."
            )


@dataclass(frozen=True)
class Estimates:
    """An index of every group; all (group,) float but undefined, the number of replications without a value."""

    value: np.ndarray
    se: np.ndarray
    low: np.ndarray
    high: np.ndarray
    undefined: np.ndarray


def estimate(
    indices: Sequence[Index],
    x: np.ndarray,
    w: np.ndarray | None,
    group: np.ndarray,
    n_group: int,
    how: Resampling,
) -> dict[str, Estimates]:
    """Indices of the groups of (n,) units, and how sure they are.

    NaN for fewer than two units or a mean that is not positive; no jackknife for two units.  A bootstrap replication
    without a value (a dark draw) is left out and counted.
    """
    how.check(indices)
    found = {
        index.name: Estimates(*(np.full(n_group, np.nan) for _ in range(4)), np.zeros(n_group, int))
        for index in indices
    }
    z = NormalDist().inv_cdf((1 + how.level) / 2)

    def work(block: Block, sample: Sample) -> None:
        if block.n == 1:
            return
        for index in indices:
            at = found[index.name]
            at.value[block.members] = np.where(sample.mu > 0, index(sample), np.nan)
            if how.method == "jackknife" and block.n > 2:
                at.se[block.members] = jackknife(index, sample)

    for_each_block(blocks_of(x, w, group, n_group), work, x.size)
    if how.method == "bootstrap":
        rng = np.random.default_rng(how.rng)
        with quiet():  # one stream of random numbers, so one block after the other
            for block in blocks_of(x, w, group, n_group):
                if block.n > 1:
                    redraw(indices, block, found, how, rng)
    for at in found.values():
        unknown = np.isnan(at.value)
        at.se[unknown], at.undefined[unknown] = np.nan, 0
        if how.interval == "normal":
            at.low[:], at.high[:] = at.value - z * at.se, at.value + z * at.se
        at.low[unknown], at.high[unknown] = np.nan, np.nan
    return found


def redraw(
    indices: Sequence[Index], block: Block, found: dict[str, Estimates], how: Resampling, rng: np.random.Generator
) -> None:
    """Write the spread of the replications of a block's groups into `found`."""
    for part, draws in bootstrap(indices, block.cut(), how.replications, rng):
        for index, drawn in zip(indices, draws, strict=True):
            at, there = found[index.name], block.members[part]
            at.se[there], at.low[there], at.high[there], at.undefined[there] = spread(drawn, how.level)


def jackknife(index: Index, sample: Sample) -> np.ndarray:
    """(...) standard error by leaving out one unit at a time."""
    without = index.without(sample)
    deviation = without - without.mean(-1, keepdims=True)
    return np.sqrt((sample.n - 1) / sample.n * total(deviation**2))


def bootstrap(indices: Sequence[Index], sample: Sample, replications: int, rng: np.random.Generator):
    """Slices of the groups of a Sample (m, n), each with a (group, replication) array for every index."""
    m, n = sample.x.shape
    w = np.broadcast_to(sample.w, (m, n))
    groups_at_once = max(1, DRAWN // (n * replications))
    draws_at_once = max(1, DRAWN // (n * groups_at_once))
    for begin in range(0, m, groups_at_once):
        part = slice(begin, min(begin + groups_at_once, m))
        size = part.stop - part.start
        drawn = [np.empty((size, replications)) for _ in indices]
        for first in range(0, replications, draws_at_once):
            b = min(draws_at_once, replications - first)
            offset = np.arange(size * b).reshape(size, b, 1) * n
            picked = rng.integers(0, n, (size, b, n)) + offset
            # a unit drawn k times is a unit of k times its weight: nothing has to be sorted again
            times = np.bincount(picked.ravel(), minlength=size * b * n).reshape(size, b, n)
            again = Sample(sample.x[part, None, :], w[part, None, :] * times)
            for index, into in zip(indices, drawn, strict=True):
                into[:, first : first + b] = np.where(again.mu > 0, index(again), np.nan)
        yield part, drawn


def spread(drawn: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standard deviation, lower and upper quantile, and number of missing values of every row of replications."""
    undefined = np.isnan(drawn).sum(-1)
    se, low, high = (np.full(len(drawn), np.nan) for _ in range(3))
    some = undefined < drawn.shape[-1] - 1
    if some.any():
        se[some] = np.nanstd(drawn[some], -1, ddof=1)
        low[some], high[some] = np.nanquantile(drawn[some], [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return se, low, high, undefined
