"""What the gate says of a case."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.stages import StageShift
from xai_eval.gate.unwatched import Unwatched
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.naming import title
from xai_eval.result.result import Case
from xai_eval.store.quarantine import Quarantine


class State(enum.StrEnum):
    """What a case can come to. Everything but `OK` fails."""

    OK = "ok"
    DRIFT = "drift"
    MISSING = "missing"
    UNUSED = "unused"
    INCOMPARABLE = "incomparable"
    ERROR = "error"


# A case in quarantine still runs: one that was not measured fails in spite of it.
_NOT_MEASURED = (State.UNUSED, State.ERROR)
_NAMED = 5  # unwatched parts that a sentence spells out


@dataclass(frozen=True)
class Verdict:
    """The judgement on one case.

    Attributes:
        case: what was obtained, or what the golden is of where nothing was.
        state: one of six.
        findings: in what it differs, worst first.
        origin: the first stage that moved.
        changes: what changed in the provenance since the golden was accepted.
        reason: the sentence for states that have no findings.
        quarantine: the entry that sets the case aside, if there is one.
        unwatched: what the result has and the golden lacks; fails nothing.
    """

    case: Case
    state: State
    findings: tuple[Finding, ...] = ()
    origin: StageShift | None = None
    changes: tuple[Change, ...] = ()
    reason: str = ""
    quarantine: Quarantine | None = None
    unwatched: tuple[Unwatched, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the case fails its run: in quarantine only what was not measured does, after it everything."""
        if self.quarantine is None:
            return self.state is not State.OK
        return self.overdue or self.state in _NOT_MEASURED

    @property
    def overdue(self) -> bool:
        """Whether the case was set aside for longer than was agreed."""
        return self.quarantine is not None and self.quarantine.expired

    @property
    def severity(self) -> Severity | None:
        """Severity of the worst finding."""
        return max((f.severity for f in self.findings), default=None)

    @property
    def sentence(self) -> str:
        """The verdict as text for people, the same in the terminal, in pytest, on the page and in the history.

        It says what differs, where the change begins, what changed since the golden was accepted, what the golden does
        not watch, and whether the case is in quarantine.
        """
        cause = f" {_beginning(self.origin)} {_since_golden(self.changes)}" if self.findings else ""
        return f"{self._difference}{cause}{self._notes}"

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
        return "Nothing recorded changed since the golden was accepted: look at the code."
    return f"Since the golden was accepted, this changed: {', '.join(map(str, changes))}."


def unwatched_clause(parts: Sequence[Unwatched]) -> str:
    """Return what the golden lacks as a sentence behind others; empty if it lacks nothing."""
    if not parts:
        return ""
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f" Unwatched, because the golden lacks it: {', '.join(map(str, parts[:_NAMED]))}{more}."


def cause_kinds(verdict: Verdict) -> tuple[ChangeKind, ...]:
    """Return the kinds of all that changed, in the order of `ChangeKind`; none where nothing was found to differ."""
    if verdict.state not in (State.DRIFT, State.INCOMPARABLE):
        return ()
    changed = {change.kind for change in verdict.changes}
    if verdict.state is State.INCOMPARABLE and ChangeKind.INPUT not in changed:
        changed.add(ChangeKind.PARAMETER)  # which then is what makes the two incomparable
    return tuple(kind for kind in ChangeKind if kind in (changed or {ChangeKind.NOTHING}))
