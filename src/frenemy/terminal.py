"""The terminal: its console, progress, and pictures in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from frenemy.diagnosis import HEALTH, finding_text, outcome_text
from frenemy.escapes import printable
from frenemy.pictures import Images, terminal

if TYPE_CHECKING:
    from frenemy.training import Training


class SafeConsole(Console):
    """A console whose texts cannot write to the terminal but as text, wherever they come from."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            own = segment.control or segment.text.isprintable()
            yield segment if own else segment._replace(text=printable(segment.text, but="\n"))


console = SafeConsole(highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 132  # a file or a pipe has no edge at which to cut columns

WIDEST_PICTURE = 100  # columns


def show(picture: Images) -> None:
    """Draws an image (C, H, W) in the terminal, if that has colours to draw it with."""
    if console.color_system is not None and not console.no_color:
        console.print(terminal(picture, width=min(console.width, WIDEST_PICTURE)))


def tell(what: Text | str) -> None:
    """Prints a line while work goes on, which does not end because nobody reads it any more."""
    with suppress(OSError, SystemExit):  # the latter is what rich makes of a closed pipe
        console.print(what, soft_wrap=True, markup=False)


class PlainLines:
    """Where there is no terminal, a line now and then stands for a bar or a spinner."""

    INTERVAL = 60.0  # seconds

    def __init__(self) -> None:
        self._written = time.monotonic()

    def __call__(self, text: str, last: bool = False) -> None:
        now = time.monotonic()
        if not console.is_terminal and (last or now - self._written >= self.INTERVAL):
            self._written = now
            tell(text)


class TrainingDisplay:
    """A watcher that shows rounds, rate, losses, outputs of D and the time left.

    Args:
        what: is trained, where it is one of several.
    """

    INTERVAL = 0.2  # seconds

    def __init__(self, what: str = "") -> None:
        self._what = f"{what}, " if what else ""
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),
            TextColumn("round {task.fields[step]:,}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TextColumn("{task.fields[values]}", table_column=Column()),  # wraps where it is narrow
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=1.0, step=0, rate=0.0, values="")
        self._shown = 0.0
        self._lines = PlainLines()
        self._begun: tuple[float, int] | None = None
        self._told: set[str] = set()
        self._training: Training | None = None
        self._end: float | None = None

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        training = self._training
        if training is not None and training.experiment.game.turns and failure is None:
            tell(Text("health: ").append_text(outcome_text(training.outcome)))

    def __call__(self, training: Training) -> None:
        now = time.monotonic()
        self._training = training
        if self._begun is None:
            self._begun = (now, training.progress.step)
        end = training.run.header["target"].get("steps")
        if self._end not in (None, end):
            tell(f"at the speed measured so far it ends after {end:,} rounds, not {self._end:,}")
        self._end = end
        for finding in training.findings:
            if finding.failure not in self._told:
                self._told.add(finding.failure)
                tell(finding_text(finding))
        if now - self._shown < self.INTERVAL and training.share_done < 1:
            return
        self._shown = now
        seconds, rounds = now - self._begun[0], training.progress.step - self._begun[1]
        losses: dict[str, float] = {}
        for key, value in training.latest.items():
            player, _, term = key.partition("/")
            if key.startswith(HEALTH):
                continue
            if term:
                losses.setdefault(player, value)  # the first term: the objective itself
            elif "(" in key:
                losses[key] = value
        means = " ".join(f"{key} {value:.3f}" for key, value in losses.items())
        values = training.doing or means
        rate = rounds / seconds if seconds else 0.0
        self._bar.update(
            self._task,
            completed=training.share_done,
            step=training.progress.step,
            rate=rate,
            values=values,
        )
        done = f"{self._what}round {training.progress.step:,} ({training.share_done:.0%})"
        self._lines(f"{done} {rate:.1f}/s {values}", last=training.share_done >= 1)


@contextmanager
def working() -> Iterator[Callable[[str], None]]:
    """Shows what is being done, and on a terminal for how long; gives what is to be told."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with progress:
        task, lines = progress.add_task("", total=None), PlainLines()

        def say(what: str) -> None:
            progress.update(task, description=what)
            lines(what)

        yield say
