"""Peak memory of one engine in a process of its own: python benchmarks/peak.py ENGINE FOLDER -> JSON, bytes.

FOLDER holds lights.zarr and coverage.pickle, written by run.py. Linux only: VmHWM can be set back before the engine
starts, while ru_maxrss keeps what imports took at their height, and in a child even what its parent took.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers

import nightcore as nc
import nightcore.kernels.zonal  # in every engine's process, so that numba itself counts for none
from nightcore.store import Store

METHOD = "elvidge2014"
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): the peak becomes what is resident now
ENGINES: dict[str, Callable[[Store, nc.Coverage], Any]] = {
    "nightcore.zonal, 2 threads": lambda store, coverage: nc.zonal(
        store, coverage, METHOD, continuity="sequential", threads=2
    ),
    "NumPy by tiles, 2 threads": lambda store, coverage: peers.numpy_tiles(
        store, coverage, peers.Chain.of(store, METHOD), threads=2
    ),
    "NumPy by tiles, lit cells only, 2 threads": lambda store, coverage: peers.numpy_tiles(
        store, coverage, peers.Chain.of(store, METHOD), threads=2, lit_only=True
    ),
    "xarray and dask, 2 threads": lambda store, coverage: peers.dask_blocks(
        store, coverage, peers.Chain.of(store, METHOD), threads=2
    ),
}


def resident_peak() -> int:
    """[bytes] largest resident memory of this process since the peak was set back."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(engine: str, folder: str) -> None:
    store = Store(Path(folder) / "lights.zarr")
    coverage = pickle.loads((Path(folder) / "coverage.pickle").read_bytes())
    # the weights sorted by tile belong to the coverage, and all engines use them
    coverage.touches(store.tiles()[0])
    CLEAR.write_text(RESET_PEAK)
    before = resident_peak()
    assert np.size(ENGINES[engine](store, coverage))
    print(json.dumps({"before": before, "peak": resident_peak()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
