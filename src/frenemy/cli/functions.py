"""Functions as subcommands: a typed signature is a command line."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_type_hints

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from frenemy.names import known

Result = TypeVar("Result")


def options_of(verb: Callable[..., Any]) -> dict[str, Any]:
    """The options of a verb, or of a dataclass among its parameters, and their types."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(verb).items():
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            found |= options_of(kind)
        elif name != "return":
            found[f"--{name.replace('_', '-')}"] = kind
    return found


def first_word(arguments: Sequence[str], options: Mapping[str, Any]) -> str | None:
    """The first word behind the verb that is no option, nor may be an option's value; or None.

    Args:
        arguments: the verb and what follows.
        options: their types; those that are bool take no value.

    >>> first_word(["train", "--seed=1", "mnist"], {}), first_word(["train", "--data", "mnist"], {})
    ('mnist', None)
    >>> first_word(["train", "--dry-run", "mnist"], {"--dry-run": bool})
    'mnist'
    """
    for before, word in itertools.pairwise(arguments):
        takes_value = before.startswith("-") and "=" not in before
        takes_value &= options.get(before.replace("--no-", "--", 1)) is not bool
        if not word.startswith("-") and not takes_value:
            return word
    return None


def value(option: str, arguments: Sequence[str]) -> str | None:
    """What an option is given among the arguments, if it is.

    >>> value("--data", ["train", "--data", "faces"]), value("--data", ["train", "--data=faces"])
    ('faces', 'faces')
    """
    words = [part for word in arguments for part in word.split("=", 1)]
    return next((after for word, after in itertools.pairwise(words) if word == option), None)


def choice_of(
    functions: Mapping[str, Callable[..., Any]], word: str | None, kind: str, *, none: str
) -> Any:
    """A type for a verb's parameter: one of the functions with its arguments, or None.

    Each is a subcommand, of which the verb gets what `filling` makes.

    Args:
        functions: by the words that choose them.
        word: which was chosen, as `first_word` finds it: only that function becomes a subcommand,
            so that the help and all errors speak of it alone. All do if nobody knows yet.
        kind: what the functions are, for the message.
        none: what no choice means, for the help.

    Raises:
        FrenemyError: the word chooses none of them.
    """
    chosen = functions if word is None else [known(word, list(functions), kind)]

    def nothing() -> None: ...

    nothing.__doc__ = none  # tyro takes no other description of None
    choices = {"none": nothing, **{name: filling(functions[name]) for name in chosen}}
    subcommands = (Annotated[object, subcommand(k, constructor=f)] for k, f in choices.items())
    union = Union[tuple(subcommands)]  # noqa: UP007 (made at run time)
    return OmitSubcommandPrefixes[OmitArgPrefixes[union]]  # pyright: ignore (made at run time)


def filling(function: Callable[..., Result]) -> Callable[..., functools.partial[Result]]:
    """A function of another's options, that fills them in and leaves what comes later.

    Options are all arguments that have a default or can only be given by name.
    """

    def fill(**arguments: Any) -> functools.partial[Result]:
        return functools.partial(function, **arguments)

    options: list[inspect.Parameter] = []
    for p in inspect.signature(function, eval_str=True).parameters.values():
        if p.kind is p.KEYWORD_ONLY or p.default is not p.empty:
            kind = type(p.default) if p.annotation is p.empty else p.annotation
            options.append(p.replace(annotation=kind))
    return _looking_like(function, options, fill)


def retyped(
    verb: Callable[..., None], name: str, kind: Any, *, required: bool = False
) -> Callable[..., None]:
    """The verb with another type of a parameter, such as only the run time knows."""

    def same(*arguments: Any, **options: Any) -> None:
        verb(*arguments, **options)

    parameters = dict(inspect.signature(verb, eval_str=True).parameters)
    one = parameters[name]
    parameters[name] = one.replace(annotation=kind, default=one.empty if required else one.default)
    return _looking_like(verb, [*parameters.values()], same)


def _looking_like(
    function: Callable[..., Any],
    parameters: Sequence[inspect.Parameter],
    stand_in: Callable[..., Result],
) -> Callable[..., Result]:
    """The stand-in with the function's documentation, and these for its parameters."""
    stand_in.__doc__ = getattr(function, "func", function).__doc__  # a partial has none of its own
    signature = inspect.Signature(parameters)
    stand_in.__signature__ = signature  # pyright: ignore (inspect reads it, typing does not know it)
    stand_in.__annotations__ = {p.name: p.annotation for p in parameters}
    return stand_in
