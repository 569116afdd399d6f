"""What a tile's zones cover, as kernels take it: runs of whole cells, and single cells of which a part belongs.

Weights and areas are integers here, rounded once to multiples of 2**-30 when a coverage is made, so that every sum of
products with fixed-point light is exact and nothing depends on the order of cells, tiles or threads.  A weight is off
by at most 4.7e-10 of a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WEIGHT_BITS = 30  # a whole cell is 2**30, the largest power that leaves its product with an int32 exact in int64


@dataclass(frozen=True)
class TileCover:
    """Covered cells of one tile; positions count from the tile's north-west cell.

    Attributes
    ----------
    zones : (k,) int32, ascending
        Places in `Coverage.ids` of the zones that the tile holds cells of.
    run_row, run_start, run_stop : (m,) int32
        Cells start..stop-1 of a row lie wholly inside a zone; ordered by row, start, zone.
    run_zone : (m,) int32
        Which of `zones`.
    edge_row, edge_column, edge_zone : (n,) int32
        Cells of which a part belongs to a zone; ordered by row, column, zone.
    edge_weight : (n,) int32
        That part, in units of 2**-30, in 1..2**30.
    """

    zones: np.ndarray
    run_row: np.ndarray
    run_start: np.ndarray
    run_stop: np.ndarray
    run_zone: np.ndarray
    edge_row: np.ndarray
    edge_column: np.ndarray
    edge_zone: np.ndarray
    edge_weight: np.ndarray

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(row, column, which of `zones`, weight in units of 2**-30), one for every cell and zone, to read and test."""
        length = self.run_stop - self.run_start
        row = np.repeat(self.run_row, length)
        first = np.repeat(np.cumsum(length) - length, length)
        column = np.repeat(self.run_start, length) + (np.arange(length.sum()) - first).astype(np.int32)
        return (
            np.r_[row, self.edge_row],
            np.r_[column, self.edge_column],
            np.r_[np.repeat(self.run_zone, length), self.edge_zone],
            np.r_[np.full(length.sum(), 1 << WEIGHT_BITS, np.int32), self.edge_weight],
        )


def tile_cover(row: np.ndarray, column: np.ndarray, zone: np.ndarray, weight: np.ndarray) -> TileCover:
    """A TileCover of (n,) cells of a tile and their weights in (0, 1]; each (cell, zone) once, in any order."""
    units = np.rint(np.asarray(weight, np.float64) * 2.0**WEIGHT_BITS).astype(np.int64)
    zones, local = np.unique(np.asarray(zone, np.int32), return_inverse=True)
    order = np.lexsort((local, column, row))
    row, column, local, units = (np.asarray(part)[order] for part in (row, column, local.astype(np.int32), units))
    row, column = row.astype(np.int32), column.astype(np.int32)
    whole, part = units == 1 << WEIGHT_BITS, (units > 0) & (units < 1 << WEIGHT_BITS)
    # runs are found zone by zone, then put in the order of the rows
    by_zone = np.lexsort((column[whole], row[whole], local[whole]))
    r, c, z = (values[whole][by_zone] for values in (row, column, local))
    begins = np.ones(len(r), bool)
    begins[1:] = (r[1:] != r[:-1]) | (z[1:] != z[:-1]) | (c[1:] != c[:-1] + 1)
    first = np.flatnonzero(begins)
    last = np.r_[first[1:], len(r)][: len(first)] - 1
    runs = np.lexsort((z[first], c[first], r[first]))
    first, last = first[runs], last[runs]
    return TileCover(
        zones,
        r[first],
        c[first],
        c[last] + np.int32(1),
        z[first],
        row[part],
        column[part],
        local[part],
        units[part].astype(np.int32),
    )
