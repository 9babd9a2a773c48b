"""What others wrote, made fit for a terminal: names of files, keys of logs, what errors quote."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"
"""Within words of some scripts, and within emoji."""


def printable(text: str, but: str = _JOINERS) -> str:
    r"""The text, with all spelled out that colours, moves a cursor or turns how one reads.

    >>> printable("a\x1b[2Jb\ncafé\udce9")
    'a\\x1b[2Jb\\ncafé\\udce9'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in but else ascii(c)[1:-1] for c in text)
