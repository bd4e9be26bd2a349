"""Load a folder of images with label maps as a probe set: `images/`, `labels/` (PNG, same stems), `classes.txt`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import spelled
from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.image_files import by_stem, images_in, name_below
from xai_eval.inputs.images.orientation import UPRIGHT, check_alike
from xai_eval.inputs.probes.files_digest import digest_of_files
from xai_eval.inputs.probes.label_maps import check_aspect, listed, read_indices
from xai_eval.inputs.probes.probe_set import Concept, ProbeImage, ProbeSet
from xai_eval.inputs.set_names import name_of_folder
from xai_eval.inputs.text_lines import read_lines, require_short

_VOID = 255
_CLASSES = "classes.txt"


def has_label_maps(folder: Path) -> bool:
    """Tell whether a folder is laid out as images with label maps."""
    return (folder / "images").is_dir() and (folder / "labels").is_dir()


def load_label_maps(folder: Path, *, upright: bool = False) -> ProbeSet:
    """Load a folder of images with label maps.

    Args:
        folder: the folder.
        upright: whether images are turned as their EXIF orientations say; label maps have none.

    `classes.txt` has one class per line; the first has the id 0. A line is the name of the class, or the name, a tab
    and a category ("object" if none is given). In the label maps, two values mean that a pixel has no label: the number
    of classes, and 255 if no class has that id.

    Raises:
        UsageError: two files have the same stem.
        InputUnavailable: there is no image, an image has no label map, or `classes.txt` is missing or malformed.
    """
    concepts, name = _classes(folder / _CLASSES), name_of_folder(folder)
    pairs, notes = _pairs(folder / "images", folder / "labels", name)
    files = [(_CLASSES, folder / _CLASSES)]
    files += [(path.relative_to(folder).as_posix(), path) for pair in pairs for path in (pair.image, pair.labels)]
    return ProbeSet(
        name=name,
        names=tuple(pair.name for pair in pairs),
        reader=_LabelMaps(pairs, len(concepts), upright),
        concepts=concepts,
        digest=digest_of_files("label maps, upright" if upright else "label maps", files),
        notes=notes,
    )


@dataclass(frozen=True)
class _Pair:
    name: str
    image: Path
    labels: Path


@dataclass(frozen=True)
class _LabelMaps:
    pairs: tuple[_Pair, ...]
    classes: int
    upright: bool

    def read(self, position: int) -> ProbeImage:
        pair = self.pairs[position]
        decoded = decode(pair.image, upright=self.upright)
        check_alike(pair.image, decoded.orientation, pair.labels, UPRIGHT)
        pixels, ids = decoded.pixels, read_indices(pair.labels)
        check_aspect(str(pair.labels), ids.shape, pixels.shape[:2])
        return ProbeImage(pair.name, pixels, self._labels(pair.labels, ids)[None])

    def _labels(self, path: Path, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        unknown = ids[(ids > self.classes) & (ids != _VOID)]
        if unknown.size:
            raise InputUnavailable(
                f"{path} holds the ids {listed(unknown)}; expected 0 to {self.classes - 1}, as {_CLASSES} lists them, "
                f"or {self.classes} or {_VOID} for no label. Complete {_CLASSES}, or correct the ids."
            )
        return np.where(ids < self.classes, ids + 1, 0).astype(np.int32)


def _pairs(images: Path, maps: Path, name: str) -> tuple[tuple[_Pair, ...], tuple[str, ...]]:
    """Return the images with their label maps in the order of their stems, and notes on files left out."""
    drawings, labellings = images_in(images), images_in(maps)
    drawn, labelled = by_stem(drawings.images, images), by_stem(labellings.images, maps)
    missing = sorted(drawn.keys() - labelled.keys())
    if missing:
        raise InputUnavailable(
            f"{maps} has no label map for {len(missing)} of {len(drawn)} images, first {missing[0]!r}; expected one "
            "with the same stem for each. Add it, or name the folder images/ itself to go without labels."
        )
    idle = len(labelled.keys() - drawn.keys())
    left_out = (*drawings.notes(f"{name}/images"), *labellings.notes(f"{name}/labels"))
    pairs = (_Pair(name_below(path, images), path, labelled[stem]) for stem, path in sorted(drawn.items()))
    return tuple(pairs), (*left_out, *((f"{idle} label maps without an image left out",) if idle else ()))


def _classes(path: Path) -> tuple[Concept, ...]:
    lines = _lines(path)
    concepts = tuple(_concept(path, number, line) for number, line in enumerate(lines, start=1))
    if not concepts:
        raise InputUnavailable(
            f"{path} is empty; expected the name of a class on every line, the class with id 0 first. Write it."
        )
    first: dict[str, int] = {}
    for number, concept in enumerate(concepts, start=1):
        if concept.name in first:
            raise InputUnavailable(
                f"{path}, lines {first[concept.name]} and {number}: two classes are called {concept.name!r}; expected "
                "a different name for each. Rename one."
            )
        first[concept.name] = number
    return concepts


def _lines(path: Path) -> list[str]:
    """Return the lines, without blank ones at the end."""
    if not path.is_file():
        raise InputUnavailable(
            f"{path} is missing; expected the name of a class on every line, the class with id 0 first. Write it, or "
            "name the folder images/ itself to go without labels."
        )
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _concept(path: Path, number: int, line: str) -> Concept:
    fields = [field.strip() for field in line.split("\t")]
    if not all(fields) or len(fields) > 2:
        raise InputUnavailable(
            f"{path}, line {number}: {spelled(line)}; expected a name, or a name, a tab and a category. Every line "
            "counts, because its number gives the id of its class. Correct it."
        )
    for each in fields:
        require_short(each, path, number)
    return Concept(fields[0], fields[1] if len(fields) == 2 else "object")
