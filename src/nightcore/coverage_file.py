"""Coverages in files: a .npz of plain arrays, so that polygons are laid on a grid once.

What was written is read back to the bit, and the same coverage gives the same bytes. Nothing in it is ever executed.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nightcore.errors import BadInputError, IntegrityError, UsageError
from nightcore.files import whole_file
from nightcore.grid import Grid
from nightcore.zones import HASHED, RULES, Coverage, Edges, Runs

FORMAT = 1
RUNS, EDGES = ("row", "start", "stop", "zone"), ("row", "column", "zone", "weight")


def save_coverage(coverage: Coverage, path: str | Path) -> None:
    """Write a coverage to a .npz, whole or not at all.

    Raises
    ------
    BadInputError
        Ids or kept columns are of a kind that cannot be saved.
    UsageError
        The name ends in something else.
    """
    import pyarrow as pa

    path = check_coverage_path(path)
    odd = next((id for id in coverage.ids if not isinstance(id, str | int | float)), None)
    if odd is not None:
        raise BadInputError(
            f"{path.name} cannot hold the zone id {odd!r} of type {type(odd).__name__}: use text or numbers."
        )
    table = io.BytesIO()
    try:
        coverage.attributes.to_parquet(table)
    except (pa.ArrowException, ValueError) as error:
        raise BadInputError(f"{path.name} cannot hold the kept columns ({error}): keep text or numbers.") from error
    about = {
        "format": FORMAT,
        "rule": coverage.rule,
        "grid": asdict(coverage.grid),
        "hashes": dict(coverage.hashes),
        "ids": coverage.ids,
        "reasons": list(coverage.reasons.items()),
        "warnings": coverage.warnings,
    }
    arrays = {f"runs_{name}": getattr(coverage.runs, name) for name in RUNS}
    arrays |= {f"edges_{name}": getattr(coverage.edges, name) for name in EDGES}
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez(
            file,
            about=np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8),
            attributes=np.frombuffer(table.getvalue(), np.uint8),
            outside=coverage.outside,
            **arrays,
        )


def load_coverage(path: str | Path) -> Coverage:
    """A coverage that `Coverage.save` wrote.

    Raises
    ------
    BadInputError
        No such file, or of another version of nightcore.
    IntegrityError
        The file is damaged, or was not written by `Coverage.save`.
    """
    import pandas as pd

    path = check_coverage_path(path)
    if not path.is_file():
        raise BadInputError(f"{path} does not exist: make it with coverage(...).save, or nightcore coverage.")
    try:
        # NumPy leaves the file open when it is no zip
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        about = json.loads(held["about"].tobytes())
        version = about["format"]
        if version == FORMAT:
            grid = Grid(**about["grid"])
            runs = Runs(*(held[f"runs_{name}"] for name in RUNS))
            edges = Edges(*(held[f"edges_{name}"] for name in EDGES))
            attributes = pd.read_parquet(io.BytesIO(held["attributes"].tobytes()))
            if attributes.columns.empty:  # parquet forgets how many rows a table without columns has
                attributes = attributes.reindex(pd.RangeIndex(len(about["ids"])))
            found = Coverage(
                tuple(about["ids"]),
                attributes,
                grid,
                about["rule"],
                runs,
                edges,
                held["outside"],
                {name: about["hashes"][name] for name in HASHED},
                dict(map(tuple, about["reasons"])),
                tuple(about["warnings"]),
            )
            check(found)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise IntegrityError(f"{path} cannot be read as a coverage ({error}): make it again.") from error
    if version != FORMAT:
        raise BadInputError(f"{path} has coverage format {version}, expected {FORMAT}: make it again.")
    return found


def check(coverage: Coverage) -> None:
    """Raise ValueError where arrays do not fit each other or the grid; kernels do not look beyond their ends."""
    runs, edges, (height, width) = coverage.runs, coverage.edges, coverage.grid.shape
    kinds = [(runs, RUNS, "i4"), (edges, EDGES[:3], "i4"), (edges, EDGES[3:], "f8")]
    for part, names, kind in kinds:
        for name in names:
            array = getattr(part, name)
            if array.shape != (len(part),) or array.dtype != kind:
                raise ValueError(f"{name} is {array.dtype}{array.shape}")
    limits = [(runs.row, 0, height), (runs.start, 0, width), (runs.stop, 1, width + 1), (edges.row, 0, height)]
    limits += [(edges.column, 0, width), (runs.zone, 0, len(coverage)), (edges.zone, 0, len(coverage))]
    if any(len(a) and (a.min() < low or a.max() >= end) for a, low, end in limits) or (runs.start >= runs.stop).any():
        raise ValueError("cells beyond the grid")
    if not ((edges.weight > 0) & (edges.weight < 1)).all():
        raise ValueError("weights beyond 0..1")
    if coverage.rule not in RULES or not (len(coverage.outside) == len(coverage.attributes) == len(coverage)):
        raise ValueError("zones are missing")


def check_coverage_path(path: str | Path) -> Path:
    """Refuse a name that says something else."""
    path = Path(path)
    if path.suffix != ".npz":
        raise UsageError(f"{path} ends in '{path.suffix}': coverages are kept in .npz.")
    return path
