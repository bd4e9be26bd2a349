"""Labels of units by CLIP: the concept whose images a unit is active on (Oikarinen and Weng, CLIP-Dissect, 2023)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.dissection.similarity import SIMILARITIES
from xai_eval.explainers.dissection.top_images import top_images

Floats = NDArray[np.float32]

# Published numbers of images for the functions that look at the top ones.
_TOP_K = {"soft_wpmi": 100, "wpmi": 28}
_MANY_WORDS = 100
# One image has no order.
_LEAST_FOR_RANKS = 40


@dataclass(frozen=True)
class Similarity:
    """A similarity function and its parameters, as recorded.

    Attributes:
        name: one of `SIMILARITIES`.
        top_k: images that it looks at; None where it looks at all.
        seed: of its permutations.
    """

    name: str
    top_k: int | None
    seed: int

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments of the function."""
        if self.top_k is not None:
            return {"top_k": self.top_k}
        return {"seed": self.seed} if self.name == "rank_reorder" else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What differs from the published function."""
        published = _TOP_K.get(self.name)
        if published is None or self.top_k is None or self.top_k >= published:
            return ()
        return (f"{self.name} looks at the top {self.top_k} images of a unit, not at {published} as published",)


def default_similarity(words: int) -> str:
    """Return the published function, or cos cubed where the words are few.

    The prior of soft-WPMI takes from a word what all units of the layer have in common. Of few words it so takes the
    right one from most units: over the twenty words of the scenes, its labels of layer4 correlate with what images
    show by 0.07 and 0.11, those of cos cubed by 0.28 and 0.50 (`scenes:objects` and `scenes:places`).
    """
    return "soft_wpmi" if words >= _MANY_WORDS else "cos_cubed"


def choose_similarity(name: str, top_k: int | None, images: int, seed: int) -> Similarity:
    """Check what was asked for, and fit the number of top images to the probe set.

    Args:
        name: of the function.
        top_k: number of top images; the published one if None, but no more than a tenth of the images, because a
            concept that fewer of them show could fill no unit's top images.
        images: in the probe set: no more top images than these.
        seed: of permutations.

    Raises:
        UsageError: no function is called so, or there are too few images for it.
    """
    if name not in SIMILARITIES:
        raise unknown_name("similarity", name, SIMILARITIES)
    if name == "rank_reorder" and images < _LEAST_FOR_RANKS:
        raise UsageError(
            f"rank_reorder orders the top 5 % of the images; {images} are too few for that, expected "
            f"{_LEAST_FOR_RANKS} or more. Choose another --similarity, or a larger probe set."
        )
    if name not in _TOP_K:
        return Similarity(name, None, seed)
    if top_k is None:
        top_k = min(_TOP_K[name], max(1, images // 10))
    return Similarity(name, min(top_k, images), seed)


def label_by_clip(embeddings: Floats, concepts: Floats, activations: Floats, similarity: Similarity) -> Floats:
    """Score every unit against every concept, (J, M).

    Args:
        embeddings: of the images, (N, D), normalised.
        concepts: embeddings of the words, (M, D), normalised.
        activations: pooled, (N, J).
        similarity: how the two are compared.
    """
    function: Callable[..., Floats] = SIMILARITIES[similarity.name]
    parameters = similarity.parameters
    if similarity.top_k is not None:
        # Fewer where images could not be read.
        parameters["top_k"] = min(similarity.top_k, len(activations))
    return function(embeddings @ concepts.T, activations, **parameters)


def most_active(activations: Floats, count: int) -> NDArray[np.int64]:
    """Rows of the `count` images on which each unit is most active, (J, count); ties by row."""
    rows = np.arange(len(activations), dtype=np.int64)
    return top_images(activations, rows, min(count, len(activations))).ids
