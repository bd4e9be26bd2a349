"""Checks that tolerances are above the measured noise, not far above it, and below their cap. Pure."""

from __future__ import annotations

import enum
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from xai_eval.gate.systemic import Compared
from xai_eval.gate.unwatched import watched_pairs
from xai_eval.result.fields import Distance
from xai_eval.result.naming import of_task, plain, title
from xai_eval.store.noise import LargestNoise

# A tolerance of more than this many times the noise could be tightened.
GENEROUS = 20.0


class Fit(enum.StrEnum):
    """How a tolerance compares with the noise and with its cap, worst first."""

    UNGATEABLE = "noise above the cap"
    TOO_TIGHT = "tolerance below the noise"
    TOO_LOOSE = "tolerance above its cap"
    GENEROUS = "tolerance could be tightened"


@dataclass(frozen=True)
class ToleranceNote:
    """A tolerance that does not fit the measured noise, over the cases of a task and model.

    Attributes:
        fit: what is wrong with it.
        task: the task.
        model: spec of the model.
        field: name of the field.
        measure: measure of the field that the tolerance is for.
        cases: number of cases to which the note applies.
        case: key of the worst of these cases.
        tolerance: the tolerance in this case.
        cap: the cap of the tolerance.
        noise: the noise in this case, and what caused it.
    """

    fit: Fit
    task: str
    model: str
    field: str
    measure: str
    cases: int
    case: str
    tolerance: float
    cap: float
    noise: LargestNoise

    @property
    def sentence(self) -> str:
        """The note as text for people."""
        where = f"{title(self.field)} of {of_task(self.task, self.model)}, {plain(self.measure)}"
        noise = f"{_in_words(self.noise.condition)}, which is no drift, moves it by {self.noise.value:.2g}"
        whom = f"{self.case} and {self.cases - 1} more" if self.cases > 1 else self.case
        match self.fit:
            case Fit.UNGATEABLE:
                return (
                    f"{where}: in {whom}, a drift cannot be told from noise: {noise}, and a tolerance above "
                    f"{self.cap:g} would let any explanation pass. Make the explanation steadier (more samples or "
                    "seeds), or put the case in quarantine."
                )
            case Fit.TOO_TIGHT:
                return f"{where}: {noise} in {whom}, but the tolerance allows at most {self.tolerance:g}. Raise it."
            case Fit.TOO_LOOSE:
                return f"{where}: the tolerance {self.tolerance:g} in {whom} must be at most {self.cap:g}: lower it."
            case Fit.GENEROUS:
                return f"{where}: the tolerance {self.tolerance:g} could be tightened: {noise} at most ({self.case})."


# What is changed to measure noise, by the names that are stored; any other name says it itself.
_IN_WORDS = {
    "stored": "keeping it as a golden, with smaller maps",
    "mkldnn off": "computing without MKL-DNN",
    "channels last": "another order in memory (channels last)",
    "float64": "computing in double precision",
}


def _in_words(condition: str) -> str:
    """Return the name of a harmless change as the subject of a sentence."""
    if condition.startswith("seeds from "):
        return f"drawing other random samples ({condition})"
    if condition.startswith("batches of ") or condition.endswith((" thread", " threads")):
        return f"computing with {condition}"
    return _IN_WORDS.get(condition, condition)


def measurements_of(each: Compared) -> Measurements:
    """Return tolerance and noise of every measure of one case; small enough to be kept for every case of a run."""
    case = each.obtained.case
    return tuple(
        ((case.task, case.model, field, measurement.distance.measure), measurement)
        for field, measurement in _measurements(each)
    )


def notes_among(cases: Iterable[Measurements]) -> tuple[ToleranceNote, ...]:
    """Return a note on every tolerance that does not fit the noise measured for it, worst first.

    `cases` is what `measurements_of` returned for every case.
    """
    groups: dict[_Group, list[_Measurement]] = defaultdict(list)
    for group, measurement in itertools.chain.from_iterable(cases):
        groups[group].append(measurement)
    notes = [note for group, measurements in groups.items() for note in _notes(group, measurements)]
    return tuple(sorted(notes, key=lambda note: list(Fit).index(note.fit)))


@dataclass(frozen=True)
class _Measurement:
    """Tolerance and noise of one measure in one case."""

    case: str
    distance: Distance
    noise: LargestNoise

    @property
    def fit(self) -> Fit | None:
        tolerance, cap = self.distance.tolerance, self.distance.cap
        if self.noise.value > cap:
            return Fit.UNGATEABLE
        if self.noise.value > tolerance:
            return Fit.TOO_TIGHT
        return Fit.TOO_LOOSE if tolerance > cap else None

    @property
    def excess(self) -> float:
        """Noise as a share of the tolerance."""
        tolerance = self.distance.tolerance
        return self.noise.value / tolerance if tolerance else math.copysign(math.inf, self.noise.value)


# Task, model, field and measure: all cases that share these share one tolerance.
_Group = tuple[str, str, str, str]
Measurements = tuple[tuple[_Group, _Measurement], ...]


def _measurements(each: Compared) -> Iterator[tuple[str, _Measurement]]:
    if each.noise is None:
        return
    case = each.obtained.case.key
    for name, now, was in watched_pairs(each.obtained, each.golden):
        for distance in now.distances(was):
            noise = each.noise.largest_distance(name, distance.measure)
            if noise is not None:
                yield name, _Measurement(case, distance, noise)


def _notes(group: _Group, measurements: Sequence[_Measurement]) -> Iterator[ToleranceNote]:
    for fit in (Fit.UNGATEABLE, Fit.TOO_TIGHT, Fit.TOO_LOOSE):
        own = [measurement for measurement in measurements if measurement.fit is fit]
        if own:
            yield _note(fit, group, own)
    # A tolerance is shared by all cases, so it can be lowered only if it is generous in each. Zero cannot be lowered.
    if all(measurement.distance.tolerance > 0 and measurement.excess * GENEROUS < 1 for measurement in measurements):
        yield _note(Fit.GENEROUS, group, measurements)


def _note(fit: Fit, group: _Group, measurements: Sequence[_Measurement]) -> ToleranceNote:
    worst = max(measurements, key=lambda measurement: measurement.excess)
    distance = worst.distance
    return ToleranceNote(fit, *group, len(measurements), worst.case, distance.tolerance, distance.cap, worst.noise)
