"""Where the judge's time goes: seconds on one core, of the default metrics and the page.

    OMP_NUM_THREADS=1 python benchmarks/judging.py --data SOURCE

Samples are held-out images with a slight blur. The first pass fills the cache of real images'
features and is not shown; of the others the fastest counts, since whatever else the machine does
makes a pass slower and never faster. The last line is their sum.
"""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import tyro
from scipy.ndimage import gaussian_filter

from frenemy.data import open_dataset
from frenemy.judging import Protocol, Target, judge

LOADING = "images and features"


def main(data: Path, samples: int = 10_000, size: int | None = None, passes: int = 2) -> None:
    """Prints processor seconds by what was being measured, as a Markdown table.

    Args:
        data: any source of images.
        samples: how many are judged, at most.
        size: of the images.
        passes: that are timed.
    """
    torch.set_num_threads(1)
    source = open_dataset(data, size=size)
    fake = source.valid.random(min(samples, len(source.valid)), seed=0)
    fake = gaussian_filter(fake.astype(float), (0, 0, 0.5, 0.5)).round().astype(np.uint8)
    target = Target("slightly blurred", fake)
    found = []
    for _ in range(passes + 1):
        seconds: defaultdict[str, float] = defaultdict(float)
        part, begun = LOADING, time.process_time()

        def say(what: str, seconds: defaultdict[str, float] = seconds) -> None:
            nonlocal part, begun
            now = time.process_time()
            seconds[part] += now - begun
            part, begun = what.split(",")[0], now

        judgement = judge(target, source, Protocol(samples=samples), say=say)
        say("page")
        judgement.page()
        say("")
        found.append(seconds)
    fastest = min(found[1:], key=lambda seconds: sum(seconds.values()))
    print(f"| {len(fake):,} samples of {data.name} | seconds |\n| --- | ---: |")
    for what, spent in fastest.items():
        print(f"| {what} | {spent:.2f} |")
    print(f"| all | {sum(fastest.values()):.2f} |")


if __name__ == "__main__":
    tyro.cli(main)
