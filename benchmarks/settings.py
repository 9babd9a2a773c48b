"""Which settings of `mnist` are best, judged by validation images alone.

    python benchmarks/settings.py --data MNIST --steps 5000 --out docs/results/mnist-settings.jsonl
    python benchmarks/settings.py --data MNIST --steps 10000 30000 --only 2 8 --out ...

Varies one argument of the recipe at a time from where it stood, trains each for as many rounds,
and reports the Parzen log-likelihood of all validation images but the first 1,000, which choose
sigma. No test image is looked at. Appends a JSON line for each score; what is there is not run
again.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro

from frenemy import recipes, train
from frenemy.begin import resume
from frenemy.data import Dataset, open_dataset
from frenemy.judge.parzen import GRIDS, parzen, unit_pixels
from frenemy.model import Model

GRID = {"default": GRIDS["default"]}
START: dict[str, float] = {"gamma": 0.3, "rate": 1e-3, "steady": 10_000, "averaging": 0.9999}
VARIATIONS: dict[str, tuple[float, ...]] = {
    "gamma": (0.1, 1.0, 3.0),
    "rate": (5e-4, 2e-3),
    "averaging": (0.9995,),
}


AFTER: dict[str, float] = {**START, "gamma": 1.0}  # the best of these, from which it goes on
FURTHER: dict[str, tuple[float, ...]] = {"steady": (2500, 1000, 300, 4000), "averaging": (0.9995,)}


def candidates() -> Iterator[dict[str, float]]:
    """Where the search starts, that with one argument changed, and the same from its best."""
    yield START
    for start, variations in ((START, VARIATIONS), (AFTER, FURTHER)):
        for name, values in variations.items():
            yield from ({**start, name: value} for value in values)


def play(
    data: Dataset, arguments: dict[str, float], steps: Sequence[int], seed: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The scores of one run after these numbers of rounds."""
    valid = unit_pixels(data.valid.images)
    recipe = recipes.vary(recipes.mnist, **arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        for step in sorted(steps):
            if path.exists():
                resume(path, data=data, steps=step)
            else:
                train(recipe, data, out=path, steps=step, seed=seed)
            fake = unit_pixels(Model.load(path).sample(10_000))
            score = parzen(real=valid[1000:], valid=valid[:1000], fake=fake, grids=GRID)["default"]
            found = {"value": score.found.value, "error": score.of_images, "sigma": score.sigma}
            yield step, found


def main(
    data: Path,
    out: Path,
    steps: tuple[int, ...] = (5000,),
    seeds: tuple[int, ...] = (100,),
    only: tuple[int, ...] = (),
) -> None:
    """Trains and scores every candidate.

    Args:
        data: MNIST's IDX files.
        out: where the JSON lines go.
        steps: rounds after which each run is scored.
        seeds: of the runs.
        only: numbers of the candidates, from 0; all if none is given.
    """
    images = open_dataset(data)
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    done = [{**json.loads(line), "score": None} for line in lines]
    for seed, (i, arguments) in itertools.product(seeds, enumerate(candidates())):
        rows = [{"arguments": arguments, "steps": n, "seed": seed, "score": None} for n in steps]
        wanted = [row["steps"] for row in rows if row not in done]
        if not wanted or (only and i not in only):
            continue
        for step, score in play(images, arguments, wanted, seed):
            row = {"arguments": arguments, "steps": step, "seed": seed, "score": score}
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    tyro.cli(main)
