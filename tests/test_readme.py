"""The README's commands do what it says."""

import os
import re
import shlex
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frenemy.cli import VERBS, main
from frenemy.lab.lessons import LESSONS

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def commands():
    """The `frenemy` commands of the console blocks, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = "".join(blocks).splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ frenemy")]


def test_every_verb_is_shown():
    verbs = {command[1] for command in commands()}
    assert verbs == set(VERBS)


def write_idx(folder: Path) -> None:
    """A small data set in MNIST's format: blurred dots."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", 300), ("t10k", 60)):
        coarse = random.integers(0, 256, (count, 7, 7), np.uint8)
        images = coarse.repeat(4, axis=1).repeat(4, axis=2)
        header = struct.pack(">4i", 0x803, *images.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = struct.pack(">2i", 0x801, count) + bytes(i % 10 for i in range(count))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def test_the_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = Path(os.environ.get("FRENEMY_DATA", "")).absolute() / "mnist"
    if real.is_dir():
        (tmp_path / "mnist").symlink_to(real)
    else:
        write_idx(tmp_path / "mnist")
    (tmp_path / "pictures").mkdir()
    for i in range(16):
        mode = ("L", "RGB", "RGBA", "P")[i % 4]
        picture = Image.effect_noise((40 + i, 50), 99).convert(mode)
        picture.save(tmp_path / "pictures" / f"{mode}{i}.png")
    Image.new("RGB", (90, 60), "grey").save(tmp_path / "digit.png")
    for _, *arguments in commands():
        if "--minutes" in arguments:  # the same command, for as long as a test may take
            at = arguments.index("--minutes")
            arguments[at : at + 2] = ["--steps", "100" if arguments[1] == "mnist" else "3"]
        if arguments[0] == "judge":
            arguments += ["--samples", "300"]
        if arguments[0] == "table1":  # all its rows take minutes
            arguments += ["--only", "training", "noise"]
        if arguments[0] == "lab":
            continue
        if arguments[0] == "compare" and not (tmp_path / "other").exists():
            shutil.copytree(tmp_path / "run", tmp_path / "other")
        assert main(arguments) == 0, arguments
    for made in ("samples.png", "walk.png", "walk.webp", "film.webp", "strip.png", "curves.png"):
        assert (tmp_path / made).stat().st_size > 0


def test_the_commands_of_the_lab_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    brief = {name: LESSONS[name] for name in ("game-tree", "likelihood")}  # all take minutes
    for _, *arguments in commands():
        if arguments[0] == "lab":
            lessons = brief if "--all" in arguments else LESSONS
            monkeypatch.setattr("frenemy.lab.lessons.LESSONS", lessons)
            assert main(arguments) == 0, arguments
    assert (tmp_path / "lab.html").stat().st_size > 0


def test_the_python_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    short, changes = re.subn(r"steps=[\d_]+", "steps=60", code)  # one row in the log
    assert changes == 1
    exec(compile(short, "README.md", "exec"), {})
    assert (tmp_path / "samples.png").exists()


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(name):
    assert (Path(__file__).parents[1] / name).exists()
