"""What runs there are in a folder, how far each is, and what its last numbers were."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich.console import Group
from rich.text import Text
from safetensors import SafetensorError, safe_open

from frenemy.errors import FrenemyError
from frenemy.files import name_in_utf8
from frenemy.folding import FoldedTable
from frenemy.header import Amount
from frenemy.run import BeingTrained, Run, step_of
from frenemy.schema import conforming

State = Literal["finished", "going on", "stopped", "broken"]


class Seconds(TypedDict):
    """What is read of a checkpoint's progress."""

    seconds: Amount


BELIEFS = ("D(x)", "D(G(z))")  # of a row of the log


@dataclass(frozen=True)
class Listed:
    """What is told of a run.

    Attributes:
        path: its directory.
        changed: when something was last written there, in seconds since 1970.
        state: whether it is at its end; if not, whether a process trains it now; or it is broken.
        fault: what is wrong with it, in one line; nothing else is known of a broken one.
        recipe, data, seed: what is played, on what.
        rounds: that were played; end: after so many it is at its end, None if by the clock.
        images: that D was shown so, None where no minibatch is told.
        seconds: that they took, None where no checkpoint tells.
        last: what the log's last row holds: D(x), D(G(z)) and the first term of each player.
        best: the best checkpoint, {"step": ..., "value": ...}, and by which metric, if one is kept.
    """

    path: Path
    changed: float
    state: State
    fault: str = ""
    recipe: str = ""
    data: str = ""
    seed: int | None = None
    rounds: int = 0
    end: int | None = None
    images: int | None = None
    seconds: float | None = None
    last: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, Any] | None = None


def runs_in(folder: Path) -> list[Listed]:
    """The runs in a folder and in those within it, the last written first.

    Raises:
        FrenemyError: there is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise FrenemyError(f"{folder} is not a folder: give one that holds runs")
    unread: list[OSError] = []
    found = [_listed(path) for path in _runs(folder, unread)]
    for error in unread:
        fault = f"cannot be read ({error.strerror})"
        found.append(Listed(Path(error.filename), 0.0, "broken", fault))
    if not found:
        raise FrenemyError(f"no runs in {folder}: `frenemy train` makes them in runs/")
    return sorted(found, key=lambda run: -run.changed)


def _runs(folder: Path, unread: list[OSError]) -> Iterator[Path]:
    """Folders that hold a run.json; runs hold no other runs, and links are not followed.

    What could not be read is added to `unread`.
    """
    for place, folders, files in os.walk(folder, onerror=unread.append):
        if "run.json" in files:
            folders.clear()
            yield Path(place)
        folders[:] = [name for name in folders if not name.startswith(".")]


def _listed(path: Path) -> Listed:
    changed = max(_changed(path / name) for name in ("run.json", "log.jsonl", "checkpoints"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged line of a log is told by who uses the run
            return _told(Run.open(path), changed)
    except (FrenemyError, OSError) as error:
        return Listed(path, changed, "broken", fault=" ".join(str(error).split()))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _told(run: Run, changed: float) -> Listed:
    header, rows, checkpoints = run.header, run.rows(), run.checkpoints()
    seconds = _seconds(checkpoints[0]) if checkpoints else None
    steps = [step_of(checkpoints[0])] if checkpoints else []
    rounds = max([*steps, *(row["step"] for row in rows[-1:])], default=0)
    target, minibatch = header["target"], header["arguments"].get("minibatch")
    if "steps" in target:
        is_done = rounds >= target["steps"]
    else:
        is_done = (seconds or 0.0) >= 60 * target["minutes"]
    best = header.get("best")
    return Listed(
        run.path,
        changed,
        "finished" if is_done else "going on" if _is_held(run) else "stopped",
        recipe=header["recipe"],
        data=data_name(header),
        seed=header["seed"],
        rounds=rounds,
        end=target.get("steps"),
        images=rounds * minibatch if type(minibatch) is int else None,
        seconds=seconds,
        last=next((_numbers(row) for row in reversed(rows) if BELIEFS[0] in row), {}),
        best=best and {"metric": header.get("keep_best"), **best},
    )


def data_name(header: Mapping[str, Any]) -> str:
    """What a run was begun on, in a word: the last part of its place, or what it is."""
    data = header["data"]
    return Path(data.get("path") or "").name or data.get("description", "").partition(",")[0]


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """D's outputs, and of each player the first term: the objective itself."""
    terms: dict[str, str] = {}
    for name in row:
        player, _, term = name.partition("/")
        if term and player not in ("health", "validation"):
            terms.setdefault(player, name)
    names = [name for name in (*BELIEFS, *terms.values()) if name in row]
    return {name: row[name] for name in names}


def _seconds(checkpoint: Path) -> float | None:
    """That the rounds of a checkpoint took, by its metadata."""
    try:
        with name_in_utf8(checkpoint) as name, safe_open(name, framework="np") as file:
            return conforming(file.metadata()["frenemy"], Seconds)["seconds"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _is_held(run: Run) -> bool:
    """Whether a process trains it, another user's too; no file is made to find out."""
    try:
        with (run.path / ".lock").open("rb") as lock:
            import fcntl  # which Windows has not

            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:  # there is none: it is not trained here
        return False
    except ImportError:
        pass
    try:
        with run.lock():
            return False
    except FrenemyError as error:
        return isinstance(error, BeingTrained)


def runs_json(runs: Sequence[Listed]) -> str:
    """All that is known of the runs, as a list of objects."""
    return json.dumps([{**asdict(run), "path": str(run.path)} for run in runs], indent=2) + "\n"


def runs_table(runs: Sequence[Listed]) -> Group:
    """A row for each run; those that are broken below, with the reason."""
    names = ["recipe", "data", "seed", "rounds", "images", "time", "state", "written"]
    best = ["best"] if any(run.best for run in runs) else []
    table = FoldedTable(["run"], [*names, "last", *best])
    for run in runs:
        if run.fault:
            continue
        of = f" of {run.end:,}" if run.end and run.state != "finished" else ""
        last = ", ".join(f"{name} {run.last[name]:.3g}" for name in BELIEFS if name in run.last)
        cells = [
            *(run.recipe, run.data, str(run.seed), f"{run.rounds:,}{of}"),
            "" if run.images is None else f"{run.images:,}",
            "" if run.seconds is None else duration(run.seconds),
            *(run.state, time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed)), last),
            *[_best(run.best) for _ in best],
        ]
        table.add_row([str(run.path)], cells)
    broken = [Text(f"{run.path}: {run.fault}", style="yellow") for run in runs if run.fault]
    return Group(*([table] if table.row_count else []), *broken)


def _best(best: Mapping[str, Any] | None) -> str:
    if best is None:
        return ""
    value = best.get("value")
    number = f" {value:.3g}" if isinstance(value, int | float) else ""
    return f"{best['metric']}{number}, round {best['step']:,}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> duration(59.6), duration(3661.0)
    ('0:01:00', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
