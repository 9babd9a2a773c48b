"""The verbs that draw and film."""

import copy
import re

import numpy as np
import pytest
import torch
from PIL import Image

from frenemy import judging_runs
from frenemy.cli import main
from frenemy.data import open_dataset
from frenemy.errors import FrenemyError
from frenemy.judge.features import in_batches
from frenemy.judge.named_features import features_named
from frenemy.judge.realism import realism
from frenemy.judge.report import Report
from frenemy.model import Model
from frenemy.opacity import over_white
from frenemy.rejection import most_real
from frenemy.run import Run
from frenemy.sampling import generate, noise, to_pixels, truncated
from frenemy.validation import features_for
from frenemy.walks import mix, walk

from .command_line import errors


def squares(folder, count):
    """So many dark and as many light squares, in a folder each."""
    for name, level in (("dark", 30), ("light", 220)):
        (folder / name).mkdir()
        for i in range(count):
            pixels = np.full((16, 16), level + i, np.uint8)
            pixels[4:12, 4:12] += 2  # a picture of one colour is refused
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def classed(tmp_path_factory):
    """A run of tiny networks that are told whether a picture is of a dark or a light square."""
    folder = squares(tmp_path_factory.mktemp("squares"), 10)
    path = tmp_path_factory.mktemp("runs") / "classed"
    arguments = ["--data", folder, "--out", path, "--width", 4, "--minibatch", 8, "--steps", 400]
    assert main(["train", "pictures", *map(str, arguments)]) == 0
    return path


def shown_in(path, count, size=64):
    """The images of a strip, enlarged as they are, (count, size, size)."""
    pixels = np.asarray(Image.open(path))
    return np.stack([pixels[:size, i * (size + 2) :][:, :size] for i in range(count)])


def test_samples_as_picture_arrays_and_folder(run, tmp_path):
    for out in ("s.png", "s.npz", "folder"):
        arguments = ["sample", str(run), "-n", "5", "--seed", "3", "-o", str(tmp_path / out)]
        assert main(arguments) == 0
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        images = file["images"]
    assert images.shape == (5, 8, 8) and images.dtype == np.uint8
    for i, image in enumerate(images):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "folder" / f"{i:06d}.png")), image)
    # five 8x8 images, enlarged to 64, three a row with gaps of two
    assert Image.open(tmp_path / "s.png").size == (3 * 66 - 2, 2 * 66 - 2)


def test_neighbours_of_a_grey_run_are_sought_among_the_greys_of_colours(run, tmp_path, capsys):
    colours = np.random.default_rng(0).integers(0, 256, (30, 9, 9, 3), np.uint8)
    np.save(tmp_path / "colours.npy", colours)
    out = tmp_path / "n.png"
    arguments = ["neighbours", run, "--data", tmp_path / "colours.npy", "-n", "5", "-o", out]
    assert main([str(a) for a in arguments]) == 0
    assert Image.open(out).mode == "L"


def test_a_slash_at_the_end_makes_a_folder_whatever_its_name(run, tmp_path):
    assert main(["sample", str(run), "-n", "2", "-o", f"{tmp_path}/v1.2/"]) == 0
    assert len(list((tmp_path / "v1.2").iterdir())) == 2


def test_samples_are_a_function_of_the_seed(run, tmp_path):
    def draw(n, seed):
        main(["sample", str(run), "-n", str(n), "--seed", str(seed), "-o", str(tmp_path / "s.npz")])
        with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
            return file["images"]

    first = draw(700, 0)

    def apart(images):
        return np.abs(images.astype(int) - first[:9]).max()

    assert apart(draw(9, 0)) <= 1  # a level: a product of fewer rows adds in another order
    assert apart(draw(9, 1)) > 10


def test_an_earlier_checkpoint_draws_other_samples(tmp_path, capsys):
    path = tmp_path / "grown"
    main(["train", "digits2014", "--out", str(path), "--steps", "10"])
    main(["train", "--resume", str(path), "--steps", "80"])

    def draw(*more):
        main(["sample", str(path), "-o", str(tmp_path / "s.npz"), *more])
        with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
            return file["images"]

    assert np.array_equal(draw(), draw("--step", "80"))
    assert not np.array_equal(draw(), draw("--step", "10"))
    assert "keeps no checkpoint of round 3, only of: 10, 80" in errors(
        capsys, "sample", path, "--step", "3"
    )


