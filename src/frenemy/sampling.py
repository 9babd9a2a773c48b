"""Drawing samples: the noise that a seed names, what is made of it, and that as pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from frenemy.data import Facts
from frenemy.data.source import PLANE
from frenemy.engine import seed_everything
from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.experiment import from_pixels
from frenemy.game import Game, mix

LARGEST_SEED = 2**64 - 1  # that torch's generators take
CHUNK = 500  # samples whose noise is drawn at a time: it does not depend on how many are asked for
NUMBERS = 2**21  # of the images that are made at a time: G holds some hundred times as many

Labels = NDArray[np.int64] | NDArray[np.float32]
"""Of samples: a class each, (N,); or weights of all classes, (N, K), for a G that `mixes` them."""


@torch.inference_mode()
def to_pixels(images: Tensor) -> NDArray[Any]:
    """Images (B, C, H, W) in [-1, 1] as uint8 (B, C, H, W); what lies outside is clipped.

    Points in the plane stay float32, (B, 2, 1, 1).
    """
    if images.shape[1:] == PLANE:
        return images.float().cpu().numpy()
    pixels = images.clamp(-1, 1).add_(1).mul_(127.5).round_()
    return pixels.to("cpu", torch.uint8).numpy()


def noise(game: Game, count: int, seed: int) -> Iterator[Tensor]:
    """The z numbered 0 to count - 1 of the stream that `seed` names, (B, size) at a time.

    Raises:
        FrenemyError: the seed is below 0, or more than 64 bits hold.
    """
    at_least(0, seed=seed)
    at_most(LARGEST_SEED, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, CHUNK):
        yield game.prior(CHUNK, generator)[: count - start]


def truncated(z: Tensor, t: float) -> Tensor:
    """Normal z as if each number had been drawn anew until it lies in [-t, t].

    F^-1(F(-t) + F(z) (F(t) - F(-t))) with F the normal distribution function has just that law,
    is a function of z, and moves it less the larger t is: a seed's sample stays in sight.

    The truncation trick of Brock, Donahue and Simonyan (2019), Large Scale GAN Training for High
    Fidelity Natural Image Synthesis, section 3.1: samples are better and less various. Not so of a
    G with batch normalisation, which then draws pictures without contrast.

    >>> truncated(torch.tensor([-9.0, 0.0, 1.0, 9.0]), 0.5)
    tensor([-0.5000,  0.0000,  0.3337,  0.5000])
    """
    F = torch.special.ndtr
    edge = F(torch.tensor(t, dtype=torch.float64))
    inner = torch.special.ndtri(1 - edge + F(z.double()) * (2 * edge - 1))
    return inner.clamp(-t, t).to(z.dtype)


def mixes(game: Game) -> bool:
    """Whether G may be told weights of classes (B, K) in place of labels.

    It may if any of its modules says so by `mixes = True`.
    """
    G = game.players["G"].best if "G" in game.players else None
    return G is not None and any(getattr(m, "mixes", False) for m in G.modules())


def columns(classes: int, count: int) -> int | None:
    """Of a grid of so many samples, each class in turn: every column is of one class.

    As square as can be; None where a row would be more than twice as long.

    >>> columns(10, 64), columns(3, 64), columns(100, 64), columns(0, 64)
    (10, 9, None, None)
    """
    side = math.ceil(math.sqrt(count))
    if not 0 < classes <= 2 * side:
        return None
    return min(count, max(1, round(side / classes)) * classes)


def shape_of(game: Game, facts: Facts) -> tuple[int, ...]:
    """(C, H, W) of an image as the game's players see it."""
    return tuple(game.see(torch.zeros(1, *facts.shape)).shape[1:])


