"""The game that docs/concepts.md shows is played by the commands that it shows."""

import re
import shlex
from pathlib import Path

from frenemy.cli import main

PAGE = (Path(__file__).parents[1] / "docs/concepts.md").read_text("utf-8")


def test_the_game_of_the_page_plays_in_every_verb_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(\"\"\".*?)```", PAGE, re.DOTALL)
    Path("game.py").write_text(code)
    (block,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for i, line in enumerate(block.splitlines(), 1):
        _, program, *words = shlex.split(line)
        if "--minutes" in words:  # the same command, for as long as a test may take
            at = words.index("--minutes")
            words[at : at + 2] = ["--steps", str(2 * i)]
        assert program == "frenemy" and main(words) == 0, line
    assert Path("run/sample.png").exists() and Path("run/film.gif").exists()
