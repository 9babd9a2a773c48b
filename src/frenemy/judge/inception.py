"""The Inception network of the published FIDs and Inception Scores, and its weights.

Szegedy et al. (2016), Rethinking the Inception Architecture for Computer Vision, as it stands in
TensorFlow's graph of 2015-12-05, which Salimans et al. (2016), Improved Techniques for Training
GANs, and Heusel et al. (2017), GANs Trained by a Two Time-Scale Update Rule, read. It departs from
the network that is usually called Inception v3:

- 1008 outputs and no auxiliary head;
- average pools inside blocks leave the zero padding out of their mean;
- the pool of the last block, Mixed_7c, takes the maximum.

The weights are those that pytorch-fid and torch-fidelity read: one file, known by its digest.
"""

from __future__ import annotations

import hashlib
import io
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.data.streams import CHUNK, in_one_line
from frenemy.data.threads import telling
from frenemy.errors import FrenemyError
from frenemy.files import write_atomically
from frenemy.judge.resize import Resizing, resized
from frenemy.places import cache_folder

FILE = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
BYTES = 95_628_359
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

HALVED = ("Conv2d_2b_3x3", "Conv2d_4a_3x3")  # whose maps a pool brings to half the side

TIMEOUT = 30
"""Seconds without a byte after which a download is given up."""


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation and a rectifier: (B, C, H, W) -> (B, D, ...).

    With `padded`, and at stride 1, height and width stay.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padded: bool
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


Pool = Callable[[Tensor], Tensor]

_average = partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
_maximum = partial(F.max_pool2d, kernel_size=3, stride=1, padding=1)
_halving = partial(F.max_pool2d, kernel_size=3, stride=2)


class Layer(NamedTuple):
    """A `Convolution` in a block; those of stride 2 are not padded."""

    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


class Branch:
    """One way through a block: a pool if it has one, its layers, and layers abreast at its end.

    In the file its layers have its name, and numbers if they are several: "branch3x3_1"; those
    abreast share a number: "branch3x3_2a", "branch3x3_2b".
    """

    def __init__(
        self, name: str, *layers: Layer, ends: tuple[Layer, ...] = (), pool: Pool | None = None
    ) -> None:
        numbers = (
            [f"_{i}" for i in range(1, len(layers) + 2)] if len(layers) + len(ends) > 1 else [""]
        )
        self.layers = {name + n: layer for n, layer in zip(numbers, layers, strict=False)}
        self.ends = {name + numbers[-1] + x: layer for x, layer in zip("ab", ends, strict=False)}
        self.pool = pool


class Mixed(nn.Module):
    """A block: its branches read the same maps, and their outputs are joined in order."""

    def __init__(self, inputs: int, *branches: Branch) -> None:
        super().__init__()
        self.branches = branches
        for branch in branches:
            width = inputs
            for name, layer in (branch.layers | branch.ends).items():
                self.add_module(name, Convolution(width, *layer, padded=layer.stride == 1))
                width = width if name in branch.ends else layer.outputs

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for branch in self.branches:
            y = x if branch.pool is None else branch.pool(x)
            for name in branch.layers:
                y = self.get_submodule(name)(y)
            outputs += [self.get_submodule(name)(y) for name in branch.ends] or [y]
        return torch.cat(outputs, 1)


def _figure5(inputs: int, pool: int) -> Mixed:
    """35x35: two 3x3 convolutions stand for a 5x5, beside a true 5x5."""
    return Mixed(
        inputs,
        Branch("branch1x1", Layer(64)),
        Branch("branch5x5", Layer(48), Layer(64, (5, 5))),
        Branch("branch3x3dbl", Layer(64), Layer(96, (3, 3)), Layer(96, (3, 3))),
        Branch("branch_pool", Layer(pool), pool=_average),
    )


def _to_17() -> Mixed:
    """35x35 to 17x17: convolutions of stride 2 beside a pool (figure 10)."""
    return Mixed(
        288,
        Branch("branch3x3", Layer(384, (3, 3), 2)),
        Branch("branch3x3dbl", Layer(64), Layer(96, (3, 3)), Layer(96, (3, 3), 2)),
        Branch("pool", pool=_halving),
    )


def _figure6(width: int) -> Mixed:
    """17x17: a 7x7 convolution as a row and a column, once and twice."""
    first, row, column = Layer(width), Layer(width, (1, 7)), Layer(width, (7, 1))
    return Mixed(
        768,
        Branch("branch1x1", Layer(192)),
        Branch("branch7x7", first, row, Layer(192, (7, 1))),
        Branch("branch7x7dbl", first, column, row, column, Layer(192, (1, 7))),
        Branch("branch_pool", Layer(192), pool=_average),
    )


def _to_8() -> Mixed:
    """17x17 to 8x8."""
    row, column, shrinking = Layer(192, (1, 7)), Layer(192, (7, 1)), Layer(192, (3, 3), 2)
    return Mixed(
        768,
        Branch("branch3x3", Layer(192), Layer(320, (3, 3), 2)),
        Branch("branch7x7x3", Layer(192), row, column, shrinking),
        Branch("pool", pool=_halving),
    )


def _figure7(inputs: int, pool: Pool) -> Mixed:
    """8x8: rows and columns abreast."""
    abreast = Layer(384, (1, 3)), Layer(384, (3, 1))
    return Mixed(
        inputs,
        Branch("branch1x1", Layer(320)),
        Branch("branch3x3", Layer(384), ends=abreast),
        Branch("branch3x3dbl", Layer(448), Layer(384, (3, 3)), ends=abreast),
        Branch("branch_pool", Layer(192), pool=pool),
    )


