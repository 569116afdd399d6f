"""Moments of dynamic panels: the transformed and the level equation, their instruments, and the weights of one step.

Panels are cubes: N units, T periods of one calendar, NaN where there is no value; `used` (N, T) says which rows the
equation in levels has.  Everything follows D. Roodman (2009), "How to do xtabond2: An introduction to difference and
system GMM in Stata", Stata J. 9, 86-136, whose sections are named below; docs/dynamic-panels.md goes through it point
by point.

An equation has R rows a unit: T of the transformed equation, and T of the level equation after them in system GMM.
Rows that do not exist are zero in y, X and Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from econ.estimators.within import split_columns

EQUATIONS = ("both", "transformed", "level")
TRANSFORMS = ("fd", "fod")


@dataclass(frozen=True, eq=False)
class GmmStyle:
    """One variable that instruments by its own lags, one column for each period and lag (section 3.2).

    Parameters
    ----------
    name : str
    values : (N, T)
        In levels; whatever the panel has, also where `used` is False.
    first, last : int, int or None
        Lags of the levels, counted from the variable itself, for the transformed equation; None takes all.  In the
        level equation the difference at lag first - 1 is the only one that is not redundant (at min(last - 1, 0) where
        first is a lead or 0).  With equation "level" there is no transformed one, and the differences at lags first to
        last are all taken.
    collapse : bool
        One column for each lag, whatever the period.
    equation : str
        One of `EQUATIONS`.
    group : str
        Set of instruments that are tested together.
    """

    name: str
    values: np.ndarray
    first: int
    last: int | None
    collapse: bool = False
    equation: str = "both"
    group: str = "gmm"


@dataclass(frozen=True, eq=False)
class IvStyle:
    """One variable that instruments by itself, one column (section 3.2).

    Transformed as the equation is, but for `passthru`; in system GMM with equation "both" the column goes on in the
    level equation, untransformed.
    """

    name: str
    values: np.ndarray
    equation: str = "both"
    passthru: bool = False
    group: str = "iv"


@dataclass(frozen=True, eq=False)
class Moments:
    """What difference and system GMM estimate from.

    Parameters
    ----------
    y : (N, R), X : (N, R, k), Z : (N, R, m)
        Zero in rows that do not exist.
    H : (R, R)
        What the covariance of a unit's errors is taken for in one step, up to a factor; the same for all units.
    rows : (N, R) bool
        Which rows exist.
    dy : (N, T), dX : (N, T, k), differenced : (N, T) bool
        First differences, which tests of serial correlation look at also under orthogonal deviations.
    names : tuple of str, (k,)
    labels, groups : tuple of str, (m,)
        Name of each instrument, and the set that it is tested with.
    gmm, levels : (m,) bool
        Whether it is of GMM style, and of those for the level equation.
    constant : str or None
        Name of the constant.
    transform : str
    system : bool
    h : int
        Which H it is, see `one_step_weights`.
    squares, plain_squares : (k,), (instruments that are not of GMM style,)
        Sums of squares of the regressors, and of those instruments, as they stand in levels.
    """

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    H: np.ndarray
    rows: np.ndarray
    dy: np.ndarray
    dX: np.ndarray
    differenced: np.ndarray
    names: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    gmm: np.ndarray
    levels: np.ndarray
    constant: str | None
    transform: str
    system: bool
    h: int
    squares: np.ndarray
    plain_squares: np.ndarray

    @property
    def periods(self) -> int:
        return self.dy.shape[1]

    @property
    def transformed(self) -> np.ndarray:
        """(N, T) rows of the transformed equation."""
        return self.rows[:, : self.periods]

    @property
    def counted(self) -> np.ndarray:
        """(N, T) the rows that observations are counted in: those in levels in system GMM, else the transformed."""
        return self.rows[:, self.periods :] if self.system else self.rows

    def columns(self, regressors: Sequence[int], instruments: Sequence[int]) -> Moments:
        """The same with some of the columns of X and Z."""
        k, m = list(regressors), list(instruments)
        return replace(
            self,
            X=self.X[:, :, k],
            Z=self.Z[:, :, m],
            dX=self.dX[:, :, k],
            names=tuple(self.names[j] for j in k),
            labels=tuple(self.labels[j] for j in m),
            groups=tuple(self.groups[j] for j in m),
            gmm=self.gmm[m],
            levels=self.levels[m],
            squares=self.squares[k],
            plain_squares=self.plain_squares[[j - int(self.gmm.sum()) for j in m if not self.gmm[j]]],
        )


def without_redundant(moments: Moments) -> tuple[Moments, tuple[str, ...], tuple[str, ...]]:
    """The moments without columns that others before them determine, and the names of those.

    Of regressors, in all rows that exist; of instruments of IV style and the constant, likewise.  Those of GMM style
    stay: a generalised inverse takes what is redundant in them, as xtabond2's does.
    """
    k = len(moments.names)
    constant = [j for j in range(k) if moments.system and moments.names[j] == moments.constant]
    order = [*constant, *(j for j in range(k) if j not in constant)]
    X = moments.X[moments.rows][:, order]
    size = np.sqrt(moments.squares[order] / len(X))
    # what is left of a column that does not change, once transformed, is rounding: judged by its length in levels
    kept = sorted(order[j] for j in split_columns(np.broadcast_to(size, X.shape), X)[0])
    plain = [j for j, gmm in enumerate(moments.gmm) if not gmm]
    Z = moments.Z[moments.rows][:, plain]
    size = np.sqrt(moments.plain_squares / len(Z))
    useful = {plain[j] for j in split_columns(np.broadcast_to(size, Z.shape), Z)[0]} | set(np.flatnonzero(moments.gmm))
    dropped = tuple(name for j, name in enumerate(moments.names) if j not in kept)
    idle = tuple(label for j, label in enumerate(moments.labels) if j not in useful)
    return moments.columns(kept, sorted(useful)), dropped, idle


# --- transformations --------------------------------------------------------------------------------------------------


def first_differences(values: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, T[, k]) changes since the period before, zero where one of the two is not used; and where they are."""
    there = np.zeros_like(used)
    there[:, 1:] = used[:, 1:] & used[:, :-1]
    changes = np.zeros_like(values)
    changes[:, 1:] = values[:, 1:] - values[:, :-1]
    return np.where(_wide(there, values), changes, 0.0), there


