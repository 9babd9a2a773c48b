"""Features: by name, cached by content, the same however they are batched."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from frenemy.data import Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.judge.classifier import Card, Classifier, Outputs, pixels_digest, save_classifier
from frenemy.judge.features import (
    Features,
    RandomNetwork,
    classifier_path,
    classifiers_of,
    extract,
    features_named,
    in_batches,
    judging_device,
    of_module,
    pixels,
    random,
    require_features,
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


def test_batches_make_no_difference():
    x = images(23)
    whole = in_batches(random().network, x).features
    # kernels for other batch sizes may sum in another order: a few float32 roundings
    assert torch.allclose(
        in_batches(random().network, x, batch=7).features, whole, rtol=1e-5, atol=1e-6
    )


def test_features_have_their_own_batch(cache):
    for digest in ("", "digest"):
        see = Counting()
        extract(Features("f", see, digest, batch=3), images(7))
        assert see.calls == 3


@pytest.mark.parametrize(
    ("name", "chosen"), [("cpu", "cpu"), ("mps", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1")]
)
def test_only_nvidias_cards_are_judged_on(name, chosen):
    assert judging_device(torch.device(name)) == torch.device(chosen)
    assert judging_device(None) == torch.device("cpu")


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return Outputs(x.flatten(1), x.flatten(1)[:, :2])


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


def test_pixels_are_known_but_not_kept(cache):
    assert pixels().digest
    extract(pixels(), images(4))
    assert not cache.exists()


def test_a_module_is_asked_in_its_own_place_and_named_by_its_user(cache):
    found = of_module(nn.Sequential(nn.Flatten(), nn.Linear(144, 5)).eval(), "mine")
    assert found.name == "mine" and extract(found, images(4)).features.shape == (4, 5)
    plain = of_module(lambda x: x[:, :, ::2], "rows")
    assert extract(plain, images(4)).features.shape == (4, 72)


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
    for loader in ("load_classifier", "load_inception", "RandomNetwork"):
        monkeypatch.setattr(f"frenemy.judge.features.{loader}", lambda *_: pytest.fail("loaded"))
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
        UserWarning, match=r"left out: .*damaged.safetensors is no classifier"
    ) as told:
        assert classifiers_of(train) == ["classifier-good"]
    assert len(told) == 1


def save_onnx(path, weight, outside=""):
    """Writes x -> flatten(x) weight; `outside`: the file in which the weight is said to lie."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "location"], ["y"]),  # a name that proves nothing
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [numpy_helper.from_array(weight.astype(np.float32), "location")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    if not outside:
        onnx.save(model, path)
        return
    (path.parent / f"{path.name}.data").unlink(missing_ok=True)
    onnx.save(
        model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0
    )
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = outside
    path.write_bytes(model.SerializeToString())


def test_an_onnx_file_gives_features(tmp_path, cache):
    path = tmp_path / "random.onnx"
    save_onnx(path, np.eye(144))
    found = features_named(str(path))
    x = images(3)
    assert found.name == "onnx-random" and found.digest  # never taken for the features "random"
    expected = torch.from_numpy(x).flatten(1).float() / 127.5 - 1
    assert torch.allclose(extract(found, x).features, expected, atol=1e-6)
    with pytest.raises(FrenemyError, match=r"random.onnx fails on images \(1, 5, 5\)"):
        extract(found, images(3, size=5))
    path.write_bytes(b"no network")
    with pytest.raises(FrenemyError, match="cannot be read as an ONNX network"):
        features_named(str(path))


def test_onnx_weights_in_a_second_file_are_found_and_never_answered_from_the_cache(tmp_path, cache):
    path, x = tmp_path / "m.onnx", images(3)
    save_onnx(path, np.eye(144), outside="m.onnx.data")
    graph = path.read_bytes()
    first = features_named(str(path))
    before = extract(first, x).features
    assert first.digest == "" and not cache.exists()
    save_onnx(path, 2 * np.eye(144), outside="m.onnx.data")
    assert path.read_bytes() == graph  # the graph does not tell that the weights are others
    assert torch.allclose(extract(features_named(str(path)), x).features, 2 * before)


@pytest.mark.parametrize("outside", ["../m.onnx.data", "/m.onnx.data", "a/../../" + 60 * "long/"])
def test_onnx_weights_outside_the_folder_are_refused(outside, tmp_path, cache):
    path = tmp_path / "m.onnx"
    save_onnx(path, np.eye(144), outside=outside)
    with pytest.raises(FrenemyError, match=r"cannot be read as an ONNX network: .*[Ee]xternal"):
        features_named(str(path))
