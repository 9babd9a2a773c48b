"""The sets of images that a judge compares, and what they are worth by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frenemy.data.source import Drawn

Images = NDArray[np.uint8]

SAMPLES, HELD_OUT, NOISE = "samples", "held-out images", "noise"
"""Whose images are judged: the target's, real ones that nobody trained on, and noise."""

FEWEST = 1000  # images of each: with fewer the report warns


@dataclass(frozen=True, eq=False)
class Sets:
    """Images to be compared, all uint8 (N, C, H, W) of one shape.

    Attributes:
        subjects: those that are judged, by the names above; `SAMPLES` are always among them.
        reference: real images to compare them with, drawn from the training images.
        train: training images, for those who look for copies.
        valid: real images to choose settings on.
        test: real images to report on.
    """

    subjects: Mapping[str, Images]
    reference: Images
    train: Drawn
    valid: Drawn
    test: Images

    @property
    def real(self) -> tuple[Images | Drawn, ...]:
        """All but what is generated: these come again when something else is judged."""
        held_out = [self.subjects[HELD_OUT]] if HELD_OUT in self.subjects else []
        return self.reference, self.train, self.valid, self.test, *held_out


def noise_like(images: Images, seed: int) -> Images:
    """Uniform noise of the images' shape and number."""
    return np.random.default_rng(seed).integers(0, 256, images.shape, np.uint8)


def doubts(sets: Sets) -> list[str]:
    """What the numbers are worth, as far as the images themselves tell."""

    def digests(images: Images) -> list[bytes]:
        return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]

    known, found = set(digests(sets.reference)), []
    for subject, images in sets.subjects.items():
        seen = digests(images)
        if same := sum(digest in known for digest in seen):
            found.append(
                f"{same:,} of {len(images):,} {subject} are, byte for byte, among the reference "
                "images: the distances between these sets say little"
            )
        if len(set(seen)) == 1:
            found.append(f"all {len(images):,} {subject} are one and the same image")
    counts = {"reference": sets.reference, **sets.subjects}
    if few := [f"{len(x):,} {name}" for name, x in counts.items() if len(x) < FEWEST]:
        found.append(
            f"only {', '.join(few)}: distances are biased upwards; compare equal counts only"
        )
    return found
