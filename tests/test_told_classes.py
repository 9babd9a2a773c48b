"""What players that are told classes learn of them, on pictures of one colour for each class."""

import numpy as np
import pytest
import torch
from torch.optim import Adam

from frenemy.data import Source
from frenemy.experiment import Experiment, Stage, from_pixels
from frenemy.game import Game, Player, Prior, alternating
from frenemy.nets import r3gan
from frenemy.objectives import pairing_d, pairing_g
from frenemy.penalties import r1, r2
from frenemy.recipes.pictures import Pictures, labels, pictures
from frenemy.sampling import drawing, generate, noise

CLASSES = ("red", "green", "blue")
ROUNDS = 150


def colours(side, shuffled):
    """Square pictures, each nearly red, green or blue; labels may tell nothing of it."""
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    levels = np.where(np.eye(3), 220, 30)[y] + random.integers(-20, 21, (60, 3))
    images = np.broadcast_to(levels[:, :, None, None], (60, 3, side, side)).astype(np.uint8)
    return Source(images, random.permutation(y) if shuffled else y, classes=CLASSES)


def projecting(facts):
    """`Modulated` and `Projection`."""
    return pictures(facts, Pictures(width=4, minibatch=16, rate=2e-3, augmenting=False))


def of_r3gan(facts):
    G = r3gan.Generator(8, facts.shape, [8, 8], blocks=1, classes=3, group=8)
    D = r3gan.Discriminator(facts.shape, [8, 8], blocks=1, classes=3, group=8)
    players = {
        name: Player(net, Adam(net.parameters(), 2e-3, betas=(0.0, 0.99)))
        for name, net in (("D", D), ("G", G))
    }
    turns = alternating({pairing_d: 1.0, r1: 0.1, r2: 0.1}, {pairing_g: 1.0})
    return [Stage(Game(players, turns, Prior("gaussian", 8), 16, conditions=labels), 1)]


def fidelity(recipe, side, *, shuffled):
    """After a short game: how often G makes the colour that it is told, and D's margin.

    The margin is how much D prefers real pictures with their labels to the same with others, in the
    mean of many rounds: in a single one it is as likely to be half or twice as much.
    """
    torch.manual_seed(0)
    source = colours(side, shuffled)
    stages = recipe(source.facts)
    experiment, game = Experiment(stages, source), stages[0].game
    minibatch = experiment.minibatch(game, 0, game.device)
    x, y = from_pixels(torch.from_numpy(np.array(source.images))), torch.arange(60) % 3
    margins = []
    for step in range(ROUNDS):
        game.play(minibatch, seed=0, step=step)
        if step >= ROUNDS / 3 and step % 5 == 4:
            with drawing(game) as nets, torch.no_grad():
                as_told, *others = (nets["D"](x, (y + k) % 3) for k in range(3))
            margins.append(torch.stack([as_told - other for other in others]).mean().item())
    fake = generate(game, source.facts, noise(game, 60, 0), 60, labels=y.numpy())
    right = (fake.mean((2, 3)).argmax(1) == y.numpy()).mean()
    return right, np.mean(margins)


@pytest.mark.parametrize(("recipe", "side"), [(projecting, 16), (of_r3gan, 8)])
def test_labels_that_are_shuffled_cost_fidelity(recipe, side):
    right, margin = fidelity(recipe, side, shuffled=False)
    by_chance, none = fidelity(recipe, side, shuffled=True)
    assert right > 0.9
    assert by_chance < 0.8  # a third is expected; two of three if each class has one picture only
    # of four seeds the margins were 1.0 to 2.9 (R3GAN's 3.8 and more), by chance -.3 to .3
    assert margin > 2 * abs(none)
