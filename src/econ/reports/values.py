"""Values of the form: numbers as they were printed, counts, words, each refused in one sentence where it is none."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from econ.errors import BadInputError
from econ.reports.intervals import Interval, rounded

LARGEST = 1e100  # so that squares of printed numbers, and quotients of these, do not overflow

NUMBER = re.compile(r"([<>]?)([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)([*†‡§#+]*)")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?\D*")


@dataclass(frozen=True)
class Printed:
    """A number as it was printed: its text, what the text says, all that it can stand for, and the marks behind it."""

    text: str
    value: float
    range: Interval
    unit: float  # worth of the last printed place; 0 where only a bound was printed
    marks: str = ""

    def __str__(self) -> str:
        return self.text


def printed(value: Any, where: str, decimals: int | None = None, bound: bool = False) -> Printed:
    """A number from "0.290", "-3.425**", "(1.2)", 39, {value = 0.29, decimals = 3}, and "<0.01" where bounds may be.

    Raises
    ------
    BadInputError
        Text that is no number; a float without its decimals; NaN or infinity.
    """
    if isinstance(value, Mapping):
        known(value, ("value", "decimals"), where)
        if not isinstance(value.get("value"), int | float) or "decimals" not in value:
            raise BadInputError(f"{where} is {dict(value)!r}: expected a number and its decimals, or write it as text.")
        return printed(value["value"], where, count(value["decimals"], f"decimals of {where}"), bound)
    if isinstance(value, float) and math.isfinite(value) and decimals is None:
        raise BadInputError(
            f"{where} is the float {value!r}, which does not tell how many decimals were printed: write it as text, "
            f'"{value!r}", or as {{value = {value!r}, decimals = ...}}.'
        )
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadInputError(f'{where} is {value!r}: expected a number as it was printed, such as "0.290".')
    text = value if isinstance(value, str) else f"{value:.{decimals or 0}f}"
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).replace("−", "-").replace("–", "-")
    plain = plain[1:-1] if plain[:1] + plain[-1:] in ("()", "[]") else plain
    plain = plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain
    # a mark may follow the bracket, as in "(2.1)**"
    bracketed = re.fullmatch(r"[(\[](.*)[)\]]([*†‡§#+]+)", plain)
    found = NUMBER.fullmatch(bracketed[1] + bracketed[2] if bracketed else plain)
    if not found or (found[1] and not bound):
        raise BadInputError(
            f'{where} is {text!r}: expected a number as it was printed, such as "0.290" or "-3.425**", with a point '
            f"for decimals."
        )
    exact = Decimal(found[2])
    number = float(exact)
    if found[1]:
        return Printed(text.strip(), number, Interval(0.0, number) if found[1] == "<" else Interval(number, 1.0), 0.0)
    unit = float(Decimal(1).scaleb(exact.as_tuple().exponent))
    if not (abs(number) <= LARGEST and 1 / LARGEST <= unit <= LARGEST):
        raise BadInputError(f"{where} is {text!r}: expected a number and a last place within 1e-100 and 1e100.")
    shown = text.strip()
    return Printed(shown.rstrip(found[3]) if found[3] else shown, number, rounded(number, unit), unit, found[3])


def probability(value: Any, where: str) -> Printed:
    found = printed(value, where, bound=True)
    if found.value < 0 or found.value > 1:
        raise BadInputError(f"{where} is {found}: expected a p-value from 0 to 1.")
    return found


def count(value: Any, where: str) -> int:
    """A whole number, not negative: 364, "364" or "1,092"."""
    if isinstance(value, str) and re.fullmatch(r"\d+|\d{1,3}(,\d{3})+", value.strip()):
        return int(value.replace(",", ""))
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInputError(f"{where} is {value!r}: expected a whole number that is not negative.")
    return value


def positive(value: Any, where: str) -> int:
    number = count(value, where)
    if number == 0:
        raise BadInputError(f"{where} is 0: expected a whole number above 0.")
    return number


def text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInputError(f"{where} is {value!r}: expected text.")
    return value.strip()


def flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadInputError(f"{where} is {value!r}: expected true or false.")
    return value


def names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise BadInputError(f"{where} is {value!r}: expected a list of names.")
    return tuple(text(name, where) for name in value)


def one_of(*choices: str) -> Callable[[Any, str], str]:
    def read(value: Any, where: str) -> str:
        if value not in choices:
            near = get_close_matches(str(value), choices, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "name one of these."
            raise BadInputError(f"{where} is {value!r}: expected one of {', '.join(choices)}: {hint}")
        return value

    return read


def bounds(value: Any, where: str) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise BadInputError(f'{where} is {value!r}: expected the lower and the upper bound, such as ["0.02", "0.03"].')
    low, high = (printed(v, where, decimals=0).value if not isinstance(v, float) else v for v in value)
    if not low < high:
        raise BadInputError(f"{where} goes from {low:g} to {high:g}: expected the lower bound first.")
    return low, high


def section(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInputError(f"{where} is {value!r}: expected a table of keys and values.")
    return value


def sections(value: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list | tuple):
        raise BadInputError(f"{where} is {type(value).__name__}: expected a list, [[{where}]] in TOML.")
    return [section(one, f"{where} {i}") for i, one in enumerate(value, 1)]


def known(given: Mapping[str, Any], keys: Any, where: str) -> None:
    """Refuse a key that the form does not have, with the nearest that it has."""
    for key in given:
        if key not in keys:
            near = get_close_matches(str(key), list(keys), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"its keys are {', '.join(keys)}."
            raise BadInputError(f"{where} has no key {key!r}: {hint}")


def plain_marks(marks: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", marks))
