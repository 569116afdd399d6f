"""Sums over the cells of zones, fused with the chain that makes annual lights: lights are never written.

Every contribution of a cell to a zone is rounded once to a multiple of 2**-bits and added as an integer, so the order
of cells, the tiling and the number of threads do not change one bit.  The scale depends only on the largest light and
the largest cell (`sum_bits`, `value_bits`), never on how the work is cut up.  With 36 bits the rounding moves one
contribution by at most 7.3e-12 DN: a zone of a million cells by at most 7.3e-6 DN, and by some 4e-9 DN where roundings
are independent.

Notation: w weight of a cell in a zone, a area of the cell [km2], v its light [DN].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nightcore.errors import BadInputError
from nightcore.kernels import kernel
from nightcore.kernels.annual import annual_series, annual_steps_reference, ever_lit
from nightcore.kernels.fixed import CURVE_BITS, MERGED_BITS, MISSING

# 512 * 512 cells in one block; a block of more is refused where its sums could overflow
BLOCK_BITS = 18
# One scale for all ordinary curves, so that a table does not change in its last digits with the composites chosen:
# 62 bits hold 2**18 cells of up to 256 DN km2 at 2**-36.
SUM_BITS = 36
ROOM = 62  # bits of an int64 below its sign, less one against the rounding of each contribution

TOTAL, CELLS, TOTAL_AREA, AREA, LIT, SATURATED, UNSEEN = range(7)


@dataclass(frozen=True)
class ZoneSums:
    """(zone, layer) sums over the cells of one block; int64 in units of 2**-bits.

    Attributes
    ----------
    total : S w v
    cells : S w over observed cells
    total_area : S w a v
    area : S w a over observed cells
    lit : S w where v > 0
    saturated : S w of observed cells where a raw DN of the year is at the ceiling; None for values
    missing : S w over cells that were not observed
    low, high : float64, smallest and largest observed v, NaN where none; in units of 2**-21 DN from a store's DN,
        as they are for values
    """

    total: np.ndarray
    cells: np.ndarray
    total_area: np.ndarray
    area: np.ndarray
    lit: np.ndarray
    saturated: np.ndarray | None
    missing: np.ndarray
    low: np.ndarray
    high: np.ndarray


# --- scale --------------------------------------------------------------------------------------------------------


def bits_for(largest: float, area: float) -> int:
    """Binary places at which the sums of a block of 2**18 cells, with lights up to `largest` and cells up to `area`
    [km2], fit an int64."""
    _, exponent = math.frexp(max(1.0, largest) * max(1.0, area))
    return ROOM - BLOCK_BITS - exponent


def sum_bits(curves: np.ndarray, area: float = 1.0) -> int:
    """Scale of the sums of DN.

    Parameters
    ----------
    curves : (composite, 256) int32
        From `kernels.fixed.quantise`.
    area : float
        Area of the largest cell of the grid [km2]; cells of 30 arc-seconds stay below 1.
    """
    return min(SUM_BITS, bits_for(float(curves.max()) * 2.0**-CURVE_BITS, float(area)))


def value_bits(largest: float, area: float = 1.0) -> int:
    """Scale of the sums of values whose largest magnitude is `largest`, on cells of up to `area` [km2].

    Values that are all far below 1 lose relative accuracy: at most 2**-45 of a unit a cell is rounded away.

    Raises
    ------
    BadInputError
        A value is infinite, or so large that a unit would be rounded away.
    """
    if not math.isfinite(largest):
        raise BadInputError(f"the raster holds {largest}: expected finite values, NaN where missing.")
    bits = bits_for(largest, float(area))
    if bits < 0:
        raise BadInputError(
            f"values up to {largest:g} on cells of up to {area:g} km2 cannot be summed exactly: "
            f"mark no-data cells as NaN (attribute _FillValue), or change the unit of the values."
        )
    return bits


# --- exact addition of blocks -------------------------------------------------------------------------------------

LIMB = 32


class ExactSum:
    """Sum of int64 blocks in two limbs, high * 2**32 + low, without overflow and without rounding.

    `shape` is (zone, layer); all start at 0.
    """

    def __init__(self, shape: tuple[int, int]):
        self.high = np.zeros(shape, np.int64)
        self.low = np.zeros(shape, np.int64)  # in [0, 2**32)

    def add(self, zones: np.ndarray, block: np.ndarray) -> None:
        """Add `block` (k, layer) int64 to the rows `zones` (k,), each of which is named once."""
        low = self.low[zones] + (block & (2**LIMB - 1))
        self.low[zones] = low & (2**LIMB - 1)
        self.high[zones] += (block >> LIMB) + (low >> LIMB)

    def value(self, bits: int) -> np.ndarray:
        """The sums times 2**-bits as float64, rounded once."""
        # both limbs are exact in float64 while the sum is below 2**85, so only the addition rounds
        return np.ldexp(self.high * 2.0**LIMB + self.low, -bits)


# --- DN of a store ------------------------------------------------------------------------------------------------


@kernel
def add_dn(
    dn, curves, year_start, merge_code, continuity_code, pixel, zone, weight, cell_area, n_zones, ceiling, bits
):  # fmt: skip
    """See `zone_sums`; `dn` (composite, pixel), `cell_area` (pixel,).  -> sums (7, zone, year), low, high int32."""
    n_composite = len(dn)
    n_year = len(year_start) - 1
    sums = np.zeros((7, n_zones, n_year), np.int64)
    low = np.full((n_zones, n_year), np.iinfo(np.int32).max, np.int32)
    high = np.full((n_zones, n_year), MISSING, np.int32)
    # cells that are dark in every year, once instead of in every year
    dark = np.zeros((2, n_zones), np.int64)
    any_dark = np.zeros(n_zones, np.bool_)

    series, seen = np.empty(n_year, np.int32), np.empty(n_year, np.int32)
    total, size = np.empty(n_year, np.float64), np.empty(n_year, np.int64)
    values = np.empty(n_composite, np.int32)
    at_ceiling = np.zeros(n_year, np.bool_)
    one = np.zeros(n_composite, np.uint8)
    annual_series(one, curves, year_start, merge_code, continuity_code, series, values, seen, total, size)
    dark_stays_dark = not series.any()
    lit = ever_lit(dn)
    unit = 2.0**bits
    step = 2.0 ** (bits - MERGED_BITS)

    last = -1
    for entry in range(len(pixel)):
        p, z = pixel[entry], zone[entry]
        w = weight[entry]
        wa = w * cell_area[p]
        units, units_area = np.int64(np.rint(w * unit)), np.int64(np.rint(wa * unit))
        if dark_stays_dark and not lit[p]:
            dark[0, z] += units
            dark[1, z] += units_area
            any_dark[z] = True
            continue
        if p != last:
            last = p
            for i in range(n_composite):
                one[i] = dn[i, p]
            annual_series(one, curves, year_start, merge_code, continuity_code, series, values, seen, total, size)
            for year in range(n_year):
                at_ceiling[year] = False
                for i in range(year_start[year], year_start[year + 1]):
                    if one[i] >= ceiling and values[i] != MISSING:
                        at_ceiling[year] = True
        for year in range(n_year):
            v = series[year]
            if v == MISSING:
                sums[UNSEEN, z, year] += units
                continue
            sums[TOTAL, z, year] += np.int64(np.rint(w * v * step))
            sums[CELLS, z, year] += units
            sums[TOTAL_AREA, z, year] += np.int64(np.rint(wa * v * step))
            sums[AREA, z, year] += units_area
            if v > 0:
                sums[LIT, z, year] += units
            if at_ceiling[year]:
                sums[SATURATED, z, year] += units
            low[z, year] = min(low[z, year], v)
            high[z, year] = max(high[z, year], v)
    for z in range(n_zones):
        if any_dark[z]:
            for year in range(n_year):
                sums[CELLS, z, year] += dark[0, z]
                sums[AREA, z, year] += dark[1, z]
                low[z, year] = 0
                high[z, year] = max(high[z, year], 0)
    return sums, low, high


def zone_sums(
    dn: np.ndarray,
    curves: np.ndarray,
    year_start: np.ndarray,
    merge_code: int,
    continuity_code: int,
    pixel: np.ndarray,
    zone: np.ndarray,
    weight: np.ndarray,
    area: np.ndarray,
    n_zones: int,
    ceiling: int,
    bits: int,
) -> ZoneSums:
    """Annual lights of one block, summed over zones.

    Parameters
    ----------
    dn : (composite, height, width) uint8
        By year, then satellite; 255 missing.
    curves : (composite, 256) int32
        From `kernels.fixed.quantise`.
    year_start : (year + 1,) int64
        Composites year_start[i]:year_start[i + 1] are those of year i.
    merge_code, continuity_code : int
        From MERGE_RULES and CONTINUITY_RULES.
    pixel : (n,) int64
        Flat index of a cell in the block; the chain runs once for cells that follow each other.
    zone : (n,) int32
        Zone of the cell in 0..n_zones - 1.
    weight : (n,) float64
        Share of the cell that belongs to the zone, in (0, 1].
    area : (height,) float64
        Area of one cell in each row [km2].
    n_zones : int
    ceiling : int
        DN at which the sensor saturates.
    bits : int
        From `sum_bits`.
    """
    flat, cell_area = flatten(dn, area)
    largest = float(curves.max()) * 2.0**-CURVE_BITS
    check_entries(flat.shape[1], pixel, zone, weight, area, n_zones, largest, bits)
    sums, low, high = add_dn(
        flat, curves, year_start, merge_code, continuity_code, pixel, zone, weight, cell_area, n_zones, ceiling, bits
    )
    seen = high != MISSING
    return ZoneSums(*sums, low=np.where(seen, low, np.nan), high=np.where(seen, high, np.nan))


def zone_sums_reference(
    dn: np.ndarray,
    curves: np.ndarray,
    year_start: np.ndarray,
    merge_code: int,
    continuity_code: int,
    pixel: np.ndarray,
    zone: np.ndarray,
    weight: np.ndarray,
    area: np.ndarray,
    n_zones: int,
    ceiling: int,
    bits: int,
) -> ZoneSums:
    """`zone_sums` in NumPy, to read and to test against."""
    flat, cell_area = flatten(dn, area)
    steps = annual_steps_reference(flat, curves, year_start, merge_code, continuity_code)[:, pixel]
    at_ceiling = (flat >= ceiling) & (np.take_along_axis(curves, flat.astype(np.intp), axis=1) != MISSING)
    at_ceiling = np.logical_or.reduceat(at_ceiling, year_start[:-1], axis=0)[:, pixel]
    values = np.where(steps == MISSING, np.nan, steps)
    return sums_reference(values, at_ceiling, pixel, zone, weight, cell_area, n_zones, bits, bits - MERGED_BITS)


# --- any values ---------------------------------------------------------------------------------------------------


@kernel
def add_values(values, pixel, zone, weight, cell_area, n_zones, bits):
    """See `zone_sums_values`; `values` (layer, pixel), `cell_area` (pixel,).  -> sums (7, zone, layer), low, high."""
    n_layer, n_entry = len(values), len(pixel)
    sums = np.zeros((7, n_zones, n_layer), np.int64)
    low = np.full((n_zones, n_layer), np.nan)
    high = np.full((n_zones, n_layer), np.nan)
    unit = 2.0**bits
    area, units, units_area = np.empty(n_entry), np.empty(n_entry, np.int64), np.empty(n_entry, np.int64)
    for entry in range(n_entry):
        area[entry] = weight[entry] * cell_area[pixel[entry]]
        units[entry] = np.int64(np.rint(weight[entry] * unit))
        units_area[entry] = np.int64(np.rint(area[entry] * unit))
    # layer by layer, because a layer's cells lie beside each other in memory; along a row neighbours mostly belong to
    # one zone, so its sums stay in registers until the zone changes
    for layer in range(n_layer):
        entry = 0
        while entry < n_entry:
            z = zone[entry]
            total, cells, total_area, observed_area, lit, unseen = 0, 0, 0, 0, 0, 0
            smallest, largest = np.inf, -np.inf
            while entry < n_entry and zone[entry] == z:
                v = np.float64(values[layer, pixel[entry]])
                if np.isnan(v):
                    unseen += units[entry]
                else:
                    total += np.int64(np.rint(weight[entry] * v * unit))
                    cells += units[entry]
                    total_area += np.int64(np.rint(area[entry] * v * unit))
                    observed_area += units_area[entry]
                    if v > 0:
                        lit += units[entry]
                    smallest = min(smallest, v)
                    largest = max(largest, v)
                entry += 1
            sums[TOTAL, z, layer] += total
            sums[CELLS, z, layer] += cells
            sums[TOTAL_AREA, z, layer] += total_area
            sums[AREA, z, layer] += observed_area
            sums[LIT, z, layer] += lit
            sums[UNSEEN, z, layer] += unseen
            if smallest <= largest:  # something was seen
                if not low[z, layer] <= smallest:  # also where nothing was seen before
                    low[z, layer] = smallest
                if not high[z, layer] >= largest:
                    high[z, layer] = largest
    return sums, low, high


@kernel
def largest_magnitude(values, pixel):
    """Largest absolute value of (layer, pixel) floats at the cells named, NaN passed over; 0 where there is none."""
    largest = 0.0
    for layer in range(len(values)):
        for entry in range(len(pixel)):
            v = abs(np.float64(values[layer, pixel[entry]]))
            if v > largest:
                largest = v
    return largest


def zone_sums_values(
    values: np.ndarray,
    pixel: np.ndarray,
    zone: np.ndarray,
    weight: np.ndarray,
    area: np.ndarray,
    n_zones: int,
    bits: int,
) -> ZoneSums:
    """Values of one block, summed over zones: (layer, height, width) float, NaN missing; the rest as in `zone_sums`,
    `bits` from `value_bits`."""
    flat, cell_area = flatten(values, area)
    # fmax and fmin pass over NaN, which is left only where nothing was observed
    largest = float(np.nan_to_num(max(np.fmax.reduce(flat, axis=None), -np.fmin.reduce(flat, axis=None)), nan=0.0))
    check_entries(flat.shape[1], pixel, zone, weight, area, n_zones, largest, bits)
    sums, low, high = add_values(flat, pixel, zone, weight, cell_area, n_zones, bits)
    named = dict(zip(("total", "cells", "total_area", "area", "lit", "saturated", "missing"), sums, strict=True))
    return ZoneSums(**(named | {"saturated": None}), low=low, high=high)


def zone_sums_values_reference(
    values: np.ndarray,
    pixel: np.ndarray,
    zone: np.ndarray,
    weight: np.ndarray,
    area: np.ndarray,
    n_zones: int,
    bits: int,
) -> ZoneSums:
    """`zone_sums_values` in NumPy, to read and to test against."""
    flat, cell_area = flatten(values, area)
    return sums_reference(flat[:, pixel].astype(np.float64), None, pixel, zone, weight, cell_area, n_zones, bits, bits)


# --- shared -------------------------------------------------------------------------------------------------------


def flatten(stack: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(layer, height, width) -> (layer, pixel), and the area of a row (height,) -> of a cell (pixel,)."""
    return np.ascontiguousarray(stack.reshape(len(stack), -1)), np.repeat(area, stack.shape[2])


