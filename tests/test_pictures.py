"""Grids, files and films: geometry, round trips through every format, nothing left half-written."""

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from frenemy import pictures
from frenemy.errors import FrenemyError
from frenemy.opacity import over_white
from frenemy.pictures import (
    GAP,
    channels_last,
    enlarge,
    grid,
    is_film,
    load_picture,
    of_one_size,
    save_film,
    save_images,
    save_picture,
    shown,
    terminal,
    to_pillow,
)

CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def images(count, channels=1, height=5, width=4, seed=0):
    """uint8 (count, channels, height, width)."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, channels, height, width), dtype=np.uint8)


# Grids


@CHANNELS
@pytest.mark.parametrize(
    ("count", "columns", "shape"),
    [
        (1, None, (1, 1)),
        (2, None, (1, 2)),
        (5, None, (2, 3)),
        (9, None, (3, 3)),
        (5, 5, (1, 5)),
        (7, 3, (3, 3)),
        (3, 1, (3, 1)),
        (2, 4, (1, 4)),
    ],
)
def test_a_grid_holds_every_image_in_its_place_and_black_elsewhere(count, columns, shape, channels):
    x = np.maximum(images(count, channels), 1)
    rows, across = shape
    picture = grid(x, columns)
    assert picture.dtype == np.uint8
    assert picture.shape == (channels, rows * (5 + GAP) - GAP, across * (4 + GAP) - GAP)
    for i in range(count):
        top, left = (i // across) * (5 + GAP), (i % across) * (4 + GAP)
        assert (picture[:, top : top + 5, left : left + 4] == x[i]).all()
    assert (picture != 0).sum() == x.size


@CHANNELS
@pytest.mark.parametrize(
    ("size", "factor"),
    [((8, 8), 8), ((28, 28), 2), ((32, 32), 2), ((33, 33), 1), ((200, 9), 1), ((10, 20), 3)],
)
def test_small_images_are_enlarged_pixel_by_pixel_by_a_whole_factor(size, factor, channels):
    x = images(2, channels, *size)
    y = enlarge(x)
    assert y.shape == (2, channels, size[0] * factor, size[1] * factor)
    assert max(y.shape[2:]) <= max(pictures.SMALLEST, *size)
    for dy in range(factor):
        for dx in range(factor):
            assert (y[:, :, dy::factor, dx::factor] == x).all()


def test_a_scatter_plot_shows_points_where_they_are_and_the_second_coordinate_upwards():
    points = np.array([[-1, -1], [0.5, 1], [9, 0], [np.nan, 0], [0, np.inf]], np.float32)
    picture = shown(points.reshape(-1, 2, 1, 1))
    assert picture.shape == (1, 256, 256)
    lit = np.argwhere(picture[0] > 0)  # row, column; each point is 3 x 3
    assert lit[:9].max(0).tolist() == [2, 192]  # at the top, at (.5 + 1) / 2 of the width
    assert lit[-9:].min(0).tolist() == [253, 0]  # at the left of the bottom
    assert len(lit) == 3 * 9
    assert lit[lit[:, 0] == 127][:, 1].max() == 255  # what is too far away, at the edge


def test_more_points_are_brighter():
    once, often = (shown(np.zeros((n, 2, 1, 1), np.float32)).max() for n in (1, 9))
    assert 0 < once < often


def test_channels_go_last_or_away():
    grey, colour = images(3, 1), images(3, 3)
    assert (channels_last(grey) == grey[:, 0]).all()
    assert channels_last(colour).shape == (3, 5, 4, 3)
    assert (channels_last(colour)[1, 2, 3] == colour[1, :, 2, 3]).all()
    assert (channels_last(colour[0]) == channels_last(colour)[0]).all()


# Pictures


def read_by_pillow(path):
    """A file of any format as an image, (C, H, W)."""
    pixels = np.asarray(Image.open(path))
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


@CHANNELS
@pytest.mark.parametrize("name", ["a.png", "A.PNG", "a.bmp", "a.tiff"])
def test_a_picture_reads_back_as_it_was(tmp_path, channels, name):
    (x,) = images(1, channels)
    path = save_picture(x, tmp_path / name)
    assert path == tmp_path / name
    read = read_by_pillow(path)
    assert read.dtype == np.uint8
    assert (read == x).all()
    assert os.listdir(tmp_path) == [name]


@CHANNELS
@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_formats_keep_the_shape_and_about_the_content(tmp_path, channels, name):
    ramp = np.linspace(0, 255, 32 * 32).reshape(1, 32, 32).astype(np.uint8).repeat(channels, 0)
    read = read_by_pillow(save_picture(ramp, tmp_path / name))
    # WebP knows no grey; quality 75 or 80 errs by a few levels on smooth pictures
    assert read.shape[1:] == (32, 32)
    assert np.abs(read.astype(int) - ramp).mean() < 4


@pytest.mark.parametrize("name", ["a.xyz", "a.npy", "a.mp4", "a.psd", "a.ico", "a.icns"])
def test_an_unknown_ending_is_told_with_those_that_are_known(tmp_path, name):
    with pytest.raises(FrenemyError, match=r"unknown picture format: use .*\.png"):
        save_picture(images(1)[0], tmp_path / name)
    with pytest.raises(FrenemyError, match=r"unknown picture format: use .*\.png"):
        save_images(images(2), tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n and no more"])
def test_what_is_no_picture_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(FrenemyError, match=r"a\.png cannot be read as a picture") as refused:
        load_picture(path)
    assert "\n" not in str(refused.value)


def test_a_missing_picture_is_told_in_one_line(tmp_path):
    with pytest.raises(FrenemyError, match=r"a\.png cannot be read"):
        load_picture(tmp_path / "a.png")


def test_a_truncated_picture_is_told_in_one_line(tmp_path):
    path = save_picture(images(1, 3, 64, 64)[0], tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FrenemyError, match=r"a\.png cannot be read"):
        load_picture(path)


# Many images


@CHANNELS
def test_an_npz_holds_the_images_channels_last(tmp_path, channels):
    x = images(7, channels)
    path = save_images(x, tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as file:
        assert file.files == ["images"]
        read = file["images"]
    assert read.dtype == np.uint8
    assert read.shape == ((7, 5, 4) if channels == 1 else (7, 5, 4, 3))
    assert (read == channels_last(x)).all()
    assert os.listdir(tmp_path) == ["x.npz"]


@CHANNELS
@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_holds_one_png_an_image_in_order(tmp_path, channels, existing):
    x = images(12, channels)
    folder = tmp_path / "deep" / "folder"
    if existing:
        folder.mkdir(parents=True)
    assert save_images(x, folder) == folder
    names = sorted(os.listdir(folder))
    assert len(names) == 12
    assert all((load_picture(folder / name) == x[i]).all() for i, name in enumerate(names))


def test_pictures_in_a_folder_wait_for_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", None)
    save_images(images(3), tmp_path / "folder")
    assert len(os.listdir(tmp_path / "folder")) == 3


def test_an_existing_folder_may_have_a_dot_in_its_name(tmp_path):
    folder = tmp_path / "run.1"
    folder.mkdir()
    save_images(images(2), folder)
    assert len(os.listdir(folder)) == 2


@pytest.mark.parametrize("name", ["v1.2/", "x.npz/", "plain/"])
def test_a_string_that_ends_in_a_slash_is_a_folder(tmp_path, name):
    assert save_images(images(2), f"{tmp_path}/{name}") == tmp_path / name
    assert len(os.listdir(tmp_path / name)) == 2


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FrenemyError, match="not empty"):
        save_images(images(2), tmp_path)
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_a_file_in_place_of_a_folder_is_told_in_one_line(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(FrenemyError) as refused:
        save_images(images(2), tmp_path / "taken")
    assert "\n" not in str(refused.value)
    assert (tmp_path / "taken").read_text() == "mine"


@CHANNELS
@pytest.mark.parametrize("count", [1, 5])
def test_a_picture_file_holds_an_enlarged_grid(tmp_path, channels, count):
    x = images(count, channels)
    path = save_images(x, tmp_path / "x.png")
    assert (load_picture(path) == grid(enlarge(x))).all()


@pytest.mark.parametrize("name", ["x.npz", "x.png", "folder"])
def test_no_images_at_all_are_either_written_or_told_in_one_line(tmp_path, name):
    try:
        path = save_images(images(0), tmp_path / name)
    except FrenemyError as refused:
        assert "\n" not in str(refused)
        assert not os.listdir(tmp_path)
    else:
        assert path.exists()


# Films


def read_film(path):
    """Frames as uint8 (N, H, W, 3), and the seconds of each, but for an .mp4."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        return np.stack(frames), None
    frames, seconds = [], []
    with Image.open(path) as film:
        for frame in ImageSequence.Iterator(film):
            frames.append(np.asarray(frame.convert("RGB")))
            seconds.append(frame.info["duration"] / 1000)
    return np.stack(frames), seconds


