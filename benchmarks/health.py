"""Does `frenemy.judge.health` name what ails a game, and leave the well ones alone?

    FRENEMY_DATA=... python benchmarks/health.py --half held-out --out docs/results/health.jsonl

Of the 24 short games of each set, 12 were built to be ill, 4 of each illness, and 12 to be well.
The thresholds were chosen on "tuning"; "held-out" has other data, other seeds and other ways of
being ill; "fresh" has others again, and was written after the rules had last been changed. Plays
one set, prints what was found at each game's end, and the table of confusion.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor, nn

from frenemy.data import Source, open_dataset
from frenemy.game import Game, Minibatch, Player, Prior, Turn, mix
from frenemy.judge.health import FINITE, HEALTH, Illness, Tick, diagnose, ticks_of
from frenemy.judge.modes import ring, sample_mixture, square_grid
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.objectives import OBJECTIVES, ObjectiveName
from frenemy.penalties import r1, r2, wgan_gp
from frenemy.vitals import TICK, Vitals

Half = Literal["tuning", "held-out", "fresh"]
MINIBATCH = 128


# ---- data: points in the plane, or small images


@dataclass(frozen=True)
class Points:
    """A mixture of Gaussians in the plane."""

    centres: Tensor
    sd: float
    shape = (2,)

    def minibatch(self, seed: int) -> Minibatch:
        def draw(stream: int, i: int) -> tuple[Tensor, None]:
            chosen = mix(seed, stream, i)
            x = sample_mixture(centres=self.centres, sd=self.sd, count=MINIBATCH, seed=chosen)
            return x, None

        return draw


@dataclass(frozen=True)
class Pictures:
    """Images, made small."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    def minibatch(self, seed: int) -> Minibatch:
        def draw(stream: int, i: int) -> tuple[Tensor, None]:
            pixels, _ = self.source.batch((seed, stream), i, MINIBATCH)
            return torch.from_numpy(pixels).float().div_(127.5).sub_(1), None

        return draw


Data = Points | Pictures


def real(name: str, size: int) -> Source:
    """A set by its place in the folder that FRENEMY_DATA names."""
    folder = os.environ.get("FRENEMY_DATA")
    if not folder:
        raise SystemExit("set FRENEMY_DATA to a folder with mnist, olivetti, cifar10 and fer2013")
    return open_dataset(Path(folder) / name, size=size).train


# ---- players


def network(*sizes: int, images: tuple[int, ...] | None = None) -> nn.Sequential:
    """A perceptron; with `images`, one that gives images of that shape."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
    layers.pop()
    if images is not None:
        layers += [nn.Sigmoid(), FromUnit((images[0], images[1], images[2]))]
    return nn.Sequential(*layers)


class Critic(nn.Sequential):
    """Gives one logit for each point or image, (B,)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).squeeze(1)


