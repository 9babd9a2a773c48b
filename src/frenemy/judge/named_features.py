"""The features that have names: those of a trained classifier, of published networks, of a file."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from frenemy.data.source import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.judge.classifier import SIDE, Outputs, load_classifier, pixels_digest, read_card
from frenemy.judge.features import Features, judging_device, pixels, random, weights_digest
from frenemy.judge.inception import load_inception
from frenemy.judge.lite0 import lite0, lite0_is_here, weights_file
from frenemy.judge.onnx_features import of_onnx
from frenemy.judge.resize import Resizing
from frenemy.places import cache_folder, user_path

INCEPTION_BATCH = 50  # at 299 x 299 the widest layers hold 5.5 MB an image, each

NAMES = (
    *("pixels", "random", "lite0", "inception", "inception-clean"),
    *("classifier-NAME", "stacked-NAME"),
)
PLAIN_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # what NAME may be


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


def require_features(name: str) -> None:
    """Refuses a name of which `features_named` knows no features, without loading any.

    Raises:
        FrenemyError: the name is none of `NAMES`, and no ONNX file lies there.
    """
    kind, _, trained = name.partition("-")
    if name.endswith(".onnx"):
        if not user_path(name).is_file():
            raise FrenemyError(f"{name} is not there")
    elif kind in ("classifier", "stacked") and trained:
        _require_classifier(trained)
    elif name == "lite0":
        weights_file()
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
        return of_onnx(user_path(name))
    if name.startswith("classifier-"):
        return classifier(name.removeprefix("classifier-"), device)
    if name.startswith("stacked-"):
        return stacked(name.removeprefix("stacked-"), device)
    if name.startswith("inception"):
        return inception("clean" if name.endswith("clean") else "original", device)
    if name == "lite0":
        return lite0(device)
    return pixels() if name == "pixels" else random(device)


def classifier_path(name: str) -> Path:
    """Where the classifier of that name lies.

    Raises:
        FrenemyError: the name is no plain word.
    """
    if not PLAIN_WORD.fullmatch(name):
        raise FrenemyError(f"{name!r} is not a name for features: use letters, digits, - and _")
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


def default_features(data: Dataset) -> list[str]:
    """A classifier of these very images, if there is one; else "lite0" for pictures, or "random".

    Pictures are in colour, or larger than 32 pixels: small grey ones, as digits, are nothing that
    ImageNet has. And the weights of lite0 have to be installed.
    """
    if trained := classifiers_of(data.train):
        return trained[:1]
    channels, *sides = data.shape
    return ["lite0" if (channels == 3 or max(sides) > 32) and lite0_is_here() else "random"]
