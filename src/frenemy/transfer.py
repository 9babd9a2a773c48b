"""What another run lends: its arguments, and its weights to start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from frenemy import checkpoint
from frenemy.data import Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Recipe, vary
from frenemy.origin import arguments_kept, arguments_recorded, describe, function_of
from frenemy.run import Run


def like(recipe: Recipe, path: Path | str) -> Recipe:
    """The recipe with the arguments of a run, but for those that are no defaults.

    Raises:
        FrenemyError: there is no run, or it was begun with another recipe.
    """
    run = Run.open(path)
    theirs, mine = run.header["recipe"], describe(recipe)["recipe"]
    if theirs.rpartition(":")[1:] != mine.rpartition(":")[1:]:
        raise FrenemyError(f"{path} was begun with {theirs}, not {mine}: give a run of this one")
    usual = arguments_kept(function_of(recipe))
    given = {name: x for name, x in arguments_kept(recipe).items() if x != usual[name]}
    arguments = {name: x for name, x in arguments_recorded(run).items() if name != "ends"}
    return vary(recipe, **{**arguments, **given})


def newest(path: Path | str) -> Path:
    """The newest checkpoint of a run.

    Raises:
        FrenemyError: there is no run, or it has none.
    """
    run = Run.open(path)
    found = run.checkpoints()
    if not found:
        raise FrenemyError(f"{path} has no checkpoint to start from")
    return found[0].resolve()


def starting_from(experiment: Experiment, file: Path) -> tuple[Experiment, str]:
    """The experiment whose networks begin with the weights of a checkpoint, as far as they fit.

    G takes those of the average that its samples were drawn by, all others the last ones. Tensors
    of another shape, such as those of other classes or colours, begin as the recipe says.

    Args:
        experiment: of whose first stage the players are.
        file: a checkpoint of a run that had players of the same names.

    Returns:
        The experiment, and what was taken, in words.

    Raises:
        FrenemyError: the file cannot be read, or nothing of it fits.
    """
    tensors, _ = checkpoint.read(file)
    first = experiment.stages[0]
    fitting = {
        name: _fitting(player.net.state_dict(), tensors, name)
        for name, player in first.game.players.items()
    }
    for name, found in fitting.items():
        if not any(value.ndim > 1 for value in found.values()):
            raise FrenemyError(
                f"{file}: none of its weights fit {name}: give the --size and the --width of its "
                "run, or --like to take its arguments alone"
            )

    def begin(source: Source) -> Iterator[str]:
        told = first.begin(source) if first.begin is not None else None
        if told is not None:
            yield from told
        for name, found in fitting.items():
            state = first.game.players[name].net.state_dict()
            for key, value in found.items():
                state[key].copy_(value)

    taken = ", ".join(
        f"{len(found)} of {name}'s {len(first.game.players[name].net.state_dict())}"
        for name, found in fitting.items()
    )
    stages = [replace(first, begin=begin), *experiment.stages[1:]]
    return Experiment(stages, experiment.source), f"starts from {file}: {taken} tensors"


def _fitting(
    state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], player: str
) -> dict[str, Tensor]:
    """Those of the player's last stage, of its average if there is one, by the network's names."""
    parts = [key.split(".", 3) for key in tensors]
    mine = [(int(i), part, name) for i, who, part, name in parts if who == player]
    found: dict[str, Tensor] = {}
    bare = {_bare(key): key for key in state}
    for i, part, name in sorted(mine, key=lambda key: (key[0], key[1] == "average")):
        key = name if name in state else bare.get(_bare(name))
        value = tensors[f"{i}.{player}.{part}.{name}"]
        if part in ("net", "average") and key and value.shape == state[key].shape:
            found[key] = value
    return found


def _bare(name: str) -> str:
    """The tensor's name in the network alone, without what augments it or tells it classes."""
    return ".".join(part for part in name.split(".") if part not in ("net", "body"))
