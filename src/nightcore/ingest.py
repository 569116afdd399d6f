"""Rasters and archives -> store: names understood, grids compared, every value checked, nothing guessed.

Sources are GeoTIFFs (.tif), gzipped ones (.tif.gz), NGDC archives (.tar, .tgz, .tar.gz) and folders of these; other
names come with a catalogue, a CSV of path,satellite,year.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from nightcore.errors import BadInputError, IntegrityError, MissingCompositesError, ResourceError, UsageError
from nightcore.grid import ROUNDING, Grid, snap
from nightcore.sensors import DMSP_OLS, SENSORS, Sensor
from nightcore.store import TILE, Composite, Store, StoreWriter, Tile, refuse_existing, tiles_of
from nightcore.threads import thread_count

if TYPE_CHECKING:
    import rasterio

ARCHIVES = (".tar", ".tgz", ".tar.gz")
RASTERS = (".tif", ".tiff", ".tif.gz", ".tiff.gz")
IN_MEMORY = 16 * 2**20  # [bytes] inflated members up to this size stay in memory, larger ones go to a temporary file
SATELLITE, YEAR = re.compile("[A-Za-z][A-Za-z0-9-]*"), re.compile("[12][0-9]{3}")  # in catalogues
RIM = 2  # [cells] a composite may end this far inside the store's grid: cropped shifted grids differ by a column


def ingest(
    sources: str | Path | Iterable[str | Path],
    store: str | Path,
    catalog: str | Path | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    allow_missing: bool = False,
    overwrite: bool = False,
    sensor: Sensor = DMSP_OLS,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Store:
    """Bring composites into one store.

    Parameters
    ----------
    sources : path or paths
        .tif, .tif.gz, .tar, .tgz, or folders of these. In folders and archives other products (cf_cvg, avg_vis ...)
        are passed over; a file named by itself has to be a stable-lights composite.
    store : path
        Folder to write; it appears whole or not at all.
    catalog : path, optional
        CSV with columns path,satellite,year for files with other names; paths are relative to its folder.
    bbox : (west, south, east, north), optional
        Keep only the cells that touch this box [degrees].
    allow_missing : bool
        Accept fewer than all composites of the sensor.
    overwrite : bool
        Replace a finished store.
    sensor : Sensor
    threads : int, optional
        Default: all processors.
    progress : callable, optional
        Called with (tiles done, tiles in all).
    say : callable, optional
        Called with one sentence for everything a user should know: files passed over, shifted grids.

    Returns
    -------
    Store

    Raises
    ------
    MissingCompositesError
        Fewer than all composites without `allow_missing`.
    BadInputError
        Another product, grid, CRS or range of values, or the same composite twice with different content.
    IntegrityError
        A truncated or damaged file.
    ResourceError
        Not enough disk space.
    """
    say = say or (lambda sentence: None)
    threads = thread_count(threads)
    refuse_existing(Path(store), overwrite)
    if SENSORS.get(sensor.name) is None:
        raise UsageError(f"sensor {sensor.name} is not known to stores: expected one of {', '.join(SENSORS)}.")
    with ExitStack() as stack:
        found = find_sources(sources, catalog, sensor, say)
        check_complete(found, sensor, allow_missing, say)
        workers = stack.enter_context(ThreadPoolExecutor(threads))
        # inflated side by side, opened one after another: rasterio's environment belongs to a thread
        plain = enter_all([plain_source(source, sensor) for source in found], workers, stack)
        layers = keep_one_each([stack.enter_context(open_source(one, sensor)) for one in plain])
        common = common_grid(layers)
        part = cut_grid(common, bbox)
        grid = part.grid
        composites = [describe(layer, common, part, say) for layer in layers]
        check_disk(Path(store), grid, len(layers))
        tiles = tiles_of(grid)
        with StoreWriter(store, sensor, grid, composites, overwrite) as writer:
            for done, strip in enumerate(strips(tiles)):
                write_strip(strip, layers, common, part, sensor, writer, workers)
                if progress:
                    progress(min((done + 1) * len(strip), len(tiles)), len(tiles))
            return writer.publish({"bbox": list(bbox) if bbox else None})


def enter_all(contexts: Sequence[Any], workers: ThreadPoolExecutor, stack: ExitStack) -> list[Any]:
    """Enter context managers side by side and leave them with `stack`, also when one of them fails."""
    futures = [workers.submit(context.__enter__) for context in contexts]
    failures = []
    for context, future in zip(contexts, futures, strict=True):
        if future.exception() is None:
            stack.push(context.__exit__)
        else:
            failures.append(future.exception())
    if failures:
        raise failures[0]
    return [future.result() for future in futures]


# --- what is there ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A file, or a member of an archive, that holds one composite."""

    path: Path
    satellite: str
    year: int
    member: str | None = None

    @property
    def name(self) -> str:
        return f"{self.satellite}{self.year}"

    @property
    def label(self) -> str:
        return self.path.name if self.member is None else f"{self.path.name}!{self.member}"

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}!{self.member}"


