"""`run.json`: what it has to be, and a digest of what defines its game."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from frenemy.choices import Fit, Precision
from frenemy.errors import FrenemyError
from frenemy.files import is_absent, read_regular, reading_failed
from frenemy.schema import Unlike, conforming

LARGEST = 1 << 24
"""Bytes of a `run.json`: class names may be many, and nothing else in it is long."""
DIGEST = "game_digest"
"""The field that holds what `game_digest` gave when the file was written."""

Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Whole = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
# msgspec's gt=0 is a subnormal number, as which 0 passes where a process flushes those to 0
Positive = Annotated[float, Meta(ge=1e-300, le=1e15)]
Side = Annotated[int, Meta(ge=1, le=1 << 16)]


class Replan(TypedDict):
    """When the end is set anew, and for how many minutes."""

    step: Whole
    minutes: Amount


class Best(TypedDict):
    """The best checkpoint's round, and its value of the metric."""

    step: Natural
    value: float


class Images(TypedDict):
    """What a run was begun on."""

    digest: str
    shape: Annotated[list[Side], Meta(min_length=3, max_length=3)]
    path: NotRequired[str | None]  # none of memory's images
    size: NotRequired[Side | None]
    fit: NotRequired[Fit]
    grey: NotRequired[bool]
    opaque: NotRequired[bool]
    range: NotRequired[str | None]
    count: NotRequired[Whole]
    classes: NotRequired[list[str]]
    description: NotRequired[str]


class Header(TypedDict):
    """The fields of `run.json` that are read again; it may have more."""

    recipe: str
    arguments: dict[str, Any]
    recipe_digest: NotRequired[str | None]  # none of ours
    seed: Natural
    target: Annotated[dict[Literal["steps", "minutes"], Positive], Meta(min_length=1, max_length=1)]
    replan: NotRequired[Replan]  # none where rounds are given, or the end is near
    minutes: NotRequired[Amount]  # that its rounds were chosen for
    device: Annotated[str, Meta(pattern=r"^(cpu|mps|cuda(:\d{1,4})?)$")]
    threads: Annotated[int, Meta(ge=1, le=1024)]
    precision: NotRequired[Precision]  # none in older runs
    parts: NotRequired[Whole]
    mirror: NotRequired[bool]
    init: NotRequired[str | None]
    checkpoint_seconds: Amount
    keep_checkpoints: Whole
    keep_best: NotRequired[str | None]
    best_features: NotRequired[str | None]
    best: NotRequired[Best | None]
    tensorboard: bool
    data: Images
    versions: dict[str, str]
    game_digest: NotRequired[str]


DEFINING = ("recipe", "arguments", "recipe_digest", "seed", "precision", "parts", "mirror")
"""The fields that define a game, beside its data."""


def game_digest(header: Mapping[str, Any]) -> str:
    """sha256 of what defines a run's game: all but where its data lie, its end and the machine."""
    game = {name: header.get(name) for name in DEFINING}
    game["data"] = {name: value for name, value in header["data"].items() if name != "path"}
    return hashlib.sha256(json.dumps(game, sort_keys=True).encode()).hexdigest()


def read_header(file: Path) -> dict[str, Any] | None:
    """What a `run.json` holds, unknown fields too; None where there is none.

    Raises:
        FrenemyError: it cannot be read, is no run's description, or was changed.
    """
    try:
        content = read_regular(file, LARGEST)
    except OSError as error:
        if is_absent(file, error):
            return None
        raise reading_failed(file, error) from None
    try:
        header = conforming(content, Header)
    except Unlike as error:
        raise FrenemyError(f"{file} does not describe a run: {error}") from None
    except ValueError as error:
        raise reading_failed(file, error) from None
    if header.get(DIGEST) not in (None, game_digest(header)):
        raise FrenemyError(
            f"{file} was changed: its recipe, arguments, seed or data are not those that were "
            "played: bring back what it was"
        )
    return header
