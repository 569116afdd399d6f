"""A north-up grid of equal cells in geographic coordinates, and what follows from it.

The pixel of the DMSP-OLS composites is 0.0083333333 degrees (ten digits), not 1/120, and pixel centres sit on
whole multiples of 30 arc-seconds; column 0 and column 43200 of the global grid are the same meridian.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightcore.errors import BadInputError, UsageError

WGS84_A = 6378.137  # [km] semi-major axis
WGS84_F = 1 / 298.257223563  # flattening

# Offsets below this share of a cell are rounding in the file's header, not a shift: over 43,201 columns a
# pixel stored with ten digits drifts by 4e-6 of a cell, with seven digits by 0.2 of a cell.
ROUNDING = 0.01


@dataclass(frozen=True)
class Grid:
    """Cells of `dx` by `dy` degrees, row 0 in the north, column 0 in the west; EPSG:4326.

    Parameters
    ----------
    left, top : float
        Outer edges of the north-west cell [degrees].
    dx, dy : float
        Size of a cell, both positive [degrees].
    width, height : int
        Columns and rows.
    """

    left: float
    top: float
    dx: float
    dy: float
    width: int
    height: int

    def __post_init__(self):
        if not (self.dx > 0 and self.dy > 0 and self.width > 0 and self.height > 0):
            raise BadInputError(
                f"a grid of {self.width} x {self.height} cells of {self.dx} x {self.dy} degrees is not possible: "
                f"expected north-up cells of positive size; turn the raster the right way up first."
            )

    # --- extent -----------------------------------------------------------------------------------------------

    @property
    def right(self) -> float:
        return self.left + self.width * self.dx

    @property
    def bottom(self) -> float:
        return self.top - self.height * self.dy

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) outer edges [degrees]."""
        return self.left, self.bottom, self.right, self.top

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Coefficients (a, b, c, d, e, f) of the affine map from (column, row) to (x, y), as in `affine.Affine`."""
        return self.dx, 0.0, self.left, 0.0, -self.dy, self.top

    @property
    def x(self) -> np.ndarray:
        """(width,) longitudes of cell centres [degrees]."""
        return self.left + (np.arange(self.width) + 0.5) * self.dx

    @property
    def y(self) -> np.ndarray:
        """(height,) latitudes of cell centres [degrees], descending."""
        return self.top - (np.arange(self.height) + 0.5) * self.dy

    @property
    def hash(self) -> str:
        """SHA-256 of the six numbers, for provenance and to refuse stale coverages."""
        text = ",".join(repr(v) for v in (self.left, self.top, self.dx, self.dy, self.width, self.height))
        return hashlib.sha256(text.encode()).hexdigest()

    def __str__(self) -> str:
        west, south, east, north = self.bounds
        return (
            f"{self.width} x {self.height} cells of {self.dx:.10g} x {self.dy:.10g} degrees, "
            f"{west:.8f}..{east:.8f} E, {south:.8f}..{north:.8f} N"
        )

    # --- parts and relations ----------------------------------------------------------------------------------

    def part(self, row: int, column: int, height: int, width: int) -> Grid:
        """The sub-grid that begins at (row, column)."""
        return Grid(self.left + column * self.dx, self.top - row * self.dy, self.dx, self.dy, width, height)

    def window(self, bbox: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """(row, column, height, width) of the cells that touch `bbox` = (west, south, east, north) [degrees]."""
        west, south, east, north = check_box(bbox)
        # a box that ends on a cell's edge does not touch the next cell; ROUNDING absorbs its decimals
        c0 = int(np.floor((west - self.left) / self.dx + ROUNDING))
        c1 = int(np.ceil((east - self.left) / self.dx - ROUNDING))
        r0 = int(np.floor((self.top - north) / self.dy + ROUNDING))
        r1 = int(np.ceil((self.top - south) / self.dy - ROUNDING))
        c1, r1 = max(c1, c0 + 1), max(r1, r0 + 1)  # a box thinner than ROUNDING still touches a cell
        c0, c1, r0, r1 = max(c0, 0), min(c1, self.width), max(r0, 0), min(r1, self.height)
        if c0 >= c1 or r0 >= r1:
            raise BadInputError(
                f"the box {west}..{east} E, {south}..{north} N holds no cell of the grid ({self}): "
                f"give west,south,east,north in degrees inside it."
            )
        return r0, c0, r1 - r0, c1 - c0

    def offset_of(self, other: Grid) -> tuple[float, float]:
        """(columns, rows) by which the origin of `other` lies east and south of ours, in cells of ours."""
        return (other.left - self.left) / self.dx, (self.top - other.top) / self.dy

    def same_pixel(self, other: Grid) -> bool:
        """True where cells are so alike that the far corners of `other` drift by less than ROUNDING of a cell."""
        drift_x = abs(other.dx - self.dx) / self.dx * other.width
        drift_y = abs(other.dy - self.dy) / self.dy * other.height
        return drift_x < ROUNDING and drift_y < ROUNDING

    @property
    def repeated_columns(self) -> int:
        """How many columns at the eastern end show meridians that the western end shows already."""
        return max(0, self.width - round(360 / self.dx))

    @property
    def closed(self) -> bool:
        """Whether the columns go once around the globe, so that the last lies beside the first."""
        return self.width >= round(360 / self.dx)

    # --- area -------------------------------------------------------------------------------------------------

    def cell_area(self) -> np.ndarray:
        """(height,) area of one cell in each row on the WGS84 ellipsoid [km2]."""
        edges = self.top - np.arange(self.height + 1) * self.dy
        zone = ellipsoid_area_to(np.clip(edges, -90.0, 90.0))
        return (zone[:-1] - zone[1:]) * np.deg2rad(self.dx)


def check_box(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    """(west, south, east, north) as floats, refused when it is no box."""
    try:
        west, south, east, north = map(float, bbox)
    except (TypeError, ValueError):
        raise UsageError(f"{bbox!r} is no box: expected west,south,east,north in degrees.") from None
    if not (math.isfinite(west + south + east + north) and west <= east and south <= north):
        raise UsageError(
            f"the box {west:g},{south:g},{east:g},{north:g} is empty or not finite: expected west,south,east,north in "
            f"degrees with west < east and south < north."
        )
    return west, south, east, north


def snap(offset: float) -> tuple[int, float]:
    """Whole cells and the rest that was snapped away; half a cell goes towards zero, so that halves never flip sign
    with the rounding of a file's header."""
    whole = int(np.sign(offset) * np.ceil(abs(offset) - 0.5 - ROUNDING))
    return whole, offset - whole


def ellipsoid_area_to(latitude: np.ndarray) -> np.ndarray:
    """Area between the equator and `latitude` [degrees] for one radian of longitude on WGS84 [km2].

    J. P. Snyder (1987), "Map Projections: A Working Manual", USGS Professional Paper 1395, eq. 3-12.
    """
    e2 = WGS84_F * (2 - WGS84_F)
    e = np.sqrt(e2)
    s = np.sin(np.deg2rad(np.asarray(latitude, float)))
    return WGS84_A**2 * (1 - e2) / 2 * (s / (1 - e2 * s**2) + np.arctanh(e * s) / e)


# The grid of all version-4 composites: 43201 x 16801 cells of 30 arc-seconds, 180 W - 180 E, 65 S - 75 N.
DMSP_GLOBAL = Grid(-180.00416666665, 75.00416666665, 0.0083333333, 0.0083333333, 43201, 16801)
