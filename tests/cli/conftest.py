"""One short run for all tests of the command line."""

import pytest

from frenemy.cli import main


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A short run on the embedded digits."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "digits2014", "--steps", "60", "--out", str(path)]) == 0
    return path
