"""How long a recipe's game is played, where, and what is kept: the same in Python and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from frenemy.choices import (
    DeviceName,
    OptionalFloat,
    OptionalInt,
    OptionalPath,
    PrecisionName,
    optional,
)
from frenemy.errors import FrenemyError, at_least, whole

MOST = 1e12  # rounds, epochs or minutes


@dataclass(frozen=True, kw_only=True)
class Continued:
    """How far a run goes on, and where.

    Attributes:
        steps: stop after this many rounds, counted from the run's beginning, earlier stages
            included; the recipe decides if neither this nor --epochs nor --minutes is given.
        epochs: stop after this many passes over the data.
        minutes: stop after this many minutes.
        device: where to compute; a resumed run stays on the device it was begun on.
    """

    steps: OptionalInt = None
    epochs: OptionalFloat = None
    minutes: OptionalFloat = None
    device: DeviceName = "auto"

    @property
    def limit(self) -> dict[str, float]:
        """The one of steps, epochs and minutes that is given, by its name, or nothing.

        Raises:
            FrenemyError: several are, or one that makes no sense.
        """
        limits = {"steps": self.steps, "epochs": self.epochs, "minutes": self.minutes}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if len(given) > 1:
            raise FrenemyError("give one of --steps, --epochs and --minutes")
        if "steps" in given:
            given["steps"] = whole(steps=given["steps"])
        for name, limit in given.items():
            if not 0 < limit < MOST:
                raise FrenemyError(f"--{name} {limit}: give a number above 0, and below {MOST:.0e}")
        return given


@dataclass(frozen=True, kw_only=True)
class Settings(Continued):
    """How a run is trained.

    Attributes:
        out: the run's directory, new or empty; by default runs/RECIPE, with a number if that is
            taken.
        seed: of everything random. On as many threads, which the run records, the same seed gives
            the same run, bit for bit.
        tensorboard: also write TensorBoard events into the run.
        checkpoint_seconds: the shortest time between checkpoints.
        keep_checkpoints: how many of the newest are kept, beside the best; the curves of
            `judge --all-checkpoints` show them. Of 1, nothing is left should it be damaged.
        keep_best: the metric that selects the best checkpoint: kid, recall ... of 500 samples
            against validation images, measured now and then; `--step best` uses it. none keeps
            none; by default kid for the recipe pictures, and none for others.
        precision: of products and convolutions within networks; bfloat16 is faster on GPUs and on
            processors with hardware support. Weights stay float32. `auto` is float32, except that
            a recipe that plans by time takes bfloat16 if that is a tenth faster.
        parts: split every minibatch into this many parts and accumulate gradients, to save memory;
            one, unless this is given or the recipe chooses: then as few as fit. Several processes,
            started by torchrun, also share each minibatch.
        mirror: also train on every image flipped left to right, which doubles their number; not
            for images where left and right differ, such as writing.
        like: a run to copy arguments and image size from, except for arguments given here (in
            Python: those that are not their defaults).
        init: a run to start from: its weights, where their shapes fit, and all that --like copies.
    """

    out: Annotated[Path | str | None, optional("PATH")] = None
    seed: int = 0
    tensorboard: bool = False
    checkpoint_seconds: float = 60.0
    keep_checkpoints: int = 2
    keep_best: Annotated[str | None, optional("METRIC")] = None
    precision: PrecisionName = "auto"
    parts: OptionalInt = None
    mirror: bool = False
    like: OptionalPath = None
    init: OptionalPath = None

    @property
    def lender(self) -> Path | None:
        """The run whose arguments are taken, if any.

        Raises:
            FrenemyError: there are two.
        """
        if self.init is not None and self.like is not None:
            raise FrenemyError("--init takes its run's arguments, too: leave out --like")
        return self.init or self.like

    def kept(self) -> dict[str, Any]:
        """Those that stay when a run goes on, as `run.json` keeps them.

        Raises:
            FrenemyError: one makes no sense.
        """
        seed, most = whole(seed=self.seed), whole(keep_checkpoints=self.keep_checkpoints)
        at_least(1, parts=1 if self.parts is None else whole(parts=self.parts))
        at_least(0, seed=seed, checkpoint_seconds=self.checkpoint_seconds)
        at_least(1, keep_checkpoints=most)
        gone = {"out", "like", "init", *(field.name for field in fields(Continued))}
        kept = {name: value for name, value in asdict(self).items() if name not in gone}
        return {**kept, "seed": seed, "keep_checkpoints": most}


DEFAULTS = Settings()
