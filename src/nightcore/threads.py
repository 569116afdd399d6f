"""How many threads work beside each other."""

import os

from nightcore.errors import UsageError


def thread_count(threads: int | None) -> int:
    """The number asked for, or one for each processor that this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise UsageError(f"threads is {threads}: expected 1 or more.")
    return threads