def test_walk_draws_lines_and_film(run, tmp_path):
    strip, film = tmp_path / "walk.png", tmp_path / "walk.webp"
    arguments = ["walk", str(run), "--points", "3", "--steps", "4", "-o", str(strip), str(film)]
    assert main(arguments) == 0
    assert Image.open(strip).size == (4 * 66 - 2, 3 * 66 - 2)
    assert Image.open(film).n_frames == 12


def test_nothing_is_written_if_one_place_of_a_walk_is_refused(run, tmp_path, capsys):
    said = errors(capsys, "walk", run, "-o", tmp_path / "w.tiff", tmp_path / "w.avi")
    assert "w.avi: " in said and "use .png, .jpg, .webp, .gif, .mp4" in said
    assert not list(tmp_path.iterdir())


def test_a_mix_goes_from_the_first_sample_of_one_seed_to_that_of_another(run, tmp_path):
    out = tmp_path / "mix.png"
    assert main(["mix", str(run), "--seeds", "5", "9", "--steps", "4", "-o", str(out)]) == 0
    assert Image.open(out).size == (4 * 66 - 2, 64)
    model, images = Model.load(run), shown_in(out, 4)[:, ::8, ::8].astype(int)
    for end, seed in ((0, 5), (-1, 9)):
        expected = model.sample(1, seed=seed)[0, 0].astype(int)
        assert np.abs(images[end] - expected).max() <= 1  # a product of more rows, as above
    assert np.array_equal(mix(model, (5, 9), 4), mix(model, (5, 9), 4))


def mean_of(model, z, names):
    """The images of z and of a class whose gains and biases are the mean of those of others."""
    G = copy.deepcopy(model.game.players["G"].best.eval())
    y = [model.classes.index(name) for name in names]
    with torch.inference_mode():
        for numbers in G.numbers:
            numbers[0] = numbers[y].mean(0)
        return to_pixels(G(z, torch.zeros(len(z)).long())).astype(int)


def test_a_mix_of_classes_goes_straight_from_the_one_to_the_other(classed, tmp_path):
    model = Model.load(classed)
    mixed = mix(model, (3, 3), 5, classes=("dark", "light")).astype(int)  # one z: labels alone
    dark, light = (
        model.sample(1, seed=3, labels=model.labels(name, 1)).astype(int)
        for name in ("dark", "light")
    )
    assert np.abs(dark - light).max() > 2
    between = mean_of(model, next(noise(model.game, 1, 3)), ("dark", "light"))
    # a level: a product of more rows adds in another order
    assert np.abs(mixed[[0, 2, 4]] - np.concatenate([dark, between, light])).max() <= 1
    words = ["mix", classed, "--seeds", 3, 3, "--class", "light", "-o", tmp_path / "m.png"]
    assert main([str(word) for word in words]) == 0
    assert (np.ptp(shown_in(tmp_path / "m.png", 8).astype(int), axis=0) <= 1).all()


def test_a_walk_goes_from_class_to_class_and_back(classed, tmp_path):
    out = tmp_path / "walk.png"
    words = ["walk", classed, "--class", "dark", "light", "--one-z", "--steps", 2, "--seed", 3]
    assert main([str(word) for word in [*words, "-o", out]]) == 0
    pixels = np.asarray(Image.open(out)).astype(int)
    assert pixels.shape == (2 * 66 - 2, 2 * 66 - 2)  # a point a class
    shown = [pixels[i : i + 64 : 4, j : j + 64 : 4] for i in (0, 66) for j in (0, 66)]
    model = Model.load(classed)
    dark, light = (
        model.sample(1, seed=3, labels=model.labels(name, 1))[0, 0] for name in ("dark", "light")
    )
    between = mean_of(model, next(noise(model.game, 1, 3)), ("dark", "light"))[0, 0]
    assert np.abs(np.stack(shown) - np.stack([dark, between, light, between])).max() <= 1
    both = walk(model, 4, 3, seed=3, classes=("dark", "light"))
    z = torch.cat([*noise(model.game, 4, 3)])
    for i, name in enumerate(("dark", "light", "dark", "light")):  # over and over; z moves, too
        corner = mean_of(model, z[i : i + 1], (name,))
        assert np.abs(both[i, 0] - corner[0]).max() <= 1
    alone = walk(model, 3, 2, seed=3, classes=("light",))
    assert np.abs(alone[0, 0].astype(int) - light).max() <= 1


