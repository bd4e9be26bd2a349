"""What a resumed run keeps, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from xai_eval.result.result import Provenance

_NAMED = 3  # reasons that a sentence spells out


@dataclass(frozen=True)
class Kept:
    """What a resumed run keeps.

    Attributes:
        planned: number of results that the run should have at its end.
        by_plan: case keys of the results that are kept, of each plan.
        again: why a result that is there is computed again, by case key.
        provenance: that of a result that is kept.
    """

    planned: int = 0
    by_plan: tuple[frozenset[str], ...] = ()
    again: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance | None = None

    @property
    def keys(self) -> frozenset[str]:
        """Case keys of all results that are kept."""
        return frozenset().union(*self.by_plan)

    def of(self, position: int) -> frozenset[str]:
        """Return the case keys of the results that are kept of the plan at a position."""
        return self.by_plan[position] if self.by_plan else frozenset()

    @property
    def sentence(self) -> str:
        """How many results are kept and how many are computed, and why some are computed again."""
        told = f"resumed: {len(self.keys)} of {self.planned} results are kept, {self.planned - len(self.keys)} computed"
        if not self.again:
            return f"{told}."
        reasons = Counter(self.again.values()).most_common()
        listed = "; ".join(f"{number} because {reason}" for reason, number in reasons[:_NAMED])
        more = f"; {len(reasons) - _NAMED} more reasons" if len(reasons) > _NAMED else ""
        return f"{told}, {len(self.again)} of them again ({listed}{more})."


NOTHING_KEPT = Kept()
