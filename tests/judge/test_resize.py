"""The two ways to 299x299 against hand-computed cases, a double loop and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from frenemy.errors import FrenemyError
from frenemy.judge import resize as module
from frenemy.judge.resize import SIZE, clean, fitted, original, resized


def images(*shape, seed=0):
    """Noise, which is the hardest to resize, uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def one_image(rows):
    return torch.tensor(rows, dtype=torch.uint8)[None, None]


def by_pillow(x):
    """Pillow's bicubic filter on channels of floats, clipped."""
    result = torch.empty(*x.shape[:2], SIZE, SIZE)
    for n, image in enumerate(x.float().numpy()):
        for c, channel in enumerate(image):
            picture = Image.fromarray(channel).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
            result[n, c] = torch.from_numpy(np.array(picture))
    return result.clamp(0, 255)


# The original rule


@pytest.mark.parametrize(
    ("size", "given", "expected"),
    [
        # places 0, 1/2, 1, 3/2; past the last pixel there is that pixel
        (
            4,
            [[0, 100], [200, 40]],
            [[0, 50, 100, 100], [100, 85, 70, 70], [200, 120, 40, 40], [200, 120, 40, 40]],
        ),
        # places 0 and 2: half of the pixels are never looked at
        (2, [[1, 99, 3, 99], [99] * 4, [5, 99, 7, 99], [99] * 4], [[1, 3], [5, 7]]),
        # places 0 and 3/2
        (2, [[10, 20, 30], [0, 0, 0], [50, 60, 100]], [[10, 25], [25, 40]]),
        (3, [[10, 20, 30], [0, 0, 0], [50, 60, 100]], [[10, 20, 30], [0, 0, 0], [50, 60, 100]]),
        (2, [[9]], [[9, 9], [9, 9]]),
        # rows and columns are not confused: 1 x 2 at the places 0, 2/3, 4/3
        (3, [[30, 60]], [[30, 50, 60]] * 3),
    ],
    ids=["2 to 4", "4 to 2", "3 to 2", "same", "one pixel", "1x2 to 3x3"],
)
def test_original_is_what_the_rule_gives_by_hand(size, given, expected, monkeypatch):
    monkeypatch.setattr(module, "SIZE", size)
    expected = torch.tensor(expected, dtype=torch.float32)[None, None]
    torch.testing.assert_close(original(one_image(given)), expected, rtol=1e-6, atol=0)  # float32


@pytest.mark.parametrize("shape", [(28, 28), (32, 32), (64, 48), (299, 299), (500, 650)])
def test_original_is_four_pixels_weighted(shape):
    x = images(1, 1, *shape)
    found, pixels = original(x)[0, 0], x[0, 0].double().numpy()
    rng = np.random.default_rng(0)
    for i, j in rng.integers(SIZE, size=(300, 2)):
        value = 0.0
        for dy in (0, 1):
            for dx in (0, 1):
                (top, a), (left, b) = (
                    (int(k * n / SIZE), k * n / SIZE % 1)
                    for k, n in zip((int(i), int(j)), shape, strict=True)
                )
                y, x_ = min(top + dy, shape[0] - 1), min(left + dx, shape[1] - 1)
                value += (a if dy else 1 - a) * (b if dx else 1 - b) * pixels[y, x_]
        # a place of some 500 is good to 3e-5 in float32, and neighbours differ by up to 255
        assert found[i, j].item() == pytest.approx(value, abs=2e-2)


def test_original_of_the_right_size_is_the_image():
    x = images(1, 3, SIZE, SIZE)
    assert torch.equal(original(x), x.float())


# The clean one


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3), (28, 28), (32, 32), (64, 48), (299, 299), (300, 298), (700, 500)]
)
def test_clean_is_pillows_bicubic(shape):
    x = images(2, 3, *shape)
    x[1] = torch.where(x[1] < 128, 0, 255)  # edges from black to white overshoot
    # both work in float64; Pillow rounds to float32, 1.5e-5 at 255, after rows and after columns
    torch.testing.assert_close(clean(x), by_pillow(x), rtol=0, atol=6e-5)


def test_clean_overshoots_and_is_clipped():
    x = images(1, 1, 32, 32)
    x = torch.where(x < 128, 0, 255).to(torch.uint8)
    found = clean(x)
    assert (found.min(), found.max()) == (0, 255)
    assert ((found > 0) & (found < 255)).any()


def test_fine_stripes_alias_in_the_original_and_become_grey_in_the_clean_one():
    x = torch.zeros(1, 1, 598, 598, dtype=torch.uint8)
    x[..., ::2] = 200  # every other column, shrunk to half
    assert (original(x) == 200).all()  # sees every second column
    inside = clean(x)[..., 2:-2]
    torch.testing.assert_close(inside, torch.full_like(inside, 100), rtol=1e-6, atol=0)  # float32


