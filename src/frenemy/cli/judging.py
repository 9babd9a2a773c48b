"""The verbs that say how good a game is, and how it goes."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable
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
    Prepared,
    Round,
    RunPath,
)
from frenemy.errors import FrenemyError

if TYPE_CHECKING:
    from frenemy.judge.features import Features


def _metrics(_: str) -> str:
    from frenemy.judge.metrics import METRICS

    default, more, slow = (
        ", ".join(m.name for m in METRICS.values() if m.when == when)
        for when in ("default", "all", "named")
    )
    return f"(default: {default}; by all: {more}, too; only if named, because it is slow: {slow})"


Names = Annotated[tuple[str, ...], optional("NAME [NAME ...]")]
Numbers = Annotated[tuple[float, ...], optional("FLOAT [FLOAT FLOAT]")]
Destination = Annotated[Path | None, optional("FILE|-")]
PRINTED = Path("-")
Metrics = Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]", help_behavior_hint=_metrics)]


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
    """What to compare with, and how.

    Attributes:
        against: the real images; for a run, by default those that it was trained on.
        of_class: judge samples of one class of a class-conditional run against real images of it.
        metrics: what to measure; "all" for everything that is not slow.
        features: the features to compare in: pixels, random, lite0, classifier-NAME, stacked-NAME,
            inception, inception-clean or FILE.onnx; by default a classifier trained on these images
            if there is one, else lite0 for colour pictures if it is installed, else random.
        mean: of pixels in [0, 1], subtracted before FILE.onnx sees them: one number or three; .5.
        std: by which they are then divided; .5.
        output: of FILE.onnx, by its name, NAME:0 for the first of its tokens; the first output.
        samples: how many images of each set.
        reference: compare with as many random training images as samples, or with all.
        seed: of everything random.
        step: judge the checkpoint of this round, if it was kept, or the best; by default the last.
        images: what is done to them first; but --range is that of --against alone.
        umap: draw the embedding by UMAP, if it is installed, instead of principal components.
        all_checkpoints: also judge the run's earlier checkpoints, and draw curves.
        out: the report's .json; the page goes beside it as .html. By default judge.json in the
            run, or judge-CLASS.json.
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
        options: what to compare with, and how.
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
    from frenemy.judge.adding import earlier, page_of
    from frenemy.judge.report import report_table
    from frenemy.judging import Protocol
    from frenemy.places import require_place
    from frenemy.questions import checked_seed, is_run, to_judge
    from frenemy.terminal import console, working

    checked_seed(options.seed)
    trained = [] if source is None else _features_of(source, options.name)
    if target is None:
        _train_features(options, trained[0])
        return
    # all that can be refused is refused before a classifier is trained or samples are drawn
    of_class = re.sub(r"[^\w. -]", lambda c: f"%{ord(c[0]):02x}", options.of_class or "")
    file = f"judge-{of_class}.json" if of_class else "judge.json"
    out = options.out or (target / file if is_run(target) else Path(file))
    if out.suffix != ".json":
        raise FrenemyError(f"--out {out}: the report is a .json file")
    require_place(out, page_of(out))
    before = earlier(out)
    protocol = Protocol(
        metrics=options.metrics,
        features=_features(options, [name for name in options.features if name not in trained]),
        samples=options.samples,
        reference=options.reference,
        seed=options.seed,
        device=choose_device(options.device),
    )
    judging = to_judge(
        *(target, options.against, options.images.arguments), of_class=options.of_class,
        step=options.step, all_checkpoints=options.all_checkpoints, device=options.device,
        **own.arguments,
    )  # fmt: skip
    if trained:
        _train_features(options, trained[0])
        features = dict.fromkeys([*options.features, trained[0]])
        protocol = dataclasses.replace(protocol, features=_features(options, features))
    with working() as say:
        judgement = judging(protocol, say).added_to(before)
    try:
        saved = judgement.save(out, "umap" if options.umap else "pca")
    finally:  # it is shown though it cannot be written, and written though it cannot be shown
        console.print(report_table(judgement.report))
    print(*saved, sep="\n")


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
                f"{source}: no name for the classifier can be made of this: give one by --name"
            )
    return [f"classifier-{name}", f"stacked-{name}"]


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")],
    csv: Destination = None,
    json: Destination = None,
) -> None:
    """Compare the reports of several runs, and mark the differences that are significant.

    Runs that differ by their seed alone stand in one column: the mean, and its standard error over
    seeds.

    Args:
        runs: judged runs, or their judge.json: two or more.
        csv: also write a row for each metric and column there; - prints them and nothing else.
        json: also write all of it there, with the value of each seed; or -.
    """
    from frenemy import questions
    from frenemy.files import write_atomically
    from frenemy.judge.comparison import comparison_table
    from frenemy.places import require_place
    from frenemy.terminal import console

    if csv == json == PRINTED:
        raise FrenemyError("--csv - --json -: only one of them can be printed")
    for place in (csv, json):
        if place not in (None, PRINTED):
            require_place(place)
    found = questions.compare(*runs)
    texts = [(csv, found.csv), (json, found.json)]
    written = [(place, text()) for place, text in texts if place not in (None, PRINTED)]
    try:
        for place, text in written:
            write_atomically(place, lambda part, text=text: part.write_text(text, "utf-8"))
    finally:  # as in `judge`
        if PRINTED not in (csv, json):
            console.print(comparison_table(found))
        for place, text in texts:
            if place == PRINTED:
                print(text(), end="")
    for place, _ in written:
        print(place, file=sys.stderr if PRINTED in (csv, json) else sys.stdout)


def health(run: RunPath) -> None:
    """Diagnose a run's training: what was measured, and whether it fails (mode collapse ...), goes
    well, or why that cannot be told.

    Args:
        run: the run's directory.
    """
    from frenemy import checkup
    from frenemy.diagnosis import health_table
    from frenemy.terminal import console

    found = checkup.health(run)
    console.print(health_table(found.measurements, found.outcome, console.width))
    if found.best:
        console.print(found.best)
