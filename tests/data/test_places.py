"""Which files are pictures, which links are followed, and zip archives as folders."""

import io
import json
import os
import shutil
import stat
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from frenemy.data import describe, open_dataset, open_images, read_picture
from frenemy.data.detect import find
from frenemy.data.links import Reach
from frenemy.errors import FrenemyError

from .data_files import all_of, same_set, some_images


def encoded(image, suffix="png"):
    with io.BytesIO() as file:
        pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
        Image.fromarray(pixels).save(file, suffix)
        return file.getvalue()


def save(root, names, seed=0, suffix="png"):
    """Pictures of these names, all different; returns them, (N, 1, 8, 8)."""
    images = some_images(len(names), 8, 8, seed=seed)
    for name, image in zip(names, images, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(image, suffix))
    return images


def found(folder):
    return [file.name for file in find(folder).files]


JPEGS = ("a.jfif", "b.jpe", "c.jif", "d.JPG", "e.pjpeg", "f.jpg_large", "0a1b2c", "g.heic", "h.2")


def test_pictures_by_whatever_ending(tmp_path):
    save(tmp_path, JPEGS, suffix="jpeg")
    save(tmp_path, ["i.apng", "j.PNG", "k"])
    save(tmp_path, ["l.dib", "m"], suffix="bmp")
    for name in ("LICENSE", "notes.txt", "n.7", "Makefile", "BMW", ".hidden"):
        (tmp_path / name).write_bytes(b"BM, no picture at all, whatever it is called")
    (tmp_path / "text.heic").write_bytes(b"no picture")
    names = [*JPEGS, "i.apng", "j.PNG", "k", "l.dib", "m"]
    assert found(tmp_path) == sorted(names)
    assert describe(tmp_path).unreadable == {
        "text.heic": "is not of a format that is read: convert it to PNG or JPEG"
    }


def test_a_pipe_is_never_opened(tmp_path):
    save(tmp_path, ["a.png"])
    for name in ("pipe.png", "pipe"):
        os.mkfifo(tmp_path / name)
    assert found(tmp_path) == ["a.png"]
    assert describe(tmp_path).unreadable == {"pipe.png": "is a pipe or a device, not a file"}
    with pytest.raises(FrenemyError, match=r"pipe\.png: is a pipe or a device, not a file"):
        read_picture(tmp_path / "pipe.png")


def test_a_contact_sheet_is_no_picture_of_the_set(tmp_path):
    save(tmp_path, ["a.png", "contact-sheet.png"])
    assert found(tmp_path) == ["a.png"]
    assert "contact sheet" in describe(tmp_path).unreadable["contact-sheet.png"]


# ---- links


def link(place, target):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def test_a_subset_of_links_to_pictures(tmp_path, cache):
    images = save(tmp_path / "store", [f"{kind}/{i}.png" for kind in "ab" for i in range(5)])
    for kind in "ab":
        for i in range(5):
            link(tmp_path / "subset" / kind / f"{i}.png", f"../../store/{kind}/{i}.png")
    data = open_dataset(tmp_path / "subset")
    assert same_set(all_of(data)[0], images) and data.train.classes == ("a", "b")


@pytest.mark.parametrize("how", ["relative", "absolute"])
def test_a_set_of_links_to_class_folders(tmp_path, cache, how):
    images = save(tmp_path / "store", [f"{kind}/{i}.png" for kind in "ab" for i in range(5)])
    for kind in "ab":
        target = f"../store/{kind}" if how == "relative" else tmp_path / "store" / kind
        link(tmp_path / "classes" / kind, target)
    data = open_dataset(tmp_path / "classes")
    assert same_set(all_of(data)[0], images) and data.train.classes == ("a", "b")


def test_a_cache_of_the_hugging_face_hub(tmp_path, cache):
    images = save(tmp_path, [f"blobs/{i:064x}" for i in range(9)])
    for i in range(9):
        link(tmp_path / f"snapshots/abc/train/{i}.png", f"../../../blobs/{i:064x}")
    link(tmp_path / "snapshots/abc/dataset.json", "../../blobs/none")
    with pytest.warns(UserWarning, match=r"1 left out: dataset\.json: is a link to nothing"):
        assert same_set(open_images(tmp_path / "snapshots/abc").images, images)
    (tmp_path / "snapshots/abc/dataset.json").unlink()
    shutil.rmtree(cache)
    assert same_set(open_images(tmp_path).images, images)


def test_no_folder_is_read_twice_and_no_circle_is_entered(tmp_path):
    folder = tmp_path / "set"
    save(folder, ["b/1.png", "b/2.png"])
    save(tmp_path / "other", ["deep/3.png"])
    link(folder / "a", "b")  # its own folder goes by its own name
    link(folder / "b" / "up", "..")
    link(folder / "holds", "../..")
    link(folder / "other", "../other")
    link(folder / "part", "../other/deep")
    link(tmp_path / "other" / "back", "../set")
    link(folder / "itself", "itself")
    origin = find(folder)
    assert [file.name for file in origin.files] == ["b/1.png", "b/2.png", "other/deep/3.png"]
    assert origin.skipped == {
        "a": "leads to b/, which is read once",
        "b/up": "leads to the folder itself, which is read once",
        "holds": "leads to a folder that holds it, which is read once",
        "other/back": "leads to the folder itself, which is read once",
        "part": "leads to other/deep/, which is read once",
        "itself": os.strerror(40),
    }


