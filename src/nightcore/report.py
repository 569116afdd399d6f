"""One self-contained HTML page: every figure inside, nothing loaded from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nightcore.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"


def require_extra() -> None:
    """Refuse, before any work is done, to make a report without what draws it."""
    absent = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if absent:
        raise UsageError(f"reports need {' and '.join(absent)}: pip install 'nightcore[report]'.")


def demo_report(path: Path, evidence: Mapping[str, Any]) -> Path:
    """Write the demo's report from what `nightcore.demo.evidence` gathered."""
    return render("demo.html", path, evidence)


def render(template: str, path: Path, evidence: Mapping[str, Any]) -> Path:
    """Fill a template; figures become inline PNG, every other value is escaped."""
    require_extra()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from nightcore.plots import as_png

    figures = {
        name: "data:image/png;base64," + base64.b64encode(as_png(figure)).decode()
        for name, figure in evidence["figures"].items()
    }
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(**{**evidence, "figures": figures})
    path.write_text(page, encoding="utf-8")
    return path
