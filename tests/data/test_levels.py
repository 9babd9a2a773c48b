"""What black and white are: told by the numbers, or by --range."""

import json
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from frenemy.data import describe, open_dataset, open_images
from frenemy.errors import FrenemyError

from .data_files import all_of, same_set, some_images, write_cifar, write_idx

BITS = (some_images(20, 6, 7) > 127).astype(np.uint8)
DARK = "no pixel is brighter than 1 of 255: if 1 is to be white, give --range 0..1"


def save_npz(path, images):
    np.savez(path, images=images)


def save_mat(path, images):
    scipy.io.savemat(path, {"images": images.transpose(2, 3, 1, 0)})


def save_pictures(path, images):
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(path / f"{i}.png")


def save_zip(path, images):
    save_pictures(path.with_suffix(""), images)
    shutil.make_archive(str(path.with_suffix("")), "zip", path.with_suffix(""))


WRITERS = {
    "a.npy": np.save,
    "a.npz": save_npz,
    "a.mat": save_mat,
    "a-ubyte": lambda path, images: write_idx(path, images[:, 0]),
    "folder": save_pictures,
    "a.zip": save_zip,
}


@pytest.mark.parametrize("name", WRITERS)
def test_bytes_that_are_0_and_1_are_told_of_and_are_black_and_white_if_asked(
    tmp_path, name, recwarn
):
    path = tmp_path / name
    WRITERS[name](path, BITS)
    with pytest.warns(UserWarning, match=f": {DARK}"):
        open_dataset(path)
    assert DARK in describe(path).note
    recwarn.clear()
    dataset = open_dataset(path, range="0..1")
    assert same_set(all_of(dataset)[0], BITS * 255)
    report = describe(path, range="0..1")
    assert report.pixel_mean == pytest.approx([BITS.mean()])
    assert not recwarn  # the other reading stays in the store, too
    again = open_dataset((how := dict(dataset.arguments)).pop("path"), **how)
    assert np.array_equal(again.train.images, dataset.train.images)
    assert json.loads(json.dumps(dataset.arguments)) == dataset.arguments


@pytest.mark.parametrize("brightest", [15, 16, 63])
def test_a_dark_set_is_told_of(tmp_path, brightest):
    images = some_images(20) % brightest + 1
    np.save(tmp_path / "set.npy", images)
    with pytest.warns(UserWarning, match=f"give --range 0..{brightest}"):
        open_dataset(tmp_path / "set.npy")
    found = open_images(tmp_path / "set.npy", range=f"0..{brightest}").images
    assert same_set(found, np.rint(images / np.float32(brightest) * 255).astype(np.uint8))


def test_a_set_that_is_not_dark_is_not(tmp_path, recwarn):
    np.save(tmp_path / "set.npy", some_images(20) % 65)
    open_dataset(tmp_path / "set.npy")
    assert not recwarn


def test_what_is_dark_is_told_of_colours_alone(tmp_path):
    images = np.concatenate([BITS, np.full_like(BITS, 255)], 1)
    images[:, :, 0] = [[255], [0]]  # what cannot be seen is white
    np.save(tmp_path / "set.npy", images)
    with pytest.warns(UserWarning, match=DARK):
        open_dataset(tmp_path / "set.npy")


def test_the_opacity_of_pictures_has_no_range(tmp_path):
    (tmp_path / "set").mkdir()
    opacity = some_images(20, 6, 7, seed=1)
    for i, image in enumerate(np.concatenate([BITS, opacity], 1)):
        Image.fromarray(np.moveaxis(image, 0, -1), "LA").save(tmp_path / "set" / f"{i}.png")
    with pytest.warns(UserWarning, match=DARK):
        open_images(tmp_path / "set")
    found = open_images(tmp_path / "set", range="0..1").images
    colours = np.where(opacity > 0, BITS * 255, 255)  # what nobody sees is white
    assert same_set(found, np.concatenate([colours, opacity], 1).astype(np.uint8))


def test_pictures_are_resized_after_that(tmp_path):
    save_pictures(tmp_path / "set", np.kron(BITS, np.ones((1, 1, 8, 8), np.uint8)))
    found = open_images(tmp_path / "set", size=5, range="0..1").images
    assert found.shape[2:] == (5, 5)
    assert len(np.unique(found)) > 10  # greys lie between 0 and 1 only as 0 .. 255


def test_pictures_beyond_the_range_are_left_out(tmp_path):
    save_pictures(tmp_path / "set", BITS)
    Image.fromarray(np.full((6, 7), 2, np.uint8)).save(tmp_path / "set" / "other.png")
    with pytest.warns(UserWarning, match=r"other\.png: its pixels lie in 2..2, beyond --range"):
        assert len(open_images(tmp_path / "set", range="0..1")) == 20


def test_pictures_are_laid_over_white_after_that(tmp_path):
    (tmp_path / "set").mkdir()
    opacity = np.where(some_images(20, 6, 7, seed=1) > 127, 255, 0).astype(np.uint8)
    for i, image in enumerate(np.concatenate([BITS, opacity], 1)):
        Image.fromarray(np.moveaxis(image, 0, -1), "LA").save(tmp_path / "set" / f"{i}.png")
    found = open_images(tmp_path / "set", range="0..1", opaque=True).images
    assert same_set(found, np.where(opacity > 0, BITS * 255, 255).astype(np.uint8))


