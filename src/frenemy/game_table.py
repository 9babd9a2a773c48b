"""The game of an experiment as tables, before it is played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from rich.table import Table
from torch import nn

from frenemy.data import Facts
from frenemy.experiment import Experiment
from frenemy.game import Game

LAYERS = nn.Sequential, nn.ModuleList
ROWS = 12  # of the minibatch whose shapes are looked at: packs of 2, 3, 4 and 6 fit


def weighted(weight: float | Callable[[int], float]) -> str:
    """A term's weight; that of the first round, marked, where it changes with the round t."""
    return f"{weight(0):g}(t)" if callable(weight) else f"{weight:g}"


def output_shapes(game: Game, facts: Facts) -> dict[str, dict[nn.Module, str]]:
    """Of each network the layers that are shown, with the shape that each gives an image.

    They are found by asking for the terms of every turn once, of blank images.
    """
    found: dict[str, dict[nn.Module, str]] = {name: {} for name in game.nets}

    def noting(shapes: dict[nn.Module, str]) -> Callable[..., None]:
        def note(layer: nn.Module, _: object, output: Any) -> None:
            shape = getattr(output, "shape", ())
            shapes.setdefault(layer, "x".join(map(str, shape[1:])) or "1")

        return note

    hooks = [
        layer.register_forward_hook(noting(found[name]))
        for name, net in game.nets.items()
        for layer in net.modules()
    ]
    rows = min(game.minibatch, ROWS)
    blank = torch.zeros(rows, *facts.shape), torch.zeros(rows, dtype=torch.int64)
    with torch.random.fork_rng(devices=[]):
        for turn in game.turns:
            r = game.round(turn, game.prior(rows), lambda: blank)
            for terms in turn.moves.values():
                for term in terms:
                    term(r)
    for hook in hooks:
        hook.remove()
    return {name: _layers(game.nets[name], shapes) for name, shapes in found.items()}


def _layers(net: nn.Module, shapes: dict[nn.Module, str]) -> dict[nn.Module, str]:
    """Those of all modules that are shown, in the order in which they were run.

    What holds layers in a row is shown by these, if they say as much: if they are run, have all of
    its parameters, and one of them gives what it gives.
    """

    def told(child: nn.Module, within: list[nn.Module]) -> bool:
        whole = sum(map(size, within)) == size(child)
        return child not in shapes or (whole and shapes[child] in map(shapes.get, within))

    def parts(net: nn.Module) -> Iterator[nn.Module]:
        for child in net.children():
            within = [part for part in parts(child) if part in shapes]
            holds = any(isinstance(x, LAYERS) for x in (child, *child.children()))
            yield from within if holds and told(child, within) else [child]

    chosen = set(parts(net))
    return {layer: shape for layer, shape in shapes.items() if layer in chosen}


def size(net: nn.Module) -> int:
    """How many parameters it has."""
    return sum(p.numel() for p in net.parameters())


def game_tables(experiment: Experiment) -> list[Table]:
    """The game of each stage: players, layers, shapes, parameter counts; turns and their terms."""
    tables, facts = [], experiment.source.facts
    for stage in experiment.stages:
        game, rounds = stage.game, experiment.rounds(stage)
        long = f"{rounds:,} rounds ({stage.epochs:g} epochs) of minibatches of {game.minibatch}"
        title = (
            f"{long if game.turns else 'nothing is played'}; z: {game.prior.size} {game.prior.kind}"
        )
        table = Table("player", "layer", "gives", "parameters", title=title, title_justify="left")
        table.columns[-1].justify = "right"
        shapes = output_shapes(game, facts)
        for name, player in game.players.items():
            total = size(player.net)
            within = {p for layer in shapes[name] for p in layer.parameters()}
            beside = total - sum(p.numel() for p in within)
            for layer, shape in shapes[name].items():
                count = size(layer)
                table.add_row(
                    name, " ".join(str(layer).split()), shape, f"{count:,}" if count else ""
                )
            if beside:
                table.add_row(name, f"{type(player.net).__name__}, beside these", "", f"{beside:,}")
            averaged = f", averaged {player.averaging}" if player.averaging else ""
            played_by = f"{type(player.optimiser).__name__}{averaged}"
            if not player.theta:
                numbers = sum(b.numel() for b in player.net.buffers())
                played_by = f"{numbers:,} numbers fitted to the data"
            table.add_row(name, played_by, "", f"{total:,}", end_section=True)
        for turn in game.turns:
            for name, terms in turn.moves.items():
                loss = " + ".join(f"{weighted(w)} {term.__name__}" for term, w in terms.items())
                often = f", {turn.steps} steps" if turn.steps > 1 else ""
                often += f", every {turn.every} rounds" if turn.every > 1 else ""
                often += ", simultaneously" if len(turn.moves) > 1 else ""
                table.add_row(name, f"minimises {loss}{often}", "", "")
        tables.append(table)
    return tables
