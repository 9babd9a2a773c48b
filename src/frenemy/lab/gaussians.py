"""Gaussians of maximum likelihood: on the line by gradient ascent, of images in closed form."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from frenemy.data import open_dataset
from frenemy.data.source import require_images
from frenemy.errors import FrenemyError, at_least
from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import mix
from frenemy.lab.densities import kl, line, mixture, normal, optimal_logit, sample_mean
from frenemy.lab.lesson import Check, sampled
from frenemy.lab.probability import IQ
from frenemy.rivals.ppca import log_likelihood, principal

TWO_MODES = mixture((0.3, -2.0, 0.5), (0.7, 1.0, 1.0))
MOST = 2000  # images that are looked at
PIXELS = 48 * 48 * 3  # values of an image, at most: of 2,000 images, 110 MB in float64

RATE = 0.5  # below 1: the curvature of the mean log-likelihood is 2 in log sd at its maximum


def ascend(
    x: Tensor, weights: Tensor, *, start: tuple[float, float], unit: float, steps: int
) -> Tensor:
    """Gradient ascent of sum_i w_i log N(x_i; mean, sd^2) in mean / unit and log(sd / unit).

    Args:
        x: points, (N,).
        weights: (N,) of sum 1: 1 / N of samples, p(x) dx of a density.
        start: mean and sd.
        unit: about the sd of x, which makes the steps fit whatever x counts.
        steps: how many.

    Returns:
        The way, float64 (steps + 1, 2): means and sds.
    """
    at_least(1, steps=steps)
    y, w = x.double() / unit, weights.double()
    theta = torch.tensor([start[0] / unit, math.log(start[1] / unit)], dtype=torch.float64)
    path = [theta]
    for _ in range(steps):
        theta = theta.detach().requires_grad_()
        mean, log_sd = theta
        value = (w * (-log_sd - ((y - mean) / log_sd.exp()).square() / 2)).sum()
        theta = theta + RATE * torch.autograd.grad(value, theta)[0]
        path.append(theta.detach())
    means, log_sds = torch.stack(path).T
    return torch.stack([means, log_sds.exp()], 1) * unit


def fit_samples(samples: int, generator: torch.Generator) -> tuple[list[Check], Figure]:
    """Gaussians fitted to people's IQs and, by quadrature, to a density of two modes."""
    people = IQ.sample(samples, generator)[:, 0]
    equal = torch.full_like(people, 1 / samples)
    path = ascend(people, equal, start=(60.0, 50.0), unit=24.0, steps=200)
    mean, sd = path[-1].tolist()
    x = line(-8, 8)
    p = TWO_MODES.pdf(x)
    dx = (x[1] - x[0]).item()
    wide = ascend(x[:, 0], p * dx, start=(0.0, 3.0), unit=1.0, steps=200)[-1].tolist()
    nearest = normal(*wide)
    drawn = TWO_MODES.sample(samples, generator)
    divergence = kl(TWO_MODES, nearest, x)
    ratio = sample_mean(optimal_logit(TWO_MODES, nearest, drawn))
    checks = [
        Check("Gaussian: mean by ascent", mean, people.mean().item(), 1e-6),
        Check("Gaussian: sd by ascent", sd, people.std(correction=0).item(), 1e-6),
        Check("least KL to two modes: mean", wide[0], TWO_MODES.mean.item(), 1e-6),
        Check("least KL to two modes: variance", wide[1] ** 2, TWO_MODES.variance.item(), 1e-6),
        sampled("KL by samples, and by quadrature", ratio.value, divergence, ratio.error),
    ]

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        mu, sigma = line(55, 125, 71)[:, 0], line(15, 55, 81)
        value = -sigma.log() - (sd**2 + (mean - mu).square()) / (2 * sigma.square())
        levels = [value.max().item() - d for d in (1.0, 0.5, 0.25, 0.1, 0.03, 0.005)]
        left.contour(
            mu, sigma[:, 0], value, levels=levels, colors=GREY, linestyles="-", linewidths=0.8
        )
        left.plot(*path.T, ".-", color=VERMILION, lw=0.8)
        left.plot(mean, sd, "+", color=INK, ms=12)
        left.set(xlabel="mean", ylabel="sd")
        right.plot(x, p, color=BLUE, label="p_data")
        right.plot(x, nearest.pdf(x), "--", color=VERMILION, label="p_model")
        right.set(xlabel="x", ylabel="density", xlim=(-5, 5), ylim=(0, 0.36))
        right.legend()

    return checks, Figure(
        draw,
        f"Gradient ascent climbs to mean {mean:.2f} and sd {sd:.2f}; beside it a density of two"
        " modes and the wide Gaussian of maximum likelihood, which peaks between them.",
        "Left: contours of the log-likelihood of IQs, and ascent to its maximum (+). Right: the"
        " likeliest Gaussian for two modes.",
        (8, 3.5),
    )


