"""Arrays in one file are known by their names, in .npz and .mat files alike."""

import re

import numpy as np
import pytest
import scipy.io

from frenemy.data import describe, open_dataset, open_images
from frenemy.errors import FrenemyError

from .data_files import all_of, same_set, some_images

SIDE = 6
IMAGES = some_images(30, SIDE, SIDE)[:, 0]
CLASSES = np.arange(30) % 3 + 1


def save_mat(path, **arrays):
    scipy.io.savemat(path, arrays)


SAVE = {".npz": np.savez, ".mat": save_mat}
both = pytest.mark.parametrize("end", SAVE)


def write(folder, end, **arrays):
    SAVE[end](folder / f"set{end}", **arrays)
    return folder / f"set{end}"


def classes_of(source):
    """What each image is called, by its pixels."""
    names = [source.classes[label] for label in source.labels]
    return {image.tobytes(): name for image, name in zip(source.images, names, strict=True)}


EXPECTED = {image.tobytes(): str(k) for image, k in zip(IMAGES, CLASSES, strict=True)}


@both
@pytest.mark.parametrize(
    "name", ["labels", "label", "y", "Y", "targets", "target", "class", "gnd", "labs_ex", "arr_1"]
)
@pytest.mark.parametrize(
    "form",
    [lambda y: y, lambda y: y[:, None], lambda y: y.astype(float), lambda y: np.eye(4)[y]],
    ids=["flat", "column", "float", "one-hot"],
)
def test_labels_by_any_name_and_form(tmp_path, end, name, form, recwarn):
    path = write(tmp_path, end, **{"images": IMAGES, name: form(CLASSES)})
    assert classes_of(open_images(path)) == EXPECTED
    assert not recwarn


def test_arrays_that_were_saved_without_names(tmp_path):
    np.savez(tmp_path / "set.npz", IMAGES, CLASSES)
    assert classes_of(open_images(tmp_path / "set.npz")) == EXPECTED


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_that_are_text(tmp_path, kind):
    path = write(tmp_path, ".npz", images=IMAGES, labels=CLASSES.astype(kind))
    assert classes_of(open_images(path)) == EXPECTED


SEVERAL = (np.arange(90).reshape(30, 3) % 4 == 0).astype(np.uint8)
NO_LABELS = {
    "several classes an image": (SEVERAL, "give 0 to 1 of 3 classes an image, instead of one"),
    "scores": (np.linspace(0, 1, 30), "are no whole numbers of 64 bits: 0.03"),
    "probabilities": (np.full((30, 3), 1 / 3), "are 3 numbers an image, other than 0 and 1"),
    "a wrong count": (CLASSES[:29], r"for 30 images"),
    "not a number": (np.full(30, np.nan), "no whole numbers of 64 bits: nan"),
    "infinite": (np.full(30, -np.inf), "no whole numbers of 64 bits: -inf"),
    "large": (np.full(30, 2.0**63), "no whole numbers of 64 bits"),
    "larger than any": (np.full(30, 2**63, np.uint64), "no whole numbers of 64 bits"),
}


@both
@pytest.mark.parametrize("case", NO_LABELS)
def test_what_are_no_labels_is_told(tmp_path, end, case):
    values, reason = NO_LABELS[case]
    path = write(tmp_path, end, images=IMAGES, y=values)
    told = f"`y` are no labels that are read: .*{reason}"
    with pytest.warns(UserWarning, match=f"set: {told}"):
        assert not open_dataset(path).train.classes
    report = describe(path)
    assert re.search(told, report.note) and not report.classes


def test_several_classes_an_image_are_not_taken_for_one(tmp_path):
    two = np.eye(3, dtype=np.uint8)[CLASSES - 1] | np.eye(3, dtype=np.uint8)[0]
    path = write(tmp_path, ".npz", train_images=IMAGES, train_labels=two)
    with pytest.warns(UserWarning, match="give 1 to 2 of 3 classes"):
        assert open_images(path).labels is None


def test_the_first_name_whose_labels_can_be_is_taken(tmp_path):
    path = write(tmp_path, ".npz", images=IMAGES, labels=CLASSES / 2, y=CLASSES)
    with pytest.warns(UserWarning, match="`labels` are no labels"):
        assert classes_of(open_images(path)) == EXPECTED


def test_what_could_be_labels_by_another_name_is_told(tmp_path):
    path = write(tmp_path, ".npz", images=IMAGES, kind=CLASSES, score=CLASSES / 2)
    with pytest.warns(UserWarning, match="no labels, unless `kind` should be named `labels`"):
        assert open_images(path).labels is None


