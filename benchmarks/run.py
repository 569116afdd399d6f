"""Measure nightcore side by side with its peers: python benchmarks/run.py [--quick] [--out FILE].

Every comparison is a duel: both sides run once, which warms them up, and what they return is compared; only then do
they run in turns and are timed. The machine may be shared, so the ratio of the two halves of a pair is what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from textwrap import fill
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import peak
import peers
import rasterio
import xarray as xr
import zarr
from world import World, make_world

import nightcore as nc
from nightcore.store import Store, chunk_key

HERE = Path(__file__).parent
SEED = 1
SLIVER = 1e-6  # [cells] exactextract's weights are float32: where an edge runs along cells, smaller ones are rounding
PACKAGES = (
    *("nightcore", "numpy", "numba", "zarr", "numcodecs", "xarray", "dask"),
    *("rasterio", "exactextract", "geopandas", "shapely", "pandas"),
)


@dataclass(frozen=True)
class Size:
    """Cells of the window, zones in it, timed pairs of every duel, and engines whose memory is measured."""

    height: int
    width: int
    zones: int
    pairs: int
    engines: tuple[str, ...]


FULL = Size(height=2000, width=2000, zones=1000, pairs=7, engines=tuple(peak.ENGINES))
QUICK = Size(height=300, width=560, zones=40, pairs=3, engines=tuple(peak.ENGINES)[:1])  # two tiles


class DisagreementError(Exception):
    """The two sides of a duel do not return the same, so no time of theirs means anything."""


@dataclass(frozen=True)
class Duel:
    """Two ways to the same result.

    Attributes
    ----------
    work : str
        What both do.
    about : str
        What holds for all duels of this work: what is given, what is compared, how equal it has to be and why.
    nightcore, peer : str
        Who does it, with the number of threads.
    note : str
        How the peer does it.
    run_nightcore, run_peer : callable
    agree : callable
        (result of nightcore, result of the peer) -> one sentence that says how equal they are; raises
        DisagreementError.
    """

    work: str
    about: str
    nightcore: str
    peer: str
    note: str
    run_nightcore: Callable[[], Any]
    run_peer: Callable[[], Any]
    agree: Callable[[Any, Any], str]


@dataclass(frozen=True)
class Outcome:
    """A duel with what was found: how equal the results are, and (pair, 2) seconds of nightcore and of the peer."""

    duel: Duel
    agreement: str
    seconds: np.ndarray


def measure(duel: Duel, pairs: int) -> Outcome:
    """Compare once, then time in turns."""
    agreement = duel.agree(duel.run_nightcore(), duel.run_peer())
    seconds = [(time_of(duel.run_nightcore), time_of(duel.run_peer)) for _ in range(pairs)]
    return Outcome(duel, agreement, np.array(seconds))


def time_of(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


# --- agreement ----------------------------------------------------------------------------------------------------


def within(difference: np.ndarray, allowed: np.ndarray | float, what: str) -> float:
    """Largest share of the allowed difference that was found; NaN on one side only is never allowed."""
    difference, allowed = np.broadcast_arrays(np.abs(difference), allowed)
    beyond = ~(difference <= allowed)
    if beyond.any():
        raise DisagreementError(f"{what} differ: {beyond.sum():,} of {beyond.size:,} by more than allowed.")
    # where nothing is allowed, nothing was found
    return float(np.max(difference / np.where(allowed > 0, allowed, 1)))


def chain_sums_agree(table: pd.DataFrame, sums: np.ndarray) -> str:
    """Below 64 DN float32 rounds a curve, and the mean of two of its values, by 2**-19 DN at most; nightcore rounds a
    curve to 2**-21 DN and adds exactly."""
    lit = (table["lit_share"] * table["cells"]).fillna(0).to_numpy().reshape(sums.shape)
    allowed = lit * (2 * 2.0**-19 + 2.0**-21)
    found = table["sum"].to_numpy().reshape(sums.shape)
    share = within(found - sums, allowed, "sums of zones and years")
    return f"Largest difference of {sums.size:,} sums: {share:.1%} of what is allowed."


def layer_sums_agree(table: pd.DataFrame, sums: pd.DataFrame) -> str:
    """exactextract's weights are float32, and its sum of a zone that was never observed is 0."""
    expected = sums.to_numpy()
    found = table["sum"].where(table["cells"] > 0, 0.0).to_numpy().reshape(expected.shape)
    share = within(found - expected, 1e-6 * expected, "sums of zones and layers")
    return f"Largest difference of {expected.size:,} sums: {1e-6 * share:.1e} of a sum."


