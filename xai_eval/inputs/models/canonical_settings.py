"""Writes the settings of a module in one form, whatever form they were given in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Settings with one number per axis, for which one number stands for all axes.
_PER_AXIS = ("kernel_size", "stride", "padding", "dilation", "output_size", "size", "scale_factor")


def canonical_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings such that two modules of one class compute the same if theirs are equal.

    `3` and `(3, 3)`, `1` and `1.0`, and the names `valid` and `same` of a padding and its numbers are one setting. How
    pixels beyond the edge are made up does not count where there is no padding.

    Args:
        settings: attributes by torch's own names: numbers, texts, and tuples of them.
    """
    found = {name: _number(value) for name, value in settings.items()}
    for name in set(_PER_AXIS) & set(found):
        found[name] = _one_for_all(found[name])
    if isinstance(found.get("padding"), str):
        found["padding"] = _one_for_all(_padding(found))
    if found.get("padding") == 0 and "padding_mode" in found:
        del found["padding_mode"]
    if found.get("align_corners") == 0:
        del found["align_corners"]  # torch does the same for None, which is the usual value
    return found


def _number(value: Any) -> Any:
    """Write whole numbers and truths as int, other numbers as float (NumPy's are), and lists as tuples."""
    if isinstance(value, list | tuple):
        return tuple(map(_number, value))
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return float(value) if isinstance(value, float) else value


def _one_for_all(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value and len(set(value)) == 1 else value


def _padding(settings: Mapping[str, Any]) -> Any:
    """Return the numbers that the name of a padding stands for, if the same number of pixels is added on both sides."""
    if settings["padding"] == "valid":
        return 0
    sizes, gaps = settings["kernel_size"], settings.get("dilation", 1)
    if not isinstance(sizes, tuple) and not isinstance(gaps, tuple):
        return _half(sizes, gaps) if _halves(sizes, gaps) else settings["padding"]
    count = len(sizes if isinstance(sizes, tuple) else gaps)
    pairs = list(zip(_of_axes(sizes, count), _of_axes(gaps, count), strict=True))
    return tuple(_half(*each) for each in pairs) if all(_halves(*each) for each in pairs) else settings["padding"]


def _of_axes(value: Any, count: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def _halves(size: int, gap: int) -> bool:
    return gap * (size - 1) % 2 == 0


def _half(size: int, gap: int) -> int:
    return gap * (size - 1) // 2
