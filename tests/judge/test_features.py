"""Features: cached by content, the same however they are batched."""

import pytest
import torch
from torch import nn

from frenemy.judge.classifier import Outputs
from frenemy.judge.features import (
    Features,
    RandomNetwork,
    extract,
    in_batches,
    judging_device,
    of_module,
    pixels,
    random,
    weights_digest,
)

from .noise import images


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
    assert not (cache / "features").exists()


def test_pixels_are_known_but_not_kept(cache):
    assert pixels().digest
    extract(pixels(), images(4))
    assert not (cache / "features").exists()


def test_a_module_is_asked_in_its_own_place_and_named_by_its_user(cache):
    found = of_module(nn.Sequential(nn.Flatten(), nn.Linear(144, 5)).eval(), "mine")
    assert found.name == "mine" and extract(found, images(4)).features.shape == (4, 5)
    plain = of_module(lambda x: x[:, :, ::2], "rows")
    assert extract(plain, images(4)).features.shape == (4, 72)


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_entry_is_made_again(cache, how):
    see = Counting()
    features = Features("f", see, "digest")
    expected = extract(features, images(4))
    (entry,) = (cache / "features").iterdir()
    data = entry.read_bytes()
    entry.write_bytes(data[:20] if how == "cut" else data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    with pytest.warns(UserWarning, match="damaged"):
        assert torch.equal(extract(features, images(4)).features, expected.features)
    assert torch.equal(extract(features, images(4)).features, expected.features)
    assert see.calls == 2


def test_the_digest_changes_with_any_weight():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = weights_digest(net)
    net[1].running_mean[0] += 1
    assert weights_digest(net) != before
