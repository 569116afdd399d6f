"""Which cells of a grid a polygon covers, and how much of each: exact areas, or GDAL's rule of centres.

Areas are accumulated as font rasterisers do it.  In each row that it crosses, an edge adds its height there to the
cells that it meets, parted by where it runs in them; a running sum along the row is then the share of each cell inside
the polygon, 0 or 1 from one edge to the next.  What a ring goes down on one side it goes up on the other, so nothing
is counted twice, and only cells that an edge meets cost time.

R. Levien (2016), "Inside the fastest font renderer in the world", on font-rs; its single-precision buffer of the whole
glyph is float64 in bands of rows here, with a bit for each cell that was touched.

Vertices are split into a whole cell and a fraction without rounding the degrees, and an edge is followed from its upper
end whatever the direction of its ring, so that two zones add the same number with opposite signs along an edge that
they share, and their weights sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nightcore.kernels import kernel

# [degrees] A hundredth of a micrometre.  A longitude of 180 is known to 2.8e-14 in float64, and a line of the grid,
# counted out from its corner, to a few times that: vertices nearer to a line than this are meant to lie on it.
ON_LINE = 1e-13
# [cells] A coverage nearer to 0 or 1 than this is 0 or 1: on cells of 30 arc-seconds it is a strip of 8e-15 degrees, a
# quarter of the last bit of a longitude, and sums along a row are off by less.
NEGLIGIBLE = 1e-12

BAND = 1 << 21  # [cells] of the buffer that a thread holds: 16 MiB, all rows of most zones, a band of a continent's
LIKELY = 1 << 22  # cells that an array has room for before it has to grow
WORD_SHIFT = 5
WORD = 1 << WORD_SHIFT  # bits used of an int64, which then never overflows
ALL = (1 << WORD) - 1
# C. E. Leiserson, H. Prokop, K. H. Randall (1998), "Using de Bruijn Sequences to Index a 1 in a Computer Word": every
# five bits of it are different, so the five that a product with a power of two shifts to the top tell which power it
# was.
DE_BRUIJN = 0x077CB531
BIT_OF = np.zeros(WORD, np.int64)
BIT_OF[[(DE_BRUIJN << bit & ALL) >> (WORD - WORD_SHIFT) for bit in range(WORD)]] = np.arange(WORD)


@dataclass(frozen=True)
class Rings:
    """Polygons as arrays: zone z has rings zone_start[z]:zone_start[z + 1], ring i vertices start[i]:start[i + 1].

    Attributes
    ----------
    xy : (n, 2) float64
        Longitude and latitude [degrees]; the last vertex of a ring is its first.
    start : (ring + 1,) int64
    shell : (ring,) bool
        False for holes.
    zone_start : (zone + 1,) int64
    """

    xy: np.ndarray
    start: np.ndarray
    shell: np.ndarray
    zone_start: np.ndarray


def rings_of(shapes: Sequence[Any]) -> Rings:
    """Rings of shapely polygons and multipolygons, in their order."""
    import shapely

    kind, xy, offsets = shapely.to_ragged_array(np.asarray(shapes, object), include_z=False)
    if kind == shapely.GeometryType.POLYGON:
        offsets = (*offsets, np.arange(len(offsets[1])))
    start, polygon_start, zone_polygon = (np.asarray(part, np.int64) for part in offsets)
    shell = np.zeros(len(start) - 1, bool)
    shell[polygon_start[:-1]] = True
    return Rings(np.ascontiguousarray(xy, np.float64), start, shell, polygon_start[zone_polygon])


# --- where a vertex lies ------------------------------------------------------------------------------------------


@kernel
def place(value, origin, turn, step, step_high, step_low, sign, slack):
    """Whole cells and the fraction in [0, 1) from `origin` to `value` + `turn`, counted along `sign`; nothing but the
    fraction is rounded.

    `step` = `step_high` + `step_low`, the former with few enough bits for its products with cell numbers to be exact.
    """
    # differences with their rounding errors: D. E. Knuth (1997), "The Art of Computer Programming" 2, sec. 4.2.2
    s = value - origin
    t = s - value
    error = (value - (s - t)) - (origin + t)
    total = s + turn
    t = total - s
    error += (s - (total - t)) + (turn - t)
    total *= sign
    error *= sign
    cell = int(np.floor(total / step))
    rest = (((total - cell * step_high) - cell * step_low) + error) / step
    while rest < 0:
        rest += 1
        cell -= 1
    while rest >= 1:
        rest -= 1
        cell += 1
    if rest <= slack:
        rest = 0.0
    elif rest >= 1 - slack:
        rest = 0.0
        cell += 1
    return cell, rest


@kernel
def bounds_of(xy, first, last):
    """West, east, south, north of the vertices first..last-1."""
    west, east, south, north = np.inf, -np.inf, np.inf, -np.inf
    for i in range(first, last):
        west, east = min(west, xy[i, 0]), max(east, xy[i, 0])
        south, north = min(south, xy[i, 1]), max(north, xy[i, 1])
    return west, east, south, north


@kernel
def window_of(bounds, left, top, dx, dy, width, height):
    """Turns of 360 degrees that bring a zone onto the grid, and the window of cells that it can reach there.

    -> first and last turn, north, south, west, east; the window ends before south and east, and is empty when the
    zone lies off the grid.
    """
    west, east, south, north = bounds
    # a cell more on all sides, so that rounding never cuts one off
    first_row = max(0, int(np.floor(max((top - north) / dy, -2.0))) - 1)
    last_row = min(height, int(np.floor(min((top - south) / dy, height + 2.0))) + 2)
    first_turn = int(np.ceil((left - dx - east) / 360.0))
    last_turn = int(np.floor((left + (width + 1) * dx - west) / 360.0))
    first_column, last_column = width, 0
    for turn in range(first_turn, last_turn + 1):
        start = int(np.floor(max((west + turn * 360.0 - left) / dx, -2.0))) - 1
        stop = int(np.floor(min((east + turn * 360.0 - left) / dx, width + 2.0))) + 2
        first_column = min(first_column, max(0, start))
        last_column = max(last_column, min(width, stop))
    return first_turn, last_turn, first_row, last_row, first_column, last_column


@kernel
def direction(xy, first, last, shell):
    """1 where the ring first..last-1 runs counterclockwise around a shell or clockwise around a hole, else -1."""
    area = 0.0
    x, y = xy[first, 0], xy[first, 1]
    for i in range(first, last - 1):
        area += (xy[i, 0] - x) * (xy[i + 1, 1] - y) - (xy[i + 1, 0] - x) * (xy[i, 1] - y)
    return 1.0 if (area > 0) == shell else -1.0


@kernel
def longer(items, needed):
    """A copy of `items` with room for `needed` along its last axis."""
    grown = np.empty((items.shape[0], max(needed, 2 * items.shape[1])), items.dtype)
    for i in range(items.shape[0]):  # a slice would compile for seconds
        for j in range(items.shape[1]):
            grown[i, j] = items[i, j]
    return grown


# --- exact areas --------------------------------------------------------------------------------------------------


@kernel
def add_across(buffer, touched, row, width, column, low, high, height):
    """Add the piece of an edge within one row: `height` [rows] high, from `low` to `high` cells east of `column`.

    What lies west of the window counts from its first column on; what lies east of it does not count.
    """
    k, last = int(np.floor(low)), int(np.floor(high))
    if last > k and last == high:
        last -= 1
    rest = height  # the last cell takes what is left, so that the sum is the height to the last bit
    per_cell = height / (high - low) if last > k else 0.0
    if column + k < 0:
        k = min(-column, last + 1)
        beyond = per_cell * (k - low) if column + last >= 0 else height
        rest -= beyond
        buffer[row, 0] += beyond
        touched[row, 0] |= 1
        low = float(k)
    while k <= last and column + k < width:
        inside = rest if k == last else per_cell * (k + 1 - low)
        part = inside * (0.5 * ((low - k) + (min(high, k + 1.0) - k)))  # west of the edge, so from the next cell on
        at = column + k
        buffer[row, at] += inside - part
        buffer[row, at + 1] += part
        touched[row, at >> WORD_SHIFT] |= 1 << (at & (WORD - 1))
        touched[row, (at + 1) >> WORD_SHIFT] |= 1 << ((at + 1) & (WORD - 1))
        rest -= inside
        k += 1
        low = float(k)


@kernel
def add_edge(buffer, touched, width, north, south, west, sign, ca, fa, ra, ga, cb, fb, rb, gb):
    """Add an edge to the rows north..south-1, from column ca + fa, row ra + ga down to column cb + fb, row rb + gb."""
    end = (cb - ca) + fb
    slope = ((cb - ca) + (fb - fa)) / ((rb - ra) + (gb - ga))
    least, most = min(fa, end), max(fa, end)
    first = max(ra, north)
    x = fa if first == ra else min(max(fa + ((first - ra) - ga) * slope, least), most)
    for row in range(first, min(rb + 1, south)):
        # rounding must not carry a crossing beyond the ends
        below = end if row == rb else min(max(fa + ((row + 1 - ra) - ga) * slope, least), most)
        height = (gb if row == rb else 1.0) - (ga if row == ra else 0.0)
        if height > 0:
            add_across(buffer, touched, row - north, width, ca - west, min(x, below), max(x, below), sign * height)
        x = below


@kernel
def add_run(runs, n_run, row, start, stop, zone):
    """-> n_run + 1"""
    runs[0, n_run] = row
    runs[1, n_run] = start
    runs[2, n_run] = stop
    runs[3, n_run] = zone
    return n_run + 1


@kernel
def read_row(buffer, touched, runs, edges, weights, n_run, n_edge, line, width, row, west, zone):
    """Sum up one line of the buffer, record what it covers of a row, and leave it empty.  -> n_run, n_edge"""
    share = 0.0  # of the cells from `column` on
    column, begin = 0, -1  # `begin` of a run of whole cells, -1 outside one
    touched[line, width >> WORD_SHIFT] |= 1 << (width & (WORD - 1))  # the row ends there
    for word in range((width >> WORD_SHIFT) + 1):
        bits = touched[line, word]
        touched[line, word] = 0
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            at = (word << WORD_SHIFT) + BIT_OF[(lowest * DE_BRUIJN >> 27) & 31]
            if column < at:
                if share > 1 - NEGLIGIBLE:
                    if begin < 0:
                        begin = column
                else:
                    if begin >= 0:
                        n_run = add_run(runs, n_run, row, west + begin, west + column, zone)
                        begin = -1
                    if share > NEGLIGIBLE:
                        for cell in range(column, at):
                            edges[0, n_edge] = row
                            edges[1, n_edge] = west + cell
                            edges[2, n_edge] = zone
                            weights[0, n_edge] = share
                            n_edge += 1
            share += buffer[line, at]
            buffer[line, at] = 0.0
            column = at
    if begin >= 0:
        n_run = add_run(runs, n_run, row, west + begin, west + width, zone)
    return n_run, n_edge


@kernel
def area_cover(xy, start, shell, zone_start, first_zone, last_zone, left, top, dx, dy, width, height):
    """Runs and edges of the zones first_zone..last_zone-1, by zone, row and column.

    Arguments as in `Rings` and `Grid`.  -> runs (4, m) int32 row, start, stop, zone; edges (3, n) int32 row, column,
    zone; weights (1, n) float64 in (0, 1).
    """
    # an edge meets about as many cells as it crosses lines
    met = 1000
    for i in range(start[zone_start[first_zone]] + 1, start[zone_start[last_zone]]):
        met += 1 + int(min(abs(xy[i, 0] - xy[i - 1, 0]) / dx + abs(xy[i, 1] - xy[i - 1, 1]) / dy, width))
    met = min(met, LIKELY)
    runs, edges, weights = np.empty((4, met), np.int32), np.empty((3, met), np.int32), np.empty((1, met), np.float64)
    n_run, n_edge = 0, 0
    store, bits = np.zeros(0, np.float64), np.zeros(0, np.int64)
    # steps with their last 27 bits cut off, exactly representable products with numbers of cells below 2**26
    dx_high, dy_high = dx * 134217729.0, dy * 134217729.0
    dx_high, dy_high = dx_high - (dx_high - dx), dy_high - (dy_high - dy)
    dx_low, dy_low = dx - dx_high, dy - dy_high
    slack_x, slack_y = min(ON_LINE / dx, 0.01), min(ON_LINE / dy, 0.01)
    for zone in range(first_zone, last_zone):
        first_ring, last_ring = zone_start[zone], zone_start[zone + 1]
        first, n = start[first_ring], start[last_ring] - start[first_ring]
        bounds = bounds_of(xy, first, first + n)
        from_turn, to_turn, north, south, west, east = window_of(bounds, left, top, dx, dy, width, height)
        if from_turn > to_turn or north >= south or west >= east:
            continue
        n_turn = to_turn - from_turn + 1
        column, row = np.empty((n_turn, n), np.int64), np.empty(n, np.int64)
        across, down = np.empty((n_turn, n), np.float64), np.empty(n, np.float64)
        for i in range(n):
            row[i], down[i] = place(xy[first + i, 1], top, 0.0, dy, dy_high, dy_low, -1.0, slack_y)
            for turn in range(n_turn):
                column[turn, i], across[turn, i] = place(
                    xy[first + i, 0], left, (from_turn + turn) * 360.0, dx, dx_high, dx_low, 1.0, slack_x
                )
        signs = np.empty(last_ring - first_ring, np.float64)
        for ring in range(first_ring, last_ring):
            signs[ring - first_ring] = direction(xy, start[ring], start[ring + 1], shell[ring])

        n_column = east - west
        n_word = (n_column + WORD) // WORD  # one cell more than the window, for what lies east of its last
        n_row = max(1, min(south - north, BAND // (n_word * WORD)))
        if n_row * n_word > len(bits):
            store, bits = np.zeros(n_row * n_word * WORD, np.float64), np.zeros(n_row * n_word, np.int64)
        buffer = store[: n_row * n_word * WORD].reshape((n_row, n_word * WORD))
        touched = bits[: n_row * n_word].reshape((n_row, n_word))
        for band in range(north, south, n_row):
            end = min(band + n_row, south)
            for ring in range(first_ring, last_ring):
                sign = signs[ring - first_ring]
                for a in range(start[ring] - first, start[ring + 1] - first - 1):
                    b = a + 1
                    if row[a] == row[b] and down[a] == down[b]:
                        continue
                    upward = row[b] < row[a] or (row[b] == row[a] and down[b] < down[a])
                    upper, lower = (b, a) if upward else (a, b)
                    if row[upper] >= end or row[lower] < band:
                        continue
                    for turn in range(n_turn):
                        add_edge(
                            buffer, touched, n_column, band, end, west, -sign if upward else sign,
                            column[turn, upper], across[turn, upper], row[upper], down[upper],
                            column[turn, lower], across[turn, lower], row[lower], down[lower],
                        )  # fmt: skip
            for row_number in range(band, end):
                if n_run + n_column >= runs.shape[1]:
                    runs = longer(runs, n_run + n_column + 1)
                if n_edge + n_column >= edges.shape[1]:
                    edges = longer(edges, n_edge + n_column + 1)
                    weights = longer(weights, n_edge + n_column + 1)
                n_run, n_edge = read_row(
                    buffer, touched, runs, edges, weights, n_run, n_edge,
                    row_number - band, n_column, row_number, west, zone,
                )  # fmt: skip
    return runs[:, :n_run], edges[:, :n_edge], weights[:, :n_edge]


def area_cover_reference(rings: Sequence[tuple[np.ndarray, bool]], shape: tuple[int, int]) -> np.ndarray:
    """Share of each cell inside a polygon, edge by edge on a dense grid, to read and to test `area_cover` against.

    Parameters
    ----------
    rings : sequence of ((n, 2) float64, bool)
        Closed rings as (column, row) counted in cells from the north-west corner; True for shells.
    shape : (height, width)
    """
    cover = np.zeros((shape[0] + 1, shape[1] + 1))
    for ring, shell in rings:
        x, y = ring.T
        area = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])  # positive clockwise, as rows count downwards
        sign = 1 if (area < 0) == shell else -1
        for (xa, ya), (xb, yb) in pairwise(ring):
            lines = [(k - xa) / (xb - xa) for k in range(shape[1] + 1) if xa != xb]
            lines += [(k - ya) / (yb - ya) for k in range(shape[0] + 1) if ya != yb]
            cuts = np.unique([0.0, *(t for t in lines if 0 < t < 1), 1.0])
            for t, u in pairwise(cuts):  # each piece lies in one cell
                middle_x, middle_y = xa + (xb - xa) * (t + u) / 2, ya + (yb - ya) * (t + u) / 2
                height = sign * (yb - ya) * (u - t)
                row, column = int(np.floor(middle_y)), int(np.floor(middle_x))
                if 0 <= row < shape[0]:
                    if 0 <= column < shape[1]:
                        cover[row, column] += height * (column + 1 - middle_x)
                    cover[row, max(column + 1, 0) :] += height
    return cover[:-1, :-1]


# --- centres ------------------------------------------------------------------------------------------------------


@kernel
def flip(bits, row, column):
    """Begin or end what is inside, from a cell on."""
    bits[row, column >> WORD_SHIFT] ^= 1 << (column & (WORD - 1))


@kernel
def centre_cover(xy, start, zone_start, first_zone, last_zone, left, top, dx, dy, width, height):
    """Runs (4, m) int32 of the cells whose centre lies inside the zones first_zone..last_zone-1, bit for bit as GDAL.

    A line through the centres of a row meets edges at x; cells from floor(x + 1/2) of one crossing to that of the next
    are inside.  An edge owns its upper end and not its lower one.  Edges that run along the line add their cells where
    they run westwards; GDAL turns every ring, holes too, clockwise for this.
    """
    runs = np.empty((4, 256), np.int32)
    n_run = 0
    inside, along = np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64)
    # GDALInvGeoTransform of a grid that is not rotated
    x_0, x_1, y_0, y_1 = -left / dx, 1.0 / dx, -top / -dy, 1.0 / -dy
    for zone in range(first_zone, last_zone):
        first_ring, last_ring = zone_start[zone], zone_start[zone + 1]
        first, n = start[first_ring], start[last_ring] - start[first_ring]
        bounds = bounds_of(xy, first, first + n)
        from_turn, to_turn, north, south, west, east = window_of(bounds, left, top, dx, dy, width, height)
        if from_turn > to_turn or north >= south or west >= east:
            continue
        n_turn = to_turn - from_turn + 1
        x, y = np.empty((n_turn, n), np.float64), np.empty(n, np.float64)
        for i in range(n):
            y[i] = y_0 + xy[first + i, 1] * y_1
            for turn in range(n_turn):
                x[turn, i] = x_0 + (xy[first + i, 0] + (from_turn + turn) * 360.0) * x_1

        n_column = east - west
        n_word = (n_column + WORD) // WORD
        n_row = max(1, min(south - north, BAND // (n_word * WORD)))
        if inside.shape[0] < n_row or inside.shape[1] < n_word:
            inside = np.zeros((max(n_row, inside.shape[0]), max(n_word, inside.shape[1])), np.int64)
            along = np.zeros_like(inside)
        for band in range(north, south, n_row):
            end = min(band + n_row, south)
            for ring in range(first_ring, last_ring):
                clockwise = direction(xy, start[ring], start[ring + 1], False) > 0
                for a in range(start[ring] - first, start[ring + 1] - first - 1):
                    b = a + 1
                    upper, lower = (b, a) if y[b] < y[a] or (y[b] == y[a] and not clockwise) else (a, b)
                    y_a, y_b = y[upper], y[lower]
                    if y_b < band or y_a > end:
                        continue
                    for turn in range(n_turn):
                        x_a, x_b = x[turn, upper], x[turn, lower]
                        if y_a == y_b:
                            line = int(np.floor(y_a))
                            if y_a == line + 0.5 and band <= line < end and x_a > x_b:
                                begin = int(np.floor(max(x_b + 0.5, west)))
                                stop = int(np.floor(min(x_a + 0.5, east)))
                                for cell in range(begin - west, stop - west):
                                    along[line - band, cell >> WORD_SHIFT] |= 1 << (cell & (WORD - 1))
                            continue
                        for line in range(max(band, int(np.floor(y_a - 0.5))), min(end, int(np.floor(y_b)) + 1)):
                            middle = line + 0.5
                            if y_a <= middle < y_b:
                                crossing = (middle - y_a) * (x_b - x_a) / (y_b - y_a) + x_a
                                flip(inside, line - band, int(np.floor(min(max(crossing + 0.5, west), east))) - west)
            for line in range(end - band):
                if n_run + n_column >= runs.shape[1]:
                    runs = longer(runs, n_run + n_column + 1)
                before = 0  # whether the last cell of the word before is inside
                begin = -1
                crossed = 0  # whether the crossings so far are odd
                for word in range(n_word):
                    bits = inside[line, word]
                    inside[line, word] = 0
                    # inside from the first crossing to before the second, and so on: parity of the crossings so far
                    for shift in (1, 2, 4, 8, 16):
                        bits ^= bits << shift
                    bits &= ALL
                    if crossed:
                        bits ^= ALL
                    crossed = bits >> (WORD - 1)
                    bits |= along[line, word]
                    along[line, word] = 0
                    turns = (bits ^ (bits << 1 | before)) & ALL
                    before = bits >> (WORD - 1)
                    while turns:
                        lowest = turns & -turns
                        turns ^= lowest
                        column = (word << WORD_SHIFT) + BIT_OF[(lowest * DE_BRUIJN >> 27) & 31]
                        if begin < 0:
                            begin = column
                        else:
                            n_run = add_run(runs, n_run, band + line, west + begin, west + min(column, n_column), zone)
                            begin = -1
                if 0 <= begin < n_column:
                    n_run = add_run(runs, n_run, band + line, west + begin, east, zone)
    return runs[:, :n_run]


def centre_cover_reference(rings: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Which centres lie inside, crossing by crossing, to read and to test `centre_cover` against.

    `rings` are closed, (n, 2) float64 (column, row) counted in cells from the north-west corner.
    """
    height, width = shape
    inside, along = np.zeros((height, width + 1), bool), np.zeros((height, width + 1), bool)
    for ring in rings:
        x, y = ring.T
        clockwise = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0  # as rows count downwards
        for (xa, ya), (xb, yb) in pairwise(ring if clockwise else ring[::-1]):
            for row in range(height):
                middle = row + 0.5
                if ya == yb == middle and xa > xb:
                    first, end = (np.clip(np.floor(x + 0.5), 0, width).astype(int) for x in (xb, xa))
                    along[row, first:end] = True
                elif min(ya, yb) <= middle < max(ya, yb):
                    upper, lower = ((xa, ya), (xb, yb)) if ya < yb else ((xb, yb), (xa, ya))
                    east = (middle - upper[1]) * (lower[0] - upper[0]) / (lower[1] - upper[1])
                    column = np.floor(east + upper[0] + 0.5)
                    inside[row, int(np.clip(column, 0, width)) :] ^= True
    return (inside | along)[:, :-1]
