"""Load a folder of photographs as a probe set without labels; refuse folders that also hold label maps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.image_files import images_in, name_below
from xai_eval.inputs.probes.broden_index import is_broden
from xai_eval.inputs.probes.files_digest import digest_of_files
from xai_eval.inputs.probes.probe_set import ProbeImage, ProbeSet
from xai_eval.inputs.set_names import name_of_folder

# Names of label maps beside an image: Broden puts x_object.png and x_part_1.png beside x.jpg. The last four endings are
# used by other data sets.
_BESIDE = re.compile(r"(.+)_(color|object|part|material|scene|texture|label|labels|mask|seg)(_\d+)?")
_LABEL_FOLDERS = ("labels", "masks")


def load_folder(folder: Path, *, upright: bool = False) -> ProbeSet:
    """Load the photographs of a folder and its sub-folders in the order of their names, without hidden ones.

    Args:
        folder: the folder.
        upright: whether photographs are turned as their EXIF orientations say.

    Raises:
        InputUnavailable: there is no image, a folder cannot be listed, or there are label maps among the images.
    """
    _refuse_broden(folder)
    listing, name = images_in(folder), name_of_folder(folder)
    named = sorted((name_below(path, folder), path) for path in listing.images)
    files = tuple(path for _, path in named)
    _refuse_label_folders(folder, files)
    _refuse_label_files(folder, files)
    names = tuple(name for name, _ in named)
    digest = digest_of_files("photographs, upright" if upright else "photographs", named)
    return ProbeSet(name, names, _Photographs(names, files, upright), (), digest, listing.notes(name))


@dataclass(frozen=True)
class _Photographs:
    names: tuple[str, ...]
    files: tuple[Path, ...]
    upright: bool

    def read(self, position: int) -> ProbeImage:
        return ProbeImage(self.names[position], decode(self.files[position], upright=self.upright).pixels)


def _refuse_broden(folder: Path) -> None:
    place = folder.resolve()
    for images in (place, *place.parents):
        if images.name == "images" and is_broden(images.parent):
            raise _mixed(
                folder,
                f"belongs to Broden, whose label maps lie beside the photographs; only {images.parent / 'index.csv'} "
                "tells which is which",
                f"Name {images.parent} instead",
            )


def _refuse_label_folders(folder: Path, files: Iterable[Path]) -> None:
    base = folder.resolve()
    places = {base} | {base / above for path in files for above in path.relative_to(folder).parents}
    for place in sorted(places):
        if place.name in _LABEL_FOLDERS and (place.parent / "images").is_dir():
            raise _mixed(
                folder,
                f"includes files of {place}, which holds label maps or masks of images in {place.parent / 'images'}",
                f"Name {place.parent / 'images'} to go without labels, or {place.parent} with images/, labels/ and "
                "classes.txt",
            )


def _refuse_label_files(folder: Path, files: Iterable[Path]) -> None:
    stems = {path.with_suffix("") for path in files}
    for path in files:
        beside = _BESIDE.fullmatch(path.stem) if path.suffix.lower() == ".png" else None
        if beside and path.with_name(beside[1]) in stems:
            raise _mixed(
                folder,
                f"holds {path.relative_to(folder).as_posix()} beside an image called {beside[1]}, which is how label "
                "maps are named",
                "Move label maps elsewhere, or name Broden's own folder with its index.csv",
            )


def _mixed(folder: Path, found: str, advice: str) -> InputUnavailable:
    return InputUnavailable(
        f"{folder} {found}; expected photographs only, because label maps would be explained as images. {advice}."
    )
