import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from frenemy.data import describe, open_dataset, open_images, read_picture
from frenemy.data.detect import find
from frenemy.data.pixels import MAX_PIXELS, MAX_SCALED, Resize
from frenemy.errors import FrenemyError

from .data_files import all_of


@pytest.fixture
def pictures(tmp_path):
    """An empty folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def only(folder, size=None, fit="crop", **how):
    """The one image of a folder as decoded."""
    contents = find(folder).read(None if size is None else Resize(size, fit), **how)
    assert (contents.count, dict(contents.unreadable)) == (1, {})
    return contents.decode(0)


def noise(mode="RGB", size=(6, 4)):
    channels = len(Image.new(mode, (1, 1)).getbands())
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.frombytes(mode, size, pixels.tobytes())


def planes(image):
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def save_many(folder, count=10, size=(8, 8), mode="L"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    for i in range(count):
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / f"{i}.png")


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "PNG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_formats(pictures, suffix, mode):
    noise(mode).save(pictures / f"a.{suffix}", lossless=True)
    expected = planes(noise(mode))
    if suffix == "webp" and mode == "L":  # WebP knows colour only
        expected = np.repeat(expected, 3, axis=0)
    np.testing.assert_array_equal(only(pictures), expected)


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("jpg", "L"), ("jpg", "RGB"), ("jpg", "CMYK"), ("avif", "L"), ("avif", "RGB")],
)
def test_lossy_formats(pictures, suffix, mode):
    smooth = Image.linear_gradient("L").resize((64, 64)).convert(mode)
    smooth.save(pictures / f"a.{suffix}", quality=95)
    expected = planes(smooth.convert("L" if mode == "L" else "RGB")).astype(int)
    assert np.abs(only(pictures) - expected).max() < 8


def test_black_and_white(pictures):
    bits = Image.fromarray(np.eye(5, dtype=bool))
    bits.save(pictures / "a.png")
    np.testing.assert_array_equal(only(pictures), 255 * np.eye(5, dtype=np.uint8)[None])


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp"])
def test_colour_palette(pictures, suffix):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    image.save(pictures / f"a.{suffix}")
    np.testing.assert_array_equal(only(pictures)[:, 0], 255 * np.eye(3, dtype=np.uint8))


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp"])
def test_grey_palette_is_grey(pictures, suffix):
    image = Image.new("P", (3, 1))
    image.putpalette([200, 200, 200, 7, 7, 7, 90, 90, 90])
    image.putdata([0, 1, 2])
    image.save(pictures / f"a.{suffix}")
    np.testing.assert_array_equal(only(pictures), [[[200, 7, 90]]])


def test_first_frame_of_a_gif(pictures):
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    frames[0].save(pictures / "a.gif", save_all=True, append_images=frames[1:])
    assert np.unique(only(pictures)).tolist() == [10]


def test_sixteen_bits_are_scaled(pictures):
    values = np.array([[0, 128, 129, 257, 1000, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(pictures / "a.png")
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(only(pictures), expected[None])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(pictures, mode):
    image = noise(mode)
    image.save(pictures / "a.png")
    *colours, alpha = planes(image).astype(float)
    expected = (np.array(colours) * alpha + 255 * (255 - alpha)) / 255
    found = only(pictures, opaque=True)
    assert np.abs(found - expected).max() <= 1
    assert len(found) == len(colours)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opacity_stays_and_what_nobody_sees_is_white(pictures, mode):
    pixels = np.asarray(noise(mode)).copy()
    pixels[..., -1] = np.maximum(pixels[..., -1], 1)
    pixels[:2, :, -1] = 0
    Image.fromarray(pixels).save(pictures / "a.png")
    pixels[:2, :, :-1] = 255
    # a level: grey and colour are Pillow's own conversions of one another
    assert np.abs(only(pictures).astype(int) - planes(pixels)).max() <= 1
    grey = only(pictures, grey=True)
    assert grey.shape == (2, 4, 6) and np.array_equal(grey[1], pixels[..., -1])


def test_resized_pictures_take_no_colour_from_what_is_transparent(pictures):
    pixels = np.full((32, 32, 4), (255, 0, 0, 0), np.uint8)  # red that nobody sees
    pixels[8:24, 8:24] = (0, 0, 255, 255)
    Image.fromarray(pixels).save(pictures / "a.png")
    *colours, opacity = only(pictures, 8)
    seen = opacity > 16  # 8 bits of a colour times its opacity leave a level in 16
    assert seen.sum() >= 16 and (opacity == 0).any()
    assert np.abs(np.stack(colours)[:, seen].T - [0.0, 0, 255]).max() <= 16


@pytest.mark.parametrize(("clear", "channels"), [(0, 3), (4, 3), (5, 3), (6, 4), (10, 4)])
def test_opacity_is_kept_where_most_pictures_are_transparent(tmp_path, cache, clear, channels):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(10):
        pixels = np.asarray(noise("RGBA")).copy()
        pixels[..., 3] = 255  # opaque, whatever its mode
        pixels[0, 0, 3] = 254 if i < clear else 255
        Image.fromarray(pixels).save(folder / f"{i}.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = open_dataset(folder)
    assert data.shape == (channels, 4, 6)
    assert ("with opacity" in data.description) == (channels == 4)
    said = [str(warning.message) for warning in caught]
    mixed = f"about {clear} of 10 pictures are transparent somewhere, and not most"
    assert [mixed in line for line in said] == [True] * (0 < clear < 6)
    assert open_dataset(folder, opaque=True).shape == (3, 4, 6)


def test_a_transparent_palette_entry_is_white(pictures):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    image.save(pictures / "a.png", transparency=0)
    white = only(pictures, opaque=True)[:, 0]
    np.testing.assert_array_equal(white, [[255, 0], [255, 255], [255, 0]])
    np.testing.assert_array_equal(only(pictures)[:, 0], [*white, [0, 255]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_exif_rotation(pictures, orientation, suffix):
    noise().save(pictures / f"a.{suffix}", exif=exif(orientation), lossless=True)
    x = np.asarray(noise())
    upright = {
        1: x,
        2: x[:, ::-1],
        3: x[::-1, ::-1],
        4: x[::-1],
        5: x.transpose(1, 0, 2),
        6: np.rot90(x, -1),
        7: x[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(x),
    }[orientation]
    contents = find(pictures).read(None)
    assert contents.shape == (3, *upright.shape[:2])
    np.testing.assert_array_equal(contents.decode(0), np.moveaxis(upright, -1, 0))


def xmp(orientation):
    return f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode()


def exif(orientation):
    told = Image.Exif()
    told[0x0112] = orientation
    return told


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "by"), [("jpg", "xmp"), ("webp", "xmp"), ("avif", "exif")])
def test_rotation_of_lossy_formats(pictures, orientation, suffix, by):
    left = Image.new("L", (6, 4))
    left.paste(255, (0, 0, 2, 4))  # a bar at the left
    told = {"xmp": xmp, "exif": exif}[by](orientation)
    left.save(pictures / f"a.{suffix}", quality=95, lossless=True, **{by: told})
    contents = find(pictures).read(None)
    upright = contents.decode(0)
    assert contents.shape == upright.shape
    assert upright.shape[1:] == ((6, 4) if orientation > 4 else (4, 6))
    side = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom"}
    x = upright[0].astype(int)
    bright = {"left": x[:, 0], "right": x[:, -1], "top": x[0], "bottom": x[-1]}
    means = {name: edge.mean() for name, edge in bright.items()}
    assert max(means, key=means.__getitem__) == side.get(orientation, "bottom")


def test_an_avif_is_not_turned_by_xmp(pictures):
    noise().save(pictures / "a.avif", xmp=xmp(6))
    assert find(pictures).read(None).shape == (3, *np.asarray(noise()).shape[:2])


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


LATE = {
    "eXIf": png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06" + bytes(6)),
    "XMP": png_chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp(6)),
    "another": png_chunk(b"tEXt", b"date:create\0today"),
}


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("where", ["IDAT", "IEND"])
def test_png_rotation_before_and_behind_the_pixels(pictures, monkeypatch, late, where):
    noise().save(pictures / "a.png")
    data = (pictures / "a.png").read_bytes()
    at = data.index(where.encode()) - 4
    (pictures / "a.png").write_bytes(data[:at] + LATE[late] + data[at:])
    loads, load = [], PngImageFile.load
    monkeypatch.setattr(PngImageFile, "load", lambda self: (loads.append(1), load(self))[1])
    contents = find(pictures).read(None)
    assert len(loads) == (late != "another" and where == "IEND")  # a header costs no decoding
    assert contents.shape == ((3, 4, 6) if late == "another" else (3, 6, 4))
    assert contents.shape == contents.decode(0).shape


def test_a_grey_palette_is_grey_whatever_stands_behind_the_pixels(pictures):
    image = Image.new("P", (3, 1))
    image.putpalette([200, 200, 200, 7, 7, 7, 90, 90, 90])
    image.save(pictures / "a.png", transparency=b"\0\xff\xff")
    data = (pictures / "a.png").read_bytes()
    (pictures / "a.png").write_bytes(data[:-12] + LATE["eXIf"] + data[-12:])
    assert find(pictures).read(None).shape == (2, 3, 1)
    assert find(pictures).read(None, opaque=True).shape == (1, 3, 1)


def test_grey_only_if_all_are(pictures):
    noise("L").save(pictures / "a.png")
    assert find(pictures).read(None).shape == (1, 4, 6)
    noise("RGB").save(pictures / "b.png")
    assert find(pictures).read(None).shape == (3, 4, 6)


def test_crop_takes_the_centre_square(pictures):
    noise(size=(10, 4)).save(pictures / "a.png")
    expected = planes(noise(size=(10, 4)))[:, :, 3:7]
    np.testing.assert_array_equal(only(pictures, 4), expected)
    assert only(pictures, 3).shape == (3, 3, 3)


def test_stretch_takes_the_whole(pictures):
    image = noise(size=(10, 4))
    image.save(pictures / "a.png")
    expected = planes(image.resize((5, 5), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(only(pictures, 5, "stretch"), expected)


def test_shrinking_is_antialiased(pictures):
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(pictures / "a.png")
    assert np.abs(only(pictures, 8).astype(int) - 127).max() < 12


def test_big_jpegs_shrink_alike(pictures):
    # They are decoded at a smaller scale first, which must not show.
    smooth = Image.radial_gradient("L").resize((1024, 800))
    smooth.save(pictures / "a.jpg", quality=95)
    expected = Resize(32, "crop")(Image.open(pictures / "a.jpg"))
    assert np.abs(only(pictures, 32) - planes(expected).astype(int)).max() <= 2


def test_a_strip_costs_no_memory(pictures):
    Image.new("L", (1, 5_000_000), 9).save(pictures / "a.png")
    assert only(pictures, 64).shape == (1, 64, 64)


def test_class_folders(tmp_path, cache):
    for k, name in enumerate(("cat", "dog", "emu")):
        save_many(tmp_path / "set" / name, 10 + k)
    save_many(tmp_path / "set" / "emu" / "young", 5)
    dataset = open_dataset(tmp_path / "set")
    labels = all_of(dataset)[1]
    assert dataset.train.classes == ("cat", "dog", "emu")
    assert np.bincount(labels).tolist() == [10, 11, 17]
    assert dataset.description == "image folder, 38 images 8x8 grey, 3 classes"
    cat = {np.asarray(Image.open(x)).tobytes() for x in (tmp_path / "set" / "cat").iterdir()}
    images = all_of(dataset)[0]
    assert {x.tobytes() for x in images[labels == 0]} == cat


def pixels_in(folder):
    """The bytes of the pictures in a folder and below it."""
    return {np.asarray(Image.open(x)).tobytes() for x in folder.rglob("*.png")}


def test_a_set_in_parts_keeps_them(tmp_path, cache):
    folder = tmp_path / "set"
    for part, count in (("Train", 40), ("val", 7), ("test", 9)):
        for k, name in enumerate(("cat", "dog")):
            save_many(folder / part / name, count + k)
    dataset = open_dataset(folder)
    assert dataset.description == "image folder, 81 + 15 + 19 images 8x8 grey, 2 classes"
    assert dataset.train.classes == ("cat", "dog")
    for source, name in ((dataset.train, "Train"), (dataset.valid, "val"), (dataset.test, "test")):
        assert {x.tobytes() for x in source.images} == pixels_in(folder / name)
        for label, animal in enumerate(("cat", "dog")):
            animals = source.images[source.labels == label]
            assert {x.tobytes() for x in animals} == pixels_in(folder / name / animal)
        changes = np.count_nonzero(np.diff(source.labels))
        assert changes > 1  # not class after class: a slice is a fair sample
    assert describe(folder).parts == {"train": 81, "valid": 15, "test": 19}


@pytest.mark.parametrize("name", ["validation", "testing"])
def test_the_one_part_beside_train_is_the_test_part(tmp_path, cache, name):
    save_many(tmp_path / "set" / "training", 24)
    save_many(tmp_path / "set" / name, 5)
    dataset = open_dataset(tmp_path / "set")
    assert [len(x) for x in (dataset.train, dataset.valid, dataset.test)] == [20, 4, 5]
    assert {x.tobytes() for x in dataset.test.images} == pixels_in(tmp_path / "set" / name)
    assert dataset.train.name == "set train[0:20]"
    assert dataset.train.labels is None


def test_a_damaged_picture_leaves_its_own_part(tmp_path, cache):
    for part, count in (("train", 12), ("valid", 4), ("test", 5)):
        save_many(tmp_path / "set" / part, count)
    (tmp_path / "set" / "valid" / "2.png").write_bytes(b"no picture")
    whole = (tmp_path / "set" / "test" / "3.png").read_bytes()
    (tmp_path / "set" / "test" / "3.png").write_bytes(whole[:-30])  # the header still reads
    with pytest.warns(UserWarning, match=r"set: 2 left out: "):
        dataset = open_dataset(tmp_path / "set")
    assert [len(x) for x in (dataset.train, dataset.valid, dataset.test)] == [12, 3, 4]


@pytest.mark.filterwarnings("ignore:.*none to train on")
@pytest.mark.parametrize("names", [("test", "valid"), ("train", "cat"), ("train", "training")])
def test_folders_that_are_no_parts_are_classes(tmp_path, cache, names):
    for k, name in enumerate(names):
        save_many(tmp_path / "set" / name, 10 + k)
    dataset = open_dataset(tmp_path / "set")
    assert dataset.train.classes == tuple(sorted(names))


def test_no_classes_if_some_lie_outside(pictures):
    save_many(pictures / "cat")
    save_many(pictures / "dog")
    save_many(pictures)
    assert find(pictures).read(None).labels is None


def test_no_classes_in_one_sub_folder(pictures):
    save_many(pictures / "all")
    assert find(pictures).read(None).labels is None


def test_the_parts_are_cut_by_a_fixed_permutation(tmp_path, cache):
    save_many(tmp_path / "set", 40)
    dataset = open_dataset(tmp_path / "set")
    assert [len(x) for x in (dataset.train, dataset.valid, dataset.test)] == [32, 4, 4]
    assert dataset.train.name == "set train"
    images = all_of(dataset)[0]
    assert len({x.tobytes() for x in images}) == 40
    again = all_of(open_dataset(tmp_path / "set"))[0]
    np.testing.assert_array_equal(images, again)
    assert dataset.train.images.base is dataset.test.images.base  # views of one memory map
    assert not dataset.train.images.flags.writeable


def test_mixed_sizes_need_a_size(pictures, cache):
    save_many(pictures / "a", size=(8, 8))
    save_many(pictures / "b", size=(9, 8))
    with pytest.raises(FrenemyError, match=r"of 2 sizes \(10 of 8x8, 10 of 9x8\); .*--size"):
        open_dataset(pictures)
    assert open_dataset(pictures, size=7).shape == (1, 7, 7)
    save_many(pictures / "c", 2, size=(9, 9))
    save_many(pictures / "d", 1, size=(8, 9))
    with pytest.raises(FrenemyError, match=r"of 4 sizes \(10 of .*, 2 of 9x9 \.\.\.\); .*--size"):
        open_dataset(pictures)


def test_unreadable_files_are_skipped_and_named(pictures, cache):
    save_many(pictures, 10)
    (pictures / "a.png").write_bytes(b"nonsense")
    whole = (pictures / "3.png").read_bytes()
    (pictures / "b.png").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # decoded, and from the store
        with pytest.warns(UserWarning, match=r"2 left out: a.png: is not a pic.*b.pn"):
            dataset = open_dataset(pictures)
        assert len(all_of(dataset)[0]) == 10


def test_all_unreadable_is_an_error(pictures, cache):
    (pictures / "a.png").write_bytes(b"nonsense")
    with pytest.raises(FrenemyError, match=r"none of its 1 images can be read; a.png: is not"):
        open_dataset(pictures)


@pytest.mark.parametrize(
    ("side", "claim"),
    [(8_193, "8,193"), (9_600, "9,600"), (20_000, "20,000")],
)
def test_decompression_bombs_are_skipped_in_our_own_words(pictures, recwarn, side, claim):
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    (pictures / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
        + png_chunk(b"IEND", b"")
    )
    noise().save(pictures / "good.png")
    contents = find(pictures).read(None)
    assert contents.count == 1
    refusal = (
        f"claims {claim}x{claim} pixels; at most {MAX_PIXELS:,} are decoded "
        f"({MAX_SCALED:,} with --size)"
    )
    assert contents.unreadable["bomb.png"] == refusal
    assert not recwarn


def test_runs_beside_the_pictures_are_left_out(pictures, cache):
    save_many(pictures)
    before = open_dataset(pictures)
    save_many(pictures / "runs" / "digits" / "samples", 3)
    (pictures / "runs" / "digits" / "run.json").touch()
    left_out = {"runs/digits/": "is a run: it holds run.json"}
    assert describe(pictures).unreadable == left_out
    with pytest.warns(
        UserWarning, match=r"^pictures: 1 left out: runs/digits/: is a run: it holds"
    ):
        after = open_dataset(pictures)
    assert (after.train.digest, after.description) == (before.train.digest, before.description)


def test_a_folder_that_is_named_itself_is_read_whatever_it_holds(pictures):
    save_many(pictures, 3)
    (pictures / "run.json").touch()
    assert len(find(pictures).files) == 3


def test_what_is_passed_over(pictures):
    noise().save(pictures / "a.png")
    noise().save(pictures / ".hidden.png")
    (pictures / ".folder").mkdir()
    noise().save(pictures / ".folder" / "a.png")
    (pictures / "notes.txt").write_text("no picture")
    os.mkfifo(pictures / "pipe.png")
    assert [file.name for file in find(pictures).files] == ["a.png"]


def test_pictures_of_other_formats_are_left_out_by_name(pictures, cache):
    save_many(pictures)
    digest = open_dataset(pictures).train.digest
    left_out = "is not of a format that is read: convert it to PNG or JPEG"
    for name in ("c.TIFF", "d.heic", "e.jxl", "notes.txt", "f.json", ".hidden.tif"):
        (pictures / name).write_bytes(b"II*\0")
    (pictures / "folder.tif").mkdir()
    expected = dict.fromkeys(("c.TIFF", "d.heic", "e.jxl"), left_out)
    assert describe(pictures).unreadable == expected
    with pytest.warns(UserWarning, match=f"3 left out: .*: {left_out}"):
        dataset = open_dataset(pictures)
    assert dataset.train.digest == digest
    assert len(list((cache / "images").glob("*.json"))) == 1  # the store has it already


def test_only_pictures_of_other_formats(pictures):
    (pictures / "a.tiff").write_bytes(b"II*\0")
    with pytest.raises(FrenemyError, match=r"a\.tiff: is not of a format that is read"):
        find(pictures)


def test_odd_names(tmp_path, cache):
    folder = tmp_path / "pictures"
    save_many(folder, 10)
    for name in (b"caf\xe9.png", "ü \u2028.png".encode(), b"line\nbreak.png"):
        (folder / os.fsdecode(name)).write_bytes(b"nonsense")
    with pytest.warns(UserWarning) as caught:
        open_dataset(folder)
    message = str(caught[0].message)
    assert message.isprintable() and r"line\nbreak.png" in message


ESCAPE = "\x1b[31m"


def test_no_escape_sequence_of_a_name_is_told(tmp_path, cache):
    folder = tmp_path / f"set{ESCAPE}"
    for part in ("train", "test"):
        save_many(folder / f"{part}{ESCAPE}" / f"cat{ESCAPE}")
    save_many(folder / f"beside{ESCAPE}", 2)
    for name in ("bad.png", "text.tif"):
        (folder / f"train{ESCAPE}" / f"{ESCAPE}{name}").write_bytes(ESCAPE.encode())
    (folder / f"link{ESCAPE}.png").symlink_to("nowhere")
    noise().save(folder / f"train{ESCAPE}" / f"b{ESCAPE}.png", exif=b"Exif\0\0nothing")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = open_dataset(folder, size=8)
    said = [*(str(warning.message) for warning in caught), dataset.train.name, dataset.description]
    assert len(caught) == 2 and all(map(str.isprintable, said))
    (folder / f"train{ESCAPE}" / "dataset.json").write_text("{")
    with pytest.raises(FrenemyError) as error:
        open_dataset(folder)
    assert str(error.value).isprintable()
    with pytest.raises(FrenemyError) as error:
        read_picture(folder / f"train{ESCAPE}" / f"{ESCAPE}bad.png")
    assert str(error.value).isprintable()
    for path in folder.rglob("*.png"):
        path.unlink()
    with pytest.raises(FrenemyError) as error:
        open_dataset(folder)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("how", [{}, {"size": 5}, {"size": 5, "fit": "stretch", "grey": True}])
def test_one_picture_is_read_as_a_folder_of_it(pictures, mode, how):
    path = pictures / "a.png"
    noise("RGB").convert(mode).save(path) if mode == "P" else noise(mode).save(path)
    for opaque in (True, False):
        expected = open_images(pictures, opaque=opaque, **how).images[0]
        as_found = {"grey": len(expected) < 3, "opaque": len(expected) % 2 == 1}
        read = read_picture(path, **{**as_found, **how})
        np.testing.assert_array_equal(read, expected)


def test_one_picture_that_is_none(pictures):
    path = pictures / "a.png"
    with pytest.raises(FrenemyError, match=r"a\.png: No such file or directory; give a picture"):
        read_picture(path)
    path.write_bytes(b"no picture")
    with pytest.raises(FrenemyError, match=r"a\.png: is not a picture of a known format; give"):
        read_picture(path)
    noise().save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(FrenemyError, match=r"a\.png: .*; give a picture"):
        read_picture(path)
    with pytest.raises(FrenemyError, match="; give a picture"):
        read_picture(pictures)
