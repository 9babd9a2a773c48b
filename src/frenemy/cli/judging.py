"""The verbs that say how good a game is, and how it goes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import DeviceName, OptionalPath, optional
from frenemy.cli.options import (
    AS_THEY_ARE,
    NOT_OWN,
    OfClass,
    Out,
    Own,
    OwnRecipe,
    Preparation,
    Prepared,
    Round,
    RunPath,
)
from frenemy.errors import FrenemyError, at_least, at_most

if TYPE_CHECKING:
    from frenemy.judge.features import Features
    from frenemy.judging import Judgement, Protocol

    Judged = Callable[[Protocol, Callable[[str], None]], Judgement]


def _metrics(_: str) -> str:
    from frenemy.judge.metrics import METRICS

    default, more, slow = (
        ", ".join(m.name for m in METRICS.values() if m.when == when)
        for when in ("default", "all", "named")
    )
    return f"(default: {default}; by all: {more}, too; only if named, because it is slow: {slow})"


Names = Annotated[tuple[str, ...], optional("NAME [NAME ...]")]
Numbers = Annotated[tuple[float, ...], optional("FLOAT [FLOAT FLOAT]")]
Metrics = Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]", help_behavior_hint=_metrics)]


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
    """By what, and how.

    Attributes:
        against: the real images; those that the run was trained on, if it is one.
        of_class: judge samples of one class, of those that a run's players are told, against real
            images of it.
        metrics: what is measured; "all" for everything but what is slow.
        features: what images are compared by: pixels, random, lite0, classifier-NAME, stacked-NAME,
            inception, inception-clean or FILE.onnx; a classifier that was trained on these images
            if there is one, else lite0 for colour pictures if it is installed, else random.
        mean: of pixels in [0, 1], subtracted before FILE.onnx sees them: one number or three; .5.
        std: by which they are divided then; .5.
        output: of FILE.onnx, by its name, NAME:0 for the first of its tokens; the first output.
        samples: how many images of each.
        reference: as many random training images as samples, or all.
        seed: of all that is drawn.
        step: the round whose checkpoint of a run is judged, if it was kept, or best; the last.
        images: what is done to them first; but --range is that of --against alone.
        umap: draw the embedding by UMAP, if it is installed, and not by principal components.
        all_checkpoints: also judge the run's earlier checkpoints, and draw curves.
        out: the report's .json, beside which the page lies as .html; judge.json in the run,
            or judge-CLASS.json.
        device: where to compute.
        train_features: train a classifier on this labelled set first, for --features.
        name: of that classifier: letters, digits, - and _; that of the set, if none is given.
    """

    against: Annotated[Path | None, optional("PATH", "--data")] = None
    of_class: OfClass = None
    metrics: Metrics = ()
    features: Names = ()
    mean: Numbers = ()
    std: Numbers = ()
    output: Annotated[str | None, optional("NAME")] = None
    samples: int = 10_000
    reference: Literal["samples", "all"] = "samples"
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
    own: Own = NOT_OWN,
) -> None:
    """Measure how good samples are: frenemy judge RUN, or FOLDER --against FOLDER.

    Args:
        options: by what, and how.
        target: a run, or images: a folder, an .npz.
        own: a recipe of your own.
    """
    source = options.train_features
    if source is None and options.name is not None:
        raise FrenemyError(f"--name {options.name}: it names what --train-features SOURCE trains")
    if source is None and target is None:
        raise FrenemyError(
            "judge what? give, before all options, a run, or a folder or .npz with --against SOURCE"
        )
    from frenemy.engine import choose_device
    from frenemy.files import write_atomically
    from frenemy.judge.report import report_table
    from frenemy.judging import Protocol
    from frenemy.places import require_place
    from frenemy.sampling import LARGEST_SEED
    from frenemy.terminal import console, working

    at_least(0, seed=options.seed)
    at_most(LARGEST_SEED, seed=options.seed)
    trained = [] if source is None else _features_of(source, options.name)
    if target is None:
        _train_features(options, trained[0])
        return
    # all that can be refused is refused before a classifier is trained or samples are drawn
    is_run = (target / "run.json").exists()
    of_class = re.sub(r"[^\w. -]", lambda c: f"%{ord(c[0]):02x}", options.of_class or "")
    file = f"judge-{of_class}.json" if of_class else "judge.json"
    out = options.out or (target / file if is_run else Path(file))
    if out.suffix != ".json":
        raise FrenemyError(f"--out {out}: the report is a .json file")
    html = out.with_suffix(".html")
    require_place(out, html)
    protocol = Protocol(
        metrics=options.metrics,
        features=_features(options, [name for name in options.features if name not in trained]),
        samples=options.samples,
        reference=options.reference,
        seed=options.seed,
        device=choose_device(options.device),
    )
    judged = (_judge_run if is_run else _judge_images)(target, options, own)
    if trained:
        _train_features(options, trained[0])
        features = dict.fromkeys([*options.features, trained[0]])
        protocol = dataclasses.replace(protocol, features=_features(options, features))
    with working() as say:
        judgement = judged(protocol, say)
    judgement.report.save(out)
    page = judgement.page("umap" if options.umap else "pca")
    write_atomically(html, lambda part: part.write_text(page, "utf-8"))
    console.print(report_table(judgement.report))
    print(out, html, sep="\n")


def _features(options: JudgeOptions, names: Iterable[str]) -> list[str | Features]:
    """The names, and what an ONNX file among them gives if it is seen as the options say."""
    from frenemy.judge.named_features import require_features
    from frenemy.judge.onnx_features import of_onnx

    given = {"mean": options.mean, "std": options.std, "output": options.output}
    given = {name: value for name, value in given.items() if value}
    if given and not any(name.endswith(".onnx") for name in options.features):
        raise FrenemyError(f"--{', --'.join(given)}: needs --features FILE.onnx")
    features: list[str | Features] = []
    for name in names:
        require_features(name)
        features.append(of_onnx(Path(name), **given) if name.endswith(".onnx") else name)
    return features


def _judge_run(run: Path, options: JudgeOptions, own: OwnRecipe) -> Judged:
    """Opens the run and what it is judged by; what is returned does the work."""
    from frenemy import judging
    from frenemy.judge.named_features import default_features
    from frenemy.model import Model

    shown = options.images.range
    if options.images != Preparation(range=shown):
        raise FrenemyError(
            "--size, --fit, --grey, --opaque: a run's images stay as it was trained on them"
        )
    if shown is not None and options.against is None:
        raise FrenemyError("--range: the run knows that of its own images; it is for --against")
    model = Model.load(run, options.device, step=options.step, **own.arguments)
    opened = whole = model.data(options.against, shown)
    if options.of_class is not None:
        model.labels(options.of_class, 1)
        opened = whole.of_class(options.of_class)

    def judged(protocol: Protocol, say: Callable[[str], None]) -> Judgement:
        data = model.seen(opened)
        if options.of_class and not protocol.features:  # as for all classes
            features = default_features(model.seen(whole).opaque())
            protocol = dataclasses.replace(protocol, features=features)
        of_class = options.of_class
        target = judging.target_of(model, protocol.samples, protocol.seed, data, of_class)
        judgement = judging.judge(target, data, protocol, say=say)
        if not options.all_checkpoints:
            return judgement
        curves = judging.curves(model, data, protocol, judgement.report, say=say, of_class=of_class)
        report = dataclasses.replace(judgement.report, curves=curves)
        return dataclasses.replace(judgement, report=report)

    return judged


def _judge_images(path: Path, options: JudgeOptions, own: OwnRecipe) -> Judged:
    """As `_judge_run`, for a folder or an array of images."""
    from frenemy import judging
    from frenemy.data import open_dataset, open_images

    if options.against is None:
        raise FrenemyError(f"{path} is no run: say what to judge it by: --against SOURCE")
    if options.all_checkpoints or options.step is not None or own != NOT_OWN or options.of_class:
        told = "--all-checkpoints, --step, --class and --recipe"
        raise FrenemyError(f"{path} is no run: leave out {told}")
    how = options.images.arguments
    data = open_dataset(options.against, **how).opaque()
    images = open_images(path, **{**how, "range": None}).opaque()
    judging.require_shape(str(path), images.shape, data)

    def judged(protocol: Protocol, say: Callable[[str], None]) -> Judgement:
        drawn = images.random(protocol.samples, seed=protocol.seed)
        return judging.judge(judging.Target(str(path), drawn), data, protocol, say=say)

    return judged


def _train_features(options: JudgeOptions, features: str) -> None:
    """Trains the classifier of these features on the set that was named for it."""
    from frenemy.data import open_dataset
    from frenemy.supervised import train_classifier
    from frenemy.terminal import working

    name = features.removeprefix("classifier-")
    data = open_dataset(options.train_features, **options.images.arguments)
    with working() as say:
        path, card = train_classifier(
            data,
            name,
            device=options.device,
            seed=options.seed,
            progress=lambda share: say(f"training the classifier {name!r}: {share:.0%}"),
        )
    print(f"{path}: {features}, {card.accuracy:.2%} right on {card.tested:,} test images")


def _features_of(source: Path, name: str | None) -> list[str]:
    """The features that training gives: of images, and of stacks of three.

    Without a name the classifier has one from its set's: "my cats" is my-cats.
    """
    if name is None:
        own = source.resolve().name.partition(".")[0]
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", own).lstrip("-._")
        if not name:
            raise FrenemyError(
                f"{source} gives the classifier no name: give one of letters by --name"
            )
    return [f"classifier-{name}", f"stacked-{name}"]


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")],
) -> None:
    """Lay the reports of several runs side by side, and say which differences mean something.

    Args:
        runs: judged runs, or their judge.json: two or more.
    """
    from frenemy.judge.comparison import comparison_table
    from frenemy.judge.report import Report
    from frenemy.terminal import console

    if len(runs) < 2:
        raise FrenemyError("compare takes two runs or more")
    paths = [path / "judge.json" if path.is_dir() else path for path in runs]
    console.print(comparison_table([Report.load(path) for path in paths]))


def health(run: RunPath) -> None:
    """Say how a run's game is going: what was measured; what goes wrong, or that it goes well, or
    why it cannot be told.

    Args:
        run: the run's directory.
    """
    from frenemy.best import copying, summary, validations_of
    from frenemy.diagnosis import health_table, measurements_of, outcome
    from frenemy.run import Run
    from frenemy.terminal import console

    opened = Run.open(run)
    history = measurements_of(opened.rows())
    if not history:
        raise FrenemyError(f"{run} has no measurements yet: they begin after 50 rounds")
    arguments, best = opened.header["arguments"], opened.header.get("best")
    validations = validations_of(opened.rows(), opened.header.get("keep_best") or "")
    copies = copying(validations, best and best["step"], arguments)
    found = outcome(history, arguments, copies)
    console.print(health_table(history, found, console.width))
    if said := summary(validations, best):
        console.print(said)
