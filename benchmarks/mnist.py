"""How the Parzen log-likelihood of a game grows with its rounds, and whether it copies.

    python benchmarks/mnist.py RUN --every 300 --out docs/results/RUN.jsonl

Looks at a run's newest checkpoint every so many seconds while it trains, judges it on the default
and the authors' grid with 10,000 samples, and appends a JSON line. Judging takes processor time
from the training beside it: seconds are the training's own.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from frenemy import checkpoint
from frenemy.judge.table import parzen_table
from frenemy.model import Model


def main(run: Annotated[Path, Positional], every: float = 300.0, out: Path | None = None) -> None:
    """Judges a run again and again until its training ends.

    Args:
        run: a run's directory.
        every: seconds between two looks.
        out: where the JSON lines go; RUN/curve.jsonl.
    """
    out = out or run / "curve.jsonl"
    last = -1
    while True:
        model = Model.load(run)
        if model.step == last:
            break
        loaded = checkpoint.load(model.run)
        assert loaded is not None
        parts = model.data()
        rows = parzen_table(
            name=str(run),
            fake=model.sample(10_000),
            train=model.as_seen(parts.train.random(10_000, seed=0)),
            valid=model.as_seen(parts.valid.images[:1000]),
            test=model.as_seen(parts.test.images[:10_000]),
        )
        del rows[2:]
        last = model.step
        row = {
            "step": last,
            "seconds": round(loaded[1].seconds),
            **{row.grid: [round(row.result.value, 1), round(row.result.error, 1)] for row in rows},
        }
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
        time.sleep(every)


if __name__ == "__main__":
    tyro.cli(main)
