"""Tries small files of large cost, one after the other, in a process whose memory is bounded; prints what came of each.

Run by `cost_attacks`, as `python -m hostile.cost_probe FOLDER` from the folder of the tests.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hostile.documents import (
    DOCUMENTS,
    QUARANTINE,
    put,
    read,
    read_arrays,
    repository,
    write,
    write_arrays,
    write_packed,
)
from hostile.reference_cost import cheapest
from PIL import Image

from xai_eval.errors import XaiEvalError
from xai_eval.inputs.probes.broden_index import read_concepts, read_index
from xai_eval.inputs.probes.concept_sets import load_concepts
from xai_eval.inputs.probes.label_map_probe import load_label_maps
from xai_eval.result.result import ARRAYS_FILE, Result
from xai_eval.settings.read import load_settings
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import read_history
from xai_eval.store.noise import Noise
from xai_eval.store.quarantine import read_quarantine
from xai_eval.store.runs import RunRecord

MOST_SECONDS = 2.0
MEMORY = 300_000_000  # bytes beyond what the process has before the first attack
MANY = 400_000
Act = Callable[[Path], Any]


def _golden(place: Path) -> Path:
    return (place / DOCUMENTS["golden"]).parent


def _load(folder: Path) -> Result:
    """Load the golden and use all of it, as a judged one is used."""
    golden = Result.load(_golden(folder))
    assert all(list(field.compare(field, name)) == [] for name, field in golden.fields.items())
    return golden


def _text(name: str, text: Callable[[], str], load: Act) -> Act:
    def act(folder: Path) -> Any:
        path = folder / DOCUMENTS.get(name, Path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text())
        return load(folder)

    return act


def _changed(place: tuple[str | int, ...], value: Callable[[], Any], name: str = "golden", load: Act = _load) -> Act:
    def act(folder: Path) -> Any:
        content = read(folder, name)
        put(content, place, value())
        write(folder, name, content)
        return load(folder)

    return act


def _arrays(change: Callable[[dict[str, Any]], Any]) -> Act:
    def act(folder: Path) -> Any:
        arrays = read_arrays(folder, "golden")
        change(arrays)
        write_arrays(folder, "golden", arrays)
        return _load(folder)

    return act


def _bomb(size: int, claim: int) -> Act:
    """Return an act with a gzip file of zeros that says that it unpacks to `claim` bytes."""

    def act(folder: Path) -> Any:
        stream = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        parts = [stream.compress(bytes(2**20)) for _ in range(size >> 20)]
        content = b"".join((*parts, stream.flush()))[:-4] + struct.pack("<I", claim)
        (_golden(folder) / ARRAYS_FILE).write_bytes(content)
        return _load(folder)

    return act


def _header(header: bytes) -> Act:
    def act(folder: Path) -> Any:
        write_packed(folder, "golden", struct.pack("<Q", len(header)) + header)
        return _load(folder)

    return act


def _large_jpeg() -> bytes:
    """A JPEG of some kilobytes that claims to have 65,000 x 65,000 pixels."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "jpeg")
    content = bytearray(buffer.getvalue())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)
    return bytes(content)


def _gallery(arrays: dict[str, Any]) -> None:
    strip = np.frombuffer(_large_jpeg(), np.uint8)
    del arrays["gallery.looks"]
    arrays |= {"gallery.jpeg": strip, "gallery.lengths": np.array([len(strip), 0, 0])}


def _json(name: str, load: Act) -> Mapping[str, Act]:
    """Documents of one reader that no reader of JSON should take."""
    return {
        f"{name}: 17 MiB of spaces": _text(name, lambda: " " * (17 * 2**20), load),
        f"{name}: 5 million lists": _text(name, lambda: "[" + "[]," * 5_000_000 + "1]", load),
        f"{name}: nested 100,000 deep": _text(name, lambda: "[" * 100_000 + "]" * 100_000, load),
        f"{name}: objects nested 100,000 deep": _text(name, lambda: '{"a":' * 100_000, load),
        f"{name}: 10,000 digits": _text(name, lambda: f'{{"schema": {"1" * 10_000}}}', load),
        f"{name}: one name 300,000 times": _text(name, lambda: "{" + '"a":1,' * 300_000 + '"a":1}', load),
        f"{name}: the last of 150,000 names twice": _text(name, lambda: _names(150_000), load),
        f"{name}: 330,000 objects": _text(name, lambda: "[" + '{"a":1},' * 330_000 + "1]", load),
        f"{name}: a text of 15 MiB": _text(name, lambda: json.dumps({"schema": "x" * (15 * 2**20)}), load),
    }


