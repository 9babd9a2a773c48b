"""Every format against what was written."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
import scipy.io
from sklearn.datasets import load_digits

from frenemy.data import open_dataset
from frenemy.data.detect import find
from frenemy.errors import FrenemyError

from .data_files import (
    all_of,
    idx_bytes,
    same_set,
    some_images,
    write_cifar,
    write_idx,
    write_mnist,
)


def test_embedded_digits_are_the_known_ones():
    known = load_digits()
    dataset = open_dataset(None)
    images, labels = all_of(dataset)
    expected = np.floor(known.images * 255 / 16 + 0.5).astype(np.uint8)
    written = {(x.tobytes(), y) for x, y in zip(expected, known.target, strict=True)}
    assert {(x.tobytes(), y) for x, y in zip(images, labels, strict=True)} == written
    assert dataset.description == "embedded UCI digits, 1,797 images 8x8 grey, 10 classes"
    assert dataset.train.images.max() == 255


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_mnist_folder(tmp_path, end, mark):
    written, labels = write_mnist(tmp_path / "mnist", end=end, mark=mark)
    dataset = open_dataset(tmp_path / "mnist")
    images, found = all_of(dataset)
    np.testing.assert_array_equal(images[:, 0], written)
    np.testing.assert_array_equal(found, labels)
    assert dataset.description == ("MNIST-style IDX set, 48 + 10 images 28x28 grey, 10 classes")
    parts = (dataset.train, dataset.valid, dataset.test)
    assert [len(part) for part in parts] == [40, 8, 10]
    assert [part.name for part in parts] == [
        "mnist train[0:40]",
        "mnist train[40:48]",
        "mnist test",
    ]
    assert dataset.train.classes == tuple("0123456789")


def test_plain_idx_files_are_not_read_whole(tmp_path):
    for part, count in (("train", 20_000), ("t10k", 10_000)):
        with open(tmp_path / f"{part}-images-idx3-ubyte", "wb") as file:
            file.write(struct.pack(">HBB3I", 0, 8, 3, count, 28, 28))
            file.truncate(16 + count * 784)
            file.seek(16 + (count - 1) * 784)
            file.write(bytes([count // 10_000]) * 784)
    tracemalloc.start()
    try:
        contents = find(tmp_path).read(None)
        ends = [contents.decode(i).max() for i in (0, 19_999, 20_000, 29_999)]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert ends == [0, 2, 0, 1]


def test_mnist_folder_without_test_part_or_labels(tmp_path):
    images = some_images(20)[:, 0]
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    dataset = open_dataset(tmp_path)
    assert same_set(all_of(dataset)[0][:, 0], images)
    assert [len(x) for x in (dataset.train, dataset.valid, dataset.test)] == [16, 2, 2]
    assert dataset.train.labels is None


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_mnist_folder_with_labels_of_one_part_only(tmp_path, part):
    write_mnist(tmp_path)
    (tmp_path / f"{part}-labels-idx1-ubyte").unlink()
    with pytest.raises(FrenemyError, match=f"{part}-labels-idx1-ubyte is missing"):
        open_dataset(tmp_path)


def test_mnist_folder_without_train_part(tmp_path):
    write_mnist(tmp_path)
    for what in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{what}-ubyte").unlink()
    with pytest.raises(FrenemyError) as refused:
        open_dataset(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: train-images-idx3-ubyte is missing; for the test images alone give "
        f"{tmp_path / 't10k-images-idx3-ubyte'}"
    )


@pytest.mark.parametrize("name", ["some-images", "some-images.gz"])
def test_one_idx_file(tmp_path, name):
    images = some_images(12)
    write_idx(tmp_path / name, images[:, 0])
    dataset = open_dataset(tmp_path / name)
    assert same_set(all_of(dataset)[0], images)
    assert dataset.train.name == "some-images train"


def test_colour_idx_file(tmp_path):
    images = some_images(12, channels=3)
    write_idx(tmp_path / "colour", images)
    assert same_set(all_of(open_dataset(tmp_path / "colour"))[0], images)


def test_idx_labels_are_not_images(tmp_path):
    write_idx(tmp_path / "labels", np.arange(10))
    with pytest.raises(FrenemyError, match="no images"):
        open_dataset(tmp_path / "labels")


def test_idx_labels_must_be_as_many(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(10))
    with pytest.raises(FrenemyError, match=r"holds labels \(10,\) for 48 images"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("inner", ["", "cifar-10-batches-py"])
def test_cifar_batches(tmp_path, protocol, inner):
    written, labels = write_cifar(tmp_path / "cifar" / inner, protocol=protocol)
    dataset = open_dataset(tmp_path / "cifar")
    images, found = all_of(dataset)
    np.testing.assert_array_equal(images, written)
    np.testing.assert_array_equal(found, labels)
    assert dataset.description == "CIFAR-10 batches, 40 + 8 images 32x32 colour, 10 classes"
    assert dataset.train.classes[3] == "class 3"


def test_cifar_batches_with_keys_of_bytes(tmp_path):
    written, _ = write_cifar(tmp_path, keys=bytes)
    np.testing.assert_array_equal(all_of(open_dataset(tmp_path))[0], written)


LAYOUTS = {
    "NHW": lambda x: x[:, 0],
    "NHW1": lambda x: np.moveaxis(x[:, :1], 1, -1),
    "N1HW": lambda x: x[:, :1],
    "NHW3": lambda x: np.moveaxis(x, 1, -1),
    "N3HW": lambda x: x,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, layout, order):
    images = some_images(20, channels=3)
    array = LAYOUTS[layout](images)
    np.save(tmp_path / "set.npy", np.asarray(array, order=order))
    found, _ = all_of(open_dataset(tmp_path / "set.npy"))
    assert same_set(found, images if "3" in layout else images[:, :1])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_floats_in_0_1_are_scaled(tmp_path, dtype):
    images = some_images(20)
    np.save(tmp_path / "set.npy", (images / 255).astype(dtype))
    assert same_set(all_of(open_dataset(tmp_path / "set.npy"))[0], images)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((3, 5, 4), np.nan), "not a number"),
        (np.zeros((3, 5), np.uint8), r"its shape is \(3, 5\); images are"),
        (np.zeros((3, 6, 7, 5), np.uint8), r"its shape is \(3, 6, 7, 5\); images are"),
        (np.zeros((0, 5, 4), np.uint8), "holds nothing"),
        (np.zeros((2, 5, 4), np.uint8), "2 images; a set needs three"),
        (np.zeros((3, 5, 4), [("a", "u1")]), "pixels are"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, message):
    np.save(tmp_path / "set.npy", array)
    with pytest.raises(FrenemyError, match=message):
        open_dataset(tmp_path / "set.npy")


def test_python_objects_are_refused(tmp_path):
    np.save(tmp_path / "set.npy", np.array([[[{}]]], object), allow_pickle=True)
    with pytest.raises(FrenemyError, match="holds Python objects"):
        open_dataset(tmp_path / "set.npy")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    images = some_images(20)
    labels = np.repeat([3, 7], 10)
    save(tmp_path / "set.npz", images=images, labels=labels, other=images[:, :, 0])
    found, numbers = all_of(dataset := open_dataset(tmp_path / "set.npz"))
    written = {(x.tobytes(), y) for x, y in zip(images, labels, strict=True)}
    names = [int(dataset.train.classes[k]) for k in numbers]
    assert dataset.train.classes == ("3", "7")
    assert {(x.tobytes(), y) for x, y in zip(found, names, strict=True)} == written


def test_npz_with_one_array_that_can_be_images(tmp_path):
    images = some_images(20)
    np.savez(tmp_path / "set.npz", pictures=images, numbers=np.arange(5))
    assert same_set(all_of(open_dataset(tmp_path / "set.npz"))[0], images)


def test_npz_with_two_arrays_that_can_be_images(tmp_path):
    np.savez(tmp_path / "set.npz", a=some_images(), b=some_images())
    with pytest.raises(FrenemyError, match="Name it `images`; those that could be: a, b"):
        open_dataset(tmp_path / "set.npz")


def test_npz_labels_may_be_the_largest_whole_numbers(tmp_path):
    labels = np.array([0, 2**63 - 1] * 10)
    for name, numbers in (("signed", labels), ("unsigned", labels.astype(np.uint64))):
        np.savez(tmp_path / f"{name}.npz", images=some_images(20), labels=numbers)
        classes = open_dataset(tmp_path / f"{name}.npz").train.classes
        assert classes == ("0", "9223372036854775807")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([-(2**63), 2**62], ("-9223372036854775808", "4611686018427387904")),
        ([-1.0, 3.0], ("-1", "3")),
        ([False, True], ("0", "1")),
    ],
)
def test_labels_that_are_whole_numbers(tmp_path, labels, names):
    np.savez(tmp_path / "set.npz", images=some_images(20), labels=np.array(10 * labels))
    assert open_dataset(tmp_path / "set.npz").train.classes == names


def test_a_gzipped_archive(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(gzip.compress(b"cifar-10-batches-py/" * 30))
    with pytest.raises(FrenemyError, match="unpack it if it is an archive"):
        open_dataset(tmp_path / "cifar-10-python.tar.gz")


def test_the_folder_one_is_in(tmp_path, monkeypatch):
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "mnist" / "inner")
    assert open_dataset("..").train.name == "mnist train[0:40]"
    monkeypatch.chdir(tmp_path / "mnist")
    assert open_dataset(".").train.name == "mnist train[0:40]"


def flat(images):
    """As MATLAB's images(:): column-major."""
    return images[:, 0].transpose(0, 2, 1).reshape(len(images), -1)


