"""What is measured of a game while it is played, for `frenemy.diagnosis` to read.

In the rounds that `is_measured` names, the players' gradients and D's logits are taken as they are,
and a few hundred samples are drawn and compared with as many real images. All of it is a function
of the seed, the round and what `Monitor.memory` holds, so that a resumed run measures the same.
Samples are compared on the CPU: they are few, and not every device has float64 or a QR
decomposition.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import softplus

from frenemy.data.source import PLANE
from frenemy.diagnosis import FEWEST_REAL, HEALTH, SAMPLES
from frenemy.engine import seed_everything
from frenemy.game import (
    Game,
    Gradient,
    Minibatch,
    Observer,
    Round,
    Turn,
    mix,
)
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.features import RandomNetwork
from frenemy.sampling import at_rest, rows_at_a_time

MEASURE_EVERY = 100  # rounds,
AT_FIRST, BEGINNING = 50, 500  # and so often in so many rounds at first
OF_CHAINS = 500  # where samples are the ends of chains, which take long to draw
NEIGHBOURS = 5
FOLLOWED = 64  # of the samples are followed between measurements, in so many random directions:
DIRECTIONS = 8
EXACT = "donot_use_mm_for_euclid_dist"  # or near ones come out equal
REPEATS = 0.05  # of the median distance of real images to their nearest: closer is a repeat

Memory = dict[str, list[float]]


def is_measured(rounds: int, *, chains: bool = False) -> bool:
    """Whether a game, or a stage of it, is measured in the round that makes so many.

    >>> [n for n in range(1, 1000) if is_measured(n)]
    [50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900]

    Args:
        rounds: of the game or the stage.
        chains: whether its samples are the ends of Markov chains.
    """
    later = OF_CHAINS if chains else MEASURE_EVERY
    return not rounds % (AT_FIRST if rounds <= BEGINNING else later)


class Monitor:
    """The measurements of one game.

    Args:
        game: what is played.
        minibatch: its streams of data.
        seed: of the run and its stage, from which the real images and the samples' z are drawn.
        memory: of the last measurement, if there was one.

    Attributes:
        memory: what the next measurement needs to know of this one, as plain numbers.
    """

    def __init__(
        self, game: Game, minibatch: Minibatch, seed: int, memory: Memory | None = None
    ) -> None:
        self.game = game
        self.memory: Memory = {} if memory is None else memory
        generator = torch.Generator().manual_seed(mix(seed, 3))
        self._z = game.prior(SAMPLES, generator).to(game.device)
        # Apple's GPUs cannot average areas of any size
        self._where = torch.device("cpu") if game.device.type == "mps" else game.device
        self._net = RandomNetwork().to(self._where)
        stream = len(game.turns)  # no turn reads it
        batches = range(math.ceil(SAMPLES / game.minibatch))
        drawn = [minibatch(stream, i) for i in batches]
        x = torch.cat([game.see(x) for x, _ in drawn])[:SAMPLES]
        told = [] if game.conditions is None else [game.conditions(x, y) for x, y in drawn]
        self._c = [torch.cat(c)[:SAMPLES] for c in zip(*told, strict=True)]
        self._rows = rows_at_a_time(x.shape[1:])
        self._seed = mix(seed, 4)
        self._real = self._features(x.cpu().unique(dim=0))  # a small set comes round several times
        self._classes = next(
            (c.cpu() for c in self._c if c.ndim == 1 and not c.is_floating_point()), None
        )
        self._within = self._apart_within_classes(self._features(x))
        distances = _distances(self._real)
        self._spread = _mean_pair(distances)
        nearest = _nearest(distances)
        self._near, self._apart = nearest.median(), nearest.mean()
        d = self._real.shape[1]
        directions = torch.randn(d, min(d, DIRECTIONS), generator=generator)
        self._directions = torch.linalg.qr(directions).Q
        self._step = _mean_pair(_distances(self._real @ self._directions))

    def _apart_within_classes(self, features: Tensor) -> Tensor:
        """The mean distance of different images of one class, in the order of the conditions."""
        if self._classes is None:
            return torch.tensor(math.nan)
        distances = _distances(features)
        same = (self._classes[:, None] == self._classes) & (distances > 0)
        return distances[same].mean()

    @torch.no_grad()
    def _features(self, x: Tensor) -> Tensor:
        """Cheap features, (B, d) on the CPU: random convolutions of images, points as they are."""
        images = x.ndim == 4 and x.shape[1:] != PLANE
        seen = self._net(x.to(self._where).float()).features if images else x.flatten(1)
        return seen.float().cpu()

    def observer(self) -> Observer:
        """To be given to `Game.play` in a round: sees its gradients and D's logits."""
        return functools.partial(self._observe, {})

    def _observe(
        self,
        norms: dict[str, Tensor],
        r: Round,
        turn: Turn,
        gradients: Mapping[str, Gradient],
    ) -> dict[str, Tensor]:
        if turn.every > 1:
            return {}
        norms |= {name: _norm(gradient) for name, gradient in gradients.items()}
        found = {f"{name} gradient": norms[name] for name in gradients}
        if "G" in norms and "D" in norms and norms["D"] > 0:
            found["gradient ratio"] = norms["G"] / norms["D"]
        known = r.__dict__  # what some term asked for: a round computes it once
        if "D" in turn.moves and "Dx" in known and "DGz" in known:
            Dx, DGz = r.Dx.detach(), r.DGz.detach()
            found |= {
                "D right on x": (Dx > 0).float().mean(),
                "D right on G(z)": (DGz < 0).float().mean(),
                "D ahead": _ahead(Dx, DGz),
                "margin": Dx.mean() - DGz.mean(),
                "value": -(softplus(-Dx) + softplus(DGz)).mean() + math.log(4),
            }
        if "G" in turn.moves and "Gz" in known:
            played = self._features(r.Gz.detach()[:FOLLOWED])
            found["diversity in play"] = _mean_pair(_distances(played)) / self._spread
        if "G" in r.signals:  # of the mean over the minibatch: times its size, of one example
            found["G signal"] = r.signals["G"].abs().sum()
        return {HEALTH + name: value for name, value in found.items()}

    @torch.no_grad()
    def compare(self, rounds: int) -> dict[str, Tensor]:
        """Draws samples and compares them with the real images and with earlier ones.

        What cannot be told is left out: neighbourhoods where there are fewer than `FEWEST_REAL`
        different real images, and distances where there is but one.

        Args:
            rounds: of this game, or stage, that have been played.
        """
        seed_everything(self._seed, self.game.device)  # for what networks draw within themselves
        parts = zip(*(t.split(self._rows) for t in (self._z, *self._c)), strict=True)
        with at_rest(self.game) as nets:
            made = torch.cat([self.game.sampler(nets, z, tuple(c)) for z, *c in parts])
        fake = self._features(made)
        if not torch.isfinite(fake).all():
            return {}  # the training loop will name the player at its next check
        distances = _distances(fake)
        found = {
            "images": torch.tensor(float(rounds * self.game.minibatch)),
            "diversity": _mean_pair(distances) / self._spread,
            "diversity within classes": self._apart_within_classes(fake) / self._within,
        }
        if (count := len(self._real)) >= FEWEST_REAL:
            nearest = _nearest(distances[:count, :count])  # among as many as there are real ones
            found["repeats"] = (nearest < REPEATS * self._near).float().mean()
            compared = precision_recall_density_coverage(
                real=self._real, fake=fake[:count], k=NEIGHBOURS
            )
            for name in ("precision", "recall", "coverage"):
                found[name] = torch.tensor(getattr(compared, name).value)
            to_real = torch.cdist(fake, self._real, compute_mode=EXACT).amin(1)
            found["distance"] = to_real.mean() / self._apart
        if not rounds % MEASURE_EVERY and self.game.rows is None:  # z is more than a chain's name
            found |= self._motion(fake)
        return {HEALTH + name: value for name, value in found.items() if value.isfinite()}

    def _motion(self, fake: Tensor) -> dict[str, Tensor]:
        """How far the same z's samples moved since this was last asked."""
        followed = fake[:FOLLOWED] @ self._directions
        before = self.memory.get("samples")
        self.memory = {"samples": followed.flatten().tolist()}
        if before is None:
            return {}
        moved = followed - torch.tensor(before).view_as(followed)
        return {"motion": moved.norm(dim=1).mean() / self._step}


def _norm(gradient: Gradient) -> Tensor:
    parts = [g for g in gradient if g is not None]
    norms = torch._foreach_norm(parts)  # pyright: ignore[reportPrivateImportUsage] (torch exports it so)
    return torch.stack(norms).norm()


def _ahead(Dx: Tensor, DGz: Tensor) -> Tensor:
    """The share of pairs that D ranks rightly; of those that it does not rank, half."""
    return (Dx[:, None] - DGz[None, :]).sign().add(1).div(2).mean()


def _distances(points: Tensor) -> Tensor:
    """(N, d) -> (N, N)."""
    return torch.cdist(points, points, compute_mode=EXACT)


def _mean_pair(distances: Tensor) -> Tensor:
    count = len(distances)
    return distances.sum() / (count * (count - 1))


def _nearest(distances: Tensor) -> Tensor:
    """The distance of each point to its nearest other, (N,)."""
    return distances.clone().fill_diagonal_(torch.inf).amin(1)
