"""Small evaluations of every task, and what the gate says of them under a fault."""

from __future__ import annotations

import copy
import dataclasses
import functools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fault as f
import numpy as np
import pytest
from PIL import Image

from xai_eval import Classifier, Result, evaluate, load_model
from xai_eval.errors import LibraryMisbehaves, MetricMisbehaves, XaiEvalError
from xai_eval.explainers.dissection import checkpoint
from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import Verdict
from xai_eval.result.stage import Stage, StageKind
from xai_eval.scenes import render
from xai_eval.store.upgrade_policy import ALL_STAGES, DEFAULT_POLICY
from xai_eval.tasks.reference.check import check_metrics

SLIC = {"segmentation": "slic", "segmentation_parameters": {"n_segments": 12}}
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "cams": {"methods": ["gradcam", "scorecam", "ablationcam", "eigencam"]},
    "lime": {"num_samples": 150, "seeds": 2, "top_labels": 2, **SLIC},
    "comparison": {"num_samples": 100, **SLIC},
    "hybrid": {"num_samples": 30, **SLIC},
    "lime_search": {
        "grid": {
            "segmentation": ["slic", "felzenszwalb"],
            "num_samples": [40, 60],
            "num_features": [15_000],
            "top_labels": [3],
            "batch_size": [10],
        }
    },
    "attributions": {"methods": ["saliency", "input_x_gradient", "integrated_gradients"], "steps": 8},
    "dissection": {
        "layers": ["layer4"],
        "shuffles": 1,
        "against": "none",
        "similarity": "soft_wpmi",
        "top_k": 4,
        "batch_size": 8,
    },
}
PROBE = "scenes:24"
# What these do takes long enough on one.
ON_ONE_IMAGE = ("hybrid", "lime_search")


@dataclass(frozen=True)
class Bench:
    """Where small evaluations run: a model, folders `one` and `several`, and what they gave when all was well."""

    model: str
    folder: Path
    baseline: dict[tuple[str, str], dict[str, Result]] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: PARAMETERS)
    loaded: list[Classifier] = dataclasses.field(default_factory=list)

    def run(self, task: str, inject: f.Inject | None = None, **options: Any) -> dict[str, Result]:
        """Results by key, of the bundled inputs, with something put into the code."""
        classifier = self._classifier()
        given = {"images": str(self._images(task)), **self.parameters[task], **options}
        check_metrics.cache_clear()
        injected = inject(classifier) if inject else nullcontext(classifier)
        with self._own_checkpoints(), injected as model:
            results = evaluate(task, model=model, device="cpu", **given)
        return {result.case.key: result for result in results}

    def _classifier(self) -> Classifier:
        """The model, loaded once, with a module of its own: a fault may change it."""
        if not self.loaded:
            self.loaded.append(load_model(self.model, device="cpu"))
        return dataclasses.replace(self.loaded[0], module=copy.deepcopy(self.loaded[0].module))

    @contextmanager
    def _own_checkpoints(self) -> Iterator[None]:
        """Keep shards of a dissection apart from those of other runs and workers, in which other faults are at work."""
        with tempfile.TemporaryDirectory(dir=self.folder) as cache, pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint.pooch, "os_cache", lambda _project: Path(cache))
            yield

    def _images(self, task: str) -> Path | str:
        if task == "dissection":
            return PROBE
        return self.folder / ("one" if task in ON_ONE_IMAGE else "several")

    def goldens(self, task: str, **parameters: Any) -> dict[str, Result]:
        """What the task gives when all is well, as goldens keep it; computed once per set of parameters."""
        key = task, repr(sorted(parameters.items()))
        if key not in self.baseline:
            self.baseline[key] = {name: each.condensed() for name, each in self.run(task, **parameters).items()}
        return self.baseline[key]

    def verdicts(self, task: str, inject: f.Inject | None, **options: Any) -> list[Verdict]:
        """Judge a task with something put into the code."""
        goldens = self.goldens(task)
        return judge_all(self.run(task, inject, **options), goldens)


@dataclass(frozen=True)
class Row:
    """What the gate said of one fault in one task; `told` says whether other weights on record were told as such."""

    fault: f.Fault
    task: str
    noticed: bool
    placed: bool
    stages: tuple[str, ...]
    severity: str
    cause: str
    told: bool = True
    model: str = ""

    @property
    def line(self) -> str:
        """One line of the table."""
        marks = f"{'yes' if self.noticed else 'NO':4}{'yes' if self.placed else 'NO':4}"
        named = ", ".join(self.stages) or "-"
        who = f"{self.fault.kind:14}{self.fault.name:48.48}{self.task:13}"
        return f"{who}{marks}{self.severity:12}{named:40.60} {self.cause:.50}"

    @property
    def outcome(self) -> dict[str, str | bool]:
        """What the table at the end of the run needs of this row, in types that a worker can send."""
        return {
            "line": self.line,
            "noticed": self.noticed,
            "placed": self.placed,
            "task": self.task,
            "model": self.model,
            "kind": self.fault.kind,
        }


