"""The pass behind a dissection, and the labels that both methods give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.tasks.dissection.request import Request
from xai_eval.tasks.image.environment import device_name, library_versions, precision_flags
from xai_eval.tasks.progress import progress, say

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_pixels import PixelLabels
    from xai_eval.explainers.dissection.shard import Shard
    from xai_eval.explainers.dissection.sweep import Sweep

LIBRARIES = ("torch", "torchvision", "open_clip_torch", "numpy", "pillow", "scikit-learn", "scipy")
TOP_IMAGES = 5


@dataclass(frozen=True, eq=False)
class LabelledLayer:
    """What is known about the units of one layer.

    Attributes:
        name: of the layer.
        activations: of unit j on image n, pooled, float32 (N, J).
        dead: units that are constant over the probe set, bool (J,).
        top: rows of the images on which each is most active, best first, (J, t).
        clip: similarity to the words, float32 (J, M), or None where CLIP was not asked.
        pixels: overlap with the labelled concepts, or None where there are no maps or labels.
        strips: the top images of each, JPEG.
    """

    name: str
    activations: NDArray[np.float32]
    dead: NDArray[np.bool_]
    top: NDArray[np.int64]
    clip: NDArray[np.float32] | None
    pixels: PixelLabels | None
    strips: tuple[bytes, ...]


@dataclass(frozen=True, eq=False)
class Labelled:
    """What a pass over the probe set came to.

    Attributes:
        sweep: the pass.
        words: embeddings of the words, (M, D), or None where CLIP was not asked.
        models: the layers of every model, in the order of the study.
    """

    sweep: Sweep
    words: NDArray[np.float32] | None
    models: tuple[tuple[LabelledLayer, ...], ...]


@contextmanager
def dissect(request: Request) -> Iterator[Labelled]:
    """Run the pass and label every unit; its checkpoints go once the results have been made of it."""
    from xai_eval.explainers.dissection.canary import digest_of, first_images
    from xai_eval.explainers.dissection.checkpoint import Checkpoints
    from xai_eval.explainers.dissection.sweep import sweep

    study = request.study
    for note in (*request.notes, *(request.vocabulary.notes if request.vocabulary else ())):
        say(f"{note}.")
    first = first_images(study)
    _check_methods(request, first)
    checkpoints = Checkpoints.of(study.key({**_surroundings(request), "canary": digest_of(first)}))
    with progress(len(study.probe), study.probe.name, "image") as advance:
        swept = sweep(study, checkpoints, engine=request.engine, advance=advance)
    for skipped in swept.whole.skipped:
        say(f"{skipped.name} is left out: {skipped.reason}")
    words = None
    if request.vocabulary is not None:
        words = request.vocabulary.clip.embed_texts(request.vocabulary.words.concepts).cpu().numpy()
    found = _all_labelled(request, swept, words)
    yield Labelled(swept, words, tuple(tuple(next(found) for _ in model.layers) for model in study.models))
    checkpoints.remove()


def _check_methods(request: Request, first: Shard) -> None:
    """Refuse, before the pass, a model whose units no method could label."""
    study = request.study
    with_maps = {layer.model for layer, found in zip(study.layers, first.layers, strict=False) if found.top is not None}
    for index, model in enumerate(study.models):
        if request.vocabulary is None and first.layers and index not in with_maps:
            raise UsageError(
                f"no layer of {model.classifier.name} that was named ({', '.join(model.layers)}) gives maps, and "
                "CLIP is not asked: nothing could label its units. Name other --layers, or a --clip model."
            )


def _all_labelled(request: Request, swept: Sweep, words: NDArray[np.float32] | None) -> Iterator[LabelledLayer]:
    count = len(request.study.layers)
    with progress(count, "labels", "layer") as advance:
        for index in range(count):
            yield _labelled(request, swept, index, words)
            advance(1)


def _surroundings(request: Request) -> dict[str, Any]:
    """What arithmetic depends on besides weights, images and parameters."""
    device = request.study.models[0].classifier.device
    return {
        "versions": library_versions(LIBRARIES),
        "device": device_name(device),
        "precision": precision_flags(),
    }


def _labelled(request: Request, swept: Sweep, index: int, words: NDArray[np.float32] | None) -> LabelledLayer:
    from xai_eval.explainers.dissection.by_clip import label_by_clip, most_active
    from xai_eval.explainers.dissection.by_pixels import label_by_pixels
    from xai_eval.explainers.dissection.gallery import strips
    from xai_eval.explainers.dissection.similarity import dead_units

    activations = swept.whole.layers[index].activations
    top = most_active(activations, TOP_IMAGES)
    embeddings = swept.whole.embeddings
    clip = None
    if words is not None and embeddings is not None:
        clip = label_by_clip(embeddings, words, activations, request.similarity)
    return LabelledLayer(
        name=request.study.layers[index].name,
        activations=activations,
        dead=dead_units(activations),
        top=top,
        clip=clip,
        pixels=label_by_pixels(swept, index, request.shuffles, request.seed),
        strips=tuple(strips(swept, index, top)),
    )
