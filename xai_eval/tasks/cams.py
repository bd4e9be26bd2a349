"""The task `cams`: which pixels a class activation map blames for a prediction, and whether it points at the object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from xai_eval.fields import Field, Heatmap, HeatmapTolerance, Label, Mask, Picture, Ranking, Table
from xai_eval.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.metrics.localisation import (
    THRESHOLDS,
    energy_inside,
    half_cell,
    iou_at_equal_area,
    iou_sweep,
    pointing_hit,
)
from xai_eval.result import Case, Provenance, Result
from xai_eval.tasks import task
from xai_eval.tasks.environment import device_name, library_versions, precision_flags
from xai_eval.tasks.forward import Forward, forward, input_batch
from xai_eval.tasks.target import Target, check_target, resolve_target

if TYPE_CHECKING:
    import torch

    from xai_eval.explainers.cams import CamMaps
    from xai_eval.inputs.classifier import Classifier
    from xai_eval.inputs.images import ImageSet, LabelledImage

DEFAULT_METHODS = ("gradcam", "scorecam", "ablationcam")
LIBRARIES = ("torch", "torchvision", "grad-cam", "numpy", "pillow", "opencv-python-headless")

# On a CPU the maps of the bundled model move by less than 1e-6 (one thread, mkldnn off, channels_last) and not at all
# between torch 2.6, 2.11 and 2.15; Grad-CAM's on MobileNetV2 move by 1.6e-5. The rest of the margin is for GPUs: TF32
# rounds activations by about 1e-3, and its effect on maps is not measured yet. Eyes see about 2e-2.
MAP_TOLERANCE = HeatmapTolerance(largest=0.02)
LAYER_MAP_TOLERANCE = HeatmapTolerance(largest=0.02, rank=-1.0, top=0.0, moved=1.0)
PROBABILITY_TOLERANCE = 0.02
TABLE_TOLERANCE = {"energy_inside": 0.02, "iou_equal_area": 0.05}
SWEEP_TOLERANCE = 0.05


@task("cams")
def cams(
    classifier: Classifier,
    images: ImageSet,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    target: str = "predicted",
    layer: str | None = None,
    seed: int = 0,
) -> Iterator[Result]:
    """Explain every prediction by class activation maps (pytorch-grad-cam).

    Args:
        classifier: the model with its preprocessing and class names.
        images: the pictures to explain.
        methods: names of pytorch-grad-cam's methods.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        layer: name of the explained layer; the last convolutional block if None.
        seed: seed of methods that draw random numbers.

    Returns:
        An iterator that explains as it goes: one Result a picture, with a map a method at the picture's and at the
        layer's own resolution. Names are checked before it is returned.

    Raises:
        UsageError: an unknown method, layer or class.
        ModelMisbehaves: the model returns what is no batch of logits.
    """
    from xai_eval.explainers.cams import check_methods

    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    check_methods(methods)
    layer = layer or classifier.default_layer()
    classifier.layer(layer)
    check_target(classifier, images, target)
    params = {"methods": list(methods), "target": target, "layer": layer}
    return (
        _evaluate(Case("cams", classifier.name, f"{images.name}/{image.name}", params), classifier, image, seed)
        for image in images.images
    )


def _evaluate(case: Case, classifier: Classifier, image: LabelledImage, seed: int) -> Result:
    from xai_eval.explainers.cams import explain

    batch = input_batch(classifier, image.pixels)
    seen = forward(classifier, case.params["layer"], batch)
    target = resolve_target(classifier, image, int(np.argmax(seen.logits)), case.params["target"])
    layer = classifier.layer(case.params["layer"])
    maps = {
        method: explain(classifier.module, layer, batch, [target.index], method, seed=seed)
        for method in case.params["methods"]
    }
    return Result(
        case=case,
        fields={
            **target.fields,
            "top5": _top5(classifier, seen.logits),
            **_map_fields(classifier, image, maps),
        },
        stages=_stages(image, batch, seen, target, maps),
        provenance=_provenance(classifier, image, seed),
    )


def _top5(classifier: Classifier, logits: NDArray[np.float32]) -> Ranking:
    probabilities = _softmax(logits)
    best = np.argsort(-probabilities, kind="stable")[:5]
    names = tuple(str(Label(classifier.class_names[i], int(i))) for i in best)
    return Ranking(names, tuple(float(probabilities[i]) for i in best), PROBABILITY_TOLERANCE)


def _map_fields(classifier: Classifier, image: LabelledImage, maps: Mapping[str, CamMaps]) -> dict[str, Field]:
    heatmaps = {method: Heatmap(each.image[0], MAP_TOLERANCE) for method, each in maps.items()}
    layers = {f"{method}_layer": Heatmap(each.layer[0], LAYER_MAP_TOLERANCE) for method, each in maps.items()}
    picture = Picture(classifier.preprocess.view(Image.fromarray(image.pixels)))
    if image.mask is None:
        table = Table(pd.DataFrame([_map_row(method, heatmap) for method, heatmap in heatmaps.items()]))
        return {"picture": picture, **heatmaps, **layers, "table": table}
    mask = classifier.preprocess.mask(image.mask)
    rows = [
        {**_map_row(method, heatmap), **_localisation(heatmap, mask, layers[f"{method}_layer"].shape)}
        for method, heatmap in heatmaps.items()
    ]
    tables: dict[str, Field] = {
        "table": Table(pd.DataFrame(rows), TABLE_TOLERANCE),
        "iou_sweep": _sweep_table(heatmaps, mask),
    }
    return {"picture": picture, "mask": Mask(mask), **heatmaps, **layers, **tables}


def _map_row(method: str, heatmap: Heatmap) -> dict[str, Any]:
    return {"method": method, "map": heatmap.degenerate or "ok"}


def _localisation(heatmap: Heatmap, mask: NDArray[np.bool_], layer_shape: tuple[int, int]) -> dict[str, Any]:
    """How well a map points at the object; a degenerate map points at nothing."""
    if heatmap.degenerate or not mask.any():
        nan = float("nan")
        return {"pointing_hit": False, "pointing_exact": False, "energy_inside": nan, "iou_equal_area": nan}
    return {
        "pointing_hit": pointing_hit(heatmap.array, mask, half_cell(layer_shape, heatmap.shape)),
        "pointing_exact": pointing_hit(heatmap.array, mask),
        "energy_inside": energy_inside(heatmap.array, mask),
        "iou_equal_area": iou_at_equal_area(heatmap.array, mask),
    }


def _sweep_table(heatmaps: Mapping[str, Heatmap], mask: NDArray[np.bool_]) -> Table:
    columns: dict[str, Any] = {"threshold": [f"{t:.1f}" for t in THRESHOLDS]}
    for method, heatmap in heatmaps.items():
        means = heatmap.degenerate is None
        columns[method] = iou_sweep(heatmap.array, mask) if means else [float("nan")] * len(THRESHOLDS)
    return Table(pd.DataFrame(columns), dict.fromkeys(heatmaps, SWEEP_TOLERANCE))


def _stages(
    image: LabelledImage, batch: torch.Tensor, seen: Forward, target: Target, maps: Mapping[str, CamMaps]
) -> dict[str, Fingerprint]:
    return {
        "image bytes": fingerprint_text(image.digest),
        "decoded pixels": fingerprint_array(image.pixels),
        "input tensor": fingerprint_array(batch.cpu().numpy()),
        "layer activations": fingerprint_array(seen.activations),
        "logits": fingerprint_array(seen.logits),
        "target": fingerprint_text(str(target.explained)),
        **{f"raw map {method}": fingerprint_array(each.raw) for method, each in maps.items()},
        **{f"final map {method}": fingerprint_array(each.image) for method, each in maps.items()},
    }


def _provenance(classifier: Classifier, image: LabelledImage, seed: int) -> Provenance:
    return Provenance(
        digests={"weights": classifier.weights_digest, "image": image.digest},
        parameters={
            "preprocessing": classifier.preprocess.describe(),
            "classes": classifier.classes_from,
            "notes": list(image.notes),
        },
        versions=library_versions(LIBRARIES),
        device=device_name(classifier.module),
        precision=precision_flags(),
        seed=seed,
    )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exponentials = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(exponentials / exponentials.sum())
