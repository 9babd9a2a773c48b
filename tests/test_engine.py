"""Devices that are not there, that fast products are still float32's, and how many threads."""

import subprocess
import sys

import pytest
import torch

from frenemy import engine
from frenemy.engine import FLOAT32_ERROR, Share, choose_device, choose_threads, use_fastest_float32
from frenemy.errors import FrenemyError

matmul = torch.backends.mkldnn.matmul


@pytest.fixture(autouse=True)
def _restored():
    """Puts back what the engine sets for the whole process, once and for all tests."""
    engine.prepare_processor()
    cudnn = torch.backends.cudnn
    before = matmul.fp32_precision, cudnn.benchmark, cudnn.deterministic
    yield
    matmul.fp32_precision, cudnn.benchmark, cudnn.deterministic = before


def machine(monkeypatch, *, cuda=False, mps=False):
    """A machine with these devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told_in_one_line(name, monkeypatch):
    machine(monkeypatch)
    with pytest.raises(FrenemyError, match=f"--device {name}: .* available: cpu") as refused:
        choose_device(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_there_is(cuda, mps, chosen, monkeypatch):
    machine(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device().type == chosen


def test_one_of_several_gpus_is_chosen_by_its_number(monkeypatch):
    machine(monkeypatch, cuda=True)
    used = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", used.append)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert used == [1]
    with pytest.raises(FrenemyError, match=r"cuda:2: .* available: cuda, cuda:0, cuda:1, cpu"):
        choose_device("cuda:2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(FrenemyError, match="takes a GPU of its own"):
        choose_device("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0:0", "", "CUDA"])
def test_no_device_is_called_so(name, monkeypatch):
    machine(monkeypatch, cuda=True)
    with pytest.raises(FrenemyError, match=f"no device {name!r}"):
        choose_device(name)


def test_the_processor_can_always_be_chosen(monkeypatch):
    machine(monkeypatch, cuda=True, mps=True)
    assert choose_device("cpu") == torch.device("cpu")


def test_cuda_computes_the_same_every_time(monkeypatch):
    machine(monkeypatch, cuda=True)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
    choose_device("cuda")
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


SUBNORMAL = """
import torch
from frenemy.engine import choose_device
choose_device("cpu")
torch.set_num_threads(2)
small = torch.ones(2**20).mul_(1e-30).mul_(1e-10)  # enough that all threads take part
print(torch.set_flush_denormal(True), small.count_nonzero().item())
"""


def test_subnormal_numbers_are_none_in_any_thread():
    """They slow down the optimisers of a game that has gone on for long."""
    told = subprocess.run(
        [sys.executable, "-c", SUBNORMAL], capture_output=True, text=True, check=True
    )
    able, left = told.stdout.split()
    if able == "False":
        pytest.skip("this processor has no switch for them")
    assert left == "0"


@pytest.mark.parametrize("shape", [(64, 64, 64), (100, 784, 1200), (512, 512, 512)])
def test_fast_products_are_as_good_as_float32(shape):
    use_fastest_float32()
    n, k, m = shape
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(n, k, generator=generator), torch.randn(k, m, generator=generator)
    exact = a.double() @ b.double()
    error = ((a @ b).double() - exact).norm() / exact.norm()
    assert error < 1e-6  # sums of up to 784 products, each rounded by 6e-8; bfloat16 errs by 2e-3


@pytest.mark.parametrize(("allowed", "kept"), [(float("inf"), False), (0.0, True)])
def test_the_error_of_one_product_decides(allowed, kept, monkeypatch):
    matmul.fp32_precision = "ieee"
    monkeypatch.setattr(engine, "FLOAT32_ERROR", allowed)
    use_fastest_float32()
    assert matmul.fp32_precision == ("ieee" if kept else "bf16")


def test_the_allowed_error_lies_between_float32s_and_bfloat16s():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 512, 512, generator=generator)
    exact = a.double() @ b.double()
    rounded = a.bfloat16().double() @ b.bfloat16().double()
    assert (rounded - exact).norm() / exact.norm() > 100 * FLOAT32_ERROR
    assert torch.finfo(torch.float32).eps < FLOAT32_ERROR


def test_choosing_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    use_fastest_float32()
    assert torch.equal(torch.rand(3), expected)


# Shares of a minibatch


@pytest.mark.parametrize(("world", "parts"), [(1, 1), (1, 4), (2, 2), (4, 1)])
def test_the_slices_of_all_processes_are_the_minibatch_in_order(world, parts):
    found = [cut for rank in range(world) for cut in Share(rank, world, parts).slices(8)]
    assert [number for number, _ in found] == list(range(world * parts))
    assert [i for _, rows in found for i in range(8)[rows]] == list(range(8))


def test_a_minibatch_that_cannot_be_cut_is_refused():
    with pytest.raises(FrenemyError, match="minibatch of 10 cannot be cut into 4 equal parts"):
        Share(parts=4).slices(10)


def test_a_share_of_one_process_averages_its_parts():
    share = Share(parts=2)
    gradient = [torch.tensor([2.0, 4.0]), None]
    mean, nothing = share.average(gradient)
    assert nothing is None
    assert mean.tolist() == [1.0, 2.0]
    records = [{"a": torch.tensor(1.0), "b": torch.tensor(5.0)}] * 2
    assert {k: v.item() for k, v in share.mean(records).items()} == {"a": 1.0, "b": 5.0}
    kept = [{"Dx": torch.tensor([1.0])}, {"Dx": torch.tensor([2.0])}]
    assert share.gather(kept)["Dx"].tolist() == [1.0, 2.0]
    assert share.any(True)
    assert not share.any(False)


# Threads


@pytest.fixture
def four_cores(monkeypatch):
    """Torch uses a thread on each of four cores, of its own accord."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(engine, "_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("several", "one", "count"), [(1.0, 2.0, 4), (1.0, 1.0, 1), (5.0, 1.0, 1)])
@pytest.mark.usefixtures("four_cores")
def test_one_thread_is_taken_unless_several_are_faster(several, one, count):
    assert choose_threads({4: several, 1: one}.__getitem__) == count
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("how", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "torch"])
@pytest.mark.usefixtures("four_cores")
def test_a_number_of_threads_that_the_user_chose_is_kept(how, monkeypatch):
    if how == "torch":
        torch.set_num_threads(3)
    else:
        monkeypatch.setenv(how, "3")
    assert choose_threads(lambda count: pytest.fail("measured")) == torch.get_num_threads()


@pytest.mark.usefixtures("four_cores")
def test_the_processor_is_prepared_with_that_number(monkeypatch):
    monkeypatch.setattr(engine, "choose_threads", lambda: 3)
    engine.prepare_processor.__wrapped__()
    assert torch.get_num_threads() == 3
