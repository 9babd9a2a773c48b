"""Features: what the judge compares images by. Images in, (N, d) out, cached by content."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.data.store import cache_folder
from frenemy.errors import FrenemyError
from frenemy.judge.classifier import Seen, load_classifier
from frenemy.judge.inception import load_inception
from frenemy.judge.resize import Resizing
from frenemy.run import write_atomically

BATCH = 500
VERSION = 1  # part of every cache key; raise it when some features would come out otherwise

NAMES = ("pixels", "random", "inception", "inception-clean", "classifier-NAME", "stacked-NAME")


@dataclass(frozen=True)
class Features:
    """A named way of looking at images.

    Attributes:
        name: part of the protocol's name: "classifier-mnist".
        see: images as floats in [-1, 1], (B, C, H, W) -> what it sees in them.
        digest: of weights and preprocessing; "" where nobody can know, and then nothing is cached.
        note: what the preprocessing does to the images.
        even: the classes are equally frequent by construction, as stacks of digits are.
    """

    name: str
    see: Callable[[Tensor], Seen]
    digest: str
    note: str = ""
    even: bool = False


def pixels() -> Features:
    """The pixels themselves, in [0, 1]."""
    return Features("pixels", lambda x: Seen(x.flatten(1).add(1).div_(2)), "pixels")


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

    def forward(self, x: Tensor) -> Seen:
        """(B, 1 or 3, H, W) in [-1, 1] -> (B, 384)."""
        shrinks = min(x.shape[2:]) >= 32
        x = F.interpolate(x, (32, 32), mode="area" if shrinks else "bilinear")
        x = x.expand(-1, 3, -1, -1)
        for weight in self.buffers():
            x = F.leaky_relu(F.conv2d(x, weight, stride=2, padding=1), 0.2)  # side 16, 8, 4
        return Seen(F.adaptive_avg_pool2d(x, 2).flatten(1))


def random(device: torch.device | None = None) -> Features:
    """Features of `RandomNetwork`."""
    net = RandomNetwork().to(device or "cpu")
    return Features("random", net, weights_digest(net), "brought to 32x32 inside")


def classifier(name: str, device: torch.device | None = None) -> Features:
    """Features and classes of a classifier that `frenemy judge --train-features` trained.

    Raises:
        FrenemyError: there is none of that name; the message tells how to make one.
    """
    path = classifier_path(name)
    if not path.exists():
        known = ", ".join(sorted(f"classifier-{p.stem}" for p in path.parent.glob("*.safetensors")))
        raise FrenemyError(
            f"no classifier {name!r} ({f'there are: {known}' if known else 'there is none yet'}): "
            "train one by `frenemy judge --train-features SOURCE`"
        )
    net, card = load_classifier(path)
    net.to(device or "cpu")

    def see(x: Tensor) -> Seen:
        if x.shape[1] != card.shape[0]:
            raise FrenemyError(
                f"classifier-{name} was trained on images with {card.shape[0]} channels, "
                f"these have {x.shape[1]}"
            )
        return net(x)

    return Features(f"classifier-{name}", see, weights_digest(net))


def stacked(name: str, device: torch.device | None = None) -> Features:
    """A classifier of grey images on stacks of three, one in each colour channel.

    Features of the three side by side, and logits of all K^3 classes, log p(a) + log p(b) +
    log p(c) for class K^2 a + K b + c: 1,000 for digits. Metz et al. (2017), Unrolled Generative
    Adversarial Networks, section 3.3.

    Raises:
        FrenemyError: as `classifier`; or images without three channels.
    """
    one = classifier(name, device)

    def see(x: Tensor) -> Seen:
        if x.shape[1] != 3:
            raise FrenemyError(f"stacked-{name}: images with {x.shape[1]} channels: needs three")
        seen = [one.see(channel) for channel in x.split(1, dim=1)]
        a, b, c = (s.logits.log_softmax(1) for s in seen if s.logits is not None)
        logits = a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]  # (B, K, K, K)
        return Seen(torch.cat([s.features for s in seen], 1), logits.flatten(1))

    note = "each colour channel seen by itself"
    return Features(f"stacked-{name}", see, f"stacked {one.digest}", note, even=True)


def inception(resize: Resizing = "original", device: torch.device | None = None) -> Features:
    """The 2015 Inception of the published distances, with either way of resizing to 299 x 299.

    Raises:
        FrenemyError: its weights are not there and cannot be fetched, or are not the published.
    """
    net = load_inception(resize=resize).to(device or "cpu")

    def see(x: Tensor) -> Seen:
        return Seen(*net(x.add(1).mul_(127.5).round_().to(torch.uint8)))

    name = "inception" if resize == "original" else f"inception-{resize}"
    return Features(name, see, weights_digest(net) + resize, f"resized to 299x299 ({resize})")


def of_module(net: Callable[[Tensor], Tensor], name: str) -> Features:
    """Features of any network: float images (B, C, H, W) in [-1, 1] -> (B, ...).

    Nothing of these is cached, because a network's code is not known to its weights.
    """
    return Features(name, lambda x: Seen(net(x).flatten(1)), "")


def of_onnx(path: Path) -> Features:
    """Features of an ONNX file whose one input is float images (B, C, H, W) in [-1, 1].

    Its first output, flattened, is taken.

    Raises:
        FrenemyError: onnxruntime is missing, or the file is not such a network.
    """
    try:
        import onnxruntime
    except ImportError:
        raise FrenemyError("ONNX features need onnxruntime: pip install 'frenemy[onnx]'") from None
    try:
        content = path.read_bytes()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of errors
        reason = " ".join(str(error).split())
        raise FrenemyError(f"{path} cannot be read as an ONNX network: {reason}") from None
    if len(session.get_inputs()) != 1:
        raise FrenemyError(f"{path} has {len(session.get_inputs())} inputs: needs one, of images")
    source = session.get_inputs()[0].name

    def see(x: Tensor) -> Seen:
        try:
            (found, *_) = session.run(None, {source: x.cpu().numpy()})
        except Exception as error:  # as above
            reason = " ".join(str(error).split())
            raise FrenemyError(f"{path} fails on images {tuple(x.shape[1:])}: {reason}") from None
        return Seen(torch.from_numpy(np.asarray(found, np.float32)).flatten(1))

    return Features(path.stem, see, hashlib.sha256(content).hexdigest())


def features_named(name: str, device: torch.device | None = None) -> Features:
    """The features of that name (see `NAMES`), or of the ONNX file at that path.

    Raises:
        FrenemyError: there are none such.
    """
    if name.endswith(".onnx"):
        return of_onnx(Path(name))
    if name.startswith("classifier-"):
        return classifier(name.removeprefix("classifier-"), device)
    if name.startswith("stacked-"):
        return stacked(name.removeprefix("stacked-"), device)
    if name == "inception":
        return inception("original", device)
    if name == "inception-clean":
        return inception("clean", device)
    if name == "pixels":
        return pixels()
    if name == "random":
        return random(device)
    raise FrenemyError(f"no features {name!r}: there are {', '.join(NAMES)} and FILE.onnx")


def classifier_path(name: str) -> Path:
    """Where the classifier of that name lies.

    Raises:
        FrenemyError: the name is no plain word.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise FrenemyError(f"{name!r} is no name for features: use letters, digits, - and _")
    return cache_folder() / "classifiers" / f"{name}.safetensors"


