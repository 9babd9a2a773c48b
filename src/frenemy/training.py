"""The loop around `Game.play`, with its log, pictures, checkpoints and stopping."""

from __future__ import annotations

import math
import shlex
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from frenemy import checkpoint
from frenemy.checkpoint import Progress
from frenemy.diagnosis import (
    FINITE,
    HEALTH,
    Finding,
    Outcome,
    diagnose,
    measurements_of,
    outcome,
)
from frenemy.engine import Engine, share_here
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Stage
from frenemy.game import Game, Minibatch, mix
from frenemy.interrupts import Interrupted
from frenemy.monitor import Monitor, is_measured
from frenemy.pictures import save_picture, shown
from frenemy.remedies import remedy
from frenemy.run import Run, step_of
from frenemy.sampling import columns, generate, noise, reads_images

LOG_EVERY = 50  # rounds
SAMPLES = 64  # images in a sample grid
SAMPLE_SEED = 0  # of their z, the same in every run
CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into checkpoints


class NotFinite(FrenemyError):
    """A loss or a weight became infinite or NaN."""


Watcher = Callable[["Training"], None]
"""Is called after every round."""


class Training:
    """One training in progress, which a watcher may look at.

    Attributes:
        run, experiment: what is trained, and where to.
        progress: rounds and seconds so far.
        findings: what is going wrong, as far as the stage's game has come.
    """

    def __init__(self, run: Run, experiment: Experiment, device: torch.device) -> None:
        self.run = run
        self.experiment = experiment
        self.device = device
        self.seed: int = run.header["seed"]
        self.engine = Engine(
            run.header.get("precision", "float32"), share_here(run.header.get("parts", 1))
        )
        self._row: Mapping[str, float] = {}
        self._recent: list[tuple[int, Mapping[str, Tensor]]] = []
        loaded = checkpoint.load(run)
        self.progress = Progress()
        if loaded is not None:
            tensors, self.progress = loaded
            checkpoint.restore(experiment, self.progress.stage, tensors)
        elif run.rows():
            warnings.warn(
                f"{run.path} has no checkpoint: it starts again from round 0", stacklevel=2
            )
        self.engine.share.any(False)  # all have read what the first process rewinds now
        run.rewind(self.progress.step if loaded is not None else -1)
        now = self.progress.stage
        self._measurements = measurements_of(
            row for row in run.rows() if row.get("stage", 0) == now
        )
        self.findings: Sequence[Finding] = diagnose(self._measurements, None, self._arguments)
        self._monitor: Monitor | None = None
        self.events: Any = None

    @property
    def share_done(self) -> float:
        """How much of the target has been reached, in [0, 1]."""
        target, done = self.run.header["target"], self.progress
        if "minutes" in target:
            return min(1.0, done.seconds / (60 * target["minutes"]))
        return min(1.0, done.step / target["steps"])

    @property
    def is_due(self) -> bool:
        """Whether it is time to set the end anew."""
        at = self.run.header.get("replan", {}).get("step", math.inf)
        return self.share_done < 1 and self.progress.step >= at

    @property
    def _arguments(self) -> Mapping[str, Any]:
        return self.run.header["arguments"]

    @property
    def outcome(self) -> Outcome:
        """How the stage's game goes, as far as it has come."""
        return outcome(self._measurements, self._arguments)

    def play(self, caught: list[int], watcher: Watcher | None) -> None:
        """Plays to the target, or until a signal is caught; `run.json` keeps what was found."""
        played_before = self.progress.step
        try:
            self._play(caught, watcher)
        except BaseException:
            with suppress(FrenemyError):  # a full disk, say: the first failure is the one to tell
                self._keep_findings(played_before)
            raise
        self._keep_findings(played_before)
        if caught and self.share_done < 1:
            raise Interrupted(
                f"stopped after round {self.progress.step:,}, all saved: {way_on(self.run)}",
                caught[0],
            )

    def _keep_findings(self, played_before: int) -> None:
        if self.progress.step > played_before:
            now = self.outcome
            self.run.update(
                findings=[asdict(finding) for finding in self.findings],
                health={"word": now.word, "sentence": now.sentence},
            )

    def _play(self, caught: list[int], watcher: Watcher | None) -> None:
        progress = self.progress
        saved_at, save_cost, played_before = progress.seconds, 0.0, progress.step
        begun = time.monotonic() - progress.seconds
        interval: float = self.run.header["checkpoint_seconds"]
        while self._goes_on(caught):
            before = progress.stage
            progress.stage, first = self.experiment.stage_of(progress.step)
            if progress.stage != before:  # another game, which is given its time
                self._measurements, self.findings, progress.memory = [], [], {}
            stage, seed = self.experiment.stages[progress.stage], mix(self.seed, progress.stage, 1)
            if progress.stage != before or progress.step == played_before:
                self._set_up()
            if progress.step == first:
                self.experiment.begin(progress.stage, self.seed)
            if progress.step == 0:
                self._draw_samples(stage)
            mirror: bool = self.run.header.get("mirror", False)
            streams = self.experiment.minibatch(stage.game, seed, self.device, mirror=mirror)
            self._recent.append((progress.step, self._round(stage.game, streams, seed, first)))
            if progress.stage != before or progress.step == played_before:
                checkpoint.content(self.experiment, progress.stage)  # refuses what cannot be saved
            progress.step += 1
            progress.seconds = time.monotonic() - begun
            if progress.step % LOG_EVERY == 0:
                self._log(stage)
            if is_sample_step(progress.step) or self.share_done >= 1:
                self._draw_samples(stage)
            if watcher is not None:
                watcher(self)
            due = saved_at + max(interval, save_cost / CHECKPOINT_SHARE)
            if progress.seconds >= due:
                self.save()
                saved_at = time.monotonic() - begun
                save_cost = saved_at - progress.seconds
        if progress.step > played_before:
            self.save()

    def _set_up(self) -> None:
        """Makes the stage's game ready, and those before it, whose networks it may use."""
        now = self.progress.stage
        self.experiment.to(self.device, now)
        for stage in self.experiment.stages[: now + 1]:
            for player in stage.game.players.values():
                self.engine.lay_out(player.net)
                player.arrange()

    def _goes_on(self, caught: list[int]) -> bool:
        """As the first process says: clocks differ. A signal to any of them stops all."""
        share = self.engine.share
        at_end = share.rank == 0 and (self.share_done >= 1 or self.is_due)
        return not share.any(at_end or bool(caught))

    def _round(self, game: Game, streams: Minibatch, seed: int, first: int) -> Mapping[str, Tensor]:
        """Plays one round, and measures how the game is going if it is time to."""
        step = self.progress.step - first
        if not is_measured(step + 1):
            return game.play(streams, seed=seed, step=step, engine=self.engine)
        if self._monitor is None or self._monitor.game is not game:
            self._monitor = Monitor(game, streams, seed, self.progress.memory)
        observe = self._monitor.observer()
        record = game.play(streams, seed=seed, step=step, observe=observe, engine=self.engine)
        found = self._monitor.compare(step + 1)
        self.progress.memory = self._monitor.memory
        return {**record, **found}

    def save(self) -> None:
        """Writes a checkpoint, after a check that all weights and optimiser states are finite."""
        self._collect()
        game = self.experiment.stages[self.progress.stage].game
        for name, player in game.players.items():
            for key, value in player.state().items():
                if not torch.isfinite(value).all():
                    raise self._not_finite(self.progress.step, name, key)
        if self.events is not None:
            self.events.flush()
        checkpoint.save(self.run, self.experiment, self.progress)

    def _not_finite(self, step: int, player: str, what: str) -> NotFinite:
        """Logs the end of the game as a measurement, and says what happened."""
        with suppress(FrenemyError):  # as in `play`
            self._measured({"step": step, **self._staged(), HEALTH + FINITE: 0.0})
        return NotFinite(
            f"round {step:,}: {player}'s {what} is not finite: try "
            f"{remedy('non-convergence', self._arguments)} ({kept(self.run)})"
        )

    def _collect(self) -> None:
        """Adds the recent rounds' records to the sums of the row to come."""
        sums, counts = self.progress.sums, self.progress.counts
        for step, record in self._recent:
            numbers = torch.stack([value.to(self.device) for value in record.values()]).tolist()
            wrong = [k for k, n in zip(record, numbers, strict=True) if not math.isfinite(n)]
            wrong = [key for key in wrong if not key.startswith(HEALTH)]  # says nothing new
            if wrong:
                player, _, term = min(wrong, key=lambda k: "/" not in k).rpartition("/")
                raise self._not_finite(step + 1, player or "D", f"term {term}")
            for key, number in zip(record, numbers, strict=True):
                if not math.isfinite(number):
                    continue
                sums[key] = sums.get(key, 0.0) + number
                counts[key] = counts.get(key, 0) + 1
        self._recent.clear()

    def _means(self) -> dict[str, float]:
        """Of everything measured since the last row of the log."""
        return {key: total / self.progress.counts[key] for key, total in self.progress.sums.items()}

    @property
    def latest(self) -> Mapping[str, float]:
        """The last row of the log; before there is one, the means of what has been played."""
        if self._row:
            return self._row
        self._collect()
        return self._means()

    def _log(self, stage: Stage) -> None:
        self._collect()
        progress = self.progress
        epoch = progress.step * self.experiment.epochs_per_round(stage.game)
        means = self._means()
        self._row = {"step": progress.step, "epoch": round(epoch, 6), **self._staged(), **means}
        self._measured(self._row)
        if self.events is not None:
            for key, value in means.items():
                self.events.add_scalar(key, value, progress.step)
        progress.sums, progress.counts = {}, {}

    def _staged(self) -> dict[str, int]:
        return {"stage": self.progress.stage} if len(self.experiment.stages) > 1 else {}

    def _measured(self, row: Mapping[str, float]) -> None:
        """Logs a row, with what goes wrong in the game by the measurements up to it."""
        if measured := measurements_of([row]):
            self._measurements += measured
            self.findings = diagnose(self._measurements, self.findings, self._arguments)
        found = {"findings": [f.failure for f in self.findings]} if self.findings else {}
        self.run.log({**row, **found})

    def _draw_samples(self, stage: Stage) -> None:
        if self.engine.share.rank:
            return
        game, source = stage.game, self.experiment.source
        facts, z = source.facts, noise(stage.game, SAMPLES, SAMPLE_SEED)
        given = source.batch(SAMPLE_SEED, 0, SAMPLES)[0] if reads_images(game, facts) else None
        images = generate(game, facts, z, SAMPLES, seed=SAMPLE_SEED, images=given)
        path = self.run.path / "samples" / f"{self.progress.step:08d}.png"
        told = 0 if given is not None or game.conditions is None else len(facts.classes)
        save_picture(shown(images, columns(told, SAMPLES)), path)


def kept(run: Run) -> str:
    """What there is of a run that ended before its time, in words."""
    found = run.checkpoints()
    last = f"that of round {step_of(found[0]):,} is kept" if found else "there is none yet"
    return f"checkpoints in {run.path}: {last}"


def way_on(run: Run) -> str:
    """How to go on with it, in words."""
    return f"go on with `frenemy train --resume {shlex.quote(str(run.path))}`"


def is_sample_step(step: int) -> bool:
    """Whether the samples are drawn after that many rounds: ten times a decade."""
    decade = 10 ** math.floor(math.log10(max(step, 1)))
    return step in {round(decade * 10 ** (i / 10)) for i in range(10)}
