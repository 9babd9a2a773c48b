"""What `pictures` should play in so much time: a search on validation pictures.

    python benchmarks/search.py --data fer2013 animals --minutes 8 --confirm cifar10 --out DIR

Each trial plays the same arguments on every set; its value is the mean over sets of the logarithm
of the kernel distance, in `lite0` features, from the validation pictures. One that lies above the
median of those before it on the first set, when all of its rounds there are over, is pruned:
halfway, while rates are high, what will be good does not look it.
DIR/search.log keeps all trials: a search that was stopped goes on, and several processes, begun
with seeds of their own, share one. Prints a Markdown table of all, the best first, and how much
each argument explains.

Minutes are of one core's own time, as a few rounds cost it: so trials may share a machine with
other work. Two cores of a quiet machine do in 5 minutes what one does in 8. The first trials are
what is played now, and what differs from it in one argument.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
import tyro
from torch import Tensor
from trials import all_of, best_of, explained, markdown, opened, play

from frenemy import Model, recipes, train
from frenemy.choices import Precision
from frenemy.data import Dataset, open_dataset
from frenemy.engine import Engine
from frenemy.experiment import Recipe, vary
from frenemy.judge.features import Features, extract, in_batches
from frenemy.judge.kernel import kid
from frenemy.judge.named_features import features_named
from frenemy.model import set_up
from frenemy.training import NotFinite

SAMPLES = 2000
TIMED = range(4, 36)  # the rounds that are timed: two of those with penalties, if there are any
NOW = {"width": 32, "rate": 1.5e-3, "objective": "pairing", "minibatch": 32, "normalised": True}
BESIDE: tuple[dict[str, Any], ...] = (
    {"width": 24},
    {"rate": 3e-3},
    {"objective": "hinge"},
    {"minibatch": 64},
    {"width": 48},
    {"objective": "nonsaturating"},
    {"rate": 7e-4},
)
"""What the first trials change of it, one argument each."""
WORST = 100.0  # the kernel distance of a game that blows up


def drawn(trial: optuna.Trial) -> dict[str, Any]:
    """A trial's arguments of `pictures`."""
    found: dict[str, Any] = {
        "width": trial.suggest_categorical("width", [16, 24, 32, 48, 64]),
        "rate": trial.suggest_float("rate", 2e-4, 4e-3, log=True),
        "objective": trial.suggest_categorical("objective", ["nonsaturating", "pairing", "hinge"]),
        "minibatch": trial.suggest_categorical("minibatch", [16, 32, 64]),
        "normalised": trial.suggest_categorical("normalised", [True, False]),
    }
    if not found["normalised"]:
        found["gamma"] = trial.suggest_float("gamma", 1e-3, 1.0, log=True)
        found["penalty_every"] = trial.suggest_categorical("penalty_every", [4, 16])
    return found


@dataclass(frozen=True)
class Limit:
    """How long a trial plays on each set, and how.

    Attributes:
        minutes: of one core's own time; precision: of its products.
    """

    minutes: float
    precision: Precision


def rounds_within(limit: Limit, recipe: Recipe, data: Dataset) -> int:
    """How many rounds of a recipe's game take so long."""
    experiment, engine = set_up(recipe, data, seed=0), Engine(limit.precision)
    game = experiment.to(torch.device("cpu"), 0)
    for player in game.players.values():
        engine.lay_out(player.net)
    streams = experiment.minibatch(game, 0, torch.device("cpu"))
    begun = time.process_time()
    for step in range(TIMED.stop):
        game.play(streams, seed=0, step=step, engine=engine)
        if step < TIMED.start:  # the first ones allocate
            begun = time.process_time()
    return max(1, int(60 * limit.minutes * len(TIMED) / (time.process_time() - begun)))


class Judged:
    """A set of pictures, and the features of its validation pictures.

    Args:
        data: the set; features: by which distances are taken.
    """

    def __init__(self, data: Dataset, features: Features) -> None:
        self.data, self._features = data, features
        self._real = extract(features, data.valid.random(SAMPLES, seed=0)).features

    def distance(self, images: np.ndarray) -> float:
        """The logarithm of the kernel distance, which may be 0 but for what its error allows."""
        seen: Tensor = in_batches(
            self._features.network, images, batch=self._features.batch
        ).features
        found = kid(real=self._real, fake=seen)
        return math.log(max(found.value, found.error))


