"""The command `econ regress`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from inspect import signature
from pathlib import Path

from econ.errors import EstimationError, UsageError

# --help has to answer at once: pandas and the estimators are imported by what runs.

FORM_OF = {".txt": "text", ".tex": "latex", ".html": "html", ".md": "markdown", ".csv": "csv", ".json": "json"}

REGRESS_EXAMPLE = """example:
  econ regress panel.csv "gini ~ forward + backward + ln(openness)" --effects twoway \\
      --cov classical cluster --cluster province --out table.tex table.html
  econ regress panel.csv "gini ~ openness + [forward + backward ~ iv_forward + iv_backward]" \\
      --estimator iv --effects twoway --cov cluster --cluster province --format summary
  econ regress panel.csv "gini ~ L.forward + L.backward + C(year)" --estimator fe re \\
      --effects entity --hausman
  econ regress panel.csv "gini ~ L.gini + forward + openness" --estimator gmm --gmm gini:2:4 forward:1:3 \\
      --iv openness --format summary"""


def add_regress(steps) -> None:
    step = steps.add_parser(
        "regress",
        help="fit one equation on a panel and print its table",
        description="Fit one equation on a panel and print its table.  Lags, leads and differences by time are "
        "L.x, L(1/2).x, F.x, D.x; instruments stand in brackets.",
        epilog=REGRESS_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    step.add_argument("panel", type=Path, metavar="PANEL_CSV", help="one row an entity and time, .csv or .parquet")
    step.add_argument("formula", help="such as 'gini ~ forward + ln(openness) + forward:market'")
    step.add_argument(
        "--estimator",
        nargs="+",
        default=["fe"],
        help="pooled, between, fd, fe (default), re, mundlak, iv, liml, gmm-iv, gmm, tobit, retobit; several make as "
        "many columns",
    )
    step.add_argument(
        "--gmm",
        nargs="+",
        metavar="X:FIRST:LAST",
        help="of gmm: variables that instrument by their lags, counted from the variable; LAST may be left out for all",
    )
    step.add_argument("--iv", nargs="+", metavar="X", help="of gmm: variables that instrument by themselves")
    step.add_argument("--entity", default="province", help="column of the entity (default: %(default)s)")
    step.add_argument("--time", default="year", help="column of the time (default: %(default)s)")
    step.add_argument("--effects", help="twoway, entity or time; for fe (default: twoway), iv, liml, gmm-iv and re")
    step.add_argument(
        "--cov",
        nargs="+",
        default=[None],
        metavar="COV",
        help="classical (default; gmm: robust), hc0 to hc3, cluster, cr2, cr3, driscoll-kraay, newey-west, wild; opg "
        "of tobit and retobit; several make as many columns",
    )
    step.add_argument("--cluster", nargs="+", metavar="COLUMN", help="column of the clusters; two for two-way ones")
    step.add_argument(
        "--ssc",
        default="stata",
        help="small-sample rule: stata, reghdfe, fixest, plm, ivreg2 (default: %(default)s)",
    )
    size = step.add_mutually_exclusive_group()
    size.add_argument("--large", action="store_true", help="no small-sample factors, z instead of t (ivreg2)")
    size.add_argument("--small", action="store_true", help="of gmm: small-sample factor and t, as xtabond2's option")
    step.add_argument("--lags", type=int, help="of driscoll-kraay and newey-west")
    step.add_argument("--kernel", default="bartlett", help="of the same (default: %(default)s)")
    step.add_argument("--weights", help="column of analytic weights")
    step.add_argument("--step", type=int, default=1, help="time units in one period, for lags (default: %(default)s)")
    step.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of one estimator, such as lower=0, points=25, fuller=1, steps=cue, variant=plm, "
        "draws=9999, orthogonality=z1,z2",
    )
    step.add_argument(
        "--hausman", action="store_true", help="compare the first estimator with the second, as fe with re"
    )
    step.add_argument("--strict", action="store_true", help="exit with 3 where an estimate is not valid")
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


def run_regress(args: argparse.Namespace) -> None:
    from econ.cli import say
    from econ.estimators import fit
    from econ.estimators.inference import OF_CLUSTERS
    from econ.frames import read_table, write_bytes
    from econ.tables import FORMATS, regression_table

    if args.format != "summary" and args.format not in FORMATS:
        raise UsageError(f"there is no format {args.format!r}: choose among {', '.join(('summary', *FORMATS))}.")
    unknown = [path for path in args.out or () if path.suffix not in FORM_OF]
    if unknown:
        raise UsageError(f"cannot write {unknown[0]}: give a name that ends in {', '.join(FORM_OF)}.")
    if args.hausman and len(args.estimator) != 2:
        raise UsageError(f"--hausman compares two estimators, found {len(args.estimator)}: pass --estimator fe re.")
    options = dict(option_of(text) for text in args.option)
    own = [name for name in options if name in signature(fit).parameters]
    if own:
        raise UsageError(
            f"--option names {own[0]!r}, which the command has an argument for: see econ regress --help; --option is "
            f"for options of one estimator, such as fuller=1."
        )
    if args.gmm:
        options["gmm"] = dict(_lags(text) for text in args.gmm)
    if args.iv:
        options["iv"] = args.iv
    small = True if args.small else False if args.large else None
    panel = read_table(args.panel, (args.entity, *(args.cluster or ())))
    clustered = [cov == "wild" or cov in OF_CLUSTERS for cov in args.cov]
    estimates = [
        fit(
            panel,
            args.formula,
            estimator=estimator,
            entity=args.entity,
            time=args.time,
            effects=args.effects,
            cov=cov,
            # with several covariances the columns of the clusters belong to those that have clusters
            cluster=args.cluster if takes or not any(clustered) else None,
            ssc=args.ssc,
            small=small,
            lags=args.lags,
            kernel=args.kernel,
            weights=args.weights,
            step=args.step,
            **options,
        )
        for estimator in args.estimator
        for cov, takes in zip(args.cov, clustered, strict=True)
    ]
    tests = {}
    if args.hausman:
        from econ.diagnostics import hausman

        tests["hausman"] = hausman(estimates[0], estimates[len(args.cov)])

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
    for name, test in tests.items():
        say(f"{name}: {test}")
    for note in dict.fromkeys(note for estimate in estimates for note in estimate.notes):
        say(note)
    invalid = [estimate for estimate in estimates if not estimate.valid]
    if args.strict and invalid:
        why = next((note for note in invalid[0].notes if note.startswith("not valid")), "not valid")
        raise EstimationError(f"{len(invalid)} of {len(estimates)} estimates: {why}.")


def _lags(text: str) -> tuple[str, tuple[int, int | None]]:
    """X:FIRST:LAST, X:FIRST: or X:FIRST; X may hold colons."""
    found = re.fullmatch(r"(.+?):(-?\d+)(:(-?\d+)?)?", text)
    if found is None:
        raise UsageError(f"--gmm is {text!r}: expected X:FIRST:LAST, such as gini:2:4, or gini:2 for all lags from 2.")
    return found[1], (int(found[2]), int(found[4]) if found[4] else None)


def option_of(text: str) -> tuple[str, object]:
    """NAME=VALUE, the value a number where it reads as one, a list where it has commas."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"--option is {text!r}: expected NAME=VALUE, such as fuller=1.")
    if "," in value:
        return name, [part.strip() for part in value.split(",")]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, {"true": True, "false": False}.get(value.lower(), value)
