"""Features of an ONNX file, as it is exported."""

import numpy as np
import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge.features import extract
from frenemy.judge.named_features import features_named
from frenemy.judge.onnx_features import of_onnx
from frenemy.judge.resize import fitted

from .noise import images


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
    path.write_bytes(b"no network")
    with pytest.raises(FrenemyError, match="cannot be read as an ONNX network"):
        features_named(str(path))


def test_onnx_weights_in_a_second_file_are_found_and_never_answered_from_the_cache(tmp_path, cache):
    path, x = tmp_path / "m.onnx", images(3)
    save_onnx(path, np.eye(144), outside="m.onnx.data")
    graph = path.read_bytes()
    first = features_named(str(path))
    before = extract(first, x).features
    assert first.digest == "" and not (cache / "features").exists()
    save_onnx(path, 2 * np.eye(144), outside="m.onnx.data")
    assert path.read_bytes() == graph  # the graph does not tell that the weights are others
    assert torch.allclose(extract(features_named(str(path)), x).features, 2 * before)


@pytest.mark.parametrize("outside", ["../m.onnx.data", "/m.onnx.data", "a/../../" + 60 * "long/"])
def test_onnx_weights_outside_the_folder_are_refused(outside, tmp_path, cache):
    path = tmp_path / "m.onnx"
    save_onnx(path, np.eye(144), outside=outside)
    with pytest.raises(FrenemyError, match=r"cannot be read as an ONNX network: .*[Ee]xternal"):
        features_named(str(path))


def save_seer(path, shape, kind="FLOAT", outputs=("last_hidden_state", "pooler_output"), more=()):
    """A network as exported: of each channel the pixels, (B, C, H W), and their mean, (B, C).

    Args:
        shape: of the input `pixel_values`, (B, C, H, W) or (B, H, W, 1 or 3).
        kind: type of its numbers.
        outputs: in this order.
        more: names of inputs beside it, numbers.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    number = getattr(TensorProto, kind)
    last = shape[1] not in (1, 3) and shape[3] in (1, 3)
    nodes = [
        helper.make_node("Transpose", ["pixel_values"], ["x"], perm=[0, 3, 1, 2])
        if last
        else helper.make_node("Identity", ["pixel_values"], ["x"]),
        helper.make_node("Reshape", ["x", "tokens"], ["last_hidden_state"]),
        helper.make_node("ReduceMean", ["x"], ["pooler_output"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["x"], ["maps"], axes=[2, 3], keepdims=1),
    ]
    ranks = {"last_hidden_state": 3, "pooler_output": 2, "maps": 4}
    named = {name: [f"{name}{i}" for i in range(rank)] for name, rank in ranks.items()}
    graph = helper.make_graph(
        nodes,
        "seer",
        [
            helper.make_tensor_value_info("pixel_values", number, list(shape)),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in more),
        ],
        [helper.make_tensor_value_info(name, number, named[name]) for name in outputs],
        [numpy_helper.from_array(np.array([0, 0, -1]), "tokens")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


POOLED = ("pooler_output", "last_hidden_state")


def means(x):
    """Mean of each channel's pixels in [0, 1]."""
    return torch.from_numpy(x).float().div(255).mean((2, 3))


@pytest.mark.parametrize(
    "shape",
    [("n", 3, "h", "w"), (1, 3, 12, 12), (4, 3, "h", "w"), ("n", 12, 12, 3), (2, 12, 12, 3)],
    ids=str,
)
@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE"])
def test_whatever_shape_and_type_a_file_states_is_given(shape, kind, tmp_path, cache):
    found = of_onnx(save_seer(tmp_path / "m.onnx", shape, kind, POOLED))
    x = images(7, 3)
    tolerance = 2e-3 if kind == "FLOAT16" else 1e-5  # of sums of 144 numbers in [-1, 1]
    expected = 2 * means(x) - 1
    torch.testing.assert_close(extract(found, x).features, expected, rtol=0, atol=tolerance)


def test_pixels_enter_less_the_mean_over_the_deviation(tmp_path, cache):
    path = save_seer(tmp_path / "m.onnx", ("n", 3, "h", "w"), outputs=POOLED)
    x, mean, std = images(5, 3), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    seen = extract(of_onnx(path, mean=mean, std=std), x).features
    torch.testing.assert_close(
        seen, (means(x) - torch.tensor(mean)) / torch.tensor(std), rtol=0, atol=1e-5
    )
    one = extract(of_onnx(path, mean=[0], std=[1]), x).features
    torch.testing.assert_close(one, means(x), rtol=0, atol=1e-6)