class Inception(nn.Module):
    """Images to the features of FID and the logits of the Inception Score, both in one pass.

    features = pool3, the mean over the 8x8 places of the last maps; logits = W features, *without*
    the bias b of the last layer, as Salimans et al. (2016) computed them. Pixels enter as
    (x - 128) / 128, as in the graph; an image of 255 is 127/128 there, not 1.

    forward: uint8 (N, 3, H, W) or (N, 1, H, W) -> (N, 2048), (N, 1008), of the weights' type.

    It is in evaluation mode and stays there: batch normalisation reads what the file holds, so
    that an image's features do not depend on its batch. Parameters take no gradient. A new one
    has random weights; `load_inception` gives the published ones.

    Args:
        resize: how images come to 299x299, see `resized`.

    Raises:
        FrenemyError: as `resized`.
    """

    def __init__(self, resize: Resizing = "original") -> None:
        super().__init__()
        self.resize: Resizing = resize
        self.Conv2d_1a_3x3 = Convolution(3, 32, (3, 3), 2, padded=False)  # (N, 32, 149, 149)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3), 1, padded=False)  # (N, 32, 147, 147)
        self.Conv2d_2b_3x3 = Convolution(32, 64, (3, 3), 1, padded=True)  # halved: (N, 64, 73, 73)
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1), 1, padded=False)  # (N, 80, 73, 73)
        self.Conv2d_4a_3x3 = Convolution(
            80, 192, (3, 3), 1, padded=False
        )  # halved: (N, 192, 35, 35)
        self.Mixed_5b = _figure5(192, pool=32)  # (N, 256, 35, 35)
        self.Mixed_5c = _figure5(256, pool=64)  # (N, 288, 35, 35)
        self.Mixed_5d = _figure5(288, pool=64)
        self.Mixed_6a = _to_17()  # (N, 768, 17, 17)
        self.Mixed_6b = _figure6(width=128)
        self.Mixed_6c = _figure6(width=160)
        self.Mixed_6d = _figure6(width=160)
        self.Mixed_6e = _figure6(width=192)
        self.Mixed_7a = _to_8()  # (N, 1280, 8, 8)
        self.Mixed_7b = _figure7(1280, pool=_average)  # (N, 2048, 8, 8)
        self.Mixed_7c = _figure7(2048, pool=_maximum)
        self.fc = nn.Linear(2048, 1008)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Inception:
        return super().train(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = resized(images, self.resize).to(self.fc.weight.dtype)  # (N, 3, 299, 299)
        x = (x - 128) / 128
        for name, part in self.named_children():
            if part is not self.fc:
                x = _halving(part(x)) if name in HALVED else part(x)
        features = x.mean((2, 3))  # (N, 2048)
        return features, features @ self.fc.weight.T  # (N, 1008)


def load_inception(path: Path | None = None, *, resize: Resizing = "original") -> Inception:
    """`Inception` with the published weights, on the CPU.

    Size and sha256 are checked before anything in the file is interpreted.

    Args:
        path: the file; None for `weights_path()`, where it is fetched to if it is not there.
        resize: see `Inception`.

    Raises:
        FrenemyError: the file is not there and cannot be fetched, or is another one.
    """
    if path is None:
        path = weights_path()
        if not path.exists():
            _fetch(path)
    content = _read(path)
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # no random numbers are drawn, and no memory taken
        model = Inception(resize)
    # how many batches training saw is in no use here, and not in every such file; a plain
    # dictionary carries no version, and for want of one torch sets these counts to zero
    kept = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    model.load_state_dict(kept, assign=True)
    return model


def weights_path() -> Path:
    """Where the weights lie unless they are given: in the cache, which FRENEMY_CACHE moves."""
    return cache_folder() / "weights" / FILE


def _read(path: Path) -> bytes:
    """The file's bytes, which are the published ones."""
    remedy = f"the weights are at {URL} ({BYTES:,} bytes, sha256 {SHA256})"
    try:
        with open(path, "rb") as file:
            content = file.read(BYTES + 1)
            size = len(content) if len(content) <= BYTES else path.stat().st_size
    except OSError as error:
        raise FrenemyError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if size != BYTES:
        raise FrenemyError(f"{path}: not Inception's weights: {size:,} bytes; {remedy}")
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise FrenemyError(f"{path}: not Inception's weights: sha256 {found}; {remedy}")
    return content


def _fetch(path: Path) -> None:
    """Downloads the weights; until they are whole and checked, nothing has the name `path`."""

    def write(part: Path) -> None:
        with open(part, "wb") as file:
            for piece in _download(path):
                file.write(piece)

    write_atomically(path, write)


def _download(path: Path) -> Iterator[bytes]:
    """What lies at URL, piece by piece, and never more than a byte too much of it.

    Raises:
        FrenemyError: it cannot be reached, breaks off, or proves to be something else at its end.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with (
            urllib.request.urlopen(URL, timeout=TIMEOUT) as answer,
            telling("fetching Inception:", BYTES, " bytes") as tell,
        ):
            while piece := answer.read(min(CHUNK, BYTES + 1 - done)):
                digest.update(piece)
                done += len(piece)
                yield piece
                tell(done)
        failure = ""
    except (OSError, HTTPException, ValueError) as error:
        failure = in_one_line(error)
    if not failure and done > BYTES:
        failure = f"more than {BYTES:,} bytes came"
    if not failure and done < BYTES:
        failure = f"it broke off after {done:,} bytes"
    if not failure and digest.hexdigest() != SHA256:
        failure = f"what came has sha256 {digest.hexdigest()}"
    if failure:
        raise FrenemyError(
            f"{path} is not there, and could not be fetched ({failure}): put the file from {URL} "
            f"({BYTES:,} bytes, sha256 {SHA256}) there"
        )
