"""Samples: what a seed fixes, and that neither their count nor the size of a pass changes them."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from frenemy import sampling
from frenemy.data import Facts
from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, Turn
from frenemy.sampling import columns, generate, noise, truncated
from frenemy.walks import mix, walk

from .tiny import model_of

FACTS = Facts((1, 2, 2), 10, ("a", "b", "c"))


class Noisy(nn.Module):
    """A generator that draws noise within itself, as StyleGAN's does."""

    def __init__(self, spread=1.0):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.spread = spread

    def forward(self, z, *c):
        x = self.linear(z).tanh().view(-1, 1, 2, 2)
        return x + self.spread * torch.randn_like(x) if self.spread else x


class Classed(nn.Module):
    """Shows the class that it is told, as brightness."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor([-1.0, 0.0, 1.0]))

    def forward(self, z, y):
        return self.level[y].view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def game_of(G, **options):
    torch.manual_seed(0)
    player = Player(G, torch.optim.SGD(G.parameters(), lr=0.1))
    return Game({"G": player}, [Turn({"G": {}})], Prior("gaussian", 3), 4, **options)


def draw(game, count, seed=0, **options):
    return generate(game, FACTS, noise(game, count, seed), count, seed=seed, **options)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_seed_fixes_samples_and_what_networks_draw_within_themselves(spread):
    game = game_of(Noisy(spread))
    first = draw(game, 7, seed=3)
    torch.rand(5)
    assert np.array_equal(draw(game, 7, seed=3), first)
    assert not np.array_equal(draw(game, 7, seed=4), first)
    state = torch.get_rng_state()
    draw(game, 7)
    assert torch.equal(torch.get_rng_state(), state)  # and leaves the global generator alone


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("few", [1, 3, 499, 501])
def test_the_first_samples_do_not_depend_on_how_many_there_are(few, spread):
    game = game_of(Noisy(spread))
    # products of fewer rows may differ in their last bit, which a pixel may show
    found, expected = draw(game, few, seed=1), draw(game, 1003, seed=1)[:few]
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_the_size_of_a_pass_changes_no_sample(monkeypatch):
    game = game_of(Noisy(0.0))
    whole = draw(game, 50)
    sizes = []
    game.nets["G"].register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setattr(sampling, "NUMBERS", 4 * 8)
    assert np.abs(draw(game, 50).astype(int) - whole.astype(int)).max() <= 1  # as above
    assert max(sizes) == 8


def test_networks_sample_in_evaluation_and_go_on_as_they_were():
    G = nn.Sequential(
        nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Unflatten(1, (1, 2, 2))
    )
    game = game_of(G)
    G[1].eval()
    before = {k: v.clone() for k, v in G.state_dict().items()}
    draw(game, 5)
    assert [m.training for m in G.modules()] == [True, True, False, True, True]
    assert all(torch.equal(v, before[k]) for k, v in G.state_dict().items())


def labels_alone(x, y):
    return (y,)


def test_classes_come_in_turn_unless_they_are_named():
    game = game_of(Classed(), conditions=labels_alone)
    assert draw(game, 7)[:, 0, 0, 0].tolist() == [0, 128, 255, 0, 128, 255, 0]
    chosen = draw(game, 3, labels=np.array([2, 2, 0]))
    assert chosen[:, 0, 0, 0].tolist() == [255, 255, 0]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0], r"labels: \(1,\) for 3 samples"),
        ([0, 1, 3], "from 0 to 2"),
        ([0, -1, 1], "from 0 to 2"),
        ([0.0, 1.0, 1.0], "whole numbers"),
        (np.eye(3), r"labels: \(3, 3\) for 3 samples"),  # weights, of a G that mixes none
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, said):
    model = model_of(Classed(), 3, (1, 2, 2), ("a", "b", "c"), conditions=labels_alone)
    with pytest.raises(FrenemyError, match=said):
        model.sample(3, labels=np.array(labels))
    with pytest.raises(FrenemyError, match="told of no classes"):
        model_of(Noisy(), 3, (1, 2, 2)).sample(3, labels=np.array([0, 0, 0]))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int64])
def test_labels_may_be_whole_numbers_of_any_kind(kind):
    model = model_of(Classed(), 3, (1, 2, 2), ("a", "b", "c"), conditions=labels_alone)
    drawn = model.sample(3, labels=np.array([2, 0, 1], kind))
    assert drawn[:, 0, 0, 0].tolist() == [255, 0, 128]


def test_a_g_that_takes_labels_alone_walks_within_a_class():
    model = model_of(Classed(), 3, (1, 2, 2), ("a", "b", "c"), conditions=labels_alone)
    assert (walk(model, 2, 3, classes=("c",)) == 255).all()
    assert (mix(model, (0, 1), 3, classes=("a", "a")) == 0).all()
    for refused in (
        lambda: walk(model, 2, 3, classes=("a", "b")),
        lambda: mix(model, (0, 1), 3, classes=("a", "b")),
    ):
        with pytest.raises(FrenemyError, match="takes class labels, not mixtures"):
            refused()
    with pytest.raises(FrenemyError, match="nothing would change"):
        walk(model, 2, 3, classes=("a", "a"), one_z=True)


class Copying(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z, picture):
        return self.scale * picture


def test_players_that_are_told_of_images_need_some():
    game = game_of(Copying(), conditions=lambda x, y: (-x,))
    with pytest.raises(FrenemyError, match="conditioned on images"):
        draw(game, 2)
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 2, 2), np.uint8)
    assert np.array_equal(draw(game, 2, images=images), 255 - images)


def test_a_game_may_have_a_sampler_of_its_own():
    def chain(nets, z, c):
        x = torch.zeros(len(z), 1, 2, 2)
        for _ in range(3):
            x = x + 0.1 * torch.randn_like(x)
        return x

    game = game_of(Noisy(0.0), sampler=chain)
    assert np.array_equal(draw(game, 4, seed=2), draw(game, 4, seed=2))
    assert not np.array_equal(draw(game, 4, seed=2), draw(game, 4, seed=5))


@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_a_sampler_that_draws_says_how_many_it_makes_at_a_time(count):
    sizes = []

    def chain(nets, z, c):
        sizes.append(len(z))
        return z[:, :1, None, None] + 0.1 * torch.randn(len(z), 1, 2, 2)

    game = game_of(Noisy(0.0), sampler=chain, rows=8)
    found = draw(game, count, seed=1)
    assert sizes == [8] * -(-count // 8)
    assert np.array_equal(draw(game, 1003, seed=1)[:count], found)


def test_samples_have_the_size_that_the_game_sees():
    G = nn.Sequential(nn.Linear(3, 1), nn.Unflatten(1, (1, 1, 1)))
    small = game_of(G, prepare=nn.AvgPool2d(2))
    assert draw(small, 3).shape == (3, 1, 1, 1)


@pytest.mark.parametrize("t", [0.05, 0.7, 2.0])
def test_truncated_noise_has_the_law_of_noise_that_is_drawn_anew(t):
    z = torch.randn(20_000)
    found = truncated(z, t)
    assert found.abs().max() <= t
    assert stats.kstest(found.double().numpy(), stats.truncnorm(-t, t).cdf).pvalue > 1e-3
    anew = torch.randn(2_000_000)  # of which at least 3.9 % lie within .05
    kept = anew[anew.abs() <= t][:20_000]
    assert stats.ks_2samp(found.numpy(), kept.numpy()).pvalue > 1e-3
    order = z.argsort()
    assert (found[order].diff() >= 0).all()  # a function of z that rises


def test_truncation_far_out_changes_nothing():
    z = torch.randn(1000)
    # 1.5e-8 of the law lies beyond 5.66; float32 rounds at 6e-8
    torch.testing.assert_close(truncated(z, 8.0), z, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", range(1, 20))
@pytest.mark.parametrize("count", [1, 9, 64, 100])
def test_every_column_of_a_grid_is_of_one_class(classes, count):
    wide = columns(classes, count)
    if wide is None:
        assert classes > 2 * np.ceil(np.sqrt(count))
    else:
        assert wide == count or wide % classes == 0
        assert wide <= count
