"""The command line: results on stdout, everything else on stderr, exit codes as documented in docs/exit-codes.md."""

from __future__ import annotations

import argparse
import errno
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcore import __version__
from nightcore.errors import InterruptedRunError, NightcoreError, ResourceError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from nightcore.store import Store
    from nightcore.zones import Coverage


def say(sentence: str) -> None:
    print(f"nightcore: {sentence}", file=sys.stderr, flush=True)


class Progress:
    """One line on stderr: share done, rate and remaining time; only where a person is looking."""

    def __init__(self, what: str, every: float = 0.2):
        self.what, self.every = what, every
        self.began = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self.live or (done < total and now - self.shown < self.every):
            return
        self.shown = now
        left = (now - self.began) / done * (total - done)
        end = "\n" if done == total else ""
        print(f"\r{self.what}: {done}/{total} tiles, {left:.0f} s left ", end=end, file=sys.stderr, flush=True)


def show(result: dict[str, Any] | pd.DataFrame, as_json: bool, text: str) -> None:
    """Print a result, for people or for programs."""
    if not as_json:
        print(text)
    elif isinstance(result, dict):
        print(json.dumps(result, indent=1))
    else:
        print(result.to_json(orient="records", indent=1))


# --- commands -----------------------------------------------------------------------------------------------------


def box(text: str) -> tuple[float, float, float, float]:
    from nightcore.grid import check_box

    return check_box(text.split(","))


def add_demo(steps) -> None:
    step = command(
        steps,
        "demo",
        "a generated world from GeoTIFFs to a regression table and a report",
        "nightcore demo --out demo",
    )
    step.add_argument("--out", type=Path, default=Path("demo"), help="folder of the report and of all files made")
    step.add_argument("--seed", type=int, default=7, help="another seed is another world")
    step.set_defaults(run=run_demo)


def run_demo(args) -> None:
    from nightcore.demo import demo

    result = demo(args.out, args.seed, say)
    show(result.summary, args.json, result.text)


def add_ingest(steps) -> None:
    step = command(
        steps,
        "ingest",
        "GeoTIFFs, .tif.gz, .tar, .tgz or folders of them -> one store",
        "nightcore ingest downloads/ zarr_store/lights.zarr --bbox 18.5,33.8,30.4,43.3",
    )
    step.add_argument("sources", type=Path, nargs="*", help="files, archives and folders; none with --catalog")
    step.add_argument("store", type=Path, help="folder to write, e.g. zarr_store/lights.zarr")
    step.add_argument("--catalog", type=Path, help="CSV of path,satellite,year for files with other names")
    step.add_argument("--bbox", type=box, metavar="W,S,E,N", help="keep only cells that touch this box [degrees]")
    step.add_argument("--allow-missing", action="store_true", help="accept fewer than all 34 composites")
    step.add_argument("--overwrite", action="store_true", help="replace a finished store")
    step.add_argument("--threads", type=int, help="default: all processors")
    step.set_defaults(run=run_ingest)


def run_ingest(args) -> None:
    from nightcore.ingest import ingest

    if not args.sources and args.catalog is None:
        raise UsageError(f"only {args.store} was given: expected sources, then the store to write.")
    store = ingest(
        args.sources,
        args.store,
        catalog=args.catalog,
        bbox=args.bbox,
        allow_missing=args.allow_missing,
        overwrite=args.overwrite,
        threads=args.threads,
        progress=Progress("ingest"),
        say=say,
    )
    show(
        {"store": str(store.path), "composites": list(store.composites), "sha256": store.hash},
        args.json,
        f"{store.path}: {len(store.composites)} composites on {store.grid}",
    )


def add_info(steps) -> None:
    step = command(steps, "info", "what is inside a store", "nightcore info zarr_store/lights.zarr")
    step.add_argument("store", type=Path)
    step.set_defaults(run=run_info)


