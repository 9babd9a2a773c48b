"""Exact resume, as real processes that are really killed."""

import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch

from frenemy.run import Run, step_of

STEPS = 200


def start(*arguments, **options):
    command = [sys.executable, "-m", "frenemy", "train", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finish(*arguments):
    process = start(*arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def begin(path, steps=STEPS, *more, recipe="digits2014"):
    return (recipe, "--steps", steps, "--out", path, "--checkpoint-seconds", 0.01, *more)


def outcome(path):
    """Everything that must be the same: tensors, progress but for its clock, log and pictures."""
    run = Run.open(path)
    newest = run.checkpoints()[0]
    with safetensors.safe_open(newest, "pt") as file:
        progress = json.loads(file.metadata()["frenemy"])
    del progress["seconds"]
    return {
        "tensors": {k: v.numpy().tobytes() for k, v in safetensors.torch.load_file(newest).items()},
        "progress": progress,
        "log": (run.path / "log.jsonl").read_bytes(),
        "pictures": {picture.name: picture.read_bytes() for picture in run.samples()},
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    finish(*begin(path))
    return outcome(path)


def wait_until(condition, process):
    while not condition() and process.poll() is None:
        time.sleep(0.005)


def samples_drawn(path, count):
    return lambda: len(list(path.glob("samples/*.png"))) >= count


def kill_at_random(path, kills, seed, recipe="digits2014"):
    """Begins a run, kills it at random moments, resumes it each time, and finishes it at last.

    Every kill hits a living process, a few rounds after one of which it has written a checkpoint.
    Where the machine was too busy for any to come in time, all begins anew, a few times.
    """
    chance = random.Random(seed)
    for _ in range(5):
        if any(0 < step < STEPS for step in killed(path, kills, chance, recipe)):
            return
        shutil.rmtree(path)
    raise AssertionError("every run had ended before it was killed")


def killed(path, kills, chance, recipe):
    """As `kill_at_random`, once: the rounds that were gone on from."""
    process = start(*begin(path, recipe=recipe))
    taken_up = set()

    def newest():
        return max((int(p.name[:8]) for p in path.glob("checkpoints/0*")), default=0)

    for _ in range(kills):
        enough = newest() + chance.randint(1, STEPS // (2 * kills))
        wait_until(lambda enough=enough: newest() >= enough, process)
        time.sleep(chance.uniform(0, 0.05))
        if process.poll() is not None:
            break  # it was quicker
        process.kill()
        assert process.wait() == -signal.SIGKILL
        taken_up.add(step_of(Run.open(path).checkpoints()[0]))
        process = start("--resume", path)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return taken_up


def test_a_run_killed_again_and_again_ends_bit_identical(tmp_path, undisturbed):
    kill_at_random(tmp_path / "run", kills=4, seed=1)
    assert outcome(tmp_path / "run") == undisturbed


def test_so_does_one_with_averages_adam_and_lazy_turns(tmp_path):
    finish(*begin(tmp_path / "undisturbed", recipe="digits"))
    kill_at_random(tmp_path / "run", kills=2, seed=2, recipe="digits")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_more_kills_end_bit_identical(tmp_path, undisturbed, seed):
    kill_at_random(tmp_path / "run", kills=8, seed=100 + seed)
    assert outcome(tmp_path / "run") == undisturbed


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path, undisturbed):
    path = tmp_path / "run"
    process = start(*begin(path), "--checkpoint-seconds", "1000")
    wait_until(samples_drawn(path, 4), process)
    process.kill()
    process.wait()
    assert [step_of(file) for file in Run.open(path).checkpoints()] == [0]
    finish("--resume", path)
    assert outcome(path) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_finish_the_round_save_and_say_how_to_go_on(tmp_path, undisturbed, number):
    path = tmp_path / "run"
    process = start(  # a suite that `nohup` runs hands down that SIGHUP is ignored
        *(*begin(path), "--checkpoint-seconds", "1000"),
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    wait_until(samples_drawn(path, 4), process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 128 + number
    assert f"continue with `frenemy train --resume {path}`" in err
    first, last = err.strip().splitlines()
    assert "interrupt again to stop" in first and "stopped after round" in last
    assert len(Run.open(path).checkpoints()) == 1
    finish("--resume", path)
    assert outcome(path) == undisturbed


def test_a_hangup_that_is_ignored_stays_so(tmp_path):
    path = tmp_path / "run"
    nohup = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    process = start(*begin(path), preexec_fn=nohup)
    wait_until(samples_drawn(path, 4), process)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate()
    assert process.returncode == 0 and not err


def test_two_seeds_differ_and_a_finished_run_resumes_to_itself(tmp_path, undisturbed):
    path = tmp_path / "other"
    finish(*begin(path, STEPS, "--seed", 1))
    other = outcome(path)
    assert other["tensors"] != undisturbed["tensors"]
    assert other["pictures"] != undisturbed["pictures"]
    finish("--resume", path)
    assert outcome(path) == other


def test_a_run_being_trained_is_not_trained_twice(tmp_path):
    path = tmp_path / "run"
    process = start(*begin(path, 100_000))
    wait_until(samples_drawn(path, 4), process)
    second = start("--resume", path)
    _, err = second.communicate()
    process.kill()
    process.wait()
    assert second.returncode == 1
    assert "being trained by another process" in err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits are set between fork and exec")
def test_files_that_cannot_grow_stop_the_run_and_leave_it_loadable(tmp_path):
    import resource

    path = tmp_path / "run"
    finish(*begin(path, 60))
    kept = Run.open(path).checkpoints()
    description = json.loads((path / "run.json").read_text())
    description["target"]["steps"] = 120
    (path / "run.json").write_text(json.dumps(description))

    def small_files():  # as on a full disk, writing a checkpoint fails half-way
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    process = start("--resume", path, preexec_fn=small_files)
    _, err = process.communicate()
    assert process.returncode == 1
    assert len(err.strip().splitlines()) == 1 and str(path) in err
    assert Run.open(path).checkpoints() == kept
    finish("--resume", path)
    assert Run.open(path).rows()[-1]["step"] == 100
    assert not list(Path(path).rglob(".*.part"))
