"""What `xai-eval accept` says at its end: which goldens changed, and why the others did not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xai_eval.report.text.wording import count

_NAMED = 5
_WHY = (
    "A golden is replaced only by a result that differs from it. If you expected a change, run again: this is the run"
)


def accepted_lines(accepted: Sequence[str], matching: Sequence[str], golden: Path, when: str) -> list[str]:
    """Return the lines for the terminal.

    Args:
        accepted: keys of the goldens that changed.
        matching: keys of the chosen results that were left alone, because they match their goldens already.
        golden: the folder of goldens.
        when: when the run was started, as its record says; empty if it does not.
    """
    changed = f"{count(len(accepted), 'golden')} changed in {golden}"
    alone = [_left_alone(matching)] if matching else []
    if accepted:
        return [*(f"accepted {key}" for key in accepted), *alone, f"{changed}: commit that folder"]
    if not matching:
        return [f"{changed}: the run has no results. Run again."]
    return [*alone, f"{changed}. {_WHY}{f' of {when}' if when else ' that was named'}."]


def _left_alone(matching: Sequence[str]) -> str:
    more = f" and {len(matching) - _NAMED} more" if len(matching) > _NAMED else ""
    verb = "matches its golden" if len(matching) == 1 else "match their goldens"
    return f"{count(len(matching), 'result')} {verb} already: {', '.join(matching[:_NAMED])}{more}"
