"""The lab's page and document: all that lessons found is in them, and they need nothing else."""

import dataclasses
import math
import re

import numpy as np
import pytest
from PIL import Image

from frenemy.errors import FrenemyError
from frenemy.figures import BLUE, INK, Figure
from frenemy.lab.lesson import Check, Formula, Result, play
from frenemy.lab.page import mathml, page, row, save, save_figures

from ..reading import Read


def lesson_of_two(seed: int = 0) -> Result:
    """One and one are two.

    No more is claimed.
    """

    def draw(canvas):
        canvas.subplots().plot([0, 1], [0, seed], color=BLUE)

    frames = [np.full((3, 20, 30), shade, np.uint8) for shade in (0, 128, 255)]
    return Result(
        "First <b>words</b>.\n\nThen others.",
        [Formula(r"\min_G \frac{1}{2}", "A half.", "Peano (1889)")],
        [Check("1 + 1", 2.0, 2.0, 1e-9), Check("|2 - 1|", 1.0, 2.0, 0.1, 0.25, "at least")],
        [Figure(draw, "A line", "Look along it."), Figure(draw, "Another line", "Look again.")],
        Figure(frames, "It grows light.", "See the light."),
    )


@pytest.fixture(scope="module")
def played():
    return play(lesson_of_two, seed=2)


def test_a_lesson_is_named_and_described_by_its_function(played):
    assert (played.name, played.claim) == ("lesson-of-two", "One and one are two.")
    assert played.seconds >= 0 and not played.result.holds


@pytest.mark.parametrize(
    ("relation", "measured", "holds"),
    [
        ("=", 1.05, True),
        ("=", 1.2, False),
        ("=", 0.8, False),
        ("at least", 5.0, True),
        ("at least", 0.95, True),
        ("at least", 0.8, False),
        ("at most", -5.0, True),
        ("at most", 1.05, True),
        ("at most", 1.2, False),
        ("=", math.nan, False),
        ("at most", math.nan, False),
        ("at most", math.inf, False),
    ],
)
def test_a_check_holds_within_its_tolerance_on_the_right_side(relation, measured, holds):
    assert Check("", measured, 1.0, 0.1, relation=relation).holds is holds


def test_a_row_shows_the_error_of_what_was_sampled_and_the_bound_of_what_is_bounded():
    found = row(Check("", 1.0, 2.0, 0.1, 0.25, "at least"))
    assert (found.measured, found.exact, found.difference) == ("1.00 ± 0.25", "≥ 2", "−1")
    assert row(Check("", math.pi, 3.0, 1.0)).measured == "3.14159"


def test_the_page_says_everything_and_escapes_it(played):
    read = Read(text := page([played]))
    assert "First <b>words</b>." in read.words["p"] and "Then others." in read.words["p"]
    assert next(cell for cell in read.cells if cell[0] == "1 + 1")[-1] == "✓ holds"
    assert next(cell for cell in read.cells if cell[0] == "|2 - 1|")[-1] == "✗ fails"
    assert "1 of 2 checks fail" in text and "Peano (1889)" in text
    assert len(read.of("svg")) == 2 and INK not in text
    for reference in re.findall(r'(?:src|srcset|href)="([^"]*)"', text):
        assert reference.startswith(("data:", "#"))
    assert not read.of("script") and not read.of("link")


def test_formulas_stand_as_browsers_read_them(played):
    assert "<munder><mo>min</mo><mi>G</mi></munder>" in mathml(r"\min_G x")
    assert "<mfrac>" in page([played])


def test_the_document_names_pictures_that_are_there(played, tmp_path):
    text = save([played], tmp_path / "lab.md").read_text("utf-8")
    links = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert links == [
        "lab/lesson-of-two.png",
        "lab/lesson-of-two-2.png",
        "lab/lesson-of-two.webp",
    ]
    for link in links:
        with Image.open(tmp_path / link) as picture:
            picture.verify()
    assert "```math\n\\min_G \\frac{1}{2}\n```" in text
    assert "| \\|2 - 1\\| | 1.00 ± 0.25 | ≥ 2 |" in text


def test_the_page_is_written_and_other_endings_are_refused(played, tmp_path):
    assert save([played], tmp_path / "x.html").read_text("utf-8") == page([played])
    with pytest.raises(FrenemyError, match=r"\.html or \.md"):
        save([played], tmp_path / "x.pdf")


def test_a_document_shows_hostile_words_as_they_are_and_quotes_its_links(played, tmp_path):
    told = dataclasses.replace(played.result, told="[a](http://x) <img src=x> `b` *c*")
    text = save([dataclasses.replace(played, result=told)], tmp_path / "my page.md").read_text()
    assert r"\[a\](http://x) \<img src=x\> \`b\` \*c\*" in text
    assert "(my%20page/lesson-of-two.png)" in text


def test_pictures_are_on_white_and_the_film_has_all_frames(played, tmp_path):
    saved = save_figures(played.name, played.result, tmp_path / "new")
    assert [path.name for path in saved] == [
        "lesson-of-two.png",
        "lesson-of-two-2.png",
        "lesson-of-two.gif",
    ]
    first, *_, last = saved
    with Image.open(first) as picture:
        assert picture.size == (500, 350)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    with Image.open(last) as film:
        assert getattr(film, "n_frames", 1) == 3
