"""The judge's classifier: what it learns, how it is kept, and which files it refuses."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from frenemy.data import open_dataset
from frenemy.data.source import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.judge.classifier import (
    KIND,
    Card,
    Classifier,
    augmented,
    load_classifier,
    read_card,
    save_classifier,
)
from frenemy.judge.features import extract
from frenemy.judge.named_features import classifier, classifier_path
from frenemy.supervised import confusion, train_classifier

CARD = Card("few", (1, 8, 8), ("a", "b"), "0" * 64, "1" * 64, ((3, 2), (1, 4)))
CARD_OF_COLOURS = replace(CARD, shape=(3, 8, 8))
CARD_OF_FEW_SIZES, *CARDS_OF_NO_CONFUSION = (
    json.dumps({"kind": KIND, **asdict(CARD), **change})
    for change in (
        {"shape": [1, 8]},
        {"confusion": [[1, 2]]},
        {"confusion": [[1, 2], [3]]},
        {"confusion": [[0, 0], [0, 0]]},
        {"confusion": 3},
    )
)


def contiguous(net):
    """Its weights, as files of safetensors want them."""
    return {key: value.contiguous() for key, value in net.state_dict().items()}


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


@pytest.fixture(scope="module")
def trained(digits):
    return train_classifier(digits, "digits", rounds=300)


def test_it_learns_the_embedded_digits(trained, digits):
    path, card = trained
    net, _ = load_classifier(path)
    # scikit-learn's own example reaches .97 on half of these digits with a support vector machine
    assert card.accuracy > 0.96 and card.tested == len(digits.test)
    table = confusion(net, digits.test)
    assert [list(row) for row in load_classifier(path)[1].confusion] == table.tolist()
    assert table.sum(1).tolist() == np.bincount(digits.test.labels).tolist()
    assert card.accuracy == pytest.approx((table.trace() / table.sum()).item(), rel=1e-6)  # float32
    assert card.classes == tuple("0123456789") and card.data == digits.train.digest


def test_it_is_found_by_its_name(trained, digits):
    assert trained[0] == classifier_path("digits")
    seen = extract(classifier("digits"), digits.test.images)
    assert seen.features.shape == (179, 128) and seen.logits is not None
    assert seen.logits.shape == (179, 10)


def test_its_features_have_unit_variance(trained, digits):
    seen = extract(classifier("digits"), digits.train.images)
    # in the mean over the features; float32 sums of 1,439 numbers
    assert seen.features.var(0).mean().item() == pytest.approx(1, rel=1e-5)


def test_the_same_seed_gives_the_same_weights(digits, tmp_path, monkeypatch):
    nets = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / folder))
        data = Dataset(digits.train, digits.valid, digits.test, "", {})
        torch.manual_seed(len(nets))  # what others draw is no matter
        path, _ = train_classifier(data, "digits", rounds=3, seed=seed)
        nets.append(load_classifier(path)[0].state_dict())
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    assert not torch.equal(nets[0]["hidden.weight"], nets[2]["hidden.weight"])


def test_progress_is_told(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    told = []
    train_classifier(digits, "digits", rounds=4, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_training_leaves_the_global_generator_alone(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_classifier(digits, "digits", rounds=2)
    assert torch.equal(torch.rand(3), expected)


def blank(classes):
    images = np.zeros((10, 1, 8, 8), np.uint8)
    labels = None if not classes else np.arange(10) % classes
    part = Source(images, labels, "blank", "d", tuple("ab"[:classes]))
    return Dataset(part, part, part, "blank")


@pytest.mark.parametrize(("classes", "said"), [(0, "no classes"), (1, "1 classes")])
def test_a_set_without_two_classes_is_refused(classes, said):
    with pytest.raises(FrenemyError, match=said):
        train_classifier(blank(classes), "blank")


def parts_of(digits, *counts):
    """The first images of each part."""
    cut = [
        part.take(slice(count), part.name)
        for part, count in zip((digits.train, digits.valid, digits.test), counts, strict=True)
    ]
    return Dataset(*cut, "few digits")


def refuse_training(*_):
    raise AssertionError("it was trained")


@pytest.mark.parametrize("counts", [(9, 10, 10), (16, 2, 2), (100, 10, 9), (1, 1, 1)])
def test_sets_too_small_to_mean_anything_are_refused_before_training(counts, digits, monkeypatch):
    monkeypatch.setattr("frenemy.supervised.Classifier", refuse_training)
    train, _, test = counts
    said = rf"train has {train} images, .*test {test}: a classifier needs 10 or more in each: .*100"
    with pytest.raises(FrenemyError, match=said):
        train_classifier(parts_of(digits, *counts), "few")
    assert not classifier_path("few").exists()


def test_training_images_of_one_class_are_refused_before_training(digits, monkeypatch):
    monkeypatch.setattr("frenemy.supervised.Classifier", refuse_training)
    data = blank(2)
    same = replace(data.train, labels=np.ones(10, np.int64), name="blank train")
    with pytest.raises(FrenemyError, match="all 10 images of blank train are of one class"):
        train_classifier(replace(data, train=same), "one")


def test_the_smallest_set_gives_finite_numbers(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    data = parts_of(digits, 10, 1, 10)  # one image to choose on, of which there is no variance
    path, _ = train_classifier(data, "few", rounds=3)
    net, _ = load_classifier(path)
    assert all(value.isfinite().all() for value in net.state_dict().values())
    features = extract(classifier("few"), data.train.images).features
    assert features.var(0).mean().item() == pytest.approx(1, rel=1e-5)


def test_features_that_tell_no_image_from_another_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    with pytest.raises(FrenemyError, match=r"deviation (0|\S+e-\d+) over 10 images"):
        train_classifier(blank(2), "blank", rounds=2)
    assert not classifier_path("blank").exists()


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (torch.ones(1, 128), "1 in features: needs 2"),
        (torch.ones(5, 128), "deviation 0 over 5"),
        (torch.full((5, 128), float("nan")), "not finite"),
    ],
)
def test_the_scale_is_never_divided_by_nothing(features, said):
    net = Classifier(1, 2)
    with pytest.raises(FrenemyError, match=said):
        net.standardise(features)
    assert net.scale == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_neither_saved_nor_loaded(number, tmp_path):
    net, path = Classifier(1, 2), tmp_path / "x.safetensors"
    net.scale.fill_(number)
    with pytest.raises(FrenemyError, match="classifier 'few' is not saved: scale is not finite"):
        save_classifier(net, CARD, path)
    assert not path.exists()
    about = json.dumps({"kind": KIND, **asdict(CARD)})
    save_file(contiguous(net), path, {"frenemy": about})  # as a version before this one did
    with pytest.raises(FrenemyError, match="is not a frenemy classifier: scale is not finite"):
        load_classifier(path)


def test_a_name_that_is_taken_is_refused_with_the_remedy(trained, digits):
    path, _ = trained
    before = path.read_bytes()
    for data in (blank(2), digits):
        with pytest.raises(FrenemyError, match=rf"another --name, or delete {path} first$"):
            train_classifier(data, "digits", rounds=1, seed=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_names_stay_in_their_folder(name):
    with pytest.raises(FrenemyError, match="is not a name for features"):
        classifier_path(name)


def test_save_and_load(tmp_path):
    net = Classifier(1, 2).eval()
    path = save_classifier(net, CARD, tmp_path / "new" / "few.safetensors")
    again, card = load_classifier(path)
    assert card == CARD == read_card(path) and not again.training
    assert (card.tested, card.accuracy) == (10, 0.7)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(again(x).features, net(x).features)


def test_loading_draws_no_random_numbers_and_keeps_the_faster_layout(tmp_path):
    path = save_classifier(Classifier(3, 2), CARD_OF_COLOURS, tmp_path / "few.safetensors")
    before = torch.get_rng_state()
    net, _ = load_classifier(path)
    assert torch.equal(torch.get_rng_state(), before)
    weights = [convolution.weight for convolution in net.convolutions]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(FrenemyError, match="is not there"):
        load_classifier(path)
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(FrenemyError, match="is not a frenemy classifier"):
        load_classifier(path)
    save_classifier(Classifier(1, 3), CARD, path)  # three classes of weights, two names
    with pytest.raises(FrenemyError, match="is not a frenemy classifier"):
        load_classifier(path)


@pytest.mark.parametrize(
    "about",
    [
        *("[]", "3", json.dumps({"kind": KIND}), '"classifier"', "no json"),
        *(CARD_OF_FEW_SIZES, *CARDS_OF_NO_CONFUSION),
    ],
)
def test_files_with_another_card_are_refused(about, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(contiguous(Classifier(1, 2)), path, {"frenemy": about})
    with pytest.raises(FrenemyError, match="is not a frenemy classifier"):
        load_classifier(path)


def test_a_classifier_that_saw_otherwise_is_refused(tmp_path):
    path, weights = tmp_path / "x.safetensors", contiguous(Classifier(1, 2))
    save_file(weights, path, {"frenemy": json.dumps({"kind": KIND, **asdict(CARD)})})
    load_classifier(path)
    save_file(weights, path, {"frenemy": json.dumps({"kind": "classifier", **asdict(CARD)})})
    with pytest.raises(FrenemyError, match="another version: train it again"):
        load_classifier(path)


@pytest.mark.parametrize("size", [1, 8, 28, 32, 64])
def test_images_of_any_size_go_in(size):
    seen = Classifier(3, 5).eval()(torch.rand(2, 3, size, size))
    assert seen.features.shape == (2, 128) and seen.logits.shape == (2, 5)


def test_augmentation_keeps_the_image_recognisable():
    torch.manual_seed(0)
    x = torch.zeros(50, 1, 28, 28)
    x[:, :, 10:18, 12:16] = 1
    y = augmented(x, flip=False)
    assert y.shape == x.shape and not torch.equal(y, x)
    # area scales by at most 1 / 0.9^2 and 1 / 1.1^2; nothing of the bar leaves the image
    ratio = y.sum((1, 2, 3)) / x.sum((1, 2, 3))
    assert ratio.min() > 0.8 and ratio.max() < 1.26


def test_only_flips_mirror():
    torch.manual_seed(0)
    x = torch.zeros(64, 1, 16, 16)
    x[..., :4] = 1  # ink on the left
    mirrored = augmented(x, flip=True)
    on_right = mirrored[..., 8:].sum((1, 2, 3)) > mirrored[..., :8].sum((1, 2, 3))
    assert 16 < on_right.sum() < 48  # binomial(64, 1/2): four deviations
    plain = augmented(x, flip=False)
    assert (plain[..., :8].sum((1, 2, 3)) > plain[..., 8:].sum((1, 2, 3))).all()
