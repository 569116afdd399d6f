"""Sums over the cells of zones, fused with the chain that makes annual lights: lights are never written.

Weights, areas and lights are integers and every product of them is added exactly, so the order of cells, the tiling
and the number of threads do not change one bit; a sum is rounded once, when it becomes a float.

A cell where no satellite ever saw light is never visited: what the visited cells leave of a zone's weight is dark.  The
others are listed zone by zone, so that their series, which `annual_series` computes, lie beside each other in memory
where they are added up.

Notation: w weight of a cell in a zone [2**-30], a area of that part [2**-k km2, see `area_bits`], v light of the cell
[2**-21 DN].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nightcore.errors import BadInputError
from nightcore.kernels import kernel
from nightcore.kernels.annual import annual_series, annual_steps_reference, dark_series
from nightcore.kernels.cover import WEIGHT_BITS, TileCover
from nightcore.kernels.fixed import LIMB, MISSING

STRIP = 8192  # cells of some rows that are looked at together: 8 kB of each composite, 34 of which fit the L2 cache
CHUNK = 2**15  # entries whose series are held at a time
BLOCK_BITS = 18  # 512 * 512 cells in one block
VALUE_BITS = 43  # of the largest magnitude: 2**9 cells of a row add up to at most 2**52, which floats hold exactly
ROW_BITS = 9
LOW_LIMB = 2**LIMB - 1
HALF_BITS = 16  # of a light
LOW_HALF = 2**HALF_BITS - 1
NOTHING = 2**31 - 1  # above all lights; what MISSING becomes without its sign

# What is kept of a zone and year while a block is added up, all int64:
#   LOW, HIGH          S w v in two limbs; WHOLE is S v of whole cells, which have w in common
#   A_LOW, A_HIGH      S a v in two limbs
#   LIT                S w where v > 0
#   UNSEEN, A_UNSEEN   S w and S a of cells that were not observed
#   SATURATED          S w by the number of thresholds that the brightest DN of the year reaches, one row each
# None overflows: a block holds 2**18 cells, each of them once in a zone, with w, a <= 2**30 and v < 2**31. So weights
# and areas add up to at most 2**48, and WHOLE to less than 2**49; a chunk adds less than 2**33 to a low limb, and 2**18
# products below 2**61 add less than 2**47 to a high one. Values have |v| <= 2**43: WHOLE stays within 2**61, and 2**18
# products within 2**73 add at most 2**59 to a high limb, 2**32 each to a low one.
LOW, HIGH, WHOLE, A_LOW, A_HIGH, LIT, UNSEEN, A_UNSEEN, SATURATED = range(9)


@dataclass(frozen=True)
class ZoneSums:
    """(zone, layer) sums over the cells of one block; exact integers.

    Attributes
    ----------
    weight, area : (zone,) int64
        S w and S a over all cells, observed or not.
    total, total_area : (2, zone, layer) int64
        S w v and S a v as high, low: high * 2**32 + low.
    lit : S w where v > 0
    missing, missing_area : S w and S a over cells that were not observed
    saturated : (threshold, zone, layer), S w of cells whose brightest observed DN of the year is at or above it
    low, high : smallest and largest observed v; where none was, low is above high (NOTHING and MISSING, or infinities)
    """

    weight: np.ndarray
    area: np.ndarray
    total: np.ndarray
    total_area: np.ndarray
    lit: np.ndarray
    missing: np.ndarray
    missing_area: np.ndarray
    saturated: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Window(NamedTuple):
    """A block of cells in planes of a larger raster, without a copy: cell (row, column) of it is cell origin +
    row * stride + column of the flattened plane."""

    origin: int
    stride: int
    height: int
    width: int

    @classmethod
    def of(
        cls, shape: tuple[int, ...], row: int = 0, column: int = 0, height: int | None = None, width: int | None = None
    ):
        """The window that begins at (row, column) of planes of `shape` (..., height, width); by default all of it."""
        stride = shape[-1]
        height, width = shape[-2] if height is None else height, stride if width is None else width
        return cls(row * stride + column, stride, height, width)


class Scratch:
    """Arrays that are used again from block to block: giving large ones back to the system and asking for them again
    costs more than filling them."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
        """An array of any content; what was taken under this name before is given back."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            held = self._held[name] = np.empty(size, dtype)
        return held[:size].reshape(shape)


# --- which cells are visited --------------------------------------------------------------------------------------


@kernel
def next_row(rows, first, row):
    """Place of the first of ascending `rows`, from `first` on, that is not above `row`."""
    while first < len(rows) and rows[first] < row:
        first += 1
    return first


@kernel
def visit(dn, composites, window, plain, runs, edges, places, most, kept):
    """Find the cells of a block that a zone covers and whose series has to be computed, row by row: their `places`
    int32, their largest DN `most` uint8, and their DN `kept` (composite, n) uint8, all with room for all cells.

    `dn` (layer, cell) uint8. Where `plain`, cells of nothing but 0 and 255 need no series, otherwise those of only 0.
    -> their number, and which rows of the block hold 255 (height,) bool.
    """
    run_row, run_start, run_stop, _ = runs
    edge_row, edge_column, _, _ = edges
    height, width = window.height, window.width
    gaps = np.zeros(height, np.bool_)
    strip = max(1, STRIP // width)
    size = (strip * width + 7) // 8 * 8  # whole words
    covered, largest, lit = np.zeros(size, np.uint8), np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    words, cells = covered.view(np.uint64), np.empty(size, np.uint64)
    n, run, edge = 0, 0, 0
    for top in range(0, height, strip):
        n_row = min(strip, height - top)
        first_run, first_edge = run, edge
        run, edge = next_row(run_row, run, top + n_row), next_row(edge_row, edge, top + n_row)
        if run == first_run and edge == first_edge:
            continue
        covered[:] = 0
        for i in range(first_run, run):
            begin = (run_row[i] - top) * width
            covered[begin + run_start[i] : begin + run_stop[i]] = 255
        for i in range(first_edge, edge):
            covered[(edge_row[i] - top) * width + edge_column[i]] = 255
        largest[:] = 0
        lit[:] = 0
        for i in range(len(composites)):
            for row in range(n_row):
                first = window.origin + (top + row) * window.stride
                layer = dn[composites[i], first : first + width]
                brightest, above = largest[row * width : (row + 1) * width], lit[row * width : (row + 1) * width]
                for column in range(width):
                    brightest[column] = max(brightest[column], layer[column])
                    # 255 becomes 0, 0 becomes 1
                    above[column] = max(above[column], np.uint8((np.int64(layer[column]) + 1) & 255))
        for row in range(n_row):
            brightest = np.uint8(0)
            for place in range(row * width, (row + 1) * width):
                brightest = max(brightest, largest[place] & covered[place])
            gaps[top + row] = brightest == 255
        for place in range(size):
            wanted = lit[place] > 1 if plain else largest[place] > 0
            covered[place] = covered[place] & 1 if wanted else 0

        found, row = 0, 0
        for word in range(len(words)):
            if words[word]:  # most are 0, and pass eight cells at a time
                for place in range(8 * word, 8 * word + 8):
                    if covered[place]:
                        while place >= (row + 1) * width:
                            row += 1
                        places[n + found], most[n + found] = top * width + place, largest[place]
                        cells[found] = window.origin + (top + row) * window.stride + place - row * width
                        found += 1
        # while the rows are in the cache of the processor
        for i in range(len(composites)):
            layer, of_layer = dn[composites[i]], kept[i, n : n + found]
            for k in range(found):
                of_layer[k] = layer[cells[k]]
        n += found
    return n, gaps


@kernel
def area_of_part(weight, area):
    """a of a cell: w times the area of a whole one, rounded half up."""
    return (np.int64(weight) * np.int64(area) + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS


@kernel
def whole_shares(runs, edges, area, n_zones):
    """(2, zone) int64 S w and S a over all cells of each zone."""
    run_row, run_start, run_stop, run_zone = runs
    edge_row, _, edge_zone, edge_weight = edges
    shares = np.zeros((2, n_zones), np.int64)
    for i in range(len(run_row)):
        length = np.int64(run_stop[i] - run_start[i])
        shares[0, run_zone[i]] += length << WEIGHT_BITS
        shares[1, run_zone[i]] += length * area[run_row[i]]
    for i in range(len(edge_row)):
        shares[0, edge_zone[i]] += edge_weight[i]
        shares[1, edge_zone[i]] += area_of_part(edge_weight[i], area[edge_row[i]])
    return shares


@kernel
def list_entries(places, runs, edges, area, width, n_zones, lane, weight, part):
    """Every (visited cell, zone), zone by zone and within it whole cells before the others: `lane` uint32, which of the
    ascending `places`, `weight` w and `part` a int32, all with room for all.

    -> bounds (2 * zone + 1,) int64: bounds[2z]:bounds[2z + 1] are the whole cells of zone z, up to bounds[2z + 2] its
    others; and (2, zone) int64, S w and S a over these.
    """
    run_row, run_start, run_stop, run_zone = runs
    edge_row, edge_column, edge_zone, edge_weight = edges
    n, whole = len(places), np.int64(1) << WEIGHT_BITS
    bounds, shares = np.zeros(2 * n_zones + 1, np.int64), np.zeros((2, n_zones), np.int64)
    # where each run's lanes begin and end, and each edge's lane, -1 where it is not visited
    of_run, of_edge = np.empty((len(run_row), 2), np.int32), np.full(len(edge_row), np.int32(-1), np.int32)
    first = 0
    for i in range(len(run_row)):
        z = run_zone[i]
        while first < n and places[first] < run_row[i] * width + run_start[i]:
            first += 1
        stop = first
        while stop < n and places[stop] < run_row[i] * width + run_stop[i]:
            stop += 1
        of_run[i, 0], of_run[i, 1] = first, stop
        bounds[2 * z + 1] += stop - first
        shares[0, z] += (stop - first) * whole
        shares[1, z] += (stop - first) * np.int64(area[run_row[i]])
    first = 0
    for i in range(len(edge_row)):
        z, place = edge_zone[i], edge_row[i] * width + edge_column[i]
        while first < n and places[first] < place:
            first += 1
        if first < n and places[first] == place:
            of_edge[i] = first
            bounds[2 * z + 2] += 1
            shares[0, z] += edge_weight[i]
            shares[1, z] += area_of_part(edge_weight[i], area[edge_row[i]])
    bounds = np.cumsum(bounds)

    following = bounds[:-1].copy()
    for i in range(len(run_row)):
        entry, a = following[2 * run_zone[i]], area[run_row[i]]
        for k in range(of_run[i, 0], of_run[i, 1]):
            lane[entry], weight[entry], part[entry] = k, whole, a
            entry += 1
        following[2 * run_zone[i]] = entry
    for i in range(len(edge_row)):
        if of_edge[i] >= 0:
            entry = following[2 * edge_zone[i] + 1]
            lane[entry], weight[entry] = of_edge[i], edge_weight[i]
            part[entry] = area_of_part(edge_weight[i], area[edge_row[i]])
            following[2 * edge_zone[i] + 1] = entry + 1
    return bounds, shares


@dataclass(frozen=True)
class Visited:
    """The cells of a block whose series have to be computed, and to which zones they belong.

    Attributes
    ----------
    dn : (composite, cell) uint8
        The first n count; cells in the order of rows.
    brightest : (n,) uint8
        Largest DN of each.
    lane : (entry,) uint32
        Which of them; zone by zone, whole cells first.
    weight, part : (entry,) int32
        w and a.
    bounds : (2 * zone + 1,) int64
        Entries bounds[2z]:bounds[2z + 1] are the whole cells of zone z, up to bounds[2z + 2] its others.
    shares : (2, zone) int64
        S w and S a.
    gaps : (height,) bool
        Rows of the block that hold 255.
    """

    dn: np.ndarray
    brightest: np.ndarray
    lane: np.ndarray
    weight: np.ndarray
    part: np.ndarray
    bounds: np.ndarray
    shares: np.ndarray
    gaps: np.ndarray


def visited_cells(
    flat: np.ndarray,
    composites: np.ndarray,
    window: Window,
    plain: bool,
    cover: TileCover,
    area: np.ndarray,
    scratch: Scratch,
) -> Visited:
    """`visit` and `list_entries` of a block; `flat` (layer, cell)."""
    n_cell = window.height * window.width
    places, most = scratch.take("places", (n_cell,), np.int32), scratch.take("most", (n_cell,), np.uint8)
    dn = scratch.take("dn", (len(composites), n_cell), np.uint8)
    runs, edges = runs_of(cover), edges_of(cover)
    n, gaps = visit(flat, composites, window, plain, runs, edges, places, most, dn)
    room = int((cover.run_stop - cover.run_start).sum()) + len(cover.edge_row)
    lane = scratch.take("lane", (room,), np.uint32)
    weight, part = scratch.take("weight", (room,), np.int32), scratch.take("part", (room,), np.int32)
    n_zones = len(cover.zones)
    bounds, shares = list_entries(places[:n], runs, edges, area, window.width, n_zones, lane, weight, part)
    end = int(bounds[-1])
    return Visited(dn, most[:n], lane[:end], weight[:end], part[:end], bounds, shares, gaps)


# --- what they add to zones ---------------------------------------------------------------------------------------


@kernel
def add_product(factor, v, sums, low, high, year):
    """Add S factor v, in limbs of 32 bits, to sums[low, year] and sums[high, year].

    With factor <= 2**30, v < 2**31 and at most 2**15 of them, the sums over halves of v stay below 2**61.
    """
    of_low, of_high = 0, 0
    for i in range(len(v)):
        light = max(v[i], 0)
        of_low += np.int64(factor[i]) * np.int64(light & LOW_HALF)
        of_high += np.int64(factor[i]) * np.int64(light >> HALF_BITS)
    sums[low, year] += (of_low & LOW_LIMB) + ((of_high & LOW_HALF) << HALF_BITS)
    sums[high, year] += (of_low >> LIMB) + (of_high >> HALF_BITS)


@kernel
def add_series(series, bounds, weight, part, n_zones, sums, extremes):
    """Add `series` (year, n) of n <= 2**15 entries, of which bounds[s]:bounds[s + 1] are a segment as in
    `list_entries`, to `sums` (zone, quantity, year) and `extremes` (zone, 2, year)."""
    for segment in range(2 * n_zones):
        first, stop = bounds[segment], bounds[segment + 1]
        if first == stop:
            continue
        z, whole = segment // 2, segment % 2 == 0
        w, a = weight[first:stop], part[first:stop]
        for year in range(len(series)):
            v = series[year, first:stop]
            low, high, signs, n_lit = np.int32(NOTHING), np.int32(MISSING), np.int32(0), 0
            for i in range(len(v)):
                low = min(low, v[i] & NOTHING)
                high = max(high, v[i])
                signs |= v[i]
                n_lit += v[i] > 0
            extremes[z, 0, year] = min(extremes[z, 0, year], low)
            extremes[z, 1, year] = max(extremes[z, 1, year], high)
            if high > 0:
                add_product(a, v, sums[z], A_LOW, A_HIGH, year)
                if whole:
                    total = 0
                    for i in range(len(v)):
                        total += max(v[i], 0)
                    sums[z, WHOLE, year] += total
                    sums[z, LIT, year] += n_lit << WEIGHT_BITS
                else:
                    add_product(w, v, sums[z], LOW, HIGH, year)
                    lit = 0
                    for i in range(len(v)):
                        lit += w[i] if v[i] > 0 else 0
                    sums[z, LIT, year] += lit
            if signs < 0:
                for i in range(len(v)):
                    if v[i] == MISSING:
                        sums[z, UNSEEN, year] += w[i]
                        sums[z, A_UNSEEN, year] += a[i]


@kernel
def add_saturated(kept, lane, most, bounds, weight, curves, year_start, thresholds, n_zones, sums):
    """Add the entries whose brightest observed DN of a year reaches any of the ascending `thresholds`: `kept`
    (composite, lane) DN, `lane` of each entry, `most` (lane,) the largest DN over all years."""
    bright, zone = np.empty(len(lane), np.int64), np.empty(len(lane), np.int64)
    n = 0
    for z in range(n_zones):
        for entry in range(bounds[2 * z], bounds[2 * z + 2]):
            if most[lane[entry]] >= thresholds[0]:
                bright[n], zone[n] = entry, z
                n += 1
    brightest = np.empty(n, np.uint8)
    for year in range(len(year_start) - 1):
        brightest[:] = 0
        for i in range(year_start[year], year_start[year + 1]):
            layer, curve = kept[i], curves[i]
            for k in range(n):
                level = layer[lane[bright[k]]]
                brightest[k] = max(brightest[k], level if curve[level] != MISSING else np.uint8(0))
        for k in range(n):
            reached = 0
            for threshold in thresholds:
                reached += brightest[k] >= threshold
            if reached:
                sums[zone[k], SATURATED - 1 + reached, year] += weight[bright[k]]


@kernel
def unseen_plain(dn, composites, window, year_start, gaps, runs, edges, area, n_zones):
    """(2, zone, year) int64 S w and S a of cells of nothing but 0 and 255, over the years in which they are 255 in all
    composites; rows without `gaps` have none."""
    run_row, run_start, run_stop, run_zone = runs
    edge_row, edge_column, edge_zone, edge_weight = edges
    n_year, width = len(year_start) - 1, window.width
    sums = np.zeros((2, n_zones, n_year), np.int64)
    plain, unseen = np.empty(width, np.uint8), np.empty(width, np.uint8)
    run, edge = 0, 0
    for row in range(window.height):
        first_run, first_edge = run, edge
        run, edge = next_row(run_row, run, row + 1), next_row(edge_row, edge, row + 1)
        if not gaps[row]:
            continue
        first = window.origin + row * window.stride
        plain[:] = 0
        for i in range(len(composites)):
            layer = dn[composites[i], first : first + width]
            for column in range(width):
                plain[column] = max(plain[column], np.uint8((np.int64(layer[column]) + 1) & 255))
        for year in range(n_year):
            unseen[:] = 255
            for i in range(year_start[year], year_start[year + 1]):
                layer = dn[composites[i], first : first + width]
                for column in range(width):
                    unseen[column] = min(unseen[column], layer[column])
            some = 0
            for column in range(width):
                unseen[column] = unseen[column] == 255 and plain[column] <= 1
                some += unseen[column]
            if some == 0:
                continue
            for i in range(first_run, run):
                n = 0
                for cell in unseen[run_start[i] : run_stop[i]]:
                    n += cell
                sums[0, run_zone[i], year] += n << WEIGHT_BITS
                sums[1, run_zone[i], year] += n * np.int64(area[row])
            for i in range(first_edge, edge):
                if unseen[edge_column[i]]:
                    sums[0, edge_zone[i], year] += edge_weight[i]
                    sums[1, edge_zone[i], year] += area_of_part(edge_weight[i], area[row])
    return sums


# --- DN of a store ------------------------------------------------------------------------------------------------


def zone_sums(
    dn: np.ndarray,
    composites: np.ndarray,
    window: Window,
    curves: np.ndarray,
    year_start: np.ndarray,
    merge_code: int,
    continuity_code: int,
    cover: TileCover,
    area: np.ndarray,
    thresholds: np.ndarray,
    scratch: Scratch | None = None,
) -> ZoneSums:
    """Annual lights of one block, summed over the zones of its cover.

    Parameters
    ----------
    dn : (layer, y, x) uint8
        255 missing; the block is `window` of it.
    composites : (composite,) int64
        Layers used, by year, then satellite.
    window : Window
    curves : (composite, 256) int32
        From `kernels.fixed.quantise`.
    year_start : (year + 1,) int64
        Composites year_start[i]:year_start[i + 1] are those of year i.
    merge_code, continuity_code : int
        From MERGE_RULES and CONTINUITY_RULES.
    cover : TileCover
    area : (height,) int32
        Area of one cell in each row of the block, from `kernels.fixed.quantise_area`.
    thresholds : (t,) int64
        Raw DN, ascending and above 0, of which `saturated` tells how often the brightest of a year reaches them.
    scratch : Scratch, optional
        Kept by a thread from block to block.
    """
    check_cover(cover, window, area)
    scratch = scratch or Scratch()
    flat = dn.reshape(len(dn), -1)
    chain = (curves, year_start, merge_code, continuity_code)
    n_year, n_zones = len(year_start) - 1, len(cover.zones)
    runs, edges = runs_of(cover), edges_of(cover)
    # where 0 stays dark and 255 missing, so does a cell of nothing else, whatever the rules
    plain = bool((curves[:, 0] == 0).all() and (curves[:, 255] == MISSING).all())
    found = visited_cells(flat, composites, window, plain, cover, area, scratch)
    sums, extremes = empty_sums(n_zones, n_year, len(thresholds))
    layers = np.arange(len(composites))
    for first in range(0, len(found.lane), CHUNK):
        lane, weight, part = (each[first : first + CHUNK] for each in (found.lane, found.weight, found.part))
        bounds = np.clip(found.bounds - first, 0, len(lane))
        series = scratch.take("series", (n_year, len(lane)), np.int32)
        annual_series(found.dn, layers, lane, *chain, series)
        add_series(series, bounds, weight, part, n_zones, sums, extremes)
        if len(thresholds):
            add_saturated(
                found.dn, lane, found.brightest, bounds, weight, curves, year_start, thresholds, n_zones, sums
            )
    unseen = np.zeros((2, n_zones, n_year), np.int64)
    if plain and found.gaps.any():
        unseen = unseen_plain(flat, composites, window, year_start, found.gaps, runs, edges, area, n_zones)
    shares = whole_shares(runs, edges, area, n_zones)
    return complete(sums, extremes, shares, found.shares, unseen, dark_series(*chain))


@kernel
def finish(sums, extremes, shares, visited, unseen, dark):
    """Add to each zone the cells that were not visited, by the weight that is left of it, and carry limbs.

    `shares` and `visited` (2, zone) are S w and S a over all cells, and over those visited.
    `unseen` (2, zone, year) is what of these cells was not observed although their series `dark` (year,) was.
    -> (quantity, zone, year) int64: high and low limb of S w v, of S a v, then S w where lit, S w and S a not observed,
    and S w at or above each threshold; and the extremes (2, zone, year) int32.
    """
    n_zones, n_kept, n_year = sums.shape
    out = np.empty((7 + n_kept - SATURATED, n_zones, n_year), np.int64)
    ends = np.empty((2, n_zones, n_year), np.int32)
    for z in range(n_zones):
        left, area_left = shares[0, z] - visited[0, z], shares[1, z] - visited[1, z]
        for year in range(n_year):
            of = sums[z, :, year]
            v = np.int64(max(dark[year], 0))
            product, a_product = (left & LOW_LIMB) * v, (area_left & LOW_LIMB) * v
            whole = of[WHOLE]
            low = of[LOW] + ((whole << WEIGHT_BITS) & LOW_LIMB) + (product & LOW_LIMB)
            a_low = of[A_LOW] + (a_product & LOW_LIMB)
            out[0, z, year] = (
                of[HIGH] + (whole >> (LIMB - WEIGHT_BITS)) + (product >> LIMB) + (left >> LIMB) * v + (low >> LIMB)
            )
            out[1, z, year] = low & LOW_LIMB
            out[2, z, year] = of[A_HIGH] + (a_product >> LIMB) + (area_left >> LIMB) * v + (a_low >> LIMB)
            out[3, z, year] = a_low & LOW_LIMB
            out[4, z, year] = of[LIT] + (left if v > 0 else 0)
            out[5, z, year] = of[UNSEEN] + unseen[0, z, year] + (left if dark[year] == MISSING else 0)
            out[6, z, year] = of[A_UNSEEN] + unseen[1, z, year] + (area_left if dark[year] == MISSING else 0)
            reached = np.int64(0)
            for threshold in range(n_kept - SATURATED - 1, -1, -1):  # whoever reaches one reaches those below it
                reached += of[SATURATED + threshold]
                out[7 + threshold, z, year] = reached
            ends[0, z, year], ends[1, z, year] = extremes[z, 0, year], extremes[z, 1, year]
            if dark[year] != MISSING and left > unseen[0, z, year]:
                ends[0, z, year] = min(ends[0, z, year], dark[year])
                ends[1, z, year] = max(ends[1, z, year], dark[year])
    return out, ends


def dark_sums(
    curves: np.ndarray,
    year_start: np.ndarray,
    merge_code: int,
    continuity_code: int,
    cover: TileCover,
    area: np.ndarray,
    thresholds: np.ndarray,
) -> ZoneSums:
    """`zone_sums` of a block that is 0 in all composites."""
    n_zones, n_year = len(cover.zones), len(year_start) - 1
    shares = whole_shares(runs_of(cover), edges_of(cover), area, n_zones)
    sums, extremes = empty_sums(n_zones, n_year, len(thresholds))
    unseen = np.zeros((2, n_zones, n_year), np.int64)
    return complete(
        sums, extremes, shares, 0 * shares, unseen, dark_series(curves, year_start, merge_code, continuity_code)
    )


def empty_sums(n_zones: int, n_year: int, n_threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums (zone, quantity, year) and extremes (zone, 2, year) of nothing."""
    extremes = np.empty((n_zones, 2, n_year), np.int32)
    extremes[:, 0], extremes[:, 1] = NOTHING, MISSING
    return np.zeros((n_zones, SATURATED + n_threshold, n_year), np.int64), extremes


