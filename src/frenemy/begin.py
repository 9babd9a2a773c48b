"""Training: a run is begun, or gone on with."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec

import numpy
import torch

from frenemy import checkpoint
from frenemy.checkpoint import Progress
from frenemy.choices import DeviceName
from frenemy.choosing import EngineChoice, Open
from frenemy.data import Dataset
from frenemy.data.dataset import Unopened
from frenemy.data.detect import is_path, made_of, resolved
from frenemy.data.objects import MEMORY
from frenemy.data.pixels import DECODERS
from frenemy.data.source import PLANE
from frenemy.engine import Share, choose_device, joined, rank_here, world_here
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Recipe, arguments_of, vary
from frenemy.fitting import CLOCKS, MINUTES, Rehearsal, chosen, sized
from frenemy.interrupts import Interrupted, caught_signals
from frenemy.model import reopen, set_up
from frenemy.origin import arguments_kept, arguments_recorded, describe, function_of, recipe_of
from frenemy.places import user_path
from frenemy.run import Followed, Run
from frenemy.settings import DEFAULTS, Continued, Settings
from frenemy.training import NotFinite, Training, Watcher, kept, way_on
from frenemy.transfer import like, newest, starting_from
from frenemy.validation import USUAL, best_by

P = ParamSpec("P")

STEPPED_BACK = "stepped_back"
"""The field of `run.json` that says why a run goes on with half the rate."""
REPLAN = "replan"
"""The field that says after which round a run's end is set anew, and for how many minutes."""
BY_THE_CLOCK = "minutes"
"""The field that says for how many minutes rounds were chosen, where they were."""
SOON = 0.1, 1.0  # a share of the time, and minutes, after which it is for the first time


def _spelled(fields: Callable[P, Settings]):
    """`train`, of which type checkers know that the fields of `Settings` are its keywords."""

    def train(
        recipe: Recipe,
        data: Any = None,
        watcher: Watcher | None = None,
        *_: P.args,
        **settings: P.kwargs,
    ) -> Run:
        """Plays a recipe's game and returns the run: `train(recipes.digits, steps=2000)`.

        Torch's settings of the processor are made faster for the whole process, and stay so: see
        `frenemy.engine.prepare_processor`.

        Args:
            recipe: such as `recipes.mnist2014`, or what `vary` makes of it.
            data: from `open_dataset`, or what that takes: a path, or arrays, tensors, pictures,
                data sets of torch or Hugging Face; the embedded digits if None.
            watcher: is called after every round.
            settings: the fields of `frenemy.settings.Settings`: steps, out, seed ...

        Raises:
            FrenemyError: the data do not fit the recipe, the directory is taken or not writable, or
                a loss or weight became infinite or NaN (`NotFinite`). The run keeps its last
                checkpoint.
            Interrupted: Ctrl-C, SIGTERM or SIGHUP; the run was saved, unless a second one stopped
                it at once.
        """
        how = fields(*_, **settings)
        recipe = recipe if how.lender is None else like(recipe, how.lender)
        return plan(recipe, data, how).play(watcher)

    return train


train = _spelled(Settings)