def steps(count, channels, height=16, width=12):
    """Frames that differ: flat greys, which every format keeps nearly as they are."""
    levels = np.linspace(20, 235, count).astype(np.uint8)
    return [np.full((channels, height, width), level, np.uint8) for level in levels]


@CHANNELS
@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize("ending", [".gif", ".webp", ".mp4", ".GIF"])
def test_films_have_their_frames_in_order(tmp_path, ending, channels, count):
    frames = steps(count, channels)
    path = save_film(frames, tmp_path / f"film{ending}", fps=10, hold=0.5)
    read, _ = read_film(path)
    held = 5 if ending == ".mp4" else 0  # the others hold by a duration
    assert read.shape == (count + held, 16, 12, 3)
    for i, found in enumerate(read):
        expected = frames[min(i, count - 1)][0, 0, 0]
        # 0 in .gif and .webp; H.264's limited range and quantisation cost a few levels
        assert np.abs(found.astype(int) - expected).max() <= (8 if ending == ".mp4" else 0)
    assert os.listdir(tmp_path) == [f"film{ending}"]


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_films_hold_their_last_frame(tmp_path, ending):
    path = save_film(steps(3, 3), tmp_path / f"film{ending}", fps=10, hold=2)
    _, seconds = read_film(path)
    assert seconds == [0.1, 0.1, 2.0]


