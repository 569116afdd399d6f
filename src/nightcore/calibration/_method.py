"""What a calibration method is, and what it becomes with coefficients: one curve of 256 values for every composite.

What holds for every method is said once, in `Calibration.curve`: 0 stays dark, 255 is missing, 64..254 mean nothing,
no light is negative.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.errors import BadInputError, IntegrityError, MissingCoefficientsError, UsageError
from nightcore.files import whole_file
from nightcore.sensors import SATURATED

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1  # of the files that `Calibration.save` writes


def quadratic(dn: np.ndarray, c0: float, c1: float, c2: float) -> np.ndarray:
    """DN' = c0 + c1 DN + c2 DN^2, the form that most methods share."""
    return c0 + c1 * dn + c2 * dn**2


@dataclass(frozen=True)
class Method:
    """A published way to make composites comparable; one file of this folder each.

    Parameters
    ----------
    name : str
        Name of the file, and what users write.
    title : str
        What it does, in a few words.
    citation, doi : str
        The paper, and the table that the coefficients are from.
    equation : str
        The formula as the paper prints it.
    formula : callable
        (dn float64, *coefficients) -> calibrated DN, elementwise.
    columns : tuple of str
        Names of the coefficients, in the paper's letters.
    coefficients : mapping of composite to tuple of float
        Empty where the paper prints none: the method has to be fitted.
    clip : (low, high), optional
        Range of calibrated DN; None leaves it open above.
    checkpoints : tuple of (composite, DN, DN')
        Values worked by hand from the printed table, before clipping.
    notes : mapping of composite to str
        What a user should know about single rows.
    """

    name: str
    title: str
    citation: str
    doi: str
    equation: str
    formula: Callable[..., np.ndarray] = field(repr=False)
    columns: tuple[str, ...]
    coefficients: Mapping[str, tuple[float, ...]] = field(repr=False)
    clip: tuple[float, float] | None = None
    checkpoints: tuple[tuple[str, int, float], ...] = field(default=(), repr=False)
    notes: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Calibration:
    """A method with coefficients, published or fitted.

    Attributes
    ----------
    method : Method
    coefficients : mapping of composite to tuple of float
    clip : (low, high) or None
        Range of calibrated DN.
    report : DataFrame or None
        For fitted ones, one row a composite: how the fit went.
    origin : mapping
        For fitted ones, what it was fitted to and how.
    """

    method: Method
    coefficients: Mapping[str, tuple[float, ...]] = field(repr=False)
    clip: tuple[float, float] | None = None
    report: pd.DataFrame | None = field(default=None, repr=False, compare=False)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for composite, values in self.coefficients.items():
            if len(values) != len(self.method.columns) or not all(map(math.isfinite, values)):
                raise BadInputError(
                    f"{composite} has coefficients {values}: {self.name} expects {len(self.method.columns)} finite "
                    f"numbers ({', '.join(self.method.columns)})."
                )
        if self.clip is not None:
            check_clip(self.clip)

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def citation(self) -> str:
        return f"{self.method.citation}, doi:{self.method.doi}" if self.method.doi else self.method.citation

    @property
    def composites(self) -> tuple[str, ...]:
        return tuple(self.coefficients)

    def __contains__(self, composite: object) -> bool:
        # without coefficients in its formula a method, the identity, is the same for every composite
        return composite in self.coefficients or not self.method.columns

    def curve(self, composite: str) -> np.ndarray:
        """(256,) float64 calibrated DN of every DN: [0] = 0, [64:] = NaN, never below 0.

        Raises
        ------
        MissingCoefficientsError
            The composite has no coefficients; it is never used uncalibrated.
        """
        if composite not in self:
            raise MissingCoefficientsError(
                f"{self.name} has no coefficients for {composite}: expected one of {', '.join(self.composites)}; "
                f"leave it out, or fit it with fit_calibration."
            )
        low, high = self.clip or (0.0, math.inf)
        lit = np.arange(1.0, SATURATED + 1)
        curve = np.full(256, np.nan)
        curve[0] = 0.0
        # DN are float64 here: powers of uint8 wrap around from DN 16 up
        curve[1 : SATURATED + 1] = np.clip(self.method.formula(lit, *self.coefficients.get(composite, ())), low, high)
        return curve

    def curves(self, composites: Sequence[str]) -> np.ndarray:
        """(composite, 256) float64 curves in the order asked for; see `curve`."""
        return np.stack([self.curve(composite) for composite in composites])

    def table(self) -> pd.DataFrame:
        """Coefficients, one row a composite: composite, the method's columns, and a note where a row has one."""
        import pandas as pd

        rows = [(composite, *values) for composite, values in self.coefficients.items()]
        frame = pd.DataFrame(rows, columns=["composite", *self.method.columns])
        if self.method.notes:
            frame["note"] = frame["composite"].map(self.method.notes).fillna("")
        return frame

    @property
    def hash(self) -> str:
        """SHA-256 that changes with any coefficient, the formula or the clipping."""
        content = {
            "equation": self.method.equation,
            "coefficients": {name: list(map(float, values)) for name, values in self.coefficients.items()},
            "clip": None if self.clip is None else list(map(float, self.clip)),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def provenance(self) -> dict[str, Any]:
        """What has to be known to repeat it, in JSON's types."""
        return {
            "name": self.name,
            "citation": self.citation,
            "equation": self.method.equation,
            "clip": None if self.clip is None else [str(bound) if math.isinf(bound) else bound for bound in self.clip],
            "composites": len(self.coefficients),
            "sha256": self.hash,
            **({"fitted": dict(self.origin)} if self.origin else {}),
        }

    def save(self, path: str | Path) -> None:
        """Write a CSV that `nightcore.calibration(path)` reads: a line of JSON that starts with '# ', then the table
        of coefficients, to the last bit, and the report of the fit."""
        frame = self.table()
        if self.report is not None:
            frame = frame.merge(self.report.drop(columns=list(self.method.columns)), on="composite", validate="1:1")
        header = {"nightcore_calibration": FORMAT, **self.provenance()}
        text = frame.to_csv(index=False, lineterminator="\n", na_rep="nan")  # floats are written to the last bit
        with whole_file(check_file_path(path)) as draft:
            draft.write_text(f"# {json.dumps(header, sort_keys=True)}\n{text}", encoding="utf-8")


def check_file_path(path: str | os.PathLike) -> Path:
    """Refuse a name under which no calibration can be written."""
    path = Path(path)
    if path.suffix != ".csv":
        raise UsageError(f"{path} ends in '{path.suffix}': calibrations are written as .csv.")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"lies in a folder that does not exist ({path.parent})"
        raise BadInputError(f"{path} {what}: choose another name.")
    return path


def check_clip(clip: tuple[float, float]) -> None:
    """Refuse a range that would make lights negative, or all the same."""
    try:
        low, high = map(float, clip)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not 0 <= low < high:
        raise UsageError(f"clip={clip!r} is not possible: expected (low, high) in DN with 0 <= low < high.")


def parsed(text: str) -> int | float | bool | str:
    """What a cell of a report was; pandas' own parser may lose the last bit of a float."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"True": True, "False": False}.get(text, text)


def load(path: str | os.PathLike, methods: Mapping[str, Method]) -> Calibration:
    """Read what `Calibration.save` wrote.

    Raises
    ------
    BadInputError
        Not such a file, or of a method that is not in `methods`.
    IntegrityError
        The coefficients were edited after they were written.
    """
    import pandas as pd

    try:
        first, _, rest = Path(path).read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the calibration {path} cannot be read ({error}): check the path.") from error
    try:
        header = json.loads(first.removeprefix("# "))
        version, name, digest = header["nightcore_calibration"], header["name"], header["sha256"]
        clip = None if header["clip"] is None else tuple(map(float, header["clip"]))
        frame = pd.read_csv(StringIO(rest), dtype=str, keep_default_na=False)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{path} is not a calibration written by nightcore: expected a first line '# {{...}}' of JSON and a table "
            f"of coefficients ({type(error).__name__}: {error}); write it with Calibration.save."
        ) from error
    if version != FORMAT or name not in methods:
        raise BadInputError(
            f"{path} holds the method '{name}' in format {version}, this nightcore reads format {FORMAT} of "
            f"{', '.join(methods)}: use the nightcore that wrote it."
        )
    method = methods[name]
    absent = [column for column in ("composite", *method.columns) if column not in frame]
    if absent or frame["composite"].duplicated().any():
        what = f"lacks the column {', '.join(absent)}" if absent else "names a composite twice"
        raise BadInputError(f"{path} {what}: {name} expects one row a composite with {', '.join(method.columns)}.")
    try:
        values = [tuple(map(float, row)) for row in frame[list(method.columns)].to_numpy()]
    except ValueError as error:
        raise BadInputError(f"{path} has a coefficient that is not a number ({error}): correct it.") from error
    coefficients = dict(zip(frame["composite"], values, strict=True))
    fitted = header.get("fitted", {})
    found = Calibration(method, coefficients, clip, frame.map(parsed) if fitted else None, fitted)
    if found.hash != digest:
        raise IntegrityError(
            f"the coefficients in {path} are not those that were written, their hash differs: take the original file, "
            f"or fit again."
        )
    return found
