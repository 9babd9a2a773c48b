"""Digests of short games, to show that a change of the code changes no game.

    python benchmarks/digests.py [--data FOLDER] [--lab] > after.txt; diff before.txt after.txt

Every recipe is trained for some rounds on one thread, from the command line. Its digests are of the
tensors in its last checkpoint, of its log (what measures the players, not the clock), of its sample
pictures, and of samples drawn with a seed. With --lab, every lesson of the lab is played, and the
digest is of its checks. Digests hold for one machine and one torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import tyro
from safetensors import safe_open

DATA = Path(os.environ.get("FRENEMY_DATA", "data"))
FACES = 60  # images a set of faces is cut to: two stages within reach of a short game
GAMES: dict[str, list[str]] = {
    "digits": ["--steps", "220"],
    "digits2014": ["--steps", "220"],
    "digits2014 --no-simultaneous": ["--steps", "220"],
    "digits2014 --k 3 --objective minimax": ["--steps", "120"],
    "mnist": ["--data", "{data}/mnist", "--steps", "120"],
    "mnist2014": ["--data", "{data}/mnist", "--steps", "120"],
    "cifar2014": ["--data", "{cifar}", "--steps", "12", "--minibatch", "20"],
    "cifar2014_conv": ["--data", "{cifar}", "--steps", "6", "--minibatch", "20"],
    "faces2014": ["--data", "{faces}", "--steps", "56", "--minibatch", "48"],
}


def sha(*parts: bytes) -> str:
    """The first 16 hexadecimal digits of the sha256 of the parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def frenemy(*arguments: str | Path) -> str:
    """The output of the command."""
    command = [sys.executable, "-m", "frenemy", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tensors(run: Path) -> str:
    """The digest of the newest checkpoint's tensors, whatever their order in the file."""
    newest = max((run / "checkpoints").glob("*.safetensors"))
    parts = []
    with safe_open(newest, framework="np") as file:
        for key in sorted(file.keys()):
            parts += [key.encode(), file.get_tensor(key).tobytes()]
    return sha(*parts)


def measured(run: Path) -> str:
    """The digest of what the log tells of the players: their losses and D's beliefs."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    kept = [{k: v for k, v in row.items() if "/" in k or "(" in k or k == "step"} for row in rows]
    said = [{k: v for k, v in row.items() if not k.startswith("health/")} for row in kept]
    return sha(json.dumps(said, sort_keys=True).encode())


def pictures(*paths: Path) -> str:
    """The digest of pictures' bytes, by their names."""
    return sha(
        *(part for path in sorted(paths) for part in (path.name.encode(), path.read_bytes()))
    )


def arrays(data: Path, out: Path) -> dict[str, Path]:
    """Small sets in the shapes of CIFAR-10 and of faces: random numbers serve as well."""
    import numpy as np

    rng = np.random.default_rng(0)
    made = {"cifar": out / "cifar.npy", "faces": out / "faces.npy"}
    np.save(made["cifar"], rng.integers(0, 256, (400, 32, 32, 3), np.uint8))
    np.save(made["faces"], rng.integers(0, 256, (FACES, 48, 48), np.uint8))
    return {"data": data, **made}


def main(
    data: Path = DATA,
    lab: Annotated[bool, tyro.conf.arg(help="also play the lessons")] = False,
    only: str = "",
) -> None:
    """Prints one line a game: its name and its digests."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        places = arrays(data, out)
        for i, (game, options) in enumerate(GAMES.items()):
            if only not in game or ("{data}" in " ".join(options) and not data.exists()):
                continue
            run = out / str(i)
            given = [option.format(**places) for option in options]
            frenemy("train", *game.split(), *given, "--out", run)
            frenemy("sample", run, "-n", "8", "--seed", "7", "-o", out / f"{i}.png")
            found = (tensors(run), measured(run), pictures(*(run / "samples").iterdir()))
            print(game, *found, pictures(out / f"{i}.png"), sep="\t", flush=True)
        if lab:
            from frenemy.lab.lesson import play
            from frenemy.lab.lessons import LESSONS

            for name, lesson in LESSONS.items():
                checks = play(lesson).result.checks
                said = json.dumps([(c.what, float(c.measured), float(c.exact)) for c in checks])
                print(f"lab {name}", sha(said.encode()), sep="\t", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
