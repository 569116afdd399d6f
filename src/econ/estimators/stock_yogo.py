"""Critical values of weak-instrument tests of J. Stock and M. Yogo.

J. Stock, M. Yogo (2005), "Testing for weak instruments in linear IV regression", in D. Andrews, J. Stock (eds.),
"Identification and Inference for Econometric Models", 80-108, tables 5.1-5.4, with the rows up to 100
instruments that Stata's ivreg2 has.  To be compared with the Cragg-Donald F; valid for iid errors.  The R package cragg
transcribes the tables for 2SLS by itself: of its 560 values one differs (bias 5 %, 1 and 24: 21.42, here 21.41).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from econ.errors import UsageError

LEVELS = {  # table -> what is tolerated: the bias relative to least squares, or the true size of a test at 5 %
    "bias": (0.05, 0.10, 0.20, 0.30),
    "size": (0.10, 0.15, 0.20, 0.25),
    "liml_size": (0.10, 0.15, 0.20, 0.25),
    "fuller_bias": (0.05, 0.10, 0.20, 0.30),
    "fuller_maximum_bias": (0.05, 0.10, 0.20, 0.30),
}


@cache
def _tables() -> dict[tuple[str, int, int], tuple[float, ...]]:
    """(table, k2, l2) -> a value for each of the table's levels."""
    lines = files("econ").joinpath("data", "stock_yogo.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split(",") for line in lines)
    return {(table, int(k2), int(l2)): tuple(map(float, values)) for table, k2, l2, *values in rows}


def critical_value(k2: int, l2: int, table: str, level: float) -> float | None:
    """Critical value at the level of 5 % for k2 endogenous regressors and l2 instruments; None where there is none.

    `table` is a key of `LEVELS`: "bias" and "size" are of 2SLS, the others of LIML and of Fuller's estimator with 1.
    """
    if table not in LEVELS or level not in LEVELS[table]:
        known = ", ".join(f"{name} {levels}" for name, levels in LEVELS.items())
        raise UsageError(f"Stock and Yogo have no table {table!r} at {level}: choose among {known}.")
    values = _tables().get((table, k2, l2))
    return None if values is None else values[LEVELS[table].index(level)]


def cell(k2: int, l2: int, table: str, level: float) -> str:
    """The critical value in print, or why there is none."""
    value = critical_value(k2, l2, table, level)
    if value is not None:
        return f"{value:.2f}"
    most, spare = (3, 2) if table == "bias" else (2, 0)
    if k2 > most:
        return f"none: tabulated up to {most} endogenous regressors, here {k2}"
    if l2 > 100:
        return f"none: tabulated up to 100 instruments, here {l2}"
    return f"none: needs at least {k2 + spare} instruments for {k2} endogenous regressors, here {l2}"
