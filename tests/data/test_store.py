import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from frenemy.data import describe, open_dataset, pixels, places, store
from frenemy.data.contents import Contents
from frenemy.errors import FrenemyError

from .data_files import all_of, some_images


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of 20 pictures, which the index takes as if they had been written long ago."""
    monkeypatch.setattr(store, "_TICK", -(10**12))
    folder = tmp_path / "pictures"
    for k, name in enumerate(("a", "b")):
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(some_images(10, 8, 8, seed=k)):
            Image.fromarray(image[0]).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """The numbers of the images that were decoded so far."""
    numbers = []
    real = Contents.try_decode
    monkeypatch.setattr(
        Contents, "try_decode", lambda self, i: (numbers.append(i), real(self, i))[1]
    )
    return numbers


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were read for their digest so far."""
    names = []
    real = store._file_digest
    monkeypatch.setattr(store, "_file_digest", lambda file: (names.append(file), real(file))[1])
    return names


def files(cache):
    return sorted(x.name for x in (cache / "images").iterdir())


def test_the_second_start_neither_decodes_nor_reads(pictures, cache, decoded, hashed):
    first = open_dataset(pictures)
    assert (len(decoded), len(hashed)) == (20, 20)
    second = open_dataset(pictures)
    assert (len(decoded), len(hashed)) == (20, 20)
    np.testing.assert_array_equal(all_of(first)[0], all_of(second)[0])
    np.testing.assert_array_equal(all_of(first)[1], all_of(second)[1])
    assert first.train.digest == second.train.digest
    assert first.description == second.description


def test_new_times_are_looked_into_but_do_not_count(pictures, cache, decoded, hashed):
    first = open_dataset(pictures)
    os.utime(pictures / "a" / "3.png", (5, 5))
    assert open_dataset(pictures).train.digest == first.train.digest
    assert (len(decoded), len(hashed)) == (20, 40)


def test_files_written_just_now_are_read_again(pictures, cache, hashed, monkeypatch):
    monkeypatch.setattr(store, "_TICK", 10**12)
    open_dataset(pictures)
    open_dataset(pictures)
    assert len(hashed) == 40


def test_the_same_content_elsewhere_is_not_decoded_again(pictures, cache, decoded):
    open_dataset(pictures)
    moved = pictures.with_name("moved")
    pictures.rename(moved)
    assert open_dataset(moved).train.name == "moved train"
    assert len(decoded) == 20


@pytest.mark.parametrize("change", ["content", "name", "more", "fewer"])
def test_other_content_is_another_set(pictures, cache, change):
    first = open_dataset(pictures)
    path = pictures / "a" / "3.png"
    if change == "content":
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[-1] ^= 1  # the last byte of a PNG belongs to a checksum that nobody looks at
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # only ctime tells
    elif change == "name":
        path.rename(path.with_name("other.png"))
    elif change == "more":
        Image.new("L", (8, 8)).save(pictures / "a" / "more.png")
    else:
        path.unlink()
    assert open_dataset(pictures).train.digest != first.train.digest


def test_each_size_fit_and_leaving_out_of_colours_is_an_entry(pictures, cache, decoded):
    for size, fit in ((None, "crop"), (None, "stretch"), (4, "crop"), (4, "stretch")):
        open_dataset(pictures, size=size, fit=fit)
    assert len({open_dataset(pictures, grey=grey).train.digest for grey in (False, True)}) == 1
    assert len(files(cache)) == 4 * 3
    assert len(decoded) == 4 * 20


def damaged(path, how):
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "truncated": data[:-1],
                "longer": data + b"x",
                "header": b"\0" + data[1:],
            }[how]
        )


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "longer", "header"])
@pytest.mark.parametrize("suffix", [".npy", ".labels.npy", ".json"])
def test_a_damaged_entry_is_built_again(pictures, cache, decoded, how, suffix):
    first = all_of(open_dataset(pictures))
    images, labels = first[0].copy(), first[1].copy()
    (path,) = (x for x in (cache / "images").iterdir() if x.name.partition(".")[2] == suffix[1:])
    damaged(path, how)
    again = all_of(open_dataset(pictures))
    np.testing.assert_array_equal(again[0], images)
    np.testing.assert_array_equal(again[1], labels)
    assert len(decoded) == 40
    assert len(files(cache)) == 3


@pytest.mark.parametrize("suffix", [".npy", ".labels.npy", ".json"])
@given(choice=st.data())
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_flipped_bit_is_served(pictures, cache, suffix, choice):
    expected = all_of(open_dataset(pictures))
    (path,) = (x for x in (cache / "images").iterdir() if x.name.partition(".")[2] == suffix[1:])
    data = bytearray(path.read_bytes())
    data[choice.draw(st.integers(0, len(data) - 1))] ^= 1 << choice.draw(st.integers(0, 7))
    path.write_bytes(data)
    found = open_dataset(pictures)
    for array, whole in zip(all_of(found), expected, strict=True):
        np.testing.assert_array_equal(array, whole)
    assert found.train.classes == ("a", "b")


