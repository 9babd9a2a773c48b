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
import importlib
import json
import os
import re
import shlex
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import filelock
import msgspec
from msgspec import Meta

from frenemy.errors import FrenemyError
from frenemy.files import (
    appearing,
    is_absent,
    is_part,
    names_in,
    open_regular,
    reading_failed,
    sweep,
    write_atomically,
    writing_failed,
)
from frenemy.header import DIGEST, Header, Natural, game_digest, read_header
from frenemy.places import user_path
from frenemy.schema import Unlike, conforming

DIGEST_LENGTH = 16  # hexadecimal digits of the sha256 in a checkpoint's name


def file_digest(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's sha256."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_LENGTH]


MARK_WITHIN = 1024
"""Bytes of a sample picture, among the first of which it says whose it is."""


def _place(folder: Path) -> tuple[int, int]:
    """Which folder this is, whatever its name."""
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def step_of(checkpoint: Path) -> int:
    """The number of rounds played at a checkpoint, from its file's name."""
    return int(checkpoint.name.partition("-")[0])


LONGEST = 1 << 20
"""Bytes of a line of the log: what is longer is no row of ours."""


class Row(TypedDict):
    """The fields of a row of the log that are no measured numbers."""

    step: Natural
    epoch: NotRequired[float]
    stage: NotRequired[Annotated[int, Meta(ge=0, le=1 << 16)]]
    findings: NotRequired[list[str]]


_NUMBERS = msgspec.json.Decoder(dict[str, int | float | list[str]])


def _row(line: bytes) -> dict[str, Any] | None:
    """What one line of the log holds, if it is a row of numbers."""
    try:
        row = _NUMBERS.decode(line)
        msgspec.convert(row, Row)
    except (msgspec.MsgspecError, RecursionError):
        return None
    wrong = any(isinstance(value, list) for name, value in row.items() if name != "findings")
    return None if wrong else row


OWN: Mapping[str, tuple[Callable[[int], bool], str]] = {
    ".lock": (stat.S_ISREG, "file"),
    "run.json": (stat.S_ISREG, "file"),
    "log.jsonl": (stat.S_ISREG, "file"),
    "samples": (stat.S_ISDIR, "folder"),
    "checkpoints": (stat.S_ISDIR, "folder"),
    "events": (stat.S_ISDIR, "folder"),
}
"""What a training writes into a run's folder, and of which kind each is."""


def is_run(path: Path) -> bool:
    """Whether a run lies at `path`.

    Raises:
        FrenemyError: a part of one does.
    """
    if os.path.lexists(path / "run.json"):
        return True
    for folder in path.absolute().parents[:2]:
        part = path.absolute().relative_to(folder).parts[0]
        if part in OWN and os.path.lexists(folder / "run.json"):
            raise FrenemyError(f"{path} is only a part of a run: give the run: {folder}")
    return False


class BeingTrained(FrenemyError):
    """Another process holds the run."""


class Run:
    """A run directory: a new one, to be made by `begin`, or one opened by `Run.open`.

    Attributes:
        path: the directory.
        header: what `run.json` holds.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header
        self._place: tuple[int, int] | None = None  # of the folder, while it is locked

    def check_new(self) -> None:
        """Refuses to be made where something is already, or of what `run.json` cannot hold.

        Raises:
            FrenemyError: the directory holds a run or other files, or cannot be read.
        """
        try:
            text = json.dumps(self.header, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise FrenemyError(f"run.json cannot keep the recipe's arguments: {error}") from None
        try:
            conforming(text, Header)
        except Unlike as error:
            raise FrenemyError(f"no run can be made of these settings: {error}") from None
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise writing_failed(self.path, error) from error
        if "run.json" in names:
            raise FrenemyError(
                f"{self.path} already holds a run: continue it with `frenemy train --resume "
                f"{shlex.quote(str(self.path))}`, or give another --out"
            )
        # .part is what a killed start leaves
        if any(name != ".lock" and not is_part(name) for name in names):
            raise FrenemyError(f"{self.path} is not an empty directory: give another --out")

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Opens an existing run.

        Raises:
            FrenemyError: `path` holds no run, or is a part of one, or its `run.json` is damaged or
                was changed.
        """
        path = user_path(path)
        header = read_header(path / "run.json") if is_run(path) else None
        if header is None:
            raise FrenemyError(f"{path} is not a run (it has no run.json)")
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
        self._require_there()
        self.header.update(fields)
        self.header[DIGEST] = game_digest(self.header)
        text = json.dumps(self.header, indent=2, allow_nan=False) + "\n"
        write_atomically(self.path / "run.json", lambda part: part.write_text(text, "utf-8"))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run against a second process that would train it, and makes its folder.

        Raises:
            BeingTrained: another process holds it.
            FrenemyError: something of it is a link, or of another kind.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._require_own()
            lock.acquire(blocking=False)
            self._place = _place(self.path)
        except filelock.Timeout:
            raise BeingTrained(f"{self.path} is being trained by another process") from None
        except OSError as error:
            raise writing_failed(self.path, error) from error
        try:
            yield
        finally:
            self._place = None
            lock.release()

    def _require_own(self) -> None:
        """Refuses to write and delete through links, or what is not of the kind that ours is."""
        for name, (right, kind) in OWN.items():
            path = self.path / name
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                continue
            if stat.S_ISLNK(mode):
                raise FrenemyError(
                    f"{path} is a link, through which no run writes or deletes: put what it leads "
                    "to in its place"
                )
            if not right(mode):
                raise FrenemyError(f"{path} is not a {kind}, as a run's own is: move it elsewhere")

    def _require_there(self) -> None:
        """Refuses to go on in a folder that was deleted or moved: it would begin another."""
        with contextlib.suppress(OSError):
            if self._place is None or self._place == _place(self.path):
                return
        raise FrenemyError(
            f"{self.path} was deleted or moved while it was trained: the training ends here"
        )

    # ---- the log

    @property
    def _log(self) -> Path:
        return self.path / "log.jsonl"

    def append(self, row: Mapping[str, Any]) -> None:
        """Appends one row to the log."""
        self._require_there()
        try:
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def rows(self) -> list[dict[str, Any]]:
        """The log's rows in order.

        Lines that are no rows are left out, and all but the last, which a kill may have cut short,
        are named in a warning, of which Python shows each once.
        """
        try:
            with open_regular(self._log) as file:
                rows = [_row(line) for line in iter(lambda: file.readline(LONGEST), b"")]
        except OSError as error:
            if is_absent(self._log, error):
                return []
            raise reading_failed(self._log, error) from None
        for number, row in enumerate(rows[:-1], 1):
            if row is None:
                warnings.warn(f"{self._log}: line {number} is damaged: left out", stacklevel=1)
        return [row for row in rows if row is not None]

    def log(self) -> Any:
        """The same as a pandas DataFrame, with a column for each quantity.

        Raises:
            FrenemyError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise FrenemyError(
                "run.log() makes a pandas DataFrame: pip install pandas; or take run.rows(), a "
                "list of dictionaries"
            ) from None
        return pandas.DataFrame(self.rows())

    def rewind(self, step: int) -> None:
        """Forgets what was logged and drawn after round `step`: it will be made again.

        Lines of the log that cannot be read are lost: see `rows`.
        """
        rows = [row for row in self.rows() if row["step"] <= step]
        kept = "".join(json.dumps(row) + "\n" for row in rows)
        later = [path for path in self.samples() if int(path.stem) > step and self._drew(path)]
        damaged = [path for path in self.checkpoints() if step_of(path) > step >= 0]
        litter = [
            folder / name
            for folder in (self.path / "samples", self.path / "checkpoints")
            for name in names_in(folder)
            if is_part(name) or re.fullmatch(r"\.tmp\w{6}", name)  # the latter is safetensors'
            if (folder / name).is_file()
        ]
        # all has been read: nothing is lost if one of it cannot be
        write_atomically(self._log, lambda part: part.write_text(kept, "utf-8"))
        sweep(self.path)  # where others may be writing now
        for path in (*later, *damaged, *litter):
            path.unlink(missing_ok=True)

    # ---- the pictures

    def samples(self) -> list[Path]:
        """The sample pictures in the order of their rounds."""
        return sorted(self._named("samples", r"\d{8,}\.png"), key=lambda path: int(path.stem))

    def _named(self, folder: str, pattern: str) -> list[Path]:
        place = self.path / folder
        return [place / name for name in names_in(place) if re.fullmatch(pattern, name)]

    def mark(self, step: int) -> str:
        """What the picture of a round says of itself, by which it is known to be this run's."""
        header = self.header
        return f"round {step} of seed {header['seed']} on {header['data']['digest'][:16]}"

    def _drew(self, picture: Path) -> bool:
        """Whether a picture is the run's own, by the mark near its beginning."""
        try:
            with open_regular(picture) as file:
                return self.mark(int(picture.stem)).encode() in file.read(MARK_WITHIN)
        except OSError:
            return False

    def place_of_sample(self, step: int) -> Path | None:
        """Where the picture of a round is written: nowhere if one of somebody else's is there."""
        self._require_there()
        path = self.path / "samples" / f"{step:08d}.png"
        if not os.path.lexists(path) or self._drew(path):
            return path
        warnings.warn(f"{path} is not of this run: its own picture is left out", stacklevel=2)
        return None

    # ---- the checkpoints

    def checkpoints(self) -> list[Path]:
        """The checkpoints' files, the newest first."""
        found = self._named("checkpoints", r"\d{8,}-[0-9a-f]{16}\.safetensors")
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
        self._require_there()
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
        found = self.checkpoints()
        beginning = [path for path in found[1:] if not step_of(path)]  # until there is another
        for old in {*found[self.header["keep_checkpoints"] :], *beginning}:
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

    def append(self, row: Mapping[str, Any]) -> None: ...

    def rewind(self, step: int) -> None: ...

    def save_checkpoint(self, step: int, write: Callable[[Path], object]) -> None: ...

    def name_best(self, best: Mapping[str, Any] | None) -> None: ...
