"""Run a task plainly and under every benign change, and measure how far apart the results are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from xai_eval.errors import error_line
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.models import load_model
from xai_eval.result.fields import Field
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage
from xai_eval.run.benign import CONDITIONS, Condition
from xai_eval.run.evaluate import Plan, choose_device, plan
from xai_eval.store.noise import ByField, Noise
from xai_eval.tasks import find_task

# What a golden keeps of a result is rounded: maps to half precision.
STORED = "stored"
# Loads nothing and computes nothing until it is iterated; the same inputs every time.
Planner = Callable[[Callable[[Classifier], Classifier], Mapping[str, Any]], Plan]
Moves = dict[str, dict[str, dict[str, float]]]
_Moved = TypeVar("_Moved")  # a measure, or a stage


@dataclass(frozen=True)
class Calibration:
    """A case as the plain run found it, and what benign changes do to it."""

    plain: Result
    noise: Noise


@dataclass
class _Moves:
    """What is known of one case so far."""

    plain: Result
    distances: Moves = field(default_factory=dict)
    shifts: Moves = field(default_factory=dict)
    stages: dict[Stage, dict[str, float]] = field(default_factory=dict)

    def add_distances(self, condition: str, other: Result) -> None:
        for name, mine, theirs in self._pairs(other):
            for distance in theirs.distances(mine):
                _note(self.distances.setdefault(name, {}), distance.measure, condition, distance.value)

    def add_moves(self, condition: str, other: Result) -> None:
        for name, mine, theirs in self._pairs(other):
            for shift in theirs.shifts(mine):
                _note(self.shifts.setdefault(name, {}), shift.measure, condition, shift.change)
        for stage, fingerprint in self.plain.stages.items():
            if stage in other.stages:
                _note(self.stages, stage, condition, other.stages[stage].distance(fingerprint))

    def _pairs(self, other: Result) -> Iterator[tuple[str, Field, Field]]:
        for name, mine in self.plain.fields.items():
            theirs = other.fields.get(name)
            if theirs is not None and theirs.kind == mine.kind:
                yield name, mine, theirs


def calibrate(
    task: str,
    planned: Planner,
    conditions: Sequence[Condition] = CONDITIONS,
    announce: Callable[[str], None] = lambda name: None,
) -> list[Calibration]:
    """Measure the noise of every case of a task.

    Args:
        task: name of the task.
        planned: plans the task for a variant of the model and with parameters replaced.
        conditions: the benign changes.
        announce: is told the name of each before it is measured.

    Returns:
        One a case. Noise of no golden in particular: which one it is measured for is told when it is stored.

    Raises:
        XaiEvalError: the plain run fails; a condition that the model or the task does not bear is `unmeasured`.
    """
    announce("plain run")
    moves = [_Moves(result) for result in planned(lambda model: model, {}).results]
    for each in moves:
        each.add_distances(STORED, each.plain.condensed())
        each.add_moves(STORED, each.plain.condensed())
    unmeasured: dict[str, str] = {}
    for condition in conditions:
        if not set(condition.needs) <= set(find_task(task).parameters):
            continue
        announce(condition.name)
        try:
            results = _run_under(condition, planned)
        except Exception as error:  # whatever a model or a library cannot bear
            unmeasured[condition.name] = error_line(error)
            continue
        for each, result in zip(moves, results, strict=True):
            each.add_distances(condition.name, result)
            if not condition.redraws:
                each.add_moves(condition.name, result)
    return [Calibration(each.plain, _noise(each, unmeasured)) for each in moves]


def calibrate_task(
    task: str,
    model: str | Classifier | None,
    images: str | None,
    device: str,
    params: Mapping[str, Any],
    announce: Callable[[str], None],
) -> list[Calibration]:
    """Load what a task needs, by the names that `evaluate` takes, and measure its noise as `calibrate` does."""
    classifier = load_model(find_task(task).model if model is None else model, device=choose_device(device))

    def planned(variant: Callable[[Classifier], Classifier], changes: Mapping[str, Any]) -> Plan:
        return plan(task, model=variant(classifier), images=images, device=device, params={**params, **changes})

    return calibrate(task, planned, announce=announce)


def _run_under(condition: Condition, planned: Planner) -> list[Result]:
    with condition.surroundings():
        return list(planned(condition.variant, condition.params).results)


def _noise(moves: _Moves, unmeasured: Mapping[str, str]) -> Noise:
    provenance = moves.plain.provenance
    return Noise(
        golden="",
        distances=moves.distances,
        shifts=_worst_only(moves.shifts),
        stages=moves.stages,
        unmeasured=dict(unmeasured),
        versions=provenance.versions,
        device=provenance.device,
    )


def _worst_only(shifts: Moves) -> ByField:
    """Which condition moved a field which way is not asked for, only how far."""
    return {
        name: {m: dict([max(by.items(), key=lambda each: abs(each[1]))]) for m, by in measures.items()}
        for name, measures in shifts.items()
    }


def _note(known: dict[_Moved, dict[str, float]], moved: _Moved, condition: str, value: float) -> None:
    known.setdefault(moved, {})[condition] = float(f"{value:.6g}")
