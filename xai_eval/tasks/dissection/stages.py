"""The chain of a dissection: probe set, images, tensors, embeddings, then every layer from activations to labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.tasks.dissection.passes import Labelled, LabelledLayer
from xai_eval.tasks.dissection.request import Request
from xai_eval.tasks.image.joined_stages import model_stages


def set_stages(request: Request, labelled: Labelled) -> dict[str, Fingerprint]:
    """Fingerprints of what all models of a study share, in the order in which it is made."""
    whole, probe = labelled.sweep.whole, labelled.sweep.study.probe
    seen = [image for prepared in whole.seen for image in prepared]
    # Unpacked, because libraries pack in different ways.
    maps = (image.labels.unpack().tobytes() for image in seen if image.labels is not None)
    stages = {
        "probe set": fingerprint_text(probe.digest),
        "probe images": fingerprint_text(_joined(image.trace.pixels for image in seen)),
        "label maps": fingerprint_text(_joined(maps)),
        "input tensor": fingerprint_array(np.stack([image.trace.tensor for image in seen])),
        "concepts": fingerprint_text(repr(_words(request))),
    }
    if request.vocabulary is not None:
        stages |= model_stages(request.vocabulary.clip, of="CLIP")
    if labelled.words is not None:
        stages["word embeddings"] = fingerprint_array(labelled.words)
    if whole.embeddings is not None:
        stages["embeddings"] = fingerprint_array(whole.embeddings)
    return stages


def layer_stages(layers: Sequence[LabelledLayer], frames: Mapping[str, pd.DataFrame]) -> dict[str, Fingerprint]:
    """Fingerprints of the layers of one model, and of the labels of its units by method.

    The top images are there twice: by what units do on them, which holds where two images are as good as each
    other and change places, and by which they are.
    """
    stages: dict[str, Fingerprint] = {}
    for layer in layers:
        units = np.arange(len(layer.top))[:, None]
        stages[f"{layer.name} activations"] = fingerprint_array(layer.activations)
        stages[f"{layer.name} top-k"] = fingerprint_array(layer.activations[layer.top, units])
        stages[f"{layer.name} top images"] = fingerprint_text(repr(layer.top.tolist()))
        if layer.clip is not None:
            stages[f"{layer.name} similarity"] = fingerprint_array(np.nan_to_num(layer.clip))
        if layer.pixels is not None:
            stages[f"{layer.name} overlap"] = fingerprint_array(layer.pixels.counts.iou())
            stages[f"{layer.name} overlap by chance"] = fingerprint_array(np.nan_to_num(layer.pixels.by_chance))
    for method, frame in frames.items():
        stages[f"{method} labels"] = fingerprint_text(repr(frame["label"].to_list()))
    return stages


def _words(request: Request) -> list[object]:
    chosen = () if request.vocabulary is None else request.vocabulary.words.concepts
    return [list(chosen), [(concept.name, concept.category) for concept in request.study.probe.concepts]]


def _joined(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
