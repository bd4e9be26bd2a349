"""The last words of a command: whether it failed, with its exit code, and advice that has no part in this."""

from __future__ import annotations

from collections.abc import Sequence

from xai_eval.gate.run_findings import RunFindings
from xai_eval.gate.verdict import Verdict
from xai_eval.media import terminal
from xai_eval.report.text.head import head
from xai_eval.report.text.summary import worst_first

_ADVICE = "Advice on noise (how far harmless changes move a result), for which nothing fails:"


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


def advice_lines(run_findings: RunFindings) -> list[str]:
    """Return what was measured of tolerances and noise, below a heading that says what noise is and that nothing fails.

    Nothing is said of tolerances that could merely be tightened: nothing has to be done about them.
    """
    told = [*(note.sentence for note in run_findings.misfits), *run_findings.unusable]
    return [_ADVICE, *(f"  {terminal.sentence(text)}" for text in told)] if told else []