def run_info(args) -> None:
    from dataclasses import asdict

    from nightcore.store import Store

    store = Store(args.store)
    packed = sum(size for size, _ in store.manifest["files"].values())
    cells = store.grid.width * store.grid.height
    lines = [
        f"{store.path}",
        f"  sensor      {store.sensor.name} {store.sensor.variable}, "
        f"DN {store.sensor.valid[0]}..{store.sensor.valid[1]}, {store.sensor.nodata} = never observed",
        f"  grid        {store.grid}",
        f"  chunks      {len(store.tiles())} tiles of all composites, {packed / 1e6:.1f} MB "
        f"({cells * len(store.composites) / 1e6:.1f} MB of pixels)",
        f"  written by  nightcore {store.manifest['nightcore']}, sha256 {store.hash[:16]}",
        f"  composites  {len(store.composites)}",
    ]
    for c in store.details:
        shift = f"  shifted by {c.dx:+.3g}, {c.dy:+.3g} cells" if c.dx or c.dy else ""
        lines.append(f"    {c.name}  {c.source}  {c.size:,} bytes  sha256 {c.sha256[:12]}{shift}")
    result = {
        "store": str(store.path),
        "sensor": store.sensor.name,
        "grid": asdict(store.grid),
        "bytes": packed,
        "sha256": store.hash,
        "composites": [asdict(c) for c in store.details],
    }
    show(result, args.json, "\n".join(lines))


def add_verify(steps) -> None:
    step = command(steps, "verify", "compare a store with its manifest", "nightcore verify zarr_store/lights.zarr")
    step.add_argument("store", type=Path)
    step.add_argument("--fast", action="store_true", help="sizes only, not hashes")
    step.set_defaults(run=run_verify)


def run_verify(args) -> None:
    from nightcore.errors import IntegrityError
    from nightcore.store import Store

    store = Store(args.store)
    bad = store.verify(full=not args.fast)
    files = len(store.manifest["files"])
    how = "sizes" if args.fast else "hashes"
    show(
        {"store": str(store.path), "files": files, "damaged": bad},
        args.json,
        "\n".join(bad) or f"{files} files: {how} agree",
    )
    if bad:
        raise IntegrityError(f"{store.path}: {len(bad)} of {files} files are damaged; ingest the sources again.")


def add_methods(steps) -> None:
    step = command(steps, "methods", "the published calibrations, with citation", "nightcore methods")
    step.set_defaults(run=run_methods)


def run_methods(args) -> None:
    from nightcore.calibration import METHODS

    rows = [
        {"method": method.name, "composites": len(method.coefficients), "doi": method.doi, "title": method.title}
        for method in METHODS.values()
    ]
    lines = [f"{row['method']:<12} {row['composites'] or 'all':>3} composites  {row['title']}" for row in rows]
    text = "\n".join(
        line + (f"  doi:{row['doi']}" if row["doi"] else "") for line, row in zip(lines, rows, strict=True)
    )
    show({"methods": rows}, args.json, text)


def add_calibrate(steps) -> None:
    step = command(
        steps,
        "calibrate",
        "fit coefficients for every composite in a region",
        "nightcore calibrate lights.zarr --region site.gpkg --reference F16_20051128-20061224_rad_v4.avg_vis.tif",
    )
    step.add_argument("store", type=Path)
    step.add_argument("--form", default="cao2015", help="cao2015: DN' = a DN**b (default)")
    step.add_argument("--region", type=Path, required=True, help="polygons of the invariant region")
    step.add_argument("--reference", type=Path, required=True, help="radiance-calibrated GeoTIFF on the same grid")
    step.add_argument("--estimator", default="loglog", help="loglog (default) or nls")
    step.add_argument("--saturated", default="drop", help="drop (default) or keep cells at the 6-bit ceiling")
    step.add_argument("--out", type=Path, default=Path("coefficients.csv"), help="accepted by zonal, lights, compare")
    step.set_defaults(run=run_calibrate)


