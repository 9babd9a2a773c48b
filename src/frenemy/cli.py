"""The command line. Every verb imports what it needs when it is used: torch takes two seconds."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import itertools
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import (
    CascadeSubcommandArgs,
    OmitArgPrefixes,
    OmitSubcommandPrefixes,
    Positional,
    arg,
    subcommand,
)

from frenemy.errors import FrenemyError, at_least

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Fit = Literal["crop", "stretch"]
RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
Out = Annotated[Path | None, arg(aliases=["-o"])]
Number = Annotated[int, arg(aliases=["-n"])]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What to train on, where to, how long.

    Attributes:
        data: a folder of images, an IDX or CIFAR folder, a .npy, .npz or .mat file; the embedded
            digits if none is given.
        size: make every image size x size.
        fit: how: crop the centre, or stretch.
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
        dry_run: print the game and stop.
        resume: go on with this run to the end it was begun for.
    """

    data: Path | None = None
    size: int | None = None
    fit: Fit = "crop"
    out: Path | None = None
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    seed: int = 0
    device: DeviceName = "auto"
    tensorboard: bool = False
    checkpoint_seconds: float = 60.0
    keep_checkpoints: int = 2
    dry_run: bool = False
    resume: Path | None = None


def train(options: OmitArgPrefixes[TrainOptions], recipe: Any = None) -> None:
    """Play a recipe's game on images: frenemy train RECIPE --data PATH."""
    from frenemy import training
    from frenemy.data import open_dataset
    from frenemy.display import TrainingDisplay, console, game_tables
    from frenemy.model import set_up
    from frenemy.pictures import load_picture, terminal

    if options.resume is not None:
        given = dataclasses.replace(options, resume=None, device="auto")
        if recipe is not None or given != TrainOptions():
            raise FrenemyError("--resume goes on with a run as it was begun: add only --device")
        with TrainingDisplay() as display:
            where = None if options.device == "auto" else options.device
            run = training.resume(options.resume, device=where, watcher=display)
    elif recipe is None:
        raise FrenemyError("train what? give a recipe (see `frenemy recipes`) or --resume RUN")
    else:
        data = open_dataset(options.data, size=options.size, fit=options.fit)
        print(data.description)
        if options.dry_run:
            for table in game_tables(set_up(recipe, data, options.seed)):
                console.print(table)
            return
        with TrainingDisplay() as display:
            run = training.train(
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
                watcher=display,
            )
    newest = run.samples()[-1]
    if console.is_terminal:
        console.print(terminal(load_picture(newest), width=min(console.width, 100)))
    print(f"{run.path}: done; samples in {newest}")


def _train_with_recipes(word: str) -> Callable[..., None]:
    """`train` with subcommands whose options are the recipes' arguments: that of the recipe which
    `word` names, or all of them where it is an option.
    """
    from frenemy import recipes

    choices: list[Any] = [Annotated[None, subcommand("none", description="(with --resume)")]]
    named = [word] if not word.startswith("-") else recipes.__all__
    _known(word, recipes.__all__, "recipe")
    for name in named:
        recipe = getattr(recipes, name)
        choices.append(Annotated[object, subcommand(name, constructor=_filled(recipe))])

    @functools.wraps(train)
    def verb(options: OmitArgPrefixes[TrainOptions], recipe: Any = None) -> None:
        train(options, recipe)

    union = Union[tuple(choices)]  # noqa: UP007 (made at run time)
    marked = OmitSubcommandPrefixes[OmitArgPrefixes[union]]  # pyright: ignore (a type made at run time)
    verb.__annotations__["recipe"] = marked
    return verb


def _filled(recipe: Callable[..., Any]) -> Callable[..., functools.partial[Any]]:
    """A function of the recipe's arguments but for its data, which are filled in later."""
    signature = inspect.signature(recipe, eval_str=True)
    parameters = [p for p in signature.parameters.values() if p.name != "data"]

    def fill(**arguments: Any) -> functools.partial[Any]:
        return functools.partial(recipe, **arguments)

    fill.__doc__ = recipe.__doc__
    chosen = signature.replace(parameters=parameters)
    fill.__signature__ = chosen  # pyright: ignore (inspect reads it, typing does not know it)
    fill.__annotations__ = {p.name: p.annotation for p in parameters}
    return fill