def orthogonal_deviations(values: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, T[, k]) sqrt(n/(n+1)) (x_t - mean of the n used values after t), in the period after t; and where they are.

    M. Arellano, O. Bover (1995), J. Econom. 68, 29-51, section 3; stored one period late, so that lags of instruments
    count as for differences (Roodman 2009, section 3.1).
    """
    wide = _wide(used, values)
    known = np.where(wide, values, 0.0)
    later = np.zeros_like(known)
    later[:, :-1] = known[:, :0:-1].cumsum(axis=1)[:, ::-1]
    count = np.zeros(used.shape)
    count[:, :-1] = used[:, :0:-1].cumsum(axis=1)[:, ::-1]
    n = _wide(count, values)
    base = used & (count > 0)
    deviations = np.sqrt(n / (n + 1)) * (known - later / np.maximum(n, 1))
    there, late = np.zeros_like(used), np.zeros_like(known)
    there[:, 1:] = base[:, :-1]
    late[:, 1:] = deviations[:, :-1]
    return np.where(_wide(there, values), late, 0.0), there


def transformation(periods: int, transform: str) -> np.ndarray:
    """(T, T) matrix of the transformation of a unit without gaps; its first row is zero."""
    if transform == "fd":
        D = np.eye(periods) - np.eye(periods, k=-1)
        D[0] = 0
        return D
    F = np.zeros((periods, periods))
    for t in range(periods - 1):
        n = periods - 1 - t
        F[t + 1, t] = np.sqrt(n / (n + 1))
        F[t + 1, t + 1 :] = -np.sqrt(n / (n + 1)) / n
    return F


def one_step_weights(periods: int, transform: str, system: bool, h: int) -> np.ndarray:
    """(R, R) covariance of a unit's errors in one step (section 3.1 and the option h of xtabond2).

    3: that of independent errors, M M' with M the transformation over the identity, effects left aside; 2: without the
    covariances of the two equations; 1: the identity.
    """
    D = transformation(periods, transform)
    if h == 1:
        return np.eye(periods * (1 + system))
    if not system:
        return D @ D.T
    M = np.vstack([D, np.eye(periods)])
    H = M @ M.T
    if h == 2:
        H[:periods, periods:] = H[periods:, :periods] = 0
    return H


# --- the moments ------------------------------------------------------------------------------------------------------


def build(
    y: np.ndarray,
    X: np.ndarray,
    names: Sequence[str],
    gmm: Sequence[GmmStyle],
    iv: Sequence[IvStyle],
    *,
    system: bool,
    transform: str = "fd",
    h: int = 3,
    constant: str | None = None,
    used: np.ndarray | None = None,
) -> Moments:
    """Moments of y (N, T) on X (N, T, k).

    A row is used where y, X and every variable of IV style are there (or where `used` says).  `constant` is the name of
    a constant of the level equation, which instruments itself; None for none.
    """
    blocks = [y[:, :, None], X, *(each.values[:, :, None] for each in iv)]
    complete = np.isfinite(np.concatenate(blocks, axis=2)).all(axis=2)
    used = complete if used is None else complete & used
    periods = y.shape[1]
    change = first_differences if transform == "fd" else orthogonal_deviations
    y_star, there = change(y, used)
    X_star = change(X, used)[0]
    dy, differenced = first_differences(y, used)
    dX = first_differences(X, used)[0]
    rows = np.hstack([there, used]) if system else there
    if system:
        y_star = np.hstack([y_star, np.where(used, y, 0.0)])
        X_star = np.concatenate([X_star, np.where(used[:, :, None], X, 0.0)], axis=1)
    columns: list[tuple[str, str, bool, np.ndarray]] = []
    for style in gmm:
        columns += _gmm_columns(style, there, used, system)
    styled = len(columns)
    names = list(names)
    squares = [float((np.where(used, x, 0.0) ** 2).sum()) for x in X.transpose(2, 0, 1)]
    plain_squares: list[float] = []
    if system and constant is not None:
        squares.append(float(used.sum()))
        plain_squares.append(float(used.sum()))
        one = np.hstack([np.zeros_like(used), used]).astype(float)
        columns.append((constant, "", False, one))
        X_star = np.concatenate([X_star, one[:, :, None]], axis=2)
        dX = np.concatenate([dX, np.zeros((*dX.shape[:2], 1))], axis=2)
        names.append(constant)
    for each in iv:
        column = _iv_column(each, there, used, system, change)
        if column is not None:
            columns.append((f"{each.name}", each.group, False, column))
            plain_squares.append(float((np.where(used, each.values, 0.0) ** 2).sum()))
    Z = np.stack([column for *_, column in columns], axis=2) if columns else np.zeros((*rows.shape, 0))
    return Moments(
        y=y_star,
        X=X_star,
        Z=Z,
        H=one_step_weights(periods, transform, system, h),
        rows=rows,
        dy=dy,
        dX=dX,
        differenced=differenced,
        names=tuple(names),
        labels=tuple(label for label, *_ in columns),
        groups=tuple(group for _, group, *_ in columns),
        gmm=np.arange(len(columns)) < styled,
        levels=np.array([level for *_, level, _ in columns], bool),
        constant=constant if system else None,
        transform=transform,
        system=system,
        h=h,
        squares=np.array(squares),
        plain_squares=np.array(plain_squares),
    )


def _gmm_columns(
    style: GmmStyle, there: np.ndarray, used: np.ndarray, system: bool
) -> list[tuple[str, str, bool, np.ndarray]]:
    """(label, set, is it for the levels, (N, R) column) of every column that is not zero throughout."""
    periods = used.shape[1]
    x = np.nan_to_num(style.values, nan=0.0)
    dx = np.zeros_like(x)
    known = np.isfinite(style.values)
    dx[:, 1:] = np.where(known[:, 1:] & known[:, :-1], x[:, 1:] - x[:, :-1], 0.0)
    parts: list[tuple[bool, np.ndarray, np.ndarray, int]] = []  # for the levels, values, rows, lag
    last = periods - 1 if style.last is None else style.last
    if style.equation != "level":
        parts += [(False, x, there, lag) for lag in range(style.first, last + 1)]
    if system and style.equation != "transformed":
        if style.equation == "level":
            lags = range(style.first, last + 1)
        else:
            lags = [style.first - 1 if style.first > 0 else min(last - 1, 0)]
        parts += [(True, dx, used, lag) for lag in lags]
    found = []
    for level, values, rows, lag in parts:
        lagged = np.where(rows, _lagged(values, lag), 0.0)
        name = f"L{lag}.{'D.' if level else ''}{style.name}" if lag else f"{'D.' if level else ''}{style.name}"
        periods_of = [slice(None)] if style.collapse else [slice(t, t + 1) for t in range(periods)]
        for place in periods_of:
            if not lagged[:, place].any():
                continue
            column = np.zeros((used.shape[0], periods * (1 + system)))
            offset = periods if level else 0
            start, stop, _ = place.indices(periods)
            column[:, offset + start : offset + stop] = lagged[:, place]
            label = name if style.collapse else f"{name} at {start}"
            found.append((label, style.group, level, column))
    return found


def _iv_column(each: IvStyle, there, used, system, change) -> np.ndarray | None:
    """(N, R) column, None where its equation is not there."""
    if each.equation == "level" and not system:
        return None
    changed = np.where(there, each.values, 0.0) if each.passthru else change(each.values, used)[0]
    if each.equation == "level":
        changed = np.zeros_like(changed)
    if not system:
        return changed
    level = np.zeros_like(changed) if each.equation == "transformed" else np.where(used, each.values, 0.0)
    return np.hstack([changed, level])


def _lagged(values: np.ndarray, lag: int) -> np.ndarray:
    """(N, T) values of `lag` periods before, after where it is negative; zero beyond the ends."""
    moved = np.zeros_like(values)
    if lag == 0:
        return values
    if abs(lag) < values.shape[1]:
        if lag > 0:
            moved[:, lag:] = values[:, :-lag]
        else:
            moved[:, :lag] = values[:, -lag:]
    return moved


def _wide(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    return mask if values.ndim == 2 else mask[:, :, None]
