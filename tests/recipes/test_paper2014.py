"""The 2014 recipes: the settings of the published code, by arithmetic, and one round of each."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.special
import torch
from torch import nn

from frenemy import recipes
from frenemy.data import Facts, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.nets.layers import Dropout, Scale
from frenemy.objectives import minimax_d, minimax_g, nonsaturating_g
from frenemy.recipes.paper2014 import normalise_contrast, schedule2014

CPU = torch.device("cpu")


def source_of(shape, count=12):
    """Random images, of whose pixels the first are always black and the last always white."""
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, -1, -1, -1] = 0, 255
    return Source(images, name="stand-in")


def experiment_of(recipe, source, **arguments):
    """As it stands when its first stage has begun."""
    experiment = Experiment(recipes.vary(recipe, **arguments)(source.facts), source)
    experiment.begin(0, seed=0)
    return experiment


# The schedule


@pytest.mark.parametrize("rate", [0.1, 0.025])
@pytest.mark.parametrize("t", [0, 1, 1000, 250_000, 2_000_000])
def test_the_rate_falls_by_a_constant_factor_a_round(rate, t):
    lr = schedule2014(rate, rounds_per_epoch=500)(t)["lr"]
    assert lr == pytest.approx(rate * math.exp(-t * math.log(1.000004)), rel=1e-9)  # rounding x t


def test_the_rate_has_a_floor():
    schedule = schedule2014(0.1, rounds_per_epoch=500)
    reached = math.log(0.1 / 1e-6) / math.log(1.000004)  # 2.88 million rounds
    assert schedule(math.floor(reached) - 1)["lr"] > 1e-6
    assert schedule(math.ceil(reached) + 1)["lr"] == 1e-6
    assert schedule(10_000_000)["lr"] == 1e-6


@pytest.mark.parametrize("rounds_per_epoch", [500, 400.0, 1439 / 100, 2.5])
def test_momentum_rises_linearly_from_epoch_1_to_250_and_stays(rounds_per_epoch):
    schedule = schedule2014(0.1, rounds_per_epoch)
    for epoch, momentum in [
        (1, 0.5),
        (2, 0.5 + 0.2 / 249),
        (125, 0.5 + 0.2 * 124 / 249),
        (249, 0.5 + 0.2 * 248 / 249),
        (250, 0.7),
        (251, 0.7),
        (5000, 0.7),
    ]:
        first = math.ceil((epoch - 1) * rounds_per_epoch)
        last = math.ceil(epoch * rounds_per_epoch) - 1
        for t in (first, last):
            assert schedule(t)["momentum"] == pytest.approx(momentum, abs=1e-12), (epoch, t)


# The networks


@dataclass(frozen=True)
class Table:
    """What the published configuration says: n_in x n_out and range of weights of each layer."""

    shape: tuple
    prior: str
    G: list
    D: list
    rate: float
    minibatch: int = 100
    epochs: float = 250
    dropout: int = 3


U = 0.05
DIGITS_G = [(100, 1200, U), (1200, 1200, U)]
DIGITS_D = [(240, 240 * 5, 0.005), (240, 1, 0.005)]
TABLES = {
    "digits2014": Table(
        (1, 8, 8), "uniform", [*DIGITS_G, (1200, 64, U)], [(64, 240 * 5, 0.005), *DIGITS_D], 0.1
    ),
    "mnist2014": Table(
        (1, 28, 28), "uniform", [*DIGITS_G, (1200, 784, U)], [(784, 240 * 5, 0.005), *DIGITS_D], 0.1
    ),
    "faces2014": Table(
        (1, 48, 48),
        "gaussian",
        [(100, 8000, U), (8000, 100, U), (100, 8000, U), (8000, 8000, U), (8000, 2304, None)],
        [(2304, 1200 * 5, 0.005), (1200, 1200 * 5, 0.005), (1200, 1, 0.005)],
        0.05,
        epochs=22,
    ),
    "cifar2014": Table(
        (3, 32, 32),
        "gaussian",
        [(100, 8000, U), (8000, 8000, U), (8000, 3072, 0.5)],
        [(3072, 1600 * 5, 0.005), (1600, 1600 * 5, 0.005), (1600, 1, 0.005)],
        0.025,
    ),
    "cifar2014_conv": Table(
        (3, 32, 32),
        "gaussian",
        [(100, 8000, U), (8000, 8000, U)],
        [(4800, 500 * 5, 0.005), (500, 1, 0.005)],
        0.004,
        minibatch=128,
        dropout=5,
    ),
}
CONVOLUTIONS = (
    80 * 3 * 25 + 3 * 32 * 32,
    64 * (3 * 64 + 1) + 64 * (32 * 64 + 1) + 384 * (32 * 25 + 1),
)


@pytest.fixture(scope="module", params=TABLES)
def built(request):
    """Each recipe's name, table and experiment, built once: up to 130 million weights."""
    table = TABLES[request.param]
    torch.manual_seed(0)
    recipe = recipes.RECIPES[request.param]
    return request.param, table, experiment_of(recipe, source_of(table.shape))


