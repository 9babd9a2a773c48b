"""R3GAN: convolutional players without normalisation, whose losses and penalties do the work.

Huang, Gokaslan, Kuleshov and Tompkin (2024), The GAN is Dead; Long Live the GAN! A Modern Baseline
GAN, config E. Maps are kept channels last; the smallest are computed in float32 whatever
`torch.autocast` says, as published.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import FrenemyError, at_least
from frenemy.nets.layers import Shape, numbers_of

SLOPE = 0.2  # of the leaky rectifiers, whose gain is 1
CHANNELS_LAST = torch.channels_last
Pull = Callable[[Tensor], Tensor]  # g -> g times a layer's Jacobian


class Generator(nn.Module):
    """G: z (B, size_of_z), labels (B,) if there are classes -> images (B, *shape), not squashed.

    Each of the first stage's maps is a learned one times a linear map of z; further stages begin
    with a 1x1 convolution, where widths differ, and twice the side. A class is as many numbers as
    z, beside it; weights (B, classes) in place of labels have the weighted sum of these.

    Args:
        size_of_z: 64 in the paper, all N(0, 1).
        shape: (C, H, W); the first stage has H and W over 2^(stages - 1), in the paper 4x4.
        widths: maps of each stage, from the smallest up; four for 32x32 pixels.
        blocks: residual ones in each stage, 2 in the paper.
        classes: how many, 0 for images without labels.
        group: channels in a group of the 3x3 convolutions; 32 in the paper's ImageNet nets.

    Raises:
        FrenemyError: sides that the stages do not give, widths that the groups do not divide.

    >>> Generator(8, (3, 16, 24), [16, 8, 8], blocks=2)(torch.randn(5, 8)).shape
    torch.Size([5, 3, 16, 24])
    """

    mixes = True  # weights of classes, too

    def __init__(
        self, size_of_z: int, shape: Shape, widths: Sequence[int], blocks: int, classes: int = 0,
        *, group: int = 16,
    ) -> None:  # fmt: skip
        super().__init__()
        at_least(1, size_of_z=size_of_z)
        start = _start(shape, widths, blocks, group)
        gain = _gain(blocks * len(widths))
        self.conditions = _told(classes, size_of_z)
        self.scales = normal(widths[0], size_of_z * (2 if classes else 1))
        self.basis = nn.Parameter(torch.randn(widths[0], *start))
        self.stages = nn.ModuleList()
        for before, width in itertools.pairwise([widths[0], *widths]):
            change = [Convolution(before, width)] if before != width else []
            grow = [Upsampling()] if len(self.stages) else []
            body = [Block(width, group, gain) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*change, *grow, *body))
        self.to_rgb = Convolution(widths[-1], shape[0])

    def forward(self, z: Tensor, *c: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            told = [numbers_of(w.T, y) for w, y in zip(self.conditions, c, strict=True)]
            scales = F.linear(torch.cat([z, *told], 1), self.scales)
            x = (scales[:, :, None, None] * self.basis).contiguous(memory_format=CHANNELS_LAST)
            x = self.stages[0](x)
        for stage in self.stages[1:]:
            x = stage(x)
        return self.to_rgb(x).to(z.dtype)


class Discriminator(nn.Module):
    """D: images (B, *shape), labels (B,) if there are classes -> logits (B,).

    `Generator` backwards: stages end with half the side and, where widths differ, a 1x1
    convolution; the last maps are weighted and summed, and a linear map makes the logit of them.
    With classes it makes widths[0] numbers, and their product with the class's own is the logit.

    Args and raises: as `Generator`.
    """

    def __init__(
        self, shape: Shape, widths: Sequence[int], blocks: int, classes: int = 0, *, group: int = 16
    ) -> None:
        super().__init__()
        start = _start(shape, widths, blocks, group)
        gain, last = _gain(blocks * len(widths)), widths[0]
        large: list[Layer] = [Convolution(shape[0], widths[-1])]
        for after, width in reversed(list(itertools.pairwise(widths))):
            large += [Block(width, group, gain) for _ in range(blocks)] + [Downsampling()]
            large += [Convolution(width, after)] if width != after else []
        self.large = nn.ModuleList(large)
        self.small = nn.ModuleList(Block(last, group, gain) for _ in range(blocks))
        self.basis = normal(last, *start)
        self.linear = normal(last if classes else 1, last)
        self.conditions = _told(classes, last, gain=1 / math.sqrt(last))

    def forward(self, x: Tensor, *c: Tensor) -> Tensor:
        return self._linearised(x, c)[0]

    def slopes(self, x: Tensor, *c: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B,), and the gradient of each at its image, (B, *shape), itself differentiable.

        It is what `torch.autograd.grad(create_graph=True)` gives, written as a pass through the
        layers' transposes: torch's second derivative of a grouped convolution is a convolution for
        each group, and none is needed here. So it is several times faster, and compiles.
        """
        logits, pull = self._linearised(x, c)
        return logits, pull()

    def _linearised(self, x: Tensor, c: tuple[Tensor, ...]) -> tuple[Tensor, Callable[[], Tensor]]:
        large: list[Pull] = []
        small: list[Pull] = []
        h = _through(self.large, x.contiguous(memory_format=CHANNELS_LAST), large)
        with torch.autocast(x.device.type, enabled=False):
            last = _through(self.small, h.to(self.basis.dtype), small)
            out = F.linear((last * self.basis).sum((2, 3)), self.linear)  # (B, 1 or widths[0])
            told = torch.ones_like(out)
            for w, y in zip(self.conditions, c, strict=True):
                told = told * w[:, y].T
            logits = (out * told).sum(1)

        def pull() -> Tensor:
            with torch.autocast(x.device.type, enabled=False):
                g = (told @ self.linear)[:, :, None, None] * self.basis
                g = g.contiguous(memory_format=CHANNELS_LAST)
                for transpose in reversed(small):
                    g = transpose(g)
            g = g.to(h.dtype)
            for transpose in reversed(large):
                g = transpose(g)
            return g.to(x.dtype)

        return logits, pull


