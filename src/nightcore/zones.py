"""Polygons in, coverage weights out: which cells a zone covers, and how much of each.

Two rules. `exact` weighs a cell with the share of it that lies inside the polygon (in degrees; within a cell the
difference to the share on the ellipsoid is below 1e-4 of the cell). `centre` takes a cell whole when its centre is
inside, as GDAL rasterises.

The globe is round: what a polygon covers beyond 180 degrees is found on the other side, whichever way its longitudes
are written, and columns that show meridians a second time count once (docs/decisions/0005-coverage.md).
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.errors import BadInputError, UsageError
from nightcore.grid import ROUNDING, Grid
from nightcore.store import TILE, Store, Tile, as_store
from nightcore.threads import thread_count

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from nightcore.kernels.cover import TileCover
    from nightcore.kernels.coverage import Rings
    from nightcore.kernels.tiling import Tiles

RULES = ("exact", "centre")
HASHED = ("grid", "rule", "ids", "polygons")
# Columns of zonal's tables, which a column kept from the polygons must not hide.
RESERVED = (
    *("zone", "year", "sum", "cells", "mean", "sum_area", "area_km2", "mean_area"),
    *("lit_share", "saturated55_share", "saturated60_share", "saturated_share"),
    *("missing_share", "min", "max", "reason"),
)
# Below this, warned of: the mean of a zone is that of a handful of pixels, which are no sharper than 3 km.
FEW_CELLS = 4
THIN = 0.1  # [cells] ... and below this mean width, 2 area / perimeter
FARTHEST = 540.0  # [degrees] longitudes of 0..360 and a half turn on both sides
BEYOND_POLE = 1e-6  # [degrees] of latitude, forgiven as rounding


@dataclass(frozen=True)
class Runs:
    """Cells start..stop-1 of a row lie wholly inside a zone; (m,) int32 each, by zone, row, start."""

    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    zone: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Edges:
    """Cells of which a part lies inside a zone; row, column, zone (n,) int32, weight (n,) float64 in (0, 1); by zone,
    row, column."""

    row: np.ndarray
    column: np.ndarray
    zone: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Coverage:
    """Weights of all zones on one grid.

    Attributes
    ----------
    ids : tuple
        Zone ids in the order of the polygons.
    attributes : DataFrame
        One row a zone, columns kept from the polygons' table.
    grid : Grid
    rule : str
        "exact" or "centre".
    runs : Runs
        Whole cells; zones are places in `ids`.
    edges : Edges
        The other cells, with their weights; none under "centre".
    outside : (zone,) float64
        Cells by which each zone reaches beyond the grid.
    hashes : mapping
        SHA-256 of "grid", "rule", "ids" and "polygons".
    reasons : mapping
        Id -> why the zone covers no cell, for those that do not.
    warnings : tuple of str
        Sentences about zones that are small, thin, repaired or moved.
    """

    ids: tuple[Any, ...]
    attributes: pd.DataFrame = field(repr=False)
    grid: Grid
    rule: str
    runs: Runs = field(repr=False)
    edges: Edges = field(repr=False)
    outside: np.ndarray = field(repr=False)
    hashes: Mapping[str, str] = field(repr=False)
    reasons: Mapping[Any, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = field(default=(), repr=False)

    @property
    def hash(self) -> str:
        """SHA-256 that changes with any id, polygon, the grid or the rule."""
        return hashlib.sha256(" ".join(f"{name} {self.hashes[name]}" for name in HASHED).encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write to a .npz that `load_coverage` reads, whole or not at all.

        Raises
        ------
        BadInputError
            Ids or kept columns are of a kind that cannot be saved.
        """
        from nightcore.coverage_file import save_coverage

        save_coverage(self, path)

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self) -> tuple[Any, ...]:
        """Ids of the zones that the grid's edge cuts, or that lie off it."""
        return tuple(id for id, cells in zip(self.ids, self.outside, strict=True) if cells > 0)

    # --- by tile ----------------------------------------------------------------------------------------------

    @cached_property
    def _tiles(self) -> Tiles:
        from nightcore.kernels.tiling import in_tiles

        runs = (self.runs.row, self.runs.start, self.runs.stop, self.runs.zone)
        edges = (self.edges.row, self.edges.column, self.edges.zone, self.edges.weight)
        return in_tiles(runs, edges, self.grid.shape, TILE, len(self))

    def _number(self, tile: Tile) -> int:
        down, across = tile.index
        return down * -(-self.grid.width // TILE) + across

    def touches(self, tile: Tile) -> bool:
        """Whether any cell of the tile belongs to a zone."""
        return self._tiles.any(self._number(tile))

    def block(self, tile: Tile) -> TileCover:
        """What the zones cover of one tile; weights in units of 2**-30."""
        return self._tiles[self._number(tile)]

    # --- cell by cell -----------------------------------------------------------------------------------------

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """All covered cells, by zone, row, column."""
        runs, edges = self.runs, self.edges
        length = runs.stop - runs.start
        # columns count up within a run: start + (place among all cells - place of the run's first)
        column = np.repeat(runs.start - (np.cumsum(length) - length), length) + np.arange(length.sum())
        row = np.r_[np.repeat(runs.row, length), edges.row]
        column = np.r_[column.astype(np.int32), edges.column]
        zone = np.r_[np.repeat(runs.zone, length), edges.zone]
        weight = np.r_[np.ones(length.sum()), edges.weight]
        order = np.lexsort((column, row, zone))
        return row[order], column[order], zone[order], weight[order]

    @property
    def row(self) -> np.ndarray:
        """(n,) int32 row of every covered cell, by zone, row, column."""
        return self._cells[0]

    @property
    def column(self) -> np.ndarray:
        """(n,) int32 column of every covered cell."""
        return self._cells[1]

    @property
    def zone(self) -> np.ndarray:
        """(n,) int32 place in `ids` of the zone that covers the cell."""
        return self._cells[2]

    @property
    def weight(self) -> np.ndarray:
        """(n,) float64 share of the cell inside the zone, in (0, 1]."""
        return self._cells[3]

    def area(self) -> np.ndarray:
        """(zone,) covered area on the WGS84 ellipsoid [km2]."""
        cell, runs, edges, n = self.grid.cell_area(), self.runs, self.edges, len(self)
        whole = np.bincount(runs.zone, (runs.stop - runs.start) * cell[runs.row], minlength=n)
        return whole + np.bincount(edges.zone, edges.weight * cell[edges.row], minlength=n)


def coverage(
    zones: gpd.GeoDataFrame | str | Path,
    grid: Grid | Store | str | Path | Any,
    id: str | None = None,
    rule: str = "exact",
    keep: Sequence[str] = (),
    reproject: bool = False,
    make_valid: bool = False,
    cache: str | Path | None = None,
    refresh: bool = False,
    threads: int | None = None,
) -> Coverage:
    """Which cells of `grid` each zone covers, and how much of each.

    Parameters
    ----------
    zones : GeoDataFrame or path
        Polygons in EPSG:4326; a path is anything that pyogrio reads. Longitudes may be written on beyond 180 degrees.
    grid : Grid, Store, path of a store or of a raster, or xarray object with x and y
    id : str, optional
        Column of unique zone ids; without it zones are numbered from 0.
    rule : {"exact", "centre"}
    keep : sequence of str
        Columns to carry into the tables of `zonal`, e.g. the province of a city.
    reproject : bool
        Bring polygons of another CRS to EPSG:4326; otherwise they are refused.
    make_valid : bool
        Repair polygons that cross themselves; otherwise they are refused. `warnings` tells the change of area.
    cache : path, optional
        A .npz that is read when it was made for the same polygons, ids, grid and rule, and written when absent.
    refresh : bool
        Make a cache that belongs to other polygons, ids, grid or rule again; otherwise it is refused.
    threads : int, optional
        Default: all processors; the coverage is the same for any number.

    Raises
    ------
    BadInputError
        Another CRS, an absent column, duplicate ids, an invalid or empty polygon, coordinates that are no degrees, no
        zone on the grid, or a cache of something else; names it.
    IntegrityError
        The cache is damaged.
    UsageError
        An unknown rule.
    """
    from nightcore.kernels.coverage import rings_of

    if rule not in RULES:
        raise UsageError(f"there is no coverage rule '{rule}': expected one of {', '.join(RULES)}.")
    if isinstance(keep, str):
        raise UsageError(f"keep is the text '{keep}': expected a list of columns, such as ['{keep}'].")
    taken = [name for name in keep if name in RESERVED or list(keep).count(name) > 1]
    if taken:
        raise UsageError(
            f"the column '{taken[0]}' cannot be kept: tables of zonal have a column of this name; rename it first."
        )
    threads = thread_count(threads)
    frame, notes = read_zones(zones, id, keep, reproject, make_valid)
    grid = grid_of(grid)
    ids = tuple(frame[id]) if id is not None else tuple(range(len(frame)))
    rings = rings_of(frame.geometry.to_numpy())
    hashes = {"grid": grid.hash, "rule": sha256(rule), "ids": sha256(repr(ids)), "polygons": hash_of_rings(rings)}
    attributes = frame.drop(columns=frame.geometry.name)[list(keep)].reset_index(drop=True)
    if cache is not None and not refresh and Path(cache).exists():
        return replace(reused(cache, hashes), ids=ids, attributes=attributes)

    runs, edges = cover(rings, grid, rule, threads)
    box = frame.geometry.bounds.to_numpy()
    covered = cells_of(runs, edges, len(ids))
    reasons = {ids[zone]: why_empty(box[zone], grid, rule) for zone in np.flatnonzero(covered == 0)}
    if len(reasons) == len(ids) and set(reasons.values()) == {OFF_GRID}:
        extent = ", ".join(f"{value:.4f}" for value in frame.total_bounds)
        raise BadInputError(
            f"no zone lies on the grid: zones span {extent}, the grid is {grid}; check which belong together."
        )
    outside = cells_outside(frame, grid, rings, covered if rule == "exact" else None, threads)
    warnings = (*notes, *warnings_of(frame, ids, grid, rings))
    made = Coverage(ids, attributes, grid, rule, runs, edges, outside, hashes, reasons, warnings)
    if cache is not None:
        made.save(cache)
    return made


def cover(rings: Rings, grid: Grid, rule: str, threads: int) -> tuple[Runs, Edges]:
    """Cells of all zones, by zone, row and column; kernels let go of the GIL, so threads run beside each other."""
    from nightcore.kernels.coverage import area_cover, centre_cover

    # columns that show meridians again never count: what they would cover is found in the first columns
    place = (grid.left, grid.top, grid.dx, grid.dy, grid.width - grid.repeated_columns, grid.height)

    def work(batch: tuple[int, int]):
        if rule == "exact":
            return area_cover(rings.xy, rings.start, rings.shell, rings.zone_start, *batch, *place)
        runs = centre_cover(rings.xy, rings.start, rings.zone_start, *batch, *place)
        return runs, np.empty((3, 0), np.int32), np.empty((1, 0))

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(work, batches(rings, threads)))
    # column by column, so that no whole copy is made on the way
    runs, edges, weights = (
        [np.concatenate(column) for column in zip(*kind, strict=True)] for kind in zip(*parts, strict=True)
    )
    return Runs(*runs), Edges(*edges, *weights)


