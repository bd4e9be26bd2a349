"""Makes results of the labelled units: one per model, and one that compares two models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from xai_eval.result.fields import Field, Gallery, InputImage, Label, Tally, UnitLabels
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage
from xai_eval.tasks.dissection.dissection_stages import layer_stages, shared_stages
from xai_eval.tasks.dissection.label_tables import comparing_fields, summaries
from xai_eval.tasks.dissection.passes import LIBRARIES, Labelled, LabelledLayer, dissect
from xai_eval.tasks.dissection.quality import presence, with_quality
from xai_eval.tasks.dissection.request import Request
from xai_eval.tasks.dissection.unit_frames import clip_frame, pixel_frame, score_tolerance
from xai_eval.tasks.image.environment import device_name, library_versions, precision_flags, told_wrappers
from xai_eval.tasks.image.joined_stages import model_stages
from xai_eval.tasks.image.whole_set import input_with_count

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.dissection_plan import DissectedModel

IOU_TOLERANCE = 0.005
# The field with the name of the image for which the most active units are listed.
INTERPRETED = "interpreted"
_MOST_ACTIVE = 5
# In standard deviations; and a label, which may be tied with another one, may differ in one of the rows.
INTERPRETATION_TOLERANCE = {"deviations": 0.1, "label": 1.0}
Frames = Mapping[str, pd.DataFrame]


def dissection_results(request: Request) -> Iterator[Result]:
    """Run the pass, then yield one result per model, and one that compares the models if there are two."""
    with dissect(request) as labelled:
        frames = [unit_frames(request, labelled, index) for index in range(len(labelled.models))]
        for index, own in enumerate(frames):
            yield model_result(request, labelled, index, own)
        if len(frames) > 1:
            yield comparing_result(request, labelled, frames)


def model_result(request: Request, labelled: Labelled, index: int, frames: Frames) -> Result:
    """Return the result of one model.

    Args:
        request: the checked options.
        labelled: the labelled units of all models.
        index: index of the model in the plan.
        frames: table of the units of the model, by method.
    """
    model, layers = request.plan.models[index], labelled.models[index]
    return Result(
        case=Case("dissection", model.classifier.name, _input(request), _params(request, [model])),
        fields={
            **_interpretation(request, labelled, index, frames),
            **_unit_labels(layers, frames),
            **summaries(request, layers, frames),
            "top_images": _gallery(layers),
        },
        stages={
            **shared_stages(request, labelled),
            **model_stages(model.classifier),
            **layer_stages(layers, frames),
            **request.trials,
        },
        provenance=_provenance(request, labelled, [model]),
    )


def comparing_result(request: Request, labelled: Labelled, frames: Sequence[Frames]) -> Result:
    """Return the result that compares the labels of the models.

    Args:
        request: the checked options.
        labelled: the labelled units of all models.
        frames: tables of the units of each model, by method.
    """
    models = request.plan.models
    names = [model.classifier.name for model in models]
    return Result(
        case=Case("dissection", " and ".join(names), _input(request), _params(request, models)),
        fields=comparing_fields(request, dict(zip(names, frames, strict=True))),
        stages={**shared_stages(request, labelled), **_stages_of_all(request, labelled, frames), **request.trials},
        provenance=_provenance(request, labelled, models),
    )


def _stages_of_all(request: Request, labelled: Labelled, frames: Sequence[Frames]) -> dict[Stage, Fingerprint]:
    """Return the stages of all models; each stage has the name of its model."""
    found: dict[Stage, Fingerprint] = {}
    for model, layers, own in zip(request.plan.models, labelled.models, frames, strict=True):
        name = model.classifier.name
        found |= model_stages(model.classifier, name)
        found |= layer_stages(layers, own, name)
    return found


def unit_frames(request: Request, labelled: Labelled, index: int) -> Frames:
    """Return the tables of all units of a model by method: `clip_units` and `pixel_units`."""
    images = _images(request, labelled)
    vocabulary, concepts = request.vocabulary, request.plan.probe.concepts
    found: dict[str, list[pd.DataFrame]] = {}
    for layer in labelled.models[index]:
        if vocabulary is not None and layer.clip is not None:
            frame = clip_frame(layer, layer.clip, vocabulary.words.concepts, images)
            found.setdefault("clip_units", []).append(frame)
        if layer.pixels is not None:
            found.setdefault("pixel_units", []).append(pixel_frame(layer, layer.pixels, concepts, images))
    shown, layers = presence(labelled, index), labelled.models[index]
    return {method: with_quality(pd.concat(each, ignore_index=True), layers, shown) for method, each in found.items()}


def _gallery(layers: Sequence[LabelledLayer]) -> Gallery:
    strips = {f"{layer.name}/{unit}": strip for layer in layers for unit, strip in enumerate(layer.strips)}
    return Gallery(strips, max((layer.top.shape[1] for layer in layers), default=1))


def _unit_labels(layers: Sequence[LabelledLayer], frames: Frames) -> dict[str, Field]:
    by_clip = min((score_tolerance(layer.clip) for layer in layers if layer.clip is not None), default=0.0)
    tolerances = {"clip_units": by_clip, "pixel_units": IOU_TOLERANCE}
    return {method: UnitLabels(frame, tolerances[method]) for method, frame in frames.items()}


def _interpretation(request: Request, labelled: Labelled, index: int, frames: Frames) -> dict[str, Field]:
    """Return the image and the units of the last layer that are most active on it.

    The activation of a unit is compared with its activations on all images, in standard deviations above their mean.
    """
    probe_pass, layer = labelled.probe_pass, labelled.models[index][-1]
    row = probe_pass.rows.get(request.image, 0)
    name = _images(request, labelled)[row]
    spread = layer.activations.std(axis=0)
    above = (layer.activations[row] - layer.activations.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    units = np.argsort(-above, kind="stable")[:_MOST_ACTIVE]
    labels = next(iter(frames.values())).set_index("unit")["label"]
    names = [f"{layer.name}/{unit}" for unit in units]
    frame = pd.DataFrame({"unit": names, "label": labels.reindex(names).to_list(), "deviations": above[units]})
    pixels = request.plan.probe.read(int(probe_pass.whole.positions[row])).pixels
    view = request.plan.models[index].classifier.preprocess.view(Image.fromarray(pixels))
    return {
        "image": InputImage(view),
        INTERPRETED: Label(name),
        "interpretation": Tally(frame, INTERPRETATION_TOLERANCE, cut=True),
    }


def _images(request: Request, labelled: Labelled) -> list[str]:
    """Return the names of the images that could be read, by row."""
    return [request.plan.probe.names[position] for position in labelled.probe_pass.whole.positions]


def _input(request: Request) -> str:
    return input_with_count(request.plan.probe.name, len(request.plan.probe))


def _params(request: Request, models: Sequence[DissectedModel]) -> dict[str, Any]:
    return {**request.params, "layers": [list(model.layers) for model in models]}


def _provenance(request: Request, labelled: Labelled, models: Sequence[DissectedModel]) -> Provenance:
    plan, probe_pass = request.plan, labelled.probe_pass
    digests = {"probe": plan.probe.digest}
    parameters: dict[str, Any] = {"notes": list(request.notes), "batch_size": plan.batch_size}
    for model in models:
        name = model.classifier.name
        digests["weights" if len(models) == 1 else f"weights of {name}"] = model.classifier.weights_digest
        parameters[f"preprocessing of {name}"] = model.classifier.preprocess.describe()
        parameters |= told_wrappers(model.classifier, name)
    if request.vocabulary is not None:
        digests |= {"clip": request.vocabulary.clip.weights_digest, "concepts": request.vocabulary.words.digest}
        parameters |= {"clip": request.vocabulary.clip.describe(), "concepts": list(request.vocabulary.notes)}
    if probe_pass.whole.skipped:
        parameters["skipped"] = [f"{each.name}: {each.reason}" for each in probe_pass.whole.skipped]
    return Provenance(
        digests=digests,
        parameters=parameters,
        versions=library_versions(LIBRARIES),
        device=device_name(models[0].classifier.device),
        precision=precision_flags(models[0].classifier.device),
        seed=request.seed,
    )
