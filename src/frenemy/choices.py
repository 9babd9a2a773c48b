"""Arguments of a few fixed values, which the command line offers without importing torch."""

from __future__ import annotations

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
"""Where to compute; `auto` takes CUDA, then Apple's GPU, then the processor."""

Precision = Literal["float32", "bfloat16"]
"""Of products and convolutions within networks."""

Fit = Literal["crop", "stretch"]
"""How an image is brought to a square: its centre is cropped, or it is stretched."""
