"""A tiny repository of goldens and a run, and what becomes of it when a document is changed and signed again."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import json
import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from synthetic import blob, every_kind, make_case, make_result

from xai_eval.disk.arrays import deflated, inflated, pack_arrays, unpack_arrays
from xai_eval.disk.signed import sign
from xai_eval.errors import XaiEvalError
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.class_list import CLASS_LIST, class_list
from xai_eval.result.fields import Field
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Result, stored_digest
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE
from xai_eval.store.noise import NOISE_FILE, Noise
from xai_eval.store.quarantine import QUARANTINE_FILE
from xai_eval.store.runs import RESULTS_FOLDER, RUN_FILE, RunRecord

CASE, OTHER = make_case("photo-0.jpg"), make_case("photo-1.jpg")
GOLDEN, RUN = Path("golden") / CASE.key, Path("run") / RESULTS_FOLDER / CASE.key
# By a short name, every document of the repository that is about the first case or about all of them.
DOCUMENTS = {
    "golden": GOLDEN / RESULT_FILE,
    "result": RUN / RESULT_FILE,
    "history": GOLDEN / HISTORY_FILE,
    "noise": GOLDEN / NOISE_FILE,
    "run": Path("run") / RUN_FILE,
}
QUARANTINE = Path("golden") / QUARANTINE_FILE
ARRAYS = {"golden": GOLDEN / ARRAYS_FILE, "result": RUN / ARRAYS_FILE}
Arrays = dict[str, NDArray[Any]]


def repository(folder: Path) -> Path:
    """Copy two cases, the first with all kinds of fields, accepted, measured and obtained again, into `folder`.

    If it is there already, only what an attack may have changed is written again.
    """
    if not (folder / "run").exists():
        return Path(shutil.copytree(_made(), folder, dirs_exist_ok=True))
    for path, content in _contents().items():
        (folder / path).write_bytes(content)
    return folder


@functools.cache
def _contents() -> Mapping[Path, bytes]:
    return {path: (_made() / path).read_bytes() for path in (*DOCUMENTS.values(), *ARRAYS.values())}


@functools.cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="xai-eval-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for case, fields in ((CASE, every_kind()), (OTHER, {})):
        result = _result(case.input.split("/")[1], fields)
        place = Goldens(folder / "golden").store(result, "looked at the page")
        noise = Noise(stored_digest(place), {"score": {"difference": {"1 thread": 1e-4, "2 threads": 0.0}}})
        logits = {Stage(StageKind.LOGITS): {"1 thread": 1e-6}}
        dataclasses.replace(noise, shifts=noise.distances, stages=logits, versions={"torch": "2"}).save(place)
        result.save(folder / "run" / RESULTS_FOLDER / case.key)
    requests = {"cams": {"model": CASE.model, "images": "photos", "device": "cpu", "params": {"target": "predicted"}}}
    record = RunRecord(("cams",), (CASE.model,), ("photos",), 2, requests=requests, versions={"torch": "2"})
    dataclasses.replace(record, when="2026-01-01", seconds=1.5, finished=True).save(folder / "run")
    return folder


def _result(name: str, fields: dict[str, Field]) -> Result:
    made = make_result(name, fields=fields, saliency=blob(20, 30, size=64, width=9))
    parameters = {"layer": "layer4", CLASS_LIST: class_list(["cat", "dog"], None)}
    provenance = dataclasses.replace(made.provenance, parameters=parameters, precision={"tf32": False})
    return dataclasses.replace(made, provenance=provenance)


def read(folder: Path, name: str) -> Any:
    """Return the content of a document."""
    return json.loads((folder / DOCUMENTS[name]).read_text())


def write(folder: Path, name: str, content: Any) -> None:
    """Write a document, signed as its reader expects it; what stands beside it fits it."""
    path = folder / DOCUMENTS[name]
    if isinstance(content, Mapping) and name != "history":
        with contextlib.suppress(ValueError, RecursionError):  # what cannot be signed is written all the same
            content = sign(content)
    path.write_text(json.dumps(content))
    if name == "golden" and isinstance(content, Mapping) and isinstance(content.get("digest"), str):
        vouch(folder, content["digest"])


def vouch(folder: Path, digest: str) -> None:
    """Let history and noise of the golden be about the result with this digest."""
    history, noise = read(folder, "history"), read(folder, "noise")
    history[-1]["result"] = digest
    (folder / DOCUMENTS["history"]).write_text(json.dumps(history))
    (folder / DOCUMENTS["noise"]).write_text(json.dumps(sign({**noise, "golden": digest})))


def read_arrays(folder: Path, name: str) -> Arrays:
    """Return the arrays of the golden or of the result."""
    return unpack_arrays(inflated((folder / ARRAYS[name]).read_bytes(), ""), "")


def write_arrays(folder: Path, name: str, arrays: Arrays) -> None:
    """Write arrays, to which the document beside them belongs."""
    write_packed(folder, name, pack_arrays(arrays))


def write_packed(folder: Path, name: str, packed: bytes) -> None:
    """Write what the file of arrays unpacks to, to which the document beside it belongs."""
    (folder / ARRAYS[name]).write_bytes(deflated(packed))
    write(folder, name, {**read(folder, name), "arrays_sha256": hashlib.sha256(packed).hexdigest()})


def judged(folder: Path) -> Sequence[Verdict]:
    """Judge the run."""
    return judge_run(folder / "run", Goldens(folder / "golden")).verdicts


def of_case(verdicts: Sequence[Verdict], case: Any = CASE) -> list[Verdict]:
    """Return the verdicts on a case, whether it could be read or is only known by its folder."""
    return [each for each in verdicts if each.case.key == case.key]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a check: what went wrong, if anything did, and the verdicts."""

    wrong: str | None
    verdicts: Sequence[Verdict] = ()


