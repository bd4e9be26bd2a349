"""Read image files, with or without masks, into `LabelledImage`s."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.file_names import intended_by_name
from xai_eval.inputs.images.labelled import LabelledImage
from xai_eval.inputs.paths import files_below, readable

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def images_in(folder: Path) -> list[Path]:
    """Return the image files below a folder, without hidden ones.

    Raises:
        InputUnavailable: there is no image, or a folder cannot be listed.
    """
    with readable(folder):
        files = files_below(folder)
    chosen = [path for path in files if is_image(path) and not path.name.startswith(".")]
    if not chosen:
        what = f"holds {len(files)} files but no image" if files else "is empty"
        raise InputUnavailable(f"{folder} {what}; expected files ending in {known_suffixes()}. Check the path.")
    return chosen


def read_images(files: Iterable[Path], base: Path, set_name: str) -> list[LabelledImage]:
    """Decode images, in the order of their names; a name is the path relative to `base`."""
    named = sorted((path.relative_to(base).as_posix(), path) for path in files)
    return [read_image(path, name, set_name) for name, path in named]


def read_masked_images(images: Path, masks: Path, set_name: str) -> list[LabelledImage]:
    """Decode the images of one folder, each with the mask of the same stem in another folder (255 = object).

    The stem is the path below the folder without the suffix.

    Raises:
        InputUnavailable: a mask is missing, has another size, or holds other values than 0 and 255.
        UsageError: two files have the same stem.
    """
    drawn, masked = by_stem(images_in(images), images), by_stem(images_in(masks), masks)
    missing = sorted(drawn.keys() - masked.keys())
    if missing:
        raise InputUnavailable(
            f"{masks} has no mask for {len(missing)} of {len(drawn)} images, first {missing[0]!r}; "
            "expected one with the same stem for each. Add it, or name the folder images/ itself to go without masks."
        )
    return [
        read_image(path, path.relative_to(images).as_posix(), set_name, masked[stem])
        for stem, path in sorted(drawn.items())
    ]


def by_stem(files: Iterable[Path], base: Path) -> dict[str, Path]:
    """Return files by stem: their path relative to `base` without the suffix, by which images and masks are matched.

    Raises:
        UsageError: two files have the same stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(files):
        stem = path.relative_to(base).with_suffix("").as_posix()
        if stem in found:
            raise UsageError(
                f"{found[stem]} and {path.name} have the same stem; expected one file per stem, because images are "
                "matched by it with their masks or label maps. Rename one."
            )
        found[stem] = path
    return found


def read_image(path: Path, name: str, source: str, mask: Path | None = None) -> LabelledImage:
    """Decode one image, look up the class that its file name stands for, and decode its mask.

    Args:
        path: the image file.
        name: its name in the image set.
        source: where it comes from, as recorded in results.
        mask: an image file of the same size, 255 on the object and 0 elsewhere; None without a mask.

    Raises:
        InputUnavailable: the image or its mask cannot be used.
    """
    decoded = decode(path)
    intended, notes = intended_by_name(path.stem)
    return LabelledImage(
        name=name,
        pixels=decoded.pixels,
        digest=decoded.sha256,
        intended=intended,
        mask=None if mask is None else _mask(mask, decoded.pixels.shape[:2]),
        notes=(*decoded.notes, *notes),
        source=source,
    )


def _mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    pixels = decode(path).pixels
    if pixels.shape[:2] != shape:
        raise InputUnavailable(
            f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels; expected {shape[1]} x {shape[0]}, the "
            "size of its image. Draw the mask at full size."
        )
    values = np.unique(pixels)
    if not set(values.tolist()) <= {0, 255} or 255 not in values:
        raise InputUnavailable(
            f"{path} holds the values {', '.join(map(str, values[:6]))}{', ...' if len(values) > 6 else ''}; "
            "expected 255 on the object and 0 elsewhere, with at least one pixel of object. Save it as a "
            "lossless PNG of these two values."
        )
    inside: NDArray[np.bool_] = pixels[:, :, 0] == 255
    return inside


def is_image(path: Path) -> bool:
    """Tell by its suffix whether a file counts as an image."""
    return path.suffix.lower() in SUFFIXES


def known_suffixes() -> str:
    """Return the suffixes of image files as text for error messages."""
    return ", ".join(sorted(SUFFIXES))
