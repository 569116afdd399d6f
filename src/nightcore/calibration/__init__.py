"""Intercalibration: every satellite-year brought to one scale.  One file a method; METHODS is found from the folder."""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from nightcore.calibration._method import Calibration, Method, load
from nightcore.calibration.fit import fit_calibration
from nightcore.errors import UsageError

__all__ = ["FITTED", "METHODS", "Calibration", "Method", "calibration", "fit_calibration"]

_modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
_found = {module.METHOD.name: module.METHOD for module in _modules if hasattr(module, "METHOD")}

# methods whose coefficients are known, and methods that have to be fitted
METHODS: dict[str, Method] = {name: method for name, method in _found.items() if method.coefficients}
FITTED: dict[str, Method] = {name: method for name, method in _found.items() if not method.coefficients}


def calibration(method: str | Path, clip: tuple[float, float] | None = None) -> Calibration:
    """A published calibration by name, or a fitted one from the file that `Calibration.save` wrote.

    Parameters
    ----------
    method : str or path
        One of METHODS; "raw" leaves DN as they are.
    clip : (low, high), optional
        Range of calibrated DN instead of the method's own; high may be inf. DN 0 stays 0.

    Raises
    ------
    UsageError
        Neither a known name nor a file.
    BadInputError, IntegrityError
        The file is not a calibration, or was edited.
    """
    if not isinstance(method, str | os.PathLike):
        raise UsageError(f"the calibration is a {type(method).__name__}: expected the name of a method or a file.")
    if method in METHODS:
        found = Calibration(METHODS[method], METHODS[method].coefficients, METHODS[method].clip)
    elif isinstance(method, Path) or Path(method).is_file() or os.fspath(method).endswith(".csv"):
        found = load(method, _found)
    elif method in FITTED:
        raise UsageError(
            f"{method} has no published coefficients: fit them with fit_calibration (nightcore calibrate), save them, "
            f"and give the file."
        )
    else:
        near = get_close_matches(method, METHODS, 3, 0.4) or METHODS
        raise UsageError(
            f"there is no calibration '{method}' and no such file: expected a method ({', '.join(near)}) or a file "
            f"written by fit_calibration."
        )
    return found if clip is None else replace(found, clip=clip)
