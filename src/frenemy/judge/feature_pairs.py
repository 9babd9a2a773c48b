"""Features of the images that are judged, each beside those of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from frenemy.judge.authenticity import Authenticity
from frenemy.judge.class_shares import ClassShares, class_shares
from frenemy.judge.classifier import Outputs
from frenemy.judge.copying import Copies, Copying
from frenemy.judge.coverage import Manifold, Neighbourhoods, neighbourhoods
from frenemy.judge.feature_copies import FeatureCopying
from frenemy.judge.features import Features, extract, in_batches
from frenemy.judge.kept import Kept
from frenemy.judge.modes import Modes, class_modes
from frenemy.judge.neighbour_classes import NEIGHBOURS, classes_by_neighbours, every
from frenemy.judge.sets import SAMPLES, Drawn, Images, Sets
from frenemy.judge.usual import Excess

PARTS = 10  # of a set, at most, that are measured apart


class Extractor:
    """One kind of features, computed once for each set of images.

    Args:
        features: the kind.
        device: where metrics compute.
        real: images that other judgements will need too. Features of these are cached on the
            disk, those of any others, as generated ones, in memory alone.
    """

    def __init__(
        self, features: Features, device: torch.device, real: Sequence[Images | Drawn]
    ) -> None:
        self.features = features
        self.device = device
        self._real = real
        self._known: dict[int, tuple[Images | Drawn, Outputs]] = {}
        self._manifolds: dict[int, Manifold] = {}  # of images that are known

    def outputs_of(self, images: Images | Drawn) -> Outputs:
        """Features and logits of these images, on the processor."""
        if id(images) not in self._known:  # they are kept, so that no other array gets their id
            if any(images is real for real in self._real):
                seen = extract(self.features, images, self.device)
            else:
                seen = in_batches(self.features.network, images, self.device, self.features.batch)
            self._known[id(images)] = images, seen
        return self._known[id(images)][1]

    def features_of(self, images: Images | Drawn) -> Tensor:
        """Their features, where metrics compute."""
        return self.outputs_of(images).features.to(self.device)

    def manifold_of(self, images: Images) -> Manifold:
        """Their features' neighbours; they are kept, as all features are."""
        if id(images) not in self._manifolds:
            self._manifolds[id(images)] = Manifold.of(self.features_of(images))
        return self._manifolds[id(images)]

    def logits_of(self, images: Images) -> Tensor:
        """Their logits."""
        logits = self.outputs_of(images).logits
        assert logits is not None  # who asks has asked for the classes first
        return logits.to(self.device)


@dataclass(frozen=True, eq=False)
class Originals:
    """Searches among the training images, with what depends on real images alone computed once.

    Attributes:
        extractor, sets, seed: as of the pairs that share them.
    """

    extractor: Extractor
    sets: Sets
    seed: int

    @cached_property
    def copying(self) -> Copying:
        """For copies, in pixels."""
        return Copying(train=self.sets.train, held_out=self.sets.valid, seed=self.seed)

    @cached_property
    def feature_copying(self) -> FeatureCopying:
        """For copies, in features."""
        train, valid = map(self.extractor.features_of, (self.sets.train, self.sets.valid))
        return FeatureCopying(train=train, held_out=valid)

    @cached_property
    def authenticity(self) -> Authenticity:
        """For how near they are, in features."""
        train, valid = map(self.extractor.features_of, (self.sets.train, self.sets.valid))
        return Authenticity(real=valid, train=train, seed=self.seed)