def complete(
    sums: np.ndarray,
    extremes: np.ndarray,
    shares: np.ndarray,
    visited: np.ndarray,
    unseen: np.ndarray,
    dark: np.ndarray,
) -> ZoneSums:
    """`finish` by name."""
    out, (low, high) = finish(sums, extremes, shares, visited, unseen, dark)
    return ZoneSums(shares[0], shares[1], out[0:2], out[2:4], out[4], out[5], out[6], out[7:], low, high)


def zone_sums_reference(
    dn: np.ndarray,
    composites: np.ndarray,
    window: Window,
    curves: np.ndarray,
    year_start: np.ndarray,
    merge_code: int,
    continuity_code: int,
    cover: TileCover,
    area: np.ndarray,
    thresholds: np.ndarray,
) -> ZoneSums:
    """`zone_sums` in NumPy, to read and to test against."""
    row, column, zone, weight = cover.entries()
    dn = dn.reshape(len(dn), -1)[composites][:, window.origin + row * np.int64(window.stride) + column]
    v = annual_steps_reference(dn, curves, year_start, merge_code, continuity_code)
    observed = np.where(np.take_along_axis(curves, dn.astype(np.intp), axis=1) == MISSING, 0, dn)
    brightest = np.maximum.reduceat(observed, year_start[:-1], axis=0)
    found = sums_reference(np.where(v == MISSING, np.nan, v), zone, weight, area[row], len(cover.zones))
    reached = [add_exactly(brightest >= threshold, zone, weight, len(cover.zones)) for threshold in thresholds]
    return replace(
        found,
        saturated=np.array(reached, np.int64).reshape(len(thresholds), *found.lit.shape),
        low=np.nan_to_num(found.low, posinf=NOTHING).astype(np.int32),
        high=np.nan_to_num(found.high, neginf=MISSING).astype(np.int32),
    )


