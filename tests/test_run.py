"""Run directories: atomic writes, logs cut short, damaged and full disks."""

import errno
import json
import os
import sys
from types import SimpleNamespace

import numpy
import pytest
import safetensors.numpy
import torch

from frenemy.errors import FrenemyError
from frenemy.pictures import save_picture
from frenemy.run import OWN, Run, file_digest

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

PART = f".{0:032x}.part"
"""As a file is called that is being written."""


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


def drawn(run, step):
    """A sample picture of the run."""
    path = run.path / "samples" / f"{step:08d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_picture(numpy.zeros((1, 8, 8), numpy.uint8), path, mark=run.mark(step))


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


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"recipe": 3}', "\x00\xff", "[" * 100_000, '{"a":' * 5000),
        *('{"seed": 1e999}', '{"seed": NaN}', '{"seed": 0' + " " * (1 << 24) + "}"),
    ],
    ids=range(10),
)
def test_open_names_a_damaged_description(run, text):
    (run.path / "run.json").write_text(text)
    with pytest.raises(FrenemyError, match=r"run\.json") as refused:
        Run.open(run.path)
    assert len(str(refused.value).splitlines()) == 1 and len(str(refused.value)) < 300


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
        ("threads", 2**40),
        ("checkpoint_seconds", -1.0),
        ("checkpoint_seconds", True),
        ("replan.step", 0),
        ("best.value", "good"),
        ("versions", {"torch": 2}),
        ("parts", 1.5),
        ("keep_checkpoints", "x"),
        ("keep_checkpoints", None),
        ("data.shape", None),
        ("data.shape", [1, 8]),
        ("data.shape", [1, 8, "8"]),
        ("data.digest", 3),
        ("data.path", 3),
        ("data.size", "8"),
        ("data.shape", [1, 10**10, 10**10]),
        ("data.shape", [1, 8, 8, 8]),
        ("data.classes", "ab"),
        ("data.count", 0),
    ],
    ids=str,
)
def test_open_names_the_field_that_is_wrong(run, field, value):
    header = json.loads((run.path / "run.json").read_text())
    part, _, name = field.rpartition(".")
    (header.setdefault(part, {"step": 1, "minutes": 1}) if part else header)[name] = value
    (run.path / "run.json").write_text(json.dumps(header))
    with pytest.raises(FrenemyError, match=rf"run\.json .*: {field} is wrong"):
        Run.open(run.path)


def test_an_end_of_0_is_wrong_to_a_process_that_trained_too(run):
    header = {**json.loads((run.path / "run.json").read_text()), "target": {"steps": 0}}
    (run.path / "run.json").write_text(json.dumps(header))
    torch.set_flush_denormal(True)  # as `prepare_processor` leaves it
    with pytest.raises(FrenemyError, match=r"run\.json .*: target is wrong"):
        Run.open(run.path)


def test_a_start_that_was_killed_before_it_was_described_is_no_obstacle(tmp_path):
    (tmp_path / PART).write_text("{")
    assert begun(tmp_path).header.items() >= HEADER.items()


def test_open_says_where_there_is_no_run(tmp_path):
    with pytest.raises(FrenemyError, match=r"is not a run \(it has no run\.json\)"):
        Run.open(tmp_path)


def test_rows_leave_out_a_line_that_a_kill_cut_short(run):
    run.append({"step": 50, "loss": 1.5})
    run.append({"step": 100, "loss": 1.25})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"step": 150, "lo')
    assert [row["step"] for row in run.rows()] == [50, 100]


def test_a_damaged_line_costs_no_other(run):
    log = run.path / "log.jsonl"
    lines = ['{"step": 50}', '{"st\x00', "[]", '{"step": "x"}', '{"step": 100}']
    lines += ['{"step": 60, "loss": "oops"}', '{"step": 70, "loss": true}', '{"step": 80.5}']
    lines += ['{"step": 80, "loss": 1e999}', '{"step": 90, "loss": [1]}', "[" * 10_000]
    lines += ['{"step": 90, "stage": -1}', '{"step": 1']
    log.write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="damaged") as warned:
        assert [row["step"] for row in run.rows()] == [50, 100]
        warned.clear()
        run.rewind(100)
    told = [str(warning.message).partition(" is ")[0] for warning in warned]
    assert told == [f"{log}: line {number}" for number in (2, 3, 4, *range(6, 13))]
    assert log.read_text() == '{"step": 50}\n{"step": 100}\n'