@dataclass(frozen=True)
class Plan:
    """A training that may begin, or go on.

    Attributes:
        run: where to, of which nothing is written yet if it is new.
        experiment: what is played; device: where.
        writer: of TensorBoard events, if they are wanted.
        recipe, data: of the experiment.
        reasons: why it is played as it is, where the recipe left something open.
    """

    run: Run
    experiment: Experiment
    device: torch.device
    writer: EventWriter | None
    recipe: Recipe
    data: Dataset
    new: bool = True
    reasons: Sequence[str] = ()

    @property
    def played(self) -> int:
        """Rounds that were played already: those of the newest undamaged checkpoint."""
        loaded = checkpoint.load(self.run)
        return 0 if loaded is None else loaded[1].step

    @property
    def disk(self) -> str:
        """What its checkpoints take, in words."""
        most, megabytes = (
            self.run.header["keep_checkpoints"],
            checkpoint.size(self.experiment) / 1e6,
        )
        best = ", and the best" if self.run.header.get("keep_best") else ""
        kept = "the newest is kept" if most == 1 else f"the newest {most} are kept"
        shown = f"{megabytes:,.0f}" if megabytes >= 10 else f"{megabytes:.2g}"
        return f"a checkpoint takes {shown} MB: {kept}{best}"

    def play(self, watcher: Watcher | None = None) -> Run:
        """Makes the run, if it is new, and plays it.

        Where a loss or a weight becomes infinite or NaN, and the recipe has a calmer game to play,
        it goes on with that from the last checkpoint, once. Where a run is to end by the clock, and
        it is time to see how fast it really is, it goes on to the end that this gives.
        """
        try:
            progress = self._play(watcher)
        except NotFinite as error:
            arguments, several = arguments_of(self.recipe), world_here() > 1
            if not isinstance(arguments, Open) or STEPPED_BACK in self.run.header or several:
                raise
            warnings.warn(f"{error}: continuing from there once, at half the rate", stacklevel=2)
            calmer = vary(self.recipe, **vars(arguments.calmed()))
            self.run.update(arguments=arguments_kept(calmer), **{STEPPED_BACK: str(error)})
            return self._again(watcher, calmer, {})
        if progress is None:
            return self.run
        least = progress.seconds * (progress.step + 1) / progress.step / 60  # one round more
        minutes = max(self.run.header[REPLAN]["minutes"], least)
        return self._again(watcher, self.recipe, {"minutes": minutes})

    def _again(self, watcher: Watcher | None, recipe: Recipe, limit: Mapping[str, float]) -> Run:
        """The same run from its newest checkpoint, with other arguments or to another end."""
        self.experiment.to(torch.device("cpu"), len(self.experiment.stages) - 1)  # frees a GPU
        run, device = type(self.run).open(self.run.path), self.device
        return _gone_on(run, recipe, self.data, limit, device, self.writer).play(watcher)

    def _play(self, watcher: Watcher | None) -> Progress | None:
        """How far it is, if it is time to set the end anew."""
        run = self.run
        gpus = [self.device] if self.device.type == "cuda" else []
        threads = torch.get_num_threads()
        with joined(), run.lock(), torch.random.fork_rng(devices=gpus), caught_signals() as caught:
            if self.new:
                run.begin()
            # sums in another order differ in last bits
            torch.set_num_threads(run.header["threads"])
            events = None
            try:
                training = Training(run, self.experiment, self.device, self.data)
                if training.share_done < 1:
                    run.update()  # by a new end, or a new place of the data
                if self.writer is not None and training.share_done < 1:
                    after = training.progress.step + 1  # which will be written again
                    events = self.writer(str(run.path / "events"), purge_step=after)
                    training.events = events
                training.play(caught, watcher)
                return training.progress if training.is_due else None
            except NotFinite as error:
                if not caught:
                    raise
                raise Interrupted(f"{error}: {way_on(run)}", caught[0]) from error
            except KeyboardInterrupt:
                if not caught:
                    raise
                how = f"stopped at once ({kept(run)}): {way_on(run)}"
                raise Interrupted(how, caught[-1]) from None
            finally:
                torch.set_num_threads(threads)
                if events is not None:
                    events.close()


