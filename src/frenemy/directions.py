"""Principal directions of z: what a generator's first layer tells most apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frenemy.engine import seed_everything
from frenemy.errors import at_least, at_most
from frenemy.model import Model
from frenemy.sampling import CHUNK, drawing, generate, noise, rows_at_a_time, shape_of, told

SAMPLES = 2_000  # of z, at least: whatever G, seconds
PLACES = range(-3, 4)  # standard deviations, the columns of a sheet


def principal_directions(model: Model, count: int = 8) -> Tensor:
    """Directions of z along which the outputs of G's first layer vary most, one a row.

    With h_i the layer's outputs of z_i, centred, and u_k, of unit variance over i, the scores of
    their principal component k, direction k is the u_k-coefficient of the least-squares fit of z:
    d_k = mean_i u_ik z_i. A step of its length moves the score by one standard deviation. The z_i
    are drawn from the prior and then made of mean 0 and covariance 1 exactly; so for a layer that
    is linear in z the d_k are the right singular vectors of its weight, the largest first. The
    first layer is the first module with parameters whose output depends on z. Where the players
    are told classes, all is of the first class.

    Härkönen, Hertzmann, Lehtinen and Paris (2020), GANSpace: Discovering Interpretable GAN
    Controls, section 2.

    Args:
        model: whose players have a G that is told nothing, or classes.
        count: how many directions, at most the size of z.

    Returns:
        (count, size of z); the largest entry of each is positive.

    Raises:
        FrenemyError: there is no such G, or the count is out of range.
    """
    model.require_latents()
    at_least(1, count=count)
    at_most(model.game.prior.size, count=count)
    z, h = _first_outputs(model)
    outer = h @ h.T  # (N, N)
    scores = torch.linalg.eigh(outer).eigenvectors.flip(1)[:, :count]  # of unit length
    directions = scores.T @ z / len(z) ** 0.5
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return directions * largest.sign()


def sheet(model: Model, directions: Tensor, *, seed: int = 0) -> NDArray[Any]:
    """Images from -3 to 3 standard deviations along directions, about the seed's first sample.

    Args:
        model: whose G draws them.
        directions: of z, (N, size).
        seed: of the sample, and of what networks draw within themselves.

    Returns:
        uint8 (N, 7, C, H, W).

    Raises:
        FrenemyError: the seed is out of range, or the players are told of images.
    """
    about = next(noise(model.game, 1, seed))
    steps = torch.tensor(PLACES).view(-1, 1)  # (7, 1)
    z = (about + steps * directions[:, None]).flatten(0, 1)  # (7 N, size)
    labels = np.zeros(len(z), np.int64)
    images = generate(model.game, model.facts, z.split(CHUNK), len(z), seed=seed, labels=labels)
    return images.reshape(len(directions), len(PLACES), *images.shape[1:])


@torch.inference_mode()
def _first_outputs(model: Model) -> tuple[Tensor, Tensor]:
    """Noise of mean 0 and covariance 1, (N, size), and the first layer's outputs, centred."""
    game, facts = model.game, model.facts
    count = max(SAMPLES, 4 * game.prior.size)
    z = torch.cat([*noise(game, count, 0)])
    z = torch.linalg.qr(z - z.mean(0)).Q * count**0.5

    def outputs(G: nn.Module, layers: Iterable[nn.Module], z: Tensor) -> dict[nn.Module, Tensor]:
        """Of each layer, in the order in which they are done, where it is called first."""
        found: dict[nn.Module, Tensor] = {}

        def see(layer: nn.Module, _: object, output: object) -> None:
            if isinstance(output, Tensor) and output.shape[:1] == z.shape[:1]:
                # a copy: what follows may work in place
                rows = output.reshape(len(z), -1).to("cpu", torch.float32, copy=True)
                found.setdefault(layer, rows)

        c = told(game, facts, range(len(z)), np.zeros(len(z), np.int64))
        handles = [layer.register_forward_hook(see) for layer in layers]
        try:
            seed_everything(0, game.device)  # the same noise within G for every z
            G(z.to(game.device), *(c.to(game.device) for c in c))
        finally:
            for handle in handles:
                handle.remove()
        return found

    with drawing(game) as nets:
        G = nets["G"]
        layers = [m for m in G.modules() if m is G or any(True for _ in m.parameters(False))]
        a, b = (outputs(G, layers, z[i : i + 1]) for i in (0, 1))
        first = next((m for m in a if not torch.equal(a[m], b[m])), G)
        parts = z.split(rows_at_a_time(shape_of(game, facts)))
        h = torch.cat([outputs(G, [first], part)[first] for part in parts])
    return z, h - h.mean(0)
