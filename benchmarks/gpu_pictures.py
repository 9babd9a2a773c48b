"""R3GAN's rounds on one GPU: how fast, how much of the matrix rate, and what minutes buy.

    python benchmarks/gpu_pictures.py --data cifar.npy.xz --labels labels.npz --out DIR
    python benchmarks/gpu_pictures.py --mini ...         # all of it in small, on a processor

Every part is a process of its own with a time of its own, so that none can cost the others
theirs; a failure is a row. Rows go to DIR/gpu_pictures.jsonl and, as tables, to DIR/gpu_pictures.md
as they are found. A round is a step of D with relativistic pairing, R1 and R2, a step of G, Adam
and the average, with gradients accumulated over parts of the minibatch where memory asks for it.

The images: uint8 (N, 3, 32, 32), red and blue less green, those to train on first.
"""

from __future__ import annotations

import argparse
import copy
import lzma
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_rounds import (
    CUDA,
    DEVICE,
    MINI,
    SETTINGS,
    Play,
    Precision,
    Setting,
    Table,
    dcgan,
    images,
    lazily,
    speed,
    timed,
    wait,
)  # fmt: skip
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.nets.r3gan import Downsampling, Upsampling

HELD_OUT = 5000  # of the images: the last ones, not trained on


def rates(table: Table, args: argparse.Namespace) -> None:
    """The ceilings; and which resampling is fast here."""
    n = 512 if args.mini else 8192
    table.row(torch.cuda.get_device_name() if CUDA else "processor", torch=torch.__version__)
    for name, dtype, tf32 in (
        ("bfloat16", torch.bfloat16, True), ("tf32", torch.float32, True),
        ("float32", torch.float32, False),
    ):  # fmt: skip
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = torch.randn(2, n, n, device=DEVICE).to(dtype)

        def product(a: Tensor = a, b: Tensor = b) -> dict[str, Any]:
            t = statistics.median(timed(lambda: a @ b, args.patience, 3))
            return {"TFLOP/s": float(f"{2 * n**3 / t / 1e12:.4g}")}

        table.tried(f"product {n}^3, {name}", product)
    x = torch.randn(n * n * 2, device=DEVICE)
    y = torch.empty_like(x)
    t = statistics.median(timed(lambda: y.copy_(x), args.patience, 3))
    table.row("copy", **{"GB/s": round(2 * x.nbytes / t / 1e9)})

    tent = torch.tensor([1.0, 3, 3, 1], device=DEVICE) / 8
    kernel = (tent[:, None] * tent).bfloat16()

    def by_convolution(x: Tensor) -> Tensor:
        w = kernel.expand(x.shape[1], 1, 4, 4)
        return F.conv2d(x, w, stride=2, padding=1, groups=x.shape[1])

    def by_transposed(x: Tensor) -> Tensor:
        w = 4 * kernel.expand(x.shape[1], 1, 4, 4)
        return F.conv_transpose2d(x, w, stride=2, padding=1, groups=x.shape[1])

    def by_pooling(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.avg_pool2d(F.avg_pool2d(x, 2, 1, 1), 2, 1), 2)

    for name, do, side in (
        ("down by products", Downsampling(), 32), ("down by convolution", by_convolution, 32),
        ("down by pooling", by_pooling, 32), ("up by products", Upsampling(), 16),
        ("up by transposed convolution", by_transposed, 16),
    ):  # fmt: skip

        def resample(do: Callable[[Tensor], Tensor] = do, side: int = side) -> dict[str, Any]:
            shape = (2, 16) if args.mini else (128, 768)
            x = torch.randn(*shape, side, side, device=DEVICE).bfloat16()
            x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
            there = statistics.median(timed(lambda: do(x), args.patience / 2, 3))
            g = torch.ones_like(do(x))
            both = statistics.median(timed(lambda: do(x).backward(g), args.patience / 2, 3))
            return {"forward ms": round(1e3 * there, 3), "with backward ms": round(1e3 * both, 3)}

        table.tried(f"{name}, bfloat16", resample)


