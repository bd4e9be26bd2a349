"""A fuzz target for each reader of text and tables: whatever a file holds, it is read or is one clear error.

The readers of signed documents and arrays are in `test_mutations`. The profile `fuzz` tries many examples: see
CONTRIBUTING.md.
"""

from __future__ import annotations

import datetime
import functools
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import documents
from hostile.documents import CASE, QUARANTINE, RUN, of_case, repository
from hostile.mutations import ANY_JSON, damaged, mutations, quick
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xai_eval.errors import XaiEvalError
from xai_eval.gate.verdict import State
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.probes.broden_index import is_broden, read_concepts, read_index
from xai_eval.inputs.probes.concept_sets import load_concepts
from xai_eval.inputs.probes.label_map_probe import load_label_maps
from xai_eval.settings.read import load_settings
from xai_eval.store.made_from import MADE_FROM_FILE, made_from_bytes, read_made_from

_DAY = datetime.date.today() + datetime.timedelta(days=5)
_QUARANTINE = f'["{CASE.key}"]\nowner = "Mira"\nreason = "later"\nexpires = {_DAY}\n'
_SETTINGS = """
golden = "golden"
reports = "reports"
models = ["scenes:objects"]
images = "scenes"
device = "cpu"
tasks_files = ["own.py"]
quarantine_days = 30
[[suite]]
task = "lime_search"
grid = { kernel_size = [3, 5], samples = [100] }
[tolerances.cams]
gradcam = { largest = 0.1 }
score = 0.5
[upgrades]
weights = "stages"
[profile.gpu]
device = "cuda"
"""
_WORDS = "car\ntree\nroad, wet\n\n  Car\n"
_CLASSES = "car\ntree\tplant\n"
_INDEX = "image,split,ih,iw,sh,sw,object,scene\na.jpg,train,8,8,4,4,a_object.png;b.png,7\nb.jpg,val,8,8,4,4,,7;9\n"
_TABLE = "number,code,name,frequency,coverage\n1,1,car,3,0.5\n2,2,street-s,4,0.25\n"
# What TOML and tables are made of.
_PIECES = st.sampled_from(
    ["=", '"', "'''", "[", "]", "[[", "{", "}", ",", ".", "\n", "#", "0x", "1e", "-", ";", "\t", "\0", "\\u0000",
     "\ufeff", "nan", "true", "1979-05-27T07:32:00Z", "\u202e", "\r", "\x85", "..", "/", "x" * 2_000]
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def texts(whole: str) -> st.SearchStrategy[bytes]:
    """A text with pieces of the language put in, or with damaged bytes, or something else altogether."""
    at = st.integers(0, len(whole))
    put_in = st.builds(lambda start, end, piece: whole[:start] + piece + whole[end:], at, at, _PIECES)
    return st.one_of(
        put_in.map(lambda text: text.encode("utf-8", "replace")),
        damaged(whole.encode()),
        st.lists(_PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode()),
    )


def in_toml(value: Any) -> str:
    """Spell a JSON value in TOML; what TOML does not have becomes a text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {in_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return '"null"' if value is None else json.dumps(value)


@st.composite
def settings_with_another_value(draw: Any) -> bytes:
    lines = _SETTINGS.splitlines()
    at = draw(st.sampled_from([number for number, line in enumerate(lines) if "=" in line]))
    lines[at] = f"{lines[at].split('=')[0]}= {in_toml(draw(ANY_JSON))}"
    return "\n".join(lines).encode("utf-8", "replace")


@given(content=texts(_QUARANTINE))
@quick(10)
def test_a_quarantine_is_read_or_one_error(content, place):
    if not (place / RUN).exists():
        repository(place)
    (place / QUARANTINE).write_bytes(content)
    came = documents.outcome(place, spares=False)
    assert came.wrong is None


@given(content=st.one_of(texts(_SETTINGS), settings_with_another_value()))
@quick(20)
def test_settings_are_read_or_one_error(content, place):
    for name in ("xai_eval.toml", "pyproject.toml"):
        (place / name).unlink(missing_ok=True)
    (place / "xai_eval.toml").write_bytes(content)
    try:
        found = load_settings(place)
        assert all(str(path) for path in (found.golden, found.reports))
        found.golden.exists()  # a path with a null character is none
    except XaiEvalError as error:
        assert len(str(error)) < 2_000
    except OSError:
        pass  # a name that is too long for a file


@given(content=st.one_of(texts(_WORDS), st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace"))))
@quick(20)
def test_a_list_of_concepts_is_read_or_one_error(content, place):
    (place / "words.txt").write_bytes(content)
    try:
        found = load_concepts(place / "words.txt")
    except XaiEvalError as error:
        assert len(str(error)) < 2_000
    else:
        assert len(found.concepts) >= 2 and all(map(str.strip, found.concepts))


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one image with its label map."""
    folder = tmp_path_factory.mktemp("probe")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "images" / "a.png")
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(folder / "labels" / "a.png")
    return folder


