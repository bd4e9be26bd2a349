"""Checks of values that a device may still be computing: to look at one of them means to wait for all of its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch

from xai_eval.errors import XaiEvalError


@dataclass(frozen=True, eq=False)
class _Check:
    holds: torch.Tensor
    complain: Callable[[], None]


_postponed: ContextVar[list[_Check] | None] = ContextVar("postponed_checks", default=None)


def require(holds: torch.Tensor, complain: Callable[[], None]) -> None:
    """Call `complain`, which raises, unless `holds`, a single bool, is true.

    Inside `checked_at_the_end`, what a device computes that is not a CPU is looked at when that context ends.
    """
    postponed = _postponed.get()
    if postponed is not None and holds.device.type != "cpu":
        postponed.append(_Check(holds, complain))
    elif not bool(holds):
        complain()


@contextmanager
def checked_at_the_end() -> Iterator[None]:
    """Let the checks of a loop wait for its end, so that a device is never idle between its batches.

    The first check that fails raises its error, also if the loop has ended with another error of this package.
    """
    checks: list[_Check] = []
    token = _postponed.set(checks)
    try:
        yield
    except XaiEvalError:
        _look_at(checks)
        raise
    finally:
        _postponed.reset(token)
    _look_at(checks)


def _look_at(checks: Sequence[_Check]) -> None:
    for check, holds in zip(checks, read_together([each.holds for each in checks]), strict=True):
        if not holds:
            check.complain()


def read_together(flags: Sequence[torch.Tensor]) -> list[bool]:
    """Return the values of single bools, in order. Each device among theirs is waited for once."""
    by_device: dict[torch.device, list[int]] = {}
    for place, flag in enumerate(flags):
        by_device.setdefault(flag.device, []).append(place)
    found = [False] * len(flags)
    for places in by_device.values():
        for place, value in zip(places, torch.stack([flags[each] for each in places]).tolist(), strict=True):
            found[place] = value
    return found