# --- any values ---------------------------------------------------------------------------------------------------


def value_bits(largest: float) -> int:
    """Binary places of values whose largest magnitude is `largest`; 2**-44 of it is the most that rounding moves one.

    Raises
    ------
    BadInputError
        It is infinite.
    """
    if not math.isfinite(largest):
        raise BadInputError(f"the raster holds {largest}: expected finite values, NaN where missing.")
    return min(VALUE_BITS - math.frexp(largest)[1], 1000)  # 2**1024 is no float, and values that small are none either


@kernel
def largest_of(bits):
    """Largest of some bits without their sign, those of NaN passed over."""
    # without their sign, floats are ordered as their bits are, and NaN lies above infinity
    integer, mantissa = bits.dtype.type, 23 if bits.itemsize == 4 else 52
    unsigned = integer((1 << (8 * bits.itemsize - 1)) - 1)
    infinity = integer((unsigned >> mantissa) << mantissa)
    found = integer(0)
    for i in range(len(bits)):
        magnitude = integer(bits[i] & unsigned)
        found = max(found, magnitude if magnitude <= infinity else integer(0))
    return found


@kernel
def covered_spans(runs, edges, width):
    """(3, n) int64 row, start and stop of the longest stretches of a block's rows that zones cover without a gap."""
    run_row, run_start, run_stop, _ = runs
    edge_row, edge_column, _, _ = edges
    spans = np.empty((3, len(run_row) + len(edge_row)), np.int64)
    n, run, edge = 0, 0, 0
    for _ in range(spans.shape[1]):
        # whichever begins first
        if edge == len(edge_row) or (
            run < len(run_row) and run_row[run] * width + run_start[run] <= edge_row[edge] * width + edge_column[edge]
        ):
            row, start, stop = run_row[run], run_start[run], run_stop[run]
            run += 1
        else:
            row, start, stop = edge_row[edge], edge_column[edge], edge_column[edge] + 1
            edge += 1
        if n and spans[0, n - 1] == row and start <= spans[2, n - 1]:
            spans[2, n - 1] = max(spans[2, n - 1], stop)
        else:
            spans[0, n], spans[1, n], spans[2, n] = row, start, stop
            n += 1
    return spans[:, :n]


