"""What others wrote comes to the terminal as text."""

import io
import json
import re
import warnings

import pytest

from frenemy.cli import main
from frenemy.escapes import printable
from frenemy.judge.report import Line, Report, report_table
from frenemy.terminal import SafeConsole

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize("text", ["", "café, 日本, 🙂", "क्‍ष"])
def test_plain_text_stays(text):
    assert printable(text) == text


def test_nothing_that_a_terminal_obeys_is_left():
    every = "".join(map(chr, [*range(0x300), *range(0x2000, 0x2070), 0xDCE9]))
    said = printable(every)
    assert said.isprintable() or {c for c in said if not c.isprintable()} == set("\u200c\u200d")
    said.encode()  # nor anything that no terminal can show


def test_a_console_prints_text_in_its_own_colours_alone():
    file = io.StringIO()
    console = SafeConsole(
        file=file, force_terminal=True, color_system="truecolor", width=80, highlight=False
    )
    console.print(f"[bold]{HOSTILE}[/bold]\nnext")
    told = file.getvalue()
    assert told.startswith("\x1b[1m") and "\nnext" in told
    own = ("\x1b[1m", "\x1b[0m", "\n")
    assert all(part.isprintable() for part in re.split("|".join(map(re.escape, own)), told))


def test_a_reports_own_words_are_text(capsys):
    name = f"[/bold][red]{HOSTILE}"
    report = Report(name, name, {}, [name], [Line(name, "", {})], [name])
    SafeConsole().print(report_table(report))
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("said", ["error", "warning"])
def test_errors_and_warnings_are_told_as_text(said, tmp_path, capsys):
    path = tmp_path / f"run{HOSTILE}"
    if said == "error":
        assert main(["health", str(path)]) == 1
    else:
        main(["recipes"])  # which sets how warnings are shown
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(str(path), stacklevel=1)
    told = capsys.readouterr().err
    assert r"\x1b]0;title\x07" in told
    assert told.rstrip("\n").isprintable()


def test_a_wrong_field_is_quoted_as_text(tmp_path, capsys):
    (tmp_path / "run.json").write_text(json.dumps({"recipe": 3, HOSTILE: HOSTILE}))
    assert main(["health", str(tmp_path)]) == 1
    assert capsys.readouterr().err.rstrip("\n").isprintable()