def test_pictures_of_16_bits_have_a_range_of_their_own(tmp_path):
    values = some_images(20, 6, 7).astype(np.uint16) * 16  # 12 bits, as microscopes have
    save_pictures(tmp_path / "set", values)
    with pytest.warns(UserWarning, match="brighter than 16 of 255, if white is 65535"):
        open_images(tmp_path / "set")
    found = open_images(tmp_path / "set", range="0..4095").images
    assert same_set(found, np.rint(values / 4095 * 255).astype(np.uint8))
    Image.fromarray(BITS[0, 0]).save(tmp_path / "set" / "other.png")
    with pytest.raises(FrenemyError, match="of 8 and of 16 bits, which no --range fits"):
        open_images(tmp_path / "set", range="0..4095")


def test_truth_values_are_black_and_white(tmp_path, recwarn):
    scipy.io.savemat(tmp_path / "set.mat", {"x": BITS[:, 0, :6, :6] > 0})
    np.savez(tmp_path / "set.npz", x=BITS[:, 0, :6, :6] > 0)
    for name in ("set.mat", "set.npz"):
        found = open_images(tmp_path / name).images
        assert same_set(found, BITS[:, :, :6, :6] * 255)
    assert not recwarn


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("name", ["set.npy", "set.npz", "set.mat"])
def test_floats_are_0_to_1_or_whole_to_255(tmp_path, name, scale):
    images = some_images(20, 6, 6)
    WRITERS["a" + name[3:]](tmp_path / name, images / scale)
    assert same_set(open_images(tmp_path / name).images, images)


@pytest.mark.parametrize(
    ("low", "high", "kind", "proposed"),
    [
        (-1, 1, "f4", ", such as --range=-1..1"),
        (-1, 1, "f2", ", such as --range=-1..1"),
        (0, 255, "f8", ", such as --range=0..255"),
        (0, 65535, "u2", ", such as --range=0..65535"),
        (0, 4000, "u2", ", such as --range=0..4095"),
        (0, 255, "i8", ", such as --range=0..255"),
        (-0.1, 1.1, "f4", ""),
        (-2, 2, "f4", ""),
    ],
)
def test_numbers_that_do_not_tell_are_refused_and_read_if_asked(
    tmp_path, low, high, kind, proposed
):
    images = np.linspace(low, high, 600).reshape(20, 1, 6, 5).astype(kind)
    np.save(tmp_path / "set.npy", images)
    with pytest.raises(FrenemyError) as refused:
        open_dataset(tmp_path / "set.npy")
    assert str(refused.value).endswith(
        f"say what is black and what is white by --range LOW..HIGH{proposed}"
    )
    given = proposed.rpartition("=")[2] or f"{low}..{high}"
    low, high = map(float, given.split(".."))
    expected = (images.astype(float) - low) / (high - low) * 255
    dataset = open_dataset(tmp_path / "set.npy", range=given)
    found = np.sort(all_of(dataset)[0].ravel())
    # A value is rounded to a whole number, of float32 arithmetic.
    assert np.abs(found - np.sort(expected.ravel())).max() < 0.501


def test_rounding_does_not_leave_the_range(tmp_path):
    images = some_images(20)
    np.save(tmp_path / "set.npy", (images / 255) * 1.001 - 0.0005)
    assert same_set(open_images(tmp_path / "set.npy").images, images)


@pytest.mark.parametrize("kind", ["f4", "u1", "i4"])
def test_numbers_beyond_the_range_are_refused(tmp_path, kind):
    np.save(tmp_path / "set.npy", some_images(20).astype(kind))
    with pytest.raises(FrenemyError, match=r"set\.npy: pixels lie in .*, beyond --range 0\.\.1$"):
        open_dataset(tmp_path / "set.npy", range="0..1")


@pytest.mark.parametrize("text", ["", "1", "1..0", "0..0", "0..x", "0..nan", "-inf..1", "0,1"])
def test_what_is_no_range(tmp_path, text):
    np.save(tmp_path / "set.npy", some_images(20))
    with pytest.raises(FrenemyError, match=r"a range is LOW\.\.HIGH"):
        open_dataset(tmp_path / "set.npy", range=text)


def test_sets_that_tell_their_range_refuse_another(tmp_path):
    write_cifar(tmp_path)
    for path in (tmp_path, None, "embedded:emoji"):
        with pytest.raises(FrenemyError, match=r"beyond --range 0\.\.1"):
            open_dataset(path, range="0..1")
    with pytest.raises(FrenemyError, match="points in the plane"):
        open_dataset("toy:ring", range="0..1")


def test_stacks_have_the_range_of_their_images(tmp_path):
    np.save(tmp_path / "set.npy", BITS)
    dataset = open_dataset(f"stacked:{tmp_path / 'set.npy'}", range="0..1")
    assert dataset.arguments["range"] == "0..1"
    assert set(np.unique(dataset.train.images[:10])) == {0, 255}


@pytest.mark.filterwarnings("ignore:.*pixel is")
def test_constant_images_are_read(tmp_path):
    for value in (0, 1, 255):
        np.save(tmp_path / "set.npy", np.full((20, 5, 4), value, np.uint8))
        assert (open_images(tmp_path / "set.npy").images == value).all()
