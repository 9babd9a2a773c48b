"""What D learns from n points of p_data that it sees again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from frenemy.figures import INK, VERMILION, Canvas
from frenemy.game import mix
from frenemy.lab.densities import blobs, optimal_logit
from frenemy.lab.discriminators import Pair, cube, draw_map, logits, pair, train_discriminator


@dataclass(frozen=True)
class Fit:
    """D after training on n points; p_g is known to it as well as it likes.

    Attributes:
        D, points: the discriminator, and its points, (n, 2).
        trained: V(G, D), with the mean of log D over the n points in place of its expectation.
        fresh: V(G, D).
        gap: by how much `trained` exceeds what D* wins on the same points, plus that by which
            `fresh` falls short of V(G, D*). For D* it is 0, whichever the points.
    """

    D: nn.Module
    points: Tensor
    trained: float
    fresh: float
    gap: float


def plane() -> Pair:
    """Two modes of p_data on one of p_g."""
    return pair("", blobs(0.7, (-1, 0), (1, 0)), blobs(1.0, (0, 0)), reach=7.0, count=201)


def fit(p: Pair, n: int, *, steps: int, seed: int) -> Fit:
    """D trained on n points of p_data, drawn with replacement, and on fresh points of p_g."""
    points = p.p_data.sample(n, torch.Generator().manual_seed(mix(seed, n)))

    def sample(count: int, generator: torch.Generator) -> Tensor:
        return points[torch.randint(n, (count,), generator=generator)]

    D = train_discriminator(
        sample, p.p_g, hidden=64, rounds=steps, minibatch=500, rate=2e-2, seed=seed
    )

    def empirical(logit: Tensor, at_points: Tensor) -> float:
        """V with the mean over the points in place of the expectation."""
        of_data = (p.data * logsigmoid(logit)).sum().item() * p.cell
        return p.value(logit) - of_data + logsigmoid(at_points).mean().item()

    logit = logits(D, p.x)
    trained, fresh = empirical(logit, logits(D, points)), p.value(logit)
    best = optimal_logit(p.p_data, p.p_g, points)
    gap = trained - empirical(p.best, best) + p.value(p.best) - fresh
    return Fit(D, points, trained, fresh, gap)


def draw(canvas: Canvas, fits: Sequence[Fit]) -> None:
    """The gap against n, and the map of the D that was trained on the fewest points."""
    left, right = canvas.subplots(1, 2)
    left.loglog([len(f.points) for f in fits], [f.gap for f in fits], "o-", color=VERMILION)
    left.set(xlabel="points n", ylabel="gap")
    few = min(fits, key=lambda f: len(f.points))
    draw_map(right, logits(few.D, cube(2, 3.2, 141)).sigmoid(), reach=3.2)
    right.plot(*few.points.T, "o", color=INK, ms=4)
    canvas.colorbar(right.images[0], ax=right, ticks=(0, 0.5, 1), label="D")
