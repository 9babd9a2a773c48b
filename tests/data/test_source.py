import dataclasses
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frenemy.data import Source
from frenemy.data.source import permutation
from frenemy.errors import FrenemyError

from .data_files import some_images


def numbered(count):
    """Images that tell their number."""
    labels = np.arange(count)
    return Source(labels.astype(np.uint8).reshape(-1, 1, 1, 1), labels)


@given(count=st.integers(1, 40), size=st.integers(1, 100), seed=st.integers(0, 2**64))
def test_every_pass_visits_every_image_once(count, size, seed):
    source = numbered(count)
    passes = 3
    batches = -(-passes * count // size)
    seen = np.concatenate([source.batch(seed, i, size)[1] for i in range(batches)])
    for epoch in range(passes):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_batches_straddle_passes():
    source = numbered(5)
    stream = np.concatenate([source.batch(3, i, 1)[1] for i in range(20)])
    for i in range(5):
        np.testing.assert_array_equal(source.batch(3, i, 4)[1], stream[4 * i : 4 * i + 4])


def test_images_and_labels_stay_together():
    images, labels = numbered(50).batch((1, 2), 7, 16)
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_a_batch_depends_on_seed_and_number_only():
    source = numbered(100)
    first = source.batch(1, 4, 32)[1]
    source.batch(2, 9, 7)
    np.testing.assert_array_equal(source.batch(1, 4, 32)[1], first)
    np.testing.assert_array_equal(source.batch([1], 4, 32)[1], first)
    assert not np.array_equal(source.batch(2, 4, 32)[1], first)
    assert not np.array_equal(source.batch(1, 5, 32)[1], first)


def test_a_batch_is_the_same_in_another_process():
    program = (
        "import numpy as np; from frenemy.data import Source;"
        "s = Source(np.zeros((100, 1, 1, 1), np.uint8), np.arange(100));"
        "print(s.batch((7, 8), 11, 30)[1].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(numbered(100).batch((7, 8), 11, 30)[1].tolist())


def test_the_order_is_pinned():
    # Stored sets are cut by it, and runs resume on it: it must never change.
    assert permutation(0, 0, 10).tolist() == [6, 5, 1, 7, 3, 0, 4, 8, 2, 9]


def test_the_order_cannot_be_changed_by_who_got_it():
    with pytest.raises(ValueError, match="read-only"):
        permutation(0, 0, 10)[0] = 1


def test_the_last_pass_of_each_stream_is_remembered_and_no_other():
    orders = [permutation((1, stream), 0, 50) for stream in range(20)]
    for _ in range(2):
        assert all(permutation((1, k), 0, 50) is order for k, order in enumerate(orders))
    permutation((1, 3), 1, 50)
    again = permutation((1, 3), 0, 50)
    assert again is not orders[3]
    np.testing.assert_array_equal(again, orders[3])


def test_mean_is_the_mean():
    images = some_images(5000, 3, 2, 3)
    expected = images.mean(axis=0) / 255
    np.testing.assert_allclose(Source(images).mean(), expected, rtol=1e-12)


def test_shapes_are_checked():
    with pytest.raises(FrenemyError, match=r"uint8 \(N, C, H, W\), .*, not float64"):
        Source(np.zeros((2, 1, 4, 4)))  # type: ignore[arg-type]
    for shape in ((0, 1, 4, 4), (2, 5, 4, 4), (2, 1, 4, 0), (2, 4, 4)):
        with pytest.raises(FrenemyError, match=r"N at least 1 and C 1 to 4, not uint8 \("):
            Source(np.zeros(shape, np.uint8))
    with pytest.raises(FrenemyError, match=r"2 images but labels of shape \(3,\)"):
        Source(np.zeros((2, 1, 4, 4), np.uint8), np.zeros(3, np.int64))


def test_take_of_a_slice_is_a_view():
    source = numbered(10)
    part = source.take(slice(2, 5), "a part")
    assert np.shares_memory(part.images, source.images)
    assert (len(part), part.name, part.shape) == (3, "a part", (1, 1, 1))


# Which images they are


def test_images_from_memory_have_a_digest_of_their_content():
    images, labels = some_images(6, channels=3), np.arange(6)
    same = [
        Source(images, labels, classes=("a", "b")),
        Source(images.copy(), labels.astype(np.int32), "another name", classes=("a", "b")),
        Source(np.asfortranarray(images), labels, classes=("a", "b")),
        Source(images[::-1].copy()[::-1], labels[::-1].copy()[::-1], classes=("a", "b")),
    ]
    others = [
        Source(images),
        Source(images, labels),
        Source(images, labels[::-1], classes=("a", "b")),
        Source(images[::-1], labels, classes=("a", "b")),
        Source(images.transpose(0, 1, 3, 2), labels, classes=("a", "b")),
        Source(images.reshape(6, 3, 2, 10), labels, classes=("a", "b")),
        Source(images[:5], labels[:5], classes=("a", "b")),
    ]
    assert len({source.digest for source in same}) == 1
    assert len({source.digest for source in (same[0], *others)}) == 1 + len(others)
    assert all(re.fullmatch("[0-9a-f]{64}", source.digest) for source in (*same, *others))


def test_the_digest_of_a_set_on_disk_is_that_of_its_files_and_its_parts_share_it():
    source = Source(some_images(6), digest="of files")
    assert source.digest == source.take(slice(3), "a part").digest == "of files"


def test_parts_of_images_from_memory_share_the_digest_of_the_whole():
    source = Source(some_images(6))
    assert source.take(slice(3), "a part").digest == source.digest
    assert dataclasses.replace(source, name="another name").digest == source.digest


def test_a_digest_takes_little_memory():
    images = np.zeros((3000, 64, 64, 1), np.uint8).transpose(0, 3, 1, 2)[:, :, ::-1]
    tracemalloc.start()
    try:
        assert Source(images).digest
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_digest_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Source(some_images(6)).digest = "other"  # type: ignore[misc]
