"""What a page or a file shows: drawings by matplotlib in one style, pictures and films.

A drawing in a page is SVG that stands alone: no external fonts, no dates, identifiers of its own.
What is drawn in ink takes the colour of the text around it (`currentColor`); the other colours keep
a contrast of 3 to white and to near-black, and differ to colour-blind eyes.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from PIL import Image

from frenemy.files import write_atomically
from frenemy.pictures import (
    Images,
    encode_film,
    require_picture,
    save_film,
    save_picture,
    to_pillow,
)
from frenemy.places import require_place

Draw = Callable[[Canvas], None]
"""Fills an empty figure of matplotlib."""

INK = "#010203"  # stands for the colour of the text, which the page knows
BLUE, VERMILION, GREY, GREEN = "#2f80c9", "#d55e00", "#808080", "#12926b"
PURPLE = "#a866b8"
SVG = ".svg"
DPI = 100  # pixels of a drawing in an inch
LARGEST = 350_000  # bytes of a picture in a page
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
class Figure:
    """A drawing, a picture or a film, with words for those who see it and for those who cannot.

    Attributes:
        content: a function that draws, called whenever the drawing is shown; or images
            (C, H, W) of one size: one is a picture, several are the frames of a film.
        alt: what is to be seen, with its numbers.
        caption: what to look at.
        size: of a drawing, width and height in inches; text has 12 points.
        fps: frames of a film in a second.
    """

    content: Draw | Sequence[Images]
    alt: str
    caption: str
    size: tuple[float, float] = (5.0, 3.5)
    fps: float = 10.0

    @property
    def frames(self) -> Sequence[Images]:
        """As pixels: one image, or the frames of a film."""
        if isinstance(self.content, Sequence):
            return self.content
        return [rasterised(self.content, self.size)]

    def save(self, path: Path) -> Path:
        """Writes it in the format that the ending of `path` names.

        A drawing may be .svg, too: it stands alone, with `alt` and the caption in it.

        Raises:
            FrenemyError: as `save_picture`, or of a film as `save_film`.
        """
        if path.suffix.lower() == SVG and not isinstance(self.content, Sequence):
            told = f"<title>{escape(self.alt)}</title>\n<desc>{escape(self.caption)}</desc>"
            svg = self._svg(self.content).replace(">", f">\n{told}", 1) + "\n"
            return write_atomically(path, lambda part: part.write_text(svg, "utf-8"))
        first, *rest = frames = self.frames
        return save_film(frames, path, fps=self.fps) if rest else save_picture(first, path)

    def html(self) -> str:
        """A <figure> that needs nothing else: an <svg> or <img> that `alt` describes, its caption.

        A picture is PNG; JPEG if that takes more than 350 kB, and smaller by steps if that does
        too, which the caption then says. A film stands still if the reader wants no motion.
        """
        if not isinstance(self.content, Sequence):
            shown, note = self._svg(self.content), ""
        elif len(self.content) > 1:
            shown, note = self._film(self.content), ""
        else:
            shown, note = self._picture(to_pillow(self.content[0]))
        caption = escape(self.caption + note)
        return f"<figure>\n{shown}\n<figcaption>{caption}</figcaption>\n</figure>"

    def _svg(self, draw: Draw) -> str:
        buffer = io.StringIO()
        # the identifiers in a page have to differ between its plots, and not between two runs
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": self.alt}):
            canvas = _canvas(draw, self.size)
            canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        svg = buffer.getvalue()
        svg = svg[svg.index("<svg ") :]
        svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
        # nothing refers to the names of groups, and all plots share them
        svg = re.sub(r'<g id="[^"]*"', "<g", svg)
        # a hundredth of a point is enough: in tags, and not in what is written on the axes
        svg = re.sub(r"<[^>]+>", _rounded, svg)
        svg = svg.replace(INK, "currentColor")
        label = f'<svg role="img" aria-label="{escape(self.alt)}" stroke-linejoin="round" '
        return svg.replace("<svg ", label, 1).strip()

    def _film(self, frames: Sequence[Images]) -> str:
        still = to_pillow(frames[-1])
        moving = encode_film(frames, ".webp", fps=self.fps, hold=2.0)
        return (
            f'<picture><source srcset="{_uri("png", _encoded(still, "png", optimize=True))}" '
            'media="(prefers-reduced-motion: reduce)">'
            f"{self._img(_uri('webp', moving), still)}</picture>"
        )

    def _picture(self, picture: Image.Image) -> tuple[str, str]:
        """An <img>, and what to add to the caption if it is not shown as it is."""
        data, kind, note = _encoded(picture, "png", optimize=True), "png", ""
        width = picture.width
        while len(data) > LARGEST:
            if kind == "jpeg":
                picture = picture.resize(
                    (max(1, picture.width * 3 // 4), max(1, picture.height * 3 // 4)),
                    Image.Resampling.LANCZOS,
                )
            data, kind = _encoded(picture, "jpeg", quality=88), "jpeg"
            share = picture.width / width
            note = " (Shown as JPEG" + (f", at {share:.0%} of its size.)" if share < 1 else ".)")
        return self._img(_uri(kind, data), picture), note

    def _img(self, uri: str, shown: Image.Image) -> str:
        size = f'width="{shown.width}" height="{shown.height}"'
        return f'<img src="{uri}" alt="{escape(self.alt)}" {size}>'


def require_drawing(path: Path, others: Sequence[str] = ()) -> None:
    """Refuses a place whose ending names nothing that a drawing can be, before it is drawn.

    Args:
        path: of the drawing.
        others: endings of what else could be written, for the message.

    Raises:
        FrenemyError: as `require_picture`, or as `require_place`.
    """
    if path.suffix.lower() != SVG:
        require_picture(path, others=f"; or {', '.join([SVG, *others])}")
    require_place(path)


def rasterised(draw: Draw, size: tuple[float, float], dpi: int = DPI) -> Images:
    """A drawing of so many inches as pixels, (3, H, W), in ink on white."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas(draw, size)
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _canvas(draw: Draw, size: tuple[float, float]) -> Canvas:
    canvas = Canvas(figsize=size, layout="constrained")
    draw(canvas)
    return canvas


def _rounded(tag: re.Match[str]) -> str:
    """The numbers of a tag to two places; what a link holds, such as pixels, is left alone."""
    return tag[0] if "base64" in tag[0] else re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0])


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(picture: Image.Image, format: str, **settings: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **settings)
    return buffer.getvalue()
