"""Stages of a dissection: probe set, images, tensors, embeddings, and for every layer activations to labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.dissection.passes import Labelled, LabelledLayer
from xai_eval.tasks.dissection.request import Request
from xai_eval.tasks.image.joined_stages import clip_stages

_LABELS = {"clip_units": StageKind.LABELS_BY_CLIP, "pixel_units": StageKind.LABELS_BY_PIXELS}


def shared_stages(request: Request, labelled: Labelled) -> dict[Stage, Fingerprint]:
    """Fingerprint what all models of a plan share, in the order in which it is computed."""
    whole, probe = labelled.probe_pass.whole, labelled.probe_pass.plan.probe
    seen = [image for prepared in whole.summaries for image in prepared]
    # The label maps are unpacked first, because the packed bytes depend on the library.
    maps = (image.labels.unpack().tobytes() for image in seen if image.labels is not None)
    stages = {
        Stage(StageKind.PROBE_SET): fingerprint_text(probe.digest),
        Stage(StageKind.PROBE_IMAGES): fingerprint_text(_joined(image.trace.pixels for image in seen)),
        Stage(StageKind.LABEL_MAPS): fingerprint_text(_joined(maps)),
        Stage(StageKind.INPUT_TENSOR): fingerprint_array(np.stack([image.trace.tensor for image in seen])),
        Stage(StageKind.CONCEPTS): fingerprint_text(repr(_words(request))),
    }
    if request.vocabulary is not None:
        stages |= clip_stages(request.vocabulary.clip)
    if labelled.words is not None:
        stages[Stage(StageKind.WORD_EMBEDDINGS)] = fingerprint_array(labelled.words)
    if whole.embeddings is not None:
        stages[Stage(StageKind.EMBEDDINGS)] = fingerprint_array(whole.embeddings)
    return stages


def layer_stages(
    layers: Sequence[LabelledLayer], frames: Mapping[str, pd.DataFrame], model: str = ""
) -> dict[Stage, Fingerprint]:
    """Fingerprint the layers of one model, and the labels of its units by method.

    The top images have two stages. One holds the activations on them, which stay the same if two images with equal
    activations swap places. The other holds which images they are. `model` is the name of the model if the result is
    about several models.
    """
    stages: dict[Stage, Fingerprint] = {}
    for layer in layers:
        stages |= {Stage(kind, layer.name, model): each for kind, each in _of_layer(layer)}
    for method, frame in frames.items():
        stages[Stage(_LABELS[method], model=model)] = fingerprint_text(repr(frame["label"].to_list()))
    return stages


def _of_layer(layer: LabelledLayer) -> Iterator[tuple[StageKind, Fingerprint]]:
    units = np.arange(len(layer.top))[:, None]
    yield StageKind.ACTIVATIONS, fingerprint_array(layer.activations)
    if layer.places is not None:
        yield StageKind.UNIT_MAPS, fingerprint_array(layer.places)
    yield StageKind.TOP_K, fingerprint_array(layer.activations[layer.top, units])
    yield StageKind.TOP_IMAGES, fingerprint_text(repr(layer.top.tolist()))
    if layer.clip is not None:
        yield StageKind.SIMILARITY, fingerprint_array(np.nan_to_num(layer.clip))
    if layer.pixels is not None:
        yield StageKind.OVERLAP, fingerprint_array(layer.pixels.counts.iou())
        yield StageKind.OVERLAP_BY_CHANCE, fingerprint_array(np.nan_to_num(layer.pixels.by_chance))


def _words(request: Request) -> list[object]:
    chosen = () if request.vocabulary is None else request.vocabulary.words.concepts
    return [list(chosen), [(concept.name, concept.category) for concept in request.plan.probe.concepts]]


def _joined(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