MATLAB = {
    "NHW": lambda x: x[:, 0],
    "HWN": lambda x: x[:, 0].transpose(1, 2, 0),
    "PN": lambda x: flat(x).T,
    "NP": flat,
    "HWCN": lambda x: x.transpose(2, 3, 1, 0),
}


@pytest.mark.parametrize("layout", MATLAB)
@pytest.mark.parametrize("packed", [False, True])
def test_mat(tmp_path, layout, packed):
    images = some_images(12, 6, 6, channels=3 if layout == "HWCN" else 1)
    labels = np.arange(12) % 3 + 1
    variables = {
        "pictures": MATLAB[layout](images),
        "y": labels,
        "note": "text",
        "cells": np.array(["a", 1], object),
        "folds": np.ones((12, 5)),
    }
    scipy.io.savemat(tmp_path / "set.mat", variables, do_compression=packed)
    found, numbers = all_of(dataset := open_dataset(tmp_path / "set.mat"))
    assert same_set(found, images)
    assert dataset.train.classes == ("1", "2", "3")
    written = {x.tobytes(): y - 1 for x, y in zip(images, labels, strict=True)}
    assert [written[x.tobytes()] for x in found] == numbers.tolist()


def test_mat_with_the_folds_of_the_toronto_face_database(tmp_path):
    images, codes = some_images(40, 6, 6), np.arange(40) % 4
    folds = np.stack([codes, *np.random.default_rng(0).integers(0, 4, (4, 40))], 1)
    variables = {"images": images[:, 0], "folds": folds, "labs_ex": np.arange(40) % 7 - 1}
    scipy.io.savemat(tmp_path / "TFD.mat", variables)
    dataset = open_dataset(tmp_path / "TFD.mat")
    assert same_set(dataset.train.images, images[codes <= 1])  # unlabelled and labelled ones
    assert same_set(dataset.valid.images, images[codes == 2])
    assert same_set(dataset.test.images, images[codes == 3])


