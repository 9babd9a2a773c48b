"""Memory: how much a process may still take, and how much a computation takes at its peak."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def memory_left(device: torch.device) -> float:
    """Bytes that this process may still take on the device; infinite where nothing tells."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(free_memory(), left_by_control_groups(), left_by_limit())


def free_memory(proc: Path = Path("/proc")) -> float:
    """Bytes, as the system has it; elsewhere than on Linux half of all memory, if that is known."""
    with suppress(OSError, StopIteration):
        lines = (proc / "meminfo").read_text().splitlines()
        return 1024 * next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable:"))
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    return math.inf


def left_by_control_groups(
    proc: Path = Path("/proc"), mounted: Path = Path("/sys/fs/cgroup")
) -> float:
    """Bytes of the limits that a container sets, of both versions of Linux's control groups.

    What the group's files take in the page cache is given back when memory is needed.
    """
    names = ("memory.max", "memory.current", "inactive_file")
    earlier = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    left = math.inf
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return left
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers in ("", "memory"):
            root = mounted / controllers
            limit, usage, cached = earlier if controllers else names
            for folder in _up(root / path.lstrip("/"), root):
                with suppress(OSError, ValueError):  # no limit: "max", or no such file
                    numbers = [int((folder / name).read_text()) for name in (limit, usage)]
                    stat = dict(
                        x.split() for x in (folder / "memory.stat").read_text().splitlines()
                    )
                    left = min(left, numbers[0] - numbers[1] + int(stat.get(cached, 0)))
    return max(left, 0.0)


def _up(folder: Path, root: Path) -> Iterator[Path]:
    """The folder and those above it, to the root."""
    yield folder
    while folder != root:
        folder = folder.parent
        yield folder


def left_by_limit() -> float:
    """Bytes of what `ulimit -v` allows."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return max(0, limit - pages * resource.getpagesize())
    return limit


def peak(device: torch.device, play: Callable[[], object]) -> int:
    """Bytes that are allocated on the device at the peak of `play`, above what was before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        play()
        return torch.cuda.max_memory_allocated(device) - before
    with Living() as living:
        play()
    return living.most


class Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while the context lasts, and still live.

    Attributes:
        now: bytes; most: at the peak. What kernels take within themselves is not seen.

    >>> with Living() as living:
    ...     x = torch.ones(1000) + 1
    >>> living.now, living.most
    (4000, 8000)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._sizes: dict[weakref.ref[torch.UntypedStorage], int] = {}
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return made

    def _see(self, storage: torch.UntypedStorage) -> None:
        at = storage._cdata
        if at in self._known:
            return
        self._known.add(at)

        def gone(_: object) -> None:
            self.now -= size
            self._known.discard(at)
            del self._sizes[reference]

        size, reference = storage.nbytes(), weakref.ref(storage, gone)
        self._sizes[reference] = size
        self.now += size
        self.most = max(self.most, self.now)
