"""Load images to explain: bundled scenes, photographs of libraries or of the published study, or the user's files."""

from __future__ import annotations

import difflib
import glob
import hashlib
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.downloads import data_root, download_entries, obtain
from xai_eval.inputs.images.folder_files import Listing, listing_of
from xai_eval.inputs.images.image_files import (
    images_in,
    name_below,
    read_all,
    read_image,
    read_images,
    read_masked_images,
)
from xai_eval.inputs.images.labelled import ImageSet, Intended, LabelledImage, digest_of_mask
from xai_eval.inputs.images.lazy_image import Content, LazyImage
from xai_eval.inputs.images.orientation import split_orientation
from xai_eval.inputs.images.photographs import load_photographs
from xai_eval.inputs.images.raster_formats import known_suffixes
from xai_eval.inputs.paths import files_matching, given_path, readable
from xai_eval.inputs.set_names import name_of_folder
from xai_eval.media.characters import shortened
from xai_eval.scenes import render

__all__ = ["ImageSet", "Intended", "LabelledImage", "load_images"]

_NAMED = ("scenes", "scenes:N", "photographs", "imagenet-samples", "object-masks")
_SCENES = 12
_MOST_SCENES = 100_000  # all are drawn before the first is explained
_SHOWN = 200  # characters of a spec


def load_images(spec: str | os.PathLike[str]) -> ImageSet:
    """Load the images that a spec names, in sorted order.

    Args:
        spec: "scenes" (12 bundled scenes), "scenes:N", "photographs" (seven that come with scikit-image and
            scikit-learn), "imagenet-samples", "object-masks", a folder (searched with its sub-folders; one with
            `images/` and `masks/` is read as images with masks), a file, or a glob such as "photos/*.jpg". It may end
            in "?orientation=upright": images and masks are then turned as viewers show them, by their EXIF
            orientation. Else their pixels are as stored, as in torchvision's `ImageFolder`.

    Raises:
        UsageError: the spec is malformed or of a wrong type, or two images have the same name.
        InputUnavailable: a file is missing or cannot be decoded, a folder cannot be listed, or there is no image.
    """
    if not isinstance(spec, str | os.PathLike):
        raise UsageError(f"the images are a {type(spec).__name__}; expected a spec (text or a path) or an ImageSet.")
    whole, upright = split_orientation(str(spec))
    with readable(whole):
        return _load(whole, upright)


def _load(spec: str, upright: bool) -> ImageSet:
    if spec == "scenes" or spec.startswith("scenes:"):
        return _scenes(spec)
    if spec == "photographs":
        return load_photographs()
    if spec == "imagenet-samples":
        return _imagenet_samples(upright)
    if spec == "object-masks":
        return _object_masks(upright)
    path = given_path(spec)
    if path.is_dir():
        return _folder(path, upright)
    if path.exists() or not glob.has_magic(spec):
        return _file(spec, path, upright)
    return _glob(spec, path, upright)


def _scenes(spec: str) -> ImageSet:
    written = spec.partition(":")[2] or str(_SCENES)
    digits = spec != "scenes:" and written.isascii() and written.isdigit()
    # Python does not read a number of many thousand digits.
    count = int(written) if digits and len(written) <= len(str(_MOST_SCENES)) else 0
    if not 1 <= count <= _MOST_SCENES:
        told = shortened(repr(spec), _SHOWN)
        raise UsageError(
            f"image spec {told}: expected a number of scenes from 1 to {_MOST_SCENES:,}, as in 'scenes:24'."
        )
    return ImageSet("scenes", tuple(map(_scene, range(count))), complete=count >= _SCENES)


def _scene(seed: int) -> LabelledImage:
    scene = render(seed)
    return LazyImage(
        partial(_scene_content, seed),
        scene.pixels.shape[0] * scene.pixels.shape[1],
        name=f"scene-{seed:02d}",
        digest=hashlib.sha256(scene.pixels.tobytes()).hexdigest(),
        mask_digest=digest_of_mask(scene.masks[scene.main_object]),
        intended=Intended(scene.main_object),
        source=f"procedural scene, seed {seed}",
    )


