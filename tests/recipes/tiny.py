"""Every recipe at a tiny size, played in float64; as a program under torchrun, by two processes.

python -m torch.distributed.run --nproc_per_node 2 tests/recipes/tiny.py OUT
"""

import functools
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

from frenemy import recipes
from frenemy.data import Dataset, Facts, Source
from frenemy.engine import Engine, joined, share_here
from frenemy.errors import FrenemyError
from frenemy.experiment import arguments_of
from frenemy.model import set_up
from frenemy.recipes import paper2014

WIDTHS = {"UNITS": 400, "FACES_UNITS": 8, "CIFAR_UNITS": 8}  # of the largest layers of 2014
COUNT, MINIBATCH, MAPS, UNITS, IMAGES = 12, 4, 2, 9, 40
GROUPED = {"r3gan": 16}  # whose maps are grouped by as many
ROUNDS = 5  # so that what is played every fourth is played twice
_NONE, randn = object(), torch.randn
SHAPES = [(c, side, side) for side in (8, 16, 28, 32, 48, 64) for c in (1, 3)]


def shrink():
    """Makes the recipes' largest layers small."""
    for name, width in WIDTHS.items():
        setattr(paper2014, name, width)


@functools.cache
def source_for(name):
    """Labelled images of the first shape that the recipe takes."""
    for shape in SHAPES:
        try:
            recipes.RECIPES[name](Facts(shape, COUNT, ("a", "b", "c")))
        except FrenemyError:
            continue
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (COUNT, *shape), np.uint8)
        return Source(images, np.arange(COUNT) % 3, classes=("a", "b", "c"))
    raise AssertionError(f"{name} takes none of the shapes {SHAPES}")


def dataset_for(name):
    source = source_for(name)
    return Dataset(source, source, source, "random images")


def recipe_of(name):
    """The recipe with a small minibatch, and few maps."""
    recipe = recipes.RECIPES[name]
    known = arguments_of(recipe)
    maps = GROUPED.get(name, MAPS)
    small = {"minibatch": MINIBATCH, "width": maps, "images": IMAGES, "burn_in": IMAGES}
    small |= {"units": UNITS, "top_units": UNITS, "layer_epochs": 1, "sampling_steps": 2}
    small |= {"rounds": 3, "fine_tuning": 4}  # a run of few rounds comes to the last stage
    return recipes.vary(recipe, **{k: v for k, v in small.items() if hasattr(known, k)})


def half(*size, generator=_NONE, **_):
    """In place of what networks and terms draw; a prior names its generator, and draws."""
    return torch.full(size, 0.5) if generator is _NONE else randn(*size, generator=generator)


def played(name, engine):
    """What all stages' players hold after some rounds of each, nothing random within networks and
    terms; these draw by `torch.rand` and `torch.randn`.
    """
    torch.set_default_dtype(torch.float64)
    try:
        experiment = set_up(recipe_of(name), dataset_for(name), seed=0)
        found = {}
        for i, stage in enumerate(experiment.stages):
            game = stage.game
            experiment.begin(i, seed=0)
            for net in [*game.nets.values()]:
                net.double().eval()
            streams = experiment.minibatch(game, 0, game.device)

            def minibatch(stream, i, streams=streams):
                x, y = streams(stream, i)
                return x.double(), y

            with mock.patch.multiple(torch, rand=half, randn=half):
                for step in range(ROUNDS):
                    record = game.play(minibatch, seed=0, step=step, engine=engine)
            found |= {f"{i} {key}": value for key, value in record.items()}
            for letter, player in game.players.items():
                state = player.state().items()
                found |= {f"{i} {letter} {k}": v.clone() for k, v in state if k[:3] == "net"}
        return found
    finally:
        torch.set_default_dtype(torch.float32)


if __name__ == "__main__":
    shrink()
    with joined():
        engine = Engine(share=share_here())
        for name in recipes.RECIPES:
            state = played(name, engine)
            if engine.share.rank == 0:
                save_file(state, Path(sys.argv[1]) / f"{name}.safetensors")