def test_samples_of_classes_stand_in_columns(classed, tmp_path):
    def sheet(*more):
        words = ["sample", classed, "-n", 9, "-o", tmp_path / "s.png", *more]
        assert main([str(word) for word in words]) == 0
        return Image.open(tmp_path / "s.png").size

    assert sheet() == (4 * 66 - 2, 3 * 66 - 2)  # an even number of columns for two classes
    assert sheet("--class", "dark") == (3 * 66 - 2, 3 * 66 - 2)


@pytest.fixture(scope="module")
def unnormalised(tmp_path_factory):
    """A run whose z is Gaussian and whose G has no batch normalisation."""
    folder = squares(tmp_path_factory.mktemp("squares"), 10)
    path = tmp_path_factory.mktemp("runs") / "unnormalised"
    arguments = ["--width", 16, "--blocks", 1, "--minibatch", 4, "--steps", 1, "--no-classes"]
    words = ["train", "r3gan", "--data", folder, "--out", path, *arguments]
    assert main([str(word) for word in words]) == 0
    return path


def test_truncated_samples_are_of_truncated_noise(unnormalised, tmp_path, capsys):
    words = ["sample", unnormalised, "-n", 6, "--truncation", 0.3, "-o", tmp_path / "s.npz"]
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "component of z redrawn until it lies in [-0.3, 0.3] (Brock et al. 2019)" in said[0]
    model = Model.load(unnormalised)
    z = [truncated(z, 0.3) for z in noise(model.game, 6, 0)]
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        expected = generate(model.game, model.facts, z, 6)[:, 0]
        assert np.array_equal(file["images"], expected)
    assert not np.array_equal(model.sample(6)[:, 0], expected)


def test_of_many_samples_those_that_look_most_real_are_kept(classed, tmp_path, capsys):
    model = Model.load(classed)
    data, features = model.data(), features_named(features_for(model.data()))
    real = in_batches(features.network, data.train.images[:]).features

    def scores(images):
        return realism(real=real, fake=in_batches(features.network, images).features).numpy()

    def sampled(*more):
        words = ["sample", classed, "-n", 6, "--seed", 3, "-o", tmp_path / "s.npz", *more]
        assert main([str(word) for word in words]) == 0
        with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
            return file["images"][:, None]

    assert np.array_equal(sampled("--realism", 1), sampled())
    capsys.readouterr()
    kept = sampled("--realism", 0.1)
    assert "the 6 of 60 samples that look most real" in capsys.readouterr().out
    many = model.sample(60, seed=3)  # each class in turn
    for label in (0, 1):
        mine = many[label::2]
        best = np.sort(np.argsort(-scores(mine))[:3])
        assert np.array_equal(kept[label::2], mine[best])
    assert scores(kept).mean() > scores(many).mean()
    assert sampled("--realism", 0.5, "--class", "light").mean() > 150


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_pictures_with_opacity_are_compared_as_they_are_seen_on_white(mode, tmp_path):
    folder, out = tmp_path / "pictures", tmp_path / "run"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 24, 24, len(mode)), np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture, mode).save(folder / f"{i}.png")
    words = ["train", "pictures", "--data", folder, "--width", 2, "--steps", 2, "--out", out]
    assert main([str(word) for word in words]) == 0
    model, data = Model.load(out), open_dataset(folder, size=24)
    features, many = features_named(features_for(data)), model.sample(8)
    real, fake = (
        in_batches(features.network, over_white(images)).features
        for images in (data.train.images[:], many)
    )
    best = np.sort(np.argsort(-realism(real=real, fake=fake).numpy())[:2])
    assert np.array_equal(most_real(model, data, 2, 0.25), many[best])


