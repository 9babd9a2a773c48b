"""Codes in the plane, and images: measured and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas
from frenemy.pictures import grid
from frenemy.sampling import to_pixels

ZOOM = 6
COLOURS = (BLUE, VERMILION, GREEN, GREY, INK)  # of digits 0 to 4, and again of 5 to 9


def from_prior(mean: Tensor, log_variance: Tensor | None = None) -> float:
    """KL(N(m, S) || N(0, I)) in nats, with m and S the mean and covariance of all codes.

    Args:
        mean: the codes (N, size), or the means of their Gaussians.
        log_variance: of the Gaussians, (N, size), whose mixture the codes are then drawn from.

    >>> square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> from_prior(square), round(from_prior(2 * square), 6)  # S = I; S = 4 I: 3 - log 4
    (0.0, 1.613706)
    """
    mean = mean.double()
    covariance = torch.cov(mean.T, correction=0)
    if log_variance is not None:
        covariance = covariance + log_variance.double().exp().mean(0).diag()
    prior = MultivariateNormal(torch.zeros_like(mean[0]), torch.eye(mean.shape[1]).to(mean))
    return kl_divergence(MultivariateNormal(mean.mean(0), covariance), prior).item()


def sharpness(x: Tensor) -> Tensor:
    """The sum of squared differences of neighbouring pixels in [0, 1]: (B, C, H, W) -> (B,)."""
    down, across = (x.diff(dim=dim).flatten(1).square().sum(1) for dim in (2, 3))
    return (down + across) / 4


def plane(x: Tensor, y: Tensor) -> Tensor:
    """All z = (x_i, y_j), (len(x) len(y), 2), by rows from the top left as a picture is read.

    >>> plane(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 6.0])).tolist()
    [[0.0, 6.0], [1.0, 6.0], [0.0, 5.0], [1.0, 5.0]]
    """
    return torch.stack(torch.meshgrid(x, y.flip(0), indexing="xy"), -1).view(-1, 2)


def gallery(canvas: Canvas, panels: Mapping[str, Tensor]) -> None:
    """A titled square of images (n^2, C, H, W) in [-1, 1] for each of an even number of panels."""
    axes = canvas.subplots(len(panels) // 2, 2, squeeze=False).flat
    for ax, (title, x) in zip(axes, panels.items(), strict=True):
        _show(ax, x, math.isqrt(len(x)))
        ax.set(title=title, xticks=(), yticks=())


def rows(canvas: Canvas, images: Mapping[str, Tensor]) -> None:
    """Rows of as many images (N, C, H, W) in [-1, 1], each under its name."""
    ax, count = canvas.subplots(), len(images)
    x = torch.cat(list(images.values()))
    height = _show(ax, x, len(x) // count)
    ax.set(xticks=(), yticks=[height * (i + 0.5) / count for i in range(count)])
    ax.set_yticklabels(list(images))
    ax.tick_params(length=0)


def _show(ax: Axes, x: Tensor, columns: int) -> int:
    picture = grid(to_pixels(x), columns)[0]
    picture = picture.repeat(ZOOM, 0).repeat(ZOOM, 1)  # here, for a browser would smooth it
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none")
    ax.spines[:].set_visible(False)
    return len(picture)


def maps(canvas: Canvas, points: Mapping[str, Tensor], digits: Sequence[int]) -> None:
    """Codes (N, 2) drawn as the digits they are of; the dashed circle holds 95 % of N(0, I)."""
    of, radius = torch.tensor(digits), math.sqrt(-2 * math.log(0.05))
    for ax, (title, z) in zip(canvas.subplots(1, len(points)), points.items(), strict=True):
        for digit in range(10):
            x, y = z[of == digit].T.numpy()
            colour = COLOURS[digit % len(COLOURS)]
            ax.scatter(x, y, 40, colour, marker=f"${digit}$", linewidths=0.3)
        ax.add_patch(Circle((0, 0), radius, fill=False, color=INK, ls="--", lw=1.5))
        reach = 1.08 * max(radius, z.abs().max().item())
        ax.set(title=title, xlabel="z₁", ylabel="z₂", aspect="equal")
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
