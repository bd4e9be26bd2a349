"""What the gate says of a case."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.stages import StageShift
from xai_eval.gate.unwatched import Unwatched
from xai_eval.result.fields import Finding, Severity
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
        """The verdict in words: what, where it began, what changed, what is unwatched, and whether it is set aside."""
        told = f"{self._judgement}{unwatched_clause(self.unwatched)}"
        if self.quarantine is None:
            return told
        excuse = " It fails all the same: it was not measured." if self.state in _NOT_MEASURED else ""
        return f"{told} {self.quarantine.sentence}{excuse}"

    @property
    def _judgement(self) -> str:
        if not self.findings:
            return self.reason
        worst = self.findings[0]
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        what = f"{worst.severity.label} changed: {worst.field}: {worst.sentence}{more}."
        return f"{what} {_cause_sentence(self.origin, self.changes)}"


def _cause_sentence(origin: StageShift | None, changes: Sequence[Change]) -> str:
    """Where it began, what changed in between, and the step that is responsible."""
    moved = origin.sentence if origin else "No stage is recorded that could tell where it began"
    between = ", ".join(map(str, changes)) or "nothing that is recorded changed"
    step = f"; {origin.responsible}" if origin and origin.responsible else ""
    return f"{moved}; {between} in between{step}.{'' if changes else ' Look at the code.'}"


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