@pytest.mark.parametrize(
    ("labels", "count", "said"),
    [
        (np.zeros(3, np.int64), 6, r"labels: \(3,\) for 6 samples: give \(6,\)"),
        (np.full(6, 2), 6, "whole numbers from 0 to 1"),
        (np.full((6, 2), 0.5), 6, r"give the class of each, \(6,\)"),
        (None, 0, "count is 0"),
    ],
)
def test_labels_of_the_most_real_are_those_of_sample(classed, labels, count, said):
    model = Model.load(classed)
    with pytest.raises(FrenemyError, match=said):
        most_real(model, model.data(), count, 0.5, labels=labels)


def test_a_class_has_its_own_neighbours_and_judgement(classed, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    more = squares(tmp_path / "more", 30)
    out = tmp_path / "n.png"
    words = ["neighbours", classed, "--data", more, "--class", "light", "-n", 5, "-o", out]
    assert main([str(word) for word in words]) == 0
    nearest = np.asarray(Image.open(out))[:64, -64:]
    assert nearest.min() >= 220  # of the light ones, whatever G draws
    out = tmp_path / "j.json"
    judge = [
        "judge",
        classed,
        "--against",
        more,
        "--samples",
        16,
        "--features",
        "pixels",
        "-o",
        out,
    ]
    words = [*judge, "--metrics", "kid", "--class", "dark"]
    assert main([str(word) for word in words]) == 0
    report = Report.load(out)
    assert "class dark" in report.against and "class dark" in report.protocol["reference"]
    assert not report.by_class
    assert main([str(word) for word in [*judge, "--metrics", "kid"]]) == 0
    assert set(Report.load(out).by_class) == {"dark", "light"}
    assert ">Per class</h2>" in out.with_suffix(".html").read_text("utf-8")
    assert "recognised, samples" in " ".join(capsys.readouterr().out.split())
    (more / "light").rename(more / "bright")  # other classes, but for one
    model = Model.load(classed)
    target = judging_runs.target_of(model, 4, 0, open_dataset(more), "dark")
    assert list(target.labels) == [0] * 4
    assert np.array_equal(target.images, model.sample(4, seed=0, labels=model.labels("dark", 4)))
    whole, alone = classed / "judge.json", classed / "judge-dark.json"
    assert main([str(word) for word in [*judge[:-2], "--metrics", "kid", "--class", "dark"]]) == 0
    assert alone.exists() and not whole.exists()


def test_transparent_pictures_are_drawn_and_judged_with_their_opacity(tmp_path, capsys):
    folder, run = tmp_path / "discs", tmp_path / "run"
    folder.mkdir()
    rows, columns = np.ogrid[-8:8, -8:8]
    for i in range(30):
        pixels = np.zeros((16, 16, 4), np.uint8)
        pixels[rows**2 + columns**2 < (3 + i % 5) ** 2] = (200, 8 * i, 30, 255)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    words = ["train", "--data", folder, "--out", run, "--width", 4, "--minibatch", 8]
    assert main([str(word) for word in [*words, "--steps", 4]]) == 0
    assert "colour with opacity" in capsys.readouterr().out
    assert Image.open(run / "samples" / "00000004.png").mode == "RGB"  # on a checker
    assert main(["sample", str(run), "-n", "2", "-o", str(tmp_path / "folder")]) == 0
    assert Image.open(tmp_path / "folder" / "000000.png").mode == "RGBA"
    for verb, *more in (
        ("neighbours", "-n", 5),
        ("judge", "--samples", 20, "--metrics", "kid", "--features", "random"),
        ("invert", folder / "3.png"),
        ("sample", "--upscale", 2),
    ):
        assert main([verb, str(run), *map(str, more)]) == 0
    assert "class" not in capsys.readouterr().err


@pytest.mark.parametrize("format", ["png", "webp", "npz"])
def test_samples_in_a_folder_are_of_the_format_that_is_asked_for(run, tmp_path, format):
    out = tmp_path / "folder"
    words = ["sample", run, "-n", 3, "--format", format, "-o", out]
    assert main([str(word) for word in words]) == 0
    names = sorted(path.name for path in out.iterdir())
    expected = Model.load(run).sample(3)[:, 0]
    if format == "npz":
        assert names == ["samples.npz"]
        with np.load(out / "samples.npz", allow_pickle=False) as file:
            assert np.array_equal(file["images"], expected)
    else:
        assert names == [f"{i:06d}.{format}" for i in range(3)]
        found = [np.asarray(Image.open(out / name).convert("L")) for name in names]
        assert np.array_equal(found, expected)  # lossless


def test_without_a_place_the_format_is_that_of_the_file_beside_the_run(run, capsys):
    assert main(["sample", str(run), "-n", "2", "--format", "npz"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(run / "sample.npz")]


def test_upscaled_samples_are_pillows(run, tmp_path):
    for out in ("up", "up.png"):
        words = ["sample", run, "-n", 2, "--upscale", 5, "-o", tmp_path / out]
        assert main([str(word) for word in words]) == 0
    sample = Image.fromarray(Model.load(run).sample(2)[1, 0])
    expected = np.asarray(sample.resize((40, 40), Image.Resampling.LANCZOS))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "up" / "000001.png")), expected)
    grid = np.asarray(Image.open(tmp_path / "up.png"))  # no larger than was asked for
    assert grid.shape == (40, 82) and np.array_equal(grid[:, 42:], expected)


