"""Table 1, built: models are trained, or finished runs taken; all are judged alike.

In the folder of a table lie

    RECIPE-SEED/        a run for each model and seed
    table1.jsonl        what was judged
    table1.md, .csv, .png
    samples/            a strip of samples of each row

so that a table that was stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import filelock

from frenemy import begin
from frenemy.data import Dataset
from frenemy.data.source import require_images
from frenemy.engine import choose_device, world_here
from frenemy.errors import FrenemyError, at_least, out_of_memory
from frenemy.experiment import Experiment
from frenemy.files import WritingFailed, write_atomically, writing_failed
from frenemy.fitting import Rehearsal
from frenemy.interrupts import Interrupted
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.judge.sets import Images
from frenemy.judge.table1 import Judged, Nats, Table
from frenemy.judge.table1_shown import table1_csv, table1_figure, table1_markdown
from frenemy.model import Model, set_up
from frenemy.pictures import enlarge, grid, load_picture, save_picture
from frenemy.run import Run, is_run
from frenemy.runs import duration
from frenemy.settings import Continued, Settings
from frenemy.table1.drawing import Drawn
from frenemy.table1.rows import Given, Rival
from frenemy.table1.tasks import FILE, LOCK, Asked, Task, order, table_in, tasks_of
from frenemy.training import Watcher

SAMPLES, VALID, TEST = 10_000, 1_000, 10_000
"""Images of each kind in the paper's protocol; fewer where there are no more."""
BRIEF = 5_000
"""Samples where all is cut short."""
LEAST = 10
"""Validation and test images without which no width can be chosen, and no error told."""
SHOWN = 10
"""Samples in a strip."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Shows:
    """How it is shown what is going on: by default not at all.

    Attributes:
        tell: is given a line.
        watching: is given what is trained; its context gives a watcher of that training.
        working: its context gives what is to be told of what is being done.
    """

    tell: Say = lambda _: None
    watching: Callable[[str], AbstractContextManager[Watcher]] = lambda _: contextlib.nullcontext(
        lambda _: None
    )
    working: Callable[[], AbstractContextManager[Say]] = lambda: contextlib.nullcontext(
        lambda _: None
    )


@dataclass
class Work:
    """A table that may be built, or gone on with.

    Attributes:
        data: all is trained and judged on; asked: what is wanted.
        tasks: all of it, in the order of the table.
        table: what is judged already.
    """

    data: Dataset
    asked: Asked
    tasks: Sequence[Task]
    table: Table

    # ---- how long it takes

    def plan(self, say: Say = lambda _: None) -> list[str]:
        """What would be trained, and about how long that takes, in lines."""
        seconds, lines = 0.0, list[str]()
        for task in self.tasks:
            say(f"how long it takes: {task}")
            if isinstance(task.row, Given):
                lines.append(f"{task}: is judged alone")
                continue
            try:
                left = self.estimate(task)
            except FrenemyError as error:
                lines.append(f"{task}: cannot be trained: {error}")
                continue
            seconds += left
            lines.append(f"{task}: {task.run}, {_progress(task, left)}")
        told = "of rounds in all; mixtures and clusters are fitted before their only one"
        return [*lines, f"about {duration(seconds)} {told}; each row is judged when it is trained"]

    def estimate(self, task: Task) -> float:
        """Seconds that are left of its training, by a few rounds of each stage that are lost.

        Raises:
            FrenemyError: it cannot be trained.
        """
        if task.fault:
            raise FrenemyError(task.fault)
        if task.recipe is None or task.done == task.rounds:
            return 0.0
        experiment = set_up(task.recipe, self.data, task.seed)
        device, seconds, start = choose_device(self.asked.device), 0.0, 0
        for i, stage in enumerate(experiment.stages):
            last = stage is experiment.stages[-1]
            end = task.rounds if last else start + experiment.rounds(stage)
            if (rounds := min(end, task.rounds) - max(start, task.done)) > 0:
                part = Experiment(experiment.stages[: i + 1], experiment.source)
                seconds += rounds / Rehearsal(part, device, mirror=False).speed(1, "float32")
            start = end
        return seconds

    # ---- building

    def build(self, shows: Shows) -> Table:
        """Trains and judges what is not judged yet, and writes the table.

        A row that fails says why, and the others are built all the same.

        Raises:
            FrenemyError: another process builds it; it cannot be written.
            Interrupted: as `frenemy.begin.train`: the same call goes on.
        """
        out = self.asked.out
        with _locked(out):
            self.table.save(out / FILE)
            try:
                for number, task in enumerate(self.tasks, 1):
                    said = f"{number} of {len(self.tasks)}: {task}"
                    self._keep(self._judged(task, said, shows))
            finally:
                self._write()
        return self.table

    def _judged(self, task: Task, said: str, shows: Shows) -> Judged:
        """What is known of the task already, or what its training and the judge give."""
        before = self._before(task)
        found = before is not None and not before.fault and task.done == task.rounds
        if before is not None and found and before.checkpoint == task.checkpoint:
            return before
        try:
            if task.fault:
                raise FrenemyError(task.fault)
            if task.run is None:
                with shows.working() as say:
                    say(f"{said}: judged")
                    return self._judge_given(task)
            run = self._trained(task, said, shows)
            with shows.working() as say:
                say(f"{said}: samples are drawn and judged")
                return self._judge(task, run)
        except Interrupted as error:
            told = f"stopped at {task}; what was saved lies in {self.asked.out}"
            raise Interrupted(f"{told}: the same command goes on", error.signal) from None
        except WritingFailed:
            raise
        except (FrenemyError, RuntimeError, MemoryError) as error:
            if not isinstance(error, FrenemyError) and not out_of_memory(error):
                raise
            fault = " ".join(str(error).split())
            shows.tell(f"{said}: failed: {fault}")
            return Judged(*task.key, quick=task.quick, fault=fault)

    def _before(self, task: Task) -> Judged | None:
        key = task.row.name, task.seed
        return next((one for one in self.table.judged if (one.name, one.seed) == key), None)

    def _trained(self, task: Task, said: str, shows: Shows) -> Run:
        assert task.run is not None
        if task.recipe is None or task.done == task.rounds:
            return Run.open(task.run)
        if is_run(task.run):
            plan = begin.plan_to_resume(
                task.run, Continued(device=self.asked.device), data=self.data
            )
        else:
            how = Settings(
                out=task.run, seed=task.seed, steps=task.rounds, device=self.asked.device
            )
            plan = begin.plan(task.recipe, self.data, how)
        with shows.watching(said) as watcher:
            return plan.play(watcher)

    @property
    def _samples(self) -> int:
        return min(SAMPLES, BRIEF) if self.asked.quick else SAMPLES

    def _judge_given(self, task: Task) -> Judged:
        assert isinstance(task.row, Given)
        images = task.row.images(self.data, self._samples, task.seed)
        return self._by_parzen(task, Drawn(images, 0.0))

    def _judge(self, task: Task, run: Run) -> Judged:
        assert isinstance(task.row, Rival)
        model = Model.load(run.path, self.asked.device)
        if model.game.prepare is not None:
            raise FrenemyError(f"{run.path} changes its images: it is not of the same pixels")
        drawn = task.row.draw(model, self.data, self._samples, task.seed)
        rounds, notes = model.progress.step, list[str]()
        if task.recipe is None:
            at_end = rounds >= run.header["target"].get("steps", 0)
            notes.append(f"taken from {run.path}" + ("" if at_end else ", which is not at its end"))
        judged = self._by_parzen(task, drawn)
        return replace(
            judged,
            checkpoint=run.checkpoints()[0].stem,
            rounds=rounds,
            whole=task.whole or rounds,
            train_seconds=model.progress.seconds,
            draw_seconds=drawn.seconds,
            steps=drawn.steps,
            notes=[*judged.notes, *notes],
            machine=_machine(run),
        )

    def _by_parzen(self, task: Task, drawn: Drawn) -> Judged:
        self._strip(task, drawn.images)
        fake, notes = unit_pixels(drawn.images), list(drawn.notes)
        real, valid = (
            unit_pixels(part.images[:most])
            for part, most in ((self.data.test, TEST), (self.data.valid, VALID))
        )
        found = parzen(real=real, valid=valid, fake=fake)
        if drawn.real:
            without = parzen(real=real, valid=valid, fake=fake[drawn.real :])["authors"]
            told = replace(without.found, error=without.of_images)
            notes.append(f"without the test image that its chain starts at it has {told}")
        return Judged(
            *task.key,
            quick=task.quick,
            nats={grid: Nats(x.found.value, x.of_images, x.sigma) for grid, x in found.items()},
            samples=len(fake),
            valid=len(valid),
            test=len(real),
            notes=notes,
        )

    # ---- writing

    @property
    def files(self) -> list[Path]:
        """The table in all its forms, its picture first."""
        return [(self.asked.out / FILE).with_suffix(x) for x in (".png", ".md", ".csv", ".jsonl")]

    def _keep(self, judged: Judged) -> None:
        """Puts it into the table, in its place."""
        key = judged.name, judged.seed
        others = [one for one in self.table.judged if (one.name, one.seed) != key]
        self.table.judged[:] = sorted([*others, judged], key=lambda one: order(one.name, one.seed))
        self.table.save(self.asked.out / FILE)

    def _strip(self, task: Task, images: Images) -> None:
        """Keeps a few samples, which lie far from each other where they are of one chain."""
        shown = images[:: max(1, len(images) // SHOWN)][:SHOWN]
        picture = grid(enlarge(shown), columns=SHOWN)
        save_picture(picture, self.asked.out / _strip_of(task.row.name, task.seed))

    def _write(self) -> None:
        """Writes the table as it is, in all its forms."""
        out, table = self.asked.out, self.table
        strips = {
            row.name: place
            for row in table.rows
            if row.judged and (out / (place := _strip_of(row.name, row.judged[0].seed))).exists()
        }
        picture, markdown, numbers, _ = self.files
        for place, text in (
            (markdown, table1_markdown(table, strips)),
            (numbers, table1_csv(table)),
        ):
            write_atomically(place, lambda part, text=text: part.write_text(text, "utf-8"))
        pictures = {name: load_picture(out / place) for name, place in strips.items()}
        table1_figure(table, pictures).save(picture)


def _progress(task: Task, left: float) -> str:
    """How far a training is, in words."""
    of = f" of the recipe's {task.whole:,}" if task.rounds < task.whole else ""
    rounds = f"{task.rounds:,}{of} round{'s' * (task.whole != 1)}"
    if task.done == task.rounds:
        return f"{rounds}, played already"
    done = f", {task.done:,} of them already" if task.done else ""
    return f"{rounds}{done}: about {duration(left)}"


def _strip_of(name: str, seed: int) -> str:
    return f"samples/{name}-{seed}.png"


def _machine(run: Run) -> str:
    """Where a run was trained, and in what precision if it was low."""
    header = run.header
    threads, precision = header["threads"], header.get("precision", "float32")
    told = [header["device"]]
    if header["device"] == "cpu":
        told.append(f"{threads} thread{'s' * (threads > 1)}")
    if precision != "float32":
        told.append(precision)
    return ", ".join(told)


def prepare(data: Dataset, asked: Asked) -> Work:
    """A table on these images, where all is refused that can be before any work.

    Raises:
        FrenemyError: they are no images, or too few; the folder holds something else, or a table of
            other images; a run that was given is none, or not of these images; no such row.
    """
    require_images(data.shape, data.train.name)
    if data.shape[0] % 2 == 0:
        raise FrenemyError(f"{data.train.name} has opacity: add --opaque")
    if min(len(data.valid), len(data.test)) < LEAST:
        raise FrenemyError(
            f"{data.train.name}: {len(data.valid):,} validation and {len(data.test):,} test "
            f"images: the widths of Parzen windows and their error need {LEAST} of each"
        )
    at_least(1, seeds=asked.seeds)
    if world_here() > 1:
        raise FrenemyError("table1 is built by one process: start it without torchrun")
    table = table_in(data, asked)
    return Work(data, asked, tasks_of(data, asked, table), table)


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Holds the folder, which is made, against a second process that would build the table."""
    lock = filelock.FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise FrenemyError(f"{out} is being built by another process") from None
    except OSError as error:
        raise writing_failed(out, error) from error
    try:
        yield
    finally:
        lock.release()
