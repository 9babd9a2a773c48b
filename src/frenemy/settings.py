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
        steps: stop after so many rounds, counted from the run's beginning, preparing stages
            included; where the recipe says if neither this nor --epochs nor --minutes is given.
        epochs: stop after so many passes over the data.
        minutes: stop after so many minutes.
        device: where to compute; a resumed run goes on where it was begun.
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
    """How a run is played.

    Attributes:
        out: the run's directory, which must not hold one yet; runs/RECIPE, with a number if that
            is taken.
        seed: of everything random. On as many threads, which the run records, the same seed gives
            the same run, bit for bit.
        tensorboard: also write TensorBoard events into the run.
        checkpoint_seconds: the least time between checkpoints.
        keep_checkpoints: how many are kept, the newest, beside the best; `judge --all-checkpoints`
            draws its curves from them. Of 1, nothing is left to go on from should it be damaged.
        keep_best: by which metric the best checkpoint is kept: kid, recall ... of 500 samples
            against validation images, now and then; `--step best` draws by it. none keeps none;
            if not given, kid where the recipe is pictures, and none elsewhere.
        precision: of products and convolutions within networks; bfloat16 is faster on GPUs and on
            processors that have units for it. Weights stay float32. `auto` is float32, but where
            the recipe chooses by the clock: there bfloat16, if it is faster by a tenth.
        parts: play every minibatch in so many, one after another, which takes less memory; in one,
            unless this is given or the recipe chooses: then in as few as fit the memory. Several
            processes, begun by torchrun, each take their share of a minibatch as well.
        mirror: also show every image from left to right, which doubles their number; not where
            left and right differ, as in writing.
        like: a run whose arguments are taken, but for those that are given here (in Python: that
            are not their defaults), and the size of its images.
        init: a run whose weights are started from, as far as they fit; all that `like` takes is
            taken of it, too.
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
