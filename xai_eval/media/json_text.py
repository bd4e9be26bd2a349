"""JSON, for files and for standard output: the same values whoever reads it, and nothing that a log would obey."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from xai_eval.media.characters import visible

# Besides these, JSON has only single spaces, quotes, brackets, commas and numbers outside of its strings. Inside, any
# character may be written by its number.
_OBEYED = re.compile(r"##|::|section_(?=start:|end:)|travis_(?=fold:|time:)|</", re.IGNORECASE)


def json_text(document: Any, *, ascii_only: bool = True) -> str:
    """Return JSON that no CI service, browser or terminal takes for anything else.

    Args:
        document: JSON values.
        ascii_only: whether all characters that are not ASCII are written by their numbers; else only those that nobody
            sees.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return _harmless(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=ascii_only))


def json_parts(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the same text as `json_text` of an object, part by part: values that are iterators become lists."""
    yield "{"
    for place, (name, value) in enumerate(document.items()):
        yield f"{',' if place else ''}\n {json_text(name)}: "
        yield from _items(value) if isinstance(value, Iterator) else [json_text(value).replace("\n", "\n ")]
    yield "\n}" if document else "}"


def _items(values: Iterator[Any]) -> Iterator[str]:
    last = "[]"
    for place, value in enumerate(values):
        text = json_text(value).replace("\n", "\n  ")
        yield f"{',' if place else '['}\n  {text}"
        last = "\n ]"
    yield last


def compact_json(document: Any) -> str:
    """Return the same in one line, without spaces. Raises ValueError as `json_text`."""
    return _harmless(json.dumps(document, separators=(",", ":"), allow_nan=False))


def _harmless(text: str) -> str:
    seen = visible(text, lambda character: json.dumps(character)[1:-1])
    return _OBEYED.sub(lambda found: f"{found[0][:-1]}\\u{ord(found[0][-1]):04x}", seen)
