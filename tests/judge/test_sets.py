import numpy as np

from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES, Sets, doubts, noise_like


def test_noise_is_a_function_of_the_seed():
    images = np.zeros((4, 3, 5, 5), np.uint8)
    assert np.array_equal(noise_like(images, 1), noise_like(images, 1))
    assert not np.array_equal(noise_like(images, 1), noise_like(images, 2))
    assert noise_like(images, 1).shape == images.shape


def test_enough_images_that_differ_are_not_doubted():
    sets = noise_like(np.zeros((4000, 1, 4, 4), np.uint8), 0)
    fake, real, held_out, noise = np.split(sets, 4)
    subjects = {SAMPLES: fake, HELD_OUT: held_out, NOISE: noise}
    assert doubts(Sets(subjects, real, real, held_out, held_out)) == []
    found = doubts(Sets({**subjects, SAMPLES: real}, real, real, held_out, held_out))
    assert [text[:41] for text in found] == ["1,000 of 1,000 samples are, byte for byte"]
