"""Drop warnings while images are read, also in several threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class _Quiet:
    """`warnings.catch_warnings`, shared by threads.

    It changes the whole process, and restores what it found: of two threads that enter and leave one after the other,
    the second would restore what the first had set. So the first that enters sets, and the last that leaves restores.
    """

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._inside = 0
        self._stack = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Drop all warnings while the context is open."""
        with self._alone:
            if not self._inside:
                self._stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._inside += 1
        try:
            yield
        finally:
            with self._alone:
                self._inside -= 1
                if not self._inside:
                    self._stack.close()


without_warnings = _Quiet()
