"""The outcome of a run for those who look at a pull request: a Markdown summary, and one annotation."""

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

# Where GitHub Actions wants the summary of a step, and what says that annotations are read.
_SUMMARY_FILE, _ACTIONS = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"
_ROWS = 50
_LETTERS = 400  # of a sentence; GitHub takes no more than a megabyte for all


def report_to_github(verdicts: Sequence[Verdict], page: Path | None, where: Folders = USUAL) -> None:
    """Append the summary to the file that GitHub Actions names, and print the annotation, where either is wanted.

    The annotation goes to the standard error, which GitHub reads as well: JSON may be on the standard output.
    A summary that cannot be written is no reason to hide the outcome.
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
    """Return Markdown: the counts, what is new and what is unwatched in a sentence each, then a row for each other case
    that is to be looked at, worst first, 50 at most; `where` are the folders that commands name.
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
        lines += [f"Of {count(len(told), 'case')} to look at, the {_ROWS} worst are listed; the rest is {rest}.", ""]
    if page:
        lines += [f"Images, causes and the commands that explain and accept: `{one_line(str(page))}`", ""]
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