def tried(bench: Bench, fault: f.Fault, task: str) -> Row:
    """Put a fault into a task and see what becomes of it. An exception that is not this package's own passes."""
    goldens = bench.goldens(task, **fault.parameters)
    try:
        results = bench.run(task, fault.inject, **fault.parameters)
    except XaiEvalError as error:
        named = _named(error)
        # A library that breaks wherever it is called shows in the trial already.
        placed = fault.stage == named or (fault.stage == f.ERROR and isinstance(error, LibraryMisbehaves))
        return Row(fault, task, True, placed, (named,), "error", type(error).__name__, model=bench.model)
    verdicts = judge_all(results, goldens, policy=ALL_STAGES if fault.upgrade else DEFAULT_POLICY)
    told = not fault.upgrade or all(map(_is_told, judge_all(results, goldens, policy=DEFAULT_POLICY)))
    return _row(bench, fault, task, [verdict for verdict in verdicts if verdict.failed], told)


def _named(error: XaiEvalError) -> str:
    if isinstance(error, MetricMisbehaves):
        return f"metric {error.metric}"
    return f"trial {error.step}" if isinstance(error, LibraryMisbehaves) else f.ERROR


def _is_told(verdict: Verdict) -> bool:
    """Whether a verdict tells that other weights are on record, whether or not it fails."""
    upgrade = verdict.upgrade
    return upgrade.of_weights and "weights" in verdict.sentence and upgrade.sentence in verdict.sentence


def _row(bench: Bench, fault: f.Fault, task: str, failed: list[Verdict], told: bool) -> Row:
    stages = tuple(dict.fromkeys(v.origin.stage if v.origin else None for v in failed))
    wanted = stage_in(task, fault.stage)
    severities = [v.severity.label if v.severity else v.state.value for v in failed]
    causes = dict.fromkeys(str(change) for v in failed for change in v.changes)
    return Row(
        fault,
        task,
        noticed=bool(failed),
        placed=bool(failed) and all(is_at(wanted, stage) for stage in stages),
        stages=tuple(str(stage or "none") for stage in stages),
        severity=min(severities, key=_SEVERITIES.index, default="-"),
        cause="; ".join(causes) or "nothing recorded",
        told=told,
        model=bench.model,
    )


_SEVERITIES = ("conclusion", "evidence", "numbers", "incomparable", "missing", "unused", "error")
_IN_DISSECTION: Mapping[f.Expected, f.Expected] = {
    StageKind.DECODED_PIXELS: StageKind.PROBE_IMAGES,
    StageKind.LAYER_ACTIVATIONS: Stage(StageKind.ACTIVATIONS, "layer4"),
    StageKind.LOGITS: StageKind.ACTIVATIONS,
}


def stage_in(task: str, stage: f.Expected) -> f.Expected:
    """What stands for a stage in a task."""
    return _IN_DISSECTION.get(stage, stage) if task == "dissection" else stage


def is_at(wanted: f.Expected, stage: Stage | None) -> bool:
    """Whether a stage is the one that is wanted, or of the kind that is."""
    return stage is not None and wanted in (stage, stage.kind)


@functools.cache
def write_images(folder: Path) -> Path:
    """Write two scenes as files of other sizes than the model's, a JPEG and a PNG, with the masks of their objects."""
    for seed, suffix, size, sets in (
        (3, "jpg", (150, 110), ("one", "several")),
        (5, "png", (96, 128), ("several",)),
    ):
        scene = render(seed)
        mask = Image.fromarray(scene.masks[scene.main_object].astype(np.uint8) * 255)
        small = Image.fromarray(scene.pixels).resize(size, Image.Resampling.BICUBIC)
        for name in sets:
            for kind in ("images", "masks"):
                (folder / name / kind).mkdir(parents=True, exist_ok=True)
            small.save(folder / name / "images" / f"{seed}.{suffix}", **({"quality": 95} if suffix == "jpg" else {}))
            mask.resize(size, Image.Resampling.NEAREST).save(folder / name / "masks" / f"{seed}.png")
    return folder