@pytest.mark.parametrize(("labelled", "count"), [(True, 25), (False, 36)])
def test_mat_where_both_axes_are_squares(tmp_path, labelled, count):
    array = some_images(25, 6, 6).reshape(25, 36)
    variables = {"images": array} | ({"labels": np.arange(25)} if labelled else {})
    scipy.io.savemat(tmp_path / "set.mat", variables)
    assert len(all_of(open_dataset(tmp_path / "set.mat"))[0]) == count


def test_mat_with_masks_and_logical_labels(tmp_path):
    images = some_images(12, 6, 6)
    variables = {"masks": images[:, 0] > 99, "x": images[:, 0], "y": np.arange(12) > 4}
    scipy.io.savemat(tmp_path / "set.mat", variables)
    dataset = open_dataset(tmp_path / "set.mat")
    assert same_set(all_of(dataset)[0], images)
    assert dataset.train.classes == ("0", "1")


def test_mat_without_images(tmp_path):
    scipy.io.savemat(tmp_path / "set.mat", {"x": np.ones((3, 5)), "z": np.ones((4, 4)) * 1j})
    with pytest.raises(FrenemyError, match=r"images \(H, W, C, N\), or .*found x \(3, 5\)"):
        open_dataset(tmp_path / "set.mat")


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_arrays_are_resized_too(tmp_path, fit):
    np.save(tmp_path / "set.npy", some_images(20, 9, 13, 3))
    dataset = open_dataset(tmp_path / "set.npy", size=6, fit=fit)
    assert dataset.shape == (3, 6, 6)


