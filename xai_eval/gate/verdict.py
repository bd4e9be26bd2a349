"""The verdict on a case: its state, its findings, and the sentence that people read."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.changes_in_short import in_short
from xai_eval.gate.stages import StageShift
from xai_eval.gate.unwatched import Unwatched
from xai_eval.gate.upgrades import Upgrade
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.naming import title
from xai_eval.result.result import Case
from xai_eval.store.quarantine import Quarantine


class State(enum.StrEnum):
    """The outcome for a case. Everything but `OK` fails."""

    OK = "ok"
    DRIFT = "drift"
    MISSING = "missing"
    UNUSED = "unused"
    INCOMPARABLE = "incomparable"
    ERROR = "error"


# A case in quarantine is still measured. If it was not, it fails in spite of the quarantine.
_NOT_MEASURED = (State.UNUSED, State.ERROR)
_NAMED = 5  # unwatched parts that a sentence spells out


@dataclass(frozen=True)
class Verdict:
    """The judgement on one case.

    Attributes:
        case: the case that was obtained, or the case of the golden if nothing was obtained.
        state: the outcome.
        findings: the differences beyond their tolerances, worst first.
        origin: the first stage that changed; None if no stage did.
        changes: what changed in the provenance since the golden was accepted.
        reason: the sentence for verdicts without findings.
        quarantine: the quarantine entry of the case, if it has one.
        unwatched: parts of the result that the golden lacks; they never fail a case.
        upgrade: the recorded change after which the explanation decides, and what was expected to move; None if there
            is none.
        unsteady: a sentence on a model that answers the same image differently from pass to pass; empty otherwise.
    """

    case: Case
    state: State
    findings: tuple[Finding, ...] = ()
    origin: StageShift | None = None
    changes: tuple[Change, ...] = ()
    reason: str = ""
    quarantine: Quarantine | None = None
    unwatched: tuple[Unwatched, ...] = ()
    upgrade: Upgrade | None = None
    unsteady: str = ""

    @property
    def failed(self) -> bool:
        """Whether the case fails its run.

        In quarantine a case fails only if it was not measured. Once its quarantine has expired, it fails in any state.
        """
        if self.quarantine is None:
            return self.state is not State.OK
        return self.overdue or self.state in _NOT_MEASURED

    @property
    def overdue(self) -> bool:
        """Whether the quarantine of the case has expired."""
        return self.quarantine is not None and self.quarantine.expired

    @property
    def severity(self) -> Severity | None:
        """Severity of the worst finding."""
        return max((f.severity for f in self.findings), default=None)

    @property
    def excess(self) -> float:
        """How far the worst finding is beyond its limit, as a multiple of it; 0 without findings."""
        worst = self.severity
        return max((f.excess for f in self.findings if f.severity == worst), default=0.0)

    @property
    def sentence(self) -> str:
        """The verdict as text for people, the same in the terminal, in pytest, on the page and in the history.

        It says what differs, where the change begins, what changed since the golden was accepted, what the golden does
        not watch, and whether the case is in quarantine.
        """
        cause = f" {self.cause}" if self.findings else ""
        return f"{self._difference}{cause}{self._notes}"

    @property
    def cause(self) -> str:
        """Where a drift begins, and what changed since the golden was accepted."""
        upgrade = self.upgrade.sentence if self.upgrade else ""
        return " ".join(filter(None, [self.unsteady, _beginning(self.origin), _since_golden(self.changes), upgrade]))

    @property
    def cause_of_group(self) -> str:
        """The cause, for a place whose title says already what changed since the golden was accepted."""
        changed = "" if self.changes else _since_golden(())
        upgrade = self.upgrade.sentence if self.upgrade else ""
        return " ".join(filter(None, [self.unsteady, _beginning(self.origin), changed, upgrade]))

    @property
    def cause_in_short(self) -> str:
        """The first sentence of the cause."""
        return self.unsteady or (self.origin.beginning if self.origin else _beginning(None))

    @property
    def short(self) -> str:
        """The sentence without where the change begins and what changed, for a place that lists these beside it."""
        return f"{self._difference}{self._notes}"

    @property
    def _difference(self) -> str:
        if not self.findings:
            return self.reason
        worst, others = self.findings[0], len(self.findings) - 1
        more = f"; {others} more finding{'s' * (others > 1)}" if others else ""
        name = title(worst.field)
        return f"{name[:1].upper()}{name[1:]} changed ({worst.severity.label}): {worst.sentence}{more}."

    @property
    def _notes(self) -> str:
        unwatched = unwatched_clause(self.unwatched)
        if self.quarantine is None:
            return unwatched
        excuse = " The case fails even so, because it was not measured." if self.state in _NOT_MEASURED else ""
        return f"{unwatched} {self.quarantine.sentence}{excuse}"


def _beginning(origin: StageShift | None) -> str:
    return origin.sentence if origin else "No recorded stage can tell where the change begins."


def _since_golden(changes: Sequence[Change]) -> str:
    if not changes:
        return "Weights, image, versions and settings are those of the golden: look at the code."
    return f"Since the golden was accepted, this changed: {', '.join(in_short(changes))}."


def unwatched_clause(parts: Sequence[Unwatched]) -> str:
    """Return a sentence on the parts that the golden lacks, with a space in front; empty if it lacks none."""
    if not parts:
        return ""
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f" Unwatched, because the golden lacks it: {', '.join(map(str, parts[:_NAMED]))}{more}."


def cause_kinds(verdict: Verdict) -> tuple[ChangeKind, ...]:
    """Return the kinds of all changes, in the order of `ChangeKind`; none unless the state is drift or incomparable."""
    if verdict.state not in (State.DRIFT, State.INCOMPARABLE):
        return ()
    changed = {change.kind for change in verdict.changes}
    if verdict.state is State.INCOMPARABLE and ChangeKind.INPUT not in changed:
        changed.add(ChangeKind.PARAMETER)  # without another image, only parameters make two results incomparable
    return tuple(kind for kind in ChangeKind if kind in (changed or {ChangeKind.NOTHING}))
