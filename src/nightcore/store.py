"""The only module that knows zarr: layout, chunks, checksums, manifest, atomic publish.

A store is a Zarr v3 group that any xarray user can open::

    stable_lights (composite, y, x) uint8   one chunk = all composites of a tile of 512 x 512 cells, zstd + checksum
    composite satellite year dx dy          one value a composite; dx, dy: shift of its file against the grid [cells]
    y x spatial_ref                         cell centres [degrees], CRS
    nightcore.json                          manifest: provenance of every source, size and SHA-256 of every file

Plain readers take a missing chunk for fill value; everything here reads through the manifest, so that a missing,
truncated, flipped or swapped chunk is an error that names the tile, never dark pixels.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore import __version__
from nightcore.errors import BadInputError, IntegrityError
from nightcore.files import beside
from nightcore.grid import Grid
from nightcore.sensors import SENSORS, Sensor

if TYPE_CHECKING:
    import xarray as xr

TILE = 512  # [cells] edge of a chunk: 34 composites of it are 8.9 MB, small enough for a worker's cache and memory
ZSTD_LEVEL = 3
MANIFEST = "nightcore.json"
FORMAT = 1  # of the manifest and the layout


@dataclass(frozen=True)
class Tile:
    """A rectangle of cells that is one chunk of the store, cut off at the grid's edge."""

    row: int
    column: int
    height: int
    width: int

    @property
    def index(self) -> tuple[int, int]:
        return self.row // TILE, self.column // TILE

    def __str__(self) -> str:
        return (
            f"tile {self.index[0]},{self.index[1]} (rows {self.row}..{self.row + self.height - 1}, "
            f"columns {self.column}..{self.column + self.width - 1})"
        )


def tiles_of(grid: Grid) -> list[Tile]:
    """All tiles of a grid, row by row."""
    return [
        Tile(row, column, min(TILE, grid.height - row), min(TILE, grid.width - column))
        for row in range(0, grid.height, TILE)
        for column in range(0, grid.width, TILE)
    ]


@dataclass(frozen=True)
class Composite:
    """One satellite-year in a store, with where it came from and how its file lay on the store's grid."""

    name: str
    satellite: str
    year: int
    source: str  # file name, and the member's name after "!" when it came out of an archive
    size: int  # [bytes] of the file as given
    sha256: str  # of the file as given
    dx: float = 0.0  # [cells] the file's origin lies this far east of the cell that it was snapped to
    dy: float = 0.0  # [cells] ... and this far south


