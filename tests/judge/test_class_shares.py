"""Shares of classes against scipy, planted losses, and how often honest sets are accused."""

import math
from statistics import mean

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import chi2_contingency, fisher_exact

from frenemy.errors import FrenemyError
from frenemy.judge.class_shares import class_shares

NAMES = "0123456789"
RARE = np.array([0.11] * 7 + [0.01] + [0.11] * 2)  # class 7 is 1 % of the data


def as_classes(histogram):
    return torch.from_numpy(np.repeat(np.arange(len(histogram)), histogram))


def likely(accuracy, count=10):
    """P(found k | true j): right so often, and otherwise unevenly elsewhere."""
    wrong = np.random.default_rng(0).dirichlet(np.full(count, 0.5), count)
    return accuracy * np.eye(count) + (1 - accuracy) * wrong


def drawn(rng, fake, real, *, accuracy=0.97, tested=10_000, samples=5000, images=5000, true=False):
    """What is found of samples and real images of these shares, by a classifier that errs."""
    chances = likely(accuracy, len(real))

    def seen(shares, size):
        made = rng.multinomial(size, shares)
        return np.stack([rng.multinomial(n, row) for n, row in zip(made, chances, strict=True)])

    return class_shares(
        fake_classes=as_classes(seen(fake, samples).sum(0)),
        real_classes=as_classes(seen(real, images).sum(1 if true else 0)),
        names=NAMES[: len(real)],
        confusion=torch.from_numpy(seen(real, tested)),
        true=true,
    )


# Values


@pytest.mark.parametrize(("samples", "images"), [(500, 900), (3000, 400)])
def test_tests_of_what_is_found_are_scipys(samples, images):
    rng = np.random.default_rng(0)
    n, r = rng.multinomial(samples, np.full(6, 1 / 6)), rng.multinomial(images, np.full(6, 1 / 6))
    found = class_shares(fake_classes=as_classes(n), real_classes=as_classes(r), names="abcdef")
    # the real images' variance is that of their own shares, and not of the pooled ones
    assert found.p == pytest.approx(chi2_contingency([n, r], correction=False).pvalue, rel=0.1)
    for k, each in enumerate(found.classes):
        table = [[n[k], samples - n[k]], [r[k], images - r[k]]]
        p = [fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
        assert each.p == pytest.approx(min(1, 6 * 2 * min(p)), rel=1e-6)
        assert each.found == n[k] and each.corrected == pytest.approx(n[k], rel=1e-12)
        assert each.due == pytest.approx(samples * r[k] / images)


def test_the_interval_without_mistakes_is_wilsons():
    found = class_shares(
        fake_classes=as_classes([3, 97, 0]), real_classes=as_classes([5, 5, 5]), names="abc"
    ).classes
    z = 1.96
    for each, share in zip(found, (0.03, 0.97, 0.0), strict=True):
        # ends x of (x - p)^2 = z^2 (p (1 - p) + x - p) / M: Wilson's, for small shares
        root = z * math.sqrt(z**2 / 4 / 100**2 + share * (1 - share) / 100)
        middle = share + z**2 / 200
        assert each.low == pytest.approx(100 * max(0, middle - root), abs=1e-9)
        assert each.high == pytest.approx(100 * min(1, middle + root), abs=1e-9)


def test_what_is_there_is_the_maximum_of_the_likelihood():
    table = torch.tensor([[800, 150, 50], [100, 900, 0], [200, 100, 700]])
    n = np.array([300, 500, 40])  # fewer of the third than strays alone would be
    found = class_shares(
        fake_classes=as_classes(n), real_classes=as_classes([9, 9, 9]), names="abc", confusion=table
    )
    chances = table.numpy() / 1000  # of a thousand images each: smoothing is in the fourth digit

    def loss(x):
        pi = np.exp(x - np.logaddexp.reduce(x))
        return -n @ np.log(pi @ chances)

    best = minimize(
        loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}
    )
    pi = np.exp(best.x - np.logaddexp.reduce(best.x))
    assert [each.corrected for each in found.classes] == pytest.approx(840 * pi, abs=2)


# Losses that are planted


@pytest.mark.parametrize("true", [False, True])
def test_a_lost_class_of_one_percent_is_named_though_strays_are_found_of_it(true):
    rng, names, caught = np.random.default_rng(0), [], []
    for _ in range(20):
        found = drawn(rng, np.where(RARE == 0.01, 0, 0.11 / 0.99), RARE, true=true)
        names.append([each.name for each in found.named("lost")])
        caught.append(found.caught.value)
        (seven,) = (each for each in found.classes if each.name == "7")
        assert seven.found > 0 and seven.corrected < seven.high < 25 and seven.due > 20
    # a tenth of the 50 due may be more than chance and strays leave room for, now and then
    assert names.count(["7"]) >= 17 and 8.9 < mean(caught) < 9.3