def batches(rings: Rings, threads: int) -> list[tuple[int, int]]:
    """Zones first..last-1 of about equal numbers of vertices, some for each thread, in order."""
    n_zone = len(rings.zone_start) - 1
    wanted = 1 if threads == 1 else 8 * threads
    vertices = rings.start[rings.zone_start]
    cuts = np.searchsorted(vertices, np.linspace(0, vertices[-1], wanted + 1)[1:-1])
    edges = np.unique(np.r_[0, cuts, n_zone])
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def cells_of(runs: Runs, edges: Edges, n_zones: int) -> np.ndarray:
    """(zone,) covered cells, parts of cells as parts."""
    whole = np.bincount(runs.zone, runs.stop - runs.start, minlength=n_zones)
    return whole + np.bincount(edges.zone, edges.weight, minlength=n_zones)


# --- what is said about zones -------------------------------------------------------------------------------------

OFF_GRID = "off the grid"
NO_CENTRE = "no cell's centre inside"
TOO_THIN = "too thin to cover a cell"


def turns_onto(box: Sequence[float], grid: Grid) -> range:
    """Turns of 360 degrees after which a box (west, south, east, north) overlaps the grid."""
    west, south, east, north = box
    if not (south < grid.top and north > grid.bottom):
        return range(0)
    return range(math.floor((grid.left - east) / 360) + 1, math.ceil((grid.right - west) / 360))


