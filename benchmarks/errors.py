"""Do the judge's errors hold? What metrics claim, beside how they scatter over independent sets.

    python benchmarks/errors.py --data MNIST --features random --count 500 2000 --out errors.jsonl
    python benchmarks/errors.py --table-of errors.jsonl

A pair is a set of n real images R and two sets A and B of one generator, all drawn anew. Images
come from an endless source: training digits of MNIST under random affine maps, brightness and
noise, so that they are independent draws of one distribution. The generators are that source
itself (real), and it blurred, shifted (by a pixel, at .9 of the brightness), noisy, and copied (a
tenth are training images, which are always the same); with `gaussian64` instead of an extractor,
N(0, I) and its like in 64 dimensions. Rows are appended as they are measured, and pairs that the
file already holds are skipped.

The table, for metric T: the mean of T(R, A) over pairs, its standard deviation (scatter), the root
mean square of the claimed errors, their ratio, and the share of intervals T +- 1.96 errors that
hold the mean. Then of differences T(R, A) - T(R, B), which runs with the same reference images
are compared by: claimed over scatter, and how often they exceed 2.6 claimed errors (nominal: 1 %).
In these R is held fixed: so they also tell whether the part of an error that is not the real
images' is right.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from frenemy.data import open_dataset
from frenemy.engine import choose_device
from frenemy.judge.authenticity import data_copying
from frenemy.judge.classes import inception_score
from frenemy.judge.copying import Copying
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.diversity import vendi
from frenemy.judge.estimate import Estimate, error_of_difference
from frenemy.judge.features import Features, in_batches
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import kid
from frenemy.judge.modes import class_modes
from frenemy.judge.named_features import features_named
from frenemy.judge.parzen import parzen
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test

KINDS = ("real", "blurred", "shifted", "noisy")
TRAINING, COPIED = 2000, 0.1  # images, and how many of `copied` are among these


@dataclass(frozen=True, eq=False)
class Set:
    """What metrics see of some images: features, logits if there are classes, pixels if images."""

    features: Tensor
    logits: Tensor | None = None
    pixels: Tensor | None = None


Found = Mapping[str, Estimate]


def on_features(name: str, metric: Callable[..., Estimate]) -> Callable[[Set, Set, Set], Found]:
    return lambda real, fake, _: {name: metric(real=real.features, fake=fake.features)}


def of_classes(real: Set, fake: Set, _: Set) -> Found:
    if real.logits is None or fake.logits is None:
        return {}
    modes = class_modes(
        fake_classes=fake.logits.argmax(1),
        count=real.logits.shape[1],
        real_classes=real.logits.argmax(1),
    )
    return {"class-kl": modes.reverse_kl, "is": inception_score(logits=fake.logits)}


def of_neighbourhoods(real: Set, fake: Set, _: Set) -> Found:
    found = precision_recall_density_coverage(real=real.features, fake=fake.features)
    names = ("precision", "recall", "density", "coverage")
    return {name: getattr(found, name) for name in names}


def of_pixels(real: Set, fake: Set, train: Set) -> Found:
    if real.pixels is None or fake.pixels is None or train.pixels is None:
        return {}
    found = parzen(real=real.pixels, valid=train.pixels[:1000], fake=fake.pixels)["default"]
    return {"parzen": found.found}


def of_copies(real: Set, fake: Set, train: Set) -> Found:
    if real.pixels is None or fake.pixels is None or train.pixels is None:
        return {}
    return {"copying": search(real, train).of(as_bytes(fake.pixels)).share}


@functools.lru_cache(maxsize=1)
def search(real: Set, train: Set) -> Copying:
    """For copies, where the real set is what is held out."""
    assert real.pixels is not None and train.pixels is not None
    return Copying(train=as_bytes(train.pixels), held_out=as_bytes(real.pixels))


def as_bytes(pixels: Tensor) -> np.ndarray:
    """(N, 784) in [0, 1] -> uint8 (N, 1, 28, 28)."""
    return pixels.mul(255).round().byte().view(-1, 1, 28, 28).numpy()


METRICS: dict[str, Callable[[Set, Set, Set], Found]] = {
    "fid": on_features("fid", frechet),
    "fid-infinity": on_features("fid-infinity", frechet_infinity),
    "kid": on_features("kid", kid),
    "neighbourhoods": of_neighbourhoods,
    "two-sample": on_features("two-sample", two_sample_test),
    "sliced-wasserstein": on_features("sliced-wasserstein", sliced_wasserstein),
    "vendi": lambda _, fake, __: {"vendi": vendi(fake=fake.features)},
    "data-copying": lambda real, fake, train: {
        "data-copying": data_copying(real=real.features, fake=fake.features, train=train.features)
    },
    "copying": of_copies,
    "classes": of_classes,
    "parzen": of_pixels,
}
"""By name, metrics of a real set, a generated one, and one of training images: always the same."""


def digits(base: Tensor, count: int, seed: int) -> Tensor:
    """Training digits under random changes: (count, 1, 28, 28) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = base[torch.randint(len(base), (count,), generator=generator)].float().div_(255)
    angle, scale, shear, bright = (2 * torch.rand(4, count, generator=generator) - 1).unbind()
    turn, size = 0.25 * angle, 1 + 0.15 * scale
    map_ = torch.zeros(count, 2, 3)
    map_[:, 0, 0], map_[:, 0, 1] = turn.cos() * size, -turn.sin() * size + 0.2 * shear
    map_[:, 1, 0], map_[:, 1, 1] = turn.sin() * size, turn.cos() * size
    map_[:, :, 2] = 0.15 * (2 * torch.rand(count, 2, generator=generator) - 1)
    grid = F.affine_grid(map_, list(drawn.shape), align_corners=False)
    moved = (
        F.grid_sample(drawn, grid, align_corners=False)
        * (0.85 + 0.15 * bright)[:, None, None, None]
    )
    return moved + 0.02 * torch.randn(moved.shape, generator=generator)


