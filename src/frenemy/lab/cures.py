"""Games for mixtures in the plane: the standard one, and those that were made against collapse."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import nn

from frenemy.game import Game, Player, Prior, alternating, mix
from frenemy.lab.discriminators import adam
from frenemy.lab.lesson import Formula
from frenemy.lab.mixtures import MINIBATCH
from frenemy.nets.layers import Scale
from frenemy.nets.minibatch import MinibatchDiscrimination
from frenemy.nets.mlp import critic, perceptron
from frenemy.nets.pacgan import Packed
from frenemy.objectives import minimax_d, nonsaturating_g, pairing_d, pairing_g
from frenemy.penalties import r1, r2
from frenemy.unrolling import unrolled

WIDTHS = (64, 64, 64)  # of the hidden layers of every G and D
SLOPE = 0.2
KERNELS = 8  # numbers that minibatch discrimination adds
RATE = 1e-3  # of Adam where it is constant, and of the steps that D is thought to take

Cure = Literal[
    "standard",
    "packing 2",
    "packing 3",
    "packing 4",
    "unrolling 5",
    "unrolling 10",
    "minibatch discrimination",
    "ours, standard objective",
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
    """The game of that name, of so many rounds.

    - The standard one: perceptrons of three hidden layers, minimax D against non-saturating G, Adam
      (.5, .999) at a constant rate, as Goodfellow et al. (2014) and Radford et al. (2016) play it.
    - Packing, unrolling and minibatch discrimination each change one thing about it. Packs of m
      take m times the points, so that D sees as many packs as it sees points elsewhere.
    - Ours has networks of the same size, but such as can be steep; a rate that falls, an average of
      G's weights, and the pairing objective with R1 and R2, whose weight falls too.
    - "ours, standard objective" has all of that but the objective and the penalties.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 4))
        return _ours(cure, rounds) if cure.startswith("ours") else _standard(cure)


def _standard(cure: Cure) -> Game:
    """The standard game, with at most one thing changed."""
    prior = Prior("gaussian", 2)
    kind, _, number = cure.partition(" ")
    m = int(number) if kind == "packing" else 1
    G = perceptron(prior.size, *WIDTHS, 2, slope=SLOPE)
    D: nn.Module = critic(2 * m, *WIDTHS, slope=SLOPE)
    g = nonsaturating_g
    if kind == "packing":
        D = Packed(D, m)
    elif kind == "unrolling":
        g = unrolled(minimax_d, g, k=int(number), rate=RATE)
    elif kind == "minibatch":
        *body, _, flatten = D
        seen = MinibatchDiscrimination(WIDTHS[-1], kernels=KERNELS, dims=4)
        last = nn.Linear(WIDTHS[-1] + KERNELS, 1)
        with torch.no_grad():
            last.weight[:, -KERNELS:] = 0  # sums over a minibatch would drown all else at first
        D = nn.Sequential(*body, seen, last, flatten)
    players = {
        name: Player(net, torch.optim.Adam(net.parameters(), RATE, (0.5, 0.999), fused=True))
        for name, net in {"D": D, "G": G}.items()
    }
    return Game(players, alternating({minimax_d: 1.0}, {g: 1.0}), prior, MINIBATCH * m)


def _ours(cure: Cure, rounds: int) -> Game:
    """Pairing with R1 and R2: their weight falls first, then the rates, and G is averaged.

    Of the weight, enough stays for the game to settle. A G that learns faster than D would be
    sharper sooner, but it leaves modes before D can tell them from what is between them.
    """
    prior = Prior("uniform", 2)
    G, D = _steep_generator(prior.size), _steep_discriminator()

    def rate(t: int) -> float:
        return 2e-3 * (0.01 + 0.99 * (1 + math.cos(math.pi * t / rounds)) / 2)

    def gamma(t: int) -> float:
        return 2e-3 * (1 / 20) ** min(1.0, t / rounds / 0.7)

    players = {
        "D": adam(D, rate, (0.0, 0.99)),
        "G": adam(G, rate, (0.0, 0.99), averaging=max(0.0, 1 - 20 / rounds)),
    }
    if cure == "ours":
        turns = alternating({pairing_d: 1.0, r1: gamma, r2: gamma}, {pairing_g: 1.0})
    else:
        turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0})
    return Game(players, turns, prior, MINIBATCH)


def _steep_generator(size_of_z: int) -> nn.Sequential:
    """A perceptron, z (B, size) -> (B, 2), whose last hidden units saturate.

    Between two modes G has to be steep, and within each it has to be flat. Units that saturate are
    both; rectifiers alone are only where they cancel each other.
    """
    first, bend, second, _, third, _, last = perceptron(size_of_z, *WIDTHS, 2, slope=SLOPE)
    return nn.Sequential(Scale(8.0), first, bend, second, bend, third, Scale(4.0), nn.Tanh(), last)


def _steep_discriminator() -> nn.Sequential:
    """A perceptron, x (B, 2) -> logits (B,), not smooth at first: modes are narrow."""
    net = critic(2, *WIDTHS, slope=SLOPE)
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.weight *= 2
    return nn.Sequential(Scale(2.0), *net)
