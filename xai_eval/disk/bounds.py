"""How large a document may be. What this package writes is far smaller; docs/threats.md lists all limits."""

from __future__ import annotations

import os
from pathlib import Path

MOST_JSON_BYTES = 16 * 2**20
# What stands between two values: commas, colons and opening brackets. So many values take about 100 MB in memory.
MOST_JSON_MARKS = 1_000_000
# A label, a name or a sentence; the longest that this package writes has a few thousand characters.
LONGEST_TEXT = 100_000
# Lists and objects inside each other, in parts of a document that may hold anything, such as parameters.
DEEPEST = 32
# Whole numbers that 64 bits hold. JSON may hold larger ones, but none with more digits than anybody writes.
LARGEST_WHOLE = 2**63 - 1
MOST_DIGITS = 1_000


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes.

    Raises:
        ValueError: it is larger; no more than `most` bytes of it were read.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        # No more memory is asked for than the file has, except where the system does not know how much that is.
        size = min(os.fstat(file.fileno()).st_size, most)
        content = file.read(size + 1)
        if len(content) > size:
            content += file.read(most - size)
    require_size(len(content), most)
    return content


def require_size(size: int, most: int) -> None:
    """Raise ValueError if a document of `size` bytes is larger than `most` bytes."""
    if size > most:
        limit = f"{most >> 20} MiB" if most >= 2**20 else f"{most >> 10} KiB"
        raise ValueError(f"it is larger than {limit}, which is more than any such file needs")


def whole(digits: str) -> int:
    """Return the whole number that a JSON text spells. Raises ValueError if it has too many digits."""
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a whole number in it has {len(digits):,} digits; expected at most {MOST_DIGITS:,}")
    return int(digits)