@pytest.mark.parametrize("fps", ["4", "5/2", "3/10", "1/10", "2997/100"])
def test_an_mp4_plays_at_its_rate(tmp_path, fps):
    rate = Fraction(fps)
    path = save_film(steps(8, 3), tmp_path / "film.mp4", fps=float(rate), hold=1)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        assert float(stream.duration * stream.time_base) == pytest.approx((8 + round(rate)) / rate)


@pytest.mark.parametrize("size", [(15, 12), (16, 13), (17, 11)])
def test_an_mp4_of_odd_size_is_padded_by_one_row_or_column(tmp_path, size):
    path = save_film(steps(2, 1, *size), tmp_path / "film.mp4", hold=0)
    read, _ = read_film(path)
    assert read.shape[1:3] == tuple(n + n % 2 for n in size)


@pytest.mark.parametrize("ending", [".gif", ".webp", ".mp4"])
def test_coloured_frames_keep_their_colour(tmp_path, ending):
    red = np.zeros((3, 32, 32), np.uint8)
    red[0] = 200
    path = save_film([red, red[::-1].copy()], tmp_path / f"film{ending}", hold=0)
    read, _ = read_film(path)
    # limited range and halved colour planes of H.264 cost some levels; channels would cost 200
    assert np.abs(read[0, 16, 16].astype(int) - (200, 0, 0)).max() < 20
    assert np.abs(read[1, 16, 16].astype(int) - (0, 0, 200)).max() < 20


@pytest.mark.parametrize("name", ["film.avi", "film", "film.png"])
def test_an_unknown_film_format_is_told_with_those_that_are_known(tmp_path, name):
    with pytest.raises(FrenemyError, match=r"unknown film format: use \.gif, \.webp, \.mp4"):
        save_film(steps(2, 1), tmp_path / name)
    assert not os.listdir(tmp_path)


