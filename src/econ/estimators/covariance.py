"""Covariances of least-squares and two-stage least-squares coefficients: a sandwich of bread and meat.

Arrays in, arrays out.  W (n, p) are columns of full rank, net of absorbed effects but for a constant, which may be
the first of them; e (n,) are residuals.  For instruments W is the projection Xhat and e = y - X b, and nothing here
needs W'e = 0.  Under analytic weights both come multiplied by the square roots of the weights.  A meat is a function
of scores S (n, q), rows W_i e_i or Z_i e_i, to a (q, q) sum; tests of instruments use the same ones.

What programs do differently, their small-sample factors and what they count, is in `Preset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from econ.estimators.design import Rows
from econ.estimators.within import COLLINEAR, SINGULAR

# --- bread --------------------------------------------------------------------------------------------------------


def bread(W: np.ndarray) -> np.ndarray:
    """(p, p) inverse of W'W, by the QR of columns of unit length so that units do not matter."""
    length = np.linalg.norm(W, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(W / length, mode="r"))
    return inverse @ inverse.T / np.outer(length, length)


def sandwich(W: np.ndarray, meat: np.ndarray) -> np.ndarray:
    """(p, p) bread, meat (p, p), bread: P. J. Huber (1967), Proc. 5th Berkeley Symp. 1, 221-233."""
    outer = bread(W)
    return outer @ meat @ outer


def classical(W: np.ndarray, e: np.ndarray, divisor: int) -> np.ndarray:
    """(p, p) for errors of one variance: (W'W)^-1 e'e / divisor, which is n - K or, uncorrected, n."""
    return bread(W) * (e @ e) / divisor


# --- meats --------------------------------------------------------------------------------------------------------


def white(S: np.ndarray) -> np.ndarray:
    """(q, q) for independent rows of any variance: H. White (1980), Econometrica 48, 817-838."""
    return S.T @ S


def clustered(S: np.ndarray, code: np.ndarray) -> np.ndarray:
    """(q, q) for rows correlated at will inside each cluster, code (n,) 0..

    K.-Y. Liang, S. L. Zeger (1986), Biometrika 73, 13-22; by entity, M. Arellano (1987), Oxford Bull. Econ. Stat. 49,
    431-434.
    """
    sums = _sums(S, code)
    return sums.T @ sums


