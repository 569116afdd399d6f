"""Commands on measures and controls beside the main ones of `econ.cli`: what they print, and what they say of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from econ.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

# --help has to answer at once: pandas is imported by what runs.

SENSITIVITY_EXAMPLE = """example:
  econ sensitivity city_lights.csv --weights none population --size cells --least 0 10 --zeros keep drop"""

CURVES_EXAMPLE = """example:
  econ curves city_lights.csv --value mean --by province --out lorenz.csv"""

SOURCES_EXAMPLE = """example:
  econ sources city.csv --source farms --source industry --source services --by province --out shares.csv"""

CROSSWALK_EXAMPLE = """example:
  econ crosswalk city_lights.csv units.csv --sums sum --means mean=cells --keep province --out stable.csv"""

PROVINCES_EXAMPLE = """example:
  econ provinces yearbook.csv --column 地区 --to english --out standard.csv"""

SPLICE_EXAMPLE = """example:
  econ controls splice market2008.csv market1997.csv --method ratio --overlap 2008 2009 --out market.csv"""

RATIO_EXAMPLE = """example:
  econ controls ratio banks.csv --numerator deposits loans --denominator gdp --name finance --out finance.csv"""

DENSITY_EXAMPLE = """example:
  econ controls density roads.csv --quantity road rail --area area --unit "10000 km" --area-unit "10000 km2\""""

MINMAX_EXAMPLE = """example:
  econ controls minmax panel.csv --column forward --with market --standardise components --out interaction.csv"""


# --- what all commands share --------------------------------------------------------------------------------------


def say(message: str) -> None:
    print(f"econ: {message}", file=sys.stderr)


def deliver(table: pd.DataFrame, out: Path | None) -> None:
    """To the file, or as CSV to stdout; text that a spreadsheet would run is guarded in both."""
    from econ.frames import csv_text, write_table

    if out:
        write_table(table, out)
        say(f"wrote {len(table):,} rows to {out}")
    else:
        sys.stdout.write(csv_text(table))


def add_command(steps, name: str, help: str, description: str, example: str) -> argparse.ArgumentParser:
    return steps.add_parser(
        name,
        help=help,
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_out_option(step) -> None:
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")


def add_encoding_option(step) -> None:
    step.add_argument("--encoding", help="of .csv files, such as gb18030 (default: UTF-8)")


def add_city_options(step, several_values: bool = False) -> None:
    """The table of units and periods, and its columns."""
    step.add_argument("city", type=Path, metavar="CITY_CSV", help="one row a unit and period, .csv or .parquet")
    step.add_argument("--by", default="province", help="column of the region (default: %(default)s)")
    if several_values:
        step.add_argument(
            "--value",
            action="append",
            help="column of what is compared (default: mean); several are compared, such as continuity rules",
        )
    step.add_argument("--period", default="year", help="column of the period (default: %(default)s)")
    step.add_argument("--unit", default="zone", help="column of the unit (default: %(default)s)")


def number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def pairs_of(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    """["mean=cells"] -> {"mean": "cells"}."""
    unreadable = [text for text in texts if not all(text.partition("=")[::2])]
    if unreadable:
        raise UsageError(f"cannot read {option} {unreadable[0]!r}: expected {form}.")
    return dict(text.split("=", 1) for text in texts)


def say_reasons(table: pd.DataFrame, column: str) -> None:
    """Why numbers of a column are missing, and how many for each reason."""
    for reason, count in table.loc[table[column].isna(), "reason"].value_counts().items():
        say(f"{count:,} missing: {reason}")


# --- measures -----------------------------------------------------------------------------------------------------


def add_sensitivity(steps) -> None:
    step = add_command(
        steps,
        "sensitivity",
        "how much an index rests on weights, small units, zeros and the value compared",
        "One index under every combination of choices made by rule of thumb, the first of each being the baseline.",
        SENSITIVITY_EXAMPLE,
    )
    add_city_options(step, several_values=True)
    step.add_argument("--index", default="gini", help="as in `econ inequality --indices` (default: %(default)s)")
    step.add_argument(
        "--weights",
        nargs="+",
        default=["none"],
        help="columns of weights, or none for every unit alike (default: none)",
    )
    step.add_argument("--size", help="column of the size of a unit, with --least")
    step.add_argument(
        "--least", nargs="+", type=float, default=[0.0], help="smallest size that counts (default: 0, all units)"
    )
    step.add_argument("--zeros", nargs="+", default=["keep"], help="keep, drop, or a number (default: keep)")
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_sensitivity)


def run_sensitivity(args: argparse.Namespace) -> None:
    from econ.frames import read_table
    from econ.inequality import sensitivity

    city = read_table(args.city, (args.by, args.unit), args.encoding)
    table = sensitivity(
        city,
        args.by,
        args.value or ["mean"],
        args.period,
        args.unit,
        args.index,
        weights=[None if name == "none" else name for name in args.weights],
        size=args.size,
        least=args.least,
        zeros=[number_or_text(text) for text in args.zeros],
    )
    named = table["weights"].astype(object)
    deliver(table.assign(weights=named.where(named.notna(), "none")), args.out)
    say(
        f"{len(table):,} combinations, mean {args.index} {table['mean'].min():.4g} to {table['mean'].max():.4g}, "
        f"rank correlation with the first {table['rank_correlation'].min():.4g} at least"
    )


def add_curves(steps) -> None:
    step = add_command(
        steps,
        "curves",
        "Lorenz and concentration curves of every region and period",
        "Corners of the Lorenz curve of every region and period, or of the concentration curve by another column.",
        CURVES_EXAMPLE,
    )
    add_city_options(step)
    step.add_argument("--value", default="mean", help="column of what is shared, >= 0 (default: %(default)s)")
    step.add_argument("--rank", help="column that orders the units (default: the value, a Lorenz curve)")
    step.add_argument("--weights", help="column of weights, such as population or area (default: every unit alike)")
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_curves)


