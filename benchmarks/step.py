"""How close one round of the 2014 MNIST game comes to its matrix products alone.

    python benchmarks/step.py

In one process, interleaved: a round of Algorithm 1 as `Game.play` plays it (minibatch 100, k = 1,
float32), the same matrix products alone, a large square product, the same game as a tutorial would
write it, and a round with a look at the game's health. The tutorial's loop is also timed before
anything else, while torch still is as it comes: frenemy's kernels and memory settings hold for a
whole process.
Medians over the repetitions; the ratios are what counts, the milliseconds are this machine's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from frenemy.data import Source
from frenemy.engine import choose_device
from frenemy.experiment import Experiment, vary
from frenemy.monitor import MEASURE_EVERY, Monitor
from frenemy.recipes import mnist2014
from frenemy.sampling import generate, noise

B = 100
G_LAYERS = [(100, 1200), (1200, 1200), (1200, 784)]
D_LAYERS = [(784, 1200), (240, 1200), (240, 1)]


def digits() -> Source:
    """Random images of MNIST's size: what they show does not matter here."""
    images = np.random.default_rng(0).integers(0, 256, (10_000, 1, 28, 28), np.uint8)
    return Source(images, name="random images")


def products_of_one_round() -> list[tuple[Tensor, Tensor]]:
    """The factors of every matrix product that Algorithm 1 needs, k = 1."""
    factors = []

    def product(m: int, k: int, n: int) -> None:
        factors.append((torch.randn(m, k), torch.randn(k, n)))

    def forward(layers: list[tuple[int, int]], batch: int) -> None:
        for n_in, n_out in layers:
            product(batch, n_in, n_out)

    forward(G_LAYERS, B)  # D's turn: G(z), then D on x and G(z)
    forward(D_LAYERS, 2 * B)
    for i, (n_in, n_out) in enumerate(D_LAYERS):
        product(n_out, 2 * B, n_in)  # weights' gradient
        if i > 0:
            product(2 * B, n_out, n_in)  # input's gradient
    forward(G_LAYERS, B)  # G's turn
    forward(D_LAYERS, B)
    for n_in, n_out in D_LAYERS:
        product(B, n_out, n_in)
    for i, (n_in, n_out) in enumerate(G_LAYERS):
        product(n_out, B, n_in)
        if i > 0:
            product(B, n_out, n_in)
    return factors


class PlainMaxout(nn.Module):
    """As a tutorial would write it."""

    def __init__(self, n_in: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, units * pieces)
        self.units, self.pieces = units, pieces

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).view(-1, self.units, self.pieces).max(dim=2).values


def plain_eager_round() -> Callable[[], None]:
    """The same game in the usual eager loop of a tutorial."""
    G = nn.Sequential(
        nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 784)
    )
    G.append(nn.Sigmoid())
    D = nn.Sequential(
        nn.Dropout(0.2),
        PlainMaxout(784, 240, 5),
        nn.Dropout(0.5),
        PlainMaxout(240, 240, 5),
        nn.Dropout(0.5),
        nn.Linear(240, 1),
    )
    d_optimiser = torch.optim.SGD(D.parameters(), lr=0.1, momentum=0.5)
    g_optimiser = torch.optim.SGD(G.parameters(), lr=0.1, momentum=0.5)
    loss = nn.BCEWithLogitsLoss()
    real, ones, zeros = torch.rand(B, 784), torch.ones(B, 1), torch.zeros(B, 1)

    def play() -> None:
        d_optimiser.zero_grad()
        fake = G(torch.rand(B, 100))
        d_loss = loss(D(real), ones) + loss(D(fake.detach()), zeros)
        d_loss.backward()
        d_optimiser.step()
        g_optimiser.zero_grad()
        g_loss = loss(D(G(torch.rand(B, 100))), ones)
        g_loss.backward()
        g_optimiser.step()

    return play


def main(repetitions: int = 11, rounds: int = 10, samples: int = 10_000) -> None:
    """Prints the table.

    Args:
        repetitions: of every measurement, of which the median counts.
        rounds: played in each.
        samples: drawn from G in the measurement of sampling.
    """

    def run(play: Callable[[], object]) -> Callable[[], float]:
        def seconds() -> float:
            begun = time.perf_counter()
            for _ in range(rounds):
                play()
            return (time.perf_counter() - begun) / rounds

        return seconds

    plain = run(plain_eager_round())
    as_torch_comes = statistics.median([plain() for _ in range(repetitions + 1)][1:])

    device = choose_device("cpu")
    source = digits()
    experiment = Experiment(vary(mnist2014, simultaneous=False)(source.facts), source)
    game = experiment.game
    minibatch = experiment.minibatch(game, 0, device)
    factors = products_of_one_round()
    flops = sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in factors)
    a, b = torch.randn(2, 2048, 2048)
    z = [*noise(game, samples, 0)]
    steps = iter(range(10**9))
    monitor = Monitor(game, minibatch, 0)

    def measure() -> None:
        step = next(steps)
        game.play(minibatch, seed=0, step=step, observe=monitor.observer())
        monitor.compare(MEASURE_EVERY * (step + 1))

    measured: dict[str, Callable[[], float]] = {
        "round": run(lambda: game.play(minibatch, seed=0, step=next(steps))),
        "products": run(lambda: [torch.mm(a, b) for a, b in factors]),
        "square": run(lambda: torch.mm(a, b)),
        "plain": plain,
        "sampling": run(lambda: generate(game, source.facts, z, samples)),
        "health": run(measure),
    }
    times: dict[str, list[float]] = {name: [] for name in measured}
    for repetition in range(repetitions + 1):
        for name, seconds in measured.items():
            spent = seconds()
            if repetition > 0:  # the first one warms up
                times[name].append(spent)
    t = {name: statistics.median(values) for name, values in times.items()}
    rate = max(flops / min(times["products"]), 2 * 2048**3 / min(times["square"]))
    g_flops = sum(2 * n_in * n_out for n_in, n_out in G_LAYERS) * samples

    table = Table("one round", "ms", "GFLOP/s", "products / it")
    rows = (
        ("its products alone", t["products"]),
        ("frenemy", t["round"]),
        ("plain eager, on frenemy's settings", t["plain"]),
        ("plain eager, before them", as_torch_comes),
    )
    for name, seconds in rows:
        share = f"{t['products'] / seconds:.2f}"
        table.add_row(name, f"{1e3 * seconds:.1f}", f"{flops / seconds / 1e9:.0f}", share)
    console = Console()
    console.print(table)
    print(f"threads {torch.get_num_threads()}, {flops / 1e9:.2f} GFLOP a round")
    print(
        f"best matrix rate {rate / 1e9:.0f} GFLOP/s; round at {flops / t['round'] / rate:.2f} of it"
    )
    print(
        f"rounds per second: {as_torch_comes / t['round']:.2f} times plain eager's as torch comes, "
        f"{t['plain'] / t['round']:.2f} times on frenemy's settings"
    )
    share = (t["health"] - t["round"]) / (MEASURE_EVERY * t["round"])
    print(f"a measurement every {MEASURE_EVERY} rounds takes {share:.1%} of the time")
    print(f"sampling at {g_flops / t['sampling'] / rate:.2f} of the best matrix rate")


if __name__ == "__main__":
    tyro.cli(main)
