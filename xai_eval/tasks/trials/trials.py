"""Steps that follow from a model's weights, tried on a network, an image and data that never change.

After weights changed on record, whatever follows from them is expected to move, so that nobody could tell from it that
a library changed, too. What is tried here follows from no weights of the user. If it moved, a library or this package
computes the step otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.trials.tried import tried

if TYPE_CHECKING:
    from xai_eval.explainers.attribution.method import Method
    from xai_eval.explainers.dissection.by_clip import Similarity
    from xai_eval.explainers.dissection.counts import Counts
    from xai_eval.explainers.dissection.observations import LayerObservations
    from xai_eval.explainers.lime.lime import LimeExplanation, LimeSettings, Neighbourhood
    from xai_eval.explainers.lime.segmentation import Segmenter

# Numbers in closed form: no library draws them, and no file holds them.
_SIDE, _CHANNELS, _CLASSES = 16, 6, 3
# Numbers of images, words and units, and the length of embeddings.
_LABELLED, _WIDTH = (40, 9, 7), 12
# Side of the maps of units.
_CELLS = 6
# Size of batches after which some of LIME's samples are left over.
_NOT_WHOLE = 7
# How many images a network is dissected with, and the layers: a map, and a vector.
_PROBED, _DISSECTED = 5, ("2", "5")
# Names of distributions.
_GRAD_CAM, _LIME, _TORCH = "grad-cam", "lime", "torch"


def model_trials() -> dict[Stage, Fingerprint]:
    """Try the layers that networks usually have, and how their logits are read as probabilities.

    After weights changed on record, all that a network answers is expected to move. A layer that torch computes
    otherwise still shows here.

    Raises:
        LibraryMisbehaves: torch breaks.
    """
    import torch

    from xai_eval.inputs.models.reading import OutputKind, Reading
    from xai_eval.tasks.trials.further_layers import STEPS
    from xai_eval.tasks.trials.layers_of_torch import CHANNELS, SIDE, answers, usual_layers

    layers, read = "the layers of torch", "the probabilities of logits"
    given = torch.from_numpy(3 * _waves(1, CHANNELS, SIDE, SIDE, step=0.37)).double()
    with tried(layers, _TORCH):
        answered = answers(_layers(usual_layers), given)
    logits, reading = 4 * _waves(_CLASSES, step=0.37), Reading(OutputKind.LOGITS, _CLASSES)
    with tried(read, _TORCH):
        shown = np.stack([reading.shown_of(logits), reading.shown(torch.from_numpy(logits)[None])[0].numpy()])
    found = {_stage(layers): fingerprint_array(answered), _stage(read): fingerprint_array(shown)}
    return found | {_stage(step): _further(step, given) for step in STEPS}


def _further(step: str, given: Any) -> Fingerprint:
    from xai_eval.tasks.trials.further_layers import further_answers, further_layers

    with tried(step, _TORCH):
        return fingerprint_array(further_answers(step, _layers(lambda: further_layers(step)), given))


def cam_trials(methods: Iterable[str]) -> dict[Stage, Fingerprint]:
    """Try class activation methods, and how their maps are enlarged; each takes a few milliseconds.

    Raises:
        LibraryMisbehaves: grad-cam breaks.
    """
    from xai_eval.explainers.cam.cam_maps import explain_by_cam

    module, found = _network(), {}
    for name in methods:
        with tried(_map_of(name), _GRAD_CAM):
            found[name] = explain_by_cam(module, module[2], _image(), [1], name)
    maps = {_stage(_map_of(name)): fingerprint_array(each.raw) for name, each in found.items()}
    enlarged = [each.image for each in found.values()][:1]
    scaled = {_stage("the scaling of maps"): fingerprint_array(each) for each in enlarged}
    return maps | scaled | {_stage("the places of tokens"): fingerprint_array(_places_of_tokens())}


def _places_of_tokens() -> NDArray[np.float32]:
    """Lay over an image tokens with a class token before them and another one behind, and a map of channels last."""
    import torch

    from xai_eval.inputs.models.layout import Layout

    tokens, last = (torch.from_numpy(_waves(*shape, step=0.37)) for shape in ((1, 8, 5), (1, 2, 3, 5)))
    laid = Layout((2, 3), channels=1, before=1, behind=1, maps=False)(tokens), Layout((2, 3), channels=2)(last)
    return np.concatenate([each.numpy().ravel() for each in laid])


def attribution_trials(methods: Iterable[Method]) -> dict[Stage, Fingerprint]:
    """Try methods of captum with few steps and samples, and those that follow attention; others are the user's.

    Raises:
        LibraryMisbehaves: captum or torch breaks.
    """
    tried_ones = [each for each in methods if not each.spec]
    # Methods that follow attention refuse a network without any.
    attending = [each for each in tried_ones if each.may_refuse]
    found = {_stage(_map_of(each.name)): _attribution(each, _transformer(1)) for each in attending}
    found |= {_stage(f"{_map_of(each.name)} of two heads"): _attribution(each, _transformer(2)) for each in attending}
    others = (each for each in tried_ones if not each.may_refuse)
    return found | {_stage(_map_of(each.name)): _attribution(each, _network()) for each in others}


def signed_map_trials() -> dict[Stage, Fingerprint]:
    """Try how an attribution becomes a map of the pixels.

    Raises:
        LibraryMisbehaves: torch breaks.
    """
    from xai_eval.explainers.attribution.methods import signed_map

    step = "the sum over the channels, and the size"
    with tried(step, _TORCH):
        found = signed_map(_waves(3, _SIDE // 4, _SIDE // 4, step=0.37), (_SIDE, _SIDE))
    return {_stage(step): fingerprint_array(found)}


def _attribution(method: Method, network: Any) -> Fingerprint:
    from xai_eval.explainers.attribution.methods import explain
    from xai_eval.explainers.attribution.question import Question, Settings

    image = _image()
    question = Question(network, image, 0 * image, 1, Settings(steps=8, samples=4, window=0.25))
    with tried(_map_of(method.name), next(iter(method.libraries), _TORCH)):
        return fingerprint_array(explain(method, question, 0))


def lime_trials() -> dict[Stage, Fingerprint]:
    """Try how LIME hides superpixels, and how it fits its surrogates.

    Raises:
        LibraryMisbehaves: lime breaks.
    """
    from xai_eval.explainers.lime.lime import LimeSettings, explain_by_lime
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    settings, pixels = LimeSettings(40, 1, 100_000, 10), _pixels()
    with tried("the explanation by LIME", _LIME):
        [found] = explain_by_lime(pixels, PerturbedImages(_colours, 10), _Squares(), settings, labels=[0])
        further = _of_neighbourhood(found.neighbourhood, settings)
    return {
        _stage("the prediction of perturbed images"): fingerprint_array(found.neighbourhood.probabilities),
        _stage("the fit of the surrogate"): fingerprint_array(found.surrogates[0].weights.astype(np.float32)),
        **further,
    }


def _of_neighbourhood(seen: Neighbourhood, settings: LimeSettings) -> dict[Stage, Fingerprint]:
    """Try batches after which samples are left over, and what surrogates say of probabilities that are not linear."""
    from xai_eval.explainers.lime.lime import fitted
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    pixels, images = _pixels(), PerturbedImages(_colours, _NOT_WHOLE)
    curved = dataclasses.replace(seen, probabilities=_curved(len(seen.samples)))
    [found] = fitted(pixels, [curved], settings, [0])
    left_over = images.probabilities(pixels, 255 - pixels, seen.segments, seen.samples)
    return {
        _stage("the batches of perturbed images"): fingerprint_array(left_over),
        _stage("what the surrogates explain"): fingerprint_array(_explained(found)),
    }


def _explained(found: LimeExplanation) -> NDArray[np.float32]:
    """Return which classes have surrogates, in their order, and what these say beside their weights."""
    rows = [(1 + label, each.r2, each.intercept, each.prediction) for label, each in found.surrogates.items()]
    return np.array(rows, dtype=np.float32)


def _curved(count: int) -> NDArray[np.float32]:
    """Return probabilities (N, C) that no linear model gives."""
    shares = 0.1 + np.abs(_waves(count, _CLASSES, step=0.9)) ** 3
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def hybrid_trials() -> dict[Stage, Fingerprint]:
    """Try how maps of Grad-CAM and LIME are combined, also where LIME gets superpixels that are cut finer.

    Raises:
        LibraryMisbehaves: lime, or what it calls, breaks.
    """
    from xai_eval.explainers.hybrid_maps import HYBRIDS, HybridInputs, Refined
    from xai_eval.explainers.lime.lime import LimeSettings, explain_by_lime
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    settings, pixels = LimeSettings(40, 1, 100_000, 10), _pixels()
    cam = np.abs(_waves(_SIDE, _SIDE, step=0.11))

    def neighbourhood(cut: Segmenter) -> Neighbourhood:
        return explain_by_lime(pixels, PerturbedImages(_colours, 10), cut, settings)[0].neighbourhood

    with tried("the explanation by LIME", _LIME):
        first = neighbourhood(_Squares())
        refined = neighbourhood(Refined(first.segments, cam))
        inputs = HybridInputs(pixels, cam, first, 0, settings, [first, refined], refined)
        found = {name: hybrid(inputs) for name, hybrid in HYBRIDS.items()}
    return {_stage(_map_of(name)): fingerprint_array(each) for name, each in found.items()}


def overlap_trials() -> dict[Stage, Fingerprint]:
    """Try how units are pooled over places, and compared with pixel labels, on maps that never change.

    Raises:
        LibraryMisbehaves: torch breaks.
    """
    import torch

    from xai_eval.explainers.dissection.observe import pool_positions

    maps = torch.from_numpy(_unit_maps())
    pooling, overlap = "the pooling of units over places", "the overlap of units with pixel labels"
    with tried(pooling, _TORCH):
        pooled = pool_positions(maps).numpy()
    with tried(overlap, _TORCH):
        overlaps = np.stack([each.iou() for each in _counts(maps)])
    return {_stage(pooling): fingerprint_array(pooled), _stage(overlap): fingerprint_array(overlaps)}


def unit_trials() -> dict[Stage, Fingerprint]:
    """Try how the units of a network are read, image by image and place by place, and which images are their top.

    Raises:
        LibraryMisbehaves: torch breaks.
    """
    import torch

    from xai_eval.explainers.dissection.by_clip import most_active
    from xai_eval.tasks.trials.tried_units import observed

    images = torch.from_numpy(_waves(_PROBED, 3, _SIDE, _SIDE, step=0.37)).double()
    answers, places, top = "the activations of units", "the maps of units", "the top images of units"
    with tried(answers, _TORCH):
        layers = observed(_network(), _DISSECTED, images)
    with tried(top, "numpy"):
        best = most_active(_waves(_LABELLED[0], _LABELLED[2], step=0.37), _PROBED)
    maps = [part.ravel() for layer in layers for part in _of_places(layer)]
    return {
        _stage(answers): fingerprint_array(np.concatenate([layer.activations for layer in layers])),
        _stage(places): fingerprint_array(np.concatenate(maps)),
        _stage(top): fingerprint_array((1 + best).astype(np.float32)),
    }


def _of_places(layer: LayerObservations) -> list[NDArray[np.float32]]:
    """Return where the units of a layer are active, and of which units and images the maps that are kept are."""
    kept, places = layer.maps, layer.places
    if kept is None or places is None:  # vectors have no places
        return []
    return [places, kept.maps, *((0.1 * each).astype(np.float32) for each in (kept.units, kept.positions))]


def _unit_maps() -> NDArray[np.float32]:
    """Return smooth maps of units, (n, J, h, w), whose places shift from unit to unit; rounding moves no count."""
    images, _, units = _LABELLED
    strength = np.abs(_waves(images, units, 1, 1, step=0.37))
    rows, columns = np.indices((_CELLS, _CELLS))
    shift = np.arange(units)[:, None, None] / units
    return np.asarray(strength * np.cos(0.5 * rows - shift) * np.cos(0.4 * columns - 2 * shift), dtype=np.float32)


def _counts(maps: Any) -> list[Counts]:
    """Count pixels of units and concepts, with the labels of each image and with those of another one."""
    from xai_eval.explainers.dissection.counts import ConceptIndex, Counts
    from xai_eval.explainers.dissection.netdissect import SHARE, LabelledMaps, add_image, other_images
    from xai_eval.explainers.dissection.quantile import top_values, values_to_keep
    from xai_eval.explainers.dissection.shown_concepts import ShownConcepts

    images, units = maps.shape[:2]
    vocabulary = ConceptIndex.of(["object"] * 9)
    thresholds = top_values(maps, values_to_keep(maps[:, 0].numel(), SHARE)).quantile(SHARE)
    squares = 1 + _Squares()(_pixels())
    labels = [ShownConcepts.of((squares + image)[None] % 10, vocabulary) for image in range(images)]
    totals = [Counts.nothing(units, vocabulary) for _ in range(2)]
    for image, other in enumerate(other_images(images, 0)):
        own = LabelledMaps(np.arange(units), maps[image].numpy(), [labels[image], labels[int(other)]])
        add_image(totals, own, thresholds)
    return totals


def dissection_trials(similarity: Similarity) -> dict[Stage, Fingerprint]:
    """Try how units are compared with words, on activations and embeddings that never change.

    Raises:
        LibraryMisbehaves: torch breaks.
    """
    from xai_eval.explainers.dissection.by_clip import label_by_clip

    few = similarity if similarity.top_k is None else dataclasses.replace(similarity, top_k=min(similarity.top_k, 8))
    step, (images, words, units) = "the similarity of units to words", _LABELLED
    embeddings, vocabulary = (_waves(count, _WIDTH, step=step) for count, step in ((images, 0.7), (words, 1.3)))
    with tried(step, _TORCH):
        found = label_by_clip(embeddings, vocabulary, _waves(images, units, step=0.37), few)
    return {_stage(step): fingerprint_array(np.nan_to_num(found))}


def _map_of(method: str) -> str:
    return f"the map of {method}"


def _stage(step: str) -> Stage:
    return Stage(StageKind.TRIAL, step)


def _waves(*shape: int, step: float = 1.0) -> NDArray[np.float32]:
    """Return numbers in [-1, 1] of a shape."""
    return np.asarray(np.sin(step * (1.0 + np.arange(np.prod(shape)))).reshape(shape), dtype=np.float32)


def _network() -> Any:
    """Return a network of two convolutions in double precision, so that no setting of a processor rounds it."""
    import torch
    from torch import nn

    with torch.inference_mode(False), torch.device("cpu"), torch.random.fork_rng(devices=[]):
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(_CHANNELS, _CLASSES),
        )
        return _with_waves(module)


def _layers(made: Callable[[], Any]) -> Any:
    """Return the layers that `made` makes, in double precision."""
    import torch

    with torch.inference_mode(False), torch.device("cpu"), torch.random.fork_rng(devices=[]):
        return _with_waves(made())


def _transformer(heads: int) -> Any:
    """Return a small transformer in double precision."""
    import torch

    from xai_eval.tasks.trials.attending import Attending

    with torch.inference_mode(False), torch.device("cpu"), torch.random.fork_rng(devices=[]):
        return _with_waves(Attending(heads))


def _with_waves(module: Any) -> Any:
    import torch

    with torch.no_grad():
        for number, parameter in enumerate(module.parameters(), 1):
            parameter.copy_(torch.from_numpy(_waves(*parameter.shape, step=0.7 * number)))
    return module.double().eval()


def _image() -> Any:
    import torch

    return torch.from_numpy(_waves(1, 3, _SIDE, _SIDE, step=0.37)).double()


def _pixels() -> NDArray[np.uint8]:
    return np.asarray(np.rint(127.5 * (1.0 + _waves(_SIDE, _SIDE, 3, step=0.37))), dtype=np.uint8)


def _colours(views: Any) -> Any:
    """Return probabilities (N, 2) of views, uint8 (N, H, W, 3), that follow from the brightness of each place."""
    import torch

    where = torch.from_numpy(np.abs(_waves(_SIDE, _SIDE, 3, step=0.11)))
    bright = (views.float() * where).mean(dim=(1, 2, 3)) / 255.0
    return torch.stack([bright, 1.0 - bright], dim=1)


class _Squares:
    """Cuts an image into nine parts, without a library."""

    name = "squares"

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        rows, columns = np.minimum(np.indices(pixels.shape[:2]) // (_SIDE // 3), 2)
        return np.asarray(3 * rows + columns, dtype=np.int64)
