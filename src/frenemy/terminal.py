"""What the terminal shows: the game before it starts, its progress, tables."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from frenemy.data.streams import shown
from frenemy.diagnosis import EARLIEST, HEALTH
from frenemy.errors import FrenemyError
from frenemy.pictures import Images, terminal

if TYPE_CHECKING:
    from torch import Tensor, nn

    from frenemy.data import Report
    from frenemy.diagnosis import Finding, Tick
    from frenemy.experiment import Experiment
    from frenemy.judge.estimate import Estimate
    from frenemy.judge.neighbours import Comparison
    from frenemy.judge.verdict import Report as Verdict
    from frenemy.lab.lesson import Played, Result
    from frenemy.training import Training

console = Console(highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 132  # a file or a pipe has no edge at which to cut columns

MOST_LISTED = 12
WIDEST_PICTURE = 100  # columns


def show(picture: Images) -> None:
    """Draws an image (C, H, W) in the terminal, if that has colours to draw it with."""
    if console.color_system is not None and not console.no_color:
        console.print(terminal(picture, width=min(console.width, WIDEST_PICTURE)))


def plain(number: float) -> str:
    """A rate or weight without trailing zeros: .05, 1e-06, 100."""
    return f"{number:g}"


def weighted(weight: float | Callable[[int], float]) -> str:
    """A term's weight; that of the first round, marked, where it changes with the round t."""
    return f"{plain(weight(0))}(t)" if callable(weight) else plain(weight)


def output_shapes(net: nn.Module, x: Tensor) -> list[tuple[nn.Module, str]]:
    """The layers of a network, also of those within it, with the shape that each gives an image."""
    from torch import nn, no_grad

    found: list[tuple[nn.Module, str]] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        found.append((layer, "x".join(map(str, output.shape[1:])) or "1"))

    def layers(net: nn.Module) -> Iterator[nn.Module]:
        for child in net.children():
            yield from layers(child) if isinstance(child, nn.Sequential) else [child]

    hooks = [layer.register_forward_hook(note) for layer in layers(net)]
    with no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def game_tables(experiment: Experiment) -> list[Table]:
    """The game of each stage: players, layers, shapes, parameter counts; turns and their terms."""
    import torch

    tables = []
    for stage in experiment.stages:
        game, rounds = stage.game, experiment.rounds(stage)
        title = (
            f"{rounds:,} rounds ({plain(stage.epochs)} epochs) of minibatches of {game.minibatch}; "
            f"z: {game.prior.size} {game.prior.kind}"
        )
        table = Table("player", "layer", "gives", "parameters", title=title, title_justify="left")
        table.columns[-1].justify = "right"
        for name, player in game.players.items():
            sees = game.prior(2) if name == "G" else torch.zeros(2, *experiment.source.shape)
            for layer, shape in output_shapes(player.net, sees):
                count = sum(p.numel() for p in layer.parameters())
                table.add_row(
                    name, " ".join(str(layer).split()), shape, f"{count:,}" if count else ""
                )
            total = sum(p.numel() for p in player.net.parameters())
            optimiser = type(player.optimiser).__name__
            averaged = f", averaged {player.averaging}" if player.averaging else ""
            played_by = f"{optimiser}{averaged}"
            table.add_row(name, played_by, "", f"{total:,}", end_section=True)
        for turn in game.turns:
            for name, terms in turn.moves.items():
                loss = " + ".join(f"{weighted(w)} {term.__name__}" for term, w in terms.items())
                often = f", {turn.steps} steps" if turn.steps > 1 else ""
                often += f", every {turn.every} rounds" if turn.every > 1 else ""
                often += ", at once with the others" if len(turn.moves) > 1 else ""
                table.add_row(name, f"minimises {loss}{often}", "", "")
        tables.append(table)
    return tables


