"""The game of an experiment as tables, before it is played."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from rich.table import Table
from torch import Tensor, nn

from frenemy.experiment import Experiment


def weighted(weight: float | Callable[[int], float]) -> str:
    """A term's weight; that of the first round, marked, where it changes with the round t."""
    return f"{weight(0):g}(t)" if callable(weight) else f"{weight:g}"


def output_shapes(net: nn.Module, x: Tensor) -> list[tuple[nn.Module, str]]:
    """The layers of a network, also of those within it, with the shape that each gives an image."""
    found: list[tuple[nn.Module, str]] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        found.append((layer, "x".join(map(str, output.shape[1:])) or "1"))

    def layers(net: nn.Module) -> Iterator[nn.Module]:
        for child in net.children():
            yield from layers(child) if isinstance(child, nn.Sequential) else [child]

    hooks = [layer.register_forward_hook(note) for layer in layers(net)]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def game_tables(experiment: Experiment) -> list[Table]:
    """The game of each stage: players, layers, shapes, parameter counts; turns and their terms."""
    tables = []
    for stage in experiment.stages:
        game, rounds = stage.game, experiment.rounds(stage)
        title = (
            f"{rounds:,} rounds ({stage.epochs:g} epochs) of minibatches of {game.minibatch}; "
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
            averaged = f", averaged {player.averaging:g}" if player.averaging else ""
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