PARTS = {"train": slice(0, 17), "valid": slice(17, 22), "test": slice(22, 30)}
NAMINGS = [
    ("x_{}", "y_{}", ("train", "val", "test")),
    ("X_{}", "Y_{}", ("train", "valid", "test")),
    ("X{}", "y{}", ("tr", "val", "te")),
    ("{}X", "{}Y", ("train", "dev", "test")),
    ("{}_images", "{}_labels", ("train", "val", "test")),
    ("{}Images", "{}Labels", ("training", "validation", "testing")),
    ("{}_data", "{}_labels", ("train", "val", "test")),
    ("{}_x", "{}_targets", ("train", "val", "test")),
    ("{}", "{}_label", ("train", "val", "test")),
]


@both
@pytest.mark.parametrize("naming", NAMINGS)
def test_parts_by_their_names(tmp_path, end, naming, recwarn):
    images, labels, names = naming
    arrays = {}
    for name, where in zip(names, PARTS.values(), strict=True):
        arrays |= {images.format(name): IMAGES[where], labels.format(name): CLASSES[where]}
    dataset = open_dataset(write(tmp_path, end, **arrays))
    for part, where in PARTS.items():
        source = getattr(dataset, part)
        assert same_set(source.images, IMAGES[where])
        assert classes_of(source).items() <= EXPECTED.items()
    assert not recwarn


def test_one_part_beside_train_is_the_test_part(tmp_path):
    for other in ("test", "val"):
        arrays = {"x_train": IMAGES[:20], f"x_{other}": IMAGES[20:]}
        dataset = open_dataset(write(tmp_path, ".npz", **arrays))
        assert same_set(dataset.test.images, IMAGES[20:])
        assert dataset.description == "NPZ file, 20 + 10 images 6x6 grey"


def test_train_alone_is_the_whole_set(tmp_path):
    dataset = open_dataset(write(tmp_path, ".npz", x_train=IMAGES, y_train=CLASSES))
    assert len(dataset.test) == 3
    assert len(all_of(dataset)[0]) == 30
    assert dataset.train.classes == ("1", "2", "3")
    named = write(tmp_path, ".npz", train_images=IMAGES, labels=CLASSES)
    assert classes_of(open_images(named)) == EXPECTED


def test_labels_of_some_parts_only_are_told(tmp_path):
    path = write(tmp_path, ".npz", x_train=IMAGES, y_train=CLASSES, x_test=IMAGES)
    with pytest.warns(UserWarning, match="not all parts have labels"):
        assert open_dataset(path).train.labels is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (IMAGES[:, :5], r"differ in size: as \(N, C, H, W\) x_train \(30, 1, 6, 6\), x_test"),
        (IMAGES / 255, "images of several types"),
    ],
)
def test_parts_that_differ_are_refused(tmp_path, other, message):
    path = write(tmp_path, ".npz", x_train=IMAGES, x_test=other)
    with pytest.raises(FrenemyError, match=message):
        open_dataset(path)


@both
def test_several_arrays_that_can_be_images_are_asked_about(tmp_path, end):
    for arrays in (
        {"a": IMAGES, "b": IMAGES[:9]},
        {"x_val": IMAGES, "x_test": IMAGES},
        {"x": IMAGES, "x_train": IMAGES, "x_test": IMAGES},
        {"x_train": IMAGES, "train_images": IMAGES, "x_test": IMAGES},
        {f"train{k}": IMAGES for k in range(5)},
    ):
        with pytest.raises(FrenemyError) as refused:
            open_dataset(write(tmp_path, end, **arrays))
        names = ", ".join(arrays)
        assert str(refused.value).endswith(f"Name it `images`; those that could be: {names}")


@both
def test_the_name_of_images_decides_and_what_is_left_out_is_told(tmp_path, end, recwarn):
    open_dataset(write(tmp_path, end, images=IMAGES, other=IMAGES[:9]))
    assert not recwarn
    path = write(tmp_path, end, x=IMAGES, other=IMAGES[:9])
    with pytest.warns(UserWarning, match="left out, though they could be images: `other`"):
        assert same_set(open_images(path).images, IMAGES)


