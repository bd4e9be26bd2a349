"""JSON documents that contain their own digest, so that one that was edited by hand or truncated is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from xai_eval.disk.typed import shown


def sign(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with a `digest`: the sha256 of all its other entries.

    Raises:
        ValueError: it contains NaN or infinity, which JSON does not have, or is nested too deeply.
    """
    return {**document, "digest": hashlib.sha256(canonical_content(document)).hexdigest()}


def canonical_content(document: Mapping[str, Any]) -> bytes:
    """Return all entries of a document but its digest as canonical text. Raises ValueError as `sign`."""
    return canonical({key: value for key, value in document.items() if key != "digest"}).encode()


# Made once: every result is written so several times when it is read.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """Return JSON values as canonical text: equal values give equal text."""
    try:
        return _CANONICAL.encode(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def signed_object(document: Any) -> dict[str, Any]:
    """Return a document that was read, if it is an object that contains its own digest.

    Raises:
        ValueError: it is something else, or its digest is not that of its content.
    """
    if not isinstance(document, dict):
        raise ValueError(f"it is {shown(document)}; expected an object")
    if document != sign(document):
        raise ValueError("it was edited by hand: its content does not match its digest")
    return document
