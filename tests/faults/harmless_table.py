"""The false alarms at the end of a run, with their denominators: in all, and by task, model and kind of change.

The pairs are tests of their own and may run on several workers; what each came to arrives with its report. The root's
conftest.py loads this, as it loads `fault_table`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PROPERTY = "harmless"
_BY = ("task", "model", "kind")


def outcome(kind: str, model: str, task: str, *, alarm: bool) -> dict[str, str | bool]:
    """What the table needs of one pair, in types that a worker can send."""
    return {"kind": kind, "model": model, "task": task, "alarm": alarm}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many harmless changes raised an alarm."""
    rows = list(_rows(terminalreporter.stats))
    if not rows:
        return
    terminalreporter.section("harmless changes")
    terminalreporter.line(f"false alarms: {_count(rows)}")
    for by in _BY:
        groups = defaultdict(list)
        for row in rows:
            groups[row[by]].append(row)
        terminalreporter.line(f"by {by}: " + ", ".join(f"{name} {_share(groups[name])}" for name in sorted(groups)))


def _count(rows: Sequence[Mapping[str, Any]]) -> str:
    alarms = sum(row["alarm"] for row in rows)
    return f"{alarms} of {len(rows)} pairs of change and task ({alarms / len(rows):.1%})"


def _share(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(row['alarm'] for row in rows)}/{len(rows)}"


def _rows(stats: Mapping[str, list[Any]]) -> Iterator[Mapping[str, Any]]:
    for state in ("passed", "failed"):
        for report in stats.get(state, []):
            yield from (value for name, value in getattr(report, "user_properties", ()) if name == PROPERTY)
