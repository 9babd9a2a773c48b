"""What the folders that pictures lie in say of them: the parts of a set, and its classes."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from frenemy.data.contents import PART_NAMES, PARTS
from frenemy.data.streams import shown

_FILLERS = ("set", "data", "images", "image", "imgs", "img", "pictures", "photos", "split")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_JOINED = re.compile(f"({'|'.join(PART_NAMES)})({'|'.join(_FILLERS)})")  # "trainset"
_SHARD = re.compile(r"\d{5,}")
_NUMBERED = re.compile(r"\D*(\d+)\.\w+")


class Tree(NamedTuple):
    """The parts that pictures belong to, if they belong to any.

    Attributes:
        parts: the part of each picture by its name, a place in `PARTS`; None if there are none.
        below: each picture's name without the folders that tell its part.
        beside: the names of pictures, or of folders of them, that lie in none of the parts; why.
        note: what else whoever trains on them should know.
    """

    parts: Mapping[str, int] | None
    below: Mapping[str, str]
    beside: Mapping[str, str]
    note: str = ""


def part_of(folder: str) -> tuple[str, str] | None:
    """The part that a folder's name speaks of, and of what; None if it speaks of none.

    >>> part_of("seg_train"), part_of("TestSet"), part_of("val2017"), part_of("trainA")
    (('train', 'seg'), ('test', ''), ('valid', ''), ('train', 'a'))
    """
    parts: list[str] = []
    rest: list[str] = []
    for word in map(str.lower, _WORD.findall(folder)):
        joined = _JOINED.fullmatch(word)
        word = joined[1] if joined else word
        if word in PART_NAMES:
            parts.append(PART_NAMES[word])
        elif word not in _FILLERS:
            rest.append(word)
    return (parts[0], " ".join(rest)) if len(parts) == 1 else None


def tree_of(names: Sequence[str]) -> Tree:
    """The parts of pictures of these names.

    Where a folder holds one to train on and others that are named alike but for their part, these
    are the parts, at the uppermost level where there are such; several folders may hold them, as
    classes.
    """
    telling = _telling(names)
    if not telling:
        return Tree(None, {name: name for name in names}, {}, _note_of_untaught(names))
    kinds = {about for _, about in telling.values()}
    found = {part for part, _ in telling.values()}
    # Whatever is held out by itself is what results are reported on.
    number = {
        part: 2 if part != "train" and len(found) == 2 else PARTS.index(part) for part in PARTS
    }
    parts: dict[str, int] = {}
    below: dict[str, str] = {}
    level = next(iter(telling)).count("/")
    for name in names:
        *folders, file = name.split("/")
        said = telling.get("/".join(folders[: level + 1])) if len(folders) > level else None
        if said is None:
            continue
        part, about = said
        rest = folders[level + 1 :]
        while rest and (again := part_of(rest[0])) and again[0] == part:  # seg_train/seg_train
            rest = rest[1:]
        kind = [about] if len(kinds) > 1 else []  # trainA, trainB
        parts[name] = number[part]
        below[name] = "/".join([*folders[:level], *kind, *rest, file])
    beside = _beside([name for name in names if name not in parts], parts, telling)
    return Tree(parts, below, beside)


def _telling(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The folders that tell parts, which part each, and of what; all of one level."""
    folders = _folders(names)
    for level in range(max((path.count("/") for path in folders), default=-1) + 1):
        said = {
            path: about
            for path in folders
            if path.count("/") == level and (about := part_of(path.rpartition("/")[2]))
        }
        held = [(path.rpartition("/")[0], about, part) for path, (part, about) in said.items()]
        trained = {(parent, about) for parent, about, part in held if part == "train"}
        both = {
            about for parent, about, part in held if part != "train" and (parent, about) in trained
        }
        if both:
            return {path: about for path, about in said.items() if about[1] in both}
    return {}


def _folders(names: Iterable[str]) -> set[str]:
    """All folders on the way to files of these names."""
    found = {name.rpartition("/")[0] for name in names} - {""}
    for path in list(found):
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def _beside(names: Iterable[str], kept: Iterable[str], telling: Iterable[str]) -> dict[str, str]:
    """Those pictures, or the folders that hold none but such, and why they are left out."""
    ways = _folders(kept)
    tops: Counter[str] = Counter()
    for name in names:
        place = ""
        for folder in name.split("/")[:-1]:
            place += f"{folder}/"
            if place[:-1] not in ways:
                break
        else:
            place = name
        tops[place] += 1
    few = sorted({path.rpartition("/")[2] for path in telling})
    parts = ", ".join(map(shown, few[:4])) + (" ..." if len(few) > 4 else "")
    return {
        place: f"lies beside the parts {parts}"
        + (f": {count:,} picture{'s' * (count > 1)}" if place.endswith("/") else "")
        for place, count in tops.items()
    }


def _note_of_untaught(names: Iterable[str]) -> str:
    """What is said of two parts or more, none of which is to train on."""
    said = {path: part_of(path.rpartition("/")[2]) for path in sorted(_folders(names))}
    held = {path: about[0] for path, about in said.items() if about}
    if "train" in held.values() or len(set(held.values())) < 2:
        return ""
    return (
        f"the folders {' and '.join(map(shown, held))} are named as parts, but none to train on "
        "is: they are taken for classes"
    )


def classes_of(names: Sequence[str]) -> tuple[list[str] | None, str]:
    """The class of each picture, or None if they have none; and what was not taken for one.

    Classes are the uppermost folders that are several, if all pictures lie in them.
    """
    tops = {top(name) for name in names}
    while len(tops) == 1 and "" not in tops:
        names = [name.partition("/")[2] for name in names]
        tops = {top(name) for name in names}
    folders = sorted(tops - {""})
    if not folders:
        return None, ""
    if "" in tops:
        inside = [name for name in names if "/" in name]
        outside = [name for name in names if "/" not in name]
        if not classes_of(inside)[0] and len(folders) == 1:
            return None, ""
        few = ", ".join(map(shown, folders[:3])) + (" ..." if len(folders) > 3 else "")
        return None, (
            f"{_counted(outside)} in no folder as others do ({few}): none of these is taken for a "
            "class"
        )
    if _are_shards(names):
        return None, (
            "numbered folders, whose pictures are numbered on from one to the next, are no classes"
        )
    return [top(name) for name in names], ""


def _counted(names: Sequence[str]) -> str:
    """How many pictures, one of them by its name, and "lie"."""
    if len(names) == 1:
        return f"{shown(names[0])} lies"
    return f"{len(names):,} pictures, such as {shown(min(names))}, lie"


def top(name: str) -> str:
    """The uppermost folder that a file lies in, or "" if it lies in none."""
    return name.partition("/")[0] if "/" in name else ""


def _are_shards(names: Iterable[str]) -> bool:
    """Whether the numbers of pictures go on from one numbered folder to the next."""
    ranges: dict[int, tuple[int, int]] = {}
    for name in names:
        folder, _, file = name.partition("/")
        number = _NUMBERED.fullmatch(file)
        if not (_SHARD.fullmatch(folder) and number):
            return False
        low, high = ranges.get(int(folder), (int(number[1]), int(number[1])))
        ranges[int(folder)] = min(low, int(number[1])), max(high, int(number[1]))
    pairs = [ranges[folder] for folder in sorted(ranges)]
    return all(before[1] < after[0] for before, after in itertools.pairwise(pairs))