def check_entries(
    n_pixel: int,
    pixel: np.ndarray,
    zone: np.ndarray,
    weight: np.ndarray,
    area: np.ndarray,
    n_zones: int,
    largest: float,
    bits: int,
) -> None:
    """Kernels neither check an index nor an overflow, so both are checked before."""
    if not len(pixel):
        return
    if pixel.min() < 0 or pixel.max() >= n_pixel or zone.min() < 0 or zone.max() >= n_zones:
        raise ValueError(
            f"entries name cells {pixel.min()}..{pixel.max()} and zones {zone.min()}..{zone.max()}, expected "
            f"0..{n_pixel - 1} and 0..{n_zones - 1}: take them from coverage.block of this tile."
        )
    heaviest = float(np.bincount(zone, weight).max()) * max(1.0, largest) * max(1.0, float(area.max()))
    if heaviest * 2.0**bits >= 2.0**ROOM:
        raise ValueError(
            f"sums of up to {heaviest:g} do not fit an int64 at 2**-{bits}: choose the scale with sum_bits or "
            f"value_bits from the largest light and the largest cell of the whole grid."
        )


def sums_reference(
    values: np.ndarray,
    at_ceiling: np.ndarray | None,
    pixel: np.ndarray,
    zone: np.ndarray,
    weight: np.ndarray,
    cell_area: np.ndarray,
    n_zones: int,
    bits: int,
    value_scale: int,
) -> ZoneSums:
    """Sums of `values` (layer, n), NaN missing, at the entries; a value counts 2**value_scale units."""
    area = weight * cell_area[pixel]

    def add(mask: np.ndarray, units: np.ndarray) -> np.ndarray:
        sums = np.zeros((n_zones, len(values)), np.int64)
        np.add.at(sums, zone, np.where(mask, np.rint(units), 0).astype(np.int64).T)
        return sums

    seen = ~np.isnan(values)
    known = np.where(seen, values, 0.0)
    low, high = np.full((n_zones, len(values)), np.inf), np.full((n_zones, len(values)), -np.inf)
    np.minimum.at(low, zone, np.where(seen, values, np.inf).T)
    np.maximum.at(high, zone, np.where(seen, values, -np.inf).T)
    return ZoneSums(
        total=add(seen, weight * known * 2.0**value_scale),
        cells=add(seen, weight * 2.0**bits),
        total_area=add(seen, area * known * 2.0**value_scale),
        area=add(seen, area * 2.0**bits),
        lit=add(known > 0, weight * 2.0**bits),
        saturated=None if at_ceiling is None else add(at_ceiling & seen, weight * 2.0**bits),
        missing=add(~seen, weight * 2.0**bits),
        low=np.where(np.isinf(low), np.nan, low),
        high=np.where(np.isinf(high), np.nan, high),
    )
