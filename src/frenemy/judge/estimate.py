"""What every metric returns, and what every metric asks of the samples that it is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from frenemy.errors import FrenemyError

TILE = 2048  # rows on each side of a block of distances or kernel values: 32 MiB in float64


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its standard error, and what the value is worth if that is in doubt.

    The error is NaN where the metric has none.

    >>> print(Estimate(4.21371, 0.0123), "|", Estimate(12345.6, 321.0), "|", Estimate(2 / 3, 0.0))
    4.214 ± 0.012 | 12,346 ± 321 | 0.6667 ± 0
    >>> print(Estimate(0.0, 0.000_099_99))
    0.00000 ± 0.00010
    """

    value: float
    error: float
    note: str = ""

    @classmethod
    def of(cls, values: Tensor, note: str = "") -> Estimate:
        """The mean of independent values (N,), with its error std / sqrt N; NaN of a single one.

        >>> print(Estimate.of(torch.tensor([1.0, 2.0, 3.0])))
        2.00 ± 0.58
        """
        count = len(values)
        error = values.std().item() / math.sqrt(count) if count > 1 else math.nan
        return cls(values.mean().item(), error, note)

    def __str__(self) -> str:
        """Value and error with the digits that the error leaves meaning: two of its own."""
        value, error = self.value, self.error
        places = None
        if 0 < error < math.inf:
            places = 1 - int(f"{error:.1e}".partition("e")[2])  # .0999 counts as .10
        if math.isnan(value):
            text = "no value"
        elif places is not None and places <= 8:
            text = f"{value:,.{max(0, places)}f} ± {error:,.{max(0, places)}f}"
        else:
            text = f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"
            text += "" if math.isnan(error) or math.isinf(value) else f" ± {error:.2g}"
        return text.replace("inf", "∞").replace("-", "−")


def checked(metric: str, least: int, **sets: Tensor) -> tuple[Tensor, ...]:
    """The sets as matrices (N, d) of floating-point numbers, or the reason why they are no use.

    Args:
        metric: its name, for the message.
        least: how many rows every set has to have.
        sets: by their names, (N, ...).

    Raises:
        FrenemyError: a set has no or too few rows, NaN or infinities, or rows of another shape.

    >>> checked("fid", 2, real=torch.zeros(3, 4), fake=torch.zeros(1, 4))
    Traceback (most recent call last):
    frenemy.errors.FrenemyError: fid: 1 in fake: needs 2 or more
    """
    for name, rows in sets.items():
        if rows.ndim < 2:
            raise FrenemyError(f"{metric}: {name} is no matrix: give (count, features)")
    shapes = {name: tuple(rows.shape[1:]) for name, rows in sets.items()}
    if len(set(shapes.values())) > 1:
        said = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise FrenemyError(f"{metric}: rows of different shapes: {said}")
    matrices = []
    for name, rows in sets.items():
        if len(rows) < least:
            raise FrenemyError(f"{metric}: {len(rows):,} in {name}: needs {least:,} or more")
        matrix = rows.flatten(1)
        matrix = matrix if matrix.is_floating_point() else matrix.float()
        if matrix.numel() and not torch.isfinite(torch.stack(matrix.aminmax())).all():
            raise FrenemyError(f"{metric}: {name} holds numbers that are not finite")
        matrices.append(matrix)
    return tuple(matrices)


def tiles(count: int, tile: int = TILE) -> Iterator[slice]:
    """Slices of at most `tile` rows that cover `count` of them."""
    for start in range(0, count, tile):
        yield slice(start, min(start + tile, count))


def row_sums(terms: Tensor) -> Tensor:
    """The sums of rows (N, d), in an order that is the same for each of them: (N,).

    A product's or a reduction's kernels add some rows in another order than others, so that equal
    rows can differ in the last bit. Here halves are added to each other until one column is left.

    >>> row_sums(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([6.])
    """
    while (d := terms.shape[1]) > 1:
        half = d // 2
        folded = terms[:, :half] + terms[:, d - half :]
        terms = torch.cat([folded, terms[:, half : d - half]], 1)  # the middle one, if d is odd
    return terms.sum(1)
