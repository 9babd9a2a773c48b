"""How often copies are missed, and honest samples called copies.

    python benchmarks/copies.py --data MNIST CIFAR10 --count 1000 --out docs/results/copies.jsonl
    python benchmarks/copies.py --data fer2013 --count 2000 --partitions 1 --test .25 --out ...
    python benchmarks/copies.py --data olivettifaces.mat --count 200 --partitions 100 --out ...
    python benchmarks/copies.py --data MNIST --features random --out ...

Honest sets are drawn from test images: as they are, blurred, warped; and noise. In the others 5 %
are training images: as they are, shifted, mirrored, ... With `--features` copies are looked for in
these (`feature-copying`), or else in pixels (`copying`). With `--partitions` the images are parted
anew, in that many ways; without, the parts are the set's own. Each image is looked
at once for each kind, and sets are drawn of what was found. A line is added to the file as soon as
it is measured; the table is of all lines in it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from frenemy.data import open_dataset
from frenemy.data.source import Drawn
from frenemy.engine import choose_device
from frenemy.judge.copying import Copying
from frenemy.judge.feature_copies import FeatureCopying
from frenemy.judge.features import Features, extract, in_batches
from frenemy.judge.named_features import features_named
from frenemy.judge.usual import Usual

Images = NDArray[np.uint8]
SHARE = 0.05
POOL = 2000  # training images of which copies are made, at most


def shifted(images: Images, down: int, right: int) -> Images:
    """With the edges repeated."""
    most = max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), "edge")
    h, w = images.shape[2:]
    return wide[:, :, most - down : most - down + h, most - right : most - right + w]


def jpeg(images: Images, quality: int) -> Images:
    """Written and read again."""
    found = []
    for image in images:
        file, grey = io.BytesIO(), len(image) == 1
        Image.fromarray(image[0] if grey else image.transpose(1, 2, 0)).save(
            file, "JPEG", quality=quality
        )
        read = np.asarray(Image.open(file))
        found.append(read[None] if grey else read.transpose(2, 0, 1))
    return np.stack(found)


def levels(images: NDArray[np.floating]) -> Images:
    """Rounded and clipped."""
    return images.round().clip(0, 255).astype(np.uint8)


def noisy(images: Images, rng: np.random.Generator) -> Images:
    """With normal noise of 8 grey levels."""
    return levels(images + rng.normal(0, 8, images.shape))


def blurred(images: Images, _: np.random.Generator) -> Images:
    """By a Gaussian, of one pixel's deviation at 32 pixels."""
    sigma = images.shape[2] / 32
    return levels(ndimage.gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma)))


def warped(images: Images, rng: np.random.Generator) -> Images:
    """By smooth random fields of about one pixel at 32 (Simard et al. 2003, Best Practices)."""
    count, _, h, w = images.shape
    fields = ndimage.gaussian_filter(rng.normal(size=(count, 2, h, w)), (0, 0, h / 8, w / 8))
    fields *= h / 32 / fields.std((1, 2, 3), keepdims=True)
    at = np.mgrid[:h, :w] + fields  # (N, 2, h, w)
    moved = [
        ndimage.map_coordinates(channel.astype(np.float32), to, order=1, mode="nearest")
        for image, to in zip(images, at, strict=True)
        for channel in image
    ]
    return levels(np.stack(moved).reshape(images.shape))


def turned(images: Images, _: np.random.Generator) -> Images:
    """By ten degrees."""
    wide = images.astype(np.float32)
    found = ndimage.rotate(wide, 10, (2, 3), reshape=False, order=1, mode="nearest")
    return levels(np.asarray(found))