class Store:
    """A published store; reading verifies every chunk against the manifest.

    Attributes
    ----------
    path : Path
    sensor : Sensor
    grid : Grid
    composites : tuple of str
        Names such as "F101992", ordered by year, then satellite.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self.sensor: Sensor = SENSORS[self.manifest["sensor"]]
        self.grid = Grid(**self.manifest["grid"])
        self.details = tuple(Composite(**entry) for entry in self.manifest["composites"])
        self.composites = tuple(entry.name for entry in self.details)
        self._files: dict[str, tuple[int, str]] = {key: tuple(value) for key, value in self.manifest["files"].items()}
        for key in self._files:
            if key.endswith("zarr.json"):
                self._checked_bytes(key, "its metadata")

    @property
    def years(self) -> tuple[int, ...]:
        return tuple(entry.year for entry in self.details)

    @property
    def hash(self) -> str:
        """SHA-256 that changes with any pixel, coordinate or source of the store."""
        return self.manifest["sha256"]

    def tiles(self) -> list[Tile]:
        return tiles_of(self.grid)

    def read(self, tile: Tile) -> np.ndarray:
        """(composite, height, width) uint8 of one tile.

        Raises
        ------
        IntegrityError
            When the chunk's file is missing or is not byte for byte what was written; it names the tile.
        """
        return self.read_chunk(tile)[:, : tile.height, : tile.width]

    def read_chunk(self, tile: Tile, out: np.ndarray | None = None) -> np.ndarray:
        """`read` with the cells beyond the grid's edge, (composite, 512, 512), into `out` of this shape where given: a
        new array of this size costs more than decoding into an old one."""
        packed = self._checked_bytes(chunk_key(self.sensor, tile), str(tile))
        try:
            return decode_chunk(packed, len(self.composites), self.sensor.dtype, out)
        except (RuntimeError, ValueError) as error:  # numcodecs: "Zstd decompression error"; another length
            raise IntegrityError(
                f"{self.path}: {tile} cannot be decoded ({error}); ingest the sources again."
            ) from error

    def is_dark(self, tile: Tile) -> bool:
        """True where every composite is 0 in the whole tile, told by the hash of its file without decoding it.

        A tile of which this cannot be told, because another version of the codec wrote it, counts as not dark.

        Raises
        ------
        IntegrityError
            As in `read`.
        """
        key = chunk_key(self.sensor, tile)
        shape = (len(self.composites), tile.height, tile.width)
        if self._files[key][1] != dark_digest(shape, self.sensor.dtype, int(self.sensor.nodata)):
            return False
        self._checked_bytes(key, str(tile))
        return True

    def read_window(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """(composite, height, width) uint8 of any window inside the grid."""
        out = np.empty((len(self.composites), height, width), self.sensor.dtype)
        for top in range(row // TILE * TILE, row + height, TILE):
            for left in range(column // TILE * TILE, column + width, TILE):
                tile = Tile(top, left, min(TILE, self.grid.height - top), min(TILE, self.grid.width - left))
                r0, r1 = max(row, top), min(row + height, top + tile.height)
                c0, c1 = max(column, left), min(column + width, left + tile.width)
                out[:, r0 - row : r1 - row, c0 - column : c1 - column] = self.read(tile)[
                    :, r0 - top : r1 - top, c0 - left : c1 - left
                ]
        return out

    def verify(self, full: bool = True) -> list[str]:
        """Names of the files that are not what was written; `full` compares hashes, otherwise only sizes."""
        bad = []
        for key, (size, digest) in self._files.items():
            try:
                packed = (self.path / key).read_bytes() if full else None
                found = len(packed) if full else (self.path / key).stat().st_size
            except OSError:
                bad.append(f"{key}: missing")
                continue
            if found != size:
                bad.append(f"{key}: {found} bytes instead of {size}")
            elif full and hashlib.sha256(packed).hexdigest() != digest:
                bad.append(f"{key}: bytes differ from what was written")
        return bad

    def _checked_bytes(self, key: str, what: str) -> bytes:
        size, digest = self._files[key]
        repair = "ingest the sources again (nightcore ingest ... --overwrite)"
        try:
            packed = (self.path / key).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(f"{self.path}: {what} is missing (no file {key}); {repair}.") from None
        except IsADirectoryError:
            raise IntegrityError(f"{self.path}: {what} is a folder instead of a file ({key}); {repair}.") from None
        if len(packed) != size:
            raise IntegrityError(f"{self.path}: {what} has {len(packed)} bytes, {size} were written ({key}); {repair}.")
        if hashlib.sha256(packed).hexdigest() != digest:
            raise IntegrityError(f"{self.path}: {what} is not what was written, its hash differs ({key}); {repair}.")
        return packed


def as_store(store: Store | str | Path | xr.Dataset) -> Store:
    """A Store from itself, a path, or the Dataset that `open_store` made."""
    if isinstance(store, Store):
        return store
    if isinstance(store, str | os.PathLike):
        return Store(store)
    path = getattr(store, "encoding", {}).get("source")
    if path is None:
        raise BadInputError(
            f"expected a store's path or the Dataset of open_store, found {type(store).__name__} without a source: "
            f"pass the path of the store."
        )
    found = Store(path)
    lights = store.get(found.sensor.variable)
    # a selection keeps the Dataset's source, but its pixels are no longer the store's
    if lights is None or getattr(lights.data, "name", None) != store.encoding.get("nightcore_array"):
        raise BadInputError(
            f"the Dataset of {path} was changed or cut after open_store: pass it whole, and choose a window with "
            f"window= or ingest(bbox=...)."
        )
    return found


# --- chunks -------------------------------------------------------------------------------------------------------


def chunk_key(sensor: Sensor, tile: Tile) -> str:
    """Name of a tile's file in the store, as Zarr v3's default chunk key encoding spells it."""
    return f"{sensor.variable}/c/0/{tile.index[0]}/{tile.index[1]}"


def encode_chunk(block: np.ndarray, nodata: int) -> bytes:
    """(composite, height, width) -> bytes of a whole chunk; cells beyond the grid's edge hold `nodata`."""
    from numcodecs.zstd import Zstd

    whole = np.full((len(block), TILE, TILE), nodata, block.dtype)
    whole[:, : block.shape[1], : block.shape[2]] = block
    return bytes(Zstd(level=ZSTD_LEVEL, checksum=True).encode(whole))


