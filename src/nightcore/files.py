"""Files that appear whole or not at all, and names that nobody else uses while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def beside(path: Path, purpose: str) -> Path:
    """A hidden name beside `path`, reserved for us, so that nothing of a user's is ever taken for a leftover."""
    return path.with_name(f".{path.name}.nightcore-{purpose}")


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A draft to write to; it takes its name when the block ends well and is removed otherwise."""
    path = Path(path)
    draft = beside(path, f"{os.getpid()}-draft")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
