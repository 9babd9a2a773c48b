"""How the samples that a table is about are drawn, and how many of them are worth one.

Samples that are made of z alone are independent. Those of a Markov chain are worth as many
independent ones as the chain's integrated autocorrelation time says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from frenemy.data import Dataset
from frenemy.errors import FrenemyError
from frenemy.judge.sets import Images
from frenemy.judging_runs import target_of
from frenemy.model import Model
from frenemy.rivals.autocorrelation import autocorrelation_time

ENTRIES = 128
"""Pixels whose autocorrelation is summed: all would take some GiB, and say the same."""


@dataclass(frozen=True)
class Drawn:
    """Samples, and what they cost.

    Attributes:
        images: uint8 (N, C, H, W).
        seconds: that drawing them took.
        steps: so many of them are worth an independent sample; None of a chain that does not mix.
        notes: what they are worth, in sentences.
        real: how many of them, the first, are real images: where a chain started.
    """

    images: Images
    seconds: float
    steps: float | None = 1.0
    notes: list[str] = field(default_factory=list)
    real: int = 0


Draw = Callable[[Model, Dataset, int, int], Drawn]
"""(model, data, count, seed) -> so many samples of the model, which was trained on the data."""


def independent(model: Model, data: Dataset, count: int, seed: int) -> Drawn:
    """Each sample of its own z."""
    begun = time.perf_counter()
    images = target_of(model, count, seed, data).images
    return Drawn(images, time.perf_counter() - begun)


def entries(states: Tensor) -> Tensor:
    """Some of the pixels of states (chains, ...), evenly spread: (chains, d)."""
    pixels = states.flatten(1)
    return pixels[:, :: max(1, pixels.shape[1] // ENTRIES)]


def mixing(walked: Tensor) -> tuple[float | None, list[str]]:
    """The autocorrelation time of chains (steps, chains, d); or None, and what is said instead."""
    try:
        return autocorrelation_time(walked), []
    except FrenemyError as error:
        reason = str(error).partition(": ")[2].partition(":")[0]
        return None, [f"its chain does not mix: of {len(walked):,} steps, {reason}"]