def changed(images: Tensor, kind: str, seed: int) -> Tensor:
    """The images (N, 1, 28, 28) as a generator of that kind makes them."""
    if kind == "blurred":
        row = torch.tensor([0.25, 0.5, 0.25])
        return F.conv2d(images, (row[:, None] * row)[None, None], padding=1)
    if kind == "shifted":
        return 0.9 * images.roll(1, dims=3)
    if kind == "noisy":
        generator = torch.Generator().manual_seed(seed)
        return images + 0.1 * torch.randn(images.shape, generator=generator)
    return images


def seen(images: Tensor, features: Features) -> Set:
    """What metrics see of images, which become bytes first, as samples do."""
    pixels = images.mul(255).round_().clamp_(0, 255).byte()
    outputs = in_batches(features.network, pixels.numpy(), batch=features.batch)
    return Set(outputs.features, outputs.logits, pixels.flatten(1).float().div_(255))


def cloud(kind: str, count: int, seed: int) -> Set:
    """A Gaussian cloud in 64 dimensions and what generators make of it."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 64, generator=generator)
    shift, scale = {"blurred": (0, 0.9), "shifted": (0.1, 1), "noisy": (0, 1.1)}.get(kind, (0, 1))
    return Set(x * scale + shift)


def measure(
    out: Path,
    draw: Callable[[str, int, int], Set],
    *,
    features: str,
    only: tuple[str, ...],
    kinds: tuple[str, ...],
    counts: tuple[int, ...],
    pairs: int,
) -> None:
    """Appends a line for each metric of each pair."""
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    known = {tuple(json.loads(line)["key"]) for line in lines}
    train = draw("real", TRAINING, 2**40)
    for count in counts:
        for pair in range(pairs):
            seed = 10 * (pair + 10_000 * count)
            wanted = [
                (kind, name)
                for kind in kinds
                for name in only
                if (features, name, kind, count, pair) not in known
            ]
            real = functools.cache(lambda n=count, s=seed: draw("real", n, s))
            fakes = functools.cache(
                lambda kind, n=count, s=seed: (draw(kind, n, s + 1), draw(kind, n, s + 2))
            )
            rows = []
            for kind, name in wanted:
                a, b = (METRICS[name](real(), fake, train) for fake in fakes(kind))
                found = {
                    metric: [
                        a[metric].value,
                        a[metric].error,
                        b[metric].value,
                        b[metric].error,
                        error_of_difference(a[metric], b[metric], same_images=True),
                    ]
                    for metric in a
                }
                rows.append(
                    json.dumps({"key": (features, name, kind, count, pair), "found": found})
                )
            with open(out, "a", encoding="utf-8") as file:
                file.writelines(row + "\n" for row in rows)


def table(path: Path) -> str:
    """What the file's rows say, in Markdown."""
    gathered: dict[tuple[str, str, int, str], list[list[float]]] = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        features, _, kind, count, _ = row["key"]
        for metric, found in row["found"].items():
            gathered.setdefault((features, metric, count, kind), []).append(found)
    head = "features | metric | n | kind | pairs | mean | scatter | claimed | ratio | 95 % hold"
    rows = [f"| {head} | difference: ratio | beyond 2.6 |", "| --- " * 12 + "|"]
    for (features, metric, count, kind), found in sorted(gathered.items()):
        x = np.array(found, dtype=np.float64)  # (pairs, 5)
        ratios = [summary(x[i]) for i in resamples(len(x))]
        mean, scatter, claimed, hold, difference, beyond = summary(x)
        of_ratio = np.std([ratio(r[2], r[1]) for r in ratios])
        cells = (features, metric, f"{count:,}", kind, len(x), f"{mean:.4g}", f"{scatter:.2g}")
        cells += (
            f"{claimed:.2g}",
            f"{ratio(claimed, scatter):.2f} ± {of_ratio:.2f}",
            f"{hold:.1%}",
        )
        cells += (f"{difference:.2f}", f"{beyond:.1%}")
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def brief(path: Path) -> str:
    """The least and the greatest over features and kinds, in Markdown."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for line in table(path).splitlines()[2:]:
        _, metric, n, _, *_, of_error, hold, of_difference, beyond = (
            cell.strip() for cell in line.strip("|").split("|")
        )
        numbers = (of_error.split()[0], hold.strip("%"), of_difference, beyond.strip("%"))
        found.setdefault((metric, n), []).append([float(number) for number in numbers])
    rows = [
        "| metric | n | claimed over actual | 95 % intervals that hold | the same of differences "
        "| differences beyond 2.6 errors |",
        "| --- " * 6 + "|",
    ]
    for (metric, n), values in found.items():
        of_error, hold, of_difference, beyond = zip(*values, strict=True)
        cells = (
            f"`{metric}`",
            n,
            f"{min(of_error):.2f} to {max(of_error):.2f}",
            f"{min(hold):.0f} to {max(hold):.0f} %",
            f"{min(of_difference):.2f} to {max(of_difference):.2f}",
            f"{min(beyond):.0f} to {max(beyond):.0f} %",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def ratio(claimed: float, scatter: float) -> float:
    """Claimed over actual; NaN where nothing scatters."""
    return claimed / scatter if scatter else math.nan


def resamples(count: int) -> list[np.ndarray]:
    """A hundred draws of so many pairs with replacement, to tell how well a ratio is known."""
    generator = np.random.default_rng(0)
    return [generator.integers(count, size=count) for _ in range(100)]


def summary(x: np.ndarray) -> tuple[float, float, float, float, float, float]:
    """Mean, scatter, claimed error, intervals that hold; differences' ratio and those beyond."""
    values, errors = x[:, [0, 2]], x[:, [1, 3]]
    mean = values.mean()
    gap = x[:, 0] - x[:, 2]
    return (
        float(mean),
        float(np.sqrt(np.square(values - mean).mean())),
        math.sqrt(np.square(errors).mean()),
        float((np.abs(values - mean) <= 1.96 * errors).mean()),
        ratio(math.sqrt(np.square(x[:, 4]).mean()), math.sqrt(np.square(gap).mean())),
        float((np.abs(gap) > 2.6 * x[:, 4]).mean()),
    )