# Both


@pytest.mark.parametrize("how", ["original", "clean"])
def test_both_give_three_channels_of_floats(how):
    x = images(2, 3, 40, 30)
    found = resized(x, how)
    assert found.shape == (2, 3, SIZE, SIZE)
    assert found.dtype == torch.float32
    assert 0 <= found.min() < 5 and 250 < found.max() <= 255
    assert not torch.equal(found, found.round())


@pytest.mark.parametrize("how", ["original", "clean"])
def test_grey_images_are_three_equal_channels(how):
    x = images(2, 1, 28, 28)
    # sums in another order, in float64 at that: the last bit of float32
    expected = resized(x.expand(-1, 3, -1, -1), how)
    torch.testing.assert_close(resized(x, how), expected, rtol=2e-7, atol=1e-6)


@pytest.mark.parametrize("how", ["original", "clean"])
def test_a_constant_image_stays_constant(how):
    for shape in ((5, 9), (299, 299), (400, 310)):
        found = resized(torch.full((1, 3, *shape), 77, dtype=torch.uint8), how)
        torch.testing.assert_close(found, torch.full_like(found, 77), rtol=1e-6, atol=0)  # float32


@pytest.mark.parametrize("how", ["original", "clean"])
def test_the_batch_and_the_layout_in_memory_do_not_matter(how):
    x = images(3, 3, 50, 60)
    together = resized(x, how)
    alone = torch.cat([resized(one, how) for one in x.split(1)])
    other = resized(x.contiguous(memory_format=torch.channels_last), how)
    for found in (alone, other):  # sums in another order, in float64: the last bit of float32
        torch.testing.assert_close(found, together, rtol=2e-7, atol=1e-6)
    assert resized(x[:0], how).shape == (0, 3, SIZE, SIZE)


@pytest.mark.parametrize("how", ["original", "clean"])
def test_channels_and_axes_are_not_confused(how):
    x = images(1, 3, 50, 60)
    flipped = resized(x.flip(1), how).flip(1)
    torch.testing.assert_close(flipped, resized(x, how), rtol=2e-7, atol=1e-6)  # the last bit
    # columns before rows: the original rounds to float32, 1.5e-5 at 255, three times on the way
    torch.testing.assert_close(resized(x.mT, how), resized(x, how).mT, rtol=0, atol=1e-4)


# Bad input


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (torch.zeros(2, 3, 8, 8), "float32 (2, 3, 8, 8)"),
        (images(2, 2, 8, 8), "uint8 (2, 2, 8, 8)"),
        (images(3, 8, 8), "uint8 (3, 8, 8)"),
        (images(2, 3, 0, 8), "without pixels: (2, 3, 0, 8)"),
    ],
    ids=["floats", "two channels", "one image", "no pixels"],
)
@pytest.mark.parametrize("how", ["original", "clean"])
def test_bad_images_are_told_in_one_line(bad, said, how):
    with pytest.raises(FrenemyError) as refused:
        resized(bad, how)
    assert str(refused.value).startswith("inception: ")
    assert str(refused.value).endswith(said)


def test_there_is_no_third_way():
    with pytest.raises(FrenemyError, match="no resizing 'bilinear'"):
        resized(images(1, 1, 4, 4), "bilinear")


# For any network


@pytest.mark.parametrize("size", [(7, 5), (40, 33), (20, 24)])
def test_fitted_is_pillows_filter_on_images_in_unit_range(size):
    x = images(2, 3, 20, 24).float() / 127.5 - 1
    expected = torch.stack(
        [
            torch.from_numpy(
                np.array(Image.fromarray(c.numpy()).resize(size[::-1], Image.Resampling.BICUBIC))
            )
            for c in x.flatten(0, 1)
        ]
    ).view(2, 3, *size)
    # float32 places against float64: .006 of 255 levels were measured, see `clean`
    torch.testing.assert_close(
        fitted(x, 3, size), expected.clamp(-1, 1), rtol=0, atol=2 * 0.02 / 255
    )


def test_fitted_repeats_grey_and_averages_colour():
    x = images(2, 3, 8, 8).float() / 127.5 - 1
    assert torch.equal(fitted(x[:, :1], 3, (8, 8)), x[:, :1].expand(-1, 3, -1, -1))
    assert torch.equal(fitted(x, 1, (8, 8)), x.mean(1, keepdim=True))
    assert torch.equal(fitted(x, 3, (8, 8)), x)
