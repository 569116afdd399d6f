"""Indices of inequality on arrays: many samples of one size at once, each whole and with every unit left out in turn.

Symbols: x_i the value of unit i, w_i >= 0 its weight, W = S w_i, mu = S w_i x_i / W, r_i = x_i / mu.

* Gini        G = S_i S_j w_i w_j |x_i - x_j| / (2 W**2 mu), the n**2 form; C. Gini (1912), in the form of
              A. Sen (1973), "On Economic Inequality", ch. 2.  `gini_unbiased` is G n / (n - 1), unweighted only;
              G. J. Glasser (1962), J. Am. Stat. Assoc. 57, 648-654.
* GE(a)       S w (r**a - 1) / (W a (a - 1)), generalised entropy; A. F. Shorrocks (1980), Econometrica 48, 613-625.
              Its limits are Theil's T, S w r ln r / W, at a = 1 and Theil's L, S w ln(1 / r) / W (the mean
              logarithmic deviation), at a = 0; H. Theil (1967), "Economics and Information Theory", ch. 4.
* Atkinson    A = 1 - (S w r**(1 - e) / W)**(1 / (1 - e)), and 1 - exp(-L) at e = 1; A. B. Atkinson (1970),
              "On the measurement of inequality", J. Econ. Theory 2, 244-263.
* cv          standard deviation (divisor W) / mean; cv**2 = 2 GE(2).
* Hoover      S w |r - 1| / (2 W), also Robin Hood, Ricci-Schutz or Pietra index; E. M. Hoover (1936), Rev. Econ. Stat.
              18, 162-171.
* ratio(p,q)  quantile p / quantile q, both as `weighted_quantile` defines them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Real

import numpy as np

from econ.errors import UsageError

# Cells worked on at a time: a few arrays of this size stay in the cache of a processor core.
BLOCK = 1 << 16

# Units of the samples that lie unit by unit in memory, so that a sum of units is a sum of long rows.
SHORT = 64

# Two cumulative weights count as equal if they differ by less than this share of W: rounding of sums, never a unit.
SAME_WEIGHT = 1e-12

# The square root of the least normal number: between it and its reciprocal, sums and squares stay in range.
TINY = 2.0**-511


@dataclass(frozen=True)
class Sample:
    """Samples of n units: x (..., n) ascending along the last axis, w (..., n) >= 0; the two are broadcast."""

    x: np.ndarray
    w: np.ndarray
    alike: bool = False  # every unit weighs 1

    @property
    def n(self) -> int:
        return self.x.shape[-1]

    @cached_property
    def W(self) -> np.ndarray:
        return total(self.w)

    @cached_property
    def mu(self) -> np.ndarray:
        return self.mean(self.x)

    @cached_property
    def r(self) -> np.ndarray:
        return self.x / self.mu[..., None]

    @cached_property
    def log_r(self) -> np.ndarray:
        return np.log(self.r)

    def mean(self, term: np.ndarray) -> np.ndarray:
        return total(term if self.alike else self.w * term) / self.W

    def mean_of_weighty(self, term: np.ndarray) -> np.ndarray:
        """The mean of a term that may be infinite where a unit weighs nothing."""
        if (self.w > 0).all():
            return self.mean(term)
        return total(np.where(self.w > 0, self.w * term, 0)) / self.W

    def zero_where_dark(self, term: np.ndarray) -> np.ndarray:
        """The term, and its limit 0 where r = 0."""
        return np.where(self.r == 0, 0, term) if (self.r[..., 0] == 0).any() else term

    # --- with unit k left out: (..., n) ---

    @cached_property
    def W_without(self) -> np.ndarray:
        return others(self.w)

    @cached_property
    def mu_without(self) -> np.ndarray:
        """Mean of the others, as a share of mu."""
        return self.mean_without(self.r)

    def mean_without(self, term: np.ndarray) -> np.ndarray:
        return others(self.w * term) / self.W_without


def total(part: np.ndarray) -> np.ndarray:
    """(...) sum over the last axis of (..., n); how many samples there are, and how they lie, changes no bit."""
    if part.shape[-1] > SHORT:
        return np.ascontiguousarray(part).sum(-1)
    so_far = part[..., 0].copy()
    for unit in range(1, part.shape[-1]):
        so_far += part[..., unit]
    return so_far


def others(part: np.ndarray) -> np.ndarray:
    """(..., n) sum of all but one: what stands before it and behind it, so that a large one leaves no noise."""
    part = np.ascontiguousarray(part)  # running sums are fast along units that lie side by side
    none = np.zeros((*part.shape[:-1], 1))
    before = np.concatenate([none, np.cumsum(part[..., :-1], -1)], -1)
    behind = np.concatenate([np.cumsum(part[..., :0:-1], -1)[..., ::-1], none], -1)
    return before + behind


def finite(value: np.ndarray) -> np.ndarray:
    """NaN for what grows without bound, or beyond the range of numbers."""
    return np.where(np.isinf(value), np.nan, value)


# --- Gini -----------------------------------------------------------------------------------------------------------


def gini(s: Sample) -> np.ndarray:
    rank = (2 * np.cumsum(s.w, -1) - s.w) / s.W[..., None] - 1
    # the ranks sum to zero, so x - mu may stand for x: equal units then give 0, not rounding noise
    return np.maximum(s.mean((s.r - 1) * rank), 0)


def gini_without(s: Sample) -> np.ndarray:
    d = s.r - 1
    wd = s.w * d
    poorer, richer = np.cumsum(s.w, -1) - s.w, s.W[..., None] - np.cumsum(s.w, -1)
    poorer_d = np.cumsum(wd, -1) - wd
    richer_d = total(wd)[..., None] - poorer_d - wd
    # S_j w_j |x_k - x_j| / mu of every unit k; the differences between all units are twice the part of each pair
    distance = d * (poorer - richer) - poorer_d + richer_d
    pairs = s.w * distance
    return (total(pairs)[..., None] - 2 * pairs) / (2 * s.W_without**2 * s.mu_without)


def gini_unbiased(s: Sample) -> np.ndarray:
    return gini(s) * s.n / (s.n - 1)


def gini_unbiased_without(s: Sample) -> np.ndarray:
    return gini_without(s) * (s.n - 1) / (s.n - 2)


# --- entropies ------------------------------------------------------------------------------------------------------


def theil(s: Sample) -> np.ndarray:
    # S w (r - 1) = 0, so 1 - r may be added: no term is negative then, and equal units give 0
    return np.maximum(s.mean(s.zero_where_dark(s.r * s.log_r) + (1 - s.r)), 0)


def theil_without(s: Sample) -> np.ndarray:
    m = s.mu_without
    return s.mean_without(s.zero_where_dark(s.r * s.log_r)) / m - np.log(m)


def mean_log_deviation(s: Sample) -> np.ndarray:
    return np.maximum(s.mean_of_weighty(s.r - 1 - s.log_r), 0)  # inf with a zero of any weight


def theil_l(s: Sample) -> np.ndarray:
    return finite(mean_log_deviation(s))


def theil_l_without(s: Sample) -> np.ndarray:
    return np.log(s.mu_without) - s.mean_without(s.log_r)


def entropy(s: Sample, alpha: float) -> np.ndarray:
    # multiples of S w (r - 1) = 0 are added so that no term is negative, and expm1 keeps the digits next to 0 and 1
    if alpha < 0.5:
        term = np.expm1(alpha * s.log_r) - alpha * (s.r - 1)
    else:
        power = s.r * np.expm1((alpha - 1) * s.log_r)
        term = s.zero_where_dark(power) - (alpha - 1) * (s.r - 1)
    return finite(np.maximum(s.mean_of_weighty(term) / (alpha * (alpha - 1)), 0))


def entropy_without(s: Sample, alpha: float) -> np.ndarray:
    m = s.mu_without
    if alpha < 0.5:
        excess = np.log1p(s.mean_without(np.expm1(alpha * s.log_r))) - alpha * np.log(m)
    else:
        power = s.zero_where_dark(s.r * np.expm1((alpha - 1) * s.log_r))
        excess = np.log1p(s.mean_without(power) / m) - (alpha - 1) * np.log(m)
    return np.expm1(excess) / (alpha * (alpha - 1))


# --- Atkinson -------------------------------------------------------------------------------------------------------


def atkinson(s: Sample, epsilon: float) -> np.ndarray:
    if epsilon == 1:
        return -np.expm1(-mean_log_deviation(s))
    if epsilon == 0.5:  # sqrt(r) - 1 less (r - 1) / 2, whose mean is 0, is a square; roots are faster than powers
        log_mean = np.log1p(-s.mean((np.sqrt(s.r) - 1) ** 2) / 2)
        return np.clip(-np.expm1(log_mean / (1 - epsilon)), 0, 1)
    # r**(1 - e) - 1 by expm1, so that e close to 1 loses no digits; a zero gives -1, or inf where e > 1
    power = (1 - epsilon) * s.log_r
    # less a multiple of S w (r - 1) = 0, so that units that are nearly alike leave their difference and not noise
    log_mean = np.log1p(s.mean_of_weighty(np.expm1(power) - (1 - epsilon) * (s.r - 1)))
    if np.isinf(log_mean).any() and epsilon > 1:  # a zero, or a power out of range: the largest is taken out
        most = np.where(s.w > 0, power, -np.inf).max(-1)
        log_mean = np.where(np.isinf(most), most, most + np.log(s.mean_of_weighty(np.exp(power - most[..., None]))))
    return np.clip(-np.expm1(log_mean / (1 - epsilon)), 0, 1)


def atkinson_without(s: Sample, epsilon: float) -> np.ndarray:
    if epsilon == 1:
        return -np.expm1(-theil_l_without(s))
    mean_power = s.mean_without(np.expm1((1 - epsilon) * s.log_r))
    if epsilon > 1:  # without a zero, an inf is a power out of range, and the index is not 1
        mean_power = np.where(np.isinf(mean_power) & (s.r[..., :1] > 0), np.nan, mean_power)
    return -np.expm1(np.log1p(mean_power) / (1 - epsilon) - np.log(s.mu_without))


# --- dispersion -----------------------------------------------------------------------------------------------------


def cv(s: Sample) -> np.ndarray:
    return np.sqrt(s.mean((s.r - 1) ** 2))


def cv_without(s: Sample) -> np.ndarray:
    # about the middle unit, near which all others are when the one far away is left out
    d = s.r - s.r[..., s.n // 2, None]
    return np.sqrt(np.maximum(s.mean_without(d**2) - s.mean_without(d) ** 2, 0)) / s.mu_without


def hoover(s: Sample) -> np.ndarray:
    return s.mean(np.abs(s.r - 1)) / 2


def hoover_without(s: Sample) -> np.ndarray:
    m, n = s.mu_without, s.n
    # the place of each new mean among the units, all by one stable sort
    order = np.argsort(np.concatenate([s.r, m], -1), -1, kind="stable")
    units_so_far = np.cumsum(order < n, -1)
    below = np.empty_like(units_so_far)
    np.put_along_axis(below, order, units_so_far, -1)
    below = below[..., n:]

    def up_to(part: np.ndarray) -> np.ndarray:
        padded = np.concatenate([np.zeros((*part.shape[:-1], 1)), np.cumsum(part, -1)], -1)
        return np.take_along_axis(padded, below, -1)

    w = np.broadcast_to(s.w, s.r.shape)
    weight, amount = up_to(w), up_to(w * s.r)
    distance = m * (2 * weight - s.W[..., None]) + total(w * s.r)[..., None] - 2 * amount
    return (distance - w * np.abs(s.r - m)) / (2 * s.W_without * m)


def weighted_quantile(s: Sample, p: float) -> np.ndarray:
    """The least x with at least p W at or below it; halfway to the next where it is exactly p W.

    Definition 2 of R. J. Hyndman, Y. Fan (1996), Am. Stat. 50, 361-365, which is Stata's `_pctile`: units repeated k
    times are units of weight k.
    """
    x, at_or_below = np.broadcast_arrays(s.x, np.cumsum(s.w, -1))
    target, slack = p * s.W[..., None], SAME_WEIGHT * s.W[..., None]
    low = (at_or_below >= target - slack).argmax(-1)[..., None]
    high = (at_or_below > target + slack).argmax(-1)[..., None]
    return (np.take_along_axis(x, low, -1) / 2 + np.take_along_axis(x, high, -1) / 2)[..., 0]


def quantile_ratio(s: Sample, upper: float, lower: float) -> np.ndarray:
    bottom = weighted_quantile(s, lower)
    return finite(np.where(bottom > 0, weighted_quantile(s, upper) / bottom, np.nan))


# --- by name --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """An index by its name: of samples, with every unit left out in turn (None: not smooth enough), and its domain."""

    name: str
    of: Callable[[Sample], np.ndarray]
    without: Callable[[Sample], np.ndarray] | None
    negatives: bool = False  # defined if some values are negative and the mean is positive
    weights: bool = True
    alpha: float | None = None  # of a generalised entropy, Theil's included

    def __call__(self, s: Sample) -> np.ndarray:
        value = self.of(s)
        return value if self.negatives else np.where(s.x[..., 0] < 0, np.nan, value)


def is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def make_entropy(name: str, alpha: float) -> Index:
    if not (is_number(alpha) and np.isfinite(alpha)):
        raise UsageError(f"alpha is {alpha}: expected a finite number, such as 2.")
    if alpha == 1:
        return Index(name, theil, theil_without, alpha=1.0)
    if alpha == 0:
        return Index(name, theil_l, theil_l_without, alpha=0.0)
    return Index(name, partial(entropy, alpha=alpha), partial(entropy_without, alpha=alpha), alpha=alpha)


def make_atkinson(name: str, epsilon: float) -> Index:
    if not (is_number(epsilon) and np.isfinite(epsilon) and epsilon >= 0):
        raise UsageError(f"epsilon is {epsilon}: expected a finite inequality aversion >= 0, such as 0.5.")
    return Index(name, partial(atkinson, epsilon=epsilon), partial(atkinson_without, epsilon=epsilon))


def make_ratio(name: str, upper: float, lower: float) -> Index:
    if not 0 < lower < upper < 1:
        raise UsageError(f"ratio({upper:g}, {lower:g}) is no ratio of quantiles: expected 1 > upper > lower > 0.")
    return Index(name, partial(quantile_ratio, upper=upper, lower=lower), None, negatives=True)


# name -> (arguments, maker); the arguments are named in messages
FAMILIES: dict[str, tuple[tuple[str, ...], Callable[..., Index]]] = {
    "gini": ((), lambda name: Index(name, gini, gini_without, negatives=True)),
    "theil": ((), partial(make_entropy, alpha=1.0)),
    "theil_l": ((), partial(make_entropy, alpha=0.0)),
    "atkinson": (("epsilon",), make_atkinson),
    "gini_unbiased": (
        (),
        lambda name: Index(name, gini_unbiased, gini_unbiased_without, negatives=True, weights=False),
    ),
    "ge": (("alpha",), make_entropy),
    "cv": ((), lambda name: Index(name, cv, cv_without, negatives=True)),
    "hoover": ((), lambda name: Index(name, hoover, hoover_without, negatives=True)),
    "ratio": (("upper", "lower"), make_ratio),
}


def index_named(text: str, epsilon: float = 0.5) -> Index:
    """The index that a text names: "gini", "ge(2)", "ratio(0.9, 0.1)"; "atkinson" alone takes `epsilon`."""
    found = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", str(text))
    family = found.group(1) if found else str(text)
    if family not in FAMILIES:
        raise UsageError(f"there is no index {str(text)!r}: choose among {', '.join(map(signature, FAMILIES))}.")
    parameters, maker = FAMILIES[family]
    if family == "atkinson" and found.group(2) is None:
        return maker(family, epsilon)
    try:
        numbers = [float(part) for part in found.group(2).split(",")] if found.group(2) else []
    except ValueError:
        numbers = None
    if numbers is None or len(numbers) != len(parameters):
        raise UsageError(f"{str(text)!r} is no index: expected {signature(family)} with numbers in the brackets.")
    return maker(str(text).strip(), *numbers)


def signature(family: str) -> str:
    parameters = FAMILIES[family][0]
    return family if not parameters or family == "atkinson" else f"{family}({', '.join(parameters)})"


# --- many samples of many sizes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Groups of one size, few enough to stay in a processor's cache; made into a Sample where it is worked on."""

    members: np.ndarray  # (m,) the groups
    n: int  # units in each
    cut: Callable[[], Sample]  # -> Sample (m, n)