@kernel
def largest_magnitude(bits, window, runs, edges):
    """Largest magnitude, as its bits, of the floats whose bits are `bits` (layer, cell) integers, at the cells of a
    cover; NaN is passed over, infinity is not."""
    largest = bits.dtype.type(0)
    spans = covered_spans(runs, edges, window.width)
    for layer in range(len(bits)):
        for i in range(spans.shape[1]):
            first = window.origin + spans[0, i] * window.stride
            largest = max(largest, largest_of(bits[layer, first + spans[1, i] : first + spans[2, i]]))
    return largest


@kernel
def carry(low, high, of, low_limb, high_limb):
    """Add high * 2**32 + low to the limbs of[low_limb] and of[high_limb]."""
    of[low_limb] += low & LOW_LIMB
    of[high_limb] += (low >> LIMB) + high


@kernel
def add_products(w, a, v, scale, of):
    """Add S w rint(v scale) and S a rint(v scale), NaN passed over, to the sums `of` (quantity,)."""
    low, high, a_low, a_high = 0, 0, 0, 0
    for k in range(len(v)):
        units = np.int64(np.rint(np.float64(v[k] if v[k] == v[k] else v.dtype.type(0)) * scale))
        product, a_product = w[k] * (units & LOW_LIMB), a[k] * (units & LOW_LIMB)
        low += product & LOW_LIMB
        high += (product >> LIMB) + w[k] * (units >> LIMB)
        a_low += a_product & LOW_LIMB
        a_high += (a_product >> LIMB) + a[k] * (units >> LIMB)
    carry(low, high, of, LOW, HIGH)
    carry(a_low, a_high, of, A_LOW, A_HIGH)