def test_the_users_own_files_among_ours_are_left_alone(run):
    ours = drawn(run, 10)
    names = ("00000010 copy.png", "10.png", ".tmpfiles.png", ".mine.part", "00000020.png")
    own = [ours.with_name(name) for name in (*names, "00000030.png")]
    for path in own[:-1]:
        path.write_bytes(b"picture")
    own[-1].write_bytes(ours.read_bytes())  # a copy, under the name of another round
    run.rewind(5)
    assert set(ours.parent.iterdir()) == set(own)
    with pytest.warns(UserWarning, match=r"00000020\.png is not of this run"):
        assert run.place_of_sample(20) is None
    assert run.place_of_sample(10) == ours


def test_a_picture_of_another_run_is_not_ours(run, tmp_path):
    other = Run(tmp_path / "other", {**HEADER, "seed": 1})
    picture = drawn(run, 10)
    picture.write_bytes(drawn(other, 10).read_bytes())
    run.rewind(5)
    assert picture.exists()


def test_pictures_of_later_rounds_come_later_however_many_digits_they_have(run):
    for step in (100_000_000, 99_999_999):
        (run.path / "samples" / f"{step:08d}.png").write_bytes(b"picture")
    assert [int(path.stem) for path in run.samples()] == [99_999_999, 100_000_000]


def test_rewind_removes_what_a_kill_left_of_a_checkpoint(run):
    run.save_checkpoint(10, lambda part: part.write_bytes(b"good"))
    (kept,) = run.checkpoints()
    for name in (PART, ".tmpaB3xY9"):  # the latter is safetensors' own
        (kept.parent / name).write_bytes(b"half")
    run.rewind(10)
    assert list(kept.parent.iterdir()) == [kept]


def test_rewind_leaves_alone_what_another_process_may_be_writing(run):
    ours, theirs = run.path / PART, run.path / f".{1:032x}.part"
    for part in (ours, theirs):
        part.write_bytes(b"half")
    os.utime(ours, (0, 0))
    run.rewind(10)
    assert theirs.exists() and not ours.exists()


def test_rewind_forgets_what_came_later(run):
    for step in (50, 100, 150):
        run.append({"step": step})
        drawn(run, step)
    (run.path / "samples" / PART).write_bytes(b"half")
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


@pytest.mark.parametrize("name", ["run\udce9", "run\x1b[2J", "日本"])
def test_a_run_may_have_any_name_and_data_too(tmp_path, name):
    run = Run(tmp_path / name, {**HEADER, "data": {**HEADER["data"], "path": name}})
    with run.lock():
        run.begin()
    assert Run.open(run.path).header["data"]["path"] == name


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1),
        ("recipe", "digits"),
        ("arguments", {"rate": 0.1}),
        ("data.digest", "0124"),
        ("data.shape", [1, 8, 9]),
    ],
    ids=str,
)
def test_what_defines_the_game_cannot_change_unseen(run, field, value):
    file = run.path / "run.json"
    header = json.loads(file.read_text())
    part, _, name = field.rpartition(".")
    (header[part] if part else header)[name] = value
    file.write_text(json.dumps(header))
    with pytest.raises(FrenemyError, match=r"run\.json was changed"):
        Run.open(run.path)
    del header["game_digest"]  # as in a run that was begun before there was one
    file.write_text(json.dumps(header))
    Run.open(run.path)


def test_another_end_and_another_place_of_the_data_are_no_other_game(run):
    file = run.path / "run.json"
    header = json.loads(file.read_text())
    header["target"], header["data"]["path"] = {"steps": 7}, "elsewhere"
    file.write_text(json.dumps(header))
    assert Run.open(run.path).header["target"] == {"steps": 7}