def weights_digest(net: nn.Module) -> str:
    """sha256 of a network's weights, buffers included, with their names and shapes."""
    total = hashlib.sha256(type(net).__name__.encode())
    for key, value in {**dict(net.named_buffers()), **net.state_dict()}.items():
        total.update(f"{key} {tuple(value.shape)} {value.dtype};".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


@torch.inference_mode()
def in_batches(
    see: Callable[[Tensor], Seen], images: NDArray[np.uint8], device: torch.device | None = None
) -> Seen:
    """What is seen in uint8 images (N, C, H, W), batch by batch; on the processor."""
    parts: list[Seen] = []
    for start in range(0, len(images), BATCH):
        x = torch.from_numpy(np.array(images[start : start + BATCH])).to(device or "cpu")
        parts.append(see(x.float().div_(127.5).sub_(1)))
    features = torch.cat([part.features.float().cpu() for part in parts])
    logits = [part.logits.float().cpu() for part in parts if part.logits is not None]
    return Seen(features, torch.cat(logits) if logits else None)


def extract(
    features: Features, images: NDArray[np.uint8], device: torch.device | None = None
) -> Seen:
    """What the features see in uint8 images (N, C, H, W); from the cache, if it was seen before.

    The cache lies beside that of decoded images, under a digest of the features' weights and
    preprocessing, the images, and this code's version.
    """
    if not features.digest:
        return in_batches(features.see, images, device)
    total = hashlib.sha256(f"{VERSION} {features.digest} {images.shape}".encode())
    for start in range(0, len(images), BATCH):
        total.update(np.ascontiguousarray(images[start : start + BATCH]).tobytes())
    path = cache_folder() / "features" / f"{total.hexdigest()}.safetensors"
    if path.exists():
        try:
            found = safetensors.torch.load_file(path)
            return Seen(found["features"], found.get("logits"))
        except (OSError, SafetensorError, KeyError) as error:
            warnings.warn(f"{path} is damaged ({error}): computing it again", stacklevel=2)
    seen = in_batches(features.see, images, device)
    tensors = {k: v.contiguous() for k, v in seen._asdict().items() if v is not None}
    try:
        write_atomically(path, lambda part: safetensors.torch.save_file(tensors, part))
    except FrenemyError as error:
        warnings.warn(f"features are not cached: {error}", stacklevel=2)
    return seen
