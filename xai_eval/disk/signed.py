"""JSON documents that contain their own digest, so that one that was edited by hand or truncated is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sign(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with a `digest`: the sha256 of all its other entries.

    Raises:
        ValueError: it contains NaN or infinity, which JSON does not have.
    """
    content = {key: value for key, value in document.items() if key != "digest"}
    return {**content, "digest": hashlib.sha256(canonical(content).encode()).hexdigest()}


def canonical(value: Any) -> str:
    """Return JSON values as canonical text: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
