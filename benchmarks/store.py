"""How long a folder of 60,000 small PNGs takes at the first start, and at the second.

    python benchmarks/store.py --data FOLDER_OF_MNIST

Each start is a process of its own, imports included. The first one decodes every file into an
empty store; the second finds the store there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro
from PIL import Image

from frenemy.data.idx import read_idx

START = "import sys; from frenemy.data import open_dataset; open_dataset(sys.argv[1])"


def write_pngs(images: Path, folder: Path) -> int:
    """Write the images of an IDX file as PNGs, a thousand a sub-folder; returns their number."""
    pixels = read_idx(images)
    for i, image in enumerate(pixels):
        path = folder / f"{i // 1000:02d}" / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return len(pixels)


def start(folder: Path, cache: Path) -> float:
    """Seconds that a new process takes to open the folder."""
    began = time.perf_counter()
    command = [sys.executable, "-c", START, str(folder)]
    subprocess.run(
        command, env={**os.environ, "FRENEMY_CACHE": str(cache)}, check=True, capture_output=True
    )
    return time.perf_counter() - began


def main(data: Path) -> None:
    """Write the PNGs, time both starts, print a table.

    Args:
        data: the folder of MNIST's IDX files.
    """
    images = next(iter(sorted(data.glob("train-images*"))), None)
    if images is None:
        sys.exit(f"{data}: no train-images-idx3-ubyte(.gz) in it")
    with tempfile.TemporaryDirectory() as scratch:
        folder, cache = Path(scratch) / "pngs", Path(scratch) / "cache"
        count = write_pngs(images, folder)
        print(f"{count:,} PNGs of 28x28, {os.cpu_count()} cores")
        print("| start  | seconds | required |")
        print("| ------ | ------- | -------- |")
        print(f"| first  | {start(folder, cache):7.2f} |     < 60 |")
        print(f"| second | {start(folder, cache):7.2f} |      < 1 |")


if __name__ == "__main__":
    tyro.cli(main)
