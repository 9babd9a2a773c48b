"""Pickles are data: nothing in them is run, and none takes more memory than its own size asks."""

import os
import pickle
import pickletools
import struct
import tracemalloc

import numpy as np
import pytest

from frenemy.data import pickles
from frenemy.data.pickles import load_dict
from frenemy.errors import FrenemyError

from .data_files import some_images, write_cifar


@pytest.fixture
def load(tmp_path):
    """Loads bytes as a file, and checks that this takes little memory (time has pytest's)."""

    def load_bytes(data):
        path = tmp_path / "data_batch_1"
        path.write_bytes(data)
        tracemalloc.start()
        try:
            return load_dict(path)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 30_000_000

    return load_bytes


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_lists_strings_and_numbers(load, protocol):
    array = np.arange(24, dtype=">i4").reshape(2, 3, 4)
    expected = {
        "array": array,
        "fortran": np.asfortranarray(array),
        "bytes": np.arange(256, dtype=np.uint8),
        "floats": np.array([0.5, -1]),
        "list": [1, -1, 10**30, 1.5, "text", "ü", None, True, [], {}, (), (1,), (1, 2, 3, 4)],
        "dict": {"a": {"b": 1}},
    }
    found = load(pickle.dumps(expected, protocol))
    assert list(found) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value) if isinstance(value, np.ndarray) else None
        assert isinstance(value, np.ndarray) or found[key] == value
    assert found["array"].dtype == array.dtype


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "call",
    [
        Call(os.system, "touch hacked"),
        Call(eval, "open('hacked', 'w')"),
        Call(exec, "open('hacked', 'w')"),
        Call(getattr, {}, "update"),
        Call(np.load, "hacked", None, True),
        Call(np.memmap, "hacked", "u1", "w+", 0, (10,)),
        Call(np.zeros, (1 << 40,)),
        Call(bytearray, 1 << 40),
    ],
)
def test_nothing_is_called(load, call, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (call, {"data": call}, {"data": [call]}):
        with pytest.raises(FrenemyError, match="nothing is run here"):
            load(pickle.dumps(value, protocol))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    "array",
    [
        np.array([Call(os.system, "true")], object),
        np.array([None], object),
        np.zeros(2, [("a", "i4")]),
        np.array(["text"]),
        np.zeros(2, "V1000"),
        np.zeros(2, "M8[s]"),
    ],
)
def test_arrays_of_other_things_than_numbers(load, array):
    with pytest.raises(FrenemyError):
        load(pickle.dumps({"data": array}, 2))


DATA = {"data": np.zeros(10, np.uint8)}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40), id="BINBYTES8"),
        pytest.param(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40), id="BINUNICODE8"),
        pytest.param(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40), id="BYTEARRAY8"),
        pytest.param(b"\x80\x02T" + struct.pack("<I", 1 << 31), id="BINSTRING"),
        pytest.param(b"\x80\x03B" + struct.pack("<I", (1 << 32) - 1), id="BINBYTES"),
        pytest.param(b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1), id="LONG4"),
        pytest.param(b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"}", id="FRAME"),
        pytest.param(b"\x80\x02}r" + struct.pack("<I", (1 << 32) - 1), id="memo of 4 billion"),
        pytest.param(b"I" + b"9" * 100_000 + b"\n.", id="a long number"),
        pytest.param(b"\x80\x02" + b"}" * 2_000_000, id="many small objects"),
        pytest.param(b"\x80\x02" + b"(" * 2_000_000, id="many marks"),
        pytest.param(b"]" + b"]a" * 100_000 + b".", id="deep lists"),
        pytest.param(b")" + b"\x85" * 50_000 + b".", id="deep tuples"),
        # Each tuple holds the one before it twice: hashing the last takes for ever.
        pytest.param(b"})" + b"2\x86" * 100 + b"K\x01s.", id="DUP"),
        pytest.param(b"})" + b"q\x00h\x00\x86" * 100 + b"K\x01s.", id="a tuple as key"),
        pytest.param(b"}]" + b"q\x00h\x00\x86" * 100 + b"s.", id="a nested key without value"),
        pytest.param(
            pickle.dumps(DATA, 2).replace(b"K\n\x85", b"\x8a\x06" + b"\xff" * 5 + b"\x00\x85"),
            id="an array of a huge shape",
        ),
        pytest.param(pickle.dumps(DATA, 2).replace(b"X\x02\0\0\0u1", b"X\x02\0\0\0O8"), id="dtype"),
        pytest.param(pickle.dumps(DATA, 2)[:-20], id="truncated"),
        pytest.param(b"", id="empty"),
        pytest.param(b".", id="nothing but a stop"),
        pytest.param(b"}a.", id="append to nothing"),
        pytest.param(b"NNb.", id="state of None"),
        pytest.param(b"h\x07.", id="a memo that is not there"),
    ],
)
def test_bombs(load, data):
    with pytest.raises(FrenemyError) as caught:
        load(data)
    assert "\n" not in str(caught.value)


def test_the_same_text_is_not_encoded_again_and_again(load):
    # 100 kB of text, which each 8 bytes of the pickle turn into 100 kB more.
    text = b"X" + struct.pack("<I", 100_000) + b"a" * 100_000 + b"q\x00"
    again = b"c_codecs\nencode\nh\x00X\x06\0\0\0latin1\x86R"
    with pytest.raises(FrenemyError, match="again and again"):
        load(b"\x80\x02}" + text + again * 2000 + b".")


def test_instructions_are_those_of_real_batches(tmp_path):
    write_cifar(tmp_path, 100)
    count = sum(1 for _ in pickletools.genops((tmp_path / "data_batch_1").read_bytes()))
    assert 100 * count < pickles.MAX_INSTRUCTIONS  # 10,000 images a batch


def test_views_of_the_file_cannot_be_written(load):
    images = some_images()
    assert not load(pickle.dumps({"data": images}, 3))["data"].flags.writeable
