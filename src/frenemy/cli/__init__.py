"""The command line. Every verb imports what it needs when it is used: torch takes two seconds."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import tyro
from tyro.conf import CascadeSubcommandArgs
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from frenemy.cli.foreign import hints
from frenemy.cli.functions import value
from frenemy.cli.judging import compare, health, judge
from frenemy.cli.lab import lab, lab_with_lessons
from frenemy.cli.listing import data, recipes
from frenemy.cli.runs import plot, runs
from frenemy.cli.table1 import table1
from frenemy.cli.training import train, train_with_recipes
from frenemy.cli.using import directions, film, invert, mix, neighbours, sample, walk
from frenemy.errors import FrenemyError, out_of_memory
from frenemy.escapes import printable
from frenemy.interrupts import Interrupted
from frenemy.names import known
from frenemy.places import user_path

Verb = Callable[..., None]

VERBS: dict[str, Verb] = {
    "train": train,
    "sample": sample,
    "walk": walk,
    "mix": mix,
    "directions": directions,
    "invert": invert,
    "neighbours": neighbours,
    "judge": judge,
    "compare": compare,
    "health": health,
    "film": film,
    "runs": runs,
    "plot": plot,
    "table1": table1,
    "lab": lab,
    "recipes": recipes,
    "data": data,
}

PATHS = ConstructorRegistry()
"""How paths are read: as `frenemy.places.user_path`."""


@PATHS.primitive_rule
def _path(type_info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    if type_info.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: user_path(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )


COMPLETED: dict[str, Callable[[Sequence[str]], Verb]] = {
    "train": train_with_recipes,
    "lab": lab_with_lessons,
}
"""Verbs whose options depend on what is chosen, which is imported only when it comes to them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 1 for an error, 128 + n for signal n."""
    arguments = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    # read when torch loads: its threads wait awake for a moment, and then leave the core to others
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
    if int(os.environ.get("RANK", "0")):  # of several processes the first one speaks
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (as long as it lives)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an arrow that cannot be shown stops no verb
    if arguments[:1] == ["--version"]:
        print(_versions())
        return 0
    try:
        tyro.extras.subcommand_cli_from_dict(
            _verbs(arguments),
            prog="frenemy",
            description="Train, judge and use generative adversarial networks on your own images. "
            "frenemy --version tells which version this is.",
            args=arguments,
            config=(CascadeSubcommandArgs,),
            registry=PATHS,
        )
    except SystemExit as stop:  # tyro's, of arguments that it has refused
        if stop.code == 2 and arguments[0] in VERBS:
            for hint in hints(arguments, VERBS[arguments[0]]):
                _say(f"frenemy: {hint}")
        raise
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough
        sys.stdout = None
        return 141  # as if by SIGPIPE
    except Exception as error:
        said = _told(error, value("--recipe", arguments))
        if said is None:
            raise
        _say(f"frenemy: {said}")
        return 128 + error.signal if isinstance(error, Interrupted) else 1
    return 0


def _say(line: str) -> None:
    """One line to the user, with nothing in it that a terminal would take for its own."""
    with contextlib.suppress(OSError):  # a terminal that was closed
        print(printable(line), file=sys.stderr)


def _versions() -> str:
    """Of frenemy and of torch, which is not imported for it."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"frenemy {version('frenemy')} (torch {version('torch')}, Python {python})"


def _told(error: Exception, recipe: str | None) -> str | None:
    """What is said of an error, unless it is one of frenemy's own code."""
    if isinstance(error, FrenemyError):
        return str(error)
    if isinstance(error, OSError):
        return f"reading or writing failed: {error}"
    if out_of_memory(error):
        return "out of memory: give a smaller --minibatch, --size, --samples or -n"
    if recipe is None:
        return None
    from frenemy.origin import failure, module_of

    return f"the recipe fails: {failure(error, module_of(recipe)[0])}"


def _verbs(arguments: Sequence[str]) -> dict[str, Verb]:
    """The verb that the arguments name, so that the help and all errors speak of it alone, or all.

    Raises:
        FrenemyError: there is no such verb, or it has no such function.
    """
    word = arguments[0] if arguments else "--help"
    if word.startswith("-"):
        return VERBS
    known(word, list(VERBS), "command")
    complete = COMPLETED.get(word)
    return {word: complete(arguments) if complete else VERBS[word]}
