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
    from frenemy.checkup import health
    from frenemy.data import open_dataset
    from frenemy.model import Model
    from frenemy.questions import compare, judge

__all__ = [
    "FrenemyError", "Model", "compare", "health", "judge", "open_dataset", "recipes", "resume",
    "train",
]  # fmt: skip

_HOMES = {
    "Model": "frenemy.model",
    "compare": "frenemy.questions",
    "health": "frenemy.checkup",
    "open_dataset": "frenemy.data",
    "resume": "frenemy.begin",
    "train": "frenemy.begin",
}


def __getattr__(name: str) -> Any:
    """Imports what needs torch (two seconds) on first use."""
    if name in ("recipes", "judge"):  # the latter can be called, too
        return importlib.import_module(f"frenemy.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'frenemy' has no attribute {name!r}")
