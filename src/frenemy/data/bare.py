"""A picture without its metadata: what its pixels need, and nothing that a parser could refuse.

Text, EXIF data and colour profiles may be damaged, or larger than Pillow reads, in a picture whose
pixels are whole.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG_SEGMENTS = (*range(0xE1, 0xEE), 0xEF, 0xFE)  # not APP0 and APP14, which tell of colours
_JPEG_SCAN = 0xDA
_WEBP_CHUNKS = (b"EXIF", b"XMP ", b"ICCP")
_WEBP_FLAGS = 0x20 | 0x08 | 0x04  # of VP8X: it has a profile, EXIF data, XMP data


def without_metadata(file: IO[bytes]) -> IO[bytes] | None:
    """The same picture without metadata, in memory; None if it has none, or is of another format.

    Chunks as of the PNG specification (W3C, 2003), segments as of JPEG (ITU-T T.81, 1992), and
    WebP's container (Google, 2010).
    """
    file.seek(0)
    data = memoryview(file.read())
    if data[:8] == _PNG:
        kept = _png(data)
    elif data[:2] == b"\xff\xd8":
        kept = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kept = _webp(data)
    else:
        return None
    bare = b"".join(kept)
    return io.BytesIO(bare) if len(bare) < len(data) else None


def _png(data: memoryview) -> Iterator[bytes | memoryview]:
    yield data[:8]
    position = 8
    while position + 8 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] in _PNG_CHUNKS:
            yield data[position:end]
        position = end


def _jpeg(data: memoryview) -> Iterator[bytes | memoryview]:
    yield data[:2]
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _JPEG_SCAN:
        if data[position + 1] == 0xFF:  # any number of these may stand before a marker
            position += 1
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] not in _JPEG_SEGMENTS:
            yield data[position:end]
        position = end
    yield data[position:]


def _webp(data: memoryview) -> Iterator[bytes | memoryview]:
    kept: list[bytes | memoryview] = []
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        end = position + 8 + length + length % 2
        chunk = data[position:end]
        if chunk[:4] == b"VP8X" and len(chunk) > 8:
            kept += [chunk[:8], bytes([chunk[8] & ~_WEBP_FLAGS]), chunk[9:]]
        elif chunk[:4] not in _WEBP_CHUNKS:
            kept.append(chunk)
        position = end
    yield b"RIFF" + struct.pack("<I", 4 + sum(map(len, kept))) + b"WEBP"
    yield from kept
