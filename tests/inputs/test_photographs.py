from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import sklearn.datasets

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images import photographs
from xai_eval.inputs.images.images import load_images

CLASSES = {
    "astronaut.png": None,
    "cat.png": ("tabby", "n02123045"),
    "coffee.png": ("espresso", "n07920052"),
    "flower.jpg": None,
    "motorcycle.png": None,
    "rocket.jpg": ("missile", "n03773504"),
    "temple.jpg": ("palace", "n03877845"),
}


def test_the_photographs_are_those_of_the_libraries() -> None:
    loaded = load_images("photographs")
    assert (loaded.name, loaded.complete) == ("photographs", True)
    left, _, _ = skimage.data.stereo_motorcycle()
    expected = [
        skimage.data.astronaut(),
        skimage.data.chelsea(),
        skimage.data.coffee(),
        sklearn.datasets.load_sample_image("flower.jpg"),
        left,
        skimage.data.rocket(),
        sklearn.datasets.load_sample_image("china.jpg"),
    ]
    assert len(loaded) == len(expected)
    for image, pixels in zip(loaded.images, expected, strict=True):
        assert np.array_equal(image.pixels, pixels), image.name


def test_the_classes_that_they_are_meant_to_show() -> None:
    loaded = load_images("photographs")
    found = {image.name: image.intended and (image.intended.name, image.intended.wnid) for image in loaded.images}
    assert found == CLASSES
    assert all(image.notes for image in loaded.images if image.intended is None)


def test_they_are_in_the_wheels_and_come_without_notes_about_their_bytes() -> None:
    for image in load_images("photographs").images:
        library, _, file = image.source.partition(", ")
        assert any(str(each).endswith(file) for each in importlib.metadata.files(library) or ()), image.source
        assert not any("other bytes" in note for note in image.notes)


def other_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folders of both libraries, as if another release were installed."""
    for image in photographs._PHOTOGRAPHS:
        module, library = image.library
        copy = tmp_path / module / image.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photographs._folder(module, library) / image.file, copy)
    monkeypatch.setattr(photographs, "_folder", lambda module, _: tmp_path / module)
    return tmp_path


def test_other_bytes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = other_release(tmp_path, monkeypatch)
    shutil.copy(release / "skimage/data/coffee.png", release / "skimage/data/chelsea.png")
    told = {
        image.name: [note for note in image.notes if "other bytes" in note]
        for image in load_images("photographs").images
    }
    assert [name for name, notes in told.items() if notes] == ["cat.png"]
    assert told["cat.png"][0].startswith(f"in scikit-image {importlib.metadata.version('scikit-image')}, the file has")


def test_a_release_without_a_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = other_release(tmp_path, monkeypatch)
    (release / "skimage/data/rocket.jpg").unlink()
    with pytest.raises(InputUnavailable, match=r"scikit-image .* comes without the photograph rocket\.jpg"):
        load_images("photographs")
