"""A shift that no single case shows: many cases that moved a little, the same way. Pure.

Every field tells which way it moved and how far (`shifts`). What moved by no more than measured noise, or by no more
than a small share of its tolerance, does not count: bits that fall the same way everywhere are no shift. Of the cases
that moved further, as many should have moved one way as the other; the exact sign test says how improbable it is that
they did not, and Benjamini and Hochberg's procedure takes into account how many fields were asked.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.gate.stage_table import STAGE_TOLERANCE
from xai_eval.gate.unwatched import watched_pairs
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.result import Result
from xai_eval.store.noise import Floor, Noise

# Share of false alarms among what is reported.
FALSE_DISCOVERIES = 0.01
# With fewer cases than this not even a unanimous shift could be told from chance.
LEAST_CASES = 8
# A shift counts beyond this share of its tolerance, even where the noise that was measured is smaller: another
# processor's noise is not this one's.
MEASURED_SHARE = 0.01
# The same where nothing was measured.
UNMEASURED_SHARE = 0.05


@dataclass(frozen=True)
class Compared:
    """A result with the golden that it was judged by, the verdict, and the golden's noise where it was measured."""

    obtained: Result
    golden: Result
    verdict: Verdict
    noise: Noise | None = None


@dataclass(frozen=True)
class Systemic:
    """Cases of one task and model that moved the same way.

    Attributes:
        task: the task.
        model: spec of the model.
        what: the field or stage.
        measure: what of it moved.
        cases: how many cases were compared.
        one_way: how many of them moved this way, by more than noise.
        other_way: how many moved the other way, or (for a stage, which has no other way) did not move.
        change: median over the cases that moved this way.
        rate: adjusted p-value: the share of false alarms if everything up to this one is reported.
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
        """The finding in words."""
        return (
            f"{self.what} of {self.task} on {self.model}: {self.measure} {self.change:+.2g} (median) in {self.one_way} "
            f"of {self.cases} cases, {self.other_way} against it, none of them a finding of its own (false discovery "
            f"rate {self.rate:.1g})."
        )


@dataclass(frozen=True)
class _Question:
    task: str
    model: str
    what: str
    measure: str
    directed: bool


@dataclass(frozen=True)
class _Answer:
    """What one case says: its change, and how much of it may be noise."""

    change: float
    margin: float


Answers = tuple[tuple[_Question, _Answer], ...]


def answers_of(each: Compared) -> Answers:
    """Tell what one case says to every question: little enough to be kept of every case of a run.

    A field that is a finding of its own case is left out: that case shows it already.
    """
    if each.verdict.state not in (State.OK, State.DRIFT):
        return ()
    return (*_field_shifts(each), *_stage_shifts(each))


def shifts_among(told: Iterable[Answers]) -> tuple[Systemic, ...]:
    """Find what moved the same way over the cases of a task and model, the least probable first.

    `told` is what `answers_of` gave for every case.
    """
    answers: dict[_Question, list[_Answer]] = defaultdict(list)
    for question, answer in itertools.chain.from_iterable(told):
        answers[question].append(answer)
    asked = [(question, *_ways(question, given), given) for question, given in answers.items()]
    # What nowhere moved is no question: to count it would only hide the others.
    asked = [each for each in asked if each[1] > 0 and each[1] + each[2] >= LEAST_CASES]
    rates = discovery_rates(np.array([_probability(*each[:3]) for each in asked]))
    found = [
        _systemic(question, one, other, given, float(rate))
        for (question, one, other, given), rate in zip(asked, rates, strict=True)
        if rate <= FALSE_DISCOVERIES
    ]
    return tuple(sorted(found, key=lambda each: each.rate))


def _field_shifts(each: Compared) -> Iterator[tuple[_Question, _Answer]]:
    shown = {finding.field for finding in each.verdict.findings}
    case = each.obtained.case
    for name, now, was in watched_pairs(each.obtained, each.golden):
        for shift in now.shifts(was) if name not in shown else ():
            floor = each.noise.shift_floor(name, shift.measure) if each.noise else None
            if math.isfinite(shift.change):
                question = _Question(case.task, case.model, name, shift.measure, directed=True)
                yield question, _Answer(shift.change, _margin(floor, shift.tolerance))


def _stage_shifts(each: Compared) -> Iterator[tuple[_Question, _Answer]]:
    """Stages only move away, never one way or the other; what a recorded change explains is no finding.

    Nor is what the case itself shows: the stage that it names, and whatever follows from that one.
    """
    if each.verdict.changes:
        return
    case, origin = each.obtained.case, each.verdict.origin
    shown = origin.stage if origin else None
    for stage, was in itertools.takewhile(lambda known: known[0] != shown, each.golden.stages.items()):
        now = each.obtained.stages.get(stage)
        if now is None or was.sketch is None:
            continue
        floor = each.noise.stage_floor(stage) if each.noise else None
        question = _Question(case.task, case.model, f"stage {stage}", "relative change", directed=False)
        yield question, _Answer(now.distance(was), _margin(floor, STAGE_TOLERANCE))


def _margin(floor: Floor | None, tolerance: float) -> float:
    if floor is None:
        return UNMEASURED_SHARE * tolerance
    return max(floor.value, MEASURED_SHARE * tolerance)


def _ways(question: _Question, answers: Sequence[_Answer]) -> tuple[int, int]:
    """Count the cases that went the way of most, and the others."""
    up = sum(answer.change > answer.margin for answer in answers)
    if not question.directed:
        return up, len(answers) - up
    down = sum(answer.change < -answer.margin for answer in answers)
    return max(up, down), min(up, down)


def _probability(question: _Question, one: int, other: int) -> float:
    """What chance gives; that a stage stayed where it was in most cases is nothing to wonder at."""
    return sign_test(one, other) if question.directed or one > other else 1.0


def _systemic(question: _Question, one: int, other: int, answers: Sequence[_Answer], rate: float) -> Systemic:
    beyond = np.array([answer.change for answer in answers if abs(answer.change) > answer.margin])
    way = np.sign(np.median(np.sign(beyond)))
    change = float(np.median(beyond[np.sign(beyond) == way]))
    return Systemic(
        question.task, question.model, question.what, question.measure, len(answers), one, other, change, rate
    )


def discovery_rates(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values (J,) for their number: those with at most q hold a share of at most q false discoveries.

    Benjamini and Hochberg 1995. NaN stays, and does not count.
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
    """Probability, two-sided, that fair coins fall at least so unevenly; 1 for no coins. Exact."""
    coins, fewer = one_way + other_way, min(one_way, other_way)
    tail = sum(math.comb(coins, k) for k in range(fewer + 1))
    return float(min(1.0, 2.0 * tail / 2**coins))
