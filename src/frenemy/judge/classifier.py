"""The judge's own classifier: a small convolutional network whose hidden layer is a feature."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import FrenemyError
from frenemy.files import name_in_utf8, write_atomically
from frenemy.judge.estimate import checked
from frenemy.judge.sets import Images

SIDE = 32  # pixels: larger images are averaged down to this
WIDTHS = (32, 64, 128)
FEATURES = 128
KIND = "classifier 4"  # in every file; raise it when weights would mean otherwise, or cards change

UNREADABLE = (
    *(OSError, SafetensorError, RuntimeError),  # no such file of tensors, or other tensors
    *(ValueError, TypeError, KeyError, AttributeError),  # another card
)


class Outputs(NamedTuple):
    """Features of images, (B, d), and their logits, (B, classes), if the network has classes."""

    features: Tensor
    logits: Tensor | None = None


@dataclass(frozen=True)
class Card:
    """What is known of a trained classifier.

    Attributes:
        name: by which it is used: "mnist" for `classifier-mnist`.
        shape: (C, H, W) of the images it was trained on.
        classes: their names.
        data: digest of the set.
        pixels: digest of what was made of it, see `pixels_digest`.
        confusion: how many images of the test part are of each class and put into each: a row for
            each true class, a column for each that was found.
    """

    name: str
    shape: tuple[int, int, int]
    classes: Sequence[str]
    data: str
    pixels: str
    confusion: Sequence[Sequence[int]]

    @property
    def tested(self) -> int:
        """How many images the test part has."""
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of them that are put into their own class, in [0, 1]."""
        return sum(row[i] for i, row in enumerate(self.confusion)) / self.tested


class Classifier(nn.Module):
    """Three convolutions and two linear layers, as LeCun et al. (1998) with batch normalisation.

    Args:
        channels: 1 or 3, of the images.
        classes: how many.
    """

    scale: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, *WIDTHS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False)
            for n_in, n_out, size in zip(widths, widths[1:], (5, 3, 3), strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.hidden = nn.Linear(WIDTHS[-1] * 9, FEATURES)
        self.out = nn.Linear(FEATURES, classes)
        self.register_buffer("scale", torch.ones(()))
        # a third less time on processors; torch's overloads want a device or a type beside it
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Outputs:
        """Images (B, C, H, W) in [-1, 1] -> features (B, 128) and logits (B, classes).

        The features are scaled, see `standardise`, so that the size of distances says something.
        """
        if max(x.shape[2:]) > SIDE:
            x = F.adaptive_avg_pool2d(x, SIDE)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(F.max_pool2d(convolution(x), 2, ceil_mode=True)))  # 28 -> 14, 7, 4
        x = F.adaptive_avg_pool2d(x, 3).flatten(1)  # (B, 1152)
        features = F.relu(self.hidden(x))
        return Outputs(features * self.scale, self.out(features))

    def standardise(self, features: Tensor) -> None:
        """Scales features so that those of these images, (N, 128), have variance 1 in the mean.

        Raises:
            FrenemyError: fewer than two images, numbers that are not finite, or features that are
                the same for all images.
        """
        (features,) = checked("classifier", 2, features=features)
        deviation = features.var(0).mean().sqrt()
        rounding = 1e-6 * features.square().mean().sqrt()  # by which equal images may differ
        if not rounding < deviation < math.inf:
            raise FrenemyError(
                f"classifier: its features have the deviation {deviation.item():g} over "
                f"{len(features):,} images: it tells none from another; are they all the same?"
            )
        self.scale.copy_(self.scale / deviation)


def save_classifier(net: Classifier, card: Card, path: Path) -> Path:
    """Writes weights and card as one safetensors file.

    Raises:
        FrenemyError: some weight is not finite.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    if broken := _not_finite(tensors):
        raise FrenemyError(f"classifier {card.name!r} is not saved: {broken} is not finite")
    metadata = {"frenemy": json.dumps({"kind": KIND, **asdict(card)})}
    return write_atomically(path, lambda part: safetensors.torch.save_file(tensors, part, metadata))


def _not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The name of the first tensor that holds NaN or an infinity, or ""."""
    return next((key for key, value in tensors.items() if not value.isfinite().all()), "")


def load_classifier(path: Path) -> tuple[Classifier, Card]:
    """Reads what `save_classifier` wrote.

    Raises:
        FrenemyError: it is not there, or no such file.
    """
    with _opened(path) as file:
        card = _card(file)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (a file, no dict)
        if broken := _not_finite(tensors):
            raise ValueError(f"{broken} is not finite")
        with torch.device("meta"):  # no random numbers are drawn
            net = Classifier(card.shape[0], len(card.classes))
        net.to_empty(device="cpu").load_state_dict(tensors)
    return net.eval(), card


def read_card(path: Path) -> Card:
    """What `load_classifier` says of the file, without its weights.

    Raises:
        FrenemyError: as `load_classifier`.
    """
    with _opened(path) as file:
        return _card(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, of which whatever is wrong is told in one line."""
    try:
        with name_in_utf8(path) as name, safetensors.safe_open(name, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise FrenemyError(f"{path} is not there") from None
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise FrenemyError(f"{path} is not a frenemy classifier: {reason}") from None


def _card(file: Any) -> Card:
    """The card of an open file."""
    about = json.loads(file.metadata()["frenemy"])
    if about.pop("kind") != KIND:
        raise ValueError("it holds something else, or is of another version: train it again")
    confusion = tuple(map(tuple, about.pop("confusion")))
    shape, classes = tuple(about.pop("shape")), tuple(about.pop("classes"))
    card = Card(**about, shape=shape, classes=classes, confusion=confusion)
    if len(card.shape) != 3 or not all(isinstance(size, int) for size in card.shape):
        raise ValueError(f"images of shape {card.shape}")
    if {len(confusion), *map(len, confusion)} != {len(classes)} or not card.tested:
        raise ValueError(f"a table of confusions that is not one of its {len(classes)} classes")
    return card


def pixels_digest(images: Images) -> str:
    """sha256 of the shape of images (N, C, H, W) and of some thousand of them, evenly spaced.

    Of a set whose files are known it tells how these were prepared: to what size, cropped or
    stretched.
    """
    total = hashlib.sha256(str(images.shape).encode())
    total.update(np.ascontiguousarray(images[:: max(1, len(images) // 1000)]).data)
    return total.hexdigest()


@torch.no_grad()
def augmented(x: Tensor, flip: bool) -> Tensor:
    """Images (B, C, H, W) turned by up to 10 degrees, scaled by up to 10 %, moved by up to 8 %.

    Args:
        x: the images.
        flip: also mirror half of them. Draws from torch's global generator.
    """
    count = len(x)
    angle, scale, right, down = torch.rand(4, count).mul_(2).sub_(1).to(x)
    angle, scale = angle * 0.175, 1 + 0.1 * scale
    mirror = torch.randint(2, (count,)).to(x).mul_(2).sub_(1) if flip else torch.ones(count).to(x)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = [
        torch.stack([cos * mirror, -sin, 0.16 * right], 1),
        torch.stack([sin * mirror, cos, 0.16 * down], 1),
    ]
    where = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, where, padding_mode="border", align_corners=False)
