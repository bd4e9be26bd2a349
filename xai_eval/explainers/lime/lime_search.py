"""lime under many settings for the price of a few: predictions are shared by all settings that cannot change them.

lime draws its samples row by row, so with one seed the samples of a short run are the first of a long one;
`top_labels`, `num_features` and `batch_size` do not enter them at all. Only the segmentation does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.lime.lime import LimeSettings, Neighbourhood, Surrogate, explain_by_lime, fit
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import choose_segmentation


@dataclass(frozen=True)
class Setting:
    """One cell of a grid: arguments of lime, and the name of a segmentation."""

    segmentation: str
    num_samples: int
    num_features: int
    top_labels: int
    batch_size: int


@dataclass(frozen=True)
class Grid:
    """The values that are tried of each argument; the defaults are the study's, 324 settings."""

    segmentation: tuple[str, ...] = ("slic", "quickshift", "felzenszwalb", "none")
    num_samples: tuple[int, ...] = (500, 600, 700)
    num_features: tuple[int, ...] = (15_000, 20_000, 25_000)
    top_labels: tuple[int, ...] = (3, 4, 5)
    batch_size: tuple[int, ...] = (5, 8, 10)

    def __post_init__(self) -> None:
        for each in fields(self):
            values = getattr(self, each.name)
            if not values or len(set(values)) < len(values):
                raise UsageError(f"{each.name} of the grid is {list(values)}; expected at least one value, each once.")
        for name in self.segmentation:
            choose_segmentation(name, 0)
        for setting in self.settings:
            LimeSettings(setting.num_samples, setting.top_labels, setting.num_features, setting.batch_size)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every cell, in the order of the values."""
        return tuple(Setting(*values) for values in product(*(getattr(self, each.name) for each in fields(self))))


def make_grid(values: Mapping[str, Any] | None = None) -> Grid:
    """Return the study's grid with some arguments replaced: name -> value or sequence of values.

    Raises:
        UsageError: an unknown argument, no values, or a value that lime cannot take.
    """
    known = [each.name for each in fields(Grid)]
    chosen = {}
    for name, given in (values or {}).items():
        if name not in known:
            raise unknown_name("argument of the grid", name, known)
        several = isinstance(given, Sequence) and not isinstance(given, str)
        chosen[name] = tuple(given) if several else (given,)
        kind = str if name == "segmentation" else int
        if not all(type(value) is kind for value in chosen[name]):
            raise UsageError(f"{name} of the grid is {given!r}; expected values of type {kind.__name__}.")
    return Grid(**chosen)


@dataclass(frozen=True, eq=False)
class LimeSearch:
    """All settings of one image. Surrogates are fitted when they are asked for, each once.

    Attributes:
        neighbourhoods: with the most samples of the grid, by name of the segmentation.
    """

    neighbourhoods: Mapping[str, Neighbourhood]
    _fitted: dict[tuple[str, int, int, int], Surrogate] = field(default_factory=dict)

    def surrogate(self, setting: Setting, label: int) -> Surrogate:
        """What lime gives for one class under one setting."""
        count, features = setting.num_samples, self.features(setting)
        key = (setting.segmentation, count, features, label)
        if key not in self._fitted:
            neighbourhood = self.neighbourhoods[setting.segmentation].first(count)
            # As it was asked for: the library selects superpixels in another way where it is to take 6 or fewer.
            self._fitted[key] = fit(neighbourhood, label, setting.num_features)
        return self._fitted[key]

    def features(self, setting: Setting) -> int:
        """How many superpixels get a weight: `num_features`, or all of them."""
        return min(setting.num_features, int(self.neighbourhoods[setting.segmentation].samples.shape[1]))

    def top_labels(self, setting: Setting) -> tuple[int, ...]:
        """The classes that lime explains under a setting, the most probable first."""
        whole: NDArray[np.float32] = self.neighbourhoods[setting.segmentation].probabilities[0]
        return tuple(int(label) for label in np.argsort(whole)[-setting.top_labels :][::-1])


def search(pixels: NDArray[np.uint8], images: PerturbedImages, grid: Grid, seed: int = 0) -> LimeSearch:
    """Explain an image, (H, W, 3), under every setting of a grid, all with one seed.

    Raises:
        ModelMisbehaves: the model returns no probabilities.
    """
    longest = LimeSettings(num_samples=max(grid.num_samples), top_labels=1)
    neighbourhoods = {}
    for name in grid.segmentation:
        segmentation = choose_segmentation(name, seed)
        (explanation,) = explain_by_lime(pixels, images, segmentation, longest, seeds=[seed])
        neighbourhoods[name] = explanation.neighbourhood
    return LimeSearch(neighbourhoods)
