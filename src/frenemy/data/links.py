"""Which links in a folder of pictures are followed.

A folder that somebody else made may hold a link to what only its reader can read, or to the whole
system. So, like `SymLinksIfOwnerMatch` of the Apache server, a link is followed only as far as the
owner of the folder could go: to what is the owner's, or open to everybody.
"""

from __future__ import annotations

import functools
import os
import stat

_OF_THE_SYSTEM = ("/dev", "/proc", "/sys")
"""Where files are not what they seem: to read one may have effects, or never end."""


@functools.lru_cache(maxsize=4096)
def _is_open(path: str, owner: int, needed: int) -> bool:
    status = os.stat(path)
    return owner in (0, status.st_uid) or status.st_mode & needed == needed


def refusal(path: str, owner: int) -> str | None:
    """Why the link at `path`, in a folder of that owner's, is not followed; None if it is.

    Raises:
        OSError: it cannot be looked at.
    """
    place = os.path.realpath(path)
    if place.startswith(tuple(f"{top}/" for top in _OF_THE_SYSTEM)) or place in _OF_THE_SYSTEM:
        return f"is a link into {place}, where no pictures are sought"
    if not os.path.exists(place):
        os.stat(path)  # says why, if it is a link to itself
        return "is a link to nothing"
    needed = stat.S_IROTH | (stat.S_IXOTH if os.path.isdir(place) else 0)
    if not _is_open(place, owner, needed):
        return "is a link to what the owner of the folder may not read"
    while (place := os.path.dirname(place)) != os.path.dirname(place):
        if not _is_open(place, owner, stat.S_IXOTH):
            return "is a link to what the owner of the folder may not reach"
    return None