@dataclass(frozen=True, eq=False)
class FeaturePair:
    """What metrics are given: features of the images that are judged, and of real ones.

    What several metrics are made of is computed once.

    Attributes:
        extractor: of the features.
        images: that are judged.
        sets: what they are compared with.
        seed: of what metrics draw.
        originals: searches among the training images.
        kept: where metrics of these images are kept, if they come again.
        rows: which of the images are judged; None for all of them.
    """

    extractor: Extractor
    images: Images
    sets: Sets
    seed: int
    originals: Originals
    kept: Kept | None = None
    rows: slice | None = None

    def __len__(self) -> int:
        return len(self.judged)

    @property
    def _rows(self) -> slice:
        return slice(None) if self.rows is None else self.rows

    @property
    def judged(self) -> Images:
        """The images that are judged, uint8 (M, C, H, W)."""
        return self.images[self._rows]

    def parts(self, size: int) -> list[FeaturePair]:
        """At most `PARTS` parts of so many of the images, side by side."""
        count = min(len(self.images) // size, PARTS)
        rows = (slice(i * size, (i + 1) * size) for i in range(count))
        return [replace(self, rows=part) for part in rows]

    @property
    def real(self) -> Tensor:
        """Features of the reference images, (N, d)."""
        return self.extractor.features_of(self.sets.reference)

    @property
    def fake(self) -> Tensor:
        """Features of the images that are judged, (M, d)."""
        return self.extractor.features_of(self.images)[self._rows]

    @property
    def real_classes(self) -> Tensor:
        """Classes of the reference images, int64 (N,)."""
        return self.extractor.logits_of(self.sets.reference).argmax(1)

    @property
    def fake_logits(self) -> Tensor:
        """Logits of the images that are judged, (M, classes)."""
        return self.extractor.logits_of(self.images)[self._rows]

    @cached_property
    def neighbourhoods(self) -> Neighbourhoods:
        """Precision, recall, density and coverage, and which images these count."""
        real = self.extractor.manifold_of(self.sets.reference)
        whole = self.rows is None
        fake = self.extractor.manifold_of(self.images) if whole else Manifold.of(self.fake)
        return neighbourhoods(real, fake)

    @cached_property
    def copies(self) -> Copies:
        """Samples that are training images, and such as repeat one another."""
        return self.originals.copying.of(self.judged)

    @cached_property
    def feature_copies(self) -> Excess:
        """Samples that are training images to these features, but for those that repeat one."""
        return self.originals.feature_copying.of(self.fake[self.copies.different])

    @cached_property
    def modes(self) -> Modes:
        """Of the classes: equal by construction, or of the shares among the reference images."""
        classes, count = self.fake_logits.argmax(1), self.fake_logits.shape[1]
        real = None if self.extractor.features.balanced else self.real_classes
        return class_modes(fake_classes=classes, count=count, real_classes=real)

    @property
    def knows_classes(self) -> bool:
        """Whether there is a classifier of these images' own classes, or they have labels."""
        if self.extractor.features.card is not None:
            return True
        labels, logits = self.sets.labels, self.extractor.outputs_of(self.images).logits
        if logits is not None or labels is None:
            return False
        return len(labels) > NEIGHBOURS and len(set(labels.tolist())) > 1

    @cached_property
    def class_shares(self) -> ClassShares:
        """Of the classes, through the classifier's confusions if it is one of frenemy's.

        Real images that it was trained on it knows too well: of these the true classes are taken.
        Features that know no classes have them by the nearest labelled real images.
        """
        card, labels = self.extractor.features.card, self.sets.labels
        if self.extractor.outputs_of(self.images).logits is None and labels is not None:
            return self._shares_by_neighbours(torch.tensor(labels))
        classes, count = self.fake_logits.argmax(1), self.fake_logits.shape[1]
        if card is None:
            names = [str(i) for i in range(count)]
            return class_shares(fake_classes=classes, real_classes=self.real_classes, names=names)
        trained_on = labels is not None and card.data == self.sets.digest
        return class_shares(
            fake_classes=classes,
            real_classes=torch.from_numpy(labels) if trained_on else self.real_classes,
            names=card.classes,
            confusion=torch.tensor(card.confusion),
            true=trained_on,
        )

    def _shares_by_neighbours(self, labels: Tensor) -> ClassShares:
        some, names = every(len(labels)), self.sets.classes
        labels = labels[some]
        fake, real = classes_by_neighbours(
            real=self.real[some], labels=labels, fake=self.fake[every(len(self))]
        )
        count = max(len(names), int(labels.max()) + 1)
        confusion = torch.bincount(count * labels + real.cpu(), minlength=count**2)
        return class_shares(
            fake_classes=fake,
            real_classes=real,
            names=names if len(names) == count else [str(i) for i in range(count)],
            confusion=confusion.view(count, count),
        )


def pairs_of(
    sets: Sets, features: Features, *, seed: int, device: torch.device
) -> dict[str, FeaturePair]:
    """A pair for each of the sets that are judged, by its name."""
    extractor = Extractor(features, device, sets.real)
    originals = Originals(extractor, sets, seed)
    looking = features.digest, features.note, features.balanced, features.card, seed, device.type
    return {
        name: FeaturePair(
            extractor,
            images,
            sets,
            seed,
            originals,
            Kept.of(sets, name, *looking) if features.digest and name != SAMPLES else None,
        )
        for name, images in sets.judged.items()
    }
