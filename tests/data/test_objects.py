"""Images that a program holds: whatever form the same images have, they are the same set."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from frenemy.data import describe, open_dataset, open_images
from frenemy.data.source import permutation
from frenemy.errors import FrenemyError

COUNT = 40
GREY = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 9), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (COUNT, 8, 9, 3), np.uint8)
LABELS = np.arange(COUNT) % 4
NAMES = ["ant", "bee", "cat", "dog"]


class Items(Dataset):
    """A data set as torch's users write them."""

    def __init__(self, images, labels=None, classes=None):
        self.images, self.labels = images, labels
        self.reads = 0
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        self.reads += 1
        return self.images[i] if self.labels is None else (self.images[i], self.labels[i])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(GREY, LABELS, strict=True))


def feature(kind, **fields):
    return type(kind, (), fields)()


class HuggingFace:
    """What such a data set shows of itself: columns of kinds, and items by column."""

    def __init__(self, image="image", label="label", count=COUNT):
        self.features = {
            "id": feature("Value"),
            image: feature("Image"),
            label: feature("ClassLabel", names=NAMES),
        }
        self.image, self.label, self.count = image, label, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return {"id": i, self.image: Image.fromarray(GREY[i]), self.label: int(LABELS[i])}


def pictures(images):
    return [Image.fromarray(image) for image in images]


def the_same(given, images, labels=None, classes=()):
    """Whether the set is these images in the order in which a set without parts is cut."""
    data = open_dataset(given)
    order = permutation(0, 0, len(images))
    first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    parts = (data.train, data.valid, data.test)
    found = np.concatenate([part.images for part in parts])
    assert [len(part) for part in parts] == [32, 4, 4]
    assert np.array_equal(found, first[order])
    assert data.train.classes == classes
    if labels is None:
        assert data.train.labels is None
    else:
        assert np.array_equal(np.concatenate([part.labels for part in parts]), labels[order])
    return data


FORMS = {
    "array": GREY,
    "array with a channel": GREY[..., None],
    "channels first": GREY[:, None],
    "floats": GREY.astype(np.float32) / 255,
    "tensor": torch.tensor(GREY),
    "tensor of floats": torch.tensor(GREY).float().div(255)[:, None],
    "tensor that learns": torch.tensor(GREY).double().div(255).requires_grad_(),
    "list of arrays": list(GREY),
    "list of pictures": pictures(GREY),
    "tuple of pictures": tuple(pictures(GREY)),
    "generator": (x for x in GREY),
    "data set of pictures": Items(pictures(GREY)),
    "data set of tensors": Items(torch.tensor(GREY).float().div(255)[:, None]),
    "TensorDataset": TensorDataset(torch.tensor(GREY)[:, None]),
    "DataLoader": DataLoader(Items(GREY), batch_size=7),
    "shuffling DataLoader": DataLoader(Items(GREY), batch_size=7, shuffle=True, drop_last=True),
    "DataLoader of pictures": DataLoader(Items(pictures(GREY)), 7, collate_fn=list),
    "DataLoader of tensors": DataLoader(Items(torch.tensor(GREY)), 7, collate_fn=torch.stack),
}


@pytest.mark.parametrize("form", FORMS)
def test_images_in_any_form_are_the_same_set(form):
    data = the_same(FORMS[form], GREY)
    assert data.train.digest == open_dataset(GREY).train.digest
    assert data.arguments["path"] == "memory:"


@pytest.mark.parametrize("form", ["array", "tensor", "list of pictures", "floats"])
def test_colours_are_kept(form):
    turned = {
        "array": COLOUR,
        "tensor": torch.tensor(COLOUR.transpose(0, 3, 1, 2)),
        "list of pictures": pictures(COLOUR),
        "floats": COLOUR / 255,
    }
    the_same(turned[form], COLOUR)


LABELLED = {
    "pair of arrays": (GREY, LABELS),
    "pair of tensors": (torch.tensor(GREY), torch.tensor(LABELS)),
    "pair of lists": (pictures(GREY), LABELS.tolist()),
    "data set": Items(GREY, LABELS),
    "TensorDataset": TensorDataset(torch.tensor(GREY), torch.tensor(LABELS)),
    "DataLoader": DataLoader(Items(GREY, LABELS), batch_size=7, shuffle=True),
    "stream": Stream(),
    "DataLoader of a stream": DataLoader(Stream(), batch_size=7),
    "source": open_images((GREY, LABELS)),
}


@pytest.mark.parametrize("form", LABELLED)
def test_labels_come_with_the_images(form):
    images = GREY if form != "source" else LABELLED["source"].images[:, 0]
    labels = LABELS if form != "source" else LABELLED["source"].labels
    the_same(LABELLED[form], images, labels, ("0", "1", "2", "3"))


NAMED = {
    "data set": Items(GREY, LABELS, NAMES),
    "Hugging Face": HuggingFace(),
    "Hugging Face, other usual names": HuggingFace("img", "labels"),
    "Hugging Face, names of its own": HuggingFace("scan", "species"),
    "names": (GREY, [NAMES[label] for label in LABELS]),
    "array of names": (GREY, np.array(NAMES)[LABELS]),
}


