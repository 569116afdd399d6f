"""Draw the pictures of the README: python docs/make_figures.py FOLDER_OF_REAL_DATA.

The demo's picture comes from a generated world; the Greek ones from 34 real composites, 75 regional units and the 13
regions that they form, found under FOLDER/greece34.
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd

import econ
import nightcore as nc
from econ.frames import add_crosswalk, read_crosswalk
from nightcore import plots
from nightcore.compare import histograms, totals_from_histograms

IMAGES = Path(__file__).parent / "img"


def dots(store: nc.Store, methods: dict[str, nc.Calibration]) -> dict:
    """Title -> (composites, total calibrated DN of all cells), for the 34-dot plot."""
    counts = histograms(store)
    found = {title: totals_from_histograms(store, counts, method) for title, method in methods.items()}
    return {title: (names, sums[0]) for title, (names, sums) in found.items()}


def demo(work: Path) -> None:
    world = nc.simulate(7, work / "world")
    store = nc.ingest(list(world.composites.values()), work / "demo.zarr")
    fitted = nc.fit_calibration("cao2015", store, region=world.site, reference=world.radcal)
    panels = dots(store, {"34 composites as delivered": nc.calibration("raw"), "calibrated (cao2015)": fitted})
    (IMAGES / "demo.png").write_bytes(plots.as_png(plots.total_light(panels), dpi=100))


def greece(work: Path, data: Path) -> None:
    store = nc.ingest(data / "composites", work / "greece.zarr")
    methods = {name: nc.calibration(name) for name in ("raw", "elvidge2014", "wu2013")}
    (IMAGES / "greece_light.png").write_bytes(plots.as_png(plots.total_light(dots(store, methods)), dpi=85))
    cover = nc.coverage(data / "regional_units" / "RegionalUnits2021_gcs.shp", store, id="RegUnits")
    city = add_crosswalk(nc.zonal(store, cover, "elvidge2014"), read_crosswalk(data / "regions.csv"), "zone")
    inequality: pd.DataFrame = econ.regional_inequality(city, by="region", value="mean")
    figure = plots.small_multiples(inequality, "region", "gini", label="Gini")
    (IMAGES / "greece_gini.png").write_bytes(plots.as_png(figure, dpi=85))


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo(Path(folder))
        greece(Path(folder), Path(sys.argv[1]) / "greece34")