def main(
    out: Path | None = None,
    data: Path | None = None,
    features: str = "random",
    only: tuple[str, ...] = tuple(METRICS),
    kinds: tuple[str, ...] = KINDS,
    count: tuple[int, ...] = (500, 2000),
    pairs: int = 200,
    table_of: Path | None = None,
    short: bool = False,
) -> None:
    """Measures, or prints the table of what was measured.

    Args:
        out: where JSON lines go; the table of them is printed at the end.
        data: MNIST's IDX files; not needed for `gaussian64`.
        features: as `frenemy judge` takes them, or `gaussian64`.
        only: names of METRICS.
        kinds: of generators.
        count: n, images in a set.
        pairs: how many.
        table_of: a file whose table is to be printed, with nothing measured.
        short: of that table, only the least and the greatest over features and kinds.
    """
    choose_device("cpu")
    if table_of is not None:
        print(brief(table_of) if short else table(table_of))
        return
    assert out is not None, "--out FILE is needed"
    if features == "gaussian64":
        draw = cloud
    else:
        assert data is not None, "--data MNIST is needed"
        base, network = torch.tensor(open_dataset(data).train.images), features_named(features)

        train = digits(base, TRAINING, 2**40)

        def draw(kind: str, count: int, seed: int) -> Set:
            images = changed(digits(base, count, seed), kind, seed + 5)
            if kind == "copied":
                generator = torch.Generator().manual_seed(seed + 5)
                those = torch.rand(count, generator=generator) < COPIED
                index = torch.randint(TRAINING, (count,), generator=generator)
                images[those] = train[index[those]]
            return seen(images, network)

    measure(out, draw, features=features, only=only, kinds=kinds, counts=count, pairs=pairs)
    print(table(out))


if __name__ == "__main__":
    tyro.cli(main)