@kernel
def by_zone(edge_zone, n_zones):
    """Places of edges zone by zone, in their order within each, and where each zone's begin (zone + 1,)."""
    bounds = np.zeros(n_zones + 1, np.int64)
    for z in edge_zone:
        bounds[z + 1] += 1
    bounds = np.cumsum(bounds)
    following, order = bounds[:-1].copy(), np.empty(len(edge_zone), np.int64)
    for i in range(len(edge_zone)):
        order[following[edge_zone[i]]] = i
        following[edge_zone[i]] += 1
    return order, bounds


@kernel(reorder=True)
def reduce_run(v, bits, scale):
    """Of the values `v` (n,) with their `bits`: S rint(v scale), exact for n <= 2**9; how many were observed, and are
    above 0; smallest and largest, as integers that grow with them."""
    integer, sign = bits.dtype.type, 8 * bits.itemsize - 1
    top = integer((1 << sign) - 1)
    bottom = integer(~top)
    total, n_seen, n_lit, low, high = 0.0, np.int32(0), np.int32(0), top, bottom
    for i in range(len(v)):
        value = v[i]
        seen = value == value
        total += np.rint(np.float64(value if seen else v.dtype.type(0)) * scale)
        n_seen = np.int32(n_seen + seen)
        n_lit = np.int32(n_lit + (value > 0))
        # the bits of a negative float fall as it grows
        place = integer(bits[i] ^ ((bits[i] >> sign) & top))
        low = min(low, place if seen else top)
        high = max(high, place if seen else bottom)
    return np.int64(total), n_seen, n_lit, low, high


