"""Whether kills, failing system calls and damaged files lose or falsify anything.

    python benchmarks/attack.py kills --count 1000
    python benchmarks/attack.py faults --count 1000
    python benchmarks/attack.py inputs --count 1000000

`kills`: trainings on a folder of pictures are killed, half of them at random moments, half at a
system call that opens, renames, removes, makes, lists or syncs a file of theirs, and begun again
until they come to their end. `faults`: one such call, or all from there on, fails, or the disk is
full; then the training is begun again without. In both, every end must be that of a training that
nobody disturbed, bit for bit, every checkpoint must be whole, and no traceback be shown. `inputs`:
files of every kind that is read are damaged at random, and read: what comes of one must be images
or one line, in bounded memory and time, without a process, a socket or a file.

Each experiment is a function of its seed, and a process of its own (a fork: POSIX alone). Prints a
Markdown table, and what broke with its seed; ends with status 1 if anything did.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import functools
import io
import itertools
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a fork has no second thread

import numpy as np
import scipy.io
import torch
import tyro
from PIL import Image

from frenemy import checkpoint, diagnosis
from frenemy.cli import main as command
from frenemy.data.contents import UnreadableImage
from frenemy.data.detect import find
from frenemy.data.pixels import Resize
from frenemy.errors import FrenemyError
from frenemy.judge.report import Report
from frenemy.run import DIGEST_LENGTH, Run, file_digest

ROUNDS = 24
SPAN = 300
"""System calls on its own files, more or less, that an undisturbed training makes."""
FAULTS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.EROFS, errno.ENOMEM)
CALLS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.listdir",
         "os.scandir")  # fmt: skip
"""What Python tells its audit hooks of, and that has a path first."""
FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
             "socket.connect", "socket.bind", "socket.getaddrinfo")  # fmt: skip
BATCH = 200  # inputs that one process reads
MEMORY = 1 << 30  # bytes that reading one may take
SECONDS = 60  # that it may take, on a busy machine


class Broken(Exception):
    """Something that must not happen."""


def forked(work: Callable[[], object], said: Path) -> int:
    """Does the work in a process of its own, what it says being kept; its exit status, or -signal.

    Nothing of the caller's is run in it again: it ends as soon as the work is done.
    """
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    code = 99
    try:
        with open(said, "ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
        faulthandler.enable(sys.stderr)
        result = work()
        code = result if isinstance(result, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def at_call(number: int, folder: Path, act: Callable[[], None]) -> None:
    """From now on, acts before the so manieth call on a file in the folder, and all after it."""
    inside, counted = os.fspath(folder) + os.sep, itertools.count(1)

    def call(name: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0] if arguments else None
        if name in CALLS and isinstance(path, str | bytes | os.PathLike):
            absolute = os.path.abspath(os.fsdecode(path))
            if absolute.startswith(inside) and next(counted) >= number:
                act()

    sys.addaudithook(call)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if next(counted) >= number:
            act()
        sync(descriptor)

    os.fsync = fsync


def outcome(run: Path) -> dict[str, Any]:
    """All that must be the same: tensors, progress but for its clock, the log, the pictures."""
    opened = Run.open(run)
    tensors, progress = checkpoint.read(opened.checkpoints()[0])
    progress.seconds = 0
    return {
        "tensors": {name: value.numpy().tobytes() for name, value in tensors.items()},
        "progress": progress,
        "log": (run / "log.jsonl").read_bytes(),
        "pictures": {picture.name: picture.read_bytes() for picture in opened.samples()},
    }


class Arena:
    """A folder with pictures, a cache and a run, to be trained in again and again.

    Args:
        folder: that is to be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.run, self.said = folder, folder / "run", folder / "said.txt"
        pictures = folder / "pictures"
        pictures.mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)
        for i, image in enumerate(pixels):
            Image.fromarray(image).save(pictures / f"{i}.png")

    def play(self) -> int:
        """Begins the training, or goes on with it; returns the command's exit status."""
        with mock.patch.dict(os.environ, FRENEMY_CACHE=os.fspath(self.folder / "cache")):
            begun = ["--resume", os.fspath(self.run)]
            if not (self.run / "run.json").exists():
                begun = ["pictures", "--data", os.fspath(self.folder / "pictures")]
                begun += ["--width", "4", "--size", "16", "--steps", str(ROUNDS)]
                begun += ["--out", os.fspath(self.run), "--checkpoint-seconds", "0"]
            return command(["train", *begun])

    def train(self, before: Callable[[], object] = lambda: None) -> int:
        """Plays in another process, in which something is done before; returns its status."""

        def work() -> int:
            before()
            return self.play()

        self.said.unlink(missing_ok=True)
        return forked(work, self.said)

    def check(self, code: int) -> None:
        """Raises Broken unless what was said is whole lines, and every checkpoint whole."""
        said = self.said.read_text("utf-8", "replace")
        if "Traceback" in said or "Fatal Python error" in said or code == 99:
            raise Broken(said)
        if code > 0 and not said.splitlines()[-1].startswith("frenemy: "):
            raise Broken(f"status {code} without a word: {said}")
        for path in self.run.glob("checkpoints/[0-9]*"):
            try:
                checkpoint.read(path)
            except FrenemyError as error:
                raise Broken(str(error)) from error

    def finish(self, expected: dict[str, Any]) -> None:
        """Trains to the end, undisturbed; raises Broken unless that is the expected one."""
        code = self.train()
        self.check(code)
        if code:
            raise Broken(self.said.read_text("utf-8", "replace"))
        found = outcome(self.run)
        if different := [name for name, value in expected.items() if found[name] != value]:
            raise Broken(f"another end: {', '.join(different)}")
        if litter := [*self.run.glob("*/.*")]:  # what lies in the run itself is swept a day later
            raise Broken(f"left lying: {litter}")