@pytest.mark.parametrize("target", ["/", "/proc", "/sys/kernel", "/dev/null"])
def test_links_into_the_system_are_not_followed(tmp_path, target):
    save(tmp_path, ["a.png"])
    link(tmp_path / "b.png", target)
    assert list(find(tmp_path).skipped) == ["b.png"]
    assert found(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("theirs", "mode", "followed"),
    [
        ("other", 0o755, True),  # open to everybody
        ("other", 0o700, False),
        ("other/secret", 0o711, True),  # to be passed through
        ("other/secret", 0o700, False),
        ("other/secret/a.png", 0o600, False),
        ("other/secret/a.png", 0o644, True),
    ],
)
def test_links_are_followed_as_far_as_the_owner_of_the_folder_could(
    tmp_path, monkeypatch, theirs, mode, followed
):
    save(tmp_path / "other/secret", ["a.png"])
    link(tmp_path / "set" / "a.png", "../other/secret/a.png")
    place, real = os.path.realpath(tmp_path / theirs), os.stat

    def status(path, **how):  # one place is another's, and of that mode
        fields = list(real(path, **how))
        other = not isinstance(path, int) and os.path.realpath(path) == place
        fields[0] = stat.S_IFMT(fields[0]) | (mode if other else 0o755)
        fields[4] = 7 if other else 8
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", status)
    assert (Reach(8).refusal(str(tmp_path / "set" / "a.png")) is None) == followed
    assert Reach(0).refusal(str(tmp_path / "set" / "a.png")) is None  # who may go anywhere


# ---- StyleGAN's layout, and zip archives


def stylegan(labels=True, count=24):
    """Its files by name, and the images, (N, 3, 8, 8)."""
    images = some_images(count, 8, 8, 3)
    names = [f"{i // 10:05d}/img{i:08d}.png" for i in range(count)]
    files = {name: encoded(image) for name, image in zip(names, images, strict=True)}
    told = [[name, i % 3 * 5] for i, name in enumerate(names)] if labels else None
    files["dataset.json"] = json.dumps({"labels": told}).encode()
    return files, images


