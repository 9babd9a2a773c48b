"""Copies of training images: planted ones are found, however moved, and honest samples are not."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from frenemy.data import open_dataset
from frenemy.data.source import Drawn
from frenemy.errors import FrenemyError
from frenemy.judge.alike import Alignment
from frenemy.judge.candidates import Shifted, Table
from frenemy.judge.copying import Copying


def moved(images, down, right):
    wide = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), "edge")
    h, w = images.shape[2:]
    return wide[:, :, 2 - down : 2 - down + h, 2 - right : 2 - right + w]


def noisy(images, deviation):
    noise = np.random.default_rng(1).normal(0, deviation, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def digits():
    """Embedded digits at 16 x 16: 1,200 to train on, 300 held out, and 297 others."""
    data = open_dataset(None, size=16)
    images = np.concatenate([part.images for part in (data.train, data.valid, data.test)])
    return np.split(images, [1200, 1500])


@pytest.fixture(scope="module")
def search(digits):
    return Copying(train=digits[0], held_out=digits[1])


# The distance between images, whatever lies between them


def by_hand(a, b, radius, cell):
    """The least distance over shifts and flips, window by window in float64."""

    def means(x):
        h, w = (side // cell for side in x.shape[1:])
        return x[:, : h * cell, : w * cell].reshape(len(x), h, cell, w, cell).mean((2, 4))

    def normal(x):
        x = x.ravel() - x.mean()
        return x / np.sqrt((x * x).sum() + x.size)

    _, h, w = a.shape
    rows, columns = h - 2 * radius, w - 2 * radius
    middle = normal(means(b[:, radius : radius + rows, radius : radius + columns]))
    return min(
        np.linalg.norm(normal(means(x[:, y : y + rows, z : z + columns])) - middle)
        for x in (a, a[..., ::-1])
        for y in range(2 * radius + 1)
        for z in range(2 * radius + 1)
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 13), (1, 28, 28), (3, 33, 40)])
def test_distances_are_the_least_over_shifts_and_flips(shape):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (4, *shape), np.uint8) for _ in range(2))
    b[0], b[1] = moved(a[:1], 1, -1)[0], a[1, ..., ::-1]
    alignment = Alignment.of(shape)
    levels, others = alignment.read(a), alignment.read(b)
    found, _ = alignment.distances(levels, others.expand(4, *others.shape))
    for i in range(4):
        for j in range(4):
            wide = (x.astype(np.float64) for x in (a[i], b[j]))
            expected = by_hand(*wide, alignment.radius, alignment.cell)
            # squares in float32: 1e-6 of 2, and the root of it near 0
            assert found[i, j].item() == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("down", "right", "mirrored"), [(0, 0, False), (1, -2, False), (-2, 1, 1)])
def test_how_an_image_was_moved_is_told(down, right, mirrored):
    images = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), np.uint8)
    copy = moved(images, down, right)
    copy = copy[..., ::-1] if mirrored else copy
    alignment = Alignment.of((1, 28, 28))
    near, how = alignment.distances(alignment.read(copy), alignment.read(images)[None])
    assert near.item() < 2e-3
    assert alignment.told(how.item()) == (down, right, bool(mirrored))


def test_brightness_and_contrast_do_not_count():
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), np.uint8)
    alignment = Alignment.of((3, 32, 32))
    other = alignment.read(images)[None] * 0.5 + 60
    assert alignment.distances(alignment.read(images), other)[0].item() < 2e-3


def test_images_larger_than_64_are_compared_smaller():
    images = ndimage.gaussian_filter(
        np.random.default_rng(0).normal(size=(2, 3, 100, 150)), (0, 0, 4, 4)
    )
    images = (128 + 400 * images).clip(0, 255).astype(np.uint8)
    alignment = Alignment.of((3, 100, 150))
    assert (alignment.height, alignment.width) == (43, 64)
    near, _ = alignment.distances(
        alignment.read(moved(images[:1], 2, 2)), alignment.read(images)[None]
    )
    assert near[0, 0] < 0.3 * near[0, 1]


# The quick search


@pytest.mark.parametrize(("count", "k"), [(5, 3), (500, 10), (5000, 10)])
def test_the_search_finds_the_nearest_whether_mirrored_or_not(count, k):
    g = torch.Generator().manual_seed(0)
    even, odd = torch.randn(count, 6, generator=g), torch.randn(count, 5, generator=g)
    q, p = torch.randn(300, 6, generator=g), torch.randn(300, 5, generator=g)
    apart = torch.cdist(q, even).square() + torch.minimum(
        torch.cdist(p, odd).square(), torch.cdist(p, -odd).square()
    )
    table = Table((even, odd))
    found = table.nearest((q, p), k)
    least = apart.topk(k, 1, largest=False).values
    torch.testing.assert_close(apart.gather(1, found), least, rtol=1e-4, atol=1e-4)  # float32
    own = torch.arange(300) % count
    without = table.nearest((q, p), min(k, count - 1), own)
    apart[torch.arange(300), own] = torch.inf
    least = apart.topk(min(k, count - 1), 1, largest=False).values
    torch.testing.assert_close(apart.gather(1, without), least, rtol=1e-4, atol=1e-4)


def test_a_mirrored_image_has_the_opposite_odd_coordinates(digits):
    alignment = Alignment.of((1, 16, 16))
    levels = alignment.read(digits[0])
    project = Shifted(alignment, levels, 0)
    (even, odd), (same, opposite) = project(levels), project(levels.flip(-1))
    torch.testing.assert_close(even, same, rtol=1e-3, atol=1e-3)  # float32, numbers of some tens
    torch.testing.assert_close(odd, -opposite, rtol=1e-3, atol=1e-3)


# Verdicts

KINDS = {
    "as they are": lambda x: x,
    "down": lambda x: moved(x, 1, 0),
    "up and left": lambda x: moved(x, -1, -1),
    "mirrored": lambda x: x[..., ::-1],
    "brighter": lambda x: (0.6 * x + 70).astype(np.uint8),
    "noisy": lambda x: noisy(x, 4),
    "mirrored, moved, noisy": lambda x: noisy(moved(x, 0, 1)[..., ::-1], 4),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 1])
def test_planted_copies_are_found(kind, share, digits, search):
    train, _, others = digits
    count = round(share * 290)
    samples = np.concatenate([KINDS[kind](train[:count]), others[: 290 - count]])
    found = search.of(samples)
    assert found.verdict == "copied", found.note
    assert "copied" in found.note and found.share.note == found.note
    assert found.low < share + 0.02 and found.high > 0.9 * share
    assert found.low <= found.share.value <= found.high
    assert found.exact == (count if kind == "as they are" else 0)
    right = [pair.training == pair.sample for pair in found.pairs if pair.sample < count]
    assert np.mean(right) > 0.97 and len(right) > 0.8 * count
    assert np.isinf(found.scores.numpy()).sum() == found.exact


def test_pairs_come_with_how_they_were_moved(digits, search):
    samples = np.concatenate([moved(digits[0][:200], 1, -1), digits[2][:80]])
    pairs = search.of(samples).pairs
    told = [str(pair) for pair in pairs[:100]]
    assert np.mean([words == "1 down, 1 left" for words in told]) > 0.9
    (first,) = (pair for pair in search.of(digits[0][5:6]).pairs)
    assert (first.sample, first.training, str(first)) == (0, 5, "in place")


def test_honest_samples_are_not_called_copies(digits, search):
    others = digits[2]
    smooth = ndimage.gaussian_filter(others.astype(np.float32), (0, 0, 0.7, 0.7))
    noise = np.random.default_rng(0).integers(0, 256, others.shape, np.uint8)
    for honest in (others, smooth.round().astype(np.uint8), noise):
        found = search.of(honest)
        assert found.verdict == "", found.note
        assert found.low < 0.005 and found.exact == 0
        assert found.note.startswith("no sign of copying")


@pytest.mark.parametrize("deviation", [0, 4])
def test_one_image_again_and_again_repeats_and_is_no_copy(deviation, digits, search):
    samples = np.repeat(digits[2][:1], 200, 0)
    found = search.of(noisy(samples, deviation) if deviation else samples)
    assert found.verdict == "repeats"
    assert found.note.startswith("repeats: all 200 samples")
    assert "no sign of copying" in found.note
    assert found.repeats.value == 1
    assert found.low < 0.005


def test_training_images_again_and_again_are_both(digits, search):
    found = search.of(np.repeat(digits[0][:40], 5, 0))
    assert found.verdict == "repeats"
    assert "copied: 40 of 40 different samples" in found.note
    assert found.low > 0.85


def test_real_data_says_the_right_words(real_data):
    data = open_dataset(real_data / "mnist")
    test = np.asarray(data.test.images[:1000])
    train = data.train.images[:8000]
    search = Copying(train=train, held_out=data.valid.images[:1000])
    assert search.of(test).verdict == ""
    for change in (lambda x: x, lambda x: moved(x, -2, 2), lambda x: noisy(x, 8)):
        mixed = np.concatenate([change(train[:50]), test[:950]])
        assert search.of(mixed).verdict == "copied"
    assert search.of(np.repeat(test[:1], 1000, 0)).verdict == "repeats"


# Duplicates in the data


def test_held_out_images_that_are_training_images_do_not_blind(digits):
    train, held_out, others = digits
    search = Copying(train=train, held_out=np.concatenate([train[:300], held_out]))
    found = search.of(np.concatenate([train[500:530], others[:250]]))
    assert found.verdict == "copied"
    assert "300 of 600 held-out images are training images byte for byte" in found.note
    assert search.of(others).verdict == ""


def test_near_duplicates_among_held_out_images_are_taken_off(digits):
    train, held_out, others = digits
    with_copies = np.concatenate([noisy(train[:20], 4), held_out[:180]])
    search = Copying(train=train, held_out=np.repeat(with_copies, 5, 0))
    assert "held-out images are near-duplicates" in search.of(others).note
    honest = np.concatenate([noisy(train[600:625], 4), others[:225]])  # a tenth, as held out
    assert search.of(honest).verdict == ""
    assert search.of(noisy(train[:200], 4)).low > 0.7


def test_equal_training_images_do_not_hide_each_other(digits):
    train, held_out, others = digits
    search = Copying(train=np.repeat(train, 4, 0), held_out=held_out)
    found = search.of(np.concatenate([noisy(train[:30], 4), others[:250]]))
    assert found.verdict == "copied"
    assert found.pairs[0].training % 4 == 0  # the first of equals


# What must not matter, and small sets


def test_parts_of_an_array_on_the_disk_do(digits, search, tmp_path):
    train, _, others = digits
    np.save(tmp_path / "all.npy", np.concatenate(digits))
    stored = np.load(tmp_path / "all.npy", mmap_mode="r")
    again = Copying(
        train=Drawn(stored, np.arange(1200)), held_out=Drawn(stored, np.arange(1200, 1500))
    )
    samples = np.concatenate([train[:20], others[:100]])
    one, other = search.of(samples), again.of(samples)
    assert (one.note, one.share, one.pairs) == (other.note, other.share, other.pairs)


def test_the_error_is_half_the_interval_and_held_out_images_share_it(digits, search):
    found = search.of(np.concatenate([digits[0][:60], digits[2][:200]]))
    assert found.share.error == pytest.approx((found.high - found.low) / 3.92, rel=1e-3)
    shared = np.square(found.share.shared).mean() ** 0.5
    assert 0 < shared < found.share.error


def test_twenty_images_are_enough_to_look():
    rng = np.random.default_rng(0)
    train, held_out, fake = (rng.integers(0, 256, (20, 3, 8, 8), np.uint8) for _ in range(3))
    search = Copying(train=train, held_out=held_out)
    assert search.of(fake).verdict == ""
    assert search.of(train).verdict == "copied"
    assert search.of(fake[:1]).repeats.value == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 3), (3, 4, 4), (1, 7, 90)])
def test_images_of_any_shape_are_looked_at(shape):
    rng = np.random.default_rng(0)
    train, held_out = (rng.integers(0, 256, (60, *shape), np.uint8) for _ in range(2))
    found = Copying(train=train, held_out=held_out).of(train)
    assert (found.exact, found.low > 0.9) == (60, True)


def test_bad_sets_are_told_in_one_line():
    rng = np.random.default_rng(0)
    train, fake = (rng.integers(0, 256, (20, 1, 8, 8), np.uint8) for _ in range(2))
    equal = np.repeat(train[:1], 20, 0)
    with pytest.raises(FrenemyError, match=r"^copying: 1 different training images: needs 12"):
        Copying(train=equal, held_out=fake)
    with pytest.raises(FrenemyError, match=r"^copying: 20 images of"):
        Copying(train=train, held_out=fake[..., :7])
    with pytest.raises(FrenemyError, match=r"^copying: 0 images of"):
        Copying(train=train, held_out=fake).of(fake[:0])


def test_flat_images_are_no_copies_unless_byte_for_byte():
    rng = np.random.default_rng(0)
    train, fake = (rng.integers(0, 256, (40, 1, 8, 8), np.uint8) for _ in range(2))
    train[0] = 7
    flat = np.arange(10, 30, dtype=np.uint8)[:, None, None, None] + np.zeros_like(fake[:20])
    search = Copying(train=train, held_out=fake)
    assert search.of(flat).verdict != "copied"
    assert search.of(np.full((5, 1, 8, 8), 7, np.uint8)).exact == 5
