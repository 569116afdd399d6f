"""What a user can put right.  Every message says what was found, what was expected, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pandas import DataFrame


class EconError(Exception):
    """Base of all errors that are not bugs; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 3


class UsageError(EconError):
    """The call itself is wrong: an unknown option, or options that contradict each other."""

    exit_code = 2


class BadInputError(EconError):
    """A table or a number in it is not what it should be."""

    exit_code = 3


class MissingColumnError(BadInputError):
    """A column that was named is not in the table."""


class DuplicateError(BadInputError):
    """Rows that share a key that has to be unique; `offenders` is a DataFrame of them all, `row` counting from 1."""

    def __init__(self, message: str, offenders: DataFrame):
        super().__init__(message)
        self.offenders = offenders


class EstimationError(BadInputError):
    """The data cannot carry the model: nothing varies, or too few rows."""


class ResourceError(EconError):
    """Disk or memory is short."""

    exit_code = 5