def fit_images(
    data: Path | None, size: int | None, axes: int, seed: int
) -> tuple[list[Check], str, Figure]:
    """A Gaussian fitted to images: its checks, what is told of it, its mean and its samples."""
    opened = open_dataset(data, size=size)
    require_images(opened.shape, opened.train.name)
    if math.prod(opened.shape) > PIXELS:
        raise FrenemyError(
            f"{opened.train.name} has images of {math.prod(opened.shape):,} values: the Gaussian "
            f"takes {PIXELS:,} at most: give --size 48 or so"
        )
    pixels, labels = opened.train.batch(seed, 0, min(MOST, len(opened.train)))
    x = torch.from_numpy(pixels).double().flatten(1) / 255  # (N, d)
    fit = principal(x, axes)
    theta = [t.clone().requires_grad_() for t in (fit.mean, fit.W, fit.variance)]
    reached = log_likelihood(x, *theta).mean()
    steepest = max(g.abs().max().item() for g in torch.autograd.grad(reached, theta))
    checks = [
        Check("images: slope at the closed form, steepest", steepest, 0.0, 1e-6),
        Check("images: log-likelihood, nats an image", reached.item(), fit.best, 1e-6),
    ]
    generator = torch.Generator().manual_seed(mix(seed, 1))
    z = torch.randn(10, fit.W.shape[1], generator=generator, dtype=torch.float64)
    rows = {"images": x[:10], "samples": fit.mean + z @ fit.W.T}
    if labels is not None and opened.train.classes:
        y = torch.from_numpy(labels)
        rows = {"means": torch.stack([x[y == k].mean(0) for k in y.unique()[:10]]), **rows}
    q = fit.W.shape[1]
    share = (fit.eigenvalues[:q].sum() / fit.eigenvalues.sum()).item()

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        left.imshow(tiled(fit.mean[None], opened.shape, columns=1).numpy())
        left.set(yticks=(), xlabel="mean of all")
        blocks = [tiled(images, opened.shape, columns=5) for images in rows.values()]
        right.imshow(torch.cat(blocks).numpy())
        ends = torch.tensor([0, *map(len, blocks)]).cumsum(0)
        right.set_yticks(((ends[1:] + ends[:-1]) / 2).tolist(), list(rows))
        for panel in (left, right):
            panel.set_xticks(())
            panel.tick_params(length=0)
            panel.spines[:].set_visible(False)

    told = (
        f"So of images ({opened.description}): the likeliest mean is the average image. With {q}"
        f" axes, which carry {share:.0%} of the variance, a Gaussian reaches {fit.best:,.1f} nats"
        " an image. Its samples are ghosts: an image half way between two others is never less"
        " likely than both. A generator can leave such ground empty."
    )
    return (
        checks,
        told,
        Figure(
            draw,
            f"The average of {len(x):,} images; beside it {', '.join(rows)}.",
            "Left: the mean of maximum likelihood. Right, from the top: "
            + ("means of the classes, " if "means" in rows else "")
            + "images, and samples of the fitted Gaussian, without its noise.",
            (8, 4),
        ),
    )


def tiled(images: Tensor, shape: tuple[int, int, int], columns: int) -> Tensor:
    """Images (n, d) in rows of so many, with clear gaps: (H, W, 4)."""
    channels, height, width = shape
    rows, gap = -(-len(images) // columns), max(1, width // 16)
    tiles = torch.zeros(rows * columns, height + gap, width + gap, 4)
    pixels = images.view(-1, channels, height, width).permute(0, 2, 3, 1).clamp(0, 1)
    tiles[: len(images), :height, :width, :3] = pixels.float()  # one channel fills all three
    tiles[: len(images), :height, :width, 3] = 1
    return tiles.unflatten(0, (rows, columns)).transpose(1, 2).flatten(0, 1).flatten(1, 2)
