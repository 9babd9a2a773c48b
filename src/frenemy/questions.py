"""What is asked of samples and of runs: how good they are, and what differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frenemy.choices import DeviceName, Fit
from frenemy.data import Dataset, open_dataset, open_images
from frenemy.data.detect import is_path
from frenemy.engine import choose_device
from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.experiment import Recipe
from frenemy.judge import comparison
from frenemy.judge.comparison import Comparison
from frenemy.judge.features import Features
from frenemy.judge.named_features import default_features
from frenemy.judge.report import Report
from frenemy.judge.seeds import Judged
from frenemy.judging import Judgement, Protocol, Reference, Target, require_shape
from frenemy.judging import judge as judge_images
from frenemy.judging_runs import curves, target_of
from frenemy.model import Model
from frenemy.places import user_path
from frenemy.run import Run
from frenemy.run import is_run as run_lies_at
from frenemy.sampling import LARGEST_SEED

Say = Callable[[str], None]
Judging = Callable[[Protocol, Say], Judgement]
"""What is opened already, and needs to be told how it is judged."""


def judge(
    target: Any,
    against: Any = None,
    *,
    of_class: str | None = None,
    metrics: Sequence[str] = (),
    features: Sequence[str | Features] = (),
    samples: int = 10_000,
    reference: Reference = "samples",
    seed: int = 0,
    step: Any = None,
    all_checkpoints: bool = False,
    device: DeviceName = "auto",
    recipe: Recipe | None = None,
    recipe_changed: bool = False,
    size: int | None = None,
    fit: Fit = "crop",
    grey: bool = False,
    opaque: bool = False,
    range: str | None = None,
    say: Say = lambda _: None,
) -> Judgement:
    """How good samples are, by metrics with a named protocol: `judge(run)`, `judge(images, real)`.

    Nothing is written: `Judgement.save` does that.

    Args:
        target: a run (its directory, or what `train` returned), or images, as `open_dataset` takes
            them: an array, a tensor, a folder ...
        against: the real images, likewise; those that the run was trained on, if it is one.
        of_class: as `frenemy judge --class`.
        metrics, features, samples, reference: as of `frenemy.judging.Protocol`.
        seed: of all that is drawn.
        step: the round whose checkpoint of a run is judged, or "best"; the last.
        all_checkpoints: also judge the run's earlier checkpoints.
        device: where to compute.
        recipe, recipe_changed: as of `frenemy.Model.load`.
        size, fit, grey, opaque: what is done to images first, as of `open_dataset`; a run's stay
            as it was trained on them.
        range: as of `open_dataset`, of `against` alone: samples are bytes, or floats in [0, 1].
        say: is told what is being measured.

    Raises:
        FrenemyError: something cannot be read, does not fit, or cannot be measured.

    >>> import numpy as np
    >>> real = np.random.default_rng(0).integers(0, 256, (400, 8, 8), np.uint8)
    >>> found = judge(real[:200], real[200:], metrics=["kid"], features=["pixels"])
    >>> [row["column"] for row in found.rows()][0], found.report.lines[0].metric
    ('samples', 'kid200_pixels')
    """
    how = {"size": size, "fit": fit, "grey": grey, "opaque": opaque, "range": range}
    protocol = Protocol(metrics, features, samples, reference, checked_seed(seed), None)
    protocol = dataclasses.replace(protocol, device=choose_device(device))
    asked = to_judge(
        *(target, against, how), of_class=of_class, step=step, all_checkpoints=all_checkpoints,
        device=device, recipe=recipe, recipe_changed=recipe_changed,
    )  # fmt: skip
    return asked(protocol, say)


def checked_seed(seed: int) -> int:
    """The seed; raises FrenemyError if it is none."""
    at_least(0, seed=seed)
    at_most(LARGEST_SEED, seed=seed)
    return seed


def is_run(target: Any) -> bool:
    """Whether this is a run, or its directory."""
    if target is None or not is_path(target):
        return isinstance(target, Run)
    return run_lies_at(user_path(target))


def to_judge(
    target: Any,
    against: Any,
    how: dict[str, Any],
    *,
    of_class: str | None,
    step: Any,
    all_checkpoints: bool,
    **model: Any,
) -> Judging:
    """Opens what is judged and what by, so that all is refused that can be before any work.

    Args:
        target, against, of_class, step, all_checkpoints: as of `judge`.
        how: what is done to images first.
        model: arguments of `Model.load`.
    """
    shown = how["range"]
    if is_run(target):
        if how != {"size": None, "fit": "crop", "grey": False, "opaque": False, "range": shown}:
            raise FrenemyError(
                "--size, --fit, --grey, --opaque: leave them out: a run's stay as in training"
            )
        if shown is not None and against is None:
            raise FrenemyError("--range: the run knows that of its own images; it is for --against")
        path = target.path if isinstance(target, Run) else user_path(target)
        opened = Model.load(path, step=step, **model)
        return _of_run(opened, opened.data(against, shown), of_class, all_checkpoints)
    name = str(target) if is_path(target) else f"the {type(target).__name__}"
    if against is None:
        raise FrenemyError(f"{name} is not a run: name the real images by --against SOURCE")
    own = model.get("recipe") or model.get("recipe_changed")
    if all_checkpoints or step is not None or own or of_class:
        told = "--all-checkpoints, --step, --class and --recipe"
        raise FrenemyError(f"{name} is not a run: leave out {told}")
    data = open_dataset(against, **how).opaque()
    images = open_images(target, **{**how, "range": None}).opaque()
    require_shape(name, images.shape, data)

    def judging(protocol: Protocol, say: Say) -> Judgement:
        drawn = images.random(protocol.samples, seed=protocol.seed)
        return judge_images(Target(name, drawn), data, protocol, say=say)

    return judging


def _of_run(model: Model, whole: Dataset, of_class: str | None, all_checkpoints: bool) -> Judging:
    opened = whole
    if of_class is not None:
        model.labels(of_class, 1)
        opened = whole.of_class(of_class)

    def judging(protocol: Protocol, say: Say) -> Judgement:
        data = model.seen(opened)
        if of_class and not protocol.features:  # as for all classes
            features = default_features(model.seen(whole).opaque())
            protocol = dataclasses.replace(protocol, features=features)
        target = target_of(model, protocol.samples, protocol.seed, data, of_class)
        judgement = judge_images(target, data, protocol, say=say)
        if not all_checkpoints:
            return judgement
        drawn = curves(model, data, protocol, judgement.report, say=say, of_class=of_class)
        report = dataclasses.replace(judgement.report, curves=drawn)
        return dataclasses.replace(judgement, report=report)

    return judging


def compare(*judged: Judgement | Report | Run | Path | str) -> Comparison:
    """Several reports side by side: what differs by more than its error.

    Args:
        judged: what `judge` returned, judged runs, or their judge.json: two or more.

    Raises:
        FrenemyError: a report is not there, or nothing is comparable.
    """
    if len(judged) < 2:
        raise FrenemyError("compare takes two runs or more")
    return comparison.compare([_judged(one) for one in judged])


def _judged(one: Judgement | Report | Run | Path | str) -> Judged:
    if isinstance(one, Judgement):
        return Judged(one.report)
    if isinstance(one, Report):
        return Judged(one)
    return Judged.load(one.path if isinstance(one, Run) else user_path(one))