@kernel
def add_values(values, bits, window, scale, runs, edges, area, n_zones):
    """Add `values` (layer, cell) float, which have these `bits` as integers, to zones, in steps of 1 / scale.

    -> sums (layer, zone, quantity) int64; shares (2, zone) int64, S w and S a of all cells; and smallest and largest
    value (2, layer, zone), as `reduce_run` gives them.
    """
    run_row, run_start, run_stop, run_zone = runs
    edge_row, edge_column, edge_zone, edge_weight = edges
    n_layer = len(values)
    integer, sign = bits.dtype.type, 8 * bits.itemsize - 1
    top = integer((1 << sign) - 1)
    sums = np.zeros((n_layer, n_zones, SATURATED), np.int64)
    ends = np.empty((2, n_layer, n_zones), bits.dtype)
    ends[0], ends[1] = top, integer(~top)
    shares = whole_shares(runs, edges, area, n_zones)
    whole = np.int64(1) << WEIGHT_BITS
    order, bounds = by_zone(edge_zone, n_zones)
    cell, weight, part = np.empty_like(order), np.empty_like(order), np.empty_like(order)
    for k in range(len(order)):
        i = order[k]
        cell[k] = window.origin + edge_row[i] * window.stride + edge_column[i]
        weight[k], part[k] = edge_weight[i], area_of_part(edge_weight[i], area[edge_row[i]])

    edge_value, edge_bits = np.empty(len(order), values.dtype), np.empty(len(order), bits.dtype)

    # layer by layer, because a layer's cells lie beside each other in memory
    for layer in range(n_layer):
        for i in range(len(run_row)):
            z, a, length = run_zone[i], np.int64(area[run_row[i]]), run_stop[i] - run_start[i]
            first = window.origin + run_row[i] * window.stride + run_start[i]
            found = reduce_run(values[layer, first : first + length], bits[layer, first : first + length], scale)
            units, n_seen, n_lit, low, high = found
            of = sums[layer, z]
            of[WHOLE] += units
            carry(a * (units & LOW_LIMB), a * (units >> LIMB), of, A_LOW, A_HIGH)
            of[LIT] += n_lit * whole
            of[UNSEEN] += (length - n_seen) * whole
            of[A_UNSEEN] += (length - n_seen) * a
            ends[0, layer, z] = min(ends[0, layer, z], low)
            ends[1, layer, z] = max(ends[1, layer, z], high)
        for k in range(len(order)):
            edge_value[k], edge_bits[k] = values[layer, cell[k]], bits[layer, cell[k]]
        for z in range(n_zones):
            v, w, a = (
                edge_value[bounds[z] : bounds[z + 1]],
                weight[bounds[z] : bounds[z + 1]],
                part[bounds[z] : bounds[z + 1]],
            )
            _, n_seen, n_lit, low, high = reduce_run(v, edge_bits[bounds[z] : bounds[z + 1]], scale)
            of = sums[layer, z]
            add_products(w, a, v, scale, of)
            if n_lit:
                for k in range(len(v)):
                    of[LIT] += w[k] if v[k] > 0 else 0
            if n_seen < len(v):
                for k in range(len(v)):
                    if v[k] != v[k]:
                        of[UNSEEN] += w[k]
                        of[A_UNSEEN] += a[k]
            ends[0, layer, z] = min(ends[0, layer, z], low)
            ends[1, layer, z] = max(ends[1, layer, z], high)
    return sums, shares, ends


