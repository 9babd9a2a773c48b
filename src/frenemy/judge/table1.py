"""Table 1 of Goodfellow et al. (2014): what each model came to, beside what was published.

A table is a file of JSON lines: what all rows were judged on, and then a row for each model and
seed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from frenemy.errors import FrenemyError
from frenemy.files import is_absent, read_regular, reading_failed, write_atomically
from frenemy.judge.estimate import Estimate
from frenemy.judge.seeds import OverSeeds

DataName = Literal["MNIST", "TFD", ""]
"""The data sets of Table 1: MNIST and the Toronto Face Database; or neither."""

GOODFELLOW = "Goodfellow et al. (2014)"
PUBLISHED: Mapping[str, Mapping[DataName, Estimate]] = {
    "dbn": {"MNIST": Estimate(138, 2, GOODFELLOW), "TFD": Estimate(1909, 66, GOODFELLOW)},
    "cae": {"MNIST": Estimate(121, 1.6, GOODFELLOW), "TFD": Estimate(2110, 50, GOODFELLOW)},
    "gsn": {"MNIST": Estimate(214, 1.1, GOODFELLOW), "TFD": Estimate(1890, 29, GOODFELLOW)},
    "adversarial": {"MNIST": Estimate(225, 2, GOODFELLOW), "TFD": Estimate(2057, 26, GOODFELLOW)},
    "gmmn": {
        "MNIST": Estimate(147, 2, "Li et al. (2015), unchecked"),
        "TFD": Estimate(2085, 25, "Li et al. (2015), unchecked"),
    },
    "diffusion": {"MNIST": Estimate(220, 1.9, "Sohl-Dickstein et al. (2015), another network")},
    "kmeans": {"MNIST": Estimate(313, float("nan"), "Theis et al. (2016), unchecked")},
}
"""In nats, by the names of rows; all but the last of 10,000 samples."""

OTHER_NETWORKS = ("diffusion",)
"""Rows whose published number is another network's, and so no goal for ours."""

LARGEST = 1 << 24
"""Bytes of a table's file."""

Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Amount = Annotated[float, Meta(ge=0, le=1e300)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


@dataclass(frozen=True)
class Nats:
    """The mean log-likelihood of the test images by one grid of widths.

    Attributes:
        value: in nats.
        error: std / sqrt N over the test images, as papers print.
        sigma: the width that the validation images chose.
    """

    value: Finite
    error: Amount
    sigma: Amount


@dataclass(frozen=True)
class Judged:
    """One seed of one model.

    Attributes:
        name, model: of the row, and what the paper calls it.
        seed: of its training.
        nats: by the grids of `parzen`; none where there is a fault.
        samples, valid, test: how many images it was judged by.
        checkpoint: what drew the samples; "" where nothing was trained.
        rounds, whole: that were played, and that the recipe plays by itself.
        train_seconds, draw_seconds: that training and drawing took.
        steps: samples of its chain that are worth an independent one; 1 where all are, None where
            the chain does not mix.
        machine: on which it was trained.
        quick: whether its training was cut short, or would have been if there were one.
        notes: what its number is worth, in sentences.
        fault: why there is no number.
    """

    name: str
    model: str
    seed: Count
    nats: dict[str, Nats] = field(default_factory=dict)
    samples: Count = 0
    valid: Count = 0
    test: Count = 0
    checkpoint: str = ""
    rounds: Count = 0
    whole: Count = 0
    train_seconds: Amount | None = None
    draw_seconds: Amount | None = None
    steps: Amount | None = 1.0
    machine: str = ""
    quick: bool = False
    notes: list[str] = field(default_factory=list)
    fault: str = ""

    @property
    def sample_seconds(self) -> float | None:
        """For one independent sample; None where that is not known."""
        if self.draw_seconds is None or self.steps is None:
            return None
        return self.draw_seconds / self.samples * self.steps


@dataclass(frozen=True)
class Row:
    """All seeds of one model.

    Attributes:
        name, model: as of `Judged`.
        judged: those seeds that have a number.
        faults: of the others, with the seed.
        quick: whether training was cut short.
        published: what others measured, on the same data or on those that it tells of.
    """

    name: str
    model: str
    judged: Sequence[Judged]
    faults: Sequence[str]
    quick: bool
    published: Estimate | None

    def nats(self, grid: str) -> Estimate | None:
        """The mean over seeds, with the error over test images, which all seeds share."""
        found = [one.nats[grid] for one in self.judged]
        if not found:
            return None
        mean = statistics.mean(one.value for one in found)
        return Estimate(mean, statistics.mean(one.error for one in found))

    def over_seeds(self, grid: str) -> float | None:
        """The standard error of the mean over seeds; None of one."""
        found = [Estimate(one.nats[grid].value, one.nats[grid].error) for one in self.judged]
        return OverSeeds.of(found).shown.error if len(found) > 1 else None

    def mean(
        self, field: Literal["train_seconds", "draw_seconds", "sample_seconds", "steps"]
    ) -> float | None:
        """Over seeds, of a number that each has; None where one has not."""
        found = [getattr(one, field) for one in self.judged]
        return statistics.mean(found) if found and None not in found else None

    @property
    def notes(self) -> list[str]:
        """Of all seeds, and their faults; each once."""
        return [*dict.fromkeys(note for one in self.judged for note in one.notes), *self.faults]


@dataclass(frozen=True)
class Table:
    """What was judged on one set of images.

    Attributes:
        data: what makes them known again: the digest, the shape, how they were prepared.
        description: of them.
        published: on which data the published numbers are.
        quick: whether trainings were shortened.
        judged: in the order in which they are shown.
    """

    data: dict[str, Any]
    description: str
    published: DataName
    quick: bool
    judged: list[Judged] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """Its seeds, by their models."""
        found: list[Row] = []
        for name, seeds in groupby(self.judged, lambda one: one.name):
            ours = list(seeds)
            faults = [f"seed {one.seed}: {one.fault}" for one in ours if one.fault]
            told = PUBLISHED.get(name, {}).get(self.published)
            whole = [one for one in ours if not one.fault]
            found.append(Row(name, ours[0].model, whole, faults, ours[0].quick, told))
        return found

    def save(self, path: Path) -> Path:
        """Writes it as JSON lines.

        Raises:
            WritingFailed: as `write_atomically`.
        """
        head, *rows = asdict(self), *map(asdict, self.judged)
        del head["judged"]
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in (head, *rows))
        return write_atomically(path, lambda part: part.write_text(text, "utf-8"))

    @classmethod
    def load(cls, path: Path) -> Table | None:
        """The table at `path`; None where there is none.

        Raises:
            FrenemyError: it cannot be read, or is no table.
        """
        try:
            head, *lines = read_regular(path, LARGEST).splitlines() or [b""]
            table = msgspec.convert(msgspec.json.decode(head), cls)
            judged = [msgspec.convert(msgspec.json.decode(line), Judged) for line in lines]
        except OSError as error:
            if is_absent(path, error):
                return None
            raise reading_failed(path, error) from None
        except (msgspec.MsgspecError, RecursionError) as error:
            raise FrenemyError(f"{path} is no table of frenemy's ({error})") from None
        table.judged.extend(judged)
        return table
