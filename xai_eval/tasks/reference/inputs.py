"""Maps, masks, superpixels and labelled units on which the metrics are checked. They never change.

The images of a run would not do, because a broken metric may give the right number for them. If all maps of a run hit
the object, for example, a pointing game that always says yes goes unnoticed.
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

# The height and width differ, so that a metric that mixes up rows and columns is noticed.
SHAPE = (40, 32)
LAYER = (3, 2)
STEPS = 8
_CELLS = 4  # number of superpixels along each side
_NAN = float("nan")
# Scores of five settings on three images. Some are equal, some differ by rounding only, and some are missing.
TIED = np.array([[0.3, 0.3, 0.1, 0.5, 0.5 + 1e-9], [0.2, _NAN, 0.2, 0.1, _NAN], [0.4, 0.2, 0.2, 0.2, 0.1]])
# None is a unit without a label. The scores lie below, on and above the threshold of Network Dissection, 0.04.
LABELS = ("car", "sky", "car", None, "sky", "tree", "car", "tree", "boat", "sky", None, "car")
OTHER_LABELS = ("car", "sky", "sky", "sky", None, "tree", "car", "boat", "boat", "tree", None, "car")
SCORES = np.array([0.3, 0.04, 0.02, _NAN, 0.11, 0.05, 0.2, 0.039, 0.041, 0.5, _NAN, 0.07])
_CATEGORIES = {"car": "object", "boat": "object", "tree": "object", "sky": "scene"}


@cache
def known_object() -> NDArray[np.bool_]:
    """Return the mask of an object, (h, w)."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[6:16, 4:14] = True
    return mask


@cache
def known_maps() -> tuple[NDArray[np.float32], ...]:
    """Return seven maps, (h, w).

    They are a spot on the object, a spot next to it, a wide and a narrow spot, two spots, a ramp over the whole image,
    and two flat spots.
    """
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]

    def spot(row: float, column: float, width: float) -> NDArray[np.float64]:
        return np.asarray(np.clip(1.0 - np.hypot(rows - row, columns - column) / width, 0.0, 1.0))

    every = (
        spot(10, 9, 7),
        spot(10, 22, 7),
        spot(17, 12, 20),
        spot(15, 15, 1.5),
        np.maximum(spot(10, 9, 6), 0.8 * spot(25, 26, 5)),
        (rows + 2 * columns) / (3.0 * max(SHAPE) + 1.0),  # no value equals a threshold
        np.where(np.maximum(spot(3, 28, 6), spot(10, 9, 7)) > 0.5, 1.0, 0.0),
    )
    return tuple(each.astype(np.float32) for each in every)


@cache
def known_plateau() -> NDArray[np.float32]:
    """Return a map that is flat in a corner of the image, closer to its border than any margin."""
    plateau = np.zeros(SHAPE, dtype=np.float32)
    plateau[:5, :4] = 1.0
    return plateau


@cache
def known_concepts() -> dict[str, NDArray[np.bool_]]:
    """Return five concepts. Two of them share a border, and one is small. A focus names the largest three."""
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
    """Return the attributes of an explained image that a row of scores needs."""
    return SimpleNamespace(mask=known_object(), canvas=known_pixels(), target=SimpleNamespace(index=0))


@cache
def known_masks() -> tuple[NDArray[np.bool_], ...]:
    """Return masks: each map above one half, a diagonal whose pixels touch only at corners, and an empty mask."""
    return (*(saliency > 0.5 for saliency in known_maps()), np.eye(*SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool))


@cache
def known_segments() -> NDArray[np.int64]:
    """Return superpixels, (h, w), a grid of four by four."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(rows * _CELLS // SHAPE[0] * _CELLS + columns * _CELLS // SHAPE[1], dtype=np.int64)


@cache
def known_weights() -> NDArray[np.float64]:
    """Return weights of superpixels for five seeds, (5, F). Some are positive, negative, nearly equal or nearly 0."""
    generator = np.random.Generator(np.random.PCG64(7))
    base = np.linspace(-0.5, 1.0, _CELLS * _CELLS) * np.tile([1.0, -0.6, 0.3, 0.0], _CELLS)
    return np.asarray(base + 0.05 * generator.random((5, len(base))))


@cache
def known_pixels() -> NDArray[np.uint8]:
    """Return an image, uint8 (h, w, 3), whose three channels are made of maps."""
    first, second, third = known_maps()[:3]
    return np.asarray(np.stack([first, 1.0 - second, third], axis=-1) * 255, dtype=np.uint8)


def brightness_of_object(views: torch.Tensor) -> torch.Tensor:
    """A model in closed form with two classes, (N, 2): the mean brightness of the object, and 1 minus it."""
    import torch

    bright = views.double().mean(dim=3)[:, torch.from_numpy(known_object())].mean(dim=1) / 255.0
    return torch.stack([bright, 1.0 - bright], dim=1)


@cache
def known_units() -> pd.DataFrame:
    """Return a table of twelve units of two layers, ten of them labelled."""
    import pandas as pd

    categories = [None if label is None else _CATEGORIES[label] for label in LABELS]
    layers = ["layer3"] * 5 + ["layer4"] * 7
    columns = {"layer": layers, "unit": range(12), "label": LABELS, "score": SCORES, "category": categories}
    return pd.DataFrame(columns)


@cache
def known_activation() -> NDArray[np.float64]:
    """Return the activations of a unit for forty images. They are higher where its concept is present."""
    return drawn((40,)) + 0.2 * known_presence()


@cache
def known_presence() -> NDArray[np.bool_]:
    """Return in which of forty images a concept is present."""
    return np.asarray(drawn((40,)) > 0.6)


def drawn(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return pseudo-random numbers in [0, 1) that are the same under every version of numpy."""
    raw = np.random.PCG64(11).random_raw(int(np.prod(shape))).astype(np.uint64)
    return np.asarray((raw >> np.uint64(11)) / 2.0**53).reshape(shape)
