"""What every task is asked for, checked before anything is computed or overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xai_eval.errors import UsageError
from xai_eval.tasks.image.forward import forward, input_batch
from xai_eval.tasks.image.target import check_target

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier

# What numpy's generators, torch and scikit-image all take.
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class LayerAndTarget:
    """Layer and target as they are recorded: names, whatever they were given as."""

    layer: str
    target: str


def check_asked(
    classifier: Classifier, images: ImageSet, layer: str | None, target: str | int, seed: int, seeds: int = 1
) -> LayerAndTarget:
    """Check layer, target and seeds; the layer by looking at the first image.

    Args:
        classifier: the model.
        images: the images to explain.
        layer: name of a layer; the default layer if None.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        seed: the first seed.
        seeds: how many are taken, one after the other.

    Raises:
        UsageError: a class that is unknown, a layer that is unknown or gives no map, or a seed out of range.
        ModelMisbehaves: the model cannot be explained on the first image.
    """
    _check_seed(seed, seeds)
    named = _text("target", str(target) if isinstance(target, int | np.integer) else target)
    layer = None if layer is None else _text("layer", layer)
    check_target(classifier, images, named)
    layer = layer or classifier.default_layer()
    classifier.layer(layer)
    for image in images.images[:1]:
        forward(classifier, layer, input_batch(classifier, image.pixels))
    return LayerAndTarget(layer, named)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{what} is a {type(value).__name__}; expected its name, as text.")
    return value


def _check_seed(seed: int, seeds: int) -> None:
    if not isinstance(seeds, int) or seeds < 1:
        raise UsageError(f"seeds is {seeds!r}; expected at least 1, and 2 or more to measure stability.")
    if not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED - seeds + 1:
        raise UsageError(f"seed is {seed!r}; expected a whole number from 0 to {LARGEST_SEED - seeds + 1}.")
