"""HTML: text on the page is escaped, and what nobody would see of it is shown."""

from __future__ import annotations

from markupsafe import Markup, escape

from xai_eval.media.characters import shortened, visible

# Characters of one text. A page repeats it in lists, tables and descriptions of images.
_LONGEST = 2_000


def text(value: object) -> Markup:
    """Return a value as text of a page, escaped; markup, which this package made, stays as it is.

    Every `{{ ... }}` of a template passes here.
    """
    return value if isinstance(value, Markup) else escape(visible(shortened(str(value), _LONGEST)))
