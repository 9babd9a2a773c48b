"""Layers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import FrenemyError, at_least

Shape = tuple[int, int, int]


def start_of(shape: Shape) -> tuple[tuple[int, int], int]:
    """The sides of the smallest maps, the shorter 4 to 7, and how often they are doubled.

    Raises:
        FrenemyError: images (C, H, W) whose sides are not from 16 to 256, or no such start gives
            them; the nearest sides are named.

    >>> start_of((3, 64, 64)), start_of((1, 28, 28)), start_of((3, 32, 48))
    (((4, 4), 4), ((7, 7), 2), ((4, 6), 3))
    """
    at_least(1, channels=shape[0])

    def start(times: int) -> tuple[int, int]:
        largest = 256 // 2**times
        sides = [min(max(round(side / 2**times), 4), largest) for side in shape[1:]]
        rows, columns = (7 if side == min(sides) > 7 else side for side in sides)
        return rows, columns

    def off(times: int) -> int:
        return sum(abs(a * 2**times - b) for a, b in zip(start(times), shape[1:], strict=True))

    times = min(range(6, 1, -1), key=off)
    if off(times):
        height, width = (side * 2**times for side in start(times))
        raise FrenemyError(
            f"images of {shape[1]}x{shape[2]} pixels: these networks double a shorter side of 4 "
            f"to 7 pixels 2 to 6 times: resize the images to {height}x{width}"
        )
    return start(times), times


class Dropout(nn.Module):
    """Keeps each input with probability `keep` and divides it by that; off in evaluation.

    Srivastava et al. (2014), Dropout. On a CPU the masks come from 16-bit pieces of 64-bit random
    numbers, at a quarter of the cost of `torch.nn.Dropout`; `keep` is exact to 2^-17 there.
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return F.dropout(x, 1 - self.keep, self.training)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        bits = words.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
        below = round(self.keep * 2**16) - 2**15
        mask = bits.float().lt_(below).mul_(1 / self.keep)  # boolean masks cost 6 times more
        return x * mask.to(x.dtype)

    def extra_repr(self) -> str:
        return f"keep={self.keep}"


class ToUnit(nn.Module):
    """Images in [-1, 1] as vectors of pixels in [0, 1]: (B, C, H, W) -> (B, C H W)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mul(0.5).add_(0.5)


class FromUnit(nn.Module):
    """Vectors of pixels in [0, 1] as images in [-1, 1]: (B, C H W) -> (B, C, H, W)."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.mul(2).sub_(1).unflatten(1, self.shape)

    def extra_repr(self) -> str:
        return "x".join(map(str, self.shape))


class ToMaps(nn.Module):
    """Vectors as maps: (B, H W C) -> (B, C, H, W), in which the numbers of a place lie together.

    So convolutions take them as they are where images are laid out channels last; `ToVectors` goes
    back.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.sides = rows, columns

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (*self.sides, -1)).movedim(3, 1)

    def extra_repr(self) -> str:
        return "x".join(map(str, self.sides))


class ToVectors(nn.Module):
    """Maps as vectors: (B, C, H, W) -> (B, H W C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(1, 3).flatten(1)


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:.4g}"


def numbers_of(classes: Tensor, y: Tensor) -> Tensor:
    """The rows of classes (K, n) that labels (B,) name, or of weights (B, K) the sums: (B, n).

    >>> numbers_of(torch.tensor([[0.0], [8.0]]), torch.tensor([[0.75, 0.25]]))
    tensor([[2.]])
    """
    return y.to(classes.dtype) @ classes if y.is_floating_point() else F.embedding(y, classes)
