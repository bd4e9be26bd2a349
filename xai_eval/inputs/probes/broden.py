"""Load Broden, the probe set of Network Dissection, whose pixels have labels of several categories at once.

Bau et al., "Network Dissection: Quantifying Interpretability of Deep Visual Representations", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.orientation import UPRIGHT, check_alike
from xai_eval.inputs.probes.broden_index import INDEX, LARGEST_NUMBER, Row, read_concepts, read_index
from xai_eval.inputs.probes.files_digest import digest_of_files
from xai_eval.inputs.probes.label_maps import check_aspect, listed, read_red_green
from xai_eval.inputs.probes.probe_set import ProbeImage, ProbeSet
from xai_eval.inputs.set_names import name_of_folder


def load_broden(folder: Path, *, upright: bool = False) -> ProbeSet:
    """Load a folder laid out as Broden; its `index.csv` lists the photographs and their label maps.

    The listed files are opened only when an image is read.

    Raises:
        OSError: a table is missing or cannot be read.
        UsageError: an image is listed twice, or two label numbers of a category have the same name.
        InputUnavailable: a table does not have the expected columns or values.
    """
    index = read_index(folder / INDEX)
    concepts = read_concepts(folder, index.categories)
    codes = np.zeros(LARGEST_NUMBER + 2, dtype=np.int32)
    codes[list(concepts)] = np.arange(1, len(concepts) + 1)
    tables = (INDEX, *(f"c_{category}.csv" for category in index.categories))
    files = [(name, folder / name) for name in tables]
    files += [(name, folder / "images" / name) for name in _listed(index.rows)]
    return ProbeSet(
        name=name_of_folder(folder),
        names=tuple(row.image for row in index.rows),
        reader=_Broden(folder, index.rows, codes, upright),
        concepts=tuple(concepts.values()),
        digest=digest_of_files("broden, upright" if upright else "broden", files),
    )


@dataclass(frozen=True, eq=False)
class _Broden:
    """Reads the images of the index.

    Attributes:
        folder: Broden's folder.
        rows: the rows of the index.
        upright: whether photographs are turned as their EXIF orientations say.
        codes: by Broden's label number, the label in a `ProbeImage`; the last entry, 0, is for numbers out of range.
    """

    folder: Path
    rows: tuple[Row, ...]
    codes: NDArray[np.int32]
    upright: bool

    def read(self, position: int) -> ProbeImage:
        row = self.rows[position]
        path = self.folder / "images" / row.image
        decoded = decode(path, upright=self.upright)
        check_alike(path, decoded.orientation, self.folder / INDEX, UPRIGHT)
        pixels = decoded.pixels
        check_aspect(f"{row.image} in {self.folder / INDEX}", row.shape, pixels.shape[:2])
        labels = np.zeros((len(row.labels), *row.shape), dtype=np.int32)
        for place, entry in enumerate(row.labels):
            labels[place] = self._labels(row, entry)
        return ProbeImage(row.image, pixels, _once(labels))

    def _labels(self, row: Row, entry: str | int) -> NDArray[np.int32]:
        """Return the labels of one entry of a row: (H, W), or a scalar if the whole image has one label."""
        if isinstance(entry, int):
            return self._coded(np.array(entry, dtype=np.int32), f"{row.image} in {self.folder / INDEX}")
        path = self.folder / "images" / entry
        numbers = read_red_green(path)
        if numbers.shape != row.shape:
            raise InputUnavailable(
                f"{path} is {numbers.shape[1]} x {numbers.shape[0]} pixels; expected {row.shape[1]} x {row.shape[0]}, "
                f"as {self.folder / INDEX} says. Get the file again."
            )
        return self._coded(numbers, str(path))

    def _coded(self, numbers: NDArray[np.int32], where: str) -> NDArray[np.int32]:
        coded: NDArray[np.int32] = self.codes[np.minimum(numbers, len(self.codes) - 1)]
        unknown = numbers[(coded == 0) & (numbers > 0)]
        if unknown.size:
            raise InputUnavailable(
                f"{where} has the label numbers {listed(unknown)}; expected numbers that the c_*.csv of {self.folder} "
                "list, or 0 for no label. Get these files again."
            )
        return coded


def _once(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Remove a label of a pixel that it also has in an earlier map of (S, H, W); two parts may have the same name."""
    for place in range(1, len(labels)):
        labels[place][(labels[:place] == labels[place]).any(axis=0)] = 0
    return labels


def _listed(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield row.image
        yield from (entry for entry in row.labels if isinstance(entry, str))