@pytest.mark.parametrize("form", NAMED)
def test_classes_have_their_names(form):
    the_same(NAMED[form], GREY, LABELS, tuple(NAMES))


def test_a_class_without_images_keeps_its_place():
    some = np.flatnonzero(LABELS != 1)
    data = open_dataset(Subset(Items(GREY, LABELS, NAMES), some.tolist()))
    assert data.train.classes == tuple(NAMES)
    assert set(data.train.labels) == {0, 2, 3}


def test_a_sampler_of_some_items_is_kept_to():
    loader = DataLoader(Items(GREY), 4, sampler=SubsetRandomSampler(range(12)))
    found = open_images(loader).images[:, 0]
    assert sorted(x.tobytes() for x in found) == sorted(x.tobytes() for x in GREY[:12])


def test_what_a_loader_gives_one_by_one_are_images():
    colour = torch.arange(40 * 3 * 16 * 16).view(40, 3, 16, 16).remainder(251).byte()
    for given in (Items(colour), Items(colour, LABELS)):
        alone = open_images(DataLoader(given, batch_size=None)).images
        assert np.array_equal(alone, open_images(given).images)
    for collate, size in ((list, 1), (list, 7), (lambda batch: batch, 7)):
        loose = open_images(DataLoader(Items(colour), size, collate_fn=collate)).images
        assert np.array_equal(loose, open_images(Items(colour)).images)


@pytest.mark.parametrize("seed", [0, 1])
def test_opacity_stays_where_it_was_given_whatever_was_opened_before(seed):
    images = np.random.default_rng(seed).integers(0, 256, (40, 4, 8, 8), np.uint8)
    images[:, 3] = 255
    forms = {4: images, 3: list(images)}
    for channels in sorted(forms, reverse=bool(seed)):
        given = forms[channels], LABELS.tolist()
        assert open_dataset(given).shape == (channels, 8, 8)


ONE = GREY[:, None]
PARTED = {
    "dictionary": {"train": ONE[:20], "validation": ONE[20:28], "test": ONE[28:]},
    "of data sets": {
        "test": Items(GREY[28:]),
        "val": Items(GREY[20:28]),
        "train": Items(GREY[:20]),
    },
    "pairs": ((ONE[:20], LABELS[:20]), (ONE[20:28], LABELS[20:28]), (ONE[28:], LABELS[28:])),
}


@pytest.mark.parametrize("form", PARTED)
def test_parts_stay_what_they_are_called(form):
    data = open_dataset(PARTED[form])
    for part, own in ((data.train, GREY[:20]), (data.valid, GREY[20:28]), (data.test, GREY[28:])):
        assert sorted(x.tobytes() for x in part.images) == sorted(x.tobytes() for x in own)


def test_what_is_held_out_alone_is_the_test_part():
    """As Keras gives them, and as Hugging Face does without a test part."""
    pairs = ((GREY[:30], LABELS[:30]), (GREY[30:], LABELS[30:]))
    for given in (pairs, {"train": pairs[0], "validation": pairs[1]}):
        data = open_dataset(given)
        assert sorted(x.tobytes() for x in data.test.images) == sorted(
            x.tobytes() for x in GREY[30:]
        )
        assert [len(data.train), len(data.valid)] == [25, 5]  # a sixth is chosen on


def test_the_digest_tells_images_labels_classes_and_parts():
    other = GREY.copy()
    other[3, 2, 1] ^= 1
    sets = [
        *(GREY, other, GREY[::-1], (GREY, LABELS), (GREY, LABELS[::-1])),
        *(Items(GREY, LABELS, NAMES), Items(GREY, LABELS, NAMES[::-1])),
        *({"train": GREY[:30], "test": GREY[30:]}, {"train": GREY[:20], "test": GREY[20:]}),
    ]
    assert len({open_dataset(given).train.digest for given in sets}) == len(sets)
    assert open_dataset(GREY).train.digest == open_dataset(GREY.copy(), size=4).train.digest


def test_pictures_of_all_sizes_and_modes_are_brought_to_one():
    wide = Image.new("RGB", (20, 10), "red")
    tall = Image.new("L", (6, 30), 100)
    images = open_images([wide, tall, wide, tall], size=5).images
    assert images.shape == (4, 3, 5, 5)
    with pytest.raises(FrenemyError, match="images of 2 sizes"):
        open_images([wide, tall])
    assert describe([wide, tall]).sizes == {"20x10": 1, "6x30": 1}
    assert open_images([wide, tall], size=5, grey=True).shape == (1, 5, 5)


def test_what_pixels_range_over_may_be_said():
    about_0 = GREY / 127.5 - 1
    for given in (about_0, torch.tensor(about_0), list(about_0), Items(about_0.astype("f4"))):
        assert np.array_equal(open_images(given, range="-1..1").images, open_images(GREY).images)
    assert np.array_equal(
        open_images(GREY.astype(np.int64), range="0..255").images, open_images(GREY).images
    )
    with pytest.raises(FrenemyError, match=r"image 0: pixels lie in .* beyond --range 0\.\.1"):
        open_images(list(about_0), range="0..1")