@given(content=texts(_CLASSES))
@quick(15)
def test_a_list_of_classes_is_read_or_one_error(content, probe):
    (probe / "classes.txt").write_bytes(content)
    _read(lambda: load_label_maps(probe).reader.read(0))


@given(data=st.data())
@quick(15)
def test_a_label_map_is_read_or_one_error(data, probe):
    (probe / "classes.txt").write_text(_CLASSES)
    path = probe / "labels" / "a.png"
    whole = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(whole)))
        _read(lambda: load_label_maps(probe).reader.read(0))
    finally:
        path.write_bytes(whole)


def _photograph() -> Image.Image:
    """Smooth colours, so that coders have something to do; 24 x 20."""
    y, x = np.mgrid[:24, :20]
    return Image.fromarray(np.stack([x * 12, y * 10, x * y // 2], axis=-1).astype(np.uint8))


_MODES = {"PNG": "RGBA", "GIF": "P", "TIFF": "I;16", "PPM": "L", "ICO": "RGBA"}
_FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")


@functools.cache
def _image_files() -> tuple[bytes, ...]:
    """One small file of every format that is read."""
    files = []
    for name in _FORMATS:
        written = io.BytesIO()
        image = _photograph()
        mode = _MODES.get(name, "RGB")
        (image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)).save(written, format=name)
        files.append(written.getvalue())
    return (*files, *_in_strips(), b"P2 # grey\n20 24\n200\n" + b" 7" * 480)


def _in_strips() -> Iterator[bytes]:
    """Yield TIFFs whose strips are coded as fax and as JPEG, by libraries that read on when a strip ends early."""
    for mode, compression in (("1", "group4"), ("RGB", "jpeg")):
        written = io.BytesIO()
        _photograph().convert(mode).save(written, format="TIFF", compression=compression)
        yield written.getvalue()


@given(content=st.sampled_from(_image_files()).flatmap(damaged))
@quick(30)
def test_an_image_is_read_or_one_error(content, place):
    (place / "image").write_bytes(content)
    try:
        found = decode(place / "image")
    except XaiEvalError as error:
        assert len(str(error)) < 2_000 and str(place / "image") in str(error)
    else:
        assert found.pixels.dtype == np.uint8 and found.pixels.ndim == 3 and found.pixels.shape[2] == 3


@given(index=texts(_INDEX), table=texts(_TABLE))
@quick(20)
def test_the_tables_of_broden_are_read_or_one_error(index, table, place):
    (place / "index.csv").write_bytes(index)
    for category in ("object", "scene"):
        (place / f"c_{category}.csv").write_bytes(table)
    is_broden(place)
    _read(lambda: read_index(place / "index.csv"))
    _read(lambda: read_concepts(place, ["object", "scene"]))


@given(data=st.data())
@quick(10)
def test_what_a_result_was_made_from_is_known_or_not(data, place):
    if not (place / RUN).exists():
        repository(place)
    digest = documents.read(place, "result")["digest"]
    change = data.draw(mutations(json.loads(made_from_bytes(digest, {"image": "a", "torch": "2"}))))
    (place / RUN / MADE_FROM_FILE).write_text(json.dumps(change.document))
    assert read_made_from(place / RUN) is None or change.document["result"] == digest


@pytest.mark.slow
@given(data=st.data())
@quick(10)
def test_a_chosen_setting_of_lime_is_read_or_one_error(data, place):
    from xai_eval.tasks.lime.chosen_setting import read_chosen_setting

    setting = {"segmentation": "slic", "num_samples": 100, "num_features": 9, "top_labels": 2, "batch_size": 5}
    change = data.draw(mutations({"overall": setting, "images": {"photos/a": setting}}))
    (place / "best.json").write_text(json.dumps(change.document))
    _read(lambda: read_chosen_setting(place / "best.json"))


def _read(load: Any) -> None:
    try:
        load()
    except XaiEvalError as error:
        assert len(str(error)) < 4_000


def test_the_quarantine_of_these_tests_is_one(place: Path) -> None:
    (repository(place) / QUARANTINE).write_text(_QUARANTINE)
    assert [each.quarantine is not None for each in of_case(documents.judged(place), CASE)] == [True]
    assert of_case(documents.judged(place), CASE)[0].state is State.OK