# What is not what it should be


def dangling(path):
    path.symlink_to(path.with_name("nowhere"))


def a_file(path):
    path.write_text("mine")


@pytest.mark.parametrize("spoil", [dangling, a_file])
@pytest.mark.parametrize("name", ["checkpoints", "samples"])
def test_a_folder_that_cannot_be_read_is_not_taken_for_none(run, name, spoil):
    run.append({"step": 50})
    picture = drawn(run, 50)
    if name == "samples":
        picture.unlink()
    (run.path / name).rmdir()
    spoil(run.path / name)
    with pytest.raises(FrenemyError, match=f"{name} cannot be read"):
        run.rewind(-1)
    assert [row["step"] for row in run.rows()] == [50]
    assert name == "samples" or picture.exists()


@pytest.mark.parametrize("name", ["checkpoints", "samples", "log.jsonl", "run.json"])
def test_what_the_system_forbids_to_read_is_not_taken_for_none(run, name, monkeypatch):
    run.append({"step": 50})
    drawn(run, 50)
    real = {"listdir": os.listdir, "open": os.open}

    def forbidding(does):
        def do(path, *more, **options):
            if os.fspath(path) == os.fspath(run.path / name):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return real[does](path, *more, **options)

        return do

    for does in real:
        monkeypatch.setattr(os, does, forbidding(does))
    with pytest.raises(FrenemyError, match=rf"{name} cannot be read \(Permission denied\)"):
        Run.open(run.path).rewind(-1)
    monkeypatch.undo()
    assert [row["step"] for row in run.rows()] == [50] and run.samples()


@pytest.mark.parametrize("name", sorted(OWN))
def test_a_training_writes_and_deletes_through_no_link(run, tmp_path, name):
    theirs = tmp_path / "theirs"
    place = run.path / name
    if name == "run.json":
        place.rename(theirs)
    elif OWN[name][1] == "file":
        place.unlink(missing_ok=True)
        theirs.write_text("mine")
    else:
        theirs.mkdir()
        drawn(Run(theirs, HEADER), 50)
        if place.exists():
            place.rmdir()
    before = {path: path.read_bytes() for path in theirs.rglob("*") if path.is_file()}
    content = theirs.read_bytes() if theirs.is_file() else b""
    place.symlink_to(theirs)
    with pytest.raises(FrenemyError, match=f"{name} is a link"), Run.open(run.path).lock():
        pass
    assert {path: path.read_bytes() for path in before} == before
    assert place.is_symlink() and (not theirs.is_file() or theirs.read_bytes() == content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["run.json", "log.jsonl", ".lock"])
def test_a_pipe_is_no_file(run, name):
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    with pytest.raises(FrenemyError, match=name):  # and not for ever
        opened = Run.open(run.path)
        opened.rows()
        with opened.lock():
            pass


@pytest.mark.parametrize("part", ["checkpoints", "checkpoints/00000010-0.safetensors", "run.json"])
def test_a_part_of_a_run_is_no_run(run, part, monkeypatch):
    run.save_checkpoint(10, lambda part: part.write_bytes(b"good"))
    with pytest.raises(FrenemyError, match=f"only a part of a run: give the run: {run.path}$"):
        Run.open(run.path / part)
    monkeypatch.chdir(run.path / "checkpoints")
    with pytest.raises(FrenemyError, match="give the run"):
        Run.open(run.checkpoints()[0].relative_to(run.path / "checkpoints"))


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_was_deleted_while_it_is_trained_is_not_made_again(run, there):
    with run.lock():
        run.path.rename(run.path.with_name("moved"))
        if there:
            run.path.mkdir()
        for write in (
            lambda: run.append({"step": 50}),
            lambda: run.update(note="x"),
            lambda: run.place_of_sample(50),
            lambda: run.save_checkpoint(50, lambda part: part.write_bytes(b"")),
        ):
            with pytest.raises(FrenemyError, match="was deleted or moved while it was trained"):
                write()
    assert not run.path.exists() or not os.listdir(run.path)