def run_curves(args: argparse.Namespace) -> None:
    from econ.curves import regional_curves
    from econ.frames import read_table

    city = read_table(args.city, (args.by, args.unit), args.encoding)
    table = regional_curves(city, args.by, args.value, args.period, args.unit, rank=args.rank, weights=args.weights)
    deliver(table, args.out)
    curves = table.drop_duplicates([args.by, args.period])
    say(f"{len(curves):,} curves, {curves['share_of_total'].isna().sum():,} missing")
    say_reasons(table, "share_of_total")


def add_sources(steps) -> None:
    step = add_command(
        steps,
        "sources",
        "Shapley share of every source in the inequality of their sum",
        "Shapley share of every source (column) in the inequality of their sum; Shorrocks (2013).",
        SOURCES_EXAMPLE,
    )
    add_city_options(step)
    step.add_argument("--source", action="append", default=[], help="a column >= 0; give two or more")
    step.add_argument("--index", default="gini", help="as in `econ inequality --indices` (default: %(default)s)")
    step.add_argument("--weights", help="column of weights, such as population or area (default: every unit alike)")
    step.add_argument(
        "--elimination", default="mean", help="a removed source is spread evenly: mean; or gone: zero (default: mean)"
    )
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_sources)


def run_sources(args: argparse.Namespace) -> None:
    from econ.decomposition import shapley_sources
    from econ.frames import read_table

    city = read_table(args.city, (args.by, args.unit), args.encoding)
    table = shapley_sources(
        city, args.source, args.index, args.by, args.period, args.unit, args.weights, args.elimination
    )
    deliver(table, args.out)
    shares = table.groupby("source", sort=False)["share"].mean()
    if shares.notna().all():
        say(f"{args.index}, mean share: {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}")
    say_reasons(table, "share")
    if table.attrs["left_out"]:
        say(f"{table.attrs['left_out']:,} rows lack a source or a weight and do not count")


# --- units and names ----------------------------------------------------------------------------------------------


def add_crosswalk_command(steps) -> None:
    step = add_command(
        steps,
        "crosswalk",
        "city table in units that stay the same over time",
        "Add up the units of every year to units that last, by a table of unit, year_from, year_to, stable and share.",
        CROSSWALK_EXAMPLE,
    )
    step.add_argument("city", type=Path, metavar="CITY_CSV", help="one row a unit and year, .csv or .parquet")
    step.add_argument("crosswalk", type=Path, metavar="CROSSWALK_CSV", help="which unit belongs where, and when")
    step.add_argument("--sums", nargs="+", default=[], metavar="COLUMN", help="columns of totals, which are added up")
    step.add_argument(
        "--means", nargs="+", default=[], metavar="COLUMN=WEIGHT", help="columns of means, each with its weight"
    )
    step.add_argument("--keep", nargs="+", default=[], metavar="COLUMN", help="columns that all parts have in common")
    step.add_argument("--unit", default="zone", help="column of the unit (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the year (default: %(default)s)")
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_crosswalk)


