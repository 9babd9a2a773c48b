"""Sets in every format that is read, written for the tests."""

import gzip
import pickle
import struct

import numpy as np


def some_images(count=30, height=5, width=4, channels=1, seed=0):
    """uint8 (N, C, H, W), all different."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, channels, height, width), np.uint8)


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(path, array):
    data = idx_bytes(np.asarray(array, np.uint8))
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def write_mnist(folder, train=48, test=10, end="", mark="-"):
    """An MNIST-style folder; returns its images (N, 28, 28) and labels (N,), train before test."""
    images = some_images(train + test, 28, 28)[:, 0]
    labels = np.arange(train + test) % 10
    folder.mkdir(exist_ok=True)
    for part, where in (("train", slice(0, train)), ("t10k", slice(train, None))):
        write_idx(folder / f"{part}-images{mark}idx3-ubyte{end}", images[where])
        write_idx(folder / f"{part}-labels{mark}idx1-ubyte{end}", labels[where])
    return images, labels


def write_cifar(folder, count=8, protocol=2, keys=str, batches=5):
    """CIFAR-10 batches; returns images (N, 3, 32, 32) and labels (N,), the test batch last."""
    images = some_images((batches + 1) * count, 32, 32, 3)
    labels = np.arange(len(images)) % 10
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate([*(f"data_batch_{i + 1}" for i in range(batches)), "test_batch"]):
        where = slice(k * count, (k + 1) * count)
        batch = {
            "batch_label": name,
            "labels": labels[where].tolist(),
            "data": images[where].reshape(count, -1),
            "filenames": [f"{i}.png" for i in range(count)],
        }
        batch = {key if keys is str else key.encode(): value for key, value in batch.items()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    names = {"label_names": [f"class {k}" for k in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol))
    return images, labels


def all_of(dataset):
    """Images and labels of all parts, one after the other."""
    parts = (dataset.train, dataset.valid, dataset.test)
    images = np.concatenate([part.images for part in parts])
    if dataset.train.labels is None:
        return images, None
    return images, np.concatenate([part.labels for part in parts])


def same_set(images, expected):
    """Whether two arrays (N, ...) hold the same images, in whatever order."""
    return sorted(image.tobytes() for image in images) == sorted(x.tobytes() for x in expected)
