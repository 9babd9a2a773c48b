"""What features see: which ways of spoiling real images they tell from held-out ones.

    FRENEMY_DATA=... OMP_NUM_THREADS=1 python benchmarks/features.py --set cifar10

Some test images are the reference; as many others, spoilt in one way each, are judged: as they
are, as JPEG of quality 30 and 75, blurred, with noise, those of the first half of the classes
alone, and with copies of the reference among them. For each the accuracy of a classifier
(`two-sample`), the kernel distance in its own errors, the Frechet distance in that of the held-out
images, and, where there are three times as many images, the likelihood divergence of the others.
Then how often the five nearest neighbours name the class of a held-out image, and how long an
image takes.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from frenemy.data import open_dataset
from frenemy.engine import choose_device
from frenemy.errors import FrenemyError
from frenemy.judge.classifier import Outputs
from frenemy.judge.features import Features, in_batches
from frenemy.judge.fld import fld
from frenemy.judge.frechet import frechet
from frenemy.judge.kernel import kid
from frenemy.judge.lite0 import load_lite0
from frenemy.judge.named_features import features_named
from frenemy.judge.resize import fitted
from frenemy.judge.sets import Images
from frenemy.judge.two_sample import two_sample_test
from frenemy.pictures import from_pillow, to_pillow

NEIGHBOURS = 5
# the number of each of these classes among the thousand, which are in the order of their names
IMAGENET = {"n02099601": 207, "n02123045": 281, "n02123394": 283, "n02124075": 285}


def jpeg(images: Images, quality: int) -> Images:
    """As they are after JPEG's compression."""
    result = []
    for image in images:
        content = io.BytesIO()
        to_pillow(image).save(content, "JPEG", quality=quality)
        result.append(from_pillow(Image.open(content)))
    return np.stack(result)


def lite0_at(side: int) -> Features:
    """`lite0` of images that are brought to so many pixels, whatever they have."""
    net = load_lite0()
    return Features(f"lite0-{side}", lambda x: Outputs(net(fitted(x, 3, (side, side)))[0]), "")


def kind_named(name: str) -> Features:
    """As `--features` of `frenemy judge` takes it, or `lite0-48`: at so many pixels."""
    return lite0_at(int(name[6:])) if name.startswith("lite0-") else features_named(name)


def blurred(images: Images, sigma: float) -> Images:
    """Convolved with a Gaussian of that many pixels."""
    reach = round(3 * sigma)
    kernel = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum())[None, None, None]
    x = torch.from_numpy(images).float().flatten(0, 1)[:, None]
    for k, pad in ((kernel, (reach, reach, 0, 0)), (kernel.mT, (0, 0, reach, reach))):
        x = F.conv2d(F.pad(x, pad, mode="replicate"), k)
    return x.round().to(torch.uint8).view(images.shape).numpy()


def noisy(images: Images, deviation: float) -> Images:
    """With Gaussian noise of that many of 255 levels."""
    noise = np.random.default_rng(0).normal(0, deviation, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def named_rightly(real: Tensor, fake: Tensor, classes: Tensor, truth: Tensor) -> float:
    """How often the nearest neighbours, by angle about the mean, name the class."""
    centre = real.mean(0)
    real, fake = F.normalize(real - centre), F.normalize(fake - centre)
    found = classes[(fake @ real.T).topk(NEIGHBOURS, 1).indices].mode(1).values
    return (found == truth).double().mean().item()


def top(images: Images, labels: NDArray[np.int64], side: int) -> tuple[float, float]:
    """How often the likeliest of ImageNet's classes is the right one, and is among the first 5."""
    net, found = load_lite0(), []
    for start in range(0, len(images), 25):
        x = torch.from_numpy(images[start : start + 25]).float().div(127.5).sub(1)
        with torch.inference_mode():
            found.append(net(fitted(x, 3, (side, side)))[1].topk(5).indices)
    right = torch.cat(found) == torch.from_numpy(labels)[:, None]
    return right[:, 0].double().mean().item(), right.any(1).double().mean().item()


def main(
    set: str = "cifar10",
    features: tuple[str, ...] = ("random", "lite0"),
    count: int = 2000,
    side: int = 0,
) -> None:
    """Prints a table for each kind of features.

    Args:
        set: with labels, by its place in the folder that FRENEMY_DATA names.
        features: as `--features` of `frenemy judge` takes them, or `lite0-48`: at so many pixels.
        count: images that are judged, and in the reference.
        side: of the images in ImageNet's classes: classify animals at that size, instead.
    """
    choose_device("cpu")
    data = open_dataset(Path(os.environ["FRENEMY_DATA"]) / set)
    parts = [data.test] if len(data.test) >= 2 * count else [data.train, data.valid, data.test]
    images = np.concatenate([part.images[:] for part in parts])
    if data.train.labels is None:
        raise FrenemyError(f"{set}: no labels: give a set in folders by class")
    labels = np.concatenate([np.asarray(part.labels) for part in parts])
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], labels[order]
    if side:
        wanted = np.array([IMAGENET[name] for name in data.train.classes])[labels]
        first, five = top(images, wanted, side)
        print(f"{len(images):,} {set} at {side} px: top-1 {first:.3f}, top-5 {five:.3f}")
        return
    real, held, others = images[:count], images[count : 2 * count], images[2 * count : 3 * count]
    classes, truth = labels[:count], labels[count : 2 * count]
    ways: dict[str, Callable[[], Images]] = {
        "held-out": lambda: held,
        "JPEG, quality 75": lambda: jpeg(held, 75),
        "JPEG, quality 30": lambda: jpeg(held, 30),
        "blur of 1/2 pixel": lambda: blurred(held, 0.5),
        "blur of 1 pixel": lambda: blurred(held, 1.0),
        "noise of 8 levels": lambda: noisy(held, 8.0),
        "half of the classes": lambda: held[truth < (labels.max() + 1) // 2],
        "a tenth are copies": lambda: np.concatenate([real[: count // 10], held[count // 10 :]]),
    }
    print(f"{set}, {count:,} images against {count:,}, torch {torch.__version__}")
    for name in features:
        kind = kind_named(name)

        def see(images: Images, kind: Features = kind) -> Tensor:
            return in_batches(kind.network, images, batch=kind.batch).features

        begun = time.perf_counter()
        known = see(real)
        spent = (time.perf_counter() - begun) / count * 1e3
        third = see(others) if len(others) == count else None
        print(f"\n| {name} | two-sample | kid / its error | fid / held-out's | fld |")
        print("| --- " * 5 + "|")
        first, right = 1.0, 0.0
        for way, spoilt in ways.items():
            seen = see(spoilt())
            told, kernel = two_sample_test(real=known, fake=seen), kid(real=known, fake=seen)
            distance = frechet(real=known, fake=seen).value
            if way == "held-out":
                first = distance
                right = named_rightly(known, seen, *map(torch.from_numpy, (classes, truth)))
            likely = "" if third is None else fld(real=third, fake=seen, train=known)
            row = f"{told.value:.2f} | {kernel.value / kernel.error:.1f} | {distance / first:.2f}"
            print(f"| {way} | {row} | {likely} |", flush=True)
        print(f"\n{right:.2f} named rightly by {NEIGHBOURS} neighbours; {spent:.1f} ms an image")


if __name__ == "__main__":
    tyro.cli(main)
