"""The history of a case as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from xai_eval.media import terminal
from xai_eval.report.text.summary import state_word
from xai_eval.store.history import Acceptance


def history_lines(history: Sequence[Acceptance]) -> list[str]:
    """Return two lines per entry: when, who and why; and below, the verdict and the upgrade accepted."""
    lines = []
    for entry in history:
        when, who, reason = map(terminal.sentence, (entry.when, entry.who, entry.reason))
        lines.append(f"{when}  {who or 'unknown'}  {reason}")
        if entry.state:
            head = " ".join(filter(None, (state_word(entry.state), entry.severity)))
            lines.append(f"    verdict at that time: {terminal.sentence(f'{head}: {entry.verdict}')}")
        if entry.upgrade:
            lines.append(f"    upgrade of the whole set: {terminal.sentence(entry.upgrade)}")
    return lines
