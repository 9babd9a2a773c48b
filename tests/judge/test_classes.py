"""Inception score and diversity within classes against loops, torchmetrics, closed forms."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from frenemy.errors import FrenemyError
from frenemy.judge.classes import diversity_within_classes, inception_score
from frenemy.judge.estimate import error_of_difference


def random(*shape, seed=0):
    """Standard normal, float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def score_by_loop(logits):
    """exp E KL(p(y | x) || p(y)) with nothing but math."""
    p = []
    for row in logits.tolist():
        weights = [math.exp(v) for v in row]
        p.append([w / sum(weights) for w in weights])
    marginal = [sum(column) / len(p) for column in zip(*p, strict=True)]
    kl = [sum(a * math.log(a / b) for a, b in zip(row, marginal, strict=True)) for row in p]
    return math.exp(sum(kl) / len(kl))


class Identity(torch.nn.Module):
    """The logits that torchmetrics is given are the images that it is given."""

    def forward(self, x):
        return x


# The Inception score


def test_one_split_is_the_loop():
    logits = 2 * random(50, 7)
    found = inception_score(logits=logits, splits=1)
    assert found.value == pytest.approx(score_by_loop(logits), rel=1e-12)  # float64


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_split_is_torchmetrics(dtype):
    logits = (2 * random(500, 10)).to(dtype)
    theirs = InceptionScore(feature=Identity(), splits=1)
    theirs.update(logits)
    with pytest.warns(UserWarning, match="std"):  # theirs is of one split
        expected = theirs.compute()[0].item()
    found = inception_score(logits=logits, splits=1)
    assert found.value == pytest.approx(expected, rel=1e-5)  # as published


def test_the_value_is_the_mean_over_splits():
    logits = torch.cat([random(6, 5), 3 * random(6, 5, seed=1)])
    found = inception_score(logits=logits, splits=2)
    # all ways to cut in two: one of them must be the one taken
    close = []
    for half in torch.combinations(torch.arange(12), 6):
        rest = torch.ones(12, dtype=torch.bool).index_fill(0, half, False)
        a, b = (
            inception_score(logits=part, splits=1).value for part in (logits[half], logits[rest])
        )
        close.append(abs((a + b) / 2 - found.value))
    assert min(close) < 1e-12  # float64


def test_known_scores():
    one = inception_score(logits=random(1, 8).expand(100, -1), splits=5)
    assert one.value == pytest.approx(1, rel=1e-12)  # float64
    assert one.error == pytest.approx(0, abs=1e-12)
    sure = 1000 * torch.eye(8).repeat(50, 1)  # as many of each class; exp(-1000) is 0
    assert inception_score(logits=sure, splits=1).value == pytest.approx(8, rel=1e-12)
    alone = inception_score(logits=sure[:, :1])
    assert (alone.value, alone.error) == (1, 0)
    assert "a single class" in alone.note


def test_sure_logits_of_unequal_classes_give_the_entropy():
    counts = [10, 30, 60]
    logits = 1e4 * torch.eye(3).repeat_interleave(torch.tensor(counts), 0)
    expected = math.exp(-sum(c / 100 * math.log(c / 100) for c in counts))
    assert inception_score(logits=logits, splits=1).value == pytest.approx(expected, rel=1e-12)


def test_lost_classes_and_doubt_cost_score():
    labels = torch.arange(1000) % 10
    logits = 5 * torch.eye(10)[labels] + random(1000, 10)
    good = inception_score(logits=logits)
    for spoiled in (logits[labels < 5], logits / 5):
        bad = inception_score(logits=spoiled)
        assert bad.value < good.value - 3 * (good.error + bad.error)


def test_the_error_is_the_deviation_over_repeated_draws():
    found = [inception_score(logits=2 * random(1000, 4, seed=i)) for i in range(150)]
    deviation = np.std([e.value for e in found], ddof=1)
    # both deviations are of 150 draws: good to 6 %
    squares = np.mean([e.error**2 for e in found])
    assert math.sqrt(squares) == pytest.approx(deviation, rel=0.2)


