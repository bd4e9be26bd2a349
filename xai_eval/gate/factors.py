"""Find the cause of a drift: the case is computed again with one factor restored at a time, and judged here. Pure."""

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
        restored: names of the factors that were restored; none for the case as it is now.
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
    """Name the factors that can be restored for a case, by what changed between its golden and what was obtained."""
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
    """What changed and cannot be restored in this process: versions of libraries, and the image itself."""
    return tuple(change for change in changes_between(obtained, golden) if change.kind in _FIXED)


def judge_as_if(result: Result, golden: Result) -> Verdict:
    """Judge a trial field by field, whatever its parameters: what they change is what is asked here."""
    case = dataclasses.replace(result.case, params=golden.case.params)
    return judge(dataclasses.replace(result, case=case), golden)


def conclusion(trials: Sequence[Trial], fixed: Sequence[Change]) -> str:
    """Say which factor is the cause of the drift.

    Args:
        trials: the case as it is now; then with one factor restored each; then, if there are several, with all.
        fixed: what changed and cannot be restored.
    """
    now, single = trials[0], [trial for trial in trials[1:] if len(trial.restored) == 1]
    if now.holds:
        return (
            "Computed again here, the case equals its golden: the cause of the drift is not present here. "
            + _elsewhere(fixed)
        )
    alone = [trial for trial in single if trial.holds]
    if alone:
        names = " or ".join(trial.restored[0] for trial in alone)
        return f"Cause: {names}. If only this is restored, the case equals its golden."
    together = next((trial for trial in trials if len(trial.restored) > 1 and trial.holds), None)
    if together:
        return f"Cause: {' and '.join(together.restored)} together. Restoring only one of them is not enough."
    return _in_part(now, single) + _elsewhere(fixed)


def _in_part(now: Trial, single: Sequence[Trial]) -> str:
    better = [trial for trial in single if trial.verdict and trial.weight < now.weight]
    if not better:
        return "None of the factors that can be restored here is the cause. "
    best = min(better, key=lambda trial: trial.weight)
    return (
        f"Cause in part: {best.restored[0]} ({now.weight[1]} findings, {best.weight[1]} if it is restored). "
        "The rest has another cause. "
    )


def _elsewhere(fixed: Sequence[Change]) -> str:
    if not fixed:
        return "Nothing else that is recorded changed: look at the code."
    return (
        f"This changed and cannot be restored here: {'; '.join(map(str, fixed))}. Run the case in an environment with "
        "the earlier versions, and compare the two runs with xai-eval diff."
    )


def table(trials: Sequence[Trial]) -> list[str]:
    """Return the trials as lines of text: what was restored, and how the case then compares with its golden."""
    names = [" and ".join(trial.restored) or "nothing" for trial in trials]
    width = max(len("restored"), *map(len, names))
    return [
        f"{'restored':{width}}  outcome",
        *(f"{name:{width}}  {_outcome(trial)}" for name, trial in zip(names, trials, strict=True)),
    ]


def _outcome(trial: Trial) -> str:
    if trial.verdict is None:
        return f"not tried: {trial.reason}"
    if trial.holds:
        return "equals its golden"
    count, severity = len(trial.verdict.findings), trial.verdict.severity
    what = f"{severity.label} changed, {count} finding{'s' * (count != 1)}" if severity else trial.verdict.reason
    origin = trial.verdict.origin
    return f"{what}; first stage that changed: {origin}" if origin else what
