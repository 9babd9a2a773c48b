"""The sets of images that a judge compares, and what they are worth by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from frenemy.data.source import Drawn

Images = NDArray[np.uint8]

SAMPLES, HELD_OUT, NOISE = "samples", "held-out images", "noise"
"""Whose images are judged: the target's, real ones that nobody trained on, and noise."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Images to be compared, all uint8 (N, C, H, W) of one shape.

    Attributes:
        judged: those that are judged, by the names above; `SAMPLES` are always among them.
        reference: real images to compare them with, drawn from the training images.
        labels: their true classes, (N,), if these are known; classes: their names.
        told: the classes that judged images were told to be of, or are of, (M,), where known.
        digest: of the training images, for those who want to know whether they have seen them.
        train: training images, for those who look for copies.
        valid: real images to choose settings on.
        test: real images to report on.
    """

    judged: Mapping[str, Images]
    reference: Images
    train: Drawn
    valid: Drawn
    test: Images
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    told: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    digest: str = ""

    @property
    def real(self) -> tuple[Images | Drawn, ...]:
        """All but what is generated: these come again when something else is judged."""
        held_out = [self.judged[HELD_OUT]] if HELD_OUT in self.judged else []
        return self.reference, self.train, self.valid, self.test, *held_out


def noise_like(images: Images, seed: int) -> Images:
    """Uniform noise of the images' shape and number."""
    return np.random.default_rng(seed).integers(0, 256, images.shape, np.uint8)


def check_sets(sets: Sets) -> list[str]:
    """Warnings of what the numbers are worth, as far as the images themselves tell."""

    def digests(images: Images) -> list[bytes]:
        return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]

    known, found = set(digests(sets.reference)), []
    for name, images in sets.judged.items():
        these = digests(images)
        if same := sum(digest in known for digest in these):
            found.append(
                f"{same:,} of {len(images):,} {name} are, byte for byte, among the reference "
                "images: the distances between these sets say little"
            )
        if len(set(these)) == 1:
            found.append(f"all {len(images):,} {name} are one and the same image")
    return found
