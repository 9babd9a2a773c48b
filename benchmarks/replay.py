"""A game's rounds on a GPU, each the replay of one CUDA graph of `Game.play`.

A round of a small game is a few hundred kernels of some microseconds, which Python begins more
slowly than a GPU ends them: a graph begins them all at once. It is captured anew every `CHUNK`
rounds, for which the images lie ready and the settings of the optimisers stay as they are at the
first of them. What is drawn, z too, comes from the device's generator, which is seeded once before
each round: other numbers than `Game.play` alone would draw. On a processor the rounds are played
one by one, by the same code.

It takes games that play every turn once in each round, and whose players are told no conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor

from frenemy.engine import Engine, seed_everything
from frenemy.experiment import Experiment, from_pixels
from frenemy.game import mix

CHUNK = 500  # rounds
WARM = 3  # rounds before the first capture, in which optimisers and libraries allocate


@contextmanager
def _beside(device: torch.device) -> Iterator[None]:
    """A stream of its own, as warming up for a capture asks."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)


class Replay:
    """The rounds of one stage.

    Args:
        experiment: whose stage is begun here, and played on its source.
        stage: its number; seed: of the run.
        device: where.
        engine: how its arithmetic is done.
    """

    def __init__(
        self, experiment: Experiment, stage: int, seed: int, device: torch.device, engine: Engine
    ) -> None:
        self.game = experiment.to(device, stage)
        self.step, self._prior = 0, self.game.prior
        self._source, self._engine, self._device = experiment.source, engine, device
        self._seed = mix(seed, stage, 1)
        for player in self.game.players.values():
            engine.lay_out(player.net)
            for group in player.optimiser.param_groups:
                if "capturable" in group:  # Adam, which counts its steps
                    group["capturable"] = device.type == "cuda"
        experiment.begin(stage, seed)
        assert all(turn.steps == turn.every == 1 for turn in self.game.turns)
        assert self.game.conditions is None

    def play(self, rounds: int) -> dict[str, Tensor]:
        """Plays so many rounds more, and returns what the last of them recorded."""
        record, end = {}, self.step + rounds
        while self.step < end:
            record = self._chunk(min(CHUNK, end - self.step))
        return record

    def _chunk(self, count: int) -> dict[str, Tensor]:
        images = self._images(range(self.step, self.step + count))
        seeds = [mix(self._seed, step, 0, 0) for step in range(self.step, self.step + count)]
        x, done, record = images[0].clone(), 0, {}
        alone = count if self._device.type != "cuda" else 0 if self.step else min(WARM, count)
        with _beside(self._device):
            for done in range(alone):
                x.copy_(images[done])
                seed_everything(seeds[done], self._device)
                record = self._round(x)
        if alone < count:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                record = self._round(x)
            for k in range(alone, count):
                x.copy_(images[k])
                torch.cuda.manual_seed(seeds[k])
                graph.replay()
        self.step += count
        return {name: value.clone() for name, value in record.items()}

    def _images(self, steps: range) -> Tensor:
        """What each turn of these rounds sees, (rounds, turns, B, C, H, W)."""
        turns, size = len(self.game.turns), self.game.minibatch
        pixels = [
            torch.from_numpy(self._source.batch((self._seed, t), i, size)[0])
            for i in steps
            for t in range(turns)
        ]
        return from_pixels(torch.stack(pixels).to(self._device)).unflatten(0, (len(steps), turns))

    def _round(self, x: Tensor) -> dict[str, Tensor]:
        """`Game.play` on images (turns, B, C, H, W), seeded from outside."""
        with (
            mock.patch.object(self.game, "prior", self._noise),
            mock.patch("frenemy.game.seed_everything", lambda *_: None),
        ):
            return self.game.play(
                lambda t, i: (x[t], None), seed=0, step=self.step, engine=self._engine
            )

    def _noise(self, count: int) -> Tensor:
        """What the prior draws, (count, size), on the device."""
        prior, edge = self._prior, math.sqrt(3)
        z = torch.empty(count, prior.size, device=self._device)
        return z.normal_() if prior.kind == "gaussian" else z.uniform_(-edge, edge)
