"""Progress bars, and messages above them, on standard error. tqdm draws them."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from xai_eval.media.terminal import message, sentence


class _Bar(tqdm):  # type: ignore[misc] # tqdm has no types
    """A bar without the thread of tqdm that redraws slow bars: a process with threads is not copied to judge cases."""

    monitor_interval = 0


def bar(items: Any = None, *, total: int, what: str, unit: str, leave: bool = True, after: float = 0.0) -> Any:
    """Return a progress bar of tqdm: over items, or one that is moved by its `update`.

    Args:
        items: what is counted while it is iterated over; None for a bar that is moved by hand.
        total: their number.
        what: name of the bar.
        unit: of what is counted.
        leave: whether the bar stays when it is full.
        after: seconds until it appears.
    """
    # Each item is looked at (`miniters`), because no thread notices that items became slower.
    named = {"desc": sentence(what), "unit": sentence(unit)}
    return _Bar(items, total=total, **named, file=sys.stderr, leave=leave, delay=after, miniters=1)


def tell_above(text: str) -> None:
    """Print a message on standard error, above the bars that are shown."""
    tqdm.write(message(text), file=sys.stderr)