def chunks_agree(store: Store, packed: Sequence[bytes]) -> str:
    for tile, chunk in zip(store.tiles(), packed, strict=True):
        if (store.path / chunk_key(store.sensor, tile)).read_bytes() != chunk:
            raise DisagreementError(f"the chunk of {tile} differs.")
    return f"All {len(packed)} chunks are equal byte for byte."


def pixels_agree(store: Store, array: zarr.Array) -> str:
    if not np.array_equal(store.read_window(0, 0, *store.grid.shape), array[...]):
        raise DisagreementError("the arrays in the store and in the peer's differ.")
    return f"All {array.size:,} values are equal."


def weights_agree(coverage: nc.Coverage, cells: tuple[np.ndarray, np.ndarray, np.ndarray]) -> str:
    """The same cells with the same weights; a cell that only one side has must be a sliver."""
    cell, zone, weight = cells
    n_cell = coverage.grid.height * coverage.grid.width
    own = (
        coverage.zone.astype(np.int64) * n_cell + coverage.row.astype(np.int64) * coverage.grid.width + coverage.column
    )
    keys, place = np.unique(np.r_[own, zone.astype(np.int64) * n_cell + cell], return_inverse=True)
    ours, theirs = np.zeros(len(keys)), np.zeros(len(keys))
    ours[place[: len(own)]], theirs[place[len(own) :]] = coverage.weight, weight
    alone = (ours == 0) != (theirs == 0)
    if alone.any() and np.maximum(ours, theirs)[alone].max() > SLIVER:
        raise DisagreementError("the covered cells differ.")
    within(ours - theirs, 2.0**-22, "weights")  # float32, above 1 by an ulp at times
    return f"All {len(own):,} cells are the same, and their weights."


def images_agree(coverage: nc.Coverage, image: np.ndarray) -> str:
    own = np.full(image.shape, -1, image.dtype)
    own[coverage.row, coverage.column] = coverage.zone
    if len(coverage.row) != np.count_nonzero(image >= 0) or not np.array_equal(own, image):
        raise DisagreementError("the cells of the zones differ.")
    return f"All {image.size:,} cells belong to the same zone."


# --- the duels ----------------------------------------------------------------------------------------------------


def chain_duels(store: Store, coverage: nc.Coverage) -> list[Duel]:
    chain = peers.Chain.of(store, peak.METHOD)
    about = (
        "Coverage given to both. nightcore checks the hash of every chunk and fills 13 columns, the peers compute the "
        "sums only and read chunks through zarr-python. Allowed difference: 2^-18 + 2^-21 DN a lit cell, which is the "
        "rounding of float32 in the peers and of fixed point here."
    )

    def duel(threads: int, peer: str, note: str, run: Callable[[], np.ndarray]) -> Duel:
        return Duel(
            f"store -> zonal table, {peak.METHOD}, mean, sequential",
            about,
            f"zonal, {counted(threads)}",
            f"{peer}, {counted(threads)}",
            note,
            lambda: nc.zonal(store, coverage, peak.METHOD, continuity="sequential", threads=threads),
            run,
            lambda table, sums: chain_sums_agree(table, sums),
        )

    def tiles(threads: int) -> Duel:
        note = "Tables of 256 values and whole tiles in NumPy, float32; bincount with weights."
        run = partial(peers.numpy_tiles, store, coverage, chain, threads)
        return duel(threads, "NumPy by tiles", note, run)

    def lit(threads: int) -> Duel:
        note = "The same, but first leaves out cells that are 0 in all composites, since this calibration keeps 0 dark."
        run = partial(peers.numpy_tiles, store, coverage, chain, threads, lit_only=True)
        return duel(threads, "NumPy by tiles, lit cells only", note, run)

    def dask(threads: int) -> Duel:
        note = "`xarray.open_zarr`, one `map_blocks` of the same NumPy, the whole (22, y, x) cube, then its bincount."
        return duel(threads, "xarray and dask", note, partial(peers.dask_blocks, store, coverage, chain, threads))

    return [make(threads) for make in (tiles, lit, dask) for threads in (1, 2)]


def layer_duels(world: World) -> list[Duel]:
    # noise of up to 1 on every cell: only sums of unobserved zones are 0, so that differences can be relative
    layers = world.stack + np.random.default_rng(SEED).random(world.stack.shape, dtype=np.float32)
    layers[world.stack == 255] = np.nan
    labels = {"y": world.grid.y, "x": world.grid.x}
    array = xr.DataArray(layers, dims=("layer", "y", "x"), coords=labels)

    def duel(threads: int) -> Duel:
        return Duel(
            "exact zonal sums of 34 float32 layers",
            "Polygons and arrays in memory -> table, weights included. nightcore fills 10 columns, the peer computes "
            "the sums only. Allowed difference: 1e-6 of a sum, since the peer's weights are float32.",
            f"coverage + zonal, {counted(threads)}",
            "exactextract `sum`, 1 thread",
            "exactextract knows one thread only.",
            lambda: nc.zonal(array, nc.coverage(world.zones, world.grid, id="code", threads=threads), threads=threads),
            lambda: peers.sums_by_exactextract(layers, world.grid, world.zones, ["sum"]),
            layer_sums_agree,
        )

    return [duel(1), duel(2)]


