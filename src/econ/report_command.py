"""The command `econ check`."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path

from econ.errors import BadInputError, UsageError

# --help has to answer at once: the checks are imported by what runs.

CHECK_EXAMPLE = """example:
  econ check --example > report.toml
  econ check report.toml --out findings.md"""

WRITTEN_AS = (".txt", ".md", ".csv", ".json")


def add_check(steps) -> None:
    step = steps.add_parser(
        "check",
        help="what contradicts itself in a published table",
        description="Look for what contradicts itself in a published table, written down in the form of "
        "docs/report-checker.md.",
        epilog=CHECK_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("report", type=Path, nargs="?", metavar="REPORT.toml", help="numbers as they were printed")
    step.add_argument("--example", action="store_true", help="print a filled form to begin with, check nothing")
    step.add_argument(
        "--strict", action="store_true", help="exit with 3 where anything is contradictory or doubtful (notes are not)"
    )
    form = step.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, with all numbers that were computed")
    form.add_argument(
        "--out", type=Path, metavar="FILE", help="write a file in the form of its ending: .txt .md .csv .json"
    )
    step.set_defaults(run=run_check)


def run_check(args: argparse.Namespace) -> None:
    if args.example:
        sys.stdout.write((files("econ") / "data" / "report_example.toml").read_text(encoding="utf-8"))
        return
    if args.report is None:
        raise UsageError("econ check wants REPORT.toml: give one, or print a form to fill in with --example.")
    if args.out and args.out.suffix.lower() not in WRITTEN_AS:
        raise UsageError(f"cannot write {args.out}: give a name that ends in {', '.join(WRITTEN_AS)}.")
    from econ.frames import csv_text, write_bytes
    from econ.reports import check_report

    found = check_report(args.report)

    def written(form: str) -> str:
        if form == ".json":
            return json.dumps(found.to_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        if form == ".csv":
            return csv_text(found.to_frame())
        return found.to_markdown() if form == ".md" else found.to_text()

    if args.out:
        write_bytes(written(args.out.suffix.lower()).encode(), args.out)
        print(f"econ: wrote {args.out}: {found.summary()}", file=sys.stderr)
    else:
        sys.stdout.write(written(".json" if args.json else ".txt"))
    counts = found.counts
    if args.strict and counts["contradiction"] + counts["doubtful"]:
        raise BadInputError(
            f"{args.report} does not agree with itself: {counts['contradiction']} contradictory and "
            f"{counts['doubtful']} doubtful, expected none with --strict; look at the findings."
        )
