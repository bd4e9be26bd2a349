"""Which of the things that changed carries a drift: decided from trials with one of them put back at a time. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind, changes_between
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.result import Result

_FIXED = (ChangeKind.VERSION, ChangeKind.INPUT)


@dataclass(frozen=True)
class Trial:
    """A case computed again.

    Attributes:
        restored: names of the factors that were put back; none for the case as it is now.
        verdict: against the golden; None where it could not be computed.
        reason: why not.
    """

    restored: tuple[str, ...]
    verdict: Verdict | None
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the case is as accepted."""
        return self.verdict is not None and self.verdict.state is State.OK

    @property
    def weight(self) -> tuple[int, int]:
        """How bad the drift is: severity of the worst finding, and number of findings."""
        findings = self.verdict.findings if self.verdict else ()
        return max((int(each.severity) for each in findings), default=-1), len(findings)


def factors(obtained: Result, golden: Result) -> tuple[str, ...]:
    """Name what can be put back for a case, by what changed between its golden and what was obtained."""
    changed = {change.kind for change in changes_between(obtained, golden)}
    other_parameters = dict(obtained.case.params) != dict(golden.case.params)
    found = {
        "model": ChangeKind.WEIGHTS in changed,
        # Always, because a library may have changed what the same recipe gives.
        "preprocessing": True,
        "precision": ChangeKind.PRECISION in changed,
        "device": ChangeKind.DEVICE in changed and golden.provenance.device == "cpu",
        "parameters": ChangeKind.SEED in changed or other_parameters,
    }
    return tuple(name for name, possible in found.items() if possible)


def fixed_changes(obtained: Result, golden: Result) -> tuple[Change, ...]:
    """What changed and cannot be put back in this process: library versions, and the image itself."""
    return tuple(change for change in changes_between(obtained, golden) if change.kind in _FIXED)


def judge_as_if(result: Result, golden: Result) -> Verdict:
    """Judge a trial field by field, whatever its parameters: what they change is what is asked here."""
    case = dataclasses.replace(result.case, params=golden.case.params)
    return judge(dataclasses.replace(result, case=case), golden)


def conclusion(trials: Sequence[Trial], fixed: Sequence[Change]) -> str:
    """Say which factor carries the drift.

    Args:
        trials: the case as it is now; then with one factor put back each; then, if there are several, with all.
        fixed: what changed and could not be put back.
    """
    now, single = trials[0], [trial for trial in trials[1:] if len(trial.restored) == 1]
    if now.holds:
        return "Computed again here the case is as accepted: what made it drift is not here. " + _elsewhere(fixed)
    alone = [trial for trial in single if trial.holds]
    if alone:
        names = " or ".join(trial.restored[0] for trial in alone)
        return f"Cause: {names}. With nothing else put back, the case is as accepted."
    together = next((trial for trial in trials if len(trial.restored) > 1 and trial.holds), None)
    if together:
        return f"Cause: {' and '.join(together.restored)} together; none of them alone brings the golden back."
    return _in_part(now, single) + _elsewhere(fixed)


def _in_part(now: Trial, single: Sequence[Trial]) -> str:
    better = [trial for trial in single if trial.verdict and trial.weight < now.weight]
    if not better:
        return "Nothing that could be put back here carries the drift. "
    best = min(better, key=lambda trial: trial.weight)
    return (
        f"Cause in part: {best.restored[0]} ({now.weight[1]} findings, {best.weight[1]} when it is put back). "
        "The rest is elsewhere. "
    )


def _elsewhere(fixed: Sequence[Change]) -> str:
    if not fixed:
        return "Nothing else is recorded to have changed: look at the code."
    return (
        f"What could not be put back: {'; '.join(map(str, fixed))}. Run the case in an environment with the former "
        "versions, and compare the two with xai-eval diff."
    )


def table(trials: Sequence[Trial]) -> list[str]:
    """Return the trials as lines of text: what was put back, and what came of it."""
    names = [" and ".join(trial.restored) or "nothing" for trial in trials]
    width = max(len("put back"), *map(len, names))
    return [
        f"{'put back':{width}}  outcome",
        *(f"{name:{width}}  {_outcome(trial)}" for name, trial in zip(names, trials, strict=True)),
    ]


def _outcome(trial: Trial) -> str:
    if trial.verdict is None:
        return f"not tried: {trial.reason}"
    if trial.holds:
        return "as accepted"
    count, severity = len(trial.verdict.findings), trial.verdict.severity
    what = f"{severity.label} changed, {count} finding{'s' * (count != 1)}" if severity else trial.verdict.reason
    origin = trial.verdict.origin
    return f"{what}; first stage that moved: {origin}" if origin else what
