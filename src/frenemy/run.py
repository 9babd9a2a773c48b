"""A run: a directory with everything that one training made.

    run.json       recipe, arguments, seed, data, versions, target
    log.jsonl      one JSON object a line, for every 50 rounds
    samples/       pictures of the same z as G learns, named after the round
    checkpoints/   STEP-DIGEST.safetensors, the newest two or as many as asked, and the best

Nothing appears under its final name before it is whole and on the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from frenemy.errors import FrenemyError
from frenemy.files import appearing, sweep, write_atomically, writing_failed
from frenemy.places import user_path

Check = Callable[[Any], bool]


def _is(kind: type) -> Check:
    return lambda value: isinstance(value, kind)


def _whole(least: int) -> Check:
    return lambda value: type(value) is int and value >= least  # True is an int too


def _number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _limit(target: Any) -> bool:
    return (
        isinstance(target, dict)
        and len(target) == 1
        and all(k in ("steps", "minutes") and _number(n) and n > 0 for k, n in target.items())
    )


def _replan(replan: Any) -> bool:
    return replan is None or (
        isinstance(replan, dict)
        and _whole(1)(replan.get("step"))
        and _number(replan.get("minutes"))
    )


def _shape(shape: Any) -> bool:
    return isinstance(shape, list) and len(shape) == 3 and all(map(_whole(1), shape))


HEADER: Mapping[str, Check] = {
    "recipe": _is(str),
    "arguments": _is(dict),
    "recipe_digest": lambda digest: digest is None or isinstance(digest, str),  # none of ours
    "seed": _whole(0),
    "target": _limit,
    "replan": _replan,  # none where rounds are given, or the end is near
    "device": lambda name: name in ("cpu", "cuda", "mps"),
    "threads": _whole(1),
    "precision": lambda name: name in (None, "float32", "bfloat16"),  # none in older runs
    "parts": lambda parts: parts is None or _whole(1)(parts),
    "mirror": lambda mirror: mirror is None or isinstance(mirror, bool),
    "init": lambda file: file is None or isinstance(file, str),
    "checkpoint_seconds": _number,
    "keep_checkpoints": _whole(2),
    "keep_best": lambda metric: metric is None or isinstance(metric, str),
    "best_features": lambda name: name is None or isinstance(name, str),
    "best": lambda best: best is None or (isinstance(best, dict) and _whole(0)(best.get("step"))),
    "tensorboard": _is(bool),
    "data": _is(dict),
    "data.shape": _shape,
    "data.digest": _is(str),
    "data.path": lambda path: path is None or isinstance(path, str),  # none of memory's images
    "data.size": lambda size: size is None or type(size) is int,
    "versions": _is(dict),
}
"""The fields of `run.json` that are read again, and what they have to be."""

DIGEST_LENGTH = 16  # hexadecimal digits of the sha256 in a checkpoint's name


def file_digest(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's sha256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_LENGTH]


def step_of(checkpoint: Path) -> int:
    """The number of rounds played at a checkpoint, from its file's name."""
    return int(checkpoint.name.partition("-")[0])


