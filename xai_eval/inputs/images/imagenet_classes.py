"""The 1,000 classes of ImageNet-1k: index, WordNet id and name.

The index of a class is the rank of its WordNet id in sorted order, which is the order in which torchvision's
`ImageFolder` finds the training folders. The names are those of torchvision's weights. A name alone may not identify a
class: "crane" and "crane bird", "cardigan" and "Cardigan" are different classes.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from xai_eval.disk.door import read_text
from xai_eval.inputs.downloads import bundled


@dataclass(frozen=True)
class ImageNetClass:
    """One class of ImageNet-1k: its index (0-999), WordNet id such as "n02007558", and name."""

    index: int
    wnid: str
    name: str


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """Return all 1,000 classes in the order of their index.

    Raises:
        InputUnavailable: the bundled table is missing, or was changed.
    """
    lines = read_text(bundled("imagenet_classes"), follow=True).splitlines()
    return tuple(ImageNetClass(int(row["index"]), row["wnid"], row["name"]) for row in csv.DictReader(lines))


@cache
def classes_by_wnid() -> dict[str, ImageNetClass]:
    """Return the same classes by WordNet id."""
    return {entry.wnid: entry for entry in imagenet_classes()}