def two_way(S: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(q, q) for rows correlated where they share a cluster of either kind, codes (n,) 0..

    A. C. Cameron, J. B. Gelbach, D. L. Miller (2011), J. Bus. Econ. Stat. 29, 238-249, sec. 2.1.  A difference, so it
    need not be positive semidefinite; see `semidefinite`.
    """
    both = np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)[1]
    return clustered(S, first) + clustered(S, second) - clustered(S, both)


def driscoll_kraay(S: np.ndarray, tick: np.ndarray, lags: int, kernel: str = "bartlett") -> np.ndarray:
    """(q, q) for rows correlated across entities and over time, J. C. Driscoll, A. C. Kraay (1998).

    Rev. Econ. Stat. 80, 549-560.  tick (n,) whole periods; a period without rows counts as a gap.
    """
    periods, code = np.unique(tick, return_inverse=True)
    sums = _sums(S, code)
    meat = sums.T @ sums
    for lag, weight in _lag_weights(kernel, lags, periods):
        earlier = np.minimum(np.searchsorted(periods, periods - lag), periods.size - 1)
        there = periods[earlier] == periods - lag
        cross = sums[there].T @ sums[earlier[there]]
        meat += weight * (cross + cross.T)
    return meat


def newey_west(S: np.ndarray, entity: np.ndarray, tick: np.ndarray, lags: int, kernel: str = "bartlett") -> np.ndarray:
    """(q, q) for rows correlated over time inside each entity, W. K. Newey, K. D. West (1987), eq. 5.

    Econometrica 55, 703-708.  entity (n,) codes, tick (n,) whole periods: lags go by the calendar, gaps are respected.
    """
    periods = int(tick.max()) + 1
    place = entity * 2 * periods + tick  # rows of different entities are never less than a panel apart
    order = np.argsort(place)
    place, S = place[order], S[order]
    meat = S.T @ S
    for lag, weight in _lag_weights(kernel, lags, np.unique(tick)):
        earlier = np.minimum(np.searchsorted(place, place - lag), place.size - 1)
        there = place[earlier] == place - lag
        cross = S[there].T @ S[earlier[there]]
        meat += weight * (cross + cross.T)
    return meat


def _sums(S: np.ndarray, code: np.ndarray) -> np.ndarray:
    """(groups, q) sums of the rows of S."""
    return np.column_stack([np.bincount(code, column) for column in S.T])


# --- kernels ------------------------------------------------------------------------------------------------------


def _bartlett(z: np.ndarray) -> np.ndarray:
    return np.maximum(1 - z, 0)


def _parzen(z: np.ndarray) -> np.ndarray:
    return np.where(z <= 0.5, 1 - 6 * z**2 + 6 * z**3, 2 * np.maximum(1 - z, 0) ** 3)


def _truncated(z: np.ndarray) -> np.ndarray:
    return (z < 1).astype(float)


def _quadratic_spectral(z: np.ndarray) -> np.ndarray:
    x = 6 * np.pi * z / 5
    return 3 / x**2 * (np.sin(x) / x - np.cos(x))


# D. W. K. Andrews (1991), Econometrica 59, 817-858, sec. 2: weights at z = lag / (lags + 1).  ivreg2's bandwidth is
# lags + 1, but lags for its truncated kernel.  All but the quadratic spectral kernel are zero after the last lag.
KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bartlett": _bartlett,
    "parzen": _parzen,
    "truncated": _truncated,
    "quadratic-spectral": _quadratic_spectral,
}


def _lag_weights(kernel: str, lags: int, periods: np.ndarray) -> list[tuple[int, float]]:
    """(lag, weight) of the lags that may occur among `periods`, ascending, and whose weight is not zero."""
    span = int(periods[-1] - periods[0])
    if kernel != "quadratic-spectral":
        lag = np.arange(1, min(lags, span) + 1)
    elif span < 2 * periods.size:
        lag = np.arange(1, span + 1)
    else:  # a calendar of few days, say: not all lags occur
        lag = np.unique(periods[:, None] - periods)
        lag = lag[lag > 0]
    weight = KERNELS[kernel](lag / (lags + 1))
    return [(int(each), float(w)) for each, w in zip(lag, weight, strict=True) if w != 0]


# --- leverage: the hat matrix of all regressors, dummies of the effects included -----------------------------------


@dataclass(frozen=True, eq=False)
class _Hat:
    """H = Z Z' + (v v' where rows share a group): orthogonal projection on effects and W.

    group (n,) codes, v (n,), Z (n, r); only the one kind of effects that has more levels stays out of Z, so that
    many entities take no memory.
    """

    group: np.ndarray
    v: np.ndarray
    Z: np.ndarray

    @property
    def diagonal(self) -> np.ndarray:
        return self.v**2 + (self.Z**2).sum(axis=1)

    def root(self, members: np.ndarray) -> np.ndarray:
        """(m, s) F with F F' = the block of H of these rows."""
        levels, inside = np.unique(self.group[members], return_inverse=True)
        dummies = np.zeros((members.size, levels.size))
        dummies[np.arange(members.size), inside] = self.v[members]
        return np.column_stack([dummies, self.Z[members]])


def _hat(W: np.ndarray, rows: Rows) -> _Hat:
    """The hat matrix of effects and W, which holds its own constant, or what stands for it, where there are none."""
    if not rows.absorbed:
        return _Hat(np.zeros(rows.n, int), np.zeros(rows.n), np.linalg.qr(W / np.linalg.norm(W, axis=0))[0])
    u = np.ones(rows.n) if rows.weight is None else np.sqrt(rows.weight)
    codes = [{"entity": rows.entity, "time": rows.time}[effect] for effect in rows.absorbed]
    codes.sort(key=lambda code: -int(code.max()))
    group = codes[0]
    v = u / np.sqrt(np.bincount(group, u**2))[group]
    Z = np.empty((rows.n, 0))
    if len(codes) == 2:
        Z = _orthonormal_dummies(u, group, codes[1])
    length = np.linalg.norm(W, axis=0)
    net = W / length
    net = net - v[:, None] * _sums(v[:, None] * net, group)[group] - Z @ (Z.T @ net)
    left = np.linalg.norm(net, axis=0)
    net = net[:, left > COLLINEAR] / left[left > COLLINEAR]  # the constant lies in the span of the effects
    return _Hat(group, v, np.column_stack([Z, np.linalg.qr(net)[0]]))