def decode_chunk(packed: bytes, n_composite: int, dtype: str, out: np.ndarray | None = None) -> np.ndarray:
    """Bytes of a chunk -> (composite, 512, 512), in `out` where given."""
    from numcodecs.zstd import Zstd

    plain = Zstd(level=ZSTD_LEVEL, checksum=True).decode(packed, out)
    return np.frombuffer(plain, dtype).reshape(n_composite, TILE, TILE) if out is None else out


@cache
def dark_digest(shape: tuple[int, int, int], dtype: str, nodata: int) -> str:
    """SHA-256 of the encoded chunk of a tile of this shape that is 0 everywhere."""
    return hashlib.sha256(encode_chunk(np.zeros(shape, dtype), nodata)).hexdigest()


# --- writing ------------------------------------------------------------------------------------------------------


class StoreWriter:
    """Writes a store beside its final name and publishes it whole.

    Use as a context manager. On an error the unfinished folder is removed; what a killed writer left behind is removed
    by the next one; a second writer beside a living one is refused.
    """

    def __init__(self, path: str | Path, sensor: Sensor, grid: Grid, composites: Sequence[Composite], overwrite=False):
        self.path = Path(path)
        self.sensor, self.grid, self.composites = sensor, grid, tuple(composites)
        self.partial = beside(self.path, "partial")
        self.replaced = beside(self.path, "replaced")
        self.overwrite = overwrite
        self.files: dict[str, tuple[int, str]] = {}

    def __enter__(self) -> StoreWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = hold_lock(self.path)
        try:
            if self.replaced.exists() and not self.path.exists():  # killed between the two renames of `publish`
                os.replace(self.replaced, self.path)
            refuse_existing(self.path, self.overwrite)
            for left in (self.partial, self.replaced):  # by a run that was killed; nothing in it is published
                shutil.rmtree(left, ignore_errors=True)
            write_skeleton(self.partial, self.sensor, self.grid, self.composites)
        except BaseException:
            self.__exit__()
            raise
        return self

    def write(self, tile: Tile, block: np.ndarray) -> None:
        """Store one tile, (composite, height, width); safe to call from several threads for different tiles."""
        packed = encode_chunk(block, int(self.sensor.nodata))
        key = chunk_key(self.sensor, tile)
        target = self.partial / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(packed)
        self.files[key] = (len(packed), hashlib.sha256(packed).hexdigest())

    def publish(self, provenance: Mapping[str, Any]) -> Store:
        """Write the manifest and move the finished folder to its name in one step."""
        missing = [tile for tile in tiles_of(self.grid) if chunk_key(self.sensor, tile) not in self.files]
        if missing:
            raise AssertionError(f"not published: {missing[0]} and {len(missing) - 1} more were never written")
        for file in sorted(self.partial.rglob("*")):
            key = file.relative_to(self.partial).as_posix()
            if file.is_file() and key not in self.files:
                packed = file.read_bytes()
                self.files[key] = (len(packed), hashlib.sha256(packed).hexdigest())
        content = {
            "format": FORMAT,
            "nightcore": __version__,
            "sensor": self.sensor.name,
            "grid": asdict(self.grid),
            "composites": [asdict(entry) for entry in self.composites],
            "provenance": dict(provenance),
            "files": {key: list(self.files[key]) for key in sorted(self.files)},
        }
        content["sha256"] = digest_of(content)
        (self.partial / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        if self.path.exists():
            # A folder cannot be replaced in one step: the old one steps aside and is removed after the new is in place.
            os.replace(self.path, self.replaced)
            os.replace(self.partial, self.path)
            shutil.rmtree(self.replaced)
        else:
            os.replace(self.partial, self.path)
        return Store(self.path)

    def __exit__(self, *_: object) -> None:
        if self.partial.exists():
            shutil.rmtree(self.partial)
        release_lock(self.lock, self.path)


def hold_lock(store: Path) -> int:
    """Become the one writer of a store; returns a descriptor whose lock the kernel frees when the process ends.

    Raises
    ------
    BadInputError
        Another process writes the store.
    """
    import fcntl

    lock = beside(store, "lock")
    while True:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 100).decode() or "another process"
            os.close(descriptor)
            raise BadInputError(f"{store} is being written by {holder}: wait until it has ended.") from None
        try:
            current = os.stat(lock).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            current = False
        if current:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            return descriptor
        os.close(descriptor)  # its last holder removed the file between our opening and locking it


