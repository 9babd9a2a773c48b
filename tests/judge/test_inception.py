"""Inception against an independent implementation, with random weights; its file and fetching."""

import contextlib
import hashlib
import http.server
import itertools
import pickle
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge import inception as module
from frenemy.judge.inception import Inception, load_inception, weights_path
from frenemy.judge.resize import resized

from . import inception_reference as reference


def images(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def weights():
    return reference.random_weights()


@pytest.fixture(scope="module")
def model(weights):
    with torch.device("meta"):
        result = Inception()
    result.load_state_dict(dict(weights), assign=True)
    return result


# The network


def test_keys_and_shapes_are_those_of_the_published_file():
    with torch.device("meta"):
        found = {key: tuple(value.shape) for key, value in Inception().state_dict().items()}
    counts = {key for key in found if key.endswith("num_batches_tracked")}
    assert len(counts) == 94  # convolutions
    assert {key: found[key] for key in found.keys() - counts} == reference.shapes()


def test_there_are_as_many_parameters_as_published():
    with torch.device("meta"):
        model = Inception()
    parameters = sum(x.numel() for x in model.parameters())
    # torchvision's network without its auxiliary head has 23,834,568, for 1000 classes
    assert parameters == 23_834_568 + 8 * 2049 == 23_850_960
    # Keras's has 23,851,784: also for 1000 classes, and means and variances but no factors in its
    # normalisation, so that each channel counts once more
    channels = sum(x.numel() for key, x in model.named_buffers() if key.endswith("running_mean"))
    assert channels == 23_851_784 - 23_834_568
    # in float32 they leave 87 kB of the published file for names: 472 arrays, 184 bytes each
    room = module.BYTES - 4 * (parameters + 2 * channels)
    assert room == 86_791


@pytest.fixture(scope="module")
def layers(model, weights):
    """What each part gives for an image here and in the reference, in float64."""
    found = {}
    model.double()
    hooks = [
        part.register_forward_hook(lambda _, __, x, name=name: found.update({name: x}))
        for name, part in model.named_children()
        if name != "fc"
    ]
    x = images(1, 3, 64, 48)
    found["features"], found["logits"] = model(x)
    for hook in hooks:
        hook.remove()
    model.float()
    pixels = (resized(x, "original").double() - 128) / 128
    double = {key: value.double() for key, value in weights.items()}
    return found, reference.activations(double, pixels)


PARTS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"),
    *("Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "features", "logits"),
)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_the_references(part, layers):
    found, expected = layers
    # float64, 1e-16, in sums of up to 4,032 products, 47 layers deep; measured: 1e-15
    scale = expected[part].abs().max().item()
    assert scale > 0.1
    torch.testing.assert_close(found[part], expected[part], rtol=0, atol=1e-13 * scale)


def test_no_part_was_forgotten(layers):
    assert set(layers[0]) == set(layers[1]) == set(PARTS)


def test_maps_have_the_sizes_of_the_paper(layers):
    sizes = {name: tuple(x.shape[1:]) for name, x in layers[0].items()}
    assert sizes == {
        "Conv2d_1a_3x3": (32, 149, 149),
        "Conv2d_2a_3x3": (32, 147, 147),
        "Conv2d_2b_3x3": (64, 147, 147),
        "Conv2d_3b_1x1": (80, 73, 73),
        "Conv2d_4a_3x3": (192, 71, 71),
        "Mixed_5b": (256, 35, 35),
        "Mixed_5c": (288, 35, 35),
        "Mixed_5d": (288, 35, 35),
        "Mixed_6a": (768, 17, 17),
        "Mixed_6b": (768, 17, 17),
        "Mixed_6c": (768, 17, 17),
        "Mixed_6d": (768, 17, 17),
        "Mixed_6e": (768, 17, 17),
        "Mixed_7a": (1280, 8, 8),
        "Mixed_7b": (2048, 8, 8),
        "Mixed_7c": (2048, 8, 8),
        "features": (2048,),
        "logits": (1008,),
    }


def test_features_in_float32_are_the_float64_references_to_five_digits(model, layers):
    features, logits = model(images(1, 3, 64, 48))
    assert features.dtype == logits.dtype == torch.float32
    for found, part in ((features, "features"), (logits, "logits")):
        expected = layers[1][part]
        # float32, 6e-8, in sums of up to 4,032 products, 47 layers deep; measured: 3e-7
        error = (found - expected).norm() / expected.norm()
        assert error < 5e-6


@pytest.mark.parametrize(
    ("block", "inputs", "width"),
    [("Mixed_5b", 192, 32), ("Mixed_6e", 768, 192), ("Mixed_7b", 1280, 192)],
)
def test_average_pools_leave_the_padding_out(block, inputs, width, model):
    x = torch.ones(1, inputs, 5, 5)
    constant = model.get_submodule(block)(x)[0, -width:]
    torch.testing.assert_close(constant, constant[:, :1, :1].expand_as(constant))
    assert constant.std() > 0.1  # over channels


def test_the_last_pool_takes_the_maximum(model):
    x = torch.zeros(1, 2048, 5, 5)
    x[..., 2, 2] = 1
    found = model.Mixed_7c(x)[0, -192:]
    everywhere = model.Mixed_7c(torch.ones_like(x))[0, -192:]
    nowhere = model.Mixed_7c(torch.zeros_like(x))[0, -192:]
    torch.testing.assert_close(found[:, 1:4, 1:4], everywhere[:, 1:4, 1:4])
    torch.testing.assert_close(found[:, 0], nowhere[:, 0])


def test_pixels_enter_as_the_graph_scales_them(model):
    seen = []
    hook = model.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    model(torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1))
    hook.remove()
    assert seen[0].shape == (1, 3, 299, 299)
    assert torch.equal(seen[0][0, :, 7, 9], torch.tensor([-1, 0, 127 / 128]))


