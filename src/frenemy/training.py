"""Training: the loop around `Game.play`, with its log, pictures, checkpoints and stopping."""

from __future__ import annotations

import functools
import math
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from frenemy import checkpoint
from frenemy.checkpoint import Progress
from frenemy.data import Dataset, open_dataset
from frenemy.engine import DeviceName, choose_device
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Recipe, Stage
from frenemy.game import mix
from frenemy.model import generate, noise, recipe_of, reopen
from frenemy.pictures import enlarge, grid, save_picture
from frenemy.run import Run

LOG_EVERY = 50  # rounds
SAMPLES = 64  # images in a sample grid
SAMPLE_SEED = 0  # of their z, the same in every run
CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into checkpoints


class NotFinite(FrenemyError):
    """A loss or a weight became infinite or NaN."""


class Interrupted(FrenemyError):
    """Ctrl-C or SIGTERM: the round was finished and saved.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


Watcher = Callable[["Training"], None]
"""Is called after every round."""


def train(
    recipe: Recipe,
    data: Dataset | None = None,
    *,
    out: Path | str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: DeviceName = "auto",
    tensorboard: bool = False,
    checkpoint_seconds: float = 60.0,
    watcher: Watcher | None = None,
) -> Run:
    """Plays a recipe's game and returns the run.

    Args:
        recipe: such as `recipes.mnist2014`, or a `functools.partial` of it with other arguments.
        data: from `open_dataset`; the embedded digits if None.
        out: the run's directory, which must not hold one yet; `runs/RECIPE` with a number if None.
        steps, epochs, minutes: when to stop, at most one of them; else where the recipe says.
        seed: of everything random. The same seed gives the same run, bit for bit.
        device: where to compute.
        tensorboard: also write TensorBoard events into the run.
        checkpoint_seconds: the least time between checkpoints.
        watcher: is called after every round.

    Raises:
        FrenemyError: the data do not fit the recipe, the directory is taken or not writable, or a
            loss or weight became infinite or NaN (`NotFinite`). The run keeps its last checkpoint.
        Interrupted: Ctrl-C or SIGTERM; the run was saved.
    """
    if sum(limit is not None for limit in (steps, epochs, minutes)) > 1:
        raise FrenemyError("give one of --steps, --epochs and --minutes")
    data = open_dataset(None) if data is None else data
    experiment = build(recipe, data, seed)
    name, arguments = _name(recipe)
    if epochs is not None:
        steps = experiment.rounds(Stage(experiment.game, epochs))
    elif steps is None and minutes is None:
        steps = sum(experiment.rounds(stage) for stage in experiment.stages)
    header = {
        "recipe": name,
        "arguments": arguments,
        "seed": seed,
        "target": {"minutes": minutes} if minutes is not None else {"steps": steps},
        "checkpoint_seconds": checkpoint_seconds,
        "tensorboard": tensorboard,
        "data": {
            **data.arguments,
            "digest": data.train.digest,
            "shape": list(data.shape),
            "description": data.description,
        },
        "versions": {
            "frenemy": version("frenemy"),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
        "threads": torch.get_num_threads(),
    }
    run = Run.create(Path(out) if out is not None else _free_name(name), header)
    return _train(run, experiment, device, watcher)


def resume(
    path: Path | str,
    *,
    recipe: Recipe | None = None,
    device: DeviceName = "auto",
    watcher: Watcher | None = None,
) -> Run:
    """Goes on with a run from its newest undamaged checkpoint, to the end that it was begun for.

    What comes out is bit-identical to a run that was never stopped. A run without a checkpoint
    starts again.

    Args:
        path: the run's directory.
        recipe: the run's recipe, where it is not one of frenemy's own.
        device, watcher: as for `train`.

    Raises:
        FrenemyError: as `train`; and no run there, its data gone or changed, another process
            training it, or all its checkpoints damaged.
    """
    run = Run.open(Path(path))
    experiment = build(recipe or recipe_of(run), reopen(run), run.header["seed"])
    return _train(run, experiment, device, watcher)


def build(recipe: Recipe, data: Dataset, seed: int) -> Experiment:
    """The recipe's experiment; its initial weights are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0, 2))  # no stage's seed
        return recipe(data)


def _name(recipe: Recipe) -> tuple[str, dict[str, Any]]:
    if isinstance(recipe, functools.partial):
        return recipe.func.__name__, dict(recipe.keywords)
    return recipe.__name__, {}


def _free_name(recipe: str) -> Path:
    path = Path("runs") / recipe
    count = 1
    while path.exists():
        count += 1
        path = path.with_name(f"{recipe}-{count}")
    return path


def _train(run: Run, experiment: Experiment, device: DeviceName, watcher: Watcher | None) -> Run:
    with run.lock(), torch.random.fork_rng(), _signals() as caught:
        torch.set_num_threads(run.header["threads"])  # sums in another order differ in last bits
        training = Training(run, experiment, choose_device(device))
        training.play(caught, watcher)
    return run


