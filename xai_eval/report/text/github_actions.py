"""The outcome of a run for GitHub Actions: a Markdown summary of the step, and one annotation."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from xai_eval.gate.verdict import Verdict
from xai_eval.report.text.commands import USUAL, Folders
from xai_eval.report.text.summary import (
    counts_sentence,
    is_fine,
    is_new,
    new_sentence,
    state_word,
    unwatched_sentence,
    worst_first,
)
from xai_eval.report.text.wording import count, markdown_cell, one_line

# Variables of GitHub Actions: the file for the summary of a step, and whether this runs there at all.
_SUMMARY_FILE, _ACTIONS = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"
_ROWS = 50
_LETTERS = 400  # of a sentence; GitHub takes no more than a megabyte for all


def report_to_github(verdicts: Sequence[Verdict], page: Path | None, where: Folders = USUAL) -> None:
    """On GitHub Actions, append the summary to the file that is meant for it, and print the annotation.

    The annotation goes to the standard error, which GitHub reads as well, because the standard output may be JSON.
    If the summary cannot be written, a message says so, and the run goes on.
    """
    target = os.environ.get(_SUMMARY_FILE)
    if target:
        try:
            with Path(target).open("a", encoding="utf-8", errors="replace") as file:
                file.write(step_summary(verdicts, page, where))
        except OSError as error:
            print(f"xai-eval: {_SUMMARY_FILE} {target} cannot be written ({error.strerror})", file=sys.stderr)
    if os.environ.get(_ACTIONS) == "true":
        print(annotation(verdicts), end="", file=sys.stderr)


def step_summary(verdicts: Sequence[Verdict], page: Path | None, where: Folders = USUAL) -> str:
    """Return Markdown: the counts, one sentence each on new cases and on unwatched parts, and a table.

    The table has one row per other case that somebody has to look at, worst first, at most 50. `where` are the
    folders that commands name.
    """
    told = [verdict for verdict in worst_first(verdicts) if not is_fine(verdict) and not is_new(verdict)]
    lines = ["## Explanations", "", f"**{markdown_cell(counts_sentence(verdicts))}**", ""]
    for text in filter(None, [new_sentence(verdicts, where), unwatched_sentence(verdicts, where)]):
        lines += [markdown_cell(one_line(text)), ""]
    if told:
        lines += ["| state | severity | case | verdict |", "| --- | --- | --- | --- |"]
        lines += [_row(verdict) for verdict in told[:_ROWS]]
        lines.append("")
    if len(told) > _ROWS:
        rest = counts_sentence(told[_ROWS:])
        lines += [
            f"The table lists the {_ROWS} worst of {count(len(told), 'case')} to look at. The others: {rest}.",
            "",
        ]
    if page:
        lines += [
            f"The page shows images and causes, with commands to find the cause and to accept: `{one_line(str(page))}`",
            "",
        ]
    return "\n".join(lines) + "\n"


def annotation(verdicts: Sequence[Verdict]) -> str:
    """Return the command of GitHub Actions that shows one error for the whole run; empty if nothing failed."""
    failed = [verdict for verdict in worst_first(verdicts) if verdict.failed]
    if verdicts and not failed:
        return ""
    told = f"{counts_sentence(verdicts)}. {_worst(failed)}"
    return f"::error title=xai-eval::{_escaped(told)}\n"


def _worst(failed: Sequence[Verdict]) -> str:
    if not failed:
        return "Nothing was measured."
    if all(map(is_new, failed)):
        return one_line(new_sentence(failed, None))
    return f"The worst is {failed[0].case.key}: {_short(failed[0])}"


def _row(verdict: Verdict) -> str:
    aside = f" ({'quarantine expired' if verdict.overdue else 'quarantine'})" if verdict.quarantine else ""
    severity = verdict.severity.label if verdict.severity else "–"
    state, case = f"{state_word(verdict.state)}{aside}", f"{verdict.case.key} ({verdict.case.input})"
    cells = (state, severity, case, _short(verdict))
    return f"| {' | '.join(map(markdown_cell, cells))} |"


def _short(verdict: Verdict) -> str:
    return shorten(one_line(verdict.sentence), _LETTERS, placeholder=" ...")


def _escaped(text: str) -> str:
    """Escape as GitHub's own toolkit does, so that no name can end the command or begin another."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
