"""Which settings of `mnist` are best, judged by validation images alone.

    python benchmarks/settings.py --data MNIST --steps 5000 --out docs/results/mnist-settings.jsonl

Varies one argument of the recipe at a time from where it stood, trains each for as many rounds,
and reports the Parzen log-likelihood of all validation images but the first 1,000, which choose
sigma. No test image is looked at. Appends a JSON line for each run; what is there is not run again.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from frenemy import recipes, train
from frenemy.data import Dataset, open_dataset
from frenemy.judge.parzen import GRIDS, parzen, unit_pixels
from frenemy.model import Model

START: dict[str, float] = {"gamma": 0.3, "rate": 1e-3, "steady": 10_000, "averaging": 0.9999}
VARIATIONS: dict[str, tuple[float, ...]] = {
    "gamma": (0.1, 1.0, 3.0),
    "rate": (5e-4, 2e-3),
    "averaging": (0.9995,),
}


AFTER: dict[str, float] = {**START, "gamma": 1.0}  # the best of these, from which it goes on
FURTHER: dict[str, tuple[float, ...]] = {"steady": (2500, 1000, 300)}


def candidates() -> Iterator[dict[str, float]]:
    """Where the search starts, that with one argument changed, and the same from its best."""
    yield START
    for start, variations in ((START, VARIATIONS), (AFTER, FURTHER)):
        for name, values in variations.items():
            yield from ({**start, name: value} for value in values)


def measure(data: Dataset, arguments: dict[str, float], steps: int, seed: int) -> dict[str, Any]:
    """The score of one run."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = functools.partial(recipes.mnist, **arguments)
        run = train(recipe, data, out=Path(folder) / "run", steps=steps, seed=seed)
        fake = Model.load(run.path).sample(10_000)
    valid = unit_pixels(data.valid.images)
    score = parzen(
        real=valid[1000:], valid=valid[:1000], fake=unit_pixels(fake), sigmas=GRIDS["default"]
    )
    return asdict(score)


def main(data: Path, out: Path, steps: int = 5000, seeds: tuple[int, ...] = (100,)) -> None:
    """Trains and scores every candidate.

    Args:
        data: MNIST's IDX files.
        out: where the JSON lines go.
        steps: rounds of each run.
        seeds: of the runs.
    """
    images = open_dataset(data)
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    done = [{**json.loads(line), "score": None} for line in lines]
    for seed in seeds:
        for arguments in candidates():
            row = {"arguments": arguments, "steps": steps, "seed": seed, "score": None}
            if row in done:
                continue
            row["score"] = measure(images, arguments, steps, seed)
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    tyro.cli(main)
