"""The outcome of a run in a few lines of text, for the terminal and for pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.gate.renamed import renamed_sentence
from xai_eval.gate.requests import request_of
from xai_eval.gate.run_findings import NO_FINDINGS, RunFindings
from xai_eval.gate.unwatched import counted
from xai_eval.gate.verdict import State, Verdict
from xai_eval.media import terminal
from xai_eval.report.text.case_lines import case_lines
from xai_eval.report.text.commands import ACCEPT_ONE, Folders, accept_cases_command, explain_command, to_fill_in
from xai_eval.report.text.release import release_lines
from xai_eval.report.text.wording import count
from xai_eval.result.fields import Severity

_ORDER = (State.ERROR, State.DRIFT, State.INCOMPARABLE, State.MISSING, State.UNUSED, State.OK)
_NAMED = 5  # cases or parts that a sentence spells out


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Sort by state, severity, how far beyond the limit, then by name; cases that do not fail come last."""

    return sorted(verdicts, key=lambda v: (badness(v), v.case.input, v.case.key))


def badness(verdict: Verdict) -> tuple[bool, int, int, float]:
    """Return what verdicts are sorted by, the worst first."""
    return not verdict.failed, _ORDER.index(verdict.state), -(verdict.severity or 0), -verdict.excess


def state_word(state: str) -> str:
    """Return the state as people read it: a case without a golden is *new*."""
    return "new" if state == State.MISSING else str(state)


def count_states(verdicts: Iterable[Verdict]) -> dict[State, int]:
    """Count verdicts by state, worst first; states without a case are left out."""
    counts = Counter(verdict.state for verdict in verdicts)
    return {state: counts[state] for state in _ORDER if counts[state]}


def count_severities(verdicts: Iterable[Verdict]) -> dict[Severity, int]:
    """Count drifts by severity, worst first."""
    counts = Counter(verdict.severity for verdict in verdicts)
    return {severity: counts[severity] for severity in sorted(Severity, reverse=True) if counts[severity]}


def counts_sentence(verdicts: Sequence[Verdict]) -> str:
    """Return such as '12 cases: 11 ok, 1 drift'."""
    counts = count_states(verdicts)
    # The number of ok cases comes first, as in the last line of pytest.
    states = [state for state in (State.OK, *_ORDER[:-1]) if state in counts]
    listed = ", ".join(f"{counts[state]} {state_word(state)}" for state in states)
    return f"{count(len(verdicts), 'case')}: {listed}{_quarantine_clause(verdicts)}" if listed else "no cases"


def is_fine(verdict: Verdict) -> bool:
    """Whether nobody has to look at the case: it is ok, and not in quarantine."""
    return verdict.state is State.OK and verdict.quarantine is None


def _quarantine_clause(verdicts: Sequence[Verdict]) -> str:
    aside = [verdict.overdue for verdict in verdicts if verdict.quarantine]
    expired = f", {sum(aside)} of them for too long" if any(aside) else ""
    return f"; {len(aside)} in quarantine{expired}" if aside else ""


def is_new(verdict: Verdict) -> bool:
    """Whether the case has no golden yet and is not in quarantine: somebody has to look at it and accept it."""
    return verdict.state is State.MISSING and verdict.quarantine is None


@dataclass(frozen=True)
class Advice:
    """A sentence on several cases; `command` is what to type next, in the form of a shell, or empty."""

    sentence: str
    command: str = ""

    def __str__(self) -> str:
        """As one line of a terminal; the spaces within a quoted name stay as they are."""
        return terminal.line(" ".join(filter(None, [terminal.sentence(self.sentence), self.command])))


def new_advice(verdicts: Sequence[Verdict], where: Folders | None, reference: str = "") -> Advice | None:
    """Return a sentence on all new cases, and what to do about them; None if there are none.

    Args:
        verdicts: of the run.
        where: folders that the command names; None if there is no folder of goldens to accept into.
        reference: the folder of the run that was compared with in place of goldens.
    """
    new = [verdict.case.key for verdict in worst_first(verdicts) if is_new(verdict)]
    if not new:
        return None
    lone = all(is_new(verdict) or is_fine(verdict) for verdict in verdicts)
    names = "" if len(new) == len(verdicts) else f" ({_some(new)})"
    lacking = f"result in {reference}, so nothing is compared" if reference else "golden"
    told = f"NEW: {count(len(new), 'case')} {'has' if len(new) == 1 else 'have'} no {lacking}{names}."
    if where is None:
        return Advice(told)
    if lone or len(new) <= _NAMED:
        command = accept_cases_command(new, where, "first goldens", everything=lone)
        return Advice(f"{told}{_only_a_part(where, len(verdicts))} Look at {where.page}, then:", command)
    return Advice(f"{told} Look at {where.page}, then accept each case that is right:", ACCEPT_ONE)


def _only_a_part(where: Folders, measured: int) -> str:
    """Say that the run left out tests or images, so that others may have no golden, either."""
    return (
        f" The run left out tests or images: this is about the {count(measured, 'case')} measured."
        if where.part
        else ""
    )