def sample(
    run: RunPath, n: Number = 64, seed: int = 0, out: Out = None, device: DeviceName = "auto"
) -> None:
    """Draw samples into a picture, an .npz or a folder.

    Args:
        run: the run's directory.
        n: how many.
        seed: of the noise.
        out: FILE.png, FILE.npz (`images`: uint8, (N, H, W[, 3])) or DIR/; RUN/sample.png.
        device: where to compute.
    """
    from frenemy.model import Model
    from frenemy.pictures import save_images

    at_least(1, n=n)
    at_least(0, seed=seed)
    images = Model.load(run, device).sample(n, seed=seed)
    print(save_images(images, out or run / "sample.png"))


def walk(
    run: RunPath,
    points: int = 8,
    steps: int = 12,
    seed: int = 0,
    out: Annotated[list[Path] | None, arg(aliases=["-o"])] = None,
    device: DeviceName = "auto",
) -> None:
    """Walk along straight lines between points of z, as in the paper's Figure 3.

    Args:
        run: the run's directory.
        points: how many; the walk returns to the first.
        steps: images from one point to the next.
        seed: of the points.
        out: pictures (strips, one line a row) and films (.gif, .webp, .mp4); RUN/walk.png and .gif.
        device: where to compute.
    """
    from frenemy.model import Model
    from frenemy.pictures import FILMS, enlarge, grid, save_film, save_picture

    at_least(1, points=points, steps=steps)
    at_least(0, seed=seed)
    lines = Model.load(run, device).walk(points, steps, seed=seed)
    frames = enlarge(lines.reshape(-1, *lines.shape[2:]))
    for path in out or [run / "walk.png", run / "walk.gif"]:
        if path.suffix.lower() in FILMS:
            print(save_film(list(frames), path))
        else:
            print(save_picture(grid(frames, columns=steps), path))


def neighbours(
    run: RunPath,
    data: Path | None = None,
    n: Number = 1000,
    seed: int = 0,
    out: Out = None,
    device: DeviceName = "auto",
) -> None:
    """Show samples beside their nearest training images, as in the paper's Figure 2.

    Each row is five samples and the training image nearest to the fifth. The table compares the
    distances of samples to the training images with those of held-out test images.

    Args:
        run: the run's directory.
        data: the training data, if not where the run found them.
        n: samples, and test images, whose distances are compared.
        seed: of the noise.
        out: the picture; RUN/neighbours.png.
        device: where to compute.
    """
    import numpy as np

    from frenemy.display import console, distance_table
    from frenemy.judge.neighbours import compare_with_training
    from frenemy.model import Model
    from frenemy.pictures import enlarge, grid, save_picture

    at_least(1, n=n)
    at_least(0, seed=seed)
    model = Model.load(run, device)
    parts = model.data(data)
    fake = model.sample(max(n, 25), seed=seed)
    train, test = model.as_seen(parts.train.images), model.as_seen(parts.test.images[:n])
    found = compare_with_training(fake=fake, train=train, test=test)
    rows = [[*fake[i : i + 5], train[found.index[i + 4]]] for i in range(0, 25, 5)]
    picture = grid(enlarge(np.concatenate([np.stack(row) for row in rows])), columns=6)
    console.print(distance_table(found))
    print(save_picture(picture, out or run / "neighbours.png"))


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
    """By what, and how.

    Attributes:
        against: the real images; those that the run was trained on, if it is one.
        metrics: fid, kid, is, precision, recall, density, coverage, two-sample, vendi, classes,
            class-kl, class-diversity, copying, parzen; and, only when asked for, the slow
            ones: fid-infinity, sliced-wasserstein, ais.
        features: what images are compared by: pixels, random, classifier-NAME, stacked-NAME,
            inception, inception-clean or FILE.onnx; a classifier that was trained on these images
            if there is one, else random.
        samples: how many images of each.
        seed: of all that is drawn.
        size: bring all images to size x size first.
        fit: how: crop the centre, or stretch.
        umap: draw the embedding by UMAP, if it is installed, and not by principal components.
        all_checkpoints: also judge the run's earlier checkpoints, and draw curves.
        out: the report's .json, beside which the page lies as .html; judge.json in the run.
        device: where to compute.
        train_features: train a classifier on this labelled set first, for --features.
        name: of that classifier; that of the set, if none is given.
    """

    against: Path | None = None
    metrics: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    samples: int = 10_000
    seed: int = 0
    size: int | None = None
    fit: Fit = "crop"
    umap: bool = False
    all_checkpoints: bool = False
    out: Out = None
    device: DeviceName = "auto"
    train_features: Path | None = None
    name: str | None = None