def test_opacity_is_kept_as_in_folders_and_arrays():
    clear = np.random.default_rng(2).integers(0, 255, (6, 4, 4, 4), np.uint8)
    opaque = [Image.fromarray(image[..., :3]) for image in clear]
    assert open_images(clear).shape == (4, 4, 4)
    assert open_images(pictures(clear)[:4] + opaque[:2]).shape == (4, 4, 4)
    with pytest.warns(UserWarning, match="2 of 6 pictures are transparent somewhere, and not most"):
        few = open_images(pictures(clear)[:2] + opaque[:4])
    assert few.shape == (3, 4, 4)
    assert np.array_equal(
        open_images(clear, opaque=True).images, open_images(pictures(clear), opaque=True).images
    )


def test_each_image_is_asked_for_once(monkeypatch):
    given = Items(GREY)
    open_dataset(given)
    assert given.reads == COUNT
    monkeypatch.setattr("frenemy.data.items.KEPT", 10 * GREY[0].nbytes)
    given = Items(GREY[::-1])
    the_same(given, GREY[::-1])
    assert given.reads == COUNT + 30  # what is beyond the bound, once more


def test_what_changes_at_random_is_refused_where_it_would_be_seen(monkeypatch):
    monkeypatch.setattr("frenemy.data.items.KEPT", 10 * GREY[0].nbytes)

    class Flipping(Items):
        def __getitem__(self, i):
            return super().__getitem__(i) + np.uint8(self.reads)

    with pytest.raises(FrenemyError, match="is another each time"):
        open_dataset(Flipping(GREY))


def test_a_stream_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr("frenemy.data.items.KEPT", 10 * GREY[0].nbytes)

    def endless():
        while True:
            yield GREY[0]

    with pytest.raises(FrenemyError, match="can only be gone through"):
        open_dataset(endless())


class Broken(Items):
    def __getitem__(self, i):
        if i == 3:
            raise OSError("gone")
        return super().__getitem__(i)


BAD = {
    "a number": (5, "no images in an object of type int; give an array"),
    "bytes": (b"abc", "no images in an object of type bytes"),
    "nothing": ([], "holds no images"),
    "one picture": (Image.new("L", (8, 8)), "one picture; give a list"),
    "paths": (["a.png", "b.png"], "image 0 is of type str: give a picture"),
    "two axes": (GREY[0], r"its shape is \(8, 9\)"),
    "whole numbers": (GREY.astype(np.int64), "pixels are int64 in 0..255: say what is black"),
    "floats about 0": ([x / 127.5 - 1 for x in GREY], "image 0: pixels are floats in .*=-1..1"),
    "NaN": (np.full((9, 4, 4), np.nan), "not a number"),
    "two ranges": ([GREY[0] / 255, GREY[1] * 1.0], "image 0 lie in 0..1, and of image 1 in 0..255"),
    "too few": (GREY[:2, None], "2 images; a set needs three"),
    "a broken item": (Broken(GREY), "image 3 cannot be read: OSError: gone"),
    "three things": ([(GREY[0], 1, 2)], "image 0 is 3 things"),
    "no image": ([{"text": "x"}], "image 0 has text, and no image"),
    "too few labels": ((GREY, LABELS[:5]), r"labels are of shape \(5,\) for 40 images"),
    "labels of some": ((list(GREY), [1, None] * 20), "labels are missing for some images"),
    "labels that are none": ((GREY, LABELS + 0.5), "labels are no whole numbers"),
    "labels without names": (Items(GREY, LABELS - 1, NAMES), "labels from -1 to 2"),
    "unknown parts": ({"train": GREY, "extra": GREY}, "train, extra: give train, valid and test"),
    "no training part": ({"test": GREY}, "dictionary of test: give train"),
    "one part twice": ({"train": GREY, "training": GREY}, "two of these are one part"),
    "a name": ("memory:", "stands for images that a program held"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_set_is_refused_in_one_line(what):
    given, said = BAD[what]
    with pytest.raises(FrenemyError, match=said) as caught:
        open_dataset(given)
    assert "\n" not in str(caught.value)


def test_labels_of_one_part_alone_are_refused():
    with pytest.raises(FrenemyError, match="one part has labels and another none"):
        open_dataset({"train": (GREY, LABELS), "test": GREY})


def test_columns_that_could_be_meant_are_named():
    given = HuggingFace(label="fine")
    given.features["coarse"] = feature("ClassLabel", names=NAMES[:2])
    with pytest.raises(FrenemyError, match="its columns fine and coarse could each be the label"):
        open_dataset(given)


def test_an_open_set_is_given_back():
    data = open_dataset(GREY)
    assert open_dataset(data) is data
    with pytest.raises(FrenemyError, match="is open already"):
        open_dataset(data, size=4)
