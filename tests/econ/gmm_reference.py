"""Difference and system GMM by loops over units and periods: slow, to read and to test other code against.

Sources: D. Roodman (2009), "How to do xtabond2: An introduction to difference and system GMM in Stata",
Stata J. 9, 86-136; M. Arellano and S. Bond (1991), Rev. Econ. Stud. 58, 277-297; M. Arellano and O. Bover (1995),
J. Econometrics 68, 29-51; R. Blundell and S. Bond (1998), J. Econometrics 87, 115-143; F. Windmeijer (2005),
J. Econometrics 126, 25-51.  Nothing here is taken from a program.

Where a mistake is easy
-----------------------
"R" is Roodman (2009), with the section that treats the point, named by its subject; [golden] marks what a number of the
shared golden cases decides, [reading] what no number at hand decides.

Sample (R 3, purging the fixed effects; R 4, syntax)
1.  An observation (i, t) counts when y, all x and all variables of iv sets are there in levels; variables of gmm
    sets do not matter.  [reading: that an iv variable counts in levels, also where only one equation uses it]
2.  A difference at t needs observations at t and t - 1 of the calendar, so one gap costs two differences.
3.  A forward orthogonal deviation is taken of every observation that has a later one.  It subtracts the mean of the
    later observations that are there, however far away, times sqrt(T/(T + 1)) with T their number: a gap costs
    none but its own.  It is stored one period late, at t + 1, even if t + 1 itself is a gap.  Lags of instruments
    are counted from the period of storage, so that lag 2 is valid in both transforms.  [golden, for panels without
    gaps: abdata has none]
4.  Means of later observations are taken of whole observations: a value of one variable in a row that lacks
    another enters no mean.
5.  A regressor that is a lag is an array of its own, made before the sample is chosen: its values may come from
    rows that are no observations.
6.  N is the number of transformed observations in difference GMM, of level observations in system GMM (also with
    orthogonal deviations).  The first observation of a unit counts in system GMM although it has no transform.
    [golden: 751 against 891]  A unit counts if one of its rows is used.

Instruments (R 3, instrumenting with lags, and with variables orthogonal to the fixed effects; R 4, gmmstyle, ivstyle)
7.  gmm, transformed equation: one column for each period of storage and each lag, the value in levels (never
    transformed, also with orthogonal deviations); 0 where it is missing.  The value comes from the data, be its row
    an observation or not.  Collapsed: one column for each lag.
8.  gmm, levels equation: D.L^(a-1) only, x[t-a+1] - x[t-a], one column for each period (collapsed: one in all); 0
    where either is missing.  A set for the levels equation alone has all its lags there, D.L^a to D.L^b, as nothing
    makes them redundant; where a is not positive the one lag of a set for both is min(b - 1, 0).  Otherwise the
    last lag b plays no role; the transform plays none: always first differences.
    For a set gmm(L.n) the array is L.n and first = 1.  [golden]
9.  The zeros of 7 and 8 are no sign of a missing row: no row is ever lost for an instrument of a gmm set.
10. iv in both equations is one column, the transformed values above the levels, not two.  Alone it is a column
    with zeros in the other equation.  [golden: 51 instruments, not 52]  `passthru` puts the levels in the place of
    the transformed values.  [reading: the level of the period of storage, 0 if it is missing]
11. The constant is a regressor and an instrument of the levels equation only: 0 in the transformed one, 1 in levels,
    and not a member of any set.
12. Columns that are zero in all rows used are dropped before they are counted; collinear ones stay and are counted,
    so degrees of freedom come from ranks.

Weights of the first step (R 3, applying GMM; R 4, option h)
13. With M the matrix of the transform, h=3 is [M M', M; M', I], h=2 has zeros in place of M, h=1 is I.  In
    difference GMM 2 and 3 are the same.  M M' of differences has 2 on the diagonal and -1 beside it.
14. M is that of the full calendar, T by T, for all units; a unit takes its rows and columns, gaps or not.  For
    differences this is the same as its own M.  For orthogonal deviations it is not: M M' stays I, and M between
    the equations is that of a unit observed in all periods.  [golden: the system of dpd_abdata_fod, whose units
    begin and end in different years; one-step L1.n .7824, with their own M .7713]
15. sigma2 is e*'e* / (2 n*) of the transformed rows in differences and e*'e* / n* in orthogonal deviations, never less
    k (`small` adds that), both of the one-step residuals.  `sargan` uses it, in system GMM too (programs from
    xtabond2 2.8.3 on); `sargan_old` has the number of level rows in the place of n*, over the same transformed
    residuals (the paper; gretl).  [golden: 157.5 and 186.9; the FOD golden for e*'e* / n*]  With h=1 the divisor is
    1, as the diagonal of H is then.  [reading]

Second step and tests (R 2, feasibility, small samples, overidentification; R 3, testing for autocorrelation)
16. S = sum of Z_i'e_i e_i'Z_i of the one-step residuals of both equations stacked, not divided, not centred.
17. Sargan and Hansen are printed for any number of steps.  Sargan: one-step residuals, (Z'HZ)^-1 / sigma2; Hansen:
    two-step residuals, S^-1 of the one-step ones.  Both have rank(Z'HZ) - k degrees of freedom.  [golden]
18. Difference-in-Hansen leaves out the columns of the set, takes what is left of S (S itself is not estimated
    anew), estimates again and subtracts.  "levels" is all gmm columns of the levels equation; iv sets and the
    constant stay.  [golden: 79 and 21 degrees of freedom]
19. Windmeijer's correction needs the robust covariance of the first step, whatever is asked for.
20. AR(m) is of first differences of the residuals, also with orthogonal deviations; the lag is m periods of the
    calendar and 0 where that difference is missing.  Its variance uses the reported covariance, but without
    the factor of `small` (the published -5.39 would be -5.34 with it), the residuals of the reported step, and in
    the cross term those of all equations that are estimated.  [golden]  The one-step statistic that is not robust
    has sigma2 and blocks of H for products of residuals.  [Stata's manual of xtabond, for differences]
21. `small="new"`: (N - 1)/(N - k) G/(G - 1); "old", the paper's: N/(N - k + 1) G/(G - 1).  k has the constant.
    [golden]  A covariance that is not robust and of one step has N/(N - k) in both.  [Stata's xtabond has it;
    reading for xtabond2]
22. With fewer units than instruments S is singular, and all that has S in it depends on which generalised inverse is
    taken: here Moore and Penrose's, of the matrix scaled to ones on its diagonal.  `rank_s` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Row = tuple[str, int]  # equation, "transformed" or "level", and period
Column = tuple  # the name of an instrument, as `instruments_of` makes it
GmmSet = tuple[Array, int, int | None, bool, str]  # values, first lag, last lag, collapse, equation
IvSet = tuple[Array, str, bool]  # values, equation, passthru

# An eigenvalue below this times the number of columns is rounding, of a matrix with ones on its diagonal.  In the
# golden cases the smallest true one is 8e-9 of the largest, and those of repeated columns are 1e-16 of it.
RANK = 1e-12


@dataclass
class Unit:
    """The rows of one unit, and the differences that tests of autocorrelation need."""

    rows: list[Row] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    x: list[Array] = field(default_factory=list)
    z: list[dict[Column, float]] = field(default_factory=list)
    difference: dict[int, tuple[float, Array]] = field(default_factory=dict)  # period -> D.y, D.x


def reference(
    y: Array,
    X: Array,
    gmm: Sequence[GmmSet],
    iv: Sequence[IvSet] = (),
    *,
    system: bool,
    steps: int = 1,
    transform: str = "fd",
    h: int = 3,
    constant: bool = False,
    small: str | None = None,
    robust: bool = True,
) -> dict[str, object]:
    """Difference or system GMM of y on X.

    Parameters
    ----------
    y, X : arrays (N, T) and (N, T, k)
        NaN where missing, on a calendar without holes.
    gmm : list of (values, first, last, collapse, equation)
        Lags `first` to `last` (None: all) of values, (N, T) or (N, T, m), in "both", "transformed" or "level".
    iv : list of (values, equation, passthru)
        Instruments as they are, (N, T) or (N, T, m).
    system : bool
        Whether the levels equation is there; `constant` belongs to it and is the last coefficient.
    steps, transform, h, small, robust
        1 or 2; "fd" or "fod"; 1, 2 or 3; None, "new" or "old"; False: the covariance that trusts the weights.

    Returns
    -------
    dict
        b, V, se; b_onestep, V_onestep, V_onestep_nonrobust, b_twostep, V_twostep, V_twostep_uncorrected (each with
        the factor of `small`); n, groups, instruments, rank, rank_s; sigma2; sargan, sargan_old, sargan_df;
        hansen, hansen_df; difference_in_hansen: {"gmm 0", "iv 0", ..., "levels": {excl, excl_df, diff, diff_df}};
        ar: {1, 2: z}; columns, the names of instruments, zero ones left out.
    """
    if constant and not system:
        raise ValueError("A constant has no place in difference GMM, it is differenced away: pass constant=False.")
    if steps not in (1, 2) or transform not in ("fd", "fod") or h not in (1, 2, 3) or small not in (None, "new", "old"):
        raise ValueError(f"No such option among steps={steps}, transform={transform}, h={h}, small={small}.")
    y = np.asarray(y, dtype=float)
    X = np.asarray(X, dtype=float)
    gmm = [(with_last_axis(values), *rest) for values, *rest in gmm]
    iv = [(with_last_axis(values), *rest) for values, *rest in iv]

    units = [unit_of(i, y, X, gmm, iv, system, transform, constant) for i in range(len(y))]
    units = [unit for unit in units if unit.rows]
    columns = sorted({name for unit in units for z in unit.z for name, value in z.items() if value != 0}, key=str)
    ys = [np.array(unit.y) for unit in units]
    xs = [np.array(unit.x) for unit in units]
    zs = [np.array([[z.get(name, 0.0) for name in columns] for z in unit.z]) for unit in units]
    covariance = Errors(y.shape[1], transform, h)

    # sums over units
    zx = sum(z.T @ x for z, x in zip(zs, xs, strict=True))
    zy = sum(z.T @ v for z, v in zip(zs, ys, strict=True))
    zhz = sum(z.T @ covariance.of(unit.rows, unit.rows) @ z for z, unit in zip(zs, units, strict=True))
    k = zx.shape[1]
    rank = rank_of(zhz)
    found = np.linalg.matrix_rank(zx / np.maximum(np.linalg.norm(zx, axis=0), np.finfo(float).tiny), tol=RANK)
    if found < k:
        raise ValueError(f"Z'X has rank {found} of {k}: leave out collinear regressors or add instruments.")

    def solve(weight: Array, keep: Array | slice = slice(None)) -> tuple[Array, Array]:
        """b that makes (Z'e)' W (Z'e) smallest, and (X'Z W Z'X)^-1."""
        bread = np.linalg.inv(zx[keep].T @ weight @ zx[keep])
        return bread @ zx[keep].T @ weight @ zy[keep], bread

    def residuals(b: Array) -> list[Array]:
        return [v - x @ b for v, x in zip(ys, xs, strict=True)]

    # first step
    w1 = inverse(zhz)
    b1, bread1 = solve(w1)
    e1 = residuals(b1)
    s = sum(np.outer(z.T @ e, z.T @ e) for z, e in zip(zs, e1, strict=True))
    count = {"transformed": 0, "level": 0}
    square = 0.0
    for unit, e in zip(units, e1, strict=True):
        for (equation, _), value in zip(unit.rows, e, strict=True):
            count[equation] += 1
            square += value**2 if equation == "transformed" else 0.0
    sigma2 = square / count["transformed"] / (2 if transform == "fd" and h > 1 else 1)
    v1 = bread1 @ zx.T @ w1 @ s @ w1 @ zx @ bread1
    v1_nonrobust = sigma2 * bread1

    # second step; Windmeijer's D says how b2 moves with the b1 that S is made of
    w2 = inverse(s)
    b2, bread2 = solve(w2)
    moments2 = zy - zx @ b2
    D = np.empty((k, k))
    for j in range(k):
        ds = np.zeros_like(s)
        for z, x, e in zip(zs, xs, e1, strict=True):
            ds -= np.outer(z.T @ x[:, j], z.T @ e) + np.outer(z.T @ e, z.T @ x[:, j])
        D[:, j] = -bread2 @ zx.T @ w2 @ ds @ w2 @ moments2
    v2 = bread2 + D @ bread2 + bread2 @ D.T + D @ v1 @ D.T

    if steps == 1:
        b, V, weight, bread = b1, v1 if robust else v1_nonrobust, w1, bread1
    else:
        b, V, weight, bread = b2, v2 if robust else bread2, w2, bread2
    V_of_tests = V  # without the factor of `small`

    n = count["level"] if system else count["transformed"]
    groups = len(units)
    of_clusters = {
        None: 1.0,
        "new": (n - 1) / (n - k) * groups / (groups - 1),
        "old": n / (n - k + 1) * groups / (groups - 1),
    }[small]
    v1, v2, v2_uncorrected = of_clusters * v1, of_clusters * v2, of_clusters * bread2
    of_sigma2 = n / (n - k) if small else 1.0
    v1_nonrobust = of_sigma2 * v1_nonrobust
    V = (of_sigma2 if steps == 1 and not robust else of_clusters) * V

    # overidentification
    moments1 = zy - zx @ b1
    sargan = moments1 @ w1 @ moments1
    hansen = moments2 @ w2 @ moments2

    def without(out: Array) -> dict[str, float]:
        keep = ~out
        left = rank_of(zhz[np.ix_(keep, keep)]) - k
        if left < 0:
            return {"excl": np.nan, "excl_df": left, "diff": np.nan, "diff_df": rank - k - left}
        weight = inverse(s[np.ix_(keep, keep)])
        again, _ = solve(weight, keep)
        moments = zy[keep] - zx[keep] @ again
        excl = moments @ weight @ moments
        return {"excl": excl, "excl_df": left, "diff": hansen - excl, "diff_df": rank - k - left}

    sets = {f"gmm {number}": ("gmm", number) for number in range(len(gmm))}
    sets |= {f"iv {number}": ("iv", number) for number in range(len(iv))}
    difference = {text: without(np.array([name[:2] == key for name in columns])) for text, key in sets.items()}
    if system:
        difference["levels"] = without(np.array([name[0] == "gmm" and name[3] == "level" for name in columns]))

    # autocorrelation of first differences
    sandwich = robust or steps == 2
    ar = {}
    for m in (1, 2):
        product = spread = 0.0
        wx = np.zeros(k)
        ze = np.zeros(len(columns))
        pairs = 0
        for unit, z, e in zip(units, zs, residuals(b), strict=True):
            periods = sorted(unit.difference)
            now = np.array([unit.difference[t][0] - unit.difference[t][1] @ b for t in periods])
            lagged = np.zeros(len(periods))
            for place, t in enumerate(periods):
                if t - m in periods:
                    lagged[place] = now[periods.index(t - m)]
                    pairs += 1
            if not periods:
                continue
            dx = np.array([unit.difference[t][1] for t in periods])
            wx += lagged @ dx
            product += lagged @ now
            if sandwich:
                spread += (lagged @ now) ** 2
                ze += z.T @ e * (now @ lagged)
            else:
                rows = [("difference", t) for t in periods]
                spread += sigma2 * lagged @ covariance.of(rows, rows) @ lagged
                ze += sigma2 * z.T @ covariance.of(unit.rows, rows) @ lagged
        variance = spread - 2 * wx @ bread @ zx.T @ weight @ ze + wx @ V_of_tests @ wx
        ar[m] = product / np.sqrt(variance) if pairs and variance > 0 else np.nan

    return {
        "b": b,
        "V": V,
        "se": np.sqrt(np.diag(V)),
        "b_onestep": b1,
        "V_onestep": v1,
        "V_onestep_nonrobust": v1_nonrobust,
        "b_twostep": b2,
        "V_twostep": v2,
        "V_twostep_uncorrected": v2_uncorrected,
        "n": n,
        "groups": groups,
        "instruments": len(columns),
        "rank": rank,
        "rank_s": rank_of(s),
        "sigma2": sigma2,
        "sargan": sargan / sigma2,
        "sargan_old": sargan / sigma2 * (n / count["transformed"]),
        "sargan_df": rank - k,
        "hansen": hansen,
        "hansen_df": rank - k,
        "difference_in_hansen": difference,
        "ar": ar,
        "columns": columns,
    }


def p_value(statistic: float, df: int) -> float:
    """Of a chi-squared statistic."""
    return float(stats.chi2.sf(statistic, df))


def with_last_axis(values: Array) -> Array:
    values = np.asarray(values, dtype=float)
    return values[:, :, None] if values.ndim == 2 else values


def unit_of(i: int, y: Array, X: Array, gmm: list, iv: list, system: bool, transform: str, constant: bool) -> Unit:
    """All rows of unit i: transformed ones by period of storage, then levels."""
    T = y.shape[1]
    there = [
        not (np.isnan(y[i, t]) or np.isnan(X[i, t]).any() or any(np.isnan(values[i, t]).any() for values, *_ in iv))
        for t in range(T)
    ]
    level_x = np.array([[*X[i, t], 1.0] if constant else X[i, t] for t in range(T)])
    unit = Unit()
    for t, weights in transforms(there, transform).items():
        unit.rows.append(("transformed", t))
        unit.y.append(sum(weight * y[i, s] for s, weight in weights.items()))
        x = sum(weight * level_x[s] for s, weight in weights.items())
        if constant:
            x[-1] = 0.0  # the weights sum to 0 up to rounding
        unit.x.append(x)
        unit.z.append(instruments_of(i, t, "transformed", weights, gmm, iv, system))
    if system:
        for t in range(T):
            if there[t]:
                unit.rows.append(("level", t))
                unit.y.append(y[i, t])
                unit.x.append(level_x[t])
                unit.z.append(instruments_of(i, t, "level", {t: 1.0}, gmm, iv, system))
                if constant:
                    unit.z[-1]["constant",] = 1.0
    for t in transforms(there, "fd"):
        unit.difference[t] = y[i, t] - y[i, t - 1], level_x[t] - level_x[t - 1]
    return unit


def transforms(there: Sequence[bool], transform: str) -> dict[int, dict[int, float]]:
    """Period of storage -> {period: weight} of each transformed observation."""
    T = len(there)
    rows = {}
    if transform == "fd":
        for t in range(1, T):
            if there[t] and there[t - 1]:
                rows[t] = {t: 1.0, t - 1: -1.0}
        return rows
    for t in range(T - 1):
        later = [s for s in range(t + 1, T) if there[s]]
        if there[t] and later:
            scale = np.sqrt(len(later) / (len(later) + 1))
            rows[t + 1] = {t: scale} | {s: -scale / len(later) for s in later}
    return rows


def instruments_of(
    i: int, t: int, equation: str, weights: dict[int, float], gmm: list, iv: list, system: bool
) -> dict[Column, float]:
    """{column: value} of one row; a column that is not named is 0.

    Names: ("gmm", set, variable, equation, lag, period or None) and ("iv", set, variable).
    """
    z: dict[Column, float] = {}
    for number, (values, first, last, collapse, where) in enumerate(gmm):
        if where not in (equation, "both"):
            continue
        period = None if collapse else t
        for v in range(values.shape[2]):
            series = values[i, :, v]
            if equation == "transformed":
                for lag in range(first, (t if last is None else last) + 1):
                    if 0 <= t - lag < len(series) and not np.isnan(series[t - lag]):
                        z["gmm", number, v, equation, lag, period] = series[t - lag]
                continue
            if where == "level":
                lags = range(first, (t if last is None else last) + 1)
            else:
                lags = [first - 1 if first > 0 else min(0 if last is None else last - 1, 0)]
            for lag in lags:
                new, old = t - lag, t - lag - 1
                if old >= 0 and new < len(series):
                    change = series[new] - series[old]
                    if not np.isnan(change):
                        z["gmm", number, v, equation, lag, period] = change
    for number, (values, where, passthru) in enumerate(iv):
        if where not in (equation, "both"):
            continue
        for v in range(values.shape[2]):
            if passthru or equation == "level":
                value = values[i, t, v]
                z["iv", number, v] = 0.0 if np.isnan(value) else value
            else:
                z["iv", number, v] = sum(weight * values[i, s, v] for s, weight in weights.items())
    return z


class Errors:
    """Covariance of rows where errors in levels are independent with variance 1, as option h has it."""

    def __init__(self, T: int, transform: str, h: int) -> None:
        self.h = h
        self.weights: dict[Row, Array] = {("level", t): np.eye(T)[t] for t in range(T)}
        # "difference" rows are those of tests of autocorrelation
        for equation, kind in (("transformed", transform), ("difference", "fd")):
            for t, weights in transforms([True] * T, kind).items():
                self.weights[equation, t] = np.array([weights.get(s, 0.0) for s in range(T)])

    def of(self, left: list[Row], right: list[Row]) -> Array:
        """Matrix of covariances of two lists of rows."""
        found = np.zeros((len(left), len(right)))
        for a, row in enumerate(left):
            for c, column in enumerate(right):
                crossed = "level" in (row[0], column[0]) and row[0] != column[0]
                if self.h == 1:
                    found[a, c] = float(row[1] == column[1] and not crossed)
                elif self.h == 3 or not crossed:
                    found[a, c] = self.weights[row] @ self.weights[column]
        return found


def rank_of(symmetric: Array) -> int:
    return int(np.linalg.matrix_rank(scaled(symmetric)[0], tol=RANK * len(symmetric), hermitian=True))


def inverse(symmetric: Array) -> Array:
    """Moore and Penrose's, of the matrix with ones on its diagonal: the units of instruments do not matter."""
    unit, scale = scaled(symmetric)
    # singular values of `unit` are at most its number of columns, so `rank_of` counts the same ones
    largest = np.linalg.norm(unit, 2)
    rcond = RANK * len(unit) / largest
    return np.linalg.pinv(unit, rcond=rcond, hermitian=True) / np.outer(scale, scale)


def scaled(symmetric: Array) -> tuple[Array, Array]:
    scale = np.sqrt(np.diag(symmetric))
    scale = np.where(scale > 0, scale, 1.0)
    return symmetric / np.outer(scale, scale), scale
