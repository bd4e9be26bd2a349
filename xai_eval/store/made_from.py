"""What a result in the folder of a run was made from, so that a later run can tell whether it would be the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from xai_eval.disk.files import read_json
from xai_eval.errors import StorageError
from xai_eval.result.result import stored_digest

MADE_FROM_FILE = "made_from.json"
SCHEMA = 1
# Digests and texts by name: the weights, the image, each library, ...
Contents = Mapping[str, str]


def made_from_bytes(digest: str, contents: Contents) -> bytes:
    """Return the content of the file: what the result with this digest was made from."""
    document = {"schema": SCHEMA, "result": digest, "contents": dict(contents)}
    return f"{json.dumps(document, indent=0, sort_keys=True)}\n".encode()


def read_made_from(place: Path) -> Contents | None:
    """Return what the result in a folder was made from; None if that is not known or the result cannot be read."""
    try:
        document = read_json(place / MADE_FROM_FILE)
        if document["schema"] != SCHEMA or document["result"] != stored_digest(place):
            return None
        return {str(name): str(text) for name, text in document["contents"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StorageError):
        return None


def changed_contents(before: Contents, now: Contents) -> list[str]:
    """Return what differs, in words: with both values if they are short, as those of libraries are."""
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return [_change(name, before.get(name, "none"), now.get(name, "none")) for name in names]


def _change(name: str, before: str, now: str) -> str:
    return f"{name} ({before} -> {now})" if max(len(before), len(now)) <= 20 else name
