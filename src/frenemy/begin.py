"""Training: a run is begun, or gone on with."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch

from frenemy import recipes
from frenemy.choices import DeviceName
from frenemy.data import Dataset, open_dataset
from frenemy.engine import choose_device
from frenemy.errors import FrenemyError, at_least, whole
from frenemy.experiment import Experiment, Recipe
from frenemy.interrupts import Interrupted, caught_signals
from frenemy.model import recipe_of, reopen, set_up
from frenemy.run import Run
from frenemy.training import Training, Watcher, kept, way_on

MOST = 1e12  # rounds, epochs or minutes


def train(
    recipe: Recipe,
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: DeviceName = "auto",
    tensorboard: bool = False,
    checkpoint_seconds: float = 60.0,
    keep_checkpoints: int = 2,
    watcher: Watcher | None = None,
) -> Run:
    """Plays a recipe's game and returns the run.

    Torch's settings of the processor are made faster for the whole process, and stay so: see
    `frenemy.engine.prepare_processor`.

    Args:
        recipe: such as `recipes.mnist2014`, or a `functools.partial` of it with other arguments.
        data: from `open_dataset`, or what that takes; the embedded digits if None.
        out: the run's directory, which must not hold one yet; `runs/RECIPE` with a number if None.
        steps, epochs, minutes: when to stop, at most one of them; else where the recipe says. All
            stages count: a recipe with a preparing stage spends its first rounds there.
        seed: of everything random. On as many threads, which the run records, the same seed gives
            the same run, bit for bit.
        device: where to compute.
        tensorboard: also write TensorBoard events into the run.
        checkpoint_seconds: the least time between checkpoints.
        keep_checkpoints: how many are kept, the newest; two at least, should one be damaged.
        watcher: is called after every round.

    Raises:
        FrenemyError: the data do not fit the recipe, the directory is taken or not writable, or a
            loss or weight became infinite or NaN (`NotFinite`). The run keeps its last checkpoint.
        Interrupted: Ctrl-C or SIGTERM; the run was saved, unless a second one stopped it at once.
    """
    planned = plan(
        recipe,
        data,
        out=out,
        steps=steps,
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        device=device,
        tensorboard=tensorboard,
        checkpoint_seconds=checkpoint_seconds,
        keep_checkpoints=keep_checkpoints,
    )
    return planned.play(watcher)


@dataclass(frozen=True)
class Plan:
    """A training that may begin.

    Attributes:
        run: where to, of which nothing is written yet.
        experiment: what is played; device: where.
        writer: of TensorBoard events, if they are wanted.
    """

    run: Run
    experiment: Experiment
    device: torch.device
    writer: EventWriter | None

    def play(self, watcher: Watcher | None = None) -> Run:
        """Makes the run and plays it."""
        return _train(self.run, self.experiment, self.device, self.writer, watcher, begin=True)


def plan(
    recipe: Recipe,
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: DeviceName = "auto",
    tensorboard: bool = False,
    checkpoint_seconds: float = 60.0,
    keep_checkpoints: int = 2,
) -> Plan:
    """What `train` does before it writes anything: all that it refuses is refused here.

    Args and Raises: as `train`.
    """
    limit = _limit(steps=steps, epochs=epochs, minutes=minutes)
    seed = whole(seed=seed)
    keep_checkpoints = whole(keep_checkpoints=keep_checkpoints)
    at_least(0, seed=seed, checkpoint_seconds=checkpoint_seconds)
    at_least(2, keep_checkpoints=keep_checkpoints)
    where = choose_device(device)
    writer = _event_writer() if tensorboard else None
    data = data if isinstance(data, Dataset) else open_dataset(data)
    experiment = set_up(recipe, data, seed)
    name, arguments = _name(recipe)
    header = {
        "recipe": name,
        "arguments": arguments,
        "seed": seed,
        "target": _target(limit, experiment),
        "device": where.type,
        "threads": torch.get_num_threads(),
        "checkpoint_seconds": checkpoint_seconds,
        "keep_checkpoints": keep_checkpoints,
        "tensorboard": tensorboard,
        "data": {
            **data.arguments,
            "digest": data.train.digest,
            "shape": list(data.shape),
            "description": data.description,
        },
        "versions": _versions(),
    }
    run = Run(Path(out) if out is not None else _free_name(name), header)
    run.check_new()
    return Plan(run, experiment, where, writer)


def resume(
    path: Path | str,
    *,
    recipe: Recipe | None = None,
    data: Dataset | Path | str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    device: DeviceName | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Goes on with a run from its newest undamaged checkpoint, to its end or another.

    What comes out is bit-identical to a run that was never stopped. A run without a checkpoint
    starts again.

    Args:
        path: the run's directory.
        recipe: the run's recipe, where it is not one of frenemy's own.
        data: the images that it was begun on, where they came from memory, or where they are now.
        steps, epochs, minutes: a new end, counted from the run's beginning, at most one of them;
            else the one that it was begun for.
        device: where to compute, if not where the run was begun, which bit-identity needs.
        watcher: is called after every round.

    Raises:
        FrenemyError: as `train`; and no run there, its data gone or changed, another process
            training it, or all its checkpoints damaged.
    """
    limit = _limit(steps=steps, epochs=epochs, minutes=minutes)
    run = Run.open(Path(path))
    where = choose_device(device or run.header["device"])
    began = {"device": run.header["device"], **run.header["versions"]}
    now = {"device": where.type, **_versions()}
    if changed := [f"{name} {began.get(name)}" for name in now if began.get(name) != now[name]]:
        warnings.warn(
            f"{run.path} was begun on {', '.join(changed)}: its last bits may differ from here on",
            stacklevel=2,
        )
    writer = _event_writer() if run.header["tensorboard"] else None
    experiment = set_up(recipe or recipe_of(run), _reopen(run, data), run.header["seed"])
    if limit:
        run.header["target"] = _target(limit, experiment)
    return _train(run, experiment, where, writer, watcher)


