"""Which rows of a large table may be the nearest to a query: a search in few dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from frenemy.judge.alike import Alignment
from frenemy.judge.estimate import tiles

SIDE = 16  # of images, at most, before they are projected
LOWEST = 8  # frequencies of the spectrum each way
DIMENSIONS = 64
LEARNT = 4000  # images, at most, from which a projection is learnt
NOISE = 0.01  # of the mean variance: what else than shifts may move a coordinate
QUERIES, ROWS, GROUP = 256, 4096, 16  # of a tile; and rows of which the best alone is kept at first


class Shifted:
    """Coordinates in which an image lies near to itself shifted and far from other images.

    With S the covariance of small normalised images x, and W that of T(x) - x over shifts T, half
    of them with a blur, these are the directions v of the largest v'Sv / v'Wv, scaled to v'Wv = 1
    (Fisher 1936, The Use of Multiple Measurements in Taxonomic Problems). Directions are taken
    among those of images that are even from left to right and those that are odd, so that a
    mirrored image has the same even coordinates e and the opposite odd ones o: the distance,
    whether mirrored or not, is |e - e'|^2 + min |o -+ o'|^2.

    Args:
        alignment: what shifts there are.
        levels: images to learn from, as of `Alignment.read`, (B, C, h, w).
        seed: of the shifts.
    """

    def __init__(self, alignment: Alignment, levels: Tensor, seed: int) -> None:
        height, width = alignment.height, alignment.width
        self._size = height // math.ceil(height / SIDE), width // math.ceil(width / SIDE)
        r = alignment.radius
        rows, columns = (_taper(side, 2 * r) for side in (height, width))
        self._taper = rows[:, None] * columns
        generator = torch.Generator().manual_seed(seed)
        moves = torch.randint(-r, r + 1, (len(levels), 2), generator=generator).tolist()
        padded = F.pad(levels, (r, r, r, r), mode="replicate")
        h, w = levels.shape[2:]
        moved = torch.stack(
            [
                x[:, r + a : r + a + h, r + b : r + b + w]
                for x, (a, b) in zip(padded, moves, strict=True)
            ]
        )
        moved[::2] = _blurred(_blurred(moved[::2]))
        found = [
            _directions(x - x.mean(0), y - x)
            for x, y in zip(self._halves(levels), self._halves(moved), strict=True)
        ]
        least = torch.cat([ratio for ratio, _ in found]).sort(descending=True).values
        least = least[:DIMENSIONS][-1]
        self._even, self._odd = (v[:, ratio >= least].float() for ratio, v in found)

    def __call__(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Even and odd coordinates of images as of `Alignment.read`: (B, e), (B, o)."""
        even, odd = self._halves(levels)
        return even @ self._even, odd @ self._odd

    def _halves(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Even and odd parts of a small version of each image, and of the lowest of its spectrum.

        The spectrum of a mirrored image is that of the image with the rows' frequencies reversed.
        """
        x = levels - levels.mean((1, 2, 3), keepdim=True)
        x = x / (x.square().mean((1, 2, 3), keepdim=True) + 1).sqrt()
        small = F.adaptive_avg_pool2d(x, self._size)
        grey = x.mean(1) * self._taper
        height = grey.shape[1]
        lowest = min(LOWEST, (height + 1) // 2)
        spectrum = torch.fft.rfft2(grey, norm="ortho").abs()[..., :lowest]
        up, down = spectrum[:, 1:lowest], spectrum[:, height - lowest + 1 :].flip(1)
        level, width = spectrum[:, :1], small.shape[3]
        mirrored = small.flip(-1)
        even = ((small + mirrored)[..., : (width + 1) // 2], level, up + down)
        odd = ((small - mirrored)[..., : width // 2], up - down)
        even, odd = (torch.cat([x.flatten(1) / 2 for x in part], 1) for part in (even, odd))
        return even, odd


def _blurred(levels: Tensor) -> Tensor:
    """With (1, 2, 1) / 4 along both sides."""
    for axis in (2, 3):
        ends = (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1)
        wide = F.pad(levels, ends, mode="replicate").unfold(axis, 3, 1)
        levels = wide @ wide.new_tensor([0.25, 0.5, 0.25])
    return levels


def _taper(side: int, width: int) -> Tensor:
    """1 in the middle and falling to 0 at the ends, as a cosine does: (side,)."""
    at = torch.arange(side) + 0.5
    ends = torch.minimum(at, side - at) / max(1, width)
    return 0.5 - 0.5 * torch.cos(torch.pi * ends.clamp(max=1))


def _directions(signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Ratios and directions (d, d) of `Shifted`, float64."""
    s, w = (rows.T.double() @ rows.double() / len(rows) for rows in (signal, noise))
    d = len(s)
    if not d:
        return s.new_zeros(0), s
    w.diagonal().add_(NOISE * s.trace() / d + torch.finfo(torch.float32).tiny)
    root = torch.linalg.cholesky(w)
    half = torch.linalg.solve_triangular(root, s, upper=False)
    whole = torch.linalg.solve_triangular(root, half.T, upper=False)
    ratio, v = torch.linalg.eigh((whole + whole.T) / 2)
    return ratio, torch.linalg.solve_triangular(root.T, v, upper=True)


class Table:
    """Rows among which the nearest to queries are looked for.

    Args:
        rows: their even and odd coordinates, float32 (N, e), (N, o).
    """

    def __init__(self, rows: Sequence[Tensor]) -> None:
        even, odd = rows
        self._count = len(even)
        self._step = min(ROWS, -(-len(even) // GROUP) * GROUP) // GROUP
        more = -len(even) % (GROUP * self._step)
        even, odd = (torch.cat([x, x.new_zeros(more, x.shape[1])]) for x in (even, odd))
        norms = -0.5 * (even.square().sum(1) + odd.square().sum(1))
        norms[self._count :] = -torch.inf
        self._even, self._odd = torch.cat([even, norms[:, None]], 1), odd

    def nearest(self, queries: Sequence[Tensor], k: int, own: Tensor | None = None) -> Tensor:
        """The k rows nearest to each query, whether mirrored or not; all if there are fewer.

        Args:
            queries: even and odd coordinates, (Q, e), (Q, o).
            k: how many.
            own: for each query the row that does not count, int64 (Q,); -1 for none.

        Returns:
            int64 (Q, k), the nearest first.
        """
        even, odd = queries
        even = F.pad(even, (0, 1), value=1.0)
        k = min(k, self._count - (own is not None))
        found = [
            self._nearest(even[i], odd[i], k, None if own is None else own[i])
            for i in tiles(len(even), QUERIES)
        ]
        return torch.cat(found) if found else torch.zeros(0, k, dtype=torch.int64)

    def _nearest(self, even: Tensor, odd: Tensor, k: int, own: Tensor | None) -> Tensor:
        # a group is of rows that stand a step apart: the best of each is then soon found
        step, tile = self._step, GROUP * self._step
        best = torch.cat(
            [
                _scores(even, odd, *rows).unflatten(1, (GROUP, step)).amax(1)
                for rows in zip(self._even.split(tile), self._odd.split(tile), strict=True)
            ],
            1,
        )
        group = best.topk(min(k + (own is not None), best.shape[1]), 1).indices
        first = group // step * tile + group % step  # the k best rows are in the k best groups
        index = (first[:, None] + torch.arange(0, tile, step)[:, None]).flatten(1)
        rows = (x[index] for x in (self._even, self._odd))
        scores = _scores(even[:, None], odd[:, None], *rows).squeeze(1)
        if own is not None:
            scores[index == own[:, None]] = -torch.inf
        return index.gather(1, scores.topk(k, 1).indices)


def _scores(even: Tensor, odd: Tensor, rows: Tensor, odd_rows: Tensor) -> Tensor:
    """-|q - x|^2 / 2, but for |q|^2, of queries (..., Q, d) and rows (..., R, d): (..., Q, R)."""
    return even @ rows.mT + (odd @ odd_rows.mT).abs_()
