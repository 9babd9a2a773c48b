"""Types of arguments as the command line shows them; no torch is imported for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from tyro.conf import arg

N = TypeVar("N", int, float)

DeviceName = Annotated[str, arg(metavar="{auto,cpu,cuda,cuda:N,mps}")]
"""Where to compute; `auto` takes CUDA, then Apple's GPU, then the processor; GPUs count from 0."""

Precision = Literal["float32", "bfloat16"]
"""Of products and convolutions within networks."""

PrecisionName = Literal["auto", "float32", "bfloat16"]
"""The same, or `auto`: float32, but for recipes that measure which is faster."""

Fit = Literal["crop", "stretch"]
"""How an image is brought to a square: its centre is cropped, or it is stretched."""

Format = Literal["png", "webp", "npz"]
"""Of what is written into a folder: a file a picture, or one for all."""


def optional(metavar: str, *aliases: str) -> Any:
    """How an argument that may be None is shown: what that means, its help says."""
    return arg(metavar=metavar, aliases=aliases, help_behavior_hint="")


OptionalPath = Annotated[Path | None, optional("PATH")]
OptionalInt = Annotated[int | None, optional("INT")]
OptionalFloat = Annotated[float | None, optional("FLOAT")]


def given(number: N | None, otherwise: N) -> N:
    """The number of an argument that may be None, or another in its place.

    >>> given(0, 32), given(None, 32)
    (0, 32)
    """
    return otherwise if number is None else number
