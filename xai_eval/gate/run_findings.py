"""What only a whole run can show: shifts over many cases, and tolerances that do not fit the measured noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xai_eval.gate.noise_in_use import noise_in_use, not_in_use
from xai_eval.gate.release.pairs import Pair, pair_of
from xai_eval.gate.release.release import Release, release_of
from xai_eval.gate.renamed import Renamed
from xai_eval.gate.systemic import Compared, Shifts, Systemic, case_shifts
from xai_eval.gate.tolerance_fit import Fit, Measurements, ToleranceNote, measurements_of, notes_among
from xai_eval.gate.verdict import Verdict
from xai_eval.result.result import Result
from xai_eval.store.noise import Measured


@dataclass(frozen=True)
class RunFindings:
    """What a run shows beside the verdicts on its cases.

    Attributes:
        systemic: shifts that no single case shows; each fails the run.
        tolerances: tolerances that do not fit the measured noise; they never fail a run.
        unusable: one sentence per measured noise that is outdated or cannot be read; they never fail a run.
        renamed: images that are there under another name; they never fail a run.
        left_out: number of goldens of the run's tasks that were not judged, because the run says that it used only a
            part of their images; they never fail a run.
        not_tried: number of other goldens that were not judged, by task: the run does not say that it tried anything of
            their task, model and images; they never fail a run.
        release: whether the explanations are still as good over the whole set, if weights changed on record; it never
            fails a run.
        covered: number of cases in which no shift over many cases was looked for, because their weights changed on
            record. `release` covers them.
        reference: the folder of the run whose results were compared with, if these were no goldens; empty otherwise.
    """

    systemic: tuple[Systemic, ...] = ()
    tolerances: tuple[ToleranceNote, ...] = ()
    unusable: tuple[str, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    left_out: int = 0
    not_tried: Mapping[str, int] = field(default_factory=dict)
    release: Release | None = None
    covered: int = 0
    reference: str = ""

    @property
    def failed(self) -> bool:
        """Whether the run fails even if every case is ok."""
        return bool(self.systemic)

    @property
    def misfits(self) -> tuple[ToleranceNote, ...]:
        """Tolerances that are wrong, without those that could merely be tightened."""
        return tuple(note for note in self.tolerances if note.fit is not Fit.GENEROUS)


NO_FINDINGS = RunFindings()


@dataclass
class _Notes:
    """What is noted of some cases. `pairs` are the keys of their goldens by their own.

    `other_precision` are keys of goldens whose noise was measured in another precision, with that of the result.
    """

    pairs: dict[str, str] = field(default_factory=dict)
    released: list[Pair] = field(default_factory=list)
    covered: int = 0
    shifts: Shifts = field(default_factory=Shifts)
    measurements: list[Measurements] = field(default_factory=list)
    other_precision: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def join(self, others: _Notes) -> None:
        """Add what was noted of the next cases."""
        self.pairs |= others.pairs
        self.released += others.released
        self.covered += others.covered
        self.shifts.join(others.shifts)
        self.measurements += others.measurements
        self.other_precision += others.other_precision


class RunFindingsCollector:
    """Collects what run findings need from each case while it is judged, so that its arrays are read only once."""

    def __init__(self, measured: Measured, *, as_release: bool = False) -> None:
        """Start with the noise that was measured for the goldens.

        `as_release` asks the release question of all cases; otherwise of those whose weights changed on record.
        """
        self._measured, self._as_release = measured, as_release
        self._notes, self._new = _Notes(), _Notes()

    @property
    def pairs(self) -> Mapping[str, str]:
        """The case key of the golden that each result was compared with, by the case key of the result."""
        self.join(self.taken())
        return self._notes.pairs

    def add(self, verdict: Verdict, obtained: Result, golden: Result) -> None:
        """Note what run findings need of one case."""
        notes = self._new
        notes.pairs[obtained.case.key] = golden.case.key
        measured = self._measured.noises.get(golden.case.key)
        noise = noise_in_use(measured, obtained, golden)
        if measured is not None and noise is None:
            notes.other_precision.append((golden.case.key, obtained.provenance.precision))
        compared = Compared(obtained, golden, verdict, noise)
        upgraded = verdict.upgrade is not None and verdict.upgrade.of_weights
        if upgraded or self._as_release:
            pair = pair_of(verdict, obtained, golden)
            notes.released += [pair] if pair else []
        # Other weights shift every case, and of course in the same direction.
        notes.covered += upgraded
        if not upgraded:
            notes.shifts.add(case_shifts(compared))
        notes.measurements += [measurements_of(compared)]

    def taken(self) -> _Notes:
        """Return what was noted since the last time, and forget it."""
        taken, self._new = self._new, _Notes()
        return taken

    def join(self, notes: _Notes) -> None:
        """Keep what `taken` returned, perhaps in another process, of the next cases."""
        self._notes.join(notes)

    def findings(self) -> RunFindings:
        """Return the findings over all cases that were added."""
        self.join(self.taken())
        others = self._notes.other_precision
        unused = not_in_use([key for key, _ in others], others[0][1]) if others else ()
        return RunFindings(
            self._notes.shifts.systemic(),
            notes_among(self._notes.measurements),
            (*self._measured.unusable, *unused),
            release=release_of(self._notes.released),
            covered=self._notes.covered,
        )


def run_findings_of(
    results: Mapping[str, Result], goldens: Mapping[str, Result], verdicts: Sequence[Verdict], measured: Measured
) -> RunFindings:
    """Find what only the whole run shows, after each case was judged by its own golden; both mappings by case key."""
    collector = RunFindingsCollector(measured)
    for verdict in verdicts:
        collector.add(verdict, results[verdict.case.key], goldens[verdict.case.key])
    return collector.findings()
