"""Make `LabelledImage`s of image files, with or without masks.

Every file is decoded once when its set is loaded, so that a bad file is found before anything is computed. Its pixels
are then released, and read again when they are needed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.decode import Decoded, decode
from xai_eval.inputs.images.file_names import intended_by_name
from xai_eval.inputs.images.folder_files import LeftOut, Listing, list_images, listing_of
from xai_eval.inputs.images.labelled import LabelledImage, digest_of_mask
from xai_eval.inputs.images.lazy_image import Content, LazyImage
from xai_eval.inputs.images.orientation import check_alike
from xai_eval.inputs.images.raster_formats import known_suffixes
from xai_eval.inputs.paths import readable

_LISTED = 10  # of many bad files, a message lists so many


def images_in(folder: Path) -> Listing:
    """Return the image files below a folder, and what is left out.

    Raises:
        InputUnavailable: there is no image that can be read, or a folder cannot be listed.
    """
    with readable(folder):
        listing = list_images(folder)
    if not listing.images:
        others = "".join(f" {each}." for each in listing.notes(folder.name))
        what = f"holds {len(listing.left_out)} files but no image" if others else "is empty"
        raise InputUnavailable(f"{folder} {what}; expected files ending in {known_suffixes()}. Check the path.{others}")
    return listing


def read_images(files: Iterable[Path], base: Path, set_name: str, *, upright: bool = False) -> list[LabelledImage]:
    """Check images, in the order of their names; a name is the path relative to `base`. Raises as `read_all`."""
    named = sorted((name_below(path, base), path) for path in files)
    return read_all(partial(read_image, path, name, set_name, upright=upright) for name, path in named)


def name_below(path: Path, base: Path) -> str:
    """Return the name of an image in its set: its path below the folder, in the composed spelling of Unicode (NFC).

    macOS may return the letters of a file name with their accents apart (NFD), which is the same name.
    """
    return unicodedata.normalize("NFC", path.relative_to(base).as_posix())


def read_all(reading: Iterable[Callable[[], LabelledImage]]) -> list[LabelledImage]:
    """Read all images of a set, also after one that cannot be used, so that all bad files are known at once.

    Raises:
        InputUnavailable: some images cannot be used; the first reason is given whole.
    """
    found = list(map(_read_or_refuse, reading))
    refused = [each for each in found if isinstance(each, InputUnavailable)]
    if len(refused) > 1:
        raise InputUnavailable("\n".join([f"{len(refused)} images cannot be used:", *_listed(refused)]))
    if refused:
        raise refused[0]
    return [each for each in found if not isinstance(each, InputUnavailable)]


def _listed(refused: list[InputUnavailable]) -> Iterator[str]:
    yield from (f"  {each}" for each in refused[:_LISTED])
    if len(refused) > _LISTED:
        yield f"  and {len(refused) - _LISTED} more"


def _read_or_refuse(read: Callable[[], LabelledImage]) -> LabelledImage | InputUnavailable:
    try:
        return read()
    except InputUnavailable as error:
        return InputUnavailable(*error.args)  # without the frames that hold the bytes and pixels of a file


@dataclass(frozen=True)
class MaskedImages:
    """Images with masks, and what was left out of their folders."""

    images: tuple[LabelledImage, ...]
    listing: Listing


def read_masked_images(folder: Path, set_name: str, *, upright: bool = False) -> MaskedImages:
    """Check the images in `images/` of a folder, each with the mask of the same stem in `masks/` (255 = object).

    The stem is the path below `images/` or `masks/` without the suffix.

    Raises:
        InputUnavailable: a mask is missing, has another size, is turned otherwise, or has other values than 0 and 255.
        UsageError: two files have the same stem.
    """
    images, masks = folder / "images", folder / "masks"
    drawings, maskings = images_in(images), images_in(masks)
    drawn, masked = by_stem(drawings.images, images), by_stem(maskings.images, masks)
    missing = sorted(drawn.keys() - masked.keys())
    if missing:
        raise InputUnavailable(
            f"{masks} has no mask for {len(missing)} of {len(drawn)} images, first {missing[0]!r}; "
            "expected one with the same stem for each. Add it, or name the folder images/ itself to go without masks."
        )
    idle = [LeftOut(f"masks/{stem}", "a mask without an image", False) for stem in masked.keys() - drawn.keys()]
    read = read_all(
        partial(read_image, path, name_below(path, images), set_name, masked[stem], upright=upright)
        for stem, path in sorted(drawn.items())
    )
    return MaskedImages(tuple(read), _together(folder, drawings, maskings, idle))


def _together(folder: Path, drawings: Listing, maskings: Listing, idle: list[LeftOut]) -> Listing:
    """Return what is left out of `images/`, of `masks/` (which are no images to explain) and beside both."""
    beside = listing_of((path for path in folder.iterdir() if not path.is_dir()), folder)
    others = [LeftOut(path.name, "beside images/ and masks/", True) for path in beside.images]
    left_out = (
        *(replace(each, name=f"images/{each.name}") for each in drawings.left_out),
        *(replace(each, name=f"masks/{each.name}", image=False) for each in maskings.left_out),
        *(*beside.left_out, *others, *idle),
    )
    outside = (*(f"images/{each}" for each in drawings.outside), *(f"masks/{each}" for each in maskings.outside))
    return Listing(drawings.images, left_out, outside)


def by_stem(files: Iterable[Path], base: Path) -> dict[str, Path]:
    """Return files by stem: their path relative to `base` without the suffix, by which images and masks are matched.

    Raises:
        UsageError: two files have the same stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(files):
        stem = name_below(path.with_suffix(""), base)
        if stem in found:
            raise UsageError(
                f"{found[stem]} and {path.name} have the same stem; expected one file per stem, because images are "
                "matched by it with their masks or label maps. Rename one."
            )
        found[stem] = path
    return found