def find_sources(
    sources: str | Path | Iterable[str | Path], catalog: str | Path | None, sensor: Sensor, say: Callable[[str], None]
) -> list[Source]:
    """All composites among files, archives and folders, ordered by year, then satellite."""
    found = list(read_catalog(Path(catalog), sensor)) if catalog is not None else []
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    for path in map(Path, given):
        if path.is_dir():
            found += search_folder(path, sensor, say)
        elif not path.is_file():
            raise BadInputError(f"{path} does not exist: check the path.")
        elif path.name.lower().endswith(ARCHIVES):
            found += search_archive(path, sensor)
        else:
            found.append(named(path, sensor))
    if not found:
        raise BadInputError(
            f"no {sensor.variable} composite found in {', '.join(map(str, given)) or 'the catalogue'}: expected names "
            f"like F101992.v4b_web.{sensor.variable}.avg_vis.tif, or pass catalog=, a CSV of path,satellite,year."
        )
    return sorted(found, key=lambda source: (source.year, source.satellite, str(source)))


def named(path: Path, sensor: Sensor) -> Source:
    """A file that the user named: it has to be a composite."""
    if not path.name.lower().endswith(RASTERS):
        raise BadInputError(f"{path} is no raster or archive known here: expected {', '.join(RASTERS + ARCHIVES)}.")
    told = sensor.identify(path)
    if told is None:
        raise BadInputError(
            f"the name of {path} does not say satellite, year and product: expected one like "
            f"F101992.v4b_web.{sensor.variable}.avg_vis.tif, or pass catalog=, a CSV with columns path,satellite,year."
        )
    if told.product != sensor.variable:
        raise BadInputError(
            f"{path} is a {told.product} file of {told.composite}, not {sensor.variable}: "
            f"give the file named {told.composite}...{sensor.variable}...tif."
        )
    return Source(path, told.satellite, told.year)


def search_folder(folder: Path, sensor: Sensor, say: Callable[[str], None]) -> list[Source]:
    """Composites in a folder and below it; files of other products are passed over and said."""
    found, passed = [], []
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = path.name.lower()
        if name.endswith(ARCHIVES):
            told = sensor.identify(path)
            if told is not None and told.product == "archive":
                found += search_archive(path, sensor)
            else:  # somebody's notes.tar.gz, or another product
                passed.append(path)
        elif name.endswith(RASTERS):
            told = sensor.identify(path)
            if told is not None and told.product == sensor.variable:
                found.append(Source(path, told.satellite, told.year))
            else:
                passed.append(path)
    if passed:
        shown = ", ".join(path.name for path in passed[:3]) + (" ..." if len(passed) > 3 else "")
        say(f"passed over {len(passed)} files in {folder} that are not {sensor.variable}: {shown}")
    return found


def search_archive(path: Path, sensor: Sensor) -> list[Source]:
    """Composites in a tar; only regular members with a known name are looked at, and none is ever extracted by name."""
    found, others = [], []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                told = sensor.identify(member.name)
                if not member.isfile() or not member.name.lower().endswith(RASTERS) or told is None:
                    continue
                if told.product == sensor.variable:
                    found.append(Source(path, told.satellite, told.year, member.name))
                else:
                    others.append(told.product)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise IntegrityError(
            f"{path} cannot be read to its end as a tar archive ({error}): get the file again."
        ) from error
    if not found:
        inside = f"only {', '.join(sorted(set(others)))}" if others else "no raster with a known name"
        raise BadInputError(f"{path} holds {inside}, expected a {sensor.variable} GeoTIFF: give another archive.")
    return found


