"""Numerics on NumPy blocks: each kernel with its NumPy reference beside it.

Importing this package brings in numba, so the rest of nightcore imports it where it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba


@cache
def sources_stamp() -> str:
    """SHA-256 of all kernels' source files."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def kernel(function: Callable[..., Any] | None = None, *, reorder: bool = False) -> Callable[..., Any]:
    """Compile a serial function that lets go of the GIL, and keep the machine code on disk where that is possible.

    Threads come from outside.  The numpy error model makes 1/0 an inf, as it is with NUMBA_DISABLE_JIT=1.  With
    `reorder` floats may be added in any order, and thus in vectors: only where all their sums are exact.
    """
    if function is None:
        return partial(kernel, reorder=reorder)
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc"} if reorder else False}
    try:
        compiled = numba.njit(cache=True, **options)(function)
        # numba looks only at the file of the function itself; a kernel that has another file's kernel inlined would
        # go on with the old one after an edit or an upgrade, so every cache entry is tied to all of them
        compiled._cache._cache_file._source_stamp = sources_stamp()
    except (RuntimeError, AttributeError):
        # RuntimeError: no cache folder can be written; AttributeError: the stamp cannot be set, or the JIT is off
        return numba.njit(**options)(function)
    return compiled
