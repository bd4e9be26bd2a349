"""Find the cause of a drift from trials in which one factor at a time was restored. Pure: decides, computes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind, changes_between
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.class_list import CLASS_LIST
from xai_eval.result.result import Result
from xai_eval.result.without_effect import with_effect
from xai_eval.store.upgrade_policy import DEFAULT_POLICY, Policy

_FIXED = (ChangeKind.VERSION, ChangeKind.INPUT)


@dataclass(frozen=True)
class Trial:
    """A case that was computed again.

    Attributes:
        restored: names of the factors that were restored to what the golden was made with; none for the case as it is
            now.
        verdict: against the golden; None if the case could not be computed.
        reason: why it could not be computed.
    """

    restored: tuple[str, ...]
    verdict: Verdict | None
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the case matches its golden."""
        return self.verdict is not None and self.verdict.state is State.OK

    @property
    def weight(self) -> tuple[int, int]:
        """How bad the drift is: severity of the worst finding, and number of findings."""
        findings = self.verdict.findings if self.verdict else ()
        return max((int(each.severity) for each in findings), default=-1), len(findings)


def factors(obtained: Result, golden: Result) -> tuple[str, ...]:
    """Name the factors that can be restored for a case, by what changed between its golden and what was obtained."""
    changed = {change.kind for change in changes_between(obtained, golden)}
    other_parameters = with_effect(obtained.case.params) != with_effect(golden.case.params)
    found = {
        "model": ChangeKind.WEIGHTS in changed,
        # It is always tried, because a new version of a library may compute something else from the same recipe.
        "preprocessing": True,
        "precision": ChangeKind.PRECISION in changed,
        "device": ChangeKind.DEVICE in changed and golden.provenance.device == "cpu",
        "parameters": ChangeKind.SEED in changed or other_parameters,
    }
    return tuple(name for name, possible in found.items() if possible)


def fixed_changes(obtained: Result, golden: Result) -> tuple[Change, ...]:
    """Return what changed and cannot be restored in this process: library versions, the image, the names of classes."""
    changes = changes_between(obtained, golden)
    same_model = all(change.kind is not ChangeKind.WEIGHTS for change in changes)  # another one brings its own classes
    return tuple(each for each in changes if each.kind in _FIXED or (same_model and each.what == CLASS_LIST))


def judge_as_if(result: Result, golden: Result, policy: Policy = DEFAULT_POLICY) -> Verdict:
    """Judge a trial field by field even if its parameters differ, because their effect is what the trial measures."""
    case = dataclasses.replace(result.case, params=golden.case.params)
    return judge(dataclasses.replace(result, case=case), golden, policy)


def conclusion(trials: Sequence[Trial], fixed: Sequence[Change]) -> str:
    """Say which factor is the cause of the drift.

    Args:
        trials: the case as it is now; then one trial per restored factor; then, if there are several, one with all.
        fixed: what changed and could not be restored.
    """
    now, single = trials[0], [trial for trial in trials[1:] if len(trial.restored) == 1]
    if now.holds:
        return _holds_here(fixed)
    alone = [trial for trial in single if trial.holds]
    if alone:
        names = " or ".join(trial.restored[0] for trial in alone)
        return f"Cause: {names}. With nothing else restored, the case matches its golden."
    together = next((trial for trial in trials if len(trial.restored) > 1 and trial.holds), None)
    if together:
        return f"Cause: {' and '.join(together.restored)} together. Restoring only one of them is not enough."
    return _in_part(now, single) + _not_tried(single) + _elsewhere(fixed)


def _holds_here(fixed: Sequence[Change]) -> str:
    found = (
        "Computed again here, the case matches its golden. If the run drifted, the cause is not on this machine, or "
        "code, weights or files have changed since the run: run again."
    )
    return f"{found} What the run recorded as changed: {'; '.join(map(str, fixed))}." if fixed else found


def _not_tried(single: Sequence[Trial]) -> str:
    """Name the factors that could not be restored: each of them may still be the cause."""
    names = [trial.restored[0] for trial in single if trial.verdict is None]
    if not names:
        return ""
    they = "it" if len(names) == 1 else "they"
    return f"The cause may be {' or '.join(names)}: the table says why {they} could not be restored, and what to do. "


def _in_part(now: Trial, single: Sequence[Trial]) -> str:
    better = [trial for trial in single if trial.verdict and trial.weight < now.weight]
    if not better:
        return "No factor that could be restored here is the cause. "
    best = min(better, key=lambda trial: trial.weight)
    return (
        f"One cause: {best.restored[0]} ({now.weight[1]} findings, only {best.weight[1]} when it is restored). "
        "There is another cause. "
    )


def _elsewhere(fixed: Sequence[Change]) -> str:
    if not fixed:
        return "Nothing else that is recorded changed: look at the code."
    told = f"Not restored, because that is not possible here: {'; '.join(map(str, fixed))}."
    if any(change.kind is ChangeKind.VERSION for change in fixed):
        return (
            f"{told} Run the case in an environment with the former versions, and compare the two with xai-eval diff."
        )
    return f"{told} Put that back, and run explain-drift again."


def table(trials: Sequence[Trial]) -> list[str]:
    """Return the trials as lines of text: which factors were restored, and the outcome."""
    names = [" and ".join(trial.restored) or "nothing" for trial in trials]
    width = max(len("restored"), *map(len, names))
    return [
        f"{'restored':{width}}  outcome",
        *(f"{name:{width}}  {_outcome(trial)}" for name, trial in zip(names, trials, strict=True)),
    ]


def _outcome(trial: Trial) -> str:
    if trial.verdict is None:
        return f"could not be computed: {trial.reason}"
    if trial.holds:
        return "matches its golden"
    count, severity = len(trial.verdict.findings), trial.verdict.severity
    what = f"{severity.label} changed, {count} finding{'s' * (count != 1)}" if severity else trial.verdict.reason
    origin = trial.verdict.origin
    return f"{what}; first stage that changed: {origin}" if origin else what
