"""`frenemy train --data FOLDER`: what it makes of odd pictures, and of what it is told."""

import numpy as np
import pytest
from PIL import Image

from frenemy import begin
from frenemy.cli import main
from frenemy.model import Model

from .command_line import errors


def write(folder, count, size=(16, 16), mode="RGB", seed=0):
    """So many pictures of coarse blocks, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        pixels = rng.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).resize(size, 0).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def planned(monkeypatch):
    """The plans that were made."""
    plans, plan = [], begin.plan

    def spy(*arguments):
        plans.append(plan(*arguments))
        return plans[-1]

    monkeypatch.setattr(begin, "plan", spy)
    monkeypatch.setattr("frenemy.fitting.Rehearsal.speed", lambda *_: 50.0)
    monkeypatch.setattr("frenemy.fitting.low_is_fast", lambda _: False)
    return plans


def dry(data, *words):
    return main(["train", "--data", str(data), "--dry-run", *map(str, words)])


@pytest.fixture
def pets(tmp_path):
    for i, name in enumerate(("cats", "dogs")):
        write(tmp_path / "pets" / name, 15, seed=i)
    return tmp_path / "pets"


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("--width", 24), "width", 24),
        (("--minibatch", 8), "minibatch", 8),
        (("--rate", 0.01), "rate", 0.01),
        (("--images", 9000), "images", 9000),
        (("--gamma", 0.5), "gamma", 0.5),
        (("--penalty-every", 4), "penalty_every", 4),
        (("--objective", "pairing"), "objective", "pairing"),
        (("--no-normalised",), "normalised", False),
        (("--no-augmenting",), "augmenting", False),
        (("--no-classes",), "classes", False),
    ],
)
def test_each_argument_overrides(pets, planned, words, name, value):
    assert dry(pets, *words) == 0
    assert planned[0].run.header["arguments"][name] == value


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("--minutes", 2), "target", {"steps": 6000}),
        ((), "target", {"steps": 90_000}),
        (("--steps", 9), "target", {"steps": 9}),
        (("--epochs", 4), "target", {"steps": 3}),
        (("--precision", "bfloat16"), "precision", "bfloat16"),
        (("--parts", 4), "parts", 4),
        (("--mirror",), "mirror", True),
        (("--seed", 5), "seed", 5),
    ],
)
def test_so_does_each_setting(pets, planned, words, name, value):
    assert dry(pets, *words) == 0
    assert planned[0].run.header[name] == value


def test_a_size_and_grey_override(pets, planned, capsys):
    assert dry(pets, "--size", 24, "--grey") == 0
    assert planned[0].run.header["data"]["shape"] == [1, 24, 24]
    assert "30 images 24x24 grey, 30 of them enlarged, 2 classes" in capsys.readouterr().out


def test_the_plan_is_told_in_a_few_lines_and_nothing_is_written(
    pets, planned, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert dry(pets, "--minutes", 2) == 0
    told = capsys.readouterr().out
    assert len(planned[0].reasons) <= 6
    assert all(line in told for line in planned[0].reasons)
    assert "50.0 rounds a second in float32; ends about" in told
    assert sorted(tmp_path.rglob("*")) == before


def plays(data, tmp_path, *words):
    out = tmp_path / "run"
    words = ["--data", data, "--steps", 2, "--width", 4, "--minibatch", 4, "--out", out, *words]
    assert main(["train", *map(str, words)]) == 0
    return Model.load(out)


class TestBadInput:
    def refused(self, capsys, tmp_path, data, *words):
        out = tmp_path / "run"
        line = errors(capsys, "train", "--data", data, "--steps", 1, "--out", out, *words)
        assert not out.exists()
        return line

    @pytest.mark.parametrize("count", [3, 9])
    def test_fewer_than_ten(self, capsys, tmp_path, count):
        data = write(tmp_path / "few", count)
        assert "give ten or more in all" in self.refused(capsys, tmp_path, data)

    def test_all_alike(self, capsys, tmp_path):
        (tmp_path / "one").mkdir()
        for i in range(20):
            Image.new("RGB", (16, 16), "red").save(tmp_path / "one" / f"{i}.png")
        said = self.refused(capsys, tmp_path, tmp_path / "one")
        assert "16 pictures hold only 1 different ones" in said

    @pytest.mark.parametrize("size", [(1, 40), (40, 1)])
    def test_one_pixel_wide(self, capsys, tmp_path, size):
        data = write(tmp_path / "lines", 20, size)
        assert "images 1 pixel wide or high" in self.refused(capsys, tmp_path, data)

    def test_a_size_that_no_start_gives(self, capsys, tmp_path):
        data = write(tmp_path / "mine", 12)
        said = self.refused(capsys, tmp_path, data, "--size", 37)
        assert "37x37 pixels" in said and "resize the images to 40x40" in said

    def test_minutes_too_few(self, capsys, tmp_path, planned):
        data, out = write(tmp_path / "mine", 12), tmp_path / "run"
        line = errors(capsys, "train", "--data", data, "--minutes", 0.001, "--out", out)
        assert "0.001 minutes: time for only" in line and "it takes at least 2,000:" in line
        assert not out.exists()

    def test_memory_too_small(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setattr("frenemy.fitting.memory_left", lambda _: 2**20)
        said = self.refused(capsys, tmp_path, write(tmp_path / "mine", 12))
        assert "2 images at once take" in said and "GiB of memory" in said
        assert "0.0 are free: give a smaller" in said

    def test_noise_is_told_and_played(self, capsys, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16), np.uint8)
        np.save(tmp_path / "noise.npy", pixels)
        assert plays(tmp_path / "noise.npy", tmp_path).sample(2).shape == (2, 1, 16, 16)
        assert "what they show is noise" in capsys.readouterr().out

    def test_smaller_than_the_size_asked_is_told_and_played(self, capsys, tmp_path):
        data = write(tmp_path / "mine", 8, (16, 16))
        Image.effect_noise((64, 48), 99).save(data / "large.png")
        write(data / "more", 8, (64, 31), seed=2)
        plays(data, tmp_path, "--size", 32)
        assert "17 images 32x32 colour, 16 of them enlarged" in capsys.readouterr().out

    def test_a_class_with_a_single_picture_is_told_and_played(self, capsys, tmp_path):
        write(tmp_path / "pets" / "cats", 20)
        write(tmp_path / "pets" / "dog", 1, seed=1)
        assert plays(tmp_path / "pets", tmp_path).classes == ("cats", "dog")
        assert "classes with few pictures to train on" in capsys.readouterr().out

    def test_a_thousand_classes_are_played(self, capsys, tmp_path):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (3000, 16, 16), np.uint8)
        np.savez(tmp_path / "many.npz", images=images, labels=np.arange(3000) % 1000)
        model = plays(tmp_path / "many.npz", tmp_path)
        assert len(model.classes) == 1000
        told = [line for line in capsys.readouterr().out.splitlines() if "few pictures" in line]
        assert len(told) == 1 and told[0].endswith("and 997 more") and len(told[0]) < 300
        assert model.sample(1000).shape == (1000, 1, 16, 16)