def unwatched_advice(verdicts: Sequence[Verdict], where: Folders | None) -> Advice | None:
    """Return a sentence on what the goldens lack, and what to do about it; None if they lack nothing.

    Args:
        verdicts: of the run.
        where: folders that the command names; None if there is no folder of goldens to accept into.
    """
    cases = [verdict for verdict in worst_first(verdicts) if verdict.unwatched]
    if not cases:
        return None
    parts = [f"{part} ({number})" for part, number in counted(part for each in cases for part in each.unwatched)]
    told = (
        f"{count(len(cases), 'golden')} {'lacks' if len(cases) == 1 else 'lack'} what the run obtained, so nothing "
        f"watches it: {_some(parts)}. This fails no case."
    )
    if where is None:
        return Advice(told)
    keys = [verdict.case.key for verdict in cases]
    lone = all(verdict.state is State.OK for verdict in verdicts)
    if lone or len(keys) <= _NAMED:
        command = accept_cases_command(keys, where, "watch what was added", everything=lone)
        return Advice(f"{told} To have it watched:", command)
    return Advice(f"{told} To have it watched, accept these cases by their names, or all once the others are settled.")


def _known(advice: Advice | None) -> list[str]:
    return [] if advice is None else [str(advice)]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def summary_lines(
    verdicts: Sequence[Verdict], run_findings: RunFindings = NO_FINDINGS, where: Folders | None = None
) -> list[str]:
    """Return the lines that the terminal shows.

    One line per case that fails or is in quarantine, worst first, where drifts of one cause stand together below a line
    on this cause; one for all ok cases; findings of the run as a
    whole; what is unwatched; one line for all new cases; the counts.

    Args:
        verdicts: of the run.
        run_findings: what only the whole run shows.
        where: folders that commands name; None if there is no folder of goldens to accept into.
    """
    told = [verdict for verdict in worst_first(verdicts) if not is_fine(verdict) and not is_new(verdict)]
    words = [state_word(verdict.state) for verdict in told]
    states = max(map(len, words), default=0)
    fine = sum(map(is_fine, verdicts))
    return [
        *case_lines(told, words, _models(verdicts)),
        *([f"{State.OK:<{states}}  {count(fine, 'case')}"] if fine else []),
        *run_findings_lines(run_findings),
        *(f"unwatched  {text}" for text in _known(unwatched_advice(verdicts, where))),
        *_known(new_advice(verdicts, where, run_findings.reference)),
        counts_sentence(verdicts),
    ]


def _models(verdicts: Sequence[Verdict]) -> Mapping[str, str]:
    """Return what names the model of a case, by model; nothing if all cases have the same one."""
    names = dict.fromkeys(verdict.case.model for verdict in verdicts)
    return {name: f" Model: {name}." if len(names) > 1 and name not in ("", "?") else "" for name in names}


def explain_line(
    verdicts: Sequence[Verdict], requests: Mapping[str, Mapping[str, Any]], results: Path, golden: Path
) -> list[str]:
    """Return a line with the command that finds the cause of the worst drift; no line if no such case can be repeated.

    Args:
        verdicts: of the run.
        requests: those of the run's record.
        results: folder of the run.
        golden: folder of the goldens.
    """
    found = (each.case for each in worst_first(verdicts) if each.state is State.DRIFT and each.case.repeatable)
    drifted = next(found, None)
    if drifted is None:
        return []
    request = request_of(requests, drifted)
    command = explain_command(drifted, results, golden, request)
    return [f"find the cause of the worst drift{to_fill_in(drifted, request)}: {command}"]


def not_judged_sentences(run_findings: RunFindings) -> list[str]:
    """Say how many goldens the run left out, and how many it did not try; nothing if it judged all."""
    if run_findings.reference:
        return _not_compared(run_findings)
    found, by_task = [], run_findings.not_tried
    if run_findings.left_out:
        left_out = _were(run_findings.left_out, "golden")
        found.append(f"{left_out} not judged, because the run used only a part of the images")
    if by_task:
        every = ", ".join(f"{number} of {task}" for task, number in by_task.items())
        found.append(
            f"{_were(sum(by_task.values()), 'golden')} not judged, because the run did not try all tasks, models and "
            f"images: {every}. `xai-eval check --complete` fails for such goldens"
        )
    return found


def _not_compared(run_findings: RunFindings) -> list[str]:
    """Say how many results of one run have no counterpart in the other, because that one did not try to make any."""
    number = run_findings.left_out + sum(run_findings.not_tried.values())
    if not number:
        return []
    by_task = ", ".join(f"{cases} of {task}" for task, cases in run_findings.not_tried.items())
    tasks = f" ({by_task})" if by_task else ""
    return [
        f"{count(number, 'result')} in {run_findings.reference} had nothing to be compared with, because the other run "
        f"did not try the same tasks, models and images{tasks}. To compare all, make both runs with the same options"
    ]


def left_by_prune(run_findings: RunFindings) -> list[str]:
    """Say how many goldens are not pruned because the run does not tell whether they are wanted, and what to do."""
    left = run_findings.left_out + sum(run_findings.not_tried.values())
    if not left:
        return []
    return [
        f"{_were(left, 'golden')} kept, because the run did not try all tasks, models and images. If you no longer "
        "want one of them, delete its folder: `xai-eval check --complete` names them"
    ]


def _were(number: int, noun: str) -> str:
    return f"{count(number, noun)} {'was' if number == 1 else 'were'}"


def run_findings_lines(run_findings: RunFindings) -> list[str]:
    """Return one line per systemic shift, and one each for renamed images and for goldens that the run left out, or did
    not try. Before them, what an upgrade did to the whole set.
    """
    return [
        *release_lines(run_findings),
        *(f"systemic  {terminal.sentence(each.sentence)}" for each in run_findings.systemic),
        *(f"renamed  {terminal.sentence(text)}" for text in filter(None, [renamed_sentence(run_findings.renamed)])),
        *(f"partial  {terminal.sentence(sentence)}" for sentence in not_judged_sentences(run_findings)),
    ]
