"""The outcome of a run in one sentence, for page and terminal: what became of it, how badly, why, what to do now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.causes import grouped
from xai_eval.gate.release.release import Outcome
from xai_eval.gate.run_findings import NO_FINDINGS, RunFindings
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.release import answer
from xai_eval.report.text.summary import count_severities, count_states, is_fine
from xai_eval.report.text.wording import count
from xai_eval.result.fields import Severity

_CAUSES = 2  # that the sentence spells out
_PREDICTED = "predicted"  # the field with the class that the model predicts
_MOVED = {
    Severity.CONCLUSION: "in conclusion (another answer, such as the class)",
    Severity.EVIDENCE: "in evidence (other places or reasons)",
    Severity.NUMBERS: "in numbers alone",
}
_SHIFTED = "Many explanations changed a little in the same direction, although {} is within its limits."
# What is said of cases that fail without a drift: of one, and of several.
_OTHERS = {
    State.ERROR: ("1 case ended in an error", "{} cases ended in an error"),
    State.INCOMPARABLE: (
        "1 case cannot be compared with its golden (if the change was meant, accept it)",
        "{} cases cannot be compared with their goldens (if the change was meant, accept them)",
    ),
    State.UNUSED: ("1 golden was not used", "{} goldens were not used"),
    State.MISSING: ("1 case has no golden yet", "{} cases have no golden yet"),
}


# After an upgrade the whole set decides, so that is what comes first: the answer, and what to do.
_RELEASE = {
    Outcome.WORSE: (
        "Not to be released",
        "The comparison below says what was lost: mend the model, or accept the loss.",
    ),
    Outcome.NOT_WORSE: (
        "To be released once somebody accepts it",
        "Look at the worst cases below. If they are right, accept all; until then the check fails.",
    ),
    Outcome.CANNOT_TELL: (
        "Not decided",
        "More images, or masks of their objects, may tell. Else look at the cases below, and accept what is right.",
    ),
}


@dataclass(frozen=True)
class Head:
    """The outcome of a run in one sentence, and what to do about it in another; that may be empty.

    `undecided` says that only drifts of an upgrade fail, which over the whole set is not known to be worse.
    """

    outcome: str
    next_step: str = ""
    undecided: bool = False


def head(worst_first: Sequence[Verdict], run_findings: RunFindings = NO_FINDINGS) -> Head:
    """Put the outcome of a run into words.

    Args:
        worst_first: all verdicts, the worst first.
        run_findings: what only the whole run shows.
    """
    failed = [verdict for verdict in worst_first if verdict.failed]
    if not worst_first:
        return Head("No case was measured.", "See below why, and run again.")
    if not failed:
        return _without_failures(worst_first, run_findings)
    drifts = [verdict for verdict in failed if verdict.state is State.DRIFT]
    release = run_findings.release.outcome if run_findings.release else Outcome.SAME
    undecided = release in (Outcome.NOT_WORSE, Outcome.CANNOT_TELL) and drifts == failed and not run_findings.failed
    told = _RELEASE[release] if undecided or release is Outcome.WORSE else ("", "")
    sentences = [_released(told[0], run_findings), _drifted(drifts, len(worst_first)), _causes(drifts), _others(failed)]
    return Head(" ".join(filter(None, sentences)), told[1] or _next_step(failed), undecided)


def _without_failures(verdicts: Sequence[Verdict], run_findings: RunFindings) -> Head:
    if not run_findings.failed:
        return Head(_all_well(verdicts))
    return Head(_SHIFTED.format("each alone"), "What moved, and by how much, stands below.")


def _all_well(verdicts: Sequence[Verdict]) -> str:
    aside = sum(not is_fine(verdict) for verdict in verdicts)
    well = len(verdicts) - aside
    kept = "The explanation matches its golden" if well == 1 else f"All {well} explanations match their goldens"
    if not aside:
        return f"{kept}."
    return f"{kept}; {aside} in quarantine." if well else f"{count(aside, 'case')} in quarantine."


def _released(lead: str, run_findings: RunFindings) -> str:
    """Say whether the upgrade can be released, and why."""
    if not lead or run_findings.release is None:
        return ""
    why = answer(run_findings.release)
    return f"{lead}: {why[:1].lower()}{why[1:]}."


def _drifted(drifts: Sequence[Verdict], number: int) -> str:
    if not drifts:
        return ""
    several = f"All {number} explanations" if number > 1 else "The explanation"
    whom = several if len(drifts) == number else f"{len(drifts)} of {count(number, 'explanation')}"
    return f"{whom} changed{_how(count_severities(drifts))}; {_predicted(drifts)}."


def _how(severities: Mapping[Severity, int]) -> str:
    """Say how badly; a number stands only where there are several, so that none is said twice."""
    if len(severities) == 1:
        return f" {_MOVED[next(iter(severities))]}"
    return f": {', '.join(f'{cases} {_MOVED[each]}' for each, cases in severities.items())}"


def _predicted(drifts: Sequence[Verdict]) -> str:
    """Say in how many cases the model predicts another class."""
    number = sum(any(finding.field == _PREDICTED for finding in drift.findings) for drift in drifts)
    if not number:
        return "no predicted class changed"
    return f"the predicted class changed{'' if number == len(drifts) else f' in {number}'}"


def _causes(drifts: Sequence[Verdict]) -> str:
    groups = grouped(drifts)
    if not groups:
        return ""
    if len(groups) == 1:
        return f"Cause: {groups[0].cause.what}."
    rest = f", and {len(groups) - _CAUSES} more" if len(groups) > _CAUSES else ""
    return f"Causes: {'; '.join(group.title for group in groups[:_CAUSES])}{rest}."


def _others(failed: Iterable[Verdict]) -> str:
    told = [_number(_OTHERS[state], cases) for state, cases in count_states(failed).items() if state in _OTHERS]
    return f"{', '.join(told)}." if told else ""


def _number(words: tuple[str, str], cases: int) -> str:
    return words[0] if cases == 1 else words[1].format(cases)


def _next_step(failed: Sequence[Verdict]) -> str:
    if all(verdict.state is State.MISSING for verdict in failed):
        return "Look at the images below. If they are right, keep them as goldens."
    if any(verdict.state is State.DRIFT for verdict in failed):
        decide = "If the new explanation is right, accept it; if not, find the cause."
        return f"Look at the worst case of each cause below. {decide}"
    return "What to do about each stands below."
