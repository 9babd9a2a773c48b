"""Finding out what was given: a path or images in, an `Origin` or one clear sentence out."""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from frenemy.data import arrays, cifar, folder, idx, matfile, matlab, places
from frenemy.data.contents import File, Origin
from frenemy.data.embedded import DEFAULT, EMBEDDED, PREFIX
from frenemy.data.levels import Range
from frenemy.data.objects import MEMORY, origin_of
from frenemy.data.streams import shown
from frenemy.data.toy import STACKED, TOY
from frenemy.errors import FrenemyError
from frenemy.names import known
from frenemy.places import user_path

FORMATS = (
    "a folder of pictures (PNG, JPEG, WebP, AVIF, BMP, GIF) or a zip of them, a folder of IDX "
    "files of MNIST or EMNIST or of CIFAR's batches, or an IDX, .npy, .npz or .mat file"
)

_IDX = "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, and the same of t10k"

KNOWN = {
    "fashion": f"Fashion-MNIST: github.com/zalandoresearch/fashion-mnist; a folder with {_IDX}",
    "mnist": f"MNIST: github.com/cvdfoundation/mnist; a folder with {_IDX}",
    "cifar": "CIFAR-10 or CIFAR-100: www.cs.toronto.edu/~kriz/cifar.html, unpacked; a folder with "
    "data_batch_1 to data_batch_5 and test_batch, or with train, test and meta",
    "tfd": "the Toronto Face Database: only from its authors (Susskind, Anderson and Hinton, "
    "University of Toronto, 2010); a file such as TFD_48x48.mat with images (N, 48, 48)",
}
"""Sets that people name without having them, by a part of the name, and where they come from."""


def is_path(given: Any) -> bool:
    """Whether it names a set, and does not hold its images; None is the name of one."""
    return given is None or isinstance(given, str | os.PathLike)


def made_of(path: Path | str | None) -> tuple[str, Path | None]:
    """How the set of this name is made ("toy:ring", "stacked:", "memory:"), and of what files.

    Sets that come with the package are not made, and of no files that a person gives.
    """
    if path is None or str(path).startswith(PREFIX):
        return "", None
    if path == MEMORY or str(path).startswith(TOY):
        return str(path), None
    if str(path).startswith(STACKED):
        inner = str(path).removeprefix(STACKED)
        return STACKED, user_path(inner) if inner and not inner.startswith(PREFIX) else None
    return "", user_path(path)


def resolved(path: Path | str) -> str:
    """The name of the same set for those who are in another folder."""
    how, place = made_of(path)
    return str(path) if place is None else how + str(place.resolve())


def find(path: Any, shown: Range | None = None) -> Origin:
    """What lies at `path`, or what else holds images; None means the embedded digits.

    Files are told apart by how they start, folders by the names in them; what is no path, by what
    can be done with it: see `frenemy.data.objects`. What was found is not looked for again.

    Args:
        path: the path, or what holds images.
        shown: what the pixels of such range over, if a person says so; of files it is told later.

    Raises:
        FrenemyError: if nothing lies there, or nothing that is read.
    """
    if isinstance(path, Origin):
        return path
    if not is_path(path):
        return origin_of(path, shown)
    if path == MEMORY:
        raise FrenemyError(f"{path} stands for images that a program held: give those as data=")
    if path is None or str(path).startswith(PREFIX):
        return EMBEDDED[known(str(path or DEFAULT), list(EMBEDDED), "embedded set")]()
    if made_of(path)[0]:
        raise FrenemyError(f"{path}: a synthetic set, with no files to read: give it to train")
    path = user_path(path)
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return _in_file(path)
        if one_of_several := _sets(path.parent).get(path):
            return one_of_several
    except OSError as error:
        raise FrenemyError(f"{path}: cannot be read: {error.strerror}") from error
    if path.exists():
        raise FrenemyError(f"{path}: neither a file nor a folder; give {FORMATS}")
    raise FrenemyError(f"{path}: no such file or folder; {_hint(path)}")


ARRAYS = (".npy", ".npz", ".mat", ".zip", "ubyte", "ubyte.gz")
"""How files that hold many images end, where they are not part of a set in a folder."""


def _hint(path: Path) -> str:
    known = next((text for part, text in KNOWN.items() if part in path.name.lower()), None)
    return f"get {known}" if known else f"give {FORMATS}"


BELOW = [
    *("raw", "gzip", "raw/gzip"),
    *(f"{name}/raw" for name in ("MNIST", "FashionMNIST", "KMNIST", "EMNIST")),
    "EMNIST/raw/gzip",
    *(layout.inner for layout in cifar.LAYOUTS),
]
"""Where sets lie below the folder that torchvision was given, or an archive was unpacked in."""


def _sets(*folders: Path) -> dict[Path, Origin]:
    """The sets of files of their own format in folders, by the paths that open them."""
    return {
        place: origin
        for folder in folders
        for find_sets in (idx.find_sets, cifar.find_sets)
        for place, origin in find_sets(folder).items()
    }


def _in_folder(path: Path) -> Origin:
    if path.name in ("", ".."):  # "." is a folder like any other, but has no name for messages
        path = path.resolve()
    named = (x for x in path.glob("[!.]*") if x.name.lower().endswith(ARRAYS))
    arrays = sorted(x for x in named if x.is_file())
    own = _sets(path)
    sets, pictures = own or _sets(*(path / place for place in BELOW)), None
    with contextlib.suppress(*([folder.NoPicture] if arrays or sets else [])):
        pictures = None if own else folder.find_folder(path)
    if len(sets) > 1 or (sets and pictures):
        what = "a set beside pictures" if pictures else "several sets"
        told = " or ".join(map(str, sets))
        raise FrenemyError(f"{path}: holds {what}; give one: {told}")
    for origin in sets.values():
        return replace(origin, name=path.name)
    if pictures:
        return pictures
    if test := next((x for x in arrays if x.name.startswith("t10k-images")), None):
        raise FrenemyError(
            f"{path}: train-images-idx3-ubyte is missing; for the test images alone give {test}"
        )
    if arrays:
        files = " or ".join(shown(str(file)) for file in arrays[:3])
        raise FrenemyError(f"{path}: holds no pictures; give the file {files}")
    raise FrenemyError(f"{path}: contains nothing readable; {_hint(path)}")


def _in_file(path: Path) -> Origin:
    with path.open("rb") as file:
        start = file.read(128)
    if start.startswith(arrays.ZIP_MAGIC) and (origin := folder.find_zip(path)):
        return origin
    for kind, fits, read in (
        ("MATLAB file", matfile.is_matfile(start), matlab.read_file),
        ("NPY file", start.startswith(arrays.NPY_MAGIC), arrays.read_npy),
        ("NPZ file", start.startswith(arrays.ZIP_MAGIC), arrays.read_npz),
        (idx.kind_of(path), idx.is_idx(start, path.name), idx.read_file),
    ):
        if fits:
            name = path.name.removesuffix(".gz") if read is idx.read_file else path.stem
            return Origin(kind, name, (File.at(path),), functools.partial(read, path))
    if start.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise FrenemyError(f"{path}: HDF5 (MATLAB 7.3) is not read; save it with -v7, or as .npy")
    if kind := cifar.one_file_of(path):
        raise FrenemyError(f"{path}: one file of {kind}; give the folder it lies in")
    if path.suffix.lower() in places.SUFFIXES:
        raise FrenemyError(f"{path}: one picture; give the folder it lies in")
    raise FrenemyError(f"{path}: not a known format; give {FORMATS}")
