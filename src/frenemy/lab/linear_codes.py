"""Linear autoencoders, plain and variational: what they reach is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from frenemy.game import Game, Player, Prior, Turn
from frenemy.lab.lesson import Check
from frenemy.nets.mlp import linear
from frenemy.rivals import vae
from frenemy.rivals.autoencoders import Autoencoder, squared_distance, squared_error
from frenemy.rivals.ppca import principal

ROUNDS = 250  # of gradient descent on all images at once


def linear_checks(x: Tensor) -> list[Check]:
    """A linear autoencoder trained, and a linear VAE at its optimum, beside principal components.

    The autoencoder can do no better than the eigenvalues l_3 + ... + l_d that are left (Baldi &
    Hornik 1989); the VAE's ELBO is the highest log-likelihood of probabilistic PCA (Tipping &
    Bishop 1999, eqs. 7 and 8), and with the variances of q doubled it loses their KL.

    Args:
        x: images, float64 (N, C, H, W). The autoencoder's first weights are the global generator's.
    """
    x = x - x.mean(0)
    shape, count, d = x.shape[1:], len(x), x[0].numel()
    u = x.flatten(1) / 2  # pixels of [0, 1]
    fit = principal(u, 2)
    # small: what the first weights read of directions of little variance is slow to decay
    encoder = nn.Sequential(nn.Flatten(), linear(d, 2, 0.01))
    net = Autoencoder(encoder, nn.Sequential(linear(2, d, 0.1), nn.Unflatten(1, shape))).double()
    player = Player(net, torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9))
    game = Game({"G": player}, [Turn({"G": {squared_error: 1.0}})], Prior("gaussian", 2), 1)
    for step in range(ROUNDS):
        game.play(lambda stream, i: (x, None), seed=0, step=step)  # draws nothing: full batches
    pca = vae.probabilistic_pca(x, 2)
    # log p(x | z) is quadratic in z: its mean over these four epsilons is that over all
    corners = math.sqrt(2) * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]]).double()

    def elbo() -> float:
        return sum(vae.elbo(pca, x, e.expand(count, 2)).mean().item() for e in corners) / 4

    with torch.no_grad():
        error = squared_distance(x, net.reconstruct(x)).mean().item()
        best = elbo()
        *_, bias = pca.encoder.parameters()
        bias[2:] += math.log(2)
        lost = best - elbo()
    # descent comes to 1e-7 of the first in so many rounds; float64 rounds the others by 1e-12
    return [
        Check(
            "error of a linear autoencoder (PCA's)", error, fit.eigenvalues[2:].sum().item(), 1e-6
        ),
        Check("mean ELBO of probabilistic PCA (log p(x))", best, fit.best, 1e-6),
        Check("its loss with q's variances doubled (1 − log 2)", lost, 1 - math.log(2), 1e-6),
    ]