def enlarged(images: Images, _: np.random.Generator) -> Images:
    """By a sixth, and cut to size."""
    h, w = images.shape[2:]
    found = np.asarray(ndimage.zoom(images.astype(np.float32), (1, 1, 7 / 6, 7 / 6), order=1))
    down, right = ((a - b) // 2 for a, b in zip(found.shape[2:], (h, w), strict=True))
    return levels(found[:, :, down : down + h, right : right + w])


Kind = Callable[[Images, np.random.Generator], Images]
HONEST: dict[str, Kind] = {
    "held-out images": lambda x, _: x,
    "held-out images, blurred": blurred,
    "held-out images, warped": warped,
    "noise": lambda x, rng: rng.integers(0, 256, x.shape, np.uint8),
}
COPIES: dict[str, Kind] = {
    "copies": lambda x, _: x,
    "shifted by one pixel": lambda x, _: shifted(x, 1, 0),
    "shifted by two": lambda x, _: shifted(x, -2, 2),
    "mirrored": lambda x, _: x[..., ::-1],
    "brighter, less contrast": lambda x, _: levels(0.7 * x + 60.0),
    "with noise of 8 levels": noisy,
    "JPEG of quality 50": lambda x, _: jpeg(x, 50),
    "shifted, mirrored, noisy": lambda x, rng: noisy(shifted(x, 1, -1)[..., ::-1], rng),
    "turned by 10 degrees": turned,
    "enlarged by a sixth": enlarged,
}


def parts(data: Path, partition: int, test: float) -> tuple[Drawn, Drawn, Images, str]:
    """Training images, held-out ones, test images, and what they are."""
    found = open_dataset(data)
    own = [source.images for source in (found.train, found.valid, found.test)]
    if not test:
        train, valid = (Drawn(images, np.arange(len(images))) for images in own[:2])
        return train, valid, np.asarray(own[2]), found.description
    images = np.concatenate(own)
    order = np.random.default_rng(partition).permutation(len(images))
    rest = (1 - test) * len(order)
    train, valid, tested = np.split(order, [int(0.8 * rest), int(rest)])
    return Drawn(images, train), Drawn(images, valid), images[tested], found.description


def in_pixels(train: Drawn, valid: Drawn) -> tuple[Usual, Callable[[Images], torch.Tensor]]:
    """What is normal, and how to tell the scores of images."""
    search = Copying(train=train, held_out=valid)
    return search.usual, lambda images: search.of(images).scores


def in_features(
    kind: Features, train: Drawn, valid: Drawn
) -> tuple[Usual, Callable[[Images], torch.Tensor]]:
    """The same."""
    of_train, of_valid = (extract(kind, images).features for images in (train, valid))
    search = FeatureCopying(train=of_train, held_out=of_valid)
    return search.usual, lambda images: search.scores(
        in_batches(kind.network, images, batch=kind.batch).features
    )


def measured(
    data: Path, features: Features | None, count: int, sets: int, partition: int, share: float
) -> list[dict[str, object]]:
    """A line for each kind."""
    rng = np.random.default_rng(partition)
    train, valid, test, name = parts(data, partition, share)
    begun = time.process_time()
    usual, scores_of = in_features(features, train, valid) if features else in_pixels(train, valid)
    built = time.process_time() - begun
    some = train[np.sort(rng.permutation(len(train))[:POOL])]
    lines: list[dict[str, object]] = []

    honest = scores_of(test)
    for kind, change in {**HONEST, **COPIES}.items():
        good = kind in HONEST
        images, begun = (
            np.ascontiguousarray(change(test if good else some, rng)),
            time.process_time(),
        )
        scores = scores_of(images)
        seconds = time.process_time() - begun
        copies = 0 if good else round(SHARE * count)
        said, shares = 0, []
        for _ in range(sets):
            mine = (scores if good else honest)[rng.permutation(len(test))[: count - copies]]
            theirs = scores[rng.permutation(len(scores))[:copies]]
            found = usual.excess(torch.cat([mine, theirs]))
            said += found.certain
            shares.append(found.share.value)
        lines.append(
            {
                "data": f"{name.partition(',')[0]}, {features.name if features else 'pixels'}",
                "kind": kind,
                "honest": good,
                "count": count,
                "sets": sets,
                "called": int((scores > usual.threshold).sum()),
                "of": len(scores),
                "wrong": said if good else sets - said,
                "share": float(np.mean(shares)),
                "seconds": round(seconds, 1),
                "built": round(built, 1),
            }
        )
    return lines


def table(lines: list[dict[str, object]]) -> str:
    """The lines as Markdown, those of several partitions added up."""
    names = list(dict.fromkeys(str(x["data"]) for x in lines))
    rows = ["| samples | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for kind in [*HONEST, *COPIES]:
        cells = []
        for name in names:
            mine = [x for x in lines if x["kind"] == kind and x["data"] == name]
            wrong, sets, called, of = (
                sum(int(str(x[key])) for x in mine) for key in ("wrong", "sets", "called", "of")
            )
            cells.append(f"{wrong} of {sets} ({called / max(1, of):.1%})" if mine else "")
        rows.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(
    data: tuple[Path, ...],
    out: Path,
    features: str | None = None,
    count: int = 1000,
    sets: int = 100,
    partitions: int = 0,
    test: float = 0.5,
) -> None:
    """Adds lines to the file and prints its table.

    Args:
        data: what `frenemy judge --against` takes, one or several.
        out: the file, JSON lines.
        features: as `frenemy judge` takes them; none: pixels.
        count: images in a set.
        sets: of each kind, over all partitions.
        partitions: ways in which the images are parted anew; 0: the parts are the set's own.
        test: the share of test images then; a fifth of the rest are held out.
    """
    choose_device("cpu")
    torch.set_grad_enabled(False)
    kind = features_named(features) if features else None
    for path in data:
        for partition in range(max(1, partitions)):
            each, share = sets // max(1, partitions), test if partitions else 0.0
            lines = measured(path, kind, count, each, partition, share)
            with out.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
    print(table([json.loads(line) for line in out.read_text().splitlines()]))


if __name__ == "__main__":
    tyro.cli(main)
