"""Files that mean harm: they are told of in a line, and nothing is started, sent or written."""

import ast
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from frenemy import Model, recipes, resume, train
from frenemy.errors import FrenemyError
from frenemy.pictures import load_picture
from frenemy.run import Run

SOURCE = Path(__file__).parents[1] / "src"

CHILD = """
import json, os, sys
from frenemy.cli import main

place, commands, again = sys.argv[1], *map(json.loads, sys.argv[2:])
for arguments in again:  # so that all is imported
    main(arguments)
seen, writes = [], os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
starts = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile")
others = ("os.system", "socket.", "pty.", "webbrowser.", "ctypes.dlopen")
changes = ("os.remove", "os.rename", "os.rmdir", "os.truncate", "os.symlink", "os.link", "os.chmod")

def inside(path):
    return os.path.realpath(os.fsdecode(path)).startswith(place)

def watch(event, arguments):
    if event.startswith((*starts, *others)):
        seen.append(repr((event, arguments)))
    if event == "open" and not isinstance(arguments[0], int) and (arguments[2] or 0) & writes:
        if not inside(arguments[0]) and arguments[0] != os.devnull:
            seen.append(repr((event, arguments)))
    if event in changes and not inside(arguments[0]):
        seen.append(repr((event, arguments)))

sys.addaudithook(watch)
status = [main(arguments) for arguments in commands]
print(json.dumps([seen, status]))
"""


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def claiming(width, height):
    """A PNG that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


PICTURES = {
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n",
    "larger than memory": claiming(60_000, 60_000),
    "larger than it is": claiming(500, 500),
    "gif": b"GIF89a" + bytes(50),
    "cut short": claiming(8, 8)[:40],
    "empty": b"",
    "text": b"no picture",
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES)
def test_what_is_no_picture_of_ours_is_told_in_one_line(content, tmp_path):
    path = tmp_path / "00000001.png"
    path.write_bytes(content)
    with pytest.raises(FrenemyError, match=r"00000001\.png cannot be read as a picture") as told:
        load_picture(path)
    assert "\n" not in str(told.value)


def test_every_opening_of_a_picture_names_its_formats():
    openings = [
        call
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("Image.open", "PIL.Image.open")
    ]
    assert openings
    assert all(any(key.arg == "formats" for key in call.keywords) for call in openings)


def forged(run, content):
    """A checkpoint of round 9 with a true digest."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    (run / "checkpoints" / f"00000009-{digest}.safetensors").write_bytes(content)


def test_nothing_is_started_sent_or_written_elsewhere(tmp_path):
    run = tmp_path / "run"
    train(recipes.digits2014, steps=1, out=run)
    commands = []

    def spoilt(verb, spoil):
        copy = tmp_path / f"copy-{len(commands)}"
        shutil.copytree(run, copy)
        spoil(copy)
        commands.append([verb, str(copy)])

    for content in PICTURES.values():
        spoilt("film", lambda r, c=content: (r / "samples" / "00000350.png").write_bytes(c))
        folder = tmp_path / f"pictures-{len(commands)}"
        folder.mkdir()
        (folder / "a.png").write_bytes(content)
        commands.append(["data", str(folder)])
    for text in ("[" * 100_000, '{"a":1e999}', "\0", "cos\nsystem\n(S'true'\ntR."):
        spoilt("health", lambda r, t=text: (r / "log.jsonl").write_text(t))
        spoilt("sample", lambda r, t=text: (r / "run.json").write_text(t))
        spoilt("sample", lambda r, t=text: forged(r, t.encode()))
        (tmp_path / "judge.json").write_text(text)
        commands.append(["compare", *[str(tmp_path / "judge.json")] * 2])
    again = [["film", str(run)], ["sample", str(run), "-n", "1"]]
    child = [
        sys.executable,
        "-c",
        CHILD,
        str(tmp_path.resolve()),
        *map(json.dumps, (commands, again)),
    ]
    own = {**os.environ, "FRENEMY_CACHE": str(tmp_path.resolve() / "cache")}
    done = subprocess.run(child, capture_output=True, text=True, cwd=tmp_path, env=own)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    seen, status = json.loads(done.stdout.splitlines()[-1])
    assert seen == []
    assert len(status) == len(commands) and set(status) <= {0, 1}
    assert Run.open(run).samples()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("//server/share/images", "on another machine"),
        (r"\\server\share\images.npy", "on another machine"),
        ("stacked://server/share", "on another machine"),
        ("pipe", "neither a file nor a folder"),
        (os.devnull, "neither a file nor a folder"),
        ("nowhere", "no such file or folder: give the place"),
        ("other.npy", r"\(read from .*other\.npy\) is not what"),
    ],
)
def test_where_the_images_lie_is_a_runs_word_and_no_more(tmp_path, monkeypatch, place, said):
    monkeypatch.chdir(tmp_path)
    pixels = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8)
    np.save("images.npy", pixels)
    np.save("other.npy", pixels[::-1])
    if place == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("there are no pipes with names")
        os.mkfifo("pipe")
    run = train(recipes.digits2014, "images.npy", steps=1, out=tmp_path / "run")
    run.header["data"]["path"] = place
    run.update()
    with pytest.raises(FrenemyError, match=said) as told:
        resume(run.path, steps=2)
    assert "\n" not in str(told.value)
    with pytest.raises(FrenemyError, match=said):
        Model.load(run.path).data()
