"""The minibatch as stochastic sampling: its gradient beside that of all data."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from frenemy.lab.lesson import Check, sampled
from frenemy.lab.mixing import TARGET

COUNT = 1000  # examples in all
SIZES = 10, 100  # of minibatches
THETA = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)  # of D, a logistic regression


def gradients(x: Tensor) -> Tensor:
    """That of -log D(x_i) in D's three weights, of each example by itself: (N, 2) -> (N, 3)."""
    rows = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)

    def loss(theta: Tensor, row: Tensor) -> Tensor:
        return softplus(-(row @ theta))

    return torch.func.vmap(torch.func.grad(loss), (None, 0))(THETA, rows)


def checks(repetitions: int, generator: torch.Generator) -> list[Check]:
    """Means and errors of minibatches that are drawn without replacement, as an epoch does it."""
    g = gradients(TARGET.sample(COUNT, generator))
    mean, S = g.mean(0), g.var(0).sum().item()
    found = list[Check]()
    for m in SIZES:
        draws = torch.stack(
            [torch.randperm(COUNT, generator=generator)[:m] for _ in range(repetitions)]
        )
        off = g[draws].mean(1) - mean  # (repetitions, 3)
        error = math.sqrt(S / m * (1 - m / COUNT))
        squares = off.square().sum(1)
        rms = squares.mean().sqrt().item()
        of_rms = (squares.std() / math.sqrt(repetitions)).item() / (2 * rms)
        along = off @ (mean / mean.norm())
        found += [
            sampled(
                f"minibatch of {m}: its gradient − that of all, along it",
                along.mean().item(),
                0.0,
                along.std().item() / math.sqrt(repetitions),
            ),
            sampled(f"minibatch of {m}: root mean square error", rms, error, of_rms),
        ]
    epoch = torch.randperm(COUNT, generator=generator).view(-1, SIZES[0])
    whole = (g[epoch].mean(1).mean(0) - mean).abs().max().item()
    # sums of 1,000 terms in another order
    return [*found, Check("an epoch: mean of its minibatches − all data", whole, 0.0, 1e-12)]
