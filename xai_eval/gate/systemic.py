"""Finds shifts that no single case shows: many cases that each changed a little, all in the same direction. Pure.

Every field says in which direction it changed and by how much (`shifts`). Changes up to the measured noise, or up to a
small share of the tolerance, do not count, because rounding errors may have the same sign in every case. Noise is
read from a file beside the golden, so it counts for no more than that share. Of the cases
that changed by more, chance would move about half in each direction. The exact sign test gives the probability of a
split as uneven as the observed one, and the procedure of Benjamini and Hochberg corrects for the number of tests.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xai_eval.gate.stage_table import STAGE_TOLERANCE
from xai_eval.gate.unwatched import watched_pairs
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.naming import of_task, plain, title
from xai_eval.result.precisions import in_half
from xai_eval.result.result import Result
from xai_eval.result.stage import StageKind
from xai_eval.store.noise import LargestNoise, Noise

# The share of false alarms among the reported shifts is at most this.
FALSE_DISCOVERIES = 0.01
# With fewer cases than this, even a shift of all of them in one direction could be chance.
LEAST_CASES = 8
# A change counts only beyond this share of its tolerance, even if the measured noise is smaller, because another
# processor may have more noise than the one that it was measured on.
MEASURED_SHARE = 0.01
# The share that is used instead if no noise was measured.
UNMEASURED_SHARE = 0.05
# Only the tolerance of its field says what matters of a value that a test computed itself. In a large region, rounding
# moves some of the places that are tied between two classes in every image.
_NOT_COUNTED = (StageKind.VALUE, StageKind.REGION)


@dataclass(frozen=True)
class Compared:
    """A result, the golden that it was judged by, the verdict, and the noise of the golden if it was measured."""

    obtained: Result
    golden: Result
    verdict: Verdict
    noise: Noise | None = None


@dataclass(frozen=True)
class Systemic:
    """A shift in the same direction over many cases of one task and model.

    Attributes:
        task: the task.
        model: spec of the model.
        what: the field or stage that changed.
        measure: the measure in which it changed.
        cases: number of cases that were compared.
        one_way: number of cases that changed in this direction by more than noise.
        other_way: number of cases that changed in the other direction; for a stage, whose change has no direction, the
            number of cases that did not change.
        change: median change over the cases that changed in this direction.
        rate: p-value, adjusted for the number of tests: the expected share of false alarms among all shifts that are at
            least as improbable.
    """

    task: str
    model: str
    what: str
    measure: str
    cases: int
    one_way: int
    other_way: int
    change: float
    rate: float

    @property
    def sentence(self) -> str:
        """The shift as text for people."""
        where = f"{title(self.what)} of {of_task(self.task, self.model)}"
        return (
            f"{where}: {plain(self.measure)} {self.change:+.2g} (median) in {self.one_way} of {self.cases} cases, "
            f"{self.other_way} against it. No case shows this on its own, but so many in one direction are unlikely by "
            f"chance (false discovery rate {self.rate:.1g})."
        )


class _Series(NamedTuple):
    """What is tested for a shift: one measure of one field or stage over the cases of a task and model."""

    task: str
    model: str
    what: str
    measure: str
    directed: bool


class _Shift(NamedTuple):
    """The change in one case, and how much of it may be noise."""

    change: float
    margin: float


CaseShifts = tuple[tuple[_Series, _Shift], ...]


def case_shifts(each: Compared) -> CaseShifts:
    """Return what one case adds to every series.

    A field that is a finding of the case itself is left out, because the verdict of the case shows it already.
    """
    if each.verdict.state not in (State.OK, State.DRIFT):
        return ()
    return (*_field_shifts(each), *_stage_shifts(each))


def systemic_among(cases: Iterable[CaseShifts]) -> tuple[Systemic, ...]:
    """Find what changed in the same direction over the cases of a task and model, the least probable first.

    `cases` is what `case_shifts` returned for every case.
    """
    shifts = Shifts()
    for each in cases:
        shifts.add(each)
    return shifts.systemic()


class Shifts:
    """What all cases of a run add to every series, in little memory: two numbers per case and series."""

    def __init__(self) -> None:
        """Begin without any case."""
        self._numbers: dict[_Series, array[float]] = defaultdict(_numbers)

    def add(self, case: CaseShifts) -> None:
        """Add what `case_shifts` returned of the next case."""
        for series, shift in case:
            self._numbers[series].extend(shift)

    def join(self, others: Shifts) -> None:
        """Add what others hold of the next cases."""
        for series, numbers in others._numbers.items():
            self._numbers[series].extend(numbers)

    def systemic(self) -> tuple[Systemic, ...]:
        """Find what changed in the same direction, as `systemic_among` does."""
        pairs = ((series, iter(numbers)) for series, numbers in self._numbers.items())
        return _systemic_among({series: [*map(_Shift, each, each)] for series, each in pairs})


def _numbers() -> array[float]:
    return array("d")


def _systemic_among(shifts: Mapping[_Series, Sequence[_Shift]]) -> tuple[Systemic, ...]:
    tested = [(series, *_ways(series, given), given) for series, given in shifts.items()]
    # A series that changed nowhere is not tested: to count it would only make the correction stricter for the others.
    tested = [each for each in tested if each[1] > 0 and each[1] + each[2] >= LEAST_CASES]
    rates = discovery_rates(np.array([_probability(*each[:3]) for each in tested]))
    found = [
        _systemic(series, one, other, given, float(rate))
        for (series, one, other, given), rate in zip(tested, rates, strict=True)
        if rate <= FALSE_DISCOVERIES
    ]
    return tuple(sorted(found, key=lambda each: each.rate))


def _field_shifts(each: Compared) -> Iterator[tuple[_Series, _Shift]]:
    shown = {finding.field for finding in each.verdict.findings}
    case = each.obtained.case
    for name, now, was in watched_pairs(each.obtained, each.golden):
        for shift in now.shifts(was) if name not in shown else ():
            noise = each.noise.largest_shift(name, shift.measure) if each.noise else None
            if math.isfinite(shift.change):
                series = _Series(case.task, case.model, name, shift.measure, directed=True)
                yield series, _Shift(shift.change, _margin(noise, shift.tolerance))


def _stage_shifts(each: Compared) -> Iterator[tuple[_Series, _Shift]]:
    """Yield the relative changes of stages, which have a size but no direction.

    Nothing is yielded if the run was on another device than a CPU and its golden was not, nor from the first stage that
    the verdict of the case names, nor in half precision, in which other kernels move the stages of every case. Noise
    counts only if nothing recorded changed since, because it was measured before.
    """
    run, golden = each.obtained.provenance, each.golden.provenance
    if run.device not in ("cpu", golden.device) or in_half(run.precision):
        return
    noises = None if each.verdict.changes else each.noise
    case, origin = each.obtained.case, each.verdict.origin
    shown = origin.stage if origin else None
    for stage, now in itertools.takewhile(lambda known: known[0] != shown, each.obtained.stages.items()):
        was = each.golden.stages.get(stage)
        if was is None or was.sketch is None or stage.kind in _NOT_COUNTED:
            continue
        noise = noises.largest_stage_change(stage) if noises else None
        series = _Series(case.task, case.model, f"stage {stage}", "relative change", directed=False)
        yield series, _Shift(now.distance(was), _margin(noise, STAGE_TOLERANCE))


def _margin(noise: LargestNoise | None, tolerance: float) -> float:
    """Return the largest change that may be noise. Measured noise only lowers it: no file may hide a shift."""
    most = UNMEASURED_SHARE * tolerance
    return most if noise is None else min(max(MEASURED_SHARE * tolerance, noise.value), most)


def _ways(series: _Series, shifts: Sequence[_Shift]) -> tuple[int, int]:
    """Count the cases that changed in the more frequent direction, and those that changed in the other."""
    up = sum(shift.change > shift.margin for shift in shifts)
    if not series.directed:
        return up, len(shifts) - up
    down = sum(shift.change < -shift.margin for shift in shifts)
    return max(up, down), min(up, down)


def _probability(series: _Series, one: int, other: int) -> float:
    """Return the p-value; a stage that did not change in most cases is no shift, whatever the test says."""
    return sign_test(one, other) if series.directed or one > other else 1.0


def _systemic(series: _Series, one: int, other: int, shifts: Sequence[_Shift], rate: float) -> Systemic:
    beyond = np.array([shift.change for shift in shifts if abs(shift.change) > shift.margin])
    way = np.sign(np.median(np.sign(beyond)))
    change = float(np.median(beyond[np.sign(beyond) == way]))
    return Systemic(series.task, series.model, series.what, series.measure, len(shifts), one, other, change, rate)


def discovery_rates(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values (J,) for their number, as Benjamini and Hochberg 1995.

    Among those with an adjusted value of at most q, the expected share of false discoveries is at most q. NaN stays NaN
    and does not count.
    """
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    if not known.size:
        return adjusted
    order = known[np.argsort(p_values[known])]
    scaled = p_values[order] * known.size / np.arange(1, known.size + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def sign_test(one_way: int, other_way: int) -> float:
    """Return the exact two-sided probability that fair coins fall at least as unevenly; 1 without any coins."""
    coins, fewer = one_way + other_way, min(one_way, other_way)
    tail = sum(math.comb(coins, k) for k in range(fewer + 1))
    return float(min(1.0, 2.0 * tail / 2**coins))
