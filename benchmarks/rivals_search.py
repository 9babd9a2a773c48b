"""Which arguments of a rival are best, judged by validation images alone.

    python benchmarks/rivals_search.py rbm --data MNIST --trials 40 --out DIR
    python benchmarks/rivals_search.py dbn --data MNIST --device cuda --workers 4 --out DIR

A trial plays the recipe's stages by `replay.py`, to their end or for `--epochs` in all, which they
share as the recipe divides its own, and draws samples. Its value is their Parzen log-likelihood of
validation images; others of these choose the width of the kernels. None is pruned: halfway, while
layers are untrained or the rate is still high, little can be told of the end. One that blows up, or
fails, counts as the worst.
DIR/search.log keeps all trials: a search that was stopped goes on, and several processes share one.
Prints a Markdown table of all of them, and how much each argument explains; what is played now is
the first trial.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import torch
import tyro
from replay import Replay
from trials import all_of, best_of, explained, markdown, opened, play

from frenemy import recipes
from frenemy.choices import DeviceName, Precision
from frenemy.data import Dataset, open_dataset
from frenemy.engine import Engine, choose_device
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, arguments_of, vary
from frenemy.game import Game
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.model import set_up
from frenemy.sampling import generate, noise

WIDTHS = {"wide": tuple(round(0.1 * 1.1**i, 3) for i in range(25))}  # of kernels: .1 to 1
CHOOSING = 0.1  # of the validation images, which choose the width
AGAIN = (1, 2, 3)  # seeds
WORST = -1000.0  # the value of what blows up: noise has some -300


@dataclass(frozen=True)
class Between:
    """A number that is searched, by its logarithm; a whole one between whole ones."""

    low: float
    high: float


Searched = Mapping[str, Between | tuple[Any, ...]]
"""Of a recipe's arguments: ranges, and choices."""

SEARCHED: dict[str, Searched] = {
    "rbm": {
        "units": (500, 1000),
        "chain": ("cd", "pcd", "tempering"),
        "k": Between(1, 10),
        "rounds": (2500, 5000, 10_000),
        "rate": Between(0.005, 0.2),
        "fine_rate": Between(1e-4, 0.01),
        "steady": (0.2, 0.4, 0.6, 0.8),
        "momentum": (0.0, 0.5, 0.9),
        "decay": Between(1e-6, 1e-3),
        "minibatch": (20, 100),
    },
    "dbn": {  # some ten minutes of one core at most; tempering would take hours
        "layers": (2, 3),
        "units": (500, 1000),
        "top_units": (500, 1000, 2000),
        "chain": ("cd", "pcd"),
        "k": Between(1, 4),
        "rounds": (1000, 2500, 5000),
        "rate": Between(0.005, 0.2),
        "steady": (0.2, 0.4, 0.6, 0.8),
        "momentum": (0.0, 0.5, 0.9),
        "decay": Between(1e-6, 1e-3),
        "fine_tuning": (0, 1000, 2500, 5000),
        "fine_rate": Between(1e-4, 0.01),
        "sampling_steps": (50, 200, 1000),
    },
    "cae": {  # penalties below these give walks that soon are none of the data
        "units": (500, 1000),
        "penalty": Between(1.0, 4.0),
        "upper_penalty": Between(0.1, 2.0),
        "rate": Between(5e-4, 3e-3),
        "noise": Between(0.7, 6.0),
        "sampling_steps": (30, 100),  # fewer stay near the image that they started from
    },
    "gsn": {
        "noise": Between(0.5, 4.0),
        "salt": (0.2, 0.3, 0.4, 0.5),
        "walkback": (2, 4, 6),
        "rate": Between(0.05, 1.0),
        "sampling_steps": Between(5, 100),
    },
}


