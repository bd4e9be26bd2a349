"""A small Broden, written by hand in the layout that the authors' code writes."""

from __future__ import annotations

import csv
import io
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError
from xai_eval.inputs.probes.probe_set import Concept, ProbeSet
from xai_eval.inputs.probes.probes import load_probe

# number: name, and how much it covers in each category
MEANING: dict[int, tuple[str, dict[str, float]]] = {
    1: ("blue-c", {"color": 9.0}),
    2: ("sky", {"object": 5.5}),
    3: ("head", {"part": 0.4, "object": 0.1}),
    4: ("fabric", {"object": 1.25, "material": 4.5}),
    5: ("street-s", {"scene": 12.0}),
    7: ("woven", {"texture": 2.0}),
    8: ("dotted", {"texture": 1.0}),
    600: ("person", {"object": 3.0}),
}
CONCEPTS = (
    Concept("blue", "color"),
    Concept("sky", "object"),
    Concept("head", "part"),
    Concept("fabric", "material"),
    Concept("street", "scene"),
    Concept("woven", "texture"),
    Concept("dotted", "texture"),
    Concept("person", "object"),
)
LABEL = {concept.name: label for label, concept in enumerate(CONCEPTS, start=1)}
CATEGORIES = ("color", "object", "part", "material", "scene", "texture")
SIZE, HALF = 32, 16


def photograph(path: Path, colour: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIZE, SIZE), (colour, 5, 5)).save(path, quality=95)


