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
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.data.source import Source
from frenemy.data.store import cache_folder
from frenemy.errors import FrenemyError
from frenemy.files import write_atomically
from frenemy.judge.classifier import (
    SIDE,
    Card,
    Outputs,
    load_classifier,
    pixels_digest,
    read_card,
)
from frenemy.judge.inception import load_inception
from frenemy.judge.resize import Resizing
from frenemy.judge.sets import Drawn, Images

BATCH = 500
INCEPTION_BATCH = 50  # at 299 x 299 the widest layers hold 5.5 MB an image, each
VERSION = 2  # part of every cache key; raise it when some features would come out otherwise

NAMES = ("pixels", "random", "inception", "inception-clean", "classifier-NAME", "stacked-NAME")
# as protobuf writes a tensor's pair ("location", path), field 13, whose length is a byte or more
WEIGHTS_ELSEWHERE = re.compile(rb"\x6a[\x80-\xff]*[\x00-\x7f]\x0a\x08location\x12")
PLAIN_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # what NAME may be


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
        """(B, 1 or 3, H, W) in [-1, 1] -> (B, 384)."""
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


def classifier(name: str, device: torch.device | None = None) -> Features:
    """Features and classes of a classifier that `frenemy judge --train-features` trained.

    Raises:
        FrenemyError: there is none of that name; the message tells how to make one.
    """
    _require_classifier(name)
    net, card = load_classifier(classifier_path(name))
    net.to(judging_device(device))

    def network(x: Tensor) -> Outputs:
        if x.shape[1] != card.shape[0]:
            raise FrenemyError(
                f"classifier-{name} was trained on images with {card.shape[0]} channels, "
                f"these have {x.shape[1]}"
            )
        return net(x)

    height, width = card.shape[1:]
    note = f"trained on {height}x{width}"
    if max(height, width) > SIDE:
        note += f", averaged down to {SIDE}x{SIDE} inside"
    return Features(f"classifier-{name}", network, weights_digest(net), note, card=card)


def stacked(name: str, device: torch.device | None = None) -> Features:
    """A classifier of grey images on stacks of three, one in each colour channel.

    Features of the three side by side, and logits of all K^3 classes, log p(a) + log p(b) +
    log p(c) for class K^2 a + K b + c: 1,000 for digits. Metz et al. (2017), Unrolled Generative
    Adversarial Networks, section 3.3.

    Raises:
        FrenemyError: as `classifier`; or images without three channels.
    """
    one = classifier(name, device)

    def network(x: Tensor) -> Outputs:
        if x.shape[1] != 3:
            raise FrenemyError(f"stacked-{name}: images with {x.shape[1]} channels: needs three")
        seen = [one.network(channel) for channel in x.split(1, dim=1)]
        a, b, c = (s.logits.log_softmax(1) for s in seen if s.logits is not None)
        logits = a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]  # (B, K, K, K)
        return Outputs(torch.cat([s.features for s in seen], 1), logits.flatten(1))

    note = f"each colour channel seen by itself; {one.note}"
    return Features(f"stacked-{name}", network, f"stacked {one.digest}", note, balanced=True)


def inception(resize: Resizing = "original", device: torch.device | None = None) -> Features:
    """The 2015 Inception of the published distances, with either way of resizing to 299 x 299.

    Raises:
        FrenemyError: its weights are not there and cannot be fetched, or are not the published.
    """
    net = load_inception(resize=resize).to(judging_device(device))

    def network(x: Tensor) -> Outputs:
        return Outputs(*net(x.add(1).mul_(127.5).round_().to(torch.uint8)))

    name = "inception" if resize == "original" else f"inception-{resize}"
    digest, note = weights_digest(net) + resize, f"resized to 299x299 ({resize})"
    return Features(name, network, digest, note, batch=INCEPTION_BATCH)


def of_module(net: Callable[[Tensor], Tensor], name: str) -> Features:
    """Features of any network: float images (B, C, H, W) in [-1, 1] -> (B, ...).

    A module is asked where its parameters lie and in the mode that it is in: call its `eval()`
    first. Nothing of these is cached, because a network's code is not known to its weights.
    """

    def network(x: Tensor) -> Outputs:
        placed = next(net.parameters(), x) if isinstance(net, nn.Module) else x
        return Outputs(net(x.to(placed.device)).flatten(1))

    return Features(name, network, "")


