"""From whatever Pillow opens to 8-bit grey or RGB, upright and of one size, maybe with opacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile

from frenemy.choices import Fit
from frenemy.pictures import from_pillow, to_pillow

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")

MAX_PIXELS = 1 << 26
"""The largest picture that is decoded (8192x8192): a quarter of a gigabyte as RGBA."""

_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 swap width and height
_PNG_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # of text that may hold it


@dataclass(frozen=True)
class Resize:
    """Bring an image to `size` x `size` with Pillow's antialiased Lanczos filter.

    "crop" keeps the proportions: the centre square, its side the image's shorter one, is resized.
    "stretch" resizes width and height each on its own.
    """

    size: int
    fit: Fit

    def __call__(self, image: Image.Image) -> Image.Image:
        """`image`, of mode L, LA, RGB or RGBA, at `size` x `size`."""
        width, height = image.size
        left, top = 0, 0
        if self.fit == "crop":
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            width = height = side
        # The box, not a crop after resizing: a strip of 1 x 60,000,000 would be resized to
        # size x 60,000,000 * size first.
        return image.resize(
            (self.size, self.size),
            Image.Resampling.LANCZOS,
            box=(left, top, left + width, top + height),
        )

    def array(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same for a uint8 (C, H, W) array; returns (C, size, size)."""
        return from_pillow(self(to_pillow(image)))


class Header(NamedTuple):
    """What a picture says of itself before it is decoded.

    Its upright size and mode, whether it is grey, and whether it may be transparent somewhere.
    """

    width: int
    height: int
    mode: str
    grey: bool
    clear: bool


def header(image: Image.Image) -> Header:
    """The header of an opened picture, whose pixels stay undecoded if they can.

    Raises:
        ValueError: if it claims more than `MAX_PIXELS` pixels, or none.
    """
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"claims {width:,}x{height:,} pixels; at most {MAX_PIXELS:,} are decoded")
    if isinstance(image, PngImageFile) and image.fp and _has_late_metadata(image.fp):
        image.load()
    # Not image.getexif(), which decodes any PNG that has no EXIF data before its pixels.
    if Image.Image.getexif(image).get(_ORIENTATION, 1) in (5, 6, 7, 8):
        width, height = height, width
    return Header(width, height, image.mode, _is_grey(image), image.has_transparency_data)


def decoded(
    image: Image.Image, *, grey: bool, resize: Resize | None, clear: bool = False
) -> NDArray[np.uint8]:
    """The pixels of an opened picture: uint8, (1, H, W) if `grey`, else (3, H, W).

    The picture is turned upright as its EXIF or XMP data say, laid over white where it is
    transparent, and 16-bit grey is divided by 257 (Pillow's own conversion clips it). If it is to
    stay `clear`, opacity is a channel more, and what nobody can see is white.

    Raises:
        Exception: whatever Pillow raises on damaged data.
    """
    if resize is not None:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 scale; twice the size keeps Lanczos's quality.
        image.draft(None, (2 * resize.size, 2 * resize.size))
    image = _of_eight_bits(ImageOps.exif_transpose(image))
    if clear:
        image = image.convert("RGBA")  # from a palette, LA would lose its transparency
        image = image.convert("LA") if grey else image
    else:
        image = _opaque(image).convert("L" if grey else "RGB")
    pixels = from_pillow(image if resize is None else resize(image))
    if clear:
        colours = np.where(pixels[-1:] > 0, pixels[:-1], np.uint8(255))
        pixels = np.concatenate([colours, pixels[-1:]])
    return pixels


def is_clear(image: Image.Image) -> bool:
    """Whether an opened picture is transparent somewhere, be it a little.

    Raises:
        Exception: as `decoded`.
    """
    if not image.has_transparency_data:
        return False
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def luminance(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 (C, H, W) array as grey, (1, H, W): .299 R + .587 G + .114 B, of ITU-R BT.601.

    Opacity stays: of four channels two are left.

    >>> luminance(np.array([255, 0, 0], np.uint8).reshape(3, 1, 1))
    array([[[76]]], dtype=uint8)
    """
    if len(image) < 3:
        return image
    return np.concatenate([from_pillow(to_pillow(image[:3]).convert("L")), image[3:]])


def _has_late_metadata(file: IO[bytes]) -> bool:
    """Whether a PNG has EXIF or XMP data behind its pixels; Pillow reads them after decoding."""
    before, position, late = file.tell(), 8, False
    try:
        while True:
            file.seek(position)
            start = file.read(40)
            length, kind = int.from_bytes(start[:4], "big"), start[4:8]
            if not kind.isalpha() or kind == b"IEND":
                return False
            if late and (kind == b"eXIf" or start[8:].startswith(_PNG_KEYWORDS)):
                return True
            late = late or kind == b"IDAT"
            position += length + 12
    finally:
        file.seek(before)


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P" and image.palette is not None:
        # As it lies in the file: Pillow's getpalette() would decode the picture.
        entries = np.frombuffer(bytes(image.palette.palette), np.uint8)
        colours = entries.reshape(-1, len(image.palette.rawmode or "RGB"))[:, :3]
        return bool((colours == colours[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", *_SIXTEEN_BIT)


def _of_eight_bits(image: Image.Image) -> Image.Image:
    if image.mode not in _SIXTEEN_BIT:
        return image
    wide = np.asarray(image, np.uint32)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white