def test_logits_have_no_bias(model):
    features, logits = model(images(1, 3, 20, 20))
    assert model.fc.bias.abs().max() > 0.1
    expected = features.double() @ model.fc.weight.double().T
    # float32 sums of 2048 products
    torch.testing.assert_close(logits.double(), expected, rtol=0, atol=1e-4)


def test_resizing_is_the_one_asked_for(model, weights):
    with torch.device("meta"):
        clean = Inception("clean")
    clean.load_state_dict(dict(weights), assign=True)
    x = images(1, 3, 400, 350)  # what it aliases
    (before, _), (after, _) = model(x), clean(x)
    assert (before - after).norm() > 0.01 * before.norm()
    ready = clean(resized(x, "clean").round().to(torch.uint8))[0]  # of the right size
    assert (ready - after).norm() < 0.01 * after.norm()  # half a level of rounding
    with pytest.raises(FrenemyError, match="no resizing 'cubic'"):
        Inception("cubic")(x)


def test_features_are_bit_identical_again_and_do_not_depend_on_the_batch(model):
    x = images(3, 3, 32, 32)
    features, logits = model(x)
    again = model(x.clone())
    assert torch.equal(again[0], features)
    assert torch.equal(again[1], logits)
    alone, alone_logits = model(x[1:2])
    # kernels for other batches sum in another order: float32, as against float64 above
    assert (alone - features[1:2]).norm() < 5e-6 * features[1].norm()
    assert (alone_logits - logits[1:2]).norm() < 5e-6 * logits[1].norm()


def test_grey_images_are_three_equal_channels(model):
    x = images(1, 1, 28, 28)
    grey, colours = model(x)[0], model(x.expand(-1, 3, -1, -1))[0]
    assert (grey - colours).norm() < 5e-6 * grey.norm()  # float32, by other kernels maybe


def test_no_images_have_no_features(model):
    features, logits = model(images(0, 3, 32, 32))
    assert (features.shape, logits.shape) == ((0, 2048), (0, 1008))


def test_it_never_trains(model):
    x = images(1, 1, 28, 28)
    before = model(x)[0]
    model.train()
    assert not any(part.training for part in model.modules())
    after = model(x)[0]
    assert torch.equal(after, before)
    assert not after.requires_grad


