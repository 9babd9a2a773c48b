"""The density of two features of faces."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor
from torch.distributions import MultivariateNormal

from frenemy.data import open_dataset
from frenemy.data.source import require_images
from frenemy.errors import FrenemyError
from frenemy.figures import GREY, VERMILION, Canvas, Figure
from frenemy.lab.lesson import Check

EMOJI, SMILEYS = "embedded:emoji", "Smileys & Emotion"
MOST = 1000  # faces that are looked at
SHOWN = 40  # of these, in the picture
PIXELS = 48 * 48 * 3  # values of an image, at most
LEAST = 10  # faces


def fit(faces: Path | None, size: int | None, seed: int) -> tuple[list[Check], str, Figure]:
    """The likeliest Gaussian of two features: its checks, what is told of it, and a picture.

    The features are the two directions in which the images vary most, as the root of the mean
    square over pixels in [0, 1] counts it.

    Raises:
        FrenemyError: there are fewer than LEAST faces, or they are too large.
    """
    images, name = _faces(faces, size, seed)
    x = images.flatten(1)
    centred = (x - x.mean(0)) / math.sqrt(x.shape[1])
    y = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T  # (N, 2)
    y = y * y.abs().amax(0, keepdim=True).sign()  # a direction is one up to its sign
    covariance = torch.cov(y.T, correction=0)
    theta = [y.mean(0), covariance]
    mean, cov = (t.clone().requires_grad_() for t in theta)
    reached = MultivariateNormal(mean, cov).log_prob(y).mean()
    steepest = max(
        (g * u).abs().max().item()  # in units of the features' own spread
        for g, u in zip(torch.autograd.grad(reached, [mean, cov]), theta, strict=True)
    )
    p = MultivariateNormal(*theta)
    sds = covariance.diagonal().sqrt()
    edges = [torch.linspace(-8, 8, 321, dtype=torch.float64) * sd for sd in sds]
    grid = torch.cartesian_prod(*edges).view(321, 321, 2)
    density = p.log_prob(grid).exp()
    volume = torch.trapezoid(torch.trapezoid(density, edges[1]), edges[0]).item()
    top = p.log_prob(p.mean).exp().item()
    small = (sds * 1e-3).prod().item() * top  # of a square of a thousandth of the sds
    told = (
        f"And of two features of faces ({len(y)} {name}): the two directions in which they vary"
        f" most. The likeliest Gaussian of these has density {top:,.1f} at its mean, more than any"
        " probability; its volume over the plane is 1, and that over a square of a thousandth of"
        f" the sds is {small:.1e}."
    )
    checks = [
        Check("faces: slope at the closed form, steepest", steepest, 0.0, 1e-9),
        Check("faces: volume under the density of two features", volume, 1.0, 1e-9),
    ]
    return checks, told, _picture(images, y, edges, density)


def _faces(faces: Path | None, size: int | None, seed: int) -> tuple[Tensor, str]:
    """Float64 (N, C, H, W) in [0, 1], and what they are."""
    opened = open_dataset(faces or Path(EMOJI), size=size)
    source = opened.train
    require_images(opened.shape, source.name)
    if math.prod(opened.shape) > PIXELS:
        raise FrenemyError(
            f"{source.name} has images of {math.prod(opened.shape):,} values: two features are"
            f" taken of {PIXELS:,} at most: give --size 48 or so"
        )
    pixels, labels = source.batch(seed, 0, len(source))
    images = torch.from_numpy(pixels).double() / 255
    if faces is None and labels is not None:
        images = images[torch.from_numpy(labels) == source.classes.index(SMILEYS)]
    if len(images) < LEAST:
        raise FrenemyError(f"{source.name}: {len(images)} faces: give {LEAST} or more by --faces")
    return images[:MOST], f"emoji of {SMILEYS}" if faces is None else f"images of {source.name}"


def _picture(images: Tensor, y: Tensor, edges: list[Tensor], density: Tensor) -> Figure:
    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        for face, at in zip(images[:SHOWN], y[:SHOWN].tolist(), strict=False):
            picture = face.permute(1, 2, 0).expand(-1, -1, 3).numpy()
            box = OffsetImage(picture, zoom=26 / picture.shape[0])
            ax.add_artist(AnnotationBbox(box, at, frameon=False))
        ax.plot(*y.T, ".", color=GREY, ms=2)
        levels = [density.max().item() * math.exp(-(r**2) / 2) for r in (2.5, 2, 1.5, 1, 0.5)]
        ax.contour(*edges, density.T, levels=levels, colors=VERMILION, linewidths=1)
        across, up = (1.1 * torch.maximum(y.abs().amax(0), 2.5 * y.std(0))).tolist()
        ax.set(xlim=(-across, across), ylim=(-up, up))
        ax.set(xlabel="first feature", ylabel="second feature")

    return Figure(
        draw,
        f"{min(SHOWN, len(y))} faces at their two features, and the contours of the likeliest"
        " Gaussian.",
        "Faces where their two features lie (dots: all of them), and the density of maximum"
        " likelihood (contours at .5, 1, ... 2.5 deviations).",
        (6.5, 5),
    )
