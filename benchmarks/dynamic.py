"""Which dynamic panel estimator to trust, and what it costs: python benchmarks/dynamic.py [--quick] [--out FILE].

Panels with a planted coefficient of the lagged variable are drawn again and again: fixed effects, difference and
system GMM estimate it, and tests whose nulls are true are counted where they reject.  Then the time of GMM and of
random-effects Tobit, beside R's plm where R is there.  A Markdown page goes to stdout; without --quick also to
benchmarks/dynamic.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# experiments run side by side in processes, and small matrices gain nothing from threads that wait for each other
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy import special

import econ
from econ.estimators.dynamic import Options, fit
from econ.estimators.dynamic_moments import GmmStyle, build
from econ.estimators.granger import half_panel_jackknife, unit_walds, zbar, zbar_tilde

HERE = Path(__file__).parent
SEED = 2021
BETA = 0.5
LEVEL = 0.05
NORMAL = 1.959964
TESTS = ("AR(2)", "Hansen")
CAUSALITY = ("DH Z-bar", "DH Z-bar tilde", "half-panel jackknife", "the same, units resampled", "GMM (HNR)")


@dataclass(frozen=True)
class Design:
    """`rho` of the lagged variable, N units, T periods."""

    rho: float
    units: int
    periods: int


@dataclass(frozen=True)
class Size:
    replications: int
    draws: int
    designs: tuple[Design, ...]
    pairs: int
    tobit: tuple[int, int]


def designs(rhos: tuple[float, ...], shapes: tuple[tuple[int, int], ...]) -> tuple[Design, ...]:
    return tuple(Design(rho, *shape) for shape in shapes for rho in rhos)


FULL = Size(
    500, 199, designs((0.2, 0.5, 0.8, 0.95), ((26, 7), (26, 14), (50, 7), (50, 14), (140, 7), (140, 14))), 7, (1900, 10)
)
QUICK = Size(8, 19, designs((0.5,), ((26, 7), (26, 14))), 1, (60, 5))


# --- panels -----------------------------------------------------------------------------------------------------------


def drawn(design: Design, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, x, z (N, T): y on its lag and on x, which follows y's past errors and the effects; z does not move y."""
    burn = 100
    shape = (design.units, burn + design.periods)
    e, u, v, a = rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=design.units)
    y, x, z = (np.zeros(shape) for _ in range(3))
    for t in range(1, shape[1]):
        x[:, t] = 0.5 * x[:, t - 1] + 0.2 * e[:, t - 1] + 0.3 * a + u[:, t]
        z[:, t] = 0.5 * z[:, t - 1] + 0.3 * a + v[:, t]
        y[:, t] = design.rho * y[:, t - 1] + BETA * x[:, t] + (1 - design.rho) * a + e[:, t]
    return y[:, burn:], x[:, burn:], z[:, burn:]


