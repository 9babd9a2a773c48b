"""How much memory there is, and how much is taken."""

import math
from types import SimpleNamespace

import pytest
import torch

from frenemy.memory import (
    Living,
    free_memory,
    left_by_control_groups,
    left_by_limit,
    memory_left,
    peak,
)


def test_what_a_graph_keeps_for_its_gradient_lives():
    x = torch.ones(1000, requires_grad=True)
    with Living() as living:
        y = x.exp()
        z = y.exp()  # each keeps its result
        assert living.now == 8000
        del y
        assert living.now == 8000
        z.sum().backward()
        del z
    assert living.most >= 12_000  # and a gradient
    assert living.now == 4000  # that of x


def test_gradients_of_gradients_are_seen_too():
    with Living() as living:
        slope = torch.func.grad(lambda x: x.pow(3).sum())(torch.ones(1000))
    assert living.most >= 8000
    assert torch.equal(slope, torch.full((1000,), 3.0))


@pytest.mark.parametrize("images", [4, 16])
def test_a_convolution_takes_what_its_maps_take(images):
    net = torch.nn.Conv2d(1, 8, 3, padding=1, bias=False)
    x = torch.zeros(images, 1, 16, 16)
    with Living() as living:
        y = net(x)
    assert living.now == living.most == y.numel() * 4


def test_the_systems_free_memory_is_read(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 700 kB\n")
    assert free_memory(tmp_path) == 700 * 1024
    assert free_memory(tmp_path / "none") > 2**20  # half of all, or all that anybody knows


GROUPS = {
    2: ("0::/a/b\n", "", ("memory.max", "memory.current"), "inactive_file"),
    1: (
        "3:cpu:/\n4:memory:/a/b\n0::/\n",
        "memory",
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        "total_inactive_file",
    ),
}


@pytest.mark.parametrize("version", GROUPS)
def test_the_narrowest_limit_of_a_container_counts(tmp_path, version):
    listed, controller, names, cached = GROUPS[version]
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(listed)
    mounted = tmp_path / "cgroup"
    inner = mounted / controller / "a" / "b"
    inner.mkdir(parents=True)

    def write(folder, *numbers, files):
        for name, number in zip(names, numbers, strict=True):
            (folder / name).write_text(f"{number}\n")
        (folder / "memory.stat").write_text(f"cache 5\n{cached} {files}\n")

    assert left_by_control_groups(tmp_path, mounted) == math.inf  # it limits nothing
    write(inner, "max" if version == 2 else 2**63 - 4096, 100, files=0)
    assert left_by_control_groups(tmp_path, mounted) > 1e18
    write(inner, 1000, 300, files=50)
    assert left_by_control_groups(tmp_path, mounted) == 750
    write(inner.parent, 600, 500, files=0)
    assert left_by_control_groups(tmp_path, mounted) == 100
    write(inner, 1000, 1100, files=0)
    assert left_by_control_groups(tmp_path, mounted) == 0
    assert left_by_control_groups(tmp_path / "none", mounted) == math.inf


def test_so_does_that_of_a_process(monkeypatch):
    resource = pytest.importorskip("resource")
    assert memory_left(torch.device("cpu")) > 0
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**60, 2**60))
    assert 0.9 * 2**60 < left_by_limit() <= 2**60
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 1))
    assert left_by_limit() <= 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert left_by_limit() == math.inf


def test_on_a_gpu_what_torch_keeps_but_does_not_use_is_free(monkeypatch):
    numbers = {"mem_get_info": (100, 1000), "memory_reserved": 70, "memory_allocated": 30}
    fake = {name: lambda _, value=value: value for name, value in numbers.items()}
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(**fake))
    assert memory_left(torch.device("cuda")) == 140


def test_peaks_are_the_devices_own_count_where_it_has_one(monkeypatch):
    assert peak(torch.device("cpu"), lambda: torch.ones(10) + 1) == 80
    allocated = iter([100, 150])
    fake = {
        "reset_peak_memory_stats": lambda _: None,
        "memory_allocated": lambda _: next(allocated),
        "max_memory_allocated": lambda _: 400,
    }
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(**fake))
    assert peak(torch.device("cuda"), lambda: None) == 300
