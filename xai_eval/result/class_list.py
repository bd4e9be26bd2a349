"""The classes of a model as a result records them: a digest, and a few bits of each, by which another one is known."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xai_eval.disk.typed import wrong

CLASS_LIST = "class list"  # name of the parameter in the provenance
_BYTES = 2  # a change of one class stays unnoticed in its own bits in one of 65,536 cases; never in the digest
_NAMED = 5  # positions that a sentence spells out


@dataclass(frozen=True)
class ClassList:
    """A class list as it is stored; only its types are checked with it.

    Attributes:
        count: how many classes there are.
        digest: of their names and ids.
        each: two bytes of each name, in base64.
    """

    count: int
    digest: str
    each: str

    def __post_init__(self) -> None:
        try:
            found = len(base64.b64decode(self.each, validate=True)) // _BYTES
        except ValueError:
            found = -1
        if found != self.count:
            raise wrong(self.each, f"{_BYTES} bytes in base64 for each of {self.count} classes").below("each")


def class_list(names: Sequence[str], ids: Sequence[str] | None) -> dict[str, Any]:
    """Return what is recorded of names and ids of C classes, in order, as JSON values."""
    return dict(_recorded(tuple(names), None if ids is None else tuple(ids)))


@functools.lru_cache(maxsize=8)  # all results of a model have the same
def _recorded(names: Sequence[str], ids: Sequence[str] | None) -> Mapping[str, Any]:
    every = [json.dumps([name, None if ids is None else ids[at]]).encode() for at, name in enumerate(names)]
    digest = hashlib.sha256(b"\n".join(every)).hexdigest()[:16]
    # Of each class only its name, so that names which moved against their ids are known; the digest is of both.
    return {"count": len(every), "digest": digest, "each": _bits([json.dumps([name, None]).encode() for name in names])}


def _bits(every: Sequence[bytes]) -> str:
    return base64.b64encode(b"".join(hashlib.sha256(one).digest()[:_BYTES] for one in every)).decode()


def described(found: Mapping[str, Any], other: Mapping[str, Any] | None = None) -> str:
    """Return a class list in words, such as `1000 classes (1f2e3d4c)`, and where it differs from `other`, if given."""
    text = f"{found['count']} classes ({str(found['digest'])[:8]})"
    places = [] if other is None or other["count"] != found["count"] else _others(found, other)
    if not places:
        return text
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f"{text}, another class at index {', '.join(map(str, places[:_NAMED]))}{more}"


def listed_alike(found: Mapping[str, Any], other: Mapping[str, Any], place: int) -> bool:
    """Whether two lists are recorded to have the same class at a place, counted from 0."""
    return found["count"] == other["count"] and place not in _others(found, other)


def same_names(found: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two lists are recorded to have the same names in the same order; ids may differ."""
    return found["count"] == other["count"] and not _others(found, other)


def moved_classes(found: Mapping[str, Any], other: Mapping[str, Any]) -> list[int]:
    """Return the places, counted from 0, that now have a class which had another of these places in `other`.

    So classes that changed places are known, and those that only got another name are not among them.
    """
    if found["count"] != other["count"]:
        return []
    now, was = (_pieces(each) for each in (found, other))
    changed = [at for at in range(min(len(now), len(was))) if now[at] != was[at]]
    before = {was[at] for at in changed}
    return [at for at in changed if now[at] in before]


def _pieces(found: Mapping[str, Any]) -> list[bytes]:
    each = base64.b64decode(str(found["each"]))
    return [each[at : at + _BYTES] for at in range(0, len(each), _BYTES)]


def _others(found: Mapping[str, Any], other: Mapping[str, Any]) -> list[int]:
    now, was = (_pieces(each) for each in (found, other))
    return [at for at in range(min(len(now), len(was))) if now[at] != was[at]]
