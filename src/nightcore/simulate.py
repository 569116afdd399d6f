"""A generated world with planted truth: cities, provinces, sensors and a panel, written as files like the real ones.

H. Cao, X. Li, Z. Tong (2021), "Impact of image saturation on radiometric intercalibration of DMSP/OLS nighttime light
images", IEEE J. Sel. Top. Appl. Earth Obs. Remote Sens. 14, 7948-7960, doi:10.1109/JSTARS.2021.3101837, make composites
with and without saturation of one scene. Here the scene is made up too, and the chain goes on to a regression: light of
cities -> 34 composites, so that whatever is estimated at the end of the line is known.

The chain is linear where a truth is planted. A city's light is a fixed shape with mean 1 times its planted mean. In a
province with level L the city means are L (1 + g z), where z has mean 0 and mean difference 1; hence their Gini is g,
and g is a planted linear equation in the panel's variables. A composite with curve R = a DN**b sees the blurred scene.
"""

from __future__ import annotations

import errno
import gzip
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore.errors import BadInputError, ResourceError, UsageError
from nightcore.grid import Grid
from nightcore.sensors import DMSP_OLS, SATURATED

if TYPE_CHECKING:
    import pandas as pd

# Mid-latitude window of the canonical grid, 100-105 E and 36-40 N.
GRID = DMSP_OLS.grid.part(row=4200, column=33600, height=480, width=600)
YEARS = tuple(range(1992, 2014))
REFERENCE_YEAR = 2006  # of the radiance-calibrated image
RADCAL = "F16_20051128-20061224_rad_v4.avg_vis.tif"

# Four by four, from north-west to south-east.
PROVINCES = (
    *("Alder", "Ash", "Beech", "Birch"),
    *("Cedar", "Elm", "Fir", "Hazel"),
    *("Holly", "Larch", "Linden", "Maple"),
    *("Oak", "Pine", "Rowan", "Willow"),
)
BLOCKS = 4  # provinces along each side of the grid
ONE_CITY = ("Birch", "Elm", "Linden", "Oak")
SITE = "Linden"  # its light is the same in all years
SITE_LEVEL = 13.0  # [DN of the radiance-calibrated product] mean; its cores then just saturate
SITE_MARGIN = 6  # [cells] further from the neighbours than the blur reaches

# Signs and magnitudes of table 2, column 6 of the study: forward linkages narrow, backward linkages widen.
COEFFICIENTS = {"forward": -0.08, "backward": 0.70, "openness": 0.03}
# Median of each variable, and standard deviations of its logarithm between provinces, between years, and of its
# persistent remainder; they give about the means and ranges of table 1 of the study.
REGRESSORS = {
    "forward": (0.155, 0.30, 0.10, 0.28),
    "backward": (0.047, 0.22, 0.08, 0.14),
    "openness": (0.180, 0.42, 0.10, 0.44),
}
PERSISTENCE = 0.7  # first-order autocorrelation of the remainder
SHOCK = 0.012  # [Gini] standard deviation of what the variables do not explain

# R = a DN**b: (a, b) of a satellite, and how much its years scatter. Neighbours differ by about a quarter in a, so
# that raw totals of one year differ as in the real series (NDI about 0.1).
CURVES = {
    "F10": (0.85, 1.20),
    "F12": (0.60, 1.22),
    "F14": (0.86, 1.18),
    "F15": (0.62, 1.21),
    "F16": (0.84, 1.17),
    "F18": (0.74, 1.20),
}
CURVE_SCATTER = (0.05, 0.015)  # of ln a and of b

BLUR = 1.5  # [cells] standard deviation of the point spread; the OLS footprint is about 5 km, a cell 0.9 km
GAIN_NOISE = 0.03  # relative
READ_NOISE = 0.25  # [DN]
DETECTION = (2.8, 0.9)  # [DN] mean and standard deviation of the light below which stable lights show 0