def _toml(name: str, load: Act) -> Mapping[str, Act]:
    """The same for TOML."""
    return {
        f"{name}: 20,000 names with dots": _text(name, lambda: "a." * 20_000 + "a = 1", load),
        f"{name}: 100,000 names with dots": _text(name, lambda: "a." * 100_000 + "a = 1", load),
        f"{name}: quoted names with dots": _text(name, lambda: '"a" . ' * 20_000 + "a = 1", load),
        f"{name}: names with dots in a heading": _text(name, lambda: "[" + "a." * 20_000 + "a]", load),
        f"{name}: names with dots in a table in a line": _text(name, lambda: "a = {" + "a." * 20_000 + "a = 1}", load),
        f"{name}: many headings of ten names": _text(
            name, lambda: "\n".join(f"[b{number}.{'a.' * 9}a]" for number in range(8_000)), load
        ),
        f"{name}: lists nested 100,000 deep": _text(name, lambda: "a = " + "[" * 100_000, load),
        f"{name}: tables nested 30,000 deep": _text(name, lambda: "a = " + "{a = " * 30_000, load),
        f"{name}: 200,000 digits": _text(name, lambda: f"a = {'9' * 200_000}", load),
        f"{name}: 200,000 hexadecimal digits": _text(name, lambda: f"a = 0x{'f' * 200_000}", load),
        f"{name}: a text of 200,000 characters": _text(name, lambda: f"a = '{'x' * 200_000}'", load),
        f"{name}: 5 MB of spaces": _text(name, lambda: " " * 5_000_000, load),
        f"{name}: 80,000 tables in a list": _text(name, lambda: f"a = [{'{},' * 80_000}]", load),
        f"{name}: backslashes": _text(name, lambda: 'a = "' + "\\\\" * 130_000, load),
    }


def _classes(folder: Path) -> Any:
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    return load_label_maps(folder)


def _concepts(folder: Path) -> Any:
    return load_concepts(folder / "words.txt")


def _index(folder: Path) -> Any:
    return read_index(folder / "index.csv")


def _labels_of_broden(folder: Path) -> Any:
    return read_concepts(folder, ["object"])


_COLUMNS = "image,split,ih,iw,sh,sw,object"
_ROW = f"{_COLUMNS}\na,b,1,1,1,1,"