def test_colours_are_left_out_where_that_is_asked(tmp_path):
    images = some_images(20, 5, 4, 3)
    np.save(tmp_path / "set.npy", images)
    colour, grey = (open_dataset(tmp_path / "set.npy", grey=grey) for grey in (False, True))
    assert (colour.shape, grey.shape) == ((3, 5, 4), (1, 5, 4))
    assert grey.description.endswith("grey") and grey.arguments["grey"]
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    expected = np.einsum("c,nchw->nhw", weights, all_of(colour)[0])
    assert np.abs(all_of(grey)[0][:, 0] - expected).max() < 1  # Pillow's are whole numbers


def test_grey_images_stay_as_they_are(tmp_path):
    images = some_images(20)
    np.save(tmp_path / "set.npy", images)
    assert same_set(all_of(open_dataset(tmp_path / "set.npy", grey=True))[0], images)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FrenemyError, match=r"no such file or folder; give a folder of pictures"):
        open_dataset(tmp_path / "nothing")
    for name, words in {
        "mnist": "github.com/cvdfoundation/mnist",
        "Fashion-MNIST": "zalandoresearch",
        "cifar-10": "data_batch_1",
        "TFD": "Susskind",
    }.items():
        with pytest.raises(FrenemyError, match=words):
            open_dataset(tmp_path / name)


@pytest.mark.parametrize("name", ["olivettifaces.mat", "A.NPZ", "faces.npy", "x-idx3-ubyte.gz"])
def test_a_folder_around_a_file_that_is_read_names_the_file(tmp_path, name):
    (tmp_path / name).touch()
    for other in ("notes.txt", ".hidden.npz"):
        (tmp_path / other).touch()
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(FrenemyError) as refused:
        open_dataset(tmp_path)
    assert str(refused.value) == f"{tmp_path}: holds no pictures; give the file {tmp_path / name}"


def test_a_folder_around_several_names_them(tmp_path):
    for name in ("b.npz", "a.mat"):
        (tmp_path / name).touch()
    with pytest.raises(FrenemyError, match=r"give the file .*/a\.mat or .*/b\.npz$"):
        open_dataset(tmp_path)


def test_what_is_not_read(tmp_path):
    for name, data, words in (
        ("a.txt", b"hello", "not a known format"),
        ("a.mat", b"MATLAB 7.3 MAT-file", "-v7"),
        ("a.h5", b"\x89HDF\r\n", "-v7"),
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(99), "not a known format"),
        ("a.mp4", b"\0\0\0\x20ftypisom" + bytes(99), "not a known format"),
        ("zeros", bytes(99), "not a known format"),
        ("zeros-idx3-ubyte", bytes(99), "IDX type 0x00"),
        ("a.png", b"\x89PNG", "give the folder"),
        ("empty", b"", "not a known format"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FrenemyError, match=words):
            open_dataset(tmp_path / name)
    with pytest.raises(FrenemyError, match=r"no picture|holds nothing that is read|give"):
        open_dataset(tmp_path / "empty")


def test_options_are_checked():
    with pytest.raises(FrenemyError, match="size must be from 1"):
        open_dataset(None, size=0)
    with pytest.raises(FrenemyError, match='"crop" or "stretch"'):
        open_dataset(None, size=8, fit="squeeze")  # type: ignore[arg-type]


def test_idx_of_another_type(tmp_path):
    data = bytearray(idx_bytes(np.zeros((3, 2, 2), np.uint8)))
    data[2] = 0x0D
    (tmp_path / "floats").write_bytes(data)
    with pytest.raises(FrenemyError, match="IDX type 0x0d; only unsigned bytes"):
        open_dataset(tmp_path / "floats")
