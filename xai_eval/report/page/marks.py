"""Markup within text: terms get their explanation as a tooltip, and arrows are kept on one line."""

from __future__ import annotations

import re

from markupsafe import Markup

from xai_eval.media import html
from xai_eval.result.glossary import Term, term

# Terms that occur within sentences. Names of columns and fields are looked up as a whole instead.
_IN_SENTENCES = re.compile(
    r"distance that the heat moved|overlap of the hottest (?=\d+ ?%)|rank correlation|largest difference|"
    r"IoU at equal area|energy inside|hottest pixel on the object|pointing hit"
)
_ARROW = html.text("->")
# A browser would break a line behind the minus.
_POWER = re.compile(r"\b\d+(?:\.\d+)?e-\d+\b")
# Commands of this package as sentences name them; their letters need no escape.
_COMMAND = re.compile(r"`(xai-eval [a-z -]+)`")


def explained(words: str) -> Markup:
    """Return a name with its explanation if it is a term; any other name is only escaped."""
    found = term(words)
    if found is None:
        return html.text(words)
    # The style sheet draws the arrow for 'higher is better', so that it is not copied with the text.
    return _marked(words, found, f" {found.better.name.lower()}" if found.better else "")


def titled(words: str, meaning: str) -> Markup:
    """Return words with their meaning as a tooltip; without a meaning they are only escaped."""
    if not meaning:
        return html.text(words)
    return Markup('<abbr class="term" title="{}.">{}</abbr>').format(meaning, html.text(words))


def with_terms(sentence: str) -> Markup:
    """Mark the terms and commands within a sentence, and keep a browser from breaking a line within `->` or `5e-5`."""
    text = str(html.text(sentence)).replace(_ARROW, f'<span class="whole">{_ARROW}</span>')
    text = _POWER.sub(r'<span class="whole">\g<0></span>', text)
    return Markup(_IN_SENTENCES.sub(_found, _COMMAND.sub(r'<code class="whole">\1</code>', text)))


def _found(found: re.Match[str]) -> str:
    known = term(found[0])
    return found[0] if known is None else _marked(found[0], known)


def _marked(words: str, known: Term, better: str = "") -> Markup:
    return Markup('<abbr class="term{}" title="{}">{}</abbr>').format(better, known.explanation, words)