def linears(net):
    return [m for m in net.modules() if isinstance(m, nn.Linear)]


def test_layers_have_the_sizes_and_ranges_of_the_published_code(built):
    name, table, experiment = built
    game = experiment.game
    for letter, expected in (("G", table.G), ("D", table.D)):
        layers = linears(game.nets[letter])
        assert [(m.in_features, m.out_features) for m in layers] == [row[:2] for row in expected]
        for layer, (_, _, irange) in zip(layers, expected, strict=True):
            if irange is not None:
                largest = layer.weight.abs().max().item()
                assert 0.9 * irange < largest <= np.float32(irange)  # of 240 uniform numbers
        count = sum((n_in + 1) * n_out for n_in, n_out, _ in expected)
        if name == "cifar2014_conv":
            count += CONVOLUTIONS["GD".index(letter)]
        assert sum(p.numel() for p in game.nets[letter].parameters()) == count


def test_games_have_the_settings_of_the_published_code(built):
    _, table, experiment = built
    game = experiment.game
    assert (game.prior.kind, game.prior.size) == (table.prior, 100)
    assert game.minibatch == table.minibatch
    assert experiment.stages[-1].epochs == table.epochs
    assert [(dict(t.moves), t.steps, t.every) for t in game.turns] == [
        ({"D": {minimax_d: 0.5}, "G": {nonsaturating_g: 1.0}}, 1, 1)
    ]
    for player in game.players.values():
        assert isinstance(player.optimiser, torch.optim.SGD)
        assert player.schedule(0) == {"lr": table.rate, "momentum": 0.5}
        assert player.average is None
    keeps = [m.keep for m in game.nets["D"].modules() if isinstance(m, Dropout)]
    assert keeps == [0.8] + [0.5] * (len(keeps) - 1)
    assert len(keeps) == table.dropout
    assert not any(isinstance(m, Dropout) for m in game.nets["G"].modules())
    scales = [[m.factor for m in game.nets[n].modules() if isinstance(m, Scale)] for n in "GD"]
    assert scales == ([[1 / 3], [3]] if table.shape[0] == 3 else [[], []])  # pixels / 3 outside


def test_biases_start_at_zero_but_for_the_published_exceptions(built):
    name, table, experiment = built
    assert all(not m.bias.any() for m in linears(experiment.game.nets["D"]))
    *hidden, last = [m.bias for m in linears(experiment.game.nets["G"])]
    minus_two = [1, 3] if name == "faces2014" else []  # those before sigmoids
    for i, bias in enumerate(hidden):
        assert (bias == (-2.0 if i in minus_two else 0.0)).all(), i
    if table.shape[0] == 3:
        assert not last.any()
        return
    mean = source_of(table.shape).mean()
    expected = scipy.special.logit(np.clip(mean, 1e-7, 1 - 1e-7)).ravel()
    assert expected.min() == pytest.approx(-16.118, abs=1e-3)  # the black pixel: log 1e-7
    np.testing.assert_allclose(last.detach(), expected, rtol=1e-6)  # rounding to float32


def test_images_have_the_shape_and_range_that_the_game_says(built):
    _, table, experiment = built
    G, D, prior = *(experiment.game.nets[name] for name in "GD"), experiment.game.prior
    with torch.no_grad():
        Gz = G(prior(2))
        assert Gz.shape == (2, *table.shape)
        assert D(Gz).shape == (2,)
    x, y = experiment.minibatch(experiment.game, 0, CPU)(0, 0)
    x = experiment.game.see(x)
    assert x.shape == (table.minibatch, *table.shape)
    assert y is None
    if table.shape[0] == 1:
        assert Gz.abs().max() <= 1
        assert (x.min(), x.max()) == (-1, 1)
    else:  # a norm of 55 within D
        norms = 3 * x.flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, torch.full_like(norms, 55), rtol=1e-5, atol=0)  # float32


# The digits' games alone


def test_without_last_weights_G_is_the_mean_image():
    source = source_of((1, 28, 28))
    G = experiment_of(recipes.mnist2014, source).game.nets["G"]
    with torch.no_grad():
        linears(G)[-1].weight.zero_()
        pixels = (G(torch.randn(3, 100)) + 1) / 2
    expected = torch.from_numpy(source.mean()).float().expand(3, -1, -1, -1)
    # the clip at 1e-7 and float32's roundings of numbers up to 1
    torch.testing.assert_close(pixels, expected, rtol=0, atol=4e-7)


@pytest.mark.parametrize(
    ("objective", "term"), [("minimax", minimax_g), ("nonsaturating", nonsaturating_g)]
)
def test_arguments_choose_the_game(objective, term):
    chosen = {"objective": objective, "k": 4, "rate": 0.3, "minibatch": 5}
    game = experiment_of(recipes.digits2014, source_of((1, 8, 8), count=40), **chosen).game
    assert [dict(turn.moves) for turn in game.turns] == [
        {"D": {minimax_d: 0.5}},
        {"G": {term: 1.0}},
    ]
    assert [turn.steps for turn in game.turns] == [4, 1]
    assert game.minibatch == 5
    schedule = game.players["D"].schedule
    assert schedule(0)["lr"] == 0.3
    # an epoch is 40 / (5 k) = 2 rounds
    assert [schedule(t)["momentum"] > 0.5 for t in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf])