def _versions() -> dict[str, str]:
    """Of all that the numbers of a run come from."""
    return {
        "frenemy": version("frenemy"),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def _reopen(run: Run, data: Dataset | Path | str | None) -> Dataset:
    recorded = run.header["data"]
    if isinstance(data, Path | str):
        recorded["path"], data = str(Path(data).resolve()), None
    path = recorded.get("path")
    if data is None and path is not None and not Path(path).exists():
        raise FrenemyError(
            f"{path}: no such file or folder: give the place of {run.path}'s images by --data"
        )
    return reopen(run, data)


def _limit(**limits: float | None) -> dict[str, float]:
    """The one that is given, by its name, or nothing."""
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        raise FrenemyError("give one of --steps, --epochs and --minutes")
    if "steps" in given:
        given["steps"] = whole(steps=given["steps"])
    for name, limit in given.items():
        if not 0 < limit < MOST:
            raise FrenemyError(f"--{name} {limit}: give a number above 0, and below {MOST:.0e}")
    return given


def _target(limit: Mapping[str, float], experiment: Experiment) -> dict[str, float]:
    """Where to stop, in minutes or rounds; where the recipe says if no limit is given."""
    if "epochs" in limit:
        return {"steps": experiment.rounds(experiment.stages[-1], limit["epochs"])}
    return dict(limit) or {"steps": sum(experiment.rounds(stage) for stage in experiment.stages)}


def _name(recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """A recipe's name and all its arguments but the data, defaults included.

    One that is not frenemy's own is named with its module, and is never taken for ours.
    """
    function, given = recipe, {}
    if isinstance(recipe, functools.partial):
        function, given = recipe.func, recipe.keywords
    if not inspect.isfunction(function):
        raise FrenemyError(f"{function} is no recipe: give a function, or a partial of one")
    arguments = inspect.signature(function).bind_partial(**given)
    arguments.apply_defaults()
    arguments.arguments.pop("data", None)
    name = function.__name__
    if getattr(recipes, name, None) is not function:
        name = f"{function.__module__}.{name}"
    return name, dict(arguments.arguments)


def _free_name(recipe: str) -> Path:
    name = recipe.rpartition(".")[2]
    path = Path("runs") / name
    count = 1
    while path.exists():
        count += 1
        path = path.with_name(f"{name}-{count}")
    return path


def _train(
    run: Run,
    experiment: Experiment,
    device: torch.device,
    writer: EventWriter | None,
    watcher: Watcher | None,
    *,
    begin: bool = False,
) -> Run:
    gpus = [device] if device.type == "cuda" else []
    threads = torch.get_num_threads()
    with run.lock(), torch.random.fork_rng(devices=gpus), caught_signals() as caught:
        if begin:
            run.begin()
        torch.set_num_threads(run.header["threads"])  # sums in another order differ in last bits
        events = None
        try:
            training = Training(run, experiment, device)
            if training.share_done < 1:
                run.update()  # by a new end, or a new place of the data
            if writer is not None and training.share_done < 1:
                after = training.progress.step + 1  # what was written later will be written again
                training.events = events = writer(str(run.path / "events"), purge_step=after)
            training.play(caught, watcher)
        except KeyboardInterrupt:
            if not caught:
                raise
            how = f"stopped at once ({kept(run)}): {way_on(run)}"
            raise Interrupted(how, caught[-1]) from None
        finally:
            torch.set_num_threads(threads)
            if events is not None:
                events.close()
    return run


EventWriter = Callable[..., Any]


def _event_writer() -> EventWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FrenemyError(
            "--tensorboard needs TensorBoard: pip install 'frenemy[tensorboard]'"
        ) from None
    return SummaryWriter
