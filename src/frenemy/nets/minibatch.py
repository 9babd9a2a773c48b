"""Minibatch discrimination: a discriminator that compares the samples of a minibatch.

Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen (2016), Improved Techniques for Training
GANs, section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from frenemy.errors import at_least


class MinibatchDiscrimination(nn.Module):
    """Appends to each sample's features how close the minibatch's others are: (B, A) -> (B, A + K).

    M_i = T f(x_i), a (K, C) matrix; o(x_i)_k = sum_j exp(-|M_ik - M_jk|_1), over all j of the
    minibatch, i too. Salimans et al. (2016), section 3.2.

    Real and generated samples go through such a D in passes of their own, so that they are not
    compared with each other. The comparison takes B^2 K C numbers.

    Args:
        features: A.
        kernels: K, the numbers that are appended.
        dims: C, in which each of them measures distance.

    >>> layer = MinibatchDiscrimination(4, kernels=3, dims=2)
    >>> layer(torch.ones(10, 4))[0]  # all alike: each of them counts all ten
    tensor([ 1.,  1.,  1.,  1., 10., 10., 10.], grad_fn=<SelectBackward0>)
    """

    compares = True

    def __init__(self, features: int, kernels: int, dims: int) -> None:
        super().__init__()
        at_least(1, features=features, kernels=kernels, dims=dims)
        self.T = nn.Parameter(torch.randn(features, kernels, dims) / math.sqrt(features))

    def forward(self, f: Tensor) -> Tensor:
        M = torch.einsum("ba,akc->kcb", f, self.T)
        distances = (M[..., None] - M[..., None, :]).abs().sum(1)  # (K, B, B)
        return torch.cat([f, distances.neg().exp().sum(2).T], 1)  # (B, A + K)

    def extra_repr(self) -> str:
        return ", ".join(
            f"{k}={v}" for k, v in zip(("features", "kernels", "dims"), self.T.shape, strict=True)
        )
