from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.probes.probe_set import Concept
from xai_eval.inputs.probes.probes import load_probe


def put(folder: Path, ids: np.ndarray, stem: str = "a", size: tuple[int, int] = (40, 30)) -> Path:
    for name in ("images", "labels"):
        (folder / name / stem).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (len(stem), 0, 0)).save(folder / "images" / f"{stem}.jpg")
    Image.fromarray(ids).save(folder / "labels" / f"{stem}.png")
    return folder


def classes(folder: Path, text: str = "sky\ncar\ntree\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "classes.txt").write_text(text, encoding="utf-8")
    return folder


def stripes(*values: int, dtype: type = np.uint8) -> np.ndarray:
    """30 x 40 ids: a stripe of rows for every value."""
    return np.repeat(np.array(values, dtype=dtype), 30 // len(values))[:, None].repeat(40, axis=1)


def labels_of(folder: Path, position: int = 0) -> np.ndarray:
    labels = load_probe(folder).read(position).labels
    assert labels is not None
    return labels


def test_ids_become_labels_and_void_none(tmp_path: Path) -> None:
    folder = put(classes(tmp_path / "street"), stripes(0, 1, 2, 3, 255))
    probe = load_probe(folder)
    assert (probe.name, probe.names) == ("street", ("a.jpg",))
    assert probe.concepts == (Concept("sky", "object"), Concept("car", "object"), Concept("tree", "object"))
    image = probe.read(0)
    assert image.name == "a.jpg"
    assert image.pixels.shape == (30, 40, 3)
    assert image.labels is not None
    assert (image.labels.dtype, image.labels.shape) == (np.int32, (1, 30, 40))
    assert np.array_equal(image.labels[0], stripes(1, 2, 3, 0, 0))


def test_palette_indices_are_class_ids(tmp_path: Path) -> None:
    folder = put(classes(tmp_path), stripes(2, 0))
    image = Image.fromarray(stripes(2, 0))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.save(folder / "labels" / "a.png")
    assert np.array_equal(labels_of(folder)[0], stripes(3, 1))


def test_sixteen_bits_hold_more_classes_and_255_is_one_of_them(tmp_path: Path) -> None:
    folder = put(classes(tmp_path, "".join(f"c{i}\n" for i in range(400))), stripes(255, 399, 400, dtype=np.uint16))
    assert np.array_equal(labels_of(folder)[0], stripes(256, 400, 0, dtype=np.uint16))


def test_categories_stand_behind_a_tab(tmp_path: Path) -> None:
    folder = put(classes(tmp_path, "\ufeffsky\tstuff\r\ntraffic light\r\nsigné\tpart\r\n\r\n  \r\n"), stripes(0, 1))
    assert load_probe(folder).concepts == (
        Concept("sky", "stuff"),
        Concept("traffic light", "object"),
        Concept("signé", "part"),
    )


@pytest.mark.parametrize("shape", [(60, 80), (15, 20), (90, 120)])
def test_labels_of_another_size_of_the_same_aspect_keep_it(tmp_path: Path, shape: tuple[int, int]) -> None:
    ids = np.full(shape, 1, dtype=np.uint8)
    if min(shape) < 16:
        with pytest.raises(InputUnavailable, match="expected at least 16"):
            labels_of(put(classes(tmp_path), ids))
    else:
        assert np.array_equal(labels_of(put(classes(tmp_path), ids)), np.full((1, *shape), 2))


def test_labels_of_another_aspect_are_an_error_when_read(tmp_path: Path) -> None:
    probe = load_probe(put(classes(tmp_path), np.zeros((30, 30), dtype=np.uint8)))
    with pytest.raises(InputUnavailable, match=r"labels/a\.png: labels of 30 x 30 pixels for an image of 40 x 30"):
        probe.read(0)


def test_unknown_ids_are_named_with_their_file(tmp_path: Path) -> None:
    put(classes(tmp_path), stripes(0, 4, 200, 255, 3), stem="bad")
    probe = load_probe(put(tmp_path, stripes(0, 1), stem="good"))
    with pytest.raises(
        InputUnavailable, match=r"bad\.png holds the ids 4, 200; expected 0 to 2, .*or 3 or 255 for no label"
    ):
        probe.read(0)
    assert probe.read(1).name == "good.jpg"


def test_label_maps_without_any_label_are_accepted(tmp_path: Path) -> None:
    assert not labels_of(put(classes(tmp_path), stripes(255, 3))).any()


def test_an_image_without_a_label_map(tmp_path: Path) -> None:
    put(classes(tmp_path), stripes(0), stem="a")
    put(tmp_path, stripes(0), stem="sub/b")
    (tmp_path / "labels" / "sub" / "b.png").unlink()
    with pytest.raises(InputUnavailable, match=r"has no label map for 1 of 2 images, first 'sub/b'"):
        load_probe(tmp_path)


def test_label_maps_without_an_image_are_left_out_and_said(tmp_path: Path) -> None:
    put(classes(tmp_path), stripes(0), stem="a")
    put(tmp_path, stripes(0), stem="b")
    (tmp_path / "images" / "b.jpg").unlink()
    probe = load_probe(tmp_path)
    assert (probe.names, probe.notes) == (("a.jpg",), ("1 label maps without an image left out",))


def test_two_images_for_one_label_map(tmp_path: Path) -> None:
    put(classes(tmp_path), stripes(0))
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "a.png")
    with pytest.raises(UsageError, match="same stem"):
        load_probe(tmp_path)


@pytest.mark.parametrize("empty", ["images", "labels"])
def test_no_image_at_all(tmp_path: Path, empty: str) -> None:
    put(classes(tmp_path), stripes(0))
    for path in (tmp_path / empty).iterdir():
        path.unlink()
    with pytest.raises(InputUnavailable, match=f"{empty} is empty"):
        load_probe(tmp_path)


def test_a_list_of_classes_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match=r"classes\.txt is missing; expected .*name the folder images/ itself"):
        load_probe(put(tmp_path, stripes(0)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"classes\.txt is empty"),
        ("\n \n", r"classes\.txt is empty"),
        ("sky\n\ntree\n", "line 2: ''; expected a name"),
        ("sky\ncar\tobject\tred\n", r"line 2: 'car\\tobject\\tred'"),
        ("sky\ncar\t\n", "line 2"),
        ("\tobject\n", "line 1"),
        ("sky\ncar\nsky\n", "lines 1 and 3: two classes are called 'sky'"),
        ("sky\nsky\tpart\n", "lines 1 and 2: two classes are called 'sky'"),
    ],
)
def test_malformed_lists_of_classes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputUnavailable, match=message):
        load_probe(put(classes(tmp_path, text), stripes(0)))


