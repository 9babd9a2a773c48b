"""Metrics of real images and of noise: they come again whatever is judged, so they are kept."""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files

import numpy as np

from frenemy.data.store import sealed, unsealed
from frenemy.errors import FrenemyError
from frenemy.files import write_atomically
from frenemy.judge.estimate import Estimate
from frenemy.judge.sets import Sets
from frenemy.places import cache_folder

LIBRARIES = "torch", "numpy", "scipy"


@dataclass(frozen=True)
class Kept:
    """Metrics of one column of reference, on the disk beside the features of real images.

    Attributes:
        key: digest of all that they depend on: the images, the seed, what is looked at, the judge's
            own code and its libraries.
    """

    key: str

    @classmethod
    def of(cls, sets: Sets, column: str, *looking: object) -> Kept | None:
        """Of a column that is judged; None where nothing tells what the training images are.

        Args:
            sets: all images.
            column: whose metrics are kept.
            looking: what else they depend on: features, seed, device, by their names.
        """
        if not sets.digest:
            return None
        total = hashlib.sha256(f"{_code()} {looking} {column} {sets.classes}".encode())
        total.update(f"{sets.digest} {len(sets.train)}".encode())
        for images in (sets.judged[column], sets.reference, sets.valid[:], sets.test):
            total.update(str(images.shape).encode())
            total.update(np.ascontiguousarray(images).data)
        for labels in (sets.labels, sets.told.get(column)):
            total.update(f"{labels is None}".encode())
            if labels is not None:
                total.update(np.ascontiguousarray(labels).data)
        return cls(total.hexdigest())

    def once(
        self, metric: str, measure: Callable[[], Mapping[str, Estimate]]
    ) -> Mapping[str, Estimate]:
        """What the metric found, from the disk if it is there; else it is measured and kept."""
        path = cache_folder() / "metrics" / self.key / f"{metric}.json"
        if path.exists():
            try:
                found = unsealed(path.read_text("utf-8"))
                return {name: _estimate(**fields) for name, fields in found.items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                warnings.warn(f"{path} is damaged ({error}): measuring it again", stacklevel=2)
        found = dict(measure())
        text = json.dumps(sealed({name: asdict(estimate) for name, estimate in found.items()}))
        try:
            write_atomically(path, lambda part: part.write_text(text, "utf-8"))
        except FrenemyError as error:
            warnings.warn(f"metrics of real images are not kept: {error}", stacklevel=2)
        return found


def _estimate(value: float, error: float, note: str, shared: list[float]) -> Estimate:
    return Estimate(float(value), float(error), str(note), tuple(map(float, shared)))


@functools.cache
def _code() -> str:
    """Digest of all code in this package, and the versions of what it computes with."""
    total = hashlib.sha256(" ".join(map(version, LIBRARIES)).encode())
    for file in sorted(files("frenemy.judge").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()
