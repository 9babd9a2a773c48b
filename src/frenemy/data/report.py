"""What a set holds, told without storing it: for `frenemy data PATH`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Column, Table

from frenemy.choices import Fit
from frenemy.data.contents import PARTS, Contents
from frenemy.data.dataset import part_sizes, range_given, resize_to
from frenemy.data.detect import find
from frenemy.data.levels import brightest
from frenemy.data.pixels import Resize
from frenemy.data.store import content_digest, none_readable
from frenemy.data.streams import shown

MAX_GROUPS = 5
"""How many groups of equal images are given by name."""

MOST_LISTED = 12
"""How many sizes, classes and files are told at most."""

THUMBNAILS = 100
"""How many images are shown at most."""

THUMBNAIL = Resize(64, "crop")
"""What brings images that are larger than that, or differ, to one size to be shown."""


@dataclass(frozen=True)
class Report:
    """What `describe` found.

    Attributes:
        kind: the format: "image folder".
        count: how many images can be read.
        sizes: how many images have which size before any resizing, "28x28" being width x height.
        modes: how many images have which mode before any conversion, in Pillow's words.
        classes: how many images have which label; empty without labels.
        duplicates: how many images have the same pixels as an earlier one.
        duplicate_groups: the names of the images in the first few groups of equal ones.
        unreadable: the names of images and folders that are left out, and why.
        pixel_mean: of each channel, over all pixels of all images; pixels lie in [0, 1].
        pixel_std: likewise, the standard deviation.
        digest: sha256 of the names and bytes of the files, as hexadecimal digits.
        parts: how many images would be train, valid and test.
        note: what else was found that whoever trains on them should know.
        thumbnails: some of the images, evenly spaced, for a contact sheet: uint8 (n, C, H, W).
    """

    kind: str
    count: int
    sizes: Mapping[str, int]
    modes: Mapping[str, int]
    classes: Mapping[str, int]
    duplicates: int
    duplicate_groups: tuple[tuple[str, ...], ...]
    unreadable: Mapping[str, str]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    digest: str
    parts: Mapping[str, int]
    note: str
    thumbnails: NDArray[np.uint8]


def describe(
    images: Any, *, size: int | None = None, fit: Fit = "crop", grey: bool = False,
    opaque: bool = False, range: str | None = None,
) -> Report:  # fmt: skip
    """What images hold. Each is decoded and forgotten, so any sizes may be mixed.

    Args:
        images: whatever `open_dataset` takes.
        size: as there; pixels and duplicates are then those of the resized images.
        fit: as there.
        grey: as there.
        opaque: as there.
        range: as there.

    Raises:
        FrenemyError: if nothing lies there, or no image that can be read.

    >>> report = describe(None)
    >>> report.count, dict(report.sizes), report.duplicates, report.classes["0"]
    (1797, {'8x8': 1797}, 0, 178)
    """
    shown = range_given(range)
    origin = find(images, shown)
    contents = origin.read(resize_to(size, fit), grey, opaque, shown)
    seen: list[int] = []
    unreadable = dict(contents.unreadable)
    values, highest = np.zeros((1, 256), np.int64), 0
    equal: dict[bytes, list[int]] = {}  # the digest of an image -> all such images
    # 64 of the facts a thread returns are small, whatever the size of the images.
    facts = origin.decode_each(
        functools.partial(_facts, contents), np.arange(contents.count).tolist(), 64
    )
    for i, fact in enumerate(facts):
        if isinstance(fact, str):
            unreadable[contents.name_of(i)] = fact
        else:
            seen.append(i)
            values = values + fact.values
            highest = max(highest, fact.brightest)
            equal.setdefault(fact.digest, []).append(i)
    if not seen:
        raise none_readable(origin, unreadable)
    groups = [group for group in equal.values() if len(group) > 1][:MAX_GROUPS]
    labels = np.zeros(0, np.int64) if contents.labels is None else contents.labels[seen]
    counts = np.bincount(labels, minlength=len(contents.classes)).tolist()
    pixels = np.arange(256) / 255
    weights = values / values.sum(axis=1, keepdims=True)
    note = contents.noted(highest)
    mean = weights @ pixels
    std = np.sqrt((weights * (pixels - mean[:, None]) ** 2).sum(axis=1))
    parts = part_sizes(len(seen), contents.part_sizes(seen))
    return Report(
        kind=origin.kind,
        count=len(seen),
        sizes=dict(contents.sizes.most_common()),
        modes=dict(contents.modes.most_common()),
        classes=dict(zip(contents.classes, counts, strict=True)),
        duplicates=len(seen) - len(equal),
        duplicate_groups=tuple(tuple(map(contents.name_of, group)) for group in groups),
        unreadable={**origin.skipped, **unreadable},
        pixel_mean=tuple(mean.tolist()),
        pixel_std=tuple(std.tolist()),
        digest=origin.digest or content_digest(origin.files),
        parts=dict(zip(PARTS, parts, strict=True)),
        note=note,
        thumbnails=_thumbnails(contents, seen),
    )


def _thumbnails(contents: Contents, readable: Sequence[int]) -> NDArray[np.uint8]:
    """Evenly spaced ones of the readable images, (n, C, H, W), n at most `THUMBNAILS`."""
    chosen = readable[:: -(-len(readable) // THUMBNAILS)]
    small = contents.shape is not None and max(contents.shape[1:]) <= THUMBNAIL.size
    images = (contents.decode(i) for i in chosen)
    return np.stack([image if small else THUMBNAIL.array(image) for image in images])


class _Facts(NamedTuple):
    """What is kept of an image: of its pixels the digest, the brightest, each value's count."""

    digest: bytes
    brightest: int
    values: NDArray[np.int64]  # (C, 256)