NOT_OBSERVED = DMSP_OLS.nodata
NORTH_MISSING = ("F121997", "F121998", "F121999")
NORTH_ROWS = 12
PATCHED = ("F121995", "F142002", "F152005", "F162008")
PATCHES = 3  # a composite
SHIFTED = "F182010"
SHIFT = 0.5  # [cells] east and south
VERSIONS = {"F182010": "v4d", "F182011": "v4c", "F182012": "v4c", "F182013": "v4c"}
GZIPPED = ("F10", "F15")  # satellites whose files are .tif.gz


@dataclass(frozen=True)
class World:
    """Files of a generated world and what is true in it.

    Attributes
    ----------
    directory : Path
        Folder that holds everything.
    grid : Grid
        Canonical cells; all composites but the shifted one lie on them.
    composites : mapping of str to Path
        Stable-lights GeoTIFF of each of the 34 composites, e.g. "F101992"; .tif or .tif.gz.
    radcal : Path
        Radiance-calibrated reference of 2006, float32 GeoTIFF.
    zones : Path
        Cities, GeoJSON with columns code, city, province.
    provinces : Path
        Provinces, GeoJSON with column province; each is the union of its cities.
    site : Path
        Area without change in which calibrations are fitted, GeoJSON.
    panel : DataFrame
        province, year, forward, backward, openness, gini_true, shock; also panel.csv. gini_true is the Gini of the
        city means and equals province effect + year effect + coefficients x variables + shock; it is NaN where a
        province has one city.
    coefficients : mapping of str to float
        Planted coefficients of the panel.
    province_effects : mapping of str to float
        Of the planted equation; provinces with several cities only.
    year_effects : mapping of int to float
        Of the planted equation.
    city_truth : DataFrame
        zone, year, mean_true: mean radiance of a city's cells by centre, in DN of `radcal`; also city_truth.csv.
    curves : DataFrame
        composite, a, b: the composite shows DN where the radiance is a DN**b.
    """

    directory: Path
    grid: Grid
    composites: Mapping[str, Path]
    radcal: Path
    zones: Path
    provinces: Path
    site: Path
    panel: pd.DataFrame = field(repr=False)
    coefficients: Mapping[str, float]
    province_effects: Mapping[str, float] = field(repr=False)
    year_effects: Mapping[int, float] = field(repr=False)
    city_truth: pd.DataFrame = field(repr=False)
    curves: pd.DataFrame = field(repr=False)


