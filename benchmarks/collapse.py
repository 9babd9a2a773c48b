"""How many modes do the standard game and its cures catch, over seeds?

    python benchmarks/collapse.py --out docs/results/collapse.jsonl

The ring of 8 and the grid of 25, 100,000 points of each; 2,500 samples are judged. One row a run is
appended to the file, so that what was interrupted goes on where it stopped, and a table is printed
of all that is there.

The games here are smaller and shorter than the published ones, 82 epochs of minibatch 256, and all
have the G, D, rates and average of ours: see `frenemy.lab.cures`. Settings were chosen on seeds
from 100 on.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import tyro

from frenemy.engine import prepare_processor
from frenemy.game import mix
from frenemy.judge.modes import quality_ceiling
from frenemy.lab.cures import CURES, Cure, game
from frenemy.lab.mixtures import PUBLISHED, SAMPLES, TARGETS

Row = dict[str, Any]


def play(cure: Cure, data: str, seed: int, rounds: int) -> Row:
    """One game, and what its samples are."""
    started, cpu = time.perf_counter(), time.process_time()
    target = TARGETS[data]
    players = game(cure, seed=seed, rounds=rounds)
    minibatch = target.minibatches(seed, players.minibatch)
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
    mean = f"{statistics.mean(values):.{places}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.{places}f}"


def main(
    out: Path,
    rounds: int = 32_000,
    seeds: int = 10,
    first: int = 0,
    games: tuple[Cure, ...] = CURES,
    data: tuple[str, ...] = tuple(TARGETS),
    workers: int = 2,
) -> None:
    """Plays what is not in the file yet, and prints the table of all that is.

    Args:
        out: JSON lines, one a run.
        rounds: of each game.
        seeds: how many.
        first: of the seeds.
        games: which, in this order.
        data: ring, grid or both.
        workers: games that are played at a time, each by one thread.
    """
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    rows = [row for row in map(json.loads, lines) if row["rounds"] == rounds]
    done = {(row["game"], row["data"], row["seed"]) for row in rows}
    wanted = itertools.product(range(first, first + seeds), games, data)
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        playing = [
            pool.submit(play, cure, name, seed, rounds)
            for seed, cure, name in wanted
            if (cure, name, seed) not in done
        ]
        for played in as_completed(playing):
            row = played.result()
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            rows.append(row)
            print(json.dumps(row), flush=True)
    print(table(rows))


def _one_thread() -> None:
    torch.set_num_threads(1)
    prepare_processor()


if __name__ == "__main__":
    tyro.cli(main)
