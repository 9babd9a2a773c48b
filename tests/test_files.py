"""Files and folders that appear whole or never, and whose fault it is."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from frenemy.errors import FrenemyError
from frenemy.files import WritingFailed, filling, names_in, read_regular, write_atomically


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


# Mounts that know less, and folders that cannot be read


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_a_mount_without_modes_takes_files_all_the_same(tmp_path, monkeypatch, number):
    def refuse(path, mode):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "chmod", refuse)
    write_atomically(tmp_path / "file", lambda part: part.write_text("whole"))
    assert held(tmp_path) == {"file": "whole"}


@pytest.mark.skipif(os.name == "nt", reason="folders are not synchronised there")
@pytest.mark.parametrize(("number", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_is_synchronised_where_that_is_known(tmp_path, monkeypatch, number, told):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(WritingFailed) if told else contextlib.nullcontext():
        write_atomically(tmp_path / "file", lambda part: part.write_text("whole"))
    assert held(tmp_path) == {"file": "whole"}


def test_what_is_not_there_holds_no_names_and_what_cannot_be_read_is_told(tmp_path):
    assert names_in(tmp_path / "none") == []
    for name in "ba":
        (tmp_path / name).write_text("")
    assert names_in(tmp_path) == ["a", "b"]
    with pytest.raises(FrenemyError, match="a cannot be read"):
        names_in(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    with pytest.raises(FrenemyError, match="link cannot be read"):
        names_in(tmp_path / "link")


def test_a_file_is_read_if_it_is_one_and_no_larger_than_allowed(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, not 4 at most"):
        read_regular(tmp_path / "file", 4)
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(Path(os.devnull), 5)
