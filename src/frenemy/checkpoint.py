"""Checkpoints: a game's state as one safetensors file with a few numbers in its metadata."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.files import name_in_utf8, reading_failed
from frenemy.header import Amount, Natural
from frenemy.player import OPTIMISER, Player
from frenemy.run import Run, file_digest, step_of
from frenemy.schema import conforming


class Damaged(FrenemyError):
    """A checkpoint is not what was written."""


@dataclass
class Progress:
    """Where a training is, besides its tensors.

    Attributes:
        step: rounds played.
        stage: the index of the experiment's stage that the last of them belonged to.
        seconds: spent playing them.
        sums, counts: of every recorded value since the last row of the log.
        memory: what the next measurement of the game needs to know of the last one.
    """

    step: Natural = 0
    stage: Natural = 0
    seconds: Amount = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)


def save(run: Run, experiment: Experiment, progress: Progress) -> None:
    """Writes the checkpoint of round `progress.step`.

    Raises:
        FrenemyError: the disk is full, the run not writable or some state no tensor; older
            checkpoints are untouched.
    """
    tensors = content(experiment, progress.stage)
    metadata = {"frenemy": json.dumps(asdict(progress))}
    run.save_checkpoint(
        progress.step, lambda part: safetensors.torch.save_file(tensors, part, metadata)
    )


def content(experiment: Experiment, stage: int) -> dict[str, Tensor]:
    """The tensors of a checkpoint made in this stage, by the first of their names.

    Raises:
        FrenemyError: a network or an optimiser keeps something that cannot be saved.
    """
    held = _state(experiment, stage)
    tensors: dict[str, Tensor] = {}
    storages: set[int] = set()
    for key, first in _first_names(held).items():
        if key == first:
            value = held[key].detach().contiguous()
            storage = value.untyped_storage().data_ptr()
            tensors[key] = value.clone() if storage in storages else value  # a view of another
            storages.add(storage)
    return tensors


def size(experiment: Experiment) -> int:
    """Bytes of the tensors of a checkpoint made in the first stage, which has the most of them.

    Of an optimiser that took no step yet, as it will be after the first.
    """
    held = sum(value.nbytes for value in content(experiment, 0).values())
    return held + sum(_state_to_come(player) for player, _ in _players(experiment, 0).values())


def _state_to_come(player: Player) -> int:
    """Bytes that the optimiser will keep, found by a step for a copy of each parameter.

    One at a time: more would take the memory of the whole state.
    """
    if player.optimiser.state:
        return 0  # it is there already
    found = 0
    for p in player.theta:
        still = torch.zeros_like(p).requires_grad_()
        still.grad = torch.zeros_like(p)
        memo = {id(other): other for other in player.theta} | {id(p): still}
        optimiser = copy.deepcopy(player.optimiser, memo)
        optimiser.step()
        found += sum(v.nbytes for v in optimiser.state[still].values() if torch.is_tensor(v))
    return found


def _players(experiment: Experiment, stage: int) -> dict[str, tuple[Player, bool]]:
    """All players as "STAGE.NAME", each once, and whether they still play in this stage or later.

    Of those that do not, the networks may still be used.
    """
    found: dict[int, tuple[str, Player, bool]] = {}
    for i, at in enumerate(experiment.stages):
        for name, player in at.game.players.items():
            first, _, _ = found.get(id(player), (f"{i}.{name}", player, False))
            found[id(player)] = (first, player, i >= stage)
    return {name: (player, plays) for name, player, plays in found.values()}


def _state(experiment: Experiment, stage: int) -> dict[str, Tensor]:
    """What a checkpoint in this stage has to hold, as "STAGE.PLAYER.name"; shares memory."""
    return {
        f"{name}.{key}": value
        for name, (player, plays) in _players(experiment, stage).items()
        for key, value in player.state().items()
        if plays or not key.startswith(OPTIMISER)
    }


def _first_names(held: Mapping[str, Tensor]) -> dict[str, str]:
    """For every name, the first name of the same tensor: networks may share weights."""
    first: dict[tuple[object, ...], str] = {}
    names: dict[str, str] = {}
    for key, value in held.items():
        same = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        alone = not value.numel() or key.split(".", 2)[2].startswith(OPTIMISER)
        names[key] = key if alone else first.setdefault(same, key)
    return names


def load(run: Run) -> tuple[dict[str, Tensor], Progress] | None:
    """The newest undamaged checkpoint's tensors and progress; None where there is none at all.

    A damaged one is named in a warning, and the one before it is taken.

    Raises:
        FrenemyError: there are checkpoints, and all are damaged, or one cannot be read.
    """
    paths = run.checkpoints()
    for path in paths:
        try:
            return read(path)
        except Damaged as error:
            warnings.warn(f"{error}: trying the one before it", stacklevel=2)
    if paths:
        raise FrenemyError(
            f"{run.path}: all {len(paths)} checkpoints are damaged: bring back a copy of one, or "
            "begin anew with another --out"
        )
    return None


def of_round(run: Run, step: int) -> Path:
    """The checkpoint after so many rounds.

    Raises:
        FrenemyError: none was kept.
    """
    kept = {step_of(path): path for path in reversed(run.checkpoints())}
    if step not in kept:
        rounds = ", ".join(f"{step:,}" for step in kept) or "none"
        raise FrenemyError(f"{run.path} keeps no checkpoint of round {step:,}, only of: {rounds}")
    return kept[step]


def read(path: Path) -> tuple[dict[str, Tensor], Progress]:
    """One checkpoint's tensors and progress.

    Raises:
        FrenemyError: it cannot be read.
        Damaged: what is read is no checkpoint.
    """
    try:
        if file_digest(path) != path.stem.split("-")[1]:
            raise ValueError("its content does not match the digest in its name")
        with name_in_utf8(path) as name, safetensors.safe_open(name, framework="pt") as file:
            found = conforming(file.metadata()["frenemy"], Progress)
            progress = Progress(**found)
            return {key: file.get_tensor(key) for key in file.keys()}, progress  # noqa: SIM118 (a file, no dict)
    except OSError as error:
        raise reading_failed(path, error) from None
    except (ValueError, TypeError, KeyError, RecursionError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise Damaged(f"{path} is damaged ({reason})") from None


def restore(experiment: Experiment, stage: int, tensors: Mapping[str, Tensor]) -> None:
    """Gives every player its state back, as `content` of this stage holds it.

    Args:
        experiment: of the recipe that was played.
        stage: that the checkpoint was made in.
        tensors: as `read` returns them.

    Raises:
        FrenemyError: the tensors are not those of this experiment at this stage.
    """
    try:
        if stage >= len(experiment.stages):
            raise ValueError(f"it has no stage {stage}")
        names = _first_names(_state(experiment, stage))
        shared = {key: tensors[first] for key, first in names.items() if first in tensors}
        states: dict[str, dict[str, Tensor]] = {}
        for key, value in {**tensors, **shared}.items():
            i, name, rest = key.split(".", 2)
            if not i.isdigit():
                raise ValueError("an earlier frenemy wrote it, whose checkpoints cannot be loaded")
            states.setdefault(f"{i}.{name}", {})[rest] = value
        players = _players(experiment, stage)
        if unknown := states.keys() - players.keys():
            raise ValueError(f"there is no player {min(unknown)}")
        for name, (player, _) in players.items():
            player.load(states.get(name, {}))
    except ValueError as error:
        raise FrenemyError(f"the checkpoint does not fit the recipe's game: {error}") from None
