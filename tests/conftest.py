"""Where the real data lie, for the tests that need them."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data: $NIGHTCORE_TEST_DATA, else ../shared/data beside the checkout, else the test is skipped."""
    folder = Path(os.environ.get("NIGHTCORE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "PROVENANCE.md").is_file():
        pytest.skip(f"real data not found in {folder}: set NIGHTCORE_TEST_DATA to their folder")
    return folder
