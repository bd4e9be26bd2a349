"""Every file of a folder is read or named, and links are followed as torchvision's ImageFolder follows them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from torchvision.datasets import ImageFolder

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.folder_files import Listing, list_images
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.probes.probes import load_probe

PIXELS = np.add.outer(np.arange(20) * 6, np.arange(24) * 5).astype(np.uint8)


def put(path: Path, shift: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS + np.uint8(shift)).convert("RGB").save(path)
    return path


def told(listing: Listing) -> dict[str, str]:
    return {each.name: each.reason for each in listing.left_out}


def test_every_file_is_read_or_named_with_its_reason(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "deep/c.bmp"):
        put(tmp_path / name)
    for name in ("d.heic", "e.jxl", "f.svg", "g.cr2", "README", "h.csv", ".i.png", ".DS_Store", "Thumbs.db", "._a.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "j.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "k.png")
    listing = list_images(tmp_path)
    assert sorted(path.name for path in listing.images) == ["a.png", "b.jpg", "c.bmp"]
    assert told(listing) == {
        "d.heic": "HEIC: save it as PNG, for example with the package pillow-heif",
        "e.jxl": "JPEG XL: save it as PNG, for example with the package pillow-jxl-plugin",
        "f.svg": "vector graphic: save it as PNG, for example with the package cairosvg",
        "g.cr2": "raw photograph: save it as PNG, for example with the package rawpy",
        **dict.fromkeys(("README", "h.csv"), "no suffix of an image"),
        ".i.png": "hidden",
        ".cache/": "a hidden folder",
        "j.png": "a link that leads nowhere",
        "k.png": "no ordinary file",
    }
    assert "photos: 2 left out (no suffix of an image): README, h.csv" in listing.notes("photos")


@pytest.mark.parametrize(("name", "complete"), [("b.heic", False), ("README.md", True), (".b.png", False)])
def test_a_set_from_which_an_image_was_left_out_is_not_complete(tmp_path: Path, name: str, complete: bool) -> None:
    put(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / name).write_bytes(b"x")
    images = load_images(tmp_path / "photos")
    assert images.complete == complete
    assert len(images.notes) == 1 and name in images.notes[0]
    assert load_probe(tmp_path / "photos").notes == images.notes


@pytest.mark.parametrize("suffix", [".dib", ".ico", ".jfif", ".jpe", ".pgm", ".tga", ".jp2", ".avif"])
def test_images_of_rarer_suffixes_are_read_where_pillow_can(tmp_path: Path, suffix: str) -> None:
    feature = {".jp2": "jpg_2000", ".avif": "avif"}.get(suffix)
    kind = {".jfif": "JPEG", ".jpe": "JPEG", ".pgm": "PPM"}.get(suffix)
    pixels = np.add.outer(np.arange(48) * 2, np.arange(48) * 3).astype(np.uint8)
    put(tmp_path / "a.png")
    if feature and not features.check(feature):
        (tmp_path / f"b{suffix}").write_bytes(b"x")
        assert "the Pillow of this machine cannot read it" in load_images(tmp_path).notes[0]
        return
    Image.fromarray(pixels).save(tmp_path / f"b{suffix}", format=kind)
    images = load_images(tmp_path)
    assert [image.name for image in images.images] == ["a.png", f"b{suffix}"]
    assert np.abs(images.images[1].pixels[..., 0].astype(int) - pixels).mean() < 3


def test_links_are_followed_as_image_folder_follows_them(tmp_path: Path) -> None:
    put(tmp_path / "set" / "cats" / "a.png")
    put(tmp_path / "elsewhere" / "b.png")
    put(tmp_path / "elsewhere" / "deep" / "c.png")
    (tmp_path / "set" / "dogs").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set" / "cats" / "d.png").symlink_to(put(tmp_path / "other.png"))
    reference = {
        Path(path).relative_to(tmp_path / "set").as_posix() for path, _ in ImageFolder(tmp_path / "set").samples
    }
    images = load_images(tmp_path / "set")
    assert {image.name for image in images.images} == reference
    assert images.complete
    assert images.notes == ("set: 2 links lead out of the folder and are followed: cats/d.png, dogs/",)


def test_circles_of_links_end_and_are_named(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    listing = list_images(tmp_path)
    assert [path.name for path in listing.images] == ["x.png"]
    assert told(listing) == {
        "a/up/": "a link back to a folder above it",
        "self.png": "a link that leads nowhere",
    }
    assert not listing.complete


def test_links_that_double_at_every_step_end(tmp_path: Path) -> None:
    for step in range(12):
        (tmp_path / f"{step}").mkdir()
        for way in ("l", "r"):
            (tmp_path / f"{step}" / way).symlink_to(tmp_path / f"{step + 1}", target_is_directory=True)
    put(tmp_path / "12" / "x.png")
    listing = list_images(tmp_path / "0")
    assert 1 <= len(listing.images) <= 16
    assert not listing.complete


def test_what_lies_beside_images_and_masks_is_named(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png")
    for name in ("a", "old"):
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(((PIXELS > 100) * 255).astype(np.uint8)).save(tmp_path / "masks" / f"{name}.png")
    put(tmp_path / "b.png")
    (tmp_path / "masks" / "notes.txt").write_text("x")
    images = load_images(tmp_path)
    assert not images.complete
    assert "1 left out (beside images/ and masks/): b.png" in images.notes[1]
    assert any("(a mask without an image): masks/old" in note for note in images.notes)
    assert any("(no suffix of an image): masks/notes.txt" in note for note in images.notes)


def test_a_glob_names_what_it_matches_and_leaves_out(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "b.heic").write_bytes(b"x")
    assert "b.heic" in load_images(tmp_path / "photos" / "*").notes[0]


def test_a_folder_of_unreadable_images_says_what_would_read_them(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(InputUnavailable, match=r"holds 1 files but no image.*pillow-heif"):
        load_images(tmp_path)


def test_names_that_would_move_a_cursor_are_escaped(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    (tmp_path / "\x1b[2J\u202e.heic").write_bytes(b"x")
    assert load_images(tmp_path).notes[0].endswith(r": \x1b[2J\u202e.heic")


def test_two_spellings_of_a_name_are_one(tmp_path: Path) -> None:
    composed, apart = "\u00e9", "e\u0301"
    put(tmp_path / f"caf{apart}" / f"{apart}.png")
    images = load_images(tmp_path / f"caf{apart}")
    assert (images.name, images.images[0].name) == (f"caf{composed}", f"{composed}.png")
    put(tmp_path / f"caf{apart}" / f"{composed}.png")
    with pytest.raises(UsageError, match="several images called"):
        load_images(tmp_path / f"caf{apart}")
