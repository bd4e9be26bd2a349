"""What the plugin hands to pytest to print: pytest prints it as it is, into terminals and logs of CI jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

import pytest

from xai_eval.errors import XaiEvalError
from xai_eval.media.terminal import block, line

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NO_COLOUR = "\x1b[0m"
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


def shown_report(report: pytest.TestReport | pytest.CollectReport, *, coloured: bool) -> None:
    """Pass what pytest made of an exception through the function for the terminal; lines of code stay as they are.

    In a comparison of two texts, pytest shows them raw, with colours of its own if its terminal is `coloured`.
    """
    shown = _with_colours if coloured else line
    chain = getattr(report.longrepr, "chain", ())
    for traceback, place, _ in chain:
        for entry in traceback.reprentries:
            lines = getattr(entry, "lines", [])
            lines[:] = [shown(each) if each.startswith(_OF_AN_ERROR) else each for each in lines]
        if place is not None:
            place.message = block(place.message)
    if isinstance(report.longrepr, tuple):  # of a skipped test: file, line, reason
        report.longrepr = (*report.longrepr[:2], block(report.longrepr[2]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _with_colours(text: str) -> str:
    """Return a line with the colours that it sets, and none behind it."""
    parts = _COLOUR.split(text)
    colours = _COLOUR.findall(text)
    shown = "".join(f"{line(part)}{colour}" for part, colour in zip(parts, [*colours, ""], strict=True))
    return f"{shown}{_NO_COLOUR}" if colours else shown
