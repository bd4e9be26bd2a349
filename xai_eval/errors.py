"""Errors that a person can act on, each with the exit code of the command line that it ends."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class XaiEvalError(Exception):
    """Base of every error raised on purpose: where, what was expected, what came, what to do next."""

    exit_code = 3


class UsageError(XaiEvalError):
    """The request itself is wrong: an unknown name, or options that contradict each other."""

    exit_code = 2


class InputUnavailable(XaiEvalError):
    """A model, image or data set is missing or unreadable."""


class ModelMisbehaves(XaiEvalError):
    """The model returned something that cannot be explained (NaN, a tuple, another shape)."""


class MetricMisbehaves(XaiEvalError):
    """A metric misses its known answer on inputs that never change: nothing is measured with it.

    Attributes:
        metric: name of its function.
    """

    def __init__(self, metric: str, message: str) -> None:
        super().__init__(message)
        self.metric = metric


class StorageError(XaiEvalError):
    """A result or golden on disk is truncated, foreign, edited by hand, or cannot be written."""


def error_line(error: BaseException) -> str:
    """Return the type and the first line of any exception, which may have no text at all."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def unknown_name(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> UsageError:
    """Build the error for a name nobody knows, with the nearest known names.

    The error lists up to three close matches, else up to ten of the known names.
    """
    known, name = list(known), str(name)  # of whatever type: it is what somebody gave
    lowered = {k.lower(): k for k in known}
    close = [lowered[c] for c in difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.5)]
    if close:
        advice = f"Did you mean {' or '.join(close)}?"
    else:
        advice = f"Known: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}."
    return UsageError(" ".join(filter(None, [f"unknown {kind} {name!r}.", advice, hint])))
