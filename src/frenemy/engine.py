"""Where and how the arithmetic runs: the device, and what makes a processor fast at it."""

from __future__ import annotations

import ctypes
import functools
import sys

import torch

from frenemy.choices import DeviceName
from frenemy.errors import FrenemyError
from frenemy.names import known

FLOAT32_ERROR = 1e-6  # relative error of a 512 x 512 float32 product; bfloat16's is 2e-3


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
    """Makes torch's float32 arithmetic and allocations as fast as this processor allows, once.

    Numbers below the least normal one, 1.2e-38, become 0, in this thread and in those that start
    later, torch's workers among them: weights without a gradient leave so small ones in the
    optimisers' averages, where each operation on them takes many times as long.
    """
    torch.set_flush_denormal(True)
    keep_freed_memory()
    use_fastest_float32()


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
