"""What a PNG's chunks say that Pillow does not tell, or gets wrong."""

from __future__ import annotations

from typing import IO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # of text that may hold a rotation
_GREY = (0, 4)  # colour types: grey, grey with opacity


def depth(image: Image.Image) -> int:
    """Bits a sample in an opened PNG that is not decoded yet; 0 of other formats."""
    return _ihdr(image)[0]


def is_grey(image: Image.Image) -> bool:
    """Whether an opened PNG is grey; Pillow takes 16-bit grey with opacity for colour."""
    return _ihdr(image)[1] in _GREY


def _ihdr(image: Image.Image) -> tuple[int, int]:
    """Bit depth and colour type, in the last bytes of the first chunk's fixed places."""
    if not isinstance(image, PngImageFile) or image.fp is None:
        return 0, -1
    before = image.fp.tell()
    image.fp.seek(24)
    bits, colour = image.fp.read(2)
    image.fp.seek(before)
    return bits, colour


def has_late_metadata(file: IO[bytes]) -> bool:
    """Whether a PNG has EXIF or XMP data behind its pixels; Pillow reads them after decoding."""
    before, position, late = file.tell(), 8, False
    try:
        while True:
            file.seek(position)
            start = file.read(40)
            length, kind = int.from_bytes(start[:4], "big"), start[4:8]
            if not kind.isalpha() or kind == b"IEND":
                return False
            if late and (kind == b"eXIf" or start[8:].startswith(_KEYWORDS)):
                return True
            late = late or kind == b"IDAT"
            position += length + 12
    finally:
        file.seek(before)