def with_lag(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    lag = np.full_like(y, np.nan)
    lag[:, 1:] = y[:, :-1]
    return np.stack([lag, x], axis=2)


# --- estimators -------------------------------------------------------------------------------------------------------


def within(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Fixed effects, errors clustered by unit (CR1)."""
    X, v = with_lag(y, x)[:, 1:], y[:, 1:]
    X, v = X - X.mean(axis=1, keepdims=True), v - v.mean(axis=1, keepdims=True)
    bread = np.linalg.inv(np.einsum("ntk,ntl->kl", X, X))
    b = bread @ np.einsum("ntk,nt->k", X, v)
    scores = np.einsum("ntk,nt->nk", X, v - X @ b)
    n, groups = v.size, len(y)
    factor = groups / (groups - 1) * (n - 1) / (n - 3)
    return b, np.sqrt(factor * np.diag(bread @ scores.T @ scores @ bread)), {}


def gmm(
    y: np.ndarray, x: np.ndarray, *, system: bool, steps: int = 2, last: int | None = 4, collapse: bool = True
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    styles = [GmmStyle("y", y, 2, last, collapse), GmmStyle("x", x, 1, None if last is None else last - 1, collapse)]
    moments = build(y, with_lag(y, x), ["L1.y", "x"], styles, [], system=system, constant="one" if system else None)
    found = fit(moments, Options(steps=steps))
    tests = {"AR(2)": found.serial[2].pvalue, "Hansen": found.hansen.pvalue}
    return found.b[:2], np.sqrt(np.diag(found.V))[:2], tests


ESTIMATORS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray, dict[str, float]]]] = {
    "fixed effects": within,
    "difference, two steps": partial(gmm, system=False),
    "system, one step": partial(gmm, system=True, steps=1),
    "system, two steps": partial(gmm, system=True),
    "system, all lags, not collapsed": partial(gmm, system=True, last=None, collapse=False),
}


def causality(y: np.ndarray, z: np.ndarray, draws: int, seed: int) -> dict[str, float]:
    """p-values of tests that z causes y, which it does not; NaN where a test refuses the panel."""
    found = dict.fromkeys(CAUSALITY, float("nan"))
    if y.shape[1] > 8:  # T > 5 + 3K
        walds, rows = unit_walds(y, z, 1)
        for name, value in (("DH Z-bar", zbar(walds, 1)), ("DH Z-bar tilde", zbar_tilde(walds, rows, 1))):
            found[name] = 2 * special.ndtr(-abs(value))
    for name, resamples in (("half-panel jackknife", 0), ("the same, units resampled", draws)):
        try:
            fitted = half_panel_jackknife(y, z[:, :, None], 1, draws=resamples, seed=seed)
        except econ.EstimationError:
            continue
        found[name] = special.chdtrc(1, fitted.b[0] ** 2 / fitted.V[0, 0])
    lagged = np.full_like(z, np.nan)
    lagged[:, 1:] = z[:, :-1]
    styles = [GmmStyle(name, values, 2, 4, True) for name, values in (("y", y), ("z", z))]
    fitted = fit(build(y, with_lag(y, lagged), ["L1.y", "L1.z"], styles, [], system=False), Options(steps=2))
    found["GMM (HNR)"] = special.chdtrc(1, fitted.b[1] ** 2 / fitted.V[1, 1])
    return found


@dataclass(frozen=True, eq=False)
class Found:
    """Over the replications: estimates (R, 2), standard errors (R, 2), and p-values by name."""

    b: dict[str, np.ndarray]
    se: dict[str, np.ndarray]
    p: dict[tuple[str, str], np.ndarray]
    causes: dict[str, np.ndarray]


def experiment(design: Design, replications: int, draws: int) -> Found:
    rng = np.random.default_rng([SEED, design.units, design.periods, round(100 * design.rho)])
    b = {name: np.full((replications, 2), np.nan) for name in ESTIMATORS}
    se = {name: np.full((replications, 2), np.nan) for name in ESTIMATORS}
    p = {(name, test): np.full(replications, np.nan) for name in ESTIMATORS for test in TESTS}
    causes = {name: np.full(replications, np.nan) for name in CAUSALITY}
    for r in range(replications):
        y, x, z = drawn(design, rng)
        for name, run in ESTIMATORS.items():
            b[name][r], se[name][r], tests = run(y, x)
            for test, value in tests.items():
                p[name, test][r] = value
        # without x among the causes y is on its own lag alone
        for name, value in causality(drawn_alone(design, rng), z, draws, r).items():
            causes[name][r] = value
    return Found(b, se, p, causes)


def drawn_alone(design: Design, rng: np.random.Generator) -> np.ndarray:
    """y (N, T) on its own lag."""
    burn = 100
    e, a = rng.normal(size=(design.units, burn + design.periods)), rng.normal(size=design.units)
    y = np.zeros_like(e)
    for t in range(1, y.shape[1]):
        y[:, t] = design.rho * y[:, t - 1] + (1 - design.rho) * a + e[:, t]
    return y[:, burn:]


# --- the page ---------------------------------------------------------------------------------------------------------


def share(p: np.ndarray) -> str:
    known = p[np.isfinite(p)]
    return f"{100 * (known < LEVEL).mean():.1f}" if known.size else "refused"


def honesty(size: Size) -> Iterator[str]:
    workers = min(os.cpu_count() or 1, len(size.designs))
    with ProcessPoolExecutor(workers) as pool:
        run = partial(experiment, replications=size.replications, draws=size.draws)
        results = dict(zip(size.designs, pool.map(run, size.designs), strict=True))
    yield "## Which estimator to trust\n"
    yield (
        f"y on its lag (coefficient rho) and on a predetermined x (0.5); {size.replications:,} panels a design. Bias "
        f"and standard deviation of rho and of x's coefficient; mean standard error over that deviation (1 is right); "
        f"how often 95 % intervals hold the truth; per cent of 5 % tests that reject, whose nulls are true. Lags 2 to "
        f"4 of y and 1 to 3 of x, collapsed, but for the last; two steps with Windmeijer's correction.\n"
    )
    columns = [f"{what} {name}" for name in ("rho", "x") for what in ("bias", "sd", "se/sd", "covers")]
    yield f"| N x T | rho | estimator | {' | '.join([*columns, *TESTS])} |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for design, found in results.items():
        for name in ESTIMATORS:
            cells = []
            for j, truth in enumerate((design.rho, BETA)):
                b, se = found.b[name][:, j], found.se[name][:, j]
                covers = np.abs(b - truth) < NORMAL * se
                cells += [
                    f"{b.mean() - truth:+.3f}",
                    f"{b.std():.3f}",
                    f"{se.mean() / b.std():.2f}",
                    f"{100 * covers.mean():.1f}",
                ]
            cells += ["" if name == "fixed effects" else share(found.p[name, test]) for test in TESTS]
            yield f"| {design.units} x {design.periods} | {design.rho:g} | {name} | {' | '.join(cells)} |"
    yield "\n## Granger tests of a cause that is none\n"
    yield (
        f"Per cent of 5 % tests that reject; y on its own lag with coefficient rho, one lag in the test; "
        f"{size.replications:,} panels. Dumitrescu and Hurlin's test (DH) needs T > 8 with one lag.\n"
    )
    yield f"| N x T | rho | {' | '.join(CAUSALITY)} |"
    yield f"|---|---|{'---|' * len(CAUSALITY)}"
    for design, found in results.items():
        cells = " | ".join(share(found.causes[name]) for name in CAUSALITY)
        yield f"| {design.units} x {design.periods} | {design.rho:g} | {cells} |"


def panel(units: int, periods: int) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    y, x, z = drawn(Design(0.5, units, periods), rng)
    i, t = (axis.ravel() for axis in np.indices(y.shape))
    return pd.DataFrame({"id": i, "year": 2000 + t, "y": y.ravel(), "x": x.ravel(), "z": z.ravel()})


def timed(run: Callable[[], object], pairs: int) -> float:
    run()
    seconds = []
    for _ in range(pairs):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


R_SCRIPT = """
suppressMessages(library(plm))
d <- pdata.frame(read.csv(commandArgs(TRUE)[1]), index = c("id", "year"))
run <- function() pgmm(y ~ lag(y, 1) + x | lag(y, 2:99) + lag(x, 1:99), data = d, effect = "individual",
                       model = "twosteps", transformation = "d", collapse = FALSE)
invisible(run())
s <- sapply(1:{pairs}, function(i) system.time(run())["elapsed"])
cat(median(s), coef(run()), sep = " ")
"""


def by_plm(data: pd.DataFrame, pairs: int) -> tuple[float, np.ndarray] | None:
    """Seconds and coefficients of plm's two-step difference GMM, None without R or plm."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "panel.csv", Path(folder) / "run.R"
        data.to_csv(table, index=False)
        script.write_text(R_SCRIPT.replace("{pairs}", str(pairs)), encoding="utf-8")
        done = subprocess.run(["Rscript", str(script), str(table)], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    seconds, *b = map(float, done.stdout.split())
    return seconds, np.array(b)


def speed(size: Size) -> Iterator[str]:
    yield "## Speed\n"
    yield "Median of repeated calls of `econ.fit` in one process, table and formula included.\n"
    yield "| work | seconds | asked | beside |"
    yield "|---|---|---|---|"
    keys = {"entity": "id", "time": "year"}
    small, large = panel(30, 14), panel(140, 9)
    every = {"y": (2, None), "x": (1, None)}
    collapsed = partial(econ.fit, small, "y ~ L.y + x", "gmm", gmm=every, collapse=True, **keys)
    est = collapsed()
    seconds = timed(collapsed, size.pairs)
    yield f"| system GMM, two steps, 30 x 14, {est.counts['instruments']} instruments | {seconds:.3f} | <= 0.05 | |"
    many = partial(econ.fit, large, "y ~ L.y + x + z", "gmm", gmm={**every, "z": (2, None)}, **keys)
    est = many()
    seconds = timed(many, size.pairs)
    yield f"| system GMM, two steps, 140 x 9, {est.counts['instruments']} instruments | {seconds:.3f} | <= 0.2 | |"
    difference = partial(econ.fit, large, "y ~ L.y + x", "gmm", gmm=every, system=False, **keys)
    est = difference()
    seconds = timed(difference, size.pairs)
    peer = by_plm(large, size.pairs)
    beside = "R's plm is not here, left out"
    if peer is not None:
        gap = float(np.abs(est.params[["L1.y", "x"]].to_numpy() - peer[1]).max())
        if gap > 1e-6:
            raise SystemExit(f"plm's coefficients differ by {gap:.2g}: the two do not do the same work.")
        beside = f"plm `pgmm` {peer[0]:.3f} s, {peer[0] / seconds:.1f} times ours; coefficients agree"
    count = est.counts["instruments"]
    yield f"| difference GMM, two steps, 140 x 9, {count} instruments | {seconds:.3f} | | {beside} |"
    groups, periods = size.tobit
    rng = np.random.default_rng(SEED)
    i, t = (axis.ravel() for axis in np.indices((groups, periods)))
    X = rng.normal(size=(i.size, 3))
    latent = X @ [0.5, -0.5, 0.3] + rng.normal(size=groups)[i] + rng.normal(size=i.size)
    censored = pd.DataFrame({"id": i, "year": t, "y": np.maximum(latent, 0)}).join(pd.DataFrame(X, columns=list("abc")))
    begin = time.perf_counter()
    econ.fit(censored, "y ~ a + b + c", "retobit", lower=0, **keys)
    seconds = time.perf_counter() - begin
    yield f"| random-effects Tobit, {i.size:,} rows, {groups:,} groups, points checked | {seconds:.2f} | <= 10 | |"
    yield "\nPanelBox is not here, left out."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two designs, few replications")
    parser.add_argument("--out", type=Path, help="file to write (default: benchmarks/dynamic.md; none with --quick)")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    out = options.out or (None if options.quick else HERE / "dynamic.md")
    setting = f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, one BLAS thread."
    parts = ["# Dynamic panels\n", *speed(size), "", *honesty(size), "", "## Setting\n", setting, ""]
    text = "\n".join(parts)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
