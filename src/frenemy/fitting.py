"""What of a recipe is left open, chosen for the images, the machine and the time."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from frenemy.choices import Precision
from frenemy.choosing import FASTER, Budget, EngineChoice, Open, TooLarge, Trial, fitted
from frenemy.data import Dataset
from frenemy.data.dataset import Unopened
from frenemy.data.look import look
from frenemy.diagnosis import SAMPLES
from frenemy.engine import PLAIN, Engine, Share, world_here
from frenemy.errors import FrenemyError, out_of_memory
from frenemy.experiment import Experiment, Recipe, vary
from frenemy.game import Game, looks_across
from frenemy.memory import memory_left, peak
from frenemy.model import set_up
from frenemy.nets.augment import Augmentation

MINUTES = 30.0  # of a run whose recipe leaves its length open, where nothing says otherwise
TRIED, TRIAL = 4, 1.0  # rounds at least, and seconds, by which a game's speed is measured
LONG = 5.0  # seconds, after which fewer rounds will do
SPARE = 0.6  # of the memory is taken: freed memory lies in pieces, and kernels take some unseen
CLOCKS = "several processes cannot plan by time: give --steps or --epochs"
PRODUCT = 512  # rows and columns of the products that tell whether bfloat16 may be faster


@dataclass(frozen=True)
class Chosen:
    """A recipe of which nothing is open any more.

    Attributes:
        recipe: with its arguments.
        rounds: after so many the run is at its end.
        timed: whether by the clock.
        fit: how it is played.
        reasons: for all that, in lines.
    """

    recipe: Recipe
    rounds: int
    timed: bool
    fit: EngineChoice
    reasons: Sequence[str]

    def because(self, reason: str) -> Self:
        """The same, for one more reason."""
        return replace(self, reasons=[*self.reasons, reason])


def sized(
    recipe: Recipe,
    left: Open,
    data: Unopened,
    limit: Mapping[str, float],
    header: Mapping[str, Any],
    device: torch.device,
) -> tuple[Dataset, Chosen]:
    """The images as large as there is time for, and what is chosen for them: see `chosen`."""
    (first, _), *larger = left.sides(*data.native()).items()
    images = data.open(first)
    choice = chosen(recipe, left, images, limit, header, device)
    for side, rounds in larger:
        too_long = f"no larger size: it would take {rounds:,} rounds"
        if choice.rounds < rounds:  # larger ones are no faster
            return images, choice.because(too_long)
        try:
            others = data.open(side)
            other = chosen(recipe, left, others, limit, header, device)
        except FrenemyError as error:
            return images, choice.because(f"no larger size: {error}")
        if other.rounds < rounds:
            return images, choice.because(f"{too_long}, with time for {other.rounds:,}")
        images, choice = others, other
    return images, choice


def chosen(
    recipe: Recipe,
    left: Open,
    data: Dataset,
    limit: Mapping[str, float],
    header: Mapping[str, Any],
    device: torch.device,
) -> Chosen:
    """What is left open, as the time decides, or the number of rounds or epochs that is given.

    Raises:
        FrenemyError: as `Open.choose`; the images are all alike; or several processes, whose clocks
            differ, have to choose.
    """
    timed = not limit.keys() - {"minutes"}
    if world_here() > 1 and timed:
        raise FrenemyError(CLOCKS)
    remarks = look(data.train)
    minutes = limit.get("minutes", MINUTES)
    room, world = SPARE * memory_left(device), world_here()
    known: list[tuple[Any, EngineChoice, str]] = []

    def fit(arguments: Any) -> tuple[EngineChoice, Experiment]:
        experiment = set_up(vary(recipe, **vars(arguments)), data, header["seed"])
        trial = Rehearsal(experiment, device, mirror=header["mirror"])
        parts = header["parts"] or (1 if world > 1 else None)  # each would see the others' memory
        found = fitted(
            *(trial, room), parts=parts, precision=header["precision"], timed=timed,
            tries_low=lambda: low_is_fast(device),
        )  # fmt: skip
        known.append((arguments, found, in_words(found, trial)))
        return found, experiment

    def rounds(arguments: Any) -> int:
        found, experiment = fit(arguments)
        if "steps" in limit:
            return int(limit["steps"])
        if "epochs" in limit:
            return experiment.rounds(experiment.stages[-1], limit["epochs"])
        assert found.speed is not None  # the clock decides
        return int(60 * minutes * found.speed)

    said = {"steps": "round", "epochs": "epoch", "minutes": "minute"}
    ((unit, number),) = limit.items() if limit else (("minutes", minutes),)
    words = f"{number:,.10g} {said[unit]}{'s' * (number != 1)}"
    choice = left.choose(data.facts, Budget(rounds, words, timed=timed))
    if all(arguments != choice.tried for arguments, _, _ in known):
        fit(choice.arguments)
    _, found, how = next((k for k in known if k[0] == choice.tried), known[-1])
    if timed:
        how += time.strftime("; ends about %H:%M", time.localtime(time.time() + 60 * minutes))
    return Chosen(
        vary(recipe, **vars(choice.arguments)), choice.rounds, timed, found,
        [*choice.reasons, how, *remarks],
    )  # fmt: skip


def in_words(fit: EngineChoice, trial: Trial) -> str:
    """How a game is played, and why so."""
    said = f"in {fit.precision}"
    if fit.speed is not None:
        said = f"{fit.speed:,.1f} rounds a second {said}"
    if fit.gain is not None:
        said += f" (bfloat16 is {fit.gain:.2f} times as fast as float32)"
    if fit.parts > 1:
        alone = ", each normalised separately" if trial.least > 1 else ""
        said += f"; minibatches split into {fit.parts} parts, to save memory{alone}"
    return said


class Rehearsal:
    """A game that is tried: what is played of it is lost.

    Args:
        experiment: of which the last stage's game is tried.
        device: where.
        mirror: as the run has it.
    """

    def __init__(self, experiment: Experiment, device: torch.device, *, mirror: bool) -> None:
        self._experiment, self._device, self._mirror = experiment, device, mirror
        self._game = experiment.to(device, len(experiment.stages) - 1)
        self.players = self._game.players
        self.minibatch = self._game.minibatch
        self.least = 2 if any(map(looks_across, self._game.nets.values())) else 1
        for module in (m for net in self._game.nets.values() for m in net.modules()):
            if isinstance(module, Augmentation):
                module.set(1.0)  # what it may come to

    def fixed(self) -> float:
        """Bytes of all weights, averages and optimisers; of the gradients, which are there twice
        while parts are summed; and of the images that the monitor compares, with its copies.
        """
        self.need(self.least)  # so that the optimisers have begun
        players = self.players.values()
        state = sum(_bytes(player.state().values()) for player in players)
        gradients = max(_bytes(player.theta) for player in players)
        return state + 2 * gradients + 4 * SAMPLES * 4 * math.prod(self._experiment.source.shape)

    def need(self, images: int) -> float:
        """As `Trial` has it: all tensors that are made by a round of so many images."""
        game = copy(self._game)
        game.minibatch = images
        return peak(self._device, lambda: self._play(game, 0, PLAIN))

    def speed(self, parts: int, precision: Precision) -> float:
        """As `Trial` has it: the median of a few rounds counts."""
        engine = Engine(precision, Share(parts=parts))
        for player in self.players.values():
            engine.lay_out(player.net)
            player.arrange()
        seconds = list[float]()
        for step in itertools.count():
            begun = time.perf_counter()
            self._play(self._game, step, engine)
            seconds.append(time.perf_counter() - begun)
            spent = sum(seconds[1:])  # the first one allocates
            if spent > TRIAL and (step >= TRIED or spent > LONG):
                return 1 / statistics.median(seconds[1:])
        raise AssertionError("counting ends")

    def _play(self, game: Game, step: int, engine: Engine) -> None:
        draw = self._experiment.minibatch(game, 0, self._device, mirror=self._mirror)
        gpus = [self._device] if self._device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=gpus):
                record = game.play(draw, seed=0, step=step, engine=engine)
            for value in record.values():
                value.item()  # waits for the device
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            said = "out of memory in a trial round: give a smaller --size, or more --parts"
            raise TooLarge(said) from None


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


@functools.cache
def low_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 is worth a trial: there are units for it, which a product tells."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False

    def seconds(dtype: torch.dtype) -> float:
        a = torch.full((PRODUCT, PRODUCT), 0.1, dtype=dtype)
        best = math.inf
        for _ in range(4):  # the first one chooses its kernel
            begun = time.perf_counter()
            torch.mm(a, a)
            best = min(best, time.perf_counter() - begun)
        return best

    return seconds(torch.float32) > FASTER * seconds(torch.bfloat16)
