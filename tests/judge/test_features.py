"""Features: by name, cached by content, the same however they are batched."""

import numpy as np
import pytest
import torch
from torch import nn

from frenemy.errors import FrenemyError
from frenemy.judge import features as module
from frenemy.judge.classifier import Card, Classifier, Seen, save_classifier
from frenemy.judge.features import (
    Features,
    RandomNetwork,
    classifier_path,
    extract,
    features_named,
    in_batches,
    of_module,
    pixels,
    random,
    weights_digest,
)


def images(count, channels=1, size=12, seed=0):
    shape = (count, channels, size, size)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    return tmp_path / "features"


def test_pixels_are_the_pixels_in_unit_range(cache):
    x = images(5)
    seen = extract(pixels(), x)
    # float32: 127.5 is exact, one rounding in each of three steps
    assert torch.allclose(seen.features, torch.from_numpy(x).flatten(1) / 255, atol=1e-6)
    assert seen.logits is None


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 8), (1, 28), (3, 48), (3, 100)])
def test_random_features_take_any_image(channels, size, cache):
    seen = extract(random(), images(3, channels, size))
    assert seen.features.shape == (3, 384)
    assert seen.features.std(0).min() > 0  # every one of them tells images apart


def test_random_features_are_always_the_same():
    torch.manual_seed(1)
    one = weights_digest(RandomNetwork())
    torch.manual_seed(2)
    assert weights_digest(RandomNetwork()) == one


def test_grey_is_seen_as_its_three_equal_channels():
    x = torch.rand(2, 1, 16, 16)
    net = RandomNetwork()
    assert torch.equal(net(x).features, net(x.expand(-1, 3, -1, -1)).features)


def test_batches_make_no_difference(monkeypatch):
    x = images(23)
    whole = in_batches(random().see, x).features
    monkeypatch.setattr(module, "BATCH", 7)
    # kernels for other batch sizes may sum in another order: a few float32 roundings
    assert torch.allclose(in_batches(random().see, x).features, whole, rtol=1e-5, atol=1e-6)


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return Seen(x.flatten(1), x.flatten(1)[:, :2])


def test_the_cache_answers_the_second_time(cache):
    see = Counting()
    features = Features("f", see, "digest")
    first, second = extract(features, images(4)), extract(features, images(4))
    assert see.calls == 1
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.logits, second.logits)


def test_nothing_else_is_answered_from_the_cache(cache):
    see = Counting()
    extract(Features("f", see, "one"), images(4))
    extract(Features("f", see, "one"), images(4, seed=1))  # other images
    extract(Features("f", see, "one"), images(4).reshape(4, 1, 6, 24))  # other shape, same bytes
    extract(Features("f", see, "two"), images(4))  # other weights
    assert see.calls == 4


def test_features_without_a_digest_are_never_cached(cache):
    net = nn.Flatten()
    assert extract(of_module(net, "mine"), images(4)).features.shape == (4, 144)
    assert not cache.exists()


def test_a_damaged_entry_is_made_again(cache):
    see = Counting()
    features = Features("f", see, "digest")
    expected = extract(features, images(4))
    (entry,) = cache.iterdir()
    entry.write_bytes(entry.read_bytes()[:20])
    with pytest.warns(UserWarning, match="damaged"):
        assert torch.equal(extract(features, images(4)).features, expected.features)
    assert torch.equal(extract(features, images(4)).features, expected.features)
    assert see.calls == 2


def test_the_digest_changes_with_any_weight():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = weights_digest(net)
    net[1].running_mean[0] += 1
    assert weights_digest(net) != before


def test_unknown_names_are_refused_with_the_known(cache):
    with pytest.raises(FrenemyError, match="there are pixels, random"):
        features_named("lenet")
    with pytest.raises(FrenemyError, match=r"there is none yet.*--train-features"):
        features_named("classifier-nothing")


def test_a_classifier_refuses_images_with_other_channels(cache):
    card = Card("few", (1, 8, 8), ("a", "b"), "0" * 64, 0.5, 10)
    save_classifier(Classifier(1, 2), card, classifier_path("few"))
    few = features_named("classifier-few")
    assert extract(few, images(2)).features.shape == (2, 128)
    with pytest.raises(FrenemyError, match="1 channels, these have 3"):
        extract(few, images(2, 3))
    with pytest.raises(FrenemyError, match="there are: classifier-few"):
        features_named("classifier-other")


def test_an_onnx_file_gives_features(tmp_path, cache):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    shape = ["n", 1, 12, 12]
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"])],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 144])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path = tmp_path / "flat.onnx"
    onnx.save(model, path)
    found = features_named(str(path))
    x = images(3)
    assert found.name == "flat"
    expected = torch.from_numpy(x).flatten(1).float() / 127.5 - 1
    assert torch.allclose(extract(found, x).features, expected, atol=1e-6)
    with pytest.raises(FrenemyError, match=r"flat.onnx fails on images \(1, 5, 5\)"):
        extract(found, images(3, size=5))
    path.write_bytes(b"no network")
    with pytest.raises(FrenemyError, match="cannot be read as an ONNX network"):
        features_named(str(path))
