"""Run directories: atomic writes, logs cut short, damaged and full disks."""

import errno
import json
import os

import pytest

from frenemy.errors import FrenemyError
from frenemy.run import Run, file_digest, write_atomically

HEADER = {
    "recipe": "digits2014",
    "arguments": {},
    "seed": 0,
    "target": {"steps": 1},
    "device": "cpu",
    "threads": 1,
    "checkpoint_seconds": 60.0,
    "tensorboard": False,
    "data": {},
    "versions": {},
}


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "run", HEADER)
    with run.lock():  # makes the folders
        pass
    return run


def fail(part):
    part.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failed_write_leaves_what_was_there_and_no_part(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(FrenemyError, match="no space left"):
        write_atomically(path, fail)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_on_its_content_blames_no_place(tmp_path):
    def too_large(part):
        raise ValueError("image size exceeds the format's")

    with pytest.raises(FrenemyError, match=r"image size exceeds the format's\)$"):
        write_atomically(tmp_path / "file", too_large)


def test_the_way_on_can_be_pasted_into_a_shell(tmp_path):
    Run.create(tmp_path / "my run", HEADER)
    with pytest.raises(FrenemyError, match=r"--resume '.*my run'`"):
        Run.create(tmp_path / "my run", HEADER)


def test_a_killed_write_leaves_nothing_under_the_final_name(tmp_path):
    def die(part):
        part.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", die)
    assert not (tmp_path / "file").exists()


def test_create_refuses_a_directory_that_holds_a_run_or_other_files(run, tmp_path):
    with pytest.raises(FrenemyError, match=r"already holds a run.*--resume"):
        Run.create(run.path, HEADER)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.txt").write_text("mine")
    with pytest.raises(FrenemyError, match="not an empty directory"):
        Run.create(tmp_path / "other", HEADER)
    assert (tmp_path / "other" / "holiday.txt").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe": 3}', "\x00\xff"])
def test_open_names_a_damaged_description(run, text):
    (run.path / "run.json").write_text(text)
    with pytest.raises(FrenemyError, match=r"run\.json"):
        Run.open(run.path)


def test_a_start_that_was_killed_before_it_was_described_is_no_obstacle(tmp_path):
    (tmp_path / ".run.json.123.part").write_text("{")
    assert Run.create(tmp_path, HEADER).header == HEADER


def test_open_says_where_there_is_no_run(tmp_path):
    with pytest.raises(FrenemyError, match="holds no run"):
        Run.open(tmp_path)


def test_rows_leave_out_a_line_that_a_kill_cut_short(run):
    run.log({"step": 50, "loss": 1.5})
    run.log({"step": 100, "loss": 1.25})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"step": 150, "lo')
    assert [row["step"] for row in run.rows()] == [50, 100]


def test_rewind_forgets_what_came_later(run):
    for step in (50, 100, 150):
        run.log({"step": step})
        (run.path / "samples" / f"{step:08d}.png").write_bytes(b"picture")
    (run.path / "samples" / ".00000200.png.1.part").write_bytes(b"half")
    run.rewind(100)
    assert [row["step"] for row in run.rows()] == [50, 100]
    assert [path.name for path in run.samples()] == ["00000050.png", "00000100.png"]
    assert len(list((run.path / "samples").iterdir())) == 2


def test_checkpoints_are_named_after_their_content_and_two_are_kept(run):
    for step in (10, 20, 30):
        path = run.save_checkpoint(step, lambda part, step=step: part.write_bytes(bytes([step])))
        assert path.name == f"{step:08d}-{file_digest(path)}.safetensors"
    assert [int(path.name[:8]) for path in run.checkpoints()] == [30, 20]


def test_a_full_disk_keeps_the_checkpoints_there_are(run):
    kept = run.save_checkpoint(10, lambda part: part.write_bytes(b"good"))
    with pytest.raises(FrenemyError, match="no space left"):
        run.save_checkpoint(20, fail)
    assert run.checkpoints() == [kept]
    assert list((run.path / "checkpoints").iterdir()) == [kept]


def test_a_second_process_is_refused(run):
    with (
        run.lock(),
        pytest.raises(FrenemyError, match="another process"),
        Run.open(run.path).lock(),
    ):
        pass
    with run.lock():  # free again
        pass


def test_update_keeps_the_description_readable(run):
    run.update(note="first")
    assert json.loads((run.path / "run.json").read_text())["note"] == "first"
