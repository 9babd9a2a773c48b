"""What folders mean: parts and classes, and what is said where a meaning is lost."""

import warnings

import numpy as np
import pytest
from PIL import Image

from frenemy.data import describe, open_dataset, open_images
from frenemy.data.tree import classes_of, part_of

from .data_files import all_of, some_images

LAYOUTS = {
    "plain": ("train/{}", "test/{}"),
    "wrapped": ("archive/fruits/train/{}", "archive/fruits/test/{}"),
    "kaggle": ("training_set/{}", "test_set/{}"),
    "doubled": ("seg_train/seg_train/{}", "seg_test/seg_test/{}"),
    "by year": ("train2017/{}", "val2017/{}"),
    "joined": ("TrainSet/{}", "TestSet/{}"),
    "lower": ("trainset/images/{}", "testset/images/{}"),
    "capitals": ("TRAIN/{}", "TEST/{}"),
    "images": ("data/train_images/{}", "data/test_images/{}"),
    "by class": ("{}/train", "{}/test"),
    "by class, wrapped": ("all/{}/train", "all/{}/valid"),
    "domains": ("train{}", "test{}"),
}
BESIDE = {
    "nothing": (),
    "a picture": ("sample.png",),
    "a sheet": ("contact-sheet.png",),
    "a folder": ("pred/0.png", "pred/1.png"),
    "pictures and folders": ("a.png", "b.png", "pred/seg_pred/0.png", "docs/how/1.png"),
}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "set"