def plan(
    recipe: Recipe,
    data: Any = None,
    settings: Settings = DEFAULTS,
) -> Plan:
    """What `train` does before it writes anything: all that it refuses is refused here.

    Args and Raises: as `train`; but the recipe has the arguments of the run that lends them already
    (see `frenemy.transfer.like`). Data of which the size is open are brought to that run's, or to
    one that the recipe chooses, if it chooses any.
    """
    limit, header = settings.limit, settings.kept()
    where = choose_device(settings.device)
    writer = _event_writer() if settings.tensorboard else None
    if not isinstance(data, Dataset | Unopened):
        data = Unopened(data)
    left, reasons = arguments_of(recipe), list[str]()
    precision = header["precision"]
    fit = EngineChoice(header["parts"] or 1, "float32" if precision == "auto" else precision)
    if isinstance(data, Unopened) and settings.lender is not None:
        data = data.open(_size_of(settings.lender))
    if isinstance(left, Open):
        if isinstance(data, Unopened):
            data, choice = sized(recipe, left, data, limit, header, where)
        else:
            choice = chosen(recipe, left, data, limit, header, where)
        recipe, fit, reasons = choice.recipe, choice.fit, [*choice.reasons]
        if choice.timed:
            header[BY_THE_CLOCK] = limit.get("minutes", MINUTES)
            header |= _replanned(0, choice.rounds, header[BY_THE_CLOCK])
            limit = {"steps": choice.rounds}
    if isinstance(data, Unopened):
        data = data.open(None)
    header |= {"parts": fit.parts, "precision": fit.precision}
    experiment = set_up(recipe, data, header["seed"])
    _require_share(experiment, header["parts"])
    usual = USUAL if isinstance(left, Open) else None
    header |= best_by(settings.keep_best, usual, experiment.game, data, where)
    if settings.init is not None:
        header["init"] = str(newest(settings.init))
        experiment, said = starting_from(experiment, Path(header["init"]))
        reasons.append(said)
    header |= {
        **describe(recipe),
        "target": _target(limit, experiment),
        "device": str(where),
        "threads": torch.get_num_threads(),
        "data": {
            **data.arguments,
            "digest": data.train.digest,
            "shape": list(data.shape),
            "count": data.facts.count,
            "classes": list(data.facts.classes),
            "description": data.description,
        },
        "versions": _versions(),
    }
    out = settings.out if settings.out is not None else _free_name(function_of(recipe).__name__)
    run = _kind_of_run()(user_path(out), header)
    run.check_new()
    arguments_recorded(run)  # as who goes on will take them
    return Plan(run, experiment, where, writer, recipe, data, reasons=reasons)


def _size_of(lender: Path | str) -> int | None:
    """Of the images of a run, if they are squares: others were not brought to any."""
    shape = tuple(Run.open(lender).header["data"]["shape"])
    return shape[1] if shape != PLANE and shape[1] == shape[2] else None


def resume(
    path: Path | str,
    *,
    recipe: Recipe | None = None,
    recipe_changed: bool = False,
    data: Any = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    device: DeviceName = "auto",
    watcher: Watcher | None = None,
) -> Run:
    """Goes on with a run from its newest undamaged checkpoint, to its end or another.

    What comes out is bit-identical to a run that was never stopped, on the same device and with
    the same recipe. A run without a checkpoint starts again.

    Args:
        path: the run's directory.
        recipe: the run's recipe, where it is not one of frenemy's own.
        recipe_changed: it may be another than that which the run was begun with.
        data: the images that it was begun on, where they came from memory, or where they are now.
        steps, epochs, minutes, device: as `frenemy.settings.Continued` has them.
        watcher: is called after every round.

    Raises:
        FrenemyError: as `train`; and no run there, its data gone or changed, another recipe,
            another process training it, or all its checkpoints damaged.
    """
    how = Continued(steps=steps, epochs=epochs, minutes=minutes, device=device)
    return plan_to_resume(path, how, recipe=recipe, recipe_changed=recipe_changed, data=data).play(
        watcher
    )


def plan_to_resume(
    path: Path | str,
    how: Continued,
    *,
    recipe: Recipe | None = None,
    recipe_changed: bool = False,
    data: Dataset | Path | str | None = None,
) -> Plan:
    """What `resume` does before it writes anything: all that it refuses is refused here.

    Args and Raises: as `resume`.
    """
    limit, device = how.limit, how.device
    run = _kind_of_run().open(path)
    where = choose_device(run.header["device"] if device == "auto" else device)
    began = {"device": torch.device(run.header["device"]).type, **run.header["versions"]}
    now = {"device": where.type, **_versions()}
    if changed := [f"{name} {began[name]}" for name in began if began[name] != now.get(name)]:
        warnings.warn(
            f"{run.path} was begun on {', '.join(changed)}: its last bits may differ from here on",
            stacklevel=2,
        )
    writer = _event_writer() if run.header["tensorboard"] else None
    recipe = recipe_of(run, recipe, changed=recipe_changed)
    images = _reopen(run, data)
    return _gone_on(run, recipe, images, limit, where, writer)


