"""Ctrl-C and SIGTERM, which wait until what is being done can be saved."""

from __future__ import annotations

import signal
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager

from frenemy.errors import FrenemyError


class Interrupted(FrenemyError):
    """Ctrl-C or SIGTERM: the round was finished and saved.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Catches Ctrl-C and SIGTERM: their numbers are appended to the list instead of acting.

    The second one acts at once. Outside the main thread, where Python takes none, the list stays
    empty.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, _: types.FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {n: signal.signal(n, catch) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