def why_empty(box: Sequence[float], grid: Grid, rule: str) -> str:
    if not turns_onto(box, grid):
        return OFF_GRID
    return NO_CENTRE if rule == "centre" else TOO_THIN


def cells_outside(
    frame: gpd.GeoDataFrame, grid: Grid, rings: Rings, covered: np.ndarray | None, threads: int
) -> np.ndarray:
    """(zone,) how many cells of each polygon lie beyond the grid; below a hundredth of a cell is rounding.

    `covered` are the cells by area where they are known.
    """
    import shapely

    from nightcore.kernels.coverage import rings_of

    west, south, east, north = grid.bounds
    edges = frame.geometry.bounds
    slack_x, slack_y = grid.dx * ROUNDING, grid.dy * ROUNDING
    crossing = (edges.miny < south - slack_y) | (edges.maxy > north + slack_y)
    if not grid.closed:
        crossing |= (edges.minx < west - slack_x) | (edges.maxx > east + slack_x)
    place = np.flatnonzero(crossing)
    outside = np.zeros(len(frame))
    if len(place):
        shapes = frame.geometry.iloc[place]
        if covered is None:
            own = cells_of(*cover(rings_of(shapes.to_numpy()), grid, "exact", threads), len(place))
        else:
            own = covered[place]
        outside[place] = shapely.area(shapes.to_numpy()) / (grid.dx * grid.dy) - own
    return np.where(outside < ROUNDING, 0.0, outside)


