"""Options that several verbs have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import Fit


def optional(metavar: str, *aliases: str) -> Any:
    """How an argument that may be None is shown: what that means, its help says."""
    return arg(metavar=metavar, aliases=aliases, help_behavior_hint="")


RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
OptionalPath = Annotated[Path | None, optional("PATH")]
OptionalInt = Annotated[int | None, optional("INT")]
OptionalFloat = Annotated[float | None, optional("FLOAT")]
Out = Annotated[Path | None, optional("PATH", "-o")]
Number = Annotated[int, arg(aliases=["-n"])]
Round = Annotated[int | None, optional("ROUND")]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are brought to one shape.

    Attributes:
        size: make every image size x size.
        fit: how: crop the centre, or stretch.
        grey: leave out colours.
    """

    size: OptionalInt = None
    fit: Fit = "crop"
    grey: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """Of `open_dataset` and its like."""
        return dataclasses.asdict(self)


Prepared = OmitArgPrefixes[Preparation]
AS_THEY_ARE = Preparation()