def release_lock(descriptor: int, store: Path) -> None:
    beside(store, "lock").unlink(missing_ok=True)
    os.close(descriptor)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Never write over something that is not a store, nor over a store without being asked."""
    if not path.exists():
        return
    if not (path / MANIFEST).is_file():
        raise BadInputError(f"{path} exists and is not a nightcore store: choose another name for the store.")
    if not overwrite:
        raise BadInputError(
            f"{path} is a finished store already: pass overwrite=True (--overwrite) to replace it, or another name."
        )


def write_skeleton(path: Path, sensor: Sensor, grid: Grid, composites: Sequence[Composite]) -> None:
    """Zarr metadata and coordinates, everything but the chunks of the lights."""
    import zarr
    from zarr.codecs import ZstdCodec

    n = len(composites)
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    group.attrs.update(
        {
            "Conventions": "CF-1.11",
            "title": f"{sensor.name} {sensor.variable}, {n} annual composites",
            "nightcore_format": FORMAT,
            # conventions of the zarr geo group: readers that do not know CF find the grid here
            "proj:code": "EPSG:4326",
            "spatial:dimensions": ["y", "x"],
            "spatial:bbox": list(grid.bounds),
            "spatial:shape": list(grid.shape),
            "spatial:transform": list(grid.transform),
        }
    )
    codec = ZstdCodec(level=ZSTD_LEVEL, checksum=True)
    group.create_array(
        sensor.variable,
        shape=(n, *grid.shape),
        chunks=(n, TILE, TILE),
        dtype=sensor.dtype,
        fill_value=sensor.nodata,
        compressors=codec,
        dimension_names=("composite", "y", "x"),
        attributes={
            "long_name": f"{sensor.name} {sensor.variable}",
            "units": sensor.units,
            "_FillValue": sensor.nodata,
            "valid_range": list(sensor.valid),
            "grid_mapping": "spatial_ref",
            "coordinates": "satellite year dx dy spatial_ref",
        },
    )

    def coordinate(name, values, dtype, dims, **attributes):
        array = group.create_array(
            name, shape=np.shape(values), dtype=dtype, compressors=codec, dimension_names=dims, attributes=attributes
        )
        array[...] = values

    per = ("composite",)
    coordinate("composite", np.array([c.name for c in composites], object), "string", per, long_name="satellite-year")
    coordinate("satellite", np.array([c.satellite for c in composites], object), "string", per, long_name="satellite")
    coordinate("year", np.array([c.year for c in composites]), "int64", per, long_name="year of the composite")
    shift = "shift of the composite's own grid against this one, {}; not corrected, cells were snapped"
    coordinate(
        "dx", np.array([c.dx for c in composites]), "float64", per, units="cell", long_name=shift.format("eastward")
    )
    coordinate(
        "dy", np.array([c.dy for c in composites]), "float64", per, units="cell", long_name=shift.format("southward")
    )
    coordinate("y", grid.y, "float64", ("y",), units="degrees_north", standard_name="latitude", axis="Y")
    coordinate("x", grid.x, "float64", ("x",), units="degrees_east", standard_name="longitude", axis="X")
    coordinate("spatial_ref", np.int64(0), "int64", (), **spatial_ref(grid))
    with warnings.catch_warnings():
        # zarr warns that consolidated metadata is not yet part of the v3 specification; readers may ignore it
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path, zarr_format=3)


def write_cube(cube: xr.DataArray, path: Path) -> None:
    """Write a (year, y, x) cube as Zarr v3, a chunk all years of a tile."""
    from zarr.codecs import ZstdCodec

    chunks = (cube.shape[0], min(TILE, cube.shape[1]), min(TILE, cube.shape[2]))
    flat = cube.chunk(dict(zip(cube.dims, chunks, strict=True)))
    encoding = {cube.name: {"compressors": [ZstdCodec(level=ZSTD_LEVEL, checksum=True)], "chunks": chunks}}
    flat.to_dataset().to_zarr(path, consolidated=False, zarr_format=3, encoding=encoding)


def spatial_ref(grid: Grid) -> dict[str, Any]:
    """Attributes of the CF grid-mapping variable, readable by rioxarray and GDAL."""
    from pyproj import CRS

    attributes = CRS.from_epsg(4326).to_cf()
    attributes["spatial_ref"] = attributes["crs_wkt"]
    a, b, c, d, e, f = grid.transform
    attributes["GeoTransform"] = " ".join(repr(float(v)) for v in (c, a, b, f, d, e))
    return attributes


# --- manifest -----------------------------------------------------------------------------------------------------


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own digest."""
    kept = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store, refused when it was edited or comes from a newer nightcore."""
    file = path / MANIFEST
    if not file.is_file():
        what = "does not exist" if not path.exists() else f"has no {MANIFEST}, so it is not a nightcore store"
        raise BadInputError(f"{path} {what}: expected a store written by nightcore ingest; check the path.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version, digest = content["format"], content["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{file} cannot be read ({error}); ingest the sources again.") from error
    if version != FORMAT:
        raise BadInputError(
            f"{path} has store format {version}, this nightcore ({__version__}) reads format {FORMAT}: "
            f"use the nightcore that wrote it ({content.get('nightcore', 'unknown')}) or ingest again."
        )
    if digest_of(content) != digest:
        raise IntegrityError(f"{file} was edited after it was written, its hash differs; ingest the sources again.")
    return content


# --- xarray -------------------------------------------------------------------------------------------------------


def open_store(store: str | Path | Store, masked: bool = False) -> xr.Dataset:
    """A store as a lazy xarray Dataset, one dask chunk a tile.

    Parameters
    ----------
    store : path or Store
        Written by `ingest`.
    masked : bool
        False: the sensor's own integers, with 255 where nothing was observed (attribute `_FillValue`).
        True: float32 with NaN there.

    Returns
    -------
    xarray.Dataset
        `stable_lights` (composite, y, x) [DN] with coordinates satellite, year, dx, dy and spatial_ref (EPSG:4326).

    Raises
    ------
    BadInputError, IntegrityError
        When it is not a store, or not what was written; chunks are checked when they are read.
    """
    import dask.array
    import xarray as xr

    store = as_store(store)
    sensor, grid, details = store.sensor, store.grid, store.details
    tiles = {tile.index: tile for tile in store.tiles()}

    def read(block_id: tuple[int, int, int]) -> np.ndarray:
        return store.read(tiles[block_id[1:]])

    heights = tuple(tile.height for tile in store.tiles() if tile.column == 0)
    widths = tuple(tile.width for tile in store.tiles() if tile.row == 0)
    lights = dask.array.map_blocks(
        read,
        chunks=((len(details),), heights, widths),
        dtype=sensor.dtype,
        name=f"nightcore-{store.hash[:32]}",
        meta=np.empty((0, 0, 0), sensor.dtype),
    )
    array = xr.DataArray(
        lights,
        dims=("composite", "y", "x"),
        coords={
            "composite": [c.name for c in details],
            "satellite": ("composite", [c.satellite for c in details]),
            "year": ("composite", [c.year for c in details]),
            "dx": ("composite", [c.dx for c in details], {"units": "cell"}),
            "dy": ("composite", [c.dy for c in details], {"units": "cell"}),
            "y": ("y", grid.y, {"units": "degrees_north", "standard_name": "latitude", "axis": "Y"}),
            "x": ("x", grid.x, {"units": "degrees_east", "standard_name": "longitude", "axis": "X"}),
            "spatial_ref": ((), 0, spatial_ref(grid)),
        },
        attrs={
            "long_name": f"{sensor.name} {sensor.variable}",
            "units": sensor.units,
            "valid_range": list(sensor.valid),
            "grid_mapping": "spatial_ref",
        },
    )
    if masked:
        array = array.astype("float32").where(array != sensor.nodata)
    else:
        array.attrs["_FillValue"] = sensor.nodata
    dataset = array.to_dataset(name=sensor.variable)
    dataset.attrs = {"Conventions": "CF-1.11", "nightcore_store_sha256": store.hash}
    dataset.encoding["source"] = str(store.path)
    dataset.encoding["nightcore_array"] = dataset[sensor.variable].data.name
    return dataset
