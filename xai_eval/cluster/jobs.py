"""What is still to be computed, in order, and what was lost and comes again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from xai_eval.errors import InputUnavailable

# An item that was with so many workers when they ended is not tried again: it may be what ends them.
MOST_LOST = 4


@dataclass(frozen=True)
class Job:
    """An item with its number, from 0, and how often a worker was lost that had it."""

    number: int
    item: Any
    lost: int = 0


class Jobs:
    """Hands out items in order; those that were lost come first.

    Items are taken from their iterator only when a worker is free, and only so far ahead of the first one that is not
    finished as results may be kept in memory.
    """

    def __init__(self, items: Iterable[Any], ahead: int) -> None:
        self._numbered = enumerate(items)
        self._ahead = ahead
        self._lost: deque[Job] = deque()
        self._first, self._finished = 0, set[int]()
        self._given, self._ended = 0, False

    def next(self) -> Job | None:
        """Return the next job; None if there is none now."""
        if self._lost:
            return self._lost.popleft()
        if self._ended or self._given - self._first >= self._ahead:
            return None
        try:
            number, item = next(self._numbered)
        except StopIteration:
            self._ended = True
            return None
        self._given = number + 1
        return Job(number, item)

    @property
    def left(self) -> bool:
        """Whether there may be another job."""
        return bool(self._lost) or not self._ended

    def finish(self, job: Job) -> None:
        """Note that a job is done."""
        self._finished.add(job.number)
        while self._first in self._finished:
            self._finished.remove(self._first)
            self._first += 1

    def again(self, job: Job, reason: str) -> None:
        """Put a job back whose worker was lost. Raises InputUnavailable if that happened too often."""
        if job.lost + 1 >= MOST_LOST:
            raise InputUnavailable(
                f"{MOST_LOST} workers of the Ray cluster ended while they had item {job.number + 1} to compute, the "
                f"last one with: {reason}. It may need more memory than a machine has. What was finished is saved: the "
                "same command with --resume goes on."
            )
        self._lost.append(replace(job, lost=job.lost + 1))
