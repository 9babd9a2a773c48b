"""How many modes do the standard game and its cures catch, over seeds?

    python benchmarks/collapse.py --out docs/results/collapse.jsonl

The ring of 8 and the grid of 25, 100,000 points of each; 2,500 samples are judged. One row a run is
appended to the file, so that what was interrupted goes on where it stopped, and a table is printed
of all that is there. Our best game comes first.

The published rows are of Lin et al. (2018), PacGAN: 400 epochs of minibatch 100 (400,000 rounds),
Adam 1e-4 with b1 .8, z normal, G of four layers of 400 with batch normalisation, D of three of 200
maxout units. The games here are smaller and shorter, 67 epochs of minibatch 256, and the standard
game's G and D are ours: see `frenemy.lab.cures`. Settings were chosen on seeds from 100 on.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import tyro

from frenemy.game import mix
from frenemy.judge.modes import quality_ceiling
from frenemy.lab.cures import CURES, SAMPLES, TARGETS, Cure, game

PUBLISHED = {  # modes, high quality in %, reverse KL, as printed
    "ring": {
        "GAN": ("6.3 ± 0.5", "98.2", "0.45"),
        "ALI": ("6.6 ± 0.3", "97.6", "0.36"),
        "PacGAN2": ("7.9 ± 0.1", "95.6", "0.07"),
        "PacGAN3": ("7.8 ± 0.1", "97.7", "0.10"),
        "PacGAN4": ("7.8 ± 0.1", "95.9", "0.07"),
    },
    "grid": {
        "GAN": ("17.3 ± 0.8", "94.8", "0.70"),
        "ALI": ("24.1 ± 0.4", "95.7", "0.14"),
        "PacGAN2": ("23.8 ± 0.7", "91.3", "0.13"),
        "PacGAN3": ("24.6 ± 0.4", "94.2", "0.06"),
        "PacGAN4": ("24.8 ± 0.2", "93.6", "0.04"),
    },
}
Row = dict[str, Any]


def play(cure: Cure, data: str, seed: int, rounds: int) -> Row:
    """One game, and what its samples are."""
    started, cpu = time.perf_counter(), time.process_time()
    target = TARGETS[data]
    players, minibatch = game(cure, seed=seed, rounds=rounds), target.minibatches(seed)
    for step in range(rounds):
        players.play(minibatch, seed=seed, step=step)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    found = target.judge(target.generated(players, SAMPLES, mix(seed, 5)))
    assert found.quality is not None
    return {
        "game": cure,
        "data": data,
        "seed": seed,
        "rounds": rounds,
        "modes": found.caught.value,
        "quality": round(found.quality.value, 5),
        "reverse_kl": round(found.reverse_kl.value, 5),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "threads": torch.get_num_threads(),
    }


def table(rows: list[Row]) -> str:
    """Markdown: means ± standard errors over seeds, and the published rows."""
    lines = []
    for data, target in TARGETS.items():
        total = len(target.centres)
        lines += [
            f"{data} of {total}; exact samples: {quality_ceiling(2):.3%} of high quality",
            "",
            "| game | seeds | modes | all caught, HQ ≥ 97 % | HQ % | reverse KL | CPU s a seed |",
            "|---|---|---|---|---|---|---|",
        ]
        for cure in CURES:
            runs = [row for row in rows if row["data"] == data and row["game"] == cure]
            if not runs:
                continue
            won = sum(row["modes"] == total and row["quality"] >= 0.97 for row in runs)
            cells = [
                _mean([row["modes"] for row in runs], 1),
                f"{won} of {len(runs)}",
                _mean([100 * row["quality"] for row in runs], 2),
                _mean([row["reverse_kl"] for row in runs], 3),
                f"{statistics.mean(row['cpu_seconds'] for row in runs):.0f}",
            ]
            lines.append(f"| {cure} | {len(runs)} | {' | '.join(cells)} |")
        for name, (modes, quality, kl) in PUBLISHED[data].items():
            lines.append(f"| {name}, published | 10 | {modes} | | {quality} | {kl} | |")
        lines.append("")
    return "\n".join(lines)


def _mean(values: list[float], places: int) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.{places}f} ± {error:.{places}f}"


def main(
    out: Path,
    rounds: int = 26_000,
    seeds: int = 10,
    first: int = 0,
    games: tuple[Cure, ...] = ("ours", *(cure for cure in CURES if cure != "ours")),
    data: tuple[str, ...] = tuple(TARGETS),
    threads: int = 2,
) -> None:
    """Plays what is not in the file yet, and prints the table of all that is.

    Args:
        out: JSON lines, one a run.
        rounds: of each game.
        seeds: how many.
        first: of the seeds.
        games: which, in this order.
        data: ring, grid or both.
        threads: of the processor.
    """
    torch.set_num_threads(threads)
    rows = (
        [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []
    )
    done = {(row["game"], row["data"], row["seed"]) for row in rows if row["rounds"] == rounds}
    for cure, seed, name in itertools.product(games, range(first, first + seeds), data):
        if (cure, name, seed) in done:
            continue
        row = play(cure, name, seed, rounds)
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(table([row for row in rows if row["rounds"] == rounds]))


if __name__ == "__main__":
    tyro.cli(main)
