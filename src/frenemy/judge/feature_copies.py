"""Copies that only features see: training images that were turned, enlarged or coloured anew."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from frenemy.judge.distances import ROUNDING, different, nearest_rows
from frenemy.judge.estimate import checked
from frenemy.judge.usual import NEIGHBOURS, Excess, Usual

LISTED = 8  # neighbours that are bounded, of which `NEIGHBOURS` count
HELD_OUT, FEWEST = 5000, 1000  # images, at most and at least, that tell what is normal
SAME = 1e-3  # of the usual distance: what is nearer is as good as equal


class FeatureCopying:
    """The search for copies in features, with what depends on real images alone computed once.

    The score of an image is s = log(d_3 / d_1), of its distances to the nearest training images.
    Whether scores are beyond what is normal, held-out images tell: see `Usual`.

    Args:
        train: features of the training images, (N, d), of which 8 or more differ.
        held_out: of real images that nobody trained on, (V, d), 20 or more. Those that are training
            images do not count. If there are fewer than 1,000, training images, each against the
            others, stand in for the rest.

    Raises:
        FrenemyError: too few, shapes that differ, numbers that are not finite.
    """

    def __init__(self, *, train: Tensor, held_out: Tensor) -> None:
        train, held_out = checked("feature-copying", LISTED, train=train, held_out=held_out)
        self._train = different(train)  # equal ones would hide each other
        checked("feature-copying", LISTED, different_training_images=self._train)
        squares = self._squares(held_out[:HELD_OUT])
        fresh = squares[:, 0] > ROUNDING * squares[:, -1]
        (squares,) = checked("feature-copying", 20, new_held_out_images=squares[fresh])
        if (few := FEWEST - len(squares)) > 0:
            some = self._train[torch.randperm(len(self._train), generator=_seeded())[:few]]
            others = nearest_rows(some, self._train, NEIGHBOURS + 1, LISTED + 1)[0][:, 1:]
            squares = torch.cat([squares, others])
        self._least = squares[:, NEIGHBOURS - 1].sqrt().median() * SAME
        self.usual = Usual(self._scores(squares))

    def scores(self, fake: Tensor) -> Tensor:
        """Of samples, (M, d) -> (M,): 0 where all distances are equal, large for copies."""
        fake, _ = checked("feature-copying", 1, fake=fake, train=self._train)
        return self._scores(self._squares(fake))

    def of(self, fake: Tensor) -> Excess:
        """Which share of samples is copied, less what is called of held-out images.

        Args:
            fake: features of samples, (M, d), of which equal ones count once.

        Returns:
            What was found; the share's note says it in words.

        >>> train, real, fake = torch.randn(3, 500, 8, generator=torch.Generator().manual_seed(0))
        >>> search = FeatureCopying(train=train, held_out=real)
        >>> search.of(fake).certain
        False
        >>> search.of(torch.cat([fake, train[:100] + 0.01])).share.note
        'copied: 104 of 600 (14.0% to 20.2%, net of false alarms) are much nearer to a ...'
        """
        scores = self.scores(different(fake))
        found = self.usual.excess(scores)
        among = f"{found.called:,} of {len(scores):,}"
        honest = f"than {1 - found.alarms:.1%} of held-out images are"
        said = (
            f"copied: {among} ({found.low:.1%} to {found.high:.1%}, net of false alarms) are much "
            f"nearer to a training image {honest}"
            if found.certain
            else f"no sign of copying: {among} are nearer to a training image {honest}"
        )
        return replace(found, share=replace(found.share, note=said))

    def _squares(self, rows: Tensor) -> Tensor:
        return nearest_rows(rows, self._train, NEIGHBOURS, LISTED)[0]

    def _scores(self, squares: Tensor) -> Tensor:
        distances = squares.sqrt().clamp(min=self._least)
        return (distances[:, NEIGHBOURS - 1] / distances[:, 0]).log()


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
