"""How much of each zone has which DN: all that a calibration, which knows a cell by its DN only, needs of pixels."""

from __future__ import annotations

import numpy as np

from nightcore.kernels import kernel
from nightcore.kernels.cover import TileCover
from nightcore.kernels.zonal import (
    Scratch,
    Window,
    add_exactly,
    check_cover,
    edges_of,
    runs_of,
    visited_cells,
    whole_shares,
)

BINS = np.r_[np.arange(64.0), 255.0].astype(np.uint8)  # DN of the 6-bit sensor, and the mark of an unobserved cell
OTHER = len(BINS)  # where a DN goes that the sensor does not have
BIN_OF = np.full(256, OTHER, np.uint8)
BIN_OF[BINS] = np.arange(OTHER)


@kernel
def add_bins(dn, lane, bounds, weight, part, n_zones, bin_of, counts):
    """Add S w and S a of entries, listed as by `list_entries`, to `counts` (2, zone, composite, bin) int64."""
    for z in range(n_zones):
        first, stop = bounds[2 * z], bounds[2 * z + 2]
        for i in range(len(dn)):
            layer, of_weight, of_area = dn[i], counts[0, z, i], counts[1, z, i]
            for entry in range(first, stop):
                place = bin_of[layer[lane[entry]]]
                of_weight[place] += weight[entry]
                of_area[place] += part[entry]


def zone_bins(
    dn: np.ndarray, window: Window, cover: TileCover, area: np.ndarray, scratch: Scratch | None = None
) -> np.ndarray:
    """(2, zone, composite, bin) int64: S w and S a of the cells with the DN of each of BINS.

    `dn` (composite, y, x) uint8; the rest as in `zone_sums`.

    Raises
    ------
    ValueError
        A DN of 64..254.
    """
    check_cover(cover, window, area)
    scratch = scratch or Scratch()
    flat = dn.reshape(len(dn), -1)
    n_zones = len(cover.zones)
    found = visited_cells(flat, np.arange(len(dn)), window, False, cover, area, scratch)
    counts = np.zeros((2, n_zones, len(dn), OTHER + 1), np.int64)
    add_bins(found.dn, found.lane, found.bounds, found.weight, found.part, n_zones, BIN_OF, counts)
    # all others are 0 in every composite
    counts[..., 0] += (whole_shares(runs_of(cover), edges_of(cover), area, n_zones) - found.shares)[:, :, None]
    if counts[..., OTHER].any():
        raise ValueError("a cell has a DN of 64..254: expected 0..63, or 255 where nothing was observed.")
    return counts[..., :OTHER]


def zone_bins_reference(dn: np.ndarray, window: Window, cover: TileCover, area: np.ndarray) -> np.ndarray:
    """`zone_bins` in NumPy, to read and to test against."""
    row, column, zone, weight = cover.entries()
    here = dn.reshape(len(dn), -1)[:, window.origin + row * np.int64(window.stride) + column]
    part = (weight.astype(np.int64) * area[row] + 2**29) >> 30
    n_zones = len(cover.zones)
    counts = [[add_exactly(here == level, zone, units, n_zones) for level in BINS] for units in (weight, part)]
    return np.moveaxis(np.array(counts, np.int64).reshape(2, len(BINS), n_zones, len(dn)), 1, -1)