def label_map(path: Path, numbers: np.ndarray) -> None:
    pixels = np.stack([numbers % 256, numbers // 256, 0 * numbers], axis=2).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def columns(*numbers: int) -> np.ndarray:
    """16 x 16 label numbers: a stripe of columns for every one."""
    return np.repeat(np.array(numbers), HALF // len(numbers))[None].repeat(HALF, axis=0)


def row(image: str, **labels: str) -> dict[str, str]:
    sizes = {"ih": str(SIZE), "iw": str(SIZE), "sh": str(HALF), "sw": str(HALF)}
    return {"image": image, "split": "train", **sizes, **dict.fromkeys(CATEGORIES, ""), **labels}


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def write_meaning(folder: Path) -> None:
    for category in CATEGORIES:
        listed = [(number, name, of[category]) for number, (name, of) in MEANING.items() if category in of]
        rows = [
            {"code": str(code), "number": str(number), "name": name, "frequency": "9", "coverage": f"{coverage:f}"}
            for code, (number, name, coverage) in enumerate(listed, start=1)
        ]
        write_table(folder / f"c_{category}.csv", rows)


@pytest.fixture
def broden(tmp_path: Path) -> Path:
    """Three photographs: one with everything, one with textures only, one without any label."""
    folder = tmp_path / "broden1_tiny"
    images = folder / "images"
    for colour, name in enumerate(("ade20k/a.jpg", "dtd/b.jpg", "pascal/c.jpg")):
        photograph(images / name, 40 * colour)
    label_map(images / "ade20k/a_color.png", columns(1, 0))
    label_map(images / "ade20k/a_object.png", columns(2, 600, 0, 4))
    label_map(images / "ade20k/a_part_1.png", columns(0, 3))
    label_map(images / "ade20k/a_part_2.png", columns(0, 3, 3, 4))
    rows = [
        row(
            "ade20k/a.jpg",
            color="ade20k/a_color.png",
            object="ade20k/a_object.png",
            part="ade20k/a_part_1.png;ade20k/a_part_2.png",
            scene="5",
        ),
        row("dtd/b.jpg", texture="8;7;8;0"),
        row("pascal/c.jpg"),
    ]
    write_table(folder / "index.csv", rows)
    write_meaning(folder)
    return folder


def edit(folder: Path, old: str, new: str, table: str = "index.csv") -> Path:
    path = folder / table
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def labels_of(probe: ProbeSet, position: int = 0) -> np.ndarray:
    labels = probe.read(position).labels
    assert labels is not None
    return labels


def test_the_index_decides_what_is_a_photograph(broden: Path) -> None:
    photograph(broden / "images" / "ade20k" / "not_listed.jpg")
    probe = load_probe(broden)
    assert probe.name == "broden1_tiny"
    assert probe.names == ("ade20k/a.jpg", "dtd/b.jpg", "pascal/c.jpg")
    for position, name in enumerate(probe.names):
        image = probe.read(position)
        assert image.name == name
        assert np.array_equal(image.pixels, np.asarray(Image.open(broden / "images" / name)))


def test_a_number_is_one_concept_of_the_category_in_which_it_covers_most(broden: Path) -> None:
    assert load_probe(broden).concepts == CONCEPTS


def test_every_category_labels_the_pixels_at_once(broden: Path) -> None:
    labels = labels_of(load_probe(broden))
    assert (labels.shape, labels.dtype) == ((5, HALF, HALF), np.int32)
    fabric, head = LABEL["fabric"], LABEL["head"]
    assert np.array_equal(labels[0], columns(LABEL["blue"], 0))
    assert np.array_equal(labels[1], columns(LABEL["sky"], LABEL["person"], 0, fabric))
    assert np.array_equal(labels[2], columns(0, 0, head, head))
    # A label that the pixel already has, here the head of part 1 and the fabric of the object, is not repeated.
    assert np.array_equal(labels[3], columns(0, head, 0, 0))
    assert np.array_equal(labels[4], columns(LABEL["street"]))


def test_numbers_label_the_whole_image(broden: Path) -> None:
    labels = labels_of(load_probe(broden), 1)
    assert np.array_equal(labels, np.stack([columns(LABEL["dotted"]), columns(LABEL["woven"])]))


def test_a_photograph_without_labels(broden: Path) -> None:
    assert labels_of(load_probe(broden), 2).shape == (0, HALF, HALF)


@pytest.mark.parametrize("gone", ["ade20k/a.jpg", "ade20k/a_part_2.png"])
def test_files_that_are_not_there_are_found_when_they_are_read(broden: Path, gone: str) -> None:
    whole = load_probe(broden).digest
    (broden / "images" / gone).unlink()
    probe = load_probe(broden)
    assert probe.digest != whole
    assert len(probe) == 3
    with pytest.raises(InputUnavailable, match=f"{gone} does not exist"):
        probe.read(0)
    assert probe.read(1).name == "dtd/b.jpg"


def test_unknown_label_numbers_are_named(broden: Path) -> None:
    label_map(broden / "images" / "ade20k/a_object.png", columns(2, 6, 65_535, 0))
    edit(broden, "8;7;8;0", "8;999999999")
    probe = load_probe(broden)
    with pytest.raises(InputUnavailable, match=r"a_object\.png has the label numbers 6, 65535; expected numbers that"):
        probe.read(0)
    with pytest.raises(InputUnavailable, match=r"dtd/b\.jpg in .*index\.csv has the label numbers 999999999;"):
        probe.read(1)


def test_label_maps_of_another_size_than_the_index_says(broden: Path) -> None:
    label_map(broden / "images" / "ade20k/a_part_1.png", np.zeros((SIZE, SIZE), dtype=int))
    with pytest.raises(InputUnavailable, match=r"a_part_1\.png is 32 x 32 pixels; expected 16 x 16, as .*index\.csv"):
        load_probe(broden).read(0)


def test_label_maps_of_another_aspect_than_the_photograph(broden: Path) -> None:
    Image.new("RGB", (48, 32)).save(broden / "images" / "dtd" / "b.jpg")
    with pytest.raises(InputUnavailable, match=r"b\.jpg in .*: labels of 16 x 16 pixels for an image of 48 x 32"):
        load_probe(broden).read(1)


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "dtd/../../../b.jpg",
        "..",
        "C:/b.jpg",
        "C:b.jpg",
        r"..\b.jpg",
        r"\\host\b.jpg",
        "dtd/..",
    ],
)
@pytest.mark.parametrize("old", ["dtd/b.jpg", "ade20k/a_part_2.png"])
def test_paths_that_lead_elsewhere_are_refused(broden: Path, old: str, path: str) -> None:
    line = 3 if old == "dtd/b.jpg" else 2
    with pytest.raises(InputUnavailable, match=rf"index\.csv, line {line}: .* does not lead to a file below images/"):
        load_probe(edit(broden, old, path))


def test_dots_within_names_are_accepted(broden: Path) -> None:
    for name in ("dtd/..b.jpg", "dtd/b..c.jpg", "./dtd/d...jpg"):
        photograph(broden / "images" / name)
        with (broden / "index.csv").open("a") as file:
            file.write(",".join(row(name).values()) + "\n")
    probe = load_probe(broden)
    assert [probe.read(position).name for position in (3, 4, 5)] == list(probe.names[3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.splitlines()[0] + b"\n", r"index\.csv lists no image"),
        (
            lambda _: b"image,split,ih,iw,sh,sw\ndtd/b.jpg,train,32,32,16,16\n",
            "expected one for each category of labels",
        ),
        (lambda index: index + b"\xff\xfe\n", "no table in UTF-8"),
    ],
    ids=["no image", "no category", "no text"],
)
def test_files_that_are_not_an_index_are_refused(broden: Path, change: Callable[[bytes], bytes], message: str) -> None:
    index = broden / "index.csv"
    index.write_bytes(change(index.read_bytes()))
    with pytest.raises(InputUnavailable, match=message):
        load_probe(broden)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dtd/b.jpg,train,32,32,16,16", "dtd/b.jpg,train,32,32,16,0", "line 3: label maps of '0' x '16' pixels"),
        ("dtd/b.jpg,train,32,32,16,16", "dtd/b.jpg,train,32,32,,16", "line 3: label maps of '16' x '' pixels"),
        ("dtd/b.jpg,train,32,32,16,16", "dtd/b.jpg,train,32,32,-1,-1", "line 3: label maps"),
        ("dtd/b.jpg,train,32,32,16,16", "dtd/b.jpg,train,32,32,99999,99999", "at most 100 megapixels"),
        ("dtd/b.jpg,train,32,32,16,16", "dtd/b.jpg,train,32,16,16", "line 3: expected 12 fields"),
        ("dtd/b.jpg,train", "dtd/b.jpg,more,train", "line 3: expected 12 fields"),
        ("dtd/b.jpg", '"dtd/b.jpg', "no table in UTF-8"),
        (",color,", ",../../color,", "expected one for each category of labels"),
        (",color,", ",shape,", r"c_shape\.csv cannot be read"),
        ("dtd/b.jpg", "", "line 3: '' does not lead to a file"),
    ],
)
def test_a_damaged_index(broden: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputUnavailable, match=message):
        load_probe(edit(broden, old, new))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("damaged", ["index.csv", "c_object.csv", "images/ade20k/a_object.png"])
