"""What the terminal shows: the game before it starts, its progress, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from frenemy.data import Report
    from frenemy.experiment import Experiment
    from frenemy.judge.neighbours import Comparison
    from frenemy.judge.table import Row
    from frenemy.training import Training

console = Console(highlight=False)

MOST_LISTED = 12


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
            averaged = f", averaged {plain(player.averaging)}" if player.averaging else ""
            played_by = f"{optimiser}{averaged}"
            table.add_row(name, played_by, "", f"{total:,}", end_section=True)
        for turn in game.turns:
            for name, terms in turn.moves.items():
                loss = " + ".join(f"{weighted(w)} {term.__name__}" for term, w in terms.items())
                often = f", {turn.steps} steps" if turn.steps > 1 else ""
                often += f", every {turn.every} rounds" if turn.every > 1 else ""
                table.add_row(name, f"minimises {loss}{often}", "", "")
        tables.append(table)
    return tables


class _Round(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"round {task.fields['step']:,}")


class TrainingDisplay:
    """A watcher that shows rounds, rate, losses, beliefs and the time left."""

    INTERVAL = 0.2  # seconds

    def __init__(self) -> None:
        self._bar = Progress(
            _Round(Column(no_wrap=True)),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=1.0, step=0, rate=0.0, values="")
        self._shown = 0.0
        self._begun: tuple[float, int] | None = None

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, training: Training) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = (now, training.progress.step)
        if now - self._shown < self.INTERVAL and training.share_done < 1:
            return
        self._shown = now
        seconds, rounds = now - self._begun[0], training.progress.step - self._begun[1]
        losses: dict[str, float] = {}
        for key, value in training.row.items():
            player, _, term = key.partition("/")
            if term:
                losses.setdefault(player, value)  # the first term: the objective itself
            elif "(" in key:
                losses[key] = value
        values = " ".join(f"{key} {value:.3f}" for key, value in losses.items())
        self._bar.update(
            self._task,
            completed=training.share_done,
            step=training.progress.step,
            rate=rounds / seconds if seconds else 0.0,
            values=values,
        )


def parzen_rows(rows: list[Row]) -> Table:
    """The judge's table."""
    table = Table("samples of", "number", "sigma from", "sigma", "log-likelihood, nats")
    for row in rows:
        sigma = "" if row.result.sigma is None else f"{row.result.sigma:.3f}"
        value = f"{row.result.value:.1f} ± {row.result.error:.1f}"
        table.add_row(escape(row.name), f"{row.samples:,}", row.grid, sigma, value)
    for column in (1, 3, 4):
        table.columns[column].justify = "right"
    return table


def distance_table(found: Comparison) -> Table:
    """Distances to the nearest training image, of samples and of test images."""
    table = Table("to the nearest training image", *(f"{q:.0%}" for q in found.quantiles))
    for name, values in (("samples", found.fake), ("held-out test images", found.test)):
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
        "unreadable": f"{len(report.unreadable):,}",
        **{f"  {name}": why for name, why in list(report.unreadable.items())[:MOST_LISTED]},
        "pixel mean": ", ".join(f"{value:.4f}" for value in report.pixel_mean),
        "pixel deviation": ", ".join(f"{value:.4f}" for value in report.pixel_std),
        "parts": listed(report.parts),
        "digest": report.digest,
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in lines.items():
        if value:
            table.add_row(f"[bold]{escape(name)}", escape(value))
    return table