def test_directions_are_rows_about_one_sample(run, tmp_path):
    out = tmp_path / "d.png"
    assert main(["directions", str(run), "-n", "3", "--seed", "4", "-o", str(out)]) == 0
    assert Image.open(out).size == (7 * 66 - 2, 3 * 66 - 2)
    pixels, sample = np.asarray(Image.open(out)), Model.load(run).sample(1, seed=4)[0, 0]
    for row in range(3):
        images = pixels[66 * row : 66 * row + 64 : 8]
        middle = images[:, 3 * 66 : 3 * 66 + 64 : 8].astype(int)
        assert np.abs(middle - sample.astype(int)).max() <= 1  # a product of more rows, as above
        assert (images[:, :64:8] != images[:, 6 * 66 :: 8]).any()


def test_an_inverted_sample_is_found_again(run, tmp_path, capsys):
    model = Model.load(run)
    sample = model.sample(1, seed=12)[0, 0]
    sought = tmp_path / "sought.png"
    Image.fromarray(sample.repeat(3, axis=0).repeat(3, axis=1)).save(sought)  # to be brought back
    places = [tmp_path / "pair.png", tmp_path / "found.npz"]
    assert main(["invert", str(run), str(sought), "-o", *map(str, places)]) == 0
    said = capsys.readouterr()
    *_, line, one, other = said.out.splitlines()
    assert [one, other] == [str(place) for place in places] and not said.err
    off, nearest = re.fullmatch(
        r"root mean square error (\S+) of 255 grey levels; of the nearest of 1,000 samples (\S+)",
        line,
    ).groups()
    read = model.picture(sought)[0]
    pair = shown_in(places[0], 2)[:, ::8, ::8]
    assert np.array_equal(pair[0], read)
    with np.load(places[1], allow_pickle=False) as file:
        assert file.files == ["z", "image"]
        assert np.array_equal(file["image"], pair[1])
        assert file["z"].shape == (model.game.prior.size,)
    rms = np.sqrt(((pair[1].astype(float) - pair[0]) ** 2).mean())
    assert float(off) == pytest.approx(rms, abs=0.05)  # printed with one decimal
    assert float(off) < float(nearest) / 4


def test_inversion_says_of_which_class_a_picture_is(classed, tmp_path, capsys):
    for name in ("dark", "light"):
        model = Model.load(classed)
        sample = model.sample(1, seed=2, labels=model.labels(name, 1))[0, 0]
        Image.fromarray(sample).save(tmp_path / "sought.png")
        capsys.readouterr()
        words = ["invert", classed, tmp_path / "sought.png", "-o", tmp_path / "f.npz"]
        assert main([str(word) for word in words]) == 0
        assert f"class {name}" in capsys.readouterr().out.splitlines()
        with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
            assert file["label"] == model.classes.index(name)


def test_neighbours_end_each_row_with_the_training_image_nearest_to_the_fifth(run, tmp_path):
    out = tmp_path / "neighbours.png"
    assert main(["neighbours", str(run), "-n", "13", "--seed", "2", "-o", str(out)]) == 0
    pixels = np.asarray(Image.open(out))
    rows, size, pitch = 2, 64, 66  # 13 samples fill two rows; 8x8 images are enlarged to 64
    assert pixels.shape == (rows * pitch - 2, 5 * pitch - 2 + 8 + size)
    assert (pixels[:, 5 * pitch - 2 : -size] == 128).all()  # the bar
    fake, train = Model.load(run).sample(13, seed=2), open_dataset(None).train.images
    for row in range(rows):
        part = pixels[row * pitch : row * pitch + size : 8, :]
        for column in range(5):
            shown = part[:, column * pitch : column * pitch + size : 8]
            assert (shown == fake[5 * row + column, 0]).all()
        squares = (train.astype(float) - fake[5 * row + 4]) ** 2
        nearest = squares.sum(axis=(1, 2, 3)).argmin()
        assert (part[:, -size::8] == train[nearest, 0]).all()


