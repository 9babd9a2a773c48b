"""Modes against a double loop, simulation and closed forms; what collapse and noise cost."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, entropy, kstest

from frenemy.errors import FrenemyError
from frenemy.judge import modes as module
from frenemy.judge.estimate import error_of_difference
from frenemy.judge.modes import class_modes, kl_floor, mixture_modes, quality_ceiling
from frenemy.lab.mixtures import TARGETS, Target

RING, GRID = (
    {"centres": TARGETS[name].centres, "sd": TARGETS[name].sd} for name in ("ring", "grid")
)


def samples(count=2500, seed=0, **mixture):
    return Target(**(mixture or GRID)).sample(count, seed)


def double_loop(centres, sd, fake):
    """Modes caught, share of high quality, and how many samples belong to each mode."""
    counts, caught, good = [0] * len(centres), set(), 0
    for x in fake.tolist():
        distances = [math.dist(x, centre) for centre in centres.tolist()]
        nearest = distances.index(min(distances))
        counts[nearest] += 1
        if distances[nearest] <= 3 * sd:
            caught.add(nearest)
            good += 1
    return len(caught), good / len(fake), counts


# Values


@pytest.mark.parametrize(
    ("centres", "sd", "d"),
    [(GRID["centres"], 0.4, 2), (2 * RING["centres"], 0.2, 2), (None, 0.5, 4)],
)
def test_mixture_modes_are_the_double_loop(centres, sd, d):
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(7, d, generator=generator) if centres is None else centres
    fake = 2 * torch.randn(60, d, generator=generator)
    caught, share, counts = double_loop(centres, sd, fake)
    assert 0 < share < 1
    assert 1 < caught < len(centres)
    found = mixture_modes(centres=centres, sd=sd, fake=fake)
    assert found.total == len(centres)
    assert found.caught.value == caught
    assert found.quality.value == pytest.approx(share, rel=1e-12)  # float64
    uniform = np.full(len(centres), 1 / len(centres))
    expected = entropy(np.array(counts) / 60, uniform)
    assert found.reverse_kl.value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mixture", [GRID, RING], ids=["grid", "ring"])
def test_exact_samples_catch_every_mode_at_the_ceiling(mixture):
    fake = samples(20_000, **mixture)
    found = mixture_modes(**mixture, fake=fake)
    assert found.caught.value == found.total == len(mixture["centres"])
    assert abs(found.quality.value - quality_ceiling(2)) < 4 * found.quality.error
    assert found.quality.error == pytest.approx(math.sqrt(0.98889 * 0.01111 / 20_000), rel=0.1)
    assert found.reverse_kl.value < 3 * kl_floor(found.total, 20_000)
    assert "exact samples" in found.reverse_kl.note


@pytest.mark.parametrize("d", [1, 2, 3, 50])
def test_the_ceiling_is_chi_squareds(d):
    assert quality_ceiling(d) == pytest.approx(chi2(d).cdf(9), rel=1e-10)  # two implementations
    if d == 2:
        assert quality_ceiling(d) == pytest.approx(1 - math.exp(-4.5), rel=1e-12)


def test_the_sampler_draws_the_mixture():
    centres = torch.tensor([[0.0], [100.0]])
    x = Target(centres, 2.0).sample(8000, seed=0)[:, 0]
    second = x > 50
    assert abs(second.float().mean() - 0.5) < 4 * math.sqrt(0.25 / 8000)
    assert kstest(((x - 100 * second) / 2).numpy(), "norm").pvalue > 1e-3


def test_classes_and_a_mixture_of_points_agree():
    classes = torch.tensor([0, 0, 0, 2, 2, 4])
    weights = torch.arange(1, 6, dtype=torch.float64)
    by_class = class_modes(fake_classes=classes, count=5, real_weights=weights)
    centres = torch.arange(5.0)[:, None]
    by_place = mixture_modes(centres=centres, sd=0.1, fake=centres[classes], real_weights=weights)
    assert by_class.caught == by_place.caught
    assert by_class.reverse_kl == by_place.reverse_kl
    assert by_class.quality is None
    assert by_place.quality.value == 1
    expected = entropy([0.5, 0, 1 / 3, 0, 1 / 6], weights.numpy() / 15)
    assert by_class.reverse_kl.value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("kept", "total"), [(1, 8), (99, 1000), (1000, 1000)])
def test_even_samples_of_some_modes_have_the_logarithm_of_what_is_left_out(kept, total):
    found = class_modes(fake_classes=torch.arange(kept).repeat(50), count=total)
    assert found.caught.value == kept
    assert found.reverse_kl.value == pytest.approx(math.log(total / kept), abs=1e-12)


# Errors


def histograms(shares, count, times):
    rng = np.random.default_rng(0)
    return rng.multinomial(count, shares, size=times)


def as_classes(histogram):
    return torch.from_numpy(np.repeat(np.arange(len(histogram)), histogram))


def test_the_floor_of_stacked_digits_is_that_of_simulation():
    values, errors = [], []
    for histogram in histograms(np.full(1000, 1e-3), 26_000, 200):
        found = class_modes(fake_classes=as_classes(histogram), count=1000)
        assert found.caught.value == 1000
        values.append(found.reverse_kl.value)
        errors.append(found.reverse_kl.error)
    assert kl_floor(1000, 26_000) == pytest.approx(0.0192, abs=1e-4)
    # what is left out is of the order (1 / 26)^2 / 12 of 1,000 modes over 26,000 samples
    assert np.mean(values) == pytest.approx(kl_floor(1000, 26_000), rel=0.03)
    deviation = math.sqrt(2 * 999) / 52_000  # chi squared of 999 degrees over 2 M
    assert np.std(values) == pytest.approx(deviation, rel=0.2)  # of 200
    assert np.mean(errors) == pytest.approx(deviation, rel=0.1)


def test_the_error_of_the_reverse_kl_is_that_of_repetition():
    shares = np.array([0.4, 0.3, 0.2, 0.05, 0.05])
    founds = [
        class_modes(fake_classes=as_classes(histogram), count=5).reverse_kl
        for histogram in histograms(shares, 2000, 300)
    ]
    deviation = np.std([found.value for found in founds])
    assert np.mean([found.error for found in founds]) == pytest.approx(deviation, rel=0.15)  # 300


def test_the_error_of_the_caught_is_the_sum_of_all_covariances():
    histogram = torch.tensor([1, 2, 0, 2, 30, 1, 1, 5, 0])
    p = histogram[histogram > 0].double() / 42
    missed = (1 - p) ** 42
    both = (1 - p[:, None] - p) ** 42
    both.diagonal().copy_(missed)
    expected = (both - missed[:, None] * missed).sum().sqrt().item()
    found = class_modes(fake_classes=as_classes(histogram), count=9).caught
    assert found.value == 7
    assert found.error == pytest.approx(expected, rel=1e-12)  # float64


def test_very_many_modes_take_no_memory_of_their_square():
    count = 100_000  # of one sample each: a matrix of all pairs would take 80 GB
    found = class_modes(fake_classes=torch.arange(count), count=count).caught
    missed, both = (1 - 1 / count) ** count, (1 - 2 / count) ** count
    variance = count * missed * (1 - missed) + count * (count - 1) * (both - missed**2)
    assert found.value == count
    # the large sum cancels to a tenth of a mode's variance each: e^-1 - 2 e^-2
    assert found.error == pytest.approx(math.sqrt(variance), rel=1e-6)
    assert found.error == pytest.approx(math.sqrt(count * (math.exp(-1) - 2 * math.exp(-2))), 1e-3)


def estimated(fake, count, real, real_count, times, seed=0):
    """Modes of repeated draws of both sides, whose shares are these."""
    rng = np.random.default_rng(seed)
    return [
        class_modes(
            fake_classes=as_classes(rng.multinomial(count, fake)),
            count=len(fake),
            real_classes=as_classes(rng.multinomial(real_count, real)),
        )
        for _ in range(times)
    ]


def estimated_kls(*draws, seed):
    return [found.reverse_kl for found in estimated(*draws, seed=seed)]


@pytest.mark.parametrize(("count", "real_count"), [(4000, 4000), (9000, 1000), (1000, 9000)])
def test_the_floor_beside_estimated_shares_is_that_of_simulation(count, real_count):
    shares, times = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1]), 300
    founds = estimated_kls(shares, count, shares, real_count, times, seed=1)
    scale = 1 / count + 1 / real_count  # 2 KL is this times chi squared of 5 degrees
    floor = kl_floor(6, count, real_count)
    assert floor == pytest.approx(5 / 2 * scale, rel=1e-12)
    deviation = math.sqrt(2 * 5) / 2 * scale
    values = [found.value for found in founds]
    assert abs(np.mean(values) - floor) < 4 * deviation / math.sqrt(times)
    # chi squared's kurtosis is 3 + 12 / 5: the deviation's own relative error is sqrt(4.4 / 4 n)
    assert np.std(values) == pytest.approx(deviation, rel=4 * math.sqrt(4.4 / (4 * times)))
    # the first order is found above 0 half of the time: too large, by a fifth at the most
    errors = [found.error for found in founds]
    assert deviation < np.mean(errors) < 1.25 * deviation
    assert all(f"beside {real_count:,} real images" in x.note for x in founds if x.value < floor)


@pytest.mark.parametrize(("count", "real_count"), [(2000, 2000), (9000, 500), (500, 9000)])
def test_the_error_beside_estimated_shares_is_that_of_repetition(count, real_count):
    fake, real, times = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4]), 200
    founds = estimated_kls(fake, count, real, real_count, times, seed=2)
    deviation = np.std([found.value for found in founds])
    exact = (fake @ np.log(fake / real) ** 2 - entropy(fake, real) ** 2) / count
    exact += (fake**2 @ (1 / real) - 1) / real_count
    # four deviations of a normal's, 1 / sqrt(2 n), and next orders in 1 / N
    assert deviation == pytest.approx(math.sqrt(exact), rel=4 / math.sqrt(2 * times) + 0.02)
    errors = [found.error for found in founds]
    assert np.mean(errors) == pytest.approx(math.sqrt(exact), rel=0.03)
    assert {found.note for found in founds} == {""}


def test_known_shares_are_those_of_no_images():
    known = class_modes(fake_classes=torch.tensor([0, 0, 1, 2]), count=3).reverse_kl
    assert known.note == f"exact samples of this many have about {kl_floor(3, 4):.2g}"
    assert known.shared == ()


EVEN, UNEVEN = np.full(10, 0.1), np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])
PLANTED = {
    "even": (EVEN, EVEN),
    "uneven": (UNEVEN, UNEVEN),
    "one lost": (np.where(np.arange(10) == 3, 0, 1 / 9), EVEN),
    "tilted": (UNEVEN * (U := np.linspace(0.6, 1.4, 10)) / (UNEVEN @ U), UNEVEN),
    "far": (UNEVEN, EVEN),
}


@pytest.mark.parametrize("count", [500, 2000, 10_000])
@pytest.mark.parametrize("planted", PLANTED)
def test_claimed_errors_of_both_kls_are_the_actual_scatter(planted, count):
    fake, real = PLANTED[planted]
    founds = estimated(fake, count, real, count, 200)
    for kls in ([x.reverse_kl for x in founds], [x.forward_kl for x in founds]):
        claimed = math.sqrt(np.mean([kl.error**2 for kl in kls]))
        # .8 to 1.25 is what an error has to hold; the deviation of 200 is good to 5 % or 7 %
        assert 0.8 / 1.1 < claimed / np.std([kl.value for kl in kls]) < 1.25 * 1.1


@pytest.mark.parametrize("planted", ["uneven", "tilted"])
def test_kls_that_share_their_real_images_differ_by_what_they_say(planted):
    (fake, real), rng, gaps = PLANTED[planted], np.random.default_rng(0), {}
    for _ in range(200):
        images = as_classes(rng.multinomial(1000, real))
        a, b = (
            class_modes(
                fake_classes=as_classes(rng.multinomial(4000, fake)), count=10, real_classes=images
            )
            for _ in range(2)
        )
        for name in ("reverse_kl", "forward_kl"):
            x, y = getattr(a, name), getattr(b, name)
            told = (error_of_difference(x, y, same_images=same) for same in (True, False))
            gaps.setdefault(name, []).append((x.value - y.value, *told))
    for found in gaps.values():
        gap, paired, unpaired = np.sqrt(np.square(found).mean(0))
        # 200 differences are good to 5 %; near 0 what is of second order is counted too often
        assert 0.85 * gap < paired < (1.2 if planted == "tilted" else 1.5) * gap
        assert paired < 0.8 * unpaired


def test_forward_kl_is_the_reverse_with_sides_exchanged():
    a, b = as_classes([5, 3, 2]), as_classes([1, 4, 5])
    there, back = (
        class_modes(fake_classes=x, count=3, real_classes=y) for x, y in ((a, b), (b, a))
    )
    assert there.forward_kl.value == pytest.approx(entropy([1, 4, 5], [5, 3, 2]), rel=1e-12)
    assert there.forward_kl.value == pytest.approx(back.reverse_kl.value, rel=1e-12)
    assert there.forward_kl.error == pytest.approx(back.reverse_kl.error, rel=1e-12)


def test_a_lost_class_costs_the_forward_kl_most_and_is_told_to_be_infinite():
    found = class_modes(fake_classes=as_classes([50, 50, 0]), count=3)
    smoothed = np.array([50, 50, 0.5])
    assert found.forward_kl.value == pytest.approx(entropy(np.ones(3), smoothed), rel=1e-12)
    assert found.forward_kl.value > 2 * found.reverse_kl.value
    assert "without a sample: 1, counted as half a sample each" in found.forward_kl.note
    assert "without that ∞" in found.forward_kl.note


def test_the_error_of_modes_caught_is_that_of_resampling():
    histogram = np.array([1, 1, 1, 2, 3, 5, 40, 47])  # of 100 samples
    found = class_modes(fake_classes=as_classes(histogram), count=10)
    assert found.caught.value == 8
    again = [(row > 0).sum() for row in histograms(histogram / 100, 100, 20_000)]
    assert found.caught.error == pytest.approx(np.std(again), rel=0.02)  # of 20,000


def test_modes_caught_many_times_have_no_error():
    assert class_modes(fake_classes=torch.arange(4).repeat(500), count=9).caught.error == 0


# Direction


def test_collapse_costs_modes_and_evenness_but_not_quality():
    x = samples()
    good, bad = mixture_modes(**GRID, fake=x), mixture_modes(**GRID, fake=x[x[:, 0] < 1])
    assert bad.caught.value == 15 < good.caught.value
    assert bad.reverse_kl.value > good.reverse_kl.value + 5 * good.reverse_kl.error
    assert abs(bad.quality.value - good.quality.value) < 3 * bad.quality.error


def test_noise_costs_quality_but_not_modes():
    x = samples()
    noise = 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    good, bad = mixture_modes(**GRID, fake=x), mixture_modes(**GRID, fake=x + noise)
    assert bad.caught.value == good.caught.value == 25
    assert bad.quality.value < good.quality.value - 10 * bad.quality.error
    assert bad.reverse_kl.value == pytest.approx(good.reverse_kl.value, abs=1e-3)


def test_a_mode_that_only_poor_samples_reach_is_not_caught():
    fake = RING["centres"] * 1.1  # ten standard deviations away, each nearest to its own mode
    found = mixture_modes(**RING, fake=fake)
    assert (found.caught.value, found.quality.value) == (0, 0)
    assert found.reverse_kl.value == 0


def test_uneven_samples_are_even_under_weights_as_uneven():
    weights = torch.arange(1.0, 9.0)
    fake = RING["centres"].repeat_interleave(250 * weights.long(), 0)  # 9,000
    under = mixture_modes(**RING, fake=fake, real_weights=10 * weights).reverse_kl
    assert under.value < 3 * kl_floor(8, 9000)
    assert mixture_modes(**RING, fake=fake).reverse_kl.value > 0.1


# What must not matter


@pytest.mark.parametrize("tile", [1, 7, 10_000])
def test_tiles_and_order_do_not_matter(tile, monkeypatch):
    x = samples(300)
    expected = mixture_modes(**GRID, fake=x)
    monkeypatch.setattr(module, "TILE", tile)
    assert mixture_modes(**GRID, fake=x) == expected
    assert mixture_modes(**GRID, fake=x.flip(0)) == expected


def test_the_same_seed_draws_the_same():
    before = torch.get_rng_state()
    assert torch.equal(samples(seed=1), samples(seed=1))
    assert not torch.equal(samples(seed=1), samples(seed=2))
    assert torch.equal(torch.get_rng_state(), before)


# Bad input


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fake": torch.zeros(0, 2)}, "0 in fake"),
        ({"fake": torch.zeros(3, 3)}, "different shapes"),
        ({"fake": torch.full((3, 2), math.nan)}, "fake holds numbers that are not finite"),
        ({"centres": torch.zeros(0, 2)}, "0 in centres"),
        ({"centres": torch.zeros(2, 2)}, "coincide"),
        ({"sd": 0.0}, "sd is 0.0"),
        ({"sd": math.nan}, "sd is nan"),
        ({"real_weights": torch.ones(7)}, "8 modes"),
        ({"real_weights": torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 1])}, "above 0"),
        ({"real_weights": torch.full((8,), math.nan)}, "above 0"),
    ],
)
def test_bad_mixtures_are_told_in_one_line(changes, said):
    with pytest.raises(FrenemyError, match=r"^modes: ") as refused:
        mixture_modes(**{**RING, "fake": RING["centres"], **changes})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (torch.tensor([], dtype=torch.int64), "(0,)"),
        (torch.tensor([[1, 2]]), "(1, 2)"),
        (torch.tensor([0, 5]), "from 0 to 4"),
        (torch.tensor([-1, 3]), "from -1 to 3"),
        (torch.tensor([0.0, 1.0]), "integers"),
    ],
)
def test_bad_classes_are_told_in_one_line(classes, said):
    with pytest.raises(FrenemyError, match=r"^modes: ") as refused:
        class_modes(fake_classes=classes, count=5)
    assert said in str(refused.value)
    with pytest.raises(FrenemyError, match=r"^modes: "):
        class_modes(fake_classes=torch.tensor([0]), count=5, real_classes=classes)


def test_one_sample_and_one_mode_have_values():
    found = mixture_modes(centres=torch.zeros(1, 2), sd=1.0, fake=torch.zeros(1, 2))
    assert (found.caught.value, found.quality.value, found.reverse_kl.value) == (1, 1, 0)
    assert (found.caught.error, found.quality.error, found.reverse_kl.error) == (0, 0, 0)


def test_samples_that_are_all_or_none_of_high_quality_leave_a_doubt():
    for fake, quality in ((RING["centres"], 1), (1.1 * RING["centres"], 0)):
        found = mixture_modes(**RING, fake=fake).quality
        # as if one of eight were otherwise
        assert (found.value, found.error) == (quality, math.sqrt(1 / 8 * 7 / 8 / 8))
