"""The benchmarks run, their two sides agree, and their tables are complete. Times are never looked at."""

import importlib
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def run():
    """benchmarks/run.py as a module; its folder is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("run")
        for name in ("run", "peers", "peak", "world"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def quick(run, tmp_path_factory):
    """Text that a quick run writes."""
    out = tmp_path_factory.mktemp("benchmarks") / "README.md"
    assert run.main(["--quick", "--out", str(out)]) == 0
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small(run, tmp_path_factory):
    """World, store and coverage of one tile."""
    folder = tmp_path_factory.mktemp("world")
    world = run.make_world(folder, 60, 90, 8, seed=3)
    store = run.nc.ingest(world.files, folder / "lights.zarr")
    return world, store, run.nc.coverage(world.zones, store, id="code")


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the table whose first heading is given, without its head."""
    lines = iter(text.splitlines())
    next(line for line in lines if line.startswith(f"| {heading} |"))
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def published() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def check_table(text: str, pairs: int) -> None:
    table = rows(text, "#")
    assert [row[0] for row in table] == [str(i + 1) for i in range(12)]
    for _, work, own, peer, own_seconds, peer_seconds, ratio, span in table:
        assert work
        assert own
        assert peer
        low, high = map(float, span.split("-"))
        assert low <= float(ratio) <= high
        for number in (own_seconds, peer_seconds, ratio):
            assert math.isfinite(float(number))
    assert f"range of {pairs} pairs" in text


def test_a_quick_run_agrees_and_fills_its_table(quick):
    check_table(quick, pairs=3)


def test_every_row_says_what_it_compares(quick):
    numbers = [number for line in re.findall(r"^  \* ([\d, ]+): ", quick, re.M) for number in line.split(", ")]
    assert numbers == [row[0] for row in rows(quick, "#")]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell peak memory")
def test_memory_of_every_engine(run, quick):
    for text, size in ((quick, run.QUICK), (published(), run.FULL)):
        table = rows(text, "store -> zonal table")
        assert [row[0] for row in table] == list(size.engines)
        for _, before, top, added in table:
            assert 0 < int(before) <= int(top)
            assert abs(int(top) - int(before) - int(added)) <= 1  # each is rounded by itself


def test_engines_whose_memory_is_measured_do_the_same(run, small):
    _, store, coverage = small
    table, *sums = (engine(store, coverage) for engine in run.peak.ENGINES.values())
    assert len(sums) == 3
    for found in sums:
        assert run.chain_sums_agree(table, found)


def test_the_published_table_has_the_same_rows(run, quick):
    text = published()
    check_table(text, pairs=run.FULL.pairs)
    assert [row[1:4] for row in rows(text, "#")] == [row[1:4] for row in rows(quick, "#")]


def test_sums_that_differ_stop_the_run(run, small, monkeypatch, tmp_path, capsys):
    honest = run.peers.numpy_tiles
    monkeypatch.setattr(run.peers, "numpy_tiles", lambda *args, **options: honest(*args, **options) * (1 + 1e-5))
    monkeypatch.setattr(run, "make_world", lambda *args: small[0])
    assert run.main(["--quick", "--out", str(tmp_path / "README.md")]) == 1
    assert "NumPy by tiles, 1 thread disagree: sums of zones and years differ" in capsys.readouterr().err
    assert not (tmp_path / "README.md").exists()


def test_pixels_weights_and_zones_that_differ_are_found(run, small):
    world, store, coverage = small
    disagree = run.DisagreementError

    pixels = world.stack.copy()
    assert run.pixels_agree(store, pixels)
    pixels[5, 30, 40] += 1
    with pytest.raises(disagree, match="arrays"):
        run.pixels_agree(store, pixels)

    packed = run.peers.inflate_and_encode(world.files, world.stack, store.tiles(), threads=1)
    assert run.chunks_agree(store, packed)
    with pytest.raises(disagree, match="tile 0,0"):
        run.chunks_agree(store, run.peers.inflate_and_encode([], pixels, store.tiles(), threads=1))

    cell, zone, weight = run.peers.cells_by_exactextract(world.grid, world.zones)
    assert run.weights_agree(coverage, (cell, zone, weight))
    with pytest.raises(disagree, match="weights"):
        run.weights_agree(coverage, (cell, zone, weight * np.float32(1 - 1e-6)))
    with pytest.raises(disagree, match="cells"):
        run.weights_agree(coverage, (cell, np.roll(zone, 1), weight))

    centre = run.nc.coverage(world.zones, world.grid, id="code", rule="centre")
    image = run.peers.zone_image(world.grid, world.zones)
    assert run.images_agree(centre, image)
    image[0, 0] = -1
    with pytest.raises(disagree, match="zones"):
        run.images_agree(centre, image)


@pytest.mark.parametrize("found", [np.nan, np.inf, -1.5])
def test_what_is_not_within(run, found):
    with pytest.raises(run.DisagreementError, match="sums differ: 1 of 2"):
        run.within(np.array([0.0, found]), np.array([0.0, 1.0]), "sums")


def test_share_of_what_is_allowed(run):
    assert run.within(np.array([0.0, -0.5]), np.array([0.0, 2.0]), "sums") == 0.25


def test_generated_lights_are_as_sparse_as_real_ones(run, tmp_path):
    world = run.make_world(tmp_path, 400, 400, 20, seed=run.SEED)
    darkest, brightest, always = world.dark_share
    # stable lights of inhabited windows: 90 to 96 % of cells are dark; a small window scatters more
    assert 0.85 < always < brightest < darkest < 0.99
    assert set(np.unique(world.stack[world.stack > 63])) == {255}