def zipped(path, files, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def unpacked(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def put(where, files, kind):
    if kind == "folder":
        return unpacked(where / "set", files)
    how = zipfile.ZIP_STORED if kind == "zip" else zipfile.ZIP_DEFLATED
    return zipped(where / "set.zip", files, how)


KINDS = ("folder", "zip", "packed zip")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inside", ["", "data/faces/"])
def test_stylegans_labels_are_read(tmp_path, cache, kind, inside):
    files, images = stylegan()
    path = put(tmp_path, {inside + name: data for name, data in files.items()}, kind)
    data = open_dataset(path)
    assert data.train.classes == ("0", "5", "10") and data.train.name == "set train"
    order = [x.tobytes() for x in images]
    for image, label in zip(*all_of(data), strict=True):
        assert order.index(image.tobytes()) % 3 == label
    assert describe(path).classes == {"0": 8, "5": 8, "10": 8}


@pytest.mark.parametrize("kind", KINDS)
def test_stylegans_shards_are_no_classes(tmp_path, cache, kind, recwarn):
    assert open_dataset(put(tmp_path, stylegan(labels=False)[0], kind)).train.classes == ()
    assert not recwarn


def test_other_labels_are_another_set(tmp_path, cache):
    digests = set()
    for labels in (True, False):
        digests.add(open_dataset(unpacked(tmp_path / "set", stylegan(labels)[0])).train.digest)
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ([["a.png", [0, 1]], ["b.png", [1, 0]], ["c.png", [0, 1]]], ("0", "1"), ""),
        ([["a.png", 1], ["b.png", 2]], (), "1 pictures, such as c.png, have no label"),
        ([["a.png", 1.5], ["b.png", 2], ["c.png", 3]], None, "neither whole numbers nor one-hot"),
        ([["a.png", 1, 2]], None, "no pairs of a name and a label"),
        ({"a.png": 1}, None, "no pairs of a name and a label"),
    ],
)
def test_labels_of_other_kinds(tmp_path, labels, classes, said):
    save(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    if classes is None:
        with pytest.raises(FrenemyError, match=rf"dataset\.json: .*{said}"):
            describe(tmp_path)
    else:
        report = describe(tmp_path)
        assert tuple(report.classes) == classes and said in report.note


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"labels": '])
def test_damaged_labels_are_refused(tmp_path, text):
    save(tmp_path, ["a.png"])
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(FrenemyError, match=r"dataset\.json: damaged labels .*repair or remove"):
        describe(tmp_path)


@pytest.mark.parametrize("text", ["[1]", '{"images": 3}', "7"])
def test_labels_of_another_program_are_not_taken(tmp_path, text):
    save(tmp_path, ["a/a.png", "b/b.png"])
    (tmp_path / "dataset.json").write_text(text)
    assert describe(tmp_path).classes == {"a": 1, "b": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_zip_is_read_as_the_folder_it_holds(tmp_path, cache, kind):
    names = [f"in/{part}/{kind}/{i}.png" for part in ("train", "test") for kind in "ab"
             for i in range(6)]  # fmt: skip
    images = some_images(len(names), 8, 8)
    files = {name: encoded(image) for name, image in zip(names, images, strict=True)}
    more = {
        "in/stray.png": encoded(images[0]), "in/readme.txt": b"text", "__MACOSX/in/._a.png": b"x",
        "in/.hidden.png": b"x", "in/@eaDir/t.jpg": b"x", "in/runs/1/run.json": b"{}",
        "in/runs/1/samples/1.png": encoded(images[1]), "in/train/a/bad.png": b"nonsense",
    }  # fmt: skip
    path = put(tmp_path, {**files, **more}, kind)
    with pytest.warns(UserWarning, match="3 left out"):
        data = open_dataset(path)
    assert same_set(
        data.test.images, [x for n, x in zip(names, images, strict=True) if "test" in n]
    )
    assert same_set(all_of(data)[0], images) and data.train.classes == ("a", "b")
    assert set(describe(path).unreadable) == {"in/runs/1/", "in/stray.png", "in/train/a/bad.png"}
    assert set(tmp_path.iterdir()) == {path, cache}  # nothing was unpacked


def test_names_that_lead_out_of_a_zip_and_links_in_it(tmp_path):
    picture = encoded(some_images(1, 8, 8)[0])
    out = dict.fromkeys(("../a.png", "/b.png", "x/../../c.png", "C:/d.png"), picture)
    path = zipped(tmp_path / "set.zip", {"good.png": picture, "w\\in.png": picture, **out})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "good.png")
    origin = find(path)
    assert origin.read(None).count == 2
    assert set(origin.skipped) == {*out, "link.png"}
    assert origin.skipped["link.png"] == "is a link; in an archive none is followed"


@pytest.mark.parametrize("name", [".", "./", "/"])
def test_a_member_without_a_name_is_no_picture(tmp_path, cache, name):
    files = {f"{i}.png": encoded(image) for i, image in enumerate(some_images(10, 8, 8))}
    data = open_dataset(zipped(tmp_path / "set.zip", {name: b"x", **files}))
    assert len(all_of(data)[0]) == 10


def test_a_zip_of_no_pictures(tmp_path):
    with pytest.raises(FrenemyError, match=r"set\.zip: a zip without pictures"):
        find(zipped(tmp_path / "set.zip", {"a.txt": b"text"})).read(None)
    (tmp_path / "set.zip").write_bytes(b"PK\3\4 and nothing more")
    with pytest.raises(FrenemyError, match=r"set\.zip: damaged zip archive"):
        find(tmp_path / "set.zip")


def test_an_npz_is_still_one_of_arrays(tmp_path):
    np.savez(tmp_path / "set.npz", images=some_images(9))
    assert find(tmp_path / "set.npz").kind == "NPZ file"


def test_a_folder_that_holds_a_zip_alone(tmp_path):
    zipped(tmp_path / "set.zip", stylegan()[0])
    with pytest.raises(FrenemyError, match=r"holds no pictures; give the file .*set\.zip"):
        find(tmp_path)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, "encrypted"])
def test_members_that_cannot_be_read_are_named(tmp_path, how):
    picture = encoded(some_images(1, 8, 8)[0])
    path = zipped(tmp_path / "set.zip", {"a.png": picture})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.png", picture, zipfile.ZIP_STORED if how == "encrypted" else how)
    if how == "encrypted":
        data = bytearray(path.read_bytes())
        data[data.rindex(b"PK\1\2") + 8] |= 1
        path.write_bytes(data)
    reason = "is encrypted" if how == "encrypted" else "is compressed otherwise than by deflate"
    assert find(path).skipped == {"b.png": reason}


@pytest.mark.parametrize("size", [2**31, 2**32 - 2])
def test_a_member_that_lies_about_its_size(tmp_path, size):
    picture = encoded(some_images(1, 8, 8)[0])
    path = zipped(tmp_path / "set.zip", {"good.png": picture, "bad.png": picture})
    data = bytearray(path.read_bytes())
    where = data.rindex(b"PK\1\2") + 24
    data[where : where + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    assert "claims" in describe(path).unreadable["bad.png"]


def test_a_member_that_is_damaged(tmp_path):
    images = some_images(2, 32, 32)
    files = {f"{i}.png": encoded(image) for i, image in enumerate(images)}
    path = zipped(tmp_path / "set.zip", files)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 255
    path.write_bytes(data)
    report = describe(path)
    assert report.count == 1 and list(report.unreadable) == ["0.png"]
