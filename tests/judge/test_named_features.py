"""Features by name: which there are, and which classifiers belong to which images."""

from dataclasses import replace

import pytest
from PIL import Image

from frenemy.data import Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.judge.classifier import Card, Classifier, pixels_digest, save_classifier
from frenemy.judge.features import extract
from frenemy.judge.named_features import (
    classifier_path,
    classifiers_of,
    features_named,
    require_features,
)

from .noise import images


def test_unknown_names_are_refused_with_the_known(cache):
    for known in (features_named, require_features):
        with pytest.raises(FrenemyError, match="there are pixels, random"):
            known("lenet")
        with pytest.raises(FrenemyError, match=r"there is none yet.*--train-features"):
            known("classifier-nothing")
        with pytest.raises(FrenemyError, match=r"there is none yet.*--train-features"):
            known("stacked-nothing")
        with pytest.raises(FrenemyError, match=r"nowhere.onnx is not there"):
            known("nowhere.onnx")


def test_known_names_are_known_before_anything_is_loaded(cache, monkeypatch):
    keep("mine", Source(images(5)))
    for loader in ("load_classifier", "load_inception", "random", "lite0"):
        monkeypatch.setattr(
            f"frenemy.judge.named_features.{loader}", lambda *_: pytest.fail("loaded")
        )
    for name in ("pixels", "random", "inception", "inception-clean", "classifier-mine"):
        require_features(name)
    require_features("stacked-mine")


def test_a_classifier_refuses_images_with_other_channels(cache):
    card = Card("few", (1, 8, 8), ("a", "b"), "0" * 64, "1" * 64, ((1, 1), (1, 1)))
    save_classifier(Classifier(1, 2), card, classifier_path("few"))
    few = features_named("classifier-few")
    assert extract(few, images(2)).features.shape == (2, 128)
    with pytest.raises(FrenemyError, match="1 channels, these have 3"):
        extract(few, images(2, 3))
    with pytest.raises(FrenemyError, match="there are: classifier-few"):
        features_named("classifier-other")


def test_a_classifier_tells_what_it_does_to_images(cache):
    for name, size in (("small", 28), ("large", 48)):
        card = Card(name, (1, size, size), ("a", "b"), "0" * 64, "1" * 64, ((1, 1), (1, 1)))
        save_classifier(Classifier(1, 2), card, classifier_path(name))
    assert features_named("classifier-small").note == "trained on 28x28"
    large = "trained on 48x48, averaged down to 32x32 inside"
    assert features_named("classifier-large").note == large
    assert features_named("stacked-large").note == f"each colour channel seen by itself; {large}"


def keep(name, train):
    """A classifier as if trained on these images."""
    digest = pixels_digest(train.images)
    card = Card(name, train.shape, ("a", "b"), train.digest, digest, ((1, 1), (1, 1)))
    save_classifier(Classifier(train.shape[0], 2), card, classifier_path(name))


FITS = ("crop", "stretch")


def test_classifiers_are_found_by_what_they_were_trained_on(cache):
    small, wide = (Source(images(5, size=size), digest="d") for size in (8, 16))
    assert classifiers_of(small) == []
    keep("b", small)
    keep("a", small)
    keep("wide", wide)
    keep("other", replace(small, digest="e"))
    assert classifiers_of(small) == ["classifier-a", "classifier-b"]
    assert classifiers_of(wide) == ["classifier-wide"]
    assert classifiers_of(replace(small, images=images(5, channels=3, size=8))) == []


def test_the_same_files_prepared_otherwise_are_other_images(cache, tmp_path):
    folder = tmp_path / "wide"
    folder.mkdir()
    for i, image in enumerate(images(10, size=12)):
        Image.fromarray(image[0, 3:9]).save(folder / f"{i}.png")  # twice as wide as high
    cropped, stretched = (open_dataset(folder, size=6, fit=fit).train for fit in FITS)
    assert (cropped.digest, cropped.shape) == (stretched.digest, stretched.shape)
    keep("mine", stretched)
    assert classifiers_of(cropped) == []
    assert classifiers_of(stretched) == ["classifier-mine"]
    assert classifiers_of(open_dataset(folder, size=6, fit="stretch", grey=True).train) == [
        "classifier-mine"  # they were grey before: these are the same pixels
    ]


def test_which_classifiers_there_are_is_told_by_their_cards_alone(cache, monkeypatch):
    train = Source(images(5), digest="d")
    keep("mine", train)
    weights = "frenemy.judge.classifier.Classifier"
    monkeypatch.setattr(weights, lambda *_: pytest.fail("its weights were read"))
    assert classifiers_of(train) == ["classifier-mine"]


def test_a_damaged_classifier_stops_no_other(cache):
    train = Source(images(5), digest="d")
    keep("good", train)
    classifier_path("damaged").write_bytes(b"\x00" * 100)
    classifier_path("good").with_name("no name.safetensors").write_bytes(b"")
    with pytest.warns(
        UserWarning, match=r"left out: .*damaged.safetensors is not a frenemy classifier"
    ) as told:
        assert classifiers_of(train) == ["classifier-good"]
    assert len(told) == 1