def _scene_content(seed: int) -> Content:
    scene = render(seed)
    return Content(scene.pixels, scene.masks[scene.main_object], scene.masks)


def _imagenet_samples(upright: bool) -> ImageSet:
    """Return the ten photographs of the study, digests checked, and further images in their folder of the data root."""
    entries = {obtain(entry): entry.source for entry in download_entries("imagenet-samples")}
    folder = data_root() / "imagenet-samples"
    listing = listing_of(sorted(path for path in folder.iterdir() if not path.is_dir()), folder)
    files = sorted({*entries, *listing.images})
    sources = {file: entries.get(file, f"imagenet-samples/{file.name}") for file in files}
    photographs = read_all(
        partial(read_image, file, file.name, source, upright=upright) for file, source in sources.items()
    )
    return _whole("imagenet-samples", photographs, listing)


def _whole(name: str, images: Iterable[LabelledImage], listing: Listing) -> ImageSet:
    return ImageSet(name, tuple(images), complete=listing.complete, notes=listing.notes(name))


def _object_masks(upright: bool) -> ImageSet:
    folder = data_root() / "object-masks"
    if not folder.is_dir():
        raise InputUnavailable(
            f"the image set object-masks is not at {folder}; expected a folder with images/ and masks/ (files of "
            "the same stem, 255 = object). It cannot be downloaded: copy it there, or set XAI_EVAL_DATA to a folder "
            "that holds it."
        )
    return _folder(folder, upright)


def _folder(folder: Path, upright: bool) -> ImageSet:
    name = name_of_folder(folder)
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        masked = read_masked_images(folder, name, upright=upright)
        return _whole(name, masked.images, masked.listing)
    listing = images_in(folder)
    return _whole(name, read_images(listing.images, folder, name, upright=upright), listing)


def _file(spec: str, path: Path, upright: bool) -> ImageSet:
    if not path.exists():
        raise InputUnavailable(
            f"image spec {spec!r}: {path} does not exist; expected a file, a folder, a glob or one of "
            f"{', '.join(_NAMED)}. {_advice(spec)}"
        )
    name = name_below(path, path.parent)
    image = read_image(path, name, name, upright=upright)
    return ImageSet(name_of_folder(path.resolve().parent), (image,), complete=False)


def _advice(spec: str) -> str:
    name, colon, rest = spec.partition(":")
    close = difflib.get_close_matches(
        name[:_SHOWN].lower(), [each for each in _NAMED if ":" not in each], n=1, cutoff=0.7
    )
    return f"Did you mean {close[0]}{colon}{rest}?" if close else "Check the path."


def _glob(spec: str, pattern: Path, upright: bool) -> ImageSet:
    # Names are relative to the deepest folder before the first wildcard of the pattern.
    base = next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))
    try:
        files = files_matching(base, pattern.relative_to(base).as_posix())
    except ValueError as error:
        raise UsageError(
            f"image spec {spec!r} is not a valid pattern ({error}). Write '**/*.jpg' to search all folders below."
        ) from error
    listing = listing_of(files, base)
    if not listing.images:
        raise InputUnavailable(
            f"image spec {spec!r} matches no image below {base} ({len(files)} other matches); expected "
            f"files ending in {known_suffixes()}. Check the pattern."
        )
    name = name_of_folder(base)
    images = read_images(listing.images, base, name, upright=upright)
    return ImageSet(name, tuple(images), complete=False, notes=listing.notes(name))


def names_images(spec: str) -> bool:
    """Tell whether a spec names a known set of images, such as `scenes:24`, and not files of the user."""
    return spec.partition("?")[0].partition(":")[0] in {name.partition(":")[0] for name in _NAMED}
