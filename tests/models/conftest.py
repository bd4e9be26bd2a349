"""Prints the table of models at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from model_row import Told

_ROW = "row of the table of models"
_WIDTHS = (40, 44, 58, 56)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[Told], None]:
    """Takes what the table prints of a row. Workers of pytest-xdist hand it on with the report of the test."""
    return lambda told: request.node.user_properties.append((_ROW, list(told.columns)))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = list(_rows(terminalreporter))
    if rows and config.args_source is pytest.Config.ArgsSource.ARGS:  # not if all tests run
        terminalreporter.section("models")
        for row in (("model", "layer", "layout", "output", "verdict"), *rows):
            cells = [cell.ljust(width) for cell, width in zip(row, _WIDTHS, strict=False)]
            terminalreporter.write_line("  ".join((*cells, row[-1])))
        verdicts = [row[-1].split(":")[0] for row in rows]
        counts = ", ".join(f"{verdicts.count(each)} {each}" for each in sorted(set(verdicts)))
        terminalreporter.write_line(f"{len(rows)} models: {counts}")


def _rows(terminalreporter: Any) -> Iterator[list[str]]:
    for kind in ("passed", "failed"):
        for report in terminalreporter.stats.get(kind, ()):
            if getattr(report, "when", None) == "call":
                yield from (content for name, content in report.user_properties if name == _ROW)
