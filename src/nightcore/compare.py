"""How well calibrations agree with themselves: the normalised difference index of overlapping years.

NDI of a year = |TL_a - TL_b| / (TL_a + TL_b), TL the sum of calibrated DN over all scored zones; 0 is best.
J. Wu et al. (2013), Int. J. Remote Sens. 34, 7356-7368, doi:10.1080/01431161.2013.820365.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightcore.errors import BadInputError, UsageError
from nightcore.lights import as_calibration, usable
from nightcore.store import Store, Tile, as_store
from nightcore.threads import thread_count
from nightcore.zonal import composite_totals, each
from nightcore.zones import Coverage

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from nightcore.calibration import Calibration


def compare(
    store: Store | str | Path | xr.Dataset,
    methods: Sequence[Calibration | str | Path],
    zones: Coverage | None = None,
) -> pd.DataFrame:
    """Score calibrations on the overlapping years of a store.

    Parameters
    ----------
    store : path, Store or Dataset of `open_store`
    methods : sequence of Calibration, name or file
    zones : Coverage, optional
        Zones that are scored; without them every observed cell of the store counts, a meridian that the global grid
        shows at both ends once.

    Returns
    -------
    DataFrame
        One row a method: method, composites, pairs (overlapping years that it knows both satellites of), ndi (mean
        over them), ndi_worst, ndi_zone (mean over years and lit zones of the NDI of each zone; NaN without zones),
        unobserved (largest share of cells that one of the composites did not observe: where it is not near 0, NDI
        measures what was seen as well as how).

    Raises
    ------
    BadInputError
        The store has no overlapping year.
    """
    import pandas as pd

    store = as_store(store)
    if len(set(store.years)) == len(store.years):
        raise BadInputError(f"{store.path} has no year with two satellites, so there is nothing to compare.")
    if isinstance(methods, str | Path):
        methods = [methods]
    if zones is not None and not isinstance(zones, Coverage):
        raise UsageError(f"the zones are a {type(zones).__name__}: make a Coverage with coverage(zones, store).")
    counts = histograms(store)
    unobserved = counts[:, 255] / counts.sum(axis=1)
    rows = []
    for given in methods:
        method = as_calibration(given)
        if zones is None:
            names, sums = totals_from_histograms(store, counts, method)
        else:
            names, sums = composite_totals(store, zones, method)
        pairs = overlapping(names)
        by_year = np.array([ndi(sums[:, a].sum(), sums[:, b].sum()) for a, b in pairs])
        by_zone = np.concatenate([ndi(sums[:, a], sums[:, b]) for a, b in pairs]) if pairs and zones else np.array([])
        rows.append(
            {
                # two files of one method would otherwise look alike
                "method": f"{method.name} ({given})"
                if method.origin and isinstance(given, str | Path)
                else method.name,
                "composites": len(names),
                "pairs": len(pairs),
                "ndi": mean_of_known(by_year),
                "ndi_worst": by_year.max() if len(by_year) else np.nan,
                "ndi_zone": mean_of_known(by_zone),
                "unobserved": max(unobserved[store.composites.index(name)] for name in names),
            }
        )
    return pd.DataFrame(rows)


def histograms(store: Store) -> np.ndarray:
    """(composite, 256) int64: how many cells of each composite have which DN; one pass serves any number of methods."""

    end = store.grid.width - store.grid.repeated_columns

    def count(tile: Tile) -> np.ndarray:
        block = store.read(tile)[:, :, : max(0, end - tile.column)]
        return np.stack([np.bincount(layer.ravel(), minlength=256) for layer in block])

    return sum(each(count, store.tiles(), thread_count(None), None))


def totals_from_histograms(store: Store, counts: np.ndarray, cal: Calibration) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the composites that the calibration knows and their (1, composite) sums of calibrated DN."""
    known, _ = usable(store.composites, cal, "drop")
    names = tuple(store.composites[place] for place in known)
    light = np.nan_to_num(cal.curves(names))  # missing cells and DN that do not occur add nothing
    return names, (counts[known] * light).sum(axis=1)[None]


def overlapping(names: Sequence[str]) -> list[tuple[int, int]]:
    """Places of all pairs of composites of one year."""
    return [(a, b) for a, b in combinations(range(len(names)), 2) if names[a][-4:] == names[b][-4:]]


def ndi(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """|one - other| / (one + other); NaN where both are dark."""
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is the NaN that is wanted
        return np.abs(one - other) / (one + other)


def mean_of_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