# Its file


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no way out of this machine."""
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/weights.pth")  # discard: refuses
    return tmp_path / "cache"


def publish(content, monkeypatch):
    """Has the package believe that these are the published bytes."""
    monkeypatch.setattr(module, "BYTES", len(content))
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(content).hexdigest())


def refusal(path=None):
    with pytest.raises(FrenemyError) as refused:
        load_inception(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def left(cache):
    return [x for x in cache.rglob("*") if x.is_file()]


@pytest.mark.parametrize("layout", ["before torch 1.6", "zip"])
def test_a_file_of_full_size_comes_through_the_loader(
    layout, model, weights, tmp_path, cache, monkeypatch
):
    path = tmp_path / "some.pth"
    state = OrderedDict(weights)
    if layout == "zip":  # newer ones also hold how many batches training saw
        state |= {k: v for k, v in model.state_dict().items() if k.endswith("tracked")}
        assert len(state) == 472 + 94
    else:
        state._metadata = model.state_dict()._metadata  # the versions of its modules
    torch.save(state, path, _use_new_zipfile_serialization=layout == "zip")
    # the arrays and some 90 kB of names, as the published one: 3 kB more, 100 kB more
    assert path.stat().st_size == pytest.approx(module.BYTES, abs=10e3 if layout != "zip" else 2e5)
    publish(path.read_bytes(), monkeypatch)
    if layout == "zip":
        found = load_inception(path, resize="clean")
        assert not left(cache)
    else:
        monkeypatch.setattr(module, "URL", path.as_uri())
        before = torch.get_rng_state()
        found = load_inception()
        assert torch.equal(torch.get_rng_state(), before)
        assert left(cache) == [weights_path()] == [cache / "weights" / module.FILE]
        path.unlink()
        monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/weights.pth")
        load_inception()  # from the cache
    assert found.resize == ("clean" if layout == "zip" else "original")
    state = found.state_dict()
    assert all(torch.equal(state[key], value) for key, value in weights.items())
    assert not any(x.is_meta or x.requires_grad for x in (*found.parameters(), *found.buffers()))
    assert found(images(1, 1, 28, 28))[0].shape == (1, 2048)


def test_what_is_believed_of_the_published_file_is_what_it_is_published_with():
    assert module.URL.endswith("/fid_weights/pt_inception-2015-12-05-6726825d.pth")
    assert module.URL.startswith("https://github.com/mseitzer/pytorch-fid/releases/download/")
    assert module.SHA256[:8] in module.FILE  # torch.hub's way to name files
    assert len(module.SHA256) == 64


class Touch:
    """An object whose pickle writes a file where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("known", [False, True], ids=["another digest", "the right digest"])