def run_crosswalk(args: argparse.Namespace) -> None:
    from econ.crosswalk import apply_crosswalk
    from econ.frames import read_table

    means = pairs_of(args.means, "--means", "COLUMN=WEIGHT, such as mean=cells")
    city = read_table(args.city, (args.unit, *args.keep), args.encoding)
    units = read_table(args.crosswalk, ("unit", "stable"), args.encoding)
    table = apply_crosswalk(city, units, args.sums, means, args.keep, args.unit, args.time)
    deliver(table, args.out)
    say(f"{len(city):,} rows of {city[args.unit].nunique():,} units, {table['stable'].nunique():,} of them stable")


def add_provinces(steps) -> None:
    step = add_command(
        steps,
        "provinces",
        "the provinces of China, or a table with their names in one spelling",
        "Without a table, print codes, names and regions; with one, bring a column of names to one spelling.",
        PROVINCES_EXAMPLE,
    )
    step.add_argument("table", type=Path, nargs="?", metavar="CSV", help="a table with a column of provinces")
    step.add_argument("--column", default="province", help="column of the names or codes (default: %(default)s)")
    step.add_argument(
        "--to", default="english", help="english, pinyin, short, name, code, adcode or letters (default: %(default)s)"
    )
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_provinces)


def run_provinces(args: argparse.Namespace) -> None:
    from econ.frames import read_table
    from econ.provinces import province_table, standardise

    if args.table is None:
        table = province_table()
        for column in ("neighbours", "other"):  # tuples, which no cell of a .csv can hold
            table[column] = table[column].map("; ".join)
        deliver(table, args.out)
        return
    table = standardise(read_table(args.table, (args.column,), args.encoding), args.column, args.to)
    deliver(table, args.out)
    changed = table.attrs["spellings"]
    say(f"{table[args.column].nunique():,} provinces, {len(changed):,} spellings changed to {args.to}")


# --- controls -----------------------------------------------------------------------------------------------------


def add_key_option(step) -> None:
    step.add_argument("--key", nargs="+", default=["province", "year"], help="columns to keep (default: province year)")


def add_splice(kinds) -> None:
    step = add_command(
        kinds,
        "splice",
        "two index series with different base years become one",
        "Bring a series onto the scale of another by the years that both have; the base series is never changed.",
        SPLICE_EXAMPLE,
    )
    step.add_argument("base", type=Path, metavar="BASE_CSV", help="the series whose scale stands")
    step.add_argument("other", type=Path, metavar="OTHER_CSV", help="the series that is converted")
    step.add_argument("--method", required=True, help="ratio, difference or regression")
    step.add_argument("--overlap", required=True, type=int, nargs="+", metavar="YEAR", help="years that are compared")
    step.add_argument("--scope", default="entity", help="one factor an entity, or common to all (default: %(default)s)")
    step.add_argument("--value", default="index", help="column of the index (default: %(default)s)")
    step.add_argument("--entity", default="province", help="column of the entity (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the year (default: %(default)s)")
    step.add_argument("--factors", type=Path, help="write the factors here too, .csv or .parquet")
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_splice)


def run_splice(args: argparse.Namespace) -> None:
    from econ.frames import read_table
    from econ.splicing import splice

    base, other = (read_table(path, (args.entity,), args.encoding) for path in (args.base, args.other))
    found = splice(base, other, args.method, args.overlap, args.scope, args.value, args.entity, args.time)
    if args.factors:
        deliver(found.factors, args.factors)
    deliver(found.data, args.out)
    for line in found.report().splitlines():
        say(line)


def add_ratio(kinds) -> None:
    step = add_command(
        kinds,
        "ratio",
        "ratio of two columns, in their units",
        "A ratio of columns, such as deposits and loans to GDP, with its unit and why it is missing where it is.",
        RATIO_EXAMPLE,
    )
    step.add_argument("table", type=Path, metavar="CSV", help="one row e.g. a province and year")
    step.add_argument("--numerator", nargs="+", required=True, metavar="COLUMN", help="columns, which are added")
    step.add_argument("--denominator", required=True, metavar="COLUMN")
    step.add_argument("--name", default="ratio", help="column of the result (default: %(default)s)")
    step.add_argument("--unit", default="", help='of the numerator, such as "10000 USD"')
    step.add_argument("--per", default="", help='unit of the denominator, such as "100000000 yuan"')
    step.add_argument("--rate", metavar="COLUMN", help="converts the numerator: units of the denominator for one of it")
    add_key_option(step)
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_ratio)


