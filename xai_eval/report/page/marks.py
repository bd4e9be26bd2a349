"""Markup within text: terms with their explanation, and arrows that no line may break."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from xai_eval.result.glossary import Term, term

# Terms that sentences and boxes hold; columns and names are looked up whole.
_IN_SENTENCES = re.compile(
    r"distance that the heat moved|overlap of the hottest (?=\d+ ?%)|rank correlation|largest difference|"
    r"\brelative(?= \d)|IoU at equal area|energy inside|pointing exact|pointing hit"
)
_ARROW = escape("->")


def explained(words: str) -> Markup:
    """Mark a name that is a term with its explanation; any other stays as it is, escaped."""
    found = term(words)
    if found is None:
        return escape(words)
    # The arrow that says which way is better is drawn by the style, so that it is no part of the text.
    return _marked(words, found, f" {found.better.name.lower()}" if found.better else "")


def with_terms(sentence: str) -> Markup:
    """Mark the terms within a sentence, and keep a browser from breaking a line between an arrow's `-` and `>`."""
    text = str(escape(sentence)).replace(_ARROW, f'<span class="whole">{_ARROW}</span>')
    return Markup(_IN_SENTENCES.sub(_found, text))


def _found(found: re.Match[str]) -> str:
    known = term(found[0])
    return found[0] if known is None else _marked(found[0], known)


def _marked(words: str, known: Term, better: str = "") -> Markup:
    return Markup('<abbr class="term{}" title="{}">{}</abbr>').format(better, known.explanation, words)