class Training:
    """One training in progress, which a watcher may look at.

    Attributes:
        run, experiment: what is trained, and where to.
        progress: rounds and seconds so far.
        row: the latest row of the log.
    """

    def __init__(self, run: Run, experiment: Experiment, device: torch.device) -> None:
        self.run = run
        self.experiment = experiment
        self.device = device
        self.seed: int = run.header["seed"]
        self.row: Mapping[str, float] = {}
        self._recent: list[tuple[int, dict[str, Tensor]]] = []
        loaded = checkpoint.load(run)
        self.progress = Progress()
        if loaded is not None:
            tensors, self.progress = loaded
            checkpoint.restore(experiment.stages[self.progress.stage].game, tensors)
        run.rewind(self.progress.step if loaded is not None else -1)
        for stage in experiment.stages:
            stage.game.to(device)
        self._events = _open_events(run, self.progress.step)

    @property
    def share_done(self) -> float:
        """How much of the target has been reached, in [0, 1]."""
        target, done = self.run.header["target"], self.progress
        if "minutes" in target:
            return min(1.0, done.seconds / (60 * target["minutes"]))
        return min(1.0, done.step / target["steps"])

    def play(self, caught: list[int], watcher: Watcher | None) -> None:
        """Plays to the target, or until a signal is caught."""
        progress = self.progress
        saved_at, save_cost, played_before = progress.seconds, 0.0, progress.step
        begun = time.monotonic() - progress.seconds
        interval: float = self.run.header["checkpoint_seconds"]
        if progress.step == 0:
            self._draw_samples(self.experiment.stages[0])
        while self.share_done < 1 and not caught:
            progress.stage, first = self.experiment.stage_of(progress.step)
            stage, seed = self.experiment.stages[progress.stage], mix(self.seed, progress.stage, 1)
            streams = self.experiment.minibatch(stage.game, seed, self.device)
            record = stage.game.play(streams, seed=seed, step=progress.step - first)
            self._recent.append((progress.step, record))
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
        if self.share_done < 1:
            raise Interrupted(
                f"stopped after round {progress.step:,} and saved: "
                f"go on with `frenemy train --resume {self.run.path}`",
                caught[0],
            )

    def save(self) -> None:
        """Writes a checkpoint, after a check that every weight is finite."""
        self._collect()
        game = self.experiment.stages[self.progress.stage].game
        for name, player in game.players.items():
            for key, value in player.net.state_dict().items():
                if not torch.isfinite(value).all():
                    raise NotFinite(self._not_finite(self.progress.step, name, f"weight {key}"))
        checkpoint.save(self.run, game, self.progress)

    def _not_finite(self, step: int, player: str, what: str) -> str:
        kept = self.run.checkpoints()
        last = (
            f"the checkpoint of round {int(kept[0].name.split('-')[0]):,} is kept"
            if kept
            else ("there is no checkpoint yet")
        )
        return (
            f"round {step:,}: {player}'s {what} is not finite; {last} in {self.run.path}: "
            "try a lower --rate"
        )

    def _collect(self) -> None:
        """Adds the recent rounds' records to the sums of the row to come."""
        sums, counts = self.progress.sums, self.progress.counts
        for step, record in self._recent:
            numbers = torch.stack(list(record.values())).tolist()
            for key, number in zip(record, numbers, strict=True):
                if not math.isfinite(number):
                    player, _, term = key.rpartition("/")
                    raise NotFinite(self._not_finite(step, player or "D", f"term {term}"))
                sums[key] = sums.get(key, 0.0) + number
                counts[key] = counts.get(key, 0) + 1
        self._recent.clear()

    def _log(self, stage: Stage) -> None:
        self._collect()
        progress = self.progress
        epoch = progress.step * self.experiment.epochs_per_round(stage.game)
        means = {key: total / progress.counts[key] for key, total in progress.sums.items()}
        self.row = {"step": progress.step, "epoch": round(epoch, 6), **means}
        self.run.log(self.row)
        if self._events is not None:
            for key, value in means.items():
                self._events.add_scalar(key, value, progress.step)
        progress.sums, progress.counts = {}, {}

    def _draw_samples(self, stage: Stage) -> None:
        images = generate(stage.game, noise(stage.game, SAMPLES, SAMPLE_SEED))
        path = self.run.path / "samples" / f"{self.progress.step:08d}.png"
        save_picture(grid(enlarge(images)), path)


def is_sample_step(step: int) -> bool:
    """Whether the samples are drawn after that many rounds: ten times a decade."""
    decade = 10 ** math.floor(math.log10(max(step, 1)))
    return step in {round(decade * 10 ** (i / 10)) for i in range(10)}


def _open_events(run: Run, step: int) -> Any:
    if not run.header.get("tensorboard"):
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FrenemyError(
            "--tensorboard needs TensorBoard: pip install 'frenemy[tensorboard]'"
        ) from None
    return SummaryWriter(str(run.path / "events"), purge_step=step + 1)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Catches Ctrl-C and SIGTERM: their numbers are appended to the list instead of acting."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, _: types.FrameType | None) -> None:
        if caught:  # the second one does not wait for the round
            raise KeyboardInterrupt
        caught.append(number)

    before = {n: signal.signal(n, catch) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
