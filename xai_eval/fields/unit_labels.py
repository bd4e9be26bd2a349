"""Which concept every unit of a model stands for, by one method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pandas as pd
from numpy.typing import NDArray

from xai_eval.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.fields.numbers import apart
from xai_eval.fields.table import Table

COLUMNS = ("unit", "label", "score", "second", "margin")
_NAMED = 5  # changed labels that a sentence spells out


@dataclass(frozen=True)
class UnitLabels:
    """One row a unit.

    Attributes:
        frame: begins with the columns `unit` (unique, such as "layer4/17"), `label` (None where the unit has none),
            `score`, `second` (the runner-up) and `margin` (by how much the runner-up's score is lower). What follows is
            for reading alone and not kept by a golden.
        tolerance: by how much a score may differ.
    """

    kind: ClassVar[str] = "unit labels"
    frame: pd.DataFrame
    tolerance: float

    def __post_init__(self) -> None:
        if tuple(self.frame.columns[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(f"unit labels begin with the columns {COLUMNS}, got {tuple(self.frame.columns)}")
        object.__setattr__(self, "frame", Table(self.frame).frame)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Cells are stored as text, so that a change of them can be read in a review."""
        return {}

    def meta(self) -> dict[str, Any]:
        """Columns with their types, and the tolerance."""
        return {"columns": Table(self.frame).meta()["columns"], "score_tolerance": self.tolerance}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(Table.restore({**meta, "tolerance": {}}, arrays).frame, meta["score_tolerance"])

    def condensed(self) -> UnitLabels:
        """Labels and scores, and what tells a tie."""
        return UnitLabels(self.frame[list(COLUMNS)], self.tolerance)

    def compare(self, golden: UnitLabels, name: str) -> tuple[Finding, ...]:
        """Compare label by label; a label that changed places with a runner-up as good has not changed."""
        was, now = (dict(_units(each.frame)) for each in (golden, self))
        if was.keys() != now.keys():
            sentence = f"{len(was)} units became {len(now)}, {len(was.keys() & now.keys())} of them the same"
            return (Finding(name, Severity.CONCLUSION, "units", sentence),)
        found = (self._changed_labels(was, now, name), self._moved_scores(was, now, name))
        return tuple(finding for finding in found if finding)

    def distances(self, other: UnitLabels) -> tuple[Distance, ...]:
        """The share of the units with another label, and the largest difference of a score among the others."""
        was, now = (dict(_units(each.frame)) for each in (other, self))
        if was.keys() != now.keys():
            return (Distance("labels", math.inf, 0.0),)
        changed = [unit for unit in was if was[unit].label != now[unit].label and not self._tied(was[unit], now[unit])]
        same = [unit for unit in was if was[unit].label == now[unit].label]
        largest = max((apart(was[unit].score, now[unit].score) for unit in same), default=0.0)
        share = len(changed) / max(len(was), 1)
        return (Distance("labels", share, 0.0), Distance("score", largest, self.tolerance))

    def shifts(self, golden: UnitLabels) -> tuple[Shift, ...]:
        """The mean difference of the scores of units that kept their label."""
        was, now = (dict(_units(each.frame)) for each in (golden, self))
        kept = [unit for unit in was.keys() & now.keys() if was[unit].label == now[unit].label]
        changes = [now[unit].score - was[unit].score for unit in kept]
        known = [change for change in changes if math.isfinite(change)]
        return (Shift("score", math.fsum(known) / len(known), self.tolerance),) if known else ()

    def _changed_labels(self, was: Units, now: Units, name: str) -> Finding | None:
        changed = [unit for unit in was if was[unit].label != now[unit].label and not self._tied(was[unit], now[unit])]
        if not changed:
            return None
        listed = ", ".join(f"{unit} {was[unit].shown} -> {now[unit].shown}" for unit in changed[:_NAMED])
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        sentence = f"{len(changed)} of {len(was)} units have another label: {listed}{more}"
        return Finding(name, Severity.CONCLUSION, "labels", sentence, len(changed) / len(was), 0.0)

    def _tied(self, was: Unit, now: Unit) -> bool:
        """Both scores may move by the tolerance, so a lead of twice as much decides nothing."""
        closest = max(was.margin, now.margin)
        return now.label == was.second and was.label == now.second and closest <= 2 * self.tolerance

    def _moved_scores(self, was: Units, now: Units, name: str) -> Finding | None:
        distances = {
            unit: apart(was[unit].score, now[unit].score) for unit in was if was[unit].label == now[unit].label
        }
        beyond = [unit for unit, distance in distances.items() if distance > self.tolerance]
        if not beyond:
            return None
        worst = max(beyond, key=distances.__getitem__)
        sentence = (
            f"score of {worst} for {was[worst].shown}: {was[worst].score:.4g} became {now[worst].score:.4g} "
            f"(limit {self.tolerance:g}; {len(beyond)} of {len(was)} units beyond it)"
        )
        return Finding(name, Severity.NUMBERS, "score", sentence, distances[worst], self.tolerance)


@dataclass(frozen=True)
class Unit:
    """One row of a frame, as far as it is judged."""

    label: str | None
    score: float
    second: str | None
    margin: float

    @property
    def shown(self) -> str:
        """The label as people read it."""
        return self.label if self.label is not None else "no label"


Units = Mapping[str, Unit]


def _units(frame: pd.DataFrame) -> Iterator[tuple[str, Unit]]:
    for unit, label, score, second, margin in frame[list(COLUMNS)].itertuples(index=False, name=None):
        yield unit, Unit(label, float(score), second, float(margin))
