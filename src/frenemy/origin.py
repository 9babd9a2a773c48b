"""Where a recipe comes from, frenemy's own list or somebody's file, and what its arguments are."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import shlex
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from frenemy import recipes
from frenemy.choosing import Open
from frenemy.errors import FrenemyError
from frenemy.experiment import Recipe, arguments_of, vary
from frenemy.names import known
from frenemy.run import Run
from frenemy.schema import Unlike, require

# ---- a recipe's arguments: nothing else knows how it takes them


def function_of(recipe: Recipe) -> Any:
    """The function of a recipe, which may be a partial of it."""
    function = recipe.func if isinstance(recipe, functools.partial) else recipe
    if not inspect.isfunction(function):
        raise FrenemyError(f"{function} is not a recipe: give a function, or one from `vary`")
    return function


def arguments_kept(recipe: Recipe) -> dict[str, Any]:
    """Defaults included, as `run.json` keeps them."""
    arguments = arguments_of(recipe)
    return {} if arguments is None else asdict(arguments)


def arguments_given(recipe: Recipe) -> dict[str, Any]:
    """Arguments that were changed; of those that may be left open the ones that are not."""
    if not isinstance(recipe, functools.partial):
        return {}
    arguments, found = arguments_of(recipe), arguments_kept(recipe)
    if isinstance(arguments, Open):
        left = asdict(type(arguments)())  # pyright: ignore (arguments are a dataclass with defaults)
        found = {name: value for name, value in found.items() if value != left[name]}
    return found


def arguments_recorded(run: Run) -> dict[str, Any]:
    """Those that a run was begun with; if the recipe is frenemy's own, of the types that it takes.

    Raises:
        FrenemyError: one is of another type.
    """
    arguments = run.header.get("arguments", {})
    recipe = recipes.RECIPES.get(run.header["recipe"])
    if recipe is not None and (usual := arguments_of(recipe)) is not None:
        try:
            require(arguments, type(usual))
        except Unlike as error:
            raise FrenemyError(f"{run.path}: of its recipe's arguments {error}") from None
    return arguments


# ---- whose it is


def describe(recipe: Recipe) -> dict[str, Any]:
    """What `run.json` keeps of a recipe: a name, as `find` takes it if it is not frenemy's own;
    then its file too, and that file's sha256; its arguments.
    """
    function, file, digest = function_of(recipe), None, None
    name = function.__name__
    if recipes.RECIPES.get(name) is not function:
        place, path = function.__module__, Path(function.__globals__.get("__file__") or "")
        if path.is_file():
            file, digest = str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest()
            place = file if place == "__main__" else place
        name = f"{place}:{function.__qualname__}"
    arguments = arguments_kept(recipe)
    return {"recipe": name, "arguments": arguments, "recipe_file": file, "recipe_digest": digest}


def recipe_of(run: Run, given: Recipe | None = None, *, changed: bool = False) -> Recipe:
    """The recipe of a run with its arguments filled in.

    Args:
        run: whose; its header tells of the recipe that was given.
        given: the recipe, where it is not one of frenemy's own.
        changed: it may be another than that which the run was begun with.

    Raises:
        FrenemyError: it is not frenemy's own and not given, is another, or takes other arguments.
    """
    then = {"arguments": {}, "recipe_digest": None, **run.header}
    name, arguments = then["recipe"], arguments_recorded(run)
    if given is None:
        if name not in recipes.RECIPES:
            raise FrenemyError(
                f"{run.path} was begun with a recipe that is not frenemy's own: give it by "
                f"--recipe {shlex.quote(name)} (in Python: recipe=)"
            )
        return vary(recipes.RECIPES[name], **arguments)
    now = {**describe(given), "arguments": {**arguments, **arguments_given(given)}}
    same = {
        "recipe": name.rpartition(":")[1:] == now["recipe"].rpartition(":")[1:],
        "recipe_digest": then["recipe_digest"] in (None, now["recipe_digest"]),
        "arguments": json.dumps(arguments) == json.dumps(now["arguments"], default=str),
    }
    for field in [field for field in same if not same[field] and not changed]:
        raise FrenemyError(
            f"{run.path} was begun with {field} {then[field]}, not {now[field]}: give that, or "
            "take this by --recipe-changed (in Python: recipe_changed=True)"
        )
    recipe = vary(given, **{**arguments, **arguments_given(given)})
    run.header.update(describe(recipe))
    return recipe


# ---- somebody's file


def module_of(where: str) -> tuple[str, str]:
    """FILE.py:NAME or MODULE:NAME -> the module, for a file its absolute path; and the name."""
    place, _, name = where.rpartition(":")
    if not (place and name):
        raise FrenemyError(f"--recipe {where}: give FILE.py:NAME or MODULE:NAME")
    return str(Path(place).resolve()) if place.endswith(".py") else place, name


def find(where: str) -> Recipe:
    """Runs the file, or imports the module, of FILE.py:NAME or MODULE:NAME: the recipe in it.

    Raises:
        FrenemyError: there is no such file, module or function, or it fails.
    """
    place, name = module_of(where)
    is_file = place.endswith(".py")
    sys.path.append(str(Path(place).parent if is_file else Path.cwd()))  # last: it hides nothing
    try:
        module = _run(place) if is_file else importlib.import_module(place)
    except FrenemyError:
        raise
    except Exception as error:
        raise FrenemyError(f"--recipe {where}: {failure(error, place)}") from error
    functions = {key: f for key, f in vars(module).items() if inspect.isfunction(f)}
    here = [key for key, f in functions.items() if f.__module__ == place]
    return functions[name if name in functions else known(name, here, f"recipe in {place}")]


def _run(file: str) -> ModuleType:
    """What lies in the file now: Python's own import may take what lay there a second ago."""
    sys.modules[file] = module = ModuleType(file)  # where dataclasses look for their types
    module.__file__ = file
    exec(compile(Path(file).read_bytes(), file, "exec", dont_inherit=True), module.__dict__)
    return module


def failure(error: Exception, module: str) -> str:
    """What went wrong in a recipe, in one line, and where in its module."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [(f.f_code.co_filename, n) for f, n in frames if f.f_globals.get("__name__") == module]
    said = str(error)
    if isinstance(error, SyntaxError):
        said, lines = error.msg, [(error.filename or "", error.lineno)]
    at = f" ({Path(lines[-1][0]).name}, line {lines[-1][1]})" if lines else ""
    return f"{type(error).__name__}: {' '.join(said.split())}{at}"