def largest_value(values: np.ndarray, window: Window, cover: TileCover) -> float:
    """Largest magnitude of a block of `zone_sums_values` at the cells of its cover, NaN passed over; 0 where none."""
    check_cover(cover, window)
    flat = values.reshape(len(values), -1)
    order = flat.view(np.int32 if flat.dtype == np.float32 else np.int64)
    found = largest_magnitude(order, window, runs_of(cover), edges_of(cover))
    return float(np.array([found], order.dtype).view(flat.dtype)[0])


def zone_sums_values(values: np.ndarray, window: Window, bits: int, cover: TileCover, area: np.ndarray) -> ZoneSums:
    """Values of one block, summed over the zones of its cover.

    Parameters
    ----------
    values : (layer, y, x) float32 or float64, in one piece
        NaN missing; the block is `window` of it.
    window : Window
    bits : int
        From `value_bits`; sums are in steps of 2**-bits.
    cover, area
        As in `zone_sums`.
    """
    check_cover(cover, window, area)
    if window.width > 2**ROW_BITS:
        raise ValueError(
            f"a block has rows of {window.width} cells: expected at most {2**ROW_BITS}; cut it into tiles."
        )
    flat = values.reshape(len(values), -1)
    order = flat.view(np.int32 if flat.dtype == np.float32 else np.int64)
    sums, shares, ends = add_values(
        flat, order, window, 2.0**bits, runs_of(cover), edges_of(cover), area, len(cover.zones)
    )
    sums, ends = sums.transpose(2, 1, 0), ends.transpose(0, 2, 1)
    floats = np.where(ends < 0, ends ^ np.iinfo(ends.dtype).max, ends).view(flat.dtype).astype(np.float64)
    floats += 0.0  # 0, not -0
    nothing = ends[0] > ends[1]
    whole = sums[WHOLE]
    return ZoneSums(
        weight=shares[0],
        area=shares[1],
        total=carried(sums[HIGH] + (whole >> (LIMB - WEIGHT_BITS)), sums[LOW] + ((whole << WEIGHT_BITS) & LOW_LIMB)),
        total_area=carried(sums[A_HIGH], sums[A_LOW]),
        lit=sums[LIT],
        missing=sums[UNSEEN],
        missing_area=sums[A_UNSEEN],
        saturated=np.zeros((0, *sums[LIT].shape), np.int64),
        low=np.where(nothing, np.inf, floats[0]),
        high=np.where(nothing, -np.inf, floats[1]),
    )


