"""Images of a field that drifted: expected (the golden), obtained, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.panels import Panel, map_panel, measures
from xai_eval.report.drawing.pixels import Pixels, boundaries, diverging, grey, outline, signed
from xai_eval.result.fields import Heatmap, Mask, Segments, SignedMap
from xai_eval.result.fields.heatmap import block_means
from xai_eval.result.fields.segments import moved_pixels
from xai_eval.result.naming import title

_Map = Heatmap | SignedMap
# The value of the deepest colour of a difference, as a share of the range of the map: the same on the whole page, so
# that two differences can be compared by eye. Noise stays pale; what is larger has the deepest colour, too.
SCALE = 0.5
_MASK_LEGEND = "Red: in the obtained mask only. Blue: in the expected mask only."
_HOTTER = "red places are hotter now, blue places are colder now"
_SPEAKS = "red places speak more for the class now, or less against it; blue places more against it, or less for it"
_SEGMENTS_LEGEND = "Red: pixels that are in another superpixel than expected."


@dataclass(frozen=True)
class Comparison:
    """The images of one field that drifted.

    Attributes:
        limit: value from which on a difference of maps is drawn in the deepest red; None for anything else.
        meaning: what the colours of a difference of maps mean, as a part of a sentence.
        legend: what the colours of any other difference mean.
    """

    field: str
    title: str
    expected: Panel
    obtained: Panel
    difference: Panel
    limit: float | None = None
    meaning: str = ""
    legend: str = ""

    @property
    def wipes(self) -> bool:
        """Whether the two images have the same size, so that the page can lay one over the other."""
        was, now = self.expected.pixels, self.obtained.pixels
        return was is not None and now is not None and was.shape == now.shape


def comparison(case: ReportCase, name: str) -> Comparison:
    """Draw one field of `case.changed_fields`, expected and obtained."""
    now, was = case.changed_fields[name]
    if isinstance(now, Heatmap) and isinstance(was, Heatmap):
        return _maps(case, name, now, was)
    if isinstance(now, SignedMap) and isinstance(was, SignedMap):
        return _maps(case, name, now, was)
    if isinstance(now, Mask) and isinstance(was, Mask):
        return _masks(case, name, now, was)
    if isinstance(now, Segments) and isinstance(was, Segments):
        return _superpixels(case, name, now, was)
    raise TypeError(f"{name} is a {now.kind} and was a {was.kind}: there is no image of that")


def _maps(case: ReportCase, name: str, now: _Map, was: _Map) -> Comparison:
    shown = title(name)
    difference, limit = _map_difference(now, was, shown)
    expected = map_panel(case, was, "expected", f"{shown}, expected", measures(case.expected_row_of(name)))
    obtained = map_panel(case, now, "obtained", f"{shown}, obtained", measures(case.row_of(name)))
    meaning = _SPEAKS if isinstance(now, SignedMap) else _HOTTER
    return Comparison(name, shown, expected, obtained, difference, limit, meaning)


def _masks(case: ReportCase, name: str, now: Mask, was: Mask) -> Comparison:
    shown = title(name)

    def panel(word: str, mask: Mask) -> Panel:
        about = f"{shown}, {word}: {mask.array.mean():.0%} of the image"
        return Panel(word, about, outline(_below(case, mask.array), mask.array))

    same = now.array.shape == was.array.shape
    difference = _marked(case, shown, now.array.astype(float) - was.array if same else None)
    legend = _MASK_LEGEND if same else ""
    return Comparison(name, shown, panel("expected", was), panel("obtained", now), difference, legend=legend)


def _superpixels(case: ReportCase, name: str, now: Segments, was: Segments) -> Comparison:
    shown = title(name)

    def panel(word: str, each: Segments) -> Panel:
        numbers = (("superpixels", str(each.count)),)
        about = f"{shown}, {word}: {each.count} of them"
        return Panel(word, about, boundaries(_below(case, each.array), each.array), numbers=numbers)

    same = now.array.shape == was.array.shape
    difference = _marked(case, shown, moved_pixels(now.array, was.array).astype(float) if same else None)
    legend = _SEGMENTS_LEGEND if same else ""
    return Comparison(name, shown, panel("expected", was), panel("obtained", now), difference, legend=legend)


def _below(case: ReportCase, array: NDArray[np.generic]) -> Pixels:
    """The image if `array` lies over it, else middle grey."""
    if case.view is not None and case.view.array.shape[:2] == array.shape:
        return case.view.array
    return grey(array.shape)


def _marked(case: ReportCase, shown: str, change: NDArray[np.floating] | None) -> Panel:
    if change is None:
        word = "no difference: the shapes differ"
        return Panel("difference", f"{shown}: {word}", word=word)
    share = f"{float((change != 0.0).mean()):.2%} of the pixels"
    pixels = signed(_below(case, change), change, 1.0)
    return Panel("difference", f"{shown}: {share} differ", pixels, numbers=(("differ", share),))


def _map_difference(now: _Map, was: _Map, shown: str) -> tuple[Panel, float | None]:
    broken = now.degenerate or was.degenerate
    if broken or now.shape != was.shape:
        word = f"no difference: a map is {broken}" if broken else "no difference: the shapes differ"
        return Panel("difference", f"{shown}: {word}", word=word), None
    # The two are drawn on the grid on which the gate compared them.
    first, second = _numbers(now), _numbers(was)
    shape = (min(first.shape[0], second.shape[0]), min(first.shape[1], second.shape[1]))
    means = block_means(first, shape), block_means(second, shape)
    change = means[0] - means[1]
    largest = float(np.abs(change).max())
    limit = SCALE * (_range(now, *means) or 1.0)  # two maps whose parts cancel out everywhere are equal
    alt = f"{shown}, obtained minus expected, at most {largest:.2g} either way"
    numbers = (("largest", f"{largest:.2g}"),)
    return Panel("difference", alt, diverging(change, limit), numbers=numbers, coarse=True), limit


def _numbers(saliency: _Map) -> NDArray[np.floating[Any]]:
    return saliency.net if isinstance(saliency, SignedMap) else saliency.array


def _range(saliency: _Map, *drawn: NDArray[np.float64]) -> float:
    """Return the largest absolute value that is drawn; 1 for heatmaps that end there."""
    if isinstance(saliency, Heatmap) and saliency.own_range is None:
        return 1.0
    return max(float(np.abs(each).max()) for each in drawn)
