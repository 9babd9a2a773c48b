"""Options that several verbs have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import Fit

RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
Out = Annotated[Path | None, arg(aliases=["-o"])]
Number = Annotated[int, arg(aliases=["-n"])]
Round = Annotated[int | None, arg(metavar="ROUND")]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are brought to one shape.

    Attributes:
        size: make every image size x size.
        fit: how: crop the centre, or stretch.
        grey: leave out colours.
    """

    size: int | None = None
    fit: Fit = "crop"
    grey: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """Of `open_dataset` and its like."""
        return dataclasses.asdict(self)


Prepared = OmitArgPrefixes[Preparation]
AS_THEY_ARE = Preparation()