def judge(
    options: OmitArgPrefixes[JudgeOptions],
    target: Annotated[Positional[Path | None], arg(metavar="TARGET")] = None,
) -> None:
    """Measure how good samples are: frenemy judge RUN, or FOLDER --against FOLDER.

    Args:
        options: by what, and how.
        target: a run, or images: a folder, an .npz.
    """
    from frenemy.display import console, report_rows, working

    features = options.features
    if options.train_features is not None:
        features = (*features, _train_features(options))
        if target is None:
            return
    if target is None:
        raise FrenemyError("judge what? give a run, or a folder or .npz with --against SOURCE")
    at_least(1, samples=options.samples)
    at_least(0, seed=options.seed)
    from frenemy import judging
    from frenemy.data import open_dataset, open_images
    from frenemy.engine import choose_device
    from frenemy.model import Model
    from frenemy.run import write_atomically

    is_run = (target / "run.json").exists()
    out = options.out or (target / "judge.json" if is_run else Path("judge.json"))
    if out.suffix != ".json":
        raise FrenemyError(f"--out {out}: the report is a .json file")
    if not is_run and (options.against is None or options.all_checkpoints):
        missing = "say what to judge it by: --against SOURCE"
        remedy = missing if options.against is None else "leave out --all-checkpoints"
        raise FrenemyError(f"{target} is no run: {remedy}")
    if is_run and options.size is not None:
        raise FrenemyError("--size: a run's images keep the size they were trained in")
    protocol = judging.Protocol(
        metrics=options.metrics,
        features=features,
        samples=options.samples,
        seed=options.seed,
        device=choose_device(options.device),
    )
    with working() as say:
        if is_run:
            model = Model.load(target, options.device)
            data = model.seen(model.data(options.against))
            subject = judging.subject_of(model, options.samples, options.seed)
            judgement = judging.judge(subject, data, protocol, say=say)
            if options.all_checkpoints:
                found = judging.curves(model, data, protocol, say=say)
                report = dataclasses.replace(judgement.report, curves=found)
                judgement = dataclasses.replace(judgement, report=report)
        else:
            data = open_dataset(options.against, size=options.size, fit=options.fit)
            images = open_images(target, size=options.size, fit=options.fit)
            drawn = images.random(options.samples, seed=options.seed)
            judgement = judging.judge(judging.Subject(str(target), drawn), data, protocol, say=say)
    console.print(report_rows(judgement.report))
    print(judgement.report.save(out))
    html, page = out.with_suffix(".html"), judgement.page("umap" if options.umap else "pca")
    print(write_atomically(html, lambda part: part.write_text(page, "utf-8")))


def _train_features(options: JudgeOptions) -> str:
    """Trains the classifier that was asked for; returns the name of its features."""
    from frenemy.data import open_dataset
    from frenemy.display import working
    from frenemy.supervised import train_classifier

    source = options.train_features
    assert source is not None
    data = open_dataset(source, size=options.size, fit=options.fit)
    name = options.name or source.resolve().name.partition(".")[0]
    with working() as say:
        path, card = train_classifier(
            data,
            name,
            device=options.device,
            seed=options.seed,
            progress=lambda share: say(f"training the classifier {name!r}: {share:.0%}"),
        )
    print(f"{path}: classifier-{name}, {card.accuracy:.2%} right on {card.tested:,} test images")
    return f"classifier-{name}"


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")],
) -> None:
    """Lay the reports of several runs side by side, and say which differences mean something.

    Args:
        runs: judged runs, or their judge.json: two or more.
    """
    from frenemy.display import comparison_rows, console
    from frenemy.judge.report import Report

    if len(runs) < 2:
        raise FrenemyError("compare takes two runs or more")
    paths = [path / "judge.json" if path.is_dir() else path for path in runs]
    console.print(comparison_rows([Report.load(path) for path in paths]))


