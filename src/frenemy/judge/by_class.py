"""Each class by itself: are samples of what they were told to be, and how good are they?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from frenemy.judge.coverage import share
from frenemy.judge.estimate import Estimate
from frenemy.judge.feature_pairs import FeaturePair
from frenemy.judge.kernel import LEAST, kid
from frenemy.judge.lines import protocol_name
from frenemy.judge.neighbour_classes import NEIGHBOURS, classes_by_neighbours, every
from frenemy.judge.report import Line
from frenemy.judge.sets import SAMPLES


def by_class(pairs: Mapping[str, FeaturePair]) -> dict[str, list[Line]]:
    """Lines for each class, where it is known what class samples were told to be of.

    `recognised` is the share that is put into the class by a classifier of these very classes, if
    there is one, or else by the five nearest labelled real images: of what is confused with other
    classes in the samples, but not in held-out images, the players know too little. `kid` is the
    kernel distance from the reference images of the class.

    After the GAN-test of Shmelkov, Schmid and Alahari (2018), How Good Is My GAN?

    Args:
        pairs: by column, all of the same features.

    Returns:
        By the class's name, the least recognised first; nothing where there are no classes.
    """
    samples = pairs[SAMPLES]
    sets, kind = samples.sets, samples.extractor.features.name
    if SAMPLES not in sets.told or sets.labels is None or len(sets.labels) <= NEIGHBOURS:
        return {}
    told = {name: torch.tensor(sets.told[name]) for name in pairs if name in sets.told}
    real_labels = torch.tensor(sets.labels)
    some = {name: every(len(pairs[name])) for name in told}
    found = {name: _found(pairs[name], some[name], real_labels) for name in told}
    lines: dict[str, list[Line]] = {}
    for k, of_class in enumerate(sets.classes):
        recognised: dict[str, Estimate] = {}
        distances: dict[str, Estimate] = {}
        theirs = real_labels == k
        for name, labels in told.items():
            right = found[name][labels[some[name]] == k] == k
            if len(right) > 1:
                recognised[name] = share(right)
            if theirs.sum() >= LEAST and (labels == k).sum() >= LEAST:
                distances[name] = kid(real=samples.real[theirs], fake=pairs[name].fake[labels == k])
        if SAMPLES in recognised:
            count = int((told[SAMPLES] == k).sum())
            looked_at = int((told[SAMPLES][some[SAMPLES]] == k).sum())
            lines[of_class] = [
                Line(protocol_name("recognised", looked_at, kind), "higher", recognised),
                Line(protocol_name("kid", count, kind), "lower", distances),
            ]
    if len(lines) < 2:
        return {}
    return dict(sorted(lines.items(), key=lambda item: item[1][0].results[SAMPLES].value))


def _found(pair: FeaturePair, some: slice, labels: Tensor) -> Tensor:
    """The classes that some of a pair's images are put into, on the processor."""
    card = pair.extractor.features.card
    if card is not None and tuple(card.classes) == pair.sets.classes:
        return pair.fake_logits[some].argmax(1).cpu()
    known = every(len(labels))
    found, _ = classes_by_neighbours(
        real=pair.real[known], labels=labels[known], fake=pair.fake[some]
    )
    return found.cpu()
