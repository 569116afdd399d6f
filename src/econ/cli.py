"""The command `econ`.  Results go to stdout, or to --out; everything said about them goes to stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from econ.errors import EconError, ResourceError, UsageError

# --help and a mistyped option have to answer at once: pandas and the estimators are imported by what runs.

INTERRUPTED = 7
FORM_OF = {".txt": "text", ".tex": "latex", ".html": "html", ".md": "markdown", ".csv": "csv", ".json": "json"}

INEQUALITY_EXAMPLE = """example:
  econ inequality city_lights.csv --by province --value mean --out inequality.csv"""

PANEL_EXAMPLE = """example:
  econ panel inequality.csv controls.csv --out panel.csv"""

REGRESS_EXAMPLE = """example:
  econ regress panel.csv "gini ~ forward + backward + ln(openness)" --effects twoway \\
      --cov classical cluster --cluster province --out table.tex table.html"""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="econ",
        description="Regional inequality and panel regressions from tables (.csv or .parquet).",
        epilog=f"{INEQUALITY_EXAMPLE}\n{REGRESS_EXAMPLE.partition(chr(10))[2]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = root.add_subparsers(required=True, metavar="COMMAND")
    add_inequality(steps)
    add_panel(steps)
    add_regress(steps)
    return root


def add_inequality(steps) -> None:
    step = steps.add_parser(
        "inequality",
        help="Gini, Theil and Atkinson indices of the units of every region and period",
        description="Gini, Theil T and L, and Atkinson indices of the units (cities) of every region and period.",
        epilog=INEQUALITY_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("city", type=Path, metavar="CITY_CSV", help="one row a unit and period, .csv or .parquet")
    step.add_argument("--by", default="province", help="column of the region (default: %(default)s)")
    step.add_argument("--value", default="mean", help="column of what is compared, >= 0 (default: %(default)s)")
    step.add_argument("--period", default="year", help="column of the period (default: %(default)s)")
    step.add_argument("--unit", default="zone", help="column of the unit (default: %(default)s)")
    step.add_argument(
        "--crosswalk",
        type=Path,
        metavar="CSV",
        help="units and where they belong: the first column names the unit, the others are added to the table",
    )
    step.add_argument("--epsilon", type=float, default=0.5, help="aversion of Atkinson's index (default: %(default)s)")
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")
    step.add_argument("--json", action="store_true", help="print JSON, one object a row")
    step.set_defaults(run=run_inequality)


def add_panel(steps) -> None:
    step = steps.add_parser(
        "panel",
        help="join a table of inequality with what explains it",
        description="Join inequality with what explains it on (entity, time), and say what did not match.",
        epilog=PANEL_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("inequality", type=Path, metavar="INEQUALITY_CSV", help="written by `econ inequality`")
    step.add_argument("controls", type=Path, metavar="CONTROLS_CSV", help="one row an entity and time")
    step.add_argument("--entity", default="province", help="column of the entity (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the time (default: %(default)s)")
    step.add_argument("--out", type=Path, help="write .csv or .parquet here instead of CSV on stdout")
    step.set_defaults(run=run_panel)


def add_regress(steps) -> None:
    step = steps.add_parser(
        "regress",
        help="fit one equation on a panel and print its table",
        description="Fit one equation on a panel and print its table.",
        epilog=REGRESS_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("panel", type=Path, metavar="PANEL_CSV", help="one row an entity and time, .csv or .parquet")
    step.add_argument("formula", help="such as 'gini ~ forward + ln(openness) + forward:market'")
    step.add_argument("--estimator", default="fe", help="fe or pooled (default: %(default)s)")
    step.add_argument("--entity", default="province", help="column of the entity (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the time (default: %(default)s)")
    step.add_argument("--effects", help="twoway, entity or time; for fe (default: twoway)")
    step.add_argument(
        "--cov",
        nargs="+",
        default=["classical"],
        metavar="COV",
        help="classical (default), hc1, cluster; several make as many columns",
    )
    step.add_argument("--cluster", help="column of the clusters, with --cov cluster")
    step.add_argument("--ssc", default="stata", help="small-sample rule: stata, reghdfe, fixest (default: %(default)s)")
    form = step.add_mutually_exclusive_group()
    form.add_argument(
        "--format", default="text", help="text, summary, latex, html, markdown or csv (default: %(default)s)"
    )
    form.add_argument("--json", action="store_true", help="print the whole estimates as JSON, a list")
    form.add_argument(
        "--out",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="write files instead, each in the form of its ending: .txt .tex .html .md .csv .json",
    )
    step.set_defaults(run=run_regress)


def run_inequality(args: argparse.Namespace) -> None:
    from econ.frames import add_crosswalk, read_crosswalk, read_table, write_table
    from econ.inequality import regional_inequality

    if args.json and args.out:
        raise UsageError("--json prints and --out writes .csv or .parquet: choose one of them.")
    city = read_table(args.city, (args.by, args.unit))
    if args.crosswalk:
        city = add_crosswalk(city, read_crosswalk(args.crosswalk), args.unit)
    table = regional_inequality(city, args.by, args.value, args.period, args.unit, epsilon=args.epsilon)
    if args.json:
        print(table.to_json(orient="records", force_ascii=False, double_precision=15, indent=2))
    elif args.out:
        write_table(table, args.out)
        say(f"wrote {len(table):,} rows to {args.out}")
    else:
        sys.stdout.write(table.to_csv(index=False))
    undefined = table["gini"].isna()
    say(f"{len(table):,} regions and periods, {undefined.sum():,} without a Gini; Atkinson epsilon {args.epsilon:g}")
    for reason, count in table.loc[undefined, "reason"].value_counts().items():
        say(f"{count:,} without a Gini: {reason}")


def run_panel(args: argparse.Namespace) -> None:
    from econ.frames import read_table, write_table
    from econ.panel import join_panel

    tables = [read_table(path, (args.entity,)) for path in (args.inequality, args.controls)]
    panel = join_panel(*tables, entity=args.entity, time=args.time)
    if args.out:
        write_table(panel.data, args.out)
    else:
        sys.stdout.write(panel.data.to_csv(index=False))
    for line in panel.report().splitlines():
        say(line)


def run_regress(args: argparse.Namespace) -> None:
    from econ.estimators import fit
    from econ.frames import read_table, write_bytes
    from econ.tables import FORMATS, regression_table

    if args.format != "summary" and args.format not in FORMATS:
        raise UsageError(f"there is no format {args.format!r}: choose among {', '.join(('summary', *FORMATS))}.")
    unknown = [path for path in args.out or () if path.suffix not in FORM_OF]
    if unknown:
        raise UsageError(f"cannot write {unknown[0]}: give a name that ends in {', '.join(FORM_OF)}.")
    panel = read_table(args.panel, (args.entity, args.cluster))
    estimates = [
        fit(
            panel,
            args.formula,
            estimator=args.estimator,
            entity=args.entity,
            time=args.time,
            effects=args.effects,
            cov=cov,
            # with several covariances the column of the clusters belongs to one of them
            cluster=args.cluster if cov == "cluster" or "cluster" not in args.cov else None,
            ssc=args.ssc,
        )
        for cov in args.cov
    ]

    def written(form: str) -> str:
        if form == "json":
            return json.dumps([estimate.to_dict() for estimate in estimates], ensure_ascii=False, indent=2) + "\n"
        if form == "summary":
            return "\n\n".join(estimate.summary() for estimate in estimates) + "\n"
        return FORMATS[form](regression_table(estimates))

    if args.out:
        for path in args.out:
            write_bytes(written(FORM_OF[path.suffix]).encode(), path)
            say(f"wrote {path}")
    else:
        sys.stdout.write(written("json" if args.json else args.format))
    for note in dict.fromkeys(note for estimate in estimates for note in estimate.notes):
        say(note)


def say(message: str) -> None:
    print(f"econ: {message}", file=sys.stderr)


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
