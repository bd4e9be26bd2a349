"""Progress bars and messages of long computations. They are silent unless somebody switches them on.

Tasks report their progress here, and the command line switches the display on. The switch is a context variable, so
that no task has to pass a progress bar down to the code that does the work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Advance = Callable[[int], None]

_shown: ContextVar[bool] = ContextVar("progress_shown", default=False)


@contextmanager
def shown() -> Iterator[None]:
    """Show progress on standard error while the context is open."""
    token = _shown.set(True)
    try:
        yield
    finally:
        _shown.reset(token)


def say(sentence: str) -> None:
    """Print a sentence on standard error if progress is shown. It tells early what is also written in the result."""
    if _shown.get():
        from tqdm import tqdm

        tqdm.write(sentence, file=sys.stderr)


@contextmanager
def progress(total: int, what: str, unit: str) -> Iterator[Advance]:
    """Open a progress bar with rate and remaining time. Call the returned function with the number of new items."""
    if not _shown.get():
        yield lambda _count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=unit, file=sys.stderr, leave=False) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        yield advance
