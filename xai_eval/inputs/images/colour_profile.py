"""Say how far an ICC profile would change the colours of an image.

It is not applied, as in torchvision's `ImageFolder`.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# Rounding within a profile of sRGB changes a few colours by a level.
_ALIKE = 2
_GRID = np.linspace(0, 255, 9).astype(np.uint8)


@lru_cache(maxsize=32)
def profile_note(profile: bytes, mode: str) -> str | None:
    """Return what is said of a profile.

    Args:
        profile: the bytes of the profile; empty if it could not be read or is too large.
        mode: Pillow's mode of the image: "L", "RGB" or "CMYK".

    Returns:
        One sentence with the largest change on a grid of colours; None if it changes none by more than 2 of 255.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = " ".join(ImageCms.getProfileDescription(opened).split())[:60] or "without a name"
        change = _largest_change(opened, mode)
    except Exception:  # LittleCMS and Pillow raise many kinds of errors on damaged profiles
        return "its ICC profile could not be read and is not applied"
    if change is None:
        return f"ICC profile {name!r} not applied, as in torchvision's ImageFolder"
    if change <= _ALIKE:
        return None
    return (
        f"ICC profile {name!r} not applied, as in torchvision's ImageFolder: it would change colours by up to "
        f"{change} of 255"
    )


def _largest_change(profile: ImageCms.ImageCmsProfile, mode: str) -> int | None:
    if mode == "CMYK":
        return None
    if mode == "L":
        grid = Image.fromarray(_GRID[None])
    else:
        grid = Image.fromarray(np.stack(np.meshgrid(_GRID, _GRID, _GRID), axis=-1).reshape(len(_GRID), -1, 3))
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    changed = ImageCms.applyTransform(grid, transform)
    apart = np.asarray(changed).astype(int) - np.asarray(grid.convert("RGB")).astype(int)
    return int(np.abs(apart).max())
