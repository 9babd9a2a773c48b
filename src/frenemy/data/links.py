"""Which links in a folder of pictures are followed.

A folder that somebody else made may hold a link to what only its reader can read, or to the whole
system. So, like `SymLinksIfOwnerMatch` of the Apache server, a link is followed only as far as the
owner of the folder could go: to what is the owner's, or open to everybody.
"""

from __future__ import annotations

import os
import stat

from frenemy.data.streams import shown

_OF_THE_SYSTEM = ("/dev", "/proc", "/sys")
"""Where files are not what they seem: to read one may have effects, or never end."""


class Reach:
    """How far the owner of a folder could go."""

    def __init__(self, owner: int) -> None:
        self._owner = owner
        self._passable: dict[str, bool] = {}

    def refusal(self, path: str) -> str | None:
        """Why the link at `path` is not followed; None if it is.

        Raises:
            OSError: it cannot be looked at.
        """
        place = os.path.realpath(path)
        if place.startswith(tuple(f"{top}/" for top in _OF_THE_SYSTEM)) or place in _OF_THE_SYSTEM:
            return f"is a link into {shown(place)}, where no pictures are sought"
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return "is a link to nothing"
        needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
        if self._may(status, needed) and self._passes(os.path.dirname(place)):
            return None
        return "is a link to what the owner of the folder may not read"

    def _passes(self, folder: str) -> bool:
        """Whether the owner may go through this folder, and through those that hold it."""
        if folder not in self._passable:
            above = os.path.dirname(folder)
            self._passable[folder] = self._may(os.stat(folder), stat.S_IXOTH) and (
                above == folder or self._passes(above)
            )
        return self._passable[folder]

    def _may(self, status: os.stat_result, needed: int) -> bool:
        return self._owner in (0, status.st_uid) or status.st_mode & needed == needed
