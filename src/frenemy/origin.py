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
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from frenemy import recipes
from frenemy.errors import FrenemyError
from frenemy.experiment import Recipe
from frenemy.names import known
from frenemy.run import Run

# ---- a recipe's arguments: no other place knows how it takes them


def arguments_of(recipe: Recipe) -> dict[str, Any]:
    """All arguments of a recipe but the data, defaults included, as `run.json` keeps them."""
    bound = inspect.signature(function_of(recipe)).bind_partial(**_given(recipe))
    bound.apply_defaults()
    return bound.arguments


def filled(recipe: Recipe, arguments: Mapping[str, Any]) -> Recipe:
    """The recipe with these arguments of `run.json`; those that it was given go first.

    Raises:
        FrenemyError: it takes no such arguments.
    """
    function = function_of(recipe)
    if unknown := set(arguments) - set(inspect.signature(function).parameters):
        name = function.__name__
        raise FrenemyError(f"the recipe {name} takes no {', '.join(sorted(unknown))}")
    return functools.partial(function, **{**arguments, **_given(recipe)})


def _given(recipe: Recipe) -> dict[str, Any]:
    return recipe.keywords if isinstance(recipe, functools.partial) else {}


def function_of(recipe: Recipe) -> Any:
    """The function behind a recipe.

    Raises:
        FrenemyError: there is none.
    """
    function = recipe.func if isinstance(recipe, functools.partial) else recipe
    if not inspect.isfunction(function):
        raise FrenemyError(f"{function} is no recipe: give a function, or a partial of one")
    return function


# ---- whose it is


def describe(recipe: Recipe) -> dict[str, Any]:
    """What `run.json` keeps of a recipe.

    `recipe` is its name in frenemy's list, else MODULE:NAME or FILE.py:NAME, as `find` takes it;
    then `recipe_file` is the file with its sha256, where there is one.
    """
    function = function_of(recipe)
    name, file = function.__name__, None
    if getattr(recipes, name, None) is not function:
        place = function.__module__
        path = Path(getattr(sys.modules.get(place), "__file__", None) or "")
        if path.is_file():
            file = {"path": str(path.resolve())}
            file["digest"] = hashlib.sha256(path.read_bytes()).hexdigest()
            place = file["path"] if place == "__main__" else place
        name = f"{place}:{function.__qualname__}"
    return {"recipe": name, "arguments": arguments_of(recipe), "recipe_file": file}


def recipe_of(run: Run, given: Recipe | None = None, *, changed: bool = False) -> Recipe:
    """The recipe of a run with its arguments filled in.

    Args:
        run: whose; it is told what was given, not on the disk.
        given: the recipe, where it is not one of frenemy's own.
        changed: it may be another than that which the run was begun with.

    Raises:
        FrenemyError: it is not frenemy's own and not given, is another, or takes other arguments.
    """
    name, arguments = run.header["recipe"], run.header.get("arguments", {})
    if given is None:
        if name not in recipes.__all__:
            raise FrenemyError(
                f"{run.path} was begun with a recipe that is not frenemy's own: give it by "
                f"--recipe {shlex.quote(name)} (in Python: recipe=)"
            )
        return filled(getattr(recipes, name), arguments)
    recipe = filled(given, arguments)
    now = describe(recipe)
    for what, old, new in (
        ("the recipe", name.rpartition(":")[2], now["recipe"].rpartition(":")[2]),
        ("a file of digest", _digest(run.header), _digest(now)),
        ("the arguments", _plain(arguments), _plain({k: now["arguments"][k] for k in arguments})),
    ):
        if old not in (None, new) and not changed:
            raise FrenemyError(
                f"{run.path} was begun with {what} {old}, not {new}: give that, or take "
                "this by --recipe-changed (in Python: recipe_changed=True)"
            )
    run.header.update(now)
    return recipe


def _digest(header: Mapping[str, Any]) -> str | None:
    file = header.get("recipe_file")
    return file["digest"][:12] if file else None


def _plain(arguments: Mapping[str, Any]) -> Any:
    """Arguments as they come back from `run.json`."""
    return json.loads(json.dumps(arguments, default=str))


# ---- somebody's file


def find(where: str) -> Recipe:
    """Runs a file, or imports a module, and takes the recipe of this name from it.

    Args:
        where: FILE.py:NAME or MODULE:NAME.

    Raises:
        FrenemyError: there is no such file, module or function, or it fails.
    """
    place, name = module_of(where)
    is_file = place.endswith(".py")
    try:
        folder = str(Path(place).parent if is_file else Path.cwd())
        if folder not in sys.path:
            sys.path.append(folder)  # last: what lies there hides no other module
        module = _run(Path(place)) if is_file else importlib.import_module(place)
    except FrenemyError:
        raise
    except Exception as error:
        raise FrenemyError(f"--recipe {where}: {failure(error, place)}") from error
    functions = {key: f for key, f in vars(module).items() if inspect.isfunction(f)}
    if name not in functions:
        here = [key for key, f in functions.items() if f.__module__ == module.__name__]
        known(name, here or list(functions), f"recipe in {place}")
    return functions[name]


def module_of(where: str) -> tuple[str, str]:
    """The module of FILE.py:NAME or MODULE:NAME, which has a file's absolute path for its name,
    and NAME.

    Raises:
        FrenemyError: it is neither.
    """
    place, _, name = where.rpartition(":")
    if not (place and name):
        raise FrenemyError(f"--recipe {where}: give FILE.py:NAME or MODULE:NAME")
    return str(Path(place).resolve()) if place.endswith(".py") else place, name


def _run(file: Path) -> ModuleType:
    """What lies in the file now: Python's own import may take what lay there a second ago."""
    module = ModuleType(str(file))
    module.__file__ = module.__name__
    sys.modules[module.__name__] = module  # where dataclasses look for their types
    exec(compile(file.read_bytes(), file, "exec", dont_inherit=True), module.__dict__)
    return module


def failure(error: Exception, module: str) -> str:
    """What went wrong in a recipe, in one line, and in which line of its module."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [(f.f_code.co_filename, n) for f, n in frames if f.f_globals["__name__"] == module]
    said = str(error)
    if isinstance(error, SyntaxError):
        said, lines = error.msg, [(error.filename, error.lineno)]
    at = f" ({Path(lines[-1][0] or '').name}, line {lines[-1][1]})" if lines else ""
    return f"{type(error).__name__}: {' '.join(said.split())}{at}"
