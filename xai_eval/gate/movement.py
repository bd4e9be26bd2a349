"""How far a stage moved, beside its limit and its measured noise. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xai_eval.result.fingerprint import BELOW_SKETCH
from xai_eval.result.stage import Stage
from xai_eval.store.noise import Noise

# Another processor may have more noise than the one that it was measured on: up to this share of its limit, a stage
# has not moved, however small the measured noise is.
LEAST_SHARE = 0.01
# The share of its limit that noise usually has on a CPU: threads, batches and versions move a network by up to 2e-5,
# and its limit is 2e-4.
USUAL_SHARE = 0.1
# A later step makes a change at most this many times larger. On scenes and MobileNetV2, it is 3 to 9 times.
AMPLIFIED = 10.0


@dataclass(frozen=True)
class Movement:
    """How far one stage moved since its golden was accepted.

    Attributes:
        change: relative change; 0 only if the digests are equal, infinite if it cannot be measured.
        limit: the change up to which the table of stages lets it move.
        noise: the largest change that something harmless caused; None if it was not measured.
        usual: whether the noise that a CPU usually has stands for noise that was not measured.
    """

    change: float
    limit: float
    noise: float | None = None
    usual: bool = False

    @property
    def equal(self) -> bool:
        """Whether the stage is the same in every bit."""
        return self.change == 0.0

    @property
    def beyond_limit(self) -> bool:
        """Whether it moved by more than its limit."""
        return self.change > self.limit

    @property
    def is_measured(self) -> bool:
        """Whether noise was measured that is below the limit.

        It is read from a file beside the golden, so it may lie below the limit of the table, never above.
        """
        return self.noise is not None and self.noise < self.limit

    @property
    def least(self) -> float:
        """The change from which on it counts as moved: beyond its noise, or without one, beyond its limit."""
        if self.is_measured and self.noise is not None:
            return max(self.noise, LEAST_SHARE * self.limit)
        return USUAL_SHARE * self.limit if self.usual and self.noise is None else self.limit

    @property
    def beyond_noise(self) -> bool:
        """Whether it moved by more than its noise."""
        return self.change > self.least

    def may_cause(self, later: Movement | None) -> bool:
        """Whether later steps can have amplified it to the movement of a later stage, or, if None, of the fields."""
        if self.change * AMPLIFIED >= self.limit:
            return True
        return later is not None and self.change * AMPLIFIED**2 >= later.change

    @property
    def words(self) -> str:
        """Such as 'moved by 0.018 %, above its measured noise of 0.0001 %, below its limit of 0.02 %'."""
        by = "too little to measure" if self.change <= BELOW_SKETCH else share(self.change)
        kind = "measured" if self.is_measured else "usual"
        noise = f", above its {kind} noise of {share(self.told_noise)}" if self._noisy else ""
        return f"moved by {by}{noise}, below its limit of {share(self.limit)}"

    @property
    def told_noise(self) -> float:
        """The noise that it moved beyond, as people are told it."""
        return self.noise if self.is_measured and self.noise is not None else self.least

    @property
    def _noisy(self) -> bool:
        return self.beyond_noise and not self.beyond_limit


EQUAL = Movement(0.0, 0.0)


def noise_of(stage: Stage, noise: Noise | None) -> float | None:
    """Return the measured noise of a stage; None if it was not measured, or is no number."""
    largest = noise.largest_stage_change(stage) if noise else None
    return None if largest is None or math.isnan(largest.value) else largest.value


def share(value: float) -> str:
    """Return a change of a stage, as a share of its size, as people write it: 0.018 %, 3.1 %."""
    return f"{np.format_float_positional(float(f'{100 * value:.2g}'), trim='-')} %"