class Pictures:
    """CIFAR-10 on the device, and the judge's features of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        with lzma.open(args.data) as file:
            x = np.load(file)
        x[:, 0] += x[:, 1]
        x[:, 2] += x[:, 1]
        labels, held = np.load(args.labels), HELD_OUT
        if args.mini:
            x, held = np.concatenate([x[:1000], x[-1000:]]), 1000
        of_train, of_test = labels["train"][: len(x) - held], labels["test"][:held]
        self.train = torch.from_numpy(x[:-held]).to(DEVICE)
        self.test = x[-held:]
        self.y = torch.from_numpy(of_train.astype(np.int64)).to(DEVICE)
        self.y_test = torch.from_numpy(of_test.astype(np.int64))

    def draw(self, n: int) -> list[Tensor]:
        """Images, half of them mirrored, and labels."""
        index = torch.randint(len(self.train), (n,), device=DEVICE)
        x = self.train[index].float().div_(127.5).sub_(1)
        mirrored = torch.rand(n, 1, 1, 1, device=DEVICE) < 0.5
        return [torch.where(mirrored, x.flip(3), x), self.y[index]]


def judge(data: Pictures, table: Table, seconds: float, args: argparse.Namespace) -> Any:
    """A function of uint8 images that gives distances to the training images."""
    from frenemy.judge.classifier import Classifier, augmented
    from frenemy.judge.features import in_batches, random
    from frenemy.judge.frechet import frechet
    from frenemy.judge.kernel import kid

    net = Classifier(3, 10).to(DEVICE)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    start, rounds = time.perf_counter(), 0
    while (t := (time.perf_counter() - start) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1.0, 10 * (t + 0.01), 1.1 * (1 - t))
        x, y = data.draw(256)
        F.cross_entropy(net(augmented(x, flip=False)).logits, y).backward()
        optimiser.step()
        optimiser.zero_grad()
        rounds += 1
    net.eval()
    train = data.train.cpu().numpy()
    net.standardise(in_batches(net, train[:2000], DEVICE).features.to(DEVICE))
    logits = in_batches(net, data.test, DEVICE).logits
    assert logits is not None
    accuracy = (logits.argmax(1) == data.y_test).float().mean().item()
    table.row("the judge's classifier", rounds=rounds, accuracy=round(accuracy, 3))
    sees = {"classifier": net, "random": random(DEVICE).network}
    real = {name: in_batches(see, train, DEVICE).features for name, see in sees.items()}

    def distances(x: Any) -> dict[str, Any]:
        found = {}
        for name, see in sees.items():
            fake = in_batches(see, x, DEVICE).features
            value = frechet(real=real[name], fake=fake)
            found[f"frechet {name}"] = f"{value.value:.3f} +- {value.error:.3f}"
            if name == "classifier":
                near = kid(real=real[name][:HELD_OUT], fake=fake)
                found["kernel classifier"] = f"{near.value:.4f} +- {near.error:.4f}"
                seen = in_batches(see, x[:2000], DEVICE).logits
                assert seen is not None
                p = seen.softmax(1)
                entropy = (
                    -(p.mean(0) * p.mean(0).log()).sum() + (p * seen.log_softmax(1)).sum(1).mean()
                )
                found["classes"] = round(entropy.exp().item(), 2)
        return found

    table.row(f"held-out images, {len(data.test)}", **distances(data.test))
    return distances


def curve(table: Table, setting: Setting, args: argparse.Namespace) -> None:
    """Plays on CIFAR-10 for what is left of the time, compiled if that works."""
    from frenemy.pictures import grid, save_picture

    end = time.perf_counter() + args.seconds
    data = Pictures(args)
    distances = judge(data, table, 4 if args.mini else 25, args)
    setting = replace(setting, classes=10)
    play = Play(setting, "bfloat16", "exact")
    part = setting.part // 2
    if not args.eager:
        play, part = compiled(table, play, end, args)

    count, seed = (1000, 500) if args.mini else (HELD_OUT, 2014)
    noise = torch.Generator(DEVICE).manual_seed(seed)
    z = torch.randn(count, 64, generator=noise, device=DEVICE)
    y = torch.arange(count, device=DEVICE) % 10

    def judged(**told: Any) -> dict[str, Any]:
        with torch.no_grad(), play.cast():
            made = torch.cat([play.average(*zy) for zy in zip(z.split(250), y.split(250))])  # noqa: B905
        x = made.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        save_picture(grid(x[:100], 10), table.out / "samples.png")
        return {**told, **distances(x)}

    seen, spent, start = 0, 0.0, time.perf_counter()
    reserve = 5 if args.mini else 12  # for the last judgement and sheet
    total = max(end - reserve - start, 1.0)
    marks = [total * k / (2 if args.mini else max(2, round(total / 45))) for k in range(1, 99)]
    while (elapsed := time.perf_counter() - start) < total or not seen:
        falling = (1 + math.cos(math.pi * min(elapsed / total, 1))) / 2  # from 1 to 0, as published
        for optimiser in play.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = 5e-5 + 1.5e-4 * falling
                group["betas"] = (0.0, 0.99 - 0.09 * falling)
        play.gamma.fill_(0.005 + 0.045 * falling)
        play.round(data.draw, setting.minibatch, part)
        wait()
        seen += setting.minibatch
        half_life = 0.1 * seen * (1 - falling)
        play.follow(1 - 0.5 ** (setting.minibatch / half_life) if half_life > 1 else 1.0)
        if time.perf_counter() - start > marks[0]:
            marks = [mark for mark in marks if mark > time.perf_counter() - start]
            before = time.perf_counter()
            told = {"images": seen, "seconds": round(before - start - spent, 1)}
            table.tried("samples of the average", lambda told=told: judged(**told))
            spent += time.perf_counter() - before
    told = {"images": seen, "seconds": round(time.perf_counter() - start - spent, 1)}
    table.row("played", **told, **{"images/s": round(seen / told["seconds"], 1)})
    table.tried("samples of the average, at the end", lambda: judged(**told))
    for precision in ("float32", "bfloat16"):
        table.tried(f"penalties at the end, {precision}", lambda p=precision: slopes(play, data, p))


@torch.no_grad()
def slopes(play: Play, data: Pictures, precision: Precision) -> dict[str, Any]:
    """The mean of |grad D|^2 at real images, exact and by finite differences of two sizes."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    play.precision, found = precision, {"exact": 0.0, "by .01": 0.0, "by .1": 0.0}
    for _ in range(repeats := 16):
        x, y = data.draw(32)
        with play.cast():
            logits, slope = play.D.slopes(x, y)
            found["exact"] += slope.square().sum().item() / len(x) / repeats
            for name, sigma in (("by .01", 0.01), ("by .1", 0.1)):
                moved = play.D(x + sigma * torch.randn_like(x), y)
                found[name] += ((moved - logits) / sigma).square().mean().item() / repeats
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def compiled(table: Table, play: Play, end: float, args: argparse.Namespace) -> tuple[Play, int]:
    """The same game with compiled losses, if these are right and faster."""
    setting, part = play.setting, play.setting.part
    backend = "aot_eager" if args.mini else "inductor"

    def too_long(*_: Any) -> None:
        raise TimeoutError("compilation takes too long")

    def draw(n: int) -> list[Tensor]:
        return [*images(setting)(n), torch.arange(n, device=DEVICE) % 10]

    def measure(name: str) -> float:
        def found() -> dict[str, Any]:
            if CUDA:
                torch.cuda.reset_peak_memory_stats()
            t = timed(lambda: play.round(draw, setting.minibatch, part), args.patience)
            pace = setting.minibatch / statistics.median(t)
            memory = torch.cuda.max_memory_allocated() / 2**30 if CUDA else 0.0
            told = {"images/s": round(pace, 1), "GiB": round(memory, 1), "at once": part}
            return {**told, **table.share(pace, flops, "bfloat16")}

        took = table.tried(f"{setting.side} px with classes, bfloat16, exact, {name}", found)
        return took["images/s"] if took else 0.0

    flops = play.flops(draw)
    while not (eager := measure("eager")) and part > 8:
        part //= 2
    weights = copy.deepcopy([play.D.state_dict(), play.G.state_dict()])
    (x, y), z = draw(part), torch.randn(part, 64, device=DEVICE)
    Gz = play.generate(z, y)

    def gradients(loss: Callable[..., Tensor], net: nn.Module, *given: Tensor) -> Tensor:
        play.D.requires_grad_(net is play.D)
        loss(*given).backward()
        flat = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        net.zero_grad()
        return flat

    for name, net, given in (
        ("d_loss", play.D, (x, Gz, play.gamma, y)), ("g_loss", play.G, (z, x, y)),
    ):  # fmt: skip

        def make(name: str = name, net: nn.Module = net, given: Any = given) -> dict[str, Any]:
            plain = getattr(play, f"_{name}")
            right = gradients(plain, net, *given)
            fast = torch.compile(plain, fullgraph=True, dynamic=False, backend=backend)
            signal.signal(signal.SIGALRM, too_long)
            most = max(1, min(120, (end - time.perf_counter()) / 2))
            signal.setitimer(signal.ITIMER_REAL, most, 5)  # again: a compiler may catch it
            try:
                off = (gradients(fast, net, *given) - right).norm() / right.norm()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if not off < 0.1:
                raise ValueError(f"its gradient is off by {off.item():.3g}")
            setattr(play, name, fast)
            return {"off": f"{off.item():.2g}"}

        table.tried(f"compiling {name}", make)
    made = [play.d_loss != play._d_loss, play.g_loss != play._g_loss]
    faster = measure("compiled") if any(made) else 0.0
    if faster < eager:  # also where it failed
        play.d_loss, play.g_loss = play._d_loss, play._g_loss
    play.D.load_state_dict(weights[0])
    play.G.load_state_dict(weights[1])
    for optimiser in play.optimisers.values():
        optimiser.state.clear()
    table.row("plays on", way="compiled" if faster >= eager else "eager")
    return play, part


