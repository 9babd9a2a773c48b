"""How fast `pictures` plays: against its own convolutions, plain torch, and the yardsticks.

    python benchmarks/pictures.py --data SOURCE --side 32 64

Of each game the rounds' convolutions and their derivatives are recorded and played again by
themselves, in the same layout and type: the floor, below which no bookkeeping can bring a round.
"Plain" is the same game with channels first and in float32. All games of a side take turns, a few
rounds each; medians over the turns. WGAN-GP counts the images that D sees.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import tyro
from torch.utils._python_dispatch import TorchDispatchMode

from frenemy import recipes
from frenemy.choices import Precision
from frenemy.data import Dataset, open_dataset
from frenemy.engine import Engine, choose_device
from frenemy.experiment import Recipe, vary
from frenemy.model import set_up

WARM = 3  # rounds before any is recorded or timed

aten = torch.ops.aten


class Recorded(TorchDispatchMode):
    """Remembers each convolution, and each derivative of one, that runs within it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Any]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (aten.convolution, aten.convolution_backward):
            self.calls.append(lambda: func(*args))
        return func(*args, **(kwargs or {}))


class Played:
    """A recipe's last game, round by round.

    Args:
        recipe, data: what is played; engine: how.
        plain: whether tensors stay laid out as torch lays them out.
        compiled: whether the networks are those that `torch.compile` makes.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        engine: Engine,
        *,
        plain: bool = False,
        compiled: bool = False,
    ):
        device = choose_device()
        experiment = set_up(recipe, data, seed=0)
        self.game = experiment.to(device, len(experiment.stages) - 1)
        self._engine, self._step = engine, 0
        for player in self.game.players.values():
            if not plain:
                engine.lay_out(player.net)
            player.arrange()
            if compiled:
                player.net.compile()
        self._streams = experiment.minibatch(self.game, 0, device)
        for _ in range(WARM):
            self.round()
        # a turn that is not played in every round counts as often as it is
        self._period = max(turn.every for turn in self.game.turns)
        with Recorded() as recorded:
            for _ in range(self._period):
                self.round()
        self._floor = recorded.calls

    @property
    def images(self) -> int:
        """That D sees in a round."""
        return self.game.minibatch * self.game.turns[0].steps

    def round(self) -> None:
        self.game.play(self._streams, seed=0, step=self._step, engine=self._engine)
        self._step += 1

    def seconds(self) -> float:
        """Of a round."""
        begun = time.perf_counter()
        for _ in range(self._period):
            self.round()
        return (time.perf_counter() - begun) / self._period

    @torch.no_grad()
    def floor(self) -> float:
        """Seconds of a round's convolutions alone."""
        begun = time.perf_counter()
        for call in self._floor:
            call()
        return (time.perf_counter() - begun) / self._period


def main(
    data: Path,
    side: tuple[int, ...] = (32, 64),
    width: tuple[int, ...] = (16, 32),
    repeats: int = 9,
    precision: Precision = "float32",
    yardsticks: bool = True,
    compiled: bool = False,
) -> None:
    """Times all games, and prints a table.

    Args:
        data: any source of images.
        side: their sizes.
        width: of the networks of `pictures`.
        repeats: turns of each game.
        precision: of `pictures`; the others are played in float32.
        yardsticks: whether DCGAN and WGAN-GP are played as well, which take seconds a round.
        compiled: whether `pictures` is played by compiled networks, too.
    """
    choose_device()
    print(f"{torch.get_num_threads()} threads, {precision}\n")
    print("| game | pixels | images a second | of the floor |\n| --- | --- | --- | --- |")
    for size in side:
        source = open_dataset(data, size=size)
        games: dict[str, Played] = {}
        for w in width:
            recipe = vary(recipes.pictures, width=w)
            calm = vary(recipes.pictures, width=w, augmenting=False)
            games[f"`pictures`, width {w}"] = Played(calm, source, Engine(precision))
            games["with augmentation of all images"] = _augmented(recipe, source, precision)
            games["plain"] = Played(calm, source, Engine(), plain=True)
            if compiled:
                games["compiled"] = Played(calm, source, Engine(precision), compiled=True)
            _report(games, size, repeats)
            games.clear()
        for name in ("dcgan", "wgan_gp") if yardsticks else ():
            games[f"`{name}`"] = Played(recipes.RECIPES[name], source, Engine(), plain=True)
        _report(games, size, repeats)


def _augmented(recipe: Recipe, source: Dataset, precision: Precision) -> Played:
    played = Played(recipe, source, Engine(precision))
    played.game.nets["D"].T.set(0.5)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue] (an `Augmented`)
    return played


def _report(games: dict[str, Played], size: int, repeats: int) -> None:
    rounds: dict[str, list[float]] = {name: [] for name in games}
    floors: dict[str, list[float]] = {name: [] for name in games}
    for _ in range(repeats):
        for name, game in games.items():
            rounds[name].append(game.seconds())
            floors[name].append(game.floor())
    for name, game in games.items():
        shares = [a / b for a, b in zip(floors[name], rounds[name], strict=True)]
        speed = game.images / statistics.median(rounds[name])
        print(f"| {name} | {size} | {speed:,.0f} | {statistics.median(shares):.2f} |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
