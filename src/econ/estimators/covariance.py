"""Covariances of least-squares coefficients, with the small-sample factor of a named program.

Arrays in, arrays out: W (n, p) regressors of full column rank, e (n,) residuals, K the coefficients that the factor
counts.  W is net of absorbed effects, which enter through K alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


def _bread(W: np.ndarray) -> np.ndarray:
    """(p, p) inverse of W'W, by the QR of columns of unit length so that units do not matter."""
    length = np.linalg.norm(W, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(W / length, mode="r"))
    return inverse @ inverse.T / np.outer(length, length)


def classical(W: np.ndarray, e: np.ndarray, K: int) -> np.ndarray:
    """(p, p) for errors of one variance: (W'W)^-1 e'e / (n - K)."""
    return _bread(W) * (e @ e) / (e.size - K)


def hc1(W: np.ndarray, e: np.ndarray, K: int) -> np.ndarray:
    """(p, p) for errors of any variance: H. White (1980), Econometrica 48, 817-838, times n / (n - K).

    J. G. MacKinnon, H. White (1985), J. Econom. 29, 305-325, eq. 10: what Stata's `areg, vce(robust)` reports;
    `xtreg, fe vce(robust)` clusters by entity instead.
    """
    bread = _bread(W)
    scores = W * e[:, None]
    return e.size / (e.size - K) * bread @ (scores.T @ scores) @ bread


def cluster(W: np.ndarray, e: np.ndarray, code: np.ndarray, factor: float) -> np.ndarray:
    """(p, p) for errors correlated at will inside each cluster (CR1).

    K.-Y. Liang, S. L. Zeger (1986), Biometrika 73, 13-22; `code` (n,) 0.. and `factor` from `cluster_factor`.
    """
    bread = _bread(W)
    scores = np.column_stack([np.bincount(code, column) for column in (W * e[:, None]).T])
    return factor * bread @ (scores.T @ scores) @ bread


def cluster_factor(n: int, groups: int, K: int) -> float:
    """G / (G - 1) * (n - 1) / (n - K)."""
    return groups / (groups - 1) * (n - 1) / (n - K)


COVARIANCES = {
    "classical": "classical",
    "hc1": "robust to heteroskedasticity (HC1)",
    "cluster": "clustered (CR1)",
}


# --- K of the clustered covariance --------------------------------------------------------------------------------
# slopes: coefficients without the constant; rank: coefficients that all effects take up, the constant included;
# levels: effect ("entity", "time") -> its levels, empty for pooled least squares; nested: effect -> does every level
# lie in one cluster?  Nested effects are not counted, for each cluster then has residuals that sum to zero.


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


@dataclass(frozen=True)
class Preset:
    """How a program treats fixed effects beside clusters.

    Parameters
    ----------
    count : function of (slopes, rank, levels, nested) to int
        K of the small-sample factor.
    drops_singletons : bool
        Rows alone in their entity or period are left out before estimation, whatever the covariance.
    needs_nesting : bool
        Every entity has to lie in one cluster, else the program refuses.
    meaning : str
        One line for the notes.
    """

    count: Callable[[int, int, Mapping[str, int], Mapping[str, bool]], int]
    drops_singletons: bool
    needs_nesting: bool
    meaning: str


# The three agree where entities are nested in the clusters, no row is a singleton and the panel is connected.
PRESETS = {
    "stata": Preset(_count_xtreg, False, True, "xtreg, fe: nested entity effects not counted"),
    "reghdfe": Preset(_count_reghdfe, True, False, "reghdfe: nested effects not counted, singletons dropped"),
    "fixest": Preset(_count_fixest, False, False, "fixest: nested effects not counted"),
}
