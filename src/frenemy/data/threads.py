"""Work on many items at once: results in the order of the items, memory bounded, progress shown."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

WORKERS = min(os.cpu_count() or 1, 16)

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map(work, items)` on threads, never more than a few items ahead of who reads it."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > WORKERS + 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def each_in_order(
    work: Callable[[Item], Result], items: Sequence[Item], size: int, doing: str
) -> Iterator[Result]:
    """`map(work, items)` on threads, `size` items a task; on a terminal it shows how far it is.

    Args:
        work: is called from several threads at once.
        items: what it is called on.
        size: how many items a thread takes at a time: one is too little work for a task of its own.
        doing: what is being done, for the line of progress: "decoding".
    """
    done = 0
    pieces = (items[start : start + size] for start in range(0, len(items), size))
    with telling(doing, len(items)) as tell:
        for results in in_order(lambda piece: [work(item) for item in piece], pieces):
            yield from results
            done += len(results)
            tell(done)


@contextmanager
def telling(doing: str, count: int, unit: str = "") -> Iterator[Callable[[int], None]]:
    """On a terminal, once it has taken two seconds, a line says how far some work is.

    Args:
        doing: what is being done: "decoding".
        count: of what there is to do.
        unit: of which it is the count: " bytes".

    Yields:
        What is to be told how much is done, one or more.
    """
    started, width = time.monotonic(), 0

    def tell(done: int) -> None:
        nonlocal width
        spent = time.monotonic() - started
        if spent > 2 and sys.stderr.isatty():
            left = spent * (count - done) / done
            line = f"{doing} {done:,} of {count:,}{unit}, {left:.0f} s left"
            width = max(width, len(line))  # to cover what stood there
            print(f"\r{line:<{width}}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if width:
            print(file=sys.stderr)
