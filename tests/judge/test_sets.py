import numpy as np

from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES, Drawn, Sets, check_sets, noise_like


def test_noise_is_a_function_of_the_seed():
    images = np.zeros((4, 3, 5, 5), np.uint8)
    assert np.array_equal(noise_like(images, 1), noise_like(images, 1))
    assert not np.array_equal(noise_like(images, 1), noise_like(images, 2))
    assert noise_like(images, 1).shape == images.shape


def test_enough_images_that_differ_are_not_doubted():
    sets = noise_like(np.zeros((4000, 1, 4, 4), np.uint8), 0)
    fake, real, held_out, noise = np.split(sets, 4)
    judged = {SAMPLES: fake, HELD_OUT: held_out, NOISE: noise}
    train = Drawn(real, np.arange(len(real)))
    assert check_sets(Sets(judged, real, train, held_out, held_out)) == []
    found = check_sets(Sets({**judged, SAMPLES: real}, real, train, held_out, held_out))
    assert [text[:41] for text in found] == ["1,000 of 1,000 samples are, byte for byte"]


def test_drawn_images_are_those_at_the_index():
    images = noise_like(np.zeros((9, 3, 4, 5), np.uint8), 0)
    index = np.array([7, 2, 2, 0])
    drawn, expected = Drawn(images, index), images[index]
    assert len(drawn) == 4 and drawn.shape == expected.shape
    assert np.array_equal(drawn[1:3], expected[1:3])
    assert np.array_equal(drawn[np.array([3, 0])], expected[[3, 0]])
    assert len(drawn[4:]) == 0


def test_drawn_images_stay_where_they_are_until_asked_for():
    """Read from an array that counts what is taken out of it."""

    class Counted(np.ndarray):
        taken = 0

        def __getitem__(self, which):
            found = super().__getitem__(which)
            Counted.taken += len(found)
            return found

    images = noise_like(np.zeros((9, 1, 4, 4), np.uint8), 0).view(Counted)
    drawn = Drawn(images, np.arange(8))
    assert (len(drawn), drawn.shape, Counted.taken) == (8, (8, 1, 4, 4), 0)
    assert len(drawn[2:5]) == Counted.taken == 3
