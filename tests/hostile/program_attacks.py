"""Stored data that names a program: it is a label, and nothing runs."""

from __future__ import annotations

from pathlib import Path

from hostile.attack import Attack

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode

_KIND = "programs chosen by data"


def _postscript(folder: Path) -> str | None:
    path = folder / "photo.png"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n/Helvetica findfont 10 scalefont setfont\nshowpage\n"
    )
    try:
        decode(path)
    except InputUnavailable as error:
        return None if "photo.png" in str(error) and "hostscript" not in str(error) else f"the error says {error}"
    return "it was decoded"


ATTACKS = (Attack("PostScript named .png", _KIND, "no raster format: an error that names the file", _postscript),)