@pytest.mark.parametrize("sure", [0.5, 10.0])
def test_the_error_of_even_classes_is_that_of_their_shares(sure):
    """Of one split, whose rows are nearly alike in what they tell: only p(y) scatters."""
    values, errors = [], []
    for seed in range(200):
        labels = torch.randint(10, (400,), generator=torch.Generator().manual_seed(seed))
        found = inception_score(logits=sure * torch.eye(10)[labels], splits=1)
        values.append(found.value)
        errors.append(found.error)
    claimed = math.sqrt(np.mean(np.square(errors)))
    # what is of first order by chance makes it too large, by 1.17 for nine degrees of freedom; the
    # deviation of 200 of a chi squared of nine degrees is good to 6 %
    assert 0.88 < claimed / np.std(values) < 1.17 * 1.12


def test_neither_order_nor_constants_added_to_logits_matter():
    logits = 2 * random(200, 5)
    expected = inception_score(logits=logits)
    for changed in (logits.flip(0), logits.flip(1)):
        found = inception_score(logits=changed, splits=1)
        whole = inception_score(logits=logits, splits=1)
        assert found.value == pytest.approx(whole.value, rel=1e-12)  # float64
    found = inception_score(logits=logits.flip(0))
    assert found.value == pytest.approx(expected.value, rel=1e-12)
    assert found.error == pytest.approx(expected.error, rel=1e-9)
    shifted = inception_score(logits=logits + random(200, 1, seed=1), splits=1)
    assert shifted.value == pytest.approx(whole.value, rel=1e-12)


