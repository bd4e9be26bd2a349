"""How many attacks of each kind were held, at the end of a run, with a line for each that was not.

The root's conftest.py loads this, as it loads the table of faults.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PROPERTY = "attack"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print for each kind how many attacks were tried and held."""
    rows = list(_rows(terminalreporter.stats))
    if not rows:
        return
    terminalreporter.section("attacks")
    for row in rows:
        if not row["held"]:
            terminalreporter.line(f"NOT HELD {row['kind']}: {row['name']}: {row['came']}")
    groups = defaultdict(list)
    for row in rows:
        groups[row["kind"]].append(row)
    width = max(map(len, groups))
    for kind in sorted(groups):
        terminalreporter.line(f"  {kind:{width}}  {_count(groups[kind])}")
    terminalreporter.line(f"  {'all':{width}}  {_count(rows)}")


def _count(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"tried {len(rows):4}, held {sum(row['held'] for row in rows):4}"


def _rows(stats: Mapping[str, list[Any]]) -> Iterator[Mapping[str, Any]]:
    for state in ("passed", "failed"):
        for report in stats.get(state, []):
            yield from (value for name, value in getattr(report, "user_properties", ()) if name == PROPERTY)
