"""Tell code of known libraries from code of users, which may do what cannot be done in a copy of the process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_LIBRARIES = frozenset({"xai_eval", "torchvision", "timm", "transformers", "open_clip", "torch", "numpy", "PIL"})
_PLAIN = frozenset({"builtins", "pathlib", "collections", "enum"})
_VALUES = (str, bytes, int, float, bool, type(None))
_DEEPEST = 12


def of_known_libraries(value: object, depth: int = 0) -> bool:
    """Tell whether an object, and whatever it holds, is made of code of known libraries: types, functions, modules."""
    if type(value) in _VALUES:
        return True
    if depth > _DEEPEST:
        return False
    code = value if callable(value) and hasattr(value, "__qualname__") else type(value)
    root = str(getattr(code, "__module__", "")).partition(".")[0]
    if root not in _LIBRARIES | _PLAIN:
        return False
    return all(of_known_libraries(each, depth + 1) for each in _held(value))


def _held(value: Any) -> Iterable[object]:
    """Return what an object holds. What plain values hold is no code."""
    if isinstance(value, Mapping):
        return (*value.keys(), *value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return () if isinstance(value, type) else getattr(value, "__dict__", {}).values()
