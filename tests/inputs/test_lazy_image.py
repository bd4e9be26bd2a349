"""Images are read when they are asked for: memory does not grow with their number, and bad files are found before."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.disk.git_lfs import is_pointer
from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.images.labelled import Intended, LabelledImage
from xai_eval.inputs.images.own_settings import own_settings

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4" * 64 + "\nsize 12345\n"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, each of one colour."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("abc"):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(folder / f"{name}.png")
    return folder


def test_only_the_image_that_was_read_last_is_kept(photos: Path) -> None:
    images = load_images(photos)
    kept = []
    for number, image in enumerate(images.images):
        assert (image.pixels[..., 0] == number).all()
        assert image.pixels is image.pixels  # a task asks several times
        kept.append(weakref.ref(image.pixels))
    gc.collect()
    assert [each() is None for each in kept] == [True, True, False]


@pytest.mark.parametrize("spec", ["scenes:3", "photos"])
def test_what_is_read_again_is_what_a_copy_in_memory_keeps(photos: Path, monkeypatch, spec: str) -> None:
    monkeypatch.chdir(photos.parent)
    for image in load_images(spec).images:
        copy = dataclasses.replace(image, intended=Intended("other"))
        assert type(copy) is LabelledImage
        assert copy.intended == Intended("other")
        assert np.array_equal(copy.pixels, image.pixels)
        assert copy.digest == image.digest
        assert (copy.mask is None) == (image.mask is None)
        assert copy.mask_digest == image.mask_digest
        assert copy.concepts.keys() == image.concepts.keys()


@pytest.mark.parametrize("masked", [True, False])
def test_no_image_is_read_again_for_the_digest_of_its_mask(photos: Path, masked: bool) -> None:
    if masked:
        for part in ("images", "masks"):
            (photos / part).mkdir()
        (photos / "a.png").rename(photos / "images" / "a.png")
        for name in "bc":
            (photos / f"{name}.png").unlink()
        Image.fromarray(np.eye(30, 40, dtype=np.uint8) * 255).save(photos / "masks" / "a.png")
    image = load_images(photos).images[0]
    expected = hashlib.sha256(np.eye(30, 40, dtype=bool).tobytes()).hexdigest() if masked else ""
    for file in photos.rglob("*.png"):
        file.unlink()
    assert image.mask_digest == expected


def test_images_are_found_after_the_working_directory_changed(photos: Path, monkeypatch) -> None:
    monkeypatch.chdir(photos.parent)
    images = load_images("photos")
    monkeypatch.chdir("/")
    assert [int(image.pixels[0, 0, 0]) for image in images.images] == [0, 1, 2]


def test_a_file_that_changes_during_the_run_is_refused(photos: Path) -> None:
    images = load_images(photos)
    Image.new("RGB", (40, 30), (9, 9, 9)).save(photos / "b.png")
    assert images.images[0].pixels.any() is np.False_
    with pytest.raises(InputUnavailable, match=r"b\.png was changed after the run had begun"):
        _ = images.images[1].pixels


def test_all_bad_files_are_named_before_anything_is_read_again(photos: Path) -> None:
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:60])
    (photos / "z.png").write_text(POINTER)
    with pytest.raises(InputUnavailable) as caught:
        load_images(photos)
    text = str(caught.value)
    assert text.startswith("2 images cannot be used:\n")
    assert "b.png is truncated" in text
    assert "z.png is a Git LFS pointer, not the file itself: run `git lfs pull`" in text


def test_one_bad_file_keeps_its_own_message(photos: Path) -> None:
    (photos / "z.png").write_text(POINTER)
    with pytest.raises(InputUnavailable, match=r"^.*z\.png is a Git LFS pointer"):
        load_images(photos)


def test_a_pointer_with_line_ends_of_windows_is_one() -> None:
    assert is_pointer(POINTER.replace("\n", "\r\n").encode())
    assert not is_pointer(b"version https://example.org\n")


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "._a.png", "a.png~", ".a.png.swp", "#a.png#", "desktop.ini"]
)
@pytest.mark.parametrize("spec", ["", "*"])
def test_stray_files_are_no_images(photos: Path, name: str, spec: str) -> None:
    (photos / name).write_bytes(b"\x00\x05\x16\x07")
    images = load_images(photos / spec)
    assert [image.name for image in images.images] == ["a.png", "b.png", "c.png"]


def test_a_folder_of_nothing_but_stray_files_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"")
    with pytest.raises(InputUnavailable, match="is empty"):
        load_images(tmp_path)


def test_warnings_are_as_before_whatever_threads_have_dropped_them_meanwhile() -> None:
    before = list(warnings.filters)
    first, second = own_settings(), own_settings()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)  # it entered first, as one of two threads may
        warnings.warn("dropped", stacklevel=1)
        second.__exit__(None, None, None)
        warnings.warn("told", stacklevel=1)
    assert [str(each.message) for each in seen] == ["told"] and list(warnings.filters) == before
