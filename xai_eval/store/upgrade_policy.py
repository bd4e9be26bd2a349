"""What decides about a case after a change that is on record: the explanation alone, its stages too, or nothing."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Decides(enum.StrEnum):
    """What decides whether a case holds after a recorded change of one kind."""

    EXPLANATION = "explanation"  # the fields; stages that follow from the change are expected to move, and are told
    STAGES = "stages"  # the fields, and every stage must hold, too
    INCOMPARABLE = "incomparable"  # nothing: the two are not compared


@dataclass(frozen=True)
class Policy:
    """What decides after each kind of recorded change. The defaults are those of a repository without settings.

    Attributes:
        weights: after other weights or another model.
        libraries: after another version of a library.
        parameters: after other parameters of the task.
        seed: after another seed.
    """

    weights: Decides = Decides.EXPLANATION
    libraries: Decides = Decides.STAGES
    parameters: Decides = Decides.INCOMPARABLE
    seed: Decides = Decides.STAGES


DEFAULT_POLICY = Policy()
# For comparisons in which only rounding may differ, such as the noise of one golden.
ALL_STAGES = Policy(weights=Decides.STAGES)
