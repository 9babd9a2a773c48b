"""A run that is judged: its samples, and those of each of its checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Callable
from warnings import warn

from torch import Tensor

from frenemy.data import Dataset
from frenemy.diagnosis import measurements_of, outcome
from frenemy.errors import FrenemyError
from frenemy.judge import ais
from frenemy.judge.report import Report
from frenemy.judge.sets import SAMPLES
from frenemy.judging import Protocol, Target, judge
from frenemy.model import Model
from frenemy.run import step_of


def target_of(
    model: Model, count: int, seed: int, against: Dataset | None = None, of_class: str | None = None
) -> Target:
    """The first `count` samples of a model, and its decoder.

    Where its players are told the classes that `against` has, the samples have the labels of as
    many training images, drawn at random, so that each class has its share; or all are of one.
    """
    name, game = f"{model.run.path} (round {model.progress.step:,})", model.game
    labels = None
    if of_class is not None:
        labels = model.labels(of_class, count)
    elif against is not None and model.classes and model.classes == against.train.classes:
        _, labels = against.train.batch((seed, 1), 0, count)
    images = model.sample(count, seed=seed, labels=labels)
    rows = (row for row in model.run.rows() if row["step"] <= model.progress.step)
    health = outcome(measurements_of(rows), model.run.header["arguments"])
    ails = health.sentence if health.word == "failure" else ""
    drawn = _digest(model, of_class)
    opaque = images.shape[1] % 2  # others are judged on white, where no decoder draws them
    if "G" not in game.players or game.conditions is not None or not opaque:
        return Target(name, images, ails=ails, labels=labels, digest=drawn)
    G = copy.deepcopy(game.players["G"].best).eval().requires_grad_(False)
    device = game.device  # not always where it is judged: see `judging_device`
    uniform = game.prior.kind == "uniform"

    def decoder(u: Tensor) -> Tensor:
        z = ais.uniform_from_normal(u) if uniform else u
        return G(z.to(device)).to(z.device).flatten(1).add(1).div(2)

    return Target(name, images, (decoder, game.prior.size), ails, digest=drawn)


def _digest(model: Model, of_class: str | None) -> str:
    """What draws the samples: the checkpoint, by its digest; "" if it is not certain which."""
    step = model.progress.step
    found = [path.stem for path in model.run.checkpoints() if step_of(path) == step]
    if len(found) != 1:
        return ""
    return f"checkpoint {found[0]}" + (f", class {of_class}" if of_class else "")


def curves(
    model: Model,
    against: Dataset,
    protocol: Protocol,
    judged: Report,
    say: Callable[[str], None] = lambda _: None,
    of_class: str | None = None,
) -> dict[str, list[tuple[int, float, float]]]:
    """Every metric at each of a run's checkpoints: by its name, (round, value, error) in order.

    Checkpoints that cannot be read or judged are left out with a warning.

    Args:
        model: as it was judged; it ends as the newest checkpoint has it.
        against, protocol: what it was judged by.
        judged: what was found: that checkpoint is not judged again.
        say: is told which round it is.
        of_class: as of `target_of`.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    reports = {model.progress.step: judged}
    for path in reversed(model.run.checkpoints()):
        try:
            step = model.restore(path).progress.step
            say(f"round {step:,}")
            if step not in reports:
                target = target_of(model, protocol.samples, protocol.seed, against, of_class)
                reports[step] = judge(target, against, protocol, references=False).report
        except FrenemyError as error:
            warn(f"round {step_of(path):,} is left out: {error}", stacklevel=2)
            continue
        for line in reports[step].lines:
            if estimate := line.results.get(SAMPLES):
                found.setdefault(line.metric, []).append((step, estimate.value, estimate.error))
    return found
