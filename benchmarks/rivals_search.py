"""What the rivals should play: a search by the Parzen log-likelihood of validation images.

    python benchmarks/rivals_search.py --data MNIST --recipe dbn --seconds 900 --out DIR

Trials are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011, Algorithms for
Hyper-Parameter Optimization) from the ranges below, which state what the papers leave open; the
first is the recipe's default. Each is trained whole, by `replay.py`, and draws 10,000 samples; the
width is chosen on the first 1,000 validation images, and the value is the log-likelihood of the
next 4,000. Test images are not looked at. DIR/RECIPE.log keeps all trials: a search that was
stopped goes on, and several processes, begun with seeds of their own, share one. Prints a Markdown
table of the best trials, with how many there were, and draws DIR/RECIPE.png: samples of the best.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import torch
import tyro
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from replay import Replay

from frenemy import recipes
from frenemy.data import Dataset, open_dataset
from frenemy.engine import Engine, choose_device
from frenemy.errors import FrenemyError
from frenemy.experiment import arguments_of, vary
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.model import set_up
from frenemy.pictures import save_picture, shown
from frenemy.sampling import generate, noise

SAMPLES, CHOOSING, VALUED = 10_000, 1000, 4000
WORST = -1000.0  # nats: of what diverges

Ranges = dict[str, Callable[[optuna.Trial, str], Any]]


def among(*values: Any) -> Callable[[optuna.Trial, str], Any]:
    return lambda trial, name: trial.suggest_categorical(name, values)


def between(low: float, high: float) -> Callable[[optuna.Trial, str], float]:
    return lambda trial, name: trial.suggest_float(name, low, high, log=True)


RANGES: dict[str, Ranges] = {
    "rbm": {
        "units": among(500, 1000, 2000),
        "chain": among("cd", "pcd", "tempering"),
        "k": among(1, 5, 20),
        "rate": between(1e-3, 0.1),
        "decay": between(1e-5, 1e-3),
        "sampling_steps": among(50, 200, 1000),
    },
    "dbn": {
        "layers": among(2, 3),
        "units": among(500, 1000),
        "top_units": among(500, 1000, 2000),
        "chain": among("cd", "pcd"),
        "k": among(1, 5),
        "rate": between(1e-3, 0.1),
        "pretraining": among(10.0, 30.0, 100.0),
        "fine_tuning": among(0.0, 10.0, 30.0),
        "fine_rate": between(1e-4, 1e-2),
        "sampling_steps": among(20, 200, 1000),
    },
    "cae": {
        "layers": among(1, 2),
        "units": among(500, 1000, 2000),
        "penalty": between(1e-3, 1.0),
        "rate": between(1e-4, 1e-2),
        "layer_epochs": among(10.0, 30.0, 50.0, 100.0),
        "noise": between(0.1, 10.0),
        "sampling_steps": among(20, 100),
    },
}


def log_likelihood(
    name: str, changes: dict[str, Any], data: Dataset, seed: int, device: torch.device, out: Path
) -> float:
    """That of validation images, after the whole training; a strip of samples goes to `out`."""
    experiment = set_up(vary(recipes.RECIPES[name], **changes), data, seed)
    for number, stage in enumerate(experiment.stages):
        replay = Replay(experiment, number, seed, device, Engine())
        record = replay.play(experiment.rounds(stage))
        if not all(value.isfinite() for value in record.values()):
            raise FrenemyError(f"stage {number} is not finite after {replay.step} rounds")
    images = generate(experiment.game, data.facts, noise(experiment.game, SAMPLES, 0), SAMPLES)
    save_picture(shown(images[:20], columns=20), out)
    valid = unit_pixels(data.valid.images[: CHOOSING + VALUED]).to(device)
    fake = unit_pixels(images).to(device)
    found = parzen(real=valid[CHOOSING:], valid=valid[:CHOOSING], fake=fake)
    return found["default"].found.value


def table(study: optuna.Study, count: int = 15) -> str:
    """The best trials of all that ended."""
    done = [t for t in study.trials if t.state == TrialState.COMPLETE and t.value is not None]
    best = sorted(done, key=lambda t: -(t.value or 0.0))[:count]
    names = list(dict.fromkeys(name for t in best for name in t.params))
    lines = [
        f"{len(done)} trials, {sum(t.value == WORST for t in done)} of which diverged; the best:\n",
        f"| trial | nats | seconds | {' | '.join(names)} |",
        "| --- " * (3 + len(names)) + "|",
    ]
    for t in best:
        cells = [f"{v:.3g}" if isinstance(v := t.params.get(n, ""), float) else v for n in names]
        seconds = t.user_attrs["seconds"]
        lines.append(f"| {t.number} | {t.value:.1f} | {seconds} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main(
    data: Path,
    recipe: str,
    out: Path,
    seconds: float = 900.0,
    seed: int = 0,
    changes: tuple[str, ...] = (),
) -> None:
    """Searches until no trial would end in time, and prints the table.

    Args:
        data: MNIST; recipe: whose arguments; out: a folder.
        seconds: in which trials are begun.
        seed: of the search; the trials' own is 0.
        changes: NAME=VALUE of arguments that are not searched.
    """
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    source, device = open_dataset(data), choose_device("auto")
    ranges = RANGES[recipe]
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(out / f"{recipe}.log"))),
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        study_name=recipe,
        direction="maximize",
        load_if_exists=True,
    )
    if not study.trials:
        now = asdict(arguments_of(recipes.RECIPES[recipe]))
        study.enqueue_trial({name: now[name] for name in ranges})
    fixed = {k: json.loads(v) for k, v in (pair.split("=") for pair in changes)}

    def value(trial: optuna.Trial) -> float:
        drawn = {name: suggest(trial, name) for name, suggest in ranges.items()}
        begun, found = time.monotonic(), WORST
        try:
            strip = out / f"{recipe}-{trial.number}.png"
            found = log_likelihood(recipe, drawn | fixed, source, 0, device, strip)
        except FrenemyError as error:
            trial.set_user_attr("error", str(error))
        trial.set_user_attr("seconds", round(time.monotonic() - begun, 1))
        print(trial.number, found, drawn, trial.user_attrs, flush=True)
        return found if math.isfinite(found) else WORST

    study.optimize(value, timeout=seconds)
    print(table(study))


if __name__ == "__main__":
    tyro.cli(main)
