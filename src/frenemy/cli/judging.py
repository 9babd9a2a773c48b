"""The verbs that say how good a game is, and how it goes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import DeviceName
from frenemy.cli.options import AS_THEY_ARE, OptionalPath, Out, Prepared, Round, RunPath, optional
from frenemy.errors import FrenemyError, at_least, at_most

if TYPE_CHECKING:
    from frenemy.judging import Judgement, Protocol


Names = Annotated[tuple[str, ...], optional("NAME [NAME ...]")]


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
    """By what, and how.

    Attributes:
        against: the real images; those that the run was trained on, if it is one.
        metrics: all of fid, kid, is, precision, recall, density, coverage, two-sample, vendi,
            classes, class-kl, class-diversity, copying, parzen; and, only when asked for, the slow
            ones: fid-infinity, sliced-wasserstein, ais.
        features: what images are compared by: pixels, random, classifier-NAME, stacked-NAME,
            inception, inception-clean or FILE.onnx; a classifier that was trained on these images
            if there is one, else random.
        samples: how many images of each.
        seed: of all that is drawn.
        step: the round whose checkpoint of a run is judged, if it was kept; the last.
        images: what is done to them first.
        umap: draw the embedding by UMAP, if it is installed, and not by principal components.
        all_checkpoints: also judge the run's earlier checkpoints, and draw curves.
        out: the report's .json, beside which the page lies as .html; judge.json in the run.
        device: where to compute.
        train_features: train a classifier on this labelled set first, for --features.
        name: of that classifier: letters, digits, - and _; that of the set, if none is given.
    """

    against: Annotated[Path | None, optional("PATH", "--data")] = None
    metrics: Names = ()
    features: Names = ()
    samples: int = 10_000
    seed: int = 0
    step: Round = None
    images: Prepared = AS_THEY_ARE
    umap: bool = False
    all_checkpoints: bool = False
    out: Out = None
    device: DeviceName = "auto"
    train_features: OptionalPath = None
    name: Annotated[str | None, optional("NAME")] = None


def judge(
    options: Annotated[OmitArgPrefixes[JudgeOptions], arg(name="judging")],
    target: Annotated[Positional[Path | None], optional("[TARGET]")] = None,
) -> None:
    """Measure how good samples are: frenemy judge RUN, or FOLDER --against FOLDER.

    Args:
        options: by what, and how.
        target: a run, or images: a folder, an .npz.
    """
    from frenemy.display import console, report_rows, working

    at_least(0, seed=options.seed)
    features = options.features
    if options.train_features is not None:
        features = (*features, _train_features(options.train_features, options))
        if target is None:
            return
    elif options.name is not None:
        raise FrenemyError(f"--name {options.name}: it names what --train-features SOURCE trains")
    if target is None:
        raise FrenemyError("judge what? give a run, or a folder or .npz with --against SOURCE")
    at_least(1, samples=options.samples)
    from frenemy.engine import choose_device
    from frenemy.files import write_atomically
    from frenemy.judging import Protocol
    from frenemy.model import LARGEST_SEED

    at_most(LARGEST_SEED, seed=options.seed)

    is_run = (target / "run.json").exists()
    out = options.out or (target / "judge.json" if is_run else Path("judge.json"))
    if out.suffix != ".json":
        raise FrenemyError(f"--out {out}: the report is a .json file")
    protocol = Protocol(
        metrics=options.metrics,
        features=features,
        samples=options.samples,
        seed=options.seed,
        device=choose_device(options.device),
    )
    judged = _judge_run if is_run else _judge_images
    with working() as say:
        judgement = judged(target, options, protocol, say)
    console.print(report_rows(judgement.report))
    print(judgement.report.save(out))
    html, page = out.with_suffix(".html"), judgement.page("umap" if options.umap else "pca")
    print(write_atomically(html, lambda part: part.write_text(page, "utf-8")))


def _judge_run(
    run: Path, options: JudgeOptions, protocol: Protocol, say: Callable[[str], None]
) -> Judgement:
    from frenemy import judging
    from frenemy.model import Model

    if options.images != AS_THEY_ARE:
        raise FrenemyError("--size, --fit, --grey: a run's images stay as it was trained on them")
    model = Model.load(run, options.device, step=options.step)
    data = model.seen(model.data(options.against))
    subject = judging.subject_of(model, options.samples, options.seed)
    judgement = judging.judge(subject, data, protocol, say=say)
    if not options.all_checkpoints:
        return judgement
    curves = judging.curves(model, data, protocol, judgement.report, say=say)
    report = dataclasses.replace(judgement.report, curves=curves)
    return dataclasses.replace(judgement, report=report)


def _judge_images(
    path: Path, options: JudgeOptions, protocol: Protocol, say: Callable[[str], None]
) -> Judgement:
    from frenemy import judging
    from frenemy.data import open_dataset, open_images

    if options.against is None:
        raise FrenemyError(f"{path} is no run: say what to judge it by: --against SOURCE")
    if options.all_checkpoints or options.step is not None:
        raise FrenemyError(f"{path} is no run: leave out --all-checkpoints and --step")
    how = options.images.arguments
    data, images = open_dataset(options.against, **how), open_images(path, **how)
    drawn = images.random(options.samples, seed=options.seed)
    return judging.judge(judging.Subject(str(path), drawn), data, protocol, say=say)


def _train_features(source: Path, options: JudgeOptions) -> str:
    """Trains the classifier that was asked for; returns the name of its features."""
    from frenemy.data import open_dataset
    from frenemy.display import working
    from frenemy.supervised import train_classifier

    name = options.name if options.name is not None else _name_of(source)
    data = open_dataset(source, **options.images.arguments)
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


def _name_of(source: Path) -> str:
    """A legal name for the classifier of a set, from the set's own: "my cats" is my-cats."""
    name = source.resolve().name.partition(".")[0]
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip("-._")
    if not legal:
        raise FrenemyError(f"{source} gives the classifier no name: give one of letters by --name")
    return legal


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