def test_names_are_of_films_or_of_pictures_or_refused():
    kinds = {name: is_film(Path(name)) for name in ("a.gif", "a.WEBP", "a.mp4", "a.png", "a.tiff")}
    assert list(kinds.values()) == [True, True, True, False, False]
    for name in ("a.avi", "a", "a.npz"):
        with pytest.raises(FrenemyError, match=r"use \.png, \.jpg, \.webp, \.gif, \.mp4$"):
            is_film(Path(name))


def test_without_pyav_an_mp4_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FrenemyError, match=r"pip install 'frenemy\[film\]'"):
        save_film(steps(2, 1), tmp_path / "film.mp4")
    assert not os.listdir(tmp_path)


# Nothing half-written


def broken_write(part, content):
    with open(part, "wb") as file:
        file.write(content[: len(content) // 2])
    raise OSError(28, "No space left on device")


def broken_npz(file, **arrays):
    file.write(b"half")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("before", [None, b"an older file"])
@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("x.png", lambda path: save_picture(images(1)[0], path)),
        ("x.npz", lambda path: save_images(images(2), path)),
        ("x.gif", lambda path: save_film(steps(3, 1), path)),
        ("x.webp", lambda path: save_film(steps(3, 1), path)),
        ("x.mp4", lambda path: save_film(steps(3, 1), path)),
        ("x", lambda path: save_images(images(2), f"{path}/")),
    ],
)
def test_an_error_leaves_no_half_written_file(tmp_path, monkeypatch, name, save, before):
    path = tmp_path / name
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(Path, "write_bytes", broken_write)
    monkeypatch.setattr(np, "savez_compressed", broken_npz)
    message = "no space left" if before is None or path.suffix else "cannot write here"
    with pytest.raises(FrenemyError, match=message) as refused:
        save(path)
    assert "\n" not in str(refused.value)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("name", ["x.png", "x.npz", "x.gif", "x.webp", "x.mp4"])
def test_missing_folders_are_made_and_a_file_in_the_way_is_told_in_one_line(tmp_path, name):
    film = name.endswith((".gif", ".webp", ".mp4"))

    def save(path):
        return save_film(steps(2, 1), path) if film else save_images(images(2), path)

    assert save(tmp_path / "new" / "folder" / name).stat().st_size > 0
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FrenemyError, match="file") as refused:
        save(tmp_path / "file" / name)
    assert "\n" not in str(refused.value)


def wide(width, channels=1, height=2):
    return np.zeros((channels, height, width), np.uint8)


