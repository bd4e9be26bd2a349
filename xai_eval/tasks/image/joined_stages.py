"""Stages that are not of one image: the state of a model, and those of a whole set of images together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text

if TYPE_CHECKING:
    from xai_eval.inputs.clip.clip import Clip
    from xai_eval.inputs.models.classifier import Classifier

Stages = Mapping[str, Fingerprint]


def model_stages(model: Classifier | Clip, *, of: str = "") -> dict[str, Fingerprint]:
    """Fingerprints of what the model consists of now; `of` tells several models apart."""
    from xai_eval.inputs.models.inventory import take_inventory

    whose = f" of {of}" if of else ""
    found = take_inventory(model.module)
    return {f"model state{whose}: {what}": fingerprint_text(text) for what, text in found.items()}


def joined_stages(every: Sequence[Stages]) -> dict[str, Fingerprint]:
    """Join the same stages of several images, in their order.

    The sketch of sketches is as good as that of all tensors behind each other, because both keep distances.
    """
    names = dict.fromkeys(name for stages in every for name in stages)
    return {name: _joined([stages[name] for stages in every if name in stages]) for name in names}


def _joined(parts: Sequence[Fingerprint]) -> Fingerprint:
    digest = hashlib.sha256("\n".join(part.digest for part in parts).encode()).hexdigest()
    sketches = [part.sketch for part in parts if part.sketch is not None]
    if len(sketches) < len(parts):
        return Fingerprint(digest)
    whole = fingerprint_array(np.concatenate(sketches))
    # Shapes of the parts count as well: the sketches of tensors of other shapes have nothing to do with each other.
    return Fingerprint(digest, tuple(size for part in parts for size in part.shape), whole.sketch)