def outcome(folder: Path, spares: bool = True) -> Outcome:
    """Judge a repository of which one document was changed.

    Args:
        folder: the repository.
        spares: whether the document is about the first case alone, so that the other one has to be judged all the same.

    Returns:
        What went wrong is an exception that is not meant for people, or a case that got lost.
    """
    try:
        verdicts = judged(folder)
        for each in verdicts:
            assert each.sentence
    except XaiEvalError as error:
        return Outcome(f"the whole check ended: {error}" if spares else None)
    except Exception as error:
        return Outcome(
            "".join(traceback.format_exception_only(error)) + str(traceback.extract_tb(error.__traceback__)[-1])
        )
    others = of_case(verdicts, OTHER)
    lost = f"the other case is {[(each.state.value, each.sentence) for each in others]}"
    return Outcome(lost if spares and [each.state for each in others] != [State.OK] else None, verdicts)


def refused(folder: Path, *words: str) -> str | None:
    """Return None if the changed case is one error that holds all `words`, and the other case is ok; else what came."""
    came = outcome(folder)
    if came.wrong is not None:
        return came.wrong
    found = of_case(came.verdicts)
    sentences = " ".join(each.sentence for each in found)
    if [each.state for each in found] != [State.ERROR]:
        return f"the case is {[each.state.value for each in found]}: {sentences}"
    missing = [word for word in words if word not in sentences]
    return f"the error does not say {missing}: {sentences}" if missing else None


def at(document: Any, place: Sequence[str | int]) -> Any:
    """Return the part of a document at a place; a text in a list of fields stands for the field of that name."""
    for step in place:
        named = isinstance(document, list) and isinstance(step, str)
        document = next(each for each in document if each["name"] == step) if named else document[step]
    return document


def put(document: Any, place: Sequence[str | int], value: Any) -> None:
    """Replace the part of a document at a place."""
    at(document, place[:-1])[place[-1]] = value


def tried(change: Callable[[Path], None], *words: str) -> Callable[[Path], str | None]:
    """Return an attack that changes the repository, and is held if the case becomes one error that holds `words`."""

    def attack(folder: Path) -> str | None:
        change(repository(folder))
        return refused(folder, *words)

    return attack
