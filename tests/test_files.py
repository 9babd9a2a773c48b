"""Files and folders that appear whole or never, and whose fault it is."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frenemy.errors import FrenemyError
from frenemy.files import WritingFailed, filling, write_atomically


def fail(part):
    part.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failed_write_leaves_what_was_there_and_no_part(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(WritingFailed, match="no space left"):
        write_atomically(path, fail)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_of_the_content_blames_no_place(tmp_path):
    def too_large(part):
        raise ValueError("image size exceeds the format's")

    with pytest.raises(ValueError, match=r"^image size exceeds the format's$"):
        write_atomically(tmp_path / "file", too_large)
    assert not os.listdir(tmp_path)


def test_a_killed_write_leaves_nothing_under_the_final_name(tmp_path):
    def die(part):
        part.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", die)
    assert not os.listdir(tmp_path)


# Folders


def fill(folder):
    with filling(folder) as part:
        for name in "abc":
            (part / name).write_text(name)


def held(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


ABC = {name: name for name in "abc"}


def test_a_new_folder_appears_with_all_its_files(tmp_path):
    folder = tmp_path / "deep" / "folder"
    with filling(folder) as part:
        (part / "a").write_text("a")
        assert not folder.exists()
    assert held(folder) == {"a": "a"}
    assert os.listdir(tmp_path / "deep") == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_an_empty_folder_stays_what_it_was(tmp_path):
    (tmp_path / "folder").mkdir(mode=0o750)
    before = os.stat(tmp_path / "folder")
    fill(tmp_path / "folder")
    after = os.stat(tmp_path / "folder")
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert held(tmp_path / "folder") == ABC
    assert os.listdir(tmp_path) == ["folder"]


def test_the_folder_in_which_one_is_may_be_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(Path())
    assert held(tmp_path) == ABC


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(WritingFailed, match="is not empty: give a new folder"):
        fill(tmp_path)
    assert held(tmp_path) == {"mine": "mine"}


@pytest.mark.parametrize("there", [False, True])
def test_an_error_leaves_no_half_filled_folder(tmp_path, there):
    folder = tmp_path / "folder"
    if there:
        folder.mkdir()
    with pytest.raises(WritingFailed, match=r"folder: no space left"), filling(folder) as part:
        fail(part / "a")
    assert os.listdir(tmp_path) == (["folder"] if there else [])
    assert not there or not os.listdir(folder)


def test_a_folder_that_cannot_be_filled_to_its_end_is_empty_again(tmp_path, monkeypatch):
    real = Path.rename

    def rename(path, to):
        if path.name == "c":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(WritingFailed, match="Input/output error"):
        fill(tmp_path)
    assert not os.listdir(tmp_path)


def test_a_file_in_the_way_of_a_folder_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(FrenemyError, match="cannot write here") as refused:
            fill(folder)
        assert "\n" not in str(refused.value)
    assert held(tmp_path) == {"file": "mine"}


KILLED = """
import os, pathlib, signal, sys
from frenemy.files import filling
with filling(pathlib.Path(sys.argv[1])) as part:
    (part / "z").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
@pytest.mark.parametrize("there", [False, True])
def test_what_a_kill_leaves_is_no_obstacle(tmp_path, there):
    folder = tmp_path / "folder"
    if there:
        folder.mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, folder])
    assert done.returncode == -signal.SIGKILL
    fill(folder)
    assert {path.name: path.read_text() for path in folder.glob("[!.]*")} == ABC
