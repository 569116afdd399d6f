"""What a printed number can stand for, and the formulas that tie the numbers of a regression table together.

A number printed with d decimals is any number within half a unit of the last place, `Interval`.  Two numbers contradict
each other only where their intervals exclude each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Halves are rounded up by some programs and to even by others, and binary fractions fall on either side of them.
SLACK = 1e-6  # [half units]
ROUND_OFF = 1e-12  # relative, of a few operations in double precision


@dataclass(frozen=True)
class Interval:
    """All numbers from `low` to `high`, both included."""

    low: float
    high: float

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low)

    def __mul__(self, factor: float) -> Interval:
        return Interval(*sorted((self.low * factor, self.high * factor)))

    def __truediv__(self, other: Interval) -> Interval:
        """Quotients; without bounds where the divisor may be 0."""
        if other.low <= 0 <= other.high:
            return Interval(-math.inf, math.inf)
        corners = [a / b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(corners), max(corners))

    def __abs__(self) -> Interval:
        inner = 0.0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))
        return Interval(inner, max(abs(self.low), abs(self.high)))

    def rising(self, function: Callable[[float], float]) -> Interval:
        """Values of a function that rises."""
        return Interval(function(self.low), function(self.high))

    def falling(self, function: Callable[[float], float]) -> Interval:
        """Values of a function that falls."""
        return Interval(function(self.high), function(self.low))

    def meets(self, other: Interval) -> bool:
        """Whether a number lies in both, within round-off."""
        return not (self.below(other) or other.below(self))

    def below(self, other: Interval | float) -> bool:
        """Whether every number here is less than every number there, by more than round-off."""
        low = other.low if isinstance(other, Interval) else other
        if not (math.isfinite(low) and math.isfinite(self.high)):
            return self.high < low
        return low - self.high > ROUND_OFF * max(abs(low), abs(self.high), 1e-300)

    def above(self, other: float) -> bool:
        """Whether every number here is greater than `other`, by more than round-off."""
        return Interval(other, other).below(self)

    def __contains__(self, number: float) -> bool:
        return not (self.below(number) or self.above(number))

    def __str__(self) -> str:
        return f"{self.low:.6g} to {self.high:.6g}"


def rounded(value: float, unit: float) -> Interval:
    """Numbers that print as `value` where the last place is worth `unit`: within half of it."""
    half = unit / 2 * (1 + SLACK)
    return Interval(value - half, value + half)


def common(intervals: list[Interval]) -> bool:
    """Whether one number lies in all of them, within round-off."""
    return Interval(max(i.low for i in intervals), math.inf).meets(Interval(-math.inf, min(i.high for i in intervals)))


def t_of(b: Interval, se: Interval) -> Interval:
    """b / se for a standard error that is positive, though it may print as 0.000."""
    if se.low > 0:
        return b / se
    if b.low <= 0 <= b.high:
        return Interval(-math.inf, math.inf)
    return Interval(b.low / se.high, math.inf) if b.low > 0 else Interval(-math.inf, b.high / se.high)


def b_of(t: Interval, se: Interval) -> Interval:
    """t se for a standard error that is positive."""
    corners = [a * s for a in (t.low, t.high) for s in (max(se.low, 0.0), se.high)]
    return Interval(min(corners), max(corners))


# --- least squares and its likelihood -----------------------------------------------------------------------------


def log_residual_ss(loglik, n):
    """ln RSS = ln N - 2 LL / N - 1 - ln 2 pi: what a Gaussian log-likelihood at its maximum says of the residuals."""
    return np.log(n) - 2 * np.asarray(loglik, dtype=float) / n - 1 - math.log(2 * math.pi)


def implied_residual_ss(loglik, n):
    """RSS = N exp(-2 LL / N - 1 - ln 2 pi), from LL = -N/2 (ln 2 pi + ln(RSS / N) + 1)."""
    with np.errstate(over="ignore", under="ignore"):  # an absurd log-likelihood is an infinite or an empty sum
        return np.exp(log_residual_ss(loglik, n))


def implied_total_ss(loglik, n, r2, df_residual=None, df_total=None):
    """TSS that a log-likelihood and a printed R2 imply.

    (m,) or scalars.  Unadjusted, R2 = 1 - RSS / TSS: TSS = RSS / (1 - R2).  Adjusted, with both degrees of freedom
    given, 1 - R2 = (RSS / df_residual) / (TSS / df_total): TSS = RSS / (1 - R2) df_total / df_residual.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # R2 = 1 leaves an infinite sum
        total = implied_residual_ss(loglik, n) / (1 - np.asarray(r2, dtype=float))
    return total if df_residual is None else total * df_total / np.asarray(df_residual, dtype=float)


