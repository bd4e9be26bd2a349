"""Ask libjpeg whether the data of a JPEG is sound.

When compressed data is damaged, libjpeg goes on with wrong or grey blocks and only warns. Pillow drops these warnings.
OpenCV, which comes with grad-cam, lets libjpeg write them to standard error, from where they are read here. The image
is decoded at an eighth of its size for that, which reads all of its data and takes little memory.

What libjpeg decodes without a doubt cannot be told from an image. Of random damage to the data of photographs that
changed more than 20 rows, a third was of this kind (such as a wrong brightness from one block on); the rest was told.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.heard import Heard, decoded_by_opencv

# The sentences of libjpeg's jerror.h that are warnings, as a line begins with them.
_WARNING = re.compile(
    rb"^((?:Corrupt JPEG data|Premature end of JPEG file|Inconsistent progression sequence|Invalid SOS parameters"
    rb"|Warning: unknown JFIF revision|Unknown Adobe color transform)[^\n]*)\n?",
    re.MULTILINE,
)
# What careless programs write; the data itself may be sound.
PERHAPS_SOUND = re.compile(r"Invalid SOS|Inconsistent progression|unknown JFIF|Unknown Adobe")
# 16 x 16 grey pixels, whose data ends too early.
_DAMAGED = base64.b64decode(
    "/9j/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/wAAL"
    "CAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAgP/xAAkEAACAgEDAgcAAAAAAAAAAAABAgMRIQASMSJBEyNRYYGRwf/aAAgB"
    "AQAAPwBI0jb40hC0SynPmDAzng5J7YGcHUlMRihIjKsqKwb/2Q=="
)


def jpeg_notes(path: Path, data: bytes) -> tuple[str, ...]:
    """Return what libjpeg says of a JPEG whose pixels may be wrong.

    Args:
        path: the file, for errors.
        data: the JPEG.

    Raises:
        InputUnavailable: its data is damaged.
    """
    heard = _heard(data)
    warning = next(iter(heard.said), None)
    if warning is None and not (heard.listened and _libjpeg_speaks()):
        return ("not checked for damage inside its data, because OpenCV here passes no warnings of libjpeg on",)
    if warning is None:
        return ()
    if PERHAPS_SOUND.search(warning):
        return (f"libjpeg warns ({warning}): if the file was damaged, a part of the image is wrong",)
    raise InputUnavailable(
        f"{path} is truncated or damaged: a part of the image may be wrong (libjpeg: {warning}). Get the file "
        "again, or save it again if it looks right."
    )


@cache
def _libjpeg_speaks() -> bool:
    """Tell whether the warnings of libjpeg arrive here, by a damaged image."""
    return bool(_heard(_DAMAGED).said)


def _heard(data: bytes) -> Heard:
    return decoded_by_opencv(data, "IMREAD_REDUCED_GRAYSCALE_8", _WARNING)