class _Round(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"round {task.fields['step']:,}")


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
    """A watcher that shows rounds, rate, losses, beliefs and the time left."""

    INTERVAL = 0.2  # seconds

    def __init__(self) -> None:
        self._bar = Progress(
            _Round(Column(no_wrap=True)),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TextColumn("{task.fields[values]}", table_column=Column()),  # wraps where it is narrow
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0, step=0, rate=0.0, values="")
        self._shown = 0.0
        self._lines = PlainLines()
        self._begun: tuple[float, int] | None = None
        self._told: set[str] = set()

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, training: Training) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = (now, training.progress.step)
        for finding in training.findings:
            if finding.illness not in self._told:
                self._told.add(finding.illness)
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
        values = " ".join(f"{key} {value:.3f}" for key, value in losses.items())
        rate = rounds / seconds if seconds else 0.0
        self._bar.update(
            self._task,
            completed=training.share_done,
            step=training.progress.step,
            rate=rate,
            values=values,
        )
        done = f"round {training.progress.step:,} ({training.share_done:.0%})"
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


def report_rows(report: Verdict) -> Group:
    """The judge's table, and what the numbers are worth."""
    from frenemy.judge.likelihoods import PUBLISHED
    from frenemy.judge.sets import HELD_OUT, SAMPLES
    from frenemy.judge.verdict import ARROWS

    columns = [Column(name, justify="right", overflow="fold") for name in report.subjects]
    title = f"{report.target}, against {report.against}"
    table = Table(
        Column("metric", no_wrap=True), "", *columns, title=escape(title), title_justify="left"
    )
    table.box, table.padding, table.pad_edge = box.SIMPLE_HEAD, (0, 1, 0, 0), False
    notes: dict[str, list[str]] = {}  # the page has those of noise too
    for line in report.lines:
        cells = [str(line.results.get(name, "")) for name in report.subjects]
        table.add_row(escape(line.metric), ARROWS[line.better], *cells)
        for name in (SAMPLES, HELD_OUT, PUBLISHED):
            if name in line.results and (note := line.results[name].note):
                notes.setdefault(f"{name}: {note}", []).append(line.metric)
    said = [Text(f"{', '.join(of)}, {note}") for note, of in notes.items()]
    doubts = [Text(f"warning: {text}", style="yellow") for text in report.warnings]
    return Group(table, *said, *doubts)


def comparison_rows(reports: Sequence[Verdict]) -> Group:
    """Several reports side by side: what they have in common, and where it differs for certain.

    A difference from the first is marked where it exceeds 2.6 of its standard errors, which
    equal runs do once in a hundred. What is not comparable with the first (see `not_comparable`),
    or is not in it, is left out of the table and told below it, with the reason.

    Raises:
        FrenemyError: nothing is comparable.
    """
    from frenemy.judge.verdict import ARROWS, kind_of, not_comparable

    first, *others = reports
    columns = [Column(escape(report.target), justify="right") for report in reports]
    table = Table(Column("metric", no_wrap=True), "", *columns, box=box.SIMPLE_HEAD)
    table.caption = f"* differs from the first by more than {CERTAIN} standard errors (p < .01)"
    left_out: dict[str, list[str]] = {}  # lines by the reason
    for line in first.lines:
        mine = line.results.get("samples")
        if mine is None:
            continue
        cells: list[str] = []
        for report in others:
            reason = not_comparable(first, report, line.metric)
            found = None if reason else _samples_of(report, line.metric)
            cells.append("" if found is None else f"{found}{_mark(mine, found)}")
            if reason:
                left_out.setdefault(f"{report.target}: {reason}", []).append(line.metric)
        if any(cells):
            table.add_row(escape(line.metric), ARROWS[line.better], str(mine), *map(escape, cells))
    if not table.row_count:
        said = "; ".join(left_out) or "it has no line of samples"
        raise FrenemyError(f"nothing is comparable with {first.target}: {said}")
    known = {kind_of(line.metric)[:2] for line in first.lines if "samples" in line.results}
    for report in others:  # lines of other sample counts are told as those of the first
        for line in report.lines:
            if "samples" in line.results and kind_of(line.metric)[:2] not in known:
                reason = f"{report.target}: no such line in {first.target}"
                left_out.setdefault(reason, []).append(line.metric)
    told = [f"not compared with {reason}: {', '.join(lines)}" for reason, lines in left_out.items()]
    return Group(table, *(Text(text, style="yellow") for text in told))


def _samples_of(report: Verdict, metric: str) -> Estimate | None:
    return next((x.results.get("samples") for x in report.lines if x.metric == metric), None)


CERTAIN = 2.6


