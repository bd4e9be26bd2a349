"""Signed documents of wrong types: each is one error of one case that names the place, and the others are judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hostile import documents
from hostile.attack import Attack
from hostile.documents import ARRAYS, DOCUMENTS, QUARANTINE, outcome, put, read, repository, tried, write

from xai_eval.errors import XaiEvalError
from xai_eval.settings.read import load_settings
from xai_eval.store.runs import RunRecord

_KIND = "types"
_ONE_ERROR = "one error of the case that names the place; the other case is judged"
# One in so many is tried by default: all go through one mechanism, which the property tests try as well.
_BY_DEFAULT = 5
_DEEP: Any = "x"
for _ in range(400):
    _DEEP = [_DEEP]
# The document, the place in it, another value, and what the error has to say.
_VALUES: tuple[tuple[str, tuple[str | int, ...], Any, str], ...] = (
    ("golden", ("case", "input"), 7, "case.input is 7; expected a text"),
    ("golden", ("case", "input"), None, "case.input is null"),
    ("golden", ("case", "task"), ["cams"], "case.task is a list of 1"),
    ("golden", ("case", "model"), {"a": 1}, "case.model is an object with a"),
    ("golden", ("case", "params"), [1], "case.params is a list of 1; expected an object"),
    ("golden", ("case",), "photos", "case is the text 'photos'"),
    ("golden", ("provenance", "versions"), ["torch"], "provenance.versions is a list of 1"),
    ("golden", ("provenance", "versions", "torch"), 2, "provenance.versions.torch is 2; expected a text"),
    ("golden", ("provenance", "digests", "weights"), None, "provenance.digests.weights is null"),
    ("golden", ("provenance", "seed"), "0", "provenance.seed is the text '0'"),
    ("golden", ("provenance", "seed"), True, "provenance.seed is true"),
    ("golden", ("provenance", "device"), 1.5, "provenance.device is 1.5"),
    ("golden", ("provenance", "precision"), "high", "provenance.precision is the text"),
    ("golden", ("provenance", "parameters", "class list"), [1, 2], "class list is a list of 2"),
    ("golden", ("provenance", "parameters", "class list", "each"), "%%%", "class list.each is the text '%%%'"),
    ("golden", ("provenance", "parameters", "class list", "count"), 10**6, "of 1000000 classes"),
    ("golden", ("provenance", "parameters", "raised tolerances"), 3, "raised tolerances is 3"),
    ("golden", ("provenance", "unknown"), 3, "has the entry 'unknown'"),
    ("golden", ("fields",), {}, "fields is an object"),
    ("golden", ("fields", 0), 3, "fields[0] is 3"),
    ("golden", ("fields", 0, "name"), 3, "fields[0].name is 3"),
    ("golden", ("fields", 0, "kind"), ["label"], "fields[0].kind is a list of 1"),
    ("golden", ("fields", 0, "kind"), "nothing", "unknown kind of field 'nothing'"),
    ("golden", ("fields", "predicted", "text"), 130, "field predicted.text is 130"),
    ("golden", ("fields", "predicted", "index"), True, "field predicted.index is true"),
    ("golden", ("fields", "predicted", "index"), 10**30, "64 bits"),
    ("golden", ("fields", "predicted", "text"), "x" * 5_000_000, "field predicted.text has 5,000,000 characters"),
    ("golden", ("fields", "top5", "values", 0), "a lot", "field top5.values[0] is the text 'a lot'"),
    ("golden", ("fields", "top5", "names", 1), 7, "field top5.names[1] is 7"),
    ("golden", ("fields", "top5", "values", 0), True, "field top5.values[0] is true"),
    ("golden", ("fields", "score", "value"), {}, "field score.value is an object"),
    ("golden", ("fields", "gradcam", "tolerance", "rank"), [], "field gradcam.tolerance.rank is a list"),
    ("golden", ("fields", "gradcam", "full_shape"), [224, "x"], "field gradcam.full_shape[1]"),
    ("golden", ("fields", "table", "columns", 1, "values", 0), 1, "field table.columns[1].values[0] is 1"),
    ("golden", ("fields", "table", "columns", 0, "type"), "object", "field table.columns[0].type"),
    ("golden", ("fields", "table", "columns"), 0, "field table.columns is 0"),
    ("golden", ("fields", "curve", "lines"), "one", "field curve.lines is the text 'one'"),
    ("golden", ("fields", "document", "content"), 3, "field document.content is 3"),
    ("golden", ("fields", "document", "content", "best"), _DEEP, "nested"),
    ("golden", ("fields", "mask", "shape"), [100_000, 100_000], "field mask.bits"),
    ("golden", ("fields", "mask", "shape"), [-1, -9], "field mask.bits"),
    ("golden", ("fields", "gallery", "images"), 10**9, "field gallery.images is 1000000000"),
    ("golden", ("fields", "weights", "tolerance", "seeds"), None, "field weights.tolerance.seeds is null"),
    ("golden", ("fields", "unit labels", "score_tolerance"), "0.1", "field unit labels.score_tolerance"),
    ("golden", ("stages",), None, "stages is null"),
    ("golden", ("stages", 0, "kind"), 5, "stages[0].kind is 5"),
    ("golden", ("stages", 0, "digest"), None, "stages[0].digest is null"),
    ("golden", ("stages", 1, "shape"), "12", "stages[1].shape is the text"),
    ("golden", ("stages", 1, "amplification"), "NaN of it", "stages[1].amplification"),
    ("golden", ("stages", 1, "bits"), "8", "stages[1].bits is the text"),
    ("golden", ("arrays_sha256",), 12, "arrays_sha256 is 12"),
    ("golden", ("schema",), "2", "schema '2'"),
    ("result", ("case", "input"), ["photos"], "case.input is a list of 1"),
    ("result", ("provenance", "versions"), 3, "provenance.versions is 3"),
    ("result", ("fields", "predicted", "text"), 130, "field predicted.text is 130"),
    ("history", (0, "who"), 3, "[0].who is 3; expected a text"),
    ("history", (0, "when"), None, "[0].when is null"),
    ("history", (0, "more"), "x", "has the entry 'more'"),
    ("history", (0,), [], "[0] is a list of 0"),
)


def _value(name: str, place: tuple[str | int, ...], value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = read(folder, name)
        put(content, place, value)
        write(folder, name, content)

    return change


def _array(name: str, change: Callable[[documents.Arrays], Any]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        arrays = documents.read_arrays(folder, name)
        change(arrays)
        documents.write_arrays(folder, name, arrays)

    return act


def _texts(name: str, texts: Any) -> Callable[[documents.Arrays], Any]:
    return lambda arrays: arrays.update({name: np.frombuffer(json.dumps(texts).encode(), np.uint8)})


def _flag_map(arrays: documents.Arrays) -> None:
    arrays["gradcam.map"] = arrays["gradcam.map"] > 0


_ARRAYS = (
    ("no map", _array("golden", lambda a: a.pop("gradcam.map")), "field gradcam has no array 'map'"),
    ("a map of flags", _array("golden", _flag_map), "field gradcam.map is an array of bool"),
    (
        "a map of one axis",
        _array("golden", lambda a: a.update({"gradcam.map": a["gradcam.map"].ravel()})),
        "gradcam",
    ),
    ("a short mask", _array("golden", lambda a: a.update({"mask.bits": a["mask.bits"][:2]})), "field mask.bits"),
    (
        "superpixel -1",
        _array("golden", lambda a: a.update({"segments.labels": np.full((2, 3), -1)})),
        "field segments.labels",
    ),
    (
        "superpixel 2**40",
        _array("golden", lambda a: a.update({"segments.labels": np.full((2, 3), 2**40)})),
        "field segments.labels",
    ),
    ("a sketch of whole numbers", _array("golden", lambda a: a.update({"stage.2": np.zeros(64, np.int64)})), "stage.2"),
    ("units in one word", _array("golden", _texts("unit labels.unit", "layer4")), "unit is the text"),
    ("a unit without a name", _array("golden", _texts("unit labels.unit", ["a", None, "c"])), "without a name"),
    ("looks of other images", _array("golden", lambda a: a.update({"gallery.looks": np.zeros(5, np.uint8)})), "looks"),
    ("a golden cut short", lambda folder: _cut(folder / ARRAYS["golden"]), "damaged"),
    ("a result cut short", lambda folder: _cut(folder / ARRAYS["result"]), "damaged"),
    ("lengths of strips", _array("result", lambda a: a.update({"gallery.lengths": np.array([-5, 9, 1])})), "lengths"),
)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


# The document, the place, another value: the record of a run is about all cases, so the check ends with one error.
_RECORDS: tuple[tuple[tuple[str | int, ...], Any], ...] = (
    (("tasks",), "cams"),
    (("tasks", 0), 3),
    (("models",), {}),
    (("inputs", 0), None),
    (("planned",), "2"),
    (("planned",), True),
    (("planned",), -1),
    (("seconds",), "NaN of it"),
    (("failures",), ["photo"]),
    (("failures",), {"photos": 3}),
    (("requests",), []),
    (("requests", "cams"), 3),
    (("requests", "cams", "params"), [1]),
    (("requests", "cams", "task"), {}),
    (("requests", "cams", "task_file"), 7),
    (("versions", "torch"), None),
    (("finished",), 1),
    (("more",), 1),
)


def _record(place: tuple[str | int, ...], value: Any) -> Callable[[Path], str | None]:
    def attack(folder: Path) -> str | None:
        content = read(repository(folder), "run")
        put(content, place, value)
        write(folder, "run", content)
        try:
            return f"read as {RunRecord.load(folder / 'run')}"
        except XaiEvalError as error:
            return None if str(place[0]) in str(error) else f"the error does not name the place: {error}"

    return attack


def _noise(place: tuple[str | int, ...], value: Any) -> Callable[[Path], str | None]:
    """Noise decides nothing: one that cannot be read is told, and not used."""

    def attack(folder: Path) -> str | None:
        content = read(repository(folder), "noise")
        put(content, place, value)
        write(folder, "noise", content)
        return outcome(folder).wrong

    return attack


_NOISES: tuple[tuple[tuple[str | int, ...], Any], ...] = (
    (("conditions",), "1 thread"),
    (("conditions", 0), []),
    (("distances", "score", "difference"), 3),
    (("distances", "score", "difference"), {"1 thread": 3}),
    (("distances", "score", "difference", 0), "a lot"),
    (("distances", "score", "difference", 0), 10**400),
    (("distances", "score"), None),
    (("stages", 0, "kind"), None),
    (("stages", 0), 3),
    (("unmeasured",), []),
    (("versions", "torch"), 3),
    (("golden",), None),
    (("schema",), [3]),
)


def _toml(file: str, text: str) -> Callable[[Path], str | None]:
    def attack(folder: Path) -> str | None:
        in_goldens = file == str(QUARANTINE)
        if in_goldens:
            repository(folder)
        (folder / file).write_text(text)
        try:
            if in_goldens:
                documents.judged(folder)
            else:
                load_settings(folder)
        except XaiEvalError:
            return None
        return "it was read"

    return attack


_TOMLS = (
    (str(QUARANTINE), "a = 3"),
    (str(QUARANTINE), f"a = 0x{'f' * 10_000}"),
    (str(QUARANTINE), f"['a']\nowner = 0x{'f' * 10_000}\nreason = 'x'\nexpires = 2027-01-01"),
    (str(QUARANTINE), "['a']\nowner = 'x'\nreason = 'x'\nexpires = 2027-01-01T00:00:00"),
    (str(QUARANTINE), "[[a]]\nowner = 'x'"),
    ("xai_eval.toml", f"quarantine_days = 0x{'f' * 10_000}"),
    ("xai_eval.toml", f"quarantine_days = {'9' * 10_000}"),
    ("xai_eval.toml", "suite = 3"),
    ("xai_eval.toml", "suite = [3]"),
    ("xai_eval.toml", "[[suite]]\ntask = ['cams']"),
    ("xai_eval.toml", "[tolerances]\ncams = 3"),
    ("xai_eval.toml", "[upgrades]\nweights = [1]"),
    ("xai_eval.toml", f"x = {'[' * 5_000}"),
    ("xai_eval.toml", 'golden = "a\\u0000b"'),
    ("xai_eval.toml", 'models = ["\\u0000"]'),
    ("xai_eval.toml", "device = nan"),
    ("pyproject.toml", "tool.xai_eval = 3"),
    ("pyproject.toml", "[tool]\nxai_eval = [[1]]"),
)


def _shown(place: tuple[str | int, ...], value: Any) -> str:
    return f"{'.'.join(map(str, place))} = {str(value)[:30]}"


ATTACKS = (
    *(
        Attack(
            f"{name}: {_shown(place, value)}",
            _KIND,
            _ONE_ERROR,
            tried(_value(name, place, value), words),
            slow=number % _BY_DEFAULT > 0,
        )
        for number, (name, place, value, words) in enumerate(_VALUES)
    ),
    *(Attack(f"arrays: {name}", _KIND, _ONE_ERROR, tried(change, words)) for name, change, words in _ARRAYS),
    *(
        Attack(f"run.json: {_shown(place, value)}", _KIND, "one error that names the place", _record(place, value))
        for place, value in _RECORDS
    ),
    *(
        Attack(f"noise: {_shown(place, value)}", _KIND, "told and not used", _noise(place, value))
        for place, value in _NOISES
    ),
    *(
        Attack(f"{Path(file).name}: {text[:40]!r}", _KIND, "one error that names the file", _toml(file, text))
        for file, text in _TOMLS
    ),
)
assert set(DOCUMENTS) == {"golden", "result", "history", "noise", "run"}
