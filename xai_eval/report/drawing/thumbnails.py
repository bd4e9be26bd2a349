"""Small images of what drifted in a case: expected, obtained, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import Image

from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.comparisons import comparison
from xai_eval.report.drawing.panels import Panel
from xai_eval.report.drawing.pixels import Pixels, webp_uri

_SIDE = 96  # pixels of the longer side; sharp at half of this size on screens with two pixels per point


@dataclass(frozen=True)
class Thumbnail:
    """One small image as a data URI, with its size in pixels and what it shows."""

    word: str
    alt: str
    uri: Markup
    width: int
    height: int


def thumbnails(case: ReportCase) -> tuple[Thumbnail, ...]:
    """Draw the worst field of a case that can be drawn; nothing if none drifted, or if a panel has no image."""
    name = next((each.field for each in case.verdict.findings if each.field in case.changed_fields), None)
    if name is None:
        return ()
    drawn = comparison(case, name)
    small = [_small(panel) for panel in (drawn.expected, drawn.obtained, drawn.difference)]
    return tuple(each for each in small if each is not None)


def _small(panel: Panel) -> Thumbnail | None:
    if panel.pixels is None:
        return None
    pixels = _resized(panel.pixels, smooth=not panel.coarse)
    return Thumbnail(panel.title, panel.alt, Markup(webp_uri(pixels)), pixels.shape[1], pixels.shape[0])


def _resized(pixels: Pixels, *, smooth: bool) -> Pixels:
    height, width = pixels.shape[:2]
    share = _SIDE / max(height, width)
    size = max(1, round(width * share)), max(1, round(height * share))
    how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(pixels).resize(size, how))
