"""One decoder in three games: an autoencoder's, a variational autoencoder's and a GAN's."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from typing_extensions import Doc

from frenemy.data import Dataset, open_dataset
from frenemy.errors import at_least
from frenemy.experiment import from_pixels
from frenemy.game import Game, Player, Turn, mix
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.kernel import kid
from frenemy.lab import codes, decoders
from frenemy.lab.decoders import PRIOR, Decoders
from frenemy.lab.lesson import Check, Formula, Result, sampled
from frenemy.nets.layers import ToUnit
from frenemy.nets.mlp import linear
from frenemy.rivals import vae
from frenemy.rivals.autoencoders import Autoencoder, squared_distance, squared_error
from frenemy.rivals.ppca import principal

DRAWS = 50  # of z for each image, for the mean of the ELBO
ROUNDS = 250  # of gradient descent of the linear autoencoder on all images at once

FORMULAS = (
    Formula(
        r"\mathbb{E}_{x} \lVert x - G(E(x)) \rVert^2",
        "What the autoencoder minimises. With linear E and G and k units its least value is the "
        "sum of all but the k largest eigenvalues of the images' covariance.",
        "Baldi & Hornik (1989), Neural Networks and Principal Component Analysis: Learning from "
        "Examples Without Local Minima",
    ),
    Formula(
        r"\log p(x) \ge \mathbb{E}_{q(z | x)} \log p(x | z) - \mathrm{KL}(q(z | x) \,\Vert\, p(z))",
        "The evidence lower bound, which the VAE raises; it falls short of log p(x) by the KL of q "
        "from the posterior.",
        "Kingma & Welling (2014), Auto-Encoding Variational Bayes, eqs. 1 to 3",
    ),
    Formula(
        r"\mathrm{KL}(q(z | x) \,\Vert\, p(z)) = "
        r"\tfrac12 \sum_j \left( \mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2 \right)",
        "Its second part, for q = N(μ, diag σ²) and the standard normal prior.",
        "Kingma & Welling (2014), appendix B",
    ),
    Formula(
        r"\log p(x) \ge \mathbb{E} \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k | x)}, "
        r"\quad z_k \sim q(z | x)",
        "A bound that closes as the importance samples K grow.",
        "Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, Theorem 1",
    ),
    Formula(
        r"\frac1N \sum_n \log p(x_n) = -\frac12 \left( d \log 2\pi + \sum_{i \le k} \log "
        r"\lambda_i + (d - k) \log \frac{\sum_{i > k} \lambda_i}{d - k} + d \right)",
        "The highest likelihood of probabilistic PCA, a linear VAE whose q is the posterior.",
        "Tipping & Bishop (1999), Probabilistic Principal Component Analysis, eqs. 7 and 8",
    ),
)


def autoencoder_is_not_a_gan(
    *,
    seed: Annotated[int, Doc("of weights, minibatches and samples")] = 0,
    rounds: Annotated[int, Doc("of each of the three games")] = 1000,
    width: Annotated[int, Doc("units in a hidden layer of encoder and decoder")] = 128,
    rate: Annotated[float, Doc("learning rate of every Adam, at first")] = 6e-3,
    gamma: Annotated[float, Doc("weight of the GAN's R1 and R2 penalties")] = 0.3,
) -> Result:
    """An autoencoder's codes follow no prior: its decoder is no generator.

    The same decoder, from z in the plane to digits of 8x8 pixels, plays as an autoencoder
    (`rivals.autoencoders`), as a VAE (`rivals.vae`) and as the generator of a GAN.

    Raises:
        FrenemyError: numbers out of range.
    """
    at_least(0, seed=seed, rate=rate, gamma=gamma)
    at_least(1, rounds=rounds, width=width)
    data = open_dataset(None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0, 2))  # no round's seed
        checks = linear_checks(from_pixels(torch.tensor(data.train.images)).double())
        nets = decoders.train(
            data.train, seed=seed, rounds=rounds, width=width, rate=rate, gamma=gamma
        )
        torch.manual_seed(mix(seed, 1, 2))
        with torch.no_grad():
            return _compared(nets, data, seed, checks)


def _compared(nets: Decoders, data: Dataset, seed: int, checks: list[Check]) -> Result:
    train, held_out = from_pixels(torch.tensor(data.train.images)), (data.valid, data.test)
    x = from_pixels(torch.cat([torch.tensor(part.images) for part in held_out]))  # in no game
    digits = [y for part in held_out if part.labels is not None for y in part.labels.tolist()]
    fit, new = ([squared_distance(u, n.reconstruct(u)) for n in nets[:2]] for u in (train, x))
    of_q = nets.vae.posterior(train)
    price = vae.kl_to_prior(*of_q).mean().item()
    kls = codes.from_prior(nets.autoencoder.encode(train)), codes.from_prior(*of_q)
    elbo = torch.stack([vae.elbo(nets.vae, x, PRIOR(len(x))) for _ in range(DRAWS)]).mean(0)
    parts = torch.stack([
        vae.importance_bound(nets.vae, x, samples=100, seed=mix(seed, i)) for i in range(10)
    ])  # fmt: skip
    bound = parts.logsumexp(0) - math.log(10)  # of 1,000 samples
    deviation = (parts - bound).exp().std(0) / math.sqrt(10)  # of their mean weight, over that mean
    missing = (vae.log_p_by_quadrature(nets.vae, x) - bound).mean().item()
    chance = deviation.square().sum().sqrt().item() / len(x)
    samples = [net(z) for z in [PRIOR(len(x))] for net in nets]
    real, *fakes = [ToUnit()(u) for u in (x, *samples)]
    kids = [kid(real=real, fake=fake) for fake in fakes]
    covered = [precision_recall_density_coverage(real=real, fake=f).coverage for f in fakes]
    *sharp, of_x = [codes.sharpness(u) for u in (*samples, x)]
    shares = [(values.mean() / of_x.mean()).item() for values in sharp]

    def positive(what: str, values: Tensor) -> Check:
        error = values.std().item() / math.sqrt(len(values))
        return Check(what, values.mean().item(), 0.0, 0.0, error, "at least")

    def farther(than: str, i: int) -> Check:
        error = math.hypot(kids[0].error, kids[i].error)
        what = f"kernel distance of samples: autoencoder − {than}"
        return Check(what, kids[0].value - kids[i].value, 0.0, 0.0, error, "at least")

    checks = [
        *checks,
        positive("error on training images: VAE − autoencoder", fit[1] - fit[0]),
        # an order of magnitude apart
        Check("KL(codes ‖ prior) of the autoencoder (10 times the VAE's)", kls[0], 10 * kls[1], 0.0,
              relation="at least"),
        farther("VAE", 1),
        farther("GAN", 2),
        positive("sharpness of samples: GAN − VAE", sharp[2] - sharp[1]),
        positive("bound by 1,000 importance samples − ELBO", bound - elbo),
        sampled("log p(x) by quadrature − that bound", missing, 0.0, chance, "at least"),
    ]  # fmt: skip
    told = f"""\
