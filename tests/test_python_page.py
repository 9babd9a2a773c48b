"""The examples of docs/python.md run."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text("utf-8")


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "docs/python.md", "exec"), {})
    assert (tmp_path / "judge.html").exists()
    printed = capsys.readouterr().out
    assert "'metric': 'kid200_random'" in printed and "too early" in printed
