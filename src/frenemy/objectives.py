"""Value functions: what each player minimises, as terms `Round -> (B,)` of logits.

Every pair is written as its paper writes it, up to a constant factor that a turn's weights supply.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

from frenemy.game import Round, Term
from frenemy.names import known


def minimax_d(r: Round) -> Tensor:
    """-log D(x) - log(1 - D(G(z))). Goodfellow et al. (2014), Generative Adversarial Nets, (1)."""
    return softplus(-r.Dx) + softplus(r.DGz)


def minimax_g(r: Round) -> Tensor:
    """log(1 - D(G(z))), which saturates where D wins. Goodfellow et al. (2014), eq. 1."""
    return -softplus(r.DGz)


def nonsaturating_g(r: Round) -> Tensor:
    """-log D(G(z)). Goodfellow et al. (2014), section 3."""
    return softplus(-r.DGz)


def least_squares_d(r: Round) -> Tensor:
    """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2. Mao et al. (2017), Least Squares GANs, eq. 9."""
    return ((r.Dx - 1).square() + r.DGz.square()) / 2


def least_squares_g(r: Round) -> Tensor:
    """(D(G(z)) - 1)^2 / 2. Mao et al. (2017), Least Squares GANs, eq. 9."""
    return (r.DGz - 1).square() / 2


def hinge_d(r: Round) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))). Lim & Ye (2017), Geometric GAN."""
    return relu(1 - r.Dx) + relu(1 + r.DGz)


def wasserstein_d(r: Round) -> Tensor:
    """D(G(z)) - D(x). Arjovsky et al. (2017), Wasserstein GAN."""
    return r.DGz - r.Dx


def wasserstein_g(r: Round) -> Tensor:
    """-D(G(z)). Arjovsky et al. (2017), Wasserstein GAN; also the generator of Geometric GAN."""
    return -r.DGz


def pairing_d(r: Round) -> Tensor:
    """-log sigmoid(D(x) - D(G(z))). Jolicoeur-Martineau (2018), The Relativistic Discriminator."""
    return softplus(r.DGz - r.Dx)


def pairing_g(r: Round) -> Tensor:
    """-log sigmoid(D(G(z)) - D(x)). Jolicoeur-Martineau (2018), The Relativistic Discriminator."""
    return softplus(r.Dx - r.DGz)


def level(r: Round) -> Tensor:
    """(D(x) + D(G(z)))^2: in the loss of D it holds its logits about 0 where only their differences
    count. Lin et al. (2025), Adversarial Flow Models, with a weight of .01.
    """
    return (r.Dx + r.DGz).square()


class Objective(NamedTuple):
    """The terms of the two players.

    Attributes:
        d, g: what D and G minimise.
        middle: the logit of an image that D takes for real as soon as for generated; None where
            only differences of logits count.
    """

    d: Term
    g: Term
    middle: float | None = 0.0


ObjectiveName = Literal[
    "minimax", "nonsaturating", "least-squares", "hinge", "wasserstein", "pairing"
]

OBJECTIVES: dict[ObjectiveName, Objective] = {
    "minimax": Objective(minimax_d, minimax_g),
    "nonsaturating": Objective(minimax_d, nonsaturating_g),
    "least-squares": Objective(least_squares_d, least_squares_g, 0.5),
    "hinge": Objective(hinge_d, wasserstein_g),
    "wasserstein": Objective(wasserstein_d, wasserstein_g, None),
    "pairing": Objective(pairing_d, pairing_g, None),
}


def objective_named(name: ObjectiveName) -> Objective:
    """The terms of the two players.

    Raises:
        FrenemyError: no objective is called so.
    """
    known(name, list(OBJECTIVES), "objective")
    return OBJECTIVES[name]
