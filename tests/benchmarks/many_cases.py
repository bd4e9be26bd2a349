"""Many cases in little time: copies of one under other names, whose arrays are links to the same files."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from xai_eval.bench.large_run import DRIFT_EVERY, NOISE, large_case
from xai_eval.disk.signed import sign
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Case
from xai_eval.store.history import HISTORY_FILE, acceptance, history_bytes
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

SIDE = 64
LINKS = 20_000  # of one file; file systems allow some ten thousands


def write_many_cases(run: Path, golden: Path, count: int) -> None:
    """Write `count` results and their goldens: every 50th map looks elsewhere."""
    was, now, moved = (
        each.files()
        for each in (
            large_case(0, side=SIDE).condensed(),
            large_case(0, side=SIDE, noise=NOISE),
            large_case(0, side=SIDE, moved=True, noise=NOISE),
        )
    )
    accepted = acceptance("", "as measured")
    for number in range(count):
        digest = _write(golden, was, number)
        history = history_bytes([dataclasses.replace(accepted, result=digest)])
        (golden / _case(was, number).key / HISTORY_FILE).write_bytes(history)
        _write(run / RESULTS_FOLDER, now if number % DRIFT_EVERY else moved, number)
    RunRecord(("cams",), ("scenes:objects",), ("large",), count, finished=True).save(run)


def _write(root: Path, files: dict[str, bytes], number: int) -> str:
    """Write one case, and return the digest of its document."""
    case, document = _case(files, number), json.loads(files[RESULT_FILE])
    document["case"]["input"] = case.input
    document["provenance"]["digests"]["image"] = f"{number:064}"
    signed = sign(document)
    place, arrays = root / case.key, root.parent / f"{root.name}-{number // LINKS}-{len(files[ARRAYS_FILE])}"
    place.mkdir(parents=True)
    (place / RESULT_FILE).write_text(json.dumps(signed))
    if not arrays.exists():
        arrays.write_bytes(files[ARRAYS_FILE])
    os.link(arrays, place / ARRAYS_FILE)
    return str(signed["digest"])


def _case(files: dict[str, bytes], number: int) -> Case:
    case: dict[str, Any] = json.loads(files[RESULT_FILE])["case"]
    return Case(case["task"], case["model"], f"large/image-{number:06}.jpg", case["params"])