def of_onnx(path: Path) -> Features:
    """Features of an ONNX file whose one input is float images (B, C, H, W) in [-1, 1].

    Its first output, flattened, is taken. Weights may lie in other files beside it, as
    `torch.onnx.export` writes them; then nothing is cached, since this file does not tell them.

    Raises:
        FrenemyError: onnxruntime is missing, the file is not such a network, or its weights lie
            outside its folder.
    """
    try:
        import onnxruntime
    except ImportError:
        raise FrenemyError("ONNX features need onnxruntime: pip install 'frenemy[onnx]'") from None
    try:
        content = path.read_bytes()
        elsewhere = WEIGHTS_ELSEWHERE.search(content) is not None
        model = str(path) if elsewhere else content  # in memory it has no folder to find them in
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of errors
        reason = " ".join(str(error).split())
        raise FrenemyError(f"{path} cannot be read as an ONNX network: {reason}") from None
    if len(session.get_inputs()) != 1:
        raise FrenemyError(f"{path} has {len(session.get_inputs())} inputs: needs one, of images")
    source = session.get_inputs()[0].name

    def network(x: Tensor) -> Outputs:
        try:
            (found, *_) = session.run(None, {source: x.cpu().numpy()})
        except Exception as error:  # as above
            reason = " ".join(str(error).split())
            raise FrenemyError(f"{path} fails on images {tuple(x.shape[1:])}: {reason}") from None
        return Outputs(torch.from_numpy(np.asarray(found, np.float32)).flatten(1))

    digest = "" if elsewhere else hashlib.sha256(content).hexdigest()
    return Features(f"onnx-{path.stem}", network, digest)


def require_features(name: str) -> None:
    """Refuses a name of which `features_named` knows no features, without loading any.

    Raises:
        FrenemyError: the name is none of `NAMES`, and no ONNX file lies there.
    """
    kind, _, trained = name.partition("-")
    if name.endswith(".onnx"):
        if not Path(name).is_file():
            raise FrenemyError(f"{name} is not there")
    elif kind in ("classifier", "stacked") and trained:
        _require_classifier(trained)
    elif name not in NAMES:
        raise FrenemyError(f"no features {name!r}: there are {', '.join(NAMES)} and FILE.onnx")


def _require_classifier(name: str) -> None:
    path = classifier_path(name)
    if not path.exists():
        known = ", ".join(sorted(f"classifier-{p.stem}" for p in path.parent.glob("*.safetensors")))
        raise FrenemyError(
            f"no classifier {name!r} ({f'there are: {known}' if known else 'there is none yet'}): "
            "train one by `frenemy judge --train-features SOURCE`"
        )


def features_named(name: str, device: torch.device | None = None) -> Features:
    """The features of that name (see `NAMES`), or of the ONNX file at that path.

    Raises:
        FrenemyError: there are none such.
    """
    require_features(name)
    if name.endswith(".onnx"):
        return of_onnx(Path(name))
    if name.startswith("classifier-"):
        return classifier(name.removeprefix("classifier-"), device)
    if name.startswith("stacked-"):
        return stacked(name.removeprefix("stacked-"), device)
    if name.startswith("inception"):
        return inception("clean" if name.endswith("clean") else "original", device)
    return pixels() if name == "pixels" else random(device)


def classifier_path(name: str) -> Path:
    """Where the classifier of that name lies.

    Raises:
        FrenemyError: the name is no plain word.
    """
    if not PLAIN_WORD.fullmatch(name):
        raise FrenemyError(f"{name!r} is no name for features: use letters, digits, - and _")
    return cache_folder() / "classifiers" / f"{name}.safetensors"


def classifiers_of(train: Source) -> list[str]:
    """The features of all classifiers that were trained on these very images, in order.

    The same files brought to another size, or to it in another way, are other images. A file in
    the classifiers' folder that cannot be read is left out, with a warning.

    Returns:
        Names as `features_named` takes them: ["classifier-mnist"].
    """
    names, pixels = [], None
    for path in sorted(classifier_path("any").parent.glob("*.safetensors")):
        if not PLAIN_WORD.fullmatch(path.stem):
            continue  # it cannot be asked for
        try:
            card = read_card(path)
        except FrenemyError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        if card.data == train.digest and card.shape == train.shape:
            pixels = pixels or pixels_digest(train.images)
            if card.pixels == pixels:
                names.append(f"classifier-{path.stem}")
    return names


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
            found = safetensors.torch.load_file(path)
            return Outputs(found["features"], found.get("logits"))
        except (OSError, SafetensorError, KeyError) as error:
            warnings.warn(f"{path} is damaged ({error}): computing it again", stacklevel=2)
    seen = in_batches(features.network, images, device, features.batch)
    tensors = {k: v.contiguous() for k, v in seen._asdict().items() if v is not None}
    try:
        write_atomically(path, lambda part: safetensors.torch.save_file(tensors, part))
    except FrenemyError as error:
        warnings.warn(f"features are not cached: {error}", stacklevel=2)
    return seen
