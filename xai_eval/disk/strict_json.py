"""The one reader of JSON: it refuses what two readers may understand in two ways, and what JSON does not have."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from xai_eval.disk.bounds import MOST_JSON_BYTES, MOST_JSON_MARKS, require_size, whole
from xai_eval.disk.typed import spelled

_Value = TypeVar("_Value")
_MARKS = ",:[{"
_CONFLICT = (
    "it holds the marks of a merge conflict: take the whole folder of the case from one branch, with git checkout "
    "--ours or --theirs, and check again"
)


def parse_json(content: str | bytes) -> Any:
    """Return the value that a JSON text holds.

    A name that occurs twice in an object is refused, because a person reads the first and a program takes the last.

    Raises:
        ValueError: it is truncated, not JSON, too large, nested too deeply, names an entry of an object twice (also if
            the two differ only in how Unicode writes the same letters), or contains NaN or infinity, which JSON does
            not have, or a whole number of too many digits.
    """
    text = _text_of(content)
    # Names that a person may take for one, but Python does not, have letters beyond ASCII.
    decoder = _OF_ASCII if text.isascii() and "\\u" not in text else _OF_ANY_LETTERS
    try:
        return decoder.decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        if any(row.startswith("<<<<<<< ") for row in text.splitlines()):
            raise ValueError(_CONFLICT) from error
        raise


def _text_of(content: str | bytes) -> str:
    """Return the text of a document that is small enough to be read."""
    require_size(len(content), MOST_JSON_BYTES)
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content))
    if len(text) > MOST_JSON_MARKS and sum(map(text.count, _MARKS)) > MOST_JSON_MARKS:
        raise ValueError(f"it holds more than {MOST_JSON_MARKS:,} values, which is more than any such file needs")
    return text


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that are the same, or differ only in upper and lower case or in Unicode's spelling.

    People take them for one name, and some file systems do, too. None if all differ.
    """
    given = list(names)
    spellings = [folded(name) for name in given]
    again = first_twice(spellings) if len(set(spellings)) < len(given) else None
    if again is None:
        return None
    first = spellings.index(again)
    return given[first], given[spellings.index(again, first + 1)]


def folded(name: str) -> str:
    """Return the same text for all names that `alike` takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def first_twice(values: Iterable[_Value]) -> _Value | None:
    """Return the first value that occurs a second time; None if all differ."""
    seen: set[_Value] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def require_distinct(what: str, names: Iterable[str]) -> None:
    """Raise ValueError if two names, of what `what` says in the plural, are alike as `alike` says."""
    pair = alike(names)
    if pair is not None:
        raise ValueError(f"two {what} have one name: {spelled(pair[0])} and {spelled(pair[1])}")


def _ascii_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _object(pairs)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # Classes may differ only in upper and lower case (ImageNet has a Cardigan and a cardigan), so case counts here.
    if len(found) < len(pairs) or (
        not "".join(found).isascii() and len({unicodedata.normalize("NFC", name) for name in found}) < len(found)
    ):
        names = [unicodedata.normalize("NFC", name) for name, _ in pairs]
        raise ValueError(f"an object names {spelled(first_twice(names))} twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


# Made once, because a run reads thousands of documents.
_OF_ASCII, _OF_ANY_LETTERS = (
    json.JSONDecoder(parse_constant=_refuse_constant, parse_int=whole, object_pairs_hook=each)
    for each in (_ascii_object, _object)
)