def _mark(first: Estimate, other: Estimate) -> str:
    return (
        " *"
        if abs(other.value - first.value) > CERTAIN * math.hypot(first.error, other.error)
        else ""
    )


def health_rows(ticks: Sequence[Tick], findings: Sequence[Finding]) -> Group:
    """What was measured of a game, at as many rounds as there is room for, and what was found."""
    count = max(2, min(8, (console.width - 20) // 12))  # names take 20 columns, a round 12
    shown = sorted({round(i * (len(ticks) - 1) / (count - 1)) for i in range(count)})
    table = Table("round", *(f"{ticks[i]['step']:,}" for i in shown))
    for column in table.columns[1:]:
        column.justify = "right"
    for name in dict.fromkeys(key for tick in ticks for key in tick if key != "step"):
        values = [ticks[i].get(name) for i in shown]
        table.add_row(escape(name), *("" if v is None else f"{v:.3g}" for v in values))
    well = WELL if len(ticks) >= EARLIEST else f"{YOUNG}: {len(ticks)} of {EARLIEST} measurements"
    return Group(table, *([finding_text(finding) for finding in findings] or [Text(well)]))


WELL = "no sign of non-convergence, mode collapse or a diminished gradient"
YOUNG = "too young to tell how it goes"


def finding_text(finding: Finding) -> Text:
    """One finding in words."""
    return Text.assemble(
        (f"{finding.illness} since round {finding.since:,}", "bold yellow"),
        f": {finding.evidence}. Try: {finding.remedy}.",
    )


def lesson_list(lessons: Iterable[Callable[..., Result]]) -> Table:
    """Names and claims."""
    from frenemy.lab.lesson import claim_of, name_of

    table = Table(show_header=False, box=None, pad_edge=False)
    for lesson in lessons:
        table.add_row(f"[bold]{name_of(lesson)}", escape(claim_of(lesson)))
    return table


def lesson_rows(played: Played) -> Group:
    """What a lesson tells, and what it measured beside what is exact."""
    from frenemy.lab.page import row

    table = Table(Column("", max_width=44), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.pad_edge = False
    for heading in ("measured", "exact", "difference", "allowed"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for r in map(row, played.result.checks):
        verdict = Text("holds", style="green") if r.holds else Text("fails", style="bold red")
        cells = (r.measured, r.exact, r.difference, r.tolerance)
        table.add_row(escape(r.what), *cells, verdict)
    told = Text("\n\n".join(" ".join(p.split()) for p in played.result.told.split("\n\n")))
    return Group(Text(f"{played.name}: {played.claim}", style="bold"), Text(), told, table)


def distance_table(found: Comparison) -> Table:
    """Distances to the nearest training image, of samples and of test images."""
    table = Table("to the nearest training image", *(f"{q:.0%}" for q in found.quantiles))
    rows = (
        (f"{len(found.index):,} samples", found.fake),
        (f"{found.tested:,} held-out test images", found.test),
    )
    for name, values in rows:
        table.add_row(name, *(f"{value:.2f}" for value in values))
    return table


def report_table(report: Report) -> Table:
    """What `frenemy data` found."""

    def listed(counts: Mapping[str, int]) -> str:
        few = [f"{name}: {count:,}" for name, count in list(counts.items())[:MOST_LISTED]]
        left = len(counts) - len(few)
        return ", ".join([*few, *([f"and {left:,} more"] if left else [])])

    lines = {
        "format": report.kind,
        "images": f"{report.count:,}",
        "sizes": listed(report.sizes),
        "modes": listed(report.modes),
        "classes": listed(report.classes),
        "duplicates": f"{report.duplicates:,}",
        **{f"  equal ({i})": ", ".join(g) for i, g in enumerate(report.duplicate_groups, 1)},
        "left out": f"{len(report.unreadable):,}",
        **{f"  {name}": why for name, why in list(report.unreadable.items())[:MOST_LISTED]},
        "pixel mean": ", ".join(f"{value:.4f}" for value in report.pixel_mean),
        "pixel deviation": ", ".join(f"{value:.4f}" for value in report.pixel_std),
        "parts": listed(report.parts),
        "digest": report.digest,
    }
    table = Table("", Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    for name, value in lines.items():
        if value:
            table.add_row(f"[bold]{escape(shown(name))}", escape(shown(value)))
    return table