def run_ratio(args: argparse.Namespace) -> None:
    from econ.controls import ratio
    from econ.frames import read_table

    table = read_table(args.table, args.key, args.encoding)
    found = ratio(table, args.numerator, args.denominator, args.name, args.unit, args.per, args.rate, args.key)
    deliver(found, args.out)
    say(f"unit: {found.attrs['unit'] or 'as given'}; {found[args.name].isna().sum():,} of {len(found):,} missing")
    say_reasons(found, args.name)


def add_density(kinds) -> None:
    step = add_command(
        kinds,
        "density",
        "a quantity per area, such as km of road and rail per 100 km2",
        "Columns of one unit, added and divided by an area.",
        DENSITY_EXAMPLE,
    )
    step.add_argument("table", type=Path, metavar="CSV", help="one row e.g. a province and year")
    step.add_argument("--quantity", nargs="+", required=True, metavar="COLUMN", help="columns, which are added")
    step.add_argument("--area", required=True, metavar="COLUMN")
    step.add_argument("--name", default="density", help="column of the result (default: %(default)s)")
    step.add_argument("--unit", default="km", help="of the quantity (default: %(default)s)")
    step.add_argument("--area-unit", default="km2", help="of the area: km2, ha or m2 (default: %(default)s)")
    step.add_argument("--per", type=float, default=100, help="area of the result [km2] (default: %(default)s)")
    add_key_option(step)
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_density)


def run_density(args: argparse.Namespace) -> None:
    from econ.controls import density
    from econ.frames import read_table

    table = read_table(args.table, args.key, args.encoding)
    found = density(table, args.quantity, args.area, args.name, args.unit, args.area_unit, args.per, args.key)
    deliver(found, args.out)
    say(f"unit: {found.attrs['unit']}; {found[args.name].isna().sum():,} of {len(found):,} missing")
    say_reasons(found, args.name)


def add_minmax(kinds) -> None:
    step = add_command(
        kinds,
        "minmax",
        "min-max standardisation of a column, or of an interaction",
        "(x - min) / (max - min) of a column; with another one, their product, standardised as is said.",
        MINMAX_EXAMPLE,
    )
    step.add_argument("table", type=Path, metavar="CSV", help="one row e.g. a province and year")
    step.add_argument("--column", required=True, help="column that is standardised")
    step.add_argument("--bounds", nargs=2, type=float, metavar=("MIN", "MAX"), help="in place of those of the column")
    step.add_argument("--with", dest="other", metavar="COLUMN", help="make the interaction with this column")
    step.add_argument("--standardise", help="of an interaction: components, product or none")
    add_key_option(step)
    add_encoding_option(step)
    add_out_option(step)
    step.set_defaults(run=run_minmax)


def run_minmax(args: argparse.Namespace) -> None:
    from econ.controls import interaction, minmax
    from econ.frames import read_table, require_columns

    if (args.other is None) != (args.standardise is None):
        raise UsageError("an interaction needs --with COLUMN and --standardise components, product or none: give both.")
    if args.other and args.bounds and args.standardise != "product":
        raise UsageError("--bounds of an interaction are those of its product: say --standardise product, or none.")
    table = read_table(args.table, args.key, args.encoding)
    require_columns(table, args.key)
    if args.other:
        bounds = {"product": tuple(args.bounds)} if args.bounds else None
        found = interaction(table, args.column, args.other, args.standardise, bounds)
        used = found.attrs["bounds"]
    else:
        found = minmax(table, args.column, args.bounds)
        used = {args.column: found.attrs["bounds"]}
    if found.name in args.key:
        raise UsageError(f"column {found.name!r} is a key: name another to standardise, or another --key.")
    deliver(table[args.key].assign(**{found.name: found}), args.out)
    for name, (low, high) in used.items():
        say(f"{name}: {low:.6g} to {high:.6g} become 0 to 1")
    say(f"{found.isna().sum():,} of {len(found):,} missing")
