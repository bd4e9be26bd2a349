"""Runs, goldens and repositories in which every text is one that a stranger chose. Nothing is computed."""

from __future__ import annotations

import contextlib
import datetime
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xai_eval.cli.main import main
from xai_eval.disk.files import write_file
from xai_eval.result.fields import (
    Curve,
    Document,
    Field,
    Heatmap,
    HeatmapTolerance,
    InputImage,
    Label,
    Mask,
    Note,
    Ranking,
    Score,
    Table,
    UnitLabels,
)
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE
from xai_eval.store.runs import RunRecord

SIDE = 16
TASK = "cams"
Next = Callable[[], str]


def _result(name: str, text: Next, *, moved: bool, task: str) -> Result:
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[(12, 12) if moved else (3, 3)] = 1.0
    x = np.linspace(0, 1, 3)
    fields: dict[str, Field] = {
        "image": InputImage(image),
        "mask": Mask(heat > 0.5),
        "predicted": Label(text(), 3),
        "explained": Label(text(), 3),
        "audit": Label(text()),
        "top5": Ranking((text(), f"other {text()}"), (0.9, 0.05), 0.02),
        "gradcam": Heatmap(heat, HeatmapTolerance(0.02)),
        "table": Table(pd.DataFrame({"method": ["gradcam"], "share": [0.5 + moved], "said": [text()]}), {"share": 0.1}),
        "own": Table(pd.DataFrame({f"key {text()}": [text()], f"value {text()}": [text()]}), {}),
        "curve": Curve(x, {f"one {text()}": x, f"_two {text()}": x * x}, text(), text(), 0.1),
        "document": Document({f"best {text()}": text()}),
        "note": Note(text()),
        f"score {text()}"[:60].replace("/", "-"): Score(0.5 + moved, 0.1),
    }
    stages = {
        Stage(StageKind.IMAGE_BYTES): fingerprint_text("same"),
        Stage(StageKind.MODEL_WEIGHTS, text()): fingerprint_text("weights" + "x" * moved),
        Stage(StageKind.FINAL_MAP, text()): fingerprint_array(heat),
    }
    provenance = Provenance(
        {"weights": text(), "image": "same"},
        {"layer": text(), f"option {text()}": text()},
        {"torch": text()},
        device=text(),
    )
    return Result(Case(task, text(), f"photos/{name}", {"target": text()}), fields, stages, provenance)


def _dissection(name: str, text: Next) -> Result:
    frame = pd.DataFrame(
        {
            "unit": [f"{text()}/0", "layer/1"],
            "label": [text(), None],
            "score": [0.5, float("nan")],
            "second": [text(), None],
            "margin": [0.1, float("nan")],
            "layer": [text(), "layer"],
            "dead": [False, True],
        }
    )
    shown = pd.DataFrame({"unit": [text()], "label": [text()], "deviations": [1.0]})
    fields: dict[str, Field] = {
        "clip_units": UnitLabels(frame, 0.05),
        "interpretation": Table(shown, {"deviations": 0.1}),
        "interpreted": Label(text()),
        "chosen": Document({"best": text()}),
    }
    return Result(Case("dissection", text(), name, {}), fields, {}, Provenance(device=text()))


@dataclass(frozen=True)
class Hostile:
    """A repository: `reports`, `earlier` and `golden` in it, and the key of a case that drifted."""

    root: Path
    drifted: str


def make(
    root: Path, chosen: Sequence[str], *, cases: int | None = None, dissected: bool = False, task: str = TASK
) -> Hostile:
    """Write two runs and goldens of them; the texts take turns in every place that has one.

    There are as many cases that drifted as texts, unless `cases` says otherwise.
    """
    every = itertools.cycle(chosen)

    def text() -> str:
        return next(every)

    # In each case that drifted, the turns begin with another text, so that every text is in every place.
    starts = [[*chosen[place:], *chosen[:place]] for place in range(cases or len(chosen))]
    was, now = ([_moving(turns, task, moved=moved) for turns in starts] for moved in (False, True))
    goldens = Goldens(root / "golden")
    extra = [_result(f"{text()}new", text, moved=False, task=task)]
    if dissected:
        extra.append(_dissection(text(), text))
    for result in [*was, _result(f"unused{text()}", text, moved=False, task=task)]:
        goldens.store(result.condensed(), text() or "x")
        _vouch(root / "golden" / result.case.key / HISTORY_FILE, text)
    _quarantine(root / "golden", now[-1].case.key, text)
    for folder, results in (("reports", [*now, *extra]), ("earlier", was)):
        for result in results:
            result.save(root / folder / "results" / result.case.key)
        _record(results, text, cut_short=folder == "earlier").save(root / folder)
    return Hostile(root, now[0].case.key)


def _moving(turns: Sequence[str], task: str, *, moved: bool) -> Result:
    return _result(turns[0], itertools.cycle(turns).__next__, moved=moved, task=task)


def _vouch(history: Path, text: Next) -> None:
    entries = json.loads(history.read_text())
    told = {"who": f"a {text()}", "reason": f"b {text()}", "when": text(), "verdict": text(), "state": text()}
    write_file(history, json.dumps([{**each, **told, "upgrade": text()} for each in entries]).encode())


def _quarantine(folder: Path, key: str, text: Next) -> None:
    owner, reason = (_toml(f"a {text()}") for _ in range(2))
    expires = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=3)
    content = f"[{_toml(key)}]\nowner = {owner}\nreason = {reason}\nexpires = {expires}\n"
    write_file(folder / "quarantine.toml", content.encode())


def _toml(text: str) -> str:
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{min(ord(c), 0xD7FF):08x}" for c in text) + '"'


def _record(results: Sequence[Result], text: Next, *, cut_short: bool) -> RunRecord:
    request = {
        "task": results[0].case.task,
        "model": text(),
        "images": text(),
        "task_file": text().replace("\0", "") or "x",
    }
    return RunRecord(
        tuple({each.case.task for each in results}),
        (text(),),
        tuple({each.case.input.split("/")[0] for each in results}),
        len(results) + cut_short,
        failures={text(): text()} if cut_short else {},
        requests={text(): request},
        versions={"torch": text()},
        device=text(),
        when=text(),
        finished=True,
    )


@dataclass(frozen=True)
class Said:
    """What a command printed, as the console got it, and its exit code."""

    code: int
    out: str
    err: str


def said(*words: str, encoding: str = "utf-8") -> Said:
    """Run a command of the command line in this process, with a console of some encoding that allows nothing else."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    return Said(code, *texts)


@contextlib.contextmanager
def at(root: Path, environment: Mapping[str, str | None]) -> Iterator[None]:
    """Work in a folder, with some variables of the environment set, or removed."""
    import pytest

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        for name, value in environment.items():
            if value is None:
                patched.delenv(name, raising=False)
            else:
                patched.setenv(name, value)
        yield


def files(root: Path, pattern: str) -> dict[str, str]:
    """Return the files of a folder, by name, as UTF-8."""
    return {path.name: path.read_bytes().decode() for path in sorted(root.rglob(pattern))}
