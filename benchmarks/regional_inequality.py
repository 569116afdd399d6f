"""Measure econ's indices beside PySAL's `inequality`: python benchmarks/regional_inequality.py [--quick] [--out FILE].

PySAL takes one sample at a time; econ takes all groups at once.  Everything is computed by both first and compared,
then both are timed in turns on the same groups: as arrays, where PySAL is given its samples ready cut, and from table
to table, where pandas cuts them for it.  The machine may be shared, so the median ratio of the pairs is what counts.
A Markdown table goes to stdout; without --quick also to benchmarks/inequality.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

import econ
from econ.indices import index_named, of_groups

UNITS = 12  # cities of a province, about as many as the study's provinces have
MILLION = 1_000_000


def peers() -> dict[str, Callable[[np.ndarray], float]]:
    """The indices that both packages have, as PySAL computes them for one sample."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        from inequality.atkinson import atkinson
        from inequality.gini import Gini
        from inequality.theil import Theil
    return {
        "gini": lambda x: Gini(x).g,
        "theil": lambda x: Theil(x).T,
        "atkinson": lambda x: atkinson(x, 0.5),
    }


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def race(peer: Callable[[], np.ndarray], ours: Callable[[], np.ndarray], pairs: int) -> str:
    """Median seconds of both and median ratio, as cells of a row; raises where the two do not agree."""
    np.testing.assert_allclose(ours(), peer(), rtol=1e-10)  # sums in another order
    times = [(seconds(peer), seconds(ours)) for _ in range(pairs)]
    slow, fast = (statistics.median(part) for part in zip(*times, strict=True))
    return f"{slow:.3f} | {fast:.4f} | {statistics.median(a / b for a, b in times):,.0f}"


def race_of_arrays(name: str, theirs: Callable[[np.ndarray], float], groups: int, pairs: int) -> str:
    """One index of samples that lie in arrays already."""
    x = np.random.default_rng(groups).lognormal(size=groups * UNITS)
    group, samples = np.repeat(np.arange(groups), UNITS), list(x.reshape(groups, UNITS))
    index = index_named(name)
    cells = race(
        lambda: np.array([theirs(sample) for sample in samples]),
        lambda: of_groups(index, x, None, group, groups),
        pairs,
    )
    return f"| {name}, arrays | {groups:,} | {cells} |"


def race_of_tables(indices: dict[str, Callable[[np.ndarray], float]], groups: int, pairs: int) -> str:
    """All indices from a table of cities to a table of provinces and years."""
    city = province_years(groups)

    def peer() -> np.ndarray:
        by_group = city.groupby(["province", "year"])["mean"]
        return np.stack([by_group.apply(lambda x, f=theirs: f(x.to_numpy())) for theirs in indices.values()])

    def ours() -> np.ndarray:
        return econ.regional_inequality(city, indices=list(indices))[list(indices)].to_numpy().T

    return f"| {' '.join(indices)}, table | {groups:,} | {race(peer, ours, pairs)} |"


def province_years(groups: int) -> pd.DataFrame:
    """A table of cities, 12 to a province, of so many provinces in twenty years."""
    provinces, years = groups // 20, 20
    rng = np.random.default_rng(1)
    city = np.arange(provinces * UNITS)
    return pd.DataFrame(
        {
            "zone": np.tile(city, years),
            "province": np.tile(city // UNITS, years),
            "year": np.repeat(np.arange(2000, 2000 + years), city.size),
            "mean": rng.lognormal(size=city.size * years),
        }
    )


def race_table(sizes: Sequence[int], pairs: int) -> Iterator[str]:
    yield "| what | groups | PySAL [s] | econ [s] | PySAL / econ |\n|---|---|---|---|---|"
    for groups in sizes:
        for name, theirs in peers().items():
            yield race_of_arrays(name, theirs, groups, pairs)
        yield race_of_tables(peers(), groups, pairs)


def scale_table(groups: int, pairs: int) -> Iterator[str]:
    """The default indices of very many groups, where there is no peer to wait for."""
    city = province_years(groups)
    x, group = city["mean"].to_numpy(), (city["province"] * 20 + city["year"] - 2000).to_numpy()
    indices = [index_named(name) for name in econ.INDICES]
    arrays = [seconds(lambda: [of_groups(index, x, None, group, groups) for index in indices]) for _ in range(pairs)]
    tables = [seconds(lambda: econ.regional_inequality(city)) for _ in range(pairs)]
    yield f"{', '.join(econ.INDICES)} of {groups:,} groups of {UNITS} units:\n"
    yield "| what | seconds, median |\n|---|---|"
    yield f"| arrays, rows in no order of groups | {statistics.median(arrays):.2f} |"
    yield f"| `regional_inequality`: keys checked, table and reasons | {statistics.median(tables):.2f} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer groups")
    parser.add_argument("--out", type=Path, help="file to write (default: benchmarks/inequality.md; none with --quick)")
    options = parser.parse_args(arguments)
    out = options.out or (None if options.quick else Path(__file__).with_name("inequality.md"))
    sizes, pairs = ((1_000,), 3) if options.quick else ((10_000, 100_000), 5)

    setting = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, pandas {pd.__version__}, "
        f"PySAL inequality {version('inequality')}; groups of {UNITS} units."
    )
    text = "\n".join(
        [
            "# Inequality of many groups, beside PySAL\n",
            "Written by `make bench` (`benchmarks/regional_inequality.py`); do not edit. Both sides compute everything",
            "first and are compared to 1e-10; then they run in turns. Times are medians, the ratio is the median of",
            "the pairs. *arrays*: samples ready cut; *table*: from a table of cities to one of provinces and years.",
            "The aim, 100, is for tables; of samples ready cut, sorting a dozen numbers is the floor.\n",
            *race_table(sizes, pairs),
            "",
            *scale_table(MILLION // 100 if options.quick else MILLION, pairs),
            f"\n{setting}\n",
        ]
    )
    if out is not None:
        out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