def simulate(seed: int = 7, directory: str | Path | None = None) -> World:
    """Make a world of 16 provinces and 34 composites.

    The same seed gives the same bytes in every file, as long as the libraries are the same. Twelve provinces have five
    to nine cities, four have one. Cores of cities saturate at 63, light below about DN 3 is 0, patches and northern
    rows of some composites are 255, and F182010 lies half a cell south-east of the grid.

    Parameters
    ----------
    seed : int
        Not negative.
    directory : path, optional
        Folder to write, new or empty; by default a fresh temporary one, which the caller removes.

    Returns
    -------
    World

    Raises
    ------
    UsageError
        A seed that is not a whole number >= 0.
    BadInputError
        A folder that cannot be made or is not empty.
    ResourceError
        No space left.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"the seed is {seed!r}: expected a whole number >= 0, such as 7.")
    folder = empty_folder(directory)
    layout_rng, panel_rng, light_rng, curve_rng, *noise_rngs = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(4 + len(DMSP_OLS.composites))
    )
    cities = lay_out(layout_rng)
    plan = plant_panel(cities, panel_rng)
    lamps = place_lamps(cities, plan.relative.mean(axis=1), light_rng)
    curves = draw_curves(curve_rng)
    views = {grid: light_on(grid, cities, lamps) for grid in (GRID, composite_grid(SHIFTED))}
    unit = city_means(*views[GRID])

    def seen(year: int, grid: Grid) -> np.ndarray:
        return blur(scene(*views[grid], plan.city_mean[:, YEARS.index(year)] / unit))

    composites = {
        name: observe(name, seen(int(name[3:]), composite_grid(name)), *curves[name], rng)
        for name, rng in zip(DMSP_OLS.composites, noise_rngs, strict=True)
    }
    return write_world(folder, int(seed), cities, plan, curves, composites, seen(REFERENCE_YEAR, GRID))


def empty_folder(directory: str | Path | None) -> Path:
    """The folder to write, made if it is not there."""
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="nightcore-world-"))
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = next(folder.iterdir(), None)
    except OSError as error:
        raise BadInputError(f"{folder} cannot be used as a folder ({error.strerror}): give another one.") from error
    if occupied is not None:
        raise BadInputError(f"{folder} is not empty (it holds {occupied.name}): give a new or an empty folder.")
    return folder


# --- cities and provinces -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cities:
    """Cities of all provinces, those of one province together.

    seed (city, 2) x and y in cells of GRID, province (city,) index into PROVINCES, rings one closed (n, 2) array of
    longitude and latitude for each city, counter-clockwise.
    """

    seed: np.ndarray
    province: np.ndarray
    rings: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.province)

    @property
    def codes(self) -> list[str]:
        return [
            f"C{province + 1:02d}{number:02d}" for province, number in zip(self.province, self.numbers, strict=True)
        ]

    @property
    def numbers(self) -> np.ndarray:
        """(city,) 1, 2, ... within its province."""
        first = np.searchsorted(self.province, self.province)
        return np.arange(len(self)) - first + 1

    def members(self, name: str) -> np.ndarray:
        """Indices of the cities of a province."""
        return np.flatnonzero(self.province == PROVINCES.index(name))


def lay_out(rng: np.random.Generator) -> Cities:
    """Cities spread evenly over blocks of the grid, the blocks' straight borders bent by a smooth wave."""
    counts = [1 if name in ONE_CITY else int(rng.integers(5, 10)) for name in PROVINCES]
    size = np.array([GRID.width, GRID.height]) / BLOCKS
    seed = np.concatenate(
        [
            (spread(count, rng) + divmod(index, BLOCKS)[::-1]) * size  # index runs along rows: column is the remainder
            for index, count in enumerate(counts)
        ]
    )
    phase = rng.uniform(0, 2 * np.pi, 2)
    wave = np.sin(2 * np.pi * seed[:, ::-1] / size[::-1] / 1.7 + phase)
    # no wave at the rim, where it would push seeds out of the grid
    seed = seed + 0.08 * size * wave * np.sin(np.pi * seed / (BLOCKS * size))
    return Cities(seed, np.repeat(np.arange(len(PROVINCES)), counts), voronoi_rings(seed))


