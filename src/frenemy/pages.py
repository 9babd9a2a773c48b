"""Pages of one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

MARK = b'<meta name="generator" content="frenemy">'
"""In the head of every page of ours."""


def is_ours(path: Path) -> bool:
    """Whether the file there is a page that `render` made, as far as it can be read."""
    try:
        with path.open("rb") as file:
            return MARK in file.read(1024)
    except OSError:
        return False


def render(template: str, **values: Any) -> str:
    """One of our templates as a page; all values are escaped but those that it marks as safe."""
    environment = Environment(
        loader=PackageLoader("frenemy", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(values)
    return text.encode("utf-8", "replace").decode()  # a path may hold bytes that are no text
