"""Nearest training images against brute force, and that copies are found out."""

import numpy as np
import pytest
import torch

from frenemy.judge import neighbours as module
from frenemy.judge.neighbours import BLOCK, QUANTILES, TILE, compare_with_training, nearest
from frenemy.judge.sets import Drawn


@pytest.fixture
def always_warn():
    """Repeats what torch warns of but once a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def pixels(count, shape=(1, 3, 3), seed=0):
    """uint8 (count, *shape)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def unit(images):
    return torch.from_numpy(images).float().div_(255)


def brute_force(queries, images):
    """Distances and indices in float64, the first of equals."""
    q, x = (images.flatten(1).double() for images in (queries, images))
    distances = (q[:, None] - x[None]).norm(dim=2).numpy()
    return torch.from_numpy(distances.min(1)), torch.from_numpy(distances.argmin(1))


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 4, 4)])
@pytest.mark.parametrize("stored", ["uint8 array", "float tensor"])
@pytest.mark.filterwarnings("error")
def test_nearest_is_brute_force(shape, stored):
    queries, images = unit(pixels(60, shape)), pixels(200, shape, seed=1)
    distance, index = nearest(
        queries=queries, images=images if stored == "uint8 array" else unit(images)
    )
    expected, where = brute_force(queries, unit(images))
    assert (distance.dtype, index.dtype) == (torch.float32, torch.int64)
    # float32 sums of up to 48 squares
    torch.testing.assert_close(distance.double(), expected, rtol=1e-6, atol=1e-7)
    # what is near to 1e-7 may be told apart in float64 alone
    chosen = (queries - unit(images)[index]).flatten(1).double().norm(dim=1)
    assert ((index == where) | (chosen - expected < 1e-6)).all()
    assert (index == where).float().mean() > 0.9 or shape == (1,)


@pytest.mark.parametrize(("tile", "block"), [(7, BLOCK), (TILE, 7), (7, 11), (1, 1)])
def test_tiles_and_blocks_do_not_matter(tile, block, monkeypatch):
    queries, images = unit(pixels(2 * TILE + 3)), pixels(50, seed=1)
    expected = nearest(queries=queries, images=images)
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "BLOCK", block)
    assert all(map(torch.equal, nearest(queries=queries, images=images), expected))


@pytest.mark.parametrize("images_a_part", [0.5, 1, 7])
@pytest.mark.parametrize("shape", [(5,), (3, 8, 8)])
def test_the_budget_of_memory_does_not_matter(images_a_part, shape, monkeypatch):
    queries, images = pixels(23, shape), pixels(50, shape, seed=1)
    expected = nearest(queries=queries, images=images)
    monkeypatch.setattr(module, "BYTES", int(images_a_part * 8 * np.prod(shape)))
    assert all(map(torch.equal, nearest(queries=queries, images=images), expected))


def test_parts_hold_no_more_than_the_budget(monkeypatch):
    sizes, to_rows = [], module._rows

    def rows(images, device):
        found = to_rows(images, device)
        sizes.append(found.numel() * found.element_size())
        return found

    monkeypatch.setattr(module, "_rows", rows)
    monkeypatch.setattr(module, "BYTES", 10_000)
    nearest(queries=pixels(40, (3, 8, 8)), images=pixels(30, (3, 8, 8)))  # of 1,536 bytes
    assert max(sizes) == 6 * 1536


def test_arrays_are_their_pixels_in_unit_range_and_drawn_ones_those_at_the_index():
    queries, images = pixels(20), pixels(90, seed=1)
    index = np.random.default_rng(2).permutation(90)[:40]
    expected = nearest(queries=unit(queries), images=unit(images[index]))
    for found in (
        nearest(queries=queries, images=images[index]),
        nearest(queries=queries, images=Drawn(images, index)),
    ):
        assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("copies", [(3, 5), (0, 12), (2, BLOCK + 7), (BLOCK - 1, BLOCK)])
def test_the_first_of_equals_is_taken(copies):
    images = torch.rand(max(20, copies[1] + 1), 9, generator=torch.Generator().manual_seed(0))
    query = torch.rand(1, 9, generator=torch.Generator().manual_seed(1))
    for i in copies:
        images[i] = query[0]
    distance, index = nearest(queries=query, images=images)
    assert (distance.item(), index.item()) == (0, copies[0])


def test_the_first_of_many_equals_is_taken_wherever_they_stand():
    once = unit(pixels(37, (1, 28, 28)))
    _, index = nearest(queries=once, images=once.repeat(5, 1, 1, 1))
    assert index.tolist() == list(range(37))


