"""Compute the first two images again, to decide whether checkpoints of an earlier run may be used.

Checkpoints are found by a key over weights, versions and names. These do not show that the code of a model was edited.
So the key also contains the digest of what the first images give now.
"""

from __future__ import annotations

import hashlib

import numpy as np

from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.observations import Observations
from xai_eval.explainers.dissection.observe_shard import observe_images
from xai_eval.explainers.dissection.stored_shard import to_document
from xai_eval.inputs.models.examination import LARGEST_DIFFERENCE
from xai_eval.inputs.models.precision import allowed_difference

_IMAGES = 2


def observe_first_images(plan: DissectionPlan) -> Observations:
    """Run the models on the first two images that can be read, or on fewer if there are fewer.

    Raises:
        ModelMisbehaves: a model raises, or returns values that are not finite.
        UsageError: a layer returns nothing that can be dissected.
    """
    count = _IMAGES
    observations = observe_images(plan, range(min(count, len(plan.probe))), ())
    while len(observations.positions) < _IMAGES and count < len(plan.probe):
        count *= 2
        observations = observe_images(plan, range(min(count, len(plan.probe))), ())
    return observations


def check_same_observations(plan: DissectionPlan, first: Observations) -> None:
    """Run the models on the first images again, after all others, and compare with what they gave before.

    Raises:
        ModelMisbehaves: the units of a layer have other activations than before.
    """
    again = observe_first_images(plan)
    for layer, before, now in zip(plan.layers, first.layers, again.layers, strict=True):
        difference = float(np.abs(now.activations - before.activations).max(initial=0))
        largest = float(np.abs(before.activations).max(initial=0))
        if not difference <= allowed_difference(LARGEST_DIFFERENCE) * largest:
            raise ModelMisbehaves(
                f"{plan.models[layer.model].classifier.name} has other activations at layer {layer.name!r} for the "
                f"first images after all images than before, by up to {difference:.3g} where they reach {largest:.3g}. "
                "So passes change the model (a counter, a cache, statistics that adapt), and its units would be "
                "labelled by several models in one. Let the forward pass leave the model as it is in evaluation mode."
            )


def observations_digest(observations: Observations) -> str:
    """Return the SHA-256 over everything that was observed."""
    arrays, meta = to_document(observations)
    digest = hashlib.sha256(repr(meta).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
