import hashlib

import numpy as np
import pytest
import torch

from frenemy.data import open_dataset
from frenemy.judge import ais, likelihoods
from frenemy.judge.likelihoods import TABLE_1, ais_lines, is_mnist_test, parzen_lines
from frenemy.judge.report import PUBLISHED
from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES, Drawn, Sets, noise_like


def noise(side=28, channels=1, count=30):
    return noise_like(np.zeros((count, channels, side, side), np.uint8), 0)


def as_if_mnist(monkeypatch, images):
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    monkeypatch.setattr(likelihoods, "MNIST_TEST", digest)


def sets_of(images):
    judged = {SAMPLES: images, HELD_OUT: images, NOISE: noise_like(images, 1)}
    drawn = Drawn(images, np.arange(len(images)))
    return Sets(judged, reference=images, train=drawn, valid=drawn, test=images)


def ignore(_):
    pass


def test_published_figures_stand_beside_their_own_set_only(monkeypatch):
    images = noise()
    assert not is_mnist_test(images)  # though of MNIST's shape, as many sets are
    as_if_mnist(monkeypatch, images)
    assert is_mnist_test(images)
    assert not is_mnist_test(images[::-1])
    assert not is_mnist_test(noise(side=32, channels=3))


def test_grey_images_of_48x48_are_not_taken_for_the_paper_s_faces(monkeypatch):
    images = noise(side=48)
    monkeypatch.setattr(likelihoods, "PAPERS", len(images))
    assert not any(PUBLISHED in r.results for r in parzen_lines(sets_of(images), [], ignore))


def test_mnist_is_known(real_data):
    mnist = open_dataset(real_data / "mnist")
    assert is_mnist_test(mnist.test.images)
    assert not is_mnist_test(mnist.valid.images)
    resized = open_dataset(real_data / "mnist", size=28)
    assert is_mnist_test(resized.test.images)  # nothing was to be done


def test_published_rows_stand_on_the_authors_grid(monkeypatch):
    images = noise()
    as_if_mnist(monkeypatch, images)
    assert not any(PUBLISHED in r.results for r in parzen_lines(sets_of(images), [], ignore))
    monkeypatch.setattr(likelihoods, "PAPERS", len(images))  # fewer samples score lower
    default, authors = parzen_lines(sets_of(images), [], ignore)
    assert (default.metric, authors.metric) == ("parzen30_default-grid", "parzen30_authors-grid")
    assert set(authors.results) == {SAMPLES, HELD_OUT, NOISE, PUBLISHED}
    assert authors.results[PUBLISHED] == TABLE_1
    assert PUBLISHED not in default.results  # which grid the paper's sigma came from


def test_a_width_at_either_end_of_its_grid_is_told(monkeypatch):
    # two uniform numbers in [0, 1] have the mean square distance 1 / 6 = .41^2
    grids = {"below": (0.1, 0.2), "around": (0.2, 0.4, 0.8), "above": (0.6, 0.8)}
    monkeypatch.setattr(likelihoods, "GRIDS", grids)
    notes = [line.results[NOISE].note for line in parzen_lines(sets_of(noise()), [], ignore)]
    assert all(note.endswith(" over test images alone, as papers print") for note in notes)
    assert [note.partition(";")[0] for note in notes] == [
        "nats, sigma 0.200, at the end of the grid",
        "nats, sigma 0.400",
        "nats, sigma 0.600, at the end of the grid",
    ]


def test_annealed_likelihoods_have_published_rows_for_mnist_alone(monkeypatch):
    few = ais.Effort(images=3, chains=2, temperatures=5, simulated=2)
    monkeypatch.setattr(ais, "default_effort", lambda device: few)
    monkeypatch.setattr(ais, "choose_variance", lambda *_, **__: 0.1)
    images = noise()
    weights = torch.randn(2, 784, generator=torch.Generator().manual_seed(0))

    def measured():
        decoder = (lambda z: torch.sigmoid(z @ weights), 2)
        device = torch.device("cpu")
        return ais_lines(decoder, sets_of(images), [], ignore, seed=0, device=device)

    (line,) = measured()
    assert line.metric == few.name and set(line.results) == {SAMPLES}
    as_if_mnist(monkeypatch, images)
    _, *published = measured()
    assert len(published) == len(ais.WU_ET_AL)
    assert all(set(line.results) == {PUBLISHED} for line in published)


def test_too_few_images_are_said_before_any_work(monkeypatch):
    monkeypatch.setattr(ais, "choose_variance", lambda *_, **__: pytest.fail("annealed"))
    images, warnings = noise(count=60), []
    device = torch.device("cpu")
    decoder = (lambda z: pytest.fail("decoded"), 2)
    assert ais_lines(decoder, sets_of(images), warnings, ignore, seed=0, device=device) == []
    assert warnings == ["ais: ais100x16x1000-quick: 60 in real: needs 100 or more"]
