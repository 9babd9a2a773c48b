import numpy as np
import pytest
from PIL import Image

from frenemy.data import describe, open_dataset
from frenemy.errors import FrenemyError

from .data_files import some_images, write_mnist


@pytest.fixture
def pictures(tmp_path):
    """Two classes, three sizes, two modes, an unreadable file, and images that are equal."""
    folder = tmp_path / "pictures"
    images = some_images(10, 8, 8, 3)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(np.moveaxis(image, 0, -1)).save(folder / "a" / f"{i}.png")
    Image.fromarray(images[1, 0]).save(folder / "b" / "0.png")
    Image.new("RGB", (20, 10), "red").save(folder / "b" / "1.png")
    Image.new("RGB", (20, 10), "red").save(folder / "b" / "2.bmp")
    Image.new("RGB", (10, 20), "red").save(folder / "b" / "3.png")
    (folder / "b" / "4.png").write_bytes(b"nonsense")
    return folder


def test_a_folder_of_mixed_pictures(pictures, cache):
    report = describe(pictures)
    assert (report.kind, report.count) == ("image folder", 14)
    assert report.sizes == {"8x8": 11, "20x10": 2, "10x20": 1}
    assert report.modes == {"RGB": 13, "L": 1}
    assert report.classes == {"a": 10, "b": 4}
    assert report.duplicates == 1
    assert report.duplicate_groups == (("b/1.png", "b/2.bmp"),)
    assert report.unreadable == {"b/4.png": "is not a picture of a known format"}
    assert report.parts == {"train": 12, "valid": 1, "test": 1}
    assert not cache.exists()


def test_resizing_can_make_images_equal(pictures):
    report = describe(pictures, size=8)
    assert report.duplicates == 2
    assert report.duplicate_groups == (("b/1.png", "b/2.bmp", "b/3.png"),)
    assert report.sizes["20x10"] == 2


def test_mean_and_deviation(tmp_path):
    images = some_images(30, 7, 5, 3)
    np.save(tmp_path / "set.npy", images)
    report = describe(tmp_path / "set.npy")
    np.testing.assert_allclose(report.pixel_mean, (images / 255).mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(report.pixel_std, (images / 255).std(axis=(0, 2, 3)))


def test_it_agrees_with_the_set_that_is_opened(tmp_path):
    write_mnist(tmp_path / "mnist")
    report = describe(tmp_path / "mnist")
    dataset = open_dataset(tmp_path / "mnist")
    parts = {name: len(getattr(dataset, name)) for name in ("train", "valid", "test")}
    assert report.parts == parts == {"train": 40, "valid": 8, "test": 10}
    assert report.digest == dataset.train.digest
    assert report.duplicates == 0


@pytest.mark.parametrize(
    "cut", [8, 45]
)  # in the signature; in the pixels, so that the header reads
def test_nothing_readable_is_refused_as_by_open_dataset(tmp_path, cache, cut):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:cut])
    for read in (describe, open_dataset):
        with pytest.raises(FrenemyError, match=r": none of its 1 images can be read; a\.png: "):
            read(tmp_path)