def _gone_on(
    run: Run,
    recipe: Recipe,
    data: Dataset,
    limit: Mapping[str, float],
    device: torch.device,
    writer: EventWriter | None,
) -> Plan:
    """A run that is gone on with, to its end or to another that is given."""
    experiment = set_up(recipe, data, run.header["seed"])
    _require_share(experiment, run.header.get("parts", 1))
    if limit:
        end = run.header["target"] = _target(limit, experiment)
        for name in (REPLAN, BY_THE_CLOCK):
            run.header.pop(name, None)
        if isinstance(arguments := arguments_of(recipe), Open):
            done, speed = _done(run, experiment, device)
            rounds = max(1, round(end.get("steps") or 60 * end["minutes"] * speed()))
            recipe = vary(recipe, **vars(arguments.stretched(done, rounds)))
            experiment = set_up(recipe, data, run.header["seed"])
            run.header.update(arguments=arguments_kept(recipe), target={"steps": rounds})
            if "minutes" in end:
                run.header[BY_THE_CLOCK] = end["minutes"]
                run.header.update(_replanned(done, rounds, end["minutes"]))
    if (file := run.header.get("init")) and not run.checkpoints():
        experiment, _ = starting_from(experiment, Path(file))
    return Plan(run, experiment, device, writer, recipe, data, new=False)


def _done(
    run: Run, experiment: Experiment, device: torch.device
) -> tuple[int, Callable[[], float]]:
    """How many rounds were played, and how many are in a second: of those, or of a few more."""
    if world_here() > 1 and "minutes" in run.header["target"]:
        raise FrenemyError(f"{run.path}: {CLOCKS}")
    loaded = checkpoint.load(run)
    if loaded is not None and loaded[1].step:
        progress = loaded[1]
        return progress.step, lambda: progress.step / progress.seconds

    def speed() -> float:
        header = run.header
        trial = Rehearsal(experiment, device, mirror=header.get("mirror", False))
        return trial.speed(header.get("parts", 1), header.get("precision", "float32"))

    return 0, speed


def _replanned(done: int, rounds: int, minutes: float) -> dict[str, Any]:
    """After which round the end is set anew by how fast the run was: soon, and half-way from there.

    Not where less than a quarter of the rounds would be left by then.
    """
    if not done:
        step = max(1, int(rounds * min(SOON[0], SOON[1] / minutes)))
    else:
        step = done + (rounds - done) // 2
    later = done < step and 4 * step <= 3 * rounds
    return {REPLAN: {"step": step, "minutes": minutes}} if later else {}


def _kind_of_run() -> type[Run]:
    """One that is written, in the first of several processes; in the others one that follows."""
    return Followed if rank_here() else Run


def _require_share(experiment: Experiment, parts: int) -> None:
    """Refuses a minibatch that cannot be cut for as many processes and parts.

    Raises:
        FrenemyError: as `Share.slices`.
    """
    for stage in (stage for stage in experiment.stages if stage.game.turns):
        Share(rank_here(), world_here(), parts).slices(stage.game.minibatch)


def _versions() -> dict[str, str]:
    """Of all that the numbers of a run come from."""
    return {
        "frenemy": version("frenemy"),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "images": DECODERS,
    }


def _reopen(run: Run, data: Any) -> Dataset:
    recorded = run.header["data"]
    if data is not None and is_path(data):
        recorded["path"], data = resolved(data), None
    how, _ = made_of(recorded.get("path", MEMORY))
    if data is None and how == MEMORY:
        raise FrenemyError(
            f"{run.path} was trained on images from memory: give them as data= in Python, by "
            f"frenemy.resume({str(run.path)!r}, data=images)"
        )
    return reopen(run, data)


def _target(limit: Mapping[str, float], experiment: Experiment) -> dict[str, float]:
    """Where to stop, in minutes or rounds; where the recipe says if no limit is given."""
    if "epochs" in limit:
        return {"steps": experiment.rounds(experiment.stages[-1], limit["epochs"])}
    return dict(limit) or {"steps": sum(experiment.rounds(stage) for stage in experiment.stages)}


def _free_name(recipe: str) -> Path:
    names = itertools.chain([recipe], (f"{recipe}-{n}" for n in itertools.count(2)))
    return next(path for name in names if not os.path.lexists(path := Path("runs") / name))


EventWriter = Callable[..., Any]


def _event_writer() -> EventWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FrenemyError(
            "--tensorboard needs TensorBoard: pip install 'frenemy[tensorboard]'"
        ) from None
    return SummaryWriter