@contextlib.contextmanager
def arena(root: Path) -> Iterator[Arena]:
    """A folder for one experiment."""
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        yield Arena(folder / "arena")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(seed: int, root: Path, expected: dict[str, Any], seconds: float) -> Counter[str]:
    """One training, killed until it is at its end or has been killed eight times."""
    chance, seen = random.Random(seed), Counter[str]()
    with arena(root) as here:
        for _ in range(8):
            if chance.random() < 0.5:
                kind = "at a call"
                before = functools.partial(at_call, chance.randint(1, SPAN), here.folder, _kill)
            else:
                kind, moment = "at a moment", chance.uniform(0.001, seconds)
                before = functools.partial(signal.setitimer, signal.ITIMER_REAL, moment)
            code = here.train(before)
            if code >= 0:
                break
            here.check(code)
            seen[f"killed {kind}"] += 1
        here.finish(expected)
    return seen


def failing(seed: int, root: Path, expected: dict[str, Any], _: float) -> Counter[str]:
    """One training in which a call fails, or all from one on, or the disk is full."""
    chance = random.Random(seed)
    kind = chance.choice(("one call fails", "calls fail from there on", "files stay short"))
    number, code = chance.randint(1, SPAN), chance.choice(FAULTS)
    limit = chance.randint(1, 1 << 19)

    def before() -> None:
        if kind == "files stay short":
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return
        done = False

        def fail() -> None:
            nonlocal done
            if kind == "calls fail from there on" or not done:
                done = True
                raise OSError(code, os.strerror(code))

        at_call(number, here.folder, fail)

    with arena(root) as here:
        here.check(here.train(before))
        here.finish(expected)
    return Counter({kind: 1})


Experiment = Callable[[int, Path, dict[str, Any], float], Counter[str]]


def repeated(experiment: Experiment, count: int, seed: int, enough: Sequence[str]) -> int:
    """Makes experiments until there are so many events; prints the table; 1 if anything broke."""
    seen, broken = Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with arena(root) as warm, contextlib.redirect_stdout(io.StringIO()):
            warm.play()  # so that all is imported, which takes longer than what is played
        with arena(root) as first:
            begun = time.monotonic()
            if first.train():
                print(first.said.read_text())
                return 1
            seconds, expected = time.monotonic() - begun, outcome(first.run)
        for number in itertools.count(seed):
            if sum(seen[kind] for kind in enough) >= count:
                break
            try:
                seen += experiment(number, root, expected, seconds)
            except Broken as error:
                broken.append(f"seed {number}: {error}")
                seen += Counter({enough[0]: 1})
    print(table(seen, len(broken)), *broken, sep="\n")
    return bool(broken)


