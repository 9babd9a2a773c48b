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
from frenemy.best import Validation, best_of, copying, validations_of
from frenemy.checkpoint import Progress
from frenemy.data import Dataset
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
from frenemy.judge.metrics import METRICS
from frenemy.monitor import Monitor, is_measured
from frenemy.pictures import save_picture, shown
from frenemy.remedies import remedy
from frenemy.run import Run, step_of
from frenemy.sampling import columns, generate, noise, reads_images
from frenemy.validation import Validator, is_validated

LOG_EVERY = 50  # rounds
SAMPLES = 64  # images in a sample grid
SAMPLE_SEED = 0  # of their z, the same in every run
CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into checkpoints


class NotFinite(FrenemyError):
    """A loss or a weight became infinite or NaN."""


Watcher = Callable[["Training"], None]
"""Is called after every round, and while a stage finds something in the data before its first."""


class Training:
    """One training in progress, which a watcher may look at.

    Attributes:
        run, experiment: what is trained, and where to.
        progress: rounds and seconds so far.
        doing: what the stage finds in the data before its first round, in words; empty after.
    """

    def __init__(
        self, run: Run, experiment: Experiment, device: torch.device, data: Dataset
    ) -> None:
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
        self._restored = loaded is not None
        self.progress = Progress()
        self.doing = ""
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
        self._found: Sequence[Finding] = diagnose(self._measurements, None, self._arguments)
        self._monitor: Monitor | None = None
        self._validator = self._validator_on(data)
        self._validations = validations_of(run.rows(), run.header.get("keep_best") or "")
        self._keep_best()
        self._saved, self._due = self.progress.step, 0.0
        self.events: Any = None

    def _validator_on(self, data: Dataset) -> Validator | None:
        header = self.run.header
        if header.get("best_features") is None or self.engine.share.rank:
            return None
        last = len(self.experiment.stages) - 1
        seed, features = mix(self.seed, last), header["best_features"]
        game = self.experiment.game
        try:
            return Validator(header["keep_best"], features, game, data, seed, self.device)
        except FrenemyError as error:  # features that are not on this machine
            warnings.warn(f"validation is off from here on: {error}", stacklevel=2)
            return None

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
        alone = self.engine.share.world == 1  # several processes do not plan by the clock
        return alone and self.share_done < 1 and self.progress.step >= at

    @property
    def _is_last_of_stage(self) -> bool:
        """Whether the next round is another stage's, of which rows and health are apart."""
        return self.experiment.stage_of(self.progress.step)[0] != self.progress.stage

    @property
    def _arguments(self) -> Mapping[str, Any]:
        return self.run.header["arguments"]

    @property
    def findings(self) -> Sequence[Finding]:
        """What is going wrong, as far as the stage's game has come."""
        return [*self._found, *self._copying]

    @property
    def _copying(self) -> Sequence[Finding]:
        best = self.run.header.get("best")
        return copying(self._validations, best and best["step"], self._arguments)

    @property
    def outcome(self) -> Outcome:
        """How the stage's game goes, as far as it has come."""
        return outcome(self._measurements, self._arguments, self._copying)

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
        played_before = progress.step
        begun = time.monotonic() - progress.seconds
        self._due = progress.seconds + self.run.header["checkpoint_seconds"]
        while self._goes_on(caught):
            before = progress.stage
            progress.stage, first = self.experiment.stage_of(progress.step)
            if progress.stage != before:  # another game, which is given its time
                self._measurements, self._found, progress.memory = [], [], {}
            stage, seed = self.experiment.stages[progress.stage], mix(self.seed, progress.stage, 1)
            if progress.stage != before or progress.step == played_before:
                self._set_up()
            begun_before = progress.step == 0 and self._restored
            if progress.step == first and not begun_before:
                self._begin(watcher)
            if progress.step == 0:
                if not begun_before:  # there is something to draw by, whatever happens
                    self.save()
                    if stage.game.turns:
                        begun = time.monotonic()  # of playing, whose rate is asked for
                self._draw_samples(stage)
            mirror: bool = self.run.header.get("mirror", False)
            streams = self.experiment.minibatch(stage.game, seed, self.device, mirror=mirror)
            self._recent.append((progress.step, self._round(stage.game, streams, seed, first)))
            if progress.stage != before or progress.step == played_before:
                checkpoint.content(self.experiment, progress.stage)  # refuses what cannot be saved
            progress.step += 1
            progress.seconds = time.monotonic() - begun
            if progress.step % LOG_EVERY == 0 or self._is_last_of_stage:
                self._log(stage)
            ends = self.share_done >= 1
            if is_sample_step(progress.step) or ends:
                self._draw_samples(stage)
            if ends or is_validated(progress.step - first, stage.game.minibatch):
                self._validate(stage, progress.step - first)
            if watcher is not None:
                watcher(self)
            if progress.seconds >= self._due:
                self.save()
        if progress.step > max(played_before, self._saved):
            self.save()

    def _begin(self, watcher: Watcher | None) -> None:
        def tell(what: str) -> None:
            self.doing = what
            if watcher is not None:
                watcher(self)

        self.experiment.begin(self.progress.stage, self.seed, tell)
        self.doing = ""

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
        if not is_measured(step + 1, chains=game.rows is not None):
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
        begun = time.monotonic()
        self._collect()
        game = self.experiment.stages[self.progress.stage].game
        for name, player in game.players.items():
            for key, value in player.state().items():
                if not torch.isfinite(value).all():
                    raise self._not_finite(self.progress.step, name, key)
        if self.events is not None:
            self.events.flush()
        checkpoint.save(self.run, self.experiment, self.progress)
        cost = time.monotonic() - begun
        rest = max(self.run.header["checkpoint_seconds"], cost / CHECKPOINT_SHARE)
        self._saved, self._due = self.progress.step, self.progress.seconds + cost + rest

    def _validate(self, stage: Stage, rounds: int) -> None:
        """Logs what validation images say of the samples; a checkpoint that is the best is kept.

        First the row, then the checkpoint, at last its name as the best: whenever it ends between
        them, the best before is there.
        """
        if self._validator is None or stage is not self.experiment.stages[-1]:
            return
        times = rounds * self.experiment.epochs_per_round(stage.game)
        found = self._validator.of(self.progress.step, times)
        self._validations.append(found)
        self._logged({**found.row, **self._staged()})
        if self._best() is found:
            self.save()
            self._keep_best()

    def _best(self) -> Validation | None:
        """Of the validated rounds: this one, and those whose checkpoints there are."""
        there = {self.progress.step, *map(step_of, self.run.checkpoints())}
        metric = METRICS.get(self.run.header.get("keep_best") or "")
        lower = metric is None or metric.better == "lower"
        return best_of((one for one in self._validations if one.step in there), lower=lower)

    def _keep_best(self) -> None:
        """Names the best checkpoint in `run.json`: after a kill it may be there and not named."""
        best = self._best()
        self.run.name_best(best and {"step": best.step, "value": best.value})

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
            if not record:  # of a game without turns
                continue
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
        progress.sums, progress.counts = {}, {}

    def _staged(self) -> dict[str, int]:
        return {"stage": self.progress.stage} if len(self.experiment.stages) > 1 else {}

    def _measured(self, row: Mapping[str, float]) -> None:
        """Logs a row, with what goes wrong in the game by the measurements up to it."""
        if measured := measurements_of([row]):
            self._measurements += measured
            self._found = diagnose(self._measurements, self._found, self._arguments)
        self._logged(row)

    def _logged(self, row: Mapping[str, float]) -> None:
        found = {"findings": [f.failure for f in self.findings]} if self.findings else {}
        self.run.append({**row, **found})
        if self.events is not None:
            for key in row.keys() - {"step", "epoch", "stage"}:
                self.events.add_scalar(key, row[key], int(row["step"]))

    def _draw_samples(self, stage: Stage) -> None:
        if self.engine.share.rank:
            return
        game, source = stage.game, self.experiment.source
        facts, z = source.facts, noise(stage.game, SAMPLES, SAMPLE_SEED)
        given = source.batch(SAMPLE_SEED, 0, SAMPLES)[0] if reads_images(game, facts) else None
        images = generate(game, facts, z, SAMPLES, seed=SAMPLE_SEED, images=given)
        told = 0 if given is not None or game.conditions is None else len(facts.classes)
        picture = shown(images, columns(told, SAMPLES))
        if (path := self.run.place_of_sample(self.progress.step)) is not None:
            save_picture(picture, path, mark=self.run.mark(self.progress.step))
        if self.events is not None:
            self.events.add_image("samples", picture, self.progress.step)


def kept(run: Run) -> str:
    """What there is of a run that ended before its time, in words."""
    found = run.checkpoints()
    last = f"that of round {step_of(found[0]):,} is kept" if found else "there is none yet"
    return f"checkpoints in {run.path}: {last}"


def way_on(run: Run) -> str:
    """How to go on with it, in words."""
    return f"continue with `frenemy train --resume {shlex.quote(str(run.path))}`"


def is_sample_step(step: int) -> bool:
    """Whether the samples are drawn after that many rounds: ten times a decade."""
    decade = 10 ** math.floor(math.log10(max(step, 1)))
    return step in {round(decade * 10 ** (i / 10)) for i in range(10)}
