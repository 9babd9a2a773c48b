"""Where and how the arithmetic runs: the device, and what makes a processor fast at it."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from frenemy.choices import DeviceName, Precision
from frenemy.errors import FrenemyError
from frenemy.names import known

FLOAT32_ERROR = 1e-6  # relative error of a 512 x 512 float32 product; bfloat16's is 2e-3
BLOCK = 0.2  # seconds for which a number of threads is tried
Slopes = Callable[..., tuple[Tensor, Tensor]]
"""x, *c -> D's logits at x, (B, ...), and their gradient there."""


def choose_device(name: DeviceName = "auto") -> torch.device:
    """The device of that name, prepared; see `DeviceName` for what `auto` takes.

    Raises:
        FrenemyError: there is no device of that name, or this machine has none.
    """
    here = ["cpu"]
    if torch.backends.mps.is_available():
        here = ["mps", *here]
    if torch.cuda.is_available():
        here = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *here]
    if not re.fullmatch(r"cuda:\d+", name):
        known(name, ["auto", "cuda", "cuda:N", "mps", "cpu"], "device")
    if name == "auto":
        name = here[0]
    if name not in here:
        raise FrenemyError(
            f"--device {name}: torch finds no such device; available: {', '.join(here)}"
        )
    prepare_processor()
    kind, _, index = name.partition(":")
    if kind == "cuda":  # exact resume needs the same kernels every time
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        number = os.environ.get("LOCAL_RANK")
        if index and number is not None:
            raise FrenemyError(
                f"--device {name}: each of several processes takes a GPU of its own: give cuda"
            )
        if index:  # what is seeded and counted is that of the current one
            torch.cuda.set_device(int(index))
        if number is not None:  # one of several processes
            if int(number) >= (count := torch.cuda.device_count()):
                raise FrenemyError(
                    f"process {number} finds only {count} GPUs: start no more processes"
                )
            torch.cuda.set_device(int(number))
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
    """The mean time of a product as in a round of a small game, over a fifth of a second.

    For less, the system's scheduler favours who comes new.
    """
    torch.set_num_threads(threads)
    x, theta = torch.full((100, 1200), 0.1), torch.full((1200, 1200), 1 / 1200)
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


@dataclass(frozen=True)
class Share:
    """What of every minibatch this process computes, and in how many parts.

    A minibatch is cut into `count` equal slices; of a part at a time less memory is needed, and
    processes under torchrun each take theirs. Gradients, and what is recorded, are those of the
    whole minibatch.

    Attributes:
        rank, world: which of how many processes this is.
        parts: slices that each takes, one after another.
    """

    rank: int = 0
    world: int = 1
    parts: int = 1

    @property
    def count(self) -> int:
        """Slices of a minibatch."""
        return self.world * self.parts

    def slices(self, size: int) -> list[tuple[int, slice]]:
        """The number and the rows of each slice that is this process's.

        Raises:
            FrenemyError: so many equal slices cannot be cut.

        >>> Share(rank=1, world=2, parts=2).slices(8)
        [(2, slice(4, 6, None)), (3, slice(6, 8, None))]
        """
        if self.count == 1:
            return [(0, slice(None))]
        if size % self.count:
            raise FrenemyError(
                f"a minibatch of {size} cannot be cut into {self.count} equal parts: choose a "
                "multiple"
            )
        rows = size // self.count
        mine = range(self.rank * self.parts, (self.rank + 1) * self.parts)
        return [(number, slice(number * rows, (number + 1) * rows)) for number in mine]

    def average(self, gradient: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradient of the whole minibatch's mean, of the sum over this process's parts."""
        if self.count == 1:
            return list(gradient)
        known = [g / self.count for g in gradient if g is not None]
        if self.world > 1:
            whole = torch.cat([g.flatten() for g in known])
            distributed.all_reduce(whole)
            pieces = whole.split([g.numel() for g in known])
            known = [piece.view_as(g) for piece, g in zip(pieces, known, strict=True)]
        found = iter(known)
        return [None if g is None else next(found) for g in gradient]

    def mean(self, records: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Of each number, over the parts of all processes."""
        if self.count == 1 or not records[0]:
            return dict(records[0])
        total = torch.stack([torch.stack([*record.values()]) for record in records]).sum(0)
        if self.world > 1:
            distributed.all_reduce(total)
        return dict(zip(records[0], (total / self.count).unbind(), strict=True))

    def gather(self, kept: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What is known of each part's examples, (b, ...), for the whole minibatch, (B, ...)."""
        found: dict[str, Tensor] = {}
        for name in kept[0]:
            mine = torch.cat([part[name] for part in kept])
            if self.world > 1:
                of_all = [torch.empty_like(mine) for _ in range(self.world)]
                distributed.all_gather(of_all, mine.contiguous())
                mine = torch.cat(of_all)
            found[name] = mine
        return found

    def any(self, flag: bool) -> bool:
        """Whether some process says so."""
        if self.world == 1:
            return flag
        said = torch.tensor(int(flag))
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)


@dataclass(frozen=True)
class Engine:
    """How the arithmetic of a game is done.

    Attributes:
        precision: of products and convolutions within a network. Weights, logits, losses and
            optimisers stay float32.
        share: of each minibatch.
    """

    precision: Precision = "float32"
    share: Share = Share()

    def lay_out(self, net: nn.Module) -> None:
        """Puts the channels of convolutions last, on processors and in low precision.

        There these are up to 1.5 times as fast so in float32, and 2 to 4 times in bfloat16.
        """
        on_cpu = all(weight.device.type == "cpu" for weight in net.parameters())
        if on_cpu or self.precision != "float32":
            net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (an overload that torch declares keyword-only)

    def run(self, net: nn.Module, *inputs: Tensor) -> Tensor:
        """What the network makes of its inputs, in float32."""
        return self._in_float32(lambda: (net(*inputs),), inputs[0].device)[0]

    def slopes(self, slopes: Slopes, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of D and their gradients, by its own method, in float32."""
        logits, gradient = self._in_float32(lambda: slopes(*inputs), inputs[0].device)
        return logits, gradient

    def _in_float32(
        self, made: Callable[[], tuple[Tensor, ...]], device: torch.device
    ) -> tuple[Tensor, ...]:
        if self.precision == "float32":
            return made()
        with self.arithmetic(device):
            return tuple(x.float() for x in made())

    @contextmanager
    def arithmetic(self, device: torch.device) -> Iterator[None]:
        """Products have the engine's precision while the context lasts.

        Weights that are rounded for a product without gradients are kept so until its end: what is
        differentiated needs a context of its own.
        """
        if self.precision == "float32":
            yield
            return
        with torch.autocast(device.type, torch.bfloat16):
            yield


def share_here(parts: int = 1) -> Share:
    """This process's share, in so many parts: of all that `joined` brought together, if it did."""
    if not distributed.is_initialized():
        return Share(parts=parts)
    return Share(distributed.get_rank(), distributed.get_world_size(), parts)


def rank_here() -> int:
    """The number of this process among those that torchrun began; 0 where it began none."""
    return int(os.environ.get("RANK", "0"))


def world_here() -> int:
    """How many processes torchrun began; 1 where it began none."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined() -> Iterator[None]:
    """Joins the other processes, where torchrun began several, while the context lasts."""
    if world_here() == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


PLAIN = Engine()
"""One process, whole minibatches, float32."""


def seed_everything(seed: int, device: torch.device) -> None:
    """Seeds the processor's global generator and that of the device.

    `torch.manual_seed` would seed every kind of device, and where one is not in use yet, it keeps
    a note of each call, with its stack, for ever.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(seed)