def _facts(contents: Contents, i: int) -> _Facts | str:
    """The facts of image i, or the reason why it cannot be decoded."""
    image = contents.try_decode(i)
    if isinstance(image, str):
        return image
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    counts = np.stack([_occurrences(channel) for channel in image])
    return _Facts(digest.digest(), brightest(image), counts)


def _occurrences(channel: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each of 0 .. 255 occurs in (H, W)."""
    values = np.zeros(256, np.int64)
    rows = max(1, (1 << 20) // channel.shape[1])  # bincount takes 8 bytes a pixel
    for start in range(0, len(channel), rows):
        values += np.bincount(channel[start : start + rows].ravel(), minlength=256)
    return values


def report_table(report: Report) -> Table:
    """What `frenemy data` found."""

    def listed(counts: Mapping[str, int]) -> str:
        few = [f"{name}: {count:,}" for name, count in list(counts.items())[:MOST_LISTED]]
        left = len(counts) - len(few)
        return ", ".join([*few, *([f"and {left:,} more"] if left else [])])

    lines = {
        "format": report.kind,
        "images": f"{report.count:,}",
        "sizes": listed(report.sizes),
        "modes": listed(report.modes),
        "classes": listed(report.classes),
        "duplicates": f"{report.duplicates:,}",
        **{f"  equal ({i})": ", ".join(g) for i, g in enumerate(report.duplicate_groups, 1)},
        "left out": f"{len(report.unreadable):,}",
        **{f"  {name}": why for name, why in list(report.unreadable.items())[:MOST_LISTED]},
        "pixel mean": ", ".join(f"{value:.4f}" for value in report.pixel_mean),
        "pixel deviation": ", ".join(f"{value:.4f}" for value in report.pixel_std),
        "parts": listed(report.parts),
        "note": report.note,
        "digest": report.digest,
    }
    table = Table("", Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    for name, value in lines.items():
        if value:
            table.add_row(f"[bold]{escape(shown(name))}", escape(shown(value)))
    return table
