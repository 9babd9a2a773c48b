"""The likelihood of test images, by Parzen windows and by annealing, beside published figures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from frenemy.errors import FrenemyError
from frenemy.judge import ais
from frenemy.judge.estimate import Estimate, checked
from frenemy.judge.kept import Kept
from frenemy.judge.lines import of_each, protocol_name
from frenemy.judge.parzen import GRIDS, Parzen, parzen, unit_pixels
from frenemy.judge.report import PUBLISHED, Line
from frenemy.judge.sets import HELD_OUT, SAMPLES, Images, Sets

MNIST_TEST = "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"
"""sha256 of the pixels of MNIST's 10,000 test images; sets of the same shape and size abound."""

TABLE_1 = Estimate(225, 2, "adversarial nets on MNIST (Goodfellow et al. 2014)")
"""Its other row is of the Toronto Face Database, whose images nobody can know by a digest."""

PAPERS = 10_000
"""Samples of which the paper takes the likelihood: of fewer it is lower by tens of nats."""


def is_mnist_test(images: Images) -> bool:
    """Whether these are MNIST's test images, pixel for pixel and in their order."""
    if images.shape[1:] != (1, 28, 28):
        return False
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest() == MNIST_TEST


def parzen_lines(sets: Sets, warnings: list[str], say: Callable[[str], None]) -> list[Line]:
    """The likelihood of test images by the samples, on either grid of widths.

    Training images stand in for held-out ones, whose own likelihood would be infinite.

    Args:
        sets: the first 10,000 test and 1,000 validation images are used.
        warnings: are added to where a set cannot be judged.
        say: is told what is being measured.
    """
    real, valid = unit_pixels(sets.test[:10_000]), unit_pixels(sets.valid[:1000])

    def on_grids(column: str) -> Mapping[str, Estimate]:
        stand_in = column == HELD_OUT
        fake = unit_pixels(sets.reference if stand_in else sets.judged[column])
        whose = "training images as samples; " if stand_in else ""
        return {
            grid: replace(found.found, note=whose + _said(grid, found))
            for grid, found in parzen(real=real, valid=valid, fake=fake, grids=GRIDS).items()
        }

    def measured(column: str) -> Mapping[str, Estimate]:
        kept = None if column == SAMPLES else Kept.of(sets, column)
        return kept.once("parzen", lambda: on_grids(column)) if kept else on_grids(column)

    columns = {name: name for name in sets.judged}
    likelihoods = of_each("parzen", columns, measured, warnings, say)
    results: dict[str, dict[str, Estimate]] = {grid: {} for grid in GRIDS}
    for column, found in likelihoods.items():
        for grid, estimate in found.items():
            results[grid][column] = estimate
    count = len(sets.judged[SAMPLES])
    if count == PAPERS and is_mnist_test(sets.test):
        results["authors"][PUBLISHED] = TABLE_1
    return [
        Line(protocol_name("parzen", count, f"{grid}-grid"), "higher", found)
        for grid, found in results.items()
        if found
    ]


def _said(grid: str, found: Parzen) -> str:
    at_end = found.sigma in (min(GRIDS[grid]), max(GRIDS[grid]))
    return (
        f"nats, sigma {found.sigma:.3f}{', at the end of the grid' * at_end}; "
        f"± {found.of_images:.2g} over test images alone, as papers print"
    )


def ais_lines(
    decoder: tuple[ais.Decoder, int],
    sets: Sets,
    warnings: list[str],
    say: Callable[[str], None],
    *,
    seed: int,
    device: torch.device,
) -> list[Line]:
    """The likelihood of test images under a model with Gaussian noise, and the published ones.

    Args:
        decoder: standard normal z -> pixels in [0, 1], and the size of z.
        sets: of whose test images the likelihood is.
        warnings: are added to if it cannot be measured.
        say: is told how far it is.
        seed: of chains and simulated images.
        device: where to compute.
    """
    decode, size_of_z = decoder
    effort = ais.default_effort(device)
    valid, test = (
        ais.dequantised(images, seed=seed).flatten(1).to(device)
        for images in (sets.valid[:20], sets.test[: effort.images])
    )
    try:
        checked(effort.name, effort.images, real=test)  # before the long work
        variance = ais.choose_variance(
            decode,
            valid=valid,
            size_of_z=size_of_z,
            seed=seed,
            progress=lambda share: say(f"ais: choosing the variance, {share:.0%}"),
        )
        found = ais.ais(
            decode,
            real=test,
            size_of_z=size_of_z,
            variance=variance,
            effort=effort,
            seed=seed,
            progress=lambda share: say(f"{effort.name}, {share:.0%}"),
        )
    except FrenemyError as error:
        warnings.append(f"ais: {error}")
        return []
    lines = [Line(effort.name, "higher", {SAMPLES: found.log_p})]
    if is_mnist_test(sets.test):
        lines += [
            Line(f"{ais.FULL.name} {name}", "higher", {PUBLISHED: row.log_p})
            for name, row in ais.WU_ET_AL.items()
        ]
    return lines
