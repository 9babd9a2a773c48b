"""Damaged and absurd files of every format: a clear line or a good set, and never much memory."""

import contextlib
import gzip
import io
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from frenemy.data import describe
from frenemy.errors import FrenemyError

from .data_files import idx_bytes, some_images, write_cifar

IMAGES = some_images(30, 6, 6)[:, 0]
MEMORY = 16_000_000
"""Bytes; the sets are of 1 kB. 4 MiB are read at a time; threads and parsers take their share; and
Python's table of all names, which grows with what the process has imported, may double while a file
is read: some 4 MB more. The least of the absurd sizes is 2^24.
"""


def npy(array):
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


def npz(save):
    with io.BytesIO() as file:
        save(file, images=IMAGES, labels=np.arange(30))
        return file.getvalue()


def mat(packed):
    with io.BytesIO() as file:
        variables = {"images": IMAGES, "labels": np.arange(30), "note": "text"}
        scipy.io.savemat(file, variables, do_compression=packed)
        return file.getvalue()


def pictures(how):
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", how) as archive:
            for i, image in enumerate(IMAGES):
                with archive.open(f"{i % 2}/{i}.png", "w") as member:
                    Image.fromarray(image).save(member, "PNG")
            archive.writestr("dataset.json", '{"labels": null}')
        return file.getvalue()


def picture(suffix):
    with io.BytesIO() as file:
        Image.fromarray(np.moveaxis(some_images(1, 16, 16, 3)[0], 0, -1)).save(file, suffix)
        return file.getvalue()


def structure(packed):
    with io.BytesIO() as file:
        part = {"images": IMAGES.reshape(30, -1), "labels": np.arange(30)[:, None]}
        variables = {"dataset": {"train": part, "mapping": np.ones((30, 2))}}
        scipy.io.savemat(file, variables, do_compression=packed)
        return file.getvalue()


def parts():
    with io.BytesIO() as file:
        labels = np.eye(3)[np.arange(30) % 3]
        named = {"x_train": IMAGES[:20], "y_train": labels[:20], "x_test": IMAGES[20:]}
        np.savez(file, **named, y_test=labels[20:])
        return file.getvalue()