def test_a_list_of_classes_that_is_no_text(tmp_path: Path) -> None:
    put(tmp_path, stripes(0))
    (tmp_path / "classes.txt").write_bytes("Straße\n".encode("latin-1"))
    with pytest.raises(InputUnavailable, match="not text in UTF-8"):
        load_probe(tmp_path)


def test_one_class_is_enough(tmp_path: Path) -> None:
    assert np.array_equal(labels_of(put(classes(tmp_path, "car"), stripes(0, 1)))[0], stripes(1, 0))


def test_the_digest_is_of_images_label_maps_and_classes(tmp_path: Path) -> None:
    digests = [load_probe(put(classes(tmp_path / "one"), stripes(0, 1))).digest]
    assert load_probe(put(classes(tmp_path / "two"), stripes(0, 1))).digest == digests[0]
    for change in (
        lambda folder: put(folder, stripes(1, 0)),
        lambda folder: classes(folder, "sky\ncar\nbush\n"),
        lambda folder: Image.new("RGB", (40, 30), (9, 9, 9)).save(folder / "images" / "a.jpg"),
    ):
        change(tmp_path / "two")
        digests.append(load_probe(tmp_path / "two").digest)
    digests.append(load_probe(tmp_path / "two" / "images").digest)
    assert len(set(digests)) == 5


def test_broken_files_are_found_when_they_are_read(tmp_path: Path) -> None:
    put(classes(tmp_path), stripes(0), stem="a")
    put(tmp_path, stripes(0), stem="b")
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    (tmp_path / "labels" / "b.png").write_bytes(b"\x89PNG")
    probe = load_probe(tmp_path)
    for position, name in enumerate((r"a\.jpg is empty", r"b\.png is not an image")):
        with pytest.raises(InputUnavailable, match=name):
            probe.read(position)


def test_workers_read_the_same(tmp_path: Path) -> None:
    probe = load_probe(put(classes(tmp_path), stripes(0, 1)))
    assert np.array_equal(pickle.loads(pickle.dumps(probe)).read(0).labels, probe.read(0).labels)


@pytest.mark.real
def test_street_scenes(real_data: Path) -> None:
    folder = real_data / "camvid"
    probe = load_probe(folder)
    assert (probe.name, len(probe), probe.notes) == ("camvid", 34, ())
    assert [concept.name for concept in probe.concepts] == (folder / "classes.txt").read_text().split()
    seen: set[int] = set()
    for position, name in enumerate(probe.names):
        image = probe.read(position)
        assert image.pixels.shape == (360, 480, 3)
        assert image.labels is not None
        ids = np.asarray(Image.open(folder / "labels" / name))
        assert np.array_equal(image.labels[0], np.where(ids == 11, 0, ids.astype(int) + 1))
        seen |= set(np.unique(image.labels).tolist())
    assert seen == set(range(12))
