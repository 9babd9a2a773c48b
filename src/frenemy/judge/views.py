"""Views: a subject's images beside the real ones, through one kind of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from frenemy.judge.classifier import Seen
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.estimate import Estimate
from frenemy.judge.features import Features, extract, in_batches
from frenemy.judge.modes import Modes, class_modes
from frenemy.judge.sets import Drawn, Images, Sets


class Eyes:
    """One kind of features that remembers what it has seen.

    Args:
        features: the kind.
        device: where metrics compute.
        real: images that other judgements will look at too. Features of these are cached on the
            disk, those of any others, as generated ones, in memory alone.
    """

    def __init__(
        self, features: Features, device: torch.device, real: Sequence[Images | Drawn]
    ) -> None:
        self.features = features
        self.device = device
        self._real = real
        self._seen: dict[int, tuple[Images | Drawn, Seen]] = {}

    def see(self, images: Images | Drawn) -> Seen:
        """What is seen in these images, computed once."""
        if id(images) not in self._seen:  # they are kept, so that no other array gets their id
            self._seen[id(images)] = images, self._compute(images)
        return self._seen[id(images)][1]

    def _compute(self, images: Images | Drawn) -> Seen:
        if any(images is real for real in self._real):
            return extract(self.features, images, self.device)
        return in_batches(self.features.see, images, self.device, self.features.batch)

    def look(self, images: Images | Drawn) -> Tensor:
        """Their features, where metrics compute."""
        return self.see(images).features.to(self.device)

    def classify(self, images: Images) -> Tensor:
        """Their logits."""
        logits = self.see(images).logits
        assert logits is not None  # who asks has asked for the classes first
        return logits.to(self.device)


@dataclass(frozen=True, eq=False)
class View:
    """One subject beside the real images, through one kind of features.

    What several metrics are made of is computed once.

    Attributes:
        eyes: through which it is looked at.
        images: the subject's.
        sets: what it is compared with.
        seed: of what metrics draw.
    """

    eyes: Eyes
    images: Images
    sets: Sets
    seed: int

    @property
    def real(self) -> Tensor:
        """Features of the reference images, (N, d)."""
        return self.eyes.look(self.sets.reference)

    @property
    def fake(self) -> Tensor:
        """Features of the subject's images, (M, d)."""
        return self.eyes.look(self.images)

    @property
    def real_classes(self) -> Tensor:
        """Classes of the reference images, int64 (N,)."""
        return self.eyes.classify(self.sets.reference).argmax(1)

    @property
    def fake_logits(self) -> Tensor:
        """Logits of the subject's images, (M, classes)."""
        return self.eyes.classify(self.images)

    @cached_property
    def manifolds(self) -> Mapping[str, Estimate]:
        """Precision, recall, density and coverage, by these names."""
        return precision_recall_density_coverage(real=self.real, fake=self.fake)

    @cached_property
    def modes(self) -> Modes:
        """Of the classes: equal by construction, or of the shares among the reference images."""
        logits = self.fake_logits
        count = logits.shape[1]
        if self.eyes.features.even:
            return class_modes(fake_classes=logits.argmax(1), count=count)
        shares = self.real_classes.bincount(minlength=count).clamp(min=0.5)  # none is impossible
        return class_modes(
            fake_classes=logits.argmax(1),
            count=count,
            real_weights=shares,
            real_count=len(self.sets.reference),
        )


def views_of(sets: Sets, features: Features, *, seed: int, device: torch.device) -> dict[str, View]:
    """Every subject of the sets, by its name, through the same eyes."""
    eyes = Eyes(features, device, sets.real)
    return {name: View(eyes, images, sets, seed) for name, images in sets.subjects.items()}