def likelihood_ratio(big, small):
    """LR = 2 (LL of the larger model - LL of the smaller)."""
    return 2 * (np.asarray(big, dtype=float) - np.asarray(small, dtype=float))


def implied_df(t, lr, n):
    """Residual df that make t the root of an F under homoskedastic errors: t^2 / df = exp(LR / N) - 1.

    For one regressor added to a model of least squares, t^2 / df = (RSS_small - RSS_big) / RSS_big, and RSS_small /
    RSS_big = exp(LR / N).  Robust or clustered standard errors give another number.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # LR = 0 leaves infinite df
        return np.asarray(t, dtype=float) ** 2 / np.expm1(np.asarray(lr, dtype=float) / n)


def exp(x: float) -> float:
    """e^x, infinite instead of an overflow."""
    return math.exp(x) if x < 709 else math.inf


# --- p-values -----------------------------------------------------------------------------------------------------


def two_sided_p(t: float, df: float = math.inf) -> float:
    """P(|T| > |t|) under Student's t, or the normal law where df is infinite."""
    if math.isinf(df) or math.isinf(t):
        return math.erfc(abs(t) / math.sqrt(2))
    from scipy.special import stdtr

    return 2 * float(stdtr(df, -abs(t)))


def chi2_p(x: float, df: int) -> float:
    """P(X > x) under chi-squared with df degrees of freedom; 1 for x <= 0."""
    from scipy.special import chdtrc

    return float(chdtrc(df, max(x, 0.0)))


def p_of_t(t: Interval, df_low: float, df_high: float) -> Interval:
    """p-values of t over an interval and over all degrees of freedom from low to high."""
    size = abs(t)
    return Interval(two_sided_p(size.high, df_high), two_sided_p(size.low, df_low))


def p_of_chi2(x: Interval, df: int) -> Interval:
    """p-values of a chi-squared statistic over an interval."""
    return x.falling(lambda value: chi2_p(value, df))


# --- indices and moments ------------------------------------------------------------------------------------------


def implied_epsilon(atkinson: float, theil: float) -> float:
    """Aversion of Atkinson's index under a lognormal law: T = s^2 / 2, A = 1 - exp(-e s^2 / 2), e = -ln(1 - A) / T."""
    return -math.log1p(-atkinson) / theil


def lognormal_gini(theil: float) -> float:
    """Gini of a lognormal law with that Theil: 2 Phi(s / sqrt 2) - 1 with s^2 = 2 T, which is erf(sqrt(T / 2))."""
    return math.erf(math.sqrt(theil / 2))


def sd_ceiling(low: float, high: float, mean: float, n: int) -> float:
    """Largest sd (divisor n - 1) of n numbers: sqrt((max - mean)(mean - min) n / (n - 1)), Bhatia and Davis (2000)."""
    return math.sqrt(max((high - mean) * (mean - low), 0.0) * n / (n - 1))


def sd_floor(low: float, high: float, mean: float, n: int) -> float:
    """Smallest sd (divisor n) of n numbers of which one is `low`, one `high`, and whose mean is `mean`.

    All others are alike: n sd^2 = (max - mean)^2 + (mean - min)^2 + ((max - mean) - (mean - min))^2 / (n - 2).
    """
    up, down = high - mean, mean - low
    rest = (up - down) ** 2 / (n - 2) if n > 2 else 0.0
    return math.sqrt((up**2 + down**2 + rest) / n)