def read_catalog(path: Path, sensor: Sensor) -> Iterator[Source]:
    """Sources listed in a CSV with columns path,satellite,year."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
            columns = rows[0].keys() if rows else ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"the catalogue {path} cannot be read ({error}): expected CSV in UTF-8.") from error
    lacking = [name for name in ("path", "satellite", "year") if name not in columns]
    if lacking:
        raise BadInputError(
            f"the catalogue {path} has no column {', '.join(lacking)} "
            f"(found {', '.join(filter(None, columns)) or 'no rows'}): expected path,satellite,year."
        )
    seen: set[Path] = set()
    for line, row in enumerate(rows, start=2):
        satellite, year = (row["satellite"] or "").strip(), (row["year"] or "").strip()
        if not (row["path"] and SATELLITE.fullmatch(satellite) and YEAR.fullmatch(year)):
            raise BadInputError(
                f"line {line} of the catalogue {path} says satellite '{satellite}' and year '{year}': "
                f"expected something like F10 and 1992."
            )
        file = path.parent / row["path"].strip()
        if not file.is_file():
            raise BadInputError(f"line {line} of the catalogue {path} names {file}, which does not exist.")
        if file in seen and not file.name.lower().endswith(ARCHIVES):
            raise BadInputError(f"line {line} of the catalogue {path} names {file} again: one file is one composite.")
        seen.add(file)
        if file.name.lower().endswith(ARCHIVES):
            wanted = [s for s in search_archive(file, sensor) if (s.satellite, s.year) == (satellite, int(year))]
            if not wanted:
                raise BadInputError(
                    f"line {line} of the catalogue {path}: {file} holds no {satellite}{year}; correct it."
                )
            yield from wanted
        else:
            yield Source(file, satellite, int(year))


def check_complete(found: Sequence[Source], sensor: Sensor, allow_missing: bool, say: Callable[[str], None]) -> None:
    """All composites of the sensor are there, or the caller said that they need not be."""
    names = {source.name for source in found}
    absent = [name for name in sensor.composites if name not in names]
    extra = sorted(names - set(sensor.composites))
    if extra:
        say(f"{', '.join(extra)} is not among the {len(sensor.composites)} composites of {sensor.name}; kept as given")
    if not absent:
        return
    sentence = (
        f"{len(absent)} of the {len(sensor.composites)} composites of {sensor.name} are absent: {', '.join(absent)}"
    )
    if not allow_missing:
        raise MissingCompositesError(f"{sentence}; add their files, or pass allow_missing=True (--allow-missing).")
    say(sentence)


# --- opening ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """An opened source, checked against what the sensor's files look like."""

    source: Source
    dataset: rasterio.DatasetReader
    grid: Grid
    size: int
    sha256: str


@dataclass(frozen=True)
class Plain:
    """A source whose raster can be opened: in a file, or in memory."""

    source: Source
    size: int
    sha256: str
    raster: str | bytes


@contextmanager
def plain_source(source: Source, sensor: Sensor) -> Iterator[Plain]:
    """Hash a source; gzip and tar are inflated to memory, or to a temporary file when large."""
    size, digest = file_hash(source.path)
    if source.member is None and not source.path.name.lower().endswith(".gz"):
        yield Plain(source, size, digest, str(source.path))
    else:
        with inflated(source, sensor) as raster:
            yield Plain(source, size, digest, raster)


@contextmanager
def open_source(plain: Plain, sensor: Sensor) -> Iterator[Layer]:
    """Open a source for reading by windows."""
    import rasterio

    with ExitStack() as stack:
        target = plain.raster
        if isinstance(target, bytes):
            target = stack.enter_context(rasterio.MemoryFile(target)).name
        try:
            # only GeoTIFF: GDAL's other drivers can reach the network or run code from a file
            dataset = stack.enter_context(rasterio.open(target, driver="GTiff"))
        except rasterio.errors.RasterioError as error:
            raise IntegrityError(
                f"{plain.source} cannot be opened as a GeoTIFF ({error}): get the file again."
            ) from error
        yield Layer(plain.source, dataset, raster_grid(dataset, plain.source, sensor), plain.size, plain.sha256)


