"""The real sets, where FRENEMY_DATA names a folder that holds them."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.io

from frenemy.data import describe, open_dataset
from frenemy.data.idx import read_idx

from .data_files import all_of, same_set


def unpacked(real_data, name, out):
    subprocess.run([sys.executable, real_data / "unpack.py", name, out], check=True)
    return out


def sizes(dataset):
    return [len(part) for part in (dataset.train, dataset.valid, dataset.test)]


def test_mnist(real_data, cache):
    dataset = open_dataset(real_data / "mnist")
    assert dataset.description == (
        "MNIST-style IDX set, 60,000 + 10,000 images 28x28 grey, 10 classes"
    )
    assert sizes(dataset) == [50_000, 10_000, 10_000]
    assert dataset.train.name == "mnist train[0:50000]"
    # The counts and the first labels as everybody knows them.
    assert dataset.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert dataset.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    train = np.concatenate([dataset.train.images, dataset.valid.images])
    np.testing.assert_array_equal(
        train[:, 0], read_idx(real_data / "mnist" / "train-images-idx3-ubyte.gz")
    )
    assert train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_cifar10(real_data, cache, tmp_path):
    dataset = open_dataset(unpacked(real_data, "cifar10", tmp_path / "cifar10"))
    assert dataset.description == (
        "CIFAR-10 batches, 50,000 + 10,000 images 32x32 colour, 10 classes"
    )
    assert sizes(dataset) == [40_000, 10_000, 10_000]
    assert dataset.train.classes[0] == "airplane" and dataset.train.classes[9] == "truck"
    names = [dataset.train.classes[k] for k in dataset.train.labels[:4]]
    assert names == ["frog", "truck", "truck", "deer"]
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    train = np.concatenate([dataset.train.images, dataset.valid.images])
    mean = train.mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-5)


def test_olivetti_faces(real_data, cache):
    path = real_data / "olivetti" / "olivettifaces.mat"
    dataset = open_dataset(path)
    assert dataset.description == "MATLAB file, 400 images 64x64 grey"
    faces = scipy.io.loadmat(path)["faces"]
    upright = faces.T.reshape(400, 64, 64).transpose(0, 2, 1)
    assert same_set(all_of(dataset)[0], upright)


def test_animals(real_data, cache, tmp_path):
    folder = unpacked(real_data, "animals", tmp_path / "out") / "animals"
    report = describe(folder)
    assert report.modes == {"RGB": 1970, "L": 30}
    assert set(report.classes.values()) == {500}
    dataset = open_dataset(folder, size=32)
    assert dataset.description == "image folder, 2,000 images 32x32 colour, 4 classes"
    assert sizes(dataset) == [1600, 200, 200]
