"""Whether tolerances lie where they should: above the measured noise, not far above it, below their cap. Pure."""

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
from xai_eval.store.noise import Floor

# A tolerance of more than so many times the noise could be tightened.
GENEROUS = 20.0


class Fit(enum.StrEnum):
    """How a tolerance lies to noise and cap, worst first."""

    UNGATEABLE = "noise above the cap"
    TOO_TIGHT = "tolerance below the noise"
    TOO_LOOSE = "tolerance above its cap"
    GENEROUS = "tolerance could be tightened"


@dataclass(frozen=True)
class ToleranceNote:
    """How the tolerance of one field and measure fits, over the cases of a task and model.

    Attributes:
        fit: what is to be said of it.
        task: the task.
        model: spec of the model.
        field: name of the field.
        measure: what of it is compared.
        cases: how many cases it holds for.
        case: key of the one where it holds most.
        tolerance: the tolerance there.
        cap: its cap.
        floor: the noise there, and what caused it.
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
    floor: Floor

    @property
    def sentence(self) -> str:
        """The note in words."""
        where = f"{self.field} of {self.task} on {self.model}, {self.measure}"
        noise = f"{self.floor.condition} moves it by {self.floor.value:.2g}"
        whom = f"{self.case} and {self.cases - 1} more" if self.cases > 1 else self.case
        match self.fit:
            case Fit.UNGATEABLE:
                return (
                    f"{where}: {whom} cannot be gated: {noise}, and a tolerance above {self.cap:g} tells nothing. "
                    "Make the explanation steadier (more samples or seeds), or set the case aside."
                )
            case Fit.TOO_TIGHT:
                return f"{where}: {noise} in {whom}, more than the tolerance {self.tolerance:g} allows: raise it."
            case Fit.TOO_LOOSE:
                return f"{where}: the tolerance {self.tolerance:g} in {whom} is above its cap {self.cap:g}: lower it."
            case Fit.GENEROUS:
                return f"{where}: the tolerance {self.tolerance:g} could be tightened: {noise} at most ({self.case})."


def places_of(each: Compared) -> Places:
    """Tell how the tolerances of one case lie: little enough to be kept of every case of a run."""
    case = each.obtained.case
    return tuple(((case.task, case.model, field, place.distance.measure), place) for field, place in _places(each))


def notes_among(told: Iterable[Places]) -> tuple[ToleranceNote, ...]:
    """Say of every tolerance where noise was measured whether it fits, worst first; nothing where it does.

    `told` is what `places_of` gave for every case.
    """
    groups: dict[_Group, list[_Place]] = defaultdict(list)
    for group, place in itertools.chain.from_iterable(told):
        groups[group].append(place)
    notes = [note for group, places in groups.items() for note in _notes(group, places)]
    return tuple(sorted(notes, key=lambda note: list(Fit).index(note.fit)))


@dataclass(frozen=True)
class _Place:
    case: str
    distance: Distance
    floor: Floor

    @property
    def fit(self) -> Fit | None:
        tolerance, cap = self.distance.tolerance, self.distance.cap
        if self.floor.value > cap:
            return Fit.UNGATEABLE
        if self.floor.value > tolerance:
            return Fit.TOO_TIGHT
        return Fit.TOO_LOOSE if tolerance > cap else None

    @property
    def excess(self) -> float:
        """Noise as a share of the tolerance."""
        tolerance = self.distance.tolerance
        return self.floor.value / tolerance if tolerance else math.copysign(math.inf, self.floor.value)


# Task, model, field and measure: the cases that one tolerance serves.
_Group = tuple[str, str, str, str]
Places = tuple[tuple[_Group, _Place], ...]


def _places(each: Compared) -> Iterator[tuple[str, _Place]]:
    if each.noise is None:
        return
    case = each.obtained.case.key
    for name, now, was in watched_pairs(each.obtained, each.golden):
        for distance in now.distances(was):
            floor = each.noise.floor(name, distance.measure)
            if floor is not None:
                yield name, _Place(case, distance, floor)


def _notes(group: _Group, places: Sequence[_Place]) -> Iterator[ToleranceNote]:
    for fit in (Fit.UNGATEABLE, Fit.TOO_TIGHT, Fit.TOO_LOOSE):
        own = [place for place in places if place.fit is fit]
        if own:
            yield _note(fit, group, own)
    # One tolerance serves all cases, so it can be tightened only if all have room. An exact one has no room.
    if all(place.distance.tolerance > 0 and place.excess * GENEROUS < 1 for place in places):
        yield _note(Fit.GENEROUS, group, places)


def _note(fit: Fit, group: _Group, places: Sequence[_Place]) -> ToleranceNote:
    worst = max(places, key=lambda place: place.excess)
    distance = worst.distance
    return ToleranceNote(fit, *group, len(places), worst.case, distance.tolerance, distance.cap, worst.floor)
