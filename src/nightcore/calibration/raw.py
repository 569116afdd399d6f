"""No calibration: DN as they are, for every composite.

A baseline to compare methods with.  Composites of different satellites are not comparable.
"""

from __future__ import annotations

import numpy as np

from nightcore.calibration._method import Method
from nightcore.sensors import DMSP_OLS, SATURATED


def identity(dn: np.ndarray) -> np.ndarray:
    return dn


METHOD = Method(
    name="raw",
    title="DN as they are, not comparable between satellites",
    citation="no calibration",
    doi="",
    equation="DN' = DN",
    formula=identity,
    columns=(),
    coefficients=dict.fromkeys(DMSP_OLS.composites, ()),
    clip=(0, SATURATED),
    checkpoints=(("F101992", 1, 1.0), ("F152005", 30, 30.0), ("F182013", 63, 63.0)),
)