@dataclass(frozen=True)
class Search:
    """What a worker needs to know.

    Attributes:
        recipe: its name.
        data: a source of images, with a validation part.
        out: where the search is kept.
        epochs: of each trial, in all its stages; by default the recipe's.
        trials: how many there are to be.
        minutes: after these no trial begins.
        samples: of each trial.
        device, precision: of the arithmetic.
        seed: of the search; each worker has one of its own.
    """

    recipe: tyro.conf.Positional[str]
    data: Path
    out: Path
    epochs: float | None = None
    trials: int = 40
    minutes: float = math.inf
    samples: int = 10_000
    device: DeviceName = "cpu"
    precision: Precision = "float32"
    seed: int = 0

    @property
    def searched(self) -> Searched:
        """The ranges.

        Raises:
            FrenemyError: there are none of that recipe.
        """
        if self.recipe not in SEARCHED:
            raise FrenemyError(f"{self.recipe}: ranges are known of {', '.join(SEARCHED)}")
        return SEARCHED[self.recipe]

    def drawn(self, trial: optuna.Trial) -> dict[str, Any]:
        """A trial's arguments."""
        found: dict[str, Any] = {}
        for name, values in self.searched.items():
            if isinstance(values, tuple):
                found[name] = trial.suggest_categorical(name, values)
            elif isinstance(values.low, int) and isinstance(values.high, int):
                found[name] = trial.suggest_int(name, values.low, values.high, log=True)
            else:
                found[name] = trial.suggest_float(name, values.low, values.high, log=True)
        return found

    def experiment(self, data: Dataset, arguments: Mapping[str, Any], seed: int) -> Experiment:
        """The stages; where a trial has its epochs, so long that they are over after these."""
        experiment = set_up(vary(recipes.RECIPES[self.recipe], **arguments), data, seed)
        if self.epochs is None:
            return experiment
        share = self.epochs / sum(stage.epochs for stage in experiment.stages)
        stages = [replace(stage, epochs=share * stage.epochs) for stage in experiment.stages]
        return Experiment(stages, experiment.source)

    def value(self, trial: optuna.Trial, data: Dataset) -> float:
        """The Parzen log-likelihood of validation images."""
        begun, value = time.monotonic(), WORST
        try:
            value = self.played(self.drawn(trial), data)
        except (FrenemyError, torch.OutOfMemoryError) as error:
            trial.set_user_attr("error", str(error).splitlines()[0])
        finally:
            trial.set_user_attr("seconds", round(time.monotonic() - begun))
        return value

    def played(self, arguments: Mapping[str, Any], data: Dataset, seed: int = 0) -> float:
        """What a training with this seed comes to."""
        device, engine = choose_device(self.device), Engine(self.precision)
        experiment = self.experiment(data, arguments, seed)
        for number, stage in enumerate(experiment.stages):
            Replay(experiment, number, seed, device, engine).play(experiment.rounds(stage))
        return self.score(experiment.game, data)

    def score(self, game: Game, data: Dataset) -> float:
        """Of a game's samples; `WORST` of what is worse, or not finite."""
        if not all(p.isfinite().all() for net in game.nets.values() for p in net.parameters()):
            return WORST
        images = generate(game, data.facts, noise(game, self.samples, 1), self.samples, seed=1)
        valid, fake = (unit_pixels(x).to(game.device) for x in (data.valid.images, images))
        count = math.ceil(CHOOSING * len(valid))
        found = parzen(real=valid[count:], valid=valid[:count], fake=fake, grids=WIDTHS)["wide"]
        return max(WORST, found.found.value) if math.isfinite(found.found.value) else WORST

    def study(self) -> optuna.Study:
        """What is kept of it."""
        name = self.recipe if self.epochs is None else f"{self.recipe}, {self.epochs:g} epochs"
        return opened(self.out / "search.log", name, self.seed, "maximize")

    def work(self) -> None:
        """Plays trials until there are so many, or the time is over."""
        torch.set_num_threads(1)
        data = open_dataset(self.data)
        value = functools.partial(self.value, data=data)
        play(self.study(), value, self.trials, [self.now], self.minutes)

    @property
    def now(self) -> dict[str, Any]:
        """What is played without a search."""
        arguments = vars(arguments_of(recipes.RECIPES[self.recipe]))
        return {name: arguments[name] for name in self.searched}

    def confirmed(self, best: int) -> str:
        """What is played now and the best trials, with seeds that none of them has seen."""
        torch.set_num_threads(1)
        data, rows = open_dataset(self.data), []
        trials = [(str(t.number), t.params) for t in best_of(self.study())[:best]]
        for name, arguments in [("now", self.now), *trials]:
            found = [self.played(arguments, data, seed) for seed in AGAIN]
            error = statistics.stdev(found) / math.sqrt(len(found))
            mean = f"{statistics.mean(found):.1f} ± {error:.1f}"
            rows.append([name, mean, *(arguments[key] for key in self.searched)])
            print(f"{name}: {mean}", flush=True)
        return markdown(["trial", "Parzen", *self.searched], rows)


def table(study: optuna.Study) -> str:
    """All trials, the best first, and how much each argument explains."""
    done = best_of(study)
    trials, names = all_of(study)
    rows = [
        [
            t.number,
            t.user_attrs.get("error", f"{t.value:.1f}" if t in done else t.state.name),
            t.user_attrs.get("seconds", ""),
            *(t.params.get(name, "") for name in names),
        ]
        for t in trials
    ]
    return f"{markdown(['trial', 'Parzen', 'seconds', *names], rows)}\n\n{explained(study)}"


def main(search: tyro.conf.OmitArgPrefixes[Search], workers: int = 1, confirm: int = 0) -> None:
    """Plays trials until there are so many, and prints the table.

    Args:
        search: what is searched.
        workers: processes that share the search.
        confirm: so many of the best trials, and what is played now, are played again with three
            other seeds.
    """
    search.searched  # refuses other recipes  # noqa: B018
    search.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in [
            pool.submit(replace(search, seed=search.seed + n).work) for n in range(workers)
        ]:
            done.result()
    print(table(search.study()))
    if confirm:
        print(f"\n{search.confirmed(confirm)}")


if __name__ == "__main__":
    tyro.cli(main)
