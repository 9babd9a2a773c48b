"""A discriminator that sees augmented images."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from frenemy.nets.augment import Augmentation


class Augmented(nn.Module):
    """D(T(x), *c): every image is augmented anew, real and generated ones alike.

    In `eval()` it is D alone. What it remembers is D's, and T's p.

    Args:
        net: any D.
        T: the augmentation.

    Attributes:
        slopes: where `net` has it: (x, *c) -> logits, and their gradient at x, before T, itself
            differentiable.

    >>> import torch
    >>> from frenemy.nets.augment import R3GAN, Augment
    >>> D = nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0))
    >>> Augmented(D, Augment(R3GAN, p=0.5))(torch.rand(5, 3, 4, 4)).shape
    torch.Size([5])
    """

    def __init__(self, net: nn.Module, T: Augmentation) -> None:
        super().__init__()
        self.net = net
        self.T = T

    def forward(self, x: Tensor, *c: Tensor) -> Tensor:
        return self.net(self.T(x), *c)

    @property
    def slopes(self) -> Callable[..., tuple[Tensor, Tensor]]:
        slopes_of_net = self.net.slopes  # AttributeError where it has none: so has this none
        assert callable(slopes_of_net)

        def slopes(x: Tensor, *c: Tensor) -> tuple[Tensor, Tensor]:
            Tx, pull = self.T.linearised(x)
            logits, gradient = slopes_of_net(Tx, *c)
            return logits, pull(gradient)

        return slopes
