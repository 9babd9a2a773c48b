"""What all tests share: a thread, a seed, a cache of their own, the real data if there are any."""

import os
from pathlib import Path

import pytest

# Before torch is loaded, and for child processes too: no test waits for a second thread beside
# other work, and none measures how many are fastest.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("COLUMNS", None)  # nor does any count on the terminal's width

import torch


@pytest.fixture(autouse=True)
def _seeded():
    """Draws the same random numbers for a test, whichever others ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    """Keeps tests out of the user's cache, and of what those of another file leave in theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRENEMY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with MNIST, CIFAR-10 and faces."""
    folder = os.environ.get("FRENEMY_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set FRENEMY_DATA to a folder with mnist/, cifar10/, ...")
    return Path(folder).resolve()
