"""Measure the noise of a task: run it unchanged and under every benign change, and compare the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from xai_eval.errors import error_line
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.models import load_model
from xai_eval.result.fields import Field
from xai_eval.result.precisions import DEFAULT
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage
from xai_eval.result.tolerances import with_tolerances
from xai_eval.run.benign_changes import BENIGN_CHANGES, BenignChange
from xai_eval.run.plan import Plan, choose_device, plan
from xai_eval.settings.settings import FieldTolerances
from xai_eval.store.noise import ByField, Noise
from xai_eval.tasks import find_task

# A golden stores rounded values (maps in half precision). This is the name of that rounding among the benign changes.
STORED = "stored"
# Plans a task for a changed model and replaced parameters. All plans use the same inputs.
Planner = Callable[[Callable[[Classifier], Classifier], Mapping[str, Any]], Plan]
_ByMeasure = dict[str, dict[str, dict[str, float]]]
_Key = TypeVar("_Key")  # the name of a measure, or a stage


@dataclass(frozen=True)
class Calibration:
    """The result of the unchanged run for one case, and by how much benign changes change it."""

    plain: Result
    noise: Noise


@dataclass
class _Differences:
    """Differences of one case to the unchanged run, collected change by change."""

    plain: Result
    distances: _ByMeasure = field(default_factory=dict)
    shifts: _ByMeasure = field(default_factory=dict)
    stages: dict[Stage, dict[str, float]] = field(default_factory=dict)

    def add_distances(self, change: str, other: Result) -> None:
        for name, mine, theirs in self._pairs(other):
            for distance in theirs.distances(mine):
                _note(self.distances.setdefault(name, {}), distance.measure, change, distance.value)

    def add_shifts(self, change: str, other: Result) -> None:
        for name, mine, theirs in self._pairs(other):
            for shift in theirs.shifts(mine):
                _note(self.shifts.setdefault(name, {}), shift.measure, change, shift.change)
        for stage, fingerprint in self.plain.stages.items():
            if stage in other.stages:
                _note(self.stages, stage, change, other.stages[stage].distance(fingerprint))

    def _pairs(self, other: Result) -> Iterator[tuple[str, Field, Field]]:
        for name, mine in self.plain.fields.items():
            theirs = other.fields.get(name)
            if theirs is not None and theirs.kind == mine.kind:
                yield name, mine, theirs


def calibrate(
    task: str,
    planned: Planner,
    changes: Sequence[BenignChange] = BENIGN_CHANGES,
    announce: Callable[[str], None] = lambda name: None,
) -> list[Calibration]:
    """Measure the noise of every case of a task.

    Args:
        task: name of the task.
        planned: plans the task for a changed model and replaced parameters.
        changes: the benign changes to measure. A change that makes the model or the task fail is listed in
            `Noise.unmeasured` with the error.
        announce: called with the name of each run before it starts.

    Returns:
        One calibration per case. `Noise.golden` is empty: the store fills it in when the noise is stored for a golden.

    Raises:
        XaiEvalError: the unchanged run fails.
    """
    announce("plain run")
    differences = [_Differences(result) for result in planned(lambda model: model, {}).results]
    for each in differences:
        each.add_distances(STORED, each.plain.condensed())
        each.add_shifts(STORED, each.plain.condensed())
    unmeasured: dict[str, str] = {}
    for change in changes:
        if not set(change.needs) <= set(find_task(task).parameters):
            continue
        announce(change.name)
        try:
            results = _run_under(change, planned)
        except Exception as error:  # A model or a library may raise anything under a change that it does not support.
            unmeasured[change.name] = error_line(error)
            continue
        for each, result in zip(differences, results, strict=True):
            each.add_distances(change.name, result)
            if not change.redraws:
                each.add_shifts(change.name, result)
    return [Calibration(each.plain, _noise(each, unmeasured)) for each in differences]


def calibrate_task(
    task: str,
    model: str | Classifier | None,
    images: str | None,
    device: str,
    params: Mapping[str, Any],
    announce: Callable[[str], None],
    tolerances: FieldTolerances | None = None,
    precision: str = DEFAULT,
) -> list[Calibration]:
    """Load the model and images of a task, named as for `evaluate`, and measure its noise with `calibrate`.

    `tolerances` replace those of the task, by the name of a field, because noise is compared with them. The noise is
    that of `precision`, and is used for no other.
    """
    classifier = load_model(find_task(task).model if model is None else model, device=choose_device(device))

    def planned(variant: Callable[[Classifier], Classifier], changes: Mapping[str, Any]) -> Plan:
        wanted, given = variant(classifier), {**params, **changes}
        each = plan(task, model=wanted, images=images, device=device, precision=precision, params=given)
        return dataclasses.replace(each, results=(with_tolerances(r, tolerances or {}) for r in each.results))

    return calibrate(task, planned, announce=announce)


def _run_under(change: BenignChange, planned: Planner) -> list[Result]:
    with change.context():
        return list(planned(change.variant, change.params).results)


def _noise(differences: _Differences, unmeasured: Mapping[str, str]) -> Noise:
    provenance = differences.plain.provenance
    return Noise(
        golden="",
        distances=differences.distances,
        shifts=_worst_only(differences.shifts),
        stages=differences.stages,
        unmeasured=dict(unmeasured),
        versions=provenance.versions,
        device=provenance.device,
        precision=provenance.precision,
    )


def _worst_only(shifts: _ByMeasure) -> ByField:
    """Keep only the largest shift of each measure, because only the largest one is used as a limit."""
    return {
        name: {m: dict([max(by.items(), key=lambda each: abs(each[1]))]) for m, by in measures.items()}
        for name, measures in shifts.items()
    }


def _note(known: dict[_Key, dict[str, float]], key: _Key, change: str, value: float) -> None:
    known.setdefault(key, {})[change] = float(f"{value:.6g}")
