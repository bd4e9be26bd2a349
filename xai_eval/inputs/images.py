"""Pictures to explain: bundled scenes, the photographs of the study, and the user's own files."""

from __future__ import annotations

import glob
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.data import data_root, download_entries, obtain
from xai_eval.inputs.decode import decode
from xai_eval.inputs.imagenet_classes import classes_by_wnid
from xai_eval.inputs.scenes import render

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_NAMED = ("scenes", "scenes:N", "imagenet-samples", "object-masks")
_SCENES = 12
_WNID_FILE = re.compile(r"(n\d{8})_(.+)")


@dataclass(frozen=True)
class Intended:
    """The class that a picture is meant to show; what a model sees in it is another matter."""

    name: str
    wnid: str | None = None


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """A picture with what is known about it.

    Attributes:
        name: unique in its set; the relative posix path of a file, or the name of a scene.
        pixels: uint8 (h, w, 3), RGB.
        digest: SHA-256 of the file's bytes, or of the pixels of a scene.
        intended: the class it is meant to show, where that is known.
        mask: bool (h, w), true on the intended object, where that is known.
        notes: what had to be done to read it, and what about its name is odd.
        source: where it comes from, without the paths of one machine.
    """

    name: str
    pixels: NDArray[np.uint8]
    digest: str
    intended: Intended | None = None
    mask: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures in a fixed order, each with a name of its own.

    Raises:
        UsageError: two pictures have the same name.
    """

    name: str
    images: tuple[LabelledImage, ...]

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(image.name for image in self.images).items() if count > 1]
        if twice:
            raise UsageError(
                f"image set {self.name} has several pictures called {', '.join(twice[:3])}; results are filed "
                "by name, so each needs its own. Rename them."
            )


def load_images(spec: str) -> ImageSet:
    """Load the pictures that a spec names, in sorted order.

    Args:
        spec: "scenes" (12 bundled scenes), "scenes:N", "imagenet-samples", "object-masks", a folder (searched
            with its sub-folders; one with `images/` and `masks/` is read as pictures with masks), a file, or a
            glob such as "photos/*.jpg".

    Raises:
        UsageError: the spec is malformed, or names are not unique.
        InputUnavailable: a file is missing or cannot be decoded, or there is no picture at all.
    """
    if spec == "scenes" or spec.startswith("scenes:"):
        return _scenes(spec)
    if spec == "imagenet-samples":
        return _imagenet_samples()
    if spec == "object-masks":
        return _object_masks()
    path = Path(spec).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.exists() or not glob.has_magic(spec):
        return _file(spec, path)
    return _glob(spec, path)


def _scenes(spec: str) -> ImageSet:
    count = spec.partition(":")[2] or str(_SCENES)
    if spec == "scenes:" or not (count.isascii() and count.isdigit()) or int(count) == 0:
        raise UsageError(f"image spec {spec!r}: expected a number of scenes above 0, as in 'scenes:24'.")
    return ImageSet(spec, tuple(_scene(seed) for seed in range(int(count))))


def _scene(seed: int) -> LabelledImage:
    scene = render(seed)
    return LabelledImage(
        name=f"scene-{seed:02d}",
        pixels=scene.pixels,
        digest=hashlib.sha256(scene.pixels.tobytes()).hexdigest(),
        intended=Intended(scene.main_object),
        mask=scene.masks[scene.main_object],
        source=f"procedural scene, seed {seed}",
    )


def _imagenet_samples() -> ImageSet:
    entries = sorted(download_entries("imagenet-samples"), key=lambda entry: entry.file)
    return ImageSet(
        "imagenet-samples",
        tuple(_picture(obtain(entry), Path(entry.file).name, entry.source) for entry in entries),
    )


def _object_masks() -> ImageSet:
    folder = data_root() / "object-masks"
    if not folder.is_dir():
        raise InputUnavailable(
            f"the image set object-masks is not at {folder}; expected a folder with images/ and masks/ (same "
            "stem, 255 = object). It cannot be downloaded: copy it there, or set XAI_EVAL_DATA to a folder "
            "that has it."
        )
    return _folder(folder)


def _folder(folder: Path) -> ImageSet:
    name = folder.resolve().name
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return ImageSet(name, tuple(_masked_pictures(folder / "images", folder / "masks", name)))
    return ImageSet(name, tuple(_pictures(_pictures_in(folder), folder, name)))


def _file(spec: str, path: Path) -> ImageSet:
    if not path.exists():
        raise InputUnavailable(
            f"image spec {spec!r}: {path} does not exist; expected a file, a folder, a glob or one of "
            f"{', '.join(_NAMED)}. Check the path."
        )
    return ImageSet(path.name, (_picture(path, path.name, path.name),))


def _glob(spec: str, pattern: Path) -> ImageSet:
    # Names are relative to the deepest folder that the pattern spells out.
    base = next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))
    files = [Path(found) for found in sorted(glob.glob(str(pattern), recursive=True))]
    chosen = [file for file in files if file.is_file() and _is_picture(file)]
    if not chosen:
        raise InputUnavailable(
            f"image spec {spec!r} matches no picture below {base} ({len(files)} other matches); expected files "
            f"ending in {_suffixes()}. Check the pattern."
        )
    name = f"{base.resolve().name}/{pattern.relative_to(base).as_posix()}"
    return ImageSet(name, tuple(_pictures(chosen, base, name)))


def _pictures_in(folder: Path) -> list[Path]:
    """Return the picture files below a folder; hidden files and folders are left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    chosen = [
        path
        for path in files
        if _is_picture(path) and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not chosen:
        what = f"holds {len(files)} files but no picture" if files else "is empty"
        raise InputUnavailable(
            f"{folder} {what}; expected files ending in {_suffixes()}. Check the path, or name the files."
        )
    return chosen


def _pictures(files: Iterable[Path], base: Path, set_name: str) -> list[LabelledImage]:
    named = sorted((path.relative_to(base).as_posix(), path) for path in files)
    return [_picture(path, name, set_name) for name, path in named]


def _masked_pictures(images: Path, masks: Path, set_name: str) -> list[LabelledImage]:
    pictures = _pictures_in(images)
    by_stem = _by_stem(pictures, images), _by_stem(_pictures_in(masks), masks)
    missing = sorted(by_stem[0].keys() - by_stem[1].keys())
    if missing:
        raise InputUnavailable(
            f"{masks} has no mask for {len(missing)} of {len(pictures)} pictures, first {missing[0]!r}; expected "
            "one of the same stem for each. Add it, or name the folder images/ itself to go without masks."
        )
    return [
        _picture(path, path.relative_to(images).as_posix(), set_name, by_stem[1][stem])
        for stem, path in sorted(by_stem[0].items())
    ]


def _by_stem(files: Iterable[Path], base: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(files):
        stem = path.relative_to(base).with_suffix("").as_posix()
        if stem in found:
            raise UsageError(
                f"{found[stem]} and {path.name} have the same stem; expected one file for each, because pictures "
                "and masks are matched by it. Rename one."
            )
        found[stem] = path
    return found


def _picture(path: Path, name: str, source: str, mask: Path | None = None) -> LabelledImage:
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
            f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels; expected {shape[1]} x {shape[0]}, the size "
            "of its picture. Draw the mask at full size."
        )
    values = np.unique(pixels)
    if not set(values.tolist()) <= {0, 255} or 255 not in values:
        raise InputUnavailable(
            f"{path} holds the values {', '.join(map(str, values[:6]))}{', ...' if len(values) > 6 else ''}; "
            "expected 255 on the object and 0 elsewhere, with at least one pixel of object. Save it as a lossless "
            "PNG of these two values."
        )
    inside: NDArray[np.bool_] = pixels[:, :, 0] == 255
    return inside


def intended_by_name(stem: str) -> tuple[Intended | None, tuple[str, ...]]:
    """Look up the class that a file name such as `n02007558_flamingo` stands for.

    The WordNet id decides, and is looked up among the classes of ImageNet-1k; nothing is taken from other names.
    The rest of the name may be a number, as in ImageNet's own files.

    Returns:
        The class, or None where the name has no id or an unknown one; and notes on what does not fit.
    """
    matched = _WNID_FILE.fullmatch(stem)
    if matched is None:
        return None, ()
    wnid, name = matched.groups()
    entry = classes_by_wnid().get(wnid)
    if entry is None:
        return None, (f"{wnid} in the file name is no class of ImageNet-1k; intended class unknown",)
    notes: tuple[str, ...] = ()
    if not name.isdigit() and _letters(name) != _letters(entry.name):
        notes = (f"the file name says {name!r}, but {wnid} is {entry.name!r}",)
    return Intended(entry.name, wnid), notes


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _suffixes() -> str:
    return ", ".join(sorted(SUFFIXES))
