"""Packing: a discriminator that judges several samples at once.

Lin, Khetan, Fanti and Oh (2018), PacGAN: The Power of Two Samples in Generative Adversarial
Networks.
"""

from __future__ import annotations

from torch import Tensor, nn

from frenemy.errors import FrenemyError, at_least


class Packed(nn.Module):
    """D(x_1, ..., x_m), one logit for m samples: (B, C, ...) -> (B / m,).

    Samples that follow each other in the minibatch share a pack, in which they lie behind each
    other along their first dimension. All of a pack are real or all are generated, so a G that
    repeats itself gives itself away: D sees draws of p^m, and collapse moves p_g^m further from
    p_data^m in total variation than it moves p_g from p_data. Lin et al. (2018), section 3.

    Args:
        net: any D whose samples have m C channels (or m C coordinates): (B, m C, ...) -> (B,).
        m: samples in a pack; 1 leaves the game as it is.

    Raises:
        FrenemyError: m is below 1, or a minibatch cannot be cut into packs.

    >>> import torch
    >>> from frenemy.nets.mlp import critic
    >>> Packed(critic(2 * 3, 16), m=2)(torch.zeros(10, 3)).shape
    torch.Size([5])
    """

    compares = True

    def __init__(self, net: nn.Module, m: int) -> None:
        super().__init__()
        at_least(1, m=m)
        self.net = net
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        if len(x) % self.m:
            raise FrenemyError(
                f"a minibatch of {len(x)} cannot be cut into packs of {self.m}: choose a multiple"
            )
        packs = x.unflatten(0, (-1, self.m)).flatten(1, 2)  # (B, C, ...) -> (B / m, m C, ...)
        return self.net(packs)

    def extra_repr(self) -> str:
        return f"m={self.m}"
