"""The variational autoencoder: an encoder as approximate posterior, a decoder as likelihood.

    z ~ N(0, I),    x | z ~ N(G(z), variance I) or Bernoulli(G(z)),
    q(z | x) = N(mean(x), diag(sd(x)^2))

Pixels are Gaussian about the decoder's image, with one variance that is learned with the weights;
or they are binary, and grey levels their probabilities. The game has one player, "G", one turn,
`Turn({"G": {negative_elbo: 1.0}})`, and a Gaussian prior: the z of a round is the epsilon of the
reparametrisation. Likelihoods are of pixels in [0, 1].

Kingma & Welling (2014), Auto-Encoding Variational Bayes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import FrenemyError, at_least
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.rivals.autoencoders import Autoencoder, squared_distance
from frenemy.rivals.ppca import principal

if TYPE_CHECKING:
    from frenemy.game import Round


class Variational(Autoencoder, ABC):
    """The model above, whatever its pixels are; as a generator it is the mean of p(x | z).

    Args:
        encoder: images (B, C, H, W) in [-1, 1] -> (B, 2 size): means, then log variances of q.
        decoder: z (B, size) -> what the mean of an image is made of, (B, C, H, W).
    """

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and log variance of q(z | x), (B, size) each."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x), (B, size)."""
        return self.posterior(x)[0]

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Log p(x | z), (B,)."""


class VAE(Variational):
    """With Gaussian pixels, of which the decoder gives the means."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__(encoder, decoder)
        self.log_variance = nn.Parameter(torch.tensor(math.log(0.1)))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """-|x - G(z)|^2 / (2 variance) - d / 2 log(2 pi variance), (B,)."""
        d = x[0].numel()
        errors = squared_distance(x, self(z)) / self.log_variance.exp()
        return -(errors + d * (math.log(math.tau) + self.log_variance)) / 2


class BinaryVAE(Variational):
    """With binary pixels, of which the decoder gives the logits."""

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(z).div(2).tanh()  # of a probability p it is 2 p - 1

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """The sum over pixels of x log p + (1 - x) log(1 - p), p = P(1 | z): (B,).

        Of grey levels it is the mean over the binary images of which they are the probabilities.
        """
        logits = self.decoder(z).flatten(1)
        return -F.binary_cross_entropy_with_logits(logits, ToUnit()(x), reduction="none").sum(1)


def negative_elbo(r: Round) -> Tensor:
    """-ELBO of each image, (B,), with the round's z as epsilon. Kingma & Welling (2014), eq. 10."""
    G = r.nets["G"]
    assert isinstance(G, Variational)
    return -elbo(G, r.x.detach(), r.z)