def test_neighbours_and_film_write_beside_the_run(run, capsys):
    for verb in ("neighbours", "film"):
        assert main([verb, str(run)]) == 0
    printed = capsys.readouterr().out
    assert "1,000 samples" in printed and "179 held-out test images" in printed
    assert Image.open(run / "neighbours.png").size == (5 * 66 - 2 + 8 + 64, 5 * 66 - 2)
    # frames that show the same are one, so compare how long they take: 8 a second, the last holds 2
    film = Image.open(run / "film.gif")
    lengths = []
    for frame in range(film.n_frames):
        film.seek(frame)
        lengths.append(film.info["duration"])
    samples = len(Run.open(run).samples())
    assert sum(lengths) == pytest.approx(
        125 * (samples - 1) + 2000, abs=10 * samples
    )  # GIF: 1/100 s


def test_a_strip_shows_the_frames_nearest_to_the_rounds_that_are_asked_for(run, tmp_path):
    out = tmp_path / "strip.png"
    assert main(["film", str(run), "--rounds", "0", "17", "999", "-o", str(out)]) == 0
    strip = np.asarray(Image.open(out).convert("L"))
    drawn = {int(path.stem): path for path in Run.open(run).samples()}
    frames = [np.asarray(Image.open(drawn[step])) for step in (0, 16, 60)]
    height, width = frames[0].shape
    gap = (strip.shape[1] - 3 * width) // 2
    for i, frame in enumerate(frames):  # pixel for pixel, below the labels
        left = i * (width + gap)
        assert np.array_equal(strip[-height:, left : left + width], frame)
    assert strip[:-height].min() < 50  # ink


def test_a_strip_in_svg_says_which_rounds_it_shows(run, tmp_path):
    out = tmp_path / "strip.svg"
    assert main(["film", str(run), "--rounds", "17", "-o", str(out)]) == 0
    assert ">round 16<" in out.read_text("utf-8") and "round 17" not in out.read_text("utf-8")
    assert main(["film", str(run), "-o", str(out)]) == 0
    assert len(re.findall(r">round [\d,]+<", out.read_text("utf-8"))) == 6


def test_a_film_of_some_rounds(run, tmp_path):
    out = tmp_path / "film.webp"
    assert main(["film", str(run), "--rounds", "0", "60", "-o", str(out)]) == 0
    first = np.asarray(Image.open(Run.open(run).samples()[0]))
    assert np.array_equal(np.asarray(Image.open(out).convert("L")), first)


