"""Where and how the arithmetic runs: the device, and what makes a processor fast at it."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from frenemy.choices import DeviceName
from frenemy.errors import FrenemyError
from frenemy.names import known

FLOAT32_ERROR = 1e-6  # relative error of a 512 x 512 float32 product; bfloat16's is 2e-3
BLOCK = 0.2  # seconds for which a number of threads is tried


def choose_device(name: DeviceName = "auto") -> torch.device:
    """The device of that name, prepared; see `DeviceName` for what `auto` takes.

    Raises:
        FrenemyError: this machine has no such device.
    """
    available: dict[DeviceName, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if known(name, ["auto", *available], "device") == "auto":
        name = next(kind for kind, here in available.items() if here)
    if not available[name]:
        have = ", ".join(kind for kind, here in available.items() if here)
        raise FrenemyError(f"--device {name}: torch finds none here; there is: {have}")
    prepare_processor()
    if name == "cuda":  # exact resume needs the same kernels every time
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return torch.device(name)


@functools.cache
def prepare_processor() -> None:
    """Makes torch's arithmetic, allocations and threads as fast as this processor allows, once.

    Numbers below the least normal one, 1.2e-38, become 0, in this thread and in those that start
    later, torch's workers among them: weights without a gradient leave so small ones in the
    optimisers' averages, where each operation on them takes many times as long.
    """
    torch.set_flush_denormal(True)
    keep_freed_memory()
    use_fastest_float32()
    torch.set_num_threads(choose_threads())


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed: fresh pages for every gradient cost up to 2 ms a round."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3  # from malloc.h
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_mmap_threshold, 2**30)


def use_fastest_float32() -> None:
    """Lets oneDNN compute float32 products where it does so at float32's precision.

    On AMD processors torch's default kernels reach half of the speed of oneDNN's, which the
    setting "bf16" selects; on processors with bfloat16 units the same setting would round to
    bfloat16. So the error of one product decides.
    """
    # torch makes this attribute at run time, out of sight of type checkers
    matmul = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before = matmul.fp32_precision
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 512, 512, generator=generator)
    exact = a.double() @ b.double()
    matmul.fp32_precision = "bf16"
    error = ((a @ b).double() - exact).norm() / exact.norm()
    if error > FLOAT32_ERROR:
        matmul.fp32_precision = before


def _seconds_of_products(threads: int) -> float:
    """The mean time of a small product, as in a round of a game, over a fifth of a second.

    For less, the system's scheduler favours who comes new.
    """
    torch.set_num_threads(threads)
    x, theta = torch.full((100, 256), 0.1), torch.full((256, 256), 1 / 256)
    count, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + BLOCK:
        x, count = (x @ theta).relu_(), count + 1
    return (time.perf_counter() - begun) / count


def choose_threads(seconds: Callable[[int], float] = _seconds_of_products) -> int:
    """How many threads torch should use: as many as it does, or one if that is as fast by now.

    Threads wait for each other after every operation. Beside other work one of them is always
    late, and two can be ten times slower than one. A number that the user has chosen, by
    OMP_NUM_THREADS, MKL_NUM_THREADS or `torch.set_num_threads`, is kept.

    Args:
        seconds: how long some work takes on so many threads.
    """
    count = torch.get_num_threads()
    chosen = any(name in os.environ for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    if chosen or count == 1 or count != _cores():
        return count
    several, one = map(sum, zip(*((seconds(count), seconds(1)) for _ in range(2)), strict=True))
    torch.set_num_threads(count)
    return count if several < one else 1


def _cores() -> int:
    """The cores that this process may use: of each torch takes one thread."""
    siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(siblings.format(i)).read_text() for i in os.sched_getaffinity(0)})
    except (AttributeError, OSError):  # not Linux
        return os.cpu_count() or 1