def ingest_duels(world: World, store: Store, folder: Path) -> list[Duel]:
    def duel(peer: str, note: str, run: Callable[[], Any], agree: Callable[[Any, Any], str]) -> Duel:
        return Duel(
            "34 .tif.gz -> store",
            "nightcore hashes every file and chunk and checks every value, the others do not.",
            "ingest, 2 threads",
            f"{peer}, 2 threads",
            note,
            lambda: nc.ingest(world.files, folder / "again.zarr", overwrite=True, threads=2),
            run,
            agree,
        )

    return [
        duel(
            "inflating and encoding alone",
            "A floor, not a peer, so below 1: gunzip of every file, and zstd of every chunk from given pixels; it "
            "decodes no TIFF and writes no file.",
            lambda: peers.inflate_and_encode(world.files, world.stack, store.tiles(), threads=2),
            chunks_agree,
        ),
        duel(
            "gzip + rasterio + zarr-python",
            "The same files to the same chunks and codec, written by one assignment; the whole stack is in memory.",
            lambda: peers.ingest_by_zarr(world.files, folder / "peer.zarr", world.grid, threads=2),
            pixels_agree,
        ),
    ]


def coverage_duels(zones: gpd.GeoDataFrame, grid: nc.Grid) -> list[Duel]:
    return [
        Duel(
            "polygons -> exact weights",
            f"nightcore also checks the polygons. Cells that only one side has must weigh less than {SLIVER:g}; all "
            "weights have to be equal to float32.",
            "coverage, 1 thread",
            "exactextract `cell_id`, `coverage`, 1 thread",
            "exactextract returns its weights as float32.",
            lambda: nc.coverage(zones, grid, id="code", threads=1),
            lambda: peers.cells_by_exactextract(grid, zones),
            weights_agree,
        ),
        Duel(
            "polygons -> cells by their centres",
            "nightcore also checks the polygons, lists the cells of every zone and lets zones overlap.",
            "coverage, rule centre, 1 thread",
            "`rasterio.features.rasterize`, 1 thread",
            "the peer burns all zones into one image in one call.",
            lambda: nc.coverage(zones, grid, id="code", rule="centre", threads=1),
            lambda: peers.zone_image(grid, zones),
            images_agree,
        ),
    ]


