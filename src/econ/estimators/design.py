"""What covariances, tests and bootstraps have to know of a regression beside its coefficients: who stands in which row.

Effects are taken out of the columns (`within.absorb`) before any of these functions sees them, so that a regression
is the arrays W and e of `covariance.py`, and the rows described here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from econ.estimators.instruments import Errors


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a regression.

    Parameters
    ----------
    names : tuple of str, 2
        What the entity and the time are called, for messages.
    entity, time : (n,) int
        Dense codes 0.. of the entity and of the time; no pair occurs twice.
    tick : (n,) int
        Whole periods since the first one; unlike `time` it keeps the gaps, so lags count in it.
    absorbed : tuple of str
        Effects that are taken out: "entity", "time", both or none.
    rank : int
        Coefficients that the effects take up, the constant included: 1 where there are none, groups where there is
        one, n + t - 1 for both in a connected panel.
    weight : (n,) float or None
        Analytic weights, scaled to sum to n.  Columns and residuals come multiplied by their square roots.
    clusters : tuple of (str, (n,) int)
        Name and dense codes of each way of clustering.
    """

    names: tuple[str, str]
    entity: np.ndarray
    time: np.ndarray
    tick: np.ndarray
    absorbed: tuple[str, ...] = ()
    rank: int = 1
    weight: np.ndarray | None = None
    clusters: tuple[tuple[str, np.ndarray], ...] = field(default=())

    @property
    def n(self) -> int:
        return self.entity.size


@dataclass(frozen=True, eq=False)
class Design:
    """What was estimated on which rows, kept by an `Estimate` for the tests and tables that come after it.

    Parameters
    ----------
    y : (n,) float
        Dependent variable as it stands in the table, but its changes in first differences, and means between.
    X : (n, k) float
        Regressors of `names`, likewise, without the constant; endogenous ones after the exogenous.
    names : tuple of str, (k,)
    residuals : (n,) float
        y less everything that the model explains, its effects included.
    rows : Rows
    keys : mapping of str to Index
        Entity and time: name -> levels that the codes of `rows` count in.
    Z : (n, l) float or None
        Excluded instruments of `instruments`.
    instruments : tuple of str, (l,)
    endogenous : int
        How many of the last columns of X are endogenous.
    errors : Errors or None
        What tests with instruments allow of the errors.
    levels : bool
        Whether y and X are as in the table, not changes or means.
    """

    y: np.ndarray
    X: np.ndarray
    names: tuple[str, ...]
    residuals: np.ndarray
    rows: Rows
    keys: Mapping[str, pd.Index]
    Z: np.ndarray | None = None
    instruments: tuple[str, ...] = ()
    endogenous: int = 0
    errors: Errors | None = None
    levels: bool = True
