"""The verb of the lab."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.cli.functions import choice_of, first_word, options_of, retyped
from frenemy.cli.options import Out
from frenemy.errors import FrenemyError


@dataclasses.dataclass(frozen=True)
class LabOptions:
    """Which lessons, and where what they found goes.

    Attributes:
        all: play every lesson, as it is by default.
        index: list what the paper and a lecture on it have, with the command that shows each.
        out: a folder for pictures and films; or a page, FILE.html, or FILE.md with its pictures in
            the folder FILE. lab/ if one lesson is played, lab.html if all are.
    """

    all: bool = False
    index: bool = False
    out: Out = None


def lab(
    options: Annotated[OmitArgPrefixes[LabOptions], arg(name="lab")], lesson: Any = None
) -> None:
    """Run a lesson and compare what it measures with theory: frenemy lab NAME; or list them all."""
    from frenemy.lab.index import INDEX
    from frenemy.lab.lesson import play
    from frenemy.lab.lessons import LESSONS
    from frenemy.lab.page import refuse_place, save, save_figures
    from frenemy.lab.table import index_table, lesson_list, lesson_rows
    from frenemy.terminal import console, show, working

    if options.index:
        if lesson is not None or options.all or options.out is not None:
            raise FrenemyError("--index goes alone: it plays nothing")
        console.print(index_table(INDEX))
        return
    if lesson is None and not options.all:
        if options.out is not None:
            raise FrenemyError("--out: play which lesson? give a name, or --all")
        console.print(lesson_list(LESSONS.values()))
        return
    if lesson is not None and options.all:
        raise FrenemyError("--all plays every lesson: leave out the name")
    out = options.out or Path("lab.html" if options.all else "lab")
    refuse_place(out)
    lessons = [(lesson.func, lesson.keywords)] if lesson else [(f, {}) for f in LESSONS.values()]
    played = []
    with working() as say:
        for function, arguments in lessons:
            say(f"{len(played) + 1} of {len(lessons)}: {function.__name__.replace('_', '-')}")
            played.append(play(function, **arguments))
    if out.suffix:
        paths = [save(played, out, INDEX if options.all else ())]
    else:
        paths = [path for one in played for path in save_figures(one.name, one.result, out)]
    for one in played:
        console.print(lesson_rows(one))
    if not out.suffix:
        for one in played:
            show(one.result.figures[0].frames[0])
    print(*paths, sep="\n")
    failed = [one.name for one in played if not one.result.holds]
    if failed:
        raise FrenemyError(f"{', '.join(failed)}: a check fails: see the table")


def lab_with_lessons(arguments: Sequence[str]) -> Callable[..., None]:
    """`lab` with the lesson that the arguments name as a subcommand; with all of them if none.

    A word of the index that names a lesson stands for it; one that names other verbs tells these.
    """
    from frenemy.lab.index import find
    from frenemy.lab.lessons import LESSONS

    word, lessons = first_word(arguments, options_of(lab)), LESSONS
    if word is not None and word not in lessons and (entries := find(word)):
        names = {entry.lesson for entry in entries}
        if len(names) > 1 or None in names:
            return _told
        lessons = {**lessons, word: lessons[str(entries[0].lesson)]}
    return retyped(lab, "lesson", choice_of(lessons, word, "lesson", none="(lists the lessons)"))


def _told(word: Annotated[Positional[str], arg(metavar="WORD")]) -> None:
    """Tell which commands show it."""
    from frenemy.lab.index import find
    from frenemy.lab.table import index_table
    from frenemy.terminal import console

    console.print(index_table(find(word)))
