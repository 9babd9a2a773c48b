"""Collapse: the lesson's checks, and what the games that it compares are made of."""

import math

import pytest
import torch
from scipy.stats import chi2
from torch import nn

from frenemy.judge.modes import kl_floor, quality_ceiling
from frenemy.lab.cures import CURES, game
from frenemy.lab.mixtures import MINIBATCH, POINTS, TARGETS

from .small import play, small


@pytest.fixture(scope="module")
def short():
    return small("collapse").result


def test_exact_samples_have_the_share_and_the_divergence_that_theory_gives(short):
    share, kl = short.checks[:2]
    assert share.exact == quality_ceiling(2) == pytest.approx(1 - math.exp(-4.5))
    # 2 N KL is chi-squared of 7 degrees of freedom: with 4 standard errors of its cube root, it is
    # outside for 1 in 35,000 exact samples, 3 of 4 of them above
    low, high = ((kl.exact + side * kl.tolerance) ** 3 * 7 for side in (-1, 1))
    assert 1e-6 < chi2.cdf(low, 7) < chi2.sf(high, 7) < 5e-5
    assert share.holds
    assert kl.holds


def test_a_game_of_few_rounds_fails_its_checks(short):
    assert not short.holds


def test_every_round_is_told_and_filmed(short):
    assert "4 rounds" in short.told
    assert len(short.film.frames) == 4


def test_another_seed_plays_other_games(short):
    assert play("collapse", seed=1).result.checks != short.checks


@pytest.mark.parametrize("cure", CURES)
def test_every_game_moves_both_players_and_gives_points(cure):
    players, target = game(cure, seed=0, rounds=4), TARGETS["grid"]
    before = {
        k: [p.clone() for p in player.net.parameters()] for k, player in players.players.items()
    }
    minibatch = target.minibatches(0, players.minibatch)
    for step in range(2):
        record = players.play(minibatch, seed=0, step=step)
        assert all(map(math.isfinite, (v.item() for v in record.values())))
    for k, player in players.players.items():
        moved = [
            not torch.equal(a, b) for a, b in zip(before[k], player.net.parameters(), strict=True)
        ]
        # D's last bias is free to stay where only differences of logits count
        assert all(moved[:-1])
    x = target.generated(players, 50, seed=1)
    assert x.shape == (50, 2)
    assert torch.equal(x, target.generated(players, 50, seed=1))


def starting_generator(cure, seed=3):
    state = game(cure, seed=seed, rounds=4).nets["G"].state_dict()
    return torch.cat([value.flatten() for value in state.values()])


@pytest.mark.parametrize("cure", [c for c in CURES if c not in ("standard", "ours")])
def test_a_game_and_what_it_is_compared_with_start_from_the_same_generator(cure):
    plain = "ours" if cure.startswith("ours") else "standard"
    assert torch.equal(starting_generator(cure), starting_generator(plain))


def test_another_seed_starts_from_another_generator():
    assert not torch.equal(starting_generator("ours"), starting_generator("ours", seed=4))


def test_packing_changes_only_the_first_layer_of_d():
    sizes = {
        cure: [m.weight.shape for m in game(cure, seed=0, rounds=4).nets["D"].modules()
               if isinstance(m, nn.Linear)]
        for cure in ("standard", "packing 4")
    }  # fmt: skip
    assert sizes["packing 4"][0][1] == 4 * sizes["standard"][0][1]
    assert sizes["packing 4"][1:] == sizes["standard"][1:]


@pytest.mark.parametrize("name", TARGETS)
def test_a_stream_passes_over_every_point_once_an_epoch(name):
    target = TARGETS[name]
    minibatch, epoch = target.minibatches(0), POINTS // MINIBATCH
    x = torch.cat([minibatch(0, i)[0] for i in range(epoch)])
    assert len(x.unique(dim=0)) >= 0.999 * len(x)  # float32 makes a few points coincide
    assert not torch.equal(minibatch(0, 0)[0], minibatch(1, 0)[0])
    assert not torch.equal(minibatch(0, 0)[0], minibatch(0, epoch)[0])
    assert torch.equal(minibatch(0, 3)[0], target.minibatches(0)(0, 3)[0])
    # unit variance of the means of the modes, to which their own adds sd^2 / unit^2; 5 standard
    # errors of a variance of a bounded variable of kurtosis below 2
    expected = 1 + (target.sd / target.unit) ** 2
    assert x.var(0).tolist() == pytest.approx([expected] * 2, abs=5 / len(x) ** 0.5)


@pytest.mark.parametrize("name", TARGETS)
def test_exact_samples_are_judged_perfect(name):
    target = TARGETS[name]
    found = target.judge(target.sample(100_000, seed=0))
    assert found.caught.value == found.total
    assert found.quality is not None
    assert abs(found.quality.value - quality_ceiling(2)) < 4 * found.quality.error
    assert found.reverse_kl.value < 4 * kl_floor(found.total, 100_000)
