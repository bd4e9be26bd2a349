"""What the plugin hands to pytest to print: pytest prints it as it is, into terminals and logs of CI jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from xai_eval.errors import XaiEvalError
from xai_eval.media.ci_commands import inert
from xai_eval.media.terminal import block

_OF_AN_ERROR = "E "  # a line of a traceback that pytest made of an exception begins so


def fail(message: str) -> NoReturn:
    """Fail the test with a message, without a traceback. Where it is called from is not shown."""
    __tracebackhide__ = True
    pytest.fail(block(message), pytrace=False)


def skip(reason: str) -> NoReturn:
    """Skip the test."""
    __tracebackhide__ = True
    pytest.skip(block(reason))


def usage_error(error: XaiEvalError) -> pytest.UsageError:
    """Return the error that ends pytest with one sentence."""
    return pytest.UsageError(block(str(error)))


def shown_error(error: BaseException) -> None:
    """Let an error of this package, and those that led to it, have texts that a terminal may get."""
    for each in _chain(error):
        if isinstance(error, XaiEvalError) and not isinstance(each, OSError):
            each.args = tuple(block(part) if isinstance(part, str) else part for part in each.args)


def shown_report(report: pytest.TestReport) -> None:
    """Take commands of CI services from what pytest made of an exception, such as a comparison of two labels.

    Colours that pytest set stay, and so do lines of code.
    """
    chain = getattr(report.longrepr, "chain", ())
    for traceback, place, _ in chain:
        for entry in traceback.reprentries:
            lines = getattr(entry, "lines", [])
            lines[:] = [inert(line) if line.startswith(_OF_AN_ERROR) else line for line in lines]
        if place is not None:
            place.message = _inert_lines(place.message)
    if isinstance(report.longrepr, tuple):  # of a skipped test: file, line, reason
        report.longrepr = (*report.longrepr[:2], _inert_lines(report.longrepr[2]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _inert_lines(text: Any) -> str:
    return "\n".join(map(inert, str(text).split("\n")))