def test_a_rate_without_sense_is_refused(rate):
    with pytest.raises(FrenemyError, match="rate is"):
        experiment_of(recipes.digits2014, source_of((1, 8, 8)), rate=rate)


def test_both_step_at_once_unless_d_has_several_steps():
    def turns(**arguments):
        game = experiment_of(recipes.digits2014, source_of((1, 8, 8)), **arguments).game
        return [(tuple(turn.moves), turn.steps) for turn in game.turns]

    assert turns() == [(("D", "G"), 1)]
    assert turns(simultaneous=False) == [(("D",), 1), (("G",), 1)]
    assert turns(k=3) == turns(k=3, simultaneous=False) == [(("D",), 3), (("G",), 1)]


@pytest.mark.parametrize(
    ("recipe", "shape", "remedy"),
    [
        ("mnist2014", (1, 8, 8), "train digits, which"),
        ("mnist2014", (3, 28, 28), "github.com/cvdfoundation/mnist"),
        ("faces2014", (1, 28, 28), "--size 48"),
        ("cifar2014", (1, 32, 32), "CIFAR-10"),
        ("cifar2014_conv", (3, 48, 48), "--size 32"),
    ],
)
def test_images_of_another_shape_are_refused_with_a_remedy(recipe, shape, remedy):
    with pytest.raises(FrenemyError) as refused:
        recipes.RECIPES[recipe](Facts(shape, 12, name="stand-in"))
    message = str(refused.value)
    found = "x".join(map(str, shape))
    assert all(part in message for part in (recipe, found, "stand-in", remedy))
    assert "\n" not in message


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7)])
def test_digits2014_plays_at_any_size(shape):
    experiment = experiment_of(recipes.digits2014, source_of(shape), minibatch=4)
    record = experiment.game.play(experiment.minibatch(experiment.game, 0, CPU), seed=0, step=0)
    assert all(value.isfinite() for value in record.values())


def test_training_the_digits_game_teaches_D_to_tell():
    """Some rounds on two very different densities, until D tells them apart."""
    images = np.full((20, 1, 8, 8), 255, np.uint8)
    images[:, :, :4] = 0
    images[:10, :, :, :4] = 0
    torch.manual_seed(0)
    experiment = experiment_of(recipes.digits2014, Source(images), minibatch=20, k=5, rate=0.5)
    minibatch = experiment.minibatch(experiment.game, 0, CPU)
    records = [experiment.game.play(minibatch, seed=0, step=step) for step in range(30)]
    assert records[0]["D/minimax_d"] > 1.38  # log 4: it tells nothing apart
    assert min(record["D/minimax_d"] for record in records) < 0.7


# Contrast normalisation


def test_contrast_normalisation_gives_mean_0_and_norm_55_in_units_of_3():
    torch.manual_seed(0)
    x = normalise_contrast(torch.rand(4, 3, 32, 32) * 2 - 1)
    assert x.mean(dim=(1, 2, 3)).abs().max() < 1e-6  # float32 sums of 3072 numbers
    norms = x.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full((4,), 55 / 3), rtol=1e-6, atol=0)  # float32


def test_contrast_normalisation_ignores_brightness_and_contrast():
    torch.manual_seed(0)
    x = torch.rand(4, 3, 8, 8)
    expected = normalise_contrast(x)
    found = normalise_contrast(0.3 * x - 0.6)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)  # float32 cancellation


def test_contrast_normalisation_of_a_blank_image_is_finite():
    assert torch.equal(normalise_contrast(torch.full((2, 3, 8, 8), 0.5)), torch.zeros(2, 3, 8, 8))


# The two stages of the faces' game. Its round comes last: it moves the weights looked at above.


def test_faces_are_played_in_two_stages_that_share_the_decoder(built):
    name, _, experiment = built
    if name != "faces2014":
        assert len(experiment.stages) == 1
        return
    first, second = experiment.stages
    assert (first.epochs, second.epochs) == (50, 22)
    decoder = first.game.nets["G"]
    assert second.game.nets["G"][1] is decoder
    assert set(decoder.parameters()) < set(second.game.players["G"].theta)
    assert first.game.nets["D"] is not second.game.nets["D"]
    assert not set(first.game.players["D"].theta) & set(second.game.players["D"].theta)
    last = linears(decoder)[-1].weight
    assert ((last != 0).sum(1) == 100).all()  # Martens' sparse initial weights


def test_a_round_leaves_the_faces_weights_within_their_norms(built):
    name, _, experiment = built
    if name != "faces2014":
        return
    for stage in experiment.stages:
        game = stage.game
        game.minibatch = 4
        game.play(experiment.minibatch(game, 0, CPU), seed=0, step=0)
        for layer in (m for net in game.nets.values() for m in linears(net)):
            assert layer.weight.norm(dim=1).max() <= 1.9365 * (1 + 1e-5)  # float32 roundings
