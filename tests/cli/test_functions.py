"""Functions as subcommands, on two that stand for lessons."""

import dataclasses
from typing import Annotated, Any

import pytest
import tyro
from typing_extensions import Doc
from tyro.conf import CascadeSubcommandArgs, OmitArgPrefixes

from frenemy.cli.functions import choice_of, first_word, options_of, retyped
from frenemy.errors import FrenemyError

from .command_line import errors

Rounds = Annotated[int, Doc("how many rounds are played")]


def circles(*, rounds: Rounds = 100, rate: float = 0.5) -> tuple[str, int, float]:
    """Two players chase each other."""
    return "circles", rounds, rate


def best_reply(x: list[int], *, rounds: Rounds = 7) -> tuple[str, list[int], int]:
    """One player stands still."""
    return "best reply", x, rounds


LESSONS = {"circles": circles, "best-reply": best_reply}


def played(*arguments: str) -> Any:
    """What a verb with lessons gets of these arguments, and its own option."""
    found = []

    def play(seed: int = 0, lesson: Any = None) -> None:
        """Play a lesson."""
        found.extend([seed, lesson])

    words = ["play", *arguments]
    chosen = choice_of(LESSONS, first_word(words, {}), "lesson", none="(a list)")
    verbs = {"play": retyped(play, "lesson", chosen), "rest": lambda: None}
    tyro.extras.subcommand_cli_from_dict(verbs, args=words, config=(CascadeSubcommandArgs,))
    return found


def test_a_function_is_chosen_by_its_word_and_filled_with_its_options():
    seed, lesson = played("circles", "--rounds", "3", "--seed", "5")
    assert seed == 5 and lesson() == ("circles", 3, 0.5)


def test_the_verbs_own_options_may_stand_before_the_word():
    seed, lesson = played("--seed", "5", "circles", "--rate", "2")
    assert seed == 5 and lesson() == ("circles", 100, 2.0)


def test_words_need_not_be_the_functions_names_and_arguments_may_come_later():
    _, lesson = played("best-reply")
    assert lesson([1, 2]) == ("best reply", [1, 2], 7)


def test_no_word_is_no_function():
    assert played("--seed", "1") == [1, None]


def test_help_lists_the_functions_or_the_options_of_one(capsys):
    with pytest.raises(SystemExit):
        played("--help")
    printed = capsys.readouterr().out
    assert "One player stands still." in printed and "(a list)" in printed
    with pytest.raises(SystemExit):
        played("best-reply", "--help")
    printed = capsys.readouterr().out
    assert "how many rounds are played (default: 7)" in " ".join(printed.split())
    assert "--x" not in printed and "circles" not in printed


def test_another_word_gets_the_nearest():
    with pytest.raises(FrenemyError, match="no lesson 'circle': did you mean circles"):
        played("circle")


def test_a_retyped_verb_leaves_the_verb_as_it_is():
    def verb(number: int = 0) -> None: ...

    assert retyped(verb, "number", float).__annotations__["number"] is float
    assert verb.__annotations__["number"] is int


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("train mnist", "mnist"),
        ("train --dry-run", None),
        ("train --data faces mnist --steps 5", "mnist"),
        ("train --data=faces mnist", "mnist"),
        ("train -o out mnist", "mnist"),
        ("train --dry-run mnist", "mnist"),
        ("train --data faces --no-dry-run mnist", "mnist"),
        ("train", None),
    ],
)
def test_the_first_word_is_no_options_value(line, word):
    assert first_word(line.split(), {"--dry-run": bool, "--steps": int}) == word


def test_options_are_those_of_a_verb_and_of_its_groups():
    @dataclasses.dataclass
    class Options:
        dry_run: bool = False
        steps: int = 5

    def verb(options: OmitArgPrefixes[Options], all: bool = False, out: str = "") -> None: ...

    kinds = {"--dry-run": bool, "--steps": int, "--all": bool, "--out": str}
    assert options_of(verb) == kinds


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train --dry-run mnsit", "did you mean mnist"),
        ("train --tensorboard digts2014", "did you mean digits2014"),
        ("train --grey --data faces mnsit", "did you mean mnist"),
        ("lab --all figur1", "did you mean figure1"),
    ],
)
def test_a_wrong_name_behind_a_flag_gets_the_nearest(line, said, capsys):
    assert said in errors(capsys, *line.split())
