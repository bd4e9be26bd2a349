"""Which files count as images, by suffix, and which formats Pillow may be asked to open.

Pillow has plugins that start other programs (PostScript) or draw vectors (WMF). Only the formats that are named here
are opened, whatever the bytes of a file say.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, features

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")

_ALWAYS = frozenset(
    {
        *(".apng", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png"),
        *(".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
    }
)
# What a build of Pillow may lack: suffixes, the name of the feature, and a package that has it.
_IF_BUILT = {
    ".avif": ("avif", "pillow 11.3 or later"),
    ".jp2": ("jpg_2000", "a pillow that was built with OpenJPEG"),
    ".j2k": ("jpg_2000", "a pillow that was built with OpenJPEG"),
    ".jpx": ("jpg_2000", "a pillow that was built with OpenJPEG"),
    ".webp": ("webp", "a pillow that was built with WebP"),
}
_RAW = ("rawpy", "raw photograph")
_OTHERS = {
    **dict.fromkeys((".heic", ".heif", ".hif"), ("pillow-heif", "HEIC")),
    ".jxl": ("pillow-jxl-plugin", "JPEG XL"),
    **dict.fromkeys((".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), _RAW),
    **dict.fromkeys((".exr", ".hdr"), ("imageio", "image of high dynamic range")),
    ".psd": ("psd-tools", "Photoshop document"),
    ".dcm": ("pydicom", "DICOM"),
    ".nii": ("nibabel", "NIfTI"),
    **dict.fromkeys((".icns", ".pcx", ".qoi", ".sgi", ".dds"), ("pillow", "rare raster format")),
    **dict.fromkeys((".svg", ".svgz"), ("cairosvg", "vector graphic")),
    **dict.fromkeys((".eps", ".ps", ".pdf", ".ai", ".wmf", ".emf"), ("", "vector graphic or page")),
}


@dataclass(frozen=True)
class Kind:
    """What a suffix tells about a file.

    Attributes:
        image: whether it stands for an image of any kind.
        unreadable: why such images are not read; empty if they are.
    """

    image: bool
    unreadable: str = ""


def kind_of(path: Path) -> Kind:
    """Tell by its suffix whether a file is an image, and whether images of this kind are read on this machine."""
    suffix = path.suffix.lower()
    if suffix in _IF_BUILT and not _built(_IF_BUILT[suffix][0]):
        return Kind(True, f"{suffix[1:]}: the Pillow of this machine cannot read it; install {_IF_BUILT[suffix][1]}")
    if suffix in _ALWAYS or suffix in _IF_BUILT:
        return Kind(True)
    if suffix in _OTHERS:
        package, what = _OTHERS[suffix]
        return Kind(True, f"{what}: save it as PNG{f', for example with the package {package}' if package else ''}")
    return Kind(False, "no suffix of an image")


@cache
def known_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` for which the installed Pillow has a plugin."""
    Image.init()
    return tuple(each for each in FORMATS if each in Image.OPEN)


@cache
def _built(feature: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of a feature that it does not know yet
        return bool(features.check(feature))


def known_suffixes() -> str:
    """Return the suffixes of files that are read as images, as text for error messages."""
    return ", ".join(sorted(_ALWAYS | _IF_BUILT.keys()))
