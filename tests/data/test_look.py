"""What is said of images before they are trained on."""

import numpy as np
import pytest

from frenemy.data import Source
from frenemy.data.look import FEWEST, look
from frenemy.errors import FrenemyError


def smooth(count, shape=(3, 16, 16), seed=0):
    """Images whose neighbouring pixels are alike, all different."""
    channels, height, width = shape
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, channels, -(-height // 4), -(-width // 4)), np.uint8)
    return coarse.repeat(4, axis=2).repeat(4, axis=3)[..., :height, :width]


def test_of_usual_images_nothing_is_said():
    labels = np.arange(60) % 3
    assert look(Source(smooth(60), labels, classes=("a", "b", "c"))) == []
    assert look(Source(smooth(FEWEST, (1, 28, 28)))) == []
    points = np.zeros((50, 2, 1, 1), np.float32)
    assert look(Source(points)) == []


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (smooth(1).repeat(50, axis=0), "50 pictures hold only 1 different ones: give ten"),
        (smooth(5).repeat(10, axis=0), "50 pictures hold only 5 different ones: give ten"),
        (
            np.arange(50, dtype=np.uint8)[:, None, None, None].repeat(16, 2).repeat(16, 3),
            "of one colour",
        ),
        (np.full((50, 1, 1, 1), np.arange(50)[:, None, None, None], np.uint8), "of one colour"),
    ],
    ids=["equal", "five", "flat", "one pixel"],
)
def test_what_has_nothing_to_learn_is_refused(images, said):
    with pytest.raises(FrenemyError, match=said) as error:
        look(Source(images, name="mine"))
    assert str(error.value).startswith("mine: ") and "\n" not in str(error.value)


def test_pictures_that_differ_by_traces_are_all_alike():
    images = smooth(1, (1, 32, 32)).repeat(50, axis=0)
    images[np.arange(50), 0, 0, np.arange(50) % 32] ^= 1 + (np.arange(50) // 32).astype(np.uint8)
    with pytest.raises(FrenemyError, match="all but identical: nothing to learn"):
        look(Source(images))


def test_nearly_alike_is_told_with_how_much():
    one = smooth(1, (1, 32, 32)).astype(float).repeat(100, axis=0)
    one = 20 + one * 0.8
    noise = smooth(100, (1, 32, 32), seed=1) / 255 - 0.5
    spread = 0.05 * one[0].std() / noise.std()
    images = np.rint(one + spread * noise).astype(np.uint8)
    (line,) = look(Source(images))
    assert "the mean image is 99.8% of their variance" in line  # 1 - .05^2 / (1 + .05^2)


def test_copies_are_counted_and_told_where_they_matter():
    images = np.concatenate([smooth(98), smooth(98)[:2]])
    (line,) = look(Source(images))
    assert line.startswith("2 of 100 pictures are copies of others")
    assert look(Source(np.concatenate([smooth(100), smooth(100)[:1]]))) == []


def test_of_very_many_the_first_ones_tell(monkeypatch):
    monkeypatch.setattr("frenemy.data.look.LOOKED", 10)
    images = np.concatenate([smooth(5), smooth(5), smooth(80)])
    with pytest.raises(FrenemyError, match="the first 10 pictures hold only 5"):
        look(Source(images))


def test_channels_that_are_noise_or_empty_are_named():
    images = smooth(40)
    images[:, 1] = np.random.default_rng(1).integers(0, 256, images[:, 1].shape)
    images[:, 2] = 7
    assert look(Source(images)) == [
        "channel 3 of 3 is the same everywhere",
        "channel 2 of 3 is noise: neighbouring pixels are uncorrelated",
    ]
    images[:, 0] = 9
    assert look(Source(images))[0] == "channels 1 and 3 of 3 are the same everywhere"
    (line,) = look(Source(np.random.default_rng(1).integers(0, 256, (40, 1, 9, 9), np.uint8)))
    assert line.startswith("what they show is noise")


def test_classes_of_few_pictures_are_named():
    labels = np.repeat([0, 1, 3], [30, 1, 30])
    (line,) = look(Source(smooth(61), labels, classes=("cat", "dog", "emu", "fox")))
    assert line.endswith("emu 0, dog 1")
    classes = tuple(f"k{i}" for i in range(1000))
    (line,) = look(Source(smooth(61), np.arange(61), classes=classes))
    assert line.endswith("k61 0, k62 0, k63 0 and 997 more")
