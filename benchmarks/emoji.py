"""Makes the emoji that come with the package from those of the npm package emoji-datasource-google.

    python benchmarks/emoji.py --package package --out src/frenemy/data/emoji.npz

`package` is that package, unpacked (16.0.0 was used): its pictures of 64 pixels are Google's Noto
Emoji, Apache License 2.0. Those with other skins, and the five that are parts of others, are left
out. Each is laid on white and brought to 32 pixels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

SIDE = 32
PARTS = "Component"  # the category of swatches of skin


def picture(path: Path) -> np.ndarray:
    """On white, uint8 (SIDE, SIDE, 3)."""
    drawn = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    white.alpha_composite(drawn)
    small = white.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small)


def main(package: Path, out: Path) -> None:
    """Writes images, uint8 (N, 32, 32, 3), and labels, the names of their categories."""
    known = [
        emoji
        for emoji in json.loads((package / "emoji.json").read_text("utf-8"))
        if emoji["has_img_google"] and emoji["category"] != PARTS
    ]
    images = [picture(package / "img" / "google" / "64" / emoji["image"]) for emoji in known]
    labels = np.array([emoji["category"] for emoji in known])
    np.savez_compressed(out, images=np.stack(images), labels=labels)
    print(f"{len(images):,} emoji, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    tyro.cli(main)
