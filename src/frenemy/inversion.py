"""Inversion: the z, and the class, of a given picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frenemy.engine import seed_everything
from frenemy.errors import FrenemyError
from frenemy.experiment import from_pixels
from frenemy.files import write_atomically
from frenemy.judge.features import RandomNetwork, judging_device
from frenemy.model import Model
from frenemy.pictures import channels_last, save_picture, shown
from frenemy.sampling import CHUNK, drawing, generate, noise, rows_at_a_time, told

SAMPLES = 1_000  # of which the nearest are the starts
STARTS = 4  # for each class
MOST_CLASSES = 20  # that are all tried
STEPS, RATE = 600, 0.2  # of Adam; the rate falls to 0 along a cosine


@dataclass(frozen=True)
class Inversion:
    """What was found.

    Attributes:
        z: float32, (size,).
        label: the number of its class, where the players are told classes.
        picture: that was sought, as the players see it: uint8 (C, H, W).
        image: what G makes of z.
        error: between the two: root mean square over pixels, in grey levels, of which there are 255
            from black to white.
        nearest: the same of the nearest of 1,000 samples.
    """

    z: NDArray[np.float32]
    label: int | None
    picture: NDArray[np.uint8]
    image: NDArray[np.uint8]
    error: float
    nearest: float


def invert(
    model: Model, picture: NDArray[np.uint8], *, of_class: str | None = None, seed: int = 0
) -> Inversion:
    """The z of which G makes what is most like a picture x.

    argmin over z of mean (G(z) - x)^2 + mean (f(G(z)) - f(x))^2, the first mean over pixels in
    [-1, 1], the second over the features f of `frenemy.judge.features.RandomNetwork`, by Adam from
    the samples that are nearest to x. Nothing holds z to the prior. Of several classes all are
    tried, each from samples of its own.

    Abdal, Qin and Wonka (2019), Image2StyleGAN: How to Embed Images Into the StyleGAN Latent
    Space?, with other features.

    Args:
        model: whose players have a G that is told nothing, or classes.
        picture: uint8 (C, H, W), as the run's data: see `Model.picture`.
        of_class: that the picture shows; by default all are tried, if there are at most 20.
        seed: of the samples, and of what networks draw within themselves.

    Raises:
        FrenemyError: there is no such G or class, or too many classes; the seed is out of range, or
            the picture of another shape.
    """
    model.require_latents()
    game, facts = model.game, model.facts
    if picture.shape != facts.shape:
        raise FrenemyError(
            f"a picture of {picture.shape} (channels, height, width), but {model.run.path} was "
            f"trained on {facts.shape}: see Model.picture"
        )
    choices = _labels(model, of_class)
    x = np.array(model.as_seen(picture[None]))  # a copy: what Pillow has read is not writable
    z = torch.cat([*noise(game, SAMPLES, seed)])
    labels = np.resize(choices, SAMPLES)
    samples = generate(game, facts, z.split(CHUNK), SAMPLES, seed=seed, labels=labels)
    errors = _rms(samples, x)
    order = errors.argsort(kind="stable")
    rows = np.concatenate([order[labels[order] == label][:STARTS] for label in choices])
    most = rows_at_a_time(x.shape[1:])
    ends = [
        _descended(model, z[part], labels[part], x, seed)
        for part in np.split(rows, range(most, len(rows), most))
    ]
    found, losses = (torch.cat(parts) for parts in zip(*ends, strict=True))
    best = int(losses.argmin())
    label = labels[rows[best : best + 1]]
    image = generate(game, facts, [found[best : best + 1]], 1, seed=seed, labels=label)
    return Inversion(
        z=found[best].numpy(),
        label=int(label[0]) if model.classes else None,
        picture=x[0],
        image=image[0],
        error=float(_rms(image, x)[0]),
        nearest=float(errors.min()),
    )


def save_inversion(found: Inversion, path: Path) -> Path:
    """Writes what was sought beside what was found, as a picture; or an .npz of z, image and label.

    Raises:
        FrenemyError: the ending is unknown, or the file cannot be written.
    """
    if path.suffix.lower() != ".npz":
        return save_picture(shown(np.stack([found.picture, found.image]), columns=2), path)
    arrays: dict[str, Any] = {"z": found.z, "image": channels_last(found.image)}
    if found.label is not None:
        arrays["label"] = found.label

    def write(part: Path) -> None:
        with open(part, "wb") as file:
            np.savez_compressed(file, **arrays)

    return write_atomically(path, write)


def _labels(model: Model, of_class: str | None) -> NDArray[np.int64]:
    """Of the classes to try."""
    if of_class is not None:
        return model.labels(of_class, 1)
    if len(model.classes) > MOST_CLASSES:
        raise FrenemyError(
            f"{len(model.classes)} classes, too many to try all (at most {MOST_CLASSES}): "
            "name the picture's class by --class"
        )
    return np.arange(max(1, len(model.classes)))


def _rms(images: NDArray[np.uint8], x: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of the differences between images (N, C, H, W) and one, (N,)."""
    of_each = [np.square(image.astype(np.float64) - x[0]).mean() for image in images]
    return np.sqrt(np.array(of_each))


def _descended(
    model: Model, z: Tensor, labels: NDArray[np.int64], x: NDArray[np.uint8], seed: int
) -> tuple[Tensor, Tensor]:
    """The end of each z's descent, and what it has lost there."""
    game = model.game
    c = tuple(c.to(game.device) for c in told(game, model.facts, range(len(z)), labels))
    where = judging_device(game.device)
    features = RandomNetwork().to(where)
    target = from_pixels(torch.from_numpy(x)).to(game.device)
    sought = features(target.to(where)).features

    def losses(nets: Mapping[str, nn.Module]) -> Tensor:
        seed_everything(seed, game.device)  # the same noise within G at every step
        Gz = game.sampler(nets, z, c)
        far = (features(Gz.to(where)).features - sought).square().mean(1)
        return (Gz - target).square().flatten(1).mean(1) + far.to(game.device)

    z = z.to(game.device).requires_grad_()
    adam = torch.optim.Adam([z], lr=RATE)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    with drawing(game) as nets:
        for _ in range(STEPS):
            (z.grad,) = torch.autograd.grad(losses(nets).sum(), z)
            adam.step()
            cosine.step()
        with torch.no_grad():
            return z.detach().cpu(), losses(nets).cpu()
