"""The command `econ granger`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from econ.errors import EstimationError, UsageError

GRANGER_EXAMPLE = """example:
  econ granger panel.csv "gini ~ forward" --lags 1
  econ granger panel.csv "gini ~ forward" --lags bic --option max_lags=2 --option bootstrap=999
  econ granger panel.csv --all gini forward backward --method dumitrescu-hurlin juodis --out causality.csv"""


def add_granger(steps) -> None:
    step = steps.add_parser(
        "granger",
        help="does x Granger-cause y in the panel?  One direction, or all",
        description="Panel Granger tests: one direction of a formula 'y ~ x', or every direction between variables.",
        epilog=GRANGER_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("panel", type=Path, metavar="PANEL_CSV", help="one row an entity and time, .csv or .parquet")
    step.add_argument("formula", nargs="?", help="such as 'gini ~ forward': does forward cause gini?")
    step.add_argument("--all", nargs="+", metavar="X", help="every direction between these columns, as a table")
    step.add_argument("--lags", default="1", help="a number, or aic, bic or hqic (default: %(default)s)")
    step.add_argument(
        "--method",
        nargs="+",
        default=["dumitrescu-hurlin"],
        help="dumitrescu-hurlin (default), juodis, hnr, pvar; several with --all",
    )
    step.add_argument("--entity", default="province", help="column of the entity (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the time (default: %(default)s)")
    step.add_argument("--step", type=int, default=1, help="time units in one period (default: %(default)s)")
    step.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of a method, such as bootstrap=999, seed=1, max_lags=2, instruments=2,4",
    )
    step.add_argument("--strict", action="store_true", help="exit with 3 where a test is not valid")
    step.add_argument("--json", action="store_true", help="print JSON")
    step.add_argument("--out", type=Path, help="write .csv or .parquet here")
    step.set_defaults(run=run_granger)


def run_granger(args: argparse.Namespace) -> None:
    from econ.cli import say
    from econ.estimators.granger import granger, granger_table
    from econ.frames import read_table, write_table
    from econ.regress_command import option_of

    if (args.formula is None) == (args.all is None):
        raise UsageError("expected either a formula such as 'gini ~ forward', or --all with columns: pass one of them.")
    if args.all is None and len(args.method) > 1:
        raise UsageError("several methods go with --all: pass one method, or --all with the columns.")
    options = dict(option_of(text) for text in args.option)
    if "instruments" in options:
        options["instruments"] = _limits(options["instruments"])
    lags = int(args.lags) if args.lags.lstrip("-").isdigit() else args.lags
    panel = read_table(args.panel, (args.entity,))
    keys = {"entity": args.entity, "time": args.time, "step": args.step}
    if args.all:
        table = granger_table(panel, args.all, lags, args.method, **keys, **options)
        if args.out:
            write_table(table, args.out)
            say(f"wrote {args.out}")
        elif args.json:
            sys.stdout.write(table.to_json(orient="records", force_ascii=False, indent=2) + "\n")
        else:
            sys.stdout.write(table.to_csv(index=False, lineterminator="\n"))
        if args.strict and not table["valid"].all():
            raise EstimationError(
                f"{(~table['valid'].astype(bool)).sum()} of {len(table)} tests are not valid: see note."
            )
        return
    test = granger(panel, args.formula, lags, args.method[0], **keys, **options)
    frame = test.to_frame().reset_index()
    if args.out:
        write_table(frame, args.out)
        say(f"wrote {args.out}")
    elif args.json:
        parts = {
            "cause": test.cause,
            "effect": test.effect,
            "method": test.method,
            "lags": test.lags,
            "groups": test.groups,
            "nobs": test.nobs,
            "p": test.pvalue,
            "tests": json.loads(frame.to_json(orient="records")),
            "valid": test.valid,
            "notes": list(test.notes),
        }
        sys.stdout.write(json.dumps(parts, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(test.summary() + "\n")
    if args.strict and not test.valid:
        why = next((note for note in test.notes if note.startswith("not valid")), "not valid")
        raise EstimationError(f"{why}.")


def _limits(value: object) -> tuple[int, int | None]:
    """FIRST,LAST or one number for all lags from it on."""
    parts = value if isinstance(value, list) else [value, ""]
    try:
        first, last = (int(part) if str(part).strip() else None for part in parts)
    except ValueError:
        first, last = None, None
    if first is None:
        raise UsageError(f"instruments is {value!r}: expected FIRST,LAST, such as instruments=2,4, or instruments=2.")
    return first, last