@both
def test_an_array_for_each_digit(tmp_path, end):
    sizes = {"train": 3, "test": 2}
    arrays, expected = {}, {}
    for part, count in sizes.items():
        for digit in range(10):
            images = some_images(count, SIDE, SIDE, seed=100 * count + digit)[:, 0]
            flat = images.reshape(count, -1)  # row by row
            arrays[f"{part}{digit}"] = flat if end == ".mat" else images
            expected |= {image.tobytes(): (part, str(digit)) for image in images}
    dataset = open_dataset(write(tmp_path, end, **arrays))
    assert dataset.description.endswith("30 + 20 images 6x6 grey, 10 classes")
    found = {}
    for part, sources in {"train": (dataset.train, dataset.valid), "test": (dataset.test,)}.items():
        for source in sources:
            found |= {image: (part, name) for image, name in classes_of(source).items()}
    assert found == expected


def test_vectors_and_small_tables_of_a_mat_file_are_no_images(tmp_path):
    arrays = {"faces": IMAGES, "ids": np.arange(36), "places": np.zeros((30, 4)), "n": 5}
    assert same_set(open_images(write(tmp_path, ".mat", **arrays)).images, IMAGES)


@pytest.mark.parametrize("shape", [(9, 9, 3), (4, 9, 9), (9, 9, 1)])
def test_one_picture_in_a_mat_file_is_no_set(tmp_path, shape):
    with pytest.raises(FrenemyError, match="no array can be images"):
        open_dataset(write(tmp_path, ".mat", picture=np.ones(shape, np.uint8)))


def test_a_file_without_images_tells_what_is_in_it(tmp_path):
    path = write(tmp_path, ".npz", mu=np.zeros(9), sigma=np.eye(9))
    with pytest.raises(
        FrenemyError, match=r"no array can be images, .*: mu \(9,\), sigma \(9, 9\)"
    ):
        open_dataset(path)


@pytest.mark.parametrize("packed", [False, True])
def test_the_fields_of_a_structure(tmp_path, packed):
    flat = IMAGES.transpose(0, 2, 1).reshape(30, -1)  # column by column
    fields = {
        part: {
            "images": flat[where],
            "labels": CLASSES[where][:, None].astype(float),
            "writers": np.arange(30.0)[where][:, None],
            "nothing": [],
            "text": "text",
        }
        for part, where in (("train", slice(0, 20)), ("test", slice(20, 30)))
    }
    codes = np.array([[k, 64 + k, 96 + k] for k in (1, 2, 3)])
    several = np.array([(1,), (2,)], [("a", "O")])
    variables = {"several": several, "dataset": {**fields, "mapping": codes}}
    scipy.io.savemat(tmp_path / "set.mat", variables, do_compression=packed)
    dataset = open_dataset(tmp_path / "set.mat")
    assert same_set(dataset.test.images, IMAGES[20:])
    assert dataset.train.classes == ("A", "B", "C")
    letters = {image: "_ABC"[int(label)] for image, label in EXPECTED.items()}
    assert classes_of(dataset.test).items() <= letters.items()


AXES = {
    (28, 28, 60): r"60 images of 28x28: save those as array.transpose\(2, 0, 1\); or 28 grey",
    (32, 48, 900): "900 images of 48x32: save those as array.transpose",
    (32, 48, 3): "one picture of 48x32",
    (32, 48, 4): "one picture of 48x32",
    (32, 48, 1): "one picture of 48x32",
    (3, 32, 48): "one picture of 48x32",
    (1, 32, 48): "one picture of 48x32",
    (60, 784): r"flat ones are to be saved as array.reshape\(-1, 28, 28\)",
    (28, 28, 3, 60): r"its shape is \(28, 28, 3, 60\); images are",
    (3, 28, 28, 60): r"its shape is \(3, 28, 28, 60\); images are",
}


@pytest.mark.parametrize("shape", AXES)
def test_axes_that_may_mean_something_else_are_refused(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    np.save(tmp_path / "set.npy", array)
    np.savez(tmp_path / "set.npz", images=array)
    for name in ("set.npy", "set.npz"):
        with pytest.raises(FrenemyError, match=AXES[shape]):
            open_dataset(tmp_path / name)


@pytest.mark.parametrize(
    "shape", [(60, 28, 28), (28, 28, 28), (500, 4, 4), (60, 64, 128), (9, 16, 16), (30, 5, 4)]
)
def test_axes_that_are_plain(tmp_path, shape):
    np.save(tmp_path / "set.npy", np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
    assert open_images(tmp_path / "set.npy").images.shape == (shape[0], 1, *shape[1:])
    np.save(tmp_path / "told.npy", np.zeros((32, 48, 3, 1), np.uint8) + 255)
    assert open_images(tmp_path / "told.npy").images.shape == (32, 1, 48, 3)