One decoder G, from z in the plane to 8x8 pixels, plays three games on {len(train):,} digits. With
an encoder E it minimises |x − G(E(x))|² and nothing else: an autoencoder. With a Gaussian q(z | x)
for an encoder it raises a lower bound on log p(x), in which KL(q ‖ p) ties the codes to the prior
p = N(0, I): a VAE. Against a discriminator it plays the pairing objective with R1 and R2: a GAN.

The autoencoder fits its training images best: its error is {fit[0].mean():.2f} an image, the VAE's
{fit[1].mean():.2f}, that of PCA with two components {checks[0].exact:.2f}; on held-out images it is
{new[0].mean():.2f} for the autoencoder and {new[1].mean():.2f} for the VAE. But if all codes are
multiplied by c, and the weights that the decoder reads them with divided by c, the error stays:
where codes lie is no part of this game. The Gaussian of their mean and covariance is {kls[0]:.1f}
nats from the prior, the VAE's {kls[1]:.2f}. So it is left to chance what the autoencoder's decoder
makes of z from the prior: the kernel distance of its samples to held-out images is {kids[0]},
against {kids[1]} for the VAE and {kids[2]} for the GAN.

The VAE compromises. Its bound pays {price:.1f} nats an image to keep codes near the prior, and G(z)
is a mean over the images that one z may stand for, hence blurred: squared differences of
neighbouring pixels are {shares[1]:.0%} of the images', for the GAN {shares[2]:.0%}. In return it
has a likelihood: the bound says {elbo.mean():.2f} nats, 1,000 importance samples from q
{bound.mean():.2f}, quadrature over the plane {(bound.mean() + missing):.2f}, since q, one Gaussian,
misses other places of the plane that explain an image as well.

The GAN's samples are sharper. Its loss never compares a sample with one image, so nothing makes it
serve all of them: the coverage of held-out images is {covered[2]}, the VAE's {covered[1]}. And it
gives neither a code for an image nor a likelihood."""
    figures = decoders.figures(nets, x=x, digits=digits, samples=samples)
    return Result(told, FORMULAS, checks, figures)


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
    game = Game({"G": player}, [Turn({"G": {squared_error: 1.0}})], PRIOR, 1)
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
