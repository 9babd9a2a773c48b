"""Does `frenemy.diagnosis` name how a game fails, and leave the well ones alone?

    FRENEMY_DATA=... python benchmarks/health.py --games held-out --out docs/results/health.jsonl

Short games, built to fail or to go well; `truth.py` tells what became of each, from what the rules
do not see. The thresholds were chosen on the games of "tuning"; "held-out" has other data,
other seeds and other ways of failing. Plays one set, prints what was found at each game's end,
and the table of confusion.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro
from short_cases import CASES, DATA, Case, Set
from short_games import MINIBATCH, make
from truth import COUNT, GroundTruth, Snapshot, verdict

from frenemy.diagnosis import FINITE, HEALTH, Measurement, Outcome, measurements_of, outcome
from frenemy.monitor import Monitor, is_measured

FIRST_SEED: dict[Set, int] = {"tuning": 0, "held-out": 9000}
SNAPSHOTS = 6  # in the second half of a game
WELL, UNCLEAR = "well", "unclear"


def play(case: Case, seed: int) -> tuple[list[Measurement], list[Snapshot]]:
    """The measurements, and the snapshots.

    They end where a number is not finite any more.
    """
    data = DATA[case.data]()
    game, minibatch = make(data, case.way, seed), data.minibatch(seed)
    monitor = Monitor(game, minibatch, seed)
    truth, rounds = GroundTruth(game, data.parts(COUNT), seed), case.rounds
    snapshots = {rounds - i * (rounds // 2 // (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)}
    rows: list[dict[str, float]] = []
    for step in range(1, rounds + 1):
        if not is_measured(step):
            game.play(minibatch, seed=seed, step=step - 1)
            continue
        record = game.play(minibatch, seed=seed, step=step - 1, observe=monitor.observer())
        numbers = {key: value.item() for key, value in {**record, **monitor.compare(step)}.items()}
        if not all(map(math.isfinite, numbers.values())):
            rows.append({"step": step, HEALTH + FINITE: 0.0})
            return measurements_of(rows), []
        rows.append({"step": step, **numbers})
        if step in snapshots:
            truth.take()
    return measurements_of(rows), truth.snapshots


def truth_of(row: dict[str, Any], case: Case) -> str:
    """What a game of the file had."""
    if not row["snapshots"]:  # it diverged
        return "non-convergence"
    saturates = case.way.objective not in ("hinge", "wasserstein")
    return verdict([Snapshot(**s) for s in row["snapshots"]], saturates) or UNCLEAR


def main(games: Set, out: Path, only: tuple[int, ...] = ()) -> None:
    """Plays the games of one set and prints what was found in each, and how often that was right.

    Args:
        games: tuning or held-out.
        out: where the findings and measurements go, as JSON lines; games that are there already
            are judged anew, but not played again.
        only: numbers of the games to play, all if none is given.
    """
    kept = out.read_text("utf-8").splitlines() if out.exists() else []
    played = {row["game"]: row for row in map(json.loads, kept) if row["set"] == games}
    confusion: Counter[tuple[str, str]] = Counter()
    ever = 0
    for i, case in enumerate(CASES[games]):
        if only and i not in only:
            continue
        if i not in played:
            seed = FIRST_SEED[games] + i
            history, snapshots = play(case, seed)
            row = {"set": games, "game": i, "data": case.data, "built": case.failure, "seed": seed}
            row["measurements"] = [_rounded(measurement) for measurement in history]
            row["snapshots"] = [_rounded(asdict(snapshot)) for snapshot in snapshots]
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            played[i] = row
        truth = truth_of(played[i], case)
        history = [{"images": MINIBATCH * now["step"], **now} for now in played[i]["measurements"]]
        told = [outcome(history[: n + 1]) for n in range(len(history))]
        found = _word(told[-1])
        accused = [n for n, now in enumerate(told) if now.findings]
        ever += truth == WELL and bool(accused)
        confusion[truth, found] += 1
        print(
            f"{i:2} {case.data:13} built {case.failure or WELL:20} is {truth:20} found {found:20} "
            + (f"first in round {history[accused[0]]['step']:.0f}" if accused else ""),
            flush=True,
        )
    for (truth, found), count in sorted(confusion.items()):
        print(f"is {truth:20} found {found:20} {count}")
    print(f"well games that were ever accused, if only once: {ever}")


def _word(now: Outcome) -> str:
    return now.findings[0].failure if now.findings else now.word


def _rounded(numbers: Measurement) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}


if __name__ == "__main__":
    tyro.cli(main)
