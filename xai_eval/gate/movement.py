"""How far a stage moved, beside its limit and its measured noise. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xai_eval.result.fingerprint import BELOW_SKETCH
from xai_eval.result.stage import Stage
from xai_eval.store.noise import Noise

# Another processor may have more noise than the one that it was measured on: up to this share of its limit, a stage
# has not moved, however small the measured noise is.
LEAST_SHARE = 0.01
# A later step makes a change at most this many times larger. On scenes and MobileNetV2, it is 3 to 9 times.
AMPLIFIED = 10.0


@dataclass(frozen=True)
class Movement:
    """How far one stage moved since its golden was accepted.

    Attributes:
        change: relative change; 0 only if the digests are equal, infinite if it cannot be measured.
        limit: the change up to which the table of stages lets it move.
        noise: the largest change that something harmless caused; None if it was not measured.
    """

    change: float
    limit: float
    noise: float | None = None

    @property
    def equal(self) -> bool:
        """Whether the stage is the same in every bit."""
        return self.change == 0.0

    @property
    def beyond_limit(self) -> bool:
        """Whether it moved by more than its limit."""
        return self.change > self.limit

    @property
    def beyond_noise(self) -> bool:
        """Whether it moved by more than its measured noise. Without a measured noise, the limit decides.

        Measured noise is read from a file beside the golden, so it may lie below the limit of the table, never above.
        """
        if self.noise is None or not self.noise < self.limit:
            return self.beyond_limit
        return self.change > max(self.noise, LEAST_SHARE * self.limit)

    def may_cause(self, later: Movement | None) -> bool:
        """Whether later steps can have amplified it to the movement of a later stage, or, if None, of the fields."""
        if self.change * AMPLIFIED >= self.limit:
            return True
        return later is not None and self.change * AMPLIFIED**2 >= later.change

    @property
    def words(self) -> str:
        """Such as 'moved by 1.8e-4, above its measured noise of 1e-6, below its limit of 2e-4'."""
        by = "too little to measure" if self.change <= BELOW_SKETCH else number(self.change)
        noise = f", above its measured noise of {number(self.noise)}" if self.noise is not None and self._noisy else ""
        return f"moved by {by}{noise}, below its limit of {number(self.limit)}"

    @property
    def _noisy(self) -> bool:
        return self.beyond_noise and not self.beyond_limit


EQUAL = Movement(0.0, 0.0)


def noise_of(stage: Stage, noise: Noise | None) -> float | None:
    """Return the measured noise of a stage; None if it was not measured, or is no number."""
    largest = noise.largest_stage_change(stage) if noise else None
    return None if largest is None or math.isnan(largest.value) else largest.value


def number(value: float) -> str:
    """Return a relative change as people write it: 1.8e-4, 0.031."""
    text = f"{value:.1e}" if 0.0 < abs(value) < 1e-3 else f"{value:.2g}"
    digits, exponent, power = text.partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}" if exponent else text
