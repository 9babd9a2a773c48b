"""Does the generator copy its training images, or small variations of them?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.estimate import TILE, Estimate, checked, tiles
from frenemy.judge.neighbours import nearest
from frenemy.judge.slices import own_order

FEWEST = 20  # fake samples in a cell that counts
ITERATIONS = 100  # of k-means, at the most
VERDICT = 3.0  # |C_T| beyond which there is one


def data_copying(
    *, real: Tensor, fake: Tensor, train: Tensor, cells: int = 10, seed: int = 0
) -> Estimate:
    """C_T: are the samples nearer to the training set than fresh real images are?

    The cells of k-means on the training set part the space. In each, the distances to the nearest
    training image of the m fake samples are compared with those of the n real ones by the
    z-score of Mann and Whitney,

        Z = (U - mn/2) / sqrt(mn (m + n + 1) / 12),    U = #{fake > real} + #{fake = real} / 2,

    and C_T is their mean, weighted by the share of the real images, over the cells with 20 fake
    samples or more. Well below 0 is copying, well above it underfitting. The error is that of no
    difference, when every Z has deviation 1; C_T grows with the root of the counts.

    Source: Meehan, Chaudhuri, Dasgupta (2020), A Non-Parametric Test to Detect Data-Copying in
    Generative Models.

    Args:
        real: features of images that were held out of training, (N, d).
        fake: of samples, (M, d).
        train: of the training images, (L, d). Of each set 20 or more.
        cells: k of k-means; fewer where fewer training images differ.

    Raises:
        FrenemyError: too few samples, none of the cells with enough of them, shapes that differ,
            numbers that are not finite.

    >>> train, real = torch.randn(2, 500, 2, generator=torch.Generator().manual_seed(0))
    >>> found = data_copying(real=real, fake=train + 1e-3, train=train)
    >>> found.value < -3, found.note
    (True, 'copying: samples lie nearer to training images than held-out images do')
    """
    at_least(1, cells=cells)
    real, fake, train = checked("data_copying", FEWEST, real=real, fake=fake, train=train)
    centres = k_means(train[own_order(train, seed=seed)], cells, seed)
    real_to, fake_to = (nearest(queries=rows, images=train)[0] for rows in (real, fake))
    real_cell, fake_cell = (nearest(queries=rows, images=centres)[1] for rows in (real, fake))
    scores, weights = [], []
    for cell in range(len(centres)):
        of_real, of_fake = real_to[real_cell == cell], fake_to[fake_cell == cell]
        if len(of_real) and len(of_fake) >= FEWEST:
            scores.append(mann_whitney(of_real, of_fake))
            weights.append(len(of_real) / len(real))
    if not weights:
        raise FrenemyError(
            f"data_copying: none of {len(centres)} cells has {FEWEST} samples and a real image: "
            "take more of them, or fewer cells"
        )
    judged = sum(weights)
    value = sum(w * z for w, z in zip(weights, scores, strict=True)) / judged
    error = math.hypot(*weights) / judged
    if value < -VERDICT:
        note = "copying: samples lie nearer to training images than held-out images do"
    elif value > VERDICT:
        note = "underfitting: samples lie farther from training images than held-out images do"
    else:
        note = "no sign of copying"
    if judged < 0.9:
        note += f"; judged where {judged:.0%} of the held-out images are, too few samples elsewhere"
    if (real_to == 0).double().mean() > 0.5:
        note += "; worth little: most of the held-out images are among the training images"
    return Estimate(value, error, note)


def mann_whitney(real: Tensor, fake: Tensor) -> float:
    """How far the fake numbers (m,) are above the real ones (n,): Z of `data_copying`."""
    n, m = len(real), len(fake)
    ordered = real.sort().values
    below = torch.searchsorted(ordered, fake)
    not_above = torch.searchsorted(ordered, fake, right=True)
    u = (below + not_above).sum().item() / 2
    return (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)


def k_means(points: Tensor, k: int, seed: int) -> Tensor:
    """At most k centres of points (N, d), float64 (k, d): k-means++, then Lloyd's iteration.

    Sources: Arthur, Vassilvitskii (2007), k-means++: The Advantages of Careful Seeding; Lloyd
    (1982), Least Squares Quantization in PCM.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen, weights = [], torch.ones(len(points), dtype=torch.float64)
    while len(chosen) < k and weights.any():
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
        distance, _ = nearest(queries=points, images=points[chosen[-1:]])
        square = distance.double().square().cpu()
        weights = square if len(chosen) == 1 else torch.minimum(weights, square)
    centres = points[chosen].double()
    cell = torch.full((len(points),), -1, device=points.device)
    for _ in range(ITERATIONS):
        before, cell = cell, nearest(queries=points, images=centres)[1]
        if torch.equal(before, cell):
            break
        sums = torch.zeros_like(centres)
        members = torch.nn.functional.one_hot(cell, len(centres)).double()  # (N, k)
        for here in tiles(len(points), TILE):
            sums += members[here].T @ points[here].double()
        count = members.sum(0)[:, None]
        centres = torch.where(count > 0, sums / count.clamp(min=1), centres)
    return centres
