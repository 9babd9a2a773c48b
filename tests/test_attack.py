"""A small attack; benchmarks/attack.py makes any, and docs/reliability.md tells of a large one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).parents[1] / "benchmarks" / "attack.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each experiment is a fork")
@pytest.mark.parametrize(("what", "count"), [("kills", 60), ("faults", 60), ("inputs", 20_000)])
def test_nothing_breaks(what, count):
    done = subprocess.run(
        [sys.executable, ATTACK, what, "--count", str(count)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| broke | 0 |" in done.stdout
