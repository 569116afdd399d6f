"""The whole line on a generated world: 34 GeoTIFFs in, a regression table and a report out.

Every step is the public one that a user would take. The econometrics run as the `econ` command, because the two
packages share nothing but tables.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcore import __version__
from nightcore.calibration import calibration, fit_calibration
from nightcore.compare import compare
from nightcore.errors import BadInputError, NightcoreError, ResourceError, UsageError
from nightcore.ingest import ingest
from nightcore.lights import annual_lights
from nightcore.simulate import World, simulate
from nightcore.store import MANIFEST, Store
from nightcore.zonal import composite_totals, write_table, zonal
from nightcore.zones import Coverage, coverage, read_zones

if TYPE_CHECKING:
    import pandas as pd

    from nightcore.calibration import Calibration

FORMULA = "gini ~ forward + backward + openness"
MARKER = "made-by-nightcore-demo"


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Attributes
    ----------
    summary : dict
        Seed, seconds, NDI, and each coefficient planted and recovered with its interval; goes to --json.
    text : str
        The same for people, with the regression table.
    report : Path
    """

    summary: dict[str, Any]
    text: str
    report: Path


def demo(folder: str | Path, seed: int = 7, say: Callable[[str], None] = lambda sentence: None) -> Demo:
    """Run everything in `folder`, which is made anew.

    Raises
    ------
    BadInputError
        When `folder` holds something that this demo did not write.
    """
    from nightcore.report import demo_report, require_extra

    require_extra()
    if seed < 0:
        raise UsageError(f"seed is {seed}: expected 0 or more.")
    folder = Path(folder)
    fresh(folder)
    began = time.monotonic()

    def step(what: str) -> None:
        say(f"{time.monotonic() - began:5.1f} s  {what}")

    step(f"a world of 16 provinces and 34 composites (seed {seed})")
    world = simulate(seed, folder / "world")
    step("ingest: 34 GeoTIFFs -> one store")
    store = ingest(list(world.composites.values()), folder / "lights.zarr", say=say)
    step("calibrate: a power function for each composite, fitted in the invariant site")
    fitted = fit_calibration("cao2015", store, region=world.site, reference=world.radcal)
    fitted.save(folder / "coefficients.csv")
    step("zonal: light of every city in every year")
    cover = coverage(world.zones, store, id="code", keep=["province"])
    city = zonal(store, cover, fitted)
    write_table(city, folder / "city_lights.csv")
    raw = calibration("raw")
    board = compare(store, [raw, "elvidge2014", fitted], cover)
    board.to_csv(folder / "compare.csv", index=False)
    step("econ: inequality within provinces, panel, two-way fixed effects")
    estimates = run_econ(folder, world)
    step("report")
    coefficients = recovered(estimates[0], world.coefficients)
    report = demo_report(folder / "report.html", evidence(world, store, fitted, cover, board, estimates, coefficients))
    summary = {
        "seed": seed,
        "report": str(report),
        "seconds": round(time.monotonic() - began, 1),
        "ndi": dict(zip(board["method"], board["ndi"].round(4), strict=True)),
        "coefficients": coefficients,
        "recovered": all(row["inside"] for row in coefficients),
    }
    step("done")
    return Demo(summary, in_words(summary, (folder / "regression.txt").read_text(encoding="utf-8")), report)