class TestBadInput:
    def test_rounds_that_make_no_sense(self, capsys, run):
        assert "rounds is -1: give 0 or more" in errors(capsys, "film", run, "--rounds", -1)

    def test_realism_that_makes_no_sense(self, capsys, classed, unnormalised):
        for share in ("0", "1.5", "nan"):
            said = errors(capsys, "sample", classed, "--realism", share)
            assert "give a share above 0 and up to 1" in said
        said = errors(capsys, "sample", classed, "--realism", 1e-9)
        assert "of 64,000,000,000: at most 1,000,000 are drawn" in said
        assert "--data is for --realism" in errors(capsys, "sample", classed, "--data", "x")
        both = "sample", classed, "--realism", 0.5, "--truncation", 1
        assert "leave out one of the two" in errors(capsys, *both)

    def test_truncation_that_makes_no_sense(self, capsys, run, classed, unnormalised):
        assert "is uniform and has no tails" in errors(capsys, "sample", run, "--truncation", 1)
        assert "its pictures lose contrast" in errors(capsys, "sample", classed, "--truncation", 1)
        for t in (0, -1, "nan", "inf"):
            said = errors(capsys, "sample", unnormalised, "--truncation", t)
            assert "give a number above 0" in said

    def test_classes_that_are_not_there(self, capsys, run, classed):
        for verb in ("neighbours", "judge"):
            assert "is not class-conditional: leave out --class" in errors(
                capsys, verb, run, "--class", "3"
            )
            assert "did you mean dark?" in errors(capsys, verb, classed, "--class", "drak")

    def test_formats_and_sizes_that_make_no_sense(self, capsys, run, tmp_path):
        sample = ("sample", run, "-o", tmp_path / "a.png")
        assert "a.png is to be another" in errors(capsys, *sample, "--format", "webp")
        assert "upscale is 0: give 1 or more" in errors(capsys, *sample, "--upscale", 0)

    def test_walks_between_classes_that_are_not_there(self, capsys, run, classed):
        assert "is not class-conditional: leave out --class" in errors(
            capsys, "walk", run, "--class", "a", "b"
        )
        walk = ("walk", classed, "--class", "dark")
        assert "did you mean light?" in errors(capsys, *walk, "ligth")
        assert "name two by --class" in errors(capsys, *walk, "--one-z")

    @pytest.mark.parametrize("verb", ["sample", "walk", "directions", "neighbours", "judge"])
    def test_seeds_that_no_generator_takes(self, capsys, run, verb):
        said = errors(capsys, verb, run, "--seed", 2**64)
        assert said.endswith("seed is 18446744073709551616: give 18446744073709551615 or less")
        assert "give 0 or more" in errors(capsys, verb, run, "--seed", -1)

    def test_mixes_of_what_is_not_there(self, capsys, run, classed, tmp_path):
        mix = ("mix", run, "--seeds", 1)
        assert "seed is -2: give 0 or more" in errors(capsys, *mix, -2)
        assert "steps is 1: give 2 or more" in errors(capsys, *mix, 2, "--steps", 1)
        assert "is not class-conditional: leave out --class" in errors(
            capsys, *mix, 2, "--class", "a"
        )
        assert "unknown picture format" in errors(capsys, *mix, 2, "-o", tmp_path / "m.gift")
        mix = ("mix", classed, "--seeds", 1, 2)
        assert "did you mean dark?" in errors(capsys, *mix, "--class", "drak")
        assert "needs --class" in errors(capsys, *mix, "--to-class", "dark")

    def test_more_directions_than_z_has_numbers(self, capsys, run):
        assert "count is 1000: give" in errors(capsys, "directions", run, "-n", 1000)
        assert "n is 0: give 1 or more" in errors(capsys, "directions", run, "-n", 0)

    def test_pictures_to_invert_that_cannot_be_read(self, capsys, run, tmp_path):
        picture = tmp_path / "a.png"
        assert "a.png: No such file or directory" in errors(capsys, "invert", run, picture)
        Image.new("L", (8, 8), 200).save(picture)
        invert = ("invert", run, picture)
        assert "use .png, .jpg, .webp; or .npz" in errors(capsys, *invert, "-o", "a.avi")
        assert "is not class-conditional: leave out --class" in errors(
            capsys, *invert, "--class", "a"
        )
        assert "seed is -1: give 0" in errors(capsys, *invert, "--seed", -1)

    def test_too_few_samples_for_a_row_of_neighbours(self, capsys, run):
        assert "n is 3: give 5 or more" in errors(capsys, "neighbours", run, "-n", 3)

    def test_unknown_endings(self, capsys, run, tmp_path):
        line = errors(capsys, "sample", run, "-n", 10**14, "-o", tmp_path / "s.npy")  # at once
        assert "unknown picture format" in line and ".npz" in line
        film = errors(capsys, "film", run, "-o", tmp_path / "s.avi")
        assert "use .png, .jpg, .webp; or .svg, .gif, .mp4" in film

    @pytest.mark.parametrize(
        "verb",
        ["sample", "walk", "film", "health", "judge", "train --resume", "train digits2014 --init"],
    )
    @pytest.mark.parametrize("part", ["checkpoints", "checkpoints/00000000-0.safetensors"])
    def test_a_part_of_a_run_is_named_with_the_run(self, capsys, run, verb, part):
        told = errors(capsys, *verb.split(), run / part)
        assert told.endswith(f"{part} is only a part of a run: give the run: {run}")
