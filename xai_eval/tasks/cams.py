"""The task `cams`: which pixels a class activation map blames for a prediction, and whether it points at the object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.localisation import THRESHOLDS, half_cell, iou_sweep
from xai_eval.result.fields import Field, Heatmap, HeatmapTolerance, Table
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import task
from xai_eval.tasks.image.asked import check_asked
from xai_eval.tasks.image.environment import provenance
from xai_eval.tasks.image.map_rows import TABLE_TOLERANCE, map_row
from xai_eval.tasks.image.subject import cam_maps, look
from xai_eval.tasks.reference.maps import localisation_stage

if TYPE_CHECKING:
    from xai_eval.explainers.cam.cams import CamMaps
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier

DEFAULT_METHODS = ("gradcam", "scorecam", "ablationcam")
LIBRARIES = ("torch", "torchvision", "grad-cam", "numpy", "pillow", "opencv-python-headless")

# On a CPU the maps of the bundled model move by less than 1e-6 (one thread, mkldnn off, channels_last) and not at all
# between torch 2.6, 2.11 and 2.15; Grad-CAM's on MobileNetV2 move by 1.6e-5. The rest of the margin is for GPUs: TF32
# rounds activations by about 1e-3, and its effect on maps is not measured yet. Eyes see about 2e-2.
MAP_TOLERANCE = HeatmapTolerance(largest=0.02)
LAYER_MAP_TOLERANCE = HeatmapTolerance(largest=0.02, rank=-1.0, top=0.0, moved=1.0)
SWEEP_TOLERANCE = 0.05


@task("cams")
def cams(
    classifier: Classifier,
    images: ImageSet,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    target: str | int = "predicted",
    layer: str | None = None,
    seed: int = 0,
) -> Iterator[Result]:
    """Explain every prediction by class activation maps (pytorch-grad-cam).

    Args:
        classifier: the model with its preprocessing and class names.
        images: the images to explain.
        methods: names of pytorch-grad-cam's methods.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        layer: name of the explained layer; the last convolutional block if None.
        seed: seed of methods that draw random numbers.

    Returns:
        An iterator that explains as it goes: one Result an image, with a map a method at the image's and at the
        layer's own resolution. Names are checked before it is returned.

    Raises:
        UsageError: an unknown method, layer or class, a layer without a map, or a seed out of range.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.cam.cams import check_methods

    methods = check_methods([methods] if isinstance(methods, str) else methods)
    asked = check_asked(classifier, images, layer, target, seed)
    params = {"methods": list(methods), "target": asked.target, "layer": asked.layer}
    return (
        _evaluate(Case("cams", classifier.name, f"{images.name}/{image.name}", params), classifier, image, seed)
        for image in images.images
    )


def _evaluate(case: Case, classifier: Classifier, image: LabelledImage, seed: int) -> Result:
    layer = case.params["layer"]
    subject = look(classifier, image, layer, case.params["target"])
    maps = {method: cam_maps(subject, layer, method, seed) for method in case.params["methods"]}
    return Result(
        case=case,
        fields={**subject.fields, **_map_fields(subject.mask, maps)},
        stages={
            **subject.stages,
            **{Stage(StageKind.RAW_MAP, method): fingerprint_array(each.raw) for method, each in maps.items()},
            **{Stage(StageKind.FINAL_MAP, method): fingerprint_array(each.image) for method, each in maps.items()},
            **localisation_stage(),
        },
        provenance=provenance(classifier, image, LIBRARIES, seed),
    )


def _map_fields(mask: NDArray[np.bool_] | None, maps: Mapping[str, CamMaps]) -> dict[str, Field]:
    heatmaps = {method: Heatmap(each.image[0], MAP_TOLERANCE) for method, each in maps.items()}
    layers = {f"{method}_layer": Heatmap(each.layer[0], LAYER_MAP_TOLERANCE) for method, each in maps.items()}
    rows = [
        map_row(method, heatmap, mask, half_cell(layers[f"{method}_layer"].shape, heatmap.shape))
        for method, heatmap in heatmaps.items()
    ]
    table = Table(pd.DataFrame(rows), TABLE_TOLERANCE)
    sweep: dict[str, Field] = {} if mask is None else {"iou_sweep": _sweep_table(heatmaps, mask)}
    return {**heatmaps, **layers, "table": table, **sweep}


def _sweep_table(heatmaps: Mapping[str, Heatmap], mask: NDArray[np.bool_]) -> Table:
    columns: dict[str, Any] = {"threshold": [f"{t:.1f}" for t in THRESHOLDS]}
    for method, heatmap in heatmaps.items():
        means = heatmap.degenerate is None
        columns[method] = iou_sweep(heatmap.array, mask) if means else [float("nan")] * len(THRESHOLDS)
    return Table(pd.DataFrame(columns), dict.fromkeys(heatmaps, SWEEP_TOLERANCE))
