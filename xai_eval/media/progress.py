"""Progress bars and messages of long computations. They are silent unless somebody switches them on.

Whatever takes long reports its progress here, and the command line switches the display on. The switch is a context
variable, so that nobody has to pass a progress bar down to the code that does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Advance = Callable[[int], None]
SILENT = 2.0  # seconds after which work that is usually quick shows a bar

# The sentences that were printed already; None while nothing is shown.
_told: ContextVar[set[str] | None] = ContextVar("progress_told", default=None)


@contextmanager
def shown() -> Iterator[None]:
    """Show progress on standard error while the context is open."""
    token = _told.set(set())
    try:
        yield
    finally:
        _told.reset(token)


def say(sentence: str) -> None:
    """Print a sentence on standard error if progress is shown. It tells early what is also written in the result.

    Several tasks may have the same to say of one model, so each sentence is printed once.
    """
    told = _told.get()
    if told is None or sentence in told:
        return
    from xai_eval.media.bars import tell_above

    told.add(sentence)
    tell_above(sentence)


@contextmanager
def progress(total: int, what: str, unit: str, *, after: float = 0.0) -> Iterator[Advance]:
    """Open a progress bar with rate and remaining time. Call the returned function with the number of new items.

    `after` so many seconds the bar appears, so that what is done by then shows none.
    """
    if _told.get() is None:
        yield lambda _count: None
        return
    from xai_eval.media.bars import bar

    with bar(total=total, what=what, unit=unit, leave=False, after=after) as shown_bar:

        def advance(count: int) -> None:
            shown_bar.update(count)

        yield advance
