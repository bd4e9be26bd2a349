"""The rates of the catalogue of faults at the end of a run, by task, model and kind, with a line for each missed pair.

The pairs are tests of their own and may run on several workers; what each came to arrives with its report. The root's
conftest.py loads this, because a plugin of this folder would not be there where the reports arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PROPERTY = "fault"


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Print how many pairs were noticed and placed, by task, model and kind; with `-v` the whole table."""
    rows = list(_rows(terminalreporter.stats))
    if not rows:
        return
    terminalreporter.section("faults")
    whole = config.option.verbose > 0
    for row in rows:
        if whole or not (row["noticed"] and row["placed"]):
            terminalreporter.line(row["line"])
    for line in rate_lines(rows):
        terminalreporter.line(line)


def rate_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how many of all pairs were noticed and placed, and then the same by task, by model and by kind."""
    yield f"{_rates(rows)} of {len(rows)} pairs of fault and task"
    for what in ("task", "model", "kind"):
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            groups.setdefault(row[what], []).append(row)
        width = max(map(len, groups))
        yield from (f"  {what:6}{name:{width}}  {len(own):4} pairs, {_rates(own)}" for name, own in groups.items())


def _rates(rows: Sequence[Mapping[str, Any]]) -> str:
    noticed, placed = (sum(row[what] for row in rows) / len(rows) for what in ("noticed", "placed"))
    return f"noticed {noticed:.1%}, placed at the right stage {placed:.1%}"


def _rows(stats: Mapping[str, list[Any]]) -> Iterator[Mapping[str, Any]]:
    for outcome in ("passed", "failed"):
        for report in stats.get(outcome, []):
            yield from (value for name, value in getattr(report, "user_properties", ()) if name == PROPERTY)
