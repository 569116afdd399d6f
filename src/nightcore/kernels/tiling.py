"""Runs and edges of a whole grid, cut at the borders of tiles and put in the order in which tiles are worked off.

Everything is a counting sort, so ten million cells cost ten million steps, whatever the number of zones; weights become
integers in units of 2**-30 (see `kernels.cover`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nightcore.kernels import kernel
from nightcore.kernels.cover import WEIGHT_BITS, TileCover, tile_cover


@dataclass(frozen=True)
class Tiles:
    """The covers of all tiles, one behind the other; tile t holds places start[t]:start[t + 1] of each array.

    Attributes
    ----------
    zone_start, run_start, edge_start : (tile + 1,) int64
    zones : (k,) int32
        Zones of each tile, ascending.
    runs : (4, m) int32
        Row, start, stop and zone as in `TileCover`.
    edges : (4, n) int32
        Row, column, zone and weight as in `TileCover`.
    """

    zone_start: np.ndarray
    run_start: np.ndarray
    edge_start: np.ndarray
    zones: np.ndarray
    runs: np.ndarray
    edges: np.ndarray

    def __getitem__(self, tile: int) -> TileCover:
        zones, runs, edges = (slice(a[tile], a[tile + 1]) for a in (self.zone_start, self.run_start, self.edge_start))
        return TileCover(self.zones[zones], *self.runs[:, runs], *self.edges[:, edges])

    def any(self, tile: int) -> bool:
        return bool(self.zone_start[tile] < self.zone_start[tile + 1])


@kernel
def runs_by_tile(row, start, stop, zone, size, n_across, n_tiles):
    """Pieces (row, start, stop, zone) of runs in each tile, in the order of the runs.  -> tile_start, pieces (4, m)."""
    tile_start = np.zeros(n_tiles + 1, np.int64)
    for i in range(len(row)):
        tile = row[i] // size * n_across
        for across in range(start[i] // size, (stop[i] - 1) // size + 1):
            tile_start[tile + across + 1] += 1
    tile_start = np.cumsum(tile_start)
    place = tile_start.copy()
    pieces = np.empty((4, tile_start[-1]), np.int32)
    for i in range(len(row)):
        down = row[i] // size
        for across in range(start[i] // size, (stop[i] - 1) // size + 1):
            tile = down * n_across + across
            p = place[tile]
            place[tile] += 1
            pieces[0, p] = row[i] - down * size
            pieces[1, p] = max(start[i] - across * size, 0)
            pieces[2, p] = min(stop[i] - across * size, size)
            pieces[3, p] = zone[i]
    return tile_start, pieces


@kernel
def edges_by_tile(row, column, zone, weight, size, n_across, n_tiles):
    """Cells (row, column, zone, weight in units) of each tile, in the order given; what rounds to 0 is left out."""
    unit = 2.0**WEIGHT_BITS
    tile_start = np.zeros(n_tiles + 1, np.int64)
    for i in range(len(row)):
        if np.rint(weight[i] * unit) > 0:
            tile_start[row[i] // size * n_across + column[i] // size + 1] += 1
    tile_start = np.cumsum(tile_start)
    place = tile_start.copy()
    cells = np.empty((4, tile_start[-1]), np.int32)
    for i in range(len(row)):
        units = np.rint(weight[i] * unit)
        if units > 0:
            down, across = row[i] // size, column[i] // size
            tile = down * n_across + across
            p = place[tile]
            place[tile] += 1
            cells[0, p] = row[i] - down * size
            cells[1, p] = column[i] - across * size
            cells[2, p] = zone[i]
            cells[3, p] = np.int32(units)
    return tile_start, cells


@kernel
def sort_cells(tile_start, items, size):
    """Order the columns of `items` (4, n) in place by row, then column (items 0 and 1), within each tile.

    Two stable counting sorts, by column and by row, so that zones keep the order they came in.
    """
    longest = np.diff(tile_start).max() if len(tile_start) > 1 else 0
    by_column, by_both = np.empty(longest, np.int64), np.empty(longest, np.int64)
    moved = np.empty(longest, np.int32)
    count = np.empty(size + 1, np.int64)
    for tile in range(len(tile_start) - 1):
        first, n = tile_start[tile], tile_start[tile + 1] - tile_start[tile]
        count[:] = 0
        for i in range(n):
            count[items[1, first + i] + 1] += 1
        for b in range(size):
            count[b + 1] += count[b]
        for i in range(n):
            b = items[1, first + i]
            by_column[count[b]] = i
            count[b] += 1
        count[:] = 0
        for i in range(n):
            count[items[0, first + i] + 1] += 1
        for b in range(size):
            count[b + 1] += count[b]
        for i in range(n):
            b = items[0, first + by_column[i]]
            by_both[count[b]] = by_column[i]
            count[b] += 1
        for part in range(4):
            for i in range(n):
                moved[i] = items[part, first + by_both[i]]
            for i in range(n):
                items[part, first + i] = moved[i]


@kernel
def number_zones(run_start, run_zone, edge_start, edge_zone, n_zones):
    """Zones of each tile, ascending; `run_zone` and `edge_zone` become places among them.  -> zone_start, zones."""
    n_tiles = len(run_start) - 1
    zone_start = np.zeros(n_tiles + 1, np.int64)
    seen_in = np.full(n_zones, -1, np.int64)
    for tile in range(n_tiles):
        for i in range(run_start[tile], run_start[tile + 1]):
            if seen_in[run_zone[i]] != tile:
                seen_in[run_zone[i]] = tile
                zone_start[tile + 1] += 1
        for i in range(edge_start[tile], edge_start[tile + 1]):
            if seen_in[edge_zone[i]] != tile:
                seen_in[edge_zone[i]] = tile
                zone_start[tile + 1] += 1
    zone_start = np.cumsum(zone_start)
    zones = np.empty(zone_start[-1], np.int32)
    seen_in[:] = -1
    local = np.empty(n_zones, np.int32)
    for tile in range(n_tiles):
        k = zone_start[tile]
        for i in range(run_start[tile], run_start[tile + 1]):
            if seen_in[run_zone[i]] != tile:
                seen_in[run_zone[i]] = tile
                zones[k] = run_zone[i]
                k += 1
        for i in range(edge_start[tile], edge_start[tile + 1]):
            if seen_in[edge_zone[i]] != tile:
                seen_in[edge_zone[i]] = tile
                zones[k] = edge_zone[i]
                k += 1
        zones[zone_start[tile] : k].sort()
        for i in range(zone_start[tile], k):
            local[zones[i]] = i - zone_start[tile]
        for i in range(run_start[tile], run_start[tile + 1]):
            run_zone[i] = local[run_zone[i]]
        for i in range(edge_start[tile], edge_start[tile + 1]):
            edge_zone[i] = local[edge_zone[i]]
    return zone_start, zones


def in_tiles(
    runs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    edges: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    shape: tuple[int, int],
    size: int,
    n_zones: int,
) -> Tiles:
    """Cut and sort a coverage by tiles of `size` x `size` cells, numbered row by row.

    Parameters
    ----------
    runs : row, start, stop, zone, each (m,) int32
        By zone, ascending.
    edges : row, column, zone (n,) int32 and weight (n,) float64
        By zone, ascending.
    shape : (height, width) of the grid
    size : int
        Edge of a tile [cells].
    n_zones : int
    """
    n_across = -(-shape[1] // size)
    n_tiles = -(-shape[0] // size) * n_across
    run_start, pieces = runs_by_tile(*runs, size, n_across, n_tiles)
    edge_start, cells = edges_by_tile(*edges, size, n_across, n_tiles)
    sort_cells(run_start, pieces, size)
    sort_cells(edge_start, cells, size)
    zone_start, zones = number_zones(run_start, pieces[3], edge_start, cells[2], n_zones)
    return Tiles(zone_start, run_start, edge_start, zones, pieces, cells)


def in_tiles_reference(
    row: np.ndarray, column: np.ndarray, zone: np.ndarray, weight: np.ndarray, shape: tuple[int, int], size: int
) -> list[TileCover]:
    """The covers of all tiles from single cells, to read and to test against; cells whose weight rounds to 1 are runs
    here, and edges in `in_tiles`."""
    covers = []
    for top in range(0, shape[0], size):
        for left in range(0, shape[1], size):
            own = (row >= top) & (row < top + size) & (column >= left) & (column < left + size)
            covers.append(tile_cover(row[own] - top, column[own] - left, zone[own], weight[own]))
    return covers
