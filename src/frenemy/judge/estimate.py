"""What every metric returns, and what every metric asks of the samples that it is given."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from frenemy.errors import FrenemyError

TILE = 2048  # rows on each side of a block of distances or kernel values: 32 MiB in float64
SPLITS = 100  # of real images in halves: their mean square is good to 14 %, its root to 7 %


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its standard error, and what the value is worth if that is in doubt.

    Attributes:
        value: of the metric.
        error: its standard error, when all that the metric's documentation says is drawn anew is;
            NaN where the metric has none.
        note: what the value is worth, or how it came about.
        shared: the part of the error that comes from the real images, which other estimates may
            share: for each of `SPLITS` random splits of these in halves A and B, (T(A) - T(B)) / 2
            with T the metric. Their mean square is that part of error^2. Of two estimates with the
            same real images the splits are the same, see `half_signs`, so that the difference of
            the two has an error of its own: `error_of_difference`. Empty where it is not known.

    >>> print(Estimate(4.21371, 0.0123), "|", Estimate(12345.6, 321.0), "|", Estimate(2 / 3, 0.0))
    4.214 ± 0.012 | 12,346 ± 321 | 0.6667 ± 0
    >>> print(Estimate(0.0, 0.000_099_99))
    0.00000 ± 0.00010
    """

    value: float
    error: float
    note: str = ""
    shared: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Tensor, note: str = "") -> Estimate:
        """The mean of independent values (N,), with its error std / sqrt N; NaN of a single one.

        >>> print(Estimate.of(torch.tensor([1.0, 2.0, 3.0])))
        2.00 ± 0.58
        """
        count = len(values)
        error = values.std().item() / math.sqrt(count) if count > 1 else math.nan
        return cls(values.mean().item(), error, note)

    @classmethod
    def of_influences(
        cls, value: float, *, fake: Tensor | None = None, real: Tensor | None = None, note: str = ""
    ) -> Estimate:
        """A value whose error is the delta method's, by the influence of each image.

        A sample x that is drawn anew moves the value by (influence of the new - of the old) / M.

        Args:
            value: of the metric.
            fake, real: influences of the samples (M,), and of the real images (N,), in the order
                in which others share these; any constant may be added. None: held fixed.
            note: as of every estimate.

        >>> found = Estimate.of_influences(0.0, real=torch.arange(4.0))
        >>> round(found.error, 6) == round(Estimate.of(torch.arange(4.0)).error, 6)
        True
        """
        squared, shared = 0.0, ()
        if fake is not None:
            squared += fake.double().var().item() / len(fake)
        if real is not None:
            part = math.sqrt(real.double().var().item() / len(real))
            squared += part**2
            halves = half_signs(len(real)).double() @ (real.double() - real.double().mean()).cpu()
            shared = shared_of(halves, part)
        return cls(value, math.sqrt(squared), note, shared)

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


def shared_of(differences: Tensor, part: float) -> tuple[float, ...]:
    """What `Estimate.shared` is, of (`SPLITS`,) differences of halves and the error they make.

    Args:
        differences: T(A) - T(B) of each split, or anything in proportion to it.
        part: root of the real images' part of the squared error.

    Returns:
        Rounded to four digits: reports hold many of them.
    """
    size = differences.double().square().mean().sqrt()
    scaled = differences.double() * (part / size if size > 0 else 0.0)
    return tuple(float(f"{x:.4g}") for x in scaled.tolist())


@functools.lru_cache(maxsize=4)
def half_signs(count: int) -> Tensor:
    """`SPLITS` random splits of so many images in halves: int8 (SPLITS, count), +1 in A, -1 in B.

    A function of the count alone. A half has one image more where the count is odd.

    >>> signs = half_signs(10)
    >>> signs.shape, signs.sum(1).unique()
    (torch.Size([100, 10]), tensor([0]))
    """
    generator = torch.Generator().manual_seed(count)
    order = torch.rand(SPLITS, count, generator=generator).argsort(1)
    return torch.where(order < count // 2, 1, -1).to(torch.int8)


def error_of_difference(a: Estimate, b: Estimate, *, same_images: bool) -> float:
    """The standard error of the difference of two values.

    Args:
        a, b: of the same metric.
        same_images: whether the real images of both are the same, in the same order: then what
            both owe to these is left out, as far as both know it.

    >>> a, b = (Estimate.of_influences(0.0, real=torch.arange(9.0) + x) for x in (0, 1))
    >>> error_of_difference(a, b, same_images=True), error_of_difference(a, b, same_images=False)
    (0.0, 1.29...)
    """
    squares = [a.error**2, b.error**2]
    if not (same_images and a.shared and b.shared):
        return math.sqrt(sum(squares))
    ours, theirs = (torch.tensor(x.shared, dtype=torch.float64) for x in (a, b))
    own = [s - x.square().mean().item() for s, x in zip(squares, (ours, theirs), strict=True)]
    common = (ours - theirs).square().mean().item()
    return math.sqrt(sum(max(0.0, part) for part in own) + common)


def variance_order(whole: float, halves: float) -> float:
    """By what to divide the delta method's squared error P for it to be the variance: 1 to 3.

    A part of the variance that is of order k in the deviations from the distribution is counted k
    times (Efron, Stein 1981, The Jackknife Estimate of Variance), and it falls as n^-k. Distances
    between sets that are hardly different have little but k = 2.

    Args:
        whole: P of all n images of a set, or of each of two.
        halves: the mean P of their halves.

    Returns:
        k = log2(halves / whole), within these bounds.

    >>> variance_order(1.0, 2.0), variance_order(1.0, 4.0), variance_order(0.0, 0.0)
    (1.0, 2.0, 1.0)
    """
    if not whole > 0:
        return 1.0
    return min(max(math.log2(max(halves / whole, 1.0)), 1.0), 3.0)


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
            raise FrenemyError(f"{metric}: {name} is not a matrix: give (count, features)")
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
