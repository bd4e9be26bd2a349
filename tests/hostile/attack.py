"""What an attack is: something that a stranger may hand in, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Attack:
    """One thing that a hostile, broken or odd file, text or process tries.

    Attributes:
        name: what is handed in, and what it would do; unique in the catalogue.
        kind: one of `KINDS` of `test_hostile`.
        expected: what must become of it, in words.
        tried: does it in an empty folder; returns nothing if it was held, else what happened.
        slow: whether it takes more than a second.
    """

    name: str
    kind: str
    expected: str
    tried: Callable[[Path], str | None]
    slow: bool = False
