"""Stages that are not about a single image: the state of a model, and the joined stages of a set of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage, StageKind

if TYPE_CHECKING:
    from torch import nn

    from xai_eval.inputs.clip.clip import Clip
    from xai_eval.inputs.models.block_digests import BlockDigests
    from xai_eval.inputs.models.classifier import Classifier


Stages = Mapping[Stage, Fingerprint]


_OF_MODEL = (StageKind.MODULE_TYPES, StageKind.TRAINING_FLAGS, StageKind.HOOKS, StageKind.MODEL_WEIGHTS)
_OF_CLIP = (
    StageKind.CLIP_MODULE_TYPES,
    StageKind.CLIP_TRAINING_FLAGS,
    StageKind.CLIP_HOOKS,
    StageKind.CLIP_WEIGHTS,
)


def model_stages(classifier: Classifier, model: str = "") -> dict[Stage, Fingerprint]:
    """Fingerprint the current state of a model. `model` is its name if the result is about several models."""
    return dict(_state(classifier.module, _OF_MODEL, model, classifier.block_digests))


def clip_stages(clip: Clip) -> dict[Stage, Fingerprint]:
    """Fingerprint the current state of the CLIP model."""
    return dict(_state(clip.module, _OF_CLIP))


def _state(
    module: nn.Module, kinds: Sequence[StageKind], model: str = "", digests: BlockDigests | None = None
) -> Iterator[tuple[Stage, Fingerprint]]:
    from xai_eval.inputs.models.model_description import describe_model

    found = describe_model(module, digests)
    *whole, weights = kinds
    types, *modes = whole
    yield Stage(types, model=model), fingerprint_text(found.module_types, found.function)
    for kind, text in zip(modes, (found.training_flags, found.hooks), strict=True):
        yield Stage(kind, model=model), fingerprint_text(text)
    for block, digest in found.weights.items():
        yield Stage(weights, block, model), fingerprint_text(digest, found.plain_weights[block])


def joined_stages(every: Sequence[Stages]) -> dict[Stage, Fingerprint]:
    """Join the fingerprints of several images stage by stage, in the order of the images.

    A fingerprint holds a sketch, a short vector that keeps distances between tensors. The joined sketch is made of the
    sketches of the images. It keeps distances as well as a sketch of all tensors together would.
    """
    known = dict.fromkeys(stage for stages in every for stage in stages)
    return {stage: _joined([stages[stage] for stages in every if stage in stages]) for stage in known}


def _joined(parts: Sequence[Fingerprint]) -> Fingerprint:
    digest, meaning = _joined_digest(each.digest for each in parts), ""
    if any(each.meaning for each in parts):
        meaning = _joined_digest(each.meaning or each.digest for each in parts)
    sketches = [part.sketch for part in parts if part.sketch is not None]
    if len(sketches) < len(parts):
        return Fingerprint(digest, meaning=meaning)
    whole = fingerprint_array(np.concatenate(sketches))
    # The shapes of the parts are kept, because sketches of tensors with different shapes cannot be compared.
    shape, amplification = tuple(size for part in parts for size in part.shape), max(p.amplification for p in parts)
    return Fingerprint(digest, shape, whole.sketch, amplification=amplification)


def _joined_digest(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
