"""Measuring generated images against real ones.

The package has the name of the function that one calls, `frenemy.judge(run)`, and can be called so.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Judge(ModuleType):
    """A package that is also `frenemy.questions.judge`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return importlib.import_module("frenemy.questions").judge(*args, **options)


sys.modules[__name__].__class__ = _Judge
