"""What there is to do for a table: a task for each row and seed, and what is refused before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frenemy.choices import DeviceName
from frenemy.data import Dataset
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Recipe, vary
from frenemy.files import is_part, names_in
from frenemy.judge.likelihoods import is_mnist_test
from frenemy.judge.table1 import DataName, Table
from frenemy.model import set_up
from frenemy.names import known
from frenemy.origin import arguments_kept
from frenemy.recipes import RECIPES
from frenemy.run import Run, is_run, step_of
from frenemy.table1.rows import FACE, ROWS, Given, Rival

FILE, LOCK = "table1.jsonl", ".lock"
"""Of a table's folder."""
SAME = ("digest", "shape", "fit", "grey", "opaque", "range")
"""Of what a run or a table was made on: what has to be the same."""
GAME = ("recipe", "arguments", "target")
"""Of a run: what the seeds of a row have in common."""


@dataclass(frozen=True)
class Asked:
    """What the table is to hold.

    Attributes:
        out: its folder.
        only: names of rows; all if there are none.
        runs: finished runs, which are taken in the place of a row's own.
        seeds: trainings of each model, by the seeds 0, 1 ...
        quick: every training is cut short.
        device: where to compute.
    """

    out: Path = Path("table1")
    only: Sequence[str] = ()
    runs: Sequence[Path] = ()
    seeds: int = 1
    quick: bool = False
    device: DeviceName = "auto"


@dataclass
class Task:
    """One row and seed.

    Attributes:
        row: which; seed: of its training, or of what is drawn.
        run: where that lies; None where nothing is trained.
        recipe: of its training; None of a finished run.
        rounds: of its training, in all; whole: as many as the recipe plays by itself.
        quick: whether its training is cut short, or would be if there were one.
        fault: why it cannot be trained.
    """

    row: Rival | Given
    seed: int
    run: Path | None = None
    recipe: Recipe | None = None
    rounds: int = 0
    whole: int = 0
    quick: bool = False
    fault: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """The row's name and model, and the seed."""
        return self.row.name, self.row.model, self.seed

    def __str__(self) -> str:
        return f"{self.row.name}, seed {self.seed}"

    @property
    def checkpoint(self) -> str:
        """The newest of its run, by its name; "" if there is none."""
        there = self.run is not None and is_run(self.run)
        found = Run.open(self.run).checkpoints() if there and self.run else []
        return found[0].stem if found else ""

    @property
    def done(self) -> int:
        """Rounds that were played, at most `rounds`."""
        at = self.checkpoint
        return min(step_of(Path(at)), self.rounds) if at else 0


def tasks_of(data: Dataset, asked: Asked, table: Table) -> list[Task]:
    """All that is asked for, in the order of the table.

    Raises:
        FrenemyError: a run that was given is none, or not of these images; there is no such row; or
            a run in the table's folder was begun otherwise.
    """
    given = [_given(path, table) for path in asked.runs]
    _require_seeds(given)
    taken = {task.row.name: task.row for task in given}
    for name in asked.only:
        known(name, [*{row.name: row for row in ROWS} | taken], "row")
    own = [
        task
        for row in ROWS
        if (row.name in asked.only or not asked.only) and row.name not in taken
        for task in _own(row, data, asked)
    ]
    return sorted([*own, *given], key=lambda task: order(task.row.name, task.seed))


def _require_seeds(given: Sequence[Task]) -> None:
    """Refuses runs of one row that differ by more than their seed, or not by that."""
    first: dict[str, Run] = {}
    seeds: set[tuple[str, int]] = set()
    for task in given:
        assert task.run is not None
        name, run = task.row.name, Run.open(task.run)
        other = first.setdefault(name, run)
        if (name, task.seed) in seeds:
            raise FrenemyError(f"--runs: two runs of {name}, seed {task.seed}: give one")
        if any(run.header[field] != other.header[field] for field in GAME):
            raise FrenemyError(
                f"--runs: {other.path} and {run.path} differ by more than their seed: give one"
            )
        seeds.add((name, task.seed))


