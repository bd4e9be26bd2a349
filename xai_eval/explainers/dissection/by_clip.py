"""Label units by CLIP: the label of a unit is the concept whose images activate it.

CLIP-Dissect: Oikarinen and Weng, ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.dissection.similarity import SIMILARITIES
from xai_eval.explainers.dissection.similarity_on_device import scores_on_device
from xai_eval.explainers.dissection.top_images import top_images
from xai_eval.inputs.models.precision import in_single

Floats = NDArray[np.float32]

# Published number of top images, for the functions that use only the images on which a unit is most active.
_TOP_K = {"soft_wpmi": 100, "wpmi": 28}
_MANY_WORDS = 100
# The functions for devices sum in double precision, which MPS lacks.
_OF_THE_CPU = ("cpu", "mps")
# rank_reorder orders 5 % of the images, and one image alone has no order: 5 % of 40 are 2.
_LEAST_FOR_RANKS = 40


@dataclass(frozen=True)
class Similarity:
    """A similarity function and its parameters, as recorded in results.

    Attributes:
        name: one of `SIMILARITIES`.
        top_k: number of top images that it uses; None if it uses all images.
        seed: seed of its random orders.
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
        """Differences from the published function, in words; empty if there is none."""
        published = _TOP_K.get(self.name)
        if published is None or self.top_k is None or self.top_k >= published:
            return ()
        return (f"{self.name} looks at the top {self.top_k} images of a unit, not at {published} as published",)


def default_similarity(words: int) -> str:
    """Return the name of the published function, soft-WPMI, or cos cubed if there are fewer than 100 words.

    soft-WPMI subtracts from the score of a word what all units of the layer have in common for it. With few words this
    takes the right word from most units. Measured with the twenty words of the scenes: the labels of layer4 by
    soft-WPMI correlate with what the images show by 0.07 and 0.11, those by cos cubed by 0.28 and 0.50
    (`scenes:objects` and `scenes:places`).

    Args:
        words: number of words that CLIP chooses from.
    """
    return "soft_wpmi" if words >= _MANY_WORDS else "cos_cubed"


def choose_similarity(name: str, top_k: int | None, images: int, seed: int) -> Similarity:
    """Return a similarity function, with a number of top images that suits the probe set.

    Args:
        name: name of the function.
        top_k: number of top images, at most the number of images. If None, the published number, but at most a tenth of
            the images: otherwise a concept that few images show could not fill the top images of any unit.
        images: number of images in the probe set.
        seed: seed of random orders.

    Raises:
        UsageError: the name is unknown, or there are too few images for the function.
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


def label_by_clip(
    embeddings: Floats,
    concepts: Floats,
    activations: Floats,
    similarity: Similarity,
    device: torch.device | str = "cpu",
) -> Floats:
    """Score every unit against every concept, (J, M).

    Args:
        embeddings: embeddings of the N images, (N, D), of length 1.
        concepts: embeddings of the M words, (M, D), of length 1.
        activations: one number per image and unit, (N, J).
        similarity: the function that compares similarities with activations.
        device: where to compute: on the device of CLIP, if that is a GPU.

    Returns:
        Scores, (J, M); higher is better. Rows of units with the same activation on all images are NaN.

    Source:
        CLIP-Dissect, Oikarinen and Weng, ICLR 2023.
    """
    parameters = similarity.parameters
    if similarity.top_k is not None:
        # There are fewer images than planned if some could not be read.
        parameters["top_k"] = min(similarity.top_k, len(activations))
    if torch.device(device).type not in _OF_THE_CPU:
        images, words, units = (torch.from_numpy(each).to(device) for each in (embeddings, concepts, activations))
        with in_single(images.device):
            return scores_on_device(similarity.name, images @ words.T, units, **parameters)
    function: Callable[..., Floats] = SIMILARITIES[similarity.name]
    return function(embeddings @ concepts.T, activations, **parameters)


def most_active(activations: Floats, count: int) -> NDArray[np.int64]:
    """Return the rows of the `count` images on which each unit is most active, best first, (J, count).

    Images with equal activations are ordered by row. There are fewer than `count` columns if there are fewer images.
    """
    rows = np.arange(len(activations), dtype=np.int64)
    return top_images(activations, rows, min(count, len(activations))).ids
