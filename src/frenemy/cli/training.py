"""The verb that trains."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, arg

from frenemy.choices import OptionalPath, optional
from frenemy.cli.functions import (
    choice_of,
    filling,
    first_word,
    options_of,
    retyped,
    value,
)
from frenemy.cli.options import AS_THEY_ARE, NOT_OWN, Own, Prepared
from frenemy.errors import FrenemyError
from frenemy.escapes import printable
from frenemy.settings import DEFAULTS, Continued, Settings

if TYPE_CHECKING:
    from frenemy.training import Training


def train(
    recipe: Any = None,
    settings: Annotated[OmitArgPrefixes[Settings], arg(name="training")] = DEFAULTS,
    data: OptionalPath = None,
    images: Prepared = AS_THEY_ARE,
    dry_run: bool = False,
    resume: Annotated[Path | None, optional("RUN")] = None,
    own: Own = NOT_OWN,
) -> None:
    """Train a GAN on images: frenemy train [RECIPE] --data PATH.

    Without a recipe, `pictures` is trained, with settings chosen for the images, the machine and
    --minutes (30 by default).

    Args:
        recipe: what to train.
        settings: how long, where to, what is kept.
        data: a folder of images, of IDX or CIFAR, a .npy, .npz, .mat; stacked:PATH for stacks of
            three grey images, toy:ring or toy:grid for points, embedded:emoji for small pictures
            that come with the package; if none, the embedded digits.
        images: how they are prepared.
        dry_run: print the game that would be played, or gone on with, and stop.
        resume: continue this run; --data says where its images are now, if they have moved.
        own: a recipe of your own.
    """
    from frenemy import begin
    from frenemy.best import summary, validations_of
    from frenemy.game_table import game_tables
    from frenemy.pictures import load_picture
    from frenemy.run import step_of
    from frenemy.terminal import TrainingDisplay, console, show, tell

    if resume is not None:
        anew = {
            field.name: getattr(settings, field.name) for field in dataclasses.fields(Continued)
        }
        how = Continued(**anew)
        if recipe or images != AS_THEY_ARE or settings != Settings(**anew):
            raise FrenemyError(
                "--resume continues a run as it was begun: add only --data if its images have "
                f"moved, --recipe if it is your own, and {', '.join(f'--{name}' for name in anew)}"
            )
        plan = begin.plan_to_resume(resume, how, data=data, **own.arguments)
    elif recipe is None:
        raise FrenemyError(
            "train on what? give a folder of pictures by --data, a recipe (see `frenemy recipes`), "
            "or --resume RUN"
        )
    else:
        plan = begin.plan(recipe, images.of(data), settings)
        tell(plan.data.description)
        for line in (*plan.reasons, plan.disk):
            tell(line)
    if dry_run:
        for table in game_tables(plan.experiment):
            console.print(table)
        ((unit, end),) = plan.run.header["target"].items()
        if resume is not None:
            tell(f"{resume} goes on from round {plan.played:,}; {plan.disk}")
        print(f"ends after {end:,} {'rounds' if unit == 'steps' else unit}")
        return
    with contextlib.ExitStack() as stack:
        display: TrainingDisplay | None = None

        def watch(training: Training) -> None:
            nonlocal display
            if display is None:  # not before the first round: errors come without a bar
                display = stack.enter_context(TrainingDisplay())
            display(training)

        run = plan.play(watch)
    if display is None:
        print(
            f"{run.path} is already finished ({step_of(run.checkpoints()[0]):,} rounds): continue "
            "with --steps N (or --epochs, --minutes), counted from its beginning"
        )
        return
    drawn = run.samples()
    if drawn:
        show(load_picture(drawn[-1]))
    print(f"{run.path}: done" + (f"; samples in {drawn[-1]}" if drawn else ""))
    metric, best = run.header.get("keep_best") or "", run.header.get("best")
    if said := summary(validations_of(run.rows(), metric), best):
        print(printable(said) + (": sample from it with `--step best`" if best else ""))


def train_with_recipes(arguments: Sequence[str]) -> Callable[..., None]:
    """`train` with the recipe that the arguments name or mean, or with all of frenemy's own.

    Raises:
        FrenemyError: there is no such recipe.
    """
    from frenemy import origin, recipes
    from frenemy.transfer import like

    options, where = options_of(train), value("--recipe", arguments)
    word = first_word(arguments, options)
    given = {name: value(name, arguments) for name in ("--data", "--resume", "--init", "--like")}
    lender = given["--init"] or given["--like"]

    def lent(recipe: Callable[..., Any]) -> Callable[..., Any]:
        return recipe if lender is None else like(recipe, lender)

    if given["--resume"] is None and where is None and word is None and given["--data"]:
        return _with(lent(recipes.pictures))
    if where is None or given["--resume"] is not None:
        known = {k: lent(f) if k == word else f for k, f in recipes.RECIPES.items()}
        chosen = choice_of(known, word, "recipe", none="(with --resume)")
        return retyped(train, "recipe", chosen)
    if word is not None:
        raise FrenemyError(f"--recipe {where} and {word}: give one recipe")
    own = origin.find(where)
    if taken := options.keys() & options_of(filling(own)).keys():
        raise FrenemyError(f"{where}: {', '.join(sorted(taken))} is an option of train: rename it")
    return _with(lent(own))


def _with(recipe: Callable[..., Any]) -> Callable[..., None]:
    """`train` with one recipe, whose arguments are options of it."""
    kind = OmitArgPrefixes[Annotated[object, arg(constructor=filling(recipe))]]
    return retyped(train, "recipe", kind, required=True)
