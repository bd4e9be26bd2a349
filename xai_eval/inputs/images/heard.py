"""Listen to what a library of images writes to standard error, because Pillow drops its warnings."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

_ALONE = threading.Lock()


@dataclass(frozen=True)
class Heard:
    """What came of decoding an image by OpenCV.

    Attributes:
        listened: whether it could be listened to; if not, nothing was decoded, and nothing is known.
        decoded: whether OpenCV reads this kind of image.
        said: what the library of the format said, one sentence each.
    """

    listened: bool
    decoded: bool
    said: tuple[str, ...]


def decoded_by_opencv(data: bytes, way: str, lines: re.Pattern[bytes]) -> Heard:
    """Decode an image by OpenCV, which comes with grad-cam, and lets libjpeg and libtiff warn.

    Args:
        data: the file.
        way: name of the constant of OpenCV that says how to decode, such as `IMREAD_GRAYSCALE`.
        lines: matches each line of the library; its first group is what it says. Lines of anybody else are written to
            standard error afterwards.
    """
    try:
        import cv2
        import numpy as np
    except ImportError:
        return Heard(False, False, ())
    decoded = False

    def decode() -> None:
        nonlocal decoded
        try:
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), getattr(cv2, way)) is not None
        except cv2.error:  # a kind that OpenCV does not read; Pillow says what is wrong, if anything is
            return

    said = heard(decode, lines)
    if said is None:
        return Heard(False, False, ())
    return Heard(True, decoded, tuple(found[1].decode("ascii", "replace").strip() for found in lines.finditer(said)))


def _written(caught: IO[bytes], action: Callable[[], None]) -> bytes:
    os.dup2(caught.fileno(), 2)
    action()
    caught.seek(0)
    return caught.read()


def heard(action: Callable[[], None], lines: re.Pattern[bytes]) -> bytes | None:
    """Return what is written to standard error meanwhile. What does not match `lines` is written there after it.

    Nothing is done, and None is returned, if standard error is closed, or no temporary file can be made.
    """
    with _ALONE:
        try:
            before = os.dup(2)
        except OSError:
            return None
        try:
            with tempfile.TemporaryFile() as caught:
                said = _written(caught, action)
        except OSError:
            return None
        finally:
            os.dup2(before, 2)
            os.close(before)
    if others := lines.sub(b"", said):
        os.write(2, others)
    return said