def test_a_file_never_runs_code(known, tmp_path, cache, monkeypatch):
    marker, path = tmp_path / "marker", tmp_path / "evil.pth"
    torch.save({"fc.weight": Touch(marker)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    publish(content if known else content[:-1] + b"?", monkeypatch)
    if known:
        with pytest.raises(pickle.UnpicklingError):
            load_inception(path)
    else:
        said = refusal(path)
        assert str(path) in said
        assert hashlib.sha256(content).hexdigest() in said
        assert module.SHA256 in said
    assert not marker.exists()


@pytest.mark.parametrize(("change", "size"), [(lambda x: x[:-1], 999), (lambda x: x + x, 2000)])
def test_a_file_of_another_size_is_refused_unread(change, size, tmp_path, cache, monkeypatch):
    content = bytes(1000)
    publish(content, monkeypatch)
    monkeypatch.setattr(torch, "load", None)
    path = tmp_path / "weights.pth"
    path.write_bytes(change(content))
    said = refusal(path)
    assert str(path) in said
    assert f"{size:,} bytes;" in said
    assert module.SHA256 in said


def test_a_given_file_that_is_not_there_is_not_fetched(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", None)
    said = refusal(tmp_path / "weights.pth")
    assert f"{tmp_path / 'weights.pth'}: cannot be read (No such file or directory)" in said
    assert module.URL in said
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


# Fetching


def test_offline_it_says_which_file_goes_where(cache):
    said = refusal()
    assert str(cache / "weights" / "pt_inception-2015-12-05-6726825d.pth") in said
    assert "Connection refused" in said
    assert module.URL in said
    assert "95,628,359 bytes, sha256 6726825d0af5f729cebd5821db510b11b1cfad8faad88a" in said
    assert not left(cache)


CONTENT = bytes(range(256)) * 12_000  # three pieces


@pytest.fixture
def serve(cache, monkeypatch):
    """Serves an answer, `CONTENT` being the published bytes, and counts who asks for it."""
    publish(CONTENT, monkeypatch)
    servers = []

    def start(body, status=200, length=None):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.asked += 1
                self.send_response(status)
                if length:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                with contextlib.suppress(OSError):  # who asked has heard enough
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        server.asked = 0
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(module, "URL", f"http://127.0.0.1:{server.server_port}/weights.pth")
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"body": b"no", "status": 404}, "HTTP Error 404"),
        ({"body": CONTENT[:-5], "length": len(CONTENT)}, "it broke off after 3,071,995 bytes"),
        ({"body": CONTENT[:5]}, "it broke off after 5 bytes"),
        ({"body": b""}, "it broke off after 0 bytes"),
        ({"body": CONTENT + b"x"}, "more than 3,072,000 bytes came"),
        ({"body": CONTENT * 20}, "more than 3,072,000 bytes came"),
        (
            {"body": CONTENT[::-1]},
            f"what came has sha256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}",
        ),
    ],
    ids=["404", "cut off", "short", "nothing", "too long", "far too long", "another file"],
)
def test_a_bad_answer_leaves_nothing(answer, reason, serve, cache):
    server = serve(**answer)
    said = refusal()
    assert reason in said
    assert module.URL in said
    assert str(weights_path()) in said
    assert module.SHA256 in said
    assert server.asked == 1
    assert not left(cache)


def test_a_good_answer_is_kept_and_read_once(serve, cache):
    server = serve(CONTENT)
    for _ in range(2):
        with pytest.raises(pickle.UnpicklingError):  # these bytes are no weights, but trusted ones
            load_inception()
    assert server.asked == 1
    assert weights_path().read_bytes() == CONTENT
    assert left(cache) == [weights_path()]


def test_on_a_terminal_it_says_how_much_has_come(serve, cache, monkeypatch, capsys):
    clock = itertools.count()  # a second a look
    monkeypatch.setattr("frenemy.data.threads.time", SimpleNamespace(monotonic=lambda: next(clock)))
    serve(CONTENT)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with pytest.raises(pickle.UnpicklingError):
        load_inception()
    *lines, end = capsys.readouterr().err.split("\r")[-1].splitlines(keepends=True)
    assert not lines and end == "fetching Inception: 3,072,000 of 3,072,000 bytes, 0 s left\n"


def test_a_spoilt_file_in_the_cache_is_told_and_not_replaced(serve, cache):
    server = serve(CONTENT)
    weights_path().parent.mkdir(parents=True)
    weights_path().write_bytes(CONTENT[::-1])
    assert f"{weights_path()}: not Inception's weights" in refusal()
    assert server.asked == 0


def test_a_cache_that_cannot_be_written_is_told(serve, cache):
    serve(CONTENT)
    cache.write_text("a file")
    assert "cannot write here" in refusal()


def test_memory_and_disk_stay_bounded_however_much_comes(serve, cache, monkeypatch):
    serve(CONTENT * 20)
    taken = []

    def count(path, write):
        part = path.with_suffix(".part")
        part.parent.mkdir(parents=True)
        try:
            write(part)
        finally:
            taken.append(part.stat().st_size)
            part.unlink()

    monkeypatch.setattr(module, "write_atomically", count)
    refusal()
    assert taken[0] <= len(CONTENT) + 1