def run_calibrate(args) -> None:
    from nightcore.calibration import fit_calibration
    from nightcore.calibration._method import check_file_path

    check_file_path(args.out)
    fitted = fit_calibration(
        args.form,
        args.store,
        region=args.region,
        reference=args.reference,
        estimator=args.estimator,
        saturated=args.saturated,
        say=say,
    )
    fitted.save(args.out)
    say(f"wrote {args.out}")
    show(fitted.report, args.json, fitted.report.to_string(index=False))


def add_lights(steps) -> None:
    step = command(
        steps,
        "lights",
        "write annual rasters, as Zarr or one GeoTIFF a year",
        "nightcore lights lights.zarr --calibration elvidge2014 --out annual.zarr",
    )
    add_recipe(step)
    step.add_argument("--bbox", type=box, metavar="W,S,E,N", help="only cells that touch this box [degrees]")
    step.add_argument("--out", type=Path, required=True, help="NAME.zarr, or a folder for GeoTIFFs")
    step.set_defaults(run=run_lights)


def run_lights(args) -> None:
    from nightcore.lights import annual_lights, write_lights

    cube = annual_lights(args.store, args.calibration, args.merge, args.continuity, args.bbox, args.missing)
    tell_dropped(json.loads(cube.attrs["nightcore"]))
    write_lights(cube, args.out)
    show({"lights": str(args.out), "shape": list(cube.shape)}, args.json, f"{args.out}: {cube.sizes['year']} years")


def add_coverage(steps) -> None:
    step = command(
        steps,
        "coverage",
        "which cells each zone covers, and how much of each, kept for later runs",
        "nightcore coverage cities.gpkg lights.zarr --id code --keep province --out cities.npz",
    )
    step.add_argument("zones", type=Path, help="polygon file in EPSG:4326")
    step.add_argument("grid", type=Path, metavar="GRID_OR_STORE", help="a store, or a GeoTIFF with the grid's cells")
    add_polygons(step)
    step.add_argument("--keep", nargs="+", default=[], metavar="COLUMN", help="columns of the zones to carry along")
    step.add_argument("--refresh", action="store_true", help="make it again where --out belongs to something else")
    step.add_argument("--threads", type=int, help="default: all processors; the weights do not depend on it")
    step.add_argument("--out", type=Path, required=True, help="NAME.npz, accepted by --zones; reused when it is there")
    step.set_defaults(run=run_coverage)


def run_coverage(args) -> None:
    from nightcore.coverage_file import check_coverage_path
    from nightcore.zones import coverage

    check_coverage_path(args.out)
    cover = coverage(
        args.zones,
        args.grid,
        args.id,
        args.rule or "exact",
        args.keep,
        args.reproject,
        args.make_valid,
        cache=args.out,
        refresh=args.refresh,
        threads=args.threads,
    )
    tell_zones(cover)
    whole, parts = int((cover.runs.stop - cover.runs.start).sum()), len(cover.edges)
    result = {
        "coverage": str(args.out),
        "zones": len(cover),
        "rule": cover.rule,
        "whole_cells": whole,
        "parts_of_cells": parts,
        "area_km2": float(cover.area().sum()),
        "cut_by_the_grid": list(cover.cut()),
        "empty": {str(id): reason for id, reason in cover.reasons.items()},
        "warnings": list(cover.warnings),
        "sha256": cover.hash,
    }
    show(
        result,
        args.json,
        f"{args.out}: {len(cover)} zones by rule {cover.rule}, {whole} whole cells and {parts} parts of cells, "
        f"{result['area_km2']:.6g} km2",
    )


def add_nesting(steps) -> None:
    step = command(
        steps,
        "nesting",
        "do children make up their parents: overlaps and gaps",
        "nightcore nesting cities.npz provinces.npz --parent province",
    )
    step.add_argument("children", type=Path, help="a file of `nightcore coverage`, or polygons with --grid")
    step.add_argument("parents", type=Path, help="the same of their parents")
    step.add_argument("--parent", required=True, metavar="COLUMN", help="column of the children that names the parent")
    step.add_argument("--grid", type=Path, metavar="GRID_OR_STORE", help="where polygons are laid on")
    add_polygons(step)
    step.add_argument("--parent-id", help="column of unique ids of the parents; default: the name given to --parent")
    step.add_argument("--tolerance", type=float, help="largest difference allowed, as a share of a cell; default 1e-6")
    step.set_defaults(run=run_nesting)


