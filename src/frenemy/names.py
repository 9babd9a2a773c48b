"""Names that a person gives: one of those that there are, or the nearest of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from frenemy.errors import FrenemyError


def known(name: str, names: Sequence[str], kind: str) -> str:
    """The name, if it is one of `names`.

    Args:
        name: as it was given.
        names: that there are.
        kind: what they name, for the message.

    Raises:
        FrenemyError: it is none of them; the message tells the nearest.

    >>> known("recal", ["precision", "recall"], "metric")
    Traceback (most recent call last):
    frenemy.errors.FrenemyError: no metric 'recal': did you mean recall?
    """
    if name not in names:
        near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}"
        raise FrenemyError(f"no {kind} {name!r}: {hint}")
    return name
