"""Ask libjpeg whether the data of a JPEG is sound.

When compressed data is damaged, libjpeg goes on with wrong or grey blocks and only warns. Pillow drops these warnings.
OpenCV, which comes with grad-cam, lets libjpeg write them to standard error, from where they are read here. The image
is decoded at an eighth of its size for that, which reads all of its data and takes little memory.

What libjpeg decodes without a doubt cannot be told from an image. Of random damage to the data of photographs that
changed more than 20 rows, a third was of this kind (such as a wrong brightness from one block on); the rest was told.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

from xai_eval.errors import InputUnavailable

_SOUND: dict[str, tuple[str, ...]] = {}
_MOST_KEPT = 100_000
_ALONE = threading.Lock()
# The sentences of libjpeg's jerror.h that are warnings, as a line begins with them.
_WARNING = re.compile(
    rb"^(?:Corrupt JPEG data|Premature end of JPEG file|Inconsistent progression sequence|Invalid SOS parameters"
    rb"|Warning: unknown JFIF revision|Unknown Adobe color transform)[^\n]*\n?",
    re.MULTILINE,
)
# What careless programs write; the data itself may be sound.
_PERHAPS_SOUND = re.compile(r"Invalid SOS|Inconsistent progression|unknown JFIF|Unknown Adobe")
# 16 x 16 grey pixels, whose data ends too early.
_DAMAGED = base64.b64decode(
    "/9j/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/wAAL"
    "CAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAgP/xAAkEAACAgEDAgcAAAAAAAAAAAABAgMRIQASMSJBEyNRYYGRwf/aAAgB"
    "AQAAPwBI0jb40hC0SynPmDAzng5J7YGcHUlMRihIjKsqKwb/2Q=="
)


def damage_notes(path: Path, data: bytes, digest: str) -> tuple[str, ...]:
    """Return what libjpeg says of a JPEG whose pixels may be wrong.

    Args:
        path: the file, for errors.
        data: the JPEG.
        digest: of the file; the same file is tried once.

    Raises:
        InputUnavailable: its data is damaged.
    """
    if digest not in _SOUND:
        notes = _tried(path, data)
        if len(_SOUND) >= _MOST_KEPT:
            _SOUND.clear()
        _SOUND[digest] = notes
    return _SOUND[digest]


def _tried(path: Path, data: bytes) -> tuple[str, ...]:
    if not _libjpeg_speaks():
        return ("not checked for damage inside its data, because OpenCV here passes no warnings of libjpeg on",)
    warning = _warning(data)
    if warning is None:
        return ()
    if _PERHAPS_SOUND.search(warning):
        return (f"libjpeg warns ({warning}): if the file was damaged, a part of the image is wrong",)
    raise InputUnavailable(
        f"{path} is truncated or damaged: a part of the image may be wrong (libjpeg: {warning}). Get the file "
        "again, or save it again if it looks right."
    )


@cache
def _libjpeg_speaks() -> bool:
    """Tell whether the warnings of libjpeg arrive here, by a damaged image."""
    try:
        return _warning(_DAMAGED) is not None
    except ImportError:
        return False


def _warning(data: bytes) -> str | None:
    import cv2
    import numpy as np

    def decode() -> None:
        try:
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        except cv2.error:  # a kind that OpenCV does not read; Pillow says what is wrong, if anything is
            return

    found = _WARNING.search(_said(decode))
    return None if found is None else found[0].decode("ascii", "replace").strip()


def _said(action: Callable[[], None]) -> bytes:
    """Return what a library writes to standard error meanwhile. Lines of anybody else are written after it."""
    with _ALONE, tempfile.TemporaryFile() as caught:
        try:
            before = os.dup(2)
        except OSError:  # there is no standard error
            return b""
        try:
            os.dup2(caught.fileno(), 2)
            action()
        finally:
            os.dup2(before, 2)
            os.close(before)
        caught.seek(0)
        said = caught.read()
    if others := _WARNING.sub(b"", said):
        os.write(2, others)
    return said