def run_nesting(args) -> None:
    from nightcore.nesting import TOLERANCE, check_nesting, refuse_beyond

    children = cover_of(args, args.children, args.grid, args.id, [args.parent])
    parents = cover_of(args, args.parents, args.grid, args.parent_id or args.parent, [])
    table = check_nesting(children, parents, args.parent)
    show(table, args.json, table.to_string(index=False))
    refuse_beyond(table, TOLERANCE if args.tolerance is None else args.tolerance)


def add_zonal(steps) -> None:
    step = command(
        steps,
        "zonal",
        "light of every zone in every year",
        "nightcore zonal lights.zarr --zones cities.gpkg --id code --keep province --calibration elvidge2014 "
        "--out city_lights.csv",
    )
    add_recipe(step)
    add_zones(step)
    step.add_argument("--keep", nargs="+", default=[], metavar="COLUMN", help="columns of the zones to carry along")
    step.add_argument("--threads", type=int, help="default: all processors; the table does not depend on it")
    step.add_argument("--out", type=Path, help="city_lights.csv or .parquet; without it the table is printed as CSV")
    step.set_defaults(run=run_zonal)


def run_zonal(args) -> None:
    from nightcore.store import Store
    from nightcore.zonal import check_table_path, write_table, zonal

    if args.out is not None:
        check_table_path(args.out)
    store = Store(args.store)
    cover = cover_of(args, args.zones, store, args.id, args.keep)
    tell_zones(cover)
    table = zonal(
        store,
        cover,
        args.calibration,
        args.merge,
        args.continuity,
        args.missing,
        args.threads,
        Progress("zonal"),
    )
    tell_dropped(table.attrs["provenance"])
    if cover.cut():
        names = ", ".join(map(str, cover.cut()[:5])) + (" ..." if len(cover.cut()) > 5 else "")
        say(f"the grid's edge cuts {len(cover.cut())} zones ({names}): what lies beyond it counts as missing_share")
    if args.out is None:
        show(table, args.json, table.to_csv(index=False).rstrip())
        return
    write_table(table, args.out)
    years = table["year"]
    show(
        {"table": str(args.out), "rows": len(table), "zones": len(cover)},
        args.json,
        f"{args.out}: {len(cover)} zones x {years.nunique()} years ({years.min()}-{years.max()})",
    )


def add_compare(steps) -> None:
    step = command(
        steps,
        "compare",
        "how well two satellites of one year agree under each calibration (NDI)",
        "nightcore compare lights.zarr --methods raw elvidge2014 wu2013",
    )
    step.add_argument("store", type=Path)
    step.add_argument("--methods", nargs="+", required=True, help="names of methods, or files of fitted ones")
    add_zones(step, required=False)
    step.set_defaults(run=run_compare)


def run_compare(args) -> None:
    from nightcore.compare import compare
    from nightcore.store import Store

    store = Store(args.store)
    cover = None
    if args.zones is not None:
        cover = cover_of(args, args.zones, store, args.id, [])
        tell_zones(cover)
    board = compare(store, args.methods, cover)
    show(board, args.json, board.to_string(index=False, float_format="{:.4f}".format))


# --- shared options -----------------------------------------------------------------------------------------------


def add_recipe(step) -> None:
    step.add_argument("store", type=Path)
    step.add_argument("--calibration", required=True, help="a name from `nightcore methods`, or a file of `calibrate`")
    step.add_argument("--merge", default="mean", help="two satellites of a year: mean (default), either_zero, ...")
    step.add_argument("--continuity", default="none", help="between years: none (default), sequential, fixpoint, ...")
    step.add_argument(
        "--missing",
        default="raise",
        choices=("raise", "drop"),
        help="composites without coefficients: an error (default), or left out",
    )


