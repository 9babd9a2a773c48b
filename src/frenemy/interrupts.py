"""Ctrl-C, SIGTERM and SIGHUP, which wait until what is being done can be saved."""

from __future__ import annotations

import os
import signal
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from frenemy.errors import FrenemyError


class Interrupted(FrenemyError):
    """Ctrl-C, SIGTERM or SIGHUP, on which the round was finished and saved; or a second one.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


CAUGHT = b"\nfrenemy: saving after this round; interrupt again to stop\n"
"""Begins a new line, as the one with the progress bar has no end; fits a narrow terminal."""


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Catches Ctrl-C, SIGTERM and SIGHUP: their numbers are appended to the list instead of acting.

    The first one is answered by a line; the second raises KeyboardInterrupt at once. SIGHUP stays
    ignored where it is, as under `nohup`. Outside the main thread, where Python takes none, the
    list stays empty.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, _: types.FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt
        with suppress(OSError):  # past `sys.stderr`, which may be in the midst of a write
            os.write(2, CAUGHT)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if os.name != "nt" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, catch) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
