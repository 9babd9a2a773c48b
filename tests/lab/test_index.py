"""The index: every lesson is in it, and every command of it is one."""

import functools
import importlib
from collections import defaultdict

import pytest

from frenemy.cli import VERBS, main
from frenemy.judge.metrics import METRICS
from frenemy.lab.index import INDEX, LECTURE, PAPER, find
from frenemy.lab.lessons import LESSONS


def test_every_lesson_is_in_it():
    assert {entry.lesson for entry in INDEX} - {None} == set(LESSONS)


@pytest.mark.parametrize("command", sorted({entry.command for entry in INDEX}))
def test_every_command_is_one(command, monkeypatch):
    """It is taken as it stands; the verb itself does nothing here."""
    verb, *_ = command.split()
    done = []

    def idle(of):
        return functools.wraps(of)(lambda *a, **k: done.append(of.__name__))

    monkeypatch.setitem(VERBS, verb, idle(VERBS[verb]))
    for module in map(importlib.import_module, ("frenemy.cli.lab", "frenemy.cli.training")):
        if hasattr(module, verb):  # whose options depend on what is chosen
            monkeypatch.setattr(module, verb, idle(getattr(module, verb)))
    assert main(command.split()) == 0
    assert done == [verb]


def test_every_metric_is_one():
    words = [entry.command.split() for entry in INDEX]
    named = [name for w in words if "--metrics" in w for name in w[w.index("--metrics") + 1 :]]
    assert named and set(named) <= set(METRICS)


def test_what_is_shown_is_told_once():
    assert len({entry.what for entry in INDEX}) == len(INDEX)
    assert len({(entry.command, entry.words) for entry in PAPER + LECTURE}) > len(LESSONS)


def test_a_word_that_means_a_lesson_means_one_only():
    of = defaultdict(set)
    for entry in INDEX:
        for word in entry.words:
            of[word].add(entry.lesson)
    assert {
        word: lessons for word, lessons in of.items() if None not in lessons and len(lessons) > 1
    } == {}


def test_words_are_none_of_a_lessons_own_names_and_are_found_in_any_case():
    for entry in INDEX:
        for word in entry.words:
            assert word not in LESSONS and word == word.lower() and "_" not in word
            assert entry in find(word.upper().replace("-", "_"))
    assert not find("no-such-thing")
