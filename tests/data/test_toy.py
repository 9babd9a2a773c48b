"""Points and stacks: what they are drawn from, that they are named, and what takes them."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest

from frenemy.data import Source, describe, open_dataset, open_images
from frenemy.data.toy import MIXTURES, ring, square_grid, stack
from frenemy.errors import FrenemyError
from frenemy.judge.modes import class_modes, kl_floor, mixture_modes, quality_ceiling

from .data_files import same_set, some_images, write_mnist


def test_centres_are_those_of_the_papers():
    assert sorted(map(tuple, square_grid().tolist())) == [
        (float(a), float(b)) for a in range(-4, 5, 2) for b in range(-4, 5, 2)
    ]
    points = ring()
    np.testing.assert_allclose(np.hypot(*points.T), 1, rtol=1e-6)  # float32
    gaps = np.hypot(*(points - np.roll(points, 1, 0)).T)
    np.testing.assert_allclose(gaps, 2 * math.sin(math.pi / 8), rtol=1e-6)


# Points in the plane


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_points_are_exact_samples_within_the_square(name):
    data, mixture = open_dataset(f"toy:{name}"), MIXTURES[name]
    sizes = [len(part) for part in (data.train, data.valid, data.test)]
    assert sizes == [100_000, 10_000, 10_000]
    x, labels = data.train.images, data.train.labels
    assert (x.dtype, x.shape[1:], data.shape) == (np.float32, (2, 1, 1), (2, 1, 1))
    assert abs(x).max() < 1
    points = mixture.unit * x[:, :, 0, 0].astype(float)
    found = mixture_modes(
        centres=torch.from_numpy(mixture.centres), sd=mixture.sd, fake=torch.from_numpy(points)
    )
    assert found.caught.value == len(mixture.centres) == len(data.train.classes)
    assert abs(found.quality.value - quality_ceiling(2)) < 4 * found.quality.error
    noise = (points - mixture.centres[labels]) / mixture.sd
    assert kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert chisquare(np.bincount(labels)).pvalue > 1e-3
    for label in range(len(mixture.centres)):
        centre = np.array(data.train.classes[label].strip("()").split(", "), float)
        np.testing.assert_allclose(centre, mixture.centres[label], atol=5e-4)


def test_points_are_the_same_whenever_they_are_opened_and_have_names():
    one, other, grid = (open_dataset(f"toy:{name}") for name in ("ring", "ring", "grid"))
    np.testing.assert_array_equal(one.test.images, other.test.images)
    assert one.train.digest == other.train.digest == one.test.digest != grid.train.digest
    assert one.arguments == {"path": "toy:ring"}
    assert one.train.name == "toy:ring train"


def test_the_mean_of_points_lies_where_pixels_do():
    x = np.array([[-1.0, 0.5], [0.0, 1.0]], np.float32).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(Source(x).mean().ravel(), [0.25, 0.875])


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((3, 3, 1, 1), np.float32), r"float32 \(3, 3, 1, 1\)"),
        (np.zeros((3, 2, 2, 1), np.float32), "float32"),
        (np.zeros((3, 2, 1, 1)), "float64"),
        (np.zeros((3, 2, 1, 1), np.uint8), "C 1 to 4"),
        (np.zeros((0, 2, 1, 1), np.float32), "N at least 1"),
    ],
)
def test_only_points_in_the_plane_are_floats(images, said):
    with pytest.raises(FrenemyError, match=said):
        Source(images)


# Stacks


def digits(count=20):
    """Images that are filled with a number of their own, and labels."""
    labels = np.arange(count) % 10
    images = np.empty((count, 1, 4, 5), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Source(images, labels, "digits", classes=tuple("0123456789"))


def test_stacks_are_three_digits_and_their_class():
    source = digits()
    stacks = stack(source, 5000)
    images, labels = stacks.batch(0, 0, 5000)
    assert images.shape == (5000, 3, 4, 5)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert (images == images[..., :1, :1]).all()
    a, b, c = (source.labels[images[:, i, 0, 0]] for i in range(3))
    np.testing.assert_array_equal(labels, 100 * a + 10 * b + c)
    assert len(stacks.classes) == 1000
    assert stacks.classes[904] == "9 0 4"
    found = class_modes(fake_classes=torch.from_numpy(stacks.labels), count=1000)
    # the floor's next order, at 5 samples a mode, is some 10 %
    assert found.reverse_kl.value == pytest.approx(kl_floor(1000, 5000), rel=0.2)


def test_stack_i_is_a_function_of_the_seed_and_i():
    one, longer, third = (stack(digits(), n, seed) for n, seed in ((9, 1), (30, 1), (9, 2)))
    np.testing.assert_array_equal(one.images, longer.images[:9])
    np.testing.assert_array_equal(one.labels, longer.labels[:9])
    assert (one.labels != third.labels).any()


def test_the_order_is_pinned():
    # Runs resume on it, and numbers were measured on it: it must never change.
    assert stack(digits(), 4).labels.tolist() == [493, 39, 737, 316]


def test_stacks_look_like_an_array_to_those_who_read_images():
    images = stack(digits(), 40).images
    whole = np.asarray(images)
    assert (len(images), images.shape, images.dtype) == (40, whole.shape, np.uint8)
    np.testing.assert_array_equal(images[7:3:-2], whole[7:3:-2])
    np.testing.assert_array_equal(images[np.array([3, 3, 1])], whole[[3, 3, 1]])
    np.testing.assert_array_equal(images[5], whole[5])
    np.testing.assert_array_equal(np.concatenate([images, images])[40:], whole)


def test_stacks_have_labels_only_of_ten_classes():
    nine = Source(some_images(), np.arange(30) % 9, classes=tuple("abcdefghi"))
    assert stack(nine, 5).labels is None
    assert stack(Source(some_images()), 5).labels is None


def test_stacks_of_a_path_are_made_part_by_part(cache, tmp_path):
    write_mnist(tmp_path / "mnist")
    single, data = (open_dataset(f"{how}{tmp_path / 'mnist'}") for how in ("", "stacked:"))
    assert data.shape == (3, 28, 28)
    for part, alone, count in (
        (data.train, single.train, 128_000),
        (data.valid, single.valid, 26_000),
        (data.test, single.test, 26_000),
    ):
        assert len(part) == count
        drawn = part.images[:200].reshape(-1, 28, 28)
        assert same_set(np.unique(drawn, axis=0), alone.images[:, 0])
    again = open_dataset((how := dict(data.arguments)).pop("path"), **how)
    assert again.train.digest == data.train.digest != single.train.digest
    np.testing.assert_array_equal(again.test.images[:9], data.test.images[:9])
    coarse = open_dataset(f"stacked:{tmp_path / 'mnist'}", size=7)
    assert coarse.shape == (3, 7, 7)


def test_stacks_are_found_from_another_folder(cache, tmp_path, monkeypatch):
    write_mnist(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    assert open_dataset("stacked:mnist").arguments["path"] == f"stacked:{tmp_path / 'mnist'}"


def test_stacks_take_little_memory():
    source = open_dataset(None).train
    tracemalloc.start()
    stacks = stack(source, 128_000)
    stacks.batch(0, 0, 64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 128_000 * 3 * 8 * 8  # an eighth of what they would be at 28 x 28


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        ("toy:rong", {}, "ring"),
        ("toy:", {}, "ring"),
        ("toy:ring", {"size": 8}, "no size"),
        ("toy:ring", {"grey": True}, "no colours"),
        ("stacked:toy:ring", {}, "only grey images"),
        ("stacked:stacked:", {}, "only grey images"),
        ("stacked:nowhere", {}, "nowhere: no such file"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(path, arguments, said):
    with pytest.raises(FrenemyError, match=said) as refused:
        open_dataset(path, **arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("path", ["toy:ring", "stacked:"])
@pytest.mark.parametrize("look", [describe, open_images])
def test_what_is_made_is_no_pictures_in_files(path, look):
    with pytest.raises(FrenemyError, match=f"{path}: a synthetic set, with no files to read"):
        look(path)
