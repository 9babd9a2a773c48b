"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Fit = Literal["crop", "stretch"]
RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
Out = Annotated[Path | None, arg(aliases=["-o"])]
Number = Annotated[int, arg(aliases=["-n"])]
