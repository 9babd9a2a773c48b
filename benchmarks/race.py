"""Recipes against each other: one source, equal minutes, equal threads, several seeds, one judge.

    python benchmarks/race.py --data SOURCE --size 32 --minutes 5 --seeds 0 1 2 --out DIR

Runs go to DIR/RECIPE-DATA-PIXELS-MINUTES-PRECISION-THREADS-SEED and are gone on with where they
were stopped; a line is added to DIR/race.jsonl as soon as a run is judged, and what is there
already is not played again. Prints a Markdown table: the mean over seeds and its standard error (of
a single seed, the judge's); and draws DIR/race.png, eight samples of each run, a row for each.

A recipe, or a variant of `pictures` (variants.py), is named with arguments of its own as
`dcgan:width=32,rate=0.0004`: numbers and booleans as JSON has them. Features are named as
`--features` of `frenemy judge` takes them, or `lite0-96`: at so many pixels.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from features import kind_named
from variants import VARIANTS

from frenemy import recipes, resume, train
from frenemy.choices import PrecisionName
from frenemy.data import Dataset, open_dataset
from frenemy.experiment import Recipe, vary
from frenemy.judge.sets import SAMPLES
from frenemy.judging import Protocol, judge
from frenemy.judging_runs import target_of
from frenemy.model import Model
from frenemy.pictures import save_picture, shown

METRICS = ("kid", "fid", "precision", "recall", "copying")
SHOWN = 8  # samples of each run


def named(name: str) -> Recipe:
    """The recipe of a name, with the arguments behind a colon."""
    word, _, given = name.partition(":")
    changes = dict(pair.split("=") for pair in given.split(",") if pair)
    recipe = {**recipes.RECIPES, **VARIANTS}[word]
    return vary(recipe, **{key: _value(text) for key, text in changes.items()})


def _value(text: str) -> str | float:
    try:
        return json.loads(text)
    except ValueError:
        return text


def played(name: str, data: Dataset, place: Path, **settings: Any) -> Model:
    """The run of a recipe to its end, begun or gone on with."""
    if (place / "run.json").exists():
        resume(place, recipe=named(name), data=data)
    else:
        train(named(name), data, out=place, checkpoint_seconds=60.0, **settings)
    return Model.load(place, recipe=named(name))


def judged(model: Model, data: Dataset, features: tuple[str, ...], samples: int) -> dict[str, Any]:
    """What the judge says of a run's samples."""
    kinds = [kind_named(name) for name in features]
    protocol = Protocol(metrics=METRICS, features=kinds, samples=samples)
    report = judge(target_of(model, samples, 0, data), data, protocol).report
    found = {
        line.metric: [line.results[SAMPLES].value, line.results[SAMPLES].error]
        for line in report.lines
        if SAMPLES in line.results
    }
    seen = model.progress.step * model.game.minibatch * model.game.turns[0].steps
    return {"images": seen, "seconds": round(model.progress.seconds, 1), "found": found}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows of each recipe and length as one."""
    metrics = list(dict.fromkeys(name for row in rows for name in row["found"]))
    lines = [
        f"| recipe | data | minutes | seeds | images seen | {' | '.join(metrics)} |",
        "| --- " * (5 + len(metrics)) + "|",
    ]
    keys = list(dict.fromkeys((row["recipe"], row["data"], row["minutes"]) for row in rows))
    for recipe, data, minutes in sorted(keys, key=lambda key: (key[1], key[2])):
        mine = [
            x for x in rows if (x["recipe"], x["data"], x["minutes"]) == (recipe, data, minutes)
        ]
        cells = []
        for metric in metrics:
            pairs = np.array([x["found"].get(metric, [math.nan] * 2) for x in mine])
            spread = (
                pairs[:, 0].std(ddof=1) / math.sqrt(len(mine)) if len(mine) > 1 else pairs[0, 1]
            )
            cells.append(f"{pairs[:, 0].mean():.4g} ± {spread:.2g}")
        images = f"{np.mean([x['images'] for x in mine]):,.0f}"
        lines.append(
            f"| `{recipe}` | {data} | {minutes:g} | {len(mine)} | {images} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main(
    data: Path,
    out: Path,
    minutes: float = 5.0,
    recipe: tuple[str, ...] = ("pictures", "dcgan", "wgan_gp", "sngan"),
    seeds: tuple[int, ...] = (0, 1, 2),
    size: int | None = None,
    features: tuple[str, ...] = ("lite0", "random"),
    samples: int = 2000,
    precision: PrecisionName = "auto",
    threads: int = 0,
) -> None:
    """Plays what is not played yet, and prints the table.

    Args:
        data: any source of images; out: a folder for runs and results.
        minutes: each run's.
        recipe: what runs against what.
        seeds: of each recipe's runs.
        size: of the images.
        features: by which the judge compares; the first is what counts.
        samples: of each run.
        precision: as `frenemy train` takes it.
        threads: of torch; 0: as many as it takes.
    """
    if threads:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    source, file = open_dataset(data, size=size), out / "race.jsonl"
    same: dict[str, Any] = {"data": data.name, "pixels": list(source.facts.shape[1:])}
    same |= {"minutes": minutes, "precision": precision, "threads": torch.get_num_threads()}
    protocol = {"samples": samples, "features": list(features)}
    rows = (
        [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    )
    sheet = []
    for seed in seeds:
        for name in recipe:
            key = {"recipe": name, **same, "seed": seed}
            pixels, threads = "x".join(map(str, same["pixels"])), same["threads"]
            words = name.replace(":", "-"), data.name, pixels, f"{minutes:g}", precision, threads
            place = out / "-".join(map(str, (*words, seed)))
            if not any((key | protocol).items() <= row.items() for row in rows):
                how = {"minutes": minutes, "seed": seed, "precision": precision}
                model = played(name, source, place, **how)
                row = {**key, **protocol, **judged(model, source, features, samples)}
                with file.open("a", encoding="utf-8") as opened:
                    opened.write(json.dumps(row) + "\n")
                rows.append(row)
                print(json.dumps(row), flush=True)
            sheet.append(Model.load(place, recipe=named(name)).sample(SHOWN, seed=1))
    save_picture(shown(np.concatenate(sheet), columns=SHOWN), out / "race.png")
    print(table([row for row in rows if (same | protocol).items() <= row.items()]))


if __name__ == "__main__":
    tyro.cli(main)