def warnings_of(frame: gpd.GeoDataFrame, ids: Sequence[Any], grid: Grid, rings: Rings) -> list[str]:
    """Sentences about zones that a reader of their means should know of."""
    import shapely

    cells = shapely.area(frame.geometry.to_numpy()) / (grid.dx * grid.dy)
    # from the arrays of rings: shapely would copy every part of every zone to measure them
    side = np.hypot(*(np.diff(rings.xy, axis=0, append=0) / (grid.dx, grid.dy)).T)
    side[rings.start[1:] - 1] = 0  # from the end of a ring to the start of the next
    width = 2 * cells / np.add.reduceat(side, rings.start[rings.zone_start[:-1]])
    span = np.maximum.reduceat(rings.xy[:, 0], rings.start[:-1]) - np.minimum.reduceat(rings.xy[:, 0], rings.start[:-1])
    box = frame.geometry.bounds
    slack = grid.dx * ROUNDING
    moved = (box.minx < -180 - slack) | (box.maxx > 180 + slack)
    moved &= (box.minx < grid.left - slack) | (box.maxx > grid.right + slack)
    # a continent around a pole goes once around; half way around without reaching both ends is not seen in nature
    wide = np.logical_or.reduceat((span > 180) & (span < 360), rings.zone_start[:-1])
    found = []
    for which, what in (
        (cells < FEW_CELLS, f"smaller than {FEW_CELLS} cells: means rest on few pixels"),
        ((width < THIN) & (cells >= FEW_CELLS), f"thinner than {THIN:g} cells on average: is it a sliver?"),
        (moved.to_numpy(), "written on beyond 180 degrees: what lies there is found on the other side"),
        (
            wide,
            "more than half way around the globe: if a zone crosses the antimeridian, cut it at 180 degrees, or write "
            "its longitudes on, to 181, 182 and so on",
        ),
    ):
        if which.any():
            found.append(f"{count_zones(which.sum())} ({few([ids[i] for i in np.flatnonzero(which)])}) {what}")
    return found


def count_zones(n: int) -> str:
    return "1 zone is" if n == 1 else f"{n} zones are"


def few(names: Sequence[Any]) -> str:
    """The first five names."""
    return ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")


