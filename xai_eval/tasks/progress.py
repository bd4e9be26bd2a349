"""How far a long computation is, for whoever watches: silent unless a door says otherwise.

Tasks report here what they have done; the command line decides that it is shown. A context variable, so that no task
has to hand a progress bar through to where the work is.
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
    """Tell whoever watches something that they would otherwise find only in the result."""
    if _shown.get():
        from tqdm import tqdm

        tqdm.write(sentence, file=sys.stderr)


@contextmanager
def progress(total: int, what: str, unit: str) -> Iterator[Advance]:
    """Open a progress bar with rate and remaining time; the function it gives takes how many more are done."""
    if not _shown.get():
        yield lambda _count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=unit, file=sys.stderr, leave=False) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        yield advance
