"""The history of a case as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from xai_eval.history import Acceptance
from xai_eval.report.wording import one_line


def history_lines(history: Sequence[Acceptance]) -> list[str]:
    """Two lines an entry for the terminal: when, who and why; and beneath what was overruled."""
    lines = []
    for entry in history:
        lines.append(f"{entry.when}  {one_line(entry.who) or 'unknown'}  {one_line(entry.reason)}")
        if entry.state:
            head = " ".join(filter(None, (entry.state, entry.severity)))
            lines.append(f"    {one_line(f'{head}: {entry.verdict}')}")
    return lines
