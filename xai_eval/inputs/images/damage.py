"""Ask the library of a format whether the data of an image is sound, where Pillow would not say so."""

from __future__ import annotations

from pathlib import Path

from xai_eval.inputs.images.jpeg_damage import jpeg_notes
from xai_eval.inputs.images.opened import Opened
from xai_eval.inputs.images.tiff_damage import tiff_notes

_SOUND: dict[str, tuple[str, ...]] = {}
_MOST_KEPT = 100_000


def damage_notes(path: Path, opened: Opened) -> tuple[str, ...]:
    """Return what the library says of an image whose pixels may be wrong. The same file is tried once.

    Raises:
        InputUnavailable: its data is damaged.
    """
    if opened.sha256 not in _SOUND:
        notes = _tried(path, opened)
        if len(_SOUND) >= _MOST_KEPT:
            _SOUND.clear()
        _SOUND[opened.sha256] = notes
    return _SOUND[opened.sha256]


def _tried(path: Path, opened: Opened) -> tuple[str, ...]:
    if opened.format == "JPEG":
        return jpeg_notes(path, opened.essence.data)
    return tiff_notes(path, opened.essence) if opened.format == "TIFF" else ()
