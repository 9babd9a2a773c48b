"""Every lesson, played once with little to do, for all tests of it."""

import functools
from typing import Any, NamedTuple

import pytest
import torch

from frenemy.lab import boltzmann, mixing, rotations
from frenemy.lab.lesson import Result
from frenemy.lab.lessons import LESSONS

SMALL: dict[str, dict[str, Any]] = {
    "counterfeiters": {"rounds": 16},
    "algorithm1": {"rounds": 4, "minibatch": 16},
    "nash": {"deviations": 500, "games": 3},
    "units": {"rounds": 4, "seeds": 2},
    "boltzmann": {"walkers": 100, "steps": 200, "rounds": 20},
    "table1": {"count": 50},
    "figure1": {"rounds": 24, "k": 10, "minibatch": 200},
    "optimal-discriminator": {"rounds": 20, "minibatch": 100},
    "global-optimum": {"rounds": 2, "stops": 2, "samples": 20_000},
    "game-tree": {},
    "cycling": {"rate": 0.9, "steps": 3},
    "saturation": {"steps": 16, "rounds": 10},
    "collapse": {"data": "ring", "rounds": 4, "games": ("standard", "ours")},
    "k-steps": {"steps": 60, "fits": 30},
    "likelihood": {},
    "monte-carlo": {"repetitions": 200, "steps": 3000, "rounds": 20},
    "autoencoder-is-not-a-gan": {"rounds": 20, "width": 16},
    "divergences": {"rounds": 2},
}


class Run(NamedTuple):
    result: Result
    left_alone: bool  # whether the global generator was


def play(name: str, **others: Any) -> Run:
    """A lesson with the arguments of SMALL and others, coarsely, with short films."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(rotations, "HALVINGS", 1)
        patch.setattr(mixing, "FRAMES", 3)
        patch.setattr(boltzmann, "ANNEALED", (10, 300))
        torch.seed()  # no two runs find the global generator in one state
        state = torch.random.get_rng_state()
        result = LESSONS[name](**SMALL[name] | others)
        return Run(result, torch.equal(torch.random.get_rng_state(), state))


small = functools.cache(play)
