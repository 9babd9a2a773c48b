"""How the Parzen log-likelihood of a run grows with its rounds, and whether the run copies.

    python benchmarks/likelihood.py RUN --every 300 --out docs/results/mnist.jsonl

Looks at a run's newest checkpoint every so many seconds while it trains, judges it on both grids
with 10,000 samples, compares 1,000 samples and 1,000 test images with the training images, and
appends a JSON line. Judging takes processor time from the training; the seconds are the training's.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from frenemy.judge.neighbours import QUANTILES, compare_with_training
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.model import Model


def look(run: Path) -> dict[str, object]:
    """The measurements of the newest checkpoint."""
    model = Model.load(run)
    parts = model.data()
    fake, test = model.sample(10_000), model.as_seen(parts.test.images[:10_000])
    results = parzen(
        real=unit_pixels(test),
        valid=unit_pixels(model.as_seen(parts.valid.images[:1000])),
        fake=unit_pixels(fake),
    )
    train = model.as_seen(parts.train.images)
    near = compare_with_training(fake=fake[:1000], train=train, test=test[:1000])
    return {
        "step": model.progress.step,
        "seconds": round(model.progress.seconds),
        **{
            grid: [round(p.found.value, 1), round(p.of_images, 1), p.sigma]
            for grid, p in results.items()
        },
        "distance quantiles": list(QUANTILES),
        "samples": [round(d, 2) for d in near.fake],
        "test images": [round(d, 2) for d in near.test],
    }


def main(run: Annotated[Path, Positional], out: Path, every: float = 300.0) -> None:
    """Judges a run again and again until it has come no further.

    Args:
        run: a run's directory.
        out: where the JSON lines go.
        every: seconds between two looks.
    """
    last = None
    while (row := look(run))["step"] != last:
        last = row["step"]
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
        time.sleep(every)


if __name__ == "__main__":
    tyro.cli(main)
