"""Errors that a person can act on, each with the exit code of the command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping

_LONGEST_NAME = 200
_MOST_TOLD = 12  # of known names; a model spec has so many forms
_LONGEST_LINE = 200  # characters of a line of somebody else's error
_COLOUR = re.compile("\x1b\\[[0-9;]*m")  # torch prints parts of its errors in bold


class XaiEvalError(Exception):
    """Base of all errors raised on purpose. The text says where, what was expected, what came, and what to do next."""

    exit_code = 3

    def __reduce__(self) -> tuple[Callable[..., XaiEvalError], tuple[object, ...]]:
        """Return how another process makes an equal error: not by calling the class, which may make another text."""
        return _same_error, (type(self), self.args, self.__dict__)


def _same_error(kind: type[XaiEvalError], args: tuple[object, ...], attributes: Mapping[str, object]) -> XaiEvalError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class UsageError(XaiEvalError):
    """The request is wrong, such as an unknown name, or options that contradict each other."""

    exit_code = 2


class InputUnavailable(XaiEvalError):
    """A model, image or data set is missing or unreadable."""


class ModelMisbehaves(XaiEvalError):
    """The model returned something that cannot be explained (NaN, a tuple, another shape)."""


class MetricMisbehaves(XaiEvalError):
    """A metric does not give its known answer on fixed inputs, so it is not used.

    Attributes:
        metric: name of the function of the metric.
    """

    def __init__(self, metric: str, message: str) -> None:
        super().__init__(message)
        self.metric = metric


class LibraryMisbehaves(XaiEvalError):
    """A library breaks on a network, image and data that never change, so that no model or image is the cause.

    Attributes:
        step: what was tried, such as `the map of gradcam`.
        library: name of the distribution that computes it.
    """

    def __init__(self, step: str, library: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.library = library


class StorageError(XaiEvalError):
    """A result or golden on disk is truncated, edited by hand or of another program, or cannot be written."""


class TooManyOpenFiles(XaiEvalError):
    """The limit of open files was reached: nothing can be opened, whatever it is, until some are closed."""


def error_line(error: BaseException) -> str:
    """Return the type and the first line of an exception; only the type if it has no text, or fails to make one.

    A first line that ends in a colon is only a heading, such as that of torch above the weights that do not fit a
    model, so the two lines below it are returned as well.
    """
    try:
        text = str(error)
    except Exception:  # its class may be code of a user
        text = ""
    lines = [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    below = "; ".join(_cut(line) for line in lines[1:3]) if lines[0].endswith(":") else ""
    return " ".join(filter(None, [f"{type(error).__name__}: {lines[0][:_LONGEST_LINE]}", below]))


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def unknown_name(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> UsageError:
    """Return the error for an unknown name, with the nearest known names.

    The error lists up to three close matches, else the first of the known names. Long names are cut short: to look for
    close matches takes a time that grows with the square of their length.
    """
    known, name = [_short(each) for each in known], _short(str(name))  # a user may have passed any type
    lowered = {k.lower().lstrip("-"): k for k in known}  # the dashes of options would make all of them alike
    wanted = name.lower().lstrip("-")
    close = [lowered[c] for c in difflib.get_close_matches(wanted, list(lowered), n=3, cutoff=0.5)]
    if close:
        advice = f"Did you mean {' or '.join(close)}?"
    else:
        advice = f"Known: {', '.join(known[:_MOST_TOLD])}{', ...' if len(known) > _MOST_TOLD else ''}." if known else ""
    return UsageError(" ".join(filter(None, [f"unknown {kind} {name!r}.", advice, hint])))
