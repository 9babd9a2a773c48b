"""Where pictures lie: in a folder and below it, or in a zip archive."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from frenemy.data.contents import File
from frenemy.data.links import Reach
from frenemy.data.pixels import START, is_picture
from frenemy.data.streams import BoundedFile, check_member, is_of_the_file, lasting_reason, shown
from frenemy.errors import FrenemyError

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp"),
    *(".webp", ".avif", ".bmp", ".dib", ".gif"),
)

OTHER_SUFFIXES = (
    *(".heic", ".heif", ".jp2", ".jxl", ".pbm", ".pgm", ".pnm", ".ppm"),
    *(".tga", ".tif", ".tiff"),
)
"""Of pictures in formats that are not read: what goes by them is left out, but not silently."""

LABELS = "dataset.json"
"""The file of labels beside pictures that StyleGAN's dataset_tool prepared."""

SHEET = "contact-sheet.png"
"""What `frenemy data` draws: no picture of the set, wherever it came to lie."""

SYSTEM_FOLDERS = re.compile(
    r"""@eadir | [@\#]recycle | \#snapshot | @recently-snapshot | @sharesnap | @tmp    # of a NAS
    | \$recycle\.bin | recycler | recycled | system\ volume\ information | found\.\d{3}  # Windows
    | __macosx | network\ trash\ folder | temporary\ items                             # macOS
    | lost\+found | __pycache__""",
    re.VERBOSE,
)
"""Folders that systems make, in lower case: deleted pictures, thumbnails."""

MAX_BYTES = 1 << 30
"""The largest file of a picture: some parsers read all of it."""

_RUN = "is a run: it holds run.json"


@dataclass(frozen=True)
class Place:
    """The pictures that were found in a place.

    Attributes:
        names: of the pictures, sorted, with "/".
        labels: the names of files of labels.
        open: opens one of these.
        skipped: the names of files and folders that are left out, and why.
        files: the file of each name; empty where the place is itself a file.
    """

    names: list[str]
    labels: list[str]
    open: Callable[[str], BoundedFile]
    skipped: dict[str, str]
    files: dict[str, File] = field(default_factory=dict)


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or the system's own."""
    return name.startswith(".") or SYSTEM_FOLDERS.fullmatch(name.lower()) is not None


def in_folder(folder: Path) -> Place:
    """The pictures in a folder and below it. Links are followed as `frenemy.data.links` says.

    Raises:
        FrenemyError: something in it cannot be read for a reason that may pass.
    """
    found = _Walk(folder)
    found.walk()
    place = Place(
        sorted(found.pictures),
        sorted(found.labels),
        lambda name: open_picture(found.files[name].path),
        found.skipped,
        found.files,
    )
    return place


def open_picture(path: str) -> BoundedFile:
    """The file at `path`, unless it is too large for a picture.

    Raises:
        ValueError: it is, or no file.
        OSError: it cannot be opened.
    """
    file = BoundedFile.at(path)
    if (length := file.seek(0, os.SEEK_END)) > MAX_BYTES:
        file.close()
        raise ValueError(_too_large(length))
    file.seek(0)
    return file


class _Walk:
    """A walk through a folder and all below it, each folder once."""

    def __init__(self, folder: Path) -> None:
        self.pictures: list[str] = []
        self.labels: list[str] = []
        self.files: dict[str, File] = {}
        self.skipped: dict[str, str] = {}
        self._pending = deque([(os.fspath(folder), "")])
        self._links: deque[tuple[str, str]] = deque()
        root = os.stat(folder)
        self._reach = Reach(root.st_uid)
        # What lies here by its own name is read by that name, so links to folders come last.
        self._seen = {(root.st_dev, root.st_ino): "the folder itself"}
        for above in Path(os.path.realpath(folder)).parents:
            status = os.stat(above)
            self._seen[status.st_dev, status.st_ino] = "a folder that holds it"

    def walk(self) -> None:
        while self._pending or self._links:
            if not self._pending:
                self._enter_folder(*self._links.popleft())
                continue
            path, prefix = self._pending.popleft()
            try:
                entries = sorted(os.scandir(path), key=lambda entry: entry.name)
            except OSError as error:
                self._skip(prefix or ".", path, error)
                continue
            names = {entry.name for entry in entries}
            if prefix and "run.json" in names:
                self.skipped[prefix] = _RUN
                continue
            for entry in entries:
                if entry.name == "blobs" and "snapshots" in names:
                    continue  # of the Hugging Face Hub's cache: they are seen by their names there
                if not is_passed_over(entry.name):
                    try:
                        self._enter(entry, prefix + entry.name)
                    except OSError as error:  # a link to itself, a file that has just gone
                        self._skip(prefix + entry.name, entry.path, error)

    def _enter(self, entry: os.DirEntry[str], name: str) -> None:
        if entry.is_symlink() and (why := self._reach.refusal(entry.path)):
            self.skipped[name] = why
        elif entry.is_dir():
            if entry.is_symlink():
                self._links.append((entry.path, name))
            else:
                self._enter_folder(entry.path, name)
        elif not entry.is_file():
            if entry.name.lower().endswith(SUFFIXES):
                self.skipped[name] = "is a pipe or a device, not a file"
        elif entry.name == LABELS:
            self.labels.append(name)
            self.files[name] = File.of(entry.path, name, entry.stat())
        else:
            verdict = _verdict(entry.name, lambda: BoundedFile.at(entry.path))
            if verdict is True:
                self.pictures.append(name)
                self.files[name] = File.of(entry.path, name, entry.stat())
            elif verdict:
                self.skipped[name] = verdict

    def _enter_folder(self, path: str, name: str) -> None:
        status = os.stat(path)
        same = self._seen.setdefault((status.st_dev, status.st_ino), f"{name}/")
        if same == f"{name}/":
            self._pending.append((path, same))
        else:
            self.skipped[name] = f"leads to {shown(same)}, which is read once"

    def _skip(self, name: str, path: str, error: OSError) -> None:
        self.skipped[name] = lasting_reason(error, path)


