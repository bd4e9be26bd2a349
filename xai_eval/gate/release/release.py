"""The answer to the release question: same, different but not worse, worse, or cannot tell with so many images."""

from __future__ import annotations

import dataclasses
import enum
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xai_eval.gate.release.measures import About, measure
from xai_eval.gate.release.pairs import Pair, Value
from xai_eval.gate.release.sign_flip import holm
from xai_eval.gate.release.tested import LEVEL, Answer, Tested, tested


class Outcome(enum.StrEnum):
    """The answer, in the order in which it is better."""

    SAME = "same"
    NOT_WORSE = "different, not worse"
    CANNOT_TELL = "cannot tell"
    WORSE = "worse"


@dataclass(frozen=True)
class TaskShares:
    """Of the images of one task and model: how many there are, moved, have the same class, and the same evidence."""

    task: str
    model: str
    images: int
    moved: int
    same_class: int
    same_evidence: int


@dataclass(frozen=True)
class Release:
    """The comparison of two runs, or of a run with goldens of other weights.

    Attributes:
        outcome: the answer.
        shares: of each task.
        tested: every measure of every method: classes over all images, the others over those that moved.
    """

    outcome: Outcome
    shares: tuple[TaskShares, ...]
    tested: tuple[Tested, ...] = ()

    @property
    def moved(self) -> int:
        """Number of images that moved, in the task in which most did."""
        return max(each.moved for each in self.shares)

    @property
    def worse(self) -> tuple[Tested, ...]:
        """The measures that became worse."""
        return tuple(each for each in self.tested if each.answer is Answer.WORSE)


def release_of(pairs: Sequence[Pair]) -> Release | None:
    """Answer the release question over pairs of one or more tasks; None without pairs."""
    if not pairs:
        return None
    shares = tuple(_shares(own) for own in _grouped(pairs).values())
    if not any(each.moved for each in pairs):
        return Release(Outcome.SAME, shares)
    every = _answered([each for own in _grouped(pairs).values() for each in _tested(own)])
    return Release(_outcome(every), shares, every)


def _grouped(pairs: Iterable[Pair]) -> dict[tuple[str, str], list[Pair]]:
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.task, pair.model].append(pair)
    return groups


def _shares(pairs: Sequence[Pair]) -> TaskShares:
    return TaskShares(
        pairs[0].task,
        pairs[0].model,
        len(pairs),
        sum(each.moved for each in pairs),
        sum(each.same_class for each in pairs),
        sum(each.same_evidence for each in pairs),
    )


def _tested(pairs: Sequence[Pair]) -> list[Tested]:
    """Test each measure and method of one task and model: those of maps only over the images that moved.

    Images that did not move say nothing of those that did, and their zeros would make any loss look small.
    """
    series: dict[tuple[str, str], list[Value]] = defaultdict(list)
    for pair in pairs:
        for each in pair.values:
            if pair.moved or measure(each.measure).about is About.CLASS:
                series[each.measure, each.of].append(each)
    return [tested(pairs[0].task, pairs[0].model, values) for values in series.values()]


def _answered(every: Sequence[Tested]) -> tuple[Tested, ...]:
    """Add the answers. A loss is claimed after Holm's correction over all measures of the comparison.

    "Not worse" needs no correction: it is claimed of the whole only if it holds for every measure.
    """
    adjusted = holm(np.array([each.p_worse for each in every]))
    return tuple(
        dataclasses.replace(each, answer=_answer(each, float(p))) for each, p in zip(every, adjusted, strict=True)
    )


def _answer(each: Tested, adjusted: float) -> Answer:
    if each.not_worse:
        return Answer.NOT_WORSE
    return Answer.WORSE if adjusted <= LEVEL else Answer.OPEN


def _outcome(every: Sequence[Tested]) -> Outcome:
    if any(each.answer is Answer.WORSE for each in every):
        return Outcome.WORSE
    # Of maps something must be measured: that classes held says nothing of where the maps point.
    maps = [each for each in every if each.margin is not None]
    held = all(each.answer is Answer.NOT_WORSE for each in every)
    return Outcome.NOT_WORSE if maps and held else Outcome.CANNOT_TELL