FILES = {
    "idx": idx_bytes(IMAGES),
    "idx.gz": gzip.compress(idx_bytes(IMAGES)),
    "npy": npy(IMAGES),
    "float.npy": npy(IMAGES / 255),
    "npz": npz(np.savez),
    "packed.npz": npz(np.savez_compressed),
    "zip": pictures(zipfile.ZIP_STORED),
    "packed.zip": pictures(zipfile.ZIP_DEFLATED),
    "mat": mat(False),
    "packed.mat": mat(True),
    "struct.mat": structure(False),
    "packed struct.mat": structure(True),
    "parts.npz": parts(),
}
PICTURES = {suffix: picture(suffix) for suffix in ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF")}


@st.composite
def damaged(draw, data):
    """`data` with one to three things done to it, more often near its start."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        ends = st.integers(0, min(len(data), 200)) | st.integers(0, len(data))
        where = draw(ends)
        match draw(st.sampled_from(["flip", "cut", "insert", "absurd", "remove"])):
            case "flip" if where < len(data):
                data[where] ^= draw(st.integers(1, 255))
            case "cut":
                del data[where:]
            case "insert":
                data[where:where] = draw(st.binary(min_size=1, max_size=20))
            case "remove":
                del data[where : where + draw(st.integers(1, 20))]
            case "absurd":
                absurd = draw(st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**24]))
                number = struct.pack(draw(st.sampled_from("<>")) + "I", absurd)
                data[where : where + 4] = number
    return bytes(data)


@contextlib.contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def survives(path):
    """`path` is described, or refused in one line that names the file."""
    with warnings.catch_warnings(), little_memory():
        warnings.simplefilter("ignore")
        try:
            assert describe(path).count > 0
        except FrenemyError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damage")


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read(name, folder):
    (folder / name).write_bytes(FILES[name])
    assert describe(folder / name).count == 30


@pytest.mark.parametrize("name", FILES)
@given(choice=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files(name, choice, folder):
    path = folder / name
    path.write_bytes(choice.draw(damaged(FILES[name])))
    survives(path)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    write_cifar(folder, count=2, batches=1)
    return folder, (folder / "data_batch_1").read_bytes()


@given(choice=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_cifar_batches(choice, cifar):
    folder, data = cifar
    (folder / "data_batch_1").write_bytes(choice.draw(damaged(data)))
    survives(folder)


@pytest.mark.parametrize("name", PICTURES)
@given(choice=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_pictures(name, choice, folder):
    pictures = folder / f"pictures of {name}"
    pictures.mkdir(exist_ok=True)
    (pictures / f"good.{name}").write_bytes(PICTURES[name])
    (pictures / f"bad.{name}").write_bytes(choice.draw(damaged(PICTURES[name])))
    survives(pictures)


HUGE = 2**32 - 1


def test_a_png_chunk_of_4_gigabytes(tmp_path):
    where = PICTURES["PNG"].index(b"IDAT") - 4
    data = PICTURES["PNG"][:where] + struct.pack(">I", HUGE) + PICTURES["PNG"][where + 4 :]
    (tmp_path / "good.png").write_bytes(PICTURES["PNG"])
    (tmp_path / "bad.png").write_bytes(data)
    with little_memory():
        assert describe(tmp_path).count >= 1


def idx_header(*shape):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


def npy_header(shape, dtype="|u1"):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def npz_of(member):
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", member)
        return file.getvalue()


ZEROS = bytes(3 * 1024 * 1024)
ABSURD = {
    "idx": idx_header(HUGE, HUGE, HUGE),
    "idx.gz": gzip.compress(idx_header(HUGE, 100, 100) + bytes(10_000)),
    "bomb.gz": gzip.compress(idx_header(1 << 20, 28, 28) + ZEROS),
    "surplus.gz": gzip.compress(idx_header(3, 5, 5) + ZEROS),
    "rank": idx_header(*[1] * 255),
    "npy": npy_header((HUGE, HUGE, HUGE)),
    "negative.npy": npy_header((-1, 28, 28)),
    "void.npy": npy_header((1, 1, 1), "|V9999999999"),
    "deep.npy": npy_header("(" * 5000),
    "names.npy": npy_header("__import__('os').system('true')"),
    "long.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", HUGE) + b"{",
    "npz": npz_of(npy_header((HUGE, 28, 28)) + ZEROS),
    "short.npz": npz_of(npy_header((3, 28, 28)) + ZEROS),
    "empty.npz": npz_of(b""),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_claims(name, folder):
    path = folder / f"absurd {name}"
    path.write_bytes(ABSURD[name])
    with pytest.raises(FrenemyError), little_memory():
        describe(path)


def test_a_member_that_lies_about_its_size(folder):
    data = bytearray(npz_of(npy(IMAGES)))
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        where = data.index(signature) + offset
        data[where : where + 4] = struct.pack("<I", 2**31)
    path = folder / "lies.npz"
    path.write_bytes(data)
    with (
        pytest.raises(FrenemyError, match="its header claims 2,147,483,648 bytes"),
        little_memory(),
    ):
        describe(path)


def test_a_matlab_array_that_lies_about_its_shape(folder):
    data = mat(False)
    shape = struct.pack("<III", 30, 6, 6)
    assert shape in data
    data = data.replace(shape, struct.pack("<III", 2**30, 6, 6))
    path = folder / "lies.mat"
    path.write_bytes(data)
    with pytest.raises(FrenemyError, match="its shape"), little_memory():
        describe(path)


@pytest.mark.parametrize("name", ["zip", "packed.zip", "npz", "packed.npz"])
@pytest.mark.parametrize("claimed", [0, 2**26])  # bytes unpacked
def test_a_member_that_claims_more_packed_bytes_than_its_archive_has(name, claimed, tmp_path):
    data = bytearray(FILES[name])
    entry = data.index(b"PK\x01\x02")  # the first of the list of members
    data[entry + 20 : entry + 28] = struct.pack("<II", 2**26, claimed)
    (tmp_path / name).write_bytes(data)
    survives(tmp_path / name)
