"""Measure two ways of computing the same, in turns, until the time for it is spent.

Times depend on the machine and on what else it does. So both ways run in turns, and what is kept is the ratio of the
two in each turn, and the median of these ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from xai_eval.errors import XaiEvalError

# More turns do not make the median better.
_MOST_TURNS = 9


@dataclass(frozen=True)
class OwnTime:
    """An answer with the seconds it took, from a way that measures itself (in another process, without its start).

    Attributes:
        answer: what was computed.
        seconds: what it took.
    """

    answer: Any
    seconds: float


@dataclass(frozen=True, eq=False)
class Contest:
    """Two ways of computing the same.

    Attributes:
        stock: the plain library, or the plain loop.
        ours: the same by this package.
        difference: takes both answers, and returns by how much they differ at most.
        tolerance: the largest difference that counts as equal.
        limit: work that neither can do without, such as the forward passes of the model; None if it is not measured.
        warm_up: does a little of the work of both ways, before any time is taken, so that neither pays for what is done
            once per process (imports, kernels, memory).
        scale: times as much work in `ours` as in `stock`; the time of `stock` is multiplied by it.
        remark: says something more about the answer of ours.
    """

    stock: Callable[[], Any]
    ours: Callable[[], Any]
    difference: Callable[[Any, Any], float]
    tolerance: float
    limit: Callable[[], Any] | None = None
    warm_up: Callable[[], Any] = lambda: None
    scale: float = 1.0
    remark: Callable[[Any], str] = lambda _answer: ""


@dataclass(frozen=True)
class Turn:
    """Seconds of one turn; `limit` is None if it is not measured."""

    stock: float
    ours: float
    limit: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a contest gave.

    Attributes:
        turns: the turns that were measured.
        difference: by how much the answers differ at most; None if stock did not end in time.
        tolerance: the largest difference that counts as equal.
        remarks: what has to be known about the figures, one sentence each.
    """

    turns: tuple[Turn, ...]
    difference: float | None
    tolerance: float
    remarks: tuple[str, ...] = ()

    @property
    def ratios(self) -> tuple[float, ...]:
        """Seconds of stock per second of ours, turn by turn."""
        return tuple(turn.stock / turn.ours for turn in self.turns)

    @property
    def ratio(self) -> float:
        """The median of the ratios: above 1, ours is faster."""
        return median(self.ratios)

    @property
    def share(self) -> float | None:
        """The median share of our time that is the unavoidable work, at most about 1; None if it is not measured."""
        shares = [turn.limit / turn.ours for turn in self.turns if turn.limit is not None]
        return median(shares) if shares else None

    @property
    def equal(self) -> bool:
        """Whether the answers are equal. Those that were not compared count as equal; a remark says so."""
        return self.difference is None or self.difference <= self.tolerance


class _OutOfTimeError(XaiEvalError):
    """A way called its model after the end of its time. It is no error of the model, of which CLIP's would be told."""


def measure(contest: Contest, device: torch.device, budget: float) -> Outcome:
    """Run both ways once to compare their answers, and then in turns, after a little of both to warm up.

    Args:
        contest: the two ways.
        device: where they compute; its work is waited for before the clock stops.
        budget: seconds for all of it. A turn that has begun is ended; a stock way that runs longer than that is cut
            off at its next call of a model, and its time is then a lower bound.
    """
    clock = _Clock(device)
    end = time.perf_counter() + budget
    clock.timed(contest.warm_up)
    answer, ours = clock.timed(contest.ours)
    said = tuple(filter(None, [contest.remark(answer)]))
    begun = time.perf_counter()
    try:
        with _cut_off_at(max(end, begun + ours)):
            stock_answer, stock = clock.timed(contest.stock)
    except _OutOfTimeError:
        spent = time.perf_counter() - begun
        cut = f"stock was cut off after {spent:.0f} s: the ratio is a lower bound, and the answers were not compared"
        return Outcome((Turn(spent * contest.scale, ours),), None, contest.tolerance, (*said, cut))
    difference = contest.difference(stock_answer, answer)
    del answer, stock_answer
    turns = tuple(_turns(contest, clock, end, longest=stock + ours))
    if not turns:
        limit = None if contest.limit is None else clock.timed(contest.limit)[1]
        turns = (Turn(stock * contest.scale, ours, limit),)
        said = (*said, "the time was spent after the first run of each, so this one is the figure")
    return Outcome(turns, difference, contest.tolerance, said)


def _turns(contest: Contest, clock: _Clock, end: float, longest: float) -> Iterator[Turn]:
    """Measure turns while there is time for another one as long as the longest; each begins with the other way."""
    for index in range(_MOST_TURNS):
        start = time.perf_counter()
        if start + longest > end:
            return
        ways = {"stock": contest.stock, "ours": contest.ours}
        if contest.limit is not None:
            ways["limit"] = contest.limit
        order = list(ways.items())[:: 1 if index % 2 else -1]
        seconds = {name: clock.timed(way)[1] for name, way in order}
        yield Turn(seconds["stock"] * contest.scale, seconds["ours"], seconds.get("limit"))
        longest = max(longest, time.perf_counter() - start)


@dataclass(frozen=True)
class _Clock:
    """Times a call, and waits for what it left to do on the device."""

    device: torch.device

    def timed(self, way: Callable[[], Any]) -> tuple[Any, float]:
        self._wait()
        start = time.perf_counter()
        answer = way()
        self._wait()
        seconds = time.perf_counter() - start
        return (answer.answer, answer.seconds) if isinstance(answer, OwnTime) else (answer, seconds)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@contextmanager
def _cut_off_at(end: float) -> Iterator[None]:
    """End the context with an error at the first call of a module after `end`."""

    def look(_module: object, _given: object) -> None:
        if time.perf_counter() > end:
            raise _OutOfTimeError()

    handle = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()
