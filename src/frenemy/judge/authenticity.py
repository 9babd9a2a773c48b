"""How near samples come to the training images, in features: the data-copying test, AuthPct."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.coverage import share
from frenemy.judge.distances import different
from frenemy.judge.estimate import TILE, Estimate, checked, tiles
from frenemy.judge.neighbours import nearest
from frenemy.judge.slices import own_order

FEWEST = 20  # fake samples in a cell that counts
ITERATIONS = 100  # of k-means, at the most
VERDICT = 3.0  # |C_T| beyond which there is one


class Authenticity:
    """Distances to the training images, with what depends on real images alone computed once.

    Args:
        real: features of images that were held out of training, (N, d).
        train: of the training images, (L, d). Of each set 20 or more.
        cells: k of k-means; fewer where fewer training images differ.
        seed: of k-means.

    Raises:
        FrenemyError: too few images, shapes that differ, numbers that are not finite.
    """

    def __init__(self, *, real: Tensor, train: Tensor, cells: int = 10, seed: int = 0) -> None:
        at_least(1, cells=cells)
        self._real, self._train = checked("data_copying", FEWEST, real=real, train=train)
        self._cells, self._seed = cells, seed
        self._different = different(self._train)  # of equal ones each would hide the others
        self._own = torch.full((len(self._different),), torch.nan, device=self._train.device)
        self._fake: tuple[Tensor, Tensor, Tensor] | None = None

    def data_copying(self, fake: Tensor) -> Estimate:
        """C_T of `data_copying`, which see."""
        fake, _ = checked("data_copying", FEWEST, fake=fake, train=self._train)
        centres, real_to, real_cell = self._of_real
        fake_to, _ = self._nearest(fake)
        fake_cell = nearest(queries=fake, images=centres)[1]
        scores, weights = [], []
        for cell in range(len(centres)):
            of_real, of_fake = real_to[real_cell == cell], fake_to[fake_cell == cell]
            if len(of_real) and len(of_fake) >= FEWEST:
                scores.append(mann_whitney(of_real, of_fake))
                weights.append(len(of_real) / len(self._real))
        if not weights:
            raise FrenemyError(
                f"data_copying: none of {len(centres)} cells has {FEWEST} samples and a real "
                "image: take more of them, or fewer cells"
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
            note += f"; judged where {judged:.0%} of the held-out images are, too few samples "
            note += "elsewhere"
        if (real_to == 0).double().mean() > 0.5:
            note += "; worth little: most of the held-out images are among the training images"
        return Estimate(value, error, note)

    def auth_pct(self, fake: Tensor) -> Estimate:
        """The share of samples that are not nearer to a training image than any other of these.

        With x_i the training image nearest to a sample, it is authentic unless it is nearer to x_i
        than the training image nearest to x_i; equal training images count as one. Held-out images
        tell which value is normal. The error is that of other samples; the training images are held
        fixed.

        Source: Alaa, van Breugel, Saveliev, van der Schaar (2022), How Faithful is your Synthetic
        Data? Sample-level Metrics for Evaluating and Auditing Generative Models.

        Args:
            fake: features of samples, (M, d), 20 or more.

        Raises:
            FrenemyError: as of `data_copying`; or all training images are equal.

        >>> train, real = torch.randn(2, 500, 2, generator=torch.Generator().manual_seed(0))
        >>> tested = Authenticity(real=real, train=train)
        >>> tested.auth_pct(train + 1e-3).value < 0.1 < 0.3 < tested.auth_pct(real).value
        True
        """
        fake, _ = checked("authpct", FEWEST, fake=fake, train=self._train)
        (train,) = checked("authpct", 2, different_training_images=self._different)
        distance, index = self._nearest(fake)
        asked = index.unique()
        asked = asked[self._own[asked].isnan()]
        self._own[asked] = nearest(queries=train[asked], images=train, own=asked)[0]
        return share(distance >= self._own[index])

    def _nearest(self, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Distances to the different training images, and which is nearest; kept for both."""
        if self._fake is None or self._fake[0] is not fake:
            self._fake = fake, *nearest(queries=fake, images=self._different)
        return self._fake[1:]

    @cached_property
    def _of_real(self) -> tuple[Tensor, Tensor, Tensor]:
        """Centres of the cells, and of the held-out images the distance and the cell."""
        order = own_order(self._train, seed=self._seed)
        centres = k_means(self._train[order], self._cells, self._seed)
        to_train, _ = nearest(queries=self._real, images=self._train)
        return centres, to_train, nearest(queries=self._real, images=centres)[1]


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
    return Authenticity(real=real, train=train, cells=cells, seed=seed).data_copying(fake)


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