def as_seen(game: Game, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, C, H, W) as the game sees them (contrast-normalised, say), as pixels again."""
    if game.prepare is None:
        return images
    parts = (images[i : i + CHUNK] for i in range(0, len(images), CHUNK))
    pixels = (torch.from_numpy(np.array(part)) for part in parts)
    return np.concatenate([to_pixels(game.see(from_pixels(part))) for part in pixels])


def reads_images(game: Game, facts: Facts) -> bool:
    """Whether what the players are told depends on images, and not on labels alone."""
    if game.conditions is None:
        return False
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.zeros(1, *facts.shape, requires_grad=True)
        return any(c.requires_grad for c in game.conditions(x, torch.zeros(1, dtype=torch.int64)))


def told(
    game: Game,
    facts: Facts,
    rows: range,
    labels: Labels | None = None,
    images: NDArray[np.uint8] | None = None,
) -> tuple[Tensor, ...]:
    """The conditions of the samples numbered `rows`.

    Args:
        game, facts: what is played, and on what.
        rows: the samples' numbers.
        labels: of all samples; by default each class in turn.
        images: of all samples, uint8 (N, C, H, W), where the players are told of images.

    Raises:
        FrenemyError: they are told of images, and none are given.
    """
    if game.conditions is None:
        return ()
    if images is None and reads_images(game, facts):
        raise FrenemyError(f"this game is conditioned on images such as {facts.name}: give some")
    numbers = np.arange(rows.start, rows.stop)
    y = numbers % max(1, len(facts.classes)) if labels is None else labels[numbers]
    x = torch.zeros(len(rows), *facts.shape)
    if images is not None:
        x = from_pixels(torch.from_numpy(images[numbers]))
    return game.conditions(x, torch.from_numpy(y))


@torch.inference_mode()
def generate(
    game: Game,
    facts: Facts,
    z: Iterable[Tensor],
    count: int,
    *,
    seed: int = 0,
    labels: Labels | None = None,
    images: NDArray[np.uint8] | None = None,
) -> NDArray[Any]:
    """The game's samples of z, by the averages of its networks where they have some.

    Args:
        game: which draws.
        facts: of the data that it is played on.
        z: (B, size) at a time, `count` in all.
        count: how many images.
        seed: of what networks draw within themselves.
        labels, images: of all samples, for what the players are told: see `told`.

    Returns:
        uint8 (count, C, H, W), as `to_pixels` gives them.

    Raises:
        FrenemyError: as `told`.
        MemoryError: so many do not fit.
    """
    shape = shape_of(game, facts)
    most = game.rows or rows_at_a_time(shape)
    drawn, done = np.empty((count, *shape), np.float32 if shape == PLANE else np.uint8), 0
    with drawing(game) as nets:
        for part in (part for chunk in z for part in chunk.split(most)):
            rows = range(done, done + len(part))
            c = [c.to(game.device) for c in told(game, facts, rows, labels, images)]
            made = _drawn(game, nets, part.to(game.device), c, mix(seed, done), most)
            drawn[rows.start : rows.stop] = to_pixels(made)
            done = rows.stop
    return drawn


def _drawn(
    game: Game, nets: Mapping[str, nn.Module], z: Tensor, c: list[Tensor], seed: int, whole: int
) -> Tensor:
    """Samples of z, (B, C, H, W), where B is at most `whole`.

    What draws within itself makes a whole pass of it, so that a sample does not depend on how many
    are asked for. A game with `rows` does; of others the random generators tell.
    """

    def made(z: Tensor, *c: Tensor) -> Tensor:
        seed_everything(seed, game.device)
        return game.sampler(nets, z, c)

    if game.rows is None:
        images, after = made(z, *c), _states(game.device)
        seed_everything(seed, game.device)
        if len(z) == whole or all(map(torch.equal, after, _states(game.device))):
            return images
    return made(*(_filled(rows, whole) for rows in (z, *c)))[: len(z)]


def _filled(rows: Tensor, count: int) -> Tensor:
    return pad(rows, (0, 0) * (rows.ndim - 1) + (0, count - len(rows)))


def _states(device: torch.device) -> list[Tensor]:
    """Of the random generators that networks draw from."""
    states = [torch.get_rng_state()]
    return (
        states if device.type == "cpu" else [*states, getattr(torch, device.type).get_rng_state()]
    )


def rows_at_a_time(shape: Sequence[int]) -> int:
    """How many samples of a shape (C, H, W) are made in one pass: some GiB hold what G keeps."""
    return min(CHUNK, max(1, NUMBERS // math.prod(shape)))


@contextmanager
def at_rest(game: Game) -> Iterator[Mapping[str, nn.Module]]:
    """The networks to sample from, in evaluation while the context lasts."""
    nets = {name: player.best for name, player in game.players.items()}
    training = [(m, m.training) for net in nets.values() for m in net.modules()]
    for net in nets.values():
        net.eval()
    try:
        yield nets
    finally:
        for module, was in training:
            module.training = was


@contextmanager
def drawing(game: Game) -> Iterator[Mapping[str, nn.Module]]:
    """As `at_rest`; and the random generators go on afterwards as if nothing had been drawn."""
    gpus = [game.device] if game.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus), at_rest(game) as nets:
        yield nets
