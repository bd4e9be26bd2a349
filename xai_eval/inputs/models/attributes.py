"""Ask a module of a user for an attribute that it may not have."""

from __future__ import annotations

from typing import Any


def attribute(owner: object, name: str) -> Any:
    """Return an attribute; None if there is none, or if the owner raises any other error when it is asked for it."""
    try:
        return getattr(owner, name, None)
    except Exception:
        return None