def test_zones_fill_the_window_once(run, small):
    world, _, coverage = small
    shared = np.zeros(world.grid.shape)
    np.add.at(shared, (coverage.row, coverage.column), coverage.weight)
    # one cell is the sum of up to a few float32 weights
    np.testing.assert_allclose(shared, 1, atol=1e-5)


def test_inequality_beside_pysal(tmp_path):
    """Both sides agree, or the script stops; every row has a ratio."""
    pytest.importorskip("inequality", reason="PySAL's inequality is not installed: pip install 'nightcore[bench]'")
    out = tmp_path / "inequality.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        script = importlib.import_module("regional_inequality")
        sys.modules.pop("regional_inequality")
    assert script.main(["--quick", "--out", str(out)]) == 0
    table = rows(out.read_text(encoding="utf-8"), "what")
    assert [cells[0] for cells in table] == [
        *("gini, arrays", "theil, arrays", "atkinson, arrays", "gini theil atkinson, table")
    ]
    assert all(float(cells[-1].replace(",", "")) > 0 for cells in table)


@pytest.fixture(scope="module")
def estimators(tmp_path_factory):
    """benchmarks/estimators.py as a module, and the page that a quick run writes."""
    out = tmp_path_factory.mktemp("estimators") / "estimators.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        script = importlib.import_module("estimators")
        for name in ("estimators", "montecarlo"):
            sys.modules.pop(name)
        assert script.main(["--quick", "--out", str(out)]) == 0
    return script, out.read_text(encoding="utf-8")


def test_estimators_beside_peers(estimators):
    """Both sides agree, or the script stops; every row has a ratio, and linearmodels is always there."""
    _, text = estimators
    table = rows(text, "work")
    assert sum("linearmodels" in cells[1] for cells in table) == 3
    for _, _, own, peer, ratio, *_ in table:
        assert all(float(number.replace(",", "")) > 0 for number in (own, peer, ratio))
    shares = [float(cell.rstrip("%")) for cells in rows(text, "share of `econ.fit`") for cell in cells[1:]]
    assert sum(shares) == pytest.approx(200, abs=8)  # two columns of eight shares, each rounded by up to half a point


def test_estimators_published_rows_are_those_of_a_run(estimators):
    """Every interval and test has its row, quick or not; shares are shares."""
    script, text = estimators
    published = (FOLDER / "estimators.md").read_text(encoding="utf-8")
    for heading in ("interval", "test", "interval or test"):
        quick, full = rows(text, heading), rows(published, heading)
        assert [cells[:2] for cells in quick] == [cells[:2] for cells in full]
        cells = [cell for row in (*quick, *full) for cell in row[2:-1]]
        assert all(0 <= float(cell) <= 100 for cell in cells if cell != "refused")
    assert len(rows(published, "interval")) == len(script.mc.ERRORS) * len((*script.mc.CHEAP, *script.mc.SLOW))


def test_verdicts_of_estimators(estimators):
    """Three standard errors of 0.05 in 1,900 draws, sqrt(0.05 0.95 / 1,900) = 0.005, are 1.5 points."""
    script, _ = estimators
    words = ("too small", "too large")

    def verdict(*values: float) -> str:
        shares = {f"p{j}": script.Share(value, 1900, 0) for j, value in enumerate(values)}
        return script.verdict(shares, 0.05, words, "a reason")

    assert verdict(0.0351, 0.0649) == "at nominal"
    assert verdict(0.0349, 0.05) == "too small: p0; a reason"
    assert verdict(0.05, 0.0651) == "too large: p1; a reason"
    assert verdict(0.2, 0.3) == "too large: everywhere; a reason"
    assert verdict(0.0, 0.3) == "too small: p0; too large: p1; a reason"
    assert script.verdict({"p": script.Share(math.nan, 0, 10)}, 0.05, words, "") == "refused"


def test_counts_come_from_seeds_of_their_own(estimators):
    """Neither the order of the jobs nor what ran before changes what a job finds."""
    mc = estimators[0].mc
    jobs = [mc.Job("coverage", mc.Panel(6, 5), (errors, False), 3) for errors in ("iid", "AR(1)")]
    found = mc.run(jobs, 1)
    assert found == mc.run(jobs[::-1], 1)
    assert found[jobs[0]]["classical"].replications == 3


def test_planted_errors_have_variance_one(estimators):
    """Means of squares over 60,000 rows; shared shocks scatter most, half of 200 squares times 300: by 0.07."""
    mc = estimators[0].mc
    for errors in mc.ERRORS:
        X, e = mc.draw(np.random.default_rng(5), mc.Panel(300, 200), errors, 2)
        np.testing.assert_allclose([*(X**2).mean(axis=0), (e**2).mean()], 1, atol=0.2)


def test_dynamic_panels(tmp_path):
    """A quick run has a row for every estimator and test of the published page, and all shares are shares."""
    out = tmp_path / "dynamic.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        script = importlib.import_module("dynamic")
        assert script.main(["--quick", "--out", str(out)]) == 0
        sys.modules.pop("dynamic")
    text, published = (path.read_text(encoding="utf-8") for path in (out, FOLDER / "dynamic.md"))
    estimators = [cells[2] for cells in rows(published, "N x T") if len(cells) == 13]
    assert set(estimators) == {cells[2] for cells in rows(text, "N x T") if len(cells) == 13} == set(script.ESTIMATORS)
    assert len(estimators) == len(script.FULL.designs) * len(script.ESTIMATORS)
    for page in (text, published):
        for cells in rows(page, "N x T"):
            shares = cells[-2:] if len(cells) == 13 else cells[2:]
            assert all(0 <= float(cell) <= 100 for cell in shares if cell not in ("", "refused"))
    assert next(cells[0] for cells in rows(text, "work")).startswith("system GMM, two steps, 30 x 14")
