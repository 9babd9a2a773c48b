"""A finished run as a generative model: something that samples images."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from frenemy import checkpoint
from frenemy.checkpoint import Progress
from frenemy.choices import DeviceName
from frenemy.data import Dataset, Facts, Source, open_dataset, read_picture
from frenemy.data.detect import made_of
from frenemy.data.objects import MEMORY
from frenemy.data.source import PLANE, require_images
from frenemy.engine import choose_device
from frenemy.errors import FrenemyError, at_least, out_of_memory, whole
from frenemy.experiment import Experiment, Recipe, Stage
from frenemy.game import Game, looks_across, mix
from frenemy.names import known
from frenemy.origin import failure, function_of, recipe_of
from frenemy.run import Run
from frenemy.sampling import Labels, as_seen, generate, mixes, noise, reads_images, truncated


class Model:
    """The generator of a run, as one of its checkpoints has it.

    Attributes:
        run: the run; progress: how far it had come.
        experiment: rebuilt from the run's recipe, with the checkpoint's weights.
    """

    def __init__(self, run: Run, experiment: Experiment, progress: Progress) -> None:
        self.run = run
        self.experiment = experiment
        self.progress = progress

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: DeviceName = "auto",
        *,
        step: int | Literal["best"] | None = None,
        recipe: Recipe | None = None,
        recipe_changed: bool = False,
    ) -> Model:
        """Loads a run; its data need not be there any more.

        Args:
            path: the run's directory.
            device: where to compute.
            step: after how many rounds, of those whose checkpoints were kept, or the best of
                them; after the last.
            recipe: the run's recipe, where it is not one of frenemy's own.
            recipe_changed: it may be another than that which the run was begun with.

        Raises:
            FrenemyError: no run, no such checkpoint, one that its recipe's game does not fit, or
                another recipe.
        """
        run = Run.open(path)
        if step is None:
            loaded = checkpoint.load(run)
        else:
            number = run.best if step == "best" else whole(step=step)
            loaded = checkpoint.read(checkpoint.of_round(run, number))
        if loaded is None:
            raise FrenemyError(
                f"{path} has no checkpoint yet: continue with `frenemy train --resume "
                f"{shlex.quote(str(path))}`"
            )
        tensors, progress = loaded
        experiment = set_up(recipe_of(run, recipe, changed=recipe_changed), _stand_in(run), 0)
        checkpoint.restore(experiment, progress.stage, tensors)
        experiment.to(choose_device(device), progress.stage)
        return cls(run, experiment, progress)

    def restore(self, path: Path) -> Model:
        """Takes the weights of another of the run's checkpoints.

        Raises:
            FrenemyError: it is damaged, or does not fit.
        """
        tensors, progress = checkpoint.read(path)
        checkpoint.restore(self.experiment, progress.stage, tensors)
        self.progress = progress
        return self

    @property
    def facts(self) -> Facts:
        """What the recipe was told of the data."""
        return self.experiment.source.facts

    @property
    def game(self) -> Game:
        """That of the stage which the run had come to."""
        return self.experiment.stages[self.progress.stage].game

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that the players are told, or none."""
        return () if self.game.conditions is None else self.facts.classes

    def sample(
        self,
        count: int,
        *,
        seed: int = 0,
        labels: Labels | None = None,
        images: NDArray[np.uint8] | None = None,
        truncation: float | None = None,
    ) -> NDArray[Any]:
        """The first `count` samples that `seed` names: uint8 (count, C, H, W), or float32 points.

        Args:
            count: how many.
            seed: of the noise, and of what networks draw within themselves.
            labels: of each, (count,), where the players are told classes, or weights of these,
                (count, K), where G `mixes` them; by default each class in turn.
            images: of each, uint8 (count, C, H, W), where the players are told of images.
            truncation: draws every number of z anew until it is no farther from 0: see `truncated`.

        Raises:
            FrenemyError: the count is below 1, the seed below 0 or more than 64 bits hold, images
                are needed, the labels are none of the classes or not as many, or as
                `require_tails`.
            MemoryError: so many do not fit.
        """
        at_least(1, count=count)
        if labels is not None:
            labels = self.checked_labels(labels, count)
        z = noise(self.game, count, seed)
        if truncation is not None:
            self.require_tails(truncation)
            z = (truncated(part, truncation) for part in z)
        return generate(self.game, self.facts, z, count, seed=seed, labels=labels, images=images)

    def checked_labels(self, labels: Labels, count: int) -> Labels:
        """The labels, (count,), or weights of classes, (count, K), that G may be told.

        Raises:
            FrenemyError: they are none of the classes, or not as many, or there are no classes.
        """
        if not self.classes:
            raise FrenemyError("labels are given, and the players are told of no classes")
        known, weights = len(self.classes), (count, len(self.classes))
        if mixes(self.game) and labels.shape == weights:
            return labels.astype(np.float32)
        if labels.shape != (count,):
            raise FrenemyError(f"labels: {labels.shape} for {count} samples: give ({count},)")
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= known:
            raise FrenemyError(f"labels: give whole numbers from 0 to {known - 1}, of the classes")
        return labels.astype(np.int64)

    def labels(self, name: str, count: int) -> NDArray[np.int64]:
        """The labels of so many samples of one class, (count,).

        Raises:
            FrenemyError: there is no such class, or the players are told of none.
        """
        if not self.classes:
            raise FrenemyError(f"{self.run.path} is not class-conditional: leave out --class")
        return np.full(count, self.classes.index(known(name, self.classes, "class")))

    def require_tails(self, truncation: float) -> None:
        """Refuses truncation where it makes no sense, or does harm.

        Batch normalisation divides by the deviations that G's maps have of whole z, so that of
        truncated z its pictures lose contrast.

        Raises:
            FrenemyError: T is not above 0, z is not Gaussian, or G has batch normalisation.
        """
        if not 0 < truncation < math.inf:
            raise FrenemyError(f"truncation is {truncation}: give a number above 0, such as 1")
        if self.game.prior.kind != "gaussian":
            raise FrenemyError(
                f"the z of {self.run.path} is {self.game.prior.kind} and has no tails: leave out "
                "the truncation"
            )
        if "G" in self.game.players and looks_across(self.game.nets["G"]):
            raise FrenemyError(
                f"the G of {self.run.path} has batch normalisation: of truncated z its pictures "
                "lose contrast; --realism .1 keeps the samples that look most real"
            )

    def require_generator(self) -> None:
        """Refuses games whose samples are not made by a G of z; raises FrenemyError."""
        if "G" not in self.game.players:
            players = ", ".join(self.game.players)
            raise FrenemyError(f"{self.run.path} has no G that samples from z, only {players}")

    def require_latents(self) -> None:
        """Refuses games whose images are not G's of z, or of z and a class.

        Raises:
            FrenemyError: nobody is called G, the players are told of images, or draw points.
        """
        require_images(self.facts.shape, str(self.run.path))
        self.require_generator()
        if reads_images(self.game, self.facts):
            raise FrenemyError(
                f"the G of {self.run.path} is conditioned on images: it has no samples of z alone"
            )

    def as_seen(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images (N, C, H, W) as the game saw them (contrast-normalised, say), as pixels again."""
        return as_seen(self.game, images)

    def data(self, images: Any = None, range: str | None = None) -> Dataset:
        """The run's own data, or others, which `open_dataset` takes, prepared in the same size.

        Args:
            images: others.
            range: what is black and what is white in those, as of `open_dataset`, if that is not as
                in the run's own.

        Raises:
            FrenemyError: they cannot be read, are no images, or not the run's own any more.
        """
        recorded = self.run.header["data"]
        require_images(recorded["shape"], str(self.run.path))
        if images is not None:
            channels, height, width = recorded["shape"]
            how = _prepared(recorded)
            how["size"] = height if height == width else recorded.get("size")
            how |= {"grey": channels < 3, "opaque": channels % 2 == 1}
            how["range"] = range or how.get("range")
            data = images if isinstance(images, Dataset) else open_dataset(images, **how)
            if list(data.shape) != recorded["shape"]:
                raise FrenemyError(
                    f"{data.train.name} has images of {data.shape} (channels, height, width), but "
                    f"{self.run.path} makes {tuple(recorded['shape'])}: give images like those"
                )
            return data
        try:
            return reopen(self.run)
        except FrenemyError as error:
            raise FrenemyError(f"{error}; or name other images to compare with") from None

    def picture(self, path: Path, range: str | None = None) -> NDArray[np.uint8]:
        """One picture, read and brought to the shape of the run's data as they were, (C, H, W).

        Args:
            path: the picture.
            range: what is black and what is white in it, as of `open_dataset`.

        Raises:
            FrenemyError: it cannot be read; the data are no squares, and it is of another size; or
                they are points.
        """
        require_images(self.facts.shape, str(self.run.path))
        channels, height, width = self.facts.shape
        fit = self.run.header["data"].get("fit", "crop")
        size = height if height == width else None
        how: dict[str, Any] = {"grey": channels < 3, "opaque": channels % 2 == 1, "range": range}
        picture = read_picture(path, size=size, fit=fit, **how)
        if picture.shape != self.facts.shape:
            raise FrenemyError(
                f"{path}: {picture.shape[2]}x{picture.shape[1]} pixels, but {self.run.path} makes "
                f"{width}x{height}: resize it to that"
            )
        return picture

    def seen(self, data: Dataset) -> Dataset:
        """The data as the game saw them: see `as_seen`."""
        if self.game.prepare is None:
            return data
        parts = {
            name: dataclasses.replace(
                source,
                images=self.as_seen(source.images),
                digest=f"{source.digest} prepared by {self.run.header['recipe']}",
            )
            for name, source in (("train", data.train), ("valid", data.valid), ("test", data.test))
        }
        return dataclasses.replace(data, **parts)


def reopen(run: Run, data: Any = None) -> Dataset:
    """The data that a run was trained on: opened again, or `data` if they are or hold these.

    Where they lie is the run's word, which may be another's: on another machine they are not looked
    for, and what is read is theirs only if its digest is.

    Raises:
        FrenemyError: they are gone, have changed, are on another machine, or came from memory and
            are not given.
    """
    recorded = run.header["data"]
    if data is None and recorded.get("path", MEMORY) == MEMORY:
        raise FrenemyError(f"{run.path} was trained on images from memory: give them")
    where = ""
    if data is None:
        _, place = made_of(recorded["path"])
        if place is not None:
            _require_near(place, run)
            where = f" (read from {place})"
    if not isinstance(data, Dataset):
        images = recorded["path"] if data is None else data
        data = open_dataset(images, **_prepared(recorded))
    if data.train.digest != recorded["digest"]:
        raise FrenemyError(
            f"{data.train.name}{where} is not what {run.path} was begun on: restore that, give its "
            "place by --data, or begin anew"
        )
    return data


def _require_near(place: Path, run: Run) -> None:
    """Refuses a place on another machine, which even a look would tell who looks; and none."""
    if os.fspath(place).startswith(("//", "\\\\")):
        said = "on another machine, where a run does not look by itself"
    elif not os.path.lexists(place):
        said = "no such file or folder"
    else:
        return
    raise FrenemyError(f"{place}: {said}: give the place of {run.path}'s images by --data")


def _prepared(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """How a run's images were prepared, as `open_dataset` takes it."""
    names = ("size", "fit", "grey", "opaque", "range")
    return {name: recorded[name] for name in names if name in recorded}


def set_up(recipe: Recipe, data: Dataset, seed: int) -> Experiment:
    """The recipe's experiment on the data; its initial weights are a function of the seed.

    Raises:
        FrenemyError: the recipe does not take its arguments, or not these data, or fails.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0, 2))  # no stage's seed
        try:
            stages = recipe(data.facts)
        except FrenemyError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            said = failure(error, function_of(recipe).__module__)
            raise FrenemyError(f"the recipe fails: {said}") from error
    if not (isinstance(stages, Sequence) and stages and all(isinstance(s, Stage) for s in stages)):
        raise FrenemyError(f"a recipe returns a list of stages, but this one {stages!r:.60}")
    return Experiment(stages, data.train)


def _stand_in(run: Run) -> Dataset:
    """A data set of which the facts are those of the run's: blanks that take no memory."""
    recorded = run.header["data"]
    shape = tuple(recorded["shape"])
    zero = np.float32(0) if shape == PLANE else np.uint8(0)
    blanks = np.broadcast_to(zero, (recorded.get("count", 1), *shape))
    classes, name = tuple(recorded.get("classes", ())), recorded.get("description", "")
    blank = Source(blanks, name=name, digest=recorded["digest"], classes=classes)
    return Dataset(blank, blank, blank, "no data")
