"""Turn images and masks as a viewer shows them. (EXIF 2.32, tag 0x0112.)"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable, UsageError

_T = TypeVar("_T", bound=np.generic)
UPRIGHT = 1
_OPTION = "?orientation="
_CHOICES = ("stored", "upright")
_TURNS: dict[int, Callable[[NDArray[_T]], NDArray[_T]]] = {
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.swapaxes(np.rot90(stored, 2), 0, 1),
    8: np.rot90,
}


def turned(stored: NDArray[_T], orientation: int) -> NDArray[_T]:
    """Return an image as a viewer shows it.

    Args:
        stored: (h, w) or (h, w, channels), as it is stored.
        orientation: 1 to 8, as in EXIF; 1 is upright.

    Returns:
        The same pixels; (w, h) or (w, h, channels) if the orientation is 5 or more.
    """
    return np.ascontiguousarray(_TURNS[orientation](stored)) if orientation in _TURNS else stored


def split_orientation(spec: str) -> tuple[str, bool]:
    """Take `?orientation=stored` or `?orientation=upright` off the end of a spec of images.

    Returns:
        The spec without it, and whether images are to be turned upright; they are not unless the spec says so.

    Raises:
        UsageError: another orientation is named.
    """
    rest, found, choice = spec.rpartition(_OPTION)
    if not found:
        return spec, False
    if choice not in _CHOICES:
        raise UsageError(
            f"image spec {spec!r}: orientation is {choice!r}; expected 'stored' (pixels as they are in the file, as "
            "torchvision's ImageFolder reads them) or 'upright' (turned as viewers show them)."
        )
    return rest, choice == "upright"


def check_alike(image: Path, orientation: int, other: Path, others: int) -> None:
    """Check that what is laid over an image would be turned by a viewer as the image is.

    Args:
        image: the image, for the error.
        orientation: how a viewer would turn its pixels, 1 to 8 as in EXIF.
        other: the mask or label map.
        others: how a viewer would turn that.

    Raises:
        InputUnavailable: they differ, so nobody can tell on which of both it was drawn.
    """
    if orientation != others:
        raise InputUnavailable(
            f"{image} has EXIF orientation {orientation}, but {other} has {others}: it may have been drawn on the "
            "image as viewers show it, or on the stored pixels. If both look alike in a viewer, add "
            "?orientation=upright to the images. Otherwise turn the image itself, and save it without this tag."
        )
