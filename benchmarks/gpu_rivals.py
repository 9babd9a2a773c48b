"""Table 1's long trainings on one GPU: how the Parzen log-likelihood grows with the epochs.

    python benchmarks/gpu_rivals.py --data MNIST --seconds 450 --out DIR
    python benchmarks/gpu_rivals.py --data MNIST --seconds 60 --mini --out DIR    # on a processor

Each line of `GAMES` is played by a process of its own, all at once, by `replay.py`, until its
rounds or the seconds are over. Every so many rounds a row goes to DIR/NAME-SEED.jsonl: rounds,
seconds, and the log-likelihood of test images on both grids, and of validation images that chose
no width, by 10,000 samples; DIR/NAME-SEED.png has samples,
and DIR/NAME-SEED.safetensors the network that draws them, of the last row.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from replay import Replay
from safetensors.torch import save_file

from frenemy import recipes
from frenemy.data import Dataset, open_dataset
from frenemy.engine import Engine, choose_device
from frenemy.experiment import vary
from frenemy.game import Game
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.model import set_up
from frenemy.pictures import save_picture, shown
from frenemy.rivals.gsn import GSN, consecutive
from frenemy.sampling import generate, noise, to_pixels

SAMPLES = 10_000


def drawn(game: Game, data: Dataset, count: int) -> NDArray[np.uint8]:
    """Samples of the prior, as `frenemy sample` draws them."""
    return generate(game, data.facts, noise(game, count, 0), count)


def one_chain(game: Game, data: Dataset, count: int, start: int = 0) -> NDArray[np.uint8]:
    """Bengio et al.'s protocol: consecutive expectations of one chain from a test image."""
    net = game.players["GSN"].best
    assert isinstance(net, GSN)
    first = torch.tensor(data.test.images[start]).to(game.device).float().div_(127.5).sub_(1)
    return to_pixels(consecutive(net, first, count, seed=start))


@dataclass(frozen=True)
class Line:
    """What is played: a recipe, how it differs, how far, and how its samples are drawn."""

    recipe: str
    seeds: tuple[int, ...]
    rounds: int
    look: int
    draw: Callable[[Game, Dataset, int], NDArray[np.uint8]] = drawn
    changes: dict[str, Any] = field(default_factory=dict)


GAMES = {
    "gsn": Line("gsn", (0, 1, 2), 75_000, 12_500, one_chain),
    "mnist2014": Line("mnist2014", (0,), 1_000_000, 50_000),
}


def played(name: str, seed: int, data: Dataset, seconds: float, out: Path, mini: bool) -> None:
    """One line, to its end or until the time is over."""
    line, device = GAMES[name], choose_device("auto")
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    recipe = vary(recipes.RECIPES[line.recipe], **line.changes)
    experiment = set_up(recipe, data, seed)
    replay = Replay(experiment, len(experiment.stages) - 1, seed, device, Engine())
    valid, others, test = (
        unit_pixels(images).to(device)
        for images in (
            *(data.valid.images[:1000], data.valid.images[1000:5000]),
            data.test.images[:SAMPLES],
        )
    )
    begun, playing, look = time.monotonic(), 0.0, 20 if mini else line.look
    place = out / f"{name}-{seed}"
    while replay.step < line.rounds and time.monotonic() - begun < seconds:
        since = time.monotonic()
        record = replay.play(min(look, line.rounds - replay.step))
        terms = {key: value.item() for key, value in record.items()}
        playing += time.monotonic() - since
        images = line.draw(replay.game, data, 200 if mini else SAMPLES)
        fake = unit_pixels(images).to(device)
        found = parzen(real=test, valid=valid, fake=fake)
        validated = parzen(real=others, valid=valid, fake=fake)["default"].found
        row = {
            "name": name,
            "seed": seed,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "processor",
            "rounds": replay.step,
            "epochs": round(replay.step * experiment.epochs_per_round(replay.game), 2),
            "seconds": round(playing, 1),
            **{
                grid: [round(p.found.value, 2), round(p.of_images, 2), p.sigma]
                for grid, p in found.items()
            },
            "valid": [round(validated.value, 2), round(validated.error, 2)],
            **{key: round(value, 4) for key, value in terms.items()},
        }
        with Path(f"{place}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        save_picture(shown(images[:: len(images) // 100][:100], columns=10), Path(f"{place}.png"))
    drawing = next(reversed(replay.game.players.values())).best
    save_file(
        {k: v.cpu().contiguous() for k, v in drawing.state_dict().items()}, f"{place}.safetensors"
    )


def main(
    data: Path,
    out: Path,
    seconds: float = 450.0,
    only: tuple[str, ...] = tuple(GAMES),
    mini: bool = False,
    seed: int | None = None,
) -> None:
    """Plays the lines, each in a process of its own.

    Args:
        data: MNIST; out: a folder.
        seconds: after which none begins another stretch.
        only: these lines.
        mini: all of it in small.
        seed: plays the one line that `only` names with this seed, in this process.
    """
    out.mkdir(parents=True, exist_ok=True)
    if seed is not None:
        played(only[0], seed, open_dataset(data), seconds, out, mini)
        return
    begun = [
        subprocess.Popen([*sys.orig_argv, "--only", name, "--seed", str(seed)])
        for name in only
        for seed in GAMES[name].seeds
    ]
    if any([process.wait() for process in begun]):  # noqa: C419 (all are waited for)
        sys.exit("a line failed: see above")


if __name__ == "__main__":
    tyro.cli(main)