def health(run: RunPath) -> None:
    """Say how a run's game is going: what was measured, and what ails it.

    Args:
        run: the run's directory.
    """
    from frenemy.display import console, health_rows
    from frenemy.judge.health import diagnose, ticks_of
    from frenemy.run import Run

    ticks = ticks_of(Run.open(run).rows())
    if not ticks:
        raise FrenemyError(f"{run} has no measurements yet: they begin after 100 rounds")
    console.print(health_rows(ticks, diagnose(ticks)))


def film(run: RunPath, out: Out = None, fps: float = 8.0) -> None:
    """Show how the fixed samples of a run grew.

    Args:
        run: the run's directory.
        out: the film: .gif, .webp or .mp4; RUN/film.gif.
        fps: frames a second.
    """
    from frenemy.pictures import load_picture, save_film
    from frenemy.run import Run

    at_least(0.1, fps=fps)
    frames = [load_picture(path) for path in Run.open(run).samples()]
    if not frames:
        raise FrenemyError(f"{run} has no samples yet")
    print(save_film(frames, out or run / "film.gif", fps=fps, hold=2.0))


def recipes() -> None:
    """List the recipes: what each plays, what it reaches and in what paper."""
    from rich.table import Table

    from frenemy import recipes as all_recipes
    from frenemy.display import console

    table = Table(show_header=False, box=None, pad_edge=False)
    for name in all_recipes.__all__:
        table.add_row(f"[bold]{name}", inspect.getdoc(getattr(all_recipes, name)))
    console.print(table)


def data(
    path: Annotated[Positional[Path | None], arg(metavar="PATH")] = None,
    size: int | None = None,
    fit: Fit = "crop",
    out: Annotated[Path, arg(aliases=["-o"])] = Path("contact-sheet.png"),
) -> None:
    """Report what lies at a path: count, sizes, modes, duplicates, unreadable files; draw a sheet.

    Args:
        path: as --data of `train`; the embedded digits if none is given.
        size: make every image size x size first.
        fit: how: crop the centre, or stretch.
        out: the contact sheet.
    """
    from frenemy.data import describe
    from frenemy.display import console, report_table
    from frenemy.pictures import enlarge, grid, save_picture

    report = describe(path, size=size, fit=fit)
    console.print(report_table(report))
    print(save_picture(grid(enlarge(report.thumbnails)), out))


def _first_word(arguments: Sequence[str]) -> str:
    """The first word behind the verb that is no option, nor may be an option's value."""
    for before, word in itertools.pairwise(arguments):
        if not word.startswith("-") and (not before.startswith("--") or "=" in before):
            return word
    return "--help"


def _known(word: str, names: Sequence[str], kind: str) -> None:
    """Refuses a word that is neither an option nor one of the names, with the nearest of them."""
    if not word.startswith("-") and word not in names:
        near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}"
        raise FrenemyError(f"no {kind} {word!r}: {hint}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 1 for an error, 128 + n for signal n."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    verbs: dict[str, Callable[..., None]] = {
        "train": train,
        "sample": sample,
        "walk": walk,
        "neighbours": neighbours,
        "judge": judge,
        "compare": compare,
        "health": health,
        "film": film,
        "recipes": recipes,
        "data": data,
    }
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        verb = arguments[0] if arguments else "--help"
        _known(verb, list(verbs), "command")
        if verb == "train":
            verbs["train"] = _train_with_recipes(_first_word(arguments))
        tyro.extras.subcommand_cli_from_dict(
            verbs,
            prog="frenemy",
            description="Train, judge and use generative adversarial networks on your own images.",
            args=arguments,
            config=(CascadeSubcommandArgs,),
        )
    except FrenemyError as error:
        print(f"frenemy: {error}", file=sys.stderr)
        number: int | None = getattr(error, "signal", None)
        return 1 if number is None else 128 + number
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough
        sys.stdout = None
    return 0


if __name__ == "__main__":
    sys.exit(main())
