"""The outcome of a run for GitHub Actions: a Markdown summary of the step, and one annotation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from xai_eval.disk.files import opening_for_addition
from xai_eval.disk.system_errors import refusal
from xai_eval.gate.verdict import Verdict
from xai_eval.media import markdown, terminal
from xai_eval.media.characters import shortened
from xai_eval.report.text.commands import USUAL, Folders
from xai_eval.report.text.summary import (
    Advice,
    counts_sentence,
    is_fine,
    is_new,
    new_advice,
    state_word,
    unwatched_advice,
    worst_first,
)
from xai_eval.report.text.wording import count

# Variables of GitHub Actions: the file for the summary of a step, and whether this runs there at all.
_SUMMARY_FILE, _ACTIONS = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"
_ROWS = 50
_LETTERS = 400  # of a cell or sentence
_MOST = 1_000_000  # bytes; GitHub drops the summary of a step that has more than 1 MiB


def report_to_github(verdicts: Sequence[Verdict], page: Path | None, where: Folders | None = USUAL) -> None:
    """On GitHub Actions, append the summary to the file that is meant for it, and print the annotation.

    The annotation goes to the standard error, which GitHub reads as well, because the standard output may be JSON.
    If the summary cannot be written, a message says so, and the run goes on.
    """
    target = os.environ.get(_SUMMARY_FILE)
    if target:
        try:
            with open(target, "ab", opener=opening_for_addition) as file:
                file.write(step_summary(verdicts, page, where, room=_MOST - file.tell()).encode())
        except OSError as error:
            found = refusal(error, "check the variable")
            terminal.tell(f"xai-eval: {_SUMMARY_FILE} {target} cannot be written ({found.reason}). {found.sentence}")
    if os.environ.get(_ACTIONS) == "true":
        terminal.command_ci(annotation(verdicts))


def step_summary(
    verdicts: Sequence[Verdict], page: Path | None, where: Folders | None = USUAL, *, room: int = _MOST
) -> str:
    """Return Markdown: the counts, one sentence each on new cases and on unwatched parts, and a table.

    The table has one row per other case that somebody has to look at, worst first, at most 50, and at most as many as
    `room` bytes hold. `where` are the folders that commands name; None if nothing can be accepted.
    """
    told = [verdict for verdict in worst_first(verdicts) if not is_fine(verdict) and not is_new(verdict)]
    lines = ["## Explanations", "", f"**{markdown.text(counts_sentence(verdicts))}**", ""]
    for advice in filter(None, [new_advice(verdicts, where), unwatched_advice(verdicts, where)]):
        lines += [_advice(advice), ""]
    last = [_page_line(page), ""] if page else []
    return "\n".join([*lines, *_table(told, room - _size([*lines, *last])), *last]) + "\n"


def _table(told: Sequence[Verdict], room: int) -> list[str]:
    """Return the rows for which there is room, and a sentence on the others; nothing if there are no verdicts."""
    if not told:
        return []
    head = ["| state | severity | case | verdict |", "| --- | --- | --- | --- |"]
    rows: list[str] = []
    for row in map(_row, told[:_ROWS]):
        # The sentence on the others needs less room than a row may take.
        if _size([*head, *rows, row]) > room - _LETTERS:
            break
        rows.append(row)
    if len(rows) == len(told):
        return [*head, *rows, ""]
    rest = markdown.text(counts_sentence(told[len(rows) :]))
    left_out = f"The table lists the {len(rows)} worst of {count(len(told), 'case')} to look at. The others: {rest}."
    return [*head, *rows, "", left_out, ""] if rows else [left_out, ""]


def _advice(advice: Advice) -> str:
    command = f" {markdown.code(advice.command)}" if advice.command else ""
    return f"{markdown.text(advice.sentence)}{command}"


def _page_line(page: Path) -> str:
    told = "The page shows images and causes, with commands to find the cause and to accept:"
    return f"{told} {markdown.code(str(page))}"


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


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
        return str(new_advice(failed, None))
    return f"The worst is {failed[0].case.key}: {_short(failed[0])}"


def _row(verdict: Verdict) -> str:
    aside = f" ({'quarantine expired' if verdict.overdue else 'quarantine'})" if verdict.quarantine else ""
    severity = verdict.severity.label if verdict.severity else "–"
    key = markdown.code(verdict.case.key, _LETTERS, in_table=True)
    case = f"{key} ({markdown.text(verdict.case.input, _LETTERS)})"
    return markdown.row(
        [f"{state_word(verdict.state)}{aside}", severity, case, markdown.text(verdict.sentence, _LETTERS)]
    )


def _short(verdict: Verdict) -> str:
    return shortened(terminal.sentence(verdict.sentence), _LETTERS)


def _escaped(text: str) -> str:
    """Escape as GitHub's own toolkit does, so that no name can end the command or begin another."""
    shown = terminal.line(text)
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
