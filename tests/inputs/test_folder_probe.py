from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.probes.probes import load_probe


def put(path: Path, colour: int = 100, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 0, 0)).save(path)
    return path


def test_photographs_come_in_sorted_order_without_labels(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for colour, name in enumerate(("b.PNG", "a/z.png", "c.png", ".hidden.png", ".cache/x.png")):
        put(folder / name, colour)
    (folder / "README.md").write_text("about these photographs")
    (folder / "index.csv").write_text("file,photographer\nc.png,me\n")
    probe = load_probe(folder)
    assert (probe.name, probe.names) == ("photos", ("a/z.png", "b.PNG", "c.png"))
    assert probe.concepts == ()
    assert probe.notes == (
        "photos: 1 left out (a hidden folder): .cache/",
        "photos: 1 left out (hidden): .hidden.png",
        "photos: 2 left out (no suffix of an image): README.md, index.csv",
    )
    images = [probe.read(position) for position in range(3)]
    assert [image.name for image in images] == list(probe.names)
    assert [image.pixels[0, 0, 0] for image in images] == [1, 0, 2]
    assert images[0].pixels.shape == (30, 40, 3)
    assert images[0].labels is None


def test_nothing_is_decoded_before_it_is_read(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("version https://git-lfs.github.com/spec/v1")
    put(tmp_path / "c.png")
    probe = load_probe(tmp_path)
    assert probe.names == ("a.png", "b.png", "c.png")
    with pytest.raises(InputUnavailable, match=r"b\.png is not an image"):
        probe.read(1)
    assert probe.read(2).name == "c.png"


def test_a_file_that_went_away_is_found_when_it_is_read(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "b.png").unlink()
    (tmp_path / "b.png").mkdir()
    assert load_probe(tmp_path).names == ("a.png",)
    put(tmp_path / "c.png")
    probe = load_probe(tmp_path)
    (tmp_path / "c.png").unlink()
    with pytest.raises(InputUnavailable, match=r"c\.png does not exist"):
        probe.read(1)


def test_the_digest_is_of_contents_wherever_they_lie(tmp_path: Path) -> None:
    first = put(tmp_path / "one" / "a.png").parent
    digest = load_probe(first).digest
    second = put(tmp_path / "two" / "a.png").parent
    assert load_probe(second).digest == digest
    put(second / "b.png")
    more = load_probe(second).digest
    assert more != digest
    put(second / "b.png", colour=101)
    assert len({digest, more, load_probe(second).digest}) == 3
    (second / "notes.txt").write_text("no image")
    (second / "b.png").unlink()
    assert load_probe(second).digest == digest


def test_names_and_bytes_are_told_apart_in_the_digest(tmp_path: Path) -> None:
    for folder, names in (("one", ("a.png", "b.png")), ("two", ("b.png", "a.png"))):
        for colour, name in enumerate(names):
            put(tmp_path / folder / name, colour)
    assert load_probe(tmp_path / "one").digest != load_probe(tmp_path / "two").digest


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    try:
        (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system takes no such names")
    assert len(load_probe(tmp_path).digest) == 64


@pytest.mark.parametrize("made", ["nothing", "a text"])
def test_no_image_at_all(tmp_path: Path, made: str) -> None:
    if made == "a text":
        (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(InputUnavailable, match=r"is empty|holds 1 files but no image"):
        load_probe(tmp_path)


@pytest.mark.parametrize(
    "beside",
    ["dog_object.png", "dog_part_1.png", "dog_color.png", "dog_material.png", "dog_texture_12.png", "dog_seg.PNG"],
)
def test_label_maps_beside_their_images_are_refused(tmp_path: Path, beside: str) -> None:
    put(tmp_path / "pets" / "dog.jpg")
    put(tmp_path / "pets" / beside)
    with pytest.raises(InputUnavailable, match=f"holds pets/{beside} beside an image called dog.*photographs only"):
        load_probe(tmp_path)


def test_names_that_only_look_like_label_maps(tmp_path: Path) -> None:
    for name in ("water_color.png", "cat_object.png", "dog.jpg", "dog_color.jpg", "dog_colors.png", "a/cat.jpg"):
        put(tmp_path / name)
    assert len(load_probe(tmp_path)) == 6


@pytest.mark.parametrize("inner", ["images", "images/pascal"])
def test_the_images_of_broden_are_refused_for_its_own_folder(tmp_path: Path, inner: str) -> None:
    put(tmp_path / "broden" / "images" / "pascal" / "a.jpg")
    (tmp_path / "broden" / "index.csv").write_text("image,split,ih,iw,sh,sw,object\n")
    with pytest.raises(InputUnavailable, match=r"belongs to Broden.*Name .*broden instead"):
        load_probe(tmp_path / "broden" / inner)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("labels", "."), ("labels", "set/labels"), ("masks", "."), ("masks", "set"), ("masks", "set/masks")],
)
def test_folders_of_label_maps_are_refused(tmp_path: Path, kind: str, given: str) -> None:
    put(tmp_path / "set" / "images" / "deep" / "a.jpg")
    put(tmp_path / "set" / kind / "deep" / "a.png")
    with pytest.raises(
        InputUnavailable, match=f"set/{kind}, which holds label maps or masks of.*photographs only.*Name"
    ):
        load_probe(tmp_path / given)


def test_the_images_of_such_a_folder_are_photographs(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.jpg")
    put(tmp_path / "labels" / "a.png")
    assert load_probe(tmp_path / "images").names == ("a.jpg",)


def test_a_relative_folder_has_its_real_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path / "photos")
    assert load_probe(".").name == "photos"


def test_workers_read_the_same(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    probe = load_probe(tmp_path)
    assert np.array_equal(pickle.loads(pickle.dumps(probe)).read(0).pixels, probe.read(0).pixels)


@pytest.mark.real
def test_real_photographs(real_data: Path) -> None:
    probe = load_probe(real_data / "camvid" / "images")
    assert len(probe) == 34
    assert probe.read(33).pixels.shape == (360, 480, 3)
    with pytest.raises(InputUnavailable, match="photographs only"):
        load_probe(real_data)
