"""From what Pillow decodes to 8-bit grey or RGB, upright and of one size, maybe with opacity."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from frenemy.choices import Fit
from frenemy.data import png
from frenemy.data.levels import BYTES, SIXTEEN_BITS, Range
from frenemy.pictures import from_pillow, to_pillow

FORMATS: dict[str, tuple[bytes, type[ImageFile.ImageFile]]] = {
    "PNG": (rb"\x89PNG\r\n\x1a\n", PngImageFile),
    "JPEG": (rb"\xff\xd8\xff", JpegImageFile),
    "WEBP": (rb"RIFF....WEBP", WebPImageFile),
    "AVIF": (rb"....ftypavi[fs]", AvifImageFile),
    "BMP": (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", BmpImageFile),  # its header's length
    "GIF": (rb"GIF8[79]a", GifImageFile),
}
"""The formats that are read -> how their files start, and Pillow's class for them."""

DECODERS = " ".join(
    f"{name} {features.version(name)}" for name in ("pil", "jpg", "libjpeg_turbo", "webp", "avif")
)
"""The versions of all that decodes and resizes: others may make other pixels of a file."""

START = 18
"""Bytes by which a format is known."""

MAX_PIXELS = 1 << 26
"""The largest picture that is decoded (8192x8192): a quarter of a gigabyte as RGBA."""

MAX_SCALED = 1 << 28
"""The largest that is decoded to be scaled (16,384x16,384): in memory up to a gigabyte."""

LARGE = 1 << 24
"""Pixels above which pictures are decoded one at a time, whatever the number of threads."""

_STRIP = 1 << 22  # pixels that are converted at a time
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_ORIENTATION = 0x0112  # the EXIF tag