def save(root, names):
    """Pictures of these names, all different; returns their bytes by name."""
    images = some_images(len(names), 8, 8, seed=len(names))
    for name, image in zip(names, images, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(root / name)
    return {name: image.tobytes() for name, image in zip(names, images, strict=True)}


def of(source):
    return {image.tobytes() for image in source.images}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_held_out_pictures_are_not_trained_on(root, cache, layout, beside):
    inside = {
        f"{LAYOUTS[layout][held_out].format(kind)}/{i}.png": (kind, held_out)
        for held_out, count in ((0, 12), (1, 4))
        for kind in "AB"
        for i in range(count)
    }
    saved = save(root, [*inside, *BESIDE[beside]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = open_dataset(root)
    assert of(data.test) == {saved[name] for name, (_, held_out) in inside.items() if held_out}
    assert of(data.train) | of(data.valid) == {
        saved[name] for name, (_, held_out) in inside.items() if not held_out
    }
    assert [name.upper() for name in data.train.classes] == ["A", "B"]
    for image, label in zip(*all_of(data), strict=True):
        (name,) = (name for name, pixels in saved.items() if pixels == image.tobytes())
        assert inside[name][0] == "AB"[label]
    assert [str(warning.message).count("left out") for warning in caught] == [1] * (
        beside != "nothing"
    )


def test_what_lies_beside_the_parts_is_named(root):
    save(root, ["train/a.png", "train/b.png", "test/c.png", "d.png", "pred/e.png", "pred/x/f.png"])
    assert describe(root).unreadable == {
        "d.png": "lies beside the parts test, train",
        "pred/": "lies beside the parts test, train: 2 pictures",
    }


def test_what_lies_beside_does_not_change_the_set(root, cache):
    names = [f"{part}/{i}.png" for part in ("train", "test") for i in range(6)]
    save(root, names)
    before = open_dataset(root)
    save(root / "more", ["a.png"])
    with pytest.warns(UserWarning, match="more/: lies beside the parts"):
        after = open_dataset(root)
    assert after.train.digest == before.train.digest


def test_a_class_without_a_part_of_its_own_keeps_the_others(root, cache):
    kinds = ("cat/train", "cat/test", "dog/train")
    save(root, [f"{kind}/{i}.png" for kind in kinds for i in range(6)])
    data = open_dataset(root)
    assert data.train.classes == ("cat", "dog")
    assert (len(data.train) + len(data.valid), len(data.test)) == (12, 6)


@pytest.mark.parametrize(
    "names",
    [
        ("bullet train", "freight train", "tram"),
        ("train", "car", "bus"),
        ("test tube", "training shoe"),
        ("trainer", "contest"),
        ("train set", "test of courage"),
    ],
)
def test_classes_that_sound_like_parts(root, cache, names):
    save(root, [f"{name}/{i}.png" for name in names for i in range(6)])
    assert open_images(root).classes == tuple(sorted(names))


def test_no_part_to_train_on_is_told(root, cache):
    save(root, [f"{part}/{i}.png" for part in ("test", "val") for i in range(6)])
    with pytest.warns(UserWarning, match="test and val are named as parts, but none to train on"):
        assert open_dataset(root).train.classes == ("test", "val")


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("train", ("train", "")),
        ("Training Set", ("train", "")),
        ("val", ("valid", "")),
        ("test1", ("test", "")),
        ("seg_test", ("test", "seg")),
        ("train_test", None),
        ("trainer", None),
        ("attest", None),
        ("", None),
    ],
)
def test_what_a_folders_name_says(folder, part):
    assert part_of(folder) == part


def test_classes_behind_wrapping_folders():
    names = [f"archive/PetImages/{kind}/{i}.jpg" for kind in ("Cat", "Dog") for i in range(2)]
    assert classes_of(names) == (["Cat", "Cat", "Dog", "Dog"], "")
    assert classes_of([name.replace("Dog", "Cat/more") for name in names])[0] is None


@pytest.mark.parametrize("wrapped", ["", "archive/"])
def test_a_picture_beside_class_folders_is_told(root, cache, wrapped):
    kinds = [f"{wrapped}{kind}/{i}.png" for kind in ("cat", "dog") for i in range(5)]
    save(root, [*kinds, "cover.png"])
    said = r"cover\.png lies in no folder as others do \(.*\): none of these is taken for a class"
    with pytest.warns(UserWarning, match=said):
        data = open_dataset(root)
    assert data.train.classes == ()
    for opaque in (False, True):
        assert "cover.png lies" in describe(root, opaque=opaque).note


def test_pictures_without_classes_say_nothing(root, cache, recwarn):
    save(root, [f"{i}.png" for i in range(10)] + ["more/a.png", "more/deep/b.png"])
    assert len(all_of(open_dataset(root))[0]) == 12
    assert not recwarn


@pytest.mark.parametrize(
    ("name", "shards"),
    [
        ("{0:05d}/img{1:08d}.png", True),
        ("{0:05d}/{1:05d}.png", True),  # as of Flickr-Faces-HQ
        ("{0:05d}/{0:05d}_{1:05d}.png", False),  # as of the German traffic signs
        ("{0:05d}/{2:05d}.png", False),
        ("{0}/{1:05d}.png", False),  # as digits that were written one class after the other
    ],
)
def test_shards_are_no_classes(name, shards):
    names = [name.format(i // 4, i, i % 4) for i in range(12)]
    found, lost = classes_of(names)
    assert (found is None, "numbered folders" in lost) == (shards, shards)


def test_system_folders_are_passed_over(root, cache, recwarn):
    kinds = [f"{part}/{kind}/{i}.png" for part in ("train", "test") for kind in "ab" for i in "123"]
    save(root, kinds)
    before = open_dataset(root)
    folders = ("@eaDir", "$RECYCLE.BIN", "__MACOSX", "System Volume Information", "lost+found")
    more = ("#recycle", "@Recycle", ".Trash-1000", "found.000", "#snapshot", ".ipynb_checkpoints")
    save(root, [f"{where}{name}/x/1.png" for name in folders + more for where in ("", "train/a/")])
    after = open_dataset(root)
    assert (after.train.digest, after.description) == (before.train.digest, before.description)
    assert describe(root).unreadable == {}
    assert not recwarn


def test_a_folder_given_by_a_systems_name_is_read(tmp_path):
    save(tmp_path / "lost+found", ["a.png"])
    assert describe(tmp_path / "lost+found").count == 1


def test_parts_stay_where_some_pictures_of_one_are_damaged(root, cache):
    save(root, [f"{part}/{i}.png" for part in ("train", "test") for i in range(6)])
    for i in range(6):
        (root / "test" / f"{i}.png").write_bytes(b"nonsense")
    with pytest.warns(UserWarning, match="6 left out"):
        source = open_images(root)
    assert np.array_equal(len(source), 6)