def test_images_are_brought_to_the_files_size_and_channels(tmp_path, cache):
    grey = images(3)
    small = save_seer(tmp_path / "small.onnx", ("n", 3, 8, 6), outputs=["last_hidden_state"])
    seen = [extract(of_onnx(small, output=f"last_hidden_state:{i}"), grey) for i in range(3)]
    x = torch.from_numpy(grey).float().div(127.5).sub(1)
    expected = fitted(x, 3, (8, 6)).flatten(2)
    for i in range(3):
        torch.testing.assert_close(seen[i].features, expected[:, i], rtol=0, atol=1e-6)
    one = save_seer(tmp_path / "grey.onnx", ("n", 1, 12, 12), outputs=POOLED)
    colour = images(3, 3)
    expected = (2 * means(colour) - 1).mean(1, keepdim=True)
    torch.testing.assert_close(extract(of_onnx(one), colour).features, expected, rtol=0, atol=1e-5)


def test_an_output_is_chosen_by_name_or_refused_with_what_there_is(tmp_path, cache):
    path = save_seer(
        tmp_path / "m.onnx", ("n", 3, 12, 12), outputs=["last_hidden_state", "maps", *POOLED[:1]]
    )
    x = images(4, 3)
    pooled, maps = (extract(of_onnx(path, output=name), x) for name in ("pooler_output", "maps"))
    assert torch.equal(pooled.features, maps.features)
    assert pooled.features.shape == (4, 3)
    first = extract(of_onnx(path, output="last_hidden_state:0"), x).features
    assert first.shape == (4, 144)
    there = (
        r"there are last_hidden_state \(last_hidden_state0, .*\), maps \(.*\), pooler_output \(.*\)"
    )
    with pytest.raises(FrenemyError, match=rf"has no output 'image_embeds': {there}"):
        of_onnx(path, output="image_embeds")
    with pytest.raises(FrenemyError, match=rf", 3, 144\): needs \(B, d\).*NAME:0.*{there}"):
        of_onnx(path)
    unknown = save_seer(tmp_path / "unknown.onnx", ("n", 3, "h", "w"))
    with pytest.raises(FrenemyError, match=r"\(4, 3, 144\): needs \(B, d\).*pooler_output"):
        extract(of_onnx(unknown), x)
    with pytest.raises(FrenemyError, match=r"came as \(4, 3, 144\): it has no token 7"):
        extract(of_onnx(path, output="last_hidden_state:7"), x)


def test_how_images_enter_is_part_of_digest_and_note(tmp_path, cache):
    path = save_seer(tmp_path / "m.onnx", ("n", 3, 8, 6), outputs=POOLED)
    ways = [{}, {"mean": [0.4]}, {"std": [0.25]}, {"output": "last_hidden_state:1"}]
    found = [of_onnx(path, **way) for way in ways]
    assert len({features.digest for features in found}) == len(ways)
    assert found[0].note == (
        "brought to 8x6 (antialiased bicubic); pixels in [0, 1] enter as (x - 0.5) / 0.5; "
        "output pooler_output"
    )
    assert found[3].note.endswith("output last_hidden_state, token 1")


@pytest.mark.parametrize(
    ("how", "options", "said"),
    [
        (
            {"more": ["input_ids"]},
            {},
            r"2 inputs \(pixel_values, input_ids\): needs one",
        ),
        ({"kind": "INT32"}, {}, r"pixel_values is tensor\(int32\) \(n, 3, 8, 8\): needs floats"),
        ({"shape": ("n", 5, 8, 8)}, {}, r"pixel_values is \(n, 5, 8, 8\): needs 1 or 3 channels"),
        ({}, {"mean": [0.1, 0.2]}, "--mean has 2 numbers: give 1 or 3"),
        ({}, {"std": [0.5, 0.0, 0.5]}, "--std 0.5 0.0 0.5: give numbers above 0"),
        ({"shape": ("n", 1, 8, 8)}, {"std": [1, 1, 1]}, "--std has 3 numbers: give 1"),
    ],
    ids=["two inputs", "integers", "channels", "mean", "zero", "grey"],
)
def test_what_no_image_can_enter_is_refused(how, options, said, tmp_path):
    path = save_seer(tmp_path / "m.onnx", **{"shape": ("n", 3, 8, 8), **how})
    with pytest.raises(FrenemyError, match=said):
        of_onnx(path, **options)
