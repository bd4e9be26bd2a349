"""Maps, masks, superpixels and labelled units that never change: what the metrics are asked about.

On the images of a run a broken metric may give what the right one gave, such as a pointing game that says yes to
everything where every map hits.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import torch

# Higher than wide, so that rows and columns cannot be taken for each other.
SHAPE = (40, 32)
LAYER = (3, 2)
STEPS = 8
_CELLS = 4  # superpixels along each side; those of the explained layer are larger
_NAN = float("nan")
# Of three images: settings that are equal, that rounding alone tells apart, and that have no value.
TIED = np.array([[0.3, 0.3, 0.1, 0.5, 0.5 + 1e-9], [0.2, _NAN, 0.2, 0.1, _NAN], [0.4, 0.2, 0.2, 0.2, 0.1]])
# None is a unit without a label; scores lie on both sides of the bound of Network Dissection, and on it.
LABELS = ("car", "sky", "car", None, "sky", "tree", "car", "tree", "boat", "sky", None, "car")
OTHER_LABELS = ("car", "sky", "sky", "sky", None, "tree", "car", "boat", "boat", "tree", None, "car")
SCORES = np.array([0.3, 0.04, 0.02, _NAN, 0.11, 0.05, 0.2, 0.039, 0.041, 0.5, _NAN, 0.07])
_CATEGORIES = {"car": "object", "boat": "object", "tree": "object", "sky": "scene"}


@cache
def known_object() -> NDArray[np.bool_]:
    """The mask of an object, (h, w)."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[6:16, 4:14] = True
    return mask


@cache
def known_maps() -> tuple[NDArray[np.float32], ...]:
    """On the object, beside it, wide, narrow, on two places, rising over the whole image, and flat on two places."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]

    def spot(row: float, column: float, width: float) -> NDArray[np.float64]:
        return np.asarray(np.clip(1.0 - np.hypot(rows - row, columns - column) / width, 0.0, 1.0))

    every = (
        spot(10, 9, 7),
        spot(10, 22, 7),
        spot(17, 12, 20),
        spot(15, 15, 1.5),
        np.maximum(spot(10, 9, 6), 0.8 * spot(25, 26, 5)),
        (rows + 2 * columns) / (3.0 * max(SHAPE) + 1.0),  # no value is a threshold
        np.where(np.maximum(spot(3, 28, 6), spot(10, 9, 7)) > 0.5, 1.0, 0.0),
    )
    return tuple(each.astype(np.float32) for each in every)


@cache
def known_plateau() -> NDArray[np.float32]:
    """Flat in a corner of the image, nearer to its border than any margin."""
    plateau = np.zeros(SHAPE, dtype=np.float32)
    plateau[:5, :4] = 1.0
    return plateau


@cache
def known_concepts() -> dict[str, NDArray[np.bool_]]:
    """Five concepts, of which two share a border and one is small: a focus names the largest three."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return {
        "west": columns < 9,
        "object": known_object(),
        "east": columns >= 9,
        "north": rows < 10,
        "speck": rows == 10,
    }


@cache
def known_subject() -> SimpleNamespace:
    """What a row of scores needs of an image that was explained."""
    return SimpleNamespace(mask=known_object(), view=known_pixels(), target=SimpleNamespace(index=0))


@cache
def known_masks() -> tuple[NDArray[np.bool_], ...]:
    """What every map has above one half, parts joined by their corners alone, and nothing."""
    return (*(saliency > 0.5 for saliency in known_maps()), np.eye(*SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool))


@cache
def known_segments() -> NDArray[np.int64]:
    """Superpixels, (h, w)."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(rows * _CELLS // SHAPE[0] * _CELLS + columns * _CELLS // SHAPE[1], dtype=np.int64)


@cache
def known_weights() -> NDArray[np.float64]:
    """Of five seeds, (5, F): positive, negative, nearly equal and 0."""
    generator = np.random.Generator(np.random.PCG64(7))
    base = np.linspace(-0.5, 1.0, _CELLS * _CELLS) * np.tile([1.0, -0.6, 0.3, 0.0], _CELLS)
    return np.asarray(base + 0.05 * generator.random((5, len(base))))


@cache
def known_pixels() -> NDArray[np.uint8]:
    """An image of three maps, (h, w, 3)."""
    first, second, third = known_maps()[:3]
    return np.asarray(np.stack([first, 1.0 - second, third], axis=-1) * 255, dtype=np.uint8)


def brightness_of_object(views: torch.Tensor) -> torch.Tensor:
    """A model in closed form: the mean brightness of the object in each view, and what it lacks to 1, (N, 2)."""
    import torch

    bright = views.double().mean(dim=3)[:, torch.from_numpy(known_object())].mean(dim=1) / 255.0
    return torch.stack([bright, 1.0 - bright], dim=1)


@cache
def known_units() -> pd.DataFrame:
    """Twelve labelled units of two layers."""
    import pandas as pd

    categories = [None if label is None else _CATEGORIES[label] for label in LABELS]
    layers = ["layer3"] * 5 + ["layer4"] * 7
    columns = {"layer": layers, "unit": range(12), "label": LABELS, "score": SCORES, "category": categories}
    return pd.DataFrame(columns)


@cache
def known_activation() -> NDArray[np.float64]:
    """Activation of a unit over forty images, higher where its concept is present."""
    return drawn((40,)) + 0.2 * known_presence()


@cache
def known_presence() -> NDArray[np.bool_]:
    """In which of forty images a concept is present."""
    return np.asarray(drawn((40,)) > 0.6)


def drawn(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers in [0, 1) that every version of numpy draws alike."""
    raw = np.random.PCG64(11).random_raw(int(np.prod(shape))).astype(np.uint64)
    return np.asarray((raw >> np.uint64(11)) / 2.0**53).reshape(shape)
