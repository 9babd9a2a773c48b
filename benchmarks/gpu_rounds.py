"""R3GAN's rounds, timed: what `gpu_pictures.py` is made of."""

from __future__ import annotations

import argparse
import copy
import gc
import json
import math
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from frenemy.errors import out_of_memory
from frenemy.nets.r3gan import Discriminator, Generator

aten = torch.ops.aten
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
SIGMA = 0.01  # of finite differences
Penalty = Literal["exact", "autograd", "difference", "quarter", "none"]
Precision = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class Setting:
    """A published shape of the game: Huang et al. (2024), in FFHQ's and CIFAR-10's presets."""

    side: int
    widths: tuple[int, ...]
    minibatch: int
    part: int  # pairs at once in bfloat16
    gamma: float
    blocks: int = 2
    classes: int = 0


SETTINGS = {
    "32": Setting(32, (768,) * 4, 512, 256, 0.05),
    "64": Setting(64, (768,) * 4 + (384,), 256, 128, 2.0),
    "256": Setting(256, (768,) * 4 + (384, 192, 96), 64, 32, 150.0),
}
MINI = {
    "32": Setting(32, (16,) * 4, 32, 16, 0.05, blocks=1),
    "64": Setting(64, (16,) * 4 + (8,), 8, 4, 2.0, blocks=1),
    "256": Setting(256, (16,) * 4 + (8,) * 3, 2, 1, 150.0, blocks=1),
}


