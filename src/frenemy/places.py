"""Where files lie: what `~` stands for, what keeps a result, and the cache."""

from __future__ import annotations

import functools
import os
import stat
import tempfile
import warnings
from pathlib import Path

import platformdirs

from frenemy.errors import FrenemyError
from frenemy.files import WritingFailed, writable


def expanded(path: str) -> str:
    """A path with the user's home folder in the place of a leading `~`, which shells replace only
    where it begins a word: not in `--out=~/runs`.

    Raises:
        FrenemyError: there is no home folder.
    """
    found = os.path.expanduser(path)
    if found == "~" or found.startswith(("~/", f"~{os.sep}")):
        raise FrenemyError(f"{path}: no home folder is known: set HOME, or give the whole path")
    return found


def user_path(path: Path | str) -> Path:
    """What a user means by a path: as `expanded`."""
    return Path(expanded(os.fspath(path)))


def require_place(*paths: Path) -> None:
    """Refuses, before any work is done for them, places that no file can take.

    Raises:
        WritingFailed: a folder has that name, or a file that of the folder, or nothing can be
            written there.
    """
    for path in paths:
        if path.is_dir():
            raise WritingFailed(f"{path} is a folder: give the name of a file")
        try:
            writable(path.parent)
        except WritingFailed as error:
            raise WritingFailed(f"{error} by -o") from error.__cause__


def cache_folder() -> Path:
    """Where the cache lies: FRENEMY_CACHE, or the user's cache folder, or else a temporary one.

    Raises:
        FrenemyError: FRENEMY_CACHE begins with `~`, and there is no home folder.
    """
    if named := os.environ.get("FRENEMY_CACHE"):
        return user_path(named)
    try:
        usual = user_path(platformdirs.user_cache_dir("frenemy"))  # which may leave a ~ in it
        usual.mkdir(parents=True, exist_ok=True)
        if os.access(usual, os.W_OK | os.X_OK):
            return usual
    except (OSError, RuntimeError, FrenemyError):  # the last two without a home, as in containers
        pass
    return _temporary_cache()


@functools.cache
def _temporary_cache() -> Path:
    """A cache for users without a home that they can write to; the same one next time."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"frenemy-cache-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        # Whoever came first might have left a link there, or what we would take for ours.
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    except OSError:
        ours = False
    if not ours:
        folder = Path(tempfile.mkdtemp(prefix="frenemy-cache-"))
    warnings.warn(
        f"no home folder to write to: what is decoded and trained once is kept in {folder}; "
        "FRENEMY_CACHE names a better place",
        stacklevel=3,
    )
    return folder
