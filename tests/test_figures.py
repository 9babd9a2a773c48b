"""Figures: one class for drawings, pictures and films, in pages and in files."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from frenemy import figures as module
from frenemy.errors import FrenemyError
from frenemy.figures import BLUE, INK, Figure
from frenemy.pictures import channels_last

from .reading import Read


def line(canvas):
    canvas.subplots().plot([0, 1], [0, 1], color=BLUE)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def shown(figure):
    """The pixels in a figure's <img>, their kind, and its attributes."""
    attributes = Read(figure.html()).of("img")[0]
    kind, data = re.fullmatch(r"data:image/(\w+);base64,(.*)", attributes["src"]).groups()
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (attributes["width"], attributes["height"]) == (str(image.width), str(image.height))
    return np.asarray(image), kind, attributes


def test_a_drawing_is_svg_in_the_colours_of_the_page_and_pixels_on_white(tmp_path):
    figure = Figure(line, "A <line>", "Look & see.", (4, 3))
    read = Read(figure.html())
    assert read.of("svg")[0]["aria-label"] == "A <line>"
    assert read.words["figcaption"] == "Look & see."
    assert "currentColor" in figure.html() and INK not in figure.html()
    with Image.open(figure.save(tmp_path / "new" / "line.png")) as picture:
        assert picture.size == (400, 300)  # inches, at 100 pixels
        assert picture.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_shown_and_saved_pixel_by_pixel(channels, tmp_path):
    image = noise(channels, 7, 9)
    figure = Figure([image], 'A "picture"', "Look.")
    pixels, kind, attributes = shown(figure)
    assert (kind, attributes["alt"]) == ("png", 'A "picture"')
    np.testing.assert_array_equal(pixels, channels_last(image))
    with Image.open(figure.save(tmp_path / "picture.png")) as picture:
        np.testing.assert_array_equal(np.asarray(picture), channels_last(image))


@pytest.mark.parametrize("channels", [1, 3])
def test_what_would_be_too_heavy_is_shown_smaller_and_says_so(channels, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 20_000)
    figure = Figure([noise(channels, 256, 256)], "Noise", "Look.")
    pixels, kind, _ = shown(figure)
    share = pixels.shape[1] / 256
    assert kind == "jpeg" and share < 1
    assert len(figure.html()) < 20_000 * 4 / 3 + 400  # base64, and the words around it
    caption = f"Look. (Shown as JPEG, at {share:.0%} of its size.)"
    assert Read(figure.html()).words["figcaption"] == caption


def test_a_film_moves_and_stands_still_for_those_who_want_no_motion(tmp_path):
    frames = [np.full((3, 20, 30), shade, np.uint8) for shade in (0, 128, 255)]
    figure = Figure(frames, "It grows light.", "See the light.", fps=5.0)
    assert figure.frames is frames
    assert shown(figure)[1] == "webp"
    (still,) = Read(figure.html()).of("source")
    assert still["media"] == "(prefers-reduced-motion: reduce)"
    last = Image.open(io.BytesIO(base64.b64decode(still["srcset"].partition(",")[2])))
    np.testing.assert_array_equal(np.asarray(last), channels_last(frames[-1]))
    with Image.open(figure.save(tmp_path / "film.gif")) as film:
        assert getattr(film, "n_frames", 1) == 3
        assert film.info["duration"] == 200  # ms


def test_a_format_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(FrenemyError, match="unknown picture format"):
        Figure(line, "", "").save(tmp_path / "line.docx")
    with pytest.raises(FrenemyError, match="unknown film format"):
        Figure([noise(3, 4, 4), noise(3, 4, 4)], "", "").save(tmp_path / "film.png")