class Layer(nn.Module, ABC):
    """A piecewise linear map of maps."""

    @abstractmethod
    def linearised(self, x: Tensor) -> tuple[Tensor, Pull]:
        """What it makes of x, (B, C, H, W), and its transpose there."""

    def forward(self, x: Tensor) -> Tensor:
        return self.linearised(x)[0]


class Block(Layer):
    """x + W3 s(W2 s(W1 x + b1) + b2): 1x1 to twice the width, 3x3 in groups, 1x1 back.

    W3 starts at 0, so that the block starts as the identity. Zhang, Dauphin and Ma (2019), Fixup
    Initialization.
    """

    def __init__(self, width: int, group: int, gain: float) -> None:
        super().__init__()
        self.widen = Convolution(width, 2 * width, gain=gain, bias=True)
        self.mix = Convolution(2 * width, 2 * width, 3, 2 * width // group, gain=gain, bias=True)
        self.narrow = Convolution(2 * width, width, gain=0.0)

    def linearised(self, x: Tensor) -> tuple[Tensor, Pull]:
        a = self.widen(x)
        b = self.mix(F.leaky_relu(a, SLOPE))
        y = self.narrow(F.leaky_relu(b, SLOPE))

        def pull(g: Tensor) -> Tensor:
            h = self.mix.pull(_rectified(self.narrow.pull(g), b))
            return g + self.widen.pull(_rectified(h, a))

        return x.to(y.dtype) + y, pull


class Convolution(Layer):
    """A convolution that keeps the sides; its bias, if any, is 0 at first."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int = 1, groups: int = 1,
        *, gain: float = 1.0, bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = normal(n_out, n_in // groups, kernel, kernel, gain=gain)
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        self.padding, self.groups = kernel // 2, groups

    def linearised(self, x: Tensor) -> tuple[Tensor, Pull]:
        y = F.conv2d(x, self.weight, self.bias, padding=self.padding, groups=self.groups)
        return y, self.pull

    def pull(self, g: Tensor) -> Tensor:
        """Gradients at what it makes, (B, n_out, H, W) -> at what it is given."""
        return F.conv_transpose2d(g, self.weight, padding=self.padding, groups=self.groups)


class Upsampling(Layer):
    """Twice the sides: zeros between the pixels, then [1, 3, 3, 1] / 4 each way."""

    def linearised(self, x: Tensor) -> tuple[Tensor, Pull]:
        up, left = 2 * _tent(x.shape[2], x).T, 2 * _tent(x.shape[3], x).T
        return _separable(x, up, left), lambda g: _separable(g, up.T, left.T)


class Downsampling(Layer):
    """Half the sides: [1, 3, 3, 1] / 8 each way, then every second pixel."""

    def linearised(self, x: Tensor) -> tuple[Tensor, Pull]:
        down, left = _tent(x.shape[2] // 2, x), _tent(x.shape[3] // 2, x)
        return _separable(x, down, left), lambda g: _separable(g, down.T, left.T)


def _tent(n: int, like: Tensor) -> Tensor:
    """The matrix (n, 2n) of the filter [1, 3, 3, 1] / 8, a tent, at every second of 2n pixels."""
    pixel, place = torch.arange(2 * n, device=like.device), torch.arange(n, device=like.device)
    return ((2 - (pixel - 2 * place[:, None] - 0.5).abs()).clamp(min=0) / 4).to(like.dtype)


def _separable(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`rows` x `columns`^T for every map x: (B, C, H, W) -> (B, C, H', W'), channels last.

    Matrix products, and so is every derivative: processors and GPUs are fast at all of them. At
    depthwise convolutions they are not, least of all at the transposed ones in bfloat16.
    """
    count, channels, height, width = x.shape
    x = rows @ x.permute(0, 2, 3, 1).reshape(count, height, width * channels)
    x = columns @ x.view(-1, width, channels)  # (B H', W', C)
    return x.view(count, len(rows), len(columns), channels).permute(0, 3, 1, 2)


def _rectified(g: Tensor, x: Tensor) -> Tensor:
    """`g` times the rectifier's slope at x, by one kernel."""
    return torch.ops.aten.leaky_relu_backward(g, x.detach(), SLOPE, False)


def _through(layers: nn.ModuleList, x: Tensor, pulls: list[Pull]) -> Tensor:
    """What the layers make of x; their transposes join the list."""
    for layer in layers:
        assert isinstance(layer, Layer)
        x, pull = layer.linearised(x)
        pulls.append(pull)
    return x


def _gain(blocks: int) -> float:
    """Of a block's first convolutions in a net of so many blocks: Zhang et al. (2019), section 3.

    sqrt(2 / (1 + SLOPE^2)) keeps the size of what goes through a leaky rectifier.
    """
    return math.sqrt(2 / (1 + SLOPE**2)) * blocks**-0.25


def normal(*shape: int, gain: float = 1.0) -> nn.Parameter:
    """Weights (out, in, ...), N(0, gain^2 / fan-in)."""
    return nn.Parameter(torch.randn(shape) * (gain / math.sqrt(math.prod(shape[1:]))))


def _told(classes: int, size: int, gain: float = 1.0) -> nn.ParameterList:
    """A linear map of one-hot labels, (size, classes), if there are any."""
    return nn.ParameterList([normal(size, classes, gain=gain)] if classes else [])


def _start(shape: Shape, widths: Sequence[int], blocks: int, group: int) -> tuple[int, int]:
    """The sides of the smallest maps; or a FrenemyError, as of `Generator`."""
    numbers = {f"widths[{i}]": width for i, width in enumerate(widths)}
    at_least(1, channels=shape[0], stages=len(widths), blocks=blocks, group=group, **numbers)
    for width in widths:
        if 2 * width % group:
            raise FrenemyError(f"width {width}: twice the width must be a multiple of {group}")
    factor = 2 ** (len(widths) - 1)
    height, width = (max(1, round(side / factor)) * factor for side in shape[1:])
    if (height, width) != shape[1:]:
        raise FrenemyError(
            f"images of {shape[1]}x{shape[2]} pixels: both sides must be multiples of {factor}: "
            f"resize them to {height}x{width}"
        )
    return height // factor, width // factor
