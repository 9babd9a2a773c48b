"""Sets as their authors give them out, and as torchvision keeps them."""

import pickle
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from frenemy.data import open_dataset, open_images
from frenemy.data.pickles import load_dict
from frenemy.errors import FrenemyError

from .data_files import all_of, some_images, write_cifar, write_idx, write_mnist

IMAGES = some_images(30, 32, 32, 3)


def write_emnist(folder, split, end=".gz", test="test", first=1):
    """An EMNIST split; returns its upright images (N, 28, 28) and labels (N,), train first."""
    images = some_images(58, 28, 28, seed=first)[:, 0]
    labels = np.arange(58) % 26 + first
    folder.mkdir(parents=True, exist_ok=True)
    for part, where in (("train", slice(0, 48)), (test, slice(48, None))):
        stem = folder / f"emnist-{split}-{part}"
        write_idx(stem.with_name(f"{stem.name}-images-idx3-ubyte{end}"), images[where].mT)
        write_idx(stem.with_name(f"{stem.name}-labels-idx1-ubyte{end}"), labels[where])
    lines = (f"{k} {64 + k} {96 + k}\n" for k in range(1, 27))
    (folder / f"emnist-{split}-mapping.txt").write_text("".join(lines))
    return images, labels


@pytest.mark.parametrize("below", [".", "gzip", "EMNIST/raw", "EMNIST/raw/gzip"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_emnist_is_turned_upright_and_its_labels_are_letters(tmp_path, below, end):
    written, labels = write_emnist(tmp_path / "set" / below, "letters", end)
    dataset = open_dataset(tmp_path / "set")
    images, found = all_of(dataset)
    np.testing.assert_array_equal(images[:, 0], written)
    assert "".join(dataset.train.classes) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    np.testing.assert_array_equal(found, labels - 1)
    assert dataset.description == "EMNIST set, 48 + 10 images 28x28 grey, 26 classes"
    assert dataset.train.name.startswith("set train")


@pytest.mark.parametrize("turned_first", [False, True])
def test_a_single_file_lies_as_its_name_says_whatever_was_opened_before(tmp_path, turned_first):
    images = some_images(20, 28, 28, seed=5 + turned_first)[:, 0]
    names = {"images-idx3-ubyte": images, "emnist-letters-train-images-idx3-ubyte": images.mT}
    for name in sorted(names, reverse=not turned_first):
        write_idx(tmp_path / name, images)
        found = open_images(tmp_path / name).images[:, 0]
        assert {x.tobytes() for x in found} == {x.tobytes() for x in names[name]}


def test_one_of_several_sets_of_emnist_is_asked_for(tmp_path):
    folder = tmp_path / "emnist" / "gzip"
    written, _ = write_emnist(folder, "letters")
    write_emnist(folder, "digits", first=0)
    for path in (folder, folder.parent):
        with pytest.raises(FrenemyError) as refused:
            open_dataset(path)
        assert str(refused.value) == (
            f"{path}: holds several sets; give one: {folder / 'emnist-digits'} or "
            f"{folder / 'emnist-letters'}"
        )
    dataset = open_dataset(folder / "emnist-letters")
    np.testing.assert_array_equal(all_of(dataset)[0][:, 0], written)
    assert (
        open_dataset((how := dict(dataset.arguments)).pop("path"), **how).train.name
        == dataset.train.name
    )
    with pytest.raises(FrenemyError, match="no such file"):
        open_dataset(folder / "emnist-bymerge")


def test_one_file_of_emnist_is_turned_upright_too(tmp_path):
    written, _ = write_emnist(tmp_path, "letters")
    found = open_images(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz").images
    assert {x.tobytes() for x in found} == {x.tobytes() for x in written[48:]}


def test_labels_of_emnist_without_a_mapping_or_with_another_are_numbers(tmp_path):
    write_emnist(tmp_path, "letters")
    mapping = tmp_path / "emnist-letters-mapping.txt"
    for text in (None, "", "1 65\n", "1 65\n2 65\n", "1\n2\n"):
        mapping.unlink() if text is None else mapping.write_text(text)
        assert open_dataset(tmp_path).train.classes == tuple(
            map(str, sorted(range(1, 27), key=int))
        )
    mapping.write_text("A 65\n")
    with pytest.raises(FrenemyError, match=r"mapping\.txt: damaged"):
        open_dataset(tmp_path)


def test_emnist_with_labels_of_one_part_only(tmp_path):
    write_emnist(tmp_path, "letters")
    (tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FrenemyError, match=r"emnist-letters-test-labels-idx1-ubyte\.gz is missing"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_the_root_that_torchvision_is_given(tmp_path, name):
    raw = tmp_path / "root" / name / "raw"
    raw.mkdir(parents=True)
    written, labels = write_mnist(raw)
    write_mnist(raw, end=".gz")
    for path in (tmp_path / "root", raw.parent, raw):
        dataset = open_dataset(path)
        images, found = all_of(dataset)
        np.testing.assert_array_equal(images[:, 0], written)
        np.testing.assert_array_equal(found, labels)
        assert dataset.test.name == f"{path.name} test"


def test_a_root_with_several_sets_is_asked_about(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    for folder in (raw, tmp_path / "FashionMNIST" / "raw"):
        folder.mkdir(parents=True)
        write_mnist(folder)
    with pytest.raises(FrenemyError) as refused:
        open_dataset(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: holds several sets; give one: {raw} or {tmp_path / 'FashionMNIST' / 'raw'}"
    )
    shutil.rmtree(raw)
    write_cifar(tmp_path / "cifar-10-batches-py")
    with pytest.raises(FrenemyError, match="holds several sets; give one"):
        open_dataset(tmp_path)


def test_a_set_beside_pictures_is_asked_about(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    write_mnist(raw)
    Image.new("RGB", (8, 8)).save(tmp_path / "stray.png")
    with pytest.raises(FrenemyError, match=r"holds a set beside pictures; give one: .*raw$"):
        open_dataset(tmp_path)


FINE = np.arange(30) % 10 * 10


def write_cifar100(folder):
    folder.mkdir(parents=True)
    for name, where in (("train", slice(0, 20)), ("test", slice(20, 30))):
        batch = {
            b"data": IMAGES[where].reshape(-1, 3072),
            b"fine_labels": FINE[where].tolist(),
            b"coarse_labels": [0] * len(FINE[where]),
        }
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    names = {"fine_label_names": [f"fine {k}" for k in range(100)], "coarse_label_names": ["c"]}
    (folder / "meta").write_bytes(pickle.dumps(names, 2))


def write_binary(folder, names, before, meta):
    folder.mkdir(parents=True)
    ends = np.linspace(0, 30, len(names) + 1).astype(int)
    heads = np.zeros((30, before), np.uint8)
    heads[:, -1] = FINE
    records = np.concatenate([heads, IMAGES.reshape(30, -1)], 1)
    for name, start, end in zip(names, ends, ends[1:], strict=False):
        (folder / name).write_bytes(records[start:end].tobytes())
    (folder / meta).write_text("".join(f"fine_{k}\n" for k in range(100)) + "\n")


TEN = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
CIFAR = {
    "cifar-100-python": (write_cifar100, "CIFAR-100 batches, 20 + 10", "fine "),
    "cifar-10-batches-bin": (
        lambda folder: write_binary(folder, TEN, 1, "batches.meta.txt"),
        "CIFAR-10 binary files, 25 + 5",
        "fine_",
    ),
    "cifar-100-binary": (
        lambda folder: write_binary(folder, ["train.bin", "test.bin"], 2, "fine_label_names.txt"),
        "CIFAR-100 binary files, 15 + 15",
        "fine_",
    ),
}


@pytest.mark.parametrize("name", CIFAR)
@pytest.mark.parametrize("root", [False, True])
def test_other_archives_of_cifar(tmp_path, name, root):
    write, description, names = CIFAR[name]
    write(tmp_path / "set" / name)
    dataset = open_dataset(tmp_path / "set" if root else tmp_path / "set" / name)
    images, labels = all_of(dataset)
    np.testing.assert_array_equal(images, IMAGES)
    assert [dataset.train.classes[k] for k in labels] == [f"{names}{k}" for k in FINE]
    assert dataset.description == f"{description} images 32x32 colour, 10 classes"


@pytest.mark.parametrize("name", [*CIFAR, "cifar-10-batches-py"])
def test_one_file_of_cifar_names_the_folder(tmp_path, name):
    write = CIFAR[name][0] if name in CIFAR else write_cifar
    write(tmp_path / name)
    for path in (tmp_path / name).iterdir():
        with pytest.raises(
            FrenemyError, match=r"one file of CIFAR-10.*; give the folder it lies in"
        ):
            open_dataset(path)


@pytest.mark.parametrize("data", [b"", bytes(3074)])
def test_a_damaged_binary_file(tmp_path, data):
    CIFAR["cifar-10-batches-bin"][0](tmp_path / "set")
    (tmp_path / "set" / "data_batch_2.bin").write_bytes(data)
    with pytest.raises(FrenemyError, match=r"data_batch_2\.bin: damaged"):
        open_dataset(tmp_path / "set")


def test_as_many_instructions_as_cifar_100_has(tmp_path):
    """Python 2 wrote a name and its place in the memo for each image, and two labels."""
    count = 50_000
    names = b"".join(b"U\x01ar" + struct.pack("<I", k) for k in range(count))
    numbers = b"](" + b"K\x01" * count + b"e"
    keys = b"".join(b"U\x01" + key + value for key, value in ((b"f", numbers), (b"c", numbers)))
    (tmp_path / "train").write_bytes(b"\x80\x02}(U\x01n](" + names + b"e" + keys + b"u.")
    assert {key: len(value) for key, value in load_dict(tmp_path / "train").items()} == {
        "n": count, "f": count, "c": count,
    }  # fmt: skip