def read_image(path: Path, name: str, source: str, mask: Path | None = None, *, upright: bool = False) -> LabelledImage:
    """Check one image and its mask, and look up the class that its file name stands for.

    Args:
        path: the image file.
        name: its name in the image set.
        source: where it comes from, as recorded in results.
        mask: an image file of the same size, 255 on the object and 0 elsewhere; None without a mask.
        upright: whether to turn image and mask as their EXIF orientations say.

    Returns:
        The image without its pixels, which are read again when they are asked for. Asking raises InputUnavailable if
        the file has changed or cannot be read any more.

    Raises:
        InputUnavailable: the image or its mask cannot be used.
    """
    decoded = decode(path, upright=upright)
    object_mask = None if mask is None else _mask(mask, path, decoded, upright)
    intended, notes = intended_by_name(path.stem)
    return LazyImage(
        partial(_read_again, path.absolute(), None if mask is None else mask.absolute(), decoded.sha256, upright),
        decoded.pixels.shape[0] * decoded.pixels.shape[1],
        name=name,
        digest=decoded.sha256,
        mask_digest=digest_of_mask(object_mask),
        intended=intended,
        notes=(*decoded.notes, *notes),
        source=source,
    )


def _read_again(path: Path, mask: Path | None, digest: str, upright: bool) -> Content:
    decoded = decode(path, upright=upright)
    if decoded.sha256 != digest:
        raise InputUnavailable(
            f"{path} was changed after the run had begun: its SHA-256 was {digest[:8]} and is {decoded.sha256[:8]}. "
            "Results of both would stand side by side; run again."
        )
    return Content(decoded.pixels, None if mask is None else _mask(mask, path, decoded, upright))


def _mask(path: Path, image: Path, drawn: Decoded, upright: bool) -> NDArray[np.bool_]:
    decoded = decode(path, upright=upright)
    check_alike(image, drawn.orientation, path, decoded.orientation)
    pixels, shape = decoded.pixels, drawn.pixels.shape
    if pixels.shape[:2] != shape[:2]:
        raise InputUnavailable(
            f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels; expected {shape[1]} x {shape[0]}, the "
            "size of its image. Draw the mask at full size."
        )
    values = _values(pixels)
    if not set(values.tolist()) <= {0, 255} or 255 not in values:
        raise InputUnavailable(
            f"{path} holds the values {', '.join(map(str, values[:6]))}{', ...' if len(values) > 6 else ''}; "
            "expected 255 on the object and 0 elsewhere, with at least one pixel of object. Save it as a "
            "lossless PNG of these two values."
        )
    inside: NDArray[np.bool_] = pixels[:, :, 0] == 255
    return inside


def _values(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the different values of an image, row by row, because sorting a large one takes as much memory again."""
    there = np.zeros(256, dtype=bool)
    for row in pixels:
        there[row] = True
    return np.flatnonzero(there).astype(np.uint8)
