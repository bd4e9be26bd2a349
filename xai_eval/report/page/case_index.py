"""Which case is on which page of a report of many pages, as a script: a page that is a file may load nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from xai_eval.gate.verdict import Verdict, cause_kinds
from xai_eval.media.json_text import compact_json
from xai_eval.report.further_pages import MARK
from xai_eval.report.page.case_view import quarantine_words
from xai_eval.report.page.filters import NONE
from xai_eval.report.page.sheets import Sheet
from xai_eval.report.text.summary import state_word

_FILTERS = ("task", "model", "state", "severity", "quarantine", "cause")


def case_index(sheets: Sequence[Sheet]) -> Iterator[str]:
    """Yield the script `cases.js` page by page.

    It sets `xaiEvalCases` to an object: `filters` are names; `kinds` a list of the values that cases have of these, of
    `cause` a list; `pages` has for each page its file, and of each case the number of its kind, input and anchor.
    """
    kinds: dict[tuple[str, ...], int] = {}
    yield f'"use strict"; // {MARK}\nvar xaiEvalCases = {{"filters": {json.dumps(_FILTERS)}, "pages": ['
    for sheet in sheets:
        rows = [[kinds.setdefault(_kind(c.verdict), len(kinds)), c.verdict.case.input, c.anchor] for c in sheet.cases]
        yield f"{',' if sheet.number > 1 else ''}\n{compact_json({'file': sheet.name, 'cases': rows})}"
    values = [[*kind[: len(_FILTERS) - 1], list(kind[len(_FILTERS) - 1 :])] for kind in kinds]
    yield f'\n], "kinds": {compact_json(values)}}};\n'


def _kind(verdict: Verdict) -> tuple[str, ...]:
    severity = verdict.severity.label if verdict.severity else NONE
    one = (verdict.case.task, verdict.case.model or NONE, state_word(verdict.state), severity)
    return (*one, quarantine_words(verdict) or NONE, *(map(str, cause_kinds(verdict) or [NONE])))