def test_random_damage_is_either_read_or_reported(broden: Path, damaged: str) -> None:
    path, dice = broden / damaged, random.Random(0)
    whole, outcomes = path.read_bytes(), set()
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.choice(b'\0\xff",;.\n/0199') if dice.random() < 0.8 else 7
        path.write_bytes(content)
        try:
            probe = load_probe(broden)
            read = [labels_of(probe, position).max(initial=0) for position in range(len(probe))]
            outcomes.add(max(read) <= len(probe.concepts))
        except XaiEvalError as error:
            assert broden.name in str(error)
            outcomes.add("reported")
    assert outcomes == {True, "reported"}


def test_an_image_that_is_listed_twice(broden: Path) -> None:
    with pytest.raises(UsageError, match=r"several images called dtd/b\.jpg"):
        load_probe(edit(broden, "pascal/c.jpg", "dtd/b.jpg"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1,7,woven", "1,0,woven", r"c_texture\.csv, line 2: number '0'"),
        ("1,7,woven", "1,65536,woven", "expected a number from 1 to 65535"),
        ("1,7,woven", "1,x,woven", "number 'x'"),
        ("1,7,woven", "1,7, ", "name ' '"),
        ("2.000000", "much", "coverage 'much'"),
        ("2.000000", "nan", "coverage 'nan'"),
        ("number", "label", "expected coverage, name, number among them"),
    ],
)
def test_a_damaged_list_of_labels(broden: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputUnavailable, match=message):
        load_probe(edit(broden, old, new, "c_texture.csv"))


@pytest.mark.parametrize(
    ("table", "name", "cleaned"),
    [
        ("c_scene.csv", "airport_terminal-s", "airport terminal"),
        ("c_scene.csv", "apartment_building-outdoor-s", "apartment building-outdoor"),
        ("c_scene.csv", "street", "street"),
        ("c_scene.csv", "red-c", "red-c"),
        ("c_color.csv", "dark_red-c", "dark red"),
    ],
)
def test_names_are_cleaned_of_the_marks_of_their_category(broden: Path, table: str, name: str, cleaned: str) -> None:
    old = {"c_scene.csv": "street-s", "c_color.csv": "blue-c"}[table]
    names = [concept.name for concept in load_probe(edit(broden, old, name, table)).concepts]
    assert names[{"c_scene.csv": 4, "c_color.csv": 0}[table]] == cleaned


def test_marks_that_tell_two_concepts_of_a_category_apart_are_kept(broden: Path) -> None:
    (broden / "c_scene.csv").write_text("number,name,coverage\n5,street-s,1\n6,street,1\n")
    assert [concept.name for concept in load_probe(broden).concepts if concept.category == "scene"] == [
        "street-s",
        "street",
    ]


def test_two_numbers_of_one_name(broden: Path) -> None:
    with pytest.raises(UsageError, match=r"several concepts called dotted \(texture\)"):
        load_probe(edit(broden, "woven", "dotted", "c_texture.csv"))


def test_a_label_map_without_numbers_in_red_and_green(broden: Path) -> None:
    Image.new("L", (HALF, HALF)).save(broden / "images" / "ade20k/a_color.png")
    with pytest.raises(InputUnavailable, match=r"a_color\.png is a PNG of mode L; expected a PNG with label numbers"):
        load_probe(broden).read(0)


def test_the_digest_is_of_tables_images_and_label_maps(broden: Path) -> None:
    digests = [load_probe(broden).digest]
    broden = broden.rename(broden.with_name("elsewhere"))
    assert load_probe(broden).digest == digests[0]
    photograph(broden / "images" / "not_listed.jpg")
    assert load_probe(broden).digest == digests[0]
    for change in (
        lambda: label_map(broden / "images" / "ade20k/a_part_2.png", columns(3, 0)),
        lambda: photograph(broden / "images" / "dtd/b.jpg", 200),
        lambda: edit(broden, "8;7", "7"),
        lambda: edit(broden, "woven", "knitted", "c_texture.csv"),
    ):
        change()
        digests.append(load_probe(broden).digest)
    assert len(set(digests)) == 5


def test_workers_read_the_same(broden: Path) -> None:
    probe = load_probe(broden)
    assert np.array_equal(labels_of(pickle.loads(pickle.dumps(probe))), labels_of(probe))
