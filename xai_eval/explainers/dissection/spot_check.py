"""What a few images give here and now: so that shards of an earlier run are used only where they would come out
again. Weights, versions and names do not tell that somebody edited the code of a model.
"""

from __future__ import annotations

import hashlib

from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.observations import Observations, to_document
from xai_eval.explainers.dissection.probe_pass import observe_images

_IMAGES = 2


def observe_first_images(plan: DissectionPlan) -> Observations:
    """Look at the first images that can be read, two if there are so many.

    Raises:
        ModelMisbehaves: a model cannot be run on them.
        UsageError: a layer gives nothing that can be dissected.
    """
    count = _IMAGES
    shard = observe_images(plan, range(min(count, len(plan.probe))), ())
    while len(shard.positions) < _IMAGES and count < len(plan.probe):
        count *= 2
        shard = observe_images(plan, range(min(count, len(plan.probe))), ())
    return shard


def observations_digest(shard: Observations) -> str:
    """SHA-256 over everything that images gave."""
    arrays, meta = to_document(shard)
    digest = hashlib.sha256(repr(meta).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
