"""Pages of one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from frenemy.pictures import Images, encode_film, to_pillow

LARGEST = 350_000  # bytes of a picture in a page


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


def img(image: Images, alt: str) -> tuple[str, str]:
    """One image (C, H, W) as an <img>, and what to add to its caption if it is not shown as it is.

    PNG; JPEG if that takes more than 350 kB, and smaller by steps if that does too.
    """
    picture = to_pillow(image)
    data, kind, note = _encoded(picture, "png", optimize=True), "png", ""
    while len(data) > LARGEST:
        if kind == "jpeg":
            picture = picture.resize(
                (max(1, picture.width * 3 // 4), max(1, picture.height * 3 // 4)),
                Image.Resampling.LANCZOS,
            )
        data, kind = _encoded(picture, "jpeg", quality=88), "jpeg"
        share = picture.width / image.shape[2]
        note = " (Shown as JPEG" + (f", at {share:.0%} of its size.)" if share < 1 else ".)")
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="{_uri(kind, data)}" alt="{html.escape(alt)}" {size}>', note


def film(frames: Sequence[Images], alt: str, fps: float) -> str:
    """Frames (C, H, W) of one size as an <img> that moves, unless the reader wants no motion."""
    height, width = frames[-1].shape[1:]
    still = _encoded(to_pillow(frames[-1]), "png", optimize=True)
    moving = encode_film(frames, ".webp", fps=fps, hold=2.0)
    return (
        f'<picture><source srcset="{_uri("png", still)}" media="(prefers-reduced-motion: reduce)">'
        f'<img src="{_uri("webp", moving)}" alt="{html.escape(alt)}" '
        f'width="{width}" height="{height}"></picture>'
    )


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(picture: Image.Image, format: str, **settings: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **settings)
    return buffer.getvalue()