class Play:
    """The players of a setting, and their steps."""

    def __init__(self, setting: Setting, precision: Precision, penalty: Penalty) -> None:
        self.setting, self.precision, self.penalty = setting, precision, penalty
        tf32 = precision != "float32"  # the smallest maps are not in bfloat16
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.manual_seed(0)
        shape = (3, setting.side, setting.side)
        with torch.device(DEVICE):
            self.G = Generator(64, shape, setting.widths, setting.blocks, setting.classes)
            self.D = Discriminator(shape, setting.widths, setting.blocks, setting.classes)
        self.average = copy.deepcopy(self.G).requires_grad_(False)
        self.optimisers = {
            net: torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=CUDA)
            for net in (self.D, self.G)
        }
        self.gamma = torch.tensor(setting.gamma, device=DEVICE)
        self.d_loss: Callable[..., Tensor] = self._d_loss
        self.g_loss: Callable[..., Tensor] = self._g_loss

    def cast(self) -> torch.autocast:
        return torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def _d_loss(self, x: Tensor, Gz: Tensor, gamma: Tensor, *c: Tensor) -> Tensor:
        with self.cast():
            both = torch.cat([x, Gz])
            c2 = [torch.cat([y, y]) for y in c]
            penalty = torch.zeros((), device=x.device)
            if self.penalty == "exact":
                logits, slope = self.D.slopes(both, *c2)
                penalty = slope.float().square().sum() / len(x)
            elif self.penalty == "autograd":
                both.requires_grad_()
                logits = self.D(both, *c2)
                (slope,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
                penalty = slope.float().square().sum() / len(x)
            elif self.penalty == "none":
                logits = self.D(both, *c2)
            else:
                n = len(x) // 4 if self.penalty == "quarter" else len(x)
                some = torch.cat([x[:n], Gz[:n]])
                moved = some + SIGMA * torch.randn_like(some)
                told = [torch.cat([y[:n], y[:n]]) for y in c]
                logits = self.D(torch.cat([both, moved]), *map(torch.cat, zip(c2, told)))  # noqa: B905
                at = torch.cat([logits[:n], logits[len(x) : len(x) + n]])
                penalty = (logits[2 * len(x) :] - at).square().sum() / (n * SIGMA**2)
            Dx, DGz = logits[: len(x)], logits[len(x) : 2 * len(x)]
            return F.softplus(DGz - Dx).mean() + gamma / 2 * penalty

    def _g_loss(self, z: Tensor, x: Tensor, *c: Tensor) -> Tensor:
        with self.cast():
            with torch.no_grad():
                Dx = self.D(x, *c)
            return F.softplus(Dx - self.D(self.G(z, *c), *c)).mean()

    def generate(self, z: Tensor, *c: Tensor) -> Tensor:
        with torch.no_grad(), self.cast():
            return self.G(z, *c)

    def round(self, draw: Callable[[int], list[Tensor]], minibatch: int, part: int) -> None:
        """One round; `draw` gives images and labels."""
        parts = minibatch // part
        for net in (self.D, self.G):
            self.D.requires_grad_(net is self.D)
            for _ in range(parts):
                (x, *c), z = draw(part), torch.randn(part, 64, device=DEVICE)
                if net is self.D:
                    loss = self.d_loss(x, self.generate(z, *c), self.gamma, *c)
                else:
                    loss = self.g_loss(z, x, *c)
                (loss / parts).backward()
            self.optimisers[net].step()
            self.optimisers[net].zero_grad()

    @torch.no_grad()
    def follow(self, weight: float) -> None:
        """Moves the average by this share towards G."""
        for old, new in zip(self.average.parameters(), self.G.parameters(), strict=True):
            old.lerp_(new, weight)

    def flops(self, draw: Callable[[int], list[Tensor]]) -> float:
        """Of a round, a pair: convolutions and dense layers alone, a product and a sum as two."""

        def back(
            grad: Any,
            x: Any,
            w: Any,
            b: Any,
            s: Any,
            p: Any,
            d: Any,
            t: Any,
            o: Any,
            g: Any,
            mask: Any,
            out_shape: Any = None,
            **_: Any,
        ) -> int:  # fmt: skip (torch's own counts grouped ones as if they were whole)
            return 2 * x[0] * math.prod((x if t else grad)[2:]) * math.prod(w) * sum(mask[:2])

        counted = {aten.convolution_backward: back, aten.bmm: lambda *_, **__: 0}
        torch.backends.cudnn.benchmark = False  # nobody asks how fast these few are
        with FlopCounterMode(display=False, custom_mapping=counted) as counter:  # pyright: ignore[reportArgumentType]
            self.round(draw, 4, 4)
        torch.backends.cudnn.benchmark = True
        return counter.get_total_flops() / 4


def images(setting: Setting) -> Callable[[int], list[Tensor]]:
    """Noise in place of pictures, where only the time counts."""
    shape = (3, setting.side, setting.side)
    kept = torch.rand(setting.part, *shape, device=DEVICE) * 2 - 1
    return lambda n: [kept[:n] if n <= len(kept) else torch.rand(n, *shape, device=DEVICE)]


class Table:
    """Rows of a part, written as they come."""

    def __init__(self, out: Path, part: str) -> None:
        self.out, self.part = out, part

    def row(self, what: str, **found: Any) -> None:
        row = {"part": self.part, "what": what, **found}
        with (self.out / "gpu_pictures.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        rows, pages = self.rows(), []
        for part in dict.fromkeys(r["part"] for r in rows):
            own = [r for r in rows if r["part"] == part]
            keys = list(dict.fromkeys(k for r in own for k in r if k != "part"))
            lines = [[str(r.get(k, "")).replace("|", "/") for k in keys] for r in own]
            table = [keys, ["---"] * len(keys), *lines]
            pages.append(f"## {part}\n\n" + "\n".join(f"| {' | '.join(t)} |" for t in table) + "\n")
        (self.out / "gpu_pictures.md").write_text("\n".join(pages))
        print(json.dumps(row), flush=True)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(t) for t in (self.out / "gpu_pictures.jsonl").read_text().splitlines()]

    def share(self, pace: float, flops: float | None, precision: Precision) -> dict[str, Any]:
        """The arithmetic, and its share of the rate of a large product in that precision."""
        if flops is None:
            return {}
        used = flops * pace / 1e12
        rate = [r["TFLOP/s"] for r in self.rows() if r["what"].endswith(f"^3, {precision}")]
        share = {"share of product": round(used / rate[-1], 3)} if rate else {}
        return {"GFLOP an image": round(flops / 1e9, 2), "TFLOP/s": float(f"{used:.4g}"), **share}

    def tried(self, what: str, do: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """Makes what `do` finds a row, or its failure."""
        started = time.perf_counter()
        try:
            found = do()
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            told = " ".join(str(error).split())[:300]
            where = f"{Path(last.filename).name}:{last.lineno}"
            self.row(what, failed=f"{type(error).__name__}: {told} ({where})")
            return None
        finally:
            gc.collect()
            if CUDA:
                torch.cuda.empty_cache()
        self.row(what, **found, took=round(time.perf_counter() - started, 1))
        return found


def wait() -> None:
    if CUDA:
        torch.cuda.synchronize()


def timed(
    do: Callable[[], object], seconds: float, least: int = 1, first: bool = True
) -> list[float]:
    """Seconds of each call for about so long, after a first one."""
    if first:
        do()
    wait()
    found, end = [], time.perf_counter() + seconds
    while len(found) < least or (time.perf_counter() < end and len(found) < 50):
        start = time.perf_counter()
        do()
        wait()
        found.append(time.perf_counter() - start)
    return found


def speed(table: Table, setting: Setting, args: argparse.Namespace, ways: list[Any]) -> None:
    """Images per second of a round, in several precisions and with several penalties."""
    flops: dict[str, float] = {}
    for precision, penalty, share in ways:

        def measure(
            precision: Precision = precision, penalty: Penalty = penalty, share: float = share
        ) -> dict[str, Any]:
            play = Play(setting, precision, penalty)
            if penalty != "autograd" and penalty not in flops:  # what torch does there is no need
                flops[penalty] = play.flops(images(setting))
            count = max(1, int(setting.minibatch * share))
            part = min(setting.part, count)
            if precision != "bfloat16":
                part = max(1, part // 2)
            found = pace(play, count, part, args)
            return {**found, **table.share(found["images/s"], flops.get(penalty), precision)}

        table.tried(f"{setting.side} px, {precision}, {penalty}", measure)


def pace(play: Play, minibatch: int, part: int, args: argparse.Namespace) -> dict[str, Any]:
    """Images per second and memory; with half as many at once where it does not fit."""
    draw = images(replace(play.setting, part=part))
    if CUDA:
        torch.cuda.reset_peak_memory_stats()
    try:
        play.round(draw, part, part)  # the choice of kernels
        found = timed(lambda: play.round(draw, minibatch, part), args.patience, first=False)
    except Exception as error:
        if not out_of_memory(error) or part == 1:
            raise
        play.D.zero_grad()
        play.G.zero_grad()
        gc.collect()
        torch.cuda.empty_cache()
        return pace(play, minibatch, part // 2, args)
    t = statistics.median(found)
    memory = torch.cuda.max_memory_allocated() / 2**30 if CUDA else 0.0
    return {
        "images/s": round(minibatch / t, 1), "ms": round(1e3 * t, 1), "rounds": len(found),
        "minibatch": minibatch, "at once": part, "GiB": round(memory, 1),
    }  # fmt: skip


def lazily(table: Table, side: int) -> None:
    """Rounds with the penalty every 4th or 8th time, from those with and without it."""
    found = {r["what"]: r["images/s"] for r in table.rows() if "images/s" in r}
    name = f"{side} px, bfloat16"
    if f"{name}, exact" in found and f"{name}, none" in found:
        dear, cheap = 1 / found[f"{name}, exact"], 1 / found[f"{name}, none"]
        for k in (4, 8):
            every = k / (dear + (k - 1) * cheap)
            table.row(f"{name}, exact every {k} rounds", **{"images/s": round(every, 1)})


def dcgan(table: Table, args: argparse.Namespace) -> None:
    """The public example's DCGAN at 64 px, a yardstick: 3.6 and 2.8 million weights."""
    n, B = (8, 16) if args.mini else (64, 128)

    def up(a: int, b: int, s: int = 2, p: int = 1) -> list[nn.Module]:
        return [nn.ConvTranspose2d(a, b, 4, s, p, bias=False), nn.BatchNorm2d(b), nn.ReLU(True)]

    def down(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, True)]

    for precision in ("float32", "tf32", "bfloat16"):

        def measure(precision: str = precision) -> dict[str, Any]:
            tf32 = precision != "float32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            with torch.device(DEVICE):
                G = nn.Sequential(
                    *up(100, 8 * n, 1, 0), *up(8 * n, 4 * n), *up(4 * n, 2 * n), *up(2 * n, n),
                    nn.ConvTranspose2d(n, 3, 4, 2, 1, bias=False), nn.Tanh(),
                )  # fmt: skip
                D = nn.Sequential(
                    nn.Conv2d(3, n, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True), *down(n, 2 * n),
                    *down(2 * n, 4 * n), *down(4 * n, 8 * n), nn.Conv2d(8 * n, 1, 4, bias=False),
                )  # fmt: skip
            for net in (G, D):
                net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            ways = {
                net: torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), fused=CUDA)
                for net in (D, G)
            }
            x = torch.rand(B, 3, 64, 64, device=DEVICE) * 2 - 1

            def both() -> None:
                for net in (D, G):
                    with torch.autocast(DEVICE.type, torch.bfloat16, precision == "bfloat16"):
                        Gz = G(torch.randn(B, 100, 1, 1, device=DEVICE))
                        if net is D:
                            loss = F.softplus(-D(x)).mean() + F.softplus(D(Gz.detach())).mean()
                        else:
                            loss = F.softplus(-D(Gz)).mean()
                    loss.backward()
                    ways[net].step()
                    ways[net].zero_grad()

            t = statistics.median(timed(both, args.patience, 3))
            return {"images/s": round(B / t), "ms": round(1e3 * t, 2), "minibatch": B}

        table.tried(f"DCGAN 64 px, {precision}", measure)
