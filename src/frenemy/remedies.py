"""What to try against each way in which a game fails: among the arguments that its recipe has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

FailureMode = Literal[
    "non-convergence",
    "mode collapse",
    "diminished gradient",
    "D does not learn",
    "G makes no headway",
    "copying",
]
Arguments = Mapping[str, Any]
Idea = Callable[[Arguments], str | None]
"""The arguments of a recipe -> the option to give instead, if it has one that can change so."""

MOST = 3  # options at once
BEYOND = "another recipe (see `frenemy recipes`), more images, or smaller ones (--size)"


def remedy(failure: FailureMode, arguments: Arguments, *, at_chance: bool = False) -> str:
    """What to try, in words.

    Args:
        failure: how the game fails.
        arguments: of its recipe, by name, with the values that are played.
        at_chance: D tells nothing apart, so what holds it back is no use.

    >>> remedy("diminished gradient", {"objective": "minimax", "k": 1, "rate": 0.1})
    '--objective nonsaturating or --rate 0.05'
    >>> remedy("mode collapse", {})
    'another recipe (see `frenemy recipes`), more images, or smaller ones (--size)'
    """
    ideas = AT_CHANCE if at_chance else IDEAS[failure]
    found = [option for idea in ideas if (option := idea(arguments))]
    return " or ".join(found[:MOST]) or BEYOND


def _number(arguments: Arguments, name: str) -> float | None:
    value = arguments.get(name)
    right = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return value if right else None


def _times(name: str, factor: float, instead_of_none: float | None = None) -> Idea:
    """So many times what is played; where that is 0, another number or nothing."""

    def idea(arguments: Arguments) -> str | None:
        value = _number(arguments, name)
        if value is None:
            return None
        wanted = factor * value if value else instead_of_none
        return None if wanted is None else f"--{name} {wanted:g}"

    return idea


def _more_steps(arguments: Arguments) -> str | None:
    k = _number(arguments, "k")
    return None if k is None else f"--k {max(2, 2 * k):g}"


def _fewer_steps(arguments: Arguments) -> str | None:
    k = _number(arguments, "k")
    return None if k is None or k <= 1 else f"--k {k // 2:g}"


def _not_saturating(arguments: Arguments) -> str | None:
    return "--objective nonsaturating" if arguments.get("objective") == "minimax" else None


def _at_once(arguments: Arguments) -> str | None:
    """In turns half of the starts of `mnist2014` collapse, and at once none: docs/numbers.md."""
    in_turns = arguments.get("simultaneous") is False and arguments.get("k") == 1
    return "--simultaneous" if in_turns else None


def _longer_average(arguments: Arguments) -> str | None:
    """Ten times as many rounds."""
    decay = _number(arguments, "averaging")
    return None if decay is None or decay > 0.9995 else f"--averaging {1 - (1 - decay) / 10:g}"


def _augmented(arguments: Arguments) -> str | None:
    return "--augmenting" if arguments.get("augmenting") is False else None


def _narrower(arguments: Arguments) -> str | None:
    width = _number(arguments, "width")
    return None if not width or width % 2 else f"--width {width // 2:g}"


LOWER_RATE, MUCH_LOWER_RATE = _times("rate", 0.5), _times("rate", 0.1)
FLATTER = _times("gamma", 10, instead_of_none=1.0)
STEEPER = _times("gamma", 0.1)

IDEAS: Mapping[FailureMode, Sequence[Idea]] = {
    "diminished gradient": (_not_saturating, _fewer_steps, FLATTER, LOWER_RATE),
    "mode collapse": (_at_once, FLATTER, _more_steps, LOWER_RATE),
    "non-convergence": (LOWER_RATE, FLATTER, _longer_average),
    "D does not learn": (MUCH_LOWER_RATE, STEEPER, _more_steps),
    "G makes no headway": (FLATTER, _fewer_steps, MUCH_LOWER_RATE),
    "copying": (_augmented, FLATTER, _narrower, LOWER_RATE),
}
AT_CHANCE: Sequence[Idea] = (MUCH_LOWER_RATE, STEEPER, _more_steps)
