"""Load images to explain: bundled scenes, photographs of libraries or of the published study, or the user's files."""

from __future__ import annotations

import glob
import hashlib
import os
from functools import partial
from pathlib import Path

from xai_eval.disk.stray_files import is_stray
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.downloads import data_root, download_entries, obtain
from xai_eval.inputs.images.image_files import (
    images_in,
    is_image,
    known_suffixes,
    read_all,
    read_image,
    read_images,
    read_masked_images,
)
from xai_eval.inputs.images.labelled import ImageSet, Intended, LabelledImage
from xai_eval.inputs.images.lazy_image import Content, LazyImage
from xai_eval.inputs.images.photographs import load_photographs
from xai_eval.inputs.paths import files_matching, given_path, readable
from xai_eval.inputs.set_names import name_of_folder
from xai_eval.scenes import render

__all__ = ["ImageSet", "Intended", "LabelledImage", "load_images"]

_NAMED = ("scenes", "scenes:N", "photographs", "imagenet-samples", "object-masks")
_SCENES = 12


def load_images(spec: str | os.PathLike[str]) -> ImageSet:
    """Load the images that a spec names, in sorted order.

    Args:
        spec: "scenes" (12 bundled scenes), "scenes:N", "photographs" (seven that come with scikit-image and
            scikit-learn), "imagenet-samples", "object-masks", a folder (searched with its sub-folders; one with
            `images/` and `masks/` is read as images with masks), a file, or a glob such as "photos/*.jpg".

    Raises:
        UsageError: the spec is malformed or of a wrong type, or two images have the same name.
        InputUnavailable: a file is missing or cannot be decoded, a folder cannot be listed, or there is no image.
    """
    if not isinstance(spec, str | os.PathLike):
        raise UsageError(f"the images are a {type(spec).__name__}; expected a spec (text or a path) or an ImageSet.")
    with readable(spec):
        return _load(str(spec))


def _load(spec: str) -> ImageSet:
    if spec == "scenes" or spec.startswith("scenes:"):
        return _scenes(spec)
    if spec == "photographs":
        return load_photographs()
    if spec == "imagenet-samples":
        return _imagenet_samples()
    if spec == "object-masks":
        return _object_masks()
    path = given_path(spec)
    if path.is_dir():
        return _folder(path)
    if path.exists() or not glob.has_magic(spec):
        return _file(spec, path)
    return _glob(spec, path)


def _scenes(spec: str) -> ImageSet:
    count = spec.partition(":")[2] or str(_SCENES)
    if spec == "scenes:" or not (count.isascii() and count.isdigit()) or int(count) == 0:
        raise UsageError(f"image spec {spec!r}: expected a number of scenes above 0, as in 'scenes:24'.")
    return ImageSet("scenes", tuple(_scene(seed) for seed in range(int(count))), complete=int(count) >= _SCENES)


def _scene(seed: int) -> LabelledImage:
    scene = render(seed)
    return LazyImage(
        partial(_scene_content, seed),
        name=f"scene-{seed:02d}",
        digest=hashlib.sha256(scene.pixels.tobytes()).hexdigest(),
        intended=Intended(scene.main_object),
        source=f"procedural scene, seed {seed}",
    )


def _scene_content(seed: int) -> Content:
    scene = render(seed)
    return Content(scene.pixels, scene.masks[scene.main_object], scene.masks)


def _imagenet_samples() -> ImageSet:
    """Return the ten photographs of the study, digests checked, and further images in their folder of the data root."""
    entries = {obtain(entry): entry.source for entry in download_entries("imagenet-samples")}
    folder = data_root() / "imagenet-samples"
    files = sorted({*entries, *(file for file in folder.glob("*") if _is_meant(file))})
    sources = {file: entries.get(file, f"imagenet-samples/{file.name}") for file in files}
    photographs = read_all(partial(read_image, file, file.name, source) for file, source in sources.items())
    return ImageSet("imagenet-samples", tuple(photographs))


def _is_meant(file: Path) -> bool:
    return file.is_file() and is_image(file) and not is_stray(file.name)


def _object_masks() -> ImageSet:
    folder = data_root() / "object-masks"
    if not folder.is_dir():
        raise InputUnavailable(
            f"the image set object-masks is not at {folder}; expected a folder with images/ and masks/ (files of "
            "the same stem, 255 = object). It cannot be downloaded: copy it there, or set XAI_EVAL_DATA to a folder "
            "that holds it."
        )
    return _folder(folder)


def _folder(folder: Path) -> ImageSet:
    name = name_of_folder(folder)
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return ImageSet(name, tuple(read_masked_images(folder / "images", folder / "masks", name)))
    return ImageSet(name, tuple(read_images(images_in(folder), folder, name)))


def _file(spec: str, path: Path) -> ImageSet:
    if not path.exists():
        raise InputUnavailable(
            f"image spec {spec!r}: {path} does not exist; expected a file, a folder, a glob or one of "
            f"{', '.join(_NAMED)}. Check the path."
        )
    return ImageSet(name_of_folder(path.resolve().parent), (read_image(path, path.name, path.name),), complete=False)


def _glob(spec: str, pattern: Path) -> ImageSet:
    # Names are relative to the deepest folder before the first wildcard of the pattern.
    base = next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))
    try:
        files = files_matching(base, pattern.relative_to(base).as_posix())
    except ValueError as error:
        raise UsageError(
            f"image spec {spec!r} is not a valid pattern ({error}). Write '**/*.jpg' to search all folders below."
        ) from error
    chosen = [file for file in files if _is_meant(file)]
    if not chosen:
        raise InputUnavailable(
            f"image spec {spec!r} matches no image below {base} ({len(files)} other matches); expected "
            f"files ending in {known_suffixes()}. Check the pattern."
        )
    name = name_of_folder(base)
    return ImageSet(name, tuple(read_images(chosen, base, name)), complete=False)


def names_images(spec: str) -> bool:
    """Tell whether a spec names a known set of images, such as `scenes:24`, and not files of the user."""
    return spec.partition(":")[0] in {name.partition(":")[0] for name in _NAMED}
