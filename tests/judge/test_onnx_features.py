"""Features of an ONNX file, as it is exported."""

import numpy as np
import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge.features import extract
from frenemy.judge.named_features import features_named


def images(count, channels=1, size=12, seed=0):
    shape = (count, channels, size, size)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    return tmp_path / "features"


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
