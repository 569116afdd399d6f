"""Speed and honesty of econ's estimators: python benchmarks/estimators.py [--quick] [--out FILE].

First `econ.fit` beside linearmodels, pyfixest, wildboottest and R's plm and fixest: both sides run once and their
coefficients are compared, then they are timed in turns.  Peers that are not there are named and left out.  Then how
often intervals cover and tests reject where the truth is planted (`montecarlo.py`).  A Markdown page goes to stdout;
without --quick also to benchmarks/estimators.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from unittest.mock import patch

import montecarlo as mc
import numpy as np
import pandas as pd
from montecarlo import Job, Panel, Share

import econ
from econ.estimators import static
from econ.estimators.wild import wild_bootstrap

HERE = Path(__file__).parent
SEED = 2021
PACKAGES = ("linearmodels", "formulaic", "numpy", "scipy", "pandas", "pyfixest", "wildboottest")
CONTROLS = [f"c{j}" for j in range(8)]
COLUMNS = [  # right sides of table 2: k = 1, 9, 1, 9, 2, 10
    " + ".join(part) for main in (["fw"], ["bw"], ["fw", "bw"]) for part in (main, [*main, *CONTROLS])
]
BY_ENTITY = {"cov": "cluster", "cluster": "province"}


@dataclass(frozen=True)
class Size:
    """How much is done: timed pairs, the large panel, draws of the bootstrap, replications, designs and processes."""

    pairs: int
    large: Panel
    draws: int
    replications: int
    slow: int
    few: int
    panels: tuple[Panel, ...]
    iv_panels: tuple[Panel, ...]
    processes: int


FULL = Size(5, Panel(5_000, 20), 9_999, 2_000, 500, 1_000, mc.PANELS, mc.IV_PANELS, 2)
QUICK = Size(2, Panel(60, 5), 499, 4, 2, 3, mc.PANELS[1:2], mc.IV_PANELS[1:2], 1)


# --- data -----------------------------------------------------------------------------------------------------------


def study(panel: Panel, seed: int = SEED) -> pd.DataFrame:
    """A panel like the paper's: an index of inequality, two linkages with two instruments, eight controls."""
    rng = np.random.default_rng(seed)
    n = panel.n
    data = pd.DataFrame(
        {
            "province": np.repeat(np.arange(panel.entities), panel.periods),
            "year": np.tile(np.arange(2000, 2000 + panel.periods), panel.entities),
        }
    )
    names = ["iv_fw", "iv_bw", *CONTROLS]
    data[names] = rng.standard_normal((n, len(names)))
    shared = rng.standard_normal(n)
    for name in ("fw", "bw"):
        data[name] = 0.5 * data[f"iv_{name}"] + 0.5 * shared + rng.standard_normal(n)
    effects = (
        rng.standard_normal(panel.entities)[data["province"]] + rng.standard_normal(panel.periods)[data["year"] - 2000]
    )
    noise = mc.persistent(rng, panel, 1)[:, 0]
    data["gini"] = -0.1 * data["fw"] + 0.2 * data["bw"] + 0.1 * data[CONTROLS].sum(axis=1) + effects + noise + shared
    return data


def dummies(data: pd.DataFrame) -> pd.DataFrame:
    """A constant and dummies of provinces and years, for programs that absorb nothing."""
    return pd.concat(
        [
            pd.Series(1.0, data.index, name="constant"),
            pd.get_dummies(data["province"], prefix="p", drop_first=True, dtype=float),
            pd.get_dummies(data["year"], prefix="y", drop_first=True, dtype=float),
        ],
        axis=1,
    )


