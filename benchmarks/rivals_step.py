"""How close the rivals' rounds come to their matrix products alone.

    python benchmarks/rivals_step.py

In one process, interleaved: a round of `gsn` and of `rbm` at their default sizes on images of
MNIST's, in float32 and in bfloat16, and a Gibbs step of 10,000 chains of a 784-1000 machine; after
each its products alone, of the same shapes, orders in memory and types; and
a large square product. Times are the processor's, on one thread, so that what else the machine does
counts little. Medians over the repetitions; the ratios are what counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from frenemy.choices import Precision
from frenemy.data import Source
from frenemy.engine import Engine, choose_device
from frenemy.experiment import Experiment, Recipe
from frenemy.recipes import gsn, rbm
from frenemy.rivals.rbm import RBM, bernoulli

FACTORS = {torch.ops.aten.mm.default: 0, torch.ops.aten.addmm.default: 1}
"""Of each operation that is a product, which argument is the first factor."""


class Products(TorchDispatchMode):
    """Notes the factors of every product, as others of the same shape, strides and type."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in FACTORS:
            a, b = args[FACTORS[func] :][:2]
            self.found.append((_alike(a), _alike(b)))
        return func(*args, **(kwargs or {}))

    @property
    def flops(self) -> int:
        """Of all products together."""
        return sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in self.found)

    def take(self) -> None:
        """Computes them."""
        for a, b in self.found:
            torch.mm(a, b)


def _alike(a: Tensor) -> Tensor:
    return torch.empty_strided(a.shape, a.stride(), dtype=a.dtype).normal_()


def rounds_of(recipe: Recipe, precision: Precision) -> Callable[[], object]:
    """Plays the next round of the recipe on random images: what they show does not matter here."""
    pixels = np.random.default_rng(0).integers(0, 256, (10_000, 1, 28, 28), np.uint8)
    source = Source(pixels, name="random images")
    experiment = Experiment(recipe(source.facts), source)
    experiment.begin(0, seed=0)
    game, steps = experiment.game, iter(range(10**9))
    minibatch, engine = experiment.minibatch(game, 0, torch.device("cpu")), Engine(precision)
    return lambda: game.play(minibatch, seed=0, step=next(steps), engine=engine)


def gibbs_step(chains: int) -> Callable[[], object]:
    """One step of so many chains of a 784-1000 machine, in float32."""
    machine = RBM((1, 28, 28), 1000)
    v = bernoulli(torch.full((chains, 784), 0.5))
    return lambda: machine.gibbs(v, 1)


def main(repetitions: int = 11, chains: int = 10_000) -> None:
    """Prints the table.

    Args:
        repetitions: of every measurement, of which the median counts.
        chains: of the Gibbs step.
    """
    choose_device("cpu")
    torch.set_num_threads(1)
    measured: dict[str, Callable[[], object]] = {
        "gsn, float32": rounds_of(gsn, "float32"),
        "gsn, bfloat16": rounds_of(gsn, "bfloat16"),
        "rbm, float32": rounds_of(rbm, "float32"),
        "rbm, bfloat16": rounds_of(rbm, "bfloat16"),
        f"a Gibbs step of {chains:,} chains": gibbs_step(chains),
    }
    squares = {
        dtype: torch.randn(2048, 2048).to(dtype) for dtype in (torch.float32, torch.bfloat16)
    }
    products: dict[str, Products] = {}
    for name, play in measured.items():
        play()
        with Products() as products[name]:
            play()

    def seconds(play: Callable[[], object]) -> float:
        begun = time.process_time()
        play()
        return time.process_time() - begun

    times: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    best = dict.fromkeys(squares, 0.0)
    for _ in range(repetitions):
        for dtype, a in squares.items():
            best[dtype] = max(best[dtype], 2 * 2048**3 / seconds(lambda a=a: torch.mm(a, a)))
        for name, play in measured.items():
            times[name].append((seconds(play), seconds(products[name].take)))
    table = Table("one thread", "ms", "GFLOP", "GFLOP/s", "products / it", "of a square's rate")
    for name, pairs in times.items():
        spent = statistics.median(own for own, _ in pairs)
        share = statistics.median(floor / own for own, floor in pairs)
        flops, dtype = products[name].flops, products[name].found[0][0].dtype
        table.add_row(
            name,
            f"{1e3 * spent:.1f}",
            f"{flops / 1e9:.2f}",
            f"{flops / spent / 1e9:.0f}",
            f"{share:.2f}",
            f"{flops / spent / best[dtype]:.2f}",
        )
    Console().print(table)
    for dtype, rate in best.items():
        print(f"a product of 2048 x 2048, {dtype}: {rate / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    tyro.cli(main)