@pytest.mark.parametrize("shape", [(1,), (7,), (1, 28, 28)])
def test_of_different_images_at_one_distance_the_first_is_taken(shape):
    generator = torch.Generator().manual_seed(2)
    query = torch.randint(64, 192, shape, generator=generator) / 256
    aside = torch.randint(1, 64, shape, generator=generator) / 256  # exact, and so are its squares
    either = [query - aside, query + aside]
    far = torch.full((40, *shape), 9.0)
    for ahead in range(40):
        for both in (either, either[::-1]):
            images = torch.cat([far[:ahead], torch.stack(both), far])
            _, index = nearest(queries=query[None], images=images)
            assert index.item() == ahead


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
@pytest.mark.parametrize("offset", [0, 1000])
def test_what_float32_cannot_tell_apart_is_told(scale, offset):
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(20, 30, dtype=torch.float64, generator=generator) + offset
    near = 1e-9 * torch.randn(20, 20, 30, dtype=torch.float64, generator=generator)
    images = scale * (centres + near).flatten(0, 1)  # 20 of each, as good as equal in float32
    distance, index = nearest(queries=scale * centres, images=images)
    expected = (scale * centres[:, None] - images).norm(dim=2).min(1)
    assert torch.equal(index, expected.indices)
    torch.testing.assert_close(
        distance.double() / scale, expected.values / scale, rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("block", [1, 7, BLOCK])
def test_ones_own_does_not_count(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    images = unit(pixels(40, (1, 4, 4)))
    images[7] = images[3]
    distance, index = nearest(queries=images, images=images, own=torch.arange(40))
    apart = torch.cdist(images.flatten(1).double(), images.flatten(1).double())
    expected = apart.fill_diagonal_(torch.inf).min(1)
    torch.testing.assert_close(distance.double(), expected.values, rtol=1e-6, atol=1e-7)
    assert (index[3], index[7]) == (7, 3)


def test_many_equal_images_among_others_change_nothing():
    images, queries = unit(pixels(60, (1, 4, 4))), unit(pixels(30, (1, 4, 4), seed=1))
    images[10:50] = images[10]
    queries[:5] = images[10]
    distance, index = nearest(queries=queries, images=images)
    expected, where = brute_force(queries, images)
    assert torch.equal(index, where)
    torch.testing.assert_close(distance.double(), expected, rtol=1e-6, atol=1e-7)


def test_a_copy_is_nearer_than_an_image_one_grey_level_away():
    originals = pixels(100, (1, 28, 28))
    almost = originals.copy()
    almost[:, 0, 0, 0] ^= 1
    images = np.concatenate([almost, originals])
    distance, index = nearest(queries=unit(originals), images=images)
    assert not distance.any()
    assert index.tolist() == list(range(100, 200))


def test_the_arguments_are_left_alone():
    queries, images = unit(pixels(5)), pixels(6, seed=1)
    nearest(queries=queries, images=images)
    assert torch.equal(queries, unit(pixels(5)))
    assert (images == pixels(6, seed=1)).all()


# Has the generator memorised?


def test_copies_of_training_images_are_flagged():
    train, test = pixels(300, (3, 4, 4)), pixels(80, (3, 4, 4), seed=1)
    found = compare_with_training(fake=train[50:90], train=train, test=test)
    assert found.index.tolist() == list(range(50, 90))
    assert list(found.fake) == [0] * len(QUANTILES)
    assert all(distance > 0.5 for distance in found.test)


def test_even_a_few_copies_show_in_the_low_quantiles():
    train, test = pixels(300, (3, 4, 4)), pixels(80, (3, 4, 4), seed=1)
    fake = pixels(100, (3, 4, 4), seed=2)
    fake[::20] = train[:5]  # 5 of 100
    found = compare_with_training(fake=fake, train=train, test=test)
    low, median = QUANTILES.index(0.01), QUANTILES.index(0.5)
    assert found.fake[low] == 0 < found.test[low]
    assert found.fake[median] > 0.9 * found.test[median]


def test_honest_samples_are_as_far_as_held_out_images():
    train, test, fake = (pixels(n, (3, 4, 4), seed=n) for n in (300, 400, 401))
    found = compare_with_training(fake=fake, train=train, test=test)
    assert list(found.fake) == sorted(found.fake)
    assert list(found.test) == sorted(found.test)
    for quantile, of_fake, of_test in zip(QUANTILES, found.fake, found.test, strict=True):
        if 0.1 <= quantile <= 0.9:  # 400 distances of deviation 6 % give quantiles to about 1 %
            assert of_fake == pytest.approx(of_test, rel=0.03)


def test_quantiles_are_those_of_the_distances():
    train, fake, test = (pixels(n, seed=n) for n in (50, 30, 20))
    found = compare_with_training(fake=fake, train=train, test=test)
    for images, quantiles in ((fake, found.fake), (test, found.test)):
        distances, _ = brute_force(unit(images), unit(train))
        expected = np.quantile(distances.numpy(), QUANTILES)
        np.testing.assert_allclose(quantiles, expected, rtol=1e-5)  # float32


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("always_warn")
def test_read_only_memory_maps_are_taken_without_a_warning(tmp_path):
    np.save(tmp_path / "train.npy", pixels(30))
    train = np.load(tmp_path / "train.npy", mmap_mode="r")
    found = compare_with_training(fake=pixels(4), train=train, test=train[5:9])
    assert found.index.tolist() == [0, 1, 2, 3]  # the same seed: the same first images
