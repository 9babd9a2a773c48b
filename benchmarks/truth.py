"""How a game failed, by a judge who sees what is hidden from the rules of diagnosis.

It looks at thousands of samples, in pixels or in the plane itself, at real images that were
held out, and at how the samples went on; the rules see a few hundred in random features, and the
past. So it can tell whether a game that was built to fail did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import median
from typing import Literal

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from frenemy.diagnosis import FailureMode
from frenemy.game import Game, mix
from frenemy.judge.neighbours import nearest
from frenemy.judge.slices import sliced_wasserstein
from frenemy.sampling import at_rest

COUNT = 2000  # samples and real images
CELLS = 20  # of k-means on the real images
MISSED = 0.2  # of its due share: a cell with fewer samples is lost

FOOLED = 0.05  # of all pairs of a held-out image and a sample, that D ranks rightly
CHANCE = 0.6  # likewise
NONE_GENUINE = 0.02  # of the samples near real images
WON = 0.98  # of all pairs of a held-out image and a sample, that D ranks rightly
STUCK = 0.2  # of the way that remains, which the samples went in all
LOST = 0.5  # of the real images are in cells that are lost
NARROW, NOT_NARROW = 0.4, 0.5  # spread or distance of the samples over that of real images
GENUINE = 0.5  # of the samples are near real images
RESTLESS, CALM = 0.5, 0.2  # of the way that remains, which the samples go from snapshot to snapshot
NEARER = 0.8  # of what remained at most in the first snapshots remains at most in the last ones
FAR, NEAR = 0.5, 0.35  # of the way from all images alike to the real ones
FEW_LOST = 0.25


@dataclass(frozen=True)
class Snapshot:
    """The samples of one round.

    Attributes:
        far: sliced Wasserstein distance to real images, over that of their mean to them.
        went: sliced Wasserstein distance to the snapshot before, likewise.
        went_in_all: to the first one.
        lost: share of the real images in cells with less than .2 of their due share of samples.
        spread: root of the samples' total variance, over that of the real images.
        distinct: median distance of a sample to its nearest other, over that of real images.
        genuine: share of samples as near to real images as 95 % of held-out ones are.
        ahead: share of pairs of a held-out image and a sample that D ranks rightly.
    """

    far: float
    went: float
    went_in_all: float
    lost: float
    spread: float
    distinct: float
    genuine: float
    ahead: float


class GroundTruth:
    """Takes snapshots of a game.

    Args:
        game: what is played.
        parts: real images to train on, and held out, (N, ...), (M, ...).
        seed: of the samples.
    """

    def __init__(self, game: Game, parts: tuple[Tensor, Tensor], seed: int) -> None:
        self.game = game
        self._train, self._held_out = parts
        self._real = self._train.flatten(1)
        self._spread = self._real.var(0).sum().sqrt().item()
        self._unit = self._spread / math.sqrt(self._real.shape[1])
        cells = KMeans(CELLS, random_state=0).fit(self._real.numpy())
        self._centres = torch.from_numpy(cells.cluster_centers_).float()
        self._due = self._shares(self._real)
        to_real = nearest(queries=self._held_out.flatten(1), images=self._real)[0]
        self._near = to_real.quantile(0.95)
        self._z = game.prior(COUNT, torch.Generator().manual_seed(mix(seed, 4)))
        self._before: list[Tensor] = []
        self.snapshots: list[Snapshot] = []

    def _shares(self, rows: Tensor) -> Tensor:
        cell = nearest(queries=rows, images=self._centres)[1]
        return cell.bincount(minlength=CELLS) / len(rows)

    def _distance(self, real: Tensor, fake: Tensor) -> float:
        return sliced_wasserstein(real=real, fake=fake).value / self._unit

    def _apart(self, rows: Tensor) -> Tensor:
        return torch.cdist(rows, rows).fill_diagonal_(math.inf).amin(1).median()

    @torch.no_grad()
    def take(self) -> None:
        """Takes a snapshot now."""
        with at_rest(self.game) as nets:
            images = nets["G"](self._z)
            Dx, DGz = nets["D"](self._held_out), nets["D"](images)
        fake = images.flatten(1)
        self._before.append(fake)
        lost = self._shares(fake) < MISSED * self._due
        near = nearest(queries=fake, images=self._real)[0] <= self._near
        self.snapshots.append(
            Snapshot(
                far=self._distance(self._real, fake),
                went=self._distance(self._before[-2], fake) if len(self._before) > 1 else 0.0,
                went_in_all=self._distance(self._before[0], fake),
                lost=self._due[lost].sum().item(),
                spread=fake.var(0).sum().sqrt().item() / self._spread,
                distinct=(self._apart(fake) / self._apart(self._real)).item(),
                genuine=near.float().mean().item(),
                ahead=(Dx[:, None] > DGz[None, :]).float().mean().item(),
            )
        )


def verdict(
    snapshots: Sequence[Snapshot], saturates: bool = True
) -> FailureMode | Literal["well"] | None:
    """What snapshots say that were taken evenly over the second half of a game; None: not clear.

    Where G's loss cannot saturate, as that of hinge and of Wasserstein games, whose slope is 1
    everywhere, no gradient is diminished: such a G makes no headway.

    - *D does not learn*: it is fooled in every snapshot;
    - *diminished gradient*: D has won, and samples that are far from real ones stay where they are;
    - *mode collapse*: half of the real images' mass is lost in every snapshot, and the samples are
      all alike; or they are not restless, and of few kinds or genuine;
    - *non-convergence*: samples that are far from real ones and not alike come no nearer and move
      restlessly;
    - *G makes no headway*: in every snapshot no sample is near real images, and they come no
      nearer; *D does not learn* where it ranks such samples hardly better than by chance;
    - *well*: next to nothing is lost, and samples are near to real ones, or genuine and calmly
      coming nearer.
    """
    half = len(snapshots) // 2
    before, now = (_medians(part) for part in (snapshots[:half], snapshots[half:]))
    restless = now.went > RESTLESS * now.far
    astray = now.far > FAR and max(s.genuine for s in snapshots) <= NONE_GENUINE
    if max(s.ahead for s in snapshots) < FOOLED:
        return "D does not learn"
    if now.far > FAR and now.ahead > WON and snapshots[-1].went_in_all < STUCK * now.far:
        return "diminished gradient" if saturates else "G makes no headway"
    few = now.distinct < NARROW or now.genuine > GENUINE
    if min(s.lost for s in snapshots) >= LOST and (now.spread < NARROW or (few and not restless)):
        return "mode collapse"
    nearer = max(s.far for s in snapshots[half:]) < NEARER * max(s.far for s in snapshots[:half])
    if now.far > FAR and restless and now.spread > NOT_NARROW and not nearer:
        return "non-convergence"
    if astray and not nearer:
        return "D does not learn" if now.ahead < CHANCE else "G makes no headway"
    coming = now.far < before.far and now.went < CALM * now.far
    if now.lost < FEW_LOST and (now.far < NEAR or (now.genuine > GENUINE and coming)):
        return "well"
    return None


def _medians(snapshots: Sequence[Snapshot]) -> Snapshot:
    columns = zip(*(astuple(snapshot) for snapshot in snapshots), strict=True)
    return Snapshot(*(median(column) for column in columns))
