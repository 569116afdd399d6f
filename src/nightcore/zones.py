"""Polygons in, coverage weights out: which cells a zone covers, and how much of each.

Two rules. `exact` weighs a cell with the share of it that lies inside the polygon (in degrees; within a cell the
difference to the share on the ellipsoid is below 1e-4 of the cell). `centre` takes a cell whole when its centre is
inside, as GDAL rasterises.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.errors import BadInputError, UsageError
from nightcore.grid import ROUNDING, Grid
from nightcore.store import TILE, Store, Tile, as_store

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

RULES = ("exact", "centre")
# Smaller weights are rounding where an edge runs along cells: exactextract's weights are float32.
SLIVER = 1e-6
# Columns of zonal's tables, which a column kept from the polygons must not hide.
RESERVED = (
    *("zone", "year", "sum", "cells", "mean", "sum_area", "area_km2", "mean_area"),
    *("lit_share", "saturated_share", "missing_share", "min", "max"),
)


@dataclass(frozen=True)
class Entries:
    """Covered cells of one tile, ordered by cell.

    pixel (n,) int64 flat index in the tile, zone (n,) int32 index into `Coverage.ids`, weight (n,) float64 in (0, 1].
    """

    pixel: np.ndarray
    zone: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.pixel)

    def local(self) -> tuple[np.ndarray, np.ndarray]:
        """(k,) distinct zones of the tile, ascending, and (n,) int32 which of them each entry belongs to."""
        if not len(self):
            return np.array([], np.int32), np.array([], np.int32)
        # a table over zone numbers; sorting the entries instead took half of a zonal run
        place = np.zeros(int(self.zone.max()) + 1, np.int32)
        place[self.zone] = 1
        zones = np.flatnonzero(place).astype(np.int32)
        place[zones] = np.arange(len(zones), dtype=np.int32)
        return zones, place[self.zone]


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
    row, column : (n,) int32
        Covered cells.
    zone : (n,) int32
        Index into `ids`.
    weight : (n,) float64
        Share of the cell inside the zone, in (0, 1].
    outside : (zone,) float64
        Cells by which each zone reaches beyond the grid.
    hash : str
        SHA-256 of ids, polygons, grid and rule.
    """

    ids: tuple[Any, ...]
    attributes: pd.DataFrame = field(repr=False)
    grid: Grid
    rule: str
    row: np.ndarray = field(repr=False)
    column: np.ndarray = field(repr=False)
    zone: np.ndarray = field(repr=False)
    weight: np.ndarray = field(repr=False)
    outside: np.ndarray = field(repr=False)
    hash: str

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self) -> tuple[Any, ...]:
        """Ids of the zones that the grid's edge cuts, or that lie off it."""
        return tuple(id for id, cells in zip(self.ids, self.outside, strict=True) if cells > 0)

    @cached_property
    def _order(self) -> tuple[np.ndarray, dict[tuple[int, int], slice]]:
        """Entries grouped by tile, then by cell and zone, and where each tile's entries lie."""
        tile_row, tile_column = self.row // TILE, self.column // TILE
        order = np.lexsort((self.zone, self.column, self.row, tile_column, tile_row))
        keys = tile_row[order].astype(np.int64) * (self.grid.width // TILE + 1) + tile_column[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.array([], int)
        ends = np.r_[starts[1:], len(keys)]
        where = {
            (int(tile_row[order[a]]), int(tile_column[order[a]])): slice(int(a), int(b))
            for a, b in zip(starts, ends, strict=False)
        }
        return order, where

    def touches(self, tile: Tile) -> bool:
        return tile.index in self._order[1]

    def block(self, tile: Tile) -> Entries:
        """The entries of one tile."""
        order, where = self._order
        chosen = order[where.get(tile.index, slice(0, 0))]
        pixel = (self.row[chosen] - tile.row).astype(np.int64) * tile.width + (self.column[chosen] - tile.column)
        return Entries(pixel, self.zone[chosen], self.weight[chosen])

    def area(self) -> np.ndarray:
        """(zone,) covered area on the WGS84 ellipsoid [km2]."""
        return np.bincount(self.zone, self.weight * self.grid.cell_area()[self.row], minlength=len(self.ids))


def coverage(
    zones: gpd.GeoDataFrame | str | Path,
    grid: Grid | Store | str | Path | Any,
    id: str | None = None,
    rule: str = "exact",
    keep: Sequence[str] = (),
    reproject: bool = False,
) -> Coverage:
    """Which cells of `grid` each zone covers, and how much of each.

    Parameters
    ----------
    zones : GeoDataFrame or path
        Polygons in EPSG:4326; a path is anything that pyogrio reads.
    grid : Grid, Store, path of a store or of a raster, or xarray object with x and y
    id : str, optional
        Column of unique zone ids; without it zones are numbered from 0.
    rule : {"exact", "centre"}
    keep : sequence of str
        Columns to carry into the tables of `zonal`, e.g. the province of a city.
    reproject : bool
        Bring polygons of another CRS to EPSG:4326; otherwise they are refused.

    Raises
    ------
    BadInputError
        Another CRS, an absent column, duplicate ids, an invalid or empty polygon, or no zone on the grid; names it.
    UsageError
        An unknown rule.
    """
    if rule not in RULES:
        raise UsageError(f"there is no coverage rule '{rule}': expected one of {', '.join(RULES)}.")
    if isinstance(keep, str):
        raise UsageError(f"keep is the text '{keep}': expected a list of columns, such as ['{keep}'].")
    taken = [name for name in keep if name in RESERVED or list(keep).count(name) > 1]
    if taken:
        raise UsageError(
            f"the column '{taken[0]}' cannot be kept: tables of zonal have a column of this name; rename it first."
        )
    frame = read_zones(zones, id, keep, reproject)
    grid = grid_of(grid)
    ids = tuple(frame[id]) if id is not None else tuple(range(len(frame)))
    west, south, east, north = grid.bounds
    box = frame.geometry.bounds
    inside = (box.minx < east) & (box.maxx > west) & (box.miny < north) & (box.maxy > south)
    if not inside.any():
        box = ", ".join(f"{value:.4f}" for value in frame.total_bounds)
        raise BadInputError(
            f"no zone lies on the grid: zones span {box}, the grid is {grid}; check which belong together."
        )
    cover = exact_cover if rule == "exact" else centre_cover
    row, column, zone, weight = cover(list(frame.geometry), np.flatnonzero(inside), grid)
    digest = hashlib.sha256(f"{grid.hash} {rule} {ids!r}".encode())
    for shape in frame.geometry:
        digest.update(shape.wkb)
    attributes = frame.drop(columns=frame.geometry.name)[list(keep)].reset_index(drop=True)
    outside = cells_outside(frame.geometry, grid)
    return Coverage(ids, attributes, grid, rule, row, column, zone, weight, outside, digest.hexdigest())


def cells_outside(shapes: gpd.GeoSeries, grid: Grid) -> np.ndarray:
    """(zone,) how many cells of each polygon lie beyond the grid; below a hundredth of a cell is rounding."""
    import shapely
    from shapely.geometry import box

    west, south, east, north = grid.bounds
    edges = shapes.bounds
    slack_x, slack_y = grid.dx * ROUNDING, grid.dy * ROUNDING
    crossing = (
        (edges.minx < west - slack_x)
        | (edges.maxx > east + slack_x)
        | (edges.miny < south - slack_y)
        | (edges.maxy > north + slack_y)
    ).to_numpy()
    outside = np.zeros(len(shapes))
    if crossing.any():
        beyond = shapes[crossing].difference(box(west, south, east, north))
        outside[crossing] = shapely.area(beyond.to_numpy()) / (grid.dx * grid.dy)
    return np.where(outside < ROUNDING, 0.0, outside)


# --- polygons -----------------------------------------------------------------------------------------------------


def read_zones(
    zones: gpd.GeoDataFrame | str | Path, id: str | None, keep: Iterable[str], reproject: bool
) -> gpd.GeoDataFrame:
    """Polygons in EPSG:4326 with the columns asked for, each checked."""
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
    # OGC:CRS84 is WGS84 with longitude first, which is how polygons are held here anyway
    if not frame.crs.equals("EPSG:4326", ignore_axis_order=True):
        if not reproject:
            raise BadInputError(
                f"{name} is in {frame.crs.to_string()[:60]} ({frame.crs.name}), the lights are in EPSG:4326: "
                f"reproject the polygons, or pass reproject=True (--reproject)."
            )
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
    for wrong, what in (
        (shapes.isna() | shapes.is_empty, "has no polygon"),
        (~shapes.geom_type.isin(["Polygon", "MultiPolygon"]), "is not a polygon"),
        (~shapes.is_valid, "crosses itself or is otherwise invalid"),
    ):
        if wrong.any():
            more = f" and {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
            raise BadInputError(f"zone {label[wrong].iloc[0]}{more} of {name} {what}: repair or remove it.")
    return frame


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


# --- the two rules ------------------------------------------------------------------------------------------------

Cover = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def exact_cover(shapes: Sequence[Any], chosen: np.ndarray, grid: Grid) -> Cover:
    """(row, column, zone, weight) by area; exactextract's weights are float32."""
    import geopandas as gpd
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    west, south, east, north = grid.bounds
    # exactextract wants values although only cell numbers are asked for: one byte, repeated without memory
    nothing = np.broadcast_to(np.zeros(1, np.uint8), grid.shape)
    raster = NumPyRasterSource(nothing, west, south, east, north)
    frame = gpd.GeoDataFrame({"zone": chosen}, geometry=[shapes[i] for i in chosen], crs=4326)
    found = exact_extract(raster, frame, ["cell_id", "coverage"], include_cols=["zone"], output="pandas")
    sizes = [len(cells) for cells in found["cell_id"]]
    cell = np.concatenate([*found["cell_id"], np.array([], np.int64)]).astype(np.int64)
    weight = np.concatenate([*found["coverage"], np.array([], np.float32)]).astype(np.float64)
    zone = np.repeat(found["zone"].to_numpy(np.int32), sizes)
    real = weight > SLIVER
    return (
        (cell[real] // grid.width).astype(np.int32),
        (cell[real] % grid.width).astype(np.int32),
        zone[real],
        np.minimum(weight[real], 1.0),
    )


def centre_cover(shapes: Sequence[Any], chosen: np.ndarray, grid: Grid) -> Cover:
    """(row, column, zone, 1.0) of cells whose centre is inside, by GDAL's rasteriser."""
    from affine import Affine
    from rasterio.features import rasterize

    rows, columns, zones = [], [], []
    for index in chosen:
        west, south, east, north = shapes[index].bounds
        try:
            row, column, height, width = grid.window((west, south, east, north))
        except BadInputError:  # it overlaps the grid's edge by less than a hundredth of a cell
            continue
        part = grid.part(row, column, height, width)
        mask = rasterize([(shapes[index], 1)], (height, width), transform=Affine(*part.transform), dtype="uint8")
        r, c = np.nonzero(mask)
        rows.append((r + row).astype(np.int32))
        columns.append((c + column).astype(np.int32))
        zones.append(np.full(len(r), index, np.int32))
    row, column, zone = (np.concatenate([*parts, np.array([], np.int32)]) for parts in (rows, columns, zones))
    return row.astype(np.int32), column.astype(np.int32), zone.astype(np.int32), np.ones(len(row))
