"""The outcome of a run in a few lines of text, for the terminal and for pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from xai_eval.gate.verdict import State, Verdict
from xai_eval.gate.whole_run import NOTHING, Overall
from xai_eval.report.text.commands import accept_new_command, explain_command
from xai_eval.report.text.wording import count, one_line
from xai_eval.result.fields import Severity

_ORDER = (State.ERROR, State.DRIFT, State.INCOMPARABLE, State.MISSING, State.UNUSED, State.OK)
_NEW_WORD = "new"
_NEW = 3  # new cases that get a line each; a first run has nothing else


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Sort by state, then by severity, then by name; what does not fail comes after what does."""

    return sorted(verdicts, key=lambda v: (badness(v), v.case.input, v.case.key))


def badness(verdict: Verdict) -> tuple[bool, int, int]:
    """Return what verdicts are sorted by, the worst first."""
    return not verdict.failed, _ORDER.index(verdict.state), -(verdict.severity or 0)


def state_word(state: State) -> str:
    """Return the state as people read it: a case without a golden is *new*."""
    return _NEW_WORD if state is State.MISSING else str(state)


def count_states(verdicts: Iterable[Verdict]) -> dict[State, int]:
    """Count verdicts by state, worst first; states that nobody is in are left out."""
    counts = Counter(verdict.state for verdict in verdicts)
    return {state: counts[state] for state in _ORDER if counts[state]}


def count_severities(verdicts: Iterable[Verdict]) -> dict[Severity, int]:
    """Count drifts by severity, worst first."""
    counts = Counter(verdict.severity for verdict in verdicts)
    return {severity: counts[severity] for severity in sorted(Severity, reverse=True) if counts[severity]}


def counts_sentence(verdicts: Sequence[Verdict]) -> str:
    """Return such as '12 cases: 11 ok, 1 drift'."""
    counts = count_states(verdicts)
    # What is well comes first, as in pytest's own last line.
    states = [state for state in (State.OK, *_ORDER[:-1]) if state in counts]
    listed = ", ".join(f"{counts[state]} {state_word(state)}" for state in states)
    return f"{count(len(verdicts), 'case')}: {listed}{_quarantine_clause(verdicts)}" if listed else "no cases"


def is_fine(verdict: Verdict) -> bool:
    """Whether there is nothing to look at: it is ok, and not set aside."""
    return verdict.state is State.OK and verdict.quarantine is None


def _quarantine_clause(verdicts: Sequence[Verdict]) -> str:
    aside = [verdict.overdue for verdict in verdicts if verdict.quarantine]
    expired = f", {sum(aside)} of them for too long" if any(aside) else ""
    return f"; {len(aside)} in quarantine{expired}" if aside else ""


def summary_lines(verdicts: Sequence[Verdict], overall: Overall = NOTHING) -> list[str]:
    """One line for every case that fails or is in quarantine, worst first; one for many new cases, one for those that
    are ok; then the run as a whole, and the counts.
    """
    told = [verdict for verdict in worst_first(verdicts) if not is_fine(verdict)]
    fine = len(verdicts) - len(told)
    new = len(new_cases(verdicts))
    told = [verdict for verdict in told if new <= _NEW or not _is_new(verdict)]
    states = max((len(state_word(verdict.state)) for verdict in told), default=0)
    labels = [verdict.severity.label if verdict.severity else "-" for verdict in told]
    severities = max(map(len, labels), default=0)
    lines = [
        f"{state_word(v.state):<{states}}  {label:<{severities}}  {v.case.key}  {one_line(v.sentence)}"
        for v, label in zip(told, labels, strict=True)
    ]
    return [
        *lines,
        *([f"{_NEW_WORD:<{states}}  {count(new, 'case')} without a golden"] if new > _NEW else []),
        *([f"{State.OK:<{states}}  {count(fine, 'case')}"] if fine else []),
        *overall_lines(overall),
        counts_sentence(verdicts),
    ]


def new_cases(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts on cases that have no golden and are not set aside."""
    return [verdict for verdict in verdicts if _is_new(verdict)]


def _is_new(verdict: Verdict) -> bool:
    return verdict.state is State.MISSING and verdict.failed


def accept_line(verdicts: Sequence[Verdict], results: Path, golden: Path) -> list[str]:
    """One line with the command that accepts all new cases; none without such, or where accepting would be refused."""
    keys = [verdict.case.key for verdict in new_cases(verdicts)]
    if not keys or any(verdict.state is State.ERROR for verdict in verdicts):
        return []
    everything = not any(verdict.state in (State.DRIFT, State.INCOMPARABLE) for verdict in verdicts)
    command = accept_new_command(keys, results, golden, everything=everything)
    return [f"look at the page, then accept what is new: {command}"]


def explain_line(verdicts: Sequence[Verdict], asked: Collection[str], results: Path, golden: Path) -> list[str]:
    """One line with the command that explains the worst drift; none if nothing drifted.

    Args:
        verdicts: of the run.
        asked: tasks of which the run recorded how they were asked for.
        results: folder of the run.
        golden: folder of the goldens.
    """
    drifted = next((verdict.case for verdict in worst_first(verdicts) if verdict.state is State.DRIFT), None)
    if drifted is None:
        return []
    command = explain_command(drifted.key, results, golden, asked=drifted.task in asked)
    return [f"find the cause of the worst drift: {command}"]


def overall_lines(overall: Overall) -> list[str]:
    """One line for every systemic shift and every tolerance that does not fit; generous ones are only counted."""
    generous = len(overall.tolerances) - len(overall.misfits)
    tightened = f"{count(generous, 'tolerance')} could be tightened: see `tolerances` in verdicts.json"
    return [
        *(f"systemic  {one_line(each.sentence)}" for each in overall.systemic),
        *(f"noise  {one_line(note.sentence)}" for note in overall.misfits),
        *(f"noise  {one_line(sentence)}" for sentence in overall.unusable),
        *([f"noise  {tightened}"] if generous else []),
        *_unwatched_line(overall.unwatched),
    ]


def _unwatched_line(cases: Sequence[str]) -> list[str]:
    if not cases:
        return []
    some = f"{count(len(cases), 'golden')} ({cases[0]}{', ...' if len(cases) > 1 else ''})"
    lacking = "lacks stages that are recorded by now" if len(cases) == 1 else "lack stages that are recorded by now"
    return [f"stages  {some} {lacking}: accept again to have them watched, too"]
