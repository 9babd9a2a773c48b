"""Does the judge's verdict have the right word for samples whose fault is known?

    FRENEMY_DATA=... python benchmarks/traps.py --data SOURCE --out docs/results/traps.jsonl

Samples are made of real images that nobody trained on, or of training images, each with a fault.
Prints a Markdown table of the words beside those that are right.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from scipy.ndimage import gaussian_filter

from frenemy.data import Dataset, open_dataset
from frenemy.judge.sets import Images
from frenemy.judging import Protocol, Target, judge

SEED = 2014


class Makers:
    """Samples with a fault, by its name.

    Args:
        data: real images; samples are made of its validation and training parts.
        count: how many samples.
    """

    def __init__(self, data: Dataset, count: int) -> None:
        self.data = data
        self.fresh = data.valid.random(min(count, len(data.valid)), seed=SEED)
        self.copies = data.train.random(len(self.fresh), seed=SEED)
        self._draws = np.random.default_rng(SEED)

    def blurred(self, sigma: float) -> Images:
        """A Gaussian blur of so many pixels."""
        found = gaussian_filter(self.fresh.astype(float), (0, 0, sigma, sigma))
        return found.round().astype(np.uint8)

    def jpeg(self, quality: int) -> Images:
        """What JPEG leaves of them."""
        return np.stack([_jpeg(image, quality) for image in self.fresh])

    def noisy(self, sigma: float) -> Images:
        """Gaussian noise on every pixel."""
        found = self.fresh + self._draws.normal(0, sigma, self.fresh.shape)
        return found.clip(0, 255).round().astype(np.uint8)

    def average(self) -> Images:
        """The mean image, over and over."""
        mean = self.data.train.random(1000, seed=0).mean(0).round().astype(np.uint8)
        return np.stack([mean] * len(self.fresh))

    def partly(self, share: float) -> Images:
        """A share of them are training images."""
        many = round(share * len(self.fresh))
        return np.concatenate([self.copies[:many], self.fresh[many:]])

    def shifted(self, pixels: int) -> Images:
        """Training images, moved to the right and down."""
        return np.roll(self.copies, (pixels, pixels), (2, 3))

    def without(self, classes: Callable[[int], bool]) -> Images:
        """Real images of the other classes."""
        labels = self.data.valid.labels
        if labels is None:
            raise SystemExit("this set has no classes")
        kept = np.flatnonzero([not classes(int(label)) for label in labels])
        drawn = self._draws.permutation(kept)[: len(self.fresh)]
        return self.data.valid.images[np.sort(drawn)]


def traps(make: Makers) -> dict[str, tuple[Callable[[], Images], str]]:
    """Samples by what they are, and the words that are right, apart by a bar."""
    found: dict[str, tuple[Callable[[], Images], str]] = {
        "real images, held out": (lambda: make.fresh, "good"),
        "blurred by 1 pixel": (lambda: make.blurred(1.0), "blurred"),
        "blurred by .6 pixels": (lambda: make.blurred(0.6), "blurred"),
        "Gaussian noise of 50 levels": (lambda: make.noisy(50), "noisy|unlike real images"),
        "JPEG at quality 30": (lambda: make.jpeg(30), "fair|unlike real images"),
        "the average image": (make.average, "collapsed"),
        "one test image, over and over": (
            lambda: np.stack([make.fresh[0]] * len(make.fresh)),
            "collapsed",
        ),
        "50 images, each 40 times": (lambda: np.repeat(make.fresh[:50], 40, 0), "collapsed"),
        "a tenth are training images": (lambda: make.partly(0.1), "copied"),
        "a twentieth are training images": (lambda: make.partly(0.05), "copied"),
        "training images, moved by 1 pixel": (lambda: make.shifted(1), "copied"),
        "training images, moved by 2 pixels": (lambda: make.shifted(2), "copied"),
        "training images, mirrored": (lambda: make.copies[..., ::-1].copy(), "copied"),
        "training images, a tenth brighter": (
            lambda: (make.copies * 1.1).clip(0, 255).astype(np.uint8),
            "copied",
        ),
        "60 real images": (lambda: make.fresh[:60], "too few images to say"),
    }
    if make.data.train.labels is not None:
        count = int(max(make.data.train.labels)) + 1
        found |= {
            "half of the classes": (
                lambda: make.without(lambda label: label >= count // 2),
                "kinds missing|fair|collapsed",
            ),
            "all classes but one": (
                lambda: make.without(lambda label: label == 1),
                "kinds missing",
            ),
        }
    return found


def _jpeg(image: Images, quality: int) -> Images:
    file = io.BytesIO()
    plain = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(plain).save(file, "JPEG", quality=quality)
    back = np.asarray(Image.open(file))
    return back[None] if back.ndim == 2 else back.transpose(2, 0, 1)


def main(
    data: Path,
    out: Path,
    features: tuple[str, ...] = (),
    count: int = 2000,
    size: int | None = None,
    only: str = "",
) -> None:
    """Judges every trap and prints the words.

    Args:
        data: real images.
        out: where the verdicts go, as JSON lines.
        features: as of `frenemy judge`.
        count: samples.
        size: to bring the images to.
        only: traps whose names hold this.
    """
    opened = open_dataset(data, size=size)
    rows: list[tuple[str, str, str, str]] = []
    for name, (make, right) in traps(Makers(opened, count)).items():
        if only not in name:
            continue
        report = judge(Target(name, make()), opened, Protocol(features=features)).report
        assert report.verdict is not None  # held-out images were measured
        seen = next(key for key in report.protocol if key.startswith("features "))
        word = report.verdict.word
        row = {"data": data.name, "features": seen.partition(" ")[2], "samples": name, "word": word}
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(row | {"right": right, "said": list(report.verdict.said)}) + "\n")
        hit = "" if word in right.split("|") else " (wrong)"
        rows.append((name, right.replace("|", " or "), word + hit, " ".join(report.verdict.said)))
        print(f"{name}: {word}{hit}", flush=True)
    print("\n| samples | right | said | why |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    tyro.cli(main)
