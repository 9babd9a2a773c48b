"""Features: what the judge compares images by. Images in, (N, d) out, cached by content.

Which there are by name, `named_features` knows.
"""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import FrenemyError
from frenemy.files import name_in_utf8, write_atomically
from frenemy.judge.classifier import Card, Outputs
from frenemy.judge.sets import Drawn, Images
from frenemy.places import cache_folder

BATCH = 500
VERSION = 3  # part of every cache key; raise it when some features would come out otherwise


@dataclass(frozen=True)
class Features:
    """What images are compared by, and its name.

    Attributes:
        name: part of the protocol's name: "classifier-mnist".
        network: images as floats in [-1, 1], (B, C, H, W) -> their features and logits.
        digest: of weights and preprocessing; "" where nobody can know, and then nothing is cached.
        note: what the preprocessing does to the images.
        balanced: the classes are equally frequent by construction, as stacks of digits are.
        cached: worth keeping on the disk; not so what is as large as the images and soon computed.
        batch: images seen at once; fewer where the network blows them up.
        card: of the classifier that it is, if it is one.
    """

    name: str
    network: Callable[[Tensor], Outputs]
    digest: str
    note: str = ""
    balanced: bool = False
    cached: bool = True
    batch: int = BATCH
    card: Card | None = None


def pixels() -> Features:
    """The pixels themselves, in [0, 1]."""
    return Features(
        "pixels", lambda x: Outputs(x.flatten(1).add(1).div_(2)), "pixels", cached=False
    )


class RandomNetwork(nn.Module):
    """A fixed random convolutional network: needs no weights, and works for images of any size.

    Images are brought to 32 x 32 (averaged down or interpolated), grey ones to three channels;
    three rectified convolutions of random Gaussian weights, each halving the side, are averaged
    over a 2 x 2 grid. Random features keep much of what separates images: Saxe et al. (2011), On
    Random Weights and Unsupervised Feature Learning.
    """

    WIDTHS = (3, 24, 48, 96)

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2014)
        for i, (n_in, n_out) in enumerate(zip(self.WIDTHS, self.WIDTHS[1:], strict=False)):
            weight = torch.randn(n_out, n_in, 3, 3, generator=generator)
            weight -= weight.mean((1, 2, 3), keepdim=True)
            self.register_buffer(f"weight{i}", weight * (2 / (9 * n_in)) ** 0.5)

    def forward(self, x: Tensor) -> Outputs:
        """(B, 1 to 4, H, W) in [-1, 1] -> (B, 384); with opacity, seen over white."""
        if x.shape[1] % 2 == 0:
            colours, opacity = x[:, :-1], (x[:, -1:] + 1) / 2
            x = 1 + (colours - 1) * opacity
        shrinks = min(x.shape[2:]) >= 32
        x = F.interpolate(x, (32, 32), mode="area" if shrinks else "bilinear")
        x = x.expand(-1, 3, -1, -1)
        for weight in self.buffers():
            x = F.leaky_relu(F.conv2d(x, weight, stride=2, padding=1), 0.2)  # side 16, 8, 4
        return Outputs(F.adaptive_avg_pool2d(x, 2).flatten(1))


def random(device: torch.device | None = None) -> Features:
    """Features of `RandomNetwork`."""
    net = RandomNetwork().to(judging_device(device))
    return Features("random", net, weights_digest(net), "brought to 32x32 inside")


def of_module(net: Callable[[Tensor], Tensor], name: str) -> Features:
    """Features of any network: float images (B, C, H, W) in [-1, 1] -> (B, ...).

    A module is asked where its parameters lie and in the mode that it is in: call its `eval()`
    first. Nothing of these is cached, because a network's code is not known to its weights.
    """

    def network(x: Tensor) -> Outputs:
        placed = next(net.parameters(), x) if isinstance(net, nn.Module) else x
        return Outputs(net(x.to(placed.device)).flatten(1))

    return Features(name, network, "")


def judging_device(device: torch.device | None) -> torch.device:
    """The device itself if it is CUDA's, or else the processor.

    Apple's GPUs have no float64, in which distances are computed, and no pooling into a number of
    cells that does not divide the side.

    >>> judging_device(torch.device("mps"))
    device(type='cpu')
    """
    return device if device is not None and device.type == "cuda" else torch.device("cpu")


def weights_digest(net: nn.Module) -> str:
    """sha256 of a network's weights, buffers included, with their names and shapes."""
    total = hashlib.sha256(type(net).__name__.encode())
    for key, value in {**dict(net.named_buffers()), **net.state_dict()}.items():
        total.update(f"{key} {tuple(value.shape)} {value.dtype};".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


@torch.inference_mode()
def in_batches(
    network: Callable[[Tensor], Outputs],
    images: Images | Drawn,
    device: torch.device | None = None,
    batch: int = BATCH,
) -> Outputs:
    """What is seen in uint8 images (N, C, H, W), batch by batch; the result is on the processor."""
    parts: list[Outputs] = []
    for start in range(0, len(images), batch):
        x = torch.from_numpy(np.array(images[start : start + batch])).to(device or "cpu")
        parts.append(network(x.float().div_(127.5).sub_(1)))
    features = torch.cat([part.features.float().cpu() for part in parts])
    logits = [part.logits.float().cpu() for part in parts if part.logits is not None]
    return Outputs(features, torch.cat(logits) if logits else None)


def extract(
    features: Features, images: Images | Drawn, device: torch.device | None = None
) -> Outputs:
    """What the features see in uint8 images (N, C, H, W); from the cache, if it was seen before.

    The cache lies beside that of decoded images, under a digest of the features' weights and
    preprocessing, the images, and this code's version. Nothing in it is ever deleted: for
    images that will not come again, as generated ones, call `in_batches`.
    """
    device = judging_device(device)
    if not (features.digest and features.cached):
        return in_batches(features.network, images, device, features.batch)
    total = hashlib.sha256(f"{VERSION} {features.digest} {images.shape}".encode())
    for start in range(0, len(images), BATCH):
        total.update(np.ascontiguousarray(images[start : start + BATCH]).tobytes())
    path = cache_folder() / "features" / f"{total.hexdigest()}.safetensors"
    if path.exists():
        try:
            found = _load(path)
            return Outputs(found["features"], found.get("logits"))
        except (OSError, ValueError, SafetensorError, KeyError) as error:
            warnings.warn(f"{path} is damaged ({error}): computing it again", stacklevel=2)
    seen = in_batches(features.network, images, device, features.batch)
    tensors = {k: v.contiguous() for k, v in seen._asdict().items() if v is not None}
    try:
        sums = {"checksum": _checksum(tensors)}
        write_atomically(path, lambda part: safetensors.torch.save_file(tensors, part, sums))
    except FrenemyError as error:
        warnings.warn(f"features are not cached: {error}", stacklevel=2)
    return seen


def _load(path: Path) -> dict[str, Tensor]:
    with name_in_utf8(path) as name, safetensors.safe_open(name, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if (file.metadata() or {}).get("checksum") != _checksum(tensors):
            raise ValueError("its checksum is another")
    return tensors


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of all numbers, as digits."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].numpy().data, total)
    return str(total)
