"""Which concept every unit of a model stands for, by one method."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.result.fields.numbers import apart
from xai_eval.result.fields.table import Column, Table

COLUMNS = ("unit", "label", "score", "second", "margin")
_TEXTS, _NUMBERS = ("unit", "label", "second"), ("score", "margin")
_NAMED = 5  # changed labels that a sentence spells out
_FINENESS = 64  # a golden tells apart scores that differ by so small a part of the tolerance


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
        """The judged columns, text as JSON: there may be thousands of units, and 200 bytes for each are too many."""
        texts = {name: _packed(self.frame[name].tolist()) for name in _TEXTS}
        return texts | {name: self.frame[name].to_numpy(np.float64) for name in _NUMBERS}

    def meta(self) -> dict[str, Any]:
        """The columns for reading, and the tolerance."""
        reading = self.frame.drop(columns=[name for name in COLUMNS if name != "unit"])
        return {"columns": Table(reading).meta()["columns"][1:], "score_tolerance": self.tolerance}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        cells = {name: Column(name, "text", tuple(json.loads(arrays[name].tobytes()))) for name in _TEXTS}
        cells |= {name: Column(name, "float", tuple(arrays[name].tolist())) for name in _NUMBERS}
        reading = [Column.restore(each) for each in meta["columns"]]
        return cls(Table.of_columns((*(cells[name] for name in COLUMNS), *reading)).frame, meta["score_tolerance"])

    def condensed(self) -> UnitLabels:
        """Labels, scores to a small part of their tolerance, and what tells a tie."""
        kept = self.frame[list(COLUMNS)].copy()
        kept[list(_NUMBERS)] = _rounded(kept[list(_NUMBERS)].to_numpy(np.float64), self.tolerance / _FINENESS)
        return UnitLabels(kept, self.tolerance)

    def compare(self, golden: UnitLabels, name: str) -> tuple[Finding, ...]:
        """Compare label by label; a label that changed places with a runner-up as good has not changed."""
        was, now = (dict(_units(each.frame)) for each in (golden, self))
        if was.keys() != now.keys():
            sentence = f"{len(was)} units became {len(now)}, {len(was.keys() & now.keys())} of them the same"
            return (Finding(name, Severity.CONCLUSION, "units", sentence),)
        found = (
            self._changed_labels(was, now, name),
            self._moved(was, now, name, "score", self.tolerance),
            self._moved(was, now, name, "margin", self._most_of_margin),
        )
        return tuple(finding for finding in found if finding)

    def distances(self, other: UnitLabels) -> tuple[Distance, ...]:
        """The share of units with another label, and among the others the largest differences of score and margin."""
        was, now = (dict(_units(each.frame)) for each in (other, self))
        if was.keys() != now.keys():
            return (Distance("labels", math.inf, 0.0),)
        changed = [unit for unit in was if was[unit].label != now[unit].label and not self._tied(was[unit], now[unit])]
        same = [unit for unit in was if was[unit].label == now[unit].label]
        score = max((apart(was[unit].score, now[unit].score) for unit in same), default=0.0)
        margin = max((apart(was[unit].margin, now[unit].margin) for unit in same), default=0.0)
        return (
            Distance("labels", len(changed) / max(len(was), 1), 0.0),
            Distance("score", score, self.tolerance),
            Distance("margin", margin, self._most_of_margin),
        )

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

    @property
    def _most_of_margin(self) -> float:
        """A margin is a difference of two scores, each of which may move by the tolerance."""
        return 2 * self.tolerance

    def _tied(self, was: Unit, now: Unit) -> bool:
        """A lead that the tolerance could take away decides nothing."""
        closest = max(was.margin, now.margin)
        return now.label == was.second and was.label == now.second and closest <= self._most_of_margin

    def _moved(self, was: Units, now: Units, name: str, measure: str, limit: float) -> Finding | None:
        """Compare the score, or the margin, of the units that kept their label."""
        distances = {
            unit: apart(getattr(was[unit], measure), getattr(now[unit], measure))
            for unit in was
            if was[unit].label == now[unit].label
        }
        beyond = [unit for unit, distance in distances.items() if distance > limit]
        if not beyond:
            return None
        worst = max(beyond, key=distances.__getitem__)
        before, after = (getattr(units[worst], measure) for units in (was, now))
        sentence = (
            f"{measure} of {worst} for {was[worst].shown}: {before:.4g} became {after:.4g} "
            f"(limit {limit:g}; {len(beyond)} of {len(was)} units beyond it)"
        )
        return Finding(name, Severity.NUMBERS, measure, sentence, distances[worst], limit)


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


def _packed(texts: list[str | None]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(texts).encode(), np.uint8)


def _rounded(values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Round to a power of two of at most `step`: such numbers end in zeros, which take no room in an archive."""
    if step <= 0.0:
        return values
    power = 2.0 ** math.floor(math.log2(step))
    return np.round(values / power) * power