def fresh(folder: Path) -> None:
    """An empty folder; one that an earlier demo wrote is emptied, anything else is left alone."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).exists())):
        raise BadInputError(f"{folder} exists and was not written by this demo: choose another folder with --out.")
    if folder.exists():
        for path in folder.iterdir():  # the folder itself may be where the user stands
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("nightcore demo empties this folder when it runs again.\n", encoding="utf-8")


def run_econ(folder: Path, world: World) -> list[dict[str, Any]]:
    """The econometric half, as the commands a user would give; returns the estimates that it wrote as JSON."""
    controls = folder / "controls.csv"
    world.panel.drop(columns=["gini_true", "shock"]).to_csv(controls, index=False, lineterminator="\n")
    regress = ["regress", "panel.csv", FORMULA, "--effects", "twoway", "--cov", "classical", "cluster"]
    outputs = ["regression.txt", "regression.tex", "regression.html", "regression.json"]
    for arguments in (
        ["inequality", "city_lights.csv", "--by", "province", "--value", "mean", "--out", "inequality.csv"],
        ["panel", "inequality.csv", "controls.csv", "--out", "panel.csv"],
        [*regress, "--cluster", "province", "--out", *outputs],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "econ.cli", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            what = " ".join(["econ", *arguments])
            raise (ResourceError if done.returncode == ResourceError.exit_code else NightcoreError)(
                f"`{what}` ended with exit code {done.returncode}: {done.stderr.strip()}"
            )
    return json.loads((folder / "regression.json").read_text(encoding="utf-8"))


def recovered(estimate: dict[str, Any], planted: dict[str, float]) -> list[dict[str, Any]]:
    """Planted coefficients beside estimates and their 95 % intervals."""
    rows = []
    for name, truth in planted.items():
        found = estimate["coefficients"][name]
        rows.append(
            {
                "name": name,
                "planted": truth,
                "estimate": found["coef"],
                "std_error": found["se"],
                "low": found["lower"],
                "high": found["upper"],
                "inside": bool(found["lower"] <= truth <= found["upper"]),
            }
        )
    return rows


def in_words(summary: dict[str, Any], table: str) -> str:
    """The end of the demo on a terminal."""
    lines = [table, "planted coefficients and the 95 % intervals found from the lights (classical errors):"]
    lines += [
        f"  {row['name']:<10} planted {row['planted']:+.3f}  found {row['estimate']:+.3f}  "
        f"[{row['low']:+.3f}, {row['high']:+.3f}]  {'inside' if row['inside'] else 'OUTSIDE the interval'}"
        for row in summary["coefficients"]
    ]
    if not summary["recovered"]:
        lines.append("not every planted coefficient lies in its interval; of 20 intervals one is expected to miss.")
    ndi = ", ".join(f"{name} {value:.4f}" for name, value in summary["ndi"].items())
    lines += [f"NDI of overlapping years (0 is best): {ndi}", f"{summary['seconds']} s, report: {summary['report']}"]
    return "\n".join(lines)


# --- what the report shows ----------------------------------------------------------------------------------------


def evidence(
    world: World,
    store: Store,
    fitted: Calibration,
    cover: Coverage,
    board: pd.DataFrame,
    estimates: list[dict[str, Any]],
    coefficients: list[dict[str, Any]],
) -> dict[str, Any]:
    """Figures, tables and provenance of the report."""
    import pandas as pd

    from nightcore import plots

    folder = store.path.parent
    raw = calibration("raw")
    year = int(world.panel["year"].max())
    images = {
        f"{title}, {year}": annual_lights(store, method).sel(year=year).values
        for title, method in (("before: DN as delivered", raw), ("after: calibrated", fitted))
    }
    outlines, _ = read_zones(world.provinces, None, (), reproject=False, make_valid=False)
    totals = {}
    for title, method in (("before: DN as delivered", raw), ("after: calibrated (cao2015)", fitted)):
        names, sums = composite_totals(store, cover, method)
        totals[title] = (names, sums.sum(axis=0))
    inequality = pd.read_csv(folder / "inequality.csv")
    truth = world.panel.rename(columns={"gini_true": "gini"})[["province", "year", "gini"]]
    true_curves = {
        row.composite: row.a * np.arange(256.0) ** row.b for row in world.curves.itertuples() if row.composite in fitted
    }
    column = {key: np.array([row[key] for row in coefficients]) for key in ("estimate", "low", "high", "planted")}
    figures = {
        "maps": plots.light_maps(images, store.grid.bounds, outlines),
        "totals": plots.total_light(totals),
        "curves": plots.curves({name: fitted.curve(name) for name in fitted.composites}, true_curves),
        "gini": plots.small_multiples(inequality, "province", "gini", truth, label="Gini"),
        "coefficients": plots.intervals(
            [row["name"] for row in coefficients], column["estimate"], column["low"], column["high"], column["planted"]
        ),
    }
    provenance = json.loads((folder / "city_lights.csv.provenance.json").read_text(encoding="utf-8"))
    reasons = inequality[inequality["gini"].isna()].groupby("reason")["province"].unique()
    return {
        "year": year,
        "figures": figures,
        "board": board,
        "regression_html": (folder / "regression.html").read_text(encoding="utf-8"),
        "coefficients": coefficients,
        "recovered": all(row["inside"] for row in coefficients),
        "estimate": estimates[0],
        "undefined": {reason: ", ".join(names) for reason, names in reasons.items()},
        "n_gini": int(inequality["gini"].notna().sum()),
        "fit": fitted.report,
        "provenance": provenance,
        "manifest": {"file": MANIFEST, "sha256": store.hash},
        "composites": store.details,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    from importlib.metadata import version
    from platform import platform, python_version

    packages = ("numpy", "numba", "zarr", "xarray", "dask", "rasterio", "shapely", "pandas", "linearmodels")
    return {
        "nightcore": __version__,
        "Python": python_version(),
        **{name: version(name) for name in packages},
        "platform": platform(),
    }
