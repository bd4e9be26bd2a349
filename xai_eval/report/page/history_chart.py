"""The history of a case as a small chart: how far the worst measure was from its limit, acceptance by acceptance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT, _EDGE = 260.0, 64.0, 10.0
_MOST = 10.0  # multiples of the limit; what is farther is drawn there


@dataclass(frozen=True)
class Dot:
    """One point of the chart, in its units; `beyond` if it is beyond the limit, `words` for who does not see it."""

    x: float
    y: float
    beyond: bool
    words: str


@dataclass(frozen=True)
class HistoryChart:
    """A line through the known distances. Coordinates are in units of an image of `width` by `height`.

    Attributes:
        dots: the known distances, the oldest first.
        line: their places, as SVG writes them.
        limit: height of the line at which a distance is as large as is allowed.
        words: what the chart shows, for a screen reader.
    """

    dots: tuple[Dot, ...]
    line: str
    limit: float
    words: str
    width: float = _WIDTH
    height: float = _HEIGHT


def history_chart(excesses: Sequence[float | None], states: Sequence[str]) -> HistoryChart | None:
    """Draw how far a case was from its limit over time; 1 is at the limit. None if fewer than two are known."""
    known = [(place, each) for place, each in enumerate(excesses) if each is not None]
    if len(known) < 2:
        return None
    top = max(2.0, *(min(each, _MOST) for _, each in known))
    step = (_WIDTH - 2 * _EDGE) / max(1, len(excesses) - 1)
    dots = tuple(
        Dot(round(_EDGE + place * step, 1), _height(each, top), each > 1.0, f"{states[place]}: {_times(each)}")
        for place, each in known
    )
    line = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    words = "Distance from the limit over time, the oldest first. " + "; ".join(dot.words for dot in dots)
    return HistoryChart(dots, line, _height(1.0, top), f"{words}.")


def _height(excess: float, top: float) -> float:
    return round(_HEIGHT - _EDGE - min(max(excess, 0.0), top) / top * (_HEIGHT - 2 * _EDGE), 1)


def _times(excess: float) -> str:
    if math.isinf(excess):
        return "nothing may differ there"
    return "within every limit" if excess == 0.0 else f"{excess:.2g} times the largest distance that is allowed"
