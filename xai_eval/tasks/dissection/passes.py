"""Runs the models over the probe set once, and labels their units by CLIP and by pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.media.progress import progress, say
from xai_eval.tasks.dissection.request import Request
from xai_eval.tasks.image.environment import device_name, library_versions, precision_flags

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_pixels import PixelLabels
    from xai_eval.explainers.dissection.observations import Observations
    from xai_eval.explainers.dissection.probe_pass import ProbePass

LIBRARIES = ("torch", "torchvision", "open_clip_torch", "numpy", "pillow", "scikit-learn", "scipy")


@dataclass(frozen=True, eq=False)
class LabelledLayer:
    """What is known about the units of one layer.

    Attributes:
        name: name of the layer.
        activations: pooled activation of unit j on image n, float32 (N, J).
        dead: units whose activation is the same on all images, bool (J,).
        top: rows of the images on which each unit is most active, best first, (J, t).
        clip: similarity of each unit to the words, float32 (J, M); None if CLIP is not used.
        pixels: overlap with the labelled concepts; None if the layer has no maps or the probe set no labels.
        strips: the top images of each unit side by side, as JPEG.
        places: sketches that tell where the units are active on image n, float32 (N, 8); None without places.
    """

    name: str
    activations: NDArray[np.float32]
    dead: NDArray[np.bool_]
    top: NDArray[np.int64]
    clip: NDArray[np.float32] | None
    pixels: PixelLabels | None
    strips: tuple[bytes, ...]
    places: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled units of all models.

    Attributes:
        probe_pass: the pass over the probe set.
        words: embeddings of the words, (M, D); None if CLIP is not used.
        models: the layers of each model, in the order of the plan.
    """

    probe_pass: ProbePass
    words: NDArray[np.float32] | None
    models: tuple[tuple[LabelledLayer, ...], ...]


@contextmanager
def dissect(request: Request) -> Iterator[Labelled]:
    """Run the pass and label every unit. Its checkpoints are removed if the context closes without an error."""
    from xai_eval.explainers.dissection.checkpoint import Checkpoints
    from xai_eval.explainers.dissection.probe_pass import run_probe_pass
    from xai_eval.explainers.dissection.spot_check import (
        check_same_observations,
        observations_digest,
        observe_first_images,
    )

    plan = request.plan
    first = observe_first_images(plan)
    for note in (*request.notes, *(request.vocabulary.notes if request.vocabulary else ())):
        say(f"dissection: {note}.")
    _check_methods(request, first)
    checkpoints = Checkpoints.of(plan.key({**_environment(request), "canary": observations_digest(first)}))
    with progress(len(plan.probe), plan.probe.name, "image") as advance:
        probe_pass = run_probe_pass(plan, checkpoints, engine=request.engine, advance=advance)
    check_same_observations(plan, first)
    for skipped in probe_pass.whole.skipped:
        say(f"{skipped.name} is left out: {skipped.reason}")
    words = None
    if request.vocabulary is not None:
        words = request.vocabulary.clip.embed_texts(request.vocabulary.words.concepts).cpu().numpy()
    found = _all_labelled(request, probe_pass, words)
    yield Labelled(probe_pass, words, tuple(tuple(next(found) for _ in model.layers) for model in plan.models))
    checkpoints.remove()


def _check_methods(request: Request, first: Observations) -> None:
    """Raise UsageError, before the long pass begins, if no method could label the units of a model."""
    plan = request.plan
    with_maps = {layer.model for layer, found in zip(plan.layers, first.layers, strict=False) if found.top is not None}
    for index, model in enumerate(plan.models):
        if request.vocabulary is None and first.layers and index not in with_maps:
            raise UsageError(
                f"none of the layers given for {model.classifier.name} ({', '.join(model.layers)}) returns maps, and "
                "CLIP is not used, so that nothing can label its units. Give other --layers, or a --clip model."
            )


def _all_labelled(
    request: Request, probe_pass: ProbePass, words: NDArray[np.float32] | None
) -> Iterator[LabelledLayer]:
    count = len(request.plan.layers)
    with progress(count, "labels", "layer") as advance:
        for index in range(count):
            yield _labelled(request, probe_pass, index, words)
            advance(1)


def _environment(request: Request) -> dict[str, Any]:
    """Return what results depend on besides weights, images and parameters: versions, device and precision."""
    device = request.plan.models[0].classifier.device
    return {
        "versions": library_versions(LIBRARIES),
        "device": device_name(device),
        "precision": precision_flags(device),
    }


def _labelled(request: Request, probe_pass: ProbePass, index: int, words: NDArray[np.float32] | None) -> LabelledLayer:
    from xai_eval.explainers.dissection.by_clip import label_by_clip, most_active
    from xai_eval.explainers.dissection.by_pixels import label_by_pixels
    from xai_eval.explainers.dissection.image_strips import strips
    from xai_eval.explainers.dissection.similarity import dead_units
    from xai_eval.explainers.dissection.strongest_maps import SHOWN

    activations = probe_pass.whole.layers[index].activations
    top = most_active(activations, SHOWN)
    embeddings = probe_pass.whole.embeddings
    clip = None
    if words is not None and embeddings is not None and request.plan.clip is not None:
        clip = label_by_clip(embeddings, words, activations, request.similarity, request.plan.clip.device)
    return LabelledLayer(
        name=request.plan.layers[index].name,
        activations=activations,
        dead=dead_units(activations),
        top=top,
        clip=clip,
        pixels=label_by_pixels(probe_pass, index, request.shuffles, request.seed),
        strips=tuple(strips(probe_pass, index, top)),
        places=probe_pass.whole.layers[index].places,
    )