class Shift(nn.Module):
    """G(z) = z + theta, far from the truth at first."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([2.0, 2.0]))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.theta


@dataclass(frozen=True)
class Way:
    """How a game is played: what separates the ill from the well."""

    objective: ObjectiveName = "nonsaturating"
    rate: float = 1e-3
    d_rate: float | None = None
    betas: tuple[float, float] = (0.0, 0.99)
    momentum: float | None = None  # of SGD for G, instead of Adam
    gamma: float = 0.0
    penalty: Literal["r1", "r1+r2", "gp"] = "r1+r2"
    k: int = 1
    g_steps: int = 1  # of G, the other way round
    noise: int = 16
    width: int = 128
    averaging: float | None = None
    head_start: int = 0  # rounds in which D alone plays
    linear: bool = False  # G(z) = z + theta against D(x) = w.x: the game that cycles


def make(data: Data, way: Way, seed: int) -> Game:
    """The game of that way on those data."""
    torch.manual_seed(mix(seed, 0, 2))
    pixels = math.prod(data.shape)
    images = data.shape if len(data.shape) == 3 else None
    if way.linear:
        G, D = Shift(), Critic(nn.Linear(2, 1, bias=False))
    else:
        G = network(way.noise, way.width, way.width, pixels, images=images)
        D = Critic(*([ToUnit()] if images else []), *network(pixels, way.width, way.width, 1))

    def optimiser(net: nn.Module, rate: float, momentum: float | None) -> torch.optim.Optimizer:
        if momentum is not None:
            return torch.optim.SGD(net.parameters(), lr=rate, momentum=momentum)
        return torch.optim.Adam(net.parameters(), lr=rate, betas=way.betas)

    def g_schedule(t: int) -> dict[str, float]:
        return {"lr": 0.0 if t < way.head_start else way.rate}

    terms = OBJECTIVES[way.objective]
    penalties: dict[Any, float] = {
        "r1": {r1: way.gamma}, "r1+r2": {r1: way.gamma, r2: way.gamma}, "gp": {wgan_gp: way.gamma}
    }[way.penalty] if way.gamma else {}  # fmt: skip
    d_rate = way.rate if way.d_rate is None else way.d_rate
    players = {
        "D": Player(D, optimiser(D, d_rate, way.momentum if way.linear else None)),
        "G": Player(
            G, optimiser(G, way.rate, way.momentum), schedule=g_schedule, averaging=way.averaging
        ),
    }
    moves = {terms.d: 1.0, **penalties}
    turns = [Turn({"D": moves}, steps=way.k), Turn({"G": {terms.g: 1.0}}, steps=way.g_steps)]
    return Game(players, turns, Prior("gaussian", way.noise), MINIBATCH)


@dataclass(frozen=True)
class Case:
    """One game, and what is wrong with it, if anything."""

    data: str
    ill: Illness | None
    way: Way


# ---- the games

DATA: dict[str, Callable[[], Data]] = {
    "ring": lambda: Points(ring(8), 0.05),
    "line": lambda: Points(torch.stack([torch.linspace(-3, 3, 7), torch.zeros(7)], 1), 0.1),
    "cloud": lambda: Points(torch.zeros(1, 2), 1.0),
    "digits": lambda: Pictures(open_dataset(None).train),
    "grid": lambda: Points(square_grid(5), 0.05),
    "square": lambda: Points(square_grid(3), 0.1),
    "small cloud": lambda: Points(torch.tensor([[1.0, -1.0]]), 0.5),
    "mnist": lambda: Pictures(real("mnist", 16)),
    "faces": lambda: Pictures(real("olivetti/olivettifaces.mat", 16)),
    "wide ring": lambda: Points(ring(12, 2.0), 0.1),
    "cross": lambda: Points(torch.tensor([[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2]]).float(), 0.2),
    "far cloud": lambda: Points(torch.tensor([[-2.0, 0.5]]), 0.7),
    "objects": lambda: Pictures(real("cifar10", 16)),
    "expressions": lambda: Pictures(real("fer2013", 16)),
}

LOST = Way("minimax", d_rate=1e-3, momentum=0.5)  # plain gradients, of which nothing is left
WIN = Way("pairing", gamma=0.1, averaging=0.999)
CYCLE = Way("wasserstein", rate=0.05, momentum=0.0, noise=2, linear=True)

CASES: dict[Half, list[Case]] = {
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
    ],
    "held-out": [
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
    ],
    "fresh": [
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
    ],
}


def play(case: Case, seed: int, rounds: int) -> list[Tick]:
    """The measurements of every tick; they end where a number is not finite any more."""
    data = DATA[case.data]()
    game, minibatch = make(data, case.way, seed), data.minibatch(seed)
    vitals = Vitals(game, minibatch, seed)
    rows: list[dict[str, float]] = []
    for step in range(rounds):
        if (step + 1) % TICK:
            game.play(minibatch, seed=seed, step=step)
            continue
        record = game.play(minibatch, seed=seed, step=step, observe=vitals.observer(step))
        numbers = {key: value.item() for key, value in {**record, **vitals.look()}.items()}
        if not all(map(math.isfinite, numbers.values())):
            rows.append({"step": step + 1, HEALTH + FINITE: 0.0})
            break
        rows.append({"step": step + 1, **numbers})
    return ticks_of(rows)


def main(half: Half, out: Path, rounds: int = 2000, only: tuple[int, ...] = ()) -> None:
    """Plays the games of one half and prints what was found in each, and how often that was right.

    Args:
        half: tuning, held-out or fresh.
        out: where the findings and measurements go, as JSON lines; games that are there already
            are judged anew, but not played again.
        rounds: of each game.
        only: numbers of the games to play, all if none is given.
    """
    kept = out.read_text("utf-8").splitlines() if out.exists() else []
    played = {row["game"]: row for row in map(json.loads, kept) if row["half"] == half}
    confusion: Counter[tuple[str, str]] = Counter()
    ever = 0
    for i, case in enumerate(CASES[half]):
        if only and i not in only:
            continue
        if i not in played:
            seed = {"tuning": 0, "held-out": 3000, "fresh": 5000}[half] + i
            row = {"half": half, "game": i, "data": case.data, "built": case.ill, "seed": seed}
            row["ticks"] = [_rounded(tick) for tick in play(case, seed, rounds)]
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            played[i] = row
        ticks: list[Tick] = played[i]["ticks"]
        told = [
            f[0].illness if (f := diagnose(ticks[: i + 1])) else WELL for i in range(len(ticks))
        ]
        found = told[-1] if told else WELL
        ever += case.ill is None and set(told) != {WELL}
        confusion[case.ill or WELL, found] += 1
        print(f"{i:2} {case.data:12} built {case.ill or WELL:20} found {found}", flush=True)
    for (built, found), count in sorted(confusion.items()):
        print(f"built {built:20} found {found:20} {count}")
    print(f"well games that were ever accused, if only for a tick: {ever}")


WELL = "well"


def _rounded(tick: Tick) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in tick.items()}


if __name__ == "__main__":
    tyro.cli(main)