def counted(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


# --- memory -------------------------------------------------------------------------------------------------------


def peaks(folder: Path, coverage: nc.Coverage, engines: Sequence[str]) -> dict[str, dict[str, int]]:
    """Engine -> bytes before and at the peak, each in a process of its own; empty where the system does not tell."""
    if not peak.CLEAR.exists():
        return {}
    (folder / "coverage.pickle").write_bytes(pickle.dumps(coverage))
    found = {}
    for engine in engines:
        command = [sys.executable, str(HERE / "peak.py"), engine, str(folder)]
        found[engine] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


# --- the report ---------------------------------------------------------------------------------------------------


def processor() -> str:
    """Model of the CPU in words."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(outcomes: Sequence[Outcome]) -> str:
    pairs = len(outcomes[0].seconds)
    lines = [
        f"| # | work | nightcore | peer | nightcore [s] | peer [s] | peer / nightcore | range of {pairs} pairs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, outcome in enumerate(outcomes, 1):
        duel = outcome.duel
        own, other = np.median(outcome.seconds, axis=0)
        ratios = outcome.seconds[:, 1] / outcome.seconds[:, 0]
        lines.append(
            f"| {number} | {duel.work} | {duel.nightcore} | {duel.peer} | {own:.3g} | {other:.3g} "
            f"| {np.median(ratios):.2f} | {ratios.min():.2f}-{ratios.max():.2f} |"
        )
    return "\n".join(lines)


def memory_table(found: dict[str, dict[str, int]]) -> str:
    lines = ["| store -> zonal table | before [MiB] | peak [MiB] | added [MiB] |", "|---|---|---|---|"]
    for engine, sizes in found.items():
        before, top = sizes["before"] / 2**20, sizes["peak"] / 2**20
        lines.append(f"| {engine} | {before:.0f} | {top:.0f} | {top - before:.0f} |")
    return "\n".join(lines)


def comparisons(outcomes: Sequence[Outcome]) -> str:
    """What the rows of the table compare, by work; rows that say the same share a line."""
    grouped: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = {}
    for number, outcome in enumerate(outcomes, 1):
        duel = outcome.duel
        lines = grouped.setdefault((duel.work, duel.about), {})
        lines.setdefault((duel.note, outcome.agreement), []).append(number)
    text = []
    for (work, about), lines in grouped.items():
        text.append(bullet(f"**{work}.** {about}"))
        for (note, agreement), numbers in lines.items():
            text.append(bullet(f"{', '.join(map(str, numbers))}: {note} {agreement}", "  "))
    return "\n".join(text)


def bullet(text: str, indent: str = "") -> str:
    return fill(
        text,
        120,
        initial_indent=f"{indent}* ",
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def setting(size: Size, world: World, store: Store, load: str) -> str:
    """Machine, versions and data."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    darkest, brightest, always = world.dark_share
    packed = sum(file.stat().st_size for file in world.files)
    chunks = sum((store.path / chunk_key(store.sensor, tile)).stat().st_size for tile in store.tiles())
    return "\n".join(
        map(
            bullet,
            (
                f"Machine: {processor()}, {os.cpu_count()} cores, {installed:.0f} GiB; load average {load}, the latter "
                f"with this run in it.",
                f"Python {platform.python_version()}, {versions}, GDAL {rasterio.__gdal_version__}.",
                f"Data, generated (seed {SEED}): 34 composites of {size.height:,} x {size.width:,} cells, together "
                f"{world.stack.size / 1e6:.1f} million DN, lit in clusters; {brightest:.1%} to {darkest:.1%} of a "
                f"composite's cells are 0, {always:.1%} are 0 in all. {packed / 1e6:.1f} MB of .tif.gz become "
                f"{chunks / 1e6:.1f} MB of chunks in {len(store.tiles())} tiles.",
                f"{size.zones:,} Voronoi zones share their edges and fill the window; their edges are straight, real "
                f"borders have far more vertices.",
            ),
        )
    )


def report(outcomes: Sequence[Outcome], where: str, memory: dict[str, dict[str, int]]) -> str:
    """benchmarks/README.md."""
    memory_part = (
        f"Each engine alone in a fresh process; *before* is what imports, numba among them, and the coverage hold.\n\n"
        f"{memory_table(memory)}"
        if memory
        else "Not measured: this system has no /proc/self/clear_refs."
    )
    return f"""# Benchmarks

Written by `make bench` (`benchmarks/run.py`); do not edit. Where *peer / nightcore* is above 1, nightcore is the faster
one; below 1, the peer is.

**Quote ratios, not times.** Machines are shared, and other work may have run beside this. The two sides of a row run in
turns (A B A B ...) after a warm-up, so that both see the same machine; times are medians, the ratio is the median over
the pairs, and its range tells how far to trust it. Work beside this takes more from a side that keeps two threads busy.

{table(outcomes)}

## Setting

{where}

## What each row compares

Results are compared before a row is timed; where they do not agree, the script stops and writes nothing.

{comparisons(outcomes)}

## Peak memory

{memory_part}

## What is not measured here

Neither a run over the whole globe (34 x 16,801 x 43,201 cells) nor any target that the documentation sets for one: the
window fits the page cache and has few tiles, so nothing here says how time and memory grow from it. Cold disks, the
first compilation of the kernels and imports are left out of all times.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure nightcore side by side with its peers.")
    parser.add_argument("--quick", action="store_true", help="small data, 3 pairs: seconds, and no number means much")
    parser.add_argument("--out", type=Path, help="file to write (default: benchmarks/README.md; none with --quick)")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    out = options.out or (None if options.quick else HERE / "README.md")

    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="nightcore-bench-") as name:
        folder = Path(name)
        world = make_world(folder, size.height, size.width, size.zones, SEED)
        store = nc.ingest(world.files, folder / "lights.zarr")
        coverage = nc.coverage(world.zones, store, id="code")
        duels = [
            *chain_duels(store, coverage),
            *layer_duels(world),
            *ingest_duels(world, store, folder),
            *coverage_duels(world.zones, world.grid),
        ]
        outcomes = []
        for number, duel in enumerate(duels, 1):
            print(f"{number}/{len(duels)} {duel.nightcore} | {duel.peer}", file=sys.stderr)
            try:
                outcomes.append(measure(duel, size.pairs))
            except DisagreementError as error:
                print(f"benchmarks: {duel.nightcore} and {duel.peer} disagree: {error}", file=sys.stderr)
                return 1
        load = f"{before:.1f} before and {os.getloadavg()[0]:.1f} after"
        text = report(outcomes, setting(size, world, store, load), peaks(folder, coverage, size.engines))
    if out is not None:
        out.write_text(text, encoding="utf-8")
    print(table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
