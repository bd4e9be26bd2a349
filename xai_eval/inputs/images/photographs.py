"""Photographs that come with scikit-image and scikit-learn, which are installed with this package."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.image_files import read_image
from xai_eval.inputs.images.imagenet_classes import classes_by_wnid
from xai_eval.inputs.images.labelled import ImageSet, Intended, LabelledImage

_NAME = "photographs"
_SKIMAGE, _SKLEARN = ("skimage", "scikit-image"), ("sklearn", "scikit-learn")


@dataclass(frozen=True)
class _Photograph:
    """A photograph inside the wheel of a library.

    Attributes:
        name: its name in the set.
        library: module and distribution that it comes with.
        file: its path in the module.
        sha256: SHA-256 of the file in the releases that were looked at.
        wnid: WordNet id of the class of ImageNet-1k that it is meant to show; None if no class is what it shows.
        note: what to know about the class.
    """

    name: str
    library: tuple[str, str]
    file: str
    sha256: str
    wnid: str | None = None
    note: str = ""


_PHOTOGRAPHS = (
    _Photograph(
        "astronaut.png",
        _SKIMAGE,
        "data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        note="ImageNet-1k has no class for an astronaut",
    ),
    _Photograph(
        "cat.png",
        _SKIMAGE,
        "data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "n02123045",
        "ImageNet-1k has several classes for cats; Egyptian cat and tiger cat are as good as tabby",
    ),
    _Photograph(
        "coffee.png",
        _SKIMAGE,
        "data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "n07920052",
    ),
    _Photograph(
        "flower.jpg",
        _SKLEARN,
        "datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        note="ImageNet-1k has no class for a dahlia",
    ),
    _Photograph(
        "motorcycle.png",
        _SKIMAGE,
        "data/motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        note="ImageNet-1k has no class for a motorcycle; the nearest are moped and motor scooter",
    ),
    _Photograph(
        "rocket.jpg",
        _SKIMAGE,
        "data/rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "n03773504",
        "missile is the class of ImageNet-1k that is nearest to a rocket",
    ),
    _Photograph(
        "temple.jpg",
        _SKLEARN,
        "datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "n03877845",
        "it belongs to the Summer Palace in Beijing",
    ),
)


def load_photographs() -> ImageSet:
    """Load the seven photographs that scikit-image and scikit-learn have in their wheels; nothing is downloaded.

    Raises:
        InputUnavailable: the installed release of a library comes without one of them.
    """
    return ImageSet(_NAME, tuple(_load(photograph) for photograph in _PHOTOGRAPHS))


def _load(photograph: _Photograph) -> LabelledImage:
    module, library = photograph.library
    path = _folder(module, library) / photograph.file
    release = f"{library} {_version(library)}"
    if not path.is_file():
        raise InputUnavailable(
            f"{path} does not exist: {release} comes without the photograph {photograph.name}. Install another "
            f"release of {library}, or name a folder with photographs of your own."
        )
    read = read_image(path, photograph.name, f"{library}, {photograph.file}")
    notes = [photograph.note] if photograph.note else []
    if read.digest != photograph.sha256:
        notes.append(
            f"in {release}, the file has other bytes than in the releases that xai_eval was tested with (SHA-256 "
            f"{photograph.sha256[:12]}...)"
        )
    return dataclasses.replace(read, intended=_intended(photograph), notes=(*read.notes, *notes))


def _intended(photograph: _Photograph) -> Intended | None:
    if photograph.wnid is None:
        return None
    return Intended(classes_by_wnid()[photograph.wnid].name, photograph.wnid)


def _folder(module: str, library: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise InputUnavailable(f"the photographs come with {library}, which is not installed. Install it.")
    return Path(next(iter(found.submodule_search_locations)))


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"
