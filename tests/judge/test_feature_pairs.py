"""Views: whose class shares are true ones, and whose are those of a sample."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from frenemy.judge.class_shares import class_shares
from frenemy.judge.classifier import Card, Outputs
from frenemy.judge.feature_pairs import pairs_of
from frenemy.judge.features import Features
from frenemy.judge.modes import class_modes
from frenemy.judge.sets import SAMPLES, Sets

SHARES = np.array([0.5, 0.3, 0.2])


def see(x):
    """The class of an image is its one pixel."""
    classes = x.flatten(1).add(1).mul(127.5).round().long()[:, 0]
    return Outputs(x.flatten(1), torch.nn.functional.one_hot(classes, 3).float())


FEATURES = Features("pixel", see, "", cached=False)


def images(count, rng):
    return rng.choice(3, (count, 1, 1, 1), p=SHARES).astype(np.uint8)


def class_kl(features, count, real_count, rng):
    fake, real = images(count, rng), images(real_count, rng)
    sets = Sets({SAMPLES: fake}, reference=real, train=real, valid=real, test=real)
    found = pairs_of(sets, features, seed=0, device=torch.device("cpu"))[SAMPLES].modes
    return found.reverse_kl, *(torch.from_numpy(x[:, 0, 0, 0]).long() for x in (fake, real))


def test_the_class_kl_is_between_two_samples():
    rng, values = np.random.default_rng(0), []
    for _ in range(400):
        found, fake, real = class_kl(FEATURES, 900, 100, rng)
        values.append(found.value)
    expected = class_modes(fake_classes=fake, count=3, real_classes=real)
    assert found == expected.reverse_kl
    scale = 1 / 900 + 1 / 100  # 2 KL is this times chi squared of 2 degrees, of deviation 2
    # four standard errors of 400 repetitions, and the next order, some 3 / 100
    assert np.mean(values) == pytest.approx(scale, rel=4 / 20 + 0.03)
    assert (
        found.note == f"exact samples of this many, beside 100 real images, have about {scale:.2g}"
    )


def test_classes_that_are_even_by_construction_have_no_error_of_their_own():
    found, fake, _ = class_kl(replace(FEATURES, balanced=True), 900, 100, np.random.default_rng(0))
    assert found == class_modes(fake_classes=fake, count=3).reverse_kl


CARD = Card("three", (1, 1, 1), ("a", "b", "c"), "d", "p", ((90, 10, 0), (0, 90, 10), (10, 0, 90)))


def shares_of(features, labels, digest):
    rng = np.random.default_rng(0)
    fake, real = images(900, rng), images(100, rng)
    sets = Sets({SAMPLES: fake}, real, real, real, real, labels=labels, digest=digest)
    found = pairs_of(sets, features, seed=0, device=torch.device("cpu"))[SAMPLES].class_shares
    return found, *(torch.from_numpy(x[:, 0, 0, 0]).long() for x in (fake, real))


def test_classes_are_judged_by_what_is_known_of_the_classifier():
    labels, told = np.arange(100) % 3, {"names": CARD.classes}
    told["confusion"] = torch.tensor(CARD.confusion)
    for features, digest, real_classes, arguments in (
        (FEATURES, "d", None, {"names": "012"}),  # no classifier of frenemy's
        (replace(FEATURES, card=CARD), "other", None, told),
        (replace(FEATURES, card=CARD), "d", labels, {**told, "true": True}),  # trained on these
    ):
        found, fake, real = shares_of(features, labels, digest)
        real = real if real_classes is None else torch.from_numpy(real_classes)
        shares = class_shares(fake_classes=fake, real_classes=real, **arguments)
        assert found.corrected == (found.classes[0].corrected != found.classes[0].found)
        for one, other in zip(found.classes, shares.classes, strict=True):
            (name, *told), (expected_name, *expected) = (
                asdict(each).values() for each in (one, other)
            )
            assert name == expected_name and told == pytest.approx(expected, rel=1e-9)  # float64
