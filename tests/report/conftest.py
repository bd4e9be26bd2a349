"""Made-up results of 64 px, large enough to be drawn and small enough to be drawn often."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.write import write_report
from xai_eval.result.fields import Heatmap, HeatmapTolerance, InputImage, Label, Mask, Ranking, Table
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.runs import RunRecord

SIDE = 64
HOSTILE = '<script>alert(1)</script> "|" `x` $\\frac$ <img src=http://evil.example/x.png>'
WARNING = "intended kite, but the model sees hip: the maps explain hip."


def spot(row, column, width=0.15):
    """A hot spot at (row, column), given as shares of the side."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2)).astype(np.float32)


def make_result(name="flamingo.JPEG", *, model="scenes:objects", label="flamingo", index=130, **changed):
    """A cams result; `changed` replaces fields by name, None leaves a field out."""
    maps = {"gradcam": spot(0.3, 0.3), "scorecam": spot(0.4, 0.6), "gradcam++": spot(0.5, 0.5)}
    tolerance = HeatmapTolerance(0.05)
    rows = {
        "method": list(maps),
        "map": ["ok"] * 3,
        "pointing_hit": [True, False, True],
        "energy_inside": [0.25, 0.5, 1 / 3],
    }
    fields = {
        "image": InputImage(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)),
        "intended": Label("flamingo", 130),
        "predicted": Label(label, index),
        "explained": Label(label, index),
        "audit": Label(None),
        "top5": Ranking((label, "crane"), (0.875, 0.0625), 0.01),
        "mask": Mask(spot(0.5, 0.5) > 0.5),
        **{method: Heatmap(array, tolerance) for method, array in maps.items()},
        "gradcam_layer": Heatmap(maps["gradcam"][8::16, 8::16], tolerance),
        "table": Table(pd.DataFrame(rows), {"energy_inside": 0.01}),
        "iou_sweep": Table(pd.DataFrame({"threshold": ["0.5", "0.9"], "gradcam": [0.5, 0.125]}), {"gradcam": 0.01}),
        **changed,
    }
    case = Case("cams", model, f"birds/{name}", {"target": "predicted"})
    present = {field: value for field, value in fields.items() if value is not None}
    return Result(case, present, provenance=Provenance(versions={"torch": "2.6.0"}))


def staged(shift):
    """A result with three stages, the latter two of them and a map moved by `shift`."""
    tensor = np.linspace(-1.0, 1.0, 64)
    stages = {
        Stage(StageKind.DECODED_PIXELS): tensor,
        Stage(StageKind.INPUT_TENSOR): tensor + shift,
        Stage(StageKind.LOGITS): tensor * (1 + shift),
    }
    moved = {"gradcam": heat(spot(0.3 + shift, 0.3))} if shift else {}
    return dataclasses.replace(
        make_result(**moved), stages={name: fingerprint_array(array) for name, array in stages.items()}
    )


def heat(array):
    return Heatmap(array, HeatmapTolerance(0.05))


def by_key(*results):
    return {result.case.key: result for result in results}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run with a case of every state, and the report of it."""

    folder: Path
    page: Path
    record: RunRecord
    verdicts: list[Verdict]
    results: dict[str, Result]

    def verdict(self, image):
        return next(verdict for verdict in self.verdicts if verdict.case.input == f"birds/{image}")

    @property
    def html(self):
        return self.page.read_text(encoding="utf-8")


def make_run():
    """(record, obtained, goldens, verdicts) with one case of every state and every severity."""
    same = make_result("same.JPEG", audit=Label(WARNING))
    moved = make_result("moved.JPEG"), make_result("moved.JPEG", gradcam=heat(spot(0.7, 0.8)))
    renamed = make_result("renamed.JPEG"), make_result("renamed.JPEG", label=HOSTILE, index=999)
    empty = (
        make_result("empty.JPEG"),
        make_result("empty.JPEG", scorecam=heat(np.zeros((SIDE, SIDE), np.float32))),
    )
    surer = (
        make_result("surer.JPEG"),
        make_result("surer.JPEG", top5=Ranking(("flamingo", "crane"), (0.95, 0.0625), 0.01)),
    )
    other = make_result("other.JPEG")
    asked = dataclasses.replace(other, case=dataclasses.replace(other.case, params={"target": "intended"}))
    goldens = [same, moved[0], renamed[0], empty[0], surer[0], other, make_result("gone.JPEG")]
    obtained = [same, moved[1], renamed[1], empty[1], surer[1], asked, make_result("new.JPEG")]
    condensed = by_key(*(golden.condensed() for golden in goldens))
    error = Verdict(
        Case("cams", "scenes:objects", "birds/broken.JPEG"), State.ERROR, reason="result.json is truncated."
    )
    verdicts = [error, *judge_all(by_key(*obtained), condensed)]
    record = RunRecord(
        tasks=("cams",),
        models=("scenes:objects",),
        inputs=("birds",),
        planned=8,
        failures={"birds/cut.JPEG": "cannot be decoded <b>at all</b>."},
        versions={"torch": "2.15.0", "grad-cam": "1.5.7"},
        device="cpu",
        seconds=41.25,
        finished=True,
    )
    return record, by_key(*obtained), condensed, verdicts


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    record, obtained, goldens, verdicts = make_run()
    page = write_report(folder, Judged(record, obtained, goldens, verdicts))
    return Run(folder, page, record, verdicts, obtained)


@pytest.fixture(scope="session")
def build():
    """The builders above; test modules cannot import a conftest by name."""
    return Builders()


class Builders:
    HOSTILE, WARNING, SIDE = HOSTILE, WARNING, SIDE
    result = staticmethod(make_result)
    run = staticmethod(make_run)
    heat = staticmethod(heat)
    staged = staticmethod(staged)
    spot = staticmethod(spot)
    by_key = staticmethod(by_key)
