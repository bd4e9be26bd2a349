"""The last words of a command: whether it failed, with its exit code, and advice that has no part in this."""

from __future__ import annotations

from collections.abc import Sequence

from xai_eval.gate.run_findings import RunFindings
from xai_eval.gate.verdict import Verdict
from xai_eval.media import terminal
from xai_eval.report.text.head import head
from xai_eval.report.text.summary import worst_first
from xai_eval.report.text.wording import count


def outcome_line(verdicts: Sequence[Verdict], run_findings: RunFindings, exit_code: int) -> str:
    """Say in one line whether the command failed, and what became of the run.

    Args:
        verdicts: of the run.
        run_findings: what only the whole run shows.
        exit_code: of the command.
    """
    told = terminal.sentence(head(worst_first(verdicts), run_findings).outcome)
    if exit_code:
        return f"FAILED (exit code {exit_code}): {told}"
    if any(verdict.failed for verdict in verdicts):
        return f"DONE (exit code 0): {told} That is no failure of `run`; `xai-eval check` fails for it."
    return f"PASSED (exit code 0): {told}"


def advice_lines(run_findings: RunFindings, *, failed: bool) -> list[str]:
    """Return what was measured of tolerances and noise, below a heading that says that nothing fails for it.

    Tolerances that are too large are only counted. `failed` says whether the run failed for something else.
    """
    generous = len(run_findings.tolerances) - len(run_findings.misfits)
    told = [*(note.sentence for note in run_findings.misfits), *run_findings.unusable]
    if generous:
        told.append(f"{count(generous, 'tolerance')} could be tightened: see `tolerances` in verdicts.json")
    heading = "Advice, not part of this failure:" if failed else "Advice:"
    return [heading, *(f"  {terminal.sentence(text)}" for text in told)] if told else []
