"""Ask libtiff whether the strips of a TIFF hold all of their rows.

Where a strip in fax or JPEG compression ends early, libtiff leaves the other rows black and only warns. Its other
compressions are errors in Pillow.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.essence import Essence
from xai_eval.inputs.images.heard import decoded_by_opencv
from xai_eval.inputs.images.jpeg_damage import PERHAPS_SOUND
from xai_eval.inputs.images.tiff_file import layout

# CCITT RLE, group 3, group 4, RLE with words; JPEG of both kinds.
_ONLY_WARNS = (2, 3, 4, 32771, 6, 7)
# A line of OpenCV, which may hand on one of libtiff.
_LINE = re.compile(
    rb"^\[ ?[A-Z]+:\d+@[\d.]+\] global (?:[^\n]*TIFF_(?:Warning|Error) )?([^\n]*)(?:\n\n|\n|$)", re.MULTILINE
)
# The parts of libtiff that unpack pixels. The others speak of tags, which are looked at elsewhere.
_UNPACKS = re.compile("Fax|JPEG|LibJpeg|OJPEG(?:Decode|Read)")
# 16 x 16 pixels in group 4, whose only strip is cut after one byte.
_DAMAGED = base64.b64decode(
    "SUkqAAoAAAAvlwkAAAEDAAEAAAAQAAAAAQEDAAEAAAAQAAAAAgEDAAEAAAABAAAAAwEDAAEAAAAEAAAABgEDAAEAAAAAAAAAEQEDAAEA"
    "AAAIAAAAFQEDAAEAAAABAAAAFgEDAAEAAAAQAAAAFwEDAAEAAAACAAAAAAAAAA=="
)


def tiff_notes(path: Path, essence: Essence) -> tuple[str, ...]:
    """Return what libtiff says of a TIFF whose pixels may be wrong.

    Args:
        path: the file, for errors.
        essence: what decides its pixels.

    Raises:
        InputUnavailable: its data is damaged, or rows are missing.
    """
    if essence.tags is None or layout(essence.tags).compression not in _ONLY_WARNS:
        return ()
    heard = decoded_by_opencv(essence.data, "IMREAD_GRAYSCALE", _LINE)
    said = [each for each in heard.said if _UNPACKS.match(each)]
    if not said:
        checked = heard.decoded and _libtiff_speaks()
        return () if checked else ("not checked for missing rows: OpenCV here passes no warnings of libtiff on",)
    if all(PERHAPS_SOUND.search(each) for each in said):
        return (f"libtiff warns ({said[0]}): if the file was damaged, a part of the image is wrong",)
    raise InputUnavailable(
        f"{path} is truncated or damaged: rows are missing, or a part of the image is wrong (libtiff: {said[0]}). "
        "Get the file again, or save it again if it looks right."
    )


@cache
def _libtiff_speaks() -> bool:
    """Tell whether the warnings of libtiff arrive here, by a damaged image."""
    return any(decoded_by_opencv(_DAMAGED, "IMREAD_GRAYSCALE", _LINE).said)