EAGER = [
    ("bfloat16", "exact", 1), ("bfloat16", "none", 1), ("bfloat16", "difference", 1),
    ("bfloat16", "quarter", 1), ("tf32", "exact", 0.5), ("float32", "exact", 0.25),
]  # fmt: skip
LARGER = [("bfloat16", "exact", 1), ("bfloat16", "none", 1), ("tf32", "exact", 0.5)]
AUTOGRAD = [("bfloat16", "autograd", 0.0625), ("float32", "autograd", 0.0625)]
SECONDS = {"rates": 30, "eager": 90, "64": 40, "256": 40, "dcgan": 20, "autograd": 25}
MINI_SECONDS = dict.fromkeys(SECONDS, 60)
PARTS: dict[str, Callable[[Table, dict[str, Setting], argparse.Namespace], None]] = {
    "rates": lambda t, s, a: rates(t, a),
    "eager": lambda t, s, a: (speed(t, s["32"], a, EAGER), lazily(t, 32))[0],
    "64": lambda t, s, a: speed(t, s["64"], a, LARGER),
    "256": lambda t, s, a: speed(t, s["256"], a, LARGER),
    "dcgan": lambda t, s, a: dcgan(t, a),
    "autograd": lambda t, s, a: speed(t, s["32"], a, AUTOGRAD),
    "curve": lambda t, s, a: curve(t, s["32"], a),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--mini", action="store_true")
    parser.add_argument("--seconds", type=float, help="all of it; 530, or 110 in miniature")
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--eager", action="store_true", help="the curve without a compiler")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    args.patience = 0.1 if args.mini else 2.5
    if args.part:
        torch.backends.cudnn.benchmark = True
        PARTS[args.part](Table(args.out, args.part), MINI if args.mini else SETTINGS, args)
        return
    end = time.perf_counter() + (args.seconds or (110 if args.mini else 530))
    limits = MINI_SECONDS if args.mini else SECONDS

    def play(part: str, limit: float, *more: str) -> bool:
        command = [sys.executable, __file__, "--data", str(args.data), "--labels", str(args.labels)]
        command += ["--out", str(args.out), "--part", part, *more]
        command += ["--mini"] if args.mini else []
        started = time.perf_counter()
        table = Table(args.out, part)
        child = subprocess.Popen(command, start_new_session=True)
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # its compiler's helpers too
            table.row(f"{part}: stopped after {limit:.0f} s")
            return False
        if code:
            table.row(f"{part}: failed with status {code}")
        Table(args.out, "time").row(part, seconds=round(time.perf_counter() - started, 1))
        return not code

    for part, limit in limits.items():
        play(part, limit)
    left = max(end - time.perf_counter() - 10, 30)  # torch starts
    if not play("curve", left + (60 if args.mini else 8), "--seconds", str(left)):
        left = end - time.perf_counter() - 10
        if left > 40:
            play("curve", left + 8, "--seconds", str(left), "--eager")


if __name__ == "__main__":
    main()
