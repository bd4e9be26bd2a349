"""What a run says as a whole, beside its cases: shifts over many of them, and how tolerances lie to measured noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.systemic import Answers, Compared, Systemic, answers_of, shifts_among
from xai_eval.gate.tolerance_fit import Fit, Places, ToleranceNote, notes_among, places_of
from xai_eval.gate.verdict import Verdict
from xai_eval.result.result import Result
from xai_eval.store.noise import Measured


@dataclass(frozen=True)
class Overall:
    """Findings of the run.

    Attributes:
        systemic: shifts that no single case shows; each fails the run.
        tolerances: where a tolerance does not fit the noise; fails nothing.
        unusable: sentences on measured noise that is stale or cannot be read; fails nothing.
    """

    systemic: tuple[Systemic, ...] = ()
    tolerances: tuple[ToleranceNote, ...] = ()
    unusable: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the run fails although each of its cases may be ok."""
        return bool(self.systemic)

    @property
    def misfits(self) -> tuple[ToleranceNote, ...]:
        """Tolerances that are wrong, not only generous."""
        return tuple(note for note in self.tolerances if note.fit is not Fit.GENEROUS)


NOTHING = Overall()


class Tally:
    """What the cases of a run say of it as a whole, noted while each is judged, so that its arrays are read once."""

    def __init__(self, measured: Measured) -> None:
        """Begin with what was measured for the goldens."""
        self._measured = measured
        self._answers: list[Answers] = []
        self._places: list[Places] = []
        self.pairs: dict[str, str] = {}  # case key of a result -> that of the golden that it was judged by

    def add(self, verdict: Verdict, obtained: Result, golden: Result) -> None:
        """Keep what one case says."""
        self.pairs[obtained.case.key] = golden.case.key
        compared = Compared(obtained, golden, verdict, self._measured.noises.get(golden.case.key))
        self._answers.append(answers_of(compared))
        self._places.append(places_of(compared))

    def overall(self) -> Overall:
        """Judge the run as a whole."""
        return Overall(shifts_among(self._answers), notes_among(self._places), self._measured.unusable)


def look_over(
    results: Mapping[str, Result], goldens: Mapping[str, Result], verdicts: Sequence[Verdict], measured: Measured
) -> Overall:
    """Judge a run as a whole after its cases, each by its own golden. Both mappings go from case key to result."""
    tally = Tally(measured)
    for verdict in verdicts:
        tally.add(verdict, results[verdict.case.key], goldens[verdict.case.key])
    return tally.overall()
