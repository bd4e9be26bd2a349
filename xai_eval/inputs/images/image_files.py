"""Make `LabelledImage`s of image files, with or without masks.

Every file is decoded once when its set is loaded, so that a bad file is found before anything is computed. Its pixels
are then released, and read again when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.stray_files import is_stray
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.file_names import intended_by_name
from xai_eval.inputs.images.labelled import LabelledImage
from xai_eval.inputs.images.lazy_image import Content, LazyImage
from xai_eval.inputs.paths import files_below, readable

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_LISTED = 10  # of many bad files, a message lists so many


def images_in(folder: Path) -> list[Path]:
    """Return the image files below a folder, without hidden ones.

    Raises:
        InputUnavailable: there is no image, or a folder cannot be listed.
    """
    with readable(folder):
        files = files_below(folder)
    chosen = [path for path in files if is_image(path) and not path.name.startswith(".")]
    if not chosen:
        others = [path for path in files if not is_stray(path.name)]
        what = f"holds {len(others)} files but no image" if others else "is empty"
        raise InputUnavailable(f"{folder} {what}; expected files ending in {known_suffixes()}. Check the path.")
    return chosen


def read_images(files: Iterable[Path], base: Path, set_name: str) -> list[LabelledImage]:
    """Check images, in the order of their names; a name is the path relative to `base`. Raises as `read_all`."""
    named = sorted((path.relative_to(base).as_posix(), path) for path in files)
    return read_all(partial(read_image, path, name, set_name) for name, path in named)


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
        return error


def read_masked_images(images: Path, masks: Path, set_name: str) -> list[LabelledImage]:
    """Check the images of one folder, each with the mask of the same stem in another folder (255 = object).

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
    return read_all(
        partial(read_image, path, path.relative_to(images).as_posix(), set_name, masked[stem])
        for stem, path in sorted(drawn.items())
    )


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
    """Check one image and its mask, and look up the class that its file name stands for.

    Args:
        path: the image file.
        name: its name in the image set.
        source: where it comes from, as recorded in results.
        mask: an image file of the same size, 255 on the object and 0 elsewhere; None without a mask.

    Returns:
        The image without its pixels, which are read again when they are asked for. Asking raises InputUnavailable if
        the file has changed or cannot be read any more.

    Raises:
        InputUnavailable: the image or its mask cannot be used.
    """
    decoded = decode(path)
    if mask is not None:
        _mask(mask, decoded.pixels.shape[:2])
    intended, notes = intended_by_name(path.stem)
    return LazyImage(
        partial(_read_again, path.absolute(), None if mask is None else mask.absolute(), decoded.sha256),
        name=name,
        digest=decoded.sha256,
        intended=intended,
        notes=(*decoded.notes, *notes),
        source=source,
    )


def _read_again(path: Path, mask: Path | None, digest: str) -> Content:
    decoded = decode(path)
    if decoded.sha256 != digest:
        raise InputUnavailable(
            f"{path} was changed after the run had begun: its SHA-256 was {digest[:8]} and is {decoded.sha256[:8]}. "
            "Results of both would stand side by side; run again."
        )
    return Content(decoded.pixels, None if mask is None else _mask(mask, decoded.pixels.shape[:2]))


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
