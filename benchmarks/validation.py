"""What it costs to keep the best checkpoint: seconds of one core, beside those of the rounds.

OMP_NUM_THREADS=1 python benchmarks/validation.py --data SOURCE --size 32 --width 16 32
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import tyro

from frenemy import recipes
from frenemy.data import open_dataset
from frenemy.engine import Engine, choose_device
from frenemy.experiment import vary
from frenemy.model import set_up
from frenemy.validation import BETWEEN, KNOWN, USUAL, Validator, features_for

ROUNDS = 5  # of which the mean is taken


def seconds_of(work: Callable[[], object]) -> float:
    """Of the processor, whatever else it does."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main(data: Path, size: int = 32, width: tuple[int, ...] = (16, 32)) -> None:
    """Prints a line for each width of the game on pictures.

    Args:
        data: what `frenemy train --data` takes.
        size: of the pictures, in pixels.
        width: of the networks.
    """
    device, images = choose_device("cpu"), open_dataset(data, size=size)
    features = features_for(images)
    print(f"{images.description}, {features}")
    print("| width | images a second | first | with a search | each later one | share of 50,000 |")
    for maps in width:
        experiment = set_up(vary(recipes.pictures, width=maps), images, 0)
        game, engine = experiment.game, Engine()
        streams = experiment.minibatch(game, 0, device)

        def rounds(first: int, game=game, streams=streams, engine=engine) -> None:
            for step in range(first, first + ROUNDS):
                game.play(streams, seed=0, step=step, engine=engine)

        rounds(0)
        image = seconds_of(lambda play=rounds: play(ROUNDS)) / (ROUNDS * game.minibatch)
        validator = Validator(USUAL, features, game, images, 0, device)
        first, search, later = (
            seconds_of(lambda times=times, v=validator: v.of(0, times))
            for times in (0, KNOWN, KNOWN)
        )
        share = later / (BETWEEN * image)
        print(
            f"| {maps} | {1 / image:,.0f} | {first:.2f} s | {search:.2f} s | {later:.2f} s "
            f"| {share:.1%} |"
        )


if __name__ == "__main__":
    tyro.cli(main)