def attacks() -> Iterable[tuple[str, Act]]:
    """Yield every attack by its name."""
    yield from _json("golden", _load).items()
    yield from _json("history", lambda folder: read_history(_golden(folder))).items()
    yield from _json("noise", lambda folder: Noise.load(_golden(folder))).items()
    yield from _json("run", lambda folder: RunRecord.load(folder / "run")).items()
    yield from _toml(str(QUARANTINE), lambda folder: read_quarantine(folder / "golden")).items()
    yield from _toml("xai_eval.toml", load_settings).items()
    yield "a label of 5 MB", _changed(("fields", "predicted", "text"), lambda: "x" * 5_000_000)
    yield "a class name of 5 MB", _changed(("fields", "top5", "names", 0), lambda: "x" * 5_000_000)
    yield "the name of a field of 5 MB", _changed(("fields", 0, "name"), lambda: "x" * 5_000_000)
    yield "the name of an input of 5 MB", _changed(("case", "input"), lambda: "x" * 5_000_000)
    yield "a version of 5 MB", _changed(("provenance", "versions", "torch"), lambda: "x" * 5_000_000)
    yield "100,000 fields", _changed(("fields",), lambda: [{"name": str(n), "kind": "label"} for n in range(100_000)])
    yield (
        "100,000 stages",
        _changed(("stages",), _stages),
    )
    yield "the last of 15,000 stages twice", _changed(("stages",), lambda: [*_stages()[:15_000], _stages()[14_999]])
    yield "parameters nested 200 deep", _changed(("case", "params", "target"), lambda: _nested(200))
    yield "a mask of 10 gigapixels", _changed(("fields", "mask", "shape"), lambda: [100_000, 100_000])
    yield "a billion images in a strip", _changed(("fields", "gallery", "images"), lambda: 10**9)
    yield "a history of 100,000 entries", _changed((0,), lambda: {"when": ["x"] * MANY}, "history", _history)
    yield "a reason of 5 MB", _changed((0, "reason"), lambda: "x" * 5_000_000, "history", _history)
    yield "a gzip bomb of 256 MiB", _bomb(256 << 20, 256 << 20)
    yield "a gzip bomb of 256 MiB that claims 1 MiB", _bomb(256 << 20, 1 << 20)
    yield "a gzip bomb that claims 4 GiB", _bomb(1 << 20, 2**32 - 1)
    yield "128 MiB of zeros, none of them an array", _bomb(128 << 20, 128 << 20)
    yield "arrays named in 2 MiB", _header(b"{" + b" " * (2 << 20) + b"}")
    yield "20,000 arrays", _header(_many_arrays(20_000))
    yield "a superpixel of the number 2**40", _arrays(lambda a: a.update({"segments.labels": np.array([[0, 2**40]])}))
    yield "a JPEG of 4 gigapixels in a gallery", _harmless(_arrays(_gallery))
    yield "concepts: 5 MB in a line", _text("words.txt", lambda: "x" * 5_000_000, _concepts)
    yield "concepts: 3 MB in a line", _text("words.txt", lambda: "x" * 3_000_000, _concepts)
    yield "concepts: a million lines", _text("words.txt", lambda: "\n".join(map(str, range(1_000_000))), _concepts)
    yield "concepts: 500,000 short lines", _text("words.txt", lambda: "\n".join(map(hex, range(500_000))), _concepts)
    yield "classes: 3 MB in a line", _text("classes.txt", lambda: "x" * 3_000_000, _classes)
    yield "classes: a million lines", _text("classes.txt", lambda: "\n".join(map(str, range(1_000_000))), _classes)
    yield "classes: two million tabs", _text("classes.txt", lambda: "\t" * 2_000_000, _classes)
    yield "Broden: 30 MB", _text("index.csv", lambda: _COLUMNS + "\n" + "x" * 30_000_000, _index)
    yield "Broden: a million lines", _text("index.csv", lambda: _COLUMNS + "\n" + "a,b,1,1,1,1,1\n" * 1_000_000, _index)
    yield "Broden: a million columns", _text("index.csv", lambda: _COLUMNS + "," * 1_000_000 + "\n", _index)
    yield (
        "Broden: 200,000 columns",
        _text("index.csv", lambda: _COLUMNS + _numbers(200_000) + "\n", _index),
    )
    yield (
        "Broden: 50,000 labels of an image",
        _text("index.csv", lambda: f"{_ROW}{'1;' * 50_000}\n", _index),
    )
    yield "Broden: a field of 5 MB", _text("index.csv", lambda: f"{_ROW}{'1' * 5_000_000}\n", _index)
    yield (
        "Broden: a quote that does not end",
        _text("index.csv", lambda: f'{_COLUMNS}\na,b,1,1,1,1,"{"x," * 2_000_000}', _index),
    )
    yield (
        "Broden: a name of 100 KB",
        _text("c_object.csv", lambda: f"number,name,coverage\n1,{'x' * 100_000},1\n", _labels_of_broden),
    )


def _harmless(act: Act) -> Act:
    """Return an act for what is no error: it is read, and costs little."""

    def acted(folder: Path) -> Any:
        act(folder)
        raise XaiEvalError("it was read")

    return acted


def _history(folder: Path) -> Any:
    return read_history(_golden(folder))


def _names(count: int) -> str:
    return "{" + "".join(f'"a{number}":1,' for number in range(count)) + f'"a{count - 1}":1}}'


def _numbers(count: int) -> str:
    return ",".join(map(str, range(count)))


def _stages() -> Any:
    return [{"kind": str(number), "digest": "", "shape": []} for number in range(100_000)]


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _many_arrays(count: int) -> bytes:
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    return json.dumps({f"{number:040}": entry for number in range(count)}).encode()


def _tried(act: Act, folder: Path) -> Mapping[str, Any]:
    try:
        act(repository(folder))  # whole again after the attack before
    except XaiEvalError as error:
        return {"came": "", "length": len(str(error))}
    except BaseException as error:
        return {"came": f"{type(error).__name__}: {str(error)[:200]}", "length": 0}
    return {"came": "it was read", "length": 0}


def _bound_memory() -> None:
    """Allow so much memory beyond what the process has now. Only Linux tells how much that is, and obeys."""
    used = Path("/proc/self/statm")
    if used.exists():
        import resource

        most = int(used.read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(folder: Path) -> None:
    """Try every attack on the repository; each prints one line of JSON."""
    repository(folder / "first")
    _load(folder / "first")
    Goldens(folder / "first" / "golden").load_all()
    _bound_memory()
    for name, act in attacks():
        row, seconds = cheapest(partial(_tried, act, folder / "tried"), MOST_SECONDS)
        print(json.dumps({"name": name, **row, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
