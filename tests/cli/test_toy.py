"""Points in the plane and stacks, from the command line."""

import numpy as np
import pytest
from PIL import Image

from frenemy.cli import main
from frenemy.data import open_dataset
from frenemy.model import Model
from frenemy.run import Run

from .command_line import errors


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """A short run on the ring, stopped and gone on with; its first measurement is at 100."""
    path = tmp_path_factory.mktemp("runs") / "points"
    assert main(["train", "digits", "--data", "toy:ring", "--steps", "60", "--out", str(path)]) == 0
    assert main(["train", "--resume", str(path), "--steps", "110"]) == 0
    return path


def test_a_run_on_points_draws_points(points, tmp_path):
    assert main(["sample", str(points), "-n", "300", "-o", str(tmp_path / "s.npz")]) == 0
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        drawn = file["points"]
    assert (drawn.dtype, drawn.shape) == (np.float32, (300, 2))
    assert len(np.unique(drawn)) > 512  # no pixels
    assert abs(drawn).max() <= 1
    np.testing.assert_array_equal(Model.load(points).sample(300)[..., 0, 0], drawn)


def test_a_run_on_points_is_gone_on_with_bit_for_bit(points, tmp_path):
    whole = tmp_path / "whole"
    arguments = ["--data", "toy:ring", "--steps", "110", "--out", str(whole)]
    assert main(["train", "digits", *arguments]) == 0
    drawn = [Model.load(path).sample(50) for path in (points, whole)]
    np.testing.assert_array_equal(*drawn)


def test_pictures_of_points_are_plots(points, tmp_path):
    sizes = {Image.open(path).size for path in Run.open(points).samples()}
    for verb in ("sample", "walk", "film"):
        out = tmp_path / f"{verb}.webp"
        assert main([verb, str(points), "-o", str(out)]) == 0
        sizes.add(Image.open(out).size)
    assert sizes == {(256, 256)}


def test_what_needs_images_refuses_points_in_one_line(points, tmp_path, capsys):
    for arguments, said in (
        (["judge", points], "points in the plane"),
        (["neighbours", points], "points in the plane"),
        (["directions", points], "points in the plane"),
        (["invert", points, "a.png"], "points in the plane"),
        (["judge", "--train-features", "toy:ring", "--name", "ring"], "points in the plane"),
        (["data", "toy:ring"], "a synthetic set, with no files to read"),
        (["train", "mnist", "--data", "toy:ring", "--dry-run"], "mnist takes 1x28x28 images"),
        (["sample", points, "-o", tmp_path / "folder"], "points, not pictures: write an .npz"),
    ):
        assert said in errors(capsys, *arguments)


def test_stacks_are_played_on_gone_on_with_and_looked_at(tmp_path, capsys):
    path = tmp_path / "run"
    assert main(["train", "digits", "--data", "stacked:", "--steps", "5", "--out", str(path)]) == 0
    assert main(["train", "--resume", str(path), "--steps", "8"]) == 0
    assert main(["neighbours", str(path), "-n", "5"]) == 0
    assert main(["judge", str(path), "--samples", "60", "--metrics", "fid"]) == 0
    assert Model.load(path).sample(3).shape == (3, *open_dataset("stacked:").shape)
    assert "stacks of three of embedded UCI digits" in Run.open(path).header["data"]["description"]


def test_stacks_that_have_gone_are_told_with_the_remedy(tmp_path, capsys):
    path, digits = tmp_path / "run", tmp_path / "digits.npy"
    np.save(digits, np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8))
    arguments = ["--data", f"stacked:{digits}", "--steps", "2", "--out", str(path)]
    assert main(["train", "digits", *arguments]) == 0
    moved = digits.rename(tmp_path / "moved.npy")
    capsys.readouterr()
    again = ["train", "--resume", str(path), "--steps", "3"]
    assert f"{digits}: no such file or folder: give the place" in errors(capsys, *again)
    assert main([*again, "--data", f"stacked:{moved}"]) == 0
