"""Run lime under many settings; settings that give the same perturbed images share their predictions.

With one seed, lime draws the same samples for every setting, row by row: a run with fewer samples has the first rows
of a run with more. `top_labels`, `num_features` and `batch_size` do not change the perturbed images. Only the
segmentation does, so each segmentation is predicted once, with the largest number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import spelled
from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.lime.lime import Drawn, LimeSettings, Neighbourhood, Surrogate, draw, fit, predicted_beside
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import choose_segmentation
from xai_eval.inputs.steps import Turn, held


@dataclass(frozen=True)
class Setting:
    """One combination of values in a grid: arguments of lime, and the name of a segmentation."""

    segmentation: str
    num_samples: int
    num_features: int
    top_labels: int
    batch_size: int


@dataclass(frozen=True)
class Grid:
    """The values to try for each argument. The defaults are those of the published study: 324 settings.

    Raises:
        UsageError: an argument has no value or one value twice, a segmentation is unknown, or lime cannot take a value.
    """

    segmentation: tuple[str, ...] = ("slic", "quickshift", "felzenszwalb", "none")
    num_samples: tuple[int, ...] = (500, 600, 700)
    num_features: tuple[int, ...] = (15_000, 20_000, 25_000)
    top_labels: tuple[int, ...] = (3, 4, 5)
    batch_size: tuple[int, ...] = (5, 8, 10)

    def __post_init__(self) -> None:
        for each in fields(self):
            values = getattr(self, each.name)
            if not values or len(set(values)) < len(values):
                raise UsageError(
                    f"{each.name} of the grid is {spelled(list(values))}; expected at least one value. Name each once."
                )
        for name in self.segmentation:
            choose_segmentation(name, 0)
        for setting in self.settings:
            LimeSettings(setting.num_samples, setting.top_labels, setting.num_features, setting.batch_size)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every combination of values; the last argument changes fastest."""
        return _every_setting(self)


@lru_cache(maxsize=8)
def _every_setting(grid: Grid) -> tuple[Setting, ...]:
    return tuple(Setting(*values) for values in product(*(getattr(grid, each.name) for each in fields(grid))))


def make_grid(values: Mapping[str, Any] | None = None) -> Grid:
    """Return the grid of the published study with some arguments replaced.

    Args:
        values: by name of the argument, a value or a sequence of values.

    Raises:
        UsageError: an argument is unknown, has no values, or has a value that lime cannot take.
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
            raise UsageError(f"{name} of the grid is {spelled(given)}; expected values of type {kind.__name__}.")
    return Grid(**chosen)


@dataclass(frozen=True, eq=False)
class LimeSearch:
    """The explanations of one image under all settings of a grid. A surrogate is fitted when it is first asked for.

    Attributes:
        neighbourhoods: by name of the segmentation, with the largest number of samples in the grid.
    """

    neighbourhoods: Mapping[str, Neighbourhood]
    _fitted: dict[tuple[str, int, int, int], Surrogate] = field(default_factory=dict)

    def surrogate(self, setting: Setting, label: int) -> Surrogate:
        """Return lime's surrogate for one class under one setting."""
        count, features = setting.num_samples, self.features(setting)
        key = (setting.segmentation, count, features, label)
        if key not in self._fitted:
            neighbourhood = self.neighbourhoods[setting.segmentation].first(count)
            # `num_features` is passed unchanged, because lime selects superpixels in another way if it is 6 or less.
            self._fitted[key] = fit(neighbourhood, label, setting.num_features)
        return self._fitted[key]

    def features(self, setting: Setting) -> int:
        """Return how many superpixels get a weight: `num_features`, or all if there are fewer."""
        return min(setting.num_features, int(self.neighbourhoods[setting.segmentation].samples.shape[1]))

    def top_labels(self, setting: Setting) -> tuple[int, ...]:
        """Return the classes that lime explains under a setting, the most probable first."""
        whole: NDArray[np.float32] = self.neighbourhoods[setting.segmentation].probabilities[0]
        return tuple(int(label) for label in np.argsort(whole)[-setting.top_labels :][::-1])


def draws(pixels: NDArray[np.uint8], grid: Grid, seed: int = 0) -> list[Callable[[], Drawn]]:
    """Return, for each segmentation of a grid, what cuts an image into superpixels and draws its samples.

    The model is not needed. The first was called already: the model needs it first, and the others while it works.

    Args:
        pixels: the image as the model sees it, uint8 (H, W, 3).
        grid: the settings.
        seed: seed of the samples and of the segmentations that draw random numbers.
    """
    longest = LimeSettings(num_samples=max(grid.num_samples), top_labels=1)

    def drawn(name: str) -> Drawn:
        (found,) = draw(pixels, choose_segmentation(name, seed), longest, [seed])
        return found

    first, *others = (partial(drawn, name) for name in grid.segmentation)
    return [held(first), *others]


def search(
    pixels: NDArray[np.uint8], images: PerturbedImages, grid: Grid, turn: Turn[Sequence[Callable[[], Drawn]]]
) -> LimeSearch:
    """Explain an image under every setting of a grid, all with one seed.

    Args:
        pixels: the image as the model sees it, uint8 (H, W, 3).
        images: predicts perturbed images.
        grid: the settings.
        turn: the turn of the image; what `draws` returned was prepared.

    Raises:
        UsageError: a segmentation fails.
        ModelMisbehaves: the model returns no probabilities.
    """
    found = predicted_beside(pixels, images, turn.prepared(), turn)
    return LimeSearch(dict(zip(grid.segmentation, found, strict=True)))
