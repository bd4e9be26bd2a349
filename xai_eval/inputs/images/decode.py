"""Decode an image file to RGB pixels, as torchvision's `ImageFolder` would.

`ImageFolder` opens the file with Pillow and converts it to RGB; it does not apply the EXIF rotation of a photograph.
What Pillow's conversions would spoil is done here by what the file says of itself, and said in a note: deep and
inverted values, transparency. What Pillow does not tell is found before: damage, and sizes that would exhaust the
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import MOST_FRAMES
from xai_eval.inputs.images.colour_profile import profile_note
from xai_eval.inputs.images.damage import damage_notes
from xai_eval.inputs.images.opened import TAKEN_APART, Opened, open_image
from xai_eval.inputs.images.orientation import UPRIGHT, turned
from xai_eval.inputs.images.own_settings import own_settings
from xai_eval.inputs.images.to_rgb import to_rgb

_AS_GRAY = ("1", "L", "LA", "La", "I;16")


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: uint8 (h, w, 3), RGB.
        notes: what was done to the image besides decoding, one sentence each.
        sha256: SHA-256 of the bytes of the file.
        orientation: how a viewer would turn these pixels, 1 to 8 as in EXIF; 1 if they are upright.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    sha256: str
    orientation: int = UPRIGHT


def decode(path: Path, *, upright: bool = False) -> Decoded:
    """Decode an image file to RGB.

    Args:
        path: the file.
        upright: whether to turn the image as its EXIF orientation says, as viewers do. Else pixels are as stored, as in
            torchvision's `ImageFolder`; there, those of a TIFF are turned.

    Raises:
        InputUnavailable: the file is missing, empty, truncated, damaged, a Git LFS pointer, no ordinary file or not an
            image; a side is shorter than 16 px; it has more than 100 megapixels, or would take too much memory; one
            side is more than 100 times as long as the other; or its numbers have no known range. Sizes are read from
            the header, before anything is decoded.
    """
    try:
        return _decoded(path, upright)
    except MemoryError as error:
        raise InputUnavailable(
            f"{path} takes more memory to decode than this process can have. Scale it down first; models see a few "
            "hundred pixels per side."
        ) from error


def _decoded(path: Path, upright: bool) -> Decoded:
    opened = open_image(path)
    damage = damage_notes(path, opened)
    with decoding(path):
        pixels, conversion = to_rgb(path, opened)
    profile = _profile_notes(opened)
    turn = opened.format == "TIFF" or upright
    notes = (*_frame_notes(opened), *_orientation_notes(opened, turn), *opened.essence.notes, *damage)
    return Decoded(
        turned(pixels, opened.orientation) if turn else pixels,
        (*notes, *conversion, *profile),
        opened.sha256,
        UPRIGHT if turn else opened.orientation,
    )


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Raise InputUnavailable if Pillow fails to decode the file inside the context; its warnings say nothing new."""
    try:
        with own_settings():
            yield
    except (InputUnavailable, MemoryError):
        raise
    # On damaged files Pillow raises many kinds of errors, even TypeError.
    except Exception as error:
        raise InputUnavailable(
            f"{path} is truncated or damaged: Pillow decodes only a part of it ({error}). Get the file again."
        ) from error


def _frame_notes(opened: Opened) -> list[str]:
    frames = opened.essence.frames
    if opened.format in ("WEBP", "AVIF"):
        frames = getattr(opened.image, "n_frames", 1)
    many = f"more than {MOST_FRAMES:,}" if frames > MOST_FRAMES else str(frames)
    return [f"first of {many} frames taken"] if frames > 1 else []


def _orientation_notes(opened: Opened, turn: bool) -> list[str]:
    if opened.orientation == UPRIGHT:
        return []
    if opened.format == "TIFF":
        return [f"TIFF orientation {opened.orientation} applied, as in torchvision's ImageFolder"]
    if turn:
        return [f"EXIF orientation {opened.orientation} applied"]
    return [f"EXIF orientation {opened.orientation} not applied, as in torchvision's ImageFolder"]


def _profile_notes(opened: Opened) -> list[str]:
    image = opened.image
    told = image.info.get("icc_profile") if opened.format not in TAKEN_APART and image is not None else None
    profile = opened.essence.profile if opened.essence.profile is not None else told
    if profile is None or (image is not None and image.mode == "LAB"):
        return []
    mode = "RGB" if image is None else "L" if image.mode in _AS_GRAY else "CMYK" if image.mode == "CMYK" else "RGB"
    note = profile_note(profile, mode)
    return [] if note is None else [note]