def played(
    arguments: Mapping[str, Any],
    judged: Judged,
    limit: Limit,
    place: Path,
) -> tuple[float, int]:
    """The logarithm of the kernel distance that these arguments come to, and the images seen."""
    recipe = vary(recipes.pictures, **arguments)
    try:
        rounds = rounds_within(limit, recipe, judged.data)
        train(
            recipe,
            judged.data,
            steps=rounds,
            precision=limit.precision,
            keep_best="none",
            out=place,
        )
        model = Model.load(place)
        seen = model.progress.step * model.game.minibatch
        return judged.distance(model.sample(SAMPLES, seed=1)), seen
    finally:
        shutil.rmtree(place, ignore_errors=True)


def value(trial: optuna.Trial, sets: dict[str, Judged], limit: Limit, out: Path) -> float:
    """The mean over sets of the logarithm of the kernel distance."""
    arguments, found = drawn(trial), list[float]()
    for name, judged in sets.items():
        if trial.should_prune():
            raise optuna.TrialPruned
        try:
            distance, seen = played(arguments, judged, limit, out / f"trial-{trial.number}-{name}")
            trial.set_user_attr(f"images {name}", seen)
        except NotFinite as error:
            trial.set_user_attr("error", str(error))
            distance = math.log(WORST)
        found.append(distance)
        trial.set_user_attr(name, math.exp(distance))
        trial.report(distance, len(found))
    return float(np.mean(found))


def confirmed(study: optuna.Study, judged: Judged, limit: Limit, out: Path) -> str:
    """What is played now and the best trials, on a set that none of them has seen."""
    rows = []
    best = [(str(t.number), t.params) for t in best_of(study) if t.params != NOW]
    for name, arguments in [("now", NOW), *best[:3]]:
        try:
            distance, seen = played(arguments, judged, limit, out / f"confirmed-{os.getpid()}")
            row = [name, math.exp(distance), f"{seen:,}", arguments]
        except NotFinite as error:
            row = [name, str(error), "", arguments]
        rows.append(row)
        print(*row, flush=True)
    return markdown(["trial", "kid", "images", "arguments"], rows)


def table(study: optuna.Study, sets: list[str]) -> str:
    """All trials, the best first, and how much of their variance each argument explains."""
    trials, names = all_of(study)
    kids, seen = [f"kid {name}" for name in sets], [f"images {name}" for name in sets]
    rows = [
        [
            t.number,
            *(t.user_attrs.get(name, "") for name in sets),
            *(f"{t.user_attrs[name]:,}" if name in t.user_attrs else "" for name in seen),
            *(t.params.get(name, "") for name in names),
        ]
        for t in trials
    ]
    return f"{markdown(['trial', *kids, *seen, *names], rows)}\n\n{explained(study)}"


def main(
    data: tuple[Path, ...],
    out: Path,
    minutes: float = 8.0,
    trials: int = 40,
    size: int = 32,
    features: str = "lite0",
    precision: Precision = "float32",
    seed: int = 0,
    confirm: Path | None = None,
) -> None:
    """Plays trials until there are so many, and prints the table.

    Args:
        data: sources of images, each with a validation part.
        out: where the search is kept.
        minutes: of one core's time, that a trial may take on each set.
        trials: how many there are to be in all.
        size: of the images.
        features: by which the judge compares.
        precision: in which all trials are played.
        seed: of the search.
        confirm: another source, on which the best trials and what is played now are compared.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    kind = features_named(features)
    sets = {place.name: Judged(open_dataset(place, size=size), kind) for place in data}
    limit = Limit(minutes, precision)
    study = opened(out / "search.log", f"{minutes:g} minutes", seed)
    first = NOW, *(NOW | change for change in BESIDE)
    play(study, lambda trial: value(trial, sets, limit, out), trials, first)
    print(table(study, [*sets]))
    if confirm is not None:
        other = Judged(open_dataset(confirm, size=size), kind)
        print(f"\n{confirm.name}:\n{confirmed(study, other, limit, out)}")


if __name__ == "__main__":
    tyro.cli(main)
