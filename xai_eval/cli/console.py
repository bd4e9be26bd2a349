"""The console of a command: of any encoding, perhaps closed by its reader, and shared with code of the user."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError
from xai_eval.media.screen import visible_but_colours
from xai_eval.media.terminal import block


@contextlib.contextmanager
def console() -> Iterator[None]:
    """Make standard output and standard error harmless to write to while the context is open.

    A character that the encoding of the console lacks is written as an escape such as `\\u65e5`, whatever the console
    itself would do with it. Warnings and messages of libraries may hold a name that a stranger chose, so they pass
    `xai_eval.media.terminal`, as all that the commands print does. When the reader goes away, as `head` does, the rest
    is dropped and the command ends as usual.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_libraries_in_block())
        if sys.stderr is not None:
            stack.enter_context(contextlib.redirect_stderr(_Harmless(sys.stderr)))
        answers = _Harmless(_Nobody() if sys.stdout is None else sys.stdout, shows=visible_but_colours)
        stack.enter_context(contextlib.redirect_stdout(answers))
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()


@contextlib.contextmanager
def prints_apart() -> Iterator[None]:
    """Send what is printed inside the context to standard error.

    Code of the user runs there (factories, tasks, models). What it prints, also through a program that it starts, must
    not get into the answer of the command, which may be JSON.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr), _descriptor_apart():
        yield


@contextlib.contextmanager
def _libraries_in_block() -> Iterator[None]:
    """Pass what libraries warn and log through the function for the terminal, if nobody else handles it."""
    written, last = warnings.formatwarning, logging.lastResort
    before = last.formatter if last else None

    def formatted(*args: Any, **options: Any) -> str:
        return block(written(*args, **options))

    warnings.formatwarning = formatted
    if last:
        last.setFormatter(_InBlock())
    try:
        yield
    finally:
        warnings.formatwarning = written
        if last:
            last.formatter = before


class _InBlock(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return block(super().format(record))


class _Nobody(io.TextIOBase):
    """Standard output of a process that was started without one."""

    def write(self, text: str) -> int:
        """Drop the text."""
        return len(text)


class _Harmless:
    """A stream that writes to another one, and never raises because of an encoding or a closed pipe.

    Raises StorageError, once, if the other one cannot be written for another reason, such as a full disk.
    """

    def __init__(self, stream: TextIO | io.TextIOBase, *, shows: Callable[[str], str] = str) -> None:
        self._stream, self._shows, self._open = stream, shows, True

    def write(self, text: str) -> int:
        """Write text; drop it if nobody reads it any more."""
        self._unless_closed(lambda: self._write(self._shows(text)))
        return len(text)

    def flush(self) -> None:
        """Flush the other stream."""
        self._unless_closed(self._stream.flush)

    def close(self) -> None:
        """Only flush: code of a user that closes standard output must not close it for the command that called it."""
        self.flush()

    def __enter__(self) -> _Harmless:
        """Return the stream itself, as every other one does in a `with` statement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Only flush, as `close` does."""
        self.close()

    def __getattr__(self, name: str) -> Any:
        """Have everything else as the other stream has it: its encoding, its file descriptor, its width."""
        return getattr(self._stream, name)

    def _write(self, text: str) -> None:
        # Not left to the stream: it may raise, or drop a character, so that its neighbours make a command of a CI.
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding))

    def _unless_closed(self, act: Callable[[], object]) -> None:
        if not self._open:
            return
        try:
            act()
        # Python raises ValueError for a stream that code of a user closed by its other name.
        except (BrokenPipeError, ConnectionResetError, ValueError):
            self._close()
        except OSError as error:
            self._close()
            found = refusal(error, "write it elsewhere")
            raise StorageError(f"the answer cannot be written ({found.reason}). {found.sentence}") from error

    def _close(self) -> None:
        self._open = False
        _send_nowhere(self._stream)


def _send_nowhere(stream: TextIO | io.TextIOBase) -> None:
    """Let the file of a stream be the null device, so that Python's own flush at its end does not fail either."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _descriptor_apart() -> Iterator[None]:
    """Let file descriptor 1 be standard error, for programs that code of the user starts."""
    try:
        kept = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