def elbo(model: Variational, x: Tensor, epsilon: Tensor) -> Tensor:
    """One sample of the evidence lower bound, in expectation at most log p(x):

        log p(x | z) - KL(q(z | x) || p(z)),    z = mean(x) + sd(x) epsilon.

    Kingma & Welling (2014), eq. 10 with L = 1; the KL is exact.

    Args:
        model: the decoder, the encoder and what pixels are.
        x: images (B, C, H, W) in [-1, 1].
        epsilon: standard normal, (B, size).

    Returns:
        Nats, (B,).
    """
    mean, log_variance = model.posterior(x)
    z = mean + (log_variance / 2).exp() * epsilon
    return model.log_likelihood(x, z) - kl_to_prior(mean, log_variance)


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag(exp(log_variance))) || N(0, I)) in nats: (B, size) -> (B,).

    The sum over dimensions of (mean^2 + variance - 1 - log variance) / 2. Kingma & Welling (2014),
    appendix B.

    >>> kl_to_prior(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    tensor([12.5000])
    """
    return (mean.square() + log_variance.expm1() - log_variance).sum(1) / 2


@torch.no_grad()
def importance_bound(model: Variational, x: Tensor, *, samples: int, seed: int = 0) -> Tensor:
    """A stochastic lower bound on log p(x) that closes as samples grow:

        log mean_k p(x, z_k) / q(z_k | x),    z_k ~ q(z | x).

    With one sample its expectation is the ELBO; it rises with their number, towards log p(x) where
    the weights have a finite mean. Burda, Grosse & Salakhutdinov (2016), Importance Weighted
    Autoencoders, Theorem 1.

    Args:
        model: as of `elbo`.
        x: images (B, C, H, W) in [-1, 1].
        samples: of z for each image.
        seed: of these.

    Returns:
        Nats, (B,).

    Raises:
        FrenemyError: fewer than one sample.
    """
    at_least(1, samples=samples)
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = model.posterior(x)
    sd = (log_variance / 2).exp()
    total = mean.new_full((len(x),), -math.inf)
    for _ in range(samples):
        epsilon = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
        z = mean + sd * epsilon
        log_ratio = (epsilon.square() - z.square() + log_variance).sum(1) / 2  # log p(z) / q(z | x)
        total = torch.logaddexp(total, model.log_likelihood(x, z) + log_ratio)
    return total - math.log(samples)


def probabilistic_pca(x: Tensor, size: int) -> VAE:
    """The linear VAE of highest likelihood, which is known: principal components with noise.

    G(z) = W z + mean, and q(z | x) is the posterior itself, whose covariance is diagonal: that of
    axis i is variance / l_i, with l_i the eigenvalue of the data's covariance (see `ppca`). So its
    ELBO is log p(x). Tipping & Bishop (1999), Probabilistic Principal Component Analysis,
    eqs. 6 to 8.

    Args:
        x: images (N, C, H, W) in [-1, 1], float32 or float64, which is the model's precision.
        size: of z, less than the number of pixels.

    Raises:
        FrenemyError: sizes out of range, or no variance is left for the noise.
    """
    d = x[0].numel()
    at_least(1, size=size, pixels_left=d - size)
    mean, W, variance, values = principal(ToUnit()(x), size)
    if W.shape[1] < size:
        raise FrenemyError(f"{size} components explain all variance: give a smaller size")
    largest = values[:size]
    encoder, decoder = nn.Linear(d, 2 * size, dtype=x.dtype), nn.Linear(size, d, dtype=x.dtype)
    with torch.no_grad():
        decoder.weight.copy_(W)
        decoder.bias.copy_(mean)
        encoder.weight.zero_()
        encoder.weight[:size] = (W / largest).T
        encoder.bias[:size] = -mean @ W / largest
        encoder.bias[size:] = (variance / largest).log()
    shape = (x.shape[1], x.shape[2], x.shape[3])
    model = VAE(nn.Sequential(ToUnit(), encoder), nn.Sequential(decoder, FromUnit(shape)))
    with torch.no_grad():
        model.to(x.dtype).log_variance.copy_(variance.log())
    return model


@torch.no_grad()
def log_p_by_quadrature(model: VAE, x: Tensor, *, reach: float = 6.0, step: float = 0.04) -> Tensor:
    """Log p(x) for z in the plane, by the trapezoidal rule on [-reach, reach]^2.

    Its relative error falls as exp(-2 (pi s / step)^2), s the smallest deviation of a posterior.

    Args:
        model: with z of two dimensions.
        x: images (B, C, H, W) in [-1, 1].
        reach: of the square, in deviations of the prior.
        step: of the lattice.

    Returns:
        Nats, (B,). Memory beyond the lattice's images is bounded.
    """
    line = torch.arange(-reach, reach + step / 2, step, dtype=x.dtype, device=x.device)
    z = torch.cartesian_prod(line, line)  # (points, 2)
    means = ToUnit()(model(z))  # (points, d)
    log_prior = -z.square().sum(1) / 2 - math.log(math.tau) + 2 * math.log(step)
    log_norm = x[0].numel() / 2 * (math.log(math.tau) + model.log_variance)
    precision = (-model.log_variance).exp()
    parts = (torch.cdist(u, means).square() for u in ToUnit()(x).split(50))
    return torch.cat([(log_prior - s * precision / 2).logsumexp(1) for s in parts]) - log_norm