# --- reuse --------------------------------------------------------------------------------------------------------


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_rings(rings: Rings) -> str:
    digest = hashlib.sha256()
    for part in (rings.xy, rings.start, rings.shell, rings.zone_start):
        digest.update(f"{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def reused(path: str | Path, hashes: Mapping[str, str]) -> Coverage:
    """The coverage in a file, refused when it was made for something else."""
    from nightcore.coverage_file import load_coverage

    found = load_coverage(path)
    changed = [name for name in HASHED if found.hashes[name] != hashes[name]]
    if changed:
        raise BadInputError(
            f"{path} was made for other {' and '.join(changed)}: pass refresh=True (--refresh) to make it again, or "
            f"another name."
        )
    return found


# --- polygons -----------------------------------------------------------------------------------------------------


def read_zones(
    zones: gpd.GeoDataFrame | str | Path, id: str | None, keep: Iterable[str], reproject: bool, make_valid: bool
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Polygons in EPSG:4326 with the columns asked for, each checked, and sentences on what was changed."""
    import geopandas as gpd

    if isinstance(zones, str | os.PathLike):
        import pyogrio.errors

        name = str(zones)
        try:
            frame = gpd.read_file(zones)
        except (pyogrio.errors.DataSourceError, OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError
            raise BadInputError(f"the zones in {name} cannot be read ({error}): expected a polygon file.") from error
        if not isinstance(frame, gpd.GeoDataFrame):
            raise BadInputError(f"{name} is a table without polygons: give the polygon file itself.")
    elif isinstance(zones, gpd.GeoDataFrame):
        name, frame = "the zones", zones
    else:
        raise UsageError(
            f"the zones are a {type(zones).__name__}: expected a GeoDataFrame or the path of a polygon file."
        )
    if frame.empty:
        raise BadInputError(f"{name} has no rows: expected one polygon for each zone.")
    columns = [column for column in frame.columns if column != frame.geometry.name]
    for wanted in ([id] if id is not None else []) + list(keep):
        if wanted not in columns:
            near = get_close_matches(wanted, columns, 1)
            hint = f"; did you mean '{near[0]}'" if near else ""
            raise BadInputError(f"{name} has no column '{wanted}': found {', '.join(columns)}{hint}.")
    if frame.crs is None:
        raise BadInputError(f"{name} has no coordinate system, expected EPSG:4326: set it in the file.")
    notes = []
    # OGC:CRS84 is WGS84 with longitude first, which is how polygons are held here anyway
    if not frame.crs.equals("EPSG:4326", ignore_axis_order=True):
        if not reproject:
            raise BadInputError(
                f"{name} is in {frame.crs.to_string()[:60]} ({frame.crs.name}), the lights are in EPSG:4326: "
                f"reproject the polygons, or pass reproject=True (--reproject)."
            )
        notes.append(f"the zones were brought from {frame.crs.to_string()[:60]} ({frame.crs.name}) to EPSG:4326")
        frame = frame.to_crs(4326)
    if id is not None:
        if frame[id].isna().any():
            raise BadInputError(
                f"{name} has {frame[id].isna().sum()} zones without an id in column '{id}': give them one."
            )
        doubled = frame[id][frame[id].duplicated()].unique()
        if len(doubled):
            raise BadInputError(
                f"{name} has {len(doubled)} ids in column '{id}' more than once ({', '.join(map(str, doubled[:5]))}): "
                f"dissolve the parts or choose a column that is unique."
            )
    label = frame[id].astype(str) if id is not None else frame.index.astype(str).to_series(index=frame.index)
    shapes = frame.geometry
    refuse(shapes.isna() | shapes.is_empty, label, name, "has no polygon: give it one or remove it")
    refuse(~shapes.geom_type.isin(POLYGONS), label, name, "is not a polygon: zones are areas, remove it")
    box = shapes.bounds
    degrees = (box.abs().max(axis=1) <= FARTHEST) & (box[["miny", "maxy"]].abs().max(axis=1) <= 90 + BEYOND_POLE)
    refuse(~degrees, label, name, "reaches beyond the globe: expected degrees; set the CRS that its numbers are in")
    refuse(box.maxx - box.minx > 360 + BEYOND_POLE, label, name, "is wider than 360 degrees: cut it")
    broken = ~shapes.is_valid
    if broken.any() and make_valid:
        frame = frame.copy()
        before = shapes[broken]
        frame.loc[broken, frame.geometry.name] = before.apply(repaired)
        after = frame.geometry[broken]
        refuse(after.is_empty, label[broken], name, "has no area left after its repair: remove it")
        notes += [
            f"zone {zone} was repaired: {change:+.6g} km2"
            for zone, change in zip(label[broken], after.apply(km2) - before.apply(km2), strict=True)
        ]
    elif broken.any():
        from shapely import is_valid_reason

        refuse(
            broken,
            label,
            name,
            f"crosses itself or is otherwise invalid ({is_valid_reason(shapes[broken].iloc[0])}): repair it, or pass "
            f"make_valid=True (--make-valid)",
        )
    return frame, notes


POLYGONS = ("Polygon", "MultiPolygon")


def refuse(wrong: pd.Series, label: pd.Series, name: str, what: str) -> None:
    """Name the first zone for which `wrong` holds, and how many more there are."""
    if wrong.any():
        more = f" and {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
        raise BadInputError(f"zone {label[wrong].iloc[0]}{more} of {name} {what}.")


def repaired(shape: Any) -> Any:
    """The areas of a polygon that crosses itself; lines and points that a repair leaves over are dropped."""
    import shapely

    valid = shapely.make_valid(shape)
    areas = [part for part in shapely.get_parts(valid) if part.geom_type in POLYGONS]
    return shapely.unary_union(areas) if areas else shapely.Polygon()


def km2(shape: Any) -> float:
    """Geodesic area on WGS84 [km2]; loops of a polygon that crosses itself count with opposite signs."""
    from pyproj import Geod

    return abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) / 1e6


def grid_of(thing: Any) -> Grid:
    """The grid of a Grid, a store, a raster file, or an xarray object with x and y coordinates."""
    if isinstance(thing, Grid):
        return thing
    if isinstance(thing, Store):
        return thing.grid
    if isinstance(thing, str | os.PathLike):
        return as_store(thing).grid if Path(thing).is_dir() else raster_file_grid(Path(thing))
    try:
        x, y = np.asarray(thing["x"], float), np.asarray(thing["y"], float)
    except (KeyError, TypeError, IndexError):
        raise BadInputError(
            f"expected a grid, a store, a raster or an xarray object with coordinates x and y, found "
            f"{type(thing).__name__}."
        ) from None
    return grid_of_centres(x, y)


def grid_of_centres(x: np.ndarray, y: np.ndarray) -> Grid:
    """The grid with these cell centres [degrees]; refused when they are not evenly spaced, west to east, north to
    south."""
    if len(x) < 2 or len(y) < 2:
        raise BadInputError(f"a raster of {len(x)} x {len(y)} cells has no cell size: expected at least 2 x 2.")
    dx, dy = (x[-1] - x[0]) / (len(x) - 1), (y[0] - y[-1]) / (len(y) - 1)
    # a thousandth of a cell is far above the rounding of float64 degrees, and far below any real unevenness
    even = np.abs(np.diff(x) - dx).max() < 1e-3 * abs(dx) and np.abs(np.diff(y) + dy).max() < 1e-3 * abs(dy)
    if not even or dx <= 0 or dy <= 0:
        raise BadInputError(
            "the coordinates x and y are not evenly spaced with x ascending and y descending: "
            "sort or regrid the raster."
        )
    return Grid(x[0] - dx / 2, y[0] + dy / 2, dx, dy, len(x), len(y))


def raster_file_grid(path: Path) -> Grid:
    """The grid of a north-up raster in EPSG:4326."""
    import rasterio

    try:
        with rasterio.open(path, driver="GTiff") as dataset:  # other drivers can reach the network from a file
            crs, transform, width, height = dataset.crs, dataset.transform, dataset.width, dataset.height
            bands = dataset.count
    except rasterio.errors.RasterioError as error:
        raise BadInputError(f"{path} cannot be opened as a raster ({error}): check the path.") from error
    if bands != 1:
        raise BadInputError(f"{path} has {bands} bands: expected one; give the single-band file.")
    if crs is None or crs.to_epsg() != 4326:
        raise BadInputError(f"{path} is in {crs}, expected EPSG:4326: give a raster in geographic coordinates.")
    if transform.b or transform.d:
        raise BadInputError(f"{path} is rotated, expected a north-up raster: warp it first.")
    return Grid(transform.c, transform.f, transform.a, -transform.e, width, height)