def zone_sums_values_reference(
    values: np.ndarray, window: Window, bits: int, cover: TileCover, area: np.ndarray
) -> ZoneSums:
    """`zone_sums_values` in NumPy, to read and to test against."""
    row, column, zone, weight = cover.entries()
    v = values.reshape(len(values), -1)[:, window.origin + row * np.int64(window.stride) + column].astype(np.float64)
    found = sums_reference(np.rint(v * 2.0**bits), zone, weight, area[row], len(cover.zones))
    ends = np.full((2, len(cover.zones), len(v)), [[[np.inf]], [[-np.inf]]])
    np.minimum.at(ends[0], zone, np.where(np.isnan(v), np.inf, v).T)
    np.maximum.at(ends[1], zone, np.where(np.isnan(v), -np.inf, v).T)
    return replace(found, lit=add_exactly(v > 0, zone, weight, len(cover.zones)), low=ends[0], high=ends[1])


# --- shared -------------------------------------------------------------------------------------------------------


def carried(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """(2, ...) high * 2**32 + low with the lower limb in 0..2**32 - 1."""
    return np.stack([high + (low >> LIMB), low & LOW_LIMB])


def add_exactly(mask: np.ndarray, zone: np.ndarray, units: np.ndarray, n_zones: int) -> np.ndarray:
    """(zone, layer) Python integers: S units over the entries where `mask` (layer, entry)."""
    sums = np.zeros((n_zones, len(mask)), object)
    np.add.at(sums, zone, np.where(mask, units, 0).astype(object).T)
    return sums


def sums_reference(v: np.ndarray, zone: np.ndarray, weight: np.ndarray, area: np.ndarray, n_zones: int) -> ZoneSums:
    """Sums of whole numbers `v` (layer, entry), NaN missing, in integers without bound; `area` of a whole cell."""
    w = weight.astype(object)
    a = (w * area.astype(object) + 2 ** (WEIGHT_BITS - 1)) // 2**WEIGHT_BITS
    seen, all_cells = ~np.isnan(v), np.ones((1, len(zone)), bool)
    known = np.where(seen, v, 0).astype(np.int64).astype(object)

    def limbs(units: np.ndarray) -> np.ndarray:
        total = add_exactly(seen, zone, units, n_zones)
        return np.stack([total >> LIMB, total & LOW_LIMB]).astype(np.int64)

    low, high = np.full((n_zones, len(v)), np.inf), np.full((n_zones, len(v)), -np.inf)
    np.minimum.at(low, zone, np.where(seen, v, np.inf).T)
    np.maximum.at(high, zone, np.where(seen, v, -np.inf).T)
    return ZoneSums(
        weight=add_exactly(all_cells, zone, w, n_zones)[:, 0],
        area=add_exactly(all_cells, zone, a, n_zones)[:, 0],
        total=limbs(known * w),
        total_area=limbs(known * a),
        lit=add_exactly(seen & (known > 0), zone, w, n_zones),
        missing=add_exactly(~seen, zone, w, n_zones),
        missing_area=add_exactly(~seen, zone, a, n_zones),
        saturated=np.zeros((0, n_zones, len(v)), np.int64),
        low=low,
        high=high,
    )


def runs_of(cover: TileCover) -> tuple[np.ndarray, ...]:
    return cover.run_row, cover.run_start, cover.run_stop, cover.run_zone


def edges_of(cover: TileCover) -> tuple[np.ndarray, ...]:
    return cover.edge_row, cover.edge_column, cover.edge_zone, cover.edge_weight


def check_cover(cover: TileCover, window: Window, area: np.ndarray | None = None) -> None:
    """Kernels check neither an index nor an order nor an overflow, so all are checked before."""
    height, width = window.height, window.width
    if height * width > 2**BLOCK_BITS:
        raise ValueError(f"a block has {height} x {width} cells: expected at most 2**{BLOCK_BITS}; cut it into tiles.")
    if area is not None and area.shape != (height,):
        raise ValueError(f"{area.size} areas were given for {height} rows: expected one for each.")
    runs, edges = runs_of(cover), edges_of(cover)
    zones = range(len(cover.zones))
    inside = all(
        within(part, bounds)
        for part, bounds in (
            (runs[0], range(height)),
            (runs[1], range(width)),
            (runs[2], range(1, width + 1)),
            (runs[3], zones),
            (edges[0], range(height)),
            (edges[1], range(width)),
            (edges[2], zones),
            (edges[3], range(1, 2**WEIGHT_BITS + 1)),
        )
    )
    ordered = all((np.diff(row * np.int64(width) + first) >= 0).all() for row, first in (runs[:2], edges[:2]))
    if not inside or not ordered or (runs[1] >= runs[2]).any():
        raise ValueError(
            f"the cover does not fit a block of {height} x {width} cells, or is not ordered by row and column: take it "
            f"from coverage.block of this tile."
        )


def within(values: np.ndarray, bounds: range) -> bool:
    return not len(values) or (values.min() >= bounds.start and values.max() < bounds.stop)