def order(name: str, seed: int) -> tuple[float, str, int]:
    """The rows in their order; models that are none of ours above those that are not trained."""
    names = [row.name for row in ROWS]
    others = next(i for i, row in enumerate(ROWS) if isinstance(row, Given)) - 0.5
    return names.index(name) if name in names else others, name, seed


def table_in(data: Dataset, asked: Asked) -> Table:
    """The table that lies in the folder, or a new one."""
    out, file = asked.out, asked.out / FILE
    recorded = {**data.arguments, "digest": data.train.digest, "shape": [*data.shape]}
    published: DataName = "TFD" if data.shape == FACE else ""
    if is_mnist_test(data.test.images[:]):
        published = "MNIST"
    table = Table(_same(recorded), data.description, published, asked.quick)
    found = Table.load(file)
    if found is None:
        if any(name != LOCK and not is_part(name) for name in names_in(out)):
            raise FrenemyError(f"{out} holds something else than a table: give another --out")
        return table
    if found.data != table.data:
        raise FrenemyError(
            f"{out} holds a table of other images ({found.description}): give these, or another "
            "--out"
        )
    if found.quick != table.quick:
        kind, way = ("quick", "add") if found.quick else ("full", "leave out")
        raise FrenemyError(f"{out} holds a {kind} table: {way} --quick, or give another --out")
    return found


def _same(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Of how images were opened, what makes them the same."""
    return {name: recorded.get(name) or None for name in SAME}


def _given(path: Path, table: Table) -> Task:
    """A finished run, as one that need not be trained."""
    run = Run.open(path)
    recipe, seed = run.header["recipe"], run.header["seed"]
    if recipe not in RECIPES:
        raise FrenemyError(f"--runs {path}: its recipe {recipe} is not frenemy's own")
    if _same(run.header["data"]) != table.data:
        raise FrenemyError(f"--runs {path}: it was not trained on {table.description}")
    if not run.checkpoints():
        raise FrenemyError(f"--runs {path}: it has no checkpoint yet")
    rivals = [row for row in ROWS if isinstance(row, Rival) and recipe in row.recipes]
    row = rivals[0] if rivals else Rival(recipe, recipe, recipe, 1)
    return Task(row, seed, run.path, rounds=step_of(run.checkpoints()[0]))


def _own(row: Rival | Given, data: Dataset, asked: Asked) -> Iterator[Task]:
    """The trainings of a row, or the images that stand in it."""
    if isinstance(row, Given):
        yield Task(row, 0, quick=asked.quick)
        return
    name, brief = row.on(data.facts)
    for seed in range(asked.seeds):
        place = asked.out / f"{name}-{seed}"
        try:
            recipe = RECIPES[name]
            whole = _rounds(set_up(recipe, data, seed))
            rounds = whole
            if asked.quick:
                recipe = vary(recipe, **row.quick)
                rounds = min(brief, _rounds(set_up(recipe, data, seed)))
        except FrenemyError as error:
            yield Task(row, seed, quick=asked.quick, fault=str(error))
            continue
        task = Task(row, seed, place, recipe, rounds, whole, asked.quick)
        _require_alike(task)
        yield task


def _rounds(experiment: Experiment) -> int:
    """In all stages."""
    return sum(map(experiment.rounds, experiment.stages))


def _require_alike(task: Task) -> None:
    """Refuses to go on with a run that was begun otherwise, by an earlier frenemy say."""
    assert task.run is not None and task.recipe is not None
    if not is_run(task.run):
        return
    header = Run.open(task.run).header
    arguments = json.loads(json.dumps(arguments_kept(task.recipe)))
    if header["arguments"] != arguments or header["target"] != {"steps": task.rounds}:
        raise FrenemyError(
            f"{task.run} was begun with other arguments, or for another number of rounds: move it "
            "elsewhere, or give another --out"
        )
