"""The command `econ`.  Results go to stdout, or to --out; everything said about them goes to stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from econ.commands import (
    add_crosswalk_command,
    add_curves,
    add_density,
    add_encoding_option,
    add_minmax,
    add_provinces,
    add_ratio,
    add_sensitivity,
    add_sources,
    add_splice,
    deliver,
    number_or_text,
    pairs_of,
    say,
    say_reasons,
)
from econ.errors import BadInputError, EconError, ResourceError, UsageError
from econ.granger_command import add_granger
from econ.regress_command import FORM_OF, REGRESS_EXAMPLE, add_regress
from econ.report_command import add_check

# --help and a mistyped option have to answer at once: pandas and the estimators are imported by what runs.

INTERRUPTED = 7
INEQUALITY_EXAMPLE = """example:
  econ inequality city_lights.csv --by province --value mean --out inequality.csv
  econ inequality city.csv --value mean --value gdp --weights population --indices gini "ge(2)" --se jackknife"""

DECOMPOSE_EXAMPLE = """example:
  econ decompose city_lights.csv --by province region --value mean --index theil --out parts.csv"""

SEGMENTATION_EXAMPLE = """example:
  econ controls segmentation retail_prices.csv --form chained --out integration.csv --steps ."""

SCHOOLING_EXAMPLE = """example:
  econ controls schooling education.csv --kind counts --level college=dazhuan --key province year --out schooling.csv"""

PANEL_EXAMPLE = """example:
  econ panel inequality.csv controls.csv --out panel.csv
  econ panel inequality.csv linkages.csv controls.xlsx --labels labels.csv --lag forward --lag backward:2 \\
      --out panel.dta"""

DESCRIBE_EXAMPLE = """example:
  econ describe panel.parquet --columns gini forward backward --out table1.tex
  econ describe panel.dta --by-variation"""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="econ",
        description="Regional inequality and panel regressions from tables (.csv or .parquet).",
        epilog=f"{INEQUALITY_EXAMPLE}\n{REGRESS_EXAMPLE.partition(chr(10))[2]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = root.add_subparsers(required=True, metavar="COMMAND")
    add_inequality(steps)
    add_sensitivity(steps)
    add_curves(steps)
    add_decompose(steps)
    add_sources(steps)
    add_crosswalk_command(steps)
    add_provinces(steps)
    add_controls(steps)
    add_panel(steps)
    add_describe(steps)
    add_regress(steps)
    add_granger(steps)
    add_check(steps)
    return root


def add_inequality(steps) -> None:
    step = steps.add_parser(
        "inequality",
        help="Gini, Theil and Atkinson indices of the units of every region and period",
        description="Indices of inequality between the units (cities) of every region and period.",
        epilog=INEQUALITY_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("city", type=Path, metavar="CITY_CSV", help="one row a unit and period, .csv or .parquet")
    step.add_argument("--by", default="province", help="column of the region (default: %(default)s)")
    step.add_argument(
        "--value",
        action="append",
        help="column of what is compared, >= 0 (default: mean); given several times, the table is that much longer",
    )
    step.add_argument("--period", default="year", help="column of the period (default: %(default)s)")
    step.add_argument("--unit", default="zone", help="column of the unit (default: %(default)s)")
    step.add_argument("--weights", help="column of weights, such as population or area (default: every unit alike)")
    step.add_argument(
        "--indices",
        nargs="+",
        metavar="INDEX",
        help="among gini, gini_unbiased, theil, theil_l, atkinson, 'atkinson(1)', 'ge(2)', cv, hoover, "
        "'ratio(0.9, 0.1)' (default: gini theil theil_l atkinson)",
    )
    step.add_argument(
        "--zeros", default="keep", help="keep, drop, or a number to put in their place (default: %(default)s)"
    )
    step.add_argument("--negatives", default="refuse", help="refuse, drop, zero or keep (default: %(default)s)")
    step.add_argument("--se", help="add standard errors and intervals: jackknife or bootstrap")
    step.add_argument("--interval", default="normal", help="normal or, of the bootstrap, percentile")
    step.add_argument("--level", type=float, default=0.95, help="coverage of the intervals (default: %(default)s)")
    step.add_argument("--replications", type=int, default=999, help="of the bootstrap (default: %(default)s)")
    step.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    add_crosswalk_option(step)
    add_encoding_option(step)
    step.add_argument("--epsilon", type=float, default=0.5, help="aversion of Atkinson's index (default: %(default)s)")
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")
    step.add_argument("--json", action="store_true", help="print JSON, one object a row")
    step.set_defaults(run=run_inequality)


def add_crosswalk_option(step) -> None:
    step.add_argument(
        "--crosswalk",
        type=Path,
        metavar="CSV",
        help="units and where they belong: the first column names the unit, the others are added to the table",
    )


def add_decompose(steps) -> None:
    step = steps.add_parser(
        "decompose",
        help="inequality within and between groups, nested or not",
        description="Split the inequality between all units of a period into parts within and between groups.",
        epilog=DECOMPOSE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("city", type=Path, metavar="CITY_CSV", help="one row a unit and period, .csv or .parquet")
    step.add_argument(
        "--by", nargs="+", default=["province"], help="columns of nested groups, the finest first (default: province)"
    )
    step.add_argument("--value", default="mean", help="column of what is compared, >= 0 (default: %(default)s)")
    step.add_argument("--period", default="year", help="column of the period (default: %(default)s)")
    step.add_argument("--unit", default="zone", help="column of the unit (default: %(default)s)")
    step.add_argument("--index", default="theil", help="as in `econ inequality --indices` (default: %(default)s)")
    step.add_argument(
        "--method",
        help="additive, dagum, classical, factorial or shapley (default: by the index; see docs/notation.md)",
    )
    step.add_argument("--weights", help="column of weights, such as population or area (default: every unit alike)")
    add_crosswalk_option(step)
    add_encoding_option(step)
    step.add_argument(
        "--show",
        choices=("components", "groups", "pairs"),
        default="components",
        help="which table (default: components)",
    )
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")
    step.set_defaults(run=run_decompose)


def add_controls(steps) -> None:
    step = steps.add_parser(
        "controls",
        help="control variables from raw series: segmentation, schooling, splices, ratios, densities, min-max",
        description="Control variables from the series of the yearbooks.",
        epilog=f"{SEGMENTATION_EXAMPLE}\n{SCHOOLING_EXAMPLE.partition(chr(10))[2]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = step.add_subparsers(required=True, metavar="CONTROL")
    add_segmentation(kinds)
    add_schooling(kinds)
    add_splice(kinds)
    add_ratio(kinds)
    add_density(kinds)
    add_minmax(kinds)


def add_segmentation(kinds) -> None:
    step = kinds.add_parser(
        "segmentation",
        help="market segmentation and integration by relative prices (Parsley and Wei 2001)",
        description="Market segmentation of every province and year by relative prices, and integration, the root of "
        "its reciprocal.",
        epilog=SEGMENTATION_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("prices", type=Path, metavar="PRICES_CSV", help="one row a province, year and good")
    step.add_argument("--form", required=True, help="chained: indices, last year = 100; level: prices or fixed base")
    step.add_argument(
        "--pairs",
        default="neighbours",
        help="neighbours (with Hainan-Guangdong), land (borders alone), all, or a .csv of two columns "
        "(default: %(default)s)",
    )
    add_encoding_option(step)
    step.add_argument("--ddof", type=int, default=1, help="1: variance over goods less one; 0 (default: %(default)s)")
    step.add_argument("--min-goods", type=int, default=2, help="fewest goods of a variance (default: %(default)s)")
    for key in ("province", "year", "good", "price"):
        step.add_argument(f"--{key}", default=key, metavar="COLUMN", help=f"column of the {key} (default: %(default)s)")
    step.add_argument(
        "--steps", type=Path, metavar="FOLDER", help="write changes.csv and pairs.csv, the steps, here too"
    )
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")
    step.set_defaults(run=run_segmentation)


def add_schooling(kinds) -> None:
    step = kinds.add_parser(
        "schooling",
        help="mean years of schooling from people by level of education",
        description="Mean years of schooling: none 0, primary 6, junior 9, senior 12, and tertiary by convention.",
        epilog=SCHOOLING_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("people", type=Path, metavar="CSV", help="one row e.g. a province and year, a column a level")
    step.add_argument("--kind", required=True, help="what the columns hold: shares (sum 1), percent (sum 100), counts")
    step.add_argument(
        "--convention",
        default="tertiary16",
        help="tertiary16: 16 years for all tertiary education; college15: 15 college, 16 bachelor, 19 graduate "
        "(default: %(default)s)",
    )
    step.add_argument(
        "--level",
        nargs="+",
        default=[],
        metavar="LEVEL=COLUMN",
        help="columns that are not named none, primary, junior, senior, tertiary, college, bachelor, graduate",
    )
    step.add_argument("--key", nargs="+", default=["province", "year"], help="columns to keep (default: province year)")
    add_encoding_option(step)
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")
    step.set_defaults(run=run_schooling)


def add_panel(steps) -> None:
    step = steps.add_parser(
        "panel",
        help="join a table of inequality with what explains it",
        description="Join inequality with what explains it on (entity, time), and say what did not match. Tables are "
        ".csv, .parquet, .xlsx or .dta.",
        epilog=PANEL_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("inequality", type=Path, metavar="INEQUALITY_CSV", help="written by `econ inequality`")
    step.add_argument("controls", type=Path, metavar="CONTROLS_CSV", help="one row an entity and time")
    step.add_argument("more", type=Path, nargs="*", metavar="TABLE", help="further tables, one row an entity and time")
    add_keys(step)
    step.add_argument(
        "--lag",
        action="append",
        default=[],
        metavar="COLUMN[:K]",
        help="add L1.COLUMN, or LK.COLUMN: its value K periods before; may be given several times",
    )
    step.add_argument("--step", type=int, default=1, help="years in one period, for lags (default: %(default)s)")
    add_labels_option(step)
    add_encoding_option(step)
    step.add_argument("--out", type=Path, help="write .csv, .parquet, .xlsx or .dta here instead of CSV on stdout")
    step.set_defaults(run=run_panel)


def add_keys(step) -> None:
    step.add_argument("--entity", default="province", help="column of the entity (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the time (default: %(default)s)")


def add_labels_option(step) -> None:
    step.add_argument(
        "--labels", type=Path, metavar="CSV", help="columns variable and label: what the columns of the panel mean"
    )


def add_describe(steps) -> None:
    step = steps.add_parser(
        "describe",
        help="number, mean, standard deviation, minimum and maximum of the columns of a panel",
        description="Number, mean, standard deviation, minimum and maximum of the columns of a panel.",
        epilog=DESCRIBE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("panel", type=Path, metavar="PANEL", help="written by `econ panel`: .csv, .parquet, .xlsx, .dta")
    step.add_argument("--columns", nargs="+", metavar="COLUMN", help="in this order (default: all of numbers)")
    add_keys(step)
    step.add_argument(
        "--by-variation", action="store_true", help="split into variation between and within entities, as xtsum does"
    )
    add_labels_option(step)
    add_encoding_option(step)
    step.add_argument("--digits", type=int, default=4, help="significant digits, in text (default: %(default)s)")
    form = step.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, one object a row")
    form.add_argument(
        "--out",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="write files instead: .txt .tex .html .md, or with all digits .csv .parquet .json",
    )
    step.set_defaults(run=run_describe)


def run_inequality(args: argparse.Namespace) -> None:
    from econ.frames import add_crosswalk, read_crosswalk, read_table
    from econ.inequality import INDICES, regional_inequality

    if args.json and args.out:
        raise UsageError("--json prints and --out writes .csv or .parquet: choose one of them.")
    city = read_table(args.city, (args.by, args.unit), args.encoding)
    if args.crosswalk:
        city = add_crosswalk(city, read_crosswalk(args.crosswalk, args.encoding), args.unit)
    value = args.value or ["mean"]
    table = regional_inequality(
        city,
        args.by,
        value[0] if len(value) == 1 else value,
        args.period,
        args.unit,
        args.indices or INDICES,
        args.epsilon,
        weights=args.weights,
        zeros=number_or_text(args.zeros),
        negatives=args.negatives,
        se=args.se,
        replications=args.replications,
        interval=args.interval,
        level=args.level,
        rng=args.seed,
    )
    if args.json:
        print(table.to_json(orient="records", force_ascii=False, double_precision=15, indent=2))
    else:
        deliver(table, args.out)
    first = (args.indices or INDICES)[0]
    name = {"gini": "Gini"}.get(first, first)
    undefined = table[first].isna()
    say(f"{len(table):,} regions and periods, {undefined.sum():,} without a {name}; Atkinson epsilon {args.epsilon:g}")
    for reason, count in table.loc[undefined, "reason"].value_counts().items():
        say(f"{count:,} without a {name}: {reason}")
    if args.se:
        draws = f", {args.replications:,} replications, seed {args.seed}" if args.se == "bootstrap" else ""
        say(f"{args.se} standard errors, {args.interval} intervals of {args.level:.0%}{draws}")


def run_decompose(args: argparse.Namespace) -> None:
    from econ.decomposition import decompose
    from econ.frames import add_crosswalk, read_crosswalk, read_table

    city = read_table(args.city, (*args.by, args.unit), args.encoding)
    if args.crosswalk:
        city = add_crosswalk(city, read_crosswalk(args.crosswalk, args.encoding), args.unit)
    found = decompose(city, args.by, args.value, args.period, args.unit, args.index, args.method, args.weights)
    table = getattr(found, args.show)
    if table.empty:
        raise UsageError(f"the {found.method} decomposition has no table of {args.show}: leave --show out.")
    deliver(table, args.out)
    shares = found.components.groupby("component", sort=False)["share"].mean()
    known = found.components.loc[found.components["share"].notna(), args.period].nunique()
    if known:
        said = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        say(f"{found.index}, {found.method}, mean share, {known:,} x {args.period}: {said}")
    undefined = found.components[found.components["share"].isna()].drop_duplicates(args.period)
    for reason, count in undefined["reason"].value_counts().items():
        say(f"no shares in {count:,} x {args.period}: {reason or 'no inequality to share'}")
    for note in found.notes:
        say(note)


def run_segmentation(args: argparse.Namespace) -> None:
    from econ.frames import read_crosswalk, read_table
    from econ.markets import segmentation

    prices = read_table(args.prices, (args.province, args.good), args.encoding)
    named = args.pairs in ("neighbours", "land", "all")
    pairs = args.pairs if named else read_crosswalk(Path(args.pairs), args.encoding)
    columns = {key: getattr(args, key) for key in ("province", "year", "good", "price")}
    found = segmentation(prices, args.form, pairs, **columns, ddof=args.ddof, min_goods=args.min_goods)
    if args.steps:
        for name in ("changes", "pairs"):
            deliver(getattr(found, name), args.steps / f"{name}.csv")
    deliver(found.provinces, args.out)
    for line in found.report().splitlines():
        say(line)


def run_schooling(args: argparse.Namespace) -> None:
    from econ.controls import schooling
    from econ.frames import read_table

    renamed = pairs_of(args.level, "--level", "LEVEL=COLUMN, such as college=dazhuan")
    people = read_table(args.people, args.key, args.encoding)
    table = schooling(people, args.kind, args.convention, renamed, args.key)
    deliver(table, args.out)
    say(f"mean {table['schooling'].mean():.4g} years by {args.convention}, {table['schooling'].isna().sum():,} missing")
    say_reasons(table, "schooling")


def run_panel(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from econ.frames import csv_text
    from econ.panel import join_panel, lag
    from econ.panel_files import read_labelled, read_labels, write_panel

    lags = [lag_of(text) for text in args.lag]
    paths = [args.inequality, args.controls, *args.more]
    twice = [path for place, path in enumerate(paths) if path in paths[:place]]
    if twice:
        raise UsageError(f"{twice[0]} is given twice: expected different tables; leave one out.")
    read = [read_labelled(path, (args.entity,), args.encoding) for path in paths]
    names = None if len(paths) == 2 else [str(path) for path in paths]
    labels = {column: label for _, found in read for column, label in found.items()}
    given = read_labels(args.labels, args.encoding) if args.labels else {}
    panel = join_panel(*(table for table, _ in read), entity=args.entity, time=args.time, names=names)
    data, labels = panel.data, {**labels, **given}
    for column, k in lags:
        lagged = lag(panel, column, k, step=args.step)
        if lagged.name in data.columns:
            raise BadInputError(f"the panel has the column {lagged.name!r} already: leave out one --lag, or rename it.")
        data = data.assign(**{lagged.name: lagged})
        if column in labels:
            labels.setdefault(lagged.name, f"{labels[column]} (L{k})")
    panel = replace(panel, data=data, labels=labels)
    if args.out:
        notes = write_panel(panel, args.out)
        say(f"wrote {len(data):,} rows to {args.out}")
        for note in notes:
            say(note)
    else:
        sys.stdout.write(csv_text(data))
    for line in panel.report().splitlines():
        say(line)
    unknown = [variable for variable in given if variable not in data.columns]
    if unknown:
        say(f"no column for the label of {', '.join(unknown)}")


def lag_of(text: str) -> tuple[str, int]:
    """("openness", 2) from "openness:2", ("openness", 1) from "openness"; "x:z" is a column."""
    column, colon, k = text.rpartition(":")
    if not colon or not k.lstrip("-").isdecimal():
        column, k = text, "1"
    if not column or int(k) < 1:
        raise UsageError(f"cannot read --lag {text!r}: expected COLUMN or COLUMN:K with K at least 1, as openness:2.")
    return column, int(k)


def run_describe(args: argparse.Namespace) -> None:
    from econ.frames import write_bytes, write_table
    from econ.panel import describe, within_between
    from econ.panel_files import read_labels, read_panel
    from econ.tables import FORMATS, description_table

    forms = {**FORM_OF, ".parquet": "parquet"}
    unknown = [path for path in args.out or () if path.suffix not in forms]
    if unknown:
        raise UsageError(f"cannot write {unknown[0]}: give a name that ends in {', '.join(forms)}.")
    panel = read_panel(args.panel, args.entity, args.time, args.encoding)
    labels = {**panel.labels, **(read_labels(args.labels, args.encoding) if args.labels else {})}
    table = (within_between if args.by_variation else describe)(panel, args.columns, labels=labels)
    shown, whole = description_table(table, args.digits), table.reset_index()

    def written(form: str) -> str:
        if form == "json":
            return whole.to_json(orient="records", force_ascii=False, double_precision=15, indent=2) + "\n"
        return FORMATS[form](shown)

    for path in args.out or ():
        if path.suffix in (".csv", ".parquet"):
            write_table(whole, path)
        else:
            write_bytes(written(forms[path.suffix]).encode(), path)
        say(f"wrote {path}")
    if not args.out:
        sys.stdout.write(written("json" if args.json else "text"))
    say(panel.report().splitlines()[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 2 usage, 3 bad input, 5 out of disk or memory, 7 interrupted."""
    args = parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except EconError as error:  # something the user can put right: no traceback
        say(str(error))
        return error.exit_code
    except MemoryError:
        say("out of memory: use a smaller table, or a machine with more memory.")
        return ResourceError.exit_code
    except KeyboardInterrupt:
        say("interrupted, nothing was written: give the same command again.")
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of stdout had enough, as `head` has; Python would complain again when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
