"""frenemy: train, judge and use generative adversarial networks on your own images.

>>> from frenemy import open_dataset, recipes, train  # doctest: +SKIP
>>> run = train(recipes.digits2014, steps=2000)       # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from frenemy.errors import FrenemyError

if TYPE_CHECKING:
    from frenemy import recipes
    from frenemy.begin import resume, train
    from frenemy.data import open_dataset
    from frenemy.model import Model

__all__ = ["FrenemyError", "Model", "open_dataset", "recipes", "resume", "train"]

_HOMES = {
    "Model": "frenemy.model",
    "open_dataset": "frenemy.data",
    "resume": "frenemy.begin",
    "train": "frenemy.begin",
}


def __getattr__(name: str) -> Any:
    """Imports what needs torch (two seconds) on first use."""
    if name == "recipes":
        return importlib.import_module("frenemy.recipes")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'frenemy' has no attribute {name!r}")