def test_a_flip_in_any_block_is_found(pictures, cache, decoded, monkeypatch):
    monkeypatch.setattr(store, "_BLOCK", 100)
    open_dataset(pictures)
    (path,) = (cache / "images").glob("*[!s].npy")
    for block in range(-(-path.stat().st_size // 100)):
        data = bytearray(path.read_bytes())
        data[min(100 * block + 99, len(data) - 1)] ^= 1
        path.write_bytes(data)
        open_dataset(pictures)
        assert len(decoded) == 20 * (block + 2)


def test_another_decoder_decodes_again(pictures, cache, decoded, monkeypatch):
    first = open_dataset(pictures)
    monkeypatch.setattr(store, "DECODERS", "of another version")
    assert open_dataset(pictures).train.digest == first.train.digest
    assert len(decoded) == 40


def test_a_flipped_digit_in_the_index_is_found(pictures, cache, hashed):
    digest = open_dataset(pictures).train.digest
    (page,) = (cache / "index").iterdir()
    text = page.read_text()
    page.write_text(("1" if text[0] == "0" else "0") + text[1:])
    assert open_dataset(pictures).train.digest == digest
    assert len(hashed) == 40


def test_a_damaged_index_is_written_again(pictures, cache, hashed):
    open_dataset(pictures)
    (page,) = (cache / "index").iterdir()
    page.write_bytes(b"\xff")
    open_dataset(pictures)
    assert len(hashed) == 40
    open_dataset(pictures)
    assert len(hashed) == 40


def test_what_lies_in_the_store(pictures, cache):
    dataset = open_dataset(pictures)
    (path,) = (cache / "images").glob("*[!s].npy")
    images = np.load(path)
    np.testing.assert_array_equal(images, all_of(dataset)[0])
    about = json.loads(next((cache / "images").glob("*.json")).read_text())
    assert about["shape"] == [20, 1, 8, 8]
    assert about["digest"] == dataset.train.digest


def limit_file_size(size):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk(tmp_path, cache):
    np.save(tmp_path / "set.npy", some_images(100, 32, 32))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    try:
        limit_file_size(50_000)
        with pytest.raises(FrenemyError, match=r"File too large.*FRENEMY_CACHE"):
            open_dataset(tmp_path / "set.npy")
    finally:
        limit_file_size(before)
    assert files(cache) == []
    open_dataset(tmp_path / "set.npy")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_at_the_end(pictures, cache, monkeypatch, code):
    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FrenemyError, match=r"no space left.*FRENEMY_CACHE"):
        open_dataset(pictures)
    assert [x for x in cache.rglob("*") if x.is_file()] == []


def test_a_cache_that_cannot_be_written(pictures, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FrenemyError, match=r"cannot write here \(.*FRENEMY_CACHE says where"):
        open_dataset(pictures)


def test_interruption_leaves_nothing(pictures, cache, monkeypatch):
    def interrupt(self, i):
        raise KeyboardInterrupt

    monkeypatch.setattr(Contents, "try_decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(pictures)
    assert files(cache) == []


@pytest.mark.parametrize("error", [OSError(errno.EIO, os.strerror(errno.EIO)), ValueError("bad")])
def test_an_error_of_reading_blames_the_set_and_not_the_cache(pictures, cache, monkeypatch, error):
    def fail(self, i):
        raise error

    monkeypatch.setattr(Contents, "try_decode", fail)
    for read in (open_dataset, describe):
        with pytest.raises(FrenemyError, match=r"^pictures: cannot be read: (Input/output|bad)"):
            read(pictures)
    assert files(cache) == []


MAY_PASS = {
    "a disk that does not answer": OSError(errno.EIO, os.strerror(errno.EIO)),
    "too many open files": OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    "too many in the system": OSError(errno.ENFILE, os.strerror(errno.ENFILE)),
    "no memory": OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    "a file that has gone": FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)),
    "no permission": PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    "no permission here": PermissionError(errno.EPERM, os.strerror(errno.EPERM)),
    "memory": MemoryError(),
    "memory of the decoder": OSError("out of memory when reading image file"),
}


def failing_once(monkeypatch, module, name, error):
    """Lets the function fail when it is called for the third time."""
    real, calls = getattr(module, name), []

    def fail(*args, **how):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return real(*args, **how)

    monkeypatch.setattr(module, name, fail)


@pytest.mark.parametrize("where", [(places, "open_picture"), (pixels, "header"),
                                   (pixels, "decoded"), (hashlib, "file_digest")],
                         ids=lambda where: where[1])  # fmt: skip
@pytest.mark.parametrize("error", MAY_PASS.values(), ids=MAY_PASS)
def test_what_may_pass_leaves_no_picture_out(pictures, cache, monkeypatch, where, error):
    with monkeypatch.context() as patch:
        failing_once(patch, *where, error)
        with pytest.raises(FrenemyError, match=r"png: cannot be read .*(try again|move it)"):
            open_dataset(pictures)
    assert not (cache / "images").exists() or files(cache) == []
    assert len(all_of(open_dataset(pictures))[0]) == 20


def test_what_a_killed_build_left_is_removed_after_a_day(pictures, cache):
    (cache / "images").mkdir(parents=True)
    old, new = "0" * 32, "1" * 32
    for name, hours in ((old, 25), (new, 23)):
        part = cache / "images" / f".{name}.part"
        part.write_bytes(b"half")
        os.utime(part, times=(then := time.time() - 3600 * hours, then))
    open_dataset(pictures)
    assert [name for name in files(cache) if name.startswith(".")] == [f".{new}.part"]


def test_files_that_change_meanwhile(pictures, cache, monkeypatch):
    real = Contents.try_decode

    def change(self, i):
        if i == 7:
            Image.new("L", (8, 8)).save(pictures / "a" / "3.png")
        return real(self, i)

    monkeypatch.setattr(Contents, "try_decode", change)
    with pytest.raises(FrenemyError, match="changed while they were read"):
        open_dataset(pictures)
    assert files(cache) == []


OPEN = """
import sys
from frenemy.data import open_dataset
print("ready", flush=True)
sys.stdin.readline()
print(int(open_dataset(sys.argv[1]).train.images.sum(dtype="int64")))
"""


def test_two_processes_at_once(pictures, cache):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(pictures)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    sums = [int(process.communicate()[0]) for process in processes]
    assert sums == [open_dataset(pictures).train.images.sum(dtype=np.int64)] * 2
    assert len(files(cache)) == 3
