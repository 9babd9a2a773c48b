"""The README's commands do what it says."""

import re
import shlex
from pathlib import Path

import pytest

from frenemy.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def commands():
    """The `frenemy` commands of the console blocks, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = "".join(blocks).splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ frenemy")]


def test_every_verb_is_shown():
    verbs = {command[1] for command in commands()}
    expected = {"train", "sample", "walk", "neighbours", "judge", "film", "recipes", "data"}
    assert verbs == expected


def test_the_commands_run(tmp_path, monkeypatch, real_data):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").symlink_to(real_data / "mnist")
    (tmp_path / "pictures").symlink_to(real_data / "mnist")
    for _, *arguments in commands():
        if "--minutes" in arguments:  # the same command, for as long as a test may take
            at = arguments.index("--minutes")
            arguments[at : at + 2] = ["--steps", "30"]
        assert main(arguments) == 0, arguments


def test_the_python_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    short, changes = re.subn(r"steps=[\d_]+", "steps=20", code)
    assert changes == 1
    exec(compile(short, "README.md", "exec"), {})
    assert (tmp_path / "samples.png").exists()


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(name):
    assert (Path(__file__).parents[1] / name).exists()
