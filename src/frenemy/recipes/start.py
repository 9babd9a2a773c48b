"""Where networks start from, as far as that is fitted to the data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from frenemy.data import Source
from frenemy.nets.mlp import logit


def from_the_mean(G: nn.Module) -> Callable[[Source], None]:
    """Lets G's last linear layer, of which the sigmoid makes pixels, start at the mean image."""
    last = [m for m in G.modules() if isinstance(m, nn.Linear)][-1]

    def begin(source: Source) -> None:
        last.bias.copy_(logit(torch.from_numpy(source.mean())))

    return begin