def _row(line: str) -> dict[str, Any] | None:
    """What one line of the log holds, if it can be read."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


class Run:
    """A run directory: a new one, to be made by `begin`, or one opened by `Run.open`.

    Attributes:
        path: the directory.
        header: what `run.json` holds.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header

    def check_new(self) -> None:
        """Refuses to be made where something is already, or of what `run.json` cannot hold.

        Raises:
            FrenemyError: the directory holds a run or other files, or cannot be read.
        """
        try:
            json.dumps(self.header)
        except TypeError as error:
            raise FrenemyError(f"run.json cannot keep the recipe's arguments: {error}") from None
        try:
            names = [path.name for path in self.path.iterdir()]
        except FileNotFoundError:
            return
        except OSError as error:
            raise writing_failed(self.path, error) from error
        if "run.json" in names:
            raise FrenemyError(
                f"{self.path} already holds a run: go on with it by `frenemy train --resume "
                f"{shlex.quote(str(self.path))}`, or give another --out"
            )
        # .part is what a killed start leaves
        if any(name != ".lock" and not name.endswith(".part") for name in names):
            raise FrenemyError(f"{self.path} is not an empty directory: give another --out")

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Opens an existing run.

        Raises:
            FrenemyError: `path` holds no run, or its `run.json` is damaged.
        """
        path = user_path(path)
        file = path / "run.json"
        try:
            header = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            raise FrenemyError(f"{path} holds no run (no run.json there)") from None
        except (OSError, ValueError, RecursionError) as error:
            raise FrenemyError(f"{file} cannot be read: {error}") from None
        for field, right in HEADER.items():
            value = header
            for key in field.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            if not right(value):
                raise FrenemyError(f"{file} is no run's description: {field} is wrong ({value!r})")
        return cls(path, header)

    def begin(self) -> None:
        """Makes the run, while `lock` holds its directory.

        Raises:
            FrenemyError: as `check_new`: another process may have been quicker.
        """
        self.check_new()
        self.update()

    def update(self, **fields: Any) -> None:
        """Writes `run.json` with the given fields changed."""
        self.header.update(fields)
        text = json.dumps(self.header, indent=2) + "\n"
        write_atomically(self.path / "run.json", lambda part: part.write_text(text, "utf-8"))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run against a second process that would train it, and makes its folder.

        Raises:
            FrenemyError: another process holds it.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise FrenemyError(f"{self.path} is being trained by another process") from None
        except OSError as error:
            raise writing_failed(self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    # ---- the log

    @property
    def _log(self) -> Path:
        return self.path / "log.jsonl"

    def log(self, row: Mapping[str, Any]) -> None:
        """Appends one row to the log."""
        try:
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def rows(self) -> list[dict[str, Any]]:
        """The log's rows in order; lines that a kill cut short or a fault damaged are left out."""
        return [row for row in self._lines() if row is not None]

    def _lines(self) -> list[dict[str, Any] | None]:
        """The log's rows, with None for every line that is none."""
        if not self._log.exists():
            return []
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return [_row(line) for line in file]

    def rewind(self, step: int) -> None:
        """Forgets what was logged and drawn after round `step`: it will be made again.

        Lines of the log that cannot be read are lost; each but the last is named in a warning.
        """
        lines = self._lines()
        for number, row in enumerate(lines[:-1], 1):
            if row is None:
                warnings.warn(f"{self._log}: line {number} is damaged: left out", stacklevel=2)
        rows = [row for row in lines if row is not None and row["step"] <= step]
        kept = "".join(json.dumps(row) + "\n" for row in rows)
        write_atomically(self._log, lambda part: part.write_text(kept, "utf-8"))
        for later in self.samples():
            if int(later.stem) > step:
                later.unlink()
        for damaged in self.checkpoints():  # or the round would have been taken up from there
            if step_of(damaged) > step >= 0:
                damaged.unlink()
        sweep(self.path)  # where others may be writing now
        for litter in ("samples/.*.part", "checkpoints/.*.part", "checkpoints/.tmp??????"):
            for part in self.path.glob(litter):  # left by a kill, the last by safetensors
                part.unlink(missing_ok=True)

    # ---- the pictures

    def samples(self) -> list[Path]:
        """The sample pictures in the order of their rounds."""
        found = [p for p in self.path.glob("samples/*") if re.fullmatch(r"\d{8,}\.png", p.name)]
        return sorted(found, key=lambda path: int(path.stem))

    # ---- the checkpoints

    def checkpoints(self) -> list[Path]:
        """The checkpoints' files, the newest first."""
        pattern = re.compile(r"\d{8,}-[0-9a-f]{16}\.safetensors")
        found = [p for p in (self.path / "checkpoints").glob("*") if pattern.fullmatch(p.name)]
        return sorted(found, key=lambda path: (step_of(path), path.name), reverse=True)

    @property
    def best(self) -> int:
        """The round of the best checkpoint.

        Raises:
            FrenemyError: none is kept.
        """
        best = self.header.get("best")
        if best is None:
            raise FrenemyError(
                f"{self.path} has no best checkpoint"
                + (" yet" if self.header.get("keep_best") else ": it was begun without --keep-best")
            )
        return best["step"]

    def save_checkpoint(self, step: int, write: Callable[[Path], object]) -> None:
        """Has `write` fill the checkpoint of round `step`, and deletes those that are too old.

        The file's name carries its digest, so that one rename makes both valid at once.
        """
        folder = self.path / "checkpoints"
        with contextlib.suppress(OSError), open(self._log, "rb") as log:
            os.fsync(log.fileno())  # the rows before a checkpoint last as long as it does
        with appearing(folder, lambda part: f"{step:08d}-{file_digest(part)}.safetensors") as part:
            write(part)
        self._drop_old()

    def name_best(self, best: Mapping[str, Any] | None) -> None:
        """Says which checkpoint is the best: that of round `best["step"]`, which is kept then."""
        if best != self.header.get("best"):
            self.update(best=best)
            self._drop_old()

    def _drop_old(self) -> None:
        best = self.header.get("best") or {}
        for old in self.checkpoints()[self.header["keep_checkpoints"] :]:
            if step_of(old) != best.get("step"):
                old.unlink(missing_ok=True)


class Followed(Run):
    """A run that the first of several processes writes: what the others would, is left to it."""

    def check_new(self) -> None: ...

    def update(self, **fields: Any) -> None:
        self.header.update(fields)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        yield

    def log(self, row: Mapping[str, Any]) -> None: ...

    def rewind(self, step: int) -> None: ...

    def save_checkpoint(self, step: int, write: Callable[[Path], object]) -> None: ...

    def name_best(self, best: Mapping[str, Any] | None) -> None: ...