def add_zones(step, required: bool = True) -> None:
    otherwise = "" if required else "; without it all cells of the store count"
    what = f"polygon file in EPSG:4326, or a .npz of `nightcore coverage`{otherwise}"
    step.add_argument("--zones", type=Path, required=required, help=what)
    add_polygons(step)


def add_polygons(step) -> None:
    step.add_argument("--id", help="column of unique zone ids; without it zones are numbered from 0")
    step.add_argument("--rule", help="exact (share of each cell, default) or centre (as GDAL)")
    step.add_argument("--reproject", action="store_true", help="bring polygons of another CRS to EPSG:4326")
    step.add_argument("--make-valid", action="store_true", help="repair polygons that cross themselves")


def cover_of(args, zones: Path, grid: Store | Path | None, id: str | None, keep: list[str]) -> Coverage:
    """The coverage in a .npz, or that of a polygon file."""
    from nightcore.coverage_file import load_coverage
    from nightcore.zones import coverage

    if zones.suffix != ".npz":
        if grid is None:
            raise UsageError(f"{zones} is no .npz of `nightcore coverage`: give the cells of its polygons with --grid.")
        return coverage(zones, grid, id, args.rule or "exact", keep, args.reproject, args.make_valid)
    given = {"--id": args.id, "--rule": args.rule, "--reproject": args.reproject, "--make-valid": args.make_valid}
    given["--keep"] = getattr(args, "keep", None)
    fixed = [option for option, value in given.items() if value]
    if fixed:
        raise UsageError(f"{zones} was made already: give {' and '.join(fixed)} to `nightcore coverage` instead.")
    return load_coverage(zones)


def tell_zones(cover: Coverage) -> None:
    for warning in cover.warnings:
        say(warning)
    for why in sorted(set(cover.reasons.values())):
        names = [str(id) for id, reason in cover.reasons.items() if reason == why]
        say(f"no cell is covered by {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}: {why}")


def tell_dropped(provenance: dict[str, Any]) -> None:
    if provenance["dropped"]:
        names = ", ".join(provenance["dropped"])
        say(f"left out, because {provenance['calibration']['name']} has no coefficients for them: {names}")


def command(steps, name: str, what: str, example: str) -> argparse.ArgumentParser:
    step = steps.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".", epilog=f"example: {example}")
    step.add_argument("--json", action="store_true", help="print the result as JSON")
    return step


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="nightcore",
        description="Night-time lights from annual composites to city means.",
        epilog="example: nightcore demo --out demo",
    )
    top.add_argument("--version", action="version", version=f"nightcore {__version__}")
    steps = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        add_demo,
        add_ingest,
        add_info,
        add_verify,
        add_methods,
        add_calibrate,
        add_lights,
        add_coverage,
        add_nesting,
        add_zonal,
        add_compare,
    ):
        add(steps)
    return top


def join_boxes(argv: list[str]) -> list[str]:
    """`--bbox -74,40,-73,41` as one word: argparse takes a word that begins with a minus for an option."""
    joined, words = [], iter(argv)
    for word in words:
        following = next(words, None) if word == "--bbox" else None
        joined.append(word if following is None else f"{word}={following}")
    return joined


def interrupt(number: int, frame: Any) -> None:
    """SIGTERM, as batch systems send it, stops a run as Ctrl-C does."""
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code; what a user can put right is one sentence, never a traceback."""
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        args = parser().parse_args(join_boxes(sys.argv[1:] if argv is None else argv))
        args.run(args)
    except NightcoreError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("stopped; nothing unfinished was published, run the same command again")
        return InterruptedRunError.exit_code
    except MemoryError:
        say("memory is exhausted: use a smaller window (--bbox) or fewer threads")
        return ResourceError.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away, as `head` does
        return 0
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            say(f"no space left for {error.filename or 'what has to be written'}: free space or choose another disk")
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
            say(f"cannot open {error.filename} ({error.strerror}): check the path and its permissions")
        else:
            raise
        return ResourceError.exit_code
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
