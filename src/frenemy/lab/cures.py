"""Games for mixtures in the plane: the standard one, and those that were made against collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import nn

from frenemy.errors import FrenemyError, at_least
from frenemy.game import Game, Player, Prior, Term, Weight, alternating, mix
from frenemy.lab.lesson import Formula
from frenemy.lab.mixtures import MINIBATCH
from frenemy.nets.layers import Scale
from frenemy.nets.minibatch import MinibatchDiscrimination
from frenemy.nets.mlp import critic, perceptron
from frenemy.nets.pacgan import Packed
from frenemy.objectives import minimax_d, nonsaturating_g, pairing_d, pairing_g
from frenemy.penalties import r1, r2
from frenemy.unrolling import unrolled

PRIOR = Prior("uniform", 2)
WIDTH, SLOPE = 64, 0.2
UNROLLED_RATE = 0.01  # of the steps that D is thought to take

Cure = Literal[
    "standard",
    "packing 2",
    "packing 3",
    "packing 4",
    "unrolling 5",
    "unrolling 10",
    "minibatch discrimination",
    "ours",
]
CURES: tuple[Cure, ...] = get_args(Cure)


FORMULAS = (
    Formula(
        r"\mathrm{quality} = P(\lVert x - \mu \rVert \leq 3 \sigma), \qquad 1 - e^{-9/2}",
        "A sample is of high quality if it is within 3 standard deviations of a mode; of exact"
        " samples in the plane 98.889 % are.",
        "Srivastava et al. (2017), VEEGAN; Lin et al. (2018), PacGAN, section 4.1",
    ),
    Formula(
        r"\mathrm{KL}(p_g \Vert p_{data}) = \sum_k p_g(k) \log \frac{p_g(k)}{p_{data}(k)}",
        "The reverse KL divergence between the shares of the modes: 0 where samples are even, log 2"
        " where half of the modes have all of them.",
        "Lin et al. (2018), PacGAN, section 4",
    ),
    Formula(
        r"D(x_1, \ldots, x_m) \quad \text{where} \quad x_1, \ldots, x_m \sim p_{data}"
        r" \ \text{or all} \ \sim p_g",
        "Packing: D judges m samples at once, so a G that repeats itself gives itself away.",
        "Lin et al. (2018), PacGAN: The Power of Two Samples in Generative Adversarial Networks",
    ),
    Formula(
        r"\theta_D^{k+1} = \theta_D^k + \eta \frac{\partial f(\theta_G, \theta_D^k)}"
        r"{\partial \theta_D^k}, \qquad"
        r" \min_{\theta_G} f(\theta_G, \theta_D^K(\theta_G, \theta_D))",
        "Unrolling: G plays against the D that its opponent is about to become.",
        "Metz et al. (2017), Unrolled Generative Adversarial Networks, eq. 7 to 10",
    ),
    Formula(
        r"o(x_i)_k = \sum_j \exp(-\lVert M_{ik} - M_{jk} \rVert_1), \qquad M_i = T f(x_i)",
        "Minibatch discrimination: D also sees how close the others of the minibatch are.",
        "Salimans et al. (2016), Improved Techniques for Training GANs, section 3.2",
    ),
    Formula(
        r"\mathbb{E} [\log(1 + e^{D(G(z)) - D(x)})] + \frac{\gamma}{2}"
        r" (\mathbb{E} \lVert \nabla D(x) \rVert^2 + \mathbb{E} \lVert \nabla D(G(z)) \rVert^2)",
        "Ours: D compares pairs of a real and a generated point, so each mode has to be won by"
        " itself, and is kept flat on both sides by R1 and R2.",
        "Jolicoeur-Martineau (2018), The Relativistic Discriminator; Mescheder et al. (2018), Which"
        " Training Methods for GANs do actually Converge?; Huang et al. (2024), The GAN is Dead",
    ),
)


def game(cure: Cure, *, seed: int, rounds: int) -> Game:
    """The game of that name, whose rates fall over so many rounds.

    All have the same G, prior, optimisers, schedule of the rate, average of G's weights and number
    of rounds, and the same D but for its first or last layer. The standard game is minimax D
    against non-saturating G; every cure but ours changes one thing about it. Packing takes m times
    the points, so that D sees as many packs as it sees points elsewhere.

    Raises:
        FrenemyError: an unknown name, or fewer than one round.
    """
    at_least(1, rounds=rounds)
    if cure not in CURES:
        raise FrenemyError(f"no game is called {cure!r}: choose from {', '.join(CURES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 4))
        G = generator()
        D = discriminator(cure)

    def rate(t: int) -> dict[str, float]:
        return {"lr": 2e-3 * (0.01 + 0.99 * (1 + math.cos(math.pi * t / rounds)) / 2)}

    def adam(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), betas=(0.0, 0.99), fused=True)

    averaging = max(0.0, 1 - 20 / rounds)
    players = {
        "D": Player(D, adam(D), schedule=rate),
        "G": Player(G, adam(G), schedule=rate, averaging=averaging),
    }
    d, g = _terms(cure, rounds)
    return Game(players, alternating(d, g), PRIOR, MINIBATCH * packed(cure))


def _terms(cure: Cure, rounds: int) -> tuple[Mapping[Term, Weight], Mapping[Term, Weight]]:
    """What D minimises, and what G does."""
    if cure == "ours":

        def gamma(t: int) -> float:  # a rest of it stays, for the game to settle
            return 2e-3 * (1 / 20) ** min(1.0, t / rounds / 0.7)

        return {pairing_d: 1.0, r1: gamma, r2: gamma}, {pairing_g: 1.0}
    g = nonsaturating_g
    if cure.startswith("unrolling"):
        g = unrolled(minimax_d, g, k=int(cure.split()[1]), rate=UNROLLED_RATE)
    return {minimax_d: 1.0}, {g: 1.0}


def packed(cure: Cure) -> int:
    """How many points D judges at once."""
    return int(cure.split()[1]) if cure.startswith("packing") else 1


def generator() -> nn.Sequential:
    """G: z (B, 2) -> 64 -> 64 -> 64 -> (B, 2), whose last hidden units saturate.

    Between two modes G has to be steep, and within each it has to be flat. Units that saturate are
    both; rectifiers alone are only where they cancel each other.
    """
    first, bend, second, _, third, _, last = perceptron(
        PRIOR.size, WIDTH, WIDTH, WIDTH, 2, slope=SLOPE
    )
    return nn.Sequential(Scale(8.0), first, bend, second, bend, third, Scale(4.0), nn.Tanh(), last)


def discriminator(cure: Cure) -> nn.Module:
    """D: x (B, 2) -> 64 -> 64 -> 64 -> logits (B,), on packs or with minibatch discrimination."""
    m = packed(cure)
    net = critic(2 * m, WIDTH, WIDTH, WIDTH, slope=SLOPE)
    if cure == "minibatch discrimination":
        *body, _, flatten = net
        layer = MinibatchDiscrimination(WIDTH, kernels=8, dims=4)
        net = nn.Sequential(*body, layer, nn.Linear(WIDTH + 8, 1), flatten)
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.weight *= 2  # so that D is not smooth at first: modes are narrow
    net = nn.Sequential(Scale(2.0), *net)
    return Packed(net, m) if m > 1 else net
