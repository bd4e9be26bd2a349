"""Progress bars, and messages above them, on standard error. tqdm draws them."""

from __future__ import annotations

import sys
from typing import Any

from xai_eval.media.terminal import message, sentence


def bar(items: Any = None, *, total: int, what: str, unit: str, leave: bool = True) -> Any:
    """Return a progress bar of tqdm: over items, or one that is moved by its `update`.

    Args:
        items: what is counted while it is iterated over; None for a bar that is moved by hand.
        total: their number.
        what: name of the bar.
        unit: of what is counted.
        leave: whether the bar stays when it is full.
    """
    from tqdm import tqdm

    return tqdm(items, total=total, desc=sentence(what), unit=sentence(unit), file=sys.stderr, leave=leave)


def tell_above(text: str) -> None:
    """Print a message on standard error, above the bars that are shown."""
    from tqdm import tqdm

    tqdm.write(message(text), file=sys.stderr)
