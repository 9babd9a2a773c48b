"""The short games of `health.py`: their data, and how each is played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from short_games import Data, Points, Way, pictures, spiral, stacks

from frenemy.data.toy import ring, square_grid
from frenemy.diagnosis import FailureMode

Set = Literal["tuning", "held-out"]


@dataclass(frozen=True)
class Case:
    """One game, and how it is meant to fail, if at all."""

    data: str
    failure: FailureMode | None
    way: Way
    rounds: int = 2000


DATA: dict[str, Callable[[], Data]] = {
    "ring": lambda: Points(ring(8), 0.05),
    "line": lambda: Points(torch.stack([torch.linspace(-3, 3, 7), torch.zeros(7)], 1), 0.1),
    "cloud": lambda: Points(torch.zeros(1, 2), 1.0),
    "grid": lambda: Points(square_grid(5), 0.05),
    "square": lambda: Points(square_grid(3), 0.1),
    "small cloud": lambda: Points(torch.tensor([[1.0, -1.0]]), 0.5),
    "wide ring": lambda: Points(ring(12, 2.0), 0.1),
    "cross": lambda: Points(torch.tensor([[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2]]).float(), 0.2),
    "far cloud": lambda: Points(torch.tensor([[-2.0, 0.5]]), 0.7),
    "digits": lambda: pictures(None),
    "mnist": lambda: pictures("mnist", 16),
    "faces": lambda: pictures("olivetti/olivettifaces.mat", 16),
    "objects": lambda: pictures("cifar10", 16),
    "expressions": lambda: pictures("fer2013", 16),
    "large faces": lambda: pictures("olivetti/olivettifaces.mat", 32),
    # of the held-out games alone
    "spiral": lambda: Points(spiral(10), 0.08),
    "two rings": lambda: Points(np.concatenate([ring(4, 0.7), ring(7, 2.0)]), 0.1),
    "far spiral": lambda: Points(spiral(10) + torch.tensor([4.0, -3.0]), 0.08),
    "far square": lambda: Points(torch.tensor([-5.0, 2.0]) + torch.from_numpy(square_grid(3)), 0.2),
    "left cloud": lambda: Points(torch.tensor([[-1.5, 0.0]]), 0.8),
    "animals": lambda: pictures("animals", 16),
    "large animals": lambda: pictures("animals", 32),
    "stacks": lambda: stacks(16),
}

LOST = Way("minimax", d_rate=1e-3, momentum=0.5)  # plain gradients, of which nothing is left
WIN = Way("pairing", gamma=0.1, averaging=0.999)
CYCLE = Way("wasserstein", rate=0.05, momentum=0.0, noise=2, linear=True)
LOST_SLOWLY: dict[str, Any] = {
    "objective": "minimax",
    "momentum": 0.5,
    "rate": 0.02,
    "d_rate": 1e-3,
}
SLOW = Way(rate=5e-4, betas=(0.5, 0.99), noise=32, conv=8)  # of these, 1,000 rounds


def slow(data: str, failure: FailureMode | None, **way: Any) -> Case:
    """A game of convolutional networks."""
    return Case(data, failure, replace(SLOW, **way), rounds=1000)


CASES: dict[Set, list[Case]] = {
    "tuning": [
        Case("ring", "diminished gradient", replace(LOST, rate=0.01, head_start=1000)),
        Case("line", "diminished gradient", replace(LOST, rate=0.01, head_start=1500)),
        Case("digits", "diminished gradient", replace(LOST, rate=0.05, k=3)),
        Case("digits", "diminished gradient", replace(LOST, rate=0.1, head_start=500)),
        Case("ring", "mode collapse", Way(rate=2e-3, d_rate=2e-4)),
        Case("ring", "mode collapse", Way("pairing", rate=2e-3, d_rate=1e-4)),
        Case("digits", "mode collapse", Way(rate=1e-3, d_rate=1e-4)),
        Case("digits", "mode collapse", Way("hinge", rate=1e-3, d_rate=1e-4)),
        Case("cloud", "non-convergence", CYCLE),
        Case("ring", "non-convergence", Way(rate=5e-2, betas=(0.9, 0.99))),
        Case("digits", "non-convergence", Way("wasserstein", rate=2e-3, betas=(0.9, 0.99))),
        Case("digits", "non-convergence", Way(rate=3e-2, betas=(0.5, 0.99))),
        Case("ring", None, WIN),
        Case("ring", None, Way("nonsaturating", gamma=0.1)),
        Case("ring", None, Way("wasserstein", gamma=1.0, penalty="gp", k=3)),
        Case("ring", None, Way("hinge", gamma=0.1, averaging=0.999)),
        Case("line", None, Way("pairing", gamma=0.1)),
        Case("line", None, Way("least-squares", gamma=0.1, averaging=0.999)),
        Case("digits", None, WIN),
        Case("digits", None, Way("nonsaturating", gamma=1.0)),
        Case("digits", None, Way("hinge", gamma=0.3, averaging=0.999)),
        Case("digits", None, Way("minimax", gamma=0.3, averaging=0.999)),
        Case("digits", None, Way("pairing", gamma=1.0)),
        Case("digits", None, Way("nonsaturating", gamma=0.3, penalty="r1", averaging=0.999)),
        Case("grid", "diminished gradient", replace(LOST, rate=0.02, head_start=1000)),
        Case("square", "diminished gradient", replace(LOST, rate=0.02, head_start=700)),
        Case("mnist", "diminished gradient", replace(LOST, rate=0.1, k=2)),
        Case("faces", "diminished gradient", replace(LOST, rate=0.02, head_start=1000)),
        Case("grid", "mode collapse", Way(rate=2e-3, d_rate=2e-4, g_steps=10, width=64)),
        Case("square", "mode collapse", Way(rate=1e-3, g_steps=10)),
        Case("mnist", "mode collapse", Way(rate=1e-3, d_rate=1e-4)),
        Case("faces", "mode collapse", Way("hinge", rate=1e-3, d_rate=1e-4)),
        Case("small cloud", "non-convergence", replace(CYCLE, rate=0.03)),
        Case("grid", "non-convergence", Way("hinge", rate=4e-2, betas=(0.9, 0.99))),
        Case("mnist", "non-convergence", Way("wasserstein", rate=2e-3, betas=(0.9, 0.99))),
        Case("faces", "non-convergence", Way("wasserstein", rate=5e-3, betas=(0.9, 0.99))),
        Case("grid", None, WIN),
        Case("grid", None, Way("nonsaturating", gamma=0.1)),
        Case("square", None, Way("hinge", gamma=0.1)),
        Case("square", None, Way("wasserstein", gamma=1.0, penalty="gp", k=3, averaging=0.999)),
        Case("square", None, Way("pairing", gamma=0.1)),
        Case("mnist", None, WIN),
        Case("mnist", None, Way("pairing", gamma=1.0)),
        Case("mnist", None, Way("nonsaturating", gamma=0.3, averaging=0.999)),
        Case("mnist", None, Way("minimax", gamma=1.0)),
        Case("faces", None, replace(WIN, gamma=1.0)),
        Case("faces", None, Way("hinge", gamma=1.0, averaging=0.999)),
        Case("faces", None, Way("nonsaturating", gamma=1.0)),
        Case("wide ring", "diminished gradient", replace(LOST, rate=0.01, head_start=1200)),
        Case("cross", "diminished gradient", replace(LOST, rate=0.02, head_start=800)),
        Case("objects", "diminished gradient", replace(LOST, rate=0.02, head_start=1000)),
        Case("expressions", "diminished gradient", replace(LOST, rate=0.05, k=3)),
        Case("wide ring", "mode collapse", Way(rate=2e-3, d_rate=1e-4)),
        Case("cross", "mode collapse", Way("pairing", rate=2e-3, d_rate=1e-4)),
        Case("objects", "mode collapse", Way(rate=1e-3, d_rate=1e-4)),
        Case("expressions", "mode collapse", Way("hinge", rate=1e-3, d_rate=1e-4)),
        Case("far cloud", "non-convergence", replace(CYCLE, rate=0.04)),
        Case("wide ring", "non-convergence", Way(rate=5e-2, betas=(0.9, 0.99))),
        Case("objects", "non-convergence", Way("wasserstein", rate=4e-3, betas=(0.9, 0.99))),
        Case("expressions", "non-convergence", Way("wasserstein", rate=3e-3, betas=(0.9, 0.99))),
        Case("wide ring", None, WIN),
        Case("wide ring", None, Way("nonsaturating", gamma=0.1, averaging=0.999)),
        Case("cross", None, Way("hinge", gamma=0.1)),
        Case("cross", None, Way("pairing", gamma=0.3)),
        Case("cross", None, Way("least-squares", gamma=0.1)),
        Case("far cloud", None, WIN),
        Case("objects", None, replace(WIN, gamma=1.0)),
        Case("objects", None, Way("nonsaturating", gamma=1.0, averaging=0.999)),
        Case("objects", None, Way("hinge", gamma=1.0)),
        Case("expressions", None, replace(WIN, gamma=1.0)),
        Case("expressions", None, Way("nonsaturating", gamma=1.0)),
        Case("expressions", None, Way("minimax", gamma=1.0, averaging=0.999)),
        Case("ring", "D does not learn", Way(d_rate=0.0)),
        Case("digits", "G makes no headway", Way("hinge", rate=1e-6, d_rate=1e-3)),
        slow("mnist", None),
        slow("mnist", None, objective="pairing", gamma=0.1, averaging=0.999),
        slow("objects", None, objective="hinge", gamma=0.1, averaging=0.999),
        slow("large faces", None, objective="pairing", gamma=1.0, norm=False),
        slow("large faces", "mode collapse", objective="pairing", gamma=1000.0, norm=False),
        slow("mnist", "mode collapse", rate=1e-3, d_rate=2e-5, norm=False),
        slow("objects", "mode collapse", objective="hinge", rate=1e-3, d_rate=1e-4, g_steps=3),
        slow("large faces", "D does not learn", d_rate=0.0),
        slow("mnist", "D does not learn", objective="hinge", d_rate=0.0, norm=False),
        slow("objects", "G makes no headway", d_rate=0.1),
        slow("mnist", "G makes no headway", objective="hinge", rate=1e-6, d_rate=1e-3),
        slow("mnist", "diminished gradient", **LOST_SLOWLY, head_start=300),
        slow("objects", "non-convergence", objective="wasserstein", rate=5e-3),
        slow("mnist", "non-convergence", objective="hinge", rate=2e-2),
        slow("large faces", "mode collapse", objective="pairing", gamma=10.0, rate=3e-3, conv=0),
    ],
    "held-out": [
        Case("far spiral", "diminished gradient", replace(LOST, rate=0.01, head_start=500)),
        Case("far square", "diminished gradient", replace(LOST, rate=0.005, k=3)),
        Case("stacks", "diminished gradient", replace(LOST, rate=0.05, k=3)),
        Case("animals", "diminished gradient", replace(LOST, rate=0.02, k=5, head_start=1200)),
        Case("spiral", "mode collapse", Way(rate=2e-3, d_rate=2e-4, g_steps=5)),
        Case("two rings", "mode collapse", Way("hinge", rate=2e-3, d_rate=1e-4, g_steps=3)),
        Case("stacks", "mode collapse", Way(rate=5e-4, g_steps=10)),
        Case("animals", "mode collapse", Way(rate=5e-4, g_steps=10)),
        Case("left cloud", "non-convergence", replace(CYCLE, rate=0.05)),
        Case("two rings", "non-convergence", Way("hinge", rate=6e-2, betas=(0.9, 0.99))),
        Case("stacks", "non-convergence", Way("wasserstein", rate=3e-3, betas=(0.9, 0.99))),
        Case("animals", "non-convergence", Way("wasserstein", rate=3e-3, betas=(0.9, 0.99))),
        Case("spiral", None, WIN),
        Case("spiral", None, Way("nonsaturating", gamma=0.1)),
        Case("spiral", None, Way("hinge", gamma=0.1, averaging=0.999)),
        Case("two rings", None, Way("pairing", gamma=0.1)),
        Case("two rings", None, Way("wasserstein", gamma=1.0, penalty="gp", k=3, averaging=0.999)),
        Case("left cloud", None, WIN),
        Case("stacks", None, replace(WIN, gamma=1.0)),
        Case("stacks", None, Way("nonsaturating", gamma=1.0)),
        Case("stacks", None, Way("minimax", gamma=1.0)),
        Case("animals", None, replace(WIN, gamma=1.0)),
        Case("animals", None, Way("nonsaturating", gamma=1.0)),
        Case("animals", None, Way("hinge", gamma=1.0, averaging=0.999)),
        Case("two rings", "D does not learn", Way("hinge", d_rate=0.0)),
        Case("stacks", "G makes no headway", Way("wasserstein", rate=1e-6, d_rate=1e-3)),
        slow("stacks", None),
        slow("stacks", None, objective="hinge", gamma=0.1, norm=False),
        slow("large animals", None, objective="pairing", gamma=1.0, averaging=0.999),
        slow("large animals", "mode collapse", objective="hinge", gamma=1000.0, norm=False),
        slow("stacks", "mode collapse", rate=1e-3, d_rate=1e-4, g_steps=5, norm=False),
        slow("large animals", "D does not learn", objective="hinge", d_rate=0.0),
        slow("stacks", "G makes no headway", objective="hinge", rate=2e-6, d_rate=2e-3, norm=False),
        slow("stacks", "diminished gradient", **LOST_SLOWLY, k=2, head_start=200),
        slow("animals", "non-convergence", objective="wasserstein", rate=5e-3),
        slow("large animals", "mode collapse", objective="pairing", gamma=5.0, rate=3e-3, conv=0),
        slow("animals", None, objective="pairing", gamma=0.3, averaging=0.999),
        slow("animals", None),
        slow("stacks", None, objective="pairing", gamma=0.3, averaging=0.999),
        slow("animals", None, objective="hinge", gamma=0.1, norm=False),
        slow("animals", "mode collapse", rate=2e-3, d_rate=1e-4, norm=False),
        slow("animals", None, gamma=1.0, averaging=0.999),
        slow("animals", None, objective="hinge", gamma=1.0, norm=False, averaging=0.999),
        slow("stacks", None, gamma=1.0, averaging=0.999),
        slow("stacks", None, objective="hinge", gamma=1.0, averaging=0.999),
    ],
}