def spread(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) points of the unit square, about evenly spaced, by Lloyd's relaxation on a fine lattice."""
    lattice = np.stack(np.meshgrid(*2 * [(np.arange(40) + 0.5) / 40]), axis=-1).reshape(-1, 2)
    points = rng.uniform(0.2, 0.8, (count, 2))
    for _ in range(30):
        nearest = ((lattice[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)
        members = np.bincount(nearest, minlength=count)[:, None]
        sums = np.stack([np.bincount(nearest, axis, minlength=count) for axis in lattice.T], axis=1)
        points = np.where(members > 0, sums / np.maximum(members, 1), points)
    return points


def voronoi_rings(seed: np.ndarray) -> tuple[np.ndarray, ...]:
    """Closed rings (n, 2) of longitude and latitude around (city, 2) seeds; together they are GRID's rectangle.

    Corners come from one table, so neighbours share them to the last bit. The seeds are mirrored in the four sides,
    which makes the sides edges of the diagram.
    """
    from scipy.spatial import Voronoi

    box = np.array([GRID.width, GRID.height], float)
    mirrored = [seed]
    for axis in range(2):
        for side in (0.0, box[axis]):
            image = seed.copy()
            image[:, axis] = 2 * side - image[:, axis]
            mirrored.append(image)
    diagram = Voronoi(np.concatenate(mirrored))
    corner = diagram.vertices
    on_side = np.abs(corner - box * np.round(corner / box)) < 1e-6  # [cells] rounding of the diagram
    corner = np.where(on_side, box * np.round(corner / box), corner)
    # nine decimals, 0.1 mm, survive being written and read as text
    degrees = np.round([GRID.left, GRID.top] + corner * [GRID.dx, -GRID.dy], 9)
    rings = []
    for city, centre in enumerate(seed):
        around = np.array(diagram.regions[diagram.point_region[city]])
        offset = corner[around] - centre
        ring = degrees[around[np.argsort(np.arctan2(-offset[:, 1], offset[:, 0]))]]
        ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
        rings.append(np.concatenate([ring, ring[:1]]))
    return tuple(rings)


# --- the planted panel --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is planted: the panel, and what it makes of the cities.

    relative (city, year) mean light of a city over that of its province, city_mean (city, year) [DN of the
    radiance-calibrated product].
    """

    panel: pd.DataFrame
    province_effects: dict[str, float]
    year_effects: dict[int, float]
    relative: np.ndarray
    city_mean: np.ndarray


def plant_panel(cities: Cities, rng: np.random.Generator) -> Plan:
    """Regressors, the Gini that follows from them, and city means that have exactly this Gini."""
    import pandas as pd

    shape = len(PROVINCES), len(YEARS)
    variables = {name: persistent(*REGRESSORS[name], shape, rng) for name in COEFFICIENTS}
    several = np.array([name not in ONE_CITY for name in PROVINCES])
    province_effect = np.where(several, rng.uniform(0.13, 0.22, shape[0]), np.nan)
    year_effect = np.cumsum(rng.normal(0.0, 0.003, shape[1]))
    shock = np.where(several[:, None], rng.normal(0.0, SHOCK, shape), np.nan)
    gini = province_effect[:, None] + year_effect + shock
    for name, coefficient in COEFFICIENTS.items():
        gini = gini + coefficient * variables[name]

    growth = rng.uniform(0.012, 0.030, shape[0])
    level = rng.uniform(4.5, 6.5, shape[0])[:, None] * np.exp(growth[:, None] * np.arange(shape[1]))
    level[PROVINCES.index(SITE)] = SITE_LEVEL
    relative = np.ones((len(cities), shape[1]))
    for index, name in enumerate(PROVINCES):
        if name not in ONE_CITY:
            members = cities.members(name)
            relative[members] += gini[index] * spacing(len(members), rng)[:, None]

    panel = pd.DataFrame(
        {
            "province": np.repeat(PROVINCES, shape[1]),
            "year": np.tile(YEARS, shape[0]),
            **{name: values.ravel() for name, values in variables.items()},
            "gini_true": gini.ravel(),
            "shock": shock.ravel(),
        }
    )
    effects = {name: float(effect) for name, effect in zip(PROVINCES, province_effect, strict=True)}
    return Plan(
        panel,
        {name: effect for name, effect in effects.items() if name not in ONE_CITY},
        dict(zip(YEARS, map(float, year_effect), strict=True)),
        relative,
        level[cities.province] * relative,
    )


def persistent(
    median: float, between: float, yearly: float, within: float, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(province, year) positive values: median x exp(province + year + first-order autoregression).

    `between`, `yearly` and `within` are the standard deviations of the three parts.
    """
    log = rng.normal(0.0, between, (shape[0], 1)) + rng.normal(0.0, yearly, shape[1])
    state = rng.normal(0.0, within, shape[0])
    steps = rng.normal(0.0, within * np.sqrt(1 - PERSISTENCE**2), shape)
    for year in range(shape[1]):
        log[:, year] += state
        state = PERSISTENCE * state + steps[:, year]
    return median * np.exp(log)


def spacing(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) numbers z with mean 0 for which the Gini of 1 + g z is g as long as all stay positive.

    Drawn around the quantiles of an exponential law: many modest cities, few bright ones. From five cities on, z is
    above -2.5, so g may reach 0.4; planted Ginis stay below that.
    """
    z = -np.log(1 - (np.arange(count) + rng.uniform(0.3, 0.7, count)) / count)
    z -= z.mean()
    z /= np.abs(z[:, None] - z).sum() / (2 * count**2)
    return rng.permutation(z - z.mean())


# --- light --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lamps:
    """Sources of light exp(-(r / radius)**power) x height; all arrays (city, lamp), x, y and radius in cells."""

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    power: np.ndarray
    height: np.ndarray


def place_lamps(cities: Cities, brightness: np.ndarray, rng: np.random.Generator) -> Lamps:
    """Towns and their dim surroundings inside each city's polygon, which stay dark towards its border.

    `brightness` (city,) is the mean light relative to the province: a brighter city is lit over more of its area, so
    that a cell's light, and with it what the sensor loses at both ends of its range, is about the same everywhere.
    The invariant site falls off exponentially instead, and so holds every DN.
    """
    room = np.minimum(room_around(cities.seed), 30.0) * np.clip(np.sqrt(brightness), 0.65, 1.25)
    n_rural, n_core = 3, 4
    shape = len(cities), n_rural + n_core
    core = np.arange(shape[1]) >= n_rural
    angle = rng.uniform(0, 2 * np.pi, shape)
    away = np.where(core, rng.uniform(0.1, 0.5, shape), 0.28) * room[:, None]
    radius = np.where(core, rng.uniform(0.12, 0.25, shape), rng.uniform(0.45, 0.62, shape)) * room[:, None]
    height = np.where(core, rng.uniform(2.0, 6.3, shape), rng.uniform(0.7, 1.3, shape))
    power = np.broadcast_to(np.where(core, 2.0, 6.0), shape).copy()

    site = cities.members(SITE)
    width = np.sqrt(polygon_area(cities.rings[site[0]]))
    away[site] = np.where(core, rng.uniform(0.10, 0.20, shape[1]), 0.02) * width
    radius[site] = np.where(core, 0.07, 0.11) * width
    height[site] = np.where(core, 0.7, 1.0)
    power[site] = 1.0
    x = cities.seed[:, :1] + away * np.cos(angle)
    y = cities.seed[:, 1:] + away * np.sin(angle)
    return Lamps(x, y, radius, power, height)


def room_around(seed: np.ndarray) -> np.ndarray:
    """(city,) [cells] radius of the largest disc around each (city, 2) seed that stays inside its polygon."""
    from scipy.spatial import KDTree

    to_neighbour = KDTree(seed).query(seed, k=2)[0][:, 1] / 2
    to_side = np.minimum(seed, [GRID.width, GRID.height] - seed).min(axis=1)
    return np.minimum(to_neighbour, to_side)


def polygon_area(ring: np.ndarray) -> float:
    """Area inside a closed ring (n, 2) of longitude and latitude [cells]."""
    x, y = (ring - ring[0]).T / [[GRID.dx], [GRID.dy]]
    return float(abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2)


def nearest_city(seed: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(city, x, y) of the cell centres of `grid`, each (height, width): index of the nearest seed and the place in
    cells of GRID. The polygons are the cells of nearest seeds, so this is the rule of the cell centre."""
    from scipy.spatial import KDTree

    column, row = GRID.offset_of(grid)
    x, y = np.meshgrid(column + np.arange(grid.width) + 0.5, row + np.arange(grid.height) + 0.5)
    return KDTree(seed).query(np.stack([x, y], axis=-1))[1], x, y


def light_of(lamps: Lamps, city: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Light of a cell's own city at places x, y [cells]; all (height, width)."""
    light = np.zeros(x.shape)
    for lamp in range(lamps.x.shape[1]):
        x0, y0, radius, power, height = (
            values[:, lamp][city] for values in (lamps.x, lamps.y, lamps.radius, lamps.power, lamps.height)
        )
        light = np.maximum(light, height * np.exp(-((np.hypot(x - x0, y - y0) / radius) ** power)))
    return light


def light_on(grid: Grid, cities: Cities, lamps: Lamps) -> tuple[np.ndarray, np.ndarray]:
    """(light, city) of the cell centres of `grid`, each (height, width); light is that of the cell's own city."""
    city, x, y = nearest_city(cities.seed, grid)
    return light_of(lamps, city, x, y), city


def city_means(light: np.ndarray, city: np.ndarray) -> np.ndarray:
    """(city,) mean over the cells of each city; both arguments (height, width)."""
    return np.bincount(city.ravel(), light.ravel()) / np.bincount(city.ravel())


def scene(light: np.ndarray, city: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """(height, width) radiance [DN of the radiance-calibrated product]: light times the `factor` (city,) of a year."""
    return light * factor[city]


# --- sensors ------------------------------------------------------------------------------------------------------


def draw_curves(rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """(a, b) of each composite: radiance = a DN**b."""
    curves = {}
    for name in DMSP_OLS.composites:
        a, b = CURVES[name[:3]]
        log_scatter, power_scatter = CURVE_SCATTER * rng.standard_normal(2)
        curves[name] = float(a * np.exp(log_scatter)), float(b + power_scatter)
    return curves


def blur(radiance: np.ndarray, sigma: float = BLUR) -> np.ndarray:
    """(y, x) radiance spread by a Gaussian of `sigma` cells; the land beyond the rim is like the rim."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(radiance, sigma, mode="nearest")


def respond(radiance: np.ndarray, a: float, b: float) -> np.ndarray:
    """DN, unbounded and not rounded, that a sensor with radiance = a DN**b shows."""
    return (radiance / a) ** (1 / b)


def disturb(dn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """DN with noise of the gain (relative) and of reading (absolute)."""
    gain = 1 + GAIN_NOISE * rng.standard_normal(dn.shape)
    return dn * gain + READ_NOISE * rng.standard_normal(dn.shape)


def quantise(dn: np.ndarray, detection: np.ndarray | float = 0.0) -> np.ndarray:
    """uint8 in 0..63: rounded, saturated, and 0 where the light is below `detection` [DN]."""
    whole = np.clip(np.rint(dn), 0, SATURATED).astype(np.uint8)
    return np.where(dn < detection, np.uint8(0), whole)


def not_observed(name: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(y, x) bool: cells of a composite without a cloud-free observation."""
    y, x = np.indices(shape)
    hidden = np.zeros(shape, bool)
    if name in NORTH_MISSING:
        hidden |= y < NORTH_ROWS
    if name in PATCHED:
        for _ in range(PATCHES):
            y0, x0 = rng.uniform(0, shape)
            high, wide = rng.uniform(3, 8, 2)
            hidden |= ((y - y0) / high) ** 2 + ((x - x0) / wide) ** 2 < 1
    return hidden


def composite_grid(name: str) -> Grid:
    """The grid on which a composite is written."""
    if name != SHIFTED:
        return GRID
    return Grid(GRID.left + SHIFT * GRID.dx, GRID.top - SHIFT * GRID.dy, GRID.dx, GRID.dy, GRID.width, GRID.height)


def observe(name: str, radiance: np.ndarray, a: float, b: float, rng: np.random.Generator) -> np.ndarray:
    """(y, x) uint8 stable lights that a composite with curve (a, b) shows of a blurred scene."""
    dn = disturb(respond(radiance, a, b), rng)
    lit = quantise(dn, rng.normal(*DETECTION, dn.shape))
    return np.where(not_observed(name, dn.shape, rng), np.uint8(NOT_OBSERVED), lit)


# --- files --------------------------------------------------------------------------------------------------------


def write_world(
    folder: Path,
    seed: int,
    cities: Cities,
    plan: Plan,
    curves: Mapping[str, tuple[float, float]],
    composites: Mapping[str, np.ndarray],
    radcal: np.ndarray,
) -> World:
    """Write everything, truth.json last: where it is, the world is complete."""
    import pandas as pd

    paths = {name: folder / "composites" / file_name(name) for name in composites}
    for name, dn in composites.items():
        image = geotiff(dn, composite_grid(name))
        write(paths[name], gzip.compress(image, mtime=0) if paths[name].suffix == ".gz" else image)
    write(folder / RADCAL, geotiff(radcal.astype(np.float32), GRID))
    write_polygons(folder, cities)

    city_truth = pd.DataFrame(
        {
            "zone": np.repeat(cities.codes, len(YEARS)),
            "year": np.tile(YEARS, len(cities)),
            "mean_true": plan.city_mean.ravel(),
        }
    )
    curve_table = pd.DataFrame([(name, a, b) for name, (a, b) in curves.items()], columns=["composite", "a", "b"])
    write(folder / "city_truth.csv", city_truth.to_csv(index=False, lineterminator="\n").encode())
    write(folder / "panel.csv", plan.panel.to_csv(index=False, lineterminator="\n").encode())
    truth = {
        "seed": seed,
        "coefficients": COEFFICIENTS,
        "province_effects": plan.province_effects,
        "year_effects": plan.year_effects,
        "curves": {name: {"a": a, "b": b} for name, (a, b) in curves.items()},
        "site": {"province": SITE, "reference": RADCAL},
        "shifted": {SHIFTED: {"dx": SHIFT, "dy": SHIFT}},
        "not_observed": {
            name: int((dn == NOT_OBSERVED).sum()) for name, dn in composites.items() if (dn == NOT_OBSERVED).any()
        },
    }
    write(folder / "truth.json", (json.dumps(truth, indent=1) + "\n").encode())
    return World(
        directory=folder,
        grid=GRID,
        composites=paths,
        radcal=folder / RADCAL,
        zones=folder / "zones.geojson",
        provinces=folder / "provinces.geojson",
        site=folder / "site.geojson",
        panel=plan.panel,
        coefficients=dict(COEFFICIENTS),
        province_effects=plan.province_effects,
        year_effects=plan.year_effects,
        city_truth=city_truth,
        curves=curve_table,
    )


def write(path: Path, content: bytes) -> None:
    """Write a file of the world; what goes wrong is the folder's fault."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"no space is left to write {path}: free some, or give another folder.") from error
        raise BadInputError(f"{path} cannot be written ({error.strerror}): give another folder.") from error


def file_name(composite: str) -> str:
    """NGDC's name of a stable-lights composite."""
    version = VERSIONS.get(composite, "v4b")
    packed = ".gz" if composite[:3] in GZIPPED else ""
    return f"{composite}.{version}_web.stable_lights.avg_vis.tif{packed}"


def geotiff(values: np.ndarray, grid: Grid) -> bytes:
    """A single-band GeoTIFF in EPSG:4326; like NGDC's, without a nodata tag."""
    import rasterio
    from affine import Affine

    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=1,
            dtype=values.dtype,
            crs="EPSG:4326",
            transform=Affine(*grid.transform),
            compress="lzw",
        ) as dataset:
            dataset.write(values, 1)
        return memory.read()


def write_polygons(folder: Path, cities: Cities) -> None:
    """zones.geojson, provinces.geojson and site.geojson."""
    import shapely

    polygons = np.array([shapely.Polygon(ring) for ring in cities.rings])
    columns = zip(cities.codes, cities.province, cities.numbers, strict=True)
    write_geojson(
        folder / "zones.geojson",
        polygons,
        [
            {"code": code, "city": f"{PROVINCES[province]} {number}", "province": PROVINCES[province]}
            for code, province, number in columns
        ],
    )
    unions = [shapely.coverage_union_all(polygons[cities.members(name)]) for name in PROVINCES]
    write_geojson(folder / "provinces.geojson", unions, [{"province": name} for name in PROVINCES])
    inner = shapely.buffer(polygons[cities.members(SITE)], -SITE_MARGIN * GRID.dx, join_style="mitre")
    write_geojson(folder / "site.geojson", shapely.set_precision(inner, 1e-9), [{"site": SITE}])


def write_geojson(path: Path, polygons: Iterable[Any], properties: Sequence[Mapping[str, str]]) -> None:
    """RFC 7946, one feature a line, counter-clockwise outside."""
    import shapely

    features = [
        json.dumps({"type": "Feature", "properties": values, "geometry": json.loads(shapely.to_geojson(polygon))})
        for values, polygon in zip(properties, shapely.orient_polygons(polygons), strict=True)
    ]
    text = '{"type": "FeatureCollection", "features": [\n' + ",\n".join(features) + "\n]}\n"
    write(path, text.encode())
