"""Text in figures that matplotlib draws: no formula, no end of a line, and not longer than there is room."""

from __future__ import annotations

from xai_eval.media.characters import shortened, visible

_LABEL = 80


def label(text: str, longest: int = _LABEL) -> str:
    """Return text for an axis or a legend, in which dollar signs would begin a formula.

    A legend leaves out what begins with an underscore; before a space it does not.
    """
    shown = plain(text, longest).replace("\\$", "\\ $").replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def plain(text: str, longest: int = _LABEL) -> str:
    """Return text for places where matplotlib was told not to look for formulas."""
    return " ".join(visible(shortened(text, longest)).split())