def file_hash(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return path.stat().st_size, digest
    except OSError as error:
        raise BadInputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


@contextmanager
def inflated(source: Source, sensor: Sensor) -> Iterator[bytes | str]:
    """The plain bytes of a gzipped file or archive member, or the name of a temporary file that holds them."""
    limit = int(sensor.grid.width * sensor.grid.height * 8 * 1.1)  # float64 at most; more is not a composite
    with ExitStack() as stack:
        spool = stack.enter_context(tempfile.TemporaryDirectory(prefix="nightcore-"))
        held = bytearray()
        large: BinaryIO | None = None
        target = Path(spool) / "composite.tif"
        total = 0
        try:
            with ExitStack() as reading:
                stream = reading.enter_context(open_plain(source))
                while piece := stream.read(2**20):
                    total += len(piece)
                    if total > limit:
                        raise BadInputError(
                            f"{source} inflates to more than {limit:,} bytes, no composite is that large: refused."
                        )
                    if large is None and total > IN_MEMORY:
                        large = reading.enter_context(target.open("wb"))
                        large.write(held)
                        held.clear()
                    if large is None:
                        held += piece
                    else:
                        large.write(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, lzma.LZMAError) as error:
            raise IntegrityError(
                f"{source} is truncated or damaged: inflating stopped after {total:,} bytes ({error}); "
                f"get the file again."
            ) from error
        yield bytes(held) if large is None else str(target)


@contextmanager
def open_plain(source: Source) -> Iterator[BinaryIO]:
    """The plain bytes of a source as a stream."""
    with ExitStack() as stack:
        if source.member is None:
            raw: Any = stack.enter_context(source.path.open("rb"))
            name = source.path.name
        else:
            raw = stack.enter_context(tarfile.open(source.path)).extractfile(source.member)
            name = source.member
        yield stack.enter_context(gzip.open(raw)) if name.lower().endswith(".gz") else raw


def raster_grid(dataset: rasterio.DatasetReader, source: Source, sensor: Sensor) -> Grid:
    """The grid of an opened raster, refused when it cannot be a window of the sensor's product."""
    a, b, c, d, e, f = tuple(dataset.transform)[:6]
    if dataset.count != 1:
        raise BadInputError(f"{source} has {dataset.count} bands, a composite has one: give the single-band file.")
    if dataset.crs is None or dataset.crs.to_epsg() != 4326:
        found = "no coordinate system" if dataset.crs is None else f"coordinate system {dataset.crs.to_string()[:60]}"
        raise BadInputError(
            f"{source} has {found}, expected EPSG:4326: reproject nothing, give the original composite."
        )
    if b or d or e >= 0 or a <= 0:
        raise BadInputError(
            f"{source} is rotated or not north-up (transform {a}, {b}, {d}, {e}): give the original file."
        )
    grid = Grid(c, f, a, -e, dataset.width, dataset.height)
    if not sensor.grid.same_pixel(grid):
        raise BadInputError(
            f"{source} has cells of {grid.dx:.10g} x {grid.dy:.10g} degrees, {sensor.name} composites have "
            f"{sensor.grid.dx:.10g}: give the file at its original resolution."
        )
    west, south, east, north = sensor.grid.bounds
    slack = sensor.grid.dx  # one cell: shifted grids end beyond the canonical one
    if grid.left < west - slack or grid.right > east + slack or grid.top > north + slack or grid.bottom < south - slack:
        raise BadInputError(
            f"{source} reaches beyond the {sensor.name} grid: found {grid}; expected a part of {sensor.grid}."
        )
    return grid


def keep_one_each(layers: Sequence[Layer]) -> list[Layer]:
    """One layer a composite: identical copies are one, differing ones are refused."""
    kept: dict[str, Layer] = {}
    for layer in layers:
        first = kept.setdefault(layer.source.name, layer)
        if first is not layer and not same_pixels(first, layer):
            raise BadInputError(
                f"{layer.source.name} is there twice with different content: {first.source} and {layer.source}; "
                f"give one of them."
            )
    return list(kept.values())


def same_pixels(one: Layer, other: Layer) -> bool:
    """True for copies: the same bytes, or another wrapping of the same raster."""
    if one.sha256 == other.sha256 and one.source.member == other.source.member:
        return True
    height, width = one.grid.shape
    return one.grid == other.grid and all(
        np.array_equal(*(read_cells(layer, row, 0, min(TILE, height - row), width) for layer in (one, other)))
        for row in range(0, height, TILE)
    )


# --- one grid -----------------------------------------------------------------------------------------------------


def common_grid(layers: Sequence[Layer]) -> Grid:
    """The grid that most composites have, rounding in their headers aside; the first of equals."""
    votes = [sum(alike(layer.grid, other.grid) for other in layers) for layer in layers]
    return layers[votes.index(max(votes))].grid


def alike(one: Grid, other: Grid) -> bool:
    return one.shape == other.shape and one.same_pixel(other) and max(map(abs, one.offset_of(other))) < ROUNDING


def cut_grid(grid: Grid, bbox: tuple[float, float, float, float] | None) -> Part:
    """The part of the common grid that a store keeps."""
    if bbox is None:
        return Part(grid, 0, 0)
    row, column, height, width = grid.window(bbox)
    return Part(grid.part(row, column, height, width), row, column)


@dataclass(frozen=True)
class Part:
    """The store's grid, and where it begins on the common grid of the composites."""

    grid: Grid
    row: int
    column: int


def place(layer: Layer, common: Grid, part: Part) -> tuple[tuple[int, float], tuple[int, float]]:
    """(whole, rest) columns and rows at which a file begins on the store's grid.

    Snapped on the common grid and then moved by whole cells, so that a window holds the same pixels as the whole.
    """
    (column, dx), (row, dy) = (snap(value) for value in common.offset_of(layer.grid))
    return (column - part.column, dx), (row - part.row, dy)


def describe(layer: Layer, common: Grid, part: Part, say: Callable[[str], None]) -> Composite:
    """The composite as the store will know it; a shift of its grid is measured, kept and said."""
    column, row = place(layer, common, part)
    grid = part.grid
    # cells of the store's grid that the file does not reach: left, top, right, bottom
    lacking = (
        max(0, column[0]),
        max(0, row[0]),
        max(0, grid.width - layer.grid.width - column[0]),
        max(0, grid.height - layer.grid.height - row[0]),
    )
    if max(lacking) > RIM:
        raise BadInputError(
            f"{layer.source} does not cover the grid of the others: found {layer.grid}; expected at least {grid}; "
            f"cut all to one window with bbox= (--bbox WEST,SOUTH,EAST,NORTH)."
        )
    dx, dy = (0.0 if abs(rest) < ROUNDING else round(rest, 6) for rest in (column[1], row[1]))
    if dx or dy:
        say(
            f"{layer.source.name} lies {dx:+.3g} cells east and {dy:+.3g} cells south of the others' grid: "
            f"snapped to the nearest cell, not resampled; kept with the composite as dx, dy"
        )
    if any(lacking):
        say(f"{layer.source.name} ends {max(lacking)} cells inside the store's grid: the rim is missing (255)")
    return Composite(
        name=layer.source.name,
        satellite=layer.source.satellite,
        year=layer.source.year,
        source=layer.source.label,
        size=layer.size,
        sha256=layer.sha256,
        dx=dx,
        dy=dy,
    )


def check_disk(store: Path, grid: Grid, n_composite: int) -> None:
    """Refuse early when the store surely does not fit: lights compress to a fifth at worst in real composites."""
    folder = next(parent for parent in (store.absolute(), *store.absolute().parents) if parent.exists())
    need, free = grid.width * grid.height * n_composite // 5, shutil.disk_usage(folder).free
    if need > free:
        raise ResourceError(
            f"{folder} has {free:,} bytes free, the store may need {need:,}: free space or write elsewhere."
        )


# --- pixels -------------------------------------------------------------------------------------------------------


def strips(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Tiles grouped by tile row, the unit in which sources are read in step."""
    rows = sorted({tile.row for tile in tiles})
    return [[tile for tile in tiles if tile.row == row] for row in rows]


def write_strip(
    strip: Sequence[Tile],
    layers: Sequence[Layer],
    common: Grid,
    part: Part,
    sensor: Sensor,
    writer: StoreWriter,
    workers: ThreadPoolExecutor,
) -> None:
    """Read one row of tiles of every composite, then write its tiles; the rows are let go of before the next strip."""
    rows = list(workers.map(lambda layer: read_strip(layer, common, part, strip[0], sensor), layers))
    list(workers.map(lambda tile: writer.write(tile, cut(rows, tile)), strip))


def cut(rows: Sequence[np.ndarray], tile: Tile) -> np.ndarray:
    """(composite, height, width) of one tile out of strips of whole rows."""
    return np.stack([row[:, tile.column : tile.column + tile.width] for row in rows])


def read_strip(layer: Layer, common: Grid, part: Part, tile: Tile, sensor: Sensor) -> np.ndarray:
    """(height, width) of the rows of `tile` on the store's grid; 255 where the file does not reach."""
    (column, _), (row, _) = place(layer, common, part)
    grid = part.grid
    out = np.full((tile.height, grid.width), sensor.nodata, sensor.dtype)
    r0, r1 = max(tile.row, row), min(tile.row + tile.height, row + layer.grid.height)
    c0, c1 = max(0, column), min(grid.width, column + layer.grid.width)
    if r0 >= r1 or c0 >= c1:
        return out
    values = read_cells(layer, r0 - row, c0 - column, r1 - r0, c1 - c0)
    checked, problems = check_values(values, layer.dataset.nodata, sensor)
    if problems:
        raise BadInputError(explain_values(layer, sensor))
    out[r0 - tile.row : r1 - tile.row, c0:c1] = checked
    return out


def read_cells(layer: Layer, row: int, column: int, height: int, width: int) -> np.ndarray:
    """(height, width) of a window of a file, as stored."""
    import rasterio
    from rasterio.windows import Window

    try:
        return layer.dataset.read(1, window=Window(column, row, width, height))
    except rasterio.errors.RasterioError as error:
        raise IntegrityError(
            f"{layer.source} is truncated or damaged: rows {row}..{row + height - 1} cannot be read; "
            f"get the file again."
        ) from error


def check_values(values: np.ndarray, tag: float | None, sensor: Sensor) -> tuple[np.ndarray, dict[str, int]]:
    """Values as the sensor's dtype, and how many of which kind are not possible.

    What is missing follows from the product (255), not from the file's nodata tag: tools have written 0 there. Only
    a tag outside 0..255 in a float file, where 255 cannot be meant, marks missing cells.
    """
    low, high = sensor.valid
    missing = values == sensor.nodata
    if tag is not None and not (0 <= tag <= sensor.nodata):
        missing |= np.isnan(values) if np.isnan(tag) else values == tag
    if values.dtype == sensor.dtype:
        bad = (values > high) & ~missing
        problems = {"above range": int(bad.sum())}
    else:
        real = values.astype("float64")
        nan = np.isnan(real) & ~missing
        problems = {
            "not a number": int(nan.sum()),
            "not whole": int(((real != np.round(real)) & ~nan & ~missing).sum()),
            "below range": int(((real < low) & ~missing).sum()),
            "above range": int(((real > high) & ~missing).sum()),
        }
    problems = {kind: count for kind, count in problems.items() if count}
    if problems:
        return values, problems
    return np.where(missing, sensor.nodata, values).astype(sensor.dtype), {}


def explain_values(layer: Layer, sensor: Sensor) -> str:
    """One sentence on all impossible values of a file, counted over the whole of it."""
    problems: Counter[str] = Counter()
    for row in range(0, layer.grid.height, TILE):
        values = read_cells(layer, row, 0, min(TILE, layer.grid.height - row), layer.grid.width)
        problems.update(check_values(values, layer.dataset.nodata, sensor)[1])
    counts = ", ".join(f"{problems[kind]:,} {kind}" for kind in sorted(problems))
    low, high = sensor.valid
    hint = ""
    if set(problems) == {"above range"}:
        hint = " (counts of cloud-free observations, cf_cvg, look like this)"
    elif "not whole" in problems:
        hint = " (radiance-calibrated, calibrated or resampled images look like this)"
    return (
        f"{layer.source} has impossible values: {counts}; expected whole numbers {low}..{high}, or {sensor.nodata} "
        f"where nothing was observed{hint}; give the original {sensor.variable} composite."
    )