_large = threading.Lock()


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

    Its upright size and mode, whether it is grey, whether it may be transparent somewhere, and how
    it lies in the file: EXIF's orientation, 1 to 8.
    """

    width: int
    height: int
    mode: str
    grey: bool
    clear: bool
    orientation: int

    @property
    def range(self) -> Range:
        """What its pixels range over, if nobody says otherwise."""
        return SIXTEEN_BITS if self.mode in _SIXTEEN_BIT else BYTES


def is_picture(start: bytes) -> bool:
    """Whether a file that starts with these `START` bytes is a picture of a format that is read."""
    return _class_of(start) is not None


def opened(file: IO[bytes]) -> ImageFile.ImageFile:
    """The picture in a file, by the one parser that its first bytes name.

    Raises:
        ValueError: it is of no format that is read.
        Exception: whatever Pillow raises on damaged data.
    """
    file.seek(0)
    parser = _class_of(file.read(START))
    if parser is None:
        raise ValueError("is not a picture of a known format")
    file.seek(0)
    return parser(file)  # not Image.open, which refuses large ones before they can be scaled


def _class_of(start: bytes) -> type[ImageFile.ImageFile] | None:
    found = (parser for known, parser in FORMATS.values() if re.match(known, start, re.DOTALL))
    return next(found, None)


def header(image: Image.Image, resize: Resize | None) -> Header:
    """The header of an opened picture, whose pixels stay undecoded if they can.

    Raises:
        ValueError: it claims more pixels than are decoded, or none; or it is of a rare kind that
            Pillow decodes wrongly.
        Exception: whatever Pillow raises on damaged metadata.
    """
    width, height = image.size
    most = MAX_PIXELS if resize is None else MAX_SCALED
    if not 0 < width * height <= most:
        scaled = "" if resize else f" ({MAX_SCALED:,} with --size)"
        raise ValueError(
            f"claims {width:,}x{height:,} pixels; at most {most:,} are decoded{scaled}"
        )
    depth = png.depth(image)
    if depth == 16 and image.mode == "RGB" and "transparency" in image.info:
        raise ValueError("has colours of 16 bits, one of them transparent, which is not read")
    if isinstance(image, PngImageFile) and image.fp and png.has_late_metadata(image.fp):
        with _in_turn(image):
            image.load()
    if isinstance(image, AvifImageFile):
        image.info.pop("xmp", None)  # boxes of its own turn it, which Pillow tells as EXIF data
    # Not image.getexif(), which decodes any PNG that has no EXIF data before its pixels.
    orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    if orientation not in range(1, 9):
        orientation = 1
    if orientation > 4:
        width, height = height, width
    grey = _is_grey(image) or png.is_grey(image)
    return Header(width, height, image.mode, grey, image.has_transparency_data, orientation)


def decoded(
    image: Image.Image,
    seen: Header,
    *,
    grey: bool,
    resize: Resize | None,
    clear: bool = False,
    given: Range | None = None,
) -> NDArray[np.uint8]:
    """The pixels of an opened picture: uint8, (1, H, W) if `grey`, else (3, H, W).

    First its colours, which range over 0 .. 255, those of 16-bit grey over 0 .. 65535 (which
    Pillow's own conversion clips), or as `given`, become bytes. Then it is turned upright as its
    EXIF or XMP data say, and laid over white where it is transparent. If it is to stay `clear`,
    opacity is a channel more, and what nobody can see is white.

    Beside the decoder's own memory (4 bytes a pixel of colour), a large picture takes that of its
    result alone: it is converted strip by strip. If more than `MAX_PIXELS` are to be scaled, they
    are first averaged down to twice the size.

    Raises:
        ValueError: there are colours beyond the range that is given.
        Exception: whatever Pillow raises on damaged data.
    """
    if resize is not None and given is None:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 scale; twice the size keeps Lanczos's quality.
        image.draft(None, (2 * resize.size, 2 * resize.size))
    width, height = image.size
    factor = 1
    if resize is not None and width * height > MAX_PIXELS:
        factor = max(1, min(width, height) // (2 * resize.size))
    mode = ("L" if grey else "RGB") + ("A" if clear else "")
    shape = -(-height // factor), -(-width // factor), len(mode)
    with _in_turn(image):
        if not isinstance(image, PngImageFile):  # which forgets by it what is transparent
            image.load()  # before memory is taken for what it only claims
        pixels, top = np.empty(shape, np.uint8), 0
        for strip in _strips(image, factor, given):
            strip = _in_mode(strip, mode)
            strip = strip if factor == 1 else strip.reduce(factor)
            pixels[top : top + strip.height] = np.asarray(strip).reshape(*strip.size[::-1], -1)
            top += strip.height
        image.close()
        pixels = np.moveaxis(_upright(pixels, seen.orientation), -1, 0)
        if resize is not None:
            pixels = resize.array(pixels).copy()
    if clear:
        pixels[:-1, pixels[-1] == 0] = 255
    return pixels


def is_clear(image: ImageFile.ImageFile) -> bool:
    """Whether an opened picture is transparent somewhere, be it a little.

    Raises:
        Exception: as `decoded`.
    """
    if not image.has_transparency_data:
        return False
    with _in_turn(image):
        return any(
            strip.has_transparency_data
            and strip.convert("RGBA").getchannel("A").getextrema()[0] != 255
            for strip in _strips(image, 1)
        )


def luminance(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 (C, H, W) array as grey, (1, H, W): .299 R + .587 G + .114 B, of ITU-R BT.601.

    Opacity stays: of four channels two are left.

    >>> luminance(np.array([255, 0, 0], np.uint8).reshape(3, 1, 1))
    array([[[76]]], dtype=uint8)
    """
    if len(image) < 3:
        return image
    return np.concatenate([from_pillow(to_pillow(image[:3]).convert("L")), image[3:]])


def _in_turn(image: Image.Image) -> contextlib.AbstractContextManager[object]:
    return _large if image.width * image.height > LARGE else contextlib.nullcontext()


def _strips(image: Image.Image, factor: int, given: Range | None = None) -> Iterator[Image.Image]:
    """A picture from top to bottom in bytes, a multiple of `factor` rows at a time."""
    depth = png.depth(image)
    image.load()
    width, height = image.size
    rows = max(_STRIP // width // factor, 1) * factor
    padded = (  # a 32-bit BMP's fourth byte, which means nothing in most
        isinstance(image, BmpImageFile)
        and image.mode == "RGBA"
        and image.getchannel("A").getextrema()[1] == 0
    )
    for top in range(0, height, rows):
        whole = rows >= height
        strip = image if whole else image.crop((0, top, width, min(top + rows, height)))
        yield _in_bytes(strip.convert("RGB") if padded else strip, depth, given)


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P" and image.palette is not None:
        # As it lies in the file: Pillow's getpalette() would decode the picture.
        entries = np.frombuffer(bytes(image.palette.palette), np.uint8)
        colours = entries.reshape(-1, len(image.palette.rawmode or "RGB"))[:, :3]
        return bool((colours == colours[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", *_SIXTEEN_BIT)


def _in_bytes(image: Image.Image, depth: int, given: Range | None) -> Image.Image:
    """With colours of 0 .. 255; a PNG's grey that is transparent becomes mode LA.

    Args:
        image: a picture or a part of it.
        depth: as of `png.depth`.
        given: what its colours range over.
    """
    value = image.info.get("transparency") if depth else None
    sixteen, grey = image.mode in _SIXTEEN_BIT, image.mode in ("1", "L")
    if sixteen or (grey and value is not None):
        pixels = np.asarray(image, np.uint16 if sixteen else None)
        if image.mode == "1":
            pixels = pixels * np.uint8(255)
        pixels = pixels[None]
        if value is not None:
            most = (1 << depth) - 1  # Pillow spreads 1, 2 and 4 bits over 8, but not this value
            key = (value & most) * (1 if sixteen else 255 // most)
            opacity = np.where(pixels == key, 0, 255).astype(pixels.dtype)
            pixels = np.concatenate([pixels, opacity])
    elif given is not None:
        pixels = from_pillow(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    else:
        return image
    return to_pillow((given or (SIXTEEN_BITS if sixteen else BYTES)).picture_to_bytes(pixels))


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """As L, LA, RGB or RGBA; without A laid over white."""
    if mode.endswith("A"):
        image = image.convert("RGBA")  # from a palette, LA would lose its transparency
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image if image.mode == mode else image.convert(mode)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """(H, W, C) turned by EXIF's orientation: 5 to 8 swap the axes, then both may be flipped."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    right = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::down, ::right]
