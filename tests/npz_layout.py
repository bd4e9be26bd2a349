"""The file that kept a result's arrays before `arrays.safetensors.gz`, as old folders still have it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.arrays import deflated, pack_arrays
from xai_eval.disk.files import write_files
from xai_eval.disk.signed import sign
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE

FORMER_FILE = "arrays.npz"


def write_former(place: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Keep the arrays of the result in `place` in the former layout, which numpy's own archive had, too."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    (place / FORMER_FILE).write_bytes(buffer.getvalue())
    (place / ARRAYS_FILE).unlink()
    document = json.loads((place / RESULT_FILE).read_bytes())
    document["arrays_sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (place / RESULT_FILE).write_text(json.dumps(sign(document), indent=1, sort_keys=True) + "\n")


def convert(place: Path) -> str:
    """Write the arrays of the result in `place` anew; return the digest that the result has then.

    Whatever schema the document has, nothing in it changes but what it says of the arrays.
    """
    document = json.loads((place / RESULT_FILE).read_bytes())
    former = (place / FORMER_FILE).read_bytes()
    assert document == sign(document), f"{place} was edited by hand"
    assert document["arrays_sha256"] == hashlib.sha256(former).hexdigest(), f"{place}: arrays of another result"
    with np.load(io.BytesIO(former), allow_pickle=False) as archive:
        arrays = pack_arrays({name: archive[name] for name in archive.files})
    document = sign({**document, "arrays_sha256": hashlib.sha256(arrays).hexdigest()})
    text = json.dumps(document, indent=1, sort_keys=True)
    write_files(place, {ARRAYS_FILE: deflated(arrays), RESULT_FILE: f"{text}\n".encode()})
    (place / FORMER_FILE).unlink()
    return str(document["digest"])
