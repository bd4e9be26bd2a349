"""JSON documents that carry their own digest, so that one edited by hand or cut short is an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sign(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with the sha256 of everything else in it as its `digest`.

    Raises:
        ValueError: it holds NaN or infinity, which JSON does not know.
    """
    content = {key: value for key, value in document.items() if key != "digest"}
    return {**content, "digest": hashlib.sha256(canonical(content).encode()).hexdigest()}


def canonical(value: Any) -> str:
    """Return JSON values as the one text that equal values have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
