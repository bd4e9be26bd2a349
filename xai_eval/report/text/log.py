"""The history of a case as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from xai_eval.report.text.wording import one_line
from xai_eval.store.history import Acceptance


def history_lines(history: Sequence[Acceptance]) -> list[str]:
    """Return two lines per entry: when, who and why; and below, the verdict and the upgrade accepted."""
    lines = []
    for entry in history:
        lines.append(f"{entry.when}  {one_line(entry.who) or 'unknown'}  {one_line(entry.reason)}")
        if entry.state:
            head = " ".join(filter(None, (entry.state, entry.severity)))
            lines.append(f"    {one_line(f'{head}: {entry.verdict}')}")
        if entry.upgrade:
            lines.append(f"    upgrade of the whole set: {one_line(entry.upgrade)}")
    return lines
