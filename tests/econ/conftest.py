"""Panels to fit, made here, and the golden cases of the shared data."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def golden(data_dir):
    """golden(case) -> .data (DataFrame), .expected (dict), .table(name) and .path of one folder of goldens."""

    def read(case):
        folder = data_dir / "goldens" / case
        return SimpleNamespace(
            path=folder,
            table=lambda name: pd.read_csv(folder / name),
            data=pd.read_csv(folder / "data.csv"),
            expected=json.loads((folder / "expected.json").read_text(encoding="utf-8")),
        )

    return read


def planted_panel(seed=0, provinces=12, years=8, forward=-0.1, backward=0.7, keep=1.0):
    """gini from forward and backward with these slopes, effects of both keys and noise of 0.01; a share of the rows."""
    rng = np.random.default_rng(seed)
    province, year = (axis.ravel() for axis in np.meshgrid(np.arange(provinces), np.arange(years), indexing="ij"))
    effect_p, effect_t = rng.normal(0.2, 0.1, provinces), rng.normal(0, 0.05, years)
    table = pd.DataFrame(
        {
            "province": [f"P{p:02d}" for p in province],
            "year": 2000 + year,
            "region": np.where(province % 2, "east", "west"),
            "forward": 0.2 + effect_p[province] + rng.normal(0, 0.05, province.size),
            "backward": 0.1 + rng.normal(0, 0.03, province.size),
        }
    )
    table["gini"] = (
        effect_p[province]
        + effect_t[year]
        + forward * table["forward"]
        + backward * table["backward"]
        + rng.normal(0, 0.01, province.size)
    )
    return table[rng.random(len(table)) < keep].reset_index(drop=True)


@pytest.fixture
def panel():
    return planted_panel()


@pytest.fixture(scope="session")
def make_panel():
    return planted_panel
