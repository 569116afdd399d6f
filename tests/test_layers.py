"""What may import what, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "src"


def imports(path: Path):
    """Top-level packages and dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(("package", "other"), [("nightcore", "econ"), ("econ", "nightcore")])
def test_the_two_packages_never_import_each_other(package, other):
    files = list((SOURCES / package).rglob("*.py"))
    assert files
    for file in files:
        assert not [name for name in imports(file) if name.split(".")[0] == other], file


def test_only_the_store_knows_zarr():
    knows = {
        file.relative_to(SOURCES).as_posix()
        for file in (SOURCES / "nightcore").rglob("*.py")
        if any(name.split(".")[0] in ("zarr", "numcodecs") for name in imports(file))
    }
    assert knows == {"nightcore/store.py"}


def test_kernels_know_no_files_and_no_engine():
    allowed = {"nightcore.errors"}
    for file in (SOURCES / "nightcore" / "kernels").glob("*.py"):
        for name in imports(file):
            top = name.split(".")[0]
            assert top not in ("dask", "zarr", "rasterio", "pandas", "geopandas"), file
            if top == "nightcore":
                assert name.startswith("nightcore.kernels") or name in allowed, (file, name)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import nightcore", ("numba", "pandas", "xarray", "rasterio", "geopandas", "matplotlib", "zarr", "dask")),
        ("import nightcore.cli", ("numba", "pandas", "xarray", "rasterio", "geopandas", "matplotlib", "zarr", "dask")),
        ("import econ", ("linearmodels", "matplotlib", "statsmodels", "nightcore")),
        ("import econ.cli", ("linearmodels", "matplotlib", "statsmodels", "nightcore")),
    ],
)
def test_importing_loads_nothing_heavy(statement, absent):
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(absent) & set(done.stdout.split())


@pytest.mark.parametrize("package", ["nightcore", "econ"])
def test_public_names_are_what_they_say(package):
    """In a fresh interpreter, before and after all modules are imported: a function is never shadowed by its module."""
    code = f"""
import pkgutil, types, {package} as package
def check():
    for name in package.__all__:
        assert not isinstance(getattr(package, name), types.ModuleType), name
check()
for found in pkgutil.walk_packages(package.__path__, "{package}."):
    __import__(found.name)
check()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
