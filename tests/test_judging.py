"""The judge as a whole: which rows there are, what they are called, and what is doubted."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from frenemy import judging, recipes, resume, train
from frenemy.data import open_dataset
from frenemy.data.source import Dataset, Source
from frenemy.data.toy import stack
from frenemy.errors import FrenemyError
from frenemy.judge import ais, likelihoods
from frenemy.judge.classifier import Outputs
from frenemy.judge.estimate import Estimate
from frenemy.judge.features import Features, extract, of_module
from frenemy.judge.frechet import frechet
from frenemy.judge.metrics import METRICS
from frenemy.judge.modes import kl_floor
from frenemy.judge.named_features import default_features, features_named
from frenemy.judge.report import PUBLISHED, Line, Report
from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES
from frenemy.judging import Protocol, Target, judge
from frenemy.judging_runs import curves, target_of
from frenemy.model import Model
from frenemy.supervised import train_classifier

from .tiny import model_of


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("judged") / "run"
    train(recipes.digits2014, open_dataset(None), out=path, steps=10)
    return resume(path, steps=20)


@pytest.fixture(scope="module")
def judgement(digits):
    """Real validation digits, judged by everything."""
    target = Target("valid", np.asarray(digits.valid.images))
    return judge(target, digits, Protocol(metrics=["all"], features=["random"]))


def value(judgement, metric, column):
    (line,) = [x for x in judgement.report.lines if x.metric.startswith(metric)]
    return line.results[column].value


def test_all_metrics_but_slow_ones_are_measured_for_every_column(judgement):
    names = [line.metric for line in judgement.report.lines]
    assert names == [
        "fid-infinity179_random",
        "fid179_random",
        "kid179_random",
        "cmmd179_random",
        "precision179-k5_random",
        "recall179-k5_random",
        "density179-k5_random",
        "coverage179-k5_random",
        "two-sample179_random",
        "sharpness179_pixels",
        "sliced-wasserstein179_random",
        "fld179_random",
        "vendi179_random",
        "copying179_pixels",
        "feature-copying179_random",
        "data-copying179_random",
        "authpct179_random",
        "parzen179_default-grid",
        "parzen179_authors-grid",
    ]
    for line in judgement.report.lines:
        alone = line.metric.startswith(("copying", "feature-copying", "data-copying", "authpct"))
        noise = [] if alone else [NOISE]
        assert list(line.results) == [SAMPLES, HELD_OUT, *noise]
        for estimate in line.results.values():
            assert math.isfinite(estimate.value) and estimate.error >= 0


@pytest.mark.parametrize(
    "metric",
    [
        name
        for name, metric in METRICS.items()
        if metric.measure
        and metric.better
        and metric.noise
        and not metric.classes
        and name != "vendi"
    ],
)
def test_real_images_are_better_than_noise_by_every_metric(metric, digits):
    target = Target("valid", np.asarray(digits.valid.images))
    found = judge(target, digits, Protocol(metrics=[metric], features=["random"]))
    real, noise = (value(found, metric, name) for name in (SAMPLES, NOISE))
    assert real < noise if METRICS[metric].better == "lower" else real > noise


def test_held_out_images_are_as_good_as_other_real_images(judgement):
    for line in judgement.report.lines:
        if line.metric.startswith(("kid", "precision", "coverage", "copying")):
            real, held_out = line.results[SAMPLES], line.results[HELD_OUT]
            # four standard errors of the difference
            assert abs(real.value - held_out.value) < 4 * math.hypot(real.error, held_out.error)


def test_copies_that_only_features_know_again_are_told_at_the_top(digits):
    # sorted, the pixels of an image are those of any of its turns
    turned = Features("turned", lambda x: Outputs(x.flatten(1).sort(1).values), "")
    copies = np.rot90(digits.train.random(150, seed=3), axes=(2, 3))
    target = Target("turned copies", np.ascontiguousarray(copies))
    found = judge(target, digits, Protocol(metrics=["all"], features=[turned])).report
    results = {line.metric: line.results[SAMPLES] for line in found.lines}
    assert results["copying150_pixels"].note.startswith("no sign of copying")
    assert results["feature-copying150_turned"].value > 0.9
    assert found.verdict is not None
    assert found.verdict.word == "copied"


def test_the_parzen_row_for_held_out_images_is_that_of_training_images(judgement):
    (line,) = [x for x in judgement.report.lines if x.metric == "parzen179_default-grid"]
    assert line.results[HELD_OUT].note.startswith("training images as samples; nats, sigma")


def test_each_class_is_judged_by_itself(digits):
    valid = digits.valid
    how = Protocol(metrics=["kid"], features=["random"])
    true = judge(Target("valid", valid.images, labels=valid.labels), digits, how).report.by_class
    assert set(true) == set(digits.train.classes)
    told = np.where(valid.labels == 3, 8, np.where(valid.labels == 8, 3, valid.labels))
    report = judge(Target("valid", valid.images, labels=told), digits, how).report
    found = report.by_class
    assert set([*found][:2]) == {"3", "8"}  # the least recognised first
    for name, (recognised, kid) in found.items():
        assert kid.metric == f"kid{(told == int(name)).sum()}_random"
        held_out = recognised.results[HELD_OUT]
        assert held_out.value > 0.6 and held_out == true[name][0].results[HELD_OUT]
        if name in ("3", "8"):
            assert recognised.results[SAMPLES].value < 0.3
            off, right = (x[name][1].results[SAMPLES] for x in (found, true))
            assert off.value - right.value > 3 * off.error
        else:
            assert recognised == true[name][0]
    assert not judge(Target("valid", valid.images), digits, how).report.by_class


def test_samples_have_the_classes_of_the_training_images(digits):
    few = digits.train.take(np.flatnonzero(digits.train.labels < 2)[:40], "few")
    data = replace(digits, train=few)

    class Bright(torch.nn.Module):
        """Shows the class as brightness."""

        def __init__(self):
            super().__init__()
            self.levels = torch.nn.Parameter(torch.linspace(-1, 1, 10))

        def forward(self, z, y):
            return self.levels[y].view(-1, 1, 1, 1).expand(-1, 1, 8, 8)

    model = model_of(Bright(), 3, (1, 8, 8), digits.train.classes, conditions=lambda x, y: (y,))
    model.run.header["arguments"] = {}
    target = target_of(model, 80, 0, data)
    assert np.bincount(target.labels).tolist() == (2 * np.bincount(few.labels)).tolist()
    assert np.array_equal(target.images[:, 0, 0, 0] // 28, target.labels)
    assert target_of(model, 80, 0).labels is None


def test_the_images_of_one_class(digits):
    three = digits.of_class("3")
    for part, of in ((three.train, digits.train), (three.test, digits.test)):
        assert np.array_equal(part.images, of.images[of.labels == 3])
        assert part.digest != of.digest and "class 3" in part.name
    with pytest.raises(FrenemyError, match="no class '11'"):
        digits.of_class("11")
    lonely = replace(digits, test=digits.test.take(np.flatnonzero(digits.test.labels == 1), "t"))
    with pytest.raises(FrenemyError, match="t has no image of class 3: give more"):
        lonely.of_class("3")


def test_a_model_is_judged_and_its_report_kept(run, digits, tmp_path):
    target = target_of(Model.load(run.path), 200, seed=0)
    protocol = Protocol(metrics=["fid", "recall"], features=["random", "pixels"])
    found = judge(target, digits, protocol)
    assert [line.metric for line in found.report.lines] == [
        "fid200_random",
        "recall200-k5_random",
        "fid200_pixels",
        "recall200-k5_pixels",
    ]
    assert target.name == f"{run.path} (round 20)"
    path = found.report.save(tmp_path / "judge.json")
    assert Report.load(path) == found.report
    html = found.page()
    assert "fid200_" in html and "<svg" in html and "data:image/png" in html


def test_the_same_seed_gives_the_same_report(digits):
    target = Target("valid", np.asarray(digits.valid.images))
    how = Protocol(metrics=["kid", "two-sample"], features=["random"], samples=100)
    one, two, other = (judge(target, digits, replace(how, seed=seed)) for seed in (1, 1, 2))
    assert one.report == two.report
    assert one.report.lines != other.report.lines


def test_curves_over_checkpoints(run, digits):
    how = Protocol(metrics=["fid"], features=["random"], samples=100)
    models = {step: Model.load(run.path, step=step) for step in (10, 20)}
    reports = {
        step: judge(target_of(model, 100, seed=0), digits, how).report
        for step, model in models.items()
    }
    found = curves(models[20], digits, how, reports[20])
    assert found == curves(models[10], digits, how, reports[10])
    points = [
        (step, line.results[SAMPLES].value, line.results[SAMPLES].error)
        for step, report in reports.items()
        for line in report.lines
    ]
    assert found == {"fid100_random": points}


def test_the_checkpoint_that_was_judged_is_not_judged_again(run, digits):
    line = Line("fid100_random", "lower", {SAMPLES: Estimate(-1.0, 0.5)})
    judged = Report("run", "digits", {}, [SAMPLES], [line])
    how = Protocol(metrics=["fid"], features=["random"], samples=100)
    _, last = curves(Model.load(run.path), digits, how, judged)["fid100_random"]
    assert last == (20, -1.0, 0.5)


def test_a_classifier_of_the_same_images_is_the_default(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    assert default_features(digits) == ["random"]
    train_classifier(digits, "mine", rounds=30)
    assert default_features(digits) == ["classifier-mine"]
    target = Target("valid", np.asarray(digits.valid.images))
    metrics = ["is", "classes", "class-kl", "class-diversity"]
    found = judge(target, digits, Protocol(metrics=metrics))
    assert [line.metric for line in found.report.lines] == [
        f"{metric}179_classifier-mine" for metric in metrics
    ]
    assert value(found, "is", SAMPLES) > value(found, "is", NOISE)
    assert value(found, "classes", SAMPLES) == 10
    # ten classes of 179 images each against each: (10 - 1) / (2 179) from either side
    assert value(found, "class-kl", SAMPLES) < 3 * 2 * kl_floor(10, 179)
    assert value(found, "class-kl", NOISE) > 0.5


def test_stacked_digits_have_a_thousand_classes(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    train_classifier(digits, "mine", rounds=150)
    part = stack(digits.train, 2000)
    images = part.images[:]
    seen = extract(features_named("stacked-mine"), images)
    assert seen.features.shape == (2000, 3 * 128) and seen.logits.shape == (2000, 1000)
    right = (seen.logits.argmax(1).numpy() == part.labels).mean()
    assert right > 0.8  # of three digits, each of which is right more often than .93
    target = Target("one digit", images[:, :1].repeat(3, 1))
    protocol = Protocol(metrics=["classes", "class-kl"], features=["stacked-mine"])
    found = judge(target, Dataset(part, part, part, "stacks"), protocol)
    assert value(found, "classes", SAMPLES) < 30 < 800 < value(found, "classes", HELD_OUT)
    assert value(found, "class-kl", SAMPLES) > 4 > 1 > value(found, "class-kl", HELD_OUT)
    with pytest.raises(FrenemyError, match="images with 1 channels: needs three"):
        extract(features_named("stacked-mine"), digits.test.images)


def test_another_size_is_refused_with_the_remedy(digits):
    target = Target("big", np.zeros((20, 1, 16, 16), np.uint8))
    with pytest.raises(FrenemyError, match=r"big has images of 1x16x16 .* of 1x8x8: give --size"):
        judge(target, digits)


def test_grey_images_beside_colour_ones_are_refused_with_the_remedy(digits):
    target = Target("coloured", np.zeros((20, 3, 8, 8), np.uint8))
    with pytest.raises(FrenemyError, match=r"bring both to one mode first, as by --grey$"):
        judge(target, digits)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"metrics": ["fid", "recal"]}, "no metric 'recal': did you mean recall"),
        ({"features": ["random", "lenet"]}, "no features 'lenet': there are pixels"),
        ({"features": ["classifier-nothing"]}, "no classifier 'nothing'"),
        ({"samples": 0}, "samples is 0: give 1 or more"),
    ],
)
def test_a_protocol_of_unknown_names_is_refused_before_there_is_anything_to_judge(how, said):
    with pytest.raises(FrenemyError, match=said):
        Protocol(**how)


def warned(images, digits):
    protocol = Protocol(metrics=["fid", "kid"], features=["random"])
    found = judge(Target("x", images), digits, protocol)
    return found.report


def test_training_images_as_samples_are_doubted(digits):
    report = warned(digits.train.random(300, seed=0), digits)
    assert any(text.startswith("300 of 300 samples are, byte for") for text in report.warnings)


def test_one_image_over_and_over_is_doubted(digits):
    report = warned(np.full((50, 1, 8, 8), 99, np.uint8), digits)
    assert "all 50 samples are one and the same image" in report.warnings
    assert all(math.isfinite(line.results[SAMPLES].value) for line in report.lines)


def test_few_images_are_doubted_and_what_cannot_be_measured_is_said(digits):
    how = Protocol(metrics=["fid", "fid-infinity"], features=["random"])
    report = judge(Target("x", np.asarray(digits.valid.images[:4])), digits, how).report
    (fid,) = report.lines
    assert fid.metric == "fid4_random"
    assert "the value mostly bias" in fid.results[SAMPLES].note
    assert "fid-infinity: frechet_infinity: 4 in real: needs 32 or more" in report.warnings
    assert report.verdict.word == "too few images to say"


def test_images_of_which_nothing_can_be_measured_are_refused_with_the_reasons(digits):
    expected = "x: nothing could be measured: fid: frechet: 1 in real: needs 4 or more; kid: kid: 1"
    with pytest.raises(FrenemyError, match=expected):
        warned(np.asarray(digits.valid.images[:1]), digits)


def test_samples_are_measured_as_many_at_a_time_as_there_are_held_out_images(digits):
    images = digits.train.random(400, seed=0)
    how = Protocol(metrics=["fid", "kid", "parzen"], features=["random"])
    report = judge(Target("train", images), digits, how).report
    equal = "samples, 179 at a time"
    assert report.columns == [SAMPLES, equal, HELD_OUT, NOISE]
    fid, kid, *parzen = report.lines
    assert fid.metric == "fid400_random"
    assert fid.results[HELD_OUT].note.startswith("of 179 images")
    assert not fid.results[SAMPLES].note.startswith("of")
    reference = features_named("random").network
    real, *parts = (
        reference(torch.from_numpy(x).float() / 127.5 - 1).features
        for x in (digits.train.random(400, seed=0), images[:179], images[179:358])
    )
    values = [frechet(real=real, fake=part).value for part in parts]
    assert fid.results[equal].value == pytest.approx(np.mean(values), rel=1e-3)
    assert all(equal not in line.results for line in (kid, *parzen))  # of any count, and of test


def test_parzen_windows_are_measured_by_default_where_they_are_the_papers(digits, monkeypatch):
    target = Target("valid", np.asarray(digits.valid.images))
    assert "parzen" not in str(judge(target, digits, Protocol(features=["random"])).report.lines)
    monkeypatch.setattr(judging, "is_mnist_test", lambda images: True)
    found = judge(target, digits, Protocol(features=["random"])).report
    assert [line.metric for line in found.lines][-1] == "parzen179_authors-grid"


def test_the_reference_may_be_the_whole_training_part(digits):
    target = Target("valid", np.asarray(digits.valid.images))
    found = judge(target, digits, Protocol(["fid"], ["random"], reference="all"))
    assert np.array_equal(found.sets.reference, digits.train.images)
    assert found.report.protocol["reference"].startswith("all 1,439 images of digits train")


def test_real_images_are_found_good(judgement):
    assert judgement.report.verdict.word == "good"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda x: gaussian_filter(x.astype(float), (0, 0, 1, 1)).astype(np.uint8), "blurred"),
        (lambda x: np.random.default_rng(0).integers(0, 256, x.shape, np.uint8), "unlike"),
        (lambda x: x[:50], "too few"),
    ],
)
def test_the_verdict_has_the_word_for_what_is_wrong(make, word, digits):
    target = Target("x", make(np.asarray(digits.valid.images)))
    found = judge(target, digits, Protocol(features=["random"])).report
    assert found.verdict.word.startswith(word)


def test_kinds_that_are_missing_are_named_by_their_labels(digits):
    images, labels = digits.train.images[:], digits.train.labels
    data = replace(digits, train=Source(images[:700], labels[:700]))
    few = images[700:][labels[700:] < 5]
    found = judge(Target("few", few), data, Protocol(features=["random"]))
    assert found.report.verdict.word == "kinds missing"
    told = "Missing or far too rare: "
    (said,) = [text for text in found.report.verdict.said if text.startswith(told)]
    assert sorted(said.removeprefix(told).rstrip(".").split(", ")) == list("56789")
    assert "<svg" in found.page().partition("Classes</h2>")[2]


def test_what_health_found_stands_in_the_verdict(digits):
    target = Target("valid", np.asarray(digits.valid.images), ails="mode collapse since round 9.")
    found = judge(target, digits, Protocol(features=["random"])).report
    assert found.verdict.said[-1] == "During training: mode collapse since round 9."


def test_own_features_judge_too(digits):
    calls = []

    def net(x):
        calls.append(len(x))
        return x.flatten(1)

    target = Target("valid", np.asarray(digits.valid.images))
    protocol = Protocol(metrics=["fid", "vendi"], features=[of_module(net, "mine")])
    report = judge(target, digits, protocol).report
    assert [line.metric for line in report.lines] == ["fid179_mine", "vendi179_mine"]
    assert len(calls) == 4  # samples, held-out, noise and reference: each is seen once


def test_classes_that_were_asked_for_and_are_not_known_are_missed(digits):
    target = Target("valid", np.asarray(digits.valid.images))
    report = judge(target, digits, Protocol(metrics=["is", "fid"], features=["random"])).report
    assert "is: the features 'random' know no classes" in report.warnings
    with pytest.raises(FrenemyError, match="valid: nothing could be measured: is: the features"):
        judge(target, digits, Protocol(metrics=["is"], features=["random"]))


def test_a_page_is_made_of_what_so_few_images_allow(digits):
    target = Target("few", np.asarray(digits.valid.images[:4]))
    found = judge(target, digits, Protocol(metrics=["fid"], features=["random"]))
    assert "fid4_" in found.page()


def test_a_damaged_checkpoint_is_left_out_of_the_curves(digits, tmp_path):
    path = tmp_path / "run"
    train(recipes.digits2014, digits, out=path, steps=10)
    run = resume(path, steps=20)
    _newest, older = run.checkpoints()
    model = Model.load(run.path)
    older.write_bytes(older.read_bytes()[:100])
    protocol = Protocol(metrics=["fid"], features=["random"], samples=50)
    with pytest.warns(UserWarning, match="is left out"):
        found = curves(model, digits, protocol, Report("run", "digits", {}, [SAMPLES], []))
    assert found == {}


def test_ais_needs_a_model(digits):
    target = Target("x", np.asarray(digits.valid.images))
    with pytest.raises(FrenemyError, match="ais: x is not a frenemy model: only its images are"):
        judge(target, digits, Protocol(metrics=["ais"], features=["random"]))


def test_ais_of_a_model(run, digits, monkeypatch):
    few = ais.Effort(images=3, chains=2, temperatures=20, simulated=2)
    monkeypatch.setattr(ais, "default_effort", lambda device: few)
    choose = functools.partial(ais.choose_variance, candidates=(0.1,), chains=2, temperatures=5)
    monkeypatch.setattr(ais, "choose_variance", choose)
    target = target_of(Model.load(run.path), 10, seed=0)
    report = judge(target, digits, Protocol(metrics=["ais"], features=["random"])).report
    (line,) = report.lines
    assert line.metric == few.name == "ais3x2x20-quick"
    assert "simulated images; variance" in line.results[SAMPLES].note


def test_the_decoder_of_a_uniform_prior_takes_normal_z(run):
    model = Model.load(run.path)
    decoder, size = target_of(model, 2, seed=0).decoder
    u = torch.randn(5, size, generator=torch.Generator().manual_seed(0))
    # the normal distribution function maps u to [0, 1], which [-sqrt 3, sqrt 3] is for the prior
    z = (2 * torch.special.ndtr(u) - 1) * math.sqrt(3)
    expected = model.game.players["G"].best.eval()(z).flatten(1) / 2 + 0.5
    assert torch.allclose(decoder(u), expected, atol=1e-6)


def test_published_figures_have_a_column_of_their_own(monkeypatch):
    part = Source(np.random.default_rng(0).integers(0, 256, (30, 1, 28, 28), np.uint8))
    data, target = Dataset(part, part, part, "like MNIST"), Target("x", part.images)
    protocol = Protocol(metrics=["parzen"], features=["random"])
    assert judge(target, data, protocol).report.columns == [SAMPLES, HELD_OUT, NOISE]
    monkeypatch.setattr(likelihoods, "is_mnist_test", lambda images: True)
    monkeypatch.setattr(likelihoods, "PAPERS", len(part.images))
    assert judge(target, data, protocol).report.columns == [SAMPLES, HELD_OUT, NOISE, PUBLISHED]


def test_the_decoder_takes_z_to_where_the_weights_are(run, monkeypatch):
    class Elsewhere(torch.nn.Module):
        def forward(self, z):
            places.append(z.device)
            return torch.zeros(len(z), 1, 8, 8)

    places, model = [], Model.load(run.path)
    size, elsewhere = model.game.prior.size, torch.device("meta")  # which every machine has
    player = model.game.players["G"]
    player.net = player.average = Elsewhere()
    monkeypatch.setattr(type(model.game), "device", elsewhere)
    monkeypatch.setattr(model, "sample", lambda n, **_: np.zeros((n, 1, 8, 8), np.uint8))
    decoder, _ = target_of(model, 2, seed=0).decoder
    assert torch.equal(decoder(torch.zeros(5, size)), torch.full((5, 64), 0.5))
    assert places == [elsewhere]


class Counted(np.ndarray):
    """Images that say how many of them were taken, by `taken`, which slices and pairs share."""

    def __array_finalize__(self, source):
        self.taken = getattr(source, "taken", [])

    def __getitem__(self, which):
        found = super().__getitem__(which)
        if isinstance(which, np.ndarray):
            self.taken.append(len(found))
        return found.view(np.ndarray)


def counted(digits):
    """The digits, and how many training images are taken at a time."""
    images = np.array(digits.train.images).view(Counted)
    return replace(digits, train=replace(digits.train, images=images)), images.taken


def test_training_images_are_read_only_by_the_metric_that_needs_them(digits):
    target = Target("valid", np.asarray(digits.valid.images))
    data, taken = counted(digits)
    judge(target, data, Protocol(metrics=["fid"], features=["random"]))
    assert taken == [179]  # the reference
    data, taken = counted(digits)
    found = judge(target, data, Protocol(metrics=["copying"], features=["pixels"]))
    assert sum(taken) > len(data.train)
    assert np.array_equal(found.sets.train[:], digits.train.images)


def test_all_training_images_are_looked_at_and_some_of_validation(digits, monkeypatch):
    monkeypatch.setattr(judging, "VALIDATION_IMAGES", 100)
    target = Target("test", np.asarray(digits.test.images))
    how = Protocol(metrics=["copying"], features=["pixels"])
    sets = judge(target, digits, how).sets
    assert len(sets.train) == len(digits.train)
    assert len(sets.valid) == 100 < len(digits.valid)
    assert (np.diff(sets.valid.index) > 0).all() and sets.valid.index[-1] > 100  # from all over
    monkeypatch.setattr(judging, "VALIDATION_IMAGES", 500)
    whole = judge(target, digits, how).sets.valid
    assert np.array_equal(whole[:], digits.valid.images)  # in their order, for Parzen's first 1,000


def test_the_page_looks_for_the_neighbours_of_what_it_shows_and_once(digits, monkeypatch):
    asked, shown = [], []
    search, draw = judging.nearest, judging.neighbours_figure

    def nearest(*, queries, images):
        asked.append(len(queries))
        return search(queries=queries, images=images)

    def neighbours_figure(*, fake, train, index):
        shown.append((fake, train[index]))
        return draw(fake=fake, train=train, index=index)

    monkeypatch.setattr(judging, "nearest", nearest)
    monkeypatch.setattr(judging, "neighbours_figure", neighbours_figure)
    target = Target("copies", digits.train.random(60, seed=3))
    judge(target, digits, Protocol(metrics=["fid"], features=["random"])).page()
    assert asked == [25]
    ((fake, near),) = shown
    assert np.array_equal(near, fake)  # each training image is nearest to itself


def test_no_features_are_extracted_for_metrics_that_need_none(digits):
    unseen = Features("unseen", lambda x: pytest.fail("looked at"), "")
    target = Target("valid", np.asarray(digits.valid.images))
    found = judge(target, digits, Protocol(metrics=["parzen"], features=[unseen]))
    assert [line.metric for line in found.report.lines] == [
        "parzen179_default-grid",
        "parzen179_authors-grid",
    ]
    assert not any(key.startswith("features") for key in found.report.protocol)
    assert "data:image/png" in found.page()


def test_features_of_real_images_alone_are_cached_on_the_disk(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    seen = []

    def see(x):
        seen.append(len(x))
        return Outputs(x.flatten(1))

    protocol = Protocol(metrics=["fid", "data-copying"], features=[Features("mine", see, "digest")])
    first, second = (np.asarray(digits.valid.images[i::2]) for i in (0, 1))
    one = judge(Target("one", first), digits, protocol)
    # reference, held-out, training and validation images
    assert len(list((tmp_path / "features").iterdir())) == 4
    seen.clear()
    assert judge(Target("one", first), digits, protocol).report == one.report
    assert seen == [len(first)]  # the samples; what was found of noise is kept
    judge(Target("other", second[: len(first)]), digits, protocol)
    fewer = len(second) != len(first)  # then other random images are the reference
    assert len(list((tmp_path / "features").iterdir())) == 4 + 2 * fewer