def blocks_of(
    x: np.ndarray, w: np.ndarray | None, group: np.ndarray, n_group: int, cells: int = BLOCK
) -> Iterator[Block]:
    """Group by group size: blocks of m groups that have n units each, with m n <= cells or m = 1.

    x, w, group (n,); w None counts every unit alike.  Groups without a unit do not appear.
    """
    size = np.bincount(group, minlength=n_group)
    order = None if (group[1:] >= group[:-1]).all() else np.argsort(group, kind="stable")
    first = np.cumsum(size) - size
    alike = size.size > 0 and size.min() == size.max()
    by_size = np.arange(n_group) if alike else np.argsort(size, kind="stable")
    ends = np.flatnonzero(np.diff(size[by_size], append=-1)) + 1
    for members in np.split(by_size, ends[:-1]):
        n = int(size[members[0]]) if members.size else 0
        if n == 0:
            continue
        step = max(1, cells // n)
        for begin in range(0, members.size, step):
            chunk = members[begin : begin + step]
            yield Block(chunk, n, partial(cut, x, w, first[chunk], n, order))


def cut(x: np.ndarray, w: np.ndarray | None, first: np.ndarray, n: int, order: np.ndarray | None) -> Sample:
    """The Sample of the groups whose n units begin at `first` in the order of groups; `order` None: x is in it."""
    begin, end = first[0], first[-1] + n
    if end - begin == first.size * n:  # the groups lie beside each other
        rows = slice(begin, end) if order is None else order[begin:end]
    else:
        rows = (first[:, None] + np.arange(n)).ravel()
        rows = rows if order is None else order[rows]
    values = x[rows].reshape(-1, n)
    if w is None:
        values = tamed(np.sort(values, -1), ordered=True)
        # unit by unit in memory where there are few: work then runs along the groups, which are many
        return Sample(np.asfortranarray(values) if n <= SHORT else values, np.ones((1, n)), alike=True)
    return Sample(*ascending(tamed(values), tamed(w[rows].reshape(-1, n))))


def ascending(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and w (..., n) in the order of x, and of w among equal x, so that no order of rows shows through."""
    order = np.argsort(x, -1, kind="stable")
    if (np.diff(np.take_along_axis(x, order, -1), axis=-1) == 0).any():
        order = np.lexsort((w, x), axis=-1)
    return np.take_along_axis(x, order, -1), np.take_along_axis(w, order, -1)


def tamed(x: np.ndarray, ordered: bool = False) -> np.ndarray:
    """(..., n) times a power of two for each sample, which is exact, if its sums would leave the range of numbers."""
    outermost = x[..., [0, -1]] if ordered else x
    largest = np.abs(outermost).max(-1, keepdims=True, initial=0)
    wild = (largest > 1 / TINY) | ((largest < TINY) & (largest > 0))
    if not wild.any():
        return x
    return np.ldexp(x, np.where(wild, -np.frexp(largest)[1], 0))


def for_each_block(blocks: Iterable[Block], work: Callable[[Block, Sample], None], cells: int) -> None:
    """Do `work`, which writes to nothing but the places of the block's groups, on every block, on threads if many."""

    def one(block: Block) -> None:
        with quiet():
            work(block, block.cut())

    workers = min(os.cpu_count() or 1, 8) if cells > 4 * BLOCK else 1
    if workers == 1:
        for block in blocks:
            one(block)
    else:
        with ThreadPoolExecutor(workers) as threads:
            for _ in threads.map(one, blocks):
                pass


def quiet() -> np.errstate:
    """0/0 is a dark group, log 0 a dark unit, overflow a negative power of a very small share: all meant."""
    return np.errstate(divide="ignore", invalid="ignore", over="ignore")


def of_groups(
    index: Index, x: np.ndarray, w: np.ndarray | None, group: np.ndarray, n_group: int, alone: float = np.nan
) -> np.ndarray:
    """(n_group,) one index of every group; NaN without units or if the mean is not positive, `alone` for one unit."""
    value = np.full(n_group, np.nan)

    def work(block: Block, sample: Sample) -> None:
        found = alone if block.n == 1 else index(sample)
        value[block.members] = np.where(sample.mu > 0, found, np.nan)

    for_each_block(blocks_of(x, w, group, n_group), work, x.size)
    return value
