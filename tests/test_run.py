"""Run directories: atomic writes, logs cut short, damaged and full disks."""

import errno
import json
import os
import sys
from types import SimpleNamespace

import numpy
import pytest
import safetensors.numpy

from frenemy.errors import FrenemyError
from frenemy.run import Run, file_digest

HEADER = {
    "recipe": "digits2014",
    "arguments": {},
    "seed": 0,
    "target": {"steps": 1},
    "device": "cpu",
    "threads": 1,
    "checkpoint_seconds": 60.0,
    "keep_checkpoints": 2,
    "tensorboard": False,
    "data": {"digest": "0123", "shape": [1, 8, 8]},
    "versions": {},
}


def begun(path):
    run = Run(path, dict(HEADER))
    with run.lock():
        run.begin()
    for name in ("samples", "checkpoints"):
        (path / name).mkdir()
    return run


@pytest.fixture
def run(tmp_path):
    return begun(tmp_path / "run")


def fail(part):
    part.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_log_is_a_table(run, monkeypatch):
    run.append({"step": 50, "loss": 1.5})
    run.append({"step": 100, "loss": 1.25, "D(x)": 0.5})
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("a", rows)))
    assert run.log() == ("a", run.rows())
    monkeypatch.setitem(sys.modules, "pandas", None)  # as if it were not installed
    with pytest.raises(FrenemyError, match=r"pip install pandas; or take run\.rows\(\)"):
        run.log()


def test_the_way_on_can_be_pasted_into_a_shell(tmp_path):
    begun(tmp_path / "my run")
    with pytest.raises(FrenemyError, match=r"--resume '.*my run'`"):
        begun(tmp_path / "my run")


def test_a_new_run_refuses_a_directory_that_holds_a_run_or_other_files(run, tmp_path):
    with pytest.raises(FrenemyError, match=r"already holds a run.*--resume"):
        begun(run.path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.txt").write_text("mine")
    with pytest.raises(FrenemyError, match="not an empty directory"):
        begun(tmp_path / "other")
    assert (tmp_path / "other" / "holiday.txt").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe": 3}', "\x00\xff"])
def test_open_names_a_damaged_description(run, text):
    (run.path / "run.json").write_text(text)
    with pytest.raises(FrenemyError, match=r"run\.json"):
        Run.open(run.path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("target", {"steps": "many"}),
        ("target", {"steps": 0}),
        ("target", {}),
        ("device", "banana"),
        ("threads", -1),
        ("threads", True),
        ("checkpoint_seconds", float("nan")),
        ("keep_checkpoints", "x"),
        ("keep_checkpoints", None),
        ("data.shape", None),
        ("data.shape", [1, 8]),
        ("data.shape", [1, 8, "8"]),
        ("data.digest", 3),
        ("data.path", 3),
        ("data.size", "8"),
    ],
    ids=str,
)
def test_open_names_the_field_that_is_wrong(run, field, value):
    header = json.loads((run.path / "run.json").read_text())
    part, _, name = field.rpartition(".")
    (header[part] if part else header)[name] = value
    (run.path / "run.json").write_text(json.dumps(header))
    with pytest.raises(FrenemyError, match=rf"run\.json .*: {field} is wrong"):
        Run.open(run.path)


def test_a_start_that_was_killed_before_it_was_described_is_no_obstacle(tmp_path):
    (tmp_path / ".run.json.123.part").write_text("{")
    assert begun(tmp_path).header == HEADER


def test_open_says_where_there_is_no_run(tmp_path):
    with pytest.raises(FrenemyError, match="holds no run"):
        Run.open(tmp_path)


def test_rows_leave_out_a_line_that_a_kill_cut_short(run):
    run.append({"step": 50, "loss": 1.5})
    run.append({"step": 100, "loss": 1.25})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"step": 150, "lo')
    assert [row["step"] for row in run.rows()] == [50, 100]


def test_a_damaged_line_costs_no_other(run):
    log = run.path / "log.jsonl"
    lines = ['{"step": 50}', '{"st\x00', "[]", '{"step": "x"}', '{"step": 100}', '{"step": 1']
    log.write_text("\n".join(lines))
    assert [row["step"] for row in run.rows()] == [50, 100]
    with pytest.warns(UserWarning, match="damaged") as warned:
        run.rewind(100)
    told = [str(warning.message).partition(" is ")[0] for warning in warned]
    assert told == [f"{log}: line {number}" for number in (2, 3, 4)]
    assert log.read_text() == '{"step": 50}\n{"step": 100}\n'


def test_the_users_own_files_among_ours_are_left_alone(run):
    ours = run.path / "samples" / "00000010.png"
    own = [ours.with_name(name) for name in ("00000010 copy.png", "10.png", ".tmpfiles.png")]
    for path in (ours, *own):
        path.write_bytes(b"picture")
    assert run.samples() == [ours]
    run.rewind(5)
    assert set(ours.parent.iterdir()) == set(own)


def test_pictures_of_later_rounds_come_later_however_many_digits_they_have(run):
    for step in (100_000_000, 99_999_999):
        (run.path / "samples" / f"{step:08d}.png").write_bytes(b"picture")
    assert [int(path.stem) for path in run.samples()] == [99_999_999, 100_000_000]


def test_rewind_removes_what_a_kill_left_of_a_checkpoint(run):
    run.save_checkpoint(10, lambda part: part.write_bytes(b"good"))
    (kept,) = run.checkpoints()
    for name in (".00000020.123.part", ".tmpaB3xY9"):  # the latter is safetensors' own
        (kept.parent / name).write_bytes(b"half")
    run.rewind(10)
    assert list(kept.parent.iterdir()) == [kept]


def test_rewind_leaves_alone_what_another_process_may_be_writing(run):
    ours, theirs = run.path / ".old.part", run.path / ".new.part"
    for part in (ours, theirs):
        part.write_bytes(b"half")
    os.utime(ours, (0, 0))
    run.rewind(10)
    assert theirs.exists() and not ours.exists()


def test_rewind_forgets_what_came_later(run):
    for step in (50, 100, 150):
        run.append({"step": step})
        (run.path / "samples" / f"{step:08d}.png").write_bytes(b"picture")
    (run.path / "samples" / ".00000200.png.1.part").write_bytes(b"half")
    run.rewind(100)
    assert [row["step"] for row in run.rows()] == [50, 100]
    assert [path.name for path in run.samples()] == ["00000050.png", "00000100.png"]
    assert len(list((run.path / "samples").iterdir())) == 2


def test_checkpoints_are_named_after_their_content_and_two_are_kept(run):
    for step in (10, 20, 30):
        run.save_checkpoint(step, lambda part, step=step: part.write_bytes(bytes([step])))
        path = run.checkpoints()[0]
        assert path.name == f"{step:08d}-{file_digest(path)}.safetensors"
    assert [int(path.name[:8]) for path in run.checkpoints()] == [30, 20]


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_a_checkpoint_is_as_readable_as_any_new_file(run):
    before = os.umask(0o027)
    try:
        run.save_checkpoint(
            10, lambda part: safetensors.numpy.save_file({"a": numpy.zeros(1)}, part)
        )
    finally:
        os.umask(before)
    assert run.checkpoints()[0].stat().st_mode & 0o777 == 0o640


def test_a_full_disk_keeps_the_checkpoints_there_are(run):
    run.save_checkpoint(10, lambda part: part.write_bytes(b"good"))
    (kept,) = run.checkpoints()
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
