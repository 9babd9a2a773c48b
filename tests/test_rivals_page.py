"""The examples of docs/rivals.md run."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/rivals.md").read_text("utf-8")


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "docs/rivals.md", "exec"), {})
    found = re.findall(r"(ELBO|samples) tensor\((.*?)\)", capsys.readouterr().out)
    lower, upper = (float(value) for _, value in found)
    assert lower < upper