def _orthonormal_dummies(u: np.ndarray, group: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, r) orthonormal basis of the dummies of `other`, times u, net of those of `group`."""
    levels = int(other.max()) + 1
    crossing = np.bincount(group * levels + other, u**2, (int(group.max()) + 1) * levels).reshape(-1, levels)
    share = crossing / crossing.sum(axis=1, keepdims=True)
    value, vector = np.linalg.eigh(np.diag(crossing.sum(axis=0)) - crossing.T @ share)
    found = value > SINGULAR * value.max()
    root = vector[:, found] / np.sqrt(value[found])
    return u[:, None] * (root[other] - (share @ root)[group])


def leverage(W: np.ndarray, rows: Rows) -> np.ndarray:
    """(n,) diagonal of the hat matrix of all regressors, dummies of the effects included."""
    return _hat(W, rows).diagonal


def hc(W: np.ndarray, e: np.ndarray, rows: Rows, power: float) -> np.ndarray:
    """(p, p) with each e_i^2 over (1 - h_i)^power: HC2 for 1, HC3 for 2.

    J. G. MacKinnon, H. White (1985), J. Econom. 29, 305-325; HC3 as R. Davidson, J. G. MacKinnon (1993), "Estimation
    and Inference in Econometrics", sec. 16.3, approximate the jackknife.  A row that its own coefficient fits (h = 1)
    has no residual and adds nothing.
    """
    left = 1 - leverage(W, rows)
    free = left > SINGULAR
    return sandwich(W, white(W[free] * (e[free] / left[free] ** (power / 2))[:, None]))


def bell_mccaffrey(W: np.ndarray, e: np.ndarray, rows: Rows, code: np.ndarray, power: float) -> np.ndarray:
    """(p, p) with the residuals of each cluster times (I - H_gg)^-power: CR2 for 1/2, CR3 for 1.

    R. M. Bell, D. F. McCaffrey (2002), Survey Methodology 28, 169-181, with the pseudo-inverse where a block is
    singular: J. E. Pustejovsky, E. Tipton (2018), J. Bus. Econ. Stat. 36, 672-683.  The working
    model is independent errors of variance 1, of variance 1 / weight under weights.
    """
    adjusted = _adjusted(e[:, None], _hat(W, rows), code, power)
    return sandwich(W, clustered(W * adjusted, code))


def _adjusted(columns: np.ndarray, hat: _Hat, code: np.ndarray, power: float) -> np.ndarray:
    """(n, k) the rows of each cluster times (I - H_gg)^-power."""
    adjusted = np.empty_like(columns)
    for members in _members(code):
        U, s, _ = np.linalg.svd(hat.root(members), full_matrices=False)
        left = 1 - s**2
        gain = np.where(left > SINGULAR, np.maximum(left, SINGULAR) ** -power, 0)
        block = columns[members]
        adjusted[members] = block + U @ ((gain - 1)[:, None] * (U.T @ block))
    return adjusted


def _members(code: np.ndarray) -> list[np.ndarray]:
    """Row numbers of each cluster."""
    return np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])


def satterthwaite(W: np.ndarray, rows: Rows, code: np.ndarray, contrasts: np.ndarray | None = None) -> np.ndarray:
    """(m,) degrees of freedom of t of the contrasts (m, p) of coefficients, the coefficients themselves if None.

    For standard errors by CR2, under the same working model: Bell, McCaffrey (2002); Pustejovsky, Tipton (2018).  NaN
    where CR2 has no variance.
    """
    hat, groups = _hat(W, rows), int(code.max()) + 1
    influence = W @ bread(W) if contrasts is None else W @ bread(W) @ contrasts.T
    inside = sparse.csr_matrix((np.ones(rows.n), (code, np.arange(rows.n))), (groups, rows.n))
    df = []
    for whole, a in zip(influence.T, _adjusted(influence, hat, code, 0.5).T, strict=True):
        length = np.linalg.norm(a)
        if length <= COLLINEAR * np.linalg.norm(whole):  # a constant beside effects nested in the clusters
            df.append(np.nan)
            continue
        a = a / length
        by_group = sparse.csr_matrix((hat.v * a, (code, hat.group)), (groups, int(hat.group.max()) + 1))
        by_column = inside @ (hat.Z * a[:, None])
        # products of the columns (I - H) a_g: as I - H is a projection, those of the a_g less those of their H
        P = np.diag(inside @ a**2) - (by_group @ by_group.T).toarray() - by_column @ by_column.T
        df.append(np.trace(P) ** 2 / (P**2).sum())
    return np.array(df)


def beck_katz(W: np.ndarray, e: np.ndarray, entity: np.ndarray, time: np.ndarray) -> np.ndarray:
    """(p, p) for rows correlated across entities within a period: N. Beck, J. N. Katz (1995), APSR 89, 634-647.

    codes (n,) of a pair that occurs once.  The covariance of two entities is the mean over the periods that have both.
    With entity and time exchanged it is the covariance of two periods, which plm's vcovBK takes by default.
    """
    shape = (int(time.max()) + 1, int(entity.max()) + 1)
    there, E, columns = np.zeros(shape), np.zeros(shape), np.zeros((*shape, W.shape[1]))
    there[time, entity], E[time, entity], columns[time, entity] = 1, e, W
    Omega = E.T @ E / np.maximum(there.T @ there, 1)
    return sandwich(W, np.einsum("tip,tiq->pq", columns, Omega @ columns))


def semidefinite(V: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, bool]:
    """V (p, p) with its negative eigenvalues set to zero, and whether there were any.

    Cameron, Gelbach, Miller (2011).  Whether there are any is decided on columns of W of unit length, for
    that is the same in all units; the eigenvalues are those of V as it stands, as reghdfe and fixest take them, so
    that what is set to zero depends on the units of the columns.
    """
    length = np.linalg.norm(W, axis=0)
    value = np.linalg.eigvalsh(V * np.outer(length, length))
    if value[0] >= -SINGULAR * value[-1]:
        return V, False
    value, vector = np.linalg.eigh(V)
    return (vector * np.maximum(value, 0)) @ vector.T, True


def in_one_cluster(W: np.ndarray, code: np.ndarray) -> np.ndarray:
    """(p,) mask of the columns that are zero outside one cluster.

    Their products with the residuals sum to zero there, so that the formula has nothing to estimate an error from.
    """
    squares = _sums(W**2, code)
    return squares.sum(axis=0) - squares.max(axis=0) <= COLLINEAR**2 * squares.sum(axis=0)


# --- small samples, program by program ----------------------------------------------------------------------------
# slopes: coefficients without the constant; rank: coefficients that all effects take up, the constant included;
# levels: effect ("entity", "time") -> its levels, empty for pooled least squares; nested: effect -> does every level
# lie in one cluster?  Nested effects are not counted, for each cluster then has residuals that sum to zero.


def cluster_factor(n: int, groups: int, K: int) -> float:
    """G / (G - 1) * (n - 1) / (n - K)."""
    return groups / (groups - 1) * (n - 1) / (n - K)


Count = Callable[[int, int, Mapping[str, int], Mapping[str, bool]], int]


def _count_all(slopes: int, rank: int, levels: Mapping[str, int], nested: Mapping[str, bool]) -> int:
    """Every effect."""
    return slopes + rank


def _count_xtreg(slopes: int, rank: int, levels: Mapping[str, int], nested: Mapping[str, bool]) -> int:
    """Entity effects are swept out and not counted; time effects are dummies among the regressors, so they are."""
    return slopes + rank - (levels["entity"] - 1 if "entity" in levels else 0)


def _count_reghdfe(slopes: int, rank: int, levels: Mapping[str, int], nested: Mapping[str, bool]) -> int:
    """Whatever is nested is not counted; a panel in c unconnected parts has n + t - c effects."""
    if any(nested.values()):
        return slopes + 1 + sum(count - 1 for effect, count in levels.items() if not nested[effect])
    return slopes + rank


def _count_fixest(slopes: int, rank: int, levels: Mapping[str, int], nested: Mapping[str, bool]) -> int:
    """As reghdfe, but always n + t - 1 effects."""
    return slopes + 1 + sum(count - 1 for effect, count in levels.items() if not nested[effect])


def _count_plm(slopes: int, rank: int, levels: Mapping[str, int], nested: Mapping[str, bool]) -> int:
    """The columns of the transformed regression: no effects, and a constant only where it has one (rank 1, not 0)."""
    return slopes + (0 if levels else rank)


def _lags_of_1994(periods: int) -> int:
    """W. K. Newey, K. D. West (1994), Rev. Econ. Stud. 61, 631-653, without the data: 4 (T / 100)^(2/9), as xtscc."""
    return int(4 * (periods / 100) ** (2 / 9))


def _lags_fourth_root(periods: int) -> int:
    """T^(1/4), as plm and fixest."""
    return int(periods**0.25)


@dataclass(frozen=True)
class Preset:
    """What a program does with small samples; `inference.covariance_of` has the table of factors.

    Parameters
    ----------
    count : function of (slopes, rank, levels, nested) to int
        K of the factor for clusters.
    drops_singletons : bool
        Rows alone in their entity or period are left out before estimation, whatever the covariance.
    needs_nesting : bool
        Every entity has to lie in one cluster, else the program refuses.
    meaning : str
        One line for the notes.
    corrects : bool
        Whether clusters, periods and lags have a factor at all.
    df_of_clusters : bool
        t has clusters (or periods) less one degrees of freedom, else n - K.
    count_two_way : function like `count`, or None
        K where clusters are of two kinds, if it is another.
    count_periods : function like `count`
        K of the factor for Driscoll-Kraay.
    lags_as_periods : bool
        Newey-West has the factor of Driscoll-Kraay, else n / (n - K).
    repairs : bool
        Whether negative eigenvalues of a two-way covariance become zero.
    default_lags : function of periods to int
        Lags where none are given.
    """

    count: Count
    drops_singletons: bool
    needs_nesting: bool
    meaning: str
    corrects: bool = True
    df_of_clusters: bool = True
    count_two_way: Count | None = None
    count_periods: Count = _count_all
    lags_as_periods: bool = False
    repairs: bool = False
    default_lags: Callable[[int], int] = _lags_of_1994


# These agree for clusters where entities are nested in them, no row is a singleton and the panel is connected.
PRESETS = {
    "stata": Preset(
        _count_xtreg,
        False,
        True,
        "xtreg, fe: nested entity effects not counted",
        count_two_way=_count_reghdfe,
        repairs=True,
        count_periods=_count_xtreg,
    ),
    "reghdfe": Preset(
        _count_reghdfe, True, False, "reghdfe: nested effects not counted, singletons dropped", repairs=True
    ),
    "fixest": Preset(
        _count_fixest,
        False,
        False,
        "fixest: nested effects not counted",
        lags_as_periods=True,
        repairs=True,
        default_lags=_lags_fourth_root,
    ),
    "ivreg2": Preset(_count_reghdfe, False, False, "ivreg2, xtivreg2: nested effects not counted"),
}

# plm's own: standard errors without a factor, or with "sss", which leaves all effects out of K.
CONVENTIONS = PRESETS | {
    "plm": Preset(
        _count_plm,
        False,
        False,
        "plm, type HC0: no factor",
        corrects=False,
        df_of_clusters=False,
        default_lags=_lags_fourth_root,
    ),
    "plm-sss": Preset(
        _count_plm,
        False,
        False,
        "plm, type sss: no effects counted",
        df_of_clusters=False,
        count_periods=_count_plm,
        default_lags=_lags_fourth_root,
    ),
}
