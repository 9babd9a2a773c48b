"""The verb that trains."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, arg

from frenemy.choices import DeviceName
from frenemy.cli.functions import choice_of, retyped
from frenemy.cli.options import (
    AS_THEY_ARE,
    OptionalFloat,
    OptionalInt,
    OptionalPath,
    Prepared,
    optional,
)
from frenemy.errors import FrenemyError

if TYPE_CHECKING:
    from frenemy.training import Training


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What to train on, where to, how long.

    Attributes:
        data: a folder of images, an IDX or CIFAR folder, a .npy, .npz or .mat file; the embedded
            digits if none is given; with --resume, where the run's images are now.
        images: what is done to them.
        out: the run's directory; runs/RECIPE, with a number if that is taken.
        steps: stop after so many rounds.
        epochs: stop after so many passes over the data, preparing stages included.
        minutes: stop after so many minutes.
        seed: of everything random.
        device: where to compute; a resumed run goes on where it was begun.
        tensorboard: also write TensorBoard events.
        checkpoint_seconds: the least time between checkpoints.
        keep_checkpoints: how many are kept, the newest; `judge --all-checkpoints` draws its curves
            from them.
        dry_run: print the game that would be played, and stop.
        resume: go on with this run to the end it was begun for, or to another, as counted from its
            beginning.
    """

    data: OptionalPath = None
    images: Prepared = AS_THEY_ARE
    out: OptionalPath = None
    steps: OptionalInt = None
    epochs: OptionalFloat = None
    minutes: OptionalFloat = None
    seed: int = 0
    device: DeviceName = "auto"
    tensorboard: bool = False
    checkpoint_seconds: float = 60.0
    keep_checkpoints: int = 2
    dry_run: bool = False
    resume: Annotated[Path | None, optional("RUN")] = None


def train(
    options: Annotated[OmitArgPrefixes[TrainOptions], arg(name="training")], recipe: Any = None
) -> None:
    """Play a recipe's game on images: frenemy train RECIPE --data PATH."""
    from frenemy import begin
    from frenemy.data import open_dataset
    from frenemy.game_table import game_tables
    from frenemy.pictures import load_picture
    from frenemy.run import step_of
    from frenemy.terminal import TrainingDisplay, console, show, tell

    if options.resume is not None:
        limits = {"steps": options.steps, "epochs": options.epochs, "minutes": options.minutes}
        with_it = {"data": None, "device": "auto", **dict.fromkeys(limits)}
        given = dataclasses.replace(options, resume=None, **with_it)
        if recipe is not None or given != TrainOptions():
            raise FrenemyError(
                "--resume goes on with a run as it was begun: add only --device, --data if its "
                "images have moved, and --steps, --epochs or --minutes for another end"
            )
        where = None if options.device == "auto" else options.device
        play = functools.partial(
            begin.resume, options.resume, data=options.data, device=where, **limits
        )
    elif recipe is None:
        raise FrenemyError("train what? give a recipe (see `frenemy recipes`) or --resume RUN")
    else:
        data = open_dataset(options.data, **options.images.arguments)
        tell(data.description)
        plan = begin.plan(
            recipe,
            data,
            out=options.out,
            steps=options.steps,
            epochs=options.epochs,
            minutes=options.minutes,
            seed=options.seed,
            device=options.device,
            tensorboard=options.tensorboard,
            checkpoint_seconds=options.checkpoint_seconds,
            keep_checkpoints=options.keep_checkpoints,
        )
        if options.dry_run:
            for table in game_tables(plan.experiment):
                console.print(table)
            ((unit, end),) = plan.run.header["target"].items()
            print(f"ends after {end:,} {'rounds' if unit == 'steps' else unit}")
            return
        play = plan.play
    with contextlib.ExitStack() as stack:
        display: TrainingDisplay | None = None

        def watch(training: Training) -> None:
            nonlocal display
            if display is None:  # not before the first round: errors come without a bar
                display = stack.enter_context(TrainingDisplay())
            display(training)

        run = play(watcher=watch)
    if display is None:
        print(
            f"{run.path} is already at its end ({step_of(run.checkpoints()[0]):,} rounds): go on "
            "with --steps N (or --epochs, --minutes), counted from its beginning"
        )
        return
    drawn = run.samples()
    if drawn:
        show(load_picture(drawn[-1]))
    print(f"{run.path}: done" + (f"; samples in {drawn[-1]}" if drawn else ""))


def train_with_recipes(word: str | None) -> Callable[..., None]:
    """`train` with the recipe that the word names as a subcommand; with all of them if None."""
    from frenemy import recipes

    named = {name: getattr(recipes, name) for name in recipes.__all__}
    recipe = choice_of(named, word, "recipe", none="(with --resume)", later=("data",))
    return retyped(train, recipe=recipe)
