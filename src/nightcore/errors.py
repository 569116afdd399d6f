"""What a user can put right.  Every message says what was found, what was expected, and what to do next."""

from typing import ClassVar


class NightcoreError(Exception):
    """Base of all errors that are not bugs; `exit_code` is what the command line returns (docs/exit-codes.md)."""

    exit_code: ClassVar[int] = 3


class UsageError(NightcoreError):
    """The call itself is wrong: an unknown option, or options that contradict each other."""

    exit_code = 2


class BadInputError(NightcoreError):
    """A file, table or polygon is not what it should be."""

    exit_code = 3


class MissingCompositesError(BadInputError):
    """Some of the composites that were expected are not among the sources."""


class MissingCoefficientsError(BadInputError):
    """A calibration knows nothing about a composite; it is never used uncalibrated."""


class IntegrityError(NightcoreError):
    """Bytes are not what was written: truncated, flipped, missing or edited."""

    exit_code = 4


class ResourceError(NightcoreError):
    """Disk or memory is short."""

    exit_code = 5


class InterruptedRunError(NightcoreError):
    """Stopped by a signal; the same command continues or starts cleanly."""

    exit_code = 7