def in_zip(path: Path) -> Place | None:
    """The pictures in a zip archive, of which nothing is unpacked; None if it is one of arrays.

    Raises:
        FrenemyError: it is damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises a dozen kinds on damage
        reason = lasting_reason(error, str(path))
        raise FrenemyError(f"{shown(str(path))}: damaged zip archive: {reason}") from error
    members = {info.filename.replace("\\", "/"): info for info in archive.infolist()}
    files = {
        name: info
        for name, info in members.items()
        if not name.endswith("/") and PurePosixPath(name).name  # a damaged one may be "" or "."
    }
    endings = {PurePosixPath(name.lower()).suffix for name in files}
    if ".npy" in endings and endings.isdisjoint(SUFFIXES):
        return None
    runs = {name[: -len("run.json")] for name in files if name.endswith("/run.json")}
    size = path.stat().st_size
    found = Place([], [], lambda name: _open_member(archive, members[name], path, size), {})
    for name, info in sorted(files.items()):
        parts = PurePosixPath(name).parts
        run = next((run for run in runs if name.startswith(run)), None)
        if any(map(is_passed_over, parts)) and ".." not in parts:
            continue
        if run:
            found.skipped[run] = _RUN
        elif parts[-1] == LABELS:
            found.labels.append(name)
        else:
            try:
                verdict = _member_refusal(info, name) or _verdict(
                    parts[-1], lambda name=name: found.open(name)
                )
            except OSError as error:
                verdict = lasting_reason(error, f"{path}: {name}")
            if verdict is True:
                found.names.append(name)
            elif verdict:
                found.skipped[name] = verdict
    return found


def _member_refusal(info: zipfile.ZipInfo, name: str) -> str | None:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        return "has a name that leads out of the archive"
    if not name.lower().endswith((*SUFFIXES, *OTHER_SUFFIXES)) and "." in parts[-1]:
        return None  # whatever it is, it is no picture
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link; in an archive none is followed"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed otherwise than by deflate"
    return None


def _open_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, size: int
) -> BoundedFile:
    check_member(path, info, size)
    if info.file_size > MAX_BYTES:
        raise ValueError(_too_large(info.file_size))
    return BoundedFile(archive.open(info), info.file_size)  # pyright: ignore[reportArgumentType] (it reads and seeks)


def _verdict(name: str, opened: Callable[[], BoundedFile]) -> bool | str:
    """Whether a file is a picture, or why it is skipped.

    That is told by its ending; where this is none of letters, or of another kind of picture, by its
    first bytes.
    """
    if name == SHEET:
        return "is a contact sheet, as `frenemy data` draws them"
    lower = name.lower()
    if lower.endswith(SUFFIXES):
        return True
    ending = PurePosixPath(lower).suffix
    other = ending in OTHER_SUFFIXES
    if ending[1:].isalpha() and not other:
        return False
    try:
        with opened() as file:
            if is_picture(file.read(START)):
                return True
    except Exception as error:  # whatever a damaged archive makes of its parser
        if isinstance(error, OSError) or not is_of_the_file(error):
            raise
    return "is not of a format that is read: convert it to PNG or JPEG" if other else False


def _too_large(length: int) -> str:
    return f"is a file of {length:,} bytes; of a picture at most {MAX_BYTES:,} are read"
