"""Drawings by matplotlib in one style, as SVG for pages and as pixels for files and films.

A drawing as SVG stands alone in a page: no external fonts, no dates, identifiers of its own. What
is drawn in ink takes the colour of the text around it (`currentColor`); the other colours keep a
contrast of 3 to white and to near-black, and differ to colour-blind eyes.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK = "#010203"  # stands for the colour of the text, which the page knows
BLUE, VERMILION, GREY, GREEN = "#2f80c9", "#d55e00", "#808080", "#12926b"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": ["DejaVu Sans"],  # wide: what the page sets instead needs no more room
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "path.simplify": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "axes.edgecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Drawing:
    """What `draw` makes of an empty figure; it is called whenever the drawing is shown.

    Attributes:
        draw: fills the figure.
        alt: what is to be seen, with its numbers, for those who cannot see it.
        caption: what to look at.
        size: width and height in inches; text has 12 points.
    """

    draw: Callable[[Figure], None]
    alt: str
    caption: str = ""
    size: tuple[float, float] = (5.0, 3.5)

    def svg(self) -> str:
        """An <svg> that is described by `alt`."""
        buffer = io.StringIO()
        # the identifiers in a page have to differ between its plots, and not between two runs
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": self.alt}):
            self._figure().savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        svg = buffer.getvalue()
        svg = svg[svg.index("<svg ") :]
        svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
        svg = re.sub(
            r'<g id="[^"]*"', "<g", svg
        )  # nothing refers to these, and all plots share them
        # a hundredth of a point is enough: in tags, and not in what is written on the axes
        svg = re.sub(r"<[^>]+>", _rounded, svg)
        svg = svg.replace(INK, "currentColor")
        label = f'<svg role="img" aria-label="{html.escape(self.alt)}" stroke-linejoin="round" '
        return svg.replace("<svg ", label, 1).strip()

    def pixels(self, dpi: int = 100) -> NDArray[np.uint8]:
        """(3, H, W), in ink on white."""
        with matplotlib.rc_context(STYLE):
            figure = self._figure()
            figure.set_dpi(dpi)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))

    def _figure(self) -> Figure:
        figure = Figure(figsize=self.size, layout="constrained")
        self.draw(figure)
        return figure


def _rounded(tag: re.Match[str]) -> str:
    """The numbers of a tag to two places; what a link holds, such as pixels, is left alone."""
    return tag[0] if "base64" in tag[0] else re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0])
