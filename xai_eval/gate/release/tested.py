"""Tests one measure of one method over the images that moved, or counts what was lost and won."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xai_eval.gate.release.measures import measure
from xai_eval.gate.release.pairs import Value
from xai_eval.gate.release.sign_flip import sign_flip

# Chance of a false claim, on either side: the interval is one of 90 %.
LEVEL = 0.05


class Answer(enum.StrEnum):
    """What is known of one measure."""

    NOT_WORSE = "not worse"
    WORSE = "worse"
    OPEN = "cannot tell"


@dataclass(frozen=True)
class Tested:
    """One measure of one method. Gains are positive, whichever way the measure itself is better.

    Attributes:
        task: the task.
        model: spec of the model after the upgrade.
        measure: its name.
        of: the method; empty if the measure is about the model.
        images: number of images.
        before: mean before the upgrade, in the direction of the measure itself.
        after: mean after it.
        gain: mean gain.
        low: lower end of the 90 % interval of the gain; minus infinity if there are too few images, and for counts.
        high: upper end.
        margin: a loss of less than this counts as not worse; None for counts.
        lost: number of images that lost.
        won: number of images that gained.
        p_worse: p-value of a loss, not adjusted.
        not_worse: whether a loss as large as the margin is excluded; for counts, whether no more was lost than won.
        answer: after the correction for the number of measures.
    """

    task: str
    model: str
    measure: str
    of: str
    images: int
    before: float
    after: float
    gain: float
    low: float
    high: float
    margin: float | None
    lost: int
    won: int
    p_worse: float
    not_worse: bool
    answer: Answer = Answer.OPEN


def tested(task: str, model: str, values: Sequence[Value]) -> Tested:
    """Test the values of one measure and method, one per image."""
    name, of = values[0].measure, values[0].of
    rules = measure(name)
    before, after = (np.array([getattr(each, when) for each in values]) for when in ("before", "after"))
    gains = rules.sign * (after - before)
    lost, won = int((gains < 0).sum()), int((gains > 0).sum())
    found = sign_flip(gains)
    if rules.margin is None:
        low, high, worse, holds = -math.inf, math.inf, _at_least(lost, lost + won), lost <= won
    else:
        low, high = found.low(LEVEL), found.high(LEVEL)
        worse, holds = found.below(0.0), found.above(-rules.margin) <= LEVEL
    return Tested(
        task,
        model,
        name,
        of,
        len(values),
        float(before.mean()),
        float(after.mean()),
        found.mean,
        low,
        high,
        rules.margin,
        lost,
        won,
        worse,
        holds,
    )


def _at_least(heads: int, coins: int) -> float:
    """Return the probability that fair coins show at least so many heads (McNemar's exact test, one-sided)."""
    return float(sum(math.comb(coins, k) for k in range(heads, coins + 1)) / 2**coins)