def fall_over(frames, fps):
    raise ValueError("the encoder\nfell over")


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda folder: save_picture(wide(16_384), folder / "a.webp"), r"a\.webp: WEBP cannot"),
        (lambda folder: save_picture(wide(70_000), folder / "a.jpg"), r"a\.jpg: JPEG cannot hold"),
        (lambda folder: save_picture(wide(70_000), folder / "a.gif"), r"of 70000x2 \("),
        (lambda folder: save_picture(wide(5), folder / "a.qoi"), "Unsupported QOI image mode"),
        (lambda folder: save_images(wide(9_000)[None].repeat(4, 0), folder / "a.webp"), "16383"),
        (lambda folder: save_film([wide(16_384)] * 2, folder / "a.webp"), "a film as .webp cannot"),
        (lambda folder: save_film([wide(40_000)] * 2, folder / "a.mp4"), "a film as .mp4 cannot"),
    ],
)
def test_what_a_format_cannot_hold_blames_no_place(tmp_path, save, message):
    with pytest.raises(FrenemyError, match=message) as refused:
        save(tmp_path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("): use another format, or fewer images")
    assert not os.listdir(tmp_path)


def test_an_encoder_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_encode_mp4", fall_over)
    with pytest.raises(FrenemyError, match=r"\(the encoder fell over\)"):
        save_film(steps(3, 1), tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.mp4"])
def test_frames_of_two_sizes_or_none_are_told_so(tmp_path, name):
    for frames, found in (([wide(5), wide(6)], "5x2 and 6x2"), ([], "none")):
        with pytest.raises(FrenemyError, match=f"^a film needs frames of one size, not {found}$"):
            save_film(frames, tmp_path / name)
    assert not os.listdir(tmp_path)


# The terminal


def test_the_terminal_shows_two_pixels_a_character():
    picture = np.zeros((3, 2, 3), np.uint8)
    picture[0, 0], picture[2, 1] = 255, 255  # red above, blue below
    text = terminal(picture, width=80)
    assert text.plain == "▀▀▀\n"
    for span in text.spans:
        assert span.style.color.get_truecolor() == (255, 0, 0)
        assert span.style.bgcolor.get_truecolor() == (0, 0, 255)


@CHANNELS
@pytest.mark.parametrize(("height", "width"), [(100, 200), (31, 200), (7, 5), (1, 1)])
def test_the_terminal_is_no_wider_than_asked(height, width, channels):
    text = terminal(images(1, channels, height, width)[0], width=40)
    lines = text.plain.splitlines()
    assert {len(line) for line in lines} == {min(40, width)}
    scale = min(1, 40 / width)
    assert abs(2 * len(lines) - height * scale) <= 2  # rounded to whole characters


@pytest.mark.parametrize(("lines", "rows"), [("24", 20), ("60", 50), ("2", 1)])
def test_the_terminal_is_not_overfilled(lines, rows, monkeypatch):
    monkeypatch.setenv("LINES", lines)
    shown = terminal(images(1, 1, 100, 100)[0], width=100).plain.splitlines()
    assert len(shown) == rows  # a pixel is as high as half a character
    assert {len(line) for line in shown} == {2 * rows}


def test_frames_of_a_game_that_grew_are_brought_to_one_size():
    small = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    large = np.zeros((1, 4, 6), np.uint8)
    frames = of_one_size([small, large])
    assert [frame.shape for frame in frames] == [(1, 4, 6)] * 2
    assert np.array_equal(frames[0], small.repeat(2, 1).repeat(3, 2))
    assert frames[1] is large


# Opacity


@pytest.mark.parametrize("channels", [2, 4])
def test_sheets_show_what_is_transparent_on_a_checker(tmp_path, channels):
    x = images(4, channels, 16, 16)
    x[0, -1], x[1, -1], x[2, -1] = 0, 255, 51
    sheet = grid(x)
    assert sheet.shape == (channels - 1, 34, 34)
    board = np.where(np.add.outer(np.arange(16) // 8, np.arange(16) // 8) % 2, 204, 255)
    assert (sheet[:, :16, :16] == board).all()
    assert np.array_equal(sheet[:, :16, 18:], x[1, :-1])
    # a fifth of the colour, four of the board, rounded
    assert np.abs(sheet[:, 18:, :16] - (0.2 * x[2, :-1] + 0.8 * board)).max() <= 0.5
    assert load_picture(save_picture(sheet, tmp_path / "a.png")).shape == sheet.shape


@pytest.mark.parametrize("format", ["png", "webp"])
@pytest.mark.parametrize("channels", [2, 4])
def test_single_pictures_keep_their_opacity(tmp_path, channels, format):
    x = images(3, channels)
    save_images(x, tmp_path / "folder", format=format)
    for i, image in enumerate(x):
        with Image.open(tmp_path / "folder" / f"{i:06d}.{format}") as read:
            assert read.mode == ("RGBA" if channels == 4 or format == "webp" else "LA")
            expected = np.concatenate([np.broadcast_to(image[:-1], (3, 5, 4)), image[-1:]])
            assert np.array_equal(np.asarray(read.convert("RGBA")), np.moveaxis(expected, 0, -1))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_over_white_is_what_pillow_shows_on_white(channels):
    (x,) = images(1, channels)
    white = Image.new("RGBA", (4, 5), "white")
    white.alpha_composite(to_pillow(x).convert("RGBA"))
    found = np.broadcast_to(over_white(x), (3, 5, 4))
    assert np.abs(np.asarray(white)[..., :3] - np.moveaxis(found, 0, -1).astype(int)).max() <= 1
