"""One self-contained HTML page: every figure inside, nothing loaded from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightcore.errors import ResourceError

TEMPLATES = Path(__file__).parent / "templates"


def demo_report(path: Path, evidence: Mapping[str, Any]) -> Path:
    """Write the demo's report from what `nightcore.demo.evidence` gathered."""
    return render("demo.html", path, evidence)


def render(template: str, path: Path, evidence: Mapping[str, Any]) -> Path:
    """Fill a template; figures become inline PNG, every other value is escaped."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise ResourceError("reports need jinja2 and matplotlib: pip install 'nightcore[report]'.") from None
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
