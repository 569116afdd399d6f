"""Zone x DN histograms: one pass over a store, and any calibration's sums follow without its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightcore.errors import UsageError
from nightcore.lights import as_calibration, usable
from nightcore.store import TILE, Store, Tile, as_store
from nightcore.threads import thread_count
from nightcore.zonal import Progress, area_units, each, refuse_other_grid, scratch_by_thread
from nightcore.zones import Coverage

if TYPE_CHECKING:
    import xarray as xr

    from nightcore.calibration import Calibration


def zone_histograms(
    store: Store | str | Path | xr.Dataset,
    coverage: Coverage,
    threads: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """How much of each zone has which DN in each composite.

    Parameters
    ----------
    store : path, Store or Dataset of `open_store`
    coverage : Coverage
        From `coverage(zones, store)`.
    threads : int, optional
        Default: all processors; the histograms are the same for any number.
    progress : callable, optional
        Called with (tiles done, tiles in all).

    Returns
    -------
    Dataset
        `cells` [cells] and `area_km2` [km2], each (zone, composite, dn) float64, with dn 0..63 and 255 for what was not
        observed. They are 35 kB a zone. Cells are multiples of 2**-30, exact below eight million in one place.

    Raises
    ------
    BadInputError
        The coverage belongs to another grid.
    """
    import xarray as xr

    from nightcore.kernels.cover import WEIGHT_BITS
    from nightcore.kernels.histogram import BINS, zone_bins
    from nightcore.kernels.zonal import Window

    if not isinstance(coverage, Coverage):
        raise UsageError(
            f"the zones are a {type(coverage).__name__}: expected a Coverage; make one with coverage(zones, store)."
        )
    store = as_store(store)
    refuse_other_grid(coverage, store.grid)
    area, area_bits = area_units(store.grid)
    scratch = scratch_by_thread()

    def bins(tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        cover, own = coverage.block(tile), scratch()
        dn = store.read_chunk(
            tile, own.take("chunk", (len(store.composites), TILE, TILE), np.dtype(store.sensor.dtype))
        )
        of_rows = area[tile.row : tile.row + tile.height]
        return cover.zones, zone_bins(dn, Window(0, TILE, tile.height, tile.width), cover, of_rows, own)

    counts = np.zeros((2, len(coverage), len(store.composites), len(BINS)), np.int64)
    touched = [tile for tile in store.tiles() if coverage.touches(tile)]
    for zones, found in each(bins, touched, thread_count(threads), progress):
        counts[:, zones] += found
    dims = ("zone", "composite", "dn")
    return xr.Dataset(
        {
            "cells": (dims, np.ldexp(counts[0], -WEIGHT_BITS), {"units": "cell"}),
            "area_km2": (dims, np.ldexp(counts[1], -area_bits), {"units": "km2"}),
        },
        coords={"zone": list(coverage.ids), "composite": list(store.composites), "dn": BINS},
        attrs={"store_sha256": store.hash, "coverage_sha256": coverage.hash},
    )


def histogram_sums(
    histograms: xr.Dataset, calibration: Calibration | str | Path, missing: str = "raise"
) -> xr.DataArray:
    """Sums of calibrated DN over zones [DN], (zone, composite): to the bit those of the pixels, without them.

    Parameters
    ----------
    histograms : Dataset
        From `zone_histograms`.
    calibration : Calibration, name of a method, or file of a fitted one
    missing : {"raise", "drop"}
        What becomes of composites that the calibration does not know.

    Raises
    ------
    MissingCoefficientsError
        Composites without coefficients and missing="raise"; names them.
    """
    from nightcore.kernels.cover import WEIGHT_BITS
    from nightcore.kernels.fixed import CURVE_BITS, LIMB, MISSING, ExactSum, quantise

    cal = as_calibration(calibration)
    names = tuple(str(name) for name in histograms["composite"].values)
    places, _ = usable(names, cal, missing)
    curves = quantise(cal.curves([names[place] for place in places]))[:, :64].astype(np.int64)
    curves[curves == MISSING] = 0
    cells = histograms["cells"].isel(composite=places, dn=slice(64))
    units = np.rint(np.ldexp(cells.values, WEIGHT_BITS)).astype(np.int64)
    total = ExactSum(units.shape[:2])
    rows = np.arange(len(units))
    # thirds of 16 bits: 64 products with a curve stay below 2**53, and every third's sum is exact
    for shift in (0, 16, 32):
        third = ((units >> shift) & (2**16 - 1) if shift < 32 else units >> shift) * curves
        found = third.sum(axis=-1)
        total.add(rows, found >> (LIMB - shift), (found << shift) & (2**LIMB - 1))
    return cells.isel(dn=0, drop=True).copy(data=total.value(WEIGHT_BITS + CURVE_BITS)).rename("sum")
