"""A game's rounds on a GPU, each the replay of one CUDA graph of `Game.play`.

A round of a small game is a few hundred kernels of some microseconds, which Python begins more
slowly than a GPU ends them: a graph begins them all at once. It is captured anew every `CHUNK`
rounds, for which the images and the noise lie ready and the settings of the optimisers stay as
they are at the first of them. What the networks draw within themselves is seeded before each
round, once; a game of two turns so draws other numbers than `Game.play` alone. On a processor the
rounds are played one by one, by the same code.

It takes games whose optimisers keep no count of their own (gradient descent with momentum), that
play every turn once in each round, and whose players are told no conditions.
"""

from __future__ import annotations

import itertools
from unittest import mock

import torch
from torch import Tensor

from frenemy.engine import Engine, seed_everything
from frenemy.experiment import Experiment, from_pixels
from frenemy.game import Game, mix

CHUNK = 500  # rounds
WARM = 3  # rounds before the first capture, in which optimisers and libraries allocate


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
        self.step = 0
        self._source, self._engine, self._device = experiment.source, engine, device
        self._seed = mix(seed, stage, 1)
        for player in self.game.players.values():
            engine.lay_out(player.net)
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
        turns, size = len(self.game.turns), self.game.minibatch
        numbers = range(self.step, self.step + count)
        seeds = [mix(self._seed, step, 0, 0) for step in numbers]
        pixels = torch.stack(
            [
                torch.from_numpy(self._source.batch((self._seed, t), i, size)[0])
                for i in numbers
                for t in range(turns)
            ]
        ).to(self._device)
        draws = []
        for seed in seeds:
            torch.manual_seed(seed)
            draws += [self.game.prior(size) for _ in range(turns)]
        x = from_pixels(pixels).unflatten(0, (count, turns))
        z = torch.stack(draws).to(self._device).unflatten(0, (count, turns))
        now_x, now_z = x[0].clone(), z[0].clone()
        record: dict[str, Tensor] = {}
        if self._device.type != "cuda":
            for k in range(count):
                now_x.copy_(x[k]), now_z.copy_(z[k])
                seed_everything(seeds[k], self._device)
                record = self._round(self.game, now_x, now_z)
                self.step += 1
            return record
        done = 0
        if self.step == 0:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for done in range(min(WARM, count)):
                    now_x.copy_(x[done]), now_z.copy_(z[done])
                    seed_everything(seeds[done], self._device)
                    record = self._round(self.game, now_x, now_z)
            torch.cuda.current_stream().wait_stream(stream)
            done = min(WARM, count)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            record = self._round(self.game, now_x, now_z)
        for k in range(done, count):
            now_x.copy_(x[k]), now_z.copy_(z[k])
            torch.cuda.manual_seed(seeds[k])
            graph.replay()
        self.step += count
        return {name: value.clone() for name, value in record.items()}

    def _round(self, game: Game, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        """`Game.play` on these images and this noise, (turns, B, ...), seeded from outside."""
        noise = itertools.chain(z)
        with (
            mock.patch.object(game, "prior", lambda count: next(noise)),
            mock.patch("frenemy.game.seed_everything", lambda *_: None),
        ):
            return game.play(lambda t, i: (x[t], None), seed=0, step=self.step, engine=self._engine)
