"""What `~` stands for, places that take no file, and the cache of who has no home."""

import os
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from frenemy import FrenemyError, Model, open_dataset, train
from frenemy.cli import main
from frenemy.data import Dataset
from frenemy.pictures import save_picture
from frenemy.places import _temporary_cache, cache_folder, require_place, user_path
from frenemy.recipes import digits2014


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a current folder elsewhere."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture
def pictures(home):
    """A few pictures in the home folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), np.uint8)
    for i, image in enumerate(pixels):
        save_picture(image, home / "pictures" / f"{i}.png")
    return home / "pictures"


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """A user without a home folder, who has an empty temporary folder."""
    for name in ("FRENEMY_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(*_):
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _temporary_cache.cache_clear()
    yield tmp_path
    _temporary_cache.cache_clear()


class TestTilde:
    def test_in_words_it_is_the_home_folder_wherever_a_path_is_meant(self, home, pictures, capsys):
        assert main(["train", "digits", "--data=~/pictures", "--steps=3", "--out=~/runs/a"]) == 0
        assert (home / "runs/a/run.json").exists()
        assert main(["sample", "~/runs/a", "--out=~/drawn/"]) == 0
        assert len([*(home / "drawn").iterdir()]) == 64
        assert main(["train", "--resume=~/runs/a", "--steps=5", "--data=~/pictures"]) == 0
        like = ["--like=~/runs/a", "--out=~/b", "--steps=1"]
        assert main(["train", "digits", "--data", str(pictures), *like]) == 0
        assert main(["data", "~/pictures", "-o", "~/sheet.png"]) == 0
        assert not [*Path.cwd().iterdir()]

    def test_in_python_too(self, home, pictures):
        run = train(digits2014, open_dataset("~/pictures"), steps=2, out="~/run")
        assert run.path == home / "run"
        assert Model.load("~/run").progress.step == 2
        assert isinstance(open_dataset("stacked:~/pictures"), Dataset)

    def test_in_the_cache_s_name_too(self, home, monkeypatch):
        monkeypatch.setenv("FRENEMY_CACHE", "~/cache")
        assert cache_folder() == home / "cache"

    def test_it_means_nothing_further_on(self):
        assert user_path("a/~/b~") == Path("a/~/b~")

    def test_a_file_that_begins_with_it_is_one(self):
        assert user_path("~.~lock.png") == Path("~.~lock.png")  # no user has that name

    def test_without_a_home_it_is_refused(self, homeless):
        with pytest.raises(FrenemyError, match="~/x: no home folder is known"):
            user_path("~/x")


class TestCache:
    def test_who_has_no_home_is_told_once_of_a_temporary_one(self, homeless):
        with pytest.warns(UserWarning, match="FRENEMY_CACHE names a better place"):
            folder = cache_folder()
        assert folder.parent == homeless
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert cache_folder() == folder
        _temporary_cache.cache_clear()  # as another process would
        with pytest.warns(UserWarning):
            assert cache_folder() == folder

    def test_a_home_that_cannot_be_written_is_as_good_as_none(self, homeless, monkeypatch):
        (homeless / "file").touch()
        monkeypatch.setenv("HOME", str(homeless / "file"))
        with pytest.warns(UserWarning, match="no home folder to write to"):
            assert cache_folder().parent == homeless

    @pytest.mark.parametrize("left", ["link", "file", "open to all"])
    def test_what_others_left_under_its_name_is_not_taken(self, homeless, left):
        name = homeless / f"frenemy-cache-{os.getuid()}"
        if left == "link":
            (homeless / "theirs").mkdir()
            name.symlink_to(homeless / "theirs")
        elif left == "file":
            name.touch()
        else:
            name.mkdir()
            name.chmod(0o777)
        with pytest.warns(UserWarning):
            folder = cache_folder()
        assert folder != name and folder.parent == homeless
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_a_container_s_user_trains_and_uses_the_run(self, tmp_path):
        """In a process without HOME, whose user has no name."""
        code = (
            "import pwd, sys\n"
            "def nobody(*_): raise KeyError('uid not found')\n"
            "pwd.getpwuid = nobody\n"
            "from frenemy.cli import main\n"
            "for words in (['train', 'digits2014', '--steps', '3', '--out', 'run'],"
            " ['neighbours', 'run', '-n', '5'], ['judge', 'run', '--samples', '100',"
            " '--features', 'pixels', '--metrics', 'fid']):\n"
            "    assert main(words) == 0, words\n"
        )
        kept = {"PATH", "PYTHONPATH", "OMP_NUM_THREADS", "LD_LIBRARY_PATH"}
        environment = {k: v for k, v in os.environ.items() if k in kept}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
            env={**environment, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("FRENEMY_CACHE") == 1


class TestRequiredPlaces:
    def test_trying_leaves_nothing(self, tmp_path):
        require_place(tmp_path / "new" / "a.png", tmp_path / "b.png")
        assert not [*tmp_path.iterdir()]

    def test_what_takes_no_file_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(FrenemyError, match=r"file: cannot write here .* place by -o"):
            require_place(tmp_path / "file" / "a.png")
        with pytest.raises(FrenemyError, match="is a folder"):
            require_place(tmp_path)

    def test_a_read_only_file_system_is_refused(self, tmp_path, monkeypatch):
        def refused(**_):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(tempfile, "TemporaryFile", refused)
        with pytest.raises(FrenemyError, match=r"cannot write here \(Read-only file system\)"):
            require_place(tmp_path / "a.png")

    @pytest.mark.parametrize(
        "verb",
        [
            "sample RUN -o PLACE.png", "sample RUN -o PLACE.npz", "sample RUN -o PLACE/",
            "walk RUN -o PLACE.png", "mix RUN --seeds 1 2 -o PLACE.png",
            "directions RUN -o PLACE.png", "invert RUN PICTURE -o PLACE.png",
            "neighbours RUN -o PLACE.png", "film RUN -o PLACE.gif", "data -o PLACE.png",
            "judge RUN -o PLACE.json", "lab figure1 -o PLACE.html",
        ],
    )  # fmt: skip
    def test_no_verb_works_for_one_that_takes_nothing(self, tmp_path, monkeypatch, capsys, verb):
        train(digits2014, steps=1, out=tmp_path / "run")
        for work in (
            "frenemy.model.Model.load", "frenemy.data.describe", "frenemy.pictures.load_picture",
            "frenemy.lab.lesson.play",
        ):  # fmt: skip
            monkeypatch.setattr(work, lambda *_, **__: pytest.fail("it worked first"))
        (tmp_path / "file").touch()
        words = verb.replace("PLACE", "file/place").replace("RUN", "run").split()
        monkeypatch.chdir(tmp_path)
        assert main(words) == 1
        assert capsys.readouterr().err.startswith("frenemy: file: cannot write here")
