"""The rates of the catalogue of faults at the end of a run, with a line for each pair that was missed.

The pairs are tests of their own and may run on several workers; what each came to arrives with its report. The root's
conftest.py loads this, because a plugin of this folder would not be there where the reports arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PROPERTY = "fault"


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Print how many pairs were noticed and placed; with `-v` the whole table."""
    rows = list(_rows(terminalreporter.stats))
    if not rows:
        return
    terminalreporter.section("faults")
    whole = config.option.verbose > 0
    for row in rows:
        if whole or not (row["noticed"] and row["placed"]):
            terminalreporter.line(row["line"])
    noticed, placed = (sum(row[what] for row in rows) / len(rows) for what in ("noticed", "placed"))
    rates = f"noticed {noticed:.1%}, placed at the right stage {placed:.1%}"
    terminalreporter.line(f"{rates} of {len(rows)} pairs of fault and task")


def _rows(stats: Mapping[str, list[Any]]) -> Iterator[Mapping[str, Any]]:
    for outcome in ("passed", "failed"):
        for report in stats.get(outcome, []):
            yield from (value for name, value in getattr(report, "user_properties", ()) if name == PROPERTY)