def test_the_seed_alone_decides_the_splits():
    logits = 2 * random(200, 5)
    before = torch.get_rng_state()
    found = inception_score(logits=logits, seed=3)
    assert found == inception_score(logits=logits, seed=3)
    assert found != inception_score(logits=logits, seed=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_splits_too_small_for_the_classes_are_noted():
    assert inception_score(logits=random(100, 10)).note == ""
    note = inception_score(logits=random(99, 10)).note
    assert "splits of 9 for 10 classes" in note


@pytest.mark.parametrize(
    ("logits", "splits", "said"),
    [
        (random(19, 3), 10, "19 in logits: needs 20 or more"),
        (random(0, 3), 1, "0 in logits: needs 2 or more"),
        (torch.full((50, 3), math.nan), 10, "not finite"),
        (random(20, 3), 0, "splits is 0: give 1 or more"),
    ],
    ids=["few", "none", "nan", "splits"],
)
def test_bad_logits_are_told_in_one_line(logits, splits, said):
    with pytest.raises(FrenemyError, match=said) as refused:
        inception_score(logits=logits, splits=splits)
    assert "\n" not in str(refused.value)


# Diversity within classes


def classes(count=300, seed=0):
    """Three clouds of widths 1, 2 and 3, in 5 features, and which each row is of."""
    labels = torch.arange(count) % 3
    return random(count, 5, seed=seed) * (labels[:, None] + 1) + 20 * labels[:, None], labels


def by_loop(real, fake, real_classes, fake_classes):
    """The mean ratio of mean distances, with nothing but loops."""

    def mean(rows):
        pairs = [math.dist(a, b) for i, a in enumerate(rows) for b in rows[:i]]
        return sum(pairs) / len(pairs)

    ratios = []
    for label in set(real_classes.tolist()):
        ours, theirs = fake[fake_classes == label].tolist(), real[real_classes == label].tolist()
        ratios.append(mean(ours) / mean(theirs) if len(ours) > 2 else 0.0)
    return sum(ratios) / len(ratios)


def diversity(real, fake):
    """Of rows with their classes."""
    return diversity_within_classes(
        real=real[0], fake=fake[0], real_classes=real[1], fake_classes=fake[1]
    )


def test_the_value_is_the_loop():
    real, fake = classes(60), classes(50, seed=1)
    found = diversity(real, fake)
    assert found.value == pytest.approx(by_loop(real[0], fake[0], real[1], fake[1]), rel=1e-12)
    assert found.note == ""


def test_real_samples_are_as_various_as_real_ones():
    real, other = classes(600), classes(300, seed=1)
    found = diversity(real, other)
    assert abs(found.value - 1) < 3 * found.error
    assert diversity(real, real).value == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("factor", [0.0, 0.25, 2.0])
def test_a_smaller_spread_about_each_class_is_that_much_less_diverse(factor):
    rows, labels = classes()
    means = torch.stack([rows[labels == c].mean(0) for c in range(3)])[labels]
    found = diversity((rows, labels), (means + factor * (rows - means), labels))
    assert found.value == pytest.approx(factor, rel=1e-9, abs=1e-9)  # float64, far from the origin


def test_real_and_fake_swapped_give_the_inverse_for_one_class():
    real, fake = random(200, 4), 3 * random(100, 4, seed=1)
    a, b = torch.zeros(200), torch.zeros(100)
    there, back = diversity((real, a), (fake, b)), diversity((fake, b), (real, a))
    assert there.value == pytest.approx(1 / back.value, rel=1e-12)
    assert there.note == "a single class"


def test_a_class_that_is_not_made_counts_nothing_and_is_named():
    rows, labels = classes()
    kept = labels != 1
    found = diversity((rows, labels), (rows[kept], labels[kept]))
    assert found.value == pytest.approx(2 / 3, rel=1e-12)  # of 1, 0 and 1
    assert found.note == "fewer than 3 fake samples of class 1"
    found = diversity((rows[kept], labels[kept]), (rows, labels))
    assert found.value == pytest.approx(1, rel=1e-12)  # a class that is not real has no say
    assert found.note == ""


def test_a_class_of_equal_real_samples_has_no_say_and_is_named():
    rows, labels = classes()
    flat = torch.where(labels[:, None] == 2, 7.0, rows)
    found = diversity((flat, labels), (rows, labels))
    assert found.value == pytest.approx(1, rel=1e-12)
    assert found.note == "no 3 different real samples of class 2: left out"


def test_the_error_of_diversity_is_the_deviation_over_repeated_draws():
    found = [diversity(classes(150, seed=2 * i), classes(90, seed=2 * i + 1)) for i in range(150)]
    deviation = np.std([e.value for e in found], ddof=1)
    # the deviation of 150 draws is itself good to 1 / sqrt(300) = 6 %
    assert np.mean([e.error for e in found]) == pytest.approx(deviation, rel=0.2)


def test_diversities_that_share_their_real_images_differ_by_what_they_say():
    gaps = []
    for seed in range(150):
        real, a, b = (classes(n, seed=3 * seed + i) for i, n in enumerate((60, 300, 300)))
        a, b = diversity(real, a), diversity(real, b)
        told = (error_of_difference(a, b, same_images=same) for same in (True, False))
        gaps.append((a.value - b.value, *told))
    gap, paired, unpaired = np.sqrt(np.square(gaps).mean(0))
    assert paired == pytest.approx(gap, rel=0.25)  # 150 differences are good to 6 %
    assert paired < 0.7 * unpaired


def test_the_order_of_samples_does_not_matter_to_diversity():
    real, fake = classes(60), classes(50, seed=1)
    found = diversity([part.flip(0) for part in real], [part.flip(0) for part in fake])
    expected = diversity(real, fake)
    assert found.value == pytest.approx(expected.value, rel=1e-12)  # float64
    assert found.error == pytest.approx(expected.error, rel=1e-9)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        ((random(9, 5), torch.zeros(8)), classes(9), r"real_classes \(8,\) for 9 real samples"),
        (classes(9), (random(9, 5), torch.zeros(9, 1)), r"fake_classes \(9, 1\) for 9 fake"),
        ((random(9, 5), torch.arange(9)), classes(9), "no class has 3 real samples that differ"),
        ((torch.ones(9, 5), torch.zeros(9)), classes(9), "no class has 3 real samples that differ"),
    ],
    ids=["count", "shape", "alone", "equal"],
)
def test_bad_classes_are_told_in_one_line(real, fake, said):
    with pytest.raises(FrenemyError, match=said) as refused:
        diversity(real, fake)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("diversity_within_classes: ")