def test_a_class_that_is_halved_is_rare_and_not_lost():
    fake = RARE.copy()
    fake[3] /= 2
    found = drawn(np.random.default_rng(0), fake / fake.sum(), RARE)
    assert [each.name for each in found.named("rare")] == ["3"] and not found.named("lost")
    assert found.caught.value == 10 and "rare: 3 (" in found.caught.note
    (three,) = (each for each in found.classes if each.name == "3")
    assert three.low < 5000 * 0.055 / 0.945 < three.high


def test_of_two_classes_that_are_merged_one_is_lost_and_one_too_frequent():
    fake = RARE.copy()
    fake[4], fake[9] = fake[4] + fake[9], 0
    found = drawn(np.random.default_rng(0), fake, RARE)
    assert [[each.name for each in found.named(how)] for how in ("lost", "frequent")] == [
        ["9"],
        ["4"],
    ]
    assert found.p < 1e-10 and found.caught.note.startswith("lost: 9 (")


def test_what_is_too_rare_to_say_is_told():
    shares = np.array([0.5, 0.497, 0.003])
    found = drawn(np.random.default_rng(1), shares, shares, samples=200, images=200, accuracy=0.9)
    assert "too few to say: 2 (" in found.caught.note and not found.named("lost")


def test_strays_of_a_class_that_is_hardly_there_itself_have_a_value():
    table = torch.tensor([[1000, 0, 0], [0, 990, 10], [0, 1, 999]])
    for n in ([1000, 0, 0], [1000, 0, 1], [0, 0, 1000], [1, 1000, 0]):
        found = class_shares(
            fake_classes=as_classes(n), real_classes=as_classes([9, 9, 9]), names="abc",
            confusion=table,
        )  # fmt: skip
        assert 1 <= found.caught.value <= sum(k > 0 for k in n) and found.caught.error < 1


# Honest sets


@pytest.mark.parametrize(
    ("accuracy", "tested", "true"),
    [(0.97, 1000, False), (0.97, 1000, True), (0.97, 10_000, True), (0.8, 1000, True)],
)
def test_honest_sets_are_accused_once_in_a_hundred(accuracy, tested, true):
    rng = np.random.default_rng(0)
    founds = [
        drawn(rng, RARE, RARE, accuracy=accuracy, tested=tested, samples=2000, true=true)
        for _ in range(200)
    ]
    # of 200 at 1 %: seven or more are once in 230 tries, of all four cases once in 60
    assert sum(found.p < 0.01 for found in founds) <= 7
    assert sum(min(each.p for each in found.classes) < 0.01 for found in founds) <= 7
    expected = np.array([0.1, 0.5, 0.9])
    shares = [np.mean([found.p < level for found in founds]) for level in expected]
    # four standard errors of 200
    assert shares == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 200))


@pytest.mark.parametrize("accuracy", [0.97, 0.8])
def test_intervals_hold_what_is_there(accuracy):
    rng = np.random.default_rng(0)
    held = [
        [
            each.low <= 2000 * share <= each.high
            for each, share in zip(found.classes, RARE, strict=True)
        ]
        for found in (
            drawn(rng, RARE, RARE, accuracy=accuracy, tested=1000, samples=2000) for _ in range(200)
        )
    ]
    assert 0.93 < np.mean(held) < 0.975  # 2,000 of them, not independent


# What must not matter


def test_classes_that_are_numbered_otherwise_are_told_the_same():
    rng = np.random.default_rng(0)
    n, r = rng.multinomial(900, RARE), rng.multinomial(800, RARE)
    table = np.stack([rng.multinomial(1000, row) for row in likely(0.9)])
    order = rng.permutation(10)
    one, other = (
        class_shares(
            fake_classes=as_classes(n[o]), real_classes=as_classes(r[o]),
            names=[NAMES[i] for i in o], confusion=torch.from_numpy(table[o][:, o]),
        )
        for o in (np.arange(10), order)
    )  # fmt: skip
    assert other.p == pytest.approx(one.p, rel=1e-6)
    assert other.caught.value == one.caught.value
    for each in other.classes:
        same = one.classes[NAMES.index(each.name)]
        assert each.corrected == pytest.approx(same.corrected, abs=1e-3)  # of a sample


# Bad input


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fake_classes": torch.tensor([], dtype=torch.int64)}, "fake_classes of shape (0,)"),
        ({"real_classes": torch.zeros(2, 2, dtype=torch.int64)}, "real_classes of shape (2, 2)"),
        ({"real_classes": torch.tensor([3])}, "from 3 to 3"),
        ({"confusion": torch.ones(2, 3)}, "confusion of shape (2, 3)"),
        ({"confusion": torch.zeros(3, 3)}, "confusion of shape (3, 3)"),
    ],
)
def test_bad_shares_are_told_in_one_line(changes, said):
    few = {"fake_classes": torch.arange(3), "real_classes": torch.arange(3), "names": "abc"}
    with pytest.raises(FrenemyError) as refused:
        class_shares(**{**few, **changes})
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_one_sample_of_one_class_has_shares():
    one = torch.zeros(1, dtype=torch.int64)
    found = class_shares(fake_classes=one, real_classes=one, names=["only"])
    assert (found.p, found.caught.value, found.classes[0].corrected) == (1, 1, 1)