# --- speed ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Race:
    """Two ways to the same numbers.

    Parameters
    ----------
    work, peer : str
        What both do, and who else does it.
    note : str
        What only one of them does.
    ours, theirs : function without arguments to an array
        What is returned is compared.
    rtol, atol : float
        Of the comparison.
    """

    work: str
    peer: str
    note: str
    ours: Callable[[], np.ndarray]
    theirs: Callable[[], np.ndarray]
    rtol: float = 1e-6  # pyfixest takes effects out by iteration, to 1e-6 or better
    atol: float = 0.0

    def row(self, pairs: int) -> str:
        """Compared, warmed up and timed in turns."""
        np.testing.assert_allclose(self.ours(), self.theirs(), rtol=self.rtol, atol=self.atol, err_msg=self.work)
        times = np.array([(seconds(self.ours), seconds(self.theirs)) for _ in range(pairs)])
        ratios = times[:, 1] / times[:, 0]
        own, peer = np.median(times, axis=0)
        span = f"{digits(ratios.min())}-{digits(ratios.max())}"
        return (
            f"| {self.work} | {self.peer} | {digits(own)} | {digits(peer)} | {digits(np.median(ratios))} | {span} | "
            f"{self.note} |"
        )


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def digits(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def quiet(work: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """The same, its warnings left to its authors."""

    def run() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()

    return run


def by_econ(data: pd.DataFrame, rights: Sequence[str]) -> np.ndarray:
    fits = (econ.fit(data, f"gini ~ {right}", **BY_ENTITY) for right in rights)
    return np.concatenate([np.r_[est.params[1:], est.std_errors[1:]] for est in fits])


def by_linearmodels(data: pd.DataFrame, rights: Sequence[str]) -> np.ndarray:
    """Coefficients with standard errors as Stata counts, which is what the factor at the end is for."""
    from linearmodels.panel import PanelOLS

    found = []
    for right in rights:
        formula = f"gini ~ {right} + EntityEffects + TimeEffects"
        result = PanelOLS.from_formula(formula, data).fit(cov_type="clustered", cluster_entity=True)
        n, groups, periods, k = *(data.shape[0], *data.index.levshape), len(result.params)
        stata = groups / (groups - 1) * (n - 1) / (n - k - periods)
        own = n / (n - k - groups - periods + 1)
        found += [result.params, result.std_errors * (stata / own) ** 0.5]
    return np.concatenate(found)


def by_pyfixest(data: pd.DataFrame, rights: Sequence[str]) -> np.ndarray:
    import pyfixest

    fits = (pyfixest.feols(f"gini ~ {right} | province + year", data, vcov={"CRV1": "province"}) for right in rights)
    return np.concatenate([np.r_[fit.coef(), fit.se()] for fit in fits])


def iv_by_econ(data: pd.DataFrame) -> np.ndarray:
    formula = f"gini ~ {' + '.join(CONTROLS)} + [fw + bw ~ iv_fw + iv_bw]"
    est = econ.fit(data, formula, "iv", effects="twoway", **BY_ENTITY)
    return est.params[["fw", "bw"]].to_numpy()


def iv_by_linearmodels(data: pd.DataFrame, effects: pd.DataFrame) -> np.ndarray:
    from linearmodels.iv import IV2SLS

    exogenous = pd.concat([effects, data[CONTROLS]], axis=1)
    result = IV2SLS(data["gini"], exogenous, data[["fw", "bw"]], data[["iv_fw", "iv_bw"]]).fit(
        cov_type="clustered", clusters=data["province"], debiased=True
    )
    _ = result.first_stage.diagnostics, result.wu_hausman(), result.sargan  # all it has to say of the instruments
    return result.params[["fw", "bw"]].to_numpy()


def wild_by_econ(data: pd.DataFrame, draws: int) -> np.ndarray:
    X = data[["fw", "bw", *CONTROLS]].to_numpy()
    province, year = data["province"].to_numpy(), data["year"].to_numpy() - data["year"].min()
    y = data["gini"].to_numpy()
    found = wild_bootstrap(y, X, province, X.shape[1] - 1, entity=province, time=year, draws=draws)
    return np.array([found.pvalue])


def wild_by_wildboottest(data: pd.DataFrame, effects: pd.DataFrame, draws: int) -> np.ndarray:
    import statsmodels.api as sm
    from wildboottest.wildboottest import wildboottest

    X = pd.concat([data[["fw", "bw", *CONTROLS]], effects], axis=1)
    found = wildboottest(
        sm.OLS(data["gini"], X),
        param=CONTROLS[-1],
        cluster=data["province"],
        B=draws,
        weights_type="webb",
        seed=1,
        show=False,
    )
    return found["p-value"].to_numpy(float)


def races(size: Size) -> Iterator[Race | str]:
    """The races that can be run here, and a sentence for each that cannot."""
    paper, large = study(mc.PANELS[0]), study(size.large)
    works = (
        (f"table 2: six columns, {mc.PANELS[0]}", paper, COLUMNS),
        (f"{size.large.n:,} rows ({size.large}), two slopes", large, ["fw + bw"]),
    )
    for work, data, rights in works:
        ours = partial(by_econ, data, rights)
        indexed = data.set_index(["province", "year"])
        note = "coefficients and, brought to one factor, standard errors agree; no tests of effects here by the peer"
        yield Race(work, "linearmodels `PanelOLS`", note, ours, quiet(partial(by_linearmodels, indexed, rights)))
        if find_spec("pyfixest") is None:
            yield f"{work}: pyfixest is not installed, left out."
            continue
        note = "coefficients and standard errors agree; the peer has no log-likelihood, F of effects or effects here"
        yield Race(work, "pyfixest `feols`", note, ours, quiet(partial(by_pyfixest, data, rights)))

    effects = dummies(paper)
    work = f"2SLS, two endogenous, two-way effects, clustered, {mc.PANELS[0]}"
    note = "coefficients agree; the peer is given dummies, and has no Kleibergen-Paap, Sanderson-Windmeijer or "
    note += "Anderson-Rubin statistics"
    yield Race(
        work,
        "linearmodels `IV2SLS`",
        note,
        partial(iv_by_econ, paper),
        quiet(partial(iv_by_linearmodels, paper, effects)),
    )
    if find_spec("pyfixest") is not None:
        yield f"{work}: pyfixest refuses two endogenous variables, left out."

    work = f"wild cluster bootstrap, {size.draws:,} draws, {paper.shape[0]} rows, 26 clusters"
    if find_spec("wildboottest") is None:
        yield f"{work}: wildboottest is not installed, left out."
    else:
        note = (
            "p of one coefficient agrees but for what draws leave; econ adds the interval; the peer is given dummies, "
            "and most of its time goes into compiling its loop, which it does anew in every call"
        )
        draws = size.draws
        yield Race(
            work,
            "wildboottest",
            note,
            partial(wild_by_econ, paper, draws),
            quiet(partial(wild_by_wildboottest, paper, effects, draws)),
            rtol=0,
            atol=4 * (0.5 / draws) ** 0.5,  # four standard errors of the difference of two shares, at their largest
        )


SIX_IN_R = """
data <- read.csv(commandArgs(TRUE)[1]); times <- as.integer(commandArgs(TRUE)[2])
rights <- readLines(commandArgs(TRUE)[3])
six <- function() unlist(lapply(rights, function(right) { %s }))
found <- six()
cat(format(found, digits = 15), "\\n")
for (i in seq_len(times)) cat(system.time(six())[["elapsed"]], "")
"""

IN_R = {  # package -> (call, what it is)
    "plm": (
        """
  fit <- plm::plm(as.formula(paste("gini ~", right)), data, index = c("province", "year"), effect = "twoways")
  se <- sqrt(diag(plm::vcovHC(fit, type = "HC0", cluster = "group")))
  coef(fit)""",
        "`plm` and `vcovHC`",
    ),
    "fixest": (
        """
  coef(fixest::feols(as.formula(paste("gini ~", right, "| province + year")), data, cluster = ~province))""",
        "`feols`",
    ),
}


def rows_of_r(pairs: int) -> Iterator[str]:
    """The six columns in R, timed inside R and after econ, not in turns; sentences where R or a package is missing."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        yield "R is not on the path: plm and fixest left out."
        return
    data = study(mc.PANELS[0])
    ours = statistics.median(seconds(partial(by_econ, data, COLUMNS)) for _ in range(pairs))
    coefficients = np.concatenate([econ.fit(data, f"gini ~ {right}").params[1:] for right in COLUMNS])
    with tempfile.TemporaryDirectory() as folder:
        csv, rights, script = (Path(folder) / name for name in ("data.csv", "rights.txt", "six.R"))
        data.to_csv(csv, index=False)
        rights.write_text("\n".join(COLUMNS) + "\n", encoding="utf-8")
        for package, (call, what) in IN_R.items():
            script.write_text(SIX_IN_R % call, encoding="utf-8")
            command = [rscript, "--vanilla", str(script), str(csv), str(pairs), str(rights)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = f"R has no {package}" if "no package called" in done.stderr else f"{package} fails in R"
                yield f"{reason}, left out."
                continue
            found, times = done.stdout.strip().split("\n")
            np.testing.assert_allclose(coefficients, np.array(found.split(), float), rtol=1e-6, err_msg=package)
            theirs = statistics.median(map(float, times.split()))
            yield (
                f"| table 2: six columns, {mc.PANELS[0]} | R {package} {what} | {digits(ours)} | {digits(theirs)} | "
                f"{digits(theirs / ours)} | not in turns | coefficients agree; timed inside R by `system.time` |"
            )


FRESH = """
import sys, time
start = time.perf_counter()
import econ
imported = time.perf_counter()
import pandas
data = pandas.read_csv(sys.argv[1])
rights = open(sys.argv[2]).read().splitlines()
ready = time.perf_counter()
for turn in range(2):
    for right in rights:
        econ.fit(data, f"gini ~ {right}", cov="cluster", cluster="province")
    if turn == 0:
        first = time.perf_counter()
print(imported - start, first - ready, time.perf_counter() - first)
"""
IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def fresh(code: str, *arguments: str) -> list[float]:
    """Numbers that a fresh interpreter prints."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(part) for part in done.stdout.split()]


def cold_table(runs: int) -> Iterator[str]:
    """Fresh processes: import, and the first six columns with all that is imported on the way."""
    with tempfile.TemporaryDirectory() as folder:
        csv, rights = Path(folder) / "data.csv", Path(folder) / "rights.txt"
        study(mc.PANELS[0]).to_csv(csv, index=False)
        rights.write_text("\n".join(COLUMNS), encoding="utf-8")
        times = np.median([fresh(FRESH, str(csv), str(rights)) for _ in range(runs)], axis=0)
    yield "| fresh process | seconds, median | asked |\n|---|---|---|"
    yield f"| `import econ` | {digits(times[0])} | < 1 |"
    yield f"| table 2, six columns, first time, with the imports of linearmodels and the rest | {digits(times[1])} | |"
    yield f"| table 2, six columns, again | {digits(times[2])} | < 1 |"
    for peer in ("linearmodels", "pyfixest"):
        if find_spec(peer) is not None:
            took = statistics.median(fresh(IMPORT.format(peer))[0] for _ in range(runs))
            yield f"| `import {peer}`, for comparison | {digits(took)} | |"


STEPS = {  # what `econ.fit` does for fixed effects: (where it is looked up, name) -> in words
    "coefficients by linearmodels' `PanelOLS`": (static, "_coefficients"),
    "table and formula to arrays (formulaic, pandas)": (econ.estimators, "draw_sample"),
    "effects and collinear columns taken out": (static, "take_effects"),
    "covariance": (static, "covariance_of"),
    "F tests of the effects": (static, "effects_tests"),
    "R2s": (static, "rsquareds"),
    "estimated effects": (static, "effect_values"),
}


def step_table(size: Size) -> Iterator[str]:
    """Shares of the steps in `econ.fit`."""
    works = {
        f"six columns, {mc.PANELS[0]}": (study(mc.PANELS[0]), COLUMNS),
        f"{size.large.n:,} rows": (study(size.large), ["fw + bw"]),
    }
    shares = [step_shares(partial(by_econ, *work), size.pairs) for work in works.values()]
    yield f"| share of `econ.fit` | {' | '.join(works)} |\n|---|{'---|' * len(works)}"
    for step in (*STEPS, "everything else"):
        yield f"| {step} | {' | '.join(f'{share[step]:.0%}' for share in shares)} |"


def step_shares(work: Callable[[], object], times: int) -> dict[str, float]:
    """Share of each step, by clocks around the functions."""
    spent: dict[str, float] = defaultdict(float)

    def clocked(step: str, function: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **options: object) -> object:
            begin = time.perf_counter()
            found = function(*args, **options)
            spent[step] += time.perf_counter() - begin
            return found

        return run

    with ExitStack() as stack:
        for step, (module, name) in STEPS.items():
            stack.enter_context(patch.object(module, name, clocked(step, getattr(module, name))))
        total = sum(seconds(work) for _ in range(times))
    shares = {step: spent[step] / total for step in STEPS}
    return shares | {"everything else": 1 - sum(shares.values())}


def speed(size: Size) -> Iterator[str]:
    """The first half of the page."""
    lines, sentences = [], []
    for race in races(size):
        if isinstance(race, Race):
            lines.append(race.row(size.pairs))
        else:
            sentences.append(race)
    for line in rows_of_r(size.pairs):
        (lines if line.startswith("|") else sentences).append(line)
    yield f"| work | peer | econ [s] | peer [s] | peer / econ | range of {size.pairs} pairs | what is compared |"
    yield "|---|---|---|---|---|---|---|"
    yield from lines
    yield ""
    yield from (f"* {sentence}" for sentence in sentences)
    yield ""
    yield from cold_table(min(size.pairs, 3))
    yield ""
    yield from step_table(size)


# --- sizes and coverages --------------------------------------------------------------------------------------------


SHARED = "takes entities as independent, and they share shocks"
FEW = "few clusters: leverage makes residuals smaller than errors (Cameron and Miller 2015)"
PERIODS = "rests on many periods, and 14 or 10 are few (fixest asks for 20)"
LAGS = "two lags at most, with falling weights, catch a part of the persistence"

BETWEEN = "few entities: the between regression has one row each"
HAUSMAN = ("contrast", "sigmamore", "auxiliary", "auxiliary clustered")
OF_EFFECTS = ("F of both effects", "F of entity effects", "breusch_pagan", "breusch_pagan, honda")

# (row, kind of errors) -> why a share is off nominal; the kind "" stands for all that are not named
WHY = {
    ("classical", "heteroskedastic"): "takes all errors to have one variance",
    ("classical", "AR(1)"): "takes rows as independent; errors and regressors persist (Bertrand et al. 2004)",
    ("classical", "common shocks"): SHARED,
    ("hc1", ""): "leverage makes residuals smaller than errors: take hc3",
    ("cr2, t(G - 1)", ""): "G - 1 degrees of freedom are more than Satterthwaite's",
    ("hc1", "AR(1)"): "takes rows as independent",
    ("hc1", "common shocks"): SHARED,
    ("hc3", "AR(1)"): "takes rows as independent",
    ("hc3", "common shocks"): SHARED,
    ("hc3", ""): "conservative: approximates the jackknife, and effects give every row leverage",
    (CR1 := "cluster by entity (CR1)", ""): FEW,
    (CR1, "common shocks"): SHARED,
    ("two-way cluster", ""): "few clusters of one kind or the other, at most 14 periods",
    ("driscoll-kraay", ""): PERIODS,
    ("driscoll-kraay", "AR(1)"): f"{PERIODS}; {LAGS}",
    ("newey-west", ""): "net of effects errors are negatively correlated over time, regressors positively",
    ("newey-west", "AR(1)"): LAGS,
    ("newey-west", "common shocks"): SHARED,
    **{(name, "common shocks"): SHARED for name in mc.SLOW},
    # tests of panels
    ("hausman, contrast", ""): "V(b) - V(B) has two error variances and need not be positive: take sigmamore",
    ("hausman, sigmamore", ""): BETWEEN,
    ("hausman, auxiliary", ""): BETWEEN,
    ("hausman, auxiliary clustered", ""): "clusters hardly outnumber the columns tested, and there is no factor",
    **{(f"hausman, {kind}", "common shocks"): SHARED for kind in HAUSMAN},
    **{(f"hausman, {kind}", "AR(1)"): f"{BETWEEN}; rows count as independent" for kind in HAUSMAN[:-1]},
    **{(name, "AR(1)"): "errors that persist look like effects" for name in OF_EFFECTS},
    **{(name, ""): "its chi2 law comes with many entities" for name in OF_EFFECTS},
    **{(name, "common shocks"): "effects of the period are not in its regression" for name in OF_EFFECTS},
    ("pesaran_cd, entity effects", "AR(1)"): "its variance takes errors as independent over time",
    (
        "pesaran_cd, two-way effects",
        "",
    ): "period effects make residuals sum to 0, CD is not for those (Juodis, Reese 2022)",
    ("wooldridge_serial", ""): FEW,
    ("wooldridge_serial", "common shocks"): SHARED,
    ("modified_wald", ""): "needs long panels: the variance of squared residuals is taken from T of them",
    ("lr, 8 slopes", ""): "chi2 counts none of the coefficients that effects cost: take the F of wald",
    ("lr, 8 slopes", "AR(1)"): "rows count as independent",
    ("wald, 8 slopes, classical", "AR(1)"): "rows count as independent",
    ("wald, 2 slopes, CR1", ""): FEW,
    ("wald, 8 slopes, CR1", ""): "clusters hardly outnumber restrictions, refused where they do not",
}
# of instruments, by the beginning of the row and a part of the kind; the first that fits
WHY_INSTRUMENTS = (
    ("2SLS", "weak", "weak instruments: report Anderson-Rubin sets"),
    ("2SLS", "CR1", FEW),
    ("LIML", "weak", "weak instruments: report Anderson-Rubin sets"),
    ("Fuller", "weak", "weak instruments: report Anderson-Rubin sets"),
    ("anderson_rubin", "CR1", FEW),
    ("overidentification", "weak", "weak instruments, and large-sample counts as in ivreg2"),
    ("", "iid", "large-sample counts as in ivreg2: n, not n less effects (dofminus= takes them out)"),
    ("", "CR1", "few clusters: the covariance of moments grows with what is tested"),
)


def verdict(shares: Mapping[str, Share], nominal: float, words: tuple[str, str], why: str) -> str:
    """In words: at nominal within three standard errors, or where it is too low or too high, and why."""
    low, high = (
        [
            name
            for name, each in shares.items()
            if each.replications and sign * (each.value - nominal) > 3 * each.error(nominal)
        ]
        for sign in (-1, 1)
    )
    parts = [
        f"{word}: {'everywhere' if len(names) == len(shares) > 1 else ', '.join(names)}"
        for word, names in zip(words, (low, high), strict=True)
        if names
    ]
    if not parts:
        return "at nominal" if any(each.replications for each in shares.values()) else "refused"
    return "; ".join([*parts, *([why] if why else [])])


def percent(each: Share) -> str:
    return f"{100 * each.value:.1f}" if each.replications else "refused"


def why(row: str, kind: str) -> str:
    found = WHY.get((row, kind), WHY.get((row, ""), ""))
    fitting = (text for start, part, text in WHY_INSTRUMENTS if row.startswith(start) and part in kind and ";" in kind)
    return found or next(fitting, "")


Line = tuple[str, str, Mapping[str, Share], float]  # name, kind of errors, shares by column, nominal


def table(head: str, columns: Sequence[str], rows: Sequence[Line]) -> Iterator[str]:
    """A row a line; a dash where a column has no such design."""
    yield f"| {head} | errors | {' | '.join(columns)} | verdict |"
    yield f"|---|---|{'---|' * len(columns)}---|"
    for name, kind, shares, nominal in rows:
        words = ("too low", "too high") if nominal > 0.5 else ("too small", "too large")
        cells = " | ".join(percent(shares[column]) if column in shares else "-" for column in columns)
        yield f"| {name} | {kind} | {cells} | {verdict(shares, nominal, words, why(name, kind))} |"


Results = Mapping[Job, Mapping[str, Share]]


def coverage_rows(results: Results) -> list[Line]:
    return [
        (name, errors, by_panel(results, "coverage", name, errors), 1 - mc.LEVEL)
        for errors in mc.ERRORS
        for name in (*mc.CHEAP, *mc.SLOW)
    ]


def by_panel(results: Results, experiment: str, name: str, *design: object) -> dict[str, Share]:
    """Shares of one name under one design, by panel; `design` may be the beginning of it."""
    return {
        str(job.panel): found[name]
        for job, found in results.items()
        if job.experiment == experiment and job.design[: len(design)] == design and name in found
    }


def test_rows(results: Results) -> list[Line]:
    return [
        (name, errors, by_panel(results, "panel tests", name, errors), mc.LEVEL)
        for name, false in mc.PANEL_TESTS.items()
        for errors in mc.ERRORS
        if errors not in false
    ]


def iv_rows(results: Results) -> list[Line]:
    rows = []
    for name, what in mc.IV_ROWS.items():
        for clustered in (False, True):
            for strength in mc.STRENGTH:
                if name == "kp_lm" and strength == "weak":
                    continue  # its null leaves no strength
                for endogenous in (1, 2):
                    kind = f"{'AR(1), CR1' if clustered else 'iid, classical'}; {strength}, {endogenous} endogenous"
                    shares = by_panel(results, "instruments", name, clustered, strength, endogenous)
                    rows.append((name, kind, shares, 1 - mc.LEVEL if what == "coverage" else mc.LEVEL))
    return rows


def paragraphs(text: str) -> str:
    return "\n\n".join(fill(" ".join(part.split()), 120) for part in text.strip().split("\n\n"))


def honesty(size: Size) -> Iterator[str]:
    """The second half of the page."""
    todo = mc.jobs(size.replications, size.slow, size.few, size.panels, size.iv_panels)
    results = mc.run([job for some in todo.values() for job in some], size.processes)
    panels, iv_panels = ([str(panel) for panel in some] for some in (size.panels, size.iv_panels))
    se = {count: 100 * (0.05 * 0.95 / count) ** 0.5 for count in (size.replications, size.slow, size.few)}
    yield "## Coverage of 95 % intervals, two-way fixed effects\n"
    yield paragraphs(
        f"""Per cent of {size.replications:,} samples (CR2, CR3 and the bootstrap: {size.slow:,}) whose interval holds
        the planted coefficient; the standard error of a figure is {se[size.replications]:.1f} ({se[size.slow]:.1f})
        points, and the verdict allows three of them."""
    )
    yield ""
    yield from table("interval", panels, coverage_rows(results))
    yield "\n## Size of 5 % tests, panels\n"
    yield paragraphs(
        f"""Per cent of {size.few:,} samples in which a true null is rejected; standard error {se[size.few]:.1f} points.
        Designs under which a null is false are left out."""
    )
    yield ""
    yield from table("test", panels, test_rows(results))
    yield "\n## Instruments, two-way effects\n"
    yield paragraphs(f"Per cent of {size.few:,} samples; standard error {se[size.few]:.1f} points.")
    yield ""
    yield from table("interval or test", iv_panels, iv_rows(results))


def setting() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {', '.join(found)}."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small panels, few pairs and replications")
    parser.add_argument("--out", type=Path, help="file to write (default: benchmarks/estimators.md; none with --quick)")
    options = parser.parse_args(arguments)
    out = options.out or (None if options.quick else HERE / "estimators.md")
    size = QUICK if options.quick else FULL
    text = "\n".join(
        ["# Estimators\n", "## Speed\n", *speed(size), "", *honesty(size), "", "## Setting\n", setting(), ""]
    )
    if out is not None:
        out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
