"""Names for image sets and model files of the user: readable, and without paths that exist on one machine only."""

from __future__ import annotations

import unicodedata
from pathlib import Path

# Folders of many data sets have these names, so a set needs the name of the folder above as well.
_SAY_NOTHING = frozenset(
    {
        *("images", "image", "imgs", "img", "pictures", "jpegimages", "jpeg", "jpg", "png", "frames", "files", "data"),
        *("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"),
    }
)
# Files of many models have these names, without the suffix.
_ANY_MODEL = frozenset(
    {
        *("model", "models", "net", "nets", "network", "networks", "classifier", "module", "factory", "factories"),
        *("main", "load", "__init__"),
    }
)
# What the folder of a project holds; its own name depends on where it was checked out.
_OF_A_PROJECT = (".git", "xai_eval.toml", "pyproject.toml")
# No slash, because the name of an image in its set begins after the first one.
_BETWEEN = ":"


def name_of_folder(folder: Path) -> str:
    """Return the name of the image set in a folder: `photos`, or `train:images` for a folder `train/images`.

    The name of the folder alone is used unless it is one that many data sets have. Then those of the folders above are
    put in front, up to the first that says more, but never that of the project's folder, of the working folder (where
    there is no project), or of the home folder.
    """
    place = folder.resolve()
    kept: list[str] = []
    for name in reversed(_parts(place)):
        kept.insert(0, name)
        if name.casefold() not in _SAY_NOTHING:
            break
    # macOS may return accents apart from their letters (NFD), which is the same name.
    return unicodedata.normalize("NFC", _BETWEEN.join(kept) or place.name)


def name_of_file(file: Path) -> str:
    """Return the name of a model file: `nets.py`, or `birds/model.py` where the file alone is called as many are.

    The folders above are named only up to that of the project, or else up to the working or the home folder.
    """
    place = file.resolve()
    known = _start(place) if place.stem.casefold() in _ANY_MODEL else None
    return unicodedata.normalize("NFC", place.name if known is None else place.relative_to(known).as_posix())


def _parts(place: Path) -> tuple[str, ...]:
    """Return the names of the folders that lead to a place from the project, or else from the working folder."""
    return place.relative_to(_start(place) or place.anchor).parts


def _start(place: Path) -> Path | None:
    """Return the folder of the project, or else the working or the home folder; None if a place is in none of them."""
    start = next((above for above in place.parents if any((above / each).exists() for each in _OF_A_PROJECT)), None)
    others = (Path.cwd(), Path.home())
    return start or next((each for each in others if place.is_relative_to(each) and place != each), None)
