"""Pictures of rare kinds and sizes: right values, or left out by name."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from frenemy.data import describe, open_images, pixels, read_picture
from frenemy.data.bare import without_metadata
from frenemy.data.dataset import Unopened
from frenemy.errors import FrenemyError

from .data_files import some_images


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, depth, colour, rows, extra=b""):
    """A PNG of these packed rows, all of its width 8."""
    head = struct.pack(">IIBBBBB", 8, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def packed(values, depth):
    """Rows of grey values of `depth` bits, as the PNG specification packs them."""
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in values]
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    return [np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in bits]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_with_a_transparent_value(tmp_path, depth):
    most = (1 << depth) - 1
    values = np.random.default_rng(depth).integers(0, most + 1, (6, 8))
    key = most // 3
    values[0] = key
    values[1] = most - key
    png(tmp_path / "a.png", depth, 0, packed(values, depth), chunk(b"tRNS", struct.pack(">H", key)))
    eight = np.rint(values / most * 255)
    white = np.where(values == key, 255, eight)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", grey=True), [white])
    found = read_picture(tmp_path / "a.png", grey=True, opaque=False)
    np.testing.assert_array_equal(found, [white, np.where(values == key, 0, 255)])
    np.testing.assert_array_equal(open_images(tmp_path).images[0], found)


def test_sixteen_bits_with_opacity_are_grey_if_they_are(tmp_path):
    values = np.random.default_rng(0).integers(256, 65536, (6, 8, 2))  # none quite transparent
    png(tmp_path / "a.png", 16, 4, [row.astype(">u2").tobytes() for row in values])
    found = open_images(tmp_path).images[0]
    assert found.shape == (2, 6, 8)
    assert np.abs(np.moveaxis(found, 0, -1) - values / 257).max() <= 1  # Pillow drops low bytes


def test_colours_of_sixteen_bits(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (6, 8, 3))
    rows = [row.astype(">u2").tobytes() for row in values]
    png(tmp_path / "a.png", 16, 2, rows)
    found = read_picture(tmp_path / "a.png")
    assert np.abs(np.moveaxis(found, 0, -1) - values / 257).max() <= 1  # Pillow drops low bytes
    png(tmp_path / "b.png", 16, 2, rows, chunk(b"tRNS", struct.pack(">HHH", *values[0, 0])))
    assert describe(tmp_path).unreadable == {
        "b.png": "has colours of 16 bits, one of them transparent, which is not read"
    }


@pytest.mark.parametrize(("opacity", "transparent"), [(0, False), (7, True)])
def test_a_bitmap_whose_fourth_byte_is_padding(tmp_path, opacity, transparent):
    colours = np.moveaxis(some_images(1, 5, 4, 3)[0], 0, -1)
    fourth = np.full((5, 4, 1), opacity, np.uint8)
    bgra = np.concatenate([colours[..., ::-1], fourth], -1)[::-1].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, 4, 5, 1, 32, 3, len(bgra), 0, 0, 0, 0)
    info += masks + bytes(108 - 40 - 16)
    head = struct.pack("<2sIHHI", b"BM", 14 + 108 + len(bgra), 0, 0, 14 + 108)
    (tmp_path / "a.bmp").write_bytes(head + info + bgra)
    assert open_images(tmp_path).images.shape[1] == 3 + transparent
    if not transparent:
        np.testing.assert_array_equal(np.moveaxis(read_picture(tmp_path / "a.bmp"), 0, -1), colours)


# ---- metadata


BROKEN = b"Exif\0\0\0\x08\0\x02\x01\x12\0\x03"


def text(kind):
    info = PngImagePlugin.PngInfo()
    if kind == "zTXt":
        info.add_text("workflow", "x" * 2_000_000, zip=True)
    elif kind == "iTXt":
        info.add_itxt("XML:com.adobe.xmp", "x" * 2_000_000, zip=True)
    else:
        info.add_text("Raw profile type exif", "\nexif\n3\nno hexadecimal\n")
    return {"pnginfo": info}


METADATA = {
    "a.png": {"exif": BROKEN},
    "b.png": {"exif": b"Exif\0\0b'Exif\\x00\\x00MM'"},
    "c.webp": {"exif": BROKEN, "lossless": True},
    "d.jpg": {"exif": b"Exif\0\0MM\0*\xff\xff\xff\xff", "quality": 100, "subsampling": 0},
    "e.png": text("zTXt"),
    "f.png": text("iTXt"),
    "g.png": text("tEXt"),
    "h.png": {"icc_profile": bytes(3_000_000)},
    "i.webp": {"exif": BROKEN, "xmp": b"<x>", "icc_profile": bytes(300), "lossless": True},
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # as they are written
@pytest.mark.parametrize("name", METADATA)
def test_pixels_are_read_whatever_the_metadata(tmp_path, name):
    image = some_images(1, 16, 16, 3)[0]
    picture = Image.fromarray(np.moveaxis(image, 0, -1))
    picture.save(tmp_path / name, **METADATA[name])
    plain = io.BytesIO()
    picture.save(
        plain,
        name[2:].upper().replace("JPG", "JPEG"),
        **{
            key: value
            for key, value in METADATA[name].items()
            if key in ("quality", "subsampling", "lossless")
        },
    )
    expected = np.moveaxis(np.asarray(Image.open(plain)), -1, 0)
    np.testing.assert_array_equal(read_picture(tmp_path / name), expected)
    report = describe(tmp_path)
    assert (report.count, dict(report.unreadable)) == (1, {})
    assert report.note.endswith(f"on their sides: {name}")


def test_what_lost_its_metadata_is_warned_of(tmp_path, cache):
    for i in range(5):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png", exif=BROKEN)
    with pytest.warns(
        UserWarning, match=r"metadata cannot be read.*sides: 0\.png, 1\.png, 2\.png and 2 m"
    ):
        open_images(tmp_path)


def test_a_rotation_is_kept_though_text_behind_the_pixels_cannot_be_read(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(some_images(1, 4, 6)[0, 0]).save(tmp_path / "a.png", exif=exif)
    data = (tmp_path / "a.png").read_bytes()
    late = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2_000_000)))
    (tmp_path / "a.png").write_bytes(data[:-12] + late + data[-12:])
    upright = np.rot90(some_images(1, 4, 6)[0, 0], -1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", grey=True), [upright])


@pytest.mark.parametrize("how", [{"format": "PNG"}, {"format": "JPEG"}, {"format": "WEBP"}])
def test_taking_metadata_away_leaves_the_pixels(how):
    picture = Image.fromarray(np.moveaxis(some_images(1, 16, 16, 3)[0], 0, -1))
    exif = Image.Exif()
    exif[0x010E] = "told"
    with_them, without = io.BytesIO(), io.BytesIO()
    picture.save(with_them, exif=exif, icc_profile=bytes(300), **how)
    picture.save(without, **how)
    bare = Image.open(without_metadata(with_them))
    assert not {"exif", "icc_profile"} & set(bare.info)
    np.testing.assert_array_equal(np.asarray(bare), np.asarray(Image.open(without)))
    assert without_metadata(without_metadata(with_them)) is None
    assert without_metadata(io.BytesIO(b"BM, no picture")) is None


# ---- large pictures


def test_what_is_too_large_is_scaled_where_a_size_is_given(tmp_path, monkeypatch):
    smooth = Image.radial_gradient("L").resize((96, 64))
    for name in ("a.png", "b.jpg", "c.bmp"):
        smooth.save(tmp_path / name, quality=95)
    expected = {name: read_picture(tmp_path / name, size=8) for name in ("a.png", "b.jpg", "c.bmp")}
    monkeypatch.setattr(pixels, "MAX_PIXELS", 4000)
    for name, before in expected.items():
        scaled = read_picture(tmp_path / name, size=8)
        assert np.abs(scaled.astype(int) - before).max() <= 3  # of a gradient, averaged first
        with pytest.raises(FrenemyError, match=r"claims 96x64 pixels; at most 4,000 are decoded"):
            read_picture(tmp_path / name)
    assert Unopened(tmp_path).native() == ((1, 64, 96), 64)  # by which a size is chosen
    monkeypatch.setattr(pixels, "MAX_SCALED", 6000)
    with pytest.raises(FrenemyError, match=r"claims 96x64 pixels; at most 6,000 are decoded; give"):
        read_picture(tmp_path / "a.png", size=8)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_strips_are_as_the_whole(tmp_path, monkeypatch, mode, fit, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgba = Image.fromarray(np.moveaxis(some_images(1, 37, 23, 4)[0], 0, -1))
    rgba.convert("RGB").convert(mode).save(tmp_path / "a.png", exif=exif)
    ways = [{"size": size, "opaque": opaque} for size in (None, 9) for opaque in (True, False)]
    whole = [read_picture(tmp_path / "a.png", fit=fit, **how) for how in ways]
    monkeypatch.setattr(pixels, "_STRIP", 23 * 5)
    for how, expected in zip(ways, whole, strict=True):
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png", fit=fit, **how), expected)


def test_a_claim_of_many_pixels_is_refused_in_one_line(tmp_path):
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    for size in (None, 64):
        with pytest.raises(
            FrenemyError, match=r"^.*a\.png: claims 60,000x60,000 pixels; .*picture"
        ):
            read_picture(tmp_path / "a.png", size=size)
        with pytest.raises(FrenemyError, match=r"a\.png: claims 60,000x60,000 pixels"):
            open_images(tmp_path, size=size)


MEMORY = """
import resource, sys
from frenemy.data import read_picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_picture(sys.argv[1], opaque=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss")
def test_a_large_picture_takes_its_own_memory_and_that_of_its_pixels(tmp_path):
    side = 3000
    Image.new("RGBA", (side, side), (1, 2, 3, 4)).save(tmp_path / "a.png", compress_level=1)
    run = [sys.executable, "-c", MEMORY, str(tmp_path / "a.png")]
    taken = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout) * 1024
    # Both are 4 bytes a pixel, and conversions take a dozen strips of 4 bytes a pixel.
    assert taken < 2 * 4 * side**2 + 12 * 4 * pixels._STRIP
