"""Bounds of annealed importance sampling where log p(x) is known: decoders that are linear.

    python benchmarks/ais.py

For x = W z + b + N(0, variance I), log p(x) is that of N(b, W W^T + variance I). On images of the
model's own: the mean of the exact value, by how much the forward and the reverse chains miss it,
with standard errors, and their gap; with the settings of frenemy, and with the paper's leapfrog
steps, which start at .01 and have no jitter. The last decoders are as sharp as Wu et al.'s.
"""

from __future__ import annotations

import math
import time

import torch
import tyro
from torch import Tensor

from frenemy.engine import DeviceName, choose_device
from frenemy.judge import annealing
from frenemy.rivals.ppca import log_likelihood

SIZES = ((2, 10, 0.1), (10, 50, 0.1), (10, 50, 0.025), (10, 784, 0.025), (50, 784, 0.01))
STEPS = {"frenemy": (annealing.STEP, annealing.JITTER), "paper": (0.01, 0.0)}


class Linear:
    """A decoder W z + b whose pixels have a standard deviation of about .3."""

    def __init__(self, size_of_z: int, pixels: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        W = torch.randn(pixels, size_of_z, generator=generator) * 0.3 / math.sqrt(size_of_z)
        self.W, self.b = W.to(device), torch.rand(pixels, generator=generator).to(device)

    def __call__(self, z: Tensor) -> Tensor:
        return torch.addmm(self.b, z, self.W.T)

    def log_p(self, x: Tensor, variance: float) -> Tensor:
        """The exact log-likelihood of each image."""
        x, b, W = (t.double().cpu() for t in (x, self.b, self.W))
        return log_likelihood(x, b, W, torch.tensor(variance, dtype=torch.float64))


def main(
    images: int = 20, temperatures: int = 1000, seed: int = 0, device: DeviceName = "auto"
) -> None:
    """Prints a line for each decoder and setting.

    Args:
        images: of the model's own.
        temperatures: of the schedule; the full protocol has 10,000.
        seed: of images and chains.
        device: where to compute.
    """
    place = choose_device(device)
    print("size_of_z pixels variance steps   |    exact  forward - exact  reverse - exact  gap   s")
    for size_of_z, pixels, variance in SIZES:
        decoder = Linear(size_of_z, pixels, place)
        model = annealing.Annealing(
            decoder, size_of_z, variance, temperatures=temperatures, seed=seed
        )
        x, z = model.simulate(images, like=torch.empty(0, device=place))
        exact = decoder.log_p(x, variance)
        for steps, (annealing.STEP, annealing.JITTER) in STEPS.items():
            begun = time.perf_counter()
            lower, upper = model.lower(x).cpu(), model.upper(x, z).cpu()
            seconds = time.perf_counter() - begun
            misses = (lower - exact, upper - exact)
            said = "  ".join(
                f"{miss.mean():+7.3f} ± {miss.std() / math.sqrt(images):.3f}" for miss in misses
            )
            print(
                f"{size_of_z:9} {pixels:6} {variance:8} {steps:7} | {exact.mean():8.3f}  {said}  "
                f"{(upper - lower).mean():.3f}  {seconds:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    tyro.cli(main)
