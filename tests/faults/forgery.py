"""What a forger does to a folder of goldens or of a run, and the tiny repository on which forgeries are tried."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic import SEEDS, TOLERANCE, blob, make_case

from xai_eval.disk.arrays import deflated, inflated, pack_arrays, unpack_arrays
from xai_eval.disk.signed import canonical, sign
from xai_eval.result.fields import Curve, Document, Field, Heatmap, Mask, Score, SignedMap, Table, Weights
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Provenance, Result, stored_digest
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE
from xai_eval.store.noise import NOISE_FILE, Noise
from xai_eval.store.quarantine import QUARANTINE_FILE
from xai_eval.store.runs import RESULTS_FOLDER, RUN_FILE, RunRecord

CASES = 8  # as many as a shift over many cases needs
LOGITS, SAMPLES, WEIGHTS = Stage(StageKind.LOGITS), Stage(StageKind.SAMPLES), Stage(StageKind.MODEL_WEIGHTS)
OVERLAP = Stage(StageKind.OVERLAP, "layer4")
BEFORE_OVERLAP = (
    Stage(StageKind.LABEL_MAPS),
    *(Stage(k, "layer4") for k in (StageKind.ACTIVATIONS, StageKind.UNIT_MAPS)),
)
SIDE = 64
SPOT, MOVED = blob(20, 20, size=SIDE, width=9), blob(44, 40, size=SIDE, width=9)
NUMBERS = np.linspace(-1.0, 1.0, 300)


def result(
    number: int = 0,
    *,
    saliency: Any = SPOT,
    energy: float = 0.5,
    score: float = 1.0,
    logits: float = 1.0,
    samples: float = 1.0,
    weight: float = 0.2,
    line: float = 0.1,
    choice: str = "slic",
    overlap: float = 1.0,
    seed: int = 0,
) -> Result:
    """One tiny result; the arguments are what a drift changes."""
    frame = pd.DataFrame({"method": ["gradcam", "lime"], "energy": [energy, 0.25], "hit": [True, False]})
    fields: dict[str, Field] = {
        "gradcam": Heatmap(saliency, TOLERANCE),
        "signed": SignedMap(saliency - 0.5 * SPOT.T[::-1]),
        "mask": Mask(saliency > 0.5, 0.9),
        "table": Table(frame, {"energy": 0.02}),
        "curve": Curve(np.array([0.0, 1.0]), {"deletion": np.array([1.0, line])}, "share", "score", 0.02),
        "weights": Weights(("a",), np.array([[weight, 1.0]]), np.full((1, 2), 0.001), SEEDS),
        "best": Document({"segments": choice}),
        "score": Score(score, 1.0),
    }
    stages = {LOGITS: fingerprint_array(NUMBERS * logits), SAMPLES: fingerprint_array(NUMBERS * samples)}
    stages |= {stage: fingerprint_array(NUMBERS) for stage in (WEIGHTS, *BEFORE_OVERLAP)}
    stages[OVERLAP] = fingerprint_array(np.abs(NUMBERS) * overlap)
    provenance = Provenance({"weights": "a" * 64}, versions={"torch": "2.15.0", "numpy": "2.4.6"}, seed=seed)
    return Result(make_case(f"photo-{number}.jpg"), fields, stages, provenance)


CASE = result().case
# A real drift of the first case by its name; shifts are of all cases.
DRIFTS: dict[str, Callable[[int], Result]] = {
    "none": result,
    "map": lambda n: result(n, saliency=SPOT if n else MOVED),
    "column": lambda n: result(n, energy=0.5 if n else 0.9),
    "logits": lambda n: result(n, logits=1.0 if n else 1.001),
    "samples": lambda n: result(n, samples=1.0 if n else 1.5),
    "samples, seed 7": lambda n: result(n, samples=1.0 if n else 1.5, seed=7),
    "counts": lambda n: result(n, overlap=1.0 if n else 1.00001),
    "weight": lambda n: result(n, weight=0.2 if n else 0.5),
    "line": lambda n: result(n, line=0.1 if n else 0.6),
    "choice": lambda n: result(n, choice="slic" if n else "quickshift"),
    "shift": lambda n: result(n, score=1.3),
    "stage shift": lambda n: result(n, logits=1.00015),
}


def write_goldens(folder: Path) -> None:
    """Write goldens with their noise into `golden`, accepted as they should be."""
    for number in range(CASES):
        place = Goldens(folder / "golden").store(result(number), "looked at the page")
        noise = Noise(stored_digest(place), {"score": {"difference": {"1 thread": 1e-4}}})
        dataclasses.replace(noise, shifts=noise.distances, stages={LOGITS: {"1 thread": 1e-6}}).save(place)


def write_run(folder: Path, drift: str) -> None:
    """Write a run in which `drift` happened into `run`."""
    for number in range(CASES):
        DRIFTS[drift](number).save(folder / "run" / RESULTS_FOLDER / result(number).case.key)
    RunRecord(("cams",), (CASE.model,), ("photos",), CASES, finished=True).save(folder / "run")


def with_another_task(folder: Path) -> None:
    """Let the honest run of the repository have a second task, of one case, which drifted."""
    case, drifted = dataclasses.replace(CASE, task="lime"), DRIFTS["map"](0)
    Goldens(folder / "golden").store(dataclasses.replace(result(), case=case), "looked")
    dataclasses.replace(drifted, case=case).save(folder / "run" / RESULTS_FOLDER / case.key)
    plan(tasks=["cams", "lime"], planned=CASES + 1)(folder)


def lose_task(folder: Path) -> None:
    """Take the results of the second task away, and every trace of it out of the record of the run."""
    shutil.rmtree(folder / "run" / RESULTS_FOLDER / "lime")
    plan(tasks=["cams"], planned=CASES)(folder)


@dataclass(frozen=True)
class Forgery:
    """One row of the catalogue.

    Attributes:
        name: what is forged.
        drift: the real drift that it tries to hide.
        act: what is done to the folder that holds `golden` and `run`.
        seen: a regular expression that must be found in what the check says.
    """

    name: str
    drift: str
    act: Callable[[Path], None]
    seen: str


def golden(folder: Path) -> Path:
    """The golden of the case that drifted."""
    return folder / "golden" / CASE.key


def vouch(place: Path, **changes: Any) -> None:
    """Write an entry into the history of a golden that fits it, as a thorough forger does."""
    entries = json.loads((place / HISTORY_FILE).read_text())
    entries[-1] |= {"result": stored_digest(place), **changes}
    (place / HISTORY_FILE).write_text(json.dumps(entries))


def every_golden(act: Callable[[Path], None]) -> Callable[[Path], None]:
    """Do the same to every golden."""

    def acted(folder: Path) -> None:
        for place in sorted((folder / "golden" / "cams").iterdir()):
            act(place)

    return acted


def document(change: Callable[[dict[str, Any], dict[str, Any]], None], everywhere: bool = False) -> Any:
    """Return an act that edits document and arrays of a golden, signs them anew and vouches for them."""

    def edit(place: Path) -> None:
        arrays = unpack_arrays(inflated((place / ARRAYS_FILE).read_bytes(), ""), "")
        held = json.loads((place / RESULT_FILE).read_text())
        change(held, arrays)
        packed = pack_arrays(arrays)
        (place / ARRAYS_FILE).write_bytes(deflated(packed))
        signed = sign({**held, "arrays_sha256": hashlib.sha256(packed).hexdigest()})
        (place / RESULT_FILE).write_text(json.dumps(signed))
        entries = json.loads((place / HISTORY_FILE).read_text())
        entries[-1]["result"] = signed["digest"]
        (place / HISTORY_FILE).write_text(json.dumps(entries))
        if (place / NOISE_FILE).exists():
            noise = json.loads((place / NOISE_FILE).read_text())
            (place / NOISE_FILE).write_text(canonical(sign({**noise, "golden": signed["digest"]})))

    return every_golden(edit) if everywhere else lambda folder: edit(golden(folder))


def field(name: str, change: Callable[[dict[str, Any]], None]) -> Any:
    """Return an act that edits what a golden stores of one field."""
    return document(lambda held, arrays: change(next(each for each in held["fields"] if each["name"] == name)))


def provenance(everywhere: bool = False, **claims: Any) -> Any:
    """Return an act by which a golden claims to have been computed in another way."""
    return document(lambda held, arrays: held["provenance"].update(claims), everywhere)


def text(old: str, new: str, file: str = RESULT_FILE) -> Any:
    """Return an act that replaces a piece of text in a file of a golden once, without signing anything."""

    def act(folder: Path) -> None:
        path = golden(folder) / file
        content = path.read_text()
        assert content.count(old), old
        path.write_text(content.replace(old, new, 1))

    return act


def noise(value: float) -> Any:
    """Return an act that claims so much noise for every golden."""

    def act(place: Path) -> None:
        known = Noise.load(place)
        assert known is not None
        claimed = {"score": {"difference": {"1 thread": value}}}
        stages = {LOGITS: {"1 thread": value}}
        dataclasses.replace(known, distances=claimed, shifts=claimed, stages=stages).save(place)

    return every_golden(act)


def history(change: Callable[[list[dict[str, Any]]], Any]) -> Any:
    """Return an act that edits `accepted.json`."""

    def act(folder: Path) -> None:
        path = golden(folder) / HISTORY_FILE
        entries = json.loads(path.read_text())
        path.write_text(json.dumps(change(entries)))

    return act


def plan(signed: bool = True, **changes: Any) -> Any:
    """Return an act that edits `run.json`."""

    def act(folder: Path) -> None:
        path = folder / "run" / RUN_FILE
        held = json.loads(path.read_text()) | changes
        path.write_text(json.dumps(sign(held) if signed else held))

    return act


def set_aside(expires: str | None = None, days: int | None = None, twice: bool = False) -> Any:
    """Return an act that puts the case in quarantine."""

    def act(folder: Path) -> None:
        day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days or 0)
        ends = f"expires = {expires or day}\n" if expires or days else ""
        entry = f'["{CASE.key}"]\nowner = "Mira"\nreason = "later"\n{ends}'
        (folder / "golden" / QUARANTINE_FILE).write_text(entry * (1 + twice))

    return act


def replaced_by_the_drift(folder: Path) -> None:
    """Put the result of the run in place of the golden, without accepting it."""
    Result.load(folder / "run" / RESULTS_FOLDER / CASE.key).condensed().save(golden(folder))


def remove(file: str) -> Any:
    """Return an act that removes a file of the golden."""
    return lambda folder: (golden(folder) / file).unlink()


def copy_history(folder: Path) -> None:
    """Put the history of another case in place of the golden's own."""
    other = folder / "golden" / result(1).case.key / HISTORY_FILE
    (golden(folder) / HISTORY_FILE).write_bytes(other.read_bytes())


def twin(folder: Path) -> None:
    """Add a golden of a case whose name differs in upper and lower case only."""
    case = dataclasses.replace(CASE, input="photos/PHOTO-0.jpg")
    Goldens(folder / "golden").store(dataclasses.replace(result(), case=case), "looked")


def lose_results(folder: Path) -> None:
    """Delete the result that drifted, and plan one case less."""
    place = folder / "run" / RESULTS_FOLDER / CASE.key
    for file in place.iterdir():
        file.unlink()
    place.rmdir()
    plan(planned=CASES - 1)(folder)