def table(seen: Counter[str], broken: int) -> str:
    """What was seen how often, as Markdown."""
    rows = [f"| {kind} | {count:,} |" for kind, count in sorted(seen.items())]
    return "\n".join(["| what | how often |", "| --- | --- |", *rows, f"| broke | {broken:,} |"])


class Kind(NamedTuple):
    """A kind of file, its name, how one is made, and what reads it."""

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]


def images(path: Path) -> None:
    """Reads what a set would be made of: of the folder, if the file alone is none."""
    alone = path.suffix in (".npy", ".npz", ".mat", ".zip") or path.name.endswith("ubyte")
    contents = find(path if alone else path.parent).read(Resize(8, "crop"))
    for i in range(min(contents.count, 4)):
        contents.decode(i)


def picture(format: str, mode: str, **options: Any) -> Callable[[], bytes]:
    """How a picture of this format and mode is made."""

    def make() -> bytes:
        pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 4), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, format, **options)
        return buffer.getvalue()

    return make


def _kinds() -> list[Kind]:
    """All kinds, made once: files of a run from one short run."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 12, 12), np.uint8)
    flat = pixels.reshape(6, 144)

    def saved(write: Callable[[io.BytesIO], object]) -> Callable[[], bytes]:
        def make() -> bytes:
            buffer = io.BytesIO()
            write(buffer)
            return buffer.getvalue()

        return make

    def zipped(file: io.BytesIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for i in range(3):
                archive.writestr(f"a/{i}.png", picture("PNG", "RGB")())

    idx = b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in pixels.shape)
    batch = {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 3]}
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [
        Kind("grey.png", picture("PNG", "L"), images),
        Kind("colour.png", picture("PNG", "RGB", exif=exif), images),
        Kind("palette.png", picture("PNG", "P", transparency=0), images),
        Kind("opacity.png", picture("PNG", "RGBA"), images),
        Kind("picture.jpg", picture("JPEG", "RGB", exif=exif), images),
        Kind("picture.webp", picture("WEBP", "RGBA", exif=exif), images),
        Kind("picture.bmp", picture("BMP", "RGB"), images),
        Kind("picture.gif", picture("GIF", "P"), images),
        Kind("set.npy", saved(lambda file: np.save(file, pixels)), images),
        Kind("set.npz", saved(lambda f: np.savez(f, images=pixels, labels=range(6))), images),
        Kind("packed.npz", saved(lambda f: np.savez_compressed(f, images=pixels)), images),
        Kind("set.mat", saved(lambda f: scipy.io.savemat(f, {"images": pixels})), images),
        Kind("flat.mat", saved(lambda f: scipy.io.savemat(f, {"x": flat})), images),
        Kind("set-idx3-ubyte", lambda: idx + pixels.tobytes(), images),
        Kind("data_batch_1", lambda: pickle.dumps(batch, protocol=2), images),
        Kind("pictures.zip", saved(zipped), images),
    ]
    with tempfile.TemporaryDirectory() as name, arena(Path(name)) as here:
        if here.train():
            raise SystemExit(here.said.read_text())
        run = Run.open(here.run)
        files = {"run.json": here.run / "run.json", "log.jsonl": here.run / "log.jsonl"}
        held = {name: path.read_bytes() for name, path in files.items()}
        state = run.checkpoints()[0].read_bytes()
    report = Report("a", "b", {}, ["samples"], [])

    def judged() -> bytes:
        with tempfile.TemporaryDirectory() as name:
            return report.save(Path(name) / "judge.json").read_bytes()

    def described(path: Path) -> None:
        (path.parent / "run.json").write_bytes(path.read_bytes())
        Run.open(path.parent)

    def logged(path: Path) -> None:
        (path.parent / "run.json").write_bytes(held["run.json"])
        diagnosis.outcome(Run.open(path.parent).rows())

    def loaded(path: Path) -> None:
        whole = path.with_name(f"{'0' * 8}-{'0' * DIGEST_LENGTH}.safetensors")
        whole.write_bytes(path.read_bytes())  # under the name of what it holds: it seems whole
        checkpoint.read(whole.rename(path.with_name(f"00000000-{file_digest(whole)}.safetensors")))

    return [
        *kinds,
        Kind("run.json", lambda: held["run.json"], described),
        Kind("log.jsonl", lambda: held["log.jsonl"], logged),
        Kind("judge.json", judged, Report.load),
        Kind("state", lambda: state, loaded),
    ]


VALUES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00",
          b"\x7f\xff\xff\xff", b"1e999", b"-1", b"null", b"NaN", b'"oops"', b"[]", b"{}",
          b"9" * 40, b"[" * 5000, b"\x1b]0;x\x07")  # fmt: skip
"""What is put into files: limits of numbers, and what JSON does not expect."""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The data with one to four random changes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        end = at + chance.randrange(1, 64)
        value = chance.choice(VALUES)
        match chance.randrange(10):
            case 0:
                del changed[at:]
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = changed[at:end]
            case 3 | 4:
                changed[at:end] = value
            case 5 | 6:
                changed[at : at + len(value)] = value
            case _ if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case _:
                pass
    return bytes(changed)


def read_damaged(kind: Kind, data: bytes, numbers: Sequence[int], folder: Path) -> dict[str, int]:
    """Reads so many damaged files of a kind; returns how many were read, and how many refused.

    Raises:
        Broken: of the first that led to anything else.
    """
    found = {"read": 0, "refused": 0}
    told = list[str]()

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax")
        path = os.path.abspath(os.fsdecode(arguments[0])) if writes else ""
        if name in FORBIDDEN or (writes and not path.startswith(os.fspath(folder))):
            told.append(f"{name} {arguments[:1]}")

    sys.addaudithook(watch)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for number in numbers:
        here = folder / str(number)
        here.mkdir()
        path = here / kind.name
        path.write_bytes(damaged(data, random.Random(f"{kind.name} {number}")))
        (folder / "turn").write_text(str(number))
        signal.alarm(SECONDS)
        try:
            kind.read(path)
            found["read"] += 1
        except (FrenemyError, UnreadableImage) as error:
            if "\n" in str(error) or "\x1b" in str(error):
                raise Broken(f"not one plain line: {error!r}") from None
            found["refused"] += 1
        signal.alarm(0)
        if told:
            raise Broken("; ".join(told))
        shutil.rmtree(here)
    return found


def kills(count: int = 1000, seed: int = 0) -> int:
    """Kills trainings.

    Args:
        count: how often.
        seed: of the first training.
    """
    return repeated(killed, count, seed, ("killed at a call", "killed at a moment"))


def faults(count: int = 1000, seed: int = 0) -> int:
    """Lets system calls of trainings fail.

    Args:
        count: of trainings.
        seed: of the first.
    """
    kinds = ("one call fails", "calls fail from there on", "files stay short")
    return repeated(failing, count, seed, kinds)


def inputs(count: int = 1_000_000, seed: int = 0) -> int:
    """Damages files of every kind, and reads them.

    Args:
        count: of files.
        seed: the number of the first.
    """
    seen, broken = Counter[str](), list[str]()
    kinds = _kinds()
    contents = [kind.make() for kind in kinds]
    with tempfile.TemporaryDirectory() as name:
        said, result = Path(name) / "said.txt", Path(name) / "result.json"
        for batch, first in enumerate(range(seed, seed + count, BATCH)):
            kind, data = kinds[batch % len(kinds)], contents[batch % len(kinds)]
            numbers = range(first, min(first + BATCH, seed + count))
            folder = Path(tempfile.mkdtemp(dir=name))

            def work(kind=kind, data=data, numbers=numbers, folder=folder) -> None:
                found = read_damaged(kind, data, numbers, folder)
                result.write_text(json.dumps(found))

            said.unlink(missing_ok=True)
            if code := forked(work, said):
                words, turn = said.read_text("utf-8", "replace"), (folder / "turn").read_text()
                broken.append(f"{kind.name}, seed {turn}, status {code}: {words[-2000:]}")
            else:
                for what, n in json.loads(result.read_text()).items():
                    seen[f"{kind.name}: {what}"] += n
            shutil.rmtree(folder)
    print(table(seen, len(broken)), *broken, sep="\n")
    return bool(broken)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(
        tyro.extras.subcommand_cli_from_dict({"kills": kills, "faults": faults, "inputs": inputs})
    )
